//! What the fields beside the title say, as features that can be counted and compared.

use std::collections::BTreeMap;

use super::{Page, Row, assign::Edge, likeness, spelling, vocabulary::rarity};

/// The features of every row and page: each with how much it says, ascending.
pub(super) struct Contents {
    pub(super) rows: Vec<Vec<(u64, u32)>>,
    pub(super) pages: Vec<Vec<(u64, u32)>>,
}

/// Most words of one field that count one by one.
const WORDS: usize = 60;

impl Contents {
    pub(super) fn new(rows: &[&Row], pages: &[&Page]) -> Self {
        let rows: Vec<Vec<u64>> = rows.iter().map(|row| features(&row.content)).collect();
        let pages: Vec<Vec<u64>> = pages.iter().map(|page| features(&page.content)).collect();
        let total = (rows.len() + pages.len()) as u32;
        let mut times: BTreeMap<u64, u32> = BTreeMap::new();
        for feature in rows.iter().chain(&pages).flatten() {
            *times.entry(*feature).or_default() += 1;
        }
        let weigh = |records: Vec<Vec<u64>>| {
            let weighed = |features: Vec<u64>| {
                features.into_iter().map(|feature| (feature, rarity(times[&feature], total))).collect()
            };
            records.into_iter().map(weighed).collect()
        };
        Self { rows: weigh(rows), pages: weigh(pages) }
    }

    /// How alike the contents of two halves are; `None` when one of them has none.
    pub(super) fn compare(&self, edge: Edge) -> Option<u16> {
        likeness::of_contents(&self.rows[edge.row as usize], &self.pages[edge.page as usize])
    }
}

/// Each field as a whole, and where it has several words each of them; always with the field's place, since `5` in one
/// field is not `5` in another.
fn features(content: &[String]) -> Vec<u64> {
    let mut features = Vec::new();
    for (place, text) in (0..).zip(content) {
        let words = spelling::words(text);
        if words.is_empty() {
            continue;
        }
        features.push(name(place, b'=', &words.join(" ")));
        if words.len() > 1 {
            features.extend(words.iter().take(WORDS).map(|word| name(place, b'~', word)));
        }
    }
    features.sort_unstable();
    features.dedup();
    features
}

/// A number for a feature (FNV-1a). That two have one number by accident is rarer than any error in the data.
fn name(place: u64, kind: u8, text: &str) -> u64 {
    let bytes = place.to_le_bytes().into_iter().chain([kind]).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
