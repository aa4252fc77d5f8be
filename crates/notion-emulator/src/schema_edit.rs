//! How a data source's columns are added, renamed, retyped and removed, and what happens to the rows' values.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    edit,
    error::{ApiError, Result},
    ids::{self, PropertyId},
    options::{self, Choice},
    rich_text,
    schema::{self, Kind, MirrorWish, Property, Wanted},
    token::Token,
    values::Value,
    world::{DataSource, Page, World},
};

/// Applies a `properties` object to a data source; on a mistake nothing is kept.
pub(crate) fn apply(
    world: &mut World,
    token: &Token,
    source: Uuid,
    properties: &Map<String, Json>,
    at: &At,
) -> Result<()> {
    check(world, source, properties, at)?;
    let before = Before::new(world, source, properties);
    // Removals cannot fail once checked, so they go last: what they empty never has to be brought back.
    let owner = world.sources.get(&source);
    let removals: Vec<(PropertyId, String)> = properties
        .iter()
        .filter(|(_, json)| json.is_null())
        .filter_map(|(key, _)| owner?.property(key))
        .map(|property| (property.id.clone(), property.name.clone()))
        .collect();
    // Relations go before the rollups that look through them, and plain columns before formulas that name them.
    let is_computed = |json: &Json| json.get("formula").is_some() || json.get("rollup").is_some();
    let mut events = Vec::new();
    for computed in [false, true] {
        let wanted = properties.iter().filter(|(_, json)| !json.is_null() && is_computed(json) == computed);
        for (key, json) in wanted {
            match apply_one(world, token, source, key, json, &at.key(key)) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => {}
                Err(error) => {
                    before.restore(world);
                    return Err(error);
                }
            }
        }
    }
    if let Some(double) = double_name(world, source, &removals) {
        before.restore(world);
        return Err(ApiError::validation(format!(
            "Property names must be unique: {double} is there more than once."
        )));
    }
    for (id, name) in removals {
        remove(world, source, &id);
        events.push(event(&id, Some(&name), "deleted"));
    }
    let now = world.now();
    if let Some(source) = world.sources.get_mut(&source) {
        source.sort_properties();
        source.edited = now;
        source.edited_by = token.bot;
    }
    world.forget_written();
    world.record(
        "data_source.schema_updated",
        ("data_source", source),
        token.bot,
        json!({"updated_properties": events}),
    );
    Ok(())
}

/// Everything a schema change can touch before it is known to succeed.
struct Before {
    sources: HashMap<Uuid, DataSource>,
    /// The rows, where a column that is there already is changed.
    pages: Vec<Page>,
}

impl Before {
    fn new(world: &World, source: Uuid, properties: &Map<String, Json>) -> Self {
        let owner = world.sources.get(&source);
        let touches_values =
            properties.keys().any(|key| owner.is_some_and(|owner| owner.property(key).is_some()));
        let rows = owner.filter(|_| touches_values).into_iter().flat_map(|owner| owner.index.all.values());
        let pages = rows.filter_map(|id| world.pages.get(id)).cloned().collect();
        Self { sources: world.sources.clone(), pages }
    }

    fn restore(self, world: &mut World) {
        world.sources = self.sources;
        for page in self.pages {
            world.pages.insert(page.id, page);
        }
        world.reindex();
    }
}

