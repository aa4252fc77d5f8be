//! Rebuilding one side from the other: a plan like any other, in which what is lost is made again instead of its other
//! half being deleted.
//!
//! Nothing but this side is written, and no cursor moves: whatever else there is to do, the next sync finds.

mod rounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pagerow_core::{
    digest::Digest,
    guard::{self, Against, Refusal},
    mapping::{Field, Mapping},
    matching::Confidence,
    observation::{Absence, Identity, Observation, Pair},
    plan::{Plan, Step},
    planner::{Planner, Unpaged, assemble},
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::{Ref, Value},
};

use tokio::time::Instant;

use self::rounds::LostRecords;
use super::{
    Depth, Engine, EngineError, Parts,
    cycle::Decided,
    look::{RecordName, View, rows_error},
    matching::{Comparing, Matches},
    report::{Report, Run},
};
use crate::{
    replica::{Portions, Rows},
    store::{
        Answered, Attention as _, Choices, CompactLink, Identities as _, Links, Operations, Runs as _,
        Transaction, Transactions,
    },
};

/// References that close a circle follow in a second plan; what waits for them may take a few more.
const MOST_ROUNDS: u32 = 6;

/// So long a page that was not there is taken not to be there.
const ABSENT: Duration = Duration::from_secs(600);

/// How many links are read at once.
const CHUNK: usize = 2_000;

/// What is to be rebuilt.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The side on which something was lost.
    pub side: Side,
    /// Of these mappings; of all when none is named.
    pub mappings: Vec<String>,
    /// Mappings whose data source was made anew: none of the pages that they had is there any more.
    pub remade: BTreeSet<String>,
    /// Rows whose backup cannot be read are made again all the same, without the columns that only it holds.
    pub without_backup: bool,
    /// Only the records of these rows; all when none is named.
    pub records: BTreeSet<RowKey>,
    /// Rows and pages that no link and no key brings together are taken for one record when they are at least so surely
    /// one. What is less sure waits for a person.
    pub accept: Confidence,
}

/// What a recovery would do.
#[derive(Clone, Debug)]
pub struct RecoveryPlan {
    pub plan: Plan,
    /// What the guard would stop it for.
    pub refusals: Vec<Refusal>,
    /// By mapping, what was found out about rows and pages without a link.
    pub matches: Vec<Matches>,
    /// By mapping, how many of the missing pages were not asked for: they are in the trash as far as others tell.
    pub presumed: Vec<(String, u64)>,
}

/// A plan with everything that carrying it out needs.
struct Prepared {
    decided: Decided,
    against: Vec<Against>,
    /// By the plan's mappings: lost records that refer to others.
    lost: Vec<LostRecords>,
    /// By the plan's mappings: pages that are not there.
    absent: Vec<BTreeMap<PageId, Absence>>,
    matches: Vec<Matches>,
    presumed: Vec<(String, u64)>,
}

