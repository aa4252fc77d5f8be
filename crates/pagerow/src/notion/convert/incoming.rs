//! A property as the core sees it: one value, "nothing", or "not read".

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use pagerow_core::{
    mapping::{Field, PropertyKind},
    number::Number,
    record::PageId,
    value::{File, Person, Ref, Value},
};

use super::{dates, rich_text};
use crate::{
    notion::wire::{
        self, DateValue, FileLocation, FileValue, Formula, PropertyValue, Rollup, RollupValue, SelectOption,
        UniqueId, User, UserKind,
    },
    replica::Relatives,
};

/// What is needed beside the property itself.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    pub relatives: &'a Relatives,
    /// Where a date without a time begins, for columns that hold points in time.
    pub zone: &'a TimeZone,
}

/// The value of a whole property; `None` when the property does not show what the field is mapped to (retyped,
/// hidden, not computable from outside), which counts as not read.
///
/// A value that may be cut ([`PropertyValue::may_be_cut`]) has to be fetched whole before.
#[must_use]
pub fn value(property: &PropertyValue, field: &Field, incoming: Incoming<'_>) -> Option<Value> {
    if property.kind() != field.shows.name() {
        return None;
    }
    Some(match property {
        PropertyValue::NotShown => return None,
        // Shown as empty even where it is set.
        PropertyValue::Place(None) => return None,
        PropertyValue::People(people) => {
            let people: Vec<Value> =
                people.iter().map(|user| person(user, &field.shows)).collect::<Option<_>>()?;
            set(people.into_iter())
        }
        PropertyValue::CreatedBy(user) | PropertyValue::LastEditedBy(user) => {
            return person(user, &field.shows);
        }
        // Only a part went into it.
        PropertyValue::Rollup(Rollup { value: RollupValue::Incomplete, .. }) => return None,
        PropertyValue::Relation { ids, .. } => return relation(ids, &field.shows, incoming.relatives),
        other => natural(other, field, incoming),
    })
}

/// What a value says by itself; the elements of a rollup come here too.
fn natural(property: &PropertyValue, field: &Field, incoming: Incoming<'_>) -> Value {
    let date = |date: &Option<DateValue>| match date {
        None => Value::Null,
        Some(date) => dates::read(date, &field.holds, incoming.zone).unwrap_or_else(|| {
            let end = date.end.as_deref().unwrap_or_default();
            Value::opaque("date", format!("{}/{end}", date.start))
        }),
    };
    match property {
        PropertyValue::RichText(rich) if matches!(field.shows, PropertyKind::Markdown) => {
            rich_text::read_markdown(rich)
        }
        // A computed property is read only: its words are all that a column can take.
        PropertyValue::Title(rich) | PropertyValue::RichText(rich)
            if matches!(field.shows, PropertyKind::ReadOnly(_)) =>
        {
            text(Some(rich.plain_text()))
        }
        PropertyValue::Title(rich) | PropertyValue::RichText(rich) => rich_text::read(rich),
        PropertyValue::Number(shown) => number(shown.as_ref()),
        PropertyValue::Select(option) | PropertyValue::Status(option) => {
            text(option.as_ref().map(|option| option.name.clone()))
        }
        PropertyValue::MultiSelect(options) if field.keeps_order() && !options.is_empty() => {
            Value::List(options.iter().map(|option| Value::Text(option.name.clone())).collect())
        }
        PropertyValue::MultiSelect(options) => {
            set(options.iter().map(|SelectOption { name, .. }| Value::Text(name.clone())))
        }
        PropertyValue::Date(shown) => date(shown),
        PropertyValue::People(people) => set(people.iter().map(|user| shown_person(user, &field.shows))),
        PropertyValue::Files(shown) => files(shown),
        PropertyValue::Checkbox(checked) => Value::Bool(*checked),
        PropertyValue::Url(shown) | PropertyValue::Email(shown) | PropertyValue::PhoneNumber(shown) => {
            text(shown.clone())
        }
        PropertyValue::Relation { ids, .. } => relation(ids, &field.shows, incoming.relatives)
            .unwrap_or_else(|| Value::opaque("relation", ids.join(", "))),
        PropertyValue::Formula(Formula::String(shown)) => text(shown.clone()),
        PropertyValue::Formula(Formula::Number(shown)) => number(shown.as_ref()),
        PropertyValue::Formula(Formula::Boolean(shown)) => shown.map_or(Value::Null, Value::Bool),
        PropertyValue::Formula(Formula::Date(shown)) => date(shown),
        PropertyValue::Formula(Formula::Unsupported) => Value::opaque("formula", "unsupported"),
        PropertyValue::Formula(Formula::Unknown { kind, raw }) => Value::opaque(kind, raw.as_json()),
        PropertyValue::Rollup(rollup) => match &rollup.value {
            RollupValue::Number(shown) => number(shown.as_ref()),
            RollupValue::Date(shown) => date(shown),
            RollupValue::Array(elements) if elements.is_empty() => Value::Null,
            RollupValue::Array(elements) => {
                Value::List(elements.iter().map(|element| natural(element, field, incoming)).collect())
            }
            RollupValue::Incomplete => Value::opaque("rollup", "incomplete"),
            RollupValue::Unsupported => Value::opaque("rollup", "unsupported"),
            RollupValue::Unknown { kind, raw } => Value::opaque(kind, raw.as_json()),
        },
        PropertyValue::CreatedTime(at) | PropertyValue::LastEditedTime(at) => Value::Instant(*at),
        PropertyValue::CreatedBy(user) | PropertyValue::LastEditedBy(user) => {
            shown_person(user, &field.shows)
        }
        PropertyValue::UniqueId(id) => unique_id(id),
        PropertyValue::Verification(shown) => text(shown.as_ref().map(|shown| shown.state.clone())),
        PropertyValue::Button | PropertyValue::NotShown => Value::Null,
        PropertyValue::Place(place) => {
            place.as_ref().map_or(Value::Null, |place| Value::opaque("place", place.as_json()))
        }
        PropertyValue::Unknown { kind, raw } => Value::opaque(kind, raw.as_json()),
    }
}

