//! What a value becomes once a side has stored it, or why that side cannot hold it.
//!
//! Nothing is clipped: a value either comes back as a form that means the same to this side, or it is refused with
//! a reason. The forms that lose something on purpose (Notion cuts seconds and knows no empty checkbox) are never
//! written back, because [`agree`] sees both forms as one value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    mapping::{ColumnKind, Field, Options, PropertyKind},
    number::Number,
    side::Side,
    value::{File, Moment, Range, Ref, Value},
};

/// Longest text of one rich text value: 100 items of 2,000 UTF-16 units.
pub const RICH_TEXT_UNITS: usize = 200_000;
/// Most items of one multi-select, relation, people or files value in one write.
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

/// What one side makes of a value.
#[must_use]
pub fn on(side: Side, value: &Value, field: &Field) -> Fidelity {
    match side {
        Side::Postgres => in_postgres(value, field),
        Side::Notion => in_notion(value, field),
    }
}

/// Whether a column's value and a property's value are the same for this field: one is the stored form of the other.
#[must_use]
pub fn agree(postgres: &Value, notion: &Value, field: &Field) -> bool {
    matches!(in_notion(postgres, field), Fidelity::Stored(form) if form == *notion)
        || matches!(in_postgres(notion, field), Fidelity::Stored(form) if form == *postgres)
}

/// What the property makes of a column's value.
#[must_use]
pub fn in_notion(value: &Value, field: &Field) -> Fidelity {
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
        PropertyKind::Title | PropertyKind::RichText => rich_text(value),
        PropertyKind::Number => number_property(value),
        PropertyKind::Select(options) => one_option(value, field, options),
        // A status never grows by a write, whatever the configuration says.
        PropertyKind::Status(options) if options.may_grow => {
            one_option(value, field, &Options { names: options.names.clone(), may_grow: false })
        }
        PropertyKind::Status(options) => one_option(value, field, options),
        PropertyKind::MultiSelect(options) => many_options(value, field, options),
        PropertyKind::Date => date_property(value),
        PropertyKind::People { known } => people(value, known),
        PropertyKind::Files => files(value),
        PropertyKind::Checkbox => match value {
            Value::Null => Ok(Value::Bool(false)),
            other => boolean(other).map(Value::Bool).ok_or_else(|| mismatch(other, "a checkbox")),
        },
        PropertyKind::Url => short_text(value, URL_UNITS, "an address"),
        PropertyKind::Email => short_text(value, SHORT_TEXT_UNITS, "an e-mail address"),
        PropertyKind::Phone => short_text(value, SHORT_TEXT_UNITS, "a phone number"),
        PropertyKind::Relation { single, .. } => relation(value, *single),
        PropertyKind::Body => body(value),
        PropertyKind::ReadOnly(kind) => {
            Err(Reason::new("read_only", format!("a property of kind {kind} is computed by Notion")))
        }
    })
}

/// What the column makes of a property's value.
#[must_use]
pub fn in_postgres(value: &Value, field: &Field) -> Fidelity {
    let unlabelled;
    let value = if field.labels.is_empty() {
        value
    } else {
        unlabelled = without_labels(value, field);
        &unlabelled
    };
    settle(match value {
        Value::Null => null_column(field),
        // The one value is the list's one item, commas and all.
        value
            if holds_one(&field.shows)
                && matches!(field.holds, ColumnKind::List(_))
                && !matches!(value, Value::List(_)) =>
        {
            column(&Value::List(vec![value.clone()]), &field.holds)
        }
        value => column(value, &field.holds),
    })
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

// ---- Notion ----

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
        | PropertyKind::MultiSelect(_)
        | PropertyKind::People { .. }
        | PropertyKind::Files
        | PropertyKind::Relation { .. }
        | PropertyKind::Body
        | PropertyKind::ReadOnly(_) => false,
    }
}

fn rich_text(value: &Value) -> Result<Value, Reason> {
    match text_of(value) {
        None if value.is_null() => Ok(Value::Null),
        None => Err(mismatch(value, "text")),
        Some(text) if text.is_empty() => Ok(Value::Null),
        Some(text) => {
            no_nul(&text)?;
            let units = utf16_units(&text);
            if units > RICH_TEXT_UNITS {
                return Err(Reason::limited(
                    "too_long",
                    format!("the text has {units} UTF-16 units"),
                    format!("{RICH_TEXT_UNITS} UTF-16 units"),
                ));
            }
            Ok(Value::Text(text))
        }
    }
}

