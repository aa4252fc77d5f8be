//! Carrying out what a person says to conflicts and to parked records: an ordinary plan of just these records.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    answer::{Take, Whole},
    audit::Entry,
    digest::Digest,
    guard::{self, Refusal},
    plan::{Conflict, ConflictKind, Plan},
    planner::Planner,
    record::RowKey,
    side::Side,
};

use super::{
    Engine, EngineError, Parts,
    cycle::Decided,
    look::{RecordName, View},
    report::{Report, Run},
};
use crate::store::{
    Attention as _, Audit as _, Closing, OpenConflict, ParkedRecord, Runs as _, Transaction as _,
    Transactions as _,
};

/// Plans until the answer has arrived on both sides.
const MOST_PLANS: u32 = 8;

/// A person's answer to one open conflict.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// As it was shown to the person.
    pub conflict: OpenConflict,
    pub answer: Answer,
}

/// What a person says: of a field, or of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Field(Take),
    Record(Whole),
}

impl Answer {
    /// The word by which the conflict is closed.
    fn resolution(&self) -> &'static str {
        let kept = |side| if side == Side::Postgres { "kept_postgres" } else { "kept_notion" };
        match self {
            Self::Field(Take::Keep(side)) | Self::Record(Whole::Keep { side, .. }) => kept(*side),
            Self::Field(Take::Value(_)) => "value",
            Self::Field(Take::Leave) | Self::Record(Whole::Leave) => "skipped",
        }
    }
}

/// Records by their mapping's place.
type Records = BTreeMap<usize, Vec<RecordName>>;

impl<W: Parts> Engine<W> {
    /// What these answers would do, and whether the guard would let it. Writes nothing.
    ///
    /// # Errors
    /// [`EngineError::ConflictMoved`] when a conflict is not what was shown any more, [`EngineError::Unholdable`] when
    /// the other side cannot hold what was chosen, and when a side cannot be looked at.
    pub async fn plan_resolution(
        &mut self,
        resolutions: &[Resolution],
    ) -> Result<(Plan, Vec<Refusal>), EngineError> {
        let records = self.records_of(resolutions)?;
        let mut doubtful = Vec::new();
        for &at in records.keys() {
            let open = self.store.open_steps(&self.bound[at].mapping.name).await?;
            doubtful.push(open.into_iter().filter_map(|open| open.step.key).collect());
        }
        let decided = self.answered(&records, resolutions, &doubtful).await?;
        let which: Vec<usize> = records.keys().copied().collect();
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        let refusals = match guard::check(decided.plan.clone(), &against, &[]) {
            Ok(_) => Vec::new(),
            Err(refused) => refused.refusals,
        };
        Ok((decided.plan, refusals))
    }

    /// Carries out a person's answers, all of them or, when something has moved, none. `only` is the plan that was shown;
    /// `pass` may let it through the guard.
    ///
    /// # Errors
    /// As [`Engine::plan_resolution`], and as [`Engine::sync`]. What was done until then is kept.
    pub async fn resolve(
        &mut self,
        resolutions: &[Resolution],
        only: Option<Digest>,
        pass: Option<Digest>,
    ) -> Result<Report, EngineError> {
        let records = self.records_of(resolutions)?;
        let which: Vec<usize> = records.keys().copied().collect();
        self.take_lease().await?;
        self.find_its_place().await?;
        let mut run = Run::new("resolve", self.calls());
        let result = self.carry_answers_out(&mut run, &records, resolutions, (only, pass)).await;
        let closed = self.close(run, &which, result.as_ref().copied(), result.as_ref().err()).await;
        result.and(closed)
    }

    /// Tries these parked records again, whatever their time.
    ///
    /// # Errors
    /// As [`Engine::sync`].
    pub async fn retry(&mut self, parked: &[ParkedRecord]) -> Result<Report, EngineError> {
        let mut records = Records::new();
        for one in parked {
            let at = self.place(&one.mapping)?;
            records.entry(at).or_default().push((one.key.clone(), one.page));
        }
        let which: Vec<usize> = records.keys().copied().collect();
        self.take_lease().await?;
        self.find_its_place().await?;
        let mut run = Run::new("retry", self.calls());
        let result = self.until_records_are_quiet(&mut run, &records).await;
        let closed = self.close(run, &which, result.as_ref().copied(), result.as_ref().err()).await;
        result.and(closed)
    }

