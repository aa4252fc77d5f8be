//! How pages and rows change: who did it, when, what else follows, and what queries and subscribers learn of it.

use std::{collections::BTreeMap, sync::OnceLock};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    control::simple,
    error::{ApiError, Result},
    ids,
    ids::PropertyId,
    index::Stale,
    options::{self, Choice},
    schema::{Kind, Property},
    values::{self, Scope, Value, Written},
    world::{DataSource, Happened, Page, Parent, World},
};

/// A page about to be made.
pub(crate) struct NewPage {
    pub(crate) parent: Parent,
    pub(crate) values: Vec<(PropertyId, Written)>,
    pub(crate) icon: Option<Box<Json>>,
    pub(crate) cover: Option<Box<Json>>,
    pub(crate) author: Uuid,
}

/// Reads a `properties` object for a row of `source`.
pub(crate) fn parse_properties(
    scope: Scope<'_>,
    source: &DataSource,
    map: &Map<String, Json>,
    at: &At,
) -> Result<Vec<(PropertyId, Written)>> {
    let hidden = scope.world.hidden_targets(scope.token, source);
    let mut writes: Vec<(PropertyId, Written)> = Vec::with_capacity(map.len());
    for (key, json) in map {
        let property = source.property(key).filter(
            |property| !matches!(&property.kind, Kind::Relation { source, .. } if hidden.contains(source)),
        );
        let Some(property) = property else {
            return Err(ApiError::validation(format!("{key} is not a property that exists.")));
        };
        let written = values::parse(scope, property, json, &at.key(key))?;
        writes.push((property.id.clone(), written));
    }
    Ok(writes)
}

/// Reads the `properties` of a page that is no row: its title alone.
pub(crate) fn parse_title(
    scope: Scope<'_>,
    map: &Map<String, Json>,
    at: &At,
) -> Result<Vec<(PropertyId, Written)>> {
    let title =
        Property { id: "title".into(), name: "title".into(), description: None, kind: Kind::Title, order: 0 };
    let mut writes = Vec::new();
    for (key, json) in map {
        if key != "title" {
            return Err(ApiError::validation(format!("{key} is not a property that exists.")));
        }
        // A title outside of a data source may be given as the bare array too.
        let wrapped = json!({"title": json});
        let json = if json.is_array() { &wrapped } else { json };
        writes.push((title.id.clone(), values::parse(scope, &title, json, &at.key(key))?));
    }
    Ok(writes)
}

/// Makes a page; a row gets its number and its status.
pub(crate) fn create_page(world: &mut World, new: NewPage) -> Uuid {
    let (id, seq, now) = (ids::fresh(), world.take_seq(), world.now());
    let mut page = Page {
        id,
        seq,
        parent: new.parent,
        created: now,
        edited: now,
        created_by: new.author,
        edited_by: new.author,
        icon: new.icon,
        cover: new.cover,
        in_trash: false,
        is_archived: false,
        is_locked: false,
        values: Vec::with_capacity(new.values.len()),
        children: Vec::new(),
        written: OnceLock::new(),
    };
    match new.parent {
        Parent::Source(source_id) => {
            let mut relations = Vec::new();
            for (property, written) in new.values {
                add_options(world, source_id, &property, written.new_options);
                if let Some(Value::Relation(targets)) = &written.value {
                    relations.push((property.clone(), targets.clone()));
                }
                if let Some(value) = written.value {
                    page.values.push((property, value));
                }
            }
            let lag = draw_lag(world);
            if let Some(source) = world.sources.get_mut(&source_id) {
                for property in &mut source.properties {
                    match &mut property.kind {
                        Kind::UniqueId { next, .. } => {
                            page.values.push((property.id.clone(), Value::UniqueId(*next)));
                            *next += 1;
                        }
                        Kind::Status { options, groups } if page.value(&property.id).is_none() => {
                            let first = groups.iter().flat_map(|group| &group.options).next();
                            let first = first.or_else(|| options.first().map(|choice| &choice.id));
                            if let Some(first) = first {
                                page.values.push((property.id.clone(), Value::Select(first.clone())));
                            }
                        }
                        _ => {}
                    }
                }
                if let Some(until) = lag {
                    source.index.stale.entry(id).or_default().push(Stale { until, page: None });
                }
                source.index.add(&page);
            }
            world.pages.insert(id, page);
            for (property, targets) in relations {
                mirror(world, source_id, &property, id, &[], &targets);
            }
            let blocks = json!({"updated_blocks": [{"id": id.to_string(), "type": "page"}]});
            world.record("data_source.content_updated", ("data_source", source_id), new.author, blocks);
        }
        Parent::Page(parent) | Parent::Block(parent) => {
            page.values =
                new.values.into_iter().filter_map(|(id, written)| Some((id, written.value?))).collect();
            world.pages.insert(id, page);
            if let Some(children) = world.children_mut(parent) {
                children.push(id);
            }
        }
        Parent::Workspace => {
            page.values =
                new.values.into_iter().filter_map(|(id, written)| Some((id, written.value?))).collect();
            world.pages.insert(id, page);
        }
    }
    attach_uploads(world, id);
    if world.history.is_some() {
        remember(world, id, None, Some(new.author));
    }
    world.record("page.created", ("page", id), new.author, json!({}));
    id
}

