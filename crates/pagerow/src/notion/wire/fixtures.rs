//! Do recorded answers of the real API decode without losing anything? (An extra check: needs a folder of recordings.)

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::*;

/// `shared/fixtures` beside the workspace or further up.
fn folder() -> Option<PathBuf> {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    start.ancestors().map(|folder| folder.join("shared/fixtures")).find(|folder| folder.is_dir())
}

fn files(extension: &str) -> Vec<PathBuf> {
    let Some(folder) = folder() else {
        println!("no folder of recordings: nothing was checked");
        return Vec::new();
    };
    let mut found = Vec::new();
    for source in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        // An API description is no answer.
        if source.is_dir() && !source.ends_with("official_openapi") {
            found.extend(std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    found
}

/// What was compared, by kind, and what was lost.
#[derive(Default)]
struct Tally {
    checked: BTreeMap<String, usize>,
    opaque: BTreeMap<String, usize>,
    lost: Vec<String>,
}

impl Tally {
    fn compare(&mut self, kind: &str, place: &str, raw: &Value, decoded: Option<Value>) {
        *self.checked.entry(kind.to_owned()).or_default() += 1;
        let raw = plain(raw);
        let decoded = decoded.map(|decoded| plain(&decoded));
        if decoded.as_ref() != Some(&raw) {
            self.lost.push(format!("{place}: {kind}\n   raw     {raw}\n   decoded {decoded:?}"));
        }
    }

    /// Looks at everything in a body that we have a type for.
    fn walk(&mut self, place: &str, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(place, item)),
            Value::Object(object) => {
                self.object(place, object);
                for (key, value) in object {
                    // The columns of a database look like values; `object` has compared them.
                    if !(key == "properties" && is_database(object)) {
                        self.walk(place, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, place: &str, object: &Map<String, Value>) {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let kind = text("type").unwrap_or_default();
        let raw = Value::Object(object.clone());
        let json = raw.to_string();
        match text("object") {
            Some("page") => {
                let known = page_without_additions(only(object, PAGE_KEYS));
                if object.contains_key("properties") {
                    self.compare(
                        "page",
                        place,
                        &known,
                        decode::<Page>(&json).map(|page| page_json(&page, object)),
                    );
                }
            }
            Some("database" | "data_source") if is_database(object) => {
                // Answers of older versions call a data source a database; their columns are the same.
                let json = with(object, "object", json!("data_source")).to_string();
                let source = decode::<DataSource>(&json);
                for property in source.iter().flat_map(|source| &source.properties) {
                    let kind = property.config.kind();
                    let raw = &object["properties"][&property.name];
                    if let PropertyConfig::Unknown { kind, .. } = &property.config {
                        *self.opaque.entry(format!("column {kind}")).or_default() += 1;
                    }
                    let known = only_value(&raw[kind], CONFIG_LABELS);
                    self.compare(
                        &format!("column {kind}"),
                        place,
                        &known,
                        Some(config_json(&property.config)),
                    );
                    self.compare("column id", place, &raw["id"], Some(property.id.as_str().into()));
                }
                let known = only(object, DATA_SOURCE_KEYS);
                self.compare("data source", place, &known, source.map(|source| source_json(&source, object)));
            }
            Some("user") => {
                self.compare("user", place, &raw, decode::<User>(&json).map(|user| user_json(&user)));
            }
            Some(_) => {}
            None if object.contains_key("plain_text") => {
                let decoded = decode::<RichTextItem>(&json).map(|item| item_json(&item));
                self.compare("rich text", place, &raw, decoded);
            }
            None if VALUES.contains(&kind) && object.contains_key(kind) => {
                let value = decode::<PropertyValue>(&json);
                if let Some(PropertyValue::Unknown { kind, .. }) = &value {
                    *self.opaque.entry(format!("value {kind}")).or_default() += 1;
                }
                let raw = if kind == "relation" { ids_only(&object[kind]) } else { object[kind].clone() };
                self.compare(&format!("value {kind}"), place, &raw, value.map(|value| value_json(&value)));
            }
            None => {}
        }
    }
}

const VALUES: &[&str] = &[
    "title",
    "rich_text",
    "number",
    "select",
    "multi_select",
    "status",
    "date",
    "people",
    "files",
    "checkbox",
    "url",
    "email",
    "phone_number",
    "relation",
    "formula",
    "rollup",
    "created_time",
    "created_by",
    "last_edited_time",
    "last_edited_by",
    "unique_id",
    "verification",
    "button",
    "place",
];
const PAGE_KEYS: &[&str] = &[
    "object",
    "id",
    "created_time",
    "last_edited_time",
    "created_by",
    "last_edited_by",
    "cover",
    "icon",
    "parent",
    "archived",
    "in_trash",
    "is_archived",
    "is_locked",
    "url",
    "public_url",
    "properties",
];
const DATA_SOURCE_KEYS: &[&str] = &[
    "id",
    "title",
    "description",
    "parent",
    "created_time",
    "last_edited_time",
    "created_by",
    "last_edited_by",
    "url",
    "public_url",
    "icon",
    "cover",
    "is_inline",
    "archived",
    "in_trash",
];
/// Bodies that an SDK's author made up, with mistakes that Notion does not make.
const HAND_WRITTEN: &[&str] = &["database_update.json", "user_me.json"];
/// Names that stand beside ids, and markers of what is told otherwise.
const CONFIG_LABELS: &[&str] = &["relation_property_name", "rollup_property_name", "single_property", "type"];

#[test]
fn recorded_bodies_lose_nothing() {
    let mut tally = Tally::default();
    let bodies = files("json");
    for path in &bodies {
        let place = path.file_name().unwrap().to_string_lossy().into_owned();
        if HAND_WRITTEN.contains(&place.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        tally.walk(&place, &body);
    }
    println!("{} bodies: {:?}", bodies.len(), tally.checked);
    println!("kept opaque: {:?}", tally.opaque);
    assert!(tally.opaque.is_empty(), "every recorded kind is one we know");
    assert!(
        tally.lost.is_empty(),
        "{} losses, first {}",
        tally.lost.len(),
        tally.lost[..tally.lost.len().min(8)].join("\n")
    );
}

#[test]
fn recorded_exchanges_decode_as_their_endpoint() {
    let mut checked = 0;
    for path in files("jsonl") {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let address = exchange["request"]["path"].as_str().unwrap();
            let body_file = exchange["response"]["body_file"].as_str().unwrap();
            let body = std::fs::read(path.with_file_name(body_file)).unwrap();
            let address = address.split('?').next().unwrap();
            let segments: Vec<_> = address.trim_matches('/').split('/').collect();
            let whole = match segments.as_slice() {
                ["v1", "databases", _, "query"] | ["v1", "search"] => {
                    let list = ListPage::<Page>::decode(&body)
                        .unwrap_or_else(|error| panic!("{body_file}: {error}"));
                    list.entries.iter().all(|entry| matches!(entry, Entry::Whole(_) | Entry::Other { .. }))
                }
                ["v1", "users"] => {
                    ListPage::<User>::decode(&body).unwrap().entries.iter().all(|e| e.whole().is_some())
                }
                ["v1", "users", _] => Entry::<User>::decode(&body).unwrap().whole().is_some(),
                ["v1", "pages"] | ["v1", "pages", _] => {
                    Entry::<Page>::decode(&body).unwrap().whole().is_some()
                }
                ["v1", "pages", _, "properties", _] => PropertyItemPage::decode(&body).is_ok(),
                _ => continue,
            };
            assert!(whole, "{body_file}: {}", String::from_utf8_lossy(&body));
            checked += 1;
        }
    }
    println!("{checked} exchanges decoded");
}

/// Pages of recorded kinds, until the answer has the size that the real API sends: 100 pages, 16 properties each.
#[test]
fn a_full_answer_is_read_in_a_few_milliseconds() {
    let text = |text: &str| {
        json!([{"type": "text", "text": {"content": text, "link": null}, "annotations": {"bold": false, "italic": false,
            "strikethrough": false, "underline": false, "code": false, "color": "default"}, "plain_text": text, "href": null}])
    };
    let option =
        |name: &str| json!({"id": "f37d4deb-6c01-4d6c-9479-b6ce1aaa41df", "name": name, "color": "red"});
    let user = json!({"object": "user", "id": "e0446ede-dde6-457c-b535-d2b19f40b45a"});
    let page = |number: usize| {
        json!({"object": "page", "id": format!("cc34d676-8e58-40a0-9244-{number:012x}"), "created_time": "2026-07-04T09:08:00.000Z",
            "last_edited_time": "2026-07-04T09:08:00.000Z", "created_by": user, "last_edited_by": user, "cover": null, "icon": null,
            "parent": {"type": "data_source_id", "data_source_id": "9a93d3be-9ef9-4471-8a18-1572525eb5b3", "database_id": "9a93d3be-9ef9-4471-8a18-1572525eb5b4"},
            "in_trash": false, "is_archived": false, "is_locked": false, "properties": {
            "Name": {"id": "title", "type": "title", "title": text("A supplier with a name")},
            "Key": {"id": "%5Bl_x", "type": "rich_text", "rich_text": text("4711")},
            "Notes": {"id": "%5Bl_y", "type": "rich_text", "rich_text": text("Some words about the supplier, as long as notes are")},
            "Price": {"id": "abcd", "type": "number", "number": 12.5}, "Stock": {"id": "abce", "type": "number", "number": number},
            "Tier": {"id": "abcf", "type": "select", "select": option("Gold")},
            "Tags": {"id": "abcg", "type": "multi_select", "multi_select": [option("a"), option("b")]},
            "Status": {"id": "abch", "type": "status", "status": option("Done")},
            "Due": {"id": "abci", "type": "date", "date": {"start": "2026-07-04", "end": null, "time_zone": null}},
            "Active": {"id": "abcj", "type": "checkbox", "checkbox": true}, "Site": {"id": "abck", "type": "url", "url": "https://a.example/"},
            "Mail": {"id": "abcl", "type": "email", "email": "a@example.com"}, "Owner": {"id": "abcm", "type": "relation", "relation": [{"id": "e0446ede-dde6-457c-b535-d2b19f40b45a"}], "has_more": false},
            "Sum": {"id": "abcn", "type": "formula", "formula": {"type": "number", "number": 3.5}},
            "Made": {"id": "abco", "type": "created_time", "created_time": "2026-07-04T09:08:00.000Z"}, "No": {"id": "abcp", "type": "unique_id", "unique_id": {"prefix": "S", "number": number}}},
            "url": "https://app.notion.com/p/x-cc34d6768e5840a092443b684b6ec105", "public_url": null})
    };
    let results: Vec<_> = (0..100).map(page).collect();
    let body =
        json!({"object": "list", "results": results, "next_cursor": "c", "has_more": true}).to_string();
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let list = ListPage::<Page>::decode(body.as_bytes()).unwrap();
        best = best.min(start.elapsed().as_secs_f64());
        assert!(
            list.entries.iter().all(|entry| entry.whole().is_some_and(|page| page.properties.len() == 16))
        );
    }
    let mode = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    println!("100 pages, {} KB: {:.2} ms ({mode})", body.len() / 1000, best * 1000.0);
    assert!(best < 0.25, "{best} s");
}

fn decode<T: serde::de::DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).map_err(|error| println!("{error}")).ok()
}

/// Without nulls, which mean the same as absence here, and with one spelling for each time.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::String(text) if text.len() >= 20 => match text.parse::<Timestamp>() {
            Ok(time) if text.ends_with('Z') || text.ends_with("+00:00") => time.to_string().into(),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

fn is_database(object: &Map<String, Value>) -> bool {
    matches!(object.get("object").and_then(Value::as_str), Some("database" | "data_source"))
        && object.contains_key("properties")
}

/// Some recorders put property items in place of values, and related pages inside relations.
fn page_without_additions(mut page: Value) -> Value {
    if let Some(properties) = page.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            *property = only_value(property, &["object", "request_id"]);
            if let Some(relation) = property.get_mut("relation") {
                *relation = ids_only(relation);
            }
        }
    }
    page
}