    async fn carry_answers_out(
        &mut self,
        run: &mut Run,
        records: &Records,
        resolutions: &[Resolution],
        (only, pass): (Option<Digest>, Option<Digest>),
    ) -> Result<bool, EngineError> {
        let which: Vec<usize> = records.keys().copied().collect();
        let doubtful = self.finish_open_steps(run, &which).await?;
        let mut decided = self.answered(records, resolutions, &doubtful).await?;
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        let approved =
            guard::check(decided.plan.clone(), &against, pass.as_slice()).map_err(EngineError::Refused)?;
        if let Some(kept) = only.filter(|kept| *kept != approved.hash()) {
            return Err(EngineError::StalePlan { kept, now: approved.hash() });
        }
        // These close by their answers, once those are carried out.
        let asked: BTreeSet<i64> = resolutions.iter().map(|one| one.conflict.id).collect();
        for view in &mut decided.views {
            view.answered.conflicts.retain(|(id, _)| !asked.contains(id));
        }
        self.act(run, &which, approved, &decided.views).await?;
        self.close_answered(run, resolutions).await?;
        self.until_records_are_quiet(run, records).await
    }

    /// Ends the conflicts of which every step was done. One of which a step was not stays open.
    async fn close_answered(&self, run: &Run, resolutions: &[Resolution]) -> Result<(), EngineError> {
        let is_done = |one: &&Resolution| {
            let conflict = &one.conflict.conflict;
            !run.stuck.contains(&(one.conflict.mapping.clone(), (conflict.key.clone(), conflict.page)))
        };
        let closings: Vec<Closing> = resolutions
            .iter()
            .filter(is_done)
            .map(|one| Closing {
                conflict: (one.conflict.id, one.conflict.version),
                resolution: one.answer.resolution(),
                by: self.who.clone(),
                run: run.id,
                held: one.answer == Answer::Record(Whole::Leave),
            })
            .collect();
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.store.close_conflicts(&mut tx, &closings).await?;
        let told = resolutions.iter().filter(is_done).map(|one| {
            let (conflict, about) = (&one.conflict.conflict, one.answer.resolution());
            let about = format!("conflict {}: {about}", one.conflict.id);
            Entry {
                run: run.id,
                mapping: Some(one.conflict.mapping.clone()),
                key: conflict.key.clone(),
                page: conflict.page,
                ..self.decision(&run.origin, run.id.unwrap_or_default(), "resolve", about)
            }
        });
        let told: Vec<Entry> = told.collect();
        self.store.audit(&mut tx, &told).await?;
        Ok(tx.commit().await?)
    }

    /// Plans and acts on these records until nothing of them is left to do. Answers whether that came about.
    async fn until_records_are_quiet(
        &mut self,
        run: &mut Run,
        records: &Records,
    ) -> Result<bool, EngineError> {
        let mut records = records.clone();
        for plan in 0..MOST_PLANS {
            if self.stop.is_asked() {
                return Err(EngineError::Stopped);
            }
            if plan > 0 {
                self.leave_failed(&mut records).await?;
            }
            let which: Vec<usize> = records.keys().copied().collect();
            if which.is_empty() {
                return Ok(run.doubts + run.unsure == 0);
            }
            let doubtful = self.finish_open_steps(run, &which).await?;
            let views = self.look_at_all_of(&records, &doubtful).await?;
            let decided = self.decide(&which, views);
            let against = self.weights(&which, &decided.plan, &decided.views).await?;
            let approved = guard::check(decided.plan, &against, &[]).map_err(EngineError::Refused)?;
            if !self.act(run, &which, approved, &decided.views).await? {
                return Ok(run.doubts + run.unsure == 0);
            }
        }
        Ok(false)
    }

    /// Takes out what has just failed: it has had its try.
    async fn leave_failed(&self, records: &mut Records) -> Result<(), EngineError> {
        for (&at, names) in records.iter_mut() {
            let parked = self.store.parked(Some(&self.bound[at].mapping.name)).await?;
            let failed: BTreeSet<RecordName> = (parked.into_iter())
                .filter(|record| record.content.is_some())
                .map(|record| (record.key, record.page))
                .collect();
            names.retain(|name| !failed.contains(name));
        }
        records.retain(|_, names| !names.is_empty());
        Ok(())
    }

