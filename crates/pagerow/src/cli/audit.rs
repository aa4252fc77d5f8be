//! `pagerow audit`: every step that was done and every decision, and whether the record of it is intact.

use std::path::Path;

use serde_json::json;

use super::{check_names, console::Console, error::CliError, exit::Exit, remembered, render};

/// List what was done and decided, newest first, or verify that nothing of it was changed
///
/// Each entry carries the SHA-256 of the entry before it, of its number and of its own text. --verify walks along the
/// whole chain and names the first entry that is not the one that was written; it ends with 1 then. Values are in the
/// audit by their digests only.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow audit --limit 20\n  pagerow audit --verify --json | jq .head.hash"
)]
pub(super) struct Args {
    /// Walk along the whole chain
    #[arg(long)]
    verify: bool,
    /// How many entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only entries before this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// Only entries of this mapping
    #[arg(long, value_name = "MAPPING")]
    mapping: Option<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, args.mapping.as_slice())?;
    let Some(store) = &known.store else {
        console.answer(&json!({ "audit": [] }), || "nothing has been written yet".to_owned())?;
        return Ok(Exit::Done);
    };
    if args.verify {
        let verdict = store.verify_audit().await.map_err(known.explain())?;
        console.answer(&verdict, || render::audit::verdict(&verdict))?;
        return Ok(if verdict.verified { Exit::Done } else { Exit::Failed });
    }
    let rows = store
        .audit_rows(args.limit.into(), args.before, args.mapping.as_deref())
        .await
        .map_err(known.explain())?;
    console.answer(&json!({ "audit": rows }), || render::audit::rows(&rows))?;
    Ok(Exit::Done)
}
