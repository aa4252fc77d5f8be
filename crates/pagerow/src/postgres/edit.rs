//! The statements that insert, update, mark and delete many rows at once, with their pairs in join tables.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use pagerow_core::{plan::Action, record::RowKey};
use tokio_postgres::{Row, types::Type};

use super::{
    read,
    rows::{Inner, RowsError},
    statement::{Join, Source, asked, quoted},
    transaction::{Param, SqlError, Tx, TxError},
    whole,
};

/// One step, ready to be written.
#[derive(Debug)]
pub(super) struct Edit {
    /// The step's place in its round.
    pub(super) at: usize,
    pub(super) action: Action,
    pub(super) key: Option<RowKey>,
    pub(super) sets: Sets,
    /// The whole row that is made again, as it was kept.
    pub(super) whole: Option<String>,
}

/// What a step sets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// Field → text, `None` for `NULL`.
    pub(super) columns: BTreeMap<usize, Option<String>>,
    /// Join field → the other side's keys that come and go.
    pub(super) added: BTreeMap<usize, Vec<String>>,
    pub(super) removed: BTreeMap<usize, Vec<String>>,
    /// The deletion mark's column, quoted; whether it is boolean; whether the row is to be marked.
    pub(super) mark: Option<(String, bool, bool)>,
}

impl Edit {
    /// Edits of one shape fit in one statement.
    pub(super) fn shape(&self) -> (Action, bool, bool, Vec<usize>) {
        let columns = self.sets.columns.keys().copied().collect();
        (self.action, self.key.is_some(), self.whole.is_some(), columns)
    }
}

