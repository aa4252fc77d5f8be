//! Where each mapping stands, as text and JSON.

use jiff::Timestamp;
use serde::Serialize;

use super::table::table;
use crate::cli::progress::duration;

/// One mapping, as far as the store knows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MappingStatus {
    pub(crate) mapping: String,
    /// `new`, `equal`, `pending`, `waiting` or `paused`.
    pub(crate) state: &'static str,
    pub(crate) links: u64,
    pub(crate) rows: Option<i64>,
    pub(crate) pages: Option<i64>,
    /// Records that have to be looked at again, and writes of which nobody knows yet whether they happened.
    pub(crate) pending: u64,
    pub(crate) conflicts: u64,
    pub(crate) parked: u64,
    pub(crate) last_look: Option<Timestamp>,
    pub(crate) last_full: Option<Timestamp>,
    /// How the last look found changed rows: `triggers`, `poll` (by their edit times) or `scan` (by going through the
    /// table).
    pub(crate) capture: Option<&'static str>,
    /// Seconds since the last look that settled.
    pub(crate) lag: Option<f64>,
    /// Why what is remembered of it is not relied on, if so.
    pub(crate) bases_lost: Option<String>,
}

/// The table of all mappings.
pub(crate) fn status(mappings: &[MappingStatus]) -> String {
    if mappings.is_empty() {
        return "the configuration has no mapping; `pagerow init` proposes some".to_owned();
    }
    let ago = |seconds: Option<f64>| {
        seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{} ago", duration(seconds)))
    };
    let number = |number: Option<i64>| number.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let rows = mappings.iter().map(|one| {
        vec![
            one.mapping.clone(),
            one.state.to_owned(),
            one.links.to_string(),
            number(one.rows),
            number(one.pages),
            one.pending.to_string(),
            one.conflicts.to_string(),
            one.parked.to_string(),
            one.capture.unwrap_or("–").to_owned(),
            ago(one.lag),
        ]
    });
    let head = [
        "mapping",
        "state",
        "links",
        "rows",
        "pages",
        "pending",
        "conflicts",
        "parked",
        "capture",
        "last looked at",
    ];
    let mut out = table(&head, rows, &[2, 3, 4, 5, 6, 7]);
    for one in mappings {
        if let Some(why) = &one.bases_lost {
            out.push_str(&format!(
                "\n{}: what pagerow remembers may be from the past ({why}): nothing is deleted, every difference is a conflict",
                one.mapping
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_was_never_looked_at_says_so() {
        let fresh = MappingStatus {
            mapping: "orders".into(),
            state: "new",
            links: 0,
            rows: None,
            pages: None,
            pending: 0,
            conflicts: 0,
            parked: 0,
            last_look: None,
            last_full: None,
            capture: None,
            lag: None,
            bases_lost: None,
        };
        assert_eq!(
            status(&[fresh]),
            "mapping  state  links  rows  pages  pending  conflicts  parked  capture  last looked at\n\
             orders   new        0     –      –        0          0       0  –        never"
        );
    }
}
