//! Which stretch of creation time is asked for next, so that every page is listed and few calls are spent twice.
//!
//! A data source is read in order of creation. Each window is a half-open stretch of whole minutes, together they
//! are all of time, and the last one has no end: what is created during the read belongs to it. A window is done
//! when Notion says that its list is complete, or when the list has come to a row behind the window's end. Where
//! Notion lists no further (10,000 rows), the window begins again at the last minute it came to.
//!
//! Reading starts with one window. It is split only while calls would otherwise be left unused, and only as often
//! as a small share of the calls allows, since each split costs up to one call.

use pagerow_core::mutant::{self, Mutant};
use serde::{Deserialize, Serialize};

/// Minutes since 1970 in UTC: as exact as Notion shows times.
pub(super) type Minute = i64;

/// Rows that Notion lists for one query at most.
const LISTED: u64 = 10_000;
/// Rows that a data source can hold, in round figures.
const HELD: u64 = 250_000;
/// Of a long window so many rows are left to the lower half: it then ends before Notion stops listing.
const AHEAD: u64 = 8_000;
/// A split has to be worth its call.
const WORTH_SPLITTING: u64 = 500;
/// For every so many calls, one more than necessary is granted; with the first of these, another one that tells up to
/// where splitting makes sense.
const CALLS_PER_EXTRA: u64 = 80;
/// How often a list whose cursor went stale is taken up again without coming any further.
const STALE_CURSORS: u32 = 5;

/// All windows of one read. What is written down of them is enough to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Windows {
    windows: Vec<Window>,
    newest: Newest,
    answers: u64,
    extra: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Window {
    until: Option<Minute>,
    asks: Stretch,
    state: State,
    /// The minute of the last row listed.
    reached: Option<Minute>,
    /// Rows listed since the list began.
    listed: u64,
    /// Rows a minute in the last answer.
    density: f64,
    /// Notion will stop listing before the list's end.
    is_cut: bool,
    /// Rows came in another order than asked for: only the end of the list is its end.
    is_unordered: bool,
    stale_cursors: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Ready,
    Asked,
    Done,
}

/// What is known of the newest row: up to where splitting makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Newest {
    Unknown,
    Wanted,
    Asked,
    Known(Option<Minute>),
}

/// One call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The next rows of this window.
    Rows(usize, Stretch),
    /// The newest rows, latest first.
    Newest,
}

/// A filter on the creation time, and where its list goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) from: Option<Minute>,
    pub(super) until: Option<Minute>,
    pub(super) cursor: Option<String>,
}

/// What one answer showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    /// Minutes of creation of the rows that could be read, in the answer's order.
    pub(super) minutes: Vec<Minute>,
    pub(super) next_cursor: Option<String>,
    /// Notion said that it will not list everything.
    pub(super) is_cut: bool,
}

/// More pages were created in one minute than Notion lists: no window can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooDense(pub(super) Minute);

impl Default for Windows {
    fn default() -> Self {
        Self::new()
    }
}

impl Windows {
    /// One window over all of time.
    pub(super) fn new() -> Self {
        Self { windows: vec![Window::new(None, None)], newest: Newest::Unknown, answers: 0, extra: 0 }
    }

    /// The same windows with nothing on its way: what had been asked is asked again.
    pub(super) fn taken_up(mut self) -> Self {
        for window in self.windows.iter_mut().filter(|window| window.state == State::Asked) {
            window.state = State::Ready;
        }
        if self.newest == Newest::Asked {
            self.newest = Newest::Wanted;
        }
        self
    }

    /// The next call to make, if there is one that does not wait for another's answer.
    pub(super) fn next(&mut self) -> Option<Ask> {
        if self.newest == Newest::Wanted {
            self.newest = Newest::Asked;
            return Some(Ask::Newest);
        }
        let (at, window) = self.windows.iter_mut().enumerate().find(|(_, w)| w.state == State::Ready)?;
        window.state = State::Asked;
        Some(Ask::Rows(at, window.asks.clone()))
    }

    /// Makes one more call possible at once, if that is worth it. To be called only while the rate limit leaves
    /// calls unused.
    pub(super) fn widen(&mut self) -> bool {
        let least = if self.windows.iter().any(|w| w.is_cut) { LISTED / 100 } else { 0 };
        let calls = self.answers.max(least);
        let splits = calls / CALLS_PER_EXTRA;
        let allowed = splits + u64::from(splits > 0);
        if self.extra >= allowed || self.is_done() {
            return false;
        }
        match self.newest {
            Newest::Unknown => {
                self.newest = Newest::Wanted;
                self.extra += 1;
                true
            }
            Newest::Wanted | Newest::Asked | Newest::Known(None) => false,
            Newest::Known(Some(newest)) => self.split(newest),
        }
    }

