//! What looks like a loss is stopped before anything of it is written, with numbers and with what would let it go on;
//! the other mappings go on.

use pagerow::engine::{Depth, EngineError};
use pagerow_core::guard::{Refusal, Rule};
use serde_json::{Value as Json, json};

use super::{MAPPINGS, SHOP};
use crate::support::{
    postgres::server,
    program::{self, Answer},
    world::{World, part, written},
};

async fn world() -> World {
    let world = World::with_mappings(SHOP, MAPPINGS).await;
    world.sync().await;
    world
}

fn rules(stops: &[Refusal]) -> Vec<(Rule, u64, u64)> {
    stops.iter().map(|stop| (stop.rule, stop.seen, stop.limit)).collect()
}

/// What a sync stops; it must write nothing of it.
async fn stops(world: &World) -> Vec<Refusal> {
    let products = world.source("Products").await;
    let report = world.try_sync().await.unwrap();
    assert!(!report.stopped.is_empty() && !report.quiet, "{report:#?}");
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.pages(&products).await.len(), 30);
    report.stopped
}

async fn command(world: &World, arguments: &[&str]) -> Answer {
    program::run(program::with_config(arguments, &world.file())).await
}

const ANEW: &str = "CREATE TABLE products (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, \
                    price numeric(10, 2), stock integer NOT NULL DEFAULT 0, \
                    supplier_id bigint REFERENCES suppliers ON DELETE SET NULL);";

