//! `pagerow undo`: takes a run back where nobody has edited since, and says what stays.

use std::path::Path;

use pagerow_core::{digest::Digest, guard::Refused};
use serde_json::{Value as Json, json};

use super::{
    apply::parse_hash, console::Console, error::CliError, exit::Exit, progress::Meter, render, signals,
};
use crate::{config::Config, engine::EngineError, wiring::Wiring};

/// Take a run back: every field that is still as the run left it, every record that it made or deleted
///
/// What was edited since stays, and is listed. Afterwards the two sides are held apart in what was taken back, until
/// somebody edits it again on either side. An undo is a run of its own, and can be undone.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  pagerow undo 12 --dry-run\n  pagerow undo 12 --yes")]
pub(super) struct Args {
    /// The run's number, as `pagerow runs` lists it
    #[arg(value_name = "RUN")]
    run: i64,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Let the plan with this hash pass, although the guard stopped it
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Option<Digest>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    let explain = |error| CliError::of_engine(error, &wiring.database);
    let (mut engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    let planned = engine.plan_undo(args.run).await;
    meter.finish();
    let undo = planned.map_err(explain)?;
    console.warn(&warnings);
    let forecast = engine.forecast(&undo.plan);
    let hash = undo.plan.hash();
    let find = |name: &str| engine.mappings().find(|mapping| mapping.name == name).map(|mapping| &**mapping);
    let plan = render::plan_json::plan(&undo.plan, &undo.refusals, find, forecast);
    let answer = |report: Json| {
        json!({
            "undoes": undo.run,
            "plan": plan,
            "left": undo.left.iter().map(render::undo::left_json).collect::<Vec<_>>(),
            "already": undo.already,
            "report": report,
        })
    };
    let exit = if undo.left.is_empty() { Exit::Done } else { Exit::Decisions };
    let stopped = !undo.refusals.is_empty() && args.pass != Some(hash);
    let nothing = undo.plan.is_empty();
    if !console.json() {
        console.print(&render::undo::undo(&undo, forecast, console.verbose()))?;
    }
    if args.dry_run || nothing {
        if console.json() {
            console.answer(&answer(Json::Null), String::new)?;
        }
        return Ok(if stopped { Exit::Decisions } else { exit });
    }
    if stopped {
        let refused = Refused { plan: undo.plan, refusals: undo.refusals };
        return Err(explain(EngineError::Refused(Box::new(refused))).advise(format!(
            "nothing was written; look at it with `pagerow undo {} --dry-run`, and if it is what you want, let this one plan pass with --override {hash}",
            args.run
        )));
    }
    console.confirm(&format!("Take run {} back?", args.run))?;
    let meter = Meter::new(console);
    let undone = engine.undo(args.run, Some(hash), args.pass).await;
    meter.finish();
    let rested = engine.rest().await;
    let report = undone.map_err(explain)?;
    rested.map_err(explain)?;
    let json = serde_json::to_value(&report).unwrap_or_default();
    console.answer(&answer(json), || render::undo::done(&undo, &report))?;
    Ok(if report.quiet { exit } else { Exit::Failed })
}
