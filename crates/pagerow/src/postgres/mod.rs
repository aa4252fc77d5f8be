//! Postgres: connecting, reading what is there, and one mapping's rows ([`rows`]).

mod convert;
mod delta;
mod edit;
mod json_text;
mod moment;
mod note;
mod read;
mod refusal;
pub mod rows;
mod statement;
pub mod table;
pub mod transaction;
mod write;
