//! The shape Notion uses everywhere: `{"type": "x", "x": payload}`, read without copying.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A string that borrows from the input unless it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// One tagged object: its `id`, `name` and `type`, the payload under the type's own key, and the other keys.
#[derive(Debug, Default)]
pub(super) struct Tagged<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    /// The `type`, or, where it was left out, the only other key.
    pub(super) kind: Option<Cow<'a, str>>,
    /// The value under the key named by `type`. Absent in partial objects.
    pub(super) payload: Option<&'a RawValue>,
    pub(super) others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Tagged<'a> {
    /// The value under another key, decoded; `None` when it is missing, null or of another shape.
    pub(super) fn other<T: Deserialize<'a>>(&self, key: &str) -> Option<T> {
        let (_, raw) = self.others.iter().find(|(k, _)| k == key)?;
        serde_json::from_str::<Option<T>>(raw.get()).ok().flatten()
    }

    /// The payload, decoded; `None` when it is missing or of another shape.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.payload?.get()).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tagged<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TaggedVisitor;
        impl<'de> Visitor<'de> for TaggedVisitor {
            type Value = Tagged<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a type")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tagged = Tagged::default();
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    match &*key {
                        "type" => tagged.kind = map.next_value::<Option<Text<'de>>>()?.map(|t| t.0),
                        "id" => tagged.id = map.next_value::<Option<Text<'de>>>()?.map(|t| t.0),
                        "name" => tagged.name = map.next_value::<Option<Text<'de>>>()?.map(|t| t.0),
                        _ => {
                            let raw = map.next_value::<&'de RawValue>()?;
                            if tagged.kind.as_deref() == Some(&*key) {
                                tagged.payload = Some(raw);
                            } else {
                                tagged.others.push((key, raw));
                            }
                        }
                    }
                }
                tagged.settle();
                Ok(tagged)
            }
        }
        deserializer.deserialize_map(TaggedVisitor)
    }
}

impl Tagged<'_> {
    /// Finds the payload when it came before `type`, and the type when it was left out.
    fn settle(&mut self) {
        if self.payload.is_some() {
            return;
        }
        if self.kind.is_none() && self.others.len() == 1 {
            self.kind = Some(self.others[0].0.clone());
        }
        let Some(kind) = &self.kind else { return };
        if let Some(at) = self.others.iter().position(|(key, _)| key == kind) {
            self.payload = Some(self.others.swap_remove(at).1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_payload_in_any_order() {
        for json in [
            r#"{"id":"a","type":"number","number":7}"#,
            r#"{"number":7,"id":"a","type":"number"}"#,
            r#"{"id":"a","number":7}"#,
        ] {
            let tagged: Tagged<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(tagged.kind.as_deref(), Some("number"), "{json}");
            assert_eq!(tagged.read::<u8>(), Some(7), "{json}");
        }
    }

    #[test]
    fn says_when_there_is_no_payload() {
        let partial: Tagged<'_> = serde_json::from_str(r#"{"id":"a"}"#).unwrap();
        assert!(partial.kind.is_none() && partial.payload.is_none());
        let other: Tagged<'_> = serde_json::from_str(r#"{"type":"x","extra":1,"more":2}"#).unwrap();
        assert!(other.payload.is_none());
        assert_eq!(other.other::<u8>("more"), Some(2));
    }

    #[test]
    fn unescapes_keys_and_types() {
        let tagged: Tagged<'_> = serde_json::from_str(r#"{"type":"\u0078","\u0078":1}"#).unwrap();
        assert_eq!(tagged.kind.as_deref(), Some("x"));
        assert_eq!(tagged.read::<u8>(), Some(1));
    }
}
