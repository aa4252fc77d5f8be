//! What the database holds, as far as a mapping can use it: tables, columns, keys, rights.

use crate::postgres::catalogue::{self, TypeShape};

/// A table, view or foreign table.
#[derive(Clone, Debug)]
pub struct TableInfo {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// In the table's order.
    pub columns: Vec<ColumnInfo>,
    /// In the key's order; empty without a key.
    pub primary_key: Vec<String>,
    /// Other unique keys over whole columns.
    pub uniques: Vec<Vec<String>>,
    pub foreign_keys: Vec<ForeignKey>,
    pub may_select: bool,
    pub may_insert: bool,
    pub may_delete: bool,
    /// Row level security may hide rows from this role.
    pub may_hide_rows: bool,
    /// The search path leads to it.
    pub visible: bool,
}

/// What kind of thing rows are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
}

/// One column.
#[derive(Clone, Debug)]
pub struct ColumnInfo {
    /// Stays the same when the column is renamed.
    pub number: i16,
    pub name: String,
    /// As `format_type` prints it: `character varying(40)`, `numeric(10,2)[]`, `mood`.
    pub type_name: String,
    /// The name of the type under all domains: `varchar`, `numeric`, `mood`; `text[]` for arrays.
    pub base: String,
    /// An enum's labels, of an array's elements too.
    pub labels: Option<Vec<String>>,
    /// The texts that a check constraint allows.
    pub allowed: Option<Vec<String>>,
    pub not_null: bool,
    pub has_default: bool,
    /// Computed from others (`GENERATED ALWAYS AS (…)`).
    pub generated: bool,
    pub identity: Option<Identity>,
    pub may_select: bool,
    pub may_update: bool,
    pub may_insert: bool,
}

/// `GENERATED … AS IDENTITY`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Always,
    ByDefault,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub target_schema: String,
    pub target_table: String,
    pub target_columns: Vec<String>,
}

impl From<&catalogue::Table> for TableInfo {
    fn from(table: &catalogue::Table) -> Self {
        let primary = table.key.as_ref().filter(|key| key.primary);
        let rights = table.rights;
        Self {
            oid: table.oid,
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: match table.kind {
                catalogue::TableKind::Table => TableKind::Table,
                catalogue::TableKind::Partitioned => TableKind::Partitioned,
                catalogue::TableKind::View => TableKind::View,
                catalogue::TableKind::MaterialisedView => TableKind::MaterializedView,
                catalogue::TableKind::Foreign => TableKind::Foreign,
            },
            columns: table.columns.iter().map(ColumnInfo::from).collect(),
            primary_key: primary.map(|key| key.columns.clone()).unwrap_or_default(),
            uniques: table.unique.iter().map(|unique| unique.columns.clone()).collect(),
            foreign_keys: table
                .foreign_keys
                .iter()
                .map(|key| ForeignKey {
                    name: key.name.clone(),
                    columns: key.columns.clone(),
                    target_schema: key.target_schema.clone(),
                    target_table: key.target_table.clone(),
                    target_columns: key.target_columns.clone(),
                })
                .collect(),
            may_select: rights.schema && rights.select,
            may_insert: rights.schema && rights.insert,
            may_delete: rights.schema && rights.delete,
            may_hide_rows: table.row_security_binds,
            visible: table.visible,
        }
    }
}

impl From<&catalogue::Column> for ColumnInfo {
    fn from(column: &catalogue::Column) -> Self {
        let kind = &column.kind;
        let (base, shape) = match &kind.shape {
            TypeShape::Array(element) => (format!("{}[]", element.base_typname), &element.shape),
            shape => (kind.base_typname.clone(), shape),
        };
        Self {
            number: column.number,
            name: column.name.clone(),
            // Under a domain the base type says how long a text may be.
            type_name: if kind.domain.is_some() { kind.base_name.clone() } else { kind.name.clone() },
            base,
            labels: match shape {
                TypeShape::Enum(labels) => Some(labels.clone()),
                _ => None,
            },
            allowed: column.allowed_values.clone(),
            not_null: column.not_null,
            has_default: column.has_default,
            generated: column.generated,
            identity: column.identity.map(|identity| match identity {
                catalogue::Identity::Always => Identity::Always,
                catalogue::Identity::ByDefault => Identity::ByDefault,
            }),
            may_select: column.may_select,
            may_update: column.updatable && column.may_update,
            may_insert: column.updatable && column.may_insert,
        }
    }
}

