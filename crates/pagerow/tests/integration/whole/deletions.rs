//! Nothing is deleted for lack of information, and much is deleted only when a person says so.

use pagerow::engine::Depth;
use pagerow_core::guard::{Refusal, Rule};
use serde_json::json;

use super::{MAPPINGS, SHOP};
use crate::support::world::{World, part, written};

async fn world() -> World {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world
}

async fn refused(world: &World, depth: Depth) -> Vec<Refusal> {
    let report = world.sync_at(depth, None).await.unwrap();
    assert!(!report.stopped.is_empty() && !report.quiet && report.needs_decision(), "{report:#?}");
    report.stopped
}

#[tokio::test]
async fn a_deleted_row_puts_its_page_in_the_trash() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("DELETE FROM products WHERE id IN (3, 4)").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 2, 0, 0, 0], "{report:#?}");
    let trashed = world.trashed(&products).await;
    let mut names: Vec<_> = trashed.iter().map(|page| page["values"]["Name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Product 3", "Product 4"]);
    assert_eq!(world.equal().await, 33);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_row_deleted_and_made_again_in_between_is_one_record() {
    let world = world().await;
    world
        .sql(
            "DELETE FROM products WHERE id = 3;
             INSERT INTO products (id, name, price) OVERRIDING SYSTEM VALUE VALUES (3, 'Product 3 again', 1)",
        )
        .await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 1, 0, 0, 0, 0], "{report:#?}");
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn a_trashed_page_asks_and_the_row_stays() {
    let world = world().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 7").await;
    world.trash(&page).await;
    for _ in 0..2 {
        let report = world.full_sync().await;
        assert_eq!((part(&report, "products").conflicts, written(&report)), (1, [0; 6]), "{report:#?}");
        assert!(report.needs_decision());
    }
    assert_eq!(world.count("products").await, 30);
    // Taken out of the trash again, nothing is left to ask.
    world.control("POST", &format!("pages/{}/restore", page.id), &json!({})).await;
    let report = world.full_sync().await;
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn an_edit_of_the_row_brings_its_trashed_page_back() {
    let world = world().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 7").await;
    world.trash(&page).await;
    world.sql("UPDATE products SET stock = 71 WHERE id = 7").await;
    let report = world.full_sync().await;
    assert!(!report.needs_decision(), "{report:#?}");
    assert_eq!(part(&report, "products").revived, 1, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 7").await.values["Stock"], 71);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn an_edit_of_the_page_brings_its_deleted_row_back() {
    let world = world().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 7").await;
    world.edit(&page, json!({"Stock": 72})).await;
    world.sql("DELETE FROM products WHERE id = 7").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "products").revived, 1, "{report:#?}");
    assert_eq!(world.row("SELECT stock FROM products WHERE id = 7").await["stock"], 72);
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn an_emptied_table_is_stopped_with_numbers_until_a_person_lets_that_plan_pass() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("TRUNCATE products").await;
    let stopped = refused(&world, Depth::Changes).await;
    let rules: Vec<(Rule, u64, u64)> = stopped.iter().map(|r| (r.rule, r.seen, r.limit)).collect();
    assert_eq!(rules, [(Rule::EmptySide, 0, 30), (Rule::MassDeletion, 30, 10)]);
    assert_eq!(world.pages(&products).await.len(), 30);
    // Again and again, and a full look says the same.
    let full = refused(&world, Depth::Everything).await;
    assert_eq!(stopped[0].pass, full[0].pass, "what was stopped is what may pass");
    assert_eq!(world.pages(&products).await.len(), 30);

    // Another plan of the same mapping does not pass by that name; what the others do is no business of it.
    let page = world.page(&products, "Name", "Product 7").await;
    world.edit(&page, json!({ "Stock": 71 })).await;
    let again = world.sync_at(Depth::Everything, full[0].pass).await.unwrap();
    assert_eq!((again.stopped.len(), written(&again)), (2, [0; 6]), "{again:#?}");
    assert_eq!(world.pages(&products).await.len(), 30);
    world.edit(&page, json!({ "Stock": page.values["Stock"] })).await;

    let pass = refused(&world, Depth::Everything).await[0].pass;
    world.sql("INSERT INTO suppliers (name) VALUES ('late')").await;
    let report = world.sync_at(Depth::Everything, pass).await.unwrap();
    assert_eq!(written(&report), [1, 0, 30, 0, 0, 0], "{report:#?}");
    assert_eq!(world.trashed(&products).await.len(), 30);
    assert_eq!(world.equal().await, 6);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_restored_table_after_a_stop_leaves_nothing_to_do() {
    let world = world().await;
    world.sql("CREATE TABLE kept AS SELECT * FROM products; TRUNCATE products").await;
    refused(&world, Depth::Changes).await;
    world.sql("INSERT INTO products OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn half_of_the_rows_gone_is_stopped() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("DELETE FROM products WHERE id > 15").await;
    let stopped = refused(&world, Depth::Changes).await;
    let rules: Vec<(Rule, u64, u64)> = stopped.iter().map(|r| (r.rule, r.seen, r.limit)).collect();
    assert_eq!(rules, [(Rule::MassDeletion, 15, 10)]);
    assert!(stopped[0].text.contains("15 of 30"), "{}", stopped[0].text);
    assert_eq!(world.pages(&products).await.len(), 30);
}

#[tokio::test]
async fn a_lost_share_deletes_nothing() {
    let world = world().await;
    let (database, products) = world.place("Products").await;
    world.control("POST", "unshare", &json!({ "id": database })).await;
    let wiring = pagerow::wiring::Wiring::connect(pagerow::config::Config::load(&world.file(), &[]).unwrap())
        .await
        .unwrap();
    let resolution = wiring.resolve().await.unwrap();
    let paused: Vec<&str> = resolution.paused.iter().map(|pause| pause.mapping.as_str()).collect();
    assert_eq!(paused, ["products"], "a command says so before it looks");
    assert!(resolution.mappings.iter().all(|part| part.mapping.name != "products"));
    world.control("POST", "share", &json!({ "id": database })).await;

    // In the middle of a daemon's life.
    let mut engine = world.engine().await;
    world.control("POST", "unshare", &json!({ "id": database })).await;
    for depth in [Depth::Changes, Depth::Everything] {
        // The mapping pauses, and the other one goes on.
        let report = engine.sync(&[], depth, None, "test").await.unwrap();
        assert_eq!(written(&report), [0; 6], "{report:#?}");
    }
    world.control("POST", "share", &json!({ "id": database })).await;
    engine.rest().await.unwrap();
    assert_eq!((world.count("products").await, world.pages(&products).await.len()), (30, 30));
    world.nothing_left().await;
}

#[tokio::test]
async fn a_database_in_the_trash_deletes_nothing() {
    let world = World::with_mappings(
        SHOP,
        &MAPPINGS.replace("[mapping.products]", "[mapping.products]\non_page_trashed = \"delete\""),
    )
    .await;
    world.sync().await;
    let (database, _) = world.place("Products").await;
    let mut engine = world.engine().await;
    world.control("POST", &format!("databases/{database}/trash"), &json!({})).await;
    for depth in [Depth::Changes, Depth::Everything] {
        let _ = engine.sync(&[], depth, None, "test").await;
        assert_eq!(world.count("products").await, 30);
    }
    world.control("POST", &format!("databases/{database}/restore"), &json!({})).await;
    engine.rest().await.unwrap();
    world.nothing_left().await;
    assert_eq!(world.equal().await, 35);
}

#[tokio::test]
async fn pages_trashed_by_the_dozen_are_stopped_where_they_would_delete_rows() {
    let world = World::with_mappings(
        SHOP,
        &MAPPINGS.replace("[mapping.products]", "[mapping.products]\non_page_trashed = \"delete\""),
    )
    .await;
    world.sync().await;
    let products = world.source("Products").await;
    let few = world.page(&products, "Name", "Product 30").await;
    world.trash(&few).await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 0, 1], "{report:#?}");
    for number in 1..=29 {
        let page = world.page(&products, "Name", format!("Product {number}")).await;
        world.trash(&page).await;
    }
    let stopped = refused(&world, Depth::Everything).await;
    assert!(stopped.iter().any(|r| r.rule == Rule::MassDeletion && r.seen == 30), "{stopped:?}");
    assert_eq!(world.count("products").await, 29);
}

