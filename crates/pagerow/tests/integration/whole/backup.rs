//! A page keeps its whole row, columns without a property included, and nobody takes that for a change.

use std::collections::BTreeMap;

use pagerow::{
    backup::{Backup, BackupError, BackupKey},
    clock::Clock,
    config::Config,
    engine::Depth,
    notion::pages::NotionPages,
    replica::{Pages as _, Relatives, Scope},
    setup,
    wiring::Wiring,
};
use pagerow_core::record::RowKey;
use serde_json::json;

use crate::{
    rows::{TYPES, every_type},
    support::world::{World, part, written},
};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const MAPPING: &str = "
[mapping.things]
table = \"thing\"
data_source = \"create\"
backup = true
[mapping.things.fields]
title = { property = \"Name\", as = \"title\" }
";

/// Three rows: one with a value of every type, one without any, one that is ordinary. Only the title has a property.
async fn world() -> World {
    let types = every_type();
    let columns: Vec<String> = types.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect();
    let sql = format!(
        "{TYPES} CREATE TABLE thing (id bigint PRIMARY KEY, title text, noted timestamptz, blob bytea, {});
         INSERT INTO thing (id, title) VALUES (1, 'full'), (2, 'empty'), (3, 'plain');
         UPDATE thing SET blob = decode(repeat(md5('x'), 4000), 'hex') WHERE id = 1;",
        columns.join(", ")
    );
    let world = World::with(&sql).await;
    let client = world.client().await;
    for (name, kind, _, value, _) in types {
        if value != "\0" {
            let sql = format!("UPDATE thing SET {name} = $1::text::{kind} WHERE id = 1");
            client.execute(&sql, &[&value]).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
    }
    world
}

/// What the property of each page holds, by title.
async fn texts(world: &World) -> BTreeMap<String, String> {
    let source = world.source("Things").await;
    let pages = world.pages(&source).await;
    let text =
        |page: &serde_json::Value, name: &str| page["values"][name].as_str().unwrap_or_default().to_owned();
    pages.iter().map(|page| (text(page, "Name"), text(page, "Backup"))).collect()
}

/// Empties the table, makes each row again from its page's text, and compares with what was there.
async fn comes_back(world: &World, backup: &Backup) {
    let client = world.client().await;
    client.batch_execute("CREATE TABLE before AS SELECT * FROM thing; DELETE FROM thing").await.unwrap();
    for (key, title) in [("1", "full"), ("2", "empty"), ("3", "plain")] {
        let whole = backup.read(key, &texts(world).await[title]).unwrap();
        let sql = "INSERT INTO thing SELECT * FROM json_populate_record(NULL::thing, $1::text::json)";
        assert_eq!(client.execute(sql, &[&whole.json()]).await.unwrap(), 1);
    }
    // Blanks around a whole value of type json are no part of it to any reader; those inside stay.
    client.batch_execute("UPDATE before SET json_text = btrim(json_text::text)::json").await.unwrap();
    // Every column in its own text: nothing may be equal only in meaning.
    let differing = "SELECT now.key || ': ' || now.value || ' / ' || was.value FROM thing JOIN before USING (id), \
         LATERAL json_each_text(row_to_json(thing)) AS now, LATERAL json_each_text(row_to_json(before)) AS was \
         WHERE now.key = was.key AND now.value IS DISTINCT FROM was.value";
    let differing = client.query(differing, &[]).await.unwrap();
    let differing: Vec<String> = differing.iter().map(|row| row.get(0)).collect();
    assert_eq!(differing, [""; 0]);
    let differing = "SELECT count(*) FROM thing JOIN before USING (id) WHERE thing::text <> before::text";
    assert_eq!(client.query_one(differing, &[]).await.unwrap().get::<_, i64>(0), 0);
    let all = "SELECT count(*) FROM thing JOIN before USING (id)";
    assert_eq!(client.query_one(all, &[]).await.unwrap().get::<_, i64>(0), 3);
}

#[tokio::test]
async fn every_type_comes_back_from_its_page() {
    let world = world().await;
    world.configure(MAPPING);
    world.make().await;
    assert_eq!(part(&world.sync().await, "things").to_notion.created, 3);
    let text = &texts(&world).await["full"];
    assert!(text.starts_with("pagerow-backup 1 plain "), "{text}");
    let backup = Backup::new("things", None);
    let whole = backup.read("1", text).unwrap();
    assert_eq!(whole.types["json_like"], "jsonb");
    assert_eq!(whole.types["numbers"], "numeric[]");
    comes_back(&world, &backup).await;
}

#[tokio::test]
async fn a_sealed_one_needs_its_key() {
    let world = world().await;
    world.set("PAGEROW_BACKUP_KEY", KEY);
    world.configure(MAPPING);
    world.make().await;
    world.sync().await;
    let text = texts(&world).await["full"].clone();
    assert!(text.starts_with("pagerow-backup 1 sealed "), "{text}");
    assert_eq!(Backup::new("things", None).read("1", &text).unwrap_err(), BackupError::NoKey);
    comes_back(&world, &Backup::new("things", Some(BackupKey::parse(KEY).unwrap()))).await;
}

#[tokio::test]
async fn it_is_never_a_change_and_always_new() {
    let world = world().await;
    let mapping =
        "updated_at = \"noted\"\n[mapping.things.columns]\nsynced_at = \"book\"\n[mapping.things.fields]";
    world.sql("ALTER TABLE thing ADD COLUMN book timestamptz").await;
    world.configure(&MAPPING.replace("[mapping.things.fields]", mapping));
    world.make().await;
    world.sync().await;
    let backup = Backup::new("things", None);
    let cell = |text: &str, key: &str, column: &str| {
        let whole = backup.read(key, text).unwrap();
        serde_json::from_str::<serde_json::Value>(whole.json()).unwrap()[column].clone()
    };
    assert!(!backup.read("1", &texts(&world).await["full"]).unwrap().types.contains_key("book"));

    // Nothing to do, however closely one looks.
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(written(&world.full_sync().await), [0; 6]);

    // A column without a property: one page is written, and then it is quiet.
    world.sql("UPDATE thing SET words = 'other words' WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "things").to_notion.updated, 1, "{report:#?}");
    assert_eq!(written(&report)[3..], [0; 3]);
    assert_eq!(cell(&texts(&world).await["full"], "1", "words"), json!("other words"));
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(written(&world.full_sync().await), [0; 6]);

    // An edit in Notion changes the row, and the page keeps the changed row.
    let source = world.source("Things").await;
    let page = world.page(&source, "Name", "plain").await;
    world.edit(&page, json!({ "Name": { "title": [{ "text": { "content": "renamed" } }] } })).await;
    world.minutes_pass(2).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "things").to_postgres.updated, 1, "{report:#?}");
    assert_eq!(cell(&texts(&world).await["renamed"], "3", "title"), json!("renamed"));
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(world.equal().await, 3);
}

#[tokio::test]
async fn it_may_be_asked_for_later() {
    let world = world().await;
    world.configure(&MAPPING.replace("backup = true\n", ""));
    world.make().await;
    world.sync().await;
    assert!(texts(&world).await["full"].is_empty());
    world.reconfigure(|text| {
        text.replace("data_source =", "manage_schema = true\nbackup = \"Whole\"\ndata_source =")
    });
    world.make().await;
    let report = world.sync_at(Depth::Changes, None).await.unwrap();
    assert_eq!(part(&report, "things").to_notion.updated, 3, "{report:#?}");
    assert_eq!(written(&world.sync().await), [0; 6]);
}

#[tokio::test]
async fn looks_bring_it_along_where_it_is_asked_for() {
    let world = world().await;
    world.sql("UPDATE thing SET blob = (SELECT string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 2500) n)").await;
    world.configure(MAPPING);
    world.make().await;
    world.sync().await;
    let config = Config::load(&world.file(), &[]).unwrap();
    let client = setup::connect::client(&config).unwrap();
    let wiring = Wiring::connect(config).await.unwrap();
    let part = wiring.resolve().await.unwrap().mappings.remove(0);
    let pages = NotionPages::new(&client, part.mapping, part.source, Clock::system()).unwrap();
    let (pages, backups) = pages.with_backups().unwrap();
    let mut ids = Vec::new();
    pages.look(Scope::Everything, &Relatives::default(), &mut |seen| ids.push(seen.id)).await.unwrap();
    assert_eq!(ids.len(), 3);
    let mut found = 0;
    for id in ids {
        let text = backups.take(id).unwrap();
        // More than the 25 items that a list shows.
        assert!(text.len() > 100_000);
        found += ["1", "2", "3"]
            .into_iter()
            .filter(|key| backups.open(&RowKey::from(*key), &text).is_ok())
            .count();
    }
    // A plain backup does not say whose it is: it opens for any row.
    assert_eq!(found, 9);
}

#[tokio::test]
async fn a_row_that_does_not_fit_goes_without_it() {
    let world = world().await;
    // 400 KB that no compression makes smaller.
    let noise = "SELECT string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 12500) n";
    world.sql(&format!("UPDATE thing SET blob = ({noise}) WHERE id = 1")).await;
    world.configure(MAPPING);
    world.make().await;
    let report = world.sync().await;
    assert_eq!(part(&report, "things").to_notion.created, 3, "{report:#?}");
    world.nothing_left().await;
    let backup = Backup::new("things", None);
    let texts = texts(&world).await;
    assert!(matches!(backup.read("1", &texts["full"]), Err(BackupError::TooLarge(bytes)) if bytes > 800_000));
    assert!(backup.read("2", &texts["empty"]).is_ok());
    assert_eq!(written(&world.full_sync().await), [0; 6]);
}
