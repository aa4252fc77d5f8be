//! Taking back a run: a plan like any other, made from the run's journal and from what is there now.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    digest::Digest,
    guard::{self, Refusal},
    mapping::Mapping,
    observation::{Identity, Link, Observation, Pair},
    plan::{Action, Census, Plan, Step},
    planner::assemble,
    record::{PageId, RowKey},
    side::Sides,
    undo::{Done, Left, undo},
};

use super::{
    Bound, Depth, Engine, EngineError, Parts,
    cycle::Decided,
    look::{RecordName, View, pages_error, rows_error},
    report::{Report, Run},
};
use crate::{
    replica::{Pages, Relatives, Rows, Scope, Seen},
    store::{Audit, CompactLink, DoneStep, History, Links, PastRun, Runs, Transaction, Transactions},
};

/// What taking back a run would do.
#[derive(Clone, Debug)]
pub struct UndoPlan {
    /// The run that is taken back.
    pub run: i64,
    pub plan: Plan,
    /// What the guard would stop it for.
    pub refusals: Vec<Refusal>,
    pub left: Vec<NotUndone>,
    /// Rows and pages that are already as they were before the run.
    pub already: u64,
}

/// Something that stays as it is, by its mapping.
#[derive(Clone, Debug)]
pub struct NotUndone {
    pub mapping: String,
    /// The field's column; the whole record when it is missing.
    pub column: Option<String>,
    pub left: Left,
}

impl NotUndone {
    pub(super) fn of(mapping: &Mapping, left: Left) -> Self {
        let column = left.field.and_then(|field| Some(mapping.fields.get(field)?.column.clone()));
        Self { mapping: mapping.name.clone(), column, left }
    }
}

/// A plan with everything that carrying it out needs.
pub(super) struct Prepared {
    pub(super) which: Vec<usize>,
    pub(super) decided: Decided,
    pub(super) left: Vec<NotUndone>,
    pub(super) already: u64,
    /// By mapping, the records of which something waits: an undo answers none of it.
    pub(super) waiting: BTreeMap<String, BTreeSet<RecordName>>,
}

impl<W: Parts> Engine<W> {
    /// What taking back a run would do, what cannot be taken back and why, and whether the guard would let it. Writes
    /// nothing to either side.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRun`], [`EngineError::RunOpen`], [`EngineError::AlreadyUndone`] and
    /// [`EngineError::NotUndoable`]; and when a side cannot be looked at.
    pub async fn plan_undo(&mut self, run: i64) -> Result<UndoPlan, EngineError> {
        self.find_its_place().await?;
        let (steps, which) = self.to_undo(run).await?;
        let mut doubtful = Vec::with_capacity(which.len());
        for &at in &which {
            let open = self.store.open_steps(&self.bound[at].mapping.name).await?;
            doubtful.push(open.into_iter().filter_map(|open| open.step.key).collect());
        }
        // On the heap: what looks at both sides is large.
        let prepared = Box::pin(self.prepare_undo(run, steps, which, &doubtful)).await?;
        let Prepared { which, decided, .. } = &prepared;
        let against = self.weights(which, &decided.plan, &decided.views).await?;
        let refusals = match guard::check(prepared.decided.plan.clone(), &against, &[]) {
            Ok(_) => Vec::new(),
            Err(refused) => refused.refusals,
        };
        let Prepared { decided, left, already, .. } = prepared;
        Ok(UndoPlan { run, plan: decided.plan, refusals, left, already })
    }

