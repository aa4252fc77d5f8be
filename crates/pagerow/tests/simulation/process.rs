//! Engines as processes: each works in a loop until it is killed at some await, and another one takes its place.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pagerow::engine::{Consent, Depth, Engine, EngineError, MappingReport};
use pagerow_core::digest::Digest;

use tokio::time::Sleep;

use crate::{
    cast::{Cast, Modelled},
    stage::Stage,
};

/// When a process has to die, and for how long nobody takes its place.
#[derive(Default)]
pub(crate) struct Fate {
    /// Polls it has left, plus one; 0 is no end in sight.
    polls: AtomicU64,
    down: AtomicU64,
    /// Until when it stands still, in milliseconds since the beginning.
    frozen_until: AtomicU64,
}

impl Fate {
    pub(crate) fn seal(&self, polls: u64, down: u64) {
        self.polls.store(polls + 1, Ordering::Relaxed);
        self.down.store(down, Ordering::Relaxed);
    }

    pub(crate) fn freeze(&self, until: u64) {
        self.frozen_until.fetch_max(until, Ordering::Relaxed);
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
    stage: Arc<Stage>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.fate.is_up() {
            return Poll::Ready(None);
        }
        let until = self.fate.frozen_until.load(Ordering::Relaxed);
        let left = until.saturating_sub(self.stage.elapsed());
        if left > 0 && self.thaw.is_none() {
            self.stage.count("freeze");
            self.thaw = Some(Box::pin(tokio::time::sleep(Duration::from_millis(left))));
        }
        if let Some(thaw) = &mut self.thaw {
            ready!(thaw.as_mut().poll(context));
            self.thaw = None;
        }
        self.life.as_mut().poll(context).map(Some)
    }
}

/// Runs engines one after another, for as long as it is polled.
pub(crate) async fn keep_running(cast: Cast, fate: Arc<Fate>) {
    loop {
        fate.polls.store(0, Ordering::Relaxed);
        let life = Box::pin(work(cast.clone()));
        let Some(()) =
            (Mortal { life, fate: Arc::clone(&fate), stage: Arc::clone(&cast.stage), thaw: None }).await
        else {
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
        let is_full = (cast.stage.percent(10) || cast.stage.take_full_look()) && !cast.is_gentle;
        let depth = if is_full { Depth::Everything } else { Depth::Changes };
        while let Some(wish) = cast.stage.take_wish() {
            cast.heed(&mut engine, &wish).await;
        }
        // A failure is in the trace, and the next sync comes anyway.
        let _told = run(&cast, &mut engine, depth, Vec::new()).await;
        cast.stage.pass(1_000, 30_000).await;
    }
}

/// What a sync came to.
pub(crate) struct Ran {
    /// It found nothing to do, and nothing is left.
    pub(crate) is_quiet: bool,
    /// How many records it wrote.
    pub(crate) wrote: u64,
}

/// Why a sync came to nothing.
pub(crate) enum Failure {
    /// A guard stopped what has these names.
    Stopped(Vec<Digest>),
    /// More pages were made in one minute than Notion lists, so that nothing can be read completely.
    TooDense,
    Other(String),
}

/// One sync, with its end in the trace.
pub(crate) async fn run(
    cast: &Cast,
    engine: &mut Engine<Modelled>,
    depth: Depth,
    pass: Vec<Digest>,
) -> Result<Ran, Failure> {
    // What failed before may be tried again, and fail again.
    let waits = cast.next_try().is_some_and(|wait| wait <= Duration::from_secs(90));
    let deeds = cast.stage.deeds();
    let before = cast.before_sync(depth, !pass.is_empty());
    let synced = engine.sync(&[], depth, Consent::to(pass), "simulation").await;
    cast.after_sync(&before, synced.as_ref().ok());
    match synced {
        Ok(report) => {
            cast.stage
                .tell(|| format!("sync {depth:?}: {}", serde_json::to_string(&report).unwrap_or_default()));
            for part in &report.mappings {
                if let Some(why) = &part.bases_lost {
                    cast.stage.count("bases were given up");
                    if !cast.ledger.is_impersonated(&part.mapping) {
                        cast.stage.blame(format!("the bases of {} were given up: {why}", part.mapping));
                    }
                }
            }
            if !report.stopped.is_empty() {
                cast.stage.count("a guard stopped a plan");
                let names: BTreeSet<Digest> = report.stopped.iter().filter_map(|stop| stop.pass).collect();
                return Err(Failure::Stopped(names.into_iter().collect()));
            }
            let wrote = |part: &MappingReport| {
                let (there, here) = (part.to_notion, part.to_postgres);
                there.created + there.updated + there.trashed + here.inserted + here.updated + here.deleted
            };
            let wrote = report.mappings.iter().map(wrote).sum();
            let is_quiet = report.quiet && (report.run.is_none() || waits && wrote == 0);
            Ok(Ran { is_quiet, wrote })
        }
        Err(error) => {
            cast.stage.count("a sync failed");
            cast.stage.tell(|| format!("sync {depth:?} failed: {error}"));
            Err(match error {
                error if SHOWS_TOO_LITTLE.iter().any(|what| with_causes(&error).contains(what)) => {
                    cast.stage.count("too many pages of one minute");
                    Failure::TooDense
                }
                error => {
                    // Whoever goes on editing keeps it busy.
                    if matches!(error, EngineError::Restless(_)) && cast.stage.deeds() == deeds {
                        cast.stage.blame(error.to_string());
                    }
                    Failure::Other(with_causes(&error))
                }
            })
        }
    }
}

/// Where lists end before everything was shown, which these worlds' caps bring about with few pages.
const SHOWS_TOO_LITTLE: [&str; 2] =
    ["were created in the minute", "does not list all pages that carry a key"];

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    text
}
