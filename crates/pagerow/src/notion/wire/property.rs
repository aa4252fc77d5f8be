//! One property of a page: every kind of value that Notion documents, and those it has not invented yet.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::number::Number;
use super::opaque::Opaque;
use super::property_id::PropertyId;
use super::rich_text::RichText;
use super::tagged::Tagged;
use super::user::User;

/// So many entries of a title, text, relation, people or rollup value are shown inside a page.
pub const INLINE_LIMIT: usize = 25;

/// One property of a page. `id` is stable, `name` is a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub name: String,
    pub id: PropertyId,
    pub value: PropertyValue,
}

/// A value as read. Lists are in Notion's order.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyValue {
    Title(RichText),
    RichText(RichText),
    Number(Option<Number>),
    Select(Option<SelectOption>),
    MultiSelect(Vec<SelectOption>),
    Status(Option<SelectOption>),
    Date(Option<DateValue>),
    People(Vec<User>),
    Files(Vec<FileValue>),
    Checkbox(bool),
    Url(Option<String>),
    Email(Option<String>),
    PhoneNumber(Option<String>),
    /// Page ids. With `has_more` these are only the first.
    Relation {
        ids: Vec<String>,
        has_more: bool,
    },
    Formula(Formula),
    Rollup(Rollup),
    CreatedTime(Timestamp),
    CreatedBy(User),
    LastEditedTime(Timestamp),
    LastEditedBy(User),
    UniqueId(UniqueId),
    Verification(Option<Verification>),
    Button,
    Place(Option<Opaque>),
    /// The property was named but its value not shown. Not the same as empty.
    NotShown,
    /// A kind we do not know, or a known kind in a shape we do not know.
    Unknown {
        kind: String,
        raw: Opaque,
    },
}

/// An option of a select, multi-select or status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SelectOption {
    pub id: String,
    pub name: String,
    pub color: Option<String>,
    pub description: Option<String>,
}

