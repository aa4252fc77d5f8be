//! Looking at both sides of one mapping, everything or what changed, and pairing what was seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use jiff::Timestamp;
use pagerow_core::{
    adopt::{PageHalf, RowHalf, adopt},
    digest::Digest,
    fidelity::{Fidelity, in_notion},
    mapping::Mapping,
    observation::{Absence, Identity, Observation, Pair, Sighting},
    plan::{Census, Expect, Skipped, Step, Why},
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::Value,
};

use super::{
    Bound, Depth, Engine, EngineError, Event,
    index::{LinkIndex, Mark, Named, SideSeen},
};
use crate::{
    postgres::transaction::Tx,
    replica::{Cursor, Looked, Pages, Relatives, Rows, Scope, Seen},
    store::{Answered, CompactLink, Due, MappingState, ParkedRecord},
};

/// How many absent pages are asked for at once before the next are.
const CONFIRM: usize = 100;

/// A row's key and a page's id, as far as each is known.
pub(super) type RecordName = (Option<RowKey>, Option<PageId>);

/// What one look at one mapping found.
pub(super) struct View {
    /// Everything that is not equal to its base.
    pub(super) pairs: Vec<Pair>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) census: Census,
    /// From where the next looks go on, once this one has settled.
    pub(super) cursors: Sides<Option<Cursor>>,
    /// Where the look for changes of Notion goes on while this view is acted on.
    pub(super) state: MappingState,
    /// When the pages were looked at.
    pub(super) looked_at: Instant,
    /// Records whose write failed before, by their names.
    pub(super) parked: BTreeMap<RecordName, ParkedRecord>,
    /// What will be answered once this view has been acted on.
    pub(super) answered: Answered,
}

/// Which part of a side is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Everything,
    Changes,
}

/// Both sides of one mapping, while they are being looked at.
struct Sight<'a, R, P> {
    bound: &'a Bound<R, P>,
    relatives: &'a Relatives,
    index: LinkIndex,
    rows: SideSeen<RowKey>,
    pages: SideSeen<PageId>,
}

