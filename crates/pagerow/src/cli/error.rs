//! Turns every error into what a person or a script is told: what went wrong, where, what to do, and the exit code.
//!
//! Nothing here quotes a cell or a secret: the errors that come in hold codes, names, places and limits only.

use std::collections::BTreeSet;

use pagerow_core::{digest::Digest, guard::Refusal};
use serde_json::{Map, Value as Json, json};

use super::exit::Exit;
use crate::{
    config::ConfigErrors,
    engine::{EngineError, NotChosen},
    notion::{NotionError, error::Capability, pages::PagesError},
    postgres::{Database, PostgresError, rows::RowsError, transaction::TxError},
    setup::{InspectError, drift::Pause, schema::ApplyError},
    store::StoreError,
    wiring::WiringError,
};

/// Why a command could not do its work.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// Each with its own place.
    Config(ConfigErrors),
    One(Box<One>),
}

#[derive(Debug)]
struct One {
    kind: &'static str,
    /// A stable word, an SQLSTATE, or Notion's error code.
    code: Option<String>,
    message: String,
    key: Option<String>,
    suggestion: Option<String>,
    advice: Option<String>,
    /// Members beside the usual ones.
    more: Map<String, Json>,
}

impl CliError {
    fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        let one = One {
            kind,
            code: None,
            message: message.into(),
            key: None,
            suggestion: None,
            advice: None,
            more: Map::new(),
        };
        Self { exit, told: Told::One(Box::new(one)) }
    }

    /// The command was used in a way that cannot work.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Wrong, "usage", message)
    }

    /// Something of this machine (a file, a terminal) did not work.
    #[must_use]
    pub fn io(what: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, "io", format!("{what}: {error}"))
    }

    /// What was asked for cannot be done while a mapping is paused.
    #[must_use]
    pub fn paused(pause: &Pause) -> Self {
        Self::new(Exit::Decisions, "paused", pause.to_string())
            .about(format!("mapping.{}", pause.mapping))
            .advise(format!("nothing was written; {}", pause.advice))
    }

    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        if let Told::One(one) = &mut self.told {
            one.advice = Some(advice.into());
        }
        self
    }

    /// With the nearest valid name.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        if let Told::One(one) = &mut self.told {
            one.suggestion = suggestion.map(Into::into);
        }
        self
    }

    /// With the setting, flag or argument that it is about.
    #[must_use]
    pub fn about(mut self, key: impl Into<String>) -> Self {
        if let Told::One(one) = &mut self.told {
            one.key = Some(key.into());
        }
        self
    }

    fn code(mut self, code: Option<impl Into<String>>) -> Self {
        if let Told::One(one) = &mut self.told {
            one.code = code.map(Into::into);
        }
        self
    }

    fn with(mut self, member: &str, value: Json) -> Self {
        if let Told::One(one) = &mut self.told {
            one.more.insert(member.to_owned(), value);
        }
        self
    }

    /// What a transaction's error means, where the database is known.
    #[must_use]
    pub fn of_transaction(error: &TxError, database: &Database) -> Self {
        database.explain(error).into()
    }

    /// What an error of the store means, where the database is known.
    #[must_use]
    pub fn of_store(error: StoreError, database: &Database) -> Self {
        let may_pass = error.may_pass();
        let message = error.to_string();
        match error {
            StoreError::Database(error) => Self::of_transaction(&error, database),
            StoreError::Refused { .. } => {
                Self::new(Exit::Wrong, "postgres", message).code(Some("missing_rights"))
            }
            StoreError::TooNew { .. } | StoreError::Altered { .. } => {
                Self::new(Exit::Wrong, "store", message).code(Some("version"))
            }
            StoreError::Held { seconds, .. } => {
                Self::new(Exit::Failed, "busy", message).with("seconds", seconds.into()).advise(
                    "let the other one finish, or end it; its claim ends by itself when it stops renewing it",
                )
            }
            StoreError::Fenced => Self::new(Exit::Failed, "busy", message)
                .advise("the other one goes on with the work; `pagerow runs` shows it"),
            StoreError::Lost(_) | StoreError::Unreadable { .. } => {
                let error = Self::new(Exit::Failed, "store", message);
                if may_pass { error.advise("try again") } else { error }
            }
        }
    }

    /// What an error of the engine means, where the database is known.
    #[must_use]
    pub fn of_engine(error: EngineError, database: &Database) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Store(error) => Self::of_store(error, database),
            EngineError::Rows { mapping, source } => Self::of_side(&mapping, message, &*source, database),
            EngineError::Pages { mapping, source } => Self::of_side(&mapping, message, &*source, database),
            EngineError::Refused(refused) => Self::of_stops(&refused.refusals, false),
            EngineError::StalePlan { kept, now } => Self::new(Exit::Decisions, "stale_plan", message)
                .with("kept", kept.to_string().into())
                .with("now", now.to_string().into())
                .advise("nothing was written; the same command again shows what it would do now, `pagerow plan --out FILE` keeps a new plan"),
            EngineError::ConflictMoved(ids) => Self::new(Exit::Decisions, "conflict_moved", message)
                .with("conflicts", Json::from(ids))
                .advise("nothing was written; `pagerow sync` brings the list up to date, `pagerow conflicts` shows it"),
            EngineError::Unholdable { reason, .. } => Self::new(Exit::Wrong, "cannot_hold", message)
                .code(Some(reason.code))
                .advise("nothing was written; keep the other side, or give a --value that both can hold"),
            EngineError::RefusedBySide { .. } => Self::new(Exit::Failed, "notion", message)
                .code(Some("refused"))
                .advise("`pagerow doctor` says what the connection lacks; what was done until then is kept"),
            EngineError::Renewal(source) => match source.downcast::<WiringError>() {
                Ok(error) => (*error).into(),
                Err(_) => Self::new(Exit::Failed, "failed", message),
            },
            EngineError::NotChosen(why) => Self::of_choice(&why),
            EngineError::OtherOperation { operation, .. } => Self::new(Exit::Decisions, "recovery", message)
                .code(Some("other_operation"))
                .with("operation", operation.into())
                .advise("nothing was written; `pagerow recover from-notion --cancel` gives it up, and a new one begins anew"),
            EngineError::Cancelled(operation) => Self::new(Exit::Failed, "recovery", message)
                .code(Some("cancelled"))
                .with("operation", operation.into())
                .advise("nothing was written, and what had been retrieved is dropped"),
            EngineError::Stopped => Self::new(Exit::Failed, "stopped", message)
                .advise("what was done is kept; the next `pagerow sync` goes on from there"),
            EngineError::NoSuchRun(_) => Self::usage(message)
                .code(Some("no_such_run"))
                .about("RUN")
                .advise("`pagerow runs` lists them"),
            EngineError::RunOpen(_) => Self::usage(message)
                .code(Some("run_open"))
                .about("RUN")
                .advise("wait for its end; a run that was killed ends with the next `pagerow sync`"),
            EngineError::AlreadyUndone { by, .. } => Self::usage(message)
                .code(Some("already_undone"))
                .about("RUN")
                .with("by", by.into())
                .advise(format!("`pagerow undo {by}` does it again")),
            EngineError::NotUndoable { .. } => Self::usage(message)
                .code(Some("not_undoable"))
                .about("RUN")
                .advise("nothing was written; `pagerow show RUN` has every value before and after"),
            EngineError::NoSuchMapping(name) => {
                Self::usage(format!("the configuration has no mapping named {name}")).about("MAPPING")
            }
            EngineError::Restless(_) => Self::new(Exit::Failed, "restless", message)
                .advise("a default, a trigger or another program may be changing what pagerow writes"),
        }
    }

    fn of_choice(why: &NotChosen) -> Self {
        let (code, about, advice) = match why {
            NotChosen::NoSuchRow { .. } => {
                ("no_such_row", "KEY", "a recovery lists the rows that it asks about with their keys")
            }
            NotChosen::NoSuchPage { .. } => (
                "no_such_page",
                "--page",
                "a recovery lists the pages that it asks about; one in the trash has to be taken out first",
            ),
            NotChosen::Unreadable { .. } => {
                ("unreadable", "KEY", "a recovery lists what it asks about, with keys and page ids")
            }
            NotChosen::Linked { .. } => {
                ("linked", "KEY", "only rows and pages without a link can be chosen for each other")
            }
            NotChosen::Chosen(_) => {
                ("chosen", "KEY", "`pagerow recover choose MAPPING KEY --take-back` takes that back first")
            }
            NotChosen::NotLinked(_) => {
                ("not_linked", "KEY", "only the two halves of a link can be taken apart")
            }
            NotChosen::InDoubt(_) => {
                ("in_doubt", "KEY", "run `pagerow sync` until that write has ended, and try again")
            }
            NotChosen::NothingSaid(_) => {
                ("nothing_said", "KEY", "`pagerow recover choices` lists what was said")
            }
        };
        Self::usage(why.to_string())
            .code(Some(code))
            .about(about)
            .advise(format!("nothing was kept; {advice}"))
    }

    /// What the guard stopped. `named`: something was named that may pass, and this is not it.
    #[must_use]
    pub fn of_stops(stops: &[Refusal], named: bool) -> Self {
        let mut names: Vec<Digest> = stops.iter().filter_map(|stop| stop.pass).collect();
        names.dedup();
        let flags: Vec<String> = names.iter().map(|name| format!("--override {name}")).collect();
        let mappings: BTreeSet<&str> = stops.iter().map(|stop| stop.mapping.as_str()).collect();
        let told: Vec<String> = mappings
            .iter()
            .map(|mapping| {
                let texts: Vec<&str> = stops
                    .iter()
                    .filter(|stop| stop.mapping == *mapping)
                    .map(|stop| stop.text.as_str())
                    .collect();
                format!("{mapping} was stopped: {}", texts.join("; "))
            })
            .collect();
        let mut advice: Vec<&str> = Vec::new();
        for stop in stops {
            if !advice.contains(&stop.advice.as_str()) {
                advice.push(&stop.advice);
            }
        }
        let mut advice = advice.join("\n");
        let plural = if mappings.len() == 1 { "it" } else { "them" };
        advice.push_str(&format!("\nnothing of {plural} was written; `pagerow plan` shows what would be"));
        if !flags.is_empty() {
            advice.push_str(&format!("\nto let exactly that pass, once: {}", flags.join(" ")));
        }
        if named {
            advice.push_str(
                "\nwhat --override named is another plan: something has changed since it was shown",
            );
        }
        let refusals = stops.iter().map(super::render::plan_json::refusal).collect();
        let name = |name: &Digest| Json::from(name.to_string());
        Self::new(Exit::Decisions, "guard", told.join("; "))
            .code(stops.first().map(|stop| stop.rule.name()))
            .with("refusals", Json::Array(refusals))
            .with("override", if let [one] = names.as_slice() { name(one) } else { Json::Null })
            .with("overrides", names.iter().map(name).collect())
            .advise(advice)
    }

    /// An error that one side raised for one mapping. Its kind and advice come from the cause.
    fn of_side(
        mapping: &str,
        message: String,
        source: &(dyn std::error::Error + Send + Sync + 'static),
        database: &Database,
    ) -> Self {
        let mut error = if let Some(RowsError::Tx(error)) = source.downcast_ref() {
            Self::of_transaction(error, database)
        } else if let Some(PagesError::Notion(error)) = source.downcast_ref() {
            Self::of_notion(error)
        } else {
            Self::new(Exit::Failed, "failed", String::new())
        };
        if let Told::One(one) = &mut error.told {
            one.message = message;
            one.key = Some(format!("mapping.{mapping}"));
        }
        error
    }

    fn of_notion(error: &NotionError) -> Self {
        let exit = match error {
            NotionError::WrongToken(_)
            | NotionError::NotShared { .. }
            | NotionError::MissingCapability { .. }
            | NotionError::WrongKindOfId { .. }
            | NotionError::SeveralDataSources { .. }
            | NotionError::Unsendable(_) => Exit::Wrong,
            NotionError::BlockLimit(_)
            | NotionError::Invalid { .. }
            | NotionError::StaleCursor(_)
            | NotionError::InTrash { .. }
            | NotionError::Conflict { .. }
            | NotionError::RowLimit { .. }
            | NotionError::RateLimited { .. }
            | NotionError::Overloaded { .. }
            | NotionError::Saved { .. }
            | NotionError::Server(_)
            | NotionError::Unexpected(_)
            | NotionError::UnreadableAnswer { .. }
            | NotionError::OnlyId { .. }
            | NotionError::Unconnected(_)
            | NotionError::ConnectionLost(_)
            | NotionError::Overdue
            | NotionError::Timeout => Exit::Failed,
        };
        let code = match error {
            NotionError::WrongToken(_) => "wrong_token",
            NotionError::NotShared { .. } => "not_shared",
            NotionError::MissingCapability { .. } | NotionError::OnlyId { .. } => "missing_capability",
            NotionError::WrongKindOfId { .. } => "wrong_kind_of_id",
            NotionError::SeveralDataSources { .. } => "several_data_sources",
            NotionError::BlockLimit(_) => "block_limit",
            NotionError::RowLimit { .. } => "row_limit",
            NotionError::RateLimited { .. } | NotionError::Overloaded { .. } | NotionError::Overdue => {
                "rate_limited"
            }
            NotionError::Unconnected(_) | NotionError::ConnectionLost(_) | NotionError::Timeout => {
                "no_answer"
            }
            NotionError::Unsendable(_) => "unsendable",
            NotionError::Invalid { .. }
            | NotionError::StaleCursor(_)
            | NotionError::InTrash { .. }
            | NotionError::Conflict { .. } => "refused",
            NotionError::Saved { .. }
            | NotionError::Server(_)
            | NotionError::Unexpected(_)
            | NotionError::UnreadableAnswer { .. } => "trouble",
        };
        let key = match error {
            NotionError::WrongToken(_)
            | NotionError::MissingCapability { capability: Capability::UserInformation, .. } => {
                Some("notion.token")
            }
            NotionError::Unconnected(_) => Some("notion.base_url"),
            _ => None,
        };
        let told = Self::new(exit, "notion", error.to_string()).code(Some(code)).advise(error.advice());
        match key {
            Some(key) => told.about(key),
            None => told,
        }
    }

    /// For scripts: the object behind `error`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.told {
            Told::Config(errors) => errors.to_json(),
            Told::One(one) => {
                let mut members = json!({
                    "kind": one.kind,
                    "code": one.code,
                    "message": one.message,
                    "file": null,
                    "line": null,
                    "key": one.key,
                    "suggestion": one.suggestion,
                    "advice": one.advice,
                });
                if let Some(object) = members.as_object_mut() {
                    object.extend(one.more.clone());
                }
                members
            }
        }
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = match &self.told {
            Told::Config(errors) => return errors.fmt(f),
            Told::One(one) => one,
        };
        write!(f, "error: {}", one.message)?;
        if let Some(key) = &one.key {
            write!(f, "\n --> {key}")?;
        }
        if let Some(suggestion) = &one.suggestion {
            write!(f, "\n  = did you mean `{suggestion}`?")?;
        }
        if let Some(advice) = &one.advice {
            for line in advice.lines() {
                write!(f, "\n  = {line}")?;
            }
        }
        Ok(())
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> Self {
        Self { exit: Exit::Wrong, told: Told::Config(errors) }
    }
}

