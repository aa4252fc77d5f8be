//! Recoveries that may be interrupted: what was retrieved so far, and from where the next process goes on.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use pagerow_core::record::PageId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// In which form pages are staged. Another number is another pagerow's.
pub const FORM: i32 = 1;

/// One recovery that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub id: i64,
    /// `from_notion`.
    pub kind: String,
    pub form: i32,
    pub retrievals: BTreeMap<String, Retrieval>,
    /// Since something of it was last written, in seconds.
    pub age: f64,
}

/// How far one mapping's pages have been retrieved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Of the mapping that the pages were read for.
    pub fingerprint: String,
    /// From where a reading goes on; of a complete one, from where edits are asked for.
    pub reached: Option<Json>,
    pub complete: bool,
    /// Pages that are staged.
    pub pages: u64,
    /// Pages that there were when they were last counted.
    pub expected: Option<u64>,
}

/// Pages that recoveries have retrieved.
pub trait Staged: Send + Sync {
    /// The pages that are staged for a mapping, all or these, one after another.
    ///
    /// # Errors
    /// What the database says.
    fn each_staged(
        &self,
        operation: i64,
        mapping: &str,
        only: Option<&[PageId]>,
        found: &mut (dyn FnMut(PageId, Json) + Send),
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The recoveries of one connection.
pub trait Operations: Transactions + Staged {
    /// The recovery that has not ended, if there is one.
    ///
    /// # Errors
    /// What the database says.
    fn open_operation(&self) -> impl Future<Output = Result<Option<Operation>, StoreError>> + Send;

    /// Begins one; answers its number.
    ///
    /// # Errors
    /// What the database says; there is at most one that has not ended.
    fn begin_operation(
        &self,
        tx: &mut Self::Tx,
        kind: &str,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Keeps pages that were retrieved, and how far that has come. `false`: the operation was cancelled meanwhile, and
    /// nothing is kept.
    ///
    /// # Errors
    /// What the database says.
    fn stage(
        &self,
        tx: &mut Self::Tx,
        operation: i64,
        mapping: &str,
        retrieval: &Retrieval,
        pages: &[(PageId, Json)],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends an operation as `done`, `cancelled` or `outdated`, and drops what is staged for it. `false`: it had ended.
    ///
    /// # Errors
    /// What the database says.
    fn end_operation(
        &self,
        tx: &mut Self::Tx,
        operation: i64,
        state: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Staged for PgStore {
    async fn each_staged(
        &self,
        operation: i64,
        mapping: &str,
        only: Option<&[PageId]>,
        found: &mut (dyn FnMut(PageId, Json) + Send),
    ) -> Result<(), StoreError> {
        let only: Option<Vec<Uuid>> = only.map(|pages| pages.iter().map(|page| page.0).collect());
        let mut tx = Tx::begin_snapshot(&self.pool).await?;
        let these = if only.is_some() { "and page_id = any($3)" } else { "" };
        let sql = format!(
            "select page_id, seen::text from {}.staged where operation_id = $1 and mapping = $2 {these} order by page_id",
            self.schema
        );
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&operation, Type::INT8), (&mapping, Type::TEXT)];
        if let Some(pages) = &only {
            params.push((pages, Type::UUID_ARRAY));
        }
        let mut rows = tx.stream(&sql, &params).await?;
        while let Some(row) = rows.next().await {
            let row = row?;
            let seen: &str = row.get(1);
            let seen = serde_json::from_str(seen)
                .map_err(|source| StoreError::Unreadable { what: "a staged page", source })?;
            found(PageId(row.get(0)), seen);
        }
        drop(rows);
        Ok(tx.commit().await?)
    }
}

impl Operations for PgStore {
    async fn open_operation(&self) -> Result<Option<Operation>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, kind, form, retrievals::text, \
                     extract(epoch from clock_timestamp() - changed_at)::float8 \
                     from {}.operations where connection_id = $1 and state = 'open'",
                    self.schema
                ),
                &[(&self.connection, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (form, retrievals): (i32, String) = (row.get(2), row.get(3));
        let retrievals = match serde_json::from_str(&retrievals) {
            Ok(retrievals) => retrievals,
            // Only its form counts.
            Err(_) if form != FORM => BTreeMap::new(),
            Err(source) => return Err(StoreError::Unreadable { what: "a recovery's retrievals", source }),
        };
        Ok(Some(Operation { id: row.get(0), kind: row.get(1), form, retrievals, age: row.get(4) }))
    }

    async fn begin_operation(&self, tx: &mut Tx, kind: &str) -> Result<i64, StoreError> {
        let rows = tx
            .query(
                &format!(
                    "insert into {}.operations (connection_id, kind, form) values ($1, $2, $3) returning id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&kind, Type::TEXT), (&FORM, Type::INT4)],
            )
            .await?;
        rows.first().map(|row| row.get(0)).ok_or(StoreError::Lost("a new operation"))
    }

    async fn stage(
        &self,
        tx: &mut Tx,
        operation: i64,
        mapping: &str,
        retrieval: &Retrieval,
        pages: &[(PageId, Json)],
    ) -> Result<bool, StoreError> {
        let told = serde_json::to_string(retrieval)
            .map_err(|source| StoreError::Unreadable { what: "a retrieval", source })?;
        let open = tx
            .execute(
                &format!(
                    "update {}.operations set changed_at = clock_timestamp(), \
                     retrievals = jsonb_set(retrievals, array[$3], $4::text::jsonb) \
                     where connection_id = $1 and id = $2 and state = 'open'",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&operation, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&told, Type::TEXT),
                ],
            )
            .await?;
        if open == 0 {
            return Ok(false);
        }
        let ids: Vec<Uuid> = pages.iter().map(|(page, _)| page.0).collect();
        let seen: Vec<String> = pages.iter().map(|(_, seen)| seen.to_string()).collect();
        tx.execute(
            &format!(
                "insert into {}.staged (operation_id, mapping, page_id, seen) \
                 select $1, $2, page, seen::json from unnest($3::uuid[], $4::text[]) as new (page, seen) \
                 on conflict (operation_id, mapping, page_id) do update set seen = excluded.seen",
                self.schema
            ),
            &[
                (&operation, Type::INT8),
                (&mapping, Type::TEXT),
                (&ids, Type::UUID_ARRAY),
                (&seen, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        Ok(true)
    }

    async fn end_operation(&self, tx: &mut Tx, operation: i64, state: &str) -> Result<bool, StoreError> {
        let ended = tx
            .execute(
                &format!(
                    "update {}.operations set state = $3, finished_at = clock_timestamp() \
                     where connection_id = $1 and id = $2 and state = 'open'",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&operation, Type::INT8), (&state, Type::TEXT)],
            )
            .await?;
        if ended > 0 {
            tx.execute(
                &format!("delete from {}.staged where operation_id = $1", self.schema),
                &[(&operation, Type::INT8)],
            )
            .await?;
        }
        Ok(ended > 0)
    }
}
