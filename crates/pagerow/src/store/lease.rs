//! Who works on a connection: a lease row with a fencing number, since sessions mean nothing behind a pooler.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{Store, StoreError};
use crate::postgres::transaction::Tx;

/// How long a lease lasts without being renewed.
const TERM: Duration = Duration::from_secs(60);

/// The right to work on a connection, as long as its epoch is the newest.
#[derive(Clone, Debug)]
pub struct Lease {
    name: String,
    holder: String,
    epoch: i64,
}

impl Store {
    /// Takes the lease, if nobody else holds it.
    ///
    /// # Errors
    /// [`StoreError::Held`] with who holds it.
    pub async fn take_lease(&self, name: &str, holder: &str) -> Result<Lease, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "insert into {0}.leases as lease (connection_id, name, holder, expires_at) \
                     values ($1, $2, $3, clock_timestamp() + $4 * interval '1 second') \
                     on conflict (connection_id, name) do update \
                     set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at \
                     where lease.expires_at < clock_timestamp() or lease.holder = excluded.holder \
                     returning epoch",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&name, Type::TEXT),
                    (&holder, Type::TEXT),
                    (&TERM.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        if let Some(row) = rows.first() {
            let epoch = row.get(0);
            tx.commit().await?;
            return Ok(Lease { name: name.to_owned(), holder: holder.to_owned(), epoch });
        }
        let rows = tx
            .query(
                &format!(
                    "select holder, greatest(extract(epoch from expires_at - clock_timestamp()), 0)::int8 \
                     from {}.leases where connection_id = $1 and name = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&name, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let held = rows.first().ok_or(StoreError::Lost("a lease"))?;
        Err(StoreError::Held { holder: held.get(0), seconds: held.get(1) })
    }

    /// Takes the lease from a holder that is known to be gone. Should it live after all, its next write is fenced off.
    ///
    /// # Errors
    /// [`StoreError::Held`] when somebody else was faster.
    pub async fn take_over(&self, name: &str, gone: &str, holder: &str) -> Result<Lease, StoreError> {
        let mut tx = self.begin().await?;
        tx.execute(
            &format!(
                "update {}.leases set expires_at = clock_timestamp() - interval '1 second' \
                 where connection_id = $1 and name = $2 and holder = $3",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&name, Type::TEXT), (&gone, Type::TEXT)],
        )
        .await?;
        tx.commit().await?;
        self.take_lease(name, holder).await
    }

    /// Renews the lease inside a transaction, which is what fences everything else in it: a holder that came too
    /// late commits nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another one has taken over.
    pub async fn fence(&self, tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
        let renewed = tx
            .execute(
                &format!(
                    "update {}.leases set expires_at = clock_timestamp() + $5 * interval '1 second' \
                     where connection_id = $1 and name = $2 and holder = $3 and epoch = $4",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&lease.name, Type::TEXT),
                    (&lease.holder, Type::TEXT),
                    (&lease.epoch, Type::INT8),
                    (&TERM.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        if renewed == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    /// Renews the lease by itself, for long looks during which nothing is written.
    ///
    /// # Errors
    /// As [`Store::fence`].
    pub async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.fence(&mut tx, lease).await?;
        Ok(tx.commit().await?)
    }

    /// Gives the lease back, so that the next one need not wait for its end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.execute(
            &format!(
                "update {}.leases set expires_at = clock_timestamp() - interval '1 second' \
                 where connection_id = $1 and name = $2 and holder = $3 and epoch = $4",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&lease.name, Type::TEXT),
                (&lease.holder, Type::TEXT),
                (&lease.epoch, Type::INT8),
            ],
        )
        .await?;
        Ok(tx.commit().await?)
    }
}
