//! People and applications at work on both sides, and the ledger of every word that they wrote.
//!
//! Each edit of a text adds a word that was never written before. So it can be told at the end what became of it: a word
//! is there, or somebody who had seen it took it away, or it can be restored from a record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use pagerow_core::{
    record::{PageId, Record, RowKey},
    side::Side,
    value::Value,
};
use serde_json::{Map, Value as Json, json};

use crate::{
    cast::{Cast, KEY_PROPERTY},
    kind::Kind,
    model::{Tx, server::Lock, table::Row},
    network::properties,
    script::{Cell, How, PageDeed, RowDeed, Whose, WorldSpec},
    stage::lock,
};

/// Who wrote what, and who took what away.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    words: BTreeMap<String, Word>,
    next: u64,
    /// When a person last removed a row or a page.
    removed: BTreeMap<String, u64>,
    /// Keys of rows that were there once, by table.
    keys: BTreeMap<String, BTreeSet<RowKey>>,
    /// Keys that pages carry from before there was this pagerow, by table.
    earlier: BTreeMap<String, BTreeSet<RowKey>>,
    /// Pages that a person made by copying another one.
    copies: BTreeSet<String>,
    /// When somebody last did something to a row or a page.
    touched: BTreeMap<String, u64>,
    /// Pages that were not shared for some time.
    hidden: BTreeSet<String>,
    /// Mappings to which somebody else wrote with pagerow's token.
    strangers: BTreeSet<String>,
    /// What pagerow wrote to which property of which page: when it was sent, and when it arrived.
    written: BTreeMap<(String, String), Vec<(u64, u64)>>,
}

/// A word that somebody wrote.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) at: u64,
    /// The mapping's place.
    pub(crate) table: usize,
    pub(crate) side: Side,
    /// The row's key or the page's id.
    pub(crate) record: String,
    /// The field's name.
    pub(crate) cell: &'static str,
    /// Somebody who saw it took it away.
    is_superseded: bool,
    /// Somebody put the page that showed it in the trash.
    is_put_away: bool,
}

impl Word {
    pub(crate) fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    pub(crate) fn is_put_away(&self) -> bool {
        self.is_put_away
    }
}

impl Ledger {
    /// What a text becomes by an edit.
    fn edit(
        &self,
        (at, table, side): (u64, usize, Side),
        record: &str,
        cell: &'static str,
        text: &str,
        how: How,
    ) -> String {
        let mut entries = lock(&self.0);
        let before = words(text);
        if !matches!(how, How::Add) {
            entries.supersede(text);
        }
        if matches!(how, How::Clear) {
            return String::new();
        }
        entries.next += 1;
        let new = format!("w{}", entries.next);
        let word = Word {
            at,
            table,
            side,
            record: record.to_owned(),
            cell,
            is_superseded: false,
            is_put_away: false,
        };
        entries.words.insert(new.clone(), word);
        match how {
            How::Add if !before.is_empty() => format!("{} {new}", before.join(" ")),
            How::Add | How::Replace | How::Clear => new,
        }
    }

    /// A person saw this and took it away.
    pub(crate) fn take_away(&self, shown: &str) {
        lock(&self.0).supersede(shown);
    }

    /// A person saw both sides of a cell and typed in another text for it: it counts once pagerow has said that it took it.
    pub(crate) fn typed(
        &self,
        at: u64,
        table: usize,
        key: &RowKey,
        cell: &'static str,
        shown: &str,
    ) -> String {
        let new = self.edit((at, table, Side::Postgres), key.as_str(), cell, shown, How::Replace);
        self.take_away(&new);
        new
    }

    /// Pagerow has taken this text, as if somebody had written it.
    pub(crate) fn taken(&self, text: &str) {
        let mut entries = lock(&self.0);
        for word in words(text) {
            if let Some(word) = entries.words.get_mut(&word) {
                word.is_superseded = false;
            }
        }
    }

