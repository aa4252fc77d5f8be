//! What a side showed us of a record: present, absent with proof, or unreadable.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
};

/// One look at one record on one side.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Nothing says that it differs from its base: a look found it equal, or a complete question for changes
    /// did not name it.
    Unchanged,
    Present(Sighting),
    /// Not there, and that was proven.
    Absent(Absence),
    /// It could not be read, or only in part: this stops a record and never deletes one. Holds a reason for people.
    Unreadable(String),
}

/// A record as a side showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    pub record: Record,
    /// Content and marker, in short.
    pub digest: Digest,
    /// When it was last edited, by the side's own clock. Notion cuts to the minute.
    pub edited: Option<Timestamp>,
    /// Who made that edit, by the side's own id, where it says so.
    pub editor: Option<String>,
    /// Who edited it last, by name where the side shows one, else by the side's own id.
    pub by: Option<String>,
    /// The name of the other half that this half carries: a page's key property, a row's page id column.
    pub marker: Option<String>,
    /// The checksum that this half carries from an earlier sync, if the mapping keeps one.
    pub checksum: Option<String>,
}

/// Why a record is not there. Only the first two are a person's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// A complete read of the table did not have it.
    Deleted,
    /// In the trash, or marked as deleted by the table's own column.
    Trashed,
    /// Put in Notion's archive.
    Archived,
    /// Under another parent now.
    Moved,
    /// Gone for good or not shared any more: the two cannot be told apart.
    Unreachable,
    /// The row is there but no longer meets the mapping's condition.
    OutOfScope,
}

/// By what a mapping's table would be known again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// The catalogue's number.
    pub oid: u32,
    /// As people name it.
    pub name: String,
    /// Which files hold it: `TRUNCATE` gives it others, and so do some kinds of maintenance.
    pub files: String,
    /// Row level security binds our role: a row that is not seen need not be gone.
    pub hides_rows: bool,
}

/// What we remember of one row with one page.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The store's number for it.
    pub id: i64,
    pub key: RowKey,
    pub page: PageId,
    /// What we last settled with each side.
    pub base: Sides<Record>,
    /// The side whose half is away on purpose, after an undo: its absence is no deletion. An edit of the other half
    /// brings it back.
    pub apart: Option<Side>,
}

/// Everything that is known of one record: the planner's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub identity: Identity,
    pub seen: Sides<Observation>,
}

/// How far a record is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Identity {
    Linked(Link),
    /// The link of a record of which both halves were deleted, and at least one is back. Its bases are what was settled
    /// before.
    Buried(Link),
    /// A row and a page that were found to be one record, without a base.
    Adopted {
        key: RowKey,
        page: PageId,
    },
    Row(RowKey),
    Page(PageId),
}

impl Identity {
    /// The row's key, where there is a row.
    #[must_use]
    pub fn key(&self) -> Option<&RowKey> {
        match self {
            Self::Linked(link) | Self::Buried(link) => Some(&link.key),
            Self::Adopted { key, .. } | Self::Row(key) => Some(key),
            Self::Page(_) => None,
        }
    }

    /// The page's id, where there is a page.
    #[must_use]
    pub fn page(&self) -> Option<PageId> {
        match self {
            Self::Linked(link) | Self::Buried(link) => Some(link.page),
            Self::Adopted { page, .. } | Self::Page(page) => Some(*page),
            Self::Row(_) => None,
        }
    }

    /// The link's number in the store.
    #[must_use]
    pub fn link(&self) -> Option<i64> {
        match self {
            Self::Linked(link) | Self::Buried(link) => Some(link.id),
            Self::Adopted { .. } | Self::Row(_) | Self::Page(_) => None,
        }
    }
}
