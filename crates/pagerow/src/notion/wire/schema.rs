//! The schema of a data source: its properties by id, with what may be written to each.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::opaque::Opaque;
use super::property::{SelectOption, unknown};
use super::property_id::PropertyId;
use super::tagged::Tagged;

/// One column of a data source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySchema {
    pub id: PropertyId,
    pub name: String,
    pub description: Option<String>,
    pub config: PropertyConfig,
}

/// A property's type with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyConfig {
    Title,
    RichText,
    /// `format` changes the display only, never the value.
    Number {
        format: Option<String>,
    },
    Select {
        options: Vec<SelectOption>,
    },
    MultiSelect {
        options: Vec<SelectOption>,
    },
    Status {
        options: Vec<SelectOption>,
        groups: Vec<StatusGroup>,
    },
    Date,
    People,
    Files,
    Checkbox,
    Url,
    Email,
    PhoneNumber,
    /// `dual` names the mirror property on the other side, if there is one.
    Relation {
        data_source_id: Option<String>,
        database_id: Option<String>,
        dual: Option<DualProperty>,
    },
    Formula {
        expression: Option<String>,
    },
    Rollup {
        function: Option<String>,
        relation_property_id: Option<PropertyId>,
        rollup_property_id: Option<PropertyId>,
    },
    UniqueId {
        prefix: Option<String>,
    },
    CreatedTime,
    CreatedBy,
    LastEditedTime,
    LastEditedBy,
    Button,
    Verification,
    Place,
    Unknown {
        kind: String,
        raw: Opaque,
    },
}

/// A group of status options: To-do, In progress or Complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusGroup {
    pub id: String,
    pub name: String,
    pub color: Option<String>,
    #[serde(default)]
    pub option_ids: Vec<String>,
}

/// The property on the other side of a two-way relation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DualProperty {
    pub synced_property_id: Option<PropertyId>,
    pub synced_property_name: Option<String>,
}

impl PropertyConfig {
    /// Notion's name of the type.
    pub fn kind(&self) -> &str {
        match self {
            Self::Title => "title",
            Self::RichText => "rich_text",
            Self::Number { .. } => "number",
            Self::Select { .. } => "select",
            Self::MultiSelect { .. } => "multi_select",
            Self::Status { .. } => "status",
            Self::Date => "date",
            Self::People => "people",
            Self::Files => "files",
            Self::Checkbox => "checkbox",
            Self::Url => "url",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::Relation { .. } => "relation",
            Self::Formula { .. } => "formula",
            Self::Rollup { .. } => "rollup",
            Self::UniqueId { .. } => "unique_id",
            Self::CreatedTime => "created_time",
            Self::CreatedBy => "created_by",
            Self::LastEditedTime => "last_edited_time",
            Self::LastEditedBy => "last_edited_by",
            Self::Button => "button",
            Self::Verification => "verification",
            Self::Place => "place",
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// The options of a select, multi-select or status; empty for every other type.
    pub fn options(&self) -> &[SelectOption] {
        match self {
            Self::Select { options } | Self::MultiSelect { options } | Self::Status { options, .. } => {
                options
            }
            _ => &[],
        }
    }

    fn of(tagged: &Tagged<'_>) -> Self {
        let known = match tagged.kind.as_deref().unwrap_or_default() {
            "title" => Some(Self::Title),
            "rich_text" => Some(Self::RichText),
            "number" => tagged.read().map(|number: NumberConfig| Self::Number { format: number.format }),
            "select" => tagged.read().map(|select: Options| Self::Select { options: select.options }),
            "multi_select" => {
                tagged.read().map(|select: Options| Self::MultiSelect { options: select.options })
            }
            "status" => tagged
                .read()
                .map(|status: Options| Self::Status { options: status.options, groups: status.groups }),
            "date" => Some(Self::Date),
            "people" => Some(Self::People),
            "files" => Some(Self::Files),
            "checkbox" => Some(Self::Checkbox),
            "url" => Some(Self::Url),
            "email" => Some(Self::Email),
            "phone_number" => Some(Self::PhoneNumber),
            "relation" => tagged.read().map(|relation: RelationConfig| Self::Relation {
                data_source_id: relation.data_source_id,
                database_id: relation.database_id,
                dual: relation.dual_property,
            }),
            "formula" => {
                tagged.read().map(|formula: FormulaConfig| Self::Formula { expression: formula.expression })
            }
            "rollup" => tagged.read().map(|rollup: RollupConfig| Self::Rollup {
                function: rollup.function,
                relation_property_id: rollup.relation_property_id,
                rollup_property_id: rollup.rollup_property_id,
            }),
            "unique_id" => {
                tagged.read().map(|unique: UniqueIdConfig| Self::UniqueId { prefix: unique.prefix })
            }
            "created_time" => Some(Self::CreatedTime),
            "created_by" => Some(Self::CreatedBy),
            "last_edited_time" => Some(Self::LastEditedTime),
            "last_edited_by" => Some(Self::LastEditedBy),
            "button" => Some(Self::Button),
            "verification" => Some(Self::Verification),
            "place" => Some(Self::Place),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let (kind, raw) = unknown(tagged);
            Self::Unknown { kind, raw }
        })
    }
}

#[derive(Deserialize)]
struct NumberConfig {
    format: Option<String>,
}

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    options: Vec<SelectOption>,
    #[serde(default)]
    groups: Vec<StatusGroup>,
}

