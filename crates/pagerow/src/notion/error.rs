//! What went wrong with a call to Notion, whether a write came through, and what a person can do about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use pagerow_core::mutant::{self, Mutant};

use super::transport::Cause;

/// A call that did not succeed.
///
/// `Display` names statuses, codes, ids and property names, never what a cell holds.
#[derive(Debug, thiserror::Error)]
pub enum NotionError {
    #[error("Notion does not accept the token ({0})")]
    WrongToken(Box<Refusal>),
    #[error("{subject} does not exist or is not shared with the connection ({refusal})")]
    NotShared { subject: Subject, refusal: Box<Refusal> },
    #[error("the connection lacks the capability to {capability} ({refusal})")]
    MissingCapability { capability: Capability, refusal: Box<Refusal> },
    #[error("the workspace has used up the blocks of its plan ({0})")]
    BlockLimit(Box<Refusal>),
    /// A database's id where a data source's was needed, or the like. `is` and `wanted` are Notion's words.
    #[error("{id} is the id of a {is}, not of a {wanted}")]
    WrongKindOfId { id: String, is: String, wanted: String },
    #[error("the database {database_id} has {} data sources", data_source_ids.len())]
    SeveralDataSources { database_id: String, data_source_ids: Vec<String> },
    #[error("Notion refused the request: {problem}{} ({refusal})", InProperty(property.as_deref()))]
    Invalid {
        problem: Problem,
        /// Name or id of the property, where the answer names it.
        property: Option<String>,
        refusal: Box<Refusal>,
    },
    /// The list has to be read again from its beginning.
    #[error("the list's cursor is no longer valid ({0})")]
    StaleCursor(Box<Refusal>),
    #[error("{subject} is in the trash ({refusal})")]
    InTrash { subject: Subject, refusal: Box<Refusal> },
    /// Somebody saved at the same moment: read again before deciding.
    #[error("{subject} was being changed by somebody else ({refusal})")]
    Conflict { subject: Subject, refusal: Box<Refusal> },
    #[error("{subject} is full ({refusal})")]
    RowLimit { subject: Subject, refusal: Box<Refusal> },
    #[error("too many calls for {scope}{} ({refusal})", After(*retry_after))]
    RateLimited { scope: RateScope, retry_after: Option<Duration>, refusal: Box<Refusal> },
    #[error("Notion is shedding load{} ({refusal})", After(*retry_after))]
    Overloaded { retry_after: Option<Duration>, refusal: Box<Refusal> },
    /// The write was done, only its answer could not be built.
    #[error("the change was saved, but Notion could not answer with it ({refusal})")]
    Saved { committed: Vec<String>, refusal: Box<Refusal> },
    #[error("Notion is in trouble ({0})")]
    Server(Box<Refusal>),
    /// An answer that says neither success nor a failure we know.
    #[error("Notion answered in an unexpected way ({0})")]
    Unexpected(Box<Refusal>),
    /// A success whose body could not be read.
    #[error("Notion's answer cannot be read: it {reason} ({refusal})")]
    UnreadableAnswer { reason: String, committed: Vec<String>, refusal: Box<Refusal> },
    /// Enough for a write to be done, not enough to know the result.
    #[error("Notion showed only the id {id}: the connection may not read it")]
    OnlyId { id: String },
    #[error("no connection to Notion came about")]
    Unconnected(#[source] Cause),
    #[error("the connection to Notion was lost before its answer")]
    ConnectionLost(#[source] Cause),
    #[error("Notion did not answer in time")]
    Timeout,
    /// Nothing was sent: it waited so long for its turn that what it takes the place of may have been edited meanwhile.
    #[error("the call had to wait for too long")]
    Overdue,
    /// Nothing was sent.
    #[error("the request cannot be made: {0}")]
    Unsendable(String),
}

/// What became of a write that failed. Of a read it says nothing of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Certainly not done.
    NotApplied,
    /// Certainly done; the ids of what it made, as far as Notion said.
    Applied { committed: Vec<String> },
    /// Only looking can tell.
    Unknown,
}

/// An answer that was not a success.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    pub status: u16,
    /// Notion's code; empty when the answer did not come from the API itself (an HTML page of the edge).
    pub code: String,
    pub request_id: Option<String>,
    pub message: Unlogged,
}

