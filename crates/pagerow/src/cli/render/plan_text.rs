//! A plan as people read it: what would be written, field by field, and why nothing happens elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pagerow_core::{
    guard::Refusal,
    observation::Absence,
    plan::{Because, By, Conflict, ConflictKind, FieldWrite, MappingPlan, Parked, Plan, Skipped, Step, Why},
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};

use super::{table::counted, value};
use crate::{cli::progress::duration, store::action_name};

/// So many records of a kind are shown of each mapping, unless everything is asked for.
const SHOWN: usize = 50;

/// The whole plan. `everything` shows more records than fit a screen.
pub(crate) fn plan(
    plan: &Plan,
    refusals: &[Refusal],
    (calls, seconds): (u64, f64),
    everything: bool,
) -> String {
    let mut out = String::new();
    let most = if everything { usize::MAX } else { SHOWN };
    for part in &plan.mappings {
        out.push_str(&mapping(part, most));
    }
    out.push_str(&stops(refusals));
    let hash = plan.hash();
    let steps = plan.steps().count() as u64;
    if steps == 0 {
        let _ = writeln!(out, "plan {hash}: nothing to write");
    } else {
        let _ = writeln!(
            out,
            "plan {hash}: {}, {} to Notion, {}",
            counted(steps, "write", "writes"),
            counted(calls, "call", "calls"),
            if calls == 0 {
                "at once".to_owned()
            } else {
                format!("about {} by the rate limit", duration(seconds))
            }
        );
    }
    out
}

/// What the guard stops of each mapping, and what would let it go on.
pub(crate) fn stops(refusals: &[Refusal]) -> String {
    let mut out = String::new();
    for stopped in refusals.chunk_by(|one, other| one.mapping == other.mapping) {
        for refusal in stopped {
            let at_most = if refusal.limit > 0 && refusal.seen > refusal.limit {
                format!(" ({} at most)", refusal.limit)
            } else {
                String::new()
            };
            let _ = writeln!(out, "stopped: {}: {}{at_most}", refusal.mapping, refusal.text);
        }
        let advice: BTreeSet<&str> = stopped.iter().map(|refusal| refusal.advice.as_str()).collect();
        for line in advice {
            let _ = writeln!(out, "  = {line}");
        }
        if let Some((mapping, pass)) = stopped.first().and_then(|one| Some((&one.mapping, one.pass?))) {
            let _ = writeln!(
                out,
                "  = a sync writes nothing of {mapping}; to let exactly this pass, once: --override {pass}"
            );
        }
    }
    out
}

fn mapping(part: &MappingPlan, most: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {}", part.mapping, summary(part));
    let mut shown = 0;
    for step in part.steps.iter().take(most) {
        out.push_str(&self::step(step, &part.columns));
        shown += 1;
    }
    rest(&mut out, part.steps.len() - shown, "writes");
    for conflict in part.conflicts.iter().take(most) {
        let _ = writeln!(out, "  conflict {}", self::conflict(conflict, &part.columns));
    }
    rest(&mut out, part.conflicts.len().saturating_sub(most), "conflicts");
    for parked in part.parked.iter().take(most) {
        let _ = writeln!(out, "  parked {}", self::parked(parked, &part.columns));
    }
    rest(&mut out, part.parked.len().saturating_sub(most), "parked records");
    // Reasons come in crowds: each is said once, with the records it holds for.
    let mut reasons: BTreeMap<String, Vec<&Skipped>> = BTreeMap::new();
    for skipped in &part.skipped {
        reasons.entry(why(&skipped.why)).or_default().push(skipped);
    }
    for (reason, records) in reasons {
        let names: Vec<String> = records.iter().take(5).map(|one| name(one.key.as_ref(), one.page)).collect();
        let more = if records.len() > names.len() { ", …" } else { "" };
        let _ = writeln!(
            out,
            "  skipped {} ({}{more}): {reason}",
            counted(records.len() as u64, "record", "records"),
            names.join(", ")
        );
    }
    out
}

fn rest(out: &mut String, left: usize, what: &str) {
    if left > 0 {
        let _ = writeln!(out, "  … and {left} more {what} (-v or --json shows all)");
    }
}

fn summary(part: &MappingPlan) -> String {
    let mut counts: BTreeMap<(Side, &str), u64> = BTreeMap::new();
    for step in &part.steps {
        *counts.entry((step.side, action_name(step))).or_default() += 1;
    }
    let mut words: Vec<String> =
        counts.into_iter().map(|((side, action), count)| format!("{action} {count} in {side}")).collect();
    let mut add = |number: usize, one: &str, many: &str| {
        if number > 0 {
            words.push(counted(number as u64, one, many));
        }
    };
    add(part.conflicts.len(), "conflict", "conflicts");
    add(part.parked.len(), "parked", "parked");
    add(part.skipped.len(), "skipped", "skipped");
    add(part.settlements.len(), "found equal", "found equal");
    words.push(format!("{} unchanged", part.census.unchanged));
    words.join(", ")
}

