//! Both sides as a configuration names them: a pool of connections and a paced client.

use secrecy::ExposeSecret;

use crate::{
    config::Config,
    notion::{Address, Limits, NotionClient, NotionError, Pacing, Patience},
    postgres::{ConnectionString, Database, PostgresError},
};

/// The database; one connection is tried.
///
/// # Errors
/// A wrong connection string, no server, a refused role, no encryption: each its own kind.
pub async fn database(config: &Config) -> Result<Database, PostgresError> {
    Database::connect(&ConnectionString::parse(config.postgres.url.expose_secret())?).await
}

/// The client for Notion; nothing is sent yet.
///
/// # Errors
/// An address or token that cannot be sent.
pub fn client(config: &Config) -> Result<NotionClient, NotionError> {
    let address =
        Address { base_url: config.notion.base_url.clone(), token: config.notion.token.value.clone() };
    let limits = Limits { requests_per_minute: Some(config.notion.requests_per_minute), ..Limits::default() };
    let patience = Patience { timeout: config.notion.timeout, ..Patience::default() };
    NotionClient::new(&address, Pacing::new(limits), patience)
}
