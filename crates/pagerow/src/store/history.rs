//! The history as it is read: by people, run by run and record by record, and by the undo; and how it is kept short.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagerow_core::{
    fidelity::Reason,
    guard::Refusal,
    plan::Step,
    record::{PageId, RowKey},
    value::Value,
};
use serde_json::Value as Json;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions, runs::decode};
use crate::postgres::transaction::Tx;

/// Most runs and most steps that one pruning takes away.
const RUNS: i64 = 50;
const STEPS: i64 = 5_000;

/// One run, as the history shows it.
#[derive(Clone, Debug)]
pub struct RunRow {
    pub id: i64,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub state: String,
    pub origin: String,
    /// The person or the machine; of runs of an older pagerow nobody knows it.
    pub who: Option<String>,
    pub steps: i64,
    pub failed: i64,
    pub calls: i64,
    /// The run that took this one back.
    pub undone_by: Option<i64>,
    pub error: Option<String>,
    pub report: Option<Json>,
    /// What the guard would have stopped, had nobody let it pass.
    pub overridden: Vec<Refusal>,
}

/// One step, as the history shows it.
#[derive(Clone, Debug)]
pub struct StepRow {
    pub run: i64,
    pub seq: i32,
    pub mapping: String,
    pub status: String,
    pub step: Step,
    pub columns: Vec<String>,
    pub key: Option<RowKey>,
    pub page: Option<PageId>,
    pub intended_at: Timestamp,
    /// When it ended; of an unknown one, when track of it was lost.
    pub finished_at: Option<Timestamp>,
    pub reason: Option<Reason>,
    /// Of its run.
    pub origin: String,
    pub who: Option<String>,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub limit: i64,
    /// Only runs with smaller numbers.
    pub before: Option<i64>,
    /// Only runs that wrote to this mapping.
    pub mapping: Option<String>,
    pub state: Option<String>,
    /// Only runs whose origin begins like this.
    pub origin: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A run that is to be taken back.
#[derive(Clone, Debug)]
pub struct PastRun {
    pub id: i64,
    pub state: String,
    pub undone_by: Option<i64>,
    /// By mapping and column, what the field was: [`pagerow_core::mapping::Field::shape`].
    pub shapes: BTreeMap<String, BTreeMap<String, String>>,
}

/// A step that was done, as an undo needs it.
#[derive(Clone, Debug)]
pub struct DoneStep {
    pub seq: i32,
    pub mapping: String,
    /// Column names by field number, as they were then.
    pub columns: Vec<String>,
    /// With the row's key and the page as they came to be.
    pub step: Step,
    /// By column, what the record showed where that is not what was sent.
    pub shown: BTreeMap<String, Value>,
}

/// A step that was done to a record to which something was done since a moment.
#[derive(Clone, Debug)]
pub struct PastStep {
    pub done: DoneStep,
    /// After the moment, not before it.
    pub since: bool,
    /// By column, what the field was: [`pagerow_core::mapping::Field::shape`].
    pub shapes: BTreeMap<String, String>,
}

/// The history, as far as the engine needs it beside [`super::Runs`].
pub trait History: Transactions {
    /// Says who a run is by, and what the fields are that it writes.
    ///
    /// # Errors
    /// What the database says.
    fn describe_run(
        &self,
        tx: &mut Self::Tx,
        run: i64,
        who: &str,
        shapes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A run, to take it back.
    ///
    /// # Errors
    /// What the database says.
    fn past_run(&self, id: i64) -> impl Future<Output = Result<Option<PastRun>, StoreError>> + Send;

    /// What a run did, in order.
    ///
    /// # Errors
    /// What the database says.
    fn done_steps(&self, run: i64) -> impl Future<Output = Result<Vec<DoneStep>, StoreError>> + Send;

    /// All that was ever done to the records of a mapping to which something was done since a moment, in order; to one
    /// row's record only where its key is given.
    ///
    /// # Errors
    /// What the database says.
    fn steps_around(
        &self,
        mapping: &str,
        at: Timestamp,
        key: Option<&RowKey>,
    ) -> impl Future<Output = Result<Vec<PastStep>, StoreError>> + Send;

    /// When the first step was taken that the history still has of a mapping.
    ///
    /// # Errors
    /// What the database says.
    fn history_begins(
        &self,
        mapping: &str,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Says that a run was taken back by another one.
    ///
    /// # Errors
    /// What the database says.
    fn mark_undone(
        &self,
        tx: &mut Self::Tx,
        run: i64,
        by: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes away steps of runs that ended before this time, some thousands at most, and the runs of which nothing is
    /// left; answers how many steps and runs. Runs of which something is open stay, and those that a younger run undid.
    ///
    /// # Errors
    /// What the database says.
    fn prune_runs(
        &self,
        tx: &mut Self::Tx,
        before: Timestamp,
    ) -> impl Future<Output = Result<(i64, i64), StoreError>> + Send;
}

impl History for PgStore {
    async fn describe_run(
        &self,
        tx: &mut Tx,
        run: i64,
        who: &str,
        shapes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<(), StoreError> {
        let shapes = serde_json::to_string(shapes)
            .map_err(|source| StoreError::Unreadable { what: "the shapes of fields", source })?;
        tx.execute(
            &format!(
                "update {}.runs set who = $3, shapes = shapes || $4::text::jsonb \
                 where connection_id = $1 and id = $2",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&run, Type::INT8), (&who, Type::TEXT), (&shapes, Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn past_run(&self, id: i64) -> Result<Option<PastRun>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select state, undone_by, shapes::text from {}.runs where connection_id = $1 and id = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&id, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        let run = |row: &Row| {
            let shapes = serde_json::from_str(row.get(2))
                .map_err(|source| StoreError::Unreadable { what: "the shapes of fields", source })?;
            Ok(PastRun { id, state: row.get(0), undone_by: row.get(1), shapes })
        };
        rows.first().map(run).transpose()
    }

    async fn done_steps(&self, run: i64) -> Result<Vec<DoneStep>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select seq, mapping, columns::text, step::text, coalesce(shown::text, '{{}}'), row_key, page_id \
                     from {}.steps where connection_id = $1 and run_id = $2 and status = 'done' order by seq",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&run, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(done_step).collect()
    }

    async fn steps_around(
        &self,
        mapping: &str,
        at: Timestamp,
        key: Option<&RowKey>,
    ) -> Result<Vec<PastStep>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select seq, mapping, columns::text, step::text, coalesce(shown::text, '{{}}'), row_key, page_id, \
                     finished_at > $3, coalesce((select shapes -> $2 from {0}.runs where id = run_id), '{{}}')::text \
                     from {0}.steps where connection_id = $1 and mapping = $2 and status = 'done' and page_id in ( \
                         select page_id from {0}.steps where connection_id = $1 and mapping = $2 and status = 'done' \
                         and finished_at > $3 and ($4::text is null or row_key = $4)) \
                     order by run_id, seq",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&at, Type::TIMESTAMPTZ),
                    (&key.map(RowKey::as_str), Type::TEXT),
                ],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| Ok(PastStep { done: done_step(row)?, since: row.get(7), shapes: decode(row, 8)? }))
            .collect()
    }

    async fn history_begins(&self, mapping: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select min(intended_at) from {}.steps where connection_id = $1 and mapping = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    async fn mark_undone(&self, tx: &mut Tx, run: i64, by: i64) -> Result<(), StoreError> {
        tx.execute(
            &format!("update {}.runs set undone_by = $3 where connection_id = $1 and id = $2", self.schema),
            &[(&self.connection, Type::INT8), (&run, Type::INT8), (&by, Type::INT8)],
        )
        .await?;
        Ok(())
    }

    async fn prune_runs(&self, tx: &mut Tx, before: Timestamp) -> Result<(i64, i64), StoreError> {
        let rows = tx
            .query(
                &format!(
                    "select run.id from {0}.runs as run \
                     where run.connection_id = $1 and run.finished_at < $2 and run.state <> 'running' \
                     and not exists (select from {0}.steps as step where step.connection_id = $1 \
                         and step.run_id = run.id and step.status in ('intended', 'unknown')) \
                     and not exists (select from {0}.runs as younger where younger.connection_id = $1 \
                         and younger.id = run.undone_by \
                         and (younger.finished_at is null or younger.finished_at >= $2)) \
                     order by run.id limit {RUNS}",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&before, Type::TIMESTAMPTZ)],
            )
            .await?;
        let runs: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if runs.is_empty() {
            return Ok((0, 0));
        }
        let params = [(&self.connection as _, Type::INT8), (&runs as _, Type::INT8_ARRAY)];
        let steps = tx
            .execute(
                &format!(
                    "delete from {0}.steps where ctid = any(array( \
                         select ctid from {0}.steps where connection_id = $1 and run_id = any($2) limit {STEPS}))",
                    self.schema
                ),
                &params,
            )
            .await?;
        let gone = tx
            .execute(
                &format!(
                    "delete from {0}.runs as run where connection_id = $1 and id = any($2) and not exists ( \
                         select from {0}.steps as step where step.connection_id = $1 and step.run_id = run.id)",
                    self.schema
                ),
                &params,
            )
            .await?;
        Ok((steps.cast_signed(), gone.cast_signed()))
    }
}

impl PgStore {
    /// Runs, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select run.id, run.started_at, run.finished_at, run.state, run.origin, run.calls, run.error, \
                     run.report::text, count.steps, count.failed, run.who, run.undone_by, run.overridden::text from ( \
                         select * from {0}.runs as run where connection_id = $1 \
                         and id < coalesce($2, 9223372036854775807) \
                         and ($3::text is null or exists (select from {0}.steps as step \
                             where step.connection_id = $1 and step.run_id = run.id and step.mapping = $3)) \
                         and ($4::text is null or state = $4) \
                         and ($5::text is null or starts_with(origin, $5)) \
                         and ($6::timestamptz is null or started_at >= $6) \
                         and ($7::timestamptz is null or started_at < $7) \
                         order by id desc limit $8) as run, \
                     lateral (select count(*) as steps, \
                         count(*) filter (where status in ('failed', 'unknown')) as failed from {0}.steps as step \
                         where step.connection_id = $1 and step.run_id = run.id) as count \
                     order by run.id desc",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&filter.before, Type::INT8),
                    (&filter.mapping, Type::TEXT),
                    (&filter.state, Type::TEXT),
                    (&filter.origin, Type::TEXT),
                    (&filter.since, Type::TIMESTAMPTZ),
                    (&filter.until, Type::TIMESTAMPTZ),
                    (&filter.limit, Type::INT8),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(rows
            .iter()
            .map(|row| RunRow {
                id: row.get(0),
                started_at: row.get(1),
                finished_at: row.get(2),
                state: row.get(3),
                origin: row.get(4),
                calls: row.get(5),
                error: row.get(6),
                report: row.get::<_, Option<&str>>(7).and_then(|text| serde_json::from_str(text).ok()),
                steps: row.get(8),
                failed: row.get(9),
                who: row.get(10),
                undone_by: row.get(11),
                overridden: serde_json::from_str(row.get(12)).unwrap_or_default(),
            })
            .collect())
    }

    /// One run.
    ///
    /// # Errors
    /// What the database says.
    pub async fn run(&self, id: i64) -> Result<Option<RunRow>, StoreError> {
        let Some(next) = id.checked_add(1) else { return Ok(None) };
        let filter = RunFilter { limit: 1, before: Some(next), ..RunFilter::default() };
        Ok(self.runs(&filter).await?.pop().filter(|run| run.id == id))
    }

    /// The steps of one run in order, at most `limit`, after number `after`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn steps(&self, run: i64, after: i32, limit: i64) -> Result<Vec<StepRow>, StoreError> {
        let which = "step.run_id = $2 and step.seq > $3 order by step.seq limit $4";
        self.read_steps(which, &[(&run, Type::INT8), (&after, Type::INT4), (&limit, Type::INT8)]).await
    }