    /// A person put a page in the trash that showed this.
    fn put_away(&self, at: u64, page: &str, shown: &str) {
        let mut entries = lock(&self.0);
        entries.removed.insert(page.to_owned(), at);
        for word in words(shown) {
            if let Some(word) = entries.words.get_mut(&word) {
                word.is_put_away = true;
            }
        }
    }

    /// A person saw a record and took it away.
    fn removed(&self, at: u64, record: &str, shown: &str) {
        let mut entries = lock(&self.0);
        entries.removed.insert(record.to_owned(), at);
        entries.supersede(shown);
    }

    /// Whether a person took this record away.
    pub(crate) fn is_removed(&self, record: &str) -> bool {
        self.removed_at(record).is_some()
    }

    /// When a person last took this record away.
    pub(crate) fn removed_at(&self, record: &str) -> Option<u64> {
        lock(&self.0).removed.get(record).copied()
    }

    /// Whether a person made this page by copying another one.
    pub(crate) fn is_copy(&self, page: &str) -> bool {
        lock(&self.0).copies.contains(page)
    }

    fn touch(&self, record: String, at: u64) {
        lock(&self.0).touched.insert(record, at);
    }

    /// When somebody last did something to this row or page.
    pub(crate) fn touched(&self, record: &str) -> Option<u64> {
        lock(&self.0).touched.get(record).copied()
    }

    /// A person takes a page out of pagerow's reach for some time.
    pub(crate) fn hide(&self, page: &str) {
        lock(&self.0).hidden.insert(page.to_owned());
    }

    /// Whether this page was out of pagerow's reach for some time.
    pub(crate) fn was_hidden(&self, page: &str) -> bool {
        lock(&self.0).hidden.contains(page)
    }

    /// Whether somebody else wrote to a mapping's pages with pagerow's token.
    pub(crate) fn is_impersonated(&self, mapping: &str) -> bool {
        lock(&self.0).strangers.contains(mapping)
    }

    /// Keys of rows that people inserted into a table.
    pub(crate) fn keys(&self, table: &str) -> BTreeSet<RowKey> {
        lock(&self.0).keys.get(table).cloned().unwrap_or_default()
    }

    /// Keys that a row of a table may come back under.
    fn old_keys(&self, table: &str) -> BTreeSet<RowKey> {
        let mut keys = self.keys(table);
        keys.extend(lock(&self.0).earlier.get(table).into_iter().flatten().cloned());
        keys
    }

    /// Notes which properties a call of pagerow's changed.
    pub(crate) fn pagerow_wrote(
        &self,
        request: &notion_emulator::Request,
        answer: &Json,
        sent: u64,
        arrived: u64,
    ) {
        let Some(page) = answer["id"].as_str() else { return };
        let mut entries = lock(&self.0);
        for property in properties(&request.body) {
            entries.written.entry((page.to_owned(), property)).or_default().push((sent, arrived));
        }
    }

    /// All words, with what is known of them.
    pub(crate) fn words(&self) -> BTreeMap<String, Word> {
        lock(&self.0).words.clone()
    }

    /// Whether pagerow wrote to this property of a page so shortly after, that nobody could have told it in time.
    pub(crate) fn was_overtaken(&self, page: &str, property: &str, at: u64, blind: u64) -> bool {
        let entries = lock(&self.0);
        let writes = entries.written.get(&(page.to_owned(), property.to_owned()));
        writes.into_iter().flatten().any(|(sent, arrived)| at + blind >= *sent && at <= *arrived)
    }
}

impl Entries {
    fn supersede(&mut self, shown: &str) {
        for word in words(shown) {
            if let Some(word) = self.words.get_mut(&word) {
                word.is_superseded = true;
            }
        }
    }
}

/// The words of a text. A trigger may have put them into capitals.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

impl Cast {
    // ---- Tables ----

