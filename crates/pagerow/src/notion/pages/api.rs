//! The few calls about one data source's pages, in a form that can be sent from any task.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use pagerow_core::record::PageId;
use serde_json::{Value as Json, json};

use super::windows::{Minute, Stretch};
use crate::notion::{
    Answer, Direction, NotionClient, NotionError, Query, Sort,
    error::Problem,
    wire::{Entry, ListPage, Page, PropertyId, PropertyValue},
};

/// Most properties that one call may name.
const NAMED_PROPERTIES: usize = 100;

/// A data source's endpoints. Clones are one thing.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) client: NotionClient,
    pub(super) data_source: Arc<str>,
    shown: Arc<[PropertyId]>,
    /// One of the mapped properties is gone, so that naming them is refused: all are shown.
    shows_all: Arc<AtomicBool>,
}

/// What of a page has to be fetched beside the page itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    /// Properties that may be cut, each with the place of its field.
    pub(super) cut: Vec<(usize, PropertyId)>,
    pub(super) body: bool,
}

/// What was fetched beside a page. `None`: it does not show.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) values: Vec<(usize, Option<PropertyValue>)>,
    pub(super) body: Option<String>,
}

impl Api {
    pub(super) fn new(client: NotionClient, data_source: String, shown: Vec<PropertyId>) -> Self {
        let shown = if shown.len() > NAMED_PROPERTIES { Vec::new() } else { shown };
        Self { client, data_source: data_source.into(), shown: shown.into(), shows_all: Arc::default() }
    }

    /// The properties to be shown; none means all.
    pub(super) fn shown(&self) -> &[PropertyId] {
        if self.shows_all.load(Ordering::Relaxed) { &[] } else { &self.shown }
    }

    /// Rows in order of creation.
    pub(super) async fn created_in(&self, stretch: &Stretch) -> Result<Answer<ListPage<Page>>, NotionError> {
        let sorts = vec![Sort::CreatedTime(Direction::Ascending)];
        self.query(within("created_time", stretch), sorts, stretch.cursor.clone()).await
    }

    /// The newest rows, latest first.
    pub(super) async fn newest(&self) -> Result<Answer<ListPage<Page>>, NotionError> {
        self.query(None, vec![Sort::CreatedTime(Direction::Descending)], None).await
    }

    /// Rows by their last edit, latest first: a row that is edited meanwhile moves to where we have been, and
    /// pushes no other out of sight.
    pub(super) async fn edited_in(&self, stretch: &Stretch) -> Result<Answer<ListPage<Page>>, NotionError> {
        let sorts = vec![Sort::LastEditedTime(Direction::Descending)];
        self.query(within("last_edited_time", stretch), sorts, stretch.cursor.clone()).await
    }

    /// Rows by a filter.
    pub(super) async fn query(
        &self,
        filter: Option<Json>,
        sorts: Vec<Sort>,
        start_cursor: Option<String>,
    ) -> Result<Answer<ListPage<Page>>, NotionError> {
        let mut query = Query {
            filter,
            sorts,
            start_cursor,
            filter_properties: self.shown().to_vec(),
            ..Query::default()
        };
        let result = self.client.query(&self.data_source, &query).await;
        match result {
            Err(error) if self.names_what_is_gone(&error, &query.filter_properties) => {
                query.filter_properties.clear();
                self.client.query(&self.data_source, &query).await
            }
            result => result,
        }
    }

    /// One page, whatever its state.
    pub(super) async fn page(&self, id: PageId) -> Result<Answer<Entry<Page>>, NotionError> {
        let shown = self.shown();
        match self.client.page_get(&id.to_string(), shown).await {
            Err(error) if self.names_what_is_gone(&error, shown) => {
                self.client.page_get(&id.to_string(), &[]).await
            }
            result => result,
        }
    }

    /// Fetches what a page does not show by itself. What Notion refuses to show, for good, is left out; any other
    /// failure is the page's.
    pub(super) async fn fetch(&self, id: PageId, missing: &Missing) -> Result<Fetched, NotionError> {
        let id = id.to_string();
        let mut fetched = Fetched::default();
        for (field, property) in &missing.cut {
            let value = shown(self.client.property_value(&id, property).await)?;
            fetched.values.push((*field, value));
        }
        if missing.body
            && let Some(answer) = shown(self.client.markdown_get(&id).await)?
            && answer.body.is_whole()
        {
            fetched.body = Some(answer.body.markdown);
        }
        Ok(fetched)
    }

    /// Whether a call was refused for the properties it named; from then on none are named.
    fn names_what_is_gone(&self, error: &NotionError, named: &[PropertyId]) -> bool {
        let is_gone = !named.is_empty()
            && matches!(error, NotionError::Invalid { problem: Problem::NoSuchProperty, .. });
        if is_gone {
            self.shows_all.store(true, Ordering::Relaxed);
        }
        is_gone
    }
}

/// `None` for what the connection may not see, or what is no longer there.
fn shown<T>(result: Result<T, NotionError>) -> Result<Option<T>, NotionError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            NotionError::NotShared { .. }
            | NotionError::Invalid { .. }
            | NotionError::MissingCapability { .. }
            | NotionError::InTrash { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whole minutes as bounds mean the same whether Notion compares full times or cut ones.
fn within(timestamp: &str, stretch: &Stretch) -> Option<Json> {
    let bound = |condition: &str, minute: Minute| json!({ "timestamp": timestamp, (timestamp): { (condition): time(minute) } });
    let from = stretch.from.map(|minute| bound("on_or_after", minute));
    let until = stretch.until.map(|minute| bound("before", minute));
    match (from, until) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(from), Some(until)) => Some(json!({ "and": [from, until] })),
    }
}

/// A minute in Notion's way of writing.
pub(super) fn time(minute: Minute) -> String {
    let at = Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The minute in which a time lies.
pub(super) fn minute(at: Timestamp) -> Minute {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_a_filter_of_whole_minutes() {
        assert_eq!(within("created_time", &Stretch::default()), None);
        let from = Some(minute("2026-07-04T09:08:59Z".parse().unwrap()));
        let stretch = Stretch { from, until: from.map(|from| from + 2), cursor: None };
        let filter = json!({"and": [
            {"timestamp": "created_time", "created_time": {"on_or_after": "2026-07-04T09:08:00Z"}},
            {"timestamp": "created_time", "created_time": {"before": "2026-07-04T09:10:00Z"}},
        ]});
        assert_eq!(within("created_time", &stretch), Some(filter));
    }
}
