//! Postgres: connecting, reading what is there.

pub mod table;
pub mod transaction;
