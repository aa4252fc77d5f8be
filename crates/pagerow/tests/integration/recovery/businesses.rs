//! Whole businesses come back from their pages, each row under its own key, in hardly more calls than Notion's own limit
//! on an answer makes necessary.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value as Json;

use super::{
    done,
    interrupted::{killed_when, staged},
};
use crate::support::{postgres::northwind, world::World};

/// A business that is equal on both sides, each page of which keeps its whole row.
struct Business {
    world: World,
    /// Its tables, each with the columns that no property shows.
    tables: Vec<(&'static str, &'static [&'static str])>,
    before: BTreeMap<&'static str, (Json, Json)>,
}

impl Business {
    async fn kept_equal(world: World, tables: Vec<(&'static str, &'static [&'static str])>) -> Self {
        world.reconfigure(|text| text.replace("\ndata_source = ", "\nbackup = true\ndata_source = "));
        world.make().await;
        let t = std::time::Instant::now();
        let first = world.sync().await;
        assert!(!first.needs_decision(), "{:#?}", world.parked().await);
        eprintln!("sync {:?}", t.elapsed());
        world.minutes_pass(11).await;
        let mut business = Self { world, tables, before: BTreeMap::new() };
        business.before = business.rows().await;
        business
    }

    /// Of each table all rows, and all rows without the columns that no property shows, in the order of their texts.
    async fn rows(&self) -> BTreeMap<&'static str, (Json, Json)> {
        let mut rows = BTreeMap::new();
        for (table, hidden) in &self.tables {
            let hidden: Vec<String> = hidden.iter().map(|column| format!("- '{column}'")).collect();
            let shown = format!("to_jsonb(t) {}", hidden.join(" "));
            let sql = format!(
                "SELECT jsonb_agg(t::text ORDER BY t::text) AS whole, jsonb_agg({shown} ORDER BY ({shown})::text) AS shown FROM {table} t"
            );
            let mut both = self.world.row(&sql).await;
            rows.insert(*table, (both["whole"].take(), both["shown"].take()));
        }
        rows
    }

    async fn lose_everything(&self) {
        let tables: Vec<&str> = self.tables.iter().map(|(table, _)| *table).collect();
        self.world
            .sql(&format!(
                "TRUNCATE {} RESTART IDENTITY CASCADE; DROP SCHEMA pagerow CASCADE",
                tables.join(", ")
            ))
            .await;
        self.world.calls().await;
    }

    async fn recover(&self) {
        let t = std::time::Instant::now();
        done(&self.world, &["recover", "from-notion", "--yes", "--json"]).await;
        eprintln!("recover {:?}", t.elapsed());
        let calls = self.world.calls().await;
        eprintln!("{calls:#?}");
        let steps = self.world.row("SELECT jsonb_agg(x) AS x FROM (SELECT mapping, action, status, run_id, count(*), min(step::text) FROM pagerow.steps GROUP BY 1,2,3,4) x").await;
        eprintln!("{steps:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn northwind_comes_back() {
    let Some(sql) = northwind() else { return };
    let world = World::with(&sql).await;
    world.propose().await;
    let tables = vec![
        ("categories", &["picture"][..]),
        ("customers", &[]),
        ("customer_demographics", &[]),
        ("customer_customer_demo", &[]),
        ("employees", &["photo"]),
        ("employee_territories", &[]),
        ("order_details", &[]),
        ("orders", &[]),
        ("products", &[]),
        ("region", &[]),
        ("shippers", &[]),
        ("suppliers", &[]),
        ("territories", &[]),
        ("us_states", &[]),
    ];
    let business = Business::kept_equal(world, tables).await;
    business.lose_everything().await;
    business.recover().await;
    let after = business.rows().await;
    for (table, (whole, _)) in &business.before {
        differs(table, whole, &after[table].0);
    }
    business.world.reconfigure(|text| text.replace("backup = true\n", ""));
    business.lose_everything().await;
    business.recover().await;
    let after = business.rows().await;
    for (table, (_, shown)) in &business.before {
        differs(table, shown, &after[table].1);
    }
    business.world.nothing_left().await;
}

fn marketplace(file: &str) -> String {
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/marketplace");
    std::fs::read_to_string(example.join(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marketplace_comes_back() {
    let sql = format!(
        "{}\nSET marketplace.rows = 1000;\n{}",
        marketplace("schema.sql"),
        marketplace("generate.sql")
    );
    let world = World::with(&sql).await;
    world.set("PAGEROW__NOTION__BASE_URL", &world.notion.base_url());
    world.configure("");
    world.reconfigure(|_| marketplace("pagerow.toml"));
    let tables = vec![
        ("user_profiles", &[][..]),
        ("suppliers", &[]),
        ("products", &[]),
        ("rfqs", &[]),
        ("rfq_responses", &["number"]),
        ("auctions", &[]),
        ("orders", &["completed_at"]),
    ];
    let business = Business::kept_equal(world, tables).await;
    business.lose_everything().await;
    let world = &business.world;
    let mut before = 0;
    for _ in 0..2 {
        killed_when(world, async || staged(world).await > before + 2000).await;
        before = staged(world).await;
        assert_eq!(world.count("user_profiles").await, 0);
    }
    killed_when(world, async || world.count("user_profiles").await > 0).await;
    eprintln!("{} suppliers {}", world.count("user_profiles").await, world.count("suppliers").await);
    business.recover().await;
    let after = business.rows().await;
    for (table, (whole, _)) in &business.before {
        differs(table, whole, &after[table].0);
    }
    business.world.reconfigure(|text| text.replace("backup = true\n", ""));
    business.lose_everything().await;
    business.recover().await;
    let after = business.rows().await;
    for (table, (_, shown)) in &business.before {
        differs(table, shown, &after[table].1);
    }
    business.world.nothing_left().await;
}

fn differs(table: &str, before: &Json, after: &Json) {
    let (Some(a), Some(b)) = (before.as_array(), after.as_array()) else {
        assert_eq!(before, after, "{table}");
        return;
    };
    let d: Vec<_> = a.iter().zip(b).filter(|(a, b)| a != b).take(3).collect();
    assert!(d.is_empty() && a.len() == b.len(), "{table} {} {}: {d:#?}", a.len(), b.len());
}
