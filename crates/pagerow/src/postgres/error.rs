//! What went wrong with Postgres, in words that a person understands, and what can be done about it.
//!
//! Postgres puts cell contents into some of its messages and into every DETAIL. So a server's error is never kept
//! as a `source`: its parts that cannot hold contents are copied, the rest is dropped here.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use super::connection_string::ConnectionStringError;
use super::transaction::SqlError;

/// Every way in which work with Postgres can fail. [`PostgresError::advice`] says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),

    #[error("no Postgres server answers at {address} ({reason})")]
    NoServer { address: String, reason: String },

    #[error("the Postgres server at {address} takes no connections at the moment ({message})")]
    Unavailable { address: String, message: String },

    #[error("the Postgres server at {address} refuses the role or its password ({message})")]
    WrongPassword { address: String, message: String },

    #[error("the Postgres server at {address} has no such database ({message})")]
    DatabaseMissing { address: String, message: String },

    #[error("the Postgres server at {address} does not let this client in ({message})")]
    NotAdmitted { address: String, message: String },

    #[error("the Postgres server at {address} offers no encrypted connections")]
    NoTls { address: String },

    #[error("the certificate of the Postgres server at {address} is not trusted: {reason}")]
    Certificate { address: String, reason: String },

    #[error("no encrypted connection to the Postgres server at {address} came about: {reason}")]
    Tls { address: String, reason: String },

    #[error("the database is read only; it is probably a replica of the one that takes writes ({message})")]
    ReadOnly { message: String },

    #[error("rights are missing: {message}")]
    MissingRights { message: String },

    #[error("the database has no such object: {message}")]
    Missing { sqlstate: String, message: String },

    #[error("a statement was cancelled before its end (by statement_timeout, or by somebody)")]
    StatementTimeout,

    #[error("a lock that somebody else holds did not become free in time")]
    LockTimeout,

    #[error("the transaction collided with another one (SQLSTATE {sqlstate}) and was rolled back")]
    Collision { sqlstate: String },

    #[error("{0}")]
    Constraint(Box<Constraint>),

    #[error("a value does not suit its column (SQLSTATE {sqlstate}{})", in_column(column.as_deref()))]
    Value { sqlstate: String, column: Option<String> },

    #[error("the database server has run out of space or memory (SQLSTATE {sqlstate}: {message})")]
    Full { sqlstate: String, message: String },

    #[error("the connection to the Postgres server at {address} was lost{}", doubt(*outcome))]
    ConnectionLost { address: String, outcome: Outcome },

    #[error("no connection of the pool became free within {} s", waited.as_secs())]
    PoolExhausted { waited: Duration },

    #[error("the connection pool is closed")]
    PoolClosed,

    #[error("notifications do not come through at {address}")]
    NotificationsLost { address: String },

    /// Anything else that the server says. The message is left out where it may hold cell contents.
    #[error("Postgres answered with SQLSTATE {sqlstate}{}", message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Server { sqlstate: String, message: Option<String> },

    /// An answer that pagerow cannot read, or a parameter that it cannot send.
    #[error("the Postgres protocol was not kept: {0}")]
    Protocol(String),
}

/// A rule of a table that a row broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    pub kind: ConstraintKind,
    pub sqlstate: String,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

/// Which kind of rule it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    NotNull,
    ForeignKey,
    Unique,
    Check,
    Exclusion,
    Other,
}

/// What is known about the effect of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of it happened.
    NotApplied,
    /// It may have happened: look before doing it again.
    Unknown,
}

impl PostgresError {
    /// Whether the same call may succeed later without anybody mending anything. A lost connection counts: begin
    /// the transaction anew, after looking when [`PostgresError::outcome`] is unknown.
    pub fn retryable(&self) -> bool {
        match self {
            Self::NoServer { .. }
            | Self::Unavailable { .. }
            | Self::StatementTimeout
            | Self::LockTimeout
            | Self::Collision { .. }
            | Self::Full { .. }
            | Self::ConnectionLost { .. }
            | Self::PoolExhausted { .. } => true,
            Self::ConnectionString(_)
            | Self::WrongPassword { .. }
            | Self::DatabaseMissing { .. }
            | Self::NotAdmitted { .. }
            | Self::NoTls { .. }
            | Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::ReadOnly { .. }
            | Self::MissingRights { .. }
            | Self::Missing { .. }
            | Self::Constraint(_)
            | Self::Value { .. }
            | Self::PoolClosed
            | Self::NotificationsLost { .. }
            | Self::Server { .. }
            | Self::Protocol(_) => false,
        }
    }