    /// The steps of one record through all runs, the newest first: by the row's key or the page's id, and under every
    /// name by which the record went. At most `limit`, of runs before `before` when that is given.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_steps(
        &self,
        mapping: &str,
        key: &str,
        limit: i64,
        before: Option<i64>,
    ) -> Result<Vec<StepRow>, StoreError> {
        let page = PageId::parse(key).map(|page| page.0);
        let which = format!(
            "step.mapping = $2 and step.run_id < coalesce($6, 9223372036854775807) and ( \
                 step.row_key = $3 or step.page_id = $4 \
                 or step.page_id in (select page_id from {0}.steps where connection_id = $1 and mapping = $2 \
                     and row_key = $3 and page_id is not null union select page_id from {0}.links \
                     where connection_id = $1 and mapping = $2 and row_key = $3) \
                 or step.row_key in (select row_key from {0}.steps where connection_id = $1 and mapping = $2 \
                     and page_id = $4 and row_key is not null)) \
             order by step.run_id desc, step.seq desc limit $5",
            self.schema
        );
        self.read_steps(
            &which,
            &[
                (&mapping, Type::TEXT),
                (&key, Type::TEXT),
                (&page, Type::UUID),
                (&limit, Type::INT8),
                (&before, Type::INT8),
            ],
        )
        .await
    }

