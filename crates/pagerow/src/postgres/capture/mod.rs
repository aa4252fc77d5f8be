//! Changed rows named by triggers: statements write the keys of the rows that they touched into an outbox.
//!
//! The outbox is a hint that names what to look at; whether a row changed is told by comparing it with its base. What
//! the triggers could not write down is told by a counter, and then everything is looked at. [`install`] makes the
//! SQL, [`state`] sees whether the triggers are in force, [`outbox`] reads what they wrote.

pub mod install;
pub(super) mod outbox;
pub mod state;

use pagerow_core::digest::Digest;

use super::{
    convert,
    table::{FieldSource, Table},
};

/// A statement that touches more rows names about so many, which stands for all of them: everything is looked at.
pub const MOST_KEYS: usize = 1_000;

/// The outbox takes nothing more beyond this size, some 100,000 statements, until somebody has looked at everything.
pub const MOST_BYTES: i64 = 8 << 20;

/// One table whose statements are captured, and the columns by which they name the mapping's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub schema: String,
    pub table: String,
    /// Names and types, as `format_type` prints them.
    pub key: Vec<(String, String)>,
    /// pagerow's own schema.
    pub own_schema: String,
    pub id: i64,
}

impl Source {
    /// The sources of a mapping's table: itself and its join tables.
    #[must_use]
    pub fn of(table: &Table, own_schema: &str) -> Vec<Self> {
        let key = table.key.iter().map(|key| (key.name.clone(), key.type_name.clone())).collect();
        let joins = table.fields.iter().filter_map(|field| match field {
            FieldSource::Join { schema, table, own_column, own_type, .. } => {
                Some(Self::new(schema, table, vec![(own_column.clone(), own_type.clone())], own_schema))
            }
            FieldSource::Column { .. } | FieldSource::Derived | FieldSource::Paused => None,
        });
        let mut sources = vec![Self::new(&table.schema, &table.name, key, own_schema)];
        for join in joins {
            if !sources.contains(&join) {
                sources.push(join);
            }
        }
        sources
    }

    /// A table and the columns, with their types, by which its rows name those of the mapping.
    #[must_use]
    pub fn new(schema: &str, table: &str, key: Vec<(String, String)>, own_schema: &str) -> Self {
        let names: Vec<&str> = key.iter().map(|(name, _)| name.as_str()).collect();
        let name = [&[own_schema, schema, table], names.as_slice()].concat().join("\u{1f}");
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(name.as_bytes()).0;
        let id = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self {
            schema: schema.to_owned(),
            table: table.to_owned(),
            key,
            own_schema: own_schema.to_owned(),
            id,
        }
    }

    /// The function's name, without its schema.
    #[must_use]
    pub fn function(&self) -> String {
        format!("capture_{:016x}", self.id)
    }

    /// `schema.table`, for people.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// The key's text, of the rows that go by an alias: as it stands in a [`RowKey`](pagerow_core::record::RowKey), but
    /// for the white space between the parts of a composite one.
    fn key_text(&self, alias: &str) -> String {
        let parts: Vec<String> = self
            .key
            .iter()
            .map(|(name, type_name)| {
                convert::key_expression(&format!("{alias}.{}", super::catalogue::quoted(name)), type_name)
            })
            .collect();
        match parts.as_slice() {
            [only] => only.clone(),
            several => format!("json_build_array({})::text", several.join(", ")),
        }
    }

    /// The rows that go by an alias and have a key at all.
    fn has_key(&self, alias: &str) -> String {
        let parts = self
            .key
            .iter()
            .map(|(name, _)| format!("{alias}.{} IS NOT NULL", super::catalogue::quoted(name)));
        parts.collect::<Vec<_>>().join(" AND ")
    }
}
