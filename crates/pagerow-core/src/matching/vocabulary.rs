//! The words of all titles: how much each of them says, and whether both sides know it.

use std::collections::BTreeMap;

use super::{short_forms::is_by_the_way, spelling::is_dense};
use crate::side::{Side, Sides};

/// A word by its place in the vocabulary.
pub(super) type WordId = u32;

/// What there is to know about a word.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) text: String,
    /// In characters.
    pub(super) length: usize,
    /// How much it says: the rarer, the more. Words that are said by the way have little.
    pub(super) weight: u32,
    /// Whether it has a digit: `1041`, `2x4`, `v2`.
    pub(super) is_number: bool,
    /// Whether it stands for a place in a series: `A`, `III`.
    pub(super) is_mark: bool,
    pub(super) is_dense: bool,
    /// Whether titles of both sides have it. Such a word is hardly the typing error for another one.
    pub(super) is_common: bool,
}

/// All words, in the order of their letters.
#[derive(Debug)]
pub(super) struct Vocabulary(Vec<Word>);

impl Vocabulary {
    /// The vocabulary of these titles, each with the sides that have it.
    pub(super) fn new<'a>(titles: impl Iterator<Item = (&'a [String], Sides<bool>)>) -> Self {
        let mut seen: BTreeMap<&str, (u32, Sides<bool>)> = BTreeMap::new();
        let mut total = 0;
        for (words, on) in titles {
            total += 1;
            for word in words {
                let entry = seen.entry(word).or_insert((0, Sides { postgres: false, notion: false }));
                entry.0 += 1;
                for side in [Side::Postgres, Side::Notion] {
                    *entry.1.of_mut(side) |= on.of(side);
                }
            }
        }
        let word = |(text, (times, on)): (&str, (u32, Sides<bool>))| {
            let by_the_way = is_by_the_way(text);
            let weight = rarity(times, total);
            Word {
                text: text.to_owned(),
                length: text.chars().count(),
                weight: if by_the_way { (weight / 6).max(1) } else { weight },
                is_number: text.contains(|c: char| c.is_numeric()),
                is_mark: is_mark(text),
                is_dense: is_dense(text),
                is_common: on.postgres && on.notion,
            }
        };
        Self(seen.into_iter().map(word).collect())
    }

    /// The place of a word that is in the vocabulary; other words are left out.
    pub(super) fn ids(&self, words: &[String]) -> Vec<WordId> {
        let id = |word: &String| self.0.binary_search_by(|known| known.text.as_str().cmp(word)).ok();
        words.iter().filter_map(id).map(|at| at as WordId).collect()
    }

    pub(super) fn get(&self, id: WordId) -> &Word {
        &self.0[id as usize]
    }
}

/// How much something says that `times` of `total` have: one and the logarithm of its rarity, in 1/64.
pub(super) fn rarity(times: u32, total: u32) -> u32 {
    64 + log2(total.max(1)).saturating_sub(log2(times.max(1)))
}

/// The logarithm to the base 2 in 1/64, with a straight line between powers. In whole numbers, so that no two machines
/// can differ.
fn log2(number: u32) -> u32 {
    let whole = number.ilog2();
    let rest = u64::from(number - (1 << whole)) * 64 / (1 << whole);
    whole * 64 + rest as u32
}

fn is_mark(word: &str) -> bool {
    let roman = word.len() <= 4 && word.chars().all(|c| matches!(c, 'i' | 'v' | 'x'));
    roman || word.chars().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_say_more() {
        assert_eq!(log2(1), 0);
        assert_eq!(log2(1024), 640);
        assert!((1..100_000).all(|n| log2(n) <= log2(n + 1)));
        assert!(rarity(1, 1000) > rarity(10, 1000) && rarity(1000, 1000) == 64);
    }

    #[test]
    fn words_know_their_sides() {
        let (one, two) = (["acme".to_owned(), "inc".to_owned()], ["acme".to_owned(), "ii".to_owned()]);
        let titles = [
            (&one[..], Sides { postgres: true, notion: false }),
            (&two[..], Sides { postgres: false, notion: true }),
        ];
        let words = Vocabulary::new(titles.into_iter());
        let [acme, inc] = words.ids(&one)[..] else { unreachable!("two words") };
        assert!(words.get(acme).is_common && !words.get(inc).is_common);
        assert!(words.get(inc).weight < words.get(acme).weight);
        assert!(words.get(words.ids(&two)[1]).is_mark);
    }
}
