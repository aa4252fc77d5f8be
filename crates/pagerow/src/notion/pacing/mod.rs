//! When the next call may go out: one limiter per connection, shared by everything that uses its token.

mod congestion;
mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pagerow_core::mutant::{self, Mutant};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use congestion::Congestion;
use window::{Free, Window};

/// The window of Notion's limit.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Calls on their way at once begin here and grow with each answer: a wrong limit is met by few calls.
const FIRST_IN_FLIGHT: usize = 4;
/// The pause when Notion refuses without saying for how long; doubled by each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How fast a connection may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls per 60 seconds; `None` is unlimited.
    pub requests_per_minute: Option<u32>,
    /// Calls on their way at once.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: Some(180), in_flight: 16 }
    }
}

/// Who goes first when calls must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A person, or one fresh change, is waiting for it.
    Interactive,
    /// One of many.
    Bulk,
}

/// What the limiter has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    /// Calls let out, retries included.
    pub calls: u64,
    /// Calls that were a repetition.
    pub retries: u64,
    /// Calls refused as too many (429 and 529).
    pub refused: u64,
    /// Time that calls waited for their turn, summed up.
    pub waited: Duration,
    pub in_flight: usize,
    pub waiting: usize,
    /// Calls per minute used now; `None` is unlimited.
    pub requests_per_minute: Option<usize>,
    /// What is left of a pause that Notion asked for.
    pub paused: Duration,
}

/// The limiter of one connection.
#[derive(Debug)]
pub struct Pacing {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: unlimited.
    limit: Option<(Window, Congestion)>,
    in_flight: usize,
    in_flight_now: usize,
    in_flight_cap: usize,
    paused_until: Option<Instant>,
    pause_without_hint: Duration,
    /// When the next bulk call is due, while calls are spread.
    next_bulk: Instant,
    interactive: VecDeque<Waiter>,
    bulk: VecDeque<Waiter>,
    tickets: u64,
    /// For waits that differ, so that callers do not return in step.
    chance: StdRng,
    /// Moving average of the time between sending and answer.
    answer_time: Duration,
    counters: Counters,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    turn: Arc<Notify>,
}

enum Turn {
    Now,
    At(Instant),
    /// Somebody's answer or departure will tell.
    Later,
}

impl Pacing {
    pub fn new(limits: Limits) -> Arc<Self> {
        Self::seeded(limits, rand::random())
    }

    /// One whose waits are drawn from a seed, so that they can be repeated.
    pub fn seeded(limits: Limits, seed: u64) -> Arc<Self> {
        let now = Instant::now();
        let cap = limits.in_flight.max(1);
        let state = State {
            limit: limits.requests_per_minute.map(|rate| (Window::new(WINDOW), Congestion::new(rate, now))),
            in_flight: 0,
            in_flight_now: FIRST_IN_FLIGHT.min(cap),
            in_flight_cap: cap,
            paused_until: None,
            pause_without_hint: FIRST_PAUSE,
            next_bulk: now,
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            tickets: 0,
            chance: StdRng::seed_from_u64(seed),
            answer_time: Duration::from_millis(300),
            counters: Counters::default(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits until a call may be sent. Cancel-safe: dropping the future gives up the place in the queue.
    pub async fn admit(self: &Arc<Self>, urgency: Urgency) -> Permit {
        self.turn_of(urgency, |state, asked, now| state.let_out(self, urgency, asked, now)).await
    }

    /// Waits until a call would be let out at once, and takes nothing.
    pub async fn ready(&self, urgency: Urgency) {
        self.turn_of(urgency, |_, _, _| ()).await;
    }

    /// Waits for a turn and does `take` with it: the state, when the wait began, and now.
    async fn turn_of<T>(&self, urgency: Urgency, take: impl Fn(&mut State, Instant, Instant) -> T) -> T {
        let asked = Instant::now();
        let (ticket, turn) = {
            let mut state = self.state();
            if state.nobody_before(urgency, None) && matches!(state.turn(urgency, asked), Turn::Now) {
                return take(&mut state, asked, asked);
            }
            state.join(urgency)
        };
        let mut place = Place { pacing: self, urgency, ticket: Some(ticket) };
        loop {
            let at = {
                let now = Instant::now();
                let mut state = self.state();
                match state.nobody_before(urgency, Some(ticket)).then(|| state.turn(urgency, now)) {
                    Some(Turn::Now) => {
                        place.ticket = None;
                        state.leave(urgency, ticket);
                        let taken = take(&mut state, asked, now);
                        state.call_next();
                        return taken;
                    }
                    Some(Turn::At(at)) => Some(at),
                    Some(Turn::Later) | None => None,
                }
            };
            match at {
                Some(at) => tokio::select! {
                    biased;
                    () = sleep_until(at) => {}
                    () = turn.notified() => {}
                },
                None => turn.notified().await,
            }
        }
    }

    /// How long `calls` further calls will take at the pace of now, everything that waits already included.
    pub fn forecast(&self, calls: u64) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        state.heal(now);
        let waiting = u64::try_from(state.interactive.len() + state.bulk.len()).unwrap_or(u64::MAX);
        let calls = calls.saturating_add(waiting);
        let abreast = u32::try_from(state.in_flight_cap).unwrap_or(u32::MAX);
        let by_answers = state.answer_time.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX)) / abreast;
        let pause = state.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let by_limit = match &mut state.limit {
            None => Duration::ZERO,
            Some((window, congestion)) => {
                let allowed = congestion.allowed();
                let by_slots = window.time_for(calls, allowed, now);
                if congestion.even() {
                    let gap = window.span().as_secs_f64() / allowed as f64;
                    by_slots.max(Duration::try_from_secs_f64(gap * calls as f64).unwrap_or(Duration::MAX))
                } else {
                    by_slots
                }
            }
        };
        by_answers.max(by_limit).saturating_add(pause)
    }

