//! What a value becomes once a side has stored it, or why that side cannot hold it.
//!
//! Nothing is clipped: a value either comes back as a form that means the same to this side, or it is refused with
//! a reason. The forms that lose something on purpose (Notion cuts seconds and knows no empty checkbox) are never
//! written back, because [`agree`] sees both forms as one value.

mod column;
mod date;
mod files;
mod number;
mod options;
mod people;
mod references;
mod text;

use std::borrow::Cow;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{
    lens,
    mapping::{ColumnKind, Field, Options, PropertyKind},
    mutant::{self, Mutant},
    rich_text,
    side::Side,
    value::Value,
};

/// Longest text of one rich text value: 100 items of 2,000 UTF-16 units.
pub const RICH_TEXT_UNITS: usize = 200_000;
/// Longest text of one item, in UTF-16 units; longer runs are sent in several.
pub const ITEM_UNITS: usize = 2_000;
/// Longest equation, in UTF-16 units.
pub const EQUATION_UNITS: usize = 1_000;
/// Most items of one text, multi-select, relation, people or files value in one write.
pub const ITEMS: usize = 100;
/// Longest option name, e-mail address and phone number that every documented limit allows.
pub const SHORT_TEXT_UNITS: usize = 100;
/// Longest address.
pub const URL_UNITS: usize = 2_000;
/// Longest page body in one request, in bytes: Notion takes requests of 500 KB.
pub const BODY_BYTES: usize = 450_000;

/// What will come back if a value is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Fidelity {
    Stored(Value),
    Unstorable(Reason),
}

/// Why something cannot be written. Never holds a cell's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable word for scripts: one of this module's, an SQLSTATE, or Notion's error code.
    pub code: String,
    /// A sentence for people.
    pub text: String,
    /// The limit that was passed, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

impl Reason {
    /// A reason without a limit.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into(), limit: None }
    }

    fn limited(code: &str, text: impl Into<String>, limit: impl ToString) -> Self {
        Self { code: code.into(), text: text.into(), limit: Some(limit.to_string()) }
    }
}

pub fn on(side: Side, value: &Value, field: &Field) -> Fidelity {
    match side {
        Side::Postgres => in_postgres(value, field),
        Side::Notion => in_notion(value, field),
    }
}

pub fn agree(postgres: &Value, notion: &Value, field: &Field) -> bool {
    let once = field.lens.as_ref().is_some_and(|lens| lens.once);
    if once && !postgres.is_null() && !notion.is_null() && lens::failure(notion).is_none() {
        return true;
    }
    matches!(in_notion(postgres, field), Fidelity::Stored(form) if form == *notion)
        || matches!(in_postgres(notion, field), Fidelity::Stored(form) if form == *postgres)
}

pub fn in_notion(value: &Value, field: &Field) -> Fidelity {
    if let Some(reason) = lens::failure(value) {
        return Fidelity::Unstorable(reason);
    }
    let value = match (value, holds_one(&field.shows)) {
        (Value::List(items), true) => match items.as_slice() {
            [] => &Value::Null,
            [only] if !only.is_null() => only,
            [_] => return Fidelity::Unstorable(mismatch(value, field.shows.name())),
            _ => {
                let text = format!("{} items, and the property holds one", items.len());
                return Fidelity::Unstorable(Reason::limited("too_many", text, 1));
            }
        },
        _ => value,
    };
    settle(match &field.shows {
        PropertyKind::Title | PropertyKind::RichText => text::plain(value),
        PropertyKind::Markdown => text::markdown(value),
        PropertyKind::Number => number::property(value, &field.holds),
        PropertyKind::Select(options) => options::one(value, field, options),
        // A status never grows by a write, whatever the configuration says.
        PropertyKind::Status(options) if options.may_grow => {
            options::one(value, field, &Options { may_grow: false, ..options.clone() })
        }
        PropertyKind::Status(options) => options::one(value, field, options),
        PropertyKind::MultiSelect(options) => options::many(value, field, options),
        PropertyKind::Date => date::property(value),
        PropertyKind::People { known } => people::property(value, known),
        PropertyKind::Files => files::property(value),
        PropertyKind::Checkbox => match value {
            Value::Null if mutant::is(Mutant::EmptyCheckbox) => Ok(Value::Null),
            Value::Null => Ok(Value::Bool(false)),
            other => number::boolean(other).map(Value::Bool).ok_or_else(|| mismatch(other, "a checkbox")),
        },
        PropertyKind::Url => text::short(value, URL_UNITS, "an address"),
        PropertyKind::Email => text::short(value, SHORT_TEXT_UNITS, "an e-mail address"),
        PropertyKind::Phone => text::short(value, SHORT_TEXT_UNITS, "a phone number"),
        PropertyKind::Relation { single, .. } => references::property(value, *single),
        PropertyKind::Body => text::body(value),
        PropertyKind::ReadOnly(kind) => {
            Err(Reason::new("read_only", format!("a property of kind {kind} is computed by Notion")))
        }
    })
}

pub fn in_postgres(value: &Value, field: &Field) -> Fidelity {
    if let Some(reason) = lens::failure(value) {
        return Fidelity::Unstorable(reason);
    }
    let worded = in_words(value, field);
    let value = worded.as_ref();
    let unlabelled;
    let value = if field.labels.is_empty() {
        value
    } else {
        unlabelled = options::without_labels(value, field);
        &unlabelled
    };
    let stored = match value {
        Value::Null => column::null(field),
        // The one value is the list's one item, commas and all.
        value
            if holds_one(&field.shows)
                && matches!(field.holds, ColumnKind::List(_))
                && !matches!(value, Value::List(_)) =>
        {
            column::store(&Value::List(vec![value.clone()]), &field.holds)
        }
        value => column::store(value, &field.holds),
    };
    settle(stored.and_then(|stored| match &field.lens {
        // What the row is to show is stored as what the column takes for it.
        Some(lens) if field.flow.reaches(Side::Postgres) => {
            lens.to_column(&stored, &TimeZone::UTC).map(|_| stored)
        }
        Some(_) | None => Ok(stored),
    }))
}

