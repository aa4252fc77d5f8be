//! What a person's answer to a conflict does: the chosen value ends on both sides, whenever the program is killed, and
//! what loses is in the plan.

use std::collections::BTreeMap;

use pagerow_core::{
    answer::{Answers, Take, typed},
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Mapping, PropertyKind},
    number::Number,
    observation::Identity,
    plan::{Because, By, Plan},
    planner::{Planner, assemble},
    side::{Side, Sides},
    value::{Ref, Value},
};

use crate::world::{World, field, mapping, options, record, text, text_field};

/// A record with one contested field beside one that is not.
fn contested(base: &str, row: &str, page: &str) -> (World, i64) {
    let mut world = World::new(mapping(vec![text_field("one"), text_field("two")]));
    let link = world.add_pair(vec![text(base), text("x")], vec![text(base), text("x")]);
    world.edit(Side::Postgres, link, 0, text(row));
    world.edit(Side::Notion, link, 0, text(page));
    (world, link)
}

fn plan_with(world: &World, take: &Take) -> Plan {
    let answers = Answers { fields: BTreeMap::from([(0, take.clone())]), ..Answers::default() };
    let mut planner = Planner::new(&world.mapping, world.census());
    for pair in world.pairs().0 {
        let is_one = matches!(pair.identity, Identity::Linked(_));
        planner.consider_with(&pair, if is_one { &answers } else { panic!("one record") });
    }
    assemble(vec![planner.finish()], &[&world.mapping])
}

fn cells(world: &World, link: i64) -> [Value; 2] {
    [Side::Postgres, Side::Notion].map(|side| world.half(side, link).unwrap().cells[0].clone())
}

/// Whatever the base and the values were, and with either side edited beside it.
#[test]
fn the_answer_ends_on_both_sides_and_the_loser_in_the_plan() {
    let values = ["a", "b", "c", ""];
    let mut answered = 0;
    for base in values {
        for row in values {
            for page in values {
                let (mut world, link) = contested(base, row, page);
                if world.plan().mappings[0].conflicts.is_empty() {
                    continue;
                }
                world.edit(Side::Postgres, link, 1, text("y"));
                for take in [Take::Keep(Side::Postgres), Take::Keep(Side::Notion)]
                    .into_iter()
                    .chain(values.map(|value| Take::Value(text(value))))
                {
                    let now = cells(&world, link);
                    let take = match take {
                        Take::Value(value) => {
                            let now = Sides { postgres: &now[0], notion: &now[1] };
                            Take::of_value(value, now, &world.mapping.fields[0])
                        }
                        other => other,
                    };
                    let plan = plan_with(&world, &take);
                    assert!(plan.mappings[0].conflicts.is_empty(), "{plan:?}");
                    let lost: Vec<&Value> = plan
                        .steps()
                        .flat_map(|(_, step)| &step.fields)
                        .filter(|write| write.field == 0)
                        .flat_map(|write| {
                            assert_eq!(write.by == Some(By::Typed), matches!(take, Take::Value(_)));
                            assert!(write.by.is_some());
                            let both = write.by == Some(By::Typed);
                            write.before.iter().chain(write.source.as_ref().filter(|_| both))
                        })
                        .collect();
                    let wanted = match &take {
                        Take::Keep(Side::Postgres) => {
                            assert_eq!(lost, [&now[1]]);
                            &now[0]
                        }
                        Take::Keep(Side::Notion) => {
                            assert_eq!(lost, [&now[0]]);
                            &now[1]
                        }
                        Take::Value(value) => {
                            assert_eq!(lost, [&now[0], &now[1]]);
                            value
                        }
                        Take::Leave => unreachable!(),
                    };
                    assert!(plan.steps().any(|(_, step)| step.because == Because::Answered));

                    let mut after = world.clone();
                    assert_eq!(after.apply(&plan).stale, 0);
                    // The program may be killed here: what follows is an ordinary plan.
                    let rest = after.settle_down(3);
                    assert!(rest.mappings[0].conflicts.is_empty(), "{rest:?}");
                    let field = &after.mapping.fields[0];
                    let [row, page] = cells(&after, link);
                    assert!(row == *wanted || fidelity::agree(&row, wanted, field), "{take:?}");
                    assert!(fidelity::agree(&row, &page, field), "{row:?} {page:?} {take:?}");
                    assert_eq!(after.half(Side::Notion, link).unwrap().cells[1], text("y"));
                    answered += 1;
                }
            }
        }
    }
    assert!(answered > 50, "{answered}");
}

#[test]
fn fields_left_as_they_are_stay_so_until_somebody_edits_one() {
    let (mut world, link) = contested("a", "b", "c");
    let plan = plan_with(&world, &Take::Leave);
    assert_eq!(plan.steps().count(), 0);
    world.apply(&plan);
    let rest = world.settle_down(1);
    assert!(rest.mappings[0].conflicts.is_empty());
    assert_eq!(cells(&world, link), [text("b"), text("c")]);

    let mut edited = world.clone();
    edited.edit(Side::Notion, link, 0, text("d"));
    edited.settle_down(2);
    assert_eq!(cells(&edited, link), [text("d"), text("d")]);
    // And both edited is a conflict as ever.
    world.edit(Side::Notion, link, 0, text("d"));
    world.edit(Side::Postgres, link, 0, text("e"));
    assert_eq!(world.plan().mappings[0].conflicts.len(), 1);
}

