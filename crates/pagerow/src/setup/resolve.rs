//! Configuration, tables and data sources become mappings that can be synced, or a list of all that is wrong.

mod beside;
mod order;
mod property;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pagerow_core::{
    guard::Limits,
    mapping::{ColumnKind, Field, Flow, KeySource, Mapping, PropertyKind},
    side::Side,
};

pub use order::Order;

use super::{
    draft::{Draft, DraftField, Look, drafts},
    drift::{Followed, Meaning, Pause, follow, meaning},
    found::{Found, SourceFound, Warning},
};
use crate::{
    backup::Backup,
    config::{self, Config, ConfigError, ConfigErrors, FieldConfig, Rules},
    notion::{source::Source, wire::DataSource},
    postgres::table::{BesideColumn, Capture, FieldSource, Table},
};

/// Everything that one mapping's sync needs to know.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub mapping: Arc<Mapping>,
    pub table: Table,
    pub source: Source,
    /// Between two looks at what Notion changed.
    pub interval: Duration,
    /// Between two looks at which pages are still there.
    pub sweep_interval: Duration,
    /// Between two full compares of both sides.
    pub compare_interval: Duration,
    pub limits: Limits,
    pub max_attempts: u32,
    /// Whether pagerow may add properties and options to the data source.
    pub manage_schema: bool,
    pub warnings: Vec<Warning>,
}

/// All mappings that flow, referenced ones before those that refer to them.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    pub mappings: Vec<Resolved>,
    /// What does not flow for now: whole mappings, and fields of those that do.
    pub paused: Vec<Pause>,
    /// What was renamed and is followed.
    pub followed: Vec<Warning>,
    /// What the names mean, by mapping; for the next time.
    pub meanings: BTreeMap<String, Meaning>,
    /// Mappings that refer to each other in a circle; each of them is written in two passes.
    pub cycles: Vec<Vec<String>>,
}

/// Holds the configuration against both schemas.
///
/// # Errors
/// Everything that is wrong, each with its place in the file.
pub fn resolve(config: &Config, found: &Found) -> Result<Resolution, ConfigErrors> {
    let Binding { followed, mut resolved, warnings, errors } = bind(config, found);
    ConfigErrors::check(errors)?;
    let Order { order, cycles } = order::order(&resolved, found);
    let mut meanings: BTreeMap<String, Meaning> = BTreeMap::new();
    for one in &mut resolved {
        let name = one.mapping.name.clone();
        meanings.extend(meaning(config, &followed, found, one).map(|meaning| (name, meaning)));
    }
    for pause in followed.pauses().filter(|pause| pause.column.is_none()) {
        let memory = found.remembered.get(&pause.mapping).cloned().unwrap_or_default();
        let meaning = Meaning { memory, paused: vec![pause.clone()], ..Meaning::default() };
        meanings.insert(pause.mapping.clone(), meaning);
    }
    for warning in warnings {
        let owner = resolved.iter_mut().find(|one| {
            let prefix = format!("mapping.{}", one.mapping.name);
            warning.key == prefix
                || warning.key.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('.'))
        });
        if let Some(owner) = owner {
            owner.warnings.push(warning);
        }
    }
    let mut slots: Vec<Option<Resolved>> = resolved.into_iter().map(Some).collect();
    let mappings = order.into_iter().filter_map(|at| slots.get_mut(at).and_then(Option::take)).collect();
    let renames = followed.drifts.iter().map(|drift| Warning {
        key: drift.key.clone(),
        message: drift.found.clone(),
        advice: Some("`pagerow schema apply` brings the configuration up to date".to_owned()),
    });
    Ok(Resolution {
        mappings,
        paused: followed.pauses().cloned().collect(),
        followed: renames.collect(),
        meanings,
        cycles,
    })
}

/// A configuration held against both schemas, with all that is wrong.
pub(super) struct Binding {
    pub(super) followed: Followed,
    resolved: Vec<Resolved>,
    warnings: Vec<Warning>,
    errors: Vec<ConfigError>,
}

