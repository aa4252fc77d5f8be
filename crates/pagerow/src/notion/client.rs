//! Notion's endpoints that we use, one method each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use super::connection::{Address, Answer, Call, Connection, Patience};
use super::error::{Capability, NotionError, Subject};
use super::pacing::{Pacing, Urgency};
use super::query::Query;
use super::refusal::Asked;
use super::transport::Transport;
use super::wire::{
    Child, DataSource, Database, Entry, ListPage, Page, PageMarkdown, PropertyId, PropertyItemPage,
    PropertyItems, PropertyValue, User, WhereItBroke, WireObject,
};

/// A connection to one workspace. Clones share the HTTP pool and the pace.
///
/// Ids may come with or without dashes. Failures of writes say what became of them: `NotionError::fate`.
#[derive(Debug, Clone)]
pub struct NotionClient {
    connection: Arc<Connection>,
    urgency: Urgency,
    calls: Arc<AtomicU64>,
}

impl NotionClient {
    /// Makes the client; nothing is sent yet. `pacing` is shared by everything that uses the same token.
    pub fn new(address: &Address, pacing: Arc<Pacing>, patience: Patience) -> Result<Self, NotionError> {
        let connection = Arc::new(Connection::new(address, pacing, patience)?);
        Ok(Self { connection, urgency: Urgency::Bulk, calls: Arc::default() })
    }

    /// The same over another transport than HTTP. Nothing of `address` is used but what requests carry.
    ///
    /// # Errors
    /// A token that cannot be sent.
    pub fn over(
        transport: Arc<dyn Transport>,
        address: &Address,
        pacing: Arc<Pacing>,
        patience: Patience,
    ) -> Result<Self, NotionError> {
        let connection = Arc::new(Connection::over(transport, address, pacing, patience)?);
        Ok(Self { connection, urgency: Urgency::Bulk, calls: Arc::default() })
    }

    /// The same connection, for calls that somebody waits for.
    pub fn interactive(&self) -> Self {
        Self { urgency: Urgency::Interactive, ..self.clone() }
    }

    /// The same connection with a count of calls that begins now; its clones share that count.
    pub fn counted(&self) -> Self {
        Self { calls: Arc::default(), ..self.clone() }
    }

    /// How many calls were sent through this client and its clones, repetitions included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until the rate limit would let a call out at once.
    pub async fn ready(&self) {
        self.pacing().ready(self.urgency).await;
    }

    /// Whether Notion has not taken a write, and will if it is sent again before long.
    pub fn was_not_taken(&self, error: &NotionError) -> bool {
        self.connection.was_not_taken(error)
    }

    pub fn pacing(&self) -> &Arc<Pacing> {
        self.connection.pacing()
    }

    /// The connection's own bot user with its workspace: the cheapest check of a token.
    pub async fn users_me(&self) -> Result<Answer<Entry<User>>, NotionError> {
        self.send(Call::read(Method::GET, "/v1/users/me".to_owned(), reading_users("")), Entry::decode).await
    }

    /// Members and bots; guests are never listed.
    pub async fn users(&self, start_cursor: Option<&str>) -> Result<Answer<ListPage<User>>, NotionError> {
        let call = Call::read(Method::GET, "/v1/users".to_owned(), reading_users(""));
        self.send(call.with_query(paging(start_cursor)), ListPage::decode).await
    }

    pub async fn user(&self, user_id: &str) -> Result<Answer<Entry<User>>, NotionError> {
        let path = format!("/v1/users/{}", checked(user_id)?);
        self.send(Call::read(Method::GET, path, reading_users(user_id)), Entry::decode).await
    }

    /// The data sources that the connection sees and whose title holds `text`. The index lags behind.
    pub async fn search_data_sources(
        &self,
        text: &str,
        start_cursor: Option<&str>,
    ) -> Result<Answer<ListPage<DataSource>>, NotionError> {
        let mut body = json!({"filter": {"property": "object", "value": "data_source"}});
        if !text.is_empty() {
            body["query"] = text.into();
        }
        if let Some(cursor) = start_cursor {
            body["start_cursor"] = cursor.into();
        }
        let call = Call::read(Method::POST, "/v1/search".to_owned(), reading("connection", ""));
        self.send(call.with_body(serialized(&body)?), ListPage::decode).await
    }

