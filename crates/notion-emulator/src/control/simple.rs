//! Values in plain words, for people and tests: `"Gold"` instead of `{"select": {"name": "Gold"}}`.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    at::At,
    error::{ApiError, Result},
    ids, options, rich_text,
    schema::{Kind, Property},
    values::{self, FilePlace, Scope, Value, Written},
    world::{Page, Parent, World},
};

/// Reads a plain value, or one in the API's own form.
pub(crate) fn parse(scope: Scope<'_>, property: &Property, json: &Json, at: &At) -> Result<Written> {
    let word = property.kind.word();
    if json.get(word).is_some() {
        return values::parse(scope, property, json, at);
    }
    let wrapped = wrap(scope.world, property, json)?;
    values::parse(scope, property, &json!({ word: wrapped }), at)
}

fn wrap(world: &World, property: &Property, json: &Json) -> Result<Json> {
    let is_empty = json.is_null() || json.as_str() == Some("");
    Ok(match &property.kind {
        Kind::Title | Kind::RichText => match json {
            Json::Array(_) => json.clone(),
            _ if is_empty => json!([]),
            other => Json::Array(runs(&text_of(other))),
        },
        Kind::Checkbox => Json::Bool(json.as_bool().unwrap_or(!is_empty && json.as_str() != Some("false"))),
        Kind::MultiSelect { .. } => {
            let names: Vec<Json> = pieces(json).into_iter().map(|name| json!({ "name": name })).collect();
            Json::Array(names)
        }
        Kind::People => {
            let ids: Result<Vec<Json>> = pieces(json)
                .into_iter()
                .map(|key| find_user(world, &key).map(|id| json!({"id": id.to_string()})))
                .collect();
            Json::Array(ids?)
        }
        Kind::Relation { source, .. } => {
            let found: Result<Vec<Json>> = pieces(json)
                .into_iter()
                .map(|key| find_row(world, *source, &key).map(|id| json!({"id": id.to_string()})))
                .collect();
            Json::Array(found?)
        }
        Kind::Files => {
            let files = pieces(json).into_iter().map(|url| {
                let name =
                    url.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file").to_owned();
                let name: String = name.chars().take(100).collect();
                json!({"name": name, "external": {"url": url}})
            });
            Json::Array(files.collect())
        }
        _ if is_empty => Json::Null,
        Kind::Number { .. } => match json {
            Json::String(text) => {
                let number: f64 = text.trim().parse().map_err(|_| {
                    ApiError::validation(format!("{} is expected to be number.", property.name))
                })?;
                json!(number)
            }
            other => other.clone(),
        },
        Kind::Select { .. } | Kind::Status { .. } => match json {
            Json::String(name) => json!({ "name": name }),
            other => other.clone(),
        },
        Kind::Date => match json {
            Json::String(text) => {
                let (start, end) = match text.split_once('→') {
                    Some((start, end)) => (start.trim(), Some(end.trim())),
                    None => (text.trim(), None),
                };
                json!({"start": start, "end": end})
            }
            other => other.clone(),
        },
        _ => json.clone(),
    })
}

/// One run for every 2000 UTF-16 units, as the app itself would store them.
fn runs(text: &str) -> Vec<Json> {
    let mut runs = Vec::new();
    let mut run = String::new();
    let mut units = 0;
    for letter in text.chars() {
        if units + letter.len_utf16() > 2000 {
            runs.push(json!({"text": {"content": std::mem::take(&mut run)}}));
            units = 0;
        }
        units += letter.len_utf16();
        run.push(letter);
    }
    runs.push(json!({"text": {"content": run}}));
    runs
}

