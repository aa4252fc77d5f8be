//! A retrieval that is killed, cut off or given up: the next one goes on where it was, and nothing is read twice.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{command, done};
use crate::support::{
    program::{self, PATIENCE, with_config},
    world::World,
};

const TABLE: &str = "
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2), note text);
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
note = \"Note\"
";

/// So many pages that carry the keys of rows which are gone.
async fn lost(count: usize) -> World {
    let world = World::with_mappings(TABLE, MAPPING).await;
    let source = world.source("Items").await;
    let all: Vec<usize> = (1..=count).collect();
    // Such as people and programs make them: not all in one minute.
    for some in all.chunks(150) {
        let rows: Vec<Json> = some
            .iter()
            .map(|n| json!({"Name": format!("Item {n}"), "Price": n, "Note": format!("Note of {n}"), "Supabase ID": n.to_string()}))
            .collect();
        world.control("POST", &format!("data_sources/{source}/rows"), &json!({ "rows": rows })).await;
        world.minutes_pass(3).await;
    }
    world.minutes_pass(30).await;
    world.calls().await;
    world
}

pub(super) async fn queries(world: &World) -> u64 {
    let counters = world.control("GET", "counters", &Json::Null).await;
    let of = counters["endpoints"]["POST /v1/data_sources/{id}/query"].as_object().cloned();
    of.into_iter().flatten().map(|(_, count)| count.as_u64().unwrap()).sum()
}

/// Starts a recovery and kills it with signal 9 when the moment has come.
pub(super) async fn killed_when(world: &World, has_come: impl AsyncFnMut() -> bool) {
    let command = with_config(&["recover", "from-notion", "--yes", "--json"], &world.file());
    program::killed_when(command, has_come).await;
}

pub(super) async fn staged(world: &World) -> i64 {
    if world.row("SELECT to_regclass('pagerow.staged') IS NULL AS missing").await["missing"] == true {
        return 0;
    }
    world.count("pagerow.staged").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_three_times_every_row_comes_back_and_no_page_is_read_twice() {
    const PAGES: usize = 3_000;
    let world = lost(PAGES).await;
    // Answers take their time, so that there is a moment to be met.
    world.fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "answer": "slow", "fate": "applied", "delay_ms": 60})).await;
    let mut before = 0;
    for _ in 0..2 {
        killed_when(&world, async || staged(&world).await > before + 500).await;
        before = staged(&world).await;
        assert_eq!(world.count("items").await, 0);
    }
    assert!(before < PAGES as i64, "it was retrieved before it was killed");
    killed_when(&world, async || world.count("items").await > 0).await;
    let rows = world.count("items").await;
    assert!(rows > 0 && rows < PAGES as i64, "{rows}");
    world.no_faults().await;

    let last = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(last.code, 0, "{}{}", last.stdout, last.stderr);
    assert!(last.stderr.contains("going on with recovery 1"), "{}", last.stderr);
    assert_eq!(world.count("items").await, PAGES as i64);
    let wrong = "items WHERE name <> 'Item ' || id OR price <> id OR note <> 'Note of ' || id";
    assert_eq!(world.count(wrong).await, 0);
    // What was on its way when it was killed is asked for again; and each start asks once for what was edited.
    let calls = queries(&world).await;
    assert!(calls <= PAGES as u64 / 100 + 2 * 16 + 6, "{calls} queries");
    assert_eq!(staged(&world).await, 0, "nothing stays behind");
    assert_eq!(world.row("SELECT state FROM pagerow.operations").await["state"], "done");
    world.full_sync().await;
    world.nothing_left().await;
    assert_eq!(world.equal().await, PAGES as u64);
}

