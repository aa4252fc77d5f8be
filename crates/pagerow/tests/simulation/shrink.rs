//! Making a failing script small: events are left out, in ever smaller groups, for as long as it still fails in the same way.

use std::collections::BTreeSet;

use crate::{play::play, script::Script, stage::Told};

/// Plays that may be spent on it.
const PLAYS: usize = 400;

/// The script without the events that it fails without.
pub(crate) fn shrink(script: &Script) -> Script {
    let mut best = script.clone();
    let mut plays = 0;
    let wanted = kinds(&play(script, Told::Nothing).violations);
    let mut fails = |script: &Script| {
        plays += 1;
        (plays <= PLAYS).then(|| !kinds(&play(script, Told::Nothing).violations).is_disjoint(&wanted))
    };
    let mut size = best.events.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut is_smaller = false;
        while at < best.events.len() {
            let mut shorter = best.clone();
            shorter.events.drain(at..(at + size).min(best.events.len()));
            match fails(&shorter) {
                Some(true) => {
                    best = shorter;
                    is_smaller = true;
                }
                Some(false) => at += size,
                None => return best,
            }
        }
        if !is_smaller || size > 1 {
            size /= 2;
        }
    }
    // A smaller world is easier to read.
    while best.world.rows > 0 {
        let mut shorter = best.clone();
        shorter.world.rows -= 1;
        match fails(&shorter) {
            Some(true) => best = shorter,
            Some(false) | None => break,
        }
    }
    best
}

/// What is wrong, without the names of records.
fn kinds(violations: &[String]) -> BTreeSet<String> {
    let is_plain = |word: &&str| word.chars().all(|c| c.is_alphabetic() || c == ',');
    violations.iter().map(|text| text.split(' ').filter(is_plain).collect::<Vec<_>>().join(" ")).collect()
}
