//! One `[mapping.X]`: which table, which data source, and what it says beside the rules.

use pagerow_core::mapping::{Flow, OnPageTrashed};
use uuid::Uuid;

use super::{
    error::ConfigError,
    field::FieldConfig,
    reader::Reader,
    rules::{Capture, Rules},
    source::{Place, Setting},
};

/// One mapping as the file has it, not yet held against the two schemas.
#[derive(Clone, Debug)]
pub struct MappingConfig {
    pub name: String,
    /// Where the section stands.
    pub place: Place,
    /// `schema.table`, or a table on the search path.
    pub table: Setting<String>,
    pub data_source: Setting<DataSourceWish>,
    /// The property that carries the row's key; `None` for no such property.
    pub key_property: Setting<Option<String>>,
    /// Columns.
    pub match_on: Vec<Setting<String>>,
    /// A column.
    pub updated_at: Option<Setting<String>>,
    /// A column.
    pub soft_delete: Option<Setting<String>>,
    /// An SQL condition over the row: which rows take part (`where`).
    pub condition: Option<Setting<String>>,
    /// Whether pagerow may add properties and options to the data source.
    pub manage_schema: bool,
    pub rules: Rules,
    /// In the order of the file.
    pub fields: Vec<FieldConfig>,
    pub stamp: Stamp,
    pub columns: Columns,
}

/// What `data_source` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSourceWish {
    /// pagerow makes it.
    Create,
    /// The id of a data source, or of a database.
    Id(Uuid),
}

/// `[mapping.X.stamp]`: properties that pagerow writes with each change.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    pub synced_at: Option<Setting<String>>,
    pub checksum: Option<Setting<String>>,
    pub synced: Option<Setting<String>>,
    /// Written `backup = true` or `backup = "Property"` in the mapping itself: the property that keeps the whole row.
    pub backup: Option<Setting<String>>,
}

/// `[mapping.X.columns]`: columns of the user's own table that pagerow keeps up to date.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub page_id: Option<Setting<String>>,
    pub synced_at: Option<Setting<String>>,
    pub status: Option<Setting<String>>,
    pub error: Option<Setting<String>>,
    pub synced: Option<Setting<String>>,
    pub checksum: Option<Setting<String>>,
}

pub(super) const KEY_PROPERTY: &str = "Supabase ID";
/// The property for `backup = true`.
const BACKUP_PROPERTY: &str = "Backup";

impl MappingConfig {
    pub(super) fn read(name: &str, reader: Reader<'_>, defaults: &Rules) -> Option<Self> {
        let place = reader.place().clone();
        let table = reader.required_text("table", "write table = \"schema.table\"");
        let data_source = data_source(&reader);
        let key_property = reader.text_or_false("key_property").unwrap_or_else(|| {
            Setting::default_of(reader.key("key_property"), Some(KEY_PROPERTY.to_owned()))
        });
        let match_on = reader.texts("match_on").unwrap_or_default();
        let updated_at = reader.text("updated_at");
        let soft_delete = reader.text("soft_delete");
        let condition = reader.text("where");
        let rules = defaults.overridden_by(&reader);
        let manage_schema = reader.boolean("manage_schema").map_or_else(
            || matches!(&data_source, Some(Setting { value: DataSourceWish::Create, .. })),
            |setting| setting.value,
        );
        let backup = reader.text_or_usual("backup", BACKUP_PROPERTY);
        let stamp = Stamp {
            backup: backup.and_then(|setting| {
                Some(Setting { value: setting.value?, key: setting.key, place: setting.place })
            }),
            ..reader.table("stamp").map(stamp).unwrap_or_default()
        };
        let columns = reader.table("columns").map(columns).unwrap_or_default();
        let entries = reader.entries("fields");
        let field_reader = Reader::new(reader.complaints(), &reader.key("fields"), place.clone(), Vec::new());
        let count = entries.len();
        let fields: Vec<FieldConfig> = entries
            .into_iter()
            .filter_map(|(column, node)| FieldConfig::read(&column, node, &field_reader, &rules))
            .collect();
        if count == 0 {
            reader.complain_at(&place, "no_fields", "fields", format!("the mapping {name} has no fields"));
        }
        one_field_a_property(&reader, &fields);
        if soft_delete.is_none() && rules.on_page_trashed.value == OnPageTrashed::SoftDelete {
            let trashed = &rules.on_page_trashed;
            reader.complaints().add(
                ConfigError::at(
                    reader.complaints().source,
                    if trashed.key.starts_with("mapping.") { &trashed.place } else { &place },
                    "missing_key",
                    &reader.key("soft_delete"),
                    format!("on_page_trashed = \"soft_delete\" needs a column to mark rows with in {name}"),
                )
                .advise("write soft_delete = \"deleted_at\" (a time or a boolean column), or choose another on_page_trashed"),
            );
        }
        if updated_at.is_none() && rules.capture.value == Capture::Poll {
            let capture = &rules.capture;
            reader.complaints().add(
                ConfigError::at(
                    reader.complaints().source,
                    if capture.key.starts_with("mapping.") { &capture.place } else { &place },
                    "missing_key",
                    &reader.key("updated_at"),
                    format!(
                        "capture = \"poll\" needs a column that says when a row of {name} was last edited"
                    ),
                )
                .advise(
                    "write updated_at = \"updated_at\", or capture = \"triggers\" or \"off\" in the mapping",
                ),
            );
        }
        reader.finish();
        Some(Self {
            name: name.to_owned(),
            place,
            table: table?,
            data_source: data_source?,
            key_property,
            match_on,
            updated_at,
            soft_delete,
            condition,
            manage_schema,
            rules,
            fields,
            stamp,
            columns,
        })
    }

