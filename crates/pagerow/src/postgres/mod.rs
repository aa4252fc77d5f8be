//! The user's Postgres: connections, catalogue, errors. Start at [`connect`], then [`catalogue`].

pub mod catalogue;
pub mod connect;
pub mod connection_string;
pub mod error;
pub mod facts;
pub mod listen;
pub mod session;
pub mod table;
mod tls;
pub mod transaction;

pub use catalogue::Catalogue;
pub use connect::Database;
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use error::{Outcome, PostgresError};
pub use facts::ServerFacts;
pub use listen::Listener;
pub use session::{Parameter, Session, Statements, Transaction};
