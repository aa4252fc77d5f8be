//! Which page belongs to which row where no link and no key says so: what a recovery takes for one record by what people
//! said or wrote, and what it asks.
//!
//! What is asked about waits: neither half is made a second time on the other side before somebody has answered.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    matching::{Confidence, Match, Matching, Question, Reading, match_up},
    observation::{Identity, Observation, Pair},
    plan::{Skipped, Why},
    record::{PageId, RowKey},
};

use self::table::{Halves, Table};
use super::{
    Bound, Engine, EngineError, Parts,
    look::{View, pages_error, rows_error},
};
use crate::{
    replica::{Pages as _, Relatives, Rows as _, Scope, Seen},
    store::{Choices as _, Questions as _, Said},
};

/// What was found may tell more of what refers to it. So often it is looked for.
const ROUNDS: u32 = 4;

/// Whatever is compared in one step instead of beside everything else: it takes less than a look.
const FEW: usize = 2_000;

/// Which rows and pages are compared, and what becomes of the likely pairs.
pub(super) struct Comparing<'a> {
    /// These become links.
    pub(super) accept: Confidence,
    /// Those that are less likely, and do not have one title, are no pairs at all: each half is a record of its own.
    pub(super) least: Confidence,
    /// Only what is about the records of these rows is told; all when none is named.
    pub(super) records: &'a BTreeSet<RowKey>,
    /// Whether a mapping's are compared.
    pub(super) which: fn(&View) -> bool,
}

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
    /// Halves of links that were taken apart, of which nobody has said more: they wait.
    pub parted: Vec<(Option<RowKey>, Option<PageId>)>,
    /// How many rows and pages that carry no name of another half are like none: each is a record of its own.
    pub rows_alone: u64,
    pub pages_alone: u64,
    /// The titles of the rows and pages above, as far as they have one.
    pub row_titles: BTreeMap<RowKey, String>,
    pub page_titles: BTreeMap<PageId, String>,
}

impl Matches {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.linked.is_empty() && !self.needs_decision() && (self.rows_alone == 0 || self.pages_alone == 0)
    }

    /// Whether a person has to say who belongs to whom.
    #[must_use]
    pub fn needs_decision(&self) -> bool {
        !(self.likely.is_empty()
            && self.questions.is_empty()
            && self.unusable.is_empty()
            && self.parted.is_empty())
    }

    /// Leaves out what is not about the records that are recovered.
    fn keep(&mut self, records: &BTreeSet<RowKey>) {
        if records.is_empty() {
            return;
        }
        (self.rows_alone, self.pages_alone) = (0, 0);
        let is_meant = |key: &RowKey| records.contains(key);
        self.linked.retain(|pair| is_meant(&pair.row));
        self.likely.retain(|pair| is_meant(&pair.row));
        self.questions.retain(|question| question.rows.iter().any(is_meant));
        self.unusable.retain(|(key, _)| is_meant(key));
    }
}

impl<W: Parts> Engine<W> {
    /// Compares a mapping's rows and pages when they meet for the first time, as far as both have what no key brings
    /// together: what may well be one record is asked about, where two would be made of it. Answers what is asked.
    pub(super) async fn compare_strangers(
        &self,
        which: &[usize],
        views: &mut [View],
    ) -> Result<Vec<Matches>, EngineError> {
        let how = Comparing {
            accept: Confidence::High,
            least: Confidence::Medium,
            records: &BTreeSet::new(),
            which: are_strangers,
        };
        if !views.iter().any(are_strangers) {
            return Ok(Vec::new());
        }
        self.match_unlinked(&how, which, views).await
    }

    /// Pairs what the looks left alone, as far as it is accepted, and sets aside what has to be asked.
    pub(super) async fn match_unlinked(
        &self,
        how: &Comparing<'_>,
        which: &[usize],
        views: &mut [View],
    ) -> Result<Vec<Matches>, EngineError> {
        // Who is whose by this look: a page that refers to one of them means its row.
        let mut found = Relatives::default();
        let mut tables = Vec::with_capacity(which.len());
        for (&at, view) in which.iter().zip(&mut *views) {
            let mapping = &*self.bound[at].mapping;
            for pair in &view.pairs {
                if let Identity::Adopted { key, page } = &pair.identity {
                    found.add(&mapping.name, key.clone(), *page);
                }
            }
            if !(how.which)(view) {
                continue;
            }
            let said = self.store.choices(Some(&mapping.name)).await?;
            let said: Vec<Said> = said.into_iter().map(|choice| choice.said).collect();
            let parted = self.store.parted(&mapping.name).await?;
            let mut table = Table::lay(mapping, view, &said, parted);
            self.add_doubles(&self.bound[at], view, &mut table, &said).await?;
            table.follow(&said);
            tables.push((table, view));
        }
        let mut is_more = false;
        for round in 0..ROUNDS {
            let mut is_news = false;
            for (table, _) in &mut tables {
                if round > 0 && !table.may_learn() {
                    continue;
                }
                table.name_rows(&found);
                let has_page = |related: &str, key: &RowKey| {
                    let linked = self.relatives.as_ref().and_then(|known| known.page(related, key));
                    linked.or_else(|| found.page(related, key)).is_some()
                };
                let matching = self.compare(table.halves(has_page)).await?;
                for (key, page) in table.take(matching, how.accept) {
                    found.add(&table.mapping.name, key, page);
                    is_news = true;
                }
            }
            is_more |= is_news;
            if !is_news {
                break;
            }
        }
        let clear = |(table, view): (Table<'_>, &mut View)| {
            let mut matches = table.clear(view, how.least);
            matches.keep(how.records);
            matches
        };
        let all = tables.into_iter().map(clear).collect();
        if is_more {
            self.name_the_found(which, views);
        }
        Ok(all)
    }

