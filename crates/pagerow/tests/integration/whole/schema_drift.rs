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

fn price(change: Json) -> Json {
    json!({ "properties": { "Price": change } })
}

#[tokio::test]
async fn a_paused_field_keeps_its_bases_and_resumes_with_both_sides_edits() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let path = format!("data_sources/{products}");
    // Another kind keeps the id; its values are read again from their text.
    world.control("PATCH", &path, &price(json!({ "rich_text": {} }))).await;
    world.sql("UPDATE products SET price = 101 WHERE id = 1; UPDATE products SET stock = 7 WHERE id IN (1, 2, 3)").await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0, 3, 0, 0, 0, 0], "{report:#?}");
    let page = world.page(&products, "Name", "Product 2").await;
    world.edit(&page, json!({"Price": "202"})).await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    // It is a number again: one edit on each side, both with a base.
    world.control("PATCH", &path, &price(json!({ "number": {} }))).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 1, 0, 0, 1, 0], "{report:#?}");
    assert_eq!(part(&report, "products").conflicts, 0);
    assert_eq!(world.count("products WHERE id = 2 AND price = 202").await, 1);
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Price"], 101);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn deletions_wait_while_a_field_is_paused() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let path = format!("data_sources/{products}");
    world.control("PATCH", &path, &price(json!({ "rich_text": {} }))).await;
    world.sql("DELETE FROM products WHERE id = 1").await;
    let page = world.page(&products, "Name", "Product 1").await;
    world.edit(&page, json!({"Price": "99"})).await;
    for _ in 0..2 {
        let report = world.full_sync().await;
        assert_eq!(written(&report), [0; 6], "{report:#?}");
    }
    world.control("PATCH", &path, &price(json!({ "number": {} }))).await;
    // The edit that nobody saw beats the deletion.
    world.sync().await;
    assert_eq!(world.count("products WHERE name = 'Product 1' AND price = 99").await, 1);
}

#[tokio::test]
async fn a_row_is_not_made_without_a_column_that_it_needs() {
    let sql = "CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, size int NOT NULL);
        INSERT INTO things (name, size) VALUES ('one', 1);";
    let mapping = "[mapping.things]\ntable = \"things\"\ndata_source = \"create\"\n[mapping.things.fields]\n\
        name = { property = \"Name\", as = \"title\" }\nsize = \"Size\"\n";
    let world = World::with_mappings(sql, mapping).await;
    world.sync().await;
    let things = world.source("Things").await;
    let path = format!("data_sources/{things}");
    world.control("PATCH", &path, &json!({"properties": {"Size": {"rich_text": {}}}})).await;
    world.add(&things, json!({"Name": "two", "Size": "2"})).await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert!(world.parked().await.is_empty());
    world.control("PATCH", &path, &json!({"properties": {"Size": {"number": {}}}})).await;
    world.sync().await;
    assert_eq!(world.count("things WHERE name = 'two' AND size = 2").await, 1);
    assert_eq!(world.equal().await, 2);
}

