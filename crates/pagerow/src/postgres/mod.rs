//! The user's Postgres: connections, errors, and one mapping's rows. Start at [`connect`], then [`rows`].

pub mod connect;
pub mod connection_string;
mod convert;
mod delta;
mod edit;
pub mod error;
mod json_text;
mod moment;
mod note;
mod read;
mod refusal;
pub mod rows;
pub mod session;
mod statement;
pub mod table;
mod tls;
pub mod transaction;
mod write;

pub use connect::Database;
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use error::{Outcome, PostgresError};
pub use session::{Parameter, Session, Statements, Transaction};