/// What a column of a kind makes of a value, whatever its property is.
///
/// # Errors
/// Why it cannot hold it.
pub fn in_column(value: &Value, kind: &ColumnKind, required: bool) -> Result<Value, Reason> {
    match value {
        Value::Null => column::nothing(kind, required),
        value => column::store(value, kind),
    }
}

/// What will be on a side if a value of the other side is written over what it holds now: like [`on`], and what the
/// other side cannot say stays as it is. Words that did not change keep their formatting, files their names, people
/// their place, and ends of a range that nobody moved their seconds.
#[must_use]
pub fn over(side: Side, value: &Value, current: &Value, field: &Field) -> Fidelity {
    let knowing;
    let field = match (side, &field.shows, current) {
        // A guest is in no list of people, and still in the property.
        (Side::Notion, PropertyKind::People { known }, Value::Set(held)) => {
            let held = held.iter().filter_map(|value| match value {
                Value::Person(person) => Some((**person).clone()),
                _ => None,
            });
            let known = known.iter().cloned().chain(held).collect();
            knowing = Field { shows: PropertyKind::People { known }, ..field.clone() };
            &knowing
        }
        _ => field,
    };
    let stored = match on(side, value, field) {
        Fidelity::Stored(stored) => stored,
        refused @ Fidelity::Unstorable(_) => return refused,
    };
    Fidelity::Stored(match (side, &field.shows, stored, current) {
        (
            Side::Notion,
            PropertyKind::Title | PropertyKind::RichText,
            Value::Text(words),
            Value::Markdown(formatted),
        ) => {
            let spans = rich_text::with_words(&rich_text::from_markdown(formatted), &words);
            if rich_text::is_plain(&spans) || text::items(&spans) > ITEMS {
                Value::Text(words)
            } else {
                Value::Markdown(rich_text::to_markdown(&spans))
            }
        }
        (Side::Notion, PropertyKind::Files, Value::List(named), Value::List(held)) => {
            Value::List(files::as_held(named, held))
        }
        (Side::Postgres, PropertyKind::Date, Value::Range(range), Value::Range(held)) => {
            Value::Range(Box::new(date::with_seconds_of(&range, held)))
        }
        (
            Side::Postgres,
            PropertyKind::MultiSelect(_) | PropertyKind::People { .. },
            Value::List(items),
            Value::List(held),
        ) if !field.keeps_order() => Value::List(in_order_of(held, items, field)),
        (_, _, stored, _) => stored,
    })
}

/// The items of a list that has no order in Notion, in the order and the words in which the row has them.
fn in_order_of(held: &[Value], items: Vec<Value>, field: &Field) -> Vec<Value> {
    let one = |item: &Value| in_notion(&Value::List(vec![item.clone()]), field);
    let mut rest: Vec<(Value, Fidelity)> =
        items.into_iter().map(|item| (one(&item), item)).map(|(f, i)| (i, f)).collect();
    let mut ordered = Vec::with_capacity(rest.len());
    for item in held {
        let form = one(item);
        if let Some(at) = rest.iter().position(|(other, other_form)| other == item || *other_form == form) {
            rest.remove(at);
            ordered.push(item.clone());
        }
    }
    ordered.extend(rest.into_iter().map(|(item, _)| item));
    ordered
}

/// A property's text as its words, where a column holds no more than these. Formatting is Notion's own.
#[must_use]
pub fn in_words<'v>(value: &'v Value, field: &Field) -> Cow<'v, Value> {
    match (value, &field.shows) {
        (Value::Markdown(markdown), PropertyKind::Title | PropertyKind::RichText) => {
            let words = rich_text::words(&rich_text::from_markdown(markdown));
            Cow::Owned(if words.is_empty() { Value::Null } else { Value::Text(words) })
        }
        _ => Cow::Borrowed(value),
    }
}

fn settle(result: Result<Value, Reason>) -> Fidelity {
    match result {
        Ok(value) => Fidelity::Stored(value),
        Err(reason) => Fidelity::Unstorable(reason),
    }
}

fn mismatch(value: &Value, target: &str) -> Reason {
    Reason::new("kind", format!("{} cannot become {target}", value.kind()))
}

/// Whether a property holds one value, so that a list of one is that value.
fn holds_one(shows: &PropertyKind) -> bool {
    match shows {
        PropertyKind::Number
        | PropertyKind::Select(_)
        | PropertyKind::Status(_)
        | PropertyKind::Date
        | PropertyKind::Checkbox
        | PropertyKind::Url
        | PropertyKind::Email
        | PropertyKind::Phone => true,
        // A text shows a list as JSON.
        PropertyKind::Title
        | PropertyKind::RichText
        | PropertyKind::Markdown
        | PropertyKind::MultiSelect(_)
        | PropertyKind::People { .. }
        | PropertyKind::Files
        | PropertyKind::Relation { .. }
        | PropertyKind::Body
        | PropertyKind::ReadOnly(_) => false,
    }
}

fn counted(items: usize) -> Result<(), Reason> {
    if items > ITEMS {
        return Err(Reason::limited(
            "too_many",
            format!("{items} items in one property"),
            format!("{ITEMS} items"),
        ));
    }
    Ok(())
}
