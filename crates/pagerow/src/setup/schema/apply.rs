//! Carries a schema plan out, so that a stop at any point and another try make nothing twice.

use std::collections::BTreeMap;

use super::{
    NewProperty, Role, SchemaChange, SchemaPlan,
    payload::{add_options, add_property, create_database, marker},
    plan,
    write_back::{WriteBack, amend, remember},
};
use crate::{
    config::{Config, ConfigErrors},
    notion::{
        Fate, NotionClient, NotionError,
        wire::{Database, Entry},
    },
    postgres::{
        PostgresError, Session,
        catalogue::{literal, quoted},
    },
    setup::{
        capture,
        drift::Accepted,
        found::{Found, SourceFound},
        inspect::tables,
    },
};

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    pub made: Vec<Made>,
    /// The changes that were carried out, in order, as sentences.
    pub done: Vec<String>,
    /// What is bound anew: the store has to forget what it remembers of it.
    pub accepted: Vec<Accepted>,
    /// Edits that could not be made in the file, since what they change comes from elsewhere.
    pub elsewhere: Vec<String>,
}

/// A data source that the configuration has to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub mapping: String,
    pub data_source: String,
    /// It was there already, from an earlier try that did not come to its end.
    pub adopted: bool,
    /// Whether its id stands in the file now; otherwise the user has to put it where `"create"` came from.
    pub remembered: bool,
}

/// Why making things stopped. What was done before stays and is found again by the next try.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("{change}: {error}")]
    Notion {
        change: String,
        #[source]
        error: NotionError,
    },
    #[error("{change}: {error}")]
    Postgres {
        change: String,
        #[source]
        error: PostgresError,
    },
    #[error("{change}: {file} could not be written: {error}")]
    Amend {
        change: String,
        file: String,
        #[source]
        error: std::io::Error,
    },
    #[error(
        "the id {data_source} of the new data source of {mapping} could not be written into {file}: {error}"
    )]
    WriteBack {
        mapping: String,
        data_source: String,
        file: String,
        #[source]
        error: std::io::Error,
    },
}

impl ApplyError {
    /// What to do.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Config(_) => None,
            Self::Notion { error, .. } => Some(error.advice().into_owned()),
            Self::Postgres { error, .. } => error.advice().map(str::to_owned),
            Self::Amend { .. } => Some("write it yourself, or make the file writable".to_owned()),
            Self::WriteBack { mapping, data_source, .. } => {
                Some(format!("write data_source = \"{data_source}\" under [mapping.{mapping}] yourself"))
            }
        }
    }
}

