//! Pairing what was seen: by link, and for the first time.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    adopt::{PageHalf, RowHalf, adopt_but},
    fidelity::agree,
    mapping::{Field, Mapping},
    observation::{Absence, Identity, Link, Observation, Pair, Sighting},
    plan::{Skipped, Why},
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
    value::{Ref, Value},
};

use super::{fill::Sight, marker};
use crate::{
    engine::{Engine, EngineError, Parts, index::Mark},
    replica::Relatives,
    store::{CompactLink, Links as _, Questions as _},
};

/// Which links become pairs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those of which a side showed something else than its base.
    Moved,
    All,
}

impl<W: Parts> Sight<'_, W> {
    /// Pairs what was seen: by link, and for the first time.
    pub(super) async fn pair(
        mut self,
        engine: &Engine<W>,
        doubtful: &BTreeSet<RowKey>,
        which: Which,
    ) -> Result<(Vec<Pair>, Vec<Skipped>), EngineError> {
        let mapping = &*self.bound.mapping;
        let mut skipped = Vec::new();
        let mut parted = BTreeSet::new();
        if !self.is_idle_of_links() {
            parted = engine.store.parted(&mapping.name).await?;
            self.forget_markers(&parted);
        }
        let mut returned = self.returned(doubtful);
        let trashed: BTreeSet<PageId> = (self.pages.unlinked().iter())
            .filter(|(_, seen)| **seen == Observation::Absent(Absence::Trashed))
            .map(|(page, _)| *page)
            .collect();
        let marked: BTreeSet<RowKey> = (self.rows.unlinked().iter())
            .filter(|(_, seen)| **seen == Observation::Absent(Absence::Trashed))
            .map(|(key, _)| key.clone())
            .collect();
        let (mut rows, mut pages) = (self.unlinked_rows(&mut skipped), self.unlinked_pages(&mut skipped));
        // Its page may have turned up by now; finding it is the recovery's business.
        pages.retain(|page, sighting| {
            let in_doubt = sighting.marker.as_deref().is_some_and(|key| doubtful.contains(&key.into()));
            if in_doubt {
                skipped.push(Skipped { key: None, page: Some(*page), why: Why::InDoubt });
            }
            !in_doubt
        });
        let mut pairs = first_meeting(mapping, &parted, &mut rows, &mut pages, &mut skipped);
        // A doubtful row may have found its page just now. If not, it waits.
        rows.retain(|key, _| {
            let in_doubt = doubtful.contains(key);
            if in_doubt {
                skipped.push(Skipped { key: Some(key.clone()), page: None, why: Why::InDoubt });
            }
            !in_doubt
        });
        pairs.append(&mut returned);
        pairs.extend(rows.into_iter().map(|(key, sighting)| {
            let page =
                sighting.marker.as_deref().and_then(PageId::parse).filter(|page| trashed.contains(page));
            let (identity, gone) = match page {
                // The page that the row names is in the trash: another one would be a twin.
                Some(page) => (Identity::Adopted { key, page }, Absence::Trashed),
                None => (Identity::Row(key), Absence::Deleted),
            };
            let postgres = Observation::Present(sighting);
            Pair { identity, seen: Sides { postgres, notion: Observation::Absent(gone) } }
        }));
        pairs.extend(pages.into_iter().map(|(page, sighting)| {
            let row = sighting.marker.as_deref().map(RowKey::from).filter(|key| marked.contains(key));
            let notion = Observation::Present(sighting);
            match row {
                // Its row is still there, marked as deleted: nothing new is to be made.
                Some(key) => Pair {
                    identity: Identity::Adopted { key, page },
                    seen: Sides { postgres: Observation::Absent(Absence::Trashed), notion },
                },
                None => Pair {
                    identity: Identity::Page(page),
                    seen: Sides { postgres: Observation::Absent(Absence::Deleted), notion },
                },
            }
        }));

        let moved: Vec<usize> = (0..self.index.len())
            .filter(|&at| {
                which == Which::All
                    || self.rows.mark(at) == Mark::Different
                    || self.pages.mark(at) == Mark::Different
            })
            .collect();
        // Nothing is written to a page of which nobody knows what is still on its way there.
        let (waiting, moved): (Vec<usize>, Vec<usize>) =
            moved.into_iter().partition(|&at| doubtful.contains(&self.index.get(at).key));
        skipped.extend(waiting.into_iter().map(|at| {
            let link = self.index.get(at);
            Skipped { key: Some(link.key.clone()), page: Some(link.page), why: Why::InDoubt }
        }));
        for chunk in moved.chunks(5_000) {
            let ids: Vec<i64> = chunk.iter().map(|&at| self.index.get(at).id).collect();
            let mut linked = Vec::with_capacity(chunk.len());
            for link in engine.store.links(mapping, &ids).await? {
                let Some(at) = self.index.of_key(&link.key) else { continue };
                let seen = Sides { postgres: self.rows.observation(at), notion: self.pages.observation(at) };
                linked.push(Pair { identity: Identity::Linked(link), seen });
            }
            engine.name_relatives(mapping, self.relatives, &mut linked).await?;
            pairs.append(&mut linked);
        }
        Ok((pairs, skipped))
    }

    /// Whether nothing was shown that has no link.
    fn is_idle_of_links(&self) -> bool {
        self.rows.is_idle() && self.pages.is_idle()
    }

    /// What halves that were taken apart carry of each other does not count.
    fn forget_markers(&mut self, parted: &BTreeSet<(RowKey, PageId)>) {
        if parted.is_empty() {
            return;
        }
        for (page, seen) in self.pages.unlinked() {
            if let Observation::Present(seen) = seen
                && let Some(key) = seen.marker.as_deref().map(RowKey::from)
                && parted.contains(&(key, *page))
            {
                seen.marker = None;
            }
        }
        for (key, seen) in self.rows.unlinked() {
            if let Observation::Present(seen) = seen
                && let Some(page) = seen.marker.as_deref().and_then(PageId::parse)
                && parted.contains(&(key.clone(), page))
            {
                seen.marker = None;
            }
        }
    }

    /// Records whose link is forgotten and of which a half is back; takes both halves out of what has no link.
    fn returned(&mut self, doubtful: &BTreeSet<RowKey>) -> Vec<Pair> {
        let buried = std::mem::take(&mut self.buried);
        let mut pairs = Vec::new();
        for link in buried {
            let is_there = |seen: Option<&Observation>| matches!(seen, Some(Observation::Present(_)));
            let row = is_there(self.rows.unlinked().get(&link.key));
            let page = is_there(self.pages.unlinked().get(&link.page));
            // Another page carries the row's key by now: the first meeting tells them apart.
            let claims = |(id, seen): (&PageId, &Observation)| {
                *id != link.page && marker(seen) == Some(link.key.as_str())
            };
            let claimed = self.pages.unlinked().iter().any(claims);
            let linked = self.index.of_key(&link.key).is_some() || self.index.of_page(link.page).is_some();
            if !(row || page) || claimed || linked || doubtful.contains(&link.key) {
                continue;
            }
            let gone = || Observation::Absent(Absence::Deleted);
            let postgres = self.rows.unlinked().remove(&link.key).unwrap_or_else(gone);
            let notion = self.pages.unlinked().remove(&link.page).unwrap_or_else(gone);
            pairs.push(Pair { identity: Identity::Buried(link), seen: Sides { postgres, notion } });
        }
        pairs
    }

    fn unlinked_rows(&mut self, skipped: &mut Vec<Skipped>) -> BTreeMap<RowKey, Sighting> {
        let seen = std::mem::take(self.rows.unlinked());
        let mut rows = BTreeMap::new();
        for (key, observation) in seen {
            match observation {
                Observation::Present(sighting) => {
                    rows.insert(key, sighting);
                }
                Observation::Unreadable(why) => {
                    skipped.push(Skipped {
                        key: Some(key),
                        page: None,
                        why: Why::Unreadable(Side::Postgres, why),
                    });
                }
                Observation::Unchanged | Observation::Absent(_) => {}
            }
        }
        rows
    }

    /// Pages without a link. A page that carries the key of a linked row is a double (a person duplicated a page): it
    /// is reported, never guessed away.
    fn unlinked_pages(&mut self, skipped: &mut Vec<Skipped>) -> BTreeMap<PageId, Sighting> {
        let seen = std::mem::take(self.pages.unlinked());
        let mut pages = BTreeMap::new();
        for (page, observation) in seen {
            match observation {
                Observation::Present(sighting) => {
                    let owner: Option<&CompactLink> = sighting
                        .marker
                        .as_deref()
                        .and_then(|marker| self.index.of_key(&marker.into()))
                        .map(|at| self.index.get(at));
                    match owner {
                        Some(owner) => skipped.push(Skipped {
                            key: Some(owner.key.clone()),
                            page: Some(page),
                            why: Why::Double { candidates: vec![owner.page.to_string(), page.to_string()] },
                        }),
                        None => {
                            pages.insert(page, sighting);
                        }
                    }
                }
                Observation::Unreadable(why) => {
                    skipped.push(Skipped {
                        key: None,
                        page: Some(page),
                        why: Why::Unreadable(Side::Notion, why),
                    });
                }
                Observation::Unchanged | Observation::Absent(_) => {}
            }
        }
        pages
    }
}

