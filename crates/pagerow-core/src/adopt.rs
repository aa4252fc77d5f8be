//! The first meeting: which row and which page, not linked so far, are one record.
//!
//! Four tiers, each of which is certain: the page id that the row carries, the key that the page carries, the natural
//! key, the checksum. A tier pairs only what fits one to one; halves that fit several are set aside for a person and
//! take no part in the tiers below.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fidelity::{Fidelity, in_notion, in_words},
    mapping::Mapping,
    observation::Sighting,
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};

/// A row without a link.
#[derive(Clone, Debug)]
pub struct RowHalf {
    pub key: RowKey,
    /// The page id in the row's bookkeeping column.
    pub page: Option<PageId>,
    /// The natural key in the form that Notion would store; `None` when a part of it is empty.
    pub natural: Option<Vec<Value>>,
    pub checksum: Option<String>,
}

/// A page without a link.
#[derive(Clone, Debug)]
pub struct PageHalf {
    pub page: PageId,
    /// The text of the page's key property.
    pub key: Option<RowKey>,
    pub natural: Option<Vec<Value>>,
    pub checksum: Option<String>,
}

/// By what a pair was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    StoredPageId,
    KeyProperty,
    NaturalKey,
    Checksum,
}

impl RowHalf {
    /// What names the page of a row that was seen.
    #[must_use]
    pub fn seen(mapping: &Mapping, key: &RowKey, row: &Sighting) -> Self {
        Self {
            key: key.clone(),
            page: row.marker.as_deref().and_then(PageId::parse),
            natural: natural_key(mapping, row, Side::Postgres),
            // What a page would be stamped with: it finds the page of a create whose answer was lost.
            checksum: row.checksum.clone().or_else(|| Some(row.digest.to_string())),
        }
    }
}

impl PageHalf {
    /// What names the row of a page that was seen.
    #[must_use]
    pub fn seen(mapping: &Mapping, page: PageId, seen: &Sighting) -> Self {
        Self {
            page,
            key: seen.marker.as_deref().filter(|text| !text.is_empty()).map(RowKey::from),
            natural: natural_key(mapping, seen, Side::Notion),
            checksum: seen.checksum.clone(),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    pub pairs: Vec<(RowKey, PageId, Tier)>,
    /// Halves that fit each other, but not one to one.
    pub doubtful: Vec<Doubt>,
}

/// Rows and pages of which nobody can say who belongs to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub tier: Tier,
    pub rows: Vec<RowKey>,
    pub pages: Vec<PageId>,
}

/// Pairs unlinked rows and pages. What is in no pair and no doubt is new.
#[must_use]
pub fn adopt(rows: &[RowHalf], pages: &[PageHalf]) -> Adoption {
    adopt_but(&BTreeSet::new(), rows.iter(), pages.iter())
}

/// The same without the pairs that a person has refused.
pub fn adopt_but<'a>(
    refused: &BTreeSet<(RowKey, PageId)>,
    rows: impl Iterator<Item = &'a RowHalf> + Clone,
    pages: impl Iterator<Item = &'a PageHalf> + Clone,
) -> Adoption {
    let mut meeting = Meeting {
        refused,
        rows: rows.clone().map(|row| &row.key).collect(),
        pages: pages.clone().map(|page| page.page).collect(),
        found: Adoption::default(),
    };
    meeting.tier(Tier::StoredPageId, &rows, &pages, |row| row.page, |page| Some(page.page));
    meeting.tier(Tier::KeyProperty, &rows, &pages, |row| Some(&row.key), |page| page.key.as_ref());
    meeting.tier(Tier::NaturalKey, &rows, &pages, |row| row.natural.as_ref(), |page| page.natural.as_ref());
    meeting.tier(Tier::Checksum, &rows, &pages, |row| row.checksum.as_ref(), |page| page.checksum.as_ref());
    meeting.found
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
            let (value, field) = (sighting.record.get(at)?, mapping.fields.get(at)?);
            let form = match side {
                Side::Notion => in_words(value, field).into_owned(),
                Side::Postgres => match in_notion(value, field) {
                    Fidelity::Stored(form) => form,
                    Fidelity::Unstorable(_) => return None,
                },
            };
            (!form.is_null()).then_some(form)
        })
        .collect()
}

struct Meeting<'a, 'r> {
    refused: &'r BTreeSet<(RowKey, PageId)>,
    /// Who is still free.
    rows: BTreeSet<&'a RowKey>,
    pages: BTreeSet<PageId>,
    found: Adoption,
}

