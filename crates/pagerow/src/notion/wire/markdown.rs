//! A page's body as Markdown.

use serde::Deserialize;

use super::list::WhereItBroke;

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
    pub fn decode(json: &[u8]) -> Result<Self, WhereItBroke> {
        serde_json::from_slice(json).map_err(|error| WhereItBroke::new(&error))
    }

    /// Whether `markdown` is the whole body.
    pub fn is_whole(&self) -> bool {
        !self.truncated && self.unknown_block_ids.is_empty()
    }
}
