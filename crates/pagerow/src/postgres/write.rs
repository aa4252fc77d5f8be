//! Writing steps: lock and look, compare with what each step expects, write in groups, read back.
//!
//! A group is written by one statement under a savepoint. When it fails it is taken back and halved, until the
//! records that fail stand alone; so one bad record costs a few statements and stops nobody else.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::{
    fidelity::Reason,
    mapping::ColumnKind,
    observation::{Absence, Observation, Sighting},
    plan::{Action, Because, Expect, Step},
    record::{Record, RowKey},
    retry::Failure,
    value::{Ref, Value},
};

use super::{
    edit::{self, Edit, Sets},
    read::{self, Answer, Behind},
    refusal,
    rows::{Inner, RowsError},
    statement::Source,
    transaction::{SqlError, Tx, TxError},
};
use crate::replica::{Failed, Outcome, Relatives};

/// How many steps are locked, written and read back together.
const STEPS_A_ROUND: usize = 1000;

/// About how many bytes of text they may carry; a single larger step goes alone.
const BYTES_A_ROUND: usize = 8 << 20;

/// What is known of one step while its round goes on.
enum Fate {
    Open,
    Written(RowKey),
    Ended(Outcome<RowKey>),
}

/// Writes steps in order and says how each ended.
pub(super) async fn write(
    rows: &Inner,
    tx: &mut Tx,
    steps: &[&Step],
    relatives: &Relatives,
) -> Result<Vec<Outcome<RowKey>>, RowsError> {
    let mut outcomes = Vec::with_capacity(steps.len());
    if !rows.table.writable {
        let reason = Reason::new("read_only", "the table cannot be written to");
        outcomes.resize_with(steps.len(), || failed(Failure::Record, reason.clone()));
        return Ok(outcomes);
    }
    // A deferred constraint would fail only at COMMIT and take every record of the transaction with it.
    tx.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let mut rest = steps;
    while !rest.is_empty() {
        let (round, later) = rest.split_at(round_length(rest));
        outcomes.extend(write_round(rows, tx, round, relatives).await?);
        rest = later;
    }
    Ok(outcomes)
}

/// As many steps as are independent of each other: one wave, and no row twice.
fn round_length(steps: &[&Step]) -> usize {
    let mut keys = BTreeSet::new();
    let mut bytes = 0;
    let wave = steps.first().map(|step| step.wave);
    steps
        .iter()
        .take(STEPS_A_ROUND)
        .take_while(|step| Some(step.wave) == wave && step.key.as_ref().is_none_or(|key| keys.insert(key)))
        .take_while(|step| {
            bytes += step.fields.iter().map(|write| weight(&write.after)).sum::<usize>();
            bytes <= BYTES_A_ROUND
        })
        .count()
        .max(1)
}

/// About how many bytes a value takes on its way; small ones count for nothing.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Markdown(text) | Value::Json(text) => text.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Set(items) => items.iter().map(weight).sum(),
        Value::Opaque(opaque) => opaque.text.len(),
        Value::Null
        | Value::Number(_)
        | Value::Bool(_)
        | Value::Day(_)
        | Value::Instant(_)
        | Value::Range(_)
        | Value::Ref(_)
        | Value::File(_)
        | Value::Person(_) => 0,
    }
}

async fn write_round(
    rows: &Inner,
    tx: &mut Tx,
    steps: &[&Step],
    relatives: &Relatives,
) -> Result<Vec<Outcome<RowKey>>, RowsError> {
    let current = match lock(rows, tx, steps).await? {
        Ok(current) => current,
        Err(refused) => {
            let failed = |step: &&Step| Outcome::Failed(refusal::failed(&refused, Some(step.action)));
            return Ok(steps.iter().map(failed).collect());
        }
    };
    let mut fates: Vec<Fate> = Vec::with_capacity(steps.len());
    let mut edits: Vec<Edit> = Vec::new();
    for (at, (step, current)) in steps.iter().zip(&current).enumerate() {
        match prepare(rows, at, step, current, relatives) {
            Ok(edit) => {
                edits.push(edit);
                fates.push(Fate::Open);
            }
            Err(outcome) => fates.push(Fate::Ended(*outcome)),
        }
    }
    // Two passes: a value that one record gives up may be the one that an earlier record takes.
    let mut retry: Vec<Edit> = Vec::new();
    for group in groups(edits) {
        for (edit, end) in carry_out(rows, tx, group).await? {
            match end {
                Ok(key) => fates[edit.at] = Fate::Written(key),
                Err(failed) if matches!(failed.reason.code.as_str(), "23505" | "23503" | "23P01") => {
                    fates[edit.at] = Fate::Ended(Outcome::Failed(failed));
                    retry.push(edit);
                }
                Err(failed) => fates[edit.at] = Fate::Ended(Outcome::Failed(failed)),
            }
        }
    }
    let any_written = fates.iter().any(|fate| matches!(fate, Fate::Written(_)));
    if any_written && !retry.is_empty() {
        for group in groups(retry) {
            for (edit, end) in carry_out(rows, tx, group).await? {
                fates[edit.at] = match end {
                    Ok(key) => Fate::Written(key),
                    Err(failed) => Fate::Ended(Outcome::Failed(failed)),
                };
            }
        }
    }
    let given: Vec<RowKey> = fates
        .iter()
        .zip(steps)
        .filter_map(|(fate, step)| match fate {
            Fate::Written(key) if step.action == Action::Create && step.key.is_some() => Some(key.clone()),
            Fate::Written(_) | Fate::Open | Fate::Ended(_) => None,
        })
        .collect();
    if !given.is_empty() {
        edit::pass_sequence(rows, tx, &given).await?;
    }
    read_back(rows, tx, steps, current, fates).await
}

