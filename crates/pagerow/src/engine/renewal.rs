//! The mappings of a running engine, made anew when the schemas that they were made from have moved.

use futures_util::future::BoxFuture;

use super::{Bound, Engine, EngineError, Parts, report::Run};

/// How often one run begins anew because a schema moved under it.
const RENEWALS: u32 = 3;

/// Watches what the mappings were made from.
pub trait Renewal<W: Parts>: Send + Sync {
    /// The mappings as they are now, if they are others than those made last. Without a suspicion only what is cheap
    /// is looked at each time.
    ///
    /// # Errors
    /// When a schema cannot be looked at, or the configuration does not fit any more.
    fn renew(&mut self, suspected: bool) -> BoxFuture<'_, Result<Option<Vec<Bound<W>>>, EngineError>>;

    /// Whether an error may come from a schema that moved.
    fn suspects(&self, error: &EngineError) -> bool;
}

impl<W: Parts> Engine<W> {
    /// With somebody who makes the mappings anew when it is time.
    #[must_use]
    pub fn renewed_by(mut self, renewal: Box<dyn Renewal<W>>) -> Self {
        self.renewal = Some(renewal);
        self
    }

    /// Makes the mappings anew where that is due. Answers whether they are others now.
    ///
    /// # Errors
    /// As for [`Renewal::renew`].
    pub(super) async fn renew(&mut self, suspected: bool) -> Result<bool, EngineError> {
        let Some(renewal) = &mut self.renewal else { return Ok(false) };
        let Some(bound) = renewal.renew(suspected).await? else { return Ok(false) };
        self.bound = bound;
        self.relatives = None;
        Ok(true)
    }

    /// Whether a run met something that a moved schema would explain, and may begin anew.
    pub(super) fn suspects(&self, run: &Run, result: Result<bool, &EngineError>) -> bool {
        let Some(renewal) = &self.renewal else { return false };
        run.renewals < RENEWALS && (run.misfits > 0 || result.is_err_and(|error| renewal.suspects(error)))
    }

    /// Those of these mappings that there are now; a paused one is none.
    pub(super) fn present(&self, mappings: &[String]) -> Vec<String> {
        let there = |name: &&String| self.bound.iter().any(|bound| bound.mapping.name == **name);
        mappings.iter().filter(there).cloned().collect()
    }
}
