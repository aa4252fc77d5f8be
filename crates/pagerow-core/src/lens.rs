//! What stands between a column and its property: the expressions of a field, and on which side they are evaluated.
//!
//! A field whose row is shown through `to_notion` has the expression's result as the row's value, wherever rows are
//! read: bases, changes and conflicts are about that. What the page holds goes back through `from_notion` when the row
//! is written. A field with `from_notion` alone flows to Postgres only, and the page's value is the expression's
//! result.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    expression::{Expression, Inputs},
    fidelity::{Reason, in_column},
    mapping::ColumnKind,
    side::Side,
    value::Value,
};

/// The expressions of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lens {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_notion: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_notion: Option<Expression>,
    /// What the column itself holds; `None` where no column stands behind the field.
    pub column: Option<ColumnKind>,
    /// Whether the column itself refuses `NULL`.
    pub required: bool,
    /// What `from_notion` filled stays as it is until the expression gives nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
}

/// By which kind a value is known that is no value: an expression failed.
const FAILED: &str = "expression";

impl Lens {
    /// On which side's values the expressions are evaluated when they are read.
    #[must_use]
    pub fn side(&self) -> Side {
        if self.to_notion.is_some() { Side::Postgres } else { Side::Notion }
    }

    /// What a row shows of its column's value. A failure is a value too, which fits nowhere and says why.
    #[must_use]
    pub fn of_row<'v>(
        &self,
        value: &Value,
        row: &dyn Fn(&str) -> Option<&'v Value>,
        zone: &TimeZone,
    ) -> Value {
        let Some(expression) = &self.to_notion else { return value.clone() };
        shown(expression.evaluate(Inputs { value, around: row, edited: None, zone }))
    }

    /// What a page shows of its property's value, where the field only flows to Postgres.
    #[must_use]
    pub fn of_page<'v>(
        &self,
        value: &Value,
        page: &dyn Fn(&str) -> Option<&'v Value>,
        edited: Timestamp,
        zone: &TimeZone,
    ) -> Value {
        let Some(expression) = self.from_notion.as_ref().filter(|_| self.to_notion.is_none()) else {
            return value.clone();
        };
        shown(expression.evaluate(Inputs { value, around: page, edited: Some(edited), zone }))
    }

    /// What the column takes for a value that the row is to show.
    ///
    /// # Errors
    /// The expression fails, or the column cannot hold its result.
    pub fn to_column(&self, value: &Value, zone: &TimeZone) -> Result<Value, Reason> {
        let (Some(expression), Some(_)) = (&self.from_notion, &self.to_notion) else {
            return Ok(value.clone());
        };
        let made = expression.evaluate(Inputs { value, around: &|_| None, edited: None, zone })?;
        in_column(&made, self.column.as_ref().unwrap_or(&ColumnKind::Text { max: None }), self.required)
    }

    /// Whether a column's value comes back when what the row shows of it is written back: only then may an edit in
    /// Notion go over it, since the history keeps what the row showed.
    #[must_use]
    pub fn brings_back(&self, column: &Value, shows: &Value, zone: &TimeZone) -> bool {
        self.to_column(shows, zone).is_ok_and(|back| back == *column)
    }
}

/// Why an expression failed, where a value stands for its failure.
#[must_use]
pub fn failure(value: &Value) -> Option<Reason> {
    match value {
        Value::Opaque(opaque) if opaque.kind == FAILED => Some(Reason::new(FAILED, opaque.text.as_str())),
        _ => None,
    }
}

fn shown(made: Result<Value, Reason>) -> Value {
    made.unwrap_or_else(|reason| Value::opaque(FAILED, reason.text))
}
