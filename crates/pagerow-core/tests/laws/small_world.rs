//! Every small world there is: 2 records × 2 fields × {absent, null, a, b} on base, Postgres and Notion, under every
//! policy.
//!
//! One record has 17 pasts (no link, or for each field no base, null, a or b) and 10 presents on each side (away, or
//! null, a or b in each field): 1,700 states. Two records have 2,890,000. That records do not touch each other is
//! itself proven exhaustively ([`two_records_do_not_touch_each_other`]), for every pair of states; with it, running
//! every single record to its end under every rule says what two of them do.
//!
//! Where the two sides differ by design, and the mirror test therefore mirrors something else:
//! * last write wins gives a tie to Postgres, since a page's time is only its minute; ties are tested apart;
//! * a new row is not given what the page has not (the column's default applies), a new page is;
//! * a row can be gone for good and is then made anew, a page can only be in the trash and is restored: the mirror
//!   of a trashed page is a row that is marked as deleted;
//! * `on_page_trashed` knows `delete` and `restore`, which `on_row_deleted` does not;
//! * Postgres knows an empty text beside NULL, and only Notion has the key property.

use std::collections::BTreeMap;

use pagerow_core::{
    mapping::{Flow, Mapping, OnPageTrashed, OnRowDeleted, Policy},
    observation::{Absence, Identity, Observation, Pair},
    plan::{Action, ConflictKind, Plan, Step},
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
    value::Value,
};

use crate::{
    lint::lint,
    world::{Half, START, World, mapping, plan_of, text, text_field},
};

/// One record: what was settled, and what is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// `None`: no link; inside, `None`: this field's base is lost.
    base: Option<[Option<Value>; 2]>,
    pub(crate) row: Option<[Value; 2]>,
    pub(crate) page: Option<[Value; 2]>,
}

pub(crate) const POLICIES: [Policy; 4] =
    [Policy::Manual, Policy::LastWriteWins, Policy::PreferPostgres, Policy::PreferNotion];
pub(crate) const FLOWS: [Flow; 3] = [Flow::Both, Flow::ToNotion, Flow::ToPostgres];
pub(crate) const ROW_RULES: [OnRowDeleted; 3] = [OnRowDeleted::Trash, OnRowDeleted::Keep, OnRowDeleted::Ask];
pub(crate) const PAGE_RULES: [OnPageTrashed; 5] = [
    OnPageTrashed::Ask,
    OnPageTrashed::SoftDelete,
    OnPageTrashed::Delete,
    OnPageTrashed::Restore,
    OnPageTrashed::Keep,
];
/// The most plans that a record may take: make the other half, take its default back, and one to see that it is quiet.
pub(crate) const MOST_PLANS: usize = 4;

fn values() -> [Value; 3] {
    [Value::Null, text("a"), text("b")]
}

pub(crate) fn states() -> Vec<State> {
    let values = values();
    let cells: Vec<[Value; 2]> =
        values.iter().flat_map(|one| values.iter().map(|two| [one.clone(), two.clone()])).collect();
    let presents: Vec<Option<[Value; 2]>> =
        std::iter::once(None).chain(cells.into_iter().map(Some)).collect();
    let lost: Vec<Option<Value>> = std::iter::once(None).chain(values.into_iter().map(Some)).collect();
    let mut pasts: Vec<Option<[Option<Value>; 2]>> = vec![None];
    pasts.extend(lost.iter().flat_map(|one| lost.iter().map(|two| Some([one.clone(), two.clone()]))));
    let mut states = Vec::new();
    for base in &pasts {
        for row in &presents {
            for page in &presents {
                states.push(State { base: base.clone(), row: row.clone(), page: page.clone() });
            }
        }
    }
    states
}

pub(crate) fn two_fields() -> Mapping {
    mapping(vec![text_field("one"), text_field("two")])
}

/// How a world is set up around its records.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    row: i64,
    page: i64,
}

pub(crate) const TIMES: [Times; 3] = [
    Times { row: START - 60, page: START },
    Times { row: START, page: START + 59 },
    Times { row: START + 120, page: START },
];

/// Puts a record into the world. A row that is away is gone, or marked as deleted.
pub(crate) fn put(world: &mut World, state: &State, gone: bool, times: Times) {
    let half = |cells: &Option<[Value; 2]>, edited| Half {
        cells: cells.clone().map_or_else(|| vec![Value::Null; 2], Vec::from),
        away: cells.is_none().then_some(Absence::Trashed),
        edited,
        marker: None,
    };
    let key = world.add_row(Vec::new());
    let page = world.add_page(Vec::new(), None);
    world.rows.insert(key.clone(), half(&state.row, times.row));
    world.pages.insert(page, half(&state.page, times.page));
    if state.row.is_none() && gone {
        world.rows.remove(&key);
    }
    if let Some(base) = &state.base {
        let base = Record::new(base.to_vec());
        world.add_link(key, page, Sides { postgres: base.clone(), notion: base });
    }
}

