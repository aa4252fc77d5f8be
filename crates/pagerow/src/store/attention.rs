//! What waits: open conflicts, parked records, and records that have to be looked at again.

use std::time::Duration;

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

use super::{PgStore, StoreError, Transactions};
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
    /// Rises with each change of the entry.
    pub version: i64,
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
    /// Rises with each change of the entry.
    pub version: i64,
}

/// A failure of one record, to be kept.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub parked: Parked,
    pub attempts: i32,
    /// After how long it is tried again, by the database's clock, which also says when that is over.
    pub wait: Option<Duration>,
    /// As in [`ParkedRecord`].
    pub content: Option<Digest>,
}

/// Records to look at again on both sides.
#[derive(Clone, Debug, Default)]
pub struct Due {
    pub keys: Vec<RowKey>,
    pub pages: Vec<PageId>,
    /// The requests themselves, to take them back once they are answered.
    pub requests: Vec<(Option<RowKey>, Option<PageId>, Entry)>,
}

/// What was known to wait when a plan was made, and is answered once the plan has been carried out. What has been
/// written anew meanwhile stays.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    pub conflicts: Vec<Entry>,
    pub parked: Vec<Entry>,
    pub revisits: Vec<Entry>,
    /// Deletions that were left as they are, of records whose halves are both there again.
    pub held: Vec<Entry>,
}

/// How a person's answer ended a conflict.
#[derive(Clone, Debug)]
pub struct Closing {
    pub conflict: Entry,
    /// `kept_postgres`, `kept_notion`, `value` or `skipped`.
    pub resolution: &'static str,
    /// Who answered.
    pub by: String,
    /// The run that carried the answer out.
    pub run: Option<i64>,
    /// A deletion that stays as it is: it is not asked about again while it lasts.
    pub held: bool,
}

/// A row of one of these tables, as it was read: its number and its version.
pub type Entry = (i64, i64);

impl Answered {
    /// What was due and has been looked at: all but what `is_unread`.
    #[must_use]
    pub fn due(due: &Due, is_unread: impl Fn(Option<&RowKey>, Option<PageId>) -> bool) -> Self {
        let read = due.requests.iter().filter(|(key, page, _)| !is_unread(key.as_ref(), *page));
        Self { revisits: read.map(|(_, _, entry)| *entry).collect(), ..Self::default() }
    }

    /// A conflict whose record was planned again.
    pub fn conflict(&mut self, conflict: &OpenConflict) {
        self.conflicts.push((conflict.id, conflict.version));
    }

    /// A deletion that was left as it is, and is none any more.
    pub fn held(&mut self, conflict: &OpenConflict) {
        self.held.push((conflict.id, conflict.version));
    }

    /// A parked record that was planned again.
    pub fn parked(&mut self, parked: &ParkedRecord) {
        self.parked.push((parked.id, parked.version));
    }
}

