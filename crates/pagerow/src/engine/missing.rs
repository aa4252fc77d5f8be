//! Which references of a step lead to records that are not on its side yet.

use pagerow_core::{
    mapping::Mapping,
    plan::{Because, Step},
    side::Side,
    value::{Ref, Value},
};

use crate::replica::Relatives;

/// Fields that refer to rows without a page, or to pages without a row.
pub(super) fn missing_relatives(mapping: &Mapping, step: &Step, relatives: &Relatives) -> Vec<usize> {
    step.fields
        .iter()
        .filter(|write| !write.withheld)
        .filter(|write| {
            let Some(related) = mapping.fields.get(write.field).and_then(|field| field.related()) else {
                return false;
            };
            let missing = |value: &Value| match (step.side, value) {
                (Side::Notion, Value::Ref(Ref::Row(key))) => relatives.page(related, key).is_none(),
                (Side::Postgres, Value::Ref(Ref::Page(page))) => relatives.key(related, *page).is_none(),
                // It may be linked, and yet to be made again.
                (Side::Postgres, Value::Ref(Ref::Row(key))) if step.because == Because::Recovered => {
                    relatives.page(related, key).is_none()
                }
                _ => false,
            };
            match &write.after {
                Value::Set(values) => values.iter().any(missing),
                value => missing(value),
            }
        })
        .map(|write| write.field)
        .collect()
}
