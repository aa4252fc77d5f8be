//! The history of records and a moment → what has to be taken back on each side to be there again.
//!
//! A run writes to one side what somebody did to the other. To go back to a moment, both are taken back: what a step
//! wrote, and the edit that it followed. So the answer is what [`crate::undo::undo`] takes: steps, those of the other
//! side among them as if they had been done, each with what was there at the moment and what has been settled since.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fidelity::{self, Fidelity},
    mapping::Mapping,
    plan::{Action, Because, Expect, FieldWrite, Step},
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
    undo::{Cannot, Done, Left},
    value::Value,
};

/// A step that was done, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    pub done: Done,
    /// After the moment, not before it.
    pub since: bool,
}

/// What has to be taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewinding {
    pub done: Vec<Done>,
    /// Of what the history does not tell enough.
    pub left: Vec<Left>,
}

/// What has to be taken back of one mapping. `past` holds, in order, all that was done to each record to which anything
/// was done since the moment; `settled` the bases of those that are linked.
///
/// A record that was first seen since the moment was not there: whoever asks makes sure that the mapping was synced
/// before it.
#[must_use]
pub fn rewind(mapping: &Mapping, past: Vec<Past>, settled: &BTreeMap<PageId, Sides<Record>>) -> Rewinding {
    let mut out = Rewinding::default();
    let mut records: BTreeMap<PageId, Vec<Past>> = BTreeMap::new();
    for past in past {
        match past.done.step.page {
            Some(page) => records.entry(page).or_default().push(past),
            None => out.left.push(left(&past.done.step, Cannot::NotKept)),
        }
    }
    records.retain(|_, past| past.iter().any(|past| past.since));
    let shared = shared_keys(&records);
    for (page, past) in records {
        let Some(last) = past.last().map(|past| &past.done.step) else { continue };
        // A step that was planned before the row had its key says none.
        let key = past.iter().rev().find_map(|past| past.done.step.key.clone());
        let last = &Step { key, ..last.clone() };
        if last.key.as_ref().is_some_and(|key| shared.contains(key)) {
            // Which of the pages was the row's at the moment takes a person.
            out.left.push(left(last, Cannot::Unlinked));
            continue;
        }
        let tale = Tale::of(mapping, &past, settled.get(&page));
        for side in [Side::Postgres, Side::Notion] {
            tale.take_back(side, last, &mut out);
        }
    }
    for (place, done) in (0..).zip(&mut out.done) {
        done.seq = place;
    }
    out
}

/// Keys under which more than one page went.
fn shared_keys(records: &BTreeMap<PageId, Vec<Past>>) -> BTreeSet<RowKey> {
    let mut owners: BTreeMap<&RowKey, PageId> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for (&page, past) in records {
        for key in past.iter().filter_map(|past| past.done.step.key.as_ref()) {
            if *owners.entry(key).or_insert(page) != page {
                shared.insert(key.clone());
            }
        }
    }
    shared
}

fn left(step: &Step, why: Cannot) -> Left {
    Left { side: step.side, key: step.key.clone(), page: step.page, field: None, why }
}

/// One half of a record, as the journal tells it.
#[derive(Clone, Default)]
struct Half {
    /// `None` while nothing has been told.
    is_there: Option<bool>,
    /// What it holds, or held when it went.
    fields: BTreeMap<usize, Value>,
}

/// What happened to one record, before the moment and since.
struct Tale<'a> {
    then: Sides<Half>,
    now: Sides<Half>,
    /// The row as it was deleted, with what is not mapped.
    whole: Option<&'a String>,
    /// Fields of which something was told since the moment.
    touched: BTreeSet<usize>,
    settled: Option<&'a Sides<Record>>,
}

impl<'a> Tale<'a> {
    fn of(mapping: &Mapping, past: &'a [Past], settled: Option<&'a Sides<Record>>) -> Self {
        let mut then = Sides::<Half>::default();
        let before = past.iter().filter(|past| !past.since);
        before.for_each(|past| follow(&mut then, &past.done));
        let mut now = then.clone();
        let mut tale = Tale { then, now: Sides::default(), whole: None, touched: BTreeSet::new(), settled };
        for Past { done, .. } in past.iter().filter(|past| past.since) {
            let step = &done.step;
            for side in [Side::Postgres, Side::Notion] {
                let there = &mut tale.then.of_mut(side).is_there;
                *there = there.or(was_there(step, side));
            }
            for write in &step.fields {
                // The first that was told since says what was there until then.
                if tale.touched.insert(write.field) {
                    tale.know(mapping, step, write);
                }
            }
            tale.touched.extend(done.shown.keys());
            tale.whole = step.whole.as_ref().or(tale.whole);
            follow(&mut now, done);
        }
        tale.now = now;
        tale
    }

