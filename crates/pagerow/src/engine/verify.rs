//! Comparing both sides, field by field, without trusting what we remember of them.
//!
//! But for one thing: only Notion can say how it writes a page's body down, so bodies that differ in form are equal
//! when each is exactly what was settled with its side.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    fidelity::agree,
    mapping::PropertyKind,
    observation::{Observation, Sighting},
    record::{PageId, Record, RowKey},
    side::Sides,
    value::Value,
};
use serde::Serialize;

use super::{
    Bound, Engine, EngineError, Parts,
    look::{pages_error, rows_error},
};
use crate::replica::{Pages, Relatives, Rows, Scope, Seen};
use crate::store::Links;

/// Whether the sides are equal, and where they are not: the shape that `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    pub equal: bool,
    pub mappings: Vec<MappingVerdict>,
}

/// One mapping's part.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MappingVerdict {
    pub mapping: String,
    pub rows: u64,
    pub pages: u64,
    /// Records of which every mapped field is equal.
    pub equal: u64,
    pub differing: Vec<Difference>,
    pub only_in_postgres: Vec<RowKey>,
    pub only_in_notion: Vec<PageId>,
}

/// A body that is in another form on the two sides, in a record that is not settled as a whole.
struct Doubtful {
    link: i64,
    field: usize,
    key: RowKey,
    values: Sides<Value>,
}

/// One field that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub key: RowKey,
    pub column: String,
}

impl<W: Parts> Engine<W> {
    /// Reads both sides completely and compares every linked record.
    ///
    /// # Errors
    /// When a side cannot be read completely.
    pub async fn verify(&mut self, mappings: &[String]) -> Result<Verdict, EngineError> {
        let which = self.which(mappings)?;
        let relatives = self.take_relatives().await?;
        let mut verdict = Verdict { equal: true, mappings: Vec::new() };
        for at in which {
            let part = self.verify_one(&self.bound[at], &relatives).await?;
            verdict.equal &= part.differing.is_empty()
                && part.only_in_postgres.is_empty()
                && part.only_in_notion.is_empty();
            verdict.mappings.push(part);
        }
        self.relatives = Some(relatives);
        Ok(verdict)
    }

    async fn verify_one(
        &self,
        bound: &Bound<W>,
        relatives: &Relatives,
    ) -> Result<MappingVerdict, EngineError> {
        let name = bound.mapping.name.as_str();
        let mut verdict = MappingVerdict { mapping: name.to_owned(), ..MappingVerdict::default() };
        let mut links = BTreeMap::new();
        self.store
            .each_link(name, &mut |link| {
                links.insert(link.page, link);
            })
            .await?;

        let mut rows: BTreeMap<RowKey, Sighting> = BTreeMap::new();
        let mut take_row = |row: Seen<RowKey>| {
            if let Observation::Present(sighting) = row.observation {
                rows.insert(row.id, sighting);
            }
        };
        let looked = bound
            .rows
            .look(Scope::Everything, &mut take_row)
            .await
            .map_err(|error| rows_error(name, error))?;
        let mut complete = looked.complete;
        verdict.rows = rows.len() as u64;

        let mut doubtful = Vec::new();
        let mut take_page = |page: Seen<PageId>| {
            let Observation::Present(sighting) = page.observation else { return };
            verdict.pages += 1;
            let Some((link, (key, row))) =
                links.get(&page.id).and_then(|link| Some((link, rows.remove_entry(&link.key)?)))
            else {
                verdict.only_in_notion.push(page.id);
                return;
            };
            let is_settled =
                !link.unsettled && link.digest == Sides { postgres: row.digest, notion: sighting.digest };
            let before = verdict.differing.len() + doubtful.len();
            let fields = bound.mapping.fields.iter().enumerate();
            for (number, field) in fields.filter(|(_, field)| !field.is_paused()) {
                let is_body = matches!(field.shows, PropertyKind::Body);
                match (row.record.get(number), sighting.record.get(number)) {
                    (Some(row), Some(page)) if agree(row, page, field) || (is_settled && is_body) => {}
                    (Some(row), Some(page)) if is_body => doubtful.push(Doubtful {
                        link: link.id,
                        field: number,
                        key: key.clone(),
                        values: Sides { postgres: row.clone(), notion: page.clone() },
                    }),
                    // What could not be read cannot be called equal.
                    (Some(_), Some(_)) | (None, _) | (_, None) => {
                        verdict.differing.push(Difference { key: key.clone(), column: field.column.clone() });
                    }
                }
            }
            verdict.equal += u64::from(verdict.differing.len() + doubtful.len() == before);
        };
        let looked = bound
            .pages
            .look(Scope::Everything, relatives, &mut take_page)
            .await
            .map_err(|error| pages_error(name, error))?;
        complete &= looked.complete;
        if !complete {
            return Err(EngineError::Pages {
                mapping: name.to_owned(),
                source: "the read was not complete; the sides cannot be compared".into(),
            });
        }
        verdict.only_in_postgres = rows.into_keys().collect();
        self.judge(bound, doubtful, &mut verdict).await?;
        Ok(verdict)
    }

    /// Whether these bodies are as they were settled, whatever else of their records is not.
    async fn judge(
        &self,
        bound: &Bound<W>,
        doubtful: Vec<Doubtful>,
        verdict: &mut MappingVerdict,
    ) -> Result<(), EngineError> {
        let ids: Vec<i64> = doubtful.iter().map(|one| one.link).collect();
        let bases: BTreeMap<i64, Sides<Record>> = match ids.is_empty() {
            true => BTreeMap::new(),
            false => {
                let links = self.store.links(&bound.mapping, &ids).await?;
                links.into_iter().map(|link| (link.id, link.base)).collect()
            }
        };
        let mut differing: BTreeSet<RowKey> =
            verdict.differing.iter().map(|difference| difference.key.clone()).collect();
        for Doubtful { link, field, key, values } in doubtful {
            let is_settled = bases.get(&link).is_some_and(|base| {
                let is_base = |base: &Record, value: &Value| base.get(field) == Some(value);
                is_base(&base.postgres, &values.postgres) && is_base(&base.notion, &values.notion)
            });
            if !is_settled {
                let column = bound.mapping.fields[field].column.clone();
                verdict.differing.push(Difference { key, column });
            } else if differing.insert(key) {
                verdict.equal += 1;
            }
        }
        Ok(())
    }
}
