//! Keeping the sides equal for as long as it is wanted: a pass when a mapping's time has come or somebody calls.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Depth, Engine, EngineError, Parts, report::Report};

/// The pause after the first pass that failed; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// When each mapping is looked at.
#[derive(Clone, Debug)]
pub struct Schedule {
    slots: Vec<Slot>,
    /// The longest pause between two tries while passes fail.
    pub longest_pause: Duration,
    /// Gives the lease back after each pass, so that commands can work in between.
    pub shares: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    mapping: String,
    interval: Duration,
    /// `None`: at once.
    due: Option<Instant>,
    /// How many passes over it have failed in a row.
    failures: u32,
}

/// Calls for a look before its time. A call during a pass brings about another one right after it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Wake(Arc<tokio::sync::Notify>);

impl Wake {
    /// Something may have happened; only the look will tell.
    pub fn call(&self) {
        self.0.notify_one();
    }
}

/// What the loop tells.
#[derive(Debug)]
pub enum Beat<'a> {
    /// A pass over these mappings begins.
    Begins { mappings: &'a [String] },
    /// A pass over these mappings is over. Those that the guard stopped are tried again with growing pauses.
    Ended {
        mappings: &'a [String],
        result: Result<Report, EngineError>,
        /// Until the next pass, unless somebody calls.
        pause: Duration,
    },
}

impl Schedule {
    /// Each mapping with the time between two looks at it. All of them are due at once.
    pub fn new(intervals: impl IntoIterator<Item = (String, Duration)>) -> Self {
        let slot = |(mapping, interval)| Slot { mapping, interval, due: None, failures: 0 };
        let slots = intervals.into_iter().map(slot).collect();
        Self { slots, longest_pause: Duration::from_secs(60), shares: false }
    }

    /// The mappings whose time has come.
    fn due(&self, now: Instant) -> Vec<String> {
        let come = |slot: &&Slot| slot.due.is_none_or(|due| due <= now);
        self.slots.iter().filter(come).map(|slot| slot.mapping.clone()).collect()
    }

    fn hurry(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.due = None);
    }

    /// Settles when the mappings of a pass that ended now are looked at again; answers the time until the next pass.
    fn passed(&mut self, mappings: &[String], ok: bool, now: Instant) -> Duration {
        for slot in self.slots.iter_mut().filter(|slot| mappings.contains(&slot.mapping)) {
            slot.failures = if ok { 0 } else { slot.failures.saturating_add(1) };
            let pause = match slot.failures {
                0 => Duration::ZERO,
                failures => FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(self.longest_pause),
            };
            slot.due = Some(now + slot.interval.max(pause));
        }
        self.until_next(now)
    }

    fn until_next(&self, now: Instant) -> Duration {
        let times = self.slots.iter().map(|slot| slot.due.map_or(Duration::ZERO, |due| due - now.min(due)));
        times.min().unwrap_or(Duration::MAX)
    }
}

