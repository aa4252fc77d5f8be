//! A stored value as the JSON that a page write takes.

use jiff::tz::TimeZone;
use pagerow_core::{
    mapping::{Field, PropertyKind},
    value::{File, Person, Ref, Value},
};
use serde_json::{Value as Json, json};

use super::{dates, rich_text};
use crate::{notion::wire::DateValue, replica::Relatives};

/// Longest name of a file, in UTF-16 units.
const FILE_NAME_UNITS: usize = 100;

/// What is needed beside the value itself.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub relatives: &'a Relatives,
    /// In whose offset points in time are written.
    pub zone: &'a TimeZone,
    /// The date that the property shows now, where one end of it stays: that end keeps its offset.
    pub date: Option<&'a DateValue>,
    /// What the other side holds, which gives a set the order of its list.
    pub source: Option<&'a Value>,
}

/// Why a value cannot be put in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// It refers to a row that has no page yet.
    NoPageYet,
    /// Not a form that this kind of property stores: a plan never holds such a thing.
    NotStored,
    /// The property is computed by Notion, or is the page's body.
    NoProperty,
}

/// The value object for one property, such as `{"number": 7}`. The value is in the form in which the property
/// stores it, so that nothing has to be cut; `Null` clears.
pub fn property(value: &Value, field: &Field, outgoing: Outgoing<'_>) -> Result<Json, Unsendable> {
    let kind = field.shows.name();
    let payload = match &field.shows {
        PropertyKind::Title | PropertyKind::RichText => match value {
            Value::Null => json!([]),
            Value::Text(text) => rich_text::write(text),
            Value::Markdown(markdown) => rich_text::write_markdown(markdown),
            _ => return Err(Unsendable::NotStored),
        },
        PropertyKind::Markdown => match value {
            Value::Null => json!([]),
            Value::Markdown(markdown) => rich_text::write_markdown(markdown),
            _ => return Err(Unsendable::NotStored),
        },
        PropertyKind::Number => number(value)?,
        PropertyKind::Select(_) | PropertyKind::Status(_) => match value {
            Value::Null => Json::Null,
            Value::Text(name) => json!({ "name": name }),
            _ => return Err(Unsendable::NotStored),
        },
        PropertyKind::MultiSelect(_) => {
            each(&in_order_of(value, outgoing.source, field), |option| match option {
                Value::Text(name) => Ok(json!({ "name": name })),
                _ => Err(Unsendable::NotStored),
            })?
        }
        PropertyKind::Date => match value {
            Value::Null => Json::Null,
            date => dates::write(date, outgoing.zone, outgoing.date).ok_or(Unsendable::NotStored)?,
        },
        PropertyKind::People { known } => each(value, |person| match person {
            Value::Person(person) => {
                let id = person_id(person, known).ok_or(Unsendable::NotStored)?;
                Ok(json!({ "id": id }))
            }
            _ => Err(Unsendable::NotStored),
        })?,
        PropertyKind::Files => each(value, |file| match file {
            Value::File(file) => Ok(file_object(file)),
            _ => Err(Unsendable::NotStored),
        })?,
        PropertyKind::Checkbox => match value {
            Value::Bool(checked) => json!(checked),
            Value::Null => json!(false),
            _ => return Err(Unsendable::NotStored),
        },
        PropertyKind::Url | PropertyKind::Email | PropertyKind::Phone => match value {
            Value::Null => Json::Null,
            Value::Text(text) => json!(text),
            _ => return Err(Unsendable::NotStored),
        },
        PropertyKind::Relation { mapping, .. } => each(value, |relative| match relative {
            Value::Ref(Ref::Page(page)) => Ok(json!({ "id": page.to_string() })),
            Value::Ref(Ref::Row(key)) => {
                let page = outgoing.relatives.page(mapping, key).ok_or(Unsendable::NoPageYet)?;
                Ok(json!({ "id": page.to_string() }))
            }
            _ => Err(Unsendable::NotStored),
        })?,
        PropertyKind::Body | PropertyKind::ReadOnly(_) => return Err(Unsendable::NoProperty),
    };
    Ok(json!({ kind: payload }))
}

/// The value object for text in a property of one of the kinds that hold text, by Notion's word for it.
#[must_use]
pub fn plain_text(kind: &str, text: &str) -> Json {
    match kind {
        "title" | "rich_text" => json!({ kind: rich_text::write(text) }),
        _ if text.is_empty() => json!({ kind: null }),
        _ => json!({ kind: text }),
    }
}

fn number(value: &Value) -> Result<Json, Unsendable> {
    let number = match value {
        Value::Null => return Ok(Json::Null),
        Value::Number(number) => number,
        _ => return Err(Unsendable::NotStored),
    };
    let double = number.as_double().ok_or(Unsendable::NotStored)?;
    let json = match number.as_exact_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "exact whole numbers end at 2^53")]
        Some(double) if number.is_whole() => json!(double as i64),
        _ => json!(double),
    };
    Ok(json)
}

/// A set of options in the order in which the column lists them; Notion shows them in the order in which they are
/// written.
fn in_order_of(value: &Value, source: Option<&Value>, field: &Field) -> Value {
    let (Value::Set(options), Some(Value::List(listed))) = (value, source) else { return value.clone() };
    let place = |option: &Value| {
        let Value::Text(name) = option else { return usize::MAX };
        let name = name.to_lowercase();
        let is_it = |item: &Value| match item {
            Value::Text(text) => field.labels.get(text).unwrap_or(text).to_lowercase() == name,
            _ => false,
        };
        listed.iter().position(is_it).unwrap_or(usize::MAX)
    };
    let mut options: Vec<Value> = options.iter().cloned().collect();
    options.sort_by_key(place);
    Value::List(options)
}

/// The items of a set or list, each written by `write`; nothing is an empty array.
fn each(value: &Value, write: impl Fn(&Value) -> Result<Json, Unsendable>) -> Result<Json, Unsendable> {
    match value {
        Value::Null => Ok(json!([])),
        Value::Set(items) => items.iter().map(write).collect(),
        Value::List(items) => items.iter().map(write).collect(),
        _ => Err(Unsendable::NotStored),
    }
}

fn person_id<'a>(person: &'a Person, known: &'a [Person]) -> Option<&'a str> {
    if let Some(id) = &person.id {
        return Some(id);
    }
    known.iter().find(|other| *other == person)?.id.as_deref()
}

/// A file that Notion keeps itself is sent back as such: as a mere link its signature would expire within the hour.
fn file_object(file: &File) -> Json {
    let name = rich_text::pieces(&file.name, FILE_NAME_UNITS).next().unwrap_or("file");
    if file.hosted {
        json!({ "name": name, "type": "file", "file": { "url": file.url } })
    } else {
        json!({ "name": name, "type": "external", "external": { "url": file.url } })
    }
}
