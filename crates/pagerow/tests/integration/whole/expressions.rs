//! Do fields with expressions flow as they say, both ways, and does one that fails stop only its record?

use serde_json::{Value as Json, json};

use crate::support::world::{World, part};

const AUCTIONS: &str = "CREATE TABLE auctions (id int PRIMARY KEY, material text, grade text, tier int,
    price numeric(12,2), currency text NOT NULL DEFAULT 'EUR', status text NOT NULL DEFAULT 'open', hidden text,
    completed_at timestamptz, edited_at timestamptz);
    INSERT INTO auctions (id, material, grade, tier, price) VALUES
        (1, 'Copper', '99.9', 2, 12.50), (2, 'Zinc', NULL, NULL, 1000000.10), (3, NULL, NULL, 3, NULL);";

const MAPPING: &str = "[mapping.auctions]
table = \"auctions\"
data_source = \"create\"
on_page_trashed = \"keep\"
[mapping.auctions.fields]
title = { property = \"Title\", as = \"title\", to_notion = \"[row.material, row.grade]|join(' ')|default('Untitled')\" }
tier = { property = \"Tier\", as = \"rich_text\", to_notion = \"'Tier ' ~ value if value is not none else none\", from_notion = \"value|replace('Tier ', '')|number\" }
price = { property = \"Price\", to_notion = \"[value|fixed(2), row.currency]|join(' ')\" }
status = { property = \"Status\", as = \"select\", values = { open = \"Open\", done = \"Done\" }, new_options = \"create\" }
hidden = { property = \"Hidden\", to_notion = \"value|number\" }
completed_at = { property = \"Status\", from_notion = \"edited_at if value == 'Done' else none\", once = true }
";

async fn world() -> World {
    let world = World::with_mappings(AUCTIONS, MAPPING).await;
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?} {:#?}", world.parked().await);
    world
}

async fn shown(world: &World, title: &str) -> Json {
    let source = world.source("Auctions").await;
    json!(world.page(&source, "Title", title).await.values)
}

async fn column(world: &World, id: i32, column: &str) -> Json {
    world.row(&format!("SELECT {column}::text AS it FROM auctions WHERE id = {id}")).await["it"].clone()
}

#[tokio::test]
async fn what_is_shown_is_made_of_several_columns_and_follows_each() {
    let world = world().await;
    let copper = shown(&world, "Copper 99.9").await;
    assert_eq!((&copper["Tier"], &copper["Price"]), (&json!("Tier 2"), &json!("12.50 EUR")));
    let zinc = shown(&world, "Zinc").await;
    assert_eq!((&zinc["Tier"], &zinc["Price"]), (&Json::Null, &json!("1000000.10 EUR")));
    assert_eq!(shown(&world, "Untitled").await["Tier"], "Tier 3");
    world.equal().await;
    world.nothing_left().await;
    // A column that is no field of its own, and one of which only the title is made.
    world
        .sql(
            "UPDATE auctions SET currency = 'USD' WHERE id = 1; UPDATE auctions SET grade = 'A' WHERE id = 2",
        )
        .await;
    let report = world.sync().await;
    assert_eq!(part(&report, "auctions").to_notion.updated, 2, "{report:#?}");
    assert_eq!(shown(&world, "Copper 99.9").await["Price"], "12.50 USD");
    assert_eq!(shown(&world, "Zinc A").await["Price"], "1000000.10 EUR");
    world.nothing_left().await;
}

#[tokio::test]
async fn an_edit_in_notion_goes_back_through_the_other_expression() {
    let world = world().await;
    let source = world.source("Auctions").await;
    let page = world.page(&source, "Title", "Copper 99.9").await;
    world.edit(&page, json!({ "Tier": "Tier 7", "Price": "free" })).await;
    world.sync().await;
    assert_eq!(
        (column(&world, 1, "tier").await, column(&world, 1, "price").await),
        (json!("7"), json!("12.50"))
    );
    assert_eq!(shown(&world, "Copper 99.9").await["Price"], "12.50 EUR", "what is shown only is put back");
    world.edit(&page, json!({ "Tier": "seven" })).await;
    let report = world.sync().await;
    assert!(report.needs_decision());
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(
        (parked[0].column.as_str(), parked[0].reason.code.as_str()),
        ("tier", "expression"),
        "{parked:?}"
    );
    assert_eq!(column(&world, 1, "tier").await, json!("7"));
    world.edit(&page, json!({ "Tier": "" })).await;
    world.sync().await;
    assert_eq!(column(&world, 1, "tier").await, Json::Null);
    assert!(world.parked().await.is_empty());
    world.nothing_left().await;
}

#[tokio::test]
async fn an_expression_that_fails_parks_its_record_and_no_other() {
    let world = world().await;
    world.sql("UPDATE auctions SET hidden = 'secret-4711', grade = 'B' WHERE id = 1; UPDATE auctions SET hidden = '7' WHERE id = 2").await;
    let report = world.sync().await;
    assert!(report.needs_decision());
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    let told = format!("{:?}", parked[0].reason);
    assert_eq!(parked[0].column, "hidden");
    assert!(told.contains("a text is no number") && !told.contains("secret"), "{told}");
    assert_eq!(shown(&world, "Zinc").await["Hidden"], json!(7));
    world.sql("UPDATE auctions SET hidden = NULL WHERE id = 1").await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(shown(&world, "Copper B").await["Hidden"], Json::Null);
}

#[tokio::test]
async fn a_time_is_filled_once_and_cleared_with_its_cause() {
    let world = world().await;
    let source = world.source("Auctions").await;
    assert_eq!(column(&world, 1, "completed_at").await, Json::Null);
    let page = world.page(&source, "Title", "Copper 99.9").await;
    world.edit(&page, json!({ "Status": "Done" })).await;
    world.sync().await;
    let first = column(&world, 1, "completed_at").await;
    assert!(first.is_string(), "{first}");
    world.minutes_pass(3).await;
    world.edit(&page, json!({ "Tier": "Tier 9" })).await;
    world.sync().await;
    assert_eq!(column(&world, 1, "tier").await, json!("9"));
    assert_eq!(column(&world, 1, "completed_at").await, first, "the time of the first look stays");
    world.nothing_left().await;
    world.edit(&page, json!({ "Status": "Open" })).await;
    world.sync().await;
    assert_eq!(column(&world, 1, "completed_at").await, Json::Null);
    world.equal().await;
}

#[tokio::test]
async fn another_expression_reaches_every_page_and_a_lost_column_pauses_the_field() {
    let world = world().await;
    world.reconfigure(|file| file.replace("|default('Untitled')", "|default('No name')"));
    world
        .reconfigure(|file| file.replace("[value|fixed(2), row.currency]", "[row.currency, value|fixed(2)]"));
    let report = world.sync().await;
    assert_eq!(part(&report, "auctions").to_notion.updated, 3, "{report:#?}");
    assert_eq!(shown(&world, "Zinc").await["Price"], "EUR 1000000.10");
    assert_eq!(shown(&world, "No name").await["Tier"], "Tier 3");
    world
        .sql("ALTER TABLE auctions DROP COLUMN currency; UPDATE auctions SET grade = 'C' WHERE id = 1")
        .await;
    world.sync().await;
    let copper = shown(&world, "Copper C").await;
    assert_eq!(copper["Price"], "EUR 12.50", "what can no longer be made stays as it is");
}

#[tokio::test]
async fn an_edit_does_not_go_over_what_would_not_come_back_and_undo_brings_the_rest_back() {
    let world = world().await;
    let source = world.source("Auctions").await;
    // Nothing shows that there is more behind it.
    world.sql("ALTER TABLE auctions ALTER COLUMN tier TYPE numeric").await;
    world.reconfigure(|file| file.replace("'Tier ' ~ value if", "'Tier ' ~ value|floor if"));
    world.sync().await;
    world.sql("UPDATE auctions SET tier = 2.4 WHERE id = 1").await;
    world.sync().await;
    let page = world.page(&source, "Title", "Copper 99.9").await;
    assert_eq!(page.values["Tier"], "Tier 2");
    world.edit(&page, json!({ "Tier": "Tier 5" })).await;
    let report = world.try_sync().await.unwrap();
    assert!(report.needs_decision(), "{report:#?}");
    assert_eq!(column(&world, 1, "tier").await, json!("2.4"));
    assert_eq!(world.parked().await[0].reason.code, "lossy_pair");
    // Where it would come back, it is written, and undo brings it back.
    let other = world.page(&source, "Title", "Untitled").await;
    world.edit(&other, json!({ "Tier": "Tier 8" })).await;
    let report = world.try_sync().await.unwrap();
    assert_eq!(column(&world, 3, "tier").await, json!("8"));
    let mut engine = world.engine().await;
    Box::pin(engine.undo(report.run.unwrap(), None, None)).await.unwrap();
    engine.rest().await.unwrap();
    assert_eq!(column(&world, 3, "tier").await, json!("3"));
}
