//! The rows and pages of one mapping that are on one side only, what was said about them, and what becomes of each: a
//! link, a question, or a record of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

use pagerow_core::{
    adopt::{PageHalf, RowHalf},
    fidelity::agree,
    mapping::Mapping,
    matching::{Choices, Confidence, Match, Matching, Page, Question, Row, Tier},
    observation::{Absence, Identity, Observation, Pair, Sighting},
    plan::{Skipped, Why},
    record::{PageId, RowKey},
    side::Sides,
};

use super::Matches;
use crate::{
    engine::look::{RecordName, View},
    replica::Relatives,
    store::Said,
};

/// What lies open of one mapping.
pub(super) struct Table<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) rows: BTreeMap<RowKey, Sighting>,
    pub(super) pages: BTreeMap<PageId, Sighting>,
    /// Keys of rows that have their page.
    taken: BTreeSet<RowKey>,
    /// These need no comparing.
    rows_alone: BTreeSet<RowKey>,
    pages_alone: BTreeSet<PageId>,
    /// Pages that a person said to belong to no row that is there.
    new_pages: BTreeSet<PageId>,
    /// Pages that a person said to belong to the lost row whose key they carry.
    own_pages: BTreeSet<PageId>,
    /// These wait for another answer.
    waiting: (BTreeSet<RowKey>, BTreeSet<PageId>),
    unusable: Vec<(RowKey, PageId)>,
    /// Rows and pages that a person took apart, and those of them of which nobody has said more since.
    parted: BTreeSet<(RowKey, PageId)>,
    parted_rows: BTreeSet<RowKey>,
    parted_pages: BTreeSet<PageId>,
    /// What a person has said.
    chosen: BTreeMap<RowKey, PageId>,
    /// What was accepted so far.
    linked: BTreeMap<RowKey, Match>,
    /// What the last comparison found.
    found: Matching,
}

/// What is compared.
pub(super) struct Halves {
    pub(super) rows: Vec<Row>,
    pub(super) pages: Vec<Page>,
    pub(super) choices: Choices,
}

impl<'a> Table<'a> {
    /// Takes out of a view what has no other half, and pairs that were said to be none.
    pub(super) fn lay(
        mapping: &'a Mapping,
        view: &mut View,
        said: &[Said],
        parted: BTreeSet<(RowKey, PageId)>,
    ) -> Self {
        let mut table = Self {
            mapping,
            rows: BTreeMap::new(),
            pages: BTreeMap::new(),
            taken: BTreeSet::new(),
            rows_alone: BTreeSet::new(),
            pages_alone: BTreeSet::new(),
            new_pages: BTreeSet::new(),
            own_pages: BTreeSet::new(),
            waiting: (BTreeSet::new(), BTreeSet::new()),
            unusable: Vec::new(),
            parted: BTreeSet::new(),
            parted_rows: BTreeSet::new(),
            parted_pages: BTreeSet::new(),
            chosen: BTreeMap::new(),
            linked: BTreeMap::new(),
            found: Matching::default(),
        };
        let by_row: BTreeMap<&RowKey, &Said> =
            said.iter().filter_map(|one| Some((one.row()?, one))).collect();
        let by_page: BTreeMap<PageId, &Said> =
            said.iter().filter_map(|one| Some((one.page()?, one))).collect();
        let rows = parted.iter().map(|(key, _)| key).filter(|key| !by_row.contains_key(key));
        let pages = parted.iter().map(|(_, page)| *page).filter(|page| !by_page.contains_key(page));
        (table.parted_rows, table.parted_pages) = (rows.cloned().collect(), pages.collect());
        let is_refused = |key: &RowKey, page: PageId| {
            let said = [by_row.get(key), by_page.get(&page)];
            said.into_iter().flatten().any(|one| **one != Said::Same(key.clone(), page))
        };
        for Pair { identity, seen } in take(&mut view.pairs) {
            use Absence::Deleted;
            use Observation::{Absent, Present};
            match (identity, seen.postgres, seen.notion) {
                (Identity::Row(key), Present(row), Absent(Deleted)) => {
                    table.rows.insert(key, row);
                }
                (Identity::Page(page), Absent(Deleted), Present(seen)) => {
                    table.pages.insert(page, seen);
                }
                (Identity::Adopted { key, page }, Present(row), Present(seen)) if is_refused(&key, page) => {
                    table.rows.insert(key, row);
                    table.pages.insert(page, seen);
                }
                (identity, postgres, notion) => {
                    table.taken.extend(identity.key().cloned());
                    view.pairs.push(Pair { identity, seen: Sides { postgres, notion } });
                }
            }
        }
        table.parted = parted;
        table
    }

