//! One record: from its two observations to entries of the plan.

use std::{borrow::Cow, collections::BTreeSet};

use jiff::Timestamp;

use super::{Entries, NONE, Unpaged};
use crate::{
    answer::{Answers, Take, Whole},
    change::{Change, change},
    decide::{Decision, Known, State, decide},
    digest::Digest,
    fidelity::{self, Fidelity, Reason},
    mapping::{Field, KeySource, Mapping},
    merge::{Merged, compare, merge, take},
    mutant::{self, Mutant},
    observation::{Absence, Identity, Observation, Pair, Sighting},
    plan::{
        Action, Because, By, Conflict, ConflictKind, Expect, FieldWrite, Parked, Settled, Settlement,
        Skipped, Step, Why,
    },
    record::{Record, RowKey},
    recovery::recover,
    side::{Side, Sides},
    value::{Ref, Value},
};

/// Plans one record; adds nothing when there is nothing to do and nothing to say.
pub(super) fn plan_record(
    mapping: &Mapping,
    pair: &Pair,
    answers: &Answers,
    mode: Mode<'_>,
    out: &mut Entries,
) {
    let one = One { mapping, pair, answers, mode };
    let decision = match mode.recovering {
        Some(side) => recover(side, one.known(), one.states()),
        None => one.answered(one.careful(decide(one.known(), one.states(), mapping))),
    };
    match decision {
        // Both halves are as they were, but the page lost the row's key.
        Decision::Quiet if one.known() == Known::Linked && one.unmarked() => one.merge(out),
        Decision::Quiet => {}
        Decision::Merge => one.merge(out),
        Decision::Create(side, because) => match one.held_back(side) {
            Some(column) => one.skip(Why::Paused { column }, out),
            None => one.create(side, because, out),
        },
        Decision::Restore(side, because) => one.restore(side, because, out),
        // Nobody sees what the other half holds in a paused field: an edit there would beat the deletion.
        Decision::Trash(_) | Decision::Delete if mapping.paused().next().is_some() => {
            let column = mapping.paused().next().map(|field| field.column.clone()).unwrap_or_default();
            one.skip(Why::Paused { column }, out);
        }
        Decision::Trash(side) => out.steps.push(one.removal(side, Action::Trash)),
        Decision::Delete => out.steps.push(one.removal(Side::Postgres, Action::Delete)),
        Decision::Ask(on, how) => out.conflicts.push(one.conflict(ConflictKind::Deleted { on, how })),
        Decision::Forget => {
            if let Identity::Linked(link) = &pair.identity {
                out.settlements.push(Settlement {
                    link: Some(link.id),
                    key: link.key.clone(),
                    page: link.page,
                    fields: Vec::new(),
                    forget: true,
                    raise: false,
                });
            }
        }
        Decision::Skip(why) => one.skip(why, out),
    }
}

/// By which rules a record is planned, beside the mapping's.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'a> {
    /// Where a base is unknown, it was lost.
    pub(crate) lost: bool,
    /// The side that is being rebuilt from the other one.
    pub(crate) recovering: Option<Side>,
    /// Rows whose pages are gone for good.
    pub(crate) unpaged: &'a Unpaged,
}

impl Default for Mode<'_> {
    fn default() -> Self {
        Self { lost: false, recovering: None, unpaged: NONE }
    }
}

/// One record with what is known of it.
pub(crate) struct One<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) pair: &'a Pair,
    pub(crate) answers: &'a Answers,
    pub(crate) mode: Mode<'a>,
}

impl<'a> One<'a> {
    /// One record as it was seen, for which nobody has answers.
    pub(crate) fn seen(mapping: &'a Mapping, pair: &'a Pair) -> Self {
        const NOTHING: &Answers =
            &Answers { fields: std::collections::BTreeMap::new(), whole: None, waits: false };
        Self { mapping, pair, answers: NOTHING, mode: Mode::default() }
    }

