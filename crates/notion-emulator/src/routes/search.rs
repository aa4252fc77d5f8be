//! `POST /v1/search`: pages and data sources by title.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    call::{self, Call},
    clock::{self, Millis},
    error::Result,
    query,
    render::{RowShape, write_list},
    reply::Reply,
    rich_text,
    world::Parent,
};

/// What is found, by id, with what it is sorted by.
struct Found {
    id: Uuid,
    is_page: bool,
    edited: Millis,
    seq: u64,
}

pub(crate) fn search(call: &Call<'_>) -> Result<Reply> {
    call.capabilities().need_read()?;
    let body = call.body()?;
    at::only_keys(body, &["query", "filter", "sort", "start_cursor", "page_size"], &BODY)?;
    let wanted = match body.get("query") {
        None | Some(Json::Null) => String::new(),
        Some(text) => at::string(text, 2000, &BODY.key("query"))?.to_lowercase(),
    };
    let (mut pages, mut sources, mut in_trash) = (true, true, false);
    if let Some(filter) = body.get("filter") {
        let at = BODY.key("filter");
        let filter = at::object(filter, &at)?;
        at::only_keys(filter, &["property", "value", "in_trash"], &at)?;
        if let Some(value) = filter.get("value") {
            let word = if call.version.has_sources() { "data_source" } else { "database" };
            let value = at::one_of(value, &["page", word], &at.key("value"))?;
            at::one_of(at::required(filter, "property", &at)?, &["object"], &at.key("property"))?;
            (pages, sources) = (value == "page", value != "page");
        }
        in_trash = at::optional_boolean(filter, "in_trash", &at)?.unwrap_or(false);
    }
    let mut by_time = None;
    if let Some(sort) = body.get("sort") {
        let at = BODY.key("sort");
        let sort = at::object(sort, &at)?;
        if let Some(direction) = sort.get("direction") {
            by_time = Some(at::one_of(direction, &["ascending", "descending"], &at.key("direction"))?);
        }
    }
    let size = query::page_size(body.get("page_size"), &BODY.key("page_size"))?;
    let world = call.read();
    let viewer = call.viewer(&world);
    let hit = |title: &str| wanted.is_empty() || title.to_lowercase().contains(&wanted);
    let mut found = Vec::new();
    if sources {
        for source in world.sources.values() {
            if world.is_trashed(source.id) == in_trash
                && hit(&rich_text::plain_text(&source.title))
                && world.is_shared(&call.token, source.id)
            {
                let edited = clock::minute(source.edited);
                let created = u64::try_from(source.created).unwrap_or(0);
                found.push(Found { id: source.id, is_page: false, edited, seq: created });
            }
        }
    }
    if pages {
        for page in world.pages.values() {
            if page.in_trash == in_trash && hit(&page.title()) && world.is_shared(&call.token, page.id) {
                let edited = clock::minute(page.edited);
                found.push(Found { id: page.id, is_page: true, edited, seq: page.seq });
            }
        }
    }
    found.sort_by_key(|found| (found.edited, found.is_page, found.seq, found.id));
    if by_time != Some("ascending") {
        found.reverse();
    }
    let start = body.get("start_cursor").and_then(Json::as_str);
    let (found, next) = call::paged(found, start, size)?;
    let mut results = String::new();
    write_list(&mut results, found.into_iter(), |out, found| {
        if let Some(page) = world.pages.get(&found.id) {
            let source = match page.parent {
                Parent::Source(source) => world.sources.get(&source),
                _ => None,
            };
            let shape = source.map(|source| RowShape::new(viewer, source, None));
            viewer.write_page(out, page, shape.as_ref());
        } else if let Some(source) = world.sources.get(&found.id) {
            match world.databases.get(&source.database) {
                Some(database) if !call.version.has_sources() => viewer.write_database(out, database),
                _ => viewer.write_source(out, source),
            }
        }
    });
    let kind = if call.version.has_sources() { "page_or_data_source" } else { "page_or_database" };
    Ok(Reply::list(&results, next.as_deref(), kind, call.request_id))
}
