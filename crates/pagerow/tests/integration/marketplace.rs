//! Does `examples/marketplace` do what its README says? From an empty page and a full database to both sides equal,
//! through edits on both, with every promise that its configuration makes.
//!
//! `PAGEROW_MARKETPLACE_ROWS=100000 cargo test --release -p pagerow --test integration marketplace -- --nocapture`
//! plays it with as many rows in each table, and prints how long each part takes.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use notion_emulator::Emulator;
use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use crate::support::{
    postgres::TestDatabase,
    program::{Answer, People, run, with_config},
};

/// What the databases look like: properties with their kinds.
const DATABASES: [(&str, &str, &str); 7] = [
    (
        "suppliers",
        "Suppliers",
        "Name title, Logo URL url, Verification Tier select, Rating number, Review Count number, Transaction Count number, \
         Response Time rich_text, Years in Business number, Created At date, Updated At date",
    ),
    (
        "products",
        "Products",
        "Name title, Supplier relation, Product Type select, Purity Level select, Price Per Unit number, Currency select, \
         Unit rich_text, Min Order Quantity number, Availability select, Has Bulk Discount checkbox, \
         Bulk Discount Threshold number, Bulk Discount Percentage number, Created At date, Updated At date",
    ),
    (
        "rfqs",
        "RFQs",
        "Title title, Buyer relation, Description rich_text, Status select, Product Type select, Purity Level select, \
         Quantity number, Unit rich_text, Target Price number, Currency select, Delivery Location Country rich_text, \
         Delivery Location City rich_text, Required Certifications multi_select, Deadline date, Published At date, \
         Closed At date, Awarded To relation, Created At date, Updated At date",
    ),
    (
        "rfq_responses",
        "RFQ Responses",
        "ID title, RFQ relation, Supplier relation, User relation, Quote Price number, Currency select, \
         Delivery Time Days number, Payment Terms rich_text, Notes rich_text, Status select, Score number, \
         Created At date, Updated At date",
    ),
    (
        "auctions",
        "Auctions",
        "Title title, Supplier relation, Material rich_text, Grade rich_text, Quantity number, Starting Price number, \
         Reserve Price number, Current Price number, Bid Increment number, Status select, Start Time date, End Time date, \
         Bid Count number, Winner relation, Created At date, Updated At date",
    ),
    (
        "orders",
        "Orders",
        "Order Number title, Supplier relation, User relation, Quote relation, Status select, Total Amount number, \
         Currency select, Payment Status select, Created At date, Updated At date",
    ),
    (
        "user_profiles",
        "User Profiles",
        "Name title, User ID rich_text, Company Name rich_text, Phone phone_number, Role select, Email email, \
         Created At date, Updated At date",
    ),
];

/// The marketplace with both of its sides.
struct Marketplace {
    sql: Client,
    emulator: Emulator,
    people: People,
    database: TestDatabase,
    folder: tempfile::TempDir,
    rows: i64,
}

impl Marketplace {
    async fn set_up(rows: i64) -> Self {
        let read = |name: &str| std::fs::read_to_string(example().join(name)).unwrap();
        let database = TestDatabase::with(&read("schema.sql")).await;
        let sql = database.client().await;
        sql.batch_execute(&format!("SET marketplace.rows = {rows}")).await.unwrap();
        sql.batch_execute(&read("generate.sql")).await.unwrap();
        let options = notion_emulator::Options { requests_per_minute: None, ..Default::default() };
        let emulator = Emulator::start(options).await.unwrap();
        let people = People::of(&emulator.base_url());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pagerow.toml"), read("pagerow.toml")).unwrap();
        Self { sql, emulator, people, database, folder, rows }
    }

    async fn ends(&self, code: i32, arguments: &[&str]) -> Answer {
        let mut command = with_config(arguments, &self.folder.path().join("pagerow.toml"));
        command
            .env("DATABASE_URL", &self.database.url)
            .env("NOTION_API_KEY", self.emulator.token())
            .env("NOTION_PARENT_PAGE", self.emulator.parent_page_id())
            .env("PAGEROW__NOTION__BASE_URL", self.emulator.base_url())
            .env("PAGEROW__NOTION__REQUESTS_PER_MINUTE", "10000000");
        let started = Instant::now();
        let answer = run(command).await;
        assert_eq!(answer.code, code, "{arguments:?}: {} {}", answer.stdout, answer.stderr);
        eprintln!("{:6.1} s  pagerow {}", started.elapsed().as_secs_f64(), arguments.join(" "));
        answer
    }