    /// What stands on a page. Unlike the search this shows what was made a moment ago.
    pub async fn page_children(
        &self,
        page_id: &str,
        start_cursor: Option<&str>,
    ) -> Result<Answer<ListPage<Child>>, NotionError> {
        let path = format!("/v1/blocks/{}/children", checked(page_id)?);
        let call = Call::read(Method::GET, path, reading("page", page_id)).with_query(paging(start_cursor));
        self.send(call, ListPage::decode).await
    }

    pub async fn database_get(&self, database_id: &str) -> Result<Answer<Entry<Database>>, NotionError> {
        let path = format!("/v1/databases/{}", checked(database_id)?);
        self.send(Call::read(Method::GET, path, reading("database", database_id)), Entry::decode).await
    }

    /// Makes a database with its first data source.
    pub async fn database_create(
        &self,
        body: &impl Serialize,
    ) -> Result<Answer<Entry<Database>>, NotionError> {
        self.create("/v1/databases", "new database's parent", body, &[]).await
    }

    /// Changes title, parent, lock or trash.
    pub async fn database_patch(
        &self,
        database_id: &str,
        body: &impl Serialize,
    ) -> Result<Answer<Entry<Database>>, NotionError> {
        let path = format!("/v1/databases/{}", checked(database_id)?);
        self.patch(path, updating("database", database_id), body).await
    }

    pub async fn data_source_get(
        &self,
        data_source_id: &str,
    ) -> Result<Answer<Entry<DataSource>>, NotionError> {
        let path = format!("/v1/data_sources/{}", checked(data_source_id)?);
        self.send(Call::read(Method::GET, path, reading("data source", data_source_id)), Entry::decode).await
    }

    /// Adds a data source to a database.
    pub async fn data_source_create(
        &self,
        body: &impl Serialize,
    ) -> Result<Answer<Entry<DataSource>>, NotionError> {
        self.create("/v1/data_sources", "new data source's parent", body, &[]).await
    }

    /// Changes schema, title or trash. An option list replaces the one before.
    pub async fn data_source_patch(
        &self,
        data_source_id: &str,
        body: &impl Serialize,
    ) -> Result<Answer<Entry<DataSource>>, NotionError> {
        let path = format!("/v1/data_sources/{}", checked(data_source_id)?);
        self.patch(path, updating("data source", data_source_id), body).await
    }

    /// One page of rows. `request_status` says whether the list can be complete.
    pub async fn query(
        &self,
        data_source_id: &str,
        query: &Query,
    ) -> Result<Answer<ListPage<Page>>, NotionError> {
        let path = format!("/v1/data_sources/{}/query", checked(data_source_id)?);
        let call = Call::read(Method::POST, path, reading("data source", data_source_id))
            .with_query(showing(&query.filter_properties))
            .with_body(serialized(query)?);
        self.send(call, ListPage::decode).await
    }

    /// A page, in the trash or not. `show` names the properties to be shown; none means all.
    pub async fn page_get(
        &self,
        page_id: &str,
        show: &[PropertyId],
    ) -> Result<Answer<Entry<Page>>, NotionError> {
        let path = format!("/v1/pages/{}", checked(page_id)?);
        let call = Call::read(Method::GET, path, reading("page", page_id)).with_query(showing(show));
        self.send(call, Entry::decode).await
    }

    /// Makes a page. Without the read capability the answer is `Entry::Partial`: made, but only its id is known.
    pub async fn page_create(
        &self,
        body: &impl Serialize,
        show: &[PropertyId],
    ) -> Result<Answer<Entry<Page>>, NotionError> {
        self.create("/v1/pages", "new page's parent", body, show).await
    }

    /// Changes what the body names and nothing else; the answer is the page as Notion stored it. Sent once: whether it
    /// may be sent again is for whoever knows what it takes the place of.
    pub async fn page_patch(
        &self,
        page_id: &str,
        body: &impl Serialize,
        show: &[PropertyId],
    ) -> Result<Answer<Entry<Page>>, NotionError> {
        let path = format!("/v1/pages/{}", checked(page_id)?);
        let call = Call::overwrite(Method::PATCH, path, serialized(body)?, updating("page", page_id));
        self.send(call.with_query(showing(show)), Entry::decode).await
    }

