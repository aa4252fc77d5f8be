//! How many calls a window really takes: less after Notion said "too many", back to the limit in calm.

use std::time::Duration;

use tokio::time::Instant;

/// Recovery to a level just below the last refusal: half of the way in each step.
const RECOVERY_STEP: Duration = Duration::from_secs(30);
/// Calm before the first try above a level that is known to work.
const FIRST_PROBE: Duration = Duration::from_secs(30);
const LONGEST_PROBE: Duration = Duration::from_secs(240);
/// Calm at the full limit before bursts are tried again.
const BURSTS_AGAIN: Duration = Duration::from_secs(300);

/// The adapted limit.
///
/// The documented limit is right most of the time, so a first refusal only ends bursts (a server that counts
/// per second refuses those and nothing else). A further one lowers the limit to what was answered since the last
/// pause, at most by half; calm raises it again, first up to just below the level that was refused, then by growing
/// probes. Refusals of calls that were sent before the last adaptation belong to it and change nothing.
#[derive(Debug)]
pub(super) struct Congestion {
    documented: f64,
    allowed: f64,
    /// What the last refusal proved to be too much.
    refused_at: f64,
    even: bool,
    epoch: u64,
    calm_since: Instant,
    probe_after: Duration,
    probe_step: f64,
    answered_since_pause: u32,
    resumed_at: Instant,
}

impl Congestion {
    pub(super) fn new(documented: u32, now: Instant) -> Self {
        let documented = f64::from(documented.max(1));
        Self {
            documented,
            allowed: documented,
            refused_at: documented,
            even: false,
            epoch: 0,
            calm_since: now,
            probe_after: FIRST_PROBE,
            probe_step: documented / 50.0,
            answered_since_pause: 0,
            resumed_at: now,
        }
    }

    /// Calls per window that are used now, at least one.
    pub(super) fn allowed(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a u32")]
        let whole = self.allowed as usize;
        whole.max(1)
    }

    /// Whether calls must be spread evenly, because a burst was refused.
    pub(super) fn even(&self) -> bool {
        self.even
    }

    /// The stamp of calls sent now.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn answered(&mut self) {
        self.answered_since_pause = self.answered_since_pause.saturating_add(1);
    }

    /// A call of `epoch` was refused; nothing is sent before `until`. True when this changed the pace.
    pub(super) fn refused(&mut self, epoch: u64, span: Duration, now: Instant, until: Instant) -> bool {
        let first = epoch == self.epoch;
        if first {
            self.epoch += 1;
            if self.even {
                self.lower(span, now);
            }
            self.even = true;
        }
        self.answered_since_pause = 0;
        self.resumed_at = self.resumed_at.max(until);
        self.calm_since = self.calm_since.max(until);
        first
    }

    fn lower(&mut self, span: Duration, now: Instant) {
        let seen = f64::from(self.answered_since_pause);
        let within_one_window = now.saturating_duration_since(self.resumed_at) <= span;
        let half = self.allowed / 2.0;
        self.refused_at = self.allowed;
        self.allowed = half;
        if within_one_window && seen > half {
            // After a pause the window was fresh, so this is the server's own number.
            self.allowed = seen.min(self.allowed * 1.9);
            self.refused_at = self.allowed / 0.95;
        }
        self.allowed = self.allowed.max(1.0);
        self.probe_after = (self.probe_after * 2).min(LONGEST_PROBE);
        self.probe_step = self.documented / 50.0;
    }

    /// Raises the limit by as many steps as calm time allows.
    pub(super) fn heal(&mut self, now: Instant) {
        loop {
            let calm = now.saturating_duration_since(self.calm_since);
            let known_good = self.refused_at * 0.95;
            if self.allowed >= self.documented {
                self.allowed = self.documented;
                if self.even && calm >= BURSTS_AGAIN {
                    self.even = false;
                    self.probe_after = FIRST_PROBE;
                }
                return;
            }
            if self.allowed < known_good - 0.5 {
                if calm < RECOVERY_STEP {
                    return;
                }
                self.allowed += (known_good - self.allowed) / 2.0;
                self.calm_since += RECOVERY_STEP;
            } else {
                if calm < self.probe_after {
                    return;
                }
                self.allowed += self.probe_step;
                self.refused_at = self.refused_at.max(self.allowed);
                self.calm_since += self.probe_after;
                self.probe_step *= 2.0;
                self.probe_after = (self.probe_after / 2).max(FIRST_PROBE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_storm_counts_once() {
        let now = Instant::now();
        let mut congestion = Congestion::new(180, now);
        let epoch = congestion.epoch();
        assert!(congestion.refused(epoch, MINUTE, now, now));
        assert_eq!((congestion.allowed(), congestion.even()), (180, true));
        let epoch = congestion.epoch();
        assert!(congestion.refused(epoch, MINUTE, now, now));
        for _ in 0..20 {
            assert!(!congestion.refused(epoch, MINUTE, now, now));
        }
        assert_eq!(congestion.allowed(), 90);
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_own_number_is_learned() {
        let now = Instant::now();
        let mut congestion = Congestion::new(180, now);
        congestion.refused(0, MINUTE, now, now);
        for _ in 0..120 {
            congestion.answered();
        }
        congestion.refused(1, MINUTE, now + MINUTE / 2, now + MINUTE);
        assert_eq!(congestion.allowed(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn calm_brings_everything_back() {
        let now = Instant::now();
        let mut congestion = Congestion::new(180, now);
        for epoch in 0..6 {
            congestion.refused(epoch, MINUTE, now, now);
        }
        assert!(congestion.allowed() <= 6);
        congestion.heal(now + MINUTE * 15);
        assert_eq!(congestion.allowed(), 180);
        congestion.heal(now + MINUTE * 25);
        assert!(!congestion.even());
    }
}
