//! `/v1/views`: listed, made, read, changed and removed; their own queries are left out.

use serde_json::{Value as Json, json};

use super::data_sources;
use crate::{
    at::{self, BODY},
    call::{self, Call},
    clock,
    error::{ApiError, Result},
    ids,
    reply::Reply,
    world::View,
};

const KINDS: [&str; 10] =
    ["table", "board", "list", "calendar", "timeline", "gallery", "form", "chart", "map", "dashboard"];

/// Ids alone.
pub(crate) fn list(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let wanted = |key: &str| call.parameter(key).and_then(ids::parse_uuid);
    let (database, source) = (wanted("database_id"), wanted("data_source_id"));
    if database.is_none() && source.is_none() {
        return Err(ApiError::validation(
            "query failed validation: query.database_id should be defined, instead was `undefined`.",
        ));
    }
    let world = call.read();
    let views: Vec<Json> = world
        .views
        .iter()
        .filter(|view| {
            database.is_none_or(|id| view.database == id) && source.is_none_or(|id| view.source == id)
        })
        .filter(|view| world.is_shared(&call.token, view.source))
        .map(|view| json!({"object": "view", "id": view.id.to_string()}))
        .collect();
    let (views, next) = call::paged(views, call.parameter("start_cursor"), call.page_size()?)?;
    Ok(Reply::list(&Json::Array(views).to_string(), next.as_deref(), "view", call.request_id))
}

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let body = call.body()?;
    let place = BODY.key("data_source_id");
    let source = at::required(body, "data_source_id", &BODY)?;
    let source = ids::parse_uuid(at::string(source, 100, &place)?)
        .ok_or_else(|| place.should_be("a valid uuid", Some(source)))?;
    let name = at::string(at::required(body, "name", &BODY)?, 2000, &BODY.key("name"))?;
    let kind = at::one_of(at::required(body, "type", &BODY)?, &KINDS, &BODY.key("type"))?;
    let mut world = call.write();
    let database = data_sources::find(call, &world, source)?.database;
    let (now, bot) = (world.now(), call.token.bot);
    let view = View {
        id: ids::fresh(),
        source,
        database,
        name: name.to_owned(),
        kind: kind.to_owned(),
        created: now,
        edited: now,
        created_by: bot,
        edited_by: bot,
        filter: body.get("filter").cloned(),
        sorts: body.get("sorts").cloned(),
    };
    let reply = Reply::tree(&to_json(&view), call.request_id);
    world.record("view.created", ("view", view.id), bot, json!({"view_type": kind}));
    world.views.push(view);
    Ok(reply)
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "view_id")?;
    let world = call.read();
    let view = world.views.iter().find(|view| view.id == id && world.is_shared(&call.token, view.source));
    Ok(Reply::tree(&to_json(view.ok_or_else(|| call.not_found("view", id))?), call.request_id))
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "view_id")?;
    let body = call.body()?;
    let mut world = call.write();
    let (now, bot) = (world.now(), call.token.bot);
    let position =
        world.views.iter().position(|view| view.id == id && world.is_shared(&call.token, view.source));
    let position = position.ok_or_else(|| call.not_found("view", id))?;
    let view = &mut world.views[position];
    if let Some(name) = body.get("name") {
        at::string(name, 2000, &BODY.key("name"))?.clone_into(&mut view.name);
    }
    if let Some(filter) = body.get("filter") {
        view.filter = Some(filter.clone());
    }
    if let Some(sorts) = body.get("sorts") {
        view.sorts = Some(sorts.clone());
    }
    view.edited = now;
    view.edited_by = bot;
    Ok(Reply::tree(&to_json(view), call.request_id))
}

/// Answers a partial view.
pub(crate) fn delete(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "view_id")?;
    let mut world = call.write();
    let position =
        world.views.iter().position(|view| view.id == id && world.is_shared(&call.token, view.source));
    let view = world.views.remove(position.ok_or_else(|| call.not_found("view", id))?);
    let body = json!({
        "object": "view", "id": view.id.to_string(), "type": view.kind,
        "parent": {"type": "database_id", "database_id": view.database.to_string()},
    });
    Ok(Reply::tree(&body, call.request_id))
}

fn to_json(view: &View) -> Json {
    json!({
        "object": "view", "id": view.id.to_string(), "name": view.name, "type": view.kind,
        "parent": {"type": "database_id", "database_id": view.database.to_string()},
        "data_source_id": view.source.to_string(),
        "created_time": clock::exact_text(view.created), "last_edited_time": clock::exact_text(view.edited),
        "created_by": {"object": "user", "id": view.created_by.to_string()},
        "last_edited_by": {"object": "user", "id": view.edited_by.to_string()},
        "url": format!("https://app.notion.com/{}?v={}", view.database.simple(), view.id.simple()),
        "filter": view.filter, "sorts": view.sorts,
    })
}
