//! A run is taken back to the byte, later edits stay, and what was taken back stays quiet.

use std::collections::BTreeMap;

use pagerow::engine::{EngineError, NotUndone, Report, UndoPlan};
use pagerow::store::RunFilter;
use pagerow_core::undo::Cannot;
use serde_json::{Value as Json, json};
use tokio_postgres::error::SqlState;

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, written};

/// A table with much that has no property: it has to come back all the same.
const ITEMS: &str = "
CREATE TYPE mood AS ENUM ('fine', 'so so');
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, price numeric(12, 4), note text, at timestamptz, tags text[],
    secret json, more jsonb, raw bytea, big numeric, feels mood, ratio double precision, span interval,
    length_of_name integer GENERATED ALWAYS AS (length(name)) STORED,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO items (name, price, note, at, tags, secret, more, raw, big, feels, ratio, span)
    SELECT 'Item ' || n, n + 0.1234, 'note ' || n, '2026-03-01 12:34:56.789+00'::timestamptz + n * interval '1 hour',
        ARRAY['a', 'b ' || n % 3], '{\"z\" : 1,  \"a\": [1,2 , 3]}', '{\"n\": 12345678901234567890.5}',
        decode('00ff10', 'hex'), 123456789012345678901234567890.123456789, 'so so', 0.1 + n, interval '1 mon 3 days'
    FROM generate_series(1, 430) n;
";

