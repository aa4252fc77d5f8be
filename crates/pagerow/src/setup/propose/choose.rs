//! Which tables become mappings, which columns become fields, and as what.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::PropertyWord,
    notion::wire::{DataSource, PropertyConfig, PropertySchema},
    setup::{
        kinds::{column_kind, first_choice, storable},
        pairing::{self, humanised, humanised_reference, title_score},
        tables::{ColumnInfo, TableInfo},
    },
};

/// Everything that the file will say about tables.
pub(super) struct Chosen<'a> {
    pub(super) mappings: Vec<Choice<'a>>,
    /// Tables without a mapping, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// One table that becomes a mapping.
pub(super) struct Choice<'a> {
    pub(super) name: String,
    pub(super) table: &'a TableInfo,
    pub(super) source: Option<&'a DataSource>,
    pub(super) lines: Vec<Line>,
    pub(super) updated_at: Option<String>,
    pub(super) soft_delete: Option<String>,
    pub(super) match_on: Vec<String>,
    /// Bookkeeping columns: the setting's key, the column.
    pub(super) columns: Vec<(&'static str, String)>,
    /// Whether the key property has to be added to the data source.
    pub(super) adds_key_property: bool,
}

/// One line under `fields`.
pub(super) struct Line {
    pub(super) column: String,
    pub(super) property: String,
    pub(super) shown_as: Option<PropertyWord>,
    pub(super) to_notion: bool,
    pub(super) relation: Option<String>,
    pub(super) through: Option<Through>,
    /// Why it is not active.
    pub(super) left_out: Option<String>,
    /// What a reader should know.
    pub(super) note: String,
}

pub(super) struct Through {
    pub(super) table: String,
    pub(super) own_column: String,
    pub(super) other_column: String,
}

/// Schemas that belong to Postgres, to Supabase or to extensions.
const FOREIGN_SCHEMAS: [&str; 16] = [
    "auth",
    "cron",
    "extensions",
    "graphql",
    "graphql_public",
    "net",
    "pgbouncer",
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "realtime",
    "storage",
    "supabase_functions",
    "supabase_migrations",
    "vault",
    "_realtime",
];

const BOOKKEEPING: [(&str, &[&str]); 5] = [
    ("page_id", &["notion_page_id", "notion_id"]),
    ("synced_at", &["notion_synced_at", "notion_last_synced_at"]),
    ("status", &["notion_sync_status"]),
    ("error", &["notion_sync_error"]),
    ("synced", &["notion_synced"]),
];

/// The name of the key property where nobody says otherwise.
const KEY_PROPERTY: &str = "Supabase ID";

pub(super) fn choose<'a>(tables: &'a [TableInfo], sources: &'a [DataSource], own_schema: &str) -> Chosen<'a> {
    let mut left_out = Vec::new();
    let mut joins = Vec::new();
    let mut kept: Vec<&TableInfo> = Vec::new();
    for table in tables {
        if table.schema == own_schema || FOREIGN_SCHEMAS.contains(&table.schema.as_str()) {
            continue;
        }
        let why = if !table.may_select {
            Some("this role may not read it")
        } else if !table.is_writable() {
            Some("it is no table; it can be mapped by hand, to Notion only, with match_on naming its key")
        } else if table.key().is_empty() {
            Some("it has no primary key, so its rows cannot be told apart")
        } else {
            None
        };
        match why {
            Some(why) => left_out.push((table.full_name(), why.to_owned())),
            None => kept.push(table),
        }
    }
    // A join table needs both of its tables, each with a key of one column, the one that it names.
    let is_join = |table: &TableInfo| {
        table.is_pure_join()
            && table.foreign_keys.iter().all(|key| {
                kept.iter().any(|other| {
                    other.schema == key.target_schema
                        && other.name == key.target_table
                        && other.key() == key.target_columns
                })
            })
    };
    let (join_tables, kept): (Vec<&TableInfo>, Vec<&TableInfo>) =
        kept.iter().copied().partition(|table| is_join(table));
    joins.extend(join_tables);
    let names = mapping_names(&kept);
    let titles: Vec<String> = kept.iter().map(|table| table.name.clone()).collect();
    let paired = pairing::data_sources(&titles, sources);
    let by_table: BTreeMap<(&str, &str), usize> = kept
        .iter()
        .enumerate()
        .map(|(at, table)| ((table.schema.as_str(), table.name.as_str()), at))
        .collect();
    let world = World { names: &names, paired: &paired, by_table: &by_table, kept: &kept };
    let mut mappings: Vec<Choice<'a>> = (0..kept.len()).map(|at| world.choice(at)).collect();
    for join in joins {
        let why = world.add_join(join, &mut mappings);
        left_out.push((join.full_name(), why));
    }
    Chosen { mappings, left_out }
}

