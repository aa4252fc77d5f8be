//! `pagerow recover`: rebuilds one side from the other, after showing what it would do.

mod databases;
mod detect;
mod rebuild;

use std::path::Path;

use super::{console::Console, error::CliError, exit::Exit};

/// Rebuild one side from the other: rows from their pages, or pages from their rows
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Say what looks as if something was lost: how sure that is, and what would bring it back
    ///
    /// Looks at both sides and writes nothing. Ends with 3 when there is something.
    #[command(
        after_help = "Examples:\n  pagerow recover detect\n  pagerow recover detect --json | jq .findings"
    )]
    Detect(detect::Args),
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
    /// A database that is lost itself comes first, after a question of its own: out of the trash with all its pages, or
    /// made again, and its id is put into the configuration. Shows what it would do, and asks. Nothing is deleted, and no row is written.
    #[command(
        after_help = "Examples:\n  pagerow recover to-notion --dry-run\n  pagerow recover to-notion --yes"
    )]
    ToNotion(rebuild::Args),
}

pub(super) async fn run(command: Command, config: &Path, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::Detect(args) => detect::run(args, config, console).await,
        Command::FromNotion(args) => rebuild::run(rebuild::From::Notion, args, config, console).await,
        Command::ToNotion(args) => rebuild::run(rebuild::From::Postgres, args, config, console).await,
    }
}