/// Makes what a plan names: statements for Postgres, then databases, whose ids are written into the configuration's
/// file one by one, then triggers, then everything that needs those ids. pagerow's own tables have to be there. `progress` is told each step before it happens.
///
/// # Errors
/// The first thing that did not work.
pub async fn apply(
    config: &Config,
    found: &Found,
    first: &SchemaPlan,
    session: &Session,
    client: &NotionClient,
    mut progress: impl FnMut(&str),
) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    let mut found = found.clone();
    for change in &first.changes {
        match change {
            SchemaChange::Configure { mapping, edit } => {
                progress(&change.to_string());
                let path = &config.source.path;
                let written = amend(path, mapping, edit).map_err(|error| ApplyError::Amend {
                    change: change.to_string(),
                    file: path.display().to_string(),
                    error,
                })?;
                match written {
                    WriteBack::Written => applied.done.push(change.to_string()),
                    WriteBack::NotInTheFile => applied.elsewhere.push(change.to_string()),
                }
            }
            SchemaChange::Rebind { mapping, column, .. } => {
                progress(&change.to_string());
                applied.accepted.push(Accepted::Field { mapping: mapping.clone(), column: column.clone() });
                applied.done.push(change.to_string());
            }
            SchemaChange::Rewrite { mapping, column, sql, .. } => {
                progress(&change.to_string());
                let failed = |error| ApplyError::Postgres { change: change.to_string(), error };
                session.batch(sql).await.map_err(failed)?;
                applied.accepted.push(Accepted::Options { mapping: mapping.clone(), column: column.clone() });
                applied.done.push(change.to_string());
            }
            SchemaChange::Sql { sql, table, column, bookkeeping, .. } => {
                progress(&change.to_string());
                let failed = |error| ApplyError::Postgres { change: change.to_string(), error };
                let made = made(&config.postgres.schema, table, column.as_deref(), *bookkeeping);
                // Both at once: one message is one transaction.
                session.batch(&format!("{sql}\n{made}")).await.map_err(failed)?;
                applied.done.push(change.to_string());
            }
            SchemaChange::CreateDatabase { mapping, title, parent, properties } => {
                progress(&change.to_string());
                let failed = |error| ApplyError::Notion { change: change.to_string(), error };
                let parent_id = parent.to_string();
                let there = find_made(client, &parent_id, title, mapping).await.map_err(failed)?;
                let adopted = there.is_some();
                let database = match there {
                    Some(database) => database,
                    None => make(
                        client,
                        &parent_id,
                        mapping,
                        title,
                        &create_database(mapping, title, *parent, properties),
                    )
                    .await
                    .map_err(failed)?,
                };
                let data_source = only_data_source(client, &database).await.map_err(failed)?;
                let remembered =
                    remember(&config.source.path, mapping, &data_source.id).map_err(|error| {
                        ApplyError::WriteBack {
                            mapping: mapping.clone(),
                            data_source: data_source.id.clone(),
                            file: config.source.path.display().to_string(),
                            error,
                        }
                    })?;
                applied.made.push(Made {
                    mapping: mapping.clone(),
                    data_source: data_source.id.clone(),
                    adopted,
                    remembered: remembered == WriteBack::Written,
                });
                applied.done.push(change.to_string());
                found.sources.insert(mapping.clone(), SourceFound::Found(Box::new(data_source)));
            }
            // These are planned anew below, against what is there by then.
            SchemaChange::AddProperty { .. }
            | SchemaChange::AddOptions { .. }
            | SchemaChange::Capture { .. } => {}
        }
    }
    if first.changes.iter().any(|change| matches!(change, SchemaChange::Sql { .. })) {
        let failed = |error| ApplyError::Postgres { change: "reading the catalogue again".to_owned(), error };
        found.tables = tables(session, &config.postgres.schema).await.map_err(failed)?;
        found.capture = Some(capture::look(session, &config.postgres.schema).await.map_err(failed)?);
    }
    let second = plan(config, &found)?;
    for change in &second.changes {
        let SchemaChange::Capture { sql, .. } = change else { continue };
        progress(&change.to_string());
        let failed = |error| ApplyError::Postgres { change: change.to_string(), error };
        patiently(session, sql).await.map_err(failed)?;
        applied.done.push(change.to_string());
    }
    add(&second, &found, client, &mut applied, &mut progress).await?;
    Ok(applied)
}

/// A trigger needs a lock that waits for writers and holds up those that come later, so that each try is a short one.
async fn patiently(session: &Session, sql: &str) -> Result<(), PostgresError> {
    let mut pauses = [1, 2, 4].into_iter();
    loop {
        let result = session.batch(sql).await;
        if result.is_err() {
            // What failed in the midst of a transaction leaves it open.
            session.batch("ROLLBACK").await?;
        }
        match result {
            Err(error @ (PostgresError::LockTimeout | PostgresError::Collision { .. })) => {
                match pauses.next() {
                    Some(pause) => tokio::time::sleep(std::time::Duration::from_secs(pause)).await,
                    None => return Err(error),
                }
            }
            result => return result,
        }
    }
}

/// Remembers what was made in the user's database.
fn made(own_schema: &str, table: &str, column: Option<&str>, bookkeeping: bool) -> String {
    let column = column.map_or_else(|| "NULL".to_owned(), literal);
    format!(
        "INSERT INTO {}.made (table_name, column_name, bookkeeping) VALUES ({}, {column}, {bookkeeping});",
        quoted(own_schema),
        literal(table)
    )
}