fn mapping_names(tables: &[&TableInfo]) -> Vec<String> {
    tables
        .iter()
        .map(|table| {
            let same = tables.iter().filter(|other| other.name == table.name).count();
            if same > 1 { format!("{}_{}", table.schema, table.name) } else { table.name.clone() }
        })
        .collect()
}

/// All tables that become mappings, while they do.
struct World<'w, 'a> {
    names: &'w [String],
    paired: &'w [Option<&'a DataSource>],
    by_table: &'w BTreeMap<(&'a str, &'a str), usize>,
    kept: &'w [&'a TableInfo],
}

impl<'a> World<'_, 'a> {
    fn choice(&self, at: usize) -> Choice<'a> {
        let table = self.kept[at];
        let source = self.paired[at];
        let updated_at = named(
            table,
            &["updated_at", "modified_at", "last_modified", "updated_on"],
            &["timestamptz", "timestamp"],
        );
        let soft_delete = named(
            table,
            &["deleted_at", "archived_at", "is_deleted", "deleted"],
            &["timestamptz", "timestamp", "bool"],
        );
        let columns: Vec<(&'static str, String)> = BOOKKEEPING
            .iter()
            .filter_map(|(key, names)| {
                let types: &[&str] = match *key {
                    "synced_at" => &["timestamptz", "timestamp"],
                    "synced" => &["bool"],
                    "page_id" => &["text", "varchar", "uuid"],
                    _ => &["text", "varchar"],
                };
                named(table, names, types).map(|column| (*key, column))
            })
            .collect();
        let mut reserved: BTreeSet<String> = columns.iter().map(|(_, column)| column.clone()).collect();
        reserved.extend(soft_delete.clone());
        let title = title_column(table, &reserved);
        let mut lines: Vec<Line> = table
            .columns
            .iter()
            .filter_map(|column| self.line(table, column, &reserved, updated_at.as_deref(), title.as_deref()))
            .collect();
        match source {
            Some(source) => self.pair(table, source, &mut lines),
            None => unique_names(&mut lines),
        }
        let match_on = match_on(table, &lines);
        let has_key = source.is_none_or(|source| {
            source.properties.iter().any(|property| {
                property.name == KEY_PROPERTY
                    && ["rich_text", "title", "url", "email", "phone_number"]
                        .contains(&property.config.kind())
            })
        });
        Choice {
            name: self.names[at].clone(),
            table,
            source,
            lines,
            updated_at,
            soft_delete,
            match_on,
            columns,
            adds_key_property: !has_key,
        }
    }

    /// The field of a column; `None` for columns that pagerow uses otherwise.
    fn line(
        &self,
        table: &TableInfo,
        column: &ColumnInfo,
        reserved: &BTreeSet<String>,
        updated_at: Option<&str>,
        title: Option<&str>,
    ) -> Option<Line> {
        if reserved.contains(&column.name) {
            return None;
        }
        let mut line = Line {
            column: column.name.clone(),
            property: humanised(&column.name),
            shown_as: None,
            to_notion: false,
            relation: None,
            through: None,
            left_out: None,
            note: String::new(),
        };
        let is_key = table.key().contains(&column.name);
        let target = table.foreign_key(&column.name).and_then(|key| {
            let at = *self.by_table.get(&(key.target_schema.as_str(), key.target_table.as_str()))?;
            (self.kept[at].key() == key.target_columns).then_some(at)
        });
        if let Some(at) = target {
            line.property = humanised_reference(&column.name);
            line.relation = Some(self.names[at].clone());
            if is_key {
                // Another row's key is another row.
                line.to_notion = true;
                "part of the key, so it is shown only".clone_into(&mut line.note);
            }
            return Some(line);
        }
        if is_key {
            line.left_out = Some(format!("the key stands in the property \"{KEY_PROPERTY}\""));
            return Some(line);
        }
        if updated_at == Some(column.name.as_str()) {
            line.left_out =
                Some("it changes with every edit; pagerow uses it to tell which edit is later".to_owned());
            return Some(line);
        }
        if reads_like_a_secret(&column.name) {
            line.left_out = Some("it reads like a secret".to_owned());
            return Some(line);
        }
        if !column.may_select {
            line.left_out = Some("this role may not read it".to_owned());
            return Some(line);
        }
        let kind = match column_kind(column) {
            Ok(kind) => kind,
            Err(reason) => {
                line.left_out = Some(format!("{}: {reason}", column.type_name));
                return Some(line);
            }
        };
        let word = if title == Some(column.name.as_str()) {
            PropertyWord::Title
        } else {
            first_choice(column, &kind)
        };
        // What is told by a name or chosen is written out; what follows from the type is left to the type.
        if matches!(word, PropertyWord::Title | PropertyWord::Email | PropertyWord::Url) {
            line.shown_as = Some(word);
        }
        line.note = match (&column.labels, &column.allowed) {
            (Some(labels), _) | (None, Some(labels)) => format!("{}: {}", word.name(), labels.join(", ")),
            (None, None) if word == PropertyWord::Title => "the page's title".to_owned(),
            (None, None) => word.name().to_owned(),
        };
        if column.generated || column.identity == Some(crate::setup::tables::Identity::Always) {
            line.note.push_str(", made by the database, so it is shown only");
        } else if column.name == "created_at" || column.name == "inserted_at" {
            line.to_notion = true;
            line.note.push_str(", set once, so it is shown only");
        }
        Some(line)
    }

    /// Gives the lines the properties of a data source that is there; what has none is left out.
    fn pair(&self, table: &TableInfo, source: &DataSource, lines: &mut [Line]) {
        let names: Vec<String> = lines
            .iter()
            .map(|line| {
                if line.relation.is_some() { humanised_reference(&line.column) } else { line.column.clone() }
            })
            .collect();
        let fits = |at: usize, property: &PropertySchema| self.fits(table, &lines[at], property);
        let mut found: Vec<Option<&PropertySchema>> = pairing::properties(&names, &source.properties, fits);
        // The title is called differently more often than not.
        let title = source.properties.iter().find(|property| property.config == PropertyConfig::Title);
        if let Some(title) = title
            && !found.iter().flatten().any(|property| property.id == title.id)
            && let Some(at) = lines.iter().position(|line| line.shown_as == Some(PropertyWord::Title))
        {
            found[at] = Some(title);
        }
        for (line, property) in lines.iter_mut().zip(found) {
            line.shown_as = None;
            match property {
                Some(property) => {
                    line.property.clone_from(&property.name);
                    if line.left_out.is_none() {
                        let kind = property.config.kind();
                        line.note =
                            if line.to_notion { format!("{kind}, shown only") } else { kind.to_owned() };
                    }
                }
                None if line.left_out.is_none() => {
                    line.left_out = Some("the data source has no such property; add it there, or make this line active with manage_schema = true".to_owned());
                }
                None => {}
            }
        }
    }

    fn fits(&self, table: &TableInfo, line: &Line, property: &PropertySchema) -> bool {
        if line.left_out.is_some() || property.name == KEY_PROPERTY {
            return false;
        }
        let Some(word) = PropertyWord::of(property.config.kind()) else { return false };
        match &line.relation {
            Some(mapping) => {
                let target =
                    self.names.iter().position(|name| name == mapping).and_then(|at| self.paired[at]);
                let PropertyConfig::Relation { data_source_id, .. } = &property.config else { return false };
                target.is_some_and(|target| data_source_id.as_deref() == Some(target.id.as_str()))
            }
            None => {
                let column = table.column(&line.column);
                column
                    .and_then(|column| column_kind(column).ok())
                    .is_some_and(|kind| storable(&kind, word).is_ok())
            }
        }
    }

    /// Adds a join table to the first of its two tables; the sentence that says so.
    fn add_join(&self, join: &TableInfo, mappings: &mut [Choice<'a>]) -> String {
        let [first, second] = join.foreign_keys.as_slice() else { return String::new() };
        // The key's first column names the side that the table is about.
        let (own, other) =
            if join.key().first() == second.columns.first() { (second, first) } else { (first, second) };
        let place = |key: &crate::setup::tables::ForeignKey| {
            self.by_table.get(&(key.target_schema.as_str(), key.target_table.as_str())).copied()
        };
        let (Some(own_at), Some(other_at)) = (place(own), place(other)) else { return String::new() };
        let other_name = self.names[other_at].clone();
        let mapping = &mut mappings[own_at];
        let mut column = other_name.clone();
        while mapping.lines.iter().any(|line| line.column == column)
            || mapping.table.column(&column).is_some()
        {
            column.push_str("_too");
        }
        let mut line = Line {
            property: humanised(&other_name),
            shown_as: None,
            to_notion: false,
            relation: Some(other_name.clone()),
            through: Some(Through {
                table: join.full_name(),
                own_column: own.columns[0].clone(),
                other_column: other.columns[0].clone(),
            }),
            left_out: None,
            note: format!("many {other_name}, through {}", join.name),
            column,
        };
        match mapping.source {
            Some(source) => {
                let taken: Vec<String> = mapping.lines.iter().map(|line| line.property.clone()).collect();
                let there = source
                    .properties
                    .iter()
                    .find(|p| self.fits(mapping.table, &line, p) && !taken.contains(&p.name));
                match there {
                    Some(property) => line.property.clone_from(&property.name),
                    None => line.left_out = Some("the data source has no relation for it; add one there, or make this line active with manage_schema = true".to_owned()),
                }
                mapping.lines.push(line);
            }
            None => {
                mapping.lines.push(line);
                unique_names(&mut mapping.lines);
            }
        }
        format!(
            "it only joins {} and {other_name}, and is the field {} of {}",
            mapping.name,
            mapping.lines.last().map_or("", |l| l.column.as_str()),
            mapping.name
        )
    }
}

