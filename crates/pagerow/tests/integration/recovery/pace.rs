//! How long a small recovery takes at Notion's real rate limit, and how much of that is the limit's.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use super::done;
use crate::support::world::World;

const RECORDS: u64 = 100;
/// Calls in a window of Notion's, and its length in seconds.
const WINDOW: (u64, f64) = (180, 60.0);

const TABLE: &str = "
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2));
INSERT INTO items (name, price) SELECT 'Item ' || n, n FROM generate_series(1, 100) n;
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    Rows,
    TrashedPages,
    PurgedPages,
    PurgedDatabase,
}

/// In which state of the limit a recovery begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    /// A whole window may be spent at once.
    Fresh,
    /// An average of three a second and short bursts, as the limit was understood before there were windows.
    Even,
    /// Somebody has just spent the window with the same token.
    Spent,
}

struct Measured {
    calls: u64,
    /// Calls beyond them that were refused because there had been too many.
    refused: u64,
    /// What so many calls take at least, in seconds.
    limit: f64,
    took: f64,
}

async fn lose(world: &World, lost: Lost) {
    match lost {
        Lost::Rows => world.sql("TRUNCATE items").await,
        Lost::TrashedPages | Lost::PurgedPages => {
            let what = if lost == Lost::TrashedPages { "trash" } else { "purge" };
            for page in world.pages(&world.source("Items").await).await {
                let path = format!("pages/{}/{what}", page["id"].as_str().unwrap());
                world.control("POST", &path, &json!({})).await;
            }
        }
        Lost::PurgedDatabase => {
            let (database, _) = world.place("Items").await;
            world.control("POST", &format!("databases/{database}/purge"), &json!({})).await;
        }
    }
}

/// Spends a whole window, as another program with our token would.
async fn spend(world: &World) {
    let http = reqwest::Client::new();
    for _ in 0..WINDOW.0 {
        let call = http
            .get(format!("{}/v1/users/me", world.notion.base_url()))
            .bearer_auth(world.notion.token())
            .header("Notion-Version", "2026-03-11");
        assert!(call.send().await.unwrap().status().is_success());
    }
}

async fn measure(lost: Lost, limit: Limit) -> Measured {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    assert_eq!(world.equal().await, RECORDS);
    world.minutes_pass(30).await;
    lose(&world, lost).await;
    world.set("PAGEROW__NOTION__REQUESTS_PER_MINUTE", "180");
    let (requests, window_ms) = if limit == Limit::Even { (30, 10_000) } else { (180, 60_000) };
    world.control("POST", "limits", &json!({"requests": requests, "window_ms": window_ms})).await;
    let opened = Instant::now();
    if limit == Limit::Spent {
        spend(&world).await;
    }
    let spent = opened.elapsed().as_secs_f64();
    world.calls().await;
    let direction = if lost == Lost::Rows { "from-notion" } else { "to-notion" };
    let began = Instant::now();
    done(&world, &["recover", direction, "--yes"]).await;
    let took = began.elapsed().as_secs_f64();
    let (calls, refused) = calls(&world).await;
    let windows = (calls.saturating_sub(1) / WINDOW.0) as f64 * WINDOW.1;
    let limit = match limit {
        Limit::Fresh => windows,
        Limit::Even => calls as f64 * WINDOW.1 / WINDOW.0 as f64,
        Limit::Spent => WINDOW.1 - spent + windows,
    };
    world.control("POST", "limits", &json!({"requests": Json::Null})).await;
    assert_eq!(world.equal().await, RECORDS);
    Measured { calls, refused, limit, took }
}

/// How many calls were carried out, and how many were refused because there had been too many.
async fn calls(world: &World) -> (u64, u64) {
    let counters = world.control("GET", "counters", &Json::Null).await;
    let endpoints = counters["endpoints"].as_object().unwrap().values();
    let statuses = endpoints.flat_map(|endpoint| endpoint.as_object().unwrap());
    statuses.fold((0, 0), |(done, refused), (status, count)| {
        let count = count.as_u64().unwrap();
        if status == "429" { (done, refused + count) } else { (done + count, refused) }
    })
}

/// Takes two minutes, since the limit is the real one: run it with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement at Notion's real rate limit"]
async fn a_hundred_records_come_back_in_little_more_than_the_limit_asks_for() {
    const LOST: [Lost; 4] = [Lost::Rows, Lost::PurgedDatabase, Lost::PurgedPages, Lost::TrashedPages];
    const LIMITS: [Limit; 3] = [Limit::Fresh, Limit::Even, Limit::Spent];
    // Most of the time is waiting, which they can do together.
    let cases: Vec<(Lost, Limit)> =
        LOST.into_iter().flat_map(|lost| LIMITS.map(|limit| (lost, limit))).collect();
    let measured = join_all(cases.iter().map(|(lost, limit)| measure(*lost, *limit))).await;
    println!("{:<16}{:<8}{:>6}{:>9}{:>15}{:>10}", "lost", "limit", "calls", "refused", "the limit's", "took");
    for ((lost, limit), Measured { calls, refused, limit: least, took }) in cases.iter().zip(&measured) {
        let (lost, limit) = (format!("{lost:?}"), format!("{limit:?}"));
        println!("{lost:<16}{limit:<8}{calls:>6}{refused:>9}{least:>13.1} s{took:>8.1} s");
    }
    // Twelve at a time on one machine take some seconds of their own.
    let own = Duration::from_secs(6).as_secs_f64();
    for ((lost, limit), Measured { limit: least, took, .. }) in cases.iter().zip(&measured) {
        let told = format!("{lost:?} {limit:?}: {took:.1} s, of which {least:.1} are the limit's");
        assert!(*took <= 1.10 * least + own, "{told}");
        // A page that is gone for good costs a look, too: what is only out of sight must not be made twice.
        if *lost != Lost::PurgedPages && *limit != Limit::Spent {
            assert!(*took < 40.0, "{told}");
        }
    }
}
