//! How columns and options are added, kept, renamed, retyped and removed.

use serde_json::{Value as Json, json};

use crate::house::{House, Table, title};

async fn change(house: &House, table: &Table, properties: Json) -> Json {
    let path = format!("/v1/data_sources/{}", table.source);
    house.ok("PATCH", &path, json!({ "properties": properties })).await["properties"].clone()
}

fn names(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|option| option["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_top_level_schema_is_silently_ignored() {
    let house = House::new().await;
    let body = json!({
        "parent": {"page_id": house.emulator.parent_page_id()}, "properties": {"N": {"number": {}}, "Name": {"title": {}}},
    });
    let made = house.ok("POST", "/v1/databases", body).await;
    let path = format!("/v1/data_sources/{}", made["data_sources"][0]["id"].as_str().unwrap());
    let schema = house.ok("GET", &path, Json::Null).await;
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Name"]);
}

#[tokio::test]
async fn a_schema_has_exactly_one_title() {
    let house = House::new().await;
    for properties in [json!({"N": {"number": {}}}), json!({"A": {"title": {}}, "B": {"title": {}}})] {
        let body = json!({
            "parent": {"page_id": house.emulator.parent_page_id()}, "initial_data_source": {"properties": properties},
        });
        house.fails(400, "POST", "/v1/databases", body).await;
    }
}

#[tokio::test]
async fn an_option_list_replaces_and_rows_lose_what_is_left_out() {
    let house = House::new().await;
    let table = house
        .table("T", json!({"Name": {"title": {}}, "Tier": {"select": {}}, "Tags": {"multi_select": {}}, "Stage": {"status": {}}}))
        .await;
    let row = house
        .row(&table, json!({
            "Tier": {"select": {"name": "Gold", "color": "yellow"}},
            "Tags": {"multi_select": [{"name": "a"}, {"name": "b"}]}, "Stage": {"status": {"name": "Done"}},
        }))
        .await;
    assert_eq!(row["properties"]["Tier"]["select"]["color"], "yellow");
    let b = row["properties"]["Tags"]["multi_select"][1]["id"].clone();
    let changed = change(&house, &table, json!({
        "Tier": {"select": {"options": [{"name": "Silver"}]}},
        "Tags": {"multi_select": {"options": [{"id": b, "name": "renamed"}]}},
        "Stage": {"status": {"options": [{"name": "Not started"}, {"name": "Late", "group": "Complete"}]}},
    }))
    .await;
    assert_eq!(names(&changed["Tags"]["multi_select"]["options"]), ["b"], "names do not change by id");
    let groups = changed["Stage"]["status"]["groups"].as_array().unwrap();
    assert_eq!(groups[2]["option_ids"][0], changed["Stage"]["status"]["options"][1]["id"]);
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    let row = house.ok("GET", &path, Json::Null).await;
    assert_eq!(row["properties"]["Tier"]["select"], Json::Null);
    assert_eq!(names(&row["properties"]["Tags"]["multi_select"]), ["b"]);
    assert_eq!(row["properties"]["Stage"]["status"]["name"], "Not started", "moved silently");
}

#[tokio::test]
async fn a_refused_change_leaves_the_schema_as_it_was() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "Tier": {"select": {"options": [{"name": "Gold", "color": "yellow"}]}}})).await;
    let path = format!("/v1/data_sources/{}", table.source);
    for properties in [
        json!({"A": {"number": {}}, "Tier": {"select": {"options": [{"name": "Gold", "color": "red"}]}}}),
        json!({"A": {"number": {}}, "F": {"formula": {"expression": "prop(\"Nope\")"}}}),
        json!({"A": {"number": {}}, "Nope": null}),
        json!({"A": {"number": {}}, "Name": {"rich_text": {}}}),
        json!({"A": {"number": {}}, "Tier": {"name": "Name"}}),
        json!({"A": {"number": {}}, "Nope": {"name": "B"}}),
        json!({"A": {"number": {}, "description": "x".repeat(281)}}),
        json!({"A": {"number": {}}, "R": {"relation": {"data_source_id": "00000000-0000-4000-8000-000000000000", "single_property": {}}}}),
    ] {
        let (status, error) = house.call("PATCH", &path, json!({ "properties": properties })).await;
        assert!(matches!(status, 400 | 404), "{properties}: {error}");
        let schema = house.ok("GET", &path, Json::Null).await;
        assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Name", "Tier"]);
    }
}