/// A column of one of these names and types.
fn named(table: &TableInfo, names: &[&str], types: &[&str]) -> Option<String> {
    let fits = |column: &&ColumnInfo| {
        types.contains(&column.base.as_str()) && column.may_update && !column.generated
    };
    names.iter().find_map(|name| table.column(name).filter(fits)).map(|column| column.name.clone())
}

/// The column that reads most like a name; else the first text.
fn title_column(table: &TableInfo, reserved: &BTreeSet<String>) -> Option<String> {
    let texts: Vec<&ColumnInfo> = table
        .columns
        .iter()
        .filter(|column| {
            ["text", "varchar", "citext", "bpchar", "name"].contains(&column.base.as_str())
                && column.allowed.is_none()
                && column.may_select
                && !table.key().contains(&column.name)
                && table.foreign_key(&column.name).is_none()
                && !reserved.contains(&column.name)
                && !reads_like_a_secret(&column.name)
        })
        .collect();
    // Where a row is a person, `title` is what they do.
    let person = texts
        .iter()
        .any(|c| ["first_name", "firstname", "given_name"].contains(&c.name.to_lowercase().as_str()));
    let score = |column: &ColumnInfo| {
        let name = column.name.to_lowercase();
        match (person, name.as_str()) {
            (true, "title") => 20,
            (true, "surname" | "family_name" | "lastname") => 80,
            _ => title_score(&name),
        }
    };
    let best = texts.iter().enumerate().max_by_key(|(at, column)| (score(column), std::cmp::Reverse(*at)));
    best.map(|(_, column)| column.name.clone())
}

