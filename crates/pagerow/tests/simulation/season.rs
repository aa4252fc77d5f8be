//! Many simulations on all cores, and what happened in them taken together.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    play::{Played, play},
    script::Script,
    stage::{Told, lock},
};

/// What has to happen in some simulation, or the simulations prove less than they claim.
const SOMETIMES: &[&str] = &[
    "a guard stopped a plan",
    "a lease was taken over",
    "a sync failed",
    "a field was contested",
    "a record was contested",
    "call: answer lost",
    "call: carried out after it was given up",
    "call: lost on its way",
    "call: not sent",
    "crash",
    "database: answer to a commit lost",
    "database: connection lost at a statement",
    "database: connection lost before a commit",
];

/// What came of many simulations.
pub(crate) struct Season {
    pub(crate) seeds: u64,
    took: Duration,
    pub(crate) failures: BTreeMap<u64, Vec<String>>,
    tally: BTreeMap<&'static str, u64>,
}

impl Season {
    /// Plays these seeds.
    pub(crate) fn play(seeds: Range<u64>) -> Self {
        Self::play_with(seeds, |seed| play(&Script::of(seed), Told::Nothing), false)
    }

    /// Plays these seeds in a way of its own, until the first one fails where that is enough.
    pub(crate) fn play_with(
        seeds: Range<u64>,
        play: impl Fn(u64) -> Played + Sync,
        is_one_enough: bool,
    ) -> Self {
        let began = Instant::now();
        let next = AtomicU64::new(seeds.start);
        let season = Mutex::new(Self {
            seeds: 0,
            took: Duration::ZERO,
            failures: BTreeMap::new(),
            tally: SOMETIMES.iter().map(|what| (*what, 0)).collect(),
        });
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let is_enough = is_one_enough && !lock(&season).failures.is_empty();
                        if seed >= seeds.end || is_enough {
                            break;
                        }
                        let played = play(seed);
                        let mut season = lock(&season);
                        season.seeds += 1;
                        for (what, times) in played.tally {
                            *season.tally.entry(what).or_default() += times;
                        }
                        if !played.violations.is_empty() {
                            season.failures.insert(seed, played.violations);
                        }
                    }
                });
            }
        });
        let mut season = season.into_inner().unwrap();
        season.took = began.elapsed();
        season
    }

    /// What never happened, and has to.
    pub(crate) fn never(&self) -> Vec<&'static str> {
        self.tally.iter().filter(|(_, times)| **times == 0).map(|(what, _)| *what).collect()
    }
}

impl fmt::Display for Season {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        writeln!(
            f,
            "{} simulations in {seconds:.1} s, {:.0} a second",
            self.seeds,
            self.seeds as f64 / seconds
        )?;
        for (what, times) in &self.tally {
            writeln!(f, "{times:>9} × {what}")?;
        }
        write!(f, "{} failed", self.failures.len())
    }
}
