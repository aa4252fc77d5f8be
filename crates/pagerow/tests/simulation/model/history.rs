//! The history and the audit, modelled: what an undo reads, and the entries in their order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use pagerow::store::{Audit, DoneStep, History, PastRun, PastStep, StoreError};
use pagerow_core::{audit::Entry, journal::Status, plan::Step, record::RowKey};

use super::{Server, Tx, memory::StepRow};

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
            done.map(|((_, seq), row)| done_step(*seq, row)).collect()
        })
        .await
    }

    async fn steps_around(
        &self,
        mapping: &str,
        at: Timestamp,
        key: Option<&RowKey>,
    ) -> Result<Vec<PastStep>, StoreError> {
        self.read(|db| {
            let is_done = |row: &StepRow| row.mapping == mapping && row.status == Status::Done;
            let done: Vec<_> = db.memory.steps.iter().filter(|(_, row)| is_done(row)).collect();
            let is_since = |row: &StepRow| row.finished_at.is_some_and(|finished| finished > at);
            let is_asked = |row: &StepRow| key.is_none() || row.key.as_ref() == key;
            let touched = done.iter().filter(|(_, row)| is_since(row) && is_asked(row));
            let touched: BTreeSet<_> = touched.filter_map(|(_, row)| row.page).collect();
            let around = done.iter().filter(|(_, row)| row.page.is_some_and(|page| touched.contains(&page)));
            around
                .map(|((run, seq), row)| PastStep {
                    done: done_step(*seq, row),
                    since: is_since(row),
                    shapes: db
                        .memory
                        .runs
                        .get(run)
                        .and_then(|run| run.shapes.get(mapping))
                        .cloned()
                        .unwrap_or_default(),
                })
                .collect()
        })
        .await
    }

    async fn history_begins(&self, mapping: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            let of_mapping = db.memory.steps.values().filter(|row| row.mapping == mapping);
            of_mapping.map(|row| row.intended_at).min()
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

fn done_step(seq: i32, row: &StepRow) -> DoneStep {
    DoneStep {
        seq,
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
    }
}
