//! Keeps Postgres tables and Notion databases equal, in both directions.

pub mod clock;
pub mod devpg;
pub mod notion;
pub mod postgres;
pub mod replica;
pub mod store;
