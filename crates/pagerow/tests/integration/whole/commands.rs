//! Northwind by commands alone, as a newcomer types them.

use serde_json::{Value as Json, json};

use crate::support::{desk::Desk, postgres::northwind};

fn sum(report: &Json, side: &str) -> u64 {
    let counts = |mapping: &Json| -> u64 {
        mapping[side].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    report["mappings"].as_array().unwrap().iter().map(counts).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn northwind_is_kept_equal_by_commands() {
    let Some(sql) = northwind() else { return };
    let desk = Desk::with(&sql).await;
    desk.json(0, &["init", "--yes"]).await;
    desk.json(0, &["schema", "apply", "--yes"]).await;
    let plan = desk.json(4, &["plan", "--detailed-exitcode"]).await;
    let first = desk.json(0, &["sync"]).await;
    let rows = sum(&first, "to_notion");
    assert!(rows > 3_000, "{first:#}");
    assert_eq!((plan["calls"].as_u64(), sum(&first, "to_postgres")), (Some(rows), 0));
    assert!(first["calls"].as_u64().unwrap() <= rows + rows / 50 + 24, "{first:#}");
    let verdict = desk.json(0, &["verify"]).await;
    assert_eq!(verdict["equal"], true);
    let equal: u64 =
        verdict["mappings"].as_array().unwrap().iter().map(|one| one["equal"].as_u64().unwrap()).sum();
    assert_eq!(equal, rows);
    let second = desk.json(0, &["sync"]).await;
    assert_eq!((&second["run"], &second["quiet"]), (&Json::Null, &json!(true)), "{second:#}");
    assert_eq!(sum(&second, "to_notion") + sum(&second, "to_postgres"), 0);
    let runs = desk.json(0, &["runs"]).await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs:#}");
    desk.json(0, &["plan", "--detailed-exitcode"]).await;
}
