//! The only reader of time and maker of ids.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

/// Where time and new ids come from; tests put their own in.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

trait Source: Send + Sync {
    fn now(&self) -> Timestamp;
    fn new_id(&self) -> Uuid;
}

struct System;

impl Source for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
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

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// An id that nobody else has.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.0.new_id()
    }
}
