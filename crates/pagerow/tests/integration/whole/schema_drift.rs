//! People rename, remove and retype things in Notion, and developers change tables: fields pause, nothing is lost.

use pagerow::engine::Depth;
use serde_json::{Value as Json, json};

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

#[tokio::test]
async fn renamed_properties_and_databases_break_nothing() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let mut engine = world.engine().await;
    world
        .control("PATCH", &format!("data_sources/{products}"), &json!({
            "title": "Artikel", "properties": {"Price": {"name": "Preis"}, "Supabase ID": {"name": "Key"}, "Name": {"name": "Artikel"}},
        }))
        .await;
    world.sql("UPDATE products SET price = 77 WHERE id = 1").await;
    let report = engine.sync(&[], Depth::Changes, None, "test").await.unwrap();
    assert_eq!(written(&report), [0, 1, 0, 0, 0, 0], "{report:#?}");
    assert_eq!(world.page(&products, "Key", "1").await.values["Preis"], 77);
    engine.rest().await.unwrap();
}

#[tokio::test]
async fn a_property_that_is_removed_while_we_run_pauses_its_field_alone() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let mut engine = world.engine().await;
    for change in [json!({ "Price": Json::Null }), json!({ "Supplier": Json::Null })] {
        let change = json!({ "properties": change });
        world.control("PATCH", &format!("data_sources/{products}"), &change).await;
    }
    let page = world.page(&products, "Name", "Product 2").await;
    world.edit(&page, json!({"Stock": 222})).await;
    world.sql("UPDATE products SET stock = 333 WHERE id = 3").await;
    for depth in [Depth::Changes, Depth::Everything] {
        let report = engine.sync(&[], depth, None, "test").await;
        assert_eq!(world.count("products WHERE price IS NOT NULL AND supplier_id IS NOT NULL").await, 30);
        assert!(report.is_ok(), "{report:?}");
    }
    assert_eq!(world.count("products WHERE id = 2 AND stock = 222").await, 1);
    assert_eq!(world.page(&products, "Name", "Product 3").await.values["Stock"], 333);
    engine.rest().await.unwrap();
}

#[tokio::test]
async fn options_that_are_renamed_in_notion_are_the_same_options() {
    let sql = "CREATE TYPE tier AS ENUM ('gold', 'silver');
        CREATE TABLE firms (id integer PRIMARY KEY, name text NOT NULL, tier tier);
        INSERT INTO firms VALUES (1, 'one', 'gold'), (2, 'two', 'silver');";
    let mapping = "[mapping.firms]\ntable = \"firms\"\ndata_source = \"create\"\n[mapping.firms.fields]\n\
        name = { property = \"Name\", as = \"title\" }\ntier = { property = \"Tier\", as = \"select\", values = { gold = \"Gold\" } }\n";
    let world = World::with_mappings(sql, mapping).await;
    world.sync().await;
    let firms = world.source("Firms").await;
    assert_eq!(world.page(&firms, "Name", "one").await.values["Tier"], "Gold");
    let page = world.page(&firms, "Name", "two").await;
    world.edit(&page, json!({"Tier": "Gold"})).await;
    world.sync().await;
    assert_eq!(world.row("SELECT tier FROM firms WHERE id = 2").await["tier"], "gold");
    // Somebody renames the option: what the column cannot hold is parked, and no row is blanked.
    let rename = json!({ "rename_options": { "Tier": { "Gold": "Platin" } } });
    world.control("PATCH", &format!("data_sources/{firms}"), &rename).await;
    let report = world.full_sync().await;
    assert_eq!(world.count("firms WHERE tier = 'gold'").await, 2, "{report:#?}");
    assert_eq!(written(&report), [0; 6], "{report:#?}");
}

#[tokio::test]
async fn a_column_that_is_added_to_the_mapping_fills_its_property() {
    let mappings = MAPPINGS.replace("price = \"Price\"\n", "");
    let mappings =
        mappings.replace("data_source = \"create\"", "data_source = \"create\"\nmanage_schema = true");
    let world = World::with_mappings(SHOP, &mappings).await;
    world.sync().await;
    let head = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(
        world.file(),
        head.replace("stock = \"Stock\"\n", "stock = \"Stock\"\nprice = \"Price\"\n"),
    )
    .unwrap();
    world.make().await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").to_notion.updated, 30, "{report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
    // And taken away again.
    std::fs::write(world.file(), head).unwrap();
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_row_whose_key_changes_is_another_row() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.sql("UPDATE products SET id = DEFAULT WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [1, 0, 1, 0, 0, 0], "{report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}
