//! What a script learns from how a command ended.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing is left to do.
    Done,
    Failed,
    /// Wrong usage or configuration: trying again as it is will not help.
    Wrong,
    /// Decisions are waiting: conflicts, parked records, doubles, a guard's stop.
    Decisions,
    /// `plan --detailed-exitcode`: changes are planned.
    Changes,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Wrong => 2,
            Self::Decisions => 3,
            Self::Changes => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
