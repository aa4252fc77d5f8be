//! How is the catalogue read? With a handful of queries for all tables together, whatever their number.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::allowed_values::allowed_values;
use super::{
    Catalogue, Column, ColumnType, ForeignKey, Identity, Key, Rights, Table, TableKind, Trigger, TypeShape,
    Unique,
};
use crate::postgres::error::PostgresError;
use crate::postgres::session::Session;
use crate::postgres::transaction::Param;

const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, pg_table_is_visible(c.oid),
       EXISTS (SELECT FROM pg_depend d
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
       c.reltuples::float8, has_schema_privilege(n.oid, 'USAGE'),
       has_any_column_privilege(c.oid, 'SELECT'), has_any_column_privilege(c.oid, 'INSERT'),
       has_any_column_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'),
       has_table_privilege(c.oid, 'TRIGGER'), pg_has_role(c.relowner, 'USAGE'),
       c.relrowsecurity, row_security_active(c.oid), obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND CASE WHEN $1 THEN n.nspname || '.' || c.relname = ANY ($2)
                     OR (c.relname = ANY ($2) AND n.nspname NOT IN ('pg_catalog', 'information_schema'))
           ELSE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
                AND NOT c.relispartition END
ORDER BY n.nspname, c.relname";

const COLUMNS: &str = "
SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, format_type(a.atttypid, a.atttypmod), a.atttypmod,
       a.attnotnull, a.atthasdef, a.attgenerated::text, a.attidentity::text,
       pg_column_is_updatable(a.attrelid, a.attnum, false),
       has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
       has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
       col_description(a.attrelid, a.attnum)
FROM pg_attribute a
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// The types and everything that they are made of.
const TYPES: &str = "
WITH RECURSIVE needed (oid) AS (
    SELECT unnest($1)
    UNION
    SELECT part.oid FROM needed JOIN pg_type t ON t.oid = needed.oid
    LEFT JOIN pg_range r ON r.rngtypid = t.oid OR to_jsonb(r) ->> 'rngmultitypid' = t.oid::text
    CROSS JOIN LATERAL (VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem END),
                               (r.rngsubtype)) AS part (oid)
    WHERE part.oid <> 0
)
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text, t.typbasetype, t.typtypmod,
       format_type(t.oid, NULL), format_type(t.typbasetype, t.typtypmod),
       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE coalesce(r.rngsubtype, 0::oid) END,
       t.typnotnull, t.typdefault IS NOT NULL,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM needed JOIN pg_type t USING (oid) JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_range r ON r.rngtypid = t.oid OR to_jsonb(r) ->> 'rngmultitypid' = t.oid::text";

