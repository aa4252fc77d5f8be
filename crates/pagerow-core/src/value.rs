//! What a cell can hold, on either side, with equality of meaning.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, value::RawValue};

use crate::{
    number::Number,
    record::{PageId, RowKey},
};

/// A cell's content in terms that both sides share.
///
/// Equality is equality of meaning: `1.50` is `1.5`, an instant equals itself in any offset, sets ignore order,
/// a file equals itself under any signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Nothing: SQL `NULL`, an empty property.
    Null,
    Text(String),
    Number(Number),
    Bool(bool),
    /// A calendar day, without time or zone.
    Day(Date),
    /// A point in time.
    Instant(Timestamp),
    Range(Box<Range>),
    /// Order matters (a Postgres array).
    List(Vec<Value>),
    /// Order does not matter (a multi-select, the rows behind a join table).
    Set(BTreeSet<Value>),
    Ref(Ref),
    File(Box<File>),
    Person(Box<Person>),
    /// JSON as canonical text: keys sorted, no white space, numbers as written.
    Json(String),
    Markdown(String),
    /// Something a side holds that has no other form here (`infinity`, an unknown property kind). It is shown and
    /// compared, and never written to the other side as if it were understood.
    Opaque(Box<Opaque>),
}

/// From a moment to a moment, both included; an open end is `None`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    pub start: Option<Moment>,
    pub end: Option<Moment>,
}

/// A day or a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    Day(Date),
    Instant(Timestamp),
}

/// The other end of a foreign key or a relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ref {
    /// A row of the related mapping.
    Row(RowKey),
    /// A page that is not linked to a row (yet).
    Page(PageId),
}

/// A file at an address. Two files are equal when their addresses are, signatures aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    pub url: String,
    /// What a person sees; no part of the file's identity.
    pub name: String,
    /// Whether Notion keeps the file itself; no part of its identity either. Its address is signed and ends soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hosted: bool,
}

/// A person by e-mail address, or by the side's own id where there is no address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Content without a form of its own: what it is, and its text on the side that holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opaque {
    pub kind: String,
    pub text: String,
}

impl Value {
    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether there is nothing to lose: nothing, an empty text, a list or a set without items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) | Self::Markdown(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Set(items) => items.is_empty(),
            Self::Number(_)
            | Self::Bool(_)
            | Self::Day(_)
            | Self::Instant(_)
            | Self::Range(_)
            | Self::Ref(_)
            | Self::File(_)
            | Self::Person(_)
            | Self::Json(_)
            | Self::Opaque(_) => false,
        }
    }

    /// A set from any values; doubles and order vanish.
    pub fn set(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Set(values.into_iter().collect())
    }

    /// Something that only its own side understands.
    pub fn opaque(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Opaque(Box::new(Opaque { kind: kind.into(), text: text.into() }))
    }

    /// JSON in canonical text.
    #[must_use]
    pub fn json(json: &Json) -> Self {
        Self::Json(canonical_json(json))
    }

    /// JSON in canonical text, from a text: numbers stay as they are written, however many digits they have. `None`
    /// where the text is not JSON, or nested deeper than [`JSON_DEPTH`].
    #[must_use]
    pub fn json_text(text: &str) -> Option<Self> {
        let mut out = String::with_capacity(text.len());
        write_canonical_text(text, JSON_DEPTH, &mut out).ok()?;
        Some(Self::Json(out))
    }

    /// The word for the kind of content, for messages; never the content.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Day(_) => "a day",
            Self::Instant(_) => "a point in time",
            Self::Range(_) => "a range",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Ref(_) => "a reference",
            Self::File(_) => "a file",
            Self::Person(_) => "a person",
            Self::Json(_) => "JSON",
            Self::Markdown(_) => "Markdown",
            Self::Opaque(_) => "something unknown",
        }
    }

    /// The value as people and scripts read it: plain JSON without tags. Numbers that JSON readers would round
    /// are strings. It shows, it does not read back.
    #[must_use]
    pub fn plain(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Text(text) | Self::Markdown(text) => Json::from(text.as_str()),
            Self::Number(number) => match number.as_exact_f64() {
                Some(double) if number.is_whole() => Json::from(double as i64),
                Some(double) => Json::from(double),
                None => Json::from(number.as_str()),
            },
            Self::Bool(bool) => Json::from(*bool),
            Self::Day(day) => Json::from(day.to_string()),
            Self::Instant(instant) => Json::from(instant.to_string()),
            Self::Range(range) => {
                let moment = |m: &Option<Moment>| m.map_or(Json::Null, |m| Json::from(m.to_string()));
                serde_json::json!({ "start": moment(&range.start), "end": moment(&range.end) })
            }
            Self::List(values) => values.iter().map(Self::plain).collect(),
            Self::Set(values) => values.iter().map(Self::plain).collect(),
            Self::Ref(Ref::Row(key)) => Json::from(key.as_str()),
            Self::Ref(Ref::Page(page)) => serde_json::json!({ "page": page.to_string() }),
            Self::File(file) => Json::from(file.url.as_str()),
            Self::Person(person) => Json::from(person.identity()),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
            Self::Opaque(opaque) => serde_json::json!({ opaque.kind.as_str(): opaque.text }),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Instant(instant) => instant.fmt(f),
        }
    }
}