/// Notion's words, which may quote cell contents: shown to the user on request, never logged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Unlogged(String);

/// What a call was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `page`, `data source`, `database`, `connection`.
    pub kind: &'static str,
    pub id: String,
}

/// A right that a connection has or lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    ReadContent,
    UpdateContent,
    InsertContent,
    UserInformation,
}

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateScope {
    Connection,
    Workspace,
    Endpoint,
    /// Notion does not want these calls at all: not to be repeated.
    Blocked,
    Unsaid,
}

/// What was wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Longer or more than `limit` (UTF-16 units or entries).
    TooLong {
        limit: u64,
    },
    NoSuchProperty,
    WrongType,
    NoSuchOption,
    CommaInOption,
    /// A place in the request, as `body.properties.Due.date.start`.
    Malformed {
        path: String,
    },
    Other,
}

impl NotionError {
    /// What became of the write that failed this way.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Timeout if mutant::is(Mutant::TimeoutIsNotApplied) => Fate::NotApplied,
            Self::ConnectionLost(_) if mutant::is(Mutant::BrokenIsNotApplied) => Fate::NotApplied,
            Self::Server(_) if mutant::is(Mutant::ServerErrorIsNotApplied) => Fate::NotApplied,
            Self::Saved { .. } if mutant::is(Mutant::SavedIsNotApplied) => Fate::NotApplied,
            Self::UnreadableAnswer { .. } if mutant::is(Mutant::CutAnswerIsNotApplied) => Fate::NotApplied,
            Self::Saved { committed, .. } | Self::UnreadableAnswer { committed, .. } => {
                Fate::Applied { committed: committed.clone() }
            }
            Self::OnlyId { id } => Fate::Applied { committed: vec![id.clone()] },
            Self::Server(_) | Self::Unexpected(_) | Self::ConnectionLost(_) | Self::Timeout => Fate::Unknown,
            Self::WrongToken(_)
            | Self::NotShared { .. }
            | Self::MissingCapability { .. }
            | Self::BlockLimit(_)
            | Self::WrongKindOfId { .. }
            | Self::SeveralDataSources { .. }
            | Self::Invalid { .. }
            | Self::StaleCursor(_)
            | Self::InTrash { .. }
            | Self::Conflict { .. }
            | Self::RowLimit { .. }
            | Self::RateLimited { .. }
            | Self::Overloaded { .. }
            | Self::Unconnected(_)
            | Self::Overdue
            | Self::Unsendable(_) => Fate::NotApplied,
        }
    }

    /// The answer behind it, where there was one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::WrongToken(refusal)
            | Self::NotShared { refusal, .. }
            | Self::MissingCapability { refusal, .. }
            | Self::BlockLimit(refusal)
            | Self::Invalid { refusal, .. }
            | Self::StaleCursor(refusal)
            | Self::InTrash { refusal, .. }
            | Self::Conflict { refusal, .. }
            | Self::RowLimit { refusal, .. }
            | Self::RateLimited { refusal, .. }
            | Self::Overloaded { refusal, .. }
            | Self::Saved { refusal, .. }
            | Self::Server(refusal)
            | Self::Unexpected(refusal)
            | Self::UnreadableAnswer { refusal, .. } => Some(refusal),
            Self::WrongKindOfId { .. }
            | Self::SeveralDataSources { .. }
            | Self::OnlyId { .. }
            | Self::Unconnected(_)
            | Self::ConnectionLost(_)
            | Self::Timeout
            | Self::Overdue
            | Self::Unsendable(_) => None,
        }
    }

    /// One sentence on what to do.
    pub fn advice(&self) -> Cow<'static, str> {
        let fixed = match self {
            Self::WrongToken(_) => {
                "Copy the token again from the connection's page in Notion; it may have been revoked or have expired."
            }
            Self::NotShared { .. } => {
                "Open it in Notion, choose ··· → Connections, and add the connection; then check the id."
            }
            Self::MissingCapability { capability, .. } => {
                return Cow::Owned(format!(
                    "Allow the connection to {capability} under Capabilities on its page in Notion."
                ));
            }
            Self::OnlyId { .. } => {
                "Allow the connection to read content under Capabilities on its page in Notion."
            }
            Self::BlockLimit(_) => {
                "Upgrade the workspace's plan, or remove members beyond the first, to create further pages."
            }
            Self::WrongKindOfId { wanted, .. } => {
                return Cow::Owned(format!("Give the id or link of the {wanted} instead."));
            }
            Self::SeveralDataSources { data_source_ids, .. } => {
                return Cow::Owned(format!("Name one of its data sources: {}.", data_source_ids.join(", ")));
            }
            Self::Invalid { problem: Problem::NoSuchProperty, .. } => {
                "The property was removed or renamed in Notion; correct the mapping or add it again."
            }
            Self::Invalid { problem: Problem::NoSuchOption, .. } => {
                "Add the option in Notion, or map the value to an option that exists."
            }
            Self::Invalid { problem: Problem::TooLong { .. }, .. } => {
                "Shorten the value, or map it to a property that holds more."
            }
            Self::Invalid { problem: Problem::CommaInOption, .. } => {
                "Option names hold no commas; map the value to another name or to a text property."
            }
            Self::Invalid { .. } | Self::StaleCursor(_) => {
                "Check the mapping against the database in Notion."
            }
            Self::InTrash { .. } => "Restore it from Notion's trash to change it.",
            Self::Conflict { .. } => "It will be read again and planned anew.",
            Self::RowLimit { .. } => "Move or delete rows in Notion; new rows wait until then.",
            Self::RateLimited { scope: RateScope::Blocked, .. } => {
                "Notion has blocked these calls; ask Notion's support with the request id."
            }
            Self::RateLimited { .. } | Self::Overloaded { .. } | Self::Overdue => {
                "Nothing to do: it continues by itself when Notion allows it."
            }
            Self::Saved { .. } | Self::UnreadableAnswer { .. } => {
                "Nothing to do: the page will be read again."
            }
            Self::Server(_) | Self::Unexpected(_) | Self::Timeout => {
                "Nothing to do: it is tried again later; see status.notion.so if it lasts."
            }
            Self::Unconnected(_) | Self::ConnectionLost(_) => {
                "Check the network, a proxy, and `base_url`; it is tried again later."
            }
            Self::Unsendable(_) => "Check `token`, `base_url` and the ids in the configuration.",
        };
        Cow::Borrowed(fixed)
    }
}