/// What stands at a step's key before anything is written.
enum Current {
    /// The step has no key: the table makes it.
    Unasked,
    Row {
        observation: Observation,
        record: Option<Box<Sighting>>,
        behind: Behind,
    },
    None,
    /// Somebody else holds the row.
    Locked,
    NoKey(String),
}

/// Locks the rows of all steps in one order, then looks at them with fresh eyes.
async fn lock(
    rows: &Inner,
    tx: &mut Tx,
    steps: &[&Step],
) -> Result<Result<Vec<Current>, SqlError>, RowsError> {
    let keyed: Vec<(usize, RowKey)> =
        steps.iter().enumerate().filter_map(|(at, step)| Some((at, step.key.clone()?))).collect();
    let mut current: Vec<Current> = steps.iter().map(|_| Current::Unasked).collect();
    let keys: Vec<RowKey> = keyed.iter().map(|(_, key)| key.clone()).collect();
    if keys.is_empty() {
        return Ok(Ok(current));
    }
    let locked = match edit::lock_keys(rows, tx, &keys).await? {
        Ok(locked) => locked,
        Err(refused) => return Ok(Err(refused)),
    };
    for (i, ((at, key), answer)) in keyed.iter().zip(read::answers(rows, tx, &keys).await?).enumerate() {
        current[*at] = match answer {
            Answer::Row(shown) if shown.key != *key => {
                Current::NoKey(format!("Postgres writes this key as {}", shown.key))
            }
            Answer::Row(_) if !locked.contains(&i) => Current::Locked,
            Answer::Row(shown) => {
                let record = Some(Box::new(shown.sighting.clone()));
                let behind = shown.behind.clone();
                Current::Row { observation: shown.observation(), record, behind }
            }
            Answer::None => Current::None,
            Answer::NoKey(reason) => Current::NoKey(reason),
        };
    }
    Ok(Ok(current))
}

/// Compares a step with what it expects to find, and puts its values in the form in which they are written.
fn prepare(
    rows: &Inner,
    at: usize,
    step: &Step,
    current: &Current,
    relatives: &Relatives,
) -> Result<Edit, Box<Outcome<RowKey>>> {
    let record = |reason| Box::new(failed(Failure::Record, reason));
    if step.action != Action::Create && step.key.is_none() {
        return Err(record(Reason::new("no_key", "the step does not say which row it is for")));
    }
    match current {
        Current::Locked => {
            let reason = Reason::new("55P03", "another transaction holds the row");
            return Err(Box::new(failed(Failure::Passing, reason)));
        }
        Current::NoKey(reason) => return Err(record(Reason::new("no_key", reason.clone()))),
        Current::Unasked | Current::None | Current::Row { .. } => {}
    }
    if !as_expected(step, current) {
        return Err(Box::new(Outcome::Stale));
    }
    let before = match current {
        Current::Row { record, behind, .. } => record.as_ref().map(|sighting| (&sighting.record, behind)),
        Current::Unasked | Current::None | Current::Locked | Current::NoKey(_) => None,
    };
    let mut sets = Sets::default();
    if matches!(step.action, Action::Create | Action::Update | Action::Restore) {
        sets = values(rows, step, before, relatives)?;
    }
    if step.action == Action::Restore || step.action == Action::Trash {
        let Some(mark) = &rows.table.soft_delete else {
            return Err(record(Reason::new(
                "no_soft_delete",
                "the table has no column that marks deleted rows",
            )));
        };
        sets.mark = Some((super::statement::quoted(&mark.name), mark.boolean, step.action == Action::Trash));
    }
    Ok(Edit { at, action: step.action, key: step.key.clone(), sets, whole: step.whole.clone() })
}