/// A name that two columns would have once the removals are done.
fn double_name(world: &World, source: Uuid, removals: &[(PropertyId, String)]) -> Option<String> {
    let owner = world.sources.get(&source)?;
    let stays = |property: &&Property| !removals.iter().any(|(id, _)| *id == property.id);
    let mut names: Vec<&str> =
        owner.properties.iter().filter(stays).map(|property| property.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}

/// What can be refused before anything is touched, so that a mistake seldom needs taking back.
fn check(world: &World, source: Uuid, properties: &Map<String, Json>, at: &At) -> Result<()> {
    let Some(source) = world.sources.get(&source) else { return Ok(()) };
    for (key, json) in properties {
        let at = at.key(key);
        if json.is_null() {
            match source.property(key) {
                None => return Err(ApiError::validation(format!("{key} is not a property that exists."))),
                Some(property) if matches!(property.kind, Kind::Title) => {
                    return Err(ApiError::validation("Cannot delete the title property."));
                }
                Some(_) => {}
            }
        } else {
            let map = at::object(json, &at)?;
            schema::wanted_word(map, &at)?;
            schema::parse_description(map, &at)?;
        }
    }
    Ok(())
}

fn apply_one(
    world: &mut World,
    token: &Token,
    source_id: Uuid,
    key: &str,
    json: &Json,
    at: &At,
) -> Result<Option<Json>> {
    let Some(source) = world.sources.get(&source_id) else { return Ok(None) };
    let known = source.property(key).cloned();
    let map = at::object(json, at)?;
    let word = schema::wanted_word(map, at)?;
    let description = schema::parse_description(map, at)?;
    let name = match map.get("name") {
        None | Some(Json::Null) => None,
        Some(name) => Some(at::string(name, 2000, &at.key("name"))?.to_owned()),
    };
    let Some(known) = known else {
        let Some(word) = word else {
            return Err(ApiError::validation(format!("{key} is not a property that exists.")));
        };
        let name = name.unwrap_or_else(|| key.to_owned());
        let wanted = schema::parse_config(world, word, map, None, at)?;
        let id = add(world, token, source_id, &name, description.flatten(), wanted)?;
        return Ok(Some(event(&id, Some(&name), "created")));
    };
    let id = known.id.clone();
    if let Some(word) = word {
        let same = known.kind.word() == word;
        if !same && (matches!(known.kind, Kind::Title) || word == "title") {
            return Err(ApiError::validation("Cannot change the type of the title property."));
        }
        let wanted = schema::parse_config(world, word, map, same.then_some(&known.kind), at)?;
        retype(world, token, source_id, &known, wanted)?;
    }
    let Some(source) = world.sources.get_mut(&source_id) else { return Ok(None) };
    if let Some(property) = source.properties.iter_mut().find(|property| property.id == id) {
        if let Some(name) = name {
            property.name = name;
        }
        if let Some(description) = description {
            property.description = description;
        }
    }
    Ok(Some(event(&id, Some(&known.name), "updated")))
}

fn event(id: &str, name: Option<&str>, action: &str) -> Json {
    json!({"id": ids::encode(id), "name": name, "action": action})
}

/// Adds a column, and its mirror on the other side of a two-way relation.
pub(crate) fn add(
    world: &mut World,
    token: &Token,
    source_id: Uuid,
    name: &str,
    description: Option<String>,
    wanted: Wanted,
) -> Result<PropertyId> {
    let order = world.take_seq();
    let Some(source) = world.sources.get(&source_id) else { return Ok("".into()) };
    if source.properties.iter().any(|property| property.name == name) {
        return Err(ApiError::validation(format!(
            "Property names must be unique: {name} is there more than once."
        )));
    }
    let is_title = matches!(wanted, Wanted::Kind(Kind::Title));
    if is_title && source.properties.iter().any(|property| matches!(property.kind, Kind::Title)) {
        return Err(ApiError::validation("Cannot create a second title property."));
    }
    let id: PropertyId = if is_title { "title".into() } else { fresh_id(source.properties.iter()) };
    let kind = resolve(world, token, source_id, name, &id, wanted)?;
    if let Kind::UniqueId { .. } = kind {
        number_rows(world, source_id, &id);
    }
    let Some(source) = world.sources.get_mut(&source_id) else { return Ok(id) };
    let kind = match kind {
        Kind::UniqueId { prefix, .. } => Kind::UniqueId { prefix, next: source.index.all.len() as u64 + 1 },
        kind => kind,
    };
    source.properties.push(Property { id: id.clone(), name: name.to_owned(), description, kind, order });
    source.sort_properties();
    Ok(id)
}

fn fresh_id<'p>(taken: impl Iterator<Item = &'p Property> + Clone) -> PropertyId {
    loop {
        let id = ids::short_id();
        if !taken.clone().any(|property| *property.id == *id) {
            return id.into();
        }
    }
}

/// Turns a wish into a kind: finds what relations, rollups and formulas speak of, and makes mirrors.
fn resolve(
    world: &mut World,
    token: &Token,
    source_id: Uuid,
    name: &str,
    id: &PropertyId,
    wanted: Wanted,
) -> Result<Kind> {
    match wanted {
        Wanted::Kind(Kind::Formula { expression }) => {
            if let Some(source) = world.sources.get(&source_id) {
                schema::check_formula(source, name, &expression)?;
            }
            Ok(Kind::Formula { expression })
        }
        Wanted::Kind(kind) => Ok(kind),
        Wanted::Relation { source: target, mirror } => {
            if !world.sources.contains_key(&target) || !world.is_shared(token, target) {
                return Err(ApiError::not_found("data_source", &target.to_string(), &token.name, token.bot));
            }
            let mirror = mirror.map(|wish| make_mirror(world, source_id, target, name, id, wish));
            Ok(Kind::Relation { source: target, mirror })
        }
        Wanted::Rollup { relation, target, function } => {
            let unknown =
                |name: &str| ApiError::validation(format!("Could not find property with name or id: {name}"));
            let source = world.sources.get(&source_id).ok_or_else(|| unknown(&relation))?;
            let through = source.property(&relation).ok_or_else(|| unknown(&relation))?;
            let Kind::Relation { source: other, .. } = &through.kind else {
                return Err(ApiError::validation(format!("{relation} is expected to be relation.")));
            };
            let other = world.sources.get(other).ok_or_else(|| unknown(&target))?;
            let seen = other.property(&target).ok_or_else(|| unknown(&target))?;
            Ok(Kind::Rollup { relation: through.id.clone(), target: seen.id.clone(), function })
        }
    }
}

