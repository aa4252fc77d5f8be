//! The blocks of page bodies: which kinds there are, how a request gives them, how answers show them.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    clock,
    error::{ApiError, Result},
    ids,
    render::Viewer,
    rich_text,
    values::Scope,
    world::{Block, Parent, World},
};

/// Kinds whose text is under `rich_text`.
const TEXT_KINDS: [&str; 14] = [
    "paragraph",
    "heading_1",
    "heading_2",
    "heading_3",
    "heading_4",
    "bulleted_list_item",
    "numbered_list_item",
    "to_do",
    "toggle",
    "quote",
    "callout",
    "code",
    "template",
    "tab",
];

/// Kinds kept as they are given.
const OTHER_KINDS: [&str; 18] = [
    "equation",
    "divider",
    "breadcrumb",
    "table_of_contents",
    "table",
    "table_row",
    "column_list",
    "column",
    "synced_block",
    "link_to_page",
    "bookmark",
    "embed",
    "image",
    "video",
    "audio",
    "file",
    "pdf",
    "unsupported",
];

/// Kinds that hold others.
const CONTAINERS: [&str; 15] = [
    "paragraph",
    "heading_1",
    "heading_2",
    "heading_3",
    "heading_4",
    "bulleted_list_item",
    "numbered_list_item",
    "to_do",
    "toggle",
    "quote",
    "callout",
    "template",
    "table",
    "column_list",
    "synced_block",
];

/// A block of a request, checked, with what is in it.
#[derive(Clone, Debug)]
pub(crate) struct NewBlock {
    pub(crate) kind: String,
    pub(crate) content: Json,
    pub(crate) children: Vec<NewBlock>,
}

/// Reads `children`: at most 100 a level, two levels below the first, 1000 in all.
pub(crate) fn parse_children(scope: Scope<'_>, json: &Json, at: &At) -> Result<Vec<NewBlock>> {
    let blocks = parse_level(scope, json, 0, at)?;
    let total: usize = blocks.iter().map(count).sum();
    if total > 1000 {
        return Err(ApiError::body(format_args!(
            "{at} should contain ≤ `1000` blocks, instead contained `{total}`."
        )));
    }
    Ok(blocks)
}

fn count(block: &NewBlock) -> usize {
    1 + block.children.iter().map(count).sum::<usize>()
}

fn parse_level(scope: Scope<'_>, json: &Json, depth: usize, at: &At) -> Result<Vec<NewBlock>> {
    let array = at::array(json, 100, at)?;
    array.iter().enumerate().map(|(index, json)| parse_one(scope, json, depth, &at.index(index))).collect()
}

fn parse_one(scope: Scope<'_>, json: &Json, depth: usize, at: &At) -> Result<NewBlock> {
    let map = at::object(json, at)?;
    let known = |key: &str| TEXT_KINDS.contains(&key) || OTHER_KINDS.contains(&key);
    let kind = match map.get("type") {
        Some(kind) => {
            let kind = at::string(kind, 100, &at.key("type"))?;
            if !known(kind) {
                return Err(at.key("type").should_be("a block type that can be created", map.get("type")));
            }
            kind
        }
        None => map.keys().map(String::as_str).find(|key| known(key)).ok_or_else(|| {
            let lines: Vec<String> = TEXT_KINDS
                .iter()
                .map(|kind| format!("{at}.{kind} should be defined, instead was `undefined`."))
                .collect();
            ApiError::validation(format!("body failed validation. Fix one:\n{}", lines.join("\n")))
        })?,
    };
    at::only_keys(map, &["object", "type", "children", kind], at)?;
    let content = at::required(map, kind, at)?;
    let place = at.key(kind);
    let inner = at::object(content, &place)?;
    let mut children = Vec::new();
    for (list, at) in
        [(map.get("children"), at.key("children")), (inner.get("children"), place.key("children"))]
    {
        let Some(list) = list else { continue };
        // Tables and columns need their rows at once, which does not count as a level.
        let free = matches!(kind, "table" | "column_list" | "column");
        if depth >= 2 && !free {
            return Err(at.should_be("not present", Some(list)));
        }
        children.extend(parse_level(scope, list, if free { depth } else { depth + 1 }, &at)?);
    }
    if !children.is_empty() && !CONTAINERS.contains(&kind) && kind != "column" && kind != "tab" {
        return Err(place.key("children").should_be("not present", inner.get("children")));
    }
    Ok(NewBlock { kind: kind.to_owned(), content: normal(scope, kind, inner, &place)?, children })
}

