//! pagerow's own tables, modelled: where the memory belongs, what gives it away as being from the past, and the counts
//! that the guard asks for.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use pagerow::store::{Identities, OwnWrite, Remembered, StoreError, Tallies, Whereabouts};
use pagerow_core::{
    digest::Digest,
    journal::Status,
    mapping::Mapping,
    observation::TableFacts,
    plan::Action,
    record::Record,
    side::{Side, Sides},
};

use super::{Server, Tx};

/// The tables' rows.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    database: Option<Whereabouts>,
    tables: BTreeMap<String, TableFacts>,
    lost: BTreeMap<String, String>,
    removals_since: BTreeMap<String, Timestamp>,
    own_writes: BTreeMap<i64, OwnWrite>,
}

impl Identities for Server {
    async fn whereabouts(&self) -> Result<Whereabouts, StoreError> {
        // A backup that is put back in place has the same numbers, but for those that it holds itself.
        self.read(|db| Whereabouts {
            system: Some("1".to_owned()),
            database: Some(1),
            timeline: Some("00000001".to_owned()),
            last_run: db.memory.runs.keys().next_back().copied().unwrap_or_default(),
        })
        .await
    }

    async fn remembered(&self, mapping: &str) -> Result<Remembered, StoreError> {
        self.read(|db| {
            let known = &db.memory.identity;
            Remembered {
                database: known.database.clone(),
                table: known.tables.get(mapping).cloned(),
                lost: known.lost.get(mapping).cloned(),
            }
        })
        .await
    }

    async fn keep_whereabouts(&self, tx: &mut Tx, whereabouts: &Whereabouts) -> Result<(), StoreError> {
        let kept = Whereabouts { last_run: 0, ..whereabouts.clone() };
        tx.run(move |db| db.memory.identity.database = Some(kept.clone())).await
    }

    async fn keep_table(&self, tx: &mut Tx, mapping: &str, table: &TableFacts) -> Result<(), StoreError> {
        let (mapping, table) = (mapping.to_owned(), table.clone());
        tx.run(move |db| {
            db.memory.identity.tables.insert(mapping.clone(), table.clone());
        })
        .await
    }

    async fn lose_bases(&self, tx: &mut Tx, mapping: &str, why: &str) -> Result<(), StoreError> {
        let (mapping, why) = (mapping.to_owned(), why.to_owned());
        tx.run(move |db| {
            let memory = &mut db.memory;
            for link in memory.links.values_mut().filter(|link| link.mapping == mapping) {
                let link = Arc::make_mut(link);
                let fields = link.base.postgres.values().len();
                link.base = Sides { postgres: Record::unread(fields), notion: Record::unread(fields) };
                link.unsettled = true;
            }
            memory.cursors.retain(|(of, _), _| *of != mapping);
            memory.identity.tables.remove(&mapping);
            memory.identity.lost.insert(mapping.clone(), why.clone());
        })
        .await
    }

    async fn end_loss(&self, tx: &mut Tx, mapping: &Mapping) -> Result<(), StoreError> {
        let mapping = mapping.name.clone();
        tx.run(move |db| {
            let memory = &mut db.memory;
            let is_whole = |record: &Record| record.values().iter().all(Option::is_some);
            let waits = memory.links.values().any(|link| {
                link.mapping == mapping
                    && link.unsettled
                    && !(is_whole(&link.base.postgres) && is_whole(&link.base.notion))
            });
            if !waits {
                memory.identity.lost.remove(&mapping);
            }
        })
        .await
    }

    async fn keep_own_writes(&self, tx: &mut Tx, writes: &[(i64, OwnWrite)]) -> Result<(), StoreError> {
        let writes = writes.to_vec();
        tx.run(move |db| db.memory.identity.own_writes.extend(writes.iter().cloned())).await
    }

    async fn forget_own_writes(&self, tx: &mut Tx, links: &[i64]) -> Result<(), StoreError> {
        let links = links.to_vec();
        tx.run(move |db| {
            for link in &links {
                db.memory.identity.own_writes.remove(link);
            }
        })
        .await
    }

    async fn renew_own_write(&self, tx: &mut Tx, link: i64, edit: &OwnWrite) -> Result<(), StoreError> {
        let edit = edit.clone();
        tx.run(move |db| {
            if let Some(known) = db.memory.identity.own_writes.get_mut(&link)
                && known.by == edit.by
            {
                known.at = known.at.max(edit.at);
            }
        })
        .await
    }

    async fn own_writes(&self, links: &[i64]) -> Result<BTreeMap<i64, OwnWrite>, StoreError> {
        self.read(|db| {
            let memory = &db.memory;
            let is_certain = |link: &i64| {
                let Some(page) = memory.links.get(link).map(|link| link.page) else { return false };
                let mut steps = memory.steps.values().rev();
                let last = steps.find(|row| row.step.side == Side::Notion && row.page == Some(page));
                last.is_none_or(|row| matches!(row.status, Status::Done | Status::Stale))
            };
            let known = links.iter().filter(|link| is_certain(link));
            known.filter_map(|link| Some((*link, memory.identity.own_writes.get(link)?.clone()))).collect()
        })
        .await
    }
}

impl Tallies for Server {
    async fn removed_lately(&self, mapping: &str) -> Result<Sides<u64>, StoreError> {
        let hour = SignedDuration::from_hours(1);
        let since = self.stage.database_now().checked_sub(hour).unwrap_or(Timestamp::MIN);
        self.read(|db| {
            let pardon = db.memory.identity.removals_since.get(mapping).copied().unwrap_or(Timestamp::MIN);
            let mut removed = Sides::default();
            for row in db.memory.steps.values() {
                let is_removal = matches!(row.step.action, Action::Trash | Action::Delete);
                let is_late = row.finished_at.is_some_and(|at| at > since && at > pardon);
                if row.mapping == mapping && is_removal && row.status == Status::Done && is_late {
                    *removed.of_mut(row.step.side) += 1;
                }
            }
            removed
        })
        .await
    }

    async fn forgive_removals(&self, tx: &mut Tx, mapping: &str) -> Result<(), StoreError> {
        let (mapping, now) = (mapping.to_owned(), self.stage.database_now());
        tx.run(move |db| {
            db.memory.identity.removals_since.insert(mapping.clone(), now);
        })
        .await
    }

    async fn alike(&self, mapping: &str, rows: &[Digest]) -> Result<u64, StoreError> {
        self.read(|db| {
            let links = || db.memory.links.values().filter(|link| link.mapping == mapping);
            rows.iter().filter(|row| links().any(|link| link.digest.postgres == **row)).count() as u64
        })
        .await
    }
}
