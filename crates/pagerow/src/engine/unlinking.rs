//! Taking a link apart that should not be: both halves stay as they are, and each waits until somebody says what it is.

use pagerow_core::{
    audit::Entry,
    record::{PageId, RowKey},
};

use super::{Engine, EngineError, Half, NotChosen, Parts, look::RecordName};
use crate::store::{
    Answered, Attention as _, Audit as _, Links as _, Questions as _, Runs as _, Transaction as _,
    Transactions as _,
};

impl<W: Parts> Engine<W> {
    /// The row and the page of the link that this half is in.
    ///
    /// # Errors
    /// [`EngineError::NotChosen`] where it is in none, or a write to it has not ended.
    pub async fn linked(&self, mapping: &str, half: &Half) -> Result<(RowKey, PageId), EngineError> {
        self.find_link(mapping, half).await.map(|(_, halves)| halves)
    }

    /// Takes that link apart. Nothing is written to either side; what the two carry of each other no longer counts, and
    /// neither gets another half before somebody has said which, or that it is a record of its own.
    ///
    /// # Errors
    /// As [`Engine::linked`], and that somebody else holds the lease.
    pub async fn unlink(&mut self, mapping: &str, half: &Half) -> Result<(RowKey, PageId), EngineError> {
        self.take_lease().await?;
        let (link, halves) = self.find_link(mapping, half).await?;
        let (key, page) = &halves;
        let is_its =
            |of: (&Option<RowKey>, Option<PageId>)| of.0.as_ref() == Some(key) || of.1 == Some(*page);
        let mut answered = Answered::default();
        for open in self.store.open_conflicts(Some(mapping)).await? {
            if is_its((&open.conflict.key, open.conflict.page)) {
                answered.conflict(&open);
            }
        }
        for parked in self.store.parked(Some(mapping)).await? {
            if is_its((&parked.key, parked.page)) {
                answered.parked(&parked);
            }
        }
        let mut asked = self.open_questions(mapping).await?;
        let waiting: [RecordName; 2] = [(Some(key.clone()), None), (None, Some(*page))];
        asked.extend(waiting);
        let told = Entry {
            mapping: Some(mapping.to_owned()),
            key: Some(key.clone()),
            page: Some(*page),
            run: None,
            ..self.decision("recover choose", 0, "unlink", "the row is not the page".to_owned())
        };
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.store.part(&mut tx, mapping, link, &halves, &self.who).await?;
        self.store.answer(&mut tx, &answered).await?;
        self.store.keep_questions(&mut tx, mapping, &asked).await?;
        self.store.audit(&mut tx, &[told]).await?;
        tx.commit().await?;
        // A reference to either means the other no longer.
        self.relatives = None;
        Ok(halves)
    }

    async fn find_link(&self, mapping: &str, half: &Half) -> Result<(i64, (RowKey, PageId)), EngineError> {
        self.place(mapping)?;
        let (keys, pages) = match half {
            Half::Row(key) => (vec![key.clone()], Vec::new()),
            Half::Page(page) => (Vec::new(), vec![*page]),
        };
        let link = self.store.links_of(mapping, &keys, &pages).await?.into_iter().next();
        let link = link.ok_or_else(|| NotChosen::NotLinked(half.clone()))?;
        let open = self.store.open_steps(mapping).await?;
        if open
            .iter()
            .any(|open| open.step.link == Some(link.id) || open.step.key.as_ref() == Some(&link.key))
        {
            return Err(NotChosen::InDoubt(half.clone()).into());
        }
        Ok((link.id, (link.key, link.page)))
    }
}
