//! The history and the audit, modelled: what an undo reads, and the entries in their order.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use pagerow::store::{Audit, DoneStep, History, PastRun, StoreError};
use pagerow_core::{audit::Entry, journal::Status, plan::Step};

use super::{Server, Tx};

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
            let run = db.memory.runs.get(&id)?;
            let (state, shapes) = (run.state.clone(), run.shapes.clone());
            Some(PastRun { id, state, undone_by: run.undone_by, shapes })
        })
        .await
    }

    async fn done_steps(&self, run: i64) -> Result<Vec<DoneStep>, StoreError> {
        self.read(|db| {
            let of_run = db.memory.steps.range((run, i32::MIN)..=(run, i32::MAX));
            let done = of_run.filter(|(_, step)| step.status == Status::Done);
            done.map(|((_, seq), row)| DoneStep {
                seq: *seq,
                mapping: row.mapping.clone(),
                columns: row.columns.clone(),
                step: Step {
                    key: row.key.clone().or_else(|| row.step.key.clone()),
                    page: row.page.or(row.step.page),
                    ..row.step.clone()
                },
                shown: row.shown.as_deref().map_or_else(BTreeMap::new, |shown| {
                    serde_json::from_str(shown).expect("it was written down as it is read")
                }),
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
        Ok((0, 0))
    }
}

impl Audit for Server {
    async fn audit(&self, tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
        let entries: Vec<Arc<Entry>> = entries.iter().cloned().map(Arc::new).collect();
        tx.run(move |db| db.memory.audit.extend(entries.iter().cloned())).await
    }

    async fn cut_audit(&self, _tx: &mut Tx, _before: Timestamp, _by: &Entry) -> Result<i64, StoreError> {
        Ok(0)
    }
}
