//! Does every property value of recorded pages survive: read, taken to a column and back, written, and read again?
//! (An extra check: needs a folder of recordings.)

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::tz::TimeZone;
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Options, PropertyKind},
    rich_text,
    value::{Person, Value},
};
use serde_json::{Value as Json, json};

use super::{
    tests::{echoed, holding},
    *,
};
use crate::{notion::wire::PropertyValue, replica::Relatives};

/// `shared/fixtures` beside the workspace or further up.
fn folder() -> Option<PathBuf> {
    let start = Path::new(env!("CARGO_MANIFEST_DIR"));
    start.ancestors().map(|folder| folder.join("shared/fixtures")).find(|folder| folder.is_dir())
}

fn bodies(folder: &Path) -> Vec<Json> {
    let mut all = Vec::new();
    for source in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !source.is_dir() || source.ends_with("official_openapi") {
            continue;
        }
        for file in std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = match file.extension().and_then(|extension| extension.to_str()) {
                Some("json") => vec![text.as_str()],
                Some("jsonl") => text.lines().collect(),
                _ => Vec::new(),
            };
            all.extend(lines.iter().filter_map(|line| serde_json::from_str(line).ok()));
        }
    }
    all
}

/// Everything that looks like a property's value, with its kind.
fn values(body: &Json, found: &mut Vec<(String, Json)>) {
    match body {
        Json::Array(items) => items.iter().for_each(|item| values(item, found)),
        Json::Object(object) => {
            let kind = object.get("type").and_then(Json::as_str).unwrap_or_default();
            // A column's settings are an object where a value is something else.
            let is_value = match object.get(kind) {
                None => false,
                Some(payload) if matches!(kind, "date" | "select" | "status") => {
                    payload.is_null() || payload.get("name").is_some() || payload.get("start").is_some()
                }
                Some(payload) => !payload.is_object(),
            };
            if is_value {
                found.push((kind.to_owned(), body.clone()));
            }
            object.values().for_each(|value| values(value, found));
        }
        _ => {}
    }
}

fn people_of(value: &PropertyValue) -> Vec<Person> {
    let PropertyValue::People(people) = value else { return Vec::new() };
    people
        .iter()
        .map(|user| {
            let email = user.email().map_or_else(|| format!("{}@example.com", user.id), str::to_owned);
            Person { email: Some(email), id: Some(user.id.clone()) }
        })
        .collect()
}

/// The properties as which a value can be mapped, each with the columns that may hold it.
fn fields(kind: &str, value: &PropertyValue) -> Vec<Field> {
    let options = |ordered| Options { names: Vec::new(), may_grow: true, ordered };
    let text = || ColumnKind::Text { max: None };
    let texts = || ColumnKind::List(Box::new(text()));
    let pairs = match kind {
        "title" => vec![(PropertyKind::Title, text())],
        "rich_text" => vec![(PropertyKind::RichText, text()), (PropertyKind::Markdown, text())],
        "number" => vec![
            (PropertyKind::Number, ColumnKind::Double),
            (PropertyKind::Number, ColumnKind::Numeric { precision: None, scale: None }),
        ],
        "select" => vec![(PropertyKind::Select(options(false)), text())],
        "status" => {
            let names = match value {
                PropertyValue::Status(Some(option)) => vec![option.name.clone()],
                _ => Vec::new(),
            };
            vec![(PropertyKind::Status(Options { names, ..options(false) }), text())]
        }
        "multi_select" => vec![
            (PropertyKind::MultiSelect(options(false)), texts()),
            (PropertyKind::MultiSelect(options(true)), texts()),
            (PropertyKind::MultiSelect(options(false)), text()),
        ],
        "date" => {
            [ColumnKind::Day, ColumnKind::Instant, ColumnKind::DayRange, ColumnKind::InstantRange, text()]
                .map(|holds| (PropertyKind::Date, holds))
                .to_vec()
        }
        "people" => vec![(PropertyKind::People { known: people_of(value) }, texts())],
        "files" => vec![(PropertyKind::Files, texts())],
        "checkbox" => vec![(PropertyKind::Checkbox, ColumnKind::Bool)],
        "url" => vec![(PropertyKind::Url, text())],
        "email" => vec![(PropertyKind::Email, text())],
        "phone_number" => vec![(PropertyKind::Phone, text())],
        "relation" => {
            let holds = ColumnKind::References { mapping: "others".into() };
            vec![(PropertyKind::Relation { mapping: "others".into(), single: false }, holds)]
        }
        _ => Vec::new(),
    };
    pairs.into_iter().map(|(shows, holds)| holding(shows, holds)).collect()
}