    fn known(&self) -> Known {
        match &self.pair.identity {
            Identity::Linked(link) => link.apart.map_or(Known::Linked, Known::Apart),
            Identity::Buried(_) => Known::Buried,
            Identity::Adopted { .. } => Known::Adopted,
            Identity::Row(_) => Known::Row,
            Identity::Page(_) => Known::Page,
        }
    }

    /// The decision as the lack of a base leaves it: whether a half that is gone was deleted since the two were last
    /// equal, or the other one came back from the past, cannot be told.
    fn careful(&self, decision: Decision) -> Decision {
        if !self.mode.lost || self.has_bases() {
            return decision;
        }
        let ask = |on: Side| match self.pair.seen.of(on) {
            Observation::Absent(how) => Decision::Ask(on, *how),
            Observation::Unchanged | Observation::Present(_) | Observation::Unreadable(_) => {
                Decision::Skip(Why::Unreadable(on, "its base was lost, and it was not looked at".to_owned()))
            }
        };
        match decision {
            Decision::Trash(side) => ask(side.other()),
            Decision::Delete => ask(Side::Notion),
            Decision::Restore(side, _) => ask(side),
            Decision::Create(side, _) if self.pair.identity.link().is_some() => ask(side),
            Decision::Quiet
            | Decision::Merge
            | Decision::Create(..)
            | Decision::Ask(..)
            | Decision::Forget
            | Decision::Skip(_) => decision,
        }
    }

    /// Whether every field that is seen has a base on both sides.
    fn has_bases(&self) -> bool {
        (0..self.mapping.fields.len()).all(|field| self.has_base(field))
    }

    fn has_base(&self, field: usize) -> bool {
        [Side::Postgres, Side::Notion]
            .iter()
            .all(|side| self.base(*side).is_some_and(|base| base.get(field).is_some()))
    }

    /// The decision as a person's answer, or the lack of a second look, leaves it.
    fn answered(&self, decision: Decision) -> Decision {
        match (decision, self.answers.whole) {
            (Decision::Trash(side), _) if self.answers.waits => Decision::Skip(Why::JustGone(side.other())),
            (Decision::Delete, _) if self.answers.waits => Decision::Skip(Why::JustGone(Side::Notion)),
            (Decision::Ask(on, _), Some(Whole::Leave)) => Decision::Skip(Why::Kept(on.other())),
            (Decision::Ask(on, how), Some(Whole::Keep { side, removal })) => match (on, how, removal) {
                (Side::Postgres, _, _) if side == on => Decision::Trash(Side::Notion),
                (Side::Notion, _, Action::Delete) if side == on => Decision::Delete,
                (Side::Notion, _, _) if side == on => Decision::Trash(Side::Postgres),
                (Side::Postgres, Absence::Deleted, _) => Decision::Create(on, Because::Answered),
                (_, _, _) => Decision::Restore(on, Because::Answered),
            },
            (decision, _) => decision,
        }
    }

