//! Looking at both sides of one mapping, everything or what changed, and pairing what was seen.

mod fill;
mod pairing;
mod questions;
mod see;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pagerow_core::{
    answer::Answers,
    mutant::{self, Mutant},
    observation::{Absence, Identity, Observation, Pair, TableFacts},
    plan::{Census, Skipped},
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
};
use tokio::time::Instant;

pub(super) use self::waiting::{name_of, step_content};
use self::{fill::Sight, pairing::Which};
use super::{Bound, Depth, Engine, EngineError, Parts, index::LinkIndex};
use crate::{
    replica::{Cursor, Relatives},
    store::{
        Answered, Attention as _, CompactLink, Cursors as _, Identities as _, Links as _, MappingState,
        ParkedRecord,
    },
};

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
    /// The table that was looked at, and the one that was synced before.
    pub(super) table: Option<TableFacts>,
    pub(super) known_table: Option<TableFacts>,
    /// Linked rows that row level security may hide.
    pub(super) hidden: u64,
    /// Why the mapping's bases are not relied on, if so.
    pub(super) lost: Option<String>,
    /// What is known to be answered of some records, by their names.
    pub(super) answers: BTreeMap<RecordName, Answers>,
    /// Links of which one half was found gone, and those of which both halves are there again.
    pub(super) gone: Vec<i64>,
    pub(super) back: Vec<i64>,
    /// Links of which one half was known to be gone before.
    pub(super) deleted: BTreeSet<i64>,
    /// Links of which one half is gone and the other one is not as it was settled, by their records.
    pub(super) alone: BTreeMap<RecordName, i64>,
    /// Links whose page keeps an old whole row, or none yet.
    pub(super) old_backups: Vec<CompactLink>,
    /// Only some records were looked at: nothing is known of the mapping as a whole.
    pub(super) is_partial: bool,
    /// How many missing pages are in the trash by the word of others.
    pub(super) presumed: u64,
}

/// Which part of a side is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Everything,
    Changes,
}