/// A unique key over mapped columns, which names a record for people.
fn match_on(table: &TableInfo, lines: &[Line]) -> Vec<String> {
    let mapped = |name: &String| lines.iter().any(|line| line.column == *name && line.left_out.is_none());
    let natural = |key: &&Vec<String>| key.as_slice() != table.key() && key.iter().all(mapped);
    table.uniques.iter().find(natural).cloned().unwrap_or_default()
}

fn reads_like_a_secret(column: &str) -> bool {
    let words = pairing::words(column);
    let has = |word: &str| words.iter().any(|w| w == word);
    ["password", "passwd", "pwd", "secret", "passphrase", "salt", "credential", "credentials"]
        .iter()
        .any(|w| has(w))
        || (has("token") || has("hash") || has("encrypted"))
        || (has("api") && has("key"))
        || (has("private") && has("key"))
}

/// No two properties of one name, and none of the key property's.
fn unique_names(lines: &mut [Line]) {
    let mut taken: BTreeSet<String> = BTreeSet::from([KEY_PROPERTY.to_lowercase()]);
    for line in lines.iter_mut().filter(|line| line.left_out.is_none()) {
        let mut name = line.property.clone();
        if name.is_empty() {
            name.clone_from(&line.column);
        }
        if taken.contains(&name.to_lowercase()) {
            name = humanised(&line.column);
        }
        let stem = name.clone();
        let mut number = 2;
        while taken.contains(&name.to_lowercase()) {
            name = format!("{stem} {number}");
            number += 1;
        }
        taken.insert(name.to_lowercase());
        line.property = name;
    }
}
