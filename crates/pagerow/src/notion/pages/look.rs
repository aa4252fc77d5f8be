//! Looking at pages: everything, what was edited, some by id, or some by key.
//!
//! Calls are tasks of their own, so that answers are read while others are on their way; what they bring is put
//! together and handed over here, page by page. An error, or dropping the look, ends all of them, and there is
//! then nothing that could be taken for a complete look.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use pagerow_core::{
    mutant::{self, Mutant},
    observation::{Absence, Observation},
    record::{PageId, RowKey},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::{
    NotionPages, PagesError,
    api::{self, Fetched, minute},
    delta::{AGAIN, Delta, Mark, Next},
    sighting::{Scratch, State, state},
    windows::{Ask, Listed, Minute, TooDense, Windows},
};
use crate::{
    notion::{
        Answer, NotionError,
        error::RateScope,
        wire::{Entry, ListPage, Page, RequestStatus},
    },
    replica::{Cursor, Looked, Relatives, Seen, Sink},
};

/// Most windows that are read at once; the limiter has the last word.
const ABREAST: usize = 16;
/// Pages that are fetched one by one at once.
const SINGLE: usize = 64;
/// While so many pages wait for what they do not show by themselves, no further ones are listed.
const WAITING: usize = 256;
/// Keys in one query: Notion takes a hundred conditions.
const KEYS: usize = 100;

/// One look on its way.
pub(super) struct Look<'a> {
    pages: &'a NotionPages,
    relatives: &'a Relatives,
    sink: Sink<'a, PageId>,
    tasks: JoinSet<Arrived>,
    /// Calls on their way that list pages, and those that fetch one.
    listing: usize,
    fetching: usize,
    seen: HashSet<PageId>,
    live: u64,
    latest_edit: Option<Timestamp>,
    /// Notion's clock at the first answer.
    began: Option<Timestamp>,
    again: Vec<PageId>,
    /// Pages that a call on its way is about.
    awaited: BTreeSet<PageId>,
    /// Something was listed that nobody can name.
    is_nameless: bool,
    scratch: Scratch,
}

/// Who is told after each answer; asks how far the reading has come where that matters.
pub(super) type Tell<'t> = &'t mut (dyn FnMut(&dyn Fn() -> Option<Cursor>) + Send);

/// How far a reading of everything has come: another one goes on from there, on another machine too.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Reached {
    windows: Windows,
    /// Pages that were listed and not handed over yet.
    awaited: Vec<PageId>,
    began: Option<Timestamp>,
    latest_edit: Option<Timestamp>,
    again: Vec<PageId>,
    is_nameless: bool,
}

/// What a call brought.
enum Arrived {
    Listed(Ask, Result<Answer<ListPage<Page>>, NotionError>),
    Edited(Result<Answer<ListPage<Page>>, NotionError>),
    OfOne(OfOne),
}

/// What a call about one page brought.
enum OfOne {
    Itself(PageId, Result<Box<Page>, NotionError>),
    Rest(PageId, Box<Page>, Result<Fetched, NotionError>),
}

impl<'a> Look<'a> {
    pub(super) fn new(pages: &'a NotionPages, relatives: &'a Relatives, sink: Sink<'a, PageId>) -> Self {
        Self {
            pages,
            relatives,
            sink,
            tasks: JoinSet::new(),
            listing: 0,
            fetching: 0,
            seen: HashSet::new(),
            live: 0,
            latest_edit: None,
            began: None,
            again: Vec::new(),
            awaited: BTreeSet::new(),
            is_nameless: false,
            scratch: Scratch::default(),
        }
    }

    /// All live pages.
    pub(super) async fn everything(self) -> Result<Looked, PagesError> {
        self.read_on(Reached::default(), &mut |_| ()).await
    }