fn ids_only(relation: &Value) -> Value {
    let id = |entry: &Value| json!({"id": entry["id"]});
    relation.as_array().map_or_else(|| relation.clone(), |entries| entries.iter().map(id).collect())
}

fn only(object: &Map<String, Value>, keys: &[&str]) -> Value {
    let kept = object.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn only_value(value: &Value, without: &[&str]) -> Value {
    let Value::Object(object) = value else { return value.clone() };
    let kept = object.iter().filter(|(key, _)| !without.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn with(object: &Map<String, Value>, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object.insert(key.to_owned(), value);
    Value::Object(object)
}

/// A flag as it came: only where the body had it.
fn flag(raw: &Map<String, Value>, key: &str, decoded: bool) -> Option<bool> {
    raw.get(key).filter(|value| !value.is_null()).map(|_| decoded)
}

fn partial(raw: &Map<String, Value>, key: &str, id: Option<&String>) -> Value {
    // Pages show who created them by id alone; more than that is not kept.
    match (id, raw.get(key)) {
        (Some(id), Some(Value::Object(user))) if user.get("id").and_then(Value::as_str) == Some(id) => {
            raw[key].clone()
        }
        _ => json!(null),
    }
}

fn page_json(page: &Page, raw: &Map<String, Value>) -> Value {
    let properties: Map<String, Value> = page
        .properties
        .iter()
        .map(|property| {
            let mut object = Map::new();
            object.insert("id".into(), property.id.as_str().into());
            if property.value != PropertyValue::NotShown {
                object.insert("type".into(), property.value.kind().into());
                object.insert(property.value.kind().to_owned(), value_json(&property.value));
            }
            let raw = &raw["properties"][&property.name];
            if let PropertyValue::Relation { has_more, .. } = property.value
                && raw.get("has_more").is_some()
            {
                object.insert("has_more".into(), has_more.into());
            }
            (property.name.clone(), Value::Object(object))
        })
        .collect();
    json!({"object": "page", "id": page.id, "created_time": page.created_time, "last_edited_time": page.last_edited_time,
        "created_by": partial(raw, "created_by", page.created_by.as_ref()),
        "last_edited_by": partial(raw, "last_edited_by", page.last_edited_by.as_ref()),
        "cover": page.cover.as_ref().map(Opaque::to_value), "icon": page.icon.as_ref().map(Opaque::to_value),
        "parent": parent_json(&page.parent), "archived": flag(raw, "archived", page.in_trash),
        "in_trash": flag(raw, "in_trash", page.in_trash), "is_archived": flag(raw, "is_archived", page.is_archived),
        "is_locked": flag(raw, "is_locked", page.is_locked), "url": page.url, "public_url": page.public_url,
        "properties": properties})
}

fn source_json(source: &DataSource, raw: &Map<String, Value>) -> Value {
    let title = |key: &str, text: &RichText| raw.get(key).map(|_| text_json(text));
    json!({"id": source.id, "title": title("title", &source.title), "description": title("description", &source.description),
        "parent": source.parent.as_ref().map(parent_json), "created_time": source.created_time,
        "last_edited_time": source.last_edited_time,
        "created_by": partial(raw, "created_by", source.created_by.as_ref()),
        "last_edited_by": partial(raw, "last_edited_by", source.last_edited_by.as_ref()), "url": source.url,
        "public_url": source.public_url, "icon": source.icon.as_ref().map(Opaque::to_value),
        "cover": source.cover.as_ref().map(Opaque::to_value), "is_inline": flag(raw, "is_inline", source.is_inline),
        "archived": flag(raw, "archived", source.in_trash), "in_trash": flag(raw, "in_trash", source.in_trash)})
}

fn parent_json(parent: &Parent) -> Value {
    match parent {
        Parent::Page(id) => json!({"type": "page_id", "page_id": id}),
        Parent::Database(id) => json!({"type": "database_id", "database_id": id}),
        Parent::DataSource { id, database_id } => {
            json!({"type": "data_source_id", "data_source_id": id, "database_id": database_id})
        }
        Parent::Block(id) => json!({"type": "block_id", "block_id": id}),
        Parent::Agent(id) => json!({"type": "agent_id", "agent_id": id}),
        Parent::Workspace => json!({"type": "workspace", "workspace": true}),
        Parent::Unknown { kind, raw } => tagged_json(kind, raw.to_value()),
    }
}

fn tagged_json(kind: &str, payload: Value) -> Value {
    let mut object = Map::new();
    object.insert("type".into(), kind.into());
    object.insert(kind.to_owned(), payload);
    Value::Object(object)
}

fn text_json(text: &RichText) -> Value {
    text.0.iter().map(item_json).collect()
}

fn item_json(item: &RichTextItem) -> Value {
    item.formatted.as_ref().map_or_else(
        || {
            json!({"type": "text", "text": {"content": item.plain_text}, "annotations": {"bold": false, "italic": false,
                "strikethrough": false, "underline": false, "code": false, "color": "default"}, "plain_text": item.plain_text})
        },
        Opaque::to_value,
    )
}

fn user_json(user: &User) -> Value {
    let mut json = json!({"object": "user", "id": user.id, "name": user.name, "avatar_url": user.avatar_url});
    match &user.kind {
        UserKind::Person { email } => {
            json["type"] = "person".into();
            json["person"] = json!({"email": email});
        }
        UserKind::Bot(bot) => {
            json["type"] = "bot".into();
            let limits = bot
                .workspace_limits
                .as_ref()
                .map(|limits| json!({"max_file_upload_size_in_bytes": limits.max_file_upload_size_in_bytes}));
            json["bot"] = json!({"owner": bot.owner.as_ref().map(Opaque::to_value), "workspace_id": bot.workspace_id,
                "workspace_name": bot.workspace_name, "workspace_limits": limits});
        }
        UserKind::Group => json["object"] = "group".into(),
        UserKind::Partial => {}
        UserKind::Unknown(kind) => json["type"] = kind.clone().into(),
    }
    json
}

fn option_json(option: &SelectOption) -> Value {
    json!({"id": option.id, "name": option.name, "color": option.color, "description": option.description})
}

fn date_json(date: &DateValue) -> Value {
    json!({"start": date.start, "end": date.end, "time_zone": date.time_zone})
}

fn file_json(file: &FileValue) -> Value {
    let mut json = match &file.location {
        FileLocation::External { url } => tagged_json("external", json!({"url": url})),
        FileLocation::Hosted { url, expiry_time } => {
            tagged_json("file", json!({"url": url, "expiry_time": expiry_time}))
        }
        FileLocation::Upload { id } => tagged_json("file_upload", json!({"id": id})),
        FileLocation::Unknown { kind, raw } => tagged_json(kind, raw.to_value()),
    };
    json["name"] = file.name.clone().into();
    json
}

fn value_json(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Title(text) | PropertyValue::RichText(text) => text_json(text),
        PropertyValue::Number(number) => json!(number),
        PropertyValue::Select(option) | PropertyValue::Status(option) => {
            json!(option.as_ref().map(option_json))
        }
        PropertyValue::MultiSelect(options) => options.iter().map(option_json).collect(),
        PropertyValue::Date(date) => json!(date.as_ref().map(date_json)),
        PropertyValue::People(people) => people.iter().map(user_json).collect(),
        PropertyValue::Files(files) => files.iter().map(file_json).collect(),
        PropertyValue::Checkbox(checked) => json!(checked),
        PropertyValue::Url(text) | PropertyValue::Email(text) | PropertyValue::PhoneNumber(text) => {
            json!(text)
        }
        PropertyValue::Relation { ids, .. } => ids.iter().map(|id| json!({"id": id})).collect(),
        PropertyValue::Formula(formula) => match formula {
            Formula::String(text) => tagged_json("string", json!(text)),
            Formula::Number(number) => tagged_json("number", json!(number)),
            Formula::Boolean(boolean) => tagged_json("boolean", json!(boolean)),
            Formula::Date(date) => tagged_json("date", json!(date.as_ref().map(date_json))),
            Formula::Unsupported => tagged_json("unsupported", json!({})),
            Formula::Unknown { kind, raw } => tagged_json(kind, raw.to_value()),
        },
        PropertyValue::Rollup(rollup) => {
            let mut json = match &rollup.value {
                RollupValue::Number(number) => tagged_json("number", json!(number)),
                RollupValue::Date(date) => tagged_json("date", json!(date.as_ref().map(date_json))),
                RollupValue::Array(items) => tagged_json(
                    "array",
                    items.iter().map(|item| tagged_json(item.kind(), value_json(item))).collect(),
                ),
                RollupValue::Incomplete => tagged_json("incomplete", json!({})),
                RollupValue::Unsupported => tagged_json("unsupported", json!({})),
                RollupValue::Unknown { kind, raw } => tagged_json(kind, raw.to_value()),
            };
            json["function"] = json!(rollup.function);
            json
        }
        PropertyValue::CreatedTime(time) | PropertyValue::LastEditedTime(time) => json!(time),
        PropertyValue::CreatedBy(user) | PropertyValue::LastEditedBy(user) => user_json(user),
        PropertyValue::UniqueId(id) => json!({"prefix": id.prefix, "number": id.number}),
        PropertyValue::Verification(verification) => json!(verification.as_ref().map(|verification| {
            json!({"state": verification.state, "date": verification.date.as_ref().map(date_json),
                "verified_by": verification.verified_by.as_ref().map(user_json)})
        })),
        PropertyValue::Button => json!({}),
        PropertyValue::Place(place) => json!(place.as_ref().map(Opaque::to_value)),
        PropertyValue::NotShown => json!(null),
        PropertyValue::Unknown { raw, .. } => raw.to_value(),
    }
}

fn config_json(config: &PropertyConfig) -> Value {
    let options = |options: &[SelectOption]| options.iter().map(option_json).collect::<Value>();
    match config {
        PropertyConfig::Number { format } => json!({"format": format}),
        PropertyConfig::Select { options: all } | PropertyConfig::MultiSelect { options: all } => {
            json!({"options": options(all)})
        }
        PropertyConfig::Status { options: all, groups } => {
            let groups: Vec<_> = groups
                .iter()
                .map(|g| json!({"id": g.id, "name": g.name, "color": g.color, "option_ids": g.option_ids}))
                .collect();
            json!({"options": options(all), "groups": groups})
        }
        PropertyConfig::Relation { data_source_id, database_id, dual } => {
            let dual = dual.as_ref().map(|dual| {
                json!({"synced_property_id": dual.synced_property_id, "synced_property_name": dual.synced_property_name})
            });
            json!({"data_source_id": data_source_id, "database_id": database_id, "dual_property": dual})
        }
        PropertyConfig::Formula { expression } => json!({"expression": expression}),
        PropertyConfig::Rollup { function, relation_property_id, rollup_property_id } => {
            json!({"function": function,
            "relation_property_id": relation_property_id, "rollup_property_id": rollup_property_id})
        }
        PropertyConfig::UniqueId { prefix } => json!({"prefix": prefix}),
        PropertyConfig::Unknown { raw, .. } => raw.to_value(),
        _ => json!({}),
    }
}
