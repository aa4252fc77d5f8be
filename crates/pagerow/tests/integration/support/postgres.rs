//! How does a test get a database of its own? From one server for all tests of this program, in milliseconds.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pagerow::devpg::{DevOptions, DevPostgres};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

static SERVER: OnceLock<DevPostgres> = OnceLock::new();
static TEMPLATES: Mutex<Vec<String>> = Mutex::const_new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

/// The server that all tests share. It goes, with its folder, when this program ends.
pub fn server() -> &'static DevPostgres {
    SERVER.get_or_init(|| DevPostgres::start_blocking(&DevOptions::default()).unwrap())
}

/// A database of its own for one test; dropped with this value.
pub struct TestDatabase {
    pub name: String,
    pub url: String,
}

impl TestDatabase {
    /// An empty database.
    pub async fn empty() -> Self {
        let name = unused_name();
        server().create_database(&name).await.unwrap();
        Self::named(name)
    }

    /// A database in which `sql` has been run. The same `sql` is run once for all tests, and copied.
    pub async fn with(sql: &str) -> Self {
        let template = template(sql).await;
        let name = unused_name();
        server().copy_database(&template, &name).await.unwrap();
        Self::named(name)
    }

    fn named(name: String) -> Self {
        let url = server().url(&name);
        Self { name, url }
    }

    /// A plain connection as the superuser, to prepare and to look.
    pub async fn client(&self) -> Client {
        plain_client(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A runtime of its own: the test's may be about to end, and dropping is not async.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server().drop_database(&name))
        })
        .join();
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}

pub async fn plain_client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The SQL of the Northwind sample, when the folder of sample data lies beside the workspace.
pub fn northwind() -> Option<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/northwind.sql");
    match std::fs::read_to_string(&file) {
        Ok(sql) => Some(sql),
        Err(error) => {
            eprintln!("NOT CHECKED: the Northwind sample is not beside the workspace ({error})");
            None
        }
    }
}

/// Waits until `condition` holds; fails the test when it does not within `patience`.
pub async fn eventually(what: &str, patience: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn template(sql: &str) -> String {
    let mut templates = TEMPLATES.lock().await;
    if let Some(place) = templates.iter().position(|known| known == sql) {
        return format!("template_{place}");
    }
    let name = format!("template_{}", templates.len());
    server().create_database(&name).await.unwrap();
    let client = plain_client(&server().url(&name)).await;
    client.batch_execute(sql).await.unwrap();
    // A database that somebody is connected to cannot be copied; this connection ends only some time after its client.
    drop(client);
    let watcher = plain_client(&server().url("postgres")).await;
    eventually("the template has no connection", Duration::from_secs(10), async || {
        let busy = watcher
            .query_one("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", &[&name])
            .await
            .unwrap();
        busy.get::<_, i64>(0) == 0
    })
    .await;
    templates.push(sql.to_owned());
    name
}

fn unused_name() -> String {
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
