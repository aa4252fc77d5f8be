//! Transactions as Postgres has them at READ COMMITTED: each statement sees what others have committed and what its own
//! transaction did; locks on rows keep two of them from writing the same one; a commit is all or nothing, and its answer
//! can be lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use pagerow::{
    postgres::transaction::TxError,
    store::{StoreError, Transaction, Transactions},
};
use pagerow_core::{
    record::{Record, RowKey},
    value::{Ref, Value},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{memory::Memory, shared::Shared, table::Table};
use crate::{
    script::StoreFault,
    stage::{Stage, lock},
};

/// How long a statement waits for a lock, as `postgres::transaction` sets it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What a commit makes last.
#[derive(Clone, Default)]
pub(crate) struct Database {
    pub(crate) tables: Shared<BTreeMap<String, Table>>,
    pub(crate) memory: Memory,
}

/// One thing that a transaction can hold against others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lock {
    Lease,
    Row(String, String),
}

/// A row as an open transaction has written it; `None` where it has deleted it.
#[derive(Clone, Debug)]
struct Pending {
    table: String,
    key: RowKey,
    row: Option<Arc<Record>>,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) stage: Arc<Stage>,
    /// Whose connection it is, if it is an engine's.
    engine: Option<Uuid>,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
}

struct State {
    committed: Database,
    /// Rises with each commit.
    version: u64,
    next_transaction: u64,
    open: BTreeSet<u64>,
    locks: BTreeMap<Lock, u64>,
    /// What open transactions have written to people's rows: who writes what could not stand beside it waits for them.
    pending: BTreeMap<u64, Vec<Pending>>,
    /// Sequences do not roll back.
    next_number: i64,
}

/// What one statement did, to be done again on top of what others have committed meanwhile.
type Deed = Box<dyn Fn(&mut Database) + Send>;

/// An open transaction.
pub(crate) struct Tx {
    server: Server,
    pub(crate) number: u64,
    /// `now()`: when it began.
    pub(crate) now: Timestamp,
    deeds: Vec<Deed>,
    view: Database,
    /// The version that `view` stands on, once anything was looked at.
    seen: Option<u64>,
    is_lost: bool,
    /// Nothing depends on it but its own engine's affairs, so that no lease is needed.
    pub(crate) is_private: bool,
}

impl Server {
    pub(crate) fn new(stage: Arc<Stage>, tables: BTreeMap<String, Table>) -> Self {
        let state = State {
            committed: Database { tables: tables.into(), memory: Memory::default() },
            version: 0,
            next_transaction: 1000,
            open: BTreeSet::new(),
            locks: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_number: 1,
        };
        Self { stage, engine: None, state: Arc::new(Mutex::new(state)), released: Arc::default() }
    }

    /// The same server over a connection of the engine that has this name.
    pub(crate) fn of_engine(self, engine: Uuid) -> Self {
        Self { engine: Some(engine), ..self }
    }

    /// Whether another engine holds the lease than the one whose connection this is.
    pub(crate) fn is_ousted(&self) -> bool {
        let now = self.stage.database_now();
        self.look(|db| {
            let lease = db.memory.lease.as_ref();
            self.engine.is_some_and(|engine| lease.is_some_and(|lease| lease.is_of_another(engine, now)))
        })
    }

    /// Begins a transaction.
    pub(crate) fn open(&self) -> Tx {
        let mut state = lock(&self.state);
        let number = state.next_transaction;
        state.next_transaction += 1;
        state.open.insert(number);
        Tx {
            server: self.clone(),
            number,
            now: self.stage.database_now(),
            deeds: Vec::new(),
            view: Database::default(),
            seen: None,
            is_lost: false,
            is_private: false,
        }
    }

    /// One read of what is committed, after a round trip that may break.
    pub(crate) async fn read<T>(&self, look: impl FnOnce(&Database) -> T) -> Result<T, StoreError> {
        self.stage.pass(0, 2).await;
        if let Some(fault) = self.stage.store_fault(false) {
            return Err(self.broke(fault));
        }
        Ok(look(&lock(&self.state).committed))
    }

