//! Undo takes back exactly what a run did, is quiet afterwards, keeps later edits, and can itself be undone.

use std::collections::BTreeMap;

use pagerow_core::{
    mapping::{Mapping, PropertyKind},
    observation::Absence,
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};

use crate::{
    converges::{MOST_PLANS, all_is_said, any_edit, any_world},
    generators::{Rng, cases},
    small_world::{self, FLOWS, PAGE_RULES, POLICIES, ROW_RULES, TIMES, put, states, two_fields},
    world::{Half, World},
};

/// What a half holds, and whether it is away.
pub(crate) type Cells = (Vec<Value>, Option<Absence>);

/// What both sides hold: cells, and whether the half is away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) rows: BTreeMap<RowKey, Cells>,
    /// Pages that are not in the trash: in it, one is like the other.
    pub(crate) pages: BTreeMap<PageId, Cells>,
}

pub(crate) fn snapshot(world: &World) -> Snapshot {
    let row = |(key, half): (&RowKey, &Half)| (key.clone(), (half.cells.clone(), half.away));
    let pages = world.pages.iter().filter(|(_, half)| half.away.is_none());
    Snapshot {
        rows: world.rows.iter().map(row).collect(),
        pages: pages.map(|(page, half)| (*page, (half.cells.clone(), None))).collect(),
    }
}

/// A world in which a run took place: what it was before, and where the journal of the run begins.
fn any_run(rng: &mut Rng) -> (World, Snapshot, usize) {
    let mut world = any_world(rng);
    if rng.one_in(2) {
        world.settle_down(MOST_PLANS);
    }
    for _ in 0..rng.below(6) {
        any_edit(&mut world, rng);
    }
    let (before, since) = (snapshot(&world), world.journal.len());
    world.settle_down(MOST_PLANS);
    (world, before, since)
}

#[test]
fn a_run_is_undone_exactly_and_quietly_and_the_undo_too() {
    let (mut runs, mut deep) = (0, 0);
    let counts = std::cell::RefCell::new((&mut runs, &mut deep));
    cases("undo", 60_000, |rng| {
        let (mut world, before, since) = any_run(rng);
        let after = snapshot(&world);
        let mark = world.journal.len();
        if mark == since {
            return;
        }
        *counts.borrow_mut().0 += 1;
        *counts.borrow_mut().1 += u64::from(
            world.journal[since..]
                .iter()
                .any(|done| !matches!(done.step.action, pagerow_core::plan::Action::Update)),
        );
        let story = format!("{:#?}", &world.journal[since..]);
        let left = world.undo(since);
        assert!(left.is_empty(), "nobody edited anything, and it is not undone: {left:#?} {story}");
        assert_eq!(snapshot(&world), before, "not as it was: {story}");
        let next = world.plan();
        assert!(next.is_empty(), "not quiet after an undo: {next:#?} {story}");

        let left = world.undo(mark);
        assert!(left.is_empty(), "the undo is not undone: {left:#?} {story}");
        assert_eq!(snapshot(&world), after, "the undo of the undo is not the redo: {story}");
        let next = world.plan();
        assert!(next.is_empty(), "not quiet after a redo: {next:#?} {story}");
    });
    println!("{runs} runs undone, {deep} of them with records that came or went");
    assert!(runs > 0 && deep > 0, "no run had anything to undo");
}

#[test]
fn later_edits_survive_an_undo() {
    cases("later edits", 60_000, |rng| {
        let (mut world, before, since) = any_run(rng);
        let after = snapshot(&world);
        let until = world.journal.len();
        for _ in 0..=rng.below(3) {
            any_edit(&mut world, rng);
        }
        if rng.one_in(2) {
            world.settle_down(MOST_PLANS);
        }
        let edited = snapshot(&world);
        let later = world.journal.split_off(until);
        let left = world.undo(since);
        let undone = snapshot(&world);
        let story = || format!("{:#?} {later:#?} {left:#?}", &world.journal[since..]);
        for (key, (cells, away)) in &edited.rows {
            let kept = undone.rows.get(key);
            let is_as_left = after.rows.get(key) == Some(&(cells.clone(), *away));
            if !is_as_left {
                let Some((kept, _)) = kept else { panic!("{key} was edited, and is gone: {}", story()) };
                let of = |snapshot: &Snapshot| snapshot.rows.get(key).map(|(cells, _)| cells.clone());
                held(cells, kept, of(&before), of(&after), &story);
            }
        }
        // What Notion computes is nobody's edit.
        let written: Vec<usize> = (0..world.mapping.fields.len())
            .filter(|&place| !matches!(world.mapping.fields[place].shows, PropertyKind::ReadOnly(_)))
            .collect();
        for (page, (cells, _)) in &edited.pages {
            let as_left = |(was, _): &Cells| written.iter().all(|&place| was[place] == cells[place]);
            if !after.pages.get(page).is_some_and(as_left) {
                let Some((kept, _)) = undone.pages.get(page) else {
                    panic!("{page} was edited, and is gone: {}", story())
                };
                let of = |snapshot: &Snapshot| snapshot.pages.get(page).map(|(cells, _)| cells.clone());
                held(cells, kept, of(&before), of(&after), &story);
            }
        }
        // What is left, is left for a reason: it is not what the run left.
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
    });
}

