//! A whole row as a text that a page can carry: every column in Postgres's own text, compressed, checked, and sealed where
//! there is a key.
//!
//! The text is one line of words: `pagerow-backup 1 plain CHECKSUM PAYLOAD`, or `sealed` in place of `plain`. The same row
//! gives the same text, so that what a page carries can be compared with what it should.

mod armour;
mod kept;
mod seal;

use std::collections::BTreeMap;

use pagerow_core::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use armour::Form;
pub use kept::Backups;
pub use seal::{BackupKey, WrongKey};

/// Writes and reads the backups of one mapping.
#[derive(Clone, Debug)]
pub struct Backup {
    mapping: String,
    key: Option<BackupKey>,
}

/// A row with all of its columns, those without a property included.
#[derive(Debug, Serialize, Deserialize)]
pub struct WholeRow {
    /// Column to the name of its type, as `format_type` says it.
    pub types: BTreeMap<String, String>,
    /// The row as `row_to_json` says it; `json_populate_record` is its inverse, to the letter of every column's text
    /// but for blanks around a whole `json` value.
    pub row: Box<RawValue>,
}

/// Why a page's backup cannot be read. Holds nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error("the page carries no backup")]
    None,
    #[error("this is no backup, or a person has written over it")]
    Foreign,
    #[error("the backup was written by another version of pagerow (format {0}, this one reads format 1)")]
    Version(u32),
    #[error("the backup is cut off or a person has changed it: its checksum is another")]
    Damaged,
    #[error("the row is too large for its page's property: {0} bytes; its backup was left out")]
    TooLarge(usize),
    #[error("the backup is sealed, and PAGEROW_BACKUP_KEY is not set")]
    NoKey,
    #[error(
        "the backup does not open: PAGEROW_BACKUP_KEY is another key, or it is the backup of another record"
    )]
    WrongKey,
    #[error("the backup holds no row")]
    NoRow,
}

/// Longest text that one property takes, in characters: 100 items of 2,000.
const LONGEST: usize = pagerow_core::fidelity::RICH_TEXT_UNITS;

impl Backup {
    /// `key`: what seals new backups, and opens sealed ones.
    #[must_use]
    pub fn new(mapping: &str, key: Option<BackupKey>) -> Self {
        Self { mapping: mapping.to_owned(), key }
    }

    /// The text for the page of this row. `whole` is a [`WholeRow`] as JSON. A row that does not fit gives a text that
    /// says so.
    #[must_use]
    pub fn write(&self, row: &str, whole: &str) -> String {
        let packed = armour::packed(whole.as_bytes());
        let text = match &self.key {
            None => armour::text(Form::Plain, &packed),
            Some(key) => armour::text(Form::Sealed, &key.seal(&self.owner(row), &packed)),
        };
        if text.len() > LONGEST { self.without(whole) } else { text }
    }

    /// The text that stands for a row which does not fit, by itself or beside the page's other values.
    #[must_use]
    pub fn without(&self, whole: &str) -> String {
        tracing::warn!(
            mapping = self.mapping,
            bytes = whole.len(),
            "a row is too large for its page's backup"
        );
        armour::too_large(whole.len())
    }

    /// Reads what the property of the page of `row` holds, all of it: a list of pages cuts long texts after 25 items.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, row: &str, text: &str) -> Result<WholeRow, BackupError> {
        let (form, bytes) = armour::bytes(text)?;
        let packed = match (form, &self.key) {
            (Form::Plain, _) => bytes,
            (Form::Sealed, None) => return Err(BackupError::NoKey),
            (Form::Sealed, Some(key)) => key.open(&self.owner(row), &bytes).ok_or(BackupError::WrongKey)?,
        };
        let whole = armour::unpacked(&packed)?;
        serde_json::from_slice(&whole).map_err(|_| BackupError::NoRow)
    }

    /// What a sealed backup belongs to, so that it cannot be moved to another record.
    fn owner(&self, row: &str) -> Vec<u8> {
        format!("pagerow-backup 1\0{}\0{row}", self.mapping).into_bytes()
    }
}

impl WholeRow {
    /// The row as the journal keeps whole rows, which is what one is made again from.
    #[must_use]
    pub fn json(&self) -> &str {
        self.row.get()
    }

    /// In short, what this row says: the digest of the text that it was read from.
    #[must_use]
    pub fn in_short(&self) -> Digest {
        // Names of columns and types always serialise.
        let types = serde_json::to_string(&self.types).unwrap_or_default();
        Self::digest(&format!("{{\"types\":{types},\"row\":{}}}", self.json()))
    }

    /// In short, what the text of a whole row says.
    #[must_use]
    pub fn digest(whole: &str) -> Digest {
        Digest::of(whole.as_bytes())
    }
}

#[cfg(test)]
mod tests;
