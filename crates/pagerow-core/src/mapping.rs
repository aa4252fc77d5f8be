//! Which column is which property, what each can hold, and who may write what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, lens::Lens, side::Side, value::Person};

/// One table with one data source, and its fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mapping {
    pub name: String,
    /// In a fixed order: a [`crate::record::Record`] is read by place.
    pub fields: Vec<Field>,
    pub direction: Flow,
    pub on_conflict: Policy,
    pub on_row_deleted: OnRowDeleted,
    pub on_page_trashed: OnPageTrashed,
    /// Places of the fields that together name a record for people; used for the first match.
    pub match_on: Vec<usize>,
    /// Where the key of a row comes from that is born as a page.
    pub key: KeySource,
    /// Whether pages carry the row's key in a property.
    pub key_property: bool,
}

/// One column with one property.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Field {
    /// The column's name, or the configuration's word for what stands in its place.
    pub column: String,
    /// The property's name, for people.
    pub property: String,
    /// The property's id, as Notion gives it; the name may change, this does not.
    pub property_id: String,
    pub holds: ColumnKind,
    pub shows: PropertyKind,
    /// Whether the column refuses `NULL`.
    pub required: bool,
    /// What may flow: the configuration's wish, cut down to what both sides can do.
    pub flow: Flow,
    /// Who wins when both changed; the mapping's policy when nobody is named.
    pub wins: Option<Side>,
    /// Column text → option name, for select, status and multi-select.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The expressions between column and property; `holds` is then what they make of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<Box<Lens>>,
}

/// Which way changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    Both,
    ToNotion,
    ToPostgres,
    /// Neither way for now: a side has lost its half of the field, or has another in its place. The field is not read,
    /// not written and not settled, and its bases stay as they are until it is whole again.
    Paused,
}

impl Flow {
    /// Whether changes may arrive at this side.
    #[must_use]
    pub fn reaches(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::ToNotion => side == Side::Notion,
            Self::ToPostgres => side == Side::Postgres,
            Self::Paused => false,
        }
    }

    /// What both allow; `None` when they exclude each other.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Paused, _) | (_, Self::Paused) => Some(Self::Paused),
            (Self::Both, flow) | (flow, Self::Both) => Some(flow),
            (a, b) => (a == b).then_some(a),
        }
    }
}

/// Who wins a field that both sides changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// A person decides.
    Manual,
    /// The later edit; Postgres where Notion's minute steps cannot tell.
    LastWriteWins,
    PreferPostgres,
    PreferNotion,
}

/// What becomes of a page whose row was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRowDeleted {
    Trash,
    Keep,
    Ask,
}

/// What becomes of a row whose page was put in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPageTrashed {
    Ask,
    SoftDelete,
    Delete,
    Restore,
    Keep,
}

/// Where the key of a new row comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A default, an identity or a trigger makes it.
    Generated,
    /// These fields are the key's columns.
    Fields(Vec<usize>),
    /// Only the page's key property can say it.
    KeyProperty,
}

/// What a column can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text, of at most so many characters.
    Text {
        max: Option<u32>,
    },
    /// An enum: one of these labels.
    Choice {
        labels: Vec<String>,
    },
    /// A whole number in these bounds.
    Integer {
        min: i64,
        max: i64,
    },
    /// An exact number; with digits in all and digits behind the point where the type says them.
    Numeric {
        precision: Option<u32>,
        scale: Option<i32>,
    },
    Real,
    Double,
    Bool,
    Day,
    /// `timestamptz`, or `timestamp` read in the mapping's zone. Both keep microseconds.
    Instant,
    DayRange,
    InstantRange,
    Json,
    /// An array of elements.
    List(Box<ColumnKind>),
    /// A foreign key to the row of another mapping.
    Reference {
        mapping: String,
    },
    /// Rows of another mapping through a join table.
    References {
        mapping: String,
    },
    /// Any other scalar in Postgres's text form, by the type's name.
    Scalar {
        name: String,
    },
}

