//! How far each side has been read, and when each mapping was last looked at.

use jiff::Timestamp;
use pagerow_core::{digest::Digest, side::Side};
use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::{PgStore, StoreError, Transactions, outbox};
use crate::postgres::transaction::Tx;

/// What is known of a mapping beside its links.
#[derive(Clone, Debug, Default)]
pub struct MappingState {
    /// Of the mapping when its bases were made.
    pub fingerprint: Option<String>,
    /// What the mapping's fields could hold at the last look.
    pub shape: Option<String>,
    pub last_full: Option<Timestamp>,
    pub last_sweep: Option<Timestamp>,
    pub last_look: Option<Timestamp>,
    /// How many records each side held at the last look that could tell.
    pub rows: Option<i64>,
    pub pages: Option<i64>,
}

/// How far each mapping was read, and what is known of it.
pub trait Cursors: Transactions {
    /// One mapping's state; empty when it was never looked at.
    ///
    /// # Errors
    /// What the database says.
    fn mapping_state(&self, mapping: &str) -> impl Future<Output = Result<MappingState, StoreError>> + Send;

    /// Keeps one mapping's state.
    ///
    /// # Errors
    /// What the database says.
    fn keep_mapping_state(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        fingerprint: Digest,
        state: &MappingState,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets how many rows there were, for as long as a plan is carried out. A number that an interrupted plan left
    /// behind could make up for a row that has vanished; without one, the next look reads all rows.
    ///
    /// # Errors
    /// What the database says.
    fn forget_count(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How far a side has been read; `None` before the first complete look.
    ///
    /// # Errors
    /// What the database says.
    fn cursor(
        &self,
        mapping: &str,
        side: Side,
    ) -> impl Future<Output = Result<Option<Json>, StoreError>> + Send;

    /// Moves a cursor, when everything before it has settled.
    ///
    /// # Errors
    /// What the database says.
    fn move_cursor(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        side: Side,
        position: &Json,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Cursors for PgStore {
    async fn mapping_state(&self, mapping: &str) -> Result<MappingState, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select fingerprint, last_full_at, last_sweep_at, last_look_at, last_rows, last_pages, shape \
                     from {}.mappings where connection_id = $1 and name = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.first().map_or_else(MappingState::default, |row| MappingState {
            fingerprint: row.get(0),
            last_full: row.get(1),
            last_sweep: row.get(2),
            last_look: row.get(3),
            rows: row.get(4),
            pages: row.get(5),
            shape: row.get(6),
        }))
    }

    async fn keep_mapping_state(
        &self,
        tx: &mut Tx,
        mapping: &str,
        fingerprint: Digest,
        state: &MappingState,
    ) -> Result<(), StoreError> {
        let fingerprint = fingerprint.to_string();
        tx.execute(
            &format!(
                "insert into {}.mappings (connection_id, name, fingerprint, last_full_at, last_sweep_at, last_look_at, last_rows, last_pages, shape) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (connection_id, name) do update set \
                 fingerprint = excluded.fingerprint, last_full_at = excluded.last_full_at, \
                 last_sweep_at = excluded.last_sweep_at, last_look_at = excluded.last_look_at, \
                 last_rows = excluded.last_rows, last_pages = excluded.last_pages, shape = excluded.shape",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&fingerprint, Type::TEXT),
                (&state.last_full, Type::TIMESTAMPTZ),
                (&state.last_sweep, Type::TIMESTAMPTZ),
                (&state.last_look, Type::TIMESTAMPTZ),
                (&state.rows, Type::INT8),
                (&state.pages, Type::INT8),
                (&state.shape, Type::TEXT),
            ],
        )
        .await?;
        Ok(())
    }

    async fn forget_count(&self, tx: &mut Tx, mapping: &str) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "update {}.mappings set last_rows = null where connection_id = $1 and name = $2",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn cursor(&self, mapping: &str, side: Side) -> Result<Option<Json>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select position::text from {}.cursors where connection_id = $1 and mapping = $2 and side = $3",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&side.name(), Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let text: String = row.get(0);
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| StoreError::Unreadable { what: "a cursor", source })
    }

    async fn move_cursor(
        &self,
        tx: &mut Tx,
        mapping: &str,
        side: Side,
        position: &Json,
    ) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "insert into {}.cursors (connection_id, mapping, side, position) values ($1, $2, $3, $4::text::jsonb) \
                 on conflict (connection_id, mapping, side) do update set position = excluded.position, moved_at = now()",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&side.name(), Type::TEXT),
                (&position.to_string(), Type::TEXT),
            ],
        )
        .await?;
        match side {
            Side::Postgres => outbox::prune(tx, &self.schema, position).await,
            Side::Notion => Ok(()),
        }
    }
}
