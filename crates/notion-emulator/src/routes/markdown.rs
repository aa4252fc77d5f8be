//! `/v1/pages/{id}/markdown` and `/v1/async_tasks`: bodies as text.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::pages;
use crate::{
    at::{self, BODY},
    blocks,
    call::Call,
    error::{ApiError, Result},
    ids, markdown,
    reply::Reply,
    world::{Parent, World},
};

pub(crate) fn get(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let id = call.path_id(1, "page_id")?;
    let world = call.read();
    pages::find(call, &world, id)?;
    Ok(Reply::tree(&body(&world, id), call.request_id))
}

fn body(world: &World, id: Uuid) -> Json {
    let (text, unknown) = markdown::write(world, id);
    let unknown: Vec<String> = unknown.iter().map(Uuid::to_string).collect();
    json!({
        "object": "page_markdown", "id": id.to_string(), "markdown": text, "truncated": false,
        "unknown_block_ids": unknown,
    })
}

pub(crate) fn update(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_update()?;
    let id = call.path_id(1, "page_id")?;
    let given = call.body()?;
    let words = ["insert_content", "replace_content_range", "update_content", "replace_content"];
    let word = at::one_of(at::required(given, "type", &BODY)?, &words, &BODY.key("type"))?;
    at::only_keys(given, &["type", word, "allow_async", "allow_deleting_content"], &BODY)?;
    let place = BODY.key(word);
    let command = at::object(at::required(given, word, &BODY)?, &place)?;
    let may_delete = at::optional_boolean(command, "allow_deleting_content", &place)?
        .or(at::optional_boolean(given, "allow_deleting_content", &BODY)?)
        .unwrap_or(false);
    let mut world = call.write();
    pages::find(call, &world, id)?;
    if world.is_trashed(id) {
        return Err(ApiError::trashed());
    }
    let (before, _) = markdown::write(&world, id);
    let text = |map: &Map<String, Json>, key: &str, place: &at::At<'_>| -> Result<String> {
        at::string(at::required(map, key, place)?, usize::MAX, &place.key(key)).map(str::to_owned)
    };
    let after = match word {
        "replace_content" => {
            let key = if command.contains_key("content") { "content" } else { "new_str" };
            text(command, key, &place)?
        }
        "insert_content" => {
            let content = text(command, "content", &place)?;
            match (command.get("after"), command.get("position")) {
                (Some(Json::String(mark)), _) => inserted_after(&before, mark, &content)?,
                (_, Some(position)) if position.get("type").and_then(Json::as_str) == Some("start") => {
                    joined(&content, &before)
                }
                _ => joined(&before, &content),
            }
        }
        "replace_content_range" => {
            let content = text(command, "content", &place)?;
            let range = text(command, "content_range", &place)?;
            let (from, until) = selection(&before, &range)?;
            format!("{}{content}{}", &before[..from], &before[until..])
        }
        _ => {
            let list = place.key("content_updates");
            let mut after = before.clone();
            let updates = at::array(at::required(command, "content_updates", &place)?, 100, &list)?;
            for (index, update) in updates.iter().enumerate() {
                let place = list.index(index);
                let update = at::object(update, &place)?;
                let (old, new) = (text(update, "old_str", &place)?, text(update, "new_str", &place)?);
                if old.is_empty() {
                    return Err(place.key("old_str").should_be("a non-empty string", update.get("old_str")));
                }
                let count = after.matches(&old).count();
                let all = at::optional_boolean(update, "replace_all_matches", &place)?.unwrap_or(false);
                match count {
                    0 => return Err(ApiError::validation(format!("No match found for {place}.old_str."))),
                    1 => after = after.replacen(&old, &new, 1),
                    _ if all => after = after.replace(&old, &new),
                    _ => {
                        return Err(ApiError::validation(format!(
                            "{count} matches found for {place}.old_str; set replace_all_matches or give more context."
                        )));
                    }
                }
            }
            after
        }
    };
    replace(&mut world, id, &after, may_delete, call.token.bot)?;
    if at::optional_boolean(given, "allow_async", &BODY)? == Some(true) {
        // The work is done already; the task is there to be asked for.
        let task = format!("task_{}", ids::fresh().simple());
        let handle = json!({
            "object": "async_task", "id": task, "status": "succeeded", "poll_after_seconds": 1,
            "status_url": format!("https://api.notion.com/v1/async_tasks/{task}"),
            "created_time": crate::clock::zulu_text(world.now()),
            "operation": {"surface": "rest", "name": "update_page_markdown"},
            "result": body(&world, id), "error": null,
        });
        world.tasks.insert(task, handle.clone());
        let mut reply = Reply::tree(&handle, call.request_id);
        reply.status = 202;
        return Ok(reply);
    }
    Ok(Reply::tree(&body(&world, id), call.request_id))
}

/// Replaces the body; child pages and databases that the new text leaves out are only removed when allowed.
fn replace(world: &mut World, id: Uuid, text: &str, may_delete: bool, author: Uuid) -> Result<()> {
    let children: Vec<Uuid> =
        blocks::live_children(world, id).into_iter().filter(|id| !world.blocks.contains_key(id)).collect();
    let (kept, lost): (Vec<Uuid>, Vec<Uuid>) =
        children.into_iter().partition(|id| text.contains(&id.simple().to_string()));
    if !lost.is_empty() && !may_delete {
        return Err(ApiError::validation(
            "This change would delete child pages or databases. Set allow_deleting_content to true to allow it.",
        ));
    }
    for id in lost {
        if world.pages.contains_key(&id) {
            crate::edit::set_trashed(world, id, true, author);
        } else if let Some(database) = world.databases.get_mut(&id) {
            database.in_trash = true;
        }
    }
    let is_kept = |line: &str| {
        let line = line.trim_start();
        (line.starts_with("<page ") || line.starts_with("<database "))
            && kept.iter().any(|id| line.contains(&id.simple().to_string()))
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_kept(line)).collect();
    blocks::clear(world, id, false, author);
    let made =
        blocks::insert(world, Parent::Page(id), usize::MAX, markdown::parse(&lines.join("\n")), author);
    super::blocks::record(world, id, &made, author);
    Ok(())
}

fn joined(one: &str, two: &str) -> String {
    if one.is_empty() || two.is_empty() { format!("{one}{two}") } else { format!("{one}\n{two}") }
}

/// Puts text behind the line that a selection such as `start...end` ends in.
fn inserted_after(text: &str, mark: &str, content: &str) -> Result<String> {
    let (_, until) = selection(text, mark)?;
    let end = text[until..].find('\n').map_or(text.len(), |at| until + at);
    Ok(joined(&joined(&text[..end], content), text[end..].trim_start_matches('\n')))
}

/// Finds `start...end`, or the text itself.
fn selection(text: &str, mark: &str) -> Result<(usize, usize)> {
    let missing = || ApiError::validation("The selection does not match the content of the page.");
    match mark.split_once("...") {
        None => text.find(mark).map(|at| (at, at + mark.len())).ok_or_else(missing),
        Some((start, end)) => {
            let from = text.find(start).ok_or_else(missing)?;
            let behind = from + start.len();
            let until = text[behind..].find(end).map(|at| behind + at + end.len()).ok_or_else(missing)?;
            Ok((from, until))
        }
    }
}

pub(crate) fn task(call: &Call<'_>) -> Result<Reply> {
    let id = call.path.get(1).copied().unwrap_or_default();
    let world = call.read();
    let task = world.tasks.get(id);
    let missing = || ApiError::not_found("async_task", id, &call.token.name, call.token.bot);
    Ok(Reply::tree(task.ok_or_else(missing)?, call.request_id))
}
