//! The guard by its numbers: the limit passes, one more is stopped, and only the right name overrides.

use pagerow_core::{
    digest::Digest,
    guard::{Limits, Rule, check},
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
    FieldWrite { field: 1, before, after, source: None, withheld: false }
}

fn refusals(plan: Plan) -> Vec<(Rule, u64, u64)> {
    match check(plan, &[Limits::default()], None) {
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
        let emptied = |steps| {
            let mut plan = plan(5, steps);
            *plan.mappings[0].census.records.of_mut(side) = Some(0);
            plan
        };
        let one = vec![step(1, side.other(), Action::Trash, Vec::new())];
        assert_eq!(refusals(emptied(one.clone())), [(Rule::EmptySide, 0, 5)]);
        assert_eq!(refusals(emptied(Vec::new())), [], "nothing is done, nothing is stopped");
        let mut unknown = emptied(one.clone());
        *unknown.mappings[0].census.records.of_mut(side) = None;
        assert_eq!(refusals(unknown), [], "nobody counted");
        let mut first = emptied(one);
        first.mappings[0].census.links = 0;
        assert_eq!(refusals(first), [], "an empty side at the first meeting is a new side");
    }
}

#[test]
fn only_the_plan_that_was_named_passes() {
    let dangerous = many(10, 11, Side::Notion, Action::Trash, &[]);
    let hash = dangerous.hash();
    let refused = check(dangerous.clone(), &[Limits::default()], None).unwrap_err();
    assert_eq!(refused.refusals[0].pass, hash);
    assert!(refused.refusals[0].text.contains("11 of 10"), "{}", refused.refusals[0].text);
    assert!(check(dangerous.clone(), &[Limits::default()], Some(Digest::of(b"another"))).is_err());
    let approved = check(dangerous.clone(), &[Limits::default()], Some(hash)).unwrap();
    assert_eq!((approved.hash(), approved.overridden().len()), (hash, 1));
    assert_eq!(approved.plan(), &dangerous);
    // One deletion more is another plan.
    let worse = many(10, 12, Side::Notion, Action::Trash, &[]);
    assert!(check(worse, &[Limits::default()], Some(hash)).is_err());
    // A harmless plan needs no override, and remembers none.
    let harmless = check(many(10, 1, Side::Notion, Action::Trash, &[]), &[], Some(hash)).unwrap();
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
            let passes =
                |count| check(many(links, count, Side::Notion, Action::Trash, &[]), &[limits], None).is_ok();
            assert!(passes(most) && !passes(most + 1), "{percent} % of {links} is {most}");
        }
    }
}
