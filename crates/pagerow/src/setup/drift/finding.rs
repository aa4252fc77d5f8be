//! A drift in words, and what would mend it.

use pagerow_core::side::Side;
use serde::{Deserialize, Serialize};

/// Something that does not flow for now, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub mapping: String,
    /// The field's column; `None` when the whole mapping pauses.
    pub column: Option<String>,
    /// A stable word: `property_removed`, `column_retyped`, `not_shared`, …
    pub code: String,
    /// A sentence without its end.
    pub reason: String,
    /// What would let it go on.
    pub advice: String,
    /// Where the cause lies, so that the other half can still be looked at.
    #[serde(skip)]
    pub(in crate::setup) side: Option<Side>,
    /// Whether `schema apply` can take what is there now in place of what was bound.
    #[serde(skip)]
    pub(in crate::setup) replaceable: bool,
}

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column} is paused: {}", self.mapping, self.reason),
            None => write!(f, "{} is paused: {}", self.mapping, self.reason),
        }
    }
}

/// A name that moved and was followed; the configuration still has the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub mapping: String,
    /// The whole key of the setting.
    pub key: String,
    /// A sentence without its end.
    pub found: String,
    /// What would bring the configuration up to date.
    pub edit: ConfigEdit,
}

/// A change of the configuration's file in one mapping's section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "setting", rename_all = "snake_case")]
pub enum ConfigEdit {
    Table {
        from: String,
        to: String,
    },
    /// A field's key, and the column wherever else the section names it.
    Column {
        from: String,
        to: String,
    },
    Property {
        column: String,
        from: String,
        to: String,
    },
    KeyProperty {
        from: String,
        to: String,
    },
    /// One of `[mapping.X.stamp]`, or the mapping's `backup`.
    Stamp {
        name: String,
        from: String,
        to: String,
    },
    /// A column value's option.
    Value {
        column: String,
        value: String,
        from: String,
        to: String,
    },
}

impl std::fmt::Display for ConfigEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table { from, to } => write!(f, "table = \"{to}\" in place of \"{from}\""),
            Self::Column { from, to } => write!(f, "the column {to} in place of {from}"),
            Self::Property { column, from, to } => {
                write!(f, "{column} = \"{to}\" in place of \"{from}\"")
            }
            Self::KeyProperty { from, to } => {
                write!(f, "key_property = \"{to}\" in place of \"{from}\"")
            }
            Self::Stamp { name, from, to } if name == "backup" => {
                write!(f, "backup = \"{to}\" in place of \"{from}\"")
            }
            Self::Stamp { name, from, to } => {
                write!(f, "stamp.{name} = \"{to}\" in place of \"{from}\"")
            }
            Self::Value { column, value, to, .. } => {
                write!(f, "the value {value} of {column} shown as \"{to}\"")
            }
        }
    }
}
