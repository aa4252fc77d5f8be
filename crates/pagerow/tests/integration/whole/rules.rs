//! Directions, winners, conditions, soft deletion, stamps and first matches, as the configuration says.

use serde_json::{Value as Json, json};

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

const NOTES: &str = "
CREATE TABLE notes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL, mail text, text text, extra text, status text NOT NULL DEFAULT 'open',
    updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz,
    page_id text, synced_at timestamptz, sync_status text, sync_error text, synced boolean, checksum text);
INSERT INTO notes (title, mail, text) SELECT 'Note ' || n, 'n' || n || '@example.org', 'text ' || n FROM generate_series(1, 12) n;
";

fn notes(rules: &str, fields: &str) -> String {
    format!(
        "[mapping.notes]\ntable = \"notes\"\ndata_source = \"create\"\n{rules}\n[mapping.notes.fields]\n\
         title = {{ property = \"Title\", as = \"title\" }}\nmail = {{ property = \"Mail\", as = \"email\" }}\n{fields}\n"
    )
}

async fn clash(world: &World, property: &str, column: &str) {
    let source = world.source("Notes").await;
    let page = world.page(&source, "Title", "Note 1").await;
    world.edit(&page, json!({ property: "by Notion" })).await;
    world.sql(&format!("UPDATE notes SET {column} = 'by Postgres' WHERE title = 'Note 1'")).await;
}

async fn both(world: &World, property: &str, column: &str) -> (Json, Json) {
    let source = world.source("Notes").await;
    let row = world.row(&format!("SELECT {column} AS value FROM notes WHERE title = 'Note 1'")).await;
    (row["value"].clone(), world.page(&source, "Title", "Note 1").await.values[property].clone())
}

