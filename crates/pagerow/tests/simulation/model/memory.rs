//! pagerow's own tables, modelled: links with their bases, runs and their journal, cursors, and the lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use pagerow::store::{
    Choice, Choices, CompactLink, Cursors, JournalEntry, Lease, Leases, LinkWrite, Links, MappingState,
    OpenStep, Question, Questions, Runs, Staged, StepUpdate, StoreError, Transaction as _, Transactions as _,
};
use pagerow_core::{
    audit::Entry,
    digest::Digest,
    fidelity::Reason,
    guard::Refusal,
    journal::Status,
    mapping::Mapping,
    observation::Link,
    plan::Step,
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{
    Server, Tx,
    attention::{ConflictRow, ParkedRow, RevisitRow},
    identity::Identity,
    server::{Lock, lost},
    shared::Shared,
};

/// The tables' rows.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) links: Shared<BTreeMap<i64, Arc<LinkRow>>>,
    pub(crate) buried: Shared<BTreeMap<i64, Arc<LinkRow>>>,
    /// By link: since when one of its halves is gone.
    pub(crate) absences: Shared<BTreeMap<i64, Timestamp>>,
    pub(crate) runs: Shared<BTreeMap<i64, RunRow>>,
    pub(crate) steps: Shared<BTreeMap<(i64, i32), Arc<StepRow>>>,
    pub(crate) cursors: Shared<BTreeMap<(String, Side), Json>>,
    pub(crate) states: Shared<BTreeMap<String, MappingState>>,
    pub(crate) conflicts: Shared<BTreeMap<i64, Arc<ConflictRow>>>,
    pub(crate) parked: Shared<BTreeMap<i64, Arc<ParkedRow>>>,
    pub(crate) revisits: Shared<BTreeMap<i64, RevisitRow>>,
    pub(crate) lease: Option<LeaseRow>,
    pub(crate) audit: Shared<Vec<Arc<Entry>>>,
    pub(crate) identity: Shared<Identity>,
}

#[derive(Clone, Debug)]
pub(crate) struct LinkRow {
    pub(crate) id: i64,
    pub(crate) mapping: String,
    pub(crate) key: RowKey,
    pub(crate) page: PageId,
    pub(crate) base: Sides<Record>,
    pub(crate) digest: Sides<Digest>,
    pub(crate) unsettled: bool,
    pub(crate) apart: Option<Side>,
    pub(crate) settled_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct RunRow {
    pub(crate) state: String,
    pub(crate) overridden: usize,
    pub(crate) undone_by: Option<i64>,
    pub(crate) shapes: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug)]
pub(crate) struct StepRow {
    pub(crate) mapping: String,
    pub(crate) status: Status,
    pub(crate) step: Step,
    pub(crate) key: Option<RowKey>,
    pub(crate) page: Option<PageId>,
    pub(crate) reason: Option<Reason>,
    pub(crate) columns: Vec<String>,
    pub(crate) shown: Option<String>,
    pub(crate) intended_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct LeaseRow {
    holder: String,
    epoch: i64,
    expires_at: Timestamp,
}

impl LeaseRow {
    /// Whether it runs, and is not held by the engine of this name.
    pub(crate) fn is_of_another(&self, engine: Uuid, now: Timestamp) -> bool {
        self.expires_at > now && !self.holder.ends_with(&engine.to_string())
    }
}

impl LinkRow {
    fn compact(&self) -> CompactLink {
        CompactLink {
            id: self.id,
            key: self.key.clone(),
            page: self.page,
            digest: self.digest,
            unsettled: self.unsettled,
        }
    }

    fn whole(&self) -> Link {
        Link {
            id: self.id,
            key: self.key.clone(),
            page: self.page,
            base: self.base.clone(),
            apart: self.apart,
        }
    }

    fn of(id: i64, mapping: &Mapping, write: &LinkWrite, now: Timestamp) -> Self {
        let mut scratch = Vec::new();
        let marker = mapping.key_property.then(|| write.key.as_str());
        Self {
            id,
            mapping: mapping.name.clone(),
            key: write.key.clone(),
            page: write.page,
            base: write.base.clone(),
            digest: Sides {
                postgres: Digest::of_record(mapping, &write.base.postgres, None, &mut scratch),
                notion: Digest::of_record(mapping, &write.base.notion, marker, &mut scratch),
            },
            unsettled: write.unsettled,
            apart: write.apart,
            settled_at: now,
        }
    }
}

impl Memory {
    fn of_mapping<'a>(&'a self, mapping: &'a str) -> impl Iterator<Item = &'a Arc<LinkRow>> {
        self.links.values().filter(move |link| link.mapping == mapping)
    }

