//! A finished run and what is seen now → the plan that takes the run back, and what cannot be taken back.
//!
//! Undo looks at one side at a time: what a run wrote there goes back to what was there before, wherever it still is
//! what the run left. The other side's base stays, so that the two are held apart, quietly, until somebody edits one
//! of them again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    mapping::{ColumnKind, Mapping, PropertyKind},
    observation::{Absence, Identity, Observation, Pair},
    plan::{Action, Because, Census, Expect, FieldWrite, MappingPlan, Step},
    planner::One,
    record::{PageId, Record, RowKey},
    side::Side,
    value::Value,
};

/// A step of the run, as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// Its number in the run.
    pub seq: i32,
    /// With the key and the page that came to be, and with field numbers of the mapping as it is now.
    pub step: Step,
    /// What the record showed when it was written, where that is not what was sent.
    pub shown: BTreeMap<usize, Value>,
    /// Somebody else did it: the journal tells of it only by what followed on the other side.
    pub inferred: bool,
}

/// One mapping's part of an undo.
#[derive(Clone, Debug, PartialEq)]
pub struct Undoing {
    /// Its steps are not yet in waves.
    pub part: MappingPlan,
    pub left: Vec<Left>,
    /// Halves that are already as they were before the run.
    pub already: u64,
}

/// Something that cannot be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    pub side: Side,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The field's number in the mapping; the whole record when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<usize>,
    pub why: Cannot,
}

/// Why something cannot be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cannot {
    /// It is not what the run left any more. `before` is missing where the run made the record.
    EditedSince {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
        after: Value,
        now: Value,
    },
    /// The record is away.
    Away(Absence),
    /// It could not be read.
    Unreadable(String),
    /// The row and the page are not one record any more.
    Unlinked,
    /// Something else stands at the row's key.
    Taken,
    /// The history does not say what was there.
    NotKept,
    /// The mapping does not write to this side any more.
    Direction,
}

/// What the journal keeps beside a step that was done: what the record showed where that is not what was sent, so that
/// an undo can tell whether it was edited since.
#[must_use]
pub fn shown(step: &Step, answer: &Record) -> BTreeMap<usize, Value> {
    let made = matches!(step.action, Action::Create | Action::Restore);
    let removed = matches!(step.action, Action::Trash | Action::Delete);
    let differs = |(field, now): (usize, &Option<Value>)| {
        let now = now.as_ref()?;
        let write = step.fields.iter().find(|write| write.field == field);
        let told = write.map_or(!made, |write| write.after == *now);
        (!told && !removed).then(|| (field, now.clone()))
    };
    answer.values().iter().enumerate().filter_map(differs).collect()
}

/// The plan that takes back `done`, all of one mapping. `pairs` hold what is seen now of every record in it.
#[must_use]
pub fn undo(mapping: &Mapping, census: Census, done: &[Done], pairs: &[Pair]) -> Undoing {
    let mut halves: BTreeMap<Name, Vec<&Done>> = BTreeMap::new();
    let mut out = Undoing { part: empty_part(mapping, census), left: Vec::new(), already: 0 };
    for done in done {
        match Name::of(&done.step) {
            Some(name) => halves.entry(name).or_default().push(done),
            None => out.left.push(left(&done.step, None, Cannot::NotKept)),
        }
    }
    let rows: BTreeMap<&RowKey, &Pair> =
        pairs.iter().filter_map(|pair| Some((pair.identity.key()?, pair))).collect();
    let pages: BTreeMap<PageId, &Pair> =
        pairs.iter().filter_map(|pair| Some((pair.identity.page()?, pair))).collect();
    for (name, mut steps) in halves {
        steps.sort_by_key(|done| done.seq);
        let pair = match &name {
            Name::Row(key) => rows.get(key).copied(),
            Name::Page(page) => pages.get(page).copied(),
        };
        let Some(story) = Story::of(&steps) else { continue };
        let (steps, lefts) = (out.part.steps.len(), out.left.len());
        take_back(mapping, &story, pair, &mut out);
        if out.part.steps.len() == steps && out.left.len() == lefts {
            out.already += 1;
        }
    }
    foresee_other_halves(&mut out.part.steps);
    out
}

