//! Options of selects, multi-selects and statuses, and the words that columns have for them.

use std::collections::BTreeMap;

use super::{
    Reason, SHORT_TEXT_UNITS, counted,
    text::{no_nul, no_text, split_list, text_of, texts_of, utf16_units},
};
use crate::{
    mapping::{Field, Options},
    value::Value,
};

pub(super) fn one(value: &Value, field: &Field, options: &Options) -> Result<Value, Reason> {
    match text_of(value) {
        None if value.is_null() => Ok(Value::Null),
        None => Err(no_text(value, "an option")),
        Some(text) if text.is_empty() => Ok(Value::Null),
        Some(text) => option(&text, field, options).map(Value::Text),
    }
}

pub(super) fn many(value: &Value, field: &Field, options: &Options) -> Result<Value, Reason> {
    let texts: Vec<String> = match value {
        Value::Null => Vec::new(),
        // Options hold no commas, so one text column can carry several of them.
        Value::Text(text) => split_list(text),
        Value::List(items) => texts_of(items, "options")?,
        Value::Set(items) => texts_of(items, "options")?,
        other => vec![text_of(other).ok_or_else(|| no_text(other, "options"))?],
    };
    // New names that differ only in case become one option, the first of them.
    let mut seen = BTreeMap::new();
    let mut names = Vec::new();
    for text in &texts {
        let name = option(text, field, options)?;
        if seen.insert(name.to_lowercase(), ()).is_none() {
            names.push(Value::Text(name));
        }
    }
    counted(names.len())?;
    Ok(match (names.is_empty(), field.keeps_order()) {
        (true, _) => Value::Null,
        (false, true) => Value::List(names),
        (false, false) => Value::set(names),
    })
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

/// The column's label that is meant by a text: the very one first, then without case.
pub(super) fn choice(text: &str, labels: &[String]) -> Result<Value, Reason> {
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

pub(super) fn without_labels(value: &Value, field: &Field) -> Value {
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
    let strip_item = |item: &Value| match item {
        Value::Text(text) => strip(text),
        other => other.clone(),
    };
    match value {
        Value::Text(text) => strip(text),
        Value::Set(items) => Value::Set(items.iter().map(strip_item).collect()),
        Value::List(items) => Value::List(items.iter().map(strip_item).collect()),
        other => other.clone(),
    }
}
