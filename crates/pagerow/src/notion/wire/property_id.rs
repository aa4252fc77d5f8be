//! A property's id, which Notion writes percent-encoded in some places and raw in others.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A property id exactly as it came; `%3CnJT` and `<nJT` are equal.
///
/// Paths want the form that Notion returned, so the text is kept as it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PropertyId(String);

impl PropertyId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id of every title property.
    pub fn title() -> Self {
        Self::new("title")
    }

    /// As it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without percent-encoding: the form that two ids are compared in.
    pub fn decoded(&self) -> Cow<'_, str> {
        if !self.0.contains('%') {
            return Cow::Borrowed(&self.0);
        }
        String::from_utf8(decoded_bytes(&self.0).collect())
            .map_or_else(|_| Cow::Borrowed(self.0.as_str()), Cow::Owned)
    }

    /// The form for a URL's path: as it came when that is already encoded, else encoded.
    pub fn for_path(&self) -> Cow<'_, str> {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b);
        if self.0.bytes().all(|b| safe(b) || b == b'%') {
            return Cow::Borrowed(&self.0);
        }
        let mut path = String::with_capacity(self.0.len() * 3);
        for byte in decoded_bytes(&self.0) {
            if safe(byte) {
                path.push(char::from(byte));
            } else {
                path.push('%');
                path.push(hex_digit(byte >> 4));
                path.push(hex_digit(byte & 15));
            }
        }
        Cow::Owned(path)
    }
}

impl PartialEq for PropertyId {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || decoded_bytes(&self.0).eq(decoded_bytes(&other.0))
    }
}

impl Eq for PropertyId {}

impl Hash for PropertyId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in decoded_bytes(&self.0) {
            state.write_u8(byte);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Debug for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PropertyId({:?})", self.0)
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes with `%XX` resolved; a `%` that begins no escape stands for itself.
fn decoded_bytes(text: &str) -> impl Iterator<Item = u8> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let escape = (byte == b'%').then(|| Some((hex(*bytes.get(at + 1)?)?, hex(*bytes.get(at + 2)?)?)));
        if let Some(Some((high, low))) = escape {
            at += 3;
            Some(high << 4 | low)
        } else {
            at += 1;
            Some(byte)
        }
    })
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn encoded_and_raw_are_one_id() {
        let encoded = PropertyId::new("%60%5B%3E%7B");
        let raw = PropertyId::new("`[>{");
        assert_eq!(encoded, raw);
        assert_eq!(encoded.decoded(), "`[>{");
        assert_eq!(raw.for_path(), "%60%5B%3E%7B");
        assert_eq!(encoded.for_path(), "%60%5B%3E%7B");
        assert_eq!(HashSet::from([encoded, raw]).len(), 1);
    }

    #[test]
    fn other_ids_differ() {
        assert_ne!(PropertyId::new("%60a"), PropertyId::new("%60b"));
        assert_ne!(PropertyId::new("ab"), PropertyId::new("abc"));
    }

    #[test]
    fn a_lone_percent_sign_stands_for_itself() {
        for odd in ["%", "a%", "%4", "%zz", "%%41"] {
            let id = PropertyId::new(odd);
            assert_eq!(id, id.clone());
            assert!(!id.decoded().is_empty());
        }
        assert_eq!(PropertyId::new("%%41").decoded(), "%A");
    }
}
