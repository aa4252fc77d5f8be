//! What an exact decimal number is: any length, equal by meaning, never a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An exact decimal, kept in canonical text: no exponent, no leading or trailing zeros, no `-0`.
///
/// `1.50`, `1.5` and `15e-1` are one number. `NaN` and the infinities are not numbers; a side that holds one
/// shows it as [`crate::value::Value::Opaque`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(Box<str>);

/// Why a text is not a [`Number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    #[error("not a decimal number")]
    Syntax,
    #[error("the exponent is beyond {MAX_EXPONENT}")]
    Exponent,
}

/// Largest power of ten that is written out; Postgres `numeric` reaches 131,072 digits before the point.
const MAX_EXPONENT: u64 = 150_000;

/// Largest whole number that every smaller one survives in a double: 2^53.
const DOUBLE_WHOLE: u64 = 1 << 53;

impl Number {
    /// Reads `-12.50`, `+3`, `.5`, `1e21`.
    ///
    /// # Errors
    /// [`NotANumber`] for anything else, `NaN` and `Infinity` included.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().map_err(|_| NotANumber::Syntax)?),
            None => (unsigned, 0),
        };
        if exponent.unsigned_abs() > MAX_EXPONENT {
            return Err(NotANumber::Exponent);
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return Err(NotANumber::Syntax);
        }
        Ok(Self::from_parts(negative, whole, fraction, exponent))
    }

    /// The number a double stands for, by its shortest decimal form; `None` for `NaN` and the infinities.
    #[must_use]
    pub fn from_f64(double: f64) -> Option<Self> {
        double.is_finite().then(|| Self::parse(&format!("{double:e}")).ok()).flatten()
    }

    /// The number a single-precision float stands for, by its shortest decimal form.
    #[must_use]
    pub fn from_f32(single: f32) -> Option<Self> {
        single.is_finite().then(|| Self::parse(&format!("{single:e}")).ok()).flatten()
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        // Canonical text always parses; too large becomes infinity, which no caller takes for a value.
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The double that shows this number and nothing else, if there is one.
    ///
    /// Whole numbers beyond 2^53 are refused even where one of them happens to fit, because their neighbours do
    /// not and a later edit would lose digits.
    #[must_use]
    pub fn as_exact_f64(&self) -> Option<f64> {
        let double = self.to_f64();
        if self.is_whole() && double.abs() > DOUBLE_WHOLE as f64 {
            return None;
        }
        self.as_double()
    }

    /// The double whose shortest text is this number, at any size, if there is one.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        let double = self.to_f64();
        (Self::from_f64(double).as_ref() == Some(self)).then_some(double)
    }

    /// Whether there is nothing behind the decimal point.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.0.contains('.')
    }

    /// Between which powers of ten the digits that count stand: one above the highest, and the lowest; `None` for
    /// zero. `1200` is `(4, 2)`, `0.05` is `(-1, -2)`.
    #[must_use]
    pub fn reach(&self) -> Option<(i64, i64)> {
        let unsigned = self.0.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let lowest = if fraction.is_empty() {
            (whole.len() - whole.trim_end_matches('0').len()) as i64
        } else {
            -(fraction.len() as i64)
        };
        let highest = match (whole, fraction) {
            ("0", "") => return None,
            ("0", fraction) => fraction.trim_start_matches('0').len() as i64 - fraction.len() as i64,
            (whole, _) => whole.len() as i64,
        };
        Some((highest, lowest))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_parts(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Self {
        if exponent == 0 && is_canonical(whole, fraction) {
            let point = if fraction.is_empty() { "" } else { "." };
            let sign = if negative && !(whole == "0" && fraction.is_empty()) { "-" } else { "" };
            return Self(format!("{sign}{whole}{point}{fraction}").into());
        }
        let digits: String = [whole, fraction].concat();
        // Where the point stands, counted from the left end of `digits`.
        let point = whole.len() as i64 + exponent;
        let (mut left, mut right) = if point <= 0 {
            (String::new(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)))
        } else if point as usize >= digits.len() {
            (format!("{digits}{}", "0".repeat(point as usize - digits.len())), String::new())
        } else {
            (digits[..point as usize].to_owned(), digits[point as usize..].to_owned())
        };
        right.truncate(right.trim_end_matches('0').len());
        left.drain(..left.len() - left.trim_start_matches('0').len());
        if left.is_empty() {
            left.push('0');
        }
        Self::from_parts(negative, &left, &right, 0)
    }
}

fn is_canonical(whole: &str, fraction: &str) -> bool {
    let no_leading_zero = whole == "0" || (!whole.is_empty() && !whole.starts_with('0'));
    no_leading_zero && !fraction.ends_with('0')
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self(whole.to_string().into())
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0.into()
    }
}

impl TryFrom<String> for Number {
    type Error = NotANumber;
    fn try_from(text: String) -> Result<Self, NotANumber> {
        Self::parse(&text)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        Number::parse(text).unwrap().to_string()
    }

    #[test]
    fn equal_numbers_have_one_text() {
        for (written, expected) in [
            ("1.50", "1.5"),
            ("15e-1", "1.5"),
            ("-0", "0"),
            ("-0.000", "0"),
            ("007", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e21", "1000000000000000000000"),
            ("1.25E3", "1250"),
            ("-12.340e-3", "-0.01234"),
            ("9007199254740993", "9007199254740993"),
            ("0e5", "0"),
        ] {
            assert_eq!(canonical(written), expected, "{written}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "NaN",
            "Infinity",
            "1,5",
            "0x1",
            "1e",
            "1 ",
            "--1",
            "1e999999999",
            "1e-9223372036854775808",
        ] {
            assert!(Number::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reach_counts_the_digits_that_matter() {
        let reach = |text| Number::parse(text).unwrap().reach();
        assert_eq!(reach("1200"), Some((4, 2)));
        assert_eq!(reach("-1200.50"), Some((4, -1)));
        assert_eq!(reach("0.05"), Some((-1, -2)));
        assert_eq!(reach("0.5"), Some((0, -1)));
        assert_eq!(reach("0"), None);
    }

    #[test]
    fn only_numbers_that_survive_a_double_are_exact() {
        for (text, exact) in [
            ("0.1", true),
            ("14.4", true),
            ("9007199254740992", true),
            ("9007199254740993", false),
            ("9007199254740994", false),
            ("0.12345678901234567891", false),
            ("1e400", false),
        ] {
            assert_eq!(Number::parse(text).unwrap().as_exact_f64().is_some(), exact, "{text}");
        }
    }
}
