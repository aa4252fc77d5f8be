//! Each drift that `docs/drift.md` shows, played with the program itself; the document holds what was really printed.
//!
//! `PAGEROW_WRITE_DOCS=1 cargo test -p pagerow --test integration -- drift::` writes the transcripts anew.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::support::desk::Desk;

const SHOP: &str = "
CREATE TYPE tier AS ENUM ('gold', 'silver');
CREATE TABLE suppliers (id int PRIMARY KEY, name text NOT NULL, tier tier);
INSERT INTO suppliers VALUES (1, 'Acme', 'gold'), (2, 'Bolt', 'silver');
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric, stage text,
    stock int NOT NULL DEFAULT 0, supplier_id int REFERENCES suppliers);
INSERT INTO products SELECT n, 'Product ' || n, n + 0.5, 'idea', n, 1 + n % 2 FROM generate_series(1, 4) n;
";

const MAPPINGS: &str = r#"[sync]
parent_page = "env:NOTION_PARENT_PAGE"

[mapping.suppliers]
table = "suppliers"
data_source = "create"
[mapping.suppliers.fields]
id = "Number"
name = { property = "Name", as = "title" }
tier = "Tier"

[mapping.products]
table = "products"
data_source = "create"
[mapping.products.fields]
id = "Number"
name = { property = "Name", as = "title" }
price = "Price"                 # in euro
stage = { property = "Stage", as = "select", new_options = "create" }
stock = "Stock"
supplier_id = { property = "Supplier", relation = "suppliers" }
"#;

/// A shop whose sides are equal, and what was typed and printed since.
struct Scene {
    desk: Desk,
    told: String,
}

impl Scene {
    async fn new() -> Self {
        let desk = Desk::with(SHOP).await;
        desk.configure(MAPPINGS);
        desk.json(0, &["schema", "apply", "--yes"]).await;
        // The second one knows the options that the first one made.
        desk.json(0, &["sync"]).await;
        desk.json(0, &["sync"]).await;
        Self { desk, told: String::new() }
    }

    /// Runs the program, which has to end with this code.
    async fn pagerow(&mut self, code: i32, command: &str) {
        let arguments: Vec<&str> = command.split(' ').collect();
        let ran = self.desk.run(&arguments).await;
        self.told.push_str(&format!("$ pagerow {command}\n"));
        let said = ran.err.lines().filter(|line| !is_progress(line));
        for line in ran.out.lines().chain(said) {
            self.told.push_str(&format!("{}\n", settled(line)));
        }
        if ran.code != 0 {
            self.told.push_str(&format!("[exit {}]\n", ran.code));
        }
        assert_eq!(ran.code, code, "{command}\n{}\n{}", self.told, ran.err);
    }

    async fn sql(&mut self, sql: &str) {
        self.told.push_str(&format!("$ psql -c \"{sql}\"\n"));
        self.desk.database.client().await.batch_execute(sql).await.unwrap();
    }

    /// A row as a person would ask for it.
    async fn row(&mut self, sql: &str) {
        self.told.push_str(&format!("$ psql -Atc \"{sql}\"\n"));
        let rows = self.desk.database.client().await.simple_query(sql).await.unwrap();
        for message in rows {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("")).collect();
                self.told.push_str(&format!("{}\n", cells.join("|")));
            }
        }
    }

    /// What somebody does in Notion.
    async fn notion(&mut self, says: &str, method: &str, path: &str, body: Json) {
        self.told.push_str(&format!("# in Notion: {says}\n"));
        self.desk.workspace.control(method, path, body).await;
    }

    async fn schema(&mut self, says: &str, title: &str, change: Json) {
        let path = format!("data_sources/{}", self.place(title).await.1);
        self.notion(says, "PATCH", &path, change).await;
    }

    /// The database and the data source of a title.
    async fn place(&self, title: &str) -> (String, String) {
        let workspace = self.desk.workspace.control("GET", "workspace", Json::Null).await;
        let databases = workspace["databases"].as_array().unwrap();
        let database = databases.iter().find(|database| database["title"] == title).unwrap();
        let id = |json: &Json| json["id"].as_str().unwrap().to_owned();
        (id(database), id(&database["data_sources"][0]))
    }

    /// What the page of this title shows.
    async fn shows(&mut self, title: &str, page: &str, property: &str) {
        let path = format!("data_sources/{}/rows?limit=100", self.place(title).await.1);
        let rows = self.desk.workspace.control("GET", &path, Json::Null).await;
        let rows = rows["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["values"]["Name"] == page).unwrap();
        let value = match &row["values"][property] {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.told.push_str(&format!("# the page \"{page}\" shows {property}: {value}\n"));
    }

    fn grep(&mut self, word: &str) {
        self.told.push_str(&format!("$ grep {word} pagerow.toml\n"));
        let file = std::fs::read_to_string(self.desk.file("pagerow.toml")).unwrap();
        for line in file.lines().filter(|line| line.contains(word)) {
            self.told.push_str(&format!("{}\n", settled(line)));
        }
    }

    /// An edit of another field crosses, whatever is paused.
    async fn the_rest_flows(&mut self, code: i32) {
        self.sql("UPDATE products SET stock = 90 WHERE id = 1").await;
        self.pagerow(code, "sync").await;
        self.shows("Products", "Product 1", "Stock").await;
    }
}

/// Lines about what is being done just now, and the log.
fn is_progress(line: &str) -> bool {
    let words = ["reading both schemas", "looking at", "comparing"];
    words.iter().any(|word| line.starts_with(word))
        || line.ends_with("by the rate limit")
        || line.starts_with("{\"timestamp\"")
}

/// A line without what differs from run to run: ids, hashes and times.
fn settled(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let hex = rest.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').count();
        if hex >= 32 {
            out.push('…');
            rest = &rest[hex..];
            continue;
        }
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()).max(1);
        let word =
            if rest.is_char_boundary(word) { word } else { rest.chars().next().map_or(1, char::len_utf8) };
        out.push_str(&rest[..word]);
        rest = &rest[word..];
    }
    // When it was is not what it is about either.
    if let Some(line) = out.strip_suffix(" ago") {
        let line = line.strip_suffix("less than a second").or_else(|| {
            line.strip_suffix(" s").map(|line| line.trim_end_matches(|c: char| c.is_ascii_digit()))
        });
        return format!("{}  a moment ago", line.unwrap_or_default().trim_end());
    }
    // How long it took is not what it is about.
    match out.split_once(" to Notion") {
        Some((before, after)) if before.contains("call") => {
            let verdict = after.split_once("; ").map_or("", |(_, verdict)| verdict);
            let run = before.split_once(": ").map_or(before, |(run, _)| run);
            let run = if run.starts_with("run ") { "run …" } else { run };
            if verdict.is_empty() { out } else { format!("{run}: {verdict}") }
        }
        _ => out,
    }
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drift.md")
}

