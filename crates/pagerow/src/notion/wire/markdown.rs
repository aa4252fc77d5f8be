//! A page's body as Markdown.

use serde::Deserialize;

/// The body as Notion renders it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PageMarkdown {
    pub id: Option<String>,
    pub markdown: String,
    /// The body is longer than this answer: it must not be written back.
    #[serde(default)]
    pub truncated: bool,
    /// Blocks that are not in `markdown`.
    #[serde(default)]
    pub unknown_block_ids: Vec<String>,
}

impl PageMarkdown {
    /// Whether `markdown` is the whole body.
    pub fn is_whole(&self) -> bool {
        !self.truncated && self.unknown_block_ids.is_empty()
    }
}
