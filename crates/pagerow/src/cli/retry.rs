//! `pagerow retry`: tries parked records again at once, and says what became of each.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{check_names, console::Console, error::CliError, exit::Exit, progress::Meter, render, signals};
use crate::{
    config::Config,
    store::{Attention as _, ParkedRecord},
    wiring::Wiring,
};

/// Try parked records again at once, whatever their next time is
///
/// Looks at just these records on both sides and writes what can be written now. Ends with 3 when some of them are
/// still parked.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow retry 5 8\n  pagerow retry --mapping suppliers\n  pagerow retry --all"
)]
pub(super) struct Args {
    /// Parked records, by their numbers in `pagerow parked`
    #[arg(value_name = "ID", required_unless_present_any = ["all", "mapping"], conflicts_with_all = ["all", "mapping"])]
    ids: Vec<i64>,
    /// All of this mapping
    #[arg(long, value_name = "MAPPING")]
    mapping: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    check_names(&config, args.mapping.as_slice())?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    meter.say("reading both schemas");
    let (mut engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    let explain = |error| CliError::of_store(error, &wiring.database);
    let mut parked = engine.store().parked(args.mapping.as_deref()).await.map_err(explain)?;
    parked.retain(|one| engine.mappings().any(|mapping| mapping.name == one.mapping));
    for id in &args.ids {
        if !parked.iter().any(|one| one.id == *id) {
            return Err(CliError::usage(format!(
                "nothing is parked under {id}: it was written since, or never was"
            ))
            .about("ID")
            .advise("nothing was tried; `pagerow parked` lists what is"));
        }
    }
    if !args.ids.is_empty() {
        parked.retain(|one| args.ids.contains(&one.id));
    }
    console.warn(&warnings);
    if parked.is_empty() {
        meter.finish();
        console.answer(&json!({ "run": null, "retried": [] }), || "nothing is parked".to_owned())?;
        return Ok(Exit::Done);
    }
    meter.say("trying again");
    let tried = engine.retry(&parked).await;
    meter.finish();
    let rested = engine.rest().await;
    let report = tried.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    rested.map_err(|error| CliError::of_engine(error, &wiring.database))?;

    let left = engine.store().parked(args.mapping.as_deref()).await.map_err(explain)?;
    let what_is_left = |was: &ParkedRecord| -> Vec<&ParkedRecord> {
        let same = |now: &&ParkedRecord| {
            now.mapping == was.mapping
                && (&now.key, now.page, &now.column) == (&was.key, was.page, &was.column)
        };
        left.iter().filter(same).collect()
    };
    let list: Vec<Json> =
        parked.iter().map(|was| render::attention::retried_json(was, &what_is_left(was))).collect();
    let mut answer = serde_json::to_value(&report).unwrap_or_default();
    answer["retried"] = Json::Array(list);
    console.answer(&answer, || {
        let lines: Vec<String> =
            parked.iter().map(|was| render::attention::retried(was, &what_is_left(was))).collect();
        lines.join("\n")
    })?;
    let stuck = parked.iter().any(|was| !what_is_left(was).is_empty());
    Ok(match (stuck, report.quiet) {
        (true, _) => Exit::Decisions,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}