impl<R, P> Engine<R, P>
where
    R: Rows<Tx = Tx>,
    P: Pages,
{
    /// Looks at one mapping. `doubtful` are rows whose page may or may not have been made.
    pub(super) async fn look(
        &self,
        bound: &Bound<R, P>,
        relatives: &Relatives,
        depth: Depth,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<View, EngineError> {
        let name = bound.mapping.name.as_str();
        let mut state = self.store.mapping_state(name).await?;
        let cursors = Sides {
            postgres: self.store.cursor(name, Side::Postgres).await?,
            notion: self.store.cursor(name, Side::Notion).await?,
        };
        let now = self.clock.now();
        // Bases of another shape of the mapping are compared in full.
        let reshaped = state.fingerprint.as_deref() != Some(bound.mapping.fingerprint().to_string().as_str());
        let part = |side: Side| {
            let fresh = |last: Option<Timestamp>, interval: std::time::Duration| {
                last.is_some_and(|last| now.duration_since(last).unsigned_abs() < interval)
            };
            let by_changes = depth == Depth::Changes
                && !reshaped
                && fresh(state.last_full, bound.settings.compare_interval)
                && (side == Side::Postgres || fresh(state.last_sweep, bound.settings.sweep_interval));
            if by_changes && cursors.of(side).is_some() { Part::Changes } else { Part::Everything }
        };
        let parts = Sides { postgres: part(Side::Postgres), notion: part(Side::Notion) };

        let due = self.store.due(name).await?;
        let looked_at = Instant::now();
        let (mut sight, looked) = self.see(bound, relatives, parts, &cursors, &state, &due).await?;
        let links =
            if sight.index.len() as u64 >= looked.links { sight.index.len() as u64 } else { looked.links };
        self.confirm(&mut sight).await?;
        sight.fill_in(&looked.parts, &due, doubtful).await?;
        if looked.parts.notion == Part::Changes {
            sight.confirm_unlinked().await?;
            self.find_unlinked(&mut sight, doubtful).await?;
        }
        let unchanged = sight.unchanged(links);
        let (mut pairs, mut skipped) = sight.pair(self, doubtful).await?;
        let (parked, answered) = self.waiting(&bound.mapping, &mut pairs, &mut skipped, &due).await?;

        if looked.parts.postgres == Part::Everything && looked.parts.notion == Part::Everything {
            state.last_full = Some(now);
        }
        if looked.parts.notion == Part::Everything {
            state.last_sweep = Some(now);
            state.pages = looked.pages.map(u64::cast_signed);
        }
        state.last_look = Some(now);
        state.rows = looked.rows.map(u64::cast_signed).or(state.rows);
        let census =
            Census { links, records: Sides { postgres: looked.rows, notion: looked.pages }, unchanged };
        Ok(View { pairs, skipped, census, cursors: looked.cursors, state, looked_at, parked, answered })
    }

    /// Reads both sides at once, against the links that this concerns.
    async fn see<'a>(
        &self,
        bound: &'a Bound<R, P>,
        relatives: &'a Relatives,
        parts: Sides<Part>,
        cursors: &Sides<Option<Cursor>>,
        state: &MappingState,
        due: &Due,
    ) -> Result<(Sight<'a, R, P>, Totals), EngineError> {
        let mapping = bound.mapping.name.as_str();
        if let (Part::Changes, Part::Changes, Some(row_cursor), Some(page_cursor)) =
            (parts.postgres, parts.notion, &cursors.postgres, &cursors.notion)
        {
            let (mut rows, mut pages) = (Vec::new(), Vec::new());
            let (mut take_row, mut take_page) = (|row| rows.push(row), |page| pages.push(page));
            let (row_look, page_look) = tokio::join!(
                bound.rows.look(Scope::Since(row_cursor), &mut take_row),
                bound.pages.look(Scope::Since(page_cursor), relatives, &mut take_page)
            );
            let row_look = row_look.map_err(|error| rows_error(mapping, error))?;
            let page_look = page_look.map_err(|error| pages_error(mapping, error))?;
            let index = self.links_of(mapping, &rows, &pages, due).await?;
            // Rows that vanish leave no trace but their number.
            let expected = state.rows.and_then(|known| u64::try_from(known + growth(&rows, &index)).ok());
            let rows_complete = row_look.complete && !row_look.vanished && expected == row_look.count;
            let pages_complete = page_look.complete && !page_look.vanished;
            if rows_complete && pages_complete {
                let mut sight = Sight::new(bound, relatives, index);
                rows.into_iter().for_each(|row| sight.rows.take(&sight.index, row));
                pages.into_iter().for_each(|page| sight.pages.take(&sight.index, page));
                let totals = Totals {
                    parts,
                    links: self.store.count_links(mapping).await?,
                    rows: row_look.count,
                    pages: None,
                    cursors: Sides { postgres: row_look.cursor, notion: page_look.cursor },
                };
                return Ok((sight, totals));
            }
            let part = |complete| if complete { Part::Changes } else { Part::Everything };
            let parts = Sides { postgres: part(rows_complete), notion: part(pages_complete) };
            return self.see_in_full(bound, relatives, parts, cursors).await;
        }
        self.see_in_full(bound, relatives, parts, cursors).await
    }

    /// Reads at least one side completely, against all links.
    async fn see_in_full<'a>(
        &self,
        bound: &'a Bound<R, P>,
        relatives: &'a Relatives,
        parts: Sides<Part>,
        cursors: &Sides<Option<Cursor>>,
    ) -> Result<(Sight<'a, R, P>, Totals), EngineError> {
        let mapping = bound.mapping.name.as_str();
        let mut links = Vec::new();
        self.store.each_link(mapping, &mut |link| links.push(link)).await?;
        let mut sight = Sight::new(bound, relatives, LinkIndex::new(links));
        let Sight { index, rows, pages, .. } = &mut sight;
        let index = &*index;
        let progress = &self.progress;
        let mut take_row = |row| {
            rows.take(index, row);
            tell(progress, mapping, Side::Postgres, rows.records());
        };
        let mut take_page = |page| {
            pages.take(index, page);
            tell(progress, mapping, Side::Notion, pages.records());
        };
        let row_scope = scope(parts.postgres, cursors.postgres.as_ref());
        let page_scope = scope(parts.notion, cursors.notion.as_ref());
        let looks = async {
            tokio::join!(
                bound.rows.look(row_scope, &mut take_row),
                bound.pages.look(page_scope, relatives, &mut take_page)
            )
        };
        let (row_look, page_look) = self.keeping_lease(looks).await?;
        let row_look =
            complete(row_look.map_err(|error| rows_error(mapping, error))?, mapping, Side::Postgres)?;
        let page_look =
            complete(page_look.map_err(|error| pages_error(mapping, error))?, mapping, Side::Notion)?;
        let (row_count, page_count) = (sight.rows.records(), sight.pages.records());
        let totals = Totals {
            parts,
            links: sight.index.len() as u64,
            rows: if parts.postgres == Part::Everything { Some(row_count) } else { row_look.count },
            pages: (parts.notion == Part::Everything).then_some(page_count),
            cursors: Sides { postgres: row_look.cursor, notion: page_look.cursor },
        };
        Ok((sight, totals))
    }

    /// The links of what was seen and of what is due.
    async fn links_of(
        &self,
        mapping: &str,
        rows: &[Seen<RowKey>],
        pages: &[Seen<PageId>],
        due: &Due,
    ) -> Result<LinkIndex, EngineError> {
        if rows.is_empty() && pages.is_empty() && due.keys.is_empty() && due.pages.is_empty() {
            return Ok(LinkIndex::default());
        }
        // A half may name another one that is linked to somebody else: a copied page does.
        let named_keys = pages.iter().filter_map(|page| marker(&page.observation)).map(RowKey::from);
        let named_pages = rows.iter().filter_map(|row| marker(&row.observation)).filter_map(PageId::parse);
        let keys: Vec<RowKey> =
            rows.iter().map(|row| &row.id).chain(&due.keys).cloned().chain(named_keys).collect();
        let ids: Vec<PageId> =
            pages.iter().map(|page| page.id).chain(due.pages.iter().copied()).chain(named_pages).collect();
        Ok(LinkIndex::new(self.store.links_of(mapping, &keys, &ids).await?))
    }

    /// Asks for pages by themselves that a list showed as edited shortly after they were settled: the list may be older
    /// than our own write, and would take it back.
    async fn confirm(&self, sight: &mut Sight<'_, R, P>) -> Result<(), EngineError> {
        let differing: Vec<usize> =
            (0..sight.index.len()).filter(|&at| sight.pages.mark(at) == Mark::Different).collect();
        if differing.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = differing.iter().map(|&at| sight.index.get(at).id).collect();
        let bound = sight.bound;
        let lately: BTreeSet<i64> =
            self.store.settled_lately(&bound.mapping.name, &ids, bound.settings.doubt).await?;
        let pages = differing
            .iter()
            .map(|&at| sight.index.get(at))
            .filter(|link| lately.contains(&link.id))
            .map(|link| link.page)
            .collect();
        sight.look_at_pages(pages).await
    }

    /// Looks for pages that carry the keys of rows without a link, where not all pages were looked at: one that was not
    /// edited lately would otherwise be made again.
    async fn find_unlinked(
        &self,
        sight: &mut Sight<'_, R, P>,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<(), EngineError> {
        let mapping = &*sight.bound.mapping;
        if !mapping.key_property || !mapping.direction.reaches(Side::Notion) {
            return Ok(());
        }
        let named: BTreeSet<RowKey> =
            sight.pages.unlinked().values().filter_map(marker).map(RowKey::from).collect();
        let keys: Vec<RowKey> = sight
            .rows
            .unlinked()
            .iter()
            .filter(|(key, row)| {
                matches!(row, Observation::Present(_)) && !named.contains(key) && !doubtful.contains(key)
            })
            .map(|(key, _)| key.clone())
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let found = sight
            .bound
            .pages
            .find(&keys, sight.relatives)
            .await
            .map_err(|error| pages_error(&mapping.name, error))?;
        let pages: Vec<PageId> = found.iter().map(|(_, seen)| seen.id).collect();
        let linked: BTreeSet<PageId> = self
            .store
            .links_of(&mapping.name, &[], &pages)
            .await?
            .into_iter()
            .map(|link| link.page)
            .collect();
        for (key, seen) in found {
            match &seen.observation {
                Observation::Present(_) if !linked.contains(&seen.id) => {
                    sight.pages.unlinked().insert(seen.id, seen.observation);
                }
                // It may be this row's page.
                Observation::Unreadable(why) => {
                    let why = Observation::Unreadable(format!("a page that may be its own: {why}"));
                    sight.rows.unlinked().insert(key, why);
                }
                Observation::Present(_) | Observation::Unchanged | Observation::Absent(_) => {}
            }
        }
        Ok(())
    }

    /// Sets aside what failed before, has not changed since, and whose time to try again has not come. The rest of
    /// what is known to wait of these records will be answered by planning them again.
    async fn waiting(
        &self,
        mapping: &Mapping,
        pairs: &mut Vec<Pair>,
        skipped: &mut Vec<Skipped>,
        due: &Due,
    ) -> Result<(BTreeMap<RecordName, ParkedRecord>, Answered), EngineError> {
        let mut answered = {
            let unread = Unread::of(pairs, skipped);
            Answered::due(due, |key, page| unread.holds(key, page))
        };
        if pairs.is_empty() {
            return Ok((BTreeMap::new(), answered));
        }
        let known = self.store.parked(Some(&mapping.name)).await?;
        let failed: BTreeMap<RecordName, ParkedRecord> = known
            .iter()
            .filter(|record| record.content.is_some())
            .map(|record| ((record.key.clone(), record.page), record.clone()))
            .collect();
        if !failed.is_empty() {
            pairs.retain(|pair| {
                let name = (pair.identity.key().cloned(), pair.identity.page());
                let is_due = name.0.as_ref().is_some_and(|key| due.keys.contains(key))
                    || name.1.is_some_and(|page| due.pages.contains(&page));
                let waits = !is_due
                    && failed.get(&name).is_some_and(|record| record.content == Some(content(mapping, pair)));
                if waits {
                    skipped.push(Skipped { key: name.0, page: name.1, why: Why::Waiting });
                }
                !waits
            });
        }
        let conflicts = self.store.open_conflicts(Some(&mapping.name)).await?;
        if !known.is_empty() || !conflicts.is_empty() {
            let keys: BTreeSet<&RowKey> = pairs.iter().filter_map(|pair| pair.identity.key()).collect();
            let pages: BTreeSet<PageId> = pairs.iter().filter_map(|pair| pair.identity.page()).collect();
            let planned = |key: Option<&RowKey>, page: Option<PageId>| {
                key.is_some_and(|key| keys.contains(key)) || page.is_some_and(|page| pages.contains(&page))
            };
            known
                .iter()
                .filter(|record| planned(record.key.as_ref(), record.page))
                .for_each(|record| answered.parked(record));
            conflicts
                .iter()
                .filter(|open| planned(open.conflict.key.as_ref(), open.conflict.page))
                .for_each(|open| answered.conflict(open));
        }
        Ok((failed, answered))
    }
}