impl<'a> Meeting<'a, '_> {
    fn tier<K: Ord>(
        &mut self,
        tier: Tier,
        rows: &(impl Iterator<Item = &'a RowHalf> + Clone),
        pages: &(impl Iterator<Item = &'a PageHalf> + Clone),
        of_row: impl Fn(&'a RowHalf) -> Option<K>,
        of_page: impl Fn(&'a PageHalf) -> Option<K>,
    ) {
        let mut groups: BTreeMap<K, (Vec<&'a RowKey>, Vec<PageId>)> = BTreeMap::new();
        for page in pages.clone().filter(|page| self.pages.contains(&page.page)) {
            if let Some(key) = of_page(page) {
                groups.entry(key).or_default().1.push(page.page);
            }
        }
        if groups.is_empty() {
            return;
        }
        for row in rows.clone().filter(|row| self.rows.contains(&row.key)) {
            if let Some(key) = of_row(row)
                && let Some(group) = groups.get_mut(&key)
            {
                group.0.push(&row.key);
            }
        }
        for (mut rows, mut pages) in groups.into_values() {
            self.leave_out_refused(&mut rows, &mut pages);
            match (rows.as_slice(), pages.as_slice()) {
                ([], [] | [_]) | ([_], []) => continue,
                ([row], [page]) => self.found.pairs.push(((*row).clone(), *page, tier)),
                // Several pages of one natural key without a row are several records; of one row's key they are doubles.
                ([], _) if tier != Tier::KeyProperty => continue,
                _ => self.found.doubtful.push(Doubt {
                    tier,
                    rows: rows.iter().map(|row| (*row).clone()).collect(),
                    pages: pages.clone(),
                }),
            }
            rows.iter().for_each(|row| {
                self.rows.remove(*row);
            });
            pages.iter().for_each(|page| {
                self.pages.remove(page);
            });
        }
    }

    /// Takes those out that a person has refused to all others.
    fn leave_out_refused(&self, rows: &mut Vec<&'a RowKey>, pages: &mut Vec<PageId>) {
        if self.refused.is_empty() || rows.is_empty() {
            return;
        }
        let refused = |row: &RowKey, page| self.refused.contains(&(row.clone(), page));
        let (all_rows, all_pages) = (rows.clone(), pages.clone());
        rows.retain(|row| !all_pages.iter().all(|page| refused(row, *page)));
        pages.retain(|page| !all_rows.iter().all(|row| refused(row, *page)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, natural: &str, checksum: Option<&str>) -> RowHalf {
        RowHalf {
            key: key.into(),
            page: None,
            natural: Some(vec![Value::Text(natural.into())]),
            checksum: checksum.map(Into::into),
        }
    }

    fn page(id: u128, key: Option<&str>, natural: &str, checksum: Option<&str>) -> PageHalf {
        PageHalf {
            page: PageId(uuid::Uuid::from_u128(id)),
            key: key.map(Into::into),
            natural: Some(vec![Value::Text(natural.into())]),
            checksum: checksum.map(Into::into),
        }
    }

    #[test]
    fn tiers_go_from_id_to_checksum() {
        let mut known = row("1", "x", None);
        known.page = Some(PageId(uuid::Uuid::from_u128(1)));
        let rows = [
            known,
            row("2", "y", None),
            row("3", "ada", None),
            row("4", "z", Some("c4")),
            row("5", "new", None),
        ];
        let pages = [
            page(1, None, "other", None),
            page(2, Some("2"), "another", None),
            page(3, None, "ada", None),
            page(4, None, "edited", Some("c4")),
            page(6, None, "born here", None),
        ];
        let found = adopt(&rows, &pages);
        let tiers: Vec<_> = found.pairs.iter().map(|(key, _, tier)| (key.as_str(), *tier)).collect();
        assert_eq!(
            tiers,
            [
                ("1", Tier::StoredPageId),
                ("2", Tier::KeyProperty),
                ("3", Tier::NaturalKey),
                ("4", Tier::Checksum)
            ]
        );
        assert!(found.doubtful.is_empty());
    }

    #[test]
    fn what_fits_several_is_never_guessed() {
        let found = adopt(
            &[row("1", "ada", None)],
            &[page(1, Some("1"), "ada", None), page(2, Some("1"), "b", None)],
        );
        assert!(found.pairs.is_empty());
        assert_eq!(found.doubtful.len(), 1);
        let found = adopt(&[row("1", "ada", None), row("2", "ada", None)], &[page(1, None, "ada", None)]);
        assert!(found.pairs.is_empty());
        assert_eq!(found.doubtful[0].rows.len(), 2);
    }
}