/// A half that is put away says what the other half holds by then, which this very plan may change.
fn foresee_other_halves(steps: &mut [Step]) {
    let mut will_hold: BTreeMap<(i64, Side, usize), Value> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.action == Action::Update) {
        let Some(link) = step.link else { continue };
        for write in &step.fields {
            will_hold.insert((link, step.side, write.field), write.after.clone());
        }
    }
    for step in steps.iter_mut().filter(|step| matches!(step.action, Action::Trash | Action::Delete)) {
        let Some(link) = step.link else { continue };
        for write in &mut step.fields {
            if let Some(value) = will_hold.get(&(link, step.side.other(), write.field)) {
                write.source = Some(value.clone());
            }
        }
    }
}

fn empty_part(mapping: &Mapping, census: Census) -> MappingPlan {
    MappingPlan {
        mapping: mapping.name.clone(),
        fingerprint: mapping.fingerprint(),
        columns: mapping.fields.iter().map(|field| field.column.clone()).collect(),
        steps: Vec::new(),
        settlements: Vec::new(),
        conflicts: Vec::new(),
        parked: Vec::new(),
        skipped: Vec::new(),
        census,
    }
}

/// One half of a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Row(RowKey),
    Page(PageId),
}

impl Name {
    fn of(step: &Step) -> Option<Self> {
        match step.side {
            Side::Postgres => step.key.clone().map(Self::Row),
            Side::Notion => step.page.map(Self::Page),
        }
    }
}

/// What a run did to one half, all of its steps together.
struct Story<'a> {
    /// The last step says by which names the record went.
    last: &'a Step,
    was_there: bool,
    is_there: bool,
    /// The action that made or brought back the half, when the run did.
    made: Option<Action>,
    /// Each field that was written: what it held before the first step, and after the last one.
    fields: BTreeMap<usize, Span<'a>>,
    /// The last removal.
    removal: Option<&'a Done>,
}

struct Span<'a> {
    before: Option<&'a Value>,
    after: &'a Value,
}

