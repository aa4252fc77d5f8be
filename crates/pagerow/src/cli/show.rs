//! `pagerow show`: one run with every step, before and after.

use std::path::Path;

use serde_json::Value as Json;

use super::{console::Console, error::CliError, exit::Exit, remembered, render};

/// How many steps are read at once.
const CHUNK: i64 = 1_000;

/// Show one run with its steps: what was written, before and after, and what became of it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow show 12")]
pub(super) struct Args {
    /// The run's number, as `pagerow runs` lists it
    #[arg(value_name = "RUN")]
    run: i64,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    let missing = || {
        CliError::usage(format!("there is no run {}", args.run))
            .about("RUN")
            .advise("`pagerow runs` lists them")
    };
    let store = known.store.as_ref().ok_or_else(missing)?;
    let run = store.run(args.run).await.map_err(known.explain())?.ok_or_else(missing)?;
    let mut answer = render::history::run_json(&run);
    let mut steps: Vec<Json> = Vec::new();
    if !console.json() {
        console.print(&render::history::run(&run))?;
    }
    let mut after = 0;
    loop {
        let rows = store.steps(args.run, after, CHUNK).await.map_err(known.explain())?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in &rows {
            if console.json() {
                steps.push(render::history::step_json(row));
            } else {
                console.print(&render::history::step(row))?;
            }
        }
    }
    if console.json() {
        // `steps` is a number in the list of runs, and the steps themselves here.
        answer["step_count"] = answer["steps"].take();
        answer["steps"] = Json::Array(steps);
        console.answer(&answer, String::new)?;
    }
    Ok(Exit::Done)
}
