//! The whole engine in a world of its own: virtual time, a modelled database, an emulated Notion, people at work on both
//! sides and everything that can go wrong, all of it from one seed.

mod cast;
mod dice;
mod end;
mod model;
mod network;
mod people;
mod play;
mod process;
mod script;
mod stage;

use std::time::Instant;

use crate::{play::play, script::Script};

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let script = Script::of(seed);
        assert_eq!(play(&script, false).trace, play(&script, false).trace, "seed {seed}");
    }
}

#[test]
fn nothing_is_lost() {
    let first: u64 = std::env::var("PAGEROW_SIM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let seeds: u64 =
        std::env::var("PAGEROW_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let started = Instant::now();
    let mut failed = 0;
    for seed in first..first + seeds {
        let played = play(&Script::of(seed), seeds == 1);
        for line in &played.lines {
            println!("{line}");
        }
        if !played.violations.is_empty() {
            failed += 1;
            println!("seed {seed}: {:#?}", played.violations);
        }
    }
    println!("{seeds} seeds, {failed} failed, {:.1}/s", seeds as f64 / started.elapsed().as_secs_f64());
    assert_eq!(failed, 0);
}
