//! People by e-mail address.

use std::collections::BTreeSet;

use super::{
    Reason, counted, mismatch,
    text::{split_list, texts_of},
};
use crate::value::{Person, Value};

/// What a people property makes of a value. `known` are those whom an address can mean.
pub(super) fn property(value: &Value, known: &[Person]) -> Result<Value, Reason> {
    let addresses = match value {
        Value::Null => Vec::new(),
        Value::Text(text) => split_list(text),
        Value::List(items) => texts_of(items, "people")?,
        Value::Set(items) => texts_of(items, "people")?,
        other => return Err(mismatch(other, "people")),
    };
    let people: BTreeSet<Value> = addresses
        .iter()
        .map(|address| {
            known
                .iter()
                .find(|person| {
                    person.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(address))
                        || person.id.as_deref() == Some(address)
                })
                .map(|person| Value::Person(Box::new(person.clone())))
                .ok_or_else(|| {
                    Reason::new(
                        "no_such_person",
                        "nobody whom the connection can see has this e-mail address",
                    )
                })
        })
        .collect::<Result<_, _>>()?;
    counted(people.len())?;
    Ok(if people.is_empty() { Value::Null } else { Value::Set(people) })
}
