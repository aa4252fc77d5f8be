//! `pagerow history`: one record through all runs.

use std::path::Path;

use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};

/// Show everything that was written to one record, newest first
///
/// The record is named by its row's key or by its page's id or address; under whatever other name it went before, what
/// was written then is listed too.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow history suppliers 42")]
pub(super) struct Args {
    /// The record's mapping
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// The row's key, or the page
    #[arg(value_name = "KEY")]
    key: String,
    /// How many steps
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only of runs before this one
    #[arg(long, value_name = "RUN")]
    before: Option<i64>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, std::slice::from_ref(&args.mapping))?;
    let steps = match &known.store {
        Some(store) => store
            .record_steps(&args.mapping, &args.key, args.limit.into(), args.before)
            .await
            .map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<_> = steps.iter().map(render::history::step_json).collect();
    let answer = json!({ "mapping": args.mapping, "key": args.key, "steps": list });
    console.answer(&answer, || match steps.as_slice() {
        [] => format!("nothing was ever written to {} of {}", args.key, args.mapping),
        steps => steps.iter().map(render::history::record_step).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(Exit::Done)
}
