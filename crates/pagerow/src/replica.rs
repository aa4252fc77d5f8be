//! What the engine needs of a side: to look at it, and to write to it one step at a time.
//!
//! The two sides differ where it matters for safety. [`Rows`] are written inside the store's own transaction, so
//! that a write, its bases and its history commit together. [`Pages`] are written over a network that can lose the
//! answer, so that a write may end as [`Outcome::Unknown`] and has to be looked for.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    mapping::Mapping,
    observation::{Observation, Sighting, TableFacts},
    plan::Step,
    record::{PageId, Record, RowKey},
    retry::Failure,
    value::{Ref, Value},
};

use crate::backup::Backups;

/// Which records to look at.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a, Id> {
    /// All of them; what is then not shown is absent, if the look says that it was complete.
    Everything,
    /// Those that may have changed since an earlier look.
    Since(&'a Cursor),
    /// These, however many of them exist. One that does not is shown as absent.
    These(&'a [Id]),
}

/// How far a side has been read, in the side's own terms.
pub type Cursor = serde_json::Value;

/// One record, as a look showed it: present, absent or unreadable.
#[derive(Clone, Debug)]
pub struct Seen<Id> {
    pub id: Id,
    pub observation: Observation,
}

/// Where a look hands over what it saw, record by record, so that nothing needs to be held in memory.
pub type Sink<'a, Id> = &'a mut (dyn FnMut(Seen<Id>) + Send);

/// What a look amounts to.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Everything in scope was shown; without this nothing may be taken for absent.
    pub complete: bool,
    /// From where the next [`Scope::Since`] goes on.
    pub cursor: Option<Cursor>,
    /// How many records the side holds in all, where the look could tell. A complete look for changes without it has
    /// named also the records that are gone.
    pub count: Option<u64>,
    /// Since the cursor, records have vanished that the look cannot name: everything has to be looked at.
    pub vanished: bool,
    /// Of rows: which table was looked at.
    pub table: Option<TableFacts>,
}

/// Links of related mappings, both ways: what turns foreign keys into relations and back.
#[derive(Clone, Debug, Default)]
pub struct Relatives {
    pages: BTreeMap<String, BTreeMap<RowKey, PageId>>,
    keys: BTreeMap<String, BTreeMap<PageId, RowKey>>,
}

impl Relatives {
    /// Adds one row with one page.
    pub fn add(&mut self, mapping: &str, key: RowKey, page: PageId) {
        if !self.pages.contains_key(mapping) {
            self.pages.insert(mapping.to_owned(), BTreeMap::new());
            self.keys.insert(mapping.to_owned(), BTreeMap::new());
        }
        if let (Some(pages), Some(keys)) = (self.pages.get_mut(mapping), self.keys.get_mut(mapping)) {
            pages.insert(key.clone(), page);
            keys.insert(page, key);
        }
    }

    /// Takes out one row with its page: one of the two is not there for now.
    pub fn forget(&mut self, mapping: &str, key: &RowKey) {
        if let (Some(pages), Some(keys)) = (self.pages.get_mut(mapping), self.keys.get_mut(mapping))
            && let Some(page) = pages.remove(key)
        {
            keys.remove(&page);
        }
    }

    /// The page of a row.
    #[must_use]
    pub fn page(&self, mapping: &str, key: &RowKey) -> Option<PageId> {
        self.pages.get(mapping)?.get(key).copied()
    }

    /// The row of a page.
    #[must_use]
    pub fn key(&self, mapping: &str, page: PageId) -> Option<&RowKey> {
        self.keys.get(mapping)?.get(&page)
    }

    /// Puts the rows of pages that are linked by now in the place of the pages, wherever a record refers to some.
    pub fn name_rows(&self, mapping: &Mapping, record: &mut Record) {
        for (field, value) in mapping.fields.iter().zip(record.values_mut()) {
            if let (Some(related), Some(value)) = (field.related(), value) {
                self.name_row(related, value);
            }
        }
    }

    /// The same of one value, which refers to records of the mapping of this name.
    pub fn name_row(&self, mapping: &str, value: &mut Value) {
        match value {
            Value::Ref(Ref::Page(page)) => {
                if let Some(key) = self.key(mapping, *page) {
                    *value = Value::Ref(Ref::Row(key.clone()));
                }
            }
            Value::Set(items) => {
                *items = std::mem::take(items)
                    .into_iter()
                    .map(|mut item| {
                        self.name_row(mapping, &mut item);
                        item
                    })
                    .collect();
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.name_row(mapping, item)),
            _ => {}
        }
    }
}

/// How a write ended.
#[derive(Clone, Debug)]
pub enum Outcome<Id> {
    /// Written; this is the record as the side now shows it.
    Done { id: Id, sighting: Box<Sighting> },
    /// Not written: the record is not what the step expected.
    Stale,
    /// Certainly not written.
    Failed(Failed),
    /// Nobody knows. It has to be looked for before anything is sent again.
    Unknown(Failed),
}

/// Why a write did not happen.
#[derive(Clone, Debug)]
pub struct Failed {
    pub failure: Failure,
    pub reason: Reason,
    /// When the side asked not to be called before.
    pub not_before: Option<Timestamp>,
}

/// What pagerow writes beside the fields, with each change.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub at: Timestamp,
    /// Of the row's mapped content.
    pub checksum: String,
    /// The whole row, for pages that keep it.
    pub whole: Option<String>,
}

/// What bookkeeping a row carries, where the mapping asks for it.
#[derive(Clone, Debug)]
pub struct RowNote {
    pub key: RowKey,
    pub page: Option<PageId>,
    pub synced_at: Timestamp,
    /// `synced`, `conflict`, `parked` or `failed`.
    pub status: &'static str,
    pub error: Option<String>,
    /// Of the row's mapped content; empty where it is not known, and then the row keeps what it has.
    pub checksum: String,
}

