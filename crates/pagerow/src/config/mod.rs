//! What does `pagerow.toml` say? The file, the environment and the flags, checked once and as a whole.
//!
//! [`Config::load`] refuses a file with everything that is wrong in it, each with its line, its key, what was found
//! and the nearest valid name. What only the two schemas can tell is checked later, by `setup`.

mod environment;
mod error;
mod field;
mod mapping;
mod nearest;
mod quantity;
mod reader;
mod rules;
mod sections;
mod source;
mod tree;

use std::{cell::RefCell, path::Path, time::Duration};

pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors};
pub use field::{FieldConfig, PropertyWord};
pub use mapping::{Columns, DataSourceWish, MappingConfig, Stamp};
pub use nearest::nearest;
pub use quantity::{Percent, parse_duration};
pub use rules::{Capture, NewOptions, Rules};
pub use sections::{Auth, AuthKeys, Notion, Postgres, Serve};
pub use source::{Place, Position, Setting, Source};

use crate::backup::BackupKey;
use reader::{Complaints, Reader};

/// The name of the file where nobody says otherwise.
pub const FILE_NAME: &str = "pagerow.toml";

/// The variable with the key that seals backups.
const BACKUP_KEY: &str = "PAGEROW_BACKUP_KEY";

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, to name places in it.
    pub source: Source,
    pub postgres: Postgres,
    pub notion: Notion,
    /// `[sync]`: what mappings inherit.
    pub rules: Rules,
    /// How long runs and the audit are kept; `None`: for ever.
    pub keep_history: Option<Duration>,
    /// The mapping in whose table open conflicts are put, and from which answers to them are taken.
    pub conflicts_mapping: Option<Setting<String>>,
    /// In the order of the file.
    pub mappings: Vec<MappingConfig>,
    pub serve: Serve,
    pub auth: Option<Auth>,
    /// What seals backups (`PAGEROW_BACKUP_KEY`).
    pub backup_key: Option<BackupKey>,
}

impl Config {
    /// Reads a file, with the process's environment and the `.env` file beside it. Flags are pairs of a whole key
    /// (`serve.listen`) and a text; they go last.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn load(path: &Path, flags: &[(String, String)]) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let mut missing = ConfigError::nowhere(
                "no_file",
                format!("the configuration {} cannot be read: {error}", path.display()),
            )
            .advise("write one with `pagerow init`, or name another with --config FILE");
            missing.file = Some(path.to_owned());
            missing
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let environment = Environment::of_process().with_file_in(folder)?;
        Self::parse(Source { path: path.to_owned(), text }, &environment, flags)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(
        source: Source,
        environment: &Environment,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let entries = tree::read(&source, environment, flags, &mut errors);
        // After a broken line everything else is guesswork.
        ConfigErrors::check(errors.iter().filter(|error| error.code == "syntax").cloned().collect())?;
        let complaints = Complaints { source: &source, errors: RefCell::new(errors) };
        let parts = Parts::read(Reader::new(&complaints, "", Place::Nowhere, entries));
        ConfigErrors::check(complaints.errors.into_inner())?;
        let Parts {
            postgres: Some(postgres),
            notion: Some(notion),
            rules,
            keep_history,
            conflicts_mapping,
            mappings,
            serve,
            auth,
        } = parts
        else {
            return Err(ConfigError::nowhere("incomplete", "the configuration is incomplete").into());
        };
        let backup_key = match environment.get(BACKUP_KEY).filter(|text| !text.trim().is_empty()) {
            None => None,
            Some(text) => Some(BackupKey::parse(text).map_err(|wrong| {
                ConfigErrors::from(ConfigError::nowhere("wrong_backup_key", format!("{BACKUP_KEY}: {wrong}")))
            })?),
        };
        Ok(Self {
            source,
            postgres,
            notion,
            rules,
            keep_history,
            conflicts_mapping,
            mappings,
            serve,
            auth,
            backup_key,
        })
    }

    /// A mapping by its name.
    #[must_use]
    pub fn mapping(&self, name: &str) -> Option<&MappingConfig> {
        self.mappings.iter().find(|mapping| mapping.name == name)
    }

    /// An error at one of the file's places.
    #[must_use]
    pub fn error(
        &self,
        place: &Place,
        code: &'static str,
        key: &str,
        message: impl Into<String>,
    ) -> ConfigError {
        ConfigError::at(&self.source, place, code, key, message)
    }
}

struct Parts {
    postgres: Option<Postgres>,
    notion: Option<Notion>,
    rules: Rules,
    keep_history: Option<Duration>,
    conflicts_mapping: Option<Setting<String>>,
    mappings: Vec<MappingConfig>,
    serve: Serve,
    auth: Option<Auth>,
}

impl Parts {
    fn read(reader: Reader<'_>) -> Self {
        let section = |name: &'static str| {
            reader.table(name).or_else(|| {
                // A section that is not there lacks its keys.
                (!reader.has(name))
                    .then(|| Reader::new(reader.complaints(), name, Place::Nowhere, Vec::new()))
            })
        };
        let postgres = section("postgres").and_then(Postgres::read);
        let notion = section("notion").and_then(Notion::read);
        let (rules, keep_history, conflicts_mapping) = match reader.table("sync") {
            Some(sync) => {
                let rules = Rules::default().overridden_by(&sync);
                let keep = rules::keep_history(&sync);
                let conflicts_mapping = sync.text("conflicts_mapping");
                sync.finish();
                (rules, keep, conflicts_mapping)
            }
            None => (Rules::default(), Some(rules::KEEP_HISTORY), None),
        };
        let serve = reader.table("serve").map(Serve::read).unwrap_or_default();
        let auth = reader.table("auth").and_then(Auth::read);
        let sections = reader.entries("mapping");
        let names: Vec<String> = sections.iter().map(|(name, _)| name.clone()).collect();
        let mappings: Vec<MappingConfig> = sections
            .into_iter()
            .filter_map(|(name, node)| {
                let inner = reader.as_table(&format!("mapping.{name}"), node)?;
                MappingConfig::read(&name, inner, &rules)
            })
            .collect();
        for mapping in &mappings {
            for field in &mapping.fields {
                relation_is_mapped(&reader, field, &names);
            }
        }
        if let Some(named) = conflicts_mapping.as_ref().filter(|named| !names.contains(&named.value)) {
            let message = format!("there is no mapping named {}", named.value);
            reader.complaints().add(
                ConfigError::at(
                    reader.complaints().source,
                    &named.place,
                    "no_such_mapping",
                    &named.key,
                    message,
                )
                .suggest(nearest(named, names.iter().map(String::as_str))),
            );
        }
        reader.finish();
        Self { postgres, notion, rules, keep_history, conflicts_mapping, mappings, serve, auth }
    }
}

fn relation_is_mapped(reader: &Reader<'_>, field: &FieldConfig, names: &[String]) {
    let Some(relation) = &field.relation else { return };
    if names.contains(&relation.value) {
        return;
    }
    let mut error = ConfigError::at(
        reader.complaints().source,
        &relation.place,
        "no_such_mapping",
        &relation.key,
        format!("there is no mapping named {}", relation.value),
    )
    .suggest(nearest(relation, names.iter().map(String::as_str)));
    if error.suggestion.is_none() {
        error = error.advise(format!(
            "add [mapping.{}] for the table that the field leads to, or show the field as = \"rich_text\" without `relation`",
            relation.value
        ));
    }
    reader.complaints().add(error);
}

#[cfg(test)]
mod tests;
