//! Looks at both sides for one configuration: the only place of this folder that reads the database.

use futures_util::future::join_all;
use pagerow_core::value::Person;

use super::{
    capture,
    drift::{Memories, follow},
    found::{Found, People, Problem, Sight, SourceFound, Warning},
    tables::{self, TableInfo},
};
use crate::{
    config::{Config, DataSourceWish, MappingConfig, PropertyWord},
    notion::{
        NotionClient, NotionError,
        wire::{DataSource, Entry, PropertyConfig},
    },
    postgres::{Catalogue, PostgresError, Session, catalogue::quoted},
};

/// Why a side could not be looked at, as a whole.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Notion(#[from] NotionError),
}

impl InspectError {
    /// What to do.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Postgres(error) => error.advice().map(str::to_owned),
            Self::Notion(error) => Some(error.advice().into_owned()),
        }
    }
}

/// Both schemas for a configuration.
///
/// # Errors
/// The database or Notion as a whole is out of reach; what is wrong with one data source stands in the result.
pub async fn inspect(
    config: &Config,
    session: &Session,
    client: &NotionClient,
) -> Result<Found, InspectError> {
    inspect_beside(config, session, client, Memories::new()).await
}

/// As [`inspect`], beside what the configuration's names meant when they were last bound.
///
/// # Errors
/// As for [`inspect`].
pub async fn inspect_beside(
    config: &Config,
    session: &Session,
    client: &NotionClient,
    remembered: Memories,
) -> Result<Found, InspectError> {
    let tables = tables(session, &config.postgres.schema).await?;
    let mut found = Found { tables, remembered, ..Found::default() };
    found.capture = Some(capture::look(session, &config.postgres.schema).await?);
    // Conditions are tried on the tables that the names mean by now.
    let followed = follow(config, &found);
    try_sql(&followed.config, session, &mut found).await?;
    sources(config, client, &mut found).await?;
    if shows_people(config, &found) {
        found.people = people(client).await?;
    }
    Ok(found)
}

/// All tables and views of the database, but for pagerow's own and those of extensions.
///
/// # Errors
/// Whatever the server refuses.
pub async fn tables(session: &Session, own_schema: &str) -> Result<Vec<TableInfo>, PostgresError> {
    let catalogue = Catalogue::read_all(session).await?;
    let wanted = catalogue.tables.iter().filter(|table| table.schema != own_schema && !table.of_extension);
    Ok(wanted.map(TableInfo::from).collect())
}

/// Asks the database what it thinks of conditions, without reading a row.
async fn try_sql(config: &Config, session: &Session, found: &mut Found) -> Result<(), PostgresError> {
    for mapping in &config.mappings {
        let Some(table) = tables::find(&found.tables, &mapping.table) else { continue };
        let from = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
        // The new lines keep a comment at the end of a condition from swallowing what follows.
        let condition = mapping.condition.iter().map(|condition| {
            (&condition.key, format!("SELECT 1 FROM {from} WHERE (\n{}\n) LIMIT 0", condition.value))
        });
        for (key, sql) in condition {
            if let Err(error) = session.query(&sql, &[]).await {
                let Some(sqlstate) = error.sqlstate().map(str::to_owned) else { return Err(error) };
                found.refused_sql.insert(key.clone(), refusal(&error, &sqlstate));
            }
        }
    }
    Ok(())
}

fn refusal(error: &PostgresError, sqlstate: &str) -> String {
    match error {
        PostgresError::Server { message: Some(message), .. }
        | PostgresError::Missing { message, .. }
        | PostgresError::MissingRights { message } => message.clone(),
        _ => format!("SQLSTATE {sqlstate}"),
    }
}

async fn sources(config: &Config, client: &NotionClient, found: &mut Found) -> Result<(), NotionError> {
    let lookups = config.mappings.iter().map(|mapping| async move {
        match mapping.data_source.value {
            DataSourceWish::Create => Ok((SourceFound::NotMade, None)),
            DataSourceWish::Id(id) => locate(client, &id.hyphenated().to_string(), mapping).await,
        }
    });
    for (mapping, result) in config.mappings.iter().zip(join_all(lookups).await) {
        let (source, note) = result?;
        found.sources.insert(mapping.name.clone(), source);
        found.notes.extend(note);
    }
    Ok(())
}

