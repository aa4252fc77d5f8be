//! JSON that we carry but do not interpret.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The exact JSON text of something Notion sent, kept so that it can be shown, hashed or sent back.
///
/// `Debug` shows its length only: it may hold cell contents.
#[derive(Clone)]
pub struct Opaque(Box<RawValue>);

impl Opaque {
    /// The JSON text, byte for byte as it came.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The JSON as a tree.
    pub fn to_value(&self) -> serde_json::Value {
        // A `RawValue` holds valid JSON by construction; `null` stands for the impossible rest.
        serde_json::from_str(self.0.get()).unwrap_or(serde_json::Value::Null)
    }

    pub(super) fn of(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }

    pub(super) fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Opaque {
    /// Equal text; two spellings of the same JSON are different.
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Opaque {}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.as_json().len())
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
