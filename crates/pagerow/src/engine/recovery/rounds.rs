//! What lost records still lack once the others are there again: references that were left out, and records that waited
//! for what they refer to.
//!
//! Of a lost record only its name is kept from one round to the next; what its other half shows is read again, from what
//! is staged or from the table. So a recovery of many records holds each once, as a step.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    mapping::Mapping,
    observation::{Absence, Identity, Link, Observation, Pair},
    plan::{Action, Because, MappingPlan, Step},
    planner::Planner,
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::Value,
};

use super::{CHUNK, Recovery};
use crate::{
    engine::{
        Bound, Engine, EngineError, Parts,
        look::{View, rows_error},
        report::Run,
    },
    replica::{Relatives, Rows, Scope, Seen},
    store::{Links, Operations},
};

/// The lost records of a mapping that refers to others.
#[derive(Default)]
pub(super) struct LostRecords(Vec<Lost>);

/// One of them, by what it is found again.
struct Lost {
    key: Option<RowKey>,
    page: Option<PageId>,
    absence: Absence,
    /// The name of the row that its page carries counts: nobody said otherwise.
    is_marked: bool,
    /// It may lack something yet.
    waits: bool,
}

/// Some records by their names.
#[derive(Default)]
struct Names<'a> {
    keys: BTreeSet<&'a RowKey>,
    pages: BTreeSet<PageId>,
}

impl LostRecords {
    /// Takes in a record, if it is lost on this side.
    pub(super) fn take(&mut self, side: Side, pair: &Pair) {
        if let Observation::Absent(absence) = pair.seen.of(side) {
            let (key, page) = (pair.identity.key().cloned(), pair.identity.page());
            let is_unmarked =
                matches!(&pair.seen.notion, Observation::Present(page) if page.marker.is_none());
            self.0.push(Lost { key, page, absence: *absence, is_marked: !is_unmarked, waits: false });
        }
    }

    /// Whoever gets no step of this plan, or not all of its references, may lack something afterwards.
    pub(super) fn compare(&mut self, mapping: &Mapping, part: &MappingPlan) {
        let refers = |field: usize| mapping.fields.get(field).is_some_and(|field| field.related().is_some());
        let is_whole = |step: &&Step| {
            let mut withheld = step.fields.iter().filter(|write| write.withheld && refers(write.field));
            withheld.all(|write| matches!(write.source(), Value::Null))
        };
        let whole = part.steps.iter().filter(is_whole).map(|step| (step.key.as_ref(), step.page));
        let whole = Names::of(whole);
        self.0.iter_mut().for_each(|lost| lost.waits |= !whole.has(lost));
    }

    /// Whoever was not written, or only in part, lacks something.
    pub(super) fn learn(&mut self, mapping: &str, run: &Run) {
        let names = run.stuck.iter().chain(&run.left_out);
        let names = names.filter(|(of, _)| of == mapping).map(|(_, (key, page))| (key.as_ref(), *page));
        let names = Names::of(names);
        self.0.iter_mut().for_each(|lost| lost.waits |= names.has(lost));
    }
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = (Option<&'a RowKey>, Option<PageId>)>) -> Self {
        let mut all = Self::default();
        for (key, page) in names {
            all.keys.extend(key);
            all.pages.extend(page);
        }
        all
    }

    fn has(&self, lost: &Lost) -> bool {
        let by_key = lost.key.as_ref().is_some_and(|key| self.keys.contains(key));
        by_key || lost.page.is_some_and(|page| self.pages.contains(&page))
    }
}

