//! Which of the two sides is meant, and a value for each of them.

use serde::{Deserialize, Serialize};

/// One of the two places that are kept equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The table.
    Postgres,
    /// The data source.
    Notion,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Postgres => Self::Notion,
            Self::Notion => Self::Postgres,
        }
    }

    /// The word for logs, JSON and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Notion => "notion",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Postgres => "Postgres",
            Self::Notion => "Notion",
        })
    }
}

/// One value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    pub postgres: T,
    pub notion: T,
}

impl<T> Sides<T> {
    /// The value of one side.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Postgres => &self.postgres,
            Side::Notion => &self.notion,
        }
    }

    /// The value of one side, to change it.
    pub fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Postgres => &mut self.postgres,
            Side::Notion => &mut self.notion,
        }
    }
}
