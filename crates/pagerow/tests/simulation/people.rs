//! People and applications at work on both sides, and the ledger of every word that they wrote.
//!
//! Each edit of a text adds a word that was never written before. So it can be told at the end what became of it: a word
//! is on both sides, or somebody who had seen it took it away, or it can be restored from a record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use pagerow_core::{
    record::{Record, RowKey},
    side::Side,
    value::Value,
};
use serde_json::{Map, Value as Json, json};

use crate::{
    cast::{Cast, KEY_PROPERTY},
    model::{server::Lock, table::Row},
    network::properties,
    script::{How, PageDeed, RowDeed},
    stage::lock,
};

/// Who wrote what, and who took what away.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    words: BTreeMap<String, Word>,
    next: u64,
    /// Rows and pages that a person removed.
    removed: BTreeSet<String>,
    /// What pagerow wrote to which property of which page: when it was sent, and when it arrived.
    written: BTreeMap<(String, String), Vec<(u64, u64)>>,
}

/// A word that somebody wrote.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) at: u64,
    pub(crate) side: Side,
    /// The row's key or the page's id.
    pub(crate) record: String,
    /// The column or the property.
    pub(crate) cell: String,
    /// Somebody who saw it took it away.
    pub(crate) is_superseded: bool,
}

impl Ledger {
    /// What a text becomes by an edit.
    fn edit(&self, at: u64, side: Side, record: &str, cell: &str, text: &str, how: How) -> String {
        let mut entries = lock(&self.0);
        let before = words(text);
        if !matches!(how, How::Add) {
            for word in &before {
                if let Some(word) = entries.words.get_mut(*word) {
                    word.is_superseded = true;
                }
            }
        }
        if matches!(how, How::Clear) {
            return String::new();
        }
        entries.next += 1;
        let new = format!("w{}", entries.next);
        let word = Word { at, side, record: record.to_owned(), cell: cell.to_owned(), is_superseded: false };
        entries.words.insert(new.clone(), word);
        match how {
            How::Add if !before.is_empty() => format!("{} {new}", before.join(" ")),
            How::Add | How::Replace | How::Clear => new,
        }
    }

    /// A person saw a record and took it away.
    fn removed(&self, record: &str, shown: &str) {
        let mut entries = lock(&self.0);
        entries.removed.insert(record.to_owned());
        for word in words(shown) {
            if let Some(word) = entries.words.get_mut(word) {
                word.is_superseded = true;
            }
        }
    }

