//! The whole engine in a world of its own: virtual time, a modelled database, an emulated Notion, people at work on both
//! sides and everything that can go wrong, all of it from one seed.
//!
//! `PAGEROW_SIM_SEEDS` says how many seeds are played, `PAGEROW_SIM_SEED` which is the first. A single seed is told in
//! full. A seed that fails is made small and kept as a script in the directory that `PAGEROW_SIM_KEEP` names.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be simulated")]

mod aimed;
mod answers;
mod cast;
mod dice;
mod end;
mod fate;
mod judge;
mod kind;
mod model;
mod mutants;
mod network;
mod people;
mod play;
mod process;
mod script;
mod season;
mod shrink;
mod stage;

use std::path::Path;

use crate::{play::play, script::Script, season::Season, stage::Told};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many seeds are played by every run of the tests.
const SEEDS: u64 = 2_000;

/// Scripts that once failed.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/scripts");

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let script = Script::of(seed);
        assert_eq!(play(&script, Told::Name).trace, play(&script, Told::Name).trace, "seed {seed}");
    }
}

#[test]
fn nothing_is_lost() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, seeds) =
        (number("PAGEROW_SIM_SEED").unwrap_or(0), number("PAGEROW_SIM_SEEDS").unwrap_or(SEEDS));
    if seeds == 1 {
        play(&Script::of(first), Told::Lines).lines.iter().for_each(|line| println!("{line}"));
    }
    let season = Season::play(first..first + seeds);
    println!("{season}");
    let failures: Vec<u64> = season.failures.keys().copied().collect();
    for (seed, violations) in season.failures.iter().take(20) {
        println!("seed {seed}:");
        violations.iter().take(3).for_each(|violation| println!("    {violation}"));
    }
    if let Some(seed) = failures.first()
        && std::env::var("PAGEROW_SIM_KEEP").is_ok()
    {
        let small = shrink::shrink(&Script::of(*seed));
        let json = serde_json::to_string_pretty(&small).unwrap();
        println!("seed {seed}, made small:\n{json}");
        play(&small, Told::Lines).lines.iter().for_each(|line| println!("{line}"));
        if let Ok(place) = std::env::var("PAGEROW_SIM_KEEP") {
            std::fs::write(Path::new(&place).join(format!("seed-{seed}.json")), json).unwrap();
        }
    }
    assert!(failures.is_empty(), "seeds {failures:?} fail");
    if seeds >= 500 {
        assert!(season.never().is_empty(), "never happened: {:?}", season.never());
    }
}

#[test]
fn what_once_failed_does_not_fail_again() {
    let mut scripts: Vec<_> =
        std::fs::read_dir(SCRIPTS).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    for path in scripts {
        let script: Script = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let played = play(&script, Told::Nothing);
        assert!(played.violations.is_empty(), "{}: {:#?}", path.display(), played.violations);
    }
}
