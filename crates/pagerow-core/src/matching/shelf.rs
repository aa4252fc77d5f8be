//! Which texts are worth comparing: an index by features (three letters, a word) that reads the rarest first and stops
//! when it has read enough.

use super::vocabulary::rarity;

/// Most postings that are read for one text. With it a common feature costs no more than a rare one, and 100,000
/// texts are looked up in seconds.
const BUDGET: usize = 16_000;
/// Features that are read whatever they cost; fewer find too little.
const AT_LEAST: usize = 3;
/// Most candidates of one text.
const CANDIDATES: usize = 24;

/// Texts by their features.
pub(super) struct Shelf {
    /// Every feature, ascending, with where its postings end.
    features: Vec<(u64, u32)>,
    /// The places of the texts that have it.
    postings: Vec<u32>,
    /// All that a text's features weigh together.
    weights: Vec<u32>,
    /// How much was found in common with the text that is looked up; zero between two of them.
    common: Vec<u32>,
}

impl Shelf {
    /// Puts texts on the shelf, each with its features ascending and without doubles.
    pub(super) fn new<'a>(texts: impl Iterator<Item = &'a [u64]> + Clone) -> Self {
        let mut pairs: Vec<(u64, u32)> = (0..)
            .zip(texts.clone())
            .flat_map(|(at, text)| text.iter().map(move |feature| (*feature, at)))
            .collect();
        pairs.sort_unstable();
        let mut features: Vec<(u64, u32)> = Vec::new();
        for (at, (feature, _)) in (1..).zip(&pairs) {
            match features.last_mut() {
                Some(last) if last.0 == *feature => last.1 = at,
                _ => features.push((*feature, at)),
            }
        }
        let postings = pairs.into_iter().map(|(_, text)| text).collect();
        let mut shelf =
            Self { features, postings, weights: Vec::new(), common: vec![0; texts.clone().count()] };
        shelf.weights =
            texts.map(|text| text.iter().map(|feature| shelf.weight(shelf.of(*feature))).sum()).collect();
        shelf
    }

    /// The places of the texts that have most in common with these features, the likeliest first; of those that are
    /// equally likely the one that was put in first.
    pub(super) fn candidates(&mut self, features: &[u64]) -> Vec<u32> {
        let mut lists: Vec<(std::ops::Range<usize>, u64)> =
            features.iter().map(|feature| (self.of(*feature), *feature)).collect();
        let own: u32 = lists.iter().map(|(list, _)| self.weight(list.clone())).sum();
        lists.retain(|(list, _)| !list.is_empty());
        lists.sort_unstable_by_key(|(list, feature)| (list.len(), *feature));
        let mut found = Vec::new();
        let mut read = 0;
        for (number, (list, _)) in lists.into_iter().enumerate() {
            if number >= AT_LEAST && read + list.len() > BUDGET {
                break;
            }
            read += list.len();
            let weight = self.weight(list.clone());
            for text in &self.postings[list] {
                let common = &mut self.common[*text as usize];
                if *common == 0 {
                    found.push(*text);
                }
                *common += weight;
            }
        }
        let mut ranked: Vec<(std::cmp::Reverse<u64>, u32)> = found
            .into_iter()
            .map(|text| {
                let common = std::mem::take(&mut self.common[text as usize]);
                let both = u64::from(own) + u64::from(self.weights[text as usize]);
                (std::cmp::Reverse((u64::from(common) << 21) / both), text)
            })
            .collect();
        if ranked.len() > CANDIDATES {
            ranked.select_nth_unstable(CANDIDATES);
            ranked.truncate(CANDIDATES);
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, text)| text).collect()
    }

    fn of(&self, feature: u64) -> std::ops::Range<usize> {
        match self.features.binary_search_by_key(&feature, |(known, _)| *known) {
            Ok(0) => 0..self.features[0].1 as usize,
            Ok(at) => self.features[at - 1].1 as usize..self.features[at].1 as usize,
            Err(_) => 0..0,
        }
    }

    fn weight(&self, list: std::ops::Range<usize>) -> u32 {
        rarity(list.len() as u32, self.common.len() as u32)
    }
}

/// What words look like: every three letters, the ends of words included; of dense scripts every two as well.
pub(super) fn features_of(words: &[String], dense: bool, out: &mut Vec<u64>) {
    let code = |c: char| u64::from(u32::from(c)) + 1;
    for word in words {
        let letters: Vec<u64> = std::iter::once(1).chain(word.chars().map(code)).chain([1]).collect();
        for three in letters.windows(3) {
            out.push(three[0] << 42 | three[1] << 21 | three[2]);
        }
        if dense {
            out.extend(letters.windows(2).map(|two| two[0] << 21 | two[1]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Vec<u64> {
        let mut out = Vec::new();
        features_of(&[text.to_owned()], false, &mut out);
        out.sort_unstable();
        out.dedup();
        out
    }

    #[test]
    fn the_nearest_comes_first_and_nothing_stays_behind() {
        let texts = ["hydraulic", "hydrant", "pump", "hydraulics"].map(features);
        let mut shelf = Shelf::new(texts.iter().map(Vec::as_slice));
        assert_eq!(shelf.candidates(&features("hydraulic")), [0, 3, 1]);
        assert_eq!(shelf.candidates(&features("pomp")), [2]);
        assert_eq!(shelf.candidates(&features("zzz")), [0; 0]);
        assert_eq!(shelf.candidates(&features("hydraulic")), [0, 3, 1]);
    }
}