impl<W: Parts> Engine<W>
where
    W::Store: Operations,
{
    /// What is still to be written of what lost records lack. The other half is staged or in the table; no page is asked
    /// for again.
    pub(super) async fn plan_references(
        &self,
        what: &Recovery,
        which: &[usize],
        views: &[View],
        lost: &[LostRecords],
    ) -> Result<Vec<MappingPlan>, EngineError> {
        let mut parts = Vec::with_capacity(which.len());
        for ((&at, view), lost) in which.iter().zip(views).zip(lost) {
            let bound = &self.bound[at];
            let mut planner = Planner::new(&bound.mapping, view.census)
                .of_lost_bases(view.lost.is_some())
                .recovering(Some(what.side));
            let waiting: Vec<&Lost> = lost.0.iter().filter(|lost| lost.waits).collect();
            for chunk in waiting.chunks(CHUNK) {
                let pairs = match what.side {
                    Side::Postgres => self.see_rows_again(bound, chunk).await?,
                    Side::Notion => self.see_pages_again(bound, chunk).await?,
                };
                pairs.iter().for_each(|pair| planner.consider(pair));
            }
            let mut part = planner.finish();
            self.take_backups(bound, &mut part, what.without_backup).await?;
            self.prefer_what_is_kept(bound, &mut part).await?;
            part.steps.retain_mut(|step| step.side == what.side && has_news(&bound.mapping, step));
            // It was said with the first plan.
            (part.conflicts, part.parked, part.skipped) = (Vec::new(), Vec::new(), Vec::new());
            part.settlements.clear();
            parts.push(part);
        }
        Ok(parts)
    }

    /// Lost rows as they are now, with their pages as they were retrieved.
    async fn see_rows_again(&self, bound: &Bound<W>, lost: &[&Lost]) -> Result<Vec<Pair>, EngineError> {
        let mapping = &*bound.mapping;
        let identities = self.identities(mapping, lost).await?;
        let wanted: Vec<PageId> = identities.iter().filter_map(|(identity, _)| identity.page()).collect();
        let mut pages: BTreeMap<PageId, Observation> = BTreeMap::new();
        if let Some(retrieved) = self.retrieved(&mapping.name) {
            let nobody = Relatives::default();
            // A page that refers to one of which the row was just made refers to that row.
            let relatives = self.relatives.as_ref().unwrap_or(&nobody);
            let mut take = |page: Seen<PageId>| {
                pages.insert(page.id, page.observation);
            };
            self.each_retrieved(mapping, retrieved, Some(&wanted), relatives, &mut take).await?;
        }
        let mut rows = self.rows_now(bound, &identities).await?;
        let not_shown = || Observation::Unreadable("the page was not retrieved".to_owned());
        let pair = |(identity, lost): (Identity, &Lost)| {
            let row = identity.key().and_then(|key| rows.remove(key));
            let mut page = identity.page().and_then(|page| pages.remove(&page));
            if let (false, Some(Observation::Present(page))) = (lost.is_marked, &mut page) {
                page.marker = None;
            }
            let seen = Sides {
                postgres: row.unwrap_or(Observation::Absent(lost.absence)),
                notion: page.unwrap_or_else(not_shown),
            };
            Pair { identity, seen }
        };
        Ok(identities.into_iter().map(pair).collect())
    }

    /// Lost pages as they are now, with their rows.
    async fn see_pages_again(&self, bound: &Bound<W>, lost: &[&Lost]) -> Result<Vec<Pair>, EngineError> {
        let identities = self.identities(&bound.mapping, lost).await?;
        let mut rows = self.rows_now(bound, &identities).await?;
        let not_shown = || Observation::Unreadable("the row was not shown".to_owned());
        let pair = |(identity, lost): (Identity, &Lost)| {
            let row = identity.key().and_then(|key| rows.remove(key));
            // A page that was made is as its answer was settled.
            let is_new = matches!(&identity, Identity::Linked(link) if Some(link.page) != lost.page);
            let notion = if is_new { Observation::Unchanged } else { Observation::Absent(lost.absence) };
            Pair { identity, seen: Sides { postgres: row.unwrap_or_else(not_shown), notion } }
        };
        Ok(identities.into_iter().map(pair).collect())
    }

    /// What is remembered of lost records by now.
    async fn identities<'l>(
        &self,
        mapping: &Mapping,
        lost: &[&'l Lost],
    ) -> Result<Vec<(Identity, &'l Lost)>, EngineError> {
        let keys: Vec<RowKey> = lost.iter().filter_map(|lost| lost.key.clone()).collect();
        let pages: Vec<PageId> = lost.iter().filter_map(|lost| lost.page).collect();
        let compact = self.store.links_of(&mapping.name, &keys, &pages).await?;
        let ids: Vec<i64> = compact.iter().map(|link| link.id).collect();
        let links = self.store.links(mapping, &ids).await?;
        let buried = self.store.buried_of(mapping, &keys, &pages).await?;
        let (links, buried) = (ByName::of(&links), ByName::of(&buried));
        let identity = |lost: &Lost| match (links.get(lost), buried.get(lost)) {
            (Some(link), _) => Some(Identity::Linked(link.clone())),
            (None, Some(link)) => Some(Identity::Buried(link.clone())),
            (None, None) => match (&lost.key, lost.page) {
                (Some(key), Some(page)) => Some(Identity::Adopted { key: key.clone(), page }),
                (Some(key), None) => Some(Identity::Row(key.clone())),
                (None, Some(page)) => Some(Identity::Page(page)),
                (None, None) => None,
            },
        };
        Ok(lost.iter().filter_map(|lost| Some((identity(lost)?, *lost))).collect())
    }

    async fn rows_now(
        &self,
        bound: &Bound<W>,
        of: &[(Identity, &Lost)],
    ) -> Result<BTreeMap<RowKey, Observation>, EngineError> {
        let keys: Vec<RowKey> = of.iter().filter_map(|(identity, _)| identity.key().cloned()).collect();
        let mut rows = BTreeMap::new();
        let mut take = |row: Seen<RowKey>| {
            rows.insert(row.id, row.observation);
        };
        let looked = bound.rows.look(Scope::These(&keys), &mut take).await;
        looked.map_err(|error| rows_error(&bound.mapping.name, error))?;
        Ok(rows)
    }
}

/// Links by the names of their halves.
struct ByName<'a> {
    keys: BTreeMap<&'a RowKey, &'a Link>,
    pages: BTreeMap<PageId, &'a Link>,
}

impl<'a> ByName<'a> {
    fn of(links: &'a [Link]) -> Self {
        Self {
            keys: links.iter().map(|link| (&link.key, link)).collect(),
            pages: links.iter().map(|link| (link.page, link)).collect(),
        }
    }

    fn get(&self, lost: &Lost) -> Option<&'a Link> {
        let by_page = lost.page.and_then(|page| self.pages.get(&page));
        by_page.or_else(|| lost.key.as_ref().and_then(|key| self.keys.get(key))).copied()
    }
}

/// A step of a further round is taken for what the first one could not write: a whole record, or references. Whatever
/// else has changed since is the next sync's business.
fn has_news(mapping: &Mapping, step: &mut Step) -> bool {
    let refers = |field: usize| mapping.fields.get(field).is_some_and(|field| field.related().is_some());
    match step.action {
        Action::Create => step.because == Because::Recovered,
        Action::Update => {
            step.fields.retain(|write| refers(write.field));
            !step.fields.is_empty()
        }
        Action::Restore | Action::Trash | Action::Delete => false,
    }
}
