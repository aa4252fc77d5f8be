//! What a column makes of a value, kind by kind.

use super::{
    Reason, date, mismatch, number, options, references,
    text::{joined_text, no_nul, no_nul_escape, split_list},
};
use crate::{
    mapping::{ColumnKind, Field},
    value::{Moment, Value},
};

pub(super) fn null(field: &Field) -> Result<Value, Reason> {
    nothing(&field.holds, field.required)
}

pub(super) fn nothing(kind: &ColumnKind, required: bool) -> Result<Value, Reason> {
    match kind {
        // Notion's empty checkbox is `false`, its empty text is no text: a column that refuses NULL takes these.
        ColumnKind::Text { .. } if required => Ok(Value::Text(String::new())),
        ColumnKind::List(_) if required => Ok(Value::List(Vec::new())),
        _ if required => Err(Reason::new("not_null", "the column may not be NULL")),
        _ => Ok(Value::Null),
    }
}

pub(super) fn store(value: &Value, kind: &ColumnKind) -> Result<Value, Reason> {
    match kind {
        ColumnKind::Text { max } => {
            let text = joined_text(value)?;
            no_nul(&text)?;
            match max {
                Some(max) if text.chars().count() > *max as usize => Err(Reason::limited(
                    "too_long",
                    format!("the text has {} characters", text.chars().count()),
                    format!("{max} characters"),
                )),
                _ => Ok(Value::Text(text)),
            }
        }
        ColumnKind::Scalar { .. } => {
            let text = joined_text(value)?;
            no_nul(&text)?;
            Ok(Value::Text(text))
        }
        ColumnKind::Choice { labels } => options::choice(&joined_text(value)?, labels),
        ColumnKind::Integer { min, max } => number::integer(value, *min, *max),
        ColumnKind::Numeric { precision, scale } => number::numeric(value, *precision, *scale),
        ColumnKind::Real => number::real(value),
        ColumnKind::Double => number::double(value),
        ColumnKind::Bool => {
            number::boolean(value).map(Value::Bool).ok_or_else(|| mismatch(value, "a boolean"))
        }
        ColumnKind::Day => date::day(value),
        ColumnKind::Instant => date::instant(value),
        ColumnKind::DayRange => date::range(value, |m| matches!(m, Moment::Day(_)), "a range of days"),
        ColumnKind::InstantRange => {
            date::range(value, |m| matches!(m, Moment::Instant(_)), "a range of times")
        }
        ColumnKind::Json => json(value),
        ColumnKind::List(inner) => list(value, inner),
        ColumnKind::Reference { .. } => references::one(value),
        ColumnKind::References { .. } => references::many(value),
    }
}

fn json(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Json(_) => Ok(value.clone()),
        Value::Text(text) => match Value::json_text(text) {
            Some(Value::Json(json)) => {
                no_nul_escape(&json)?;
                Ok(Value::Json(json))
            }
            Some(_) | None => Err(Reason::new("not_json", "the text is not JSON")),
        },
        other => Err(mismatch(other, "JSON")),
    }
}

fn list(value: &Value, inner: &ColumnKind) -> Result<Value, Reason> {
    let items: Vec<Value> = match value {
        Value::List(items) => items.clone(),
        Value::Set(items) => items.iter().cloned().collect(),
        // A list in a text property is a JSON array there.
        Value::Text(text) => match serde_json::from_str::<Vec<Option<String>>>(text) {
            Ok(items) => items.into_iter().map(|item| item.map_or(Value::Null, Value::Text)).collect(),
            Err(_) => split_list(text).into_iter().map(Value::Text).collect(),
        },
        other => vec![other.clone()],
    };
    let stored: Vec<Value> = items
        .iter()
        .map(|item| if item.is_null() { Ok(Value::Null) } else { store(item, inner) })
        .collect::<Result<_, _>>()?;
    Ok(Value::List(stored))
}
