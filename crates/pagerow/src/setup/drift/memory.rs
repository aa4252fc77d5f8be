//! What the configuration's names meant when they were last bound: numbers and ids, which outlive a rename.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::mapping::ColumnKind;
use serde::{Deserialize, Serialize};

use super::{Pause, follow::Followed};
use crate::{
    config::{Config, DataSourceWish, FieldConfig, MappingConfig, Setting},
    notion::wire::{DataSource, PropertyId, PropertySchema},
    setup::{
        found::{Found, SourceFound},
        kinds::column_kind,
        resolve::Resolved,
        tables::{self, ColumnInfo},
    },
};

/// By mapping.
pub type Memories = BTreeMap<String, Memory>;

/// One mapping, as it was last bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What its section said about tables, columns and properties, the fields apart. While it says the same, what does
    /// not fit any more is drift, not a mistake.
    pub says: String,
    /// The file's name for the table.
    pub table: String,
    pub table_oid: u32,
    pub data_source: String,
    /// By the configuration's name for it.
    pub columns: BTreeMap<String, ColumnMemory>,
    /// By the configuration's name for it.
    pub properties: BTreeMap<String, PropertyMemory>,
    /// By the column's name in the bases.
    pub fields: BTreeMap<String, FieldMemory>,
    /// All columns that are known: what is not among them was added since.
    pub seen_columns: BTreeSet<i16>,
    /// All properties that are known.
    pub seen_properties: BTreeSet<String>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMemory {
    /// `attnum`
    pub number: i16,
    /// As it was called last; the bases call it so.
    pub name: String,
    /// What kind of values it holds; see [`shape`].
    pub shape: String,
}

/// A property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyMemory {
    pub id: String,
    pub name: String,
    /// Notion's word.
    pub kind: String,
    /// Names of its options by their ids, as far as both sides agree on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// A field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMemory {
    /// What its line said.
    pub says: String,
    /// With which property its bases were made.
    pub property: String,
    pub kind: String,
}

/// What the names mean now, and what follows for what is kept by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    pub memory: Memory,
    pub paused: Vec<Pause>,
    pub renamed: Vec<(String, String)>,
    pub forgotten: Vec<String>,
    /// Columns whose property has options that it had not.
    pub woken: Vec<String>,
}

/// What a mapping's section says, its fields apart.
pub(super) fn section_says(config: &MappingConfig) -> String {
    let text = |setting: &Option<Setting<String>>| setting.as_ref().map(|s| s.value.clone());
    let data_source = match config.data_source.value {
        DataSourceWish::Create => "create".to_owned(),
        DataSourceWish::Id(id) => id.to_string(),
    };
    let match_on: Vec<&str> = config.match_on.iter().map(|name| name.value.as_str()).collect();
    let beside = [&config.updated_at, &config.soft_delete, &config.condition].map(text);
    let stamp = [&config.stamp.synced_at, &config.stamp.checksum, &config.stamp.synced, &config.stamp.backup];
    let stamp = stamp.map(text);
    let columns = &config.columns;
    let columns = [
        &columns.page_id,
        &columns.synced_at,
        &columns.status,
        &columns.error,
        &columns.synced,
        &columns.checksum,
    ]
    .map(text);
    json(&(&config.table.value, data_source, &config.key_property.value, match_on, beside, stamp, columns))
}

/// What a field's line says.
pub(super) fn field_says(field: &FieldConfig) -> String {
    let text = |setting: &Option<Setting<String>>| setting.as_ref().map(|s| s.value.clone());
    let settings = [
        &field.property,
        &field.relation,
        &field.through,
        &field.own_column,
        &field.other_column,
        &field.to_notion,
        &field.from_notion,
    ]
    .map(text);
    json(&(
        settings,
        field.shown_as.as_ref().map(|word| word.value.name()),
        field.direction.as_ref().map(|direction| direction.value),
        &field.values,
    ))
}

