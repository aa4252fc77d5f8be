//! Every precondition of a sync as a list of checks, each with what was found and how to mend it.

use std::path::Path;

use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    Found, InspectError, Sight, SourceFound, connect,
    drift::Memories,
    inspect,
    inspect::people,
    resolve,
    schema::{self, SchemaChange, SchemaPlan},
};
use crate::{
    config::{Capture, Config, ConfigError, ConfigErrors, DataSourceWish},
    notion::{
        NotionClient, NotionError,
        wire::{Entry, UserKind},
    },
    postgres::{
        ConnectionString, Database, PostgresError, ServerFacts,
        facts::{OLDEST_VERSION, Pooler},
    },
};

/// One precondition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a few stable words.
    pub name: String,
    pub status: Status,
    /// A sentence.
    pub found: String,
    /// How to mend it.
    pub advice: Option<String>,
}

/// How a check ended. In the order of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Warn,
    Fail,
}

impl Check {
    fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Ok, found: found.into(), advice: None }
    }

    fn warn(name: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(name: impl Into<String>, found: impl Into<String>, advice: Option<String>) -> Self {
        Self { name: name.into(), status: Status::Fail, found: found.into(), advice }
    }

    fn of_postgres(name: &str, error: &PostgresError) -> Self {
        Self::fail(name, error.to_string(), error.advice().map(str::to_owned))
    }

    fn of_notion(name: &str, error: &NotionError) -> Self {
        Self::fail(name, error.to_string(), Some(error.advice().into_owned()))
    }

    fn of_config(name: &str, error: &ConfigError) -> Self {
        let place = match (&error.file, error.line, error.column) {
            (Some(file), Some(line), Some(column)) => format!(" ({}:{line}:{column})", file.display()),
            _ => String::new(),
        };
        let near = error.suggestion.as_ref().map(|near| format!("did you mean `{near}`?"));
        let advice = match (near, &error.advice) {
            (Some(near), Some(advice)) => Some(format!("{near} {advice}")),
            (near, advice) => near.or_else(|| advice.clone()),
        };
        Self::fail(name, format!("{}{place}", error.message), advice)
    }
}

/// The worst of some checks; well when there are none.
#[must_use]
pub fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}

/// Looks at everything; writes nothing. What depends on something that failed is left out.
pub async fn examine(path: &Path, flags: &[(String, String)]) -> Vec<Check> {
    examine_beside(path, flags, async |_, _| Memories::new()).await
}

/// As [`examine`]; `remember` says what the configuration's names meant when they were last bound.
pub async fn examine_beside(
    path: &Path,
    flags: &[(String, String)],
    remember: impl AsyncFn(&Config, &Database) -> Memories,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let config = match Config::load(path, flags) {
        Ok(config) => config,
        Err(errors) => {
            checks.extend(errors.0.iter().map(|error| Check::of_config("configuration", error)));
            return checks;
        }
    };
    checks.push(Check::ok(
        "configuration",
        format!("{} is sound, with {} mappings", path.display(), config.mappings.len()),
    ));
    let database = postgres(&config, &mut checks).await;
    let client = notion(&config, &mut checks).await;
    if let (Some(database), Some(client)) = (database, client) {
        let remembered = remember(&config, &database).await;
        mappings(&config, &database, &client, remembered, &mut checks).await;
    }
    checks
}

