//! Pages that keep their whole row: which of them keep an old one, and what goes along with each write.
//!
//! A column without a property moves no page. So each look asks, of the rows that it was shown and that are as they were
//! settled, whether the row in short is still what the page keeps; a look for changes is shown every row that was
//! written, a look at everything all of them. The database does the reckoning, no row travels for it.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    digest::Digest,
    fidelity::{self, Reason},
    mapping::Field,
    observation::Observation,
    plan::{Action, Because, Expect, MappingPlan, Parked, Step},
    record::{PageId, RowKey},
    side::Side,
};

use super::{
    Bound, Engine, EngineError, Parts,
    index::{LinkIndex, Mark, SideSeen},
    look::rows_error,
};
use crate::{
    backup::BackupError,
    replica::{Pages as _, Rows as _, Scope, Seen},
    store::{CompactLink, Links as _, Transaction as _, Transactions as _},
};

/// How many links are compared at once.
const AT_ONCE: usize = 1000;
/// How many pages without any backup one plan fills.
const NEW_AT_ONCE: i64 = 1000;

/// Whole rows by mapping (its place in the engine) and key.
pub(super) type WholeRows = BTreeMap<(usize, RowKey), String>;

impl<W: Parts> Engine<W> {
    /// The links of those pages that keep an old row or none, as far as both halves are as they were settled.
    pub(super) async fn old_backups(
        &self,
        bound: &Bound<W>,
        index: &LinkIndex,
        rows: &SideSeen<RowKey>,
        pages: &SideSeen<PageId>,
    ) -> Result<Vec<CompactLink>, EngineError> {
        let mapping = bound.mapping.name.as_str();
        if !bound.pages.keeps_backups() || !bound.mapping.direction.reaches(Side::Notion) {
            return Ok(Vec::new());
        }
        let is_shown = |at: &usize| rows.mark(*at) == Mark::Same && pages.mark(*at) != Mark::Different;
        let mut links: Vec<CompactLink> =
            (0..index.len()).filter(is_shown).map(|at| index.get(at).clone()).collect();
        let shown: BTreeSet<i64> = links.iter().map(|link| link.id).collect();
        let mut new = self.store.without_backup(mapping, NEW_AT_ONCE).await?;
        new.retain(|link| {
            let moved = index
                .of_key(&link.key)
                .is_some_and(|at| rows.mark(at) == Mark::Different || pages.mark(at) == Mark::Different);
            !moved && !shown.contains(&link.id)
        });
        links.extend(settled(bound, new).await?);
        let mut old = Vec::new();
        for part in links.chunks(AT_ONCE) {
            let ids: Vec<i64> = part.iter().map(|link| link.id).collect();
            let keys: Vec<RowKey> = part.iter().map(|link| link.key.clone()).collect();
            let kept = self.store.backups(mapping, &ids).await?;
            let now: BTreeMap<RowKey, _> = (bound.rows.for_backup_in_short(&keys).await)
                .map_err(|error| rows_error(mapping, error))?
                .into_iter()
                .collect();
            let is_old =
                |link: &&CompactLink| now.get(&link.key).is_some_and(|now| kept.get(&link.id) != Some(now));
            old.extend(part.iter().filter(is_old).cloned());
        }
        Ok(old)
    }

    /// The whole rows of the pages that a batch writes, where they keep them. Each step comes with its mapping's place.
    pub(super) async fn whole_rows<'p>(
        &self,
        batch: impl Iterator<Item = (usize, &'p Step)>,
        born: &BTreeMap<PageId, RowKey>,
    ) -> Result<WholeRows, EngineError> {
        let mut keys: BTreeMap<usize, Vec<RowKey>> = BTreeMap::new();
        for (at, step) in batch {
            let key = step.key.as_ref().or_else(|| born.get(&step.page?));
            if matches!(step.action, Action::Create | Action::Update)
                && self.bound[at].pages.keeps_backups()
                && let Some(key) = key
            {
                keys.entry(at).or_default().push(key.clone());
            }
        }
        let mut whole = WholeRows::new();
        for (at, keys) in keys {
            let bound = &self.bound[at];
            let found = bound.rows.for_backup(&keys).await;
            let found = found.map_err(|error| rows_error(&bound.mapping.name, error))?;
            whole.extend(found.into_iter().map(|(key, row)| ((at, key), row)));
        }
        Ok(whole)
    }
}

impl<W: Parts> Engine<W> {
    /// New rows get the columns without a property from what their pages keep of them. A row whose backup cannot be read
    /// is left out and said, unless it shall do `without`: made without them, it would be what the next backup keeps.
    pub(super) async fn take_backups(
        &self,
        bound: &Bound<W>,
        part: &mut MappingPlan,
        without: bool,
    ) -> Result<(), EngineError> {
        let Some((_, backups)) = bound.pages.with_backups() else { return Ok(()) };
        let Some(retrieved) = self.retrieved(&bound.mapping.name) else { return Ok(()) };
        let mut left_out: BTreeMap<PageId, BackupError> = BTreeMap::new();
        let is_new = |step: &&mut Step| step.side == Side::Postgres && step.action == Action::Create;
        let mut new: Vec<(&RowKey, PageId, &mut Option<String>)> = (part.steps.iter_mut().filter(is_new))
            .filter_map(|step| Some((step.key.as_ref()?, step.page?, &mut step.whole)))
            .collect();
        for chunk in new.chunks_mut(AT_ONCE) {
            let pages: Vec<PageId> = chunk.iter().map(|(_, page, _)| *page).collect();
            let kept = self.retrieved_backups(&bound.mapping.name, retrieved, &pages).await?;
            for (key, page, whole) in chunk {
                let Some(text) = kept.get(page) else { continue };
                match backups.open(key, text) {
                    Ok(row) => **whole = Some(row.json().to_owned()),
                    // Nothing more was ever kept of it.
                    Err(BackupError::None | BackupError::TooLarge(_)) => {}
                    Err(_) if without => {}
                    Err(error) => {
                        left_out.insert(*page, error);
                    }
                }
            }
        }
        for step in part.steps.iter().filter(|step| step.side == Side::Postgres) {
            let Some(error) = step.page.and_then(|page| left_out.get(&page)) else { continue };
            part.parked.push(Parked {
                link: step.link,
                key: step.key.clone(),
                page: step.page,
                side: Side::Postgres,
                field: None,
                reason: Reason::new("backup", error.to_string()),
                value: None,
            });
        }
        part.steps.retain(|step| step.page.is_none_or(|page| !left_out.contains_key(&page)));
        Ok(())
    }

