//! Finishing what a crash or a lost answer left open: by looking, never by sending again.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    fidelity::Reason,
    journal::Status,
    observation::Observation,
    plan::Action,
    record::{PageId, RowKey},
    settle,
};

use super::{
    Bound, Engine, EngineError, Event,
    look::{RecordName, pages_error},
    outcome::unread,
    report::Run,
};
use crate::{
    postgres::transaction::Tx,
    replica::{Pages, Rows, Seen},
    store::{LinkWrite, OpenStep, StepUpdate},
};

impl<R, P> Engine<R, P>
where
    R: Rows<Tx = Tx>,
    P: Pages,
{
    /// Resolves open steps of these mappings. Answers, per mapping, the rows whose page may still turn up.
    pub(super) async fn finish_open_steps(
        &mut self,
        run: &mut Run,
        which: &[usize],
    ) -> Result<Vec<BTreeSet<RowKey>>, EngineError> {
        run.doubts = 0;
        let mut doubtful = Vec::with_capacity(which.len());
        for &at in which {
            let bound = &self.bound[at];
            let open = self.store.open_steps(&bound.mapping.name).await?;
            let (creates, others): (Vec<OpenStep>, Vec<OpenStep>) =
                open.into_iter().partition(|open| open.step.action == Action::Create);
            self.look_again(bound, &others, "it was looked at again").await?;
            let (doubts, linked) = self.find_creates(bound, creates).await?;
            run.doubts += doubts.len();
            if !doubts.is_empty() {
                let event = Event::InDoubt {
                    mapping: &bound.mapping.name,
                    writes: doubts.len(),
                    seconds: bound.settings.doubt.as_secs_f64(),
                };
                self.progress.tell(&event);
            }
            if let Some(relatives) = &mut self.relatives {
                let name = &self.bound[at].mapping.name;
                linked.into_iter().for_each(|(key, page)| relatives.add(name, key, page));
            }
            doubtful.push(doubts);
        }
        Ok(doubtful)
    }

    /// Writes of absolute values to known pages: whether they happened shows when the page is read, since its base
    /// is still the old one.
    async fn look_again(&self, bound: &Bound<R, P>, open: &[OpenStep], why: &str) -> Result<(), EngineError> {
        if open.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        let records: Vec<RecordName> =
            open.iter().map(|open| (open.step.key.clone(), open.step.page)).collect();
        self.store.revisit(&mut tx, &bound.mapping.name, &records, 0.0).await?;
        self.conclude(&mut tx, open, Status::Failed, "unknown", why).await?;
        Ok(tx.commit().await?)
    }

    /// Looks for pages whose create was not answered, by the key they carry.
    ///
    /// Found once: it happened. Found several times: the look reports the doubles. Not found: it may still turn up
    /// until Notion's index has had its time; after that it did not happen.
    async fn find_creates(
        &self,
        bound: &Bound<R, P>,
        open: Vec<OpenStep>,
    ) -> Result<(BTreeSet<RowKey>, Vec<(RowKey, PageId)>), EngineError> {
        let mut doubts = BTreeSet::new();
        let mut linked = Vec::new();
        if open.is_empty() {
            return Ok((doubts, linked));
        }
        let keys: Vec<RowKey> = open.iter().filter_map(|open| open.step.key.clone()).collect();
        let mut found: BTreeMap<RowKey, Vec<Seen<PageId>>> = BTreeMap::new();
        if bound.mapping.key_property {
            let empty = crate::replica::Relatives::default();
            let relatives = self.relatives.as_ref().unwrap_or(&empty);
            let pages = bound
                .pages
                .find(&keys, relatives)
                .await
                .map_err(|error| pages_error(&bound.mapping.name, error))?;
            for (key, page) in pages {
                found.entry(key).or_default().push(page);
            }
        }
        let linked_already: BTreeSet<PageId> = self
            .store
            .links_of(&bound.mapping.name, &keys, &[])
            .await?
            .into_iter()
            .map(|link| link.page)
            .collect();
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for open in open {
            let pages = open.step.key.as_ref().and_then(|key| found.get(key));
            match pages.map(Vec::as_slice) {
                Some([page]) if !linked_already.contains(&page.id) => {
                    let Observation::Present(sighting) = &page.observation else { continue };
                    let Some(key) = open.step.key.clone() else { continue };
                    let base =
                        settle::after_step(&bound.mapping, &open.step, &sighting.record, unread(bound), &[]);
                    let link = LinkWrite {
                        id: open.step.link,
                        key: key.clone(),
                        page: page.id,
                        base,
                        unsettled: false,
                    };
                    self.store.keep_links(&mut tx, &bound.mapping, &[link]).await?;
                    // The page may have been edited since it was made: it is looked at like any other.
                    self.store
                        .revisit(&mut tx, &bound.mapping.name, &[(Some(key.clone()), Some(page.id))], 0.0)
                        .await?;
                    let update =
                        StepUpdate { seq: open.seq, status: Status::Done, page: Some(page.id), reason: None };
                    self.store.conclude(&mut tx, open.run, &[update]).await?;
                    linked.push((key, page.id));
                }
                Some([_, ..]) => {
                    let why = "the page is there, and another one or a link with it";
                    self.conclude(&mut tx, &[open], Status::Failed, "double", why).await?;
                }
                Some([]) | None => {
                    if open.age < bound.settings.doubt.as_secs_f64() && bound.mapping.key_property {
                        doubts.extend(open.step.key.clone());
                        continue;
                    }
                    let record = (open.step.key.clone(), open.step.page);
                    self.store.revisit(&mut tx, &bound.mapping.name, &[record], 0.0).await?;
                    let why = "no page carries the row's key: the write did not happen";
                    self.conclude(&mut tx, &[open], Status::Failed, "not_applied", why).await?;
                }
            }
        }
        if !linked.is_empty() {
            self.wake_referrers(&mut tx, &bound.mapping.name).await?;
        }
        tx.commit().await?;
        Ok((doubts, linked))
    }

    async fn conclude(
        &self,
        tx: &mut Tx,
        open: &[OpenStep],
        status: Status,
        code: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        let mut by_run: BTreeMap<i64, Vec<StepUpdate>> = BTreeMap::new();
        for open in open {
            let reason = Some(Reason::new(code, why));
            by_run.entry(open.run).or_default().push(StepUpdate {
                seq: open.seq,
                status,
                page: None,
                reason,
            });
        }
        for (run, updates) in by_run {
            self.store.conclude(tx, run, &updates).await?;
        }
        Ok(())
    }
}
