//! Notion's dates as days, points in time and ranges, and back.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use pagerow_core::{
    mapping::ColumnKind,
    value::{Moment, Range, Value},
};
use serde_json::{Value as Json, json};

use crate::notion::wire::DateValue;

/// What a date means for this column; `None` when it is no date that we can read.
///
/// Where the column holds points in time, a day stands for its midnight in `zone`. A time without offset is meant
/// in the date's own zone, and in UTC when it names none.
pub(super) fn read(date: &DateValue, holds: &ColumnKind, zone: &TimeZone) -> Option<Value> {
    let own_zone = match &date.time_zone {
        Some(name) => Some(TimeZone::get(name).ok()?),
        None => None,
    };
    let as_instant = matches!(holds, ColumnKind::Instant | ColumnKind::InstantRange);
    let moment = |text: &str| {
        let moment = moment(text, own_zone.as_ref())?;
        match moment {
            Moment::Day(day) if as_instant => midnight(day, zone).map(Moment::Instant),
            other => Some(other),
        }
    };
    let start = moment(&date.start)?;
    let end = match &date.end {
        Some(end) => moment(end)?,
        None => start,
    };
    Some(if start == end { single(start) } else { range(start, end) })
}

/// The moment a text names: `2026-02-11`, `2026-02-22T09:00:00.000+09:00`, or a time without offset.
fn moment(text: &str, own_zone: Option<&TimeZone>) -> Option<Moment> {
    if text.len() == 10 {
        return text.parse().ok().map(Moment::Day);
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Moment::Instant(instant));
    }
    let civil: DateTime = text.parse().ok()?;
    let zone = own_zone.unwrap_or(const { &TimeZone::UTC });
    // A local time that a zone skips or has twice is read as everybody's calendar does: the offset before.
    zone.to_ambiguous_zoned(civil).compatible().ok().map(|zoned| Moment::Instant(zoned.timestamp()))
}

fn midnight(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    day.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

fn single(moment: Moment) -> Value {
    match moment {
        Moment::Day(day) => Value::Day(day),
        Moment::Instant(instant) => Value::Instant(instant),
    }
}

fn range(start: Moment, end: Moment) -> Value {
    Value::Range(Box::new(Range { start: Some(start), end: Some(end) }))
}

/// The `date` object for a value; `None` when the value is no date, or a range with an open end.
pub(super) fn write(value: &Value, zone: &TimeZone) -> Option<Json> {
    let (start, end) = match value {
        Value::Day(day) => (Moment::Day(*day), None),
        Value::Instant(instant) => (Moment::Instant(*instant), None),
        Value::Range(range) => (range.start?, Some(range.end?)),
        _ => return None,
    };
    let mut date = json!({ "start": text(start, zone) });
    if let Some(end) = end {
        date["end"] = text(end, zone).into();
    }
    Some(date)
}

/// A moment as people in `zone` write it, with its offset.
fn text(moment: Moment, zone: &TimeZone) -> String {
    match moment {
        Moment::Day(day) => day.to_string(),
        Moment::Instant(instant) => {
            let zoned = instant.to_zoned(zone.clone());
            let offset = zoned.offset().seconds();
            // Offsets of old days have seconds, and a local year may leave four digits: UTC says the same time.
            let plain = offset != 0 && offset % 60 == 0 && (1..=9999).contains(&zoned.year());
            if plain {
                zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
            } else {
                instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(start: &str, end: Option<&str>, time_zone: Option<&str>) -> DateValue {
        DateValue { start: start.into(), end: end.map(Into::into), time_zone: time_zone.map(Into::into) }
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn instant(text: &str) -> Value {
        Value::Instant(text.parse().unwrap())
    }

    fn read_as(holds: &ColumnKind, date: &DateValue, home: &str) -> Option<Value> {
        read(date, holds, &zone(home))
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        let day = ColumnKind::Day;
        let at = ColumnKind::Instant;
        let case = |holds: &ColumnKind, start: &str, tz: Option<&str>| {
            read_as(holds, &date(start, None, tz), "Europe/Berlin").unwrap()
        };
        assert_eq!(case(&day, "2026-02-11", None), Value::Day("2026-02-11".parse().unwrap()));
        assert_eq!(case(&at, "2026-02-11", None), instant("2026-02-10T23:00:00Z"), "midnight at home");
        assert_eq!(
            case(&at, "2026-02-22T09:00:00.000+09:00", None),
            instant("2026-02-22T00:00:00Z"),
            "an offset says it all"
        );
        assert_eq!(case(&at, "2026-02-22T09:00:00.000", None), instant("2026-02-22T09:00:00Z"), "else UTC");
        assert_eq!(
            case(&at, "2026-07-22T09:00:00.000", Some("America/New_York")),
            instant("2026-07-22T13:00:00Z"),
            "or the zone it names"
        );
        assert_eq!(
            case(&at, "2026-03-29T02:30:00", Some("Europe/Berlin")),
            instant("2026-03-29T01:30:00Z"),
            "an hour that does not exist"
        );
        for broken in ["2026/02/11", "", "tomorrow", "2026-13-01", "2026-02-11T25:00"] {
            assert_eq!(read_as(&day, &date(broken, None, None), "UTC"), None, "{broken}");
        }
        assert_eq!(read_as(&at, &date("2026-02-22T09:00", None, Some("Mars/Base")), "UTC"), None);
    }

    #[test]
    fn ranges_with_equal_ends_are_one_moment() {
        let day = |text: &str| Moment::Day(text.parse().unwrap());
        let whole = read_as(&ColumnKind::DayRange, &date("2026-02-11", Some("2026-02-13"), None), "UTC");
        assert_eq!(whole, Some(range(day("2026-02-11"), day("2026-02-13"))));
        let same = read_as(&ColumnKind::DayRange, &date("2026-02-11", Some("2026-02-11"), None), "UTC");
        assert_eq!(same, Some(Value::Day("2026-02-11".parse().unwrap())));
    }

    #[test]
    fn times_are_written_with_the_offset_of_their_zone() {
        let start = |value: &Value, home: &str| write(value, &zone(home)).unwrap()["start"].clone();
        let summer = instant("2026-07-01T22:30:00Z");
        assert_eq!(start(&summer, "UTC"), "2026-07-01T22:30:00Z");
        assert_eq!(start(&summer, "Europe/Berlin"), "2026-07-02T00:30:00+02:00");
        assert_eq!(start(&instant("2026-01-01T22:30:00Z"), "America/St_Johns"), "2026-01-01T19:00:00-03:30");
        assert_eq!(start(&instant("1850-01-01T00:00:00Z"), "Europe/Berlin"), "1850-01-01T00:00:00Z");
        assert_eq!(start(&instant("0001-01-02T00:00:00Z"), "UTC"), "0001-01-02T00:00:00Z");
        assert_eq!(start(&instant("9999-12-30T21:59:00Z"), "Asia/Tokyo"), "9999-12-31T06:59:00+09:00");
        assert_eq!(write(&Value::Bool(true), &TimeZone::UTC), None);
        let open = Value::Range(Box::new(Range { start: None, end: None }));
        assert_eq!(write(&open, &TimeZone::UTC), None);
    }
}