    /// All live pages that were not handed over before `reached`. Tells how far it has come after each answer: another
    /// reading goes on from there, if everything that was handed over until then is kept.
    pub(super) async fn read_on(mut self, reached: Reached, tell: Tell<'_>) -> Result<Looked, PagesError> {
        let mut windows = reached.windows.taken_up();
        (self.began, self.latest_edit) = (reached.began, reached.latest_edit);
        (self.again, self.is_nameless) = (reached.again, reached.is_nameless);
        reached.awaited.iter().for_each(|id| self.fetch(*id));
        loop {
            self.ask(&mut windows);
            match self.arrival().await? {
                None => break,
                Some(Arrived::Listed(ask, result)) => {
                    self.listing -= 1;
                    self.take_listed(&mut windows, ask, result)?;
                    // Not while calls already wait for their turn: further windows would only cost.
                    if self.pages.api.client.pacing().counters().waiting == 0 && self.listing < ABREAST {
                        windows.widen();
                    }
                }
                Some(Arrived::OfOne(one)) => self.take(one)?,
                // Only a look for edits asks for them.
                Some(Arrived::Edited(_)) => self.listing -= 1,
            }
            tell(&|| {
                let reached = Reached {
                    windows: windows.clone(),
                    awaited: self.awaited.iter().copied().collect(),
                    began: self.began,
                    latest_edit: self.latest_edit,
                    again: self.again.clone(),
                    is_nameless: self.is_nameless,
                };
                serde_json::to_value(reached).ok()
            });
        }
        let again = std::mem::take(&mut self.again);
        let complete = windows.is_done() && !self.is_nameless && again.len() <= AGAIN;
        let mark = Mark::default().after(self.latest_edit, self.began, again);
        Ok(Looked {
            complete,
            cursor: if complete { mark.to_cursor() } else { None },
            count: complete.then_some(self.live),
            ..Looked::default()
        })
    }

    /// Pages edited since an earlier look.
    pub(super) async fn since(mut self, cursor: &Cursor) -> Result<Looked, PagesError> {
        let everything = Looked { vanished: true, ..Looked::default() };
        let Some(mark) = Mark::read(cursor) else { return Ok(everything) };
        let mut delta = Delta::since(mark.from());
        self.ask_for_edits(&delta);
        mark.again.iter().for_each(|id| self.fetch(*id));
        loop {
            let next = match self.arrival().await? {
                None => break,
                Some(Arrived::Edited(Ok(answer))) => {
                    self.listing -= 1;
                    self.began = self.began.or(answer.server_time);
                    if self.began.is_some_and(|began| mark.is_ahead_of(began)) {
                        return Ok(everything);
                    }
                    let page = answer.body;
                    let edits: Vec<Minute> = page
                        .entries
                        .iter()
                        .filter_map(Entry::whole)
                        .map(|p| minute(p.last_edited_time))
                        .collect();
                    let next = delta.answered(&edits, page.next_cursor, is_cut(&page.request_status));
                    if next == Next::Ask {
                        self.ask_for_edits(&delta);
                    }
                    self.take_entries(page.entries);
                    next
                }
                Some(Arrived::Edited(Err(NotionError::StaleCursor(refusal)))) => {
                    self.listing -= 1;
                    if delta.cursor_went_stale() == Next::GiveUp {
                        return Err(NotionError::StaleCursor(refusal).into());
                    }
                    self.ask_for_edits(&delta);
                    Next::Ask
                }
                Some(Arrived::Edited(Err(error))) => return Err(error.into()),
                Some(Arrived::OfOne(one)) => {
                    self.take(one)?;
                    Next::Ask
                }
                // Only a look at everything asks for them.
                Some(Arrived::Listed(..)) => Next::GiveUp,
            };
            if next == Next::GiveUp {
                return Ok(everything);
            }
        }
        let again = std::mem::take(&mut self.again);
        if self.is_nameless || again.len() > AGAIN {
            return Ok(everything);
        }
        let mark = mark.after(self.latest_edit, self.began, again);
        Ok(Looked { complete: true, cursor: mark.to_cursor(), ..Looked::default() })
    }

    /// These pages, whatever became of them.
    pub(super) async fn these(mut self, ids: &[PageId]) -> Result<Looked, PagesError> {
        for &id in ids {
            if self.fetching >= SINGLE {
                self.take_next().await?;
            }
            self.fetch(id);
        }
        while self.take_next().await? {}
        Ok(Looked { complete: true, ..Looked::default() })
    }

