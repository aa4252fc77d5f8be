//! What is known to wait: what failed before and has not changed since is set aside until its time.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    answer::{Answers, Whole},
    digest::Digest,
    mapping::Mapping,
    observation::{Identity, Observation, Pair},
    plan::{ConflictKind, Expect, Skipped, Step, Why},
    record::{PageId, RowKey},
    side::{Side, Sides},
};

use super::{Part, RecordName, View, fill::Sight};
use crate::{
    engine::{Bound, Engine, EngineError, Parts},
    store::{Answered, Attention as _, Due, Links as _, OpenConflict, ParkedRecord},
};

/// What is known to wait of a mapping's records, before they are planned again.
#[derive(Default)]
pub(super) struct Waits {
    parked: Vec<ParkedRecord>,
    conflicts: Vec<OpenConflict>,
    held: Vec<OpenConflict>,
    absences: BTreeMap<i64, f64>,
    /// Of these records both halves were seen, and are as they were settled: nothing of them waits.
    equal: BTreeSet<RecordName>,
    /// Links with an absence of which the same is true.
    back: Vec<i64>,
}

/// What waits, once it is compared with what was seen.
pub(super) struct Waiting {
    failed: BTreeMap<RecordName, ParkedRecord>,
    answered: Answered,
    answers: BTreeMap<RecordName, Answers>,
    gone: Vec<i64>,
    back: Vec<i64>,
    deleted: BTreeSet<i64>,
}

impl<W: Parts> Engine<W> {
    /// Reads what waits, unless the look found nothing at all.
    pub(super) async fn waits(
        &self,
        sight: &Sight<'_, W>,
        parts: &Sides<Part>,
        due: &Due,
    ) -> Result<Waits, EngineError> {
        let by_changes = parts.postgres == Part::Changes && parts.notion == Part::Changes;
        if by_changes && due.keys.is_empty() && due.pages.is_empty() && sight.is_idle() {
            return Ok(Waits::default());
        }
        let name = sight.bound.mapping.name.as_str();
        let mut waits = Waits {
            parked: self.store.parked(Some(name)).await?,
            conflicts: self.store.open_conflicts(Some(name)).await?,
            held: self.store.held(name).await?,
            absences: self.store.absences(name).await?,
            ..Waits::default()
        };
        let parked = waits.parked.iter().map(|record| (record.key.clone(), record.page));
        let conflicts = waits.conflicts.iter().map(|open| (open.conflict.key.clone(), open.conflict.page));
        let held = waits.held.iter().map(|open| (open.conflict.key.clone(), open.conflict.page));
        waits.equal = parked.chain(conflicts).chain(held).filter(|name| sight.is_equal(name)).collect();
        if !waits.absences.is_empty() {
            let mut equal = sight.equal_links();
            equal.retain(|link| waits.absences.contains_key(link));
            waits.back = equal;
        }
        Ok(waits)
    }

    /// Lets everything that is parked be looked at, whatever its time.
    pub(super) async fn add_parked(&self, mapping: &str, due: &mut Due) -> Result<(), EngineError> {
        for parked in self.store.parked(Some(mapping)).await? {
            due.keys.extend(parked.key);
            due.pages.extend(parked.page);
        }
        Ok(())
    }
}

impl Waits {
    /// Sets aside what failed before, has not changed since, and whose time to try again has not come. The rest of
    /// what is known to wait of these records will be answered by planning them again.
    pub(super) fn sort<W: Parts>(
        self,
        bound: &Bound<W>,
        pairs: &mut Vec<Pair>,
        skipped: &mut Vec<Skipped>,
        due: &Due,
    ) -> Waiting {
        let mapping = &*bound.mapping;
        let unread = Unread::of(pairs, skipped);
        let mut answered = Answered::due(due, |key, page| unread.holds(key, page));
        let failed: BTreeMap<RecordName, ParkedRecord> = (self.parked.iter())
            .filter(|record| record.content.is_some())
            .map(|record| ((record.key.clone(), record.page), record.clone()))
            .collect();
        if !failed.is_empty() {
            pairs.retain(|pair| {
                let name = name_of(pair);
                let is_due = name.0.as_ref().is_some_and(|key| due.keys.contains(key))
                    || name.1.is_some_and(|page| due.pages.contains(&page));
                // A page alone goes by the key that it carries once a row was to be made for it.
                let of_page =
                    || failed.values().find(|record| record.page.is_some() && record.page == name.1);
                let known = failed.get(&name).or_else(|| name.0.is_none().then(of_page)?);
                let waits =
                    !is_due && known.is_some_and(|record| record.content == Some(content(mapping, pair)));
                if waits {
                    skipped.push(Skipped { key: name.0, page: name.1, why: Why::Waiting });
                }
                !waits
            });
        }
        // Nothing is decided of what could not be read.
        let read =
            || pairs.iter().map(|pair| &pair.identity).filter(|name| !unread.holds(name.key(), name.page()));
        let keys: BTreeSet<&RowKey> = read().filter_map(Identity::key).collect();
        let pages: BTreeSet<PageId> = read().filter_map(Identity::page).collect();
        let is_answered = |key: Option<&RowKey>, page: Option<PageId>| {
            key.is_some_and(|key| keys.contains(key))
                || page.is_some_and(|page| pages.contains(&page))
                || self.equal.contains(&(key.cloned(), page))
        };
        // Of a paused field nothing was planned: what waits there goes on waiting.
        let is_paused = |column: &str| mapping.paused().any(|field| field.column == column);
        (self.parked.iter())
            .filter(|record| is_answered(record.key.as_ref(), record.page) && !is_paused(&record.column))
            .for_each(|record| answered.parked(record));
        (self.conflicts.iter())
            .filter(|open| {
                is_answered(open.conflict.key.as_ref(), open.conflict.page) && !is_paused(&open.column)
            })
            .for_each(|open| answered.conflict(open));

        let mut waiting = Waiting {
            failed,
            answered,
            answers: BTreeMap::new(),
            gone: Vec::new(),
            back: self.back.clone(),
            deleted: BTreeSet::new(),
        };
        (self.held.iter())
            .filter(|open| self.equal.contains(&(open.conflict.key.clone(), open.conflict.page)))
            .for_each(|open| waiting.answered.held(open));
        let held = self.held.iter().filter_map(|open| open.conflict.link);
        waiting.deleted = self.absences.keys().copied().chain(held).collect();
        let wait = bound.settings.delete_wait.as_secs_f64();
        for pair in pairs.iter() {
            self.deletion(pair, wait, &mut waiting);
        }
        waiting
    }

