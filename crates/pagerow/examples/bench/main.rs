//! How fast is pagerow, measured against the limit that Notion sets? Prints a table of figures and ratios.
//!
//! `cargo run --release -p pagerow --example bench -- [--quick|--full]`. The engine under measurement runs in a process
//! of its own for each scenario; Postgres and the emulator run beside it, so that processor time and memory are its own.
//! The rate limit is scaled so that each limited scenario lasts about two and a half of Notion's windows; the figure is
//! the ratio to the time that the limit alone would take.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod measure;
mod scenario;
mod shapes;

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use pagerow::devpg::{DevOptions, DevPostgres};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    scenario::{Order, Work},
    shapes::Shape,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("emulator") => emulator(),
        Some("scenario") => {
            let order: Order = serde_json::from_str(arguments.get(1).context("no order")?)?;
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let figures = runtime.block_on(scenario::run(&order))?;
            println!("{}", serde_json::to_string(&figures)?);
            Ok(())
        }
        other => {
            let sizes: &[u64] = match other {
                Some("--quick") => &[1_000],
                Some("--full") => &[1_000, 10_000, 100_000],
                None => &[1_000, 10_000],
                Some(unknown) => bail!("unknown argument {unknown}; there are --quick and --full"),
            };
            tokio::runtime::Runtime::new()?.block_on(suite(sizes))
        }
    }
}

/// The emulator as a child, so that its time and memory are not the engine's.
fn emulator() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let options = notion_emulator::Options { requests_per_minute: None, ..Default::default() };
        let emulator = notion_emulator::Emulator::start(options).await?;
        println!(
            "{}",
            serde_json::json!({
                "base_url": emulator.base_url(),
                "token": emulator.token(),
                "parent_page_id": emulator.parent_page_id(),
            })
        );
        std::future::pending::<()>().await;
        Ok(())
    })
}

async fn suite(sizes: &[u64]) -> Result<()> {
    let postgres = DevPostgres::start(DevOptions { durable: true, ..DevOptions::default() }).await?;
    println!("Postgres: {}", postgres.description());
    println!();
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>8} {:>8} {:>9} {:>8} {:>9}",
        "scenario", "records", "seconds", "× limit", "calls", "× ideal", "records/s", "CPU ms", "peak MiB"
    );
    let mut number = 0;
    let mut scenario = async |work: Work, shape: Shape, records: u64, limited: bool| -> Result<()> {
        number += 1;
        let database = format!("bench_{number}");
        postgres.create_database(&database).await?;
        one(&postgres.url(&database), work, shape, records, limited).await
    };
    for &records in sizes {
        scenario(Work::Push, Shape::Narrow, records, true).await?;
        scenario(Work::Pull, Shape::Narrow, records * 10, true).await?;
    }
    scenario(Work::Rows(100), Shape::Narrow, 1_000, true).await?;
    scenario(Work::Pages(100), Shape::Narrow, 1_000, true).await?;
    scenario(Work::Idle, Shape::Narrow, *sizes.last().unwrap_or(&1_000), false).await?;
    for shape in [Shape::Narrow, Shape::Wide, Shape::Text] {
        let records = if matches!(shape, Shape::Text) { 2_000 } else { 20_000 };
        scenario(Work::Push, shape, records, false).await?;
        scenario(Work::Pull, shape, records, false).await?;
        scenario(Work::Compare, shape, records, false).await?;
        scenario(Work::Recover, shape, records, false).await?;
    }
    if let Some(&largest) = sizes.last().filter(|size| **size >= 100_000) {
        scenario(Work::Compare, Shape::Narrow, largest, false).await?;
    }
    scenario(Work::Plan, Shape::Narrow, 1_000_000, false).await?;
    println!();
    println!(
        "× limit: wall time ÷ (ideal calls × 60 s ÷ limit per minute). × ideal: calls ÷ fewest possible calls."
    );
    println!(
        "records/s without a limit; CPU and memory are the engine's own process, from the start of the work."
    );
    postgres.stop()?;
    Ok(())
}

/// Runs one scenario in a process of its own, against an emulator of its own, and prints its line.
async fn one(database_url: &str, work: Work, shape: Shape, records: u64, limited: bool) -> Result<()> {
    let program = std::env::current_exe()?;
    let mut emulator = tokio::process::Command::new(&program)
        .arg("emulator")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(emulator.stdout.take().context("no output of the emulator")?).lines();
    let ready: Json = serde_json::from_str(&lines.next_line().await?.context("the emulator did not start")?)?;
    let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    let order = Order {
        work,
        shape,
        records,
        limited,
        database_url: database_url.to_owned(),
        base_url: text("base_url"),
        token: text("token"),
        parent_page: text("parent_page_id"),
    };
    let output = tokio::process::Command::new(&program)
        .args(["scenario", &serde_json::to_string(&order)?])
        .kill_on_drop(true)
        .output()
        .await?;
    emulator.kill().await?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        println!("{:<34} {records:>8} failed: {}", work.name(shape, limited), why.trim());
        return Ok(());
    }
    let figures: measure::Figures = serde_json::from_slice(&output.stdout)?;
    println!("{:<34} {}", work.name(shape, limited), figures.line());
    Ok(())
}
