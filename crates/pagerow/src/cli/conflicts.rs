//! `pagerow conflicts`: what both sides changed, and what nobody has decided yet.

use std::path::Path;

use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};
use crate::store::Attention;

/// List what both sides changed to different values, and what waits for a decision
///
/// As of the last run; a value that was made equal on both sides since is gone after the next. Ends with 3 when there
/// are any.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  pagerow conflicts --json | jq '.conflicts[] | {key, column, postgres, notion}'"
)]
pub(super) struct Args {
    /// Only this mapping
    #[arg(value_name = "MAPPING")]
    mapping: Option<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, args.mapping.as_slice())?;
    let open = match &known.store {
        Some(store) => store.open_conflicts(args.mapping.as_deref()).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<_> = open.iter().map(render::attention::conflict_json).collect();
    console.answer(&json!({ "conflicts": list }), || render::attention::conflicts(&open))?;
    Ok(if open.is_empty() { Exit::Done } else { Exit::Decisions })
}