    /// Somebody writes to a table. Waits while another transaction holds the row.
    pub(crate) async fn do_to_row(&self, deed: &RowDeed) {
        match *deed {
            RowDeed::Insert { table, value } => {
                let key = self.server.number().to_string().into();
                self.insert(self.table(table), key, value, false);
            }
            RowDeed::InsertBare { table, value } => {
                let key = self.server.number().to_string().into();
                self.insert(self.table(table), key, value, true);
            }
            RowDeed::Reinsert { table, pick, value } => {
                let at = self.table(table);
                let name = &self.specs[at].name;
                let gone: Vec<RowKey> = self.server.look(|db| {
                    let keys = self.ledger.old_keys(name).into_iter();
                    keys.filter(|key| !db.tables[name].rows().contains_key(key)).collect()
                });
                let Some(key) = picked(&gone, pick) else { return };
                // Whoever deletes it has to have ended first.
                let mut tx = self.server.open();
                let held = tx.lock(&Lock::Row(name.clone(), key.as_str().to_owned())).await;
                let is_there = self.server.look(|db| db.tables[name].rows().contains_key(key));
                if held.unwrap_or(false) && !is_there {
                    drop(tx);
                    self.stage.count("a row came back");
                    self.insert(at, key.clone(), value, false);
                }
            }
            RowDeed::Edit { table, pick, cell, open } => {
                let at = self.table(table);
                let Some((tx, key, row)) = self.hold(at, pick).await else { return };
                let field = usize::try_from(cell.field).unwrap_or(0) % self.specs[at].fields.len();
                let value = self.row_value(at, &key, &row, field, cell);
                self.stage.tell(|| format!("somebody sets {field} of row {key} of {at} to {value:?}"));
                let mut record = (*row.record).clone();
                record.set(field, Some(value));
                if open > 0 {
                    self.stage.count("a slow transaction");
                    tokio::time::sleep(Duration::from_millis(open)).await;
                }
                self.put(tx, at, key, Row { record: Arc::new(record), ..row });
            }
            RowDeed::Delete { table, pick } => {
                let at = self.table(table);
                let Some((tx, key, row)) = self.hold(at, pick).await else { return };
                let (name, gone) = (self.specs[at].name.clone(), key.clone());
                if self.server.is_in_the_way(&name, &key, None) {
                    return;
                }
                if self.server.write_at_once(tx, move |db| db.delete(&name, &gone)) {
                    self.stage.count("a row was deleted");
                    self.stage.tell(|| format!("somebody deletes row {key} of {at}"));
                    self.ledger.touch(removed_row(at, &key), self.stage.elapsed());
                    self.ledger.removed(self.stage.elapsed(), &removed_row(at, &key), &all_text(&row.record));
                }
            }
            RowDeed::Mark { table, pick } => {
                let at = self.table(table);
                if !self.specs[at].soft_delete {
                    return;
                }
                let Some((tx, key, row)) = self.hold(at, pick).await else { return };
                self.stage.count("a row was marked, or its mark taken away");
                self.stage.tell(|| format!("somebody marks row {key} of {at}: {}", !row.is_marked));
                if !row.is_marked {
                    self.ledger.removed(self.stage.elapsed(), &removed_row(at, &key), "");
                }
                self.put(tx, at, key, Row { is_marked: !row.is_marked, ..row });
            }
            RowDeed::Truncate { table } => {
                let at = self.table(table);
                let name = self.specs[at].name.clone();
                let is_referred_to = |(other, spec): (usize, &crate::script::MappingSpec)| {
                    other != at && spec.refers == name && spec.fields.iter().any(|f| f.kind == Kind::Refers)
                };
                if self.specs.iter().enumerate().any(is_referred_to) {
                    return;
                }
                // It waits for whoever works on one of the rows, and gives up.
                if self.server.is_worked_on(&name) {
                    return;
                }
                let rows = self.server.look(|db| db.tables[&name].rows().clone());
                let file = self.server.number().unsigned_abs();
                let emptied = self.server.write_at_once(self.server.open(), move |db| {
                    db.tables.get_mut(&name).map(|table| table.truncate(file)).ok_or(())
                });
                if emptied {
                    self.stage.count("a table was truncated");
                    self.stage.tell(|| format!("somebody truncates {at}"));
                    for (key, row) in rows {
                        self.ledger.removed(
                            self.stage.elapsed(),
                            &removed_row(at, &key),
                            &all_text(&row.record),
                        );
                    }
                }
            }
        }
    }

