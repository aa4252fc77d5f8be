//! A memory from the past: a backup that was put back, a copy, a database that went back in time. Nothing is deleted or
//! written over, no page is made twice, and what agrees goes on as before.

use pagerow::{engine::Depth, store::Attention as _};
use pagerow_core::plan::ConflictKind;
use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::{
    postgres::server,
    program,
    world::{World, part, written},
};

/// Keeps all tables, as a backup does.
const BACK_UP: &str = "
CREATE SCHEMA kept;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT schemaname AS place, tablename AS name FROM pg_tables WHERE schemaname IN ('pagerow', 'public') LOOP
        EXECUTE format('CREATE TABLE kept.%I AS TABLE %I.%I', one.place || '_' || one.name, one.place, one.name);
    END LOOP;
END $$;";

/// Puts them back, in place: the database's own numbers tell nothing.
const PUT_BACK: &str = "
SET session_replication_role = replica;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT schemaname AS place, tablename AS name FROM pg_tables WHERE schemaname IN ('pagerow', 'public') LOOP
        EXECUTE format('DELETE FROM %I.%I', one.place, one.name);
        EXECUTE format('INSERT INTO %I.%I OVERRIDING SYSTEM VALUE SELECT * FROM kept.%I', one.place, one.name, one.place || '_' || one.name);
    END LOOP;
END $$;
SELECT setval('pagerow.runs_id_seq', (SELECT max(id) FROM pagerow.runs));
SELECT setval('public.products_id_seq', (SELECT max(id) FROM public.products));
RESET session_replication_role;";

/// Changes of every kind, on both sides, synced.
async fn live_on(world: &World) {
    let products = world.source("Products").await;
    world.minutes_pass(5).await;
    world
        .sql(
            "UPDATE products SET price = 50 WHERE id <= 4; DELETE FROM products WHERE id = 30;
             INSERT INTO products (name, price) VALUES ('Born later', 7)",
        )
        .await;
    let page = world.page(&products, "Name", "Product 9").await;
    world.edit(&page, json!({"Stock": 900})).await;
    world.full_sync().await;
    assert_eq!(world.equal().await, 35);
    world.minutes_pass(5).await;
}

/// After the memory went back: 4 prices that we wrote, and one stock that a person wrote, are newer in Notion; one page
/// is in the trash, one has no row.
async fn nothing_is_replayed(world: &World, why: &str) {
    let products = world.source("Products").await;
    let before = world.pages(&products).await;
    let report = world.sync_at(Depth::Changes, None).await.unwrap();
    let told = part(&report, "products");
    assert!(told.bases_lost.as_ref().is_some_and(|text| text.contains(why)), "{report:#?}");
    assert_eq!((told.to_notion, told.to_postgres.deleted, told.to_postgres.updated), Default::default());
    assert_eq!(world.pages(&products).await, before, "the pages are as they were");
    assert_eq!(told.to_postgres.inserted, 1, "the row that was lost is back: {report:#?}");
    assert_eq!(world.count("products").await, 31);
    let open = world.store().await.open_conflicts(None).await.unwrap();
    let fields = open.iter().filter(|open| matches!(open.conflict.kind, ConflictKind::Field { .. })).count();
    assert_eq!((fields, open.len()), (5, 6), "{open:#?}");
    let mut columns: Vec<&str> = open.iter().map(|open| open.column.as_str()).collect();
    columns.sort_unstable();
    assert_eq!(columns, ["", "price", "price", "price", "price", "stock"]);
    // Looked at again, nothing else happens.
    let report = world.sync_at(Depth::Everything, None).await.unwrap();
    assert_eq!((report.run, part(&report, "products").conflicts), (None, 6), "{report:#?}");
    assert_eq!(world.pages(&products).await, before);

    // What agreed goes on by the ordinary rules, deletions included; so does a record that is made equal.
    world.sql("UPDATE products SET stock = 77 WHERE id = 20; DELETE FROM products WHERE id = 21").await;
    let report = world.sync_at(Depth::Changes, None).await.unwrap();
    assert_eq!(written(&report), [0, 1, 1, 0, 0, 0], "{report:#?}");
    world.sql("UPDATE products SET price = 50 WHERE id <= 4; UPDATE products SET stock = 900 WHERE id = 9; DELETE FROM products WHERE id = 30").await;
    let report = world.full_sync().await;
    assert_eq!((written(&report), part(&report, "products").conflicts), ([0; 6], 0), "{report:#?}");
    assert_eq!(world.equal().await, 34);
    let report = world.full_sync().await;
    assert_eq!((report.run, &part(&report, "products").bases_lost), (None, &None), "{report:#?}");
}

