//! In which order steps are taken: parents first, circles cut, deletions last and the other way round, however long
//! the chain is.

use std::collections::BTreeMap;

use pagerow_core::{
    mapping::{ColumnKind, Mapping, OnPageTrashed, PropertyKind},
    observation::Absence,
    plan::{Action, Plan, Step},
    record::{PageId, RowKey},
    side::Side,
    value::{Ref, Value},
};

use crate::{
    converges::{MOST_PLANS, all_is_said},
    generators::{Rng, cases},
    world::{World, field, mapping, text, text_field},
};

/// People with a boss among themselves.
fn staff() -> Mapping {
    let mut rules = mapping(vec![
        text_field("name"),
        field(
            "boss",
            ColumnKind::Reference { mapping: "things".to_owned() },
            PropertyKind::Relation { mapping: "things".to_owned(), single: true },
        ),
    ]);
    rules.on_page_trashed = OnPageTrashed::Delete;
    rules
}

fn row(key: &RowKey) -> Value {
    Value::Ref(Ref::Row(key.clone()))
}

fn page(page: PageId) -> Value {
    Value::set([Value::Ref(Ref::Page(page))])
}

fn waves(plan: &Plan) -> BTreeMap<String, u32> {
    plan.steps().map(|(_, step)| (name(step), step.wave)).collect()
}

fn name(step: &Step) -> String {
    step.key.as_ref().map_or_else(|| step.page.unwrap().to_string(), ToString::to_string)
}

#[test]
fn parents_are_made_first() {
    let mut world = World::new(staff());
    // Keys run against the order of the tree.
    let child = world.add_row(vec![text("child"), Value::Null]);
    let parent = world.add_row(vec![text("parent"), Value::Null]);
    let top = world.add_row(vec![text("top"), Value::Null]);
    world.rows.get_mut(&child).unwrap().cells[1] = row(&parent);
    world.rows.get_mut(&parent).unwrap().cells[1] = row(&top);
    let plan = world.plan();
    let waves = waves(&plan);
    assert_eq!([waves[top.as_str()], waves[parent.as_str()], waves[child.as_str()]], [0, 1, 2]);
    // One plan, one call a row: no reference is left for later.
    world.apply(&plan);
    assert_eq!(world.plan().steps().count(), 0);
    let last = world.settle_down(MOST_PLANS);
    all_is_said(&world, &last);
}

#[test]
fn pages_that_refer_to_new_pages_become_rows_in_order() {
    let mut world = World::new(staff());
    let top = world.add_page(vec![text("top"), Value::Null], None);
    let child = world.add_page(vec![text("child"), page(top)], None);
    let plan = world.plan();
    let order: Vec<_> = plan.steps().map(|(_, step)| (step.wave, step.page.unwrap())).collect();
    assert_eq!(order, [(0, top), (1, child)]);
    let last = world.settle_down(MOST_PLANS);
    all_is_said(&world, &last);
    assert_eq!(world.rows.len(), 2);
}

#[test]
fn circles_are_cut_and_closed_by_the_next_plan() {
    for length in [1, 2, 3, 7] {
        let mut world = World::new(staff());
        let keys: Vec<RowKey> =
            (0..length).map(|n| world.add_row(vec![text(&n.to_string()), Value::Null])).collect();
        for (at, key) in keys.iter().enumerate() {
            world.rows.get_mut(key).unwrap().cells[1] = row(&keys[(at + 1) % length]);
        }
        let plan = world.plan();
        assert_eq!(plan.steps().count(), length);
        world.apply(&plan);
        let next = world.plan();
        assert_eq!(next.steps().count(), 1, "a circle of {length} costs one write more");
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
        assert_eq!(world.pages.len(), length);
    }
}

#[test]
fn chains_as_long_as_a_table() {
    const LENGTH: usize = 50_000;
    let mut world = World::new(staff());
    let keys: Vec<RowKey> = (0..LENGTH).map(|_| world.add_row(vec![text("x"), Value::Null])).collect();
    for pair in keys.windows(2) {
        world.rows.get_mut(&pair[0]).unwrap().cells[1] = row(&pair[1]);
    }
    let plan = world.plan();
    let waves = waves(&plan);
    assert_eq!(waves[keys[LENGTH - 1].as_str()], 0);
    assert_eq!(waves[keys[0].as_str()], LENGTH as u32 - 1);
    // The same as a ring: it is cut once, and every other reference is written at once.
    world.rows.get_mut(&keys[LENGTH - 1]).unwrap().cells[1] = row(&keys[0]);
    let ring = world.plan();
    let deepest = ring.steps().map(|(_, step)| step.wave).max();
    assert_eq!(deepest, Some(LENGTH as u32 - 1));
}

