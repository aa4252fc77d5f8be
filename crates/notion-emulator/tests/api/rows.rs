//! What rows take, what they refuse, and what they read back.

use serde_json::{Value as Json, json};

use crate::house::{House, OLD, new_row, text, title};

fn all_kinds() -> Json {
    json!({
        "Name": {"title": {}}, "Note": {"rich_text": {}}, "N": {"number": {}}, "Tier": {"select": {}},
        "Tags": {"multi_select": {}}, "Stage": {"status": {}}, "Due": {"date": {}}, "Who": {"people": {}},
        "Doc": {"files": {}}, "Done": {"checkbox": {}}, "Site": {"url": {}}, "Mail": {"email": {}},
        "No": {"unique_id": {"prefix": "X"}}, "At": {"created_time": {}},
    })
}

#[tokio::test]
async fn empty_rows_read_as_empty_values() {
    let house = House::new().await;
    let table = house.table("T", all_kinds()).await;
    let row = house.row(&table, json!({})).await;
    let value = |name: &str| {
        let property = &row["properties"][name];
        property[property["type"].as_str().unwrap()].clone()
    };
    for (name, expected) in [
        ("Name", json!([])),
        ("Note", json!([])),
        ("N", Json::Null),
        ("Tier", Json::Null),
        ("Tags", json!([])),
        ("Due", Json::Null),
        ("Who", json!([])),
        ("Doc", json!([])),
        ("Done", json!(false)),
        ("Site", Json::Null),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert_eq!(value("Stage")["name"], "Not started");
    assert_eq!(value("No"), json!({"prefix": "X", "number": 1}));
    assert!(value("At").as_str().unwrap().ends_with(":00.000Z"));
    assert!(row["url"].as_str().unwrap().starts_with("https://app.notion.com/p/"));
}

#[tokio::test]
async fn values_are_checked_in_notions_words() {
    let house = House::new().await;
    let table = house.table("T", all_kinds()).await;
    let long = "x".repeat(2602);
    for (name, value, message) in [
        ("N", json!({"rich_text": []}), "N is expected to be number."),
        ("N", json!({"number": "7"}), "body.properties.N.number should be a number or `null`"),
        ("N", json!({"number": 7, "id": "abcd"}), "body.properties.N.id should be not present"),
        ("Nope", json!({"number": 7}), "Nope is not a property that exists."),
        ("No", json!({"unique_id": {}}), "body failed validation. Fix one:"),
        ("At", json!({"created_time": "2026-01-01"}), "body.properties.At.title should be defined"),
        (
            "Note",
            text(&long),
            "body.properties.Note.rich_text[0].text.content.length should be ≤ `2000`, instead was `2602`.",
        ),
        (
            "Due",
            json!({"date": {"start": "2022/01/02"}}),
            "body.properties.Due.date.start should be a valid ISO 8601 date string, instead was `\"2022/01/02\"`.",
        ),
        ("Due", json!({"date": {"start": "2026-01-01", "note": 1}}), "date.note should be not present"),
        ("Site", json!({"url": ""}), "body.properties.Site.url should be a non-empty string"),
        ("Mail", json!({"email": "x".repeat(201)}), "should be ≤ `200`"),
        ("Done", json!({"checkbox": null}), "checkbox should be a boolean"),
        (
            "Tags",
            json!({"multi_select": [{"name": "a,b"}]}),
            "Invalid multi_select option, commas not allowed: a,b",
        ),
        (
            "Stage",
            json!({"status": {"name": "X"}}),
            "Invalid status option. Status option \"X\" does not exist",
        ),
        (
            "Doc",
            json!({"files": [{"external": {"url": "https://x.example"}}]}),
            "body.properties.Doc.files[0].name should be defined",
        ),
        (
            "Tags",
            json!({"multi_select": vec![json!({"name": "x"}); 101]}),
            "should be ≤ `100`, instead was `101`.",
        ),
    ] {
        let error = house.fails(400, "POST", "/v1/pages", new_row(&table, json!({ name: value }))).await;
        assert_eq!(error["code"], "validation_error");
        assert!(error["message"].as_str().unwrap().contains(message), "{name}: {}", error["message"]);
    }
    assert!(house.titles(&table, json!({})).await.is_empty(), "a refused row leaves nothing");
}

#[tokio::test]
async fn the_read_form_of_a_parent_is_refused() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let row = house.row(&table, json!({})).await;
    let error =
        house.fails(400, "POST", "/v1/pages", json!({"parent": row["parent"], "properties": {}})).await;
    assert!(error["message"].as_str().unwrap().contains("body.parent.database_id should be not present"));
    house
        .fails(400, "POST", "/v1/pages", json!({"parent": {"data_source_id": table.source}, "propertys": {}}))
        .await;
    let database = json!({"parent": {"database_id": table.database}, "properties": {}});
    house.ok("POST", "/v1/pages", database).await;
}

