//! The audit as text.

use super::{history::moment, plan_text, table::counted};
use crate::store::{AuditRow, AuditVerdict};

/// Entries, one a line.
pub(crate) fn rows(rows: &[AuditRow]) -> String {
    if rows.is_empty() {
        return "nothing has been written yet".to_owned();
    }
    let line = |row: &AuditRow| {
        let entry = &row.entry;
        let mut out = format!("{:>7}  {}  {} of {}", row.seq, moment(entry.at), entry.origin, entry.who);
        if let Some(run) = entry.run {
            out.push_str(&format!(", run {run}"));
        }
        out.push_str(&format!(": {}", entry.action));
        if let Some(mapping) = &entry.mapping {
            out.push_str(&format!(" {mapping} {}", plan_text::name(entry.key.as_ref(), entry.page)));
        }
        if let Some(side) = entry.side {
            out.push_str(&format!(" in {side}"));
        }
        if let Some(about) = &entry.about {
            out.push_str(&format!(" ({about})"));
        }
        out
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a walk along the chain found.
pub(crate) fn verdict(verdict: &AuditVerdict) -> String {
    let mut out = match &verdict.broken {
        None => format!(
            "the audit is intact: {}, the last one is {} with {}",
            counted(verdict.entries.unsigned_abs(), "entry", "entries"),
            verdict.head.seq,
            verdict.head.hash
        ),
        Some(broken) => format!("the audit is broken at entry {}: {}", broken.seq, broken.why),
    };
    if verdict.anchor.seq > 0 {
        out.push_str(&format!("\n  entries up to {} were cut off by retention", verdict.anchor.seq));
    }
    out
}
