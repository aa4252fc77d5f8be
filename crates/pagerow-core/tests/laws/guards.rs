//! The guard by its numbers: the limit passes, one more is stopped, and only the right name overrides.

use pagerow_core::{
    digest::Digest,
    guard::{Against, Limits, Replaced, Rule, check, sift},
    plan::{Action, Because, Census, Expect, FieldWrite, MappingPlan, Plan, Step},
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::Value,
};

use crate::world::text;

fn step(n: u64, side: Side, action: Action, fields: Vec<FieldWrite>) -> Step {
    Step {
        wave: 0,
        side,
        action,
        link: Some(n as i64),
        key: Some(RowKey::from(format!("{n:06}"))),
        page: Some(PageId(uuid::Uuid::from_u128(u128::from(n)))),
        fields,
        mark: false,
        expect: Expect::Nothing,
        source: None,
        because: Because::Edited,
        whole: None,
    }
}

fn plan(links: u64, steps: Vec<Step>) -> Plan {
    Plan {
        mappings: vec![MappingPlan {
            mapping: "things".to_owned(),
            fingerprint: Digest::of(b"things"),
            columns: vec!["one".to_owned(), "two".to_owned()],
            steps,
            settlements: Vec::new(),
            conflicts: Vec::new(),
            parked: Vec::new(),
            skipped: Vec::new(),
            census: Census {
                links,
                records: Sides { postgres: Some(links), notion: Some(links) },
                unchanged: 0,
            },
        }],
    }
}

fn write(before: Option<Value>, after: Value) -> FieldWrite {
    FieldWrite { field: 1, before, after, source: None, withheld: false, by: None }
}

fn refusals(plan: Plan) -> Vec<(Rule, u64, u64)> {
    match check(plan, &[], &[]) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.refusals.iter().map(|one| (one.rule, one.seen, one.limit)).collect(),
    }
}

fn against(plan: Plan, against: &Against) -> Vec<(Rule, u64, u64)> {
    match check(plan, std::slice::from_ref(against), &[]) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.refusals.iter().map(|one| (one.rule, one.seen, one.limit)).collect(),
    }
}

/// So many steps of one kind among so many links.
fn many(links: u64, count: u64, side: Side, action: Action, fields: &[FieldWrite]) -> Plan {
    plan(links, (0..count).map(|n| step(n, side, action, fields.to_vec())).collect())
}

#[test]
fn each_rule_has_its_limit_and_one_more_is_stopped() {
    let blank = [write(Some(text("a")), Value::Null)];
    let emptied = [write(Some(Value::List(vec![text("a")])), Value::List(Vec::new()))];
    for (rule, side, action, fields, shares) in [
        (
            Rule::MassDeletion,
            Side::Notion,
            Action::Trash,
            &[][..],
            [(0, 10), (50, 10), (51, 10), (55, 11), (100, 20), (1_000, 200)],
        ),
        (
            Rule::MassDeletion,
            Side::Postgres,
            Action::Delete,
            &[],
            [(0, 10), (50, 10), (51, 10), (55, 11), (100, 20), (1_000, 200)],
        ),
        (
            Rule::MassDeletion,
            Side::Postgres,
            Action::Trash,
            &[],
            [(0, 10), (50, 10), (51, 10), (55, 11), (100, 20), (1_000, 200)],
        ),
        (
            Rule::MassBlanking,
            Side::Postgres,
            Action::Update,
            &blank,
            [(0, 10), (33, 10), (36, 10), (37, 11), (100, 30), (1_000, 300)],
        ),
        (
            Rule::MassBlanking,
            Side::Notion,
            Action::Update,
            &emptied,
            [(0, 10), (33, 10), (36, 10), (37, 11), (100, 30), (1_000, 300)],
        ),
        (
            Rule::MassRemaking,
            Side::Postgres,
            Action::Create,
            &[],
            [(0, 10), (20, 10), (21, 10), (22, 11), (100, 50), (1_000, 500)],
        ),
    ] {
        for (links, limit) in shares {
            assert_eq!(
                refusals(many(links, limit, side, action, fields)),
                [],
                "{rule:?} at {limit} of {links}"
            );
            let over = many(links, limit + 1, side, action, fields);
            assert_eq!(refusals(over), [(rule, limit + 1, limit)], "{rule:?} beyond {limit} of {links}");
        }
    }
}

