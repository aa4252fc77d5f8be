//! Everything that one simulation is made of: the mappings, the two sides, and engines between them.

use std::{collections::BTreeMap, sync::Arc};

use notion_emulator::{InProcess, Request, Response};
use pagerow::{
    engine::{Bound, Engine, Parts, Progress, Settings, Stop},
    notion::{
        Address, Limits, NotionClient, NotionPages, Pacing, Patience,
        source::{Source, StampProperties, TextProperty},
    },
};
use pagerow_core::mapping::{
    ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind,
};
use serde_json::{Value as Json, json};

use crate::{
    model::{
        Server,
        rows::ModelRows,
        table::{Rules, Table},
    },
    network::Network,
    people::Ledger,
    script::Script,
    stage::Stage,
};

/// The property that carries the row's key.
pub(crate) const KEY_PROPERTY: &str = "Supabase ID";

/// An engine over the modelled things, and the real way to Notion's pages.
pub(crate) enum Modelled {}

impl Parts for Modelled {
    type Store = Server;
    type Rows = ModelRows;
    type Pages = NotionPages;
}

/// One simulation's things.
#[derive(Clone)]
pub(crate) struct Cast {
    pub(crate) stage: Arc<Stage>,
    pub(crate) server: Server,
    pub(crate) notion: Arc<InProcess>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mappings: Vec<Arc<Mapping>>,
    pub(crate) sources: Vec<Source>,
}

/// A column with its property, and the property's schema.
struct Pairing {
    column: &'static str,
    property: &'static str,
    holds: ColumnKind,
    shows: PropertyKind,
    schema: Json,
}

impl Cast {
    pub(crate) fn new(script: &Script, told: bool) -> Self {
        let stage = Stage::new(script.seed, told);
        let notion = Arc::new(InProcess::new(script.seed, stage.notion_now()));
        let (mut mappings, mut sources) = (Vec::new(), Vec::new());
        for name in ["people"] {
            let (mapping, source) = make(&stage, &notion, name);
            mappings.push(Arc::new(mapping));
            sources.push(source);
        }
        if script.world.lag > 0 {
            let lag = json!({"max_ms": script.world.lag, "seed": script.seed >> 1});
            control(&stage, &notion, "POST", "lag", &lag);
        }
        let tables: BTreeMap<String, Table> = mappings
            .iter()
            .map(|mapping: &Arc<Mapping>| {
                let rules = Rules {
                    mapping: Arc::clone(mapping),
                    unique: Vec::new(),
                    defaults: BTreeMap::new(),
                    capitals: None,
                    soft_delete: false,
                };
                (mapping.name.clone(), Table::new(rules))
            })
            .collect();
        let server = Server::new(Arc::clone(&stage), tables);
        Self { stage, server, notion, ledger: Arc::default(), mappings, sources }
    }

    /// An engine that has just been started.
    pub(crate) fn engine(&self) -> Engine<Modelled> {
        let network = Network {
            stage: Arc::clone(&self.stage),
            notion: Arc::clone(&self.notion),
            ledger: Arc::clone(&self.ledger),
        };
        let address =
            Address { base_url: "http://notion.invalid".to_owned(), token: self.notion.token().into() };
        let pacing = Pacing::seeded(Limits::default(), self.stage.between(0, u64::MAX - 1));
        let client = NotionClient::over(Arc::new(network), &address, pacing, Patience::default()).unwrap();
        let clock = self.stage.clock();
        let bound = self
            .mappings
            .iter()
            .zip(&self.sources)
            .map(|(mapping, source)| Bound {
                mapping: Arc::clone(mapping),
                rows: ModelRows { server: self.server.clone(), mapping: Arc::clone(mapping) },
                pages: NotionPages::new(&client, Arc::clone(mapping), source.clone(), clock.clone()).unwrap(),
                settings: Settings::default(),
            })
            .collect();
        Engine::new(self.server.clone(), bound, clock, Progress::silent(), Stop::default())
    }

    /// What a control of the emulator answers.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Json) -> Response {
        control(&self.stage, &self.notion, method, path, body)
    }
}

fn control(stage: &Stage, notion: &InProcess, method: &str, path: &str, body: &Json) -> Response {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = Request { query: query.to_owned(), ..Request::control(method, path) };
    let request = if body.is_null() { request } else { request.with(body) };
    notion.call(&request, stage.notion_now())
}

fn api(stage: &Stage, notion: &InProcess, method: &str, path: &str, body: &Json) -> Json {
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        version: Some(pagerow::notion::NOTION_VERSION.to_owned()),
        authorization: Some(format!("Bearer {}", notion.token())),
        ..Request::default()
    };
    let request = if body.is_null() { request } else { request.with(body) };
    let response = notion.call(&request, stage.notion_now());
    assert_eq!(response.status, 200, "{method} {path}: {}", response.json());
    response.json()
}

fn pairings() -> Vec<Pairing> {
    vec![
        Pairing {
            column: "name",
            property: "Name",
            holds: ColumnKind::Text { max: None },
            shows: PropertyKind::Title,
            schema: json!({"title": {}}),
        },
        Pairing {
            column: "note",
            property: "Note",
            holds: ColumnKind::Text { max: None },
            shows: PropertyKind::RichText,
            schema: json!({"rich_text": {}}),
        },
    ]
}

/// Makes a data source and the mapping of it.
fn make(stage: &Stage, notion: &InProcess, name: &str) -> (Mapping, Source) {
    let pairings = pairings();
    let mut properties = json!({ (KEY_PROPERTY): {"rich_text": {}} });
    for pairing in &pairings {
        properties[pairing.property] = pairing.schema.clone();
    }
    let body = json!({
        "parent": {"type": "page_id", "page_id": notion.parent_page_id()},
        "title": [{"text": {"content": name}}],
        "initial_data_source": {"properties": properties},
    });
    let database = api(stage, notion, "POST", "/v1/databases", &body);
    let data_source = database["data_sources"][0]["id"].as_str().unwrap().to_owned();
    let schema = api(stage, notion, "GET", &format!("/v1/data_sources/{data_source}"), &Json::Null);
    let id = |property: &str| schema["properties"][property]["id"].as_str().unwrap().to_owned();
    let fields = pairings
        .into_iter()
        .map(|pairing| Field {
            column: pairing.column.to_owned(),
            property: pairing.property.to_owned(),
            property_id: id(pairing.property),
            holds: pairing.holds,
            shows: pairing.shows,
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
        })
        .collect();
    let mapping = Mapping {
        name: name.to_owned(),
        fields,
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::Ask,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    };
    let source = Source {
        data_source,
        name: name.to_owned(),
        key_property: Some(TextProperty {
            id: id(KEY_PROPERTY),
            name: KEY_PROPERTY.to_owned(),
            kind: "rich_text".to_owned(),
        }),
        stamp: StampProperties::default(),
        has_body: false,
        zone: "UTC".to_owned(),
    };
    (mapping, source)
}