async fn postgres(config: &Config, checks: &mut Vec<Check>) -> Option<Database> {
    let name = "postgres connection";
    let string = match ConnectionString::parse(config.postgres.url.expose_secret()) {
        Ok(string) => string,
        Err(error) => {
            checks.push(Check::of_postgres(name, &error.into()));
            return None;
        }
    };
    for warning in string.warnings() {
        checks.push(Check::warn("postgres encryption", warning.clone(), "change the connection string"));
    }
    let database = match Database::connect(&string).await {
        Ok(database) => database,
        Err(error) => {
            checks.push(Check::of_postgres(name, &error));
            return None;
        }
    };
    checks.push(Check::ok(name, format!("{} answers", database.address())));
    match ServerFacts::read(&database, &config.postgres.schema).await {
        Ok(facts) => server(config, &facts, checks),
        Err(error) => checks.push(Check::of_postgres("postgres server", &error)),
    }
    if let Some(listen) = &config.postgres.listen_url {
        let name = "postgres listen_url";
        let reached = match ConnectionString::parse(listen.expose_secret()) {
            Ok(string) => Database::connect(&string).await,
            Err(error) => Err(error.into()),
        };
        checks.push(match reached {
            Ok(direct) => match ServerFacts::read(&direct, &config.postgres.schema).await {
                Ok(facts) if facts.pooler == Pooler::Transaction => Check::fail(
                    name,
                    "it leads to a pooler in transaction mode, through which no notifications come",
                    Some("give the address of the server itself".to_owned()),
                ),
                Ok(_) => Check::ok(name, format!("{} answers directly", direct.address())),
                Err(error) => Check::of_postgres(name, &error),
            },
            Err(error) => Check::of_postgres(name, &error),
        });
    }
    Some(database)
}

