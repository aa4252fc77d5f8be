//! Pages that keep their whole row: which of them keep an old one, and what goes along with each write.
//!
//! A column without a property moves no page. So each look asks, of the rows that it was shown and that are as they were
//! settled, whether the row in short is still what the page keeps; a look for changes is shown every row that was
//! written, a look at everything all of them. The database does the reckoning, no row travels for it.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    digest::Digest,
    fidelity,
    mapping::Field,
    observation::Observation,
    plan::{Action, Because, Expect, MappingPlan, Step},
    record::{PageId, RowKey},
    side::Side,
};

use super::{
    Bound, Engine, EngineError, Parts,
    index::{LinkIndex, Mark, SideSeen},
    look::rows_error,
};
use crate::{
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
            let Some(known) = self.known.get(mapping).filter(|known| !known.backups.is_empty()) else {
                continue;
            };
            let mut kept: Vec<(PageId, Digest)> = Vec::new();
            let mut take = |link: CompactLink| {
                let text = known.backups.get(&link.page);
                let whole = text.and_then(|text| backups.open(&link.key, text).ok());
                kept.extend(whole.map(|whole| (link.page, whole.in_short())));
            };
            self.store.each_link(mapping, &mut take).await?;
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            for part in kept.chunks(AT_ONCE) {
                self.store.keep_backups(&mut tx, mapping, part).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

fn may_be_emptied(field: &Field) -> bool {
    field.flow.reaches(Side::Postgres) && !field.required && field.lens.is_none()
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
