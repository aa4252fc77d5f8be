//! What goes wrong meanwhile: in Notion's answers and its index, in the database, with rights and shares.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::{Recipe, chance::Chance, stage::Stage};

/// The longest lag of Notion's lists, in milliseconds.
const LAG: u64 = 2_500;
/// When a late write is carried out at the latest, in milliseconds after it was refused.
const LATE: u64 = 2_000;

const CREATE: &str = "POST /v1/pages";
const CHANGE: &str = "PATCH /v1/pages/{id}";
const BODY: &str = "PATCH /v1/pages/{id}/markdown";
const LIST: &str = "POST /v1/data_sources/{id}/query";
const PAGE: &str = "GET /v1/pages/{id}";

pub(crate) struct Trouble {
    stage: Arc<Stage>,
    chance: Mutex<Chance>,
    pooled: bool,
    figures: Mutex<BTreeMap<String, u64>>,
}

impl Trouble {
    pub(crate) fn new(stage: Arc<Stage>, chance: Chance, recipe: &Recipe) -> Self {
        Self { stage, chance: Mutex::new(chance), pooled: recipe.pooled, figures: Mutex::default() }
    }

    /// Makes trouble until it is over, and then none.
    pub(crate) async fn make(self, over: &AtomicBool) -> Result<Self> {
        let (one, other) = {
            let mut chance = self.chance.lock().await;
            (chance.fork(), chance.fork())
        };
        tokio::try_join!(self.notion(one, over), self.postgres(other, over))?;
        Ok(self)
    }

    pub(crate) fn tell(&self, figures: &mut BTreeMap<String, u64>) {
        if let Ok(own) = self.figures.try_lock() {
            figures.extend(own.clone());
        }
    }

    async fn count(&self, what: String, times: u64) {
        if times > 0 {
            *self.figures.lock().await.entry(what).or_default() += times;
        }
    }

    // ---- Notion ----

    async fn notion(&self, mut chance: Chance, over: &AtomicBool) -> Result<()> {
        while !over.load(Ordering::Relaxed) {
            let length = Duration::from_millis(chance.between(500, 4_000));
            if !chance.percent(20) {
                for _ in 0..chance.between(2, 8) {
                    let rule = rule(&mut chance);
                    self.stage.control("POST", "faults", &rule).await?;
                }
                let lag = chance.below(LAG);
                let lag = json!({ "min_ms": 0, "max_ms": lag, "seed": chance.below(1 << 32) });
                self.stage.control("POST", "lag", &lag).await?;
            }
            // The limit on a list's length, below which lists are read in windows.
            let results = if chance.percent(25) { chance.between(30, 90) } else { 10_000 };
            self.stage.control("POST", "caps", &json!({ "results": results })).await?;
            if chance.percent(6) {
                self.revoked(&mut chance).await?;
            } else if chance.percent(6) {
                self.unshared(&mut chance).await?;
            }
            tokio::time::sleep(length).await;
            self.calm().await?;
        }
        self.stage.control("POST", "caps", &json!({ "results": 10_000 })).await?;
        Ok(())
    }

    async fn calm(&self) -> Result<()> {
        let faults = self.stage.control("GET", "faults", &Json::Null).await?;
        for rule in faults["faults"].as_array().into_iter().flatten() {
            let of = |name: &str| rule[name].as_str().unwrap_or("-").to_owned();
            let what = format!("Notion: {} {} ({})", of("endpoint"), of("answer"), of("fate"));
            self.count(what, rule["hits"].as_u64().unwrap_or(0)).await;
        }
        self.stage.control("DELETE", "faults", &Json::Null).await?;
        self.stage.control("POST", "lag", &json!({})).await?;
        Ok(())
    }

