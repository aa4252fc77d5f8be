//! `pagerow runs`: what was carried out, newest first.

use std::path::Path;

use serde_json::json;

use super::{console::Console, error::CliError, exit::Exit, remembered, render};

/// List what was carried out, newest first
///
/// A run is one command's writes; a command that had nothing to write leaves none.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow runs --limit 5 --json | jq '.runs[0].id'")]
pub(super) struct Args {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only runs before this one
    #[arg(long, value_name = "RUN")]
    before: Option<i64>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    let runs = match &known.store {
        Some(store) => store.runs(args.limit.into(), args.before).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<_> = runs.iter().map(render::history::run_json).collect();
    console.answer(&json!({ "runs": list }), || render::history::runs(&runs))?;
    Ok(Exit::Done)
}