    /// Does as people said, before anything is compared.
    pub(super) fn follow(&mut self, said: &[Said]) {
        for one in said {
            match one {
                Said::NewRow(key) => {
                    self.rows_alone.extend(self.rows.contains_key(key).then(|| key.clone()));
                }
                Said::NewPage(page) => {
                    self.pages_alone.extend(self.pages.contains_key(page).then_some(*page));
                    self.new_pages.insert(*page);
                }
                Said::Same(key, page) => match (self.rows.contains_key(key), self.pages.get_mut(page)) {
                    (true, Some(_)) => {
                        self.chosen.insert(key.clone(), *page);
                    }
                    // The row itself is what was lost: it comes back under the key that it had.
                    (false, Some(seen)) if self.mapping.key_property && may_carry(seen, key) => {
                        seen.marker = Some(key.to_string());
                        self.pages_alone.insert(*page);
                        self.own_pages.insert(*page);
                    }
                    (false, None) => {}
                    (true, None) | (false, Some(_)) => {
                        self.waiting.0.insert(key.clone());
                        self.waiting.1.insert(*page);
                        self.unusable.push((key.clone(), *page));
                    }
                },
            }
        }
    }

    /// Whether a comparison that knows more relatives could find more.
    pub(super) fn may_learn(&self) -> bool {
        let is_open = self.found.pairs.len() > self.linked.len() || !self.found.questions.is_empty();
        is_open && self.mapping.fields.iter().any(|field| field.related().is_some())
    }

    /// Puts the rows of pages that are known in the place of the pages, wherever they are referred to.
    pub(super) fn name_rows(&mut self, found: &Relatives) {
        self.pages.values_mut().for_each(|page| found.name_rows(self.mapping, &mut page.record));
    }

    /// What is to be compared. `has_page` says of which rows of which mapping the page is known.
    pub(super) fn halves(&self, has_page: impl Fn(&str, &RowKey) -> bool) -> Halves {
        // What is on one side only is compared by nothing but its names.
        let compares = !self.rows.is_empty() && !self.pages.is_empty();
        let row = |(key, seen): (&RowKey, &Sighting)| match compares {
            true => Row::seen(self.mapping, key, seen, &has_page),
            false => {
                let half = RowHalf::seen(self.mapping, key, seen);
                Row { half, title: String::new(), content: Vec::new() }
            }
        };
        let page = |(id, seen): (&PageId, &Sighting)| match compares {
            true => Page::seen(self.mapping, *id, seen),
            false => {
                let half = PageHalf::seen(self.mapping, *id, seen);
                Page { half, title: String::new(), content: Vec::new() }
            }
        };
        let is_open = |key: &RowKey| !self.rows_alone.contains(key) && !self.waiting.0.contains(key);
        let is_open_page = |id: &PageId| !self.pages_alone.contains(id) && !self.waiting.1.contains(id);
        let mut choices = Choices { accepted: self.chosen.clone(), refused: self.parted.clone() };
        // What was linked before stays so, and near to what it is near to.
        choices.accepted.extend(self.linked.values().map(|pair| (pair.row.clone(), pair.page)));
        Halves {
            rows: self.rows.iter().filter(|(key, _)| is_open(key)).map(row).collect(),
            pages: self.pages.iter().filter(|(id, _)| is_open_page(id)).map(page).collect(),
            choices,
        }
    }

    /// Takes in what a comparison found; answers which pairs are accepted by it and were not before.
    pub(super) fn take(&mut self, mut found: Matching, accept: Confidence) -> Vec<(RowKey, PageId)> {
        let mut new = Vec::new();
        // What says the same in every field is as sure as its checksum would be.
        for pair in
            found.pairs.iter_mut().filter(|pair| pair.tier == Tier::ExactTitle && self.are_equal(pair))
        {
            (pair.tier, pair.confidence) = (Tier::Checksum, Confidence::High);
        }
        for pair in &found.pairs {
            let is_accepted = pair.confidence >= accept && !is_alike_only(pair.tier, pair.contradicted);
            if is_accepted && !self.linked.contains_key(&pair.row) {
                new.push((pair.row.clone(), pair.page));
                self.linked.insert(pair.row.clone(), pair.clone());
            }
        }
        self.found = found;
        new
    }

