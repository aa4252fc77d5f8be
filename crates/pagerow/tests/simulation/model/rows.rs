//! A table as the engine sees it, with the meaning that the real one has: snapshots, changes by transaction number,
//! expectations under a lock, and rows read back as triggers and defaults left them.

use std::{collections::BTreeMap, sync::Arc};

use pagerow::{
    replica::{Cursor, Failed, Looked, Outcome, Relatives, RowNote, Rows, Scope, Seen, Sink},
    store::StoreError,
};
use pagerow_core::{
    digest::Digest,
    fidelity::Reason,
    mapping::{ColumnKind, Mapping},
    observation::{Absence, Observation, Sighting, TableFacts},
    plan::{Action, Expect, Step},
    record::{PageId, Record, RowKey},
    retry::Failure,
    value::{Ref, Value},
};
use serde_json::json;

use super::{
    Server, Tx,
    server::{Database, Lock},
    table::{FOREIGN_KEY, Row, Sqlstate, Table},
};

/// One mapping's table.
pub(crate) struct ModelRows {
    pub(crate) server: Server,
    pub(crate) mapping: Arc<Mapping>,
}

/// Why a look or a transaction is lost.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Lost(#[from] StoreError);

impl Rows for ModelRows {
    type Tx = Tx;
    type Error = Lost;

    async fn look(&self, scope: Scope<'_, RowKey>, sink: Sink<'_, RowKey>) -> Result<Looked, Lost> {
        let (oldest, next) = self.server.horizon();
        // The snapshot is taken by the statement; what is then open shows in the cursor.
        let looked = self
            .server
            .read(|db| {
                let table = &db.tables[&self.mapping.name];
                let cursor = json!({ "oldest": oldest, "next": next, "file": table.file });
                self.shown(table, scope, cursor)
            })
            .await?;
        looked.0.into_iter().for_each(sink);
        Ok(looked.1)
    }

    async fn write(
        &self,
        tx: &mut Tx,
        steps: &[&Step],
        relatives: &Relatives,
    ) -> Result<Vec<Outcome<RowKey>>, Lost> {
        let mut outcomes = Vec::with_capacity(steps.len());
        let mut locks: Vec<Lock> =
            steps.iter().filter_map(|step| step.key.as_ref()).map(|key| self.lock_of(key)).collect();
        locks.sort();
        let mut held = BTreeMap::new();
        for lock in locks {
            let got = tx.lock(&lock).await?;
            held.insert(lock, got);
        }
        for step in steps {
            let is_held = step.key.as_ref().is_none_or(|key| held.get(&self.lock_of(key)) == Some(&true));
            outcomes.push(if is_held {
                self.write_one(tx, step, relatives).await?
            } else {
                failed(Failure::Passing, "55P03", "another transaction holds the row")
            });
            self.server.stage.tell(|| {
                let (name, action, key) = (&self.mapping.name, step.action, &step.key);
                match outcomes.last() {
                    Some(Outcome::Done { id, .. }) => format!("{action:?} of row {id} of {name}: done"),
                    other => format!("{action:?} of row {key:?} of {name}: {other:?}"),
                }
            });
        }
        Ok(outcomes)
    }

    /// The model's tables have no columns but those of the mapping.
    async fn fill(&self, _: &str, _: &str) -> Result<bool, Lost> {
        Ok(false)
    }

    /// The model's keys are never given twice.
    async fn reserve(&self, _: &mut Tx, _: &[RowKey]) -> Result<(), Lost> {
        Ok(())
    }

    async fn whole(&self, tx: &mut Tx, keys: &[RowKey]) -> Result<Vec<(RowKey, Option<String>)>, Lost> {
        let named: Vec<(RowKey, bool)> =
            keys.iter().map(|key| (key.clone(), tx.lock_now(&self.lock_of(key)))).collect();
        let mapping = Arc::clone(&self.mapping);
        let whole = tx
            .run(move |db| {
                let rows = db.tables[&mapping.name].rows();
                let there = named.iter().filter_map(|(key, is_free)| Some((key, rows.get(key)?, *is_free)));
                there
                    .map(|(key, row, is_free)| {
                        (key.clone(), is_free.then(|| row.record.to_json(&mapping).to_string()))
                    })
                    .collect()
            })
            .await?;
        Ok(whole)
    }