impl From<NotionError> for CliError {
    fn from(error: NotionError) -> Self {
        Self::of_notion(&error)
    }
}

impl From<PostgresError> for CliError {
    fn from(error: PostgresError) -> Self {
        let (exit, code) = match &error {
            PostgresError::ConnectionString(_) => (Exit::Wrong, "connection_string"),
            PostgresError::WrongPassword { .. } => (Exit::Wrong, "wrong_password"),
            PostgresError::DatabaseMissing { .. } => (Exit::Wrong, "no_database"),
            PostgresError::NotAdmitted { .. } => (Exit::Wrong, "not_admitted"),
            PostgresError::NoTls { .. } => (Exit::Wrong, "no_tls"),
            PostgresError::Certificate { .. } => (Exit::Wrong, "certificate"),
            PostgresError::Tls { .. } => (Exit::Wrong, "tls"),
            PostgresError::ReadOnly { .. } => (Exit::Wrong, "read_only"),
            PostgresError::MissingRights { .. } => (Exit::Wrong, "missing_rights"),
            PostgresError::Missing { .. } => (Exit::Wrong, "missing"),
            PostgresError::NoServer { .. } => (Exit::Failed, "no_server"),
            PostgresError::Unavailable { .. } => (Exit::Failed, "unavailable"),
            PostgresError::ConnectionLost { .. } => (Exit::Failed, "connection_lost"),
            PostgresError::PoolExhausted { .. } | PostgresError::PoolClosed => {
                (Exit::Failed, "no_connection")
            }
            PostgresError::StatementTimeout | PostgresError::LockTimeout => (Exit::Failed, "timeout"),
            PostgresError::Collision { .. }
            | PostgresError::Constraint(_)
            | PostgresError::Value { .. }
            | PostgresError::Full { .. }
            | PostgresError::NotificationsLost { .. }
            | PostgresError::Server { .. }
            | PostgresError::Protocol(_) => (Exit::Failed, "refused"),
        };
        let mut told = Self::new(exit, "postgres", error.to_string()).code(Some(code));
        if let Some(sqlstate) = error.sqlstate() {
            told = told.with("sqlstate", sqlstate.into());
        }
        if matches!(
            code,
            "connection_string"
                | "wrong_password"
                | "no_database"
                | "no_server"
                | "no_tls"
                | "certificate"
                | "tls"
                | "not_admitted"
        ) {
            told = told.about("postgres.url");
        }
        match error.advice() {
            Some(advice) => told.advise(advice),
            None => told,
        }
    }
}