fn changed(state: &State, side: Side, field: usize) -> bool {
    let now = if side == Side::Postgres { &state.row } else { &state.page };
    match (&state.base, now) {
        (Some(base), Some(now)) => base[field].as_ref() != Some(&now[field]),
        _ => true,
    }
}

/// Runs one record to its end and holds every law against it.
fn run(world: &mut World, state: &State) {
    for _ in 0..=MOST_PLANS {
        let (pairs, doubts) = world.pairs();
        let plan = plan_of(&world.mapping, &pairs, &doubts, world.census());
        lint(&world.mapping, &pairs, &plan);
        if plan.is_empty() {
            at_rest(world, state, &plan);
            return;
        }
        let applied = world.apply(&plan);
        assert_eq!(applied.stale, 0);
    }
    panic!("not quiet after {MOST_PLANS} plans: {state:?} under {:?}", world.mapping);
}

/// What must be true once there is nothing left to do.
fn at_rest(world: &World, state: &State, plan: &Plan) {
    let part = &plan.mappings[0];
    for link in world.links.values() {
        let (row, page) = (world.rows.get(&link.key), &world.pages[&link.page]);
        let row = row.filter(|row| row.away.is_none());
        let page = (page.away.is_none()).then_some(page);
        let (Some(row), Some(page)) = (row, page) else {
            // One half is away: a rule keeps the other, or a person is asked.
            let listed = part.skipped.len() + part.conflicts.len();
            assert!(listed == 1, "a half is away, and nobody says so: {state:?} {plan:?}");
            continue;
        };
        for field in 0..2 {
            let flow = world.mapping.fields[field].flow.and(world.mapping.direction);
            // A half that was made got nothing in a field that does not flow to it: both stay as they are.
            let made = state.base.is_none() || state.row.is_none() || state.page.is_none();
            let settled = |side, half: &Half| link.base.of(side).get(field) == Some(&half.cells[field]);
            let withheld = made
                && flow != Some(Flow::Both)
                && settled(Side::Postgres, row)
                && settled(Side::Notion, page);
            let contested = part.conflicts.iter().any(
                |conflict| matches!(conflict.kind, ConflictKind::Field { field: at, .. } if at == field),
            );
            assert!(
                flow.is_none() || withheld || contested != (row.cells[field] == page.cells[field]),
                "neither equal nor a conflict: {state:?} {plan:?}"
            );
        }
    }
    // What no person touched is as it was, wherever both halves were there from the start.
    if let (Some(_), Some(row), Some(page)) = (&state.base, &state.row, &state.page) {
        for field in 0..2 {
            if changed(state, Side::Postgres, field) || changed(state, Side::Notion, field) {
                continue;
            }
            for (key, half) in &world.rows {
                assert_eq!(half.cells[field], row[field], "{key} was changed by nobody: {state:?}");
            }
            for (id, half) in &world.pages {
                assert_eq!(half.cells[field], page[field], "{id} was changed by nobody: {state:?}");
            }
        }
    }
}

