//! `pagerow undo`: takes a run back where nobody has edited since, and says what stays.

use std::path::Path;

use pagerow_core::digest::Digest;
use serde_json::{Value as Json, json};

use super::{
    apply::parse_hash, asked::Asked, console::Console, error::CliError, exit::Exit, progress::Meter, render,
    signals,
};
use crate::{
    config::Config,
    wiring::{Keeper, Wiring},
};

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
    let asked = Asked {
        plan: &undo.plan,
        refusals: &undo.refusals,
        dry_run: args.dry_run,
        pass: args.pass,
        command: format!("pagerow undo {}", args.run),
        question: format!("Take run {} back?", args.run),
    };
    if !console.json() {
        console.print(&render::undo::undo(&undo, forecast, console.verbose()))?;
    }
    let act = async |engine: &mut Keeper, hash| engine.undo(args.run, Some(hash), args.pass).await;
    let Some(report) = asked.carry_out(&mut engine, console, &meter, &wiring.database, act).await? else {
        console.answer(&answer(Json::Null), String::new)?;
        return Ok(if asked.is_stopped() { Exit::Decisions } else { exit });
    };
    let json = serde_json::to_value(&report).unwrap_or_default();
    console.answer(&answer(json), || render::undo::done(&undo, &report))?;
    Ok(if report.quiet { exit } else { Exit::Failed })
}
