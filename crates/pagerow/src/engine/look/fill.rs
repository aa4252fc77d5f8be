//! What a first look leaves open: absences that need proof, the other halves of what moved, pages that may be old news.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    mutant::{self, Mutant},
    observation::{Absence, Link, Observation},
    record::{PageId, RowKey},
    side::{Side, Sides},
};

use super::{Part, RecordName, marker, pages_error, rows_error};
use crate::{
    engine::{
        Bound, Engine, EngineError, Parts,
        detect::like_the_others,
        index::{LinkIndex, Mark, Named, SideSeen},
        retrieval::Known,
    },
    replica::{Pages, Relatives, Rows, Scope, Seen},
    store::{Due, Links as _},
};

/// How many absent pages are asked for at once before the next are.
const CONFIRM: usize = 100;

/// So many of the pages that a recovery misses tell where the others are.
const SAMPLE: usize = 10;

/// Both sides of one mapping, while they are being looked at.
pub(super) struct Sight<'a, W: Parts> {
    pub(super) bound: &'a Bound<W>,
    pub(super) relatives: &'a Relatives,
    pub(super) index: LinkIndex,
    pub(super) rows: SideSeen<RowKey>,
    pub(super) pages: SideSeen<PageId>,
    /// What a recovery knows of the pages.
    pub(super) known: Option<&'a Known>,
    /// How many missing pages are in the trash by the word of others.
    pub(super) presumed: u64,
    /// Forgotten links of halves that are back.
    pub(super) buried: Vec<Link>,
    /// Rows and pages without a link of which it is news that they are gone.
    named: (BTreeSet<RowKey>, BTreeSet<PageId>),
    /// Pages that were asked for by themselves.
    asked: BTreeSet<PageId>,
}

impl<W: Parts> Engine<W> {
    /// Asks for pages by themselves that a list showed as edited shortly after they were settled: the list may be older
    /// than our own write, and would take it back.
    pub(super) async fn confirm(&self, sight: &mut Sight<'_, W>) -> Result<(), EngineError> {
        let differing: Vec<usize> =
            (0..sight.index.len()).filter(|&at| sight.pages.mark(at) == Mark::Different).collect();
        if differing.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = differing.iter().map(|&at| sight.index.get(at).id).collect();
        let bound = sight.bound;
        let lately: BTreeSet<i64> =
            self.store.settled_lately(&bound.mapping.name, &ids, bound.settings.doubt).await?;
        let pages = differing
            .iter()
            .map(|&at| sight.index.get(at))
            .filter(|link| lately.contains(&link.id))
            .map(|link| link.page)
            .collect();
        sight.look_at_pages(pages).await
    }