impl<'a> Story<'a> {
    fn of(steps: &[&'a Done]) -> Option<Self> {
        let (first, last) = (&steps.first()?.step, &steps.last()?.step);
        let makes = |step: &Step| matches!(step.action, Action::Create | Action::Restore);
        let removes = |step: &Step| matches!(step.action, Action::Trash | Action::Delete);
        let mut story = Self {
            last,
            was_there: !makes(first),
            is_there: true,
            made: makes(first).then_some(first.action),
            fields: BTreeMap::new(),
            removal: None,
        };
        for done in steps {
            let step = &done.step;
            if removes(step) {
                (story.is_there, story.removal) = (false, Some(*done));
                continue;
            }
            story.is_there = true;
            for write in &step.fields {
                let after = done.shown.get(&write.field).unwrap_or(&write.after);
                let before = write.before.as_ref();
                let known = story.fields.entry(write.field).or_insert(Span { before, after });
                known.after = after;
                // Of what came back from the trash, nobody knew before what it held.
                if story.made == Some(Action::Restore) {
                    known.before = known.before.or(before);
                }
            }
            if makes(step) {
                for (field, after) in &done.shown {
                    let span = Span { before: None, after };
                    story.fields.entry(*field).and_modify(|known| known.after = after).or_insert(span);
                }
            }
        }
        Some(story)
    }
}

fn left(step: &Step, field: Option<usize>, why: Cannot) -> Left {
    Left { side: step.side, key: step.key.clone(), page: step.page, field, why }
}

fn take_back(mapping: &Mapping, story: &Story<'_>, pair: Option<&Pair>, out: &mut Undoing) {
    let side = story.last.side;
    if story.fields.is_empty() && story.was_there && story.is_there {
        // Only the key property was put right.
        return;
    }
    let Some(pair) = pair else {
        out.left.push(left(story.last, None, Cannot::Unlinked));
        return;
    };
    let one = One::seen(mapping, pair);
    match pair.seen.of(side) {
        Observation::Unreadable(why) => {
            out.left.push(left(story.last, None, Cannot::Unreadable(why.clone())));
        }
        _ if !mapping.direction.reaches(side) => {
            out.left.push(left(story.last, None, Cannot::Direction));
        }
        Observation::Present(_) | Observation::Unchanged => match (story.was_there, story.is_there) {
            (true, true) => fields_back(&one, story, out),
            (false, true) => away_again(&one, story, out),
            // It was brought back meanwhile, or the run itself took away what it had made.
            (_, false) => {}
        },
        Observation::Absent(how) => match (story.was_there, story.removal) {
            (true, Some(removal)) if !story.is_there => back_again(&one, story, removal, *how, out),
            (true, _) => out.left.push(left(story.last, None, Cannot::Away(*how))),
            (false, _) => {}
        },
    }
}

/// Both before the run and after it the half was there: its fields go back.
fn fields_back(one: &One<'_>, story: &Story<'_>, out: &mut Undoing) {
    let side = story.last.side;
    if !matches!(one.pair.identity, Identity::Linked(_)) {
        out.left.push(left(story.last, None, Cannot::Unlinked));
        return;
    }
    let mut writes = Vec::new();
    for (&field, span) in &story.fields {
        let flows = one.mapping.fields.get(field).is_some_and(|field| field.flow.reaches(side));
        let why = match (one.now(side, field), span.before) {
            _ if !flows => Cannot::Direction,
            (_, None) => Cannot::NotKept,
            (None, Some(_)) => Cannot::Unreadable("the field was not read".to_owned()),
            (Some(now), Some(before)) if now == before => continue,
            (Some(now), Some(_)) if now == span.after => {
                writes.extend(back(one, side, field, span));
                continue;
            }
            (Some(now), Some(before)) => Cannot::EditedSince {
                before: Some(before.clone()),
                after: span.after.clone(),
                now: now.clone(),
            },
        };
        out.left.push(left(story.last, Some(field), why));
    }
    if !writes.is_empty() {
        out.part.steps.push(one.step(side, Action::Update, writes, Because::Undone));
    }
}

/// The run made the half or brought it back: it goes again, if it is as the run left it.
fn away_again(one: &One<'_>, story: &Story<'_>, out: &mut Undoing) {
    let side = story.last.side;
    if !matches!(one.pair.identity, Identity::Linked(_)) {
        out.left.push(left(story.last, None, Cannot::Unlinked));
        return;
    }
    let lefts = out.left.len();
    for (number, field) in one.mapping.fields.iter().enumerate() {
        // What Notion computes by itself is nobody's edit.
        if side == Side::Notion && matches!(field.shows, PropertyKind::ReadOnly(_)) {
            continue;
        }
        let settled = one.base(side).and_then(|base| base.get(number));
        let as_left = story.fields.get(&number).map(|span| span.after).or(settled);
        let why = match (one.now(side, number), as_left) {
            (Some(now), Some(after)) if now == after => continue,
            (Some(now), Some(after)) => {
                Cannot::EditedSince { before: None, after: after.clone(), now: now.clone() }
            }
            (None, _) => Cannot::Unreadable("the field was not read".to_owned()),
            (Some(_), None) => Cannot::NotKept,
        };
        out.left.push(left(story.last, Some(number), why));
    }
    if out.left.len() > lefts {
        return;
    }
    let action = match (side, story.made) {
        (Side::Postgres, Some(Action::Create)) => Action::Delete,
        (Side::Postgres | Side::Notion, _) => Action::Trash,
    };
    let mut step = Step { because: Because::Undone, ..one.removal(side, action) };
    for write in &mut step.fields {
        write.source = one.now(side.other(), write.field).cloned();
    }
    // A half that was brought back and then written to goes as it was when it came.
    let writes: Vec<FieldWrite> =
        story.fields.iter().filter_map(|(&field, span)| back(one, side, field, span)).collect();
    if !writes.is_empty() {
        let mut then =
            Record::new((0..one.mapping.fields.len()).map(|at| one.now(side, at).cloned()).collect());
        for write in &writes {
            then.set(write.field, Some(write.after.clone()));
            let kept = step.fields.iter_mut().filter(|kept| kept.field == write.field);
            kept.for_each(|kept| kept.before = Some(write.after.clone()));
        }
        step.expect = Expect::Seen(one.content_of(side, &then));
        out.part.steps.push(one.step(side, Action::Update, writes, Because::Undone));
    }
    out.part.steps.push(step);
}

/// The run took the half away: it comes back as it was.
fn back_again(one: &One<'_>, story: &Story<'_>, removal: &Done, how: Absence, out: &mut Undoing) {
    let Done { step: removal, inferred, .. } = removal;
    let side = removal.side;
    let mut leave = |why| out.left.push(left(removal, None, why));
    if (one.pair.identity.key(), one.pair.identity.page()) != (removal.key.as_ref(), removal.page) {
        return leave(Cannot::Unlinked);
    }
    let action = match (removal.action, how) {
        (Action::Delete, Absence::Deleted) => Action::Create,
        // Somebody deleted the row; how, nobody said.
        (_, Absence::Deleted) if *inferred && side == Side::Postgres => Action::Create,
        (Action::Delete, _) => return leave(Cannot::Taken),
        (_, Absence::Trashed) => Action::Restore,
        (_, how) => return leave(Cannot::Away(how)),
    };
    if action == Action::Create && removal.whole.is_none() && !inferred {
        return leave(Cannot::NotKept);
    }
    let mut fields = Vec::new();
    for write in &removal.fields {
        let Some(held) = &write.before else { continue };
        let before = story.fields.get(&write.field).and_then(|span| span.before).unwrap_or(held);
        let joins = one
            .mapping
            .fields
            .get(write.field)
            .is_some_and(|field| matches!(field.holds, ColumnKind::References { .. }));
        // The row or page has it already when it comes back; only its pairs in a join table went with a row.
        let by_itself = action == Action::Restore || (removal.whole.is_some() && !joins);
        let withheld = before == held && by_itself;
        fields.push(FieldWrite {
            field: write.field,
            before: (action == Action::Restore && !withheld).then(|| held.clone()),
            after: before.clone(),
            source: one
                .base(side.other())
                .and_then(|base| base.get(write.field))
                .or(write.source.as_ref())
                .cloned(),
            withheld,
            by: None,
        });
    }
    let mut step = one.step(side, action, fields, Because::Undone);
    if action == Action::Create {
        step.expect = Expect::Nothing;
        step.whole.clone_from(&removal.whole);
    }
    out.part.steps.push(step);
}

/// The write that takes a field back, where it would change anything.
fn back(one: &One<'_>, side: Side, field: usize, span: &Span<'_>) -> Option<FieldWrite> {
    let (now, before) = (one.now(side, field)?, span.before?);
    (now != before).then(|| FieldWrite {
        field,
        before: Some(now.clone()),
        after: before.clone(),
        source: other_base(one, side, field),
        withheld: false,
        by: None,
    })
}

/// What the other side was last settled with; what it holds, where nobody knows that.
fn other_base(one: &One<'_>, side: Side, field: usize) -> Option<Value> {
    let settled = one.base(side.other()).and_then(|base| base.get(field));
    settled.or_else(|| one.now(side.other(), field)).cloned()
}
