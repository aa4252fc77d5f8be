//! Trash, archive, restoring and purging.

use serde_json::{Value as Json, json};

use crate::house::{House, title};

#[tokio::test]
async fn trashed_rows_leave_queries_and_stay_readable() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a")})).await;
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    house.ok("PATCH", &path, json!({"in_trash": true})).await;
    assert!(house.titles(&table, json!({})).await.is_empty());
    assert_eq!(house.ok("GET", &path, Json::Null).await["in_trash"], true);
    let error = house.fails(400, "PATCH", &path, json!({"properties": {"N": {"number": 1}}})).await;
    assert_eq!(
        error["message"],
        "Can't edit block that is archived. You must unarchive the block before editing."
    );
    house.ok("PATCH", &path, json!({"in_trash": true})).await;
    house.ok("PATCH", &path, json!({"in_trash": false, "properties": {"N": {"number": 1}}})).await;
    assert_eq!(house.titles(&table, json!({})).await, ["a"]);
    house.control("POST", &format!("pages/{}/purge", row["id"].as_str().unwrap()), json!({})).await;
    house.fails(404, "GET", &path, Json::Null).await;
}

#[tokio::test]
async fn archived_rows_are_listed_only_when_asked_for() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a")})).await;
    house.row(&table, json!({"Name": title("b")})).await;
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    let archived = house.ok("PATCH", &path, json!({"is_archived": true})).await;
    assert_eq!((archived["is_archived"].clone(), archived["in_trash"].clone()), (json!(true), json!(false)));
    assert_eq!(house.titles(&table, json!({})).await, ["b"]);
    assert_eq!(house.titles(&table, json!({"is_archived": true})).await, ["a"]);
}

#[tokio::test]
async fn deleting_by_block_id_reaches_rows_and_databases() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a")})).await;
    let gone = house.ok("DELETE", &format!("/v1/blocks/{}", row["id"].as_str().unwrap()), Json::Null).await;
    assert_eq!((gone["type"].as_str(), gone["in_trash"].as_bool()), (Some("child_page"), Some(true)));
    let gone = house.ok("DELETE", &format!("/v1/blocks/{}", table.database), Json::Null).await;
    assert_eq!(gone["type"], "child_database");
    house.fails(404, "POST", &format!("/v1/data_sources/{}/query", table.source), json!({})).await;
    let row = crate::house::new_row(&table, json!({}));
    house.fails(400, "POST", "/v1/pages", row).await;
    let search = json!({"filter": {"property": "object", "value": "data_source", "in_trash": true}});
    let found = house.ok("POST", "/v1/search", search).await;
    assert_eq!(found["results"][0]["id"], table.source);
}