/// What both sides of a record hold, in short: the same name that [`step_content`] gives to a step's record.
fn content(mapping: &Mapping, pair: &Pair) -> Digest {
    let of = |side| match (pair.seen.of(side), &pair.identity) {
        (Observation::Present(sighting), _) => Some(sighting.digest),
        (Observation::Unchanged, Identity::Linked(link)) => {
            let marker = (side == Side::Notion && mapping.key_property).then(|| link.key.as_str());
            Some(Digest::of_record(mapping, link.base.of(side), marker, &mut Vec::new()))
        }
        _ => None,
    };
    join_contents(of(Side::Postgres), of(Side::Notion))
}

/// What both sides of a step's record held when the step was planned.
pub(super) fn step_content(step: &Step) -> Digest {
    let target = match step.expect {
        Expect::Seen(digest) => Some(digest),
        Expect::Nothing | Expect::Absent(_) => None,
    };
    match step.side {
        Side::Postgres => join_contents(target, step.source),
        Side::Notion => join_contents(step.source, target),
    }
}

fn join_contents(row: Option<Digest>, page: Option<Digest>) -> Digest {
    let text = |digest: Option<Digest>| digest.map_or_else(String::new, |digest| digest.to_string());
    Digest::of(format!("{} {}", text(row), text(page)).as_bytes())
}