    /// The direction, when this mapping itself names one.
    #[must_use]
    pub fn own_direction(&self) -> Option<&Setting<Flow>> {
        Some(&self.rules.direction).filter(|direction| direction.key.starts_with("mapping."))
    }
}

fn data_source(reader: &Reader<'_>) -> Option<Setting<DataSourceWish>> {
    let text = reader.required_text(
        "data_source",
        "give the id or address of a data source or database, or \"create\" to let pagerow make one",
    )?;
    if text.value == "create" {
        return Some(text.map(|_| DataSourceWish::Create));
    }
    match pagerow_core::record::PageId::parse(&text) {
        Some(id) => Some(text.map(|_| DataSourceWish::Id(id.0))),
        None => {
            let near = strsim::levenshtein(&text.to_lowercase(), "create") <= 2;
            reader.complaints().add(
                ConfigError::at(
                    reader.complaints().source,
                    &text.place,
                    "wrong_id",
                    &text.key,
                    "`data_source` takes the id or address of a data source or database, or \"create\"",
                )
                .suggest(near.then_some("create"))
                .advise("copy the address from the browser, or the id from the database's menu (Manage data sources, Copy data source ID)"),
            );
            None
        }
    }
}

fn stamp(reader: Reader<'_>) -> Stamp {
    let stamp = Stamp {
        synced_at: reader.text("synced_at"),
        checksum: reader.text("checksum"),
        synced: reader.text("synced"),
        backup: None,
    };
    reader.finish();
    stamp
}

fn columns(reader: Reader<'_>) -> Columns {
    let columns = Columns {
        page_id: reader.text("page_id"),
        synced_at: reader.text("synced_at"),
        status: reader.text("status"),
        error: reader.text("error"),
        synced: reader.text("synced"),
        checksum: reader.text("checksum"),
    };
    reader.finish();
    columns
}

fn one_field_a_property(reader: &Reader<'_>, fields: &[FieldConfig]) {
    for (at, field) in fields.iter().enumerate() {
        let same = |other: &&FieldConfig| match (&field.property, &other.property) {
            _ if field.only_looks() || other.only_looks() => false,
            (Some(a), Some(b)) => a.value == b.value,
            (None, None) => true,
            _ => false,
        };
        if let Some(first) = fields[..at].iter().find(same) {
            let place = field.property.as_ref().map_or(&field.place, |property| &property.place);
            let what = field.property.as_ref().map_or_else(
                || "the page's body".to_owned(),
                |property| format!("the property \"{}\"", property.value),
            );
            reader.complaints().add(
                ConfigError::at(
                    reader.complaints().source,
                    place,
                    "property_twice",
                    &format!("{}.{}", reader.key("fields"), field.column),
                    format!("{what} is already taken by the field {}", first.column),
                )
                .advise("a property belongs to one field; leave one of the two out"),
            );
        }
    }
}
