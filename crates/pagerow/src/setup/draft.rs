//! The configuration held against the tables alone: what each field holds, and what its property should be.
//!
//! This much is known before a data source is made; [`super::schema`] makes data sources from it and
//! [`super::resolve`](mod@super::resolve) completes it.

mod columns;
pub(super) mod expression;
mod field;
mod join;
pub(super) mod samples;

use pagerow_core::{
    lens::Lens,
    mapping::{ColumnKind, Flow},
    side::Side,
};

use super::{
    drift::Followed,
    found::{Found, Warning},
    tables::{self, ColumnInfo, Identity, TableInfo},
};
use crate::{
    config::{Config, ConfigError, FieldConfig, MappingConfig, Place, PropertyWord, Setting, nearest},
    postgres::table::{BesideColumn, Bookkeeping, FieldSource, KeyColumn, SoftDelete, TimeColumn},
};

/// One mapping, as far as the tables tell.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub config: &'a MappingConfig,
    pub table: &'a TableInfo,
    pub key: Vec<KeyColumn>,
    pub direction: Flow,
    pub fields: Vec<DraftField<'a>>,
    pub updated_at: Option<TimeColumn>,
    pub soft_delete: Option<SoftDelete>,
    pub bookkeeping: Bookkeeping,
}

/// One field, as far as the tables tell.
#[derive(Clone, Debug)]
pub struct DraftField<'a> {
    pub config: &'a FieldConfig,
    pub column: Option<&'a ColumnInfo>,
    pub holds: ColumnKind,
    pub source: FieldSource,
    pub required: bool,
    /// What the column and the wishes allow.
    pub flow: Flow,
    /// The kind that `as` names, else the one that suits the column best.
    pub wanted: PropertyWord,
    /// Names of the options that the column's values need.
    pub options: Vec<String>,
    /// What stands between the column and the property.
    pub lens: Option<Lens>,
    /// Columns that are looked at for the sake of this one.
    pub beside: Vec<BesideColumn>,
}

/// What is being looked at, and what was found wrong.
pub(super) struct Look<'a> {
    /// Under the names of today.
    pub(super) config: &'a Config,
    pub(super) followed: &'a Followed,
    pub(super) found: &'a Found,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Look<'a> {
    pub(super) fn new(followed: &'a Followed, found: &'a Found) -> Self {
        let config = &followed.config;
        Self { config, followed, found, errors: Vec::new(), warnings: found.notes.clone() }
    }

    pub(super) fn error(
        &self,
        place: &Place,
        code: &'static str,
        key: &str,
        message: impl Into<String>,
    ) -> ConfigError {
        self.config.error(place, code, key, message)
    }

    pub(super) fn complain<T>(
        &mut self,
        setting: &Setting<T>,
        code: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let error = self.error(&setting.place, code, &setting.key, message).advise(advice);
        self.errors.push(error);
    }

    pub(super) fn warn(
        &mut self,
        key: impl Into<String>,
        message: impl Into<String>,
        advice: Option<String>,
    ) {
        self.warnings.push(Warning { key: key.into(), message: message.into(), advice });
    }

    /// A column that a setting names; complains when there is none.
    pub(super) fn column(
        &mut self,
        table: &'a TableInfo,
        setting: &Setting<String>,
    ) -> Option<&'a ColumnInfo> {
        let found = table.column(setting);
        if found.is_none() {
            let error = no_such_column(self, table, setting, &setting.place, &setting.key);
            self.errors.push(error);
        }
        found
    }

    /// The table of a mapping; `None` when there is none, which that mapping's own error says.
    pub(super) fn table_of(&self, mapping: &str) -> Option<&'a TableInfo> {
        tables::find(&self.found.tables, &self.config.mapping(mapping)?.table)
    }
}

pub(super) fn no_such_column(
    look: &Look<'_>,
    table: &TableInfo,
    name: &str,
    place: &Place,
    key: &str,
) -> ConfigError {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let message = format!("the table {} has no column {name}", table.full_name());
    let error =
        look.error(place, "no_such_column", key, message).suggest(nearest(name, names.iter().copied()));
    if error.suggestion.is_some() {
        error
    } else {
        error.advise(format!("its columns are {}", names.join(", ")))
    }
}

