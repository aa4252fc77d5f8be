//! Why a cycle could not go on.

use pagerow_core::{digest::Digest, fidelity::Reason, guard::Refused, side::Side};

use super::NotChosen;
use crate::store::StoreError;

/// What went wrong. Errors of a side keep their cause, from which the edge takes its advice.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("mapping {mapping}, Postgres: {source}")]
    Rows { mapping: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("mapping {mapping}, Notion: {source}")]
    Pages { mapping: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The guard stopped the plan; nothing was written.
    #[error("the plan was stopped: {}", refusals(.0))]
    Refused(Box<Refused>),
    /// The plan that was to be carried out is not the one that would be made now; nothing was written.
    #[error("the plan is stale: it was made from a state that is no longer there (kept {kept}, now {now})")]
    StalePlan { kept: Digest, now: Digest },
    /// A side refused everything from here on (a token, a right); what was done until then is kept.
    #[error("{side} refused to go on: {reason}")]
    RefusedBySide { side: &'static str, reason: String },
    /// The schemas moved, and the mappings could not be made anew.
    #[error(transparent)]
    Renewal(Box<dyn std::error::Error + Send + Sync>),
    /// These conflicts are not what was shown any more; nothing was written.
    #[error("{} moved since {} shown", conflicts(.0), if .0.len() == 1 { "it was" } else { "they were" })]
    ConflictMoved(Vec<i64>),
    /// What was chosen cannot be held on the other side; nothing was written.
    #[error("conflict {conflict}: {side} cannot hold what was chosen: {}", .reason.text)]
    Unholdable { conflict: i64, side: Side, reason: Reason },
    /// What a person said about a row and a page cannot be; nothing was kept.
    #[error(transparent)]
    NotChosen(Box<NotChosen>),
    /// A recovery is open that this pagerow, or this configuration, cannot go on with; nothing was written.
    #[error("recovery {operation} has not ended, and cannot be gone on with: {why}")]
    OtherOperation { operation: i64, why: String },
    /// Somebody gave the recovery up while it went on.
    #[error("recovery {0} was cancelled")]
    Cancelled(i64),
    #[error("stopped on request")]
    Stopped,
    #[error("there is no run {0}")]
    NoSuchRun(i64),
    #[error("run {0} has not ended yet")]
    RunOpen(i64),
    #[error("run {run} was undone already, by run {by}")]
    AlreadyUndone { run: i64, by: i64 },
    /// What the run wrote does not fit the configuration any more.
    #[error("run {run} cannot be undone: {why}")]
    NotUndoable { run: i64, why: String },
    #[error("no mapping is called {0}")]
    NoSuchMapping(String),
    #[error("the sides did not become quiet in {0} plans; `pagerow plan` shows what is left")]
    Restless(u32),
}

fn conflicts(ids: &[i64]) -> String {
    let numbers: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "conflict" } else { "conflicts" }, numbers.join(", "))
}

fn refusals(refused: &Refused) -> String {
    let texts: Vec<&str> = refused.refusals.iter().map(|refusal| refusal.text.as_str()).collect();
    texts.join("; ")
}
