//! `pagerow sync`: makes both sides equal, and says what it did and what is left.

use std::path::Path;

use pagerow_core::digest::Digest;

use super::{
    apply::parse_hash, board::Board, check_names, console::Console, error::CliError, exit::Exit,
    progress::Meter, render, signals,
};
use crate::{
    config::Config,
    engine::{Consent, Depth, Report},
    setup::drift::Pause,
    wiring::{self, Bindings, Wiring},
};

/// Make both sides equal, then print what was done
///
/// Plans and writes until nothing is left to do but what waits for a person. A mapping of which too much would be
/// deleted or blanked is stopped before anything of it is written, and the others go on; --override lets that one plan
/// pass, once. Ctrl-C stops between two writes; the next sync goes on from there.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow sync\n  pagerow sync suppliers --full\n  pagerow sync --json | jq .mappings"
)]
pub(super) struct Args {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
    /// Compare everything, not only what changed since the last look
    #[arg(long)]
    full: bool,
    /// Let the plan with this hash pass, although the guard stopped it; may be given several times, for several mappings
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Vec<Digest>,
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
    let Bindings { mut engine, warnings, followed, .. } = bindings;
    meter.say("looking at both sides");
    // The plan that was stopped was made from a complete look; so is the one that it is compared with.
    let depth = if args.full || !args.pass.is_empty() { Depth::Everything } else { Depth::Changes };
    let named = !args.pass.is_empty();
    let consent = Consent::to(args.pass);
    let board = Board::of(&wiring, &engine);
    if let Some(board) = &board {
        board.answers(&mut engine, console).await;
    }
    let synced = match flowing {
        Some(flowing) => engine.sync(&flowing, depth, consent, "sync").await,
        // All that was asked for is paused.
        None => Ok(Report { quiet: true, ..Report::default() }),
    };
    if let Some(board) = board.as_ref().filter(|_| synced.is_ok()) {
        board.questions(&mut engine, console).await;
    }
    meter.finish();
    let rested = engine.rest().await;
    let report = synced.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    rested.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.warn(&warnings);
    console.tell_moved(&followed);
    let paused = wiring::paused(&wiring.config, engine.store(), &args.mappings).await;
    let paused = paused.map_err(|error| CliError::of_store(error, &wiring.database))?;
    if report.stopped.is_empty() {
        return tell_all(&report, &paused, console);
    }
    // What was done for the other mappings is told as always, the stop as the error that it is.
    if report.run.is_some() {
        tell_all(&report, &paused, console)?;
    }
    Err(CliError::of_stops(&report.stopped, named))
}

/// Prints a report and what is paused; answers the exit code that they ask for.
pub(super) fn tell_all(report: &Report, pauses: &[Pause], console: &Console) -> Result<Exit, CliError> {
    let text = || render::paused::below(render::report::report(report, pauses.len()), pauses);
    console.answer(&render::paused::with(report, pauses), text)?;
    Ok(match exit(report) {
        Exit::Done if !pauses.is_empty() => Exit::Decisions,
        exit => exit,
    })
}

/// What a report means for scripts.
pub(super) fn exit(report: &Report) -> Exit {
    if report.needs_decision() {
        Exit::Decisions
    } else if report.quiet {
        Exit::Done
    } else {
        Exit::Failed
    }
}
