//! `pagerow verify`: compares both sides, field by field, without trusting what pagerow remembers.

use std::path::Path;

use super::{check_names, console::Console, error::CliError, exit::Exit, progress::Meter, render, signals};
use crate::{config::Config, wiring::Wiring};

/// Read both sides completely and compare every mapped field of every record
///
/// Writes nothing. Ends with 1 when something differs.
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
    let (mut engine, _) = wiring.engine(meter.listener(), stop).await?;
    meter.say("comparing both sides");
    let verdict = engine.verify(&args.mappings).await;
    meter.finish();
    let verdict = verdict.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.answer(&verdict, || render::verdict::verdict(&verdict))?;
    Ok(if verdict.equal { Exit::Done } else { Exit::Failed })
}
