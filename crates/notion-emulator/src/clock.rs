//! What time it is in the emulator, and how times are written.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 in UTC.
pub(crate) type Millis = i64;

pub(crate) const MINUTE: Millis = 60_000;

/// A clock that tests may set, freeze and push forward.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    offset: Millis,
    frozen: Option<Millis>,
}

impl Clock {
    /// A clock that stands at a time.
    pub(crate) fn at(now: Millis) -> Self {
        Self { offset: 0, frozen: Some(now) }
    }

    pub(crate) fn now(&self) -> Millis {
        self.frozen.unwrap_or_else(|| system_now() + self.offset)
    }

    pub(crate) fn set(&mut self, now: Millis) {
        if self.frozen.is_some() {
            self.frozen = Some(now);
        } else {
            self.offset = now - system_now();
        }
    }

    pub(crate) fn advance(&mut self, by: Millis) {
        match &mut self.frozen {
            Some(now) => *now += by,
            None => self.offset += by,
        }
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen = Some(self.now());
    }

    /// Lets the clock run on from where it stood.
    pub(crate) fn run(&mut self) {
        if let Some(now) = self.frozen.take() {
            self.offset = now - system_now();
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }
}

/// The start of the minute, as pages and blocks show their times.
pub(crate) fn minute(at: Millis) -> Millis {
    at.div_euclid(MINUTE) * MINUTE
}

/// `2026-07-04T09:08:00.000Z`, cut to the minute.
pub(crate) fn write_minute(out: &mut String, at: Millis) {
    write(out, minute(at), "Z");
}

/// `2026-07-04T09:08:00.000Z`, cut to the minute.
pub(crate) fn minute_text(at: Millis) -> String {
    let mut out = String::with_capacity(24);
    write_minute(&mut out, at);
    out
}

/// `2026-07-04T09:08:53.017+00:00`, as databases and views show their times.
pub(crate) fn exact_text(at: Millis) -> String {
    let mut out = String::with_capacity(29);
    write(&mut out, at, "+00:00");
    out
}

/// `2026-07-04T09:08:53.017Z`.
pub(crate) fn zulu_text(at: Millis) -> String {
    let mut out = String::with_capacity(24);
    write(&mut out, at, "Z");
    out
}

/// `Sat, 04 Jul 2026 09:08:53 GMT`, as HTTP headers show times.
pub(crate) fn http_text(at: Millis) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = at.div_euclid(86_400_000);
    let (year, month, day) = civil(days);
    let named =
        |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
    let weekday = named(&DAYS, days.rem_euclid(7)).unwrap_or_default();
    let month = named(&MONTHS, month - 1).unwrap_or_default();
    let seconds = at.rem_euclid(86_400_000) / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Writes date and time of day to the millisecond, then `suffix`.
pub(crate) fn write(out: &mut String, at: Millis, suffix: &str) {
    let (year, month, day) = civil(at.div_euclid(86_400_000));
    let time = at.rem_euclid(86_400_000);
    digits(out, year, 4);
    out.push('-');
    digits(out, month, 2);
    out.push('-');
    digits(out, day, 2);
    out.push('T');
    digits(out, time / 3_600_000, 2);
    out.push(':');
    digits(out, time / 60_000 % 60, 2);
    out.push(':');
    digits(out, time / 1000 % 60, 2);
    out.push('.');
    digits(out, time % 1000, 3);
    out.push_str(suffix);
}

fn digits(out: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

/// Days since 1970 to year, month and day (proleptic Gregorian).
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The machine's own time, which no test moves.
pub(crate) fn system_now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_notion_writes_them() {
        let at = 1_783_156_133_017;
        assert_eq!(zulu_text(at), "2026-07-04T09:08:53.017Z");
        assert_eq!(minute_text(at), "2026-07-04T09:08:00.000Z");
        assert_eq!(exact_text(at), "2026-07-04T09:08:53.017+00:00");
        assert_eq!(http_text(at), "Sat, 04 Jul 2026 09:08:53 GMT");
    }

    #[test]
    fn leap_days_are_days() {
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(-1), (1969, 12, 31));
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let mut clock = Clock::default();
        clock.freeze();
        clock.set(1000);
        clock.advance(500);
        assert_eq!(clock.now(), 1500);
        clock.run();
        assert!(clock.now() >= 1500);
    }
}
