//! What a failed call of a write means for its step.

use std::time::Duration;

use pagerow_core::{fidelity::Reason, plan::Action, record::PageId, retry::Failure};

use crate::{
    clock::Clock,
    notion::{
        NotionError,
        error::{Fate, Problem, RateScope},
    },
    replica::{Failed, Outcome},
};

/// What is to be done about a failed call.
pub(super) enum Verdict {
    /// It happened all the same: look at this page, or, of a new one whose id nobody said, nowhere.
    Happened(Option<PageId>, Failed),
    /// Somebody saved at the same moment: it did not happen, and the page may have changed.
    Collided(Failed),
    Ended(Outcome<PageId>),
}

/// Judges a failed write. `is_about_page` says whether a "not found" means the page itself: it may as well mean
/// something that the request refers to.
pub(super) fn judge(error: &NotionError, action: Action, is_about_page: bool, clock: &Clock) -> Verdict {
    let ended = |failure| Verdict::Ended(Outcome::Failed(failed(error, failure, clock)));
    match error.fate() {
        Fate::Applied { committed } => {
            let page = committed.iter().find_map(|id| PageId::parse(id));
            return Verdict::Happened(page, failed(error, Failure::Unknown, clock));
        }
        Fate::Unknown => {
            return Verdict::Ended(Outcome::Unknown(failed(error, Failure::Unknown, clock)));
        }
        Fate::NotApplied => {}
    }
    match error {
        NotionError::Conflict { .. } => Verdict::Collided(failed(error, Failure::Passing, clock)),
        NotionError::InTrash { .. } if action != Action::Create => Verdict::Ended(Outcome::Stale),
        NotionError::NotShared { .. } if is_about_page && action != Action::Create => {
            Verdict::Ended(Outcome::Stale)
        }
        // A new page's data source cannot be reached, or is in the trash.
        NotionError::NotShared { .. } if is_about_page => ended(Failure::Refused),
        NotionError::InTrash { .. } => ended(Failure::Refused),
        // Only new pages are concerned; changes of those that are there go on.
        NotionError::RowLimit { .. }
        | NotionError::NotShared { .. }
        | NotionError::Invalid { .. }
        | NotionError::Unsendable(_) => ended(Failure::Record),
        NotionError::RateLimited { scope: RateScope::Blocked, .. } => ended(Failure::Refused),
        NotionError::RateLimited { .. }
        | NotionError::Overloaded { .. }
        | NotionError::Unconnected(_)
        | NotionError::Overdue
        | NotionError::StaleCursor(_) => ended(Failure::Passing),
        NotionError::WrongToken(_)
        | NotionError::MissingCapability { .. }
        | NotionError::BlockLimit(_)
        | NotionError::WrongKindOfId { .. }
        | NotionError::SeveralDataSources { .. } => ended(Failure::Refused),
        // Their fate is never "not applied", unless a mutant says so.
        NotionError::Saved { .. }
        | NotionError::Server(_)
        | NotionError::Unexpected(_)
        | NotionError::UnreadableAnswer { .. }
        | NotionError::OnlyId { .. }
        | NotionError::ConnectionLost(_)
        | NotionError::Timeout => ended(Failure::Passing),
    }
}

/// The failure with its reason: statuses, codes, ids and names, never a cell's content.
pub(super) fn failed(error: &NotionError, failure: Failure, clock: &Clock) -> Failed {
    let code = match error {
        NotionError::Invalid { problem: Problem::NoSuchProperty, .. } => Some("no_such_property"),
        NotionError::Invalid { problem: Problem::WrongType, .. } => Some("wrong_type"),
        _ => error.refusal().map(|refusal| refusal.code.as_str()).filter(|code| !code.is_empty()),
    };
    let wait = match error {
        NotionError::RateLimited { retry_after, .. } | NotionError::Overloaded { retry_after, .. } => {
            *retry_after
        }
        _ => None,
    };
    Failed {
        failure,
        reason: Reason::new(code.unwrap_or_else(|| word(error)), error.to_string()),
        not_before: wait.and_then(|wait: Duration| clock.now().checked_add(wait).ok()),
    }
}

/// A stable word where Notion gave no code.
fn word(error: &NotionError) -> &'static str {
    match error {
        NotionError::Unconnected(_) => "unconnected",
        NotionError::ConnectionLost(_) => "connection_lost",
        NotionError::Timeout => "timeout",
        NotionError::Overdue => "overdue",
        NotionError::Unsendable(_) => "unsendable",
        NotionError::UnreadableAnswer { .. } => "unreadable_answer",
        NotionError::OnlyId { .. } => "only_id",
        NotionError::WrongKindOfId { .. } => "wrong_kind_of_id",
        NotionError::SeveralDataSources { .. } => "several_data_sources",
        _ => "http_status",
    }
}
