//! What waits: open conflicts, parked records, and records that have to be looked at again.

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    mapping::Mapping,
    plan::{Conflict, ConflictKind, Parked},
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::postgres::transaction::Tx;

/// A conflict as it is kept.
#[derive(Clone, Debug)]
pub struct OpenConflict {
    pub id: i64,
    pub mapping: String,
    /// The contested column; empty when the record itself is.
    pub column: String,
    pub property: Option<String>,
    pub conflict: Conflict,
    pub opened_at: Timestamp,
}

/// A parked record as it is kept.
#[derive(Clone, Debug)]
pub struct ParkedRecord {
    pub id: i64,
    pub mapping: String,
    pub key: Option<RowKey>,
    pub page: Option<PageId>,
    /// The column that is in the way; empty when it is the record as a whole.
    pub column: String,
    pub side: String,
    pub reason: Reason,
    pub value: Option<Value>,
    pub attempts: i32,
    pub next_try: Option<Timestamp>,
    /// What both sides held when a write failed; `None` when no write was tried.
    pub content: Option<Digest>,
}

/// A failure of one record, to be kept.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub parked: Parked,
    pub attempts: i32,
    pub next_try: Option<Timestamp>,
    /// As in [`ParkedRecord`].
    pub content: Option<Digest>,
}

/// Records to look at again on both sides.
#[derive(Clone, Debug, Default)]
pub struct Due {
    pub keys: Vec<RowKey>,
    pub pages: Vec<PageId>,
}

