//! How ids are made, read and written: UUIDs of things, short ids of properties and options.

use std::sync::Arc;

use uuid::Uuid;

use crate::chance;

/// A property's id as stored: four printable characters, or `title`.
pub(crate) type PropertyId = Arc<str>;

/// Reads an id with or without dashes. Upper case is a valid UUID that names nothing, as observed.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    if !matches!(text.len(), 32 | 36) {
        return None;
    }
    let id = Uuid::try_parse(text).ok()?;
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Some(Uuid::max()) } else { Some(id) }
}

/// An id that nothing has yet.
pub(crate) fn fresh() -> Uuid {
    uuid::Builder::from_random_bytes(chance::bytes()).into_uuid()
}

/// A fresh property or option id of four printable characters.
pub(crate) fn short_id() -> String {
    // `%` is left out so that an encoded id is never a raw one; quotes so that messages stay readable.
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:;<=>?@[]^_`{|}~\\";
    let mut bits = chance::bits();
    let letters = LETTERS.len() as u64;
    (0..4)
        .map(|_| {
            let letter = LETTERS[usize::try_from(bits % letters).unwrap_or(0)];
            bits /= letters;
            char::from(letter)
        })
        .collect()
}

/// Percent-encodes as `encodeURIComponent` does.
pub(crate) fn encode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 4);
    for byte in raw.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Undoes percent encoding once; what is not encoded stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes.get(index + 1..index + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[index], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 3;
            }
            (byte, _) => {
                out.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The page address Notion shows: a slug of the title, then the id without dashes.
pub(crate) fn page_url(title: &str, id: Uuid) -> String {
    let mut slug = String::new();
    for letter in title.chars().take(60) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        format!("https://app.notion.com/p/{}", id.simple())
    } else {
        format!("https://app.notion.com/p/{slug}-{}", id.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_dashes() {
        let id = Uuid::new_v4();
        assert_eq!(parse_uuid(&id.to_string()), Some(id));
        assert_eq!(parse_uuid(&id.simple().to_string()), Some(id));
        assert_eq!(parse_uuid("AAA"), None);
    }

    #[test]
    fn encoding_is_undone_once() {
        assert_eq!(encode("<nJT"), "%3CnJT");
        assert_eq!(decode("%3CnJT"), "<nJT");
        assert_eq!(decode("%253CnJT"), "%3CnJT");
        for _ in 0..200 {
            let id = short_id();
            assert_eq!(id.len(), 4);
            assert_eq!(decode(&encode(&id)), id);
        }
    }

    #[test]
    fn addresses_carry_a_slug() {
        let id = Uuid::nil();
        assert_eq!(page_url("Order 7!", id), format!("https://app.notion.com/p/Order-7-{}", id.simple()));
        assert_eq!(page_url("", id), format!("https://app.notion.com/p/{}", id.simple()));
    }
}