/// What a property can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyKind {
    Title,
    /// Text; the column holds its words.
    RichText,
    /// Text; the column holds it as Markdown, formatting and all.
    Markdown,
    Number,
    Select(Options),
    MultiSelect(Options),
    Status(Options),
    Date,
    /// People, by e-mail address; `known` are those whom the connection can see.
    People {
        known: Vec<Person>,
    },
    Files,
    Checkbox,
    Url,
    Email,
    Phone,
    /// Pages of another mapping; at most one when `single`.
    Relation {
        mapping: String,
        single: bool,
    },
    /// The page's body, as Markdown.
    Body,
    /// Computed or not understood: formula, rollup, created and edited times and people, unique id,
    /// verification, button, and kinds of a later day. By Notion's name.
    ReadOnly(String),
}

/// The options of a select, multi-select or status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    pub names: Vec<String>,
    /// Whether writing may make new ones.
    pub may_grow: bool,
    /// Whether the order of a multi-select's options is a part of its value, where the column has an order too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
}

impl PropertyKind {
    /// Notion's word for the kind of property.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Title => "title",
            Self::RichText | Self::Markdown => "rich_text",
            Self::Number => "number",
            Self::Select(_) => "select",
            Self::MultiSelect(_) => "multi_select",
            Self::Status(_) => "status",
            Self::Date => "date",
            Self::People { .. } => "people",
            Self::Files => "files",
            Self::Checkbox => "checkbox",
            Self::Url => "url",
            Self::Email => "email",
            Self::Phone => "phone_number",
            Self::Relation { .. } => "relation",
            Self::Body => "body",
            Self::ReadOnly(name) => name,
        }
    }
}

impl Field {
    /// Whether a multi-select's order is a part of the value: the mapping says so, and the column has an order.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        matches!((&self.shows, &self.holds), (PropertyKind::MultiSelect(options), ColumnKind::List(_)) if options.ordered)
    }

    /// A name for what the field is: a value of the history fits it as long as this is the same.
    #[must_use]
    pub fn shape(&self) -> Digest {
        let shape = (&self.column, &self.property_id, self.shows.name(), &self.holds);
        // Plain structs of strings and enums always serialise.
        let mut text = serde_json::to_string(&shape).unwrap_or_default();
        // What another expression made of the same column is another value.
        if let Some(lens) = &self.lens {
            text.push_str(&serde_json::to_string(lens).unwrap_or_default());
        }
        Digest::of(text.as_bytes())
    }

    /// Whether the field neither flows nor is looked at for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.flow == Flow::Paused
    }

    /// The mapping to whose records the field refers.
    #[must_use]
    pub fn related(&self) -> Option<&str> {
        if let PropertyKind::Relation { mapping, .. } = &self.shows {
            return Some(mapping);
        }
        match &self.holds {
            ColumnKind::Reference { mapping } | ColumnKind::References { mapping } => Some(mapping),
            _ => None,
        }
    }
}

impl Mapping {
    /// A name for what is mapped to what and how. Options, labels of people and the like may grow without a plan
    /// going stale; a field, a type or a rule may not.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|f| {
                (&f.column, &f.property_id, f.shows.name(), &f.holds, f.flow, f.wins, &f.labels, &f.lens)
            })
            .collect();
        let rules = (
            &self.name,
            self.direction,
            self.on_conflict,
            self.on_row_deleted,
            self.on_page_trashed,
            &self.match_on,
            self.key_property,
        );
        Digest::of_json(&(fields, rules))
    }

    /// Fields that neither flow nor are looked at for now.
    pub fn paused(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_paused())
    }

    /// A name for what the fields can hold at all, options, known people and limits included: what could not be
    /// written under another shape may be possible now.
    #[must_use]
    pub fn shape(&self) -> Digest {
        Digest::of_json(&self.fields)
    }

    /// The place of a field by its column.
    #[must_use]
    pub fn field(&self, column: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.column == column)
    }
}
