//! How far long work is: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    console::{Console, to_stderr},
    render::table::counted,
};
use crate::engine::{Event, Progress};

/// Between two pictures of the bar.
const TICK: Duration = Duration::from_millis(120);

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(3);

/// Shows progress; gone from the terminal when it is finished.
pub(super) struct Meter(Option<std::sync::Arc<Shown>>);

enum Shown {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

/// Plain lines, at most one every few seconds.
struct Lines {
    last: Instant,
    /// When the steps began to be carried out.
    began: Instant,
    /// How many pages had been retrieved when, before this process went on.
    retrieved: (u64, Instant),
    /// What was last said of writes without an answer, by mapping.
    doubts: BTreeMap<String, usize>,
}

impl Meter {
    /// A meter that fits the console: none with `--json` or `-q`.
    pub(super) fn new(console: &Console) -> Self {
        if !console.tells_progress() {
            return Self(None);
        }
        let shown = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
            bar.set_style(spinner());
            Shown::Bar(bar)
        } else {
            let now = Instant::now();
            Shown::Lines(Mutex::new(Lines {
                last: now,
                began: now,
                retrieved: (0, now),
                doubts: BTreeMap::new(),
            }))
        };
        Self(Some(std::sync::Arc::new(shown)))
    }

    /// What the engine tells its progress to.
    pub(super) fn listener(&self) -> Progress {
        let Some(shown) = self.0.clone() else { return Progress::silent() };
        Progress::to(move |event| match &*shown {
            Shown::Bar(bar) => draw(bar, event),
            Shown::Lines(lines) => {
                if let Ok(mut lines) = lines.lock()
                    && let Some(text) = lines.next(event, Instant::now())
                {
                    to_stderr(&text);
                }
            }
        })
    }

    /// Says what is being done now.
    pub(super) fn say(&self, text: &str) {
        if let Some(Shown::Bar(bar)) = self.0.as_deref() {
            bar.set_message(text.to_owned());
        }
    }

    /// Shows progress again, after an end.
    pub(super) fn go_on(&self) {
        if let Some(Shown::Bar(bar)) = self.0.as_deref() {
            bar.reset();
            bar.set_style(spinner());
            bar.enable_steady_tick(TICK);
        }
    }

    /// Clears the bar away.
    pub(super) fn finish(&self) {
        if let Some(Shown::Bar(bar)) = self.0.as_deref() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.finish();
    }
}

fn draw(bar: &ProgressBar, event: &Event<'_>) {
    match event {
        Event::Looked { mapping, side, records } => {
            bar.set_message(format!("looking at {mapping} in {side}: {records} records"));
        }
        Event::TakenUp { operation, pages } => bar.println(taken_up(*operation, *pages)),
        Event::Retrieved { mapping, pages, expected, seconds } => {
            let expected = expected.map_or_else(String::new, |expected| format!(" of about {expected}"));
            let left = seconds.map_or_else(String::new, |left| format!(" · {} left", duration(left)));
            bar.set_message(format!("retrieving {mapping}: {pages}{expected} pages{left}"));
        }
        Event::Planned { steps: 0, .. } => {}
        Event::Planned { steps, .. } => {
            bar.reset();
            bar.set_length(*steps);
            bar.set_style(steps_style());
            bar.set_message("writing");
        }
        Event::Stepped { mapping, done, total, .. } => {
            bar.set_position(*done);
            if done == total {
                bar.set_style(spinner());
                bar.set_message("looking whether anything is left");
            } else {
                bar.set_message((*mapping).to_owned());
            }
        }
        Event::Waiting { holder, seconds } => {
            bar.set_message(format!("waiting for another pagerow ({holder}), for {seconds} s at most"));
        }
        Event::BasesLost { mapping, why } => {
            bar.println(bases_lost(mapping, why));
        }
        Event::InDoubt { mapping, writes, .. } => {
            bar.set_style(spinner());
            bar.set_message(format!("{mapping}: looking what became of {writes} writes without an answer"));
        }
    }
}

fn taken_up(operation: i64, pages: u64) -> String {
    format!(
        "going on with recovery {operation}: {} retrieved already",
        counted(pages, "page is", "pages are")
    )
}

