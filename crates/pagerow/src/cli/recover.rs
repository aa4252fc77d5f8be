//! `pagerow recover`: rebuilds one side from the other, after showing what it would do.

mod at;
mod choices;
mod choose;
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
    /// apart from the key property of pages that lack it. Rows and pages that no key brings together are compared by
    /// title and content: what is likely one record is listed, and waits, unless --accept takes it.
    #[command(
        after_help = "Examples:\n  pagerow recover from-notion --dry-run\n  pagerow recover from-notion suppliers products --yes\n  \
                      pagerow recover from-notion suppliers --record 42\n  pagerow recover from-notion suppliers --accept medium"
    )]
    FromNotion(rebuild::Args),
    /// Take lost pages out of Notion's trash, and make those again that are gone for good
    ///
    /// A database that is lost itself comes first, after a question of its own: out of the trash with all its pages, or
    /// made again, and its id is put into the configuration. Shows what it would do, and asks. Nothing is deleted, and no row is written.
    /// Rows and pages that no key brings together are compared by title and content: what is likely one record is listed,
    /// and waits, unless --accept takes it.
    #[command(
        after_help = "Examples:\n  pagerow recover to-notion --dry-run\n  pagerow recover to-notion --yes"
    )]
    ToNotion(rebuild::Args),
    /// Say which row is which page, where a recovery or a first sync asks
    ///
    /// Looks at both, and keeps the answer for the next sync or recovery, which makes the link. A row or a page that
    /// belongs to none of those that are there is --new: it gets an other half of its own. An answer is revised by taking
    /// it back, and a link that should not be is taken apart by --unlink.
    #[command(
        after_help = "Examples:\n  pagerow recover choose suppliers 42 --page 1f2e3d4c-5b6a-4978-8695-a4b3c2d1e0f9\n  \
                      pagerow recover choose suppliers 43 44 --new\n  pagerow recover choose suppliers --page 1f2e3d4c-5b6a-4978-8695-a4b3c2d1e0f9 --new\n  \
                      pagerow recover choose suppliers 42 --take-back\n  pagerow recover choose suppliers 42 --unlink"
    )]
    Choose(choose::Args),
    /// List what is asked about which row is which page, and what was said that is no link yet
    #[command(after_help = "Example:\n  pagerow recover choices suppliers")]
    Choices(choices::Args),
    /// Put a record, a mapping or everything back to how it was at a moment, on both sides
    ///
    /// Goes by the history: what was written since then is taken back, on the side where somebody wrote it as well. What
    /// was made since then goes, what was deleted comes back under its own key. Edits that no sync has seen yet stay,
    /// and are listed, as is what the history does not reach. It is a run of its own, and can be undone.
    #[command(
        after_help = "Examples:\n  pagerow recover at 2026-11-20T10:00Z --dry-run\n  pagerow recover at 2026-11-20T10:00Z suppliers\n  \
                      pagerow recover at 2026-11-20T10:00+01:00 suppliers 42 --yes"
    )]
    At(at::Args),
}

pub(super) async fn run(command: Command, config: &Path, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::Detect(args) => detect::run(args, config, console).await,
        Command::FromNotion(args) => rebuild::run(rebuild::From::Notion, args, config, console).await,
        Command::ToNotion(args) => rebuild::run(rebuild::From::Postgres, args, config, console).await,
        Command::Choose(args) => choose::run(args, config, console).await,
        Command::Choices(args) => choices::run(args, config, console).await,
        Command::At(args) => at::run(args, config, console).await,
    }
}
