//! Puts the parts together for one configuration: database, Notion, store and engine. Commands and daemons start here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use pagerow_core::digest::Digest;
use secrecy::ExposeSecret as _;
use serde::{Deserialize as _, Serialize};

use crate::{
    clock::Clock,
    config::{Config, ConfigErrors},
    engine::{Bound, Engine, EngineError, Parts, Progress, Renewal, Settings, Stop, Wake},
    notion::{
        NotionClient, NotionError,
        pages::{NotionPages, PagesError},
    },
    postgres::{
        ConnectionString, Database, Listener, PostgresError,
        capture::{install::channel, state::InForce},
        rows::{PgRows, RowsError},
        transaction::TxError,
    },
    setup::{
        Found, InspectError, Resolution, Warning, connect,
        drift::{Accepted, Memories, Memory, Pause},
        inspect_beside, resolve,
    },
    store::{Names, PgStore, Renaming, StoreError},
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
/// An engine, and what is worth knowing about its mappings.
pub struct Bindings {
    pub engine: Keeper,
    pub warnings: Vec<Warning>,
    /// What was renamed and is followed.
    pub followed: Vec<Warning>,
    /// What does not flow for now: whole mappings, and fields of those that do.
    pub paused: Vec<Pause>,
}

impl Bindings {
    /// Those of the mappings that flow, where these were asked for (none: all); `None` when none of them does.
    #[must_use]
    pub fn flowing(&self, asked: &[String]) -> Option<Vec<String>> {
        let whole = |name: &str| self.paused.iter().any(|one| one.column.is_none() && one.mapping == name);
        let flowing: Vec<String> = asked.iter().filter(|name| !whole(name)).cloned().collect();
        (asked.is_empty() || !flowing.is_empty()).then_some(flowing)
    }
}

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
        self.found_beside(remembered(&self.config, &self.database).await?).await
    }

    async fn found_beside(&self, remembered: Memories) -> Result<Found, WiringError> {
        let session = self.database.session().await?;
        Ok(inspect_beside(&self.config, &session, &self.client, remembered).await?)
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
        let Bindings { engine, warnings, .. } = self.bind(progress, stop).await?;
        Ok((engine, warnings))
    }

    /// An engine for all mappings that flow, what is worth knowing about them, and what does not flow. What the names
    /// mean by now is kept, so that the next start can tell a rename from a loss.
    ///
    /// # Errors
    /// As for [`Wiring::engine`].
    pub async fn bind(&self, progress: Progress, stop: Stop) -> Result<Bindings, WiringError> {
        let store = store(&self.config, &self.database).await?;
        let (bound, drift) = self.bound(&store).await?;
        let renewal = Renewing::of(self, store.clone(), drift.digest).await;
        let engine = Engine::new(store, bound, Clock::system(), progress, stop)
            .keep_history(self.config.keep_history)
            .renewed_by(Box::new(renewal));
        Ok(Bindings { engine, warnings: drift.warnings, followed: drift.followed, paused: drift.paused })
    }

    async fn bound(&self, store: &PgStore) -> Result<(Vec<Bound<Real>>, Drifted), WiringError> {
        let kept = self.explain(store.names().await)?;
        let found = self.found_beside(memories(&kept)).await?;
        let resolution = resolve(&self.config, &found)?;
        self.keep(store, &kept, &resolution).await?;
        let mut drift = Drifted {
            warnings: Vec::new(),
            followed: resolution.followed,
            paused: resolution.paused,
            digest: Digest::of(b""),
        };
        let mut shapes = format!("{:?}", drift.paused);
        let mut bound = Vec::with_capacity(resolution.mappings.len());
        let clock = Clock::system();
        for mut part in resolution.mappings {
            shapes.push_str(&format!("{:?}{:?}{:?}", part.mapping, part.table, part.source));
            let mapping = Arc::clone(&part.mapping);
            drift.warnings.append(&mut part.warnings);
            let rows = PgRows::new(self.database.pool().clone(), Arc::clone(&mapping), part.table)
                .map_err(|error| WiringError::Rows { mapping: mapping.name.clone(), error })?;
            for (table, in_force) in rows
                .captured()
                .await
                .map_err(|error| WiringError::Rows { mapping: mapping.name.clone(), error })?
            {
                if let InForce::No(why) = in_force {
                    drift.warnings.push(Warning {
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
        drift.digest = Digest::of(shapes.as_bytes());
        Ok((bound, drift))
    }

    /// Keeps what the names mean, where that changed.
    async fn keep(
        &self,
        store: &PgStore,
        kept: &BTreeMap<String, Names>,
        resolution: &Resolution,
    ) -> Result<(), WiringError> {
        for (mapping, meaning) in &resolution.meanings {
            let names = Names { meaning: json(&meaning.memory), paused: json(&meaning.paused) };
            let renaming = Renaming {
                renamed: meaning.renamed.clone(),
                forgotten: meaning.forgotten.clone(),
                woken: meaning.woken.clone(),
            };
            if kept.get(mapping) != Some(&names) || renaming != Renaming::default() {
                self.explain(store.keep_names(mapping, &names, &renaming).await)?;
            }
        }
        Ok(())
    }

    /// Binds anew what a person has taken as it is now.
    ///
    /// # Errors
    /// When pagerow's own tables cannot be made or used.
    pub async fn accept(&self, found: &Found, accepted: &[Accepted]) -> Result<(), WiringError> {
        let store = store(&self.config, &self.database).await?;
        let kept = self.explain(store.names().await)?;
        for (mapping, memory) in found.remembered_after(accepted) {
            let of_it = || accepted.iter().filter(|one| one.mapping() == mapping);
            let forgotten: Vec<String> = of_it().filter_map(Accepted::forgotten).map(str::to_owned).collect();
            let before = kept.get(&mapping).cloned().unwrap_or_default();
            let names = Names { meaning: json(&memory), paused: before.paused.clone() };
            if names != before || !forgotten.is_empty() {
                let renaming = Renaming { forgotten, ..Renaming::default() };
                self.explain(store.keep_names(&mapping, &names, &renaming).await)?;
            }
        }
        Ok(())
    }

    fn explain<T>(&self, result: Result<T, StoreError>) -> Result<T, WiringError> {
        result.map_err(|error| WiringError::Store { error, database: self.database.clone() })
    }
}

/// What the configuration's names meant when they were last bound; nothing where pagerow's own tables are not made yet.
///
/// # Errors
/// When pagerow's own tables cannot be used.
pub async fn remembered(config: &Config, database: &Database) -> Result<Memories, WiringError> {
    let explain = |error| WiringError::Store { error, database: database.clone() };
    if !PgStore::exists(database.pool(), &config.postgres.schema).await.map_err(explain)? {
        return Ok(Memories::new());
    }
    let names = store(config, database).await?.names().await.map_err(explain)?;
    Ok(memories(&names))
}

/// What of these mappings is paused (none named: of all), as it was when they were last bound.
///
/// # Errors
/// What the database says.
pub async fn paused(config: &Config, store: &PgStore, mappings: &[String]) -> Result<Vec<Pause>, StoreError> {
    let names = store.names().await?;
    let asked = |name: &String| mappings.is_empty() || mappings.contains(name);
    let known = config.mappings.iter().filter(|mapping| asked(&mapping.name));
    let kept = known.filter_map(|mapping| names.get(&mapping.name));
    Ok(kept.flat_map(|names| Vec::<Pause>::deserialize(&names.paused).unwrap_or_default()).collect())
}

/// What cannot be read was kept by another version, and counts as never bound.
fn memories(kept: &BTreeMap<String, Names>) -> Memories {
    kept.iter()
        .filter_map(|(mapping, names)| Some((mapping.clone(), Memory::deserialize(&names.meaning).ok()?)))
        .collect()
}

fn json(value: &impl Serialize) -> serde_json::Value {
    // Texts, numbers, lists and maps always serialise.
    serde_json::to_value(value).unwrap_or_default()
}

/// What a binding brought beside the mappings.
struct Drifted {
    warnings: Vec<Warning>,
    followed: Vec<Warning>,
    paused: Vec<Pause>,
    /// Of everything that the mappings were made from.
    digest: Digest,
}

/// So many passes go by between two looks at Notion's side of the schema, each of which costs a call a mapping.
const PASSES: u32 = 10;

/// Watches both schemas for a running engine.
struct Renewing {
    wiring: Wiring,
    store: PgStore,
    digest: Digest,
    catalogue: Option<String>,
    passes: u32,
}

impl Renewing {
    async fn of(wiring: &Wiring, store: PgStore, digest: Digest) -> Self {
        let wiring = Wiring {
            config: wiring.config.clone(),
            database: wiring.database.clone(),
            client: wiring.client.clone(),
        };
        let catalogue = fingerprint(&wiring.database).await.ok();
        Self { wiring, store, digest, catalogue, passes: 0 }
    }

    async fn look(&mut self, suspected: bool) -> Result<Option<Vec<Bound<Real>>>, WiringError> {
        let catalogue = fingerprint(&self.wiring.database).await?;
        self.passes += 1;
        let moved = self.catalogue.as_ref() != Some(&catalogue);
        if !suspected && !moved && self.passes < PASSES {
            return Ok(None);
        }
        let (bound, drift) = self.wiring.bound(&self.store).await?;
        (self.passes, self.catalogue) = (0, Some(catalogue));
        if drift.digest == self.digest {
            return Ok(None);
        }
        self.digest = drift.digest;
        drift.followed.iter().for_each(|rename| tracing::warn!("{rename}"));
        drift.paused.iter().for_each(|pause| tracing::warn!("{pause}; {}", pause.advice));
        Ok(Some(bound))
    }
}

impl Renewal<Real> for Renewing {
    fn renew(&mut self, suspected: bool) -> BoxFuture<'_, Result<Option<Vec<Bound<Real>>>, EngineError>> {
        Box::pin(
            async move { self.look(suspected).await.map_err(|error| EngineError::Renewal(Box::new(error))) },
        )
    }

    fn suspects(&self, error: &EngineError) -> bool {
        match error {
            EngineError::Rows { source, .. } => match source.downcast_ref() {
                // Something in a statement is not there any more, or is of another type.
                Some(RowsError::Tx(TxError::Statement(refused))) => refused.code.starts_with("42"),
                _ => false,
            },
            EngineError::Pages { source, .. } => matches!(
                source.downcast_ref(),
                Some(PagesError::Notion(
                    NotionError::NotShared { .. } | NotionError::InTrash { .. } | NotionError::Invalid { .. }
                ))
            ),
            EngineError::RefusedBySide { .. } => true,
            _ => false,
        }
    }
}

/// All tables and columns of the user in one short text: what a statement of the schema language would change.
async fn fingerprint(database: &Database) -> Result<String, PostgresError> {
    let session = database.session().await?;
    let rows = session
        .query(
            "SELECT md5(coalesce(string_agg(concat_ws(' ', a.attrelid, c.relnamespace, c.relname, a.attnum, a.attname, \
             a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef), ',' ORDER BY a.attrelid, a.attnum), '')) \
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
            &[],
        )
        .await?;
    Ok(rows.first().map(|row| row.get::<_, String>(0)).unwrap_or_default())
}