/// Changes a page and keeps every index true. With an author, the edit time moves.
pub(crate) fn change_page(world: &mut World, id: Uuid, author: Option<Uuid>, change: impl FnOnce(&mut Page)) {
    let now = world.now();
    let lag = draw_lag(world);
    let known = world.history.is_some().then(|| world.pages.get(&id).cloned()).flatten();
    let Some(page) = world.pages.get_mut(&id) else { return };
    let source = match page.parent {
        Parent::Source(source) => world.sources.get_mut(&source),
        _ => None,
    };
    let mut source = source;
    if let Some(source) = &mut source {
        if let Some(until) = lag {
            let before = Stale { until, page: Some(Box::new(page.clone())) };
            let stale = source.index.stale.entry(id).or_default();
            stale.retain(|stale| stale.until > now);
            stale.push(before);
        }
        source.index.remove(page);
    }
    change(page);
    if let Some(author) = author {
        page.edited = now;
        page.edited_by = author;
    }
    page.written = OnceLock::new();
    if let Some(source) = source {
        source.index.add(page);
    }
    if let Some(before) = known {
        remember(world, id, Some(&before), author);
    }
}

/// Keeps what a page was and became, for people who ask later.
fn remember(world: &mut World, id: Uuid, before: Option<&Page>, by: Option<Uuid>) {
    let Some(page) = world.pages.get(&id) else { return };
    let mut values = BTreeMap::new();
    if let Parent::Source(source) = page.parent
        && let Some(source) = world.sources.get(&source)
    {
        for property in source.properties.iter().filter(|property| property.kind.is_writable()) {
            let old = before.map_or(Json::Null, |before| simple::shown(world, before, property));
            let new = simple::shown(world, page, property);
            if old != new {
                values.insert(property.name.clone(), (old, new));
            }
        }
    }
    let what = match before {
        None => "created",
        Some(before) if before.in_trash && !page.in_trash => "restored",
        Some(before) if !before.in_trash && page.in_trash => "trashed",
        Some(_) => "changed",
    };
    let happened = Happened { page: id, at: world.now(), by, what: what.to_owned(), values };
    if let Some(history) = &mut world.history {
        history.push(happened);
    }
}

/// Writes values, makes new options, and sets the other side of two-way relations.
pub(crate) fn set_values(world: &mut World, id: Uuid, writes: Vec<(PropertyId, Written)>, author: Uuid) {
    let source = match world.pages.get(&id).map(|page| page.parent) {
        Some(Parent::Source(source)) => Some(source),
        _ => None,
    };
    let mut relations = Vec::new();
    let mut values = Vec::with_capacity(writes.len());
    for (property, written) in writes {
        if let Some(source) = source {
            add_options(world, source, &property, written.new_options);
            let relation = |value: Option<&Value>| match value {
                Some(Value::Relation(targets)) => targets.clone(),
                _ => Vec::new(),
            };
            let before = relation(world.pages.get(&id).and_then(|page| page.value(&property)));
            let after = relation(written.value.as_ref());
            if before != after {
                relations.push((property.clone(), before, after));
            }
        }
        values.push((property, written.value));
    }
    world.record_properties(id, author, values.iter().map(|(property, _)| &**property));
    change_page(world, id, Some(author), |page| {
        for (property, value) in values {
            page.set(&property, value);
        }
    });
    if let Some(source) = source {
        for (property, before, after) in relations {
            mirror(world, source, &property, id, &before, &after);
        }
    }
    attach_uploads(world, id);
}

/// Moves to the trash or back; a data source's row leaves queries or comes back.
pub(crate) fn set_trashed(world: &mut World, id: Uuid, in_trash: bool, author: Uuid) {
    let before = world.pages.get(&id).is_none_or(|page| page.in_trash);
    if before == in_trash {
        return;
    }
    change_page(world, id, Some(author), |page| page.in_trash = in_trash);
    let kind = if in_trash { "page.deleted" } else { "page.undeleted" };
    world.record(kind, ("page", id), author, json!({}));
    if let Some(Parent::Source(source)) = world.pages.get(&id).map(|page| page.parent) {
        let blocks = json!({"updated_blocks": [{"id": id.to_string(), "type": "page"}]});
        world.record("data_source.content_updated", ("data_source", source), author, blocks);
    }
}

