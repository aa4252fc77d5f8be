//! The SQL by which one mapping's rows are read, made once from its table's description.

use pagerow_core::mapping::{ColumnKind, Mapping};

use super::{
    catalogue::literal,
    convert::{self, Column},
    table::{BesideColumn, Capture, FieldSource, Table},
};

/// A quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the statements of one mapping have in common.
///
/// The table goes by its own name in every statement, so that a mapping's condition may say `suppliers.status`;
/// pagerow's own names beside it begin with `pagerow_`.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// `"public"."suppliers"`.
    pub(super) table: String,
    /// `"suppliers"`, by which columns are qualified.
    pub(super) name: String,
    /// Each key column: qualified, its text form, the type that keys are cast to.
    pub(super) key: Vec<Key>,
    pub(super) fields: Vec<Source>,
    /// How many columns each field takes in [`Statements::columns`].
    pub(super) widths: Vec<usize>,
    /// Columns that expressions look at and that are no fields, and how many columns each takes behind the fields.
    pub(super) beside: Vec<(String, Column, usize)>,
    condition: Option<String>,
    marked: Option<String>,
    edited_since: Option<String>,
    extras: Vec<String>,
    joins: Vec<JoinSql>,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) column: String,
    pub(super) text: String,
    pub(super) cast: String,
}

/// Where a field comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Column {
        reader: Column,
        name: String,
        writable: bool,
    },
    /// Made of other columns.
    Derived,
    Join(Box<Join>),
    Paused,
}

/// A join table.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) table: String,
    pub(super) own: String,
    pub(super) own_text: String,
    pub(super) own_cast: String,
    pub(super) other: String,
    pub(super) other_text: String,
    pub(super) other_cast: String,
}

#[derive(Clone, Debug)]
struct JoinSql {
    alias: String,
    join: Join,
}

/// Which rows a statement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which<'a> {
    /// Those that take part.
    InScope,
    /// Those for which this holds, whether they take part or not.
    Where(&'a str),
    /// Those whose keys are the first parameters, one array of text for each key column.
    Keys,
    /// Those that would be made of the whole rows in the first parameter, an array of JSON as text.
    Whole,
}

