//! How alike two titles are, and two contents.

use super::vocabulary::{Vocabulary, Word, WordId};

/// What comparing two titles gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    /// In thousandths; 1000 only for the same words in the same order.
    pub(super) score: u16,
    /// Whether the difference may well be one of meaning: another word, a number that only one has.
    pub(super) doubtful: bool,
}

/// Compares two titles word by word: the same words, words joined or split, typing errors, initials, beginnings. Words
/// count by how much they say; their order hardly matters.
pub(super) fn of_titles(one: &[WordId], two: &[WordId], vocabulary: &Vocabulary) -> Alike {
    if one == two {
        return Alike { score: 1000, doubtful: false };
    }
    let words = |ids: &[WordId]| ids.iter().map(|id| vocabulary.get(*id)).collect::<Vec<&Word>>();
    let mut left = Left { one: words(one), two: words(two), common: 0, doubtful: false };
    let total = weight(&left.one) + weight(&left.two);
    let ordered = left.take_same();
    let same_numbers = !has_number(&left.one) && !has_number(&left.two);
    let swapped = same_numbers && numbers(one, vocabulary).ne(numbers(two, vocabulary));
    left.take_joined();
    left.take_alike();
    let mut score = left.common / total.max(1);
    if !ordered {
        score = score.saturating_sub(20);
    }
    // Another number, another letter in a series: another record, however alike the rest.
    let (tells_one, tells_two) = (tells_apart(&left.one), tells_apart(&left.two));
    if tells_one && tells_two || swapped {
        score /= 2;
    }
    let replaced = !left.one.is_empty() && !left.two.is_empty();
    Alike {
        score: score.min(999) as u16,
        doubtful: left.doubtful || tells_one || tells_two || replaced || swapped,
    }
}

/// Compares two contents, each as ascending features with their weights: how much they share of all that both have.
/// `None` when one of them says nothing.
pub(super) fn of_contents(one: &[(u64, u32)], two: &[(u64, u32)]) -> Option<u16> {
    if one.is_empty() || two.is_empty() {
        return None;
    }
    let (mut at, mut common) = (0, 0);
    for (feature, weight) in one {
        while two.get(at).is_some_and(|(other, _)| other < feature) {
            at += 1;
        }
        if two.get(at).is_some_and(|(other, _)| other == feature) {
            common += u64::from(*weight);
        }
    }
    let all = |features: &[(u64, u32)]| features.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>();
    Some((2000 * common / (all(one) + all(two)).max(1)) as u16)
}

/// Most words of a title that are compared letter by letter.
const LONGEST: usize = 12;

/// The words of two titles that have found no counterpart so far.
struct Left<'v> {
    one: Vec<&'v Word>,
    two: Vec<&'v Word>,
    /// The weights of those that have, each in thousandths by how alike they are.
    common: u32,
    doubtful: bool,
}

impl Left<'_> {
    /// Takes the words that both have; whether these stand in the same order.
    fn take_same(&mut self) -> bool {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (at, word) in self.one.iter().enumerate() {
            let is_free = |place: &usize| places.iter().all(|(_, taken)| taken != place);
            let found =
                (0..self.two.len()).find(|place| std::ptr::eq(self.two[*place], *word) && is_free(place));
            places.extend(found.map(|place| (at, place)));
        }
        self.common += places.iter().map(|(at, _)| 2000 * self.one[*at].weight).sum::<u32>();
        let (mut ones, mut twos): (Vec<usize>, Vec<usize>) = places.iter().copied().unzip();
        let ordered = twos.is_sorted();
        ones.sort_unstable();
        twos.sort_unstable();
        remove(&mut self.one, &ones);
        remove(&mut self.two, &twos);
        self.one.truncate(LONGEST);
        self.two.truncate(LONGEST);
        ordered
    }

    /// Takes words that stand as one in the other title: `data base`, `e-mail`.
    fn take_joined(&mut self) {
        self.common += joined(&mut self.one, &mut self.two);
        self.common += joined(&mut self.two, &mut self.one);
    }

    /// Takes pairs of words that may be one, the likeliest first.
    fn take_alike(&mut self) {
        let mut pairs = Vec::new();
        for (at, one) in self.one.iter().enumerate() {
            for (place, two) in self.two.iter().enumerate() {
                let (alike, doubtful) = of_words(one, two);
                if alike > 0 {
                    pairs.push((std::cmp::Reverse(alike), at, place, doubtful));
                }
            }
        }
        pairs.sort_unstable();
        let (mut ones, mut twos) = (Vec::new(), Vec::new());
        for (std::cmp::Reverse(alike), at, place, doubtful) in pairs {
            if !ones.contains(&at) && !twos.contains(&place) {
                self.common += alike * (self.one[at].weight + self.two[place].weight);
                self.doubtful |= doubtful;
                ones.push(at);
                twos.push(place);
            }
        }
        ones.sort_unstable();
        twos.sort_unstable();
        remove(&mut self.one, &ones);
        remove(&mut self.two, &twos);
    }
}

