//! What pagerow's own tables say, for commands that only read them.

use std::path::Path;

use super::error::CliError;
use crate::{
    config::Config,
    postgres::Database,
    setup::connect,
    store::{PgStore, StoreError},
    wiring,
};

/// The configuration, its database, and pagerow's own tables if they were made already.
pub(super) struct Remembered {
    pub(super) config: Config,
    pub(super) database: Database,
    pub(super) store: Option<PgStore>,
}

/// Opens pagerow's own tables without making them.
pub(super) async fn open(config: &Path) -> Result<Remembered, CliError> {
    let config = Config::load(config, &[])?;
    let database = connect::database(&config).await?;
    let exists = PgStore::exists(database.pool(), &config.postgres.schema)
        .await
        .map_err(|error| CliError::of_store(error, &database))?;
    let store = if exists { Some(wiring::store(&config, &database).await?) } else { None };
    Ok(Remembered { config, database, store })
}

impl Remembered {
    /// Says what an error of the store means.
    pub(super) fn explain(&self) -> impl Fn(StoreError) -> CliError {
        |error| CliError::of_store(error, &self.database)
    }
}
