//! Carrying out an approved plan, wave by wave; cursors move when everything before them has settled.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    guard::{Approved, Refusal},
    mapping::{Field, Mapping},
    mutant::{self, Mutant},
    plan::{Action, Because, MappingPlan, Plan, Step, Why},
    record::{PageId, RowKey},
    settle,
    side::Side,
};

use super::{
    Engine, EngineError, Event, Parts, Progress, Tx,
    look::{RecordName, View, rows_error},
    outcome::unread,
    report::Run,
};
use crate::{
    replica::{Pages, Relatives, RowNote, Rows},
    store::{
        Attention, Audit, Cursors, History, Identities, LinkWrite, Links, MappingState, Runs, Tallies,
        Transaction, Transactions, Trouble,
    },
};

/// Why a record waits for a related one: the codes of both sides, and the server's for a foreign key.
const WAITS: [&str; 3] = ["waits_for_relation", "no_related_row", "23503"];

/// How many records are written down in one statement.
const CHUNK: usize = 2_000;

/// A plan in hand: the mappings' places in the engine, their parts, and what these were made from.
#[derive(Clone, Copy)]
pub(super) struct Work<'p> {
    pub(super) which: &'p [usize],
    pub(super) plan: &'p Plan,
    pub(super) views: &'p [View],
}

/// What is remembered while a plan is carried out.
pub(super) struct Acting {
    pub(super) run: i64,
    /// What brought the run about, for the audit.
    pub(super) origin: String,
    /// Per mapping, the records of which something waits.
    pub(super) troubled: BTreeMap<String, BTreeSet<RecordName>>,
    /// Mappings to which others refer.
    pub(super) related: BTreeSet<String>,
    /// Keys of rows that this plan made from pages.
    pub(super) born: BTreeMap<PageId, RowKey>,
    done: u64,
    total: u64,
}

impl Acting {
    pub(super) fn tell_step(
        &mut self,
        progress: &Progress,
        mapping: &str,
        columns: &[String],
        step: &Step,
        ok: bool,
    ) {
        self.done += 1;
        progress.tell(&Event::Stepped { mapping, columns, step, ok, done: self.done, total: self.total });
    }
}

impl<W: Parts> Engine<W> {
    /// Carries out a plan. Answers whether there was anything to do.
    pub(super) async fn act(
        &mut self,
        run: &mut Run,
        which: &[usize],
        approved: Approved,
        views: &[View],
    ) -> Result<bool, EngineError> {
        let plan = approved.plan();
        for (part, view) in plan.mappings.iter().zip(views) {
            let report = run.of(&part.mapping);
            if view.lost.is_some() {
                report.bases_lost.clone_from(&view.lost);
            }
            report.unchanged = part.census.unchanged;
            // A look for changes only shows those that were touched.
            run.count_asked(part);
        }
        let rows_before: Vec<i64> =
            which.iter().map(|&at| rows_made(run, &self.bound[at].mapping.name)).collect();
        let waiting = plan.mappings.iter().map(|part| (part.mapping.clone(), troubled(part))).collect();
        self.carry_out(run, which, &approved, views, waiting).await?;
        let rows_gained: Vec<i64> = which
            .iter()
            .zip(&rows_before)
            .map(|(&at, before)| rows_made(run, &self.bound[at].mapping.name) - before)
            .collect();
        self.end_plan(which, plan, views, &rows_gained, approved.overridden()).await?;
        Ok(!plan.is_empty())
    }