    /// What is committed, for those who look from outside.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Database) -> T) -> T {
        look(&lock(&self.state).committed)
    }

    /// A number that nothing has yet.
    pub(crate) fn number(&self) -> i64 {
        let mut state = lock(&self.state);
        state.next_number += 1;
        state.next_number
    }

    /// The oldest transaction that is open, and the next one's number.
    pub(crate) fn horizon(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.open.first().copied().unwrap_or(state.next_transaction), state.next_transaction)
    }

    /// Whether a transaction holds a row of this table.
    pub(crate) fn is_worked_on(&self, table: &str) -> bool {
        lock(&self.state).locks.keys().any(|held| matches!(held, Lock::Row(of, _) if of == table))
    }

    /// Whether an open transaction has written what this row, or its absence, could not stand beside: the same value where
    /// it has to be unique, a reference to it, or a deletion of what it refers to. Whoever writes it would wait until that
    /// is committed, and be refused then.
    pub(crate) fn is_in_the_way(&self, table: &str, key: &RowKey, row: Option<&Record>) -> bool {
        let state = lock(&self.state);
        let rules = |table: &str| state.committed.tables.get(table).map(|table| Arc::clone(&table.rules));
        let refers = |from: &str, record: &Record, to: &str, key: &RowKey| {
            let fields = rules(from).map(|rules| rules.mapping.fields.clone()).unwrap_or_default();
            fields.iter().zip(record.values()).any(|(field, value)| {
                field.related() == Some(to) && *value == Some(Value::Ref(Ref::Row(key.clone())))
            })
        };
        state.pending.values().flatten().any(|pending| match (&pending.row, row) {
            (Some(theirs), Some(ours)) => {
                let unique = rules(table).map(|rules| rules.unique.clone()).unwrap_or_default();
                let is_same = |at: &usize| {
                    ours.get(*at).is_some_and(|value| !value.is_null()) && ours.get(*at) == theirs.get(*at)
                };
                pending.table == table && pending.key != *key && unique.iter().any(is_same)
            }
            (Some(theirs), None) => {
                let is_itself = pending.table == table && pending.key == *key;
                !is_itself && refers(&pending.table, theirs, table, key)
            }
            (None, Some(ours)) => refers(table, ours, &pending.table, &pending.key),
            (None, None) => false,
        })
    }

    /// Carries out and commits what somebody else than pagerow does, all at once. `false`: the database refused it.
    pub(crate) fn write_at_once<E>(&self, mut tx: Tx, deed: impl Fn(&mut Database) -> Result<(), E>) -> bool {
        self.stage.note_deed();
        tx.refresh();
        let done = deed(&mut tx.view).is_ok();
        if done {
            tx.apply();
        }
        done
    }

    fn broke(&self, fault: StoreFault) -> StoreError {
        self.stage.count(fault.name());
        self.stage.tell(|| format!("store {}", fault.name()));
        lost()
    }
}

/// What a broken connection says.
pub(crate) fn lost() -> StoreError {
    StoreError::Database(TxError::Connection(Arc::new(deadpool_postgres::PoolError::Closed)))
}

impl Tx {
    /// Carries out one statement.
    pub(crate) async fn run<T>(
        &mut self,
        deed: impl Fn(&mut Database) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.server.stage.pass(0, 2).await;
        if self.is_lost {
            return Err(lost());
        }
        if let Some(fault) = self.server.stage.store_fault(false) {
            self.is_lost = true;
            return Err(self.server.broke(fault));
        }
        self.refresh();
        let done = deed(&mut self.view);
        self.deeds.push(Box::new(move |database| {
            deed(database);
        }));
        Ok(done)
    }

    /// Takes a lock if nobody else has it.
    pub(crate) fn lock_now(&self, what: &Lock) -> bool {
        let mut state = lock(&self.server.state);
        *state.locks.entry(what.clone()).or_insert(self.number) == self.number
    }

    /// Takes a lock, waiting for it if need be. `false`: it did not become free in time.
    pub(crate) async fn lock(&mut self, what: &Lock) -> Result<bool, StoreError> {
        let deadline = tokio::time::Instant::now() + LOCK_TIMEOUT;
        loop {
            let released = self.server.released.notified();
            {
                let mut state = lock(&self.server.state);
                match state.locks.get(what) {
                    None => {
                        state.locks.insert(what.clone(), self.number);
                        return Ok(true);
                    }
                    Some(holder) if *holder == self.number => return Ok(true),
                    Some(_) => self.server.stage.count("waited for a lock"),
                }
            }
            tokio::select! {
                biased;
                () = released => {}
                () = tokio::time::sleep_until(deadline) => return Ok(false),
            }
        }
    }

    /// What others have committed since comes under what was done here.
    fn refresh(&mut self) {
        let state = lock(&self.server.state);
        if self.seen != Some(state.version) {
            self.view = state.committed.clone();
            self.seen = Some(state.version);
            self.deeds.iter().for_each(|deed| deed(&mut self.view));
        }
    }

    /// Notes what this transaction has written to a row of people's, or that it has deleted it.
    pub(crate) fn note(&self, table: &str, key: &RowKey, row: Option<Arc<Record>>) {
        let pending = Pending { table: table.to_owned(), key: key.clone(), row };
        lock(&self.server.state).pending.entry(self.number).or_default().push(pending);
    }

    fn apply(&mut self) {
        self.refresh();
        let mut state = lock(&self.server.state);
        state.pending.remove(&self.number);
        state.committed = std::mem::take(&mut self.view);
        state.version += 1;
    }
}

impl Transaction for Tx {
    async fn commit(mut self) -> Result<(), StoreError> {
        self.server.stage.pass(0, 2).await;
        if self.is_lost {
            return Err(lost());
        }
        let is_ousted = !self.is_private && self.server.is_ousted();
        match self.server.stage.store_fault(true) {
            None => self.apply(),
            Some(StoreFault::CommitAnswer) => {
                self.apply();
                return Err(self.server.broke(StoreFault::CommitAnswer));
            }
            Some(fault) => return Err(self.server.broke(fault)),
        }
        // Whoever takes the lease over commits just that.
        if is_ousted && self.server.is_ousted() {
            self.server.stage.blame("an engine whose lease is gone has committed".to_owned());
        }
        // Committed, and not yet known to be: whoever dies here must cope with it.
        self.server.stage.pass(0, 2).await;
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let mut state = lock(&self.server.state);
        state.open.remove(&self.number);
        state.pending.remove(&self.number);
        state.locks.retain(|_, holder| *holder != self.number);
        self.server.released.notify_waiters();
    }
}

impl Transactions for Server {
    type Tx = Tx;

    async fn begin(&self) -> Result<Tx, StoreError> {
        self.stage.pass(0, 2).await;
        if let Some(fault) = self.stage.store_fault(false) {
            return Err(self.broke(fault));
        }
        Ok(self.open())
    }
}
