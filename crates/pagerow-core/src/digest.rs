//! A short, stable name for content: equal content has an equal digest.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    mapping::Mapping,
    record::Record,
    value::{Moment, Ref, Value},
};

/// The first 128 bits of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::short(&Sha256::digest(bytes))
    }

    /// The digest of what is written of a value as JSON. It is never held as a whole: a plan may be larger than memory
    /// has room for twice. For what always serialises: structs, enums, strings, numbers.
    #[must_use]
    pub fn of_json(value: &(impl Serialize + ?Sized)) -> Self {
        let mut hasher = Hasher(Sha256::new());
        // A hash takes whatever it is given.
        let written = serde_json::to_writer(&mut hasher, value);
        debug_assert!(written.is_ok(), "what is digested always serialises");
        Self::short(&hasher.0.finalize())
    }

    fn short(hash: &[u8]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        Self(short)
    }

    /// The digest of a record's mapped content and of the marker beside it. Paused fields are no part of it: a base
    /// still holds them, and no look shows them.
    ///
    /// `scratch` is only a buffer that spares an allocation a record.
    #[must_use]
    pub fn of_record(
        mapping: &Mapping,
        record: &Record,
        marker: Option<&str>,
        scratch: &mut Vec<u8>,
    ) -> Self {
        scratch.clear();
        for (field, value) in mapping.fields.iter().zip(record.values()) {
            if let Some(value) = value
                && !field.is_paused()
            {
                feed_text(&field.column, scratch);
                feed(value, scratch);
            }
        }
        if let Some(marker) = marker {
            scratch.push(b'M');
            feed_text(marker, scratch);
        }
        Self::of(scratch)
    }
}

/// A hash that can be written to.
struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return Err("a digest has 32 hexadecimal digits");
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| "not hexadecimal")?;
        }
        Ok(Self(bytes))
    }
}

/// Appends bytes that are equal exactly when the values are: a tag, then content whose length is known.
fn feed(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(b'0'),
        Value::Text(text) => tagged(b't', text, out),
        Value::Number(number) => tagged(b'n', number.as_str(), out),
        Value::Bool(bool) => out.extend([b'b', u8::from(*bool)]),
        Value::Day(day) => feed_moment(Moment::Day(*day), out),
        Value::Instant(instant) => feed_moment(Moment::Instant(*instant), out),
        Value::Range(range) => {
            out.push(b'r');
            for end in [range.start, range.end] {
                match end {
                    Some(moment) => feed_moment(moment, out),
                    None => out.push(b'0'),
                }
            }
        }
        Value::List(values) => {
            feed_length(b'l', values.len(), out);
            values.iter().for_each(|value| feed(value, out));
        }
        Value::Set(values) => {
            feed_length(b's', values.len(), out);
            values.iter().for_each(|value| feed(value, out));
        }
        Value::Ref(Ref::Row(key)) => tagged(b'k', key.as_str(), out),
        Value::Ref(Ref::Page(page)) => {
            out.push(b'p');
            out.extend(page.0.as_bytes());
        }
        Value::File(file) => tagged(b'f', file.identity(), out),
        Value::Person(person) => tagged(b'h', &person.identity(), out),
        Value::Json(text) => tagged(b'j', text, out),
        Value::Markdown(text) => tagged(b'm', text, out),
        Value::Opaque(opaque) => {
            tagged(b'o', &opaque.kind, out);
            feed_text(&opaque.text, out);
        }
    }
}

fn tagged(tag: u8, text: &str, out: &mut Vec<u8>) {
    out.push(tag);
    feed_text(text, out);
}

fn feed_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn feed_length(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((length as u64).to_le_bytes());
}

fn feed_moment(moment: Moment, out: &mut Vec<u8>) {
    match moment {
        Moment::Day(day) => {
            out.push(b'd');
            out.extend(day.year().to_le_bytes());
            out.extend([day.month() as u8, day.day() as u8]);
        }
        Moment::Instant(instant) => {
            out.push(b'i');
            out.extend(instant.as_nanosecond().to_le_bytes());
        }
    }
}