    /// Writes a plan, and moves no cursor. `waiting` are, by mapping, the records of which something waits.
    pub(super) async fn carry_out(
        &mut self,
        run: &mut Run,
        which: &[usize],
        approved: &Approved,
        views: &[View],
        waiting: BTreeMap<String, BTreeSet<RecordName>>,
    ) -> Result<(), EngineError> {
        let plan = approved.plan();
        let id = self.begin_plan(run, which, approved).await?;
        if plan.is_empty() {
            return Ok(());
        }
        let total = plan.steps().count() as u64;
        let calls = plan.steps().filter(|(_, step)| step.side == Side::Notion).count() as u64;
        let seconds =
            which.iter().map(|&at| self.bound[at].pages.forecast(calls).as_secs_f64()).fold(0.0, f64::max);
        self.progress.tell(&Event::Planned { steps: total, seconds });
        let mut acting = Acting {
            run: id.unwrap_or_default(),
            origin: run.origin.clone(),
            troubled: waiting,
            related: self.related().into_iter().collect(),
            born: BTreeMap::new(),
            done: 0,
            total,
        };
        // A link that is gone must not lend its key to references for long: they are read anew for the next run. In
        // this one, what the database does to those that referred to a deleted row is still understood.
        let forgets = plan.mappings.iter().flat_map(|part| &part.settlements).any(|settled| settled.forget);
        let removes = plan.steps().any(|(_, step)| matches!(step.action, Action::Trash | Action::Delete));
        self.outdated |= (forgets || removes) && !mutant::is(Mutant::GoneLinksLive);
        if mutant::is(Mutant::CursorFirst) {
            self.end_plan(which, plan, views, &vec![0; which.len()], &[]).await?;
        }
        self.reserve_keys(which, plan).await?;
        let mut relatives = self.take_relatives().await?;
        forget_the_lost(plan, &mut relatives);
        let work = Work { which, plan, views };
        // After an error nobody knows which links came to be either.
        self.write_waves(run, &mut acting, work, &mut relatives).await?;
        self.relatives = Some(relatives);
        Ok(())
    }