    async fn note(&self, tx: &mut Tx, notes: &[RowNote]) -> Result<(), Lost> {
        let (table, number) = (self.mapping.name.clone(), tx.number);
        let pages: Vec<(RowKey, Option<PageId>)> =
            notes.iter().map(|note| (note.key.clone(), note.page)).collect();
        tx.run(move |db| {
            let Some(table) = db.tables.get_mut(&table) else { return };
            for (key, page) in &pages {
                let is_news = |row: &Row| page.is_some() && row.page != *page;
                if table.rows().get(key).is_some_and(is_news)
                    && let Some(row) = table.rows_mut().get_mut(key)
                {
                    row.page = *page;
                    row.written_by = number;
                }
            }
        })
        .await?;
        Ok(())
    }
}

impl ModelRows {
    fn lock_of(&self, key: &RowKey) -> Lock {
        Lock::Row(self.mapping.name.clone(), key.as_str().to_owned())
    }

    fn shown(&self, table: &Table, scope: Scope<'_, RowKey>, cursor: Cursor) -> (Vec<Seen<RowKey>>, Looked) {
        let see = |(key, row): (&RowKey, &Row)| Seen { id: key.clone(), observation: self.observe(row) };
        let count = Some(table.rows().values().filter(|row| !row.is_marked).count() as u64);
        let facts = TableFacts { oid: 1, files: cursor["file"].to_string(), ..TableFacts::default() };
        let whole = Looked {
            complete: true,
            cursor: Some(cursor.clone()),
            count,
            vanished: false,
            table: Some(facts),
        };
        match scope {
            Scope::Everything => (table.rows().iter().map(see).collect(), whole),
            Scope::Since(then) => {
                if then["file"] != cursor["file"] || then["next"].as_u64() > cursor["next"].as_u64() {
                    return (Vec::new(), Looked { vanished: true, ..Looked::default() });
                }
                let oldest = then["oldest"].as_u64().unwrap_or(0);
                let changed = table.rows().iter().filter(|(_, row)| row.written_by >= oldest);
                (changed.map(see).collect(), whole)
            }
            Scope::These(keys) => {
                let of = |key: &RowKey| match table.rows().get(key) {
                    Some(row) => self.observe(row),
                    None => Observation::Absent(Absence::Deleted),
                };
                let seen = keys.iter().map(|key| Seen { id: key.clone(), observation: of(key) }).collect();
                (seen, Looked { complete: true, ..Looked::default() })
            }
        }
    }

    fn observe(&self, row: &Row) -> Observation {
        if row.is_marked {
            return Observation::Absent(Absence::Trashed);
        }
        Observation::Present(sighting(&self.mapping, row))
    }

    async fn write_one(
        &self,
        tx: &mut Tx,
        step: &Step,
        relatives: &Relatives,
    ) -> Result<Outcome<RowKey>, Lost> {
        let values = match self.values(step, relatives) {
            Ok(values) => values,
            Err(outcome) => return Ok(outcome),
        };
        let key = step.key.clone().unwrap_or_else(|| self.server.number().to_string().into());
        let is_deleted = step.action == Action::Delete;
        let (mapping, step, now, number) = (Arc::clone(&self.mapping), step.clone(), tx.now, tx.number);
        let written = tx
            .run(move |db| {
                let Some(before) = expected(db, &mapping, &step, &key) else { return Outcome::Stale };
                let row = match (step.action, before) {
                    (Action::Delete, Some(before)) => {
                        return match db.delete(&mapping.name, &key) {
                            Ok(()) => done(&mapping, &key, &before),
                            Err(code) => refused(code, step.action),
                        };
                    }
                    (Action::Create, _) => {
                        let rules = Arc::clone(&db.tables[&mapping.name].rules);
                        let mut record = Record::new(vec![Some(Value::Null); mapping.fields.len()]);
                        rules.defaults.iter().for_each(|(at, value)| record.set(*at, Some(value.clone())));
                        if let Some(kept) =
                            step.whole.as_ref().and_then(|kept| serde_json::from_str(kept).ok())
                        {
                            record = Record::from_json(&kept, &mapping);
                        }
                        Row {
                            record: Arc::new(record),
                            written_by: number,
                            edited: now,
                            is_marked: false,
                            page: None,
                        }
                    }
                    (Action::Trash, Some(before)) => Row { is_marked: true, ..before },
                    (Action::Restore, Some(before)) => Row { is_marked: false, ..before },
                    (_, Some(before)) => before,
                    (_, None) => return Outcome::Stale,
                };
                let mut row = Row { written_by: number, edited: now, ..row };
                let record = Arc::make_mut(&mut row.record);
                values.iter().for_each(|(at, value)| record.set(*at, Some(value.clone())));
                if let Err(code) = db.put(&mapping.name, &key, row) {
                    return refused(code, step.action);
                }
                done(&mapping, &key, &db.tables[&mapping.name].rows()[&key])
            })
            .await?;
        if let Outcome::Done { id, sighting } = &written {
            tx.note(&self.mapping.name, id, (!is_deleted).then(|| Arc::new(sighting.record.clone())));
        }
        Ok(written)
    }

