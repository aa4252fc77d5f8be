//! What tables does the database have, and what may be done with them? As the catalogue says, in plain data.

mod allowed_values;
mod join_table;
mod order;
mod read;

pub use join_table::{JoinTable, join_table};
pub use order::{Order, order};

use super::error::PostgresError;
use super::session::Session;

/// The tables that were asked for, in order of schema and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    pub tables: Vec<Table>,
}

/// A table, or something that reads like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// Whether the bare name means this table for this role (`search_path`).
    pub visible: bool,
    /// Belongs to an extension, so to nobody's data.
    pub of_extension: bool,
    /// In the table's order, dropped ones left out.
    pub columns: Vec<Column>,
    /// What tells rows apart: the primary key, else a unique index over required columns.
    pub key: Option<Key>,
    /// All sets of columns that are unique for every row, the key's included.
    pub unique: Vec<Unique>,
    pub foreign_keys: Vec<ForeignKey>,
    /// The planner's estimate, when the table was ever analysed.
    pub row_estimate: Option<u64>,
    /// What this role may do.
    pub rights: Rights,
    /// Row level security is on; a role that it binds may see fewer rows than there are.
    pub row_security: bool,
    /// Row level security binds this role: absence of a row proves nothing.
    pub row_security_binds: bool,
    /// Triggers that people made, in order of their names, which is the order in which they fire.
    pub triggers: Vec<Trigger>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Table,
    /// A table kept in partitions. Its partitions are not listed unless asked for by name.
    Partitioned,
    View,
    MaterialisedView,
    Foreign,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// `attnum`: stays the same when the column is renamed.
    pub number: i16,
    pub name: String,
    pub kind: ColumnType,
    /// Also when its domain forbids NULL.
    pub not_null: bool,
    /// Has a default of its own, of its domain, or is an identity.
    pub has_default: bool,
    /// Computed by the database; cannot be written.
    pub generated: bool,
    pub identity: Option<Identity>,
    /// Whether the table or view takes values for it (rights apart).
    pub updatable: bool,
    /// What this role may do with this column.
    pub may_select: bool,
    pub may_insert: bool,
    pub may_update: bool,
    /// The only values that a CHECK constraint of the table or domain allows, in its order.
    pub allowed_values: Option<Vec<String>>,
    pub comment: Option<String>,
}

/// A column's type with everything behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    pub oid: u32,
    /// As it has to be written in a cast: `numeric(10,2)`, `shop.mood`, `text[]`.
    pub name: String,
    /// The type below all domains; the type itself when it is no domain.
    pub base_oid: u32,
    /// The base type's name with its modifier, as it has to be written in a cast.
    pub base_name: String,
    /// The base type's bare name, as in `pg_type`: `int4`, `timestamptz`, `citext`, `_text`.
    pub base_typname: String,
    /// The schema of the base type: `pg_catalog` for everything built in.
    pub base_schema: String,
    /// What the base type is.
    pub shape: TypeShape,
    /// `pg_type.typcategory` of the base type: `N` numeric, `S` string, `D` date and time, …
    pub category: char,
    /// The outermost domain's name, when there is one.
    pub domain: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeShape {
    Scalar,
    /// Labels in their order.
    Enum(Vec<String>),
    Array(Box<ColumnType>),
    Range(Box<ColumnType>),
    Multirange(Box<ColumnType>),
    Composite,
    Pseudo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Values of one's own need `OVERRIDING SYSTEM VALUE`.
    Always,
    ByDefault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Names, in the key's order.
    pub columns: Vec<String>,
    /// `false`: a unique index over required columns stands in for a primary key.
    pub primary: bool,
    /// The index's name.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    pub name: String,
    pub columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub target: u32,
    pub target_schema: String,
    pub target_table: String,
    /// In the order of `columns`.
    pub target_columns: Vec<String>,
    pub deferrable: bool,
}

/// What a role may do with a table; with some of its columns is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// May look into the schema at all.
    pub schema: bool,
    pub select: bool,
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
    pub trigger: bool,
    /// Owns the table, or is of the role that does.
    pub owner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    /// With its schema.
    pub function: String,
    pub enabled: bool,
    /// May change or refuse a row before it is written.
    pub before_row: bool,
}