/// One mapping's table.
pub trait Rows: Send + Sync {
    /// The transaction in which rows, bases and history are written together.
    type Tx: Send;
    type Error: std::error::Error + Send + Sync + 'static;

    /// Whether rows can be written at all: a view's cannot.
    fn are_writable(&self) -> bool {
        true
    }

    /// Looks at rows, in one snapshot.
    fn look(
        &self,
        scope: Scope<'_, RowKey>,
        sink: Sink<'_, RowKey>,
    ) -> impl Future<Output = Result<Looked, Self::Error>> + Send;

    /// Writes steps in order, each one only if its row is still what the step expects, and reads each back. A step
    /// that fails leaves the others and the transaction whole. An error means that the transaction is lost.
    fn write(
        &self,
        tx: &mut Self::Tx,
        steps: &[&Step],
        relatives: &Relatives,
    ) -> impl Future<Output = Result<Vec<Outcome<RowKey>>, Self::Error>> + Send;

    /// From now on, new rows that are not given this column get this value, written as Postgres reads it. `false` when the
    /// table has no such column, or computes it.
    fn fill(&self, column: &str, value: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Sees to it that no row gets one of these keys by itself: they are about to be given.
    fn reserve(
        &self,
        tx: &mut Self::Tx,
        keys: &[RowKey],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The whole rows of these keys, every column, as the table's own JSON: what the history keeps of a row that is
    /// about to be deleted. They are locked until the transaction ends; nothing is kept of a row that somebody else holds,
    /// and one that is gone is left out.
    fn whole(
        &self,
        tx: &mut Self::Tx,
        keys: &[RowKey],
    ) -> impl Future<Output = Result<Vec<(RowKey, Option<String>)>, Self::Error>> + Send;

    /// The whole rows of these keys as their pages keep them: a [`crate::backup::WholeRow`] as JSON, without the
    /// bookkeeping columns. Rows that are gone are left out.
    fn for_backup(
        &self,
        _keys: &[RowKey],
    ) -> impl Future<Output = Result<Vec<(RowKey, String)>, Self::Error>> + Send {
        async { Ok(Vec::new()) }
    }

    /// The same in short ([`crate::backup::WholeRow::digest`]), as the database reckons it.
    fn for_backup_in_short(
        &self,
        _keys: &[RowKey],
    ) -> impl Future<Output = Result<Vec<(RowKey, Digest)>, Self::Error>> + Send {
        async { Ok(Vec::new()) }
    }

    /// What rows would show that were made of these whole rows, each the table's own JSON; `None` for one that the table
    /// does not take as it is by now.
    fn shown_by(
        &self,
        whole: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Record>>, Self::Error>> + Send {
        let nothing = vec![None; whole.len()];
        async { Ok(nothing) }
    }

    /// Keeps the bookkeeping columns of rows up to date; nothing where the mapping has none.
    fn note(
        &self,
        tx: &mut Self::Tx,
        notes: &[RowNote],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Pages that were read, and from where another reading goes on behind them.
#[derive(Clone, Debug)]
pub struct Portion {
    pub pages: Vec<Seen<PageId>>,
    pub reached: Cursor,
}

/// Pages that can be read in portions, so that an unfinished reading can be taken up again, by whomever.
pub trait Portions: Pages + Clone {
    /// Reads all pages, or those that are left behind `from`, and hands them over portion by portion. `None` when
    /// nobody understands `from` any more.
    fn read_on(
        &self,
        from: Option<&Cursor>,
        relatives: &Relatives,
        take: &mut (dyn FnMut(Portion) + Send),
    ) -> impl Future<Output = Result<Option<Looked>, Self::Error>> + Send;
}

/// One mapping's data source.
pub trait Pages: Send + Sync {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Looks at pages.
    fn look(
        &self,
        scope: Scope<'_, PageId>,
        relatives: &Relatives,
        sink: Sink<'_, PageId>,
    ) -> impl Future<Output = Result<Looked, Self::Error>> + Send;

    /// Writes one step. A new page carries `step.key` in its key property. Whether the page is still what the step
    /// expects is the caller's business, since one look serves many steps.
    fn write(
        &self,
        step: &Step,
        relatives: &Relatives,
        stamp: &Stamp,
    ) -> impl Future<Output = Outcome<PageId>> + Send;

    /// The live pages that carry these keys: what became of creates whose answer was lost. A key that is not in the
    /// answer was not found *yet*; the index may lag. A page that cannot be read is shown with every key whose page it
    /// may be.
    fn find(
        &self,
        keys: &[RowKey],
        relatives: &Relatives,
    ) -> impl Future<Output = Result<Vec<(RowKey, Seen<PageId>)>, Self::Error>> + Send;

    /// The same pages, whose looks also bring along the whole row that each page keeps; `None` where they keep none.
    /// A page's backup is there when the page is handed over.
    fn with_backups(&self) -> Option<(Self, Backups)>
    where
        Self: Sized,
    {
        None
    }

    /// Whether each page keeps its whole row.
    fn keeps_backups(&self) -> bool {
        false
    }

    /// Waits until the rate limit would let a call out at once, so that a look just before a write is still fresh when
    /// the write goes out.
    fn ready(&self) -> impl Future<Output = ()> + Send;

    /// How long `calls` more calls will take under the rate limit.
    fn forecast(&self, calls: u64) -> std::time::Duration;

    /// How many calls were made for this mapping so far, retries included.
    fn calls(&self) -> u64;
}