    fn states(&self) -> Sides<State<'a>> {
        Sides { postgres: self.state(Side::Postgres), notion: self.state(Side::Notion) }
    }

    fn state(&self, side: Side) -> State<'a> {
        match self.pair.seen.of(side) {
            Observation::Unchanged if self.is_unsure(side) => {
                State::Unreadable("it was not looked at, and its base is not whole")
            }
            Observation::Unchanged => State::Same,
            Observation::Absent(absence) => State::Away(*absence),
            Observation::Unreadable(why) => State::Unreadable(why),
            Observation::Present(_) if self.is_unsure(side) => State::Unreadable("it was read only in part"),
            Observation::Present(sighting) => {
                let same = match &self.pair.identity {
                    Identity::Linked(link) | Identity::Buried(link) => {
                        let base = link.base.of(side);
                        let fields = 0..self.mapping.fields.len();
                        fields.into_iter().all(|f| match sighting.record.get(f) {
                            Some(now) => change(base.get(f), now) == Change::Same,
                            None => true,
                        })
                    }
                    Identity::Adopted { .. } | Identity::Row(_) | Identity::Page(_) => false,
                };
                if same { State::Same } else { State::Changed }
            }
        }
    }

    /// Whether a deletion on the other side would rest on less than the whole record: on a base that is not whole
    /// where nobody looked, or on a look that did not see every field.
    fn is_unsure(&self, side: Side) -> bool {
        let Identity::Linked(link) = &self.pair.identity else { return false };
        let basis = self.sighting(side).map_or(link.base.of(side), |sighting| &sighting.record);
        matches!(self.pair.seen.of(side.other()), Observation::Absent(_))
            && self
                .mapping
                .fields
                .iter()
                .enumerate()
                .any(|(number, field)| !field.is_paused() && basis.get(number).is_none())
    }

    fn skip(&self, why: Why, out: &mut Entries) {
        let identity = &self.pair.identity;
        out.skipped.push(Skipped { key: identity.key().cloned(), page: identity.page(), why });
    }

    /// The paused field without which nothing can be made on this side: a column that must be filled, a part of the
    /// key, or of what tells for the first time which row is which page.
    fn held_back(&self, side: Side) -> Option<String> {
        let names = |place: &usize| match &self.mapping.key {
            KeySource::Fields(places) if side == Side::Postgres => places.contains(place),
            _ => false,
        };
        let needed = |(place, field): &(usize, &Field)| {
            field.is_paused()
                && (self.mapping.match_on.contains(place)
                    || names(place)
                    || (side == Side::Postgres && field.required))
        };
        let mut fields = self.mapping.fields.iter().enumerate();
        fields.find(needed).map(|(_, field)| field.column.clone())
    }

    fn sighting(&self, side: Side) -> Option<&'a Sighting> {
        match self.pair.seen.of(side) {
            Observation::Present(sighting) => Some(sighting),
            Observation::Unchanged | Observation::Absent(_) | Observation::Unreadable(_) => None,
        }
    }

    pub(crate) fn base(&self, side: Side) -> Option<&'a Record> {
        match &self.pair.identity {
            Identity::Linked(link) | Identity::Buried(link) => Some(link.base.of(side)),
            Identity::Adopted { .. } | Identity::Row(_) | Identity::Page(_) => None,
        }
    }

    /// What the side holds in a field now, as far as is known: as seen, else as last settled.
    pub(crate) fn now(&self, side: Side, field: usize) -> Option<&'a Value> {
        match self.sighting(side) {
            Some(sighting) => sighting.record.get(field),
            None => self.base(side)?.get(field),
        }
    }

    /// Whether the page should carry the row's key and was seen without it.
    fn unmarked(&self) -> bool {
        !mutant::is(Mutant::NoMark)
            && self.mapping.key_property
            && self.mapping.direction.reaches(Side::Notion)
            && match (self.pair.identity.key(), self.sighting(Side::Notion)) {
                // A page cannot be marked with nothing.
                (Some(key), Some(page)) => {
                    let other = page.marker.as_deref() != Some(key.as_str());
                    // Whose the page is by now, a memory from the past does not know.
                    let is_free = !self.mode.lost || page.marker.is_none() || self.has_bases();
                    !key.as_str().is_empty() && other && is_free
                }
                _ => false,
            }
    }

    fn edited(&self) -> Sides<Option<Timestamp>> {
        let of = |side| self.sighting(side).and_then(|sighting| sighting.edited);
        Sides { postgres: of(Side::Postgres), notion: of(Side::Notion) }
    }

    fn authors(&self) -> Sides<Option<String>> {
        let of = |side| self.sighting(side).and_then(|sighting| sighting.by.clone());
        Sides { postgres: of(Side::Postgres), notion: of(Side::Notion) }
    }

    /// What a side must still look like for a write to it to go ahead.
    fn expect(&self, side: Side) -> Expect {
        match self.pair.seen.of(side) {
            Observation::Present(sighting) => Expect::Seen(sighting.digest),
            Observation::Absent(absence) => Expect::Absent(*absence),
            Observation::Unchanged | Observation::Unreadable(_) => {
                self.content(side).map_or(Expect::Nothing, Expect::Seen)
            }
        }
    }

    /// A side's content in short: as seen, else as settled. What is not there has none.
    fn content(&self, side: Side) -> Option<Digest> {
        match self.pair.seen.of(side) {
            Observation::Present(sighting) => Some(sighting.digest),
            Observation::Unchanged | Observation::Unreadable(_) => {
                Some(self.content_of(side, self.base(side)?))
            }
            Observation::Absent(_) => None,
        }
    }

    /// A record's content in short, as this side would show it: with the marker that it carries, else should carry.
    pub(crate) fn content_of(&self, side: Side, record: &Record) -> Digest {
        let marker = match (side, self.sighting(side)) {
            (Side::Notion, Some(page)) if self.mapping.key_property => page.marker.as_deref(),
            (Side::Notion, None) if self.mapping.key_property => self.pair.identity.key().map(RowKey::as_str),
            (Side::Notion | Side::Postgres, _) => None,
        };
        Digest::of_record(self.mapping, record, marker, &mut Vec::new())
    }

    pub(crate) fn step(&self, side: Side, action: Action, fields: Vec<FieldWrite>, because: Because) -> Step {
        Step {
            wave: 0,
            side,
            action,
            link: self.pair.identity.link(),
            key: self.pair.identity.key().cloned(),
            page: self.pair.identity.page(),
            fields,
            mark: false,
            expect: self.expect(side),
            source: self.content(side.other()),
            because,
            whole: None,
        }
    }

    fn conflict(&self, kind: ConflictKind) -> Conflict {
        Conflict {
            link: self.pair.identity.link(),
            key: self.pair.identity.key().cloned(),
            page: self.pair.identity.page(),
            kind,
            edited: self.edited(),
            authors: self.authors(),
        }
    }

    fn parked(&self, side: Side, field: Option<usize>, reason: Reason, value: Option<&Value>) -> Parked {
        Parked {
            link: self.pair.identity.link(),
            key: self.pair.identity.key().cloned(),
            page: self.pair.identity.page(),
            side,
            field,
            reason,
            value: value.cloned(),
        }
    }

    fn merge(&self, out: &mut Entries) {
        let mut writes = Sides::<Vec<FieldWrite>>::default();
        let mut decided = Sides::<Option<By>>::default();
        let mut settled = Vec::new();
        for (number, field) in self.mapping.fields.iter().enumerate().filter(|(_, field)| !field.is_paused())
        {
            let (row, page) = match (self.now(Side::Postgres, number), self.now(Side::Notion, number)) {
                (Some(row), Some(page)) => (row, page),
                (Some(row), None) => {
                    self.one_half(number, Side::Postgres, row, out);
                    continue;
                }
                (None, Some(page)) => {
                    self.one_half(number, Side::Notion, page, out);
                    continue;
                }
                (None, None) => continue,
            };
            let Some(field) = self.directed(field) else { continue };
            let field = field.as_ref();
            let base = Sides {
                postgres: self.base(Side::Postgres).and_then(|base| base.get(number)),
                notion: self.base(Side::Notion).and_then(|base| base.get(number)),
            };
            let now = Sides { postgres: row, notion: page };
            let merged = if self.mode.lost && !self.has_base(number) {
                compare(field, now)
            } else if let Some(had) = self.lost_relatives(field, base.notion, page) {
                let before = Sides { postgres: row, notion: had };
                match merge(field, self.mapping.on_conflict, base, before, self.edited()) {
                    Merged::Quiet | Merged::Settle => match fidelity::on(Side::Notion, row, field) {
                        Fidelity::Stored(after) => Merged::Write { to: Side::Notion, after, decided: false },
                        Fidelity::Unstorable(reason) => Merged::Park { to: Side::Notion, reason },
                    },
                    merged => merged,
                }
            } else {
                merge(field, self.mapping.on_conflict, base, now, self.edited())
            };
            let answer = self.answers.fields.get(&number).filter(|_| merged == Merged::Conflict);
            let (merged, person) = match answer {
                Some(Take::Keep(side)) => (take(field, *side, now), true),
                Some(Take::Leave) => (Merged::Settle, true),
                Some(Take::Value(value)) => {
                    // The page's value is settled with the page, and the row's edit goes there next.
                    writes.postgres.push(FieldWrite {
                        field: number,
                        before: Some(row.clone()),
                        after: value.clone(),
                        source: Some(page.clone()),
                        withheld: false,
                        by: Some(By::Typed),
                    });
                    decided.postgres = Some(By::Typed);
                    continue;
                }
                None => (merged, false),
            };
            match merged {
                Merged::Quiet => {}
                Merged::Settle => settled.push(Settled {
                    field: number,
                    values: Sides { postgres: row.clone(), notion: page.clone() },
                }),
                Merged::Write { to, after, decided: is_contested } => {
                    let source = now.of(to.other());
                    let source = (**source != after).then(|| (*source).clone());
                    let by = match (is_contested, person) {
                        (false, _) => None,
                        (true, false) => Some(By::Rule),
                        (true, true) => Some(By::Person),
                    };
                    writes.of_mut(to).push(FieldWrite {
                        field: number,
                        before: Some((*now.of(to)).clone()),
                        after,
                        source,
                        withheld: false,
                        by,
                    });
                    *decided.of_mut(to) = by.max(*decided.of(to));
                }
                Merged::Conflict => out.conflicts.push(self.conflict(ConflictKind::Field {
                    field: number,
                    base: Sides { postgres: base.postgres.cloned(), notion: base.notion.cloned() },
                    values: Sides { postgres: row.clone(), notion: page.clone() },
                })),
                Merged::Park { to, reason } => {
                    out.parked.push(self.parked(to, Some(number), reason, Some(now.of(to.other()))));
                }
            }
        }
        // Nobody has met before, or one half was away on purpose and is back.
        let met = matches!(self.known(), Known::Adopted | Known::Apart(_));
        let raise = matches!(self.pair.identity, Identity::Buried(_));
        if (met || raise || !settled.is_empty())
            && let (Some(key), Some(page)) = (self.pair.identity.key(), self.pair.identity.page())
        {
            out.settlements.push(Settlement {
                link: self.pair.identity.link(),
                key: key.clone(),
                page,
                fields: settled,
                forget: false,
                raise,
            });
        }
        let unmarked = self.unmarked();
        for side in [Side::Postgres, Side::Notion] {
            let mut fields = std::mem::take(writes.of_mut(side));
            if self.mode.recovering.is_some_and(|recovered| recovered != side) {
                // The next sync's business.
                fields.clear();
            }
            let mark = side == Side::Notion && unmarked;
            if fields.is_empty() && !mark {
                continue;
            }
            let because = match (fields.is_empty(), decided.of(side)) {
                (true, _) => Because::Unmarked,
                (false, None) => Because::Edited,
                (false, Some(By::Rule)) => Because::Decided,
                (false, Some(By::Person | By::Typed)) => Because::Answered,
            };
            let mut step = self.step(side, Action::Update, fields, because);
            step.mark = mark;
            out.steps.push(step);
        }
    }

    /// Of one field only one side is known. A change there waits, and says so.
    fn one_half(&self, field: usize, side: Side, now: &Value, out: &mut Entries) {
        let settled = self.base(side).and_then(|base| base.get(field));
        if change(settled, now) == Change::Same || !self.mapping.fields[field].flow.reaches(side.other()) {
            return;
        }
        let why = format!("“{}” was not read", self.mapping.fields[field].column);
        out.skipped.push(Skipped {
            key: self.pair.identity.key().cloned(),
            page: self.pair.identity.page(),
            why: Why::Unreadable(side.other(), why),
        });
    }

    /// What a relation said before pages that it names were gone for good; `None` where it names none. Notion may go on
    /// naming them or not.
    fn lost_relatives<'v>(
        &self,
        field: &Field,
        base: Option<&'v Value>,
        page: &'v Value,
    ) -> Option<&'v Value> {
        let unpaged = self.mode.unpaged.get(field.related()?)?;
        let is_lost = |reference: &&Ref| match reference {
            Ref::Row(key) => unpaged.contains(key),
            Ref::Page(_) => false,
        };
        let has = references(page);
        let had = base.map(references).unwrap_or_default();
        if had != has && has.is_subset(&had) && had.difference(&has).all(is_lost) {
            return base;
        }
        has.iter().any(is_lost).then_some(page)
    }

    /// The field as the mapping's direction leaves it; `None` when they exclude each other.
    fn directed<'f>(&self, field: &'f Field) -> Option<Cow<'f, Field>> {
        let flow = field.flow.and(self.mapping.direction)?;
        Some(if flow == field.flow {
            Cow::Borrowed(field)
        } else {
            Cow::Owned(Field { flow, ..field.clone() })
        })
    }

    fn create(&self, side: Side, because: Because, out: &mut Entries) {
        let fields = match self.all_fields(side) {
            Ok(fields) => fields,
            Err(parked) => {
                out.parked.push(*parked);
                return;
            }
        };
        let keyless = self.pair.identity.key().is_some_and(|key| key.as_str().is_empty());
        if side == Side::Notion && self.mapping.key_property && keyless {
            // Nothing would tell, after a lost answer, whether the page was made.
            let reason =
                Reason::new("empty_key", "the row's key is an empty text, by which no page can be found");
            out.parked.push(self.parked(side, None, reason, None));
            return;
        }
        let mut step = self.step(side, Action::Create, fields, because);
        step.expect = Expect::Nothing;
        step.mark = side == Side::Notion && self.mapping.key_property;
        if side == Side::Notion && matches!(self.pair.identity, Identity::Buried(_)) {
            // Another page than the one that the link knew.
            (step.link, step.page) = (None, None);
        }
        if side == Side::Notion && because == Because::Recovered {
            // The link stays, with its history, and gets the new page.
            step.page = None;
        }
        if side == Side::Postgres && step.key.is_none() {
            match self.key_of_new_row(&step.fields) {
                Ok(key) => step.key = key,
                Err(parked) => {
                    out.parked.push(*parked);
                    return;
                }
            }
        }
        out.steps.extend(self.mark_after(&step));
        // A plan may hold a million of them.
        step.fields.shrink_to_fit();
        out.steps.push(step);
    }

    /// The step that writes a new row's key into the page from which the row is made.
    fn mark_after(&self, create: &Step) -> Option<Step> {
        let page = self.sighting(Side::Notion)?;
        let wanted = create.side == Side::Postgres
            && self.mapping.key_property
            && self.mapping.direction.reaches(Side::Notion)
            && (create.key.is_none() || page.marker.as_deref() != create.key.as_ref().map(RowKey::as_str));
        (wanted && !mutant::is(Mutant::NoMark)).then(|| Step {
            mark: true,
            key: create.key.clone(),
            ..self.step(Side::Notion, Action::Update, Vec::new(), Because::Unmarked)
        })
    }

    /// What a new half gets: every field that flows there, in the form that it will store. The rest is withheld.
    ///
    /// A row is given nothing where the page has nothing, so that the column's default applies; the next look takes
    /// the default to the page. A half that is made anew gets back what it held in every field that the other half did
    /// not change since, with the digits and seconds that the other half cannot hold.
    fn all_fields(&self, side: Side) -> Result<Vec<FieldWrite>, Box<Parked>> {
        let mut fields = Vec::with_capacity(self.mapping.fields.len());
        for (number, field) in self.mapping.fields.iter().enumerate().filter(|(_, field)| !field.is_paused())
        {
            let Some(source) = self.now(side.other(), number) else { continue };
            let settled = |side| self.base(side).and_then(|base| base.get(number));
            // What is lost comes back with all that the other half knows of it, whichever way changes flow.
            let recovers = self.mode.recovering == Some(side);
            let flows = field.flow.reaches(side);
            // What Notion computes cannot be given back to it; a page that was related may be another one by now.
            let fits = || matches!(fidelity::on(side, source, field), Fidelity::Stored(_));
            let keeps = !recovers || field.related().is_none() && (flows || fits());
            let stored = match settled(side) {
                Some(held) if keeps && change(settled(side.other()), source) == Change::Same => {
                    Fidelity::Stored(held.clone())
                }
                _ => fidelity::on(side, source, field),
            };
            let left_to_default = side == Side::Postgres && source.is_null();
            let after = match stored {
                _ if !flows && !recovers => None,
                Fidelity::Stored(_) if left_to_default && settled(side).is_none() => None,
                Fidelity::Stored(after) => Some(after),
                // The column refuses NULL: its default is the next best.
                Fidelity::Unstorable(_) if left_to_default || !flows => None,
                Fidelity::Unstorable(reason) => {
                    return Err(Box::new(self.parked(side, Some(number), reason, Some(source))));
                }
            };
            let withheld = after.is_none();
            let after = after.unwrap_or(Value::Null);
            let source = (*source != after).then(|| source.clone());
            fields.push(FieldWrite { field: number, before: None, after, source, withheld, by: None });
        }
        Ok(fields)
    }

    /// The key for a row that is born as a page: the one the page carries, else as the table makes it.
    fn key_of_new_row(&self, fields: &[FieldWrite]) -> Result<Option<RowKey>, Box<Parked>> {
        let carried = self.sighting(Side::Notion).and_then(|page| page.marker.as_deref());
        if let Some(carried) = carried.filter(|text| self.mapping.key_property && !text.is_empty()) {
            return Ok(Some(carried.into()));
        }
        match &self.mapping.key {
            KeySource::Generated => Ok(None),
            KeySource::Fields(places) => {
                let given = |place| fields.iter().any(|write| write.field == place && !write.withheld);
                let missing = places.iter().find(|place| !given(**place));
                match missing {
                    None => Ok(None),
                    Some(place) => {
                        let property = self.mapping.fields.get(*place).map_or("", |field| field.property.as_str());
                        let text = format!("the row's key comes from the property “{property}”, which is empty");
                        Err(Box::new(self.parked(
                            Side::Postgres,
                            Some(*place),
                            Reason::new("key_missing", text),
                            None,
                        )))
                    }
                }
            }
            KeySource::KeyProperty => Err(Box::new(self.parked(
                Side::Postgres,
                None,
                Reason::new(
                    "key_missing",
                    "the table makes no key by itself; fill the page's key property, or give the column a default",
                ),
                None,
            ))),
        }
    }

    /// Brings a half back as it is in the trash, without fields: nobody saw what it holds now, and writing over it
    /// would lose what was edited before it was put there. The next look merges.
    fn restore(&self, side: Side, because: Because, out: &mut Entries) {
        out.steps.push(self.step(side, Action::Restore, Vec::new(), because));
    }

    /// A deletion carries what is deleted and what its other half was settled with, so that the history can bring it
    /// back.
    pub(crate) fn removal(&self, side: Side, action: Action) -> Step {
        let fields = (0..self.mapping.fields.len())
            .filter_map(|field| {
                let before = Some(self.now(side, field)?.clone());
                let source = self.base(side.other()).and_then(|base| base.get(field)).cloned();
                let after = Value::Null;
                Some(FieldWrite { field, before, after, source, withheld: false, by: None })
            })
            .collect();
        self.step(side, action, fields, Because::Deleted)
    }
}

/// The references in a value.
fn references(value: &Value) -> BTreeSet<&Ref> {
    match value {
        Value::Ref(reference) => BTreeSet::from([reference]),
        Value::Set(items) => items.iter().flat_map(references).collect(),
        Value::List(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}