fn step(step: &Step, columns: &[String]) -> String {
    let mut out = String::new();
    let sign = match action_name(step) {
        "create" | "insert" | "restore" => '+',
        "trash" | "delete" => '-',
        _ => '~',
    };
    let _ = writeln!(
        out,
        "  {sign} {} {} {}{}",
        step.side.name(),
        action_name(step),
        name(step.key.as_ref(), step.page),
        because(step)
    );
    for write in step.fields.iter().filter(|write| !write.withheld) {
        let column = columns.get(write.field).map_or("?", String::as_str);
        match &write.before {
            Some(before) if sign == '-' => {
                let _ = writeln!(out, "      {column}: {}", value::text(before));
            }
            Some(before) => {
                let lost = if loses_formatting(step.side, before, &write.after) { LOST } else { "" };
                let (before, after) = (value::text(before), value::text(&write.after));
                let _ = writeln!(out, "      {column}: {before} → {after}{lost}{}", decided(write));
            }
            None if write.after.is_null() => {}
            None => {
                let _ = writeln!(out, "      {column}: {}", value::text(&write.after));
            }
        }
    }
    if step.mark && step.fields.is_empty() {
        let _ = writeln!(out, "      the key property is put right");
    }
    out
}

/// What is said of a text whose words all changed.
const LOST: &str = " (the formatting goes with the words)";

/// Whether a page's formatted text gives way to plain words.
fn loses_formatting(side: Side, before: &Value, after: &Value) -> bool {
    side == Side::Notion && matches!((before, after), (Value::Markdown(_), Value::Text(_)))
}

/// Why a step is taken, where the step alone does not tell.
pub(crate) fn because(step: &Step) -> String {
    match step.because {
        Because::EditBeatsDeletion => {
            let (gone, edited) = (step.side, step.side.other());
            format!(" (deleted in {gone} and edited in {edited}: the edit wins)")
        }
        Because::Back => format!(" (it is back in {})", step.side.other()),
        Because::Answered => " (as answered)".to_owned(),
        Because::Undone => " (taken back)".to_owned(),
        Because::Backup => " (its backup is renewed)".to_owned(),
        Because::Recovered => format!(" (recovered from {})", step.side.other()),
        Because::New | Because::Edited | Because::Decided | Because::Deleted | Because::Unmarked => {
            String::new()
        }
    }
}

/// Who decided that the value before loses, where somebody did.
pub(crate) fn decided(write: &FieldWrite) -> &'static str {
    match write.by {
        None => "",
        Some(By::Rule) => " (both changed; the rule decides, and the value before is kept in the history)",
        Some(By::Person | By::Typed) => " (as answered; the value before is kept in the history)",
    }
}

/// A conflict in one line.
pub(crate) fn conflict(conflict: &Conflict, columns: &[String]) -> String {
    let name = name(conflict.key.as_ref(), conflict.page);
    match &conflict.kind {
        ConflictKind::Field { field, base, values } => format!(
            "{name} {}: Postgres {}, Notion {} (both had {})",
            columns.get(*field).map_or("?", String::as_str),
            value::text(&values.postgres),
            value::text(&values.notion),
            value::known(base.postgres.as_ref().or(base.notion.as_ref()))
        ),
        ConflictKind::Deleted { on, how } => {
            format!("{name}: {} in {on}; what shall become of the other half?", absence(*how))
        }
    }
}

fn parked(parked: &Parked, columns: &[String]) -> String {
    let name = name(parked.key.as_ref(), parked.page);
    let column =
        parked.field.and_then(|field| columns.get(field)).map_or_else(String::new, |c| format!(" {c}"));
    let limit = parked.reason.limit.as_ref().map_or_else(String::new, |limit| format!(" (at most {limit})"));
    format!("{name}{column} for {}: {}{limit}", parked.side, parked.reason.text)
}

/// A record by its key, or by its page where it has no row yet.
pub(crate) fn name(key: Option<&RowKey>, page: Option<PageId>) -> String {
    match (key, page) {
        (Some(key), _) => key.to_string(),
        (None, Some(page)) => format!("page {page}"),
        (None, None) => "?".to_owned(),
    }
}

/// Why nothing is done, as a sentence without its end.
pub(crate) fn why(why: &Why) -> String {
    match why {
        Why::Unreadable(side, reason) => format!("{side} could not be read: {reason}"),
        Why::Direction => "the mapping does not flow that way".to_owned(),
        Why::Kept(side) => format!("gone in {side}, and the mapping keeps the other half"),
        Why::Away(how) => format!("the page is {}, which is no deletion", absence(*how)),
        Why::Double { candidates } => format!(
            "several records fit one another, and which belong together is for a person to say: {}",
            candidates.join(", ")
        ),
        Why::Asked => {
            "it may belong to one that is there, and waits for somebody to say so or not (`pagerow recover from-notion --dry-run` says why)"
                .to_owned()
        }
        Why::InDoubt => "a write of which nobody knows yet whether it happened".to_owned(),
        Why::Paused { column } => format!("{column} is paused; `pagerow schema plan` says how to mend it"),
        Why::Waiting => "it failed before, and its time to try again has not come".to_owned(),
        Why::JustGone(side) => {
            format!("just found gone in {side}; the other half follows when a later look finds it gone again")
        }
    }
}

pub(crate) fn absence(how: Absence) -> &'static str {
    match how {
        Absence::Deleted => "deleted",
        Absence::Trashed => "in the trash",
        Absence::Archived => "archived",
        Absence::Moved => "moved elsewhere",
        Absence::Unreachable => "out of reach",
        Absence::OutOfScope => "outside of the mapping's condition",
    }
}

#[cfg(test)]
mod tests;
