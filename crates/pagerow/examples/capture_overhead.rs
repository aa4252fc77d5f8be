//! What do the triggers of capture cost those who write? Prints how much longer the same statements take with them.
//!
//! `cargo run --release -p pagerow --example capture_overhead`. Each statement is run on a table with triggers and on
//! one without, in turns, over one connection, against a Postgres of its own; the figure is the median of the ratios of
//! all turns. Ends with 1 when one is above what is promised: 30 % on inserts of one row, 60 % on statements of 100,000.
//! Inserts whose commits need not reach the disk are the worst case, which is shown and not promised: next to nothing is
//! left of an insert then but what the trigger does, an insert.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use pagerow::{
    devpg::{DevOptions, DevPostgres},
    postgres::{ConnectionString, Database, capture::Source},
    store::PgStore,
};
use tokio_postgres::{Client, NoTls};

/// Rows of the large statements.
const ROWS: u32 = 100_000;

/// Inserts of one row in each turn.
const SINGLES: u32 = 250;

const TABLES: &str = "
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text, price numeric(10, 2),
    stock integer NOT NULL DEFAULT 0, note text, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON {table} (email);";

const SINGLE: &str = "INSERT INTO {table} (name, email, price, stock, note) \
     VALUES ('Product', 'somebody@example.org', 12.50, 3, 'a note of some length')";

/// The large statements, in the order in which each turn runs them.
const LARGE: [(&str, &str); 3] = [
    (
        "insert",
        "INSERT INTO {table} (name, email, price, stock, note) \
         SELECT 'Product ' || n, n || '@example.org', n % 1000, n, 'a note of some length' FROM generate_series(1, {rows}) n",
    ),
    ("update", "UPDATE {table} SET stock = stock + 1"),
    ("delete", "DELETE FROM {table}"),
];

fn main() -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> Result<ExitCode> {
    let mut holds = true;
    println!("{:<44} {:>12} {:>12} {:>9} {:>9}", "", "without", "with", "longer by", "promised");
    for durable in [true, false] {
        let postgres = DevPostgres::start(DevOptions { durable, ..DevOptions::default() }).await?;
        postgres.create_database("overhead").await?;
        let url = postgres.url("overhead");
        let client = prepare(&url).await?;
        let kind = if durable { "commits reach the disk" } else { "commits reach memory" };
        holds &= singles(&client, kind, durable.then_some(0.3)).await?;
        if durable {
            holds &= large(&client).await?;
        }
        drop(client);
        postgres.stop()?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Two tables that are alike, one of them with triggers.
async fn prepare(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    for table in ["plain", "captured"] {
        client.batch_execute(&TABLES.replace("{table}", table)).await?;
    }
    let database = Database::connect(&ConnectionString::parse(url)?).await?;
    PgStore::open(database.pool(), "pagerow", "overhead").await?;
    let source = Source::new("public", "captured", vec![("id".to_owned(), "bigint".to_owned())], "pagerow");
    client.batch_execute(&source.install(&[("public.captured".to_owned(), true)], false)).await?;
    database.close();
    Ok(client)
}

async fn singles(client: &Client, kind: &str, promised: Option<f64>) -> Result<bool> {
    let mut turns = Vec::new();
    for turn in 0..24 {
        let mut took = [0.0; 2];
        // Whoever comes first may have it easier; so each comes first in turns.
        for place in 0..2 {
            let which = (place + turn) % 2;
            let statement = client.prepare(&SINGLE.replace("{table}", ["plain", "captured"][which])).await?;
            let begun = Instant::now();
            for _ in 0..SINGLES {
                client.execute(&statement, &[]).await?;
            }
            took[which] = begun.elapsed().as_secs_f64() / f64::from(SINGLES);
        }
        turns.push(took);
    }
    let named: i64 = client.query_one("SELECT count(*) FROM pagerow.outbox", &[]).await?.get(0);
    anyhow::ensure!(named == i64::from(24 * SINGLES), "every row was named");
    client.batch_execute("TRUNCATE plain, captured, pagerow.outbox").await?;
    show(&format!("insert of one row, {kind}"), &turns, 1e6, "µs", promised)
}

async fn large(client: &Client) -> Result<bool> {
    let mut turns = [const { Vec::new() }; LARGE.len()];
    for turn in 0..7 {
        client.batch_execute("TRUNCATE plain, captured, pagerow.outbox; CHECKPOINT").await?;
        for ((_, statement), turns) in LARGE.iter().zip(&mut turns) {
            let mut took = [0.0; 2];
            for place in 0..2 {
                let which = (place + turn) % 2;
                let statement = statement.replace("{table}", ["plain", "captured"][which]);
                let begun = Instant::now();
                let count = client.execute(&statement.replace("{rows}", &ROWS.to_string()), &[]).await?;
                took[which] = begun.elapsed().as_secs_f64();
                anyhow::ensure!(count == u64::from(ROWS), "{statement} touched {count} rows");
            }
            turns.push(took);
            client.batch_execute("VACUUM plain, captured").await?;
        }
        let told: i64 = client.query_one("SELECT count(*) FROM pagerow.outbox", &[]).await?.get(0);
        // The TRUNCATE is one, too.
        anyhow::ensure!(told == 4, "every statement was told");
    }
    let mut holds = true;
    for ((name, _), turns) in LARGE.iter().zip(&turns) {
        holds &= show(&format!("{name} of 100,000 rows"), turns, 1e3, "ms", Some(0.6))?;
    }
    Ok(holds)
}

/// Prints one line; answers whether what is promised holds.
fn show(what: &str, turns: &[[f64; 2]], scale: f64, unit: &str, promised: Option<f64>) -> Result<bool> {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().context("no turn")
    };
    let [without, with] = [0, 1].map(|which| median(turns.iter().map(|turn| turn[which] * scale).collect()));
    let longer = median(turns.iter().map(|turn| turn[1] / turn[0] - 1.0).collect())?;
    println!(
        "{what:<44} {:>9.1} {unit} {:>9.1} {unit} {:>8.1}% {:>9}",
        without?,
        with?,
        longer * 100.0,
        promised.map_or_else(|| "–".to_owned(), |promised| format!("{:.0}%", promised * 100.0))
    );
    Ok(promised.is_none_or(|promised| longer <= promised))
}
