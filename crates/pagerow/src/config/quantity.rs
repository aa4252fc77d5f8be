//! Durations (`"90s"`, `"1m"`, `"1d"`) and shares (`"20%"`) as people write them.

use std::time::Duration;

/// A share between 0 and 100 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(f64);

impl Percent {
    /// What may be deleted unless somebody says otherwise.
    pub(super) const OF_DELETES: Self = Self(20.0);

    /// `None` outside of 0 to 100.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }

    /// Reads `20%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        plain.then(|| number.parse().ok()).flatten().and_then(Self::new)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Reads one or several numbers with units (`ms`, `s`, `m`, `h`, `d`), as in `90s` or `1h30m`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start();
        let unit = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let part = match &after[..unit] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3_600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = after[unit..].trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("90s", Some(90.0)),
            ("1m", Some(60.0)),
            ("1h30m", Some(5_400.0)),
            ("1 d", Some(86_400.0)),
            ("250ms", Some(0.25)),
            ("", None),
            ("5", None),
            ("1w", None),
            ("-1m", None),
            ("m", None),
            ("999999999999999999999d", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_secs_f64()), seconds, "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(Percent::parse("20%").unwrap().share(), 0.2);
        assert_eq!(Percent::parse(" 2.5 % ").unwrap().to_string(), "2.5%");
        for wrong in ["20", "101%", "-1%", "%", "NaN%", "inf%", "1e1%"] {
            assert_eq!(Percent::parse(wrong), None, "{wrong}");
        }
    }
}
