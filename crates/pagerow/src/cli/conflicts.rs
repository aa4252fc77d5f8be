//! `pagerow conflicts`: what both sides changed, side by side, and what nobody has decided yet.

use std::path::Path;

use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};
use crate::store::Attention as _;

/// Show what both sides changed to different values, side by side, and what else waits for a decision
///
/// What both sides had stands in the middle, and what became of it is marked on each side. As of the last run; a
/// value that was made equal on both sides since is gone after the next. Ends with 3 when there are any.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow conflicts\n  pagerow conflicts --mapping suppliers --column notes\n  \
                  pagerow conflicts --json | jq '.conflicts[] | {id, key, column, postgres, notion}'"
)]
pub(super) struct Args {
    /// Only this mapping
    #[arg(value_name = "MAPPING", conflicts_with = "mapping")]
    only: Option<String>,
    /// Only this mapping
    #[arg(long, value_name = "MAPPING")]
    mapping: Option<String>,
    /// Only this column
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    let mapping = args.only.or(args.mapping);
    check_names(&known.config, mapping.as_slice())?;
    let mut open = match &known.store {
        Some(store) => store.open_conflicts(mapping.as_deref()).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    if let Some(column) = &args.column {
        open.retain(|one| one.column == *column);
    }
    let list: Vec<_> = open.iter().map(render::attention::conflict_json).collect();
    console
        .answer(&json!({ "conflicts": list }), || render::attention::conflicts(&open, console.verbose()))?;
    if open.is_empty() {
        return Ok(Exit::Done);
    }
    console.note(
        "answer with `pagerow resolve ID --keep postgres|notion`, --value COLUMN=TEXT or --skip; many at once with --all",
    );
    Ok(Exit::Decisions)
}
