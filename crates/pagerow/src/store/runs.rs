//! The history: runs, and the journal of their steps.

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    guard::Refusal,
    journal::Status,
    plan::Step,
    record::{PageId, RowKey},
};
use serde_json::Value as Json;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// A step as it enters the journal.
#[derive(Clone, Debug)]
pub struct JournalEntry<'a> {
    /// Its number in the run.
    pub seq: i32,
    pub mapping: &'a str,
    /// Column names by field number.
    pub columns: &'a [String],
    pub step: &'a Step,
    /// The row's key, where it came to be only with the step.
    pub key: Option<&'a RowKey>,
    pub status: Status,
    pub reason: Option<Reason>,
    /// By column, what the record showed where that is not what was sent.
    pub shown: Option<String>,
}

/// What became of a step that was intended.
#[derive(Clone, Debug)]
pub struct StepUpdate {
    pub seq: i32,
    pub status: Status,
    pub page: Option<PageId>,
    pub reason: Option<Reason>,
    /// As in [`JournalEntry`].
    pub shown: Option<String>,
}

/// A step that may have happened without our knowing.
#[derive(Clone, Debug)]
pub struct OpenStep {
    pub run: i64,
    pub seq: i32,
    pub step: Step,
    pub status: Status,
    /// Seconds since it may last have gone out, by the database's clock: since track of it was lost.
    pub age: f64,
}