/// A date, date with time, or range, in ISO 8601 as Notion wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DateValue {
    pub start: String,
    pub end: Option<String>,
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileValue {
    pub name: Option<String>,
    pub location: FileLocation,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FileLocation {
    External {
        url: String,
    },
    /// Kept by Notion. The URL is signed and expires after about an hour.
    Hosted {
        url: String,
        expiry_time: Option<Timestamp>,
    },
    Upload {
        id: String,
    },
    Unknown {
        kind: String,
        raw: Opaque,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    String(Option<String>),
    Number(Option<Number>),
    Boolean(Option<bool>),
    Date(Option<DateValue>),
    /// Notion cannot compute it for the API.
    Unsupported,
    Unknown {
        kind: String,
        raw: Opaque,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    pub function: Option<String>,
    pub value: RollupValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RollupValue {
    Number(Option<Number>),
    Date(Option<DateValue>),
    Array(Vec<PropertyValue>),
    Incomplete,
    Unsupported,
    Unknown { kind: String, raw: Opaque },
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UniqueId {
    pub prefix: Option<String>,
    pub number: Option<Number>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Verification {
    /// `unverified`, `verified` or `expired` as far as is known.
    pub state: String,
    pub date: Option<DateValue>,
    pub verified_by: Option<User>,
}

impl PropertyValue {
    /// Notion's name of the kind; empty when the value was not shown.
    pub fn kind(&self) -> &str {
        match self {
            Self::Title(_) => "title",
            Self::RichText(_) => "rich_text",
            Self::Number(_) => "number",
            Self::Select(_) => "select",
            Self::MultiSelect(_) => "multi_select",
            Self::Status(_) => "status",
            Self::Date(_) => "date",
            Self::People(_) => "people",
            Self::Files(_) => "files",
            Self::Checkbox(_) => "checkbox",
            Self::Url(_) => "url",
            Self::Email(_) => "email",
            Self::PhoneNumber(_) => "phone_number",
            Self::Relation { .. } => "relation",
            Self::Formula(_) => "formula",
            Self::Rollup(_) => "rollup",
            Self::CreatedTime(_) => "created_time",
            Self::CreatedBy(_) => "created_by",
            Self::LastEditedTime(_) => "last_edited_time",
            Self::LastEditedBy(_) => "last_edited_by",
            Self::UniqueId(_) => "unique_id",
            Self::Verification(_) => "verification",
            Self::Button => "button",
            Self::Place(_) => "place",
            Self::NotShown => "",
            Self::Unknown { kind, .. } => kind,
        }
    }

    /// Whether the page may have shown only the first entries, so that the property must be fetched on its own
    /// before it is compared or written.
    pub fn may_be_cut(&self) -> bool {
        match self {
            Self::Title(text) | Self::RichText(text) => text.0.len() >= INLINE_LIMIT,
            Self::People(people) => people.len() >= INLINE_LIMIT,
            Self::Relation { ids, has_more } => *has_more || ids.len() >= INLINE_LIMIT,
            Self::Rollup(rollup) => match &rollup.value {
                RollupValue::Array(items) => items.len() >= INLINE_LIMIT,
                RollupValue::Incomplete => true,
                RollupValue::Number(_)
                | RollupValue::Date(_)
                | RollupValue::Unsupported
                | RollupValue::Unknown { .. } => false,
            },
            _ => false,
        }
    }

    pub(super) fn of(tagged: &Tagged<'_>) -> Self {
        let Some(kind) = tagged.kind.as_deref() else { return Self::NotShown };
        let known = match kind {
            "title" => tagged.read().map(Self::Title),
            "rich_text" => tagged.read().map(Self::RichText),
            "number" => tagged.read().map(Self::Number),
            "select" => tagged.read().map(Self::Select),
            "multi_select" => tagged.read().map(Self::MultiSelect),
            "status" => tagged.read().map(Self::Status),
            "date" => tagged.read().map(Self::Date),
            "people" => tagged.read().map(Self::People),
            "files" => tagged.read().map(Self::Files),
            "checkbox" => tagged.read().map(Self::Checkbox),
            "url" => tagged.read().map(Self::Url),
            "email" => tagged.read().map(Self::Email),
            "phone_number" => tagged.read().map(Self::PhoneNumber),
            "relation" => tagged.read().map(|references: Vec<Reference>| Self::Relation {
                ids: references.into_iter().map(|reference| reference.id).collect(),
                has_more: tagged.others.iter().any(|(key, raw)| key == "has_more" && raw.get() != "false"),
            }),
            "formula" => tagged.read().map(Self::Formula),
            "rollup" => tagged.read().map(Self::Rollup),
            "created_time" => tagged.read().map(Self::CreatedTime),
            "created_by" => tagged.read().map(Self::CreatedBy),
            "last_edited_time" => tagged.read().map(Self::LastEditedTime),
            "last_edited_by" => tagged.read().map(Self::LastEditedBy),
            "unique_id" => tagged.read().map(Self::UniqueId),
            "verification" => tagged.read().map(Self::Verification),
            "button" => tagged.payload.map(|_| Self::Button),
            "place" => tagged.read().map(Self::Place),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let (kind, raw) = unknown(tagged);
            Self::Unknown { kind, raw }
        })
    }
}

impl<'de> Deserialize<'de> for PropertyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Tagged::deserialize(deserializer)?))
    }
}

#[derive(Deserialize)]
pub(super) struct Reference {
    pub(super) id: String,
}

impl<'de> Deserialize<'de> for FileValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Link {
            url: String,
            expiry_time: Option<Timestamp>,
        }
        let tagged = Tagged::deserialize(deserializer)?;
        let known = match tagged.kind.as_deref() {
            Some("external") => tagged.read().map(|link: Link| FileLocation::External { url: link.url }),
            Some("file") => tagged
                .read()
                .map(|link: Link| FileLocation::Hosted { url: link.url, expiry_time: link.expiry_time }),
            Some("file_upload") => {
                tagged.read().map(|upload: Reference| FileLocation::Upload { id: upload.id })
            }
            _ => None,
        };
        let location = known.unwrap_or_else(|| {
            let (kind, raw) = unknown(&tagged);
            FileLocation::Unknown { kind, raw }
        });
        Ok(Self { name: tagged.name.map(Into::into), location })
    }
}

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        let known = match tagged.kind.as_deref() {
            Some("string") => tagged.read().map(Self::String),
            Some("number") => tagged.read().map(Self::Number),
            Some("boolean") => tagged.read().map(Self::Boolean),
            Some("date") => tagged.read().map(Self::Date),
            Some("unsupported") => Some(Self::Unsupported),
            Some(_) => None,
            None => return Err(serde::de::Error::custom("expected a type")),
        };
        Ok(known.unwrap_or_else(|| {
            let (kind, raw) = unknown(&tagged);
            Self::Unknown { kind, raw }
        }))
    }
}

