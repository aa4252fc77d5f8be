//! A simulation as data: the world it begins with, and everything that people and fate do to it. Any event can be left
//! out, which is how a failing one is made small.

use pagerow_core::mapping::{Flow, OnPageTrashed, OnRowDeleted, Policy};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// One simulation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// What everything that is left to chance follows from.
    pub(crate) seed: u64,
    pub(crate) world: WorldSpec,
    /// In order of time.
    pub(crate) events: Vec<Event>,
    /// When nothing happens any more, in milliseconds.
    pub(crate) quiet_at: u64,
}

/// What there is at the beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorldSpec {
    pub(crate) mappings: Vec<MappingSpec>,
    /// Rows of each table.
    pub(crate) rows: u64,
    /// Pages of each data source, made by people before there was a pagerow, each in another minute.
    #[serde(default)]
    pub(crate) pages: u64,
    /// Of these pages, so many carry the key of a row that is not there: an earlier pagerow made them, of which nothing is
    /// left but they.
    #[serde(default)]
    pub(crate) keyed_pages: u64,
    /// Longest time in milliseconds by which queries may be behind, and the shortest.
    pub(crate) lag: u64,
    #[serde(default)]
    pub(crate) lag_min: u64,
    /// Most pages that Notion lists for one query, in place of 10,000.
    pub(crate) cap: u64,
    /// Calls that Notion takes in a minute, where that is less than pagerow thinks.
    pub(crate) calls_a_minute: Option<u64>,
}

/// One table with one data source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MappingSpec {
    pub(crate) name: String,
    /// The first is the title.
    pub(crate) fields: Vec<FieldSpec>,
    /// The mapping that its foreign key names.
    pub(crate) refers: String,
    pub(crate) direction: Flow,
    pub(crate) on_conflict: Policy,
    pub(crate) on_row_deleted: OnRowDeleted,
    pub(crate) on_page_trashed: OnPageTrashed,
    pub(crate) soft_delete: bool,
    /// Numbers are unique in the table.
    pub(crate) unique: bool,
    /// A trigger writes notes in capitals.
    pub(crate) capitals: bool,
    /// New rows get a number.
    pub(crate) default: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FieldSpec {
    pub(crate) kind: Kind,
    pub(crate) flow: Flow,
}

/// Something that happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Milliseconds since the beginning.
    pub(crate) at: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A person or an application writes to a table.
    Row(RowDeed),
    /// A person writes to a data source.
    Page(PageDeed),
    /// The next calls to Notion meet this.
    Network { fault: NetworkFault, calls: u64 },
    /// The next statements meet this.
    Store { fault: StoreFault, times: u64 },
    /// The engine's process dies when it has been polled so many times more, and a new one starts some time later.
    Crash { polls: u64, down: u64 },
    /// The engine's process stands still for so many milliseconds.
    Freeze { span: u64 },
    /// Another engine works beside the first one for so long.
    SecondEngine { span: u64 },
    /// Clocks are set, by so many milliseconds against the truth.
    Clock { database: i64, machine: i64 },
    /// Notion cannot be reached for so long.
    Outage { span: u64 },
    /// The token is revoked for so long.
    Revoked { span: u64 },
    /// A page is not shared for so long.
    PageUnshared { table: u64, pick: u64, span: u64 },
    /// The database of a data source is not shared for so long.
    Unshared { table: u64, span: u64 },
    /// The database of a data source lies in the trash for so long.
    DatabaseTrashed { table: u64, span: u64 },
    /// Somebody asks for so many looks at everything.
    FullLooks { times: u64 },
    /// Somebody has something to say to pagerow, before its next sync.
    Says(Wish),
    /// All this happens when Notion has answered a call of this kind, after so many others of it, and the engine does not
    /// have the answer yet, which takes so many milliseconds more.
    Meanwhile { call: Call, after: u64, slow: u64, what: Vec<What> },
}

/// What a person says at the command line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    /// To one of the open questions.
    Answer { pick: u64, keeps: Keeps },
    /// Everything that is parked is to be tried again.
    Retry,
}

/// Which side's value an answer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keeps {
    Rows,
    Pages,
    /// A text is typed in anew.
    Neither,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// A question for many pages.
    List,
    /// A question for one page.
    Question,
    /// One that changes something.
    Write,
}

