//! What people do in the app: write cells by name, add, trash, restore and duplicate rows, rename options.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{Order, simple};
use crate::{
    at::{self, BODY},
    blocks, dates,
    edit::{self, NewPage},
    error::{ApiError, Result},
    ids,
    ids::PropertyId,
    markdown, options, rich_text, schema_edit,
    token::Token,
    values::{Scope, Written},
    world::{Page, Parent, User, UserKind, World},
};

/// Who does it: a user by id, name or e-mail; the first person when none is named.
fn author(order: &Order<'_>, world: &World) -> Result<Uuid> {
    match order.text("user")? {
        Some(key) => simple::find_user(world, key),
        None => world
            .users
            .iter()
            .find(|user| user.kind == UserKind::Person)
            .map(|user| user.id)
            .ok_or_else(|| ApiError::validation("There is no person.")),
    }
}

fn parse_values(
    world: &World,
    author: Uuid,
    parent: Parent,
    map: &Map<String, Json>,
) -> Result<Vec<(PropertyId, Written)>> {
    let person = Token::person(author);
    let scope = Scope { world, token: &person };
    let place = BODY.key("properties");
    let Parent::Source(source) = parent else { return edit::parse_title(scope, map, &place) };
    let missing = || ApiError::validation("There is no such data source.");
    let source = world.sources.get(&source).ok_or_else(missing)?;
    map.iter()
        .map(|(key, json)| {
            let property = source
                .property(key)
                .ok_or_else(|| ApiError::validation(format!("{key} is not a property that exists.")))?;
            simple::parse(scope, property, json, &place.key(key))
                .map(|written| (property.id.clone(), written))
        })
        .collect()
}

fn properties<'o>(order: &'o Order<'_>) -> Result<Option<&'o Map<String, Json>>> {
    match order.body.get("properties") {
        None | Some(Json::Null) => Ok(None),
        Some(json) => at::object(json, &BODY.key("properties")).map(Some),
    }
}

fn page_summary(world: &World, id: Uuid) -> Json {
    match world.pages.get(&id) {
        None => Json::Null,
        Some(page) => super::show::page_json(world, page),
    }
}

pub(super) fn add_page(order: &Order<'_>) -> Result<Json> {
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    let wanted = |key: &str| order.text(key).map(|text| text.and_then(ids::parse_uuid));
    let parent = match (wanted("data_source_id")?, wanted("page_id")?) {
        (Some(id), _) if world.sources.contains_key(&id) => Parent::Source(id),
        (_, Some(id)) if world.pages.contains_key(&id) => Parent::Page(id),
        _ => return Err(ApiError::validation("Give the data_source_id or page_id of the parent.")),
    };
    let none = Map::new();
    let values = parse_values(&world, author, parent, properties(order)?.unwrap_or(&none))?;
    let id = edit::create_page(&mut world, NewPage { parent, values, icon: None, cover: None, author });
    Ok(page_summary(&world, id))
}

/// Many rows in one call: `rows` as given, or `count` rows whose title is a number.
pub(super) fn add_rows(order: &Order<'_>) -> Result<Json> {
    let source = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    let title = world
        .sources
        .get(&source)
        .and_then(|source| source.by_id("title"))
        .map(|property| property.name.clone())
        .ok_or_else(|| ApiError::validation("There is no such data source."))?;
    let numbered: Vec<Json>;
    let rows: &[Json] = match (order.body.get("rows"), order.number("count")?) {
        (Some(rows), _) => at::array(rows, usize::MAX, &BODY.key("rows"))?,
        (None, Some(count)) => {
            numbered = (1..=count).map(|number| json!({ &title: format!("Row {number}") })).collect();
            &numbered
        }
        (None, None) => return Err(ApiError::validation("Give `rows` or `count`.")),
    };
    let from = match order.text("created_time")? {
        None => None,
        Some(text) => Some(
            dates::parse_instant(text).ok_or_else(|| ApiError::validation("created_time is not a time."))?,
        ),
    };
    let step = order.number("step_ms")?.unwrap_or(0);
    let clock = world.clock.clone();
    if let Some(from) = from {
        world.clock.freeze();
        world.clock.set(from);
    }
    let made = add_each(&mut world, source, author, rows, step);
    world.clock = clock;
    let made = made?;
    let want_ids = order.parameter("ids") != Some("false");
    let ids: Vec<String> = if want_ids { made.iter().map(Uuid::to_string).collect() } else { Vec::new() };
    Ok(json!({"created": made.len(), "ids": ids}))
}

