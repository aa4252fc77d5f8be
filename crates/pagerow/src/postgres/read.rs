//! Reading rows: all of them, those that may have changed, or some by key, each in one snapshot.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use pagerow_core::{
    digest::Digest,
    observation::{Absence, Observation, Sighting, TableFacts},
    record::{Record, RowKey},
    side::Side,
    value::Value,
};
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::{
    convert::{self, Cell},
    delta, moment,
    rows::{Inner, RowsError},
    statement::{Source, Which},
    table::FieldSource,
    transaction::{Param, Tx, TxError},
};
use crate::replica::{Cursor, Looked, Seen, Sink};

/// How many keys one statement asks for.
const KEYS_A_STATEMENT: usize = 1000;

/// One row as it was read.
pub(super) struct Shown {
    pub(super) key: RowKey,
    /// The place of the asked key, when keys were asked for.
    pub(super) place: Option<usize>,
    pub(super) marked: bool,
    pub(super) in_scope: bool,
    /// Fields that could not be read are left out of it.
    pub(super) sighting: Sighting,
    /// Why some field could not be read.
    pub(super) unreadable: Option<String>,
    /// What the columns themselves hold that are shown through expressions and written back through others.
    pub(super) behind: Behind,
}

/// A field's place → its column's own value.
pub(super) type Behind = BTreeMap<usize, Value>;

impl Shown {
    pub(super) fn observation(self) -> Observation {
        match self {
            Self { in_scope: false, .. } => Observation::Absent(Absence::OutOfScope),
            Self { marked: true, .. } => Observation::Absent(Absence::Trashed),
            Self { unreadable: Some(reason), .. } => Observation::Unreadable(reason),
            Self { sighting, .. } => Observation::Present(sighting),
        }
    }

    fn counts(&self) -> bool {
        self.in_scope && !self.marked
    }
}

/// Shows every row that takes part, in a stream.
pub(super) async fn everything(rows: &Inner, sink: Sink<'_, RowKey>) -> Result<Looked, RowsError> {
    let assurance = delta::before_everything(rows).await?;
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let cursor = delta::cursor(rows, &mut tx, assurance).await?;
    let table = facts(rows, &mut tx).await?;
    let count = stream(rows, &mut tx, Which::InScope, &[], sink).await?;
    tx.commit().await?;
    Ok(Looked {
        complete: true,
        cursor: Some(cursor),
        count: Some(count),
        vanished: false,
        table: Some(table),
    })
}

/// Shows the rows that may have changed since a cursor. Without triggers deleted rows cannot be named; the count tells
/// of them then.
pub(super) async fn since(
    rows: &Inner,
    cursor: &Cursor,
    sink: Sink<'_, RowKey>,
) -> Result<Looked, RowsError> {
    if !rows.table.has_xmin {
        return everything(rows, sink).await;
    }
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let table = facts(rows, &mut tx).await?;
    let Some((changed, now)) = delta::changed(rows, &mut tx, cursor).await? else {
        tx.commit().await?;
        return Ok(Looked { vanished: true, ..Looked::default() });
    };
    match changed {
        delta::Changed::Named(keys) => {
            named(rows, &mut tx, &keys, &table, sink).await?;
            tx.commit().await?;
            return Ok(Looked { complete: true, cursor: Some(now), table: Some(table), ..Looked::default() });
        }
        delta::Changed::Keys(keys) => {
            for part in keys.chunks(KEYS_A_STATEMENT) {
                for shown in by_keys(rows, &mut tx, part).await? {
                    sink(Seen { id: shown.key.clone(), observation: shown.observation() });
                }
            }
        }
        delta::Changed::Many { condition, params } => {
            let params: Vec<Param<'_>> = params.iter().map(delta::Bound::param).collect();
            stream(rows, &mut tx, Which::Where(&condition), &params, sink).await?;
        }
    }
    let count = tx.query(&rows.sql.count(), &[]).await?.first().map(|row| row.get::<_, i64>(0));
    tx.commit().await?;
    let count = count.and_then(|count| u64::try_from(count).ok());
    Ok(Looked { complete: true, cursor: Some(now), count, vanished: false, table: Some(table) })
}

