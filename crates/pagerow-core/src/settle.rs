//! Turning an outcome into new bases: the only way in which a base ever changes.

use crate::{
    fidelity,
    mapping::{Mapping, PropertyKind},
    mutant::{self, Mutant},
    plan::{Action, Because, By, Settlement, Step},
    record::Record,
    side::{Side, Sides},
    value::Value,
};

/// The bases after a step was done and `answer` is what its side then showed. `left_out` are fields that could not be
/// written yet because what they refer to does not exist: in a record that was there before, their bases stay.
///
/// Only the step's own fields are settled: what else the answer shows may be somebody's edit, and the next look
/// tells. Notion's form of a value is taken as it came, which absorbs whatever Notion rounds. A row that came back
/// with another value than was sent was changed by its database (a trigger); the base is then what was sent, so
/// that the change goes to the page.
#[must_use]
pub fn after_step(
    mapping: &Mapping,
    step: &Step,
    answer: &Record,
    mut base: Sides<Record>,
    left_out: &[usize],
) -> Sides<Record> {
    // What a deletion carries is for the history. An undone one leaves the other half alone, as it is now: only an edit
    // from here on brings this half back.
    let wrote = match step.action {
        Action::Create | Action::Update | Action::Restore => step.fields.as_slice(),
        Action::Trash | Action::Delete => {
            for write in step.fields.iter().filter(|_| step.because == Because::Undone) {
                if let Some(source) = &write.source {
                    base.of_mut(step.side.other()).set(write.field, Some(source.clone()));
                }
            }
            &[]
        }
    };
    for write in wrote {
        if left_out.contains(&write.field) {
            if step.action != Action::Create {
                continue;
            }
            // As if both sides had been empty: the next plan takes the reference over.
            base.postgres.set(write.field, Some(Value::Null));
            base.notion.set(write.field, Some(Value::Null));
            continue;
        }
        let Some(field) = mapping.fields.get(write.field) else { continue };
        let Some(shown) = answer.get(write.field) else { continue };
        let source = write.source();
        let settled = match step.side {
            _ if write.withheld => &write.after,
            // The row's new value has to count as an edit, also where it is what the base had.
            Side::Postgres if write.by == Some(By::Typed) => write.before.as_ref().unwrap_or(&Value::Null),
            Side::Notion => shown,
            Side::Postgres if *shown == write.after => shown,
            Side::Postgres if fidelity::agree(shown, source, field) => shown,
            Side::Postgres if matches!(field.shows, PropertyKind::Body) => shown,
            // What a trigger makes of it goes nowhere: to write it again would never end.
            Side::Postgres if !field.flow.reaches(Side::Notion) && !mutant::is(Mutant::TriggersEcho) => shown,
            Side::Postgres => &write.after,
        };
        base.of_mut(step.side).set(write.field, Some(settled.clone()));
        let other = base.of_mut(step.side.other());
        if mutant::is(Mutant::OneBase) {
            continue;
        }
        if step.because != Because::Undone {
            other.set(write.field, Some(source.clone()));
        } else if other.get(write.field).is_none() {
            // An undo is between one side and its own past: the other side's base stays, and the two are held apart.
            // Only a link that was forgotten gets it back.
            other.set(write.field, write.source.clone());
        }
    }
    base
}

/// What Notion would have answered to a write, from what the page shows some time after it. A value that is another one
/// by now was edited since, which must go on counting as an edit. How Notion writes a body down only it can say: one
/// that has the words that were sent is taken as it is shown.
#[must_use]
pub fn as_answered(mapping: &Mapping, step: &Step, shown: &Record) -> Record {
    let mut answer = shown.clone();
    for write in step.fields.iter().filter(|write| !write.withheld) {
        let Some(value) = shown.get(write.field) else { continue };
        let is_body =
            mapping.fields.get(write.field).is_some_and(|field| matches!(field.shows, PropertyKind::Body));
        if !(is_body && says_the_same(value, &write.after)) {
            answer.set(write.field, Some(write.after.clone()));
        }
    }
    answer
}

/// What becomes of a record's link once a step on it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAfter {
    /// Both halves are gone.
    Forgotten,
    /// It stays, or is made; the half on this side is away on purpose.
    Kept { apart: Option<Side> },
}

/// What becomes of the link. `apart` is what the link said before; `None` where there was no link.
#[must_use]
pub fn link_after(step: &Step, apart: Option<Option<Side>>) -> LinkAfter {
    let other = step.side.other();
    match (step.because, step.action, apart) {
        (Because::Undone, Action::Trash | Action::Delete, Some(Some(away))) if away == other => {
            LinkAfter::Forgotten
        }
        (Because::Undone, Action::Trash | Action::Delete, _) => LinkAfter::Kept { apart: Some(step.side) },
        // The link was forgotten with its second half, and that one is still away.
        (Because::Undone, Action::Create | Action::Restore, None) => LinkAfter::Kept { apart: Some(other) },
        (Because::Undone, _, Some(Some(away))) if away == other => LinkAfter::Kept { apart: Some(other) },
        (_, Action::Trash | Action::Delete, _) => LinkAfter::Forgotten,
        (_, Action::Create | Action::Update | Action::Restore, _) => LinkAfter::Kept { apart: None },
    }
}

