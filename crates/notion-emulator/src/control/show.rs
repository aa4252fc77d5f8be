//! What the emulator's page shows: databases, their columns and their rows, as a person sees them.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Order, simple};
use crate::{
    clock,
    error::{ApiError, Result},
    markdown, rich_text,
    schema::Kind,
    world::{DataSource, Page, Parent, UserKind, World},
};

pub(super) fn workspace(order: &Order<'_>) -> Json {
    let world = order.shared.read();
    let mut databases: Vec<_> = world.databases.values().collect();
    databases.sort_by_key(|database| (database.created, database.id));
    let databases: Vec<Json> = databases
        .into_iter()
        .map(|database| {
            let sources: Vec<Json> = database
                .sources
                .iter()
                .filter_map(|id| world.sources.get(id))
                .map(|source| {
                    json!({
                        "id": source.id.to_string(), "title": rich_text::plain_text(&source.title),
                        "rows": source.index.created.len(), "in_trash": source.in_trash,
                    })
                })
                .collect();
            json!({
                "id": database.id.to_string(), "title": rich_text::plain_text(&database.title),
                "in_trash": database.in_trash, "data_sources": sources,
            })
        })
        .collect();
    let users: Vec<Json> = world
        .users
        .iter()
        .map(|user| {
            let kind = match user.kind {
                UserKind::Person => "person",
                UserKind::Guest => "guest",
                UserKind::Bot => "bot",
            };
            json!({"id": user.id.to_string(), "name": user.name, "email": user.email, "kind": kind})
        })
        .collect();
    json!({
        "name": world.workspace_name, "users": users, "databases": databases,
        "parent_page_id": world.parent_page_id.to_string(), "now": clock::zulu_text(world.now()),
    })
}

pub(super) fn columns(world: &World, source: &DataSource) -> Json {
    let columns: Vec<Json> = source
        .shown()
        .into_iter()
        .map(|property| {
            let mut column = json!({
                "id": &*property.id, "name": property.name, "type": property.kind.word(),
                "writable": property.kind.is_writable() && !matches!(property.kind, Kind::Verification),
            });
            if let Some((options, _)) = property.kind.options() {
                let options =
                    options.iter().map(|choice| json!({"name": choice.name, "color": choice.color}));
                column["options"] = options.collect::<Vec<_>>().into();
            }
            if let Kind::Relation { source, .. } = &property.kind {
                let title = world.sources.get(source).map(|other| rich_text::plain_text(&other.title));
                column["target"] = json!({"id": source.to_string(), "title": title});
            }
            column
        })
        .collect();
    columns.into()
}

/// Rows from the newest edit on, or as they were made.
pub(super) fn rows(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let world = order.shared.read();
    let source =
        world.sources.get(&id).ok_or_else(|| ApiError::validation("There is no such data source."))?;
    let number = |name: &str, default: usize| {
        order.parameter(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default)
    };
    let (offset, limit) = (number("offset", 0), number("limit", 100).min(1000));
    let trash = order.parameter("trash") == Some("true");
    let (total, ids): (usize, Vec<Uuid>) = if trash {
        let trashed: Vec<Uuid> = source
            .index
            .all
            .values()
            .filter(|id| world.pages.get(id).is_some_and(|page| page.in_trash))
            .copied()
            .collect();
        (trashed.len(), trashed.into_iter().skip(offset).take(limit).collect())
    } else {
        let rows = source.index.created.values().skip(offset).take(limit).copied();
        (source.index.created.len(), rows.collect())
    };
    let rows: Vec<Json> =
        ids.iter().filter_map(|id| world.pages.get(id)).map(|page| page_json(&world, page)).collect();
    Ok(json!({
        "id": id.to_string(), "title": rich_text::plain_text(&source.title),
        "columns": columns(&world, source), "rows": rows, "total": total, "offset": offset,
    }))
}

pub(super) fn page(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let world = order.shared.read();
    let page = world.pages.get(&id).ok_or_else(|| ApiError::validation("There is no such page."))?;
    let mut json = page_json(&world, page);
    json["markdown"] = markdown::write(&world, id).0.into();
    Ok(json)
}

/// What happened to a page since its history is kept, the oldest first.
pub(super) fn history(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let world = order.shared.read();
    let kept = world.history.as_ref().ok_or_else(|| ApiError::validation("No history is kept."))?;
    let happened: Vec<Json> = kept
        .iter()
        .filter(|happened| happened.page == id)
        .map(|happened| {
            let by = happened.by.and_then(|by| world.user(by));
            let values: Map<String, Json> = happened
                .values
                .iter()
                .map(|(name, (before, after))| (name.clone(), json!({"before": before, "after": after})))
                .collect();
            json!({
                "at": clock::exact_text(happened.at), "what": happened.what, "values": values,
                "by": by.map(|user| user.name.clone()),
                "is_bot": by.is_some_and(|user| user.kind == UserKind::Bot),
            })
        })
        .collect();
    Ok(json!({"history": happened}))
}

/// A page with its values in plain words, by column name.
pub(super) fn page_json(world: &World, page: &Page) -> Json {
    let mut values = Map::new();
    if let Parent::Source(source) = page.parent
        && let Some(source) = world.sources.get(&source)
    {
        for property in &source.properties {
            values.insert(property.name.clone(), simple::shown(world, page, property));
        }
    } else {
        values.insert("title".into(), page.title().into());
    }
    let by = world.user(page.edited_by).map(|user| user.name.clone());
    json!({
        "id": page.id.to_string(), "values": values, "in_trash": page.in_trash, "is_archived": page.is_archived,
        "created_time": clock::zulu_text(page.created), "edited_time": clock::zulu_text(page.edited),
        "edited_by": by,
    })
}

/// An uploaded file's bytes, until its address ends.
pub(super) fn file(order: &Order<'_>) -> Result<Response<Body>> {
    let id = order.id(1)?;
    let world = order.shared.read();
    let missing = || ApiError::new(404, "object_not_found", "There is no such file.");
    let upload = world.uploads.get(&id).ok_or_else(missing)?;
    let expires = order.parameter("expires").and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    if expires < world.now() {
        return Err(ApiError::new(403, "restricted_resource", "The address of this file has expired."));
    }
    let mut bytes = Vec::new();
    for part in upload.parts.values() {
        bytes.extend_from_slice(part);
    }
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    // Files are never shown as pages of this address.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}
