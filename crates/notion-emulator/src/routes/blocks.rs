//! `/v1/blocks`: bodies of pages, one level at a time.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    blocks,
    call::{self, Call},
    edit,
    error::{ApiError, Result},
    ids,
    reply::Reply,
    version::Version,
    world::{Parent, World},
};

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "block_id")?;
    let world = call.read();
    check(call, &world, id)?;
    answer(call, &world, id)
}

pub(crate) fn children(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "block_id")?;
    let world = call.read();
    check(call, &world, id)?;
    let seen: Vec<Uuid> = blocks::live_children(&world, id)
        .into_iter()
        .filter(|id| world.is_shared(&call.token, *id))
        .collect();
    let (page, next) = call::paged(seen, call.parameter("start_cursor"), call.page_size()?)?;
    list(call, &world, &page, next.as_deref())
}

pub(crate) fn append(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert()?;
    let id = call.path_id(1, "block_id")?;
    let body = call.body()?;
    let keys: &[&str] = match call.version {
        Version::V2026 => &["children", "position"],
        _ => &["children", "after", "position"],
    };
    at::only_keys(body, keys, &BODY)?;
    if let (Some(_), Some(position)) = (body.get("after"), body.get("position")) {
        return Err(BODY.key("position").should_be("not present", Some(position)));
    }
    let mut world = call.write();
    check(call, &world, id)?;
    if world.is_trashed(id) {
        return Err(ApiError::trashed());
    }
    let given = at::required(body, "children", &BODY)?;
    let new = blocks::parse_children(call.scope(&world), given, &BODY.key("children"))?;
    let siblings = world.children(id).len();
    let after = |json: &Json, world: &World| -> Result<usize> {
        let wanted = json.as_str().and_then(ids::parse_uuid);
        let found = wanted.and_then(|wanted| world.children(id).iter().position(|child| *child == wanted));
        found.map(|at| at + 1).ok_or_else(|| {
            ApiError::validation(format!("Could not find block {json} among the children of the parent."))
        })
    };
    let position = if let Some(json) = body.get("after") {
        after(json, &world)?
    } else if let Some(position) = body.get("position") {
        let at = BODY.key("position");
        let position = at::object(position, &at)?;
        let kind = at::required(position, "type", &at)?;
        match at::one_of(kind, &["after_block", "start", "end"], &at.key("type"))? {
            "start" => 0,
            "end" => siblings,
            _ => after(&position.get("after_block").map_or(Json::Null, |block| block["id"].clone()), &world)?,
        }
    } else {
        siblings
    };
    let parent = if world.pages.contains_key(&id) { Parent::Page(id) } else { Parent::Block(id) };
    let made = blocks::insert(&mut world, parent, position, new, call.token.bot);
    record(&mut world, id, &made, call.token.bot);
    list(call, &world, &made, None)
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "block_id")?;
    let body = call.body()?;
    let in_trash = super::pages::trash_wish(call.version, body)?;
    let mut world = call.write();
    check(call, &world, id)?;
    if !world.blocks.contains_key(&id) {
        trash_other(&mut world, id, in_trash, call.token.bot);
        return answer(call, &world, id);
    }
    let block = world.blocks.get(&id).ok_or_else(|| call.not_found("block", id))?;
    let kind = block.kind.clone();
    at::only_keys(body, &[&kind, "type", "in_trash", "archived", "object"], &BODY)?;
    let content = match body.get(&kind) {
        None => None,
        // Other fields of a trashed block are answered as if it were not there.
        Some(_) if block.in_trash && in_trash != Some(false) => return Err(call.not_found("block", id)),
        Some(given) => Some(blocks::update(call.scope(&world), block, given, &BODY.key(&kind))?),
    };
    let (now, bot) = (world.now(), call.token.bot);
    if let Some(block) = world.blocks.get_mut(&id) {
        if let Some(content) = content {
            block.content = content;
        }
        block.in_trash = in_trash.unwrap_or(block.in_trash);
        block.edited = now;
        block.edited_by = bot;
    }
    record(&mut world, id, &[id], bot);
    answer(call, &world, id)
}

/// Trashes a block; also a page or database by its id.
pub(crate) fn delete(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "block_id")?;
    let mut world = call.write();
    check(call, &world, id)?;
    let (now, bot) = (world.now(), call.token.bot);
    match world.blocks.get_mut(&id) {
        Some(block) => {
            block.in_trash = true;
            block.edited = now;
            block.edited_by = bot;
            record(&mut world, id, &[id], bot);
        }
        None => trash_other(&mut world, id, Some(true), bot),
    }
    answer(call, &world, id)
}

fn trash_other(world: &mut World, id: Uuid, in_trash: Option<bool>, author: Uuid) {
    let Some(in_trash) = in_trash else { return };
    if world.pages.contains_key(&id) {
        edit::set_trashed(world, id, in_trash, author);
    } else if let Some(database) = world.databases.get_mut(&id) {
        database.in_trash = in_trash;
        let kind = if in_trash { "database.deleted" } else { "database.undeleted" };
        world.record(kind, ("database", id), author, json!({}));
    }
}

/// A body's change; the page's edit time stays, as it was reported to.
pub(crate) fn record(world: &mut World, within: Uuid, blocks: &[Uuid], author: Uuid) {
    let Some(page) = blocks::page_of(world, within) else { return };
    let blocks: Vec<Json> = blocks.iter().map(|id| json!({"id": id.to_string(), "type": "block"})).collect();
    world.record("page.content_updated", ("page", page), author, json!({"updated_blocks": blocks}));
}

fn check(call: &Call<'_>, world: &World, id: Uuid) -> Result<()> {
    let known =
        world.blocks.contains_key(&id) || world.pages.contains_key(&id) || world.databases.contains_key(&id);
    if known && world.is_shared(&call.token, id) { Ok(()) } else { Err(call.not_found("block", id)) }
}

fn answer(call: &Call<'_>, world: &World, id: Uuid) -> Result<Reply> {
    let block = call.viewer(world).block_json(id).ok_or_else(|| call.not_found("block", id))?;
    Ok(Reply::tree(&block, call.request_id))
}

fn list(call: &Call<'_>, world: &World, ids: &[Uuid], next: Option<&str>) -> Result<Reply> {
    let viewer = call.viewer(world);
    let blocks: Vec<Json> = ids.iter().filter_map(|id| viewer.block_json(*id)).collect();
    Ok(Reply::list(&Json::Array(blocks).to_string(), next, "block", call.request_id))
}
