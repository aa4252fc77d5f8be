//! What is missing on either side, as a list of changes that can be shown first and carried out any number of times.

mod apply;
mod mend;
mod payload;
mod tables;
mod write_back;

use pagerow_core::record::PageId;
use serde::Serialize;

pub use apply::{Applied, ApplyError, Made, apply};
pub use write_back::{WriteBack, make_anew, remember};

use super::{
    capture,
    draft::{Draft, DraftField, Look, drafts},
    drift::{ConfigEdit, Followed, Pause},
    found::{Found, SourceFound, Warning},
    pairing::humanised,
    resolve::bind,
};
use crate::{
    config::{Config, ConfigErrors, DataSourceWish, PropertyWord},
    notion::wire::{DataSource, PropertyConfig, PropertyId, PropertySchema},
};

/// One thing to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SchemaChange {
    /// A database with one data source, without its relations: these need the ids of what they lead to.
    CreateDatabase {
        mapping: String,
        title: String,
        parent: PageId,
        properties: Vec<NewProperty>,
    },
    AddProperty {
        mapping: String,
        property: NewProperty,
    },
    AddOptions {
        mapping: String,
        property: String,
        property_id: String,
        /// `select`, `multi_select` or `status`.
        kind: String,
        /// The ids of the options that are there, which must be sent again.
        existing: Vec<String>,
        names: Vec<String>,
    },
    /// Statements for Postgres that make a table or a column.
    Sql {
        mapping: String,
        /// What it does, as a sentence.
        does: String,
        sql: String,
        /// Quoted, with its schema.
        table: String,
        /// `None`: the whole table.
        column: Option<String>,
        /// It holds nothing that a person entered.
        bookkeeping: bool,
    },
    /// Statements for Postgres that put triggers on tables or take them away. pagerow's own tables are there before.
    Capture {
        mapping: String,
        /// What it does, as a sentence.
        does: String,
        sql: String,
    },
    /// An option was renamed where the column holds its name: the rows follow.
    Rewrite {
        mapping: String,
        column: String,
        /// What it does, as a sentence.
        does: String,
        sql: String,
    },
    /// Something has another name by now; the configuration follows.
    Configure {
        mapping: String,
        edit: ConfigEdit,
    },
    /// A field takes the column or property that is there now, and forgets what was settled through the old one.
    Rebind {
        mapping: String,
        column: String,
        /// Why, as a sentence.
        because: String,
    },
}

/// A property to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewProperty {
    pub name: String,
    pub kind: NewKind,
    pub role: Role,
}

/// Its kind with its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NewKind {
    Title,
    RichText,
    Number,
    Select(Vec<String>),
    MultiSelect(Vec<String>),
    Status(Vec<String>),
    Date,
    People,
    Files,
    Checkbox,
    Url,
    Email,
    PhoneNumber,
    /// To the data source of a mapping.
    Relation(String),
}

/// What a property is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A column's.
    Field(String),
    /// It carries the row's key.
    Key,
    /// pagerow writes into it with each change.
    Stamp,
}

/// What is missing and not pagerow's to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub mapping: String,
    pub what: String,
    pub advice: String,
}

/// Something that is new and breaks nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    pub mapping: String,
    pub what: String,
}

/// All changes in the order in which they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SchemaPlan {
    pub changes: Vec<SchemaChange>,
    pub missing: Vec<Missing>,
    /// What does not flow for now, and what nothing that could be made would mend.
    pub paused: Vec<Pause>,
    /// What was added on either side and is mapped to nothing.
    pub notes: Vec<Note>,
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// Most options in one schema write.
const OPTIONS: usize = 100;

