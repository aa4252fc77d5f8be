//! What one side cannot hold is parked with field, reason and limit; the rest goes on, and a mended value heals it.

use pagerow::store::ParkedRecord;
use serde_json::{Value as Json, json};

use crate::support::world::{World, part, written};

const TABLE: &str = "
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, big bigint, at timestamptz, note text, tags text[],
    ratio double precision, mark text CHECK (mark <> 'bad'), code varchar(5) UNIQUE, qty smallint,
    must integer NOT NULL DEFAULT 1);
INSERT INTO items (name, code) SELECT 'Item ' || n, 'c' || n FROM generate_series(1, 12) n;
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
new_options = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
big = \"Big\"
at = \"At\"
note = \"Note\"
tags = \"Tags\"
ratio = \"Ratio\"
mark = { property = \"Mark\", as = \"rich_text\" }
code = \"Code\"
qty = \"Qty\"
must = \"Must\"
";

/// By row: column, code, whether a limit is named.
fn told(parked: &[ParkedRecord]) -> Vec<(String, String, String, bool)> {
    let mut told: Vec<_> = parked
        .iter()
        .map(|one| {
            assert!(!one.reason.text.is_empty());
            let key = one.key.as_ref().map_or_else(String::new, ToString::to_string);
            (key, one.column.clone(), one.reason.code.clone(), one.reason.limit.is_some())
        })
        .collect();
    told.sort();
    told
}

fn expected(list: &[(&str, &str, &str, bool)]) -> Vec<(String, String, String, bool)> {
    let mut list: Vec<_> =
        list.iter().map(|(a, b, c, d)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned(), *d)).collect();
    list.sort();
    list
}