/// Each cell is what it was before the run, where it was still what the run had left; else what it was edited to.
fn held(
    edited: &[Value],
    kept: &[Value],
    before: Option<Vec<Value>>,
    after: Option<Vec<Value>>,
    story: &dyn Fn() -> String,
) {
    for (place, now) in kept.iter().enumerate() {
        let at = |cells: &Option<Vec<Value>>| cells.as_ref().map(|cells| cells[place].clone());
        let was_left = at(&after).is_some_and(|after| after == edited[place]);
        if was_left {
            let fits = *now == edited[place] || at(&before).as_ref() == Some(now);
            assert!(fits, "{now:?} is neither from before nor from after the run: {}", story());
        } else {
            assert_eq!(*now, edited[place], "an edit was undone: {}", story());
        }
    }
}

/// An edit of the other half, after the undo, is carried over; the half that was taken away comes back.
#[test]
fn an_edit_after_the_undo_goes_to_the_other_side() {
    cases("edits after an undo", 40_000, |rng| {
        let (mut world, _, since) = any_run(rng);
        world.undo(since);
        for _ in 0..=rng.below(3) {
            any_edit(&mut world, rng);
        }
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
    });
}

/// Every small world there is, run to its end and undone: as it was, and quiet.
#[test]
fn every_small_world_is_undone() {
    let mut runs = 0u32;
    for on_conflict in POLICIES {
        for direction in FLOWS {
            for on_row_deleted in ROW_RULES {
                for on_page_trashed in PAGE_RULES {
                    let rules =
                        Mapping { on_conflict, direction, on_row_deleted, on_page_trashed, ..two_fields() };
                    for state in &states() {
                        let both = state.row.is_some() && state.page.is_some();
                        if both && (on_row_deleted, on_page_trashed) != (ROW_RULES[0], PAGE_RULES[0]) {
                            continue;
                        }
                        for gone in [false, true] {
                            if gone && state.row.is_some() {
                                continue;
                            }
                            let mut world = World::new(rules.clone());
                            put(&mut world, state, gone, TIMES[1]);
                            let before = snapshot(&world);
                            world.settle_down(small_world::MOST_PLANS);
                            let (after, mark) = (snapshot(&world), world.journal.len());
                            if mark == 0 {
                                continue;
                            }
                            assert_eq!(world.undo(0), [], "{state:?} {rules:?}");
                            assert_eq!(snapshot(&world), before, "{state:?} {rules:?}");
                            assert!(world.plan().is_empty(), "{:#?} {state:?} {rules:?}", world.plan());
                            assert_eq!(world.undo(mark), [], "{state:?} {rules:?}");
                            assert_eq!(snapshot(&world), after, "{state:?} {rules:?}");
                            assert!(world.plan().is_empty(), "{:#?} {state:?} {rules:?}", world.plan());
                            runs += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{runs} small worlds run, undone and redone");
    assert!(runs > 10_000);
}

/// A page that was made by a run, then put away by the undo, then edited in its row: the page is back, with the edit.
#[test]
fn what_is_apart_comes_together_again() {
    use crate::world::{mapping, text, text_field};
    let mut world = World::new(mapping(vec![text_field("one")]));
    let key = world.add_row(vec![text("a")]);
    world.settle_down(MOST_PLANS);
    assert_eq!(world.undo(0), []);
    let (id, link) = world.links.iter().next().map(|(id, link)| (*id, link.clone())).unwrap();
    assert_eq!((link.apart, &link.key), (Some(Side::Notion), &key));
    assert!(world.pages[&link.page].away.is_some());
    assert!(world.plan().is_empty());
    world.edit(Side::Postgres, id, 0, text("b"));
    world.settle_down(MOST_PLANS);
    assert_eq!(world.pages[&link.page].cells, [text("b")]);
    assert_eq!(world.pages[&link.page].away, None);
    assert_eq!(world.links[&id].apart, None);
}