/// The content as it will be read: text in its read form, defaults filled in, `children` taken out.
fn normal(scope: Scope<'_>, kind: &str, inner: &Map<String, Json>, at: &At) -> Result<Json> {
    let mut content = inner.clone();
    content.remove("children");
    for key in ["rich_text", "caption"] {
        if let Some(text) = content.get(key) {
            let items = rich_text::parse(text, scope.world, &at.key(key))?;
            content.insert(key.into(), rich_text::to_json(&items));
        }
    }
    if TEXT_KINDS.contains(&kind) {
        content.entry("rich_text").or_insert_with(|| json!([]));
        if kind != "code" {
            content.entry("color").or_insert_with(|| "default".into());
        }
    }
    match kind {
        "heading_1" | "heading_2" | "heading_3" | "heading_4" => {
            content.entry("is_toggleable").or_insert(false.into());
        }
        "to_do" => {
            content.entry("checked").or_insert(false.into());
        }
        "code" => {
            content.entry("caption").or_insert_with(|| json!([]));
            content.entry("language").or_insert_with(|| "plain text".into());
        }
        "callout" => {
            content.entry("icon").or_insert(Json::Null);
        }
        "equation" => {
            let expression = at::required(inner, "expression", at)?;
            at::string(expression, 1000, &at.key("expression"))?;
        }
        "bookmark" | "embed" => {
            let url = at::required(inner, "url", at)?;
            at::string(url, 2000, &at.key("url"))?;
            content.entry("caption").or_insert_with(|| json!([]));
        }
        "image" | "video" | "audio" | "file" | "pdf" => {
            let word = ["external", "file", "file_upload"].into_iter().find(|word| inner.contains_key(*word));
            let Some(word) = word else { return Err(at.key("external").should_be("defined", None)) };
            content.insert("type".into(), word.into());
            content.entry("caption").or_insert_with(|| json!([]));
        }
        "table_row" => {
            let cells = at::required(inner, "cells", at)?;
            let mut rows = Vec::new();
            let at = at.key("cells");
            for (index, cell) in at::array(cells, 100, &at)?.iter().enumerate() {
                rows.push(rich_text::to_json(&rich_text::parse(cell, scope.world, &at.index(index))?));
            }
            content.insert("cells".into(), Json::Array(rows));
        }
        "table" => {
            at::required(inner, "table_width", at)?;
            content.entry("has_column_header").or_insert(false.into());
            content.entry("has_row_header").or_insert(false.into());
        }
        "table_of_contents" => {
            content.entry("color").or_insert_with(|| "default".into());
        }
        _ => {}
    }
    Ok(Json::Object(content))
}

/// Puts blocks into a page or block at `position` among its children; gives the ids of the first level.
pub(crate) fn insert(
    world: &mut World,
    parent: Parent,
    position: usize,
    blocks: Vec<NewBlock>,
    author: Uuid,
) -> Vec<Uuid> {
    let holder = match parent {
        Parent::Page(id) | Parent::Block(id) | Parent::Source(id) => id,
        Parent::Workspace => return Vec::new(),
    };
    let now = world.now();
    let mut ids = Vec::with_capacity(blocks.len());
    for block in blocks {
        let id = ids::fresh();
        world.blocks.insert(
            id,
            Block {
                id,
                parent,
                kind: block.kind,
                content: block.content,
                children: Vec::new(),
                created: now,
                edited: now,
                created_by: author,
                edited_by: author,
                in_trash: false,
            },
        );
        insert(world, Parent::Block(id), 0, block.children, author);
        ids.push(id);
    }
    if let Some(children) = world.children_mut(holder) {
        let at = position.min(children.len());
        children.splice(at..at, ids.iter().copied());
    }
    ids
}

/// The live children of a page or block.
pub(crate) fn live_children(world: &World, id: Uuid) -> Vec<Uuid> {
    let is_live = |id: &Uuid| {
        if let Some(block) = world.blocks.get(id) {
            !block.in_trash
        } else if let Some(page) = world.pages.get(id) {
            !page.in_trash
        } else {
            world.databases.get(id).is_some_and(|database| !database.in_trash)
        }
    };
    world.children(id).iter().copied().filter(is_live).collect()
}

