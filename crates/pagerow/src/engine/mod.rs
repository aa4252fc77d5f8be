//! What makes the two sides equal: look, decide, check, act, until nothing is left to do.
//!
//! The engine knows the two sides only as [`Rows`] and [`Pages`]. [`cycle`] shows the whole story on one screen.

mod act;
mod asking;
mod audit;
mod backup;
mod choosing;
mod cycle;
mod detect;
mod error;
mod holder;
mod index;
mod lease;
mod look;
mod matching;
mod missing;
mod notion_wave;
mod outcome;
mod past;
mod postgres_wave;
mod progress;
mod prune;
mod recover;
mod recovery;
mod renewal;
mod report;
mod resolve;
mod retrieval;
mod rewind;
mod schedule;
mod sync;
mod undo;
mod unlinking;
mod verify;
mod weights;

use std::{collections::BTreeMap, sync::Arc};

use pagerow_core::{guard::Limits, mapping::Mapping};

pub use choosing::{Half, NotChosen};
pub use cycle::{Consent, Depth};
pub use detect::{Confidence, Finding, Kind};
pub use error::EngineError;
pub use matching::Matches;
pub use progress::{Event, Progress, Stop};
pub use recovery::{Recovery, RecoveryPlan};
pub use renewal::Renewal;
pub use report::{MappingReport, Report};
pub use resolve::{Answer, Resolution};
pub use rewind::{Moment, RewindPlan};
pub use schedule::{Beat, Schedule, Wake};
pub use undo::{NotUndone, UndoPlan};
pub use verify::{MappingVerdict, Verdict};

use crate::{
    clock::Clock,
    replica::{Pages, Relatives, Rows},
    store::{Lease, Store, Transactions},
};

/// What an engine is made of: its memory and the two sides.
pub trait Parts: Send + Sync + 'static {
    type Store: Store;
    type Rows: Rows<Tx = Tx<Self>>;
    type Pages: Pages;
}

/// The transaction in which rows, bases and history are written together.
pub(crate) type Tx<W> = <<W as Parts>::Store as Transactions>::Tx;

/// One mapping with its two replicas and its settings.
pub struct Bound<W: Parts> {
    pub mapping: Arc<Mapping>,
    pub rows: W::Rows,
    pub pages: W::Pages,
    pub settings: Settings,
}

/// How one mapping is worked on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    /// Failures of one record before it stays parked.
    pub max_attempts: u32,
    /// How often all page ids are compared, to find deletions.
    pub sweep_interval: std::time::Duration,
    /// How often both sides are compared in full.
    pub compare_interval: std::time::Duration,
    /// How long a page that was not found may still turn up in Notion's index.
    pub doubt: std::time::Duration,
    /// Other programs write with the same token: an edit that is ours by its author need not be our own.
    pub shared_token: bool,
    /// How long one half of a record has to be gone before the other half is deleted for it. Whoever runs a command
    /// waits for nothing: each absence is looked at twice within it, by a complete read and by itself.
    pub delete_wait: std::time::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let hours = |hours: u64| std::time::Duration::from_secs(hours * 3600);
        Self {
            limits: Limits::default(),
            max_attempts: 3,
            sweep_interval: hours(1),
            compare_interval: hours(24),
            doubt: std::time::Duration::from_secs(180),
            shared_token: false,
            delete_wait: std::time::Duration::ZERO,
        }
    }
}

/// Keeps a set of related mappings equal.
pub struct Engine<W: Parts> {
    store: W::Store,
    /// In foreign-key order: what is referred to comes first.
    bound: Vec<Bound<W>>,
    clock: Clock,
    progress: Progress,
    stop: Stop,
    holder: String,
    /// Who this engine works for, for the history.
    who: String,
    /// How long the history is kept; `None`: for ever.
    kept: Option<std::time::Duration>,
    /// The uptime at which the history was last shortened.
    pruned: Option<std::time::Duration>,
    lease: Option<Lease>,
    /// Links of the mappings to which others refer; read once, since only the holder of the lease changes them.
    relatives: Option<Relatives>,
    /// Some links that the relatives know are gone by now.
    outdated: bool,
    /// The number of the last run that was seen in the store.
    last_run: i64,
    /// The lease's fencing number went backwards.
    went_back: bool,
    /// Why the bases are not relied on, where that may not be written down.
    presumed: Option<String>,
    /// By mapping, run and number: when an open step may last have gone out, in seconds of [`Clock::uptime`].
    lost_at: BTreeMap<usize, BTreeMap<(i64, i32), f64>>,
    renewal: Option<Box<dyn Renewal<W>>>,
    /// By mapping, what a recovery has read of the pages already.
    known: BTreeMap<String, retrieval::Known>,
    /// Since when.
    known_at: Option<tokio::time::Instant>,
}

impl<W: Parts> Engine<W> {
    /// An engine that has not looked yet.
    pub fn new(store: W::Store, bound: Vec<Bound<W>>, clock: Clock, progress: Progress, stop: Stop) -> Self {
        let holder = holder::name(clock.new_id());
        let who = holder::who();
        Self {
            store,
            bound,
            clock,
            progress,
            stop,
            holder,
            who,
            kept: None,
            pruned: None,
            lease: None,
            relatives: None,
            outdated: false,
            last_run: 0,
            went_back: false,
            presumed: None,
            lost_at: BTreeMap::new(),
            renewal: None,
            known: BTreeMap::new(),
            known_at: None,
        }
    }

    /// The same engine, which keeps its history for so long; `None`: for ever.
    #[must_use]
    pub fn keep_history(mut self, kept: Option<std::time::Duration>) -> Self {
        self.kept = kept;
        self
    }

    /// The mappings, in the order in which they are worked on.
    pub fn mappings(&self) -> impl Iterator<Item = &Arc<Mapping>> {
        self.bound.iter().map(|bound| &bound.mapping)
    }

    /// The store, to read from.
    pub fn store(&self) -> &W::Store {
        &self.store
    }

    /// Calls made to Notion so far, by the mappings' places.
    fn calls(&self) -> Vec<u64> {
        self.bound.iter().map(|bound| bound.pages.calls()).collect()
    }

    /// The names of mappings to which some mapping refers.
    fn related(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .bound
            .iter()
            .flat_map(|bound| &bound.mapping.fields)
            .filter_map(|field| field.related().map(str::to_owned))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}
