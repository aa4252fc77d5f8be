//! `pagerow recover at`: puts records back to how they were at a moment, on both sides.

use std::path::Path;

use jiff::Timestamp;
use pagerow_core::{digest::Digest, record::RowKey};
use serde_json::{Value as Json, json};

use crate::{
    cli::{
        apply::parse_hash, asked::Asked, check_names, console::Console, error::CliError, exit::Exit,
        progress::Meter, render, signals,
    },
    config::Config,
    engine::Moment,
    wiring::{Keeper, Wiring},
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
    let asked = Asked {
        plan: &planned.plan,
        refusals: &planned.refusals,
        dry_run: args.dry_run,
        pass: args.pass,
        command: args.command(),
        question: format!("Go back to {}?", args.at),
    };
    if !console.json() {
        console.print(&render::rewind::rewind(&planned, args.at, forecast, console.verbose()))?;
    }
    let act = async |engine: &mut Keeper, hash| engine.rewind(&moment, hash, args.pass).await;
    let Some(report) = asked.carry_out(&mut engine, console, &meter, &wiring.database, act).await? else {
        console.answer(&answer(Json::Null), String::new)?;
        return Ok(if asked.is_stopped() { Exit::Decisions } else { exit });
    };
    let json = serde_json::to_value(&report).unwrap_or_default();
    console.answer(&answer(json), || render::rewind::done(&planned, args.at, &report))?;
    Ok(if report.quiet { exit } else { Exit::Failed })
}

impl Args {
    /// The command again, without its flags.
    fn command(&self) -> String {
        let names = self.mapping.iter().chain(&self.key);
        let names: String = names.map(|name| format!(" {name}")).collect();
        format!("pagerow recover at {}{names}", self.at)
    }
}
