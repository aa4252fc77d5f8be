//! Relations, foreign keys and join tables.

use std::collections::BTreeSet;

use super::{Reason, counted, mismatch};
use crate::value::Value;

/// What a relation makes of a value.
pub(super) fn property(value: &Value, single: bool) -> Result<Value, Reason> {
    let refs: BTreeSet<Value> = match value {
        Value::Null => BTreeSet::new(),
        Value::Ref(_) => BTreeSet::from([value.clone()]),
        Value::Set(refs) if refs.iter().all(|r| matches!(r, Value::Ref(_))) => refs.clone(),
        other => return Err(mismatch(other, "a relation")),
    };
    counted(refs.len())?;
    if single && refs.len() > 1 {
        return Err(Reason::limited("too_many", "the relation holds one page", 1));
    }
    Ok(if refs.is_empty() { Value::Null } else { Value::Set(refs) })
}

/// What a foreign key makes of a value.
pub(super) fn one(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Ref(_) => Ok(value.clone()),
        Value::Set(refs) if refs.len() == 1 => match refs.first() {
            Some(only @ Value::Ref(_)) => Ok(only.clone()),
            _ => Err(mismatch(value, "a reference")),
        },
        Value::Set(refs) => Err(Reason::limited(
            "too_many",
            format!("the relation names {} pages, and a foreign key holds one row", refs.len()),
            1,
        )),
        other => Err(mismatch(other, "a reference")),
    }
}

/// What a join table makes of a value.
pub(super) fn many(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Ref(_) => Ok(Value::set([value.clone()])),
        Value::Set(refs) if refs.iter().all(|r| matches!(r, Value::Ref(_))) => Ok(value.clone()),
        other => Err(mismatch(other, "references")),
    }
}
