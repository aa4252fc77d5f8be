//! What must be true of every plan, whoever made it: a second opinion that knows the inputs and not the planner.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{Flow, Mapping},
    observation::{Absence, Identity, Observation, Pair},
    plan::{Action, Because, By, ConflictKind, Plan, Step},
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};

type Name = (Option<RowKey>, Option<PageId>);

/// Checks one mapping's plan against the pairs it was made from.
///
/// # Panics
/// When the plan does something it may not.
pub(crate) fn lint(mapping: &Mapping, pairs: &[Pair], plan: &Plan) {
    let part = &plan.mappings[0];
    let by_name: BTreeMap<Name, &Pair> = pairs.iter().map(|pair| (name_of(pair), pair)).collect();
    assert_eq!(by_name.len(), pairs.len(), "two pairs have one name");

    let mut mentioned = BTreeSet::new();
    let mut written = BTreeSet::new();
    let mut contested = BTreeSet::new();
    for step in &part.steps {
        // A page that is made anew for a row whose page is out of reach is another page.
        let remade = |pair: &&Pair| {
            matches!(pair.identity, Identity::Buried(_)) && pair.identity.key() == step.key.as_ref()
        };
        let pair = by_name
            .get(&(step.key.clone(), step.page))
            .or_else(|| by_name.get(&(None, step.page)))
            .copied()
            .or_else(|| pairs.iter().filter(|_| step.action == Action::Create).find(remade))
            .unwrap_or_else(|| panic!("a step for nobody: {step:?}"));
        mentioned.insert(name_of(pair));
        assert!(
            written.insert((name_of(pair), step.side)),
            "two steps for one record on one side: {:?}",
            part.steps
        );
        check_step(mapping, pair, step);
    }
    for settlement in &part.settlements {
        let name = (Some(settlement.key.clone()), Some(settlement.page));
        let pair = by_name.get(&name).unwrap_or_else(|| panic!("a settlement for nobody: {settlement:?}"));
        mentioned.insert(name);
        if settlement.forget {
            for side in [Side::Postgres, Side::Notion] {
                assert!(is_deleted(pair, side), "forgotten, and not gone: {pair:?}");
            }
        }
        for settled in &settlement.fields {
            let agree = fidelity::agree(
                &settled.values.postgres,
                &settled.values.notion,
                &mapping.fields[settled.field],
            );
            assert!(agree, "settled, and not agreed: {settled:?}");
        }
    }
    for conflict in &part.conflicts {
        let name = (conflict.key.clone(), conflict.page);
        let pair = by_name.get(&name).unwrap_or_else(|| panic!("a conflict for nobody: {conflict:?}"));
        mentioned.insert(name.clone());
        match &conflict.kind {
            ConflictKind::Field { field, values, .. } => {
                assert!(contested.insert((name, *field)), "one field, two conflicts");
                // With one base lost, nobody can say that only the other side changed.
                let known = has_base(pair, Side::Postgres, *field) && has_base(pair, Side::Notion, *field);
                for side in [Side::Postgres, Side::Notion] {
                    assert!(
                        !known || !is_same(pair, side, *field),
                        "a conflict without a change in {side}: {conflict:?}"
                    );
                    assert_eq!(now(pair, side, *field), Some(values.of(side)));
                }
            }
            ConflictKind::Deleted { on, .. } => assert!(is_deleted(pair, *on), "asked about no deletion"),
        }
    }
    for parked in &part.parked {
        let name = (parked.key.clone(), parked.page);
        assert!(by_name.contains_key(&name), "parked nobody: {parked:?}");
        mentioned.insert(name.clone());
        if let Some(field) = parked.field {
            assert!(!contested.contains(&(name, field)), "both parked and contested");
        }
    }
    for skipped in &part.skipped {
        mentioned.insert((skipped.key.clone(), skipped.page));
    }
    for step in &part.steps {
        for write in &step.fields {
            let name = (step.key.clone(), step.page);
            assert!(!contested.contains(&(name, write.field)), "both written and contested: {step:?}");
        }
    }
    let silent = pairs.iter().filter(|pair| !mentioned.contains(&name_of(pair))).count() as u64;
    assert_eq!(part.census.unchanged, silent, "each record is mentioned or counted, and not both");
}

