//! A mapping without news costs one call a poll, own writes are no news, and no edit is missed.

use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

const QUERY: &str = "POST /v1/data_sources/{id}/query";

/// Ten polls by one engine, as the daemon makes them.
async fn ten_idle_polls(world: &World) {
    let mut engine = world.engine().await;
    let runs = world.count("pagerow.runs").await;
    world.calls().await;
    for poll in 0..10 {
        let report = engine.sync(&[], pagerow::engine::Depth::Changes, None, "test").await.unwrap();
        assert_eq!((report.run, written(&report), report.quiet), (None, [0; 6], true), "{report:#?}");
        assert_eq!(report.calls, 2, "poll {poll}: {report:#?}");
        let calls = world.calls().await;
        assert_eq!(calls.into_iter().collect::<Vec<_>>(), [(QUERY.to_owned(), 2)], "poll {poll}");
    }
    assert_eq!(world.count("pagerow.runs").await, runs, "nothing is written down");
    engine.rest().await.unwrap();
}

#[tokio::test]
async fn ten_idle_polls_cost_ten_calls_a_mapping_right_after_a_sync_and_later() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    let first = world.sync().await;
    assert_eq!(written(&first), [35, 0, 0, 0, 0, 0], "{first:#?}");
    ten_idle_polls(&world).await;
    world.minutes_pass(5).await;
    ten_idle_polls(&world).await;
    world.minutes_pass(60).await;
    ten_idle_polls(&world).await;
    world.equal().await;
}

#[tokio::test]
async fn own_writes_never_come_back_as_changes() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    for round in 1..=3 {
        world.sql(&format!("UPDATE products SET stock = stock + {round} WHERE id <= 10")).await;
        let page = world.page(&products, "Name", format!("Product {}", 10 + round)).await;
        world.edit(&page, json!({"Price": 1000 + round})).await;
        let report = world.sync().await;
        assert_eq!(written(&report), [0, 10, 0, 0, 1, 0], "{report:#?}");
        for _ in 0..2 {
            let echo = world.sync().await;
            assert_eq!((echo.run, written(&echo)), (None, [0; 6]), "{echo:#?}");
        }
        world.minutes_pass(1).await;
    }
    world.equal().await;
    world.nothing_left().await;
}

#[tokio::test]
async fn two_edits_in_one_notion_minute_both_arrive() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.minutes_pass(30).await;
    world.sync().await;
    // The minute does not pass.
    world.control("POST", "clock", &json!({"freeze": true})).await;
    let products = world.source("Products").await;
    for (round, city) in ["Rome", "Oslo", "Kyiv"].into_iter().enumerate() {
        let page = world.page(&products, "Name", "Product 1").await;
        world.edit(&page, json!({"Stock": 100 + round})).await;
        let suppliers = world.source("Suppliers").await;
        let supplier = world.page(&suppliers, "Name", format!("Supplier {}", round + 1)).await;
        world.edit(&supplier, json!({"City": city})).await;
        let report = world.sync().await;
        assert_eq!(written(&report), [0, 0, 0, 0, 2, 0], "{report:#?}");
        assert_eq!(world.row("SELECT stock FROM products WHERE id = 1").await["stock"], 100 + round);
        assert_eq!(world.count(&format!("suppliers WHERE city = '{city}'")).await, 1);
    }
    world.equal().await;
}

#[tokio::test]
async fn an_edit_that_the_index_shows_late_arrives() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    world.minutes_pass(30).await;
    world.control("POST", "lag", &json!({"min_ms": 20_000, "max_ms": 20_000})).await;
    let page = world.page(&products, "Name", "Product 1").await;
    world.edit(&page, json!({"Stock": 77})).await;
    let early = world.sync().await;
    assert_eq!(written(&early), [0; 6], "the index does not show it yet: {early:#?}");
    world.control("POST", "clock", &json!({"advance_ms": 21_000})).await;
    let late = world.sync().await;
    assert_eq!(part(&late, "products").to_postgres.updated, 1, "{late:#?}");
    world.control("POST", "lag", &json!({})).await;
    world.equal().await;
}

#[tokio::test]
async fn edits_of_one_record_while_it_is_being_written_are_not_lost() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 1").await;
    // Both change, each another field, and once more before the next look.
    for round in 0..5 {
        world.edit(&page, json!({"Stock": 500 + round})).await;
        world.sql(&format!("UPDATE products SET price = {round} WHERE id = 1")).await;
        world.sync().await;
    }
    let row = world.row("SELECT stock, price FROM products WHERE id = 1").await;
    assert_eq!((&row["stock"], &row["price"]), (&json!(504), &json!(4.0)));
    world.equal().await;
}

#[tokio::test]
async fn clocks_that_jump_by_days_hide_no_edit_and_make_none() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let two_days = 2 * 24 * 60;
    let mut stock = 500;
    for jump in [two_days, -two_days, -two_days, two_days] {
        world.minutes_pass(jump).await;
        let page = world.page(&products, "Name", "Product 8").await;
        for _ in 0..2 {
            stock += 1;
            world.edit(&page, serde_json::json!({"Stock": stock})).await;
            world.sql(&format!("UPDATE products SET price = {stock} WHERE id = 9")).await;
            let report = world.sync().await;
            assert_eq!(written(&report), [0, 1, 0, 0, 1, 0], "{jump}: {report:#?}");
            assert_eq!(world.row("SELECT stock FROM products WHERE id = 8").await["stock"], stock);
        }
        assert_eq!(written(&world.sync().await), [0; 6]);
    }
    assert_eq!(world.equal().await, 35);
}