    async fn read_steps(
        &self,
        which: &str,
        params: &[crate::postgres::transaction::Param<'_>],
    ) -> Result<Vec<StepRow>, StoreError> {
        let mut tx = self.begin().await?;
        let mut all = vec![(&self.connection as _, Type::INT8)];
        all.extend_from_slice(params);
        let rows = tx
            .query(
                &format!(
                    "select step.seq, step.mapping, step.status, step.step::text, step.columns::text, step.page_id, \
                     step.intended_at, step.finished_at, step.reason::text, step.row_key, step.run_id, run.origin, run.who \
                     from {0}.steps as step join {0}.runs as run on run.id = step.run_id \
                     where step.connection_id = $1 and {which}",
                    self.schema
                ),
                &all,
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                Ok(StepRow {
                    seq: row.get(0),
                    mapping: row.get(1),
                    status: row.get(2),
                    step: decode(row, 3)?,
                    columns: decode(row, 4)?,
                    page: row.get::<_, Option<Uuid>>(5).map(PageId),
                    intended_at: row.get(6),
                    finished_at: row.get(7),
                    reason: match row.get::<_, Option<&str>>(8) {
                        Some(_) => Some(decode(row, 8)?),
                        None => None,
                    },
                    key: row.get::<_, Option<&str>>(9).map(RowKey::from),
                    run: row.get(10),
                    origin: row.get(11),
                    who: row.get(12),
                })
            })
            .collect()
    }
}

/// From `seq, mapping, columns, step, shown, row_key, page_id`.
fn done_step(row: &Row) -> Result<DoneStep, StoreError> {
    let mut step: Step = decode(row, 3)?;
    step.key = row.get::<_, Option<&str>>(5).map(RowKey::from).or(step.key);
    step.page = row.get::<_, Option<Uuid>>(6).map(PageId).or(step.page);
    Ok(DoneStep {
        seq: row.get(0),
        mapping: row.get(1),
        columns: decode(row, 2)?,
        step,
        shown: decode(row, 4)?,
    })
}
