//! `pagerow demo`: a small business in a real Postgres, a Notion in a box, and both kept equal before your eyes.

mod crossing;
mod stage;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use pagerow_core::plan::Step;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    console::Console,
    error::CliError,
    exit::Exit,
    progress::Meter,
    render::{attention, table::counted},
    signals,
};
use crate::{
    clock::Clock,
    config::Config,
    engine::{Beat, Depth, EngineError, Event, Progress, Report, Schedule, Stop, Wake},
    setup::schema,
    store::{Attention, Links, PgStore, StoreError},
    wiring::{Keeper, Wiring, call_on_changes},
};
use crossing::Names;
use stage::Stage;

/// While passes fail, the next try is never further away than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watch a Postgres and a Notion being kept equal, with nothing to configure
///
/// Starts a Postgres with the tables of a small business (found on this machine, or fetched), a Notion emulator with a
/// page to edit its rows, makes the databases, and keeps both sides equal. Each change is told as it crosses. Ctrl-C
/// stops everything and leaves nothing behind.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  pagerow demo\n  pagerow demo --keep ~/pagerow-demo")]
pub(super) struct Args {
    /// Where the Notion emulator listens; otherwise port 8090, or any free one when that is taken
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Keep both sides in this folder, and go on from there the next time
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(args: Args, console: &Console) -> Result<Exit, CliError> {
    let stop = signals::watch(console)?;
    let stage = Stage::set(args.listen, args.keep, console).await?;
    let played = play(&stage, &stop, console).await;
    let kept = stage.kept().map(std::path::Path::to_owned);
    let cleared = stage.clear().await;
    played?;
    cleared?;
    console.note(&match kept {
        Some(folder) => format!("stopped; `pagerow demo --keep {}` goes on from here", folder.display()),
        None => "stopped; nothing is left behind".to_owned(),
    });
    Ok(Exit::Done)
}

/// From empty databases in Notion to the end.
async fn play(stage: &Stage, stop: &Stop, console: &Console) -> Result<(), CliError> {
    let meter = Meter::new(console);
    let wiring = make_databases(stage, &meter).await?;
    let Some(report) = first_sync(&wiring, stop, &meter).await? else { return Ok(()) };
    meter.finish();
    stage.save()?;
    let (tells, hears) = unbounded_channel();
    let told = tells.clone();
    let progress = Progress::to(move |event| {
        if let Event::Stepped { mapping, step, ok: true, .. } = event {
            let step =
                Told::Step { mapping: (*mapping).to_owned(), step: (*step).clone(), at: Instant::now() };
            // Nobody listens any more once the demo is over.
            let _unheard = told.send(step);
        }
    });
    let (engine, warnings) = wiring.engine(progress, stop.clone()).await?;
    console.warn(&warnings);
    let store = engine.store().clone();
    let mut names = Names::new(engine.mappings().cloned());
    learn(&mut names, &engine, &store).await.map_err(|error| CliError::of_store(error, &wiring.database))?;
    ready(stage, &report, console)?;
    let teller = Teller {
        stage,
        console,
        wiring: &wiring,
        store,
        names,
        clock: Clock::system(),
        waiting: BTreeSet::new(),
        troubles: BTreeMap::new(),
    };
    let (kept, told) = tokio::join!(live(engine, &wiring.config, tells), teller.tell_all(hears, stop));
    kept.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    told?;
    wiring.database.close();
    Ok(())
}

/// Makes the databases in the way that `pagerow schema apply` does.
async fn make_databases(stage: &Stage, meter: &Meter) -> Result<Wiring, CliError> {
    let mut wiring = Wiring::connect(Config::load(&stage.config, &[])?).await?;
    let found = wiring.found().await?;
    let plan = schema::plan(&wiring.config, &found)?;
    crate::wiring::store(&wiring.config, &wiring.database).await?;
    let session = wiring.database.session().await?;
    schema::apply(&wiring.config, &found, &plan, &session, &wiring.client, |change| {
        meter.say(change.lines().next().unwrap_or_default());
    })
    .await?;
    drop(session);
    // Now with the ids of what was made.
    wiring.config = Config::load(&stage.config, &[])?;
    Ok(wiring)
}

/// Nothing when a stop was asked for.
async fn first_sync(wiring: &Wiring, stop: &Stop, meter: &Meter) -> Result<Option<Report>, CliError> {
    let (mut engine, _) = wiring.engine(meter.listener(), stop.clone()).await?;
    let synced = engine.sync(&[], Depth::Everything, None, "demo").await;
    let rested = engine.rest().await;
    let report = match synced {
        Err(EngineError::Stopped) => return Ok(None),
        synced => synced.map_err(|error| CliError::of_engine(error, &wiring.database))?,
    };
    rested.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    Ok(Some(report))
}

async fn learn(names: &mut Names, engine: &Keeper, store: &PgStore) -> Result<(), StoreError> {
    for mapping in engine.mappings() {
        let mut ids = Vec::new();
        store.each_link(&mapping.name, &mut |link| ids.push(link.id)).await?;
        for link in store.links(mapping, &ids).await? {
            names.learn(&mapping.name, link.key, link.page, &link.base.postgres);
        }
    }
    Ok(())
}

/// Keeps both sides equal until a stop is asked for.
async fn live(mut engine: Keeper, config: &Config, tells: UnboundedSender<Told>) -> Result<(), EngineError> {
    let mut schedule =
        Schedule::new(config.mappings.iter().map(|mapping| (mapping.name.clone(), mapping.rules.interval)));
    schedule.longest_pause = LONGEST_PAUSE;
    schedule.shares = true;
    let tell = move |beat: Beat<'_>| {
        let told = match beat {
            Beat::Begins { .. } => Told::Begins { at: Instant::now() },
            Beat::Ended { mappings, result, .. } => Told::Ended { mappings: mappings.to_vec(), result },
        };
        let _unheard = tells.send(told);
    };
    let wake = Wake::default();
    let kept = engine.keep_equal(&mut schedule, &wake, "demo", tell);
    // Who calls never ends by itself.
    tokio::select! {
        biased;
        kept = kept => kept,
        () = call_on_changes(config, &wake) => Ok(()),
    }
}

