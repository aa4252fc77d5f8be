//! What the demo plays on: a Postgres with a small business in it, a Notion in a box, and the configuration of both.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use notion_emulator::{Emulator, StartError};

use crate::{
    cli::{
        console::{Console, to_stderr},
        error::CliError,
    },
    config::FILE_NAME,
    devpg::{DevOptions, DevPostgres, DevPostgresError},
};

const BUSINESS: &str = include_str!("business.sql");
const CONFIGURATION: &str = include_str!("pagerow.toml");
const DATABASE: &str = "business";
/// Where the emulator listens when nobody says otherwise and nobody else does.
const USUAL_PORT: u16 = 8090;

/// Everything that was put up; it goes with this value, unless it is to be kept.
pub(super) struct Stage {
    postgres: DevPostgres,
    notion: Emulator,
    pub(super) database_url: String,
    /// The configuration's file.
    pub(super) config: PathBuf,
    keeps: bool,
}

impl Stage {
    /// Starts both sides and fills the Postgres, unless an earlier demo did so in the same folder.
    ///
    /// # Errors
    /// What could not be started or written.
    pub(super) async fn set(
        listen: Option<SocketAddr>,
        keep: Option<PathBuf>,
        console: &Console,
    ) -> Result<Self, CliError> {
        let keeps = keep.is_some();
        let progress: fn(&str) = if console.tells_progress() { to_stderr } else { |_| () };
        let options = DevOptions { durable: keeps, folder: keep, progress, ..DevOptions::default() };
        let postgres = DevPostgres::start(options).await.map_err(|error| no_postgres(&error))?;
        // The folder of a temporary server goes when the server stops, also after a kill: everything lies in it.
        let folder = postgres.folder().to_owned();
        let database_url = postgres.url(DATABASE);
        postgres.create_database(DATABASE).await.map_err(|error| no_postgres(&error))?;
        fill(&database_url).await.map_err(|error| CliError::from(error).advise("try again"))?;

        let state = keeps.then(|| folder.join("notion.json"));
        let notion = start_notion(listen, state).await?;
        let environment = [
            ("DATABASE_URL", database_url.as_str()),
            ("NOTION_API_KEY", notion.token()),
            ("NOTION_BASE_URL", &notion.base_url()),
            ("NOTION_PARENT_PAGE", notion.parent_page_id()),
        ];
        let environment: String =
            environment.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
        write_private(&folder.join(".env"), &environment)?;
        let config = folder.join(FILE_NAME);
        // A kept one holds the ids of the databases that were made, and perhaps what its owner wrote.
        if !config.exists() {
            write_private(&config, CONFIGURATION)?;
        }
        Ok(Self { postgres, notion, database_url, config, keeps })
    }

    pub(super) fn notion(&self) -> &Emulator {
        &self.notion
    }

    /// What is running on the Postgres side, for a person.
    pub(super) fn postgres(&self) -> String {
        self.postgres.description()
    }

    /// How `psql` is called: by its name where the search path has it, else by its path; nothing where it is missing.
    pub(super) fn psql(&self) -> Option<String> {
        let on_path = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("psql").is_file()));
        if on_path {
            return Some("psql".to_owned());
        }
        self.postgres.program("psql").map(|path| path.display().to_string())
    }

    /// The folder that stays, if one does.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.keeps.then(|| self.postgres.folder())
    }

    /// Saves the Notion side where it is to be kept: a kill would otherwise take back what Postgres remembers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn save(&self) -> Result<(), CliError> {
        if self.keeps { self.notion.save().map_err(|error| no_notion(&error)) } else { Ok(()) }
    }

    /// Stops both sides; what is not kept is gone afterwards.
    ///
    /// # Errors
    /// What did not stop, or could not be saved.
    pub(super) async fn clear(self) -> Result<(), CliError> {
        let stopped = self.notion.stop().await.map_err(|error| no_notion(&error));
        let postgres = self.postgres;
        let ended = tokio::task::spawn_blocking(move || postgres.stop()).await;
        stopped?;
        match ended {
            Ok(result) => result.map_err(|error| no_postgres(&error)),
            Err(error) => Err(CliError::io("Postgres was not stopped", &error.into())),
        }
    }
}

/// Makes the tables and their rows, all or nothing, where they are not there yet.
async fn fill(url: &str) -> Result<(), crate::postgres::PostgresError> {
    use crate::postgres::{ConnectionString, Database};
    let database = Database::connect(&ConnectionString::parse(url)?).await?;
    let session = database.session().await?;
    let there = session.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1", &[]).await?;
    if there.is_empty() {
        session.batch(&format!("BEGIN;\n{BUSINESS}\nCOMMIT;")).await?;
    }
    drop(session);
    database.close();
    Ok(())
}

async fn start_notion(listen: Option<SocketAddr>, state: Option<PathBuf>) -> Result<Emulator, CliError> {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    let options = notion_emulator::Options {
        listen: listen.unwrap_or(usual),
        state,
        // Every table is looked at twice a second, which the real one would not allow.
        requests_per_minute: None,
        token: None,
    };
    match Emulator::start(options.clone()).await {
        Err(StartError::Listen { .. }) if listen.is_none() => {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let options = notion_emulator::Options { listen: anywhere, ..options };
            Emulator::start(options).await.map_err(|error| no_notion(&error))
        }
        result => result.map_err(|error| no_notion(&error)),
    }
}

/// A file that only its owner may read: it holds, or may come to hold, secrets.
fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CliError::io(&format!("{} cannot be written", path.display()), &error))
}

fn no_postgres(error: &DevPostgresError) -> CliError {
    CliError::io("the demo's Postgres", &std::io::Error::other(error.to_string()))
}

fn no_notion(error: &StartError) -> CliError {
    let told = CliError::io("the demo's Notion", &std::io::Error::other(error.to_string()));
    match error {
        StartError::Listen { .. } => told.about("--listen").advise("name another address with --listen"),
        StartError::State { .. } => told,
    }
}