#[tokio::test]
async fn properties_are_known_by_name_and_by_both_forms_of_the_id() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let row = house.row(&table, json!({"title": title("a"), "N": {"number": 1}})).await;
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    let id = row["properties"]["N"]["id"].as_str().unwrap();
    let changed = house.ok("PATCH", &path, json!({"properties": {id: {"number": 2}}})).await;
    assert_eq!(changed["properties"]["N"]["number"], 2);
    let item = house.ok("GET", &format!("{path}/properties/{id}"), Json::Null).await;
    assert_eq!((item["object"].as_str(), item["number"].as_i64()), (Some("property_item"), Some(2)));
    let twice = house.fails(400, "GET", &format!("{path}/properties/%2541bcd"), Json::Null).await;
    assert_eq!(twice["message"], "%41bcd is not a property that exists.");
    let narrow =
        house.ok("GET", &format!("{path}?filter_properties=N&filter_properties=title"), Json::Null).await;
    assert_eq!(narrow["properties"].as_object().unwrap().len(), 2);
    house.fails(400, "GET", &format!("{path}?filter_properties=Nope"), Json::Null).await;
}

#[tokio::test]
async fn titles_come_last_among_the_properties() {
    let house = House::new().await;
    let table = house.table("T", all_kinds()).await;
    house.row(&table, json!({})).await;
    let path = format!("/v1/data_sources/{}/query", table.source);
    let answer = house.request("POST", &path).json(&json!({})).send().await.unwrap().text().await.unwrap();
    let from = answer.find("\"properties\":{").unwrap();
    let last = answer[from..].rfind("\"id\":\"title\"").unwrap();
    assert!(!answer[from + last + 15..].contains("\"type\":\"status\""));
}

#[tokio::test]
async fn a_minute_hides_edits_within_it() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    house.control("POST", "clock", json!({"now": "2026-05-01T10:00:10Z", "freeze": true})).await;
    let row = house.row(&table, json!({})).await;
    assert_eq!(row["created_time"], "2026-05-01T10:00:00.000Z");
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    house.control("POST", "clock", json!({"advance_ms": 40_000})).await;
    let same = house.ok("PATCH", &path, json!({"properties": {"N": {"number": 1}}})).await;
    assert_eq!(same["last_edited_time"], row["last_edited_time"]);
    house.control("POST", "clock", json!({"advance_ms": 10_000})).await;
    let later = house.ok("PATCH", &path, json!({"properties": {"N": {"number": 2}}})).await;
    assert_eq!(later["last_edited_time"], "2026-05-01T10:01:00.000Z");
    assert_eq!(later["created_time"], row["created_time"]);
}

#[tokio::test]
async fn numbers_keep_what_a_double_keeps() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    for (given, read) in [
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("0.1", 0.1),
        ("-3", -3.0),
        ("1e300", 1e300),
        ("12.50", 12.5),
    ] {
        let body = format!(
            "{{\"parent\":{{\"data_source_id\":\"{}\"}},\"properties\":{{\"N\":{{\"number\":{given}}}}}}}",
            table.source
        );
        let request =
            house.request("POST", "/v1/pages").header("content-type", "application/json").body(body);
        let row: Json = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(row["properties"]["N"]["number"].as_f64(), Some(read), "{given}");
    }
}

#[tokio::test]
async fn old_versions_carry_archived_too() {
    let mut house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let row = house.row(&table, json!({})).await;
    assert!(row.get("archived").is_none());
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    let error = house.fails(400, "PATCH", &path, json!({"archived": true})).await;
    assert!(error["message"].as_str().unwrap().contains("body.archived should be not present"));
    house.version = OLD;
    let trashed = house.ok("PATCH", &path, json!({"archived": true})).await;
    assert_eq!((trashed["archived"].clone(), trashed["in_trash"].clone()), (json!(true), json!(true)));
}