fn text_of(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// An array's texts, or a text's pieces between commas.
fn pieces(json: &Json) -> Vec<String> {
    match json {
        Json::Array(items) => items.iter().map(text_of).collect(),
        Json::String(text) => {
            text.split(',').map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// By id, name or e-mail.
pub(crate) fn find_user(world: &World, key: &str) -> Result<Uuid> {
    let id = ids::parse_uuid(key);
    let matches = |user: &&crate::world::User| {
        Some(user.id) == id || user.name.eq_ignore_ascii_case(key) || user.email.as_deref() == Some(key)
    };
    let found = world.users.iter().find(matches).map(|user| user.id);
    found.ok_or_else(|| ApiError::validation(format!("There is no user `{key}`.")))
}

fn find_row(world: &World, source: Uuid, key: &str) -> Result<Uuid> {
    if let Some(id) = ids::parse_uuid(key) {
        return Ok(id);
    }
    let rows = world.sources.get(&source).into_iter().flat_map(|source| source.index.created.values());
    let found = rows.filter_map(|id| world.pages.get(id)).find(|page| page.title().eq_ignore_ascii_case(key));
    found.map(|page| page.id).ok_or_else(|| ApiError::validation(format!("There is no row named `{key}`.")))
}

/// A value as a person sees it, for showing and editing.
pub(crate) fn shown(world: &World, page: &Page, property: &Property) -> Json {
    let name_of = |id: &Uuid| world.user(*id).map_or_else(|| id.to_string(), |user| user.name.clone());
    let option = |id: &str| {
        let (options, _) = property.kind.options()?;
        options::by_id(options, id).map(|choice| choice.name.clone())
    };
    match (&property.kind, page.value(&property.id)) {
        (Kind::CreatedTime, _) => crate::clock::minute_text(page.created).into(),
        (Kind::LastEditedTime, _) => crate::clock::minute_text(page.edited).into(),
        (Kind::CreatedBy, _) => name_of(&page.created_by).into(),
        (Kind::LastEditedBy, _) => name_of(&page.edited_by).into(),
        (Kind::Checkbox, value) => value.is_some().into(),
        (Kind::Formula { expression }, _) => {
            let Parent::Source(source) = page.parent else { return Json::Null };
            let Some(source) = world.sources.get(&source) else { return Json::Null };
            let outcome = crate::computed::formula_json(&crate::computed::formula(source, page, expression));
            outcome[outcome["type"].as_str().unwrap_or_default()].clone()
        }
        (Kind::Rollup { relation, target, function }, _) => {
            let Parent::Source(source) = page.parent else { return Json::Null };
            let Some(source) = world.sources.get(&source) else { return Json::Null };
            match crate::computed::rollup(world, source, page, (relation, target, function)) {
                crate::computed::Outcome::Number(number) => crate::computed::number_json(number),
                crate::computed::Outcome::Date(date) => {
                    crate::computed::date_json(date.as_ref())["start"].clone()
                }
                crate::computed::Outcome::List(pages) => json!(pages.len()),
                _ => Json::Null,
            }
        }
        (_, None) => Json::Null,
        (_, Some(value)) => match value {
            Value::RichText(items) => rich_text::plain_text(items).into(),
            Value::Number(number) => crate::computed::number_json(Some(*number)),
            Value::Select(id) => option(id).into(),
            Value::MultiSelect(picked) => {
                picked.iter().filter_map(|id| option(id)).map(Json::String).collect::<Vec<_>>().into()
            }
            Value::Date(date) => match &date.end {
                Some(end) => format!("{} → {}", date.start.text, end.text).into(),
                None => date.start.text.clone().into(),
            },
            Value::People(people) => people.iter().map(name_of).map(Json::String).collect::<Vec<_>>().into(),
            Value::Files(files) => files
                .iter()
                .map(|file| match &file.place {
                    FilePlace::External(url) => Json::String(url.clone()),
                    FilePlace::Upload(_) => Json::String(file.name.clone()),
                })
                .collect::<Vec<_>>()
                .into(),
            Value::Checkbox(value) => (*value).into(),
            Value::Text(text) => text.clone().into(),
            Value::Relation(targets) => targets
                .iter()
                .map(|id| {
                    let title = world.pages.get(id).map(Page::title).unwrap_or_default();
                    json!({"id": id.to_string(), "title": title})
                })
                .collect::<Vec<_>>()
                .into(),
            Value::UniqueId(number) => match &property.kind {
                Kind::UniqueId { prefix: Some(prefix), .. } => format!("{prefix}-{number}").into(),
                _ => json!(number),
            },
            Value::Verified { .. } => "verified".into(),
        },
    }
}
