//! Whatever was edited, in whatever order, it becomes quiet; both sides agree then, or the plan says where not and why.

use pagerow_core::{
    fidelity,
    mapping::Mapping,
    observation::Observation,
    plan::{Action, ConflictKind, Plan, Skipped, Why},
    planner::{Planner, assemble},
    side::{Side, Sides},
    value::Value,
};

use crate::{
    generators::{Rng, any_mapping, cases, column_value, page_of, property_value, row_cell},
    lint::lint,
    world::{World, empty_property, record},
};

/// Plans until quiet: make both halves, take defaults back, cut a circle of references, and one to see it.
pub(crate) const MOST_PLANS: usize = 6;

/// A world with up to three records: settled pairs, pairs without a base, halves alone.
pub(crate) fn any_world(rng: &mut Rng) -> World {
    let rules = any_mapping(rng);
    let mut world = World::new(rules.clone());
    world.by_digest = rng.one_in(2);
    world.defaults = rules
        .fields
        .iter()
        .map(
            |field| {
                if field.required || rng.one_in(8) { column_value(&field.holds, rng) } else { Value::Null }
            },
        )
        .collect();
    for _ in 0..=rng.below(3) {
        let row: Vec<Value> = rules.fields.iter().map(|field| row_cell(field, rng)).collect();
        match rng.below(8) {
            0 => {
                world.add_row(row);
            }
            1 => {
                let page = rules.fields.iter().map(|field| property_value(&field.shows, rng)).collect();
                let marker = rng.one_in(3).then(|| format!("own{}", rng.below(3)));
                world.add_page(page, marker);
            }
            2 => {
                // The base of some fields was lost, or both sides are held apart.
                let page: Vec<Value> =
                    rules.fields.iter().map(|field| property_value(&field.shows, rng)).collect();
                let id = world.add_pair(row, page);
                if let Some(link) = world.links.get_mut(&id) {
                    for field in 0..rules.fields.len() {
                        if rng.one_in(2) {
                            link.base.of_mut(*rng.pick(&[Side::Postgres, Side::Notion])).set(field, None);
                        }
                    }
                }
            }
            3 => {
                // They find each other by the key that the page carries.
                let page = page_of(&rules, &row);
                let key = world.add_row(row);
                world.add_page(page, Some(key.as_str().to_owned()));
            }
            _ => {
                let page = page_of(&rules, &row);
                world.add_pair(row, page);
            }
        }
    }
    world
}

/// One person's edit, or deletion, somewhere.
pub(crate) fn any_edit(world: &mut World, rng: &mut Rng) {
    world.now += rng.below(100) as i64;
    let ids: Vec<i64> = world.links.keys().copied().collect();
    if ids.is_empty() {
        return;
    }
    let (id, side) = (*rng.pick(&ids), *rng.pick(&[Side::Postgres, Side::Notion]));
    if rng.one_in(10) {
        let now = world.now;
        let gone = side == Side::Postgres && rng.one_in(2);
        let key = world.links[&id].key.clone();
        if let Some(half) = world.half_mut(side, id) {
            half.away = match half.away {
                None => Some(pagerow_core::observation::Absence::Trashed),
                Some(_) => None,
            };
            half.edited = now;
            if gone {
                world.rows.remove(&key);
            }
        }
        return;
    }
    let place = rng.below(world.mapping.fields.len());
    let field = world.mapping.fields[place].clone();
    let value = match side {
        Side::Postgres => row_cell(&field, rng),
        Side::Notion => property_value(&field.shows, rng),
    };
    world.edit(side, id, place, value);
}