    /// The whole value of one property, in as many calls as it takes.
    pub async fn property_value(
        &self,
        page_id: &str,
        property: &PropertyId,
    ) -> Result<PropertyValue, NotionError> {
        let path = format!("/v1/pages/{}/properties/{}", checked(page_id)?, property.for_path());
        let mut collected = PropertyItems::default();
        let mut cursor: Option<String> = None;
        loop {
            let call = Call::read(Method::GET, path.clone(), reading("page", page_id));
            let answer =
                self.send(call.with_query(paging(cursor.as_deref())), PropertyItemPage::decode).await?;
            let (items, next_cursor) = match answer.body {
                PropertyItemPage::Single(value) => return Ok(value),
                PropertyItemPage::Items { items, next_cursor } => (items, next_cursor),
            };
            collected.push(items).map_err(|broke| unreadable(&broke))?;
            if next_cursor.is_none() {
                return Ok(collected.finish());
            }
            if next_cursor == cursor {
                return Err(unreadable(&WhereItBroke::shape("a cursor that leads to itself")));
            }
            cursor = next_cursor;
        }
    }

    /// A page's body.
    pub async fn markdown_get(&self, page_id: &str) -> Result<Answer<PageMarkdown>, NotionError> {
        let path = format!("/v1/pages/{}/markdown", checked(page_id)?);
        self.send(Call::read(Method::GET, path, reading("page", page_id)), PageMarkdown::decode).await
    }

    /// Replaces a page's body, and is sent once as `page_patch` is. Child pages and databases in it are never deleted: Notion refuses instead.
    pub async fn markdown_replace(
        &self,
        page_id: &str,
        markdown: &str,
    ) -> Result<Answer<PageMarkdown>, NotionError> {
        let path = format!("/v1/pages/{}/markdown", checked(page_id)?);
        let body = json!({"type": "replace_content", "replace_content": {"new_str": markdown}});
        let call = Call::overwrite(Method::PATCH, path, serialized(&body)?, updating("page", page_id));
        self.send(call, PageMarkdown::decode).await
    }

    async fn create<T: WireObject>(
        &self,
        path: &str,
        kind: &'static str,
        body: &impl Serialize,
        show: &[PropertyId],
    ) -> Result<Answer<Entry<T>>, NotionError> {
        let asked =
            Asked { subject: Subject { kind, id: String::new() }, capability: Capability::InsertContent };
        let call =
            Call::write(Method::POST, path.to_owned(), serialized(body)?, asked).with_query(showing(show));
        self.send(call, Entry::decode).await
    }

    async fn patch<T: WireObject>(
        &self,
        path: String,
        asked: Asked,
        body: &impl Serialize,
    ) -> Result<Answer<Entry<T>>, NotionError> {
        self.send(Call::write(Method::PATCH, path, serialized(body)?, asked), Entry::decode).await
    }

    async fn send<T>(
        &self,
        call: Call,
        decode: impl Fn(&[u8]) -> Result<T, WhereItBroke>,
    ) -> Result<Answer<T>, NotionError> {
        self.connection.request(&call, self.urgency, &self.calls, decode).await
    }
}

/// An id that can stand in a path: anything else could reach another endpoint.
fn checked(id: &str) -> Result<&str, NotionError> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(id)
    } else {
        Err(NotionError::Unsendable(format!("{id:?} is no id")))
    }
}

fn serialized(body: &impl Serialize) -> Result<Bytes, NotionError> {
    // The reason is left out: it could quote a value.
    let json =
        serde_json::to_vec(body).map_err(|_| NotionError::Unsendable("the body is no JSON".to_owned()))?;
    Ok(Bytes::from(json))
}

fn paging(start_cursor: Option<&str>) -> Vec<(&'static str, String)> {
    let mut query = vec![("page_size", "100".to_owned())];
    query.extend(start_cursor.map(|cursor| ("start_cursor", cursor.to_owned())));
    query
}

/// `filter_properties` wants the plain form of an id; the query string is encoded once, by the URL.
fn showing(properties: &[PropertyId]) -> Vec<(&'static str, String)> {
    properties.iter().map(|id| ("filter_properties", id.decoded().into_owned())).collect()
}

fn reading(kind: &'static str, id: &str) -> Asked {
    Asked { subject: Subject { kind, id: id.to_owned() }, capability: Capability::ReadContent }
}

fn reading_users(id: &str) -> Asked {
    Asked { subject: Subject { kind: "user", id: id.to_owned() }, capability: Capability::UserInformation }
}

fn updating(kind: &'static str, id: &str) -> Asked {
    Asked { subject: Subject { kind, id: id.to_owned() }, capability: Capability::UpdateContent }
}

fn unreadable(broke: &WhereItBroke) -> NotionError {
    NotionError::UnreadableAnswer {
        reason: broke.to_string(),
        committed: Vec::new(),
        refusal: Box::default(),
    }
}

#[cfg(test)]
mod tests;
