//! What was deleted comes back: the other half is brought back with it, and there is never a second one.

use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

async fn world(mappings: &str) -> World {
    let world = World::with_mappings(SHOP, mappings).await;
    world.sync().await;
    world
}

/// Without the key on the pages, only the remembered link can tell.
fn keyless() -> String {
    MAPPINGS.replace("data_source = \"create\"", "data_source = \"create\"\nkey_property = false")
}

#[tokio::test]
async fn a_row_inserted_again_takes_its_page_out_of_the_trash() {
    for mappings in [MAPPINGS.to_owned(), keyless()] {
        let world = world(&mappings).await;
        let products = world.source("Products").await;
        world.sql("DELETE FROM products WHERE id = 3").await;
        world.sync().await;
        let trashed = world.trashed(&products).await;
        assert_eq!(trashed.len(), 1);
        world
            .sql("INSERT INTO products (id, name, price) OVERRIDING SYSTEM VALUE VALUES (3, 'Product 3', 77)")
            .await;
        let report = world.sync().await;
        assert!(!report.needs_decision(), "{report:#?}");
        assert_eq!(part(&report, "products").to_notion.created, 0, "{report:#?}");
        let page = world.page(&products, "Name", "Product 3").await;
        assert_eq!(
            (page.id.as_str(), &page.values["Price"]),
            (trashed[0]["id"].as_str().unwrap(), &json!(77))
        );
        assert!(world.trashed(&products).await.is_empty());
        assert_eq!(world.equal().await, 35);
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_page_taken_out_of_the_trash_brings_its_row_back_under_its_key() {
    for mappings in [MAPPINGS.to_owned(), keyless()] {
        let world = world(&mappings).await;
        let products = world.source("Products").await;
        let page = world.page(&products, "Name", "Product 3").await;
        world.sql("DELETE FROM products WHERE id = 3").await;
        world.sync().await;
        world.control("POST", &format!("pages/{}/restore", page.id), &json!({})).await;
        let report = world.full_sync().await;
        assert_eq!(written(&report), [0, 0, 0, 1, 0, 0], "{report:#?}");
        assert_eq!(world.count("products WHERE id = 3").await, 1);
        assert_eq!(world.equal().await, 35);
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn undoing_a_soft_delete_brings_the_trashed_page_back() {
    let sql = format!("{SHOP}\nALTER TABLE products ADD deleted_at timestamptz;");
    for mappings in [MAPPINGS.to_owned(), keyless()] {
        let mappings = mappings.replace(
            "[mapping.products]",
            "[mapping.products]\nsoft_delete = \"deleted_at\"\non_page_trashed = \"soft_delete\"",
        );
        let world = World::with_mappings(&sql, &mappings).await;
        world.sync().await;
        let products = world.source("Products").await;
        let page = world.page(&products, "Name", "Product 3").await;
        world.trash(&page).await;
        let report = world.full_sync().await;
        assert_eq!(written(&report), [0, 0, 0, 0, 0, 1], "{report:#?}");
        world.sql("UPDATE products SET deleted_at = NULL, stock = 99 WHERE id = 3").await;
        let report = world.sync().await;
        assert_eq!(part(&report, "products").to_notion.created, 0, "{report:#?}");
        let back = world.page(&products, "Name", "Product 3").await;
        assert_eq!((&back.id, &back.values["Stock"]), (&page.id, &json!(99)));

        // And the other way round.
        world.trash(&back).await;
        world.full_sync().await;
        world.control("POST", &format!("pages/{}/restore", page.id), &json!({})).await;
        world.full_sync().await;
        assert_eq!(world.count("products WHERE id = 3 AND deleted_at IS NULL").await, 1);
        assert_eq!(world.count("products").await, 30);
        assert_eq!(world.equal().await, 35);
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_row_that_names_a_trashed_page_brings_it_back_also_when_nothing_is_remembered() {
    let sql = format!("{SHOP}\nALTER TABLE products ADD notion_page_id text;");
    let mappings = keyless() + "\n[mapping.products.columns]\npage_id = \"notion_page_id\"\n";
    let world = World::with_mappings(&sql, &mappings).await;
    world.sync().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 3").await;
    world
        .sql("CREATE TABLE kept AS SELECT * FROM products WHERE id = 3; DELETE FROM products WHERE id = 3")
        .await;
    world.sync().await;
    world.sql("DELETE FROM pagerow.buried_links").await;
    world.sql("INSERT INTO products OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").to_notion.created, 0, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 3").await.id, page.id);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_page_that_is_gone_for_good_is_made_again() {
    let world = world(MAPPINGS).await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 3").await;
    world.sql("DELETE FROM products WHERE id = 3").await;
    world.sync().await;
    world.control("POST", &format!("pages/{}/purge", page.id), &json!({})).await;
    world
        .sql("INSERT INTO products (id, name, price) OVERRIDING SYSTEM VALUE VALUES (3, 'Product 3', 77)")
        .await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").to_notion.created, 1, "{report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}
