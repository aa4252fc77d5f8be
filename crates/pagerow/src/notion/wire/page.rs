//! A page: a row of a data source, or a page of its own.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::list::WireObject;
use super::opaque::Opaque;
use super::property::{Property, PropertyValue, unknown};
use super::property_id::PropertyId;
use super::tagged::{Tagged, Text};

/// A page with the properties that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub id: String,
    pub parent: Parent,
    /// Cut to the minute by Notion.
    pub created_time: Timestamp,
    /// Cut to the minute by Notion: equal times do not mean an unchanged page.
    pub last_edited_time: Timestamp,
    pub created_by: Option<String>,
    pub last_edited_by: Option<String>,
    /// In the trash. Older API versions call it `archived`.
    pub in_trash: bool,
    /// Put away by "Archive", which is not the trash.
    pub is_archived: bool,
    pub is_locked: bool,
    pub url: Option<String>,
    pub public_url: Option<String>,
    pub icon: Option<Opaque>,
    pub cover: Option<Opaque>,
    /// In the order of the answer, which means nothing.
    pub properties: Vec<Property>,
}

/// Where a page, database or data source lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    Page(String),
    Database(String),
    DataSource { id: String, database_id: Option<String> },
    Block(String),
    Agent(String),
    Workspace,
    Unknown { kind: String, raw: Opaque },
}

impl Page {
    /// The property with this id, however the id is encoded.
    pub fn property(&self, id: &PropertyId) -> Option<&Property> {
        self.properties.iter().find(|property| property.id == *id)
    }
}

impl WireObject for Page {
    const OBJECT: &'static str = "page";
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seen = Seen::deserialize(deserializer)?;
        if seen.object.0 != Self::OBJECT {
            return Err(serde::de::Error::custom("expected a page"));
        }
        Ok(Self {
            id: seen.id,
            parent: seen.parent,
            created_time: seen.created_time,
            last_edited_time: seen.last_edited_time,
            created_by: seen.created_by.map(|user| user.id),
            last_edited_by: seen.last_edited_by.map(|user| user.id),
            in_trash: seen.in_trash.or(seen.archived).unwrap_or(false),
            is_archived: seen.is_archived.unwrap_or(false),
            is_locked: seen.is_locked.unwrap_or(false),
            url: seen.url,
            public_url: seen.public_url,
            icon: seen.icon,
            cover: seen.cover,
            properties: seen.properties.0,
        })
    }
}

#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    id: String,
    parent: Parent,
    created_time: Timestamp,
    last_edited_time: Timestamp,
    created_by: Option<super::property::Reference>,
    last_edited_by: Option<super::property::Reference>,
    in_trash: Option<bool>,
    archived: Option<bool>,
    is_archived: Option<bool>,
    is_locked: Option<bool>,
    url: Option<String>,
    public_url: Option<String>,
    icon: Option<Opaque>,
    cover: Option<Opaque>,
    properties: Properties,
}

/// The `properties` object, in order, each value on its own.
struct Properties(Vec<Property>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PropertiesVisitor;
        impl<'de> Visitor<'de> for PropertiesVisitor {
            type Value = Properties;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of properties")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut properties = Vec::with_capacity(16);
                while let Some((name, tagged)) = map.next_entry::<String, Tagged<'de>>()? {
                    let value = PropertyValue::of(&tagged);
                    let id = PropertyId::new(tagged.id.map(Cow::into_owned).unwrap_or_default());
                    properties.push(Property { name, id, value });
                }
                Ok(Properties(properties))
            }
        }
        deserializer.deserialize_map(PropertiesVisitor)
    }
}

impl<'de> Deserialize<'de> for Parent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        let known = match tagged.kind.as_deref() {
            Some("page_id") => tagged.read().map(Self::Page),
            Some("database_id") => tagged.read().map(Self::Database),
            Some("data_source_id") => {
                tagged.read().map(|id| Self::DataSource { id, database_id: tagged.other("database_id") })
            }
            Some("block_id") => tagged.read().map(Self::Block),
            Some("agent_id") => tagged.read().map(Self::Agent),
            Some("workspace") => Some(Self::Workspace),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| {
            let (kind, raw) = unknown(&tagged);
            Self::Unknown { kind, raw }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"object":"page","id":"p","created_time":"2026-07-04T09:08:00.000Z","last_edited_time":"2026-07-04T09:09:00.000Z",
        "created_by":{"object":"user","id":"u"},"last_edited_by":{"object":"user","id":"v"},"cover":null,"icon":null,
        "parent":{"type":"data_source_id","data_source_id":"ds","database_id":"db"},"in_trash":false,"is_archived":true,"is_locked":false,
        "properties":{"Name":{"id":"title","type":"title","title":[]},"Odd":{"id":"%3CnJT","type":"new","new":{}}},
        "url":"https://app.notion.com/p/x","public_url":null,"archived":false,"request_id":"r","later":1}"#;

    #[test]
    fn a_row_is_read_with_its_parent_and_flags() {
        let page: Page = serde_json::from_str(PAGE).unwrap();
        assert_eq!(page.parent, Parent::DataSource { id: "ds".into(), database_id: Some("db".into()) });
        assert!(page.is_archived && !page.in_trash);
        assert_eq!(page.last_edited_by.as_deref(), Some("v"));
        assert_eq!(page.property(&PropertyId::new("<nJT")).unwrap().name, "Odd");
    }

    #[test]
    fn the_old_word_for_trash_counts() {
        let old = PAGE.replace("\"in_trash\":false,", "").replace("\"archived\":false", "\"archived\":true");
        assert!(serde_json::from_str::<Page>(&old).unwrap().in_trash);
    }

    #[test]
    fn other_objects_are_no_pages() {
        assert!(serde_json::from_str::<Page>(&PAGE.replace("\"page\"", "\"data_source\"")).is_err());
    }

    #[test]
    fn parents_of_every_kind() {
        let parent = |json| serde_json::from_str::<Parent>(json).unwrap();
        assert_eq!(parent(r#"{"type":"workspace","workspace":true}"#), Parent::Workspace);
        assert_eq!(parent(r#"{"page_id":"a"}"#), Parent::Page("a".into()));
        assert!(
            matches!(parent(r#"{"type":"space_id","space_id":"a"}"#), Parent::Unknown { kind, .. } if kind == "space_id")
        );
    }
}
