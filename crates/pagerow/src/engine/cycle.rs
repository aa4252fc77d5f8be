//! The whole story: look, decide, check, act.

use std::collections::BTreeSet;

use pagerow_core::{
    answer::Answers,
    digest::Digest,
    guard::{self, Approved},
    mapping::Mapping,
    mutant::{self, Mutant},
    plan::{MappingPlan, Plan},
    planner::{Planner, assemble},
    record::RowKey,
};

use super::{
    Engine, EngineError, Parts,
    backup::renew_backups,
    look::{View, name_of},
    report::Run,
};
use crate::replica::Relatives;
use crate::store::Links;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Both sides, completely.
    Everything,
    /// What changed since the last look; everything where that is not known or is due.
    Changes,
}

/// What a person has consented to beforehand.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// What may pass the guard: a whole plan, or one mapping's part as its refusals name it.
    pub pass: Vec<Digest>,
    /// The only plan that may be carried out at all.
    pub(super) only: Option<Digest>,
}

impl From<Option<Digest>> for Consent {
    fn from(pass: Option<Digest>) -> Self {
        Self::to(pass.into_iter().collect())
    }
}

impl Consent {
    /// Consent to whatever has these names; to nothing without names.
    #[must_use]
    pub fn to(pass: Vec<Digest>) -> Self {
        Self { pass, only: None }
    }
}

/// A plan, with what it was made from.
pub(super) struct Decided {
    pub(super) plan: Plan,
    pub(super) views: Vec<View>,
}

/// A plan that may be carried out, with what it was made from: the mappings that were stopped are no part of it.
struct Checked {
    which: Vec<usize>,
    approved: Approved,
    views: Vec<View>,
}

impl<W: Parts> Engine<W> {
    /// One cycle over these mappings, but for those that were stopped in this run. Answers whether it found anything to
    /// do.
    pub(super) async fn cycle(
        &mut self,
        run: &mut Run,
        which: &[usize],
        depth: Depth,
        consent: &Consent,
    ) -> Result<bool, EngineError> {
        let which: Vec<usize> =
            which.iter().copied().filter(|&at| !run.is_stopped(&self.bound[at].mapping.name)).collect();
        let mut doubtful = self.finish_open_steps(run, &which).await?;
        if mutant::is(Mutant::DoubtfulIsPlanned) {
            doubtful.iter_mut().for_each(BTreeSet::clear);
        }

        // A look may take long, and nothing is lost with it.
        let stop = self.stop.clone();
        let mut views =
            Self::unless_stopped(stop, Box::pin(self.look_at_all(&which, depth, &doubtful))).await?;
        let matches = self.compare_strangers(&which, &mut views).await?;
        let decided = self.decide(&which, views);
        let checked = Box::pin(self.check(run, which, depth, &doubtful, decided, consent)).await?;
        self.add_questions(&matches).await?;
        Box::pin(self.act(run, &checked.which, checked.approved, &checked.views)).await
    }

    /// Looks at every mapping, one after another: they share the rate limit anyway.
    pub(super) async fn look_at_all(
        &mut self,
        which: &[usize],
        depth: Depth,
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Vec<View>, EngineError> {
        let relatives = self.take_relatives().await?;
        let mut views = Vec::with_capacity(which.len());
        let mut result = Ok(());
        for (&at, doubtful) in which.iter().zip(doubtful) {
            match self.look(&self.bound[at], &relatives, depth, doubtful).await {
                Ok(view) => views.push(view),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.relatives = Some(relatives);
        result.map(|()| views)
    }

    /// From what was seen to a plan. Pure, but for the memory it gives back as it goes.
    pub(super) fn decide(&self, which: &[usize], mut views: Vec<View>) -> Decided {
        let parts = which.iter().zip(&mut views).map(|(&at, view)| self.decide_one(at, view)).collect();
        Decided { plan: self.joined(which, parts), views }
    }

    fn decide_one(&self, at: usize, view: &mut View) -> MappingPlan {
        let mapping = &self.bound[at].mapping;
        let mut planner = Planner::new(mapping, view.census).of_lost_bases(view.lost.is_some());
        let none = Answers::default();
        for pair in std::mem::take(&mut view.pairs) {
            let answers = match view.answers.is_empty() {
                true => &none,
                false => view.answers.get(&name_of(&pair)).unwrap_or(&none),
            };
            planner.consider_with(&pair, answers);
        }
        view.skipped.drain(..).for_each(|skipped| planner.skip(skipped));
        let mut part = planner.finish();
        renew_backups(&mut part, std::mem::take(&mut view.old_backups));
        part
    }

    fn joined(&self, which: &[usize], parts: Vec<MappingPlan>) -> Plan {
        let mappings: Vec<&Mapping> = which.iter().map(|&at| &*self.bound[at].mapping).collect();
        assemble(parts, &mappings)
    }

    /// Holds a plan against the guard. A kept plan passes as a whole or not at all; of any other one the mappings that
    /// are stopped are left out, and told.
    async fn check(
        &mut self,
        run: &mut Run,
        which: Vec<usize>,
        depth: Depth,
        doubtful: &[BTreeSet<RowKey>],
        decided: Decided,
        consent: &Consent,
    ) -> Result<Checked, EngineError> {
        let Decided { plan, mut views } = decided;
        let mut against = self.weights(&which, &plan, &views).await?;
        if let Some(kept) = consent.only {
            let now = plan.hash();
            if kept != now {
                return Err(EngineError::StalePlan { kept, now });
            }
            let approved = guard::check(plan, &against, &consent.pass).map_err(EngineError::Refused)?;
            return Ok(Checked { which, approved, views });
        }
        let mut sifted = guard::sift(plan, &against, &consent.pass);
        if depth == Depth::Changes && !sifted.held.is_empty() {
            // A mapping is stopped, shown and let pass only as a complete look makes its plan, so that what was shown has
            // the same name each time.
            let held: Vec<usize> = sifted.held.iter().map(|&place| which[place]).collect();
            let doubts: Vec<BTreeSet<RowKey>> =
                sifted.held.iter().map(|&place| doubtful[place].clone()).collect();
            let stop = self.stop.clone();
            let mut again =
                Self::unless_stopped(stop, self.look_at_all(&held, Depth::Everything, &doubts)).await?;
            self.compare_strangers(&held, &mut again).await?;
            let mut parts = sifted.approved.into_plan().mappings;
            for (&place, mut view) in sifted.held.iter().zip(again) {
                parts.insert(place, self.decide_one(which[place], &mut view));
                views[place] = view;
            }
            let plan = self.joined(&which, parts);
            against = self.weights(&which, &plan, &views).await?;
            sifted = guard::sift(plan, &against, &consent.pass);
        }
        run.stopped.extend(sifted.refusals);
        let passes = |place: &usize| !sifted.held.contains(place);
        let left = (0..which.len()).filter(passes).map(|place| which[place]).collect();
        let mut place = 0;
        views.retain(|_| {
            place += 1;
            passes(&(place - 1))
        });
        Ok(Checked { which: left, approved: sifted.approved, views })
    }

    /// The links that relations need, read once and from then on kept up to date.
    pub(super) async fn take_relatives(&mut self) -> Result<Relatives, EngineError> {
        if let Some(relatives) = self.relatives.take() {
            return Ok(relatives);
        }
        let mut relatives = Relatives::default();
        for name in self.related() {
            self.store.each_link(&name, &mut |link| relatives.add(&name, link.key, link.page)).await?;
        }
        Ok(relatives)
    }
}
