//! pagerow's own tables, modelled: conflicts, parked records, and what is to be looked at again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pagerow::store::{
    Answered, Attention, Closing, Due, Entry, OpenConflict, ParkedRecord, StoreError, Trouble,
};
use pagerow_core::{
    mapping::Mapping,
    plan::{Conflict, ConflictKind},
    record::{PageId, RowKey},
};

use super::{Server, Tx};

#[derive(Clone, Debug)]
pub(crate) struct ConflictRow {
    pub(crate) open: OpenConflict,
    pub(crate) is_closed: bool,
    /// A deletion that a person left as it is.
    pub(crate) is_held: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ParkedRow {
    pub(crate) record: ParkedRecord,
}

#[derive(Clone, Debug)]
pub(crate) struct RevisitRow {
    pub(crate) mapping: String,
    pub(crate) key: Option<RowKey>,
    pub(crate) page: Option<PageId>,
    due_at: Timestamp,
    version: i64,
}

impl Attention for Server {
    async fn answer(&self, tx: &mut Tx, answered: &Answered) -> Result<(), StoreError> {
        let answered = answered.clone();
        tx.run(move |db| {
            let is = |entries: &[Entry], id: i64, version: i64| entries.contains(&(id, version));
            for (id, row) in db.memory.conflicts.iter_mut() {
                if !row.is_closed && is(&answered.conflicts, *id, row.open.version) {
                    Arc::make_mut(row).is_closed = true;
                }
                if row.is_held && is(&answered.held, *id, row.open.version) {
                    Arc::make_mut(row).is_held = false;
                }
            }
            db.memory.parked.retain(|id, row| !is(&answered.parked, *id, row.record.version));
            db.memory.revisits.retain(|id, row| !is(&answered.revisits, *id, row.version));
        })
        .await
    }

