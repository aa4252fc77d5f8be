//! Putting a record, a mapping or everything back to how it was at a moment: a plan like any other, made from the history.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    guard::{self, Refusal},
    mapping::Mapping,
    plan::Plan,
    record::{PageId, RowKey},
    rewind::{Past, rewind},
    side::Side,
    undo::{Cannot, Done, Left},
};

use super::{
    Bound, Engine, EngineError, Parts,
    report::{Report, Run},
    undo::{NotUndone, Prepared, written},
};
use crate::store::{History, Links, PastStep, Runs};

/// What is to be put back, and to when.
#[derive(Clone, Debug)]
pub struct Moment {
    pub at: Timestamp,
    /// Everything where it is empty.
    pub mappings: Vec<String>,
    /// Only the record of this row.
    pub key: Option<RowKey>,
}

/// What putting it back would do.
#[derive(Clone, Debug)]
pub struct RewindPlan {
    pub plan: Plan,
    /// What the guard would stop it for.
    pub refusals: Vec<Refusal>,
    pub left: Vec<NotUndone>,
    /// Rows and pages that are already as they were.
    pub already: u64,
    /// Mappings whose history begins after the moment, and when it does. They stay as they are.
    pub unreached: Vec<(String, Timestamp)>,
}

/// What the history says of a moment.
struct Told {
    which: Vec<usize>,
    /// By mapping, what has to be taken back.
    done: Vec<Vec<Done>>,
    left: Vec<NotUndone>,
    unreached: Vec<(String, Timestamp)>,
}

impl<W: Parts> Engine<W> {
    /// What going back to a moment would do, what cannot go back and why, and whether the guard would let it. Writes
    /// nothing to either side.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMapping`], and when a side cannot be looked at.
    pub async fn plan_rewind(&mut self, moment: &Moment) -> Result<RewindPlan, EngineError> {
        self.find_its_place().await?;
        let told = self.told(moment).await?;
        let mut doubtful = Vec::with_capacity(told.which.len());
        for &at in &told.which {
            let open = self.store.open_steps(&self.bound[at].mapping.name).await?;
            doubtful.push(open.into_iter().filter_map(|open| open.step.key).collect());
        }
        // On the heap: what looks at both sides is large.
        let prepared = Box::pin(self.prepare_taking_back(told.which, &told.done, &doubtful)).await?;
        let Prepared { which, decided, mut left, already, .. } = prepared;
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        let refusals = match guard::check(decided.plan.clone(), &against, &[]) {
            Ok(_) => Vec::new(),
            Err(refused) => refused.refusals,
        };
        left.extend(told.left);
        Ok(RewindPlan { plan: decided.plan, refusals, left, already, unreached: told.unreached })
    }

    /// Goes back to a moment, as a run of its own, which can be undone. `only` names the plan that was shown; `pass` lets
    /// it past the guard.
    ///
    /// # Errors
    /// As for [`Engine::plan_rewind`]; [`EngineError::StalePlan`] when the state is not the one that was shown, and
    /// [`EngineError::Refused`] when the guard stops it. What was done until an error is kept.
    pub async fn rewind(
        &mut self,
        moment: &Moment,
        only: Digest,
        pass: Option<Digest>,
    ) -> Result<Report, EngineError> {
        self.take_lease().await?;
        self.find_its_place().await?;
        let told = self.told(moment).await?;
        let mut acts = Run::new(&format!("recover at {}", moment.at), self.calls());
        let doubtful = self.finish_open_steps(&mut acts, &told.which).await?;
        // On the heap: what looks at both sides is large.
        let prepared = Box::pin(self.prepare_taking_back(told.which, &told.done, &doubtful)).await?;
        let Prepared { which, decided, waiting, .. } = prepared;
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        let approved = guard::check(decided.plan, &against, pass.as_slice()).map_err(EngineError::Refused)?;
        if only != approved.hash() {
            return Err(EngineError::StalePlan { kept: only, now: approved.hash() });
        }
        let wanted = approved.plan().steps().count() as u64;
        let result = Box::pin(self.carry_out(&mut acts, &which, &approved, &decided.views, waiting)).await;
        let quiet = result.as_ref().map(|()| written(&acts) == wanted);
        let closed = self.close(acts, &which, quiet, result.as_ref().err()).await;
        result.and(closed)
    }

    async fn told(&self, moment: &Moment) -> Result<Told, EngineError> {
        let mut told = Told { which: Vec::new(), done: Vec::new(), left: Vec::new(), unreached: Vec::new() };
        for at in self.which(&moment.mappings)? {
            let bound = &self.bound[at];
            let name = &bound.mapping.name;
            match self.store.history_begins(name).await? {
                // Nothing was ever done.
                None => continue,
                // A record that was first seen since then may be far older than the moment.
                Some(begins) if begins > moment.at => {
                    told.unreached.push((name.clone(), begins));
                    continue;
                }
                Some(_) => {}
            }
            let steps = self.store.steps_around(name, moment.at, moment.key.as_ref()).await?;
            let (done, left) = self.taken_back(bound, steps).await?;
            told.which.push(at);
            told.done.push(done);
            told.left.extend(left);
        }
        Ok(told)
    }

    async fn taken_back(
        &self,
        bound: &Bound<W>,
        steps: Vec<PastStep>,
    ) -> Result<(Vec<Done>, Vec<NotUndone>), EngineError> {
        let mapping = &*bound.mapping;
        let pages: BTreeSet<PageId> = steps.iter().filter_map(|past| past.done.step.page).collect();
        let pages: Vec<PageId> = pages.into_iter().collect();
        let links = self.store.links_of(&mapping.name, &[], &pages).await?;
        let ids: Vec<i64> = links.iter().map(|link| link.id).collect();
        let settled = self.store.links(mapping, &ids).await?;
        let settled = settled.into_iter().map(|link| (link.page, link.base)).collect();
        let mut left = Vec::new();
        let past = steps.into_iter().map(|past| named_now(mapping, past, &mut left)).collect();
        let rewinding = rewind(mapping, past, &settled);
        left.extend(rewinding.left.into_iter().map(|left| NotUndone::of(mapping, left)));
        Ok((rewinding.done, left))
    }
}

/// A step of the journal with the fields' numbers as they are now. What it wrote to columns that are no more, or are
/// another thing than they were, stays as it is.
fn named_now(mapping: &Mapping, past: PastStep, left: &mut Vec<NotUndone>) -> Past {
    let PastStep { done, since, shapes } = past;
    let place = |column: &String| {
        let place = mapping.field(column)?;
        let is_same =
            shapes.get(column).is_none_or(|shape| *shape == mapping.fields[place].shape().to_string());
        is_same.then_some(place)
    };
    let mut step = done.step;
    for mut write in std::mem::take(&mut step.fields) {
        let column = done.columns.get(write.field);
        match column.and_then(place) {
            Some(place) => {
                write.field = place;
                step.fields.push(write);
            }
            None if since => left.push(NotUndone {
                mapping: mapping.name.clone(),
                column: column.cloned(),
                left: Left {
                    side: Side::Postgres,
                    key: step.key.clone(),
                    page: step.page,
                    field: None,
                    why: Cannot::NotKept,
                },
            }),
            None => {}
        }
    }
    let shown = done.shown.into_iter().filter_map(|(column, value)| Some((place(&column)?, value))).collect();
    Past { done: Done { seq: done.seq, step, shown, inferred: false }, since }
}
