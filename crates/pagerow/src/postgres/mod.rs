//! The user's Postgres: connections, catalogue, and one mapping's rows. Start at [`connect`], then [`catalogue`],
//! then [`rows`].

pub mod capture;
pub mod catalogue;
pub mod connect;
pub mod connection_string;
mod convert;
mod delta;
mod edit;
pub mod error;
pub mod facts;
mod json_text;
pub mod listen;
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
mod whole;
mod write;

pub use catalogue::Catalogue;
pub use connect::Database;
pub use connection_string::{ConnectionString, ConnectionStringError};
pub use error::{Outcome, PostgresError};
pub use facts::ServerFacts;
pub use listen::Listener;
pub use session::Session;
