//! How a long piece of work tells what it is doing, and how it is asked to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pagerow_core::{plan::Step, side::Side};

/// Something that has just happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many records of a side have been seen in this look.
    Looked { mapping: &'a str, side: Side, records: u64 },
    /// So many pages of a mapping have been retrieved; what is left takes about so many seconds.
    Retrieved { mapping: &'a str, pages: u64, expected: Option<u64>, seconds: Option<f64> },
    /// A recovery that was interrupted is gone on with; so many pages are there already.
    TakenUp { operation: i64, pages: u64 },
    /// A plan is about to be carried out.
    Planned { steps: u64, seconds: f64 },
    /// A step is over; `done` of `total` are.
    Stepped { mapping: &'a str, columns: &'a [String], step: &'a Step, ok: bool, done: u64, total: u64 },
    /// Somebody else holds the lease, for so many seconds more unless it is renewed.
    Waiting { holder: &'a str, seconds: u64 },
    /// A mapping's bases are not relied on any more, for this reason.
    BasesLost { mapping: &'a str, why: &'a str },
    /// The fate of so many writes is being looked up; the next look is in so many seconds.
    InDoubt { mapping: &'a str, writes: usize, seconds: f64 },
}

/// Who listens.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl Progress {
    /// Tells nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self(Arc::new(|_| {}))
    }

    /// Tells this function.
    pub fn to(listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

/// The wish to stop between two steps.
#[derive(Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    bell: Arc<tokio::sync::Notify>,
}

impl Stop {
    /// Asks for a stop.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.bell.notify_waiters();
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until a stop is asked for.
    pub async fn asked(&self) {
        let bell = self.bell.notified();
        if !self.is_asked() {
            bell.await;
        }
    }
}
