//! From what was seen to a plan: every record that is considered ends as a step, a settlement, a conflict, a parked
//! or skipped record with its reason, or is counted as unchanged.

mod order;
mod record;

pub(crate) use record::One;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    answer::Answers,
    mapping::Mapping,
    observation::Pair,
    plan::{Census, Conflict, MappingPlan, Parked, Plan, Settlement, Skipped, Step},
    record::RowKey,
    side::Side,
};

/// By mapping, rows whose pages are gone for good.
pub type Unpaged = BTreeMap<String, BTreeSet<RowKey>>;

const NONE: &Unpaged = &BTreeMap::new();

/// Makes one mapping's part of a plan, record by record.
pub struct Planner<'a> {
    mapping: &'a Mapping,
    census: Census,
    considered: u64,
    /// See [`Planner::of_lost_bases`].
    lost: bool,
    /// See [`Planner::recovering`].
    recovering: Option<Side>,
    /// See [`Planner::without_pages_of`].
    unpaged: &'a Unpaged,
    out: Entries,
}

/// What has been planned so far.
#[derive(Default)]
struct Entries {
    steps: Vec<Step>,
    settlements: Vec<Settlement>,
    conflicts: Vec<Conflict>,
    parked: Vec<Parked>,
    skipped: Vec<Skipped>,
}

impl Entries {
    fn len(&self) -> usize {
        self.steps.len()
            + self.settlements.len()
            + self.conflicts.len()
            + self.parked.len()
            + self.skipped.len()
    }
}

impl<'a> Planner<'a> {
    /// A planner for one mapping; `census` holds the numbers that only the observer knows.
    #[must_use]
    pub fn new(mapping: &'a Mapping, census: Census) -> Self {
        Self {
            mapping,
            census,
            considered: 0,
            lost: false,
            recovering: None,
            unpaged: NONE,
            out: Entries::default(),
        }
    }

    /// What was remembered of the mapping is not to be relied on: it may be from the past. A record of which some base is
    /// unknown is then only compared. Where its halves agree they are settled; every difference is a conflict, whatever
    /// the rules say, and so is a half that is gone. Nothing is deleted, nothing written over.
    #[must_use]
    pub fn of_lost_bases(mut self, lost: bool) -> Self {
        self.lost = lost;
        self
    }

    /// This side is being rebuilt from the other one: a half that is missing there is made again, under the key or with
    /// the link that it had, instead of the other half being deleted. Halves that are both there are merged as ever, as
    /// far as that writes to this side; everything else waits for the next sync. Nothing is deleted.
    #[must_use]
    pub fn recovering(mut self, side: Option<Side>) -> Self {
        self.recovering = side;
        self
    }

    /// These rows' pages are gone for good. That another page's relation lacks them by now is nobody's edit; and whether
    /// it lacks them or still names them, it gets the new pages when these are made again.
    #[must_use]
    pub fn without_pages_of(mut self, unpaged: &'a Unpaged) -> Self {
        self.unpaged = unpaged;
        self
    }

    /// Plans one record.
    pub fn consider(&mut self, pair: &Pair) {
        self.consider_with(pair, &Answers::default());
    }

    /// Plans one record to whose conflicts a person has answers.
    pub fn consider_with(&mut self, pair: &Pair, answers: &Answers) {
        self.considered += 1;
        let before = self.out.len();
        let mode = record::Mode { lost: self.lost, recovering: self.recovering, unpaged: self.unpaged };
        record::plan_record(self.mapping, pair, answers, mode, &mut self.out);
        if self.out.len() == before {
            self.census.unchanged += 1;
        }
    }

    /// Notes a record for which nothing is planned, with the reason.
    pub fn skip(&mut self, skipped: Skipped) {
        self.out.skipped.push(skipped);
    }

    /// Counts links that a look found equal to their bases without comparing field by field.
    pub fn unchanged(&mut self, links: u64) {
        self.census.unchanged += links;
    }

    /// The mapping's part of the plan, with steps not yet in waves.
    #[must_use]
    pub fn finish(self) -> MappingPlan {
        MappingPlan {
            mapping: self.mapping.name.clone(),
            fingerprint: self.mapping.fingerprint(),
            columns: self.mapping.fields.iter().map(|field| field.column.clone()).collect(),
            steps: self.out.steps,
            settlements: self.out.settlements,
            conflicts: self.out.conflicts,
            parked: self.out.parked,
            skipped: self.out.skipped,
            census: self.census,
        }
    }
}

/// Joins the mappings' parts into one plan and puts its steps in order: creates first, referenced records before
/// those that refer to them, deletions last. `mappings` are in foreign-key order, referenced ones first.
#[must_use]
pub fn assemble(mut parts: Vec<MappingPlan>, mappings: &[&Mapping]) -> Plan {
    for part in &mut parts {
        part.steps
            .sort_by(|a, b| (a.side, a.action, &a.key, a.page).cmp(&(b.side, b.action, &b.key, b.page)));
    }
    order::put_in_waves(&mut parts, mappings);
    for part in &mut parts {
        part.steps.sort_by(|a, b| {
            (a.wave, a.side, a.action, &a.key, a.page).cmp(&(b.wave, b.side, b.action, &b.key, b.page))
        });
        part.settlements.sort_by(|a, b| (&a.key, a.page).cmp(&(&b.key, b.page)));
        part.conflicts.sort_by(|a, b| (&a.key, a.page).cmp(&(&b.key, b.page)));
        part.parked.sort_by(|a, b| (&a.key, a.page, a.field).cmp(&(&b.key, b.page, b.field)));
        part.skipped.sort_by(|a, b| (&a.key, a.page).cmp(&(&b.key, b.page)));
    }
    Plan { mappings: parts }
}