#[tokio::test]
async fn a_column_in_the_place_of_another_is_not_taken_for_it() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    world.sql("ALTER TABLE products DROP price; ALTER TABLE products ADD price numeric(10, 2)").await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0; 6], "nothing is blanked: {report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 3").await.values["Price"], 3.5);
    world.accept().await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 30, 0], "the new column is filled: {report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_field_that_is_sent_to_another_property_forgets_what_it_settled() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let change = json!({"properties": {"Net": {"number": {}}}});
    world.control("PATCH", &format!("data_sources/{products}"), &change).await;
    let file = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(world.file(), file.replace("price = \"Price\"", "price = \"Net\"")).unwrap();
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 30, 0, 0, 0, 0], "no row is blanked: {report:#?}");
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn a_file_that_follows_a_rename_by_hand_loses_no_base() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    world.sql("ALTER TABLE products RENAME price TO unit_price").await;
    let change = price(json!({"name": "Preis"}));
    world.control("PATCH", &format!("data_sources/{products}"), &change).await;
    let file = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(world.file(), file.replace("price = \"Price\"", "unit_price = \"Preis\"")).unwrap();
    // Both were edited, each in its own record: without bases these would be conflicts.
    world.sql("UPDATE products SET unit_price = 101 WHERE id = 1").await;
    let page = world.page(&products, "Name", "Product 2").await;
    world.edit(&page, json!({"Preis": 202})).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 1, 0, 0, 1, 0], "{report:#?}");
    assert_eq!(part(&report, "products").conflicts, 0);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_schema_that_moves_under_a_run_is_planned_anew() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let path = format!("data_sources/{products}");
    // A column that a statement names is gone, and a property that a write names.
    let mut engine = world.engine().await;
    world.sql("ALTER TABLE products RENAME stock TO amount").await;
    world.sql("UPDATE products SET amount = 77 WHERE id = 1").await;
    let report = engine.sync(&[], Depth::Changes, None, "test").await.unwrap();
    assert_eq!(written(&report), [0, 1, 0, 0, 0, 0], "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Stock"], 77);
    world.control("PATCH", &path, &price(Json::Null)).await;
    world.sql("UPDATE products SET price = 88, amount = 88 WHERE id = 2").await;
    let report = engine.sync(&[], Depth::Changes, None, "test").await.unwrap();
    assert!(report.quiet, "{report:#?}");
    assert_eq!(part(&report, "products").parked, 0, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 2").await.values["Stock"], 88);
    // A whole mapping goes, and comes back.
    let (database, _) = world.place("Suppliers").await;
    world.control("POST", &format!("databases/{database}/trash"), &json!({})).await;
    world
        .sql("UPDATE products SET amount = 99 WHERE id = 3; UPDATE suppliers SET city = 'Oslo' WHERE id = 1")
        .await;
    let report = engine.sync(&[], Depth::Everything, None, "test").await.unwrap();
    assert!(report.quiet, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 3").await.values["Stock"], 99);
    engine.rest().await.unwrap();
    world.control("POST", &format!("databases/{database}/restore"), &json!({})).await;
    world.sync().await;
    let suppliers = world.source("Suppliers").await;
    assert_eq!(world.page(&suppliers, "Name", "Supplier 1").await.values["City"], "Oslo");
}

#[tokio::test]
async fn a_running_loop_follows_without_a_restart() {
    use std::time::Duration;

    use pagerow::engine::{Progress, Schedule, Stop, Wake};

    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let stop = Stop::default();
    let mut engine = world.engine_with(Progress::silent(), stop.clone()).await;
    let names = ["suppliers", "products"].map(|name| (name.to_owned(), Duration::from_millis(20)));
    let (mut schedule, wake) = (Schedule::new(names), Wake::default());
    let drifts = async {
        let _stopped = StopAtEnd(stop.clone());
        drift_while_running(&world, &products).await;
    };
    let (kept, ()) = tokio::join!(engine.keep_equal(&mut schedule, &wake, "test", |_| ()), drifts);
    kept.unwrap();
}

/// Ends the loop also when a test stops at a surprise.
struct StopAtEnd(pagerow::engine::Stop);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.ask();
    }
}

async fn drift_while_running(world: &World, products: &str) {
    use std::time::Duration;

    world.sql("ALTER TABLE products RENAME stock TO amount").await;
    world.sql("UPDATE products SET amount = 71 WHERE id = 1").await;
    crate::support::postgres::eventually("the renamed column crosses", Duration::from_secs(60), async || {
        world.page(products, "Name", "Product 1").await.values["Stock"] == 71
    })
    .await;
    world.control("PATCH", &format!("data_sources/{products}"), &price(Json::Null)).await;
    crate::support::postgres::eventually(
        "the removed property is noticed",
        Duration::from_secs(60),
        async || world.count("pagerow.names WHERE paused @> '[{\"column\": \"price\"}]'").await == 1,
    )
    .await;
    world.sql("UPDATE products SET amount = 72, price = 1 WHERE id = 2").await;
    crate::support::postgres::eventually("the rest still flows", Duration::from_secs(60), async || {
        world.page(products, "Name", "Product 2").await.values["Stock"] == 72
    })
    .await;
    assert!(world.parked().await.is_empty());
}