    async fn pagerow(&self, arguments: &[&str]) -> Answer {
        self.ends(0, arguments).await
    }

    async fn sync(&self) -> Json {
        self.pagerow(&["sync", "--json"]).await.json()
    }

    async fn assert_equal(&self) {
        let verdict = self.pagerow(&["verify", "--json"]).await.json();
        assert_eq!(verdict["equal"], true, "{verdict:#}");
    }

    /// One value as text.
    async fn value(&self, query: &str) -> Option<String> {
        self.sql.query_one(&format!("SELECT ({query})::text"), &[]).await.unwrap().get(0)
    }

    async fn pages(&self, title: &str) -> Vec<Json> {
        self.people.pages(&self.people.data_source(title).await, false).await
    }

    /// The page whose title is this.
    async fn page(&self, database: &str, property: &str, title: &str) -> (String, Json) {
        let pages = self.pages(database).await;
        let mut found = pages.iter().filter(|page| page["values"][property] == title);
        let page = found.next().unwrap_or_else(|| panic!("no page {title} in {database}"));
        assert!(found.next().is_none(), "twins of {title} in {database}");
        (page["id"].as_str().unwrap().to_owned(), page["values"].clone())
    }

    /// A call of the connection itself.
    async fn api(&self, method: &str, path: &str, body: Option<Json>) -> Json {
        let address = format!("{}/v1/{path}", self.emulator.base_url());
        let mut call = reqwest::Client::new()
            .request(method.parse().unwrap(), address)
            .header("authorization", format!("Bearer {}", self.emulator.token()))
            .header("notion-version", "2026-03-11");
        if let Some(body) = body {
            call = call.header("content-type", "application/json").body(body.to_string());
        }
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn edit(&self, page: &str, properties: Json) {
        self.people.edit(page, properties).await;
    }
}

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/marketplace")
}

#[tokio::test]
async fn from_an_empty_page_to_both_sides_equal_and_through_edits_on_both() {
    let rows = std::env::var("PAGEROW_MARKETPLACE_ROWS").map_or(1000, |rows| rows.parse().unwrap());
    let market = Marketplace::set_up(rows).await;
    market.pagerow(&["schema", "apply", "--yes", "--json"]).await;
    has_the_properties(&market).await;

    let first = market.sync().await;
    for mapping in first["mappings"].as_array().unwrap() {
        assert_eq!(mapping["to_notion"]["created"], market.rows, "{mapping:#}");
        assert_eq!(mapping["to_postgres"]["inserted"], 0, "{mapping:#}");
    }
    market.assert_equal().await;
    let second = market.sync().await;
    assert_eq!(second["run"], Json::Null, "the second run has nothing to do: {second:#}");

    what_is_shown_is_as_people_say_it(&market).await;
    prices_come_from_postgres(&market).await;
    notes_come_from_notion(&market).await;
    states_are_reviewed_by_a_person(&market).await;
    titles_and_times_are_made(&market).await;
    what_is_born_in_notion_gets_its_row(&market).await;

    market.assert_equal().await;
    let last = market.sync().await;
    assert_eq!(last["run"], Json::Null, "{last:#}");
}

