//! Puts the parts together for one configuration: database, Notion, store and engine. Commands and daemons start here.

use std::sync::Arc;

use crate::{
    clock::Clock,
    config::{Config, ConfigErrors},
    engine::{Bound, Engine, Parts, Progress, Settings, Stop},
    notion::{
        NotionClient, NotionError,
        pages::{NotionPages, PagesError},
    },
    postgres::{
        Database, PostgresError,
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
            let pages = NotionPages::new(&self.client, Arc::clone(&mapping), part.source, clock.clone())
                .map_err(|error| WiringError::Pages { mapping: mapping.name.clone(), error })?;
            let settings = Settings {
                limits: part.limits,
                max_attempts: part.max_attempts,
                sweep_interval: part.sweep_interval,
                compare_interval: part.compare_interval,
                doubt: self.config.notion.doubt,
            };
            bound.push(Bound { mapping, rows, pages, settings });
        }
        let engine = Engine::new(store, bound, clock, progress, stop).keep_history(self.config.keep_history);
        Ok((engine, warnings))
    }
}