/// Drafts of all mappings that the tables allow; the others have left their errors, or are paused.
pub(super) fn drafts<'a>(look: &mut Look<'a>) -> Vec<Draft<'a>> {
    let stands = |mapping: &&MappingConfig| {
        let pause = look.followed.mapping_pause(&mapping.name);
        pause.is_none_or(|pause| pause.side == Some(Side::Notion))
    };
    let mappings: Vec<&MappingConfig> = look.config.mappings.iter().filter(stands).collect();
    mappings.into_iter().filter_map(|mapping| draft(look, mapping)).collect()
}

fn draft<'a>(look: &mut Look<'a>, config: &'a MappingConfig) -> Option<Draft<'a>> {
    let table = table(look, config)?;
    let key = key(look, config, table);
    let direction = direction(look, config, table);
    let prefix = format!("mapping.{}", config.name);
    if let Some(problem) = look.found.refused_sql.get(&format!("{prefix}.where")).cloned()
        && let Some(condition) = &config.condition
    {
        let message = format!("the database does not accept this condition: {problem}");
        look.complain(
            condition,
            "wrong_condition",
            message,
            "write what could stand after WHERE, with the table's columns",
        );
    }
    let updated_at = config.updated_at.as_ref().and_then(|setting| columns::time(look, table, setting));
    let soft_delete =
        config.soft_delete.as_ref().and_then(|setting| columns::soft_delete(look, table, setting));
    let bookkeeping = columns::bookkeeping(look, config, table);
    let fields: Vec<DraftField<'a>> = config
        .fields
        .iter()
        // Of a field whose column is lost nothing can be drafted.
        .filter(|field| {
            let pause = look.followed.field_pause(&config.name, &field.column);
            pause.is_none_or(|pause| pause.side == Some(Side::Notion))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|field| field::draft(look, config, table, direction, field))
        .collect();
    let mut fields = fields;
    choose_title(config, &mut fields);
    for name in &config.match_on {
        if !config.fields.iter().any(|field| field.column == name.value) {
            let names = config.fields.iter().map(|field| field.column.as_str());
            let near = nearest(name, names).map(str::to_owned);
            let error = look
                .error(
                    &name.place,
                    "no_such_field",
                    &name.key,
                    format!("match_on names {}, which is no field of this mapping", name.value),
                )
                .suggest(near)
                .advise("name columns that stand under fields");
            look.errors.push(error);
        }
    }
    if config.rules.on_conflict == pagerow_core::mapping::Policy::LastWriteWins
        && config.updated_at.is_none()
        && direction == Flow::Both
    {
        look.warn(
            format!("{prefix}.on_conflict"),
            "last_write_wins without `updated_at` takes the time at which a change was seen for the time of the edit",
            Some("name the column that says when a row was last edited: updated_at = \"updated_at\"".to_owned()),
        );
    }
    Some(Draft { config, table, key: key?, direction, fields, updated_at, soft_delete, bookkeeping })
}

fn table<'a>(look: &mut Look<'a>, config: &'a MappingConfig) -> Option<&'a TableInfo> {
    let tables = &look.found.tables;
    let Some(table) = tables::find(tables, &config.table) else {
        let full: Vec<String> = tables.iter().map(TableInfo::full_name).collect();
        let short = tables.iter().map(|table| table.name.as_str());
        let near = if config.table.contains('.') {
            nearest(&config.table, full.iter().map(String::as_str)).map(str::to_owned)
        } else {
            nearest(&config.table, short).map(str::to_owned)
        };
        let several = tables.iter().filter(|table| table.name == config.table.value).count() > 1;
        let message = if several {
            format!("several schemas have a table {}", config.table.value)
        } else {
            format!("the database has no table {} that this role can see", config.table.value)
        };
        let error = look.error(&config.table.place, "no_such_table", &config.table.key, message);
        let error = match (several, near) {
            (false, Some(near)) => error.suggest(Some(near)),
            _ => error.advise(
                "write it as schema.table; the role needs USAGE on the schema and SELECT on the table",
            ),
        };
        look.errors.push(error);
        return None;
    };
    if !table.may_select {
        let message = format!("the role may not read the table {}", table.full_name());
        let advice = format!("GRANT SELECT ON {} TO the role", table.full_name());
        look.complain(&config.table, "missing_rights", message, advice);
    }
    if table.may_hide_rows {
        look.warn(
            format!("mapping.{}", config.name),
            format!("row level security may hide rows of {} from this role", table.full_name()),
            Some("a row that is hidden looks deleted; connect as the table's owner, or as a role with BYPASSRLS".to_owned()),
        );
    }
    Some(table)
}

/// The key's columns; a view has none, and takes those of `match_on`.
fn key<'a>(look: &mut Look<'a>, config: &'a MappingConfig, table: &'a TableInfo) -> Option<Vec<KeyColumn>> {
    let mut names: Vec<String> = table.key().to_vec();
    if names.is_empty() && !table.is_writable() {
        names = config.match_on.iter().map(|name| name.value.clone()).collect();
    }
    if names.is_empty() {
        let (message, advice) = if table.is_writable() {
            (
                format!(
                    "the table {} has no primary key, so its rows cannot be told apart",
                    table.full_name()
                ),
                format!(
                    "add one: ALTER TABLE {} ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                    table.full_name()
                ),
            )
        } else {
            (
                format!("{} is a view, which has no key of its own", table.full_name()),
                "name the columns that tell its rows apart: match_on = [\"id\"]".to_owned(),
            )
        };
        look.complain(&config.table, "no_key", message, advice);
        return None;
    }
    let columns: Vec<KeyColumn> = names
        .iter()
        .filter_map(|name| table.column(name))
        .map(|column| KeyColumn {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            identity_always: column.identity == Some(Identity::Always),
        })
        .collect();
    (columns.len() == names.len()).then_some(columns)
}