    /// What the unique constraints of the table refuse.
    fn is_taken(&self, link: &LinkRow) -> bool {
        self.of_mapping(&link.mapping)
            .any(|other| other.id != link.id && (other.key == link.key || other.page == link.page))
    }

    fn lose_track(&mut self, mapping: Option<&str>, since: Timestamp) {
        let is_lost = |step: &StepRow| {
            step.status == Status::Intended && mapping.is_none_or(|name| step.mapping == name)
        };
        if !self.steps.values().any(|step| is_lost(step)) {
            return;
        }
        for step in self.steps.values_mut().filter(|step| is_lost(step)) {
            let step = Arc::make_mut(step);
            step.status = Status::Unknown;
            step.finished_at = Some(since);
        }
    }
}

impl Links for Server {
    async fn each_link(
        &self,
        mapping: &str,
        found: &mut (dyn FnMut(CompactLink) + Send),
    ) -> Result<(), StoreError> {
        let links: Vec<CompactLink> =
            self.read(|db| db.memory.of_mapping(mapping).map(|link| link.compact()).collect()).await?;
        links.into_iter().for_each(found);
        Ok(())
    }

    async fn count_links(&self, mapping: &str) -> Result<u64, StoreError> {
        self.read(|db| db.memory.of_mapping(mapping).count() as u64).await
    }

    async fn links_of(
        &self,
        mapping: &str,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> Result<Vec<CompactLink>, StoreError> {
        let (keys, pages): (BTreeSet<&RowKey>, BTreeSet<&PageId>) =
            (keys.iter().collect(), pages.iter().collect());
        self.read(|db| {
            db.memory
                .of_mapping(mapping)
                .filter(|link| keys.contains(&link.key) || pages.contains(&link.page))
                .map(|link| link.compact())
                .collect()
        })
        .await
    }

    async fn settled_lately(
        &self,
        mapping: &str,
        ids: &[i64],
        within: Duration,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let now = self.stage.database_now();
        let lately = |at: Timestamp| now.duration_since(at).as_secs_f64() < within.as_secs_f64();
        self.read(|db| {
            db.memory
                .of_mapping(mapping)
                .filter(|link| ids.contains(&link.id) && lately(link.settled_at))
                .map(|link| link.id)
                .collect()
        })
        .await
    }

    async fn links(&self, mapping: &Mapping, ids: &[i64]) -> Result<Vec<Link>, StoreError> {
        let ids: BTreeSet<i64> = ids.iter().copied().collect();
        self.read(|db| whole_links(&db.memory, &mapping.name, &ids)).await
    }

    async fn links_in(&self, tx: &mut Tx, mapping: &Mapping, ids: &[i64]) -> Result<Vec<Link>, StoreError> {
        let (name, ids) = (mapping.name.clone(), ids.iter().copied().collect::<BTreeSet<i64>>());
        tx.run(move |db| whole_links(&db.memory, &name, &ids)).await
    }

    async fn keep_links(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        links: &[LinkWrite],
    ) -> Result<Vec<i64>, StoreError> {
        let now = tx.now;
        let ids: Vec<i64> = links.iter().map(|link| link.id.unwrap_or_else(|| self.number())).collect();
        let rows: Vec<(bool, LinkRow)> = links
            .iter()
            .zip(&ids)
            .map(|(link, id)| (link.id.is_none(), LinkRow::of(*id, mapping, link, now)))
            .collect();
        let kept = tx
            .run(move |db| {
                rows.iter().all(|(is_new, row)| {
                    let known = db.memory.links.get(&row.id);
                    let row = match known {
                        // An update leaves the page as it is, and one of a link that is gone does nothing.
                        Some(known) => LinkRow { page: known.page, apart: known.apart, ..row.clone() },
                        None if *is_new => row.clone(),
                        None => return true,
                    };
                    let free = !db.memory.is_taken(&row);
                    if free {
                        if *is_new {
                            let other = |link: &LinkRow| {
                                link.mapping != row.mapping || (link.key != row.key && link.page != row.page)
                            };
                            db.memory.buried.retain(|_, link| other(link));
                        }
                        db.memory.links.insert(row.id, Arc::new(row));
                    }
                    free
                })
            })
            .await?;
        if kept { Ok(ids) } else { Err(StoreError::Lost("the uniqueness of a link")) }
    }

    async fn mark_unsettled(&self, tx: &mut Tx, ids: &[i64], unsettled: bool) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        tx.run(move |db| {
            for id in &ids {
                if let Some(link) = db.memory.links.get_mut(id) {
                    Arc::make_mut(link).unsettled = unsettled;
                }
            }
        })
        .await
    }