    /// Takes the answer to [`Ask::Newest`].
    pub(super) fn newest(&mut self, listed: &Listed) {
        self.answers += 1;
        self.newest = Newest::Known(listed.minutes.iter().copied().max());
    }

    /// Takes the answer to [`Ask::Rows`].
    pub(super) fn answered(&mut self, window: usize, listed: Listed) -> Result<(), TooDense> {
        self.answers += 1;
        let Some(window) = self.windows.get_mut(window) else { return Ok(()) };
        window.note(&listed);
        let passed = |until| window.reached.is_some_and(|reached| reached >= until);
        if !window.is_unordered && window.until.is_some_and(passed) {
            window.state = State::Done;
        } else if listed.next_cursor.is_some() {
            window.asks.cursor = listed.next_cursor;
            window.state = State::Ready;
        } else if listed.is_cut && !mutant::is(Mutant::CutListIsWhole) {
            let rest = window.go_on_behind_the_cut()?;
            self.windows.extend(rest);
        } else {
            window.state = State::Done;
        }
        Ok(())
    }

    /// The cursor of a window's call was refused: its list begins again where it had come to. `false` when that
    /// has not helped before.
    pub(super) fn cursor_went_stale(&mut self, window: usize) -> bool {
        self.answers += 1;
        let Some(window) = self.windows.get_mut(window) else { return false };
        window.stale_cursors += 1;
        window.begin_again(if window.is_unordered {
            window.asks.from
        } else {
            window.reached.or(window.asks.from)
        });
        window.stale_cursors <= STALE_CURSORS
    }

    /// Whether every window has come to its end.
    pub(super) fn is_done(&self) -> bool {
        self.windows.iter().all(|window| window.state == State::Done)
    }

    /// Cuts the window with the most rows left, as far as can be guessed, in two.
    fn split(&mut self, newest: Minute) -> bool {
        let best = self
            .windows
            .iter()
            .enumerate()
            .filter_map(|(at, window)| Some((window.rows_left(newest)?, at)))
            .max()
            .filter(|(rows, _)| *rows >= WORTH_SPLITTING);
        let Some((rows, at)) = best else { return false };
        let window = &mut self.windows[at];
        let (Some(reached), end) = (window.reached, window.end(newest)) else { return false };
        let ahead = if window.is_cut { (rows / 2).min(AHEAD) } else { rows / 2 };
        #[expect(clippy::cast_possible_truncation, reason = "a guess, kept inside the window just below")]
        let minutes = (ahead as f64 / window.density) as Minute;
        let middle = (reached + minutes).clamp(reached + 1, end - 1);
        let upper = Window::new(Some(middle), window.until);
        window.until = Some(middle);
        self.windows.push(upper);
        self.extra += 1;
        true
    }
}

impl Window {
    fn new(from: Option<Minute>, until: Option<Minute>) -> Self {
        Self {
            until,
            asks: Stretch { from, until, cursor: None },
            state: State::Ready,
            reached: None,
            listed: 0,
            density: 0.0,
            is_cut: false,
            is_unordered: false,
            stale_cursors: 0,
        }
    }

    fn note(&mut self, listed: &Listed) {
        self.is_cut |= listed.is_cut;
        self.listed += listed.minutes.len() as u64;
        let (Some(first), Some(last)) = (listed.minutes.first(), listed.minutes.last()) else { return };
        self.is_unordered |=
            !listed.minutes.is_sorted() || self.reached.is_some_and(|reached| *first < reached);
        if self.reached.is_none_or(|reached| reached < *last) {
            self.stale_cursors = 0;
        }
        self.density = listed.minutes.len() as f64 / (last - first + 1).max(1) as f64;
        self.reached = self.reached.max(Some(*last));
    }

    /// Begins the list again at the last minute it came to. Where it did not get beyond its first minute, that
    /// minute is asked for alone; the rest is another window's.
    fn go_on_behind_the_cut(&mut self) -> Result<Option<Self>, TooDense> {
        let too_dense = TooDense(self.reached.or(self.asks.from).unwrap_or_default());
        let Some(reached) = self.reached.filter(|_| !self.is_unordered) else { return Err(too_dense) };
        if self.asks.from.is_none_or(|from| from < reached) {
            self.begin_again(Some(reached));
            return Ok(None);
        }
        if self.asks.until == Some(reached + 1) {
            return Err(too_dense);
        }
        let rest = Self::new(Some(reached + 1), self.until);
        self.until = Some(reached + 1);
        self.begin_again(Some(reached));
        Ok((rest.until != rest.asks.from).then_some(rest))
    }

    fn begin_again(&mut self, from: Option<Minute>) {
        self.asks = Stretch { from, until: self.until, cursor: None };
        self.state = State::Ready;
        self.listed = 0;
        self.is_cut = false;
    }

