//! Carrying out steps on pages: the intent is committed before the call, outcomes are settled in groups.
//!
//! While one batch is on its way, the outcomes of the one before are written down and the intents of the next are
//! committed, so that the database never keeps the network waiting.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    journal::Status,
    mutant::{self, Mutant},
    observation::{Absence, Observation},
    plan::{Action, Because, Expect, Plan, Step},
    record::{PageId, Record, RowKey},
    retry::Failure,
    settle,
    side::Side,
};

use tokio::time::Instant;

use super::{
    Bound, Engine, EngineError, Parts, Tx,
    act::{Acting, Work},
    backup::WholeRows,
    look::{View, pages_error},
    missing::missing_relatives,
    outcome::{Ended, How, is_misfit, is_trouble, unread, update},
    report::Run,
};
use crate::{
    backup::WholeRow,
    replica::{Cursor, Failed, Outcome, Pages, Relatives, Scope, Seen, Stamp},
    store::{JournalEntry, LinkWrite, Links, Runs, Transaction, Transactions},
};

/// A page that was looked at longer ago than this is looked at again before it is overwritten.
const FRESH: Duration = Duration::from_secs(2);
/// So often a batch's pages are looked at again because the answer was old when it came. A Notion that is always slow is
/// written to all the same.
const LOOKS: usize = 3;
/// Most steps in one batch.
const BATCH: usize = 256;
/// Fewest, where the rate limit allows no more in the time that a look stays fresh.
const SMALL_BATCH: usize = 8;
/// Notion's word for a data source that takes no further pages.
const ROW_LIMIT: &str = "row_limit_exceeded";
/// Calls that may be on their way at once; the limiter has the last word.
const IN_FLIGHT: usize = 32;

/// A step on its way: its mapping's place in the engine and in the plan.
#[derive(Clone, Copy)]
struct Item<'p> {
    at: usize,
    part: usize,
    seq: i32,
    step: &'p Step,
}

/// What is known of the pages of one mapping since they were looked at.
struct Watch {
    cursor: Option<Cursor>,
    checked: Instant,
    /// Pages that were edited since the look.
    moved: BTreeMap<PageId, Option<Digest>>,
    /// The data source takes no further pages.
    full: OnceLock<Failed>,
}

impl<W: Parts> Engine<W> {
    /// Writes one wave's steps on pages, of all mappings.
    pub(super) async fn write_pages(
        &self,
        run: &mut Run,
        acting: &mut Acting,
        work: Work<'_>,
        steps: &[(usize, &Step)],
        relatives: &mut Relatives,
    ) -> Result<(), EngineError> {
        let Work { which, plan, views } = work;
        if steps.is_empty() {
            return Ok(());
        }
        let mut watches: BTreeMap<usize, Watch> = views
            .iter()
            .enumerate()
            .map(|(part, view)| {
                let cursor = view.cursors.notion.clone();
                (
                    part,
                    Watch { cursor, checked: view.looked_at, moved: BTreeMap::new(), full: OnceLock::new() },
                )
            })
            .collect();
        let mut items = steps.iter().zip(run.next_seq..).map(|(&(part, step), seq)| Item {
            at: which[part],
            part,
            seq,
            step,
        });
        run.next_seq += i32::try_from(steps.len()).unwrap_or(i32::MAX);

        let mut fresh = Vec::new();
        let mut refused = None;
        let mut ended: Vec<(Item<'_>, Ended<'_>)> = Vec::new();
        let mut batch: Vec<Item<'_>> = self.next_batch(&mut items, which);
        self.intend(acting.run, plan, &batch, relatives).await?;
        while !batch.is_empty() {
            let next: Vec<Item<'_>> = self.next_batch(&mut items, which);
            let born = &acting.born;
            let sent = self.keeping_lease(self.send_all(&batch, &mut watches, relatives, born));
            let kept = async {
                let links = self.keep_ended(acting, plan, views, &ended).await?;
                self.intend(acting.run, plan, &next, relatives).await?;
                Ok::<_, EngineError>(links)
            };
            let (sent, kept) = tokio::join!(sent, kept);
            fresh.extend(kept?);
            self.count(run, acting, plan, &ended);
            // What was sent is written down even when the batch met an error.
            let (now_ended, error) = sent?;
            ended = now_ended;
            refused = refused.or_else(|| first_refusal(&ended));
            if error.is_some() || refused.is_some() || self.stop.is_asked() {
                ended.extend(next.into_iter().map(|item| (item, not_sent(item))));
                self.keep_ended(acting, plan, views, &ended).await?;
                self.count(run, acting, plan, &ended);
                return Err(match (error, refused) {
                    (Some(error), _) => error,
                    (None, Some(reason)) => {
                        EngineError::RefusedBySide { side: "Notion", reason: reason.text }
                    }
                    (None, None) => EngineError::Stopped,
                });
            }
            batch = next;
        }
        fresh.extend(self.keep_ended(acting, plan, views, &ended).await?);
        self.count(run, acting, plan, &ended);
        for (mapping, key, page) in fresh {
            if acting.related.contains(&mapping) {
                relatives.add(&mapping, key, page);
            }
        }
        Ok(())
    }