/// Unique indexes that hold for every row. `indkey` may have columns behind the key (INCLUDE).
const INDEXES: &str = "
SELECT i.indrelid, c.relname::text, i.indisprimary, i.indnkeyatts, i.indkey::int2[]
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY ($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, NOT i.indisreplident, i.indnkeyatts, c.relname";

/// Foreign keys, and what partitions inherit left out.
const FOREIGN_KEYS: &str = "
SELECT k.conrelid, k.conname::text, k.confrelid, n.nspname::text, t.relname::text, k.condeferrable,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS part (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = part.number ORDER BY part.place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS part (number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = part.number ORDER BY part.place)
FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE k.conrelid = ANY ($1) AND k.contype = 'f'
  AND NOT EXISTS (SELECT FROM pg_constraint whole
                  WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid)
ORDER BY k.conrelid, k.conname";

/// CHECK constraints that look at one column, and those of domains.
const CHECKS: &str = "
SELECT k.conrelid, coalesce(k.conkey[1], 0::int2), k.contypid, pg_get_constraintdef(k.oid)
FROM pg_constraint k
WHERE k.contype = 'c' AND k.convalidated
  AND (k.contypid = ANY ($2) OR (k.conrelid = ANY ($1) AND cardinality(k.conkey) = 1))
ORDER BY k.conrelid, k.contypid, k.conname";

const TRIGGERS: &str = "
SELECT t.tgrelid, t.tgname::text, n.nspname || '.' || p.proname, t.tgenabled IN ('O', 'A'),
       t.tgtype & 3 = 3
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal
ORDER BY t.tgrelid, t.tgname";

/// One transaction: one picture of all tables, and a limit to the wait for somebody who has locked one of them.
pub(super) async fn catalogue(session: &Session, names: Option<&[&str]>) -> Result<Catalogue, PostgresError> {
    session.batch(BEGIN).await?;
    let outcome = read_all(session, names).await;
    let ended = session.batch("COMMIT").await;
    let catalogue = outcome?;
    ended?;
    Ok(catalogue)
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '120s'";

async fn read_all(session: &Session, names: Option<&[&str]>) -> Result<Catalogue, PostgresError> {
    let (only_named, wanted) = (names.is_some(), names.unwrap_or_default().to_vec());
    let parameters: [Param<'_>; 2] = [(&only_named, Type::BOOL), (&wanted, Type::TEXT_ARRAY)];
    let rows = session.query(TABLES, &parameters).await?;
    let mut tables = rows.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    let places: BTreeMap<u32, usize> =
        tables.iter().enumerate().map(|(place, table)| (table.oid, place)).collect();
    let oids: Vec<u32> = places.keys().copied().collect();
    let of_tables: [Param<'_>; 1] = [(&oids, Type::OID_ARRAY)];

    let columns = session.query(COLUMNS, &of_tables).await?;
    let types = Types::read(session, &columns).await?;
    let type_oids: Vec<u32> = types.by_oid.keys().copied().collect();
    let of_both: [Param<'_>; 2] = [(&oids, Type::OID_ARRAY), (&type_oids, Type::OID_ARRAY)];
    let lists = Lists::read(&session.query(CHECKS, &of_both).await?)?;
    for row in &columns {
        let oid: u32 = get(row, 0)?;
        if let Some(place) = places.get(&oid) {
            tables[*place].columns.push(column(row, oid, &types, &lists)?);
        }
    }
    for row in session.query(INDEXES, &of_tables).await? {
        add_index(&mut tables[places[&get(&row, 0)?]], &row)?;
    }
    for row in session.query(FOREIGN_KEYS, &of_tables).await? {
        tables[places[&get(&row, 0)?]].foreign_keys.push(ForeignKey {
            name: get(&row, 1)?,
            target: get(&row, 2)?,
            target_schema: get(&row, 3)?,
            target_table: get(&row, 4)?,
            deferrable: get(&row, 5)?,
            columns: get(&row, 6)?,
            target_columns: get(&row, 7)?,
        });
    }
    for row in session.query(TRIGGERS, &of_tables).await? {
        tables[places[&get(&row, 0)?]].triggers.push(Trigger {
            name: get(&row, 1)?,
            function: get(&row, 2)?,
            enabled: get(&row, 3)?,
            before_row: get(&row, 4)?,
        });
    }
    Ok(Catalogue { tables })
}

fn table(row: &Row) -> Result<Table, PostgresError> {
    let estimate: f64 = get(row, 6)?;
    Ok(Table {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind: match get::<String>(row, 3)?.as_str() {
            "r" => TableKind::Table,
            "p" => TableKind::Partitioned,
            "v" => TableKind::View,
            "m" => TableKind::MaterialisedView,
            _ => TableKind::Foreign,
        },
        visible: get(row, 4)?,
        of_extension: get(row, 5)?,
        columns: Vec::new(),
        key: None,
        unique: Vec::new(),
        foreign_keys: Vec::new(),
        row_estimate: whole(estimate),
        rights: Rights {
            schema: get(row, 7)?,
            select: get(row, 8)?,
            insert: get(row, 9)?,
            update: get(row, 10)?,
            delete: get(row, 11)?,
            trigger: get(row, 12)?,
            owner: get(row, 13)?,
        },
        row_security: get(row, 14)?,
        row_security_binds: get(row, 15)?,
        triggers: Vec::new(),
        comment: get(row, 16)?,
    })
}

/// −1 stands for "never analysed".
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, checked to be positive"
)]
fn whole(estimate: f64) -> Option<u64> {
    (estimate >= 0.0).then_some(estimate as u64)
}

fn column(row: &Row, table: u32, types: &Types, lists: &Lists) -> Result<Column, PostgresError> {
    let (number, type_oid): (i16, u32) = (get(row, 1)?, get(row, 3)?);
    let kind = types.resolve(type_oid, get(row, 4)?)?;
    let domains = types.domains(type_oid);
    let generated: String = get(row, 8)?;
    let identity = match get::<String>(row, 9)?.as_str() {
        "a" => Some(Identity::Always),
        "d" => Some(Identity::ByDefault),
        _ => None,
    };
    let of_domain = || domains.iter().find_map(|domain| lists.of_domains.get(domain));
    Ok(Column {
        number,
        name: get(row, 2)?,
        kind,
        not_null: get(row, 6)? || domains.iter().any(|domain| types.by_oid[domain].not_null),
        has_default: get(row, 7)?
            || identity.is_some()
            || domains.iter().any(|domain| types.by_oid[domain].has_default),
        generated: !generated.is_empty(),
        identity,
        updatable: get(row, 10)?,
        may_select: get(row, 11)?,
        may_insert: get(row, 12)?,
        may_update: get(row, 13)?,
        allowed_values: lists.of_columns.get(&(table, number)).or_else(of_domain).cloned(),
        comment: get(row, 14)?,
    })
}

fn add_index(table: &mut Table, row: &Row) -> Result<(), PostgresError> {
    let (name, primary, length): (String, bool, i16) = (get(row, 1)?, get(row, 2)?, get(row, 3)?);
    let numbers: Vec<i16> = get(row, 4)?;
    let parts = numbers.iter().take(usize::try_from(length).unwrap_or_default());
    let columns: Option<Vec<&Column>> =
        parts.map(|number| table.columns.iter().find(|column| column.number == *number)).collect();
    // An index over a system column is nobody's key.
    let Some(columns) = columns else { return Ok(()) };
    let required = columns.iter().all(|column| column.not_null);
    let columns: Vec<_> = columns.into_iter().map(|column| column.name.clone()).collect();
    if table.key.is_none() && required {
        table.key = Some(Key { columns: columns.clone(), primary, name: name.clone() });
    }
    table.unique.push(Unique { name, columns });
    Ok(())
}

/// The lists of allowed values, by column and by domain.
#[derive(Default)]
struct Lists {
    of_columns: BTreeMap<(u32, i16), Vec<String>>,
    of_domains: BTreeMap<u32, Vec<String>>,
}

impl Lists {
    fn read(rows: &[Row]) -> Result<Self, PostgresError> {
        let mut lists = Self::default();
        for row in rows {
            let (table, number, domain): (u32, i16, u32) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
            let Some(values) = allowed_values(&get::<String>(row, 3)?) else { continue };
            if domain == 0 {
                lists.of_columns.entry((table, number)).or_insert(values);
            } else {
                lists.of_domains.entry(domain).or_insert(values);
            }
        }
        Ok(lists)
    }
}

struct TypeRow {
    schema: String,
    typname: String,
    /// `pg_type.typtype`.
    form: String,
    category: char,
    base: u32,
    name: String,
    /// The type below a domain, with the domain's modifier.
    base_name: Option<String>,
    element: u32,
    not_null: bool,
    has_default: bool,
    labels: Vec<String>,
}

struct Types {
    by_oid: BTreeMap<u32, TypeRow>,
}

impl Types {
    async fn read(session: &Session, columns: &[Row]) -> Result<Self, PostgresError> {
        let mut used = columns.iter().map(|row| get(row, 3)).collect::<Result<Vec<u32>, _>>()?;
        used.sort_unstable();
        used.dedup();
        let mut by_oid = BTreeMap::new();
        for row in session.query(TYPES, &[(&used, Type::OID_ARRAY)]).await? {
            by_oid.insert(
                get(&row, 0)?,
                TypeRow {
                    schema: get(&row, 1)?,
                    typname: get(&row, 2)?,
                    form: get(&row, 3)?,
                    category: get::<String>(&row, 4)?.chars().next().unwrap_or('X'),
                    base: get(&row, 5)?,
                    name: get(&row, 7)?,
                    base_name: get(&row, 8)?,
                    element: get(&row, 9)?,
                    not_null: get(&row, 10)?,
                    has_default: get(&row, 11)?,
                    labels: get(&row, 12)?,
                },
            );
        }
        Ok(Self { by_oid })
    }

    /// The domains that a type stands on, outermost first; the base type is not among them.
    fn domains(&self, oid: u32) -> Vec<u32> {
        let mut domains = Vec::new();
        let mut next = oid;
        while let Some(row) = self.by_oid.get(&next).filter(|row| row.form == "d") {
            domains.push(next);
            next = row.base;
        }
        domains
    }

    fn resolve(&self, oid: u32, name: String) -> Result<ColumnType, PostgresError> {
        let domains = self.domains(oid);
        let (base_oid, base_name) = match domains.last().and_then(|innermost| self.by_oid.get(innermost)) {
            Some(domain) => (domain.base, domain.base_name.clone().unwrap_or_default()),
            None => (oid, name.clone()),
        };
        let base = self.by_oid.get(&base_oid).ok_or_else(|| {
            PostgresError::Protocol(format!("the catalogue has no type {base_oid}, though a column is of it"))
        })?;
        let part = || {
            let element = self.by_oid.get(&base.element).map(|row| row.name.clone()).unwrap_or_default();
            self.resolve(base.element, element).map(Box::new)
        };
        let shape = match (base.form.as_str(), base.category) {
            ("e", _) => TypeShape::Enum(base.labels.clone()),
            ("r", _) => TypeShape::Range(part()?),
            ("m", _) => TypeShape::Multirange(part()?),
            ("c", _) => TypeShape::Composite,
            ("p", _) => TypeShape::Pseudo,
            // Some fixed-size types of the system's own call themselves arrays and have no elements of a known type.
            (_, 'A') if base.element != 0 => TypeShape::Array(part()?),
            _ => TypeShape::Scalar,
        };
        Ok(ColumnType {
            oid,
            name,
            base_oid,
            base_name,
            base_typname: base.typname.clone(),
            base_schema: base.schema.clone(),
            shape,
            category: base.category,
            domain: domains
                .first()
                .and_then(|outermost| self.by_oid.get(outermost))
                .map(|row| row.name.clone()),
        })
    }
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, PostgresError> {
    row.try_get(place).map_err(|error| PostgresError::Protocol(error.to_string()))
}
