//! One mapping's data source as the engine sees it: pages looked at, written and found.

mod api;
mod delta;
mod look;
mod sighting;
mod verdict;
mod windows;
mod write;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::tz::TimeZone;
use pagerow_core::{
    mapping::Mapping,
    observation::Observation,
    plan::Step,
    record::{PageId, RowKey},
};
use serde::Deserialize as _;

use self::{
    api::Api,
    look::{Look, Reached},
    sighting::Lens,
};
use super::{NotionClient, error::NotionError, source::Source, wire::PropertyId};
use crate::{
    backup::Backups,
    clock::Clock,
    replica::{Cursor, Looked, Outcome, Pages, Portion, Portions, Relatives, Scope, Seen, Sink, Stamp},
};

/// The pages of one mapping.
#[derive(Clone)]
pub struct NotionPages {
    api: Api,
    mapping: Arc<Mapping>,
    source: Arc<Source>,
    lens: Arc<Lens>,
    clock: Clock,
}

/// Why pages could not be looked at. Never holds a cell's content.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    #[error(transparent)]
    Notion(#[from] NotionError),
    #[error(
        "more than 10,000 pages were created in the minute of {minute}, and Notion lists no more of one minute; \
         move some of them away, or split the data source"
    )]
    TooDense { minute: String },
    /// A query for keys matched more pages than Notion lists.
    #[error("Notion does not list all pages that carry a key ({reason})")]
    Cut { reason: String },
    #[error("the mapping has no key property, so that no page can be found by its row")]
    NoKeyProperty,
    #[error("{0:?} is no time zone")]
    NoSuchZone(String),
    #[error("the program is stopping")]
    Stopping,
}

impl NotionPages {
    /// The pages of `source`, as far as `mapping` says. Calls are counted from now on.
    ///
    /// # Errors
    /// [`PagesError::NoSuchZone`].
    pub fn new(
        client: &NotionClient,
        mapping: Arc<Mapping>,
        source: Source,
        clock: Clock,
    ) -> Result<Self, PagesError> {
        let zone = TimeZone::get(&source.zone).map_err(|_| PagesError::NoSuchZone(source.zone.clone()))?;
        let lens = Arc::new(Lens::new(&mapping, &source, zone));
        let api = Api::new(client.counted(), source.data_source.clone(), lens.shown());
        Ok(Self { api, mapping, source: Arc::new(source), lens, clock })
    }

    /// The property that carries the row's key.
    fn key_property(&self) -> Option<(PropertyId, &str)> {
        let property = self.source.key_property.as_ref()?;
        Some((PropertyId::new(property.id.as_str()), property.kind.as_str()))
    }
}

impl Portions for NotionPages {
    async fn read_on(
        &self,
        from: Option<&Cursor>,
        relatives: &Relatives,
        take: &mut (dyn FnMut(Portion) + Send),
    ) -> Result<Option<Looked>, PagesError> {
        let reached = match from.map(Reached::deserialize) {
            None => Reached::default(),
            Some(Ok(reached)) => reached,
            Some(Err(_)) => return Ok(None),
        };
        // What was shown and is not handed over yet.
        let shown = Mutex::new(Vec::new());
        let mut show = |page: Seen<PageId>| hold(&shown).push(page);
        let look = Look::new(self, relatives, &mut show);
        let looked = look
            .read_on(reached, &mut |reached| {
                let pages = std::mem::take(&mut *hold(&shown));
                if let (false, Some(reached)) = (pages.is_empty(), reached()) {
                    take(Portion { pages, reached });
                }
            })
            .await?;
        Ok(Some(looked))
    }
}

/// Nobody who holds it panics.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pages for NotionPages {
    type Error = PagesError;

    async fn look(
        &self,
        scope: Scope<'_, PageId>,
        relatives: &Relatives,
        sink: Sink<'_, PageId>,
    ) -> Result<Looked, PagesError> {
        let look = Look::new(self, relatives, sink);
        match scope {
            Scope::Everything => look.everything().await,
            Scope::Since(cursor) => look.since(cursor).await,
            Scope::These(ids) => look.these(ids).await,
        }
    }

    async fn write(&self, step: &Step, relatives: &Relatives, stamp: &Stamp) -> Outcome<PageId> {
        self.carry_out(step, relatives, stamp).await
    }

    async fn find(
        &self,
        keys: &[RowKey],
        relatives: &Relatives,
    ) -> Result<Vec<(RowKey, Seen<PageId>)>, PagesError> {
        let mut seen: Vec<Seen<PageId>> = Vec::new();
        let mut take = |page| seen.push(page);
        Look::new(self, relatives, &mut take).by_key(keys).await?;
        let (readable, unreadable): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|seen| matches!(seen.observation, Observation::Present(_)));
        let mut missing: BTreeSet<&RowKey> = keys.iter().collect();
        let wanted = missing.clone();
        let mut found: Vec<(RowKey, Seen<PageId>)> = Vec::new();
        for seen in readable {
            let Observation::Present(sighting) = &seen.observation else { continue };
            // Notion's `equals` may be laxer than ours: only the very key counts.
            let Some(key) = sighting.marker.as_deref().map(RowKey::from).filter(|key| wanted.contains(key))
            else {
                continue;
            };
            missing.remove(&key);
            found.push((key, seen));
        }
        // A page that carries one of the keys and cannot be read may be any of those that were not found.
        for seen in unreadable {
            found.extend(missing.iter().map(|key| ((*key).clone(), seen.clone())));
        }
        Ok(found)
    }

    fn with_backups(&self) -> Option<(Self, Backups)> {
        let property = PropertyId::new(self.source.stamp.backup.as_deref()?);
        let backups = Backups::new(self.source.backup.clone()?);
        let mut pages = self.clone();
        let lens = Arc::make_mut(&mut pages.lens);
        lens.backup = Some((property, backups.clone()));
        pages.api = Api::new(pages.api.client.clone(), self.source.data_source.clone(), lens.shown());
        Some((pages, backups))
    }

    fn keeps_backups(&self) -> bool {
        self.source.backup.is_some()
    }

    async fn ready(&self) {
        self.api.client.ready().await;
    }

    fn forecast(&self, calls: u64) -> std::time::Duration {
        self.api.client.pacing().forecast(calls)
    }

    fn calls(&self) -> u64 {
        self.api.client.calls()
    }
}
