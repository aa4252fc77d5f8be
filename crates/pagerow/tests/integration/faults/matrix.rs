//! Every answer of Notion, in every fate that it can have, to every kind of write: each ends equal, once, with every edit
//! that was made meanwhile, and for no more calls than it may cost.

use serde_json::{Value as Json, json};

use super::{LATE, hits, world};
use crate::support::{
    postgres::eventually,
    world::{Page, World},
};

const TABLE: &str = "
CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text, body text);
INSERT INTO items VALUES (1, 'update', 'old', ''), (2, 'trash', 'old', ''), (3, 'restore', 'old', ''), (4, 'body', 'old', ''), (6, 'bystander', 'old', '');
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
body = { as = \"body\" }
";

/// What each of the edits becomes: rows 1 to 5 in this order.
const EDITS: &str = "
UPDATE items SET note = 'new' WHERE id = 1;
DELETE FROM items WHERE id = 2;
INSERT INTO items VALUES (3, 'restore', 'back', '');
UPDATE items SET body = 'Some words.' WHERE id = 4;
INSERT INTO items VALUES (5, 'create', 'new', 'A body.');
";

/// How one write may go wrong.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    answer: &'static str,
    fate: &'static str,
    /// Further settings of the emulator's fault.
    more: &'static str,
    /// Calls of each kind of write beyond one.
    costs: u64,
    /// The write is parked, and a person asks for another try.
    parks: bool,
}

const fn trouble(answer: &'static str, fate: &'static str, costs: u64) -> Trouble {
    Trouble { answer, fate, more: "{}", costs, parks: false }
}