    /// As many steps as go out while a look at their pages is fresh.
    fn next_batch<'p>(&self, items: &mut impl Iterator<Item = Item<'p>>, which: &[usize]) -> Vec<Item<'p>> {
        let mut size = BATCH;
        let slowest = |calls: usize| {
            which.iter().map(|&at| self.bound[at].pages.forecast(calls as u64)).max().unwrap_or_default()
        };
        while size > SMALL_BATCH && slowest(size) > FRESH {
            size /= 2;
        }
        items.take(size).collect()
    }

    async fn intend(
        &self,
        run: i64,
        plan: &Plan,
        batch: &[Item<'_>],
        relatives: &Relatives,
    ) -> Result<(), EngineError> {
        if batch.is_empty() || mutant::is(Mutant::NoIntent) {
            return Ok(());
        }
        // What the journal says is what is sent: recovery must not take a reference that waits for one that was
        // written.
        let sent: Vec<Cow<'_, Step>> = batch
            .iter()
            .map(|item| {
                without(item.step, &missing_relatives(&self.bound[item.at].mapping, item.step, relatives))
            })
            .collect();
        let entries: Vec<JournalEntry<'_>> = batch
            .iter()
            .zip(&sent)
            .map(|(item, step)| JournalEntry {
                seq: item.seq,
                mapping: &plan.mappings[item.part].mapping,
                columns: &plan.mappings[item.part].columns,
                step,
                key: None,
                status: Status::Intended,
                reason: None,
                shown: None,
            })
            .collect();
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.store.journal(&mut tx, run, &entries).await?;
        self.foresee_undone(&mut tx, batch).await?;
        Ok(tx.commit().await?)
    }

    /// Says before an undo puts pages away, or brings them back, that it is meant: should the answer be lost, what the
    /// next look finds must not pass for a person's deletion or for a new page.
    async fn foresee_undone(&self, tx: &mut Tx<W>, batch: &[Item<'_>]) -> Result<(), EngineError> {
        for item in batch.iter().filter(|item| item.step.because == Because::Undone) {
            let (step, mapping) = (item.step, &self.bound[item.at].mapping);
            match (step.action, step.link, &step.key, step.page) {
                (Action::Trash | Action::Delete, Some(link), _, _) => {
                    self.store.set_apart(tx, &[link], Some(Side::Notion)).await?;
                }
                (Action::Restore, None, Some(key), Some(page)) => {
                    let name = &mapping.name;
                    let known = self.store.links_of(name, std::slice::from_ref(key), &[page]).await?;
                    if !known.is_empty() {
                        // Its row came back before it, and with the row their link.
                        continue;
                    }
                    let mut held = Record::unread(mapping.fields.len());
                    for write in &step.fields {
                        held.set(write.field, Some(write.after.clone()));
                    }
                    let base = settle::after_step(mapping, step, &held, unread(&self.bound[item.at]), &[]);
                    let apart = Some(Side::Postgres);
                    let link = LinkWrite { id: None, key: key.clone(), page, base, unsettled: false, apart };
                    self.store.keep_links(tx, mapping, &[link]).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends a batch, many calls at once. An error of a look ends it; what was not sent by then is said to be so.
    async fn send_all<'p>(
        &self,
        batch: &[Item<'p>],
        watches: &mut BTreeMap<usize, Watch>,
        relatives: &Relatives,
        born: &BTreeMap<PageId, RowKey>,
    ) -> (Vec<(Item<'p>, Ended<'p>)>, Option<EngineError>) {
        let parts: BTreeSet<usize> =
            batch.iter().filter(|item| item.step.action != Action::Create).map(|item| item.part).collect();
        for part in parts {
            let Some(watch) = watches.get_mut(&part) else { continue };
            let Some(at) = batch.iter().find(|item| item.part == part).map(|item| item.at) else { continue };
            let steps: Vec<&Step> =
                batch.iter().filter(|item| item.part == part).map(|item| item.step).collect();
            for _ in 0..LOOKS {
                if watch.checked.elapsed() <= FRESH || mutant::is(Mutant::NobodyLooksAgain) {
                    break;
                }
                if let Err(error) = self.refresh(&self.bound[at], watch, &steps, relatives).await {
                    return (batch.iter().map(|&item| (item, not_sent(item))).collect(), Some(error));
                }
            }
        }
        let written = batch.iter().map(|item| (item.at, item.step));
        let whole = match self.whole_rows(written, born).await {
            Ok(whole) => whole,
            Err(error) => return (batch.iter().map(|&item| (item, not_sent(item))).collect(), Some(error)),
        };
        let (watches, whole) = (&*watches, &whole);
        let ended = stream::iter(batch.iter().copied())
            .map(|item| async move {
                if self.stop.is_asked() {
                    return (item, not_sent(item));
                }
                let watch = watches.get(&item.part);
                let full = watch.map(|watch| &watch.full).filter(|_| item.step.action == Action::Create);
                if let Some(failed) = full.and_then(OnceLock::get) {
                    // One more would be refused like the one before; each waits, and is listed.
                    let how = How::Failed(failed.clone());
                    return (item, Ended { how, ..not_sent(item) });
                }
                let ended = self.send(item, watch.map(|watch| &watch.moved), relatives, born, whole).await;
                if let (How::Failed(failed), Some(full)) = (&ended.how, full)
                    && failed.reason.code == ROW_LIMIT
                {
                    // Whoever is told second says the same.
                    let _told = full.set(failed.clone());
                }
                (item, ended)
            })
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        (ended, None)
    }

    /// Asks once for all pages of a mapping whether they were edited since they were looked at. Those that seem to have
    /// been are asked for by themselves: the list may be older than our own last write.
    async fn refresh(
        &self,
        bound: &Bound<W>,
        watch: &mut Watch,
        steps: &[&Step],
        relatives: &Relatives,
    ) -> Result<(), EngineError> {
        // The wait for the limiter comes first, or the look would be old before the write goes out.
        bound.pages.ready().await;
        let Some(cursor) = watch.cursor.clone() else { return Ok(()) };
        let started = Instant::now();
        let moved = &mut watch.moved;
        let mut take = |page: Seen<PageId>| {
            moved.insert(page.id, digest(page.observation));
        };
        let looked = bound
            .pages
            .look(Scope::Since(&cursor), relatives, &mut take)
            .await
            .map_err(|error| pages_error(&bound.mapping.name, error))?;
        let doubted: Vec<PageId> =
            steps.iter().filter(|step| is_stale(step, Some(moved))).filter_map(|step| step.page).collect();
        if !doubted.is_empty() {
            let mut take = |page: Seen<PageId>| {
                moved.insert(page.id, digest(page.observation));
            };
            bound
                .pages
                .look(Scope::These(&doubted), relatives, &mut take)
                .await
                .map_err(|error| pages_error(&bound.mapping.name, error))?;
        }
        // What was shown is kept in `moved`; the next question goes on from here.
        watch.cursor = looked.cursor.or(Some(cursor));
        watch.checked = started;
        Ok(())
    }

    async fn send<'p>(
        &self,
        item: Item<'p>,
        moved: Option<&BTreeMap<PageId, Option<Digest>>>,
        relatives: &Relatives,
        born: &BTreeMap<PageId, RowKey>,
        whole: &WholeRows,
    ) -> Ended<'p> {
        let step = item.step;
        let ended = |how, left_out| Ended { how, left_out, ..not_sent(item) };
        if is_stale(step, moved) {
            return ended(How::Stale, Vec::new());
        }
        let bound = &self.bound[item.at];
        let mut step_now = None;
        if step.mark && step.key.is_none() {
            // The row was made earlier in this plan; if that failed, there is nothing to mark the page with.
            let Some(key) = step.page.and_then(|page| born.get(&page)) else {
                return ended(How::Moot, Vec::new());
            };
            step_now = Some(Step { key: Some(key.clone()), ..step.clone() });
        }
        let missing = missing_relatives(&bound.mapping, step, relatives);
        if !missing.is_empty() {
            // Only the field waits; with nothing beside it, so does the step.
            if step.action != Action::Create && step.fields.len() == missing.len() && !step.mark {
                return ended(How::Failed(waits_for_relative(bound, &missing)), Vec::new());
            }
            step_now = Some(without(step_now.as_ref().unwrap_or(step), &missing).into_owned());
        }
        let key = step_now.as_ref().unwrap_or(step).key.clone();
        let stamp = Stamp {
            whole: key.and_then(|key| whole.get(&(item.at, key)).cloned()),
            at: self.clock.now(),
            checksum: step.source.map_or_else(String::new, |digest| digest.to_string()),
        };
        let how = match bound.pages.write(step_now.as_ref().unwrap_or(step), relatives, &stamp).await {
            Outcome::Done { id, sighting } => {
                let key = step_now.and_then(|step| step.key);
                How::Done { key, page: Some(id), answer: sighting }
            }
            Outcome::Stale => How::Stale,
            Outcome::Failed(failed) => How::Failed(failed),
            Outcome::Unknown(failed) => How::Unknown(failed),
        };
        let kept = stamp.whole.as_deref().map(WholeRow::digest);
        Ended { kept, ..ended(how, missing) }
    }

    /// Writes down what became of a batch, one transaction a mapping.
    async fn keep_ended(
        &self,
        acting: &Acting,
        plan: &Plan,
        views: &[View],
        ended: &[(Item<'_>, Ended<'_>)],
    ) -> Result<Vec<(String, RowKey, PageId)>, EngineError> {
        let mut fresh = Vec::new();
        let parts: BTreeSet<usize> = ended.iter().map(|(item, _)| item.part).collect();
        for part in parts {
            let mapping = plan.mappings[part].mapping.as_str();
            let mut group: Vec<&Ended<'_>> =
                ended.iter().filter(|(item, _)| item.part == part).map(|(_, end)| end).collect();
            group.sort_by_key(|end| end.seq);
            let Some(at) = ended.iter().find(|(item, _)| item.part == part).map(|(item, _)| item.at) else {
                continue;
            };
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            let bound = &self.bound[at];
            let updates: Vec<_> = group.iter().map(|end| update(&bound.mapping, end)).collect();
            self.store.conclude(&mut tx, acting.run, &updates).await?;
            let columns = &plan.mappings[part].columns;
            self.audit(&mut tx, acting, mapping, columns, group.iter().copied()).await?;
            let links = self
                .settle(&mut tx, &self.bound[at], &views[part], &acting.troubled[mapping], &group)
                .await?;
            if !links.is_empty() {
                self.wake_referrers(&mut tx, mapping).await?;
            }
            tx.commit().await?;
            fresh.extend(links.into_iter().map(|(key, page)| (mapping.to_owned(), key, page)));
        }
        Ok(fresh)
    }

    fn count(&self, run: &mut Run, acting: &mut Acting, plan: &Plan, ended: &[(Item<'_>, Ended<'_>)]) {
        for (item, end) in ended {
            let part = &plan.mappings[item.part];
            let ok = matches!(end.how, How::Done { .. });
            if ok {
                run.count(&part.mapping, end.step);
            } else {
                run.stick(&part.mapping, end.step, is_trouble(&end.how));
            }
            if !end.left_out.is_empty() {
                run.leave_out(&part.mapping, end.step);
            }
            run.failed += u64::from(is_trouble(&end.how));
            run.misfits += u64::from(is_misfit(&end.how));
            acting.tell_step(&self.progress, &part.mapping, &part.columns, end.step, ok);
        }
    }
}

fn digest(observation: Observation) -> Option<Digest> {
    match observation {
        Observation::Present(sighting) => Some(sighting.digest),
        Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => None,
    }
}

/// Whether the page was edited since the look that the step was planned on.
fn is_stale(step: &Step, moved: Option<&BTreeMap<PageId, Option<Digest>>>) -> bool {
    let Some(now) = step.page.and_then(|page| moved?.get(&page)) else { return false };
    if mutant::is(Mutant::StaleIsWritten) {
        return false;
    }
    match step.expect {
        Expect::Seen(expected) => *now != Some(expected),
        // It was in the trash, and a look for changes only shows what is not.
        Expect::Absent(Absence::Trashed | Absence::Deleted) => now.is_some(),
        Expect::Absent(_) | Expect::Nothing => false,
    }
}

/// A step without some of its fields.
fn without<'s>(step: &'s Step, fields: &[usize]) -> Cow<'s, Step> {
    if fields.is_empty() {
        return Cow::Borrowed(step);
    }
    let mut step = step.clone();
    step.fields.retain(|write| !fields.contains(&write.field));
    Cow::Owned(step)
}

fn waits_for_relative<W: Parts>(bound: &Bound<W>, missing: &[usize]) -> Failed {
    let properties: Vec<&str> = missing
        .iter()
        .filter_map(|field| bound.mapping.fields.get(*field))
        .map(|field| field.property.as_str())
        .collect();
    Failed {
        failure: Failure::Missing,
        reason: Reason::new(
            "waits_for_relation",
            format!("“{}” refers to a row that has no page yet", properties.join("”, “")),
        ),
        not_before: None,
    }
}

/// A step whose intent was written down, but that never left.
fn not_sent(item: Item<'_>) -> Ended<'_> {
    Ended {
        seq: item.seq,
        step: item.step,
        how: How::Stale,
        left_out: Vec::new(),
        was: Status::Intended,
        kept: None,
    }
}

fn first_refusal(ended: &[(Item<'_>, Ended<'_>)]) -> Option<Reason> {
    ended.iter().find_map(|(_, end)| match &end.how {
        How::Failed(failed) if failed.failure == Failure::Refused => Some(failed.reason.clone()),
        _ => None,
    })
}
