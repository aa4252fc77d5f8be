//! Keeping what is asked about which row is which page, so that neither is made a second time before somebody has
//! answered.

use std::collections::BTreeSet;

use pagerow_core::{matching::Tier, record::PageId};

use super::{Engine, EngineError, Matches, Parts, Recovery, look::RecordName};
use crate::store::{Attention as _, Question, Questions as _, Transaction as _, Transactions as _};

impl<W: Parts> Engine<W> {
    /// From now on, what a recovery's matches leave open waits for an answer, in the place of what waited before. One of
    /// some records only knows too little to ask.
    ///
    /// # Errors
    /// What the database says, and that somebody else holds the lease.
    pub async fn keep_questions(&self, what: &Recovery, matches: &[Matches]) -> Result<(), EngineError> {
        if !what.records.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for matches in matches {
            let asked = matches.asked();
            let mut freed = self.open_questions(&matches.mapping).await?;
            let still: BTreeSet<&RecordName> = asked.iter().collect();
            freed.retain(|name| !still.contains(name));
            self.store.keep_questions(&mut tx, &matches.mapping, &asked).await?;
            // No look for changes shows what changed long ago.
            self.store.revisit(&mut tx, &matches.mapping, &freed, 0.0).await?;
        }
        Ok(tx.commit().await?)
    }

    /// From now on, what these matches leave open waits for an answer as well.
    pub(super) async fn add_questions(&self, matches: &[Matches]) -> Result<(), EngineError> {
        if matches.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        for matches in matches {
            let mut asked = self.open_questions(&matches.mapping).await?;
            asked.extend(matches.asked());
            self.store.keep_questions(&mut tx, &matches.mapping, &asked).await?;
        }
        Ok(tx.commit().await?)
    }

    pub(super) async fn open_questions(&self, mapping: &str) -> Result<Vec<RecordName>, EngineError> {
        let open = |question| match question {
            Question::Open(key, page) => Some((key, page)),
            Question::Same(..) => None,
        };
        Ok(self.store.questions(mapping).await?.into_iter().filter_map(open).collect())
    }
}

impl Matches {
    /// What nobody has said yet: pairs, and rows and pages of which each may belong to several.
    fn asked(&self) -> Vec<RecordName> {
        let pairs = self.likely.iter().map(|pair| (Some(pair.row.clone()), Some(pair.page)));
        // By what is certain several halves are found to fit at every look.
        let open = self.questions.iter().filter(|question| question.tier >= Tier::ExactTitle);
        let halves = open.flat_map(|question| {
            let rows = question.rows.iter().map(|key| (Some(key.clone()), None));
            rows.chain(question.pages.iter().map(|page: &PageId| (None, Some(*page))))
        });
        pairs.chain(halves).chain(self.parted.iter().cloned()).collect()
    }
}