fn short_text(value: &Value, limit: usize, what: &str) -> Result<Value, Reason> {
    match rich_text(value)? {
        Value::Text(text) if utf16_units(&text) > limit => Err(Reason::limited(
            "too_long",
            format!("the text has {} UTF-16 units, too long for {what}", utf16_units(&text)),
            format!("{limit} UTF-16 units"),
        )),
        stored => Ok(stored),
    }
}

fn number_property(value: &Value) -> Result<Value, Reason> {
    let number = match value {
        Value::Null => return Ok(Value::Null),
        Value::Number(number) => number.clone(),
        Value::Bool(bool) => Number::from(i64::from(*bool)),
        Value::Text(text) => Number::parse(text.trim()).map_err(|_| mismatch(value, "a number"))?,
        other => return Err(mismatch(other, "a number")),
    };
    if number.as_exact_f64().is_some() {
        return Ok(Value::Number(number));
    }
    Err(Reason::limited(
        "inexact",
        "a number property would not keep every digit; map the column to text (as = \"rich_text\") to keep them",
        "whole numbers to 2^53, about 15 significant digits",
    ))
}

fn one_option(value: &Value, field: &Field, options: &Options) -> Result<Value, Reason> {
    match text_of(value) {
        None if value.is_null() => Ok(Value::Null),
        None => Err(mismatch(value, "an option")),
        Some(text) if text.is_empty() => Ok(Value::Null),
        Some(text) => option(&text, field, options).map(Value::Text),
    }
}

fn many_options(value: &Value, field: &Field, options: &Options) -> Result<Value, Reason> {
    let texts: Vec<String> = match value {
        Value::Null => Vec::new(),
        // Options hold no commas, so one text column can carry several of them.
        Value::Text(text) => split_list(text),
        Value::List(items) => texts_of(items, "options")?,
        Value::Set(items) => texts_of(items, "options")?,
        other => vec![text_of(other).ok_or_else(|| mismatch(other, "options"))?],
    };
    // New names that differ only in case become one option, the first of them.
    let mut names = BTreeMap::new();
    for text in &texts {
        let name = option(text, field, options)?;
        names.entry(name.to_lowercase()).or_insert(name);
    }
    counted(names.len())?;
    Ok(if names.is_empty() { Value::Null } else { Value::set(names.into_values().map(Value::Text)) })
}

fn option(text: &str, field: &Field, options: &Options) -> Result<String, Reason> {
    let name = field.labels.get(text).map_or(text, String::as_str);
    // Notion compares option names without case; the first that fits is the one a write would find.
    let folded = name.to_lowercase();
    if let Some(known) = options
        .names
        .iter()
        .find(|o| *o == name)
        .or_else(|| options.names.iter().find(|o| o.to_lowercase() == folded))
    {
        return Ok(known.clone());
    }
    if name.trim().is_empty() {
        return Err(Reason::new("empty_option", "an option needs a name"));
    }
    no_nul(name)?;
    if name.contains(',') {
        return Err(Reason::new("comma", "an option's name cannot hold a comma"));
    }
    if utf16_units(name) > SHORT_TEXT_UNITS {
        return Err(Reason::limited(
            "too_long",
            "the option's name is too long",
            format!("{SHORT_TEXT_UNITS} UTF-16 units"),
        ));
    }
    if options.may_grow {
        return Ok(name.to_owned());
    }
    Err(Reason::new(
        "no_such_option",
        "the property has no such option; add it in Notion, or allow new ones with new_options = \"create\"",
    ))
}

fn date_property(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Day(day) => cut(Moment::Day(*day)).map(moment_value),
        Value::Instant(instant) => cut(Moment::Instant(*instant)).map(moment_value),
        Value::Range(range) => {
            let (Some(start), Some(end)) = (range.start, range.end) else {
                return Err(Reason::new("open_range", "a date property cannot hold a range without an end"));
            };
            let (start, end) = (cut(start)?, cut(end)?);
            if start == end {
                return Ok(moment_value(start));
            }
            Ok(Value::Range(Box::new(Range { start: Some(start), end: Some(end) })))
        }
        Value::Text(text) => match (parse_moment(text), parse_range(text)) {
            (Some(moment), _) => cut(moment).map(moment_value),
            (None, Some(range)) => date_property(&Value::Range(Box::new(range))),
            (None, None) => Err(mismatch(value, "a date")),
        },
        other => Err(mismatch(other, "a date")),
    }
}