/// Copies a row as a person does by "Duplicate": every value, a number of its own, now.
pub(crate) fn duplicate(world: &mut World, id: Uuid, author: Uuid) -> Option<Uuid> {
    let page = world.pages.get(&id)?.clone();
    let values = page
        .values
        .into_iter()
        .filter(|(_, value)| !matches!(value, Value::UniqueId(_)))
        .map(|(property, value)| (property, Some(value).into()))
        .collect();
    let new = NewPage { parent: page.parent, values, icon: page.icon, cover: page.cover, author };
    let copy = create_page(world, new);
    crate::blocks::copy_children(world, id, copy, author);
    Some(copy)
}

/// Until when queries are blind to a write that happens now; `None` without lag.
fn draw_lag(world: &mut World) -> Option<i64> {
    let lag = &mut world.lag;
    if lag.max <= 0 {
        return None;
    }
    let spread = u64::try_from(lag.max - lag.min + 1).unwrap_or(1);
    let drawn = lag.min + i64::try_from(lag.chance.below(spread)).unwrap_or(0);
    Some(world.clock.now() + drawn)
}

fn add_options(world: &mut World, source: Uuid, property: &str, new: Vec<Choice>) {
    if new.is_empty() {
        return;
    }
    let now = world.now();
    let Some(source) = world.sources.get_mut(&source) else { return };
    source.edited = now;
    let found = source.properties.iter_mut().find(|candidate| &*candidate.id == property);
    if let Some(options) = found.and_then(|property| property.kind.options_mut()) {
        for choice in new {
            if options::by_name(options, &choice.name).is_none() {
                options.push(choice);
            }
        }
    }
}

/// Sets the other side of a two-way relation; its pages' edit times stay.
pub(crate) fn mirror(
    world: &mut World,
    source: Uuid,
    property: &str,
    page: Uuid,
    before: &[Uuid],
    after: &[Uuid],
) {
    let kind =
        world.sources.get(&source).and_then(|source| source.by_id(property)).map(|property| &property.kind);
    let Some(Kind::Relation { mirror: Some(mirror), .. }) = kind else { return };
    let mirror = mirror.clone();
    for target in before.iter().filter(|target| !after.contains(target)) {
        change_page(world, *target, None, |other| {
            if let Some(Value::Relation(ids)) = other.value(&mirror) {
                let ids: Vec<Uuid> = ids.iter().copied().filter(|id| *id != page).collect();
                other.set(&mirror, (!ids.is_empty()).then_some(Value::Relation(ids)));
            }
        });
    }
    for target in after.iter().filter(|target| !before.contains(target)) {
        change_page(world, *target, None, |other| {
            let mut ids = match other.value(&mirror) {
                Some(Value::Relation(ids)) => ids.clone(),
                _ => Vec::new(),
            };
            if !ids.contains(&page) {
                ids.push(page);
                other.set(&mirror, Some(Value::Relation(ids)));
            }
        });
    }
}

/// An upload that a page uses no longer expires.
fn attach_uploads(world: &mut World, page: Uuid) {
    let Some(page) = world.pages.get(&page) else { return };
    for (_, value) in &page.values {
        let Value::Files(files) = value else { continue };
        for file in files {
            if let values::FilePlace::Upload(id) = &file.place
                && let Some(upload) = world.uploads.get_mut(id)
            {
                upload.attached = true;
            }
        }
    }
}

/// Checks a page's icon or cover as a request gives it; `None` when the key is absent.
pub(crate) fn parse_image(map: &Map<String, Json>, key: &str, at: &At) -> Result<Option<Option<Box<Json>>>> {
    let Some(json) = map.get(key) else { return Ok(None) };
    if json.is_null() {
        return Ok(Some(None));
    }
    let at = at.key(key);
    let object = at::object(json, &at)?;
    let words: &[&str] = if key == "icon" {
        &["emoji", "external", "file", "file_upload", "custom_emoji", "icon"]
    } else {
        &["external", "file", "file_upload"]
    };
    let Some(word) = words.iter().find(|word| object.contains_key(**word)) else {
        return Err(at.key(words[0]).should_be("defined", None));
    };
    let mut image = Map::new();
    image.insert("type".into(), (*word).into());
    image.insert((*word).into(), object[*word].clone());
    Ok(Some(Some(Box::new(Json::Object(image)))))
}
