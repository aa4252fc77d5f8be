//! `pagerow runs`: what was carried out, newest first.

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};
use crate::store::RunFilter;

/// List what was carried out, newest first
///
/// A run is one command's writes; a command that had nothing to write leaves none. For the next ones, repeat the command
/// with --before and the last number listed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow runs --limit 5 --json | jq '.runs[0].id'\n  pagerow runs --mapping suppliers --since 2026-07-01T00:00:00Z"
)]
pub(super) struct Args {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only runs before this one
    #[arg(long, value_name = "RUN")]
    before: Option<i64>,
    /// Only runs that wrote to this mapping
    #[arg(long, value_name = "MAPPING")]
    mapping: Option<String>,
    /// Only runs in this state
    #[arg(long, value_name = "STATE", value_parser = ["running", "done", "partial", "failed", "stopped"])]
    state: Option<String>,
    /// Only runs by this: sync, apply, undo, serve, …
    #[arg(long, value_name = "ORIGIN")]
    by: Option<String>,
    /// Only runs that began at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only runs that began before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, args.mapping.as_slice())?;
    let filter = RunFilter {
        limit: args.limit.into(),
        before: args.before,
        mapping: args.mapping,
        state: args.state,
        origin: args.by,
        since: args.since,
        until: args.until,
    };
    let runs = match &known.store {
        Some(store) => store.runs(&filter).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<_> = runs.iter().map(render::history::run_json).collect();
    console.answer(&json!({ "runs": list }), || render::history::runs(&runs))?;
    Ok(Exit::Done)
}
