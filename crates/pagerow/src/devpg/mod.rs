//! Where does a Postgres come from on a machine that has none configured? From here: found, or fetched, started, stopped.
//!
//! The server is a *development* server: it listens on the loopback address only, asks for a random password, and
//! lives no longer than the process that started it, also when that process is killed with signal 9.

mod cluster;
mod error;
mod fetch;
mod find;
mod supervise;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::NoTls;

pub use error::DevPostgresError;

use cluster::Cluster;
use supervise::Supervised;

/// The superuser that every development server has.
const SUPERUSER: &str = "postgres";

/// How a server is wanted. `DevOptions::default()` is a throw-away server for tests.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// Where the server keeps its data, so that a later start finds it again. `None`: a temporary folder that goes
    /// when the server stops.
    pub folder: Option<PathBuf>,
    /// `true`: commits survive a power cut. `false`: faster, for data that nobody will miss.
    pub durable: bool,
    /// Additional server settings, as in `postgres -c name=value`.
    pub settings: Vec<(String, String)>,
    /// When given, the server offers TLS with this certificate.
    pub tls: Option<DevTls>,
    /// Is told, in a sentence, before each step that a person has to wait for.
    pub progress: fn(&str),
}

/// A server certificate with its key, both as PEM.
#[derive(Clone)]
pub struct DevTls {
    pub certificate: String,
    pub key: String,
}

impl std::fmt::Debug for DevTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DevTls").finish_non_exhaustive()
    }
}

impl Default for DevOptions {
    fn default() -> Self {
        Self { folder: None, durable: false, settings: Vec::new(), tls: None, progress: |_| () }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct DevPostgres {
    cluster: Cluster,
    supervised: Supervised,
    port: u16,
}

impl DevPostgres {
    /// Finds or fetches the programs, prepares the folder and starts the server; returns once it takes connections.
    ///
    /// # Errors
    /// Every error is a sentence that says what to do.
    pub async fn start(options: DevOptions) -> Result<Self, DevPostgresError> {
        tokio::task::spawn_blocking(move || Self::start_blocking(&options))
            .await
            .map_err(|error| DevPostgresError::Interrupted(error.to_string()))?
    }

    /// [`DevPostgres::start`] for callers without an async runtime. Takes about a second at the first start.
    ///
    /// # Errors
    /// As for [`DevPostgres::start`].
    pub fn start_blocking(options: &DevOptions) -> Result<Self, DevPostgresError> {
        let cluster = Cluster::prepare(options)?;
        let (supervised, port) = supervise::start(&cluster, options)?;
        Ok(Self { cluster, supervised, port })
    }

    /// The connection string of one of the server's databases, for programs on this machine. Holds the password.
    pub fn url(&self, database: &str) -> String {
        self.url_for(SUPERUSER, self.password(), database)
    }

    /// The connection string for another role than the superuser.
    pub fn url_for(&self, role: &str, password: &str, database: &str) -> String {
        let encode = |text: &str| {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
        };
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{}",
            encode(role),
            encode(password),
            self.port,
            encode(database)
        )
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        self.cluster.password()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket, unless its path would be too long for one.
    pub fn socket_folder(&self) -> Option<&Path> {
        self.cluster.socket_folder()
    }

    /// The folder of the server, a temporary one included: what else is put there goes with it.
    pub fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    /// Another program of the same installation (`psql`, `pg_dump`), if it is there.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.cluster.program(name)).filter(|program| program.is_file())
    }

    /// What is running, for a person: `PostgreSQL 15.18 from /usr/lib/postgresql/15/bin`.
    pub fn description(&self) -> String {
        self.cluster.description()
    }

    /// Creates an empty database; does nothing when it is there already.
    ///
    /// # Errors
    /// When the server refuses, with its words.
    pub async fn create_database(&self, name: &str) -> Result<(), DevPostgresError> {
        match self.administer(&format!("CREATE DATABASE {}", quoted(name))).await {
            Err(DevPostgresError::Sql { sqlstate, .. }) if sqlstate == "42P04" => Ok(()),
            other => other,
        }
    }

    /// Creates a database as a copy of another one, to which nobody may be connected. Takes about 15 ms.
    ///
    /// # Errors
    /// When the server refuses, with its words.
    pub async fn copy_database(&self, template: &str, name: &str) -> Result<(), DevPostgresError> {
        // Copying files is faster than copying through the log; servers before 15 know no other way and no option.
        let strategy = if self.cluster.major() >= 15 { " STRATEGY file_copy" } else { "" };
        self.administer(&format!("CREATE DATABASE {} TEMPLATE {}{strategy}", quoted(name), quoted(template)))
            .await
    }

    /// Drops a database and throws out whoever is connected to it.
    ///
    /// # Errors
    /// When the server refuses, with its words.
    pub async fn drop_database(&self, name: &str) -> Result<(), DevPostgresError> {
        self.administer(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))).await
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    ///
    /// # Errors
    /// When the server had to be killed, since it did not stop within 30 s.
    pub fn stop(mut self) -> Result<(), DevPostgresError> {
        self.supervised.stop(Duration::from_secs(30))
    }

    async fn administer(&self, statement: &str) -> Result<(), DevPostgresError> {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls).await?;
        let driver = tokio::spawn(connection);
        let outcome = client.batch_execute(statement).await;
        drop(client);
        // The connection ends by itself once its client is gone; an error of that ending changes nothing any more.
        drop(driver.await);
        Ok(outcome?)
    }
}

/// The folder for the data of a server that should be found again at the next start: `/var/lib/pagerow/NAME` for
/// root, whose server runs as another user and cannot look into root's home, else the user's own data folder.
///
/// # Errors
/// When the user has no home folder.
pub fn default_folder(name: &str) -> Result<PathBuf, DevPostgresError> {
    cluster::default_folder(name)
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_cannot_end_their_quotes() {
        assert_eq!(quoted("a\"; DROP DATABASE b; --"), "\"a\"\"; DROP DATABASE b; --\"");
    }
}
