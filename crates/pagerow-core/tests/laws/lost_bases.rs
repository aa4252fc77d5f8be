//! A memory from the past, or none: nothing is deleted, nothing written over, differences are said, agreement is kept.

use std::collections::BTreeSet;

use pagerow_core::{
    observation::{Identity, Observation, Pair},
    plan::{Action, ConflictKind, Plan, Step},
    planner::{Planner, assemble},
    record::Record,
    side::{Side, Sides},
};

use crate::{
    converges::{any_edit, any_world},
    generators::{Rng, cases, page_of, property_value, row_cell},
    world::World,
};

fn plan(world: &World, lost: bool) -> Plan {
    let (pairs, _) = world.pairs();
    let mut planner = Planner::new(&world.mapping, world.census()).of_lost_bases(lost);
    pairs.iter().for_each(|pair| planner.consider(pair));
    assemble(vec![planner.finish()], &[&world.mapping])
}

/// A world in which things happened that its links do not know of, for they have no bases any more.
fn forgetful(rng: &mut Rng) -> World {
    let mut world = any_world(rng);
    let fields = world.mapping.fields.clone();
    for _ in 0..rng.below(3) {
        let row: Vec<_> = fields.iter().map(|field| row_cell(field, rng)).collect();
        let page = if rng.one_in(2) {
            page_of(&world.mapping, &row)
        } else {
            fields.iter().map(|field| property_value(&field.shows, rng)).collect()
        };
        world.add_pair(row, page);
    }
    for _ in 0..rng.below(5) {
        any_edit(&mut world, rng);
    }
    world.links.values_mut().for_each(|link| {
        link.base = Sides { postgres: Record::unread(fields.len()), notion: Record::unread(fields.len()) };
    });
    world
}

fn sighting(pair: &Pair, side: Side) -> Option<&Record> {
    match pair.seen.of(side) {
        Observation::Present(sighting) => Some(&sighting.record),
        _ => None,
    }
}

#[test]
fn nothing_is_deleted_or_written_over_and_every_difference_is_said() {
    cases("lost bases", 40_000, |rng| {
        let world = forgetful(rng);
        let plan = plan(&world, true);
        let part = &plan.mappings[0];
        for step in &part.steps {
            let marks_only = step.mark && step.fields.is_empty();
            assert!(
                (step.action == Action::Create && step.link.is_none()) || marks_only,
                "{step:?} {:?}",
                world.mapping
            );
        }
        let (pairs, _) = world.pairs();
        for pair in &pairs {
            if let Identity::Row(_) | Identity::Page(_) = pair.identity {
                continue;
            }
            let (Some(row), Some(page)) = (sighting(pair, Side::Postgres), sighting(pair, Side::Notion))
            else {
                continue;
            };
            for (place, field) in world.mapping.fields.iter().enumerate() {
                if field.flow.and(world.mapping.direction).is_none() {
                    continue;
                }
                let of_pair = |link: Option<i64>, key: Option<&_>| {
                    link == pair.identity.link() && key == pair.identity.key()
                };
                let contested = part.conflicts.iter().any(|conflict| {
                    of_pair(conflict.link, conflict.key.as_ref())
                        && matches!(conflict.kind, ConflictKind::Field { field, .. } if field == place)
                });
                let settled = part.settlements.iter().any(|settlement| {
                    of_pair(settlement.link, Some(&settlement.key))
                        && settlement.fields.iter().any(|settled| settled.field == place)
                });
                let (row, page) = (row.get(place).unwrap(), page.get(place).unwrap());
                let agree = pagerow_core::fidelity::agree(row, page, field);
                assert_eq!((settled, contested), (agree, !agree), "{row:?} {page:?} {field:?}");
            }
        }
    });
}

/// What agreed is settled by then, and goes on by the ordinary rules; what was contested still is.
#[test]
fn agreement_settles_the_bases_and_ends_the_care() {
    cases("bases found again", 20_000, |rng| {
        let mut world = forgetful(rng);
        for _ in 0..2 {
            let plan = plan(&world, true);
            world.apply(&plan);
        }
        let whole: BTreeSet<i64> = world
            .links
            .values()
            .filter(|link| {
                let known = |record: &Record| record.values().iter().all(Option::is_some);
                known(&link.base.postgres) && known(&link.base.notion)
            })
            .map(|link| link.id)
            .collect();
        for _ in 0..rng.below(4) {
            any_edit(&mut world, rng);
        }
        let (careful, usual) = (plan(&world, true), plan(&world, false));
        let of = |plan: &Plan| -> Vec<Step> {
            let steps = plan.mappings[0].steps.iter();
            // In which wave depends on what else is done.
            steps
                .filter(|step| step.link.is_some_and(|link| whole.contains(&link)))
                .map(|step| Step { wave: 0, ..step.clone() })
                .collect()
        };
        assert_eq!(of(&careful), of(&usual));
        let others = careful.mappings[0]
            .steps
            .iter()
            .filter(|step| step.link.is_some_and(|link| !whole.contains(&link)) && !step.fields.is_empty());
        for step in others {
            // Fields of it that were settled may move; the others may not.
            let link = &world.links[&step.link.unwrap()];
            assert_eq!(step.action, Action::Update, "{step:?}");
            for write in &step.fields {
                assert!(link.base.postgres.get(write.field).is_some(), "{step:?} {link:?}");
            }
        }
    });
}
