//! Who works on a connection: a lease row with a fencing number, since sessions mean nothing behind a pooler.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::{PgStore, Runs as _, StoreError, Transactions};
use crate::postgres::transaction::{Tx, TxError};

/// How often it is renewed while something long goes on.
const RENEWAL: Duration = Duration::from_secs(20);
/// So long before its end the holder no longer counts on it.
const MARGIN: Duration = Duration::from_secs(15);

/// The right to work on a connection, as long as its epoch is the newest. Clones know of each other's renewals.
#[derive(Clone, Debug)]
pub struct Lease {
    name: String,
    holder: String,
    epoch: i64,
    /// In milliseconds since the machine started: when the last renewal that certainly came through was begun.
    renewed: Arc<AtomicU64>,
}

impl Lease {
    /// How long it lasts without being renewed.
    pub const TERM: Duration = Duration::from_secs(60);

    /// A lease that was asked for at `begun`, in [`crate::clock::Clock::uptime`].
    #[must_use]
    pub fn new(name: &str, holder: &str, epoch: i64, begun: Duration) -> Self {
        let lease = Self { name: name.to_owned(), holder: holder.to_owned(), epoch, renewed: Arc::default() };
        lease.was_renewed(begun);
        lease
    }

    /// What it is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who holds it.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// The fencing number.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// How long until it is to be renewed, at this uptime; nothing when that is overdue.
    #[must_use]
    pub fn until_renewal(&self, now: Duration) -> Duration {
        RENEWAL.saturating_sub(self.age(now))
    }

    /// Whether nobody else can have taken it: also after this process, or the whole machine, has slept.
    #[must_use]
    pub fn is_sure(&self, now: Duration) -> bool {
        self.age(now) < Self::TERM.saturating_sub(MARGIN)
    }

    fn age(&self, now: Duration) -> Duration {
        let renewed = Duration::from_millis(self.renewed.load(Ordering::Relaxed));
        now.saturating_sub(renewed)
    }

    /// It was renewed by a request that began at this uptime.
    pub fn was_renewed(&self, begun: Duration) {
        let millis = u64::try_from(begun.as_millis()).unwrap_or(u64::MAX);
        self.renewed.fetch_max(millis, Ordering::Relaxed);
    }
}

/// Who works on a connection.
pub trait Leases: Transactions {
    /// Takes the lease, if nobody else holds it: if it was given back or has ended, or if its holder `is_gone`, which is
    /// asked with the holder's name and the end of its lease by the database's clock. What an
    /// earlier holder left open is closed in the same transaction: its runs count as stopped, and of what it was about
    /// to send nobody knows whether it went out. `begun` is the uptime at which it is asked for.
    ///
    /// # Errors
    /// [`StoreError::Held`] with who holds it.
    fn take_lease(
        &self,
        name: &str,
        holder: &str,
        is_gone: impl Fn(&str, Timestamp) -> bool + Send,
        begun: Duration,
    ) -> impl Future<Output = Result<Lease, StoreError>> + Send;

