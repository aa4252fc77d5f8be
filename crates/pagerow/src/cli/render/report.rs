//! What a run did, as a table.

use std::collections::BTreeSet;

use super::table::{counted, table};
use crate::{cli::progress::duration, engine::Report};

/// The report of a run beside so many pauses.
pub(crate) fn report(report: &Report, paused: usize) -> String {
    let numbers = |numbers: [u64; 3]| {
        if numbers == [0; 3] { "–".to_owned() } else { numbers.map(|n| n.to_string()).join(" / ") }
    };
    let rows = report.mappings.iter().map(|one| {
        vec![
            one.mapping.clone(),
            numbers([one.to_notion.created, one.to_notion.updated, one.to_notion.trashed]),
            numbers([one.to_postgres.inserted, one.to_postgres.updated, one.to_postgres.deleted]),
            one.unchanged.to_string(),
            one.conflicts.to_string(),
            one.parked.to_string(),
            one.doubles.to_string(),
        ]
    });
    let head = [
        "mapping",
        "pages new/changed/trashed",
        "rows new/changed/deleted",
        "unchanged",
        "conflicts",
        "parked",
        "doubles",
    ];
    let mut out = table(&head, rows, &[1, 2, 3, 4, 5, 6]);
    let revived: u64 = report.mappings.iter().map(|one| one.revived).sum();
    if let (1.., Some(run)) = (revived, report.run) {
        out.push_str(&format!(
            "\n{} on one side gave way to an edit on the other (`pagerow show {run}` tells which)",
            counted(revived, "deletion", "deletions")
        ));
    }
    let run = report.run.map_or_else(|| "nothing to do".to_owned(), |run| format!("run {run}"));
    let rate = if report.seconds >= 1.0 && report.calls > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = report.calls as f64 / report.seconds;
        format!(" ({rate:.1} a second)")
    } else {
        String::new()
    };
    for one in &report.mappings {
        if let Some(why) = &one.bases_lost {
            out.push_str(&format!(
                "\n{}: what pagerow remembers may be from the past ({why}): nothing is deleted, every difference is a conflict",
                one.mapping
            ));
        }
    }
    out.push_str(&format!(
        "\n{run}: {} to Notion{rate} in {}; {}",
        counted(report.calls, "call", "calls"),
        duration(report.seconds),
        verdict(report, paused)
    ));
    out
}

fn verdict(report: &Report, paused: usize) -> String {
    let sum = |of: fn(&crate::engine::MappingReport) -> u64| report.mappings.iter().map(of).sum::<u64>();
    let stopped: BTreeSet<&str> = report.stopped.iter().map(|stop| stop.mapping.as_str()).collect();
    let stopped = stopped.len() as u64;
    let all = sum(|m| m.conflicts + m.parked + m.doubles + m.asked) + stopped;
    let wait = if all == 1 { "waits" } else { "wait" };
    let waiting = [
        (sum(|m| m.conflicts), "conflict", "conflicts", Some("`pagerow conflicts`")),
        (sum(|m| m.parked), "parked record", "parked records", Some("`pagerow parked`")),
        (sum(|m| m.doubles), "double", "doubles", Some("`pagerow plan`")),
        (sum(|m| m.asked), "unanswered match", "unanswered matches", Some("`pagerow recover choices`")),
        (stopped, "stopped mapping", "stopped mappings", None),
    ];
    let waiting = waiting.into_iter().filter(|(number, ..)| *number > 0);
    let (waiting, listed): (Vec<String>, Vec<Option<&str>>) =
        waiting.map(|(number, one, many, by)| (counted(number, one, many), by)).unzip();
    let listed: Vec<&str> = listed.into_iter().flatten().collect();
    let listed = if listed.is_empty() { String::new() } else { format!(" ({})", listed.join(", ")) };
    match (report.quiet, waiting.is_empty()) {
        (true, true) if paused > 0 => "both sides are equal but for what is paused".to_owned(),
        (true, true) => "both sides are equal".to_owned(),
        (true, false) => format!(
            "both sides are equal but for {}, which {wait} for a decision{listed}",
            waiting.join(", ")
        ),
        (false, true) => "something is left to do; the next `pagerow sync` goes on".to_owned(),
        (false, false) => {
            format!("something is left to do, and {} {wait} for a decision{listed}", waiting.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MappingReport;

    #[test]
    fn a_report_is_a_table_with_a_verdict() {
        let mut told = Report {
            run: Some(7),
            mappings: vec![MappingReport {
                mapping: "orders".into(),
                unchanged: 12,
                ..MappingReport::default()
            }],
            calls: 2,
            seconds: 0.4,
            quiet: true,
            stopped: Vec::new(),
        };
        told.mappings[0].to_notion.created = 2;
        assert_eq!(
            report(&told, 0),
            "mapping  pages new/changed/trashed  rows new/changed/deleted  unchanged  conflicts  parked  doubles\n\
             orders                   2 / 0 / 0                         –         12          0       0        0\n\
             run 7: 2 calls to Notion in less than a second; both sides are equal"
        );
        told.mappings[0].parked = 1;
        told.run = None;
        assert!(report(&told, 0).ends_with(
            "nothing to do: 2 calls to Notion in less than a second; both sides are equal but for 1 parked record, which waits for a decision (`pagerow parked`)"
        ));
    }
}
