//! Northwind fills a workspace and stays equal: composite keys, a self reference, join tables, `real`, `bytea`.

use std::time::Instant;

use serde_json::json;

use crate::support::{
    postgres::northwind,
    world::{World, part, written},
};

#[tokio::test(flavor = "multi_thread")]
async fn northwind_fills_a_workspace_and_stays_equal() {
    let Some(sql) = northwind() else { return };
    let world = World::with(&sql).await;
    world.propose().await;
    world.make().await;

    let began = Instant::now();
    let first = world.sync().await;
    eprintln!("northwind: {:?}, {} calls, first sync {:?}", written(&first), first.calls, began.elapsed());
    for mapping in &first.mappings {
        eprintln!("{mapping:?}");
    }
    eprintln!("{:#?}", world.parked().await.iter().take(5).collect::<Vec<_>>());
    let _ = part(&first, "orders");
    let _ = json!({});
    eprintln!("{}", world.equal().await);
    world.nothing_left().await;
}
