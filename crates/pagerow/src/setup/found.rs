//! What was found on both sides for one configuration; the input of every decision in this folder.

use std::collections::BTreeMap;

use pagerow_core::value::Person;

use super::{capture::CaptureFound, drift::Memories, tables::TableInfo};
use crate::notion::wire::DataSource;

/// Both schemas.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All tables and views that the role can see, pagerow's own left out.
    pub tables: Vec<TableInfo>,
    /// The data source of each mapping, by the mapping's name.
    pub sources: BTreeMap<String, SourceFound>,
    pub people: People,
    /// What captures changed rows; `None` where nobody looked.
    pub capture: Option<CaptureFound>,
    /// What is worth knowing about how things were found.
    pub notes: Vec<Warning>,
    /// What the configuration's names meant when they were last bound, by mapping.
    pub remembered: Memories,
    /// What the database said against conditions and expressions, by the whole key of the setting.
    pub refused_sql: BTreeMap<String, String>,
}

/// What became of looking for one mapping's data source.
#[derive(Clone, Debug)]
pub enum SourceFound {
    Found(Box<DataSource>),
    /// `data_source = "create"`, and it was not made yet.
    NotMade,
    Problem(Problem),
}

/// Why something cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub message: String,
    pub advice: String,
}

/// The workspace's people, as far as the connection may see them.
#[derive(Clone, Debug, Default)]
pub struct People {
    pub known: Vec<Person>,
    pub sight: Sight,
}

/// How much of people the connection may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nobody asked, since no field needs it.
    #[default]
    NotAsked,
    Nothing,
    /// Names without e-mail addresses.
    Names,
    Addresses,
}

/// Something that works, and not as one might expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The whole key of the setting.
    pub key: String,
    pub message: String,
    pub advice: Option<String>,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
