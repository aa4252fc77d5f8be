//! What looks as if something was lost: what was seen, how sure that is, what would bring it back, and at what cost.
//!
//! Both sides are looked at; nothing is written. What people delete in the ordinary course of things is no finding: a
//! loss is a side that is empty, or that lacks more than a guard would let a sync delete.

use pagerow_core::{
    guard::Limits,
    observation::{Absence, Identity, Observation, Pair},
};
use serde::Serialize;

use super::{Bound, Depth, Engine, EngineError, Parts, look::View, retrieval::Known};
use crate::{
    replica::{Pages as _, Rows as _},
    store::{Attention as _, Cursors as _, Links as _},
};

/// A mapping that nobody has looked at for so long is told.
const LONG: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);
/// More parked records than this share of the links are told.
const FAILING: f64 = 0.10;
/// Pages in one answer of Notion's.
const LISTED: u64 = 100;

/// Something that looks like a loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub mapping: String,
    pub kind: Kind,
    /// What was counted, and what would have been expected: rows, pages or records, as the kind says.
    pub seen: u64,
    pub expected: u64,
    pub confidence: Confidence,
    /// What would mend it: a command.
    pub action: String,
    /// What that would cost: calls to Notion, and how long they take by the rate limit.
    pub calls: u64,
    pub seconds: f64,
}

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pages are there, and not one of their rows.
    RowsGone,
    /// Far fewer rows than pages that are linked with them.
    RowsMissing,
    /// Rows are there, and not one of their pages.
    PagesGone,
    /// Far fewer pages than rows that are linked with them.
    PagesMissing,
    /// The data source lies in the trash.
    DataSourceTrashed,
    /// The data source is gone, or no longer shared.
    DataSourceGone,
    /// Pages carry the keys of rows, and nothing remembers which.
    MemoryGone,
    /// What is remembered may be from the past.
    MemoryOld,
    /// A large part of the records cannot be written.
    Failing,
    /// Nobody has looked for long.
    Stale,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// What one look at one mapping amounts to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    links: u64,
    /// Records that either side holds.
    rows: u64,
    pages: u64,
    /// Linked rows that are gone while their pages are there, and the other way round.
    rows_gone: u64,
    pages_gone: u64,
    /// Pages that carry a key: with a row that has it, and without one.
    found: u64,
    orphans: u64,
    /// Rows can be made again at all.
    writable: bool,
    lost: bool,
    parked: u64,
}

impl<W: Parts> Engine<W> {
    /// Looks for losses in these mappings (none named: in all). Of many pages that are not there only some are asked for
    /// by themselves.
    ///
    /// # Errors
    /// When a side cannot be looked at.
    pub async fn detect(&mut self, mappings: &[String]) -> Result<Vec<Finding>, EngineError> {
        let which = self.which(mappings)?;
        self.find_its_place().await?;
        for &at in &which {
            self.known
                .insert(self.bound[at].mapping.name.clone(), Known { sampled: true, ..Known::default() });
        }
        let doubtful = vec![Default::default(); which.len()];
        let stop = self.stop.clone();
        let looks = Box::pin(self.look_at_all(&which, Depth::Everything, &doubtful));
        let views = Self::unless_stopped(stop, looks).await;
        self.known.clear();
        let mut findings = Vec::new();
        for (&at, view) in which.iter().zip(&views?) {
            let bound = &self.bound[at];
            let name = &bound.mapping.name;
            let parked = self.store.parked(Some(name)).await?.len() as u64;
            let counts = Counts { parked, writable: bound.rows.are_writable(), ..count(view) };
            let looked_before = self.store.mapping_state(name).await?.last_look;
            let is_stale =
                looked_before.is_some_and(|last| self.clock.now().duration_since(last).unsigned_abs() > LONG);
            findings.extend(self.findings(bound, &counts, is_stale));
        }
        Ok(findings)
    }