#[test]
fn what_is_not_counted() {
    // New records are not made anew; a filled field is not blanked, nor one that was blank before.
    let mut fresh = many(20, 1_000, Side::Notion, Action::Create, &[]);
    fresh.mappings[0].steps.iter_mut().for_each(|step| step.link = None);
    assert_eq!(refusals(fresh), []);
    for harmless in
        [write(Some(text("a")), text("b")), write(Some(text("")), Value::Null), write(None, Value::Null)]
    {
        assert_eq!(refusals(many(20, 20, Side::Postgres, Action::Update, &[harmless])), []);
    }
    // Ten on each side are ten on each side.
    let both = (0..20).map(|n| {
        let side = if n < 10 { Side::Postgres } else { Side::Notion };
        step(n, side, Action::Trash, Vec::new())
    });
    assert_eq!(refusals(plan(40, both.collect())), []);
}

#[test]
fn an_emptied_side_is_not_taken_for_truth() {
    for side in [Side::Postgres, Side::Notion] {
        let emptied = |links, steps| {
            let mut plan = plan(links, steps);
            *plan.mappings[0].census.records.of_mut(side) = Some(0);
            plan
        };
        let one = vec![step(1, side.other(), Action::Trash, Vec::new())];
        assert_eq!(refusals(emptied(5, one.clone())), [(Rule::EmptySide, 0, 5)]);
        assert_eq!(refusals(emptied(2, one.clone())), [(Rule::EmptySide, 0, 2)]);
        assert_eq!(refusals(emptied(5, Vec::new())), [], "nothing is done, nothing is stopped");
        let mut unknown = emptied(5, one.clone());
        *unknown.mappings[0].census.records.of_mut(side) = None;
        assert_eq!(refusals(unknown), [], "nobody counted");
        let all = |links| {
            let mut plan = many(links, links, side.other(), Action::Trash, &[]);
            *plan.mappings[0].census.records.of_mut(side) = None;
            plan
        };
        assert_eq!(refusals(all(8)), [(Rule::EmptySide, 0, 8)], "nothing that was linked is left");
        assert_eq!(refusals(all(1)), []);
        assert_eq!(refusals(emptied(0, one.clone())), [], "an empty side at the first meeting is a new side");
        assert_eq!(refusals(emptied(1, one.clone())), [], "the only record was deleted like any other");
        let mut at_once = Against::default();
        *at_once.emptied.of_mut(side) = true;
        assert_eq!(against(emptied(1, one), &at_once), [(Rule::EmptySide, 0, 1)], "the table was truncated");
    }
}

#[test]
fn deletions_of_one_hour_count_together() {
    let after = |lately| Against { lately: Sides { postgres: 0, notion: lately }, ..Against::default() };
    let one = |links| many(links, 1, Side::Notion, Action::Trash, &[]);
    // Of 12 records at the hour's beginning, 10 may go.
    assert_eq!(against(one(3), &after(9)), []);
    assert_eq!(against(one(2), &after(10)), [(Rule::MassDeletion, 11, 10)]);
    // Of 100, 20.
    assert_eq!(against(one(81), &after(19)), []);
    assert_eq!(against(one(80), &after(20)), [(Rule::MassDeletion, 21, 20)]);
    // The other side's deletions are no business of this one, and without a deletion nothing is stopped.
    let elsewhere = Against { lately: Sides { postgres: 50, notion: 0 }, ..Against::default() };
    assert_eq!(against(one(2), &elsewhere), []);
    assert_eq!(against(plan(2, Vec::new()), &after(50)), []);
    let told = check(one(2), &[after(10)], &[]).unwrap_err().refusals.remove(0);
    assert!(told.text.contains("1 more") && told.text.contains("10 within the last hour"), "{}", told.text);
}

