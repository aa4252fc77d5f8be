//! What pagerow remembers, in its own schema of the user's database, so that writes, bases and history commit
//! together.

mod attention;
mod audit;
mod choices;
mod cursors;
mod error;
mod history;
mod identity;
mod lease;
mod links;
mod migrate;
mod names;
mod operations;
mod outbox;
mod questions;
mod remove;
mod runs;

pub use attention::{Answered, Attention, Closing, Due, Entry, OpenConflict, ParkedRecord, Trouble};
pub use audit::{Audit, AuditRow, AuditVerdict};
pub use choices::{Choice, Choices, Said};
pub use cursors::{Cursors, MappingState};
pub use error::StoreError;
pub use history::{DoneStep, History, PastRun, PastStep, RunFilter, RunRow, StepRow};
pub use identity::{Identities, OwnWrite, Remembered, Tallies, Whereabouts};
pub use lease::{Lease, Leases};
pub use links::{CompactLink, LinkWrite, Links};
pub use names::{Names, Renaming};
pub use operations::{FORM, Operation, Operations, Retrieval, Staged};
pub use questions::{Question, Questions};
pub use remove::Belongings;
pub use runs::{JournalEntry, OpenStep, Runs, StepUpdate, action_name};

use deadpool_postgres::Pool;
use tokio_postgres::types::Type;

use crate::postgres::transaction::Tx;

/// What the engine needs of its memory: [`PgStore`] keeps it in the user's database, a test may model it.
pub trait Store:
    Links
    + Runs
    + History
    + Audit
    + Attention
    + Choices
    + Cursors
    + Leases
    + Identities
    + Questions
    + Staged
    + Tallies
{
}

impl<S> Store for S where
    S: Links
        + Runs
        + History
        + Audit
        + Attention
        + Choices
        + Cursors
        + Leases
        + Identities
        + Questions
        + Staged
        + Tallies
{
}

/// Everything that is written together is written in one transaction.
pub trait Transactions: Send + Sync {
    type Tx: Transaction;

    /// Begins a transaction in which rows, bases and history are written together.
    ///
    /// # Errors
    /// When no connection can be had.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;
}

/// An open transaction; dropped without a commit, it leaves nothing behind.
pub trait Transaction: Send {
    /// Makes it last, all of it or nothing.
    ///
    /// # Errors
    /// When it did not take place, or when nobody knows whether it did.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// pagerow's own tables, for one connection. Cheap to clone.
#[derive(Clone)]
pub struct PgStore {
    pool: Pool,
    /// The schema's name, quoted.
    schema: String,
    connection: i64,
}

impl PgStore {
    /// Opens the tables, making or migrating them first. `connection` is the name of the Notion connection.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the role may not make the schema, [`StoreError::TooNew`] when a newer pagerow
    /// made it, and what the database says.
    pub async fn open(pool: &Pool, schema: &str, connection: &str) -> Result<Self, StoreError> {
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        migrate::migrate(pool, &quoted).await?;
        let mut tx = Tx::begin(pool).await?;
        tx.execute(
            &format!("insert into {quoted}.connections (name) values ($1) on conflict (name) do nothing"),
            &[(&connection, Type::TEXT)],
        )
        .await?;
        let rows = tx
            .query(
                &format!("select id from {quoted}.connections where name = $1"),
                &[(&connection, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let id = rows.first().map(|row| row.get(0)).ok_or(StoreError::Lost("the connection's row"))?;
        Ok(Self { pool: pool.clone(), schema: quoted, connection: id })
    }

    /// Whether the tables are there, without making them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn exists(pool: &Pool, schema: &str) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(pool).await?;
        let rows = tx
            .query("select to_regclass(format('%I.links', $1)) is not null", &[(&schema, Type::TEXT)])
            .await?;
        tx.commit().await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// The pool, for those who read the user's tables.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Transactions for PgStore {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx::begin(&self.pool).await?)
    }
}

impl Transaction for Tx {
    async fn commit(self) -> Result<(), StoreError> {
        Ok(Self::commit(self).await?)
    }
}