/// `pick` names one of those that are there, by its number modulo theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowDeed {
    Insert {
        table: u64,
        value: u64,
    },
    /// A row of which only the title is given.
    InsertBare {
        table: u64,
        value: u64,
    },
    /// In a transaction that stays open for so many milliseconds.
    Edit {
        table: u64,
        pick: u64,
        cell: Cell,
        open: u64,
    },
    Delete {
        table: u64,
        pick: u64,
    },
    /// A row comes back under the key it had.
    Reinsert {
        table: u64,
        pick: u64,
        value: u64,
    },
    /// A row is marked as deleted, or the mark is taken away, where the table has one.
    Mark {
        table: u64,
        pick: u64,
    },
    Truncate {
        table: u64,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PageDeed {
    Create {
        table: u64,
        value: u64,
    },
    /// By a person, or by a program with pagerow's own token.
    Edit {
        table: u64,
        pick: u64,
        cell: Cell,
        as_bot: bool,
        #[serde(default)]
        whose: Whose,
    },
    Trash {
        table: u64,
        pick: u64,
        #[serde(default)]
        whose: Whose,
    },
    Restore {
        table: u64,
        pick: u64,
    },
    Duplicate {
        table: u64,
        pick: u64,
        #[serde(default)]
        whose: Whose,
    },
}

/// Which pages `pick` picks from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    #[default]
    Anybodys,
    /// Those of the row that it picks.
    TheRows,
    /// Those that people made by copying others.
    Copies,
}

/// Which cell of a record becomes what.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) field: u64,
    pub(crate) how: How,
    pub(crate) value: u64,
}

/// What becomes of a cell.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// A text gets one word more; anything else another value.
    Add,
    /// A text is written anew.
    Replace,
    Clear,
}

/// What becomes of one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkFault {
    pub(crate) kind: NetworkKind,
    /// Whether it only hits calls that change something.
    pub(crate) writes_only: bool,
    /// Whether it only hits questions for a page by itself.
    #[serde(default)]
    pub(crate) questions_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetworkKind {
    /// No connection comes about.
    Unsent,
    /// The connection breaks before Notion has carried it out, or after.
    Broken { applied: bool },
    /// Notion carries it out so many milliseconds later, when the client knows only that the connection broke.
    Late { after: u64 },
    /// No answer comes, ever.
    Hang { applied: bool },
    /// The answer comes so many milliseconds later.
    Slow { by: u64 },
    /// The answer breaks off in the middle.
    Truncated,
    /// Notion says this, having carried it out or not.
    Says { status: Says, applied: bool },
}

/// What Notion says instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Says {
    /// 429; so many seconds to wait.
    Limited(u64),
    WorkspaceLimited(u64),
    Overloaded(u64),
    Collision,
    Error,
    BadGateway,
    Unavailable,
    /// 503 that names what was saved.
    Saved,
    Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreFault {
    /// The connection breaks at a statement.
    Statement,
    /// The connection breaks at a commit, which does not take place.
    Commit,
    /// The connection breaks at a commit, which takes place.
    CommitAnswer,
}

impl Script {
    /// Whether nothing happens in it that only a full look can tell: then all looks of its engines are for changes.
    pub(crate) fn is_gentle(&self) -> bool {
        self.events.iter().all(|event| event.what.is_gentle())
    }
}

impl What {
    /// Whether looks for changes are enough to notice it.
    pub(crate) fn is_gentle(&self) -> bool {
        match self {
            Self::Row(deed) => !matches!(deed, RowDeed::Truncate { .. } | RowDeed::Mark { .. }),
            Self::Page(deed) => matches!(deed, PageDeed::Create { .. } | PageDeed::Edit { .. }),
            Self::Network { .. }
            | Self::Store { .. }
            | Self::Crash { .. }
            | Self::Freeze { .. }
            | Self::Outage { .. }
            | Self::Says(_) => true,
            Self::SecondEngine { .. }
            | Self::Clock { .. }
            | Self::Revoked { .. }
            | Self::PageUnshared { .. }
            | Self::Unshared { .. }
            | Self::DatabaseTrashed { .. }
            | Self::FullLooks { .. } => false,
            Self::Meanwhile { what, .. } => what.iter().all(Self::is_gentle),
        }
    }
}

impl StoreFault {
    pub(crate) fn hits_commit(self) -> bool {
        matches!(self, Self::Commit | Self::CommitAnswer)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Statement => "database: connection lost at a statement",
            Self::Commit => "database: connection lost before a commit",
            Self::CommitAnswer => "database: answer to a commit lost",
        }
    }
}

impl NetworkKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unsent => "call: not sent",
            Self::Broken { applied: false } => "call: lost on its way",
            Self::Broken { applied: true } => "call: answer lost",
            Self::Late { .. } => "call: carried out after it was given up",
            Self::Hang { .. } => "call: no answer until the time was up",
            Self::Slow { .. } => "call: a slow answer",
            Self::Truncated => "call: an answer that breaks off",
            Self::Says { status, applied } => match (status, applied) {
                (Says::Limited(_), _) => "call: 429",
                (Says::WorkspaceLimited(_), _) => "call: 429 for the workspace",
                (Says::Overloaded(_), _) => "call: 529",
                (Says::Collision, _) => "call: 409",
                (Says::Error, false) => "call: 500, not carried out",
                (Says::Error, true) => "call: 500, carried out",
                (Says::BadGateway, _) => "call: 502 with HTML",
                (Says::Unavailable, _) => "call: 503",
                (Says::Saved, _) => "call: 503 after saving",
                (Says::Timeout, _) => "call: 504",
            },
        }
    }
}