/// Follows what moved, pauses what is lost, and completes the rest.
pub(super) fn bind(config: &Config, found: &Found) -> Binding {
    let mut followed = follow(config, found);
    loop {
        let mut look = Look::new(&followed, found);
        let drafts = drafts(&mut look);
        let mut resolved: Vec<Resolved> = Vec::new();
        let flows = |draft: &&Draft<'_>| followed.mapping_pause(&draft.config.name).is_none();
        for draft in drafts.iter().filter(flows) {
            if let Some(source) = source(&mut look, draft) {
                resolved.extend(complete(&mut look, draft, source));
            }
        }
        let Look { errors, warnings, .. } = look;
        // What pauses takes its errors with it, and may bring others to light.
        let (errors, paused) = followed.absorb(config, found, errors);
        if !paused {
            return Binding { followed, resolved, warnings, errors };
        }
    }
}

fn source<'a>(look: &mut Look<'a>, draft: &Draft<'a>) -> Option<&'a DataSource> {
    let setting = &draft.config.data_source;
    match look.found.sources.get(&draft.config.name) {
        Some(SourceFound::Found(source)) if !source.in_trash => return Some(source),
        Some(SourceFound::Found(_)) => look.complain(
            setting,
            "in_trash",
            "the data source lies in Notion's trash",
            "restore it in Notion, or name another",
        ),
        Some(SourceFound::NotMade) => look.complain(
            setting,
            "not_made",
            format!("the data source of {} is not made yet", draft.config.name),
            "run `pagerow schema apply`, which makes it and writes its id here",
        ),
        Some(SourceFound::Problem(problem)) => {
            let problem = problem.clone();
            look.complain(setting, problem.code, problem.message, problem.advice);
        }
        None => look.complain(setting, "not_looked_up", "the data source was not looked up", "try again"),
    }
    None
}

fn complete<'a>(look: &mut Look<'a>, draft: &Draft<'a>, source: &'a DataSource) -> Option<Resolved> {
    let config = draft.config;
    let before = look.errors.len();
    let fields: Vec<Field> = config
        .fields
        .iter()
        .filter_map(|wanted| {
            let drafted = draft.fields.iter().find(|field| std::ptr::eq(field.config, wanted));
            match look.followed.field_pause(&config.name, &wanted.column) {
                Some(_) => Some(paused(look, draft, wanted, drafted)),
                None => property::field(look, draft, drafted?, source),
            }
        })
        .collect();
    property::one_field_a_property(look, draft, &fields);
    let key_property = beside::key_property(look, draft, source, &fields);
    let stamp = beside::stamp(look, draft, source, &fields);
    if look.errors.len() > before || fields.len() < config.fields.len() {
        return None;
    }
    let key = key_source(draft, &fields);
    if key == KeySource::KeyProperty && draft.direction.reaches(Side::Postgres) && draft.table.is_writable() {
        let advice = if key_property.is_some() {
            "to add rows in Notion, fill the key property of the page, map the key's columns, or give them a default"
        } else {
            "to add rows in Notion, map the key's columns or give them a default"
        };
        look.warn(
            format!("mapping.{}", config.name),
            format!("the key of {} is made neither by the table nor by a field", draft.table.full_name()),
            Some(advice.to_owned()),
        );
    }
    let rules = &config.rules;
    let mapping = Mapping {
        name: config.name.clone(),
        direction: draft.direction,
        on_conflict: rules.on_conflict,
        on_row_deleted: rules.on_row_deleted,
        on_page_trashed: rules.on_page_trashed.value,
        match_on: config
            .match_on
            .iter()
            .filter_map(|name| fields.iter().position(|field| field.column == name.value))
            .collect(),
        key,
        key_property: key_property.is_some(),
        fields,
    };
    let backup = Backup::new(&config.name, look.config.backup_key.clone());
    let wiring = Source {
        backup: stamp.backup.is_some().then_some(backup),
        data_source: source.id.clone(),
        name: source.title.plain_text(),
        key_property,
        stamp,
        beside: property::looked_at(draft, source),
        has_body: mapping.fields.iter().any(|field| field.shows == PropertyKind::Body),
        zone: rules.time_zone.clone(),
    };
    Some(Resolved {
        table: table(look.config, draft, &mapping, rules),
        mapping: Arc::new(mapping),
        source: wiring,
        interval: rules.interval,
        sweep_interval: rules.sweep_interval,
        compare_interval: rules.compare_interval,
        limits: Limits { deletes: rules.max_deletes.share(), ..Limits::default() },
        max_attempts: rules.max_attempts,
        manage_schema: config.manage_schema,
        warnings: Vec::new(),
    })
}

