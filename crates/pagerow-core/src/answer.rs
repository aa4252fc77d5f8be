//! What a person says to what is contested of one record: the planner's third input, beside the pair and the rules.

use std::collections::BTreeMap;

use crate::{
    fidelity::{self, Fidelity, Reason},
    mapping::{ColumnKind, Field},
    plan::Action,
    record::RowKey,
    side::{Side, Sides},
    value::{Ref, Value},
};

/// The answers to one record's conflicts. None at all is the ordinary case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// By field. An answer to a field that is not contested changes nothing.
    pub fields: BTreeMap<usize, Take>,
    /// To a deletion about which the mapping asks.
    pub whole: Option<Whole>,
    /// The deletion was seen now for the first time: no removal follows from it yet.
    pub waits: bool,
}

/// What becomes of a contested field.
#[derive(Clone, Debug, PartialEq)]
pub enum Take {
    /// This side's value goes to the other.
    Keep(Side),
    /// Another value, in the column's form: see [`typed`].
    Value(Value),
    /// Both stay as they are, held apart until somebody edits one of them.
    Leave,
}

/// What becomes of a record of which one half was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The state of this side wins, be it there or gone. `removal` is what is done to a row whose page stays deleted.
    Keep { side: Side, removal: Action },
    /// One half stays deleted and the other stays, until somebody edits it.
    Leave,
}

/// Makes a typed-in text a value of the field's column, which the property can hold as well.
///
/// An empty text is nothing, but in a text column. References are row keys; several are separated by commas.
///
/// # Errors
/// Why the column or the property cannot hold it.
pub fn typed(text: &str, field: &Field) -> Result<Value, Reason> {
    let given = match &field.holds {
        ColumnKind::Text { .. } => Value::Text(text.to_owned()),
        _ if text.is_empty() => Value::Null,
        ColumnKind::Reference { .. } => row(text),
        ColumnKind::References { .. } => Value::set(text.split(',').map(str::trim).map(row)),
        _ => Value::Text(text.to_owned()),
    };
    let value = match fidelity::in_postgres(&given, field) {
        Fidelity::Stored(value) => value,
        Fidelity::Unstorable(reason) => return Err(reason),
    };
    match fidelity::in_notion(&value, field) {
        Fidelity::Stored(_) => Ok(value),
        Fidelity::Unstorable(reason) => Err(reason),
    }
}

impl Take {
    /// A typed-in value that one side holds already is that side's.
    #[must_use]
    pub fn of_value(value: Value, now: Sides<&Value>, field: &Field) -> Self {
        if value == *now.postgres {
            return Self::Keep(Side::Postgres);
        }
        match fidelity::in_postgres(now.notion, field) {
            Fidelity::Stored(form) if form == value => Self::Keep(Side::Notion),
            Fidelity::Stored(_) | Fidelity::Unstorable(_) => Self::Value(value),
        }
    }
}

fn row(key: &str) -> Value {
    Value::Ref(Ref::Row(RowKey::from(key)))
}