    fn findings(&self, bound: &Bound<W>, counts: &Counts, is_stale: bool) -> Vec<Finding> {
        let name = &bound.mapping.name;
        let found = judge(counts, &bound.settings.limits);
        let stale = is_stale.then_some((Kind::Stale, 0, counts.links, Confidence::Low));
        let told = |(kind, seen, expected, confidence): (Kind, u64, u64, Confidence)| {
            let lists = counts.pages.div_ceil(LISTED).max(1);
            let (action, calls) = match kind {
                Kind::RowsGone | Kind::RowsMissing => (format!("pagerow recover from-notion {name}"), lists),
                // Each is looked at, and brought back or made again.
                Kind::PagesGone | Kind::PagesMissing => {
                    (format!("pagerow recover to-notion {name}"), lists + 2 * (expected - seen))
                }
                Kind::DataSourceTrashed => (format!("pagerow recover to-notion {name}"), 1),
                Kind::DataSourceGone => (format!("pagerow recover to-notion {name}"), 1 + expected),
                Kind::MemoryGone | Kind::MemoryOld => (format!("pagerow sync {name} --full"), lists),
                Kind::Failing => (format!("pagerow parked {name}"), 0),
                Kind::Stale => (format!("pagerow sync {name}"), lists),
            };
            let seconds = bound.pages.forecast(calls).as_secs_f64();
            Finding { mapping: name.clone(), kind, seen, expected, confidence, action, calls, seconds }
        };
        found.into_iter().chain(stale).map(told).collect()
    }

    /// What is to be said of mappings whose data source is lost; they cannot be looked at. `seconds` says how long so
    /// many calls take.
    ///
    /// # Errors
    /// What the database says.
    pub async fn findings_of_lost_sources(
        &self,
        lost: &[(String, Kind)],
        seconds: impl Fn(u64) -> f64,
    ) -> Result<Vec<Finding>, EngineError> {
        let mut findings = Vec::new();
        for (mapping, kind) in lost {
            let links = self.store.count_links(mapping).await?;
            let (calls, confidence) = match kind {
                Kind::DataSourceTrashed => (1, Confidence::High),
                // Whether it is gone or only out of reach, Notion does not say.
                _ => (1 + links, Confidence::Medium),
            };
            findings.push(Finding {
                mapping: mapping.clone(),
                kind: *kind,
                seen: 0,
                expected: links,
                confidence,
                action: format!("pagerow recover to-notion {mapping}"),
                calls,
                seconds: seconds(calls),
            });
        }
        Ok(findings)
    }
}

/// What a look saw, counted.
fn count(view: &View) -> Counts {
    let mut counts = Counts {
        links: view.census.links,
        rows: view.census.records.postgres.unwrap_or_default(),
        pages: view.census.records.notion.unwrap_or_default(),
        lost: view.lost.is_some(),
        ..Counts::default()
    };
    for pair in &view.pairs {
        let is_there = |seen: &Observation| !matches!(seen, Observation::Absent(_));
        let Pair { identity, seen } = pair;
        match identity {
            Identity::Linked(link) => {
                let deleted = seen.postgres == Observation::Absent(Absence::Deleted);
                let away = matches!(
                    seen.notion,
                    Observation::Absent(Absence::Trashed | Absence::Unreachable | Absence::Deleted)
                );
                // An undo puts halves away on purpose.
                let on_purpose = link.apart.is_some();
                counts.rows_gone += u64::from(deleted && is_there(&seen.notion) && !on_purpose);
                counts.pages_gone += u64::from(away && is_there(&seen.postgres) && !on_purpose);
            }
            Identity::Adopted { .. } => counts.found += 1,
            Identity::Page(_) => {
                let carries = |page: &pagerow_core::observation::Sighting| {
                    page.marker.as_deref().is_some_and(|key| !key.is_empty())
                };
                counts.orphans +=
                    u64::from(matches!(&seen.notion, Observation::Present(page) if carries(page)));
            }
            Identity::Buried(_) | Identity::Row(_) => {}
        }
    }
    counts
}

