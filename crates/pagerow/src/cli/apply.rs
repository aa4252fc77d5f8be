//! `pagerow apply`: carries out one kept plan, or nothing.

use std::path::{Path, PathBuf};

use pagerow_core::digest::Digest;

use super::{console::Console, error::CliError, exit::Exit, plan_file, progress::Meter, signals, sync};
use crate::{
    config::Config,
    engine::Consent,
    setup::drift::Pause,
    wiring::{self, Bindings, Wiring},
};

/// Carry out a plan that was kept with `pagerow plan --out`
///
/// Both sides are looked at again first: a plan whose state has moved is refused, and nothing is written.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow plan --out plan.json && pagerow apply plan.json")]
pub(super) struct Args {
    /// The kept plan
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Let this plan pass, although the guard stopped it; may be given several times, for several mappings
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Vec<Digest>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let plan = plan_file::read(&args.file)?;
    let config = Config::load(config, &[])?;
    for part in &plan.mappings {
        super::check_names(&config, std::slice::from_ref(&part.mapping))?;
    }
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    let Bindings { mut engine, warnings, followed, paused } = wiring.bind(meter.listener(), stop).await?;
    let whole = |pause: &&Pause| {
        pause.column.is_none() && plan.mappings.iter().any(|part| part.mapping == pause.mapping)
    };
    if let Some(pause) = paused.iter().find(whole) {
        return Err(CliError::paused(pause));
    }
    let applied = engine.apply(&plan, Consent::to(args.pass), "apply").await;
    meter.finish();
    let rested = engine.rest().await;
    let report = applied.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    rested.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.warn(&warnings);
    console.tell_moved(&followed);
    let paused = wiring::paused(&wiring.config, engine.store(), &[]).await;
    sync::tell_all(&report, &paused.map_err(|error| CliError::of_store(error, &wiring.database))?, console)
}

/// A plan's hash, as a plan and a stop print it.
pub(super) fn parse_hash(text: &str) -> Result<Digest, String> {
    Digest::try_from(text.trim().to_lowercase())
        .map_err(|_| "a plan's hash has 32 hexadecimal digits; `pagerow plan` prints it".to_owned())
}