    /// A transaction that holds some row, with the row.
    async fn hold(&self, at: usize, pick: u64) -> Option<(Tx, RowKey, Row)> {
        let name = &self.specs[at].name;
        let keys: Vec<RowKey> = self.server.look(|db| db.tables[name].rows().keys().cloned().collect());
        let key = picked(&keys, pick)?.clone();
        let mut tx = self.server.open();
        let held = tx.lock(&Lock::Row(name.clone(), key.as_str().to_owned())).await;
        let row = self.server.look(|db| db.tables[name].rows().get(&key).cloned());
        held.unwrap_or(false).then_some(())?;
        Some((tx, key, row?))
    }

    fn insert(&self, at: usize, key: RowKey, value: u64, is_bare: bool) {
        let tx = self.server.open();
        let row = Row {
            record: Arc::new(Record::new(vec![Some(Value::Null); self.specs[at].fields.len()])),
            written_by: tx.number,
            edited: tx.now,
            is_marked: false,
            page: None,
        };
        let mut record = Record::clone(&row.record);
        let given = if is_bare { 1 } else { self.specs[at].fields.len() };
        for field in 0..given {
            let cell = Cell { field: 0, how: How::Add, value: value + field as u64 };
            record.set(field, Some(self.row_value(at, &key, &row, field, cell)));
        }
        self.stage.tell(|| format!("somebody inserts row {key} into {at}: {:?}", record.values()));
        lock(&self.ledger.0).keys.entry(self.specs[at].name.clone()).or_default().insert(key.clone());
        self.put(tx, at, key, Row { record: Arc::new(record), ..row });
    }

    /// Writes a row and commits, unless the database refuses it: then what was meant never was.
    fn put(&self, tx: Tx, at: usize, key: RowKey, row: Row) {
        let row = Row { written_by: tx.number, edited: self.stage.database_now(), ..row };
        self.ledger.touch(removed_row(at, &key), self.stage.elapsed());
        let (name, text) = (self.specs[at].name.clone(), all_text(&row.record));
        let is_refused = self.server.is_in_the_way(&name, &key, Some(&row.record));
        if is_refused || !self.server.write_at_once(tx, move |db| db.put(&name, &key, row.clone())) {
            self.stage.count("the database refused somebody's write");
            lock(&self.ledger.0).supersede(&text);
        }
    }

    fn row_value(&self, at: usize, key: &RowKey, row: &Row, field: usize, cell: Cell) -> Value {
        let kind = self.specs[at].fields[field].kind;
        if kind.is_text() {
            let when = (self.stage.elapsed(), at, Side::Postgres);
            let text =
                self.ledger.edit(when, key.as_str(), kind.name(), &text_of(row.record.get(field)), cell.how);
            return if text.is_empty() { Value::Null } else { Value::Text(text) };
        }
        let related: Vec<RowKey> = match kind {
            Kind::Refers => self.server.look(|db| {
                db.tables
                    .get(&self.specs[at].refers)
                    .into_iter()
                    .flat_map(|table| table.rows().keys().cloned())
                    .collect()
            }),
            _ => Vec::new(),
        };
        if matches!(cell.how, How::Clear) { Value::Null } else { kind.value(cell.value, &related) }
    }

    // ---- Data sources ----

