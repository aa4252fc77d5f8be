//! What waits for a person: conflicts and parked records, as text and JSON.

use serde_json::{Value as Json, json};

use super::{history::moment, plan_json, plan_text, value};
use crate::store::{OpenConflict, ParkedRecord};

/// One conflict of `conflicts --json`.
pub(crate) fn conflict_json(open: &OpenConflict) -> Json {
    let mut members = plan_json::conflict_json(&open.conflict);
    members["id"] = open.id.into();
    members["mapping"] = open.mapping.as_str().into();
    members["column"] = if open.column.is_empty() { Json::Null } else { open.column.as_str().into() };
    members["property"] = open.property.as_deref().map_or(Json::Null, Into::into);
    members["opened_at"] = open.opened_at.to_string().into();
    members
}

/// One record of `parked --json`.
pub(crate) fn parked_json(parked: &ParkedRecord) -> Json {
    json!({
        "id": parked.id,
        "mapping": parked.mapping,
        "key": parked.key.as_ref().map(pagerow_core::record::RowKey::as_str),
        "page_id": parked.page.map(|page| page.to_string()),
        "column": if parked.column.is_empty() { None } else { Some(parked.column.as_str()) },
        "side": parked.side,
        "reason": parked.reason.text,
        "value": value::json(parked.value.as_ref()),
        "limit": parked.reason.limit,
        "code": parked.reason.code,
        "attempts": parked.attempts,
        "next_try": parked.next_try,
    })
}

/// The list of conflicts.
pub(crate) fn conflicts(open: &[OpenConflict]) -> String {
    if open.is_empty() {
        return "no conflicts".to_owned();
    }
    let lines: Vec<String> = open
        .iter()
        .map(|one| {
            // The field's number is of the mapping as it was; the column's name is kept beside it.
            let columns = vec![one.column.clone(); contested(one) + 1];
            format!("{:>5}  {} {}", one.id, one.mapping, plan_text::conflict(&one.conflict, &columns))
        })
        .collect();
    lines.join("\n")
}

fn contested(open: &OpenConflict) -> usize {
    match open.conflict.kind {
        pagerow_core::plan::ConflictKind::Field { field, .. } => field,
        pagerow_core::plan::ConflictKind::Deleted { .. } => 0,
    }
}

/// The list of parked records.
pub(crate) fn parked(records: &[ParkedRecord]) -> String {
    if records.is_empty() {
        return "nothing is parked".to_owned();
    }
    let lines: Vec<String> = records
        .iter()
        .map(|one| {
            let column = if one.column.is_empty() { String::new() } else { format!(" {}", one.column) };
            let value =
                one.value.as_ref().map_or_else(String::new, |v| format!("; the value is {}", value::text(v)));
            let limit =
                one.reason.limit.as_ref().map_or_else(String::new, |limit| format!(" (at most {limit})"));
            let again = match (one.attempts, one.next_try) {
                (0, _) => String::new(),
                (tries, Some(next)) => format!("; tried {tries} times, next at {}", moment(next)),
                (tries, None) => format!("; tried {tries} times, waits for a change"),
            };
            format!(
                "{:>5}  {} {}{column} for {}: {}{limit}{value}{again}",
                one.id,
                one.mapping,
                plan_text::name(one.key.as_ref(), one.page),
                one.side,
                one.reason.text
            )
        })
        .collect();
    lines.join("\n")
}
