//! What became of a batch of steps, written down in one transaction: bases, journal, and what waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    journal::{self, Event as Happening, Status},
    mapping::Mapping,
    mutant::{self, Mutant},
    observation::Sighting,
    plan::{Action, Because, Parked, Step},
    record::{PageId, Record, RowKey},
    retry::{Advice, Failure, advise},
    settle::{self, LinkAfter},
    side::{Side, Sides},
    undo,
    value::Value,
};

use super::{
    Bound, Engine, EngineError, Parts, Tx,
    look::{RecordName, View, step_content},
};
use crate::{
    replica::{Failed, RowNote, Rows},
    store::{Attention, Identities, LinkWrite, Links, OwnWrite, StepUpdate, Trouble},
};

/// How one step ended.
pub(super) struct Ended<'p> {
    pub(super) seq: i32,
    pub(super) step: &'p Step,
    pub(super) how: How,
    /// Fields that wait for what they refer to.
    pub(super) left_out: Vec<usize>,
    /// Where the step stood in the journal before.
    pub(super) was: Status,
    /// Of the whole row that the page was given to keep.
    pub(super) kept: Option<Digest>,
}

/// The ways in which a step ends.
pub(super) enum How {
    Done {
        key: Option<RowKey>,
        page: Option<PageId>,
        answer: Box<Sighting>,
    },
    Stale,
    /// Not sent, since the step that it builds on did not happen; what follows, that step says.
    Moot,
    Failed(Failed),
    Unknown(Failed),
}

/// A step's place in the journal after it ended.
pub(super) fn status(ended: &Ended<'_>) -> Status {
    let happening = match &ended.how {
        How::Done { .. } => Happening::Succeed,
        How::Stale | How::Moot => Happening::FindStale,
        How::Failed(_) => Happening::Fail,
        How::Unknown(_) => Happening::LoseTrack,
    };
    // The callers only hold steps that were planned or intended, which every one of these may follow.
    journal::next(ended.was, happening).unwrap_or(Status::Unknown)
}

/// What was newly linked.
pub(super) type NewLinks = Vec<(RowKey, PageId)>;

impl<W: Parts> Engine<W> {
    /// Settles what was done and keeps what was not, for one mapping. The journal is the caller's.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        view: &View,
        troubled: &BTreeSet<RecordName>,
        ended: &[&Ended<'_>],
    ) -> Result<NewLinks, EngineError> {
        let (mut gone, mut notes, mut again, mut fresh) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // What brought a forgotten record back lets its link count again, and only then.
        let back: Vec<i64> = ended
            .iter()
            .filter(|end| end.step.because == Because::Back && matches!(end.how, How::Done { .. }))
            .filter_map(|end| end.step.link)
            .collect();
        self.store.raise_links(tx, &back).await?;
        let links = self.links_before(tx, bound, ended).await?;
        let mut kept: Vec<(PageId, Digest)> = Vec::new();
        let mut writes: BTreeMap<PageId, LinkWrite> = BTreeMap::new();
        let mut ours: BTreeMap<PageId, OwnWrite> = BTreeMap::new();
        let mut unsure: Vec<i64> = Vec::new();
        for end in ended {
            let step = end.step;
            let How::Done { key, page, answer } = &end.how else { continue };
            let known = links.get(&end.seq);
            let apart = step.page.and_then(|page| writes.get(&page)).or(known).map(|link| link.apart);
            let apart = match settle::link_after(step, apart) {
                LinkAfter::Kept { apart } => apart,
                LinkAfter::Forgotten => {
                    gone.extend(known.and_then(|link| link.id));
                    continue;
                }
            };
            let key = key.clone().or_else(|| step.key.clone()).or_else(|| known.map(|link| link.key.clone()));
            let page = page.or(step.page).or_else(|| known.map(|link| link.page));
            let (Some(key), Some(page)) = (key, page) else { continue };
            // Two steps of one record in one batch build on each other.
            let before = writes.get(&page).or(known);
            let base = before.map_or_else(|| unread(bound), |link| link.base.clone());
            let base = settle::after_step(&bound.mapping, step, &answer.record, base, &end.left_out);
            let is_again = matches!(step.because, Because::Back | Because::Recovered);
            if before.is_none_or(|link| link.id.is_none()) || is_again {
                fresh.push((key.clone(), page));
            }
            let name = (Some(key.clone()), Some(page));
            // What was left out follows in the next plan; what a restored half holds, nobody has seen yet.
            let was_deleted = step.link.is_some_and(|link| view.deleted.contains(&link));
            if !end.left_out.is_empty() || step.action == Action::Restore || was_deleted {
                again.push(name.clone());
            }
            let removed = matches!(step.action, Action::Trash | Action::Delete);
            let unsettled = troubled.contains(&name) || troubled.contains(&(step.key.clone(), step.page));
            // Of a half that is gone there is nothing to note down; and a note about a backup would make it old.
            let silent = removed || step.because == Because::Backup;
            let notes = if silent { &mut Vec::new() } else { &mut notes };
            kept.extend(end.kept.map(|digest| (page, digest)));
            notes.push(RowNote {
                key: key.clone(),
                page: Some(page),
                synced_at: self.clock.now(),
                status: if unsettled { "conflict" } else { "synced" },
                error: None,
                checksum: checksum(step, answer),
            });
            if let (Side::Notion, Some(at), Some(by)) = (step.side, answer.edited, &answer.editor) {
                ours.insert(page, OwnWrite { at, by: by.clone() });
            } else if step.side == Side::Notion {
                // When the write was carried out, nobody said.
                unsure.extend(known.and_then(|link| link.id));
            }
            let id = before.and_then(|link| link.id);
            writes.insert(page, LinkWrite { id, key, page, base, unsettled, apart });
        }
        let writes: Vec<LinkWrite> = writes.into_values().collect();
        let ids = self.store.keep_links(tx, &bound.mapping, &writes).await?;
        let ours: Vec<(i64, OwnWrite)> = ids
            .into_iter()
            .zip(&writes)
            .filter_map(|(id, write)| Some((id, ours.remove(&write.page)?)))
            .collect();
        self.store.forget_own_writes(tx, &unsure).await?;
        self.store.keep_own_writes(tx, &ours).await?;
        self.store.keep_backups(tx, &bound.mapping.name, &kept).await?;
        self.store.forget_links(tx, &gone).await?;
        self.keep_failures(tx, bound, view, ended, &mut again, &mut notes).await?;
        self.store.revisit(tx, &bound.mapping.name, &again, 0.0).await?;
        bound
            .rows
            .note(tx, &notes)
            .await
            .map_err(|error| super::look::rows_error(&bound.mapping.name, error))?;
        Ok(fresh)
    }