fn bases_lost(mapping: &str, why: &str) -> String {
    format!(
        "{mapping}: what pagerow remembers may be from the past ({why}): everything is compared anew, nothing is deleted or \
         written over, and every difference becomes a conflict"
    )
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn steps_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} · {per_sec} · {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Lines {
    /// The line for an event, if it is time for one.
    fn next(&mut self, event: &Event<'_>, now: Instant) -> Option<String> {
        let due = now.duration_since(self.last) >= PAUSE;
        let text = match event {
            Event::Planned { steps: 0, .. } => return None,
            Event::Planned { steps, seconds } => {
                self.began = now;
                format!(
                    "{} planned, about {} by the rate limit",
                    counted(*steps, "write is", "writes are"),
                    duration(*seconds)
                )
            }
            Event::BasesLost { mapping, why } => bases_lost(mapping, why),
            Event::TakenUp { operation, pages } => {
                self.retrieved = (*pages, now);
                taken_up(*operation, *pages)
            }
            Event::Retrieved { mapping, pages, expected, seconds } if due => {
                let (before, began) = self.retrieved;
                let took = now.duration_since(began).as_secs_f64().max(0.001);
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = pages.saturating_sub(before) as f64 / took;
                let expected = expected.map_or_else(String::new, |expected| format!(" of about {expected}"));
                let left = seconds.map_or_else(String::new, |left| format!(", {} left", duration(left)));
                format!("retrieving {mapping}: {pages}{expected} pages, {rate:.0} a second{left}")
            }
            Event::InDoubt { mapping, writes, seconds } => {
                // It is looked at every few seconds, and told when it has changed.
                if self.doubts.insert((*mapping).to_owned(), *writes) == Some(*writes) {
                    return None;
                }
                format!(
                    "{mapping}: looking what became of {} without an answer, for {} at most",
                    counted(*writes as u64, "write", "writes"),
                    duration(*seconds)
                )
            }
            Event::Waiting { holder, seconds } if due => {
                format!("waiting for another pagerow ({holder}), for {seconds} s at most")
            }
            Event::Looked { mapping, side, records } if due => {
                format!("looking at {mapping} in {side}: {records} records")
            }
            Event::Stepped { mapping, done, total, .. } if due && done < total => {
                let seconds = now.duration_since(self.began).as_secs_f64().max(0.001);
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let (rate, left) = (*done as f64 / seconds, (total - done) as f64);
                format!(
                    "{mapping}: {done} of {total} written, {rate:.1} a second, {} left",
                    duration(left / rate)
                )
            }
            Event::Looked { .. }
            | Event::Retrieved { .. }
            | Event::Stepped { .. }
            | Event::Waiting { .. } => return None,
        };
        self.last = now;
        Some(text)
    }
}

/// A length of time as people say it.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration for people")]
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0 if seconds > 0.0 => "less than a second".to_owned(),
        0..=119 => format!("{whole} s"),
        120..=7_199 => format!("{} min", whole.div_ceil(60)),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use pagerow_core::side::Side;

    use super::*;

    #[test]
    fn plain_lines_keep_their_distance() {
        let start = Instant::now();
        let mut lines = Lines { last: start, began: start, retrieved: (0, start), doubts: BTreeMap::new() };
        let looked = Event::Looked { mapping: "a", side: Side::Notion, records: 500 };
        assert_eq!(lines.next(&looked, start + Duration::from_secs(1)), None);
        assert_eq!(
            lines.next(&looked, start + Duration::from_secs(4)).as_deref(),
            Some("looking at a in Notion: 500 records")
        );
        assert_eq!(lines.next(&looked, start + Duration::from_secs(5)), None);
        let planned = Event::Planned { steps: 360, seconds: 119.4 };
        assert_eq!(
            lines.next(&planned, start + Duration::from_secs(5)).as_deref(),
            Some("360 writes are planned, about 119 s by the rate limit")
        );
    }

    #[test]
    fn durations_read_like_people_say_them() {
        assert_eq!(duration(0.0), "0 s");
        assert_eq!(duration(0.2), "less than a second");
        assert_eq!(duration(90.0), "90 s");
        assert_eq!(duration(121.0), "3 min");
        assert_eq!(duration(7_260.0), "2 h 1 min");
    }
}
