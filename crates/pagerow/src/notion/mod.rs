//! The user's Notion workspace: its API as typed calls, paced, and its answers as types.
//!
//! `client` has one method per endpoint; all of them go through `connection`, which waits for `pacing`, judges
//! answers with `refusal` and repeats only what cannot do harm; under it lies `transport`. `error` says what became of a write, `wire` is
//! Notion's JSON. On top of them, `convert` turns property values into the core's and back, and `pages` is one
//! mapping's data source as the engine sees it.

pub mod client;
pub mod connection;
pub mod convert;
pub mod error;
mod locate;
pub mod pacing;
pub mod pages;
pub mod query;
mod refusal;
pub mod source;
pub mod transport;
pub mod wire;

pub use client::NotionClient;
pub use connection::{Address, Answer, NOTION_VERSION, Patience};
pub use error::{Fate, NotionError};
pub use locate::notion_id;
pub use pacing::{Limits, Pacing, Urgency};
pub use pages::{NotionPages, PagesError};
pub use query::{Direction, Query, Sort};
