//! What is known to wait: what failed before and has not changed since is set aside until its time.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    digest::Digest,
    mapping::Mapping,
    observation::{Identity, Observation, Pair},
    plan::{Expect, Skipped, Step, Why},
    record::{PageId, RowKey},
    side::Side,
};

use super::RecordName;
use crate::{
    engine::{Engine, EngineError, Parts},
    store::{Answered, Attention as _, Due, ParkedRecord},
};

impl<W: Parts> Engine<W> {
    /// Sets aside what failed before, has not changed since, and whose time to try again has not come. The rest of
    /// what is known to wait of these records will be answered by planning them again.
    pub(super) async fn waiting(
        &self,
        mapping: &Mapping,
        pairs: &mut Vec<Pair>,
        skipped: &mut Vec<Skipped>,
        due: &Due,
    ) -> Result<(BTreeMap<RecordName, ParkedRecord>, Answered), EngineError> {
        let mut answered = {
            let unread = Unread::of(pairs, skipped);
            Answered::due(due, |key, page| unread.holds(key, page))
        };
        if pairs.is_empty() {
            return Ok((BTreeMap::new(), answered));
        }
        let known = self.store.parked(Some(&mapping.name)).await?;
        let failed: BTreeMap<RecordName, ParkedRecord> = known
            .iter()
            .filter(|record| record.content.is_some())
            .map(|record| ((record.key.clone(), record.page), record.clone()))
            .collect();
        if !failed.is_empty() {
            pairs.retain(|pair| {
                let name = (pair.identity.key().cloned(), pair.identity.page());
                let is_due = name.0.as_ref().is_some_and(|key| due.keys.contains(key))
                    || name.1.is_some_and(|page| due.pages.contains(&page));
                let waits = !is_due
                    && failed.get(&name).is_some_and(|record| record.content == Some(content(mapping, pair)));
                if waits {
                    skipped.push(Skipped { key: name.0, page: name.1, why: Why::Waiting });
                }
                !waits
            });
        }
        let conflicts = self.store.open_conflicts(Some(&mapping.name)).await?;
        if !known.is_empty() || !conflicts.is_empty() {
            let keys: BTreeSet<&RowKey> = pairs.iter().filter_map(|pair| pair.identity.key()).collect();
            let pages: BTreeSet<PageId> = pairs.iter().filter_map(|pair| pair.identity.page()).collect();
            let planned = |key: Option<&RowKey>, page: Option<PageId>| {
                key.is_some_and(|key| keys.contains(key)) || page.is_some_and(|page| pages.contains(&page))
            };
            known
                .iter()
                .filter(|record| planned(record.key.as_ref(), record.page))
                .for_each(|record| answered.parked(record));
            conflicts
                .iter()
                .filter(|open| planned(open.conflict.key.as_ref(), open.conflict.page))
                .for_each(|open| answered.conflict(open));
        }
        Ok((failed, answered))
    }
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
struct Unread<'a> {
    keys: BTreeSet<&'a RowKey>,
    pages: BTreeSet<PageId>,
}

impl<'a> Unread<'a> {
    fn of(pairs: &'a [Pair], skipped: &'a [Skipped]) -> Self {
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
            unread.keys.extend(key);
            unread.pages.extend(page);
        }
        unread
    }

    fn holds(&self, key: Option<&RowKey>, page: Option<PageId>) -> bool {
        key.is_some_and(|key| self.keys.contains(key)) || page.is_some_and(|page| self.pages.contains(&page))
    }
}