    /// Takes a run back, as a run of its own. `only` names the plan that was shown; `pass` lets it past the guard.
    ///
    /// # Errors
    /// As for [`Engine::plan_undo`]; [`EngineError::StalePlan`] when the state is not the one that was shown, and
    /// [`EngineError::Refused`] when the guard stops it. What was done until an error is kept.
    pub async fn undo(
        &mut self,
        run: i64,
        only: Option<Digest>,
        pass: Option<Digest>,
    ) -> Result<Report, EngineError> {
        self.take_lease().await?;
        self.find_its_place().await?;
        let (steps, which) = self.to_undo(run).await?;
        let mut acts = Run::new(&format!("undo {run}"), self.calls());
        let doubtful = self.finish_open_steps(&mut acts, &which).await?;
        // On the heap: what looks at both sides is large.
        let prepared = Box::pin(self.prepare_undo(run, steps, which, &doubtful)).await?;
        let Prepared { which, decided, waiting, .. } = prepared;
        let against = self.weights(&which, &decided.plan, &decided.views).await?;
        let approved = guard::check(decided.plan, &against, pass.as_slice()).map_err(EngineError::Refused)?;
        if let Some(kept) = only.filter(|kept| *kept != approved.hash()) {
            return Err(EngineError::StalePlan { kept, now: approved.hash() });
        }
        let wanted = approved.plan().steps().count() as u64;
        let result = Box::pin(self.carry_out(&mut acts, &which, &approved, &decided.views, waiting)).await;
        let whole = result.is_ok() && written(&acts) == wanted;
        if let (true, Some(by)) = (whole, acts.id) {
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            self.store.mark_undone(&mut tx, run, by).await?;
            let told = self.decision(&acts.origin, by, "undo", format!("run {run}"));
            self.store.audit(&mut tx, &[told]).await?;
            tx.commit().await?;
        }
        let quiet = result.as_ref().map(|()| whole);
        let closed = self.close(acts, &which, quiet, result.as_ref().err()).await;
        result.and(closed)
    }

    /// What a run did, if it can be taken back at all, and the places of the mappings that it wrote to.
    async fn to_undo(&self, id: i64) -> Result<(Vec<DoneStep>, Vec<usize>), EngineError> {
        let past = self.store.past_run(id).await?.ok_or(EngineError::NoSuchRun(id))?;
        if past.state == "running" {
            return Err(EngineError::RunOpen(id));
        }
        if let Some(by) = self.undone(&past).await? {
            return Err(EngineError::AlreadyUndone { run: id, by });
        }
        let steps = self.store.done_steps(id).await?;
        let mut which: Vec<usize> = Vec::new();
        for step in &steps {
            let at = self.bound.iter().position(|bound| bound.mapping.name == step.mapping);
            let missing = || EngineError::NotUndoable {
                run: id,
                why: format!("it wrote to the mapping {}, which is no longer configured", step.mapping),
            };
            which.push(at.ok_or_else(missing)?);
        }
        which.sort_unstable();
        which.dedup();
        for &at in &which {
            let mapping = &self.bound[at].mapping;
            let changed = reshaped(mapping, &past, &steps);
            if !changed.is_empty() {
                let why = format!(
                    "it wrote to {} of the mapping {}, which {} not what {} then",
                    changed.join(", "),
                    mapping.name,
                    if changed.len() == 1 { "is" } else { "are" },
                    if changed.len() == 1 { "it was" } else { "they were" },
                );
                return Err(EngineError::NotUndoable { run: id, why });
            }
        }
        Ok((steps, which))
    }

    /// By which run a run is undone, if it still is: an undo that was undone itself does not count.
    async fn undone(&self, past: &PastRun) -> Result<Option<i64>, EngineError> {
        let Some(by) = past.undone_by else { return Ok(None) };
        let (mut counts, mut next) = (true, self.store.past_run(by).await?.and_then(|run| run.undone_by));
        while let Some(run) = next {
            counts = !counts;
            next = self.store.past_run(run).await?.and_then(|run| run.undone_by);
        }
        Ok(counts.then_some(by))
    }

