//! A first push that is killed again and again, while Notion loses answers: one page a row.

use super::{Chance, MAPPING, Sync, at_rest, calls_so_far, calm, rows, seed, sync, trouble};
use crate::support::{pooler::TransactionPooler, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_ten_times_a_first_push_makes_one_page_a_row() {
    pushed_though_killed(World::with_mappings(&rows(2_000), MAPPING).await, 2_000, (10, 350)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_three_times_behind_a_pooler_it_makes_one_page_a_row() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let world = World::with(&rows(600)).await;
    world.reach_database_at(&pooler.url(&world.database.name));
    world.configure(MAPPING);
    world.make().await;
    pushed_though_killed(world, 600, (3, 170)).await;
}

/// Killed so many times, each time after so many calls at most.
async fn pushed_though_killed(world: World, rows: usize, (kills, most): (usize, u64)) {
    let seed = seed(4);
    trouble(&world, seed).await;
    let mut chance = Chance(seed);
    let mut killed = 0;
    while killed < kills {
        // Some die while they look for what the one before left behind, most of them while they write.
        let calls = if chance.up_to(4) == 1 { chance.up_to(15) } else { chance.up_to(most) };
        if !Sync::start(&world).kill_after(&world, calls).await {
            break;
        }
        killed += 1;
    }
    eprintln!("killed {killed} times, {} calls", calls_so_far(&world).await);
    assert_eq!(killed, kills, "it was done too early to be killed so often");
    // One to the end in trouble, then one in calm.
    let last = Sync::start(&world).end().await;
    eprintln!("in trouble to the end: {} {}{}", last.code, last.stdout, last.stderr);
    calm(&world).await;
    sync(&world).await;
    at_rest(&world, rows).await;
}