    /// Looks at the records again, sees that each conflict is as it was shown, and plans with the answers.
    async fn answered(
        &mut self,
        records: &Records,
        resolutions: &[Resolution],
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Decided, EngineError> {
        let which: Vec<usize> = records.keys().copied().collect();
        let mut views = self.look_at_all_of(records, doubtful).await?;
        let mut moved = Vec::new();
        for (&at, view) in which.iter().zip(&mut views) {
            let mapping = &self.bound[at].mapping;
            let mut planner = Planner::new(mapping, view.census).of_lost_bases(view.lost.is_some());
            view.pairs.iter().for_each(|pair| planner.consider(pair));
            let found = planner.finish().conflicts;
            for one in resolutions.iter().filter(|one| one.conflict.mapping == mapping.name) {
                let field = mapping.field(&one.conflict.column);
                if !found.iter().any(|now| is_same(&one.conflict.conflict, now, field)) {
                    moved.push(one.conflict.id);
                    continue;
                }
                let conflict = &one.conflict.conflict;
                let answers = view.answers.entry((conflict.key.clone(), conflict.page)).or_default();
                match (&one.answer, field) {
                    (Answer::Field(take), Some(field)) => {
                        answers.fields.insert(field, take.clone());
                    }
                    (Answer::Record(whole), _) => answers.whole = Some(*whole),
                    (Answer::Field(_), None) => moved.push(one.conflict.id),
                }
            }
        }
        if !moved.is_empty() {
            return Err(EngineError::ConflictMoved(moved));
        }
        let decided = self.decide(&which, views);
        for one in resolutions {
            self.holdable(&decided.plan, one)?;
        }
        Ok(decided)
    }

    /// That the other side can hold what was chosen.
    fn holdable(&self, plan: &Plan, one: &Resolution) -> Result<(), EngineError> {
        let conflict = &one.conflict.conflict;
        let Some(part) = plan.mappings.iter().find(|part| part.mapping == one.conflict.mapping) else {
            return Ok(());
        };
        let field = part.columns.iter().position(|column| *column == one.conflict.column);
        let parked = part.parked.iter().find(|parked| {
            (&parked.key, parked.page) == (&conflict.key, conflict.page)
                && (parked.field == field || matches!(one.answer, Answer::Record(_)))
        });
        match parked {
            None => Ok(()),
            Some(parked) => Err(EngineError::Unholdable {
                conflict: one.conflict.id,
                side: parked.side,
                reason: parked.reason.clone(),
            }),
        }
    }

    async fn look_at_all_of(
        &mut self,
        records: &Records,
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Vec<View>, EngineError> {
        let relatives = self.take_relatives().await?;
        let mut views = Vec::with_capacity(records.len());
        let mut result = Ok(());
        for ((&at, names), doubtful) in records.iter().zip(doubtful) {
            match self.look_at_records(&self.bound[at], &relatives, names, doubtful).await {
                Ok(view) => views.push(view),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.relatives = Some(relatives);
        result.map(|()| views)
    }

    fn records_of(&self, resolutions: &[Resolution]) -> Result<Records, EngineError> {
        let mut records = Records::new();
        for one in resolutions {
            let at = self.place(&one.conflict.mapping)?;
            let name = (one.conflict.conflict.key.clone(), one.conflict.conflict.page);
            let names = records.entry(at).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(records)
    }

    pub(super) fn place(&self, mapping: &str) -> Result<usize, EngineError> {
        let found = self.bound.iter().position(|bound| bound.mapping.name == mapping);
        found.ok_or_else(|| EngineError::NoSuchMapping(mapping.to_owned()))
    }
}

/// Whether a conflict is still what it was: the same record, the same field, the same values on both sides. `field` is
/// where its column is by now.
fn is_same(was: &Conflict, now: &Conflict, field: Option<usize>) -> bool {
    if (&was.key, was.page) != (&now.key, now.page) {
        return false;
    }
    match (&was.kind, &now.kind) {
        (ConflictKind::Field { values: was, .. }, ConflictKind::Field { field: at, values, .. }) => {
            field == Some(*at) && was == values
        }
        (was @ ConflictKind::Deleted { .. }, now @ ConflictKind::Deleted { .. }) => was == now,
        (ConflictKind::Field { .. }, ConflictKind::Deleted { .. })
        | (ConflictKind::Deleted { .. }, ConflictKind::Field { .. }) => false,
    }
}