impl<'de> Deserialize<'de> for Rollup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        let known = match tagged.kind.as_deref() {
            Some("number") => tagged.read().map(RollupValue::Number),
            Some("date") => tagged.read().map(RollupValue::Date),
            Some("array") => tagged.read().map(RollupValue::Array),
            Some("incomplete") => Some(RollupValue::Incomplete),
            Some("unsupported") => Some(RollupValue::Unsupported),
            Some(_) => None,
            None => return Err(serde::de::Error::custom("expected a type")),
        };
        let value = known.unwrap_or_else(|| {
            let (kind, raw) = unknown(&tagged);
            RollupValue::Unknown { kind, raw }
        });
        Ok(Self { function: tagged.other("function"), value })
    }
}

/// The kind and payload of something we cannot interpret.
pub(super) fn unknown(tagged: &Tagged<'_>) -> (String, Opaque) {
    let kind = tagged.kind.as_deref().unwrap_or_default().to_owned();
    (kind, tagged.payload.map_or_else(Opaque::null, Opaque::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> PropertyValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_new_kind_stays_opaque() {
        let PropertyValue::Unknown { kind, raw } =
            value(r#"{"id":"x","type":"brand_new","brand_new":{"a":[1]}}"#)
        else {
            panic!("not opaque")
        };
        assert_eq!((kind.as_str(), raw.as_json()), ("brand_new", r#"{"a":[1]}"#));
    }

    #[test]
    fn a_known_kind_in_a_new_shape_stays_opaque() {
        let odd = value(r#"{"id":"x","type":"number","number":"12"}"#);
        assert!(matches!(&odd, PropertyValue::Unknown { kind, .. } if kind == "number"), "{odd:?}");
    }

    #[test]
    fn not_shown_is_not_empty() {
        assert_eq!(value(r#"{"id":"x"}"#), PropertyValue::NotShown);
        assert_eq!(value(r#"{"id":"x","type":"number","number":null}"#), PropertyValue::Number(None));
    }

    #[test]
    fn a_relation_says_whether_it_is_whole() {
        let json = r#"{"id":"r","type":"relation","relation":[{"id":"p"}],"has_more":true}"#;
        assert!(value(json).may_be_cut());
        assert!(!value(&json.replace("true", "false")).may_be_cut());
        let full = format!(
            r#"{{"type":"relation","has_more":false,"relation":[{}]}}"#,
            [r#"{"id":"p"}"#; 25].join(",")
        );
        assert!(value(&full).may_be_cut(), "25 entries may be a cut list");
    }

    #[test]
    fn computed_values_are_read() {
        assert_eq!(
            value(r#"{"type":"formula","formula":{"type":"unsupported","unsupported":{}}}"#),
            PropertyValue::Formula(Formula::Unsupported)
        );
        let PropertyValue::Rollup(rollup) = value(
            r#"{"type":"rollup","rollup":{"type":"array","array":[{"type":"title","title":[]},{"type":"new","new":1}],"function":"show_original"}}"#,
        ) else {
            panic!("not a rollup")
        };
        assert_eq!(rollup.function.as_deref(), Some("show_original"));
        let RollupValue::Array(items) = rollup.value else { panic!("not an array") };
        assert_eq!(items[0], PropertyValue::Title(RichText::default()));
        assert_eq!(items[1].kind(), "new");
    }

    #[test]
    fn files_of_every_kind_are_read() {
        let PropertyValue::Files(files) = value(
            r#"{"type":"files","files":[{"name":"a","type":"external","external":{"url":"https://x.example/a"}},
               {"name":"b","type":"file","file":{"url":"https://s.example/b?sig","expiry_time":"2024-12-12T11:08:09.657Z"}},
               {"name":"c","type":"hologram","hologram":{"x":1}}]}"#,
        ) else {
            panic!("not files")
        };
        assert!(matches!(&files[0].location, FileLocation::External { url } if url == "https://x.example/a"));
        assert!(matches!(&files[1].location, FileLocation::Hosted { expiry_time: Some(_), .. }));
        assert!(matches!(&files[2].location, FileLocation::Unknown { kind, .. } if kind == "hologram"));
    }
}