/// Makes (or adopts) the other side's column.
fn make_mirror(
    world: &mut World,
    source_id: Uuid,
    target: Uuid,
    name: &str,
    id: &PropertyId,
    wish: MirrorWish,
) -> PropertyId {
    let title =
        world.sources.get(&source_id).map_or(String::new(), |source| rich_text::plain_text(&source.title));
    let order = world.take_seq();
    let Some(other) = world.sources.get_mut(&target) else { return id.clone() };
    if let Some(wanted) = wish.id.as_deref().map(ids::decode)
        && let Some(property) = other.properties.iter_mut().find(|property| *property.id == *wanted)
        && matches!(property.kind, Kind::Relation { .. })
    {
        property.kind = Kind::Relation { source: source_id, mirror: Some(id.clone()) };
        return property.id.clone();
    }
    let wanted = wish.name.unwrap_or_else(|| format!("Related to {title} ({name})"));
    let mut mirror_name = wanted.clone();
    let mut number = 1;
    while other.properties.iter().any(|property| property.name == mirror_name)
        || (target == source_id && mirror_name == name)
    {
        mirror_name = format!("{wanted} {number}");
        number += 1;
    }
    let mirror = fresh_id(other.properties.iter());
    other.properties.push(Property {
        id: mirror.clone(),
        name: mirror_name,
        description: None,
        kind: Kind::Relation { source: source_id, mirror: Some(id.clone()) },
        order,
    });
    other.sort_properties();
    mirror
}

/// Gives every row that is there its number, in order of creation.
fn number_rows(world: &mut World, source: Uuid, id: &PropertyId) {
    let rows: Vec<Uuid> = world
        .sources
        .get(&source)
        .map(|source| source.index.all.values().copied().collect())
        .unwrap_or_default();
    for (number, row) in (1..).zip(rows) {
        edit::change_page(world, row, None, |page| page.set(id, Some(Value::UniqueId(number))));
    }
}

/// Removes a column and, with it, the other side of a two-way relation.
fn remove(world: &mut World, source: Uuid, id: &PropertyId) {
    let Some(owner) = world.sources.get_mut(&source) else { return };
    let Some(at) = owner.properties.iter().position(|property| property.id == *id) else { return };
    let removed = owner.properties.remove(at);
    clear(world, source, id);
    if let Kind::Relation { source: target, mirror: Some(mirror) } = removed.kind
        && let Some(other) = world.sources.get_mut(&target)
    {
        other.properties.retain(|property| property.id != mirror);
        clear(world, target, &mirror);
    }
}

fn clear(world: &mut World, source: Uuid, id: &PropertyId) {
    for row in rows_with(world, source, id) {
        edit::change_page(world, row, None, |page| page.set(id, None));
    }
}

fn rows_with(world: &World, source: Uuid, id: &str) -> Vec<Uuid> {
    let Some(source) = world.sources.get(&source) else { return Vec::new() };
    let rows = source.index.all.values();
    rows.filter(|row| world.pages.get(row).is_some_and(|page| page.value(id).is_some())).copied().collect()
}

/// Changes a column's configuration or type; values are read again from their text.
fn retype(world: &mut World, token: &Token, source_id: Uuid, known: &Property, wanted: Wanted) -> Result<()> {
    let id = known.id.clone();
    // A relation that keeps its target keeps its mirror and its values.
    if let (Wanted::Relation { source, mirror }, Kind::Relation { source: before, mirror: had }) =
        (&wanted, &known.kind)
        && source == before
        && mirror.is_some() == had.is_some()
    {
        let renamed = mirror.as_ref().and_then(|wish| wish.name.clone());
        if let (Some(name), Some(had)) = (renamed, had)
            && let Some(other) = world.sources.get_mut(source)
            && let Some(property) = other.properties.iter_mut().find(|property| property.id == *had)
        {
            property.name = name;
        }
        return Ok(());
    }
    let kind = resolve(world, token, source_id, &known.name, &id, wanted)?;
    let same_word = kind.word() == known.kind.word();
    let rows = rows_with(world, source_id, &id);
    let mut kind = kind;
    if same_word {
        drop_removed_options(world, &rows, &id, &known.kind, &kind);
    } else {
        if let Kind::Relation { source: target, mirror: Some(mirror) } = &known.kind
            && let Some(other) = world.sources.get_mut(target)
        {
            other.properties.retain(|property| property.id != *mirror);
        }
        for row in rows {
            let Some(value) = world.pages.get(&row).and_then(|page| page.value(&id)) else { continue };
            let converted = convert(&known.kind, &mut kind, value);
            edit::change_page(world, row, None, |page| page.set(&id, converted));
        }
        if let Kind::UniqueId { next, .. } = &mut kind {
            number_rows(world, source_id, &id);
            *next = world.sources.get(&source_id).map_or(1, |source| source.index.all.len() as u64 + 1);
        }
    }
    if let Some(source) = world.sources.get_mut(&source_id)
        && let Some(property) = source.properties.iter_mut().find(|property| property.id == id)
    {
        property.kind = kind;
    }
    Ok(())
}

