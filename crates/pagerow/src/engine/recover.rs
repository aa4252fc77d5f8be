//! Finishing what a crash or a lost answer left open: by looking, never by sending again.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    fidelity::Reason,
    journal::Status,
    mapping::{Mapping, PropertyKind},
    mutant::{self, Mutant},
    observation::{Absence, Observation, Sighting},
    plan::{Action, FieldWrite, Step},
    record::{PageId, Record, RowKey},
    settle::{self, LinkAfter},
};

use super::{
    Bound, Engine, EngineError, Event, Parts, Tx,
    audit::of_step,
    look::{RecordName, pages_error},
    outcome::{shown, unread},
    report::Run,
};
use crate::{
    replica::{Pages, Relatives, Scope, Seen},
    store::{
        Attention, Audit, CompactLink, Identities, LinkWrite, Links, OpenStep, OwnWrite, Runs, StepUpdate,
        Transaction, Transactions, action_name,
    },
};

/// An open step that seems to be older than this, in seconds, was left by an engine that is long gone, or else the
/// database's clock was set: it gets its time once more.
const LONG_GONE: f64 = 86_400.0;

/// Rows of whose page nobody knows whether a write to it happened, or still will.
#[derive(Default)]
struct Doubts {
    /// All of them: nothing may be sent for these.
    keys: BTreeSet<RowKey>,
    /// Those that end by themselves, once the index has had its time.
    passing: usize,
}

/// What carries an open create's key in Notion now.
#[derive(Default)]
struct Found {
    pages: Vec<(PageId, Box<Sighting>)>,
    /// Some page that may be it could not be read.
    is_unsure: bool,
}

impl<W: Parts> Engine<W> {
    /// Resolves open steps of these mappings. Answers, per mapping, the rows whose page may still turn up.
    pub(super) async fn finish_open_steps(
        &mut self,
        run: &mut Run,
        which: &[usize],
    ) -> Result<Vec<BTreeSet<RowKey>>, EngineError> {
        (run.doubts, run.unsure) = (0, 0);
        let mut doubtful = Vec::with_capacity(which.len());
        for &at in which {
            let mut open = self.open_steps(&self.bound[at]).await?;
            if mutant::is(Mutant::UnknownIsForgotten) {
                open.clear();
            }
            self.keep_ages(at, &mut open);
            if open.is_empty() {
                doubtful.push(BTreeSet::new());
                continue;
            }
            let mut relatives = self.take_relatives().await?;
            let bound = &self.bound[at];
            let (creates, others): (Vec<OpenStep>, Vec<OpenStep>) =
                open.into_iter().partition(|open| open.step.action == Action::Create);
            let waiting = self.look_again(bound, others, &relatives).await?;
            let (mut doubts, linked) = self.find_creates(bound, creates, &relatives).await?;
            doubts.passing += waiting.len();
            doubts.keys.extend(waiting);
            run.doubts += doubts.passing;
            run.unsure += doubts.keys.len() - doubts.passing.min(doubts.keys.len());
            if !doubts.keys.is_empty() {
                let event = Event::InDoubt {
                    mapping: &bound.mapping.name,
                    writes: doubts.keys.len(),
                    seconds: bound.settings.doubt.as_secs_f64(),
                };
                self.progress.tell(&event);
            }
            linked.into_iter().for_each(|(key, page)| relatives.add(&bound.mapping.name, key, page));
            self.relatives = Some(relatives);
            doubtful.push(doubts.keys);
        }
        Ok(doubtful)
    }

    /// How long ago each of these steps may last have gone out. The database's clock tells it when a step is first seen;
    /// from then on it is counted by a clock that nobody sets: time must not seem to have passed for a page to turn up.
    fn keep_ages(&mut self, at: usize, open: &mut [OpenStep]) {
        let now = self.clock.uptime().as_secs_f64();
        let known = self.lost_at.remove(&at).unwrap_or_default();
        let mut lost_at = BTreeMap::new();
        for one in open.iter_mut() {
            let name = (one.run, one.seq);
            let age = if one.age > LONG_GONE { 0.0 } else { one.age.max(0.0) };
            let lost = known.get(&name).copied().unwrap_or(now - age);
            one.age = now - lost;
            lost_at.insert(name, lost);
        }
        if !lost_at.is_empty() {
            self.lost_at.insert(at, lost_at);
        }
    }

