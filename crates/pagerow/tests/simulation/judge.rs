//! What has to be true whenever a sync has ended, whatever is going wrong meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use jiff::SignedDuration;
use pagerow::engine::{Depth, Report};
use pagerow_core::{
    guard::Limits,
    journal::Status,
    plan::{Action, Step},
    record::{PageId, RowKey},
    side::{Side, Sides},
};
use serde_json::Value as Json;

use crate::{cast::Cast, end::Here, model::memory::StepRow, people::removed_row, stage::lock};

/// So far back go deletions that count together.
const HOUR: u64 = 3_600_000;

/// What is known of the syncs so far.
#[derive(Default)]
pub(crate) struct Judge(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Removals, and rows made, that have been judged.
    judged: BTreeSet<(i64, i32)>,
    /// When pagerow removed something, by mapping and side, since a person last let that pass.
    removals: BTreeMap<(String, Side), Vec<u64>>,
    /// How many things are out of reach, and until when something was.
    away: u64,
    away_until: u64,
}

impl Judge {
    /// Something is taken out of pagerow's reach, or given back.
    pub(crate) fn out_of_reach(&self, begins: bool, now: u64) {
        let mut known = lock(&self.0);
        known.away = if begins { known.away + 1 } else { known.away.saturating_sub(1) };
        known.away_until = now;
    }

    /// Whether everything has been in reach since then.
    pub(crate) fn is_in_reach(&self, since: u64) -> bool {
        let known = lock(&self.0);
        known.away == 0 && known.away_until < since
    }

    /// A clock was set: what happened within an hour, no engine can tell any more.
    pub(crate) fn lose_track_of_time(&self) {
        lock(&self.0).removals.clear();
    }
}

/// How everything is before a sync.
pub(crate) struct Before {
    /// What a person lets pass, if anything.
    passes: bool,
    deeds: u64,
    /// The run before it.
    run: i64,
    at: u64,
    /// By mapping with links, whether a side is known to hold nothing.
    emptied: Vec<Sides<bool>>,
}

impl Cast {
    /// Notes how everything is.
    pub(crate) fn before_sync(&self, depth: Depth, passes: bool) -> Before {
        let emptied = |at: usize| {
            let name = &self.mappings[at].name;
            let (rows, links) = self.server.look(|db| {
                let rows = db.tables[name].rows().values().filter(|row| !row.is_marked).count();
                (rows, db.memory.links.values().filter(|link| link.mapping == *name).count())
            });
            // Lists that lag show what is gone.
            let is_many = links > 1 && self.stage.idle() > self.lag;
            // Only a look at everything counts pages.
            let counts_pages = is_many && depth == Depth::Everything;
            Sides { postgres: is_many && rows == 0, notion: counts_pages && self.pages(at, false).is_empty() }
        };
        let emptied = (0..self.mappings.len()).map(emptied).collect();
        let run = self.server.look(|db| db.memory.runs.keys().next_back().copied().unwrap_or_default());
        Before { passes, deeds: self.stage.deeds(), run, at: self.stage.elapsed(), emptied }
    }

    /// Judges what a sync did, and what earlier ones did that were killed.
    pub(crate) fn after_sync(&self, before: &Before, report: Option<&Report>) {
        for at in 0..self.mappings.len() {
            let made =
                self.new_steps(at, |step| step.action == Action::Create && step.side == Side::Postgres);
            for (_, step) in made.iter().filter(|(run, _)| *run > before.run) {
                self.judge_return(at, step, before);
            }
            let removals = self.new_steps(at, |step| matches!(step.action, Action::Trash | Action::Delete));
            for (_, step) in &removals {
                self.judge_removal(at, step);
            }
            self.judge_many(at, &removals, before);
            let is_done = |report: &&Report| report.quiet && self.judge.is_in_reach(before.at);
            if let Some(report) = report.filter(is_done) {
                self.judge_stale(at, report);
            }
        }
    }

    /// What of this kind was done since that was last asked for, with its run.
    fn new_steps(&self, at: usize, is_it: impl Fn(&Step) -> bool) -> Vec<(i64, Arc<StepRow>)> {
        let name = &self.mappings[at].name;
        let mut known = lock(&self.judge.0);
        self.server.look(|db| {
            let is_new =
                |row: &StepRow| is_it(&row.step) && row.status == Status::Done && row.mapping == *name;
            let steps = db.memory.steps.iter().filter(|(_, row)| is_new(row));
            steps
                .filter(|(id, _)| known.judged.insert(**id))
                .map(|(id, row)| (id.0, Arc::clone(row)))
                .collect()
        })
    }

