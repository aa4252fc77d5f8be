//! Which rows may have changed since an earlier look: told by triggers where they are in force, else by the column of
//! edit times or by the transactions that wrote the rows.
//!
//! A cursor keeps the oldest transaction that was still open then. Every row written since carries that one or a
//! later one, also when a slow transaction with an early number commits late. Join tables are remembered by sums
//! over their pairs, in buckets by the own key, so that also a removed pair names the rows it may belong to.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::record::RowKey;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use super::{
    capture::{
        outbox,
        state::{Assurance, CaptureMark, InForce, Standing},
    },
    rows::{Inner, RowsError},
    table::Capture,
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
    /// For each join table the number of pairs and their sum, by bucket; empty where triggers capture it.
    joins: Vec<BTreeMap<i32, (i64, i64)>>,
    /// Where triggers capture the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capture: Option<CaptureMark>,
    /// Before which time no row was edited that this look did not see, as far as its edit time tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited: Option<String>,
}

/// The rows that may have changed.
pub(super) enum Changed {
    /// All of them, also those that are gone.
    Named(Vec<RowKey>),
    /// Those that are there.
    Keys(Vec<RowKey>),
    /// Too many to name: those for which this holds.
    Many { condition: String, params: Vec<Bound> },
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

/// What has to be asked before the snapshot of a look at everything is taken.
pub(super) async fn before_everything(rows: &Inner) -> Result<Option<Assurance>, RowsError> {
    match &rows.table.capture {
        Capture::Triggers { schema } if rows.table.has_xmin => Assurance::make(&rows.pool, schema).await,
        Capture::Triggers { .. } | Capture::Poll | Capture::Off => Ok(None),
    }
}

/// Where the snapshot of this transaction stands, for a look at everything.
pub(super) async fn cursor(
    rows: &Inner,
    tx: &mut Tx,
    assurance: Option<Assurance>,
) -> Result<Cursor, RowsError> {
    if !rows.table.has_xmin {
        // Every look at such a table is a full one; the cursor only says that there was one.
        return Ok(serde_json::json!({ "full": true }));
    }
    let mut mark = position(rows, tx).await?;
    if let (Capture::Triggers { schema }, Some(assurance)) = (&rows.table.capture, assurance) {
        let standing = Standing::read(tx, &rows.sources, schema).await?;
        mark.capture = standing.and_then(|standing| standing.mark(&rows.sources, &assurance));
    }
    if mark.capture.is_none() {
        look_around(rows, tx, &mut mark).await?;
    }
    Ok(serde_json::json!(mark))
}

/// The rows that may have changed since a cursor, and the cursor of this look; `None` when that cannot be told and
/// everything has to be looked at.
pub(super) async fn changed(
    rows: &Inner,
    tx: &mut Tx,
    then: &Cursor,
) -> Result<Option<(Changed, Cursor)>, RowsError> {
    let Ok(then) = Mark::deserialize(then) else { return Ok(None) };
    let mut now = position(rows, tx).await?;
    if let Capture::Triggers { schema } = &rows.table.capture {
        let standing = Standing::read(tx, &rows.sources, schema).await?;
        let in_force = standing.as_ref().is_some_and(Standing::in_force);
        match (standing, then.capture.clone()) {
            (Some(standing), Some(mark)) if in_force => {
                if !standing.continues(&mark, then.xmin, &rows.sources) || !same_course(&then, &now) {
                    return Ok(None);
                }
                let columns = rows.sql.key.len();
                let named = outbox::named(tx, schema, &mark, then.xmin, columns, MANY).await?;
                now.capture = Some(mark);
                return Ok(named.map(|keys| (Changed::Named(keys), serde_json::json!(now))));
            }
            // They have just been installed.
            (Some(_), None) if in_force => return Ok(None),
            (standing, Some(_)) => {
                let why =
                    standing.map_or_else(|| "pagerow's own tables are not there".to_owned(), |s| s.trouble());
                tracing::warn!(
                    table = rows.sql.table,
                    why,
                    "changes were not captured; the whole table is looked at"
                );
                return Ok(None);
            }
            (_, None) => {}
        }
    }
    look_around(rows, tx, &mut now).await?;
    if !comparable(&then, &now) {
        return Ok(None);
    }
    let (mut condition, mut params) = match (rows.sql.edited_since(), &then.edited) {
        (Some(condition), Some(time)) => (condition, vec![Bound::Text(time.clone())]),
        // The column was not asked before.
        (Some(_), None) => return Ok(None),
        // An age below zero is a frozen row's number from an earlier round of the counter.
        (None, _) => (
            format!("age({}.xmin) BETWEEN 0 AND (SELECT age($1::text::xid))", rows.sql.name),
            vec![Bound::Text((then.xmin & u64::from(u32::MAX)).to_string())],
        ),
    };
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
    let now = serde_json::json!(now);
    let bound: Vec<Param<'_>> = params.iter().map(Bound::param).collect();
    let found = tx.query(&rows.sql.keys_where(&condition, MANY + 1), &bound).await?;
    if found.len() > MANY {
        drop(bound);
        return Ok(Some((Changed::Many { condition, params }, now)));
    }
    let keys = found.iter().map(|row| {
        let parts: Vec<String> = (0..row.len()).map(|at| row.get(at)).collect();
        RowKey::from_columns(&parts)
    });
    Ok(Some((Changed::Keys(keys.collect()), now)))
}

/// Whether the mapping's triggers are in force, table by table.
pub(super) async fn standing(rows: &Inner) -> Result<Vec<InForce>, RowsError> {
    let Capture::Triggers { schema } = &rows.table.capture else { return Ok(Vec::new()) };
    let mut tx = Tx::begin_snapshot(&rows.pool).await?;
    let standing = Standing::read(&mut tx, &rows.sources, schema).await?;
    tx.commit().await?;
    Ok(standing.map_or_else(|| vec![InForce::NotInstalled; rows.sources.len()], |standing| standing.in_force))
}

/// Where the snapshot stands among transactions, and which files hold the table.
async fn position(rows: &Inner, tx: &mut Tx) -> Result<Mark, RowsError> {
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
    Ok(Mark { xmin, xmax, files, joins: Vec::new(), capture: None, edited: None })
}

/// What has to be remembered where no triggers name what changed.
async fn look_around(rows: &Inner, tx: &mut Tx, mark: &mut Mark) -> Result<(), RowsError> {
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
        mark.joins.push(sums.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect());
    }
    if rows.sql.edited_since().is_some() {
        // A transaction gives its rows the time of its beginning, and this look does not see those that go on. Of other
        // roles' transactions the beginning may be hidden, hence the margin.
        let sql = "SELECT to_char((least(now(), min(xact_start)) - interval '10 minutes') AT TIME ZONE 'UTC', \
                                  'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
                   FROM pg_stat_activity WHERE datname = current_database()";
        mark.edited = tx.query(sql, &[]).await?.first().and_then(|row| row.get(0));
    }
    Ok(())
}

/// Whether the later cursor continues the earlier one, with the same table.
fn same_course(then: &Mark, now: &Mark) -> bool {
    then.files == now.files && then.xmin <= now.xmin && then.xmax <= now.xmax
}

/// Whether the later cursor continues the earlier one: the same table, the same count of transactions, not too far.
fn comparable(then: &Mark, now: &Mark) -> bool {
    same_course(then, now) && then.joins.len() == now.joins.len() && now.xmax - then.xmin < REACH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(xmin: u64, xmax: u64, files: &str) -> Mark {
        let joins = vec![BTreeMap::from([(7, (2, -5))])];
        Mark { xmin, xmax, files: files.into(), joins, capture: None, edited: None }
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
