//! Whether recorded answers of the real API hold no key, and no kind of value, that the emulator's answers lack.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "this test needs only some of what the house offers")]
#[path = "api/house.rs"]
mod house;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use house::{House, OLD, title};

/// What values of one place look like: their kinds, and what is inside of them.
#[derive(Debug, Default)]
struct Shape {
    kinds: BTreeSet<&'static str>,
    keys: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

/// Shapes of everything that says what it is, such as `page`, `block paragraph` or `value select`.
type Book = BTreeMap<String, Shape>;

/// Recorded keys that the emulator leaves out, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("event.accessible_by", "only for public connections"),
    ("event.data.target", "transcripts are not emulated"),
    ("event.data.transcript_id", "transcripts are not emulated"),
    ("page.developer_survey", "a notice of past years"),
];

#[tokio::test]
async fn recorded_answers_hold_nothing_unknown() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of recorded answers beside the workspace");
        return;
    };
    let book = learn().await;
    let (mut bodies, mut compared) = (0, 0);
    let mut unknown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut mistakes: BTreeMap<String, String> = BTreeMap::new();
    // No recording names version 2025-09-03 or newer. These are the most recent ones and name none; the other folders
    // were recorded with versions that are not emulated.
    for file in json_files(&folder.join("46ki75_notionrs")) {
        let body: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        bodies += 1;
        walk(&body, &mut |kind, object| {
            let Some(shape) = book.get(kind) else {
                unknown.entry(kind.to_owned()).or_default().push(name.clone());
                return;
            };
            compared += 1;
            compare(kind, object, shape, &mut |place, what| {
                if !LEFT_OUT.iter().any(|(left, _)| place.starts_with(left)) {
                    mistakes.entry(place.to_owned()).or_insert_with(|| format!("{what} ({name})"));
                }
            });
        });
    }
    println!("{bodies} recorded answers, {compared} objects in them compared with the emulator's");
    for (kind, files) in &unknown {
        println!("not emulated: {kind} ({})", files[0]);
    }
    assert!(
        bodies >= 50 && compared >= 100,
        "only {bodies} bodies and {compared} objects were there to compare"
    );
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

/// The official OpenAPI document's paths are all claimed.
#[tokio::test]
async fn every_documented_path_is_claimed() {
    let Some(folder) = fixtures() else {
        println!("skipped: there is no folder of recorded answers beside the workspace");
        return;
    };
    let text = std::fs::read_to_string(folder.join("official_openapi/notion-openapi.json")).unwrap();
    let document: Json = serde_json::from_str(&text).unwrap();
    let house = House::new().await;
    let mut claimed = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let id = "00000000-0000-4000-8000-000000000000";
            let mut concrete = path.clone();
            while let (Some(from), Some(until)) = (concrete.find('{'), concrete.find('}')) {
                concrete.replace_range(from..=until, id);
            }
            let (_, body) = house.call(&method.to_uppercase(), &concrete, json!({})).await;
            assert_ne!(body["code"], "invalid_request_url", "{method} {path}");
            claimed += 1;
        }
    }
    println!("{claimed} documented operations are claimed");
    assert!(claimed >= 20);
}

/// The folder of recorded answers, beside the workspace or where the environment says.
fn fixtures() -> Option<PathBuf> {
    let folder = match std::env::var_os("NOTION_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
    };
    folder.is_dir().then_some(folder)
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

/// What an object says it is; `None` when it says nothing.
fn kind_of(object: &serde_json::Map<String, Json>) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    match (text("object"), text("type")) {
        (Some("block"), Some(kind)) => Some(format!("block {kind}")),
        (Some("user"), Some(kind)) => Some(format!("user {kind}")),
        (Some("user"), None) => Some("user".into()),
        (Some("property_item"), Some(kind)) => Some(format!("item {kind}")),
        (Some(kind), _) => Some(kind.to_owned()),
        (None, Some(kind)) if object.contains_key("plain_text") => Some(format!("text {kind}")),
        (None, Some(kind)) if object.contains_key("id") && object.contains_key(kind) => {
            Some(format!("value {kind}"))
        }
        (None, Some(_)) if object.contains_key("subscription_id") => Some("event".into()),
        _ => None,
    }
}

/// Visits every object that says what it is, the outer ones first.
fn walk(value: &Json, visit: &mut impl FnMut(&str, &Json)) {
    match value {
        Json::Object(object) => {
            if let Some(kind) = kind_of(object) {
                visit(&kind, value);
            }
            for inner in object.values() {
                walk(inner, visit);
            }
        }
        Json::Array(items) => {
            for item in items {
                walk(item, visit);
            }
        }
        _ => {}
    }
}

