//! The only reader of time and maker of ids.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

/// Where time and new ids come from; a simulation puts its own source in.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

/// What a clock is read from.
pub trait Source: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;
    /// The time since some start, which only grows and also counts the time in which the machine sleeps.
    fn uptime(&self) -> Duration;
    /// An id that nobody else has.
    fn new_id(&self) -> Uuid;
}

struct System;

impl Source for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[cfg(target_os = "linux")]
    fn uptime(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(now).unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    fn uptime(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(System))
    }

    /// A clock that is read from this source.
    pub fn of(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// The time since some start, which only grows and also counts the time in which the machine sleeps.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.uptime()
    }

    /// An id that nobody else has.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.0.new_id()
    }
}
