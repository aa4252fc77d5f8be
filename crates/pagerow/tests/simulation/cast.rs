//! Everything that one simulation is made of: the mappings, the two sides, and engines between them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use notion_emulator::{InProcess, Request, Response};
use pagerow::{
    engine::{Bound, Engine, Parts, Progress, Settings, Stop},
    notion::{
        Address, Limits, NotionClient, NotionPages, Pacing, Patience,
        source::{Source, StampProperties, TextProperty},
    },
};
use pagerow_core::{
    mapping::{Field, KeySource, Mapping, OnPageTrashed},
    number::Number,
    value::Value,
};
use serde_json::{Value as Json, json};

use crate::{
    judge::Judge,
    kind::Kind,
    model::{
        Server,
        rows::ModelRows,
        table::{Rules, Table},
    },
    network::Network,
    people::Ledger,
    script::{FieldSpec, MappingSpec, Script},
    stage::{Stage, Told},
};

/// The property that carries the row's key.
pub(crate) const KEY_PROPERTY: &str = "Supabase ID";

/// Notion carries a call out within a minute, and shows it in its lists within two more.
const DOUBT: Duration = Duration::from_secs(180);

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
    pub(crate) judge: Arc<Judge>,
    pub(crate) specs: Arc<Vec<MappingSpec>>,
    pub(crate) mappings: Vec<Arc<Mapping>>,
    pub(crate) sources: Vec<Source>,
    /// The databases that the data sources lie in.
    pub(crate) databases: Vec<String>,
    /// Whether engines look for changes only.
    pub(crate) is_gentle: bool,
    /// By how much queries may be behind, in milliseconds.
    pub(crate) lag: u64,
}

impl Cast {
    pub(crate) fn new(script: &Script, told: Told) -> Self {
        let stage = Stage::new(script.seed, told);
        let notion = Arc::new(InProcess::new(script.seed, stage.notion_now()));
        let specs = &script.world.mappings;
        // Relations need to know each other: data sources come first, properties second.
        let (databases, places): (Vec<String>, Vec<String>) =
            specs.iter().map(|spec| make_source(&stage, &notion, &spec.name)).unzip();
        let place_of =
            |name: &str| specs.iter().position(|spec| spec.name == name).map_or("", |at| places[at].as_str());
        let (mut mappings, mut sources) = (Vec::new(), Vec::new());
        for (spec, place) in specs.iter().zip(&places) {
            let (mapping, source) = describe(&stage, &notion, spec, place, place_of(&spec.refers));
            mappings.push(Arc::new(mapping));
            sources.push(source);
        }
        let order = |set: &str, body: &Json| {
            control(&stage, &notion, "POST", set, body);
        };
        if script.world.lag > 0 {
            order(
                "lag",
                &json!({
                    "max_ms": script.world.lag, "min_ms": script.world.lag_min, "seed": script.seed >> 1,
                }),
            );
        }
        order("caps", &json!({"results": script.world.cap}));
        if let Some(requests) = script.world.calls_a_minute {
            order("limits", &json!({"requests": requests}));
        }
        let tables: BTreeMap<String, Table> = specs
            .iter()
            .zip(&mappings)
            .map(|(spec, mapping)| (spec.name.clone(), table(spec, mapping)))
            .collect();
        let server = Server::new(Arc::clone(&stage), tables);
        let specs = Arc::new(specs.clone());
        let (ledger, judge) = Default::default();
        let is_gentle = script.is_gentle();
        Self {
            stage,
            server,
            notion,
            ledger,
            judge,
            specs,
            mappings,
            sources,
            databases,
            is_gentle,
            lag: script.world.lag,
        }
    }