#[test]
fn an_answer_to_what_is_not_contested_changes_nothing() {
    for (row, page) in [("b", "a"), ("a", "c"), ("b", "b"), ("a", "a")] {
        let (world, _) = contested("a", row, page);
        for take in
            [Take::Keep(Side::Postgres), Take::Keep(Side::Notion), Take::Leave, Take::Value(text("t"))]
        {
            assert_eq!(plan_with(&world, &take), world.plan(), "{row} {page} {take:?}");
        }
    }
}

#[test]
fn a_value_that_the_other_side_cannot_hold_is_parked_and_nothing_written() {
    let count = field("n", ColumnKind::Integer { min: i64::MIN, max: i64::MAX }, PropertyKind::Number);
    let number = |text: &str| Value::Number(Number::parse(text).unwrap());
    let mut world = World::new(mapping(vec![count]));
    let link = world.add_pair(vec![number("1")], vec![number("1")]);
    world.edit(Side::Postgres, link, 0, number("9007199254740993"));
    world.edit(Side::Notion, link, 0, number("2"));
    let plan = plan_with(&world, &Take::Keep(Side::Postgres));
    assert_eq!((plan.steps().count(), plan.mappings[0].parked.len()), (0, 1));
}

#[test]
fn typed_texts_are_values_of_the_column_or_refused() {
    let number = |text: &str| Value::Number(Number::parse(text).unwrap());
    let whole = || field("n", ColumnKind::Integer { min: -5, max: 100 }, PropertyKind::Number);
    let flag = field("b", ColumnKind::Bool, PropertyKind::Checkbox);
    let tier = |may_grow| {
        field("t", ColumnKind::Text { max: Some(6) }, PropertyKind::Select(options(&["Gold"], may_grow)))
    };
    let things = || "things".to_owned();
    let boss = field(
        "boss",
        ColumnKind::Reference { mapping: things() },
        PropertyKind::Relation { mapping: things(), single: true },
    );
    let needed = Field { required: true, ..whole() };
    let ok = |text: &str, field: &Field, want: Value| assert_eq!(typed(text, field), Ok(want), "{text}");
    let refused = |text: &str, field: &Field, code: &str| {
        assert_eq!(typed(text, field).unwrap_err().code, code, "{text}");
    };
    ok("12", &whole(), number("12"));
    ok("", &whole(), Value::Null);
    ok("", &text_field("w"), text(""));
    ok("yes", &flag, Value::Bool(true));
    ok("Gold", &tier(false), text("Gold"));
    ok("7", &boss, Value::Ref(Ref::Row("7".into())));
    ok(
        "2026-02-11",
        &field("d", ColumnKind::Day, PropertyKind::Date),
        Value::Day("2026-02-11".parse().unwrap()),
    );
    refused("101", &whole(), "out_of_range");
    refused("1.5", &whole(), "fraction");
    refused("twelve", &whole(), "kind");
    refused("", &needed, "not_null");
    refused("Tin", &tier(false), "no_such_option");
    refused("Platinum", &tier(true), "too_long");
    refused("a,b", &tier(true), "comma");
    refused("a\0", &text_field("w"), "nul");
}

#[test]
fn typing_what_a_side_holds_is_keeping_that_side() {
    let count = field("n", ColumnKind::Numeric { precision: None, scale: None }, PropertyKind::Number);
    let number = |text: &str| Value::Number(Number::parse(text).unwrap());
    let (row, page) = (number("1.50"), number("2"));
    let now = Sides { postgres: &row, notion: &page };
    assert_eq!(Take::of_value(number("1.5"), now, &count), Take::Keep(Side::Postgres));
    assert_eq!(Take::of_value(number("2.0"), now, &count), Take::Keep(Side::Notion));
    assert_eq!(Take::of_value(number("3"), now, &count), Take::Value(number("3")));
    // A page's minute is no reason to lose a typed second.
    let moment = field("m", ColumnKind::Instant, PropertyKind::Date);
    let at = |text: &str| Value::Instant(text.parse().unwrap());
    let (row, page) = (at("2026-02-11T10:00:00Z"), at("2026-02-11T11:00:00Z"));
    let typed = at("2026-02-11T11:00:30Z");
    let now = Sides { postgres: &row, notion: &page };
    assert_eq!(Take::of_value(typed.clone(), now, &moment), Take::Value(typed.clone()));
    let mut world = World::new(Mapping { ..mapping(vec![moment]) });
    let link = world.add_pair(vec![at("2026-02-11T09:00:00Z")], vec![at("2026-02-11T09:00:00Z")]);
    world.edit(Side::Postgres, link, 0, row.clone());
    world.edit(Side::Notion, link, 0, page.clone());
    let plan = plan_with(&world, &Take::Value(typed.clone()));
    world.apply(&plan);
    world.settle_down(2);
    assert_eq!(cells(&world, link), [typed, page]);
    assert!(matches!(fidelity::in_notion(&row, &world.mapping.fields[0]), Fidelity::Stored(_)));
    assert_eq!(record(&[row]).values().len(), 1);
}
