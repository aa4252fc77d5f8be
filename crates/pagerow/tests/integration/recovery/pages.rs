//! Pages that are lost come back: out of the trash where they are in it, else made again, with their relations.

use std::collections::BTreeMap;

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
    assert_eq!(writes(&world.calls().await), RECORDS);
    assert_eq!(all_pages(&world).await.len(), pages.len());
    same(&before, &shown(&world).await);
    world.sync().await;
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
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
