//! Filters, sorts, cursors, the cap and the lag of queries.

use serde_json::{Value as Json, json};

use crate::house::{House, Table, text, title, titles};

async fn numbers(house: &House, count: usize) -> Table {
    let table = house.table("Numbers", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let rows: Vec<Json> = (0..count).map(|n| json!({"Name": format!("row {n}"), "N": n})).collect();
    house.control("POST", &format!("data_sources/{}/rows", table.source), json!({"rows": rows})).await;
    table
}

/// Follows cursors to the end; gives every title and every answer.
async fn read_all(house: &House, table: &Table, body: Json) -> (Vec<String>, Vec<Json>) {
    let (mut seen, mut answers, mut body) = (Vec::new(), Vec::new(), body);
    loop {
        let answer = house.query(table, body.clone()).await;
        seen.extend(titles(&answer));
        let next = answer["next_cursor"].clone();
        assert_eq!(answer["has_more"], next.is_string());
        answers.push(answer);
        if next.is_null() {
            return (seen, answers);
        }
        body["start_cursor"] = next;
    }
}

#[tokio::test]
async fn cursors_walk_every_row_once_in_every_order() {
    let house = House::new().await;
    let table = numbers(&house, 57).await;
    let orders = [
        json!([]),
        json!([{"timestamp": "created_time", "direction": "ascending"}]),
        json!([{"timestamp": "created_time", "direction": "descending"}]),
        json!([{"timestamp": "last_edited_time", "direction": "descending"}]),
        json!([{"property": "N", "direction": "descending"}]),
        json!([{"property": "Name", "direction": "ascending"}]),
    ];
    for sorts in orders {
        let (seen, _) = read_all(&house, &table, json!({"sorts": sorts, "page_size": 10})).await;
        let mut unique = seen.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((seen.len(), unique.len()), (57, 57), "{sorts}");
    }
    let (seen, _) = read_all(
        &house,
        &table,
        json!({"sorts": [{"property": "N", "direction": "descending"}], "page_size": 7}),
    )
    .await;
    assert_eq!(seen[0], "row 56");
    assert_eq!(seen[56], "row 0");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_body() {
    let house = House::new().await;
    let table = numbers(&house, 5).await;
    let first = house.query(&table, json!({"page_size": 2})).await;
    let path = format!("/v1/data_sources/{}/query", table.source);
    let other = json!({
        "page_size": 2, "start_cursor": first["next_cursor"],
        "sorts": [{"property": "N", "direction": "ascending"}],
    });
    let error = house.fails(400, "POST", &path, other).await;
    assert!(error["message"].as_str().unwrap().contains("start_cursor provided is invalid"));
    house.fails(400, "POST", &path, json!({"start_cursor": "nonsense"})).await;
    let too_large = house.fails(400, "POST", &path, json!({"page_size": 101})).await;
    assert_eq!(
        too_large["message"],
        "body failed validation: body.page_size should be ≤ `100`, instead was `101`."
    );
    house.fails(400, "POST", &path, json!({"filter_properties": ["N"]})).await;
}

#[tokio::test]
async fn the_cap_is_told_on_every_page_and_windows_read_past_it() {
    let house = House::new().await;
    let table = house.table("Many", json!({"Name": {"title": {}}})).await;
    house.control("POST", "caps", json!({"results": 50})).await;
    let rows = json!({"count": 120, "created_time": "2026-01-01T00:00:00Z", "step_ms": 20_000});
    house.control("POST", &format!("data_sources/{}/rows", table.source), rows).await;
    for sorts in
        [json!([{"timestamp": "created_time", "direction": "ascending"}]), json!([{"property": "Name"}])]
    {
        let (seen, answers) = read_all(&house, &table, json!({"sorts": sorts, "page_size": 20})).await;
        assert_eq!(seen.len(), 50);
        assert_eq!(answers.len(), 3);
        for answer in &answers {
            assert_eq!(answer["request_status"]["incomplete_reason"], "query_result_limit_reached");
        }
    }
    let mut ids = std::collections::BTreeSet::new();
    let mut from = Json::Null;
    loop {
        let mut body =
            json!({"sorts": [{"timestamp": "created_time", "direction": "ascending"}], "page_size": 100});
        if from.is_string() {
            body["filter"] = json!({"timestamp": "created_time", "created_time": {"on_or_after": from}});
        }
        let (_, answers) = read_all(&house, &table, body).await;
        for answer in &answers {
            for row in answer["results"].as_array().unwrap() {
                ids.insert(row["id"].as_str().unwrap().to_owned());
                from = row["created_time"].clone();
            }
        }
        if answers[0].get("request_status").is_none() {
            break;
        }
    }
    assert_eq!(ids.len(), 120);
}

#[tokio::test]
async fn exactly_at_the_cap_nothing_is_missing() {
    let house = House::new().await;
    house.control("POST", "caps", json!({"results": 20})).await;
    let table = numbers(&house, 20).await;
    for body in [
        json!({"page_size": 20}),
        json!({"page_size": 20, "filter": {"property": "N", "number": {"is_not_empty": true}}}),
    ] {
        let answer = house.query(&table, body).await;
        assert_eq!(answer["has_more"], false);
        assert!(answer.get("request_status").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn filters_mean_what_they_say() {
    let house = House::new().await;
    let table = house
        .table("F", json!({
            "Name": {"title": {}}, "Note": {"rich_text": {}}, "N": {"number": {}}, "Done": {"checkbox": {}},
            "Tier": {"select": {"options": [{"name": "Gold"}, {"name": "Silver"}]}},
            "Stage": {"status": {}}, "Tags": {"multi_select": {}}, "Due": {"date": {}}, "Owner": {"people": {}},
            "Site": {"url": {}}, "No": {"unique_id": {"prefix": "F"}}, "Files": {"files": {}},
        }))
        .await;
    let rows = json!([
        {"Name": "alpha", "Note": "Hello World", "N": 1, "Done": true, "Tier": "Gold", "Stage": "Done",
         "Tags": ["a", "b"], "Due": "2026-03-01", "Owner": ["Ada Lovelace"], "Site": "https://a.example",
         "Files": ["https://x.example/a.pdf"]},
        {"Name": "beta", "Note": "hello", "N": 2.5, "Tier": "Silver", "Stage": "In progress", "Tags": ["b"],
         "Due": "2026-03-02T23:30:00-05:00"},
        {"Name": "gamma"},
    ]);
    house.control("POST", &format!("data_sources/{}/rows", table.source), json!({"rows": rows})).await;
    let users = house.ok("GET", "/v1/users", Json::Null).await;
    let ada = users["results"][0]["id"].clone();
    let cases = [
        (json!({"property": "Note", "rich_text": {"equals": "hello"}}), "beta"),
        (json!({"property": "Note", "rich_text": {"contains": "WORLD"}}), "alpha"),
        (json!({"property": "Note", "rich_text": {"does_not_contain": "hello"}}), "gamma"),
        (json!({"property": "Note", "rich_text": {"does_not_equal": "hello"}}), "alpha gamma"),
        (json!({"property": "Note", "rich_text": {"starts_with": "hello w"}}), "alpha"),
        (json!({"property": "Note", "rich_text": {"is_empty": true}}), "gamma"),
        (json!({"property": "title", "title": {"ends_with": "ta"}}), "beta"),
        (json!({"property": "Name", "rich_text": {"equals": "gamma"}}), "gamma"),
        (json!({"property": "Site", "rich_text": {"is_not_empty": true}}), "alpha"),
        (json!({"property": "N", "number": {"greater_than": 1}}), "beta"),
        (json!({"property": "N", "number": {"less_than_or_equal_to": 1}}), "alpha"),
        (json!({"property": "N", "number": {"does_not_equal": 1}}), "beta gamma"),
        (json!({"property": "Done", "checkbox": {"equals": false}}), "beta gamma"),
        (json!({"property": "Tier", "select": {"equals": "gold"}}), "alpha"),
        (json!({"property": "Tier", "select": {"equals": ["Gold", "Silver"]}}), "alpha beta"),
        (json!({"property": "Tier", "select": {"does_not_equal": "Gold"}}), "beta gamma"),
        (json!({"property": "Stage", "status": {"equals": "Not started"}}), "gamma"),
        (json!({"property": "Stage", "status": {"equals": ["To-do", "Complete"]}}), "alpha gamma"),
        (json!({"property": "Tags", "multi_select": {"contains": "b"}}), "alpha beta"),
        (json!({"property": "Tags", "multi_select": {"does_not_contain": "a"}}), "beta gamma"),
        (json!({"property": "Due", "date": {"equals": "2026-03-01"}}), "alpha"),
        (json!({"property": "Due", "date": {"after": "2026-03-01"}}), "beta"),
        (json!({"property": "Due", "date": {"equals": "2026-03-03"}}), "beta"),
        (json!({"property": "Due", "date": {"on_or_before": "2026-03-01"}}), "alpha"),
        (json!({"property": "Due", "date": {"is_empty": true}}), "gamma"),
        (json!({"property": "Owner", "people": {"contains": ada}}), "alpha"),
        (json!({"property": "Owner", "people": {"contains": "me"}}), ""),
        (json!({"property": "Owner", "people": {"is_empty": true}}), "beta gamma"),
        (json!({"property": "Files", "files": {"is_not_empty": true}}), "alpha"),
        (json!({"property": "No", "unique_id": {"greater_than_or_equal_to": 3}}), "gamma"),
        (json!({"timestamp": "created_time", "created_time": {"past_week": {}}}), "alpha beta gamma"),
        (json!({"timestamp": "last_edited_time", "last_edited_time": {"before": "2020-01-01"}}), ""),
        (
            json!({"and": [{"property": "Done", "checkbox": {"equals": false}},
                        {"or": [{"property": "N", "number": {"equals": 2.5}}, {"property": "Name", "title": {"equals": "alpha"}}]}]}),
            "beta",
        ),
        (
            json!({"or": [{"and": [{"property": "Name", "title": {"equals": "alpha"}}, {"property": "N", "number": {"equals": 1}}]},
                       {"property": "Name", "title": {"equals": "gamma"}}]}),
            "alpha gamma",
        ),
    ];
    for (filter, expected) in cases {
        let found = house.titles(&table, json!({"filter": filter})).await.join(" ");
        assert_eq!(found, expected, "{filter}");
    }
}

#[tokio::test]
async fn wrong_filters_are_refused() {
    let house = House::new().await;
    let table = numbers(&house, 1).await;
    let path = format!("/v1/data_sources/{}/query", table.source);
    let leaf = json!({"property": "N", "number": {"equals": 1}});
    let three = json!({"and": [{"or": [{"and": [leaf]}]}]});
    for (filter, part) in [
        (
            json!({"property": "Nope", "number": {"equals": 1}}),
            "Could not find property with name or id: Nope",
        ),
        (json!({"property": "N", "rich_text": {"equals": "1"}}), "does not match filter rich_text"),
        (json!({"property": "N", "number": {"equals": "1"}}), "should be a number"),
        (json!({"property": "N", "number": {"is_empty": false}}), "should be `true`"),
        (json!({"property": "N", "number": {"sounds_like": 1}}), "should be not present"),
        (json!({"property": "N"}), "should be defined"),
        (json!({"timestamp": "created_time", "created_time": {"after": "soon"}}), "valid ISO 8601 date"),
        (three, "should be not present"),
    ] {
        let error = house.fails(400, "POST", &path, json!({"filter": filter})).await;
        assert!(error["message"].as_str().unwrap().contains(part), "{filter}: {error}");
    }
    let unknown = json!({"sorts": [{"property": "Nope", "direction": "ascending"}]});
    house.fails(400, "POST", &path, unknown).await;
}

#[tokio::test]
async fn empty_values_sort_last_in_both_directions() {
    let house = House::new().await;
    let table = house.table("S", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let rows = json!([{"Name": "none"}, {"Name": "two", "N": 2}, {"Name": "one", "N": 1}]);
    house.control("POST", &format!("data_sources/{}/rows", table.source), json!({"rows": rows})).await;
    for (direction, expected) in [("ascending", "one two none"), ("descending", "two one none")] {
        let sorts = json!({"sorts": [{"property": "N", "direction": direction}]});
        assert_eq!(house.titles(&table, sorts).await.join(" "), expected);
    }
}

#[tokio::test]
async fn a_lagging_index_shows_older_rows_while_get_is_current() {
    let house = House::new().await;
    let table = house.table("Lag", json!({"Name": {"title": {}}, "Note": {"rich_text": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a"), "Note": text("old")})).await;
    house.control("POST", "clock", json!({"freeze": true})).await;
    house.control("POST", "lag", json!({"min_ms": 5000, "max_ms": 5000})).await;
    let id = row["id"].as_str().unwrap();
    house.ok("PATCH", &format!("/v1/pages/{id}"), json!({"properties": {"Note": text("new")}})).await;
    house.row(&table, json!({"Name": title("b")})).await;
    let note = |page: &Json| page["properties"]["Note"]["rich_text"][0]["plain_text"].clone();
    let seen = house.query(&table, json!({})).await;
    assert_eq!((titles(&seen), note(&seen["results"][0])), (vec!["a".to_owned()], json!("old")));
    let by_key = json!({"filter": {"property": "Note", "rich_text": {"equals": "new"}}});
    assert!(house.titles(&table, by_key.clone()).await.is_empty());
    assert_eq!(note(&house.ok("GET", &format!("/v1/pages/{id}"), Json::Null).await), "new");
    house.control("POST", "clock", json!({"advance_ms": 5001})).await;
    assert_eq!(house.titles(&table, json!({})).await, ["a", "b"]);
    assert_eq!(house.titles(&table, by_key).await, ["a"]);
}

#[tokio::test]
async fn the_text_index_follows_edits() {
    let house = House::new().await;
    let table = house.table("Keys", json!({"Name": {"title": {}}, "Key": {"rich_text": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a"), "Key": text("k1")})).await;
    let by_key = |key: &str| json!({"filter": {"property": "Key", "rich_text": {"equals": key}}});
    assert_eq!(house.titles(&table, by_key("k1")).await, ["a"]);
    let id = row["id"].as_str().unwrap();
    house.ok("PATCH", &format!("/v1/pages/{id}"), json!({"properties": {"Key": text("k2")}})).await;
    assert!(house.titles(&table, by_key("k1")).await.is_empty());
    assert_eq!(house.titles(&table, by_key("k2")).await, ["a"]);
    house.row(&table, json!({"Name": title("b"), "Key": text("k2")})).await;
    assert_eq!(house.titles(&table, by_key("k2")).await, ["a", "b"]);
    house.ok("PATCH", &format!("/v1/pages/{id}"), json!({"in_trash": true})).await;
    assert_eq!(house.titles(&table, by_key("k2")).await, ["b"]);
}

#[tokio::test]
async fn a_cursor_means_the_same_while_the_index_lags() {
    let house = House::new().await;
    let table = house.table("Edits", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let rows = json!({"count": 20, "created_time": "2026-01-01", "step_ms": 60_000});
    let made = house.control("POST", &format!("data_sources/{}/rows", table.source), rows).await;
    let ids = made["ids"].as_array().unwrap();
    house.control("POST", "clock", json!({"freeze": true, "now": "2026-06-01T00:00:00Z"})).await;
    // Edited in the opposite order, so that the two time orders differ.
    for id in ids.iter().rev() {
        let path = format!("pages/{}", id.as_str().unwrap());
        house.control("PATCH", &path, json!({"properties": {"N": 1}})).await;
        house.control("POST", "clock", json!({"advance_ms": 60_000})).await;
    }
    for direction in ["ascending", "descending"] {
        let sorts = json!([{"timestamp": "last_edited_time", "direction": direction}]);
        let mut body = json!({"sorts": sorts, "page_size": 6});
        let (whole, _) = read_all(&house, &table, body.clone()).await;
        let mut seen = Vec::new();
        for round in 0.. {
            // Every other page is read while a write elsewhere is not seen yet.
            if round % 2 == 0 {
                house.control("POST", "lag", json!({"min_ms": 60_000, "max_ms": 60_000})).await;
                house.row(&table, json!({"Name": title("unseen")})).await;
            } else {
                house.control("POST", "lag", json!({"max_ms": 0})).await;
                for row in house
                    .query(&table, json!({"filter": {"property": "Name", "title": {"equals": "unseen"}}}))
                    .await["results"]
                    .as_array()
                    .unwrap()
                {
                    house
                        .control("POST", &format!("pages/{}/purge", row["id"].as_str().unwrap()), json!({}))
                        .await;
                }
            }
            let answer = house.query(&table, body.clone()).await;
            seen.extend(titles(&answer));
            body["start_cursor"] = answer["next_cursor"].clone();
            if body["start_cursor"].is_null() {
                break;
            }
        }
        house.control("POST", "lag", json!({"max_ms": 0})).await;
        assert_eq!(seen, whole, "{direction}");
        let left =
            house.query(&table, json!({"filter": {"property": "Name", "title": {"equals": "unseen"}}})).await;
        for row in left["results"].as_array().unwrap() {
            house.control("POST", &format!("pages/{}/purge", row["id"].as_str().unwrap()), json!({})).await;
        }
    }
}
