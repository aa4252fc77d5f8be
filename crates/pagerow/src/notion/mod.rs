//! The user's Notion workspace: its API as typed calls, paced, and its answers as types.

pub mod pacing;
pub mod source;
pub mod wire;
