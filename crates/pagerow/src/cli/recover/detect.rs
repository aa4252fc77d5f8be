//! `pagerow recover detect`: what looks as if something was lost.

use std::{fmt::Write as _, path::Path};

use serde_json::json;

use crate::{
    cli::{
        check_names,
        console::Console,
        error::CliError,
        exit::Exit,
        progress::{Meter, duration},
        render::table::counted,
        signals,
    },
    config::Config,
    engine::{Confidence, Finding, Kind},
    setup::lost::{HowLost, lost_sources},
    wiring::{Bindings, Wiring},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these mappings
    #[arg(value_name = "MAPPING")]
    mappings: Vec<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let config = Config::load(config, &[])?;
    check_names(&config, &args.mappings)?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    meter.say("looking at both sides");
    let found = wiring.found().await?;
    let lost: Vec<(String, Kind)> = lost_sources(&wiring.config, &found, &args.mappings)
        .into_iter()
        .map(|lost| match lost.how {
            HowLost::Trashed { .. } => (lost.mapping, Kind::DataSourceTrashed),
            HowLost::Gone => (lost.mapping, Kind::DataSourceGone),
        })
        .collect();
    let bindings = wiring.bind(meter.listener(), stop).await?;
    let flowing = bindings.flowing(&args.mappings);
    let Bindings { mut engine, warnings, .. } = bindings;
    let explain = |error| CliError::of_engine(error, &wiring.database);
    let seconds = |calls| wiring.client.pacing().forecast(calls).as_secs_f64();
    let mut findings = engine.findings_of_lost_sources(&lost, seconds).await.map_err(explain)?;
    if let Some(flowing) = flowing {
        let detected = engine.detect(&flowing).await;
        meter.finish();
        findings.extend(detected.map_err(explain)?);
    }
    meter.finish();
    console.warn(&warnings);
    console.answer(&json!({ "findings": findings }), || text(&findings))?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Decisions })
}

fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing looks as if it had been lost".to_owned();
    }
    let mut out = String::new();
    for finding in findings {
        let sure = match finding.confidence {
            Confidence::High => "certain",
            Confidence::Medium => "likely",
            Confidence::Low => "possible",
        };
        let _ = writeln!(out, "{}: {} ({sure})", finding.mapping, what(finding));
        let cost = match finding.calls {
            0 => "no calls".to_owned(),
            calls => format!("{}, about {}", counted(calls, "call", "calls"), duration(finding.seconds)),
        };
        let _ = writeln!(out, "  {}: {cost}", finding.action);
    }
    out
}

fn what(finding: &Finding) -> String {
    let Finding { seen, expected, .. } = finding;
    match finding.kind {
        Kind::RowsGone => format!("the table is empty, and {expected} pages carry keys of its rows"),
        Kind::RowsMissing => format!("{seen} of {expected} linked rows are there, and all of their pages"),
        Kind::PagesGone => format!("not one page is there, and {expected} rows had one"),
        Kind::PagesMissing => format!("{seen} of {expected} linked pages are there, and all of their rows"),
        Kind::DataSourceTrashed => {
            format!("its data source lies in Notion's trash, with {}", counted(*expected, "page", "pages"))
        }
        Kind::DataSourceGone => format!(
            "its data source is gone or no longer shared with the connection, and {} had pages in it; if it was only \
             unshared, share it again instead",
            counted(*expected, "row", "rows")
        ),
        Kind::MemoryGone => {
            format!("{expected} pages carry keys of rows, and pagerow remembers none of them")
        }
        Kind::MemoryOld => {
            "what pagerow remembers may be from the past: differences will be asked about".to_owned()
        }
        Kind::Failing => format!("{} of {expected} records cannot be written", expected - seen),
        Kind::Stale => "nobody has looked at it for more than two weeks".to_owned(),
    }
}
