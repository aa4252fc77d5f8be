//! Where words go: results to standard output, everything else to standard error, as JSON when that was asked for.

use std::io::{IsTerminal as _, Write as _};

use owo_colors::{OwoColorize as _, Stream};
use serde::Serialize;

use super::{error::CliError, exit::Exit};
use crate::setup::Warning;

/// The terminal, or what stands in its place.
#[derive(Clone, Debug)]
pub struct Console {
    json: bool,
    quiet: bool,
    verbose: u8,
    yes: bool,
}

impl Console {
    /// A console that answers as the global flags say.
    #[must_use]
    pub fn new(json: bool, quiet: bool, verbose: u8, yes: bool) -> Self {
        Self { json, quiet, verbose, yes }
    }

    /// Whether scripts are listening.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether every question is answered with yes.
    #[must_use]
    pub fn says_yes(&self) -> bool {
        self.yes
    }

    /// Whether everything is to be shown, however long it is.
    #[must_use]
    pub fn verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether progress may be told at all.
    #[must_use]
    pub fn tells_progress(&self) -> bool {
        !self.json && !self.quiet
    }

    /// Starts the log of what goes on inside; `RUST_LOG` has the last word.
    pub fn begin_log(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "pagerow=info,warn",
            (false, _) => "pagerow=debug,info",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
        let log =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
        // A second start is a test's, whose log is there already.
        let _started = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
    }

    /// The result: `json` for scripts, `text` for people.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn answer(&self, json: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::to_string(json)
                .map_err(|error| CliError::io("the answer is no JSON", &error.into()))?
        } else {
            text()
        };
        self.print(&text)
    }

    /// A piece of the result for people.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever read (a pager, `head`) has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|error| CliError::io("standard output cannot be written", &error)),
        }
    }

    /// A remark beside the result.
    pub fn note(&self, text: &str) {
        if !self.json && !self.quiet {
            to_stderr(text);
        }
    }

    /// What works, and not as one might expect, for those who want to hear it: `doctor` says it to everybody.
    pub fn warn(&self, warnings: &[Warning]) {
        for warning in warnings.iter().filter(|_| self.verbose()) {
            self.note(&format!("{} {warning}", "note:".if_supports_color(Stream::Stderr, |t| t.yellow())));
        }
    }

    /// What moved since the last time, for everybody.
    pub fn tell_moved(&self, warnings: &[Warning]) {
        for warning in warnings {
            self.note(&format!("{} {warning}", "note:".if_supports_color(Stream::Stderr, |t| t.yellow())));
        }
    }

    /// Tells an error; answers the exit code it asks for.
    #[must_use]
    pub fn fail(&self, error: &CliError) -> Exit {
        if self.json {
            to_stderr(&serde_json::json!({ "error": error.to_json() }).to_string());
        } else {
            let text = error.to_string();
            let red = "error:".if_supports_color(Stream::Stderr, |t| t.red()).to_string();
            let coloured: Vec<String> = text
                .lines()
                .map(|line| match line.strip_prefix("error:") {
                    Some(rest) => format!("{red}{rest}"),
                    None => line.to_owned(),
                })
                .collect();
            to_stderr(&coloured.join("\n"));
        }
        error.exit
    }

    /// Asks before something that cannot be taken back.
    ///
    /// # Errors
    /// Nobody is there to answer, or the answer is no.
    pub fn confirm(&self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if self.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(CliError::usage(format!("{question} Nobody is there to answer"))
                .about("--yes")
                .advise("add --yes to answer every question with yes"));
        }
        let mut err = std::io::stderr().lock();
        let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
        asked.map_err(|error| CliError::io("the terminal cannot be written", &error))?;
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(|error| CliError::io("the answer cannot be read", &error))?;
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return Ok(());
        }
        Err(CliError::usage("not done, since the answer was no"))
    }
}

/// The last resort for words; when even that is closed there is nobody left to tell.
pub(super) fn to_stderr(text: &str) {
    let _unheard = writeln!(std::io::stderr().lock(), "{text}");
}
