//! What people said about which row is which page, until it has become a link.

use jiff::Timestamp;
use pagerow_core::record::{PageId, RowKey};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// One thing that a person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub mapping: String,
    pub said: Said,
    /// Who said it.
    pub by: String,
    pub at: Timestamp,
}

/// Which row is which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The two are one record.
    Same(RowKey, PageId),
    /// The row belongs to none of the pages that are there.
    NewRow(RowKey),
    /// The page belongs to none of the rows that are there.
    NewPage(PageId),
}

impl Said {
    /// The row that it is about.
    #[must_use]
    pub fn row(&self) -> Option<&RowKey> {
        match self {
            Self::Same(key, _) | Self::NewRow(key) => Some(key),
            Self::NewPage(_) => None,
        }
    }

    /// The page that it is about.
    #[must_use]
    pub fn page(&self) -> Option<PageId> {
        match self {
            Self::Same(_, page) | Self::NewPage(page) => Some(*page),
            Self::NewRow(_) => None,
        }
    }
}

/// The choices of one connection. A row and a page each are in one at most.
pub trait Choices: Transactions {
    /// What was said about a mapping, or about all, in the order in which it was said, as far as nothing of it is linked
    /// by now.
    ///
    /// # Errors
    /// What the database says.
    fn choices(&self, mapping: Option<&str>) -> impl Future<Output = Result<Vec<Choice>, StoreError>> + Send;

    /// Keeps a choice. `false`: its row or its page is in another one.
    ///
    /// # Errors
    /// What the database says.
    fn choose(
        &self,
        tx: &mut Self::Tx,
        choice: &Choice,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes a choice back. `false`: it is not there.
    ///
    /// # Errors
    /// What the database says.
    fn take_back(
        &self,
        tx: &mut Self::Tx,
        choice: &Choice,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Forgets the choices of a mapping whose row or page is linked by now.
    ///
    /// # Errors
    /// What the database says.
    fn forget_followed(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Choices for PgStore {
    async fn choices(&self, mapping: Option<&str>) -> Result<Vec<Choice>, StoreError> {
        let followed = followed(&self.schema);
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select mapping, row_key, page_id, chosen_by, chosen_at from {}.choices c \
                     where connection_id = $1 and ($2::text is null or mapping = $2) and not {followed} order by id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let choice = |row: &tokio_postgres::Row| {
            let (key, page): (Option<String>, Option<Uuid>) = (row.get(1), row.get(2));
            let said = match (key.map(RowKey::from), page.map(PageId)) {
                (Some(key), Some(page)) => Said::Same(key, page),
                (Some(key), None) => Said::NewRow(key),
                (None, Some(page)) => Said::NewPage(page),
                (None, None) => return None,
            };
            Some(Choice { mapping: row.get(0), said, by: row.get(3), at: row.get(4) })
        };
        Ok(rows.iter().filter_map(choice).collect())
    }

    async fn choose(&self, tx: &mut Tx, choice: &Choice) -> Result<bool, StoreError> {
        let (key, page) = names(&choice.said);
        let kept = tx
            .execute(
                &format!(
                    "insert into {}.choices (connection_id, mapping, row_key, page_id, chosen_by, chosen_at) \
                     values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&choice.mapping, Type::TEXT),
                    (&key, Type::TEXT),
                    (&page, Type::UUID),
                    (&choice.by, Type::TEXT),
                    (&choice.at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        Ok(kept > 0)
    }

    async fn take_back(&self, tx: &mut Tx, choice: &Choice) -> Result<bool, StoreError> {
        let (key, page) = names(&choice.said);
        let taken = tx
            .execute(
                &format!(
                    "delete from {}.choices where connection_id = $1 and mapping = $2 \
                     and row_key is not distinct from $3 and page_id is not distinct from $4",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&choice.mapping, Type::TEXT),
                    (&key, Type::TEXT),
                    (&page, Type::UUID),
                ],
            )
            .await?;
        Ok(taken > 0)
    }

    async fn forget_followed(&self, tx: &mut Tx, mapping: &str) -> Result<(), StoreError> {
        let followed = followed(&self.schema);
        tx.execute(
            &format!(
                "delete from {}.choices c where connection_id = $1 and mapping = $2 and {followed}",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        Ok(())
    }
}

/// Whether a choice's row or page is linked by now.
pub(super) fn followed(schema: &str) -> String {
    format!(
        "exists (select from {schema}.links l where l.connection_id = c.connection_id and l.mapping = c.mapping \
         and (l.row_key = c.row_key or l.page_id = c.page_id))"
    )
}

fn names(said: &Said) -> (Option<&str>, Option<Uuid>) {
    (said.row().map(RowKey::as_str), said.page().map(|page| page.0))
}