    /// Whether the failed call may have had its effect all the same.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::ConnectionLost { outcome, .. } => *outcome,
            _ => Outcome::NotApplied,
        }
    }

    /// The error's code, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Missing { sqlstate, .. }
            | Self::Collision { sqlstate }
            | Self::Value { sqlstate, .. }
            | Self::Full { sqlstate, .. }
            | Self::Server { sqlstate, .. } => Some(sqlstate),
            Self::Constraint(broken) => Some(&broken.sqlstate),
            Self::ReadOnly { .. } => Some("25006"),
            Self::MissingRights { .. } => Some("42501"),
            Self::StatementTimeout => Some("57014"),
            Self::LockTimeout => Some("55P03"),
            _ => None,
        }
    }

    /// What a person can do, in a sentence.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::ConnectionString(_) => {
                "Copy the connection string once more from where the database is administered."
            }
            Self::NoServer { .. } => {
                "Check host and port, that the server is running, and that no firewall or network restriction is in between. Some hosts answer on IPv6 only; their pooler's address answers on IPv4."
            }
            Self::Unavailable { .. } => {
                "Try again in a moment; when it stays so, close other connections or lower connection_limit."
            }
            Self::WrongPassword { .. } => {
                "Check role and password. Characters such as @ : / ? # % in a password have to be percent-encoded. A pooler often wants the role written as ROLE.PROJECT."
            }
            Self::DatabaseMissing { .. } => "Check the name after the last / of the connection string.",
            Self::NotAdmitted { .. } => {
                "Allow this client in the server's pg_hba.conf or network restrictions, or use sslmode=require when it asks for encryption."
            }
            Self::NoTls { .. } => {
                "Switch encryption on at the server, or write sslmode=disable when the network between is private."
            }
            Self::Certificate { .. } => {
                "Give the provider's root certificate with sslrootcert=FILE (hosted databases offer it in their settings). sslmode=verify-ca does not compare the host name; sslmode=require checks nothing."
            }
            Self::Tls { .. } => "Check that host and port belong to a Postgres server or its pooler.",
            Self::ReadOnly { .. } => "Use the connection string of the primary server.",
            Self::MissingRights { .. } => {
                "Let the owner GRANT the rights to this role, or connect as the owner."
            }
            Self::Missing { .. } => "Check the name, its schema and its spelling in upper and lower case.",
            Self::StatementTimeout => "Raise statement_timeout for this role, or add an index.",
            Self::LockTimeout | Self::Collision { .. } => "It is tried again by itself.",
            Self::Full { .. } => "Free space on the database server, or enlarge its disk.",
            Self::ConnectionLost { .. } => "It is tried again by itself, after looking at what happened.",
            Self::PoolExhausted { .. } => "Raise connection_limit, or run less at once.",
            Self::NotificationsLost { .. } => {
                "Give a direct connection as listen_url; a pooler in transaction mode cannot deliver notifications. Without it, changes are found by polling."
            }
            Self::Constraint(_) | Self::Value { .. } => "Correct the value on one of the sides, then retry.",
            Self::PoolClosed | Self::Server { .. } | Self::Protocol(_) => return None,
        })
    }

    /// Reads what the driver says. `outcome` is what a lost connection would mean for the call that failed.
    pub(super) fn understand(error: &tokio_postgres::Error, address: &str, outcome: Outcome) -> Self {
        if let Some(refusal) = error.as_db_error() {
            // Poolers answer so for a role or project that they do not know.
            if refusal.message().starts_with("Tenant or user not found") {
                let message = refusal.message().to_owned();
                return Self::WrongPassword { address: address.to_owned(), message };
            }
            return Self::refused(&SqlError::of(refusal), address, outcome);
        }
        if let Some(reason) = certificate_reason(error) {
            return Self::Certificate { address: address.to_owned(), reason };
        }
        let (what, cause) = (error.to_string(), innermost(error));
        let address = address.to_owned();
        match what.as_str() {
            "error connecting to server" if cause == "database does not allow writes" => {
                Self::ReadOnly { message: format!("{address} refuses writes") }
            }
            "error connecting to server" | "timeout waiting for server" => {
                Self::NoServer { address, reason: cause }
            }
            "error performing TLS handshake" if cause == "server does not support TLS" => {
                Self::NoTls { address }
            }
            "error performing TLS handshake" => Self::Tls { address, reason: cause },
            "authentication error" | "invalid configuration" => {
                Self::WrongPassword { address, message: cause }
            }
            "connection closed" | "error communicating with the server" => {
                Self::ConnectionLost { address, outcome }
            }
            // The cause of the others may quote a value.
            _ => Self::Protocol(what),
        }
    }

    /// Reads what the server says.
    pub(super) fn refused(refusal: &SqlError, address: &str, outcome: Outcome) -> Self {
        let sqlstate = refusal.code.clone();
        let address = address.to_owned();
        // Kinds whose text may quote a cell come without one.
        let message = refusal.message().unwrap_or_default().to_owned();
        match sqlstate.as_str() {
            "28P01" => Self::WrongPassword { address, message },
            "28000" if message.contains("does not exist") => Self::WrongPassword { address, message },
            "28000" => Self::NotAdmitted { address, message },
            "3D000" => Self::DatabaseMissing { address, message },
            "53300" | "57P03" => Self::Unavailable { address, message },
            "57P01" | "57P02" | "57P05" | "25P03" => Self::ConnectionLost { address, outcome },
            "25006" => Self::ReadOnly { message },
            "42501" => Self::MissingRights { message },
            "42P01" | "42703" | "3F000" | "42883" | "42704" => Self::Missing { sqlstate, message },
            "57014" => Self::StatementTimeout,
            "55P03" => Self::LockTimeout,
            "40001" | "40P01" => Self::Collision { sqlstate },
            "53100" | "53200" | "53000" | "58030" => Self::Full { sqlstate, message },
            _ => match sqlstate.get(..2) {
                Some("23") => Self::Constraint(Box::new(Constraint::of(refusal))),
                Some("22") => Self::Value { sqlstate, column: refusal.column.clone() },
                Some("08") => Self::Unavailable { address, message },
                _ => Self::Server { sqlstate, message: refusal.message().map(str::to_owned) },
            },
        }
    }
}