    /// Gives the view back what is one record, what is a record of its own, and what has to be asked: whatever is not less
    /// likely than this.
    pub(super) fn clear(mut self, view: &mut View, least: Confidence) -> Matches {
        let found = take(&mut self.found);
        let mut matches = Matches {
            mapping: self.mapping.name.clone(),
            unusable: take(&mut self.unusable),
            ..Matches::default()
        };
        for (key, page) in &matches.unusable {
            let key = self.rows.contains_key(key).then(|| key.clone());
            let page = self.pages.contains_key(page).then_some(*page);
            view.skipped.push(Skipped { key, page, why: Why::Asked });
        }
        let is_nameless = |seen: Option<&Sighting>| {
            seen.is_some_and(|seen| seen.marker.as_deref().is_none_or(str::is_empty))
        };
        let (rows, pages) = (found.rows_alone.iter(), found.pages_alone.iter());
        let rows = rows.filter(|key| !self.parted_rows.contains(key));
        let pages = pages.filter(|page| !self.parted_pages.contains(page));
        matches.rows_alone = rows.filter(|key| is_nameless(self.rows.get(key))).count() as u64;
        matches.pages_alone = pages.filter(|page| is_nameless(self.pages.get(page))).count() as u64;
        self.rows_alone.extend(found.rows_alone);
        self.pages_alone.extend(found.pages_alone);
        for pair in found.pairs {
            if let Some(linked) = self.linked.remove(&pair.row) {
                self.name(&mut matches, &[&linked.row], &[linked.page]);
                view.pairs.extend(self.pair(&linked));
                matches.linked.push(linked);
            } else if is_alike_only(pair.tier, pair.contradicted)
                || pair.tier > Tier::ExactTitle && pair.confidence < least
            {
                self.rows_alone.insert(pair.row);
                self.pages_alone.insert(pair.page);
            } else {
                self.name(&mut matches, &[&pair.row], &[pair.page]);
                let (key, page) = (Some(pair.row.clone()), Some(pair.page));
                view.skipped.push(Skipped { key, page, why: Why::Asked });
                matches.likely.push(pair);
            }
        }
        for question in found.questions {
            let contradicted = question.candidates.iter().all(|one| self.contradict(&one.row, one.page));
            // Of several that are only alike none is likely by itself.
            let is_unlikely = question.tier > Tier::ExactTitle && least > Confidence::Low;
            if is_alike_only(question.tier, contradicted) || is_unlikely {
                self.rows_alone.extend(question.rows);
                self.pages_alone.extend(question.pages);
                continue;
            }
            let candidates = question.candidates.iter();
            let (rows, pages): (Vec<&RowKey>, Vec<PageId>) =
                candidates.map(|one| (&one.row, one.page)).unzip();
            self.name(&mut matches, &rows, &pages);
            let rows: Vec<&RowKey> = question.rows.iter().collect();
            self.name(&mut matches, &rows, &question.pages);
            view.skipped.extend(asked(&question));
            matches.questions.push(question);
        }
        self.hold_parted(view, &mut matches);
        self.give_keys(view);
        self.give_back(view);
        matches
    }

    /// What was taken apart is like nothing else: whether it is a record of its own, only a person knows.
    fn hold_parted(&mut self, view: &mut View, matches: &mut Matches) {
        let rows = self.rows_alone.extract_if(.., |key| self.parted_rows.contains(key));
        let mut names: Vec<RecordName> = rows.map(|key| (Some(key), None)).collect();
        let pages = self.pages_alone.extract_if(.., |page| self.parted_pages.contains(page));
        names.extend(pages.map(|page| (None, Some(page))));
        for (key, page) in &names {
            self.name(matches, &key.iter().collect::<Vec<_>>(), page.as_slice());
            view.skipped.push(Skipped { key: key.clone(), page: *page, why: Why::Asked });
        }
        matches.parted = names;
    }

    /// A row and a page that are one record from now on.
    fn pair(&mut self, linked: &Match) -> Option<Pair> {
        let (row, page) = (self.rows.remove(&linked.row)?, self.pages.remove(&linked.page)?);
        self.taken.insert(linked.row.clone());
        Some(Pair {
            identity: Identity::Adopted { key: linked.row.clone(), page: linked.page },
            seen: Sides { postgres: Observation::Present(row), notion: Observation::Present(page) },
        })
    }

    /// Whether the two halves agree in every field, and that is more than a name.
    fn are_equal(&self, pair: &Match) -> bool {
        let (Some(row), Some(page)) = (self.rows.get(&pair.row), self.pages.get(&pair.page)) else {
            return false;
        };
        let fields = self.mapping.fields.iter().enumerate().filter(|(_, field)| !field.is_paused());
        let mut said = 0;
        for (place, field) in fields {
            let (Some(row), Some(page)) = (row.record.get(place), page.record.get(place)) else {
                return false;
            };
            if !agree(row, page, field) {
                return false;
            }
            said += u32::from(!row.is_empty());
        }
        said > 1 && !pair.contradicted
    }

