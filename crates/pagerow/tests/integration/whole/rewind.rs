//! A record, a mapping or everything goes back to how it was at a moment, on both sides, and is quiet there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagerow::engine::{Moment, Report, RewindPlan};
use serde_json::{Value as Json, json};

use crate::support::world::World;

const SHELVES: &str = "
CREATE TABLE shelves (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, place text);
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, price numeric(12, 4), note text, at timestamptz, tags text[],
    shelf_id bigint REFERENCES shelves ON DELETE SET NULL);
INSERT INTO shelves (name, place) SELECT 'Shelf ' || n, 'Hall ' || n % 3 FROM generate_series(1, 12) n;
INSERT INTO items (name, price, note, at, tags, shelf_id)
    SELECT 'Item ' || n, n + 0.1234, 'note ' || n, '2026-03-01 12:34:56.789+00'::timestamptz + n * interval '1 hour',
        ARRAY['a', 'b ' || n % 3], 1 + n % 12
    FROM generate_series(1, 120) n;
";

const MAPPINGS: &str = "
[mapping.shelves]
table = \"shelves\"
data_source = \"create\"
on_page_trashed = \"delete\"
on_conflict = \"last_write_wins\"
max_deletes = \"100%\"
[mapping.shelves.fields]
name = { property = \"Name\", as = \"title\" }
place = \"Place\"
[mapping.items]
table = \"items\"
data_source = \"create\"
on_page_trashed = \"delete\"
on_conflict = \"last_write_wins\"
max_deletes = \"100%\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
note = \"Note\"
at = \"At\"
tags = { property = \"Tags\", as = \"multi_select\", new_options = \"create\" }
shelf_id = { property = \"Shelf\", relation = \"shelves\" }
";

/// Rows by table and key, and the values of live pages by id.
type Both = (BTreeMap<(String, i64), String>, BTreeMap<String, Json>);

async fn both(world: &World) -> Both {
    let (mut rows, mut pages) = (BTreeMap::new(), BTreeMap::new());
    let client = world.client().await;
    for (table, title) in [("shelves", "Shelves"), ("items", "Items")] {
        let sql = format!("SELECT id, row_to_json({table}.*)::text FROM {table}");
        for row in client.query(&sql, &[]).await.unwrap() {
            rows.insert((table.to_owned(), row.get(0)), row.get(1));
        }
        let source = world.source(title).await;
        for page in world.pages(&source).await {
            let mut values = page["values"].clone();
            // Tags have no order.
            if let Some(tags) = values["Tags"].as_array_mut() {
                tags.sort_by_key(ToString::to_string);
            }
            pages.insert(page["id"].as_str().unwrap().to_owned(), values);
        }
    }
    (rows, pages)
}

/// What is not the same, to be read by a person.
fn differences(one: &Both, other: &Both) -> Vec<String> {
    fn of<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
        one: &BTreeMap<K, V>,
        other: &BTreeMap<K, V>,
    ) -> Vec<String> {
        let names: std::collections::BTreeSet<&K> = one.keys().chain(other.keys()).collect();
        let differ = names.into_iter().filter(|name| one.get(name) != other.get(name));
        differ.map(|name| format!("{name:?}: {:?}, not {:?}", one.get(name), other.get(name))).collect()
    }
    [of(&one.0, &other.0), of(&one.1, &other.1)].concat()
}

async fn now(world: &World) -> Timestamp {
    world.client().await.query_one("SELECT clock_timestamp()", &[]).await.unwrap().get(0)
}

async fn shown(world: &World, moment: &Moment) -> RewindPlan {
    let mut engine = Box::pin(world.engine()).await;
    Box::pin(engine.plan_rewind(moment)).await.unwrap()
}

/// Goes back, past the guard where it would stop it.
async fn back(world: &World, moment: &Moment) -> (RewindPlan, Report) {
    let mut engine = Box::pin(world.engine()).await;
    let plan = Box::pin(engine.plan_rewind(moment)).await.unwrap();
    let hash = plan.plan.hash();
    let report = Box::pin(engine.rewind(moment, hash, Some(hash))).await.unwrap();
    engine.rest().await.unwrap();
    assert!(report.quiet, "{report:#?}");
    (plan, report)
}

fn moment(at: Timestamp, mapping: &str, key: Option<i64>) -> Moment {
    let mappings = if mapping.is_empty() { Vec::new() } else { vec![mapping.to_owned()] };
    Moment { at, mappings, key: key.map(|key| key.to_string().into()) }
}

/// Ids of pages by their titles.
async fn page_ids(world: &World, title: &str) -> BTreeMap<String, String> {
    let source = world.source(title).await;
    let pages = world.pages(&source).await;
    let name = |page: &Json| page["values"]["Name"].as_str().unwrap().to_owned();
    pages.iter().map(|page| (name(page), page["id"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn after_200_mixed_edits_everything_is_as_it_was_at_the_moment() {
    let world = Box::pin(World::with_mappings(SHELVES, MAPPINGS)).await;
    Box::pin(world.sync()).await;
    // Some history before the moment, so that it is not the beginning.
    world.sql("UPDATE items SET note = 'once more', at = at + interval '1 minute' WHERE id % 7 = 0").await;
    Box::pin(world.sync()).await;
    let (items, shelves) = (page_ids(&world, "Items").await, page_ids(&world, "Shelves").await);
    let (then, at) = (both(&world).await, now(&world).await);

    let patch = async |page: &String, properties: Json| {
        world.control("PATCH", &format!("pages/{page}"), &json!({ "properties": properties })).await;
    };
    // Five rounds of forty edits, each synced: rows and pages edited twice over, made, deleted, moved to other shelves.
    for round in 0..5_i64 {
        world
            .sql(&format!(
                "UPDATE items SET price = price * 2, tags = tags || 'r{round}'::text
                     WHERE id BETWEEN {0} AND {0} + 11;
                 UPDATE items SET shelf_id = 1 + (id + {round}) % 12, at = at + interval '90 minutes'
                     WHERE id BETWEEN 40 AND 44;
                 UPDATE shelves SET place = 'Attic {round}' WHERE id = 3;
                 INSERT INTO items (name, note, shelf_id) SELECT 'New {round} ' || n, 'made', n FROM generate_series(1, 3) n;
                 DELETE FROM items WHERE id = 100 + {round}",
                1 + round * 5,
            ))
            .await;
        for n in 0..14 {
            let title = format!("Item {}", 60 + round * 2 + n);
            patch(
                &items[&title],
                json!({ "Note": format!("by hand {round} {n}"), "At": "2026-06-01T08:30:00.000+00:00" }),
            )
            .await;
        }
        patch(&shelves["Shelf 5"], json!({ "Place": format!("Cellar {round}") })).await;
        let source = world.source("Items").await;
        world.add(&source, json!({ "Name": format!("Page {round}"), "Price": round })).await;
        let gone = format!("Item {}", 110 + round);
        world.control("POST", &format!("pages/{}/trash", items[&gone]), &json!({})).await;
        world.minutes_pass(1).await;
        Box::pin(world.full_sync()).await;
    }
    let moved = both(&world).await;
    assert_ne!(then, moved);

    // One record, which was edited on both sides; nothing else moves.
    let (plan, _) = Box::pin(back(&world, &moment(at, "items", Some(41)))).await;
    assert!(plan.left.is_empty() && plan.unreached.is_empty(), "{:#?}", plan.left);
    assert_eq!(plan.plan.steps().count(), 2, "{:#?}", plan.plan);
    let one = both(&world).await;
    let name = ("items".to_owned(), 41);
    assert_eq!(one.0[&name], then.0[&name]);
    assert_eq!(one.1[&items["Item 41"]], then.1[&items["Item 41"]]);
    let others = |both: &Both| {
        let mut both = both.clone();
        both.0.remove(&name);
        both.1.remove(&items["Item 41"]);
        both
    };
    assert_eq!(differences(&others(&one), &others(&moved)), [""; 0]);
    Box::pin(world.nothing_left()).await;

    // One mapping.
    Box::pin(back(&world, &moment(at, "shelves", None))).await;
    let shelf = ("shelves".to_owned(), 3);
    assert_eq!(both(&world).await.0[&shelf], then.0[&shelf]);
    Box::pin(world.nothing_left()).await;

    // Everything: what was made goes, what was deleted comes back under its own key and on its own page.
    let before_it_all = both(&world).await;
    let (plan, report) = Box::pin(back(&world, &moment(at, "", None))).await;
    assert!(plan.left.is_empty(), "{:#?}", plan.left);
    let back_then = both(&world).await;
    assert_eq!(differences(&back_then, &then), [""; 0]);
    Box::pin(world.nothing_left()).await;
    assert!(Box::pin(world.verify()).await.equal);
    let again = Box::pin(shown(&world, &moment(at, "", None))).await;
    assert!(again.plan.is_empty() && again.left.is_empty(), "{:#?}", again.left);

    // It is a run like any other: undone, all is as it was before.
    let mut engine = Box::pin(world.engine()).await;
    let undo = Box::pin(engine.plan_undo(report.run.unwrap())).await.unwrap();
    let hash = undo.plan.hash();
    let undone = Box::pin(engine.undo(report.run.unwrap(), Some(hash), Some(hash))).await.unwrap();
    engine.rest().await.unwrap();
    assert!(undone.quiet, "{undone:#?}");
    assert!(undo.left.is_empty(), "{:#?}", undo.left);
    let redone = both(&world).await;
    assert_eq!(differences(&redone, &before_it_all), [""; 0]);
    Box::pin(world.nothing_left()).await;
}

#[tokio::test]
async fn what_nobody_has_synced_yet_and_what_the_history_does_not_reach_stays() {
    let world = Box::pin(World::with_mappings(SHELVES, MAPPINGS)).await;
    let before_all = now(&world).await;
    Box::pin(world.sync()).await;
    let at = now(&world).await;
    world.sql("UPDATE items SET note = 'synced', price = 1 WHERE id = 1").await;
    Box::pin(world.sync()).await;
    world.sql("UPDATE items SET note = 'not yet' WHERE id = 1").await;

    let plan = Box::pin(shown(&world, &moment(at, "items", None))).await;
    let left: Vec<_> = plan.left.iter().map(|left| left.column.as_deref()).collect();
    assert_eq!(left, [Some("note")], "an edit that nobody has synced is not written over: {:#?}", plan.left);

    // Before the first sync nothing is known: a row that was first seen later may be older than the moment.
    let plan = Box::pin(shown(&world, &moment(before_all, "", None))).await;
    assert!(plan.plan.is_empty(), "{:#?}", plan.plan);
    let names: Vec<&str> = plan.unreached.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["shelves", "items"]);
}