#[tokio::test]
async fn a_log_of_all_steps_is_a_database_that_stops_no_other() {
    let market = Marketplace::set_up(4).await;
    let read = |name: &str| std::fs::read_to_string(example().join(name)).unwrap();
    market.sql.batch_execute(&read("sync-log.sql")).await.unwrap();
    let file = market.folder.path().join("pagerow.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config + &read("sync-log.toml")).unwrap();
    market.pagerow(&["schema", "apply", "--yes", "--json"]).await;
    market.sync().await;

    let steps = "SELECT count(*) FROM pagerow.steps WHERE mapping <> 'sync_log' AND status = 'done'";
    let log = market.pages("Sync Log").await;
    assert_eq!(Some(log.len().to_string()), market.value(steps).await);
    assert!(log.len() >= 28, "a page for each page that was made: {}", log.len());
    let entry = &log[0]["values"];
    assert_eq!((&entry["Status"], &entry["Direction"]), (&json!("Done"), &json!("To Notion")), "{entry}");
    assert!(entry["Sync Duration"].is_number() && entry["Synced At"].is_string(), "{entry}");
    assert_eq!(market.sync().await["run"], Json::Null, "the log is no news to itself");

    // Without its database the log pauses, and nothing else does.
    let source = market.people.data_source("Sync Log").await;
    let parent =
        market.api("GET", &format!("data_sources/{source}"), None).await["parent"]["database_id"].clone();
    let database = format!("databases/{}", parent.as_str().unwrap());
    market.api("PATCH", &database, Some(json!({ "in_trash": true }))).await;
    let rename = "UPDATE suppliers SET name = 'Renamed meanwhile' WHERE id = md5('supplier key 1')::uuid";
    market.sql.batch_execute(rename).await.unwrap();
    let told = market.ends(3, &["sync", "--json"]).await;
    assert!(told.stdout.contains("sync_log"), "{}", told.stdout);
    market.page("Suppliers", "Name", "Renamed meanwhile").await;
    market.api("PATCH", &database, Some(json!({ "in_trash": false }))).await;
    market.sync().await;
    assert_eq!(
        Some(market.pages("Sync Log").await.len().to_string()),
        market.value(steps).await,
        "what it missed is there"
    );
}

#[tokio::test]
async fn a_conflict_is_decided_by_choosing_an_option() {
    let market = Marketplace::set_up(4).await;
    let read = |name: &str| std::fs::read_to_string(example().join(name)).unwrap();
    market.sql.batch_execute(&read("sync-conflicts.sql")).await.unwrap();
    let file = market.folder.path().join("pagerow.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replacen("[sync]", "[sync]\nconflicts_mapping = \"sync_conflicts\"", 1);
    std::fs::write(&file, config + &read("sync-conflicts.toml")).unwrap();
    market.pagerow(&["schema", "apply", "--yes", "--json"]).await;
    market.sync().await;

    let rows = |number: i32| format!("SELECT payment_terms FROM rfq_responses WHERE number = {number}");
    let contest = async |number: i32, notion: &str, postgres: &str| {
        let (page, _) = market.page("RFQ Responses", "ID", &format!("RSP-{number}")).await;
        market.edit(&page, json!({ "Payment Terms": notion })).await;
        let update = format!("UPDATE rfq_responses SET payment_terms = '{postgres}' WHERE number = {number}");
        market.sql.batch_execute(&update).await.unwrap();
    };
    contest(1, "thirty days", "cash").await;
    contest(2, "ninety days", "gold").await;
    market.ends(3, &["sync", "--json"]).await;
    let asked = market.pages("Sync Conflicts").await;
    assert_eq!(asked.len(), 2, "{asked:#?}");
    let question = |postgres: &str| {
        let found = asked.iter().find(|page| page["values"]["In Postgres"] == postgres);
        found.unwrap_or_else(|| panic!("{asked:#?}")).clone()
    };
    let (cash, gold) = (question("cash"), question("gold"));
    assert_eq!(
        (&cash["values"]["In Notion"], &cash["values"]["Status"]),
        (&json!("thirty days"), &json!("Open"))
    );
    assert_eq!(cash["values"]["Field"], "Payment Terms");

    // What is asked stays as it is until somebody answers.
    market.ends(3, &["sync", "--json"]).await;
    market.edit(cash["id"].as_str().unwrap(), json!({ "Decision": "Keep Notion" })).await;
    market.edit(gold["id"].as_str().unwrap(), json!({ "Decision": "Keep Postgres" })).await;
    market.sync().await;
    assert_eq!(market.value(&rows(1)).await.as_deref(), Some("thirty days"));
    let (_, kept) = market.page("RFQ Responses", "ID", "RSP-2").await;
    assert_eq!(kept["Payment Terms"], "gold");
    let answered = market.pages("Sync Conflicts").await;
    assert!(answered.iter().all(|page| page["values"]["Status"] == "Closed"), "{answered:#?}");
    assert_eq!(market.sync().await["run"], Json::Null);

    // An answer to what was something else by then counts for nothing, and the new question is asked.
    contest(1, "sixty days", "barter").await;
    market.ends(3, &["sync", "--json"]).await;
    let asked = market.pages("Sync Conflicts").await;
    let open = asked.iter().find(|page| page["values"]["Status"] == "Open").unwrap();
    market.edit(open["id"].as_str().unwrap(), json!({ "Decision": "Keep Notion" })).await;
    market
        .sql
        .batch_execute("UPDATE rfq_responses SET payment_terms = 'shells' WHERE number = 1")
        .await
        .unwrap();
    market.ends(3, &["sync", "--json"]).await;
    assert_eq!(market.value(&rows(1)).await.as_deref(), Some("shells"));
    let asked = market.pages("Sync Conflicts").await;
    let open = &asked.iter().find(|page| page["values"]["Status"] == "Open").unwrap()["values"];
    assert_eq!((&open["In Postgres"], &open["Decision"]), (&json!("shells"), &Json::Null), "{open}");

    // Nothing of this fails a sync.
    market.sql.batch_execute("ALTER TABLE sync_conflicts RENAME COLUMN decision TO verdict").await.unwrap();
    market
        .sql
        .batch_execute(
            "UPDATE suppliers SET name = 'Renamed meanwhile' WHERE id = md5('supplier key 1')::uuid",
        )
        .await
        .unwrap();
    market.ends(3, &["sync", "--json"]).await;
    market.page("Suppliers", "Name", "Renamed meanwhile").await;
}

async fn has_the_properties(market: &Marketplace) {
    for (table, title, properties) in DATABASES {
        let wanted: BTreeMap<String, String> = properties
            .split(", ")
            .chain(["Supabase ID rich_text", "Last Synced date"])
            .filter_map(|property| property.trim().rsplit_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect();
        let source = market.people.data_source(title).await;
        let schema = market.api("GET", &format!("data_sources/{source}"), None).await;
        let made: BTreeMap<String, String> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, property)| (name.clone(), property["type"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(made, wanted, "{table}");
    }
}

async fn what_is_shown_is_as_people_say_it(market: &Marketplace) {
    let number =
        market.value("SELECT min(number) FROM rfq_responses WHERE status = 'under_review'").await.unwrap();
    let (_, response) = market.page("RFQ Responses", "ID", &format!("RSP-{number}")).await;
    assert_eq!(response["Status"], "Under Review");
    let title = market
        .value("SELECT min(concat_ws(' ', material, grade)) FROM auctions WHERE grade IS NULL")
        .await
        .unwrap();
    let (_, auction) = market.page("Auctions", "Title", &title).await;
    assert_eq!(auction["Grade"], Json::Null, "a title without a grade has no trace of it");
    let needs =
        "SELECT title FROM rfqs WHERE required_certifications @> '{REACH,RoHS}' ORDER BY title LIMIT 1";
    let (_, rfq) = market.page("RFQs", "Title", &market.value(needs).await.unwrap()).await;
    assert_eq!(rfq["Required Certifications"].as_array().map(Vec::len), Some(3), "{rfq}");
    let name = market.value("SELECT name FROM user_profiles ORDER BY id LIMIT 1").await.unwrap();
    market.page("User Profiles", "Name", &name).await;
}

async fn prices_come_from_postgres(market: &Marketplace) {
    let names = "SELECT name FROM products WHERE id = md5('product key 1')::uuid";
    let name = market.value(names).await.unwrap();
    let (page, _) = market.page("Products", "Name", &name).await;
    // Alone in Notion, and on both sides at once.
    for price in ["1234.5", "77.25"] {
        market.edit(&page, json!({ "Price Per Unit": 1, "Unit": "lb" })).await;
        if price == "77.25" {
            market
                .sql
                .batch_execute(
                    "UPDATE products SET price_per_unit = 77.25 WHERE id = md5('product key 1')::uuid",
                )
                .await
                .unwrap();
        }
        market.sync().await;
        let kept = market
            .value("SELECT trim_scale(price_per_unit) FROM products WHERE id = md5('product key 1')::uuid")
            .await;
        let (_, shown) = market.page("Products", "Name", &name).await;
        assert_eq!(shown["Price Per Unit"].to_string(), kept.unwrap());
        assert_eq!(
            market.value("SELECT unit FROM products WHERE id = md5('product key 1')::uuid").await.as_deref(),
            Some("lb")
        );
    }
}

async fn notes_come_from_notion(market: &Marketplace) {
    let (page, _) = market.page("RFQ Responses", "ID", "RSP-1").await;
    market.edit(&page, json!({ "Notes": "by a person" })).await;
    market
        .sql
        .batch_execute("UPDATE rfq_responses SET notes = 'by the program', score = 99.5 WHERE number = 1")
        .await
        .unwrap();
    market.sync().await;
    assert_eq!(
        market.value("SELECT notes FROM rfq_responses WHERE number = 1").await.as_deref(),
        Some("by a person")
    );
    let (_, shown) = market.page("RFQ Responses", "ID", "RSP-1").await;
    assert_eq!((&shown["Notes"], &shown["Score"]), (&json!("by a person"), &json!(99.5)));
}

async fn states_are_reviewed_by_a_person(market: &Marketplace) {
    let (page, _) = market.page("RFQ Responses", "ID", "RSP-2").await;
    market.sql.batch_execute("UPDATE rfq_responses SET status = 'submitted' WHERE number = 2").await.unwrap();
    market.sync().await;
    market.edit(&page, json!({ "Status": "Shortlisted", "Payment Terms": "prepaid, half" })).await;
    market.sql.batch_execute("UPDATE rfq_responses SET status = 'rejected' WHERE number = 2").await.unwrap();
    market.ends(3, &["sync", "--json"]).await;
    let row = "SELECT status || ', ' || payment_terms FROM rfq_responses WHERE number = 2";
    assert_eq!(
        market.value(row).await.as_deref(),
        Some("rejected, prepaid, half"),
        "the rest of the record goes on"
    );
    let open = market.ends(3, &["conflicts", "--json"]).await.json();
    let conflict = &open["conflicts"][0];
    assert_eq!(open["conflicts"].as_array().map(Vec::len), Some(1), "{open:#}");
    assert_eq!(
        (&conflict["mapping"], &conflict["column"]),
        (&json!("rfq_responses"), &json!("status")),
        "{open:#}"
    );
    let id = conflict["id"].to_string();
    market.pagerow(&["resolve", id.trim_matches('"'), "--keep", "notion", "--yes"]).await;
    market.sync().await;
    assert_eq!(market.value(row).await.as_deref(), Some("shortlisted, prepaid, half"));
}

async fn titles_and_times_are_made(market: &Marketplace) {
    let auction =
        "UPDATE auctions SET material = 'Iridium', grade = '99.95' WHERE id = md5('auction key 3')::uuid";
    market.sql.batch_execute(auction).await.unwrap();
    let order = "SELECT order_number FROM orders WHERE status = 'pending' ORDER BY order_number LIMIT 1";
    let number = market.value(order).await.unwrap();
    let (page, _) = market.page("Orders", "Order Number", &number).await;
    market.edit(&page, json!({ "Status": "Delivered" })).await;
    market.sql.batch_execute("UPDATE auth.users SET raw_user_meta_data = '{\"full_name\": \"Ada King\"}' WHERE id = md5('user key 1')::uuid").await.unwrap();
    market.sync().await;
    market.page("Auctions", "Title", "Iridium 99.95").await;
    market.page("User Profiles", "Name", "Ada King").await;
    let completed =
        format!("SELECT completed_at FROM orders WHERE order_number = '{number}' AND status = 'delivered'");
    assert!(market.value(&completed).await.is_some(), "{number}");
    market.edit(&page, json!({ "Status": "Shipped" })).await;
    market.sync().await;
    let cleared = format!(
        "SELECT completed_at IS NULL AND status = 'shipped' FROM orders WHERE order_number = '{number}'"
    );
    assert_eq!(market.value(&cleared).await.as_deref(), Some("true"));
}

async fn what_is_born_in_notion_gets_its_row(market: &Marketplace) {
    let suppliers = market.people.data_source("Suppliers").await;
    let supplier =
        market.people.add(&suppliers, json!({ "Name": "Born in Notion", "Verification Tier": "Gold" })).await;
    let products = market.people.data_source("Products").await;
    let properties = json!({ "Name": "Its product", "Supplier": [supplier], "Availability": "In Stock", "Currency": "EUR" });
    market.people.add(&products, properties).await;
    market.sync().await;
    let row = "SELECT p.availability || ' ' || p.currency || ' ' || s.verification_tier FROM products p JOIN suppliers s ON s.id = p.supplier_id
               WHERE p.name = 'Its product' AND s.name = 'Born in Notion'";
    assert_eq!(market.value(row).await.as_deref(), Some("in_stock EUR gold"));
}