    /// What is known of a linked record of which one half is gone, or was.
    fn deletion(&self, pair: &Pair, wait: f64, waiting: &mut Waiting) {
        let Identity::Linked(link) = &pair.identity else { return };
        let name = name_of(pair);
        let is_gone = |side| matches!(pair.seen.of(side), Observation::Absent(_));
        let held = self.held.iter().find(|open| (open.conflict.key.clone(), open.conflict.page) == name);
        let gone = [Side::Postgres, Side::Notion].into_iter().find(|side| is_gone(*side));
        let Some(gone) = gone else {
            if self.absences.contains_key(&link.id) {
                waiting.back.push(link.id);
            }
            held.into_iter().for_each(|open| waiting.answered.held(open));
            return;
        };
        let since = self.absences.get(&link.id);
        if since.is_none() {
            waiting.gone.push(link.id);
        }
        let is_held = held
            .is_some_and(|open| matches!(open.conflict.kind, ConflictKind::Deleted { on, .. } if on == gone));
        let answers = Answers {
            whole: is_held.then_some(Whole::Leave),
            waits: wait > 0.0 && since.is_none_or(|seconds| *seconds < wait),
            ..Answers::default()
        };
        if answers != Answers::default() {
            waiting.answers.insert(name, answers);
        }
    }
}

impl Waiting {
    pub(super) fn view(self, view: View) -> View {
        let Self { failed: parked, answered, answers, gone, back, deleted } = self;
        View { parked, answered, answers, gone, back, deleted, ..view }
    }
}

pub(in crate::engine) fn name_of(pair: &Pair) -> RecordName {
    (pair.identity.key().cloned(), pair.identity.page())
}

/// What both sides of a record hold, in short: the same name that [`step_content`] gives to a step's record.
fn content(mapping: &Mapping, pair: &Pair) -> Digest {
    let of = |side| match (pair.seen.of(side), &pair.identity) {
        (Observation::Present(sighting), _) => Some(sighting.digest),
        (Observation::Unchanged, Identity::Linked(link)) => {
            let marker = (side == Side::Notion && mapping.key_property).then(|| link.key.as_str());
            Some(Digest::of_record(mapping, link.base.of(side), marker, &mut Vec::new()))
        }
        _ => None,
    };
    join_contents(of(Side::Postgres), of(Side::Notion))
}

/// What both sides of a step's record held when the step was planned.
pub(in crate::engine) fn step_content(step: &Step) -> Digest {
    let target = match step.expect {
        Expect::Seen(digest) => Some(digest),
        Expect::Nothing | Expect::Absent(_) => None,
    };
    match step.side {
        Side::Postgres => join_contents(target, step.source),
        Side::Notion => join_contents(step.source, target),
    }
}

fn join_contents(row: Option<Digest>, page: Option<Digest>) -> Digest {
    let text = |digest: Option<Digest>| digest.map_or_else(String::new, |digest| digest.to_string());
    Digest::of(format!("{} {}", text(row), text(page)).as_bytes())
}

/// Records of which a side could not be read.
struct Unread {
    keys: BTreeSet<RowKey>,
    pages: BTreeSet<PageId>,
}

impl Unread {
    fn of(pairs: &[Pair], skipped: &[Skipped]) -> Self {
        let is_unread = |pair: &&Pair| {
            [Side::Postgres, Side::Notion]
                .iter()
                .any(|side| matches!(pair.seen.of(*side), Observation::Unreadable(_)))
        };
        let pairs = pairs.iter().filter(is_unread).map(|pair| (pair.identity.key(), pair.identity.page()));
        let skipped = skipped
            .iter()
            .filter(|skipped| matches!(skipped.why, Why::Unreadable(..)))
            .map(|skipped| (skipped.key.as_ref(), skipped.page));
        let mut unread = Self { keys: BTreeSet::new(), pages: BTreeSet::new() };
        for (key, page) in pairs.chain(skipped) {
            unread.keys.extend(key.cloned());
            unread.pages.extend(page);
        }
        unread
    }

    fn holds(&self, key: Option<&RowKey>, page: Option<PageId>) -> bool {
        key.is_some_and(|key| self.keys.contains(key)) || page.is_some_and(|page| self.pages.contains(&page))
    }
}
