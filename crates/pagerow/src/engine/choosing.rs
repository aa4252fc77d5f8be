//! Keeping what a person says about which row is which page, after a look at both of them.

use pagerow_core::{
    audit::Entry,
    observation::{Absence, Observation, Sighting},
    record::{PageId, RowKey},
};

use super::{
    Bound, Engine, EngineError, Parts,
    look::{RecordName, pages_error, rows_error},
};
use crate::{
    replica::{Pages as _, Rows as _, Scope, Seen},
    store::{
        Attention as _, Audit as _, Choice, Choices, Links as _, Questions as _, Said, Transaction as _,
        Transactions as _,
    },
};

/// Why a choice is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    #[error("{mapping} has no row {key}")]
    NoSuchRow { mapping: String, key: RowKey },
    #[error("page {page} is not among the pages of {mapping}: {}", away(*.how))]
    NoSuchPage { mapping: String, page: PageId, how: Absence },
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: String, why: String },
    #[error("row {key} and page {page} are linked already")]
    Linked { key: RowKey, page: PageId },
    #[error("{} already", told(.0))]
    Chosen(Said),
    #[error("nothing was said about {0}")]
    NothingSaid(Half),
    #[error("{0} is not linked")]
    NotLinked(Half),
    #[error("a write to the record of {0} has not ended")]
    InDoubt(Half),
}

/// One half of a record, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Half {
    Row(RowKey),
    Page(PageId),
}

impl std::fmt::Display for Half {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Row(key) => write!(f, "row {key}"),
            Self::Page(page) => write!(f, "page {page}"),
        }
    }
}

impl<W: Parts> Engine<W> {
    /// Keeps what a person says, all of it or nothing, for the recoveries to come. Answers it with the rows' keys as the
    /// table says them.
    ///
    /// # Errors
    /// [`EngineError::NotChosen`] where a half is not there, linked, or in another choice; when a side cannot be looked
    /// at.
    pub async fn choose(&self, mapping: &str, said: Vec<Said>) -> Result<Vec<Choice>, EngineError> {
        let bound = &self.bound[self.place(mapping)?];
        let mut choices = Vec::with_capacity(said.len());
        for one in said {
            let said = self.looked_at(bound, one).await?;
            self.check_free(mapping, &said).await?;
            choices.push(Choice {
                mapping: mapping.to_owned(),
                said,
                by: self.who.clone(),
                at: self.clock.now(),
            });
        }
        let mut tx = self.store.begin().await?;
        self.store.forget_followed(&mut tx, mapping).await?;
        for choice in &choices {
            if let Said::Same(key, page) = &choice.said {
                // They are one record after all.
                self.store.join(&mut tx, mapping, &(key.clone(), *page)).await?;
            }
            if !self.store.choose(&mut tx, choice).await? {
                return Err(NotChosen::Chosen(choice.said.clone()).into());
            }
        }
        let said: Vec<RecordName> =
            choices.iter().map(|choice| (choice.said.row().cloned(), choice.said.page())).collect();
        // The next look goes by it, whenever they were edited last.
        self.store.revisit(&mut tx, mapping, &said, 0.0).await?;
        let told: Vec<Entry> = choices.iter().map(|choice| self.entry("choose", choice)).collect();
        self.store.audit(&mut tx, &told).await?;
        tx.commit().await?;
        Ok(choices)
    }

    /// Takes back what a person said about these rows and pages, all of it or nothing. Answers what that was.
    ///
    /// # Errors
    /// [`EngineError::NotChosen`] where nothing was said about one of them.
    pub async fn take_back(&self, mapping: &str, halves: &[Half]) -> Result<Vec<Choice>, EngineError> {
        self.place(mapping)?;
        let known = self.store.choices(Some(mapping)).await?;
        let mut taken: Vec<(&Half, &Choice)> = Vec::new();
        for half in halves {
            let is_meant = |choice: &&Choice| match half {
                Half::Row(key) => choice.said.row() == Some(key),
                Half::Page(page) => choice.said.page() == Some(*page),
            };
            let found = known.iter().find(is_meant);
            let found = found.ok_or_else(|| NotChosen::NothingSaid(half.clone()))?;
            // A row and its page are named by one choice.
            if taken.iter().all(|(_, choice)| *choice != found) {
                taken.push((half, found));
            }
        }
        let mut tx = self.store.begin().await?;
        for (half, choice) in &taken {
            if !self.store.take_back(&mut tx, choice).await? {
                return Err(NotChosen::NothingSaid((*half).clone()).into());
            }
        }
        let told: Vec<Entry> = taken.iter().map(|(_, choice)| self.entry("take back", choice)).collect();
        self.store.audit(&mut tx, &told).await?;
        tx.commit().await?;
        Ok(taken.into_iter().map(|(_, choice)| choice.clone()).collect())
    }

