//! People at work on both sides: each sees what he changes, and every change is written down.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use super::{
    cell::{self, Column, Kind, TABLES, Table},
    chance::Chance,
    ledger::{Edit, Ledger, Side},
    stage::Stage,
};

/// The pause between two edits of one side, in milliseconds at most.
const PAUSE: u64 = 160;

pub(crate) struct People {
    stage: Arc<Stage>,
    chance: Mutex<Chance>,
    number: AtomicU64,
    pub(crate) ledger: Ledger,
}

impl People {
    pub(crate) fn new(stage: Arc<Stage>, chance: Chance) -> Self {
        Self { stage, chance: Mutex::new(chance), number: AtomicU64::new(1), ledger: Ledger::default() }
    }

    /// Both sides' people work until it is over.
    pub(crate) async fn live(self, over: &AtomicBool) -> Result<Self> {
        let (one, other) = {
            let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
            (chance.fork(), chance.fork())
        };
        tokio::try_join!(self.rows(one, over), self.pages(other, over))?;
        Ok(self)
    }

    // ---- In the application ----

    async fn rows(&self, mut chance: Chance, over: &AtomicBool) -> Result<()> {
        let mut client: Option<Client> = None;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(chance.below(PAUSE))).await;
            let _the_server_stays = self.stage.people.read().await;
            let connected = match client.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => self.stage.client().await?,
            };
            let Some(table) = chance.of(&[TABLES[0], TABLES[0], TABLES[0], TABLES[1], TABLES[2]]).copied()
            else {
                continue;
            };
            let done = match chance.below(100) {
                0..4 => self.new_row(&connected, &table, &mut chance).await,
                4..6 => self.delete_row(&connected, &table, &mut chance).await,
                6 => self.reinsert_row(&connected, &table, &mut chance).await,
                7..10 => self.join(&connected, &table, &mut chance).await,
                _ => self.edit_row(&connected, &table, &mut chance).await,
            };
            done.with_context(|| format!("an edit of {}", table.name))?;
            client = Some(connected);
        }
        Ok(())
    }

    async fn some_key(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<Option<String>> {
        let live = if table.soft_delete { "WHERE deleted_at IS NULL" } else { "" };
        let keys =
            client.query(&format!("SELECT id::text FROM {} {live} ORDER BY id", table.name), &[]).await?;
        let keys: Vec<String> = keys.iter().map(|row| row.get(0)).collect();
        // A few records get most of the attention.
        let most = if chance.percent(40) { keys.len().min(15) } else { keys.len() };
        Ok(chance.of(&keys[..most]).cloned())
    }

    async fn edit_row(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<()> {
        let Some(key) = self.some_key(client, table, chance).await? else { return Ok(()) };
        let Some(column) = pick(table, chance, Side::Row, &key) else { return Ok(()) };
        client.batch_execute("BEGIN").await?;
        let Some(row) = locked(client, table, &key).await? else {
            client.batch_execute("COMMIT").await?;
            return Ok(());
        };
        let seen = &row[column.name];
        let adds = chance.percent(75);
        let (value, mark) = match self.next_value(&column, 'p', seen, adds, chance) {
            Some((value, mark)) => (cell::sql_text(column.kind, &value), Some(mark)),
            None => (self.plain_value(client, &column, chance).await?, None),
        };
        let value =
            if mark.is_none() && column.kind != Kind::Flag && chance.percent(10) { None } else { value };
        if chance.percent(10) {
            // A transaction that takes its time holds its lock for as long.
            tokio::time::sleep(Duration::from_millis(chance.between(50, 800))).await;
        }
        let sql = format!(
            "UPDATE {} SET {} = ($1::text)::{} WHERE id::text = $2",
            table.name, column.name, column.sql
        );
        client.execute(&sql, &[&value, &key]).await?;
        client.batch_execute("COMMIT").await?;
        let now = value.map_or(Json::Null, Json::String);
        let kept = match column.kind {
            Kind::Number => mark.clone().into_iter().collect(),
            _ => cell::marks(column.kind, &now),
        };
        let took = taken(&column, seen, &kept);
        self.note(Side::Row, table, &key, &column, mark, took);
        Ok(())
    }

    /// Somebody puts the two sides' words together, on both sides.
    async fn join(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<()> {
        let words: Vec<Column> =
            table.columns.iter().filter(|column| column.kind == Kind::Words).copied().collect();
        let (Some(key), Some(column)) = (self.some_key(client, table, chance).await?, chance.of(&words))
        else {
            return Ok(());
        };
        let sources = self.stage.sources().await?;
        let Some((_, source)) = sources.iter().find(|(name, _)| *name == table.name) else { return Ok(()) };
        let pages = self.stage.pages(source, false).await?;
        let Some(page) = pages.iter().find(|page| page["values"]["Supabase ID"] == *key) else {
            return Ok(());
        };
        let shown = &page["values"][column.property];
        client.batch_execute("BEGIN").await?;
        let Some(row) = locked(client, table, &key).await? else {
            client.batch_execute("COMMIT").await?;
            return Ok(());
        };
        let mut all = cell::marks(column.kind, &row[column.name]);
        let more = cell::marks(column.kind, shown)
            .into_iter()
            .filter(|mark| !all.contains(mark))
            .collect::<Vec<_>>();
        all.extend(more);
        if all.is_empty() {
            return Ok(client.batch_execute("COMMIT").await?);
        }
        let text = all.join(" ");
        let sql = format!("UPDATE {} SET {} = $1 WHERE id::text = $2", table.name, column.name);
        client.execute(&sql, &[&text, &key]).await?;
        client.batch_execute("COMMIT").await?;
        let id = page["id"].as_str().unwrap_or_default();
        let body = json!({ "properties": { column.property: text }, "expect": { column.property: shown, "in_trash": false } });
        let (status, _) = self.stage.try_control("PATCH", &format!("pages/{id}"), &body).await?;
        self.note(Side::Row, table, &key, &column.called("joined"), None, Vec::new());
        if status == 200 {
            self.note(Side::Page, table, id, &column.called("joined"), None, Vec::new());
        }
        Ok(())
    }

    async fn new_row(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<()> {
        let Some(title) = table.columns.first() else { return Ok(()) };
        let Some((value, mark)) = self.next_value(title, 'p', &Json::Null, false, chance) else {
            return Ok(());
        };
        let text = cell::sql_text(title.kind, &value);
        let sql = format!("INSERT INTO {} ({}) VALUES ($1) RETURNING id::text", table.name, title.name);
        let row = client.query_one(&sql, &[&text]).await?;
        self.note(
            Side::Row,
            table,
            &row.get::<_, String>(0),
            &title.called("new row"),
            Some(mark),
            Vec::new(),
        );
        Ok(())
    }

    async fn delete_row(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<()> {
        let Some(key) = self.some_key(client, table, chance).await? else { return Ok(()) };
        if table.name == "teams" && chance.percent(80) {
            return Ok(());
        }
        // Before it is done: `pagerow` may be quick.
        self.ledger.note_deleted(table.name, &key);
        let sql = if table.soft_delete {
            format!(
                "UPDATE {} t SET deleted_at = now() WHERE id::text = $1 RETURNING to_jsonb(t)::text",
                table.name
            )
        } else {
            format!("DELETE FROM {} t WHERE id::text = $1 RETURNING to_jsonb(t)::text", table.name)
        };
        if let Some(row) = client.query_opt(&sql, &[&key]).await? {
            let row: Json = serde_json::from_str(row.get(0))?;
            self.note_gone(Side::Row, table, &key, |column| row[column.name].clone());
        }
        Ok(())
    }

    /// A row that was deleted is there again, under its key.
    async fn reinsert_row(&self, client: &Client, table: &Table, chance: &mut Chance) -> Result<()> {
        if table.name == "tickets" {
            return Ok(());
        }
        let Some(title) = table.columns.first() else { return Ok(()) };
        let sql = format!(
            "SELECT n::text FROM generate_series(1, (SELECT max(id) FROM {0})) n WHERE NOT EXISTS (SELECT FROM {0} WHERE id = n) ORDER BY n",
            table.name
        );
        let gone: Vec<String> = client.query(&sql, &[]).await?.iter().map(|row| row.get(0)).collect();
        let gone: Vec<String> =
            gone.into_iter().filter(|key| self.ledger.was_deleted(table.name, key)).collect();
        let Some(key) = chance.of(&gone) else { return Ok(()) };
        let Some((value, mark)) = self.next_value(title, 'p', &Json::Null, false, chance) else {
            return Ok(());
        };
        let text = cell::sql_text(title.kind, &value);
        let sql = format!(
            "INSERT INTO {} (id, {}) VALUES (($1::text)::bigint, $2) ON CONFLICT DO NOTHING",
            table.name, title.name
        );
        if client.execute(&sql, &[&key, &text]).await? == 1 {
            self.note(Side::Row, table, key, &title.called("new row again"), Some(mark), Vec::new());
        }
        Ok(())
    }

    async fn plain_value(
        &self,
        client: &Client,
        column: &Column,
        chance: &mut Chance,
    ) -> Result<Option<String>> {
        Ok(match column.kind {
            Kind::Flag => Some(chance.percent(50).to_string()),
            Kind::Choice => chance.of(&["calm", "wild", "odd"]).map(|mood| (*mood).to_owned()),
            Kind::Relation => {
                let other = if column.name == "team_id" { "teams" } else { "items" };
                let keys = client.query(&format!("SELECT id::text FROM {other} ORDER BY id"), &[]).await?;
                let keys: Vec<String> = keys.iter().map(|row| row.get(0)).collect();
                chance.of(&keys).cloned()
            }
            Kind::Words | Kind::List | Kind::Tags | Kind::Url | Kind::Body | Kind::Number | Kind::Day => None,
        })
    }

    // ---- In Notion ----

    async fn pages(&self, mut chance: Chance, over: &AtomicBool) -> Result<()> {
        let sources = self.stage.sources().await?;
        let mut known: Vec<(Table, String, Vec<Json>)> = Vec::new();
        let mut edits = 0_u64;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(chance.below(PAUSE))).await;
            if edits.is_multiple_of(20) {
                known.clear();
                for (table, (_, source)) in TABLES.iter().zip(&sources) {
                    known.push((*table, source.clone(), self.stage.pages(source, false).await?));
                }
            }
            edits += 1;
            let which = usize::try_from([0, 0, 0, 1, 2][usize::try_from(chance.below(5))?])?;
            let Some((table, source, pages)) = known.get(which) else { continue };
            let most = if chance.percent(40) { pages.len().min(15) } else { pages.len() };
            let page = chance.of(&pages[..most]).and_then(|page| page["id"].as_str()).map(str::to_owned);
            let done = match (chance.below(100), page) {
                (0..4, _) => self.new_page(table, source, &mut chance).await,
                (4..6, Some(page)) => self.trash_page(table, &page, &mut chance).await,
                (6, _) => self.restore_page(table, source, &mut chance).await,
                (_, Some(page)) => self.edit_page(table, &page, &sources, &mut chance).await,
                (_, None) => Ok(()),
            };
            done.with_context(|| format!("an edit of {}", table.source))?;
        }
        Ok(())
    }

    async fn edit_page(
        &self,
        table: &Table,
        id: &str,
        sources: &[(&'static str, String)],
        chance: &mut Chance,
    ) -> Result<()> {
        let page = self.stage.control("GET", &format!("pages/{id}"), &Json::Null).await?;
        let key = page["values"]["Supabase ID"].as_str().unwrap_or_default();
        let Some(column) = pick(table, chance, Side::Page, key) else { return Ok(()) };
        let seen = match column.kind {
            Kind::Body => &page["markdown"],
            _ => &page["values"][column.property],
        };
        let adds = chance.percent(75);
        let (value, mark) = match self.next_value(&column, 'n', seen, adds, chance) {
            Some((value, mark)) => (value, Some(mark)),
            None => match column.kind {
                Kind::Flag => (chance.percent(50).into(), None),
                Kind::Choice => {
                    (chance.of(&["calm", "wild", "odd"]).map_or(Json::Null, |mood| (*mood).into()), None)
                }
                _ => {
                    let other = if column.name == "team_id" { "teams" } else { "items" };
                    let Some((_, source)) = sources.iter().find(|(name, _)| *name == other) else {
                        return Ok(());
                    };
                    let pages = self.stage.pages(source, false).await?;
                    // At the very beginning there are none yet.
                    let Some(other) = chance.of(&pages) else { return Ok(()) };
                    (json!([other["id"]]), None)
                }
            },
        };
        if page["in_trash"] == true {
            return Ok(());
        }
        let (status, answer) = if column.kind == Kind::Body {
            let body = json!({ "markdown": value, "expect_markdown": seen });
            self.stage.try_control("PUT", &format!("pages/{id}/markdown"), &body).await?
        } else {
            let written = cell::page_value(column.kind, &value);
            let body = json!({ "properties": { column.property: written }, "expect": { column.property: seen, "in_trash": false } });
            self.stage.try_control("PATCH", &format!("pages/{id}"), &body).await?
        };
        match status {
            200 => {
                let took = taken(&column, seen, &cell::marks(column.kind, &value));
                self.note(Side::Page, table, id, &column, mark, took);
            }
            // Somebody, or `pagerow`, was quicker.
            409 => {}
            _ => anyhow::bail!("{}: {status} {answer}", column.property),
        }
        Ok(())
    }

    async fn new_page(&self, table: &Table, source: &str, chance: &mut Chance) -> Result<()> {
        let Some(title) = table.columns.first() else { return Ok(()) };
        let Some((value, mark)) = self.next_value(title, 'n', &Json::Null, false, chance) else {
            return Ok(());
        };
        let body = json!({ "data_source_id": source, "properties": { title.property: value } });
        let page = self.stage.control("POST", "pages", &body).await?;
        let id = page["id"].as_str().unwrap_or_default();
        self.note(Side::Page, table, id, &title.called("new page"), Some(mark), Vec::new());
        Ok(())
    }

    async fn trash_page(&self, table: &Table, id: &str, chance: &mut Chance) -> Result<()> {
        if table.name == "teams" && chance.percent(50) {
            return Ok(());
        }
        let page = self.stage.control("GET", &format!("pages/{id}"), &Json::Null).await?;
        if page["in_trash"] == true {
            return Ok(());
        }
        self.ledger.note_trashed(id);
        let body = json!({ "expect": page["values"] });
        let (status, _) = self.stage.try_control("POST", &format!("pages/{id}/trash"), &body).await?;
        if status == 200 {
            self.note_gone(Side::Page, table, id, |column| match column.kind {
                Kind::Body => page["markdown"].clone(),
                _ => page["values"][column.property].clone(),
            });
        }
        Ok(())
    }

    async fn restore_page(&self, table: &Table, source: &str, chance: &mut Chance) -> Result<()> {
        let pages = self.stage.pages(source, true).await?;
        let Some(id) = chance.of(&pages).and_then(|page| page["id"].as_str()) else { return Ok(()) };
        self.stage.control("POST", &format!("pages/{id}/restore"), &json!({})).await?;
        let first = table.columns.first().map(|column| column.called("restored"));
        first.iter().for_each(|column| self.note(Side::Page, table, id, column, None, Vec::new()));
        Ok(())
    }

    // ---- What is written, and written down ----

    fn next_value(
        &self,
        column: &Column,
        letter: char,
        seen: &Json,
        adds: bool,
        _chance: &mut Chance,
    ) -> Option<(Json, String)> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        cell::marked(column.kind, letter, number, seen, adds)
    }

    fn note(
        &self,
        side: Side,
        table: &Table,
        record: &str,
        column: &Column,
        mark: Option<String>,
        took: Vec<(&'static str, String)>,
    ) {
        // New records carry their mark in the first column.
        let place = table.columns.iter().find(|known| known.name == column.name).or(table.columns.first());
        let edit = Edit {
            at: self.stage.elapsed(),
            side,
            table: table.name,
            record: record.to_owned(),
            what: column.name.to_owned(),
            mark,
            took,
        };
        self.ledger.note(edit, place.map(|column| column.name));
    }

    /// Whoever deletes a record has seen what it held.
    fn note_gone(&self, side: Side, table: &Table, record: &str, value: impl Fn(&Column) -> Json) {
        let took = table
            .columns
            .iter()
            .flat_map(|column| {
                cell::marks(column.kind, &value(column)).into_iter().map(|mark| (column.name, mark))
            })
            .collect();
        let what = match side {
            Side::Row => "deleted",
            Side::Page => "trashed",
        };
        let edit = Edit {
            at: self.stage.elapsed(),
            side,
            table: table.name,
            record: record.to_owned(),
            what: what.to_owned(),
            mark: None,
            took,
        };
        self.ledger.note(edit, None);
    }
}

impl Column {
    /// The same column for what is done to a whole record.
    fn called(&self, name: &'static str) -> Self {
        Self { name, ..*self }
    }
}

/// A column to edit: either side's people have their own, and some they share.
fn pick(table: &Table, chance: &mut Chance, side: Side, key: &str) -> Option<Column> {
    let foreign = chance.percent(12);
    let own: Vec<Column> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(place, column)| match column.kind {
            // Nobody can tell which of two bodies was there: each record's body has one author.
            Kind::Body => key.ends_with(['0', '2', '4', '6', '8']) == (side == Side::Row) && !key.is_empty(),
            Kind::Flag | Kind::Choice | Kind::Relation => true,
            _ => foreign || (place % 2 == 0) == (side == Side::Row),
        })
        // Options pile up in the schema.
        .filter(|(_, column)| column.kind != Kind::Tags || chance.percent(10))
        .map(|(_, column)| *column)
        .collect();
    chance.of(&own).copied()
}

/// A row as JSON, locked; a transaction is open.
async fn locked(client: &Client, table: &Table, key: &str) -> Result<Option<Json>> {
    let sql = format!("SELECT to_jsonb(t)::text FROM {} t WHERE id::text = $1 FOR UPDATE", table.name);
    let Some(row) = client.query_opt(&sql, &[&key]).await? else { return Ok(None) };
    Ok(Some(serde_json::from_str(row.get(0))?))
}

/// The marks that were there and are not any more.
fn taken(column: &Column, seen: &Json, kept: &[String]) -> Vec<(&'static str, String)> {
    let seen = cell::marks(column.kind, seen);
    seen.into_iter().filter(|mark| !kept.contains(mark)).map(|mark| (column.name, mark)).collect()
}