    /// The open steps of a mapping. What is still only intended was given up on its way by this very engine.
    async fn open_steps(&self, bound: &Bound<W>) -> Result<Vec<OpenStep>, EngineError> {
        let name = &bound.mapping.name;
        let open = self.store.open_steps(name).await?;
        if open.iter().all(|open| open.status != Status::Intended) {
            return Ok(open);
        }
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.store.lose_track(&mut tx, Some(name), None).await?;
        tx.commit().await?;
        Ok(self.store.open_steps(name).await?)
    }

    /// Writes to known pages: whether they happened shows when the page is read. One that did is settled as if it had been
    /// answered, or it would pass for somebody's edit. One that did not may still be carried out, over whatever was
    /// written since: nothing is sent to its page until it had its time. In any case the record is looked at again.
    /// Answers the rows that wait.
    async fn look_again(
        &self,
        bound: &Bound<W>,
        open: Vec<OpenStep>,
        relatives: &Relatives,
    ) -> Result<BTreeSet<RowKey>, EngineError> {
        let mut waiting = BTreeSet::new();
        if open.is_empty() {
            return Ok(waiting);
        }
        let mapping = bound.mapping.name.as_str();
        let pages: BTreeSet<PageId> = open.iter().filter_map(|open| open.step.page).collect();
        let pages: Vec<PageId> = pages.into_iter().collect();
        let mut shown: BTreeMap<PageId, Observation> = BTreeMap::new();
        let mut take = |page: Seen<PageId>| {
            shown.insert(page.id, page.observation);
        };
        bound
            .pages
            .look(Scope::These(&pages), relatives, &mut take)
            .await
            .map_err(|error| pages_error(mapping, error))?;
        let links = self.store.links_of(mapping, &[], &pages).await?;
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        let records: Vec<RecordName> =
            open.iter().map(|open| (open.step.key.clone(), open.step.page)).collect();
        self.store.revisit(&mut tx, mapping, &records, 0.0).await?;
        let mut unwritten = Vec::new();
        for open in open {
            let shown = open.step.page.and_then(|page| shown.get(&page));
            let link = links.iter().find(|link| Some(link.page) == open.step.page);
            match (shown, link) {
                (Some(Observation::Present(sighting)), Some(link))
                    if shows_write(&bound.mapping, &open.step, &sighting.record) =>
                {
                    self.take_up(&mut tx, bound, &open, link, sighting).await?;
                }
                (shown, link)
                    if open.age < bound.settings.doubt.as_secs_f64()
                        && may_still_come(&open.step, shown)
                        && let Some(key) = link.map(|link| &link.key).or(open.step.key.as_ref()) =>
                {
                    waiting.insert(key.clone());
                }
                _ => unwritten.push(open),
            }
        }
        self.conclude(&mut tx, &unwritten, "unknown", "it was looked at again").await?;
        tx.commit().await?;
        Ok(waiting)
    }

    /// Settles an update that was found to have happened.
    async fn take_up(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        open: &OpenStep,
        link: &CompactLink,
        sighting: &Sighting,
    ) -> Result<(), EngineError> {
        for known in self.store.links_in(tx, &bound.mapping, &[link.id]).await? {
            let answer = settle::as_answered(&bound.mapping, &open.step, &sighting.record);
            let base = settle::after_step(&bound.mapping, &open.step, &answer, known.base, &[]);
            let unsettled = link.unsettled;
            let apart = match settle::link_after(&open.step, Some(known.apart)) {
                LinkAfter::Kept { apart } => apart,
                LinkAfter::Forgotten => None,
            };
            let (key, page) = (known.key, known.page);
            let write = LinkWrite { id: Some(known.id), key, page, base, unsettled, apart };
            self.store.keep_links(tx, &bound.mapping, &[write]).await?;
        }
        // Or it would pass for an edit of ours that we have forgotten.
        if let (Some(at), Some(by)) = (sighting.edited, &sighting.editor) {
            self.store.renew_own_write(tx, link.id, &OwnWrite { at, by: by.clone() }).await?;
        }
        let page = open.step.page;
        self.audit_found(tx, bound, open, page).await?;
        let shown = shown(&bound.mapping, &open.step, &sighting.record);
        let update = StepUpdate { seq: open.seq, status: Status::Done, page, reason: None, shown };
        Ok(self.store.conclude(tx, open.run, &[update]).await?)
    }