#[tokio::test]
async fn a_table_replaced_by_an_empty_one_deletes_nothing() {
    let world = world().await;
    world.sql(&format!("DROP TABLE products; {ANEW}")).await;
    let stopped = stops(&world).await;
    assert_eq!(
        rules(&stopped),
        [(Rule::OtherTable, 30, 0), (Rule::EmptySide, 0, 30), (Rule::MassDeletion, 30, 10)]
    );
    assert!(stopped[0].text.starts_with("public.products is another table"), "{}", stopped[0].text);
    // Put right, it goes on by itself: other rows under the old keys would be another matter.
    world.sql("DROP TABLE products").await;
    world.sql(&format!("{ANEW} INSERT INTO products (name, price, stock, supplier_id) SELECT 'Product ' || n, n + 0.5, n, 1 + n % 5 FROM generate_series(1, 30) n")).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.equal().await, 35);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_table_swapped_for_an_older_copy_writes_nothing_until_a_person_takes_it_for_the_truth() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("CREATE TABLE copy (LIKE products INCLUDING ALL); INSERT INTO copy OVERRIDING SYSTEM VALUE SELECT * FROM products").await;
    world.sql("UPDATE products SET price = 99 WHERE id <= 3").await;
    world.sync().await;
    world.sql("ALTER TABLE products RENAME TO newer; ALTER TABLE copy RENAME TO products").await;
    let stopped = stops(&world).await;
    assert_eq!(rules(&stopped), [(Rule::OtherTable, 3, 0)]);
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Price"], 99);

    let report = world.sync_at(Depth::Everything, stopped[0].pass).await.unwrap();
    assert_eq!(part(&report, "products").to_notion.updated, 3, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Product 1").await.values["Price"], json!(1.5));
    // From now on it is the table that was synced.
    world.sql("UPDATE products SET price = 5 WHERE id = 9").await;
    assert_eq!(written(&world.sync().await), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn rows_that_row_level_security_hides_are_not_gone() {
    let world = World::with(SHOP).await;
    let role = format!("guard_{}", world.database.name);
    world
        .sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE {} TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON suppliers, products TO {role}",
            world.database.name
        ))
        .await;
    world.reach_database_at(&server().url_for(&role, "secret", &world.database.name));
    world.configure(MAPPINGS);
    world.make().await;
    world.sync().await;

    world.sql("ALTER TABLE products ENABLE ROW LEVEL SECURITY").await;
    let stopped = stops(&world).await;
    assert_eq!(rules(&stopped), [(Rule::HiddenRows, 30, 0)]);
    assert!(stopped[0].text.contains("30 of 30 linked rows"), "{}", stopped[0].text);
    // A policy that shows them all lets it go on.
    world.sql(&format!("CREATE POLICY half ON products TO {role} USING (id > 15)")).await;
    assert_eq!(rules(&stops(&world).await), [(Rule::HiddenRows, 15, 0)]);
    world.sql(&format!("CREATE POLICY rest ON products TO {role} USING (true)")).await;
    assert_eq!(written(&world.sync().await), [0; 6]);
    // A role that was bound from the beginning is not stopped for each row that it no longer sees, nor believed.
    world.sql("DROP POLICY rest ON products").await;
    let report = world.try_sync().await.unwrap();
    assert_eq!((report.stopped.len(), written(&report)), (0, [0; 6]), "{report:#?}");
    assert_eq!(world.pages(&world.source("Products").await).await.len(), 30);
    world.sql("UPDATE products SET stock = 4 WHERE id = 20").await;
    assert_eq!(written(&world.try_sync().await.unwrap()), [0, 1, 0, 0, 0, 0]);
    world.sql("ALTER TABLE products DISABLE ROW LEVEL SECURITY").await;
    world.full_sync().await;
    assert_eq!(world.equal().await, 35);
    world.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_trickle_of_deletions_is_stopped_like_a_flood() {
    let world = world().await;
    let products = world.source("Products").await;
    for id in 1..=10 {
        world.sql(&format!("DELETE FROM products WHERE id = {id}")).await;
        assert_eq!(written(&world.sync().await), [0, 0, 1, 0, 0, 0], "{id}");
    }
    world.sql("DELETE FROM products WHERE id = 11").await;
    let report = world.try_sync().await.unwrap();
    assert_eq!(rules(&report.stopped), [(Rule::MassDeletion, 11, 10)], "{report:#?}");
    assert!(report.stopped[0].text.contains("1 more") && report.stopped[0].text.contains("last hour"));
    assert_eq!(world.trashed(&products).await.len(), 10);
    // Whoever lets it pass has seen the ten: the count begins anew.
    let report = world.sync_at(Depth::Everything, report.stopped[0].pass).await.unwrap();
    assert_eq!(written(&report), [0, 0, 1, 0, 0, 0]);
    world.sql("DELETE FROM products WHERE id = 12").await;
    assert_eq!(written(&world.sync().await), [0, 0, 1, 0, 0, 0]);
    // An hour later nobody asks any more.
    for id in 13..=21 {
        world.sql(&format!("DELETE FROM products WHERE id = {id}")).await;
        world.sync().await;
    }
    world.sql("DELETE FROM products WHERE id = 22").await;
    assert_eq!(world.try_sync().await.unwrap().stopped.len(), 1);
    world.sql("UPDATE pagerow.steps SET finished_at = finished_at - interval '61 minutes'").await;
    assert_eq!(written(&world.sync().await), [0, 0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn the_only_record_of_a_table_may_be_deleted_but_not_truncated() {
    let world = World::with_mappings(
        "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
         INSERT INTO items (name) VALUES ('only')",
        "[mapping.items]\ntable = \"items\"\ndata_source = \"create\"\n[mapping.items.fields]\n\
         name = { property = \"Name\", as = \"title\" }\n",
    )
    .await;
    world.sync().await;
    world.sql("TRUNCATE items").await;
    assert_eq!(rules(&world.try_sync().await.unwrap().stopped), [(Rule::EmptySide, 0, 1)]);
    world.sql("INSERT INTO items OVERRIDING SYSTEM VALUE VALUES (1, 'only')").await;
    assert_eq!(written(&world.sync().await), [0; 6]);
    world.sql("DELETE FROM items").await;
    assert_eq!(written(&world.sync().await), [0, 0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_second_copy_of_the_data_is_not_taken_for_new_records() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("INSERT INTO products (name, price, stock, supplier_id) SELECT name, price, stock, supplier_id FROM products").await;
    let report = world.try_sync().await.unwrap();
    assert_eq!(rules(&report.stopped), [(Rule::MassDoubling, 30, 15)], "{report:#?}");
    assert_eq!(world.pages(&products).await.len(), 30);
    world.sql("DELETE FROM products WHERE id > 30").await;
    assert_eq!(written(&world.sync().await), [0; 6]);
}

#[tokio::test]
async fn a_token_revoked_in_mid_run_deletes_nothing_and_the_next_run_goes_on() {
    let world = world().await;
    let products = world.source("Products").await;
    world.sql("DELETE FROM products WHERE id IN (1, 2); UPDATE products SET stock = stock + 100; INSERT INTO products (name) SELECT 'New ' || n FROM generate_series(1, 5) n").await;
    let revoked = json!({"endpoint": "PATCH /v1/pages/{id}", "skip": 7, "answer": "401"});
    world.fault(revoked).await;
    world.fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "skip": 30, "answer": "401"})).await;
    let error = world.try_sync().await.unwrap_err();
    assert!(matches!(error, EngineError::RefusedBySide { .. }), "{error:?}");
    assert_eq!(world.count("products").await, 33, "nothing was deleted in Postgres");
    assert_eq!(world.trashed(&products).await.len(), 0, "deletions come last");
    // While the token does not work, nothing is concluded from what is not shown.
    world.no_faults().await;
    world.fault(json!({"answer": "401"})).await;
    let refused = command(&world, &["sync"]).await;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("token"), "{}", refused.stderr);
    assert_eq!(world.count("products").await, 33);
    world.no_faults().await;
    world.sync().await;
    assert_eq!((world.trashed(&products).await.len(), world.pages(&products).await.len()), (2, 33));
    assert_eq!(world.equal().await, 38);
    world.nothing_left().await;
}

#[tokio::test]
async fn one_mapping_s_stop_is_not_the_others_and_scripts_are_told() {
    let world = world().await;
    let suppliers = world.source("Suppliers").await;
    world.sql("TRUNCATE products; INSERT INTO suppliers (name) VALUES ('late')").await;
    let stopped = command(&world, &["sync", "--json"]).await;
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    let (report, error): (Json, Json) = (stopped.json(), serde_json::from_str(&stopped.stderr).unwrap());
    assert_eq!(report["mappings"][1]["to_notion"]["created"], 1, "the supplier has its page: {report:#}");
    assert_eq!(report["quiet"], false);
    assert_eq!(report["stopped"][0]["mapping"], "products");
    assert_eq!((&error["error"]["kind"], &error["error"]["code"]), (&json!("guard"), &json!("empty_side")));
    assert_eq!(world.pages(&suppliers).await.len(), 6);

    let name = error["error"]["override"].as_str().unwrap().to_owned();
    let plan = command(&world, &["plan", "--json"]).await;
    assert_eq!(plan.code, 3);
    let refusals = |mapping: &str| {
        let parts = plan.json()["mappings"].as_array().unwrap().clone();
        let part = parts.into_iter().find(|part| part["mapping"] == mapping).unwrap();
        part["refusals"].as_array().unwrap().clone()
    };
    assert_eq!(refusals("suppliers"), Vec::<Json>::new());
    assert!(refusals("products").iter().all(|one| one["override"] == name.as_str()));
    assert!(refusals("products").iter().all(|one| !one["advice"].as_str().unwrap().is_empty()));

    // What the others do meanwhile does not change the name of what was stopped.
    world.sql("INSERT INTO suppliers (name) VALUES ('later')").await;
    let passed = command(&world, &["sync", "--override", &name, "--json"]).await;
    assert_eq!(passed.code, 0, "{}", passed.stderr);
    assert_eq!(world.trashed(&world.source("Products").await).await.len(), 30);
    let run = passed.json()["run"].to_string();
    let shown = command(&world, &["show", &run, "--json"]).await.json();
    let overridden = &shown["overridden"][0];
    assert_eq!((&overridden["rule"], &overridden["mapping"]), (&json!("empty_side"), &json!("products")));
    assert!(!shown["who"].as_str().unwrap().is_empty(), "{shown:#}");
    let told = command(&world, &["show", &run]).await.stdout;
    assert!(told.contains("let pass what the guard would have stopped: products: "), "{told}");
}

#[tokio::test]
async fn what_refers_to_a_held_back_record_waits_for_it() {
    let world = world().await;
    let products = world.source("Products").await;
    // So many copies of suppliers are stopped; one product refers to one of them.
    world
        .sql(
            "INSERT INTO suppliers (name, city) SELECT 'Supplier 1', 'City 1' FROM generate_series(1, 11);
             INSERT INTO products (name, supplier_id) VALUES ('Waits', 10)",
        )
        .await;
    let report = world.try_sync().await.unwrap();
    assert_eq!(rules(&report.stopped), [(Rule::MassDoubling, 11, 10)], "{report:#?}");
    assert_eq!(part(&report, "products").to_notion.created, 1, "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Waits").await.values["Supplier"], Json::Null);
    let report = world.sync_at(Depth::Everything, report.stopped[0].pass).await.unwrap();
    assert!(report.quiet && report.stopped.is_empty(), "{report:#?}");
    assert_eq!(world.page(&products, "Name", "Waits").await.values["Supplier"].as_array().unwrap().len(), 1);
    assert_eq!(world.equal().await, 47);
    world.nothing_left().await;
}