fn json(value: &impl Serialize) -> String {
    // Texts, lists and numbers always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

/// What kind of values a column holds: a change of it makes other values of the old ones. A longer text, a wider
/// number or one more label does not.
pub(in crate::setup) fn shape(column: &ColumnInfo) -> String {
    fn of(kind: &ColumnKind) -> String {
        match kind {
            ColumnKind::Text { .. } | ColumnKind::Choice { .. } => "text".to_owned(),
            ColumnKind::Integer { .. }
            | ColumnKind::Numeric { .. }
            | ColumnKind::Real
            | ColumnKind::Double => "number".to_owned(),
            ColumnKind::Bool => "yes or no".to_owned(),
            ColumnKind::Day => "day".to_owned(),
            ColumnKind::Instant => "time".to_owned(),
            ColumnKind::DayRange => "range of days".to_owned(),
            ColumnKind::InstantRange => "range of times".to_owned(),
            ColumnKind::Json => "json".to_owned(),
            ColumnKind::List(inner) => format!("list of {}", of(inner)),
            ColumnKind::Reference { .. } | ColumnKind::References { .. } => "reference".to_owned(),
            ColumnKind::Scalar { name } => name.clone(),
        }
    }
    column_kind(column).map_or_else(|_| column.base.clone(), |kind| of(&kind))
}

/// What one mapping's names mean, once it was bound.
pub(in crate::setup) fn meaning(
    config: &Config,
    followed: &Followed,
    found: &Found,
    one: &Resolved,
) -> Option<Meaning> {
    let name = one.mapping.name.as_str();
    let (says, now) = (config.mapping(name)?, followed.config.mapping(name)?);
    let nothing = Memory::default();
    let known = found.remembered.get(name);
    let old = known.unwrap_or(&nothing);
    let table = tables::find(&found.tables, &now.table)?;
    let Some(SourceFound::Found(source)) = found.sources.get(name) else { return None };
    let same_table = old.table_oid == table.oid;

    let mut meaning = Meaning { memory: old.clone(), ..Meaning::default() };
    let memory = &mut meaning.memory;
    memory.says = section_says(says);
    memory.table.clone_from(&says.table.value);
    memory.table_oid = table.oid;
    memory.data_source = source.id.clone();
    let paused = |column: &str| followed.field_pause(name, column);
    meaning.paused = followed.pauses().filter(|pause| pause.mapping == name).cloned().collect();

    for (said, is) in both(column_names(says), column_names(now)) {
        let Some(column) = table.column(is) else { continue };
        if paused(is).is_some() {
            continue;
        }
        // A column that the file itself calls by its new name by now is the one that it was.
        let before = old.columns.get(said).or_else(|| {
            let named = column_names(says);
            let mut others = old.columns.iter().filter(|(other, _)| !named.contains(&Some(other.as_str())));
            let (other, before) = others.find(|(_, before)| same_table && before.number == column.number)?;
            memory.columns.remove(other);
            Some(before)
        });
        if let Some(before) = before
            && before.name != column.name
            && (old.fields.contains_key(&before.name))
        {
            if let Some(field) = memory.fields.remove(&before.name) {
                memory.fields.insert(column.name.clone(), field);
            }
            meaning.renamed.push((before.name.clone(), column.name.clone()));
        }
        memory.columns.insert(
            said.to_owned(),
            ColumnMemory { number: column.number, name: column.name.clone(), shape: shape(column) },
        );
    }

    for (said, is) in both(property_names(says), property_names(now)) {
        let Some(property) = find(source, is) else { continue };
        let column = now.fields.iter().find(|field| field.property.as_ref().is_some_and(|p| p.value == is));
        if column.is_some_and(|field| paused(&field.column).is_some()) {
            continue;
        }
        let mut fresh = remembered(property);
        if let Some(before) = old.properties.get(said).filter(|before| same_id(&before.id, &fresh.id)) {
            let is_new = |id: &&String| !before.options.contains_key(*id);
            if let Some(field) = column
                && fresh.options.keys().any(|id| is_new(&id))
            {
                meaning.woken.push(field.column.clone());
            }
            // An option whose new name only pagerow knows keeps the name under which its rows have it.
            for (id, name) in &mut fresh.options {
                if let Some(known) = before.options.get(id)
                    && column
                        .is_some_and(|field| followed.holds_option(&one.mapping.name, &field.column, known))
                {
                    name.clone_from(known);
                }
            }
        }
        memory.properties.insert(said.to_owned(), fresh);
    }

    for ((said, is), field) in says.fields.iter().zip(&now.fields).zip(&one.mapping.fields) {
        if field.is_paused() {
            continue;
        }
        let fresh = FieldMemory {
            says: field_says(said),
            property: field.property_id.clone(),
            kind: field.shows.name().to_owned(),
        };
        let before = memory.fields.insert(is.column.clone(), fresh.clone());
        let is_another =
            |before: &FieldMemory| !same_id(&before.property, &fresh.property) || before.kind != fresh.kind;
        if before.as_ref().is_some_and(is_another) {
            meaning.forgotten.push(is.column.clone());
        }
    }
    if known.is_none() {
        memory.seen_columns = table.columns.iter().map(|column| column.number).collect();
        memory.seen_properties =
            source.properties.iter().map(|property| property.id.decoded().into_owned()).collect();
    } else if !same_table {
        memory.seen_columns = table.columns.iter().map(|column| column.number).collect();
    }
    Some(meaning)
}

/// What the file and the followed configuration call one thing, where both name it.
fn both<'a>(
    said: Vec<Option<&'a str>>,
    is: Vec<Option<&'a str>>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    said.into_iter().zip(is).filter_map(|(said, is)| Some((said?, is?)))
}

