//! What is written down for good: each step that was done, and each decision.

use pagerow_core::{
    audit::{self, Entry},
    plan::Step,
    record::{PageId, RowKey},
};

use super::{
    Engine, EngineError, Parts, Tx,
    act::Acting,
    outcome::{Ended, How},
};
use crate::store::{Audit, action_name};

impl<W: Parts> Engine<W> {
    /// Adds what was done of a batch to the audit.
    pub(super) async fn audit<'e>(
        &self,
        tx: &mut Tx<W>,
        acting: &Acting,
        mapping: &str,
        columns: &[String],
        ended: impl Iterator<Item = &'e Ended<'e>>,
    ) -> Result<(), EngineError> {
        let entries: Vec<Entry> = ended
            .filter_map(|end| {
                let How::Done { key, page, .. } = &end.how else { return None };
                let step = end.step;
                let entry = self.decision(&acting.origin, acting.run, action_name(step), None);
                let names = (key.clone().or_else(|| step.key.clone()), page.or(step.page));
                Some(of_step(entry, mapping, columns, step, names))
            })
            .collect();
        Ok(self.store.audit(tx, &entries).await?)
    }

    /// An entry about no record in particular.
    pub(super) fn decision(
        &self,
        origin: &str,
        run: i64,
        action: &str,
        about: impl Into<Option<String>>,
    ) -> Entry {
        Entry {
            at: self.clock.now(),
            who: self.who.clone(),
            origin: origin.to_owned(),
            run: Some(run),
            mapping: None,
            key: None,
            page: None,
            side: None,
            action: action.to_owned(),
            before: None,
            after: None,
            about: about.into(),
        }
    }
}

/// An entry about a step.
pub(super) fn of_step(
    entry: Entry,
    mapping: &str,
    columns: &[String],
    step: &Step,
    (key, page): (Option<RowKey>, Option<PageId>),
) -> Entry {
    let (before, after) = audit::digests(step, columns);
    Entry { mapping: Some(mapping.to_owned()), key, page, side: Some(step.side), before, after, ..entry }
}