    pub fn counters(&self) -> Counters {
        let now = Instant::now();
        let mut state = self.state();
        state.heal(now);
        Counters {
            in_flight: state.in_flight,
            waiting: state.interactive.len() + state.bulk.len(),
            requests_per_minute: state.limit.as_ref().map(|(_, congestion)| congestion.allowed()),
            paused: state.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
            ..state.counters
        }
    }

    /// Some share of a wait, from nothing to all of it.
    pub fn chance(&self) -> f64 {
        self.state().chance.random_range(0.0..=1.0)
    }

    /// Counts the call that is about to be repeated.
    pub fn note_retry(&self) {
        self.state().counters.retries += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the figures are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn heal(&mut self, now: Instant) {
        if let Some((_, congestion)) = &mut self.limit {
            congestion.heal(now);
        }
    }

    /// Whether a caller (already queued under `ticket`, or new) would be the next to go.
    fn nobody_before(&self, urgency: Urgency, ticket: Option<u64>) -> bool {
        let first =
            |queue: &VecDeque<Waiter>| queue.front().is_none_or(|waiter| Some(waiter.ticket) == ticket);
        match urgency {
            Urgency::Interactive => first(&self.interactive),
            Urgency::Bulk => self.interactive.is_empty() && first(&self.bulk),
        }
    }

    fn turn(&mut self, urgency: Urgency, now: Instant) -> Turn {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Turn::At(until);
        }
        self.paused_until = None;
        if self.in_flight >= self.in_flight_now {
            return Turn::Later;
        }
        self.heal(now);
        let Some((window, congestion)) = &mut self.limit else { return Turn::Now };
        let allowed = congestion.allowed();
        match window.next_free(allowed, now) {
            Free::At(at) => return Turn::At(at),
            Free::AfterAnswer => return Turn::Later,
            Free::Now => {}
        }
        // Two thirds of a window may go in one burst, so that small work is done at once; the last third of a
        // busy window is spread, so that there is always a call left soon for a person who waits.
        let may_burst = !congestion.even() && window.free(allowed, now) > allowed / 3;
        if urgency == Urgency::Interactive || may_burst || self.next_bulk <= now {
            Turn::Now
        } else {
            Turn::At(self.next_bulk)
        }
    }