    async fn keep_conflicts(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        conflicts: &[Conflict],
    ) -> Result<(), StoreError> {
        for conflict in conflicts {
            let (column, property) = match &conflict.kind {
                ConflictKind::Field { field, .. } => {
                    mapping.fields.get(*field).map_or((String::new(), None), |field| {
                        (field.column.clone(), Some(field.property.clone()))
                    })
                }
                ConflictKind::Deleted { .. } => (String::new(), None),
            };
            let open = OpenConflict {
                id: self.number(),
                mapping: mapping.name.clone(),
                column,
                property,
                conflict: conflict.clone(),
                opened_at: tx.now,
                version: 1,
            };
            self.stage.count(if open.column.is_empty() {
                "a record was contested"
            } else {
                "a field was contested"
            });
            tx.run(move |db| {
                let same = |row: &ConflictRow| {
                    !row.is_closed
                        && row.open.mapping == open.mapping
                        && row.open.conflict.key == open.conflict.key
                        && row.open.conflict.page == open.conflict.page
                        && row.open.column == open.column
                };
                match db.memory.conflicts.values_mut().find(|row| same(row)) {
                    Some(row) => {
                        let row = Arc::make_mut(row);
                        row.open.conflict = open.conflict.clone();
                        row.open.version += 1;
                    }
                    None => {
                        let row = ConflictRow { open: open.clone(), is_closed: false, is_held: false };
                        db.memory.conflicts.insert(open.id, Arc::new(row));
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn park(&self, tx: &mut Tx, mapping: &Mapping, trouble: &Trouble) -> Result<(), StoreError> {
        let parked = &trouble.parked;
        let record = ParkedRecord {
            id: self.number(),
            mapping: mapping.name.clone(),
            key: parked.key.clone(),
            page: parked.page,
            column: parked
                .field
                .and_then(|field| mapping.fields.get(field))
                .map_or_else(String::new, |field| field.column.clone()),
            side: parked.side.name().to_owned(),
            reason: parked.reason.clone(),
            value: parked.value.clone(),
            attempts: trouble.attempts,
            next_try: trouble.wait.and_then(|wait| self.stage.database_now().checked_add(wait).ok()),
            content: trouble.content,
            version: 1,
        };
        self.stage.count("a record was parked");
        self.stage.tell(|| {
            format!("parked: {:?} {:?} {}: {:?}", record.key, record.page, record.column, record.reason)
        });
        tx.run(move |db| {
            let same = |row: &ParkedRow| {
                row.record.mapping == record.mapping
                    && row.record.key == record.key
                    && row.record.page == record.page
                    && row.record.column == record.column
            };
            match db.memory.parked.values_mut().find(|row| same(row)) {
                Some(row) => {
                    let row = Arc::make_mut(row);
                    row.record =
                        ParkedRecord { id: row.record.id, version: row.record.version + 1, ..record.clone() };
                }
                None => {
                    db.memory.parked.insert(record.id, Arc::new(ParkedRow { record: record.clone() }));
                }
            }
        })
        .await
    }

    async fn open_conflicts(&self, mapping: Option<&str>) -> Result<Vec<OpenConflict>, StoreError> {
        self.read(|db| {
            db.memory
                .conflicts
                .values()
                .filter(|row| !row.is_closed && mapping.is_none_or(|name| row.open.mapping == name))
                .map(|row| row.open.clone())
                .collect()
        })
        .await
    }

    async fn close_conflicts(&self, tx: &mut Tx, closings: &[Closing]) -> Result<(), StoreError> {
        let closings = closings.to_vec();
        tx.run(move |db| {
            for closing in &closings {
                let (id, version) = closing.conflict;
                let Some(row) = db.memory.conflicts.get_mut(&id) else { continue };
                if !row.is_closed && row.open.version == version {
                    let row = Arc::make_mut(row);
                    (row.is_closed, row.is_held) = (true, closing.held);
                }
            }
        })
        .await
    }

    async fn held(&self, mapping: &str) -> Result<Vec<OpenConflict>, StoreError> {
        self.read(|db| {
            let held = db.memory.conflicts.values().filter(|row| row.is_held && row.open.mapping == mapping);
            held.map(|row| row.open.clone()).collect()
        })
        .await
    }

    async fn parked(&self, mapping: Option<&str>) -> Result<Vec<ParkedRecord>, StoreError> {
        self.read(|db| {
            db.memory
                .parked
                .values()
                .filter(|row| mapping.is_none_or(|name| row.record.mapping == name))
                .map(|row| row.record.clone())
                .collect()
        })
        .await
    }

    async fn revisit(
        &self,
        tx: &mut Tx,
        mapping: &str,
        records: &[(Option<RowKey>, Option<PageId>)],
        seconds: f64,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let wait = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
        let due_at = tx.now.saturating_add(wait).unwrap_or(tx.now);
        let rows: Vec<(i64, RevisitRow)> = records
            .iter()
            .map(|(key, page)| {
                let row = RevisitRow {
                    mapping: mapping.to_owned(),
                    key: key.clone(),
                    page: *page,
                    due_at,
                    version: 1,
                };
                (self.number(), row)
            })
            .collect();
        tx.run(move |db| {
            for (id, new) in &rows {
                let same = |row: &&mut RevisitRow| {
                    row.mapping == new.mapping && row.key == new.key && row.page == new.page
                };
                match db.memory.revisits.values_mut().find(same) {
                    Some(row) => {
                        row.due_at = row.due_at.min(new.due_at);
                        row.version += 1;
                    }
                    None => {
                        db.memory.revisits.insert(*id, new.clone());
                    }
                }
            }
        })
        .await
    }

    async fn due(&self, mapping: &str) -> Result<Due, StoreError> {
        let now = self.stage.database_now();
        self.read(|db| {
            let mut due = Due::default();
            for (id, row) in db.memory.revisits.iter().filter(|(_, row)| row.mapping == mapping) {
                if row.due_at <= now {
                    due.keys.extend(row.key.clone());
                    due.pages.extend(row.page);
                    due.requests.push((row.key.clone(), row.page, (*id, row.version)));
                }
            }
            for row in db.memory.parked.values().filter(|row| row.record.mapping == mapping) {
                if row.record.next_try.is_some_and(|at| at <= now) {
                    due.keys.extend(row.record.key.clone());
                    due.pages.extend(row.record.page);
                }
            }
            // What waits of a link that says that nothing of it does.
            let conflicts = (db.memory.conflicts.values().filter(|row| !row.is_closed))
                .map(|row| (&row.open.mapping, &row.open.conflict.key, row.open.conflict.page));
            let parked = (db.memory.parked.values())
                .map(|row| (&row.record.mapping, &row.record.key, row.record.page));
            for (_, key, page) in conflicts.chain(parked).filter(|(of, ..)| *of == mapping) {
                let settled = |link: &&Arc<super::memory::LinkRow>| {
                    link.mapping == mapping
                        && Some(&link.key) == key.as_ref()
                        && Some(link.page) == page
                        && !link.unsettled
                };
                if let Some(link) = db.memory.links.values().find(settled) {
                    due.keys.push(link.key.clone());
                    due.pages.push(link.page);
                }
            }
            due
        })
        .await
    }

    async fn wake_waiting(&self, tx: &mut Tx, mapping: &str, codes: &[&str]) -> Result<(), StoreError> {
        let now = self.stage.database_now();
        let (mapping, codes) =
            (mapping.to_owned(), codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>());
        tx.run(move |db| {
            for row in db.memory.parked.values_mut() {
                let record = &row.record;
                if record.mapping == mapping
                    && record.next_try.is_some_and(|at| at > now)
                    && codes.contains(&record.reason.code)
                {
                    Arc::make_mut(row).record.next_try = Some(now);
                }
            }
        })
        .await
    }
}
