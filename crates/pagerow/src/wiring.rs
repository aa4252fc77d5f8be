//! Puts the parts together for one configuration: database, Notion, store and engine. Commands and daemons start here.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;

use crate::{
    clock::Clock,
    config::{Config, ConfigErrors},
    engine::{Bound, Engine, Parts, Progress, Settings, Stop, Wake},
    notion::{
        NotionClient, NotionError,
        pages::{NotionPages, PagesError},
    },
    postgres::{
        ConnectionString, Database, Listener, PostgresError,
        capture::{install::channel, state::InForce},
        rows::{PgRows, RowsError},
    },
    setup::{Found, InspectError, Resolution, Warning, connect, inspect, resolve},
    store::{PgStore, StoreError},
};

/// The real things: a database and Notion's API.
pub enum Real {}

impl Parts for Real {
    type Store = PgStore;
    type Rows = PgRows;
    type Pages = NotionPages;
}

/// The engine over the real things.
pub type Keeper = Engine<Real>;

/// The name under which the configuration file's own Notion connection is kept in the store.
pub const CONNECTION: &str = "default";

/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

/// A configuration with the two sides it speaks of.
pub struct Wiring {
    pub config: Config,
    pub database: Database,
    pub client: NotionClient,
}

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Notion(#[from] NotionError),
    #[error("{error}")]
    Store { error: StoreError, database: Database },
    #[error("mapping {mapping}: {error}")]
    Rows { mapping: String, error: RowsError },
    #[error("mapping {mapping}: {error}")]
    Pages { mapping: String, error: PagesError },
}

impl From<InspectError> for WiringError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Postgres(error) => error.into(),
            InspectError::Notion(error) => error.into(),
        }
    }
}

/// pagerow's own tables, made or migrated where that is needed.
///
/// # Errors
/// As for [`PgStore::open`].
pub async fn store(config: &Config, database: &Database) -> Result<PgStore, WiringError> {
    PgStore::open(database.pool(), &config.postgres.schema, CONNECTION)
        .await
        .map_err(|error| WiringError::Store { error, database: database.clone() })
}

/// Calls whenever triggers tell of a change, for as long as it is awaited; never, where no direct connection is given.
/// A lost connection is made anew, and then calls once, since something may have been missed.
///
/// A call has every mapping looked at, which costs calls to Notion: at most half of what the limit lets through is
/// spent on that.
pub async fn call_on_changes(config: &Config, wake: &Wake) {
    let Some(url) = &config.postgres.listen_url else { return std::future::pending().await };
    let looks = u32::try_from(config.mappings.len()).unwrap_or(u32::MAX);
    let gap = Duration::from_secs(60) * 2 * looks / config.notion.requests_per_minute.max(1);
    let channel = channel(&config.postgres.schema);
    let mut first = true;
    loop {
        let error = match listen(url.expose_secret(), &channel).await {
            Ok(mut listener) => loop {
                if !std::mem::take(&mut first) {
                    wake.call();
                    tokio::time::sleep(gap).await;
                }
                if let Err(error) = listener.woken().await {
                    break error;
                }
            },
            Err(error) => error,
        };
        tracing::warn!(%error, "changes in Postgres are not told at once; they are found by looking");
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn listen(url: &str, channel: &str) -> Result<Listener, PostgresError> {
    Listener::connect(&ConnectionString::parse(url)?, channel).await
}

impl Wiring {
    /// Connects to the database and makes the Notion client.
    ///
    /// # Errors
    /// As for [`connect::database`] and [`connect::client`].
    pub async fn connect(config: Config) -> Result<Self, WiringError> {
        let client = connect::client(&config)?;
        let database = connect::database(&config).await?;
        Ok(Self { config, database, client })
    }

    /// Looks both schemas up.
    ///
    /// # Errors
    /// A side is out of reach as a whole.
    pub async fn found(&self) -> Result<Found, WiringError> {
        let session = self.database.session().await?;
        Ok(inspect(&self.config, &session, &self.client).await?)
    }

    /// Holds the configuration against both schemas.
    ///
    /// # Errors
    /// A side is out of reach, or everything that is wrong with the configuration.
    pub async fn resolve(&self) -> Result<Resolution, WiringError> {
        Ok(resolve(&self.config, &self.found().await?)?)
    }

    /// An engine for all mappings, ready to look, and what is worth knowing about them.
    ///
    /// # Errors
    /// As for [`Wiring::resolve`], and when pagerow's own tables cannot be made or used.
    pub async fn engine(
        &self,
        progress: Progress,
        stop: Stop,
    ) -> Result<(Keeper, Vec<Warning>), WiringError> {
        let resolution = self.resolve().await?;
        let store = store(&self.config, &self.database).await?;
        let mut bound = Vec::with_capacity(resolution.mappings.len());
        let mut warnings = Vec::new();
        let clock = Clock::system();
        for mut part in resolution.mappings {
            let mapping = Arc::clone(&part.mapping);
            warnings.append(&mut part.warnings);
            let rows = PgRows::new(self.database.pool().clone(), Arc::clone(&mapping), part.table)
                .map_err(|error| WiringError::Rows { mapping: mapping.name.clone(), error })?;
            for (table, in_force) in rows
                .captured()
                .await
                .map_err(|error| WiringError::Rows { mapping: mapping.name.clone(), error })?
            {
                if let InForce::No(why) = in_force {
                    warnings.push(Warning {
                        key: format!("mapping.{}.capture", mapping.name),
                        message: format!(
                            "changes of {table} are not captured: {why}; each look goes through the table"
                        ),
                        advice: Some("`pagerow schema apply` mends it".to_owned()),
                    });
                }
            }
            let pages = NotionPages::new(&self.client, Arc::clone(&mapping), part.source, clock.clone())
                .map_err(|error| WiringError::Pages { mapping: mapping.name.clone(), error })?;
            let settings = Settings {
                limits: part.limits,
                max_attempts: part.max_attempts,
                sweep_interval: part.sweep_interval,
                compare_interval: part.compare_interval,
                doubt: self.config.notion.doubt,
                shared_token: self.config.notion.shared_token,
                delete_wait: std::time::Duration::ZERO,
            };
            bound.push(Bound { mapping, rows, pages, settings });
        }
        let engine = Engine::new(store, bound, clock, progress, stop).keep_history(self.config.keep_history);
        Ok((engine, warnings))
    }
}
