//! Matching, and the table of how well it went.

use std::collections::BTreeMap;

use pagerow_core::{
    matching::{Choices, Confidence, Reading, match_up},
    record::{PageId, RowKey},
};

use crate::{
    trouble::Trouble,
    world::{Truth, World},
};

/// How many pairs there are of a kind, and what was found of them.
#[derive(Clone, Copy, Default)]
struct Tally {
    pairs: u32,
    /// By confidence: low, medium, high.
    right: [u32; 3],
    wrong: [u32; 3],
    asked: u32,
    /// Of the pairs whose title nobody else has: how many there are, and how many were found.
    own: u32,
    own_found: u32,
}

/// Matches, prints, and says whether the promises are kept: of 100 pairs 99 are right at *high* and 95 at *medium*, and
/// of 100 true pairs whose title is not another record's too 90 are found.
pub(crate) fn print(world: &World, reading: Reading) -> bool {
    let (found, seconds) = timed(|| match_up(&world.rows, &world.pages, &Choices::default(), reading));
    let owner: BTreeMap<PageId, (&RowKey, &Truth)> =
        world.truth.iter().map(|(row, truth)| (truth.page, (row, truth))).collect();
    let mut tallies: BTreeMap<Option<Trouble>, Tally> = BTreeMap::new();
    for truth in world.truth.values() {
        let tally = tallies.entry(Some(truth.trouble)).or_default();
        tally.pairs += 1;
        tally.own += u32::from(truth.has_own_title);
    }
    for pair in &found.pairs {
        // A page without a row is no kind of trouble; what is found for it is wrong.
        let owner = owner.get(&pair.page);
        let tally = tallies.entry(owner.map(|(_, truth)| truth.trouble)).or_default();
        let right = owner.is_some_and(|(row, _)| **row == pair.row);
        tally.own_found += u32::from(right && owner.is_some_and(|(_, truth)| truth.has_own_title));
        (if right { &mut tally.right } else { &mut tally.wrong })[pair.confidence as usize] += 1;
    }
    for page in found.questions.iter().flat_map(|question| &question.pages) {
        if let Some((_, truth)) = owner.get(page) {
            tallies.entry(Some(truth.trouble)).or_default().asked += 1;
        }
    }

    println!(
        "{:<22} {:>7} | {:>7} {:>7} | {:>7} {:>7} | {:>7} {:>7} | {:>8} {:>8} {:>6}",
        "title changed by",
        "pairs",
        "high",
        "right",
        "medium",
        "right",
        "low",
        "right",
        "found",
        "of own",
        "asked"
    );
    for trouble in Trouble::ALL {
        if let Some(tally) = tallies.get(&Some(trouble)) {
            line(trouble.name(), *tally);
        }
    }
    line("(page without row)", tallies.get(&None).copied().unwrap_or_default());
    let mut all = Tally::default();
    for tally in tallies.values() {
        all.pairs += tally.pairs;
        all.asked += tally.asked;
        all.own += tally.own;
        all.own_found += tally.own_found;
        for at in 0..3 {
            all.right[at] += tally.right[at];
            all.wrong[at] += tally.wrong[at];
        }
    }
    line("all", all);
    let (high, medium, low) =
        (Confidence::High as usize, Confidence::Medium as usize, Confidence::Low as usize);
    let recall =
        |least: usize| 100.0 * f64::from(all.right[least..].iter().sum::<u32>()) / f64::from(all.pairs);
    println!(
        "precision: high {}, medium {}, low {}; recall: high {:.1} %, medium and above {:.1} %, all {:.1} %, all whose title is their own {}; {:.1} s",
        share(all.right[high], all.wrong[high]),
        share(all.right[medium], all.wrong[medium]),
        share(all.right[low], all.wrong[low]),
        recall(high),
        recall(medium),
        recall(low),
        share(all.own_found, all.own - all.own_found),
        seconds
    );
    let is_right = |at: usize, percent: u32| all.right[at] * (100 - percent) >= all.wrong[at] * percent;
    let kept = is_right(high, 99) && is_right(medium, 95) && all.own_found * 10 >= all.own * 9;
    if !kept {
        println!("a promise is not kept");
    }
    kept
}

fn line(name: &str, tally: Tally) {
    let found: u32 = tally.right.iter().sum();
    let at = |confidence: Confidence| {
        let at = confidence as usize;
        (tally.right[at] + tally.wrong[at], share(tally.right[at], tally.wrong[at]))
    };
    let (high, medium, low) = (at(Confidence::High), at(Confidence::Medium), at(Confidence::Low));
    println!(
        "{name:<22} {:>7} | {:>7} {:>7} | {:>7} {:>7} | {:>7} {:>7} | {:>8} {:>8} {:>6}",
        tally.pairs,
        high.0,
        high.1,
        medium.0,
        medium.1,
        low.0,
        low.1,
        share(found, tally.pairs.saturating_sub(found)),
        share(tally.own_found, tally.own - tally.own_found),
        tally.asked
    );
}

fn share(right: u32, wrong: u32) -> String {
    match right + wrong {
        0 => "–".to_owned(),
        all => format!("{:.2} %", 100.0 * f64::from(right) / f64::from(all)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a program that measures looks at the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = std::time::Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

/// The most memory that the process has had, in MiB.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