impl File {
    /// The part of the address that stays: without signature and fragment.
    ///
    /// Only addresses that carry a signature lose their query, since for other addresses it says which file.
    #[must_use]
    pub fn identity(&self) -> &str {
        let has = |part: &str| self.url.contains(part);
        let signed = has("X-Amz-Signature=")
            || has("X-Amz-Credential=")
            || has("expirationTimestamp=") && has("signature=");
        if signed || self.hosted { self.url.split('?').next().unwrap_or(&self.url) } else { &self.url }
    }

    /// Whether an address is one of those under which Notion hands out the files that it keeps.
    #[must_use]
    pub fn is_hosted_at(url: &str) -> bool {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut parts = address.split("://").nth(1).unwrap_or_default().splitn(2, '/');
        let (host, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let of = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        let bucket = of("amazonaws.com")
            && (host.starts_with("prod-files-secure.")
                || path.starts_with("secure.notion-static.com/")
                || path.starts_with("prod-files-secure/"));
        let own =
            ["notion.so", "notion.com", "notion-static.com", "notionusercontent.com"].iter().any(|d| of(d));
        (bucket || own) && (query.contains("X-Amz-Signature=") || query.contains("signature="))
    }
}

impl Person {
    /// What tells two people apart: the address in lower case, else the id.
    #[must_use]
    pub fn identity(&self) -> String {
        match (&self.email, &self.id) {
            (Some(email), _) => email.to_lowercase(),
            (None, Some(id)) => id.clone(),
            (None, None) => String::new(),
        }
    }
}

/// Equality and order by what tells two of them apart.
macro_rules! equal_by_identity {
    ($($type:ty),*) => {$(
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.identity() == other.identity()
            }
        }
        impl Eq for $type {}
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.identity().cmp(&other.identity())
            }
        }
    )*};
}
equal_by_identity!(File, Person);

/// How deeply JSON may be nested.
pub const JSON_DEPTH: u32 = 128;

/// JSON as one text for one meaning: keys sorted, no white space.
#[must_use]
pub fn canonical_json(json: &Json) -> String {
    let mut out = String::new();
    write_canonical(json, &mut out);
    out
}

fn write_canonical(json: &Json, out: &mut String) {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => out.push_str(&json.to_string()),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Json::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
    }
}

/// Like [`write_canonical`], but from the text itself, since reading numbers into a machine's numbers would round them.
fn write_canonical_text(text: &str, depth: u32, out: &mut String) -> Result<(), serde_json::Error> {
    let depth = depth.checked_sub(1).ok_or_else(|| serde::de::Error::custom("nested too deeply"))?;
    let text = text.trim_ascii();
    match text.as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_canonical_text(item.get(), depth, out)?;
            }
            out.push(']');
        }
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            out.push('{');
            for (i, (key, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Json::from(key).to_string());
                out.push(':');
                write_canonical_text(value.get(), depth, out)?;
            }
            out.push('}');
        }
        Some(b'"') => out.push_str(&Json::from(serde_json::from_str::<String>(text)?).to_string()),
        _ => out.push_str(serde_json::from_str::<&RawValue>(text)?.get()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_equality_of_meaning() {
        let number = |text| Value::Number(Number::parse(text).unwrap());
        assert_eq!(number("1.50"), number("1.5"));
        let instant = |text: &str| Value::Instant(text.parse().unwrap());
        assert_eq!(instant("2026-02-22T09:00:00+09:00"), instant("2026-02-22T00:00:00Z"));
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(Value::set([text("a"), text("b")]), Value::set([text("b"), text("a"), text("a")]));
        assert_ne!(Value::List(vec![text("a"), text("b")]), Value::List(vec![text("b"), text("a")]));
        let file = |url: &str| {
            Value::File(Box::new(File { url: url.into(), name: url.len().to_string(), hosted: false }))
        };
        assert_eq!(file("https://f/a.pdf?X-Amz-Signature=1"), file("https://f/a.pdf?X-Amz-Signature=2"));
        assert_ne!(file("https://f/a?id=1"), file("https://f/a?id=2"));
    }

    #[test]
    fn stored_form_reads_back_equal() {
        for value in [
            Value::Null,
            Value::Text("null".into()),
            Value::Number(Number::parse("12345678901234567890.5").unwrap()),
            Value::Bool(false),
            Value::Day("2026-02-11".parse().unwrap()),
            Value::Instant("2026-02-11T10:20:30.123456Z".parse().unwrap()),
            Value::set([Value::Text("a".into())]),
            Value::Ref(Ref::Row("7".into())),
            Value::json(&serde_json::json!({"b": [1, null], "a": "x"})),
            Value::opaque("timestamptz", "infinity"),
        ] {
            let stored = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), value, "{stored}");
        }
    }

    #[test]
    fn json_keeps_its_digits_and_loses_its_order() {
        let canonical = |text: &str| match Value::json_text(text) {
            Some(Value::Json(text)) => Some(text),
            _ => None,
        };
        assert_eq!(
            canonical(r#" { "b" : [ 1.50 , 12345678901234567890123 , null ] , "a" : "\u00e4\n" } "#)
                .as_deref(),
            Some(r#"{"a":"ä\n","b":[1.50,12345678901234567890123,null]}"#)
        );
        assert_eq!(canonical("0.12345678901234567891").as_deref(), Some("0.12345678901234567891"));
        for wrong in ["", "{", "[1,]", "nul", "01", "1 2", r#""\ud800""#, "{'a':1}"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(canonical(&deep(127)).is_some());
        assert!(canonical(&deep(5_000)).is_none());
    }

    #[test]
    fn a_value_stays_small() {
        assert!(size_of::<Value>() <= 32, "{}", size_of::<Value>());
    }
}
