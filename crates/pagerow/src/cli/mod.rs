//! What can be asked for on the command line: one file per command, and what they share.
//!
//! `error` turns every failure into words and an exit code, `asked` carries a plan out once somebody agrees, `console` knows where words go, `render` makes text and
//! JSON of plans, reports and histories, `progress` tells how far long work is.

mod apply;
mod asked;
mod audit;
mod board;
mod conflicts;
mod console;
mod demo;
mod doctor;
mod emulator;
mod error;
mod exit;
mod history;
mod init;
mod parked;
mod plan;
pub mod plan_file;
mod progress;
mod recover;
mod remembered;
mod render;
mod report;
mod resolve;
mod retry;
mod runs;
mod schema;
mod show;
mod signals;
mod status;
mod sync;
mod undo;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

pub use console::Console;
pub use error::CliError;
pub use exit::Exit;

use crate::config::{Config, FILE_NAME, nearest};

/// Keeps Postgres tables and Notion databases equal, in both directions.
///
/// A row is a page. `pagerow init` writes a configuration from what it finds, `pagerow plan` shows what would be
/// done, `pagerow sync` does it. Nothing is deleted for lack of information, and what two people changed at once waits
/// for a decision.
#[derive(Parser)]
#[command(
    name = "pagerow",
    version,
    propagate_version = false,
    max_term_width = 110,
    after_help = "Exit codes: 0 nothing is left to do · 1 failed · 2 wrong usage or configuration · 3 decisions are waiting \
                  (conflicts, parked records, a guard's stop) · 4 changes are planned (plan --detailed-exitcode)"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Global {
    /// The configuration
    #[arg(long, global = true, value_name = "FILE", default_value = FILE_NAME, env = "PAGEROW_CONFIG")]
    config: PathBuf,
    /// Answer with JSON of a stable shape; errors go to standard error as {"error": …}
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but the result
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: -v what is going on, -vv every call
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Answer every question with yes
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Schema(schema::Command),
    Plan(plan::Args),
    Apply(apply::Args),
    Sync(sync::Args),
    Status(status::Args),
    Report(report::Args),
    Verify(verify::Args),
    Conflicts(conflicts::Args),
    Resolve(resolve::Args),
    Parked(parked::Args),
    Retry(retry::Args),
    Runs(runs::Args),
    Show(show::Args),
    History(history::Args),
    Undo(undo::Args),
    #[command(subcommand)]
    Recover(recover::Command),
    Audit(audit::Args),
    Demo(demo::Args),
    Emulator(emulator::Args),
}

/// Reads the command line, runs one command, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let console = Console::new(cli.global.json, cli.global.quiet, cli.global.verbose, cli.global.yes);
    console.begin_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return console.fail(&CliError::io("no threads could be started", &error)).into(),
    };
    let exit = runtime.block_on(async {
        match run(cli.command, &cli.global.config, &console).await {
            Ok(exit) => exit,
            Err(error) => console.fail(&error),
        }
    });
    // Connections that are still closing are nobody's business any more.
    runtime.shutdown_background();
    exit.into()
}

async fn run(command: Command, config: &std::path::Path, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(args, config, console).await,
        Command::Doctor(args) => doctor::run(args, config, console).await,
        Command::Schema(command) => schema::run(command, config, console).await,
        Command::Plan(args) => plan::run(args, config, console).await,
        Command::Apply(args) => apply::run(args, config, console).await,
        Command::Sync(args) => sync::run(args, config, console).await,
        Command::Status(args) => status::run(args, config, console).await,
        Command::Report(args) => report::run(args, config, console).await,
        Command::Verify(args) => verify::run(args, config, console).await,
        Command::Conflicts(args) => conflicts::run(args, config, console).await,
        Command::Resolve(args) => resolve::run(args, config, console).await,
        Command::Parked(args) => parked::run(args, config, console).await,
        Command::Retry(args) => retry::run(args, config, console).await,
        Command::Runs(args) => runs::run(args, config, console).await,
        Command::Show(args) => show::run(args, config, console).await,
        Command::History(args) => history::run(args, config, console).await,
        Command::Undo(args) => undo::run(args, config, console).await,
        Command::Recover(command) => recover::run(command, config, console).await,
        Command::Audit(args) => audit::run(args, config, console).await,
        Command::Demo(args) => demo::run(args, console).await,
        Command::Emulator(args) => emulator::run(args, console).await,
    }
}

/// Help and version are answers; everything else is wrong usage.
fn misunderstood(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let console = Console::new(true, false, 0, false);
        let text = error.to_string();
        let mut lines = text.lines();
        let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let advice: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        return console.fail(&CliError::usage(message).advise(advice.join("; "))).into();
    }
    // Nothing can be done about a terminal that does not take the text.
    let _unwritten = error.print();
    if error.use_stderr() { Exit::Wrong.into() } else { Exit::Done.into() }
}

/// The mappings that an argument list names are mappings of the configuration.
fn check_names(config: &Config, names: &[String]) -> Result<(), CliError> {
    for name in names {
        if config.mapping(name).is_none() {
            let known: Vec<&str> = config.mappings.iter().map(|mapping| mapping.name.as_str()).collect();
            let error = CliError::usage(format!("the configuration has no mapping named {name}"))
                .about("MAPPING")
                .suggest(nearest(name, known.iter().copied()));
            return Err(match known.as_slice() {
                [] => error.advise("it has none at all; `pagerow init` proposes some"),
                known => error.advise(format!("it has {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let inner: Vec<_> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
            let helps = if inner.is_empty() {
                vec![command.render_long_help().to_string()]
            } else {
                let inner = command.get_subcommands_mut().filter(|inner| inner.get_name() != "help");
                inner.map(|inner| inner.render_long_help().to_string()).collect()
            };
            for help in helps {
                assert!(help.contains("Example") && help.contains("  pagerow "), "{help}");
            }
        }
    }
}