#[test]
fn another_table_under_the_same_name_is_stopped_when_it_would_cause_a_write() {
    let replaced = Replaced { table: "public.things".to_owned(), was: 16_384, is: 16_412 };
    let other = Against { replaced: Some(replaced), ..Against::default() };
    let update = || vec![step(1, Side::Notion, Action::Update, vec![write(Some(text("a")), text("b"))])];
    assert_eq!(against(plan(50, update()), &other), [(Rule::OtherTable, 1, 0)]);
    assert_eq!(against(plan(50, Vec::new()), &other), [], "it holds the same: nothing is to be asked");
    let first = check(plan(50, update()), std::slice::from_ref(&other), &[]).unwrap_err().refusals.remove(0);
    assert!(first.text.contains("16412") && first.text.contains("16384"), "{}", first.text);
    // What was shown was this table. Yet another one is another question.
    let replaced = Replaced { table: "public.things".to_owned(), was: 16_384, is: 16_500 };
    let another = Against { replaced: Some(replaced), ..Against::default() };
    assert!(check(plan(50, update()), &[other], &[first.pass.unwrap()]).is_ok());
    assert!(check(plan(50, update()), &[another], &[first.pass.unwrap()]).is_err());
}

#[test]
fn hidden_rows_stop_even_a_plan_that_does_nothing() {
    let hidden = Against { hidden: 3, ..Against::default() };
    assert_eq!(against(plan(50, Vec::new()), &hidden), [(Rule::HiddenRows, 3, 0)]);
}

#[test]
fn new_records_that_are_equal_to_linked_ones_are_counted() {
    let alike = |alike| Against { alike, ..Against::default() };
    assert_eq!(against(plan(100, Vec::new()), &alike(50)), []);
    assert_eq!(against(plan(100, Vec::new()), &alike(51)), [(Rule::MassDoubling, 51, 50)]);
    assert_eq!(against(plan(5, Vec::new()), &alike(10)), []);
    assert_eq!(against(plan(5, Vec::new()), &alike(11)), [(Rule::MassDoubling, 11, 10)]);
}

#[test]
fn a_plan_for_another_shape_of_the_mapping_never_passes() {
    let plan = plan(50, vec![step(1, Side::Notion, Action::Trash, Vec::new())]);
    let same = Against { fingerprint: Some(plan.mappings[0].fingerprint), ..Against::default() };
    assert!(check(plan.clone(), &[same], &[]).is_ok());
    let other = Against { fingerprint: Some(Digest::of(b"reshaped")), ..Against::default() };
    let refused = check(plan.clone(), std::slice::from_ref(&other), &[]).unwrap_err();
    assert_eq!((refused.refusals[0].rule, refused.refusals[0].pass), (Rule::SchemaChanged, None));
    assert!(check(plan.clone(), &[other], &[plan.hash()]).is_err(), "not even by its own name");
}

#[test]
fn every_stop_says_what_would_let_it_go_on() {
    let replaced = Replaced { table: "t".to_owned(), was: 1, is: 2 };
    let all = Against { replaced: Some(replaced), hidden: 1, alike: 99, ..Against::default() };
    let blank = [write(Some(text("a")), Value::Null)];
    let mut steps = many(20, 20, Side::Notion, Action::Trash, &[]).mappings.remove(0).steps;
    steps.extend(many(20, 20, Side::Notion, Action::Update, &blank).mappings.remove(0).steps);
    steps.extend(many(20, 20, Side::Postgres, Action::Create, &[]).mappings.remove(0).steps);
    let mut plan = plan(20, steps);
    plan.mappings[0].census.records.postgres = Some(0);
    let refused = check(plan, &[all], &[]).unwrap_err();
    let rules: Vec<Rule> = refused.refusals.iter().map(|one| one.rule).collect();
    let mut sorted = rules.clone();
    sorted.sort_unstable();
    assert_eq!(sorted.len(), 7, "{rules:?}");
    for one in &refused.refusals {
        assert!(one.text.chars().any(|c| c.is_ascii_digit()), "no number: {}", one.text);
        assert!(one.advice.len() > 20, "{}", one.advice);
    }
}