#[test]
fn recorded_values_survive_the_way_there_and_back() {
    let Some(folder) = folder() else {
        println!("no folder of recordings: nothing was checked");
        return;
    };
    let mut found = Vec::new();
    for body in bodies(&folder) {
        values(&body, &mut found);
    }
    let relatives = Relatives::default();
    let mut tally: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for (kind, json) in &found {
        let Ok(decoded) = serde_json::from_str::<PropertyValue>(&json.to_string()) else {
            panic!("a recorded {kind} is not decoded")
        };
        for field in fields(kind, &decoded) {
            let counts =
                tally.entry(format!("{kind} as {} ↔ {:?}", field.shows.name(), field.holds)).or_default();
            counts[0] += 1;
            for home in ["UTC", "America/St_Johns"] {
                let zone = TimeZone::get(home).unwrap();
                let incoming = Incoming { relatives: &relatives, zone: &zone };
                let read = |shown: &PropertyValue| value(shown, &field, incoming);
                let Some(page) = read(&decoded) else {
                    counts[1] += 1;
                    continue;
                };
                // To the column and back.
                match fidelity::in_postgres(&page, &field) {
                    Fidelity::Stored(row) => {
                        assert!(fidelity::agree(&row, &page, &field), "{kind} in {:?}", field.holds);
                    }
                    Fidelity::Unstorable(reason) => {
                        counts[2] += 1;
                        assert!(!reason.code.is_empty());
                    }
                }
                // Written as it is and read again. Older pages name their files and their addresses longer than
                // Notion takes today.
                let Fidelity::Stored(form) = fidelity::in_notion(&page, &field) else {
                    counts[3] += 1;
                    continue;
                };
                assert_eq!(form, page, "what was read is a stored form: {kind}");
                let outgoing = Outgoing { relatives: &relatives, zone: &zone, date: None, source: None };
                let written = property(&form, &field, outgoing).unwrap();
                let shown = with_words_of(&echoed(&written), &form);
                let shown: PropertyValue = serde_json::from_str(&shown.to_string()).unwrap();
                assert_eq!(read(&shown).as_ref(), Some(&page), "{kind}: {written}");
            }
        }
    }
    for (what, [seen, unread, kept_out, refused]) in &tally {
        println!(
            "{seen:6} {what}: {unread} not read, {kept_out} not for this column, {refused} not for a write"
        );
    }
    assert!(tally.len() > 15, "the recordings hold every kind: {tally:?}");
}

/// The answer with the words that mentions showed before, since only Notion can say them.
fn with_words_of(echo: &Json, form: &Value) -> Json {
    let Value::Markdown(markdown) = form else { return echo.clone() };
    let spans = rich_text::from_markdown(markdown);
    let mut mentions = spans.iter().filter_map(|span| match &span.what {
        rich_text::What::Mention { shown, .. } => Some(shown),
        _ => None,
    });
    let mut echo = echo.clone();
    for key in ["title", "rich_text"] {
        for item in echo.get_mut(key).and_then(Json::as_array_mut).into_iter().flatten() {
            if item["type"] == "mention"
                && let Some(words) = mentions.next()
            {
                item["plain_text"] = json!(words);
            }
        }
    }
    echo
}