    /// Looks for pages whose create was not answered, by the key they carry.
    ///
    /// Found once: it happened. Found several times: the look reports the doubles. Not found: it may still turn up
    /// until Notion's index has had its time; after that it did not happen. Without a key property only the look can
    /// recognise the page, by natural key or checksum; it has the same time for it.
    async fn find_creates(
        &self,
        bound: &Bound<W>,
        open: Vec<OpenStep>,
        relatives: &Relatives,
    ) -> Result<(Doubts, Vec<(RowKey, PageId)>), EngineError> {
        let mut doubts = Doubts::default();
        let mut linked = Vec::new();
        if open.is_empty() {
            return Ok((doubts, linked));
        }
        let mapping = bound.mapping.name.as_str();
        let keys: Vec<RowKey> = open.iter().filter_map(|open| open.step.key.clone()).collect();
        let found = self.find_pages(bound, &keys, relatives).await?;
        let pages: Vec<PageId> =
            found.values().flat_map(|found| &found.pages).map(|(page, _)| *page).collect();
        let links = self.store.links_of(mapping, &keys, &pages).await?;
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        let nothing = Found::default();
        for open in open {
            let found = open.step.key.as_ref().and_then(|key| found.get(key)).unwrap_or(&nothing);
            match (found.pages.as_slice(), &open.step.key) {
                // A look has recognised the page meanwhile, by natural key or checksum.
                ([], Some(key)) if open.step.link.is_none() && linked_page(&links, key).is_some() => {
                    let page = linked_page(&links, key);
                    self.audit_found(&mut tx, bound, &open, page).await?;
                    let update =
                        StepUpdate { seq: open.seq, status: Status::Done, page, reason: None, shown: None };
                    self.store.conclude(&mut tx, open.run, &[update]).await?;
                }
                ([(page, sighting)], Some(key)) if !is_linked(&links, key, *page) => {
                    self.take_in(&mut tx, bound, &open, *page, sighting).await?;
                    linked.push((key.clone(), *page));
                }
                ([_, ..], _) => {
                    // All of them have to be seen at once, or one of them would be taken for the only one.
                    let mut again: Vec<RecordName> =
                        found.pages.iter().map(|(page, _)| (None, Some(*page))).collect();
                    again.push((open.step.key.clone(), None));
                    self.store.revisit(&mut tx, mapping, &again, 0.0).await?;
                    let why = "the page is there, and another one or a link with it";
                    self.conclude(&mut tx, &[open], "double", why).await?;
                }
                ([], _) => {
                    let may_turn_up = open.age < bound.settings.doubt.as_secs_f64()
                        && !mutant::is(Mutant::NotFoundIsNotApplied);
                    if may_turn_up || found.is_unsure {
                        doubts.keys.extend(open.step.key.clone());
                        doubts.passing += usize::from(may_turn_up);
                        continue;
                    }
                    let record = (open.step.key.clone(), open.step.page);
                    self.store.revisit(&mut tx, mapping, &[record], 0.0).await?;
                    let why = "no page is the row's: the write did not happen";
                    self.conclude(&mut tx, &[open], "not_applied", why).await?;
                }
            }
        }
        if !linked.is_empty() {
            self.wake_referrers(&mut tx, &bound.mapping.name).await?;
        }
        tx.commit().await?;
        Ok((doubts, linked))
    }

    async fn find_pages(
        &self,
        bound: &Bound<W>,
        keys: &[RowKey],
        relatives: &Relatives,
    ) -> Result<BTreeMap<RowKey, Found>, EngineError> {
        let mut found: BTreeMap<RowKey, Found> = BTreeMap::new();
        if !bound.mapping.key_property {
            return Ok(found);
        }
        let pages = bound
            .pages
            .find(keys, relatives)
            .await
            .map_err(|error| pages_error(&bound.mapping.name, error))?;
        for (key, page) in pages {
            let found = found.entry(key).or_default();
            match page.observation {
                Observation::Present(sighting) => found.pages.push((page.id, Box::new(sighting))),
                Observation::Unreadable(_) => found.is_unsure = true,
                Observation::Unchanged | Observation::Absent(_) => {}
            }
        }
        Ok(found)
    }

