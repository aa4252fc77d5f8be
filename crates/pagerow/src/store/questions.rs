//! Which rows and pages wait for an answer to whether they are one record, and which were said not to be.

use std::collections::BTreeSet;

use pagerow_core::record::{PageId, RowKey};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions, choices::followed};
use crate::postgres::transaction::Tx;

/// A question that is no link yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Whether these belong to each other or, one alone, to another half that is there. Nobody has answered.
    Open(Option<RowKey>, Option<PageId>),
    /// A person answered that the two are one record.
    Same(RowKey, PageId),
}

/// The questions of one connection.
pub trait Questions: Transactions {
    /// What waits of a mapping, in the order in which it was asked and answered. Whoever is linked by now, or was said to
    /// be new, does not wait.
    ///
    /// # Errors
    /// What the database says.
    fn questions(&self, mapping: &str) -> impl Future<Output = Result<Vec<Question>, StoreError>> + Send;

    /// Keeps what is asked about a mapping, in the place of what was.
    ///
    /// # Errors
    /// What the database says.
    fn keep_questions(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        asked: &[(Option<RowKey>, Option<PageId>)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Rows and pages of a mapping that a person took apart.
    ///
    /// # Errors
    /// What the database says.
    fn parted(
        &self,
        mapping: &str,
    ) -> impl Future<Output = Result<BTreeSet<(RowKey, PageId)>, StoreError>> + Send;

    /// Takes a link apart, with all that is known of it: it is not buried, and nothing brings it back but a person who
    /// says that the two are one record after all.
    ///
    /// # Errors
    /// What the database says.
    fn part(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        link: i64,
        halves: &(RowKey, PageId),
        by: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets what a row and a page carry of each other count again.
    ///
    /// # Errors
    /// What the database says.
    fn join(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        halves: &(RowKey, PageId),
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Questions for PgStore {
    async fn questions(&self, mapping: &str) -> Result<Vec<Question>, StoreError> {
        let (schema, followed) = (&self.schema, followed(&self.schema));
        let said = |half: &str| {
            format!(
                "exists (select from {schema}.choices s where s.connection_id = c.connection_id \
                 and s.mapping = c.mapping and s.{half} = c.{half})"
            )
        };
        let (row_said, page_said) = (said("row_key"), said("page_id"));
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "(select case when not {row_said} then row_key end, case when not {page_said} then page_id end, false \
                      from {schema}.questions c where connection_id = $1 and mapping = $2 and not {followed} order by id) \
                     union all \
                     (select row_key, page_id, true from {schema}.choices c where connection_id = $1 and mapping = $2 \
                      and row_key is not null and page_id is not null and not {followed} order by id)"
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let question = |row: &tokio_postgres::Row| {
            let (key, page): (Option<String>, Option<Uuid>) = (row.get(0), row.get(1));
            match (key.map(RowKey::from), page.map(PageId), row.get(2)) {
                (Some(key), Some(page), true) => Some(Question::Same(key, page)),
                (None, None, _) => None,
                (key, page, _) => Some(Question::Open(key, page)),
            }
        };
        Ok(rows.iter().filter_map(question).collect())
    }

    async fn keep_questions(
        &self,
        tx: &mut Tx,
        mapping: &str,
        asked: &[(Option<RowKey>, Option<PageId>)],
    ) -> Result<(), StoreError> {
        tx.execute(
            &format!("delete from {}.questions where connection_id = $1 and mapping = $2", self.schema),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        if asked.is_empty() {
            return Ok(());
        }
        let keys: Vec<Option<&str>> = asked.iter().map(|(key, _)| key.as_ref().map(RowKey::as_str)).collect();
        let pages: Vec<Option<Uuid>> = asked.iter().map(|(_, page)| page.map(|page| page.0)).collect();
        tx.execute(
            &format!(
                "insert into {}.questions (connection_id, mapping, row_key, page_id) \
                 select $1, $2, key, page from unnest($3::text[], $4::uuid[]) with ordinality as new (key, page, place) \
                 order by place",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&keys, Type::TEXT_ARRAY),
                (&pages, Type::UUID_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }

    async fn parted(&self, mapping: &str) -> Result<BTreeSet<(RowKey, PageId)>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select row_key, page_id from {}.partings where connection_id = $1 and mapping = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let halves = |row: &tokio_postgres::Row| {
            let (key, page): (String, Uuid) = (row.get(0), row.get(1));
            (RowKey::from(key), PageId(page))
        };
        Ok(rows.iter().map(halves).collect())
    }

    async fn part(
        &self,
        tx: &mut Tx,
        mapping: &str,
        link: i64,
        (key, page): &(RowKey, PageId),
        by: &str,
    ) -> Result<(), StoreError> {
        for table in ["links", "buried_links"] {
            tx.execute(
                &format!("delete from {}.{table} where connection_id = $1 and id = $2", self.schema),
                &[(&self.connection, Type::INT8), (&link, Type::INT8)],
            )
            .await?;
        }
        // What was said before led to this link.
        tx.execute(
            &format!(
                "delete from {}.choices where connection_id = $1 and mapping = $2 and (row_key = $3 or page_id = $4)",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&key.as_str(), Type::TEXT),
                (&page.0, Type::UUID),
            ],
        )
        .await?;
        tx.execute(
            &format!(
                "insert into {}.partings (connection_id, mapping, row_key, page_id, parted_by) \
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&key.as_str(), Type::TEXT),
                (&page.0, Type::UUID),
                (&by, Type::TEXT),
            ],
        )
        .await?;
        Ok(())
    }

    async fn join(
        &self,
        tx: &mut Tx,
        mapping: &str,
        (key, page): &(RowKey, PageId),
    ) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "delete from {}.partings \
                 where connection_id = $1 and mapping = $2 and row_key = $3 and page_id = $4",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&key.as_str(), Type::TEXT),
                (&page.0, Type::UUID),
            ],
        )
        .await?;
        Ok(())
    }
}
