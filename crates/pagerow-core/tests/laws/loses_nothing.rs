//! No value that a person entered is lost: it is on both sides, superseded by who saw it, kept in a step's `before`,
//! in a conflict, or parked.

use std::collections::BTreeSet;

use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::Flow,
    plan::{Action, ConflictKind, Plan},
    side::{Side, Sides},
    value::Value,
};

use crate::{
    converges::{MOST_PLANS, all_is_said, any_edit, any_world},
    generators::{any_field, cases, page_of, property_value, row_cell, with_rules},
    lint::lint,
    world::{World, approved, mapping},
};

/// Edits come at any moment: before the look, between look and write, between one step and the next plan. The model
/// itself holds that a step never writes over a value that it does not keep as `before`.
#[test]
fn edits_in_the_middle_of_a_run() {
    cases("interleavings", 50_000, |rng| {
        let mut world = any_world(rng);
        for _ in 0..=rng.below(3) {
            for _ in 0..rng.below(4) {
                any_edit(&mut world, rng);
            }
            let (pairs, _) = world.pairs();
            let plan = world.plan();
            let mut linted = plan.clone();
            linted.mappings[0].skipped.retain(|skipped| !skipped.why.needs_decision());
            lint(&world.mapping, &pairs, &linted);
            // Between the look and the writes.
            for _ in 0..rng.below(3) {
                any_edit(&mut world, rng);
            }
            let mut plan = approved(plan).plan().clone();
            if rng.one_in(3) {
                // Killed in the middle.
                let steps = &mut plan.mappings[0].steps;
                steps.truncate(rng.below(steps.len() + 1));
            }
            world.apply(&plan);
        }
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
    });
}

/// Where a value that a person entered is found again.
fn is_kept(value: &Value, side: Side, place: usize, world: &World, history: &[Value], last: &Plan) -> bool {
    let field = &world.mapping.fields[place];
    let own = |cells: &[Value]| cells[place] == *value;
    let part = &last.mappings[0];
    let on_its_side = match side {
        Side::Postgres => world.rows.values().any(|half| own(&half.cells)),
        Side::Notion => world.pages.values().any(|half| own(&half.cells)),
    };
    let form = match fidelity::on(side.other(), value, field) {
        Fidelity::Stored(form) => Some(form),
        Fidelity::Unstorable(_) => None,
    };
    let on_the_other = form.is_some_and(|form| match side.other() {
        Side::Postgres => world.rows.values().any(|half| half.cells[place] == form),
        Side::Notion => world.pages.values().any(|half| half.cells[place] == form),
    });
    let in_conflict = part.conflicts.iter().any(|conflict| {
        matches!(&conflict.kind, ConflictKind::Field { field, values, .. } if *field == place && values.of(side) == value)
    });
    let parked = part.parked.iter().any(|parked| parked.value.as_ref() == Some(value));
    on_its_side || on_the_other || in_conflict || parked || history.contains(value)
}

/// One record, one edit on each side: follow both values to where they end.
#[test]
fn both_edits_end_somewhere() {
    cases("two edits", 100_000, |rng| {
        let fields = vec![any_field("one", rng), any_field("two", rng)];
        let rules = with_rules(mapping(fields), rng);
        let mut world = World::new(rules.clone());
        let row: Vec<Value> = rules.fields.iter().map(|field| row_cell(field, rng)).collect();
        let page = page_of(&rules, &row);
        let id = world.add_pair(row.clone(), page.clone());
        let before = Sides { postgres: row, notion: page };

        let mut edits: Vec<(Side, usize, Value)> = Vec::new();
        for side in
            if rng.one_in(2) { [Side::Postgres, Side::Notion] } else { [Side::Notion, Side::Postgres] }
        {
            let place = rng.below(2);
            let value = match side {
                Side::Postgres => row_cell(&rules.fields[place], rng),
                Side::Notion => property_value(&rules.fields[place].shows, rng),
            };
            world.now += rng.below(90) as i64;
            world.edit(side, id, place, value.clone());
            edits.push((side, place, value));
        }

        let mut history = Vec::new();
        let mut last = world.plan();
        for _ in 0..MOST_PLANS {
            history.extend(
                last.steps().flat_map(|(_, step)| step.fields.iter().filter_map(|w| w.before.clone())),
            );
            world.apply(&last);
            last = world.plan();
            if last.is_empty() {
                break;
            }
        }
        assert!(last.is_empty(), "not quiet: {last:?}");
        for (side, place, value) in &edits {
            assert!(
                is_kept(value, *side, *place, &world, &history, &last),
                "{value:?}, entered in {side} in field {place}, is lost: {world:?} {last:?}"
            );
        }
        untouched_is_untouched(&world, id, &before, &edits);
    });
}

/// An edit in Notion never changes digits or seconds that Notion cannot hold: fields that nobody edited are the same
/// to the last digit, on both sides.
fn untouched_is_untouched(
    world: &World,
    id: i64,
    before: &Sides<Vec<Value>>,
    edits: &[(Side, usize, Value)],
) {
    let edited: BTreeSet<usize> = edits.iter().map(|(_, place, _)| *place).collect();
    for place in (0..world.mapping.fields.len()).filter(|place| !edited.contains(place)) {
        for side in [Side::Postgres, Side::Notion] {
            let half = world.half(side, id).unwrap_or_else(|| panic!("the record is gone"));
            assert_eq!(
                half.cells[place],
                before.of(side)[place],
                "field {place} was edited by nobody and changed in {side}"
            );
        }
    }
}

/// A row that is made anew, because an edit of its page beats its deletion, has every digit and second again in what
/// the page did not change.
#[test]
fn a_row_made_anew_is_whole() {
    cases("made anew", 30_000, |rng| {
        let fields = vec![any_field("one", rng), any_field("two", rng)];
        let mut rules = with_rules(mapping(fields), rng);
        rules.direction = Flow::Both;
        let mut world = World::new(rules.clone());
        let row: Vec<Value> = rules.fields.iter().map(|field| row_cell(field, rng)).collect();
        let page = page_of(&rules, &row);
        let id = world.add_pair(row.clone(), page.clone());
        let value = property_value(&rules.fields[0].shows, rng);
        world.edit(Side::Notion, id, 0, value.clone());
        let key = world.links[&id].key.clone();
        world.rows.remove(&key);
        let plan = world.plan();
        let made: Vec<_> = plan.steps().filter(|(_, step)| step.action == Action::Create).collect();
        let edited = value != page[0];
        let storable = plan.mappings[0].parked.is_empty();
        assert_eq!(made.len(), usize::from(edited && storable), "{plan:?}");
        world.apply(&plan);
        if let (true, Some(made)) = (edited && storable, world.rows.get(&key)) {
            let flows = rules.fields[1].flow.reaches(Side::Postgres);
            assert!(!flows || made.cells[1] == row[1], "{:?} came back as {:?}", row[1], made.cells[1]);
        }
    });
}