/// The history of one connection, as far as the engine writes and reads it.
pub trait Runs: Transactions {
    /// Opens a run; answers its number.
    ///
    /// # Errors
    /// What the database says.
    fn open_run(
        &self,
        tx: &mut Self::Tx,
        origin: &str,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Notes that a run carries out one more plan, and what was overridden for it.
    ///
    /// # Errors
    /// What the database says.
    fn add_plan(
        &self,
        tx: &mut Self::Tx,
        run: i64,
        hash: Digest,
        overridden: &[Refusal],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Closes a run with its state and report.
    ///
    /// # Errors
    /// What the database says.
    fn close_run(
        &self,
        run: i64,
        state: &str,
        calls: i64,
        error: Option<&str>,
        report: &Json,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Says of steps that were intended and never concluded that nobody knows what became of them, which was so from
    /// `since` on, or from now. Only those of one mapping, when one is given.
    ///
    /// # Errors
    /// What the database says.
    fn lose_track(
        &self,
        tx: &mut Self::Tx,
        mapping: Option<&str>,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes steps into the journal.
    ///
    /// # Errors
    /// What the database says.
    fn journal(
        &self,
        tx: &mut Self::Tx,
        run: i64,
        entries: &[JournalEntry<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes what became of steps.
    ///
    /// # Errors
    /// What the database says.
    fn conclude(
        &self,
        tx: &mut Self::Tx,
        run: i64,
        updates: &[StepUpdate],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The steps of a mapping that may have happened without our knowing.
    ///
    /// # Errors
    /// What the database says.
    fn open_steps(&self, mapping: &str) -> impl Future<Output = Result<Vec<OpenStep>, StoreError>> + Send;
}

impl Runs for PgStore {
    async fn open_run(&self, tx: &mut Tx, origin: &str) -> Result<i64, StoreError> {
        let rows = tx
            .query(
                &format!(
                    "insert into {}.runs (connection_id, state, origin) values ($1, 'running', $2) returning id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&origin, Type::TEXT)],
            )
            .await?;
        rows.first().map(|row| row.get(0)).ok_or(StoreError::Lost("a new run"))
    }

    async fn add_plan(
        &self,
        tx: &mut Tx,
        run: i64,
        hash: Digest,
        overridden: &[Refusal],
    ) -> Result<(), StoreError> {
        let overridden = serde_json::to_string(overridden)
            .map_err(|source| StoreError::Unreadable { what: "an override", source })?;
        tx.execute(
            &format!(
                "update {}.runs set plans = plans || to_jsonb($3::text), overridden = overridden || $4::text::jsonb \
                 where connection_id = $1 and id = $2",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&run, Type::INT8),
                (&hash.to_string(), Type::TEXT),
                (&overridden, Type::TEXT),
            ],
        )
        .await?;
        Ok(())
    }

    async fn close_run(
        &self,
        run: i64,
        state: &str,
        calls: i64,
        error: Option<&str>,
        report: &Json,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.execute(
            &format!(
                "update {}.runs set state = $3, finished_at = clock_timestamp(), calls = calls + $4, error = $5, \
                 report = $6::text::jsonb where connection_id = $1 and id = $2",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&run, Type::INT8),
                (&state, Type::TEXT),
                (&calls, Type::INT8),
                (&error, Type::TEXT),
                (&report.to_string(), Type::TEXT),
            ],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    async fn lose_track(
        &self,
        tx: &mut Tx,
        mapping: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "update {}.steps set status = 'unknown', finished_at = least(clock_timestamp(), $3) \
                 where connection_id = $1 and status = 'intended' and ($2::text is null or mapping = $2)",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&since, Type::TIMESTAMPTZ)],
        )
        .await?;
        Ok(())
    }

    async fn journal(&self, tx: &mut Tx, run: i64, entries: &[JournalEntry<'_>]) -> Result<(), StoreError> {
        let encode = |what, json: serde_json::Result<String>| {
            json.map_err(|source| StoreError::Unreadable { what, source })
        };
        let (mut seqs, mut mappings, mut statuses, mut sides, mut actions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut links, mut keys, mut pages) =
            (Vec::<Option<i64>>::new(), Vec::<Option<&str>>::new(), Vec::<Option<Uuid>>::new());
        let (mut steps, mut columns, mut reasons) = (Vec::new(), Vec::new(), Vec::<Option<String>>::new());
        let mut shown = Vec::<Option<&str>>::new();
        for entry in entries {
            seqs.push(entry.seq);
            mappings.push(entry.mapping);
            statuses.push(entry.status.name());
            sides.push(entry.step.side.name());
            actions.push(action_name(entry.step));
            links.push(entry.step.link);
            keys.push(entry.key.or(entry.step.key.as_ref()).map(RowKey::as_str));
            pages.push(entry.step.page.map(|page| page.0));
            steps.push(encode("a step", serde_json::to_string(entry.step))?);
            columns.push(encode("column names", serde_json::to_string(entry.columns))?);
            shown.push(entry.shown.as_deref());
            reasons.push(match &entry.reason {
                Some(reason) => Some(encode("a reason", serde_json::to_string(reason))?),
                None => None,
            });
        }
        tx.execute(
            &format!(
                "insert into {}.steps (connection_id, run_id, seq, mapping, status, side, action, link_id, row_key, \
                 page_id, step, columns, reason, shown, finished_at) \
                 select $1, $2, seq, mapping, status, side, action, link_id, row_key, page_id, step::json, \
                 columns::json, reason::json, shown::json, case when status in ('intended', 'unknown') then null else clock_timestamp() end \
                 from unnest($3::int4[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::text[], \
                 $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[]) \
                 as new (seq, mapping, status, side, action, link_id, row_key, page_id, step, columns, reason, shown)",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&run, Type::INT8),
                (&seqs, Type::INT4_ARRAY),
                (&mappings, Type::TEXT_ARRAY),
                (&statuses, Type::TEXT_ARRAY),
                (&sides, Type::TEXT_ARRAY),
                (&actions, Type::TEXT_ARRAY),
                (&links, Type::INT8_ARRAY),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
                (&steps, Type::TEXT_ARRAY),
                (&columns, Type::TEXT_ARRAY),
                (&reasons, Type::TEXT_ARRAY),
                (&shown, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }

    async fn conclude(&self, tx: &mut Tx, run: i64, updates: &[StepUpdate]) -> Result<(), StoreError> {
        let seqs: Vec<i32> = updates.iter().map(|update| update.seq).collect();
        let statuses: Vec<&str> = updates.iter().map(|update| update.status.name()).collect();
        let pages: Vec<Option<Uuid>> = updates.iter().map(|update| update.page.map(|page| page.0)).collect();
        let reasons: Vec<Option<String>> = updates
            .iter()
            .map(|update| update.reason.as_ref().and_then(|reason| serde_json::to_string(reason).ok()))
            .collect();
        let shown: Vec<Option<&str>> = updates.iter().map(|update| update.shown.as_deref()).collect();
        tx.execute(
            &format!(
                "update {}.steps as step set status = new.status, page_id = coalesce(new.page_id, step.page_id), \
                 reason = new.reason::json, shown = new.shown::json, \
                 finished_at = case when new.status = 'intended' then null else clock_timestamp() end \
                 from unnest($3::int4[], $4::text[], $5::uuid[], $6::text[], $7::text[]) \
                 as new (seq, status, page_id, reason, shown) \
                 where step.connection_id = $1 and step.run_id = $2 and step.seq = new.seq",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&run, Type::INT8),
                (&seqs, Type::INT4_ARRAY),
                (&statuses, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
                (&reasons, Type::TEXT_ARRAY),
                (&shown, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }

    async fn open_steps(&self, mapping: &str) -> Result<Vec<OpenStep>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select run_id, seq, step::text, status = 'intended', \
                     extract(epoch from clock_timestamp() - coalesce(finished_at, intended_at))::float8 \
                     from {}.steps where connection_id = $1 and mapping = $2 \
                     and status in ('intended', 'unknown') order by run_id, seq",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(OpenStep {
                    run: row.get(0),
                    seq: row.get(1),
                    step: decode(row, 2)?,
                    status: if row.get(3) { Status::Intended } else { Status::Unknown },
                    age: row.get(4),
                })
            })
            .collect()
    }
}

impl PgStore {
    /// Says of runs that an earlier holder of the lease left running that they were stopped.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn close_abandoned_runs(&self, tx: &mut Tx, holder: &str) -> Result<(), StoreError> {
        let error = format!("the program ended before the run did ({holder})");
        tx.execute(
            &format!(
                "update {}.runs set state = 'stopped', finished_at = clock_timestamp(), error = coalesce(error, $2) \
                 where connection_id = $1 and state = 'running'",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&error, Type::TEXT)],
        )
        .await?;
        Ok(())
    }
}

/// The word for what a step does to its side: rows are inserted and deleted, pages created and trashed.
#[must_use]
pub fn action_name(step: &Step) -> &'static str {
    use pagerow_core::{plan::Action, side::Side};
    match (step.action, step.side) {
        (Action::Create, Side::Postgres) => "insert",
        (Action::Create, Side::Notion) => "create",
        (Action::Update, _) => "update",
        (Action::Restore, _) => "restore",
        (Action::Trash, _) => "trash",
        (Action::Delete, _) => "delete",
    }
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(row: &Row, at: usize) -> Result<T, StoreError> {
    let text: &str = row.get(at);
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what: "a step", source })
}