#[tokio::test]
async fn a_column_blanked_everywhere_is_stopped() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("UPDATE products SET price = NULL").await;
    let stopped = refused(&world, Depth::Changes).await;
    assert_eq!((stopped[0].rule, stopped[0].seen), (Rule::MassBlanking, 30));
    assert!(world.pages(&products).await.iter().all(|page| !page["values"]["Price"].is_null()));
}

#[tokio::test]
async fn archived_and_moved_pages_are_not_deleted_ones() {
    let world = World::with_mappings(
        SHOP,
        &MAPPINGS.replace("[mapping.products]", "[mapping.products]\non_page_trashed = \"delete\""),
    )
    .await;
    world.sync().await;
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 5").await;
    world.control("PATCH", &format!("pages/{}", page.id), &json!({"is_archived": true})).await;
    let report = world.full_sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.count("products").await, 30);
}

/// A daemon's passes over products, as its schedule makes them: deletions wait for a second pass.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_daemon_a_deletion_waits_for_a_second_look_and_an_edit_does_not() {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use pagerow::engine::{Beat, Progress, Schedule, Stop, Wake};

    let world = world().await;
    let products = world.source("Products").await;
    let config = pagerow::config::Config::load(&world.file(), &[]).unwrap();
    let wiring = pagerow::wiring::Wiring::connect(config).await.unwrap();
    let (stop, wake) = (Stop::default(), Wake::default());
    let (mut engine, _) = wiring.engine(Progress::silent(), stop.clone()).await.unwrap();
    let wait = Duration::from_secs(2);
    let seen: Arc<Mutex<Vec<[u64; 6]>>> = Arc::default();
    let tells = Arc::clone(&seen);
    let daemon = async {
        let mut schedule = Schedule::new(["suppliers", "products"].map(|name| (name.to_owned(), wait)));
        let told = engine.keep_equal(&mut schedule, &wake, "test", |beat| {
            if let Beat::Ended { result, .. } = beat {
                tells.lock().unwrap().push(written(&result.unwrap()));
            }
        });
        told.await.unwrap();
    };
    let passes = |more_than: usize| {
        let seen = Arc::clone(&seen);
        async move {
            let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
            while seen.lock().unwrap().len() <= more_than {
                assert!(tokio::time::Instant::now() < deadline, "no pass");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let people = async {
        passes(0).await;
        // A table that is reloaded in two transactions, with a pass in between.
        world
        .sql("CREATE TABLE kept AS SELECT * FROM products WHERE id <= 5; DELETE FROM products WHERE id <= 5")
        .await;
        world.sql("UPDATE products SET stock = 700 WHERE id = 7").await;
        let before = seen.lock().unwrap().len();
        wake.call();
        passes(before).await;
        assert_eq!(
            world.page(&products, "Name", "Product 7").await.values["Stock"],
            700,
            "an edit does not wait"
        );
        assert!(world.trashed(&products).await.is_empty(), "{:?}", seen.lock().unwrap());
        world.sql("INSERT INTO products OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
        let before = seen.lock().unwrap().len();
        passes(before + 2).await;
        assert!(world.trashed(&products).await.is_empty(), "{:?}", seen.lock().unwrap());
        assert_eq!(world.pages(&products).await.len(), 30);
        // One that stays deleted is carried out a pass later.
        world.sql("DELETE FROM products WHERE id = 3").await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while world.trashed(&products).await.is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", seen.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.ask();
    };
    tokio::join!(daemon, people);
    assert_eq!(world.equal().await, 34);
    world.nothing_left().await;
}
