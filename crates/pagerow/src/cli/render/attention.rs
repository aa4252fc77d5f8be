//! What waits for a person: conflicts and parked records, as text and JSON.

use pagerow_core::{
    plan::{Conflict, ConflictKind},
    side::Side,
};
use serde_json::{Value as Json, json};

use super::{difference, history::moment, plan_json, plan_text, side_by_side, table::counted, value};
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

/// A conflict in one line.
pub(crate) fn conflict_line(open: &OpenConflict) -> String {
    // The field's number is of the mapping as it was; the column's name is kept beside it.
    let contested = match open.conflict.kind {
        ConflictKind::Field { field, .. } => field,
        ConflictKind::Deleted { .. } => 0,
    };
    let columns = vec![open.column.clone(); contested + 1];
    format!("{}  {} {}", open.id, open.mapping, plan_text::conflict(&open.conflict, &columns))
}

/// Each conflict with both values beside each other, what both had in the middle, and what differs marked.
/// `everything` shows values at their full length.
pub(crate) fn conflicts(open: &[OpenConflict], everything: bool) -> String {
    if open.is_empty() {
        return "no conflicts".to_owned();
    }
    let across = side_by_side::available();
    open.iter().map(|one| conflict(one, across, everything)).collect::<Vec<_>>().join("\n\n")
}

fn conflict(open: &OpenConflict, across: usize, everything: bool) -> String {
    let conflict = &open.conflict;
    let name = plan_text::name(conflict.key.as_ref(), conflict.page);
    match &conflict.kind {
        ConflictKind::Field { base, values, .. } => {
            let property = match &open.property {
                Some(property) if *property != open.column => format!(" (“{property}”)"),
                Some(_) | None => String::new(),
            };
            let mut lines =
                vec![format!("{:>5}  {} {name}  {}{property}", open.id, open.mapping, open.column)];
            let known = base.postgres.as_ref().or(base.notion.as_ref());
            let changed = |side: Side| {
                let is = values.of(side);
                // Against its own past; where that is unknown, against the other side.
                match base.of(side).as_ref().unwrap_or(values.of(side.other())) {
                    was if was.is_null() || is.is_null() => difference::plain(&value::line(is), everything),
                    was => difference::difference(&value::line(was), &value::line(is), everything),
                }
            };
            let before = known.map_or_else(|| "unknown".to_owned(), value::line);
            let (postgres, notion) = (seen(conflict, Side::Postgres), seen(conflict, Side::Notion));
            let cells = [
                (postgres.as_str(), changed(Side::Postgres)),
                ("both had", difference::plain(&before, everything)),
                (notion.as_str(), changed(Side::Notion)),
            ];
            let table = side_by_side::columns(&cells, across.saturating_sub(7));
            lines.extend(table.into_iter().map(|line| format!("       {line}")));
            lines.join("\n")
        }
        ConflictKind::Deleted { on, how } => {
            let there = on.other();
            format!(
                "{:>5}  {} {name}  {} in {on}, still there in {there}\n       \
                 --keep {} deletes it in {there} too, --keep {} brings it back in {on}, --skip leaves both as they are",
                open.id,
                open.mapping,
                plan_text::absence(*how),
                on.name(),
                there.name(),
            )
        }
    }
}

/// A side with the time of its last edit and who made it, as far as that is known.
fn seen(conflict: &Conflict, side: Side) -> String {
    let time = conflict.edited.of(side).map(|time| format!(", {}", moment(time)));
    let author = conflict.authors.of(side).as_ref().map(|author| format!(" by {author}"));
    format!("{side}{}{}", time.unwrap_or_default(), author.unwrap_or_default())
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
                (tries, Some(next)) => {
                    format!(
                        "; tried {}, next at {}",
                        counted(tries.unsigned_abs().into(), "time", "times"),
                        moment(next)
                    )
                }
                (tries, None) => {
                    format!("; tried {tries} times, waits for a change or for `pagerow retry {}`", one.id)
                }
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

/// What became of a parked record that was tried again; `now` is what is still parked of it.
pub(crate) fn retried_json(was: &ParkedRecord, now: &[&ParkedRecord]) -> Json {
    let mut members = parked_json(now.first().copied().unwrap_or(was));
    members["id"] = was.id.into();
    members["state"] = if now.is_empty() { "healed" } else { "parked" }.into();
    members
}

/// The same in a line.
pub(crate) fn retried(was: &ParkedRecord, now: &[&ParkedRecord]) -> String {
    match now {
        [] => {
            let name = plan_text::name(was.key.as_ref(), was.page);
            let column = if was.column.is_empty() { String::new() } else { format!(" {}", was.column) };
            format!("{:>5}  {} {name}{column}: written", was.id, was.mapping)
        }
        now => parked(&now.iter().map(|one| (*one).clone()).collect::<Vec<_>>()),
    }
}
