//! Carrying out steps on rows: each batch commits its writes, bases and history together.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use pagerow_core::{
    fidelity::Reason,
    mapping::Mapping,
    plan::{Action, Step},
    record::RowKey,
    retry::Failure,
    side::Side,
    value::Value,
};

use super::{
    Bound, Engine, EngineError, Parts, Tx,
    act::{Acting, Work},
    look::{RecordName, rows_error},
    missing::missing_relatives,
    outcome::{Ended, How, is_misfit, is_trouble, update},
    report::Run,
};
use crate::{
    replica::{Failed, Outcome, Relatives, Rows},
    store::{JournalEntry, Runs, Transaction, Transactions},
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
            let named: Vec<Cow<'_, Step>> =
                batch.iter().map(|step| with_rows_named(&bound.mapping, step, relatives)).collect();
            let batch: Vec<&Step> = named.iter().map(|step| &**step).collect();
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            let cut: Vec<(Cow<'_, Step>, Vec<usize>)> =
                batch.iter().map(|step| without_missing(&bound.mapping, step, relatives)).collect();
            let whole = self.whole(bound, &mut tx, &batch).await?;
            // A row that could not be kept is not deleted.
            let may_go = |step: &Step| step.action != Action::Delete || kept(&whole, step).is_some();
            let sent: Vec<&Step> = cut.iter().map(|(step, _)| &**step).filter(|step| may_go(step)).collect();
            let mut outcomes = bound
                .rows
                .write(&mut tx, &sent, relatives)
                .await
                .map_err(|error| rows_error(mapping, error))?
                .into_iter();
            let outcomes = batch.iter().map(|step| {
                match step.key.as_ref().and_then(|key| whole.get(key)) {
                    // Planned again at once it would be held still.
                    Some(None) => Outcome::Failed(held()),
                    None if !may_go(step) => Outcome::Stale,
                    // One for each step that was sent, in order.
                    Some(Some(_)) | None => outcomes.next().unwrap_or(Outcome::Stale),
                }
            });
            let ended: Vec<Ended<'_>> = batch
                .iter()
                .zip(outcomes)
                .zip(&cut)
                .zip(run.next_seq..)
                .map(|(((step, outcome), (_, left_out)), seq)| Ended {
                    kept: None,
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
            let journalled: Vec<Cow<'_, Step>> = cut
                .iter()
                .map(|(sent, _)| match kept(&whole, sent) {
                    Some(row) => Cow::Owned(Step { whole: Some(row.clone()), ..(**sent).clone() }),
                    None => Cow::Borrowed(&**sent),
                })
                .collect();
            let entries: Vec<JournalEntry<'_>> = ended
                .iter()
                .zip(&journalled)
                .map(|(end, step)| (end, step, update(&bound.mapping, end)))
                .map(|(end, step, update)| JournalEntry {
                    seq: end.seq,
                    mapping,
                    columns: &part.columns,
                    step,
                    key: match &end.how {
                        How::Done { key, .. } => key.as_ref(),
                        How::Stale | How::Moot | How::Failed(_) | How::Unknown(_) => None,
                    },
                    status: update.status,
                    reason: update.reason,
                    shown: update.shown,
                })
                .collect();
            self.store.journal(&mut tx, acting.run, &entries).await?;
            self.audit(&mut tx, acting, mapping, &part.columns, ended.iter()).await?;
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
                if !ok {
                    run.stick(mapping, end.step, is_trouble(&end.how));
                }
                if !end.left_out.is_empty() {
                    run.leave_out(mapping, end.step);
                }
                run.failed += u64::from(is_trouble(&end.how));
                run.misfits += u64::from(is_misfit(&end.how));
                acting.tell_step(&self.progress, mapping, &part.columns, end.step, ok);
            }
        }
        Ok(())
    }

    /// The whole rows that are about to be deleted, locked until they are; nothing of those that somebody else holds.
    async fn whole(
        &self,
        bound: &Bound<W>,
        tx: &mut Tx<W>,
        batch: &[&Step],
    ) -> Result<BTreeMap<RowKey, Option<String>>, EngineError> {
        let deleted = batch.iter().filter(|step| step.action == Action::Delete);
        let keys: Vec<RowKey> = deleted.filter_map(|step| step.key.clone()).collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let whole =
            bound.rows.whole(tx, &keys).await.map_err(|error| rows_error(&bound.mapping.name, error))?;
        Ok(whole.into_iter().collect())
    }
}

/// The whole row that a step deletes, as it was kept for the history.
fn kept<'w>(whole: &'w BTreeMap<RowKey, Option<String>>, step: &Step) -> Option<&'w String> {
    (step.action == Action::Delete).then(|| step.key.as_ref().and_then(|key| whole.get(key)?.as_ref()))?
}

/// What Postgres says of a row that somebody else works on.
fn held() -> Failed {
    let reason = Reason::new("55P03", "another transaction holds the row");
    Failed { failure: Failure::Passing, reason, not_before: None }
}

/// A step in which pages that have their rows by now are called by them, as the next look will: what is settled would
/// otherwise pass for something else.
fn with_rows_named<'s>(mapping: &Mapping, step: &'s Step, relatives: &Relatives) -> Cow<'s, Step> {
    let mut named = Cow::Borrowed(step);
    for (at, write) in step.fields.iter().enumerate() {
        let Some(related) = mapping.fields.get(write.field).and_then(|field| field.related()) else {
            continue;
        };
        let mut sent = write.clone();
        relatives.name_row(related, &mut sent.after);
        if let Some(source) = &mut sent.source {
            relatives.name_row(related, source);
        }
        if sent != *write {
            named.to_mut().fields[at] = sent;
        }
    }
    named
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
    if cut.whole.is_some() {
        // The row as it was kept refers to them.
        for write in cut.fields.iter_mut().filter(|write| missing.contains(&write.field)) {
            (write.after, write.source) = (Value::Null, None);
        }
    } else {
        cut.fields.retain(|write| !missing.contains(&write.field));
    }
    (Cow::Owned(cut), missing)
}
