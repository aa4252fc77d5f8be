//! Keeping the history short: a little at a time, beside the work, and never what is still needed.

use std::time::Duration;

use pagerow_core::audit::{Entry, RETENTION};

use super::{Engine, EngineError, Parts};
use crate::store::{Audit, History, Transaction, Transactions};

/// Between two prunings.
const PAUSE: Duration = Duration::from_secs(3600);

impl<W: Parts> Engine<W> {
    /// Takes away a part of what is older than the history is kept, at most once an hour; the next syncs take the rest.
    /// The lease is held.
    pub(super) async fn prune(&mut self) -> Result<(), EngineError> {
        let now = self.clock.uptime();
        let Some(kept) = self.kept else { return Ok(()) };
        if self.pruned.is_some_and(|last| now.saturating_sub(last) < PAUSE) {
            return Ok(());
        }
        let Ok(before) = self.clock.now().checked_sub(kept) else { return Ok(()) };
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        let (steps, runs) = self.store.prune_runs(&mut tx, before).await?;
        let by = Entry { run: None, ..self.decision("retention", 0, RETENTION, None) };
        let entries = self.store.cut_audit(&mut tx, before, &by).await?;
        tx.commit().await?;
        // Where something was left for lack of time, the next sync goes on at once.
        self.pruned = (steps + runs + entries == 0).then_some(now);
        Ok(())
    }
}