/// What the numbers of one mapping say: kind, what was seen, what was expected, and how sure that is.
fn judge(counts: &Counts, limits: &Limits) -> Vec<(Kind, u64, u64, Confidence)> {
    let mut found = Vec::new();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count"
    )]
    let many = |share: f64| ((counts.links as f64 * share) as u64).max(limits.floor);
    let there = |gone: u64| counts.links.saturating_sub(gone);
    if counts.writable && counts.links > 1 && counts.rows == 0 && counts.rows_gone > 0 {
        found.push((Kind::RowsGone, 0, counts.rows_gone, Confidence::High));
    } else if counts.writable && counts.rows_gone > many(limits.deletes) {
        found.push((Kind::RowsMissing, there(counts.rows_gone), counts.links, Confidence::Medium));
    }
    if counts.links > 1 && counts.pages == 0 && counts.pages_gone > 0 {
        found.push((Kind::PagesGone, 0, counts.pages_gone, Confidence::High));
    } else if counts.pages_gone > many(limits.deletes) {
        found.push((Kind::PagesMissing, there(counts.pages_gone), counts.links, Confidence::Medium));
    }
    if counts.links == 0 && counts.found + counts.orphans > 1 {
        // Of a page that somebody copied from elsewhere one cannot be sure.
        if counts.writable && counts.rows == 0 && counts.orphans > 1 {
            found.push((Kind::RowsGone, 0, counts.orphans, Confidence::High));
        } else {
            found.push((Kind::MemoryGone, 0, counts.found + counts.orphans, Confidence::High));
        }
    }
    if counts.lost {
        found.push((Kind::MemoryOld, 0, counts.links, Confidence::Medium));
    }
    if counts.parked > many(FAILING) {
        found.push((Kind::Failing, there(counts.parked), counts.links, Confidence::Medium));
    }
    found
}

/// Of pages that are asked for one by one: what the rest are taken for, once so many are known.
pub(super) fn like_the_others(known: &[Absence]) -> Absence {
    let trashed = known.iter().filter(|how| **how == Absence::Trashed).count();
    if trashed * 2 >= known.len() { Absence::Trashed } else { Absence::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(counts: Counts) -> Vec<Kind> {
        let counts = Counts { writable: true, ..counts };
        judge(&counts, &Limits::default()).into_iter().map(|(kind, ..)| kind).collect()
    }

    #[test]
    fn ordinary_life_is_no_loss() {
        // A fresh install: rows without pages, or pages that people made.
        assert_eq!(kinds(Counts { rows: 500, ..Counts::default() }), []);
        assert_eq!(kinds(Counts { pages: 500, ..Counts::default() }), []);
        // A small table of which some rows were deleted on purpose, and a larger one.
        assert_eq!(kinds(Counts { links: 5, rows: 2, pages: 5, rows_gone: 3, ..Counts::default() }), []);
        assert_eq!(
            kinds(Counts { links: 500, rows: 410, pages: 500, rows_gone: 90, ..Counts::default() }),
            []
        );
        // The only record of a mapping.
        assert_eq!(kinds(Counts { links: 1, pages: 1, rows_gone: 1, ..Counts::default() }), []);
        // Nobody expects rows in a view to be made again.
        let view = Counts { links: 50, pages: 50, rows_gone: 50, writable: false, ..Counts::default() };
        assert_eq!(judge(&view, &Limits::default()), []);
        // Somebody copied a page.
        assert_eq!(kinds(Counts { rows: 5, pages: 1, orphans: 1, ..Counts::default() }), []);
    }

    #[test]
    fn losses_are_told_with_numbers() {
        let emptied = Counts { links: 2, pages: 2, rows_gone: 2, ..Counts::default() };
        assert_eq!(kinds(emptied), [Kind::RowsGone]);
        let half = Counts { links: 100, rows: 50, pages: 100, rows_gone: 50, ..Counts::default() };
        assert_eq!(kinds(half), [Kind::RowsMissing]);
        let trashed = Counts { links: 30, rows: 30, pages_gone: 30, ..Counts::default() };
        assert_eq!(kinds(trashed), [Kind::PagesGone]);
        let dropped = Counts { rows: 40, pages: 40, found: 40, ..Counts::default() };
        assert_eq!(kinds(dropped), [Kind::MemoryGone]);
        assert_eq!(kinds(Counts { pages: 40, orphans: 40, ..Counts::default() }), [Kind::RowsGone]);
        let failing = Counts { links: 100, rows: 100, pages: 100, parked: 11, ..Counts::default() };
        assert_eq!(kinds(failing), [Kind::Failing]);
    }
}