/// Shows the rows of these keys, and which of them have none.
pub(super) async fn these(
    rows: &Inner,
    keys: &[RowKey],
    sink: Sink<'_, RowKey>,
) -> Result<Looked, RowsError> {
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let table = facts(rows, &mut tx).await?;
    named(rows, &mut tx, keys, &table, sink).await?;
    tx.commit().await?;
    Ok(Looked { complete: true, table: Some(table), ..Looked::default() })
}

/// Shows what became of each of these keys.
async fn named(
    rows: &Inner,
    tx: &mut Tx,
    keys: &[RowKey],
    table: &TableFacts,
    sink: Sink<'_, RowKey>,
) -> Result<(), RowsError> {
    // What row level security may hide cannot be proven to be gone.
    let gone = if table.hides_rows { Absence::Unreachable } else { Absence::Deleted };
    for part in keys.chunks(KEYS_A_STATEMENT) {
        for (key, answer) in part.iter().zip(answers(rows, tx, part).await?) {
            match answer {
                Answer::Row(shown) if shown.key == *key => {
                    sink(Seen { id: key.clone(), observation: shown.observation() });
                }
                // The row is shown under its own key; the other spelling of it names no second row.
                Answer::Row(shown) => {
                    let reason = format!("Postgres writes this key as {}", shown.key);
                    sink(Seen { id: key.clone(), observation: Observation::Unreadable(reason) });
                    sink(Seen { id: shown.key.clone(), observation: shown.observation() });
                }
                Answer::None => {
                    sink(Seen { id: key.clone(), observation: Observation::Absent(gone) });
                }
                Answer::NoKey(reason) => {
                    sink(Seen { id: key.clone(), observation: Observation::Unreadable(reason) });
                }
            }
        }
    }
    Ok(())
}

/// Which table this is, and whether it shows us all of its rows.
async fn facts(rows: &Inner, tx: &mut Tx) -> Result<TableFacts, RowsError> {
    let sql = "SELECT $1::text::regclass::oid, row_security_active($1::text::regclass), \
                      string_agg(part::oid::text || '.' || coalesce(pg_relation_filenode(part), 0), ',' ORDER BY part) \
               FROM (SELECT $1::text::regclass AS part \
                     UNION SELECT relid FROM pg_partition_tree($1::text::regclass)) AS parts";
    let found = tx.query(sql, &[(&rows.sql.table, Type::TEXT)]).await?;
    let name = format!("{}.{}", rows.table.schema, rows.table.name);
    Ok(found.first().map_or_else(TableFacts::default, |row| TableFacts {
        oid: row.get(0),
        name,
        files: row.get(2),
        hides_rows: row.get(1),
    }))
}

/// What became of a key that was asked for.
pub(super) enum Answer {
    Row(Box<Shown>),
    None,
    /// The text cannot be a key of this table.
    NoKey(String),
}

