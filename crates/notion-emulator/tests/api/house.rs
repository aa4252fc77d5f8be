//! An emulator with a client, for the other files of this test.

use notion_emulator::{Emulator, Options};
use reqwest::Method;
use serde_json::{Value as Json, json};

pub(crate) const NEW: &str = "2026-03-11";
pub(crate) const OLD: &str = "2025-09-03";
pub(crate) const OLDEST: &str = "2022-06-28";

pub(crate) struct House {
    pub(crate) emulator: Emulator,
    pub(crate) client: reqwest::Client,
    pub(crate) token: String,
    pub(crate) version: &'static str,
}

/// A database with one data source.
pub(crate) struct Table {
    pub(crate) database: String,
    pub(crate) source: String,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Options { requests_per_minute: None, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let emulator = Emulator::start(options).await.unwrap();
        let token = emulator.token().to_owned();
        Self { emulator, client: reqwest::Client::new(), token, version: NEW }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client
            .request(method, format!("{}{path}", self.emulator.base_url()))
            .bearer_auth(&self.token)
            .header("notion-version", self.version)
    }

    /// Status and body of one call.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Json) -> (u16, Json) {
        let mut request = self.request(method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// The body of a call that must succeed.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Json) -> Json {
        let (status, body) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }

    /// The error of a call that must fail with this status.
    pub(crate) async fn fails(&self, status: u16, method: &str, path: &str, body: Json) -> Json {
        let (got, body) = self.call(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {body}");
        assert_eq!(body["object"], "error");
        assert_eq!(body["status"], status);
        body
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: Json) -> Json {
        self.ok(method, &format!("/_emulator/{path}"), body).await
    }

    /// A database under the shared page.
    pub(crate) async fn table(&self, title: &str, properties: Json) -> Table {
        let body = json!({
            "parent": {"type": "page_id", "page_id": self.emulator.parent_page_id()},
            "title": [{"text": {"content": title}}],
            "initial_data_source": {"properties": properties},
        });
        let database = self.ok("POST", "/v1/databases", body).await;
        Table {
            database: database["id"].as_str().unwrap().to_owned(),
            source: database["data_sources"][0]["id"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) async fn row(&self, table: &Table, properties: Json) -> Json {
        self.ok("POST", "/v1/pages", new_row(table, properties)).await
    }

    pub(crate) async fn query(&self, table: &Table, body: Json) -> Json {
        self.ok("POST", &format!("/v1/data_sources/{}/query", table.source), body).await
    }

    /// Titles of a query's first page.
    pub(crate) async fn titles(&self, table: &Table, body: Json) -> Vec<String> {
        titles(&self.query(table, body).await)
    }
}

pub(crate) fn new_row(table: &Table, properties: Json) -> Json {
    json!({"parent": {"type": "data_source_id", "data_source_id": table.source}, "properties": properties})
}

pub(crate) fn title(text: &str) -> Json {
    json!({"title": [{"text": {"content": text}}]})
}

pub(crate) fn text(text: &str) -> Json {
    json!({"rich_text": [{"text": {"content": text}}]})
}

pub(crate) fn titles(list: &Json) -> Vec<String> {
    list["results"].as_array().unwrap().iter().map(title_of).collect()
}

pub(crate) fn title_of(page: &Json) -> String {
    let properties = page["properties"].as_object().unwrap();
    let title = properties.values().find(|value| value["type"] == "title").unwrap();
    title["title"].as_array().unwrap().iter().map(|item| item["plain_text"].as_str().unwrap()).collect()
}
