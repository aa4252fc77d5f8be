//! Which data sources are lost, and how one comes out of the trash.

use serde_json::json;

use super::found::{Found, SourceFound};
use crate::{
    config::Config,
    notion::{
        NotionClient, NotionError,
        wire::{DataSource, Parent},
    },
};

/// A mapping whose data source is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSource {
    pub mapping: String,
    pub how: HowLost,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HowLost {
    /// It lies in the trash, with its database (by id) or by itself.
    Trashed { data_source: String, database: Option<String> },
    /// It is gone for good, or no longer shared: Notion does not tell these apart.
    Gone,
}

/// The lost data sources of these mappings (none named: of all).
#[must_use]
pub fn lost_sources(config: &Config, found: &Found, mappings: &[String]) -> Vec<LostSource> {
    let asked = |name: &String| mappings.is_empty() || mappings.contains(name);
    let of_one = |name: &String| {
        let how = match found.sources.get(name)? {
            SourceFound::Found(source) if source.in_trash => {
                HowLost::Trashed { data_source: source.id.clone(), database: database(source) }
            }
            SourceFound::Problem(problem) if problem.code == "not_shared" => HowLost::Gone,
            SourceFound::Found(_) | SourceFound::NotMade | SourceFound::Problem(_) => return None,
        };
        Some(LostSource { mapping: name.clone(), how })
    };
    config
        .mappings
        .iter()
        .map(|mapping| &mapping.name)
        .filter(|name| asked(name))
        .filter_map(of_one)
        .collect()
}

/// Takes a data source out of the trash: one call, with all its pages. A data source that was put there by itself takes
/// one more.
///
/// # Errors
/// What Notion says.
pub async fn restore_source(
    client: &NotionClient,
    data_source: &str,
    database: Option<&str>,
) -> Result<(), NotionError> {
    let out = json!({ "in_trash": false });
    if let Some(database) = database {
        client.database_patch(database, &out).await?.into_whole()?;
    }
    let source = client.data_source_get(data_source).await?.into_whole()?;
    if source.in_trash {
        client.data_source_patch(data_source, &out).await?.into_whole()?;
    }
    Ok(())
}

fn database(source: &DataSource) -> Option<String> {
    match source.parent.as_ref()? {
        Parent::Database(id) => Some(id.clone()),
        _ => None,
    }
}
