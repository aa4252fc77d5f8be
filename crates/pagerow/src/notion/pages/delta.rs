//! Which pages were edited since an earlier look, on Notion's own clock.

use jiff::{SignedDuration, Timestamp};
use pagerow_core::{
    mutant::{self, Mutant},
    record::PageId,
};
use serde::{Deserialize, Serialize};

use super::{
    api::minute,
    windows::{Minute, Stretch},
};
use crate::replica::Cursor;

/// Minutes before the last edit seen that are asked for again: Notion cuts times to minutes, and its index lags.
const OVERLAP: Minute = 2;
/// After so long without a further edit, the minute of the last one is taken for settled.
const QUIET: SignedDuration = SignedDuration::from_mins(10);
/// Pages that are asked for one by one because they could not be read; with more, everything is looked at.
pub(super) const AGAIN: usize = 50;

/// How far edits have been seen. Moves only by times that Notion itself has said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The latest edit seen, but none later than the beginning of the look that saw it.
    edited: Option<Timestamp>,
    /// When Notion first answered with no later edit than this.
    #[serde(default)]
    since: Option<Timestamp>,
    /// When Notion last answered.
    #[serde(default)]
    asked: Option<Timestamp>,
    /// Pages that could not be read at that time, and may be now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) again: Vec<PageId>,
}

impl Mark {
    /// `None` for a cursor of another kind.
    pub(super) fn read(cursor: &Cursor) -> Option<Self> {
        Self::deserialize(cursor).ok()
    }

    pub(super) fn to_cursor(&self) -> Option<Cursor> {
        serde_json::to_value(self).ok()
    }

    /// From which minute on edits are asked for; `None` is from the beginning.
    pub(super) fn from(&self) -> Option<Minute> {
        let edited = minute(self.edited?);
        let is_quiet = match (self.since, self.asked) {
            (Some(since), Some(asked)) => asked.duration_since(since) >= QUIET,
            _ => false,
        };
        // A long time after it, an edit in that same minute would carry a later time.
        Some(match () {
            () if is_quiet || mutant::is(Mutant::WatermarkIsExclusive) => edited + 1,
            () if mutant::is(Mutant::NoOverlap) => edited,
            () => edited - OVERLAP,
        })
    }

    /// Whether edits were seen that are later than Notion's own time: its clock went back, and what was edited since
    /// carries earlier times than what is asked for.
    pub(super) fn is_ahead_of(&self, now: Timestamp) -> bool {
        // The clocks of several servers differ a little.
        self.edited.is_some_and(|edited| minute(edited) > minute(now) + 1)
    }

    /// The mark after a complete look that began when Notion's clock showed `began`, and saw `latest` as the latest
    /// edit. Edits that happened during the look are left to the next one, since a page may have been read before.
    pub(super) fn after(
        &self,
        latest: Option<Timestamp>,
        began: Option<Timestamp>,
        again: Vec<PageId>,
    ) -> Self {
        let latest = match (latest, began) {
            (Some(latest), Some(began)) => Some(latest.min(began)),
            (latest, None) => latest,
            (None, Some(_)) => None,
        };
        let moves = latest > self.edited;
        Self {
            edited: if moves { latest } else { self.edited },
            since: if moves { began } else { self.since.or(began) },
            asked: began.or(self.asked),
            again,
        }
    }
}

/// A query for edits, answer by answer, latest first.
#[derive(Debug)]
pub(super) struct Delta {
    asks: Stretch,
    /// The earliest minute listed so far.
    reached: Option<Minute>,
    stale_cursors: u32,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Ask,
    Done,
    /// Notion cannot list all edits of one minute: only a full look will do.
    GiveUp,
}

impl Delta {
    pub(super) fn since(from: Option<Minute>) -> Self {
        let asks = Stretch { from, until: None, cursor: None };
        Self { asks, reached: None, stale_cursors: 0 }
    }

    pub(super) fn asks(&self) -> &Stretch {
        &self.asks
    }

    /// Takes an answer: the minutes of its edits, where it goes on, and whether Notion will list no further.
    pub(super) fn answered(&mut self, edits: &[Minute], next_cursor: Option<String>, is_cut: bool) -> Next {
        self.reached = edits.iter().copied().chain(self.reached).min();
        if next_cursor.is_some() {
            self.asks.cursor = next_cursor;
            return Next::Ask;
        }
        if !is_cut {
            return Next::Done;
        }
        // On with the last minute that was begun, unless the list was of that minute alone.
        let until = self.reached.map(|reached| reached + 1);
        if until.is_none() || self.asks.until.is_some_and(|before| until >= Some(before)) {
            return Next::GiveUp;
        }
        self.asks = Stretch { from: self.asks.from, until, cursor: None };
        Next::Ask
    }

