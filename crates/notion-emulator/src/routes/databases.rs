//! `/v1/databases`: containers, and in the oldest version the schema and the rows too.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::data_sources;
use crate::{
    at::{self, BODY},
    call::Call,
    edit,
    error::{ApiError, Result},
    ids,
    reply::Reply,
    rich_text::{self, Item},
    schema::{Kind, Property},
    schema_edit,
    version::Version,
    world::{DataSource, Database, Parent, View, World},
};

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let body = call.body()?;
    let mut world = call.write();
    let parent = parse_parent(call, &world, body)?;
    let title = parse_text(call, &world, body, "title")?.unwrap_or_default();
    let description = parse_text(call, &world, body, "description")?.unwrap_or_default();
    let icon = edit::parse_image(body, "icon", &BODY)?.flatten().map(|icon| *icon);
    let cover = edit::parse_image(body, "cover", &BODY)?.flatten().map(|cover| *cover);
    let is_inline = at::optional_boolean(body, "is_inline", &BODY)?.unwrap_or(false);
    // In the newer versions a top-level `properties` is silently ignored, as the real one does.
    let nested = BODY.key("initial_data_source");
    let (properties, place) = if call.version.has_sources() {
        match body.get("initial_data_source") {
            None | Some(Json::Null) => (None, nested.key("properties")),
            Some(initial) => (at::object(initial, &nested)?.get("properties"), nested.key("properties")),
        }
    } else {
        (Some(at::required(body, "properties", &BODY)?), BODY.key("properties"))
    };
    let properties = match properties {
        None | Some(Json::Null) => None,
        Some(properties) => Some(at::object(properties, &place)?),
    };
    if let Some(properties) = properties {
        data_sources::check_one_title(properties, &place)?;
    }
    let (id, now) = (ids::fresh(), world.now());
    let bot = call.token.bot;
    world.databases.insert(
        id,
        Database {
            id,
            parent,
            title: title.clone(),
            description: description.clone(),
            is_inline,
            in_trash: false,
            is_locked: false,
            created: now,
            edited: now,
            created_by: bot,
            edited_by: bot,
            icon,
            cover,
            sources: Vec::new(),
        },
    );
    let made = add_source(&mut world, call, id, title, None, properties, &place);
    if let Err(error) = made {
        world.databases.remove(&id);
        return Err(error);
    }
    match parent {
        Parent::Page(holder) | Parent::Block(holder) => {
            if let Some(children) = world.children_mut(holder) {
                children.push(id);
            }
        }
        Parent::Workspace | Parent::Source(_) => {}
    }
    world.record("database.created", ("database", id), bot, json!({}));
    answer(call, &world, id)
}

/// Adds a data source with its columns and a table view; nothing is kept on a mistake.
pub(crate) fn add_source(
    world: &mut World,
    call: &Call<'_>,
    database: Uuid,
    title: Vec<Item>,
    icon: Option<Json>,
    properties: Option<&Map<String, Json>>,
    place: &at::At<'_>,
) -> Result<Uuid> {
    let (id, now, bot) = (ids::fresh(), world.now(), call.token.bot);
    let mut source = DataSource {
        id,
        database,
        title,
        description: Vec::new(),
        icon,
        in_trash: false,
        created: now,
        edited: now,
        created_by: bot,
        edited_by: bot,
        properties: Vec::new(),
        index: Default::default(),
    };
    if properties.is_none() {
        source.properties.push(Property {
            id: "title".into(),
            name: "Name".into(),
            description: None,
            kind: Kind::Title,
            order: 0,
        });
    }
    world.sources.insert(id, source);
    if let Some(owner) = world.databases.get_mut(&database) {
        owner.sources.push(id);
    }
    if let Some(properties) = properties
        && let Err(error) = schema_edit::apply(world, &call.token, id, properties, place)
    {
        world.sources.remove(&id);
        if let Some(owner) = world.databases.get_mut(&database) {
            owner.sources.retain(|source| *source != id);
        }
        return Err(error);
    }
    world.views.push(View {
        id: ids::fresh(),
        source: id,
        database,
        name: "Table".into(),
        kind: "table".into(),
        created: now,
        edited: now,
        created_by: bot,
        edited_by: bot,
        filter: None,
        sorts: None,
    });
    world.record("data_source.created", ("data_source", id), bot, json!({}));
    Ok(id)
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "database_id")?;
    let world = call.read();
    find(call, &world, id)?;
    answer(call, &world, id)
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "database_id")?;
    let body = call.body()?;
    let world = &mut *call.write();
    find(call, world, id)?;
    let parent = if body.contains_key("parent") { Some(parse_parent(call, world, body)?) } else { None };
    let title = parse_text(call, world, body, "title")?;
    let description = parse_text(call, world, body, "description")?;
    let icon = edit::parse_image(body, "icon", &BODY)?;
    let cover = edit::parse_image(body, "cover", &BODY)?;
    let is_inline = at::optional_boolean(body, "is_inline", &BODY)?;
    let is_locked = at::optional_boolean(body, "is_locked", &BODY)?;
    let in_trash = super::pages::trash_wish(call.version, body)?;
    if !call.version.has_sources()
        && let Some(properties) = body.get("properties")
    {
        let place = BODY.key("properties");
        let source = single_source(call, world, id)?;
        schema_edit::apply(world, &call.token, source, at::object(properties, &place)?, &place)?;
    }
    let (now, bot) = (world.now(), call.token.bot);
    let old = world.databases.get(&id).map(|database| database.parent);
    let mut trashed = None;
    if let Some(database) = world.databases.get_mut(&id) {
        if let Some(title) = title {
            // A database with one data source shares its name with it.
            if let [only] = database.sources.as_slice()
                && let Some(source) = world.sources.get_mut(only)
            {
                source.title.clone_from(&title);
            }
            database.title = title;
        }
        if let Some(description) = description {
            database.description = description;
        }
        if let Some(icon) = icon {
            database.icon = icon.map(|icon| *icon);
        }
        if let Some(cover) = cover {
            database.cover = cover.map(|cover| *cover);
        }
        database.is_inline = is_inline.unwrap_or(database.is_inline);
        database.is_locked = is_locked.unwrap_or(database.is_locked);
        if let Some(in_trash) = in_trash
            && in_trash != database.in_trash
        {
            database.in_trash = in_trash;
            trashed = Some(in_trash);
        }
        if let Some(parent) = parent {
            database.parent = parent;
        }
        database.edited = now;
        database.edited_by = bot;
    }
    if let (Some(new), Some(old)) = (parent, old) {
        reparent(world, id, old, new);
        world.record("database.moved", ("database", id), bot, json!({}));
    }
    if let Some(in_trash) = trashed {
        let kind = if in_trash { "database.deleted" } else { "database.undeleted" };
        world.record(kind, ("database", id), bot, json!({}));
    }
    answer(call, world, id)
}