    /// What a field held on both sides before its first write since the moment.
    fn know(&mut self, mapping: &Mapping, step: &Step, write: &FieldWrite) {
        let (side, Some(field)) = (step.side, mapping.fields.get(write.field)) else { return };
        // Where both sides had changed, what was overwritten was itself of a later time.
        if let (Some(before), None) = (&write.before, write.by) {
            self.then.of_mut(side).fields.insert(write.field, before.clone());
        }
        let Some(here) = self.then.of(side).fields.get(&write.field).cloned() else { return };
        let there = self.then.of_mut(side.other());
        let agrees = |there: &Value| match side {
            Side::Postgres => fidelity::agree(&here, there, field),
            Side::Notion => fidelity::agree(there, &here, field),
        };
        if !there.fields.get(&write.field).is_some_and(agrees)
            && let Fidelity::Stored(value) = fidelity::over(side.other(), &here, &Value::Null, field)
        {
            there.fields.insert(write.field, value);
        }
    }

    /// What was done to this side since the moment, as steps.
    fn take_back(&self, side: Side, last: &Step, out: &mut Rewinding) {
        let (then, now) = (self.then.of(side), self.now.of(side));
        let step = |action, fields| Done {
            seq: 0,
            step: Step {
                wave: 0,
                side,
                action,
                link: last.link,
                key: last.key.clone(),
                page: last.page,
                fields,
                mark: false,
                expect: Expect::Nothing,
                source: None,
                because: Because::Edited,
                whole: None,
            },
            shown: BTreeMap::new(),
            inferred: true,
        };
        let (was, is) = (then.is_there.unwrap_or(true), now.is_there.unwrap_or(true));
        if !was {
            if is {
                // What it holds is what is settled of it.
                out.done.push(step(Action::Create, Vec::new()));
            }
            return;
        }
        let mut changed = Vec::new();
        for &field in &self.touched {
            let settled = self.settled.and_then(|settled| settled.of(side).get(field));
            let Some(after) = settled.or_else(|| now.fields.get(&field)) else { continue };
            match then.fields.get(&field) {
                Some(before) if before == after => {}
                Some(before) => changed.push(write(field, Some(before), after)),
                None => {
                    let unknown = left(last, Cannot::NotKept);
                    out.left.push(Left { side, field: Some(field), ..unknown });
                }
            }
        }
        if !changed.is_empty() {
            out.done.push(step(Action::Update, changed));
        }
        if !is {
            let held = now.fields.iter().map(|(&field, held)| write(field, Some(held), &Value::Null));
            let mut removal = step(Action::Trash, held.collect());
            if side == Side::Postgres {
                removal.step.whole = self.whole.cloned();
            }
            out.done.push(removal);
        }
    }
}

fn write(field: usize, before: Option<&Value>, after: &Value) -> FieldWrite {
    FieldWrite {
        field,
        before: before.cloned(),
        after: after.clone(),
        source: None,
        withheld: false,
        by: None,
    }
}

/// Whether this side's half was there before the first step that was told of the record.
fn was_there(step: &Step, side: Side) -> Option<bool> {
    let is_target = step.side == side;
    match (step.because, step.action) {
        (Because::New, Action::Create) => Some(false),
        (Because::Undone, Action::Create | Action::Restore) => is_target.then_some(false),
        (Because::Undone, _) => is_target.then_some(true),
        _ => Some(true),
    }
}

/// What both halves are after a step.
fn follow(halves: &mut Sides<Half>, done: &Done) {
    let step = &done.step;
    let is_removal = matches!(step.action, Action::Trash | Action::Delete);
    halves.of_mut(step.side).is_there = Some(!is_removal);
    // An undo leaves the other half alone.
    let both = step.because != Because::Undone;
    if both {
        halves.of_mut(step.side.other()).is_there = Some(!is_removal);
    }
    for write in &step.fields {
        let (here, there) = match is_removal {
            true => (write.before.as_ref(), write.source.as_ref()),
            false => {
                let shown = done.shown.get(&write.field);
                (shown.or((!write.withheld).then_some(&write.after)), Some(write.source()))
            }
        };
        if let Some(here) = here {
            halves.of_mut(step.side).fields.insert(write.field, here.clone());
        }
        if let (true, Some(there)) = (both, there) {
            halves.of_mut(step.side.other()).fields.insert(write.field, there.clone());
        }
    }
    if !is_removal {
        for (&field, shown) in &done.shown {
            halves.of_mut(step.side).fields.insert(field, shown.clone());
        }
    }
}
