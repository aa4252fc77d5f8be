//! Rebuilding a side: the plan is shown and asked about, then carried out.

use std::{collections::BTreeSet, path::Path};

use pagerow_core::{digest::Digest, matching::Confidence, plan::MappingPlan, record::RowKey, side::Side};
use serde_json::{Value as Json, json};

use super::databases::{self, Databases};
use crate::{
    cli::{
        apply::parse_hash,
        asked::{self, Asked},
        check_names,
        console::Console,
        error::CliError,
        exit::Exit,
        progress::Meter,
        render, signals, sync,
    },
    config::Config,
    engine::Recovery,
    wiring::{Bindings, Keeper, Wiring},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
    /// Only the record with this key; may be given several times
    #[arg(long = "record", value_name = "KEY")]
    records: Vec<String>,
    /// Give new rows this value in a column that they would otherwise lack; may be given several times
    #[arg(long = "fill", value_name = "MAPPING.COLUMN=VALUE", value_parser = parse_fill)]
    fills: Vec<Fill>,
    /// Link rows and pages that no key brings together when they are at least so surely one record. By itself (high) only
    /// what is certain; what is less sure is listed, and waits for `pagerow recover choose`
    #[arg(long, value_name = "high|medium|low", default_value = "high", hide_default_value = true)]
    accept: Confidence,
    /// Make rows again whose backup cannot be read, without the columns that only the backup holds
    #[arg(long)]
    without_backup: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Give up a recovery that has not ended, and drop what it retrieved
    #[arg(long, conflicts_with_all = ["mappings", "records", "fills", "accept", "without_backup", "dry_run", "pass"])]
    cancel: bool,
    /// Let the plan with this hash pass, although the guard stopped it
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Option<Digest>,
}

/// A value for a column that has none.
#[derive(Clone)]
struct Fill {
    mapping: String,
    column: String,
    value: String,
}

fn parse_fill(text: &str) -> Result<Fill, String> {
    let parts = text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
    let ((mapping, column), value) = parts
        .ok_or_else(|| "it is written as MAPPING.COLUMN=VALUE, such as suppliers.country=DE".to_owned())?;
    Ok(Fill { mapping: mapping.to_owned(), column: column.to_owned(), value: value.to_owned() })
}

/// The side that still has everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Notion,
    Postgres,
}

impl From {
    fn lost(self) -> Side {
        match self {
            Self::Notion => Side::Postgres,
            Self::Postgres => Side::Notion,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Notion => "pagerow recover from-notion",
            Self::Postgres => "pagerow recover to-notion",
        }
    }
}

