//! How does a test get both sides with pagerow between them? A database, a workspace, a configuration and the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use notion_emulator::{Emulator, Options};
use pagerow::config::Config;
use pagerow::engine::{Depth, EngineError, MappingReport, Progress, Report, Stop, Verdict};
use pagerow::setup::propose::{Surroundings, propose, write};
use pagerow::setup::{self, schema};
use pagerow::store::{Attention as _, ParkedRecord, PgStore};
use pagerow::wiring::{Keeper, Wiring};
use pagerow_core::digest::Digest;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use super::{pooler, postgres::TestDatabase};

/// Both sides and the configuration between them.
pub struct World {
    pub database: TestDatabase,
    pub notion: Emulator,
    folder: tempfile::TempDir,
    http: reqwest::Client,
}

impl World {
    /// A database in which `sql` has run, beside an empty workspace without a rate limit.
    pub async fn with(sql: &str) -> Self {
        Self::of(TestDatabase::with(sql).await).await
    }

    async fn of(database: TestDatabase) -> Self {
        let notion =
            Emulator::start(Options { requests_per_minute: None, ..Options::default() }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let world = Self { database, notion, folder, http: reqwest::Client::new() };
        let pooled = pooler::shared().await.map(|pooler| pooler.url(&world.database.name));
        world.reach_database_at(pooled.as_ref().unwrap_or(&world.database.url));
        world
    }

    /// Says where the database is reached; a pooler's address, for example.
    pub fn reach_database_at(&self, url: &str) {
        let variables = format!(
            "DATABASE_URL='{url}'\nNOTION_API_KEY={}\nNOTION_PARENT_PAGE={}\n\
             PAGEROW__NOTION__REQUESTS_PER_MINUTE=1000000\n",
            self.notion.token(),
            self.notion.parent_page_id()
        );
        std::fs::write(self.folder.path().join(".env"), variables).unwrap();
    }

    /// Sets a variable for everything that reads the configuration from now on.
    pub fn set(&self, name: &str, value: &str) {
        let file = self.folder.path().join(".env");
        let variables = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{variables}{name}='{value}'\n")).unwrap();
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("pagerow.toml")
    }

    // ---- Setting up ----

    /// Writes the configuration that `init` would write.
    pub async fn propose(&self) {
        let around = Surroundings { base_url: Some(self.notion.base_url()), ..Surroundings::default() };
        let config = self.head_alone();
        let session = setup::connect::database(&config).await.unwrap().session().await.unwrap();
        let client = setup::connect::client(&config).unwrap();
        let tables = setup::inspect::tables(&session, "pagerow").await.unwrap();
        let sources = setup::inspect::visible_data_sources(&client).await.unwrap();
        write(&propose(&tables, &sources, &around), &self.file(), true).unwrap();
    }

    /// Writes a configuration with these mappings. The databases that they ask for are yet to be made.
    pub fn configure(&self, mappings: &str) {
        std::fs::write(self.file(), format!("{}{mappings}", self.head())).unwrap();
    }

    /// Edits the configuration's file.
    pub fn reconfigure(&self, edit: impl FnOnce(&str) -> String) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        std::fs::write(self.file(), edit(&text)).unwrap();
    }

    /// Makes what the configuration lacks in Notion.
    pub async fn make(&self) {
        let config = self.config();
        let database = setup::connect::database(&config).await.unwrap();
        pagerow::wiring::store(&config, &database).await.unwrap();
        let session = database.session().await.unwrap();
        let client = setup::connect::client(&config).unwrap();
        let found = setup::inspect(&config, &session, &client).await.unwrap();
        let plan = schema::plan(&config, &found).unwrap();
        schema::apply(&config, &found, &plan, &session, &client, |_| ()).await.unwrap();
    }

    /// Both at once.
    pub async fn with_mappings(sql: &str, mappings: &str) -> Self {
        let world = Self::with(sql).await;
        world.configure(mappings);
        world.make().await;
        world
    }

    fn head(&self) -> String {
        format!(
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\nbase_url = \"{}\"\n\
             [sync]\nparent_page = \"env:NOTION_PARENT_PAGE\"\n",
            self.notion.base_url()
        )
    }

    fn head_alone(&self) -> Config {
        let scratch = self.folder.path().join("scratch.toml");
        std::fs::write(&scratch, self.head()).unwrap();
        let config = Config::load(&scratch, &[]).unwrap();
        std::fs::remove_file(&scratch).unwrap();
        config
    }