/// Adds properties and options, to adopted and to new data sources alike.
async fn add(
    second: &SchemaPlan,
    found: &Found,
    client: &NotionClient,
    applied: &mut Applied,
    progress: &mut impl FnMut(&str),
) -> Result<(), ApplyError> {
    let ids: BTreeMap<String, String> = found
        .sources
        .iter()
        .filter_map(|(mapping, source)| match source {
            SourceFound::Found(source) => Some((mapping.clone(), source.id.clone())),
            SourceFound::NotMade | SourceFound::Problem(_) => None,
        })
        .collect();
    for change in &second.changes {
        let body = match change {
            SchemaChange::AddProperty { property, .. } => add_property(property, &ids),
            SchemaChange::AddOptions { property_id, kind, existing, names, .. } => {
                Some(add_options(property_id, kind, existing, names))
            }
            SchemaChange::CreateDatabase { .. }
            | SchemaChange::Sql { .. }
            | SchemaChange::Capture { .. }
            | SchemaChange::Rewrite { .. }
            | SchemaChange::Configure { .. }
            | SchemaChange::Rebind { .. } => None,
        };
        let (Some(body), Some(data_source)) = (body, ids.get(change.mapping())) else { continue };
        progress(&change.to_string());
        let failed = |error| ApplyError::Notion { change: change.to_string(), error };
        match client.data_source_patch(data_source, &body).await {
            Ok(_) => {}
            Err(error) if error.fate() == Fate::NotApplied => return Err(failed(error)),
            // Saved or in doubt: the schema itself says whether it happened.
            Err(error) => {
                let now =
                    client.data_source_get(data_source).await.and_then(crate::notion::Answer::into_whole);
                let there = now.map_err(failed)?;
                if !is_there(change, &there) {
                    return Err(failed(error));
                }
            }
        }
        if let SchemaChange::AddProperty { mapping, property: NewProperty { role: Role::Field(column), .. } } =
            change
            && found.remembered.get(mapping).is_some_and(|memory| memory.fields.contains_key(column))
        {
            applied.accepted.push(Accepted::Field { mapping: mapping.clone(), column: column.clone() });
        }
        applied.done.push(change.to_string());
    }
    Ok(())
}

fn is_there(change: &SchemaChange, source: &crate::notion::wire::DataSource) -> bool {
    match change {
        SchemaChange::AddProperty { property: NewProperty { name, .. }, .. } => {
            super::find(source, name).is_some()
        }
        SchemaChange::AddOptions { property, names, .. } => {
            super::find(source, property).is_some_and(|property| super::lacking(property, names).is_empty())
        }
        SchemaChange::CreateDatabase { .. }
        | SchemaChange::Sql { .. }
        | SchemaChange::Capture { .. }
        | SchemaChange::Rewrite { .. }
        | SchemaChange::Configure { .. }
        | SchemaChange::Rebind { .. } => false,
    }
}

/// Makes a database. After a lost answer it is looked for before anything else is sent.
async fn make(
    client: &NotionClient,
    parent: &str,
    mapping: &str,
    title: &str,
    body: &serde_json::Value,
) -> Result<Database, NotionError> {
    let error = match client.database_create(body).await {
        Ok(answer) => match answer.into_whole() {
            Ok(database) => return Ok(database),
            Err(error) => error,
        },
        Err(error) => error,
    };
    if error.fate() == Fate::NotApplied {
        return Err(error);
    }
    find_made(client, parent, title, mapping).await?.ok_or(error)
}

/// The database under a page that was made for a mapping earlier: of this title, with this mapping's marker.
async fn find_made(
    client: &NotionClient,
    parent: &str,
    title: &str,
    mapping: &str,
) -> Result<Option<Database>, NotionError> {
    let mut cursor: Option<String> = None;
    loop {
        let page = client.page_children(parent, cursor.as_deref()).await?.body;
        let children = page.entries.iter().filter_map(Entry::whole);
        for child in
            children.filter(|child| !child.in_trash && child.database_title.as_deref() == Some(title))
        {
            let database = client.database_get(&child.id).await?.into_whole()?;
            if !database.in_trash && database.description.plain_text().contains(&marker(mapping)) {
                return Ok(Some(database));
            }
        }
        match page.next_cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => return Ok(None),
        }
    }
}

async fn only_data_source(
    client: &NotionClient,
    database: &Database,
) -> Result<crate::notion::wire::DataSource, NotionError> {
    match database.data_sources.as_slice() {
        [only] => client.data_source_get(&only.id).await?.into_whole(),
        several => Err(NotionError::SeveralDataSources {
            database_id: database.id.clone(),
            data_source_ids: several.iter().map(|source| source.id.clone()).collect(),
        }),
    }
}