impl TableInfo {
    /// `schema.table`
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// A column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether its rows can be written at all.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        matches!(self.kind, TableKind::Table | TableKind::Partitioned)
    }

    /// The columns that name a row: the primary key, else the first unique key without NULL.
    #[must_use]
    pub fn key(&self) -> &[String] {
        if !self.primary_key.is_empty() {
            return &self.primary_key;
        }
        let never_null = |key: &&Vec<String>| {
            key.iter().all(|name| self.column(name).is_some_and(|column| column.not_null))
        };
        self.uniques.iter().find(never_null).map_or(&[], Vec::as_slice)
    }

    /// The foreign key of exactly this column.
    #[must_use]
    pub fn foreign_key(&self, column: &str) -> Option<&ForeignKey> {
        self.foreign_keys.iter().find(|key| key.columns == [column])
    }

    /// Whether it only joins two tables: two foreign keys of one column each, which together are its key, and no
    /// other column.
    #[must_use]
    pub fn is_pure_join(&self) -> bool {
        let joined: Vec<&str> = self
            .foreign_keys
            .iter()
            .filter(|key| key.columns.len() == 1)
            .flat_map(|key| key.columns.iter().map(String::as_str))
            .collect();
        self.is_writable()
            && self.columns.len() == 2
            && self.foreign_keys.len() == 2
            && joined.len() == 2
            && joined[0] != joined[1]
            && self.key().len() == 2
    }
}

/// Finds a table by `schema.table`, or by its name alone, where the search path or the only schema that has it leads to it.
#[must_use]
pub fn find<'a>(tables: &'a [TableInfo], name: &str) -> Option<&'a TableInfo> {
    if let Some(table) = tables.iter().find(|table| table.full_name() == name) {
        return Some(table);
    }
    let mut named: Vec<&TableInfo> = tables.iter().filter(|table| table.name == name).collect();
    if let Some(at) = named.iter().position(|table| table.visible) {
        return Some(named[at]);
    }
    (named.len() == 1).then(|| named.remove(0))
}

#[cfg(test)]
pub(crate) mod made_by_hand {
    //! Tables for tests, written in one line each.

    use super::*;

    /// `name type [not null] [default] [generated] [identity] [readonly] [in a|b]`, separated by commas; a leading
    /// `*` marks the key.
    pub(crate) fn table(name: &str, columns: &str) -> TableInfo {
        let (schema, name) = name.split_once('.').unwrap_or(("public", name));
        let mut table = TableInfo {
            oid: 1,
            schema: schema.into(),
            name: name.into(),
            kind: TableKind::Table,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            may_select: true,
            may_insert: true,
            may_delete: true,
            may_hide_rows: false,
            visible: true,
        };
        for column in columns.split(", ") {
            let (key, column) = column.strip_prefix('*').map_or((false, column), |rest| (true, rest));
            let mut words = column.split(' ');
            let name = words.next().unwrap().to_owned();
            let type_name = words.next().unwrap().to_owned();
            let rest: Vec<&str> = words.collect();
            let has = |word: &str| rest.contains(&word);
            let (base, array) = type_name.strip_suffix("[]").map_or((type_name.as_str(), ""), |b| (b, "[]"));
            let base = base.split('(').next().unwrap();
            let list = rest
                .iter()
                .position(|w| *w == "in")
                .map(|at| rest[at + 1].split('|').map(str::to_owned).collect());
            if key {
                table.primary_key.push(name.clone());
            }
            if let Some(at) = rest.iter().position(|w| *w == "to") {
                let (target, column) = rest[at + 1].split_once('.').unwrap();
                table.foreign_keys.push(ForeignKey {
                    name: format!("fk_{name}"),
                    columns: vec![name.clone()],
                    target_schema: "public".into(),
                    target_table: target.into(),
                    target_columns: vec![column.into()],
                });
            }
            table.columns.push(ColumnInfo {
                number: i16::try_from(table.columns.len() + 1).unwrap(),
                base: format!("{base}{array}"),
                labels: if base == "mood" { list.clone() } else { None },
                allowed: if base == "mood" { None } else { list },
                not_null: key || has("not"),
                has_default: has("default"),
                generated: has("generated"),
                identity: has("identity").then_some(Identity::Always),
                may_select: true,
                may_update: !has("readonly"),
                may_insert: !has("readonly"),
                name,
                type_name: type_name.clone(),
            });
        }
        table
    }
}
