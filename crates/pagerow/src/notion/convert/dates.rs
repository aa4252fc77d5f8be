//! Notion's dates as days, points in time and ranges, and back.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
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
///
/// Points in time are written with the offset that `zone` has then. Where one end of the range that the property
/// shows now stays, that end is written as it is, and the other one beside it in the same offset or zone.
pub(super) fn write(value: &Value, zone: &TimeZone, shown: Option<&DateValue>) -> Option<Json> {
    let (start, end) = match value {
        Value::Day(day) => (Moment::Day(*day), None),
        Value::Instant(instant) => (Moment::Instant(*instant), None),
        Value::Range(range) => (range.start?, Some(range.end?)),
        _ => return None,
    };
    if let Some(shown) = shown
        && let Some(end) = end
        && let Some(beside) = beside(start, end, shown)
    {
        return Some(beside);
    }
    let mut date = json!({ "start": text(start, zone) });
    if let Some(end) = end {
        date["end"] = text(end, zone).into();
    }
    Some(date)
}

/// A range of which one end is shown already.
fn beside(start: Moment, end: Moment, shown: &DateValue) -> Option<Json> {
    let shown_end = shown.end.as_deref()?;
    if let Some(name) = &shown.time_zone {
        // Then the times have no offsets of their own.
        let zone = TimeZone::get(name).ok()?;
        let local = |moment: Moment| match moment {
            Moment::Day(_) => None,
            Moment::Instant(at) => {
                let zoned = at.to_zoned(zone.clone());
                // A time that the zone has twice would not say which of them is meant.
                let is_clear = zone.to_ambiguous_zoned(zoned.datetime()).unambiguous().is_ok();
                is_clear.then(|| zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            }
        };
        return Some(json!({ "start": local(start)?, "end": local(end)?, "time_zone": name }));
    }
    let stays = |text: &str, new: Moment| moment(text, None) == Some(new);
    let (kept, offset) = match (stays(&shown.start, start), stays(shown_end, end)) {
        (true, false) => ((Some(shown.start.as_str()), None), offset_of(&shown.start)?),
        (false, true) => ((None, Some(shown_end)), offset_of(shown_end)?),
        (true, true) | (false, false) => return None,
    };
    let zone = TimeZone::fixed(offset);
    let end_of = |kept: Option<&str>, new: Moment| kept.map_or_else(|| text(new, &zone), str::to_owned);
    Some(json!({ "start": end_of(kept.0, start), "end": end_of(kept.1, end) }))
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

/// The offset with which a point in time is written.
fn offset_of(text: &str) -> Option<Offset> {
    if text.ends_with(['Z', 'z']) {
        return Some(Offset::UTC);
    }
    let (_, time) = text.split_once('T')?;
    let at = time.rfind(['+', '-'])?;
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(if time[at..].starts_with('-') { -seconds } else { seconds }).ok()
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
        let start = |value: &Value, home: &str| write(value, &zone(home), None).unwrap()["start"].clone();
        let summer = instant("2026-07-01T22:30:00Z");
        assert_eq!(start(&summer, "UTC"), "2026-07-01T22:30:00Z");
        assert_eq!(start(&summer, "Europe/Berlin"), "2026-07-02T00:30:00+02:00");
        assert_eq!(start(&instant("2026-01-01T22:30:00Z"), "America/St_Johns"), "2026-01-01T19:00:00-03:30");
        assert_eq!(start(&instant("1850-01-01T00:00:00Z"), "Europe/Berlin"), "1850-01-01T00:00:00Z");
        assert_eq!(start(&instant("0001-01-02T00:00:00Z"), "UTC"), "0001-01-02T00:00:00Z");
        assert_eq!(start(&instant("9999-12-30T21:59:00Z"), "Asia/Tokyo"), "9999-12-31T06:59:00+09:00");
        assert_eq!(write(&Value::Bool(true), &TimeZone::UTC, None), None);
        let open = Value::Range(Box::new(Range { start: None, end: None }));
        assert_eq!(write(&open, &TimeZone::UTC, None), None);
    }
    #[test]
    fn an_end_that_stays_keeps_its_offset() {
        let at = |text: &str| Some(Moment::Instant(text.parse().unwrap()));
        let range = |start: &str, end: &str| Value::Range(Box::new(Range { start: at(start), end: at(end) }));
        let tokyo = date("2026-02-22T09:00:00.000+09:00", Some("2026-02-22T10:00:00.000+09:00"), None);
        let written =
            |value: &Value, shown: &DateValue| write(value, &zone("Europe/Berlin"), Some(shown)).unwrap();
        assert_eq!(
            written(&range("2026-02-22T00:00:00Z", "2026-02-22T02:30:00Z"), &tokyo),
            json!({"start": "2026-02-22T09:00:00.000+09:00", "end": "2026-02-22T11:30:00+09:00"})
        );
        assert_eq!(
            written(&range("2026-02-21T23:00:00Z", "2026-02-22T01:00:00Z"), &tokyo),
            json!({"start": "2026-02-22T08:00:00+09:00", "end": "2026-02-22T10:00:00.000+09:00"})
        );
        assert_eq!(
            written(&range("2026-02-21T22:00:00Z", "2026-02-22T02:00:00Z"), &tokyo),
            json!({"start": "2026-02-21T23:00:00+01:00", "end": "2026-02-22T03:00:00+01:00"}),
            "nothing stays: the mapping's zone"
        );
        let named = date("2026-07-01T09:00:00", Some("2026-07-01T10:00:00"), Some("America/New_York"));
        assert_eq!(
            written(&range("2026-07-01T13:00:00Z", "2026-07-01T15:00:00Z"), &named),
            json!({"start": "2026-07-01T09:00:00", "end": "2026-07-01T11:00:00", "time_zone": "America/New_York"})
        );
        // An hour that New York has twice is written with its offset.
        let autumn =
            write(&range("2026-11-01T05:30:00Z", "2026-11-01T08:00:00Z"), &zone("UTC"), Some(&named));
        assert_eq!(autumn.unwrap()["start"], "2026-11-01T05:30:00Z");
        for (text, seconds) in [("2026-01-01T00:00:00-03:30", -12_600), ("2026-01-01T00:00Z", 0)] {
            assert_eq!(offset_of(text).map(Offset::seconds), Some(seconds));
        }
        assert_eq!(offset_of("2026-01-01T00:00:00"), None);
    }
}
