//! How a transaction is held so that it works through any pooler and never ends in a doubtful state unnoticed.
//!
//! Statements with values are unnamed and carry their parameter types; their results must be of built-in types only
//! (cast everything else in the SQL), because the driver would look other types up with named statements.

use std::{pin::Pin, sync::Arc};

use deadpool_postgres::{Object, Pool, PoolError};
use futures_util::{Stream, StreamExt as _};
use tokio_postgres::{
    Row,
    error::{DbError, Severity, SqlState},
    types::{ToSql, Type},
};

/// One parameter with its type, which is what makes a statement need no preparation.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// An open transaction that owns its connection.
///
/// Dropped while open, it closes the connection, so that the server rolls back and nothing half done goes back
/// to the pool.
pub struct Tx {
    client: Option<Object>,
    state: State,
}

/// What is known of the transaction between two statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// A statement failed, or nobody waited for its end: only going back to a savepoint makes it good again.
    Spoilt,
}

/// Why a transaction could not go on. Holds no cell's content.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TxError {
    #[error("no connection to Postgres could be had")]
    Connection(#[source] Arc<PoolError>),
    /// The server refused a statement; what came before it in the transaction is lost, unless a savepoint was set.
    #[error(transparent)]
    Statement(Box<SqlError>),
    /// The connection broke. The transaction was not committed.
    #[error("the connection to Postgres was lost")]
    Lost(#[source] Arc<tokio_postgres::Error>),
    /// The connection broke during `COMMIT`: whether it took place has to be looked up.
    #[error("the connection to Postgres was lost during COMMIT; whether it took place is not known")]
    CommitUnknown(#[source] Arc<tokio_postgres::Error>),
    /// `COMMIT` was asked of a transaction in which a statement had failed. It was rolled back.
    #[error("the transaction held a failed statement and was rolled back")]
    Spoilt,
}

/// What the server said of a refused statement, without the values it quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    pub code: String,
    pub constraint: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    /// The server's own function that refused; tells a missing privilege from a row security policy.
    pub routine: Option<String>,
    /// The server's sentence, where its kind of error quotes no values.
    message: Option<String>,
}

impl Tx {
    /// Begins a transaction that writes: `READ COMMITTED`, with limits on waiting for locks and on each statement. It
    /// does not insist on writing: hosts make databases read only by default when their disk is nearly full.
    ///
    /// # Errors
    /// [`TxError::Connection`] when the pool has none, [`TxError::Lost`] when it breaks at once.
    pub async fn begin(pool: &Pool) -> Result<Self, TxError> {
        Self::open(
            pool,
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SET LOCAL lock_timeout = '5s'; \
             SET LOCAL statement_timeout = '120s'; \
             SET LOCAL idle_in_transaction_session_timeout = '300s'; \
             SET LOCAL pagerow.own = 'on'; \
             SET LOCAL extra_float_digits = 1",
        )
        .await
    }

    /// Begins a transaction that only reads, all of it from one snapshot, for as long as that takes.
    ///
    /// # Errors
    /// As [`Tx::begin`].
    pub async fn begin_snapshot(pool: &Pool) -> Result<Self, TxError> {
        Self::open(
            pool,
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL lock_timeout = '30s'; \
             SET LOCAL statement_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 0; \
             SET LOCAL extra_float_digits = 1",
        )
        .await
    }

    async fn open(pool: &Pool, sql: &str) -> Result<Self, TxError> {
        let client = pool.get().await.map_err(|error| TxError::Connection(Arc::new(error)))?;
        let mut tx = Self { client: Some(client), state: State::Good };
        tx.batch_execute(sql).await?;
        Ok(tx)
    }

    /// Commits, and gives the connection back.
    ///
    /// # Errors
    /// [`TxError::Spoilt`] and [`TxError::Statement`]: certainly not committed.
    /// [`TxError::CommitUnknown`]: nobody knows.
    pub async fn commit(mut self) -> Result<(), TxError> {
        // The server answers COMMIT in a failed transaction with a silent ROLLBACK.
        if self.state == State::Spoilt {
            let _ = self.end("ROLLBACK").await;
            return Err(TxError::Spoilt);
        }
        self.end("COMMIT").await.map_err(|error| match refusal(&error) {
            Some(refused) => TxError::Statement(Box::new(refused)),
            None => TxError::CommitUnknown(Arc::new(error)),
        })
    }

    /// Takes everything back, and gives the connection back.
    ///
    /// # Errors
    /// [`TxError::Lost`] when the connection broke; the server then rolls back by itself.
    pub async fn rollback(mut self) -> Result<(), TxError> {
        self.end("ROLLBACK").await.map_err(classify)
    }

    async fn end(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let Some(client) = self.client.as_ref() else { return Ok(()) };
        client.batch_execute(sql).await?;
        // Only a transaction that ended gives its connection back to the pool.
        drop(self.client.take());
        Ok(())
    }

    /// Rows of a statement. Every column must be of a built-in type.
    ///
    /// # Errors
    /// [`TxError::Statement`] when it is refused, [`TxError::Lost`] when the connection broke.
    pub async fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, TxError> {
        let client = self.start()?;
        let result = client.query_typed(sql, params).await;
        self.finish(result)
    }

    /// Runs a statement and counts the rows it touched.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, TxError> {
        let client = self.start()?;
        let result = client.execute_typed(sql, params).await;
        self.finish(result)
    }

    /// Runs statements without values, all in one message.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn batch_execute(&mut self, sql: &str) -> Result<(), TxError> {
        let client = self.start()?;
        let result = client.batch_execute(sql).await;
        self.finish(result)
    }

    /// Rows of a statement one after another, without holding them.
    ///
    /// # Errors
    /// As [`Tx::query`], also for each row.
    pub async fn stream<'a>(
        &'a mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Row, TxError>> + Send + 'a>>, TxError> {
        let client = self.start()?;
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.to_vec();
        match client.query_typed_raw(sql, params).await {
            // The transaction stays spoilt until the last row is in: a stream left half read is no success.
            Ok(rows) => {
                let state = &mut self.state;
                let mut rows = Box::pin(rows);
                Ok(Box::pin(futures_util::stream::poll_fn(move |context| {
                    let next = rows.poll_next_unpin(context);
                    if matches!(next, std::task::Poll::Ready(None)) {
                        *state = State::Good;
                    }
                    next.map_err(classify)
                })))
            }
            Err(error) => self.finish(Err(error)),
        }
    }

    /// Sets a savepoint. Names are the caller's, and are never taken from outside.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn savepoint(&mut self, name: &'static str) -> Result<(), TxError> {
        self.batch_execute(&format!("SAVEPOINT {name}")).await
    }

    /// Forgets a savepoint and keeps what was done since.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn release(&mut self, name: &'static str) -> Result<(), TxError> {
        self.batch_execute(&format!("RELEASE SAVEPOINT {name}")).await
    }

    /// Takes back what was done since a savepoint, and forgets it: the transaction is good again.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn rollback_to(&mut self, name: &'static str) -> Result<(), TxError> {
        let Some(client) = self.client.as_ref() else { return Err(TxError::Spoilt) };
        let sql = format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}");
        let result = client.batch_execute(&sql).await;
        self.finish(result)
    }

    /// From here on the transaction counts as spoilt until [`Tx::finish`]: a caller who stops waiting for a
    /// statement must not commit what he never saw succeed.
    fn start(&mut self) -> Result<&Object, TxError> {
        if self.state == State::Spoilt {
            return Err(TxError::Spoilt);
        }
        self.state = State::Spoilt;
        self.client.as_ref().ok_or(TxError::Spoilt)
    }

    fn finish<T>(&mut self, result: Result<T, tokio_postgres::Error>) -> Result<T, TxError> {
        if result.is_ok() {
            self.state = State::Good;
        }
        result.map_err(classify)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

impl TxError {
    /// What the server refused, when it was the server.
    #[must_use]
    pub fn refused(&self) -> Option<&SqlError> {
        match self {
            Self::Statement(refused) => Some(refused),
            Self::Connection(_) | Self::Lost(_) | Self::CommitUnknown(_) | Self::Spoilt => None,
        }
    }

    /// Whether the same work may succeed a little later: a lost connection, a lock, a full server.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Lost(_) => true,
            Self::Statement(refused) => refused.may_pass(),
            Self::CommitUnknown(_) | Self::Spoilt => false,
        }
    }
}

