//! One scenario: set the stage, do the work under the stopwatch, read the counters at the emulator.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use pagerow::{
    config::{Config, DataSourceWish},
    engine::{Depth, Progress, Recovery, Report, Stop},
    notion::{Address, Limits, NotionClient, Pacing, Patience},
    setup::schema,
    store::Links as _,
    wiring::{Keeper, Wiring},
};
use pagerow_core::{matching::Confidence, side::Side};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{
    measure::{Figures, Watch},
    shapes::Shape,
};

/// What is done under the stopwatch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// First push of a table into an empty data source.
    Push,
    /// First pull of a data source into an empty table.
    Pull,
    /// A complete look at both sides of which nothing changed.
    Compare,
    /// A look for changes where there are none.
    Idle,
    /// So many rows changed.
    Rows(u64),
    /// So many pages changed.
    Pages(u64),
    /// All rows lost, and made again from their pages.
    Recover,
    /// Planning alone.
    Plan,
}

impl Work {
    pub(crate) fn name(self, shape: Shape, limited: bool) -> String {
        let what = match self {
            Self::Push => "first push".to_owned(),
            Self::Pull => "full pull".to_owned(),
            Self::Compare => "full compare".to_owned(),
            Self::Idle => "idle poll".to_owned(),
            Self::Rows(k) => format!("{k} rows changed"),
            Self::Pages(k) => format!("{k} pages changed"),
            Self::Recover => "recovery of all rows".to_owned(),
            Self::Plan => return "planning, 1 % changed".to_owned(),
        };
        let limit = if limited { "limited" } else { "no limit" };
        format!("{what}, {}, {limit}", shape.name())
    }
}

/// Everything that the process of a scenario has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) work: Work,
    pub(crate) shape: Shape,
    pub(crate) records: u64,
    pub(crate) limited: bool,
    pub(crate) database_url: String,
    pub(crate) base_url: String,
    pub(crate) token: String,
    pub(crate) parent_page: String,
}

/// How many of the limit's windows a limited scenario lasts.
const WINDOWS: f64 = 2.5;

pub(crate) async fn run(order: &Order) -> Result<Figures> {
    if let Work::Plan = order.work {
        return plan();
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("pagerow.toml");
    std::fs::write(&path, configuration(order))?;
    let stage = Stage { order, http: reqwest::Client::new() };

    // The stage is set without a limit. More pages are then made in one minute than Notion lists of one, which its
    // real limit makes impossible; only the pull keeps the cap.
    if !matches!(order.work, Work::Pull) {
        stage.control("POST", "caps", &json!({ "results": 10_000_000 })).await?;
    }
    let mut wiring = stage.connect(&path, None).await?;
    let session = wiring.database.session().await?;
    let rows = if let Work::Pull = order.work { 0 } else { order.records };
    session.batch(&order.shape.sql(rows)).await?;
    let found = wiring.found().await?;
    pagerow::wiring::store(&wiring.config, &wiring.database).await?;
    let schema_plan = schema::plan(&wiring.config, &found)?;
    schema::apply(&wiring.config, &found, &schema_plan, &session, &wiring.client, |_| {}).await?;
    wiring.config = Config::load(&path, &[])?;
    if let Work::Pull = order.work {
        stage.fill_pages(&data_source(&wiring.config)?).await?;
    }
    if !matches!(order.work, Work::Push | Work::Pull) {
        let (mut engine, _) = wiring.engine(Progress::silent(), Stop::default()).await?;
        engine.sync(&[], Depth::Everything, None, "bench").await?;
        // Past the time in which Notion's coarse clock makes pages be read again.
        stage.control("POST", "clock", &json!({ "advance_ms": 600_000 })).await?;
        engine.sync(&[], Depth::Changes, None, "bench").await?;
        engine.rest().await?;
    }

    let ideal = ideal_calls(order);
    let limit = order.limited.then(|| ((ideal as f64 / WINDOWS).ceil() as u64).max(6));
    stage.control("POST", "limits", &json!({ "requests": limit, "window_ms": 60_000 })).await?;
    let measured = stage.connect(&path, limit.and_then(|limit| u32::try_from(limit).ok())).await?;
    let (mut engine, _) = measured.engine(Progress::silent(), Stop::default()).await?;
    stage.change(&session, &mut engine).await?;
    stage.control("DELETE", "counters", &Json::Null).await?;

    let depth = match order.work {
        Work::Push | Work::Pull | Work::Compare => Depth::Everything,
        Work::Idle | Work::Rows(_) | Work::Pages(_) | Work::Recover | Work::Plan => Depth::Changes,
    };
    let mut figures = Figures {
        records: order.records,
        limit_seconds: limit.map(|limit| ideal as f64 * 60.0 / limit as f64),
        ideal_calls: Some(ideal),
        throughput: !order.limited && !matches!(order.work, Work::Idle),
        ..Figures::default()
    };
    let watch = Watch::start()?;
    let report = match order.work {
        Work::Recover => recover(&mut engine).await?,
        _ => engine.sync(&[], depth, None, "bench").await?,
    };
    watch.stop(&mut figures)?;
    figures.calls = Some(stage.calls().await?);
    ensure!(report.quiet, "the sync did not become quiet");
    if let Work::Push | Work::Pull | Work::Recover = order.work {
        let verdict = engine.verify(&[]).await?;
        ensure!(verdict.equal, "the sides are not equal after the sync");
    }
    engine.rest().await?;
    Ok(figures)
}

/// Shows what a recovery would do, and does it, as the command does.
async fn recover(engine: &mut Keeper) -> Result<Report> {
    let what = Recovery {
        side: Side::Postgres,
        mappings: Vec::new(),
        remade: BTreeSet::new(),
        without_backup: false,
        records: BTreeSet::new(),
        accept: Confidence::High,
    };
    let hash = engine.plan_recovery(&what).await?.plan.hash();
    Ok(engine.recover(&what, Some(hash), None).await?)
}

/// The fewest calls with which the work can be done.
fn ideal_calls(order: &Order) -> u64 {
    let pages = order.records.div_ceil(100).max(1);
    match order.work {
        // One look at an empty data source, and a create for each row.
        Work::Push => order.records + 1,
        Work::Pull | Work::Compare | Work::Recover => pages,
        Work::Idle => 1,
        Work::Rows(k) => k + 1,
        Work::Pages(k) => k.div_ceil(100).max(1),
        Work::Plan => 0,
    }
}

/// The data source that was made for the mapping.
fn data_source(config: &Config) -> Result<String> {
    match &config.mappings.first().context("no mapping")?.data_source.value {
        DataSourceWish::Id(id) => Ok(id.to_string()),
        DataSourceWish::Create => anyhow::bail!("the data source was not made"),
    }
}

fn configuration(order: &Order) -> String {
    // A pure pull writes nothing back, not even keys.
    let pull = match order.work {
        Work::Pull => "direction = \"to_postgres\"\nkey_property = false\n",
        _ => "",
    };
    format!(
        "[postgres]\nurl = \"env:BENCH_DATABASE_URL\"\n\n[notion]\ntoken = \"env:BENCH_NOTION_TOKEN\"\n\
         base_url = \"{}\"\n\n[mapping.items]\ntable = \"public.items\"\ndata_source = \"create\"\n\
         parent_page = \"{}\"\n{pull}\n[mapping.items.fields]\n{}",
        order.base_url,
        order.parent_page,
        order.shape.fields()
    )
}

struct Stage<'a> {
    order: &'a Order,
    http: reqwest::Client,
}

