//! Runs and their steps, as text and JSON.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pagerow_core::record::RowKey;
use serde_json::{Value as Json, json};

use super::{plan_json, plan_text, table::table, value};
use crate::store::{Override, RunRow, StepRow, action_name};

/// One run of `runs --json`.
pub(crate) fn run_json(run: &RunRow) -> Json {
    json!({
        "id": run.id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "state": run.state,
        "origin": run.origin,
        "steps": run.steps,
        "failed": run.failed,
        "undone_by": null,
        "calls": run.calls,
        "error": run.error,
        "overridden": run.overridden.iter().map(overridden_json).collect::<Vec<_>>(),
    })
}

/// One stop that somebody let pass.
fn overridden_json(one: &Override) -> Json {
    let mut members = plan_json::refusal(&one.refusal);
    members["by"] = one.by.clone().into();
    members
}

/// One step of `show --json`.
pub(crate) fn step_json(row: &StepRow) -> Json {
    json!({
        "id": row.seq,
        "mapping": row.mapping,
        "side": row.step.side.name(),
        "action": action_name(&row.step),
        "key": row.step.key.as_ref().map(RowKey::as_str),
        "page_id": row.page.or(row.step.page).map(|page| page.to_string()),
        "fields": plan_json::fields(&row.step, &row.columns),
        "because": row.step.because,
        "status": row.status,
        "reason": row.reason.as_ref().map(|reason| reason.text.as_str()),
        "code": row.reason.as_ref().map(|reason| reason.code.as_str()),
        "intended_at": row.intended_at,
        "finished_at": row.finished_at,
    })
}

/// The list of runs.
pub(crate) fn runs(runs: &[RunRow]) -> String {
    if runs.is_empty() {
        return "nothing has been written yet".to_owned();
    }
    let rows = runs.iter().map(|run| {
        vec![
            run.id.to_string(),
            moment(run.started_at),
            run.finished_at.map_or_else(|| "–".to_owned(), |end| span(run.started_at, end)),
            run.state.clone(),
            run.origin.clone(),
            run.steps.to_string(),
            run.failed.to_string(),
            run.calls.to_string(),
            if run.overridden.is_empty() { String::new() } else { let_pass(run) },
        ]
    });
    table(&["run", "started", "took", "state", "origin", "steps", "failed", "calls", ""], rows, &[0, 5, 6, 7])
}

/// Who let the guard's stops pass, and for which mappings.
fn let_pass(run: &RunRow) -> String {
    let people: BTreeSet<&str> = run.overridden.iter().map(|one| one.by.as_str()).collect();
    let mappings: BTreeSet<&str> = run.overridden.iter().map(|one| one.refusal.mapping.as_str()).collect();
    let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    format!("{} let {} pass", list(people), list(mappings))
}

/// The head of one run.
pub(crate) fn run(run: &RunRow) -> String {
    let mut out = format!(
        "run {}: {}, {} steps of which {} failed, {} calls to Notion\n  started {}",
        run.id,
        run.state,
        run.steps,
        run.failed,
        run.calls,
        moment(run.started_at)
    );
    if let Some(end) = run.finished_at {
        out.push_str(&format!(", took {}", span(run.started_at, end)));
    }
    out.push_str(&format!(", by {}", run.origin));
    for one in &run.overridden {
        out.push_str(&format!(
            "\n  {} let pass what the guard would have stopped: {}: {}",
            one.by, one.refusal.mapping, one.refusal.text
        ));
    }
    if let Some(error) = &run.error {
        out.push_str(&format!("\n  {error}"));
    }
    out
}

/// One step in a few lines.
pub(crate) fn step(row: &StepRow) -> String {
    let mut out = format!(
        "{:>6} {:<8} {} {} {} {}{}",
        row.seq,
        row.status,
        row.mapping,
        row.step.side.name(),
        action_name(&row.step),
        plan_text::name(row.step.key.as_ref(), row.page.or(row.step.page)),
        plan_text::because(&row.step)
    );
    if let Some(reason) = &row.reason {
        out.push_str(&format!("\n         {} ({})", reason.text, reason.code));
    }
    for write in row.step.fields.iter().filter(|write| !write.withheld) {
        let column = row.columns.get(write.field).map_or("?", String::as_str);
        let after = value::text(&write.after);
        match &write.before {
            Some(before) => {
                let (before, decided) = (value::text(before), plan_text::decided(write));
                out.push_str(&format!("\n         {column}: {before} → {after}{decided}"));
            }
            None if write.after.is_null() => {}
            None => out.push_str(&format!("\n         {column}: {after}")),
        }
    }
    out
}

/// A point in time to the second, in UTC.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn span(from: Timestamp, to: Timestamp) -> String {
    crate::cli::progress::duration(to.duration_since(from).as_secs_f64())
}
