//! Rows and pages that were there before pagerow find each other at their first sync, or are asked about: none is doubled.

use serde_json::{Value as Json, json};

use crate::support::{
    program::{self, Answer, with_config},
    world::World,
};

const TABLE: &str = "
CREATE TABLE suppliers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, city text);
INSERT INTO suppliers (name, city) VALUES
    ('Aurora Chemicals', 'Bergen'), ('Boreal Timber', 'Oulu'), ('Cobalt Works', 'Essen'), ('Delta Freight', 'Rotterdam'),
    ('Twin Metals', 'Leeds'), ('Twin Metals', 'York');
";

const MAPPING: &str = "
[mapping.suppliers]
table = \"suppliers\"
data_source = \"create\"
[mapping.suppliers.fields]
name = { property = \"Name\", as = \"title\" }
city = \"City\"
";

/// What people wrote into Notion, each under its name.
const PAGES: [(&str, &str); 6] = [
    ("Aurora Chemicals", "Bergen"),
    ("Boreal Timber", "Helsinki"),
    ("Kobalt Works", "Essen"),
    ("Twin Metals", "Bath"),
    ("Twin Metals", "Ely"),
    ("Umbrella Repairs", "Porto"),
];

/// Six rows and six pages that have never met, and the pages' ids in their order.
async fn strangers() -> (World, Vec<String>) {
    let world = World::with_mappings(TABLE, MAPPING).await;
    let source = world.source("Suppliers").await;
    let mut ids = Vec::new();
    for (name, city) in PAGES {
        ids.push(world.add(&source, json!({ "Name": name, "City": city })).await.id);
    }
    (world, ids)
}

async fn command(world: &World, arguments: &[&str]) -> Answer {
    program::run(with_config(arguments, &world.file())).await
}

async fn records(world: &World) -> (i64, usize) {
    let pages = world.pages(&world.source("Suppliers").await).await;
    (world.count("suppliers").await, pages.len())
}

async fn are_linked(world: &World, key: &str, page: &str) -> bool {
    world.count(&format!("pagerow.links WHERE row_key = '{key}' AND page_id = '{page}'")).await == 1
}

#[tokio::test]
async fn at_the_first_sync_what_may_be_one_record_is_asked_about_and_nothing_is_doubled() {
    let (world, pages) = strangers().await;
    let planned = command(&world, &["plan", "--json"]).await;
    assert_eq!(planned.code, 3, "{}", planned.stderr);
    let part = &planned.json()["mappings"][0];
    let is_asked = |one: &&Json| one["code"] == "asked";
    // Two likely pairs, and four of one name.
    assert_eq!(part["skipped"].as_array().unwrap().iter().filter(is_asked).count(), 2 + 4, "{part:#}");

    let first = command(&world, &["sync", "--json"]).await;
    assert_eq!(first.code, 3, "{}{}", first.stdout, first.stderr);
    let report = first.json()["mappings"][0].clone();
    assert_eq!(report["asked"], 2 + 4, "{report:#}");
    assert!(are_linked(&world, "1", &pages[0]).await, "what says the same is the same");
    // One row had no page, and one page no row.
    assert_eq!(records(&world).await, (7, 7), "{report:#}");
    for arguments in [vec!["sync"], vec!["sync", "--full"]] {
        let again = command(&world, &arguments).await;
        assert_eq!(again.code, 3, "{}", again.stderr);
        assert!(again.stdout.contains("6 unanswered matches"), "{}", again.stdout);
        assert_eq!(records(&world).await, (7, 7), "{arguments:?}");
    }

    // What else comes to be meanwhile is synced as ever.
    world.sql("INSERT INTO suppliers (name) VALUES ('Ember Glass')").await;
    world.add(&world.source("Suppliers").await, json!({ "Name": "Fjord Salmon" })).await;
    assert_eq!(command(&world, &["sync"]).await.code, 3);
    assert_eq!(records(&world).await, (9, 9));

    // All that is likely is accepted at once, and the rest is answered.
    let accepted = command(&world, &["recover", "from-notion", "--accept", "medium", "--yes"]).await;
    assert_eq!(accepted.code, 3, "{}", accepted.stderr);
    assert!(are_linked(&world, "3", &pages[2]).await && !are_linked(&world, "2", &pages[1]).await);
    for arguments in [
        ["2", "--page", pages[1].as_str()].as_slice(),
        &["5", "--page", &pages[4]],
        &["6", "--new"],
        &["--page", &pages[3], "--new"],
    ] {
        let answer = command(&world, &[&["recover", "choose", "suppliers"], arguments].concat()).await;
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
    let last = command(&world, &["sync"]).await;
    assert_eq!(last.code, 3, "what differs is a conflict now: {}", last.stderr);
    assert!(are_linked(&world, "2", &pages[1]).await && are_linked(&world, "5", &pages[4]).await);
    let resolved = command(&world, &["resolve", "--all", "--keep", "notion", "--yes"]).await;
    assert_eq!(resolved.code, 0, "{}", resolved.stderr);
    world.sync().await;
    assert_eq!(world.equal().await, 10);
    assert_eq!(records(&world).await, (10, 10), "one twin of each side stayed alone");
    world.nothing_left().await;
}

#[tokio::test]
async fn questions_outlive_the_process_that_asked() {
    let (world, _) = strangers().await;
    world.set("PAGEROW__NOTION__DOUBT", "1s");
    // No page is made before it is killed, and what was asked is known by then.
    world.fault(json!({ "endpoint": "POST /v1/pages", "fate": "not_applied", "answer": "hang" })).await;
    let asked = async || world.count("pagerow.questions").await > 0;
    program::killed_when(with_config(&["sync"], &world.file()), asked).await;
    world.no_faults().await;
    assert_eq!(records(&world).await.1, 6);
    let again = command(&world, &["sync", "--json"]).await;
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert_eq!(again.json()["mappings"][0]["asked"], 6, "{}", again.stdout);
    assert_eq!(records(&world).await, (7, 7));
}
