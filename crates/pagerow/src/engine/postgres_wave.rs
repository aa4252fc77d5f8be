//! Carrying out steps on rows: each batch commits its writes, bases and history together.

use std::{borrow::Cow, collections::BTreeSet};

use pagerow_core::{
    mapping::Mapping,
    plan::{Action, Step},
    side::Side,
};

use super::{
    Engine, EngineError, Parts,
    act::{Acting, Work},
    look::{RecordName, rows_error},
    missing::missing_relatives,
    outcome::{Ended, How, is_misfit, is_trouble, status, update},
    report::Run,
};
use crate::{
    replica::{Outcome, Relatives, Rows},
    store::{Cursors, JournalEntry, Runs, Transaction, Transactions},
};

/// Steps in one transaction: enough to be fast, few enough to hold no lock for long.
const BATCH: usize = 500;

impl<W: Parts> Engine<W> {
    /// Writes the steps of one part of the plan and one wave.
    pub(super) async fn write_rows(
        &self,
        run: &mut Run,
        acting: &mut Acting,
        work: Work<'_>,
        (part, wave): (usize, u32),
        relatives: &mut Relatives,
    ) -> Result<(), EngineError> {
        let (bound, view, part) =
            (&self.bound[work.which[part]], &work.views[part], &work.plan.mappings[part]);
        let mapping = bound.mapping.name.as_str();
        let steps: Vec<&Step> =
            part.steps.iter().filter(|step| step.wave == wave && step.side == Side::Postgres).collect();
        let troubled: BTreeSet<RecordName> = acting.troubled[mapping].clone();
        for batch in steps.chunks(BATCH) {
            if self.stop.is_asked() {
                return Err(EngineError::Stopped);
            }
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            let cut: Vec<(Cow<'_, Step>, Vec<usize>)> =
                batch.iter().map(|step| without_missing(&bound.mapping, step, relatives)).collect();
            let sent: Vec<&Step> = cut.iter().map(|(step, _)| &**step).collect();
            let outcomes = bound
                .rows
                .write(&mut tx, &sent, relatives)
                .await
                .map_err(|error| rows_error(mapping, error))?;
            let ended: Vec<Ended<'_>> = batch
                .iter()
                .zip(outcomes)
                .zip(&cut)
                .zip(run.next_seq..)
                .map(|(((step, outcome), (_, left_out)), seq)| Ended {
                    seq,
                    step,
                    how: match outcome {
                        Outcome::Done { id, sighting } => {
                            How::Done { key: Some(id), page: None, answer: sighting }
                        }
                        Outcome::Stale => How::Stale,
                        Outcome::Failed(failed) => How::Failed(failed),
                        Outcome::Unknown(failed) => How::Unknown(failed),
                    },
                    left_out: left_out.clone(),
                    was: pagerow_core::journal::Status::Planned,
                })
                .collect();
            // What was left out was not written, and the history does not say so.
            let entries: Vec<JournalEntry<'_>> = ended
                .iter()
                .zip(&cut)
                .map(|(end, (sent, _))| JournalEntry {
                    seq: end.seq,
                    mapping,
                    columns: &part.columns,
                    step: sent,
                    status: status(end),
                    reason: update(end).reason,
                })
                .collect();
            self.store.journal(&mut tx, acting.run, &entries).await?;
            let all: Vec<&Ended<'_>> = ended.iter().collect();
            let fresh = self.settle(&mut tx, bound, view, &troubled, &all).await?;
            if !fresh.is_empty() {
                self.wake_referrers(&mut tx, mapping).await?;
            }
            tx.commit().await?;

            run.next_seq += i32::try_from(batch.len()).unwrap_or(i32::MAX);
            for (key, page) in fresh {
                if acting.related.contains(mapping) {
                    relatives.add(mapping, key.clone(), page);
                }
                acting.born.insert(page, key);
            }
            for end in &ended {
                let ok = matches!(end.how, How::Done { .. });
                if ok {
                    run.count(mapping, end.step);
                }
                run.failed += u64::from(is_trouble(&end.how));
                run.misfits += u64::from(is_misfit(&end.how));
                acting.tell_step(&self.progress, mapping, &part.columns, end.step, ok);
            }
        }
        Ok(())
    }
}

/// A step without what refers to pages that have no row yet, and these fields: they follow in the next plan. A new
/// row whose column needs a value waits with it, and so does a step that has nothing else to write.
fn without_missing<'s>(
    mapping: &Mapping,
    step: &'s Step,
    relatives: &Relatives,
) -> (Cow<'s, Step>, Vec<usize>) {
    let mut missing = match step.action {
        Action::Create | Action::Update => missing_relatives(mapping, step, relatives),
        Action::Restore | Action::Trash | Action::Delete => Vec::new(),
    };
    if step.action == Action::Create {
        missing.retain(|field| mapping.fields.get(*field).is_some_and(|field| !field.required));
    } else if missing.len() == step.fields.len() {
        missing.clear();
    }
    if missing.is_empty() {
        return (Cow::Borrowed(step), missing);
    }
    let mut cut = step.clone();
    cut.fields.retain(|write| !missing.contains(&write.field));
    (Cow::Owned(cut), missing)
}
