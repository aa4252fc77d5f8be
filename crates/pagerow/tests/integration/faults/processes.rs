//! Real processes that are put to sleep beyond their lease, or asked to stop while Notion does not answer.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde_json::{Value as Json, json};
use tokio::process::{Child, Command};

use super::{at_rest, pagerow, sync, world};
use crate::support::{postgres::eventually, program::with_config, world::World};

const ROWS: u64 = 300;

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
";

async fn unsynced() -> World {
    let table = format!(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text);
         INSERT INTO items SELECT n, 'Item ' || n, 'old' FROM generate_series(1, {ROWS}) n"
    );
    world(&table, MAPPING).await
}

fn start(world: &World) -> Child {
    let mut command = Command::from(with_config(&["sync", "--json"], &world.file()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

async fn creates(world: &World) -> u64 {
    let counters = world.control("GET", "counters", &Json::Null).await;
    let statuses = counters["endpoints"]["POST /v1/pages"].as_object().cloned().unwrap_or_default();
    statuses.values().map(|count| count.as_u64().unwrap()).sum()
}

/// Takes a lease's term, since only the real one is a proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_slept_beyond_its_lease_sends_nothing_more() {
    let world = unsynced().await;
    world
        .fault(json!({ "endpoint": "POST /v1/pages", "fate": "applied", "answer": "slow", "delay_ms": 700 }))
        .await;
    let sleeper = start(&world);
    eventually("it makes pages", Duration::from_secs(60), async || creates(&world).await >= 40).await;
    // Its next calls have arrived by then and are not answered yet. What it had written to a socket that nobody had
    // taken up would arrive even now; no check of a client can prevent that.
    tokio::time::sleep(Duration::from_millis(300)).await;
    signal(&sleeper, Signal::STOP);
    world.no_faults().await;
    // What was on its way is answered into nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = creates(&world).await;
    assert!(before < ROWS, "it was done too early");

    // The other one waits for the lease to end, looks what became of the writes, and does the rest.
    sync(&world).await;
    let after = creates(&world).await;
    assert!(after <= ROWS + 5, "{after} calls for {ROWS} pages");
    at_rest(&world, ROWS).await;

    let calls = world.control("GET", "counters", &Json::Null).await["total"].clone();
    signal(&sleeper, Signal::CONT);
    let woken =
        tokio::time::timeout(Duration::from_secs(60), sleeper.wait_with_output()).await.unwrap().unwrap();
    let says = String::from_utf8_lossy(&woken.stderr).into_owned();
    assert_eq!(woken.status.code(), Some(1), "{says}");
    assert!(says.contains("lost its lease to another one"), "{says}");
    let now = world.control("GET", "counters", &Json::Null).await["total"].clone();
    assert_eq!(now, calls, "it called Notion after its lease had ended");
    at_rest(&world, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_heard_while_notion_does_not_answer() {
    let world = unsynced().await;
    world
        .fault(json!({ "endpoint": "POST /v1/pages", "fate": "applied", "answer": "hang", "skip": 20 }))
        .await;
    world.set("PAGEROW__NOTION__TIMEOUT", "5s");
    let running = start(&world);
    eventually("it hangs", Duration::from_secs(60), async || super::hits(&world).await > 0).await;
    let began = Instant::now();
    signal(&running, Signal::TERM);
    let ended =
        tokio::time::timeout(Duration::from_secs(60), running.wait_with_output()).await.unwrap().unwrap();
    // The calls on their way are waited for as long as an answer may take, and no further ones are made.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let says = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{says}");
    assert!(says.contains("stopped on request"), "{says}");
    assert_eq!(world.count("pagerow.leases WHERE expires_at > now()").await, 0, "the lease is given back");
    assert!(
        world.count("pagerow.steps WHERE status = 'unknown'").await > 0,
        "what was not answered is in doubt"
    );
    let state = world.row("SELECT state FROM pagerow.runs ORDER BY id DESC LIMIT 1").await;
    assert_eq!(state["state"], "stopped");
    world.no_faults().await;
    sync(&world).await;
    at_rest(&world, ROWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stop_ends_it_at_once_and_costs_nothing() {
    let world = unsynced().await;
    world
        .fault(json!({ "endpoint": "POST /v1/pages", "fate": "applied", "answer": "hang", "skip": 20 }))
        .await;
    world.set("PAGEROW__NOTION__TIMEOUT", "60s");
    let mut running = start(&world);
    eventually("it hangs", Duration::from_secs(60), async || super::hits(&world).await > 0).await;
    signal(&running, Signal::TERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(running.try_wait().unwrap().is_none(), "it waits for its calls");
    signal(&running, Signal::TERM);
    let ended = tokio::time::timeout(Duration::from_secs(10), running.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(1));
    world.no_faults().await;
    let answer = pagerow(&world, &["sync", "--json"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    at_rest(&world, ROWS).await;
}