#[tokio::test]
async fn what_notion_cannot_hold_is_parked_and_the_rest_goes_on() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world
        .sql(
            "UPDATE items SET big = 9007199254740993 WHERE id = 1; UPDATE items SET at = 'infinity' WHERE id = 2;
             UPDATE items SET note = repeat('x', 200001) WHERE id = 3; UPDATE items SET tags = '{a,\"b,c\"}' WHERE id = 4;
             UPDATE items SET ratio = 'NaN' WHERE id = 5; UPDATE items SET tags = array_agg FROM (SELECT array_agg('t' || n) FROM generate_series(1, 101) n) a WHERE id = 6",
        )
        .await;
    let first = world.sync().await;
    assert_eq!(written(&first), [6, 0, 0, 0, 0, 0], "{first:#?}");
    assert_eq!(part(&first, "items").parked, 6);
    assert!(first.needs_decision());
    assert_eq!(
        told(&world.parked().await),
        expected(&[
            ("1", "big", "inexact", true),
            ("2", "at", "date_range", true),
            ("3", "note", "too_long", true),
            ("4", "tags", "comma", false),
            ("5", "ratio", "not_a_number", false),
            ("6", "tags", "too_many", true),
        ])
    );
    let source = world.source("Items").await;
    assert_eq!(world.pages(&source).await.len(), 6);
    let again = world.sync().await;
    assert_eq!((written(&again), part(&again, "items").parked), ([0; 6], 6), "{again:#?}");

    // An edit beside the trouble, and the trouble mended.
    world
        .sql("UPDATE items SET big = 9007199254740992 WHERE id = 1; UPDATE items SET at = now() WHERE id = 2")
        .await;
    let healed = world.sync().await;
    assert_eq!((written(&healed), part(&healed, "items").parked), ([2, 0, 0, 0, 0, 0], 4), "{healed:#?}");
    world.sql("UPDATE items SET note = NULL, tags = '{a,b}', ratio = 1 WHERE id IN (3, 4, 5, 6)").await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?}");
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_linked_row_that_goes_out_of_reach_is_parked_alone_and_its_other_fields_go_on() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    world.sql("UPDATE items SET big = 9007199254740993, note = 'beside it' WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "items").parked, 1, "{report:#?}");
    let source = world.source("Items").await;
    let shown = world.page(&source, "Name", "Item 1").await.values;
    assert_eq!((&shown["Note"], &shown["Big"]), (&json!("beside it"), &Json::Null));
    let again = world.sync().await;
    assert_eq!((again.run, part(&again, "items").parked), (None, 1), "{again:#?}");
    world.sql("UPDATE items SET big = 5 WHERE id = 1").await;
    let healed = world.sync().await;
    assert_eq!(part(&healed, "items").parked, 0, "{healed:#?}");
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}

#[tokio::test]
async fn what_postgres_cannot_hold_is_parked_and_the_rest_goes_on() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    let source = world.source("Items").await;
    let edits = [
        ("Item 1", json!({"Must": null})),
        ("Item 2", json!({"Code": "too long for it"})),
        ("Item 3", json!({"Qty": 40000})),
        ("Item 4", json!({"Qty": 1.5})),
        ("Item 5", json!({"Mark": "bad"})),
        ("Item 6", json!({"Code": "c7"})),
        ("Item 8", json!({"Note": "good"})),
        ("Item 9", json!({"Note": "a\u{0}b"})),
    ];
    for (name, properties) in &edits {
        let page = world.page(&source, "Name", *name).await;
        world.edit(&page, properties.clone()).await;
    }
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 1, 0], "{report:#?}");
    assert_eq!(
        told(&world.parked().await),
        expected(&[
            ("1", "must", "not_null", false),
            ("2", "code", "too_long", true),
            ("3", "qty", "out_of_range", true),
            ("4", "qty", "fraction", false),
            ("5", "", "23514", false),
            ("6", "", "23505", false),
            ("9", "note", "nul", false),
        ])
    );
    assert_eq!(world.count("items WHERE note = 'good'").await, 1);
    let again = world.sync().await;
    assert_eq!((written(&again), part(&again, "items").parked), ([0; 6], 7), "{again:#?}");

    let pages = world.pages(&source).await;
    let mended = [
        ("1", json!({"Must": 7})),
        ("2", json!({"Code": "fits"})),
        ("3", json!({"Qty": 4})),
        ("4", json!({"Qty": 2})),
        ("5", json!({"Mark": "fine"})),
        ("6", json!({"Code": "c6b"})),
        ("9", json!({"Note": "ab"})),
    ];
    for (key, properties) in mended {
        let page = pages.iter().find(|page| page["values"]["Supabase ID"] == key).unwrap();
        let page = crate::support::world::Page {
            id: page["id"].as_str().unwrap().to_owned(),
            values: page["values"].clone(),
        };
        world.edit(&page, properties).await;
    }
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?} {:#?}", world.parked().await);
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_new_page_that_makes_no_row_is_parked_until_it_does() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    let source = world.source("Items").await;
    let nameless = world.add(&source, json!({"Note": "no name"})).await;
    let taken = world.add(&source, json!({"Name": "taken", "Code": "c1"})).await;
    world.add(&source, json!({"Name": "good", "Code": "good"})).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "items").to_postgres.inserted, 1, "{report:#?}");
    assert_eq!(part(&report, "items").parked, 2, "{:#?}", world.parked().await);
    world.edit(&nameless, json!({"Name": "named"})).await;
    world.edit(&taken, json!({"Code": "free"})).await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?} {:#?}", world.parked().await);
    assert_eq!(world.equal().await, 15);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_record_that_notion_refuses_is_parked_after_its_tries() {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Name", "Item 3").await;
    // Somebody else holds this one page: every save collides.
    world.fault(json!({"endpoint": "PATCH /v1/pages/{id}", "path_contains": page.id, "answer": "409"})).await;
    world.sql("UPDATE items SET note = 'moved' WHERE id IN (2, 3, 4)").await;
    let report = world.try_sync().await.unwrap();
    assert_eq!(part(&report, "items").to_notion.updated, 2, "{report:#?}");
    assert_eq!(part(&report, "items").parked, 1, "{report:#?}");
    world.no_faults().await;
    // Its time has not come yet; an edit is reason enough to try again.
    world.sql("UPDATE items SET note = 'moved on' WHERE id = 3").await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?} {:#?}", world.parked().await);
    assert_eq!(world.equal().await, 12);
    world.nothing_left().await;
}
