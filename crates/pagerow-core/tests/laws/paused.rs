//! A paused field is nobody's business: nothing is written to it, settled or contested in it, and nothing is deleted
//! or made that it would have a say in.

use pagerow_core::{
    mapping::Flow,
    plan::{Action, ConflictKind, Plan, Why},
    side::Side,
};

use crate::{
    converges::{MOST_PLANS, any_edit, any_world},
    generators::cases,
    world::{World, approved},
};

/// Whatever a look shows of it: the planner does not even read it.
#[test]
fn no_plan_touches_a_paused_field() {
    cases("paused", 50_000, |rng| {
        let mut world = any_world(rng);
        world.settle_down(MOST_PLANS);
        let place = rng.below(world.mapping.fields.len());
        let flow = std::mem::replace(&mut world.mapping.fields[place].flow, Flow::Paused);
        let bases = bases(&world, place);
        for _ in 0..=rng.below(3) {
            for _ in 0..rng.below(5) {
                any_edit(&mut world, rng);
            }
            let plan = world.plan();
            untouched(&world, place, &plan);
            world.apply(approved(plan).plan());
        }
        for (link, base) in &bases {
            if let Some(now) = world.links.get(link) {
                let now = [now.base.postgres.get(place), now.base.notion.get(place)]
                    .map(Option::<&pagerow_core::value::Value>::cloned);
                assert_eq!(now, *base, "the base of a paused field moved");
            }
        }
        // It resumes, and the world becomes quiet again.
        world.mapping.fields[place].flow = flow;
        world.settle_down(MOST_PLANS);
    });
}

type Bases = Vec<(i64, [Option<pagerow_core::value::Value>; 2])>;

fn bases(world: &World, place: usize) -> Bases {
    let of = |record: &pagerow_core::record::Record| record.get(place).cloned();
    world.links.iter().map(|(id, link)| (*id, [of(&link.base.postgres), of(&link.base.notion)])).collect()
}

fn untouched(world: &World, place: usize, plan: &Plan) {
    let field = &world.mapping.fields[place];
    let part = &plan.mappings[0];
    for step in &part.steps {
        assert!(!matches!(step.action, Action::Trash | Action::Delete), "{step:#?}");
        assert!(step.fields.iter().all(|write| write.field != place), "{step:#?}");
        let makes_row = step.action == Action::Create && step.side == Side::Postgres;
        assert!(!(makes_row && field.required), "a row without what it must have: {step:#?}");
    }
    for settlement in &part.settlements {
        assert!(settlement.fields.iter().all(|settled| settled.field != place), "{settlement:#?}");
    }
    for conflict in &part.conflicts {
        let here = matches!(&conflict.kind, ConflictKind::Field { field, .. } if *field == place);
        assert!(!here, "{conflict:#?}");
    }
    assert!(part.parked.iter().all(|parked| parked.field != Some(place)), "{:#?}", part.parked);
    for skipped in &part.skipped {
        if let Why::Paused { column } = &skipped.why {
            assert_eq!(*column, field.column);
        }
    }
}