    /// What a step writes, with references resolved.
    fn values(&self, step: &Step, relatives: &Relatives) -> Result<Vec<(usize, Value)>, Outcome<RowKey>> {
        let mut values = Vec::new();
        for write in step.fields.iter().filter(|write| !write.withheld) {
            let holds = self.mapping.fields.get(write.field).map(|field| &field.holds);
            let value = match (holds, &write.after) {
                (Some(ColumnKind::Reference { mapping }), Value::Ref(Ref::Page(page))) => {
                    match relatives.key(mapping, *page) {
                        Some(key) => Value::Ref(Ref::Row(key.clone())),
                        None => {
                            return Err(failed(
                                Failure::Missing,
                                "no_related_row",
                                "the related page has no row",
                            ));
                        }
                    }
                }
                (Some(ColumnKind::Reference { .. }), Value::Set(items)) => {
                    items.first().cloned().unwrap_or(Value::Null)
                }
                (_, after) => after.clone(),
            };
            values.push((write.field, value));
        }
        Ok(values)
    }
}

/// The row as it is before a step, if it is what the step expects: outer `None` when it is not.
fn expected(db: &Database, mapping: &Mapping, step: &Step, key: &RowKey) -> Option<Option<Row>> {
    let table = &db.tables[&mapping.name];
    let there = table.rows().get(key).cloned();
    let fits = match (step.expect, &there) {
        (Expect::Nothing, there) => there.is_none() && step.action == Action::Create,
        (Expect::Seen(digest), Some(row)) if !row.is_marked => sighting(mapping, row).digest == digest,
        (Expect::Absent(Absence::Deleted), None) => step.action == Action::Create,
        (Expect::Absent(Absence::Trashed), Some(row)) => row.is_marked,
        (Expect::Seen(_) | Expect::Absent(_), _) => false,
    };
    let can_mark = !matches!(step.action, Action::Trash | Action::Restore) || table.rules.soft_delete;
    (fits && can_mark).then_some(there)
}

pub(crate) fn sighting(mapping: &Mapping, row: &Row) -> Sighting {
    let record = (*row.record).clone();
    let digest = Digest::of_record(mapping, &record, None, &mut Vec::new());
    let marker = row.page.map(|page| page.to_string());
    Sighting { record, digest, edited: Some(row.edited), editor: None, by: None, marker, checksum: None }
}

fn done(mapping: &Mapping, key: &RowKey, row: &Row) -> Outcome<RowKey> {
    Outcome::Done { id: key.clone(), sighting: Box::new(sighting(mapping, row)) }
}

fn refused(code: Sqlstate, action: Action) -> Outcome<RowKey> {
    let failure =
        if code == FOREIGN_KEY && action != Action::Delete { Failure::Missing } else { Failure::Record };
    failed(failure, code, "the database refused it")
}

fn failed(failure: Failure, code: &str, text: &str) -> Outcome<RowKey> {
    Outcome::Failed(Failed { failure, reason: Reason::new(code, text), not_before: None })
}