    /// The links of steps as they are now, by step.
    async fn links_before(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        ended: &[&Ended<'_>],
    ) -> Result<BTreeMap<i32, LinkWrite>, EngineError> {
        let mut ids: BTreeMap<i32, i64> =
            ended.iter().filter_map(|end| Some((end.seq, end.step.link?))).collect();
        // What is made anew has no link yet, unless its other half came back before it.
        let may_be_linked = |step: &Step| step.action != Action::Create || step.because == Because::Undone;
        let nameless: Vec<&&Ended<'_>> =
            ended.iter().filter(|end| end.step.link.is_none() && may_be_linked(end.step)).collect();
        if !nameless.is_empty() {
            let keys: Vec<RowKey> = nameless.iter().filter_map(|end| end.step.key.clone()).collect();
            let pages: Vec<PageId> = nameless.iter().filter_map(|end| end.step.page).collect();
            let found = self.store.links_of(&bound.mapping.name, &keys, &pages).await?;
            for end in nameless {
                let link = found.iter().find(|link| {
                    Some(link.page) == end.step.page || Some(&link.key) == end.step.key.as_ref()
                });
                ids.extend(link.map(|link| (end.seq, link.id)));
            }
        }
        let numbers: Vec<i64> = ids.values().copied().collect();
        let links: BTreeMap<i64, LinkWrite> = self
            .store
            .links_in(tx, &bound.mapping, &numbers)
            .await?
            .into_iter()
            .map(|link| {
                let write = LinkWrite {
                    id: Some(link.id),
                    key: link.key,
                    page: link.page,
                    base: link.base,
                    unsettled: false,
                    apart: link.apart,
                };
                (link.id, write)
            })
            .collect();
        Ok(ids.into_iter().filter_map(|(seq, id)| Some((seq, links.get(&id)?.clone()))).collect())
    }

    /// Keeps what did not happen: parked with the reason and the time of the next try, or looked at again.
    async fn keep_failures(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        view: &View,
        ended: &[&Ended<'_>],
        again: &mut Vec<RecordName>,
        notes: &mut Vec<RowNote>,
    ) -> Result<(), EngineError> {
        let mut unsettled = Vec::new();
        let stays = |end: &&&Ended<'_>| {
            let step = end.step;
            step.because == Because::Undone
                && matches!(step.action, Action::Trash | Action::Delete)
                && matches!(end.how, How::Stale | How::Moot | How::Failed(_))
        };
        let staying: Vec<i64> = ended.iter().filter(stays).filter_map(|end| end.step.link).collect();
        self.store.set_apart(tx, &staying, None).await?;
        for end in ended {
            let step = end.step;
            let name = (step.key.clone(), step.page);
            let failed = match &end.how {
                How::Done { .. } | How::Moot => continue,
                How::Stale if mutant::is(Mutant::StaleIsForgotten) => continue,
                How::Stale | How::Unknown(_) => {
                    again.push(name);
                    continue;
                }
                How::Failed(_) if mutant::is(Mutant::FailureIsForgotten) => continue,
                How::Failed(failed) => failed,
            };
            let attempts = view.parked.get(&name).map_or(1, |parked| parked.attempts.unsigned_abs() + 1);
            let wait = match advise(failed.failure, attempts, bound.settings.max_attempts) {
                Advice::Replan | Advice::Look | Advice::Stop => {
                    again.push(name);
                    continue;
                }
                Advice::Park => None,
                Advice::Wait(wait) => {
                    let until = |at: Timestamp| Duration::try_from(at.duration_since(self.clock.now())).ok();
                    Some(failed.not_before.and_then(until).map_or(wait, |asked| wait.max(asked)))
                }
            };
            let parked = Parked {
                link: step.link,
                key: step.key.clone(),
                page: step.page,
                side: step.side,
                field: None,
                reason: failed.reason.clone(),
                value: None,
            };
            let content = Some(step_content(step));
            let trouble = Trouble { parked, attempts: attempts.cast_signed(), wait, content };
            self.store.park(tx, &bound.mapping, &trouble).await?;
            unsettled.extend(step.link);
            if let Some(key) = &step.key {
                notes.push(RowNote {
                    key: key.clone(),
                    page: step.page,
                    synced_at: self.clock.now(),
                    status: "parked",
                    error: Some(failed.reason.text.clone()),
                    checksum: String::new(),
                });
            }
        }
        self.store.mark_unsettled(tx, &unsettled, true).await?;
        Ok(())
    }
}

/// How a failure counts in a run's report.
pub(super) fn is_trouble(how: &How) -> bool {
    match how {
        How::Done { .. } | How::Stale | How::Moot => false,
        How::Failed(failed) => !matches!(failed.failure, Failure::Stale),
        How::Unknown(_) => true,
    }
}

/// Whether a schema that moved would explain the failure: the side does not know a column or property, or has it as
/// another type.
pub(super) fn is_misfit(how: &How) -> bool {
    const CODES: [&str; 7] = ["42703", "42P01", "42804", "42883", "22P02", "no_such_property", "wrong_type"];
    matches!(how, How::Failed(failed) if CODES.contains(&failed.reason.code.as_str()))
}

/// A journal entry's last word.
pub(super) fn update(mapping: &Mapping, ended: &Ended<'_>) -> StepUpdate {
    let (page, reason, shown) = match &ended.how {
        How::Done { page, answer, .. } => (*page, None, shown(mapping, ended.step, &answer.record)),
        How::Stale | How::Moot => (None, None, None),
        How::Failed(failed) | How::Unknown(failed) => (None, Some(failed.reason.clone()), None),
    };
    StepUpdate { seq: ended.seq, status: status(ended), page, reason, shown }
}

/// By column, what a record showed where that is not what was sent.
pub(super) fn shown(mapping: &Mapping, step: &Step, answer: &Record) -> Option<String> {
    let column = |field: usize| mapping.fields.get(field).map(|field| field.column.as_str());
    let shown = undo::shown(step, answer);
    let told: BTreeMap<&str, &Value> =
        shown.iter().filter_map(|(field, value)| Some((column(*field)?, value))).collect();
    // Values always serialise.
    (!told.is_empty()).then(|| serde_json::to_string(&told).unwrap_or_default())
}

/// The checksum that both halves carry: of the row's mapped content.
pub(super) fn checksum(step: &Step, answer: &Sighting) -> String {
    match step.side {
        Side::Notion => step.source.map_or_else(String::new, |digest| digest.to_string()),
        Side::Postgres => answer.digest.to_string(),
    }
}

pub(super) fn unread<W: Parts>(bound: &Bound<W>) -> Sides<Record> {
    let fields = bound.mapping.fields.len();
    Sides { postgres: Record::unread(fields), notion: Record::unread(fields) }
}