/// Locks the rows of keys; the places of those that exist and are locked now.
pub(super) async fn lock_keys(
    rows: &Inner,
    tx: &mut Tx,
    keys: &[RowKey],
) -> Result<Result<BTreeSet<usize>, SqlError>, TxError> {
    let mut locked = BTreeSet::new();
    let mut patient = true;
    let count = rows.sql.key.len();
    let sound: Vec<usize> = (0..keys.len())
        .filter(|at| {
            keys[*at].columns(count).is_some_and(|parts| parts.iter().all(|part| !part.contains('\0')))
        })
        .collect();
    let mut open = vec![sound];
    while let Some(mut part) = open.pop() {
        if part.is_empty() {
            continue;
        }
        let asked: Vec<RowKey> = part.iter().map(|at| keys[*at].clone()).collect();
        let columns = read::key_columns(rows, &asked);
        let params: Vec<Param<'_>> = columns.iter().map(|column| (column as _, Type::TEXT_ARRAY)).collect();
        tx.savepoint("pagerow_lock").await?;
        match tx.query(&rows.sql.lock(!patient), &params).await {
            Ok(found) => {
                tx.release("pagerow_lock").await?;
                locked.extend(found.iter().filter_map(|row| part.get(place(row, 0)?).copied()));
            }
            Err(TxError::Statement(refused)) if read::is_cast_error(&refused.code) => {
                tx.rollback_to("pagerow_lock").await?;
                if part.len() > 1 {
                    let right = part.split_off(part.len() / 2);
                    open.extend([right, part]);
                }
            }
            // Whoever holds a row keeps it; the others go on.
            Err(TxError::Statement(refused))
                if patient && matches!(refused.code.as_str(), "55P03" | "40P01") =>
            {
                tx.rollback_to("pagerow_lock").await?;
                patient = false;
                open.push(part);
            }
            // A refusal leaves the transaction good for whoever can tell the records of it.
            Err(TxError::Statement(refused)) => {
                tx.rollback_to("pagerow_lock").await?;
                return Ok(Err(*refused));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(locked))
}

/// Carries out edits of one shape. Fewer keys than edits mean that some were swallowed, and that all of it has to
/// be taken back.
pub(super) async fn carry_out(rows: &Inner, tx: &mut Tx, edits: &[Edit]) -> Result<Vec<RowKey>, TxError> {
    let Some(first) = edits.first() else { return Ok(Vec::new()) };
    let keys = match first.action {
        Action::Create => insert(rows, tx, edits).await?,
        Action::Update | Action::Restore | Action::Trash => update(rows, tx, edits).await?,
        Action::Delete => return delete(rows, tx, edits).await,
    };
    if keys.len() == edits.len() {
        relate(rows, tx, edits, &keys).await?;
    }
    Ok(keys)
}

async fn insert(rows: &Inner, tx: &mut Tx, edits: &[Edit]) -> Result<Vec<RowKey>, TxError> {
    let Some(first) = edits.first() else { return Ok(Vec::new()) };
    if first.whole.is_some() {
        return whole::insert(rows, tx, edits).await;
    }
    let returning = rows.sql.key_texts();
    let into = format!("INSERT INTO {}", rows.sql.aliased());
    let with_key = first.key.is_some();
    let columns = columns(rows, first);
    if columns.is_empty() && !with_key {
        let mut keys = Vec::with_capacity(edits.len());
        for _ in edits {
            let made = tx.query(&format!("{into} DEFAULT VALUES RETURNING {returning}"), &[]).await?;
            keys.extend(made.iter().map(|row| key(row, 0)));
        }
        return Ok(keys);
    }
    let key_count = if with_key { rows.sql.key.len() } else { 0 };
    let mut names: Vec<String> = Vec::new();
    let mut values: Vec<String> = Vec::new();
    for (i, (column, key)) in rows.table.key.iter().zip(&rows.sql.key).enumerate().take(key_count) {
        names.push(quoted(&column.name));
        values.push(format!("pagerow_asked.k{i}::{}", key.cast));
    }
    for column in &columns {
        names.push(column.name.to_owned());
        values.push(format!("pagerow_asked.c{}::{}", column.place, column.cast));
    }
    for (name, value) in &*rows.fills.lock().unwrap_or_else(PoisonError::into_inner) {
        if !names.contains(name) {
            names.push(name.clone());
            values.push(value.clone());
        }
    }
    let overriding = if with_key && rows.table.key.iter().any(|key| key.identity_always) {
        " OVERRIDING SYSTEM VALUE"
    } else {
        ""
    };
    // Rows are made one after another in the order of the query, and returned as they are made.
    let sql = format!(
        "{into} ({}){overriding} SELECT {} FROM {} ORDER BY pagerow_asked.pagerow_place RETURNING {returning}",
        names.join(", "),
        values.join(", "),
        asked(key_count, &columns.iter().map(|column| format!("c{}", column.place)).collect::<Vec<_>>()),
    );
    let mut arrays = asked_keys(rows, edits, key_count);
    arrays.extend(columns.iter().map(|column| texts(edits, column.place)));
    let made = tx.query(&sql, &params(&arrays)).await?;
    Ok(made.iter().map(|row| key(row, 0)).collect())
}

async fn update(rows: &Inner, tx: &mut Tx, edits: &[Edit]) -> Result<Vec<RowKey>, TxError> {
    let Some(first) = edits.first() else { return Ok(Vec::new()) };
    let columns = columns(rows, first);
    let mut sets: Vec<String> = columns
        .iter()
        .map(|column| format!("{} = pagerow_asked.c{}::{}", column.name, column.place, column.cast))
        .collect();
    if let Some((name, boolean, marking)) = &first.sets.mark {
        let value = match (boolean, marking) {
            (true, marking) => marking.to_string(),
            (false, true) => "now()".to_owned(),
            (false, false) => "NULL".to_owned(),
        };
        sets.push(format!("{name} = {value}"));
    }
    if sets.is_empty() {
        // Only pairs of join tables change, or nothing at all.
        return Ok(edits.iter().filter_map(|edit| edit.key.clone()).collect());
    }
    let key_count = rows.sql.key.len();
    let sql = format!(
        "UPDATE {} SET {} FROM {} WHERE {} RETURNING pagerow_asked.pagerow_place, {}",
        rows.sql.aliased(),
        sets.join(", "),
        asked(key_count, &columns.iter().map(|column| format!("c{}", column.place)).collect::<Vec<_>>()),
        rows.sql.key_matches(),
        rows.sql.key_texts(),
    );
    let mut arrays = asked_keys(rows, edits, key_count);
    arrays.extend(columns.iter().map(|column| texts(edits, column.place)));
    let changed = tx.query(&sql, &params(&arrays)).await?;
    Ok(in_order(edits.len(), &changed))
}

async fn delete(rows: &Inner, tx: &mut Tx, edits: &[Edit]) -> Result<Vec<RowKey>, TxError> {
    let key_count = rows.sql.key.len();
    let arrays = asked_keys(rows, edits, key_count);
    for join in rows.sql.joins() {
        let sql = format!(
            "DELETE FROM {} WHERE {} IN (SELECT unnest($1::text[])::{})",
            join.table, join.own, join.own_cast
        );
        tx.execute(&sql, &params(&arrays[..1])).await?;
    }
    let sql = format!(
        "DELETE FROM {} USING {} WHERE {} RETURNING pagerow_asked.pagerow_place, {}",
        rows.sql.aliased(),
        asked(key_count, &[]),
        rows.sql.key_matches(),
        rows.sql.key_texts(),
    );
    let gone = tx.query(&sql, &params(&arrays)).await?;
    Ok(in_order(edits.len(), &gone))
}

/// Moves the sequence that makes the table's keys past keys that were given, so that the next row of the application
/// does not meet one of them. A role that may not do so leaves it to others.
pub(super) async fn pass_sequence(rows: &Inner, tx: &mut Tx, keys: &[RowKey]) -> Result<(), RowsError> {
    let ([column], [key]) = (rows.table.key.as_slice(), rows.sql.key.as_slice()) else { return Ok(()) };
    if !matches!(key.cast.as_str(), "smallint" | "integer" | "bigint") {
        return Ok(());
    }
    let sql = "SELECT setval(made.by, made.top) FROM (\
                 SELECT pg_get_serial_sequence($1::text, $2::text)::regclass AS by, \
                 (SELECT max(given::bigint) FROM unnest($3::text[]) AS given) AS top) AS made \
               WHERE made.by IS NOT NULL AND made.top > coalesce(pg_sequence_last_value(made.by), 0)";
    // A page may carry anything for a key.
    let keys: Vec<&str> = keys.iter().map(RowKey::as_str).filter(|key| key.parse::<i64>().is_ok()).collect();
    tx.savepoint("pagerow_sequence").await?;
    let params: [Param<'_>; 3] =
        [(&rows.sql.table, Type::TEXT), (&column.name, Type::TEXT), (&keys, Type::TEXT_ARRAY)];
    match tx.query(sql, &params).await {
        Ok(_) => tx.release("pagerow_sequence").await?,
        Err(TxError::Statement(refused)) => {
            tx.rollback_to("pagerow_sequence").await?;
            tracing::warn!(
                mapping = rows.mapping.name,
                code = refused.code,
                "the sequence behind the key could not be moved past the keys that were given"
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Removes and adds pairs of join tables.
async fn relate(rows: &Inner, tx: &mut Tx, edits: &[Edit], keys: &[RowKey]) -> Result<(), TxError> {
    for (place, source) in rows.sql.fields.iter().enumerate() {
        let Source::Join(join) = source else { continue };
        let pairs = |of: fn(&Sets) -> &BTreeMap<usize, Vec<String>>| -> [Vec<Option<String>>; 2] {
            let (mut own, mut other) = (Vec::new(), Vec::new());
            for (edit, key) in edits.iter().zip(keys) {
                for related in of(&edit.sets).get(&place).into_iter().flatten() {
                    own.push(Some(key.as_str().to_owned()));
                    other.push(Some(related.clone()));
                }
            }
            [own, other]
        };
        let removed = pairs(|sets| &sets.removed);
        if !removed[0].is_empty() {
            tx.execute(&remove_pairs(join), &params(&removed)).await?;
        }
        let added = pairs(|sets| &sets.added);
        if !added[0].is_empty() {
            tx.execute(&add_pairs(join), &params(&added)).await?;
        }
    }
    Ok(())
}

fn remove_pairs(join: &Join) -> String {
    let Join { table, own, own_cast, other, other_cast, .. } = join;
    format!(
        "DELETE FROM {table} USING unnest($1::text[], $2::text[]) AS pagerow_pair(pagerow_own, pagerow_other) \
         WHERE {table}.{own} = pagerow_own::{own_cast} AND {table}.{other} = pagerow_other::{other_cast}"
    )
}

fn add_pairs(join: &Join) -> String {
    let Join { table, own, own_cast, other, other_cast, .. } = join;
    format!(
        "INSERT INTO {table} AS pagerow_join ({own}, {other}) \
         SELECT a::{own_cast}, b::{other_cast} FROM unnest($1::text[], $2::text[]) AS pagerow_pair(a, b) \
         WHERE NOT EXISTS (SELECT FROM {table} AS pagerow_join \
         WHERE pagerow_join.{own} = a::{own_cast} AND pagerow_join.{other} = b::{other_cast})"
    )
}

/// A column that a group writes.
struct Target<'a> {
    place: usize,
    name: &'a str,
    cast: &'a str,
}

fn columns<'a>(rows: &'a Inner, edit: &Edit) -> Vec<Target<'a>> {
    edit.sets
        .columns
        .keys()
        .filter_map(|place| match rows.sql.fields.get(*place)? {
            Source::Column { reader, name, .. } => Some(Target { place: *place, name, cast: reader.cast() }),
            Source::Derived | Source::Join(_) | Source::Paused => None,
        })
        .collect()
}

/// One array of texts for a column, in the order of the edits.
fn texts(edits: &[Edit], place: usize) -> Vec<Option<String>> {
    edits.iter().map(|edit| edit.sets.columns.get(&place).cloned().flatten()).collect()
}

fn asked_keys(rows: &Inner, edits: &[Edit], count: usize) -> Vec<Vec<Option<String>>> {
    let keys: Vec<RowKey> = edits.iter().filter_map(|edit| edit.key.clone()).collect();
    let columns = read::key_columns(rows, &keys).into_iter().take(count);
    columns.map(|column| column.into_iter().map(Some).collect()).collect()
}

fn params(arrays: &[Vec<Option<String>>]) -> Vec<Param<'_>> {
    arrays.iter().map(|array| (array as _, Type::TEXT_ARRAY)).collect()
}

/// The keys that a statement returned beside their places, in the order of the edits.
fn in_order(count: usize, found: &[Row]) -> Vec<RowKey> {
    let mut keys: Vec<Option<RowKey>> = vec![None; count];
    for row in found {
        if let Some(slot) = place(row, 0).and_then(|at| keys.get_mut(at)) {
            *slot = Some(key(row, 1));
        }
    }
    keys.into_iter().flatten().collect()
}

fn place(row: &Row, at: usize) -> Option<usize> {
    usize::try_from(row.get::<_, i64>(at) - 1).ok()
}

fn key(row: &Row, from: usize) -> RowKey {
    let parts: Vec<String> = (from..row.len()).map(|at| row.get(at)).collect();
    RowKey::from_columns(&parts)
}