fn check_step(mapping: &Mapping, pair: &Pair, step: &Step) {
    let other = step.side.other();
    for side in [Side::Postgres, Side::Notion] {
        assert!(
            !matches!(pair.seen.of(side), Observation::Unreadable(_)),
            "a write to a record that could not be read: {step:?}"
        );
    }
    assert!(mapping.direction.reaches(step.side), "against the mapping's direction: {step:?}");
    match step.action {
        Action::Trash | Action::Delete => {
            assert!(matches!(pair.identity, Identity::Linked(_)), "a deletion of what was never linked");
            assert!(is_deleted(pair, other), "a deletion without proof: {step:?}");
            // In a one-way mapping the receiving side is a mirror, deletions included.
            for field in 0..mapping.fields.len() {
                let kept = is_same(pair, step.side, field) || !mapping.direction.reaches(other);
                assert!(kept, "a deletion of what was edited: {step:?}");
            }
        }
        Action::Restore => {
            assert!(is_deleted(pair, step.side), "a restore of what is there");
            assert!(step.fields.is_empty(), "a restore writes over what nobody saw");
        }
        Action::Create => {
            assert!(now_is_absent(pair, step.side), "made, and there already: {step:?}");
            if matches!(pair.identity, Identity::Linked(_)) {
                assert!(matches!(step.because, Because::EditBeatsDeletion | Because::Answered));
            }
            for write in &step.fields {
                assert!(write.withheld || mapping.fields[write.field].flow.reaches(step.side));
                assert!(!write.withheld || write.after.is_null(), "withheld, and with a value");
            }
        }
        Action::Update => {
            for write in &step.fields {
                let field = &mapping.fields[write.field];
                let flow = field.flow.and(mapping.direction);
                assert!(
                    flow.is_some_and(|flow| flow.reaches(step.side)),
                    "against the field's flow: {step:?}"
                );
                let source = now(pair, other, write.field).cloned().unwrap_or(Value::Null);
                let target = now(pair, step.side, write.field).cloned();
                assert_eq!(*write.source(), source, "the source is what the other side holds");
                assert_eq!(write.before, target, "the value before is what the side holds");
                let held = target.clone().unwrap_or(Value::Null);
                assert_eq!(
                    fidelity::over(step.side, &source, &held, field),
                    Fidelity::Stored(write.after.clone()),
                    "what is written is the other side's value in this side's form"
                );
                let (row, page) = match step.side {
                    Side::Postgres => (target.unwrap_or(Value::Null), source),
                    Side::Notion => (source, target.unwrap_or(Value::Null)),
                };
                assert!(!fidelity::agree(&row, &page, field), "a write where both agree: {step:?}");
                let one_way = flow != Some(Flow::Both);
                let known = has_base(pair, other, write.field) && has_base(pair, step.side, write.field);
                assert!(
                    !known
                        || !is_same(pair, other, write.field)
                        || one_way && !is_same(pair, step.side, write.field),
                    "a write that no change asks for: {step:?}"
                );
                // Formatting alone is no edit that could be lost: the new words keep what they can of it.
                let only_formatted = step.side == Side::Notion
                    && base(pair, Side::Notion, write.field).is_some_and(|base| {
                        fidelity::in_words(base, field) == fidelity::in_words(&page, field)
                    });
                if !is_same(pair, step.side, write.field) && known && !only_formatted {
                    assert_eq!(step.because, Because::Decided, "an edit lost to no rule: {step:?}");
                    assert_eq!(write.by, Some(By::Rule), "nobody says that an edit was lost: {step:?}");
                }
            }
        }
    }
}

fn name_of(pair: &Pair) -> Name {
    (pair.identity.key().cloned(), pair.identity.page())
}

fn is_deleted(pair: &Pair, side: Side) -> bool {
    matches!(pair.seen.of(side), Observation::Absent(Absence::Deleted | Absence::Trashed))
}

fn now_is_absent(pair: &Pair, side: Side) -> bool {
    matches!(pair.seen.of(side), Observation::Absent(_))
}

fn base(pair: &Pair, side: Side, field: usize) -> Option<&Value> {
    match &pair.identity {
        Identity::Linked(link) | Identity::Buried(link) => link.base.of(side).get(field),
        Identity::Adopted { .. } | Identity::Row(_) | Identity::Page(_) => None,
    }
}

fn has_base(pair: &Pair, side: Side, field: usize) -> bool {
    base(pair, side, field).is_some()
}

fn now(pair: &Pair, side: Side, field: usize) -> Option<&Value> {
    match pair.seen.of(side) {
        Observation::Present(sighting) => sighting.record.get(field),
        Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => {
            base(pair, side, field)
        }
    }
}

/// Whether a side is known to hold in a field what was last settled with it.
fn is_same(pair: &Pair, side: Side, field: usize) -> bool {
    base(pair, side, field).is_some_and(|base| now(pair, side, field) == Some(base))
}
