//! What an undo would do, what stays as it is and why, as text and JSON.

use std::fmt::Write as _;

use pagerow_core::{record::RowKey, undo::Cannot};
use serde_json::{Value as Json, json};

use super::{plan_text, table::counted, value};
use crate::engine::{NotUndone, Report, UndoPlan};

/// So many of those that stay are shown, unless everything is asked for.
const SHOWN: usize = 50;

/// One thing that stays: `{mapping, side, key, page_id, column, reason, before, after, now}`.
pub(crate) fn left_json(left: &NotUndone) -> Json {
    let (before, after, now) = match &left.left.why {
        Cannot::EditedSince { before, after, now } => (before.as_ref(), Some(after), Some(now)),
        _ => (None, None, None),
    };
    json!({
        "mapping": left.mapping,
        "side": left.left.side.name(),
        "key": left.left.key.as_ref().map(RowKey::as_str),
        "page_id": left.left.page.map(|page| page.to_string()),
        "column": left.column,
        "code": code(&left.left.why),
        "reason": why(&left.left.why),
        "before": value::json(before),
        "after": value::json(after),
        "now": value::json(now),
    })
}

/// The plan of an undo, and what stays.
pub(crate) fn undo(undo: &UndoPlan, forecast: (u64, f64), everything: bool) -> String {
    let mut out = String::new();
    if undo.plan.is_empty() && undo.left.is_empty() {
        let _ = writeln!(out, "nothing of run {} is left to be undone", undo.run);
    } else if !undo.plan.is_empty() {
        out = plan_text::plan(&undo.plan, &undo.refusals, forecast, everything);
    }
    out.push_str(&stays(&undo.left, everything));
    if undo.already > 0 {
        let already = counted(undo.already, "row or page is", "rows and pages are");
        let _ = writeln!(out, "{already} already as before the run");
    }
    out
}

/// What stays as it is, and why.
pub(super) fn stays(left: &[NotUndone], everything: bool) -> String {
    let mut out = String::new();
    let most = if everything { usize::MAX } else { SHOWN };
    if !left.is_empty() {
        let _ = writeln!(out, "stays as it is:");
    }
    for one in left.iter().take(most) {
        let of = &one.left;
        let column = one.column.as_deref().map_or_else(String::new, |column| format!(" {column}"));
        let _ = writeln!(
            out,
            "  {} {} in {}{column}: {}",
            one.mapping,
            plan_text::name(of.key.as_ref(), of.page),
            of.side,
            why(&of.why)
        );
        if let Cannot::EditedSince { before, after, now } = &of.why {
            let before = before
                .as_ref()
                .map_or_else(String::new, |before| format!("before {}, ", value::text(before)));
            let _ = writeln!(out, "      {before}after {}, now {}", value::text(after), value::text(now));
        }
    }
    if left.len() > most {
        let _ = writeln!(out, "  … and {} more (-v or --json shows all)", left.len() - most);
    }
    out
}

/// What was done.
pub(crate) fn done(undo: &UndoPlan, report: &Report) -> String {
    let (undoes, left) = (undo.run, undo.left.len() as u64);
    let by = report.run.map_or_else(String::new, |run| format!(" by run {run}"));
    let stays = match left {
        0 => String::new(),
        left => format!("; {} as it is", counted(left, "thing stays", "things stay")),
    };
    if report.quiet {
        format!("run {undoes} was taken back{by}{stays}")
    } else {
        format!(
            "run {undoes} was taken back in part{by}{stays}; what failed is in `pagerow show {}`, and `pagerow undo {undoes}` goes on",
            report.run.unwrap_or_default()
        )
    }
}

fn code(why: &Cannot) -> &'static str {
    match why {
        Cannot::EditedSince { .. } => "edited_since",
        Cannot::Away(_) => "away",
        Cannot::Unreadable(_) => "unreadable",
        Cannot::Unlinked => "unlinked",
        Cannot::Taken => "taken",
        Cannot::NotKept => "not_kept",
        Cannot::Direction => "direction",
    }
}

fn why(why: &Cannot) -> String {
    match why {
        Cannot::EditedSince { before: Some(_), .. } => "it was edited since".to_owned(),
        Cannot::EditedSince { before: None, .. } => {
            "the run made the record, and it was edited since".to_owned()
        }
        Cannot::Away(how) => format!("the record is not there ({})", plan_text::absence(*how)),
        Cannot::Unreadable(why) => format!("it could not be read: {why}"),
        Cannot::Unlinked => "the row and the page are no longer one record".to_owned(),
        Cannot::Taken => "a row that is marked as deleted stands at its key".to_owned(),
        Cannot::NotKept => "the history does not say what was there".to_owned(),
        Cannot::Direction => "the mapping does not write there any more".to_owned(),
    }
}
