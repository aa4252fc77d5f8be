//! One side is rebuilt from the other: what is lost comes back, nothing is deleted, nothing else is written.

use std::collections::BTreeSet;

use pagerow_core::{
    fidelity,
    guard::{self, Against},
    observation::{Absence, Identity, Link, Observation, Pair},
    plan::{Action, Because, Plan},
    planner::{Planner, assemble},
    side::{Side, Sides},
};

use crate::{
    converges::{any_edit, any_world},
    generators::{Rng, cases, page_of, row_cell},
    world::World,
};

fn plan(world: &World, side: Side, lost: bool) -> (Vec<Pair>, Plan) {
    let (pairs, _) = world.pairs();
    let mut planner = Planner::new(&world.mapping, world.census()).of_lost_bases(lost).recovering(Some(side));
    pairs.iter().for_each(|pair| planner.consider(pair));
    let plan = assemble(vec![planner.finish()], &[&world.mapping]);
    (pairs, plan)
}

/// A world in which people edited and deleted, and of which one side then lost some, or all, of its records.
fn ruins(rng: &mut Rng, side: Side) -> World {
    let mut world = any_world(rng);
    let fields = world.mapping.fields.clone();
    for _ in 0..rng.below(3) {
        let row: Vec<_> = fields.iter().map(|field| row_cell(field, rng)).collect();
        let page = page_of(&world.mapping, &row);
        world.add_pair(row, page);
    }
    for _ in 0..rng.below(5) {
        any_edit(&mut world, rng);
    }
    let everything = rng.one_in(2);
    match side {
        Side::Postgres => world.rows.retain(|_, _| !everything && rng.one_in(2)),
        Side::Notion => {
            world.pages.retain(|_, _| !everything && rng.one_in(2));
            for page in world.pages.values_mut().filter(|_| rng.one_in(3)) {
                page.away = Some(Absence::Trashed);
            }
        }
    }
    world
}

fn is_there(pair: &Pair, side: Side) -> bool {
    matches!(pair.seen.of(side), Observation::Present(_) | Observation::Unchanged)
}

#[test]
fn nothing_is_deleted_and_nothing_but_the_lost_side_is_written() {
    cases("recovery deletes nothing", 40_000, |rng| {
        let side = *rng.pick(&[Side::Postgres, Side::Notion]);
        let (world, lost) = (ruins(rng, side), rng.one_in(3));
        let (_, plan) = plan(&world, side, lost);
        let part = &plan.mappings[0];
        for step in &part.steps {
            assert!(!matches!(step.action, Action::Trash | Action::Delete), "{step:?}");
            let marks_only = step.mark && step.fields.is_empty() && step.action == Action::Update;
            assert!(step.side == side || marks_only, "{step:?}");
        }
        assert!(part.settlements.iter().all(|settlement| !settlement.forget), "{:?}", part.settlements);
        // However much it makes, the guard asks for nothing more than that a person has seen it.
        let against = Against { recovering: Some(side), ..Against::default() };
        if part.steps.iter().all(|step| step.action != Action::Update) {
            guard::check(plan, &[against], &[]).unwrap_or_else(|refused| panic!("{:?}", refused.refusals));
        }
    });
}

#[test]
fn what_is_lost_comes_back_under_its_own_name_or_is_said() {
    cases("recovery brings back", 40_000, |rng| {
        let side = *rng.pick(&[Side::Postgres, Side::Notion]);
        let world = ruins(rng, side);
        let (pairs, plan) = plan(&world, side, rng.one_in(3));
        let part = &plan.mappings[0];
        for pair in &pairs {
            let Identity::Linked(link) = &pair.identity else { continue };
            let is_lost = matches!(
                pair.seen.of(side),
                Observation::Absent(Absence::Deleted | Absence::Trashed | Absence::Unreachable)
            );
            if !is_lost || !is_there(pair, side.other()) || link.apart == Some(side) {
                continue;
            }
            let made = part.steps.iter().filter(|step| step.side == side && step.link == Some(link.id));
            let made: Vec<_> = made.collect();
            let is_said = part.parked.iter().any(|parked| parked.link == Some(link.id))
                || part.skipped.iter().any(|skipped| skipped.key.as_ref() == Some(&link.key));
            assert_eq!(made.len() + usize::from(is_said), 1, "{pair:?} {part:?}");
            for step in made {
                assert!(matches!(step.action, Action::Create | Action::Restore), "{step:?}");
                assert_eq!(step.key.as_ref(), Some(&link.key));
                assert_eq!(step.because, Because::Recovered);
            }
        }
    });
}

#[test]
fn a_recovered_half_agrees_with_the_one_it_was_made_from() {
    cases("recovery agrees", 20_000, |rng| {
        let side = *rng.pick(&[Side::Postgres, Side::Notion]);
        let mut world = ruins(rng, side);
        let (_, plan) = plan(&world, side, false);
        let links: BTreeSet<i64> = world.links.keys().copied().collect();
        let applied = world.apply(&plan);
        assert_eq!(applied.stale, 0, "{plan:#?}");
        assert!(links.is_subset(&world.links.keys().copied().collect()), "a link was forgotten");
        let made = plan.mappings[0].steps.iter().filter(|step| step.action == Action::Create);
        for step in made {
            let is_it = |link: &&Link| {
                step.link == Some(link.id)
                    || step.key.as_ref() == Some(&link.key)
                    || step.page == Some(link.page)
            };
            let link = world.links.values().find(is_it).unwrap_or_else(|| panic!("not linked: {step:?}"));
            let (row, page) = (&world.rows[&link.key], &world.pages[&link.page]);
            let now = Sides { postgres: world.shown(row), notion: world.shown(page) };
            for write in step.fields.iter().filter(|write| !write.withheld) {
                let field = &world.mapping.fields[write.field];
                let (row, page) =
                    (now.postgres.get(write.field).unwrap(), now.notion.get(write.field).unwrap());
                let is_held = *now.of(side).get(write.field).unwrap() == write.after
                    && link.base.of(side).get(write.field) == Some(&write.after);
                // A reference that closes a circle follows.
                let follows = field.related().is_some();
                assert!(
                    fidelity::agree(row, page, field) || is_held || follows,
                    "{row:?} {page:?} {field:?} {step:?}"
                );
            }
        }
    });
}
