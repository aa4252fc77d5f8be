//! How does a test get a Notion of its own? An emulator on a free port, with a client and controls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use notion_emulator::{Emulator, Options};
use pagerow::clock::Clock;
use pagerow::notion::source::{Source, StampProperties, TextProperty};
use pagerow::notion::{Address, Limits, NotionClient, NotionPages, Pacing, Patience};
use pagerow_core::mapping::{
    ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind,
};
use reqwest::Method;
use serde_json::{Value as Json, json};

/// A workspace without a rate limit.
pub struct Workspace {
    pub emulator: Emulator,
    pub http: reqwest::Client,
    pub client: NotionClient,
}

/// A data source, with the ids of its properties by name.
#[derive(Clone, Debug)]
pub struct Table {
    pub id: String,
    pub properties: BTreeMap<String, String>,
}

impl Workspace {
    pub async fn start() -> Self {
        let emulator =
            Emulator::start(Options { requests_per_minute: None, ..Options::default() }).await.unwrap();
        let address = Address { base_url: emulator.base_url(), token: emulator.token().to_owned().into() };
        let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 16 });
        let patience = Patience {
            timeout: Duration::from_secs(20),
            attempts: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(5),
            ..Patience::default()
        };
        let client = NotionClient::new(&address, pacing, patience).unwrap();
        Self { emulator, http: reqwest::Client::new(), client }
    }

    /// A call of Notion's own API, which must succeed.
    pub async fn api(&self, method: &str, path: &str, body: Json) -> Json {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.emulator.base_url()))
            .bearer_auth(self.emulator.token())
            .header("notion-version", "2026-03-11");
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body: Json = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    /// One of the emulator's own controls.
    pub async fn control(&self, method: &str, path: &str, body: Json) -> Json {
        self.api(method, &format!("/_emulator/{path}"), body).await
    }

    /// Makes calls fail: see the emulator's `faults`.
    pub async fn fault(&self, endpoint: &str, fate: &str, answer: &str, times: u64) {
        let rule = json!({ "endpoint": endpoint, "fate": fate, "answer": answer, "times": times });
        self.control("POST", "faults", rule).await;
    }

    /// A database with one data source of these properties, as the API takes them.
    pub async fn table(&self, title: &str, properties: Json) -> Table {
        let database = self
            .api(
                "POST",
                "/v1/databases",
                json!({
                    "parent": { "type": "page_id", "page_id": self.emulator.parent_page_id() },
                    "title": [{ "text": { "content": title } }],
                    "initial_data_source": { "properties": properties },
                }),
            )
            .await;
        let id = database["data_sources"][0]["id"].as_str().unwrap().to_owned();
        let source = self.api("GET", &format!("/v1/data_sources/{id}"), Json::Null).await;
        let properties = source["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, property)| (name.clone(), property["id"].as_str().unwrap().to_owned()))
            .collect();
        Table { id, properties }
    }

    /// Adds rows as a person would; returns their ids.
    pub async fn add(&self, table: &Table, rows: Json) -> Vec<String> {
        let path = format!("data_sources/{}/rows", table.id);
        let made = self.control("POST", &path, json!({ "rows": rows })).await;
        made["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// The pages of a mapping, with calls counted from now on.
    pub fn pages(&self, mapping: &Mapping, source: Source) -> NotionPages {
        NotionPages::new(&self.client, Arc::new(mapping.clone()), source, Clock::system()).unwrap()
    }
}

impl Table {
    /// A field whose column has the property's name.
    pub fn field(&self, name: &str, shows: PropertyKind, holds: ColumnKind) -> Field {
        Field {
            column: name.to_lowercase(),
            property: name.to_owned(),
            property_id: self.properties.get(name).cloned().unwrap_or_default(),
            holds,
            shows,
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
            lens: None,
        }
    }

    /// A source with `Key` as its key property, if there is such a property.
    pub fn source(&self) -> Source {
        Source {
            backup: None,
            data_source: self.id.clone(),
            name: "Table".to_owned(),
            key_property: self.properties.get("Key").map(|id| TextProperty {
                id: id.clone(),
                name: "Key".to_owned(),
                kind: "rich_text".to_owned(),
            }),
            stamp: StampProperties {
                backup: None,
                synced_at: self.properties.get("Synced at").cloned(),
                checksum: self.properties.get("Checksum").cloned(),
                synced: self.properties.get("Synced").cloned(),
            },
            beside: Vec::new(),
            has_body: false,
            zone: "UTC".to_owned(),
        }
    }
}

/// A mapping of these fields, both ways, in which a person decides everything.
pub fn mapping(name: &str, fields: Vec<Field>) -> Mapping {
    Mapping {
        name: name.to_owned(),
        fields,
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::Ask,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    }
}
