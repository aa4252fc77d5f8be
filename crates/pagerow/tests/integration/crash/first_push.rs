//! A first push that is killed again and again, while Notion loses answers: one page a row.

use super::{Chance, MAPPING, Sync, at_rest, calls_so_far, calm, rows, seed, sync, trouble};
use crate::support::world::World;

const ROWS: usize = 2_000;
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_ten_times_a_first_push_makes_one_page_a_row() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    let seed = seed(4);
    trouble(&world, seed).await;
    let mut chance = Chance(seed);
    let mut killed = 0;
    while killed < KILLS {
        // Some die while they look for what the one before left behind, most of them while they write.
        let calls = if chance.up_to(4) == 1 { chance.up_to(15) } else { chance.up_to(350) };
        if !Sync::start(&world).kill_after(&world, calls).await {
            break;
        }
        killed += 1;
    }
    eprintln!("killed {killed} times, {} calls", calls_so_far(&world).await);
    assert_eq!(killed, KILLS, "it was done too early to be killed so often");
    // One to the end in trouble, then one in calm.
    let last = Sync::start(&world).end().await;
    eprintln!("in trouble to the end: {} {}{}", last.code, last.stdout, last.stderr);
    calm(&world).await;
    sync(&world).await;
    at_rest(&world, ROWS).await;
}
