//! `pagerow report`: the last run's figures.

use std::path::Path;

use serde::Deserialize as _;

use super::{console::Console, error::CliError, exit::Exit, remembered, sync};
use crate::{engine::Report, store::RunFilter, wiring};

/// How many runs back a report is looked for: a run that was killed has none.
const BACK: i64 = 50;

/// Print the figures of the last run once more
///
/// The same shape as `pagerow sync` prints, and the same exit code.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow report --json | jq .calls")]
pub(super) struct Args {}

pub(super) async fn run(_: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    let runs = match &known.store {
        Some(store) => {
            store.runs(&RunFilter { limit: BACK, ..RunFilter::default() }).await.map_err(known.explain())?
        }
        None => Vec::new(),
    };
    let report = runs.iter().find_map(|run| Report::deserialize(run.report.as_ref()?).ok());
    let paused = match &known.store {
        Some(store) => wiring::paused(&known.config, store, &[]).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    match report {
        Some(report) => sync::tell_all(&report, &paused, console),
        None => {
            let nothing = Report { quiet: true, ..Report::default() };
            console.answer(&nothing, || "nothing has been written yet".to_owned())?;
            Ok(Exit::Done)
        }
    }
}