    /// Somebody writes to a data source.
    pub(crate) fn do_to_page(&self, deed: &PageDeed) {
        match *deed {
            PageDeed::Create { table, value } => {
                let at = self.table(table);
                let mut properties = Map::new();
                for (field, spec) in self.specs[at].fields.iter().enumerate() {
                    let cell = Cell { field: 0, how: How::Add, value: value + field as u64 };
                    properties
                        .insert(spec.kind.name().to_owned(), self.page_value(at, &Json::Null, field, cell));
                }
                let body = json!({"data_source_id": self.sources[at].data_source, "properties": properties});
                self.stage.note_deed();
                let made = self.control("POST", "pages", &body);
                assert_eq!(made.status, 200, "{}", made.json());
                self.stage
                    .tell(|| format!("somebody makes page {}: {}", made.json()["id"], body["properties"]));
            }
            PageDeed::Edit { table, pick, cell, as_bot, whose } => {
                let at = self.table(table);
                let pages = self.pages_of(at, pick, whose);
                let Some(page) = picked(&pages, pick) else { return };
                let field = usize::try_from(cell.field).unwrap_or(0) % self.specs[at].fields.len();
                let name = self.specs[at].fields[field].kind.name();
                let value = self.page_value(at, page, field, cell);
                let mut body = json!({"properties": { (name): value }});
                if as_bot {
                    body["user"] = json!("Sync bot");
                    lock(&self.ledger.0).strangers.insert(self.specs[at].name.clone());
                }
                self.on_page("PATCH", page, "", &body);
            }
            PageDeed::Trash { table, pick, whose } => {
                let pages = self.pages_of(self.table(table), pick, whose);
                let Some(page) = picked(&pages, pick) else { return };
                self.stage.count("a page was trashed");
                // Its words stay in it, and it can be taken out of the trash.
                let id = page["id"].as_str().unwrap_or_default();
                self.ledger.put_away(self.stage.elapsed(), id, &page_text(page));
                self.on_page("POST", page, "/trash", &json!({}));
            }
            PageDeed::Restore { table, pick } => {
                let pages = self.pages(self.table(table), true);
                let Some(page) = picked(&pages, pick) else { return };
                self.stage.count("a page was restored");
                self.on_page("POST", page, "/restore", &json!({}));
            }
            PageDeed::Duplicate { table, pick, whose } => {
                let pages = self.pages_of(self.table(table), pick, whose);
                let Some(page) = picked(&pages, pick) else { return };
                self.stage.count("a page was copied");
                let copy = self.on_page("POST", page, "/duplicate", &json!({}));
                lock(&self.ledger.0).copies.extend(copy["id"].as_str().map(str::to_owned));
            }
        }
    }

    /// Makes pages as people, and an earlier pagerow, made them before there was this one.
    pub(crate) fn make_old_pages(&self, at: usize, world: &WorldSpec) {
        let count = world.pages.max(world.keyed_pages);
        if count == 0 {
            return;
        }
        let row = |number: u64| {
            let fields = self.specs[at].fields.iter().enumerate();
            let cell = |field: usize| Cell { field: 0, how: How::Add, value: number * 7 + field as u64 };
            let values = fields.map(|(field, spec)| {
                (spec.kind.name().to_owned(), self.page_value(at, &Json::Null, field, cell(field)))
            });
            let mut row: Map<String, Json> = values.collect();
            if number < world.keyed_pages {
                let key = self.server.number().to_string();
                row.insert(KEY_PROPERTY.to_owned(), json!(key));
                let mut entries = lock(&self.ledger.0);
                entries.earlier.entry(self.specs[at].name.clone()).or_default().insert(key.into());
            }
            Json::Object(row)
        };
        let rows: Vec<Json> = (0..count).map(row).collect();
        let path = format!("data_sources/{}/rows", self.sources[at].data_source);
        let body = json!({"rows": rows, "created_time": "2026-07-01T00:00:00Z", "step_ms": 70_000});
        let made = self.control("POST", &path, &body);
        assert_eq!(made.status, 200, "{}", made.json());
        self.stage.tell(|| format!("people have made pages in {at}: {body}"));
    }

