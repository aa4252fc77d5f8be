//! The emulator as a program: flags, the line it prints when it is ready, and a clean stop.

use std::{io::Write, net::SocketAddr, path::PathBuf};

use crate::{Emulator, Options};

/// Run a Notion API on this machine, for demos and tests.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Where to listen; port 0 takes any free port
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Keep the state in this file
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Requests a connection may make in a minute; 0 takes the limit away
    #[arg(long, default_value_t = 180, value_name = "N")]
    pub requests_per_minute: u32,
    /// Print one line of JSON when ready
    #[arg(long)]
    pub json: bool,
}

/// Starts, says where, and runs until Ctrl-C or SIGTERM; then saves the state.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let options = Options {
        listen: args.listen,
        state: args.state,
        requests_per_minute: (args.requests_per_minute > 0).then_some(args.requests_per_minute),
        ..Options::default()
    };
    // Listening for signals begins before readiness is told, so that none is missed.
    let stopped = stop_signal()?;
    let emulator = Emulator::start(options).await?;
    let ready = if args.json {
        serde_json::json!({
            "base_url": emulator.base_url(), "token": emulator.token(),
            "parent_page_id": emulator.parent_page_id(),
        })
        .to_string()
    } else {
        format!(
            "The Notion emulator is running.\n  look and edit   {0}/\n  API base URL    {0}\n  token           {1}\n  parent page     {2}\nCtrl-C stops it.",
            emulator.base_url(),
            emulator.token(),
            emulator.parent_page_id(),
        )
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}")?;
    out.flush()?;
    drop(out);
    stopped.await;
    emulator.stop().await?;
    Ok(())
}

#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a signal there is nothing to stop for but the end of the process.
        let _heard = tokio::signal::ctrl_c().await;
    })
}
