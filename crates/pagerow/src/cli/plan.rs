//! `pagerow plan`: what a sync would do, field by field, without doing it.

use std::path::{Path, PathBuf};

use pagerow_core::{
    guard::Refusal,
    plan::{Plan, Why},
};

use super::{
    check_names, console::Console, error::CliError, exit::Exit, plan_file, progress::Meter, render, signals,
};
use crate::{
    clock::Clock,
    config::Config,
    wiring::{Bindings, Wiring},
};

/// Show what a sync would write, field by field, and why nothing happens elsewhere
///
/// Looks at both sides completely and writes to neither. A kept plan (--out) can be carried out later with
/// `pagerow apply`, as long as nothing has moved since.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow plan\n  pagerow plan suppliers orders --out plan.json && pagerow apply plan.json\n  pagerow plan --json --detailed-exitcode"
)]
pub(super) struct Args {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
    /// Keep the plan in this file; it holds cell contents
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 4 when changes are planned
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    check_names(&config, &args.mappings)?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    meter.say("reading both schemas");
    let bindings = wiring.bind(meter.listener(), stop).await?;
    let flowing = bindings.flowing(&args.mappings);
    let Bindings { mut engine, warnings, followed, mut paused } = bindings;
    paused.retain(|pause| args.mappings.is_empty() || args.mappings.contains(&pause.mapping));
    meter.say("looking at both sides");
    let planned = match flowing {
        Some(flowing) => engine.plan(&flowing).await,
        // All that was asked for is paused.
        None => Ok((Plan { mappings: Vec::new() }, Vec::new())),
    };
    meter.finish();
    let (plan, refusals) = planned.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.warn(&warnings);
    console.tell_moved(&followed);
    let forecast = engine.forecast(&plan);
    if let Some(path) = &args.out {
        plan_file::write(path, &plan, Clock::system().now())?;
    }
    let find = |name: &str| engine.mappings().find(|mapping| mapping.name == name).map(|mapping| &**mapping);
    let json = render::plan_json::plan(&plan, &refusals, find, forecast);
    console.answer(&render::paused::with(&json, &paused), || {
        let text = render::plan_text::plan(&plan, &refusals, forecast, console.verbose());
        render::paused::below(text, &paused)
    })?;
    if let Some(path) = &args.out {
        console.note(&format!(
            "kept in {}; carry it out with `pagerow apply {}`",
            path.display(),
            path.display()
        ));
    }
    Ok(match exit(&plan, &refusals, args.detailed_exitcode) {
        Exit::Done if !paused.is_empty() => Exit::Decisions,
        exit => exit,
    })
}

fn exit(plan: &Plan, refusals: &[Refusal], detailed: bool) -> Exit {
    let decisions = plan.mappings.iter().any(|part| {
        let waits = |why: &Why| why.needs_decision() || matches!(why, Why::Waiting | Why::Paused { .. });
        !part.conflicts.is_empty()
            || !part.parked.is_empty()
            || part.skipped.iter().any(|one| waits(&one.why))
    });
    if !refusals.is_empty() {
        Exit::Decisions
    } else if detailed && plan.steps().next().is_some() {
        Exit::Changes
    } else if decisions {
        Exit::Decisions
    } else {
        Exit::Done
    }
}
