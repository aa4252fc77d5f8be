//! What a plan is weighed against beside its own numbers: the hour before it, the table it was made from.

use pagerow_core::{
    guard::{Against, Replaced},
    plan::{Action, MappingPlan, Plan},
    side::Side,
};

use super::{Bound, Engine, EngineError, Parts, look::View};
use crate::store::Tallies;

impl<W: Parts> Engine<W> {
    /// By the plan's mappings, in order.
    pub(super) async fn weights(
        &self,
        which: &[usize],
        plan: &Plan,
        views: &[View],
    ) -> Result<Vec<Against>, EngineError> {
        let mut weights = Vec::with_capacity(which.len());
        for ((&at, part), view) in which.iter().zip(&plan.mappings).zip(views) {
            weights.push(self.weight(&self.bound[at], part, view).await?);
        }
        Ok(weights)
    }

    async fn weight(
        &self,
        bound: &Bound<W>,
        part: &MappingPlan,
        view: &View,
    ) -> Result<Against, EngineError> {
        let mut against = Against::from(bound.settings.limits);
        against.fingerprint = Some(bound.mapping.fingerprint());
        if let (Some(now), Some(before)) = (&view.table, &view.known_table) {
            against.replaced = (now.oid != before.oid).then(|| Replaced {
                table: now.name.clone(),
                was: before.oid,
                is: now.oid,
            });
            against.emptied.postgres = now.files != before.files;
            if now.hides_rows && !before.hides_rows {
                against.hidden = view.hidden;
            }
        }
        // Asked only where the answer can matter: most plans delete nothing and make little.
        if part.steps.iter().any(|step| matches!(step.action, Action::Trash | Action::Delete)) {
            against.lately = self.store.removed_lately(&part.mapping).await?;
        }
        let new: Vec<_> = part
            .steps
            .iter()
            .filter(|step| step.action == Action::Create && step.side == Side::Notion && step.link.is_none())
            .filter_map(|step| step.source)
            .collect();
        if part.census.links > 0 && new.len() as u64 > against.limits.floor {
            against.alike = self.store.alike(&part.mapping, &new).await?;
        }
        Ok(against)
    }
}