fn server(config: &Config, facts: &ServerFacts, checks: &mut Vec<Check>) {
    checks.push(if facts.version_number < OLDEST_VERSION {
        Check::fail(
            "postgres version",
            format!("the server is version {}", facts.version),
            Some("pagerow needs version 13 or newer".to_owned()),
        )
    } else {
        Check::ok("postgres version", facts.version.clone())
    });
    checks.push(if facts.in_recovery {
        Check::fail(
            "postgres writes",
            "the server is a replica, which takes no writes",
            Some("connect to the primary server".to_owned()),
        )
    } else if facts.read_only {
        Check::fail(
            "postgres writes",
            "transactions are read only by default",
            Some("ALTER ROLE … SET default_transaction_read_only = off, or use another role".to_owned()),
        )
    } else {
        Check::ok("postgres writes", "the server takes writes")
    });
    if facts.encoding != "UTF8" {
        checks.push(Check::warn(
            "postgres encoding",
            format!("the database is in {}, and cannot hold every character that Notion can", facts.encoding),
            "a database in UTF8 can; records with other characters will be parked",
        ));
    }
    let schema = &config.postgres.schema;
    checks.push(match facts.own_schema {
        Some(rights) if rights.usage && rights.create => {
            Check::ok("pagerow's own schema", format!("{schema} is there"))
        }
        Some(_) => Check::fail(
            "pagerow's own schema",
            format!("the role {} may not use the schema {schema}", facts.role),
            Some(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {}", facts.role)),
        ),
        None if facts.may_create_schema => {
            Check::ok("pagerow's own schema", format!("{schema} will be made"))
        }
        None => Check::fail(
            "pagerow's own schema",
            format!("there is no schema {schema}, and the role {} may not make it", facts.role),
            Some(format!("CREATE SCHEMA {schema} AUTHORIZATION {}", facts.role)),
        ),
    });
    checks.push(match facts.pooler {
        Pooler::Transaction if config.postgres.listen_url.is_none() => Check::warn(
            "postgres pooler",
            "a pooler in transaction mode: everything works, but changes are only seen when pagerow looks",
            "give the server's own address as listen_url to be woken at once",
        ),
        Pooler::Transaction => Check::ok("postgres pooler", "in transaction mode"),
        Pooler::NotSeen => Check::ok("postgres pooler", "none seen"),
    });
}

async fn notion(config: &Config, checks: &mut Vec<Check>) -> Option<NotionClient> {
    let name = "notion token";
    let client = match connect::client(config) {
        Ok(client) => client.interactive(),
        Err(error) => {
            checks.push(Check::of_notion(name, &error));
            return None;
        }
    };
    match client.users_me().await {
        Ok(answer) => {
            let workspace = match &answer.body {
                Entry::Whole(user) => match &user.kind {
                    UserKind::Bot(bot) => bot.workspace_name.clone(),
                    _ => None,
                },
                Entry::Partial { .. } | Entry::Other { .. } | Entry::Unreadable { .. } => None,
            };
            let found = workspace.map_or_else(
                || "Notion accepts it".to_owned(),
                |name| format!("Notion accepts it, for the workspace \"{name}\""),
            );
            checks.push(Check::ok(name, found));
        }
        Err(error) => {
            checks.push(Check::of_notion(name, &error));
            return None;
        }
    }
    parents(config, &client, checks).await;
    Some(client)
}

/// The pages under which databases are to be made.
async fn parents(config: &Config, client: &NotionClient, checks: &mut Vec<Check>) {
    let mut seen = Vec::new();
    for mapping in
        config.mappings.iter().filter(|mapping| mapping.data_source.value == DataSourceWish::Create)
    {
        let Some(parent) = &mapping.rules.parent_page else { continue };
        if seen.contains(&parent.value) {
            continue;
        }
        seen.push(parent.value);
        checks.push(match client.page_children(&parent.value.to_string(), None).await {
            Ok(_) => {
                Check::ok("notion parent page", format!("{} is shared with the connection", parent.value))
            }
            Err(error) => Check::of_notion("notion parent page", &error),
        });
    }
}

async fn mappings(
    config: &Config,
    database: &Database,
    client: &NotionClient,
    remembered: Memories,
    checks: &mut Vec<Check>,
) {
    let session = match database.session().await {
        Ok(session) => session,
        Err(error) => return checks.push(Check::of_postgres("postgres connection", &error)),
    };
    let found = match inspect::inspect_beside(config, &session, client, remembered).await {
        Ok(found) => found,
        Err(InspectError::Postgres(error)) => return checks.push(Check::of_postgres("tables", &error)),
        Err(InspectError::Notion(error)) => return checks.push(Check::of_notion("data sources", &error)),
    };
    users(client, &found, checks).await;
    let before = checks.len();
    schema_fits(config, &found, checks);
    match resolve(config, &found) {
        Ok(resolution) => {
            for one in &resolution.mappings {
                let name = format!("mapping {}", one.mapping.name);
                for warning in &one.warnings {
                    checks.push(Check {
                        name: name.clone(),
                        status: Status::Warn,
                        found: format!("{}: {}", warning.key, warning.message),
                        advice: warning.advice.clone(),
                    });
                }
                let key = one.source.key_property.as_ref().map_or_else(
                    || "without a key property".to_owned(),
                    |property| format!("key property \"{}\"", property.name),
                );
                checks.push(Check::ok(
                    name,
                    format!(
                        "{}.{} with \"{}\", {} fields, {key}",
                        one.table.schema,
                        one.table.name,
                        one.source.name,
                        one.mapping.fields.len()
                    ),
                ));
            }
            for moved in &resolution.followed {
                let mapping = moved.key.split('.').nth(1).unwrap_or_default();
                let name = format!("mapping {mapping}");
                checks.push(Check::warn(
                    name,
                    moved.message.clone(),
                    moved.advice.clone().unwrap_or_default(),
                ));
            }
            for pause in &resolution.paused {
                checks.push(Check::warn(
                    format!("mapping {}", pause.mapping),
                    pause.to_string(),
                    pause.advice.clone(),
                ));
            }
            for cycle in &resolution.cycles {
                checks.push(Check::ok(
                    "order",
                    format!("{} refer to each other, and are written in two passes", cycle.join(", ")),
                ));
            }
        }
        Err(errors) => add_config_errors(&errors, before, checks),
    }
}

/// What `schema apply` would make, and what it may not make.
fn schema_fits(config: &Config, found: &Found, checks: &mut Vec<Check>) {
    let Ok(plan) = schema::plan(config, found) else {
        // The same errors come from resolving, all of them.
        return;
    };
    // What was renamed or is paused is told by the resolution; triggers are told below.
    let others = |change: &&SchemaChange| {
        !matches!(
            change,
            SchemaChange::Capture { .. } | SchemaChange::Configure { .. } | SchemaChange::Rewrite { .. }
        )
    };
    for change in plan.changes.iter().filter(others) {
        let name = format!("mapping {}", change.mapping());
        let status = match change {
            // Without triggers each look goes through the table, and everything works.
            SchemaChange::AddOptions { .. }
            | SchemaChange::Capture { .. }
            | SchemaChange::Configure { .. }
            | SchemaChange::Rewrite { .. }
            | SchemaChange::Rebind { .. } => Status::Warn,
            SchemaChange::CreateDatabase { .. }
            | SchemaChange::AddProperty { .. }
            | SchemaChange::Sql { .. } => Status::Fail,
        };
        let advice = Some("`pagerow schema apply` does it".to_owned());
        checks.push(Check { name, status, found: format!("to be made: {change}"), advice });
    }
    capture(config, found, &plan, checks);
    for note in plan.notes {
        let name = format!("mapping {}", note.mapping);
        checks.push(Check::warn(name, note.what, "map it if it is to flow; nothing waits for it"));
    }
    for missing in plan.missing {
        checks.push(Check::warn(format!("mapping {}", missing.mapping), missing.what, missing.advice));
    }
}

/// How changed rows are found, mapping by mapping.
fn capture(config: &Config, found: &Found, plan: &SchemaPlan, checks: &mut Vec<Check>) {
    let notifies = config.postgres.listen_url.is_some();
    if notifies && found.capture.as_ref().is_some_and(|capture| capture.prepares) {
        checks.push(Check::warn(
            "capture",
            "the server lets transactions be prepared for a second phase, which those that notify may not be",
            "changes are found by looking, and nobody's transaction fails; set max_prepared_transactions = 0 if nobody needs it",
        ));
    }
    for mapping in &config.mappings {
        let name = format!("mapping {}", mapping.name);
        let planned = plan
            .changes
            .iter()
            .any(|change| matches!(change, SchemaChange::Capture { .. }) && change.mapping() == mapping.name);
        let refused = plan
            .missing
            .iter()
            .any(|missing| missing.mapping == mapping.name && missing.advice.contains("capture = \"off\""));
        checks.push(match mapping.rules.capture.value {
            _ if refused => continue,
            Capture::Triggers if planned => Check::warn(
                name,
                "the triggers that name changed rows are not all there as they should be; each look goes through the table",
                "`pagerow schema apply` installs them; capture = \"off\" does without",
            ),
            Capture::Triggers => Check::ok(name, "triggers name the rows that change"),
            Capture::Poll => Check::ok(name, "changed rows are found by their edit times; triggers miss none"),
            Capture::Off => Check::ok(name, "changed rows are found by going through the table (capture = \"off\")"),
        });
    }
}

fn add_config_errors(errors: &ConfigErrors, before: usize, checks: &mut Vec<Check>) {
    let planned = checks[before..].iter().any(|check| check.status == Status::Fail);
    for error in &errors.0 {
        // What will be made is no second failure.
        let made = planned
            && ["not_made", "no_such_property", "no_key_property", "no_such_table", "no_such_column"]
                .contains(&error.code);
        if !made {
            checks.push(Check::of_config("mapping", error));
        }
    }
}

/// Whether people can be found by their addresses, where that matters.
async fn users(client: &NotionClient, found: &Found, checks: &mut Vec<Check>) {
    let sight = match found.people.sight {
        Sight::NotAsked => match people(client).await {
            Ok(people) => people.sight,
            Err(error) => return checks.push(Check::of_notion("notion people", &error)),
        },
        sight => sight,
    };
    let needed = found.people.sight != Sight::NotAsked;
    let advice =
        "give the connection \"Read user information including email addresses\" in its settings in Notion";
    checks.push(match (sight, needed) {
        (Sight::Addresses, _) => Check::ok("notion people", "people are seen with their e-mail addresses"),
        (Sight::NotAsked | Sight::Nothing | Sight::Names, false) => {
            Check::ok("notion people", "e-mail addresses are not seen, and no field needs them")
        }
        (Sight::NotAsked | Sight::Nothing, true) => {
            Check::warn("notion people", "no people are seen, and fields need them", advice)
        }
        (Sight::Names, true) => Check::warn(
            "notion people",
            "people are seen without e-mail addresses, and fields need them",
            advice,
        ),
    });
    let shared = found.sources.values().filter(|source| matches!(source, SourceFound::Found(_))).count();
    if shared > 0 {
        checks.push(Check::ok("notion reading", format!("{shared} data sources can be read")));
    }
}
