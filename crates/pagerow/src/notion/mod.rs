//! Notion: its client, its pages.

pub mod source;
