//! Numbers and booleans: a digit that would be lost is refused.

use super::{Reason, mismatch, text};
use crate::{mapping::ColumnKind, number::Number, value::Value};

/// What a number property makes of a value. It keeps doubles: a column of doubles is kept whole at any size, any
/// other one as far as every whole number is a double.
pub(super) fn property(value: &Value, holds: &ColumnKind) -> Result<Value, Reason> {
    let number = match value {
        Value::Null => return Ok(Value::Null),
        Value::Number(number) => number.clone(),
        Value::Bool(bool) => Number::from(i64::from(*bool)),
        Value::Text(text) => Number::parse(text.trim()).map_err(|_| mismatch(value, "a number"))?,
        Value::Opaque(opaque) if number_word(&opaque.text) => {
            return Err(Reason::new(
                "not_a_number",
                "NaN and the infinities have no form in a number property",
            ));
        }
        other => return Err(mismatch(other, "a number")),
    };
    let holds_doubles = match holds {
        ColumnKind::Real | ColumnKind::Double => true,
        ColumnKind::List(inner) => matches!(**inner, ColumnKind::Real | ColumnKind::Double),
        _ => false,
    };
    if number.as_exact_f64().is_some() || holds_doubles && number.as_double().is_some() {
        return Ok(Value::Number(number));
    }
    Err(Reason::limited(
        "inexact",
        "a number property would not keep every digit; map the column to text (as = \"rich_text\") to keep them",
        "whole numbers to 2^53, about 15 significant digits",
    ))
}

fn number_word(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// A whole number between two others.
pub(super) fn integer(value: &Value, min: i64, max: i64) -> Result<Value, Reason> {
    let number = number_of(value).ok_or_else(|| no_number(value, "a whole number"))?;
    match number.as_str().parse::<i64>() {
        Ok(whole) if (min..=max).contains(&whole) => Ok(Value::Number(number)),
        Err(_) if !number.is_whole() => {
            Err(Reason::new("fraction", "the column holds whole numbers, this one has a fraction"))
        }
        _ => Err(Reason::limited("out_of_range", "the number is too large", format!("{min} to {max}"))),
    }
}

pub(super) fn numeric(value: &Value, precision: Option<u32>, scale: Option<i32>) -> Result<Value, Reason> {
    let number = number_of(value).ok_or_else(|| no_number(value, "a number"))?;
    // The scale may be negative (whole thousands) or beyond the precision (small fractions only).
    let scale = i64::from(scale.unwrap_or(if precision.is_some() { 0 } else { i32::MAX }));
    let fits = number.reach().is_none_or(|(highest, lowest)| {
        -lowest <= scale && precision.is_none_or(|p| highest <= i64::from(p) - scale)
    });
    if fits {
        return Ok(Value::Number(number));
    }
    Err(Reason::limited(
        "out_of_range",
        "the column would round the number, or cannot hold it",
        format!("numeric({}, {scale})", precision.unwrap_or(0)),
    ))
}

pub(super) fn real(value: &Value) -> Result<Value, Reason> {
    let number = number_of(value).ok_or_else(|| no_number(value, "a number"))?;
    #[expect(clippy::cast_possible_truncation, reason = "the loss is what is being tested")]
    let single = number.to_f64() as f32;
    if Number::from_f32(single).as_ref() == Some(&number) {
        return Ok(Value::Number(number));
    }
    Err(Reason::limited("inexact", "the column would round the number", "about 6 significant digits"))
}

pub(super) fn double(value: &Value) -> Result<Value, Reason> {
    let number = number_of(value).ok_or_else(|| no_number(value, "a number"))?;
    if number.as_double().is_some() {
        return Ok(Value::Number(number));
    }
    Err(Reason::limited("inexact", "the column would round the number", "about 15 significant digits"))
}

fn no_number(value: &Value, what: &str) -> Reason {
    match value {
        Value::Opaque(opaque) => text::unreadable(opaque),
        other => mismatch(other, what),
    }
}

fn number_of(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::Bool(bool) => Some(Number::from(i64::from(*bool))),
        Value::Text(text) => Number::parse(text.trim()).ok(),
        _ => None,
    }
}

pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(bool) => Some(*bool),
        Value::Number(number) if number.as_str() == "1" => Some(true),
        Value::Number(number) if number.as_str() == "0" => Some(false),
        Value::Text(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
