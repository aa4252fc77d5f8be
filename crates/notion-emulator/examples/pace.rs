//! How fast the emulator itself is: rows read by queries and made by creates, over HTTP on this machine.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use notion_emulator::{Emulator, Options};
use serde_json::{Value as Json, json};

const ROWS: u64 = 100_000;
const CREATES: u64 = 10_000;
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let emulator = Emulator::start(Options { requests_per_minute: None, ..Options::default() }).await?;
    let client = reqwest::Client::new();
    let post = |path: String, body: Json| {
        let request = client
            .post(format!("{}{path}", emulator.base_url()))
            .bearer_auth(emulator.token())
            .header("notion-version", "2026-03-11")
            .json(&body);
        async move {
            let answer = request.send().await?.error_for_status()?;
            Ok::<Json, anyhow::Error>(serde_json::from_slice(&answer.bytes().await?)?)
        }
    };
    let database = json!({
        "parent": {"page_id": emulator.parent_page_id()},
        "initial_data_source": {"properties": {
            "Name": {"title": {}}, "Key": {"rich_text": {}}, "N": {"number": {}}, "Tier": {"select": {}},
            "Due": {"date": {}}, "Done": {"checkbox": {}}, "Note": {"rich_text": {}}, "Mail": {"email": {}},
        }},
    });
    let database = post("/v1/databases".into(), database).await?;
    let source = database["data_sources"][0]["id"].as_str().context("a data source")?.to_owned();

    let rows: Vec<Json> = (0..ROWS)
        .map(|n| json!({
            "Name": format!("Row {n}"), "Key": format!("key-{n}"), "N": n, "Tier": if n % 2 == 0 { "Gold" } else { "Silver" },
            "Due": "2026-03-01", "Done": n % 3 == 0, "Note": "A sentence about this row.", "Mail": format!("p{n}@example.com"),
        }))
        .collect();
    let began = Instant::now();
    let body = json!({"rows": rows, "created_time": "2026-01-01", "step_ms": 1000});
    post(format!("/_emulator/data_sources/{source}/rows?ids=false"), body).await?;
    report("made in one control call", ROWS, began);

    let windows: Vec<String> =
        (0..=27).map(|hour| format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24)).collect();
    for round in ["read the first time", "read again"] {
        let began = Instant::now();
        let counts: Vec<u64> = stream::iter(windows.windows(2))
            .map(|window| pull(&client, &emulator, &source, window))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        report(round, counts.iter().sum(), began);
    }

    let began = Instant::now();
    stream::iter(0..CREATES)
        .map(|n| {
            post("/v1/pages".into(), json!({
                "parent": {"data_source_id": source},
                "properties": {
                    "Name": {"title": [{"text": {"content": format!("New {n}")}}]},
                    "Key": {"rich_text": [{"text": {"content": format!("new-{n}")}}]}, "N": {"number": n},
                    "Tier": {"select": {"name": "Gold"}}, "Due": {"date": {"start": "2026-03-01"}}, "Done": {"checkbox": true},
                },
            }))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<Json>>()
        .await?;
    report("made one by one", CREATES, began);

    let began = Instant::now();
    stream::iter(0..CREATES)
        .map(|n| {
            let filter = json!({"property": "Key", "rich_text": {"equals": format!("new-{n}")}});
            post(format!("/v1/data_sources/{source}/query"), json!({ "filter": filter }))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<Json>>()
        .await?;
    report("found by key", CREATES, began);
    emulator.stop().await?;
    Ok(())
}

/// Reads one window to its end without decoding more than the cursor.
async fn pull(client: &reqwest::Client, emulator: &Emulator, source: &str, window: &[String]) -> Result<u64> {
    let mut body = json!({
        "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
        "filter": {"and": [
            {"timestamp": "created_time", "created_time": {"on_or_after": window[0]}},
            {"timestamp": "created_time", "created_time": {"before": window[1]}},
        ]},
    });
    let mut rows = 0;
    loop {
        let answer = client
            .post(format!("{}/v1/data_sources/{source}/query", emulator.base_url()))
            .bearer_auth(emulator.token())
            .header("notion-version", "2026-03-11")
            .json(&body)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        rows += answer.matches("{\"object\":\"page\"").count() as u64;
        let next = answer.split("\"next_cursor\":\"").nth(1).and_then(|rest| rest.split('"').next());
        match next {
            Some(next) => body["start_cursor"] = next.into(),
            None => return Ok(rows),
        }
    }
}

fn report(what: &str, count: u64, began: Instant) {
    let millis = began.elapsed().as_millis().max(1);
    println!("{count:>8} rows {what} in {millis} ms: {} a second", u128::from(count) * 1000 / millis);
}
