//! Pages that are lost come back: out of the trash where they are in it, else made again, with their relations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{RECORDS, command, company, done, everything};
use crate::support::world::{World, written};

const SOURCES: [&str; 4] = ["Places", "Departments", "People", "Shelves"];

async fn all_pages(world: &World) -> Vec<String> {
    let mut ids = Vec::new();
    for source in SOURCES {
        let pages = world.pages(&world.source(source).await).await;
        ids.extend(pages.iter().map(|page| page["id"].as_str().unwrap().to_owned()));
    }
    ids
}

async fn trash_all(world: &World) {
    for page in all_pages(world).await {
        world.control("POST", &format!("pages/{page}/trash"), &json!({})).await;
    }
}

/// What people see of all pages, by key.
async fn shown(world: &World) -> BTreeMap<String, Json> {
    let mut shown = BTreeMap::new();
    for source in SOURCES {
        for page in world.pages(&world.source(source).await).await {
            let mut values = page["values"].clone();
            for name in ["Place", "Lead", "Department", "Boss"] {
                // Another page of the same name may stand in a relation.
                for related in values.get_mut(name).and_then(Json::as_array_mut).into_iter().flatten() {
                    related["id"] = Json::Null;
                }
            }
            shown.insert(format!("{source} {}", values["Supabase ID"]), values);
        }
    }
    shown
}

/// Asserts that people see what they saw.
fn same(before: &BTreeMap<String, Json>, after: &BTreeMap<String, Json>) {
    let keys: Vec<_> = before.keys().collect();
    assert_eq!(keys, after.keys().collect::<Vec<_>>());
    for (key, values) in before {
        assert_eq!(values, &after[key], "{key}");
    }
}

/// Pages that were asked for by themselves.
fn looks(calls: &BTreeMap<String, u64>) -> u64 {
    calls.get("GET /v1/pages/{id}").copied().unwrap_or_default()
}

fn writes(calls: &BTreeMap<String, u64>) -> u64 {
    let is_write = |name: &str| name.starts_with("PATCH") || name == "POST /v1/pages";
    calls.iter().filter(|(name, _)| is_write(name)).map(|(_, count)| count).sum()
}

#[tokio::test]
async fn pages_in_the_trash_come_out_of_it_at_one_call_each() {
    let world = company().await;
    let (before, pages) = (shown(&world).await, all_pages(&world).await);
    trash_all(&world).await;
    let stopped = command(&world, &["sync", "--full"]).await;
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("pagerow recover to-notion"), "{}", stopped.stderr);
    world.calls().await;
    let answer = done(&world, &["recover", "to-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    let calls = world.calls().await;
    assert_eq!(writes(&calls), RECORDS);
    // Of many that are missing about ten tell where the others are.
    assert_eq!(
        answer["presumed"],
        json!([{"mapping": "shelves", "pages": 10}, {"mapping": "people", "pages": 30}])
    );
    assert_eq!(looks(&calls), 7 + 5 + 10 + 11, "{calls:?}");
    assert_eq!(all_pages(&world).await.len(), pages.len());
    same(&before, &shown(&world).await);
    world.sync().await;
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_page_that_is_not_in_the_trash_as_others_are_is_not_passed_for_recovered() {
    let sql = "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL);
               INSERT INTO items SELECT n, 'Item ' || n FROM generate_series(1, 40) n;";
    let mapping = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
";
    let world = World::with_mappings(sql, mapping).await;
    world.sync().await;
    let source = world.source("Items").await;
    for page in world.pages(&source).await {
        let path = format!("pages/{}", page["id"].as_str().unwrap());
        // Of the two that are elsewhere neither is looked at: every fourth is, by the text of its key.
        match page["values"]["Supabase ID"].as_str() {
            Some("10") => world.control("POST", &format!("{path}/purge"), &json!({})).await,
            Some("11") => world.control("PATCH", &path, &json!({ "is_archived": true })).await,
            _ => world.control("POST", &format!("{path}/trash"), &json!({})).await,
        };
    }
    let first = command(&world, &["recover", "to-notion", "--yes"]).await;
    assert_eq!(first.code, 1, "{}{}", first.stdout, first.stderr);
    for told in [
        "items: 30 pages were not asked for one by one",
        "not everything is back; `pagerow recover to-notion` again goes on with what is left",
    ] {
        assert!(first.stderr.contains(told), "{told}: {}", first.stderr);
    }
    assert_eq!(world.pages(&source).await.len(), 38);
    // By itself each shows where it is: one is gone, and the one in the archive is made no second time.
    let second = command(&world, &["recover", "to-notion", "--yes", "--json"]).await;
    assert!([0, 3].contains(&second.code), "{}{}", second.stdout, second.stderr);
    assert_eq!(second.json()["report"]["mappings"][0]["to_notion"]["created"], 1, "{}", second.stdout);
    assert_eq!(world.pages(&source).await.len(), 39);
    let keys: BTreeSet<String> = (world.pages(&source).await.iter())
        .map(|page| page["values"]["Supabase ID"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 39, "none twice");
    assert!(!keys.contains("11"));
}

#[tokio::test]
async fn purged_pages_are_made_again_and_keep_their_links() {
    let world = company().await;
    let (before, rows) = (shown(&world).await, everything(&world).await);
    let links = "SELECT jsonb_object_agg(mapping || ' ' || row_key, id) AS links FROM pagerow.links";
    let linked = world.row(links).await;
    for page in all_pages(&world).await {
        world.control("POST", &format!("pages/{page}/purge"), &json!({})).await;
    }
    world.calls().await;
    let answer = done(&world, &["recover", "to-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    let calls = world.calls().await;
    // One for each page, and one more for each relation that closes a circle.
    assert!(writes(&calls) <= RECORDS + 13, "{calls:?}");
    same(&before, &shown(&world).await);
    assert_eq!(world.row(links).await, linked, "each record has the history that it had");
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(everything(&world).await, rows);
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
}

#[tokio::test]
async fn relations_to_purged_pages_are_mended_and_no_row_is_blanked() {
    let world = company().await;
    let (before, rows) = (shown(&world).await, everything(&world).await);
    let departments = world.source("Departments").await;
    for name in ["Department 1", "Department 4"] {
        let page = world.page(&departments, "Name", name).await;
        world.control("POST", &format!("pages/{}/purge", page.id), &json!({})).await;
    }
    let answer = done(&world, &["recover", "to-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    same(&before, &shown(&world).await);
    assert_eq!(everything(&world).await, rows);
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(world.equal().await, RECORDS);
}
