//! More pages than Notion lists in one query, both ways, and reads that break off.

use std::time::Duration;

use pagerow::engine::{Depth, EngineError};
use serde_json::json;

use crate::support::world::{World, written};

const TABLES: &str = "
CREATE TABLE pushed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, number integer);
CREATE TABLE pulled (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, number integer);
";

fn mapping(name: &str) -> String {
    format!(
        "[mapping.{name}]\ntable = \"{name}\"\ndata_source = \"create\"\n[mapping.{name}.fields]\n\
         name = {{ property = \"Name\", as = \"title\" }}\nnumber = \"Number\"\n"
    )
}

impl World {
    /// Notion's clock runs so fast that no minute holds more than Notion lists of one, as it is at the true pace.
    pub async fn fast_minutes<T>(&self, work: impl Future<Output = T>) -> T {
        let ticking = async {
            loop {
                self.minutes_pass(1).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        };
        tokio::select! {
            done = work => done,
            () = ticking => unreachable!("the clock never stops"),
        }
    }
}

async fn pushed(rows: u64, cap: Option<u64>) -> World {
    let world = World::with_mappings(TABLES, &mapping("pushed")).await;
    if let Some(cap) = cap {
        world.control("POST", "caps", &json!({ "results": cap })).await;
    }
    world
        .sql(&format!(
            "INSERT INTO pushed (name, number) SELECT 'Row ' || n, n FROM generate_series(1, {rows}) n"
        ))
        .await;
    let report = world.fast_minutes(world.sync()).await;
    assert_eq!(written(&report), [rows, 0, 0, 0, 0, 0], "{report:#?}");
    assert!(report.calls <= rows + rows / 20 + 30, "{} calls", report.calls);
    assert_eq!(world.pages(&world.source("Pushed").await).await.len() as u64, rows);
    assert_eq!(world.equal().await, rows);
    world.nothing_left().await;
    world
}

async fn pulled(rows: u64, cap: Option<u64>) -> World {
    let world = World::with_mappings(TABLES, &mapping("pulled")).await;
    if let Some(cap) = cap {
        world.control("POST", "caps", &json!({ "results": cap })).await;
    }
    let source = world.source("Pulled").await;
    let body = json!({ "count": rows, "created_time": "2026-01-05T08:00:00Z", "step_ms": 700 });
    world.control("POST", &format!("data_sources/{source}/rows?ids=false"), &body).await;
    let report = world.fast_minutes(world.sync()).await;
    // Every page becomes a row, and gets its row's key.
    assert_eq!(written(&report), [0, rows, 0, rows, 0, 0], "{report:#?}");
    assert_eq!(u64::try_from(world.count("pulled").await).unwrap(), rows);
    assert_eq!(u64::try_from(world.count("(SELECT DISTINCT name FROM pulled) names").await).unwrap(), rows);
    assert_eq!(world.equal().await, rows);
    world.nothing_left().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_notion_lists_are_pushed() {
    pushed(1_200, Some(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_pages_than_notion_lists_are_pulled() {
    pulled(1_200, Some(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_thousand_rows_survive_the_true_cap_both_ways() {
    let world = pushed(12_000, None).await;
    let source = world.source("Pushed").await;
    world.configure(&format!(
        "[mapping.pulled]\ntable = \"pulled\"\ndata_source = \"{source}\"\nkey_property = false\n\
         direction = \"to_postgres\"\n[mapping.pulled.fields]\n\
         name = {{ property = \"Name\", as = \"title\" }}\nnumber = \"Number\"\n"
    ));
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 12_000, 0, 0], "{report:#?}");
    let same = "(SELECT name, number FROM pulled INTERSECT SELECT name, number FROM pushed) same";
    assert_eq!(world.count(same).await, 12_000);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_breaks_off_concludes_nothing_and_the_next_one_heals() {
    let world = pushed(600, Some(200)).await;
    let source = world.source("Pushed").await;
    // Something to do on each side, so that a wrong conclusion would show.
    world.sql("DELETE FROM pushed WHERE id = 5; UPDATE pushed SET number = -1 WHERE id = 6").await;
    let page = world.page(&source, "Name", "Row 7").await;
    world.edit(&page, json!({"Number": -2})).await;
    for (answer, skip) in [("drop", 2), ("500", 3), ("truncated", 4), ("502", 1)] {
        world
            .fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "skip": skip, "answer": answer}))
            .await;
        let error = world.sync_at(Depth::Everything, None).await.unwrap_err();
        assert!(matches!(error, EngineError::Pages { .. }), "{answer}: {error:?}");
        world.no_faults().await;
        assert_eq!(world.count("pushed").await, 599);
        assert_eq!(world.count("pushed WHERE number < 0").await, 1);
        assert_eq!(world.pages(&source).await.len(), 600);
    }
    let healed = world.full_sync().await;
    assert_eq!(written(&healed), [0, 1, 1, 0, 1, 0], "{healed:#?}");
    assert_eq!(world.equal().await, 599);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_notion_does_not_list_whole_is_never_taken_for_complete() {
    let world = World::with_mappings(TABLES, &mapping("pushed")).await;
    world.control("POST", "clock", &json!({"freeze": true})).await;
    world.sql("INSERT INTO pushed (name, number) SELECT 'Row ' || n, n FROM generate_series(1, 300) n").await;
    world.sync().await;
    world.control("POST", "caps", &json!({"results": 100})).await;
    let error = world.sync_at(Depth::Everything, None).await.unwrap_err();
    assert!(matches!(error, EngineError::Pages { .. }), "{error:?}");
    let source = world.source("Pushed").await;
    assert_eq!((world.count("pushed").await, world.pages(&source).await.len()), (300, 300));
    world.control("POST", "caps", &json!({"results": 10_000})).await;
    world.nothing_left().await;
}
