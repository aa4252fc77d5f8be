//! `pagerow recover`: rebuilds one side from the other, after showing what it would do.

mod rebuild;

use std::path::Path;

use super::{console::Console, error::CliError, exit::Exit};

/// Rebuild one side from the other: rows from their pages, or pages from their rows
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make lost rows again from their pages, each under the key that it had
    ///
    /// Shows what it would do, and asks. Rows that are there are merged with their pages as in any sync; a row is never
    /// written over without a rule or a person that says so. Nothing is deleted, and nothing but the tables is written,
    /// apart from the key property of pages that lack it.
    #[command(
        after_help = "Examples:\n  pagerow recover from-notion --dry-run\n  pagerow recover from-notion suppliers products --yes\n  \
                      pagerow recover from-notion suppliers --record 42"
    )]
    FromNotion(rebuild::Args),
    /// Take lost pages out of Notion's trash, and make those again that are gone for good
    ///
    /// Shows what it would do, and asks. Nothing is deleted, and no row is written.
    #[command(
        after_help = "Examples:\n  pagerow recover to-notion --dry-run\n  pagerow recover to-notion --yes"
    )]
    ToNotion(rebuild::Args),
}

pub(super) async fn run(command: Command, config: &Path, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::FromNotion(args) => rebuild::run(rebuild::From::Notion, args, config, console).await,
        Command::ToNotion(args) => rebuild::run(rebuild::From::Postgres, args, config, console).await,
    }
}