/// Holds the document's transcript of this name against what was told; writes it where that is asked for.
fn hold(name: &str, told: &str) {
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = WRITING.lock().unwrap();
    let text = std::fs::read_to_string(document()).unwrap();
    let mark = format!("<!-- transcript: {name} -->\n```console\n");
    let begin =
        text.find(&mark).unwrap_or_else(|| panic!("docs/drift.md has no transcript {name}")) + mark.len();
    let end = begin + text[begin..].find("```").unwrap();
    if std::env::var_os("PAGEROW_WRITE_DOCS").is_some() {
        let text = format!("{}{told}{}", &text[..begin], &text[end..]);
        std::fs::write(document(), text).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], told, "docs/drift.md tells another story of {name}");
}

#[tokio::test]
async fn a_property_is_renamed() {
    let mut scene = Scene::new().await;
    let change = json!({"properties": {"Price": {"name": "Preis"}}});
    scene.schema("Price is renamed to Preis", "Products", change).await;
    scene.sql("UPDATE products SET price = 77 WHERE id = 1").await;
    scene.pagerow(0, "sync").await;
    scene.shows("Products", "Product 1", "Preis").await;
    scene.pagerow(0, "schema plan").await;
    scene.pagerow(0, "schema apply --yes").await;
    scene.grep("Preis");
    scene.pagerow(0, "sync").await;
    hold("property renamed", &scene.told);
}

#[tokio::test]
async fn a_column_is_renamed() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products RENAME price TO unit_price").await;
    scene.sql("UPDATE products SET unit_price = 77 WHERE id = 1").await;
    scene.pagerow(0, "sync").await;
    scene.shows("Products", "Product 1", "Price").await;
    scene.pagerow(0, "schema apply --yes").await;
    scene.grep("unit_price");
    scene.pagerow(0, "sync").await;
    hold("column renamed", &scene.told);
}

#[tokio::test]
async fn a_table_is_renamed() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products RENAME TO articles").await;
    scene.sql("UPDATE articles SET price = 77 WHERE id = 1").await;
    scene.pagerow(0, "sync").await;
    scene.pagerow(0, "schema apply --yes").await;
    scene.grep("table");
    scene.pagerow(0, "sync").await;
    hold("table renamed", &scene.told);
}

#[tokio::test]
async fn a_property_is_removed() {
    let mut scene = Scene::new().await;
    scene.schema("Price is removed", "Products", json!({"properties": {"Price": null}})).await;
    scene.pagerow(3, "plan").await;
    scene.the_rest_flows(3).await;
    scene.row("SELECT price FROM products WHERE id = 1").await;
    scene.pagerow(3, "status").await;
    scene.pagerow(3, "schema plan").await;
    let change = json!({"properties": {"Price": {"number": {}}}});
    scene.schema("Price is added again", "Products", change).await;
    scene.pagerow(0, "schema apply --yes").await;
    scene.pagerow(0, "sync").await;
    scene.shows("Products", "Product 1", "Price").await;
    scene.pagerow(0, "verify").await;
    hold("property removed", &scene.told);
}