fn direction<'a>(look: &mut Look<'a>, config: &'a MappingConfig, table: &'a TableInfo) -> Flow {
    let wish = config.rules.direction.value;
    if table.is_writable() {
        let table_name = table.full_name();
        let missing: Vec<&str> = [(!table.may_insert, "INSERT"), (!table.may_delete, "DELETE")]
            .iter()
            .filter_map(|(missing, word)| missing.then_some(*word))
            .collect();
        if wish.reaches(Side::Postgres) && !missing.is_empty() {
            look.warn(
                format!("mapping.{}", config.name),
                format!(
                    "the role lacks {} on {table_name}: what needs it will be parked",
                    missing.join(" and ")
                ),
                Some(format!("GRANT {} ON {table_name} TO the role", missing.join(", "))),
            );
        }
        return wish;
    }
    if let Some(own) = config.own_direction().filter(|own| own.value != Flow::ToNotion) {
        let message = format!("{} is no table, so nothing can be written to it", table.full_name());
        look.complain(own, "wrong_direction", message, "write direction = \"to_notion\", or leave it out");
    }
    Flow::ToNotion
}

/// Every data source has one title. Where the file names none, the first field that reads like a name is it.
fn choose_title(config: &MappingConfig, fields: &mut [DraftField<'_>]) {
    if config.data_source.value != crate::config::DataSourceWish::Create
        || fields.iter().any(|field| field.wanted == PropertyWord::Title)
    {
        return;
    }
    let free = |field: &DraftField<'_>| {
        field.config.shown_as.is_none()
            && matches!(field.wanted, PropertyWord::RichText | PropertyWord::Email)
    };
    let best = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| free(field))
        .max_by_key(|(at, field)| (super::pairing::title_score(&field.config.column), std::cmp::Reverse(*at)))
        .map(|(at, _)| at);
    if let Some(at) = best {
        fields[at].wanted = PropertyWord::Title;
    }
}
