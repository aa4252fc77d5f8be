//! Reading both sides of a mapping against the links that this concerns.

use pagerow_core::{
    mutant::{self, Mutant},
    observation::{Observation, TableFacts},
    record::{PageId, RowKey},
    side::{Side, Sides},
};

use super::{Part, fill::Sight, marker, pages_error, rows_error};
use crate::{
    engine::{
        Bound, Engine, EngineError, Event, Parts, Progress,
        index::{LinkIndex, Named},
    },
    replica::{Cursor, Looked, Pages, Relatives, Rows, Scope, Seen},
    store::{Due, Links as _, MappingState},
};

/// The numbers of a look.
pub(super) struct Totals {
    pub(super) parts: Sides<Part>,
    pub(super) links: u64,
    pub(super) rows: Option<u64>,
    pub(super) pages: Option<u64>,
    pub(super) cursors: Sides<Option<Cursor>>,
    pub(super) table: Option<TableFacts>,
}

impl<W: Parts> Engine<W> {
    /// Reads both sides at once, against the links that this concerns. `without_bases`: nothing counts as equal to what
    /// was settled.
    #[expect(clippy::too_many_arguments, reason = "what a look starts from")]
    pub(super) async fn see<'a>(
        &'a self,
        bound: &'a Bound<W>,
        relatives: &'a Relatives,
        parts: Sides<Part>,
        cursors: &Sides<Option<Cursor>>,
        state: &MappingState,
        due: &Due,
        without_bases: bool,
    ) -> Result<(Sight<'a, W>, Totals), EngineError> {
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
            // Rows that vanish unnamed leave no trace but their number.
            let expected = state.rows.and_then(|known| u64::try_from(known + growth(&rows, &index)).ok());
            let adds_up = match row_look.count {
                _ if mutant::is(Mutant::CountIsIgnored) => true,
                None => true,
                count => expected == count && !self.is_any_back(mapping, &rows, &index).await?,
            };
            let rows_complete = row_look.complete && !row_look.vanished && adds_up;
            let pages_complete = page_look.complete && !page_look.vanished;
            if rows_complete && pages_complete {
                let mut sight = Sight::new(bound, relatives, index);
                rows.into_iter().for_each(|row| sight.rows.take(&sight.index, row));
                pages.into_iter().for_each(|page| sight.pages.take(&sight.index, page));
                let totals = Totals {
                    parts,
                    links: self.store.count_links(mapping).await?,
                    rows: row_look.count.or(expected),
                    pages: None,
                    cursors: Sides { postgres: row_look.cursor, notion: page_look.cursor },
                    table: row_look.table,
                };
                return Ok((sight, totals));
            }
            let part = |complete| if complete { Part::Changes } else { Part::Everything };
            let parts = Sides { postgres: part(rows_complete), notion: part(pages_complete) };
            return self.see_in_full(bound, relatives, parts, cursors, without_bases).await;
        }
        self.see_in_full(bound, relatives, parts, cursors, without_bases).await
    }

    /// Whether a linked row was shown of a record of which a half was known to be gone: if it was the row, its number
    /// hides that another one has vanished.
    async fn is_any_back(
        &self,
        mapping: &str,
        rows: &[Seen<RowKey>],
        index: &LinkIndex,
    ) -> Result<bool, EngineError> {
        let there = rows.iter().filter(|row| matches!(row.observation, Observation::Present(_)));
        let links: Vec<i64> = there.filter_map(|row| row.id.find(index)).map(|at| index.get(at).id).collect();
        if links.is_empty() {
            return Ok(false);
        }
        let gone = self.store.absences(mapping).await?;
        Ok(links.iter().any(|link| gone.contains_key(link)))
    }

    /// Reads at least one side completely, against all links.
    async fn see_in_full<'a>(
        &'a self,
        bound: &'a Bound<W>,
        relatives: &'a Relatives,
        parts: Sides<Part>,
        cursors: &Sides<Option<Cursor>>,
        without_bases: bool,
    ) -> Result<(Sight<'a, W>, Totals), EngineError> {
        let mapping = bound.mapping.name.as_str();
        let mut links = Vec::new();
        self.store
            .each_link(mapping, &mut |mut link| {
                link.unsettled |= without_bases;
                links.push(link);
            })
            .await?;
        let known = self.known.get(mapping);
        let mut sight = Sight::new(bound, relatives, LinkIndex::new(links));
        sight.known = known;
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
        let look_at_pages = async {
            let retrieved = known.and_then(|known| known.retrieved.as_ref());
            let (Scope::Everything, Some(retrieved)) = (&page_scope, retrieved) else {
                let looked = bound.pages.look(page_scope, relatives, &mut take_page).await;
                return looked.map_err(|error| pages_error(mapping, error));
            };
            self.each_retrieved(&bound.mapping, retrieved, None, relatives, &mut take_page).await?;
            Ok(Looked { complete: true, cursor: retrieved.cursor.clone(), ..Looked::default() })
        };
        let looks = async { tokio::join!(bound.rows.look(row_scope, &mut take_row), look_at_pages) };
        let (row_look, page_look) = self.keeping_lease(looks).await?;
        let mut row_look = row_look.map_err(|error| rows_error(mapping, error))?;
        let mut parts = parts;
        if parts.postgres == Part::Changes && row_look.vanished {
            // What changed cannot be told; the pages need not be read again for that.
            let again = bound.rows.look(Scope::Everything, &mut take_row);
            row_look = self.keeping_lease(again).await?.map_err(|error| rows_error(mapping, error))?;
            parts.postgres = Part::Everything;
        }
        let row_look = complete(row_look, mapping, Side::Postgres)?;
        let page_look = complete(page_look?, mapping, Side::Notion)?;
        let (row_count, page_count) = (sight.rows.records(), sight.pages.records());
        let totals = Totals {
            parts,
            links: sight.index.len() as u64,
            rows: if parts.postgres == Part::Everything { Some(row_count) } else { row_look.count },
            pages: (parts.notion == Part::Everything).then_some(page_count),
            cursors: Sides { postgres: row_look.cursor, notion: page_look.cursor },
            table: row_look.table,
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

fn tell(progress: &Progress, mapping: &str, side: Side, records: u64) {
    if records.is_multiple_of(500) {
        progress.tell(&Event::Looked { mapping, side, records });
    }
}
