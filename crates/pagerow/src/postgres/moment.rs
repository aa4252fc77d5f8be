//! What Postgres's days and times are in the terms of both sides, and back.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use pagerow_core::value::Value;

/// 2000-01-01, from which Postgres counts, in days and in microseconds since 1970.
const EPOCH_DAY: i64 = 10_957;
const EPOCH_MICROSECOND: i64 = 946_684_800_000_000;
const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01, or one of the infinities.
pub(super) fn day(days: i32) -> Value {
    match days {
        i32::MAX => Value::opaque("date", "infinity"),
        i32::MIN => Value::opaque("date", "-infinity"),
        days => date(i64::from(days)).map_or_else(|far| Value::opaque("date", far), Value::Day),
    }
}

/// Microseconds since 2000-01-01 UTC, or one of the infinities.
pub(super) fn instant(micros: i64) -> Value {
    if let Some(word) = infinity(micros) {
        return Value::opaque("timestamptz", word);
    }
    match (timestamp(micros), local(micros)) {
        (Some(at), Ok(_)) => Value::Instant(at),
        (_, Ok(near)) => Value::opaque("timestamptz", format!("{}+00", spaced(near))),
        (_, Err(far)) => Value::opaque("timestamptz", with_zone(&far)),
    }
}

/// Microseconds since 2000-01-01 on the clock of a zone, or one of the infinities.
pub(super) fn local_instant(micros: i64, zone: &TimeZone) -> Value {
    if let Some(word) = infinity(micros) {
        return Value::opaque("timestamp", word);
    }
    match local(micros) {
        Err(far) => Value::opaque("timestamp", far),
        Ok(clock) => match zone.to_ambiguous_zoned(clock).compatible() {
            Ok(zoned) => Value::Instant(zoned.timestamp()),
            Err(_) => Value::opaque("timestamp", spaced(clock)),
        },
    }
}

/// The point in time, where it is one that both sides can name.
pub(super) fn timestamp(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros.checked_add(EPOCH_MICROSECOND)?).ok()
}

/// A day as Postgres reads it in every `DateStyle`; `None` before the year 1.
pub(super) fn day_text(day: Date) -> Option<String> {
    (day.year() >= 1).then(|| day.to_string())
}

/// A point in time as `timestamptz` reads it.
pub(super) fn instant_text(at: Timestamp) -> Option<String> {
    let clock = TimeZone::UTC.to_datetime(at);
    (clock.year() >= 1).then(|| format!("{}+00", spaced(clock)))
}

/// A point in time as the clock of a zone shows it, as `timestamp` reads it.
pub(super) fn local_text(at: Timestamp, zone: &TimeZone) -> Option<String> {
    let clock = zone.to_datetime(at);
    (clock.year() >= 1).then(|| spaced(clock))
}

fn infinity(micros: i64) -> Option<&'static str> {
    match micros {
        i64::MAX => Some("infinity"),
        i64::MIN => Some("-infinity"),
        _ => None,
    }
}

/// The day, or its text when it lies outside the years 1 to 9999.
fn date(days: i64) -> Result<Date, String> {
    let (year, month, day) = civil(days + EPOCH_DAY);
    i16::try_from(year)
        .ok()
        .filter(|year| (1..=9999).contains(year))
        .and_then(|year| Date::new(year, month, day).ok())
        .ok_or_else(|| {
            if year < 1 {
                format!("{:04}-{month:02}-{day:02} BC", 1 - year)
            } else {
                format!("{year}-{month:02}-{day:02}")
            }
        })
}

/// The reading of a clock, or its text when it lies outside the years 1 to 9999.
fn local(micros: i64) -> Result<DateTime, String> {
    let (days, rest) = (micros.div_euclid(MICROSECONDS_A_DAY), micros.rem_euclid(MICROSECONDS_A_DAY));
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let far = |text: String| {
        let (day, era) = text.split_once(' ').map_or((text.as_str(), ""), |(day, _)| (day, " BC"));
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
        let fraction = fraction.trim_end_matches('0');
        format!("{day} {hour:02}:{minute:02}:{second:02}{fraction}{era}")
    };
    let day = date(days).map_err(&far)?;
    // Each part is below its limit by the divisions above.
    let part = |value: i64| i8::try_from(value).unwrap_or_default();
    let nanos = i32::try_from(fraction * 1000).unwrap_or_default();
    Ok(day.at(part(hour), part(minute), part(second), nanos))
}

fn with_zone(text: &str) -> String {
    match text.strip_suffix(" BC") {
        Some(rest) => format!("{rest}+00 BC"),
        None => format!("{text}+00"),
    }
}

fn spaced(clock: DateTime) -> String {
    clock.to_string().replacen('T', " ", 1)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar, for any year.
fn civil(days: i64) -> (i64, i8, i8) {
    // Years begin in March here, so that the leap day is the last day of a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, i8::try_from(month).unwrap_or_default(), i8::try_from(day).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_2000() {
        assert_eq!(day(0), Value::Day("2000-01-01".parse().unwrap()));
        assert_eq!(day(-1), Value::Day("1999-12-31".parse().unwrap()));
        assert_eq!(day(59), Value::Day("2000-02-29".parse().unwrap()));
        assert_eq!(day(i32::MAX), Value::opaque("date", "infinity"));
        // As the server prints it.
        assert_eq!(day(-746_117), Value::opaque("date", "0044-03-15 BC"));
        assert_eq!(day(2_921_939), Value::Day("9999-12-31".parse().unwrap()));
        assert_eq!(day(2_921_940), Value::opaque("date", "10000-01-01"));
    }

    #[test]
    fn times_keep_microseconds() {
        assert_eq!(instant(123_456), Value::Instant("2000-01-01T00:00:00.123456Z".parse().unwrap()));
        assert_eq!(instant(-1), Value::Instant("1999-12-31T23:59:59.999999Z".parse().unwrap()));
        assert_eq!(instant(i64::MIN), Value::opaque("timestamptz", "-infinity"));
        assert_eq!(
            instant(2_921_940 * MICROSECONDS_A_DAY + 1_500_000),
            Value::opaque("timestamptz", "10000-01-01 00:00:01.5+00")
        );
        let at: Timestamp = "2026-02-11T10:20:30.123456Z".parse().unwrap();
        assert_eq!(instant_text(at).unwrap(), "2026-02-11 10:20:30.123456+00");
    }

    #[test]
    fn times_without_zone_are_read_in_the_given_one() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let Value::Instant(at) = local_instant(0, &tokyo) else { panic!("an instant") };
        assert_eq!(at, "1999-12-31T15:00:00Z".parse().unwrap());
        assert_eq!(local_text(at, &tokyo).unwrap(), "2000-01-01 00:00:00");
    }

    #[test]
    fn every_day_of_jiff_is_found() {
        for days in (-730_485i64..2_921_939).step_by(97) {
            let expected = Date::new(2000, 1, 1).unwrap().checked_add(jiff::Span::new().days(days)).unwrap();
            if expected.year() >= 1 {
                assert_eq!(date(days).unwrap(), expected);
            }
        }
    }
}
