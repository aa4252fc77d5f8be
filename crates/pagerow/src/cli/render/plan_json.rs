//! A plan as scripts read it.

use pagerow_core::{
    guard::Refusal,
    mapping::Mapping,
    plan::{Conflict, ConflictKind, MappingPlan, Parked, Plan, Skipped, Step, Why},
    record::RowKey,
    side::{Side, Sides},
    value::Value,
};
use serde_json::{Map, Value as Json, json};

use super::{plan_text, value};
use crate::store::action_name;

/// The whole answer of `plan --json`. `mappings` lends the properties' names.
pub(crate) fn plan<'m>(
    plan: &Plan,
    refusals: &[Refusal],
    mappings: impl Fn(&str) -> Option<&'m Mapping>,
    (calls, seconds): (u64, f64),
) -> Json {
    let mut number = 0_u64;
    let parts: Vec<Json> = plan
        .mappings
        .iter()
        .map(|part| {
            let mapping = mappings(&part.mapping);
            let steps: Vec<Json> = part
                .steps
                .iter()
                .map(|one| {
                    number += 1;
                    step(number, one, &part.columns)
                })
                .collect();
            let refusals: Vec<Json> =
                refusals.iter().filter(|one| one.mapping == part.mapping).map(refusal).collect();
            json!({
                "mapping": part.mapping,
                "steps": steps,
                "conflicts": part.conflicts.iter().map(|one| conflict(one, part, mapping)).collect::<Vec<_>>(),
                "parked": part.parked.iter().map(|one| parked(one, part)).collect::<Vec<_>>(),
                "skipped": part.skipped.iter().map(skipped).collect::<Vec<_>>(),
                "refusals": refusals,
                "links": part.census.links,
                "unchanged": part.census.unchanged,
                "agreed": part.settlements.len(),
            })
        })
        .collect();
    json!({ "hash": plan.hash().to_string(), "mappings": parts, "calls": calls, "seconds": seconds })
}

/// One step: `{id, side, action, key, page_id, fields, because}`.
pub(crate) fn step(number: u64, step: &Step, columns: &[String]) -> Json {
    json!({
        "id": number,
        "side": step.side.name(),
        "action": action_name(step),
        "key": step.key.as_ref().map(RowKey::as_str),
        "page_id": step.page.map(|page| page.to_string()),
        "fields": fields(step, columns),
        "because": step.because,
    })
}

/// What a step writes: `{column: {before, after}}`.
pub(crate) fn fields(step: &Step, columns: &[String]) -> Json {
    let members = step.fields.iter().filter(|write| !write.withheld).map(|write| {
        let column = columns.get(write.field).cloned().unwrap_or_else(|| write.field.to_string());
        let mut field = json!({ "before": value::json(write.before.as_ref()), "after": write.after.plain() });
        if let Some(by) = write.by {
            // `before` lost, by a rule or by a person.
            field["decided_by"] = json!(by);
        }
        (column, field)
    });
    Json::Object(members.collect::<Map<_, _>>())
}

/// One refusal: `{rule, seen, limit, override}` with its sentence.
pub(crate) fn refusal(refusal: &Refusal) -> Json {
    json!({
        "mapping": refusal.mapping,
        "rule": refusal.rule.name(),
        "seen": refusal.seen,
        "limit": refusal.limit,
        "text": refusal.text,
        "advice": refusal.advice,
        "override": refusal.pass.map(|pass| pass.to_string()),
    })
}

fn conflict(conflict: &Conflict, part: &MappingPlan, mapping: Option<&Mapping>) -> Json {
    let mut members = conflict_json(conflict);
    let field = contested(conflict);
    members["column"] =
        field.and_then(|field| part.columns.get(field)).map_or(Json::Null, |c| c.as_str().into());
    members["property"] = field
        .and_then(|field| mapping?.fields.get(field))
        .map_or(Json::Null, |field| field.property.as_str().into());
    members
}

/// The members that a conflict has by itself: its place has to be named by whoever knows the columns.
pub(crate) fn conflict_json(conflict: &Conflict) -> Json {
    let time = |side| conflict.edited.of(side).map(|time: jiff::Timestamp| time.to_string());
    let unknown = Sides::<Option<Value>>::default();
    let (bases, postgres, notion, deleted_on) = match &conflict.kind {
        ConflictKind::Field { base, values, .. } => {
            (base, values.postgres.plain(), values.notion.plain(), None)
        }
        ConflictKind::Deleted { on, .. } => (&unknown, Json::Null, Json::Null, Some(on.name())),
    };
    json!({
        "key": conflict.key.as_ref().map(RowKey::as_str),
        "page_id": conflict.page.map(|page| page.to_string()),
        "kind": if deleted_on.is_some() { "deleted" } else { "field" },
        "deleted_on": deleted_on,
        "base": value::json(bases.postgres.as_ref().or(bases.notion.as_ref())),
        "base_postgres": value::json(bases.postgres.as_ref()),
        "base_notion": value::json(bases.notion.as_ref()),
        "postgres": postgres,
        "notion": notion,
        "postgres_time": time(Side::Postgres),
        "notion_time": time(Side::Notion),
        "postgres_author": conflict.authors.postgres,
        "notion_author": conflict.authors.notion,
    })
}

fn contested(conflict: &Conflict) -> Option<usize> {
    match conflict.kind {
        ConflictKind::Field { field, .. } => Some(field),
        ConflictKind::Deleted { .. } => None,
    }
}

fn parked(parked: &Parked, part: &MappingPlan) -> Json {
    json!({
        "key": parked.key.as_ref().map(RowKey::as_str),
        "page_id": parked.page.map(|page| page.to_string()),
        "side": parked.side.name(),
        "column": parked.field.and_then(|field| part.columns.get(field)),
        "reason": parked.reason.text,
        "value": value::json(parked.value.as_ref()),
        "limit": parked.reason.limit,
        "code": parked.reason.code,
    })
}

fn skipped(skipped: &Skipped) -> Json {
    json!({
        "key": skipped.key.as_ref().map(RowKey::as_str),
        "page_id": skipped.page.map(|page| page.to_string()),
        "reason": plan_text::why(&skipped.why),
        "code": word(&skipped.why),
    })
}

fn word(why: &Why) -> &'static str {
    match why {
        Why::Unreadable(..) => "unreadable",
        Why::Direction => "direction",
        Why::Kept(_) => "kept",
        Why::Away(_) => "away",
        Why::Double { .. } => "double",
        Why::Asked => "asked",
        Why::InDoubt => "in_doubt",
        Why::Paused { .. } => "paused",
        Why::Waiting => "waiting",
        Why::JustGone(_) => "just_gone",
    }
}
