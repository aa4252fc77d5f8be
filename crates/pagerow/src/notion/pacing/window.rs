//! Which of the calls that a window allows are free now, and when the next ones will be.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The slots of one rate window.
///
/// Notion counts calls in fixed windows whose phase we do not know, and a call is counted at some moment between
/// its sending and its answer. So there are as many slots as a window allows calls; a call holds a slot while it
/// is on its way, and for one window's length after its **answer**. Two calls of the same slot then reach Notion
/// at least one window apart, hence no window of any phase sees more than one of them, hence no window sees more
/// calls than there are slots, however long answers take. The price is the answer's time per window: 99.5 % of
/// the limit is used with answers of 300 ms.
#[derive(Debug)]
pub(super) struct Window {
    span: Duration,
    on_their_way: usize,
    /// When each resting slot is free again, earliest first (answers come in order of time).
    resting: VecDeque<Instant>,
}

/// When a slot can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Free {
    Now,
    At(Instant),
    /// Every slot is on its way: the next answer decides.
    AfterAnswer,
}

impl Window {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, on_their_way: 0, resting: VecDeque::new() }
    }

    pub(super) fn span(&self) -> Duration {
        self.span
    }

    /// How many of `allowed` slots are free.
    pub(super) fn free(&mut self, allowed: usize, now: Instant) -> usize {
        self.wake(now);
        allowed.saturating_sub(self.on_their_way + self.resting.len())
    }

    pub(super) fn next_free(&mut self, allowed: usize, now: Instant) -> Free {
        if self.free(allowed, now) > 0 {
            return Free::Now;
        }
        let surplus = self.on_their_way + self.resting.len() - allowed;
        self.resting.get(surplus).map_or(Free::AfterAnswer, |at| Free::At(*at))
    }

    pub(super) fn take(&mut self) {
        self.on_their_way += 1;
    }

    /// The call reached Notion, or may have.
    pub(super) fn rest(&mut self, now: Instant) {
        self.on_their_way -= 1;
        self.resting.push_back(now + self.span);
    }

    /// The call certainly never left: its slot was not used.
    pub(super) fn return_unused(&mut self) {
        self.on_their_way -= 1;
    }

    /// The widest gap between calls that still uses up all slots: at this pace no slot waits for long, and none
    /// runs out before the next is free. In the steady state it is the span divided by the slots.
    pub(super) fn even_gap(&mut self, allowed: usize, answer_time: Duration, now: Instant) -> Duration {
        let free = self.free(allowed, now);
        let surplus = (self.on_their_way + self.resting.len()).saturating_sub(allowed);
        let back = now + self.span + answer_time;
        let ready = |index: usize| {
            let ready = self.resting.get(surplus + index).copied().unwrap_or(back);
            ready.saturating_duration_since(now)
        };
        // Thousands of slots need no exact answer: a sample of the schedule is enough.
        let stride = (allowed / 512).max(1);
        let last = allowed.saturating_sub(1);
        (free..allowed)
            .step_by(stride)
            .chain([last])
            .filter(|index| *index >= free)
            .map(|index| ready(index - free) / u32::try_from(index + 1).unwrap_or(u32::MAX))
            .max()
            .unwrap_or(Duration::ZERO)
    }

    /// How long until `calls` more calls could have been sent.
    pub(super) fn time_for(&mut self, calls: u64, allowed: usize, now: Instant) -> Duration {
        let free = self.free(allowed, now);
        let slots = u64::try_from(allowed.max(1)).unwrap_or(u64::MAX);
        let Some(last) = calls.checked_sub(1) else { return Duration::ZERO };
        let rounds = u32::try_from(last / slots).unwrap_or(u32::MAX);
        let index = usize::try_from(last % slots).unwrap_or(usize::MAX);
        let first = match index.checked_sub(free) {
            None => Duration::ZERO,
            Some(nth) => self.resting.get(nth).map_or(self.span, |at| at.saturating_duration_since(now)),
        };
        first.saturating_add(self.span.saturating_mul(rounds))
    }

    fn wake(&mut self, now: Instant) {
        while self.resting.front().is_some_and(|at| *at <= now) {
            self.resting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_slot_rests_one_span_after_its_answer() {
        let start = Instant::now();
        let mut window = Window::new(MINUTE);
        window.take();
        assert_eq!(window.next_free(1, start), Free::AfterAnswer);
        let answer = start + Duration::from_secs(2);
        window.rest(answer);
        assert_eq!(window.next_free(1, answer), Free::At(answer + MINUTE));
        assert_eq!(window.next_free(1, answer + MINUTE), Free::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_slot_is_free_at_once() {
        let mut window = Window::new(MINUTE);
        window.take();
        window.return_unused();
        assert_eq!(window.next_free(1, Instant::now()), Free::Now);
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_slots_wait_for_the_surplus_to_rest() {
        let start = Instant::now();
        let mut window = Window::new(MINUTE);
        for second in 0..4 {
            window.take();
            window.rest(start + Duration::from_secs(second));
        }
        let now = start + Duration::from_secs(4);
        assert_eq!(window.next_free(2, now), Free::At(start + Duration::from_secs(62)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_window_is_spread_over_its_span() {
        let mut window = Window::new(MINUTE);
        window.take();
        assert_eq!(window.even_gap(180, Duration::ZERO, Instant::now()), MINUTE / 180);
    }

    #[tokio::test(start_paused = true)]
    async fn time_for_counts_whole_windows() {
        let mut window = Window::new(MINUTE);
        let now = Instant::now();
        assert_eq!(window.time_for(0, 180, now), Duration::ZERO);
        assert_eq!(window.time_for(180, 180, now), Duration::ZERO);
        assert_eq!(window.time_for(181, 180, now), MINUTE);
        assert_eq!(window.time_for(1000, 180, now), MINUTE * 5);
    }
}
