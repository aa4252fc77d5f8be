//! Whether the emulator keeps Notion's rules, asked over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod control;
mod house;
mod queries;
mod relations;
mod requests;
mod rows;
mod schemas;
mod trash;
mod webhooks;