impl Catalogue {
    /// Every table and view outside the system's schemas; partitions only as their whole.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn read_all(session: &Session) -> Result<Self, PostgresError> {
        read::catalogue(session, None).await
    }

    /// The tables of these names, with or without schema; a name that does not exist is left out.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn read(session: &Session, names: &[&str]) -> Result<Self, PostgresError> {
        read::catalogue(session, Some(names)).await
    }

    pub fn by_oid(&self, oid: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.oid == oid)
    }

    /// The table that a person means: `schema.table`, or `table` when the search path finds it or only one schema has it.
    pub fn by_name(&self, name: &str) -> Option<&Table> {
        let bare = || self.tables.iter().filter(|table| table.name == name);
        self.tables
            .iter()
            .find(|table| table.full_name() == name)
            .or_else(|| bare().find(|table| table.visible))
            .or_else(|| bare().next().filter(|_| bare().count() == 1))
    }

    /// The existing name that is most like one that does not exist.
    pub fn nearest_name(&self, name: &str) -> Option<String> {
        let full = name.contains('.');
        let names = self.tables.iter().map(|table| if full { table.full_name() } else { table.name.clone() });
        nearest(name, names)
    }
}

impl Table {
    /// `schema.table`, as people write it; see [`Table::sql_name`] for statements.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `"schema"."table"`, safe to put into a statement.
    pub fn sql_name(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The existing column whose name is most like one that does not exist.
    pub fn nearest_column(&self, name: &str) -> Option<String> {
        nearest(name, self.columns.iter().map(|column| column.name.clone()))
    }
}

impl Column {
    /// `"name"`, safe to put into a statement.
    pub fn sql_name(&self) -> String {
        quoted(&self.name)
    }

    /// A new row needs a value for it.
    pub fn required(&self) -> bool {
        self.not_null && !self.has_default && !self.generated
    }

    /// A new row may be given a value for it (for an identity that is always generated: by overriding it).
    pub fn insertable(&self) -> bool {
        self.updatable && !self.generated && self.may_insert
    }

    /// An existing row may be given another value for it.
    pub fn changeable(&self) -> bool {
        self.updatable && !self.generated && self.identity != Some(Identity::Always) && self.may_update
    }
}

/// An identifier in double quotes, safe to put into a statement.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text literal that means the same whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let escapes = if text.contains('\\') { "E" } else { "" };
    format!("{escapes}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table with required integer columns, for the tests of this folder.
    pub(in crate::postgres) fn table(oid: u32, name: &str, columns: &[&str]) -> Table {
        let columns = columns.iter().zip(1..).map(|(name, number)| column(number, name)).collect();
        Table {
            oid,
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind: TableKind::Table,
            visible: true,
            of_extension: false,
            columns,
            key: None,
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            row_estimate: None,
            rights: Rights {
                schema: true,
                select: true,
                insert: true,
                update: true,
                delete: true,
                trigger: true,
                owner: true,
            },
            row_security: false,
            row_security_binds: false,
            triggers: Vec::new(),
            comment: None,
        }
    }

    fn column(number: i16, name: &str) -> Column {
        let integer = "integer".to_owned();
        Column {
            number,
            name: name.to_owned(),
            kind: ColumnType {
                oid: 23,
                name: integer.clone(),
                base_oid: 23,
                base_name: integer,
                base_typname: "int4".to_owned(),
                base_schema: "pg_catalog".to_owned(),
                shape: TypeShape::Scalar,
                category: 'N',
                domain: None,
            },
            not_null: true,
            has_default: false,
            generated: false,
            identity: None,
            updatable: true,
            may_select: true,
            may_insert: true,
            may_update: true,
            allowed_values: None,
            comment: None,
        }
    }

    pub(in crate::postgres) fn refers(columns: &[&str], target: &Table) -> ForeignKey {
        ForeignKey {
            name: format!("{}_{}", columns.join("_"), target.name),
            columns: columns.iter().map(ToString::to_string).collect(),
            target: target.oid,
            target_schema: target.schema.clone(),
            target_table: target.name.clone(),
            target_columns: vec!["id".to_owned(); columns.len()],
            deferrable: false,
        }
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        let mut hidden = table(2, "item", &[]);
        (hidden.schema, hidden.visible) = ("shop".to_owned(), false);
        let mut alone = table(3, "order", &[]);
        (alone.schema, alone.visible) = ("shop".to_owned(), false);
        let catalogue = Catalogue { tables: vec![table(1, "item", &[]), hidden, alone] };
        assert_eq!(catalogue.by_name("item").unwrap().oid, 1);
        assert_eq!(catalogue.by_name("shop.item").unwrap().oid, 2);
        assert_eq!(catalogue.by_name("order").unwrap().oid, 3);
        assert_eq!(catalogue.by_name("Order"), None);
        assert_eq!(catalogue.nearest_name("Orders").as_deref(), Some("order"));
        assert_eq!(catalogue.nearest_name("xyz"), None);
    }

    #[test]
    fn names_cannot_end_their_quotes() {
        assert_eq!(quoted("we\"ird"), "\"we\"\"ird\"");
    }
}
