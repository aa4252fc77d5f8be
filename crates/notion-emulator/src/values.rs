//! The values of rows: how a request gives one, what is kept of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    dates::{self, DateValue},
    error::{ApiError, Result},
    ids,
    options::{self, Choice, Family, OptionId, Picked},
    rich_text::{self, Item},
    schema::{Kind, Property, WORDS},
    token::Token,
    world::World,
};

/// A value that is not empty; empty ones are not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Value {
    /// Title and rich text.
    RichText(Vec<Item>),
    Number(f64),
    /// Select and status.
    Select(OptionId),
    MultiSelect(Vec<OptionId>),
    Date(Box<DateValue>),
    People(Vec<Uuid>),
    Files(Vec<FileRef>),
    Checkbox(bool),
    /// Url, email and phone number.
    Text(String),
    Relation(Vec<Uuid>),
    UniqueId(u64),
    Verified {
        date: Option<Box<DateValue>>,
        by: Uuid,
    },
}

/// One entry of a files column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    pub(crate) name: String,
    pub(crate) place: FilePlace,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FilePlace {
    External(String),
    /// An upload; its address changes each hour.
    Upload(Uuid),
}

/// Who writes: what they may see decides which ids exist for them.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) world: &'a World,
    pub(crate) token: &'a Token,
}

/// What a request makes of one value.
#[derive(Debug)]
pub(crate) struct Written {
    /// `None` empties it.
    pub(crate) value: Option<Value>,
    /// Options that the column does not have yet.
    pub(crate) new_options: Vec<Choice>,
}

impl From<Option<Value>> for Written {
    fn from(value: Option<Value>) -> Self {
        Self { value, new_options: Vec::new() }
    }
}

/// Reads a property value object such as `{"number": 7}` for `property`.
pub(crate) fn parse(scope: Scope<'_>, property: &Property, json: &Json, at: &At) -> Result<Written> {
    let map = at::object(json, at)?;
    let word = property.kind.word();
    if !property.kind.is_writable() {
        return Err(union_mistake(at));
    }
    let given = map.keys().map(String::as_str).find(|key| WORDS.contains(key));
    match given {
        Some(given) if given != word => {
            return Err(ApiError::validation(format!("{} is expected to be {word}.", property.name)));
        }
        None => return Err(union_mistake(at)),
        Some(_) => {}
    }
    at::only_keys(map, &[word, "type"], at)?;
    if let Some(kind) = map.get("type")
        && kind.as_str() != Some(word)
    {
        return Err(ApiError::validation(format!("{} is expected to be {word}.", property.name)));
    }
    parse_inner(scope, property, &map[word], &at.key(word))
}

/// What is said when no variant of a value fits: every one of them.
fn union_mistake(at: &At) -> ApiError {
    let writable = [
        "title",
        "rich_text",
        "number",
        "url",
        "select",
        "multi_select",
        "people",
        "email",
        "phone_number",
        "date",
        "checkbox",
        "relation",
        "files",
        "status",
        "verification",
    ];
    let lines: Vec<String> = writable
        .iter()
        .map(|word| format!("{at}.{word} should be defined, instead was `undefined`."))
        .collect();
    ApiError::validation(format!("body failed validation. Fix one:\n{}", lines.join("\n")))
}

fn parse_inner(scope: Scope<'_>, property: &Property, json: &Json, at: &At) -> Result<Written> {
    let value = match &property.kind {
        Kind::Title | Kind::RichText => {
            let items = rich_text::parse(json, scope.world, at)?;
            (!items.is_empty()).then_some(Value::RichText(items))
        }
        Kind::Checkbox => at::boolean(json, at)?.then_some(Value::Checkbox(true)),
        Kind::People => parse_people(scope, json, at)?,
        Kind::Files => parse_files(scope, json, at)?,
        Kind::Relation { source, .. } => parse_relation(scope, *source, json, at)?,
        Kind::MultiSelect { options } => return parse_multi_select(options, json, at),
        // What follows is emptied by `null`.
        _ if json.is_null() => None,
        Kind::Number { .. } => {
            let number = json.as_f64().ok_or_else(|| at.should_be("a number or `null`", Some(json)))?;
            Some(Value::Number(number))
        }
        Kind::Url => Some(Value::Text(scalar(json, 2000, at)?)),
        Kind::Email | Kind::PhoneNumber => Some(Value::Text(scalar(json, 200, at)?)),
        Kind::Date => Some(Value::Date(Box::new(dates::parse_value(json, at)?))),
        Kind::Select { options } => return pick_one(options, Family::Select, json, at),
        Kind::Status { options, .. } => return pick_one(options, Family::Status, json, at),
        Kind::Verification => parse_verification(scope, json, at)?,
        _ => return Err(union_mistake(at)),
    };
    Ok(value.into())
}

/// A string that is not empty: `null` is how a scalar is emptied.
fn scalar(json: &Json, max: usize, at: &At) -> Result<String> {
    let text = at::string(json, max, at)?;
    if text.is_empty() {
        return Err(at.should_be("a non-empty string or `null`", Some(json)));
    }
    Ok(text.to_owned())
}

fn pick_one(choices: &[Choice], family: Family, json: &Json, at: &At) -> Result<Written> {
    Ok(match options::pick(json, choices, family, at)? {
        Picked::Known(id) => Some(Value::Select(id)).into(),
        Picked::New(choice) => {
            Written { value: Some(Value::Select(choice.id.clone())), new_options: vec![choice] }
        }
    })
}