    fn config(&self) -> Config {
        Config::load(&self.file(), &[]).unwrap()
    }

    // ---- pagerow ----

    /// A new engine, as each command has one.
    pub async fn engine(&self) -> Keeper {
        self.engine_with(Progress::silent(), Stop::default()).await
    }

    /// A new engine that can be listened to and stopped.
    pub async fn engine_with(&self, progress: Progress, stop: Stop) -> Keeper {
        let wiring = Wiring::connect(self.config()).await.unwrap();
        let (engine, _) = wiring.engine(progress, stop).await.unwrap();
        engine
    }

    /// `pagerow schema apply`, of what is bound anew alone.
    pub async fn accept(&self) {
        let wiring = Wiring::connect(self.config()).await.unwrap();
        let found = wiring.found().await.unwrap();
        let plan = schema::plan(&wiring.config, &found).unwrap();
        let session = wiring.database.session().await.unwrap();
        let applied =
            schema::apply(&wiring.config, &found, &plan, &session, &wiring.client, |_| ()).await.unwrap();
        wiring.accept(&found, &applied.accepted).await.unwrap();
    }

    /// `pagerow sync`.
    pub async fn try_sync(&self) -> Result<Report, EngineError> {
        self.sync_at(Depth::Changes, None).await
    }

    /// `pagerow sync`, which must succeed and become quiet.
    pub async fn sync(&self) -> Report {
        let report = self.try_sync().await.unwrap();
        assert!(report.quiet, "{report:?}");
        report
    }

    /// `pagerow sync --full`.
    pub async fn full_sync(&self) -> Report {
        let report = self.sync_at(Depth::Everything, None).await.unwrap();
        assert!(report.quiet, "{report:?}");
        report
    }

    /// A sync of either depth, with one plan that may pass the guard.
    pub async fn sync_at(&self, depth: Depth, pass: Option<Digest>) -> Result<Report, EngineError> {
        let mut engine = self.engine().await;
        let report = engine.sync(&[], depth, pass, "test").await;
        engine.rest().await.unwrap();
        report
    }

    /// `pagerow verify`.
    pub async fn verify(&self) -> Verdict {
        let mut engine = self.engine().await;
        engine.verify(&[]).await.unwrap()
    }

    /// Asserts that every mapped field of every row is equal on both sides, and how many records there are.
    pub async fn equal(&self) -> u64 {
        let verdict = self.verify().await;
        assert!(verdict.equal, "{verdict:#?}");
        verdict.mappings.iter().map(|part| part.equal).sum()
    }

    /// Asserts that a sync of everything finds nothing to do.
    pub async fn nothing_left(&self) {
        let report = self.full_sync().await;
        assert_eq!(report.run, None, "{report:#?}");
    }

    /// What is parked.
    pub async fn parked(&self) -> Vec<ParkedRecord> {
        self.store().await.parked(None).await.unwrap()
    }

    pub async fn store(&self) -> PgStore {
        self.engine().await.store().clone()
    }

    // ---- The database ----

    pub async fn client(&self) -> Client {
        self.database.client().await
    }