/// What has to be made so that the configuration can be resolved.
///
/// # Errors
/// What is wrong with the configuration and cannot be mended by making something.
pub fn plan(config: &Config, found: &Found) -> Result<SchemaPlan, ConfigErrors> {
    let mut plan = SchemaPlan::default();
    let followed = bind(config, found).followed;
    let mut look = Look::new(&followed, found);
    let drafts = drafts(&mut look);
    plan.changes.extend(tables::changes(&mut look));
    let mut relations = Vec::new();
    for draft in &drafts {
        match found.sources.get(&draft.config.name) {
            Some(SourceFound::Found(source)) if source.in_trash => {}
            Some(SourceFound::Found(source)) => {
                for change in additions(&followed, draft, source, &mut plan.missing) {
                    match &change {
                        SchemaChange::AddProperty { property, .. } if property.is_relation() => {
                            relations.push(change);
                        }
                        _ => plan.changes.push(change),
                    }
                }
            }
            // Its pause says so.
            Some(SourceFound::Problem(_)) if followed.mapping_pause(&draft.config.name).is_some() => {}
            Some(SourceFound::Problem(problem)) => {
                let problem = problem.clone();
                look.complain(&draft.config.data_source, problem.code, problem.message, problem.advice);
            }
            Some(SourceFound::NotMade) | None => {
                creation(&mut look, draft, &mut plan.changes, &mut relations);
            }
        }
    }
    plan.changes.extend(relations);
    if let Some(capture) = &found.capture {
        plan.changes.extend(capture::changes(config, capture, &drafts, &mut plan.missing));
    }
    mend::propose(&followed, found, &drafts, &mut plan);
    ConfigErrors::check(look.errors)?;
    plan.warnings = look.warnings;
    Ok(plan)
}

fn creation<'a>(
    look: &mut Look<'a>,
    draft: &Draft<'a>,
    changes: &mut Vec<SchemaChange>,
    relations: &mut Vec<SchemaChange>,
) {
    let config = draft.config;
    let Some(parent) = &config.rules.parent_page else {
        look.complain(
            &config.data_source,
            "missing_key",
            format!("nothing says where the database of {} is to be made", config.name),
            "write parent_page = \"…\" with the id or address of a page that is shared with the connection, here or under [sync]",
        );
        return;
    };
    let mut properties: Vec<NewProperty> = wanted(draft);
    let titles: Vec<usize> =
        (0..properties.len()).filter(|at| properties[*at].kind == NewKind::Title).collect();
    if let [_, second, ..] = titles.as_slice() {
        let name = properties[*second].name.clone();
        let field = draft.fields.iter().find(|f| f.config.property.as_ref().is_some_and(|p| p.value == name));
        if let Some(word) = field.and_then(|field| field.config.shown_as.as_ref()) {
            look.complain(
                word,
                "second_title",
                "a data source has one title, and another field is it",
                "write another `as`",
            );
        }
        return;
    }
    if titles.is_empty() {
        let key = properties.iter_mut().find(|property| property.role == Role::Key);
        match key {
            Some(key) => key.kind = NewKind::Title,
            None => {
                look.complain(
                    &config.data_source,
                    "no_title",
                    format!("no field of {} can be the title, which every data source has", config.name),
                    "map a text column with as = \"title\", or leave key_property as it is",
                );
                return;
            }
        }
    }
    let (later, now): (Vec<_>, Vec<_>) = properties.into_iter().partition(NewProperty::is_relation);
    relations.extend(
        later
            .into_iter()
            .map(|property| SchemaChange::AddProperty { mapping: config.name.clone(), property }),
    );
    changes.push(SchemaChange::CreateDatabase {
        mapping: config.name.clone(),
        title: humanised(&config.name),
        parent: parent.value,
        properties: now,
    });
}

/// All properties that a mapping needs, in the order of its fields.
fn wanted(draft: &Draft<'_>) -> Vec<NewProperty> {
    let config = draft.config;
    let fields = draft.fields.iter().filter_map(|field| {
        let name = field.config.property.as_ref()?.value.clone();
        let same = |other: &&DraftField<'_>| other.config.property.as_ref().is_some_and(|p| p.value == name);
        // A property that is only looked at is another field's to make.
        if field.config.only_looks() && draft.fields.iter().filter(same).count() > 1 {
            return None;
        }
        Some(NewProperty { name, kind: new_kind(field)?, role: Role::Field(field.config.column.clone()) })
    });
    let key = config.key_property.value.iter().map(|name| NewProperty {
        name: name.clone(),
        kind: NewKind::RichText,
        role: Role::Key,
    });
    let stamp = &config.stamp;
    let stamps = [
        (&stamp.synced_at, NewKind::Date),
        (&stamp.checksum, NewKind::RichText),
        (&stamp.synced, NewKind::Checkbox),
        (&stamp.backup, NewKind::RichText),
    ];
    let stamps = stamps.into_iter().filter_map(|(name, kind)| {
        Some(NewProperty { name: name.as_ref()?.value.clone(), kind, role: Role::Stamp })
    });
    fields.chain(key).chain(stamps).collect()
}

