//! Runs and their steps, as text and JSON.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pagerow_core::{plan::By, record::RowKey, value::Value};
use serde_json::{Value as Json, json};

use super::{plan_json, plan_text, table::table, value};
use crate::store::{RunRow, StepRow, action_name};

/// One run of `runs --json`.
pub(crate) fn run_json(run: &RunRow) -> Json {
    json!({
        "id": run.id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "state": run.state,
        "origin": run.origin,
        "who": run.who,
        "steps": run.steps,
        "failed": run.failed,
        "undone_by": run.undone_by,
        "calls": run.calls,
        "error": run.error,
        "overridden": run.overridden.iter().map(plan_json::refusal).collect::<Vec<_>>(),
    })
}

/// One step of `show --json` and `history --json`.
pub(crate) fn step_json(row: &StepRow) -> Json {
    let seconds = row.finished_at.map(|end| end.duration_since(row.intended_at).as_secs_f64());
    json!({
        "id": row.seq,
        "run": row.run,
        "mapping": row.mapping,
        "side": row.step.side.name(),
        "action": action_name(&row.step),
        "key": row.key.as_ref().or(row.step.key.as_ref()).map(RowKey::as_str),
        "page_id": row.page.or(row.step.page).map(|page| page.to_string()),
        "fields": plan_json::fields(&row.step, &row.columns),
        "lost": lost(row).map(|(column, by, value)| json!({
            "column": column,
            "value": value::json(Some(value)),
            "by": by,
        })).collect::<Vec<_>>(),
        "because": row.step.because,
        "status": row.status,
        "reason": row.reason.as_ref().map(|reason| reason.text.as_str()),
        "code": row.reason.as_ref().map(|reason| reason.code.as_str()),
        "origin": row.origin,
        "who": row.who,
        "intended_at": row.intended_at,
        "finished_at": row.finished_at,
        "seconds": seconds,
    })
}

/// The values that a step wrote over although somebody had entered them, and who decided: they are kept here.
fn lost(row: &StepRow) -> impl Iterator<Item = (&str, By, &Value)> {
    row.step.fields.iter().filter_map(|write| {
        let column = row.columns.get(write.field).map_or("?", String::as_str);
        Some((column, write.by?, write.before.as_ref()?))
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
            match run.undone_by {
                Some(by) => format!("{} (undone by {by})", run.origin),
                None => run.origin.clone(),
            },
            run.who.clone().unwrap_or_else(|| "–".to_owned()),
            run.steps.to_string(),
            run.failed.to_string(),
            run.calls.to_string(),
            if run.overridden.is_empty() { String::new() } else { let_pass(run) },
        ]
    });
    table(
        &["run", "started", "took", "state", "origin", "who", "steps", "failed", "calls", ""],
        rows,
        &[0, 6, 7, 8],
    )
}

/// For which mappings the guard's stops were let pass.
fn let_pass(run: &RunRow) -> String {
    let mappings: BTreeSet<&str> = run.overridden.iter().map(|one| one.mapping.as_str()).collect();
    format!("let {} pass", mappings.into_iter().collect::<Vec<_>>().join(", "))
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
    if let Some(who) = &run.who {
        out.push_str(&format!(" of {who}"));
    }
    if let Some(by) = run.undone_by {
        out.push_str(&format!("\n  undone by run {by}"));
    }
    for one in &run.overridden {
        out.push_str(&format!(
            "\n  let pass what the guard would have stopped: {}: {}",
            one.mapping, one.text
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
        "{:>6} {:<8} {} {} {} {}{}{}",
        row.seq,
        row.status,
        row.mapping,
        row.step.side.name(),
        action_name(&row.step),
        plan_text::name(row.key.as_ref().or(row.step.key.as_ref()), row.page.or(row.step.page)),
        took(row),
        plan_text::because(&row.step)
    );
    out.push_str(&values(row));
    out
}

/// One step of one record: by which run, when and by whom.
pub(crate) fn record_step(row: &StepRow) -> String {
    let who = row.who.as_deref().map_or_else(String::new, |who| format!(" of {who}"));
    let mut out = format!(
        "{}  run {} by {}{who}: {} in {} ({}){}",
        moment(row.finished_at.unwrap_or(row.intended_at)),
        row.run,
        row.origin,
        action_name(&row.step),
        row.step.side,
        row.status,
        took(row)
    );
    out.push_str(&values(row));
    out
}

fn took(row: &StepRow) -> String {
    row.finished_at
        .map(|end| end.duration_since(row.intended_at).as_secs_f64())
        .filter(|seconds| *seconds >= 0.001)
        .map_or_else(String::new, |seconds| format!(", {} ms", (seconds * 1000.0).round()))
}

fn values(row: &StepRow) -> String {
    let mut out = String::new();
    if let Some(reason) = &row.reason {
        out.push_str(&format!("\n         {} ({})", reason.text, reason.code));
    }
    let lost: Vec<&str> = lost(row).map(|(column, ..)| column).collect();
    for write in row.step.fields.iter().filter(|write| !write.withheld) {
        let column = row.columns.get(write.field).map_or("?", String::as_str);
        let after = value::text(&write.after);
        match &write.before {
            Some(before) => out.push_str(&format!("\n         {column}: {} → {after}", value::text(before))),
            None if write.after.is_null() => {}
            None => out.push_str(&format!("\n         {column}: {after}")),
        }
        if lost.contains(&column) {
            out.push_str(" (the value before had been entered there, and lost)");
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