#[tokio::test]
async fn policies_and_winners_decide_and_nobody_is_asked() {
    for (rules, fields, winner) in [
        ("on_conflict = \"prefer_postgres\"", "text = \"Text\"", "by Postgres"),
        ("on_conflict = \"prefer_notion\"", "text = \"Text\"", "by Notion"),
        ("", "text = { property = \"Text\", wins = \"postgres\" }", "by Postgres"),
        (
            "on_conflict = \"prefer_postgres\"",
            "text = { property = \"Text\", wins = \"notion\" }",
            "by Notion",
        ),
    ] {
        let world = World::with_mappings(NOTES, &notes(rules, fields)).await;
        world.sync().await;
        clash(&world, "Text", "text").await;
        let report = world.sync().await;
        assert!(!report.needs_decision(), "{rules} {fields} {report:#?}");
        assert_eq!(both(&world, "Text", "text").await, (json!(winner), json!(winner)), "{rules} {fields}");
        world.equal().await;
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn the_last_write_wins_and_postgres_within_the_minute() {
    let rules = "on_conflict = \"last_write_wins\"\nupdated_at = \"updated_at\"";
    let world = World::with_mappings(NOTES, &notes(rules, "text = \"Text\"")).await;
    world.sync().await;
    for (age, winner) in [("1 hour", "by Postgres"), ("-1 hour", "by Notion"), ("0 s", "by Postgres")] {
        let source = world.source("Notes").await;
        let page = world.page(&source, "Title", "Note 1").await;
        world.edit(&page, json!({ "Text": format!("by Notion {age}") })).await;
        world
            .sql(&format!(
                "UPDATE notes SET text = 'by Postgres {age}', updated_at = now() + interval '{age}' WHERE title = 'Note 1'"
            ))
            .await;
        let report = world.sync().await;
        assert!(!report.needs_decision(), "{report:#?}");
        let won = json!(format!("{winner} {age}"));
        assert_eq!(both(&world, "Text", "text").await, (won.clone(), won), "{age}");
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_field_that_flows_one_way_is_a_mirror() {
    let fields = "text = { property = \"Text\", direction = \"to_notion\" }\nextra = { property = \"Extra\", direction = \"to_postgres\" }";
    let world = World::with_mappings(NOTES, &notes("", fields)).await;
    world.sync().await;
    let source = world.source("Notes").await;
    let page = world.page(&source, "Title", "Note 1").await;
    world.edit(&page, json!({"Text": "scribble", "Extra": "mine"})).await;
    world.sql("UPDATE notes SET extra = 'scribble' WHERE title = 'Note 2'").await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(both(&world, "Text", "text").await, (json!("text 1"), json!("text 1")));
    assert_eq!(both(&world, "Extra", "extra").await, (json!("mine"), json!("mine")));
    assert_eq!(world.row("SELECT extra FROM notes WHERE title = 'Note 2'").await["extra"], Json::Null);
    world.equal().await;
    world.nothing_left().await;
}

#[tokio::test]
async fn a_mapping_that_flows_one_way_writes_one_way() {
    let world = World::with_mappings(NOTES, &notes("direction = \"to_notion\"", "text = \"Text\"")).await;
    world.sync().await;
    let source = world.source("Notes").await;
    world.add(&source, json!({"Title": "born in Notion"})).await;
    let page = world.page(&source, "Title", "Note 1").await;
    world.edit(&page, json!({"Text": "scribble"})).await;
    let gone = world.page(&source, "Title", "Note 2").await;
    world.trash(&gone).await;
    let before = world.row("SELECT jsonb_agg(n ORDER BY id) rows FROM notes n").await;
    let report = world.full_sync().await;
    assert_eq!(report.mappings[0].to_postgres, Default::default(), "{report:#?}");
    assert_eq!(world.row("SELECT jsonb_agg(n ORDER BY id) rows FROM notes n").await, before);
    assert_eq!(world.page(&source, "Title", "Note 1").await.values["Text"], "text 1");
    world.full_sync().await;
}

#[tokio::test]
async fn rows_that_leave_the_condition_keep_their_pages_and_come_back() {
    let world = World::with_mappings(NOTES, &notes("where = \"status <> 'draft'\"", "text = \"Text\"")).await;
    world.sql("UPDATE notes SET status = 'draft' WHERE title IN ('Note 1', 'Note 2')").await;
    let first = world.sync().await;
    assert_eq!(written(&first), [10, 0, 0, 0, 0, 0], "{first:#?}");
    // Ten of ten leave, which is no deletion of ten.
    world.sql("UPDATE notes SET status = 'draft', text = 'hidden'").await;
    for _ in 0..2 {
        let left = world.sync().await;
        assert_eq!(written(&left), [0; 6], "{left:#?}");
    }
    let source = world.source("Notes").await;
    assert_eq!(world.pages(&source).await.len(), 10);
    world.sql("UPDATE notes SET status = 'open', text = 'shown'").await;
    let back = world.sync().await;
    assert_eq!(written(&back), [2, 10, 0, 0, 0, 0], "{back:#?}");
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}

#[tokio::test]
async fn soft_deletion_is_deletion_in_both_directions() {
    let rules = "soft_delete = \"deleted_at\"\non_page_trashed = \"soft_delete\"";
    let world = World::with_mappings(NOTES, &notes(rules, "text = \"Text\"")).await;
    world.sync().await;
    let source = world.source("Notes").await;
    world.sql("UPDATE notes SET deleted_at = now() WHERE title = 'Note 1'").await;
    let page = world.page(&source, "Title", "Note 2").await;
    world.trash(&page).await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0, 0, 1, 0, 0, 1], "{report:#?}");
    assert_eq!(world.count("notes").await, 12);
    assert_eq!(world.count("notes WHERE deleted_at IS NOT NULL").await, 2);
    assert_eq!(world.pages(&source).await.len(), 10);
    world.nothing_left().await;
    // Taken back in Postgres.
    world.sql("UPDATE notes SET deleted_at = NULL").await;
    let report = world.full_sync().await;
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(world.pages(&source).await.len(), 12);
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}

#[tokio::test]
async fn stamps_and_bookkeeping_are_kept_and_echo_nothing() {
    let rules = "";
    let fields = "text = \"Text\"\n[mapping.notes.stamp]\nsynced_at = \"Last Synced\"\nchecksum = \"Checksum\"\nsynced = \"Synced\"\n\
        [mapping.notes.columns]\npage_id = \"page_id\"\nsynced_at = \"synced_at\"\nstatus = \"sync_status\"\nerror = \"sync_error\"\nsynced = \"synced\"\nchecksum = \"checksum\"";
    let world = World::with_mappings(NOTES, &notes(rules, fields)).await;
    let first = world.sync().await;
    assert_eq!(written(&first), [12, 0, 0, 0, 0, 0], "{first:#?}");
    for _ in 0..3 {
        let quiet = world.sync().await;
        assert_eq!((quiet.run, quiet.calls), (None, 1), "{quiet:#?}");
    }
    let source = world.source("Notes").await;
    let page = world.page(&source, "Title", "Note 1").await;
    let row = world.row("SELECT * FROM notes WHERE title = 'Note 1'").await;
    assert_eq!(row["page_id"], page.id.as_str());
    assert_eq!((&row["synced"], &row["sync_status"]), (&json!(true), &json!("synced")));
    assert_eq!((&page.values["Checksum"], &page.values["Synced"]), (&row["checksum"], &json!(true)));
    world.edit(&page, json!({"Mail": "x@example.org"})).await;
    world.sql("UPDATE notes SET text = 'moved' WHERE title = 'Note 2'").await;
    world.sync().await;
    assert_eq!(world.sync().await.run, None);
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;

    // The page ids in the rows serve as links when pagerow's own tables are lost.
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.equal().await, 12);
}

#[tokio::test]
async fn what_was_on_both_sides_before_is_matched_by_its_natural_key() {
    let world = World::with_mappings(NOTES, &notes("match_on = [\"mail\"]", "text = \"Text\"")).await;
    let source = world.source("Notes").await;
    for number in 1..=6 {
        world.add(&source, json!({"Title": format!("Note {number}"), "Mail": format!("n{number}@example.org"), "Text": "text 1"})).await;
    }
    world.add(&source, json!({"Title": "only here", "Mail": "h@example.org"})).await;
    let report = world.sync().await;
    let notes_part = part(&report, "notes");
    assert_eq!((notes_part.to_notion.created, notes_part.to_postgres.inserted), (6, 1), "{report:#?}");
    assert_eq!(notes_part.conflicts, 5, "texts that differ are asked: {report:#?}");
    assert_eq!((world.count("notes").await, world.pages(&source).await.len()), (13, 13));
}

#[tokio::test]
async fn without_a_key_property_and_without_a_natural_key_nothing_is_guessed() {
    let world = World::with_mappings(
        SHOP,
        &MAPPINGS.replace("data_source = \"create\"", "data_source = \"create\"\nkey_property = false"),
    )
    .await;
    let first = world.sync().await;
    assert_eq!(written(&first), [35, 0, 0, 0, 0, 0], "{first:#?}");
    let products = world.source("Products").await;
    assert!(world.pages(&products).await[0]["values"].get("Supabase ID").is_none());
    world.add(&products, json!({"Name": "born in Notion"})).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").to_postgres.inserted, 1, "{report:#?}");
    assert_eq!(world.equal().await, 36);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_kept_plan_is_carried_out_or_refused_as_stale() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.sql("UPDATE products SET stock = 1000 WHERE id = 1").await;
    let mut engine = world.engine().await;
    let (plan, refusals) = engine.plan(&[]).await.unwrap();
    assert_eq!((plan.steps().count(), refusals.len()), (1, 0));
    let (same, _) = engine.plan(&[]).await.unwrap();
    assert_eq!(plan.hash(), same.hash(), "planning changes nothing");
    world.sql("UPDATE products SET stock = 1001 WHERE id = 1").await;
    let stale = engine.apply(&plan, None, "test").await.unwrap_err();
    assert!(matches!(stale, pagerow::engine::EngineError::StalePlan { .. }), "{stale:?}");
    let products = world.source("Products").await;
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Stock"], 1);
    let (plan, _) = engine.plan(&[]).await.unwrap();
    let report = engine.apply(&plan, None, "test").await.unwrap();
    assert_eq!(written(&report), [0, 1, 0, 0, 0, 0], "{report:#?}");
    engine.rest().await.unwrap();
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Stock"], 1001);
    world.nothing_left().await;
}