    /// Rows and pages that this look found to be one record are known to each other from here on: a page that refers to
    /// one of these pages means its row.
    pub(super) fn name_the_found(&self, which: &[usize], views: &mut [View]) {
        let mut found = Relatives::default();
        for (&at, view) in which.iter().zip(&*views) {
            for pair in &view.pairs {
                if let Identity::Adopted { key, page } = &pair.identity {
                    found.add(&self.bound[at].mapping.name, key.clone(), *page);
                }
            }
        }
        for (&at, view) in which.iter().zip(views) {
            let mapping = &self.bound[at].mapping;
            for pair in &mut view.pairs {
                let Observation::Present(page) = &mut pair.seen.notion else { continue };
                found.name_rows(mapping, &mut page.record);
            }
        }
    }

    /// Adds halves that fit several by something that is certain for each: an answer may tell them apart by now. All of
    /// them, or none: without its page a row would pass for one that has none.
    async fn add_doubles(
        &self,
        bound: &Bound<W>,
        view: &mut View,
        table: &mut Table<'_>,
        said: &[Said],
    ) -> Result<(), EngineError> {
        let mapping = bound.mapping.name.as_str();
        let read = self.retrieved(mapping);
        let doubles = || view.skipped.iter().filter(|one| is_double(one));
        let keys = doubles().filter_map(|one| one.key.clone());
        let pages = doubles().filter_map(|one| one.page);
        let (keys, pages): (BTreeSet<RowKey>, BTreeSet<PageId>) = (keys.collect(), pages.collect());
        // Asking for each page is worth it only where somebody has answered.
        if (keys.is_empty() && pages.is_empty()) || (read.is_none() && said.is_empty()) {
            return Ok(());
        }
        let (mut rows_seen, mut pages_seen) = (BTreeMap::new(), BTreeMap::new());
        let mut take_row = |seen: Seen<RowKey>| {
            if let Observation::Present(row) = seen.observation {
                rows_seen.insert(seen.id, row);
            }
        };
        let mut take_page = |seen: Seen<PageId>| {
            if let Observation::Present(page) = seen.observation {
                pages_seen.insert(seen.id, page);
            }
        };
        if !keys.is_empty() {
            let keys: Vec<RowKey> = keys.iter().cloned().collect();
            let looked = bound.rows.look(Scope::These(&keys), &mut take_row).await;
            looked.map_err(|error| rows_error(mapping, error))?;
        }
        let nobody = Relatives::default();
        let relatives = self.relatives.as_ref().unwrap_or(&nobody);
        let wanted: Vec<PageId> = pages.iter().copied().collect();
        match read {
            _ if wanted.is_empty() => {}
            Some(read) => {
                self.each_retrieved(&bound.mapping, read, Some(&wanted), relatives, &mut take_page).await?;
            }
            None => {
                let look = bound.pages.look(Scope::These(&wanted), relatives, &mut take_page);
                self.keeping_lease(look).await?.map_err(|error| pages_error(mapping, error))?;
            }
        }
        if !rows_seen.keys().eq(&keys) || !pages_seen.keys().eq(&pages) {
            return Ok(());
        }
        table.rows.append(&mut rows_seen);
        table.pages.append(&mut pages_seen);
        view.skipped.retain(|one| !is_double(one));
        Ok(())
    }

    /// Compares rows and pages, beside everything else: a hundred thousand of each take seconds.
    async fn compare(&self, halves: Halves) -> Result<Matching, EngineError> {
        // A title in another script is worth a question.
        let reading = Reading { transliterate: true };
        if halves.rows.len() + halves.pages.len() <= FEW {
            return Ok(match_up(&halves.rows, &halves.pages, &halves.choices, reading));
        }
        let work = tokio::task::spawn_blocking(move || {
            match_up(&halves.rows, &halves.pages, &halves.choices, reading)
        });
        match self.keeping_lease(work).await? {
            Ok(found) => Ok(found),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Whether a mapping has rows and pages that no key brings together, and no link yet.
fn are_strangers(view: &View) -> bool {
    let is_row = |pair: &Pair| matches!(pair.identity, Identity::Row(_));
    let is_page = |pair: &Pair| matches!(pair.identity, Identity::Page(_));
    view.census.links == 0 && view.pairs.iter().any(is_row) && view.pairs.iter().any(is_page)
}

/// Whether this is a half that fits several without a link. A page that carries the key of a linked row is none: both are
/// named.
fn is_double(skipped: &Skipped) -> bool {
    matches!(skipped.why, Why::Double { .. }) && skipped.key.is_some() != skipped.page.is_some()
}
