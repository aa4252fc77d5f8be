//! One sync at a time: a second one waits or is refused, a stop ends between two steps, and no dead one stands in the way.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{MAPPING, Sync, at_rest, rows, slow_creates, sync};
use crate::support::world::World;

const ROWS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_between_two_steps_and_the_next_sync_goes_on() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    slow_creates(&world).await;
    let mut running = Sync::start(&world);
    assert!(running.reaches(&world, 100).await);
    running.signal(Signal::TERM);
    let ended = running.end().await;
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("stopped on request"), "{}", ended.stderr);

    let run = world.row("SELECT state, finished_at IS NOT NULL AS ended FROM pagerow.runs").await;
    assert_eq!(run, json!({"state": "stopped", "ended": true}));
    assert_eq!(
        world.count("pagerow.steps WHERE status IN ('intended', 'unknown')").await,
        0,
        "all is answered"
    );
    let made = world.count("pagerow.links").await;
    assert!((50..ROWS as i64).contains(&made), "{made}");
    assert_eq!(world.pages(&world.source("Items").await).await.len() as i64, made);
    assert_eq!(world.count("pagerow.leases WHERE expires_at > now()").await, 0, "the lease is given back");

    world.no_faults().await;
    let report = sync(&world).await;
    assert_eq!(report["mappings"][0]["to_notion"]["created"], ROWS as i64 - made);
    at_rest(&world, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_look_at_once() {
    let world = World::with_mappings(&rows(10), MAPPING).await;
    world
        .fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "answer": "slow", "delay_ms": 60_000}))
        .await;
    let mut running = Sync::start(&world);
    // Two calls learn the schema; the slow one is counted when it is answered.
    assert!(running.reaches(&world, 1).await);
    let client = world.client().await;
    crate::support::postgres::eventually("it holds the lease", Duration::from_secs(30), async || {
        client.query_one("SELECT to_regclass('pagerow.leases') IS NOT NULL", &[]).await.unwrap().get(0)
            && client.query_one("SELECT count(*) FROM pagerow.leases", &[]).await.unwrap().get::<_, i64>(0)
                == 1
    })
    .await;
    let began = Instant::now();
    running.signal(Signal::INT);
    let ended = running.end().await;
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("stopped on request"), "{}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_syncs_at_once_make_nothing_twice() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    slow_creates(&world).await;
    let (first, second, third) =
        tokio::join!(Sync::start(&world).end(), Sync::start(&world).end(), Sync::start(&world).end());
    for answer in [&first, &second, &third] {
        let is_refused =
            answer.code == 1 && answer.stderr.contains("another pagerow works on this connection");
        assert!(answer.code == 0 || is_refused, "{}{}", answer.stdout, answer.stderr);
    }
    assert!([&first, &second, &third].iter().any(|answer| answer.code == 0));
    world.no_faults().await;
    at_rest(&world, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sync_does_not_stand_in_the_way_and_its_run_says_what_happened() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    slow_creates(&world).await;
    assert!(Sync::start(&world).kill_after(&world, 100).await);
    world.no_faults().await;
    let began = Instant::now();
    sync(&world).await;
    assert!(began.elapsed() < Duration::from_secs(30), "it waited for the dead: {:?}", began.elapsed());
    let run = world.row("SELECT state, error FROM pagerow.runs ORDER BY id LIMIT 1").await;
    assert_eq!(run["state"], "stopped");
    assert!(
        run["error"].as_str().unwrap().starts_with("the program ended before the run did (process "),
        "{run}"
    );
    at_rest(&world, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_from_elsewhere_is_waited_for_unless_it_is_renewed() {
    let world = World::with_mappings(&rows(20), MAPPING).await;
    sync(&world).await;
    let claim = "UPDATE pagerow.leases SET holder = 'process 7 on elsewhere since 1 x', expires_at = clock_timestamp() + interval";
    // Whoever it was, it renews no more.
    world.sql(&format!("{claim} '2 seconds'; UPDATE items SET note = 'later' WHERE id = 1")).await;
    let report = sync(&world).await;
    assert_eq!(report["mappings"][0]["to_notion"]["updated"], 1, "{report:#}");
    // This one lives.
    world.sql(&format!("{claim} '40 seconds'")).await;
    let waiting = Sync::start(&world);
    let client = world.client().await;
    let renewing = async {
        loop {
            let renew = "UPDATE pagerow.leases SET expires_at = clock_timestamp() + interval '40 seconds'";
            client.batch_execute(renew).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let refused = tokio::select! {
        answer = waiting.end() => answer,
        () = renewing => return,
    };
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("another pagerow works on this connection"), "{}", refused.stderr);
}