impl Store {
    /// Replaces what is known to wait of these records by what a plan found: conflicts and parked fields that are not
    /// found again are over. `records` are all records that the plan looked at on both sides.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep_findings(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        records: &[(Option<RowKey>, Option<PageId>)],
        conflicts: &[Conflict],
        parked: &[Trouble],
    ) -> Result<(), StoreError> {
        let (keys, pages) = names(records);
        let open: Vec<String> =
            conflicts.iter().map(|c| record_name(c.key.as_ref(), c.page, column_of(mapping, c))).collect();
        tx.execute(
            &format!(
                "update {}.conflicts set closed_at = now(), resolution = 'agreed' \
                 where connection_id = $1 and mapping = $2 and closed_at is null \
                 and (row_key = any($3) or page_id = any($4)) \
                 and not coalesce(row_key, '') || ' ' || coalesce(page_id::text, '') || ' ' || column_name = any($5)",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping.name, Type::TEXT),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
                (&open, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for conflict in conflicts {
            self.keep_conflict(tx, mapping, conflict).await?;
        }
        let stuck: Vec<String> = parked
            .iter()
            .map(|t| record_name(t.parked.key.as_ref(), t.parked.page, column(mapping, t.parked.field)))
            .collect();
        tx.execute(
            &format!(
                "delete from {}.parked where connection_id = $1 and mapping = $2 \
                 and (row_key = any($3) or page_id = any($4)) \
                 and not coalesce(row_key, '') || ' ' || coalesce(page_id::text, '') || ' ' || column_name = any($5)",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping.name, Type::TEXT),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
                (&stuck, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for trouble in parked {
            self.park(tx, mapping, trouble).await?;
        }
        Ok(())
    }

    async fn keep_conflict(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        conflict: &Conflict,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(conflict)
            .map_err(|source| StoreError::Unreadable { what: "a conflict", source })?;
        let property = match &conflict.kind {
            ConflictKind::Field { field, .. } => mapping.fields.get(*field).map(|f| f.property.as_str()),
            ConflictKind::Deleted { .. } => None,
        };
        tx.execute(
            &format!(
                "insert into {}.conflicts (connection_id, mapping, row_key, page_id, column_name, property, conflict) \
                 values ($1, $2, $3, $4, $5, $6, $7::text::json) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name) \
                 where closed_at is null do update set conflict = excluded.conflict, property = excluded.property",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping.name, Type::TEXT),
                (&conflict.key.as_ref().map(RowKey::as_str), Type::TEXT),
                (&conflict.page.map(|page| page.0), Type::UUID),
                (&column_of(mapping, conflict), Type::TEXT),
                (&property, Type::TEXT),
                (&json, Type::TEXT),
            ],
        )
        .await?;
        Ok(())
    }

    /// Parks a record, or counts one more attempt.
    ///
    /// # Errors
    /// What the database says.
    pub async fn park(&self, tx: &mut Tx, mapping: &Mapping, trouble: &Trouble) -> Result<(), StoreError> {
        let encode = |json: serde_json::Result<String>| {
            json.map_err(|source| StoreError::Unreadable { what: "a parked value", source })
        };
        let reason = encode(serde_json::to_string(&trouble.parked.reason))?;
        let value = match &trouble.parked.value {
            Some(value) => Some(encode(serde_json::to_string(value))?),
            None => None,
        };
        tx.execute(
            &format!(
                "insert into {}.parked as parked (connection_id, mapping, row_key, page_id, column_name, side, reason, \
                 value, attempts, next_try, content) \
                 values ($1, $2, $3, $4, $5, $6, $7::text::json, $8::text::json, $9, $10, $11) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name) \
                 do update set reason = excluded.reason, value = excluded.value, side = excluded.side, \
                 attempts = excluded.attempts, next_try = excluded.next_try, content = excluded.content",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping.name, Type::TEXT),
                (&trouble.parked.key.as_ref().map(RowKey::as_str), Type::TEXT),
                (&trouble.parked.page.map(|page| page.0), Type::UUID),
                (&column(mapping, trouble.parked.field), Type::TEXT),
                (&trouble.parked.side.name(), Type::TEXT),
                (&reason, Type::TEXT),
                (&value, Type::TEXT),
                (&trouble.attempts, Type::INT4),
                (&trouble.next_try, Type::TIMESTAMPTZ),
                (&trouble.content.map(|content| Uuid::from_bytes(content.0)), Type::UUID),
            ],
        )
        .await?;
        Ok(())
    }

    /// Open conflicts, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_conflicts(&self, mapping: Option<&str>) -> Result<Vec<OpenConflict>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, mapping, column_name, property, conflict::text, opened_at from {}.conflicts \
                     where connection_id = $1 and closed_at is null and ($2::text is null or mapping = $2) order by id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(OpenConflict {
                    id: row.get(0),
                    mapping: row.get(1),
                    column: row.get(2),
                    property: row.get(3),
                    conflict: decode(row, 4)?,
                    opened_at: row.get(5),
                })
            })
            .collect()
    }

    /// Parked records, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn parked(&self, mapping: Option<&str>) -> Result<Vec<ParkedRecord>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, mapping, row_key, page_id, column_name, side, reason::text, value::text, attempts, next_try, content \
                     from {}.parked where connection_id = $1 and ($2::text is null or mapping = $2) order by id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(ParkedRecord {
                    id: row.get(0),
                    mapping: row.get(1),
                    key: row.get::<_, Option<String>>(2).map(RowKey::from),
                    page: row.get::<_, Option<Uuid>>(3).map(PageId),
                    column: row.get(4),
                    side: row.get(5),
                    reason: decode(row, 6)?,
                    value: match row.get::<_, Option<&str>>(7) {
                        Some(_) => Some(decode(row, 7)?),
                        None => None,
                    },
                    attempts: row.get(8),
                    next_try: row.get(9),
                    content: row.get::<_, Option<Uuid>>(10).map(|uuid| Digest(uuid.into_bytes())),
                })
            })
            .collect()
    }

    /// Asks for records to be looked at again on both sides, not before so many seconds from now.
    ///
    /// # Errors
    /// What the database says.
    pub async fn revisit(
        &self,
        tx: &mut Tx,
        mapping: &str,
        records: &[(Option<RowKey>, Option<PageId>)],
        seconds: f64,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let keys: Vec<Option<&str>> =
            records.iter().map(|(key, _)| key.as_ref().map(RowKey::as_str)).collect();
        let pages: Vec<Option<Uuid>> = records.iter().map(|(_, page)| page.map(|page| page.0)).collect();
        tx.execute(
            &format!(
                "insert into {}.revisits as revisit (connection_id, mapping, row_key, page_id, due_at) \
                 select distinct on (row_key, page_id) $1, $2, row_key, page_id, now() + $5 * interval '1 second' \
                 from unnest($3::text[], $4::uuid[]) as new (row_key, page_id) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, '')) \
                 do update set due_at = least(revisit.due_at, excluded.due_at)",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
                (&seconds, Type::FLOAT8),
            ],
        )
        .await?;
        Ok(())
    }

    /// What is due to be looked at again: revisits, and parked records whose time to try again has come.
    ///
    /// # Errors
    /// What the database says.
    pub async fn due(&self, mapping: &str) -> Result<Due, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select row_key, page_id from {0}.revisits \
                     where connection_id = $1 and mapping = $2 and due_at <= clock_timestamp() \
                     union select row_key, page_id from {0}.parked \
                     where connection_id = $1 and mapping = $2 and next_try <= clock_timestamp()",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let mut due = Due::default();
        for row in &rows {
            due.keys.extend(row.get::<_, Option<String>>(0).map(RowKey::from));
            due.pages.extend(row.get::<_, Option<Uuid>>(1).map(PageId));
        }
        Ok(due)
    }

    /// Takes back the requests to look again at records that have been looked at.
    ///
    /// # Errors
    /// What the database says.
    pub async fn visited(
        &self,
        tx: &mut Tx,
        mapping: &str,
        records: &[(Option<RowKey>, Option<PageId>)],
    ) -> Result<(), StoreError> {
        let (keys, pages) = names(records);
        tx.execute(
            &format!(
                "delete from {}.revisits where connection_id = $1 and mapping = $2 \
                 and (row_key = any($3) or page_id = any($4))",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }
}

fn names(records: &[(Option<RowKey>, Option<PageId>)]) -> (Vec<&str>, Vec<Uuid>) {
    let keys = records.iter().filter_map(|(key, _)| key.as_ref().map(RowKey::as_str)).collect();
    let pages = records.iter().filter_map(|(_, page)| page.map(|page| page.0)).collect();
    (keys, pages)
}

fn column(mapping: &Mapping, field: Option<usize>) -> &str {
    field.and_then(|field| mapping.fields.get(field)).map_or("", |field| field.column.as_str())
}

fn column_of<'a>(mapping: &'a Mapping, conflict: &Conflict) -> &'a str {
    match &conflict.kind {
        ConflictKind::Field { field, .. } => column(mapping, Some(*field)),
        ConflictKind::Deleted { on: Side::Postgres | Side::Notion, .. } => "",
    }
}

/// The same name that the statements build from a row's columns.
fn record_name(key: Option<&RowKey>, page: Option<PageId>, column: &str) -> String {
    let page = page.map_or_else(String::new, |page| page.to_string());
    format!("{} {page} {column}", key.map_or("", RowKey::as_str))
}

fn decode<T: serde::de::DeserializeOwned>(row: &Row, at: usize) -> Result<T, StoreError> {
    let text: &str = row.get(at);
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what: "what waits", source })
}