    /// The same choice with its halves as both sides name them.
    async fn looked_at(&self, bound: &Bound<W>, said: Said) -> Result<Said, EngineError> {
        let mapping = bound.mapping.name.as_str();
        Ok(match said {
            Said::NewPage(page) => {
                self.page_seen(bound, page).await?;
                Said::NewPage(page)
            }
            Said::NewRow(key) => match self.row_seen(bound, &key).await? {
                Some(key) => Said::NewRow(key),
                None => return Err(NotChosen::NoSuchRow { mapping: mapping.to_owned(), key }.into()),
            },
            Said::Same(key, page) => {
                let seen = self.page_seen(bound, page).await?;
                let is_its_own = bound.mapping.key_property && seen.marker.as_deref() == Some(key.as_str());
                match self.row_seen(bound, &key).await? {
                    Some(key) => Said::Same(key, page),
                    // The row is what was lost.
                    None if is_its_own => Said::Same(key, page),
                    None => return Err(NotChosen::NoSuchRow { mapping: mapping.to_owned(), key }.into()),
                }
            }
        })
    }

    /// The key of a row as the table says it; `None` where there is no such row.
    async fn row_seen(&self, bound: &Bound<W>, key: &RowKey) -> Result<Option<RowKey>, EngineError> {
        let mut found = None;
        let mut take = |seen: Seen<RowKey>| found = Some(seen);
        let looked = bound.rows.look(Scope::These(std::slice::from_ref(key)), &mut take).await;
        looked.map_err(|error| rows_error(&bound.mapping.name, error))?;
        match found.map(|seen| (seen.id, seen.observation)) {
            Some((key, Observation::Present(_) | Observation::Unchanged)) => Ok(Some(key)),
            Some((_, Observation::Unreadable(why))) => {
                Err(NotChosen::Unreadable { what: Half::Row(key.clone()).to_string(), why }.into())
            }
            Some((_, Observation::Absent(_))) | None => Ok(None),
        }
    }

    async fn page_seen(&self, bound: &Bound<W>, page: PageId) -> Result<Sighting, EngineError> {
        let mapping = bound.mapping.name.as_str();
        let relatives = crate::replica::Relatives::default();
        let mut found = None;
        let mut take = |seen: Seen<PageId>| found = Some(seen.observation);
        let looked = bound.pages.look(Scope::These(&[page]), &relatives, &mut take).await;
        looked.map_err(|error| pages_error(mapping, error))?;
        match found {
            Some(Observation::Present(seen)) => Ok(seen),
            Some(Observation::Unreadable(why)) => {
                Err(NotChosen::Unreadable { what: Half::Page(page).to_string(), why }.into())
            }
            Some(Observation::Absent(how)) => {
                Err(NotChosen::NoSuchPage { mapping: mapping.to_owned(), page, how }.into())
            }
            Some(Observation::Unchanged) | None => {
                let how = Absence::Unreachable;
                Err(NotChosen::NoSuchPage { mapping: mapping.to_owned(), page, how }.into())
            }
        }
    }

    /// Whether neither half is linked, or in another choice.
    async fn check_free(&self, mapping: &str, said: &Said) -> Result<(), EngineError> {
        let keys: Vec<RowKey> = said.row().cloned().into_iter().collect();
        let pages: Vec<PageId> = said.page().into_iter().collect();
        if let Some(link) = self.store.links_of(mapping, &keys, &pages).await?.into_iter().next() {
            return Err(NotChosen::Linked { key: link.key, page: link.page }.into());
        }
        let known = self.store.choices(Some(mapping)).await?;
        let other = known.into_iter().map(|choice| choice.said).find(|other| {
            (said.row().is_some() && other.row() == said.row())
                || (said.page().is_some() && other.page() == said.page())
        });
        other.map_or(Ok(()), |other| Err(NotChosen::Chosen(other).into()))
    }

    fn entry(&self, action: &str, choice: &Choice) -> Entry {
        let about = match choice.said {
            Said::Same(..) => "the row is the page",
            Said::NewRow(_) => "the row belongs to no page",
            Said::NewPage(_) => "the page belongs to no row",
        };
        Entry {
            run: None,
            mapping: Some(choice.mapping.clone()),
            key: choice.said.row().cloned(),
            page: choice.said.page(),
            ..self.decision("recover choose", 0, action, about.to_owned())
        }
    }
}

impl From<NotChosen> for EngineError {
    fn from(why: NotChosen) -> Self {
        Self::NotChosen(Box::new(why))
    }
}

/// What was said, as a sentence without its end.
fn told(said: &Said) -> String {
    match said {
        Said::Same(key, page) => format!("row {key} was said to be page {page}"),
        Said::NewRow(key) => format!("row {key} was said to belong to no page"),
        Said::NewPage(page) => format!("page {page} was said to belong to no row"),
    }
}

fn away(how: Absence) -> &'static str {
    match how {
        Absence::Trashed => "it is in the trash",
        Absence::Archived => "it is in the archive",
        Absence::Moved => "it is somewhere else",
        Absence::Deleted | Absence::Unreachable | Absence::OutOfScope => {
            "there is none with this id, or it is not shared with the connection"
        }
    }
}
