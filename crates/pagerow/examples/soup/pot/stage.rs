//! The parts: a Postgres that can crash, a pooler perhaps, the emulator in a process of its own, and the configuration.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use pagerow::devpg::{DevOptions, DevPostgres};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::{Mutex, RwLock},
};
use tokio_postgres::{Client, NoTls};

use super::{
    Program, Recipe,
    cell::{MAPPINGS, SCHEMA, TABLES},
    pooler::Pooler,
};

const DATABASE: &str = "soup";
/// How long a page that was not found may still turn up. Lag and late writes stay below it.
pub(crate) const DOUBT: Duration = Duration::from_secs(5);
/// How long `pagerow` waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Everything that is there beside `pagerow`.
#[derive(Debug)]
pub(crate) struct Stage {
    program: Program,
    folder: tempfile::TempDir,
    /// `None` while it is down.
    postgres: Mutex<Option<DevPostgres>>,
    options: DevOptions,
    description: String,
    url: String,
    _pooler: Option<Pooler>,
    emulator: Child,
    base_url: String,
    http: reqwest::Client,
    began: Instant,
    /// Held for reading by people while they write; for writing by whoever takes the server away.
    pub(crate) people: RwLock<()>,
}

impl Stage {
    /// Starts everything and makes the databases in Notion; rows are there, pages are not.
    pub(crate) async fn build(recipe: &Recipe) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pagerow-soup").tempdir_in("/tmp")?;
        // A crash of the server must lose nothing that it promised.
        let options = DevOptions {
            folder: Some(folder.path().join("postgres")),
            durable: true,
            ..DevOptions::default()
        };
        let postgres = DevPostgres::start(options.clone()).await?;
        postgres.create_database(DATABASE).await?;
        let pooler = if recipe.pooled {
            let files = folder.path().join("pooler");
            std::fs::create_dir(&files)?;
            // The pooler's own user has to get there.
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.path(), open)?;
            Some(Pooler::start(&files, postgres.port(), postgres.password())?)
        } else {
            None
        };
        let url = postgres.url(DATABASE);
        let pooled_url = match &pooler {
            Some(pooler) => url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", pooler.port)),
            None => url.clone(),
        };

        let mut command = start(
            &recipe.program,
            &["emulator", "--listen", "127.0.0.1:0", "--requests-per-minute", "0", "--json"],
        );
        let mut emulator = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(emulator.stdout.take().context("no output of the emulator")?).lines();
        let ready: Json =
            serde_json::from_str(&lines.next_line().await?.context("the emulator did not start")?)?;
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();

        let (doubt, timeout) = (DOUBT.as_secs(), TIMEOUT.as_secs());
        let config = format!(
            "[postgres]\nurl = \"env:DATABASE_URL\"\n[notion]\ntoken = \"env:NOTION_API_KEY\"\n\
             base_url = \"{}\"\nrequests_per_minute = 1000000\ndoubt = \"{doubt}s\"\ntimeout = \"{timeout}s\"\n\
             [sync]\nparent_page = \"env:NOTION_PARENT_PAGE\"\nsweep_interval = \"3s\"\ncompare_interval = \"20s\"\n\
             {MAPPINGS}",
            text("base_url")
        );
        std::fs::write(folder.path().join("pagerow.toml"), config)?;
        let variables = format!(
            "DATABASE_URL='{pooled_url}'\nNOTION_API_KEY={}\nNOTION_PARENT_PAGE={}\n",
            text("token"),
            text("parent_page_id")
        );
        std::fs::write(folder.path().join(".env"), variables)?;

        let description =
            format!("{}{}", postgres.description(), if pooler.is_some() { ", pgbouncer" } else { "" });
        let stage = Self {
            program: recipe.program.clone(),
            folder,
            postgres: Mutex::new(Some(postgres)),
            options,
            description,
            url,
            _pooler: pooler,
            emulator,
            base_url: text("base_url"),
            http: reqwest::Client::builder().no_proxy().build()?,
            began: Instant::now(),
            people: RwLock::default(),
        };
        let client = stage.client().await?;
        client.batch_execute(SCHEMA).await?;
        let fill = format!(
            "INSERT INTO teams (name, motto) SELECT 'Team ' || n, 'Motto ' || n FROM generate_series(1, 8) n;
             INSERT INTO items (name, note, mood, team_id) SELECT 'Item ' || n, 'Note ' || n, 'calm', 1 + n % 8 FROM generate_series(1, {}) n;
             INSERT INTO tickets (title, item_id) SELECT 'Ticket ' || n, 1 + n % 20 FROM generate_series(1, 30) n",
            recipe.records
        );
        client.batch_execute(&fill).await?;
        stage.control("POST", "history", &json!({})).await?;
        let made = stage.pagerow(&["schema", "apply", "--yes"]).output().await?;
        if !made.status.success() {
            bail!("the databases could not be made: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(stage)
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// `pagerow` with these arguments; killed when it is dropped.
    pub(crate) fn pagerow<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = start(&self.program, arguments);
        command.arg("--config").arg(self.folder.path().join("pagerow.toml"));
        command
    }

    /// A place for what a process says.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    // ---- Postgres ----

    /// A connection past the pooler, as the application has one.
    pub(crate) async fn client(&self) -> Result<Client> {
        let url = format!("{}?application_name=people", self.url);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The server ends as in a crash, stays away for a while, and comes back.
    pub(crate) async fn crash_postgres(&self, away: Duration) -> Result<()> {
        let _nobody_writes = self.people.write().await;
        let mut postgres = self.postgres.lock().await;
        let Some(running) = postgres.take() else { return Ok(()) };
        let pid_file = running.folder().join("data").join("postmaster.pid");
        let pid = std::fs::read_to_string(&pid_file)?;
        let pid: i32 = pid.lines().next().context("no process id")?.trim().parse()?;
        let pid = rustix::process::Pid::from_raw(pid).context("no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT)?;
        tokio::task::spawn_blocking(move || drop(running)).await?;
        tokio::time::sleep(away).await;
        let port =
            self.url.rsplit_once(':').map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned());
        let again = DevPostgres::start(self.options.clone()).await?;
        if Some(again.port().to_string()) != port {
            bail!("the server came back on another port");
        }
        *postgres = Some(again);
        Ok(())
    }

    // ---- Notion ----

    /// One of the emulator's controls, which must succeed.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &Json) -> Result<Json> {
        let (status, json) = self.try_control(method, path, body).await?;
        if status != 200 {
            bail!("{method} {path}: {status} {json}");
        }
        Ok(json)
    }

    /// One of the emulator's controls, with the answer's status.
    pub(crate) async fn try_control(&self, method: &str, path: &str, body: &Json) -> Result<(u16, Json)> {
        let verb = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.http.request(verb, format!("{}/_emulator/{path}", self.base_url));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?)?))
    }

    /// The data sources by table.
    pub(crate) async fn sources(&self) -> Result<Vec<(&'static str, String)>> {
        let workspace = self.control("GET", "workspace", &Json::Null).await?;
        let databases = workspace["databases"].as_array().context("no databases")?;
        let mut sources = Vec::new();
        for table in &TABLES {
            let found = databases.iter().find(|database| database["title"] == table.source);
            let id = found.and_then(|database| database["data_sources"][0]["id"].as_str());
            sources.push((table.name, id.with_context(|| format!("no {}", table.source))?.to_owned()));
        }
        Ok(sources)
    }

    /// All pages of a data source, live or in the trash.
    pub(crate) async fn pages(&self, source: &str, trash: bool) -> Result<Vec<Json>> {
        let mut pages = Vec::new();
        loop {
            let path = format!("data_sources/{source}/rows?limit=1000&trash={trash}&offset={}", pages.len());
            let answer = self.control("GET", &path, &Json::Null).await?;
            let rows = answer["rows"].as_array().context("no rows")?;
            pages.extend(rows.iter().cloned());
            if rows.is_empty() {
                return Ok(pages);
            }
        }
    }

    pub(crate) async fn clear(mut self, keep: bool) -> Result<()> {
        self.emulator.kill().await?;
        let postgres = self.postgres.into_inner();
        tokio::task::spawn_blocking(move || drop(postgres)).await?;
        if keep {
            tracing::info!(folder = %self.folder.path().display(), "kept");
            // Left where it is, for whoever wants to look.
            drop(self.folder.keep());
        }
        Ok(())
    }
}

fn start<S: AsRef<OsStr>>(program: &Program, arguments: &[S]) -> Command {
    let mut command = Command::new(&program.path);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars() {
        if name.starts_with("PAGEROW") || name.starts_with("NOTION_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command
}