fn add_each(world: &mut World, source: Uuid, author: Uuid, rows: &[Json], step: i64) -> Result<Vec<Uuid>> {
    let mut made = Vec::with_capacity(rows.len());
    let parent = Parent::Source(source);
    for (index, row) in rows.iter().enumerate() {
        let place = BODY.key("rows");
        let values = parse_values(world, author, parent, at::object(row, &place.index(index))?)?;
        made.push(edit::create_page(world, NewPage { parent, values, icon: None, cover: None, author }));
        if step != 0 && world.clock.is_frozen() {
            world.clock.advance(step);
        }
    }
    Ok(made)
}

pub(super) fn change_page(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    let parent = known(&world, id)?.parent;
    as_expected(order, &world, id)?;
    if let Some(map) = properties(order)? {
        let values = parse_values(&world, author, parent, map)?;
        edit::set_values(&mut world, id, values, author);
    }
    if let Some(archived) = at::optional_boolean(&order.body, "is_archived", &BODY)? {
        edit::change_page(&mut world, id, Some(author), |page| page.is_archived = archived);
    }
    Ok(page_summary(&world, id))
}

pub(super) fn trash(order: &Order<'_>, in_trash: bool) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    known(&world, id)?;
    as_expected(order, &world, id)?;
    edit::set_trashed(&mut world, id, in_trash, author);
    Ok(page_summary(&world, id))
}

pub(super) fn duplicate(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    known(&world, id)?;
    let copy = edit::duplicate(&mut world, id, author).unwrap_or(id);
    Ok(page_summary(&world, copy))
}

/// Deletes for ever: afterwards the page is a 404.
pub(super) fn purge(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    known(&world, id)?;
    let relations: Vec<(PropertyId, Vec<Uuid>)> = known(&world, id)?
        .values
        .iter()
        .filter_map(|(property, value)| match value {
            crate::values::Value::Relation(targets) => Some((property.clone(), targets.clone())),
            _ => None,
        })
        .collect();
    let Some(page) = world.pages.get(&id) else { return Ok(Json::Null) };
    if let Parent::Source(source) = page.parent {
        for (property, targets) in relations {
            edit::mirror(&mut world, source, &property, id, &targets, &[]);
        }
    }
    if let Some(page) = world.pages.remove(&id) {
        match page.parent {
            Parent::Source(source) => {
                if let Some(source) = world.sources.get_mut(&source) {
                    source.index.remove(&page);
                    source.index.stale.remove(&id);
                }
            }
            Parent::Page(holder) | Parent::Block(holder) => {
                if let Some(children) = world.children_mut(holder) {
                    children.retain(|child| *child != id);
                }
            }
            Parent::Workspace => {}
        }
    }
    Ok(json!({"purged": id.to_string()}))
}

pub(super) fn set_body(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    known(&world, id)?;
    let text = order.text("markdown")?.unwrap_or_default();
    if order.text("expect_markdown")?.is_some_and(|expected| expected != markdown::write(&world, id).0) {
        return Err(ApiError::new(409, "conflict_error", "The body is not as expected."));
    }
    blocks::clear(&mut world, id, false, author);
    let made = blocks::insert(&mut world, Parent::Page(id), usize::MAX, markdown::parse(text), author);
    // In the app, unlike through the API, a change of the body moves the edit time.
    edit::change_page(&mut world, id, Some(author), |_| {});
    crate::routes::blocks::record(&mut world, id, &made, author);
    Ok(page_summary(&world, id))
}

