//! Ctrl-C and SIGTERM: the first asks for a stop between two steps, the second ends the program at once.

use super::{console::Console, error::CliError, exit::Exit};
use crate::engine::Stop;

/// Listens from now on.
///
/// # Errors
/// The system does not let the program listen.
pub(super) fn watch(console: &Console) -> Result<Stop, CliError> {
    let stop = Stop::default();
    let mut signals =
        Signals::listen().map_err(|error| CliError::io("signals cannot be listened to", &error))?;
    let (asked, console) = (stop.clone(), console.clone());
    tokio::spawn(async move {
        signals.next().await;
        asked.ask();
        console.note("stopping when the calls that are on their way are answered; once more stops at once");
        signals.next().await;
        std::process::exit(i32::from(Exit::Failed.code()));
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "where there are signals, listening can fail")]
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a signal there is nothing to stop for but the end of the process.
        let _heard = tokio::signal::ctrl_c().await;
    }
}
