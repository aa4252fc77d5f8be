//! Does the demo come up, carry edits both ways within two seconds, and leave nothing behind?

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tokio_postgres::Client;

use crate::support::{
    postgres::{eventually, plain_client},
    program::{People, Running, pagerow, run, with_config},
};

/// What is promised.
const SOON: Duration = Duration::from_secs(2);
/// What a machine that builds and tests other things beside this may take, before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

struct Demo {
    running: Running,
    ready: Json,
    people: People,
    sql: Client,
}

impl Demo {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = pagerow();
        command.args(["demo", "--json", "--listen", "127.0.0.1:0"]).args(arguments);
        let (running, ready) = tokio::task::spawn_blocking(|| Running::start(command)).await.unwrap();
        let people = People::of(ready["notion_base_url"].as_str().unwrap());
        let sql = plain_client(ready["database_url"].as_str().unwrap()).await;
        Self { running, ready, people, sql }
    }

    fn config(&self) -> PathBuf {
        PathBuf::from(self.ready["config"].as_str().unwrap())
    }

    async fn server_process(&self) -> u32 {
        let data: String = self.sql.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
        let text = std::fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// The page whose title property holds this.
    async fn page(&self, data_source: &str, property: &str, title: &str) -> Json {
        let pages = self.people.pages(data_source, false).await;
        let found = pages.iter().find(|page| page["values"][property] == title);
        found.unwrap_or_else(|| panic!("no page {title} in {pages:?}")).clone()
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let row = self.sql.query_opt(sql, &[]).await.unwrap();
        row.and_then(|row| row.get::<_, Option<String>>(0))
    }

    /// A change that the program told, by what it says.
    fn told(&self, to: &str, mapping: &str, action: &str) -> Json {
        self.running.line(&format!("{action} of {mapping} to {to}"), PATIENCE, |line| {
            line["to"] == to && line["mapping"] == mapping && line["action"] == action
        })
    }

    async fn stop(self) {
        self.running.signal("TERM");
        let running = self.running;
        let status = tokio::task::spawn_blocking(|| running.wait(PATIENCE)).await.unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

/// How long until `condition` holds.
async fn until(what: &str, condition: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    eventually(what, PATIENCE, condition).await;
    began.elapsed()
}

fn process_exists(pid: u32) -> bool {
    Command::new("kill")
        .args(["-0", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[tokio::test]
async fn edits_cross_both_ways_within_two_seconds() {
    let demo = Demo::start(&[]).await;
    let (products, orders) =
        (demo.people.data_source("Products").await, demo.people.data_source("Orders").await);
    let (mut to_notion, mut to_postgres) = (Vec::new(), Vec::new());
    for (price, status) in [("19.90", "confirmed"), ("20.15", "shipped"), ("17.00", "delivered")] {
        let update = format!("UPDATE products SET price = {price} WHERE id = 1");
        demo.sql.batch_execute(&update).await.unwrap();
        let expected: f64 = price.parse().unwrap();
        to_notion.push(
            until("the new price is in Notion", async || {
                let page = demo.page(&products, "Name", "House Blend 1 kg").await;
                page["values"]["Price"].as_f64() == Some(expected)
            })
            .await,
        );
        let order = demo.page(&orders, "Customer", "Museum Café").await;
        demo.people.edit(order["id"].as_str().unwrap(), json!({ "Status": status })).await;
        to_postgres.push(
            until("the new status is in Postgres", async || {
                demo.text("SELECT status::text FROM orders WHERE id = 1005").await.as_deref() == Some(status)
            })
            .await,
        );
        let line = demo.told("notion", "products", "update");
        assert_eq!(line["title"], "House Blend 1 kg");
        assert_eq!(line["key"], "1");
        assert_eq!(line["fields"]["price"]["after"].as_f64(), Some(expected));
        assert!(line["within_seconds"].as_f64().unwrap() > 0.0);
        let line = demo.told("postgres", "orders", "update");
        assert_eq!(
            (&line["title"], &line["fields"]["status"]["after"]),
            (&json!("Museum Café"), &json!(status))
        );
    }
    for mut times in [to_notion, to_postgres] {
        times.sort();
        assert!(times[1] < SOON, "the median of {times:?} is not within {SOON:?}");
    }
    demo.stop().await;
}

#[tokio::test]
async fn records_come_and_go_on_both_sides() {
    let demo = Demo::start(&[]).await;
    let (products, lines) =
        (demo.people.data_source("Products").await, demo.people.data_source("Order Lines").await);

    // A row becomes a page, with its relation.
    demo.sql
        .batch_execute("INSERT INTO products (name, supplier_id, category) VALUES ('Oolong', 3, 'tea')")
        .await
        .unwrap();
    until("the row has its page", async || {
        let pages = demo.people.pages(&products, false).await;
        pages.iter().any(|page| {
            page["values"]["Name"] == "Oolong" && page["values"]["Supplier"][0]["title"] == "Cascade Tea"
        })
    })
    .await;

    // A page becomes a row; what the database fills in comes back to the page.
    let cocoa = demo.people.add(&products, json!({ "Name": "Cocoa", "Category": "tea", "Price": 8.5 })).await;
    until("the page has its row", async || {
        demo.text("SELECT price::text FROM products WHERE name = 'Cocoa'").await.as_deref() == Some("8.50")
    })
    .await;
    until("the row's default is on the page", async || {
        demo.page(&products, "Name", "Cocoa").await["values"]["Stock"] == 0
    })
    .await;
    assert_eq!(
        demo.text("SELECT count(*)::text FROM products WHERE name = 'Cocoa'").await.as_deref(),
        Some("1")
    );

    // A deleted row puts its page in the trash.
    demo.sql.batch_execute("DELETE FROM order_lines WHERE id = 10").await.unwrap();
    until("the page is in the trash", async || {
        let trash = demo.people.pages(&lines, true).await;
        trash.iter().any(|page| page["values"]["Item"] == "Sencha for Hotel Bellevue")
    })
    .await;
    demo.told("notion", "order_lines", "trash");

    // A page in the trash marks its row, which stays.
    demo.people.trash(&cocoa).await;
    until("the row is marked as deleted", async || {
        demo.text("SELECT deleted_at::text FROM products WHERE name = 'Cocoa'").await.is_some()
    })
    .await;

    // Out of the trash again, it has its old row again.
    demo.people.call("POST", &format!("pages/{cocoa}/restore"), json!({})).await;
    until("the row is no longer marked", async || {
        let sql = "SELECT count(*)::text FROM products WHERE name = 'Cocoa' AND deleted_at IS NULL";
        demo.text(sql).await.as_deref() == Some("1")
    })
    .await;
    demo.told("postgres", "products", "restore");
    // What it holds has to be seen once more before an edit can be told from what was there.
    until("nothing is pending", async || {
        let status = run(with_config(&["status", "--json"], &demo.config())).await.json();
        let mut mappings = status["mappings"].as_array().unwrap().iter();
        mappings.any(|mapping| mapping["mapping"] == "products" && mapping["pending"] == 0)
    })
    .await;
    demo.people.edit(&cocoa, json!({ "Price": 9 })).await;
    until("its edits cross again", async || {
        let sql = "SELECT string_agg(price::text, ' ') FROM products WHERE name = 'Cocoa'";
        demo.text(sql).await.as_deref() == Some("9.00")
    })
    .await;

    // Other commands take the configuration, and find both sides equal.
    let verdict = run(with_config(&["verify", "--json"], &demo.config())).await;
    assert_eq!(verdict.json()["equal"], true, "{}", verdict.stdout);
    demo.stop().await;
}

#[tokio::test]
async fn trouble_is_told_and_the_demo_goes_on() {
    let demo = Demo::start(&[]).await;
    let products = demo.people.data_source("Products").await;
    let token = format!("tokens/{}", demo.ready["notion_token"].as_str().unwrap());
    demo.people.call("PATCH", &token, json!({ "revoked": true })).await;
    demo.sql.batch_execute("UPDATE products SET stock = 7 WHERE id = 2").await.unwrap();
    eventually("the wrong token is told", PATIENCE, async || {
        demo.running.said().iter().any(|line| line.contains("wrong_token"))
    })
    .await;
    // A record that cannot be written as it is holds nobody else up.
    demo.people.call("PATCH", &token, json!({ "revoked": false })).await;
    let page = demo.page(&products, "Name", "Burr Grinder G1").await;
    demo.people.edit(page["id"].as_str().unwrap(), json!({ "Stock": -1.5 })).await;
    until("the edit has crossed", async || {
        demo.page(&products, "Name", "Espresso Forte 1 kg").await["values"]["Stock"] == 7
    })
    .await;
    let waits = demo.running.line("the record that waits", PATIENCE, |line| line.get("parked").is_some());
    assert_eq!(
        (&waits["parked"]["mapping"], &waits["parked"]["column"]),
        (&json!("products"), &json!("stock"))
    );
    demo.stop().await;
}

#[tokio::test]
async fn an_emptied_table_is_stopped_and_the_others_go_on() {
    let demo = Demo::start(&[]).await;
    let (products, lines) =
        (demo.people.data_source("Products").await, demo.people.data_source("Order Lines").await);
    let pages = demo.people.pages(&lines, false).await.len();
    demo.sql.batch_execute("TRUNCATE order_lines").await.unwrap();
    eventually("the guard's stop is told", PATIENCE, async || {
        demo.running.said().iter().any(|line| line.contains("\"guard\""))
    })
    .await;
    demo.sql.batch_execute("UPDATE products SET stock = 8 WHERE id = 2").await.unwrap();
    until("the others are kept equal", async || {
        demo.page(&products, "Name", "Espresso Forte 1 kg").await["values"]["Stock"] == 8
    })
    .await;
    assert_eq!(demo.people.pages(&lines, false).await.len(), pages);
    demo.stop().await;
}

#[tokio::test]
async fn a_stop_leaves_neither_process_nor_folder() {
    let demo = Demo::start(&[]).await;
    let (server, folder) = (demo.server_process().await, demo.config().parent().unwrap().to_owned());
    assert!(process_exists(server) && folder.exists());
    demo.stop().await;
    assert!(!process_exists(server));
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_kill_leaves_neither_process_nor_folder() {
    let demo = Demo::start(&[]).await;
    let (server, folder) = (demo.server_process().await, demo.config().parent().unwrap().to_owned());
    demo.running.signal("KILL");
    eventually("the server is gone", PATIENCE, async || !process_exists(server)).await;
    eventually("the folder is gone", PATIENCE, async || !folder.exists()).await;
}

#[tokio::test]
async fn a_kept_demo_goes_on_where_it_was() {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(permissions).tempdir_in("/tmp").unwrap();
    let keep = ["--keep", folder.path().to_str().unwrap()];
    let demo = Demo::start(&keep).await;
    demo.sql.batch_execute("UPDATE suppliers SET notes = 'kept' WHERE id = 2").await.unwrap();
    demo.told("notion", "suppliers", "update");
    let suppliers = demo.people.data_source("Suppliers").await;
    let pages = demo.people.pages(&suppliers, false).await.len();
    demo.stop().await;

    let demo = Demo::start(&keep).await;
    assert_eq!(demo.text("SELECT notes FROM suppliers WHERE id = 2").await.as_deref(), Some("kept"));
    let again = demo.people.pages(&suppliers, false).await;
    assert_eq!(again.len(), pages);
    assert!(again.iter().any(|page| page["values"]["Notes"] == "kept"));
    let verdict = run(with_config(&["verify", "--json"], &demo.config())).await;
    assert_eq!(verdict.json()["equal"], true, "{}", verdict.stdout);
    demo.stop().await;
}
