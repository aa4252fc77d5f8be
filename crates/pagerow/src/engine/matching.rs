//! Which page belongs to which row where no link and no key says so: what a recovery takes for one record by what people
//! said or wrote, and what it asks.
//!
//! What is asked about waits: neither half is made a second time on the other side before somebody has answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

use pagerow_core::{
    adopt::{PageHalf, RowHalf},
    mapping::Mapping,
    matching::{self, Match, Matching, Page, Question, Reading, Row, Tier, match_up},
    observation::{Absence, Identity, Observation, Pair, Sighting},
    plan::{Skipped, Why},
    record::{PageId, RowKey},
    side::Sides,
};

use super::{
    Bound, Engine, EngineError, Parts, Recovery,
    look::{View, pages_error, rows_error},
};
use crate::{
    replica::{Pages as _, Portions, Relatives, Rows as _, Scope, Seen},
    store::{Choices, Operations, Said},
};

/// What was found out about a mapping's rows and pages that no link and no key brings together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    pub mapping: String,
    /// These become links.
    pub linked: Vec<Match>,
    /// Likely pairs that nobody has accepted: both halves wait.
    pub likely: Vec<Match>,
    /// Several that fit one another: all of them wait.
    pub questions: Vec<Question>,
    /// Choices of which a half is not there. The other half waits.
    pub unusable: Vec<(RowKey, PageId)>,
    /// The titles of the rows and pages above, as far as they have one.
    pub row_titles: BTreeMap<RowKey, String>,
    pub page_titles: BTreeMap<PageId, String>,
}

impl Matches {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.linked.is_empty() && !self.needs_decision()
    }

    /// Whether a person has to say who belongs to whom.
    #[must_use]
    pub fn needs_decision(&self) -> bool {
        !(self.likely.is_empty() && self.questions.is_empty() && self.unusable.is_empty())
    }
}

/// Rows and pages that are on one side only, and what was said about them.
#[derive(Default)]
struct Open {
    rows: BTreeMap<RowKey, Sighting>,
    pages: BTreeMap<PageId, Sighting>,
    /// Keys of rows that have their page.
    taken: BTreeSet<RowKey>,
}

/// What becomes of the halves.
#[derive(Default)]
struct Sorted {
    rows_alone: BTreeSet<RowKey>,
    pages_alone: BTreeSet<PageId>,
    /// Pages that a person said to belong to no row that is there.
    new_pages: BTreeSet<PageId>,
    /// Pages that a person said to belong to the lost row whose key they carry.
    own_pages: BTreeSet<PageId>,
    choices: matching::Choices,
    skipped: Vec<Skipped>,
}

