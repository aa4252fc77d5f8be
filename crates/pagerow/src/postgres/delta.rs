//! Which rows may have changed since an earlier look, told by the transactions that wrote them, without a trigger.
//!
//! A cursor keeps the oldest transaction that was still open then. Every row written since carries that one or a
//! later one, also when a slow transaction with an early number commits late. Join tables are remembered by sums
//! over their pairs, in buckets by the own key, so that also a removed pair names the rows it may belong to.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::record::RowKey;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use super::{
    rows::{Inner, RowsError},
    transaction::{Param, Tx},
};
use crate::replica::Cursor;

/// More changed rows than this are streamed instead of being named first.
const MANY: usize = 20_000;

/// Transaction numbers on a row have 32 bits, so that only the last 2^31 can be ordered; some of that is kept free
/// for transactions that come while the statement runs.
const REACH: u64 = (1 << 31) - (1 << 24);

/// Buckets of a join table's keys.
const BUCKETS: i32 = 256;

/// What a cursor holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    /// The oldest transaction that was still open, with its epoch.
    xmin: u64,
    /// The next transaction number then.
    xmax: u64,
    /// Which files hold the table (and its partitions): others mean that it was replaced, truncated or rewritten.
    files: String,
    /// For each join table the number of pairs and their sum, by bucket.
    joins: Vec<BTreeMap<i32, (i64, i64)>>,
}

/// The rows that may have changed.
pub(super) enum Changed {
    Keys(Vec<RowKey>),
    /// Too many to name: those for which this holds.
    Many {
        condition: String,
        params: Vec<Bound>,
    },
}

/// A parameter that owns its value.
pub(super) enum Bound {
    Text(String),
    Integers(Vec<i32>),
}

impl Bound {
    pub(super) fn param(&self) -> Param<'_> {
        match self {
            Self::Text(text) => (text, Type::TEXT),
            Self::Integers(integers) => (integers, Type::INT4_ARRAY),
        }
    }
}

/// Where the snapshot of this transaction stands.
pub(super) async fn cursor(rows: &Inner, tx: &mut Tx) -> Result<Cursor, RowsError> {
    if !rows.table.has_xmin {
        // Every look at such a table is a full one; the cursor only says that there was one.
        return Ok(serde_json::json!({ "full": true }));
    }
    // The tree of a table without partitions is empty, hence the table beside it.
    let sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, \
                      pg_snapshot_xmax(pg_current_snapshot())::text, \
                      string_agg(part::oid::text || '.' || coalesce(pg_relation_filenode(part), 0), ',' ORDER BY part) \
               FROM (SELECT $1::text::regclass AS part \
                     UNION SELECT relid FROM pg_partition_tree($1::text::regclass)) AS parts";
    let found = tx.query(sql, &[(&rows.sql.table, Type::TEXT)]).await?;
    let text = |at: usize| found.first().map(|row| row.get::<_, String>(at)).unwrap_or_default();
    let number =
        |at: usize| text(at).parse::<u64>().map_err(|_| RowsError::Key("no transaction number".to_owned()));
    let (xmin, xmax, files) = (number(0)?, number(1)?, text(2));
    let mut joins = Vec::new();
    for join in rows.sql.joins() {
        let sql = format!(
            "SELECT hashtext({own}) & {}, count(*), sum(hashtext({own} || E'\\x1f' || {other}))::bigint \
             FROM {} WHERE {} IS NOT NULL AND {} IS NOT NULL GROUP BY 1",
            BUCKETS - 1,
            join.table,
            join.own,
            join.other,
            own = join.own_text,
            other = join.other_text,
        );
        let sums = tx.query(&sql, &[]).await?;
        joins.push(sums.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect());
    }
    Ok(serde_json::json!(Mark { xmin, xmax, files, joins }))
}

/// The rows that may have changed between two cursors of which the later is this transaction's; `None` when that
/// cannot be told and everything has to be looked at.
pub(super) async fn changed(
    rows: &Inner,
    tx: &mut Tx,
    then: &Cursor,
    now: &Cursor,
) -> Result<Option<Changed>, RowsError> {
    let (Ok(then), Ok(now)) = (Mark::deserialize(then), Mark::deserialize(now)) else { return Ok(None) };
    if !comparable(&then, &now) {
        return Ok(None);
    }
    // An age below zero is a frozen row's number from an earlier round of the counter.
    let mut condition = format!("age({}.xmin) BETWEEN 0 AND (SELECT age($1::text::xid))", rows.sql.name);
    let mut params = vec![Bound::Text((then.xmin & u64::from(u32::MAX)).to_string())];
    let buckets: BTreeSet<i32> = then
        .joins
        .iter()
        .zip(&now.joins)
        .flat_map(|(then, now)| {
            then.keys().chain(now.keys()).filter(|at| then.get(at) != now.get(at)).copied()
        })
        .collect();
    if let (false, Some(key)) = (buckets.is_empty(), rows.sql.key.first()) {
        condition.push_str(&format!(" OR (hashtext({}) & {}) = ANY ($2::int4[])", key.text, BUCKETS - 1));
        params.push(Bound::Integers(buckets.into_iter().collect()));
    }
    let bound: Vec<Param<'_>> = params.iter().map(Bound::param).collect();
    let found = tx.query(&rows.sql.keys_where(&condition, MANY + 1), &bound).await?;
    if found.len() > MANY {
        drop(bound);
        return Ok(Some(Changed::Many { condition, params }));
    }
    let keys = found.iter().map(|row| {
        let parts: Vec<String> = (0..row.len()).map(|at| row.get(at)).collect();
        RowKey::from_columns(&parts)
    });
    Ok(Some(Changed::Keys(keys.collect())))
}

/// Whether the later cursor continues the earlier one: the same table, the same count of transactions, not too far.
fn comparable(then: &Mark, now: &Mark) -> bool {
    then.files == now.files
        && then.joins.len() == now.joins.len()
        && then.xmin <= now.xmin
        && then.xmax <= now.xmax
        && now.xmax - then.xmin < REACH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(xmin: u64, xmax: u64, files: &str) -> Mark {
        Mark { xmin, xmax, files: files.into(), joins: vec![BTreeMap::from([(7, (2, -5))])] }
    }

    #[test]
    fn a_cursor_reads_back() {
        let made = mark(5_000_000_000, 5_000_000_001, "1.2");
        assert_eq!(Mark::deserialize(&serde_json::json!(made)).unwrap(), made);
    }

    #[test]
    fn only_a_continuation_is_compared() {
        assert!(comparable(&mark(10, 12, "1"), &mark(10, 12, "1")));
        assert!(comparable(&mark(10, 12, "1"), &mark(11, 4_000_000, "1")));
        assert!(!comparable(&mark(10, 12, "1"), &mark(11, 13, "2")));
        assert!(!comparable(&mark(10, 12, "1"), &mark(9, 13, "1")));
        assert!(!comparable(&mark(10, 12, "1"), &mark(11, 1 << 31, "1")));
    }
}