#[derive(Deserialize)]
struct RelationConfig {
    data_source_id: Option<String>,
    database_id: Option<String>,
    dual_property: Option<DualProperty>,
}

#[derive(Deserialize)]
struct FormulaConfig {
    expression: Option<String>,
}

#[derive(Deserialize)]
struct RollupConfig {
    function: Option<String>,
    relation_property_id: Option<PropertyId>,
    rollup_property_id: Option<PropertyId>,
}

#[derive(Deserialize)]
struct UniqueIdConfig {
    prefix: Option<String>,
}

/// The `properties` object of a data source, in the order of the answer (which is not the order in the app).
pub(super) struct Schema(pub(super) Vec<PropertySchema>);

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SchemaVisitor;
        impl<'de> Visitor<'de> for SchemaVisitor {
            type Value = Schema;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of property types")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut properties = Vec::new();
                while let Some((name, tagged)) = map.next_entry::<String, Tagged<'de>>()? {
                    properties.push(PropertySchema {
                        name,
                        description: tagged.other("description"),
                        config: PropertyConfig::of(&tagged),
                        id: PropertyId::new(tagged.id.map(Cow::into_owned).unwrap_or_default()),
                    });
                }
                Ok(Schema(properties))
            }
        }
        deserializer.deserialize_map(SchemaVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(json: &str) -> Vec<PropertySchema> {
        serde_json::from_str::<Schema>(json).unwrap().0
    }

    #[test]
    fn options_groups_and_targets_are_read() {
        let columns = schema(
            r#"{"Stage":{"id":"a%3D","name":"Stage","description":"How far","type":"status","status":{
                 "options":[{"id":"1","name":"Open","color":"red","description":null}],
                 "groups":[{"id":"g","name":"To-do","color":"gray","option_ids":["1"]}]}},
               "Owner":{"id":"b","name":"Owner","type":"relation","relation":{"database_id":"db","data_source_id":"ds",
                 "type":"dual_property","dual_property":{"synced_property_name":"Back","synced_property_id":"c"}}},
               "Ref":{"id":"d","name":"Ref","type":"unique_id","unique_id":{"prefix":"RFQ"}}}"#,
        );
        assert_eq!(columns[0].id, PropertyId::new("a="));
        assert_eq!(columns[0].description.as_deref(), Some("How far"));
        let PropertyConfig::Status { options, groups } = &columns[0].config else { panic!("no status") };
        assert_eq!((options[0].name.as_str(), groups[0].option_ids[0].as_str()), ("Open", "1"));
        let PropertyConfig::Relation { data_source_id, dual, .. } = &columns[1].config else {
            panic!("no relation")
        };
        assert_eq!(data_source_id.as_deref(), Some("ds"));
        assert_eq!(dual.as_ref().unwrap().synced_property_name.as_deref(), Some("Back"));
        assert_eq!(columns[2].config, PropertyConfig::UniqueId { prefix: Some("RFQ".into()) });
    }

    #[test]
    fn new_types_are_kept() {
        let columns = schema(r#"{"X":{"id":"x","name":"X","type":"hologram","hologram":{"depth":3}}}"#);
        assert_eq!(columns[0].config.kind(), "hologram");
        assert!(
            matches!(&columns[0].config, PropertyConfig::Unknown { raw, .. } if raw.as_json() == r#"{"depth":3}"#)
        );
    }
}
