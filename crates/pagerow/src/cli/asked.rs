//! Whether a plan that was shown is carried out: it is asked about, stopped by the guard, or nothing at all.

use pagerow_core::{
    digest::Digest,
    guard::{Refusal, Refused},
    plan::Plan,
};

use super::{console::Console, error::CliError, progress::Meter};
use crate::{
    engine::{EngineError, Report},
    postgres::Database,
    wiring::Keeper,
};

/// A plan that was shown, and what decides whether it is carried out.
pub(super) struct Asked<'a> {
    pub(super) plan: &'a Plan,
    /// What the guard stops it for.
    pub(super) refusals: &'a [Refusal],
    /// It was only to be shown.
    pub(super) dry_run: bool,
    /// The plan that may pass the guard.
    pub(super) pass: Option<Digest>,
    /// What shows it again: a command without its flags.
    pub(super) command: String,
    /// What is asked before it is carried out.
    pub(super) question: String,
}

impl Asked<'_> {
    /// Whether the guard stops it.
    pub(super) fn is_stopped(&self) -> bool {
        !self.refusals.is_empty() && self.pass != Some(self.plan.hash())
    }

    /// Carries it out by `act`, which gets its hash, if it is to be and somebody agrees; `None` where it was only to be
    /// shown, or has nothing in it. The engine rests afterwards, whatever came of it.
    pub(super) async fn carry_out(
        &self,
        engine: &mut Keeper,
        console: &Console,
        meter: &Meter,
        database: &Database,
        act: impl AsyncFnOnce(&mut Keeper, Digest) -> Result<Report, EngineError>,
    ) -> Result<Option<Report>, CliError> {
        match self.consent(engine, console, database).await? {
            Some(hash) => carry_out(engine, meter, database, hash, act).await.map(Some),
            None => Ok(None),
        }
    }

    /// The name of the plan that is to be carried out now; `None` where it was only to be shown, or has nothing in it. The
    /// engine rests unless it goes on.
    pub(super) async fn consent(
        &self,
        engine: &mut Keeper,
        console: &Console,
        database: &Database,
    ) -> Result<Option<Digest>, CliError> {
        let explain = |error| CliError::of_engine(error, database);
        if let Some(end) = self.ends_here(console, explain) {
            engine.rest().await.map_err(explain)?;
            return end.map(|()| None);
        }
        Ok(Some(self.plan.hash()))
    }

    /// How the command ends without anything carried out, if it does.
    fn ends_here(
        &self,
        console: &Console,
        explain: impl Fn(EngineError) -> CliError,
    ) -> Option<Result<(), CliError>> {
        if self.dry_run || self.plan.is_empty() {
            return Some(Ok(()));
        }
        if self.is_stopped() {
            let refused = Refused { plan: self.plan.clone(), refusals: self.refusals.to_vec() };
            let error = explain(EngineError::Refused(Box::new(refused)));
            return Some(Err(error.advise(format!(
                "nothing was written; look at it with `{} --dry-run`, and if it is what you want, let this one plan pass \
                 with --override {}",
                self.command,
                self.plan.hash()
            ))));
        }
        console.confirm(&self.question).err().map(Err)
    }
}

/// Carries a plan out by `act`, which gets its name. The engine rests afterwards, whatever came of it.
pub(super) async fn carry_out(
    engine: &mut Keeper,
    meter: &Meter,
    database: &Database,
    hash: Digest,
    act: impl AsyncFnOnce(&mut Keeper, Digest) -> Result<Report, EngineError>,
) -> Result<Report, CliError> {
    let explain = |error| CliError::of_engine(error, database);
    meter.go_on();
    let done = act(engine, hash).await;
    meter.finish();
    let rested = engine.rest().await;
    let report = done.map_err(explain)?;
    rested.map_err(explain)?;
    Ok(report)
}