    async fn set_apart(&self, tx: &mut Tx, ids: &[i64], side: Option<Side>) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        tx.run(move |db| {
            for id in &ids {
                if let Some(link) = db.memory.links.get_mut(id)
                    && (link.apart.is_none() || side.is_none())
                {
                    Arc::make_mut(link).apart = side;
                }
            }
        })
        .await
    }

    async fn forget_links(&self, tx: &mut Tx, ids: &[i64]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        tx.run(move |db| {
            for id in &ids {
                db.memory.absences.remove(id);
                let gone = db.memory.links.remove(id);
                db.memory.buried.extend(gone.map(|link| (*id, link)));
            }
        })
        .await
    }

    async fn buried_of(
        &self,
        mapping: &Mapping,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> Result<Vec<Link>, StoreError> {
        let named = |link: &&Arc<LinkRow>| {
            link.mapping == mapping.name && (keys.contains(&link.key) || pages.contains(&link.page))
        };
        self.read(|db| db.memory.buried.values().filter(named).map(|link| link.whole()).collect()).await
    }

    async fn raise_links(&self, tx: &mut Tx, ids: &[i64]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        let raised = tx
            .run(move |db| {
                ids.iter().all(|id| {
                    let Some(mut link) = db.memory.buried.remove(id) else { return true };
                    (Arc::make_mut(&mut link).unsettled, Arc::make_mut(&mut link).apart) = (true, None);
                    let free = !db.memory.is_taken(&link);
                    db.memory.links.insert(*id, link);
                    free
                })
            })
            .await?;
        if raised { Ok(()) } else { Err(StoreError::Lost("the uniqueness of a link")) }
    }

    async fn absences(&self, mapping: &str) -> Result<BTreeMap<i64, f64>, StoreError> {
        let now = self.stage.database_now();
        self.read(|db| {
            let of_mapping = |id: &i64| db.memory.links.get(id).is_some_and(|link| link.mapping == mapping);
            let absences = db.memory.absences.iter().filter(|(id, _)| of_mapping(id));
            absences.map(|(id, since)| (*id, now.duration_since(*since).as_secs_f64())).collect()
        })
        .await
    }

    async fn keep_absences(
        &self,
        tx: &mut Tx,
        _mapping: &str,
        gone: &[i64],
        back: &[i64],
    ) -> Result<(), StoreError> {
        let (now, gone, back) = (tx.now, gone.to_vec(), back.to_vec());
        tx.run(move |db| {
            for id in gone.iter().filter(|id| db.memory.links.contains_key(id)) {
                db.memory.absences.entry(*id).or_insert(now);
            }
            back.iter().for_each(|id| {
                db.memory.absences.remove(id);
            });
        })
        .await
    }
}

fn whole_links(memory: &Memory, mapping: &str, ids: &BTreeSet<i64>) -> Vec<Link> {
    memory.of_mapping(mapping).filter(|link| ids.contains(&link.id)).map(|link| link.whole()).collect()
}

impl Runs for Server {
    async fn open_run(&self, tx: &mut Tx, _origin: &str) -> Result<i64, StoreError> {
        let id = self.number();
        let row =
            RunRow { state: "running".to_owned(), overridden: 0, undone_by: None, shapes: BTreeMap::new() };
        tx.run(move |db| db.memory.runs.insert(id, row.clone())).await?;
        Ok(id)
    }

    async fn add_plan(
        &self,
        tx: &mut Tx,
        run: i64,
        _hash: Digest,
        overridden: &[Refusal],
    ) -> Result<(), StoreError> {
        let passed = overridden.len();
        tx.run(move |db| {
            if let Some(run) = db.memory.runs.get_mut(&run) {
                run.overridden += passed;
            }
        })
        .await
    }

    async fn close_run(
        &self,
        run: i64,
        state: &str,
        _calls: i64,
        _error: Option<&str>,
        _report: &Json,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.is_private = true;
        let state = state.to_owned();
        tx.run(move |db| {
            if let Some(run) = db.memory.runs.get_mut(&run) {
                run.state.clone_from(&state);
            }
        })
        .await?;
        tx.commit().await
    }

    async fn lose_track(
        &self,
        tx: &mut Tx,
        mapping: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mapping = mapping.map(str::to_owned);
        let now = self.stage.database_now();
        let since = since.map_or(now, |since| since.min(now));
        tx.run(move |db| db.memory.lose_track(mapping.as_deref(), since)).await
    }

