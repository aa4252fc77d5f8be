//! Where in a request body a mistake is, and the checks that name that place.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::error::{ApiError, Result};

/// A path into the body such as `body.properties.Due.date.start`; written out only when something is wrong.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Root(&'static str),
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

pub(crate) const BODY: At<'static> = At::Root("body");

impl<'a> At<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> At<'a> {
        At::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> At<'a> {
        At::Index(self, index)
    }

    /// `… should be WHAT, instead was INSTEAD.`
    pub(crate) fn should_be(&self, what: &str, instead: Option<&Json>) -> ApiError {
        ApiError::body(format_args!("{self} should be {what}, instead was {}.", Instead(instead)))
    }

    /// `… should be ≤ LIMIT, instead was COUNT.`
    pub(crate) fn at_most(&self, limit: usize, count: usize) -> ApiError {
        ApiError::body(format_args!("{self}.length should be ≤ `{limit}`, instead was `{count}`."))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Root(root) => f.write_str(root),
            At::Key(parent, key) => write!(f, "{parent}.{key}"),
            At::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The offending value as the messages show it.
pub(crate) struct Instead<'a>(pub(crate) Option<&'a Json>);

impl fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("`undefined`"),
            Some(value) => write!(f, "`{value}`"),
        }
    }
}

pub(crate) fn object<'j>(value: &'j Json, at: &At) -> Result<&'j Map<String, Json>> {
    value.as_object().ok_or_else(|| at.should_be("an object", Some(value)))
}

/// An array of at most `max` elements.
pub(crate) fn array<'j>(value: &'j Json, max: usize, at: &At) -> Result<&'j Vec<Json>> {
    let array = value.as_array().ok_or_else(|| at.should_be("an array", Some(value)))?;
    if array.len() > max { Err(at.at_most(max, array.len())) } else { Ok(array) }
}

/// A string of at most `max` UTF-16 code units: an emoji counts two.
pub(crate) fn string<'j>(value: &'j Json, max: usize, at: &At) -> Result<&'j str> {
    let text = value.as_str().ok_or_else(|| at.should_be("a string", Some(value)))?;
    // A string never has more UTF-16 units than bytes, so short ones need no counting.
    if text.len() > max {
        let units = text.encode_utf16().count();
        if units > max {
            return Err(at.at_most(max, units));
        }
    }
    Ok(text)
}

pub(crate) fn boolean(value: &Json, at: &At) -> Result<bool> {
    value.as_bool().ok_or_else(|| at.should_be("a boolean", Some(value)))
}

/// An optional boolean key; `null` counts as absent.
pub(crate) fn optional_boolean(map: &Map<String, Json>, key: &str, at: &At) -> Result<Option<bool>> {
    match map.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => boolean(value, &at.key(key)).map(Some),
    }
}

pub(crate) fn required<'j>(map: &'j Map<String, Json>, key: &str, at: &At) -> Result<&'j Json> {
    map.get(key).ok_or_else(|| at.key(key).should_be("defined", None))
}

/// Strict objects: any other key is refused by name.
pub(crate) fn only_keys(map: &Map<String, Json>, allowed: &[&str], at: &At) -> Result<()> {
    match map.iter().find(|(key, _)| !allowed.contains(&key.as_str())) {
        None => Ok(()),
        Some((key, value)) => Err(at.key(key).should_be("not present", Some(value))),
    }
}

/// One of a few words.
pub(crate) fn one_of<'j>(value: &'j Json, words: &[&str], at: &At) -> Result<&'j str> {
    match value.as_str() {
        Some(word) if words.contains(&word) => Ok(word),
        _ => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            Err(at.should_be(&words.join(" or "), Some(value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_name_their_place_and_the_value() {
        let properties = BODY.key("properties");
        let due = properties.key("Due");
        let message = due.should_be("an object", Some(&json!("x"))).message;
        assert_eq!(
            message,
            "body failed validation: body.properties.Due should be an object, instead was `\"x\"`."
        );
    }

    #[test]
    fn lengths_are_counted_in_utf16_units() {
        let emoji = json!("😀".repeat(3));
        assert!(string(&emoji, 6, &BODY).is_ok());
        let message = string(&emoji, 5, &BODY).unwrap_err().message;
        assert!(message.ends_with("body.length should be ≤ `5`, instead was `6`."), "{message}");
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let value = json!({"type": "number", "id": "abc"});
        let message = only_keys(value.as_object().unwrap(), &["type"], &BODY).unwrap_err().message;
        assert!(message.contains("body.id should be not present"), "{message}");
    }
}