    /// The token is revoked and given back.
    async fn revoked(&self, chance: &mut Chance) -> Result<()> {
        let tokens = self.stage.control("GET", "tokens", &Json::Null).await?;
        let Some(token) = tokens["tokens"][0]["token"].as_str() else { return Ok(()) };
        let path = format!("tokens/{token}");
        self.stage.control("PATCH", &path, &json!({ "revoked": true })).await?;
        tokio::time::sleep(Duration::from_millis(chance.between(100, 1_500))).await;
        self.stage.control("PATCH", &path, &json!({ "revoked": false })).await?;
        self.count("Notion: token revoked for a while".to_owned(), 1).await;
        Ok(())
    }

    /// A data source's database is not shared for a while.
    async fn unshared(&self, chance: &mut Chance) -> Result<()> {
        let sources = self.stage.sources().await?;
        let Some((_, source)) = chance.of(&sources) else { return Ok(()) };
        self.stage.control("POST", "unshare", &json!({ "id": source })).await?;
        tokio::time::sleep(Duration::from_millis(chance.between(100, 1_500))).await;
        self.stage.control("POST", "share", &json!({ "id": source })).await?;
        self.count("Notion: data source not shared for a while".to_owned(), 1).await;
        Ok(())
    }

    // ---- Postgres ----

    async fn postgres(&self, mut chance: Chance, over: &AtomicBool) -> Result<()> {
        let mut crashes = 0;
        let mut ticks = 0_u64;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(chance.between(300, 3_000))).await;
            ticks += 1;
            // The first one early, so that a short soup has one too.
            if ticks == 6 || chance.percent(2) {
                let away = Duration::from_millis(chance.between(0, 1_500));
                self.stage.crash_postgres(away).await?;
                crashes += 1;
                continue;
            }
            let client = self.stage.client().await?;
            match chance.below(10) {
                0..3 => self.cut(&client).await?,
                3..6 => self.hold(client, &mut chance).await?,
                6 => self.set(&client, &mut chance, "statement_timeout", "40").await?,
                7 => self.set(&client, &mut chance, "default_transaction_read_only", "on").await?,
                8 => self.lock_table(&client, &mut chance).await?,
                _ => self.collide(&client, &mut chance).await?,
            }
        }
        self.count("Postgres: crashed and restarted".to_owned(), crashes).await;
        Ok(())
    }

    /// Ends `pagerow`'s connections, or the pooler's.
    async fn cut(&self, client: &Client) -> Result<()> {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name <> 'people' AND backend_type = 'client backend'";
        let cut: i64 = client.query_one(sql, &[]).await?.get(0);
        self.count("Postgres: connections cut".to_owned(), u64::try_from(cut)?).await;
        Ok(())
    }

    /// Somebody's transaction holds rows for a while, and then takes back what it did.
    async fn hold(&self, client: Client, chance: &mut Chance) -> Result<()> {
        client.batch_execute("BEGIN").await?;
        let count = chance.between(1, 20);
        let sql = format!(
            "UPDATE items SET done = NOT done WHERE id IN (SELECT id FROM items ORDER BY id LIMIT {count} OFFSET {})",
            chance.below(40)
        );
        client.batch_execute("SET LOCAL lock_timeout = '1s'").await?;
        if client.batch_execute(&sql).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(chance.between(200, 4_000))).await;
            self.count("Postgres: rows held by a user's transaction".to_owned(), 1).await;
        }
        client.batch_execute("ROLLBACK").await?;
        Ok(())
    }

    /// A whole table is locked.
    async fn lock_table(&self, client: &Client, chance: &mut Chance) -> Result<()> {
        client.batch_execute("BEGIN; SET LOCAL lock_timeout = '1s'").await?;
        let table = chance.of(&["items", "teams", "tickets"]).copied().unwrap_or("items");
        if client.batch_execute(&format!("LOCK TABLE {table} IN EXCLUSIVE MODE")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(chance.between(100, 2_500))).await;
            self.count("Postgres: table locked by a user's transaction".to_owned(), 1).await;
        }
        client.batch_execute("ROLLBACK").await?;
        Ok(())
    }

    /// A transaction that takes rows against the usual order, so that deadlocks come about.
    async fn collide(&self, client: &Client, chance: &mut Chance) -> Result<()> {
        client.batch_execute("BEGIN").await?;
        let mut collided = false;
        for step in (1..=6_u64).rev() {
            let id = step * 3 + chance.below(3);
            let sql = format!("UPDATE items SET done = done WHERE id = {id}");
            if client.batch_execute(&sql).await.is_err() {
                collided = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(chance.below(120))).await;
        }
        client.batch_execute("ROLLBACK").await?;
        let what = if collided {
            "a user's transaction lost a deadlock"
        } else {
            "a user's transaction took rows backwards"
        };
        self.count(format!("Postgres: {what}"), 1).await;
        Ok(())
    }

    /// A setting for everybody's new sessions, for a while.
    async fn set(&self, client: &Client, chance: &mut Chance, name: &str, value: &str) -> Result<()> {
        client.batch_execute(&format!("ALTER DATABASE soup SET {name} = '{value}'")).await?;
        if self.pooled {
            // The pooler keeps its sessions.
            self.cut(client).await?;
        }
        tokio::time::sleep(Duration::from_millis(chance.between(300, 2_500))).await;
        client
            .batch_execute(&format!(
                "SET default_transaction_read_only = off; ALTER DATABASE soup RESET {name}"
            ))
            .await?;
        if self.pooled {
            self.cut(client).await?;
        }
        self.count(format!("Postgres: {name} = {value} for a while"), 1).await;
        Ok(())
    }
}