const ITEMS_MAPPED: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
on_page_trashed = \"delete\"
max_deletes = \"100%\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
note = \"Note\"
at = \"At\"
tags = { property = \"Tags\", as = \"multi_select\", new_options = \"create\" }
";

/// Both sides to the byte: whole rows by key, and the values of live pages by id, without the marker.
type Both = (BTreeMap<i64, String>, BTreeMap<String, Json>);

async fn both(world: &World, table: &str, title: &str) -> Both {
    let rows = world
        .client()
        .await
        .query(&format!("SELECT id, row_to_json({table}.*)::text FROM {table} ORDER BY id"), &[])
        .await
        .unwrap();
    let source = world.source(title).await;
    let pages = world.pages(&source).await.into_iter().map(|page| {
        let mut values = page["values"].clone();
        values.as_object_mut().unwrap().remove("Supabase ID");
        (page["id"].as_str().unwrap().to_owned(), values)
    });
    (rows.iter().map(|row| (row.get(0), row.get(1))).collect(), pages.collect())
}

async fn plan(world: &World, run: i64) -> Result<UndoPlan, EngineError> {
    let mut engine = Box::pin(world.engine()).await;
    Box::pin(engine.plan_undo(run)).await
}

async fn undo(world: &World, run: i64) -> (Vec<NotUndone>, Report) {
    let mut engine = Box::pin(world.engine()).await;
    let shown = Box::pin(engine.plan_undo(run)).await.unwrap();
    assert_eq!(shown.refusals, [], "{:#?}", shown.refusals);
    let report = Box::pin(engine.undo(run, Some(shown.plan.hash()), None)).await.unwrap();
    engine.rest().await.unwrap();
    assert!(report.quiet, "{report:#?}");
    (shown.left, report)
}

async fn is_intact(world: &World) -> i64 {
    let verdict = world.store().await.verify_audit().await.unwrap();
    assert!(verdict.verified, "{verdict:#?}");
    verdict.entries
}

#[tokio::test]
async fn a_run_of_500_changes_on_both_sides_is_undone_to_the_byte_and_20_later_edits_stay() {
    let world = Box::pin(World::with_mappings(ITEMS, ITEMS_MAPPED)).await;
    Box::pin(world.sync()).await;
    let source = world.source("Items").await;
    let page_of: BTreeMap<String, String> = world
        .pages(&source)
        .await
        .iter()
        .map(|page| {
            let name = page["values"]["Name"].as_str().unwrap().to_owned();
            (name, page["id"].as_str().unwrap().to_owned())
        })
        .collect();
    let page = |n: i64| page_of[&format!("Item {n}")].clone();
    let patch = async |n: i64, properties: Json| {
        let path = format!("pages/{}", page(n));
        world.control("PATCH", &path, &json!({ "properties": properties })).await;
    };

    // 500 changes: 180 rows and 180 pages edited, 40 rows and 40 pages made, 30 rows and 30 pages deleted.
    world
        .sql(
            "UPDATE items SET price = price + 1000, tags = tags || 'new'::text WHERE id <= 180;
             INSERT INTO items (name, note) SELECT 'Row ' || n, 'made here' FROM generate_series(1, 40) n;
             DELETE FROM items WHERE id BETWEEN 361 AND 390",
        )
        .await;
    for n in 181..=360 {
        patch(n, json!({ "Note": format!("edited {n}"), "At": "2026-05-05" })).await;
    }
    for n in 1..=40 {
        world.add(&source, json!({ "Name": format!("Page {n}"), "Price": 5 + n })).await;
    }
    for n in 391..=420 {
        world.control("POST", &format!("pages/{}/trash", page(n)), &json!({})).await;
    }
    world.minutes_pass(1).await;
    let before = both(&world, "items", "Items").await;
    let report = Box::pin(world.full_sync()).await;
    let run = report.run.unwrap();
    let [created, updated, trashed, inserted, edited, deleted] = written(&report);
    assert_eq!((created, trashed, inserted, deleted), (40, 30, 40, 30), "{report:#?}");
    assert!(updated >= 180 && edited >= 180, "{report:#?}");
    let after = both(&world, "items", "Items").await;
    assert_ne!(before, after);

    // 20 later edits of what the run wrote, on both sides.
    world.sql("UPDATE items SET note = 'later ' || id WHERE id BETWEEN 201 AND 210").await;
    for n in 1..=10 {
        patch(n, json!({ "Price": 7_000 + n })).await;
    }
    world.minutes_pass(1).await;
    Box::pin(world.full_sync()).await;
    let edited = both(&world, "items", "Items").await;

    let (left, undone) = Box::pin(undo(&world, run)).await;
    let now = both(&world, "items", "Items").await;
    let mut expected = before.clone();
    for n in 201..=210 {
        let row = expected.0.get_mut(&n).unwrap();
        *row = row.replace(&format!("\"note {n}\""), &format!("\"later {n}\""));
        expected.1.get_mut(&page(n)).unwrap()["Note"] = json!(format!("later {n}"));
    }
    for n in 1..=10 {
        let row = expected.0.get_mut(&n).unwrap();
        let priced = format!("\"price\":{n}.1234");
        let was = format!("\"price\":{}.1234", n + 1000);
        assert!(row.contains(&was) && !row.contains(&priced), "{row}");
        *row = row.replace(&was, &format!("\"price\":{}.0000", 7_000 + n));
        expected.1.get_mut(&page(n)).unwrap()["Price"] = json!(7_000 + n);
    }
    assert_eq!(now.0, expected.0, "rows");
    assert_eq!(now.1, expected.1, "pages");
    assert_eq!(left.len(), 20, "{left:#?}");
    assert!(left.iter().all(|left| matches!(left.left.why, Cannot::EditedSince { before: Some(_), .. })));

    // The next plan is empty, by a look at everything and by one for changes.
    Box::pin(world.nothing_left()).await;
    assert_eq!(Box::pin(world.sync()).await.run, None);

    // It is undone, and says by which run; the undo of the undo is the redo.
    let again = plan(&world, run).await;
    assert!(
        matches!(again, Err(EngineError::AlreadyUndone { by, .. }) if Some(by) == undone.run),
        "{again:?}"
    );
    let (left, redone) = Box::pin(undo(&world, undone.run.unwrap())).await;
    assert!(left.is_empty(), "{left:#?}");
    let now = both(&world, "items", "Items").await;
    assert_eq!(now.0, edited.0, "rows");
    assert_eq!(now.1, edited.1, "pages");
    Box::pin(world.nothing_left()).await;
    let verdict = Box::pin(world.verify()).await;
    assert!(verdict.equal, "{verdict:#?}");

    // The first run counts again, and may be undone again.
    assert!(plan(&world, run).await.is_ok());
    let runs = world.store().await.runs(&RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap();
    let of = |id: i64| runs.iter().find(|row| row.id == id).unwrap().clone();
    assert_eq!(of(run).undone_by, undone.run);
    assert_eq!(of(undone.run.unwrap()).undone_by, redone.run);
    assert_eq!(of(undone.run.unwrap()).origin, format!("undo {run}"));
    assert!(of(run).who.is_some_and(|who| !who.is_empty()));
    assert!(is_intact(&world).await > 1_000);
}

async fn shop() -> World {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world
}

#[tokio::test]
async fn what_was_taken_back_is_held_apart_until_somebody_edits_it_on_either_side() {
    let world = shop().await;
    let products = world.source("Products").await;
    world.sql("UPDATE products SET stock = 70, name = 'Seven' WHERE id = 7").await;
    let run = world.sync().await.run.unwrap();
    let (left, _) = undo(&world, run).await;
    assert!(left.is_empty());
    let page = world.page(&products, "Name", "Product 7").await;
    assert_eq!(page.values["Stock"], 7);
    assert_eq!(
        world.row("SELECT name, stock FROM products WHERE id = 7").await,
        json!({"name": "Seven", "stock": 70})
    );
    world.nothing_left().await;

    // An edit of the row goes to the page, one of the page to the row, each in its own field.
    world.sql("UPDATE products SET stock = 71 WHERE id = 7").await;
    world.edit(&page, json!({"Name": "Sept"})).await;
    world.full_sync().await;
    assert_eq!(world.page(&products, "Name", "Sept").await.values["Stock"], 71);
    assert_eq!(
        world.row("SELECT name, stock FROM products WHERE id = 7").await,
        json!({"name": "Sept", "stock": 71})
    );
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn a_page_that_an_undo_put_away_stays_away_until_its_row_is_edited() {
    let world = shop().await;
    let products = world.source("Products").await;
    world.sql("INSERT INTO products (name, stock) VALUES ('New', 1)").await;
    let run = world.sync().await.run.unwrap();
    let made = world.page(&products, "Name", "New").await;
    undo(&world, run).await;
    assert_eq!(world.pages(&products).await.len(), 30);
    assert_eq!(world.count("products").await, 31);
    world.nothing_left().await;
    world.nothing_left().await;

    world.sql("UPDATE products SET stock = 2 WHERE name = 'New'").await;
    world.full_sync().await;
    let back = world.page(&products, "Name", "New").await;
    assert_eq!((back.id, back.values["Stock"].clone()), (made.id, json!(2)), "the same page, and no twin");
    assert_eq!(world.equal().await, 36);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_page_taken_out_of_the_trash_by_a_person_is_linked_again() {
    let world = shop().await;
    let products = world.source("Products").await;
    world.sql("INSERT INTO products (name, stock) VALUES ('New', 1)").await;
    let run = world.sync().await.run.unwrap();
    let made = world.page(&products, "Name", "New").await;
    undo(&world, run).await;
    world.control("POST", &format!("pages/{}/restore", made.id), &json!({})).await;
    world.full_sync().await;
    assert_eq!(world.equal().await, 36);
    world.sql("DELETE FROM products WHERE name = 'New'").await;
    world.full_sync().await;
    assert_eq!(world.pages(&products).await.len(), 30, "a deletion is a deletion again");
}

#[tokio::test]
async fn a_record_that_the_run_made_and_somebody_edited_stays() {
    let world = shop().await;
    let products = world.source("Products").await;
    world.sql("INSERT INTO products (name, stock) VALUES ('New', 1)").await;
    let run = world.sync().await.run.unwrap();
    let made = world.page(&products, "Name", "New").await;
    world.edit(&made, json!({"Stock": 5})).await;
    world.minutes_pass(1).await;
    let shown = plan(&world, run).await.unwrap();
    assert!(shown.plan.is_empty(), "{shown:#?}");
    let told: Vec<_> = shown.left.iter().map(|left| (left.column.as_deref(), &left.left.why)).collect();
    assert!(
        matches!(told.as_slice(), [(Some("stock"), Cannot::EditedSince { before: None, .. })]),
        "{told:#?}"
    );
}

#[tokio::test]
async fn what_cannot_be_undone_is_refused_and_nothing_written() {
    let world = shop().await;
    assert!(matches!(plan(&world, 4711).await, Err(EngineError::NoSuchRun(4711))));
    world.sql("UPDATE products SET stock = 70 WHERE id = 7").await;
    let run = world.sync().await.run.unwrap();

    world.sql(&format!("UPDATE pagerow.runs SET state = 'running' WHERE id = {run}")).await;
    assert!(matches!(plan(&world, run).await, Err(EngineError::RunOpen(_))));
    world.sql(&format!("UPDATE pagerow.runs SET state = 'done' WHERE id = {run}")).await;

    // A plan that is not the one that was shown.
    let mut engine = world.engine().await;
    let shown = engine.plan_undo(run).await.unwrap();
    world.sql("UPDATE products SET name = 'Seven' WHERE id = 7").await;
    let stale = engine.undo(run, Some(shown.plan.hash()), None).await;
    engine.rest().await.unwrap();
    assert!(matches!(stale, Err(EngineError::StalePlan { .. })), "{stale:?}");

    // The column is another one now.
    world.sql("ALTER TABLE products ALTER COLUMN stock TYPE bigint").await;
    match plan(&world, run).await {
        Err(EngineError::NotUndoable { why, .. }) => assert!(why.contains("stock"), "{why}"),
        other => panic!("{other:?}"),
    }
    // The mapping is no longer there.
    let alone = MAPPINGS.split("[mapping.products]").next().unwrap();
    world.configure(alone);
    world.make().await;
    match plan(&world, run).await {
        Err(EngineError::NotUndoable { why, .. }) => assert!(why.contains("products"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.row("SELECT stock FROM products WHERE id = 7").await["stock"], 70);
}

#[tokio::test]
async fn too_many_deletions_by_an_undo_are_stopped_until_a_person_lets_them_pass() {
    let world = shop().await;
    let runs = world.store().await.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await.unwrap();
    let first = runs[0].id;
    let shown = plan(&world, first).await.unwrap();
    assert!(!shown.refusals.is_empty());
    let mut engine = world.engine().await;
    let stopped = engine.undo(first, Some(shown.plan.hash()), None).await;
    assert!(matches!(stopped, Err(EngineError::Refused(_))), "{stopped:?}");
    let report = engine.undo(first, Some(shown.plan.hash()), Some(shown.plan.hash())).await.unwrap();
    engine.rest().await.unwrap();
    assert_eq!(written(&report), [0, 0, 35, 0, 0, 0], "{report:#?}");
    assert_eq!(world.count("products").await, 30);
    world.nothing_left().await;
    is_intact(&world).await;
}

#[tokio::test]
async fn an_undo_whose_answers_were_lost_deletes_nobodys_rows() {
    let world = shop().await;
    let products = world.source("Products").await;
    world.configure(
        &MAPPINGS.replace("table = \"products\"", "table = \"products\"\non_page_trashed = \"delete\""),
    );
    world.make().await;
    world.sql("INSERT INTO products (name, stock) VALUES ('New', 1)").await;
    let run = world.sync().await.run.unwrap();
    // The page goes to the trash, and nobody hears of it.
    world
        .fault(
            json!({ "endpoint": "PATCH /v1/pages/{id}", "fate": "applied", "answer": "502", "times": 100 }),
        )
        .await;
    let mut engine = world.engine().await;
    let _unheard = engine.undo(run, None, None).await;
    engine.rest().await.unwrap();
    world.no_faults().await;
    for _ in 0..3 {
        let _ended = world.full_sync().await;
    }
    assert_eq!(world.count("products WHERE name = 'New'").await, 1, "the row is its owner's");
    assert_eq!(world.pages(&products).await.len(), 30);
}

#[tokio::test]
async fn the_audit_refuses_changes_and_names_what_was_changed_all_the_same() {
    let world = shop().await;
    let entries = is_intact(&world).await;
    assert_eq!(entries, 35);
    let client = world.client().await;
    for tampering in [
        "UPDATE pagerow.audit SET entry = entry || ' ' WHERE seq = 9",
        "DELETE FROM pagerow.audit WHERE seq = 9",
        "TRUNCATE pagerow.audit",
    ] {
        let refused = client.batch_execute(tampering).await.unwrap_err();
        assert_eq!(refused.code().map(SqlState::code), Some("42501"), "{tampering}: {refused:?}");
    }
    // Whoever owns the table can take the trigger off; the chain tells.
    world
        .sql(
            "ALTER TABLE pagerow.audit DISABLE TRIGGER USER;
             UPDATE pagerow.audit SET entry = replace(entry, 'create', 'update') WHERE seq = 9",
        )
        .await;
    let verdict = world.store().await.verify_audit().await.unwrap();
    assert_eq!(verdict.broken.map(|broken| broken.seq), Some(9));
    world.sql("DELETE FROM pagerow.audit WHERE seq >= 9").await;
    let verdict = world.store().await.verify_audit().await.unwrap();
    assert_eq!(verdict.broken.map(|broken| broken.why), Some("entries are missing at the end"));
}

#[tokio::test]
async fn retention_takes_what_is_old_and_leaves_what_is_needed_and_the_audit_whole() {
    let world = shop().await;
    world.sql("UPDATE products SET stock = 70 WHERE id = 7").await;
    let undone = world.sync().await.run.unwrap();
    let (_, report) = undo(&world, undone).await;
    world.sql("UPDATE products SET stock = 80 WHERE id = 8").await;
    let doubtful = world.sync().await.run.unwrap();
    world
        .sql(&format!(
            "UPDATE pagerow.runs SET finished_at = now() - interval '400 days' WHERE id <> {};
             UPDATE pagerow.steps SET status = 'unknown', mapping = 'not configured now' WHERE run_id = {doubtful};
             ALTER TABLE pagerow.audit DISABLE TRIGGER USER;
             UPDATE pagerow.audit SET at = now() - interval '400 days' WHERE seq <= 36;
             ALTER TABLE pagerow.audit ENABLE TRIGGER USER",
            report.run.unwrap()
        ))
        .await;
    let entries = is_intact(&world).await;
    world.sync().await;
    let runs = world.store().await.runs(&RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap();
    let ids: Vec<i64> = runs.iter().map(|run| run.id).filter(|id| *id <= doubtful).collect();
    // The first one went; one is open, one was undone lately.
    assert_eq!(ids, [doubtful, report.run.unwrap(), undone], "{runs:#?}");
    let verdict = world.store().await.verify_audit().await.unwrap();
    assert!(verdict.verified, "{verdict:#?}");
    assert_eq!(verdict.anchor.seq, 36);
    assert!(verdict.entries > entries - 36);
    // Cut off further by hand, it is no longer whole.
    world
        .sql(
            "UPDATE pagerow.audit_heads SET anchor_seq = 37, anchor_hash = (SELECT hash FROM pagerow.audit WHERE seq = 37);
             DELETE FROM pagerow.audit WHERE seq = 37",
        )
        .await;
    assert!(!world.store().await.verify_audit().await.unwrap().verified);
}
