//! Whole businesses come back from their pages, each row under its own key, in as many calls as it takes to read them.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::{
    done,
    interrupted::{killed_when, queries, staged},
};
use crate::support::{
    postgres::northwind,
    world::{World, written},
};

/// A mapping's table, with what of a row `t` its page shows, as SQL that gives `jsonb`.
struct Table {
    name: &'static str,
    shown: &'static str,
}

const fn table(name: &'static str) -> Table {
    Table { name, shown: "to_jsonb(t)" }
}

/// Bytes have no form in Notion. Join tables come with the relations that they make.
const NORTHWIND: [Table; 14] = [
    Table { name: "categories", shown: "to_jsonb(t) - 'picture'" },
    Table { name: "employees", shown: "to_jsonb(t) - 'photo'" },
    table("customers"),
    table("customer_demographics"),
    table("customer_customer_demo"),
    table("employee_territories"),
    table("order_details"),
    table("orders"),
    table("products"),
    table("region"),
    table("shippers"),
    table("suppliers"),
    table("territories"),
    table("us_states"),
];

/// Options have no order; a response's number is shown in words that do not lead back to it, and of an order's completion the
/// page shows only that there was one.
const MARKETPLACE: [Table; 7] = [
    Table {
        name: "rfqs",
        shown: "to_jsonb(t) || jsonb_build_object('required_certifications', \
            (SELECT jsonb_agg(one ORDER BY one) FROM unnest(required_certifications) one))",
    },
    Table { name: "rfq_responses", shown: "to_jsonb(t) - 'number'" },
    Table {
        name: "orders",
        shown: "to_jsonb(t) || jsonb_build_object('completed_at', completed_at IS NOT NULL)",
    },
    table("user_profiles"),
    table("suppliers"),
    table("products"),
    table("auctions"),
];

/// A business that is equal on both sides, and each of whose pages keeps its whole row.
struct Business {
    world: World,
    tables: &'static [Table],
    mappings: u64,
    /// Calls that it takes to read all pages.
    least: u64,
}

impl Business {
    async fn kept_equal(world: World, tables: &'static [Table]) -> Self {
        world.reconfigure(|text| text.replace("\ndata_source = ", "\nbackup = true\ndata_source = "));
        world.make().await;
        let first = world.fast_minutes(world.sync()).await;
        assert!(!first.needs_decision(), "{:#?}", world.parked().await);
        world.minutes_pass(11).await;
        let listed = |created: u64| created.div_ceil(100).max(1);
        let least = first.mappings.iter().map(|part| listed(part.to_notion.created)).sum();
        let mappings = first.mappings.len() as u64;
        world.sql("CREATE SCHEMA kept").await;
        for Table { name, .. } in tables {
            world.sql(&format!("CREATE TABLE kept.{name} AS TABLE {name}")).await;
        }
        Self { world, tables, mappings, least }
    }

    async fn lose_everything(&self) {
        let tables: Vec<&str> = self.tables.iter().map(|table| table.name).collect();
        let tables = tables.join(", ");
        self.world
            .sql(&format!("TRUNCATE {tables} RESTART IDENTITY CASCADE; DROP SCHEMA pagerow CASCADE"))
            .await;
        self.world.calls().await;
    }

    /// Every column of every row is as it was.
    async fn is_whole(&self) {
        for Table { name, .. } in self.tables {
            self.same(name, "t").await;
        }
    }

    /// Everything that a page shows is as it was.
    async fn is_as_shown(&self) {
        for Table { name, shown } in self.tables {
            self.same(name, shown).await;
        }
    }

    /// Compares this of each row with what was kept of it, letter by letter.
    async fn same(&self, table: &str, part: &str) {
        let other = format!(
            "SELECT ({part})::text AS one FROM {table} t EXCEPT ALL SELECT ({part})::text FROM kept.{table} t"
        );
        let first = self.world.row(&format!("SELECT min(one) AS first FROM ({other}) others")).await;
        assert_eq!(first["first"], Json::Null, "another row of {table}");
        let kept = self.world.count(&format!("kept.{table}")).await;
        assert_eq!(self.world.count(table).await, kept, "rows of {table}");
    }