fn parse_multi_select(choices: &[Choice], json: &Json, at: &At) -> Result<Written> {
    let array = at::array(json, 100, at)?;
    let mut picked: Vec<OptionId> = Vec::with_capacity(array.len());
    let mut new_options: Vec<Choice> = Vec::new();
    for (index, json) in array.iter().enumerate() {
        let id = match options::pick(json, choices, Family::MultiSelect, &at.index(index))? {
            Picked::Known(id) => id,
            Picked::New(choice) => match options::by_name(&new_options, &choice.name) {
                Some(made) => made.id.clone(),
                None => {
                    let id = choice.id.clone();
                    new_options.push(choice);
                    id
                }
            },
        };
        if !picked.contains(&id) {
            picked.push(id);
        }
    }
    Ok(Written { value: (!picked.is_empty()).then_some(Value::MultiSelect(picked)), new_options })
}

/// The id in `{id: …}`; other keys are ignored.
fn item_id(json: &Json, at: &At) -> Result<Uuid> {
    let id = at::required(at::object(json, at)?, "id", at)?;
    let at = at.key("id");
    let text = at::string(id, 100, &at)?;
    ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(id)))
}

fn parse_people(scope: Scope<'_>, json: &Json, at: &At) -> Result<Option<Value>> {
    let mut people = Vec::new();
    for (index, json) in at::array(json, 100, at)?.iter().enumerate() {
        let id = item_id(json, &at.index(index))?;
        if scope.world.user(id).is_none() {
            return Err(ApiError::not_found("user", &id.to_string(), &scope.token.name, scope.token.bot));
        }
        if !people.contains(&id) {
            people.push(id);
        }
    }
    Ok((!people.is_empty()).then_some(Value::People(people)))
}

fn parse_relation(scope: Scope<'_>, source: Uuid, json: &Json, at: &At) -> Result<Option<Value>> {
    let mut targets = Vec::new();
    for (index, json) in at::array(json, 100, at)?.iter().enumerate() {
        let id = item_id(json, &at.index(index))?;
        let page = scope.world.pages.get(&id).filter(|_| scope.world.is_shared(scope.token, id));
        let Some(page) = page else {
            return Err(ApiError::not_found("page", &id.to_string(), &scope.token.name, scope.token.bot));
        };
        if page.parent != crate::world::Parent::Source(source) {
            return Err(ApiError::validation(format!(
                "Page with ID {id} is not in the related data source."
            )));
        }
        if !targets.contains(&id) {
            targets.push(id);
        }
    }
    Ok((!targets.is_empty()).then_some(Value::Relation(targets)))
}

fn parse_files(scope: Scope<'_>, json: &Json, at: &At) -> Result<Option<Value>> {
    let mut files = Vec::new();
    for (index, json) in at::array(json, 100, at)?.iter().enumerate() {
        files.push(parse_file(scope, json, &at.index(index))?);
    }
    Ok((!files.is_empty()).then_some(Value::Files(files)))
}

fn parse_file(scope: Scope<'_>, json: &Json, at: &At) -> Result<FileRef> {
    let map: &Map<String, Json> = at::object(json, at)?;
    at::only_keys(map, &["name", "type", "external", "file", "file_upload"], at)?;
    let name = match map.get("name") {
        None | Some(Json::Null) => None,
        Some(name) => Some(at::string(name, 100, &at.key("name"))?.to_owned()),
    };
    if let Some(external) = map.get("external") {
        let name = name.ok_or_else(|| at.key("name").should_be("defined", None))?;
        let at = at.key("external");
        let url = at::required(at::object(external, &at)?, "url", &at)?;
        let url = at::string(url, 2000, &at.key("url"))?;
        return Ok(FileRef { name, place: FilePlace::External(url.to_owned()) });
    }
    let id = if let Some(upload) = map.get("file_upload") {
        item_id(upload, &at.key("file_upload"))?
    } else if let Some(file) = map.get("file") {
        // A Notion file's address keeps the file, whatever hour it was signed in.
        let at = at.key("file");
        let url = at::required(at::object(file, &at)?, "url", &at)?;
        let text = at::string(url, 2000, &at.key("url"))?;
        text.split("/_emulator/files/")
            .nth(1)
            .and_then(|rest| ids::parse_uuid(rest.split(['/', '?']).next().unwrap_or_default()))
            .ok_or_else(|| at.key("url").should_be("the URL of a file that Notion hosts", Some(url)))?
    } else {
        return Err(at.key("external").should_be("defined", None));
    };
    match scope.world.uploads.get(&id) {
        None => Err(ApiError::not_found("file_upload", &id.to_string(), &scope.token.name, scope.token.bot)),
        Some(upload) if upload.status != "uploaded" => Err(ApiError::validation(format!(
            "File upload with ID {id} is not uploaded: its status is {}.",
            upload.status
        ))),
        Some(upload) => Ok(FileRef {
            name: name.or_else(|| upload.filename.clone()).unwrap_or_else(|| "file".into()),
            place: FilePlace::Upload(id),
        }),
    }
}

fn parse_verification(scope: Scope<'_>, json: &Json, at: &At) -> Result<Option<Value>> {
    let map = at::object(json, at)?;
    at::only_keys(map, &["state", "date"], at)?;
    let state = at::one_of(at::required(map, "state", at)?, &["verified", "unverified"], &at.key("state"))?;
    if state == "unverified" {
        return Ok(None);
    }
    let date = match map.get("date") {
        None | Some(Json::Null) => None,
        Some(date) => Some(Box::new(dates::parse_value(date, &at.key("date"))?)),
    };
    Ok(Some(Value::Verified { date, by: scope.token.bot }))
}