/// Notion keeps minutes, and years of four digits.
fn cut(moment: Moment) -> Result<Moment, Reason> {
    let out_of_reach = || Reason::limited("date_range", "the date is out of reach", "years 1 to 9999");
    match moment {
        Moment::Day(day) if day.year() < 1 => Err(out_of_reach()),
        Moment::Day(_) => Ok(moment),
        Moment::Instant(instant) => {
            let seconds = instant.as_second().div_euclid(60) * 60;
            let minute = jiff::Timestamp::from_second(seconds).map_err(|_| out_of_reach())?;
            if minute < FIRST_INSTANT {
                return Err(out_of_reach());
            }
            Ok(Moment::Instant(minute))
        }
    }
}

/// 0001-01-02T00:00Z: the first instant whose year has four digits in every zone.
const FIRST_INSTANT: jiff::Timestamp = jiff::Timestamp::constant(-62_135_510_400, 0);

fn people(value: &Value, known: &[crate::value::Person]) -> Result<Value, Reason> {
    let addresses = match value {
        Value::Null => Vec::new(),
        Value::Text(text) => split_list(text),
        Value::List(items) => texts_of(items, "people")?,
        Value::Set(items) => texts_of(items, "people")?,
        other => return Err(mismatch(other, "people")),
    };
    let people: BTreeSet<Value> = addresses
        .iter()
        .map(|address| {
            known
                .iter()
                .find(|person| {
                    person.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(address))
                        || person.id.as_deref() == Some(address)
                })
                .map(|person| Value::Person(Box::new(person.clone())))
                .ok_or_else(|| {
                    Reason::new("no_such_person", "nobody in the workspace has this e-mail address")
                })
        })
        .collect::<Result<_, _>>()?;
    counted(people.len())?;
    Ok(if people.is_empty() { Value::Null } else { Value::Set(people) })
}

fn files(value: &Value) -> Result<Value, Reason> {
    let addresses = match value {
        Value::Null => Vec::new(),
        Value::Text(text) if text.is_empty() => Vec::new(),
        Value::Text(text) => vec![text.clone()],
        Value::List(items) => texts_of(items, "files")?,
        Value::Set(items) => texts_of(items, "files")?,
        other => return Err(mismatch(other, "files")),
    };
    counted(addresses.len())?;
    let files: Vec<Value> = addresses
        .into_iter()
        .map(|url| {
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                return Err(Reason::new(
                    "not_an_address",
                    "a file needs an address that begins with https://",
                ));
            }
            if utf16_units(&url) > URL_UNITS {
                return Err(Reason::limited(
                    "too_long",
                    "the address is too long",
                    format!("{URL_UNITS} UTF-16 units"),
                ));
            }
            let path = url.split(['?', '#']).next().unwrap_or(&url);
            let last = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
            let name = last.chars().take(SHORT_TEXT_UNITS / 2).collect();
            Ok(Value::File(Box::new(File { url, name })))
        })
        .collect::<Result<_, _>>()?;
    Ok(if files.is_empty() { Value::Null } else { Value::List(files) })
}

fn relation(value: &Value, single: bool) -> Result<Value, Reason> {
    let refs: BTreeSet<Value> = match value {
        Value::Null => BTreeSet::new(),
        Value::Ref(_) => BTreeSet::from([value.clone()]),
        Value::Set(refs) if refs.iter().all(|r| matches!(r, Value::Ref(_))) => refs.clone(),
        other => return Err(mismatch(other, "a relation")),
    };
    counted(refs.len())?;
    if single && refs.len() > 1 {
        return Err(Reason::limited("too_many", "the relation holds one page", 1));
    }
    Ok(if refs.is_empty() { Value::Null } else { Value::Set(refs) })
}

