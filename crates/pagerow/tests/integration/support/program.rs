//! The program itself, as users start it, and the Notion side as a person edits it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

/// The `pagerow` that was built with these tests, without the settings of whoever runs them.
pub fn pagerow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagerow"));
    for (name, _) in std::env::vars() {
        if name.starts_with("PAGEROW") || name.starts_with("NOTION_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What one command answered.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Standard output as one piece of JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Runs a command to its end, without holding the test's other tasks up.
pub async fn run(mut command: Command) -> Answer {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// So long something that has to come is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a command, and kills it when a moment has come.
pub async fn killed_when(mut command: Command, mut has_come: impl AsyncFnMut() -> bool) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !has_come().await {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early to be killed");
        assert!(Instant::now() < deadline, "the moment never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.start_kill().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), None);
}

/// A program that runs until it is told to stop; killed when the test is over.
pub struct Running {
    child: Child,
    /// Lines of standard output, as JSON.
    lines: Receiver<Json>,
    /// Lines of standard error so far.
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts it and returns with its first line.
    pub fn start(mut command: Command) -> (Self, Json) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let json = serde_json::from_str(&line.unwrap()).unwrap();
                if send.send(json).is_err() {
                    break;
                }
            }
        });
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = said.clone();
        std::thread::spawn(move || {
            // What a killed program had begun to say may be cut off in the middle of a letter.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                hears.lock().unwrap().push(line);
            }
        });
        let running = Self { child, lines, said };
        match running.lines.recv_timeout(Duration::from_secs(120)) {
            Ok(ready) => (running, ready),
            Err(_) => {
                running.signal("KILL");
                panic!("it did not become ready: {:?}", running.said());
            }
        }
    }

    /// The next line that is as wanted; others are passed over.
    pub fn line(&self, what: &str, patience: Duration, wanted: impl Fn(&Json) -> bool) -> Json {
        let deadline = Instant::now() + patience;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => others.push(line.to_string()),
                Err(_) => panic!("no line within {patience:?}: {what}; there were {others:#?}"),
            }
        }
    }

    /// What it said on standard error so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for the end.
    pub fn wait(mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end within {patience:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The emulator's controls: what people do in Notion.
#[derive(Clone)]
pub struct People {
    http: reqwest::Client,
    base: String,
}

impl People {
    pub fn of(base_url: &str) -> Self {
        Self { http: reqwest::Client::new(), base: format!("{base_url}/_emulator") }
    }

    pub async fn call(&self, method: &str, path: &str, body: Json) -> Json {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method.clone(), format!("{}/{path}", self.base));
        if method != reqwest::Method::GET {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The data source with this title.
    pub async fn data_source(&self, title: &str) -> String {
        let workspace = self.call("GET", "workspace", json!({})).await;
        let databases = workspace["databases"].as_array().unwrap();
        let found = databases
            .iter()
            .flat_map(|database| database["data_sources"].as_array().unwrap())
            .find(|source| source["title"] == title);
        found.unwrap_or_else(|| panic!("no data source {title}: {workspace}"))["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Live pages, or those in the trash: `{id, values: {property: …}}`.
    pub async fn pages(&self, data_source: &str, trash: bool) -> Vec<Json> {
        let mut pages = Vec::new();
        loop {
            let offset = pages.len();
            let path = format!("data_sources/{data_source}/rows?limit=1000&trash={trash}&offset={offset}");
            let answer = self.call("GET", &path, json!({})).await;
            let rows = answer["rows"].as_array().unwrap();
            pages.extend(rows.iter().cloned());
            if rows.is_empty() {
                return pages;
            }
        }
    }

    pub async fn edit(&self, page: &str, properties: Json) {
        self.call("PATCH", &format!("pages/{page}"), json!({ "properties": properties })).await;
    }

    pub async fn add(&self, data_source: &str, properties: Json) -> String {
        let body = json!({ "data_source_id": data_source, "properties": properties });
        self.call("POST", "pages", body).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn trash(&self, page: &str) {
        self.call("POST", &format!("pages/{page}/trash"), json!({})).await;
    }
}

/// A `pagerow` command with a configuration.
pub fn with_config(arguments: &[&str], config: &Path) -> Command {
    let mut command = pagerow();
    command.args(arguments).arg("--config").arg(config);
    command
}
