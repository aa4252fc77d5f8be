//! `/v1/data_sources`: schemas and queries.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::databases;
use crate::{
    at::{self, At, BODY},
    call::Call,
    edit,
    error::{ApiError, Result},
    ids,
    ids::PropertyId,
    json,
    query::Query,
    render::RowShape,
    reply::{self, Reply},
    schema_edit,
    world::{DataSource, World},
};

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let body = call.body()?;
    let mut world = call.write();
    let database = parse_database(call, &world, body)?;
    if world.is_trashed(database) {
        return Err(ApiError::trashed());
    }
    let place = BODY.key("properties");
    let properties = at::object(at::required(body, "properties", &BODY)?, &place)?;
    check_one_title(properties, &place)?;
    let title = databases::parse_text(call, &world, body, "title")?.unwrap_or_default();
    let icon = edit::parse_image(body, "icon", &BODY)?.flatten().map(|icon| *icon);
    let id = databases::add_source(&mut world, call, database, title, icon, Some(properties), &place)?;
    answer(call, &world, id)
}

/// A schema at creation has exactly one title.
pub(crate) fn check_one_title(properties: &Map<String, Json>, at: &At) -> Result<()> {
    let titles = properties
        .values()
        .filter(|json| {
            json.get("title").is_some() || json.get("type").and_then(Json::as_str) == Some("title")
        })
        .count();
    if titles == 1 {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "{at}: exactly one property of type title is needed, instead there were {titles}."
    )))
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "data_source_id")?;
    let world = call.read();
    find(call, &world, id)?;
    answer(call, &world, id)
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "data_source_id")?;
    let body = call.body()?;
    let world = &mut *call.write();
    find(call, world, id)?;
    let in_trash = super::pages::trash_wish(call.version, body)?;
    let title = databases::parse_text(call, world, body, "title")?;
    let description = databases::parse_text(call, world, body, "description")?;
    let icon = edit::parse_image(body, "icon", &BODY)?;
    let moved = match body.get("parent") {
        None | Some(Json::Null) => None,
        Some(_) => Some(parse_database(call, world, body)?),
    };
    if world.is_trashed(id) && in_trash != Some(false) {
        return Err(ApiError::trashed());
    }
    if let Some(properties) = body.get("properties") {
        let place = BODY.key("properties");
        schema_edit::apply(world, &call.token, id, at::object(properties, &place)?, &place)?;
    }
    let (now, bot) = (world.now(), call.token.bot);
    let mut trashed = None;
    if let Some(source) = world.sources.get_mut(&id) {
        let database = source.database;
        if let Some(title) = title {
            if let Some(owner) = world.databases.get_mut(&database)
                && owner.sources.len() == 1
            {
                owner.title.clone_from(&title);
            }
            source.title = title;
        }
        if let Some(description) = description {
            source.description = description;
        }
        if let Some(icon) = icon {
            source.icon = icon.map(|icon| *icon);
        }
        if let Some(in_trash) = in_trash
            && in_trash != source.in_trash
        {
            source.in_trash = in_trash;
            trashed = Some(in_trash);
        }
        source.edited = now;
        source.edited_by = bot;
        if let Some(target) = moved {
            source.database = target;
            if let Some(old) = world.databases.get_mut(&database) {
                old.sources.retain(|source| *source != id);
            }
            if let Some(new) = world.databases.get_mut(&target) {
                new.sources.push(id);
            }
            world.record("data_source.moved", ("data_source", id), bot, json!({}));
        }
    }
    if let Some(in_trash) = trashed {
        let kind = if in_trash { "data_source.deleted" } else { "data_source.undeleted" };
        world.record(kind, ("data_source", id), bot, json!({}));
    }
    answer(call, world, id)
}

pub(crate) fn query(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "data_source_id")?;
    let world = call.read();
    find(call, &world, id)?;
    run_query(call, &world, id)
}

/// Answers a query from the kept, written rows.
pub(crate) fn run_query(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let source = find(call, world, id)?;
    if world.is_trashed(id) {
        return Err(call.not_found("data_source", id));
    }
    let query = Query::parse(source, &call.body, world.now(), &BODY)?;
    let only = only_properties(call, source)?;
    let hidden = |id: Uuid| call.token.hidden.contains(&id);
    let answer = query.run(world, source, &hidden);
    let viewer = call.viewer(world);
    let shape = RowShape::new(viewer, source, only);
    let mut results = String::with_capacity(answer.rows.len() * 2048 + 256);
    results.push('[');
    for (index, page) in answer.rows.iter().enumerate() {
        if index > 0 {
            results.push(',');
        }
        viewer.write_page(&mut results, page, Some(&shape));
    }
    results.push(']');
    let next = answer.next.map(crate::query::Cursor::to_text);
    let kind = if call.version.has_sources() { "page_or_data_source" } else { "page_or_database" };
    let mut out = String::with_capacity(results.len() + 320);
    reply::write_list_head(&mut out, &results, next.as_deref(), kind);
    if answer.incomplete {
        out.push_str(
            ",\"request_status\":{\"type\":\"incomplete\",\"incomplete_reason\":\"query_result_limit_reached\"}",
        );
    }
    out.push('}');
    Ok(Reply::object(out, call.request_id))
}

/// `filter_properties` as ids; unknown names are refused.
pub(crate) fn only_properties(call: &Call<'_>, source: &DataSource) -> Result<Option<Vec<PropertyId>>> {
    let Some(wanted) = call.filter_properties()? else { return Ok(None) };
    let found = wanted.into_iter().map(|key| {
        let unknown = || ApiError::validation(format!("Could not find property with name or id: {key}"));
        source.property(key).map(|property| property.id.clone()).ok_or_else(unknown)
    });
    found.collect::<Result<Vec<_>>>().map(Some)
}

/// Row templates: the emulator has none.
pub(crate) fn templates(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "data_source_id")?;
    call.page_size()?;
    find(call, &call.read(), id)?;
    Ok(Reply::tree(&json!({"templates": [], "has_more": false, "next_cursor": null}), call.request_id))
}

pub(crate) fn find<'w>(call: &Call<'_>, world: &'w World, id: Uuid) -> Result<&'w DataSource> {
    let found = world.sources.get(&id).filter(|_| world.is_shared(&call.token, id));
    found.ok_or_else(|| call.not_found("data_source", id))
}

fn answer(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let source = world.sources.get(&id).ok_or_else(|| call.not_found("data_source", id))?;
    let mut out = String::with_capacity(4096);
    if call.capabilities().read_content {
        call.viewer(world).write_source(&mut out, source);
    } else {
        out.push_str("{\"object\":\"data_source\",\"id\":");
        json::id(&mut out, id);
        out.push('}');
    }
    Ok(Reply::object(out, call.request_id))
}

fn parse_database(call: &Call<'_>, world: &World, body: &Map<String, Json>) -> Result<Uuid> {
    let at = BODY.key("parent");
    let parent = at::object(at::required(body, "parent", &BODY)?, &at)?;
    let json = at::required(parent, "database_id", &at)?;
    let at = at.key("database_id");
    let text = at::string(json, 100, &at)?;
    let id = ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(json)))?;
    if !world.databases.contains_key(&id) || !world.is_shared(&call.token, id) {
        return Err(call.not_found("database", id));
    }
    Ok(id)
}
