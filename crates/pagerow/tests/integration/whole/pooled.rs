//! Everything works through a pooler in transaction mode.

use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::{
    pooler::TransactionPooler,
    world::{World, written},
};

#[tokio::test]
async fn a_sync_works_through_a_transaction_pooler() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let world = World::with(SHOP).await;
    world.reach_database_at(&pooler.url(&world.database.name));
    world.configure(MAPPINGS);
    world.make().await;
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