    /// Links a row with the page that was made for it.
    async fn take_in(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        open: &OpenStep,
        page: PageId,
        sighting: &Sighting,
    ) -> Result<(), EngineError> {
        let Some(key) = open.step.key.clone() else { return Ok(()) };
        let answer = if mutant::is(Mutant::FoundIsAsItWas) {
            sighting.record.clone()
        } else {
            settle::as_answered(&bound.mapping, &open.step, &sighting.record)
        };
        let base = settle::after_step(&bound.mapping, &open.step, &answer, unread(bound), &[]);
        let link =
            LinkWrite { id: open.step.link, key: key.clone(), page, base, unsettled: false, apart: None };
        self.store.keep_links(tx, &bound.mapping, &[link]).await?;
        // The page may have been edited since it was made: it is looked at like any other.
        self.store.revisit(tx, &bound.mapping.name, &[(Some(key), Some(page))], 0.0).await?;
        self.audit_found(tx, bound, open, Some(page)).await?;
        let shown = shown(&bound.mapping, &open.step, &answer);
        let update =
            StepUpdate { seq: open.seq, status: Status::Done, page: Some(page), reason: None, shown };
        Ok(self.store.conclude(tx, open.run, &[update]).await?)
    }

    /// Adds to the audit what was found to have been done.
    async fn audit_found(
        &self,
        tx: &mut Tx<W>,
        bound: &Bound<W>,
        open: &OpenStep,
        page: Option<PageId>,
    ) -> Result<(), EngineError> {
        let columns: Vec<String> = bound.mapping.fields.iter().map(|field| field.column.clone()).collect();
        let entry = self.decision("recovery", open.run, action_name(&open.step), None);
        let names = (open.step.key.clone(), page);
        let entry = of_step(entry, &bound.mapping.name, &columns, &open.step, names);
        Ok(self.store.audit(tx, &[entry]).await?)
    }

    /// Concludes steps as failed, with the reason.
    async fn conclude(
        &self,
        tx: &mut Tx<W>,
        open: &[OpenStep],
        code: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        let mut by_run: BTreeMap<i64, Vec<StepUpdate>> = BTreeMap::new();
        for open in open {
            let reason = Some(Reason::new(code, why));
            let update =
                StepUpdate { seq: open.seq, status: Status::Failed, page: None, reason, shown: None };
            by_run.entry(open.run).or_default().push(update);
        }
        for (run, updates) in by_run {
            self.store.conclude(tx, run, &updates).await?;
        }
        Ok(())
    }
}

/// The page with which a row is linked.
fn linked_page(links: &[CompactLink], key: &RowKey) -> Option<PageId> {
    links.iter().find(|link| link.key == *key).map(|link| link.page)
}

/// Whether one of the two is linked already, with whomever.
fn is_linked(links: &[CompactLink], key: &RowKey, page: PageId) -> bool {
    links.iter().any(|link| link.key == *key || link.page == page)
}

/// Whether a page shows that an update was carried out: some value that it changed is as it was sent, and none is as it
/// was before. Notion changes all properties of one call or none; one alone somebody else may have set to the same.
fn shows_write(mapping: &Mapping, step: &Step, shown: &Record) -> bool {
    let changed = |write: &&FieldWrite| {
        !write.withheld && write.before.as_ref() != Some(&write.after) && !is_body(mapping, write)
    };
    let is_as_sent = |write: &FieldWrite| shown.get(write.field) == Some(&write.after);
    let is_as_before =
        |write: &FieldWrite| write.before.is_some() && shown.get(write.field) == write.before.as_ref();
    step.action == Action::Update
        && step.fields.iter().filter(changed).any(is_as_sent)
        && !step.fields.iter().filter(changed).any(is_as_before)
}

/// Whether a write to a page that is shown so has yet to happen, if it ever does.
fn may_still_come(step: &Step, shown: Option<&Observation>) -> bool {
    match (step.action, shown) {
        (Action::Restore, Some(Observation::Present(_)))
        | (Action::Trash, Some(Observation::Absent(Absence::Trashed))) => false,
        // A mark is all that it writes, and the page carries it.
        (Action::Update, Some(Observation::Present(sighting))) => {
            !(step.fields.is_empty() && step.mark && sighting.marker.is_some())
        }
        _ => true,
    }
}

/// Only Notion can say how it writes a body down.
fn is_body(mapping: &Mapping, write: &FieldWrite) -> bool {
    mapping.fields.get(write.field).is_some_and(|field| matches!(field.shows, PropertyKind::Body))
}