/// Something that goes wrong with a call now and then.
fn rule(chance: &mut Chance) -> Json {
    let writes = [
        ("applied", "drop"),
        ("not_applied", "drop"),
        ("applied", "hang"),
        ("not_applied", "hang"),
        ("applied", "truncated"),
        ("applied", "503_saved"),
        ("applied", "500"),
        ("not_applied", "500"),
        ("applied", "502"),
        ("not_applied", "502"),
        ("applied", "503"),
        ("not_applied", "503"),
        ("not_applied", "503_database"),
        ("applied", "504"),
        ("late", "504"),
        ("late", "drop"),
        ("late", "500"),
        ("not_applied", "409"),
        ("not_applied", "429"),
        ("not_applied", "429_workspace"),
        ("not_applied", "529"),
        ("not_applied", "401"),
        ("not_applied", "403"),
        ("not_applied", "403_html"),
        ("not_applied", "404"),
        ("applied", "slow"),
    ];
    let reads = [
        ("not_applied", "502"),
        ("not_applied", "503"),
        ("not_applied", "500"),
        ("not_applied", "504"),
        ("not_applied", "drop"),
        ("not_applied", "hang"),
        ("applied", "truncated"),
        ("not_applied", "429"),
        ("not_applied", "529"),
        ("not_applied", "404"),
        ("applied", "slow"),
    ];
    let is_write = chance.percent(75);
    let endpoint = if is_write {
        chance.of(&[CREATE, CREATE, CHANGE, CHANGE, CHANGE, BODY]).copied()
    } else {
        chance.of(&[LIST, LIST, PAGE]).copied()
    };
    let list: &[(&str, &str)] = if is_write { &writes } else { &reads };
    let (fate, answer) = chance.of(list).copied().unwrap_or(("not_applied", "500"));
    // Those that stop a whole sync come seldom, or nothing would ever get through.
    let stops = ["401", "403", "403_html", "404", "hang"].contains(&answer);
    json!({
        "endpoint": endpoint, "fate": fate, "answer": answer, "seed": chance.below(1 << 32),
        "probability": chance.between(3, 25) as f64 / 100.0, "times": if stops { 1 } else { 12 },
        "delay_ms": chance.between(50, LATE), "retry_after": 1, "retry_date": chance.percent(30),
    })
}
