//! `GET /v1/pages/{id}/properties/{property_id}`: the whole of one value, past the inline cut.

use serde_json::{Value as Json, json};

use super::pages;
use crate::{
    call::{self, Call},
    error::{ApiError, Result},
    ids,
    reply::Reply,
    rich_text,
    schema::{Kind, Property},
    values::Value,
    world::{DataSource, Parent},
};

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "page_id")?;
    let given = call.path.get(3).copied().unwrap_or_default();
    // Undone once: an id that was encoded twice names nothing.
    let property_id = ids::decode(given);
    let world = call.read();
    let page = pages::find(call, &world, id)?;
    let unknown = || ApiError::validation(format!("{property_id} is not a property that exists."));
    let title =
        Property { id: "title".into(), name: "title".into(), description: None, kind: Kind::Title, order: 0 };
    let plain: DataSource;
    let (source, property) = match page.parent {
        Parent::Source(source) => {
            let source = super::data_sources::find(call, &world, source)?;
            (source, source.by_id(&property_id).ok_or_else(unknown)?)
        }
        _ if property_id == "title" => {
            plain = DataSource {
                id,
                database: id,
                title: Vec::new(),
                description: Vec::new(),
                icon: None,
                in_trash: false,
                created: 0,
                edited: 0,
                created_by: id,
                edited_by: id,
                properties: vec![title],
                index: Default::default(),
            };
            (&plain, &plain.properties[0])
        }
        _ => return Err(unknown()),
    };
    let viewer = call.viewer(&world);
    let word = property.kind.word();
    let encoded = ids::encode(&property.id);
    let listed: Option<Vec<Json>> = match (&property.kind, page.value(&property.id)) {
        (Kind::Title | Kind::RichText, Some(Value::RichText(items))) => {
            Some(items.iter().map(|item| rich_text::to_json(std::slice::from_ref(item))[0].clone()).collect())
        }
        (Kind::Relation { .. }, Some(Value::Relation(targets))) => {
            Some(targets.iter().map(|id| json!({"id": id.to_string()})).collect())
        }
        (Kind::People, Some(Value::People(people))) => {
            Some(people.iter().map(|id| viewer.user_value_json(*id)).collect())
        }
        (Kind::Title | Kind::RichText | Kind::Relation { .. } | Kind::People, _) => Some(Vec::new()),
        (Kind::Rollup { relation, target, .. }, _) => {
            Some(viewer.rollup_items(source, page, relation, target))
        }
        _ => None,
    };
    let Some(items) = listed else {
        let mut out = String::from("{\"object\":\"property_item\",\"id\":");
        crate::json::string(&mut out, &encoded);
        out.push(',');
        viewer.write_typed_value(&mut out, source, page, property, None);
        out.push('}');
        return Ok(Reply::object(out, call.request_id));
    };
    let size = call.page_size()?;
    let (items, next) = call::paged(items, call.parameter("start_cursor"), size)?;
    let results: Vec<Json> = items
        .into_iter()
        .map(|item| {
            if let Kind::Rollup { .. } = property.kind {
                let mut entry = item;
                entry["object"] = "property_item".into();
                entry["id"] = encoded.clone().into();
                return entry;
            }
            let mut entry = json!({"object": "property_item", "type": word, "id": encoded});
            entry[word] = item;
            entry
        })
        .collect();
    let next_url = next.as_ref().map(|cursor| {
        format!(
            "https://api.notion.com/v1/pages/{id}/properties/{encoded}?start_cursor={cursor}&page_size={size}"
        )
    });
    let mut about = json!({"id": encoded, "type": word, "next_url": next_url});
    about[word] = match &property.kind {
        Kind::Rollup { relation, target, function } => {
            let mut rollup = viewer.rollup_json(source, page, (relation, target, function), usize::MAX);
            if rollup["type"] == "array" {
                rollup["array"] = json!([]);
            }
            if next.is_some() {
                rollup = json!({"type": "incomplete", "incomplete": {}, "function": function});
            }
            rollup
        }
        _ => json!({}),
    };
    let body = json!({
        "object": "list", "results": results, "next_cursor": next, "has_more": next.is_some(),
        "type": "property_item", "property_item": about,
    });
    Ok(Reply::tree(&body, call.request_id))
}