    /// Looks for pages that carry the keys of rows without a link, where not all pages were looked at: one that was not
    /// edited lately would otherwise be made again.
    pub(super) async fn find_unlinked(
        &self,
        sight: &mut Sight<'_, W>,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<(), EngineError> {
        let mapping = &*sight.bound.mapping;
        if !mapping.key_property || !mapping.direction.reaches(Side::Notion) {
            return Ok(());
        }
        let named: BTreeSet<RowKey> =
            sight.pages.unlinked().values().filter_map(marker).map(RowKey::from).collect();
        let keys: Vec<RowKey> = sight
            .rows
            .unlinked()
            .iter()
            .filter(|(key, row)| {
                matches!(row, Observation::Present(_)) && !named.contains(key) && !doubtful.contains(key)
            })
            .map(|(key, _)| key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let found = sight
            .bound
            .pages
            .find(&keys, sight.relatives)
            .await
            .map_err(|error| pages_error(&mapping.name, error))?;
        let pages: Vec<PageId> = found.iter().map(|(_, seen)| seen.id).collect();
        let linked: BTreeSet<PageId> = self
            .store
            .links_of(&mapping.name, &[], &pages)
            .await?
            .into_iter()
            .map(|link| link.page)
            .collect();
        for (key, seen) in found {
            match &seen.observation {
                Observation::Present(_) if !linked.contains(&seen.id) => {
                    sight.pages.unlinked().insert(seen.id, seen.observation);
                }
                // It may be this row's page.
                Observation::Unreadable(why) => {
                    let why = Observation::Unreadable(format!("a page that may be its own: {why}"));
                    sight.rows.unlinked().insert(key, why);
                }
                Observation::Present(_) | Observation::Unchanged | Observation::Absent(_) => {}
            }
        }
        Ok(())
    }
}

impl<W: Parts> Engine<W> {
    /// Asks for unlinked pages by themselves that name a row which is not there: the list may be older than the deletion
    /// of both, and would bring the row back. Of all pages, only those are asked for whose row is known to have been
    /// deleted: the others may be many, and are what is left of a lost table.
    pub(super) async fn confirm_unlinked(
        &self,
        sight: &mut Sight<'_, W>,
        part: Part,
    ) -> Result<(), EngineError> {
        let mut alone = sight.alone();
        if part == Part::Everything && !alone.is_empty() {
            let keys: Vec<RowKey> = alone.iter().map(|(_, key)| key.clone()).collect();
            let deleted = self.store.buried_of(&sight.bound.mapping, &keys, &[]).await?;
            let deleted: BTreeSet<RowKey> = deleted.into_iter().map(|link| link.key).collect();
            alone.retain(|(_, key)| deleted.contains(key));
        }
        for (page, _) in &alone {
            sight.pages.unlinked().remove(page);
        }
        sight.look_at_pages(alone.into_iter().map(|(page, _)| page).collect()).await
    }

    /// Finds the forgotten links of rows and pages that are back, and looks at their other halves.
    pub(super) async fn find_buried(&self, sight: &mut Sight<'_, W>) -> Result<(), EngineError> {
        let keys: Vec<RowKey> = present(sight.rows.unlinked());
        let pages: Vec<PageId> = present(sight.pages.unlinked());
        let mapping = &*sight.bound.mapping;
        let buried = self.store.buried_of(mapping, &keys, &pages).await?;
        if buried.is_empty() {
            return Ok(());
        }
        sight.named.0.extend(buried.iter().map(|link| link.key.clone()));
        sight.named.1.extend(buried.iter().map(|link| link.page));
        let seen = sight.rows.unlinked();
        let keys = buried.iter().map(|link| link.key.clone()).filter(|key| !seen.contains_key(key)).collect();
        // The list that shows a page may be older than its deletion: each is asked for by itself.
        let pages: Vec<PageId> = buried.iter().map(|link| link.page).collect();
        for page in &pages {
            sight.pages.unlinked().remove(page);
        }
        sight.buried = buried;
        sight.look_at_rows(keys).await?;
        sight.look_at_pages(pages).await
    }
}

fn present<Id: Clone>(unlinked: &BTreeMap<Id, Observation>) -> Vec<Id> {
    let here = unlinked.iter().filter(|(_, seen)| matches!(seen, Observation::Present(_)));
    here.map(|(id, _)| id.clone()).collect()
}

impl<'a, W: Parts> Sight<'a, W> {
    pub(super) fn new(bound: &'a Bound<W>, relatives: &'a Relatives, index: LinkIndex) -> Self {
        let (rows, pages) = (SideSeen::new(&index), SideSeen::new(&index));
        Self {
            bound,
            relatives,
            index,
            rows,
            pages,
            known: None,
            presumed: 0,
            buried: Vec::new(),
            named: Default::default(),
            asked: BTreeSet::new(),
        }
    }