    /// Where some rows bring their keys and others get theirs from the table, none of the latter may get one of the
    /// former's.
    async fn reserve_keys(&self, which: &[usize], plan: &Plan) -> Result<(), EngineError> {
        for (&at, part) in which.iter().zip(&plan.mappings) {
            let is_new = |step: &&Step| step.side == Side::Postgres && step.action == Action::Create;
            let given: Vec<RowKey> =
                part.steps.iter().filter(is_new).filter_map(|step| step.key.clone()).collect();
            let keyless = part.steps.iter().filter(is_new).any(|step| step.key.is_none());
            if !given.is_empty() && keyless {
                let mut tx = self.store.begin().await?;
                self.fence(&mut tx).await?;
                let reserved = self.bound[at].rows.reserve(&mut tx, &given).await;
                reserved.map_err(|error| rows_error(&part.mapping, error))?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Writes down everything that needs no write to a side: agreements, forgotten links, what waits.
    async fn begin_plan(
        &mut self,
        run: &mut Run,
        which: &[usize],
        approved: &Approved,
    ) -> Result<Option<i64>, EngineError> {
        let plan = approved.plan();
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        if !plan.is_empty() {
            let id = match run.id {
                Some(id) => id,
                None => self.store.open_run(&mut tx, &run.origin).await?,
            };
            run.id = Some(id);
            self.store.add_plan(&mut tx, id, approved.hash(), approved.overridden()).await?;
            let mappings = which.iter().map(|&at| &*self.bound[at].mapping);
            self.store.describe_run(&mut tx, id, &self.who, &shapes(mappings)).await?;
            if !approved.overridden().is_empty() {
                let told = self.decision(&run.origin, id, "override", approved.hash().to_string());
                self.store.audit(&mut tx, &[told]).await?;
            }
            for part in plan.mappings.iter().filter(|_| !mutant::is(Mutant::CountIsKept)) {
                self.store.forget_count(&mut tx, &part.mapping).await?;
            }
        }
        let mut linked = Vec::new();
        for (&at, part) in which.iter().zip(&plan.mappings) {
            let new = self.keep_settlements(&mut tx, at, part).await?;
            if !new.is_empty() {
                self.wake_referrers(&mut tx, &part.mapping).await?;
            }
            linked.push(new);
            self.keep_findings(&mut tx, at, part).await?;
        }
        tx.commit().await?;
        // Only what is committed may be relied on: a run that was not would look like a memory that went back.
        self.last_run = self.last_run.max(run.id.unwrap_or_default());
        let related = self.related();
        if let Some(relatives) = &mut self.relatives {
            let related: BTreeSet<String> = related.into_iter().collect();
            for (&at, linked) in which.iter().zip(linked) {
                let name = &self.bound[at].mapping.name;
                if related.contains(name) {
                    linked.into_iter().for_each(|(key, page)| relatives.add(name, key, page));
                }
            }
        }
        Ok(run.id)
    }

    async fn keep_settlements(
        &self,
        tx: &mut Tx<W>,
        at: usize,
        part: &MappingPlan,
    ) -> Result<Vec<(RowKey, PageId)>, EngineError> {
        let bound = &self.bound[at];
        let troubled = troubled(part);
        let mut linked = Vec::new();
        for chunk in part.settlements.chunks(CHUNK) {
            let back: Vec<i64> = chunk.iter().filter(|s| s.raise).filter_map(|s| s.link).collect();
            self.store.raise_links(tx, &back).await?;
            let gone: Vec<i64> = chunk.iter().filter(|s| s.forget).filter_map(|s| s.link).collect();
            self.store.forget_links(tx, &gone).await?;
            let ids: Vec<i64> = chunk.iter().filter(|s| !s.forget).filter_map(|s| s.link).collect();
            let bases: BTreeMap<i64, _> = self
                .store
                .links_in(tx, &bound.mapping, &ids)
                .await?
                .into_iter()
                .map(|link| (link.id, link.base))
                .collect();
            let writes: Vec<LinkWrite> = chunk
                .iter()
                .filter(|settlement| !settlement.forget)
                .map(|settlement| {
                    let known = settlement.link.and_then(|id| bases.get(&id)).cloned();
                    let base = settle::after_agreement(settlement, known.unwrap_or_else(|| unread(bound)));
                    let name = (Some(settlement.key.clone()), Some(settlement.page));
                    if settlement.link.is_none() || settlement.raise {
                        linked.push((settlement.key.clone(), settlement.page));
                    }
                    LinkWrite {
                        id: settlement.link,
                        key: settlement.key.clone(),
                        page: settlement.page,
                        base,
                        unsettled: troubled.contains(&name),
                        apart: None,
                    }
                })
                .collect();
            self.store.keep_links(tx, &bound.mapping, &writes).await?;
            // A row that has just found its page says so, also when nothing needs to be written.
            let notes: Vec<RowNote> = writes
                .into_iter()
                .filter(|write| write.id.is_none())
                .map(|write| RowNote {
                    key: write.key,
                    page: Some(write.page),
                    synced_at: self.clock.now(),
                    status: if write.unsettled { "conflict" } else { "synced" },
                    error: None,
                    checksum: String::new(),
                })
                .collect();
            bound.rows.note(tx, &notes).await.map_err(|error| rows_error(&bound.mapping.name, error))?;
        }
        Ok(linked)
    }

    async fn keep_findings(&self, tx: &mut Tx<W>, at: usize, part: &MappingPlan) -> Result<(), EngineError> {
        let mapping = &self.bound[at].mapping;
        if !mutant::is(Mutant::ConflictIsForgotten) {
            self.store.keep_conflicts(tx, mapping, &part.conflicts).await?;
        }
        for parked in &part.parked {
            let trouble = Trouble { parked: parked.clone(), attempts: 0, wait: None, content: None };
            self.store.park(tx, mapping, &trouble).await?;
        }
        let waiting: Vec<i64> = part
            .conflicts
            .iter()
            .filter_map(|conflict| conflict.link)
            .chain(part.parked.iter().filter_map(|parked| parked.link))
            .collect();
        self.store.mark_unsettled(tx, &waiting, true).await?;
        Ok(())
    }

    async fn write_waves(
        &self,
        run: &mut Run,
        acting: &mut Acting,
        work: Work<'_>,
        relatives: &mut Relatives,
    ) -> Result<(), EngineError> {
        let waves: BTreeSet<u32> = work.plan.steps().map(|(_, step)| step.wave).collect();
        for wave in waves {
            for part in 0..work.which.len() {
                self.write_rows(run, acting, work, (part, wave), relatives).await?;
            }
            let pages: Vec<(usize, &Step)> = work
                .plan
                .steps()
                .filter(|(_, step)| step.wave == wave && step.side == Side::Notion)
                .collect();
            self.write_pages(run, acting, work, &pages, relatives).await?;
        }
        Ok(())
    }

    /// Moves the cursors past what has settled, and takes away what has been answered.
    async fn end_plan(
        &self,
        which: &[usize],
        plan: &Plan,
        views: &[View],
        rows_gained: &[i64],
        overridden: &[Refusal],
    ) -> Result<(), EngineError> {
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for (((&at, part), view), gained) in which.iter().zip(&plan.mappings).zip(views).zip(rows_gained) {
            let mapping = &self.bound[at].mapping;
            for side in [Side::Postgres, Side::Notion] {
                if let Some(cursor) = view.cursors.of(side) {
                    self.store.move_cursor(&mut tx, &mapping.name, side, cursor).await?;
                }
            }
            self.store.answer(&mut tx, &view.answered).await?;
            self.store.keep_absences(&mut tx, &mapping.name, &view.gone, &view.back).await?;
            let just_gone: Vec<RecordName> = (part.skipped.iter())
                .filter(|skipped| matches!(skipped.why, Why::JustGone(_)))
                .map(|skipped| (skipped.key.clone(), skipped.page))
                .collect();
            let wait = self.bound[at].settings.delete_wait.as_secs_f64();
            self.store.revisit(&mut tx, &mapping.name, &just_gone, wait).await?;
            // What changed on the half that could be read is behind the cursor from now on.
            let unread: Vec<RecordName> = (part.skipped.iter())
                .filter(|skipped| matches!(skipped.why, Why::Unreadable(..)))
                .map(|skipped| (skipped.key.clone(), skipped.page))
                .collect();
            self.store.revisit(&mut tx, &mapping.name, &unread, 0.0).await?;
            self.store.mark_unsettled(&mut tx, &left_edited(part, view), true).await?;
            if let Some(table) = view.table.as_ref().filter(|table| view.known_table.as_ref() != Some(*table))
            {
                self.store.keep_table(&mut tx, &mapping.name, table).await?;
            }
            if view.lost.is_some() {
                self.store.end_loss(&mut tx, mapping).await?;
            }
            if overridden.iter().any(|refusal| refusal.mapping == mapping.name) {
                self.store.forgive_removals(&mut tx, &mapping.name).await?;
            }
            if view.is_partial {
                continue;
            }
            // Rows that this plan made are no news to the next look.
            let state =
                MappingState { rows: view.state.rows.map(|rows| rows + gained), ..view.state.clone() };
            self.store.keep_mapping_state(&mut tx, &mapping.name, mapping.fingerprint(), &state).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Records of this mapping were linked: what waited for one of them need not wait any longer.
    pub(super) async fn wake_referrers(&self, tx: &mut Tx<W>, mapping: &str) -> Result<(), EngineError> {
        for bound in &self.bound {
            if bound.mapping.fields.iter().any(|field| field.related() == Some(mapping)) {
                self.store.wake_waiting(tx, &bound.mapping.name, &WAITS).await?;
            }
        }
        Ok(())
    }
}

/// What is lost cannot be referred to until it is there again.
fn forget_the_lost(plan: &Plan, relatives: &mut Relatives) {
    for (at, step) in plan.steps() {
        let is_lost = step.because == Because::Recovered && step.action == Action::Create;
        if let (true, Some(key)) = (is_lost, step.key.as_ref().filter(|_| step.link.is_some())) {
            relatives.forget(&plan.mappings[at].mapping, key);
        }
    }
}

/// Links of which only one half is there, was edited, and is left alone: that edit is behind the cursor from now on. When
/// the other half is back, this one is looked at with it.
fn left_edited(part: &MappingPlan, view: &View) -> Vec<i64> {
    let stays = |why: &Why| matches!(why, Why::Kept(_) | Why::Away(_) | Why::Direction | Why::Paused { .. });
    let left = part.skipped.iter().filter(|skipped| stays(&skipped.why));
    left.filter_map(|skipped| view.alone.get(&(skipped.key.clone(), skipped.page)).copied()).collect()
}

/// What the mappings' fields are, by mapping and column.
pub(super) fn shapes<'m>(
    mappings: impl Iterator<Item = &'m Mapping>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let shape = |field: &Field| (field.column.clone(), field.shape().to_string());
    mappings.map(|mapping| (mapping.name.clone(), mapping.fields.iter().map(shape).collect())).collect()
}

/// How many rows a run has made in one mapping so far, those it deleted taken off.
fn rows_made(run: &mut Run, mapping: &str) -> i64 {
    let made = run.of(mapping).to_postgres;
    made.inserted.cast_signed() - made.deleted.cast_signed()
}

/// The records of a plan of which something waits.
pub(super) fn troubled(part: &MappingPlan) -> BTreeSet<RecordName> {
    let conflicts = part.conflicts.iter().map(|conflict| (conflict.key.clone(), conflict.page));
    let parked = part.parked.iter().map(|parked| (parked.key.clone(), parked.page));
    conflicts.chain(parked).collect()
}
