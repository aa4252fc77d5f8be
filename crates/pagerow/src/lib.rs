//! Keeps Postgres tables and Notion databases equal, in both directions.

pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod devpg;
pub mod engine;
pub mod notion;
pub mod postgres;
pub mod replica;
pub mod setup;
pub mod store;
pub mod wiring;