/// What the teller hears of the loop.
enum Told {
    Begins { at: Instant },
    Step { mapping: String, step: Step, at: Instant },
    Ended { mappings: Vec<String>, result: Result<Report, EngineError> },
}

/// Tells what happens, in the order in which it happens.
struct Teller<'a> {
    stage: &'a Stage,
    console: &'a Console,
    wiring: &'a Wiring,
    store: PgStore,
    names: Names,
    clock: Clock,
    /// What waits for a person and was told, by kind and number.
    waiting: BTreeSet<(&'static str, i64)>,
    /// The errors of mappings over which the last pass failed.
    troubles: BTreeMap<String, String>,
}

impl Teller<'_> {
    async fn tell_all(mut self, mut hears: UnboundedReceiver<Told>, stop: &Stop) -> Result<(), CliError> {
        // The last look that did not show what is told next began here.
        let (mut before, mut now) = (Instant::now(), Instant::now());
        let mut outcome = Ok(());
        while let Some(told) = hears.recv().await {
            let told = match told {
                Told::Begins { at } => {
                    now = at;
                    Ok(())
                }
                Told::Step { mapping, step, at } => self.step(&mapping, &step, at.duration_since(before)),
                Told::Ended { mappings, result } => {
                    if result.is_ok() {
                        before = now;
                    }
                    self.pass(&mappings, result).await
                }
            };
            if told.is_err() && outcome.is_ok() {
                // Without anybody who listens there is no demo.
                stop.ask();
                outcome = told;
            }
        }
        outcome
    }

    fn step(&mut self, mapping: &str, step: &Step, within: Duration) -> Result<(), CliError> {
        let Some(crossing) = self.names.tell(mapping, step, within) else { return Ok(()) };
        let at = self.clock.now();
        let clock = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
        self.console.answer(&crossing.json(at), || crossing.line(&clock))
    }

    async fn pass(
        &mut self,
        mappings: &[String],
        result: Result<Report, EngineError>,
    ) -> Result<(), CliError> {
        let error = match result {
            Ok(report) => {
                let is_stopped =
                    |mapping: &&String| report.stopped.iter().any(|one| one.mapping == **mapping);
                let (stopped, others): (Vec<&String>, Vec<&String>) = mappings.iter().partition(is_stopped);
                if !stopped.is_empty() {
                    let stopped: Vec<String> = stopped.into_iter().cloned().collect();
                    self.trouble(&stopped, &CliError::of_stops(&report.stopped, false));
                }
                let troubled =
                    others.iter().filter(|mapping| self.troubles.remove(**mapping).is_some()).count();
                if troubled > 0 && self.troubles.is_empty() {
                    self.console.note("the trouble is over");
                }
                let saved = if report.run.is_some() { self.stage.save() } else { Ok(()) };
                match saved {
                    Ok(()) if report.needs_decision() || !self.waiting.is_empty() => match self.waits().await
                    {
                        Ok(told) => return told,
                        Err(error) => CliError::of_store(error, &self.wiring.database),
                    },
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => CliError::of_engine(error, &self.wiring.database),
        };
        self.trouble(mappings, &error);
        Ok(())
    }

    /// Tells of what keeps these mappings from being kept equal.
    fn trouble(&mut self, mappings: &[String], error: &CliError) {
        // The next try follows by itself; what is told once is not told again. The message itself may name a request,
        // and then each is another.
        let told = error.to_json();
        let trouble = format!("{} {} {}", told["kind"], told["code"], told["key"]);
        let mut is_news = false;
        for mapping in mappings {
            is_news |= self.troubles.insert(mapping.clone(), trouble.clone()).as_ref() != Some(&trouble);
        }
        if is_news {
            let _exit = self.console.fail(error);
        }
    }

    /// Tells what has begun to wait for a person.
    async fn waits(&mut self) -> Result<Result<(), CliError>, StoreError> {
        let (parked, conflicts) = (self.store.parked(None).await?, self.store.open_conflicts(None).await?);
        let before = std::mem::take(&mut self.waiting);
        for one in parked {
            let name = ("parked", one.id);
            if !before.contains(&name) {
                let told = self.console.answer(&json!({ "parked": attention::parked_json(&one) }), || {
                    format!("  waits  {}", attention::parked(std::slice::from_ref(&one)).trim_start())
                });
                if told.is_err() {
                    return Ok(told);
                }
            }
            self.waiting.insert(name);
        }
        for one in conflicts {
            let name = ("conflict", one.id);
            if !before.contains(&name) {
                let told =
                    self.console.answer(&json!({ "conflict": attention::conflict_json(&one) }), || {
                        format!("  conflict  {}", attention::conflict_line(&one))
                    });
                if told.is_err() {
                    return Ok(told);
                }
            }
            self.waiting.insert(name);
        }
        Ok(Ok(()))
    }
}

/// Says that it works now, where to look and what to try.
fn ready(stage: &Stage, report: &Report, console: &Console) -> Result<(), CliError> {
    let notion = stage.notion();
    let json = json!({
        "database_url": stage.database_url,
        "notion_base_url": notion.base_url(),
        "notion_token": notion.token(),
        "parent_page_id": notion.parent_page_id(),
        "config": stage.config,
    });
    console.answer(&json, || welcome(stage, report))
}

fn welcome(stage: &Stage, report: &Report) -> String {
    let pages: u64 = report.mappings.iter().map(|mapping| mapping.to_notion.created).sum();
    let made = if pages > 0 {
        format!("{} made in {:.1} s, ", counted(pages, "page", "pages"), report.seconds)
    } else {
        String::new()
    };
    let url = &stage.database_url;
    let config = stage.config.display();
    let statements = [
        "UPDATE products SET price = 19.90, stock = stock - 1 WHERE id = 1",
        "INSERT INTO orders (customer, due_on) VALUES ('Harbour Kiosk', current_date + 7)",
        "DELETE FROM order_lines WHERE id = 10",
    ];
    let try_sql = match stage.psql() {
        Some(psql) => statements.map(|sql| format!("    {psql} {url} -c \"{sql}\"")).join("\n"),
        None => format!(
            "    (psql is not installed; any other Postgres client will do)\n{}",
            statements.map(|sql| format!("    {sql};")).join("\n")
        ),
    };
    format!(
        "\n\
         {tables} and their Notion databases are equal: {made}and kept so from now on.\n\
         \n\
         \x20 Postgres       {url}\n\
         \x20                {postgres}\n\
         \x20 Notion         {page}/   (open it in a browser)\n\
         \x20 configuration  {config}\n\
         \n\
         \x20 Change something in Postgres:\n\
         {try_sql}\n\
         \x20 Change something in Notion: on its page choose Orders and set a status, give Products another stock,\n\
         \x20 add a row, or put one in the trash.\n\
         \x20 Ask pagerow, in another terminal:\n\
         \x20   pagerow status --config {config}\n\
         \x20   pagerow verify --config {config}\n\
         \n\
         Each change is told here as it crosses. Ctrl-C stops.",
        tables = counted(report.mappings.len() as u64, "table", "tables"),
        postgres = stage.postgres(),
        page = stage.notion().base_url(),
    )
}