#[test]
fn deletions_come_last_and_children_first() {
    let mut world = World::new(staff());
    let top = world.add_pair(vec![text("a"), Value::Null], vec![text("a"), Value::Null]);
    let top_key = world.links[&top].key.clone();
    let top_ref = Value::set([row(&top_key)]);
    let child = world.add_pair(vec![text("b"), row(&top_key)], vec![text("b"), top_ref.clone()]);
    // What a page shows of a linked page is its row.
    let top_page = world.links[&top].page;
    world.half_mut(Side::Notion, child).unwrap().cells[1] = page(top_page);
    assert!(world.plan().is_empty());
    for id in [top, child] {
        world.half_mut(Side::Notion, id).unwrap().away = Some(Absence::Trashed);
    }
    let new = world.add_row(vec![text("new"), row(&top_key)]);
    let plan = world.plan();
    let order: Vec<(Action, String)> = plan.steps().map(|(_, step)| (step.action, name(step))).collect();
    let child_key = world.links[&child].key.to_string();
    assert_eq!(
        order,
        [
            (Action::Create, new.to_string()),
            (Action::Delete, child_key),
            (Action::Delete, top_key.to_string())
        ]
    );
    let waves: Vec<u32> = plan.steps().map(|(_, step)| step.wave).collect();
    assert!(waves.windows(2).all(|two| two[0] < two[1]), "each in a wave of its own: {waves:?}");
}

#[test]
fn a_row_made_anew_is_there_before_what_refers_to_it() {
    let mut world = World::new(staff());
    let old = world.add_pair(vec![text("old"), Value::Null], vec![text("old"), Value::Null]);
    let link = world.links[&old].clone();
    world.rows.remove(&link.key);
    world.edit(Side::Notion, old, 0, text("edited"));
    let fresh = world.add_page(vec![text("fresh"), page(link.page)], None);
    let plan = world.plan();
    let order: Vec<_> = plan.steps().map(|(_, step)| (step.wave, step.page.unwrap())).collect();
    assert_eq!(order, [(0, link.page), (1, fresh)]);
    let last = world.settle_down(MOST_PLANS);
    all_is_said(&world, &last);
}

/// Any forest and any circles, on either side, end complete: one page a row, every reference in its place.
#[test]
fn any_shape_of_references_arrives() {
    cases("references", 20_000, |rng: &mut Rng| {
        let mut world = World::new(staff());
        let many = rng.below(6) + 1;
        let on_rows = rng.one_in(2);
        if on_rows {
            let keys: Vec<RowKey> =
                (0..many).map(|n| world.add_row(vec![text(&n.to_string()), Value::Null])).collect();
            for key in &keys {
                if !rng.one_in(3) {
                    let boss = rng.pick(&keys).clone();
                    world.rows.get_mut(key).unwrap().cells[1] = row(&boss);
                }
            }
        } else {
            let pages: Vec<PageId> =
                (0..many).map(|n| world.add_page(vec![text(&n.to_string()), Value::Null], None)).collect();
            for id in &pages {
                if !rng.one_in(3) {
                    let boss = *rng.pick(&pages);
                    world.pages.get_mut(id).unwrap().cells[1] = page(boss);
                }
            }
        }
        let plan = world.plan();
        assert!(plan.steps().all(|(_, step)| step.action == Action::Create));
        let last = world.settle_down(MOST_PLANS);
        all_is_said(&world, &last);
        assert_eq!((world.rows.len(), world.pages.len()), (many, many));
        for link in world.links.values() {
            let page_boss = match &world.pages[&link.page].cells[1] {
                Value::Set(items) => items.first().cloned(),
                _ => None,
            };
            let row_boss = match &world.rows[&link.key].cells[1] {
                Value::Ref(Ref::Row(key)) => {
                    let boss = world.links.values().find(|link| link.key == *key).unwrap();
                    Some(Value::Ref(Ref::Page(boss.page)))
                }
                _ => None,
            };
            assert_eq!(page_boss, row_boss);
        }
    });
}
