//! The requests that make databases, properties and options.

use std::collections::BTreeMap;

use pagerow_core::record::PageId;
use serde_json::{Map, Value as Json, json};

use super::{NewKind, NewProperty};

/// By which words a database is known again as the one that was made for a mapping.
pub(super) fn marker(mapping: &str) -> String {
    format!("Kept equal with a table by pagerow (mapping {mapping})")
}

pub(super) fn create_database(
    mapping: &str,
    title: &str,
    parent: PageId,
    properties: &[NewProperty],
) -> Json {
    let members: Map<String, Json> = properties
        .iter()
        // Relations come in a second pass.
        .filter_map(|property| Some((property.name.clone(), config(&property.kind, &BTreeMap::new())?)))
        .collect();
    json!({
        "parent": { "type": "page_id", "page_id": parent.to_string() },
        "title": text(title),
        "description": text(&marker(mapping)),
        "initial_data_source": { "properties": members },
    })
}

/// `None` while the data source that a relation leads to has no id.
pub(super) fn add_property(property: &NewProperty, data_sources: &BTreeMap<String, String>) -> Option<Json> {
    Some(json!({ "properties": { property.name.as_str(): config(&property.kind, data_sources)? } }))
}

pub(super) fn add_options(property_id: &str, kind: &str, existing: &[String], names: &[String]) -> Json {
    let options: Vec<Json> = existing
        .iter()
        .map(|id| json!({ "id": id }))
        .chain(names.iter().map(|name| json!({ "name": name })))
        .collect();
    json!({ "properties": { property_id: { kind: { "options": options } } } })
}

fn config(kind: &NewKind, data_sources: &BTreeMap<String, String>) -> Option<Json> {
    let options = |names: &[String]| -> Json {
        let options: Vec<Json> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "options": options })
    };
    let settings = match kind {
        NewKind::Select(names) | NewKind::MultiSelect(names) => options(names),
        // Without options Notion makes its own: Not started, In progress, Done.
        NewKind::Status(names) if names.is_empty() => json!({}),
        NewKind::Status(names) => options(names),
        NewKind::Relation(mapping) => {
            json!({ "data_source_id": data_sources.get(mapping)?, "single_property": {} })
        }
        NewKind::Title
        | NewKind::RichText
        | NewKind::Number
        | NewKind::Date
        | NewKind::People
        | NewKind::Files
        | NewKind::Checkbox
        | NewKind::Url
        | NewKind::Email
        | NewKind::PhoneNumber => json!({}),
    };
    Some(json!({ kind.word(): settings }))
}

fn text(content: &str) -> Json {
    json!([{ "type": "text", "text": { "content": content } }])
}
