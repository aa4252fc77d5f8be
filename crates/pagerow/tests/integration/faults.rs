//! What every failure of either side costs, and that it costs nothing else: answers of Notion, the database, processes,
//! and everything at once.

mod matrix;

use serde_json::Value as Json;

use crate::support::world::World;

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
