//! What can go wrong with pagerow's own tables.

use crate::postgres::transaction::TxError;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("pagerow's own tables: {0}")]
    Database(#[from] TxError),
    #[error(
        "the role may not make the schema {schema}; grant it CREATE on the database, or make the schema and give it to the role"
    )]
    Refused { schema: String },
    #[error(
        "pagerow's tables are of version {found}, newer than this program knows ({known}); use a newer pagerow"
    )]
    TooNew { found: i32, known: i32 },
    #[error("migration {version} of pagerow's tables is not the one that this program would have made")]
    Altered { version: i32 },
    #[error("another pagerow works on this connection ({holder}, for {seconds} s at most); wait, or stop it")]
    Held {
        holder: String,
        seconds: i64,
        /// When it ends unless it is renewed; a later time is a sign of life.
        until: jiff::Timestamp,
    },
    #[error("this pagerow lost its lease to another one and has stopped writing")]
    Fenced,
    #[error("pagerow's own tables lost {0}")]
    Lost(&'static str),
    #[error("{what} in pagerow's own tables cannot be read: {source}")]
    Unreadable { what: &'static str, source: serde_json::Error },
}

impl StoreError {
    /// Whether the same may work a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => error.may_pass(),
            Self::Held { .. } => true,
            Self::Refused { .. }
            | Self::TooNew { .. }
            | Self::Altered { .. }
            | Self::Fenced
            | Self::Lost(_)
            | Self::Unreadable { .. } => false,
        }
    }
}
