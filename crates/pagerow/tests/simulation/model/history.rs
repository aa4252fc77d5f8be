//! pagerow's own tables, modelled: the history as the undo reads it, its pruning, and the audit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagerow::store::{Audit, DoneStep, History, PastRun, StoreError};
use pagerow_core::{audit::Entry, journal::Status, plan::Step};

use super::{Server, Tx};

impl Audit for Server {
    async fn audit(&self, tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        tx.run(move |db| db.memory.audit.extend(entries.iter().cloned())).await
    }

    async fn cut_audit(&self, tx: &mut Tx, before: Timestamp, by: &Entry) -> Result<i64, StoreError> {
        let by = by.clone();
        tx.run(move |db| {
            let old = db.memory.audit.iter().take_while(|entry| entry.at < before).count();
            db.memory.audit.drain(..old);
            if old > 0 {
                db.memory.audit.push(by.clone());
            }
            i64::try_from(old).unwrap_or(i64::MAX)
        })
        .await
    }
}

impl History for Server {
    async fn describe_run(
        &self,
        tx: &mut Tx,
        run: i64,
        _who: &str,
        shapes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<(), StoreError> {
        let shapes = shapes.clone();
        tx.run(move |db| {
            if let Some(run) = db.memory.runs.get_mut(&run) {
                run.shapes.extend(shapes.clone());
            }
        })
        .await
    }

    async fn past_run(&self, id: i64) -> Result<Option<PastRun>, StoreError> {
        self.read(|db| {
            db.memory.runs.get(&id).map(|run| PastRun {
                id,
                state: run.state.clone(),
                undone_by: run.undone_by,
                shapes: run.shapes.clone(),
            })
        })
        .await
    }

    async fn done_steps(&self, run: i64) -> Result<Vec<DoneStep>, StoreError> {
        self.read(|db| {
            let steps = db.memory.steps.range((run, 0)..(run + 1, 0));
            steps
                .filter(|(_, row)| row.status == Status::Done)
                .map(|((_, seq), row)| DoneStep {
                    seq: *seq,
                    mapping: row.mapping.clone(),
                    columns: row.columns.clone(),
                    step: Step {
                        key: row.key.clone().or_else(|| row.step.key.clone()),
                        page: row.page.or(row.step.page),
                        ..row.step.clone()
                    },
                    shown: row
                        .shown
                        .as_deref()
                        .and_then(|text| serde_json::from_str(text).ok())
                        .unwrap_or_default(),
                })
                .collect()
        })
        .await
    }

    async fn mark_undone(&self, tx: &mut Tx, run: i64, by: i64) -> Result<(), StoreError> {
        tx.run(move |db| {
            if let Some(run) = db.memory.runs.get_mut(&run) {
                run.undone_by = Some(by);
            }
        })
        .await
    }

    async fn prune_runs(&self, _tx: &mut Tx, _before: Timestamp) -> Result<(i64, i64), StoreError> {
        // A world lasts a few hours: nothing is old enough.
        Ok((0, 0))
    }
}
