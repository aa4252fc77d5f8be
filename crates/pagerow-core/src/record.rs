//! What one row or one page holds in its mapped fields, and the names of rows and pages.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{mapping::Mapping, value::Value};

/// A row's primary key in Postgres's text form; a composite key as a JSON array of those.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowKey(Box<str>);

impl RowKey {
    /// A key from the text form of each key column, in the key's order.
    #[must_use]
    pub fn from_columns(columns: &[String]) -> Self {
        match columns {
            [only] => Self(only.as_str().into()),
            several => Self(Json::from(several.to_vec()).to_string().into()),
        }
    }

    /// The text form of each of `count` key columns; `None` when this text cannot be such a key.
    #[must_use]
    pub fn columns(&self, count: usize) -> Option<Vec<String>> {
        if count == 1 {
            return Some(vec![self.0.to_string()]);
        }
        let columns: Vec<String> = serde_json::from_str(&self.0).ok()?;
        (columns.len() == count).then_some(columns)
    }

    /// The text that goes into the key property.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RowKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for RowKey {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.0)
    }
}

/// A Notion page's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageId(pub Uuid);

impl PageId {
    /// Reads an id with or without dashes, or the end of a page's address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(id) = Uuid::try_parse(text.trim()) {
            return Some(Self(id));
        }
        let path = text.trim().split(['?', '#']).next()?;
        let tail: String = path.chars().filter(|c| *c != '-').collect();
        let start = tail.char_indices().rev().nth(31)?.0;
        Uuid::try_parse(&tail[start..]).ok().map(Self)
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "page {}", self.0.hyphenated())
    }
}

/// The values of a mapping's fields, in the mapping's order.
///
/// `None` means *not read*: such a field is never changed and never written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(Vec<Option<Value>>);

impl Record {
    /// A record of which nothing was read, for a mapping with `fields` fields.
    #[must_use]
    pub fn unread(fields: usize) -> Self {
        Self(vec![None; fields])
    }

    /// A record with these values; as many as the mapping has fields.
    #[must_use]
    pub fn new(values: Vec<Option<Value>>) -> Self {
        Self(values)
    }

    /// The value of one field, by its place in the mapping; `None` when it was not read.
    #[must_use]
    pub fn get(&self, field: usize) -> Option<&Value> {
        self.0.get(field).and_then(Option::as_ref)
    }

    /// Puts a value in a field's place.
    pub fn set(&mut self, field: usize, value: Option<Value>) {
        if field >= self.0.len() {
            self.0.resize(field + 1, None);
        }
        self.0[field] = value;
    }

    /// All values in order.
    #[must_use]
    pub fn values(&self) -> &[Option<Value>] {
        &self.0
    }

    /// All values, to change them.
    pub fn values_mut(&mut self) -> &mut Vec<Option<Value>> {
        &mut self.0
    }

    /// The stored form: an object of column name → tagged value; fields that were not read are left out.
    #[must_use]
    pub fn to_json(&self, mapping: &Mapping) -> Json {
        let members = mapping.fields.iter().zip(&self.0).filter_map(|(field, value)| {
            let json = serde_json::to_value(value.as_ref()?).ok()?;
            Some((field.column.clone(), json))
        });
        Json::Object(members.collect::<Map<_, _>>())
    }

    /// Reads the stored form. A field that is not there, or not understood, counts as not read, which makes its
    /// base unknown and never turns into a deletion.
    #[must_use]
    pub fn from_json(json: &Json, mapping: &Mapping) -> Self {
        Self(mapping.fields.iter().map(|field| Value::deserialize(json.get(&field.column)?).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composite_keys_are_json_arrays() {
        let key = RowKey::from_columns(&["10248".into(), "a\"b".into()]);
        assert_eq!(key.as_str(), r#"["10248","a\"b"]"#);
        assert_eq!(key.columns(2), Some(vec!["10248".into(), "a\"b".into()]));
        assert_eq!(key.columns(3), None);
        assert_eq!(RowKey::from("7").columns(1), Some(vec!["7".into()]));
    }

    #[test]
    fn page_ids_are_found_in_addresses() {
        let id = PageId::parse("5c6a2821-6bb1-4a7e-b6e1-c50111515c3d").unwrap();
        assert_eq!(PageId::parse("5c6a28216bb14a7eb6e1c50111515c3d"), Some(id));
        assert_eq!(
            PageId::parse("https://app.notion.com/p/Slug-5c6a28216bb14a7eb6e1c50111515c3d?v=1"),
            Some(id)
        );
        assert_eq!(PageId::parse("Slug"), None);
    }
}
