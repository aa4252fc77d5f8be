//! `pagerow verify`: compares both sides, field by field, without trusting what pagerow remembers.

use std::path::Path;

use super::{check_names, console::Console, error::CliError, exit::Exit, progress::Meter, render, signals};
use crate::{
    config::Config,
    engine::Verdict,
    wiring::{Bindings, Wiring},
};

/// Read both sides completely and compare every mapped field of every record
///
/// Writes nothing. Ends with 1 when something differs, and with 3 when all that could be compared is equal but something
/// is paused.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow verify suppliers --json | jq '.mappings[].differing'")]
pub(super) struct Args {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    check_names(&config, &args.mappings)?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    let bindings = wiring.bind(meter.listener(), stop).await?;
    let flowing = bindings.flowing(&args.mappings);
    let Bindings { mut engine, mut paused, .. } = bindings;
    paused.retain(|pause| args.mappings.is_empty() || args.mappings.contains(&pause.mapping));
    meter.say("comparing both sides");
    let verdict = match flowing {
        Some(flowing) => engine.verify(&flowing).await,
        // All that was asked for is paused.
        None => Ok(Verdict { equal: true, mappings: Vec::new() }),
    };
    meter.finish();
    let verdict = verdict.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.answer(&render::paused::with(&verdict, &paused), || {
        render::paused::below(render::verdict::verdict(&verdict, paused.len()), &paused)
    })?;
    Ok(match (verdict.equal, paused.is_empty()) {
        (true, true) => Exit::Done,
        (true, false) => Exit::Decisions,
        (false, _) => Exit::Failed,
    })
}