const MATRIX: [Trouble; 37] = [
    // Certainly not done.
    Trouble { parks: true, ..trouble("400", "not_applied", 1) },
    trouble("401", "not_applied", 1),
    trouble("403", "not_applied", 1),
    trouble("403_html", "not_applied", 1),
    trouble("404", "not_applied", 1),
    trouble("409", "not_applied", 1),
    Trouble { parks: true, ..trouble("409_row_limit", "not_applied", 1) },
    trouble("429", "not_applied", 1),
    Trouble { more: r#"{"retry_after": 2}"#, ..trouble("429", "not_applied", 1) },
    Trouble { more: r#"{"retry_after": 2, "retry_date": true}"#, ..trouble("429", "not_applied", 1) },
    trouble("429_workspace", "not_applied", 1),
    trouble("429_blocked", "not_applied", 1),
    trouble("529", "not_applied", 1),
    // Only looking can tell.
    trouble("500", "not_applied", 1),
    trouble("500", "applied", 0),
    trouble("500", "late", 0),
    trouble("502", "not_applied", 1),
    trouble("502", "applied", 0),
    trouble("502", "late", 0),
    trouble("503", "not_applied", 1),
    trouble("503", "applied", 0),
    trouble("503", "late", 0),
    trouble("503_database", "not_applied", 1),
    trouble("503_database", "applied", 0),
    trouble("503_database", "late", 0),
    trouble("504", "not_applied", 1),
    trouble("504", "applied", 0),
    trouble("504", "late", 0),
    trouble("drop", "not_applied", 1),
    trouble("drop", "applied", 0),
    trouble("drop", "late", 0),
    trouble("hang", "not_applied", 1),
    trouble("hang", "applied", 0),
    trouble("hang", "late", 0),
    // Certainly done.
    trouble("503_saved", "applied", 0),
    trouble("truncated", "applied", 0),
    Trouble { more: r#"{"delay_ms": 300}"#, ..trouble("slow", "applied", 0) },
];

/// So many worlds are in trouble at once; each spends most of its time waiting.
const AT_ONCE: usize = 6;

/// `FAULTS_ONLY=503` chooses one answer.
#[test]
fn every_answer_with_every_fate_costs_what_it_may_and_loses_nothing() {
    let only = std::env::var("FAULTS_ONLY").ok();
    let chosen: Vec<&Trouble> =
        MATRIX.iter().filter(|trouble| only.as_ref().is_none_or(|only| trouble.answer == only)).collect();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        // A thread each: dropping a database waits for everybody who is just connecting.
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|first| {
                let share: Vec<&Trouble> = chosen.iter().skip(first).step_by(AT_ONCE).copied().collect();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let complaints = |trouble: &Trouble| {
                        let told = runtime.block_on(endure(trouble));
                        let name = format!("{} {} {}", trouble.answer, trouble.fate, trouble.more);
                        told.into_iter().map(|told| format!("{name}: {told}")).collect::<Vec<_>>()
                    };
                    share.into_iter().flat_map(complaints).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One kind of trouble with all five kinds of write. Answers what was not as it has to be.
async fn endure(trouble: &Trouble) -> Vec<String> {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    let source = world.source("Items").await;
    let mut pages = Vec::new();
    for key in ["1", "2", "3", "4"] {
        pages.push(world.page(&source, "Supabase ID", key).await);
    }
    world.sql("DELETE FROM items WHERE id = 3").await;
    world.sync().await;
    world.calls().await;

    world.sql(EDITS).await;
    let page = "/v1/pages/{id}";
    let places = [
        json!({ "endpoint": "POST /v1/pages" }),
        json!({ "endpoint": format!("PATCH {page}"), "path_contains": pages[0].id }),
        json!({ "endpoint": format!("PATCH {page}"), "path_contains": pages[1].id }),
        json!({ "endpoint": format!("PATCH {page}"), "path_contains": pages[2].id }),
        json!({ "endpoint": format!("PATCH {page}/markdown"), "path_contains": pages[3].id }),
    ];
    for place in &places {
        let mut rule = json!({ "answer": trouble.answer, "fate": trouble.fate, "times": 1, "retry_after": 1, "delay_ms": LATE });
        let more: Json = serde_json::from_str(trouble.more).unwrap();
        for (name, value) in place.as_object().unwrap().iter().chain(more.as_object().unwrap()) {
            rule[name.as_str()] = value.clone();
        }
        world.fault(rule).await;
    }
    let ends = come_to_rest(&world, trouble, &pages[0]).await;

    let mut wrong = Vec::new();
    if !ends.is_quiet {
        wrong.push(format!("it did not become quiet; {:?}", ends.errors));
    }
    if hits(&world).await != places.len() as u64 {
        wrong.push(format!(
            "not every write met the fault: {}",
            world.control("GET", "faults", &Json::Null).await
        ));
    }
    let verdict = world.verify().await;
    if !verdict.equal {
        wrong.push(format!("not equal: {:?}", verdict.mappings));
    }
    let live = world.pages(&source).await;
    if (live.len(), world.trashed(&source).await.len()) != (5, 1) {
        wrong.push(format!("{} live pages", live.len()));
    }
    let row = world.row("SELECT name, note FROM items WHERE id = 1").await;
    if row != json!({ "name": "Renamed on the page", "note": "newest" }) {
        wrong.push(format!("an edit made meanwhile is lost: {row}"));
    }
    for (what, from) in [
        ("open steps", "pagerow.steps WHERE status IN ('intended', 'unknown')"),
        ("open conflicts", "pagerow.conflicts WHERE closed_at IS NULL"),
        ("parked records", "pagerow.parked"),
    ] {
        let count = world.count(from).await;
        if count != 0 {
            wrong.push(format!("{count} {what}"));
        }
    }
    // Beside three writes there are the edit that was made meanwhile, and the one that the restored page needs.
    let allowed = [
        ("POST /v1/pages", 1 + trouble.costs),
        ("PATCH /v1/pages/{id}", 3 * (1 + trouble.costs) + 2),
        ("PATCH /v1/pages/{id}/markdown", 1 + trouble.costs),
    ];
    let calls = world.calls().await;
    for (endpoint, most) in allowed {
        let made = calls.get(endpoint).copied().unwrap_or(0);
        if made > most || made < 1 {
            wrong.push(format!("{endpoint} was called {made} times; {most} may be"));
        }
    }
    world.nothing_left().await;
    wrong
}

struct Ends {
    is_quiet: bool,
    errors: Vec<String>,
}

/// Syncs until nothing is left, with edits on both sides as soon as the trouble has begun.
async fn come_to_rest(world: &World, trouble: &Trouble, page: &Page) -> Ends {
    let mut errors = Vec::new();
    let (first, ()) = tokio::join!(world.try_sync(), async {
        eventually("the trouble begins", std::time::Duration::from_secs(60), async || hits(world).await > 0)
            .await;
        world.sql("UPDATE items SET note = 'newest' WHERE id = 1").await;
        world.edit(page, json!({ "Name": "Renamed on the page" })).await;
    });
    errors.extend(first.err().map(|error| error.to_string()));
    for _ in 0..12 {
        if trouble.parks {
            world.sql("UPDATE pagerow.parked SET next_try = now()").await;
        }
        match world.try_sync().await {
            Ok(report) if report.quiet && report.run.is_none() && !report.needs_decision() => {
                return Ends { is_quiet: true, errors };
            }
            Ok(report) => errors.push(format!("quiet {}, run {:?}", report.quiet, report.run)),
            Err(error) => errors.push(error.to_string()),
        }
    }
    Ends { is_quiet: false, errors }
}