#[tokio::test]
async fn a_refused_change_leaves_the_values_as_they_were() {
    let house = House::new().await;
    let table =
        house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}, "Z": {"number": {}}})).await;
    let row = house.row(&table, json!({"N": {"number": 7}, "Z": {"number": 8}})).await;
    let path = format!("/v1/data_sources/{}", table.source);
    let wrong =
        json!({"N": {"rich_text": {}}, "Y": {"formula": {"expression": "prop(\"Nope\")"}}, "Z": null});
    house.fails(400, "PATCH", &path, json!({"properties": wrong})).await;
    let same = house.ok("GET", &format!("/v1/pages/{}", row["id"].as_str().unwrap()), Json::Null).await;
    assert_eq!(same["properties"], row["properties"]);
    let swap = json!({"Z": null, "N": {"name": "Z"}});
    let changed = change(&house, &table, swap).await;
    assert_eq!(changed["Z"]["id"], row["properties"]["N"]["id"]);
}

#[tokio::test]
async fn retyping_reads_the_values_again() {
    let house = House::new().await;
    let table = house
        .table(
            "T",
            json!({"Name": {"title": {}}, "N": {"number": {}}, "D": {"date": {}}, "S": {"select": {}}}),
        )
        .await;
    let row = house
        .row(&table, json!({"N": {"number": 7}, "D": {"date": {"start": "2026-01-01"}}, "S": {"select": {"name": "x"}}}))
        .await;
    let before = change(&house, &table, json!({})).await;
    let after = change(
        &house,
        &table,
        json!({"N": {"rich_text": {}}, "D": {"rich_text": {}}, "S": {"multi_select": {}}}),
    )
    .await;
    assert_eq!(before["N"]["id"], after["N"]["id"]);
    let row = house.ok("GET", &format!("/v1/pages/{}", row["id"].as_str().unwrap()), Json::Null).await;
    assert_eq!(row["properties"]["N"]["rich_text"][0]["plain_text"], "7");
    assert_eq!(row["properties"]["D"]["rich_text"][0]["plain_text"], "2026-01-01");
    assert_eq!(names(&row["properties"]["S"]["multi_select"]), ["x"]);
}

#[tokio::test]
async fn renaming_a_column_is_seen_in_rows_that_were_read_before() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    house.row(&table, json!({"Name": title("a"), "N": {"number": 7}})).await;
    house.query(&table, json!({})).await;
    change(&house, &table, json!({"N": {"name": "Count"}})).await;
    let rows = house.query(&table, json!({})).await;
    assert_eq!(rows["results"][0]["properties"]["Count"]["number"], 7);
}

#[tokio::test]
async fn people_can_rename_an_option_and_its_id_stays() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "S": {"select": {}}})).await;
    let row = house.row(&table, json!({"S": {"select": {"name": "old"}}})).await;
    house.query(&table, json!({})).await;
    house
        .control(
            "PATCH",
            &format!("data_sources/{}", table.source),
            json!({"rename_options": {"S": {"old": "new"}}}),
        )
        .await;
    let again = house.query(&table, json!({})).await["results"][0]["properties"]["S"]["select"].clone();
    assert_eq!(again["name"], "new");
    assert_eq!(again["id"], row["properties"]["S"]["select"]["id"]);
}

#[tokio::test]
async fn numbering_begins_with_the_rows_that_are_there() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    for name in ["a", "b"] {
        house.row(&table, json!({"Name": title(name)})).await;
    }
    change(&house, &table, json!({"No": {"unique_id": {}}})).await;
    let third = house.row(&table, json!({"Name": title("c")})).await;
    assert_eq!(third["properties"]["No"]["unique_id"]["number"], 3);
}