impl<W: Parts> Engine<W> {
    /// Makes a pass over what is due, again and again, until a stop is asked for. Each pass looks for changes, and at
    /// everything where a sweep or a full compare is due. A pass that fails is told and tried again, with growing
    /// pauses; no error ends the loop. The lease is given back at the end.
    ///
    /// # Errors
    /// When the lease cannot be given back; it then ends by itself.
    pub async fn keep_equal(
        &mut self,
        schedule: &mut Schedule,
        wake: &Wake,
        origin: &str,
        mut tell: impl FnMut(Beat<'_>),
    ) -> Result<(), EngineError> {
        // Deletions wait longer than edits: somebody may be reloading a table in several transactions.
        for bound in &mut self.bound {
            let slot = schedule.slots.iter().find(|slot| slot.mapping == bound.mapping.name);
            bound.settings.delete_wait = slot.map_or(Duration::ZERO, |slot| slot.interval);
        }
        let stop = self.stop.clone();
        while !stop.is_asked() {
            let mappings = schedule.due(Instant::now());
            if mappings.is_empty() {
                let pause = schedule.until_next(Instant::now());
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(pause) => {}
                    () = wake.0.notified() => schedule.hurry(),
                    () = stop.asked() => break,
                }
                continue;
            }
            tell(Beat::Begins { mappings: &mappings });
            let mut result = match self.renew(false).await {
                Ok(_) => {
                    let there = self.present(&mappings);
                    // A paused mapping waits; whether it flows again, the next renewal tells.
                    if there.is_empty() {
                        Ok(Report { quiet: true, ..Report::default() })
                    } else {
                        self.sync(&there, Depth::Changes, None, origin).await
                    }
                }
                Err(error) => Err(error),
            };
            if matches!(result, Err(EngineError::Stopped)) {
                break;
            }
            if schedule.shares
                && let Err(error) = self.rest().await
            {
                result = result.and(Err(error));
            }
            // One mapping's stop is not the others': they are due as before.
            let is_stopped = |mapping: &String| {
                result.as_ref().is_ok_and(|report| report.stopped.iter().any(|one| one.mapping == *mapping))
            };
            let (stopped, others): (Vec<String>, Vec<String>) =
                mappings.iter().cloned().partition(is_stopped);
            schedule.passed(&stopped, false, Instant::now());
            let pause = schedule.passed(&others, result.is_ok(), Instant::now());
            tell(Beat::Ended { mappings: &mappings, result, pause });
        }
        self.rest().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> Schedule {
        Schedule::new([("quick".to_owned(), SECOND), ("slow".to_owned(), SECOND * 10)])
    }

    #[test]
    fn each_mapping_has_its_own_pace() {
        let mut schedule = schedule();
        let start = Instant::now();
        let both = schedule.due(start);
        assert_eq!(both, ["quick", "slow"]);
        assert_eq!(schedule.passed(&both, true, start), SECOND);
        assert!(schedule.due(start).is_empty());
        let quick = schedule.due(start + SECOND);
        assert_eq!(quick, ["quick"]);
        assert_eq!(schedule.passed(&quick, true, start + SECOND), SECOND);
        assert_eq!(schedule.due(start + SECOND * 10), ["quick", "slow"]);
    }

    #[test]
    fn a_call_makes_everything_due() {
        let mut schedule = schedule();
        let start = Instant::now();
        schedule.passed(&schedule.due(start), true, start);
        schedule.hurry();
        assert_eq!(schedule.due(start), ["quick", "slow"]);
        assert_eq!(schedule.until_next(start), Duration::ZERO);
    }

    #[test]
    fn pauses_grow_while_passes_fail_and_end_with_success() {
        let mut schedule = schedule();
        schedule.longest_pause = SECOND * 5;
        let now = Instant::now();
        let both = schedule.due(now);
        let pauses: Vec<Duration> = (0..5).map(|_| schedule.passed(&both, false, now)).collect();
        assert_eq!(pauses, [SECOND, SECOND * 2, SECOND * 4, SECOND * 5, SECOND * 5]);
        assert_eq!(schedule.passed(&both, true, now), SECOND);
        assert_eq!(schedule.passed(&both, false, now), SECOND);
    }

    #[test]
    fn failing_for_ever_overflows_nothing() {
        let mut schedule = schedule();
        schedule.slots.iter_mut().for_each(|slot| slot.failures = u32::MAX);
        let now = Instant::now();
        assert_eq!(schedule.passed(&schedule.due(now), false, now), Duration::from_secs(60));
    }

    #[test]
    fn one_mapping_s_failures_do_not_slow_the_others_down() {
        let mut schedule = schedule();
        let now = Instant::now();
        for _ in 0..5 {
            schedule.passed(&["slow".to_owned()], false, now);
        }
        assert_eq!(schedule.passed(&["quick".to_owned()], true, now), SECOND);
        assert_eq!(schedule.due(now + SECOND), ["quick"]);
    }

    #[tokio::test]
    async fn a_call_without_a_listener_is_kept() {
        let wake = Wake::default();
        wake.call();
        wake.call();
        wake.0.notified().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), wake.0.notified()).await.is_err());
    }
}
