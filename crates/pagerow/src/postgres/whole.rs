//! Whole rows, columns without a property included: kept before a row is deleted, and made again from that.
//!
//! `row_to_json` and `json_populate_record` are each other's inverse for every type that has a text form; a `json`
//! column keeps its very text.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{digest::Digest, record::RowKey};
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

/// How many keys one statement asks for.
const KEYS_A_STATEMENT: usize = 1000;

/// The whole rows of keys with the names of their types, as pages keep them. Columns in which pagerow itself keeps book
/// are left out: they change with every write, and would make each backup old.
pub(super) async fn for_backup(rows: &Inner, keys: &[RowKey]) -> Result<Vec<(RowKey, String)>, RowsError> {
    let text = |row: &Row| row.get(1);
    kept(rows, keys, "pagerow_kept.pagerow_text", text).await
}

/// The first half of the SHA-256 of each of these texts: [`Digest::of`], without the texts on their way.
pub(super) async fn for_backup_in_short(
    rows: &Inner,
    keys: &[RowKey],
) -> Result<Vec<(RowKey, Digest)>, RowsError> {
    let short = "substr(sha256(convert_to(pagerow_kept.pagerow_text, 'UTF8')), 1, 16)";
    let digest = |row: &Row| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&row.get::<_, Vec<u8>>(1)[..16]);
        Digest(bytes)
    };
    kept(rows, keys, short, digest).await
}

async fn kept<T>(
    rows: &Inner,
    keys: &[RowKey],
    shown: &str,
    take: impl Fn(&Row) -> T,
) -> Result<Vec<(RowKey, T)>, RowsError> {
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let columns = tx
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            &[(&rows.sql.table, Type::TEXT)],
        )
        .await?;
    let book = rows.table.bookkeeping.columns();
    let columns: BTreeMap<String, String> = (columns.iter())
        .map(|row| (row.get(0), row.get(1)))
        .filter(|(name, _): &(String, String)| !book.contains(&name.as_str()))
        .collect();
    let names: Vec<String> =
        columns.keys().map(|name| format!("{}.{}", rows.sql.name, quoted(name))).collect();
    // Texts always serialise.
    let types = serde_json::to_string(&columns).unwrap_or_default();
    let mut found = Vec::new();
    for part in keys.chunks(KEYS_A_STATEMENT) {
        let asked_for = read::key_columns(rows, part);
        let mut params: Vec<Param<'_>> =
            asked_for.iter().map(|column| (column as _, Type::TEXT_ARRAY)).collect();
        params.push((&types, Type::TEXT));
        let sql = format!(
            "SELECT pagerow_asked.pagerow_place, {shown} FROM {} JOIN {} ON {}, \
             LATERAL (SELECT '{{\"types\":' || ${}::text || ',\"row\":' || row_to_json(pagerow_row)::text || '}}' \
             AS pagerow_text FROM (SELECT {}) AS pagerow_row) AS pagerow_kept",
            asked(asked_for.len(), &[]),
            rows.sql.aliased(),
            rows.sql.key_matches(),
            params.len(),
            names.join(", "),
        );
        for row in tx.query(&sql, &params).await? {
            let place = usize::try_from(row.get::<_, i64>(0) - 1).ok();
            if let Some(key) = place.and_then(|place| part.get(place)) {
                found.push((key.clone(), take(&row)));
            }
        }
    }
    tx.commit().await?;
    Ok(found)
}

/// Makes rows again as they were, but for what the edits set. Columns that the table has lost since stay lost, those
/// that it gained since get their defaults, and those that it computes are computed.
pub(super) async fn insert(rows: &Inner, tx: &mut Tx, edits: &[Edit]) -> Result<Vec<RowKey>, TxError> {
    let given = tx
        .query(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 \
             AND NOT attisdropped AND attgenerated = ''",
            &[(&rows.sql.table, Type::TEXT)],
        )
        .await?;
    let given: Vec<String> = given.iter().map(|row| row.get(0)).collect();
    let kept = |edit: &Edit| -> Vec<&String> {
        // The journal's own text: what is not an object holds no column.
        let kept: BTreeSet<String> =
            serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(edit.whole.as_deref().unwrap_or("{}"))
                .map(|columns| columns.into_keys().collect())
                .unwrap_or_default();
        given.iter().filter(|name| kept.contains(*name)).collect()
    };
    let edits: Vec<(&Edit, Vec<&String>)> = edits.iter().map(|edit| (edit, kept(edit))).collect();
    let mut made = Vec::with_capacity(edits.len());
    for alike in edits.chunk_by(|one, next| one.1 == next.1) {
        made.extend(insert_alike(rows, tx, alike).await?);
    }
    Ok(made)
}

/// Rows of which the same columns were kept and the same are set.
async fn insert_alike(
    rows: &Inner,
    tx: &mut Tx,
    edits: &[(&Edit, Vec<&String>)],
) -> Result<Vec<RowKey>, TxError> {
    let Some((first, columns)) = edits.first() else { return Ok(Vec::new()) };
    let mut arrays = vec![edits.iter().map(|(edit, _)| edit.whole.as_deref()).collect::<Vec<_>>()];
    let mut asked_for = vec!["pagerow_whole".to_owned()];
    let mut values = Vec::with_capacity(columns.len());
    for column in columns {
        let name = quoted(column);
        let set = first.sets.columns.keys().find_map(|place| match rows.sql.fields.get(*place)? {
            Source::Column { reader, name: of, .. } if *of == name => Some((reader.cast(), place)),
            Source::Column { .. } | Source::Derived | Source::Join(_) | Source::Paused => None,
        });
        values.push(match set {
            Some((cast, place)) => {
                arrays.push(edits.iter().map(|(edit, _)| edit.sets.columns.get(place)?.as_deref()).collect());
                asked_for.push(format!("c{place}"));
                format!("pagerow_asked.c{place}::{cast}")
            }
            None => format!("pagerow_kept.{name}"),
        });
    }
    let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    // Rows are made one after another in the order of the query, and returned as they are made.
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} \
         CROSS JOIN LATERAL json_populate_record(NULL::{}, pagerow_asked.pagerow_whole::json) AS pagerow_kept \
         ORDER BY pagerow_asked.pagerow_place RETURNING {}",
        rows.sql.aliased(),
        names.join(", "),
        values.join(", "),
        asked(0, &asked_for),
        rows.sql.table,
        rows.sql.key_texts(),
    );
    let params: Vec<Param<'_>> = arrays.iter().map(|texts| (texts as _, Type::TEXT_ARRAY)).collect();
    let made = tx.query(&sql, &params).await?;
    Ok(made
        .iter()
        .map(|row| RowKey::from_columns(&(0..row.len()).map(|at| row.get(at)).collect::<Vec<String>>()))
        .collect())
}