impl From<InspectError> for CliError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Postgres(error) => error.into(),
            InspectError::Notion(error) => error.into(),
        }
    }
}

impl From<ApplyError> for CliError {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        let advice = error.advice();
        let mut told = match error {
            ApplyError::Config(errors) => return errors.into(),
            ApplyError::Notion { error, .. } => Self::of_notion(&error),
            ApplyError::Postgres { error, .. } => error.into(),
            ApplyError::WriteBack { .. } | ApplyError::Amend { .. } => {
                Self::new(Exit::Failed, "io", String::new())
            }
        };
        if let Told::One(one) = &mut told.told {
            one.message = message;
            one.advice = advice;
        }
        told
    }
}

impl From<WiringError> for CliError {
    fn from(error: WiringError) -> Self {
        match error {
            WiringError::Config(errors) => errors.into(),
            WiringError::Postgres(error) => error.into(),
            WiringError::Notion(error) => error.into(),
            WiringError::Store { error, database } => Self::of_store(error, &database),
            WiringError::Rows { mapping, error } => {
                Self::new(Exit::Wrong, "configuration", error.to_string()).about(format!("mapping.{mapping}"))
            }
            WiringError::Pages { mapping, error } => {
                Self::new(Exit::Wrong, "configuration", error.to_string()).about(format!("mapping.{mapping}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
