//! Is a mapping's table read and written as it is, value by value, record by record, whoever else is at work?
#![expect(clippy::panic, reason = "a test stops at the first surprise, and says which")]

mod deltas;
mod joins;
mod keys;
mod northwind;
mod pooled;
mod speed;
mod types;
mod writing;

use pagerow_core::value::Value;

pub(crate) use self::types::{TYPES, every_type};

fn day(text: &str) -> Value {
    Value::Day(text.parse().unwrap())
}

fn instant(text: &str) -> Value {
    Value::Instant(text.parse().unwrap())
}