pub(super) fn change_schema(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    if !world.sources.contains_key(&id) {
        return Err(ApiError::validation("There is no such data source."));
    }
    if let Some(map) = properties(order)? {
        schema_edit::apply(&mut world, &Token::person(author), id, map, &BODY.key("properties"))?;
    }
    if let Some(title) = order.text("title")? {
        let title = rich_text::plain(title);
        if let Some(source) = world.sources.get_mut(&id) {
            source.title = title;
        }
    }
    if let Some(renames) = order.body.get("rename_options") {
        let place = BODY.key("rename_options");
        for (column, names) in at::object(renames, &place)? {
            let place = place.key(column);
            for (old, new) in at::object(names, &place)? {
                let new = at::string(new, 2000, &place.key(old))?;
                rename_option(&mut world, id, column, old, new)?;
            }
        }
        world.forget_written();
    }
    let columns = world.sources.get(&id).map(|source| super::show::columns(&world, source));
    Ok(json!({"id": id.to_string(), "columns": columns}))
}

/// People can rename an option, which the API cannot: the id stays.
fn rename_option(world: &mut World, source: Uuid, column: &str, old: &str, new: &str) -> Result<()> {
    let missing = || ApiError::validation(format!("There is no option `{old}` in `{column}`."));
    let id = world
        .sources
        .get(&source)
        .and_then(|source| source.property(column))
        .map(|property| property.id.clone())
        .ok_or_else(missing)?;
    let source = world.sources.get_mut(&source).ok_or_else(missing)?;
    let property = source.properties.iter_mut().find(|property| property.id == id).ok_or_else(missing)?;
    let choices = property.kind.options_mut().ok_or_else(missing)?;
    let found = options::by_name(choices, old).map(|choice| choice.id.clone()).ok_or_else(missing)?;
    for choice in choices.iter_mut().filter(|choice| choice.id == found) {
        new.clone_into(&mut choice.name);
    }
    Ok(())
}

pub(super) fn add_user(order: &Order<'_>) -> Result<Json> {
    let name = order.text("name")?.unwrap_or("Somebody").to_owned();
    let email = order.text("email")?.map(str::to_owned);
    let kind = match order.text("kind")? {
        Some("guest") => UserKind::Guest,
        Some("bot") => UserKind::Bot,
        _ => UserKind::Person,
    };
    let id = ids::fresh();
    order.shared.write().users.push(User { id, name, email, kind });
    Ok(json!({"id": id.to_string()}))
}

pub(super) fn trash_database(order: &Order<'_>, in_trash: bool) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let author = author(order, &world)?;
    let missing = || ApiError::validation("There is no such database.");
    world.databases.get_mut(&id).ok_or_else(missing)?.in_trash = in_trash;
    let kind = if in_trash { "database.deleted" } else { "database.undeleted" };
    world.record(kind, ("database", id), author, json!({}));
    Ok(json!({"id": id.to_string(), "in_trash": in_trash}))
}

/// Deletes a database for ever, with its data sources and their pages: afterwards all of them are 404s.
pub(super) fn purge_database(order: &Order<'_>) -> Result<Json> {
    let id = order.id(1)?;
    let mut world = order.shared.write();
    let missing = || ApiError::validation("There is no such database.");
    let database = world.databases.remove(&id).ok_or_else(missing)?;
    for source in &database.sources {
        world.sources.remove(source);
        world.pages.retain(|_, page| page.parent != Parent::Source(*source));
    }
    if let Parent::Page(holder) | Parent::Block(holder) = database.parent
        && let Some(children) = world.children_mut(holder)
    {
        children.retain(|child| *child != id);
    }
    Ok(json!({"purged": id.to_string()}))
}

/// Whether the page still shows what the person saw who changes it now: `expect` holds values by column.
fn as_expected(order: &Order<'_>, world: &World, id: Uuid) -> Result<()> {
    let Some(expected) = order.body.get("expect") else { return Ok(()) };
    let shown = page_summary(world, id);
    for (column, value) in at::object(expected, &BODY.key("expect"))? {
        let now = if column == "in_trash" { &shown["in_trash"] } else { &shown["values"][column.as_str()] };
        if now != value {
            return Err(ApiError::new(409, "conflict_error", format!("{column} is not as expected.")));
        }
    }
    Ok(())
}

fn known(world: &World, id: Uuid) -> Result<&Page> {
    world.pages.get(&id).ok_or_else(|| ApiError::validation("There is no such page."))
}
