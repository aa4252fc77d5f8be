//! Planning, and syncing until quiet: what commands and daemons ask of the engine.

use std::{collections::BTreeSet, time::Duration};

use pagerow_core::{
    guard::{self, Refusal},
    plan::Plan,
};

use super::{
    Depth, Engine, EngineError, Parts,
    cycle::Consent,
    report::{Report, Run},
};
use crate::replica::Pages;
use crate::store::{Attention, Questions, Runs};

/// Plans of one run before it is called restless: circles of references take two, defaults and triggers one more.
const MOST_PLANS: u32 = 12;

/// Before the first further look for pages whose create was not answered; each one after it waits twice as long.
const DOUBT_PAUSE: Duration = Duration::from_secs(2);

impl<W: Parts> Engine<W> {
    /// What a sync would do, and what of it the guard would stop. Writes nothing to either side.
    ///
    /// # Errors
    /// When a side cannot be looked at.
    pub async fn plan(&mut self, mappings: &[String]) -> Result<(Plan, Vec<Refusal>), EngineError> {
        let which = self.which(mappings)?;
        self.find_its_place().await?;
        let mut doubtful = Vec::new();
        for &at in &which {
            let open = self.store.open_steps(&self.bound[at].mapping.name).await?;
            let keys: BTreeSet<_> = open.into_iter().filter_map(|open| open.step.key).collect();
            doubtful.push(keys);
        }
        let stop = self.stop.clone();
        let mut views =
            Self::unless_stopped(stop, self.look_at_all(&which, Depth::Everything, &doubtful)).await?;
        self.compare_strangers(&which, &mut views).await?;
        let decided = self.decide(&which, views);
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        Ok(match guard::check(decided.plan, &against, &[]) {
            Ok(approved) => (approved.into_plan(), Vec::new()),
            Err(refused) => (refused.plan, refused.refusals),
        })
    }

    /// How long a plan's calls will take under the rate limit, in seconds, and how many they are.
    #[must_use]
    pub fn forecast(&self, plan: &Plan) -> (u64, f64) {
        let calls =
            plan.steps().filter(|(_, step)| step.side == pagerow_core::side::Side::Notion).count() as u64;
        let slowest = self.bound.iter().map(|bound| bound.pages.forecast(calls)).max().unwrap_or_default();
        (calls, slowest.as_secs_f64())
    }

    /// Makes the sides equal: plans and acts until nothing is left to do.
    ///
    /// A mapping that the guard stops is left as it is and told in the report; the others go on. `consent` names what a
    /// person lets past the guard.
    ///
    /// # Errors
    /// When a side cannot be looked at or refuses to go on. What was done until then is kept.
    pub async fn sync(
        &mut self,
        mappings: &[String],
        depth: Depth,
        consent: impl Into<Consent>,
        origin: &str,
    ) -> Result<Report, EngineError> {
        let consent = consent.into();
        let mut which = self.which(mappings)?;
        self.take_lease().await?;
        self.find_its_place().await?;
        let mut run = Run::new(origin, self.calls());
        let mut result = Box::pin(self.until_quiet(&mut run, &which, depth, &consent)).await;
        while self.suspects(&run, result.as_ref().copied()) {
            (run.misfits, run.renewals) = (0, run.renewals + 1);
            self.count_calls(&mut run, &which);
            match self.renew(true).await {
                Ok(true) => {
                    let left = self.present(mappings);
                    which =
                        if left.is_empty() && !mappings.is_empty() { Vec::new() } else { self.which(&left)? };
                    run.calls_before = self.calls();
                    result = Box::pin(self.until_quiet(&mut run, &which, depth, &consent)).await;
                }
                Ok(false) => {
                    run.calls_before = self.calls();
                    break;
                }
                // What was met first is what is told.
                Err(error) => {
                    run.calls_before = self.calls();
                    result = result.and(Err(error));
                    break;
                }
            }
        }
        let closed = self.close(run, &which, result.as_ref().copied(), result.as_ref().err()).await;
        // When both fail, the first cause is the one to tell.
        let report = result.and(closed)?;
        self.prune().await?;
        Ok(report)
    }