/// A data source by its own id, or by that of the database that holds it.
async fn locate(
    client: &NotionClient,
    id: &str,
    mapping: &MappingConfig,
) -> Result<(SourceFound, Option<Warning>), NotionError> {
    let problem = |code, error: &NotionError| {
        SourceFound::Problem(Problem {
            code,
            message: error.to_string(),
            advice: error.advice().into_owned(),
        })
    };
    let not_found = match client.data_source_get(id).await.and_then(crate::notion::Answer::into_whole) {
        Ok(source) => return Ok((SourceFound::Found(Box::new(source)), None)),
        Err(error @ (NotionError::NotShared { .. } | NotionError::WrongKindOfId { .. })) => error,
        Err(error @ NotionError::MissingCapability { .. }) => {
            return Ok((problem("missing_capability", &error), None));
        }
        Err(error) => return Err(error),
    };
    let database = match client.database_get(id).await.and_then(crate::notion::Answer::into_whole) {
        Ok(database) => database,
        Err(NotionError::NotShared { .. } | NotionError::WrongKindOfId { .. }) => {
            return Ok((problem("not_shared", &not_found), None));
        }
        Err(error) => return Err(error),
    };
    match database.data_sources.as_slice() {
        [only] => {
            let source = client.data_source_get(&only.id).await?.into_whole()?;
            let note = Warning {
                key: mapping.data_source.key.clone(),
                message: format!("this is the id of a database; its only data source {} is used", only.id),
                advice: Some(format!("write data_source = \"{}\" to save a call", only.id)),
            };
            Ok((SourceFound::Found(Box::new(source)), Some(note)))
        }
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|source| format!("\"{}\" ({})", source.name.as_deref().unwrap_or_default(), source.id))
                .collect();
            let (message, advice) = if names.is_empty() {
                (
                    "this is the id of a database of which no data source is shared with the connection"
                        .to_owned(),
                    "share the database with the connection in Notion (••• menu, Connections)".to_owned(),
                )
            } else {
                (
                    format!("this is the id of a database with {} data sources", names.len()),
                    format!("write the id of the one that is meant: {}", names.join(", ")),
                )
            };
            Ok((SourceFound::Problem(Problem { code: "several_data_sources", message, advice }), None))
        }
    }
}

fn shows_people(config: &Config, found: &Found) -> bool {
    config.mappings.iter().any(|mapping| {
        let source = match found.sources.get(&mapping.name) {
            Some(SourceFound::Found(source)) => Some(source),
            _ => None,
        };
        mapping.fields.iter().any(|field| {
            field.word() == Some(PropertyWord::People)
                || source.into_iter().flat_map(|source| &source.properties).any(|property| {
                    property.config == PropertyConfig::People
                        && field.property.as_ref().is_some_and(|name| {
                            name.value == property.name || name.value == property.id.as_str()
                        })
                })
        })
    })
}

/// The workspace's people, as far as the connection may see them.
///
/// # Errors
/// Notion as a whole is out of reach; a missing capability is a finding.
pub async fn people(client: &NotionClient) -> Result<People, NotionError> {
    let mut people = People { known: Vec::new(), sight: Sight::Names };
    let mut cursor: Option<String> = None;
    loop {
        let page = match client.users(cursor.as_deref()).await {
            Ok(answer) => answer.body,
            Err(NotionError::MissingCapability { .. }) => {
                return Ok(People { known: Vec::new(), sight: Sight::Nothing });
            }
            Err(error) => return Err(error),
        };
        for user in page.entries.iter().filter_map(Entry::whole) {
            if let Some(email) = user.email() {
                people.sight = Sight::Addresses;
                people.known.push(Person { email: Some(email.to_owned()), id: Some(user.id.clone()) });
            } else if matches!(user.kind, crate::notion::wire::UserKind::Person { .. }) {
                people.known.push(Person { email: None, id: Some(user.id.clone()) });
            }
        }
        match page.next_cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    Ok(people)
}

/// All data sources that the connection sees, for pairing.
///
/// # Errors
/// Whatever Notion refuses.
pub async fn visible_data_sources(client: &NotionClient) -> Result<Vec<DataSource>, NotionError> {
    let mut sources = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = client.search_data_sources("", cursor.as_deref()).await?.body;
        sources
            .extend(page.entries.into_iter().filter_map(Entry::into_whole).filter(|source| !source.in_trash));
        match page.next_cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    Ok(sources)
}
