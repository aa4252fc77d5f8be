//! A first `pagerow.toml` from what is found in the database and the workspace, with the reasons for each choice.

mod choose;
mod text;

use std::{io::Write, path::Path};

use super::tables::TableInfo;
use crate::notion::wire::DataSource;

/// What the file says where it is not about tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// `env:DATABASE_URL`, or another reference that the configuration accepts.
    pub url: String,
    pub token: String,
    /// Under which page databases are made.
    pub parent_page: String,
    /// When it is not Notion's own address.
    pub base_url: Option<String>,
    /// Where pagerow keeps its own tables.
    pub own_schema: String,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            url: "env:DATABASE_URL".to_owned(),
            token: "env:NOTION_API_KEY".to_owned(),
            parent_page: "env:NOTION_PARENT_PAGE".to_owned(),
            base_url: None,
            own_schema: "pagerow".to_owned(),
        }
    }
}

/// A proposed configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The file.
    pub text: String,
    /// What was chosen and why, one sentence each, for the terminal.
    pub choices: Vec<String>,
    /// How many mappings it has.
    pub mappings: usize,
}

/// Proposes a configuration. `sources` are the data sources that the token sees; none without a token.
#[must_use]
pub fn propose(tables: &[TableInfo], sources: &[DataSource], surroundings: &Surroundings) -> Proposal {
    let chosen = choose::choose(tables, sources, &surroundings.own_schema);
    text::write(&chosen, surroundings)
}

/// Puts a proposal into a file; one that is there is only replaced when `force` says so.
///
/// # Errors
/// The file is there already ([`std::io::ErrorKind::AlreadyExists`]), or cannot be written.
pub fn write(proposal: &Proposal, path: &Path, force: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(path)?;
    file.write_all(proposal.text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
