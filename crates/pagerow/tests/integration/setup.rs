//! From a database and an empty workspace to mappings that resolve: proposing, making, remembering, looking again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notion_emulator::{Emulator, Options};
use pagerow::{
    config::Config,
    notion::NotionClient,
    postgres::{Session, rows::PgRows},
    replica::{Rows, Scope},
    setup::{
        self, Found, Resolution,
        doctor::{self, Status},
        propose::{Surroundings, propose, write},
        schema,
    },
};
use pagerow_core::{
    mapping::{ColumnKind, Flow, KeySource},
    observation::Observation,
};
use serde_json::json;

use crate::support::postgres::{TestDatabase, northwind};

/// A database, a workspace and a folder for the configuration.
struct World {
    database: TestDatabase,
    emulator: Emulator,
    folder: tempfile::TempDir,
}

/// Looks at every row of every mapping; how many there are, all of them readable.
async fn rows_of(resolution: &Resolution, config: &Config) -> Vec<(String, usize)> {
    let database = setup::connect::database(config).await.unwrap();
    let mut counts = Vec::new();
    for one in &resolution.mappings {
        let rows = PgRows::new(database.pool().clone(), Arc::clone(&one.mapping), one.table.clone()).unwrap();
        let mut seen = Vec::new();
        let looked = rows.look(Scope::Everything, &mut |row| seen.push(row.observation)).await.unwrap();
        assert!(looked.complete);
        for observation in &seen {
            let Observation::Present(sighting) = observation else {
                unreachable!("{}: {observation:?}", one.mapping.name)
            };
            assert!(
                sighting.record.values().iter().all(Option::is_some),
                "{}: a field was not read",
                one.mapping.name
            );
        }
        counts.push((one.mapping.name.clone(), seen.len()));
    }
    counts
}

/// Both sides, as the configuration names them.
struct Sides {
    config: Config,
    session: Session,
    client: NotionClient,
}

