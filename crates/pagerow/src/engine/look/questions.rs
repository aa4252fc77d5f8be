//! Rows and pages that may be one record: what people said of them, and what waits until somebody does.

use std::collections::BTreeMap;

use pagerow_core::{
    observation::{Identity, Pair},
    plan::{Skipped, Why},
    record::{PageId, RowKey},
    side::Sides,
};

use crate::{
    engine::{Engine, EngineError, Parts},
    store::{Question, Questions as _},
};

/// The halves of one question that a look found alone.
#[derive(Default)]
struct Halves {
    row: Option<Pair>,
    page: Option<Pair>,
}

impl<W: Parts> Engine<W> {
    /// Makes pairs of what people said is one record, and takes out what is asked: making the other half of either would
    /// double a record.
    pub(super) async fn heed_questions(
        &self,
        mapping: &str,
        pairs: &mut Vec<Pair>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<(), EngineError> {
        if !pairs.iter().any(is_alone) {
            return Ok(());
        }
        let questions = self.store.questions(mapping).await?;
        let (mut rows, mut pages) = (BTreeMap::new(), BTreeMap::new());
        for (at, question) in questions.iter().enumerate() {
            let (key, page) = names(question);
            rows.extend(key.map(|key| (key, at)));
            pages.extend(page.map(|page| (page, at)));
        }
        let mut halves: BTreeMap<usize, Halves> = BTreeMap::new();
        for pair in std::mem::take(pairs) {
            let (row, page) = match &pair.identity {
                Identity::Row(key) => (rows.get(key), None),
                Identity::Page(page) => (None, pages.get(page)),
                Identity::Linked(_) | Identity::Buried(_) | Identity::Adopted { .. } => (None, None),
            };
            match (row, page) {
                (Some(at), _) => halves.entry(*at).or_default().row = Some(pair),
                (None, Some(at)) => halves.entry(*at).or_default().page = Some(pair),
                (None, None) => pairs.push(pair),
            }
        }
        for (at, halves) in halves {
            match (&questions[at], halves) {
                (Question::Same(key, page), Halves { row: Some(row), page: Some(seen) }) => {
                    let identity = Identity::Adopted { key: key.clone(), page: *page };
                    let seen = Sides { postgres: row.seen.postgres, notion: seen.seen.notion };
                    pairs.push(Pair { identity, seen });
                }
                (_, Halves { row, page }) => {
                    let key = row.and_then(|row| row.identity.key().cloned());
                    let page = page.and_then(|page| page.identity.page());
                    skipped.push(Skipped { key, page, why: Why::Asked });
                }
            }
        }
        Ok(())
    }
}

fn is_alone(pair: &Pair) -> bool {
    matches!(pair.identity, Identity::Row(_) | Identity::Page(_))
}

fn names(question: &Question) -> (Option<&RowKey>, Option<PageId>) {
    match question {
        Question::Open(key, page) => (key.as_ref(), *page),
        Question::Same(key, page) => (Some(key), Some(*page)),
    }
}
