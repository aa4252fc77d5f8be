//! One of the user's tables: its rows, and what the database does by itself when they are written.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use pagerow_core::{
    mapping::Mapping,
    record::{PageId, Record, RowKey},
    value::{Ref, Value},
};

use super::server::Database;

/// A table.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) rules: Arc<Rules>,
    rows: Arc<BTreeMap<RowKey, Row>>,
    /// Which file holds it: `TRUNCATE` gives it another one.
    pub(crate) file: u64,
}

/// What the table's definition says.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) mapping: Arc<Mapping>,
    /// Columns in which no two rows may hold the same.
    pub(crate) unique: Vec<usize>,
    /// What a new row gets where nothing is given.
    pub(crate) defaults: BTreeMap<usize, Value>,
    /// A trigger writes this text column in capitals.
    pub(crate) capitals: Option<usize>,
    /// Whether rows are marked instead of deleted.
    pub(crate) soft_delete: bool,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) record: Arc<Record>,
    /// The transaction that wrote it last: `xmin`.
    pub(crate) written_by: u64,
    pub(crate) edited: Timestamp,
    pub(crate) is_marked: bool,
    /// The bookkeeping column with the page's id.
    pub(crate) page: Option<PageId>,
}

/// Why the database refuses a write, as an SQLSTATE.
pub(crate) type Sqlstate = &'static str;

pub(crate) const UNIQUE: Sqlstate = "23505";
pub(crate) const FOREIGN_KEY: Sqlstate = "23503";
pub(crate) const NOT_NULL: Sqlstate = "23502";

impl Table {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules: Arc::new(rules), rows: Arc::default(), file: 1 }
    }

    pub(crate) fn rows(&self) -> &BTreeMap<RowKey, Row> {
        &self.rows
    }

    pub(crate) fn rows_mut(&mut self) -> &mut BTreeMap<RowKey, Row> {
        Arc::make_mut(&mut self.rows)
    }

    /// Takes all rows away, without a trace of which they were.
    pub(crate) fn truncate(&mut self, file: u64) {
        self.rows = Arc::default();
        self.file = file;
    }
}

impl Database {
    /// Writes a row as given, with what triggers make of it; refuses what constraints forbid.
    pub(crate) fn put(&mut self, table: &str, key: &RowKey, mut row: Row) -> Result<(), Sqlstate> {
        let Some(rules) = self.tables.get(table).map(|table| Arc::clone(&table.rules)) else { return Ok(()) };
        if let Some(column) = rules.capitals
            && let Some(Value::Text(text)) = row.record.get(column)
        {
            let capitals = text.to_uppercase();
            Arc::make_mut(&mut row.record).set(column, Some(Value::Text(capitals)));
        }
        for (at, field) in rules.mapping.fields.iter().enumerate() {
            let value = row.record.get(at).unwrap_or(&Value::Null);
            if field.required && value.is_null() {
                return Err(NOT_NULL);
            }
            let holds = |other: &Row| other.record.get(at) == Some(value);
            if rules.unique.contains(&at)
                && !value.is_null()
                && self.tables[table].rows.iter().any(|(other, row)| other != key && holds(row))
            {
                return Err(UNIQUE);
            }
            if let (Some(related), Value::Ref(Ref::Row(target))) = (field.related(), value)
                && !self.tables.get(related).is_some_and(|table| table.rows.contains_key(target))
                && !(related == table && target == key)
            {
                return Err(FOREIGN_KEY);
            }
        }
        if let Some(table) = self.tables.get_mut(table) {
            table.rows_mut().insert(key.clone(), row);
        }
        Ok(())
    }

    /// Deletes a row, unless another one refers to it.
    pub(crate) fn delete(&mut self, table: &str, key: &RowKey) -> Result<(), Sqlstate> {
        let is_referred_to = self.tables.iter().any(|(name, other)| {
            let fields = &other.rules.mapping.fields;
            other.rows.iter().any(|(of, row)| {
                (name != table || of != key)
                    && fields.iter().enumerate().any(|(at, field)| {
                        field.related() == Some(table)
                            && row.record.get(at) == Some(&Value::Ref(Ref::Row(key.clone())))
                    })
            })
        });
        if is_referred_to {
            return Err(FOREIGN_KEY);
        }
        if let Some(table) = self.tables.get_mut(table) {
            table.rows_mut().remove(key);
        }
        Ok(())
    }
}