    /// The cursor was refused: the list begins again.
    pub(super) fn cursor_went_stale(&mut self) -> Next {
        self.stale_cursors += 1;
        self.asks.cursor = None;
        if self.stale_cursors <= 5 { Next::Ask } else { Next::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn from(mark: &Mark) -> Option<String> {
        mark.from().map(super::super::api::time)
    }

    #[test]
    fn the_mark_moves_by_edits_seen_and_never_beyond_the_looks_beginning() {
        let mark = Mark::default();
        assert_eq!(mark.from(), None, "without edits everything is asked for");
        let mark = mark.after(at("2026-01-01T10:07:00Z"), at("2026-01-01T10:05:30Z"), Vec::new());
        assert_eq!(from(&mark).unwrap(), "2026-01-01T10:03:00Z");
        let mark = mark.after(at("2026-01-01T10:06:00Z"), at("2026-01-01T10:09:00Z"), Vec::new());
        assert_eq!(from(&mark).unwrap(), "2026-01-01T10:04:00Z");
        let earlier = mark.after(at("2026-01-01T09:00:00Z"), at("2026-01-01T10:10:00Z"), Vec::new());
        assert_eq!(from(&earlier).unwrap(), "2026-01-01T10:04:00Z", "never back");
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let mark = Mark::default().after(at("2026-01-03T10:07:00Z"), at("2026-01-03T10:07:30Z"), Vec::new());
        assert!(mark.is_ahead_of(at("2026-01-01T10:08:00Z").unwrap()));
        assert!(!mark.is_ahead_of(at("2026-01-03T10:06:10Z").unwrap()), "a little is nothing");
        assert!(!mark.is_ahead_of(at("2026-01-05T10:08:00Z").unwrap()));
        assert!(!Mark::default().is_ahead_of(at("2026-01-05T10:08:00Z").unwrap()));
    }

    #[test]
    fn a_settled_minute_is_not_listed_for_ever() {
        let edit = at("2026-01-01T10:06:00Z");
        let mut mark = Mark::default().after(edit, at("2026-01-01T10:07:00Z"), Vec::new());
        for minute in 8..17 {
            mark = mark.after(edit, at(&format!("2026-01-01T10:{minute:02}:00Z")), Vec::new());
            assert_eq!(from(&mark).unwrap(), "2026-01-01T10:04:00Z");
        }
        mark = mark.after(edit, at("2026-01-01T10:17:00Z"), Vec::new());
        assert_eq!(from(&mark).unwrap(), "2026-01-01T10:07:00Z");
        mark = mark.after(None, at("2026-01-01T10:18:00Z"), Vec::new());
        assert_eq!(from(&mark).unwrap(), "2026-01-01T10:07:00Z");
        mark = mark.after(at("2026-01-01T10:18:00Z"), at("2026-01-01T10:19:00Z"), Vec::new());
        assert_eq!(from(&mark).unwrap(), "2026-01-01T10:16:00Z", "an edit brings the overlap back");
    }

    #[test]
    fn a_mark_survives_as_a_cursor() {
        let again = vec![PageId::parse("5c6a2821-6bb1-4a7e-b6e1-c50111515c3d").unwrap()];
        let mark = Mark::default().after(at("2026-01-01T10:06:00Z"), at("2026-01-01T10:07:00Z"), again);
        assert_eq!(Mark::read(&mark.to_cursor().unwrap()), Some(mark));
        assert_eq!(Mark::read(&serde_json::json!("c")), None);
    }

    #[test]
    fn a_cut_list_goes_on_or_gives_up() {
        let mut delta = Delta::since(Some(10));
        assert_eq!(delta.answered(&[30, 25], Some("c".into()), true), Next::Ask);
        assert_eq!(delta.answered(&[25, 20], None, true), Next::Ask);
        assert_eq!(*delta.asks(), Stretch { from: Some(10), until: Some(21), cursor: None });
        assert_eq!(delta.answered(&[20, 20], None, true), Next::GiveUp);
        let mut delta = Delta::since(None);
        assert_eq!(delta.answered(&[], None, false), Next::Done);
        assert!((0..9).any(|_| delta.cursor_went_stale() == Next::GiveUp));
    }
}
