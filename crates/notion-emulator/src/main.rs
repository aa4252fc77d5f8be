//! `notion-emulator`: the emulator alone, as a program.

use clap::Parser;

/// A Notion in a box: the API's behaviour on one machine, for demos and tests.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: notion_emulator::Args,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    notion_emulator::run(Cli::parse().args).await
}
