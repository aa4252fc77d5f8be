//! What triggers wrote goes when everybody has looked at it.

use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::StoreError;
use crate::postgres::transaction::Tx;

/// Takes lines from the outbox that every mapping has read, when one of them moves its cursor, in the same transaction.
/// One that has not moved its cursor for three days is not waited for: it will look at everything.
///
/// `schema` is quoted; `position` is a cursor of rows.
pub(super) async fn prune(tx: &mut Tx, schema: &str, position: &Json) -> Result<(), StoreError> {
    let sources: Vec<i64> = position
        .pointer("/capture/sources")
        .and_then(Json::as_array)
        .map(|sources| sources.iter().filter_map(Json::as_i64).collect())
        .unwrap_or_default();
    if sources.is_empty() {
        return Ok(());
    }
    // A line of a transaction that has not begun yet is of another server, from which this database was copied.
    // Another one's prune that has not ended is waited for by nobody.
    let sql = format!(
        "with read as ( \
             select source, (select (position ->> 'xmin')::xid8 as xmin from {schema}.cursors \
                             where side = 'postgres' and moved_at > now() - interval '3 days' \
                               and position -> 'capture' -> 'sources' @> to_jsonb(source) \
                             order by 1 limit 1) as before \
             from unnest($1::int8[]) as source \
         ), gone as ( \
             delete from {schema}.outbox using read \
             where {schema}.outbox.ctid = any (array( \
                 select o.ctid from read join {schema}.outbox o on o.source = read.source and (o.xid < read.before or o.xid >= pg_snapshot_xmax(pg_current_snapshot())) \
                 for update of o skip locked)) \
               and read.source = {schema}.outbox.source \
             returning {schema}.outbox.source \
         ) \
         insert into {schema}.outbox_pruned as known (source, before) \
         select source, before from read where source in (select source from gone) \
         on conflict (source) do update set before = case when known.before > pg_snapshot_xmax(pg_current_snapshot()) then excluded.before \
                                                            else greatest(known.before, excluded.before) end"
    );
    tx.execute(&sql, &[(&sources, Type::INT8_ARRAY)]).await?;
    Ok(())
}