    /// No row that a person deleted comes back from a page that lay in the trash before anybody looked.
    fn judge_return(&self, at: usize, step: &StepRow, before: &Before) {
        let (Some(key), Some(page)) = (&step.step.key, step.step.page) else { return };
        let was_removed =
            |record: &str| self.ledger.removed_at(record).is_some_and(|removed| removed < before.at);
        let is_page = |shown: &Json| shown["id"].as_str() == Some(page.to_string().as_str());
        if was_removed(&removed_row(at, key))
            && was_removed(&page.to_string())
            && self.pages(at, true).iter().any(is_page)
        {
            let name = &step.mapping;
            self.stage
                .blame(format!("row {key} of {name} came back from page {page}, which is in the trash"));
        }
    }

    /// Nothing is deleted but what a person removed on the other side, not even for some time.
    fn judge_removal(&self, at: usize, step: &StepRow) {
        let page = step.page.or(step.step.page);
        let key = step.key.as_ref().or(step.step.key.as_ref());
        let is_founded = match step.step.side {
            Side::Postgres => page.is_some_and(|page| self.ledger.is_removed(&page.to_string())),
            Side::Notion => key.is_some_and(|key| self.ledger.is_removed(&removed_row(at, key))),
        };
        if !is_founded {
            let (side, name) = (step.step.side, &step.mapping);
            self.stage.blame(format!(
                "row {key:?} with page {page:?} of {name} was removed in {side}, and nobody removed its other half"
            ));
        }
    }

    /// Nobody's truncated table, and no mass of deletions, goes on to the other side before a person has let it pass.
    fn judge_many(&self, at: usize, removals: &[(i64, Arc<StepRow>)], before: &Before) {
        let name = &self.mappings[at].name;
        let now = self.stage.elapsed();
        let links =
            self.server.look(|db| db.memory.links.values().filter(|link| link.mapping == *name).count());
        let limits = Limits::default();
        for side in [Side::Postgres, Side::Notion] {
            let on_side = || removals.iter().filter(|(_, step)| step.step.side == side);
            let new = on_side().count();
            let lately = {
                let mut known = lock(&self.judge.0);
                let removals = known.removals.entry((name.clone(), side)).or_default();
                if before.passes {
                    removals.clear();
                    continue;
                }
                removals.extend(std::iter::repeat_n(now, new));
                removals.retain(|at| at + HOUR >= now);
                removals.len()
            };
            if new == 0 {
                continue;
            }
            let share = (links + lately) as f64 * limits.deletes;
            if lately as f64 > share.max(limits.floor as f64) {
                self.stage.blame(format!(
                    "{lately} records of {name} were removed in {side} within an hour, and no guard stopped it"
                ));
            }
            // What earlier runs did is known by now.
            let new = on_side().filter(|(run, _)| *run > before.run).count();
            let is_still = before.deeds == self.stage.deeds();
            if new > 0 && *before.emptied[at].of(side.other()) && is_still {
                let other = side.other();
                self.stage.blame(format!(
                    "{new} records of {name} were removed in {side}, since {other} was empty, and no guard stopped it"
                ));
            }
        }
    }

    /// What a sync could not write because it had moved, and nobody touched since, is equal when it says that nothing is
    /// left, or is kept for another look.
    fn judge_stale(&self, at: usize, report: &Report) {
        let Some(run) = report.run else { return };
        let name = &self.mappings[at].name;
        let mut stale: BTreeMap<(Option<RowKey>, Option<PageId>), u64> = BTreeMap::new();
        self.server.look(|db| {
            let steps = db.memory.steps.range((run, i32::MIN)..=(run, i32::MAX)).map(|(_, step)| step);
            for step in steps.filter(|step| step.mapping == *name) {
                let record = (step.step.key.clone(), step.step.page);
                let age =
                    self.stage.database_now().duration_since(step.finished_at.unwrap_or(step.intended_at));
                match step.status {
                    Status::Stale if age >= SignedDuration::ZERO => {
                        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                        stale.insert(record, self.stage.elapsed().saturating_sub(age));
                    }
                    _ => {
                        stale.remove(&record);
                    }
                }
            }
            stale.retain(|(key, page), _| {
                let is_it = |k: &Option<RowKey>, p: &Option<PageId>| {
                    (k.is_some() && k == key) || (p.is_some() && p == page)
                };
                !db.memory.revisits.values().any(|row| row.mapping == *name && is_it(&row.key, &row.page))
            });
        });
        if stale.is_empty() {
            return;
        }
        let here = Here::of(self, at);
        for ((key, page), since) in stale {
            let (Some(key), Some(page)) = (key, page) else { continue };
            let touched =
                self.ledger.touched(&removed_row(at, &key)).max(self.ledger.touched(&page.to_string()));
            if touched >= Some(since) {
                continue;
            }
            let found = here.row_differences(&key);
            for difference in found {
                self.stage.blame(format!("what had moved is not looked at again: {difference}"));
            }
        }
    }
}
