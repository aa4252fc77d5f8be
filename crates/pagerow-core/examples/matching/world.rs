//! Rows and pages of which it is known who belongs to whom.

use std::collections::BTreeMap;

use pagerow_core::{
    adopt::{PageHalf, RowHalf},
    matching::{Page, Row},
    record::{PageId, RowKey},
    value::Value,
};

use crate::{
    chance::Chance,
    titles::{self, Named},
    trouble::{self, Trouble},
};

/// What there is to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    Titles,
    Content,
    All,
}

pub(crate) struct World {
    pub(crate) rows: Vec<Row>,
    pub(crate) pages: Vec<Page>,
    /// The page of each row that has one.
    pub(crate) truth: BTreeMap<RowKey, Truth>,
}

pub(crate) struct Truth {
    pub(crate) page: PageId,
    /// What happened to its title.
    pub(crate) trouble: Trouble,
    /// Whether no other record had the same title from the start; else nobody could tell by the title.
    pub(crate) has_own_title: bool,
}

/// Of 100 records, so many have no page, and so many no row.
const ALONE: usize = 8;
/// Of 100 records, so many have a neighbour that looks like them.
const NEIGHBOURS: usize = 15;

struct Thing {
    title: String,
    content: Vec<String>,
    natural: String,
}

impl World {
    /// A world of about this many rows and pages; `real` titles instead of made-up ones.
    pub(crate) fn new(records: usize, seed: u64, evidence: Evidence, real: Option<&[String]>) -> Self {
        let mut chance = Chance::new(seed);
        let mut world = Self { rows: Vec::new(), pages: Vec::new(), truth: BTreeMap::new() };
        let mut number = 0;
        let mut titles = BTreeMap::new();
        // Each record is there in 108 of 116 cases on a side.
        let things = real.map_or(records * (100 + ALONE) / 100 * 100 / (100 + NEIGHBOURS), <[String]>::len);
        for at in 0..things {
            let named = match real {
                Some(titles) => Named { title: titles[at].clone(), neighbour: String::new() },
                None => titles::title(&mut chance),
            };
            let natural = format!("info{number}@example.org");
            let thing = Thing { title: named.title, content: content(&mut chance), natural };
            titles.insert(world.add(&mut number, &thing, evidence, &mut chance), thing.title.clone());
            if real.is_none() && chance.percent(NEIGHBOURS) {
                let mut fields = content(&mut chance);
                // Neighbours have something in common beside the name.
                let same = chance.below(fields.len());
                fields[same] = thing.content[same].clone();
                // A few share what should be their own.
                let shared = chance.percent(4);
                let natural =
                    if shared { thing.natural.clone() } else { format!("info{number}@example.org") };
                let other = Thing { title: named.neighbour, content: fields, natural };
                titles.insert(world.add(&mut number, &other, evidence, &mut chance), other.title);
            }
        }
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for title in titles.values() {
            *times.entry(title.to_lowercase()).or_default() += 1;
        }
        for (key, truth) in &mut world.truth {
            truth.has_own_title = times[&titles[key].to_lowercase()] == 1;
        }
        chance.shuffle(&mut world.rows);
        chance.shuffle(&mut world.pages);
        world
    }

    /// Adds a record to one side or both; its key.
    fn add(&mut self, number: &mut u32, thing: &Thing, evidence: Evidence, chance: &mut Chance) -> RowKey {
        *number += 1;
        let key = RowKey::from(number.to_string());
        let page = PageId(uuid::Uuid::from_u128(
            u128::from(*number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
        ));
        let lot = chance.below(100 + ALONE);
        let (on_row, on_page) = (lot >= ALONE, lot < 100);
        let all = evidence == Evidence::All;
        let named = |natural: &str| all.then(|| vec![Value::Text(natural.to_owned())]);
        if on_row {
            let half = RowHalf {
                key: key.clone(),
                page: (all && on_page && chance.percent(10)).then_some(page),
                natural: named(&thing.natural),
                checksum: all.then(|| checksum(&thing.title, &thing.content)),
            };
            let content = if evidence >= Evidence::Content { thing.content.clone() } else { Vec::new() };
            self.rows.push(Row { half, title: thing.title.clone(), content });
        }
        if !on_page {
            return key;
        }
        let (title, trouble) = trouble::change(&thing.title, chance);
        let edited = edited(&thing.content, chance);
        let natural = match chance.below(100) {
            0..60 => named(&thing.natural),
            60..85 => None,
            _ => named(&format!("new{number}@example.org")),
        };
        let half = PageHalf {
            page,
            key: (all && on_row && chance.percent(30)).then(|| key.clone()),
            natural,
            checksum: all.then(|| checksum(&title, &edited)),
        };
        let content = if evidence >= Evidence::Content { edited } else { Vec::new() };
        let made = Page { half, title, content };
        // A person has duplicated a page, with all that it carries.
        if all && chance.percent(1) {
            let mut copy = made.clone();
            copy.half.page = PageId(uuid::Uuid::from_u128(page.0.as_u128() ^ 1));
            self.pages.push(copy);
        }
        self.pages.push(made);
        if on_row {
            self.truth.insert(key.clone(), Truth { page, trouble, has_own_title: true });
        }
        key
    }
}

fn checksum(title: &str, content: &[String]) -> String {
    format!("{title}\u{1f}{}", content.join("\u{1f}"))
}

const STATES: [&str; 6] = ["Draft", "Open", "In progress", "Waiting", "Done", "Cancelled"];
const PLACES: [&str; 16] = [
    "Berlin", "Hamburg", "Paris", "Lyon", "London", "Leeds", "Madrid", "Milano", "Wien", "Praha", "Boston",
    "Austin", "Toronto", "Osaka", "Mumbai", "Nairobi",
];
const NOTES: [&str; 24] = [
    "urgent", "call", "again", "paid", "late", "contract", "sent", "sample", "waiting", "for", "reply",
    "from", "customer", "delivery", "in", "two", "weeks", "discount", "agreed", "see", "mail", "new",
    "contact", "person",
];

/// State, place, amount, day, a note.
fn content(chance: &mut Chance) -> Vec<String> {
    (0..5).map(|field| cell(field, chance)).collect()
}

fn cell(field: usize, chance: &mut Chance) -> String {
    match field {
        0 => (*chance.pick(&STATES)).to_owned(),
        1 => (*chance.pick(&PLACES)).to_owned(),
        2 => format!("{}", (chance.below(2_000) + 1) * 5),
        3 => format!("2026-{:02}-{:02}", chance.below(12) + 1, chance.below(28) + 1),
        _ if chance.percent(40) => String::new(),
        _ => (0..chance.below(6) + 2).map(|_| *chance.pick(&NOTES)).collect::<Vec<_>>().join(" "),
    }
}

/// Some cells were edited since, some emptied.
fn edited(content: &[String], chance: &mut Chance) -> Vec<String> {
    let cells = content.iter().enumerate().map(|(field, cell_now)| match chance.below(100) {
        0..12 => cell(field, chance),
        12..16 => String::new(),
        _ => cell_now.clone(),
    });
    cells.collect()
}