/// A field that neither flows nor is looked at; it keeps its place, by which journals and conflicts name it.
fn paused(
    look: &Look<'_>,
    draft: &Draft<'_>,
    config: &FieldConfig,
    drafted: Option<&DraftField<'_>>,
) -> Field {
    let column = draft.table.column(&config.column);
    let property = config.property.as_ref().map(|property| property.value.clone()).unwrap_or_default();
    let known = look.found.remembered.get(&draft.config.name);
    let id = known.and_then(|memory| memory.properties.get(&property)).map(|property| property.id.clone());
    Field {
        column: config.column.clone(),
        property,
        property_id: id.unwrap_or_default(),
        holds: drafted.map_or_else(|| ColumnKind::Scalar { name: "paused".to_owned() }, |d| d.holds.clone()),
        shows: PropertyKind::ReadOnly("paused".to_owned()),
        // What has a default can be made without it.
        required: column.is_some_and(|column| {
            column.not_null && !column.has_default && !column.generated && column.identity.is_none()
        }),
        flow: Flow::Paused,
        wins: config.wins,
        labels: config.values.clone(),
        lens: None,
    }
}

fn table(config: &Config, draft: &Draft<'_>, mapping: &Mapping, rules: &Rules) -> Table {
    let source = |field: &Field| {
        let drafted = draft.fields.iter().find(|drafted| drafted.config.column == field.column);
        drafted.filter(|_| !field.is_paused()).map_or(FieldSource::Paused, |drafted| drafted.source.clone())
    };
    let table = draft.table;
    Table {
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        writable: table.is_writable(),
        has_xmin: table.is_writable(),
        key: draft.key.clone(),
        fields: mapping.fields.iter().map(source).collect(),
        beside: beside_columns(draft, mapping),
        condition: draft.config.condition.as_ref().map(|condition| condition.value.clone()),
        updated_at: draft.updated_at.clone(),
        soft_delete: draft.soft_delete.clone(),
        bookkeeping: draft.bookkeeping.clone(),
        zone: rules.time_zone.clone(),
        capture: match rules.capture.value {
            config::Capture::Triggers if table.is_writable() => {
                Capture::Triggers { schema: config.postgres.schema.clone() }
            }
            config::Capture::Poll => Capture::Poll,
            config::Capture::Triggers | config::Capture::Off => Capture::Off,
        },
    }
}

/// What expressions look at and no field is a column of.
fn beside_columns(draft: &Draft<'_>, mapping: &Mapping) -> Vec<BesideColumn> {
    let flows = |field: &&DraftField<'_>| {
        mapping.field(&field.config.column).is_some_and(|place| !mapping.fields[place].is_paused())
    };
    let is_field =
        |column: &BesideColumn| {
            draft.fields.iter().filter(flows).any(
                |field| matches!(&field.source, FieldSource::Column { name, .. } if *name == column.name),
            )
        };
    let mut columns: Vec<BesideColumn> = Vec::new();
    for column in draft.fields.iter().filter(flows).flat_map(|field| &field.beside) {
        if !is_field(column) && !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}

/// Where the key of a row comes from that is born as a page.
fn key_source(draft: &Draft<'_>, fields: &[Field]) -> KeySource {
    let columns: Vec<_> = draft.key.iter().filter_map(|key| draft.table.column(&key.name)).collect();
    if columns.iter().all(|column| column.has_default || column.identity.is_some() || column.generated) {
        return KeySource::Generated;
    }
    let places: Option<Vec<usize>> = draft
        .key
        .iter()
        .map(|key| {
            fields.iter().position(|field| {
                field.column == key.name && (field.flow.reaches(Side::Postgres) || field.is_paused())
            })
        })
        .collect();
    places.map_or(KeySource::KeyProperty, KeySource::Fields)
}

#[cfg(test)]
pub(super) mod tests;