    async fn journal(&self, tx: &mut Tx, run: i64, entries: &[JournalEntry<'_>]) -> Result<(), StoreError> {
        let now = self.stage.database_now();
        let rows: Vec<((i64, i32), Arc<StepRow>)> = entries
            .iter()
            .map(|entry| {
                let row = StepRow {
                    mapping: entry.mapping.to_owned(),
                    status: entry.status,
                    step: entry.step.clone(),
                    key: entry.key.or(entry.step.key.as_ref()).cloned(),
                    page: entry.step.page,
                    reason: entry.reason.clone(),
                    columns: entry.columns.to_vec(),
                    shown: entry.shown.clone(),
                    intended_at: now,
                    finished_at: (!entry.status.is_open()).then_some(now),
                };
                ((run, entry.seq), Arc::new(row))
            })
            .collect();
        let is_new = tx
            .run(move |db| {
                let is_new = rows.iter().all(|(name, _)| !db.memory.steps.contains_key(name));
                db.memory.steps.extend(rows.iter().cloned());
                is_new
            })
            .await?;
        if is_new { Ok(()) } else { Err(StoreError::Lost("the uniqueness of a step")) }
    }

    async fn conclude(&self, tx: &mut Tx, run: i64, updates: &[StepUpdate]) -> Result<(), StoreError> {
        let now = self.stage.database_now();
        let updates = updates.to_vec();
        tx.run(move |db| {
            for update in &updates {
                let Some(step) = db.memory.steps.get_mut(&(run, update.seq)) else { continue };
                let step = Arc::make_mut(step);
                step.status = update.status;
                step.page = update.page.or(step.page);
                step.reason.clone_from(&update.reason);
                step.shown.clone_from(&update.shown);
                step.finished_at = (update.status != Status::Intended).then_some(now);
            }
        })
        .await
    }

    async fn open_steps(&self, mapping: &str) -> Result<Vec<OpenStep>, StoreError> {
        let now = self.stage.database_now();
        self.read(|db| {
            db.memory
                .steps
                .iter()
                .filter(|(_, step)| step.mapping == mapping && step.status.is_open())
                .map(|((run, seq), step)| OpenStep {
                    run: *run,
                    seq: *seq,
                    step: step.step.clone(),
                    status: step.status,
                    age: now.duration_since(step.finished_at.unwrap_or(step.intended_at)).as_secs_f64(),
                })
                .collect()
        })
        .await
    }
}

impl Cursors for Server {
    async fn mapping_state(&self, mapping: &str) -> Result<MappingState, StoreError> {
        self.read(|db| db.memory.states.get(mapping).cloned().unwrap_or_default()).await
    }

    async fn keep_mapping_state(
        &self,
        tx: &mut Tx,
        mapping: &str,
        fingerprint: Digest,
        state: &MappingState,
    ) -> Result<(), StoreError> {
        let (mapping, state) = (mapping.to_owned(), state.clone());
        let state = MappingState { fingerprint: Some(fingerprint.to_string()), ..state };
        tx.run(move |db| {
            db.memory.states.insert(mapping.clone(), state.clone());
        })
        .await
    }

    async fn forget_count(&self, tx: &mut Tx, mapping: &str) -> Result<(), StoreError> {
        let mapping = mapping.to_owned();
        tx.run(move |db| {
            if let Some(state) = db.memory.states.get_mut(&mapping) {
                state.rows = None;
            }
        })
        .await
    }

    async fn cursor(&self, mapping: &str, side: Side) -> Result<Option<Json>, StoreError> {
        self.read(|db| db.memory.cursors.get(&(mapping.to_owned(), side)).cloned()).await
    }

