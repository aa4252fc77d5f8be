//! `pagerow parked`: what cannot be written as it is, and why.

use std::path::Path;

use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};
use crate::store::Attention;

/// List records that one side cannot hold or refused, with field, reason and limit
///
/// A parked record is tried again when either side changes it, or when its time comes. Ends with 3 when there are any.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow parked suppliers")]
pub(super) struct Args {
    /// Only this mapping
    #[arg(value_name = "MAPPING")]
    mapping: Option<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, args.mapping.as_slice())?;
    let parked = match &known.store {
        Some(store) => store.parked(args.mapping.as_deref()).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<_> = parked.iter().map(render::attention::parked_json).collect();
    console.answer(&json!({ "parked": list }), || render::attention::parked(&parked))?;
    Ok(if parked.is_empty() { Exit::Done } else { Exit::Decisions })
}