impl Stage<'_> {
    async fn connect(&self, path: &std::path::Path, limit: Option<u32>) -> Result<Wiring> {
        std::fs::write(
            path.with_file_name(".env"),
            format!(
                "BENCH_DATABASE_URL={}\nBENCH_NOTION_TOKEN={}\n",
                self.order.database_url, self.order.token
            ),
        )?;
        let config = Config::load(path, &[])?;
        let mut wiring = Wiring::connect(config).await?;
        let address = Address {
            base_url: self.order.base_url.clone(),
            token: SecretString::from(self.order.token.clone()),
        };
        let limits = Limits { requests_per_minute: limit, ..Limits::default() };
        wiring.client = NotionClient::new(&address, Pacing::new(limits), Patience::default())?;
        Ok(wiring)
    }

    /// Makes the changes that the scenario is about, as people would.
    async fn change(&self, session: &pagerow::postgres::Session, engine: &mut Keeper) -> Result<()> {
        match self.order.work {
            Work::Rows(k) => {
                session.batch(&format!("update items set name = name || '!' where id <= {k}")).await?;
            }
            Work::Pages(k) => {
                let mut pages = Vec::new();
                engine.store().each_link("items", &mut |link| pages.push(link.page)).await?;
                for page in pages.into_iter().take(usize::try_from(k)?) {
                    let edit = json!({ "properties": { "name": format!("Edited {page}") } });
                    self.control("PATCH", &format!("pages/{page}"), &edit).await?;
                }
            }
            Work::Recover => session.batch("truncate items").await?,
            Work::Push | Work::Pull | Work::Compare | Work::Idle | Work::Plan => {}
        }
        Ok(())
    }

    async fn fill_pages(&self, data_source: &str) -> Result<()> {
        let numbers: Vec<u64> = (1..=self.order.records).collect();
        for chunk in numbers.chunks(2_000) {
            let rows: Vec<Json> = chunk.iter().map(|n| self.order.shape.page(*n)).collect();
            let started = chrono_like(chunk[0]);
            let body = json!({ "rows": rows, "created_time": started, "step_ms": 1_000 });
            self.control("POST", &format!("data_sources/{data_source}/rows"), &body).await?;
        }
        Ok(())
    }

    async fn control(&self, method: &str, path: &str, body: &Json) -> Result<Json> {
        let url = format!("{}/_emulator/{path}", self.order.base_url);
        let mut request = self.http.request(method.parse()?, url);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "the emulator refused {path}: {}", answer.status());
        Ok(answer.json().await.unwrap_or(Json::Null))
    }

    /// Calls as the emulator counted them.
    async fn calls(&self) -> Result<u64> {
        let counters = self.control("GET", "counters", &Json::Null).await?;
        counters["total"].as_u64().context("the emulator's counters have no total")
    }
}

/// A time on 1 January 2026 or later, so many seconds on.
fn chrono_like(second: u64) -> String {
    let start = jiff::Timestamp::constant(1_767_225_600, 0);
    let at = start + jiff::SignedDuration::from_secs(second.cast_signed());
    at.to_string()
}

/// Planning alone, as the core's own program measures it.
fn plan() -> Result<Figures> {
    let mut figures = Figures { records: 1_000_000, throughput: true, ..Figures::default() };
    let watch = Watch::start()?;
    let measured = million::measure();
    watch.stop(&mut figures)?;
    ensure!(measured.steps + measured.conflicts >= 10_000, "{} steps were planned", measured.steps);
    // The rest of the time went into making up the million.
    figures.seconds = measured.seconds;
    Ok(figures)
}

#[path = "../../../pagerow-core/examples/plan_million.rs"]
#[expect(dead_code, reason = "its own main is not called here")]
mod million;
