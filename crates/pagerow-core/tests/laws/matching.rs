//! What is true of every matching: one to one, the surer tier first, and the same however the input is ordered and its
//! records are named.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    adopt::{PageHalf, RowHalf},
    matching::{Choices, Confidence, Match, Matching, Page, Reading, Row, Tier, match_up},
    record::{PageId, RowKey},
    value::Value,
};
use uuid::Uuid;

use crate::generators::{Rng, cases};

const WORDS: [&str; 16] = [
    "Acme",
    "acme,",
    "Acmee",
    "Tools",
    "GmbH",
    "Müller",
    "Mueller",
    "Pump",
    "A",
    "B",
    "1041",
    "1042",
    "Москва",
    "Moskva",
    "北京",
    "🚀",
];

/// A small world in which nearly everything collides.
#[derive(Clone, Debug)]
struct Small {
    rows: Vec<Row>,
    pages: Vec<Page>,
    choices: Choices,
    reading: Reading,
}

fn key(n: usize) -> RowKey {
    RowKey::from(format!("k{n}"))
}

fn id(n: usize) -> PageId {
    PageId(Uuid::from_u128(n as u128 + 1))
}

fn title(rng: &mut Rng) -> String {
    (0..rng.below(4)).map(|_| *rng.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

fn content(rng: &mut Rng) -> Vec<String> {
    (0..rng.below(4))
        .map(|_| (*rng.pick(&["", "open", "done", "Paris", "7", "a longer note"])).to_owned())
        .collect()
}

fn small(rng: &mut Rng) -> Small {
    let natural = |rng: &mut Rng| rng.one_in(4).then(|| vec![Value::Text(format!("n{}", rng.below(4)))]);
    let checksum = |rng: &mut Rng| rng.one_in(5).then(|| format!("c{}", rng.below(5)));
    let rows = (0..rng.below(8)).map(|n| Row {
        half: RowHalf {
            key: key(n),
            page: rng.one_in(6).then(|| id(rng.below(9))),
            natural: natural(rng),
            checksum: checksum(rng),
        },
        title: title(rng),
        content: content(rng),
    });
    let rows: Vec<Row> = rows.collect();
    let pages = (0..rng.below(8)).map(|n| Page {
        half: PageHalf {
            page: id(n),
            key: rng.one_in(6).then(|| key(rng.below(9))),
            natural: natural(rng),
            checksum: checksum(rng),
        },
        title: title(rng),
        content: content(rng),
    });
    let pages = pages.collect();
    let mut choices = Choices::default();
    for _ in 0..rng.below(3) {
        choices.accepted.insert(key(rng.below(9)), id(rng.below(9)));
    }
    for _ in 0..rng.below(4) {
        choices.refused.insert((key(rng.below(9)), id(rng.below(9))));
    }
    Small { rows, pages, choices, reading: Reading { transliterate: rng.one_in(2) } }
}

impl Small {
    fn match_up(&self) -> Matching {
        match_up(&self.rows, &self.pages, &self.choices, self.reading)
    }
}

#[test]
fn each_half_is_in_one_place() {
    cases("matching: each half is in one place", 10_000, |rng| {
        let small = small(rng);
        let found = small.match_up();
        let mut rows: Vec<&RowKey> = found.pairs.iter().map(|pair| &pair.row).collect();
        rows.extend(found.questions.iter().flat_map(|question| &question.rows));
        rows.extend(&found.rows_alone);
        let mut pages: Vec<PageId> = found.pairs.iter().map(|pair| pair.page).collect();
        pages.extend(found.questions.iter().flat_map(|question| &question.pages));
        pages.extend(&found.pages_alone);
        rows.sort();
        pages.sort();
        assert!(rows.iter().copied().eq(small.rows.iter().map(|row| &row.half.key)), "{found:?}");
        assert!(pages.iter().copied().eq(small.pages.iter().map(|page| page.half.page)), "{found:?}");
    });
}

#[test]
fn a_persons_choice_stands_above_everything() {
    cases("matching: a person's choice stands above everything", 10_000, |rng| {
        let small = small(rng);
        let found = small.match_up();
        for pair in &found.pairs {
            let pair = (pair.row.clone(), pair.page);
            assert!(!small.choices.refused.contains(&pair), "a refused pair: {found:?}");
        }
        for question in &found.questions {
            for candidate in &question.candidates {
                let pair = (candidate.row.clone(), candidate.page);
                assert!(!small.choices.refused.contains(&pair), "a refused pair is asked again: {found:?}");
            }
        }
        for (row, page) in &small.choices.accepted {
            let is_pair = |pair: &Match| pair.row == *row && pair.page == *page && pair.tier == Tier::Chosen;
            let followed = found.pairs.iter().any(is_pair);
            assert_ne!(followed, found.unusable.contains(&(row.clone(), *page)), "{found:?}");
        }
    });
}

#[test]
fn a_surer_tier_is_never_overridden() {
    cases("matching: a surer tier is never overridden", 10_000, |rng| {
        let small = Small { choices: Choices::default(), ..small(rng) };
        let found = small.match_up();
        let pages: BTreeMap<PageId, &Page> = small.pages.iter().map(|page| (page.half.page, page)).collect();
        for row in &small.rows {
            // A row and a page that name each other, and that nobody else names.
            let Some(page) = row.half.page.and_then(|page| pages.get(&page)) else { continue };
            let rivals = small.rows.iter().filter(|other| other.half.page == row.half.page).count();
            if rivals == 1 {
                let pair = found.pairs.iter().find(|pair| pair.row == row.half.key);
                let pair = pair.unwrap_or_else(|| panic!("the row names its page: {found:?}"));
                assert_eq!((pair.page, pair.confidence), (page.half.page, Confidence::High));
            }
        }
        // What one half says of the other is not overruled by what is only likely.
        for pair in found.pairs.iter().filter(|pair| pair.contradicted && pair.tier >= Tier::ExactTitle) {
            assert_eq!(pair.confidence, Confidence::Low);
        }
        for pair in &found.pairs {
            assert_eq!(pair.confidence == Confidence::High, pair.tier <= Tier::Checksum);
            assert!(pair.next.is_none_or(|next| next <= pair.score) || pair.confidence == Confidence::Low);
        }
    });
}

#[test]
fn neither_order_nor_names_matter() {
    cases("matching: neither order nor names matter", 10_000, |rng| {
        let small = small(rng);
        let found = small.match_up();
        let mut shuffled = small.clone();
        for at in 1..shuffled.rows.len() {
            shuffled.rows.swap(at, rng.below(at + 1));
        }
        for at in 1..shuffled.pages.len() {
            shuffled.pages.swap(at, rng.below(at + 1));
        }
        assert_eq!(shuffled.match_up(), found);

        // Other keys and ids, in another order.
        let by = rng.below(9) + 1;
        let row_name =
            |row: &RowKey| RowKey::from(format!("{}k{}", row.as_str().len() % 7, 100 - number(row) * by));
        let page_name = |page: &PageId| PageId(Uuid::from_u128((1_000 - page.0.as_u128()) * by as u128));
        let mut renamed = small.clone();
        for row in &mut renamed.rows {
            row.half.key = row_name(&row.half.key);
            row.half.page = row.half.page.as_ref().map(page_name);
        }
        for page in &mut renamed.pages {
            page.half.page = page_name(&page.half.page);
            page.half.key = page.half.key.as_ref().map(row_name);
        }
        let pair = |(row, page): (&RowKey, &PageId)| (row_name(row), page_name(page));
        renamed.choices.accepted = small.choices.accepted.iter().map(pair).collect();
        renamed.choices.refused = small.choices.refused.iter().map(|(row, page)| pair((row, page))).collect();
        let again = renamed.match_up();
        let pairs: BTreeSet<(RowKey, PageId, String)> = found
            .pairs
            .iter()
            .map(|pair| (row_name(&pair.row), page_name(&pair.page), pair.to_string()))
            .collect();
        let pairs_again: BTreeSet<(RowKey, PageId, String)> =
            again.pairs.iter().map(|pair| (pair.row.clone(), pair.page, pair.to_string())).collect();
        assert_eq!(pairs, pairs_again);
        let halves = |found: &Matching| {
            found.questions.iter().map(|q| (q.rows.len(), q.pages.len())).collect::<Vec<_>>()
        };
        let (mut one, mut two) = (halves(&found), halves(&again));
        one.sort_unstable();
        two.sort_unstable();
        assert_eq!(one, two);
    });
}

fn number(key: &RowKey) -> usize {
    key.as_str()[1..].parse().unwrap()
}

#[test]
fn what_is_the_same_finds_itself() {
    cases("matching: what is the same finds itself", 10_000, |rng| {
        let small = small(rng);
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        // Coarser than what is matched by: letters alone.
        let spelled = |title: &str| {
            let lower = title.to_lowercase();
            let letters: String = lower.chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
            let words: Vec<&str> = letters.split_whitespace().collect();
            if words.is_empty() { lower } else { words.join(" ") }
        };
        small.rows.iter().for_each(|row| *times.entry(spelled(&row.title)).or_default() += 1);
        let rows = small.rows.iter().map(|row| Row {
            half: RowHalf { page: None, natural: None, checksum: None, ..row.half.clone() },
            ..row.clone()
        });
        let rows: Vec<Row> = rows.collect();
        let pages: Vec<Page> = (0..rows.len())
            .map(|n| Page {
                half: PageHalf { page: id(n), key: None, natural: None, checksum: None },
                title: rows[n].title.clone(),
                content: rows[n].content.clone(),
            })
            .collect();
        let found = match_up(&rows, &pages, &Choices::default(), small.reading);
        for (n, row) in rows.iter().enumerate() {
            if times[&spelled(&row.title)] == 1 && !row.title.is_empty() {
                let pair = found.pairs.iter().find(|pair| pair.row == row.half.key);
                let pair = pair.unwrap_or_else(|| panic!("alone with itself: {row:?} {found:?}"));
                assert_eq!((pair.page, pair.tier, pair.score.0), (id(n), Tier::ExactTitle, 1000));
                assert_eq!(pair.confidence, Confidence::Medium);
            }
        }
    });
}

#[test]
fn what_a_person_decides_can_be_decided_again() {
    cases("matching: what a person decides can be decided again", 10_000, |rng| {
        let small = Small { choices: Choices::default(), ..small(rng) };
        let found = small.match_up();
        // Accepting what was found changes nothing but the reason.
        let accepted = found.pairs.iter().map(|pair| (pair.row.clone(), pair.page)).collect();
        let again = match_up(
            &small.rows,
            &small.pages,
            &Choices { accepted, refused: BTreeSet::new() },
            small.reading,
        );
        assert!(again.unusable.is_empty());
        assert!(
            found
                .pairs
                .iter()
                .zip(&again.pairs)
                .all(|(one, two)| (&one.row, one.page) == (&two.row, two.page))
        );
        assert!(again.pairs.iter().take(found.pairs.len()).all(|pair| pair.confidence == Confidence::High));
    });
}

fn plain_row(n: usize, title: String) -> Row {
    let half = RowHalf { key: key(n), page: None, natural: None, checksum: None };
    Row { half, title, content: vec!["open".to_owned(), "Paris".to_owned()] }
}

fn plain_page(n: usize, title: String) -> Page {
    let half = PageHalf { page: id(n), key: None, natural: None, checksum: None };
    Page { half, title, content: vec!["open".to_owned(), "Paris".to_owned()] }
}

#[test]
fn a_crowd_is_one_question_and_numbers_are_no_typing_errors() {
    const MANY: usize = 20_000;
    let rows: Vec<Row> = (0..MANY)
        .map(|n| plain_row(n, "Untitled".to_owned()))
        .chain((0..MANY).map(|n| plain_row(MANY + n, format!("Order {n:06}"))))
        .collect();
    let pages: Vec<Page> = (0..MANY)
        .map(|n| plain_page(n, "untitled!".to_owned()))
        .chain((0..MANY).map(|n| plain_page(MANY + n, format!("Order {:06}", MANY + n))))
        .collect();
    let found = match_up(&rows, &pages, &Choices::default(), Reading::default());
    assert_eq!(found.pairs.len(), 0);
    assert_eq!(found.questions.len(), 1);
    assert_eq!((found.questions[0].rows.len(), found.questions[0].pages.len()), (MANY, MANY));
    assert_eq!((found.rows_alone.len(), found.pages_alone.len()), (MANY, MANY));
}

#[test]
fn reasons_are_words() {
    let rows = [
        plain_row(0, "Hydraulic press Weber".to_owned()),
        plain_row(1, "Paint roller".to_owned()),
        plain_row(2, "Юлия Смирнова".to_owned()),
    ];
    let pages = [
        plain_page(0, "Hydrualic Press, Weber".to_owned()),
        plain_page(1, "PAINT ROLLER".to_owned()),
        plain_page(2, "Yuliya Smirnova".to_owned()),
    ];
    let reasons = |transliterate| {
        let found = match_up(&rows, &pages, &Choices::default(), Reading { transliterate });
        let reasons = found.pairs.iter().map(|pair| format!("{}: {pair}", pair.confidence));
        reasons.collect::<Vec<_>>()
    };
    let plain = reasons(false);
    assert_eq!(plain[0], "medium: matched on title 0.95 and content 1.00");
    assert_eq!(plain[1], "medium: same title and content 1.00");
    assert!(plain.get(2).is_none_or(|reason| reason.contains("matched on content")), "{plain:?}");
    assert!(reasons(true)[2].starts_with("medium: matched on title 0.9"), "{:?}", reasons(true));
}
