//! Exact arithmetic for the language's own words: up to 38 digits, and never a rounded one unasked.

use std::cmp::Ordering;

use crate::number::Number;

/// A whole number and where its decimal point stands: `units / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    units: i128,
    scale: u32,
}

/// What leaves the digits that are reckoned with.
pub(super) const TOO_LONG: &str = "a number has more than 38 digits";

/// How digits that have to go are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Half away from zero, as on paper and in Postgres.
    Nearest,
    Down,
    Up,
}

impl Decimal {
    pub(super) fn of(number: &Number) -> Result<Self, &'static str> {
        let text = number.as_str();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let units = format!("{whole}{fraction}").parse().map_err(|_| TOO_LONG)?;
        Ok(Self { units, scale: u32::try_from(fraction.len()).map_err(|_| TOO_LONG)? })
    }

    pub(super) fn number(self) -> Result<Number, &'static str> {
        Number::parse(&format!("{}e-{}", self.units, self.scale)).map_err(|_| TOO_LONG)
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, &'static str> {
        let scale = self.scale.max(other.scale);
        let units = self.at(scale)?.checked_add(other.at(scale)?).ok_or(TOO_LONG)?;
        Ok(Self { units, scale })
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, &'static str> {
        self.plus(Self { units: other.units.checked_neg().ok_or(TOO_LONG)?, ..other })
    }

    pub(super) fn times(self, other: Self) -> Result<Self, &'static str> {
        let units = self.units.checked_mul(other.units).ok_or(TOO_LONG)?;
        Ok(Self { units, scale: self.scale.checked_add(other.scale).ok_or(TOO_LONG)? })
    }

    /// Divides, rounded to so many digits behind the point.
    pub(super) fn divided_by(self, other: Self, digits: u32) -> Result<Self, &'static str> {
        if other.units == 0 {
            return Err("it divides by zero");
        }
        // units/10^a : others/10^b = units * 10^(b + digits) / (others * 10^a), in units of 10^-digits
        let above = self.units.checked_mul(power(other.scale.checked_add(digits).ok_or(TOO_LONG)?)?);
        let below = other.units.checked_mul(power(self.scale)?);
        let (Some(above), Some(below)) = (above, below) else { return Err(TOO_LONG) };
        Ok(Self { units: divide(above, below, Rounding::Nearest).ok_or(TOO_LONG)?, scale: digits })
    }

    pub(super) fn rounded(self, digits: u32, how: Rounding) -> Result<Self, &'static str> {
        if digits >= self.scale {
            return Ok(self);
        }
        let units = divide(self.units, power(self.scale - digits)?, how).ok_or(TOO_LONG)?;
        Ok(Self { units, scale: digits })
    }

    /// The text with exactly so many digits behind the point.
    pub(super) fn fixed(self, digits: u32) -> Result<String, &'static str> {
        let rounded = self.rounded(digits, Rounding::Nearest)?;
        let text = rounded.number()?.as_str().to_owned();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let zeros = "0".repeat((digits as usize).saturating_sub(fraction.len()));
        Ok(if digits == 0 { whole.to_owned() } else { format!("{whole}.{fraction}{zeros}") })
    }

    fn at(self, scale: u32) -> Result<i128, &'static str> {
        self.units.checked_mul(power(scale.saturating_sub(self.scale))?).ok_or(TOO_LONG)
    }
}

/// The order of two numbers of any length.
pub(super) fn compare(one: &Number, other: &Number) -> Ordering {
    fn parts(number: &Number) -> (bool, &str, &str) {
        let text = number.as_str();
        let unsigned = text.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        (text.starts_with('-'), whole, fraction)
    }
    let ((minus, whole, fraction), (other_minus, other_whole, other_fraction)) = (parts(one), parts(other));
    match (minus, other_minus) {
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (true, true) | (false, false) => {}
    }
    // Canonical texts have no leading and no trailing zeros.
    let order =
        whole.len().cmp(&other_whole.len()).then(whole.cmp(other_whole)).then(fraction.cmp(other_fraction));
    if minus { order.reverse() } else { order }
}

fn power(of_ten: u32) -> Result<i128, &'static str> {
    10_i128.checked_pow(of_ten).ok_or(TOO_LONG)
}

fn divide(above: i128, below: i128, how: Rounding) -> Option<i128> {
    let (quotient, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
    let negative = (above < 0) != (below < 0);
    let twice = rest.unsigned_abs().checked_mul(2)?;
    let further = rest != 0
        && match how {
            Rounding::Nearest => twice >= below.unsigned_abs(),
            Rounding::Down => negative,
            Rounding::Up => !negative,
        };
    match (further, negative) {
        (false, _) => Some(quotient),
        (true, false) => quotient.checked_add(1),
        (true, true) => quotient.checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::of(&Number::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn digits_are_kept() {
        let text = |decimal: Result<Decimal, _>| decimal.unwrap().number().unwrap().as_str().to_owned();
        assert_eq!(text(of("0.1").plus(of("0.2"))), "0.3");
        assert_eq!(text(of("19.99").times(of("100"))), "1999");
        assert_eq!(text(of("12345678901234567.89").minus(of("0.01"))), "12345678901234567.88");
        assert_eq!(text(of("1").divided_by(of("3"), 4)), "0.3333");
        assert_eq!(text(of("-2").divided_by(of("3"), 2)), "-0.67");
        assert_eq!(text(of("1999").divided_by(of("0.5"), 2)), "3998");
        for (number, how, rounded) in [
            ("2.5", Rounding::Nearest, "3"),
            ("-2.5", Rounding::Nearest, "-3"),
            ("-2.5", Rounding::Down, "-3"),
            ("-2.5", Rounding::Up, "-2"),
            ("2.1", Rounding::Up, "3"),
            ("2", Rounding::Up, "2"),
        ] {
            assert_eq!(text(of(number).rounded(0, how)), rounded, "{number} {how:?}");
        }
        assert_eq!(of("12.5").fixed(2).unwrap(), "12.50");
        assert_eq!(of("-0.004").fixed(2).unwrap(), "0.00");
        assert_eq!(of("7").fixed(0).unwrap(), "7");
        assert!(of("1").divided_by(of("0"), 2).is_err());
        assert!(of(&"9".repeat(38)).times(of("10")).is_err());
    }

    #[test]
    fn numbers_of_any_length_have_their_order() {
        let sorted = ["-12", "-3.5", "-3.05", "0", "0.05", "0.5", "3", "12", "12.000000000000000000001"];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                let (one, other) = (Number::parse(one).unwrap(), Number::parse(other).unwrap());
                assert_eq!(compare(&one, &other), at.cmp(&other_at), "{} {}", one.as_str(), other.as_str());
            }
        }
    }
}