    /// Of rows that are made again from what their pages keep, only what the page says otherwise by now is written over
    /// that: a value that agrees keeps its seconds, its digits and its order, which Notion does not have.
    pub(super) async fn prefer_what_is_kept(
        &self,
        bound: &Bound<W>,
        part: &mut MappingPlan,
    ) -> Result<(), EngineError> {
        let whole: Vec<&str> = part.steps.iter().filter_map(|step| step.whole.as_deref()).collect();
        if whole.is_empty() {
            return Ok(());
        }
        let shown = bound.rows.shown_by(&whole).await;
        let shown = shown.map_err(|error| rows_error(&bound.mapping.name, error))?;
        let steps = part.steps.iter_mut().filter(|step| step.whole.is_some());
        for (step, kept) in steps.zip(shown) {
            let Some(kept) = kept else { continue };
            for write in &mut step.fields {
                let Some(field) = bound.mapping.fields.get(write.field) else { continue };
                // A reference is written when what it leads to is there.
                let Some(value) = kept.get(write.field).filter(|_| field.related().is_none()) else {
                    continue;
                };
                if fidelity::agree(value, write.source(), field) {
                    write.source = Some(write.source().clone());
                    write.after = value.clone();
                    write.withheld = true;
                } else if write.withheld && may_be_emptied(field) {
                    // Somebody emptied the property, and what was kept is older than that.
                    write.withheld = false;
                }
            }
        }
        Ok(())
    }

    /// Remembers which row each retrieved page keeps, so that none is written again only because nobody knows.
    pub(super) async fn remember_kept(&self, which: &[usize]) -> Result<(), EngineError> {
        for &at in which {
            let bound = &self.bound[at];
            let mapping = bound.mapping.name.as_str();
            let Some((_, backups)) = bound.pages.with_backups() else { continue };
            let Some(retrieved) = self.retrieved(mapping) else { continue };
            let mut links: Vec<(PageId, RowKey)> = Vec::new();
            self.store.each_link(mapping, &mut |link| links.push((link.page, link.key))).await?;
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            for part in links.chunks(AT_ONCE) {
                let pages: Vec<PageId> = part.iter().map(|(page, _)| *page).collect();
                let texts = self.retrieved_backups(mapping, retrieved, &pages).await?;
                let opened = |(page, key): &(PageId, RowKey)| {
                    // Whatever does not open is written anew.
                    Some((*page, backups.open(key, texts.get(page)?).ok()?.in_short()))
                };
                let kept: Vec<(PageId, Digest)> = part.iter().filter_map(opened).collect();
                self.store.keep_backups(&mut tx, mapping, &kept).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

fn may_be_emptied(field: &Field) -> bool {
    field.flow.reaches(Side::Postgres) && !field.required
}

/// Those of these links whose row takes part and is as it was settled; no look has shown them.
async fn settled<W: Parts>(
    bound: &Bound<W>,
    links: Vec<CompactLink>,
) -> Result<Vec<CompactLink>, EngineError> {
    if links.is_empty() {
        return Ok(links);
    }
    let keys: Vec<RowKey> = links.iter().map(|link| link.key.clone()).collect();
    let mut now: BTreeMap<RowKey, Digest> = BTreeMap::new();
    let mut take = |seen: Seen<RowKey>| {
        if let Observation::Present(sighting) = seen.observation {
            now.insert(seen.id, sighting.digest);
        }
    };
    let looked = bound.rows.look(Scope::These(&keys), &mut take).await;
    looked.map_err(|error| rows_error(&bound.mapping.name, error))?;
    Ok(links.into_iter().filter(|link| now.get(&link.key) == Some(&link.digest.postgres)).collect())
}

/// Adds a step for each page whose backup is old and that the plan does not write anyway.
pub(super) fn renew_backups(part: &mut MappingPlan, old: Vec<CompactLink>) {
    let written: BTreeSet<i64> = part.steps.iter().filter_map(|step| step.link).collect();
    let old = old.into_iter().filter(|link| !written.contains(&link.id));
    part.steps.extend(old.map(|link| Step {
        wave: 0,
        side: Side::Notion,
        action: Action::Update,
        link: Some(link.id),
        key: Some(link.key),
        page: Some(link.page),
        fields: Vec::new(),
        mark: false,
        expect: Expect::Seen(link.digest.notion),
        source: Some(link.digest.postgres),
        because: Because::Backup,
        whole: None,
    }));
}
