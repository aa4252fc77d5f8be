//! Whole rows, columns without a property included: kept before a row is deleted, and made again from that.
//!
//! `row_to_json` and `json_populate_record` are each other's inverse for every type that has a text form; a `json`
//! column keeps its very text.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::record::RowKey;
use serde_json::value::RawValue;
use tokio_postgres::{Row, types::Type};

use super::{
    edit::Edit,
    read,
    rows::{Inner, RowsError},
    statement::{Source, asked, quoted},
    transaction::{Param, Tx, TxError},
};

/// Reads and locks the rows of keys. Nothing is read of those that others hold, and those that are gone are left out.
pub(super) async fn read(
    rows: &Inner,
    tx: &mut Tx,
    keys: &[RowKey],
) -> Result<Vec<(RowKey, Option<String>)>, RowsError> {
    let columns = read::key_columns(rows, keys);
    let params: Vec<Param<'_>> = columns.iter().map(|column| (column as _, Type::TEXT_ARRAY)).collect();
    let order: Vec<&str> = rows.sql.key.iter().map(|key| key.column.as_str()).collect();
    let these = format!(
        "FROM {} JOIN {} ON {}",
        asked(columns.len(), &[]),
        rows.sql.aliased(),
        rows.sql.key_matches()
    );
    let sql = format!(
        "SELECT pagerow_asked.pagerow_place, row_to_json({name}.*)::text {these} ORDER BY {} \
         FOR UPDATE OF {name} SKIP LOCKED",
        order.join(", "),
        name = rows.sql.name,
    );
    let key_at = |row: &Row| keys.get(usize::try_from(row.get::<_, i64>(0) - 1).ok()?).cloned();
    let found = tx.query(&sql, &params).await?;
    let mut whole: BTreeMap<RowKey, Option<String>> =
        found.iter().filter_map(|row| Some((key_at(row)?, row.get(1)))).collect();
    if whole.len() < keys.len() {
        let there = tx.query(&format!("SELECT pagerow_asked.pagerow_place {these}"), &params).await?;
        for key in there.iter().filter_map(key_at) {
            whole.entry(key).or_default();
        }
    }
    Ok(whole.into_iter().collect())
}

/// Makes one row again as it was, but for what the edit sets. Columns that the table has lost since stay lost, those
/// that it gained since get their defaults, and those that it computes are computed.
pub(super) async fn insert(
    rows: &Inner,
    tx: &mut Tx,
    edit: &Edit,
    whole: &str,
) -> Result<Vec<RowKey>, TxError> {
    // The journal's own text: what is not an object holds no column.
    let kept: BTreeSet<String> = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(whole)
        .map(|columns| columns.into_keys().collect())
        .unwrap_or_default();
    let given = tx
        .query(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 \
             AND NOT attisdropped AND attgenerated = ''",
            &[(&rows.sql.table, Type::TEXT)],
        )
        .await?;
    let columns: Vec<String> =
        given.iter().map(|row| row.get(0)).filter(|name| kept.contains(name)).collect();
    let mut texts: Vec<Option<String>> = vec![Some(whole.to_owned())];
    let mut values = Vec::with_capacity(columns.len());
    for column in &columns {
        let name = quoted(column);
        let set = edit.sets.columns.iter().find_map(|(place, text)| match rows.sql.fields.get(*place)? {
            Source::Column { reader, name: of, .. } if *of == name => Some((reader.cast(), text)),
            Source::Column { .. } | Source::Derived | Source::Join(_) | Source::Paused => None,
        });
        values.push(match set {
            Some((cast, text)) => {
                texts.push(text.clone());
                format!("${}::text::{cast}", texts.len())
            }
            None => format!("pagerow_whole.{name}"),
        });
    }
    let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} \
         FROM json_populate_record(NULL::{}, $1::text::json) AS pagerow_whole RETURNING {}",
        rows.sql.aliased(),
        names.join(", "),
        values.join(", "),
        rows.sql.table,
        rows.sql.key_texts(),
    );
    let params: Vec<Param<'_>> = texts.iter().map(|text| (text as _, Type::TEXT)).collect();
    let made = tx.query(&sql, &params).await?;
    Ok(made
        .iter()
        .map(|row| RowKey::from_columns(&(0..row.len()).map(|at| row.get(at)).collect::<Vec<String>>()))
        .collect())
}
