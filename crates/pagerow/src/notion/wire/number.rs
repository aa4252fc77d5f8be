//! A JSON number, digit for digit as Notion wrote it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The literal text of a JSON number (`0.1`, `1e+21`, `-3`), so that no digit passes through a float.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// The literal, in JSON's number grammar.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double, which is what Notion itself stores.
    pub fn to_f64(&self) -> f64 {
        // Every JSON number is in the grammar of Rust's float parser.
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            Ok(Self(raw.into()))
        } else {
            Err(D::Error::custom("expected a number"))
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match RawValue::from_string(self.0.to_string()) {
            Ok(raw) => raw.serialize(serializer),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<Option<Number>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn keeps_every_digit() {
        for literal in ["0.1", "1e+21", "1e21", "-0", "9007199254740993", "0.30000000000000004", "12"] {
            let number = decode(literal).unwrap().unwrap();
            assert_eq!(number.as_str(), literal);
            assert_eq!(serde_json::to_string(&number).unwrap(), literal);
        }
        assert_eq!(decode("null").unwrap(), None);
    }

    #[test]
    fn refuses_what_is_no_number() {
        for other in ["\"1\"", "true", "{}", "[1]"] {
            assert!(decode(other).is_err(), "{other}");
        }
    }
}
