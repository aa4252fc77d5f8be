//! Values of every kind to try expressions with, before any row is read.

use pagerow_core::{
    mapping::ColumnKind,
    number::Number,
    value::{Moment, Range, Value},
};

use crate::postgres::table::BesideColumn;

/// Some values that a column can hold; nothing comes last. `words` are texts that it is likely to hold.
pub(in crate::setup) fn of_column(kind: &ColumnKind, words: &[String]) -> Vec<Value> {
    let mut samples = match kind {
        ColumnKind::Text { .. } => texts(words),
        ColumnKind::Choice { labels } => labels.iter().map(|label| Value::Text(label.clone())).collect(),
        ColumnKind::Integer { .. } => numbers(&["2", "0", "1", "3", "10", "100"]),
        ColumnKind::Numeric { scale: Some(0), .. } => numbers(&["2", "0", "1", "1000"]),
        ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => {
            numbers(&["12.5", "2", "0", "0.25"])
        }
        ColumnKind::Bool => vec![Value::Bool(true), Value::Bool(false)],
        ColumnKind::Day => moments().iter().map(|(day, _)| Value::Day(*day)).collect(),
        ColumnKind::Instant => moments().iter().map(|(_, at)| Value::Instant(*at)).collect(),
        ColumnKind::DayRange => ranges(|(day, _)| Moment::Day(day)),
        ColumnKind::InstantRange => ranges(|(_, at)| Moment::Instant(at)),
        ColumnKind::Json => {
            vec![
                Value::json(&serde_json::json!({ "name": "word", "number": 2 })),
                Value::json(&serde_json::json!([])),
            ]
        }
        ColumnKind::List(inner) => {
            let items = of_column(inner, words);
            vec![Value::List(items.iter().filter(|item| !item.is_null()).take(2).cloned().collect())]
        }
        ColumnKind::Scalar { name } if name == "uuid" => {
            vec![Value::Text("0b4a3d4e-6f0c-4c6e-9d3b-0a1b2c3d4e5f".to_owned())]
        }
        ColumnKind::Scalar { .. } | ColumnKind::Reference { .. } | ColumnKind::References { .. } => {
            texts(words)
        }
    };
    samples.push(Value::Null);
    samples
}

/// Some values that a property shows; nothing comes last.
pub(in crate::setup) fn of_property(kind: &str, options: &[String], words: &[String]) -> Vec<Value> {
    let mut samples = match kind {
        "number" => numbers(&["2", "12.5", "0"]),
        "checkbox" => vec![Value::Bool(true), Value::Bool(false)],
        "date" => {
            let both = moments();
            both.iter().flat_map(|(day, at)| [Value::Day(*day), Value::Instant(*at)]).collect()
        }
        "created_time" | "last_edited_time" => moments().iter().map(|(_, at)| Value::Instant(*at)).collect(),
        "select" | "status" => texts(options).into_iter().chain(texts(words)).collect(),
        "multi_select" => vec![Value::set(texts(options).into_iter().take(2))],
        _ => texts(words),
    };
    samples.push(Value::Null);
    samples
}

/// The kind of column that would hold a value.
pub(in crate::setup) fn kind_of(value: &Value) -> Option<ColumnKind> {
    Some(match value {
        Value::Null | Value::Opaque(_) => return None,
        Value::Number(_) => ColumnKind::Numeric { precision: None, scale: None },
        Value::Bool(_) => ColumnKind::Bool,
        Value::Day(_) => ColumnKind::Day,
        Value::Instant(_) => ColumnKind::Instant,
        Value::Range(range) => match range.start.or(range.end) {
            Some(Moment::Day(_)) => ColumnKind::DayRange,
            Some(Moment::Instant(_)) | None => ColumnKind::InstantRange,
        },
        Value::List(items) => {
            let inner = items.iter().find_map(kind_of).unwrap_or(ColumnKind::Text { max: None });
            ColumnKind::List(Box::new(inner))
        }
        Value::Json(_) => ColumnKind::Json,
        Value::Text(_)
        | Value::Markdown(_)
        | Value::Set(_)
        | Value::Ref(_)
        | Value::File(_)
        | Value::Person(_) => ColumnKind::Text { max: None },
    })
}

/// Whether some column holds what samples cannot stand for, so that their failing proves nothing.
pub(in crate::setup) fn is_free(own: Option<&ColumnKind>, beside: &[BesideColumn]) -> bool {
    let free = |kind: &ColumnKind| match kind {
        ColumnKind::List(inner) => matches!(**inner, ColumnKind::Text { .. } | ColumnKind::Scalar { .. }),
        kind => matches!(kind, ColumnKind::Text { .. } | ColumnKind::Json | ColumnKind::Scalar { .. }),
    };
    own.is_some_and(free) || beside.iter().any(|column| free(&column.holds))
}

fn texts(words: &[String]) -> Vec<Value> {
    let usual = ["word", "two words", "2", ""].map(str::to_owned);
    words.iter().chain(usual.iter()).map(|word| Value::Text(word.clone())).collect()
}

fn numbers(texts: &[&str]) -> Vec<Value> {
    texts.iter().filter_map(|text| Number::parse(text).ok()).map(Value::Number).collect()
}

fn moments() -> Vec<(jiff::civil::Date, jiff::Timestamp)> {
    let days = [jiff::civil::date(2026, 2, 11), jiff::civil::date(1999, 12, 31)];
    days.iter()
        .filter_map(|day| {
            let noon = day.at(12, 30, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some((*day, noon.timestamp()))
        })
        .collect()
}

fn ranges(moment: impl Fn((jiff::civil::Date, jiff::Timestamp)) -> Moment) -> Vec<Value> {
    let moments = moments();
    let at = |place: usize| moments.get(place).map(|both| moment(*both));
    vec![Value::Range(Box::new(Range { start: at(1), end: at(0) }))]
}
