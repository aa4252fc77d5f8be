//! How dates are read, kept and compared: seconds dropped, offsets and zones kept.

use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    at::{self, At},
    clock::{self, MINUTE, Millis},
    error::{ApiError, Result},
    json,
};

pub(crate) const DAY: Millis = 86_400_000;

/// A date value: a day or a minute, perhaps a range, perhaps in a named zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DateValue {
    pub(crate) start: Moment,
    pub(crate) end: Option<Moment>,
    pub(crate) time_zone: Option<String>,
}

/// One end of a date value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// As answers show it.
    pub(crate) text: String,
    /// The instant; midnight UTC for a day.
    pub(crate) at: Millis,
    pub(crate) is_day: bool,
}

/// Reads `{start, end, time_zone}` as a request gives it.
pub(crate) fn parse_value(value: &Json, at: &At) -> Result<DateValue> {
    let map = at::object(value, at)?;
    at::only_keys(map, &["start", "end", "time_zone"], at)?;
    let zone = match map.get("time_zone") {
        None | Some(Json::Null) => None,
        Some(name) => Some(at::string(name, 100, &at.key("time_zone"))?),
    };
    let zone = match zone {
        None => None,
        Some(name) => match TimeZone::get(name) {
            Ok(found) => Some((name, found)),
            Err(_) => return Err(at.key("time_zone").should_be("a valid time zone", map.get("time_zone"))),
        },
    };
    let read = |key: &str| -> Result<Option<Moment>> {
        match map.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => {
                let at = at.key(key);
                let text = json.as_str().ok_or_else(|| at.should_be("a string", Some(json)))?;
                parse_moment(text, zone.as_ref().map(|(_, zone)| zone))
                    .map(Some)
                    .ok_or_else(|| at.should_be("a valid ISO 8601 date string", Some(json)))
            }
        }
    };
    let start = read("start")?.ok_or_else(|| at.key("start").should_be("defined", map.get("start")))?;
    let end = read("end")?;
    if let Some(end) = &end {
        if end.is_day != start.is_day {
            return Err(ApiError::validation(
                "Start date and end date should both be dates or both be datetimes.",
            ));
        }
        if end.at < start.at {
            return Err(ApiError::validation("Start date must be before end date."));
        }
    }
    if zone.is_some() && start.is_day {
        return Err(ApiError::validation("Dates with a time zone should have a time."));
    }
    Ok(DateValue { start, end, time_zone: zone.map(|(name, _)| name.to_owned()) })
}

/// Reads a day or a time, in the given zone where one is named.
fn parse_moment(text: &str, zone: Option<&TimeZone>) -> Option<Moment> {
    let parsed = Parsed::read(text)?;
    let Some((hour, minute)) = parsed.time else {
        return Some(Moment { text: parsed.day.to_string(), at: parsed.day_millis(), is_day: true });
    };
    let local = parsed.day_millis() + hour * 3_600_000 + minute * MINUTE;
    let mut out = String::with_capacity(29);
    if let Some(zone) = zone {
        // With a named zone, an offset would say the same thing twice.
        if parsed.offset.is_some() {
            return None;
        }
        let civil = parsed.day.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
        let instant = civil.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        clock::write(&mut out, local, "");
        return Some(Moment { text: out, at: instant, is_day: false });
    }
    let offset = parsed.offset.unwrap_or(0);
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    clock::write(&mut out, local, &format!("{sign}{hours:02}:{minutes:02}"));
    Some(Moment { text: out, at: local - offset * MINUTE, is_day: false })
}

/// The pieces of an ISO 8601 date or time; seconds are checked and dropped.
struct Parsed {
    day: civil::Date,
    time: Option<(i64, i64)>,
    seconds: Millis,
    /// Minutes east of UTC.
    offset: Option<i64>,
}

impl Parsed {
    fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 10 || !text.is_ascii() || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let day = civil::Date::new(
            i16::try_from(digits(&text[0..4])?).ok()?,
            i8::try_from(digits(&text[5..7])?).ok()?,
            i8::try_from(digits(&text[8..10])?).ok()?,
        )
        .ok()?;
        let rest = &text[10..];
        if rest.is_empty() {
            return Some(Self { day, time: None, seconds: 0, offset: None });
        }
        let rest = rest.strip_prefix('T').or_else(|| rest.strip_prefix(' '))?;
        let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (time, zone) = rest.split_at(zone_at);
        let mut pieces = time.split(':');
        let (hour, minute) = (digits(pieces.next()?)?, digits(pieces.next()?)?);
        let mut seconds = 0;
        if let Some(piece) = pieces.next() {
            let (whole, fraction) = piece.split_once('.').unwrap_or((piece, "0"));
            let whole = digits(whole)?;
            if whole > 59 || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let fraction = format!("{fraction:0<3}");
            seconds = whole * 1000 + digits(&fraction[..3])?;
        }
        if hour > 23 || minute > 59 || pieces.next().is_some() {
            return None;
        }
        let offset = match zone {
            "" => None,
            "Z" => Some(0),
            signed => {
                let (sign, rest) = signed.split_at(1);
                let rest = rest.replace(':', "");
                let (hours, minutes) = match rest.len() {
                    2 => (digits(&rest)?, 0),
                    4 => (digits(&rest[..2])?, digits(&rest[2..])?),
                    _ => return None,
                };
                if hours > 23 || minutes > 59 || sign == "Z" {
                    return None;
                }
                Some(if sign == "-" { -(hours * 60 + minutes) } else { hours * 60 + minutes })
            }
        };
        Some(Self { day, time: Some((hour, minute)), seconds, offset })
    }

    fn day_millis(&self) -> Millis {
        self.day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond())
    }
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// The span of time that a filter's bound names: an instant, or a whole day in UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: Millis,
    /// Exclusive.
    pub(crate) until: Millis,
}

