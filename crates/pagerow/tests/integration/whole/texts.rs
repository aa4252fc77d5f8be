//! Names that need quoting, texts of every kind and length, and keys of every kind.

use serde_json::json;

use crate::support::world::{World, written};

const TABLES: &str = r#"
CREATE SCHEMA "Some Schema";
CREATE TABLE "Some Schema"."Sel""ect" ("Key, ""of"" it" text PRIMARY KEY, "select" text, "Größe ☃" integer, "a b" text);
INSERT INTO "Some Schema"."Sel""ect" VALUES ('a"b\c{}[],''', E'line\nbreak\ttab \\ back', 1, E' leading and trailing '),
    ('ключ', repeat('😀', 3000), 2, repeat('é', 4001)), ('_', E'\r\n', 3, E'\u200b'), (repeat('k', 1000), '  ', 4, 'null'), ('5', 'x', 5, '{"a": 1}');
CREATE TABLE moments (at timestamptz, nr numeric, day date, flag boolean, name text, PRIMARY KEY (at, nr, day, flag));
INSERT INTO moments VALUES ('2026-01-02 03:04:05.678901+00', 1.50, '2026-01-02', true, 'one'), ('infinity', 'NaN', '-infinity', false, 'two'),
    ('0044-03-15 12:00:00+00 BC', 1e30, '0044-03-15 BC', true, 'three');
"#;

const MAPPINGS: &str = r#"
[mapping.odd]
table = "Some Schema.Sel\"ect"
data_source = "create"
[mapping.odd.fields]
"select" = { property = "Selected, \"quoted\"", as = "title" }
"Größe ☃" = "Größe ☃"
"a b" = "a b"

[mapping.moments]
table = "moments"
data_source = "create"
[mapping.moments.fields]
name = { property = "Name", as = "title" }
"#;

#[tokio::test]
async fn odd_names_odd_texts_and_odd_keys_cross() {
    let world = World::with_mappings(TABLES, MAPPINGS).await;
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?} {:#?}", world.parked().await);
    assert_eq!(written(&first), [8, 0, 0, 0, 0, 0], "{first:#?}");
    assert_eq!(world.equal().await, 8);
    world.nothing_left().await;
    let before =
        world.row(r#"SELECT jsonb_agg(t ORDER BY "Größe ☃") rows FROM "Some Schema"."Sel""ect" t"#).await;
    let odd = world.source("Odd").await;
    for number in 1..=5 {
        let page = world.page(&odd, "Größe ☃", number).await;
        world.edit(&page, json!({"Größe ☃": number + 10})).await;
    }
    for page in world.pages(&world.source("Moments").await).await {
        let name = page["values"]["Name"].as_str().unwrap();
        let page = world.page(&world.source("Moments").await, "Name", name).await;
        world.edit(&page, json!({"Name": format!("{name} again")})).await;
    }
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 8, 0], "{report:#?} {:#?}", world.parked().await);
    world.sql(r#"UPDATE "Some Schema"."Sel""ect" SET "Größe ☃" = "Größe ☃" - 10"#).await;
    assert_eq!(
        world.row(r#"SELECT jsonb_agg(t ORDER BY "Größe ☃") rows FROM "Some Schema"."Sel""ect" t"#).await,
        before
    );
    assert_eq!(world.count("moments WHERE name LIKE '% again'").await, 3);
    world.sync().await;
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "found again by their keys: {report:#?}");
    assert_eq!(world.equal().await, 8);
}

#[tokio::test]
async fn a_row_whose_key_is_empty_is_parked_alone() {
    let tables = "CREATE TABLE words (word text PRIMARY KEY, note text); INSERT INTO words VALUES ('', 'none'), ('a', 'one');";
    let mapping = "[mapping.words]\ntable = \"words\"\ndata_source = \"create\"\n[mapping.words.fields]\n\
        note = { property = \"Note\", as = \"title\" }\n";
    let world = World::with_mappings(tables, mapping).await;
    for created in [1, 0] {
        let report = world.full_sync().await;
        assert_eq!(written(&report), [created, 0, 0, 0, 0, 0], "{report:#?}");
        assert_eq!(world.parked().await[0].reason.code, "empty_key");
    }
}
