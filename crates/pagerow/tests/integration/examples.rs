//! Do the examples do what their READMEs say? Each is run as it lies there, against a Postgres and the emulator.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use notion_emulator::Emulator;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use crate::support::{
    postgres::TestDatabase,
    program::{Answer, People, run, with_config},
};

/// `examples/decision-log` with its two sides.
struct DecisionLog {
    database: TestDatabase,
    sql: Client,
    emulator: Emulator,
    people: People,
    database_id: String,
    data_source: String,
}

impl DecisionLog {
    async fn set_up() -> Self {
        let schema = std::fs::read_to_string(folder().join("schema.sql")).unwrap();
        let database = TestDatabase::with(&schema).await;
        let sql = database.client().await;
        let options = notion_emulator::Options { requests_per_minute: None, ..Default::default() };
        let emulator = Emulator::start(options).await.unwrap();
        let body = json!({
            "parent": { "type": "page_id", "page_id": emulator.parent_page_id() },
            "title": [{ "text": { "content": "Decisions" } }],
            "initial_data_source": { "properties": {
                "Decision": { "title": {} },
                "Type": { "multi_select": { "options": [{ "name": "Hiring" }, { "name": "Money" }] } },
                "Date": { "date": {} },
                "Checksum": { "rich_text": {} },
                "Synced": { "checkbox": {} },
            } },
        });
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/databases", emulator.base_url()))
            .header("authorization", format!("Bearer {}", emulator.token()))
            .header("notion-version", "2026-03-11")
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let made: Json = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let id = |json: &Json| json["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let (database_id, data_source) = (id(&made), id(&made["data_sources"][0]));
        let people = People::of(&emulator.base_url());
        Self { database, sql, emulator, people, database_id, data_source }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = with_config(arguments, &folder().join("pagerow.toml"));
        command
            .env("DATABASE_URL", &self.database.url)
            .env("NOTION_API_KEY", self.emulator.token())
            .env("NOTION_DATABASE_ID", &self.database_id)
            .env("PAGEROW__NOTION__BASE_URL", self.emulator.base_url())
            .env("PAGEROW__NOTION__REQUESTS_PER_MINUTE", "100000");
        command
    }

    async fn pagerow(&self, arguments: &[&str]) -> Answer {
        let answer = run(self.command(arguments)).await;
        assert_eq!(answer.code, 0, "{arguments:?}: {} {}", answer.stdout, answer.stderr);
        answer
    }

    /// Runs a sync; answers what it says about the one mapping.
    async fn sync(&self) -> Json {
        self.pagerow(&["sync", "--json"]).await.json()["mappings"][0].clone()
    }

    /// All rows, each as JSON.
    async fn rows(&self) -> Vec<Json> {
        let rows =
            self.sql.query("SELECT to_jsonb(d)::text FROM decision_vault d ORDER BY id", &[]).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
    }

    async fn row(&self, decision: &str) -> Json {
        let rows = self.rows().await;
        let mut found = rows.iter().filter(|row| row["decision"] == decision);
        let row = found.next().unwrap_or_else(|| panic!("no row {decision}: {rows:?}")).clone();
        assert!(found.next().is_none(), "twins of {decision}: {rows:?}");
        row
    }

    async fn pages(&self) -> Vec<Json> {
        self.people.pages(&self.data_source, false).await
    }

    async fn page(&self, decision: &str) -> Json {
        let pages = self.pages().await;
        let mut found = pages.iter().filter(|page| page["values"]["Decision"] == decision);
        let page = found.next().unwrap_or_else(|| panic!("no page {decision}: {pages:?}")).clone();
        assert!(found.next().is_none(), "twins of {decision}: {pages:?}");
        page
    }

    /// Rows and pages are each other's halves, one to one, and say the same.
    async fn assert_equal(&self, records: usize) {
        let (rows, pages) = (self.rows().await, self.pages().await);
        assert_eq!((rows.len(), pages.len()), (records, records), "{rows:#?}\n{pages:#?}");
        let pages: BTreeMap<&str, &Json> =
            pages.iter().map(|page| (page["id"].as_str().unwrap(), page)).collect();
        for row in &rows {
            let page = pages[row["notion_page_id"].as_str().unwrap()];
            assert_eq!(row["decision"], page["values"]["Decision"]);
            assert_eq!(row["date"], page["values"]["Date"]);
            assert_eq!(row["notion_synced"], true);
        }
        assert_eq!(self.pagerow(&["verify", "--json"]).await.json()["equal"], true);
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/decision-log")
}

const TWO_ROWS: &str = "INSERT INTO decision_vault (decision, type, date) VALUES
    ('Hire a designer', 'Hiring', '2025-10-01'), ('Move to Lisbon', 'Office, Money', '2025-11-02')";

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let log = DecisionLog::set_up().await;
    log.sql.batch_execute(TWO_ROWS).await.unwrap();
    log.people.add(&log.data_source, json!({ "Decision": "Raise prices", "Type": "Money" })).await;
    let before = (log.rows().await, log.pages().await);
    let plan = log.pagerow(&["plan", "--json"]).await.json();
    let steps = plan["mappings"][0]["steps"].as_array().unwrap();
    let count = |side: &str| steps.iter().filter(|step| step["side"] == side).count();
    assert_eq!((count("notion"), count("postgres")), (2, 1), "{plan}");
    assert_eq!(before, (log.rows().await, log.pages().await));
}

#[tokio::test]
async fn a_run_makes_both_sides_equal_and_the_next_one_writes_nothing() {
    let log = DecisionLog::set_up().await;
    log.sql.batch_execute(TWO_ROWS).await.unwrap();
    log.people
        .add(&log.data_source, json!({ "Decision": "Raise prices", "Type": "Money", "Date": "2025-11-05" }))
        .await;
    let report = log.sync().await;
    assert_eq!(
        (&report["to_notion"]["created"], &report["to_postgres"]["inserted"]),
        (&json!(2), &json!(1)),
        "{report}"
    );
    log.assert_equal(3).await;
    let (row, page) = (log.row("Move to Lisbon").await, log.page("Move to Lisbon").await);
    let mut types: Vec<&str> =
        page["values"]["Type"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    types.sort_unstable();
    assert_eq!(types, ["Money", "Office"]);
    assert_eq!(page["values"]["Synced"], true);
    assert_eq!(row["checksum"], page["values"]["Checksum"]);

    // Both directions, different fields of one record.
    log.sql
        .batch_execute("UPDATE decision_vault SET date = '2026-01-15' WHERE decision = 'Move to Lisbon'")
        .await
        .unwrap();
    log.people.edit(page["id"].as_str().unwrap(), json!({ "Decision": "Move to Porto" })).await;
    log.sync().await;
    log.assert_equal(3).await;
    let row = log.row("Move to Porto").await;
    assert_eq!((&row["date"], &row["type"]), (&json!("2026-01-15"), &json!("Office, Money")));

    let edited: Vec<Json> = log.rows().await;
    let report = log.sync().await;
    assert_eq!(report["to_notion"], json!({ "created": 0, "updated": 0, "trashed": 0 }));
    assert_eq!(report["to_postgres"], json!({ "inserted": 0, "updated": 0, "deleted": 0 }));
    assert_eq!(edited, log.rows().await);

    let report = log.pagerow(&["report", "--json"]).await.json();
    assert!(report["run"].is_number() || report["id"].is_number(), "{report}");
}

#[tokio::test]
async fn the_last_edit_wins_and_postgres_when_times_tie() {
    let log = DecisionLog::set_up().await;
    log.sql
        .batch_execute(
            "INSERT INTO decision_vault (decision) VALUES ('early row'), ('late row'), ('same minute')",
        )
        .await
        .unwrap();
    log.sync().await;
    let edits = [("early row", "11:00:00"), ("late row", "13:00:00"), ("same minute", "12:00:10")];
    log.people.call("POST", "clock", json!({ "now": "2030-01-01T12:00:30Z", "freeze": true })).await;
    for (decision, time) in edits {
        let page = log.page(decision).await;
        log.people
            .edit(page["id"].as_str().unwrap(), json!({ "Decision": format!("{decision}, by page") }))
            .await;
        let update = format!(
            "UPDATE decision_vault SET decision = '{decision}, by row', updated_at = '2030-01-01 {time}+00'
             WHERE decision = '{decision}'"
        );
        log.sql.batch_execute(&update).await.unwrap();
    }
    log.sync().await;
    for winner in ["early row, by page", "late row, by row", "same minute, by row"] {
        log.row(winner).await;
        log.page(winner).await;
    }
    log.assert_equal(3).await;
}

#[tokio::test]
async fn what_is_there_already_is_matched_by_page_id_then_checksum() {
    let log = DecisionLog::set_up().await;
    let add = async |decision: &str, checksum: &str| {
        log.people.add(&log.data_source, json!({ "Decision": decision, "Checksum": checksum })).await
    };
    let by_id = add("by id", "").await;
    let by_checksum = add("by checksum", "c1").await;
    // Its row names another page, which comes before the checksum.
    let stronger = add("by id, not by checksum", "").await;
    let left_over = add("left over", "c2").await;
    let insert = format!(
        "INSERT INTO decision_vault (decision, notion_page_id, checksum) VALUES
           ('by id', '{by_id}', NULL), ('by checksum', NULL, 'c1'),
           ('by id, not by checksum', '{stronger}', 'c2'), ('only a row', NULL, 'c3')"
    );
    log.sql.batch_execute(&insert).await.unwrap();
    let report = log.sync().await;
    assert_eq!(
        (&report["to_notion"]["created"], &report["to_postgres"]["inserted"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    log.assert_equal(5).await;
    for (decision, page) in [
        ("by id", &by_id),
        ("by checksum", &by_checksum),
        ("by id, not by checksum", &stronger),
        ("left over", &left_over),
    ] {
        assert_eq!(log.row(decision).await["notion_page_id"], **page);
    }
    // What was found equal is not written, and keeps the checksum by which it was found.
    assert_eq!(log.row("by checksum").await["checksum"], "c1");
    assert_eq!(log.page("by checksum").await["values"]["Checksum"], "c1");
}

#[tokio::test]
async fn nothing_is_ever_deleted() {
    let log = DecisionLog::set_up().await;
    log.sql.batch_execute(TWO_ROWS).await.unwrap();
    log.sync().await;
    let (kept_page, trashed) = (log.page("Hire a designer").await, log.page("Move to Lisbon").await);
    log.sql.batch_execute("DELETE FROM decision_vault WHERE decision = 'Hire a designer'").await.unwrap();
    log.people.trash(trashed["id"].as_str().unwrap()).await;
    for arguments in [["sync", "--json"].as_slice(), &["sync", "--json", "--full"]] {
        let report = log.pagerow(arguments).await.json()["mappings"][0].clone();
        assert_eq!(report["to_notion"], json!({ "created": 0, "updated": 0, "trashed": 0 }));
        assert_eq!(report["to_postgres"], json!({ "inserted": 0, "updated": 0, "deleted": 0 }));
        let (rows, pages) = (log.rows().await, log.pages().await);
        assert_eq!(rows.iter().map(|row| &row["decision"]).collect::<Vec<_>>(), ["Move to Lisbon"]);
        assert_eq!(pages.iter().map(|page| &page["id"]).collect::<Vec<_>>(), [&kept_page["id"]]);
    }
}

#[tokio::test]
async fn a_lost_answer_makes_no_twin() {
    let log = DecisionLog::set_up().await;
    log.sql.batch_execute(TWO_ROWS).await.unwrap();
    let fault = json!({ "endpoint": "POST /v1/pages", "times": 1, "fate": "applied", "answer": "drop" });
    log.people.call("POST", "faults", fault).await;
    log.sync().await;
    let hits = log.people.call("GET", "faults", json!({})).await;
    assert_eq!(hits["faults"][0]["hits"], 1, "{hits}");
    log.assert_equal(2).await;
}

#[tokio::test]
async fn a_lost_answer_makes_no_twin_while_the_index_lags() {
    let log = DecisionLog::set_up().await;
    log.sql.batch_execute(TWO_ROWS).await.unwrap();
    log.people.call("POST", "lag", json!({ "min_ms": 3000, "max_ms": 3000 })).await;
    let fault = json!({ "endpoint": "POST /v1/pages", "times": 1, "fate": "applied", "answer": "drop" });
    log.people.call("POST", "faults", fault).await;
    log.sync().await;
    log.people.call("POST", "lag", json!({ "min_ms": 0, "max_ms": 0 })).await;
    log.assert_equal(2).await;
}