/// Takes something out of its old parent's children and puts it at the end of the new one's.
pub(crate) fn reparent(world: &mut World, id: Uuid, old: Parent, new: Parent) {
    if let Parent::Page(holder) | Parent::Block(holder) = old
        && let Some(children) = world.children_mut(holder)
    {
        children.retain(|child| *child != id);
    }
    if let Parent::Page(holder) | Parent::Block(holder) = new
        && let Some(children) = world.children_mut(holder)
    {
        children.push(id);
    }
}

/// The oldest version's query, on the database's only data source.
pub(crate) fn query(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    if call.version.has_sources() {
        return Err(ApiError::invalid_url());
    }
    let id = call.path_id(1, "database_id")?;
    let world = call.read();
    find(call, &world, id)?;
    let source = single_source(call, &world, id)?;
    data_sources::run_query(call, &world, source)
}

fn find<'w>(call: &Call<'_>, world: &'w World, id: Uuid) -> Result<&'w Database> {
    let found = world.databases.get(&id).filter(|_| world.is_shared(&call.token, id));
    found.ok_or_else(|| call.not_found("database", id))
}

/// The only data source of a database: what older versions take the database for.
pub(crate) fn single_source(call: &Call<'_>, world: &World, database: Uuid) -> Result<Uuid> {
    let sources = &find(call, world, database)?.sources;
    if sources.len() == 1 {
        return Ok(sources[0]);
    }
    let mut error =
        ApiError::validation("Databases with multiple data sources are not supported in this API version.");
    error.additional = Some(json!({
        "error_type": "multiple_data_sources_for_database", "database_id": database.to_string(),
        "child_data_source_ids": sources.iter().map(Uuid::to_string).collect::<Vec<_>>(),
        "minimum_api_version": "2025-09-03",
    }));
    Err(error)
}

fn answer(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let database = world.databases.get(&id).ok_or_else(|| call.not_found("database", id))?;
    if call.version == Version::V2022 {
        single_source(call, world, id)?;
    }
    let mut out = String::with_capacity(2048);
    if call.capabilities().read_content {
        call.viewer(world).write_database(&mut out, database);
    } else {
        out = json!({"object": "database", "id": id.to_string()}).to_string();
    }
    Ok(Reply::object(out, call.request_id))
}

/// `parent` of a database: a page, a block, or the workspace for public connections.
fn parse_parent(call: &Call<'_>, world: &World, body: &Map<String, Json>) -> Result<Parent> {
    let at = BODY.key("parent");
    let parent = at::object(at::required(body, "parent", &BODY)?, &at)?;
    for (key, name) in [("page_id", "page"), ("block_id", "block")] {
        let Some(json) = parent.get(key) else { continue };
        let at = at.key(key);
        let text = at::string(json, 100, &at)?;
        let id = ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(json)))?;
        let known =
            if key == "page_id" { world.pages.contains_key(&id) } else { world.blocks.contains_key(&id) };
        if !known || !world.is_shared(&call.token, id) {
            return Err(call.not_found(name, id));
        }
        if world.is_trashed(id) {
            return Err(ApiError::trashed());
        }
        return Ok(if key == "page_id" { Parent::Page(id) } else { Parent::Block(id) });
    }
    if parent.get("workspace") == Some(&Json::Bool(true)) {
        return workspace_parent(call);
    }
    Err(at.key("page_id").should_be("defined", None))
}

/// The top of the workspace is open to public connections alone.
pub(crate) fn workspace_parent(call: &Call<'_>) -> Result<Parent> {
    if call.token.is_public {
        return Ok(Parent::Workspace);
    }
    Err(ApiError::validation(
        "Internal integrations aren't owned by a single user, so creating workspace-level private pages is not supported.",
    ))
}

pub(crate) fn parse_text(
    call: &Call<'_>,
    world: &World,
    body: &Map<String, Json>,
    key: &str,
) -> Result<Option<Vec<Item>>> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(text) => rich_text::parse(text, call.scope(world).world, &BODY.key(key)).map(Some),
    }
}