fn text(text: Option<String>) -> Value {
    match text {
        Some(text) if !text.is_empty() => Value::Text(text),
        _ => Value::Null,
    }
}

/// Notion stores doubles; the shortest decimal form of one is what people typed.
fn number(shown: Option<&wire::Number>) -> Value {
    let Some(shown) = shown else { return Value::Null };
    Number::from_f64(shown.to_f64()).map_or_else(|| Value::opaque("number", shown.as_str()), Value::Number)
}

fn set(values: impl Iterator<Item = Value>) -> Value {
    let values: BTreeSet<Value> = values.collect();
    if values.is_empty() { Value::Null } else { Value::Set(values) }
}

/// A person by the address that the page shows, or that is known for their id; guests may show none, groups and bots
/// have only an id. `None` where the connection may not see who it is.
fn person(user: &User, shows: &PropertyKind) -> Option<Value> {
    match shown_person(user, shows) {
        Value::Person(person) if person.email.is_none() && user.kind == UserKind::Partial => None,
        person => Some(person),
    }
}

fn shown_person(user: &User, shows: &PropertyKind) -> Value {
    let known = |known: &Vec<Person>| {
        known.iter().find(|person| person.id.as_deref() == Some(user.id.as_str()))?.email.clone()
    };
    let email = user.email().map(str::to_owned).or_else(|| match shows {
        PropertyKind::People { known: people } => known(people),
        _ => None,
    });
    Value::Person(Box::new(Person { email, id: Some(user.id.clone()) }))
}

fn files(shown: &[FileValue]) -> Value {
    if shown.is_empty() {
        return Value::Null;
    }
    let mut files = Vec::with_capacity(shown.len());
    for FileValue { name, location } in shown {
        let (url, hosted) = match location {
            FileLocation::External { url } => (url, false),
            FileLocation::Hosted { url, .. } => (url, true),
            // One file without an address makes the list more than we understand.
            FileLocation::Upload { id } => return Value::opaque("file_upload", id),
            FileLocation::Unknown { kind, raw } => return Value::opaque(kind, raw.as_json()),
        };
        let name = name.clone().unwrap_or_default();
        files.push(Value::File(Box::new(File { url: url.clone(), name, hosted })));
    }
    Value::List(files)
}

/// `None` when an id is none of a page's.
fn relation(ids: &[String], shows: &PropertyKind, relatives: &Relatives) -> Option<Value> {
    let mapping = match shows {
        PropertyKind::Relation { mapping, .. } => Some(mapping),
        _ => None,
    };
    let refs = ids
        .iter()
        .map(|id| {
            let page = PageId::parse(id)?;
            let key = mapping.and_then(|mapping| relatives.key(mapping, page));
            Some(Value::Ref(key.map_or(Ref::Page(page), |key| Ref::Row(key.clone()))))
        })
        .collect::<Option<BTreeSet<Value>>>()?;
    Some(if refs.is_empty() { Value::Null } else { Value::Set(refs) })
}

fn unique_id(id: &UniqueId) -> Value {
    let Some(number) = &id.number else { return Value::Null };
    Value::Text(match id.prefix.as_deref() {
        Some(prefix) if !prefix.is_empty() => format!("{prefix}-{}", number.as_str()),
        _ => number.as_str().to_owned(),
    })
}