impl<W: Parts> Engine<W> {
    /// Looks at one mapping. `doubtful` are rows whose page may or may not have been made.
    pub(super) async fn look(
        &self,
        bound: &Bound<W>,
        relatives: &Relatives,
        depth: Depth,
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<View, EngineError> {
        let presumed = self.presumed.as_deref();
        let view = self.look_once(bound, relatives, depth, doubtful, presumed).await?;
        if view.lost.is_some() {
            return Ok(view);
        }
        match self.given_away(bound, &view).await? {
            None => Ok(view),
            Some(why) => {
                self.look_once(bound, relatives, Depth::Everything, doubtful, Some(why.as_str())).await
            }
        }
    }

    /// `presumed` says why the bases are not relied on, whatever the store says.
    async fn look_once(
        &self,
        bound: &Bound<W>,
        relatives: &Relatives,
        depth: Depth,
        doubtful: &BTreeSet<RowKey>,
        presumed: Option<&str>,
    ) -> Result<View, EngineError> {
        let name = bound.mapping.name.as_str();
        let remembered = self.store.remembered(name).await?;
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

        let mut due = self.store.due(name).await?;
        let shape = bound.mapping.shape().to_string();
        let recovers = self.known.get(name).is_some_and(|known| !known.sampled);
        if recovers || state.shape.as_deref() != Some(shape.as_str()) {
            // An option has come, a column was widened: what could not be written may be possible now. Whoever recovers
            // waits for nothing.
            self.add_parked(name, &mut due).await?;
            state.shape = Some(shape);
        }
        let looked_at = Instant::now();
        let without_bases = presumed.is_some();
        let (mut sight, looked) =
            self.see(bound, relatives, parts, &cursors, &state, &due, without_bases).await?;
        let links =
            if sight.index.len() as u64 >= looked.links { sight.index.len() as u64 } else { looked.links };
        if !mutant::is(Mutant::ListIsBelieved) {
            self.confirm(&mut sight).await?;
        }
        sight.fill_in(&looked.parts, &due, doubtful).await?;
        if !mutant::is(Mutant::UnlinkedIsBelieved) {
            self.confirm_unlinked(&mut sight, looked.parts.notion).await?;
        }
        if looked.parts.notion == Part::Changes && !mutant::is(Mutant::NobodySearches) {
            self.find_unlinked(&mut sight, doubtful).await?;
        }
        self.find_buried(&mut sight).await?;
        sight.complete_halves().await?;
        // Where bases are not relied on, no row comes back.
        if !without_bases && remembered.lost.is_none() {
            sight.confirm_bereft().await?;
        }
        let unchanged = sight.unchanged(links);
        let waits = self.waits(&sight, &looked.parts, &due).await?;
        let old_backups = match without_bases || remembered.lost.is_some() {
            true => Vec::new(),
            false => self.old_backups(bound, &sight.index, &sight.rows, &sight.pages).await?,
        };
        let presumed_trashed = sight.presumed;
        let (mut pairs, mut skipped) = sight.pair(self, doubtful, Which::Moved).await?;
        // A recovery compares anew.
        if !self.known.contains_key(name) {
            self.heed_questions(name, &mut pairs, &mut skipped).await?;
        }
        if without_bases {
            forget_bases(&mut pairs, bound.mapping.fields.len());
        }
        let waiting = waits.sort(bound, &mut pairs, &mut skipped, &due);

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
        let alone = pairs.iter().filter_map(edited_alone).collect();
        let hidden = pairs.iter().filter(|pair| is_hidden(pair)).count() as u64;
        Ok(waiting.view(View {
            pairs,
            skipped,
            census,
            cursors: looked.cursors,
            table: looked.table,
            known_table: remembered.table,
            hidden,
            alone,
            old_backups,
            presumed: presumed_trashed,
            lost: presumed.map(str::to_owned).or(remembered.lost),
            ..View::empty(state, looked_at)
        }))
    }

    /// Looks at these records and no others, each on both sides, whether or not it differs from its bases. Nothing is
    /// known afterwards of the rest: no cursor moves.
    pub(super) async fn look_at_records(
        &self,
        bound: &Bound<W>,
        relatives: &Relatives,
        records: &[RecordName],
        doubtful: &BTreeSet<RowKey>,
    ) -> Result<View, EngineError> {
        let name = bound.mapping.name.as_str();
        let mut state = self.store.mapping_state(name).await?;
        // A row that this look shows for the first time is in no number yet.
        state.rows = None;
        let mut due = self.store.due(name).await?;
        let looked_at = Instant::now();
        let keys: Vec<RowKey> = records.iter().filter_map(|(key, _)| key.clone()).collect();
        let pages: Vec<PageId> = records.iter().filter_map(|(_, page)| *page).collect();
        // Nobody waits who is asked for by name.
        due.keys.extend(keys.iter().cloned());
        due.pages.extend(pages.iter().copied());
        let index = LinkIndex::new(self.store.links_of(name, &keys, &pages).await?);
        let mut sight = Sight::new(bound, relatives, index);
        self.keeping_lease(sight.look_at_all(keys, pages)).await??;
        self.find_buried(&mut sight).await?;
        let links = self.store.count_links(name).await?;
        let everything = Sides { postgres: Part::Everything, notion: Part::Everything };
        let waits = self.waits(&sight, &everything, &due).await?;
        let (mut pairs, mut skipped) = sight.pair(self, doubtful, Which::All).await?;
        let waiting = waits.sort(bound, &mut pairs, &mut skipped, &due);
        let census = Census { links, ..Census::default() };
        let lost = self.store.remembered(name).await?.lost;
        let view = View { pairs, skipped, census, is_partial: true, lost, ..View::empty(state, looked_at) };
        Ok(waiting.view(view))
    }
}

/// A row that row level security may hide from us: that it is gone is not proven.
fn is_hidden(pair: &Pair) -> bool {
    matches!(pair.identity, Identity::Linked(_))
        && pair.seen.postgres == Observation::Absent(Absence::Unreachable)
}

fn edited_alone(pair: &Pair) -> Option<(RecordName, i64)> {
    let is_alone = matches!(
        (&pair.seen.postgres, &pair.seen.notion),
        (Observation::Absent(_), Observation::Present(_)) | (Observation::Present(_), Observation::Absent(_))
    );
    let name = (pair.identity.key().cloned(), pair.identity.page());
    pair.identity.link().filter(|_| is_alone).map(|link| (name, link))
}

fn forget_bases(pairs: &mut [Pair], fields: usize) {
    for pair in pairs {
        if let Identity::Linked(link) = &mut pair.identity {
            link.base = Sides { postgres: Record::unread(fields), notion: Record::unread(fields) };
        }
    }
}

impl View {
    /// A look that found nothing.
    fn empty(state: MappingState, looked_at: Instant) -> Self {
        Self {
            pairs: Vec::new(),
            skipped: Vec::new(),
            census: Census::default(),
            cursors: Sides::default(),
            state,
            looked_at,
            parked: BTreeMap::new(),
            answered: Answered::default(),
            answers: BTreeMap::new(),
            gone: Vec::new(),
            back: Vec::new(),
            deleted: BTreeSet::new(),
            alone: BTreeMap::new(),
            old_backups: Vec::new(),
            is_partial: false,
            presumed: 0,
            table: None,
            known_table: None,
            hidden: 0,
            lost: None,
        }
    }
}

fn marker(observation: &Observation) -> Option<&str> {
    match observation {
        Observation::Present(sighting) => sighting.marker.as_deref().filter(|text| !text.is_empty()),
        Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => None,
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