#[test]
fn every_record_under_every_policy_and_every_rule_of_deletion() {
    let mut runs = 0u32;
    let states = states();
    for on_conflict in POLICIES {
        let times = if on_conflict == Policy::LastWriteWins { &TIMES[..] } else { &TIMES[..1] };
        for direction in FLOWS {
            for on_row_deleted in ROW_RULES {
                for on_page_trashed in PAGE_RULES {
                    let rules =
                        Mapping { on_conflict, direction, on_row_deleted, on_page_trashed, ..two_fields() };
                    for state in &states {
                        // With both halves there, the rules of deletion are not asked; one of them stands for all.
                        let both = state.row.is_some() && state.page.is_some();
                        let first = on_row_deleted == ROW_RULES[0] && on_page_trashed == PAGE_RULES[0];
                        if both && !first {
                            continue;
                        }
                        for gone in [false, true] {
                            if gone && state.row.is_some() {
                                continue;
                            }
                            for times in times {
                                let mut world = World::new(rules.clone());
                                put(&mut world, state, gone, *times);
                                run(&mut world, state);
                                runs += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    println!("{runs} worlds of one record run to their end");
}

#[test]
fn every_record_under_every_flow_and_winner_of_its_fields() {
    let mut runs = 0u32;
    let states = states();
    let rules: Vec<(Flow, Option<Side>)> = FLOWS
        .into_iter()
        .flat_map(|flow| [None, Some(Side::Postgres), Some(Side::Notion)].map(|wins| (flow, wins)))
        .collect();
    for on_conflict in POLICIES {
        for one in &rules {
            for two in &rules {
                let mut rules = Mapping { on_conflict, ..two_fields() };
                (rules.fields[0].flow, rules.fields[0].wins) = *one;
                (rules.fields[1].flow, rules.fields[1].wins) = *two;
                for state in &states {
                    let mut world = World::new(rules.clone());
                    put(&mut world, state, false, TIMES[1]);
                    run(&mut world, state);
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} worlds of one record run to their end");
}

/// Two identities for the pairs of two records, so that one plan can hold both.
fn pairs_of(state: &State, rules: &Mapping, which: u32) -> Vec<Pair> {
    let mut world = World::new(rules.clone());
    for _ in 0..which * 3 {
        world.add_row(Vec::new());
    }
    world.rows.clear();
    put(&mut world, state, false, TIMES[1]);
    world.pairs().0
}

#[test]
fn two_records_do_not_touch_each_other() {
    let rules = two_fields();
    let states = states();
    let alone = |which| -> Vec<(Vec<Pair>, Plan)> {
        states
            .iter()
            .map(|state| {
                let pairs = pairs_of(state, &rules, which);
                let plan = plan_of(&rules, &pairs, &[], World::new(rules.clone()).census());
                (pairs, plan)
            })
            .collect()
    };
    let (firsts, seconds) = (alone(0), alone(1));
    let census = World::new(rules.clone()).census();
    for (first, plan_of_first) in &firsts {
        for (second, plan_of_second) in &seconds {
            let mut planner = pagerow_core::planner::Planner::new(&rules, census);
            first.iter().chain(second).for_each(|pair| planner.consider(pair));
            let both = pagerow_core::planner::assemble(vec![planner.finish()], &[&rules]);
            let both = &both.mappings[0];
            let (one, two) = (&plan_of_first.mappings[0], &plan_of_second.mappings[0]);
            assert_eq!(both.steps.len(), one.steps.len() + two.steps.len());
            for step in &both.steps {
                // Deletions come after whatever else there is; apart from that the step is the same.
                let same = |other: &Step| {
                    (other.side, other.action, &other.key, other.page)
                        == (step.side, step.action, &step.key, step.page)
                        && (&other.fields, other.because, other.expect, other.source, other.mark, other.link)
                            == (&step.fields, step.because, step.expect, step.source, step.mark, step.link)
                };
                assert!(one.steps.iter().chain(&two.steps).any(same), "{step:?} is in neither plan alone");
            }
            assert_eq!(both.census.unchanged, one.census.unchanged + two.census.unchanged);
            assert_eq!(both.settlements.len(), one.settlements.len() + two.settlements.len());
            assert!(
                both.settlements.iter().all(|s| one.settlements.contains(s) || two.settlements.contains(s))
            );
            assert_eq!(both.conflicts.len(), one.conflicts.len() + two.conflicts.len());
            assert!(both.conflicts.iter().all(|c| one.conflicts.contains(c) || two.conflicts.contains(c)));
            assert_eq!(both.skipped.len(), one.skipped.len() + two.skipped.len());
            assert!(both.parked.is_empty());
        }
    }
    println!("{} worlds of two records", firsts.len() * seconds.len());
}

/// A plan's entries without the names of records, sides swapped or not.
fn gist(plan: &Plan, swapped: bool) -> Vec<String> {
    let part = &plan.mappings[0];
    let side = |side: Side| if swapped { side.other() } else { side };
    let pick = |values: &Sides<Value>| {
        (values.of(side(Side::Postgres)).clone(), values.of(side(Side::Notion)).clone())
    };
    let mut said: Vec<String> = Vec::new();
    for step in &part.steps {
        let fields: Vec<_> = step
            .fields
            .iter()
            .filter(|write| step.action != Action::Create || !write.after.is_null())
            .map(|write| (write.field, &write.before, &write.after))
            .collect();
        said.push(format!("{:?} {:?} {:?} {fields:?}", side(step.side), step.action, step.because));
    }
    for settlement in &part.settlements {
        let fields: Vec<_> = settlement.fields.iter().map(|one| (one.field, pick(&one.values))).collect();
        said.push(format!("settle {fields:?} {}", settlement.forget));
    }
    for conflict in &part.conflicts {
        said.push(match &conflict.kind {
            ConflictKind::Field { field, values, .. } => format!("conflict {field} {:?}", pick(values)),
            ConflictKind::Deleted { on, .. } => format!("deleted on {:?}", side(*on)),
        });
    }
    for skipped in &part.skipped {
        said.push(match &skipped.why {
            pagerow_core::plan::Why::Kept(on) => format!("kept {:?}", side(*on)),
            other => format!("{other:?}"),
        });
    }
    said.sort();
    said
}

fn mirrored_side(side: Side) -> Side {
    side.other()
}

fn mirrored_flow(flow: Flow) -> Flow {
    match flow {
        Flow::Both => Flow::Both,
        Flow::ToNotion => Flow::ToPostgres,
        Flow::ToPostgres => Flow::ToNotion,
        Flow::Paused => Flow::Paused,
    }
}

fn mirrored_policy(policy: Policy) -> Policy {
    match policy {
        Policy::PreferPostgres => Policy::PreferNotion,
        Policy::PreferNotion => Policy::PreferPostgres,
        Policy::Manual | Policy::LastWriteWins => policy,
    }
}

#[test]
fn swapping_the_sides_swaps_the_plan() {
    let states = states();
    let deletions = [
        (OnRowDeleted::Trash, OnPageTrashed::SoftDelete),
        (OnRowDeleted::Keep, OnPageTrashed::Keep),
        (OnRowDeleted::Ask, OnPageTrashed::Ask),
    ];
    for on_conflict in POLICIES {
        for direction in FLOWS {
            for (at, (on_row_deleted, _)) in deletions.iter().enumerate() {
                for (mirror_at, (_, on_page_trashed)) in deletions.iter().enumerate() {
                    for (flow, wins) in [
                        (Flow::Both, None),
                        (Flow::Both, Some(Side::Notion)),
                        (Flow::ToNotion, None),
                        (Flow::ToPostgres, Some(Side::Postgres)),
                    ] {
                        let mut here = Mapping {
                            on_conflict,
                            direction,
                            on_row_deleted: *on_row_deleted,
                            on_page_trashed: *on_page_trashed,
                            ..two_fields()
                        };
                        (here.fields[0].flow, here.fields[0].wins) = (flow, wins);
                        let mut there = Mapping {
                            on_conflict: mirrored_policy(on_conflict),
                            direction: mirrored_flow(direction),
                            on_row_deleted: deletions[mirror_at].0,
                            on_page_trashed: deletions[at].1,
                            ..two_fields()
                        };
                        (there.fields[0].flow, there.fields[0].wins) =
                            (mirrored_flow(flow), wins.map(mirrored_side));
                        for state in &states {
                            let mirrored = State {
                                base: state.base.clone(),
                                row: state.page.clone(),
                                page: state.row.clone(),
                            };
                            // Whole minutes apart: inside one minute the tie is Postgres's.
                            let times = Times { row: START, page: START + 120 };
                            let mirrored_times = Times { row: times.page, page: times.row };
                            let mut world = World::new(here.clone());
                            put(&mut world, state, false, times);
                            let mut mirror = World::new(there.clone());
                            put(&mut mirror, &mirrored, false, mirrored_times);
                            assert_eq!(
                                gist(&world.plan(), false),
                                gist(&mirror.plan(), true),
                                "{state:?} {here:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn inside_one_minute_postgres_wins_on_both_sides_of_the_mirror() {
    let rules = Mapping { on_conflict: Policy::LastWriteWins, ..two_fields() };
    for (row, page, winner) in [
        (START, START, Side::Postgres),
        (START, START + 59, Side::Postgres),
        (START + 59, START, Side::Postgres),
        (START - 1, START, Side::Notion),
        (START - 1, START + 59, Side::Notion),
        (START + 60, START + 59, Side::Postgres),
    ] {
        let mut world = World::new(rules.clone());
        let cells = |text_of: &str| Some([text(text_of), text("a")]);
        let base = Some([Some(text("a")), Some(text("a"))]);
        let state = State { base, row: cells("b"), page: cells("c") };
        put(&mut world, &state, false, Times { row, page });
        let plan = world.plan();
        let sides: Vec<Side> = plan.steps().map(|(_, step)| step.side).collect();
        assert_eq!(sides, [winner.other()], "row {row}, page {page}");
    }
}

#[test]
fn other_names_give_the_same_plan() {
    let rules = two_fields();
    let states = states();
    for (at, first) in states.iter().enumerate() {
        // Each state meets 17 others, spread over all of them.
        for second in states.iter().skip(at % 100).step_by(100) {
            let plan = |one: &State, two: &State| {
                let mut pairs = pairs_of(one, &rules, 0);
                pairs.extend(pairs_of(two, &rules, 1));
                plan_of(&rules, &pairs, &[], World::new(rules.clone()).census())
            };
            let (there, here) = (plan(first, second), plan(second, first));
            assert_eq!(gist(&there, false), gist(&here, false));
        }
    }
    // And other values: a for b and b for a.
    let swap = |value: &Value| match value {
        Value::Text(is) if is == "a" => text("b"),
        Value::Text(is) if is == "b" => text("a"),
        other => other.clone(),
    };
    for state in &states {
        let renamed = State {
            base: state.base.clone().map(|base| base.map(|value| value.as_ref().map(swap))),
            row: state.row.clone().map(|cells| cells.map(|value| swap(&value))),
            page: state.page.clone().map(|cells| cells.map(|value| swap(&value))),
        };
        let plan = |state: &State| {
            plan_of(&rules, &pairs_of(state, &rules, 0), &[], World::new(rules.clone()).census())
        };
        let back =
            |said: String| said.replace("\"a\"", "\"*\"").replace("\"b\"", "\"a\"").replace("\"*\"", "\"b\"");
        let mut again: Vec<String> = gist(&plan(&renamed), false).into_iter().map(back).collect();
        again.sort();
        assert_eq!(gist(&plan(state), false), again);
    }
}

#[test]
fn a_look_by_digest_plans_what_a_look_at_everything_plans() {
    for rules in POLICIES.map(|on_conflict| Mapping { on_conflict, ..two_fields() }) {
        for state in &states() {
            let mut world = World::new(rules.clone());
            put(&mut world, state, false, TIMES[2]);
            let short = world.plan();
            world.by_digest = false;
            assert_eq!(short, world.plan(), "{state:?}");
        }
    }
}

/// Without proof nothing is deleted: not for a record that is unreadable, archived, moved, out of reach or out of the
/// mapping's condition, whatever the other half is and whatever the rules say.
#[test]
fn no_deletion_without_proof() {
    let away = [
        Observation::Unreadable("500".to_owned()),
        Observation::Unchanged,
        Observation::Absent(Absence::Archived),
        Observation::Absent(Absence::Moved),
        Observation::Absent(Absence::Unreachable),
        Observation::Absent(Absence::OutOfScope),
    ];
    for on_row_deleted in ROW_RULES {
        for on_page_trashed in PAGE_RULES {
            for direction in FLOWS {
                let rules = Mapping { on_row_deleted, on_page_trashed, direction, ..two_fields() };
                for state in states().iter().filter(|state| state.base.is_some()) {
                    let mut world = World::new(rules.clone());
                    put(&mut world, state, true, TIMES[0]);
                    for away in &away {
                        for side in [Side::Postgres, Side::Notion] {
                            let mut pairs = world.pairs().0;
                            *pairs[0].seen.of_mut(side) = away.clone();
                            let plan = plan_of(&rules, &pairs, &[], world.census());
                            lint(&rules, &pairs, &plan);
                            let gone = |side: &Observation| {
                                matches!(side, Observation::Absent(Absence::Deleted | Absence::Trashed))
                            };
                            for (_, step) in plan.steps() {
                                let removal = matches!(step.action, Action::Trash | Action::Delete);
                                assert!(!removal || gone(pairs[0].seen.of(step.side.other())));
                                assert!(!removal || step.side != side.other(), "{step:?}");
                            }
                            assert!(
                                !plan.mappings[0].settlements.iter().any(|settled| settled.forget),
                                "forgotten without proof"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The identities are told apart by what they name; a map by name must hold as many as there are.
#[test]
fn every_state_is_there_once() {
    let states = states();
    assert_eq!(states.len(), 1_700);
    let names: BTreeMap<String, &State> = states.iter().map(|state| (format!("{state:?}"), state)).collect();
    assert_eq!(names.len(), states.len());
    let rules = two_fields();
    let (one, two) = (pairs_of(&states[1_000], &rules, 0), pairs_of(&states[1_000], &rules, 1));
    let key = |pairs: &[Pair]| -> (Option<RowKey>, Option<PageId>, Option<i64>) {
        let identity: &Identity = &pairs[0].identity;
        (identity.key().cloned(), identity.page(), identity.link())
    };
    assert_ne!(key(&one), key(&two));
}
