//! How one mapping's rows are found in its table: everything the statements need, taken from the catalogue.

use pagerow_core::mapping::ColumnKind;

/// A table (or view) and the columns that take part.
#[derive(Clone, Debug)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Views and foreign tables are read in full each time and never written.
    pub writable: bool,
    /// Whether its rows carry `xmin`, so that changed rows can be told without reading them all.
    pub has_xmin: bool,
    /// The key's columns in order.
    pub key: Vec<KeyColumn>,
    /// Where each of the mapping's fields comes from, in the mapping's order.
    pub fields: Vec<FieldSource>,
    /// Columns that are no fields and that expressions look at.
    pub beside: Vec<BesideColumn>,
    /// The mapping's `where`: an SQL condition over the row.
    pub condition: Option<String>,
    /// The column that says when a row was last edited.
    pub updated_at: Option<TimeColumn>,
    /// The column that marks a row as deleted.
    pub soft_delete: Option<SoftDelete>,
    pub bookkeeping: Bookkeeping,
    /// IANA name of the zone in which `timestamp` columns are read.
    pub zone: String,
    pub capture: Capture,
}

/// How changed rows are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// Triggers write their keys into the outbox in pagerow's own schema of this name; as with `Off` where they are
    /// not in force.
    Triggers { schema: String },
    /// By the column that says when a row was last edited, where there is one.
    Poll,
    /// By the transactions that wrote them.
    #[default]
    Off,
}

/// One column of the key.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    pub name: String,
    /// As `format_type` prints it; usable in a cast.
    pub type_name: String,
    /// `GENERATED ALWAYS AS IDENTITY`: a given key needs `OVERRIDING SYSTEM VALUE`.
    pub identity_always: bool,
}

/// A column that is read for the sake of others.
#[derive(Clone, Debug, PartialEq)]
pub struct BesideColumn {
    pub name: String,
    /// As `format_type` prints it.
    pub type_name: String,
    /// The base type's name.
    pub base: String,
    pub holds: ColumnKind,
}

/// A column that holds a time.
#[derive(Clone, Debug)]
pub struct TimeColumn {
    pub name: String,
    /// `timestamptz`, not `timestamp`.
    pub zoned: bool,
}

/// How a row is marked as deleted.
#[derive(Clone, Debug)]
pub struct SoftDelete {
    pub name: String,
    /// A boolean column; otherwise a time.
    pub boolean: bool,
}

/// Where a field's value comes from.
#[derive(Clone, Debug)]
pub enum FieldSource {
    Column {
        name: String,
        /// As `format_type` prints it; usable in a cast.
        type_name: String,
        /// The base type's name (`numeric`, `timestamptz`, `text[]`, …), which decides how it is read.
        base: String,
        /// Not generated, not an identity that is always made, and the role may update it.
        writable: bool,
    },
    /// No column of its own: the field's expression makes it of others.
    Derived,
    /// The keys of another mapping's rows, through a join table.
    Join {
        schema: String,
        table: String,
        /// The join table's column that holds this table's key.
        own_column: String,
        own_type: String,
        /// The join table's column that holds the other table's key.
        other_column: String,
        other_type: String,
    },
    /// Nowhere for now: the field is paused, and its value counts as not read.
    Paused,
}

/// The user's own columns that pagerow keeps up to date, by name.
#[derive(Clone, Debug, Default)]
pub struct Bookkeeping {
    pub page_id: Option<String>,
    pub synced_at: Option<String>,
    pub status: Option<String>,
    pub error: Option<String>,
    pub synced: Option<String>,
    pub checksum: Option<String>,
}

impl Bookkeeping {
    /// The names of all of them that there are.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let all = [&self.page_id, &self.synced_at, &self.status, &self.error, &self.synced, &self.checksum];
        all.into_iter().flatten().map(String::as_str).collect()
    }
}
