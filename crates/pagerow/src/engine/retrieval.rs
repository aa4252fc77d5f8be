//! Reading all pages for a recovery, so that whatever interrupts it, another process goes on where it was.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use pagerow_core::{
    digest::Digest,
    mapping::Mapping,
    observation::{Absence, Observation, Sighting},
    record::{PageId, Record},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::{sync::mpsc, time::Instant};

use super::{Bound, Engine, EngineError, Event, Parts, look::pages_error};
use crate::{
    backup::Backups,
    replica::{Cursor, Looked, Pages as _, Portion, Portions, Relatives, Scope, Seen},
    store::{
        Cursors as _, FORM, Links as _, Operation, Operations, Retrieval, Staged as _, StoreError,
        Transaction as _, Transactions as _,
    },
};

/// The kind of an operation that retrieves pages.
const KIND: &str = "from_notion";
/// After so many seconds without a further page, what is staged is too old to go on with.
const TOO_OLD: f64 = 24.0 * 3600.0;
/// Pages that were looked at so lately are not asked for again: what is edited meanwhile, the next sync finds.
const FRESH: Duration = Duration::from_secs(60);
/// Pages in one answer of Notion's.
const LISTED: u64 = 100;

/// What is known of a mapping's pages before it is looked at.
#[derive(Default)]
pub(super) struct Known {
    /// All of them are staged.
    pub(super) retrieved: Option<Retrieved>,
    /// When the look began that showed them last.
    pub(super) looked_at: Option<Instant>,
    /// Pages that were asked for one by one and were not there.
    pub(super) absent: BTreeMap<PageId, Absence>,
    /// Where some of the missing pages are in the trash, the others are taken to be: they are about to be taken out of it.
    pub(super) presumes: bool,
    /// Of many pages that are not there, some stand for all.
    pub(super) sampled: bool,
}

/// All pages of a mapping, where they are staged. They are read from there as often as they are needed: a hundred thousand
/// pages are more than a memory should hold beside what is made of them.
pub(super) struct Retrieved {
    operation: i64,
    /// From where a look for edits goes on.
    pub(super) cursor: Option<Cursor>,
}

/// A page as it is staged.
#[derive(Serialize, Deserialize)]
struct Staged {
    record: Json,
    edited: Option<jiff::Timestamp>,
    editor: Option<String>,
    by: Option<String>,
    marker: Option<String>,
    checksum: Option<String>,
    /// What the page keeps of its whole row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
}

/// Who reads a mapping's pages, and takes their backups in where they have some.
struct Reader<'r, P: Clone> {
    pages: Cow<'r, P>,
    backups: Option<Backups>,
}