/// Reads a filter's bound: a day, a time, or a word such as `today`.
pub(crate) fn parse_bound(text: &str, now: Millis) -> Option<Span> {
    let today = now.div_euclid(DAY) * DAY;
    let day = |from: Millis| Some(Span { from, until: from + DAY });
    match text {
        "today" => return day(today),
        "tomorrow" => return day(today + DAY),
        "yesterday" => return day(today - DAY),
        "one_week_ago" => return day(today - 7 * DAY),
        "one_week_from_now" => return day(today + 7 * DAY),
        "one_month_ago" => return day(add_months(today, -1)),
        "one_month_from_now" => return day(add_months(today, 1)),
        _ => {}
    }
    let parsed = Parsed::read(text)?;
    match parsed.time {
        None => day(parsed.day_millis()),
        Some((hour, minute)) => {
            let at = parsed.day_millis() + hour * 3_600_000 + minute * MINUTE + parsed.seconds
                - parsed.offset.unwrap_or(0) * MINUTE;
            Some(Span { from: at, until: at + 1 })
        }
    }
}

/// An instant given to a control: ISO 8601 with or without an offset.
pub(crate) fn parse_instant(text: &str) -> Option<Millis> {
    parse_bound(text, 0).map(|span| span.from)
}

/// The same time of day some months on, on the last day where the month is shorter.
pub(crate) fn add_months(at: Millis, months: i64) -> Millis {
    let Ok(stamp) = jiff::Timestamp::from_millisecond(at) else { return at };
    let zoned = stamp.to_zoned(TimeZone::UTC);
    zoned.checked_add(jiff::Span::new().months(months)).map_or(at, |moved| moved.timestamp().as_millisecond())
}

/// Appends `{start, end, time_zone}`.
pub(crate) fn write(out: &mut String, date: &DateValue) {
    out.push_str("{\"start\":");
    json::string(out, &date.start.text);
    out.push_str(",\"end\":");
    json::optional(out, date.end.as_ref().map(|end| end.text.as_str()));
    out.push_str(",\"time_zone\":");
    json::optional(out, date.time_zone.as_deref());
    out.push('}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::at::BODY;

    fn start(text: &str) -> String {
        parse_value(&json!({ "start": text }), &BODY).unwrap().start.text
    }

    #[test]
    fn seconds_are_dropped_and_offsets_kept() {
        assert_eq!(start("2026-02-11"), "2026-02-11");
        assert_eq!(start("2026-02-22T09:00:00+09:00"), "2026-02-22T09:00:00.000+09:00");
        assert_eq!(start("2026-02-22T10:20:30.123Z"), "2026-02-22T10:20:00.000+00:00");
        assert_eq!(start("2026-02-22T10:20"), "2026-02-22T10:20:00.000+00:00");
        assert_eq!(start("2026-02-22T10:20:30.123456-05:30"), "2026-02-22T10:20:00.000-05:30");
    }

    #[test]
    fn a_bad_string_is_refused_with_its_text() {
        let due = BODY.key("Due");
        for bad in
            ["2022/01/02", "2022-13-01", "2022-02-30", "yesterday", "2022-01-01T25:00", "", "2022-01-01T1"]
        {
            let message = parse_value(&json!({ "start": bad }), &due).unwrap_err().message;
            let expected = format!(
                "body failed validation: body.Due.start should be a valid ISO 8601 date string, instead was `\"{bad}\"`."
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn an_end_needs_a_start_of_the_same_kind() {
        assert!(parse_value(&json!({"end": "2026-01-01"}), &BODY).is_err());
        assert!(parse_value(&json!({"start": "2026-01-01", "end": "2026-01-02T10:00"}), &BODY).is_err());
        assert!(parse_value(&json!({"start": "2026-01-02", "end": "2026-01-01"}), &BODY).is_err());
        assert!(parse_value(&json!({"start": "2026-01-01", "end": "2026-01-01"}), &BODY).is_ok());
    }

    #[test]
    fn a_named_zone_takes_times_without_offset() {
        let zoned = json!({"start": "2026-07-01T10:00:00", "time_zone": "Europe/Vienna"});
        let date = parse_value(&zoned, &BODY).unwrap();
        assert_eq!(date.start.text, "2026-07-01T10:00:00.000");
        assert_eq!(date.start.at, parse_instant("2026-07-01T08:00:00Z").unwrap());
        let both = json!({"start": "2026-07-01T10:00:00Z", "time_zone": "Europe/Vienna"});
        assert!(parse_value(&both, &BODY).is_err());
    }

    #[test]
    fn bounds_are_days_or_instants() {
        let now = parse_instant("2026-03-31T12:00:00Z").unwrap();
        let today = parse_bound("today", now).unwrap();
        assert_eq!(today.until - today.from, DAY);
        let month = parse_bound("one_month_ago", now).unwrap();
        assert_eq!(month.from, parse_instant("2026-02-28").unwrap());
        let exact = parse_bound("2026-03-31T12:00:00.500+02:00", now).unwrap();
        assert_eq!(exact.from, now - 2 * 3_600_000 + 500);
    }
}