    /// Whether the page carries another row's key, or the row another page's id.
    fn contradict(&self, key: &RowKey, page: PageId) -> bool {
        let marker = |seen: Option<&Sighting>| seen.and_then(|seen| seen.marker.clone());
        let named_row = marker(self.pages.get(&page)).filter(|text| !text.is_empty());
        let named_page = marker(self.rows.get(key)).and_then(|text| PageId::parse(&text));
        named_row.is_some_and(|named| named != key.as_str()) || named_page.is_some_and(|named| named != page)
    }

    /// Keeps the titles of what is named.
    fn name(&self, matches: &mut Matches, rows: &[&RowKey], pages: &[PageId]) {
        for key in rows {
            let row = self.rows.get(*key).map(|seen| Row::seen(self.mapping, key, seen, |_, _| false));
            let title = row.map(|row| row.title).filter(|title| !title.is_empty());
            matches.row_titles.extend(title.map(|title| ((*key).clone(), title)));
        }
        for page in pages {
            let seen = self.pages.get(page).map(|seen| Page::seen(self.mapping, *page, seen));
            let title = seen.map(|page| page.title).filter(|title| !title.is_empty());
            matches.page_titles.extend(title.map(|title| (*page, title)));
        }
    }

    /// The key that a page carries is the key of the row that is made from it: of one row at most.
    fn give_keys(&mut self, view: &mut View) {
        let mut claims: BTreeMap<RowKey, Vec<PageId>> = BTreeMap::new();
        for page in self.pages_alone.iter().filter(|_| self.mapping.key_property) {
            let marker = self.pages.get(page).and_then(|seen| seen.marker.as_deref());
            if let Some(marker) = marker.filter(|text| !text.is_empty()) {
                claims.entry(marker.into()).or_default().push(*page);
            }
        }
        for (key, claimants) in claims {
            let is_taken = self.taken.contains(&key) || self.rows.contains_key(&key);
            let owner = if is_taken { None } else { self.owner(&claimants) };
            let candidates: Vec<String> = claimants.iter().map(ToString::to_string).collect();
            for page in claimants.into_iter().filter(|page| Some(*page) != owner) {
                if !self.new_pages.contains(&page) {
                    self.pages_alone.remove(&page);
                    let why = Why::Double { candidates: candidates.clone() };
                    view.skipped.push(Skipped { key: None, page: Some(page), why });
                } else if let Some(seen) = self.pages.get_mut(&page) {
                    // Its row gets a key of its own.
                    seen.marker = None;
                }
            }
        }
    }

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

    fn give_back(mut self, view: &mut View) {
        let gone = || Observation::Absent(Absence::Deleted);
        for key in self.rows_alone {
            if let Some(row) = self.rows.remove(&key) {
                let seen = Sides { postgres: Observation::Present(row), notion: gone() };
                view.pairs.push(Pair { identity: Identity::Row(key), seen });
            }
        }
        for page in self.pages_alone {
            if let Some(seen) = self.pages.remove(&page) {
                let seen = Sides { postgres: gone(), notion: Observation::Present(seen) };
                view.pairs.push(Pair { identity: Identity::Page(page), seen });
            }
        }
    }
}

/// Whether a page carries this key, or none.
fn may_carry(page: &Sighting, key: &RowKey) -> bool {
    page.marker.as_deref().is_none_or(|marker| marker.is_empty() || marker == key.as_str())
}

/// Something alike is no reason to doubt the key that a page carries; only the same title is.
fn is_alike_only(tier: Tier, contradicted: bool) -> bool {
    contradicted && tier > Tier::ExactTitle
}

/// All halves of a question, as nothing is done for them.
fn asked(question: &Question) -> Vec<Skipped> {
    let rows = question.rows.iter().map(|key| (Some(key.clone()), None));
    let pages = question.pages.iter().map(|page| (None, Some(*page)));
    let names = question.rows.iter().map(ToString::to_string);
    let candidates: Vec<String> = names.chain(question.pages.iter().map(ToString::to_string)).collect();
    let why = || match question.tier {
        Tier::ExactTitle | Tier::SimilarTitle | Tier::SimilarContent => Why::Asked,
        Tier::Chosen | Tier::StoredPageId | Tier::KeyProperty | Tier::NaturalKey | Tier::Checksum => {
            Why::Double { candidates: candidates.clone() }
        }
    };
    rows.chain(pages).map(|(key, page)| Skipped { key, page, why: why() }).collect()
}
