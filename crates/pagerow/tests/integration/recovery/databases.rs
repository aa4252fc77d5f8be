//! Databases that are lost come back, with their schemas, their relations and their pages.

use serde_json::{Value as Json, json};

use super::{RECORDS, command, company, done, everything};
use crate::support::world::{World, written};

const TITLES: [&str; 4] = ["Places", "Departments", "People", "Shelves"];

async fn all(world: &World, what: &str) {
    for title in TITLES {
        let (database, _) = world.place(title).await;
        world.control("POST", &format!("databases/{database}/{what}"), &json!({})).await;
    }
}

#[tokio::test]
async fn databases_in_the_trash_cost_a_call_each() {
    let world = company().await;
    all(&world, "trash").await;
    let found = command(&world, &["recover", "detect", "--json"]).await;
    assert_eq!(found.code, 3, "{}", found.stderr);
    let kinds: Vec<Json> =
        found.json()["findings"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, vec![json!("data_source_trashed"); 4]);
    let shown = command(&world, &["recover", "to-notion", "--dry-run"]).await;
    assert_eq!(shown.code, 3);
    assert!(shown.stdout.contains("lies in Notion's trash"), "{}", shown.stdout);
    world.calls().await;
    let answer = done(&world, &["recover", "to-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["plan"]["mappings"][0]["steps"], json!([]), "{answer:#}");
    let calls = world.calls().await;
    assert_eq!(calls["PATCH /v1/databases/{id}"], 4, "{calls:?}");
    assert!(
        !calls.contains_key("POST /v1/pages") && !calls.contains_key("PATCH /v1/pages/{id}"),
        "{calls:?}"
    );
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(world.equal().await, RECORDS);
}

#[tokio::test]
async fn purged_databases_are_made_again_with_all_their_pages() {
    let world = company().await;
    let rows = everything(&world).await;
    all(&world, "purge").await;
    let found = command(&world, &["recover", "detect", "--json"]).await.json();
    let finding = &found["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["confidence"]),
        (&json!("data_source_gone"), &json!("medium")),
        "{found:#}"
    );
    assert_eq!(finding["expected"], 7);
    world.calls().await;
    let answer = done(&world, &["recover", "to-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    let calls = world.calls().await;
    assert_eq!(calls["POST /v1/pages"], RECORDS, "{calls:?}");
    assert_eq!(calls["POST /v1/databases"], 4, "{calls:?}");
    assert!(calls.get("GET /v1/pages/{id}").is_none_or(|count| *count < 5), "{calls:?}");
    println!("purged databases: {calls:?}");
    assert_eq!(everything(&world).await, rows);
    world.sync().await;
    assert_eq!(everything(&world).await, rows);
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
    // And everything flows as before.
    let people = world.source("People").await;
    let page = world.page(&people, "Name", "Person 7").await;
    assert_eq!(page.values["Boss"][0]["title"], "Person 8");
    world.edit(&page, json!({"Name": "Person seven"})).await;
    assert_eq!(written(&world.sync().await), [0, 0, 0, 0, 1, 0]);
}
