//! How many requests a connection may make: fixed windows, counted from the first request in each.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Windows per token. The machine's clock is used, which no test moves.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// `None`: no limit.
    requests: Option<u32>,
    window: Duration,
    windows: HashMap<String, Window>,
    /// The fullest window so far.
    fullest: u32,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    count: u32,
}

impl Limiter {
    pub(crate) fn new(requests: Option<u32>, window: Duration) -> Self {
        Self { requests, window, windows: HashMap::new(), fullest: 0 }
    }

    /// Counts a request. `Err` holds the whole seconds to wait.
    pub(crate) fn take(&mut self, token: &str, now: Instant) -> Result<(), u64> {
        if !self.windows.contains_key(token) {
            self.windows.insert(token.to_owned(), Window { began: now, count: 0 });
        }
        let Some(window) = self.windows.get_mut(token) else { return Ok(()) };
        if now.duration_since(window.began) >= self.window {
            *window = Window { began: now, count: 0 };
        }
        if let Some(requests) = self.requests
            && window.count >= requests
        {
            let left = self.window.saturating_sub(now.duration_since(window.began));
            return Err(left.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX));
        }
        window.count += 1;
        self.fullest = self.fullest.max(window.count);
        Ok(())
    }

    pub(crate) fn fullest(&self) -> u32 {
        self.fullest
    }

    pub(crate) fn forget_fullest(&mut self) {
        self.fullest = 0;
    }

    /// The requests a window allows, and its length.
    pub(crate) fn settings(&self) -> (Option<u32>, Duration) {
        (self.requests, self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_spent_at_any_pace_and_then_refuses() {
        let mut limiter = Limiter::new(Some(3), Duration::from_secs(60));
        let start = Instant::now();
        assert!((0..3).all(|_| limiter.take("a", start).is_ok()));
        assert_eq!(limiter.take("a", start + Duration::from_millis(1500)), Err(59));
        assert!(limiter.take("b", start).is_ok());
        assert!(limiter.take("a", start + Duration::from_secs(60)).is_ok());
        assert_eq!(limiter.fullest(), 3);
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let mut limiter = Limiter::new(None, Duration::from_secs(60));
        let now = Instant::now();
        assert!((0..10_000).all(|_| limiter.take("a", now).is_ok()));
    }
}