fn new_kind(field: &DraftField<'_>) -> Option<NewKind> {
    // An option's name cannot hold a comma: such a value is parked when it comes, and is no option.
    let options = || {
        let mut names: Vec<String> = Vec::new();
        for name in field.options.iter().filter(|name| !name.contains(',') && !name.is_empty()) {
            if !names.iter().any(|known| known.to_lowercase() == name.to_lowercase()) {
                names.push(name.clone());
            }
        }
        names.truncate(OPTIONS);
        names
    };
    Some(match field.wanted {
        PropertyWord::Title => NewKind::Title,
        PropertyWord::RichText | PropertyWord::Markdown => NewKind::RichText,
        PropertyWord::Number => NewKind::Number,
        PropertyWord::Select => NewKind::Select(options()),
        PropertyWord::MultiSelect => NewKind::MultiSelect(options()),
        PropertyWord::Status => NewKind::Status(options()),
        PropertyWord::Date => NewKind::Date,
        PropertyWord::People => NewKind::People,
        PropertyWord::Files => NewKind::Files,
        PropertyWord::Checkbox => NewKind::Checkbox,
        PropertyWord::Url => NewKind::Url,
        PropertyWord::Email => NewKind::Email,
        PropertyWord::PhoneNumber => NewKind::PhoneNumber,
        PropertyWord::Relation => NewKind::Relation(field.config.relation.as_ref()?.value.clone()),
        PropertyWord::Body => return None,
    })
}

/// What an existing data source lacks.
fn additions(
    followed: &Followed,
    draft: &Draft<'_>,
    source: &DataSource,
    missing: &mut Vec<Missing>,
) -> Vec<SchemaChange> {
    let config = draft.config;
    let mapping = config.name.clone();
    let title = source.title.plain_text();
    let mut changes = Vec::new();
    // What pagerow is told to make belongs to it, also when it is there already.
    let may = config.manage_schema || config.data_source.value == DataSourceWish::Create;
    let not_ours = "add it in Notion, or write manage_schema = true in the mapping";
    for property in wanted(draft) {
        let pause = match &property.role {
            Role::Field(column) => followed.field_pause(&mapping, column),
            Role::Key | Role::Stamp => None,
        };
        // A paused field says itself what it lacks; only what was removed can be made again.
        if pause.is_some_and(|pause| !may || pause.code != "property_removed") {
            continue;
        }
        match find(source, &property.name) {
            None if property.kind == NewKind::Title => missing.push(Missing {
                mapping: mapping.clone(),
                what: format!("the title of \"{title}\" is not named \"{}\"", property.name),
                advice: "a data source has one title, which cannot be added: rename it in Notion, or name it in the mapping".to_owned(),
            }),
            None if may => changes.push(SchemaChange::AddProperty { mapping: mapping.clone(), property }),
            None => missing.push(Missing {
                mapping: mapping.clone(),
                what: format!("\"{title}\" has no property \"{}\"", property.name),
                advice: not_ours.to_owned(),
            }),
            Some(there) => {
                let (NewKind::Select(names) | NewKind::MultiSelect(names) | NewKind::Status(names)) = &property.kind else {
                    continue;
                };
                let lacking = lacking(there, names);
                let options = there.config.options();
                if lacking.is_empty() || options_kind(&there.config).is_none() {
                    continue;
                }
                if may && options.len() + lacking.len() <= OPTIONS {
                    changes.push(SchemaChange::AddOptions {
                        mapping: mapping.clone(),
                        property: there.name.clone(),
                        property_id: there.id.as_str().to_owned(),
                        kind: there.config.kind().to_owned(),
                        existing: options.iter().map(|option| option.id.clone()).collect(),
                        names: lacking,
                    });
                } else {
                    let advice = if may {
                        "Notion takes at most 100 options in one list; add them in Notion, or write new_options = \"create\""
                    } else {
                        "add them in Notion, or write manage_schema = true in the mapping"
                    };
                    missing.push(Missing {
                        mapping: mapping.clone(),
                        what: format!("\"{}\" of \"{title}\" lacks the options {}", there.name, lacking.join(", ")),
                        advice: advice.to_owned(),
                    });
                }
            }
        }
    }
    changes
}

