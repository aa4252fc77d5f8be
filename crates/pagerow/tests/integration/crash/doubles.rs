//! Pages that carry one key are reported and left alone: never guessed away, never added to, and in nobody else's way.

use serde_json::json;

use super::{MAPPING, Sync, TABLE, rows, sync};
use crate::support::world::World;

#[tokio::test]
async fn a_copied_page_is_reported_and_disturbs_nobody() {
    let world = World::with_mappings(&rows(12), MAPPING).await;
    sync(&world).await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Supabase ID", "1").await;
    world.control("POST", &format!("pages/{}/duplicate", page.id), &json!({})).await;
    world.sql("UPDATE items SET note = 'new' WHERE id = 2").await;
    let answer = Sync::start(&world).end().await;
    assert_eq!(answer.code, 3, "{}{}", answer.stdout, answer.stderr);
    let report = answer.json();
    assert_eq!(report["mappings"][0]["doubles"], 1, "{report:#}");
    assert_eq!(report["mappings"][0]["to_notion"]["updated"], 1, "{report:#}");
    assert_eq!(world.page(&source, "Supabase ID", "2").await.values["Note"], "new");
    assert_eq!(world.count("items").await, 12);
    assert_eq!(world.pages(&source).await.len(), 13);
}

#[tokio::test]
async fn a_row_that_two_pages_name_gets_no_third_one() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    sync(&world).await;
    let source = world.source("Items").await;
    for name in ["One", "Another"] {
        world.add(&source, json!({"Name": name, "Supabase ID": "77"})).await;
    }
    world.sql("INSERT INTO items (id, name) VALUES (77, 'Row')").await;
    let first = Sync::start(&world).end().await;
    assert_eq!(first.code, 3, "{}{}", first.stdout, first.stderr);
    assert_eq!(world.pages(&source).await.len(), 2);
    // The pages are news no more when the row is edited.
    world.minutes_pass(30).await;
    Sync::start(&world).end().await;
    world.sql("UPDATE items SET note = 'edited' WHERE id = 77").await;
    let second = Sync::start(&world).end().await;
    assert_eq!(second.code, 3, "{}{}", second.stdout, second.stderr);
    assert_eq!(world.pages(&source).await.len(), 2);
    assert_eq!(world.count("items").await, 1);
}

#[tokio::test]
async fn a_row_finds_the_page_that_was_there_long_before_it() {
    let world = World::with_mappings(
        TABLE,
        &format!(
            "{}\n",
            MAPPING.replace("[mapping.items.fields]", "direction = \"to_notion\"\n[mapping.items.fields]")
        ),
    )
    .await;
    sync(&world).await;
    let source = world.source("Items").await;
    world.add(&source, json!({"Name": "Row", "Supabase ID": "77"})).await;
    sync(&world).await;
    world.minutes_pass(30).await;
    sync(&world).await;
    world.sql("INSERT INTO items (id, name) VALUES (77, 'Row')").await;
    sync(&world).await;
    assert_eq!(world.pages(&source).await.len(), 1);
    assert_eq!(world.equal().await, 1);
}

#[tokio::test]
async fn a_deleted_row_does_not_come_back_from_an_old_list() {
    let world = World::with_mappings(&rows(30), MAPPING).await;
    sync(&world).await;
    world.control("POST", "lag", &json!({"min_ms": 60_000, "max_ms": 60_000})).await;
    world.sql("DELETE FROM items WHERE id <= 3; UPDATE items SET note = 'mine' WHERE id = 4").await;
    for _ in 0..2 {
        sync(&world).await;
        assert_eq!(world.count("items").await, 27);
        assert_eq!(world.count("items WHERE note = 'mine'").await, 1, "an old list took the edit back");
    }
    world.control("POST", "lag", &json!({})).await;
    sync(&world).await;
    assert_eq!(world.count("items").await, 27);
    assert_eq!(world.pages(&world.source("Items").await).await.len(), 27);
    assert_eq!(world.equal().await, 27);
}