/// One answer for each key, in their order. A text that is no key does not disturb the others.
pub(super) async fn answers(rows: &Inner, tx: &mut Tx, keys: &[RowKey]) -> Result<Vec<Answer>, RowsError> {
    let no_key = || Answer::NoKey("the text is no key of this table".to_owned());
    let refused_alone = |code: &str| {
        Answer::NoKey(format!(
            "the text is no key of this table, or the mapping's condition fails for its row (SQLSTATE {code})"
        ))
    };
    let count = rows.sql.key.len();
    let mut answers: Vec<Answer> = Vec::with_capacity(keys.len());
    let mut askable: Vec<(usize, &RowKey)> = Vec::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        let sound = !key.as_str().contains('\0')
            && key.columns(count).is_some_and(|columns| columns.iter().all(|column| !column.contains('\0')));
        answers.push(if sound { Answer::None } else { no_key() });
        if sound {
            askable.push((place, key));
        }
    }
    let mut open = vec![askable.as_slice()];
    while let Some(part) = open.pop() {
        if part.is_empty() {
            continue;
        }
        let asked: Vec<RowKey> = part.iter().map(|(_, key)| (*key).clone()).collect();
        tx.savepoint("pagerow_keys").await?;
        match by_keys(rows, tx, &asked).await {
            Ok(found) => {
                tx.release("pagerow_keys").await?;
                for shown in found {
                    if let Some((place, _)) = shown.place.and_then(|at| part.get(at)) {
                        answers[*place] = Answer::Row(Box::new(shown));
                    }
                }
            }
            Err(RowsError::Tx(TxError::Statement(refused))) if is_cast_error(&refused.code) => {
                tx.rollback_to("pagerow_keys").await?;
                if let [(place, _)] = part {
                    answers[*place] = refused_alone(&refused.code);
                } else {
                    let (left, right) = part.split_at(part.len() / 2);
                    open.extend([right, left]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

/// Text that is not of the key's type: class 22, and what the check of a domain says.
pub(super) fn is_cast_error(code: &str) -> bool {
    code.starts_with("22") || code == "23514" || code == "23502"
}

/// How many whole rows one statement carries.
const WHOLE_A_STATEMENT: usize = 200;

/// What rows would show that were made of these whole rows.
pub(super) async fn of_whole(rows: &Inner, whole: &[&str]) -> Result<Vec<Option<Record>>, RowsError> {
    let sql = rows.sql.select(Which::Whole);
    let mut shown = vec![None; whole.len()];
    let mut reader = Reader::new(rows);
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let places: Vec<usize> = (0..whole.len()).collect();
    let mut open: Vec<&[usize]> = places.chunks(WHOLE_A_STATEMENT).collect();
    while let Some(part) = open.pop() {
        let texts: Vec<&str> = part.iter().filter_map(|at| whole.get(*at).copied()).collect();
        tx.savepoint("pagerow_whole").await?;
        match tx.query(&sql, &[(&texts, Type::TEXT_ARRAY)]).await {
            Ok(found) => {
                tx.release("pagerow_whole").await?;
                for row in &found {
                    let row = reader.read(row)?;
                    let place = row.place.and_then(|at| part.get(at)).filter(|_| row.unreadable.is_none());
                    if let Some(place) = place {
                        shown[*place] = Some(row.sighting.record);
                    }
                }
            }
            // A type is another one by now: what does not fit stands alone in the end, and shows nothing.
            Err(TxError::Statement(refused)) if is_cast_error(&refused.code) => {
                tx.rollback_to("pagerow_whole").await?;
                if part.len() > 1 {
                    let (left, right) = part.split_at(part.len() / 2);
                    open.extend([right, left]);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    tx.commit().await?;
    Ok(shown)
}

async fn by_keys(rows: &Inner, tx: &mut Tx, keys: &[RowKey]) -> Result<Vec<Shown>, RowsError> {
    let columns = key_columns(rows, keys);
    let params: Vec<Param<'_>> = columns.iter().map(|column| (column as _, Type::TEXT_ARRAY)).collect();
    let found = tx.query(&rows.sql.select(Which::Keys), &params).await?;
    let mut reader = Reader::new(rows);
    found.iter().map(|row| reader.read(row)).collect()
}

/// The texts of keys, column by column. Keys that do not have as many columns are left to the caller.
pub(super) fn key_columns(rows: &Inner, keys: &[RowKey]) -> Vec<Vec<String>> {
    let count = rows.sql.key.len();
    let mut columns = vec![Vec::with_capacity(keys.len()); count];
    for key in keys {
        let parts = key.columns(count).unwrap_or_else(|| vec![String::new(); count]);
        for (column, part) in columns.iter_mut().zip(parts) {
            column.push(part);
        }
    }
    columns
}

/// Shows rows as they arrive, and counts those that take part and are not marked as deleted.
async fn stream(
    rows: &Inner,
    tx: &mut Tx,
    which: Which<'_>,
    params: &[Param<'_>],
    sink: Sink<'_, RowKey>,
) -> Result<u64, RowsError> {
    let mut reader = Reader::new(rows);
    let mut count = 0;
    let mut found = tx.stream(&rows.sql.select(which), params).await?;
    while let Some(row) = found.next().await {
        let shown = reader.read(&row?)?;
        count += u64::from(shown.counts());
        sink(Seen { id: shown.key.clone(), observation: shown.observation() });
    }
    Ok(count)
}

/// Turns rows of [`super::statement::Statements::select`] into sightings.
struct Reader<'a> {
    rows: &'a Inner,
    scratch: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(rows: &'a Inner) -> Self {
        Self { rows, scratch: Vec::new() }
    }

    fn read(&mut self, row: &Row) -> Result<Shown, RowsError> {
        let sql = &self.rows.sql;
        let cell = |at: usize| row.get::<_, Raw<'_>>(at).0;
        let text = |at: usize| cell(at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut at = sql.key.len();
        let key: Vec<String> = (0..at)
            .map(|i| text(i).map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| RowsError::Key("a part of it is NULL or not text".to_owned()))?;
        let mut record = Record::unread(sql.fields.len());
        let mut unreadable = None;
        for (place, (field, width)) in sql.fields.iter().zip(&sql.widths).enumerate() {
            let mut cells: [Cell<'_>; 3] = [None; 3];
            for (i, cell_at) in (at..at + width).enumerate().take(3) {
                cells[i] = cell(cell_at);
            }
            let value = match field {
                Source::Column { reader, .. } => reader.decode(&cells[..*width], &self.rows.zone),
                Source::Derived => Ok(Value::Null),
                Source::Paused => continue,
                Source::Join(_) => {
                    convert::references(cells[0]).ok_or_else(|| "the join table could not be read".to_owned())
                }
            };
            match value {
                Ok(value) => record.set(place, Some(value)),
                Err(reason) => {
                    let column =
                        self.rows.mapping.fields.get(place).map_or("", |field| field.column.as_str());
                    unreadable.get_or_insert_with(|| format!("column {column}: {reason}"));
                }
            }
            at += width;
        }
        let mut beside = Vec::with_capacity(sql.beside.len());
        for (name, reader, width) in &sql.beside {
            let mut cells: [Cell<'_>; 3] = [None; 3];
            for (i, cell_at) in (at..at + width).enumerate().take(3) {
                cells[i] = cell(cell_at);
            }
            match reader.decode(&cells[..*width], &self.rows.zone) {
                Ok(value) => beside.push((name.as_str(), value)),
                Err(reason) => drop(unreadable.get_or_insert_with(|| format!("column {name}: {reason}"))),
            }
            at += width;
        }
        let behind = self.through_lenses(&mut record, &beside);
        let edited = cell(at)
            .and_then(|bytes| bytes.try_into().ok())
            .and_then(|bytes| moment::timestamp(i64::from_be_bytes(bytes)));
        let flag = |at: usize| cell(at).is_some_and(|bytes| bytes.first() == Some(&1));
        let place = (row.len() > at + 5)
            .then(|| cell(at + 5).and_then(|bytes| bytes.try_into().ok()))
            .flatten()
            .and_then(|bytes| usize::try_from(i64::from_be_bytes(bytes) - 1).ok());
        let digest = Digest::of_record(&self.rows.mapping, &record, None, &mut self.scratch);
        Ok(Shown {
            key: RowKey::from_columns(&key),
            place,
            marked: flag(at + 3),
            in_scope: flag(at + 4),
            sighting: Sighting {
                record,
                digest,
                edited,
                editor: None,
                by: None,
                marker: text(at + 1).map(str::to_owned),
                checksum: text(at + 2).map(str::to_owned),
            },
            unreadable,
            behind,
        })
    }

    /// Puts what expressions make of the row in the place of what its columns hold; these come back where an edit of
    /// the page goes over them.
    fn through_lenses(&self, record: &mut Record, beside: &[(&str, Value)]) -> Behind {
        let fields = &self.rows.mapping.fields;
        let lenses = || {
            let lenses = fields.iter().enumerate().filter(|(_, field)| !field.is_paused());
            lenses.filter_map(|(place, field)| Some((place, field.lens.as_deref()?)))
        };
        if lenses().next().is_none() {
            return Behind::new();
        }
        let (whole, null) = (std::mem::take(record), Value::Null);
        let around = |name: &str| {
            let place = self.rows.table.fields.iter().position(
                |source| matches!(source, FieldSource::Column { name: column, .. } if column == name),
            );
            match place {
                Some(place) => whole.get(place),
                None => beside.iter().find(|(column, _)| *column == name).map(|(_, value)| value),
            }
        };
        let mut shown: Vec<(usize, Value)> = Vec::new();
        let mut behind = Behind::new();
        for (place, lens) in lenses().filter(|(_, lens)| lens.side() == Side::Postgres) {
            let value = whole.get(place).unwrap_or(&null);
            shown.push((place, lens.of_row(value, &around, &self.rows.zone)));
            if lens.from_notion.is_some() {
                behind.insert(place, value.clone());
            }
        }
        *record = whole;
        for (place, value) in shown {
            record.set(place, Some(value));
        }
        behind
    }
}

/// A cell's bytes as they came.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