impl World {
    async fn with(sql: &str) -> Self {
        let database = TestDatabase::with(sql).await;
        let emulator =
            Emulator::start(Options { requests_per_minute: None, ..Options::default() }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let variables = format!(
            "DATABASE_URL='{}'\nNOTION_API_KEY={}\nNOTION_PARENT_PAGE={}\n",
            database.url,
            emulator.token(),
            emulator.parent_page_id()
        );
        std::fs::write(folder.path().join(".env"), variables).unwrap();
        Self { database, emulator, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pagerow.toml")
    }

    /// Writes what `init` would write.
    async fn propose(&self) {
        let around = Surroundings { base_url: Some(self.emulator.base_url()), ..Surroundings::default() };
        let head = format!(
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\nbase_url = \"{}\"\n",
            self.emulator.base_url()
        );
        let scratch = self.folder.path().join("scratch.toml");
        std::fs::write(&scratch, head).unwrap();
        let sides = sides(&scratch).await;
        std::fs::remove_file(&scratch).unwrap();
        let tables = setup::inspect::tables(&sides.session, "pagerow").await.unwrap();
        let sources = setup::inspect::visible_data_sources(&sides.client).await.unwrap();
        write(&propose(&tables, &sources, &around), &self.file(), false).unwrap();
    }

    fn configure(&self, mappings: &str) {
        let text = format!(
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\nbase_url = \"{}\"\nrequests_per_minute = 100000\n\
             [sync]\nparent_page = \"env:NOTION_PARENT_PAGE\"\n{mappings}",
            self.emulator.base_url()
        );
        std::fs::write(self.file(), text).unwrap();
    }

    /// The databases on the parent page.
    async fn databases(&self, client: &NotionClient) -> Vec<String> {
        let page = client.page_children(self.emulator.parent_page_id(), None).await.unwrap().body;
        let mut titles: Vec<String> =
            page.entries.iter().filter_map(|entry| entry.whole()?.database_title.clone()).collect();
        titles.sort();
        titles
    }

    async fn fault(&self, rule: serde_json::Value) {
        let answer = reqwest::Client::new()
            .post(format!("{}/_emulator/faults", self.emulator.base_url()))
            .json(&rule)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

async fn sides(file: &Path) -> Sides {
    let config = Config::load(file, &[]).unwrap();
    let session = setup::connect::database(&config).await.unwrap().session().await.unwrap();
    let client = setup::connect::client(&config).unwrap();
    Sides { config, session, client }
}

impl Sides {
    async fn look(&self) -> Found {
        setup::inspect(&self.config, &self.session, &self.client).await.unwrap()
    }

    async fn make(&self) -> Result<schema::Applied, schema::ApplyError> {
        let found = self.look().await;
        let plan = schema::plan(&self.config, &found).unwrap();
        let database = setup::connect::database(&self.config).await.unwrap();
        pagerow::wiring::store(&self.config, &database).await.unwrap();
        schema::apply(&self.config, &found, &plan, &self.session, &self.client, |_| ()).await
    }

    async fn resolve(&self) -> Resolution {
        let found = self.look().await;
        let plan = schema::plan(&self.config, &found).unwrap();
        assert!(plan.changes.is_empty(), "nothing is left to be made: {:?}", plan.changes);
        setup::resolve(&self.config, &found).unwrap()
    }
}

#[tokio::test]
async fn northwind_is_proposed_made_and_resolved() {
    let Some(sql) = northwind() else { return };
    let world = World::with(&sql).await;
    world.propose().await;
    let before = std::fs::read_to_string(world.file()).unwrap();
    assert!(before.contains("# photo = \"Photo\"   # bytea: bytes have no form in Notion"), "{before}");

    let applied = sides(&world.file()).await.make().await.unwrap();
    assert_eq!(applied.made.len(), 12);
    assert!(applied.made.iter().all(|made| made.remembered && !made.adopted));

    let sides = sides(&world.file()).await;
    let resolution = sides.resolve().await;
    assert_eq!(resolution.mappings.len(), 12);
    let place = |name: &str| resolution.mappings.iter().position(|one| one.mapping.name == name).unwrap();
    for (first, second) in [
        ("customers", "orders"),
        ("orders", "order_details"),
        ("region", "territories"),
        ("categories", "products"),
    ] {
        assert!(place(first) < place(second), "{first} comes before {second}");
    }
    assert_eq!(resolution.cycles, [vec!["employees".to_owned()]]);
    let employees = &resolution.mappings[place("employees")];
    let territories = employees.mapping.fields.iter().find(|field| field.column == "territories").unwrap();
    assert_eq!(territories.holds, ColumnKind::References { mapping: "territories".into() });
    let title = employees.mapping.fields.iter().find(|field| field.shows.name() == "title").unwrap();
    assert_eq!(title.column, "last_name");
    let details = &resolution.mappings[place("order_details")];
    assert_eq!(details.table.key.len(), 2);
    assert_eq!(
        details.source.key_property.as_ref().map(|p| p.kind.as_str()),
        Some("title"),
        "nothing in it is a text"
    );

    let counts = rows_of(&resolution, &sides.config).await;
    assert!(
        counts.contains(&("orders".to_owned(), 830)) && counts.contains(&("order_details".to_owned(), 2155)),
        "{counts:?}"
    );

    // Comments stay, and only the ids are new.
    let after = std::fs::read_to_string(world.file()).unwrap();
    assert_eq!(before.lines().count(), after.lines().count());
    let changed = before.lines().zip(after.lines()).filter(|(a, b)| a != b).count();
    assert_eq!(changed, 12);

    let checks = doctor::examine(&world.file(), &[]).await;
    let failed: Vec<_> = checks.iter().filter(|check| check.status == Status::Fail).collect();
    assert!(failed.is_empty(), "{failed:#?}");

    // A second try makes nothing; a proposal never overwrites.
    let again = sides.make().await.unwrap();
    assert!(again.made.is_empty() && again.done.is_empty(), "{again:?}");
    assert_eq!(world.databases(&sides.client).await.len(), 12);
}

const SHOP: &str = "
CREATE TYPE tier AS ENUM ('gold', 'silver');
CREATE DOMAIN short AS varchar(10) NOT NULL;
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, boss bigint REFERENCES people);
CREATE TABLE suppliers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, code short UNIQUE, tier tier, status text CHECK (status IN ('new', 'Active')),
    tiers tier[], price numeric(10,2), double_price numeric GENERATED ALWAYS AS (price * 2) STORED, owner_id bigint REFERENCES people,
    meta jsonb, seen timestamptz, during daterange, updated_at timestamptz, deleted_at timestamptz, page text);
CREATE VIEW dear_suppliers AS SELECT id, name, price FROM suppliers WHERE price > 100;
";

const MAPPINGS: &str = "
[mapping.people]
table = \"people\"
data_source = \"create\"
[mapping.people.fields]
name = { property = \"Name\", as = \"title\" }
boss = { property = \"Boss\", relation = \"people\" }

[mapping.suppliers]
table = \"public.suppliers\"
data_source = \"create\"
updated_at = \"updated_at\"
soft_delete = \"deleted_at\"
where = \"status <> 'draft' -- a comment\"
match_on = [\"code\"]
[mapping.suppliers.fields]
name = \"Name\"
code = \"Code\"
tier = { property = \"Tier\", values = { gold = \"Gold\" } }
status = \"Status\"
tiers = \"Tiers\"
price = \"Price\"
double_price = \"Twice\"
owner_id = { property = \"Owner\", relation = \"people\" }
meta = \"Meta\"
seen = \"Seen\"
during = \"During\"
label = { property = \"Label\", to_notion = \"row.name ~ ' ' ~ (row.price or 0)\" }
[mapping.suppliers.stamp]
synced_at = \"Last Synced\"
checksum = \"Checksum\"
synced = \"Synced\"
[mapping.suppliers.columns]
page_id = \"page\"

[mapping.dear]
table = \"dear_suppliers\"
data_source = \"create\"
match_on = [\"name\"]
[mapping.dear.fields]
name = \"Name\"
price = \"Price\"
";

#[tokio::test]
async fn types_of_every_kind_become_properties() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    sides(&world.file()).await.make().await.unwrap();
    let resolution = sides(&world.file()).await.resolve().await;
    let of = |name: &str| resolution.mappings.iter().find(|one| one.mapping.name == name).unwrap();
    let suppliers = of("suppliers");
    let shown: Vec<(&str, &str, Flow)> = suppliers
        .mapping
        .fields
        .iter()
        .map(|field| (field.column.as_str(), field.shows.name(), field.flow))
        .collect();
    assert_eq!(
        shown,
        [
            ("name", "title", Flow::Both),
            ("code", "rich_text", Flow::Both),
            ("tier", "select", Flow::Both),
            ("status", "select", Flow::Both),
            ("tiers", "multi_select", Flow::Both),
            ("price", "number", Flow::Both),
            ("double_price", "number", Flow::ToNotion),
            ("owner_id", "relation", Flow::Both),
            ("meta", "rich_text", Flow::Both),
            ("seen", "date", Flow::Both),
            ("during", "date", Flow::Both),
            ("label", "rich_text", Flow::ToNotion),
        ]
    );
    let code = &suppliers.mapping.fields[1];
    assert!(code.required, "its domain refuses NULL");
    assert_eq!(code.holds, ColumnKind::Text { max: Some(10) });
    assert_eq!(suppliers.mapping.key, KeySource::Generated);
    assert!(suppliers.warnings.is_empty(), "{:?}", suppliers.warnings);
    assert_eq!(of("people").mapping.key, KeySource::Generated);
    assert!(of("people").table.key[0].identity_always);
    let admin = world.database.client().await;
    admin
        .batch_execute(
            "INSERT INTO suppliers (name, code, tier, status, tiers, price, meta, seen, during)
             VALUES ('A', 'a', 'gold', 'new', '{gold,silver}', 200.50, '{\"a\": 1}', now(), '[2026-01-01,2026-02-01)'), ('B', 'b', NULL, 'Active', NULL, NULL, NULL, NULL, NULL)",
        )
        .await
        .unwrap();
    let counts = rows_of(&resolution, &sides(&world.file()).await.config).await;
    assert_eq!(counts, [("people".to_owned(), 0), ("suppliers".to_owned(), 2), ("dear".to_owned(), 1)]);
    let dear = of("dear");
    assert_eq!(
        (dear.mapping.direction, dear.table.writable, dear.table.key[0].name.as_str()),
        (Flow::ToNotion, false, "name")
    );
}

#[tokio::test]
async fn sql_that_the_database_refuses_is_said_at_its_line() {
    let world = World::with(SHOP).await;
    world.configure(
        &MAPPINGS.replace("status <> 'draft'", "stat <> 'draft'").replace("row.name ~ ' '", "row.name ~"),
    );
    let sides = sides(&world.file()).await;
    let found = sides.look().await;
    let errors = schema::plan(&sides.config, &found).unwrap_err();
    let codes: Vec<_> = errors.0.iter().map(|error| (error.code, error.line.is_some())).collect();
    assert_eq!(codes, [("wrong_condition", true), ("wrong_expression", true)], "{errors}");
    assert!(errors.to_string().contains("stat"), "{errors}");
}

#[tokio::test]
async fn rights_that_are_missing_make_fields_one_way() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    sides(&world.file()).await.make().await.unwrap();
    let admin = world.database.client().await;
    let role = format!("clerk_{}", world.database.name);
    admin
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
             GRANT INSERT, DELETE, UPDATE (name, page, deleted_at) ON suppliers TO {role}"
        ))
        .await
        .unwrap();
    let url = crate::support::postgres::server().url_for(&role, "x", &world.database.name);
    let flags = [("postgres.url".to_owned(), url)];
    let config = Config::load(&world.file(), &flags).unwrap();
    let database = setup::connect::database(&config).await.unwrap();
    let session = database.session().await.unwrap();
    let client = setup::connect::client(&config).unwrap();
    let found = setup::inspect(&config, &session, &client).await.unwrap();
    let resolution = setup::resolve(&config, &found).unwrap();
    let suppliers = resolution.mappings.iter().find(|one| one.mapping.name == "suppliers").unwrap();
    assert_eq!(
        (suppliers.mapping.fields[0].flow, suppliers.mapping.fields[1].flow),
        (Flow::Both, Flow::ToNotion)
    );
    let warnings: Vec<String> = suppliers.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings.iter().any(|warning| warning.contains("GRANT UPDATE (code) ON public.suppliers")),
        "{warnings:?}"
    );
    drop((session, database));
    admin.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn a_stop_before_the_id_was_remembered_makes_nothing_twice() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    let before = std::fs::read_to_string(world.file()).unwrap();
    // The second relation cannot be added: the first try ends in the middle.
    world.fault(json!({"endpoint": "PATCH /v1/data_sources/{id}", "skip": 1, "times": 1, "answer": "429_blocked"})).await;
    let stopped = sides(&world.file()).await.make().await.unwrap_err();
    assert!(stopped.to_string().contains("add the property"), "{stopped}");
    // As if not even the ids had been written.
    std::fs::write(world.file(), before).unwrap();
    let sides = sides(&world.file()).await;
    let applied = sides.make().await.unwrap();
    assert!(applied.made.iter().all(|made| made.adopted && made.remembered), "{:?}", applied.made);
    assert_eq!(world.databases(&sides.client).await, ["Dear", "People", "Suppliers"]);
    self::sides(&world.file()).await.resolve().await;
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_database() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    world
        .fault(json!({"endpoint": "POST /v1/databases", "times": 1, "fate": "applied", "answer": "drop"}))
        .await;
    let sides = sides(&world.file()).await;
    let applied = sides.make().await.unwrap();
    assert_eq!(applied.made.len(), 3);
    assert_eq!(world.databases(&sides.client).await, ["Dear", "People", "Suppliers"]);
}

#[tokio::test]
async fn a_database_of_the_same_name_that_is_not_ours_is_left_alone() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    let sides = sides(&world.file()).await;
    let body = json!({
        "parent": {"type": "page_id", "page_id": world.emulator.parent_page_id()},
        "title": [{"type": "text", "text": {"content": "People"}}],
        "initial_data_source": {"properties": {"Name": {"title": {}}}},
    });
    sides.client.database_create(&body).await.unwrap();
    let applied = sides.make().await.unwrap();
    assert!(applied.made.iter().all(|made| !made.adopted));
    assert_eq!(world.databases(&sides.client).await, ["Dear", "People", "People", "Suppliers"]);
}

#[tokio::test]
async fn ids_of_databases_and_of_nothing_are_understood() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    sides(&world.file()).await.make().await.unwrap();
    let sides = sides(&world.file()).await;
    let page = sides.client.page_children(world.emulator.parent_page_id(), None).await.unwrap().body;
    let database = page
        .entries
        .iter()
        .filter_map(|entry| entry.whole())
        .find(|child| child.database_title.as_deref() == Some("People"))
        .unwrap()
        .id
        .clone();
    let people = |id: &str| {
        world.configure(&format!(
            "[mapping.people]\ntable = \"people\"\ndata_source = \"{id}\"\n[mapping.people.fields]\nname = \"Name\"\n"
        ));
    };
    people(&database);
    let resolution = self::sides(&world.file()).await.resolve().await;
    let note = resolution.mappings[0].warnings[0].to_string();
    assert!(note.contains("the id of a database"), "{note}");

    sides
        .client
        .data_source_create(&json!({
            "parent": {"type": "database_id", "database_id": database},
            "title": [{"type": "text", "text": {"content": "Guests"}}],
            "properties": {"Name": {"title": {}}},
        }))
        .await
        .unwrap();
    let several = self::sides(&world.file()).await;
    let errors = setup::resolve(&several.config, &several.look().await).map(|_| ()).unwrap_err();
    assert_eq!(errors.0[0].code, "several_data_sources");
    assert!(errors.to_string().contains("\"Guests\" ("), "{errors}");

    people("00000000-0000-4000-8000-000000000000");
    let missing = self::sides(&world.file()).await;
    let errors = setup::resolve(&missing.config, &missing.look().await).map(|_| ()).unwrap_err();
    assert_eq!((errors.0[0].code, errors.0[0].line.is_some()), ("not_shared", true), "{errors}");
}

#[tokio::test]
async fn what_exists_in_notion_is_paired() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    sides(&world.file()).await.make().await.unwrap();
    std::fs::remove_file(world.file()).unwrap();
    world.propose().await;
    let text = std::fs::read_to_string(world.file()).unwrap();
    assert!(!text.contains("\"create\""), "{text}");
    assert!(text.contains("owner_id = { property = \"Owner\", relation = \"people\" }"), "{text}");
    let resolution = sides(&world.file()).await.resolve().await;
    assert_eq!(resolution.mappings.len(), 2);
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong() {
    let world = World::with(SHOP).await;
    world.configure(MAPPINGS);
    let checks = doctor::examine(&world.file(), &[]).await;
    assert_eq!(doctor::worst(&checks), Status::Fail);
    let made = checks.iter().filter(|check| check.found.contains("make the database")).count();
    assert_eq!(made, 3, "{checks:#?}");
    assert!(checks.iter().all(|check| check.status != Status::Fail || check.advice.is_some()), "{checks:#?}");

    let flags = [("notion.token".to_owned(), "ntn_wrong".to_owned())];
    let checks = doctor::examine(&world.file(), &flags).await;
    let token = checks.iter().find(|check| check.name == "notion token").unwrap();
    assert_eq!(token.status, Status::Fail);
    assert!(!format!("{checks:?}").contains("ntn_wrong"));

    let flags =
        [("postgres.url".to_owned(), "postgres://nobody:hunter2@127.0.0.1:1/x?sslmode=disable".to_owned())];
    let checks = doctor::examine(&world.file(), &flags).await;
    let connection = checks.iter().find(|check| check.name == "postgres connection").unwrap();
    assert!(connection.status == Status::Fail && connection.advice.is_some(), "{connection:?}");
    assert!(!format!("{checks:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_id_goes_where_the_word_create_stood() {
    let world = World::with(SHOP).await;
    world.configure(&MAPPINGS.replace(
        "[mapping.people]\ntable = \"people\"\ndata_source = \"create\"",
        "[mapping.people]\ntable = \"people\"\ndata_source = \"env:WISH\"",
    ));
    let variables = std::fs::read_to_string(world.folder.path().join(".env")).unwrap();
    std::fs::write(world.folder.path().join(".env"), format!("{variables}WISH=create\n")).unwrap();
    let applied = sides(&world.file()).await.make().await.unwrap();
    let remembered: Vec<(&str, bool)> =
        applied.made.iter().map(|made| (made.mapping.as_str(), made.remembered)).collect();
    assert_eq!(remembered, [("people", false), ("suppliers", true), ("dear", true)]);
    assert_eq!(schema::remember(&world.file(), "people", "x").unwrap(), schema::WriteBack::NotInTheFile);
}