/// Options left out of a list are removed from rows; a status falls back to another option.
fn drop_removed_options(world: &mut World, rows: &[Uuid], id: &PropertyId, before: &Kind, after: &Kind) {
    let (Some((old, _)), Some((new, _))) = (before.options(), after.options()) else { return };
    let removed: Vec<&Choice> =
        old.iter().filter(|choice| options::by_id(new, &choice.id).is_none()).collect();
    if removed.is_empty() {
        return;
    }
    let fallback = match after {
        Kind::Status { options, .. } => options.first().map(|choice| Value::Select(choice.id.clone())),
        _ => None,
    };
    let is_removed = |id: &str| removed.iter().any(|choice| &*choice.id == id);
    for row in rows {
        let value = world.pages.get(row).and_then(|page| page.value(id));
        let changed = match value {
            Some(Value::Select(picked)) if is_removed(picked) => fallback.clone(),
            Some(Value::MultiSelect(picked)) if picked.iter().any(|id| is_removed(id)) => {
                let kept: Vec<_> = picked.iter().filter(|id| !is_removed(id)).cloned().collect();
                (!kept.is_empty()).then_some(Value::MultiSelect(kept))
            }
            _ => continue,
        };
        edit::change_page(world, *row, None, |page| page.set(id, changed));
    }
}

/// Reads a value again as another type, through its text. Options are made as they are met.
fn convert(before: &Kind, after: &mut Kind, value: &Value) -> Option<Value> {
    let names = |ids: &[options::OptionId]| -> Vec<String> {
        let (options, _) = before.options().unwrap_or((&[], options::Family::Select));
        ids.iter().filter_map(|id| options::by_id(options, id)).map(|choice| choice.name.clone()).collect()
    };
    let texts: Vec<String> = match value {
        Value::RichText(items) => vec![rich_text::plain_text(items)],
        Value::Number(number) => {
            let mut out = String::new();
            crate::json::number(&mut out, *number);
            vec![out]
        }
        Value::Select(id) => names(std::slice::from_ref(id)),
        Value::MultiSelect(ids) => names(ids),
        Value::Date(date) => vec![date.start.text.clone()],
        Value::Text(text) => vec![text.clone()],
        Value::Checkbox(_) => vec!["Yes".into()],
        Value::UniqueId(number) => vec![number.to_string()],
        Value::People(_) | Value::Files(_) | Value::Relation(_) | Value::Verified { .. } => return None,
    };
    let text = texts.join(", ");
    if text.is_empty() {
        return None;
    }
    match after {
        Kind::RichText => Some(Value::RichText(rich_text::plain(&text))),
        Kind::Url | Kind::Email | Kind::PhoneNumber => Some(Value::Text(text)),
        Kind::Number { .. } => text.parse().ok().map(Value::Number),
        Kind::Checkbox => {
            matches!(text.to_lowercase().as_str(), "yes" | "true").then_some(Value::Checkbox(true))
        }
        Kind::Date => {
            let json = json!({"start": text});
            crate::dates::parse_value(&json, &at::BODY).ok().map(|date| Value::Date(Box::new(date)))
        }
        Kind::Select { options } => Some(Value::Select(adopt(options, &texts.first()?.replace(',', "")))),
        Kind::Status { options, .. } => {
            let known = options::by_name(options, texts.first()?).or(options.first())?;
            Some(Value::Select(known.id.clone()))
        }
        Kind::MultiSelect { options } => {
            let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
            Some(Value::MultiSelect(pieces.map(|piece| adopt(options, piece)).collect()))
        }
        _ => None,
    }
}

fn adopt(options: &mut Vec<Choice>, name: &str) -> options::OptionId {
    if let Some(known) = options::by_name(options, name) {
        return known.id.clone();
    }
    let made = options::make(name, None, None, options.len());
    options.push(made.clone());
    made.id
}
