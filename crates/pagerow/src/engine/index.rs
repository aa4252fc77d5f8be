//! What a look is compared with: links by row and by page, and what each side showed of them.

use std::collections::BTreeMap;

use pagerow_core::{
    observation::{Absence, Observation},
    record::{PageId, RowKey},
    side::Side,
};

use crate::{replica::Seen, store::CompactLink};

/// Links in memory, as small as they can be.
#[derive(Default)]
pub(super) struct LinkIndex {
    /// Sorted by key.
    links: Vec<CompactLink>,
    /// Places in `links`, sorted by page.
    by_page: Vec<u32>,
}

impl LinkIndex {
    pub(super) fn new(mut links: Vec<CompactLink>) -> Self {
        links.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        links.dedup_by(|a, b| a.id == b.id);
        #[expect(clippy::cast_possible_truncation, reason = "a data source holds at most 250,000 pages")]
        let mut by_page: Vec<u32> = (0..links.len() as u32).collect();
        by_page.sort_unstable_by_key(|&at| links[at as usize].page);
        Self { links, by_page }
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn get(&self, at: usize) -> &CompactLink {
        &self.links[at]
    }

    pub(super) fn of_key(&self, key: &RowKey) -> Option<usize> {
        self.links.binary_search_by(|link| link.key.cmp(key)).ok()
    }

    pub(super) fn of_page(&self, page: PageId) -> Option<usize> {
        let found = self.by_page.binary_search_by_key(&page, |&at| self.links[at as usize].page).ok()?;
        Some(self.by_page[found] as usize)
    }
}

/// A row's or a page's name, to find its link by.
pub(super) trait Named: Clone + Ord {
    const SIDE: Side;
    fn find(&self, index: &LinkIndex) -> Option<usize>;
}

impl Named for RowKey {
    const SIDE: Side = Side::Postgres;
    fn find(&self, index: &LinkIndex) -> Option<usize> {
        index.of_key(self)
    }
}

impl Named for PageId {
    const SIDE: Side = Side::Notion;
    fn find(&self, index: &LinkIndex) -> Option<usize> {
        index.of_page(*self)
    }
}

/// What one side showed in one look, link by link.
pub(super) struct SideSeen<Id> {
    /// By link: whether it was shown, and equal to its base.
    marks: Vec<Mark>,
    /// What was shown and is not equal to its base, by link.
    different: BTreeMap<usize, Observation>,
    /// What belongs to no link.
    unlinked: BTreeMap<Id, Observation>,
    records: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Unseen,
    Same,
    Different,
}

impl<Id: Named> SideSeen<Id> {
    pub(super) fn new(index: &LinkIndex) -> Self {
        Self {
            marks: vec![Mark::Unseen; index.len()],
            different: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            records: 0,
        }
    }

    /// Takes in one record; what is equal to its base is only marked.
    pub(super) fn take(&mut self, index: &LinkIndex, seen: Seen<Id>) {
        self.records += u64::from(matches!(seen.observation, Observation::Present(_)));
        let Some(at) = seen.id.find(index) else {
            self.unlinked.insert(seen.id, seen.observation);
            return;
        };
        let same = match &seen.observation {
            Observation::Present(sighting) => sighting.digest == *index.get(at).digest.of(Id::SIDE),
            Observation::Unchanged => true,
            Observation::Absent(_) | Observation::Unreadable(_) => false,
        };
        // An unsettled link is looked at in full, since its bases differ on purpose.
        if same && !index.get(at).unsettled {
            self.marks[at] = Mark::Same;
            self.different.remove(&at);
        } else {
            self.marks[at] = Mark::Different;
            self.different.insert(at, seen.observation);
        }
    }

    pub(super) fn mark(&self, at: usize) -> Mark {
        self.marks[at]
    }

    /// Puts an observation in the place of what was not shown.
    pub(super) fn fill(&mut self, at: usize, observation: Observation) {
        self.marks[at] = Mark::Different;
        self.different.insert(at, observation);
    }

    /// Takes out what was shown of a link; `Unchanged` for what was equal to its base or not shown.
    pub(super) fn observation(&mut self, at: usize) -> Observation {
        self.different.remove(&at).unwrap_or(Observation::Unchanged)
    }

    /// In which way the half of a link was found to be absent.
    pub(super) fn absence(&self, at: usize) -> Option<Absence> {
        match self.different.get(&at) {
            Some(Observation::Absent(how)) => Some(*how),
            _ => None,
        }
    }

    /// Whether nothing was shown at all of what has no link.
    pub(super) fn is_idle(&self) -> bool {
        self.unlinked.is_empty()
    }

    pub(super) fn unlinked(&mut self) -> &mut BTreeMap<Id, Observation> {
        &mut self.unlinked
    }

    /// How many records were shown as present.
    pub(super) fn records(&self) -> u64 {
        self.records
    }
}