    /// The pages from which one is picked.
    fn pages_of(&self, at: usize, pick: u64, whose: Whose) -> Vec<Json> {
        let mut pages = self.pages(at, false);
        match whose {
            Whose::Anybodys => {}
            Whose::TheRows => {
                let name = &self.specs[at].name;
                let keys: Vec<RowKey> =
                    self.server.look(|db| db.tables[name].rows().keys().cloned().collect());
                let key = picked(&keys, pick).map(RowKey::as_str);
                pages.retain(|page| key.is_some() && key_of(page) == key);
            }
            Whose::Copies => {
                pages.retain(|page| self.ledger.is_copy(page["id"].as_str().unwrap_or_default()));
            }
        }
        pages
    }

    /// One of the pages of a data source.
    pub(crate) fn page_of(&self, table: u64, pick: u64) -> Option<String> {
        let pages = self.pages(self.table(table), false);
        picked(&pages, pick)?["id"].as_str().map(str::to_owned)
    }

    fn on_page(&self, method: &str, page: &Json, deed: &str, body: &Json) -> Json {
        self.stage.note_deed();
        let id = page["id"].as_str().unwrap_or_default();
        self.ledger.touch(id.to_owned(), self.stage.elapsed());
        let answer = self.control(method, &format!("pages/{id}{deed}"), body);
        assert_eq!(answer.status, 200, "{method} {id}{deed}: {}", answer.json());
        self.stage.tell(|| format!("somebody does {method} {deed} to page {id}: {body}"));
        answer.json()
    }

    fn page_value(&self, at: usize, page: &Json, field: usize, cell: Cell) -> Json {
        let kind = self.specs[at].fields[field].kind;
        if kind.is_text() {
            let id = page["id"].as_str().unwrap_or_default();
            let text = page["values"][kind.name()].as_str().unwrap_or_default();
            let when = (self.stage.elapsed(), at, Side::Notion);
            return json!(self.ledger.edit(when, id, kind.name(), text, cell.how));
        }
        let related: Vec<PageId> = match kind {
            Kind::Refers => {
                let other =
                    self.specs.iter().position(|spec| spec.name == self.specs[at].refers).unwrap_or(0);
                self.pages(other, false)
                    .iter()
                    .filter_map(|page| PageId::parse(page["id"].as_str()?))
                    .collect()
            }
            _ => Vec::new(),
        };
        if matches!(cell.how, How::Clear) { kind.nothing() } else { kind.json(cell.value, &related) }
    }

    /// The pages of a data source as people see them; those in the trash instead when asked for.
    pub(crate) fn pages(&self, source: usize, trashed: bool) -> Vec<Json> {
        let path =
            format!("data_sources/{}/rows?limit=1000&trash={trashed}", self.sources[source].data_source);
        let json = self.control("GET", &path, &Json::Null).json();
        json["rows"].as_array().cloned().unwrap_or_default()
    }

    fn table(&self, number: u64) -> usize {
        usize::try_from(number).unwrap_or(0) % self.mappings.len()
    }
}

fn picked<T>(items: &[T], pick: u64) -> Option<&T> {
    items.get(usize::try_from(pick).unwrap_or(0) % items.len().max(1))
}

/// What the ledger calls a row that was removed.
pub(crate) fn removed_row(table: usize, key: &RowKey) -> String {
    format!("{table}/{key}")
}

/// The row's key that a page carries.
pub(crate) fn key_of(page: &Json) -> Option<&str> {
    page["values"][KEY_PROPERTY].as_str().filter(|key| !key.is_empty())
}

pub(crate) fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// All texts of a page.
pub(crate) fn page_text(page: &Json) -> String {
    let texts = [Kind::Title, Kind::Text];
    let texts: Vec<&str> = texts.iter().filter_map(|kind| page["values"][kind.name()].as_str()).collect();
    texts.join(" ")
}

pub(crate) fn all_text(record: &Record) -> String {
    let texts: Vec<String> = record.values().iter().map(|value| text_of(value.as_ref())).collect();
    texts.join(" ")
}
