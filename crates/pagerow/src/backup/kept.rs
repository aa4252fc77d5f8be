//! The backups that a look at pages brought along, to be read once it is known which row each belongs to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pagerow_core::record::{PageId, RowKey};

use super::{Backup, BackupError, WholeRow};

/// The backups of the pages that were looked at. Clones are one thing.
#[derive(Clone, Debug)]
pub struct Backups {
    backup: Backup,
    texts: Arc<Mutex<BTreeMap<PageId, String>>>,
}

impl Backups {
    /// None so far.
    #[must_use]
    pub fn new(backup: Backup) -> Self {
        Self { backup, texts: Arc::default() }
    }

    /// Takes in what a page's property holds.
    pub fn keep(&self, page: PageId, text: String) {
        self.texts().insert(page, text);
    }

    /// The text that a page keeps, to be put aside; it is forgotten here.
    #[must_use]
    pub fn take(&self, page: PageId) -> Option<String> {
        self.texts().remove(&page)
    }

    /// The whole row that a page keeps, if it is this row's page; it is forgotten here.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, page: PageId, row: &RowKey) -> Result<WholeRow, BackupError> {
        self.open(row, &self.take(page).ok_or(BackupError::None)?)
    }

    /// The whole row in a text that was put aside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(&self, row: &RowKey, text: &str) -> Result<WholeRow, BackupError> {
        self.backup.read(row.as_str(), text)
    }

    fn texts(&self) -> MutexGuard<'_, BTreeMap<PageId, String>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