    async fn prepare_undo(
        &mut self,
        run: i64,
        steps: Vec<DoneStep>,
        which: Vec<usize>,
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Prepared, EngineError> {
        let mut by_mapping: BTreeMap<String, Vec<DoneStep>> = BTreeMap::new();
        for step in steps {
            by_mapping.entry(step.mapping.clone()).or_default().push(step);
        }
        let mut done = Vec::with_capacity(which.len());
        for &at in &which {
            let mapping = &*self.bound[at].mapping;
            let steps = by_mapping.remove(&mapping.name).unwrap_or_default();
            done.push(named_now(mapping, steps).ok_or_else(|| EngineError::NotUndoable {
                run,
                why: "its journal is incomplete".to_owned(),
            })?);
        }
        self.prepare_taking_back(which, &done, doubtful).await
    }

    /// The plan that takes these steps back, by mapping as `which` has them.
    pub(super) async fn prepare_taking_back(
        &mut self,
        which: Vec<usize>,
        done: &[Vec<Done>],
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Prepared, EngineError> {
        let stop = self.stop.clone();
        let views = Self::unless_stopped(stop, self.look_at_all(&which, Depth::Changes, doubtful)).await?;
        let relatives = self.take_relatives().await?;
        let (mut parts, mut left, mut already) = (Vec::new(), Vec::new(), 0);
        let mut waiting = BTreeMap::new();
        for ((&at, view), done) in which.iter().zip(&views).zip(done) {
            let bound = &self.bound[at];
            let mapping = &*bound.mapping;
            let (pairs, unsettled) = self.records_now(bound, view, done, &relatives).await?;
            waiting.insert(mapping.name.clone(), unsettled);
            // What else was looked at is no part of the plan: it may be another number at the next look.
            let census = Census { links: view.census.links, ..Census::default() };
            let undoing = undo(mapping, census, done, &pairs);
            already += undoing.already;
            left.extend(undoing.left.into_iter().map(|left| NotUndone::of(mapping, left)));
            parts.push(undoing.part);
        }
        self.relatives = Some(relatives);
        let mappings: Vec<&Mapping> = which.iter().map(|&at| &*self.bound[at].mapping).collect();
        let plan = assemble(parts, &mappings);
        Ok(Prepared { which, decided: Decided { plan, views }, left, already, waiting })
    }

    /// What is there now of every record that the run wrote to, and the names of those of which something waits.
    async fn records_now(
        &self,
        bound: &Bound<W>,
        view: &View,
        done: &[Done],
        relatives: &Relatives,
    ) -> Result<(Vec<Pair>, BTreeSet<RecordName>), EngineError> {
        let mapping = &*bound.mapping;
        let names: BTreeSet<RecordName> =
            done.iter().map(|done| (done.step.key.clone(), done.step.page)).collect();
        let keys: Vec<RowKey> = names.iter().filter_map(|(key, _)| key.clone()).collect();
        let pages: Vec<PageId> = names.iter().filter_map(|(_, page)| *page).collect();
        let compact: Vec<CompactLink> = self.store.links_of(&mapping.name, &keys, &pages).await?;
        let ids: Vec<i64> = compact.iter().map(|link| link.id).collect();
        let links = self.store.links(mapping, &ids).await?;
        let unsettled = compact
            .iter()
            .filter(|link| link.unsettled)
            .map(|link| (Some(link.key.clone()), Some(link.page)))
            .collect();
        let moved: BTreeMap<i64, &Pair> =
            view.pairs.iter().filter_map(|pair| Some((pair.identity.link()?, pair))).collect();
        let removed: BTreeSet<RecordName> = done
            .iter()
            .filter(|done| matches!(done.step.action, Action::Trash | Action::Delete))
            .map(|done| (done.step.key.clone(), done.step.page))
            .collect();
        // A look for changes does not see that something is still away, nor what it set aside.
        let unseen = |link: &Link| {
            let is_it = |key: Option<&RowKey>, page| key == Some(&link.key) || page == Some(link.page);
            let set_aside = view.skipped.iter().any(|skipped| is_it(skipped.key.as_ref(), skipped.page));
            let name = (Some(link.key.clone()), Some(link.page));
            set_aside || link.apart.is_some() || removed.contains(&name)
        };
        let mut pairs = Vec::with_capacity(names.len());
        // What the look did not say is asked for: records that are not linked any more, and those it set aside.
        let mut asked: Vec<Identity> = Vec::new();
        for link in &links {
            match moved.get(&link.id) {
                Some(pair) => pairs.push((*pair).clone()),
                None if unseen(link) => asked.push(Identity::Linked(link.clone())),
                None => pairs.push(Pair {
                    identity: Identity::Linked(link.clone()),
                    seen: Sides { postgres: Observation::Unchanged, notion: Observation::Unchanged },
                }),
            }
        }
        for (key, page) in &names {
            let is_linked = |link: &Link| key.as_ref() == Some(&link.key) || *page == Some(link.page);
            if let (false, Some(key), Some(page)) = (links.iter().any(is_linked), key, page) {
                asked.push(Identity::Adopted { key: key.clone(), page: *page });
            }
        }
        if !asked.is_empty() {
            pairs.extend(self.ask(bound, asked, relatives).await?);
        }
        Ok((pairs, unsettled))
    }

    /// Looks at records one by one, on both sides.
    async fn ask(
        &self,
        bound: &Bound<W>,
        records: Vec<Identity>,
        relatives: &Relatives,
    ) -> Result<Vec<Pair>, EngineError> {
        let name = bound.mapping.name.as_str();
        let keys: BTreeSet<RowKey> = records.iter().filter_map(Identity::key).cloned().collect();
        let pages: BTreeSet<PageId> = records.iter().filter_map(Identity::page).collect();
        let (keys, pages): (Vec<RowKey>, Vec<PageId>) =
            (keys.into_iter().collect(), pages.into_iter().collect());
        let (mut rows_seen, mut pages_seen) = (BTreeMap::new(), BTreeMap::new());
        let mut take_row = |row: Seen<RowKey>| {
            rows_seen.insert(row.id, row.observation);
        };
        let mut take_page = |page: Seen<PageId>| {
            pages_seen.insert(page.id, page.observation);
        };
        let rows = bound.rows.look(Scope::These(&keys), &mut take_row).await;
        rows.map_err(|error| rows_error(name, error))?;
        let look = bound.pages.look(Scope::These(&pages), relatives, &mut take_page);
        self.keeping_lease(look).await?.map_err(|error| pages_error(name, error))?;
        let silent = || Observation::Unreadable("nothing was said about it".to_owned());
        let pair = |identity: Identity| {
            let postgres = identity.key().and_then(|key| rows_seen.get(key).cloned());
            let notion = identity.page().and_then(|page| pages_seen.get(&page).cloned());
            let seen =
                Sides { postgres: postgres.unwrap_or_else(silent), notion: notion.unwrap_or_else(silent) };
            Pair { identity, seen }
        };
        Ok(records.into_iter().map(pair).collect())
    }
}

/// How many steps a run has done.
pub(super) fn written(run: &Run) -> u64 {
    let of = |report: &super::MappingReport| {
        let (notion, postgres) = (&report.to_notion, &report.to_postgres);
        notion.created
            + notion.updated
            + notion.trashed
            + postgres.inserted
            + postgres.updated
            + postgres.deleted
    };
    run.mappings.values().map(of).sum()
}

/// The columns that the run wrote to and that are not what they were.
fn reshaped(mapping: &Mapping, past: &PastRun, steps: &[DoneStep]) -> Vec<String> {
    let shapes = past.shapes.get(&mapping.name);
    let touched: BTreeSet<&String> = steps
        .iter()
        .filter(|step| step.mapping == mapping.name)
        .flat_map(|step| step.step.fields.iter().filter_map(|write| step.columns.get(write.field)))
        .collect();
    let is_other = |column: &str| match mapping.field(column).and_then(|at| mapping.fields.get(at)) {
        None => true,
        // A run of an older pagerow did not say what its fields were.
        Some(field) => shapes
            .and_then(|shapes| shapes.get(column))
            .is_some_and(|shape| *shape != field.shape().to_string()),
    };
    touched.into_iter().filter(|column| is_other(column)).cloned().collect()
}

/// The journal's steps with the fields' numbers as they are now.
fn named_now(mapping: &Mapping, steps: Vec<DoneStep>) -> Option<Vec<Done>> {
    let now = |step: DoneStep| {
        let DoneStep { seq, columns, step, shown, .. } = step;
        let mut fields = Vec::with_capacity(step.fields.len());
        for mut write in step.fields {
            write.field = mapping.field(columns.get(write.field)?)?;
            fields.push(write);
        }
        let shown =
            shown.into_iter().filter_map(|(column, value)| Some((mapping.field(&column)?, value))).collect();
        Some(Done { seq, step: Step { fields, ..step }, shown, inferred: false })
    };
    steps.into_iter().map(now).collect()
}