/// What waits on one connection.
pub trait Attention: Transactions {
    /// Takes away what a plan has answered.
    ///
    /// # Errors
    /// What the database says.
    fn answer(
        &self,
        tx: &mut Self::Tx,
        answered: &Answered,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps conflicts that a plan found; one that is known already is brought up to date.
    ///
    /// # Errors
    /// What the database says.
    fn keep_conflicts(
        &self,
        tx: &mut Self::Tx,
        mapping: &Mapping,
        conflicts: &[Conflict],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Parks a record, or counts one more attempt.
    ///
    /// # Errors
    /// What the database says.
    fn park(
        &self,
        tx: &mut Self::Tx,
        mapping: &Mapping,
        trouble: &Trouble,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Open conflicts, oldest first.
    ///
    /// # Errors
    /// What the database says.
    fn open_conflicts(
        &self,
        mapping: Option<&str>,
    ) -> impl Future<Output = Result<Vec<OpenConflict>, StoreError>> + Send;

    /// Ends conflicts by a person's answers; one that changed meanwhile stays open.
    ///
    /// # Errors
    /// What the database says.
    fn close_conflicts(
        &self,
        tx: &mut Self::Tx,
        closings: &[Closing],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletions that a person left as they are.
    ///
    /// # Errors
    /// What the database says.
    fn held(&self, mapping: &str) -> impl Future<Output = Result<Vec<OpenConflict>, StoreError>> + Send;

    /// Parked records, oldest first.
    ///
    /// # Errors
    /// What the database says.
    fn parked(
        &self,
        mapping: Option<&str>,
    ) -> impl Future<Output = Result<Vec<ParkedRecord>, StoreError>> + Send;

    /// Asks for records to be looked at again on both sides, not before so many seconds from now.
    ///
    /// # Errors
    /// What the database says.
    fn revisit(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        records: &[(Option<RowKey>, Option<PageId>)],
        seconds: f64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What is due to be looked at again: revisits, parked records whose time to try again has come, and whatever waits
    /// of a link that says that nothing of it does.
    ///
    /// # Errors
    /// What the database says.
    fn due(&self, mapping: &str) -> impl Future<Output = Result<Due, StoreError>> + Send;

    /// Lets records that wait for a related record be tried again at once, since one has arrived.
    ///
    /// # Errors
    /// What the database says.
    fn wake_waiting(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        codes: &[&str],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Attention for PgStore {
    async fn answer(&self, tx: &mut Tx, answered: &Answered) -> Result<(), StoreError> {
        let statements = [
            (
                "update {}.conflicts as entry set closed_at = now(), resolution = 'agreed'",
                &answered.conflicts,
            ),
            ("delete from {}.parked as entry", &answered.parked),
            ("delete from {}.revisits as entry", &answered.revisits),
            ("update {}.conflicts as entry set held = false", &answered.held),
        ];
        for (statement, entries) in statements {
            if entries.is_empty() {
                continue;
            }
            let (ids, versions): (Vec<i64>, Vec<i64>) = entries.iter().copied().unzip();
            let using = if statement.starts_with("update") { "from" } else { "using" };
            let sql = format!(
                "{} {using} unnest($2::int8[], $3::int8[]) as answered (id, version) \
                 where entry.connection_id = $1 and entry.id = answered.id and entry.version = answered.version",
                statement.replace("{}", &self.schema)
            );
            tx.execute(
                &sql,
                &[(&self.connection, Type::INT8), (&ids, Type::INT8_ARRAY), (&versions, Type::INT8_ARRAY)],
            )
            .await?;
        }
        Ok(())
    }

    async fn keep_conflicts(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        conflicts: &[Conflict],
    ) -> Result<(), StoreError> {
        for conflict in conflicts {
            self.keep_conflict(tx, mapping, conflict).await?;
        }
        Ok(())
    }

    async fn park(&self, tx: &mut Tx, mapping: &Mapping, trouble: &Trouble) -> Result<(), StoreError> {
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
                 values ($1, $2, $3, $4, $5, $6, $7::text::json, $8::text::json, $9, \
                 clock_timestamp() + $10 * interval '1 second', $11) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name) \
                 do update set reason = excluded.reason, value = excluded.value, side = excluded.side, \
                 attempts = excluded.attempts, next_try = excluded.next_try, content = excluded.content, \
                 version = parked.version + 1",
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
                (&trouble.wait.map(|wait| wait.as_secs_f64()), Type::FLOAT8),
                (&trouble.content.map(|content| Uuid::from_bytes(content.0)), Type::UUID),
            ],
        )
        .await?;
        Ok(())
    }

    async fn open_conflicts(&self, mapping: Option<&str>) -> Result<Vec<OpenConflict>, StoreError> {
        self.conflicts_where("closed_at is null and ($2::text is null or mapping = $2)", mapping).await
    }

    async fn close_conflicts(&self, tx: &mut Tx, closings: &[Closing]) -> Result<(), StoreError> {
        for closing in closings {
            tx.execute(
                &format!(
                    "update {}.conflicts set closed_at = now(), resolution = $4, resolved_by = $5, resolved_in = $6, held = $7 \
                     where connection_id = $1 and id = $2 and version = $3 and closed_at is null",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&closing.conflict.0, Type::INT8),
                    (&closing.conflict.1, Type::INT8),
                    (&closing.resolution, Type::TEXT),
                    (&closing.by, Type::TEXT),
                    (&closing.run, Type::INT8),
                    (&closing.held, Type::BOOL),
                ],
            )
            .await?;
        }
        Ok(())
    }

    async fn held(&self, mapping: &str) -> Result<Vec<OpenConflict>, StoreError> {
        self.conflicts_where("held and mapping = $2", Some(mapping)).await
    }

    async fn parked(&self, mapping: Option<&str>) -> Result<Vec<ParkedRecord>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, mapping, row_key, page_id, column_name, side, reason::text, value::text, attempts, next_try, content, version \
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
                    version: row.get(11),
                })
            })
            .collect()
    }

    async fn revisit(
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
                 do update set due_at = least(revisit.due_at, excluded.due_at), version = revisit.version + 1",
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

    async fn due(&self, mapping: &str) -> Result<Due, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select row_key, page_id, id, version from {0}.revisits \
                     where connection_id = $1 and mapping = $2 and due_at <= clock_timestamp() \
                     union all select row_key, page_id, null, null from {0}.parked \
                     where connection_id = $1 and mapping = $2 and next_try <= clock_timestamp() \
                     union all select link.row_key, link.page_id, null, null from ( \
                         select mapping, row_key, page_id from {0}.conflicts where connection_id = $1 and closed_at is null \
                         union all select mapping, row_key, page_id from {0}.parked where connection_id = $1) as open \
                     join {0}.links as link using (mapping, row_key, page_id) \
                     where link.connection_id = $1 and mapping = $2 and not link.unsettled",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let mut due = Due::default();
        for row in &rows {
            let key = row.get::<_, Option<String>>(0).map(RowKey::from);
            let page = row.get::<_, Option<Uuid>>(1).map(PageId);
            due.keys.extend(key.clone());
            due.pages.extend(page);
            let request = row.get::<_, Option<i64>>(2).zip(row.get::<_, Option<i64>>(3));
            due.requests.extend(request.map(|entry| (key, page, entry)));
        }
        Ok(due)
    }

    async fn wake_waiting(&self, tx: &mut Tx, mapping: &str, codes: &[&str]) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "update {}.parked set next_try = clock_timestamp() where connection_id = $1 and mapping = $2 \
                 and next_try > clock_timestamp() and reason ->> 'code' = any($3)",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&codes, Type::TEXT_ARRAY)],
        )
        .await?;
        Ok(())
    }
}

impl PgStore {
    /// How a conflict ended: its resolution; `None` when it is open, or there is none of this number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn resolution(&self, conflict: i64) -> Result<Option<String>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select coalesce(resolution, 'closed') from {}.conflicts \
                     where connection_id = $1 and id = $2 and closed_at is not null",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&conflict, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    async fn conflicts_where(
        &self,
        condition: &str,
        mapping: Option<&str>,
    ) -> Result<Vec<OpenConflict>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, mapping, column_name, property, conflict::text, opened_at, version from {}.conflicts \
                     where connection_id = $1 and {condition} order by id",
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
                    version: row.get(6),
                })
            })
            .collect()
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
                "insert into {}.conflicts as entry (connection_id, mapping, row_key, page_id, column_name, property, conflict) \
                 values ($1, $2, $3, $4, $5, $6, $7::text::json) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name) \
                 where closed_at is null do update set conflict = excluded.conflict, property = excluded.property, \
                 version = entry.version + 1",
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

fn decode<T: serde::de::DeserializeOwned>(row: &Row, at: usize) -> Result<T, StoreError> {
    let text: &str = row.get(at);
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what: "what waits", source })
}