/// The bases after the sides were found to agree.
#[must_use]
pub fn after_agreement(settlement: &Settlement, mut base: Sides<Record>) -> Sides<Record> {
    for settled in &settlement.fields {
        base.postgres.set(settled.field, Some(settled.values.postgres.clone()));
        base.notion.set(settled.field, Some(settled.values.notion.clone()));
    }
    base
}

/// Whether two bodies have the same letters and digits in the same order, whatever marks, tags and spaces are between.
fn says_the_same(one: &Value, other: &Value) -> bool {
    fn text(value: &Value) -> Option<&str> {
        match value {
            Value::Null => Some(""),
            Value::Markdown(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }
    fn letters(text: &str) -> impl Iterator<Item = char> {
        let mut in_tag = false;
        text.chars().filter(move |letter| {
            in_tag = (in_tag || *letter == '<') && *letter != '>';
            !in_tag && letter.is_alphanumeric()
        })
    }
    match (text(one), text(other)) {
        (Some(one), Some(other)) => letters(one).eq(letters(other)),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        mapping::{ColumnKind, Field, Flow, KeySource, OnPageTrashed, OnRowDeleted, Policy},
        plan::{Expect, FieldWrite},
    };

    fn mapping() -> Mapping {
        let mapping = "things".to_owned();
        Mapping {
            name: mapping.clone(),
            fields: vec![Field {
                column: "boss".to_owned(),
                property: "Boss".to_owned(),
                property_id: "b".to_owned(),
                holds: ColumnKind::Reference { mapping: mapping.clone() },
                shows: PropertyKind::Relation { mapping, single: true },
                required: false,
                flow: Flow::Both,
                wins: None,
                labels: std::collections::BTreeMap::new(),
                lens: None,
            }],
            direction: Flow::Both,
            on_conflict: Policy::Manual,
            on_row_deleted: OnRowDeleted::Trash,
            on_page_trashed: OnPageTrashed::Ask,
            match_on: Vec::new(),
            key: KeySource::Generated,
            key_property: false,
        }
    }

    fn step(action: Action) -> Step {
        Step {
            wave: 0,
            side: Side::Notion,
            action,
            link: Some(1),
            key: Some("1".into()),
            page: None,
            fields: vec![FieldWrite {
                field: 0,
                before: None,
                after: Value::Bool(true),
                source: None,
                withheld: false,
                by: None,
            }],
            mark: false,
            expect: Expect::Seen(Digest::of(b"")),
            source: None,
            because: Because::Edited,
            whole: None,
        }
    }

    /// Emptied bases beside a page that still shows its old reference would make a conflict out of one edit.
    #[test]
    fn a_reference_left_out_of_an_old_record_keeps_its_bases() {
        let old = || Record::new(vec![Some(Value::Bool(false))]);
        let base = Sides { postgres: old(), notion: old() };
        assert_eq!(after_step(&mapping(), &step(Action::Update), &old(), base.clone(), &[0]), base);
        let made = after_step(&mapping(), &step(Action::Create), &old(), base, &[0]);
        assert_eq!(made.postgres.get(0), Some(&Value::Null));
    }

    #[test]
    fn a_deletion_settles_nothing() {
        let old = || Record::new(vec![Some(Value::Bool(false))]);
        let base = Sides { postgres: old(), notion: old() };
        for removal in [Action::Trash, Action::Delete] {
            assert_eq!(after_step(&mapping(), &step(removal), &old(), base.clone(), &[]), base);
        }
    }

    #[test]
    fn a_body_is_taken_as_it_is_shown_and_an_edit_since_is_not() {
        let mut mapping = mapping();
        mapping.fields[0].shows = PropertyKind::Body;
        let of = |text: &str| Value::Markdown(text.to_owned());
        let shown = |after: &Value, text: Value| {
            let mut step = step(Action::Create);
            step.fields[0].after = after.clone();
            as_answered(&mapping, &step, &Record::new(vec![Some(text)])).get(0).cloned()
        };
        let sent = of("# One\n\n* two_three");
        let as_notion_has_it = of("# One\n<empty-block/>\n- two\\_three");
        assert_eq!(shown(&sent, as_notion_has_it.clone()), Some(as_notion_has_it), "only the form differs");
        assert_eq!(shown(&sent, of("# One\n- two and more")), Some(sent), "somebody was at it");
        assert_eq!(shown(&Value::Null, of("new")), Some(Value::Null), "it was sent empty");
        assert_eq!(shown(&Value::Null, of("")), Some(of("")), "empty it is");
    }
}