/// Takes from `split` each two neighbours that are one word of `whole`; what they weigh.
fn joined(split: &mut Vec<&Word>, whole: &mut Vec<&Word>) -> u32 {
    let mut common = 0;
    let mut at = 0;
    while at + 1 < split.len() {
        let (first, second) = (split[at], split[at + 1]);
        let is_both = |word: &&Word| {
            word.length == first.length + second.length
                && word.text.strip_prefix(first.text.as_str()) == Some(second.text.as_str())
        };
        match whole.iter().position(is_both) {
            Some(place) => {
                common += 980 * (first.weight + second.weight + whole.remove(place).weight);
                split.drain(at..at + 2);
            }
            None => at += 1,
        }
    }
    common
}

/// How alike two different words are, in thousandths; 0 for two words that are not one. And whether they may well be
/// two.
fn of_words(one: &Word, two: &Word) -> (u32, bool) {
    let (short, long) = if one.length <= two.length { (one, two) } else { (two, one) };
    if one.is_number || two.is_number {
        return (0, false);
    }
    if short.length == 1 {
        let is_initial = long.length >= 3 && long.text.starts_with(short.text.as_str());
        return (if is_initial { 600 } else { 0 }, true);
    }
    // A typing error makes a word that nobody uses. Of two words that both sides use, each means something.
    let both_used = one.is_common && two.is_common;
    let typed = |alike: u32| if both_used { (alike / 2, true) } else { (alike, long.is_dense) };
    if umlauts(&one.text) == umlauts(&two.text) {
        return typed(960);
    }
    let most = if long.is_dense { usize::from(long.length >= 4) } else { errors_in(long.length) };
    if long.length - short.length <= most {
        let errors = strsim::osa_distance(&one.text, &two.text);
        if errors <= most {
            return typed(1000 - (1000 * errors / long.length) as u32);
        }
    }
    if short.length >= 3 && !long.is_dense && long.text.starts_with(short.text.as_str()) {
        return (if both_used { 350 } else { 700 }, true);
    }
    (0, false)
}

/// How many typing errors a word of this length may have.
fn errors_in(length: usize) -> usize {
    match length {
        0..=3 => 0,
        4..=6 => 1,
        7..=11 => 2,
        _ => 3,
    }
}

/// The word with `ae`, `oe` and `ue` as one letter.
fn umlauts(word: &str) -> String {
    word.replace("ae", "a").replace("oe", "o").replace("ue", "u")
}

fn weight(words: &[&Word]) -> u32 {
    words.iter().map(|word| word.weight).sum()
}

fn has_number(words: &[&Word]) -> bool {
    words.iter().any(|word| word.is_number)
}

fn tells_apart(words: &[&Word]) -> bool {
    words.iter().any(|word| word.is_number || word.is_mark)
}

fn numbers(ids: &[WordId], vocabulary: &Vocabulary) -> impl Iterator<Item = WordId> {
    ids.iter().copied().filter(|id| vocabulary.get(*id).is_number)
}

/// Removes what is at these places, which ascend.
fn remove(words: &mut Vec<&Word>, places: &[usize]) {
    for place in places.iter().rev() {
        words.remove(*place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matching::spelling::words, side::Sides};

    /// How alike the first two titles are, among others that make words common.
    fn compare(one: &str, two: &str) -> Alike {
        let others = ["Anna Weber", "Anne Keller", "Pump station north", "Pump station south", "Bank GmbH"];
        let both = Sides { postgres: true, notion: true };
        let mut titles: Vec<(Vec<String>, Sides<bool>)> =
            others.iter().map(|title| (words(title), both)).collect();
        titles.push((words(one), Sides { postgres: true, notion: false }));
        titles.push((words(two), Sides { postgres: false, notion: true }));
        let vocabulary = Vocabulary::new(titles.iter().map(|(words, on)| (words.as_slice(), *on)));
        of_titles(&vocabulary.ids(&words(one)), &vocabulary.ids(&words(two)), &vocabulary)
    }

    #[test]
    fn other_ways_to_write_are_alike() {
        for (one, two, least) in [
            ("Schmidt, Anna", "Anna Schmidt", 970),
            ("Hydraulic press", "Hydrualic press", 900),
            ("Database migration", "Data base migration", 970),
            ("Mueller Bau", "Müller Bau", 950),
            ("Acme Tools GmbH", "Acme Tools", 900),
        ] {
            let alike = compare(one, two);
            assert!(alike.score >= least && !alike.doubtful, "{one} / {two}: {alike:?}");
            assert_eq!(alike, compare(two, one));
        }
    }

    #[test]
    fn what_may_be_something_else_is_doubtful() {
        for (one, two, most) in [
            ("Order 1041", "Order 1042", 400),
            ("Plant A", "Plant B", 400),
            ("Phase II", "Phase III", 400),
            ("Room 1 floor 2", "Room 2 floor 1", 500),
            ("Pump station north", "Pump station south", 800),
            ("Anna Weber", "Anne Weber", 800),
            ("Press 5", "Press", 700),
            ("北京华信科技", "北京华新科技", 900),
        ] {
            let alike = compare(one, two);
            assert!(alike.score <= most && alike.doubtful, "{one} / {two}: {alike:?}");
        }
    }

    #[test]
    fn contents_share_what_they_share() {
        let one = [(1, 100), (2, 100), (5, 200)];
        assert_eq!(of_contents(&one, &one), Some(1000));
        assert_eq!(of_contents(&one, &[(2, 100), (5, 200), (9, 100)]), Some(750));
        assert_eq!(of_contents(&one, &[]), None);
    }
}