    /// Carries out one kept plan, if it is still the plan that would be made.
    ///
    /// # Errors
    /// [`EngineError::StalePlan`] when it is not; otherwise as [`Engine::sync`].
    pub async fn apply(
        &mut self,
        kept: &Plan,
        consent: impl Into<Consent>,
        origin: &str,
    ) -> Result<Report, EngineError> {
        let consent = consent.into();
        let names: Vec<String> = kept.mappings.iter().map(|part| part.mapping.clone()).collect();
        let which = self.which(&names)?;
        self.take_lease().await?;
        self.find_its_place().await?;
        let mut run = Run::new(origin, self.calls());
        let consent = Consent { only: Some(kept.hash()), ..consent };
        let result = Box::pin(self.cycle(&mut run, &which, Depth::Everything, &consent)).await;
        // Whether a further plan would be empty is not looked at; that all of this one was written is known.
        let quiet = result.as_ref().map(|_| run.failed == 0 && run.doubts + run.unsure == 0);
        let closed = self.close(run, &which, quiet, result.as_ref().err()).await;
        result.and(closed)
    }

    /// Answers whether it became quiet.
    async fn until_quiet(
        &mut self,
        run: &mut Run,
        which: &[usize],
        depth: Depth,
        consent: &Consent,
    ) -> Result<bool, EngineError> {
        let doubt = which.iter().map(|&at| self.bound[at].settings.doubt).max().unwrap_or_default();
        let longest = (doubt / 4).max(DOUBT_PAUSE);
        let mut busy = self.cycle(run, which, depth, consent).await?;
        for _ in 1..MOST_PLANS {
            let mut pause = DOUBT_PAUSE;
            while run.doubts > 0 && !busy {
                // Nothing else is left: the index needs its time, and nothing may be sent before.
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(pause) => {}
                    () = self.stop.asked() => return Err(EngineError::Stopped),
                }
                // Each look costs calls, and the longer it has taken, the longer it may still take.
                pause = (pause * 2).min(longest);
                busy = self.cycle(run, which, Depth::Changes, consent).await?;
            }
            if !busy {
                return Ok(run.unsure == 0);
            }
            if self.stop.is_asked() {
                return Err(EngineError::Stopped);
            }
            busy = self.cycle(run, which, Depth::Changes, consent).await?;
        }
        if busy { Err(EngineError::Restless(MOST_PLANS)) } else { Ok(run.unsure == 0) }
    }

    /// Adds the calls that were made since they were last counted.
    fn count_calls(&self, run: &mut Run, which: &[usize]) {
        let calls_now = self.calls();
        for &at in which {
            let calls = calls_now[at].saturating_sub(run.calls_before.get(at).copied().unwrap_or(0));
            run.of(&self.bound[at].mapping.name).calls += calls;
        }
    }

    pub(super) async fn close(
        &mut self,
        mut run: Run,
        which: &[usize],
        quiet: Result<bool, &EngineError>,
        error: Option<&EngineError>,
    ) -> Result<Report, EngineError> {
        for &at in which {
            let name = self.bound[at].mapping.name.clone();
            let conflicts = self.store.open_conflicts(Some(&name)).await?.len() as u64;
            let parked = self.store.parked(Some(&name)).await?.len() as u64;
            let asked = self.store.questions(&name).await?.len() as u64;
            let report = run.of(&name);
            report.conflicts = conflicts;
            report.parked = parked;
            report.asked = report.asked.max(asked);
        }
        self.count_calls(&mut run, which);
        let calls = run.mappings.values().map(|report| report.calls).sum::<u64>();
        let report = Report {
            run: run.id,
            mappings: std::mem::take(&mut run.mappings).into_values().collect(),
            calls,
            seconds: run.started.elapsed().as_secs_f64(),
            quiet: quiet.unwrap_or(false) && run.stopped.is_empty(),
            stopped: std::mem::take(&mut run.stopped),
        };
        if let Some(id) = run.id {
            let state = match error {
                None if run.failed > 0 || report.needs_decision() => "partial",
                None => "done",
                Some(EngineError::Stopped) => "stopped",
                Some(_) => "failed",
            };
            let json = serde_json::to_value(&report).unwrap_or_default();
            let stopped =
                report.stopped.iter().map(|one| format!("{} was stopped: {}", one.mapping, one.text));
            let stopped = stopped.reduce(|all, one| format!("{all}; {one}"));
            let error = error.map(ToString::to_string).or(stopped);
            self.store.close_run(id, state, calls.cast_signed(), error.as_deref(), &json).await?;
        }
        Ok(report)
    }

    /// The places of these mappings; of all when none is named.
    pub(super) fn which(&self, names: &[String]) -> Result<Vec<usize>, EngineError> {
        if names.is_empty() {
            return Ok((0..self.bound.len()).collect());
        }
        let mut which = Vec::new();
        for name in names {
            let at = self
                .bound
                .iter()
                .position(|bound| bound.mapping.name == *name)
                .ok_or_else(|| EngineError::NoSuchMapping(name.clone()))?;
            which.push(at);
        }
        which.sort_unstable();
        which.dedup();
        Ok(which)
    }
}
