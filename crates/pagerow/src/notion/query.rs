//! What to ask of a data source: filter, order, page and properties.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::wire::PropertyId;

/// One page of a query. `Query::default()` asks for the first 100 rows with all their properties.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Query {
    /// Notion's filter grammar: at most two levels, at most 100 conditions each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sorts: Vec<Sort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_cursor: Option<String>,
    /// 1 to 100; `None` is 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u8>,
    /// Only archived rows, which no other query shows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_archived: bool,
    /// The properties to show, at most 100; none means all.
    #[serde(skip)]
    pub filter_properties: Vec<PropertyId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    CreatedTime(Direction),
    LastEditedTime(Direction),
    Property(PropertyId, Direction),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Ascending,
    Descending,
}

impl Serialize for Sort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let direction = match self {
            Self::CreatedTime(direction) => {
                map.serialize_entry("timestamp", "created_time")?;
                direction
            }
            Self::LastEditedTime(direction) => {
                map.serialize_entry("timestamp", "last_edited_time")?;
                direction
            }
            Self::Property(id, direction) => {
                map.serialize_entry("property", id)?;
                direction
            }
        };
        map.serialize_entry("direction", direction)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_is_sent() {
        assert_eq!(serde_json::to_string(&Query::default()).unwrap(), "{}");
        let query = Query {
            sorts: vec![
                Sort::CreatedTime(Direction::Ascending),
                Sort::Property(PropertyId::new("%3Ca"), Direction::Descending),
            ],
            page_size: Some(50),
            filter_properties: vec![PropertyId::title()],
            ..Query::default()
        };
        assert_eq!(
            serde_json::to_string(&query).unwrap(),
            r#"{"sorts":[{"timestamp":"created_time","direction":"ascending"},{"property":"%3Ca","direction":"descending"}],"page_size":50}"#
        );
    }
}