/// One mapping's part, beside another's.
fn two(one: Plan, other: Plan) -> Plan {
    let mut mappings = one.mappings;
    mappings
        .extend(other.mappings.into_iter().map(|part| MappingPlan { mapping: "others".to_owned(), ..part }));
    Plan { mappings }
}

#[test]
fn one_mapping_s_stop_is_not_the_other_s() {
    let dangerous = many(10, 11, Side::Notion, Action::Trash, &[]);
    let harmless = many(10, 1, Side::Notion, Action::Trash, &[]);
    let sifted = sift(two(dangerous.clone(), harmless.clone()), &[], &[]);
    assert_eq!((sifted.held.as_slice(), sifted.refusals.len()), (&[0][..], 1));
    let left: Vec<&str> = sifted.approved.plan().mappings.iter().map(|part| part.mapping.as_str()).collect();
    assert_eq!(left, ["others"]);
    assert!(sifted.approved.overridden().is_empty());

    // The name is that of the stopped part, whatever the other mapping does, and in whichever wave.
    let name = sifted.refusals[0].pass.unwrap();
    let mut later = dangerous.clone();
    later.mappings[0].steps.iter_mut().for_each(|step| step.wave += 3);
    later.mappings[0].steps.reverse();
    let busy = many(10, 5, Side::Postgres, Action::Update, &[]);
    let sifted = sift(two(later, busy), &[], &[name]);
    assert!(sifted.held.is_empty());
    assert_eq!((sifted.approved.overridden().len(), sifted.approved.plan().mappings.len()), (1, 2));

    // Two stops have two names; the whole plan's own lets both pass.
    let both = two(dangerous.clone(), many(10, 12, Side::Notion, Action::Trash, &[]));
    assert_eq!(sift(both.clone(), &[], &[name]).held, [1]);
    assert!(sift(both.clone(), &[], &[both.hash()]).held.is_empty());
    assert_eq!(sift(both, &[], &[Digest::of(b"another")]).held, [0, 1]);
}

#[test]
fn only_the_plan_that_was_named_passes() {
    let dangerous = many(10, 11, Side::Notion, Action::Trash, &[]);
    let refused = check(dangerous.clone(), &[], &[]).unwrap_err();
    let name = refused.refusals[0].pass.unwrap();
    assert!(refused.refusals[0].text.contains("11 of 10"), "{}", refused.refusals[0].text);
    assert!(check(dangerous.clone(), &[], &[Digest::of(b"another")]).is_err());
    for pass in [name, dangerous.hash()] {
        let approved = check(dangerous.clone(), &[], &[pass]).unwrap();
        assert_eq!((approved.hash(), approved.overridden().len()), (dangerous.hash(), 1));
        assert_eq!(approved.plan(), &dangerous);
        // One deletion more is another plan.
        let worse = many(10, 12, Side::Notion, Action::Trash, &[]);
        assert!(check(worse, &[], &[pass]).is_err());
    }
    // The same writes for another reason are another question.
    let mut emptied = dangerous.clone();
    emptied.mappings[0].census.records.postgres = Some(0);
    assert!(check(emptied, &[], &[name]).is_err());
    // A harmless plan needs no override, and remembers none.
    let harmless = check(many(10, 1, Side::Notion, Action::Trash, &[]), &[], &[name]).unwrap();
    assert!(harmless.overridden().is_empty());
}

#[test]
fn a_share_is_exact() {
    for percent in 1..=100u64 {
        for links in [7, 10, 99, 100, 1_000, 12_345, 1_000_000] {
            let limits = Limits { deletes: percent as f64 / 100.0, floor: 0, ..Limits::default() };
            let most = links * percent / 100;
            if most > 2_000 {
                continue;
            }
            let passes = |count| {
                check(many(links, count, Side::Notion, Action::Trash, &[]), &[limits.into()], &[]).is_ok()
            };
            assert!(passes(most) && !passes(most + 1), "{percent} % of {links} is {most}");
        }
    }
}
