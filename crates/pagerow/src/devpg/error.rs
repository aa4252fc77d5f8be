//! What can go wrong with a development server, each in a sentence that says what to do.

use std::path::PathBuf;

/// Why there is no development server.
#[derive(Debug, thiserror::Error)]
pub enum DevPostgresError {
    #[error(
        "no Postgres server programs were found or could be fetched ({}); {advice}",
        tried.join("; ")
    )]
    NotFound { tried: Vec<String>, advice: String },

    #[error(
        "{0} cannot be reached by the user `nobody`, as whom the server has to run when pagerow runs as root; choose a folder outside root's home, such as /var/lib/pagerow"
    )]
    Unreachable(PathBuf),

    #[error(
        "{folder} was made by Postgres {made_by}, but the server programs found here are of version {found}; install Postgres {made_by} or point PG_BIN at its programs, or remove the folder to begin anew"
    )]
    OtherVersion { folder: PathBuf, made_by: u32, found: String },

    #[error(
        "another Postgres server{} is using {folder}; stop it or choose another folder",
        process.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { folder: PathBuf, process: Option<u32> },

    #[error("`initdb` could not prepare {folder}: {output}")]
    Initdb { folder: PathBuf, output: String },

    #[error("the Postgres server did not start ({reason}); the end of its log {log}: {tail}")]
    NotStarted { reason: String, log: PathBuf, tail: String },

    #[error(
        "the Postgres server did not stop within {seconds} s and was killed; its next start repairs its data"
    )]
    NotStopped { seconds: u64 },

    #[error("the Postgres server answered with an error {sqlstate}: {message}")]
    Sql { sqlstate: String, message: String },

    #[error("the Postgres server cannot be talked to: {0}")]
    Connection(String),

    #[error("{what} failed: {source}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },

    #[error("the start of the Postgres server was interrupted: {0}")]
    Interrupted(String),
}

impl From<tokio_postgres::Error> for DevPostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Self::Sql {
                sqlstate: refusal.code().code().to_owned(),
                message: refusal.message().to_owned(),
            },
            None => Self::Connection(error.to_string()),
        }
    }
}

/// Adds what was being done to an operating system's error.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, DevPostgresError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, DevPostgresError> {
        self.map_err(|source| DevPostgresError::Io { what: what(), source })
    }
}