    async fn move_cursor(
        &self,
        tx: &mut Tx,
        mapping: &str,
        side: Side,
        position: &Json,
    ) -> Result<(), StoreError> {
        let (name, position) = ((mapping.to_owned(), side), position.clone());
        tx.run(move |db| {
            db.memory.cursors.insert(name.clone(), position.clone());
        })
        .await
    }
}

/// Recoveries are not simulated: nothing is ever staged.
impl Staged for Server {
    async fn each_staged(
        &self,
        _operation: i64,
        _mapping: &str,
        _only: Option<&[PageId]>,
        _found: &mut (dyn FnMut(PageId, Json) + Send),
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Nobody says which row is which page.
impl Choices for Server {
    async fn choices(&self, _mapping: Option<&str>) -> Result<Vec<Choice>, StoreError> {
        Ok(Vec::new())
    }

    async fn choose(&self, _tx: &mut Tx, _choice: &Choice) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn take_back(&self, _tx: &mut Tx, _choice: &Choice) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn forget_followed(&self, _tx: &mut Tx, _mapping: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Nor does anybody ask.
impl Questions for Server {
    async fn questions(&self, _mapping: &str) -> Result<Vec<Question>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_questions(
        &self,
        _tx: &mut Tx,
        _mapping: &str,
        _asked: &[(Option<RowKey>, Option<PageId>)],
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn parted(&self, _mapping: &str) -> Result<BTreeSet<(RowKey, PageId)>, StoreError> {
        Ok(BTreeSet::new())
    }

    async fn part(
        &self,
        _tx: &mut Tx,
        _mapping: &str,
        _link: i64,
        _halves: &(RowKey, PageId),
        _by: &str,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn join(&self, _tx: &mut Tx, _mapping: &str, _halves: &(RowKey, PageId)) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Leases for Server {
    async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        is_gone: impl Fn(&str, Timestamp) -> bool + Send,
        begun: Duration,
    ) -> Result<Lease, StoreError> {
        let mut tx = self.begin().await?;
        if !tx.lock(&Lock::Lease).await? {
            let held = self.read(|db| db.memory.lease.clone()).await?;
            return Err(held.map_or_else(lost, |lease| self.held(&lease)));
        }
        let now = self.stage.database_now();
        let known = tx.run(|db| db.memory.lease.clone()).await?;
        let ended = |lease: &LeaseRow| lease.expires_at < now || lease.holder == holder;
        if let Some(lease) =
            known.as_ref().filter(|lease| !ended(lease) && !is_gone(&lease.holder, lease.expires_at))
        {
            return Err(self.held(lease));
        }
        let row = LeaseRow {
            holder: holder.to_owned(),
            epoch: known.as_ref().map_or(1, |lease| lease.epoch + 1),
            expires_at: after(now, Lease::TERM),
        };
        if known.as_ref().is_some_and(|lease| lease.holder != holder) {
            self.stage.count("a lease was taken over");
        }
        let (epoch, is_first) = (row.epoch, known.is_none());
        let over = known.filter(|lease| lease.holder == holder || is_gone(&lease.holder, lease.expires_at));
        let since = over.map_or(now, |lease| lease.expires_at).min(now);
        tx.run(move |db| {
            db.memory.lease = Some(row.clone());
            if !is_first {
                db.memory.lose_track(None, since);
                for run in db.memory.runs.values_mut().filter(|run| run.state == "running") {
                    run.state = "stopped".to_owned();
                }
            }
        })
        .await?;
        tx.commit().await?;
        Ok(Lease::new(name, holder, epoch, begun))
    }

    async fn fence(&self, tx: &mut Tx, lease: &Lease) -> Result<(), StoreError> {
        if !tx.lock(&Lock::Lease).await? {
            return Err(lost());
        }
        let (holder, epoch) = (lease.holder().to_owned(), lease.epoch());
        let until = after(self.stage.database_now(), Lease::TERM);
        let renewed = tx
            .run(move |db| match &mut db.memory.lease {
                Some(row) if row.holder == holder && row.epoch == epoch => {
                    row.expires_at = until;
                    true
                }
                Some(_) | None => false,
            })
            .await?;
        if !renewed {
            self.stage.count("a late holder was fenced off");
            return Err(StoreError::Fenced);
        }
        Ok(())
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        self.fence(&mut tx, lease).await?;
        tx.commit().await
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        tx.is_private = true;
        if !tx.lock(&Lock::Lease).await? {
            return Err(lost());
        }
        let (holder, epoch) = (lease.holder().to_owned(), lease.epoch());
        let now = self.stage.database_now();
        tx.run(move |db| {
            if let Some(row) = &mut db.memory.lease
                && row.holder == holder
                && row.epoch == epoch
            {
                row.expires_at = now.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(now);
            }
        })
        .await?;
        tx.commit().await
    }
}

impl Server {
    fn held(&self, lease: &LeaseRow) -> StoreError {
        let left = lease.expires_at.duration_since(self.stage.database_now()).as_secs().max(0);
        StoreError::Held { holder: lease.holder.clone(), seconds: left, until: lease.expires_at }
    }
}

fn after(now: Timestamp, term: Duration) -> Timestamp {
    let term = SignedDuration::try_from(term).unwrap_or(SignedDuration::MAX);
    now.saturating_add(term).unwrap_or(Timestamp::MAX)
}
