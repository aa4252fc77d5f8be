//! Engines as processes: each works in a loop until it is killed at some await, and another one takes its place.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use pagerow::engine::{Depth, Engine, EngineError};
use pagerow_core::digest::Digest;

use crate::cast::{Cast, Modelled};

/// When a process has to die, and for how long nobody takes its place.
#[derive(Default)]
pub(crate) struct Fate {
    /// Polls it has left, plus one; 0 is no end in sight.
    polls: AtomicU64,
    down: AtomicU64,
}

impl Fate {
    pub(crate) fn seal(&self, polls: u64, down: u64) {
        self.polls.store(polls + 1, Ordering::Relaxed);
        self.down.store(down, Ordering::Relaxed);
    }

    fn is_up(&self) -> bool {
        let left = self.polls.load(Ordering::Relaxed);
        if left > 1 {
            self.polls.store(left - 1, Ordering::Relaxed);
        }
        left == 1
    }
}

/// A future that can be dropped in the middle, after so many polls.
struct Mortal<F> {
    life: Pin<Box<F>>,
    fate: Arc<Fate>,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.fate.is_up() {
            return Poll::Ready(None);
        }
        self.life.as_mut().poll(context).map(Some)
    }
}

/// Runs engines one after another, for as long as it is polled.
pub(crate) async fn keep_running(cast: Cast, fate: Arc<Fate>) {
    loop {
        fate.polls.store(0, Ordering::Relaxed);
        let life = Box::pin(work(cast.clone()));
        let Some(()) = (Mortal { life, fate: Arc::clone(&fate) }).await else {
            cast.stage.count("crash");
            cast.stage.tell(|| "the engine is killed".to_owned());
            tokio::time::sleep(Duration::from_millis(fate.down.load(Ordering::Relaxed))).await;
            continue;
        };
    }
}

/// One process: it looks again and again, mostly for changes.
async fn work(cast: Cast) {
    let mut engine = cast.engine();
    loop {
        let depth = if cast.stage.percent(10) { Depth::Everything } else { Depth::Changes };
        // A failure is in the trace, and the next sync comes anyway.
        let _told = run(&cast, &mut engine, depth, None).await;
        cast.stage.pass(1_000, 30_000).await;
    }
}

/// Why a sync came to nothing.
pub(crate) enum Failure {
    /// A guard stopped this plan.
    Stopped(Digest),
    Other(String),
}

/// One sync, with its end in the trace. Answers whether it found nothing to do and nothing left.
pub(crate) async fn run(
    cast: &Cast,
    engine: &mut Engine<Modelled>,
    depth: Depth,
    pass: Option<Digest>,
) -> Result<bool, Failure> {
    match engine.sync(&[], depth, pass, "simulation").await {
        Ok(report) => {
            cast.stage
                .tell(|| format!("sync {depth:?}: {}", serde_json::to_string(&report).unwrap_or_default()));
            Ok(report.quiet && report.run.is_none())
        }
        Err(error) => {
            cast.stage.count("a sync failed");
            cast.stage.tell(|| format!("sync {depth:?} failed: {error}"));
            Err(match error {
                EngineError::Refused(refused) => {
                    cast.stage.count("a guard stopped a plan");
                    Failure::Stopped(refused.plan.hash())
                }
                error => Failure::Other(error.to_string()),
            })
        }
    }
}