    /// Renews the lease inside a transaction, which is what fences everything else in it: a holder that came too
    /// late commits nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another one has taken over.
    fn fence(&self, tx: &mut Self::Tx, lease: &Lease) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Renews the lease by itself, for long work during which nothing is written down. The caller notes when
    /// ([`Lease::was_renewed`]).
    ///
    /// # Errors
    /// As [`Leases::fence`].
    fn renew(&self, lease: &Lease) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the lease back, so that the next one need not wait for its end.
    ///
    /// # Errors
    /// What the database says.
    fn give_back(&self, lease: &Lease) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Leases for PgStore {
    async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        is_gone: impl Fn(&str, Timestamp) -> bool + Send,
        begun: Duration,
    ) -> Result<Lease, StoreError> {
        let mut tx = self.begin().await?;
        let made = tx
            .query(
                &format!(
                    "insert into {}.leases (connection_id, name, holder, expires_at) \
                     values ($1, $2, $3, clock_timestamp() + $4 * interval '1 second') \
                     on conflict (connection_id, name) do nothing returning epoch",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&name, Type::TEXT),
                    (&holder, Type::TEXT),
                    (&Lease::TERM.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        let epoch = match made.first() {
            Some(row) => row.get(0),
            None => self.take_over(&mut tx, name, holder, is_gone).await?,
        };
        tx.commit().await?;
        Ok(Lease::new(name, holder, epoch, begun))
    }

    async fn fence(&self, tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
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
                    (&Lease::TERM.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        if renewed == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.fence(&mut tx, lease).await?;
        Ok(tx.commit().await?)
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
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

impl PgStore {
    async fn take_over(
        &self,
        tx: &mut Tx,
        name: &str,
        holder: &str,
        is_gone: impl Fn(&str, Timestamp) -> bool + Send,
    ) -> Result<i64, StoreError> {
        let found = tx
            .query(
                &format!("{} for update", self.who_holds()),
                &[(&self.connection, Type::INT8), (&name, Type::TEXT)],
            )
            .await;
        let found = match found {
            Ok(found) => found,
            // Somebody is writing under it this very moment.
            Err(TxError::Statement(refused)) if refused.code == "55P03" => {
                return Err(self.held(name).await?);
            }
            Err(error) => return Err(error.into()),
        };
        let row = found.first().ok_or(StoreError::Lost("a lease"))?;
        let (before, ended, until): (String, bool, Timestamp) = (row.get(0), row.get(1), row.get(2));
        let is_over = before == holder || is_gone(&before, until);
        if !ended && !is_over {
            return Err(StoreError::Held { holder: before, seconds: row.get(3), until });
        }
        let taken = tx
            .query(
                &format!(
                    "update {}.leases set holder = $3, epoch = epoch + 1, \
                     expires_at = clock_timestamp() + $4 * interval '1 second' \
                     where connection_id = $1 and name = $2 returning epoch",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&name, Type::TEXT),
                    (&holder, Type::TEXT),
                    (&Lease::TERM.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        // A holder sends nothing after its lease has ended. Of one that may still run, only this clock says when that was,
        // and clocks are set: what it was about to send may go out until it counts on its lease no longer.
        self.lose_track(tx, None, is_over.then_some(until)).await?;
        self.close_abandoned_runs(tx, &before).await?;
        taken.first().map(|row| row.get(0)).ok_or(StoreError::Lost("a lease"))
    }

    /// That somebody else holds the lease, as an error.
    async fn held(&self, name: &str) -> Result<StoreError, StoreError> {
        let mut tx = self.begin().await?;
        let rows =
            tx.query(&self.who_holds(), &[(&self.connection, Type::INT8), (&name, Type::TEXT)]).await?;
        tx.commit().await?;
        let row = rows.first().ok_or(StoreError::Lost("a lease"))?;
        Ok(StoreError::Held { holder: row.get(0), seconds: row.get(3), until: row.get(2) })
    }

    fn who_holds(&self) -> String {
        format!(
            "select holder, expires_at < clock_timestamp(), expires_at, \
             greatest(extract(epoch from expires_at - clock_timestamp()), 0)::int8 \
             from {}.leases where connection_id = $1 and name = $2",
            self.schema
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_not_counted_on_to_its_end() {
        let seconds = Duration::from_secs;
        let lease = Lease::new("n", "h", 1, seconds(100));
        assert!(lease.is_sure(seconds(100)));
        assert_eq!(lease.until_renewal(seconds(105)), RENEWAL - seconds(5));
        assert!(lease.is_sure(seconds(144)));
        assert!(!lease.is_sure(seconds(146)));
        assert_eq!(lease.until_renewal(seconds(146)), Duration::ZERO);
        lease.was_renewed(seconds(140));
        assert!(lease.is_sure(seconds(146)));
    }
}
