//! `/v1/comments`: simple, flat, oldest first.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    call::{self, Call},
    clock,
    error::{ApiError, Result},
    ids, markdown,
    render::Viewer,
    reply::Reply,
    rich_text::{self, Item},
    world::{Comment, Parent, World},
};

pub(crate) fn list(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read_comments()?;
    let text = call.parameter("block_id").unwrap_or_default();
    let id = ids::parse_uuid(text).ok_or_else(|| {
        ApiError::validation(format!(
            "query failed validation: query.block_id should be a valid uuid, instead was `\"{text}\"`."
        ))
    })?;
    let world = call.read();
    visible(call, &world, id)?;
    let of_parent =
        |comment: &&Comment| matches!(comment.parent, Parent::Page(at) | Parent::Block(at) if at == id);
    let comments: Vec<&Comment> = world.comments.iter().filter(of_parent).collect();
    let (comments, next) = call::paged(comments, call.parameter("start_cursor"), call.page_size()?)?;
    let viewer = call.viewer(&world);
    let results: Vec<Json> = comments.into_iter().map(|comment| to_json(viewer, comment)).collect();
    Ok(Reply::list(&Json::Array(results).to_string(), next.as_deref(), "comment", call.request_id))
}

pub(crate) fn create(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert_comments()?;
    let body = call.body()?;
    at::only_keys(
        body,
        &["parent", "discussion_id", "rich_text", "markdown", "attachments", "display_name"],
        &BODY,
    )?;
    let mut world = call.write();
    let text = parse_text(call, &world)?;
    let (parent, discussion) = if let Some(id) = body.get("discussion_id") {
        let place = BODY.key("discussion_id");
        let id = ids::parse_uuid(at::string(id, 100, &place)?)
            .ok_or_else(|| place.should_be("a valid uuid", Some(id)))?;
        let known = world.comments.iter().find(|comment| comment.discussion == id);
        let parent = known.map(|comment| comment.parent).ok_or_else(|| call.not_found("discussion", id))?;
        (parent, id)
    } else {
        let place = BODY.key("parent");
        let parent = at::object(at::required(body, "parent", &BODY)?, &place)?;
        let (key, json) = parent
            .iter()
            .find(|(key, _)| matches!(key.as_str(), "page_id" | "block_id"))
            .ok_or_else(|| place.key("page_id").should_be("defined", None))?;
        let place = place.key(key);
        let id = ids::parse_uuid(at::string(json, 100, &place)?)
            .ok_or_else(|| place.should_be("a valid uuid", Some(json)))?;
        visible(call, &world, id)?;
        (if key == "page_id" { Parent::Page(id) } else { Parent::Block(id) }, ids::fresh())
    };
    let (id, now, author) = (ids::fresh(), world.now(), call.token.bot);
    let comment = Comment { id, discussion, parent, text, created: now, edited: now, created_by: author };
    let page = match parent {
        Parent::Page(id) | Parent::Block(id) => crate::blocks::page_of(&world, id),
        Parent::Workspace | Parent::Source(_) => None,
    };
    let body = to_json(call.viewer(&world), &comment);
    world.comments.push(comment);
    let data = json!({"page_id": page.map(|id| id.to_string())});
    world.record("comment.created", ("comment", id), author, data);
    Ok(Reply::tree(&body, call.request_id))
}

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read_comments()?;
    let id = call.path_id(1, "comment_id")?;
    let world = call.read();
    let comment = world.comments.iter().find(|comment| comment.id == id);
    let comment = comment.ok_or_else(|| call.not_found("comment", id))?;
    Ok(Reply::tree(&to_json(call.viewer(&world), comment), call.request_id))
}

/// Only a connection's own comments can be changed.
pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert_comments()?;
    let id = call.path_id(1, "comment_id")?;
    let mut world = call.write();
    let text = parse_text(call, &world)?;
    let (now, bot) = (world.now(), call.token.bot);
    let comment = world.comments.iter_mut().find(|comment| comment.id == id && comment.created_by == bot);
    let comment = comment.ok_or_else(|| call.not_found("comment", id))?;
    comment.text = text;
    comment.edited = now;
    let comment = comment.clone();
    Ok(Reply::tree(&to_json(call.viewer(&world), &comment), call.request_id))
}

pub(crate) fn delete(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_insert_comments()?;
    let id = call.path_id(1, "comment_id")?;
    let mut world = call.write();
    let bot = call.token.bot;
    let at = world.comments.iter().position(|comment| comment.id == id && comment.created_by == bot);
    let at = at.ok_or_else(|| call.not_found("comment", id))?;
    let comment = world.comments.remove(at);
    Ok(Reply::tree(&to_json(call.viewer(&world), &comment), call.request_id))
}

fn parse_text(call: &Call<'_>, world: &World) -> Result<Vec<Item>> {
    let body = call.body()?;
    if let Some(text) = body.get("markdown") {
        return Ok(markdown::parse_inline(at::string(text, 2000, &BODY.key("markdown"))?));
    }
    rich_text::parse(at::required(body, "rich_text", &BODY)?, world, &BODY.key("rich_text"))
}

fn visible(call: &Call<'_>, world: &World, id: Uuid) -> Result<()> {
    let known = world.pages.contains_key(&id) || world.blocks.contains_key(&id);
    if known && world.is_shared(&call.token, id) { Ok(()) } else { Err(call.not_found("block", id)) }
}

fn to_json(viewer: Viewer<'_>, comment: &Comment) -> Json {
    json!({
        "object": "comment", "id": comment.id.to_string(), "parent": viewer.parent_json(comment.parent),
        "discussion_id": comment.discussion.to_string(),
        "created_time": clock::minute_text(comment.created),
        "last_edited_time": clock::minute_text(comment.edited),
        "created_by": {"object": "user", "id": comment.created_by.to_string()},
        "rich_text": rich_text::to_json(&comment.text),
        "display_name": {"type": "integration", "resolved_name": viewer.token.name},
    })
}
