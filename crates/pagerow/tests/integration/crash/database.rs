//! A database that goes away in the middle: connections that break, commits of which nobody knows, a restart.

use std::time::Instant;

use pagerow::devpg::{DevOptions, DevPostgres};
use tokio_postgres::Client;

use super::{Chance, MAPPING, PATIENCE, Sync, at_rest, calm, rows, seed, slow_creates, sync, trouble};
use crate::support::{postgres::plain_client, world::World};

const ROWS: usize = 400;
/// A run that is cut off has begun up to two batches of 256 before.
const MORE_ROWS: usize = 2_000;
const RUNS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_cost_a_run_and_nothing_else() {
    let world = World::with_mappings(&rows(MORE_ROWS), MAPPING).await;
    let seed = seed(13);
    trouble(&world, seed).await;
    slow_creates(&world).await;
    let client = world.client().await;
    let mut chance = Chance(seed);
    // Those in the middle of a transaction: an idle one would be replaced without a word.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
               AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'";
    for _ in 0..RUNS {
        let mut running = Sync::start(&world);
        assert!(running.reaches(&world, chance.up_to(20)).await, "it was done too early");
        let deadline = Instant::now() + PATIENCE;
        while client.query_one(cut, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert!(Instant::now() < deadline, "it never writes");
        }
        let ended = running.end().await;
        assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    }
    calm(&world).await;
    sync(&world).await;
    at_rest(&world, MORE_ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_is_found_as_it_was() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    let folder = tempfile::Builder::new().prefix("pagerow-restart").tempdir_in("/tmp").unwrap();
    let options = DevOptions { folder: Some(folder.path().join("data")), ..DevOptions::default() };
    let server = DevPostgres::start(options.clone()).await.unwrap();
    server.create_database("shop").await.unwrap();
    plain_client(&server.url("shop")).await.batch_execute(&rows(ROWS)).await.unwrap();
    world.reach_database_at(&server.url("shop"));

    trouble(&world, seed(17)).await;
    let mut running = Sync::start(&world);
    assert!(running.reaches(&world, 150).await);
    tokio::task::spawn_blocking(|| server.stop().unwrap()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, running.end()).await.unwrap();
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);

    let server = DevPostgres::start(options).await.unwrap();
    world.reach_database_at(&server.url("shop"));
    calm(&world).await;
    sync(&world).await;

    let client: Client = plain_client(&server.url("shop")).await;
    let count = async |from: &str| -> i64 {
        client.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await.unwrap().get(0)
    };
    assert_eq!(count("pagerow.links").await, ROWS as i64);
    assert_eq!(count("pagerow.steps WHERE status IN ('intended', 'unknown')").await, 0);
    assert_eq!(world.pages(&world.source("Items").await).await.len(), ROWS);
    assert_eq!(world.equal().await, ROWS as u64);
    world.nothing_left().await;
    tokio::task::spawn_blocking(|| server.stop().unwrap()).await.unwrap();
}
