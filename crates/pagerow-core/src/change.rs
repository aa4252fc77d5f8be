//! What one side did to a field since its base.

use crate::value::Value;

/// One side's now against its own past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is no base: nobody knows what it was.
    Unknown,
    Same,
    Changed,
}

/// Compares a value with the base of its own side.
#[must_use]
pub fn change(base: Option<&Value>, now: &Value) -> Change {
    match base {
        None => Change::Unknown,
        Some(base) if base == now => Change::Same,
        Some(_) => Change::Changed,
    }
}
