//! How does a test run the program itself? In a folder of its own, with a configuration and nothing else around it.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value as Json;
use tokio::process::Command;

use super::notion::Workspace;
use super::postgres::TestDatabase;

/// A folder with a `pagerow.toml`, the two sides that it names, and the program to run in it.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub database: TestDatabase,
    pub workspace: Workspace,
    /// What the configuration's references stand for.
    pub environment: Vec<(String, String)>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// A database with these tables and an empty workspace. There is no configuration yet.
    pub async fn with(sql: &str) -> Self {
        let database = TestDatabase::with(sql).await;
        let workspace = Workspace::start().await;
        let environment = vec![
            ("DATABASE_URL".to_owned(), database.url.clone()),
            ("NOTION_API_KEY".to_owned(), workspace.emulator.token().to_owned()),
            ("NOTION_PARENT_PAGE".to_owned(), workspace.emulator.parent_page_id().to_owned()),
            ("PAGEROW__NOTION__BASE_URL".to_owned(), workspace.emulator.base_url()),
            ("PAGEROW__NOTION__REQUESTS_PER_MINUTE".to_owned(), "60000000".to_owned()),
        ];
        Self { folder: tempfile::tempdir().unwrap(), database, workspace, environment }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration.
    pub fn configure(&self, mappings: &str) {
        let head = "[postgres]\nurl = \"env:DATABASE_URL\"\n\n[notion]\ntoken = \"env:NOTION_API_KEY\"\n\n";
        std::fs::write(self.file("pagerow.toml"), format!("{head}{mappings}")).unwrap();
    }

    /// Sets a variable for the runs that follow.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagerow"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().await.unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the program, which has to end with this code, and reads its answer.
    pub async fn json(&self, code: i32, arguments: &[&str]) -> Json {
        let ran = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert_eq!(ran.err, "", "{arguments:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Runs the program, which has to fail with this code, and reads its error.
    pub async fn fails(&self, code: i32, arguments: &[&str]) -> Json {
        let ran = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
        let json: Json = serde_json::from_str(&ran.err).unwrap_or_default();
        assert!(json["error"].is_object(), "{arguments:?}: {ran:?}");
        for member in ["kind", "message", "file", "line", "key", "suggestion", "advice"] {
            assert!(json["error"].as_object().unwrap().contains_key(member), "{member}: {json}");
        }
        json["error"].clone()
    }
}