fn find<'s>(source: &'s DataSource, name: &str) -> Option<&'s PropertySchema> {
    source
        .properties
        .iter()
        .find(|property| property.name == name)
        .or_else(|| source.property(&PropertyId::new(name)))
}

fn lacking(property: &PropertySchema, names: &[String]) -> Vec<String> {
    let there: Vec<String> =
        property.config.options().iter().map(|option| option.name.to_lowercase()).collect();
    names.iter().filter(|name| !there.contains(&name.to_lowercase())).cloned().collect()
}

fn options_kind(config: &PropertyConfig) -> Option<&str> {
    matches!(
        config,
        PropertyConfig::Select { .. } | PropertyConfig::MultiSelect { .. } | PropertyConfig::Status { .. }
    )
    .then(|| config.kind())
}

impl NewProperty {
    fn is_relation(&self) -> bool {
        matches!(self.kind, NewKind::Relation(_))
    }
}

impl NewKind {
    /// Notion's word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::RichText => "rich_text",
            Self::Number => "number",
            Self::Select(_) => "select",
            Self::MultiSelect(_) => "multi_select",
            Self::Status(_) => "status",
            Self::Date => "date",
            Self::People => "people",
            Self::Files => "files",
            Self::Checkbox => "checkbox",
            Self::Url => "url",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::Relation(_) => "relation",
        }
    }
}

impl SchemaChange {
    /// Whose change it is.
    #[must_use]
    pub fn mapping(&self) -> &str {
        match self {
            Self::CreateDatabase { mapping, .. }
            | Self::AddProperty { mapping, .. }
            | Self::AddOptions { mapping, .. }
            | Self::Sql { mapping, .. }
            | Self::Capture { mapping, .. }
            | Self::Rewrite { mapping, .. }
            | Self::Configure { mapping, .. }
            | Self::Rebind { mapping, .. } => mapping,
        }
    }
}

impl std::fmt::Display for NewProperty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\" ({}", self.name, self.kind.word())?;
        match &self.kind {
            NewKind::Select(names) | NewKind::MultiSelect(names) | NewKind::Status(names)
                if !names.is_empty() =>
            {
                write!(f, ": {}", names.join(", "))?;
            }
            NewKind::Relation(mapping) => write!(f, " to {mapping}")?,
            _ => {}
        }
        match self.role {
            Role::Key => f.write_str(", for the row's key)"),
            Role::Field(_) | Role::Stamp => f.write_str(")"),
        }
    }
}

impl std::fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CreateDatabase { mapping, title, properties, .. } => {
                write!(f, "{mapping}: make the database \"{title}\" with")?;
                for (at, property) in properties.iter().enumerate() {
                    write!(f, "{} {property}", if at > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Self::AddProperty { mapping, property } => write!(f, "{mapping}: add the property {property}"),
            Self::AddOptions { mapping, property, names, .. } => {
                write!(f, "{mapping}: add to \"{property}\" the options {}", names.join(", "))
            }
            Self::Sql { mapping, does, sql, .. } => write!(f, "{mapping}: {does}\n{sql}"),
            Self::Rewrite { mapping, does, sql, .. } => write!(f, "{mapping}: {does}\n{sql}"),
            Self::Capture { mapping, does, .. } => write!(f, "{mapping}: {does}"),
            Self::Configure { mapping, edit } => write!(f, "{mapping}: write into the configuration {edit}"),
            Self::Rebind { mapping, column, because } => write!(
                f,
                "{mapping}: begin {column} anew with what is there now ({because}); what was settled before is forgotten"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