#[tokio::test]
async fn a_backup_put_back_in_place_is_given_away_by_the_pages() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.sql(BACK_UP).await;
    live_on(&world).await;
    world.sql(PUT_BACK).await;
    // A plan says so too, and writes nothing down.
    let planned = program::run(program::with_config(&["plan"], &world.file())).await;
    assert!(planned.stderr.contains("later than we remember"), "{}", planned.stderr);
    assert!(
        planned.stdout.contains("5 conflicts") || planned.stdout.contains("6 conflicts"),
        "{}",
        planned.stdout
    );
    assert_eq!(world.count("pagerow.identity WHERE lost_since IS NOT NULL").await, 0);
    nothing_is_replayed(&world, "later than we remember").await;
}

#[tokio::test]
async fn an_engine_that_runs_sees_its_memory_go_back() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world.sql(BACK_UP).await;
    let mut engine = world.engine().await;
    world.sql("UPDATE suppliers SET city = 'Bonn' WHERE id = 1").await;
    engine.sync(&[], Depth::Changes, None, "test").await.unwrap();
    world.sql(PUT_BACK).await;
    let report = engine.sync(&[], Depth::Changes, None, "test").await.unwrap();
    let told = part(&report, "suppliers");
    assert!(told.bases_lost.as_ref().is_some_and(|why| why.contains("memory itself")), "{report:#?}");
    assert_eq!((told.conflicts, written(&report)), (1, [0; 6]), "{report:#?}");
    engine.rest().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_the_database_is_noticed_before_it_writes() {
    let world = World::with_mappings(
        SHOP,
        &MAPPINGS.replace("table = \"products\"", "table = \"products\"\non_conflict = \"prefer_postgres\""),
    )
    .await;
    world.sync().await;
    let copy = format!("{}_copy", world.database.name);
    // Nobody may be connected to what is copied.
    world.poolers_hang_up().await;
    server().copy_database(&world.database.name, &copy).await.unwrap();
    live_on(&world).await;
    world.reach_database_at(&server().url(&copy));
    let products = world.source("Products").await;
    let before = world.pages(&products).await;
    let report = world.sync_at(Depth::Changes, None).await.unwrap();
    let told = part(&report, "products");
    assert!(told.bases_lost.as_ref().is_some_and(|why| why.contains("copy")), "{report:#?}");
    // Whatever the mapping prefers: nobody knows which value is the later one.
    assert_eq!((told.conflicts, told.to_notion), (6, Default::default()), "{report:#?}");
    assert_eq!(part(&report, "suppliers").bases_lost, told.bases_lost);
    assert_eq!(world.pages(&products).await, before);
    let report = world.sync_at(Depth::Changes, None).await.unwrap();
    assert_eq!(part(&report, "suppliers").bases_lost, None, "what agrees is relied on again: {report:#?}");
    // The engine's connections end some time after it.
    world.reach_database_at(&world.database.url.clone());
    crate::support::postgres::eventually(
        "it can be dropped",
        std::time::Duration::from_secs(20),
        async || server().drop_database(&copy).await.is_ok(),
    )
    .await;
}

#[tokio::test]
async fn another_program_with_our_token_costs_conflicts_and_is_said_once() {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 3").await;
    let edit = async |price: f64| {
        world.minutes_pass(2).await;
        let answer = reqwest::Client::new()
            .patch(format!("{}/v1/pages/{}", world.notion.base_url(), page.id))
            .bearer_auth(world.notion.token())
            .header("Notion-Version", "2026-03-11")
            .json(&json!({"properties": {"Price": {"number": price}}}))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    edit(1.25).await;
    let report = world.try_sync().await.unwrap();
    assert!(part(&report, "products").bases_lost.is_some(), "{report:#?}");
    assert_eq!((part(&report, "products").conflicts, written(&report)), (1, [0; 6]));
    world.sql("UPDATE products SET price = 1.25 WHERE id = 3").await;
    world.full_sync().await;
    // Whoever says that the token is shared has such edits taken like anybody's.
    let text = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(world.file(), text.replace("[notion]", "[notion]\nshared_token = true")).unwrap();
    edit(2.5).await;
    let report = world.sync().await;
    assert_eq!((written(&report), &part(&report, "products").bases_lost), ([0, 0, 0, 0, 1, 0], &None));
    assert_eq!(world.row("SELECT price::text FROM products WHERE id = 3").await["price"], "2.50");
}