    fn end(&self, newest: Minute) -> Minute {
        self.until.unwrap_or(newest + 1)
    }

    /// A guess at the rows that are still to come, from the density where it is now; `None` where nothing can be
    /// split off.
    fn rows_left(&self, newest: Minute) -> Option<u64> {
        let minutes = self.end(newest) - self.reached? - 1;
        if self.state == State::Done || minutes < 2 || self.is_unordered {
            return None;
        }
        let most = if self.is_cut { HELD } else { LISTED.saturating_sub(self.listed) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a guess of positive factors; too large becomes the largest"
        )]
        let rows = (self.density * minutes as f64) as u64;
        Some(rows.min(most))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// A data source of rows by their minute of creation, which answers as Notion does.
    struct Notion {
        rows: Vec<Minute>,
        cap: usize,
        page: usize,
    }

    impl Notion {
        fn answer(&self, ask: &Ask) -> Listed {
            let Ask::Rows(_, Stretch { from, until, cursor }) = ask else {
                let minutes = self.rows.iter().rev().take(self.page).copied().collect();
                return Listed { minutes, ..Listed::default() };
            };
            let start = from.map_or(0, |from| self.rows.partition_point(|row| *row < from));
            let end = until.map_or(self.rows.len(), |until| self.rows.partition_point(|row| *row < until));
            let is_cut = end.saturating_sub(start) > self.cap;
            let matching = &self.rows[start..end.max(start)];
            let given: usize = cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
            let most = matching.len().min(self.cap);
            let to = (given + self.page).min(most);
            Listed {
                minutes: matching[given..to].to_vec(),
                next_cursor: (to < most).then(|| to.to_string()),
                is_cut,
            }
        }
    }

    #[derive(Debug)]
    struct Read {
        calls: usize,
        most_at_once: usize,
        /// How many rows were listed for each minute.
        rows: BTreeMap<Minute, usize>,
    }

    /// Reads everything with at most `abreast` calls on their way.
    fn read(notion: &Notion, abreast: usize) -> Result<Read, TooDense> {
        let mut windows = Windows::new();
        let mut on_their_way = VecDeque::new();
        let mut read = Read { calls: 0, most_at_once: 0, rows: BTreeMap::new() };
        loop {
            while on_their_way.len() < abreast {
                if let Some(ask) = windows.next() {
                    on_their_way.push_back(ask);
                } else if !windows.widen() {
                    break;
                }
            }
            read.most_at_once = read.most_at_once.max(on_their_way.len());
            let Some(ask) = on_their_way.pop_front() else { break };
            read.calls += 1;
            let listed = notion.answer(&ask);
            match ask {
                Ask::Newest => windows.newest(&listed),
                Ask::Rows(window, _) => {
                    for minute in &listed.minutes {
                        *read.rows.entry(*minute).or_default() += 1;
                    }
                    windows.answered(window, listed)?;
                    assert!(read.calls < 100_000, "it ends");
                }
            }
        }
        assert!(windows.is_done());
        Ok(read)
    }

    /// Every row is listed; rows of a minute that was begun twice are listed twice.
    fn assert_whole(notion: &Notion, read: &Read) {
        let mut wanted = BTreeMap::<Minute, usize>::new();
        notion.rows.iter().for_each(|minute| *wanted.entry(*minute).or_default() += 1);
        for (minute, rows) in wanted {
            let listed = read.rows.get(&minute).copied().unwrap_or_default();
            assert!(listed >= rows, "minute {minute}: {listed} of {rows} rows");
        }
    }

    fn evenly(rows: usize, minutes: usize) -> Vec<Minute> {
        (0..rows).map(|row| 29_000_000 + (row * minutes / rows.max(1)) as Minute).collect()
    }

    /// Long silence, then nearly everything within hours, then silence again.
    fn in_a_burst(rows: usize) -> Vec<Minute> {
        let mut minutes = vec![28_000_000];
        minutes.extend((0..rows).map(|row| 29_000_000 + (row / 170) as Minute));
        minutes.push(29_900_000);
        minutes
    }

    fn notion(rows: Vec<Minute>) -> Notion {
        Notion { rows, cap: 10_000, page: 100 }
    }

    #[test]
    fn small_data_sources_cost_nothing_extra() {
        for rows in [0, 1, 99, 100, 101, 250, 700] {
            let read = read(&notion(evenly(rows, 9_999)), 16).unwrap();
            assert_eq!(read.calls, rows.div_ceil(100).max(1), "{rows} rows");
            assert_eq!(read.rows.values().sum::<usize>(), rows);
        }
    }