#[tokio::test]
async fn a_retrieval_that_was_cut_off_goes_on_and_sees_what_was_edited_meanwhile() {
    let world = lost(700).await;
    let source = world.source("Items").await;
    world.fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "skip": 3, "answer": "401"})).await;
    let cut = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_ne!(cut.code, 0);
    let kept = staged(&world).await;
    assert!((100..700).contains(&kept), "{kept}");
    world.no_faults().await;
    let page = world.page(&source, "Name", "Item 3").await;
    world.edit(&page, json!({"Note": "edited meanwhile"})).await;
    done(&world, &["recover", "from-notion", "--dry-run"]).await;
    let page = world.page(&source, "Name", "Item 4").await;
    world.edit(&page, json!({"Note": "edited later"})).await;
    done(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(world.count("items").await, 700);
    assert_eq!(world.count("items WHERE note LIKE 'edited%'").await, 2);
    world.full_sync().await;
    assert_eq!(world.equal().await, 700);
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_is_said_and_can_be_given_up() {
    let world = lost(250).await;
    done(&world, &["recover", "from-notion", "--dry-run"]).await;
    assert_eq!(staged(&world).await, 250);
    // Another mapping, by now.
    world.reconfigure(|text| text.replace("note = \"Note\"\n", ""));
    let other = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    let error: Json = serde_json::from_str(&other.stderr).unwrap();
    assert_eq!((other.code, &error["error"]["code"]), (3, &json!("other_operation")), "{error:#}");
    assert!(error["error"]["advice"].as_str().unwrap().contains("--cancel"), "{error:#}");
    let cancelled = done(&world, &["recover", "from-notion", "--cancel"]).await;
    assert!(cancelled.stdout.contains("250 retrieved pages are dropped"), "{}", cancelled.stdout);
    assert_eq!(staged(&world).await, 0);
    // Another pagerow.
    done(&world, &["recover", "from-notion", "--dry-run"]).await;
    world.sql("UPDATE pagerow.operations SET form = 99 WHERE state = 'open'").await;
    let other = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("another version"), "{}", other.stderr);
    assert_eq!(world.count("items").await, 0);
    done(&world, &["recover", "from-notion", "--cancel"]).await;
    let nothing = done(&world, &["recover", "from-notion", "--cancel"]).await;
    assert!(nothing.stdout.contains("no recovery is going on"), "{}", nothing.stdout);
    // Given up while it goes on.
    world.fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "answer": "slow", "fate": "applied", "delay_ms": 4_000})).await;
    let file = world.file();
    let going_on = tokio::spawn(async move {
        crate::support::program::run(with_config(&["recover", "from-notion", "--yes"], &file)).await
    });
    let deadline = Instant::now() + PATIENCE;
    while staged(&world).await == 0 {
        assert!(Instant::now() < deadline, "nothing is staged");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    done(&world, &["recover", "from-notion", "--cancel"]).await;
    let ended = going_on.await.unwrap();
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("was cancelled"), "{}", ended.stderr);
    assert_eq!((world.count("items").await, staged(&world).await), (0, 0));
    world.no_faults().await;
    done(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(world.count("items").await, 250);
}

/// Takes a minute, since the limit is the real one: run it with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement at Notion's real rate limit"]
async fn twelve_thousand_pages_come_back_in_little_more_than_the_limit_asks_for() {
    const PAGES: usize = 12_000;
    const ALLOWED: f64 = 180.0 / 60.0;
    let world = lost(PAGES).await;
    world.control("POST", "limits", &json!({"requests": 180, "window_ms": 60_000})).await;
    world.set("PAGEROW__NOTION__REQUESTS_PER_MINUTE", "180");
    let began = Instant::now();
    done(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(world.count("items").await, PAGES as i64);
    let ideal = PAGES.div_ceil(100) as u64;
    let calls = queries(&world).await;
    println!(
        "{PAGES} pages: {calls} queries (ideal {ideal}), {took:.1} s; at an even {ALLOWED} a second they take {:.1} s",
        calls as f64 / ALLOWED
    );
    assert!(calls <= ideal + 6, "{calls}");
    assert!(took <= 1.10 * ideal as f64 / ALLOWED + 5.0, "{took}");
}
