//! Keeping the bookkeeping columns of the user's own table up to date.

use tokio_postgres::types::Type;

use super::{
    convert, read,
    rows::{Inner, RowsError},
    statement::{asked, quoted},
    transaction::{Param, Tx, TxError},
};
use crate::replica::RowNote;

/// How many rows one statement notes.
const NOTES_A_STATEMENT: usize = 1000;

/// Notes rows, in groups; what a group cannot take is left out, since a note is no part of a record.
pub(super) async fn note(rows: &Inner, tx: &mut Tx, notes: &[RowNote]) -> Result<(), RowsError> {
    if !rows.table.writable || columns(rows).is_empty() {
        return Ok(());
    }
    let types = rows.note_types.get_or_try_init(|| types(rows, tx)).await?;
    let mut open: Vec<&[RowNote]> = notes.chunks(NOTES_A_STATEMENT).rev().collect();
    let mut impatient = false;
    while let Some(part) = open.pop() {
        tx.savepoint("pagerow_note").await?;
        match set(rows, tx, types, part).await {
            Ok(()) => tx.release("pagerow_note").await?,
            Err(TxError::Statement(refused)) => {
                tx.rollback_to("pagerow_note").await?;
                if refused.code == "55P03" && !impatient {
                    impatient = true;
                    tx.batch_execute("SET LOCAL lock_timeout = '200ms'").await?;
                }
                if part.len() > 1 && !super::refusal::concerns_all(&refused) {
                    let (left, right) = part.split_at(part.len() / 2);
                    open.extend([right, left]);
                } else {
                    tracing::warn!(
                        mapping = rows.mapping.name,
                        code = refused.code,
                        rows = part.len(),
                        "bookkeeping columns could not be kept up to date"
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    if impatient {
        tx.batch_execute("SET LOCAL lock_timeout = '5s'").await?;
    }
    Ok(())
}

/// What a bookkeeping column says.
#[derive(Clone, Copy)]
enum Says {
    PageId,
    SyncedAt,
    Status,
    Error,
    Synced,
    Checksum,
}

fn columns(rows: &Inner) -> Vec<(Says, &str)> {
    let kept = &rows.table.bookkeeping;
    [
        (Says::PageId, &kept.page_id),
        (Says::SyncedAt, &kept.synced_at),
        (Says::Status, &kept.status),
        (Says::Error, &kept.error),
        (Says::Synced, &kept.synced),
        (Says::Checksum, &kept.checksum),
    ]
    .into_iter()
    .filter_map(|(says, column)| Some((says, column.as_deref()?)))
    .collect()
}

/// The types of the bookkeeping columns.
async fn types(rows: &Inner, tx: &mut Tx) -> Result<Vec<(String, String)>, RowsError> {
    let names: Vec<&str> = columns(rows).into_iter().map(|(_, name)| name).collect();
    let sql = "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
               WHERE attrelid = $1::text::regclass AND attname = ANY ($2::text[]) AND NOT attisdropped";
    let found = tx.query(sql, &[(&rows.sql.table, Type::TEXT), (&names, Type::TEXT_ARRAY)]).await?;
    Ok(found.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn set(
    rows: &Inner,
    tx: &mut Tx,
    types: &[(String, String)],
    notes: &[RowNote],
) -> Result<(), TxError> {
    let key_count = rows.sql.key.len();
    let keys: Vec<_> = notes.iter().map(|note| note.key.clone()).collect();
    let mut arrays: Vec<Vec<Option<String>>> = read::key_columns(rows, &keys)
        .into_iter()
        .map(|column| column.into_iter().map(Some).collect())
        .collect();
    let (mut sets, mut names) = (Vec::new(), Vec::new());
    for (i, (says, name)) in columns(rows).into_iter().enumerate() {
        let Some((_, declared)) = types.iter().find(|(known, _)| known == name) else { continue };
        let cast = convert::castable(declared);
        let value = match says {
            // What is not known is left as it is.
            Says::Checksum => {
                format!("coalesce(pagerow_asked.n{i}::{cast}, {}.{})", rows.sql.name, quoted(name))
            }
            _ => format!("pagerow_asked.n{i}::{cast}"),
        };
        sets.push(format!("{} = {value}", quoted(name)));
        names.push(format!("n{i}"));
        let local = declared == "timestamp without time zone";
        arrays.push(notes.iter().map(|note| says.text(note, rows, local)).collect());
    }
    if sets.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE {} SET {} FROM {} WHERE {}",
        rows.sql.aliased(),
        sets.join(", "),
        asked(key_count, &names),
        rows.sql.key_matches(),
    );
    let params: Vec<Param<'_>> = arrays.iter().map(|array| (array as _, Type::TEXT_ARRAY)).collect();
    tx.execute(&sql, &params).await?;
    Ok(())
}

impl Says {
    fn text(self, note: &RowNote, rows: &Inner, local: bool) -> Option<String> {
        match self {
            Self::PageId => note.page.map(|page| page.to_string()),
            Self::SyncedAt if local => super::moment::local_text(note.synced_at, &rows.zone),
            Self::SyncedAt => super::moment::instant_text(note.synced_at),
            Self::Status => Some(note.status.to_owned()),
            Self::Error => note.error.as_ref().map(|text| text.replace('\0', "")),
            Self::Synced => Some((note.status == "synced").to_string()),
            Self::Checksum => Some(note.checksum.clone()).filter(|checksum| !checksum.is_empty()),
        }
    }
}
