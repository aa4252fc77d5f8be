//! Every pairing of what people do to a row and to a page, once and then once more: edited, deleted, marked, trashed,
//! restored, inserted again. There is never a second page for a row nor a second row for a page.

use pagerow_core::{
    mapping::{Flow, Mapping, OnPageTrashed, OnRowDeleted, Policy},
    observation::Absence,
    plan::{ConflictKind, Plan},
    record::RowKey,
    side::Side,
    value::Value,
};

use crate::{
    lint::lint,
    world::{Half, World, mapping, plan_of, text, text_field},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Rests,
    Edited,
    /// Gone.
    Deleted,
    /// Marked as deleted.
    Marked,
    /// The mark taken away, or inserted again with what it held.
    Back,
    /// Inserted again with something else.
    Anew,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Rests,
    Edited,
    Trashed,
    Restored,
    RestoredAndEdited,
}

const ROWS: [Row; 6] = [Row::Rests, Row::Edited, Row::Deleted, Row::Marked, Row::Back, Row::Anew];
const PAGES: [Page; 5] = [Page::Rests, Page::Edited, Page::Trashed, Page::Restored, Page::RestoredAndEdited];
const ROW_RULES: [OnRowDeleted; 3] = [OnRowDeleted::Trash, OnRowDeleted::Keep, OnRowDeleted::Ask];
const PAGE_RULES: [OnPageTrashed; 5] = [
    OnPageTrashed::Ask,
    OnPageTrashed::SoftDelete,
    OnPageTrashed::Delete,
    OnPageTrashed::Restore,
    OnPageTrashed::Keep,
];

/// Does to the row what somebody does; `false` where nobody can.
fn act_on_row(world: &mut World, what: Row, value: &str) -> bool {
    let key = RowKey::from("k0001");
    let now = world.now;
    let live = world.rows.get(&key).is_some_and(|row| row.away.is_none());
    let new = |value: Value| Half { cells: vec![value], away: None, edited: now, marker: None };
    match (what, live) {
        (Row::Rests, _) => true,
        (Row::Edited, true) => {
            world.rows.insert(key, new(text(value)));
            true
        }
        (Row::Deleted, _) => world.rows.remove(&key).is_some(),
        (Row::Marked, true) => {
            if let Some(row) = world.rows.get_mut(&key) {
                row.away = Some(Absence::Trashed);
            }
            true
        }
        (Row::Back, false) => {
            let held = world.rows.get(&key).map_or_else(|| text("a"), |row| row.cells[0].clone());
            world.rows.insert(key, new(held));
            true
        }
        (Row::Anew, false) => {
            world.rows.insert(key, new(text(value)));
            true
        }
        (Row::Edited | Row::Marked, false) | (Row::Back | Row::Anew, true) => false,
    }
}

fn act_on_page(world: &mut World, what: Page, value: &str) -> bool {
    let now = world.now;
    let Some(page) = world.pages.values_mut().next() else { return false };
    let live = page.away.is_none();
    let (away, cell) = match (what, live) {
        (Page::Rests, _) => return true,
        (Page::Edited, true) => (None, text(value)),
        (Page::Trashed, true) => (Some(Absence::Trashed), page.cells[0].clone()),
        (Page::Restored, false) => (None, page.cells[0].clone()),
        (Page::RestoredAndEdited, false) => (None, text(value)),
        (Page::Edited | Page::Trashed, false) | (Page::Restored | Page::RestoredAndEdited, true) => {
            return false;
        }
    };
    (page.away, page.cells, page.edited) = (away, vec![cell], now);
    true
}

/// Plans and acts to the end; the laws look on.
fn settle(world: &mut World) -> Plan {
    for _ in 0..6 {
        let (pairs, doubts) = world.pairs();
        let plan = plan_of(&world.mapping, &pairs, &doubts, world.census());
        lint(&world.mapping, &pairs, &plan);
        if plan.is_empty() {
            return plan;
        }
        world.now += 61;
        assert_eq!(world.apply(&plan).stale, 0);
        assert!(world.pages.len() == 1 && world.rows.len() <= 1, "a twin: {plan:#?}");
        assert!(world.links.len() + world.buried.len() == 1, "two links, or none: {plan:#?}");
    }
    panic!("not quiet: {:#?}", world.plan());
}

fn start(rules: &Mapping) -> World {
    let mut world = World::new(rules.clone());
    world.add_pair(vec![text("a")], vec![text("a")]);
    if !rules.key_property {
        world.pages.values_mut().for_each(|page| page.marker = None);
    }
    world.now += 61;
    world
}