fn kind_word(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

impl Shape {
    fn learn(&mut self, value: &Json, is_outer: bool) {
        self.kinds.insert(kind_word(value));
        match value {
            Json::Object(object) if is_outer || kind_of(object).is_none() => {
                for (key, inner) in object {
                    self.keys.entry(key.clone()).or_default().learn(inner, false);
                }
            }
            Json::Array(items) => {
                for item in items {
                    self.items.get_or_insert_default().learn(item, false);
                }
            }
            _ => {}
        }
    }
}

/// Tells of every recorded key that the shape lacks and every kind it does not have.
fn compare(place: &str, value: &Json, shape: &Shape, tell: &mut impl FnMut(&str, String)) {
    let kind = kind_word(value);
    // `null` says nothing about a kind; a place where only `null` was learnt accepts every kind.
    if kind != "null" && !shape.kinds.contains(kind) && shape.kinds.iter().any(|known| *known != "null") {
        tell(place, format!("is {kind}, the emulator gives {:?}", shape.kinds));
        return;
    }
    match value {
        Json::Object(object) => {
            // Columns are named by people.
            let is_named_by_people = place.ends_with(".properties");
            for (key, inner) in object {
                if is_named_by_people {
                    continue;
                }
                let place = format!("{place}.{key}");
                match shape.keys.get(key) {
                    None if !shape.keys.is_empty() => tell(&place, "is not in the emulator's answer".into()),
                    None => {}
                    Some(shape) if inner.as_object().and_then(kind_of).is_none() => {
                        compare(&place, inner, shape, tell);
                    }
                    // It says itself what it is, and is compared as that.
                    Some(_) => {}
                }
            }
        }
        Json::Array(items) => {
            if let Some(shape) = &shape.items {
                for item in items.iter().filter(|item| item.as_object().and_then(kind_of).is_none()) {
                    compare(place, item, shape, tell);
                }
            }
        }
        _ => {}
    }
}

/// Makes one of everything and learns what the answers look like.
async fn learn() -> Book {
    let mut house = House::new().await;
    house.version = OLD;
    let mut answers = Vec::new();
    let other = house.table("Other", json!({"Name": {"title": {}}})).await;
    let table = house
        .table("All", json!({
            "Name": {"title": {}}, "Note": {"rich_text": {}}, "N": {"number": {}}, "Tier": {"select": {}},
            "Tags": {"multi_select": {}}, "Stage": {"status": {}}, "Due": {"date": {}}, "Who": {"people": {}},
            "Doc": {"files": {}}, "Done": {"checkbox": {}}, "Site": {"url": {}}, "Mail": {"email": {}},
            "Phone": {"phone_number": {}}, "Link": {"relation": {"data_source_id": other.source, "dual_property": {}}},
            "Sum": {"rollup": {"relation_property_name": "Link", "rollup_property_name": "Name", "function": "show_original"}},
            "F": {"formula": {"expression": "prop(\"Note\")"}}, "No": {"unique_id": {"prefix": "A"}},
            "F2": {"formula": {"expression": "prop(\"N\") * 2"}}, "Where": {"place": {}}, "At": {"created_time": {}}, "By": {"created_by": {}}, "Changed": {"last_edited_time": {}},
            "Changer": {"last_edited_by": {}}, "V": {"verification": {}}, "Push": {"button": {}},
        }))
        .await;
    let users = house.ok("GET", "/v1/users", Json::Null).await;
    let mut target = house::new_row(&other, json!({"Name": title("x")}));
    target["icon"] = json!({"emoji": "x"});
    let target = house.ok("POST", "/v1/pages", target).await;
    let upload = house.ok("POST", "/v1/file_uploads", json!({"filename": "a.txt"})).await;
    let form =
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhi\r\n--b--\r\n";
    let send = house.request("POST", &format!("/v1/file_uploads/{}/send", upload["id"].as_str().unwrap()));
    let sent =
        send.header("content-type", "multipart/form-data; boundary=b").body(form).send().await.unwrap();
    answers.push(sent.json().await.unwrap());
    let row = json!({
        "Name": title("a"), "N": {"number": 1}, "Tier": {"select": {"name": "x"}}, "Tags": {"multi_select": [{"name": "x"}]},
        "Note": {"rich_text": [
            {"text": {"content": "x", "link": {"url": "https://x.example/a"}}}, {"equation": {"expression": "e"}},
            {"mention": {"user": {"id": users["results"][0]["id"]}}}]},
        "Due": {"date": {"start": "2026-01-01", "end": "2026-01-02"}}, "Who": {"people": [{"id": users["results"][0]["id"]}]},
        "Doc": {"files": [{"name": "a", "external": {"url": "https://x.example/a"}}, {"file_upload": {"id": upload["id"]}}]},
        "Site": {"url": "x"}, "Mail": {"email": "x"}, "Phone": {"phone_number": "x"},
        "Link": {"relation": [{"id": target["id"]}]},
    });
    let mut body = house::new_row(&table, row);
    body["icon"] = json!({"external": {"url": "https://x.example/i.png"}});
    body["cover"] = json!({"external": {"url": "https://x.example/c.png"}});
    let row = house.ok("POST", "/v1/pages", body).await;
    for property in row["properties"].as_object().unwrap().values() {
        let path = format!(
            "/v1/pages/{}/properties/{}",
            row["id"].as_str().unwrap(),
            property["id"].as_str().unwrap()
        );
        answers.push(house.ok("GET", &path, Json::Null).await);
    }
    answers.push(house.query(&table, json!({})).await);
    answers.push(house.ok("GET", &format!("/v1/databases/{}", table.database), Json::Null).await);
    answers.push(house.ok("GET", &format!("/v1/data_sources/{}", table.source), Json::Null).await);
    answers.push(house.fails(404, "GET", "/v1/pages/00000000-0000-4000-8000-000000000000", Json::Null).await);
    answers.extend([users, row, target]);
    answers.extend(learn_blocks(&house).await);
    answers.extend(learn_events(&house, &table).await);
    let mut book = Book::new();
    for answer in &answers {
        walk(answer, &mut |kind, object| book.entry(kind.to_owned()).or_default().learn(object, true));
    }
    book
}

async fn learn_blocks(house: &House) -> Vec<Json> {
    let text = json!([{"text": {"content": "x"}}]);
    let file = json!({"external": {"url": "https://x.example/a"}, "caption": text});
    let icon = json!({"type": "emoji", "emoji": "x"});
    let paragraph = json!([{"paragraph": {"rich_text": text}}]);
    let blocks = json!([
        {"paragraph": {"rich_text": text}}, {"heading_1": {"rich_text": text}}, {"heading_2": {"rich_text": text}},
        {"heading_3": {"rich_text": text}}, {"bulleted_list_item": {"rich_text": text}},
        {"numbered_list_item": {"rich_text": text}}, {"to_do": {"rich_text": text}}, {"toggle": {"rich_text": text}},
        {"quote": {"rich_text": text}}, {"callout": {"rich_text": text, "icon": icon}}, {"code": {"rich_text": text}},
        {"equation": {"expression": "e"}}, {"divider": {}}, {"breadcrumb": {}}, {"table_of_contents": {}},
        {"bookmark": {"url": "https://x.example", "caption": text}}, {"embed": {"url": "https://x.example"}},
        {"image": file}, {"video": file}, {"audio": file}, {"file": file}, {"pdf": file},
        {"table": {"table_width": 1, "children": [{"table_row": {"cells": [text]}}]}},
        {"column_list": {"children": [{"column": {"children": paragraph}}, {"column": {"children": paragraph}}]}},
        {"synced_block": {"synced_from": null, "children": paragraph}},
        {"link_to_page": {"type": "page_id", "page_id": house.emulator.parent_page_id()}}, {"template": {"rich_text": text}},
    ]);
    let mut answers = Vec::new();
    let page = house.emulator.parent_page_id();
    house.ok("PATCH", &format!("/v1/blocks/{page}/children"), json!({"children": blocks})).await;
    let child = json!({"parent": {"page_id": page}, "properties": {"title": title("child")}});
    house.ok("POST", "/v1/pages", child).await;
    let mut open = vec![page.to_owned()];
    while let Some(id) = open.pop() {
        let list = house.ok("GET", &format!("/v1/blocks/{id}/children"), Json::Null).await;
        for block in list["results"].as_array().unwrap() {
            if block["has_children"] == true {
                open.push(block["id"].as_str().unwrap().to_owned());
            }
        }
        answers.push(list);
    }
    answers
}

/// Events of every type the emulator sends, heard by a listener of its own.
async fn learn_events(house: &House, table: &house::Table) -> Vec<Json> {
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel::<Json>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hear = move |body: String| {
        let sender = sender.clone();
        async move {
            let json: Json = serde_json::from_str(&body).unwrap();
            sender.send(json).unwrap();
        }
    };
    let router = axum::Router::new().fallback(hear);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    house.control("POST", "webhooks", json!({ "url": url })).await;
    let row = house.row(table, json!({})).await;
    let path = format!("/v1/pages/{}", row["id"].as_str().unwrap());
    house.ok("PATCH", &path, json!({"properties": {"N": {"number": 2}}, "is_locked": true})).await;
    house.ok("PATCH", &path, json!({"is_locked": false})).await;
    house
        .ok(
            "PATCH",
            &format!("{path}/markdown"),
            json!({"type": "replace_content", "replace_content": {"new_str": "x"}}),
        )
        .await;
    house
        .ok(
            "POST",
            "/v1/comments",
            json!({"parent": {"page_id": row["id"]}, "rich_text": [{"text": {"content": "x"}}]}),
        )
        .await;
    let schema = json!({"properties": {"Extra": {"number": {}}}});
    house.ok("PATCH", &format!("/v1/data_sources/{}", table.source), schema).await;
    house.ok("DELETE", &format!("/v1/blocks/{}", row["id"].as_str().unwrap()), Json::Null).await;
    let mut events = Vec::new();
    loop {
        let event = tokio::time::timeout(std::time::Duration::from_secs(15), heard.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("the last event never came: {events:?}")).unwrap();
        let is_last = event["type"] == "page.deleted";
        events.push(event);
        if is_last {
            break;
        }
    }
    server.abort();
    events
}
