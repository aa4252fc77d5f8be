//! What the triggers wrote since an earlier look.

use std::collections::BTreeSet;

use pagerow_core::record::RowKey;
use tokio_postgres::types::Type;

use super::{MOST_KEYS, state::CaptureMark};
use crate::postgres::{
    catalogue::quoted,
    transaction::{Tx, TxError},
};

/// The keys of rows that statements touched in transactions that an earlier look may not have seen; `None` when they
/// cannot all be named.
///
/// Everything that this snapshot sees is told, also of transactions that come after one that has not ended: they are told
/// again by the next look, which starts at the same place. So one long transaction keeps nobody waiting.
pub(in crate::postgres) async fn named(
    tx: &mut Tx,
    own_schema: &str,
    mark: &CaptureMark,
    xmin: u64,
    columns: usize,
    most: usize,
) -> Result<Option<Vec<RowKey>>, TxError> {
    let own = quoted(own_schema);
    let since = xmin.to_string();
    // A number from the future is of another server, from which this database was copied.
    let pruned = format!(
        "SELECT 1 FROM {own}.outbox_pruned WHERE source = ANY ($1) AND before > $2::text::xid8 \
         AND before <= pg_snapshot_xmax(pg_current_snapshot())"
    );
    let params = [(&mark.sources as _, Type::INT8_ARRAY), (&since as _, Type::TEXT)];
    if !tx.query(&pruned, &params).await?.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT DISTINCT name FROM {own}.outbox LEFT JOIN LATERAL unnest(CASE WHEN cardinality(keys) <= {MOST_KEYS} THEN keys END) AS name ON true \
         WHERE source = ANY ($1) AND xid >= $2::text::xid8 LIMIT {}",
        most + 1
    );
    let found = tx.query(&sql, &params).await?;
    if found.len() > most {
        return Ok(None);
    }
    let keys: Option<BTreeSet<RowKey>> = found.iter().map(|row| key(row.get(0), columns)).collect();
    Ok(keys.map(|keys| keys.into_iter().collect()))
}

/// A key as triggers write it; `None` for "everything".
fn key(text: Option<String>, columns: usize) -> Option<RowKey> {
    let text = text?;
    if columns == 1 {
        return Some(RowKey::from(text));
    }
    Some(RowKey::from_columns(&serde_json::from_str::<Vec<String>>(&text).ok()?))
}