/// Records of which a side could not be read.
struct Unread<'a> {
    keys: BTreeSet<&'a RowKey>,
    pages: BTreeSet<PageId>,
}

impl<'a> Unread<'a> {
    fn of(pairs: &'a [Pair], skipped: &'a [Skipped]) -> Self {
        let is_unread = |pair: &&Pair| {
            [Side::Postgres, Side::Notion]
                .iter()
                .any(|side| matches!(pair.seen.of(*side), Observation::Unreadable(_)))
        };
        let pairs = pairs.iter().filter(is_unread).map(|pair| (pair.identity.key(), pair.identity.page()));
        let skipped = skipped
            .iter()
            .filter(|skipped| matches!(skipped.why, Why::Unreadable(..)))
            .map(|skipped| (skipped.key.as_ref(), skipped.page));
        let mut unread = Self { keys: BTreeSet::new(), pages: BTreeSet::new() };
        for (key, page) in pairs.chain(skipped) {
            unread.keys.extend(key);
            unread.pages.extend(page);
        }
        unread
    }

    fn holds(&self, key: Option<&RowKey>, page: Option<PageId>) -> bool {
        key.is_some_and(|key| self.keys.contains(key)) || page.is_some_and(|page| self.pages.contains(&page))
    }
}

/// The numbers of a look.
struct Totals {
    parts: Sides<Part>,
    links: u64,
    rows: Option<u64>,
    pages: Option<u64>,
    cursors: Sides<Option<Cursor>>,
}