    fn let_out(&mut self, pacing: &Arc<Pacing>, urgency: Urgency, asked: Instant, now: Instant) -> Permit {
        self.in_flight += 1;
        self.counters.calls += 1;
        self.counters.waited += now.saturating_duration_since(asked);
        let mut epoch = 0;
        if let Some((window, congestion)) = &mut self.limit {
            window.take();
            epoch = congestion.epoch();
            if urgency == Urgency::Bulk {
                self.next_bulk = now + window.even_gap(congestion.allowed(), self.answer_time, now);
            }
        }
        Permit { pacing: Arc::clone(pacing), sent: now, epoch, open: true }
    }

    fn queue(&mut self, urgency: Urgency) -> &mut VecDeque<Waiter> {
        match urgency {
            Urgency::Interactive => &mut self.interactive,
            Urgency::Bulk => &mut self.bulk,
        }
    }

    fn join(&mut self, urgency: Urgency) -> (u64, Arc<Notify>) {
        self.tickets += 1;
        let ticket = self.tickets;
        let turn = Arc::new(Notify::new());
        self.queue(urgency).push_back(Waiter { ticket, turn: Arc::clone(&turn) });
        (ticket, turn)
    }

    fn leave(&mut self, urgency: Urgency, ticket: u64) {
        let queue = self.queue(urgency);
        if let Some(at) = queue.iter().position(|waiter| waiter.ticket == ticket) {
            queue.remove(at);
        }
    }

    fn call_next(&self) {
        if let Some(next) = self.interactive.front().or_else(|| self.bulk.front()) {
            next.turn.notify_one();
        }
    }
}

/// A place in the queue, given up when the caller goes away.
struct Place<'a> {
    pacing: &'a Pacing,
    urgency: Urgency,
    ticket: Option<u64>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.pacing.state();
            state.leave(self.urgency, ticket);
            state.call_next();
        }
    }
}

/// The right to send one call. Dropping it counts the call as sent.
#[derive(Debug)]
#[must_use = "a permit that is dropped uses up a call"]
pub struct Permit {
    pacing: Arc<Pacing>,
    sent: Instant,
    epoch: u64,
    open: bool,
}

impl Permit {
    /// Notion answered, whatever it said except "too many".
    pub fn answered(mut self) {
        let now = Instant::now();
        let mut state = self.pacing.state();
        let took = now.saturating_duration_since(self.sent);
        state.answer_time = (state.answer_time * 7 + took) / 8;
        state.in_flight_now = (state.in_flight_now + 1).min(state.in_flight_cap);
        if state.paused_until.is_none_or(|until| until <= now) {
            state.pause_without_hint = FIRST_PAUSE;
        }
        if let Some((_, congestion)) = &mut state.limit {
            congestion.answered();
        }
        drop(state);
        self.close(true);
    }

    /// Nothing was sent: no connection came about.
    pub fn unsent(mut self) {
        self.close(false);
    }

    /// Notion refused the call as one too many. The whole connection pauses, for as long as it asked (or for a
    /// growing while), and slows down.
    pub fn refused(mut self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.pacing.state();
        state.counters.refused += 1;
        let retry_after = retry_after.map(|wait| match () {
            () if mutant::is(Mutant::RetryAfterIsIgnored) => Duration::ZERO,
            () => wait,
        });
        let pause = retry_after.unwrap_or_else(|| {
            // Half of it at least, so that several processes with one token do not come back together.
            let share = state.chance.random_range(0.5..=1.0);
            let pause = state.pause_without_hint.mul_f64(share);
            state.pause_without_hint = (state.pause_without_hint * 2).min(LONGEST_PAUSE);
            pause
        });
        let until = now + pause;
        state.paused_until = Some(state.paused_until.map_or(until, |earlier| earlier.max(until)));
        let epoch = self.epoch;
        let changed = match &mut state.limit {
            Some((window, congestion)) => congestion.refused(epoch, window.span(), now, until),
            None => true,
        };
        if changed {
            state.in_flight_now = (state.in_flight_now / 2).max(1);
        }
        drop(state);
        self.close(true);
    }

    fn close(&mut self, sent: bool) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let mut state = self.pacing.state();
        state.in_flight -= 1;
        if let Some((window, _)) = &mut state.limit {
            if sent {
                window.rest(Instant::now());
            } else {
                window.return_unused();
            }
        }
        if !sent {
            state.counters.calls -= 1;
        }
        state.call_next();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.close(true);
    }
}