impl<W: Parts> Engine<W>
where
    W::Store: Operations,
    W::Pages: Portions,
{
    /// Retrieves the pages of these mappings, or what is left of them. Answers the operation's number.
    pub(super) async fn retrieve(&mut self, which: &[usize]) -> Result<i64, EngineError> {
        let operation = self.take_operation_up(which).await?;
        let relatives = self.take_relatives().await?;
        let mut result = Ok(());
        for &at in which {
            let name = &self.bound[at].mapping.name;
            let known = operation.retrievals.get(name).cloned();
            let looked_at = self.known.get(name).and_then(|known| known.looked_at);
            let lately = looked_at.filter(|at| at.elapsed() < FRESH);
            let stop = self.stop.clone();
            let one = Box::pin(self.retrieve_one(&self.bound[at], operation.id, known, lately, &relatives));
            match Self::unless_stopped(stop, one).await {
                Ok(known) => {
                    self.known.insert(name.clone(), known);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.relatives = Some(relatives);
        result.map(|()| operation.id)
    }

    /// The recovery has ended, or there is nothing to recover.
    pub(super) async fn end_retrieval(&mut self, operation: i64) -> Result<(), EngineError> {
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.store.end_operation(&mut tx, operation, "done").await?;
        Ok(tx.commit().await?)
    }

    /// Gives an unfinished recovery up, wherever it is going on. Answers its number and how many pages were retrieved;
    /// `None` when there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cancel_recovery(&self) -> Result<Option<(i64, u64)>, EngineError> {
        let Some(operation) = self.store.open_operation().await? else { return Ok(None) };
        let mut tx = self.store.begin().await?;
        let ended = self.store.end_operation(&mut tx, operation.id, "cancelled").await?;
        tx.commit().await?;
        let pages = operation.retrievals.values().map(|retrieval| retrieval.pages).sum();
        Ok(ended.then_some((operation.id, pages)))
    }

    /// The operation that was interrupted, if it is one that can be gone on with; else a new one.
    async fn take_operation_up(&mut self, which: &[usize]) -> Result<Operation, EngineError> {
        let mut open = self.store.open_operation().await?;
        if let Some(operation) = &open {
            if operation.kind != KIND || operation.form != FORM {
                let why = "another version of pagerow began it, and this one does not read what it staged"
                    .to_owned();
                return Err(EngineError::OtherOperation { operation: operation.id, why });
            }
            if operation.age > TOO_OLD {
                let mut tx = self.store.begin().await?;
                self.fence(&mut tx).await?;
                self.store.end_operation(&mut tx, operation.id, "outdated").await?;
                tx.commit().await?;
                open = None;
            }
        }
        let Some(operation) = open else {
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            let id = self.store.begin_operation(&mut tx, KIND).await?;
            tx.commit().await?;
            let (kind, retrievals) = (KIND.to_owned(), BTreeMap::new());
            return Ok(Operation { id, kind, form: FORM, retrievals, age: 0.0 });
        };
        for &at in which {
            let mapping = &self.bound[at].mapping;
            let is_other = |retrieval: &Retrieval| retrieval.fingerprint != mapping.fingerprint().to_string();
            if operation.retrievals.get(&mapping.name).is_some_and(is_other) {
                let why = format!("the mapping {} is another one since it began", mapping.name);
                return Err(EngineError::OtherOperation { operation: operation.id, why });
            }
        }
        let unfinished = operation.retrievals.values().any(|retrieval| !retrieval.complete);
        let pages: u64 = operation.retrievals.values().map(|retrieval| retrieval.pages).sum();
        if unfinished || (pages > 0 && self.known.is_empty()) {
            self.progress.tell(&Event::TakenUp { operation: operation.id, pages });
        }
        Ok(operation)
    }

    async fn retrieve_one(
        &self,
        bound: &Bound<W>,
        operation: i64,
        known: Option<Retrieval>,
        lately: Option<Instant>,
        relatives: &Relatives,
    ) -> Result<Known, EngineError> {
        let looked_at = lately.unwrap_or_else(Instant::now);
        let mapping = &*bound.mapping;
        let mut retrieval = match known {
            Some(retrieval) => retrieval,
            None => Retrieval {
                fingerprint: mapping.fingerprint().to_string(),
                expected: self.expected(&mapping.name).await?,
                ..Retrieval::default()
            },
        };
        let reader = match bound.pages.with_backups() {
            Some((pages, backups)) => Reader { pages: Cow::Owned(pages), backups: Some(backups) },
            None => Reader { pages: Cow::Borrowed(&bound.pages), backups: None },
        };
        if retrieval.complete
            && lately.is_none()
            && !self.bring_up_to_date(bound, &reader, operation, &mut retrieval, relatives).await?
        {
            // What was edited since cannot be told: everything is read anew.
            (retrieval.complete, retrieval.reached, retrieval.pages) = (false, None, 0);
        }
        if !retrieval.complete {
            self.read_on(bound, &reader, operation, &mut retrieval, relatives).await?;
        }
        let retrieved = Some(Retrieved { operation, cursor: retrieval.reached });
        Ok(Known { retrieved, looked_at: Some(looked_at), ..Known::default() })
    }

    /// How many pages there were when they were last counted.
    async fn expected(&self, mapping: &str) -> Result<Option<u64>, EngineError> {
        let counted = self.store.mapping_state(mapping).await?.pages;
        let links = self.store.count_links(mapping).await?;
        Ok(counted.map(i64::unsigned_abs).or((links > 0).then_some(links)))
    }

    /// Reads the pages that are not staged yet.
    async fn read_on(
        &self,
        bound: &Bound<W>,
        reader: &Reader<'_, W::Pages>,
        operation: i64,
        retrieval: &mut Retrieval,
        relatives: &Relatives,
    ) -> Result<(), EngineError> {
        let mapping = &*bound.mapping;
        let from = retrieval.reached.clone();
        let (send, mut portions) = mpsc::unbounded_channel::<Portion>();
        let read = async move {
            // Nobody listens any more: the reading is given up with whoever listened.
            let mut take = |portion| drop(send.send(portion));
            let read = reader.pages.read_on(from.as_ref(), relatives, &mut take).await;
            match read.map_err(|error| pages_error(&mapping.name, error))? {
                Some(looked) => Ok(Some(looked)),
                None => reader
                    .pages
                    .read_on(None, relatives, &mut take)
                    .await
                    .map_err(|error| pages_error(&mapping.name, error)),
            }
        };
        let keep = async {
            while let Some(first) = portions.recv().await {
                let mut pages = first.pages;
                retrieval.reached = Some(first.reached);
                while let Ok(next) = portions.try_recv() {
                    pages.extend(next.pages);
                    retrieval.reached = Some(next.reached);
                }
                retrieval.pages += pages.len() as u64;
                self.stage(operation, mapping, retrieval, pages, reader.backups.as_ref()).await?;
                let left = retrieval.expected.map(|expected| expected.saturating_sub(retrieval.pages));
                let seconds = left.map(|left| bound.pages.forecast(left.div_ceil(LISTED)).as_secs_f64());
                self.progress.tell(&Event::Retrieved {
                    mapping: &mapping.name,
                    pages: retrieval.pages,
                    expected: retrieval.expected,
                    seconds,
                });
            }
            Ok::<_, EngineError>(())
        };
        let both = async {
            let (mut read, mut keep) = (std::pin::pin!(read), std::pin::pin!(keep));
            tokio::select! {
                // What was read before an error is kept.
                looked = &mut read => {
                    keep.await?;
                    looked
                }
                // Whoever cannot keep what is read need not go on reading.
                kept = &mut keep => {
                    kept?;
                    read.await
                }
            }
        };
        let looked: Looked = self.keeping_lease(both).await??.unwrap_or_default();
        if !looked.complete {
            let why = "the read was not complete; the same command goes on with it".into();
            return Err(EngineError::Pages { mapping: mapping.name.clone(), source: why });
        }
        (retrieval.complete, retrieval.reached) = (true, looked.cursor);
        self.stage(operation, mapping, retrieval, Vec::new(), None).await
    }

    /// Stages what was edited since the reading ended. `false` when that cannot be told.
    async fn bring_up_to_date(
        &self,
        bound: &Bound<W>,
        reader: &Reader<'_, W::Pages>,
        operation: i64,
        retrieval: &mut Retrieval,
        relatives: &Relatives,
    ) -> Result<bool, EngineError> {
        let Some(cursor) = retrieval.reached.clone() else { return Ok(false) };
        let mut pages: Vec<Seen<PageId>> = Vec::new();
        let mut take = |page| pages.push(page);
        let look = reader.pages.look(Scope::Since(&cursor), relatives, &mut take);
        let looked = self.keeping_lease(look).await?;
        let looked = looked.map_err(|error| pages_error(&bound.mapping.name, error))?;
        if !looked.complete || looked.vanished {
            return Ok(false);
        }
        retrieval.reached = looked.cursor.or(Some(cursor));
        self.stage(operation, &bound.mapping, retrieval, pages, reader.backups.as_ref()).await?;
        Ok(true)
    }

    async fn stage(
        &self,
        operation: i64,
        mapping: &Mapping,
        retrieval: &Retrieval,
        pages: Vec<Seen<PageId>>,
        backups: Option<&Backups>,
    ) -> Result<(), EngineError> {
        let staged = |page: Seen<PageId>| {
            let backup = backups.and_then(|backups| backups.take(page.id));
            (page.id, to_staged(mapping, page.observation, backup))
        };
        // The last word on a page counts.
        let pages: BTreeMap<PageId, Json> = pages.into_iter().map(staged).collect();
        let pages: Vec<(PageId, Json)> = pages.into_iter().collect();
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        if !self.store.stage(&mut tx, operation, &mapping.name, retrieval, &pages).await? {
            return Err(EngineError::Cancelled(operation));
        }
        Ok(tx.commit().await?)
    }
}

impl<W: Parts> Engine<W> {
    /// The pages that were retrieved for a mapping, if they were.
    pub(super) fn retrieved(&self, mapping: &str) -> Option<&Retrieved> {
        self.known.get(mapping)?.retrieved.as_ref()
    }

    /// The pages that were retrieved for a mapping, all or these, with their references to rows as far as these are known
    /// by now.
    pub(super) async fn each_retrieved(
        &self,
        mapping: &Mapping,
        retrieved: &Retrieved,
        only: Option<&[PageId]>,
        relatives: &Relatives,
        take: &mut (dyn FnMut(Seen<PageId>) + Send),
    ) -> Result<(), EngineError> {
        let mut unreadable = None;
        let mut found = |page, seen| match from_staged(mapping, relatives, seen) {
            Ok(observation) => take(Seen { id: page, observation }),
            Err(source) => unreadable = Some(source),
        };
        self.store.each_staged(retrieved.operation, &mapping.name, only, &mut found).await?;
        match unreadable {
            Some(source) => Err(StoreError::Unreadable { what: "a staged page", source }.into()),
            None => Ok(()),
        }
    }

    /// What these retrieved pages keep of their whole rows.
    pub(super) async fn retrieved_backups(
        &self,
        mapping: &str,
        retrieved: &Retrieved,
        pages: &[PageId],
    ) -> Result<BTreeMap<PageId, String>, EngineError> {
        let mut backups = BTreeMap::new();
        let mut found = |page, mut seen: Json| {
            if let Some(Json::String(backup)) = seen.get_mut("backup").map(Json::take) {
                backups.insert(page, backup);
            }
        };
        self.store.each_staged(retrieved.operation, mapping, Some(pages), &mut found).await?;
        Ok(backups)
    }
}

fn to_staged(mapping: &Mapping, observation: Observation, backup: Option<String>) -> Json {
    match observation {
        Observation::Present(Sighting { record, edited, editor, by, marker, checksum, .. }) => {
            let record = record.to_json(mapping);
            json!(Staged { record, edited, editor, by, marker, checksum, backup })
        }
        Observation::Unreadable(why) => json!({ "unreadable": why }),
        Observation::Absent(how) => json!({ "absent": how }),
        Observation::Unchanged => json!({ "unreadable": "it was not shown" }),
    }
}

/// A staged page, with its references to rows as far as these are known by now.
fn from_staged(
    mapping: &Mapping,
    relatives: &Relatives,
    seen: Json,
) -> Result<Observation, serde_json::Error> {
    if let Some(why) = seen.get("unreadable") {
        return Ok(Observation::Unreadable(why.as_str().unwrap_or_default().to_owned()));
    }
    if let Some(how) = seen.get("absent") {
        return Ok(Observation::Absent(Absence::deserialize(how)?));
    }
    let staged: Staged = serde_json::from_value(seen)?;
    let mut record = Record::from_json(&staged.record, mapping);
    relatives.name_rows(mapping, &mut record);
    let marker = staged.marker.as_deref().filter(|_| mapping.key_property);
    let digest = Digest::of_record(mapping, &record, marker, &mut Vec::new());
    let Staged { edited, editor, by, marker, checksum, .. } = staged;
    Ok(Observation::Present(Sighting { record, digest, edited, editor, by, marker, checksum }))
}