    /// An engine that has just been started.
    pub(crate) fn engine(&self) -> Engine<Modelled> {
        // Under this name it will hold the lease.
        let server = self.server.clone().of_engine(self.stage.next_id());
        let network = Network {
            server: server.clone(),
            stage: Arc::clone(&self.stage),
            notion: Arc::clone(&self.notion),
            ledger: Arc::clone(&self.ledger),
            waits_until: Arc::default(),
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
                rows: ModelRows { server: server.clone(), mapping: Arc::clone(mapping) },
                pages: NotionPages::new(&client, Arc::clone(mapping), source.clone(), clock.clone()).unwrap(),
                settings: Settings { doubt: DOUBT, ..Settings::default() },
            })
            .collect();
        Engine::new(server, bound, clock, Progress::silent(), Stop::default())
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

fn table(spec: &MappingSpec, mapping: &Arc<Mapping>) -> Table {
    let of = |kind: Kind| spec.fields.iter().position(|field| field.kind == kind);
    let numbered = spec.default.then(|| of(Kind::Number)).flatten();
    Table::new(Rules {
        mapping: Arc::clone(mapping),
        unique: spec.unique.then(|| of(Kind::Number)).flatten().into_iter().collect(),
        defaults: numbered.map(|at| (at, Value::Number(Number::from(7)))).into_iter().collect(),
        capitals: spec.capitals.then(|| of(Kind::Text)).flatten(),
        soft_delete: spec.soft_delete,
    })
}

/// Makes a database and its data source, without any property but the title. Answers the ids of both.
fn make_source(stage: &Stage, notion: &InProcess, name: &str) -> (String, String) {
    let body = json!({
        "parent": {"type": "page_id", "page_id": notion.parent_page_id()},
        "title": [{"text": {"content": name}}],
        "initial_data_source": {"properties": { (Kind::Title.name()): {"title": {}} }},
    });
    let database = api(stage, notion, "POST", "/v1/databases", &body);
    let id = |json: &Json| json["id"].as_str().unwrap().to_owned();
    (id(&database), id(&database["data_sources"][0]))
}

/// Gives a data source its properties, and describes how it is mapped.
fn describe(
    stage: &Stage,
    notion: &InProcess,
    spec: &MappingSpec,
    place: &str,
    related: &str,
) -> (Mapping, Source) {
    let mut properties = json!({ (KEY_PROPERTY): {"rich_text": {}} });
    for field in spec.fields.iter().filter(|field| field.kind != Kind::Title) {
        properties[field.kind.name()] = field.kind.schema(related);
    }
    let path = format!("/v1/data_sources/{place}");
    let schema = api(stage, notion, "PATCH", &path, &json!({ "properties": properties }));
    let id = |property: &str| schema["properties"][property]["id"].as_str().unwrap().to_owned();
    let field = |field: &FieldSpec| Field {
        column: field.kind.name().to_lowercase(),
        property: field.kind.name().to_owned(),
        property_id: id(field.kind.name()),
        holds: field.kind.column(&spec.refers),
        shows: field.kind.property(&spec.refers),
        required: false,
        flow: field.flow.and(spec.direction).unwrap_or(spec.direction),
        wins: None,
        labels: BTreeMap::new(),
        lens: None,
    };
    let mapping = Mapping {
        name: spec.name.clone(),
        fields: spec.fields.iter().map(field).collect(),
        direction: spec.direction,
        on_conflict: spec.on_conflict,
        on_row_deleted: spec.on_row_deleted,
        on_page_trashed: match spec.on_page_trashed {
            OnPageTrashed::SoftDelete if !spec.soft_delete => OnPageTrashed::Ask,
            policy => policy,
        },
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    };
    let source = Source {
        backup: None,
        data_source: place.to_owned(),
        name: spec.name.clone(),
        key_property: Some(TextProperty {
            id: id(KEY_PROPERTY),
            name: KEY_PROPERTY.to_owned(),
            kind: "rich_text".to_owned(),
        }),
        stamp: StampProperties::default(),
        beside: Vec::new(),
        has_body: false,
        zone: "UTC".to_owned(),
    };
    (mapping, source)
}
