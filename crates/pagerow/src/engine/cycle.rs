//! The whole story: look, decide, check, act.

use std::collections::BTreeSet;

use pagerow_core::{
    answer::Answers,
    digest::Digest,
    guard::{self, Against},
    mapping::Mapping,
    mutant::{self, Mutant},
    plan::Plan,
    planner::{Planner, assemble},
    record::RowKey,
};

use super::{
    Engine, EngineError, Parts,
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
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consent {
    /// The plan that may pass the guard.
    pub(super) pass: Option<Digest>,
    /// The only plan that may be carried out at all.
    pub(super) only: Option<Digest>,
}

/// A plan, with what it was made from.
pub(super) struct Decided {
    pub(super) plan: Plan,
    pub(super) views: Vec<View>,
}

impl<W: Parts> Engine<W> {
    /// One cycle over these mappings. Answers whether it found anything to do.
    pub(super) async fn cycle(
        &mut self,
        run: &mut Run,
        which: &[usize],
        depth: Depth,
        consent: Consent,
    ) -> Result<bool, EngineError> {
        let mut doubtful = self.finish_open_steps(run, which).await?;
        if mutant::is(Mutant::DoubtfulIsPlanned) {
            doubtful.iter_mut().for_each(BTreeSet::clear);
        }

        // A look may take long, and nothing is lost with it.
        let stop = self.stop.clone();
        let views = Self::unless_stopped(stop, self.look_at_all(which, depth, &doubtful)).await?;
        let decided = self.decide(which, views);
        let approved = guard::check(decided.plan.clone(), &self.limits(which), consent.pass.as_slice())
            .map_err(EngineError::Refused)?;
        if let Some(kept) = consent.only.filter(|kept| *kept != approved.hash()) {
            return Err(EngineError::StalePlan { kept, now: approved.hash() });
        }
        self.act(run, which, approved, decided).await
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
        let mut parts = Vec::with_capacity(which.len());
        for (&at, view) in which.iter().zip(&mut views) {
            let mut planner = Planner::new(&self.bound[at].mapping, view.census);
            let none = Answers::default();
            for pair in view.pairs.drain(..) {
                let answers = match view.answers.is_empty() {
                    true => &none,
                    false => view.answers.get(&name_of(&pair)).unwrap_or(&none),
                };
                planner.consider_with(&pair, answers);
            }
            view.skipped.drain(..).for_each(|skipped| planner.skip(skipped));
            parts.push(planner.finish());
        }
        let mappings: Vec<&Mapping> = which.iter().map(|&at| &*self.bound[at].mapping).collect();
        Decided { plan: assemble(parts, &mappings), views }
    }

    pub(super) fn limits(&self, which: &[usize]) -> Vec<Against> {
        which.iter().map(|&at| self.bound[at].settings.limits.into()).collect()
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