/// Every field of every link agrees, is held apart, or is listed in the last plan with a reason.
pub(crate) fn all_is_said(world: &World, last: &Plan) {
    let part = &last.mappings[0];
    for link in world.links.values() {
        let listed = part.skipped.iter().any(|skipped| skipped.key.as_ref() == Some(&link.key))
            || part.parked.iter().any(|parked| parked.link == Some(link.id) && parked.field.is_none());
        let here = |side| world.half(side, link.id).filter(|half| half.away.is_none());
        let (Some(row), Some(page)) = (here(Side::Postgres), here(Side::Notion)) else {
            let asked = part.conflicts.iter().any(|conflict| conflict.link == Some(link.id));
            let parked = part.parked.iter().any(|parked| parked.link == Some(link.id));
            let apart = link.apart.is_some_and(|side| here(side).is_none());
            assert!(
                listed || asked || parked || apart,
                "a half is away, and nobody says so: {link:?} {part:?}"
            );
            continue;
        };
        for (place, field) in world.mapping.fields.iter().enumerate() {
            let contested = part.conflicts.iter().any(|conflict| {
                conflict.link == Some(link.id)
                    && matches!(conflict.kind, ConflictKind::Field { field, .. } if field == place)
            });
            let parked =
                part.parked.iter().any(|parked| parked.link == Some(link.id) && parked.field == Some(place));
            let (shown_row, shown_page) = (world.shown(row), world.shown(page));
            let (Some(shown_row), Some(shown_page)) = (shown_row.get(place), shown_page.get(place)) else {
                panic!("the model shows every field")
            };
            let apart = link.base.postgres.get(place) == Some(shown_row)
                && link.base.notion.get(place) == Some(shown_page);
            let frozen = field.flow.and(world.mapping.direction).is_none();
            assert!(
                contested
                    || parked
                    || apart
                    || frozen
                    || listed
                    || fidelity::agree(shown_row, shown_page, field),
                "neither agreed nor listed: field {place} of {link:?}: {shown_row:?} {shown_page:?} {part:?} {field:?}"
            );
        }
    }
    let linked = |key: &pagerow_core::record::RowKey| world.links.values().any(|link| link.key == *key);
    for key in world.rows.iter().filter(|(_, row)| row.away.is_none()).map(|(key, _)| key) {
        let listed = part.skipped.iter().any(|skipped| skipped.key.as_ref() == Some(key))
            || part.parked.iter().any(|parked| parked.key.as_ref() == Some(key));
        assert!(linked(key) || listed, "a row without a page, and nobody says so: {key} {part:?}");
    }
    for page in world.pages.iter().filter(|(_, page)| page.away.is_none()).map(|(page, _)| *page) {
        let name = page.to_string();
        let double = |why: &Why| matches!(why, Why::Double { candidates } if candidates.contains(&name));
        let listed = part.skipped.iter().any(|skipped| skipped.page == Some(page) || double(&skipped.why))
            || part.parked.iter().any(|parked| parked.page == Some(page));
        let linked = world.links.values().any(|link| link.page == page);
        assert!(linked || listed, "a page without a row, and nobody says so: {page} {part:?}");
    }
}

#[test]
fn edits_on_both_sides_become_quiet() {
    cases("converges", 100_000, |rng| {
        let mut world = any_world(rng);
        for _ in 0..rng.below(8) {
            any_edit(&mut world, rng);
        }
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
        // Quiet stays quiet, word for word.
        let again = world.plan();
        assert_eq!(again, last);
        let (pairs, _) = world.pairs();
        lint(&world.mapping, &pairs, &without_doubles(last));
    });
}

/// The linter's pairs do not hold what was set aside as doubtful.
fn without_doubles(mut plan: Plan) -> Plan {
    plan.mappings[0].skipped.retain(|skipped| !skipped.why.needs_decision());
    plan
}

#[test]
fn the_same_input_gives_the_same_plan_in_any_order_and_survives_being_kept() {
    cases("one plan", 60_000, |rng| {
        let mut world = any_world(rng);
        for _ in 0..rng.below(6) {
            any_edit(&mut world, rng);
        }
        let plan = world.plan();
        let kept = serde_json::to_string(&plan).unwrap();
        assert_eq!(kept, serde_json::to_string(&world.plan()).unwrap(), "twice the same, byte for byte");
        let back: Plan = serde_json::from_str(&kept).unwrap();
        assert_eq!(back, plan);
        assert_eq!(back.hash(), plan.hash());
        assert_eq!(serde_json::to_string(&back).unwrap(), kept);
        // Records in another order.
        let (mut pairs, doubts) = world.pairs();
        let turn = rng.below(pairs.len().max(1));
        pairs.rotate_left(turn);
        if rng.one_in(2) {
            pairs.reverse();
        }
        let mut planner = Planner::new(&world.mapping, world.census());
        for doubt in doubts.iter().rev() {
            planner.skip(Skipped {
                key: doubt.rows.first().cloned(),
                page: doubt.pages.first().copied(),
                why: Why::Double { candidates: doubt.pages.iter().map(ToString::to_string).collect() },
            });
        }
        pairs.iter().for_each(|pair| planner.consider(pair));
        let turned = assemble(vec![planner.finish()], &[&world.mapping]);
        assert_eq!(turned.hash(), plan.hash(), "the order in which records are considered is no matter");
        lint(&world.mapping, &pairs, &without_doubles(turned));
    });
}