/// The page that a block is on.
pub(crate) fn page_of(world: &World, id: Uuid) -> Option<Uuid> {
    let mut at = id;
    loop {
        if world.pages.contains_key(&at) {
            return Some(at);
        }
        at = world.parent_of(at)?;
    }
}

/// Copies the blocks of one page to another.
pub(crate) fn copy_children(world: &mut World, from: Uuid, to: Uuid, author: Uuid) {
    let blocks = copied(world, from);
    insert(world, Parent::Page(to), 0, blocks, author);
}

fn copied(world: &World, from: Uuid) -> Vec<NewBlock> {
    live_children(world, from)
        .into_iter()
        .filter_map(|id| world.blocks.get(&id))
        .map(|block| NewBlock {
            kind: block.kind.clone(),
            content: block.content.clone(),
            children: copied(world, block.id),
        })
        .collect()
}

/// Removes every block of a page's body; child pages and databases stay unless `all`.
pub(crate) fn clear(world: &mut World, page: Uuid, all: bool, author: Uuid) {
    for id in live_children(world, page) {
        if let Some(block) = world.blocks.get_mut(&id) {
            block.in_trash = true;
        } else if all {
            if world.pages.contains_key(&id) {
                crate::edit::set_trashed(world, id, true, author);
            } else if let Some(database) = world.databases.get_mut(&id) {
                database.in_trash = true;
            }
        }
    }
}

impl Viewer<'_> {
    /// A block, or the block that stands for a child page or database.
    pub(crate) fn block_json(self, id: Uuid) -> Option<Json> {
        let world = self.world;
        let user = |id: Uuid| json!({"object": "user", "id": id.to_string()});
        let mut json = if let Some(block) = world.blocks.get(&id) {
            let mut json = json!({
                "object": "block", "id": id.to_string(), "parent": self.parent_json(block.parent),
                "created_time": clock::minute_text(block.created),
                "last_edited_time": clock::minute_text(block.edited),
                "created_by": user(block.created_by), "last_edited_by": user(block.edited_by),
                "has_children": !live_children(world, id).is_empty(), "in_trash": block.in_trash,
                "type": block.kind,
            });
            json[block.kind.as_str()] = self.block_content(&block.content);
            json
        } else if let Some(page) = world.pages.get(&id) {
            json!({
                "object": "block", "id": id.to_string(), "parent": self.parent_json(page.parent),
                "created_time": clock::minute_text(page.created),
                "last_edited_time": clock::minute_text(page.edited),
                "created_by": user(page.created_by), "last_edited_by": user(page.edited_by),
                "has_children": !live_children(world, id).is_empty(), "in_trash": page.in_trash,
                "type": "child_page", "child_page": {"title": page.title()},
            })
        } else {
            let database = world.databases.get(&id)?;
            json!({
                "object": "block", "id": id.to_string(), "parent": self.parent_json(database.parent),
                "created_time": clock::minute_text(database.created),
                "last_edited_time": clock::minute_text(database.edited),
                "created_by": user(database.created_by), "last_edited_by": user(database.edited_by),
                "has_children": false, "in_trash": database.in_trash,
                "type": "child_database",
                "child_database": {"title": rich_text::plain_text(&database.title)},
            })
        };
        if self.version.has_archived() {
            json["archived"] = json["in_trash"].clone();
        }
        Some(json)
    }

    /// A file that was uploaded is shown with an address of this hour.
    fn block_content(self, content: &Json) -> Json {
        if content.get("file_upload").is_none() {
            return content.clone();
        }
        let shown = self.image_json(content);
        let mut content = content.clone();
        content["type"] = shown["type"].clone();
        content["file"] = shown["file"].clone();
        if let Some(map) = content.as_object_mut() {
            map.remove("file_upload");
        }
        content
    }
}

/// Changes a block's own fields as `PATCH` gives them; the type cannot change.
pub(crate) fn update(scope: Scope<'_>, block: &Block, given: &Json, at: &At) -> Result<Json> {
    let given = at::object(given, at)?;
    let mut merged = block.content.as_object().cloned().unwrap_or_default();
    for (key, value) in given {
        if key != "children" {
            merged.insert(key.clone(), value.clone());
        }
    }
    normal(scope, &block.kind, &merged, at)
}