/// A property as it is remembered.
fn remembered(property: &PropertySchema) -> PropertyMemory {
    PropertyMemory {
        id: property.id.as_str().to_owned(),
        name: property.name.clone(),
        kind: property.config.kind().to_owned(),
        options: property.config.options().iter().map(|o| (o.id.clone(), o.name.clone())).collect(),
    }
}

pub(super) fn same_id(one: &str, other: &str) -> bool {
    PropertyId::new(one) == PropertyId::new(other)
}

pub(super) fn find<'s>(source: &'s DataSource, name: &str) -> Option<&'s PropertySchema> {
    source
        .properties
        .iter()
        .find(|property| property.name == name)
        .or_else(|| source.property(&PropertyId::new(name)))
}

/// The table's own columns that a section names; in a fixed order, `None` where it names none.
fn column_names(config: &MappingConfig) -> Vec<Option<&str>> {
    let fields = config.fields.iter().map(|field| is_column(field).then_some(field.column.as_str()));
    let columns = &config.columns;
    let beside = [
        &config.updated_at,
        &config.soft_delete,
        &columns.page_id,
        &columns.synced_at,
        &columns.status,
        &columns.error,
        &columns.synced,
        &columns.checksum,
    ];
    fields.chain(beside.map(|setting| setting.as_ref().map(|setting| setting.value.as_str()))).collect()
}

/// The properties that a section names; in a fixed order, `None` where it names none.
fn property_names(config: &MappingConfig) -> Vec<Option<&str>> {
    let fields = config.fields.iter().map(|field| field.property.as_ref().map(|p| p.value.as_str()));
    let stamp = [&config.stamp.synced_at, &config.stamp.checksum, &config.stamp.synced, &config.stamp.backup];
    fields
        .chain([config.key_property.value.as_deref()])
        .chain(stamp.map(|setting| setting.as_ref().map(|setting| setting.value.as_str())))
        .collect()
}

/// Whether a field stands for a column of the mapping's own table.
pub(super) fn is_column(field: &FieldConfig) -> bool {
    field.through.is_none()
}
