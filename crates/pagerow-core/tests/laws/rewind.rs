//! Going back to a moment: both sides hold again what they held then, quietly, and what cannot go back is named.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use pagerow_core::{
    fidelity,
    mapping::{Flow, OnPageTrashed, OnRowDeleted, PropertyKind},
    plan::Plan,
    side::Side,
    value::Value,
};

use crate::{
    converges::{MOST_PLANS, any_edit, any_world},
    generators::cases,
    undo::{Cells, Snapshot, snapshot},
    world::World,
};

/// Nothing is open that nobody has decided.
fn is_clear(plan: &Plan) -> bool {
    plan.mappings.iter().all(|part| {
        part.conflicts.is_empty()
            && part.parked.is_empty()
            && part.skipped.is_empty()
            && part.steps.is_empty()
    })
}

/// A mapping of which everything that people do ends on both sides, and so in the history.
fn tells_all(world: &World) -> bool {
    let mapping = &world.mapping;
    mapping.direction == Flow::Both
        && mapping.on_row_deleted == OnRowDeleted::Trash
        && matches!(mapping.on_page_trashed, OnPageTrashed::Delete | OnPageTrashed::SoftDelete)
        && mapping
            .fields
            .iter()
            .all(|field| field.flow == Flow::Both && !matches!(field.shows, PropertyKind::ReadOnly(_)))
}

/// What is held apart since before the journal began, the journal does not tell.
fn agrees(world: &World) -> bool {
    world.links.values().all(|link| {
        let (Some(row), Some(page)) = (world.rows.get(&link.key), world.pages.get(&link.page)) else {
            return true;
        };
        let fields = world.mapping.fields.iter().enumerate();
        fields.into_iter().all(|(at, field)| fidelity::agree(&row.cells[at], &page.cells[at], field))
    })
}

/// The same records with the same cells, as far as the journal can tell: what somebody wrote that means the same as
/// before went nowhere, and where only the other side's form of a value was told, one that has that form is as good.
fn is_same<K: Ord + Display>(
    world: &World,
    since: usize,
    side: Side,
    then: &BTreeMap<K, Cells>,
    now: &BTreeMap<K, Cells>,
) -> bool {
    let form = |value: &Value, place: usize| fidelity::on(side.other(), value, &world.mapping.fields[place]);
    let told: BTreeSet<(String, usize)> = world.journal[since..]
        .iter()
        .flat_map(|done| {
            let name = match side {
                Side::Postgres => done.step.key.as_ref().map(ToString::to_string),
                Side::Notion => done.step.page.map(|page| page.to_string()),
            };
            done.step.fields.iter().filter_map(move |write| Some((name.clone()?, write.field)))
        })
        .collect();
    then.len() == now.len()
        && then.iter().all(|(name, (was, was_away))| {
            now.get(name).is_some_and(|(is, is_away)| {
                was_away == is_away
                    && was.iter().zip(is).enumerate().all(|(place, (was, is))| {
                        was == is
                            || form(was, place) == form(is, place)
                            || !told.contains(&(name.to_string(), place))
                    })
            })
        })
}

#[test]
fn both_sides_are_as_they_were_at_the_moment() {
    let (mut rewound, mut deep) = (0, 0);
    let counts = std::cell::RefCell::new((&mut rewound, &mut deep));
    cases("rewind", 300_000, |rng| {
        let mut world = any_world(rng);
        if !tells_all(&world) || !is_clear(&world.settle_down(MOST_PLANS)) || !agrees(&world) {
            return;
        }
        let (then, since): (Snapshot, usize) = (snapshot(&world), world.journal.len());
        for _ in 0..=rng.below(4) {
            any_edit(&mut world, rng);
            if !is_clear(&world.settle_down(MOST_PLANS)) {
                return;
            }
        }
        let now = snapshot(&world);
        let story = format!("{:#?}", &world.journal[since..]);
        let left = world.rewind(since);
        if !left.is_empty() {
            return;
        }
        let back = snapshot(&world);
        let is_back = is_same(&world, since, Side::Postgres, &then.rows, &back.rows)
            && is_same(&world, since, Side::Notion, &then.pages, &back.pages);
        assert!(is_back, "it was {then:?}, then {now:?}, and is {back:?}: {story}");
        let next = world.plan();
        assert!(is_clear(&next), "not quiet afterwards: {next:#?} {story}");
        *counts.borrow_mut().0 += u64::from(now != then);
        *counts.borrow_mut().1 +=
            u64::from(now.rows.len() != then.rows.len() || now.pages.len() != then.pages.len());
    });
    println!("{rewound} worlds went back, {deep} of them with records that came or went");
    assert!(rewound > 100 && deep > 100, "hardly anything had to go back: {rewound}, {deep}");
}
