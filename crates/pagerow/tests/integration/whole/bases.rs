//! pagerow's own tables are lost: pages are found again by their keys, and nothing is made twice or deleted.

use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

#[tokio::test]
async fn lost_bases_are_found_again_by_the_keys_on_the_pages() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(world.count("pagerow.links").await, 35);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
    // It goes on as before.
    world.sql("UPDATE products SET stock = 99 WHERE id = 1").await;
    assert_eq!(written(&world.sync().await), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn what_differed_when_the_bases_were_lost_is_asked_and_what_is_new_crosses() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    world
        .sql(
            "DROP SCHEMA pagerow CASCADE; UPDATE products SET stock = 99 WHERE id = 1; DELETE FROM products WHERE id = 2;
             UPDATE products SET price = NULL WHERE id = 3; INSERT INTO products (name) VALUES ('new')",
        )
        .await;
    world.add(&products, json!({"Name": "born in Notion"})).await;
    let report = world.sync().await;
    let products_part = part(&report, "products");
    assert_eq!(products_part.conflicts, 1, "{report:#?}");
    assert_eq!(
        (products_part.to_notion.trashed, products_part.to_postgres.deleted),
        (0, 0),
        "without a base nothing is deleted: {report:#?}"
    );
    assert_eq!(
        world.row("SELECT price FROM products WHERE id = 3").await["price"],
        json!(3.5),
        "something beats nothing"
    );
    // The row that was gone comes back under its old key.
    assert_eq!(world.count("products WHERE id = 2 AND name = 'Product 2'").await, 1);
    let mut names: Vec<String> =
        world.pages(&products).await.iter().map(|page| page["values"]["Name"].to_string()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), all), (32, 32), "no twins");
    assert_eq!(world.count("products").await, 32);
}

#[tokio::test]
async fn a_duplicated_page_is_reported_and_not_guessed_away() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 1").await;
    world.control("POST", &format!("pages/{}/duplicate", page.id), &json!({})).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").doubles, 1, "{report:#?}");
    assert!(report.needs_decision());
    assert_eq!((world.count("products").await, world.pages(&products).await.len()), (30, 31));
    // Also when nobody remembers which of them was linked.
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let report = world.sync().await;
    assert!(part(&report, "products").doubles >= 1, "{report:#?}");
    assert_eq!((world.count("products").await, world.pages(&products).await.len()), (30, 31));
}
