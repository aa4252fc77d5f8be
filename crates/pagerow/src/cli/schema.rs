//! `pagerow schema`: what is missing on either side, shown or made.

use std::path::Path;

use serde_json::json;

use super::{console::Console, error::CliError, exit::Exit, progress::Meter, render::table::counted};
use crate::{
    config::Config,
    setup::schema::{self, Applied, SchemaPlan},
    wiring::Wiring,
};

/// Show or make what is missing: databases, properties, options, relations, tables, columns
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show what is missing on either side
    #[command(after_help = "Example:\n  pagerow schema plan")]
    Plan(PlanArgs),
    /// Make what is missing, and write the ids of new data sources into the configuration
    ///
    /// A stop at any point is harmless: the next try finds what was made and makes nothing twice.
    #[command(after_help = "Example:\n  pagerow schema apply --yes")]
    Apply(ApplyArgs),
}

#[derive(clap::Args)]
pub(super) struct PlanArgs {
    /// End with 4 when something is missing
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(clap::Args)]
pub(super) struct ApplyArgs {}

pub(super) async fn run(command: Command, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let wiring = Wiring::connect(Config::load(config, &[])?).await?;
    let found = wiring.found().await?;
    let plan = schema::plan(&wiring.config, &found)?;
    console.warn(&plan.warnings);
    match command {
        Command::Plan(args) => {
            console.answer(&plan, || text(&plan))?;
            Ok(match waits(&plan) {
                _ if !plan.changes.is_empty() && args.detailed_exitcode => Exit::Changes,
                exit => exit,
            })
        }
        Command::Apply(ApplyArgs {}) => {
            if plan.changes.is_empty() {
                // What is new was shown, and is known from now on.
                wiring.accept(&found, &[]).await?;
                console.answer(&answer(&Applied::default(), &plan), || text(&plan))?;
                return Ok(waits(&plan));
            }
            if console.tells_progress() {
                console.print(&text(&plan))?;
            }
            console.confirm("Make this?")?;
            let meter = Meter::new(console);
            let session = wiring.database.session().await?;
            let applied = schema::apply(&wiring.config, &found, &plan, &session, &wiring.client, |change| {
                meter.say(change.lines().next().unwrap_or_default());
            })
            .await;
            meter.finish();
            let applied = applied?;
            wiring.accept(&found, &applied.accepted).await?;
            console.answer(&answer(&applied, &plan), || done(&applied))?;
            Ok(waits(&plan))
        }
    }
}

/// Whether something is left that has to be mended elsewhere.
fn waits(plan: &SchemaPlan) -> Exit {
    if plan.missing.is_empty() && plan.paused.is_empty() { Exit::Done } else { Exit::Decisions }
}

fn answer(applied: &Applied, plan: &SchemaPlan) -> serde_json::Value {
    let made: Vec<_> = applied
        .made
        .iter()
        .map(|made| {
            json!({
                "mapping": made.mapping,
                "data_source": made.data_source,
                "adopted": made.adopted,
                "remembered": made.remembered,
            })
        })
        .collect();
    json!({
        "done": applied.done,
        "made": made,
        "accepted": applied.accepted,
        "elsewhere": applied.elsewhere,
        "missing": plan.missing,
        "paused": plan.paused,
        "notes": plan.notes,
    })
}

fn text(plan: &SchemaPlan) -> String {
    let mut lines: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
    lines.extend(plan.missing.iter().map(|one| format!("{}: {}; {}", one.mapping, one.what, one.advice)));
    lines.extend(plan.paused.iter().flat_map(|pause| [pause.to_string(), format!("  {}", pause.advice)]));
    lines.extend(plan.notes.iter().map(|note| format!("note: {}: {}", note.mapping, note.what)));
    if plan.changes.is_empty() && plan.missing.is_empty() && plan.paused.is_empty() {
        lines.push("nothing is missing on either side".to_owned());
    }
    lines.join("\n")
}

fn done(applied: &Applied) -> String {
    let mut lines: Vec<String> = Vec::new();
    for made in &applied.made {
        let how = if made.adopted { "was there from an earlier try" } else { "is made" };
        lines.push(format!("{}: its data source {} {how}", made.mapping, made.data_source));
        if !made.remembered {
            lines.push(format!(
                "  put it where `data_source` of [mapping.{}] comes from: data_source = \"{}\"",
                made.mapping, made.data_source
            ));
        }
    }
    for edit in &applied.elsewhere {
        lines.push(format!("not in the file, so to be changed where it comes from: {edit}"));
    }
    let count = applied.done.len() as u64;
    let were = if count == 1 { "was" } else { "were" };
    lines.push(format!(
        "{} {were} made; next: `pagerow plan`, `pagerow sync`",
        counted(count, "change", "changes")
    ));
    lines.join("\n")
}
