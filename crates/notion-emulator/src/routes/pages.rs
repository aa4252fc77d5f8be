//! `/v1/pages`: rows and pages are made, read, changed and moved.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{data_sources, databases};
use crate::{
    at::{self, At, BODY},
    blocks,
    call::Call,
    edit::{self, NewPage},
    error::{ApiError, Result},
    ids, markdown,
    render::RowShape,
    reply::Reply,
    version::Version,
    world::{Page, Parent, World},
};

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let body = call.body()?;
    let keys = [
        "parent",
        "properties",
        "icon",
        "cover",
        "children",
        "content",
        "markdown",
        "allow_async",
        "template",
        "position",
    ];
    at::only_keys(body, &keys, &BODY)?;
    let mut world = call.write();
    let place = BODY.key("parent");
    let parent = parse_parent(call, &world, at::required(body, "parent", &BODY)?, &place)?;
    let holder = holder(parent);
    if let Some(holder) = holder
        && world.is_trashed(holder)
    {
        return Err(ApiError::trashed());
    }
    let none = Map::new();
    let place = BODY.key("properties");
    let properties = match body.get("properties") {
        None | Some(Json::Null) => &none,
        Some(properties) => at::object(properties, &place)?,
    };
    let values = match parent {
        Parent::Source(source) => {
            let source = data_sources::find(call, &world, source)?;
            data_sources::only_properties(call, source)?;
            edit::parse_properties(call.scope(&world), source, properties, &place)?
        }
        _ => edit::parse_title(call.scope(&world), properties, &place)?,
    };
    let icon = edit::parse_image(body, "icon", &BODY)?.flatten();
    let cover = edit::parse_image(body, "cover", &BODY)?.flatten();
    let key = if body.contains_key("content") { "content" } else { "children" };
    let mut children = match body.get(key) {
        None | Some(Json::Null) => Vec::new(),
        Some(children) => blocks::parse_children(call.scope(&world), children, &BODY.key(key))?,
    };
    if let Some(text) = body.get("markdown").filter(|text| !text.is_null()) {
        if !children.is_empty() {
            return Err(BODY.key("markdown").should_be("not present", Some(text)));
        }
        children = markdown::parse(at::string(text, usize::MAX, &BODY.key("markdown"))?);
    }
    if let Some(template) = body.get("template") {
        let at = BODY.key("template");
        let template = at::object(template, &at)?;
        at::one_of(at::required(template, "type", &at)?, &["none", "default"], &at.key("type"))?;
    }
    let author = call.token.bot;
    let id = edit::create_page(&mut world, NewPage { parent, values, icon, cover, author });
    blocks::insert(&mut world, Parent::Page(id), 0, children, author);
    if !call.capabilities().read_content {
        let partial = json!({"object": "page", "id": id.to_string()});
        return Ok(Reply::tree(&partial, call.request_id));
    }
    answer(call, &world, id)
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "page_id")?;
    let world = call.read();
    find(call, &world, id)?;
    answer(call, &world, id)
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "page_id")?;
    let body = call.body()?;
    let keys = [
        "properties",
        "icon",
        "cover",
        "is_locked",
        "template",
        "erase_content",
        "in_trash",
        "is_archived",
        "archived",
    ];
    at::only_keys(body, &keys, &BODY)?;
    let in_trash = trash_wish(call.version, body)?;
    let is_archived = at::optional_boolean(body, "is_archived", &BODY)?;
    let is_locked = at::optional_boolean(body, "is_locked", &BODY)?;
    let erase = at::optional_boolean(body, "erase_content", &BODY)?.unwrap_or(false);
    let icon = edit::parse_image(body, "icon", &BODY)?;
    let cover = edit::parse_image(body, "cover", &BODY)?;
    let mut world = call.write();
    let page = find(call, &world, id)?;
    let parent = page.parent;
    let around = holder(parent).is_some_and(|holder| world.is_trashed(holder));
    let stays_trashed = page.in_trash && in_trash != Some(false);
    // Repeating a trash is no edit; everything else needs the page out of the trash first.
    let only_trash = body.keys().all(|key| key == "in_trash" || key == "archived");
    if around || (stays_trashed && !(only_trash && in_trash == Some(true))) {
        return Err(ApiError::trashed());
    }
    let place = BODY.key("properties");
    let writes = match body.get("properties") {
        None | Some(Json::Null) => Vec::new(),
        Some(properties) => {
            let properties = at::object(properties, &place)?;
            match parent {
                Parent::Source(source) => {
                    let source = data_sources::find(call, &world, source)?;
                    edit::parse_properties(call.scope(&world), source, properties, &place)?
                }
                _ => edit::parse_title(call.scope(&world), properties, &place)?,
            }
        }
    };
    let author = call.token.bot;
    if let Some(in_trash) = in_trash {
        edit::set_trashed(&mut world, id, in_trash, author);
    }
    if icon.is_some() || cover.is_some() || is_archived.is_some() {
        edit::change_page(&mut world, id, Some(author), |page| {
            if let Some(icon) = icon {
                page.icon = icon;
            }
            if let Some(cover) = cover {
                page.cover = cover;
            }
            page.is_archived = is_archived.unwrap_or(page.is_archived);
        });
    }
    if let Some(locked) = is_locked {
        edit::change_page(&mut world, id, Some(author), |page| page.is_locked = locked);
        world.record(if locked { "page.locked" } else { "page.unlocked" }, ("page", id), author, json!({}));
    }
    if !writes.is_empty() {
        edit::set_values(&mut world, id, writes, author);
    }
    if erase {
        blocks::clear(&mut world, id, false, author);
    }
    answer(call, &world, id)
}

