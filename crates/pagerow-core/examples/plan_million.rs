//! How long the rules take over 1,000,000 linked records of which one in a hundred changed, and how much memory.
//!
//! As the engine does it: links are kept short (key, page and the digests of both bases), what was observed is a digest
//! too, and only records whose digests differ are planned field by field. Prints seconds and the peak of resident
//! memory.
#![expect(clippy::print_stdout, reason = "a program that measures prints")]

use pagerow_core::{
    digest::Digest,
    guard,
    mapping::{
        ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind,
    },
    number::Number,
    observation::{Identity, Link, Observation, Pair, Sighting},
    plan::Census,
    planner::{Planner, assemble},
    record::{PageId, Record, RowKey},
    side::Sides,
    value::Value,
};

const RECORDS: u64 = 1_000_000;
/// One record in so many changed on one side or the other.
const CHANGED: u64 = 100;

/// What is kept of a link while nothing happens to it.
struct Short {
    key: RowKey,
    page: PageId,
    base: Sides<Digest>,
}

/// What a full look keeps of a record: enough to find those that changed.
struct Seen {
    postgres: Digest,
    notion: Digest,
}

fn main() {
    let measured = measure();
    println!(
        "planned, ordered, hashed and guarded {RECORDS} links in {:.3} s: {} steps, {} conflicts, plan {}",
        measured.seconds, measured.steps, measured.conflicts, measured.hash
    );
    println!("peak memory: {} MiB", resident("VmHWM"));
}

/// What planning took and found.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) steps: usize,
    pub(crate) conflicts: usize,
    pub(crate) hash: Digest,
}

/// Prepares links and what was seen of them, and plans.
pub(crate) fn measure() -> Measured {
    let mapping = mapping();
    let mut scratch = Vec::new();
    let links: Vec<Short> = (0..RECORDS)
        .map(|n| {
            let key = RowKey::from(n.to_string());
            let (row, page) = (record(n, 0), record(n, 0));
            let base = Sides {
                postgres: Digest::of_record(&mapping, &row, None, &mut scratch),
                notion: Digest::of_record(&mapping, &page, Some(key.as_str()), &mut scratch),
            };
            Short { key, page: PageId(uuid::Uuid::from_u128(u128::from(n))), base }
        })
        .collect();
    let observed: Vec<Seen> = links
        .iter()
        .zip(0..)
        .map(|(link, n)| {
            let mut seen = Seen { postgres: link.base.postgres, notion: link.base.notion };
            let (row, page) = now(n);
            if row > 0 {
                seen.postgres = Digest::of_record(&mapping, &record(n, row), None, &mut scratch);
            }
            if page > 0 {
                let marker = Some(link.key.as_str());
                seen.notion = Digest::of_record(&mapping, &record(n, page), marker, &mut scratch);
            }
            seen
        })
        .collect();
    let ((steps, conflicts, hash), planned) = timed(|| {
        let census = Census {
            links: RECORDS,
            records: Sides { postgres: Some(RECORDS), notion: Some(RECORDS) },
            unchanged: 0,
        };
        let mut planner = Planner::new(&mapping, census);
        let mut unchanged = 0;
        for ((link, seen), n) in links.iter().zip(&observed).zip(0..) {
            if seen.postgres == link.base.postgres && seen.notion == link.base.notion {
                unchanged += 1;
            } else {
                planner.consider(&pair(link, seen, n));
            }
        }
        planner.unchanged(unchanged);
        let plan = assemble(vec![planner.finish()], &[&mapping]);
        let counted = (plan.steps().count(), plan.mappings[0].conflicts.len());
        match guard::check(plan, &[], &[]) {
            Ok(approved) => (counted.0, counted.1, approved.hash()),
            Err(refused) => unreachable!("1 % is no mass change: {:?}", refused.refusals),
        }
    });
    Measured { seconds: planned, steps, conflicts, hash }
}

/// What the record holds on each side: 0 as settled, else the number of its edit. Mostly one side, now and then both.
fn now(n: u64) -> (u64, u64) {
    match (n % CHANGED, n / CHANGED % 10) {
        (0, 0..=4) => (1, 0),
        (0, 5..=8) => (0, 2),
        (0, _) => (1, 2),
        _ => (0, 0),
    }
}

/// The pair that the store and the sides would give for a record that differs.
fn pair(link: &Short, seen: &Seen, n: u64) -> Pair {
    let (row, page) = now(n);
    let sight = |edit, digest, marker| {
        if edit == 0 {
            return Observation::Unchanged;
        }
        Observation::Present(Sighting {
            record: record(n, edit),
            digest,
            edited: None,
            editor: None,
            by: None,
            marker,
            checksum: None,
        })
    };
    Pair {
        identity: Identity::Linked(Link {
            id: i64::try_from(n).unwrap_or(i64::MAX),
            key: link.key.clone(),
            page: link.page,
            base: Sides { postgres: record(n, 0), notion: record(n, 0) },
            apart: None,
        }),
        seen: Sides {
            postgres: sight(row, seen.postgres, None),
            notion: sight(page, seen.notion, Some(link.key.to_string())),
        },
    }
}

fn record(n: u64, edit: u64) -> Record {
    Record::new(vec![
        Some(Value::Text(format!("supplier number {n}"))),
        Some(Value::Number(Number::from(i64::try_from(n + edit).unwrap_or(i64::MAX)))),
        Some(Value::Bool(n.is_multiple_of(2))),
        Some(Value::Text(format!(
            "note {edit} about {n}, as long as notes are wont to be, which is a line or so"
        ))),
        Some(Value::Null),
    ])
}

fn mapping() -> Mapping {
    let text = ColumnKind::Text { max: None };
    let whole = ColumnKind::Integer { min: i64::MIN, max: i64::MAX };
    let fields = [
        ("name", text.clone(), PropertyKind::Title),
        ("rating", whole, PropertyKind::Number),
        ("active", ColumnKind::Bool, PropertyKind::Checkbox),
        ("notes", text, PropertyKind::RichText),
        ("since", ColumnKind::Instant, PropertyKind::Date),
    ];
    Mapping {
        name: "suppliers".to_owned(),
        fields: fields
            .into_iter()
            .map(|(column, holds, shows)| Field {
                column: column.to_owned(),
                property: column.to_owned(),
                property_id: column.to_owned(),
                holds,
                shows,
                required: false,
                flow: Flow::Both,
                wins: None,
                labels: std::collections::BTreeMap::new(),
                lens: None,
            })
            .collect(),
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::Ask,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a program that measures needs a clock; the bench includes this file"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

/// A figure of this process's memory in MiB, where the system tells.
fn resident(figure: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kilobytes: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.map_or_else(|| "unknown".to_owned(), |kilobytes| (kilobytes / 1024).to_string())
}
