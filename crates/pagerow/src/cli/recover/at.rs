//! `pagerow recover at`: puts records back to how they were at a moment, on both sides.

use std::path::Path;

use jiff::Timestamp;
use pagerow_core::{digest::Digest, guard::Refused, record::RowKey};
use serde_json::{Value as Json, json};

use crate::{
    cli::{
        apply::parse_hash, check_names, console::Console, error::CliError, exit::Exit, progress::Meter,
        render, signals,
    },
    config::Config,
    engine::{EngineError, Moment},
    wiring::Wiring,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The moment, with its zone: 2026-11-20T10:00Z, 2026-11-20T10:00+01:00
    #[arg(value_name = "TIME")]
    at: Timestamp,
    /// Only this mapping; everything without it
    #[arg(value_name = "MAPPING")]
    mapping: Option<String>,
    /// Only the record with this key
    #[arg(value_name = "KEY", requires = "mapping")]
    key: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Let the plan with this hash pass, although the guard stopped it
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Option<Digest>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    let mappings: Vec<String> = args.mapping.iter().cloned().collect();
    check_names(&config, &mappings)?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    let explain = |error| CliError::of_engine(error, &wiring.database);
    let (mut engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    let moment = Moment { at: args.at, mappings, key: args.key.as_deref().map(RowKey::from) };
    let planned = engine.plan_rewind(&moment).await;
    meter.finish();
    let planned = planned.map_err(explain)?;
    console.warn(&warnings);
    let forecast = engine.forecast(&planned.plan);
    let hash = planned.plan.hash();
    let find = |name: &str| engine.mappings().find(|mapping| mapping.name == name).map(|mapping| &**mapping);
    let plan = render::plan_json::plan(&planned.plan, &planned.refusals, find, forecast);
    let unreached = |(mapping, begins): &(String, Timestamp)| json!({ "mapping": mapping, "begins": begins });
    let answer = |report: Json| {
        json!({
            "at": args.at,
            "plan": plan,
            "left": planned.left.iter().map(render::undo::left_json).collect::<Vec<_>>(),
            "already": planned.already,
            "unreached": planned.unreached.iter().map(unreached).collect::<Vec<_>>(),
            "report": report,
        })
    };
    let is_whole = planned.left.is_empty() && planned.unreached.is_empty();
    let exit = if is_whole { Exit::Done } else { Exit::Decisions };
    let stopped = !planned.refusals.is_empty() && args.pass != Some(hash);
    if !console.json() {
        console.print(&render::rewind::rewind(&planned, args.at, forecast, console.verbose()))?;
    }
    if args.dry_run || planned.plan.is_empty() {
        if console.json() {
            console.answer(&answer(Json::Null), String::new)?;
        }
        return Ok(if stopped { Exit::Decisions } else { exit });
    }
    if stopped {
        let refused = Refused { plan: planned.plan, refusals: planned.refusals };
        return Err(explain(EngineError::Refused(Box::new(refused))).advise(format!(
            "nothing was written; look at it with --dry-run, and if it is what you want, let this one plan pass with \
             --override {hash}"
        )));
    }
    console.confirm(&format!("Go back to {}?", args.at))?;
    let meter = Meter::new(console);
    let done = engine.rewind(&moment, hash, args.pass).await;
    meter.finish();
    let rested = engine.rest().await;
    let report = done.map_err(explain)?;
    rested.map_err(explain)?;
    let json = serde_json::to_value(&report).unwrap_or_default();
    console.answer(&answer(json), || render::rewind::done(&planned, args.at, &report))?;
    Ok(if report.quiet { exit } else { Exit::Failed })
}