    #[test]
    fn large_ones_stay_near_the_ideal_and_are_read_abreast() {
        for (rows, shape) in [
            (10_000, "evenly"),
            (10_000, "in a burst"),
            (100_000, "evenly"),
            (100_000, "in a burst"),
            (250_000, "evenly"),
        ] {
            let minutes = if shape == "evenly" { evenly(rows, 500_000) } else { in_a_burst(rows) };
            let notion = notion(minutes);
            let ideal = notion.rows.len().div_ceil(100) + 1 + notion.rows.len().div_ceil(10_000) - 1;
            for abreast in [1, 16] {
                let read = read(&notion, abreast).unwrap();
                println!(
                    "{rows} {shape}, {abreast} abreast: {} calls of {ideal} ({:.2} %), {} at once",
                    read.calls,
                    read.calls as f64 / ideal as f64 * 100.0 - 100.0,
                    read.most_at_once
                );
                assert_whole(&notion, &read);
                assert!(read.calls as f64 <= 1.02 * ideal as f64 + 1.0, "{} of {ideal}", read.calls);
                assert!(abreast == 1 || read.most_at_once >= 2, "{} at once", read.most_at_once);
            }
        }
    }

    #[test]
    fn more_in_one_minute_than_is_listed_fails_loudly() {
        let mut rows = evenly(300, 300);
        rows.extend(std::iter::repeat_n(29_000_500, 10_001));
        rows.extend((0..300).map(|row| 29_001_000 + row));
        for abreast in [1, 8] {
            assert_eq!(read(&notion(rows.clone()), abreast).unwrap_err(), TooDense(29_000_500));
        }
        rows.remove(400);
        let fits = notion(rows);
        assert_whole(&fits, &read(&fits, 1).unwrap());
    }

    #[test]
    fn a_stale_cursor_begins_the_list_again_where_it_was() {
        let mut windows = Windows::new();
        assert_eq!(windows.next(), Some(Ask::Rows(0, Stretch::default())));
        let listed = Listed { minutes: vec![5, 9], next_cursor: Some("c".into()), is_cut: false };
        windows.answered(0, listed).unwrap();
        assert!(matches!(windows.next(), Some(Ask::Rows(0, Stretch { cursor: Some(_), .. }))));
        assert!(windows.cursor_went_stale(0));
        let again = Stretch { from: Some(9), until: None, cursor: None };
        assert_eq!(windows.next(), Some(Ask::Rows(0, again)));
        assert!((0..10).any(|_| !windows.cursor_went_stale(0)), "but not for ever");
    }

    #[test]
    fn a_reading_that_is_taken_up_again_misses_nothing() {
        let notion = notion(evenly(2_500, 9_000));
        let mut windows = Windows::new();
        let mut listed = Vec::new();
        for _ in 0..200 {
            // Two calls go out, one is answered, and then the program is killed.
            let Some(ask) = windows.next() else { break };
            let _unanswered = windows.next();
            let answer = notion.answer(&ask);
            match ask {
                Ask::Newest => windows.newest(&answer),
                Ask::Rows(window, _) => {
                    listed.extend(answer.minutes.clone());
                    windows.answered(window, answer).unwrap();
                }
            }
            windows.widen();
            let kept = serde_json::to_string(&windows).unwrap();
            windows = serde_json::from_str::<Windows>(&kept).unwrap().taken_up();
        }
        assert!(windows.is_done());
        assert_eq!(listed.len(), 2_500);
    }

    #[test]
    fn rows_out_of_order_prove_no_end() {
        let mut windows = Windows::new();
        windows.next();
        let listed = |minutes: &[Minute], next: Option<&str>| Listed {
            minutes: minutes.to_vec(),
            next_cursor: next.map(Into::into),
            is_cut: false,
        };
        windows.answered(0, listed(&[5, 3], Some("a"))).unwrap();
        windows.windows[0].until = Some(4);
        windows.next();
        windows.answered(0, listed(&[6], Some("b"))).unwrap();
        assert!(!windows.is_done());
        windows.next();
        windows.answered(0, listed(&[], None)).unwrap();
        assert!(windows.is_done());
    }

    proptest! {
        /// Whatever the distribution, the caps and the number of calls at once, no row is missed and it ends.
        #[test]
        fn nothing_is_missed(
            gaps in prop::collection::vec((0_i64..400, 1_usize..40), 1..120),
            page in 1_usize..20,
            cap in 45_usize..200,
            abreast in 1_usize..6,
        ) {
            let mut minute = 29_000_000;
            let mut rows = Vec::new();
            for (gap, many) in gaps {
                minute += gap + 1;
                rows.extend(std::iter::repeat_n(minute, many));
            }
            let notion = Notion { rows, cap, page };
            let read = read(&notion, abreast).unwrap();
            assert_whole(&notion, &read);
        }
    }
}
