//! What every failure of either side costs, and that it costs nothing else: answers of Notion, the database, processes,
//! and everything at once.

mod database;
mod matrix;
mod outages;
mod processes;
mod soup;

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::support::{
    program::{self, Answer},
    world::World,
};

/// How long a page that was not found may still turn up. Late writes of these tests come before its end.
const DOUBT: &str = "1500ms";
/// When a late write is carried out, in milliseconds after its answer.
const LATE: u64 = 600;
/// How long the program waits for an answer.
const TIMEOUT: &str = "1s";

/// A world whose program is as impatient as a test.
async fn world(sql: &str, mapping: &str) -> World {
    let world = World::with_mappings(sql, mapping).await;
    world.set("PAGEROW__NOTION__DOUBT", DOUBT);
    world.set("PAGEROW__NOTION__TIMEOUT", TIMEOUT);
    world
}

/// How often the faults were met, all together.
async fn hits(world: &World) -> u64 {
    let faults = world.control("GET", "faults", &Json::Null).await;
    faults["faults"].as_array().unwrap().iter().map(|rule| rule["hits"].as_u64().unwrap()).sum()
}

/// `pagerow` with a world's configuration, as users start it.
async fn pagerow(world: &World, arguments: &[&str]) -> Answer {
    program::run(program::with_config(arguments, &world.file())).await
}

/// A sync that has to end with nothing left to do; its report.
async fn sync(world: &World) -> Json {
    let answer = pagerow(world, &["sync", "--json"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    answer.json()
}

/// What a sync says that has to end with this code, kind and code of error.
async fn fails(world: &World, exit: i32, kind: &str, code: &str) -> Json {
    let answer = pagerow(world, &["sync", "--json"]).await;
    assert_eq!(answer.code, exit, "{}{}", answer.stdout, answer.stderr);
    let error: Json = serde_json::from_str(&answer.stderr).unwrap();
    let error = error["error"].clone();
    assert_eq!((&error["kind"], &error["code"]), (&kind.into(), &code.into()), "{error:#}");
    assert!(!error["message"].as_str().unwrap().is_empty() && error["advice"].is_string(), "{error:#}");
    error
}

/// Both sides equal, one page a row, nothing open, nothing left to do.
async fn at_rest(world: &World, records: u64) {
    assert_eq!(world.equal().await, records);
    let pages = world.pages(&world.source("Items").await).await;
    let keys: BTreeSet<&str> =
        pages.iter().map(|page| page["values"]["Supabase ID"].as_str().unwrap_or_default()).collect();
    assert_eq!((pages.len() as u64, keys.len() as u64), (records, records), "pages and their keys");
    assert_eq!(world.count("pagerow.steps WHERE status IN ('intended', 'unknown')").await, 0, "open steps");
    world.nothing_left().await;
}