fn body(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Text(text) | Value::Markdown(text) if text.is_empty() => Ok(Value::Null),
        Value::Text(text) | Value::Markdown(text) => {
            no_nul(text)?;
            if text.len() > BODY_BYTES {
                return Err(Reason::limited(
                    "too_long",
                    format!("the body has {} bytes", text.len()),
                    format!("{BODY_BYTES} bytes"),
                ));
            }
            Ok(Value::Markdown(text.clone()))
        }
        other => Err(mismatch(other, "a page's body")),
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

// ---- Postgres ----

fn null_column(field: &Field) -> Result<Value, Reason> {
    match &field.holds {
        // Notion's empty checkbox is `false`, its empty text is no text: a column that refuses NULL takes these.
        ColumnKind::Text { .. } if field.required => Ok(Value::Text(String::new())),
        ColumnKind::List(_) if field.required => Ok(Value::List(Vec::new())),
        _ if field.required => Err(Reason::new("not_null", "the column may not be NULL")),
        _ => Ok(Value::Null),
    }
}

fn column(value: &Value, kind: &ColumnKind) -> Result<Value, Reason> {
    match kind {
        ColumnKind::Text { max } => {
            let text = joined_text(value)?;
            no_nul(&text)?;
            match max {
                Some(max) if text.chars().count() > *max as usize => Err(Reason::limited(
                    "too_long",
                    format!("the text has {} characters", text.chars().count()),
                    format!("{max} characters"),
                )),
                _ => Ok(Value::Text(text)),
            }
        }
        ColumnKind::Scalar { .. } => {
            let text = joined_text(value)?;
            no_nul(&text)?;
            Ok(Value::Text(text))
        }
        ColumnKind::Choice { labels } => {
            let text = joined_text(value)?;
            let folded = text.to_lowercase();
            labels
                .iter()
                .find(|label| **label == text)
                .or_else(|| labels.iter().find(|label| label.to_lowercase() == folded))
                .map(|label| Value::Text(label.clone()))
                .ok_or_else(|| {
                    Reason::limited("no_such_label", "the column's type has no such label", labels.join(", "))
                })
        }
        ColumnKind::Integer { min, max } => {
            let number = number_of(value).ok_or_else(|| mismatch(value, "a whole number"))?;
            match number.as_str().parse::<i64>() {
                Ok(whole) if (*min..=*max).contains(&whole) => Ok(Value::Number(number)),
                Err(_) if !number.is_whole() => {
                    Err(Reason::new("fraction", "the column holds whole numbers, this one has a fraction"))
                }
                _ => {
                    Err(Reason::limited("out_of_range", "the number is too large", format!("{min} to {max}")))
                }
            }
        }
        ColumnKind::Numeric { precision, scale } => {
            let number = number_of(value).ok_or_else(|| mismatch(value, "a number"))?;
            // The scale may be negative (whole thousands) or beyond the precision (small fractions only).
            let scale = i64::from(scale.unwrap_or(if precision.is_some() { 0 } else { i32::MAX }));
            let fits = number.reach().is_none_or(|(highest, lowest)| {
                -lowest <= scale && precision.is_none_or(|p| highest <= i64::from(p) - scale)
            });
            if fits {
                return Ok(Value::Number(number));
            }
            Err(Reason::limited(
                "out_of_range",
                "the column would round the number, or cannot hold it",
                format!("numeric({}, {scale})", precision.unwrap_or(0)),
            ))
        }
        ColumnKind::Real => {
            let number = number_of(value).ok_or_else(|| mismatch(value, "a number"))?;
            #[expect(clippy::cast_possible_truncation, reason = "the loss is what is being tested")]
            let single = number.to_f64() as f32;
            if Number::from_f32(single).as_ref() == Some(&number) {
                return Ok(Value::Number(number));
            }
            Err(Reason::limited("inexact", "the column would round the number", "about 6 significant digits"))
        }
        ColumnKind::Double => {
            let number = number_of(value).ok_or_else(|| mismatch(value, "a number"))?;
            if Number::from_f64(number.to_f64()).as_ref() == Some(&number) {
                return Ok(Value::Number(number));
            }
            Err(Reason::limited(
                "inexact",
                "the column would round the number",
                "about 15 significant digits",
            ))
        }
        ColumnKind::Bool => boolean(value).map(Value::Bool).ok_or_else(|| mismatch(value, "a boolean")),
        ColumnKind::Day => match value {
            Value::Day(_) => Ok(value.clone()),
            Value::Text(text) => match parse_moment(text) {
                Some(Moment::Day(day)) => Ok(Value::Day(day)),
                _ => Err(mismatch(value, "a day")),
            },
            Value::Instant(_) => {
                Err(Reason::new("time_of_day", "the column holds days, and the date has a time"))
            }
            Value::Range(_) => Err(Reason::new("range", "the column holds one day, and the date has an end")),
            other => Err(mismatch(other, "a day")),
        },
        ColumnKind::Instant => match value {
            Value::Instant(_) => Ok(value.clone()),
            Value::Text(text) => match parse_moment(text) {
                Some(Moment::Instant(instant)) => Ok(Value::Instant(instant)),
                _ => Err(mismatch(value, "a point in time")),
            },
            Value::Range(_) => {
                Err(Reason::new("range", "the column holds one time, and the date has an end"))
            }
            other => Err(mismatch(other, "a point in time")),
        },
        ColumnKind::DayRange => range_column(value, |m| matches!(m, Moment::Day(_)), "a range of days"),
        ColumnKind::InstantRange => {
            range_column(value, |m| matches!(m, Moment::Instant(_)), "a range of times")
        }
        ColumnKind::Json => match value {
            Value::Json(_) => Ok(value.clone()),
            Value::Text(text) => match Value::json_text(text) {
                Some(Value::Json(json)) => {
                    no_nul_escape(&json)?;
                    Ok(Value::Json(json))
                }
                Some(_) | None => Err(Reason::new("not_json", "the text is not JSON")),
            },
            other => Err(mismatch(other, "JSON")),
        },
        ColumnKind::List(inner) => list_column(value, inner),
        ColumnKind::Reference { .. } => match value {
            Value::Ref(_) => Ok(value.clone()),
            Value::Set(refs) if refs.len() == 1 => match refs.first() {
                Some(only @ Value::Ref(_)) => Ok(only.clone()),
                _ => Err(mismatch(value, "a reference")),
            },
            Value::Set(refs) => Err(Reason::limited(
                "too_many",
                format!("the relation names {} pages, and a foreign key holds one row", refs.len()),
                1,
            )),
            other => Err(mismatch(other, "a reference")),
        },
        ColumnKind::References { .. } => match value {
            Value::Ref(_) => Ok(Value::set([value.clone()])),
            Value::Set(refs) if refs.iter().all(|r| matches!(r, Value::Ref(_))) => Ok(value.clone()),
            other => Err(mismatch(other, "references")),
        },
    }
}

fn range_column(value: &Value, fits: fn(&Moment) -> bool, what: &str) -> Result<Value, Reason> {
    let range = match value {
        Value::Day(day) => Range { start: Some(Moment::Day(*day)), end: Some(Moment::Day(*day)) },
        Value::Instant(at) => Range { start: Some(Moment::Instant(*at)), end: Some(Moment::Instant(*at)) },
        Value::Range(range) => (**range).clone(),
        Value::Text(text) => parse_range(text).ok_or_else(|| mismatch(value, what))?,
        other => return Err(mismatch(other, what)),
    };
    if range.start.iter().chain(&range.end).all(fits) {
        return Ok(Value::Range(Box::new(range)));
    }
    Err(mismatch(value, what))
}

fn list_column(value: &Value, inner: &ColumnKind) -> Result<Value, Reason> {
    let items: Vec<Value> = match value {
        Value::List(items) => items.clone(),
        Value::Set(items) => items.iter().cloned().collect(),
        // A list in a text property is a JSON array there.
        Value::Text(text) => match serde_json::from_str::<Vec<Option<String>>>(text) {
            Ok(items) => items.into_iter().map(|item| item.map_or(Value::Null, Value::Text)).collect(),
            Err(_) => split_list(text).into_iter().map(Value::Text).collect(),
        },
        other => vec![other.clone()],
    };
    let stored: Vec<Value> = items
        .iter()
        .map(|item| if item.is_null() { Ok(Value::Null) } else { column(item, inner) })
        .collect::<Result<_, _>>()?;
    Ok(Value::List(stored))
}

fn without_labels(value: &Value, field: &Field) -> Value {
    let strip = |text: &str| {
        // As Notion compares option names: the very name first, then without case.
        let folded = text.to_lowercase();
        let found = field
            .labels
            .iter()
            .find(|(_, label)| *label == text)
            .or_else(|| field.labels.iter().find(|(_, label)| label.to_lowercase() == folded));
        Value::Text(found.map_or(text, |(raw, _)| raw.as_str()).to_owned())
    };
    match value {
        Value::Text(text) => strip(text),
        Value::Set(items) => Value::Set(
            items
                .iter()
                .map(|item| match item {
                    Value::Text(text) => strip(text),
                    other => other.clone(),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

// ---- Forms that several kinds share ----

/// One cell as one text; `None` where there is no single text for it.
fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Text(text) | Value::Markdown(text) | Value::Json(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::Day(day) => day.to_string(),
        Value::Instant(instant) => instant.to_string(),
        Value::Range(range) => {
            let end = |m: &Option<Moment>| m.map_or_else(String::new, |m| m.to_string());
            format!("{}/{}", end(&range.start), end(&range.end))
        }
        Value::List(items) => {
            let texts: Vec<Option<String>> = items
                .iter()
                .map(|i| if i.is_null() { Some(None) } else { text_of(i).map(Some) })
                .collect::<Option<_>>()?;
            serde_json::to_string(&texts).ok()?
        }
        Value::Ref(Ref::Row(key)) => key.as_str().to_owned(),
        Value::File(file) => file.url.clone(),
        Value::Person(person) => person.email.clone()?,
        Value::Opaque(opaque) => opaque.text.clone(),
        Value::Null | Value::Set(_) | Value::Ref(Ref::Page(_)) => return None,
    })
}

fn texts_of<'a>(items: impl IntoIterator<Item = &'a Value>, what: &str) -> Result<Vec<String>, Reason> {
    items.into_iter().map(|item| text_of(item).ok_or_else(|| mismatch(item, what))).collect()
}

/// What a text column takes: one text, or the several parts of a set joined by commas.
fn joined_text(value: &Value) -> Result<String, Reason> {
    match value {
        Value::Set(items) => {
            let texts = texts_of(items, "text")?;
            if texts.len() > 1 && texts.iter().any(|text| text.contains(',')) {
                return Err(Reason::new(
                    "comma",
                    "several values, one of them with a comma, in one text column",
                ));
            }
            Ok(texts.join(", "))
        }
        // Files and people arrive as lists; one of them is one text.
        Value::List(items) => match items.as_slice() {
            [only @ (Value::File(_) | Value::Person(_))] => {
                text_of(only).ok_or_else(|| mismatch(only, "text"))
            }
            [Value::File(_) | Value::Person(_), ..] => Err(Reason::limited(
                "too_many",
                format!("{} items, and the column holds one", items.len()),
                1,
            )),
            _ => text_of(value).ok_or_else(|| mismatch(value, "text")),
        },
        Value::Opaque(_) => Err(mismatch(value, "text")),
        other => text_of(other).ok_or_else(|| mismatch(other, "text")),
    }
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn number_of(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::Bool(bool) => Some(Number::from(i64::from(*bool))),
        Value::Text(text) => Number::parse(text.trim()).ok(),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(bool) => Some(*bool),
        Value::Number(number) if number.as_str() == "1" => Some(true),
        Value::Number(number) if number.as_str() == "0" => Some(false),
        Value::Text(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn parse_moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::Instant(instant));
    }
    // A civil time without an offset is neither a day nor an instant.
    (text.len() == 10).then(|| text.parse().ok().map(Moment::Day)).flatten()
}

/// A range as [`text_of`] writes it: `2026-01-01/2026-01-31`, with nothing where an end is open.
fn parse_range(text: &str) -> Option<Range> {
    let (start, end) = text.trim().split_once('/')?;
    let end_of = |text: &str| if text.is_empty() { Some(None) } else { parse_moment(text).map(Some) };
    let range = Range { start: end_of(start)?, end: end_of(end)? };
    (range.start.is_some() || range.end.is_some()).then_some(range)
}

fn moment_value(moment: Moment) -> Value {
    match moment {
        Moment::Day(day) => Value::Day(day),
        Moment::Instant(instant) => Value::Instant(instant),
    }
}

fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn no_nul(text: &str) -> Result<(), Reason> {
    if text.contains('\0') {
        return Err(Reason::new("nul", "the text holds a NUL character, which Postgres text cannot"));
    }
    Ok(())
}

/// `jsonb` refuses the character NUL, which canonical JSON writes as `\u0000`.
fn no_nul_escape(json: &str) -> Result<(), Reason> {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at + 1..];
        if rest.starts_with("u0000") {
            return no_nul("\0");
        }
        // The escaped character may be a backslash itself.
        rest = &rest[1..];
    }
    Ok(())
}
