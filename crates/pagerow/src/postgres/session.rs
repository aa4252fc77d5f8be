//! How are statements sent so that they work over any connection, also through a pooler in transaction mode?
//!
//! Such a pooler gives each transaction another server connection. So nothing here prepares named statements or
//! leaves state in a session: parameters carry their types, statement and parameters travel together, and results
//! must be of built-in types (cast others in the SQL: `status::text`), since the driver would look up any other
//! with a named statement.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, IsolationLevel, Row};

use super::error::{Outcome, PostgresError};

/// A value with the built-in type as which it is sent; the SQL casts it to others (`$1::text::mood`).
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Rows as they arrive; memory does not grow with their number.
pub type Rows = Pin<Box<dyn Stream<Item = Result<Row, PostgresError>> + Send>>;

/// What a session and a transaction can both do. `use` it to call its methods.
pub trait Statements: sealed::Sealed {
    /// All rows of a query.
    fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, PostgresError>> + Send {
        async move { self.driver().query_typed(sql, parameters).await.map_err(|error| self.understand(&error)) }
    }

    /// The row of a query that has one row or none.
    fn query_opt(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Option<Row>, PostgresError>> + Send {
        async move {
            self.driver().query_typed_opt(sql, parameters).await.map_err(|error| self.understand(&error))
        }
    }

    /// The row of a query that has exactly one.
    fn query_one(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Row, PostgresError>> + Send {
        async move {
            self.driver().query_typed_one(sql, parameters).await.map_err(|error| self.understand(&error))
        }
    }

    /// How many rows a statement changed.
    fn execute(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<u64, PostgresError>> + Send {
        async move { self.driver().execute_typed(sql, parameters).await.map_err(|error| self.understand(&error)) }
    }

    /// The rows of a query one after the other. The connection is busy until the stream has ended or is dropped.
    fn stream(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Rows, PostgresError>> + Send {
        async move {
            let parameters: Vec<_> = parameters.iter().map(|(value, kind)| (*value, kind.clone())).collect();
            let rows = self.driver().query_typed_raw(sql, parameters).await;
            let rows = rows.map_err(|error| self.understand(&error))?;
            let context = self.context();
            Ok(rows.map(move |row| row.map_err(|error| context.understand(&error))).boxed())
        }
    }

    /// Any number of statements without parameters, separated by semicolons. Outside a transaction they are one
    /// transaction of their own, unless they hold `BEGIN` or the like.
    fn batch(&self, sql: &str) -> impl Future<Output = Result<(), PostgresError>> + Send {
        async move { self.driver().batch_execute(sql).await.map_err(|error| self.understand(&error)) }
    }
}

/// One connection of the pool. Each statement is a transaction of its own.
pub struct Session {
    client: deadpool_postgres::Object,
    address: Arc<str>,
}

impl Session {
    pub(super) fn new(client: deadpool_postgres::Object, address: Arc<str>) -> Self {
        Self { client, address }
    }

    /// Begins a transaction; it is rolled back unless it is committed.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, PostgresError> {
        self.begin(IsolationLevel::ReadCommitted, false).await
    }

    /// Begins a transaction that writes nothing and sees one state of the database, however long it takes.
    pub async fn snapshot(&mut self) -> Result<Transaction<'_>, PostgresError> {
        self.begin(IsolationLevel::RepeatableRead, true).await
    }

    async fn begin(
        &mut self,
        level: IsolationLevel,
        read_only: bool,
    ) -> Result<Transaction<'_>, PostgresError> {
        let context = Context { address: Arc::clone(&self.address), outcome: Outcome::NotApplied };
        // The pool's own wrapper would do the same and drag its cache of named statements along.
        let client: &mut tokio_postgres::Client = &mut self.client;
        let begun = client.build_transaction().isolation_level(level).read_only(read_only).start().await;
        match begun {
            Ok(inner) => Ok(Transaction { inner, context }),
            Err(error) => Err(context.understand(&error)),
        }
    }
}

/// Statements that happen together or not at all. Dropping it without [`Transaction::commit`] rolls it back.
pub struct Transaction<'a> {
    inner: tokio_postgres::Transaction<'a>,
    context: Context,
}

impl Transaction<'_> {
    /// Makes everything permanent.
    ///
    /// # Errors
    /// With [`Outcome::Unknown`] when the connection broke meanwhile: whether it happened has to be looked up.
    pub async fn commit(self) -> Result<(), PostgresError> {
        let Self { inner, context } = self;
        let context = Context { outcome: Outcome::Unknown, ..context };
        inner.commit().await.map_err(|error| context.understand(&error))
    }

    /// Takes everything back.
    pub async fn rollback(self) -> Result<(), PostgresError> {
        let Self { inner, context } = self;
        inner.rollback().await.map_err(|error| context.understand(&error))
    }

    /// Begins a part that can be taken back alone: a transaction within this one.
    pub async fn savepoint(&mut self) -> Result<Transaction<'_>, PostgresError> {
        let context = self.context.clone();
        match self.inner.transaction().await {
            Ok(inner) => Ok(Transaction { inner, context }),
            Err(error) => Err(context.understand(&error)),
        }
    }

    /// A server setting for the rest of this transaction, such as `lock_timeout` = `2s`.
    pub async fn set(&self, name: &str, value: &str) -> Result<(), PostgresError> {
        let parameters: [Parameter<'_>; 2] = [(&name, Type::TEXT), (&value, Type::TEXT)];
        self.query_one("SELECT set_config($1, $2, true)", &parameters).await?;
        Ok(())
    }
}

impl Statements for Session {}
impl Statements for Transaction<'_> {}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transaction").field("address", &self.context.address).finish_non_exhaustive()
    }
}

/// What is needed to understand an error.
#[derive(Debug, Clone)]
pub struct Context {
    address: Arc<str>,
    /// What a connection that breaks now would mean.
    outcome: Outcome,
}

impl Context {
    fn understand(&self, error: &tokio_postgres::Error) -> PostgresError {
        PostgresError::understand(error, &self.address, self.outcome)
    }
}

mod sealed {
    use super::{Context, GenericClient, PostgresError};

    pub trait Sealed: Sync {
        type Driver: GenericClient + Sync;

        fn driver(&self) -> &Self::Driver;

        fn context(&self) -> Context;

        fn understand(&self, error: &tokio_postgres::Error) -> PostgresError {
            self.context().understand(error)
        }
    }
}

impl sealed::Sealed for Session {
    type Driver = tokio_postgres::Client;

    fn driver(&self) -> &tokio_postgres::Client {
        &self.client
    }

    fn context(&self) -> Context {
        Context { address: Arc::clone(&self.address), outcome: Outcome::Unknown }
    }
}

impl<'a> sealed::Sealed for Transaction<'a> {
    type Driver = tokio_postgres::Transaction<'a>;

    fn driver(&self) -> &tokio_postgres::Transaction<'a> {
        &self.inner
    }

    fn context(&self) -> Context {
        self.context.clone()
    }
}
