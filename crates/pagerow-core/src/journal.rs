//! Which event may follow which in the life of a step; replaying them is recovery.

use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Part of an approved plan.
    Planned,
    /// About to be sent: from here on the write may have happened.
    Intended,
    Done,
    /// Not written: the record had moved.
    Stale,
    Failed,
    /// Sent, and nobody knows what became of it.
    Unknown,
}

/// What happens to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Intend,
    Succeed,
    FindStale,
    Fail,
    LoseTrack,
}

/// An event that cannot happen to a step in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step that is {status:?} cannot {event:?}")]
pub struct Illegal {
    pub status: Status,
    pub event: Event,
}

/// The next status.
///
/// A step that was lost track of succeeds or fails once somebody has looked.
///
/// # Errors
/// [`Illegal`] where the event cannot follow.
pub fn next(status: Status, event: Event) -> Result<Status, Illegal> {
    match (status, event) {
        (Status::Planned, Event::Intend) => Ok(Status::Intended),
        (Status::Planned | Status::Intended, Event::FindStale) => Ok(Status::Stale),
        // A step in the database commits with its own outcome and needs no intent.
        (Status::Planned | Status::Intended | Status::Unknown, Event::Succeed) => Ok(Status::Done),
        (Status::Planned | Status::Intended | Status::Unknown, Event::Fail) => Ok(Status::Failed),
        (Status::Intended, Event::LoseTrack) => Ok(Status::Unknown),
        (Status::Planned, Event::LoseTrack)
        | (Status::Intended | Status::Unknown, Event::Intend)
        | (Status::Unknown, Event::FindStale | Event::LoseTrack)
        | (Status::Done | Status::Stale | Status::Failed, _) => Err(Illegal { status, event }),
    }
}

impl Status {
    /// The word in the store and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Intended => "intended",
            Self::Done => "done",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the write may have happened without our knowing.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Intended | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for over in [Status::Done, Status::Stale, Status::Failed] {
            for event in [Event::Intend, Event::Succeed, Event::FindStale, Event::Fail, Event::LoseTrack] {
                assert!(next(over, event).is_err(), "{over:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_lost_answer_ends_by_looking() {
        let intended = next(Status::Planned, Event::Intend).unwrap();
        let unknown = next(intended, Event::LoseTrack).unwrap();
        assert!(unknown.is_open());
        assert_eq!(next(unknown, Event::Succeed), Ok(Status::Done));
        assert_eq!(next(unknown, Event::Fail), Ok(Status::Failed));
        assert!(next(unknown, Event::Intend).is_err());
    }
}
