//! Values on their way into the language and out of it, without losing a digit.

use std::{cmp::Ordering, fmt, sync::Arc};

use minijinja::value::{DynObject, Object, ObjectRepr, Value as Cell, ValueKind};

use super::{RESULT_ITEMS, RESULT_UNITS};
use crate::{
    number::Number,
    value::{Moment, Value},
};

/// Digits that a double keeps of every decimal.
const DOUBLE_DIGITS: i64 = 15;

/// A value that the language has no form for: it can be passed on, asked for its parts, compared with its like and
/// written out.
#[derive(Clone, Debug)]
pub(super) struct Whole(pub(super) Value);

impl Object for Whole {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Cell) -> Option<Cell> {
        let key = key.as_str()?;
        let number = |number: i64| Some(Cell::from(number));
        let moment = |moment: Option<Moment>| {
            Some(match moment {
                Some(Moment::Day(day)) => cell(&Value::Day(day)),
                Some(Moment::Instant(at)) => cell(&Value::Instant(at)),
                None => Cell::from(()),
            })
        };
        let text = |text: Option<&str>| Some(text.map_or(Cell::from(()), Cell::from));
        match (&self.0, key) {
            (Value::Day(day), "year") => number(day.year().into()),
            (Value::Day(day), "month") => number(day.month().into()),
            (Value::Day(day), "day") => number(day.day().into()),
            (Value::Range(range), "start") => moment(range.start),
            (Value::Range(range), "end") => moment(range.end),
            (Value::File(file), "url") => text(Some(&file.url)),
            (Value::File(file), "name") => text(Some(&file.name)),
            (Value::Person(person), "email") => text(person.email.as_deref()),
            (Value::Json(json), key) => {
                let json: serde_json::Value = serde_json::from_str(json).ok()?;
                json.get(key).map(json_cell)
            }
            _ => None,
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(match (&self.0, &other.0) {
            (Value::Number(one), Value::Number(other)) => super::decimal::compare(one, other),
            (one, other) => one.cmp(other),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.plain() {
            serde_json::Value::String(text) => f.write_str(&text),
            other => write!(f, "{other}"),
        }
    }
}

/// Whether a number has more digits than a double keeps, and is neither a whole number of the language.
pub(super) fn is_long(number: &Number) -> bool {
    let whole = number.is_whole() && number.as_str().parse::<i128>().is_ok();
    let digits = number.reach().map_or(0, |(highest, lowest)| highest - lowest);
    !whole && (digits > DOUBLE_DIGITS || number.as_double().is_none())
}

/// A value as the language sees it.
pub(super) fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::from(()),
        Value::Text(text) | Value::Markdown(text) => Cell::from(text.as_str()),
        Value::Number(number) => number_cell(number),
        Value::Bool(bool) => Cell::from(*bool),
        Value::List(items) => items.iter().map(cell).collect(),
        Value::Set(items) => items.iter().map(cell).collect(),
        Value::Day(_)
        | Value::Instant(_)
        | Value::Range(_)
        | Value::Ref(_)
        | Value::File(_)
        | Value::Person(_)
        | Value::Json(_)
        | Value::Opaque(_) => Cell::from_object(Whole(value.clone())),
    }
}

/// A whole number as such, a short fraction as a double, everything else as it is.
pub(super) fn number_cell(number: &Number) -> Cell {
    match (number.as_str().parse::<i64>(), number.as_str().parse::<i128>()) {
        (Ok(whole), _) => Cell::from(whole),
        (Err(_), Ok(whole)) => Cell::from(whole),
        (Err(_), Err(_)) => match number.as_double().filter(|_| !is_long(number)) {
            Some(double) => Cell::from(double),
            None => Cell::from_object(Whole(Value::Number(number.clone()))),
        },
    }
}

fn json_cell(json: &serde_json::Value) -> Cell {
    match json {
        serde_json::Value::Null => Cell::from(()),
        serde_json::Value::Bool(bool) => Cell::from(*bool),
        serde_json::Value::String(text) => Cell::from(text.as_str()),
        serde_json::Value::Number(number) => {
            Number::parse(&number.to_string()).map_or(Cell::from(()), |number| number_cell(&number))
        }
        serde_json::Value::Array(items) => items.iter().map(json_cell).collect(),
        serde_json::Value::Object(_) => Cell::from_object(Whole(Value::json(json))),
    }
}

/// What came out, as the core's value.
///
/// # Errors
/// Half a sentence without content.
pub(super) fn value(cell: &Cell) -> Result<Value, String> {
    if let Some(Whole(value)) = cell.downcast_object_ref::<Whole>() {
        return Ok(value.clone());
    }
    match cell.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(cell.is_true())),
        ValueKind::Number => number(cell).map(Value::Number),
        ValueKind::String => {
            let text = cell.as_str().unwrap_or_default();
            if text.encode_utf16().count() > RESULT_UNITS {
                return Err("the text that it makes is too long".to_owned());
            }
            Ok(Value::Text(text.to_owned()))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = cell.try_iter().map_err(|_| "the list that it makes cannot be read".to_owned())?;
            let mut list = Vec::new();
            for item in items {
                if list.len() == RESULT_ITEMS {
                    return Err("the list that it makes is too long".to_owned());
                }
                list.push(value(&item)?);
            }
            Ok(Value::List(list))
        }
        ValueKind::Undefined => {
            Err("it makes nothing; end it with `else none` where that is meant".to_owned())
        }
        _ => Err("it makes something that is no value".to_owned()),
    }
}

/// A number of the language. What was computed with doubles has the digits that a double keeps.
///
/// # Errors
/// It is no finite number.
pub(super) fn number(cell: &Cell) -> Result<Number, String> {
    if let Some(Whole(Value::Number(number))) = cell.downcast_object_ref::<Whole>() {
        return Ok(number.clone());
    }
    if cell.is_integer() {
        let whole = i128::try_from(cell.clone()).map_err(|_| "a whole number is too large".to_owned())?;
        return Number::parse(&whole.to_string()).map_err(|_| "a number cannot be read".to_owned());
    }
    let double = f64::try_from(cell.clone()).map_err(|_| "a number is needed there".to_owned())?;
    if !double.is_finite() {
        return Err("the number that it makes is not finite".to_owned());
    }
    // One digit before the point, fourteen behind it.
    Number::parse(&format!("{double:.14e}")).map_err(|_| "a number cannot be read".to_owned())
}