impl SqlError {
    /// The server's sentence, where its kind of error quotes no values.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(super) fn of(error: &DbError) -> Self {
        let code = error.code().code();
        // Classes whose sentences are about statements and servers. Any other may quote a cell.
        let quotes_nothing =
            ["08", "0A", "25", "26", "28", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class));
        Self {
            code: code.to_owned(),
            constraint: error.constraint().map(str::to_owned),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            routine: error.routine().map(str::to_owned),
            message: quotes_nothing.then(|| error.message().to_owned()),
        }
    }

    /// Whether the same statement may succeed a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let passing = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
        ];
        passing.iter().any(|state| state.code() == self.code)
            || ["08", "53", "57", "58"].iter().any(|class| self.code.starts_with(class))
    }
}

impl std::error::Error for SqlError {}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Postgres refused a statement with SQLSTATE {}", self.code)?;
        match (&self.constraint, &self.column, &self.message) {
            (Some(constraint), _, _) => write!(f, " (constraint {constraint})"),
            (None, Some(column), _) => write!(f, " (column {column})"),
            (None, None, Some(message)) => write!(f, ": {message}"),
            (None, None, None) => Ok(()),
        }
    }
}

/// The server's refusal, when the server went on living after it.
fn refusal(error: &tokio_postgres::Error) -> Option<SqlError> {
    let said = error.as_db_error()?;
    let fatal = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    // Class 08 and 57P come from a server or pooler that ends the connection.
    let code = said.code().code();
    (!fatal && !code.starts_with("08") && !code.starts_with("57P")).then(|| SqlError::of(said))
}

fn classify(error: tokio_postgres::Error) -> TxError {
    match refusal(&error) {
        Some(refused) => TxError::Statement(Box::new(refused)),
        None => TxError::Lost(Arc::new(error)),
    }
}