    /// Whether a person took this record away.
    pub(crate) fn is_removed(&self, record: &str) -> bool {
        lock(&self.0).removed.contains(record)
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

/// The words of a text that the ledger may know.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

impl Cast {
    /// Somebody writes to a table. Waits while another transaction holds the row.
    pub(crate) async fn do_to_row(&self, deed: &RowDeed) {
        let table = |number: u64| {
            let at = usize::try_from(number).unwrap_or(0) % self.mappings.len();
            Arc::clone(&self.mappings[at])
        };
        match deed {
            RowDeed::Insert { table: number } => {
                let mapping = table(*number);
                let key: RowKey = self.server.number().to_string().into();
                self.insert(&mapping.name, key).await;
            }
            RowDeed::Edit { table: number, pick, field, how } => {
                let mapping = table(*number);
                let Some(key) = self.pick_row(&mapping.name, *pick) else { return };
                let field = usize::try_from(*field).unwrap_or(0) % mapping.fields.len();
                let tx = self.server.open();
                let mut tx = tx;
                if !tx.lock(&Lock::Row(mapping.name.clone(), key.as_str().to_owned())).await.unwrap_or(false)
                {
                    return;
                }
                let Some(row) = self.row(&mapping.name, &key) else { return };
                let cell = &mapping.fields[field].column;
                let text = text_of(row.record.get(field));
                let at = self.stage.elapsed();
                let text = self.ledger.edit(at, Side::Postgres, key.as_str(), cell, &text, *how);
                let value = if text.is_empty() { Value::Null } else { Value::Text(text) };
                self.stage
                    .tell(|| format!("somebody sets {}.{cell} of row {key} to {value:?}", mapping.name));
                let mut record = (*row.record).clone();
                record.set(field, Some(value));
                let row = Row { record: Arc::new(record), written_by: tx.number, edited: tx.now, ..row };
                let name = mapping.name.clone();
                self.server.write_at_once(tx, move |db| db.put(&name, &key, row.clone()));
            }
            RowDeed::Delete { table: number, pick } => {
                let mapping = table(*number);
                let Some(key) = self.pick_row(&mapping.name, *pick) else { return };
                let mut tx = self.server.open();
                if !tx.lock(&Lock::Row(mapping.name.clone(), key.as_str().to_owned())).await.unwrap_or(false)
                {
                    return;
                }
                let Some(row) = self.row(&mapping.name, &key) else { return };
                let (name, gone) = (mapping.name.clone(), key.clone());
                if self.server.write_at_once(tx, move |db| db.delete(&name, &gone)) {
                    self.stage.tell(|| format!("somebody deletes row {key} of {}", mapping.name));
                    self.ledger.removed(key.as_str(), &all_text(&row.record));
                }
            }
        }
    }

    pub(crate) async fn insert(&self, table: &str, key: RowKey) {
        let Some(mapping) = self.mappings.iter().find(|mapping| mapping.name == table) else { return };
        let tx = self.server.open();
        let at = self.stage.elapsed();
        let values = mapping.fields.iter().map(|field| {
            let text = self.ledger.edit(at, Side::Postgres, key.as_str(), &field.column, "", How::Add);
            Some(Value::Text(text))
        });
        let row = Row {
            record: Arc::new(Record::new(values.collect())),
            written_by: tx.number,
            edited: tx.now,
            is_marked: false,
            page: None,
        };
        self.stage.tell(|| format!("somebody inserts row {key} into {table}: {}", all_text(&row.record)));
        let name = table.to_owned();
        self.server.write_at_once(tx, move |db| db.put(&name, &key, row.clone()));
    }

    /// Somebody writes to a data source.
    pub(crate) fn do_to_page(&self, deed: &PageDeed) {
        let source = |number: u64| usize::try_from(number).unwrap_or(0) % self.sources.len();
        let at = self.stage.elapsed();
        match deed {
            PageDeed::Create { table } => {
                let source = source(*table);
                let mut properties = Map::new();
                for field in &self.mappings[source].fields {
                    let text = self.ledger.edit(at, Side::Notion, "", &field.property, "", How::Add);
                    properties.insert(field.property.clone(), json!(text));
                }
                let body =
                    json!({"data_source_id": self.sources[source].data_source, "properties": properties});
                let made = self.control("POST", "pages", &body).json();
                self.stage.tell(|| format!("somebody makes page {}: {}", made["id"], body["properties"]));
            }
            PageDeed::Edit { table, pick, field, how } => {
                let source = source(*table);
                let Some(page) = self.pick_page(source, *pick) else { return };
                let fields = &self.mappings[source].fields;
                let field = &fields[usize::try_from(*field).unwrap_or(0) % fields.len()];
                let id = page["id"].as_str().unwrap_or_default();
                let text = page["values"][&field.property].as_str().unwrap_or_default();
                let text = self.ledger.edit(at, Side::Notion, id, &field.property, text, *how);
                let body = json!({"properties": { (field.property.as_str()): text }});
                self.stage.tell(|| format!("somebody sets {} of page {id} to {text}", field.property));
                let answer = self.control("PATCH", &format!("pages/{id}"), &body);
                assert_eq!(answer.status, 200, "{}", answer.json());
            }
        }
    }

    fn pick_row(&self, table: &str, pick: u64) -> Option<RowKey> {
        self.server.look(|db| {
            let rows = db.tables[table].rows();
            let at = usize::try_from(pick).unwrap_or(0) % rows.len().max(1);
            rows.keys().nth(at).cloned()
        })
    }

    pub(crate) fn row(&self, table: &str, key: &RowKey) -> Option<Row> {
        self.server.look(|db| db.tables[table].rows().get(key).cloned())
    }

    fn pick_page(&self, source: usize, pick: u64) -> Option<Json> {
        let mut pages = self.pages(source, false);
        let at = usize::try_from(pick).unwrap_or(0) % pages.len().max(1);
        (!pages.is_empty()).then(|| pages.swap_remove(at))
    }

    /// The pages of a data source as people see them; those in the trash instead when asked for.
    pub(crate) fn pages(&self, source: usize, trashed: bool) -> Vec<Json> {
        let path =
            format!("data_sources/{}/rows?limit=1000&trash={trashed}", self.sources[source].data_source);
        let json = self.control("GET", &path, &Json::Null).json();
        json["rows"].as_array().cloned().unwrap_or_default()
    }
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

fn all_text(record: &Record) -> String {
    let texts: Vec<String> = record.values().iter().map(|value| text_of(value.as_ref())).collect();
    texts.join(" ")
}