impl Constraint {
    fn of(refusal: &SqlError) -> Self {
        let kind = match refusal.code.as_str() {
            "23502" => ConstraintKind::NotNull,
            "23503" | "23001" => ConstraintKind::ForeignKey,
            "23505" => ConstraintKind::Unique,
            "23514" => ConstraintKind::Check,
            "23P01" => ConstraintKind::Exclusion,
            _ => ConstraintKind::Other,
        };
        Self {
            kind,
            sqlstate: refusal.code.clone(),
            table: refusal.table.clone(),
            column: refusal.column.clone(),
            constraint: refusal.constraint.clone(),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            ConstraintKind::NotNull => "a required column has no value",
            ConstraintKind::ForeignKey => "a row refers to one that is not there, or is referred to",
            ConstraintKind::Unique => "a value that has to be unique is there already",
            ConstraintKind::Check => "a row breaks a rule of its table",
            ConstraintKind::Exclusion => "a row collides with another one",
            ConstraintKind::Other => "a row breaks a constraint",
        })?;
        write!(formatter, " (SQLSTATE {}", self.sqlstate)?;
        if let Some(constraint) = &self.constraint {
            write!(formatter, ", constraint {constraint}")?;
        }
        if let Some(table) = &self.table {
            write!(formatter, ", table {table}")?;
        }
        if let Some(column) = &self.column {
            write!(formatter, ", column {column}")?;
        }
        formatter.write_str(")")
    }
}

fn in_column(column: Option<&str>) -> String {
    column.map(|name| format!(", column {name}")).unwrap_or_default()
}

fn doubt(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotApplied => "; nothing of the transaction happened",
        Outcome::Unknown => "; whether its last work happened is not known",
    }
}

/// The last error of a chain says what really happened.
fn innermost(error: &tokio_postgres::Error) -> String {
    let Some(mut cause) = error.source() else { return error.to_string() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn certificate_reason(error: &tokio_postgres::Error) -> Option<String> {
    let io = error.source()?.downcast_ref::<std::io::Error>()?;
    let tls = io.get_ref()?.downcast_ref::<rustls::Error>()?;
    match tls {
        rustls::Error::InvalidCertificate(certificate) => Some(match certificate {
            // A bad signature: somebody of the same name as the authority issued it.
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature => {
                "it was not issued by an authority that is known here".to_owned()
            }
            other => other.to_string(),
        }),
        rustls::Error::General(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_constraint_is_named_without_contents() {
        let broken = Constraint {
            kind: ConstraintKind::Unique,
            sqlstate: "23505".to_owned(),
            table: Some("users".to_owned()),
            column: None,
            constraint: Some("users_email_key".to_owned()),
        };
        assert_eq!(
            PostgresError::Constraint(Box::new(broken)).to_string(),
            "a value that has to be unique is there already (SQLSTATE 23505, constraint users_email_key, table users)"
        );
    }

    #[test]
    fn only_a_lost_connection_leaves_doubt() {
        let lost = PostgresError::ConnectionLost { address: "db:5432".to_owned(), outcome: Outcome::Unknown };
        assert_eq!((lost.retryable(), lost.outcome()), (true, Outcome::Unknown));
        assert_eq!(PostgresError::LockTimeout.outcome(), Outcome::NotApplied);
        assert!(!PostgresError::ReadOnly { message: String::new() }.retryable());
    }
}