/// Whether the row is what the step was planned for.
fn as_expected(step: &Step, current: &Current) -> bool {
    let there = match current {
        Current::Row { observation, .. } => Some(observation),
        Current::Unasked | Current::None | Current::Locked | Current::NoKey(_) => None,
    };
    match (step.expect, there) {
        (Expect::Nothing, there) => there.is_none() && step.action == Action::Create,
        (Expect::Seen(digest), Some(Observation::Present(sighting))) => sighting.digest == digest,
        (Expect::Absent(Absence::Deleted), None) => step.action == Action::Create,
        (Expect::Absent(how), Some(Observation::Absent(is))) => how == *is,
        (Expect::Seen(_) | Expect::Absent(_), _) => false,
    }
}

/// The texts of a step's fields, and the pairs of its join tables.
fn values(
    rows: &Inner,
    step: &Step,
    before: Option<(&Record, &Behind)>,
    relatives: &Relatives,
) -> Result<Sets, Box<Outcome<RowKey>>> {
    let record = |reason| Box::new(failed(Failure::Record, reason));
    let mut sets = Sets::default();
    for write in step.fields.iter().filter(|write| !write.withheld) {
        let place = write.field;
        let (Some(source), Some(field)) = (rows.sql.fields.get(place), rows.mapping.fields.get(place)) else {
            return Err(record(Reason::new("no_such_field", "the mapping has no such field")));
        };
        match source {
            Source::Column { reader, name, writable } => {
                let is_key = rows.table.key.iter().any(|key| super::statement::quoted(&key.name) == *name);
                if is_key && step.action == Action::Create && step.key.is_some() {
                    // The key itself says it.
                    continue;
                }
                if !writable && step.because == Because::Recovered {
                    // Postgres makes it again.
                    continue;
                }
                if !writable {
                    let text = format!("the column {} is made by Postgres", field.column);
                    return Err(record(Reason::new("read_only", text)));
                }
                let value = match &field.lens {
                    // A row that was kept whole has what its column held; what its page says otherwise was edited since.
                    Some(_) if step.whole.is_some() && step.because == Because::Undone => continue,
                    Some(lens) => {
                        let held = before
                            .and_then(|(record, behind)| Some((behind.get(&place)?, record.get(place)?)));
                        if held.is_some_and(|(held, shows)| !lens.brings_back(held, shows, &rows.zone)) {
                            return Err(record(not_brought_back(&field.column)));
                        }
                        lens.to_column(&write.after, &rows.zone).map_err(|reason| {
                            record(Reason { text: format!("{}: {}", field.column, reason.text), ..reason })
                        })?
                    }
                    None => resolved(&write.after, &field.holds, relatives)?,
                };
                let text = reader.text(&value, &rows.zone).map_err(record)?;
                sets.columns.insert(place, text);
            }
            Source::Paused => {
                let text = format!("the field {} is paused", field.column);
                return Err(record(Reason::new("paused", text)));
            }
            Source::Derived if step.because == Because::Recovered => {}
            Source::Derived => {
                let text = format!("{} is made of other columns and takes no values", field.column);
                return Err(record(Reason::new("read_only", text)));
            }
            Source::Join(_) => {
                let wanted = others(&resolved(&write.after, &field.holds, relatives)?);
                let has = before.and_then(|(record, _)| record.get(place)).map(others).unwrap_or_default();
                sets.added.insert(place, wanted.difference(&has).cloned().collect());
                sets.removed.insert(place, has.difference(&wanted).cloned().collect());
            }
        }
    }
    Ok(sets)
}

/// Why an edit of a page does not go over a column: the history keeps what the row showed, and that would not bring
/// back what the column holds.
fn not_brought_back(column: &str) -> Reason {
    Reason::new(
        "lossy_pair",
        format!(
            "from_notion of {column} does not bring back what the column holds, so an edit in Notion would lose it"
        ),
    )
}

/// The keys in a set of references.
fn others(value: &Value) -> BTreeSet<String> {
    let one = |value: &Value| match value {
        Value::Ref(Ref::Row(key)) => Some(key.as_str().to_owned()),
        _ => None,
    };
    match value {
        Value::Set(items) => items.iter().filter_map(one).collect(),
        Value::List(items) => items.iter().filter_map(one).collect(),
        single => one(single).into_iter().collect(),
    }
}

/// A value whose references all name rows.
fn resolved(value: &Value, holds: &ColumnKind, relatives: &Relatives) -> Result<Value, Box<Outcome<RowKey>>> {
    let (ColumnKind::Reference { mapping } | ColumnKind::References { mapping }) = holds else {
        return Ok(value.clone());
    };
    let one = |value: &Value| match value {
        Value::Ref(Ref::Page(page)) => match relatives.key(mapping, *page) {
            Some(key) => Ok(Value::Ref(Ref::Row(key.clone()))),
            None => {
                let text = format!("the related page has no row in {mapping} yet");
                Err(Box::new(failed(Failure::Missing, Reason::new("no_related_row", text))))
            }
        },
        Value::Null | Value::Ref(Ref::Row(_)) => Ok(value.clone()),
        other => {
            let text = format!("{} is no reference", other.kind());
            Err(Box::new(failed(Failure::Record, Reason::new("kind", text))))
        }
    };
    match (value, holds) {
        (Value::Set(items), ColumnKind::References { .. }) => {
            items.iter().map(one).collect::<Result<BTreeSet<_>, _>>().map(Value::Set)
        }
        (Value::Set(items), _) if items.len() == 1 => items.iter().map(one).next().unwrap_or(Ok(Value::Null)),
        (single, _) => one(single),
    }
}