impl Statements {
    pub(super) fn new(table: &Table, mapping: &Mapping) -> Self {
        let name = quoted(&table.name);
        let qualified = |column: &str| format!("{name}.{}", quoted(column));
        let key: Vec<Key> = table
            .key
            .iter()
            .map(|key| {
                let column = qualified(&key.name);
                let text = convert::key_expression(&column, &key.type_name);
                Key { column, text, cast: convert::castable(&key.type_name) }
            })
            .collect();
        let mut joins = Vec::new();
        let (mut fields, mut expressions, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        for (place, source) in table.fields.iter().enumerate() {
            let text = ColumnKind::Text { max: None };
            let holds = mapping.fields.get(place).map_or(&text, |field| {
                // Through an expression a row shows something else than its column holds.
                field.lens.as_ref().and_then(|lens| lens.column.as_ref()).unwrap_or(&field.holds)
            });
            let (field, columns) = match source {
                FieldSource::Column { name, type_name, base, writable } => {
                    let reader = Column::of(base, type_name, holds);
                    let columns = reader.expressions(&qualified(name));
                    (Source::Column { reader, name: quoted(name), writable: *writable }, columns)
                }
                FieldSource::Derived => (Source::Derived, Vec::new()),
                FieldSource::Join { schema, table, own_column, own_type, other_column, other_type } => {
                    let (own, other) = (quoted(own_column), quoted(other_column));
                    let join = Join {
                        table: format!("{}.{}", quoted(schema), quoted(table)),
                        own_text: convert::key_expression(&own, own_type),
                        own_cast: convert::castable(own_type),
                        other_text: convert::key_expression(&other, other_type),
                        other_cast: convert::castable(other_type),
                        own,
                        other,
                    };
                    let alias = format!("pagerow_join_{place}");
                    let columns = vec![format!("{alias}.pagerow_keys")];
                    joins.push(JoinSql { alias, join: join.clone() });
                    (Source::Join(Box::new(join)), columns)
                }
                FieldSource::Paused => (Source::Paused, Vec::new()),
            };
            widths.push(columns.len());
            expressions.extend(columns);
            fields.push(field);
        }
        let mut beside = Vec::with_capacity(table.beside.len());
        for BesideColumn { name, type_name, base, holds } in &table.beside {
            let reader = Column::of(base, type_name, holds);
            let columns = reader.expressions(&qualified(name));
            beside.push((name.clone(), reader, columns.len()));
            expressions.extend(columns);
        }
        let marked = table.soft_delete.as_ref().map(|mark| {
            let column = qualified(&mark.name);
            if mark.boolean { format!("{column} IS TRUE") } else { format!("{column} IS NOT NULL") }
        });
        let edited = table.updated_at.as_ref().map_or_else(
            || "NULL::timestamptz".to_owned(),
            |time| match time.zoned {
                true => format!("{}::timestamptz", qualified(&time.name)),
                false => {
                    format!("({}::timestamp AT TIME ZONE {})", qualified(&time.name), literal(&table.zone))
                }
            },
        );
        let edited_since = table.updated_at.as_ref().filter(|_| table.capture == Capture::Poll).map(|time| {
            let column = qualified(&time.name);
            let since = match time.zoned {
                true => "$1::text::timestamptz".to_owned(),
                // An hour that a clock shows twice is read twice.
                false => format!(
                    "($1::text::timestamptz AT TIME ZONE {}) - interval '2 hours'",
                    literal(&table.zone)
                ),
            };
            format!("({column} >= {since} OR {column} IS NULL)")
        });
        let text_of = |column: &Option<String>| {
            column
                .as_ref()
                .map_or_else(|| "NULL::text".to_owned(), |column| format!("{}::text", qualified(column)))
        };
        let mut extras = expressions;
        extras.push(edited);
        extras.push(text_of(&table.bookkeeping.page_id));
        extras.push(text_of(&table.bookkeeping.checksum));
        Self {
            table: format!("{}.{name}", quoted(&table.schema)),
            name,
            key,
            fields,
            widths,
            beside,
            condition: table.condition.as_ref().map(|sql| format!("(\n{sql}\n)")),
            marked,
            edited_since,
            extras,
            joins,
        }
    }

    /// Key columns, then fields, then what expressions look at beside them, then edit time, page id, checksum, the deletion mark, whether it takes part, and
    /// for [`Which::Keys`] and [`Which::Whole`] the place of what was asked for.
    pub(super) fn select(&self, which: Which<'_>) -> String {
        let keys = self.key.iter().map(|key| key.text.as_str());
        let marked = self.marked.as_deref().unwrap_or("false");
        let in_scope = match (which, &self.condition) {
            (Which::InScope | Which::Whole, _) | (_, None) => "true".to_owned(),
            (_, Some(condition)) => format!("{condition} IS TRUE"),
        };
        let mut list: Vec<&str> = keys.chain(self.extras.iter().map(String::as_str)).collect();
        list.extend([marked, in_scope.as_str()]);
        let (from, filter) = match which {
            Which::InScope => (self.aliased(), self.condition.clone().unwrap_or_else(|| "true".to_owned())),
            Which::Where(condition) => (self.aliased(), condition.to_owned()),
            Which::Keys => {
                list.push("pagerow_asked.pagerow_place");
                (
                    format!("{} JOIN {} ON {}", self.asked(), self.aliased(), self.key_matches()),
                    "true".to_owned(),
                )
            }
            Which::Whole => {
                list.push("pagerow_asked.pagerow_place");
                let whole = asked(0, &["pagerow_whole".to_owned()]);
                let row =
                    format!("json_populate_record(NULL::{}, pagerow_asked.pagerow_whole::json)", self.table);
                (format!("{whole} CROSS JOIN LATERAL {row} AS {}", self.name), "true".to_owned())
            }
        };
        let mut sql = format!("SELECT {} FROM {from}", list.join(", "));
        if let Some(own) = self.key.first() {
            for JoinSql { alias, join } in &self.joins {
                let only = match which {
                    Which::Keys => {
                        format!("{} IN (SELECT unnest($1::text[])::{}) AND ", join.own, join.own_cast)
                    }
                    Which::InScope | Which::Where(_) => String::new(),
                    // Its pairs are no part of a row.
                    Which::Whole => "false AND ".to_owned(),
                };
                sql.push_str(&format!(
                    " LEFT JOIN (SELECT {} AS pagerow_own, array_agg({}) AS pagerow_keys FROM {} \
                     WHERE {only}{} IS NOT NULL GROUP BY 1) AS {alias} ON {alias}.pagerow_own = {}",
                    join.own, join.other_text, join.table, join.other, own.column
                ));
            }
        }
        sql.push_str(&format!(" WHERE {filter}"));
        sql
    }

    /// Locks the rows of the asked keys in one order for everybody, and returns the places of the keys.
    pub(super) fn lock(&self, skip_locked: bool) -> String {
        let order: Vec<&str> = self.key.iter().map(|key| key.column.as_str()).collect();
        format!(
            "SELECT pagerow_asked.pagerow_place FROM {} JOIN {} ON {} ORDER BY {} FOR UPDATE OF {}{}",
            self.asked(),
            self.aliased(),
            self.key_matches(),
            order.join(", "),
            self.name,
            if skip_locked { " SKIP LOCKED" } else { "" }
        )
    }

    /// The rows that were edited since the first parameter, a time; where the mapping asks its column for that.
    pub(super) fn edited_since(&self) -> Option<String> {
        self.edited_since.clone()
    }

    /// How many rows take part and carry no deletion mark.
    pub(super) fn count(&self) -> String {
        let condition = self.condition.as_deref().unwrap_or("true");
        let marked = self.marked.as_deref().unwrap_or("false");
        format!("SELECT count(*) FROM {} WHERE {condition} AND NOT ({marked})", self.aliased())
    }

    /// The key's texts of rows for which a condition holds.
    pub(super) fn keys_where(&self, condition: &str, limit: usize) -> String {
        format!("SELECT {} FROM {} WHERE {condition} LIMIT {limit}", self.key_texts(), self.aliased())
    }

    pub(super) fn key_texts(&self) -> String {
        self.key.iter().map(|key| key.text.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// `"public"."suppliers" AS "suppliers"`.
    pub(super) fn aliased(&self) -> String {
        format!("{} AS {}", self.table, self.name)
    }

    pub(super) fn joins(&self) -> impl Iterator<Item = &Join> {
        self.joins.iter().map(|sql| &sql.join)
    }

    fn asked(&self) -> String {
        asked(self.key.len(), &[])
    }

    /// The table's key is the asked one.
    pub(super) fn key_matches(&self) -> String {
        let equal = self
            .key
            .iter()
            .enumerate()
            .map(|(i, key)| format!("{} = pagerow_asked.k{i}::{}", key.column, key.cast));
        equal.collect::<Vec<_>>().join(" AND ")
    }
}

/// `unnest` of one array of text for each key column and for each of `values`, as the relation `pagerow_asked`.
pub(super) fn asked(keys: usize, values: &[String]) -> String {
    let names: Vec<String> = (0..keys).map(|i| format!("k{i}")).chain(values.iter().cloned()).collect();
    let arrays: Vec<String> = (1..=names.len()).map(|i| format!("${i}::text[]")).collect();
    format!(
        "unnest({}) WITH ORDINALITY AS pagerow_asked({}, pagerow_place)",
        arrays.join(", "),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }

    #[test]
    fn keys_and_values_are_unnested_together() {
        assert_eq!(
            asked(1, &["c0".into()]),
            "unnest($1::text[], $2::text[]) WITH ORDINALITY AS pagerow_asked(k0, c0, pagerow_place)"
        );
    }
}
