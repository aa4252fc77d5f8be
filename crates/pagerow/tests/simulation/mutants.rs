//! Whether the simulations would notice: each known bug is switched on by itself, and has to be caught within 200 seeds.

use pagerow_core::mutant::{self, Mutant};

use crate::{play::play, script::Script, season::Season, stage::Told};

/// Seeds in which a bug has to show.
const SEEDS: u64 = 200;

/// `PAGEROW_MUTANT` names the only one that is looked for.
#[test]
fn known_bugs_are_caught() {
    let wanted = std::env::var("PAGEROW_MUTANT").ok();
    let is_wanted = |mutant: &&Mutant| match &wanted {
        Some(name) => format!("{mutant:?}") == *name,
        None => true,
    };
    let mutants = Mutant::ALL.iter().filter(is_wanted);
    let mut escaped = Vec::new();
    for &mutant in mutants {
        let season = Season::play_with(
            0..SEEDS,
            |seed| {
                mutant::switch(Some(mutant));
                let mut played = play(&Script::crowded(seed), Told::Nothing);
                mutant::switch(None);
                // Only what the bug does counts.
                if !played.violations.is_empty()
                    && !play(&Script::crowded(seed), Told::Nothing).violations.is_empty()
                {
                    played.violations.clear();
                }
                played
            },
            true,
        );
        let missed = if season.seeds == SEEDS { season.never() } else { Vec::new() };
        let how = match (season.failures.iter().next(), missed.first()) {
            (Some((seed, violations)), _) => format!("seed {seed}: {}", violations[0]),
            (None, Some(never)) => format!("never happened: {never}"),
            (None, None) => {
                escaped.push(mutant);
                "NOT CAUGHT".to_owned()
            }
        };
        println!("{:<24} {:<72} {how}", format!("{mutant:?}"), mutant.wrong());
    }
    assert!(escaped.is_empty(), "not caught: {escaped:?}");
}
