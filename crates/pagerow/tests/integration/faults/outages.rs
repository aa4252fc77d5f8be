//! Rights, shares and patience that end in the middle of a run: nothing is deleted for it, and it is said in words.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{at_rest, fails, pagerow, sync, world};
use crate::support::{postgres::eventually, world::World};

const ROWS: u64 = 60;

/// Deletions cross, so that one without proof would show.
const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
on_page_trashed = \"delete\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
";

/// Synced, and then half of the rows changed and some new.
async fn with_work() -> World {
    let table = format!(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text);
         INSERT INTO items SELECT n, 'Item ' || n, 'old' FROM generate_series(1, {ROWS}) n"
    );
    let world = world(&table, MAPPING).await;
    world.sync().await;
    world
        .sql("UPDATE items SET note = 'new' WHERE id <= 30; INSERT INTO items SELECT n, 'Item ' || n, 'new' FROM generate_series(101, 130) n")
        .await;
    for endpoint in ["POST /v1/pages", "PATCH /v1/pages/{id}"] {
        world.fault(json!({ "endpoint": endpoint, "answer": "slow", "delay_ms": 60 })).await;
    }
    world
}

/// Runs a sync and does something when some writes have been answered; what the sync says.
async fn interrupted(world: &World, mut interrupt: impl AsyncFnMut()) -> (i32, Json) {
    let calls = async || world.control("GET", "counters", &Json::Null).await["total"].as_u64().unwrap();
    let target = calls().await + 15;
    let (answer, ()) = tokio::join!(pagerow(world, &["sync", "--json"]), async {
        eventually("it works", Duration::from_secs(60), async || calls().await >= target).await;
        interrupt().await;
    });
    (answer.code, serde_json::from_str(&answer.stderr).unwrap_or_default())
}

/// Nothing went away on either side, and everything arrives once the cause is gone.
async fn recovers(world: &World) {
    world.no_faults().await;
    assert_eq!(world.count("items").await as u64, ROWS + 30, "rows");
    assert!(world.trashed(&world.source("Items").await).await.is_empty(), "a page was put in the trash");
    sync(world).await;
    at_rest(world, ROWS + 30).await;
}

async fn revoke(world: &World, revoked: bool) {
    let path = format!("tokens/{}", world.notion.token());
    world.control("PATCH", &path, &json!({ "revoked": revoked })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_revoked_in_mid_run_stops_it_and_deletes_nothing() {
    let world = with_work().await;
    let (code, error) = interrupted(&world, async || revoke(&world, true).await).await;
    assert!(matches!(code, 1 | 2), "{error:#}");
    assert!(error["error"]["message"].as_str().unwrap().contains("does not accept the token"), "{error:#}");
    let error = fails(&world, 2, "notion", "wrong_token").await;
    assert_eq!(error["key"], "notion.token");
    revoke(&world, false).await;
    recovers(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_lost_in_mid_run_stop_it_and_delete_nothing() {
    let world = with_work().await;
    let path = format!("tokens/{}", world.notion.token());
    let may = async |may: bool| {
        let capabilities = json!({ "capabilities": { "insert_content": may, "update_content": may } });
        world.control("PATCH", &path, &capabilities).await;
    };
    let (code, error) = interrupted(&world, async || may(false).await).await;
    assert!(matches!(code, 1 | 2), "{error:#}");
    assert!(error["error"]["message"].as_str().unwrap().contains("lacks the capability"), "{error:#}");
    may(true).await;
    recovers(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_no_longer_shared_is_no_deletion() {
    let world = with_work().await;
    let (database, source) = world.place("Items").await;
    let share = async |how: &str| {
        for id in [&database, &source] {
            world.control("POST", how, &json!({ "id": id })).await;
        }
    };
    let (code, error) = interrupted(&world, async || share("unshare").await).await;
    // Whether the run fails or the mapping is paused in its middle, is a matter of when it is noticed.
    assert!(matches!(code, 1..=3), "{error:#}");
    let again = pagerow(&world, &["sync", "--full", "--json"]).await;
    assert_eq!(again.code, 3, "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("not shared"), "{}", again.stdout);
    share("share").await;
    recovers(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_the_trash_is_no_deletion() {
    let world = with_work().await;
    let (database, _) = world.place("Items").await;
    let path = format!("databases/{database}");
    let (code, error) = interrupted(&world, async || {
        world.control("POST", &format!("{path}/trash"), &json!({})).await;
    })
    .await;
    // Whether the run fails or the mapping is paused in its middle, is a matter of when it is noticed.
    assert!(matches!(code, 1..=3), "{error:#}");
    let again = pagerow(&world, &["sync", "--full", "--json"]).await;
    assert_eq!(again.code, 3, "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("trash"), "{}", again.stdout);
    world.control("POST", &format!("{path}/restore"), &json!({})).await;
    recovers(&world).await;
}

/// A wait that is longer than anybody would sit through is said, not sat through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_very_long_retry_after_is_told_instead_of_waited_for() {
    for (endpoint, dated) in
        [("POST /v1/data_sources/{id}/query", false), ("POST /v1/data_sources/{id}/query", true)]
    {
        let world = with_work().await;
        world.fault(json!({ "answer": "429", "retry_after": 3_600, "retry_date": dated, "times": 40 })).await;
        // The first rule that fits is taken: the slow ones go, this one stays.
        let faults = world.control("GET", "faults", &Json::Null).await;
        for rule in faults["faults"].as_array().unwrap().iter().filter(|rule| rule["answer"] == "slow") {
            world.control("DELETE", &format!("faults/{}", rule["id"].as_str().unwrap()), &Json::Null).await;
        }
        let began = Instant::now();
        let error = fails(&world, 1, "notion", "rate_limited").await;
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("3600 s") || message.contains("3599 s"), "{endpoint}: {message}");
        recovers(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_data_source_stops_new_pages_and_nothing_else() {
    let world = with_work().await;
    world.no_faults().await;
    world.fault(json!({ "endpoint": "POST /v1/pages", "answer": "409_row_limit", "times": 40 })).await;
    world.sql("INSERT INTO items SELECT n, 'Item ' || n, 'new' FROM generate_series(201, 400) n").await;
    world.calls().await;
    let answer = pagerow(&world, &["sync", "--json"]).await;
    assert_eq!(answer.code, 3, "{}{}", answer.stdout, answer.stderr);
    let report = answer.json();
    assert_eq!(
        report["mappings"][0]["to_notion"],
        json!({ "created": 0, "updated": 30, "trashed": 0 }),
        "{report:#}"
    );
    assert_eq!(report["mappings"][0]["parked"], 230);
    // Those that were on their way when the first was refused, and no more.
    let creates = world.calls().await.get("POST /v1/pages").copied().unwrap_or(0);
    assert!((1..=32).contains(&creates), "{creates} calls");
    let shown = pagerow(&world, &["parked"]).await;
    assert!(shown.stdout.contains("is full"), "{}", shown.stdout);
    world.no_faults().await;
    world.sql("UPDATE pagerow.parked SET next_try = now()").await;
    sync(&world).await;
    at_rest(&world, ROWS + 230).await;
}
