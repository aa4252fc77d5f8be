//! How does pagerow get a connection? From a pool that notices dead ones and never waits for ever.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};

use super::connection_string::ConnectionString;
use super::error::{Outcome, PostgresError};
use super::session::Session;
use super::tls;
use super::transaction::TxError;

/// How many connections are kept open at most, unless the connection string says otherwise.
const POOL_SIZE: usize = 8;

/// How long to wait for a connection of the pool to become free, unless the connection string says otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// Longer than the time a single host gets, since a name may stand for several.
const CREATE: Duration = Duration::from_secs(30);

/// A connection that does not answer an empty query within this time is replaced.
const RECYCLE: Duration = Duration::from_secs(5);

/// A database, reached through a pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    address: Arc<str>,
    wait: Duration,
}

impl Database {
    /// Makes a pool and tries one connection, so that a wrong connection string is told at once.
    ///
    /// # Errors
    /// Everything that can be wrong with server, role, database or encryption, each as its own kind.
    pub async fn connect(target: &ConnectionString) -> Result<Self, PostgresError> {
        let database = Self::unconnected(target)?;
        database.session().await?;
        Ok(database)
    }

    /// Makes a pool that connects when it is first asked for a session.
    ///
    /// # Errors
    /// When certificates that the connection string asks for cannot be used.
    pub fn unconnected(target: &ConnectionString) -> Result<Self, PostgresError> {
        let connector = tls::connector(target)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = Manager::from_config(target.config.clone(), connector, recycling);
        let wait = target.pool_timeout.unwrap_or(WAIT);
        let pool = Pool::builder(manager)
            .max_size(target.pool_size.unwrap_or(POOL_SIZE))
            .timeouts(Timeouts { wait: Some(wait), create: Some(CREATE), recycle: Some(RECYCLE) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| PostgresError::Protocol(error.to_string()))?;
        Ok(Self { pool, address: target.address().into(), wait })
    }

    /// A connection of one's own, given back when it is dropped.
    ///
    /// # Errors
    /// As for [`Database::connect`]; and [`PostgresError::PoolExhausted`].
    pub async fn session(&self) -> Result<Session, PostgresError> {
        match self.pool.get().await {
            Ok(client) => Ok(Session::new(client, Arc::clone(&self.address))),
            Err(error) => Err(self.understand(&error)),
        }
    }

    /// The pool itself, for [`super::transaction::Tx`].
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Where the server is, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The most connections this pool opens.
    pub fn max_connections(&self) -> usize {
        self.pool.status().max_size
    }

    /// Closes the connections as they come back; nobody gets one any more.
    pub fn close(&self) {
        self.pool.close();
    }

    /// What a transaction's error means, with kind and advice.
    pub fn explain(&self, error: &TxError) -> PostgresError {
        match error {
            TxError::Connection(error) => self.understand(error),
            TxError::Statement(refusal) => {
                PostgresError::refused(refusal, &self.address, Outcome::NotApplied)
            }
            TxError::Lost(error) => PostgresError::understand(error, &self.address, Outcome::NotApplied),
            TxError::CommitUnknown(_) => {
                PostgresError::ConnectionLost { address: self.address.to_string(), outcome: Outcome::Unknown }
            }
            TxError::Spoilt => PostgresError::Protocol(error.to_string()),
        }
    }

    fn understand(&self, error: &PoolError) -> PostgresError {
        match error {
            // Nothing was asked of the server yet.
            PoolError::Backend(error) => PostgresError::understand(error, &self.address, Outcome::NotApplied),
            PoolError::Timeout(TimeoutType::Wait) => PostgresError::PoolExhausted { waited: self.wait },
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => PostgresError::NoServer {
                address: self.address.to_string(),
                reason: format!("no connection came about within {} s", CREATE.as_secs()),
            },
            PoolError::Closed => PostgresError::PoolClosed,
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                PostgresError::Protocol(error.to_string())
            }
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Database").field("address", &self.address).finish_non_exhaustive()
    }
}