    /// Looks for what the first look left open: absences that need proof, the other half of unsettled records, and
    /// what is due to be looked at again.
    pub(super) async fn fill_in(
        &mut self,
        parts: &Sides<Part>,
        due: &Due,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<(), EngineError> {
        let due_keys: BTreeSet<&RowKey> = due.keys.iter().collect();
        let due_pages: BTreeSet<PageId> = due.pages.iter().copied().collect();
        let requested: BTreeSet<RecordName> =
            due.requests.iter().map(|(key, page, _)| (key.clone(), *page)).collect();
        let (mut keys, mut pages, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..self.index.len() {
            let link = self.index.get(at);
            let again = due_keys.contains(&link.key) || due_pages.contains(&link.page);
            let moved = self.rows.mark(at) == Mark::Different || self.pages.mark(at) == Mark::Different;
            // A row that a look at everything did not show may only have left the mapping's condition.
            if self.rows.mark(at) == Mark::Unseen && (parts.postgres == Part::Everything || again || moved) {
                keys.push(link.key.clone());
            }
            if self.pages.mark(at) == Mark::Unseen && parts.notion == Part::Everything {
                missing.push(link.page);
            } else if self.pages.mark(at) == Mark::Unseen && (again || (moved && link.unsettled)) {
                pages.push(link.page);
            }
            // Somebody asked to look again because it was not as a list had shown it, and the list may still do so.
            if self.pages.mark(at) != Mark::Unseen
                && requested.contains(&(Some(link.key.clone()), Some(link.page)))
            {
                pages.push(link.page);
            }
            if mutant::is(Mutant::UnseenIsTrashed)
                && parts.notion == Part::Everything
                && self.pages.mark(at) == Mark::Unseen
            {
                self.pages.fill(at, Observation::Absent(Absence::Trashed));
                missing.pop();
            }
        }
        pages.extend(self.presume_trashed(missing).await?);
        // Rows and pages that are due without a link.
        keys.extend(due.keys.iter().filter(|key| self.index.of_key(key).is_none()).cloned());
        pages.extend(due.pages.iter().filter(|page| self.index.of_page(**page).is_none()));
        // Unlinked halves that name their other half.
        keys.extend(self.pages.unlinked().values().filter_map(marker).map(RowKey::from));
        let of_rows: Vec<PageId> =
            self.rows.unlinked().values().filter_map(marker).filter_map(PageId::parse).collect();
        pages.extend(of_rows.iter().copied());
        // One in the trash is brought back, where another one would be made.
        self.named.1.extend(of_rows);
        // A page without a link may be the one that a doubtful row waits for.
        if !self.pages.unlinked().is_empty() {
            keys.extend(doubtful.iter().filter(|key| self.index.of_key(key).is_none()).cloned());
        }
        keys.retain(|key| !self.rows.unlinked().contains_key(key));
        pages.retain(|page| !self.pages.unlinked().contains_key(page));
        self.look_at_rows(keys).await?;
        self.look_at_pages(pages).await
    }

    /// Looks at some of the pages that a recovery misses. Where all of these are in the trash, the others are taken to be
    /// there as well, and are not asked for: taking each out of it tells, and costs the same call. Answers whom to ask for.
    async fn presume_trashed(&mut self, mut missing: Vec<PageId>) -> Result<Vec<PageId>, EngineError> {
        if let Some(known) = self.known {
            missing.retain(|page| !self.take_known_absence(known, *page));
        }
        if !self.known.is_some_and(|known| known.presumes) || missing.len() <= SAMPLE {
            return Ok(missing);
        }
        let sample: Vec<PageId> = missing.iter().copied().step_by(missing.len() / SAMPLE).collect();
        self.look_at_pages(sample.clone()).await?;
        let is_trashed = |page: &PageId| {
            let at = self.index.of_page(*page);
            at.and_then(|at| self.pages.absence(at)) == Some(Absence::Trashed)
        };
        let all_trashed = sample.iter().all(is_trashed);
        missing.retain(|page| !sample.contains(page));
        if !all_trashed {
            return Ok(missing);
        }
        self.presumed = missing.len() as u64;
        for at in missing.into_iter().filter_map(|page| self.index.of_page(page)).collect::<Vec<_>>() {
            self.pages.fill(at, Observation::Absent(Absence::Trashed));
        }
        Ok(Vec::new())
    }

    /// Whether a recovery knows already that this page is not there; takes that in.
    fn take_known_absence(&mut self, known: &Known, page: PageId) -> bool {
        let (Some(absence), Some(at)) = (known.absent.get(&page), self.index.of_page(page)) else {
            return false;
        };
        self.pages.fill(at, Observation::Absent(*absence));
        true
    }

    /// Looks at the other half of whatever moved meanwhile: of a link that is unsettled, or a conflict would pass for
    /// decided when only one half of it was looked at, as for a copy of its page.
    pub(super) async fn complete_halves(&mut self) -> Result<(), EngineError> {
        let (mut keys, mut pages) = (Vec::new(), Vec::new());
        for at in 0..self.index.len() {
            let (row, page) = (self.rows.mark(at), self.pages.mark(at));
            let link = self.index.get(at);
            if row == Mark::Unseen && page == Mark::Different {
                keys.push(link.key.clone());
            }
            if page == Mark::Unseen && row == Mark::Different && link.unsettled {
                pages.push(link.page);
            }
        }
        self.look_at_rows(keys).await?;
        self.look_at_pages(pages).await
    }

    /// Asks for edited pages by themselves whose rows are gone: the list that shows them may be older than their being put
    /// in the trash, and would bring the rows back. A recovery knows its pages otherwise.
    pub(super) async fn confirm_bereft(&mut self) -> Result<(), EngineError> {
        if self.known.is_some() || !self.bound.mapping.direction.reaches(Side::Postgres) {
            return Ok(());
        }
        let is_bereft = |at: &usize| {
            self.rows.absence(*at).is_some()
                && self.pages.mark(*at) == Mark::Different
                && !self.asked.contains(&self.index.get(*at).page)
        };
        let bereft = (0..self.index.len()).filter(is_bereft).map(|at| self.index.get(at).page).collect();
        self.look_at_pages(bereft).await
    }

    /// Unlinked pages that name a row which was not seen, with its key.
    fn alone(&mut self) -> Vec<(PageId, RowKey)> {
        let (rows, index) = (self.rows.unlinked(), &self.index);
        (self.pages.unlinked().iter())
            .filter_map(|(page, seen)| Some((*page, RowKey::from(marker(seen)?))))
            .filter(|(_, key)| !rows.contains_key(key) && index.of_key(key).is_none())
            .collect()
    }

    async fn look_at_rows(&mut self, mut keys: Vec<RowKey>) -> Result<(), EngineError> {
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Ok(());
        }
        let mapping = self.bound.mapping.name.as_str();
        let (index, rows, named) = (&self.index, &mut self.rows, &self.named.0);
        let mut take = |row: Seen<RowKey>| {
            // A page may name a row that is not there; that is no news of the row, unless it can come back.
            let tells =
                matches!(row.observation, Observation::Present(_) | Observation::Absent(Absence::Trashed));
            if row.id.find(index).is_some() || tells || named.contains(&row.id) {
                rows.take(index, row);
            }
        };
        self.bound
            .rows
            .look(Scope::These(&keys), &mut take)
            .await
            .map_err(|error| rows_error(mapping, error))?;
        Ok(())
    }

    async fn look_at_pages(&mut self, mut ids: Vec<PageId>) -> Result<(), EngineError> {
        ids.sort();
        ids.dedup();
        let mapping = self.bound.mapping.name.as_str();
        if let Some(known) = self.known {
            ids.retain(|page| !self.take_known_absence(known, *page));
        }
        self.asked.extend(&ids);
        for chunk in ids.chunks(CONFIRM) {
            let (mut shown, mut unreachable) = (0, 0);
            let (index, pages, named) = (&self.index, &mut self.pages, &self.named.1);
            let mut take = |page: Seen<PageId>| {
                shown += 1;
                unreachable += usize::from(page.observation == Observation::Absent(Absence::Unreachable));
                let is_news =
                    matches!(page.observation, Observation::Present(_) | Observation::Unreadable(_));
                if page.id.find(index).is_some() || is_news || named.contains(&page.id) {
                    pages.take(index, page);
                }
            };
            self.bound
                .pages
                .look(Scope::These(chunk), self.relatives, &mut take)
                .await
                .map_err(|error| pages_error(mapping, error))?;
            if self.known.is_some_and(|known| known.sampled) && ids.len() > CONFIRM {
                self.take_some_for_all(&ids);
                break;
            }
            // A whole chunk out of reach is a lost share, not a hundred deletions; asking on would cost hours. A recovery
            // has to know of each.
            if self.known.is_none() && shown == CONFIRM && unreachable == CONFIRM {
                let rest: Vec<usize> = ids.iter().filter_map(|page| self.index.of_page(*page)).collect();
                for at in rest {
                    if self.pages.mark(at) == Mark::Unseen {
                        self.pages.fill(at, Observation::Absent(Absence::Unreachable));
                    }
                }
                break;
            }
        }
        Ok(())
    }

    /// Those of these pages that were not asked for are taken for absent as most of the others are.
    fn take_some_for_all(&mut self, ids: &[PageId]) {
        let places: Vec<usize> = ids.iter().filter_map(|page| self.index.of_page(*page)).collect();
        let absences: Vec<Absence> = places.iter().filter_map(|at| self.pages.absence(*at)).collect();
        let how = like_the_others(&absences);
        for at in places {
            if self.pages.mark(at) == Mark::Unseen {
                self.pages.fill(at, Observation::Absent(how));
            }
        }
    }

    /// Whether nothing was shown that is not as it was settled.
    pub(super) fn is_idle(&self) -> bool {
        self.rows.is_idle() && self.pages.is_idle() && self.index.len() == 0
    }

    /// Whether both halves of a linked record were seen, and are as they were settled.
    pub(super) fn is_equal(&self, (key, page): &(Option<RowKey>, Option<PageId>)) -> bool {
        let at = key.as_ref().and_then(|key| self.index.of_key(key));
        at.is_some_and(|at| {
            Some(self.index.get(at).page) == *page
                && self.rows.mark(at) == Mark::Same
                && self.pages.mark(at) == Mark::Same
        })
    }

    /// The links of which both halves were seen, and are as they were settled.
    pub(super) fn equal_links(&self) -> Vec<i64> {
        (0..self.index.len())
            .filter(|&at| self.rows.mark(at) == Mark::Same && self.pages.mark(at) == Mark::Same)
            .map(|at| self.index.get(at).id)
            .collect()
    }

    /// How many links are equal to their bases on both sides.
    pub(super) fn unchanged(&self, links: u64) -> u64 {
        let moved = (0..self.index.len())
            .filter(|&at| self.rows.mark(at) == Mark::Different || self.pages.mark(at) == Mark::Different)
            .count();
        links.saturating_sub(moved as u64)
    }

    /// Looks at these rows and pages, and at the other half of each that is linked.
    pub(super) async fn look_at_all(
        &mut self,
        mut keys: Vec<RowKey>,
        mut pages: Vec<PageId>,
    ) -> Result<(), EngineError> {
        for at in 0..self.index.len() {
            keys.push(self.index.get(at).key.clone());
            pages.push(self.index.get(at).page);
        }
        self.look_at_rows(keys).await?;
        self.look_at_pages(pages).await?;
        // What was asked for and not shown is not known to be as it was.
        for at in 0..self.index.len() {
            if self.rows.mark(at) == Mark::Unseen {
                self.rows.fill(at, Observation::Unreadable("the row was not shown".to_owned()));
            }
            if self.pages.mark(at) == Mark::Unseen {
                self.pages.fill(at, Observation::Unreadable("the page was not shown".to_owned()));
            }
        }
        Ok(())
    }
}