impl<W: Parts> Engine<W>
where
    W::Store: Operations,
    W::Pages: Portions,
{
    /// What a recovery would do, and what of it the guard would stop. Writes nothing to either side.
    ///
    /// # Errors
    /// When a side cannot be looked at.
    pub async fn plan_recovery(&mut self, what: &Recovery) -> Result<RecoveryPlan, EngineError> {
        let which = self.to_rebuild(what)?;
        self.take_lease().await?;
        self.find_its_place().await?;
        let mut doubtful = Vec::with_capacity(which.len());
        for &at in &which {
            let open = self.store.open_steps(&self.bound[at].mapping.name).await?;
            doubtful.push(open.into_iter().filter_map(|open| open.step.key).collect());
        }
        let operation = self.know_pages(what, &which).await?;
        // On the heap: what looks at both sides is large.
        let prepared = Box::pin(self.prepare_recovery(what, &which, &doubtful)).await?;
        self.remember_absences(what, &which, &prepared);
        let Prepared { decided, against, matches, presumed, .. } = prepared;
        if let (true, Some(operation)) = (decided.plan.is_empty(), operation) {
            self.end_retrieval(operation).await?;
        }
        Ok(match guard::check(decided.plan, &against, &[]) {
            Ok(approved) => {
                RecoveryPlan { plan: approved.into_plan(), refusals: Vec::new(), matches, presumed }
            }
            Err(refused) => {
                RecoveryPlan { plan: refused.plan, refusals: refused.refusals, matches, presumed }
            }
        })
    }

    /// From now on, new rows of a mapping that are not given this column get this value. `false` when its table has no
    /// such column.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMapping`], and what the database says.
    pub async fn fill(&self, mapping: &str, column: &str, value: &str) -> Result<bool, EngineError> {
        let bound = self.bound.iter().find(|bound| bound.mapping.name == mapping);
        let bound = bound.ok_or_else(|| EngineError::NoSuchMapping(mapping.to_owned()))?;
        bound.rows.fill(column, value).await.map_err(|error| rows_error(mapping, error))
    }

    /// Rebuilds a side, as a run of its own. `only` names the plan that was shown; `pass` lets it past the guard.
    ///
    /// # Errors
    /// [`EngineError::StalePlan`] when the state is not the one that was shown, and [`EngineError::Refused`] when the
    /// guard stops it; when a side cannot be looked at or refuses to go on. What was done until then is kept, and the
    /// same command goes on from there.
    pub async fn recover(
        &mut self,
        what: &Recovery,
        only: Option<Digest>,
        pass: Option<Digest>,
    ) -> Result<Report, EngineError> {
        let which = self.to_rebuild(what)?;
        self.take_lease().await?;
        self.find_its_place().await?;
        let from = match what.side {
            Side::Postgres => "recover from-notion",
            Side::Notion => "recover to-notion",
        };
        let mut run = Run::new(from, self.calls());
        let result = Box::pin(self.carry_recovery_out(&mut run, what, &which, (only, pass))).await;
        self.known.clear();
        let quiet = result.as_ref().map(|()| run.failed == 0 && run.doubts + run.unsure == 0);
        let closed = self.close(run, &which, quiet, result.as_ref().err()).await;
        result.and(closed)
    }

    /// The places of the mappings; a view has no rows that could be made again.
    fn to_rebuild(&self, what: &Recovery) -> Result<Vec<usize>, EngineError> {
        let mut which = self.which(&what.mappings)?;
        which.retain(|&at| what.side == Side::Notion || self.bound[at].rows.are_writable());
        Ok(which)
    }

    async fn carry_recovery_out(
        &mut self,
        run: &mut Run,
        what: &Recovery,
        which: &[usize],
        (only, pass): (Option<Digest>, Option<Digest>),
    ) -> Result<(), EngineError> {
        let doubtful = self.finish_open_steps(run, which).await?;
        let operation = self.know_pages(what, which).await?;
        let prepared = Box::pin(self.prepare_recovery(what, which, &doubtful)).await?;
        let Prepared { decided, against, mut lost, .. } = prepared;
        let approved = guard::check(decided.plan, &against, pass.as_slice()).map_err(EngineError::Refused)?;
        if let Some(kept) = only.filter(|kept| *kept != approved.hash()) {
            return Err(EngineError::StalePlan { kept, now: approved.hash() });
        }
        let views = decided.views;
        approved.plan().mappings.iter().for_each(|part| run.count_asked(part));
        Box::pin(self.carry_out(run, which, &approved, &views, waiting(approved.plan()))).await?;
        self.know_tables(what, which, &views).await?;
        self.forget_followed(which).await?;

        let mut healed = done_of(run, approved.plan());
        let mut troubled = std::mem::take(&mut run.troubled);
        for _ in 0..MOST_ROUNDS {
            for (&at, lost) in which.iter().zip(&mut lost) {
                lost.learn(&self.bound[at].mapping.name, run);
            }
            let parts = self.plan_references(what, which, &views, &lost).await?;
            let mappings: Vec<&Mapping> = which.iter().map(|&at| &*self.bound[at].mapping).collect();
            let plan = assemble(parts, &mappings);
            if plan.steps().next().is_none() {
                break;
            }
            // What this writes is a part of the recovery that was approved.
            let approved = guard::check(plan, &against, pass.as_slice()).map_err(EngineError::Refused)?;
            run.stuck.clear();
            run.left_out.clear();
            Box::pin(self.carry_out(run, which, &approved, &views, waiting(approved.plan()))).await?;
            let done = done_of(run, approved.plan());
            troubled.retain(|name| !done.contains(name));
            troubled.append(&mut run.troubled);
            if done.is_empty() {
                // It does not come any further.
                break;
            }
            healed.extend(done);
        }
        run.failed = troubled.len() as u64;
        self.unpark(&healed).await?;
        // Others may have taken keys and pages out of what is known of relatives.
        self.relatives = None;
        if let Some(operation) = operation {
            self.remember_kept(which).await?;
            self.end_retrieval(operation).await?;
        }
        Ok(())
    }

    /// Retrieves all pages from which rows are to be made again. Pages that are to be made again are asked for one by
    /// one, and once.
    async fn know_pages(&mut self, what: &Recovery, which: &[usize]) -> Result<Option<i64>, EngineError> {
        if what.side == Side::Postgres {
            return self.retrieve(which).await.map(Some);
        }
        let is_old = self.known_at.is_none_or(|at| at.elapsed() > ABSENT);
        if is_old {
            self.known.clear();
        }
        for &at in which {
            let name = &self.bound[at].mapping.name;
            let mut known = self.known.remove(name).unwrap_or_default();
            if what.remade.contains(name) && known.absent.is_empty() {
                let absent = &mut known.absent;
                let mut take = |link: CompactLink| {
                    absent.insert(link.page, Absence::Unreachable);
                };
                self.store.each_link(name, &mut take).await?;
            }
            known.presumes = true;
            self.known.insert(name.clone(), known);
        }
        Ok(None)
    }

    /// Remembers which pages are not there, so that carrying the plan out need not ask for each again.
    fn remember_absences(&mut self, what: &Recovery, which: &[usize], prepared: &Prepared) {
        if what.side == Side::Postgres {
            return;
        }
        self.known_at = Some(Instant::now());
        for (&at, absent) in which.iter().zip(&prepared.absent) {
            if let Some(known) = self.known.get_mut(&self.bound[at].mapping.name) {
                known.absent.clone_from(absent);
            }
        }
    }

    /// What waited for what it refers to, and has been written since, waits no longer.
    async fn unpark(&self, healed: &BTreeSet<(String, RecordName)>) -> Result<(), EngineError> {
        let mappings: BTreeSet<&String> = healed.iter().map(|(mapping, _)| mapping).collect();
        for mapping in mappings {
            let mut answered = Answered::default();
            for parked in self.store.parked(Some(mapping)).await? {
                if healed.contains(&(mapping.clone(), (parked.key.clone(), parked.page))) {
                    answered.parked(&parked);
                }
            }
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            self.store.answer(&mut tx, &answered).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn prepare_recovery(
        &mut self,
        what: &Recovery,
        which: &[usize],
        doubtful: &[BTreeSet<RowKey>],
    ) -> Result<Prepared, EngineError> {
        let stop = self.stop.clone();
        let looks = self.look_at_all(which, Depth::Everything, doubtful);
        let mut views = Self::unless_stopped(stop, looks).await?;
        self.name_the_found(which, &mut views);
        let presumed = which.iter().zip(&views).filter(|(_, view)| view.presumed > 0);
        let presumed =
            presumed.map(|(&at, view)| (self.bound[at].mapping.name.clone(), view.presumed)).collect();
        let how = Comparing {
            accept: what.accept,
            least: Confidence::Low,
            records: &what.records,
            which: |_| true,
        };
        let matches = self.match_unlinked(&how, which, &mut views).await?;
        let unpaged = match what.side {
            Side::Notion => self.unpaged(which, &views),
            Side::Postgres => Unpaged::new(),
        };
        self.add_referrers(which, &mut views, &unpaged).await?;
        let (mut parts, mut lost, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (&at, view) in which.iter().zip(&mut views) {
            let mapping = &*self.bound[at].mapping;
            let mut planner = Planner::new(mapping, view.census)
                .of_lost_bases(view.lost.is_some())
                .recovering(Some(what.side))
                .without_pages_of(&unpaged);
            absent.push(view.pairs.iter().filter_map(absent_page).collect());
            let refers = mapping.fields.iter().any(|field| field.related().is_some());
            let mut lost_here = LostRecords::default();
            for pair in std::mem::take(&mut view.pairs).into_iter().filter(|pair| what.holds(pair)) {
                planner.consider(&pair);
                if refers {
                    lost_here.take(what.side, &pair);
                }
            }
            view.skipped.drain(..).for_each(|skipped| planner.skip(skipped));
            parts.push(planner.finish());
            lost.push(lost_here);
        }
        if what.side == Side::Postgres {
            for (&at, part) in which.iter().zip(&mut parts) {
                self.take_backups(&self.bound[at], part, what.without_backup).await?;
                self.prefer_what_is_kept(&self.bound[at], part).await?;
            }
        }
        let mappings: Vec<&Mapping> = which.iter().map(|&at| &*self.bound[at].mapping).collect();
        for ((mapping, part), lost) in mappings.iter().zip(&parts).zip(&mut lost) {
            lost.compare(mapping, part);
        }
        let plan = assemble(parts, &mappings);
        let mut against = self.weights(which, &plan, &views).await?;
        against.iter_mut().for_each(|against| against.recovering = Some(what.side));
        Ok(Prepared { decided: Decided { plan, views }, against, lost, absent, matches, presumed })
    }

    /// By mapping, the rows whose pages are gone for good.
    fn unpaged(&self, which: &[usize], views: &[View]) -> Unpaged {
        let key = |pair: &Pair| match (&pair.identity, &pair.seen.notion) {
            (Identity::Linked(link), Observation::Absent(Absence::Unreachable)) => Some(link.key.clone()),
            _ => None,
        };
        let of_one = |(&at, view): (&usize, &View)| {
            (self.bound[at].mapping.name.clone(), view.pairs.iter().filter_map(key).collect())
        };
        which.iter().zip(views).map(of_one).collect()
    }

    /// Adds records to the views that are as they were settled, and whose pages refer to pages that are gone for good.
    async fn add_referrers(
        &self,
        which: &[usize],
        views: &mut [View],
        unpaged: &Unpaged,
    ) -> Result<(), EngineError> {
        for (&at, view) in which.iter().zip(views) {
            let mapping = &*self.bound[at].mapping;
            let lost = |field: &Field| unpaged.get(field.related()?).filter(|keys| !keys.is_empty());
            let relations: Vec<(usize, &BTreeSet<RowKey>)> = (mapping.fields.iter().enumerate())
                .filter_map(|(place, field)| Some((place, lost(field)?)))
                .collect();
            if relations.is_empty() {
                continue;
            }
            let seen: BTreeSet<i64> = view.pairs.iter().filter_map(|pair| pair.identity.link()).collect();
            let mut ids = Vec::new();
            self.store.each_link(&mapping.name, &mut |link| ids.push(link.id)).await?;
            ids.retain(|id| !seen.contains(id));
            for chunk in ids.chunks(CHUNK) {
                for link in self.store.links(mapping, chunk).await? {
                    let refers = |(place, lost): &(usize, &BTreeSet<RowKey>)| {
                        link.base.notion.get(*place).is_some_and(|value| names_one_of(value, lost))
                    };
                    if relations.iter().any(refers) {
                        let seen = Sides { postgres: Observation::Unchanged, notion: Observation::Unchanged };
                        view.pairs.push(Pair { identity: Identity::Linked(link), seen });
                    }
                }
            }
        }
        Ok(())
    }

    /// The recovered side has another table than the one that was synced: it is this one from now on.
    async fn know_tables(&self, what: &Recovery, which: &[usize], views: &[View]) -> Result<(), EngineError> {
        if what.side != Side::Postgres {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for (&at, view) in which.iter().zip(views) {
            if let Some(table) = view.table.as_ref().filter(|table| view.known_table.as_ref() != Some(*table))
            {
                self.store.keep_table(&mut tx, &self.bound[at].mapping.name, table).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// What people said about who belongs to whom has become links.
    async fn forget_followed(&self, which: &[usize]) -> Result<(), EngineError> {
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for &at in which {
            self.store.forget_followed(&mut tx, &self.bound[at].mapping.name).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Recovery {
    fn holds(&self, pair: &Pair) -> bool {
        let marker = || match &pair.seen.notion {
            Observation::Present(page) => page.marker.as_deref().map(RowKey::from),
            Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => None,
        };
        let key = || pair.identity.key().cloned().or_else(marker);
        self.records.is_empty() || key().is_some_and(|key| self.records.contains(&key))
    }
}

fn absent_page(pair: &Pair) -> Option<(PageId, Absence)> {
    match (pair.identity.page(), &pair.seen.notion) {
        (Some(page), Observation::Absent(how)) => Some((page, *how)),
        _ => None,
    }
}

fn names_one_of(value: &Value, keys: &BTreeSet<RowKey>) -> bool {
    match value {
        Value::Ref(Ref::Row(key)) => keys.contains(key),
        Value::Set(items) => items.iter().any(|item| names_one_of(item, keys)),
        Value::List(items) => items.iter().any(|item| names_one_of(item, keys)),
        _ => false,
    }
}

/// The records of a plan of which no step failed.
fn done_of(run: &Run, plan: &Plan) -> BTreeSet<(String, RecordName)> {
    let name =
        |(at, step): (usize, &Step)| (plan.mappings[at].mapping.clone(), (step.key.clone(), step.page));
    plan.steps().map(name).filter(|name| !run.stuck.contains(name)).collect()
}

/// By mapping, the records of which something waits.
fn waiting(plan: &Plan) -> BTreeMap<String, BTreeSet<RecordName>> {
    plan.mappings.iter().map(|part| (part.mapping.clone(), super::act::troubled(part))).collect()
}
