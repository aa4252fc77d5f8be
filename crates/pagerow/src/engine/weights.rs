//! What a plan is weighed against beside its own numbers: the hour before it, the table it was made from.

use pagerow_core::{
    guard::{Against, Replaced},
    plan::{Action, Conflict, ConflictKind, MappingPlan, Plan},
    side::Side,
};

use super::{Bound, Engine, EngineError, Parts, look::View};
use crate::store::{Attention as _, Tallies as _};

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
        // Asked again and again, a question that was let pass once would stop every run to come.
        if part.steps.is_empty() && !part.conflicts.is_empty() {
            let open = self.store.open_conflicts(Some(&part.mapping)).await?;
            let is_open = |asked: &&Conflict| open.iter().any(|open| is_same_question(&open.conflict, asked));
            against.asked = part.conflicts.iter().filter(is_open).count() as u64;
        }
        Ok(against)
    }
}

fn is_same_question(one: &Conflict, other: &Conflict) -> bool {
    let is_same_record = (one.link, &one.key, one.page) == (other.link, &other.key, other.page);
    is_same_record
        && match (&one.kind, &other.kind) {
            (ConflictKind::Field { field: one, .. }, ConflictKind::Field { field: other, .. }) => {
                one == other
            }
            (ConflictKind::Deleted { on: one, .. }, ConflictKind::Deleted { on: other, .. }) => one == other,
            (ConflictKind::Field { .. }, ConflictKind::Deleted { .. })
            | (ConflictKind::Deleted { .. }, ConflictKind::Field { .. }) => false,
        }
}