/// Edits that one statement can carry out, in the order of their first members.
fn groups(edits: Vec<Edit>) -> Vec<Vec<Edit>> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<Vec<Edit>> = Vec::new();
    for edit in edits {
        let place = *places.entry(edit.shape()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(edit),
            None => groups.push(vec![edit]),
        }
    }
    groups
}

/// How one edit ended: the row's key now, or why it was not written.
type End = (Edit, Result<RowKey, Failed>);

/// Writes a group; what fails is halved until the failing records stand alone.
async fn carry_out(rows: &Inner, tx: &mut Tx, group: Vec<Edit>) -> Result<Vec<End>, RowsError> {
    let mut ends = Vec::with_capacity(group.len());
    let mut impatient = false;
    let mut open = vec![group];
    while let Some(mut part) = open.pop() {
        tx.savepoint("pagerow_group").await?;
        let error = match edit::carry_out(rows, tx, &part).await {
            Ok(keys) if keys.len() == part.len() => {
                tx.release("pagerow_group").await?;
                ends.extend(part.into_iter().zip(keys.into_iter().map(Ok)));
                continue;
            }
            Ok(_) => None,
            Err(TxError::Statement(refused)) => Some(*refused),
            Err(error) => return Err(error.into()),
        };
        tx.rollback_to("pagerow_group").await?;
        if let Some(refused) = &error {
            if refusal::concerns_all(refused) {
                let failed = refusal::failed(refused, part.first().map(|edit| edit.action));
                ends.extend(part.into_iter().map(|edit| (edit, Err(failed.clone()))));
                continue;
            }
            if refused.code == "55P03" && !impatient {
                // One wait for a lock is patience; one for each half would hold up everybody.
                impatient = true;
                tx.batch_execute("SET LOCAL lock_timeout = '200ms'").await?;
            }
        }
        if part.len() > 1 {
            let right = part.split_off(part.len() / 2);
            open.extend([right, part]);
            continue;
        }
        if let Some(edit) = part.pop() {
            let failed = match &error {
                Some(refused) => refusal::failed(refused, Some(edit.action)),
                None => refusal::swallowed(),
            };
            ends.push((edit, Err(failed)));
        }
    }
    if impatient {
        tx.batch_execute("SET LOCAL lock_timeout = '5s'").await?;
    }
    Ok(ends)
}

/// Looks at what was written: defaults and triggers are the truth.
async fn read_back(
    rows: &Inner,
    tx: &mut Tx,
    steps: &[&Step],
    current: Vec<Current>,
    fates: Vec<Fate>,
) -> Result<Vec<Outcome<RowKey>>, RowsError> {
    let written: Vec<RowKey> = fates
        .iter()
        .zip(steps)
        .filter_map(|(fate, step)| match fate {
            Fate::Written(key) if step.action != Action::Delete => Some(key.clone()),
            Fate::Written(_) | Fate::Open | Fate::Ended(_) => None,
        })
        .collect();
    let mut answers =
        if written.is_empty() { Vec::new() } else { read::answers(rows, tx, &written).await? }.into_iter();
    let gone =
        || failed(Failure::Record, Reason::new("vanished", "a trigger took the row away as it was written"));
    let ends = fates.into_iter().zip(steps).zip(current).map(|((fate, step), before)| match (fate, before) {
        (Fate::Ended(outcome), _) => outcome,
        // Every edit that was prepared is carried out or refused.
        (Fate::Open, _) => failed(Failure::Passing, Reason::new("not_tried", "the step was not carried out")),
        (Fate::Written(key), Current::Row { record: Some(sighting), .. })
            if step.action == Action::Delete =>
        {
            Outcome::Done { id: key, sighting }
        }
        (Fate::Written(key), _) => match answers.next() {
            Some(Answer::Row(shown)) => Outcome::Done { id: key, sighting: Box::new(shown.sighting) },
            Some(Answer::None | Answer::NoKey(_)) | None => gone(),
        },
    });
    Ok(ends.collect())
}

pub(super) fn failed(failure: Failure, reason: Reason) -> Outcome<RowKey> {
    Outcome::Failed(Failed { failure, reason, not_before: None })
}