fn live(world: &World, side: Side) -> Option<Value> {
    let half = match side {
        Side::Postgres => world.rows.values().next(),
        Side::Notion => world.pages.values().next(),
    };
    half.filter(|half| half.away.is_none()).map(|half| half.cells[0].clone())
}

/// What must hold once it is quiet.
fn at_rest(world: &World, plan: &Plan) {
    let part = &plan.mappings[0];
    let listed = !part.conflicts.is_empty() || !part.skipped.is_empty();
    match (live(world, Side::Postgres), live(world, Side::Notion)) {
        (Some(row), Some(page)) => {
            assert_eq!(world.links.len(), 1, "both are there, and no link counts");
            let contested = part.conflicts.iter().any(|one| matches!(one.kind, ConflictKind::Field { .. }));
            assert!(row == page || contested, "neither equal nor contested: {world:#?} {plan:#?}");
        }
        (None, None) => assert_eq!(world.buried.len(), 1),
        (Some(_), None) | (None, Some(_)) => {
            assert!(listed, "one half alone, and nobody says so: {world:#?}");
        }
    }
}

#[test]
fn every_pairing_under_every_rule_and_never_a_twin() {
    let mut runs = 0u32;
    for (on_row_deleted, on_page_trashed) in
        ROW_RULES.into_iter().flat_map(|row| PAGE_RULES.map(|page| (row, page)))
    {
        for direction in [Flow::Both, Flow::ToNotion, Flow::ToPostgres] {
            for key_property in [false, true] {
                for on_conflict in [Policy::Manual, Policy::LastWriteWins] {
                    let rules = Mapping {
                        on_row_deleted,
                        on_page_trashed,
                        direction,
                        key_property,
                        on_conflict,
                        ..mapping(vec![text_field("words")])
                    };
                    for first in ROWS.into_iter().flat_map(|row| PAGES.map(|page| (row, page))) {
                        let mut once = start(&rules);
                        if !act_on_row(&mut once, first.0, "b") || !act_on_page(&mut once, first.1, "c") {
                            continue;
                        }
                        let plan = settle(&mut once);
                        at_rest(&once, &plan);
                        for second in ROWS.into_iter().flat_map(|row| PAGES.map(|page| (row, page))) {
                            let mut twice = once.clone();
                            if !act_on_row(&mut twice, second.0, "d")
                                || !act_on_page(&mut twice, second.1, "e")
                            {
                                continue;
                            }
                            let plan = settle(&mut twice);
                            at_rest(&twice, &plan);
                            runs += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(runs > 20_000, "{runs}");
    println!("{runs} pairings of two rounds");
}

/// What it says, the rules, two rounds of what people do, and the end.
type Story = (&'static str, &'static str, [(Row, Page); 2], &'static str);

/// The same as a table that people can read: first round, second round, and what both sides hold in the end.
#[rustfmt::skip]
const STORIES: &[Story] = &[
    ("a trashed page's row is marked; unmarking brings the page back", "page=soft_delete", [(Row::Rests, Page::Trashed), (Row::Back, Page::Rests)], "a a"),
    ("a trashed page's row is marked; restoring unmarks the row",      "page=soft_delete", [(Row::Rests, Page::Trashed), (Row::Rests, Page::Restored)], "a a"),
    ("a trashed page's row is deleted; restoring makes the row again", "page=delete",      [(Row::Rests, Page::Trashed), (Row::Rests, Page::RestoredAndEdited)], "e e"),
    ("a deleted row's page is trashed; the row is inserted again",     "",                 [(Row::Deleted, Page::Rests), (Row::Back, Page::Rests)], "a a"),
    ("a deleted row's page is trashed; another row takes its key",     "",                 [(Row::Deleted, Page::Rests), (Row::Anew, Page::Rests)], "d d"),
    ("a deleted row's page is trashed; the page is restored",          "",                 [(Row::Deleted, Page::Rests), (Row::Rests, Page::Restored)], "a a"),
    ("a deleted row's page is trashed; both come back, both new",      "",                 [(Row::Deleted, Page::Rests), (Row::Anew, Page::RestoredAndEdited)], "d e conflict"),
    ("both deleted; the row is inserted again",                        "",                 [(Row::Deleted, Page::Trashed), (Row::Back, Page::Rests)], "a a"),
    ("both deleted; both come back",                                   "",                 [(Row::Deleted, Page::Trashed), (Row::Back, Page::Restored)], "a a"),
    ("asked about a trashed page; it is restored",                     "page=ask",         [(Row::Rests, Page::Trashed), (Row::Rests, Page::Restored)], "a a"),
    ("asked about a trashed page; the row is edited",                  "page=ask",         [(Row::Rests, Page::Trashed), (Row::Edited, Page::Rests)], "d d"),
    ("asked about a trashed page; the row is deleted",                 "page=ask",         [(Row::Rests, Page::Trashed), (Row::Deleted, Page::Rests)], "- -"),
    ("asked about a trashed page; nothing happens",                    "page=ask",         [(Row::Rests, Page::Trashed), (Row::Rests, Page::Rests)], "a - asked"),
    ("asked about a deleted row; it is inserted again",                "row=ask",          [(Row::Deleted, Page::Rests), (Row::Back, Page::Rests)], "a a"),
    ("asked about a deleted row; another takes its key",               "row=ask",          [(Row::Deleted, Page::Rests), (Row::Anew, Page::Rests)], "d d"),
    ("asked about a deleted row; the page is edited",                  "row=ask",          [(Row::Deleted, Page::Rests), (Row::Rests, Page::Edited)], "e e"),
    ("asked about a deleted row; the page is trashed",                 "row=ask",          [(Row::Deleted, Page::Rests), (Row::Rests, Page::Trashed)], "- -"),
    ("a kept page of a deleted row; the row is inserted again",        "row=keep",         [(Row::Deleted, Page::Rests), (Row::Back, Page::Rests)], "a a"),
    ("a kept page of a deleted row; both are edited",                  "row=keep",         [(Row::Deleted, Page::Rests), (Row::Anew, Page::Edited)], "d e conflict"),
    ("a kept row of a trashed page; the row is edited",                "page=keep",        [(Row::Rests, Page::Trashed), (Row::Edited, Page::Rests)], "d d"),
    ("a kept row of a trashed page; the page is restored and edited",  "page=keep",        [(Row::Rests, Page::Trashed), (Row::Rests, Page::RestoredAndEdited)], "e e"),
    ("a restored page stays restored",                                 "page=restore",     [(Row::Rests, Page::Trashed), (Row::Rests, Page::Edited)], "e e"),
    ("deleted here, edited there: the edit wins",                      "",                 [(Row::Deleted, Page::Edited), (Row::Rests, Page::Rests)], "c c"),
    ("marked here, edited there: the edit wins",                       "",                 [(Row::Marked, Page::Edited), (Row::Rests, Page::Rests)], "c c"),
    ("edited here, trashed there: the edit wins",                      "page=delete",      [(Row::Edited, Page::Trashed), (Row::Rests, Page::Rests)], "b b"),
    ("deleted and inserted again between two looks",                   "",                 [(Row::Rests, Page::Rests), (Row::Edited, Page::Rests)], "d d"),
];

#[test]
fn stories() {
    for (says, rules, rounds, want) in STORIES {
        for key_property in [false, true] {
            let mut rule = Mapping { key_property, ..mapping(vec![text_field("words")]) };
            for word in rules.split_whitespace() {
                match word {
                    "page=soft_delete" => rule.on_page_trashed = OnPageTrashed::SoftDelete,
                    "page=delete" => rule.on_page_trashed = OnPageTrashed::Delete,
                    "page=ask" => rule.on_page_trashed = OnPageTrashed::Ask,
                    "page=keep" => rule.on_page_trashed = OnPageTrashed::Keep,
                    "page=restore" => rule.on_page_trashed = OnPageTrashed::Restore,
                    "row=ask" => rule.on_row_deleted = OnRowDeleted::Ask,
                    "row=keep" => rule.on_row_deleted = OnRowDeleted::Keep,
                    other => panic!("no rule {other}"),
                }
            }
            let mut world = start(&rule);
            let mut plan = Plan::default();
            for (at, (row, page)) in rounds.iter().enumerate() {
                let values = [("b", "c"), ("d", "e")][at];
                assert!(act_on_row(&mut world, *row, values.0), "{says}: {row:?}");
                assert!(act_on_page(&mut world, *page, values.1), "{says}: {page:?}");
                plan = settle(&mut world);
                at_rest(&world, &plan);
            }
            let shown = |side| match live(&world, side) {
                Some(Value::Text(text)) => text,
                Some(other) => panic!("{other:?}"),
                None => "-".to_owned(),
            };
            let waits = match plan.mappings[0].conflicts.first().map(|conflict| &conflict.kind) {
                Some(ConflictKind::Field { .. }) => " conflict",
                Some(ConflictKind::Deleted { .. }) => " asked",
                None => "",
            };
            let got = format!("{} {}{waits}", shown(Side::Postgres), shown(Side::Notion));
            assert_eq!(got, *want, "{says}");
        }
    }
}
