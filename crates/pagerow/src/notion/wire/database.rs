//! Databases, and the data sources inside them that hold the rows.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::list::WireObject;
use super::opaque::Opaque;
use super::page::Parent;
use super::property::Reference;
use super::property_id::PropertyId;
use super::rich_text::RichText;
use super::schema::{PropertySchema, Schema};
use super::tagged::Text;

/// A table: schema and title. Its rows are pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSource {
    pub id: String,
    pub title: RichText,
    pub description: RichText,
    pub parent: Option<Parent>,
    /// Where the database that holds it lives.
    pub database_parent: Option<Parent>,
    pub in_trash: bool,
    pub is_inline: bool,
    pub created_time: Option<Timestamp>,
    pub last_edited_time: Option<Timestamp>,
    pub created_by: Option<String>,
    pub last_edited_by: Option<String>,
    pub url: Option<String>,
    pub public_url: Option<String>,
    pub icon: Option<Opaque>,
    pub cover: Option<Opaque>,
    pub properties: Vec<PropertySchema>,
}

impl DataSource {
    /// The column with this id, however the id is encoded.
    pub fn property(&self, id: &PropertyId) -> Option<&PropertySchema> {
        self.properties.iter().find(|property| property.id == *id)
    }

    /// The database that holds it.
    pub fn database_id(&self) -> Option<&str> {
        match &self.parent {
            Some(Parent::Database(id)) => Some(id),
            _ => None,
        }
    }
}

impl WireObject for DataSource {
    const OBJECT: &'static str = "data_source";
}

/// A container of data sources. It has no columns of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    pub id: String,
    pub title: RichText,
    pub description: RichText,
    pub parent: Option<Parent>,
    pub in_trash: bool,
    pub is_inline: bool,
    pub is_locked: bool,
    pub created_time: Option<Timestamp>,
    pub last_edited_time: Option<Timestamp>,
    pub url: Option<String>,
    pub public_url: Option<String>,
    pub icon: Option<Opaque>,
    pub cover: Option<Opaque>,
    pub data_sources: Vec<DataSourceRef>,
}

/// A data source as its database lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DataSourceRef {
    pub id: String,
    pub name: Option<String>,
}

impl WireObject for Database {
    const OBJECT: &'static str = "database";
}

/// The keys of both, as they may come.
#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    id: String,
    #[serde(default)]
    title: RichText,
    #[serde(default)]
    description: RichText,
    parent: Option<Parent>,
    database_parent: Option<Parent>,
    in_trash: Option<bool>,
    archived: Option<bool>,
    is_inline: Option<bool>,
    is_locked: Option<bool>,
    created_time: Option<Timestamp>,
    last_edited_time: Option<Timestamp>,
    created_by: Option<Reference>,
    last_edited_by: Option<Reference>,
    url: Option<String>,
    public_url: Option<String>,
    icon: Option<Opaque>,
    cover: Option<Opaque>,
    properties: Option<Schema>,
    data_sources: Option<Vec<DataSourceRef>>,
}

impl<'de> Deserialize<'de> for DataSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seen = Seen::deserialize(deserializer)?;
        let properties = match seen.properties {
            Some(schema) if seen.object.0 == Self::OBJECT => schema.0,
            _ => return Err(serde::de::Error::custom("expected a data source")),
        };
        Ok(Self {
            id: seen.id,
            title: seen.title,
            description: seen.description,
            parent: seen.parent,
            database_parent: seen.database_parent,
            in_trash: seen.in_trash.or(seen.archived).unwrap_or(false),
            is_inline: seen.is_inline.unwrap_or(false),
            created_time: seen.created_time,
            last_edited_time: seen.last_edited_time,
            created_by: seen.created_by.map(|user| user.id),
            last_edited_by: seen.last_edited_by.map(|user| user.id),
            url: seen.url,
            public_url: seen.public_url,
            icon: seen.icon,
            cover: seen.cover,
            properties,
        })
    }
}

impl<'de> Deserialize<'de> for Database {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seen = Seen::deserialize(deserializer)?;
        let data_sources = match seen.data_sources {
            Some(list) if seen.object.0 == Self::OBJECT => list,
            _ => return Err(serde::de::Error::custom("expected a database")),
        };
        Ok(Self {
            id: seen.id,
            title: seen.title,
            description: seen.description,
            parent: seen.parent,
            in_trash: seen.in_trash.or(seen.archived).unwrap_or(false),
            is_inline: seen.is_inline.unwrap_or(false),
            is_locked: seen.is_locked.unwrap_or(false),
            created_time: seen.created_time,
            last_edited_time: seen.last_edited_time,
            url: seen.url,
            public_url: seen.public_url,
            icon: seen.icon,
            cover: seen.cover,
            data_sources,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_lists_its_data_sources() {
        let database: Database = serde_json::from_str(
            r#"{"object":"database","id":"db","title":[],"description":[],"parent":{"type":"page_id","page_id":"p"},"is_inline":true,
               "in_trash":false,"is_locked":true,"created_time":"2026-07-04T09:08:53.017+00:00","last_edited_time":"2026-07-04T09:08:53.017+00:00",
               "data_sources":[{"id":"a","name":"A"},{"id":"b","name":null}],"icon":null,"cover":null,"url":"https://x.example/","public_url":null}"#,
        )
        .unwrap();
        assert_eq!(database.data_sources.len(), 2);
        assert!(database.is_inline && database.is_locked && !database.in_trash);
        assert_eq!(database.created_time.unwrap().as_millisecond() % 1000, 17);
    }

    #[test]
    fn a_data_source_knows_its_database() {
        let source: DataSource = serde_json::from_str(
            r#"{"object":"data_source","id":"ds","title":[{"plain_text":"T"}],"parent":{"type":"database_id","database_id":"db"},
               "properties":{"Name":{"id":"title","name":"Name","type":"title","title":{}}}}"#,
        )
        .unwrap();
        assert_eq!((source.database_id(), source.title.plain_text().as_str()), (Some("db"), "T"));
        assert_eq!(source.property(&PropertyId::title()).unwrap().name, "Name");
    }

    #[test]
    fn one_is_not_the_other() {
        let schemaless = r#"{"object":"data_source","id":"ds","title":[]}"#;
        assert!(serde_json::from_str::<DataSource>(schemaless).is_err());
        assert!(serde_json::from_str::<Database>(r#"{"object":"page","id":"p","data_sources":[]}"#).is_err());
    }
}
