//! Everything works through a pooler in transaction mode.

use pagerow_core::guard::Rule;
use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::{
    pooler::TransactionPooler,
    program::{self, with_config},
    world::{World, written},
};

async fn world(pooler: &TransactionPooler) -> World {
    let world = World::with(SHOP).await;
    world.reach_database_at(&pooler.url(&world.database.name));
    world.configure(MAPPINGS);
    world.make().await;
    world
}

#[tokio::test]
async fn a_sync_works_through_a_transaction_pooler() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let world = world(&pooler).await;
    let first = world.sync().await;
    assert_eq!(written(&first), [35, 0, 0, 0, 0, 0], "{first:#?}");
    let second = world.sync().await;
    assert_eq!((second.run, written(&second)), (None, [0; 6]), "{second:#?}");

    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 1").await;
    world.edit(&page, json!({"Stock": 5})).await;
    world.add(&products, json!({"Name": "born in Notion", "Supplier": ["Supplier 1"]})).await;
    world.sql("UPDATE products SET price = 9 WHERE id = 1; DELETE FROM products WHERE id = 2").await;
    world.sync().await;
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn an_emptied_table_is_stopped_and_comes_back_through_it() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let world = world(&pooler).await;
    world.sync().await;
    let before = world.row("SELECT jsonb_agg(p ORDER BY id) AS rows FROM products p").await;
    world.sql("TRUNCATE products").await;
    let report = world.try_sync().await.unwrap();
    assert!(report.stopped.iter().any(|stop| stop.rule == Rule::EmptySide), "{report:#?}");
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    let recover = with_config(&["recover", "from-notion", "--yes"], &world.file());
    let recovered = program::run(recover).await;
    assert_eq!(recovered.code, 0, "{}{}", recovered.stdout, recovered.stderr);
    assert_eq!(world.row("SELECT jsonb_agg(p ORDER BY id) AS rows FROM products p").await, before);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}