/// Steps of one wave may be taken in any order.
#[test]
fn steps_of_one_wave_are_independent() {
    cases("order of steps", 40_000, |rng| {
        let mut world = any_world(rng);
        for _ in 0..rng.below(6) {
            any_edit(&mut world, rng);
        }
        let plan = world.plan();
        let mut turned = plan.clone();
        turned.mappings[0].steps.reverse();
        let mut other = world.clone();
        // New halves get their names from a counter; only then does the order of creates show.
        let creates = plan.steps().filter(|(_, step)| step.action == Action::Create).count();
        world.apply(&plan);
        other.apply(&turned);
        if creates <= 1 {
            assert_eq!(world.rows, other.rows);
            assert_eq!(world.pages, other.pages);
            assert_eq!(world.links, other.links);
        }
        let (one, two) = (world.settle_down(MOST_PLANS), other.settle_down(MOST_PLANS));
        assert_eq!(one.mappings[0].conflicts.len(), two.mappings[0].conflicts.len());
        assert_eq!(one.mappings[0].parked.len(), two.mappings[0].parked.len());
    });
}

/// A whole table against a whole data source, at the first meeting and after every base was lost.
#[test]
fn a_lost_memory_deletes_nothing() {
    cases("lost bases", 20_000, |rng| {
        let mut world = any_world(rng);
        for _ in 0..rng.below(4) {
            any_edit(&mut world, rng);
        }
        for link in world.links.values_mut() {
            let fields = world.mapping.fields.len();
            let unread = pagerow_core::record::Record::unread(fields);
            link.base = Sides { postgres: unread.clone(), notion: unread };
        }
        let plan = world.plan();
        for (_, step) in plan.steps() {
            let removal = matches!(step.action, Action::Trash | Action::Delete);
            let mirrored = !world.mapping.direction.reaches(step.side.other());
            assert!(!removal || mirrored, "deleted for lack of memory: {step:?}");
        }
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
    });
}

/// A page made by hand from what a row would make is found to be equal: nothing is written.
#[test]
fn what_agrees_already_is_only_settled() {
    cases("settled at once", 30_000, |rng| {
        let rules: Mapping = any_mapping(rng);
        let mut world = World::new(rules.clone());
        let row: Vec<Value> = rules.fields.iter().map(|field| row_cell(field, rng)).collect();
        let storable =
            rules.fields.iter().zip(&row).all(|(field, value)| {
                matches!(fidelity::in_notion(value, field), fidelity::Fidelity::Stored(_))
            });
        let page = page_of(&rules, &row);
        let empty = rules.fields.iter().zip(&page).all(|(field, value)| *value == empty_property(field));
        let id = world.add_pair(row.clone(), page.clone());
        if let Some(link) = world.links.get_mut(&id)
            && rng.one_in(2)
        {
            link.base = Sides {
                postgres: pagerow_core::record::Record::unread(rules.fields.len()),
                notion: record(&page),
            };
        }
        let plan = world.plan();
        if storable {
            assert_eq!(plan.steps().count(), 0, "{row:?} {page:?} {empty} {plan:?}");
            assert!(plan.mappings[0].conflicts.is_empty());
        }
    });
}

/// What was written is settled by its own answer: the look after it finds both halves as they were left, seconds and
/// all, so that the next edit is one edit and not two.
#[test]
fn a_write_has_no_echo() {
    cases("no echo", 40_000, |rng| {
        let rules: Mapping = any_mapping(rng);
        let mut world = World::new(rules.clone());
        let row: Vec<Value> = rules.fields.iter().map(|field| row_cell(field, rng)).collect();
        let page = page_of(&rules, &row);
        let id = world.add_pair(row, page);
        let (side, place) = (*rng.pick(&[Side::Postgres, Side::Notion]), rng.below(rules.fields.len()));
        let value = match side {
            Side::Postgres => row_cell(&rules.fields[place], rng),
            Side::Notion => property_value(&rules.fields[place].shows, rng),
        };
        world.edit(side, id, place, value);
        let plan = world.plan();
        let waiting = !plan.mappings[0].parked.is_empty();
        world.apply(&plan);
        assert!(world.plan().is_empty(), "one plan is enough: {:?}", world.plan());
        let frozen = rules.fields[place].flow.and(rules.direction).is_none();
        if !waiting && !frozen {
            let (pairs, _) = world.pairs();
            let unchanged = Sides { postgres: Observation::Unchanged, notion: Observation::Unchanged };
            assert_eq!(pairs[0].seen, unchanged, "an echo of {plan:?}");
        }
    });
}
