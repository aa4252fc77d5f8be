//! `pagerow schema`: what is missing on either side, shown or made.

use std::path::Path;

use serde_json::json;

use super::{console::Console, error::CliError, exit::Exit, progress::Meter, render::table::counted};
use crate::{
    config::Config,
    postgres::catalogue::quoted,
    setup::{
        self, Found, connect,
        schema::{self, Applied, SchemaPlan},
        tables::{self, TableInfo},
    },
    store::Belongings,
    wiring::{self, Wiring},
};

/// Show or make what is missing: databases, properties, options, relations, tables, columns, triggers; or take it away
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
    /// Take everything of pagerow's out of the database: triggers, functions, its bookkeeping columns, its own tables
    ///
    /// What people entered stays on both sides, and Notion is not touched. What pagerow remembers goes: links, history,
    /// open conflicts. A later sync finds rows and pages together again by their key property.
    #[command(after_help = "Example:\n  pagerow schema remove --dry-run\n  pagerow schema remove --yes")]
    Remove(RemoveArgs),
}

#[derive(clap::Args)]
pub(super) struct PlanArgs {
    /// End with 4 when something is missing
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(clap::Args)]
pub(super) struct ApplyArgs {}

#[derive(clap::Args)]
pub(super) struct RemoveArgs {
    /// Show what would go and what would stay
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(command: Command, config: &Path, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::Plan(args) => show(&args, config, console).await,
        Command::Apply(ApplyArgs {}) => make(config, console).await,
        Command::Remove(args) => remove(&args, config, console).await,
    }
}

async fn planned(config: &Path, console: &Console) -> Result<(Wiring, Found, SchemaPlan), CliError> {
    let wiring = Wiring::connect(Config::load(config, &[])?).await?;
    let found = wiring.found().await?;
    let plan = schema::plan(&wiring.config, &found)?;
    console.warn(&plan.warnings);
    Ok((wiring, found, plan))
}

async fn show(args: &PlanArgs, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let (_, _, plan) = planned(config, console).await?;
    console.answer(&plan, || text(&plan))?;
    Ok(match waits(&plan) {
        _ if !plan.changes.is_empty() && args.detailed_exitcode => Exit::Changes,
        exit => exit,
    })
}

async fn make(config: &Path, console: &Console) -> Result<Exit, CliError> {
    let (wiring, found, plan) = planned(config, console).await?;
    let exit = waits(&plan);
    if plan.changes.is_empty() {
        // What is new was shown, and is known from now on.
        wiring.accept(&found, &[]).await?;
        console.answer(&answer(&Applied::default(), &plan), || text(&plan))?;
        return Ok(exit);
    }
    if console.tells_progress() {
        console.print(&text(&plan))?;
    }
    console.confirm("Make this?")?;
    // What is put into the database is remembered there.
    wiring::store(&wiring.config, &wiring.database).await?;
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
    Ok(exit)
}

/// Needs no Notion: what is to be taken away is in the database alone.
async fn remove(args: &RemoveArgs, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    let database = connect::database(&config).await?;
    let schema = &config.postgres.schema;
    let explain = |error| CliError::of_store(error, &database);
    let found = Belongings::find(database.pool(), schema).await.map_err(explain)?;
    let session = database.session().await?;
    let tables = setup::inspect::tables(&session, schema).await?;
    drop(session);
    let (goes, stays) = (leaving(&found, schema), staying(&found, &config, &tables));
    let answer = |removed: bool| json!({ "removed": removed, "goes": goes, "stays": stays });
    if found.is_empty() {
        console.answer(&answer(false), || {
            format!("nothing of pagerow's is in the database\n{}", list("stays:", &stays))
        })?;
        return Ok(Exit::Done);
    }
    if args.dry_run {
        console.answer(&answer(false), || {
            format!("{}\n{}", list("would go:", &goes), list("would stay:", &stays))
        })?;
        return Ok(Exit::Done);
    }
    if let Some(holder) = &found.busy {
        return Err(CliError::usage(format!("pagerow is at work on this database ({holder})"))
            .advise("stop it first; a program that was killed holds its lease for a little longer"));
    }
    if console.tells_progress() {
        console.print(&format!("{}\n{}", list("goes:", &goes), list("stays:", &stays)))?;
    }
    console.confirm("Take this away?")?;
    let with_schema = found.remove(database.pool(), schema).await.map_err(explain)?;
    let mut stays = stays;
    if found.schema && !with_schema {
        stays.push(format!("the schema {schema}, which holds something that is not pagerow's"));
    }
    let answer = json!({ "removed": true, "goes": goes, "stays": stays });
    console.answer(&answer, || "done: nothing of pagerow's is left in the database".to_owned())?;
    Ok(Exit::Done)
}

fn leaving(found: &Belongings, schema: &str) -> Vec<String> {
    let mut goes: Vec<String> =
        found.triggers.iter().map(|(table, count)| format!("{count} triggers on {table}")).collect();
    if !found.functions.is_empty() {
        let what = if found.functions.len() == 1 { "function" } else { "functions" };
        goes.push(format!("{} {what} that they call", found.functions.len()));
    }
    goes.extend(
        found
            .bookkeeping
            .iter()
            .map(|(table, column)| format!("the column {column} of {table}, which pagerow added for itself")),
    );
    if !found.tables.is_empty() {
        goes.push(format!(
            "{} tables of pagerow's own in the schema {schema}, with {} links, the history and everything that waits",
            found.tables.len(),
            found.links
        ));
    } else if found.schema {
        goes.push(format!("the schema {schema}, unless something else is in it"));
    }
    goes
}

fn staying(found: &Belongings, config: &Config, tables: &[TableInfo]) -> Vec<String> {
    let mut stays: Vec<String> = found
        .data
        .iter()
        .map(|(table, column)| match column {
            Some(column) => {
                format!("the column {column} of {table}, which `schema apply` made and which holds data")
            }
            None => format!("the table {table}, which `schema apply` made and which holds data"),
        })
        .collect();
    for mapping in &config.mappings {
        let Some(table) = tables::find(tables, &mapping.table) else { continue };
        let columns = &mapping.columns;
        let kept = [
            &columns.page_id,
            &columns.synced_at,
            &columns.status,
            &columns.error,
            &columns.synced,
            &columns.checksum,
        ];
        let goes = (quoted(&table.schema), quoted(&table.name));
        let goes = format!("{}.{}", goes.0, goes.1);
        let own = |name: &str| found.bookkeeping.iter().any(|(of, column)| *of == goes && column == name);
        let kept: Vec<&str> = kept
            .into_iter()
            .flatten()
            .map(|column| column.value.as_str())
            .filter(|name| table.column(name).is_some() && !own(name))
            .collect();
        if !kept.is_empty() {
            stays.push(format!(
                "{} of {}, with what pagerow last wrote there",
                kept.join(", "),
                mapping.table.value
            ));
        }
    }
    stays.push("all rows, and everything in Notion".to_owned());
    stays.push(format!("the configuration {}", config.source.path.display()));
    stays
}

fn list(head: &str, lines: &[String]) -> String {
    lines.iter().fold(head.to_owned(), |text, line| format!("{text}\n  {line}"))
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
