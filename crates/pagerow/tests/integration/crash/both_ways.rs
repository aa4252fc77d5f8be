//! Edits on both sides while syncs are killed: each arrives on the other side, but for conflicts, which are listed.

use pagerow::store::Attention as _;
use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Chance, MAPPING, Sync, calm, rows, seed, trouble};
use crate::support::world::{Page, World};

const ROWS: usize = 250;
const ROUNDS: u64 = 10;

/// What people last wrote, by row and column.
#[derive(Default)]
struct Edits {
    rows: BTreeMap<(i64, &'static str), String>,
    pages: BTreeMap<(i64, &'static str), String>,
    count: u64,
}

impl Edits {
    /// One edit on each side, mostly of columns that only one side's people touch.
    async fn both(
        &mut self,
        world: &World,
        client: &tokio_postgres::Client,
        pages: &[Page],
        chance: &mut Chance,
    ) {
        self.count += 1;
        let id = i64::try_from(chance.up_to(ROWS as u64)).unwrap();
        let column = if chance.up_to(5) == 1 { "category" } else { "name" };
        let value = format!("p{}", self.count);
        client
            .execute(&format!("UPDATE items SET {column} = $1 WHERE id = $2"), &[&value, &id])
            .await
            .unwrap();
        self.rows.insert((id, column), value);

        let page = &pages[usize::try_from(chance.up_to(pages.len() as u64)).unwrap() - 1];
        let id: i64 = page.values["Supabase ID"].as_str().unwrap().parse().unwrap();
        let (column, property) =
            if chance.up_to(5) == 1 { ("category", "Category") } else { ("note", "Note") };
        let value = format!("n{}", self.count);
        world.edit(page, json!({ property: value })).await;
        self.pages.insert((id, column), value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_on_both_sides_survive_every_kill() {
    let world = World::with_mappings(&rows(ROWS), MAPPING).await;
    world.sync().await;
    let client = world.client().await;
    let source = world.source("Items").await;
    let pages: Vec<Page> = world
        .pages(&source)
        .await
        .into_iter()
        .map(|page| Page { id: page["id"].as_str().unwrap().to_owned(), values: page["values"].clone() })
        .collect();
    let seed = seed(11);
    trouble(&world, seed).await;

    let mut chance = Chance(seed);
    let mut edits = Edits::default();
    let mut killed = 0;
    for round in 0..ROUNDS {
        for _ in 0..20 {
            edits.both(&world, &client, &pages, &mut chance).await;
        }
        let calls = chance.up_to(if round % 3 == 0 { 6 } else { 40 });
        let running = Sync::start(&world);
        // People go on while it works.
        let (was_killed, ()) = tokio::join!(running.kill_after(&world, calls), async {
            for _ in 0..10 {
                edits.both(&world, &client, &pages, &mut chance).await;
                tokio::task::yield_now().await;
            }
        });
        killed += u64::from(was_killed);
    }
    assert!(killed >= ROUNDS / 2, "killed only {killed} times");
    let in_trouble = Sync::start(&world).end().await;
    assert!(matches!(in_trouble.code, 0 | 3), "{}{}", in_trouble.stdout, in_trouble.stderr);
    calm(&world).await;
    let last = Sync::start(&world).end().await;
    assert!(matches!(last.code, 0 | 3), "{}{}", last.stdout, last.stderr);

    // A write that was carried out after its sender was killed is no edit that pagerow has forgotten.
    let losses = "pagerow.runs WHERE report::text LIKE '%bases_lost%'";
    assert_eq!(world.count(losses).await, 0, "bases were given up");
    // Only columns that both sides' people edited may differ, and each of those is an open conflict.
    let engine = world.engine().await;
    let open = engine.store().open_conflicts(None).await.unwrap();
    let open: BTreeMap<(i64, String), ()> = open
        .iter()
        .map(|open| {
            let key: i64 = open.conflict.key.as_ref().unwrap().as_str().parse().unwrap();
            ((key, open.column.clone()), ())
        })
        .collect();
    assert!(open.keys().all(|(_, column)| column == "category"), "{open:?}");
    let verdict = world.verify().await;
    for difference in &verdict.mappings[0].differing {
        let name = (difference.key.as_str().parse().unwrap(), difference.column.clone());
        assert!(open.contains_key(&name), "differs without a conflict: {name:?}");
    }
    assert_eq!((verdict.mappings[0].rows, verdict.mappings[0].pages), (ROWS as u64, ROWS as u64));
    assert_eq!(world.count("pagerow.steps WHERE status IN ('intended', 'unknown')").await, 0, "open steps");

    // What people wrote is what is there, on both sides.
    let pages: BTreeMap<i64, Json> = world
        .pages(&source)
        .await
        .into_iter()
        .map(|page| {
            let values = page["values"].clone();
            (values["Supabase ID"].as_str().unwrap().parse().unwrap(), values)
        })
        .collect();
    let mut lost = Vec::new();
    for ((id, column), value) in
        edits.rows.iter().chain(&edits.pages).filter(|((_, column), _)| *column != "category")
    {
        let row = world.row(&format!("SELECT name, note FROM items WHERE id = {id}")).await;
        let property = if *column == "name" { "Name" } else { "Note" };
        let (in_row, on_page) = (&row[*column], &pages[id][property]);
        if in_row != value || on_page != value {
            lost.push(format!("{id} {column}: wrote {value}, row {in_row}, page {on_page}"));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    // A contested value is one of the two that people wrote last.
    for (id, _) in edits.rows.keys().filter(|(_, column)| *column == "category") {
        let row = world.row(&format!("SELECT category FROM items WHERE id = {id}")).await;
        let name = (*id, "category");
        let written = [edits.rows.get(&name), edits.pages.get(&name)];
        assert!(written.into_iter().flatten().any(|value| row["category"] == *value), "{name:?}: {row}");
    }
}
