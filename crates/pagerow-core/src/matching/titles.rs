//! All titles, each once, with the rows and pages that have it.

use std::collections::BTreeMap;

use super::{
    Page, Reading, Row,
    likeness::{self, Alike},
    shelf::features_of,
    spelling,
    vocabulary::{Vocabulary, WordId},
};
use crate::side::Sides;

/// A title as it is read.
pub(super) struct Title {
    words: Vec<WordId>,
    /// As it sounds in Latin letters; empty where that is not asked for, or the same.
    roman: Vec<WordId>,
    /// Its letters, for the shelf.
    pub(super) features: Vec<u64>,
    is_foreign: bool,
    /// The places of its rows and pages.
    pub(super) rows: Vec<u32>,
    pub(super) pages: Vec<u32>,
}

/// Every title that is not empty, in the order of their words.
pub(super) struct Titles {
    pub(super) all: Vec<Title>,
    vocabulary: Vocabulary,
}

/// Most words of a title that are compared when it is not the same; beyond them it is a text.
const WORDS: usize = 40;

/// A title's words and how they sound.
struct Spelled {
    words: Vec<String>,
    roman: Vec<String>,
    rows: Vec<u32>,
    pages: Vec<u32>,
}

impl Titles {
    pub(super) fn new(rows: &[&Row], pages: &[&Page], reading: Reading) -> Self {
        // Words hold no blanks, so that the joined text is as good a name as the list.
        let mut places: BTreeMap<String, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
        for (at, row) in (0..).zip(rows) {
            places.entry(spelling::words(&row.title).join(" ")).or_default().0.push(at);
        }
        for (at, page) in (0..).zip(pages) {
            places.entry(spelling::words(&page.title).join(" ")).or_default().1.push(at);
        }
        places.remove("");
        let spelled: Vec<Spelled> = places
            .into_iter()
            .map(|(text, (rows, pages))| {
                let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                let sounds = reading.transliterate && words.iter().any(|word| spelling::is_foreign(word));
                let roman = if sounds { spelling::romanised(&words) } else { Vec::new() };
                Spelled { words, roman, rows, pages }
            })
            .collect();
        let known = spelled.iter().flat_map(|title| {
            let on = Sides { postgres: !title.rows.is_empty(), notion: !title.pages.is_empty() };
            [(title.words.as_slice(), on), (title.roman.as_slice(), on)]
        });
        let vocabulary = Vocabulary::new(known.filter(|(words, _)| !words.is_empty()));
        let all = spelled.into_iter().map(|spelled| Title::new(spelled, &vocabulary)).collect();
        Self { all, vocabulary }
    }

    /// How alike two titles are that are not the same. In one script they are compared by their letters, in two by how they sound, which
    /// leaves a doubt.
    pub(super) fn compare(&self, one: &Title, two: &Title) -> Alike {
        if one.is_foreign == two.is_foreign && one.words != two.words {
            return likeness::of_titles(&one.words, &two.words, &self.vocabulary);
        }
        let alike = likeness::of_titles(one.in_latin(), two.in_latin(), &self.vocabulary);
        Alike { score: alike.score.min(980), doubtful: true }
    }
}

impl Title {
    fn new(spelled: Spelled, vocabulary: &Vocabulary) -> Self {
        let Spelled { mut words, mut roman, rows, pages } = spelled;
        words.truncate(WORDS);
        roman.truncate(WORDS);
        let mut features = Vec::new();
        features_of(&words, words.iter().any(|word| spelling::is_dense(word)), &mut features);
        features_of(&roman, false, &mut features);
        features.sort_unstable();
        features.dedup();
        Self {
            is_foreign: words.iter().any(|word| spelling::is_foreign(word)),
            words: vocabulary.ids(&words),
            roman: vocabulary.ids(&roman),
            features,
            rows,
            pages,
        }
    }

    fn in_latin(&self) -> &[WordId] {
        if self.is_foreign { &self.roman } else { &self.words }
    }
}
