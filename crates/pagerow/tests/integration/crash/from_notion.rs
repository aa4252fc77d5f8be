//! Rows made from pages by syncs that are killed: each page becomes one row, and each row's key comes to its page.

use serde_json::{Value as Json, json};

use super::{Chance, MAPPING, Sync, TABLE, at_rest, calm, seed, sync, trouble};
use crate::support::world::World;

const PAGES: usize = 1_200;
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_each_page_becomes_one_row() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    let source = world.source("Items").await;
    let pages: Vec<Json> = (0..PAGES)
        .map(|n| json!({"Name": format!("Item {n}"), "Price": n, "Quantity": n % 9, "Note": format!("Note of {n}")}))
        .collect();
    world.control("POST", &format!("data_sources/{source}/rows"), &json!({ "rows": pages })).await;
    let seed = seed(7);
    trouble(&world, seed).await;

    let client = world.client().await;
    let rows = async || client.query_one("SELECT count(*) FROM items", &[]).await.unwrap().get::<_, i64>(0);
    let mut chance = Chance(seed);
    let mut killed = 0;
    for kill in 0..KILLS {
        let before = rows().await;
        let was_killed = if kill % 2 == 0 && before < PAGES as i64 {
            // As soon as a transaction with new rows has been committed.
            Sync::start(&world).kill_when(async || rows().await > before).await
        } else {
            let calls = chance.up_to(if kill % 4 == 1 { 12 } else { 250 });
            Sync::start(&world).kill_after(&world, calls).await
        };
        killed += usize::from(was_killed);
    }
    assert_eq!(killed, KILLS, "it was done too early to be killed so often");
    let last = Sync::start(&world).end().await;
    assert_eq!(last.code, 0, "{}{}", last.stdout, last.stderr);
    calm(&world).await;
    sync(&world).await;
    assert_eq!(world.count("(SELECT DISTINCT name FROM items) AS names").await, PAGES as i64);
    at_rest(&world, PAGES).await;
}