pub(super) async fn run(from: From, args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    check_names(&config, &args.mappings)?;
    if !args.records.is_empty() && args.mappings.len() != 1 {
        return Err(CliError::usage("--record says a key of one mapping")
            .about("--record")
            .advise(format!("name that mapping: `{} MAPPING --record KEY`", from.command())));
    }
    if from == From::Postgres && (args.without_backup || !args.fills.is_empty()) {
        return Err(CliError::usage("--fill and --without-backup are about rows, and this makes pages"));
    }
    let stop = signals::watch(console)?;
    let mut wiring = Wiring::connect(config).await?;
    let (mut remade, mut calls_before) = (BTreeSet::new(), 0);
    if from == From::Postgres && !args.cancel {
        match databases::bring_back(wiring, &args.mappings, args.dry_run, console).await? {
            Databases::There { wiring: again, remade: new, calls } => {
                (wiring, remade, calls_before) = (*again, new, calls);
            }
            Databases::Shown(lost) => {
                let lost: Vec<&str> = lost.iter().map(|one| one.mapping.as_str()).collect();
                let json = json!({ "from": "postgres", "databases": lost, "matches": [], "presumed": [], "plan": Json::Null, "report": Json::Null });
                console
                    .answer(&json, || "what is missing in them shows when they are there again".to_owned())?;
                return Ok(Exit::Decisions);
            }
        }
    }
    let meter = Meter::new(console);
    meter.say("reading both schemas");
    let bindings = wiring.bind(meter.listener(), stop).await?;
    let flowing = bindings.flowing(&args.mappings);
    let Bindings { mut engine, warnings, followed, paused } = bindings;
    let Some(mappings) = flowing else {
        meter.finish();
        return Err(paused.first().map_or_else(|| CliError::usage("nothing is mapped"), CliError::paused));
    };
    if args.cancel {
        meter.finish();
        let cancelled = engine.cancel_recovery().await;
        let cancelled = cancelled.map_err(|error| CliError::of_engine(error, &wiring.database))?;
        let json = json!({ "cancelled": cancelled.map(|(operation, _)| operation) });
        console.answer(&json, || match cancelled {
            Some((operation, pages)) => format!(
                "recovery {operation} was given up; {} dropped",
                render::table::counted(pages, "retrieved page is", "retrieved pages are")
            ),
            None => "no recovery is going on".to_owned(),
        })?;
        return Ok(Exit::Done);
    }
    let explain = |error| CliError::of_engine(error, &wiring.database);
    let what = Recovery {
        side: from.lost(),
        mappings,
        remade: remade.clone(),
        without_backup: args.without_backup,
        accept: args.accept,
        records: args.records.iter().map(|key| RowKey::from(key.as_str())).collect(),
    };
    for Fill { mapping, column, value } in &args.fills {
        check_names(&wiring.config, std::slice::from_ref(mapping))?;
        if !engine.fill(mapping, column, value).await.map_err(explain)? {
            return Err(CliError::usage(format!(
                "the table of {mapping} has no column {column} that could be filled"
            ))
            .about("--fill"));
        }
    }
    let planned = engine.plan_recovery(&what).await;
    meter.finish();
    let planned = match planned {
        Ok(planned) => planned,
        Err(error) => {
            engine.rest().await.map_err(explain)?;
            return Err(explain(error));
        }
    };
    console.warn(&warnings);
    console.tell_moved(&followed);
    let forecast = engine.forecast(&planned.plan);
    let find = |name: &str| engine.mappings().find(|mapping| mapping.name == name).map(|mapping| &**mapping);
    // A plan of a hundred thousand rows is not written out for nobody.
    let plan =
        (console.json()).then(|| render::plan_json::plan(&planned.plan, &planned.refusals, find, forecast));
    let matches = render::matches::json(&planned.matches);
    let presumed: Vec<Json> = planned
        .presumed
        .iter()
        .map(|(mapping, pages)| json!({ "mapping": mapping, "pages": pages }))
        .collect();
    let answer = |report: Json| {
        json!({
            "from": from.lost().other().name(),
            "databases": remade,
            "calls_for_databases": calls_before,
            "matches": matches,
            "presumed": presumed,
            "plan": plan,
            "report": report,
        })
    };
    let asked = Asked {
        plan: &planned.plan,
        refusals: &planned.refusals,
        dry_run: args.dry_run,
        pass: args.pass,
        command: from.command().to_owned(),
        question: "Carry it out?".to_owned(),
    };
    if !console.json() {
        console.print(&render::matches::text(&planned.matches, console.verbose()))?;
        let text = render::plan_text::plan(&planned.plan, &planned.refusals, forecast, console.verbose());
        console.print(&render::paused::below(text, &paused))?;
        for (mapping, pages) in &planned.presumed {
            console.note(&format!(
                "{mapping}: {} not asked for one by one; all that were are in the trash, and taking them out tells",
                render::table::counted(*pages, "page was", "pages were")
            ));
        }
    }
    if !args.dry_run {
        // Whoever says no to the rest has been asked all the same.
        engine.keep_questions(&what, &planned.matches).await.map_err(explain)?;
    }
    let Some(hash) = asked.consent(&mut engine, console, &wiring.database).await? else {
        console.answer(&answer(Json::Null), String::new)?;
        let waits = asked.is_stopped() || !paused.is_empty() || planned.plan.mappings.iter().any(waits);
        return Ok(if waits { Exit::Decisions } else { Exit::Done });
    };
    // It is made anew, and has to be the same; two of a large one are not held at once.
    drop(planned);
    let act = async |engine: &mut Keeper, hash| engine.recover(&what, Some(hash), args.pass).await;
    let report = asked::carry_out(&mut engine, &meter, &wiring.database, hash, act).await?;
    let json = serde_json::to_value(&report).unwrap_or_default();
    console.answer(&answer(json), || {
        render::paused::below(render::report::report(&report, paused.len()), &paused)
    })?;
    if !report.quiet && !console.json() {
        console
            .note(&format!("not everything is back; `{}` again goes on with what is left", from.command()));
    }
    Ok(match sync::exit(&report) {
        Exit::Done if !paused.is_empty() => Exit::Decisions,
        exit => exit,
    })
}

/// Whether something of a plan waits for a person.
fn waits(part: &MappingPlan) -> bool {
    let doubles = part.skipped.iter().any(|skipped| skipped.why.needs_decision());
    doubles || !part.conflicts.is_empty() || !part.parked.is_empty()
}