impl<W: Parts> Engine<W> {
    /// Names in the bases of deleted rows what their pages refer to as these show it now: by its row where it has one by
    /// now, by its page where its link is forgotten by now. A relation that only got another name since is no edit that
    /// could bring a deleted row back. One that the row never got still is, where something else was edited as well.
    async fn name_relatives(
        &self,
        mapping: &Mapping,
        relatives: &Relatives,
        pairs: &mut [Pair],
    ) -> Result<(), EngineError> {
        let mut lost: BTreeMap<&str, BTreeSet<PageId>> = BTreeMap::new();
        for (link, page) in pairs.iter_mut().filter_map(of_deleted) {
            name_rows(mapping, relatives, &mut link.base);
            for (at, field) in mapping.fields.iter().enumerate() {
                let (base, shown) = (link.base.notion.get(at), page.get(at));
                if let (Some(related), Some(shown)) = (field.related(), shown.filter(|_| base != shown)) {
                    pages_in(shown, lost.entry(related).or_default());
                }
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let mut forgotten = Relatives::default();
        for bound in &self.bound {
            let name = bound.mapping.name.as_str();
            let Some(pages) = lost.get(name) else { continue };
            let pages: Vec<PageId> = pages.iter().copied().collect();
            for link in self.store.buried_of(&bound.mapping, &[], &pages).await? {
                forgotten.add(name, link.key, link.page);
            }
        }
        for (link, page) in pairs.iter_mut().filter_map(of_deleted) {
            let is_same = |at: usize| match (link.base.notion.get(at), page.get(at)) {
                (Some(base), Some(shown)) => {
                    let related = mapping.fields.get(at).and_then(Field::related);
                    let is_renamed = |related| {
                        let (mut base, mut shown) = (base.clone(), shown.clone());
                        relatives.name_row(related, &mut base);
                        forgotten.name_row(related, &mut shown);
                        base == shown
                    };
                    base == shown || related.is_some_and(is_renamed)
                }
                (_, None) => true,
                (None, Some(_)) => false,
            };
            if (0..mapping.fields.len()).all(is_same) {
                for (base, shown) in link.base.notion.values_mut().iter_mut().zip(page.values()) {
                    if shown.is_some() {
                        base.clone_from(shown);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Of a record whose row was deleted: its link, and what its page shows.
fn of_deleted(pair: &mut Pair) -> Option<(&mut Link, &Record)> {
    match (&mut pair.identity, &pair.seen) {
        (
            Identity::Linked(link),
            Sides { postgres: Observation::Absent(_), notion: Observation::Present(page) },
        ) => Some((link, &page.record)),
        _ => None,
    }
}

/// Puts rows in the place of pages of which nobody knew the row when the two sides were settled, where the row had got
/// them.
fn name_rows(mapping: &Mapping, relatives: &Relatives, base: &mut Sides<Record>) {
    let of_fields = base.notion.values_mut().iter_mut().zip(base.postgres.values_mut());
    for (field, (notion, postgres)) in mapping.fields.iter().zip(of_fields) {
        if let (Some(related), Some(page), Some(row)) = (field.related(), notion, postgres) {
            let mut named = page.clone();
            relatives.name_row(related, &mut named);
            if agree(row, &named, field) {
                *page = named;
            }
        }
    }
}

/// The pages that a value names because nobody knows their rows.
fn pages_in(value: &Value, found: &mut BTreeSet<PageId>) {
    match value {
        Value::Ref(Ref::Page(page)) => {
            found.insert(*page);
        }
        Value::Set(items) => items.iter().for_each(|item| pages_in(item, found)),
        Value::List(items) => items.iter().for_each(|item| pages_in(item, found)),
        _ => {}
    }
}

/// Pairs rows and pages that have no link; takes those out of both maps that were paired or are in doubt.
fn first_meeting(
    mapping: &Mapping,
    parted: &BTreeSet<(RowKey, PageId)>,
    rows: &mut BTreeMap<RowKey, Sighting>,
    pages: &mut BTreeMap<PageId, Sighting>,
    skipped: &mut Vec<Skipped>,
) -> Vec<Pair> {
    if pages.is_empty() {
        return Vec::new();
    }
    let row_halves: Vec<RowHalf> = rows.iter().map(|(key, row)| RowHalf::seen(mapping, key, row)).collect();
    let page_halves: Vec<PageHalf> =
        pages.iter().map(|(id, page)| PageHalf::seen(mapping, *id, page)).collect();
    let found = adopt_but(parted, row_halves.iter(), page_halves.iter());
    let mut pairs = Vec::new();
    for (key, page, _) in found.pairs {
        if let (Some(row), Some(sighting)) = (rows.remove(&key), pages.remove(&page)) {
            pairs.push(Pair {
                identity: Identity::Adopted { key, page },
                seen: Sides { postgres: Observation::Present(row), notion: Observation::Present(sighting) },
            });
        }
    }
    for doubt in found.doubtful {
        let candidates: Vec<String> = doubt
            .rows
            .iter()
            .map(ToString::to_string)
            .chain(doubt.pages.iter().map(ToString::to_string))
            .collect();
        for key in doubt.rows {
            rows.remove(&key);
            skipped.push(Skipped {
                key: Some(key),
                page: None,
                why: Why::Double { candidates: candidates.clone() },
            });
        }
        for page in doubt.pages {
            pages.remove(&page);
            skipped.push(Skipped {
                key: None,
                page: Some(page),
                why: Why::Double { candidates: candidates.clone() },
            });
        }
    }
    pairs
}
