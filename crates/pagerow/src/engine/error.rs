//! Why a cycle could not go on.

use pagerow_core::{digest::Digest, guard::Refused};

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
    #[error("stopped on request")]
    Stopped,
    #[error("no mapping is called {0}")]
    NoSuchMapping(String),
    #[error("the sides did not become quiet in {0} plans; `pagerow plan` shows what is left")]
    Restless(u32),
}

fn refusals(refused: &Refused) -> String {
    let texts: Vec<&str> = refused.refusals.iter().map(|refusal| refusal.text.as_str()).collect();
    texts.join("; ")
}
