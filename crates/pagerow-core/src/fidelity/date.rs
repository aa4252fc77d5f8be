//! Days, points in time and ranges: days stay days, Notion keeps minutes.

use super::{Reason, mismatch, text};
use crate::value::{Moment, Range, Value};

/// What a date property makes of a value.
pub(super) fn property(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Day(day) => cut(Moment::Day(*day)).map(moment_value),
        Value::Instant(instant) => cut(Moment::Instant(*instant)).map(moment_value),
        Value::Range(range) => {
            let (Some(start), Some(end)) = (range.start, range.end) else {
                return Err(Reason::new("open_range", "a date property cannot hold a range without an end"));
            };
            let (start, end) = (cut(start)?, cut(end)?);
            in_order(range)?;
            if start == end {
                return Ok(moment_value(start));
            }
            Ok(Value::Range(Box::new(Range { start: Some(start), end: Some(end) })))
        }
        Value::Text(text) => match (parse_moment(text), parse_range(text)) {
            (Some(moment), _) => cut(moment).map(moment_value),
            (None, Some(range)) => property(&Value::Range(Box::new(range))),
            (None, None) => Err(mismatch(value, "a date")),
        },
        // `infinity`, years before 1 or beyond 9999, an empty range.
        Value::Opaque(_) => Err(out_of_reach()),
        other => Err(mismatch(other, "a date")),
    }
}

/// Notion takes no range that ends before it starts, and none from a day to a point in time.
fn in_order(range: &Range) -> Result<(), Reason> {
    match (range.start, range.end) {
        (Some(Moment::Day(_)), Some(Moment::Instant(_)))
        | (Some(Moment::Instant(_)), Some(Moment::Day(_))) => {
            Err(Reason::new("mixed_range", "one end of the range has a time and the other has none"))
        }
        (Some(start), Some(end)) if end < start => {
            Err(Reason::new("ends_before_start", "the range ends before it starts"))
        }
        _ => Ok(()),
    }
}

fn out_of_reach() -> Reason {
    Reason::limited("date_range", "a date property has no form for this date", "years 1 to 9999")
}

/// Notion keeps minutes, and years of four digits.
fn cut(moment: Moment) -> Result<Moment, Reason> {
    match moment {
        Moment::Day(day) if day.year() < 1 => Err(out_of_reach()),
        Moment::Day(_) => Ok(moment),
        Moment::Instant(instant) => {
            let seconds = instant.as_second().div_euclid(60) * 60;
            let minute = jiff::Timestamp::from_second(seconds).map_err(|_| out_of_reach())?;
            if minute < FIRST_INSTANT {
                return Err(out_of_reach());
            }
            Ok(Moment::Instant(minute))
        }
    }
}

/// 0001-01-02T00:00Z: the first instant whose year has four digits in every zone.
const FIRST_INSTANT: jiff::Timestamp = jiff::Timestamp::constant(-62_135_510_400, 0);

/// What a column of days makes of a value.
pub(super) fn day(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Day(_) => Ok(value.clone()),
        Value::Text(text) => match parse_moment(text) {
            Some(Moment::Day(day)) => Ok(Value::Day(day)),
            _ => Err(mismatch(value, "a day")),
        },
        Value::Instant(_) => {
            Err(Reason::new("time_of_day", "the column holds days, and the date has a time"))
        }
        Value::Range(_) => Err(Reason::new("range", "the column holds one day, and the date has an end")),
        Value::Opaque(opaque) => Err(text::unreadable(opaque)),
        other => Err(mismatch(other, "a day")),
    }
}

/// What a column of points in time makes of a value.
pub(super) fn instant(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Instant(_) => Ok(value.clone()),
        Value::Text(text) => match parse_moment(text) {
            Some(Moment::Instant(instant)) => Ok(Value::Instant(instant)),
            _ => Err(mismatch(value, "a point in time")),
        },
        Value::Range(_) => Err(Reason::new("range", "the column holds one time, and the date has an end")),
        Value::Opaque(opaque) => Err(text::unreadable(opaque)),
        other => Err(mismatch(other, "a point in time")),
    }
}

/// What a column of ranges makes of a value; `fits` says which ends it takes.
pub(super) fn range(value: &Value, fits: fn(&Moment) -> bool, what: &str) -> Result<Value, Reason> {
    let range = match value {
        Value::Day(day) => Range { start: Some(Moment::Day(*day)), end: Some(Moment::Day(*day)) },
        Value::Instant(at) => Range { start: Some(Moment::Instant(*at)), end: Some(Moment::Instant(*at)) },
        Value::Range(range) => (**range).clone(),
        Value::Text(text) => parse_range(text).ok_or_else(|| mismatch(value, what))?,
        Value::Opaque(opaque) => return Err(text::unreadable(opaque)),
        other => return Err(mismatch(other, what)),
    };
    in_order(&range)?;
    if range.start.iter().chain(&range.end).all(fits) {
        return Ok(Value::Range(Box::new(range)));
    }
    Err(mismatch(value, what))
}

/// A range with the ends of `current` where these are the same to the minute, so that what Notion cut off an end
/// that nobody touched stays.
pub(super) fn with_seconds_of(range: &Range, current: &Range) -> Range {
    let end = |new: Option<Moment>, old: Option<Moment>| match (new, old) {
        (Some(new), Some(old)) if cut(old).ok() == Some(new) => Some(old),
        _ => new,
    };
    let kept = Range { start: end(range.start, current.start), end: end(range.end, current.end) };
    if in_order(&kept).is_ok() { kept } else { range.clone() }
}

fn parse_moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::Instant(instant));
    }
    // A civil time without an offset is neither a day nor an instant.
    (text.len() == 10).then(|| text.parse().ok().map(Moment::Day)).flatten()
}

/// A range as [`super::text::text_of`] writes it: `2026-01-01/2026-01-31`, with nothing where an end is open.
fn parse_range(text: &str) -> Option<Range> {
    let (start, end) = text.trim().split_once('/')?;
    let end_of = |text: &str| if text.is_empty() { Some(None) } else { parse_moment(text).map(Some) };
    let range = Range { start: end_of(start)?, end: end_of(end)? };
    (range.start.is_some() || range.end.is_some()).then_some(range)
}

fn moment_value(moment: Moment) -> Value {
    match moment {
        Moment::Day(day) => Value::Day(day),
        Moment::Instant(instant) => Value::Instant(instant),
    }
}