impl<'a, R, P> Sight<'a, R, P>
where
    R: Rows<Tx = Tx>,
    P: Pages,
{
    fn new(bound: &'a Bound<R, P>, relatives: &'a Relatives, index: LinkIndex) -> Self {
        let (rows, pages) = (SideSeen::new(&index), SideSeen::new(&index));
        Self { bound, relatives, index, rows, pages }
    }

    /// Looks for what the first look left open: absences that need proof, the other half of unsettled records, and
    /// what is due to be looked at again.
    async fn fill_in(
        &mut self,
        parts: &Sides<Part>,
        due: &Due,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<(), EngineError> {
        let due_keys: BTreeSet<&RowKey> = due.keys.iter().collect();
        let due_pages: BTreeSet<PageId> = due.pages.iter().copied().collect();
        let (mut keys, mut pages) = (Vec::new(), Vec::new());
        for at in 0..self.index.len() {
            let link = self.index.get(at);
            let again = due_keys.contains(&link.key) || due_pages.contains(&link.page);
            let moved = self.rows.mark(at) == Mark::Different || self.pages.mark(at) == Mark::Different;
            // A row that a look at everything did not show may only have left the mapping's condition.
            if self.rows.mark(at) == Mark::Unseen && (parts.postgres == Part::Everything || again || moved) {
                keys.push(link.key.clone());
            }
            if self.pages.mark(at) == Mark::Unseen
                && (parts.notion == Part::Everything || again || (moved && link.unsettled))
            {
                pages.push(link.page);
            }
        }
        // Rows and pages that are due without a link.
        keys.extend(due.keys.iter().filter(|key| self.index.of_key(key).is_none()).cloned());
        pages.extend(due.pages.iter().filter(|page| self.index.of_page(**page).is_none()));
        // Unlinked halves that name their other half.
        keys.extend(self.pages.unlinked().values().filter_map(marker).map(RowKey::from));
        pages.extend(self.rows.unlinked().values().filter_map(marker).filter_map(PageId::parse));
        // A page without a link may be the one that a doubtful row waits for.
        if !self.pages.unlinked().is_empty() {
            keys.extend(doubtful.iter().filter(|key| self.index.of_key(key).is_none()).cloned());
        }
        keys.retain(|key| !self.rows.unlinked().contains_key(key));
        pages.retain(|page| !self.pages.unlinked().contains_key(page));
        self.look_at_rows(keys).await?;
        self.look_at_pages(pages).await
    }

    /// Asks for unlinked pages by themselves that name a row which is not there: the list may be older than the deletion
    /// of both, and would bring the row back.
    async fn confirm_unlinked(&mut self) -> Result<(), EngineError> {
        let rows = self.rows.unlinked();
        let alone: Vec<PageId> = self
            .pages
            .unlinked()
            .iter()
            .filter(|(_, page)| {
                marker(page)
                    .map(RowKey::from)
                    .is_some_and(|key| !rows.contains_key(&key) && self.index.of_key(&key).is_none())
            })
            .map(|(page, _)| *page)
            .collect();
        for page in &alone {
            self.pages.unlinked().remove(page);
        }
        self.look_at_pages(alone).await
    }

    async fn look_at_rows(&mut self, mut keys: Vec<RowKey>) -> Result<(), EngineError> {
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Ok(());
        }
        let mapping = self.bound.mapping.name.as_str();
        let (index, rows) = (&self.index, &mut self.rows);
        let mut take = |row: Seen<RowKey>| {
            // A page may name a row that is not there; that is no news of the row, unless it can come back.
            let tells =
                matches!(row.observation, Observation::Present(_) | Observation::Absent(Absence::Trashed));
            if row.id.find(index).is_some() || tells {
                rows.take(index, row);
            }
        };
        self.bound
            .rows
            .look(Scope::These(&keys), &mut take)
            .await
            .map_err(|error| rows_error(mapping, error))?;
        Ok(())
    }

    async fn look_at_pages(&mut self, mut ids: Vec<PageId>) -> Result<(), EngineError> {
        ids.sort();
        ids.dedup();
        let mapping = self.bound.mapping.name.as_str();
        for chunk in ids.chunks(CONFIRM) {
            let (mut shown, mut unreachable) = (0, 0);
            let (index, pages) = (&self.index, &mut self.pages);
            let mut take = |page: Seen<PageId>| {
                shown += 1;
                unreachable += usize::from(page.observation == Observation::Absent(Absence::Unreachable));
                let is_news =
                    matches!(page.observation, Observation::Present(_) | Observation::Unreadable(_));
                if page.id.find(index).is_some() || is_news {
                    pages.take(index, page);
                }
            };
            self.bound
                .pages
                .look(Scope::These(chunk), self.relatives, &mut take)
                .await
                .map_err(|error| pages_error(mapping, error))?;
            // A whole chunk out of reach is a lost share, not a hundred deletions; asking on would cost hours.
            if shown == CONFIRM && unreachable == CONFIRM {
                let rest: Vec<usize> = ids.iter().filter_map(|page| self.index.of_page(*page)).collect();
                for at in rest {
                    if self.pages.mark(at) == Mark::Unseen {
                        self.pages.fill(at, Observation::Absent(Absence::Unreachable));
                    }
                }
                break;
            }
        }
        Ok(())
    }

    /// How many links are equal to their bases on both sides.
    fn unchanged(&self, links: u64) -> u64 {
        let moved = (0..self.index.len())
            .filter(|&at| self.rows.mark(at) == Mark::Different || self.pages.mark(at) == Mark::Different)
            .count();
        links.saturating_sub(moved as u64)
    }

    /// Pairs what was seen: by link, and for the first time.
    async fn pair(
        mut self,
        engine: &Engine<R, P>,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<(Vec<Pair>, Vec<Skipped>), EngineError> {
        let mapping = &*self.bound.mapping;
        let mut skipped = Vec::new();
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
        let mut pairs = first_meeting(mapping, &mut rows, &mut pages, &mut skipped);
        // A doubtful row may have found its page just now. If not, it waits.
        rows.retain(|key, _| {
            let in_doubt = doubtful.contains(key);
            if in_doubt {
                skipped.push(Skipped { key: Some(key.clone()), page: None, why: Why::InDoubt });
            }
            !in_doubt
        });
        pairs.extend(rows.into_iter().map(|(key, sighting)| Pair {
            identity: Identity::Row(key),
            seen: Sides {
                postgres: Observation::Present(sighting),
                notion: Observation::Absent(Absence::Deleted),
            },
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
            .filter(|&at| self.rows.mark(at) == Mark::Different || self.pages.mark(at) == Mark::Different)
            .collect();
        for chunk in moved.chunks(5_000) {
            let ids: Vec<i64> = chunk.iter().map(|&at| self.index.get(at).id).collect();
            for link in engine.store.links(mapping, &ids).await? {
                let Some(at) = self.index.of_key(&link.key) else { continue };
                let seen = Sides { postgres: self.rows.observation(at), notion: self.pages.observation(at) };
                pairs.push(Pair { identity: Identity::Linked(link), seen });
            }
        }
        Ok((pairs, skipped))
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

/// Pairs rows and pages that have no link; takes those out of both maps that were paired or are in doubt.
fn first_meeting(
    mapping: &Mapping,
    rows: &mut BTreeMap<RowKey, Sighting>,
    pages: &mut BTreeMap<PageId, Sighting>,
    skipped: &mut Vec<Skipped>,
) -> Vec<Pair> {
    if pages.is_empty() {
        return Vec::new();
    }
    let row_halves: Vec<RowHalf> = rows
        .iter()
        .map(|(key, row)| RowHalf {
            key: key.clone(),
            page: row.marker.as_deref().and_then(PageId::parse),
            natural: natural_key(mapping, row, Side::Postgres),
            // What a page would be stamped with: it finds the page of a create whose answer was lost.
            checksum: row.checksum.clone().or_else(|| Some(row.digest.to_string())),
        })
        .collect();
    let page_halves: Vec<PageHalf> = pages
        .iter()
        .map(|(id, page)| PageHalf {
            page: *id,
            key: page.marker.as_deref().map(RowKey::from),
            natural: natural_key(mapping, page, Side::Notion),
            checksum: page.checksum.clone(),
        })
        .collect();
    let found = adopt(&row_halves, &page_halves);
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

/// The natural key in Notion's form; `None` when the mapping has none or a part of it is empty.
fn natural_key(mapping: &Mapping, sighting: &Sighting, side: Side) -> Option<Vec<Value>> {
    if mapping.match_on.is_empty() {
        return None;
    }
    mapping
        .match_on
        .iter()
        .map(|&at| {
            let value = sighting.record.get(at)?;
            let form = match side {
                Side::Notion => value.clone(),
                Side::Postgres => match in_notion(value, mapping.fields.get(at)?) {
                    Fidelity::Stored(form) => form,
                    Fidelity::Unstorable(_) => return None,
                },
            };
            (!form.is_null()).then_some(form)
        })
        .collect()
}

/// How many rows a table has gained, as far as the rows themselves tell.
fn growth(rows: &[Seen<RowKey>], index: &LinkIndex) -> i64 {
    rows.iter()
        .map(|row| match (&row.observation, row.id.find(index)) {
            (Observation::Present(_), None) => 1,
            (Observation::Absent(_), Some(_)) => -1,
            _ => 0,
        })
        .sum()
}

fn marker(observation: &Observation) -> Option<&str> {
    match observation {
        Observation::Present(sighting) => sighting.marker.as_deref().filter(|text| !text.is_empty()),
        Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => None,
    }
}

fn scope<Id>(part: Part, cursor: Option<&Cursor>) -> Scope<'_, Id> {
    match (part, cursor) {
        (Part::Changes, Some(cursor)) => Scope::Since(cursor),
        (Part::Changes, None) | (Part::Everything, _) => Scope::Everything,
    }
}

/// A look that is not complete proves nothing and ends the cycle.
fn complete(looked: Looked, mapping: &str, side: Side) -> Result<Looked, EngineError> {
    if looked.complete && !looked.vanished {
        return Ok(looked);
    }
    let source = "the read was not complete; nothing is concluded from it".into();
    let mapping = mapping.to_owned();
    Err(match side {
        Side::Postgres => EngineError::Rows { mapping, source },
        Side::Notion => EngineError::Pages { mapping, source },
    })
}

fn tell(progress: &super::Progress, mapping: &str, side: Side, records: u64) {
    if records.is_multiple_of(500) {
        progress.tell(&Event::Looked { mapping, side, records });
    }
}

pub(super) fn rows_error(
    mapping: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> EngineError {
    EngineError::Rows { mapping: mapping.to_owned(), source: Box::new(error) }
}

pub(super) fn pages_error(
    mapping: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> EngineError {
    EngineError::Pages { mapping: mapping.to_owned(), source: Box::new(error) }
}
