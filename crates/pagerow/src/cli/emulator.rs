//! `pagerow emulator`: the Notion emulator alone.

use super::{console::Console, error::CliError, exit::Exit};

/// Run a Notion API on this machine, for trying things out and for tests
///
/// Prints where it listens, a token and the page under which databases can be made. Ctrl-C stops it.
#[derive(clap::Args)]
// The flags of the emulator are a group of the same name.
#[group(skip)]
#[command(after_help = "Example:\n  pagerow emulator --listen 127.0.0.1:8090 --state notion.json")]
pub(super) struct Args {
    #[command(flatten)]
    emulator: notion_emulator::Args,
}

pub(super) async fn run(args: Args, console: &Console) -> Result<Exit, CliError> {
    let mut emulator = args.emulator;
    emulator.json |= console.json();
    notion_emulator::run(emulator)
        .await
        .map_err(|error| CliError::io("the emulator ended", &std::io::Error::other(error)))?;
    Ok(Exit::Done)
}
