//! What looks like a loss is told, and ordinary life is not.

use serde_json::{Value as Json, json};

use super::{command, company, done};
use crate::support::world::World;

async fn findings(world: &World) -> Vec<Json> {
    let answer = command(world, &["recover", "detect", "--json"]).await;
    let findings = answer.json()["findings"].as_array().unwrap().clone();
    assert_eq!(answer.code, if findings.is_empty() { 0 } else { 3 }, "{}", answer.stderr);
    findings
}

fn kinds(findings: &[Json]) -> Vec<(String, String)> {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    findings.iter().map(|one| (text(&one["mapping"]), text(&one["kind"]))).collect()
}

#[tokio::test]
async fn ordinary_life_is_no_loss() {
    // A fresh install: rows without pages, and the other way round.
    let world = World::with_mappings(super::COMPANY, super::MAPPINGS).await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());
    world.sync().await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());
    // Rows that somebody deleted on purpose, before and after a sync.
    world.sql("DELETE FROM shelves WHERE place_id IN (1, 2)").await;
    let shelves = world.source("Shelves").await;
    world.trash(&world.page(&shelves, "Name", "Shelf 1 of 4").await).await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());
    world.sync().await;
    // A condition that leaves most rows out, and a mapping that is paused.
    world.reconfigure(|text| {
        text.replace("[mapping.shelves]\n", "[mapping.shelves]\nwhere = \"place_id > 7\"\n")
    });
    assert_eq!(findings(&world).await, Vec::<Json>::new());
    world.sql("ALTER TABLE shelves RENAME TO gone").await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());
    let text = done(&world, &["recover", "detect"]).await.stdout;
    assert!(text.contains("nothing looks as if it had been lost"), "{text}");
}

#[tokio::test]
async fn losses_are_told_with_what_mends_them_and_what_it_costs() {
    let world = company().await;
    world.sql("TRUNCATE shelves").await;
    let found = findings(&world).await;
    assert_eq!(kinds(&found), [("shelves".to_owned(), "rows_gone".to_owned())]);
    let one = &found[0];
    assert_eq!(
        (&one["seen"], &one["expected"], &one["confidence"], &one["action"], &one["calls"]),
        (&json!(0), &json!(21), &json!("high"), &json!("pagerow recover from-notion shelves"), &json!(1))
    );
    let text = command(&world, &["recover", "detect"]).await.stdout;
    assert!(
        text.contains("shelves: the table is empty, and 21 pages carry keys of its rows (certain)"),
        "{text}"
    );
    // The memory as well.
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let found = findings(&world).await;
    let mut kinds_found = kinds(&found);
    kinds_found.sort();
    let kind = |mapping: &str, kind: &str| (mapping.to_owned(), kind.to_owned());
    assert_eq!(
        kinds_found,
        [
            kind("departments", "memory_gone"),
            kind("people", "memory_gone"),
            kind("places", "memory_gone"),
            kind("shelves", "rows_gone"),
        ]
    );
    done(&world, &["recover", "from-notion", "--yes"]).await;
    world.sync().await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());

    let people = world.source("People").await;
    for page in world.pages(&people).await.iter().take(25) {
        world.control("POST", &format!("pages/{}/trash", page["id"].as_str().unwrap()), &json!({})).await;
    }
    let found = findings(&world).await;
    assert_eq!(kinds(&found), [kind("people", "pages_missing")]);
    assert_eq!((&found[0]["seen"], &found[0]["expected"]), (&json!(15), &json!(40)));
    done(&world, &["recover", "to-notion", "--yes"]).await;
    assert_eq!(findings(&world).await, Vec::<Json>::new());
}