/// `POST /v1/pages/{id}/move`: values follow into columns of the same name and type.
pub(crate) fn relocate(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "page_id")?;
    let body = call.body()?;
    at::only_keys(body, &["parent"], &BODY)?;
    let mut world = call.write();
    let page = find(call, &world, id)?;
    let old = page.parent;
    if page.in_trash {
        return Err(ApiError::trashed());
    }
    let place = BODY.key("parent");
    let parent = parse_move_parent(call, &world, at::required(body, "parent", &BODY)?, &place)?;
    if holder(parent).is_some_and(|holder| is_within(&world, holder, id)) {
        return Err(ApiError::validation("A page cannot be moved into itself."));
    }
    let author = call.token.bot;
    move_page(&mut world, id, old, parent, author);
    answer(call, &world, id)
}

fn move_page(world: &mut World, id: Uuid, old: Parent, new: Parent, author: Uuid) {
    let Some(mut page) = world.pages.remove(&id) else { return };
    if let Parent::Source(source) = old
        && let Some(source) = world.sources.get_mut(&source)
    {
        source.index.remove(&page);
    }
    let values = std::mem::take(&mut page.values);
    let from = if let Parent::Source(source) = old { world.sources.get(&source) } else { None };
    let into = if let Parent::Source(source) = new { world.sources.get(&source) } else { None };
    for (property, value) in values {
        if &*property == "title" {
            page.values.push((property, value));
            continue;
        }
        let name = from.and_then(|source| source.by_id(&property));
        let target = name.and_then(|name| {
            into.and_then(|into| {
                into.properties.iter().find(|other| other.name == name.name && other.kind == name.kind)
            })
        });
        if let Some(target) = target {
            page.values.push((target.id.clone(), value));
        }
    }
    page.parent = new;
    page.edited = world.now();
    page.edited_by = author;
    page.written = std::sync::OnceLock::new();
    if let Parent::Source(source) = new
        && let Some(source) = world.sources.get_mut(&source)
    {
        source.index.add(&page);
    }
    world.pages.insert(id, page);
    databases::reparent(world, id, old, new);
    world.record("page.moved", ("page", id), author, json!({}));
}

fn is_within(world: &World, mut at: Uuid, around: Uuid) -> bool {
    loop {
        if at == around {
            return true;
        }
        match world.parent_of(at) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
}

/// `in_trash`, or `archived` where the version still has it.
pub(crate) fn trash_wish(version: Version, body: &Map<String, Json>) -> Result<Option<bool>> {
    let wish = at::optional_boolean(body, "in_trash", &BODY)?;
    match body.get("archived") {
        None => Ok(wish),
        Some(value) if !version.has_archived() => {
            Err(BODY.key("archived").should_be("not present", Some(value)))
        }
        Some(_) => Ok(wish.or(at::optional_boolean(body, "archived", &BODY)?)),
    }
}

pub(crate) fn find<'w>(call: &Call<'_>, world: &'w World, id: Uuid) -> Result<&'w Page> {
    let found = world.pages.get(&id).filter(|_| world.is_shared(&call.token, id));
    found.ok_or_else(|| call.not_found("page", id))
}

fn answer(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let page = world.pages.get(&id).ok_or_else(|| call.not_found("page", id))?;
    let viewer = call.viewer(world);
    let mut out = String::with_capacity(3072);
    match page.parent {
        Parent::Source(source) => {
            let source = world.sources.get(&source).ok_or_else(|| call.not_found("page", id))?;
            let shape = RowShape::new(viewer, source, data_sources::only_properties(call, source)?);
            viewer.write_page(&mut out, page, Some(&shape));
        }
        _ => viewer.write_page(&mut out, page, None),
    }
    Ok(Reply::object(out, call.request_id))
}

fn holder(parent: Parent) -> Option<Uuid> {
    match parent {
        Parent::Workspace => None,
        Parent::Page(id) | Parent::Block(id) | Parent::Source(id) => Some(id),
    }
}

/// A page's parent: strict, so that the form that is read (with `database_id` beside) is refused.
fn parse_parent(call: &Call<'_>, world: &World, json: &Json, at: &At) -> Result<Parent> {
    let map = at::object(json, at)?;
    let words = ["data_source_id", "page_id", "database_id", "workspace"];
    let Some(word) = words.into_iter().find(|word| map.contains_key(*word)) else {
        let lines: Vec<String> = words[..3]
            .iter()
            .map(|word| format!("{at}.{word} should be defined, instead was `undefined`."))
            .collect();
        return Err(ApiError::validation(format!("body failed validation. Fix one:\n{}", lines.join("\n"))));
    };
    at::only_keys(map, &[word, "type"], at)?;
    if word == "workspace" {
        return databases::workspace_parent(call);
    }
    let at = at.key(word);
    let text = at::string(&map[word], 100, &at)?;
    let id = ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(&map[word])))?;
    match word {
        "data_source_id" => data_sources::find(call, world, id).map(|_| Parent::Source(id)),
        "page_id" => find(call, world, id).map(|_| Parent::Page(id)),
        _ => databases::single_source(call, world, id).map(Parent::Source),
    }
}

/// Where a page is moved to; a `page_id` may name a database with one data source.
fn parse_move_parent(call: &Call<'_>, world: &World, json: &Json, at: &At) -> Result<Parent> {
    if let Some(id) = json.get("page_id").and_then(Json::as_str).and_then(ids::parse_uuid)
        && world.databases.contains_key(&id)
    {
        return databases::single_source(call, world, id).map(Parent::Source);
    }
    parse_parent(call, world, json, at)
}
