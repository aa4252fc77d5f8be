//! A whole soup: the parts, the cooks, the quiet phase, the reckoning.

mod cell;
mod chance;
mod check;
mod engines;
mod ledger;
mod people;
mod pooler;
mod stage;
mod story;
mod trouble;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;

use self::{chance::Chance, engines::Engines, people::People, stage::Stage, trouble::Trouble};

/// How `pagerow` is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

/// What is cooked.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) program: Program,
    pub(crate) seed: u64,
    /// Of edits and faults; the quiet phase comes on top.
    pub(crate) time: Duration,
    /// Through pgbouncer in transaction mode.
    pub(crate) pooled: bool,
    /// Records of the largest mapping at the beginning.
    pub(crate) records: u64,
    /// Leaves the folder with the database and everything that was said.
    pub(crate) keep: bool,
    /// Whether processes may be put to sleep for longer than a lease lasts.
    pub(crate) long_sleeps: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) pooled: bool,
    pub(crate) seconds: u64,
    /// Figures by what they count.
    pub(crate) figures: BTreeMap<String, u64>,
    pub(crate) violations: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, figure) in &self.figures {
            writeln!(f, "{name:<58} {figure:>8}")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        let pooled = if self.pooled { ", pooled" } else { "" };
        match self.violations.len() {
            0 => write!(f, "seed {}{pooled}, {} s: nothing lost, nothing doubled", self.seed, self.seconds),
            many => {
                write!(f, "seed {}{pooled}, {} s: {many} violations", self.seed, self.seconds)
            }
        }
    }
}

/// Cooks it. `say` hears how far it is.
pub(crate) async fn cook(recipe: &Recipe, say: &(dyn Fn(&str) + Sync)) -> Result<Summary> {
    let began = Instant::now();
    let stage = Arc::new(Stage::build(recipe).await?);
    say(&format!("{}; seed {}", stage.description(), recipe.seed));
    let mut chance = Chance::new(recipe.seed);
    let over = Arc::new(AtomicBool::new(false));
    let people = People::new(stage.clone(), chance.fork());
    let trouble = Trouble::new(stage.clone(), chance.fork(), recipe);
    let engines = Engines::new(stage.clone(), chance.fork(), recipe.long_sleeps);

    let timer = async {
        let mut left = recipe.time;
        while !left.is_zero() {
            let part = left.min(Duration::from_secs(30));
            tokio::time::sleep(part).await;
            left -= part;
            say(&format!("{} s of trouble left", left.as_secs()));
        }
        over.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let (people, trouble, engines, ()) =
        tokio::try_join!(people.live(&over), trouble.make(&over), engines.run(&over), timer)?;

    let mut summary = Summary { seed: recipe.seed, pooled: recipe.pooled, ..Summary::default() };
    trouble.tell(&mut summary.figures);
    say("quiet");
    let mut quiet = engines;
    let result = check::settle(&stage, &mut quiet, &mut summary).await;
    quiet.tell(&mut summary);
    people.ledger.tell(&mut summary.figures);
    result?;
    check::reckon(&stage, &people.ledger, &mut summary, say).await?;
    summary.seconds = began.elapsed().as_secs();
    drop((people, trouble, quiet));
    if let Some(stage) = Arc::into_inner(stage) {
        stage.clear(recipe.keep).await?;
    }
    Ok(summary)
}
