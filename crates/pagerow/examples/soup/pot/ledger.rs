//! What people did: every edit with what its author saw, so that each mark can be asked for at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Row,
    Page,
}

/// What somebody did.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// Since the soup began.
    pub(crate) at: Duration,
    pub(crate) side: Side,
    pub(crate) table: &'static str,
    /// The row's key or the page's id.
    pub(crate) record: String,
    /// The column, or what was done with the whole record.
    pub(crate) what: String,
    /// The mark it left, if any.
    pub(crate) mark: Option<String>,
    /// Marks that its author saw and took away, by column.
    pub(crate) took: Vec<(&'static str, String)>,
}

/// A mark, with the cell's table and column: days and numbers are only unique in theirs.
pub(crate) type Mark = (&'static str, &'static str, String);

#[derive(Debug, Default)]
struct Kept {
    edits: Vec<Edit>,
    /// Where each mark was written, as an index of `edits`.
    written: BTreeMap<Mark, usize>,
    taken: BTreeSet<Mark>,
    /// Rows that people deleted and pages that people put in the trash, whenever.
    deleted: BTreeSet<(&'static str, String)>,
    trashed: BTreeSet<String>,
}

/// Everything that people did.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Kept>);

impl Ledger {
    /// Writes down an edit that certainly happened. `columns` says which column each mark is in.
    pub(crate) fn note(&self, edit: Edit, column: Option<&'static str>) {
        let mut kept = self.kept();
        for (column, mark) in &edit.took {
            kept.taken.insert((edit.table, column, mark.clone()));
        }
        let place = kept.edits.len();
        if let (Some(mark), Some(column)) = (&edit.mark, column) {
            kept.written.insert((edit.table, column, mark.clone()), place);
        }
        kept.edits.push(edit);
    }

    pub(crate) fn note_deleted(&self, table: &'static str, key: &str) {
        self.kept().deleted.insert((table, key.to_owned()));
    }

    pub(crate) fn note_trashed(&self, page: &str) {
        self.kept().trashed.insert(page.to_owned());
    }

    pub(crate) fn was_deleted(&self, table: &'static str, key: &str) -> bool {
        self.kept().deleted.contains(&(table, key.to_owned()))
    }

    pub(crate) fn was_trashed(&self, page: &str) -> bool {
        self.kept().trashed.contains(page)
    }

    /// Marks that nobody took away, with the edits that wrote them.
    pub(crate) fn standing(&self) -> Vec<(Mark, Edit)> {
        let kept = self.kept();
        kept.written
            .iter()
            .filter(|(mark, _)| !kept.taken.contains(mark))
            .filter_map(|(mark, place)| Some((mark.clone(), kept.edits.get(*place)?.clone())))
            .collect()
    }

    /// What was done to these records, in order.
    pub(crate) fn story(&self, records: &[String]) -> Vec<Edit> {
        self.kept().edits.iter().filter(|edit| records.contains(&edit.record)).cloned().collect()
    }

    pub(crate) fn tell(&self, figures: &mut BTreeMap<String, u64>) {
        let kept = self.kept();
        for edit in &kept.edits {
            let side = match edit.side {
                Side::Row => "Postgres",
                Side::Page => "Notion",
            };
            let what = if edit.mark.is_some() && !edit.what.starts_with("new") { "cell" } else { &edit.what };
            *figures.entry(format!("edits in {side}: {what}")).or_default() += 1;
        }
        figures.insert("edits: marks written".to_owned(), kept.written.len() as u64);
        figures.insert("edits: marks taken away by one who saw them".to_owned(), kept.taken.len() as u64);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