    /// Recovers without what pages keep of their rows, and counts.
    async fn comes_back_from_properties(&self) {
        self.world.reconfigure(|text| text.replace("backup = true\n", ""));
        self.lose_everything().await;
        done(&self.world, &["recover", "from-notion", "--yes"]).await;
        let calls: u64 = self.world.calls().await.values().sum();
        // No page is read without its data source's schema.
        let limit = self.least + self.mappings;
        eprintln!("{} pages' worth of calls and {} schemas: {calls} calls", self.least, self.mappings);
        assert!(calls * 100 <= limit * 110, "{calls} calls, and {limit} would do");
        self.is_as_shown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn northwind_comes_back() {
    let Some(sql) = northwind() else { return };
    let world = World::with(&sql).await;
    world.propose().await;
    let business = Business::kept_equal(world, &NORTHWIND).await;
    business.lose_everything().await;
    done(&business.world, &["recover", "from-notion", "--yes"]).await;
    business.is_whole().await;
    business.comes_back_from_properties().await;
    // A look at everything finds nothing that were not settled, and asks for no page by itself.
    business.world.nothing_left().await;
    let calls = business.world.calls().await;
    assert!(!calls.keys().any(|call| call.contains("pages")), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marketplace_comes_back_though_it_is_killed_three_times() {
    let rows: i64 = std::env::var("PAGEROW_MARKETPLACE_ROWS").map_or(300, |rows| rows.parse().unwrap());
    let read = |file: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/marketplace");
        std::fs::read_to_string(folder.join(file)).unwrap()
    };
    let fill = format!("SET marketplace.rows = {rows};\n{}", read("generate.sql"));
    let world = World::with(&format!("{}\n{fill}", read("schema.sql"))).await;
    world.set("PAGEROW__NOTION__BASE_URL", &world.notion.base_url());
    world.configure("");
    world.reconfigure(|_| read("pagerow.toml"));
    let business = Business::kept_equal(world, &MARKETPLACE).await;
    let world = &business.world;
    business.lose_everything().await;

    if rows < 5_000 {
        // Answers take their time, so that there is a moment to be met.
        world.fault(json!({"endpoint": "POST /v1/data_sources/{id}/query", "answer": "slow", "fate": "applied", "delay_ms": 60})).await;
    }
    for pages in [rows, 4 * rows] {
        killed_when(world, async || staged(world).await > pages).await;
        assert!(staged(world).await < 7 * rows, "everything was retrieved before it was killed");
    }
    killed_when(world, async || world.count("suppliers").await > 0).await;
    assert!(world.count("orders").await < rows, "everything was written before it was killed");
    world.no_faults().await;
    let last = done(world, &["recover", "from-notion", "--yes"]).await;
    assert!(last.stderr.contains("going on with recovery 1"), "{}", last.stderr);
    // Each start asks once more for what was on its way, and every mapping for what was edited, in a call or two; a large
    // one is read in several places at once, which costs a little.
    let calls = queries(world).await;
    assert!(
        calls <= business.least * 21 / 20 + 3 + 2 * 3 * business.mappings,
        "{calls} queries, {} pages'",
        business.least
    );
    business.is_whole().await;
    world.nothing_left().await;

    business.comes_back_from_properties().await;
    // A response has a new number, and its page says so; nothing else is left.
    let report = business.world.full_sync().await;
    let responses = report.mappings.iter().find(|part| part.mapping == "rfq_responses").unwrap();
    assert_eq!(written(&report), [0, responses.to_notion.updated, 0, 0, 0, 0], "{report:#?}");
    business.world.nothing_left().await;
}