    /// Runs statements as the application would.
    pub async fn sql(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    /// One row of a query as JSON.
    pub async fn row(&self, query: &str) -> Json {
        let row = self
            .client()
            .await
            .query_one(&format!("SELECT to_jsonb(one_row)::text FROM ({query}) one_row"), &[])
            .await;
        serde_json::from_str(row.unwrap().get(0)).unwrap()
    }

    /// One number.
    pub async fn count(&self, from: &str) -> i64 {
        let row = self.client().await.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await;
        row.unwrap().get(0)
    }

    /// Nobody holds a connection to the database any more, once those end that were let go. A pooler keeps them for the
    /// next one: what a connection alone knows, or hinders, is then to be seen only when it hangs up as well.
    pub async fn poolers_hang_up(&self) {
        if let Some(pooler) = pooler::shared().await {
            pooler.hang_up(&self.database.name).await;
        }
    }

    // ---- The workspace, as people see it ----

    /// One of the emulator's controls.
    pub async fn control(&self, method: &str, path: &str, body: &Json) -> Json {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}/_emulator/{path}", self.notion.base_url()));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The data source with this title.
    pub async fn source(&self, title: &str) -> String {
        self.place(title).await.1
    }

    /// The database with this title, and its data source.
    pub async fn place(&self, title: &str) -> (String, String) {
        let workspace = self.control("GET", "workspace", &Json::Null).await;
        let databases = workspace["databases"].as_array().unwrap();
        let found: Vec<_> = databases.iter().filter(|database| database["title"] == title).collect();
        assert_eq!(found.len(), 1, "{title}: {workspace:#}");
        let id = |json: &Json| json["id"].as_str().unwrap().to_owned();
        (id(found[0]), id(&found[0]["data_sources"][0]))
    }

    /// All live pages of a data source.
    pub async fn pages(&self, source: &str) -> Vec<Json> {
        self.list(source, false).await
    }

    /// The pages of a data source that are in the trash.
    pub async fn trashed(&self, source: &str) -> Vec<Json> {
        self.list(source, true).await
    }

    async fn list(&self, source: &str, trash: bool) -> Vec<Json> {
        let mut pages = Vec::new();
        loop {
            let path = format!("data_sources/{source}/rows?limit=1000&trash={trash}&offset={}", pages.len());
            let answer = self.control("GET", &path, &Json::Null).await;
            let rows = answer["rows"].as_array().unwrap();
            pages.extend(rows.iter().cloned());
            if rows.is_empty() {
                return pages;
            }
        }
    }

    /// The one live page of which a property has this value.
    pub async fn page(&self, source: &str, property: &str, value: impl Into<Json>) -> Page {
        let value = value.into();
        let pages = self.pages(source).await;
        let mut found = pages.into_iter().filter(|page| page["values"][property] == value);
        let page = found.next();
        assert!(found.next().is_none(), "several pages with {property} = {value}");
        let page = page.unwrap_or_default();
        assert!(!page.is_null(), "no page with {property} = {value}");
        Page { id: page["id"].as_str().unwrap().to_owned(), values: page["values"].clone() }
    }

    /// Somebody edits a page.
    pub async fn edit(&self, page: &Page, properties: Json) {
        self.control("PATCH", &format!("pages/{}", page.id), &json!({ "properties": properties })).await;
    }

    /// Somebody makes a page.
    pub async fn add(&self, source: &str, properties: Json) -> Page {
        let body = json!({ "data_source_id": source, "properties": properties });
        let page = self.control("POST", "pages", &body).await;
        Page { id: page["id"].as_str().unwrap().to_owned(), values: page["values"].clone() }
    }

    /// Somebody puts a page in the trash.
    pub async fn trash(&self, page: &Page) {
        self.control("POST", &format!("pages/{}/trash", page.id), &json!({})).await;
    }

    /// Notion's clock goes on by so many minutes.
    pub async fn minutes_pass(&self, minutes: i64) {
        self.control("POST", "clock", &json!({ "advance_ms": minutes * 60_000 })).await;
    }

    /// Makes calls fail: see the emulator's `faults`.
    pub async fn fault(&self, rule: Json) {
        self.control("POST", "faults", &rule).await;
    }

    pub async fn no_faults(&self) {
        self.control("DELETE", "faults", &Json::Null).await;
    }

    /// Calls to Notion since the last time that this was asked, by endpoint.
    pub async fn calls(&self) -> BTreeMap<String, u64> {
        let counters = self.control("GET", "counters", &Json::Null).await;
        self.control("DELETE", "counters", &Json::Null).await;
        let endpoints = counters["endpoints"].as_object().unwrap();
        let sum = |statuses: &Json| {
            statuses.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
        };
        endpoints.iter().map(|(endpoint, statuses)| (endpoint.clone(), sum(statuses))).collect()
    }
}

/// A page as a person sees it.
#[derive(Clone, Debug)]
pub struct Page {
    pub id: String,
    pub values: Json,
}

/// One mapping's part of a report.
pub fn part<'r>(report: &'r Report, mapping: &str) -> &'r MappingReport {
    report.mappings.iter().find(|part| part.mapping == mapping).unwrap()
}

/// Everything that a run wrote: pages created, updated, trashed; rows inserted, updated, deleted.
pub fn written(report: &Report) -> [u64; 6] {
    report.mappings.iter().fold([0; 6], |sum, part| {
        let (notion, rows) = (part.to_notion, part.to_postgres);
        let one = [notion.created, notion.updated, notion.trashed, rows.inserted, rows.updated, rows.deleted];
        std::array::from_fn(|at| sum[at] + one[at])
    })
}
