//! How are single statements sent so that they work over any connection, also through a pooler in transaction mode?
//!
//! Such a pooler gives each transaction another server connection. So nothing here prepares named statements or
//! leaves state in a session: parameters carry their types, statement and parameters travel together, and results
//! must be of built-in types (cast others in the SQL: `status::text`), since the driver would look up any other
//! with a named statement. Work that has to happen together goes through [`super::transaction::Tx`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio_postgres::Row;

use super::error::{Outcome, PostgresError};
use super::transaction::Param;

/// Rows as they arrive; memory does not grow with their number.
pub type Rows = Pin<Box<dyn Stream<Item = Result<Row, PostgresError>> + Send>>;

/// One connection of the pool, given back when it is dropped. Each statement is a transaction of its own.
///
/// Every error is one that the server gave, or a lost connection: whether the statement happened is not known then.
pub struct Session {
    client: deadpool_postgres::Object,
    address: Arc<str>,
}

impl Session {
    pub(super) fn new(client: deadpool_postgres::Object, address: Arc<str>) -> Self {
        Self { client, address }
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// As said of [`Session`].
    pub async fn query(&self, sql: &str, parameters: &[Param<'_>]) -> Result<Vec<Row>, PostgresError> {
        self.client.query_typed(sql, parameters).await.map_err(|error| understand(&error, &self.address))
    }

    /// The row of a query that has one row or none.
    ///
    /// # Errors
    /// As said of [`Session`].
    pub async fn query_opt(&self, sql: &str, parameters: &[Param<'_>]) -> Result<Option<Row>, PostgresError> {
        self.client.query_typed_opt(sql, parameters).await.map_err(|error| understand(&error, &self.address))
    }

    /// The row of a query that has exactly one.
    ///
    /// # Errors
    /// As said of [`Session`].
    pub async fn query_one(&self, sql: &str, parameters: &[Param<'_>]) -> Result<Row, PostgresError> {
        self.client.query_typed_one(sql, parameters).await.map_err(|error| understand(&error, &self.address))
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// As said of [`Session`].
    pub async fn execute(&self, sql: &str, parameters: &[Param<'_>]) -> Result<u64, PostgresError> {
        self.client.execute_typed(sql, parameters).await.map_err(|error| understand(&error, &self.address))
    }

    /// The rows of a query one after the other.
    ///
    /// # Errors
    /// As said of [`Session`], also in the midst of the rows.
    pub async fn stream(&self, sql: &str, parameters: &[Param<'_>]) -> Result<Rows, PostgresError> {
        let rows = self.client.query_typed_raw(sql, parameters.to_vec()).await;
        let rows = rows.map_err(|error| understand(&error, &self.address))?;
        let address = Arc::clone(&self.address);
        Ok(rows.map(move |row| row.map_err(|error| understand(&error, &address))).boxed())
    }

    /// Any number of statements without parameters, separated by semicolons; together they are one transaction.
    ///
    /// # Errors
    /// As said of [`Session`].
    pub async fn batch(&self, sql: &str) -> Result<(), PostgresError> {
        self.client.batch_execute(sql).await.map_err(|error| understand(&error, &self.address))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("address", &self.address).finish_non_exhaustive()
    }
}

fn understand(error: &tokio_postgres::Error, address: &str) -> PostgresError {
    PostgresError::understand(error, address, Outcome::Unknown)
}