    /// Live pages that carry one of these keys, or one that Notion takes for the same.
    pub(super) async fn by_key(mut self, keys: &[RowKey]) -> Result<(), PagesError> {
        let (property, kind) = self.pages.key_property().ok_or(PagesError::NoKeyProperty)?;
        for keys in keys.chunks(KEYS) {
            let conditions: Vec<Json> = keys
                .iter()
                .map(|key| json!({ "property": property.as_str(), (kind): { "equals": key.as_str() } }))
                .collect();
            let filter = json!({ "or": conditions });
            let mut cursor = None;
            loop {
                let answer = self.pages.api.query(Some(filter.clone()), Vec::new(), cursor).await?;
                if let RequestStatus::Incomplete { reason } = answer.body.request_status {
                    return Err(PagesError::Cut { reason });
                }
                self.take_entries(answer.body.entries);
                cursor = answer.body.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        while self.take_next().await? {}
        Ok(())
    }

    // ---- Sending ----

    /// Sends every call that the windows have ready.
    fn ask(&mut self, windows: &mut Windows) {
        while self.fetching < WAITING && self.listing < ABREAST {
            let Some(ask) = windows.next() else { break };
            let api = self.pages.api.clone();
            self.listing += 1;
            self.tasks.spawn(async move {
                let result = match &ask {
                    Ask::Newest => api.newest().await,
                    Ask::Rows(_, stretch) => api.created_in(stretch).await,
                };
                Arrived::Listed(ask, result)
            });
        }
    }

    fn ask_for_edits(&mut self, delta: &Delta) {
        let (api, stretch) = (self.pages.api.clone(), delta.asks().clone());
        self.listing += 1;
        self.tasks.spawn(async move { Arrived::Edited(api.edited_in(&stretch).await) });
    }

    fn fetch(&mut self, id: PageId) {
        let api = self.pages.api.clone();
        self.fetching += 1;
        self.awaited.insert(id);
        self.tasks.spawn(async move {
            let page = api.page(id).await.and_then(Answer::into_whole).map(Box::new);
            Arrived::OfOne(OfOne::Itself(id, page))
        });
    }

    /// The next answer; `None` when no call is on its way.
    async fn arrival(&mut self) -> Result<Option<Arrived>, PagesError> {
        match self.tasks.join_next().await {
            None => Ok(None),
            Some(Ok(arrived)) => Ok(Some(arrived)),
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(PagesError::Stopping),
            },
        }
    }

    // ---- Taking answers ----

    /// Takes the next answer about one page; `false` when no call is on its way.
    async fn take_next(&mut self) -> Result<bool, PagesError> {
        match self.arrival().await? {
            None => return Ok(false),
            Some(Arrived::OfOne(one)) => self.take(one)?,
            // Nobody who waits for single pages has asked for lists.
            Some(Arrived::Listed(..) | Arrived::Edited(_)) => self.listing -= 1,
        }
        Ok(true)
    }

    fn take_listed(
        &mut self,
        windows: &mut Windows,
        ask: Ask,
        result: Result<Answer<ListPage<Page>>, NotionError>,
    ) -> Result<(), PagesError> {
        let answer = match (result, &ask) {
            (Ok(answer), _) => answer,
            (Err(NotionError::StaleCursor(refusal)), Ask::Rows(window, _)) => {
                if windows.cursor_went_stale(*window) {
                    return Ok(());
                }
                return Err(NotionError::StaleCursor(refusal).into());
            }
            (Err(error), _) => return Err(error.into()),
        };
        self.began = self.began.or(answer.server_time);
        let page = answer.body;
        let listed = Listed {
            minutes: page.entries.iter().filter_map(Entry::whole).map(|p| minute(p.created_time)).collect(),
            next_cursor: page.next_cursor,
            is_cut: is_cut(&page.request_status),
        };
        match ask {
            Ask::Newest => windows.newest(&listed),
            Ask::Rows(window, _) => windows
                .answered(window, listed)
                .map_err(|TooDense(minute)| PagesError::TooDense { minute: api::time(minute) })?,
        }
        // The next call goes out before this answer's pages are looked into.
        self.ask(windows);
        self.take_entries(page.entries);
        Ok(())
    }

    fn take_entries(&mut self, entries: Vec<Entry<Page>>) {
        for entry in entries {
            match entry {
                Entry::Whole(page) => match PageId::parse(&page.id) {
                    Some(id) => self.take_page(id, page),
                    None => self.is_nameless = true,
                },
                Entry::Partial { id } => {
                    self.take_unreadable(Some(&id), "the connection is shown only its id".to_owned());
                }
                Entry::Unreadable { id, reason } => self.take_unreadable(id.as_deref(), reason),
                // A wiki lists data sources among its pages.
                Entry::Other { .. } => {}
            }
        }
    }

    fn take_unreadable(&mut self, id: Option<&str>, reason: String) {
        match id.and_then(PageId::parse) {
            Some(id) if self.seen.insert(id) => {
                self.live += 1;
                self.show(id, Observation::Unreadable(reason));
            }
            Some(_) => {}
            None => self.is_nameless = true,
        }
    }

    /// Hands a page over, at once or when the rest of it was fetched.
    fn take_page(&mut self, id: PageId, page: Page) {
        if !self.seen.insert(id) {
            return;
        }
        let absence = match state(&page, &self.pages.api.data_source) {
            State::Live => None,
            State::Away(absence) => Some(Observation::Absent(absence)),
            State::Strange => {
                Some(Observation::Unreadable("it lies in a place of an unknown kind".to_owned()))
            }
        };
        if let Some(observation) = absence {
            self.show(id, observation);
            return;
        }
        self.live += 1;
        self.latest_edit = self.latest_edit.max(Some(page.last_edited_time));
        let missing = self.pages.lens.missing(&page, &mut self.scratch);
        if missing.cut.is_empty() && !missing.body {
            self.show_live(id, &page, &Fetched::default());
            return;
        }
        let api = self.pages.api.clone();
        self.fetching += 1;
        self.awaited.insert(id);
        self.tasks.spawn(async move {
            let result = api.fetch(id, &missing).await;
            Arrived::OfOne(OfOne::Rest(id, Box::new(page), result))
        });
    }

    /// Takes what came of a single page.
    fn take(&mut self, one: OfOne) -> Result<(), PagesError> {
        self.fetching -= 1;
        self.awaited.remove(match &one {
            OfOne::Itself(id, _) | OfOne::Rest(id, _, _) => id,
        });
        match one {
            OfOne::Itself(id, result) => match result {
                Ok(page) => self.take_page(id, *page),
                Err(NotionError::NotShared { .. }) => {
                    if self.seen.insert(id) {
                        let trashed = mutant::is(Mutant::UnsharedIsTrashed);
                        let how = if trashed { Absence::Trashed } else { Absence::Unreachable };
                        self.show(id, Observation::Absent(how));
                    }
                }
                Err(error) => self.take_failure(id, error)?,
            },
            OfOne::Rest(id, page, result) => match result {
                Ok(fetched) => self.show_live(id, &page, &fetched),
                Err(error) => {
                    self.seen.remove(&id);
                    self.take_failure(id, error)?;
                }
            },
        }
        Ok(())
    }

    /// One page's trouble stays its own, unless it is the connection's. It is asked for again by the next look.
    fn take_failure(&mut self, id: PageId, error: NotionError) -> Result<(), PagesError> {
        if is_the_connections(&error) {
            return Err(error.into());
        }
        if self.seen.insert(id) {
            if is_passing(&error) {
                self.again.push(id);
            }
            self.show(
                id,
                match () {
                    () if mutant::is(Mutant::UnreadableIsAbsent) => Observation::Absent(Absence::Trashed),
                    () => Observation::Unreadable(error.to_string()),
                },
            );
        }
        Ok(())
    }

    fn show_live(&mut self, id: PageId, page: &Page, fetched: &Fetched) {
        let pages = self.pages;
        pages.lens.keep_backup(id, page, fetched);
        let sighting = pages.lens.sighting(&pages.mapping, page, fetched, self.relatives, &mut self.scratch);
        self.show(id, Observation::Present(sighting));
    }

    fn show(&mut self, id: PageId, observation: Observation) {
        (self.sink)(Seen { id, observation });
    }
}

fn is_cut(status: &RequestStatus) -> bool {
    matches!(status, RequestStatus::Incomplete { .. })
}

/// Whether every further call would fail in the same way.
fn is_the_connections(error: &NotionError) -> bool {
    matches!(
        error,
        NotionError::WrongToken(_)
            | NotionError::MissingCapability { .. }
            | NotionError::RateLimited { .. }
            | NotionError::Overloaded { .. }
            | NotionError::Unconnected(_)
    )
}

/// Whether the same call may succeed later.
fn is_passing(error: &NotionError) -> bool {
    match error {
        NotionError::RateLimited { scope, .. } => *scope != RateScope::Blocked,
        NotionError::Server(_)
        | NotionError::Unexpected(_)
        | NotionError::ConnectionLost(_)
        | NotionError::Timeout
        | NotionError::Overloaded { .. }
        | NotionError::Unconnected(_) => true,
        _ => false,
    }
}