#[tokio::test]
async fn a_property_is_retyped() {
    let mut scene = Scene::new().await;
    let change = json!({"properties": {"Price": {"rich_text": {}}}});
    scene.schema("Price becomes a text", "Products", change).await;
    scene.the_rest_flows(3).await;
    scene.pagerow(0, "schema plan").await;
    let change = json!({"properties": {"Price": {"number": {}}}});
    scene.schema("Price is a number again", "Products", change).await;
    scene.pagerow(0, "sync").await;
    hold("property retyped", &scene.told);
}

#[tokio::test]
async fn a_column_is_removed() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products DROP price").await;
    scene.the_rest_flows(3).await;
    scene.shows("Products", "Product 1", "Price").await;
    scene.pagerow(3, "schema plan").await;
    hold("column removed", &scene.told);
}

#[tokio::test]
async fn a_column_is_retyped() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products ALTER price TYPE text USING price || ' euro'").await;
    scene.the_rest_flows(3).await;
    scene.shows("Products", "Product 1", "Price").await;
    scene.sql("ALTER TABLE products ALTER price TYPE numeric USING split_part(price, ' ', 1)::numeric").await;
    scene.pagerow(0, "sync").await;
    hold("column retyped", &scene.told);
}

#[tokio::test]
async fn an_option_is_renamed() {
    let mut scene = Scene::new().await;
    let change = json!({"rename_options": {"Tier": {"gold": "Platinum"}}});
    scene.schema("the option gold is renamed to Platinum", "Suppliers", change).await;
    let change = json!({"rename_options": {"Stage": {"idea": "Backlog"}}});
    scene.schema("the option idea is renamed to Backlog", "Products", change).await;
    scene.pagerow(0, "sync --full").await;
    scene.pagerow(0, "schema plan").await;
    scene.pagerow(0, "schema apply --yes").await;
    scene.grep("tier");
    scene.pagerow(0, "sync").await;
    scene.row("SELECT tier FROM suppliers WHERE id = 1").await;
    scene.row("SELECT DISTINCT stage FROM products").await;
    hold("option renamed", &scene.told);
}

#[tokio::test]
async fn an_option_is_missing() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TYPE tier ADD VALUE 'bronze'").await;
    scene.sql("UPDATE suppliers SET tier = 'bronze' WHERE id = 1").await;
    scene.pagerow(3, "sync").await;
    scene.pagerow(3, "parked").await;
    let source = scene.place("Suppliers").await.1;
    let schema = scene.desk.workspace.api("GET", &format!("/v1/data_sources/{source}"), Json::Null).await;
    let options = schema["properties"]["Tier"]["select"]["options"].as_array().unwrap();
    let options: Vec<Json> =
        options.iter().map(|o| json!({"id": o["id"]})).chain([json!({"name": "bronze"})]).collect();
    let change = json!({"properties": {"Tier": {"select": {"options": options}}}});
    scene.schema("the option bronze is added to Tier", "Suppliers", change).await;
    scene.pagerow(0, "sync").await;
    scene.shows("Suppliers", "Acme", "Tier").await;
    hold("option missing", &scene.told);
}

#[tokio::test]
async fn a_relation_loses_its_target() {
    let mut scene = Scene::new().await;
    let database = scene.place("Suppliers").await.0;
    scene.notion("Suppliers is not shared any more", "POST", "unshare", json!({ "id": database })).await;
    scene.the_rest_flows(3).await;
    scene.pagerow(3, "schema plan").await;
    scene.notion("Suppliers is shared again", "POST", "share", json!({ "id": database })).await;
    scene.pagerow(0, "sync").await;
    scene.pagerow(0, "verify").await;
    hold("relation target unshared", &scene.told);
}

#[tokio::test]
async fn a_data_source_is_put_in_the_trash() {
    let mut scene = Scene::new().await;
    let database = scene.place("Suppliers").await.0;
    let path = format!("databases/{database}/trash");
    scene.notion("Suppliers is put in the trash", "POST", &path, json!({})).await;
    scene.the_rest_flows(3).await;
    scene.row("SELECT count(*) FROM suppliers").await;
    let path = format!("databases/{database}/restore");
    scene.notion("Suppliers is restored", "POST", &path, json!({})).await;
    scene.pagerow(0, "sync").await;
    scene.pagerow(0, "verify").await;
    hold("data source trashed", &scene.told);
}

#[tokio::test]
async fn a_table_is_dropped() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products DROP CONSTRAINT products_supplier_id_fkey").await;
    scene.sql("DROP TABLE suppliers").await;
    scene.the_rest_flows(3).await;
    scene.shows("Suppliers", "Acme", "Tier").await;
    scene.pagerow(3, "status").await;
    scene.pagerow(3, "schema plan").await;
    hold("table dropped", &scene.told);
}

#[tokio::test]
async fn a_column_and_a_property_are_added() {
    let mut scene = Scene::new().await;
    scene.sql("ALTER TABLE products ADD colour text").await;
    scene.schema("Weight is added", "Products", json!({"properties": {"Weight": {"number": {}}}})).await;
    scene.the_rest_flows(0).await;
    scene.pagerow(0, "schema plan").await;
    hold("column added", &scene.told);
}