impl Refusal {
    /// Whether the API itself answered, and not something in front of it.
    pub fn is_from_api(&self) -> bool {
        !self.code.is_empty()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

impl Unlogged {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. It may hold cell contents: show it to the user whose data it is, log it nowhere.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Unlogged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlogged({} bytes)", self.0.len())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.is_empty() {
            write!(f, "the {}", self.kind)
        } else {
            write!(f, "the {} {}", self.kind, self.id)
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadContent => "read content",
            Self::UpdateContent => "update content",
            Self::InsertContent => "insert content",
            Self::UserInformation => "read user information",
        })
    }
}

impl fmt::Display for RateScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "this connection",
            Self::Workspace => "the workspace",
            Self::Endpoint => "this endpoint",
            Self::Blocked => "Notion, which blocks them",
            Self::Unsaid => "Notion",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "longer than {limit}"),
            Self::NoSuchProperty => f.write_str("no such property"),
            Self::WrongType => f.write_str("a value of the wrong type"),
            Self::NoSuchOption => f.write_str("no such option"),
            Self::CommaInOption => f.write_str("a comma in an option's name"),
            Self::Malformed { path } => write!(f, "{path} is malformed"),
            Self::Other => f.write_str("it is not valid"),
        }
    }
}

struct InProperty<'a>(Option<&'a str>);

impl fmt::Display for InProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " in property {name:?}"))
    }
}

struct After(Option<Duration>);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |wait| write!(f, ", to be tried again after {} s", wait.as_secs()))
    }
}