impl<W: Parts> Engine<W>
where
    W::Store: Operations + Choices,
    W::Pages: Portions,
{
    /// Pairs what the looks left alone, as far as `what` accepts it, and sets aside what has to be asked.
    pub(super) async fn match_unlinked(
        &self,
        what: &Recovery,
        which: &[usize],
        views: &mut [View],
    ) -> Result<Vec<Matches>, EngineError> {
        let mut all = Vec::with_capacity(which.len());
        for (place, &at) in which.iter().enumerate() {
            let matches = self.match_one(what, &self.bound[at], &mut views[place]).await?;
            if !matches.linked.is_empty() {
                // What refers to these pages means their rows, and is compared as such.
                self.name_the_found(which, views);
            }
            all.push(matches);
        }
        Ok(all)
    }

    async fn match_one(
        &self,
        what: &Recovery,
        bound: &Bound<W>,
        view: &mut View,
    ) -> Result<Matches, EngineError> {
        let mapping = &*bound.mapping;
        let said: Vec<Said> =
            self.store.choices(Some(&mapping.name)).await?.into_iter().map(|one| one.said).collect();
        let mut open = Open::take(view, &said);
        self.add_doubles(bound, view, &mut open).await?;
        let mut matches = Matches { mapping: mapping.name.clone(), ..Matches::default() };
        let mut sorted = Sorted::default();
        follow(&said, &open, &mut sorted, &mut matches);
        let asked = |key: &RowKey| sorted.skipped.iter().any(|one| one.key.as_ref() == Some(key));
        let asked_page = |page: PageId| sorted.skipped.iter().any(|one| one.page == Some(page));
        // What is on one side only is compared by nothing but its names.
        let compares = !open.rows.is_empty() && !open.pages.is_empty();
        let row = |(key, seen): (&RowKey, &Sighting)| match compares {
            true => Row::seen(mapping, key, seen),
            false => {
                let half = RowHalf::seen(mapping, key, seen);
                Row { half, title: String::new(), content: Vec::new() }
            }
        };
        let page = |(id, seen): (&PageId, &Sighting)| match compares {
            true => Page::seen(mapping, *id, seen),
            false => {
                let half = PageHalf::seen(mapping, *id, seen);
                Page { half, title: String::new(), content: Vec::new() }
            }
        };
        let rows = (open.rows.iter()).filter(|(key, _)| !sorted.rows_alone.contains(*key) && !asked(key));
        let pages =
            (open.pages.iter()).filter(|(id, _)| !sorted.pages_alone.contains(id) && !asked_page(**id));
        let (rows, pages) = (rows.map(row).collect(), pages.map(page).collect());
        let found = self.compare(rows, pages, take(&mut sorted.choices)).await?;
        matches.name(mapping, &found, &open);
        sort(found, what, &open, view, &mut sorted, &mut matches);
        open.give_back(mapping, view, sorted);
        matches.keep(what);
        Ok(matches)
    }

    /// Adds halves that fit several by something that is certain for each: an answer may tell them apart by now.
    async fn add_doubles(
        &self,
        bound: &Bound<W>,
        view: &mut View,
        open: &mut Open,
    ) -> Result<(), EngineError> {
        let mapping = bound.mapping.name.as_str();
        let doubles = || view.skipped.iter().filter(|one| matches!(one.why, Why::Double { .. }));
        let keys: Vec<RowKey> =
            doubles().filter(|one| one.page.is_none()).filter_map(|one| one.key.clone()).collect();
        let pages: Vec<PageId> =
            doubles().filter(|one| one.key.is_none()).filter_map(|one| one.page).collect();
        if !keys.is_empty() {
            let mut take = |seen: Seen<RowKey>| {
                if let Observation::Present(row) = seen.observation {
                    open.rows.insert(seen.id, row);
                }
            };
            let looked = bound.rows.look(Scope::These(&keys), &mut take).await;
            looked.map_err(|error| rows_error(mapping, error))?;
        }
        if !pages.is_empty() {
            let mut take = |seen: Seen<PageId>| {
                if let Observation::Present(page) = seen.observation {
                    open.pages.insert(seen.id, page);
                }
            };
            match self.known.get(mapping).and_then(|known| known.pages.as_ref()) {
                Some((read, _)) => {
                    let wanted: BTreeSet<PageId> = pages.iter().copied().collect();
                    read.iter().filter(|seen| wanted.contains(&seen.id)).cloned().for_each(take);
                }
                None => {
                    let nobody = Relatives::default();
                    let relatives = self.relatives.as_ref().unwrap_or(&nobody);
                    let look = bound.pages.look(Scope::These(&pages), relatives, &mut take);
                    self.keeping_lease(look).await?.map_err(|error| pages_error(mapping, error))?;
                }
            }
        }
        view.skipped.retain(|one| match (&one.why, &one.key, one.page) {
            (Why::Double { .. }, Some(key), None) => !open.rows.contains_key(key),
            (Why::Double { .. }, None, Some(page)) => !open.pages.contains_key(&page),
            _ => true,
        });
        Ok(())
    }

    /// Compares rows and pages, beside everything else: a hundred thousand of each take seconds.
    async fn compare(
        &self,
        rows: Vec<Row>,
        pages: Vec<Page>,
        choices: matching::Choices,
    ) -> Result<Matching, EngineError> {
        // A title in another script is worth a question.
        let reading = Reading { transliterate: true };
        let work = tokio::task::spawn_blocking(move || match_up(&rows, &pages, &choices, reading));
        match self.keeping_lease(work).await? {
            Ok(found) => Ok(found),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Does as people said, before anything is compared.
fn follow(said: &[Said], open: &Open, sorted: &mut Sorted, matches: &mut Matches) {
    for one in said {
        match one {
            Said::NewRow(key) => {
                sorted.rows_alone.extend(open.rows.contains_key(key).then(|| key.clone()));
            }
            Said::NewPage(page) => {
                sorted.pages_alone.extend(open.pages.contains_key(page).then_some(*page));
                sorted.new_pages.insert(*page);
            }
            Said::Same(key, page) => match (open.rows.contains_key(key), open.pages.get(page)) {
                (true, Some(_)) => {
                    sorted.choices.accepted.insert(key.clone(), *page);
                }
                // The row itself is what was lost.
                (false, Some(seen)) if seen.marker.as_deref() == Some(key.as_str()) => {
                    sorted.pages_alone.insert(*page);
                    sorted.own_pages.insert(*page);
                }
                (false, None) => {}
                (has_row, has_page) => {
                    let (key, page) = (key.clone(), *page);
                    let halves = (has_row.then(|| key.clone()), has_page.map(|_| page));
                    sorted.skipped.push(Skipped { key: halves.0, page: halves.1, why: Why::Asked });
                    matches.unusable.push((key, page));
                }
            },
        }
    }
}

/// What becomes of what was compared: a link, a question, or a record of its own.
fn sort(
    found: Matching,
    what: &Recovery,
    open: &Open,
    view: &mut View,
    sorted: &mut Sorted,
    matches: &mut Matches,
) {
    for pair in found.pairs {
        // Something alike is no reason to doubt the key that a page carries; only the same title is.
        if pair.contradicted && pair.tier > Tier::ExactTitle {
            sorted.rows_alone.insert(pair.row);
            sorted.pages_alone.insert(pair.page);
        } else if pair.confidence >= what.accept {
            if let (Some(row), Some(page)) = (open.rows.get(&pair.row), open.pages.get(&pair.page)) {
                let (postgres, notion) = (row.clone(), page.clone());
                view.pairs.push(Pair {
                    identity: Identity::Adopted { key: pair.row.clone(), page: pair.page },
                    seen: Sides {
                        postgres: Observation::Present(postgres),
                        notion: Observation::Present(notion),
                    },
                });
            }
            matches.linked.push(pair);
        } else {
            let (key, page) = (Some(pair.row.clone()), Some(pair.page));
            sorted.skipped.push(Skipped { key, page, why: Why::Asked });
            matches.likely.push(pair);
        }
    }
    for question in found.questions {
        let mut candidates = question.candidates.iter();
        let alike_only = question.tier > Tier::ExactTitle
            && candidates.all(|candidate| open.contradict(&candidate.row, candidate.page));
        if alike_only {
            sorted.rows_alone.extend(question.rows);
            sorted.pages_alone.extend(question.pages);
            continue;
        }
        let names = question.rows.iter().map(ToString::to_string);
        let candidates: Vec<String> = names.chain(question.pages.iter().map(ToString::to_string)).collect();
        let why = || match question.tier {
            Tier::ExactTitle | Tier::SimilarTitle | Tier::SimilarContent => Why::Asked,
            Tier::Chosen | Tier::StoredPageId | Tier::KeyProperty | Tier::NaturalKey | Tier::Checksum => {
                Why::Double { candidates: candidates.clone() }
            }
        };
        let rows = question.rows.iter().map(|key| (Some(key.clone()), None));
        let halves = rows.chain(question.pages.iter().map(|page| (None, Some(*page))));
        sorted.skipped.extend(halves.map(|(key, page)| Skipped { key, page, why: why() }));
        matches.questions.push(question);
    }
    sorted.rows_alone.extend(found.rows_alone);
    sorted.pages_alone.extend(found.pages_alone);
}

impl Open {
    /// Takes out of a view what has no other half, and pairs that were said to be none.
    fn take(view: &mut View, said: &[Said]) -> Self {
        let mut open = Self::default();
        let by_row: BTreeMap<&RowKey, &Said> =
            said.iter().filter_map(|one| Some((one.row()?, one))).collect();
        let by_page: BTreeMap<PageId, &Said> =
            said.iter().filter_map(|one| Some((one.page()?, one))).collect();
        let is_refused = |key: &RowKey, page: PageId| {
            let same = Said::Same(key.clone(), page);
            by_row.get(key).is_some_and(|one| **one != same)
                || by_page.get(&page).is_some_and(|one| **one != same)
        };
        for Pair { identity, seen } in take(&mut view.pairs) {
            match (identity, seen.postgres, seen.notion) {
                (Identity::Row(key), Observation::Present(row), Observation::Absent(Absence::Deleted)) => {
                    open.rows.insert(key, row);
                }
                (Identity::Page(page), Observation::Absent(Absence::Deleted), Observation::Present(seen)) => {
                    open.pages.insert(page, seen);
                }
                (Identity::Adopted { key, page }, Observation::Present(row), Observation::Present(seen))
                    if is_refused(&key, page) =>
                {
                    open.rows.insert(key, row);
                    open.pages.insert(page, seen);
                }
                (identity, postgres, notion) => {
                    open.taken.extend(identity.key().cloned());
                    view.pairs.push(Pair { identity, seen: Sides { postgres, notion } });
                }
            }
        }
        open
    }

    /// Whether the page carries another row's key, or the row another page's id.
    fn contradict(&self, key: &RowKey, page: PageId) -> bool {
        let named = |seen: Option<&Sighting>| seen.and_then(|seen| seen.marker.clone());
        named(self.pages.get(&page)).is_some_and(|named| named != key.as_str())
            || named(self.rows.get(key))
                .and_then(|named| PageId::parse(&named))
                .is_some_and(|named| named != page)
    }

    /// Gives the view back what is a record of its own, and what has to be asked.
    fn give_back(mut self, mapping: &Mapping, view: &mut View, mut sorted: Sorted) {
        self.give_keys(mapping, &mut sorted);
        let gone = || Observation::Absent(Absence::Deleted);
        for key in sorted.rows_alone {
            if let Some(row) = self.rows.remove(&key) {
                let seen = Sides { postgres: Observation::Present(row), notion: gone() };
                view.pairs.push(Pair { identity: Identity::Row(key), seen });
            }
        }
        for page in sorted.pages_alone {
            if let Some(seen) = self.pages.remove(&page) {
                let seen = Sides { postgres: gone(), notion: Observation::Present(seen) };
                view.pairs.push(Pair { identity: Identity::Page(page), seen });
            }
        }
        view.skipped.append(&mut sorted.skipped);
    }

    /// The key that a page carries is the key of the row that is made from it: of one row at most.
    fn give_keys(&mut self, mapping: &Mapping, sorted: &mut Sorted) {
        let mut claims: BTreeMap<RowKey, Vec<PageId>> = BTreeMap::new();
        for page in sorted.pages_alone.iter().filter(|_| mapping.key_property) {
            if let Some(marker) = self.pages.get(page).and_then(|seen| seen.marker.as_deref()) {
                claims.entry(marker.into()).or_default().push(*page);
            }
        }
        for (key, claimants) in claims {
            let is_taken = self.taken.contains(&key) || self.rows.contains_key(&key);
            let owner = if is_taken { None } else { sorted.owner(&claimants) };
            let candidates: Vec<String> = claimants.iter().map(ToString::to_string).collect();
            for page in claimants.into_iter().filter(|page| Some(*page) != owner) {
                if !sorted.new_pages.contains(&page) {
                    sorted.pages_alone.remove(&page);
                    let why = Why::Double { candidates: candidates.clone() };
                    sorted.skipped.push(Skipped { key: None, page: Some(page), why });
                } else if let Some(seen) = self.pages.get_mut(&page) {
                    // Its row gets a key of its own.
                    seen.marker = None;
                }
            }
        }
    }
}

impl Sorted {
    /// Whose the key is that these pages carry, where that can be told.
    fn owner(&self, claimants: &[PageId]) -> Option<PageId> {
        if let Some(said) = claimants.iter().find(|page| self.own_pages.contains(page)) {
            return Some(*said);
        }
        let mut others = claimants.iter().filter(|page| !self.new_pages.contains(page));
        match (others.next(), others.next()) {
            (Some(only), None) => Some(*only),
            (Some(_), Some(_)) => None,
            (None, _) => claimants.first().copied(),
        }
    }
}

impl Matches {
    /// Keeps the titles of what is in a pair or a question.
    fn name(&mut self, mapping: &Mapping, found: &Matching, open: &Open) {
        let pairs = found.pairs.iter().map(|pair| (&pair.row, pair.page));
        let (mut rows, mut pages): (BTreeSet<&RowKey>, BTreeSet<PageId>) = pairs.unzip();
        for question in &found.questions {
            rows.extend(&question.rows);
            rows.extend(question.candidates.iter().map(|candidate| &candidate.row));
            pages.extend(&question.pages);
            pages.extend(question.candidates.iter().map(|candidate| candidate.page));
        }
        for key in rows {
            let title = open.rows.get(key).map(|seen| Row::seen(mapping, key, seen).title);
            self.row_titles.extend(title.filter(|title| !title.is_empty()).map(|title| (key.clone(), title)));
        }
        for page in pages {
            let title = open.pages.get(&page).map(|seen| Page::seen(mapping, page, seen).title);
            self.page_titles.extend(title.filter(|title| !title.is_empty()).map(|title| (page, title)));
        }
    }

    /// Leaves out what is not about the records that are recovered.
    fn keep(&mut self, what: &Recovery) {
        if what.records.is_empty() {
            return;
        }
        let is_meant = |key: &RowKey| what.records.contains(key);
        self.linked.retain(|pair| is_meant(&pair.row));
        self.likely.retain(|pair| is_meant(&pair.row));
        self.questions.retain(|question| question.rows.iter().any(is_meant));
        self.unusable.retain(|(key, _)| is_meant(key));
    }
}
