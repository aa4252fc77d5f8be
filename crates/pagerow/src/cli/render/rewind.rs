//! What going back to a moment would do, what stays as it is and why, as text.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{plan_text, table::counted, undo};
use crate::engine::{Report, RewindPlan};

/// The plan, and what stays.
pub(crate) fn rewind(plan: &RewindPlan, at: Timestamp, forecast: (u64, f64), everything: bool) -> String {
    let mut out = String::new();
    if !plan.plan.is_empty() {
        out = plan_text::plan(&plan.plan, &plan.refusals, forecast, everything);
    } else if plan.left.is_empty() && plan.unreached.is_empty() {
        let _ = writeln!(out, "nothing that pagerow wrote since {at} has to go back");
    }
    out.push_str(&undo::stays(&plan.left, everything));
    for (mapping, begins) in &plan.unreached {
        let _ = writeln!(
            out,
            "{mapping} stays as it is: its history begins at {begins}, and what was there before nobody wrote down"
        );
    }
    if plan.already > 0 {
        let already = counted(plan.already, "row or page is", "rows and pages are");
        let _ = writeln!(out, "{already} already as at that time");
    }
    out
}

/// What was done.
pub(crate) fn done(plan: &RewindPlan, at: Timestamp, report: &Report) -> String {
    let run = report
        .run
        .map_or_else(String::new, |run| format!(" by run {run}, which `pagerow undo {run}` takes back"));
    let stays = match plan.left.len() as u64 {
        0 => String::new(),
        left => format!("; {} as it is", counted(left, "thing stays", "things stay")),
    };
    if report.quiet {
        format!("everything asked for is as it was at {at}{run}{stays}")
    } else {
        format!(
            "went back to {at} in part{run}{stays}; what failed is in `pagerow show {}`, and the same command goes on",
            report.run.unwrap_or_default()
        )
    }
}
