//! What pagerow has put into the user's database, and how all of it goes again.

use deadpool_postgres::Pool;
use tokio_postgres::types::Type;

use super::{StoreError, migrate};
use crate::postgres::{catalogue::quoted, transaction::Tx};

/// What is there of pagerow's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Tables that carry triggers of pagerow's, with how many; as `schema.table`.
    pub triggers: Vec<(String, i64)>,
    /// The functions that they call, with their schema and quoted.
    pub functions: Vec<String>,
    /// Columns for bookkeeping that `schema apply` added: table (quoted, with schema) and column.
    pub bookkeeping: Vec<(String, String)>,
    /// Tables and columns that `schema apply` made and that hold people's data.
    pub data: Vec<(String, Option<String>)>,
    /// pagerow's own tables and counters, with schema and quoted.
    pub tables: Vec<String>,
    pub sequences: Vec<String>,
    /// Functions that work on these tables, with their arguments.
    pub routines: Vec<String>,
    /// The schema is there.
    pub schema: bool,
    /// How many links are remembered.
    pub links: i64,
    /// Who holds a lease at the moment.
    pub busy: Option<String>,
}

impl Belongings {
    /// Looks for them, whether or not all of them are there.
    ///
    /// # Errors
    /// What the database says.
    pub async fn find(pool: &Pool, schema: &str) -> Result<Self, StoreError> {
        let own = quoted(schema);
        let mut tx = Tx::begin_snapshot(pool).await?;
        let mut found = Self::default();
        let there =
            tx.query("select 1 from pg_namespace where nspname = $1", &[(&schema, Type::TEXT)]).await?;
        found.schema = !there.is_empty();
        let triggers = "select c.oid::regclass::text, count(*) from pg_trigger t \
             join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace \
             join pg_class c on c.oid = t.tgrelid \
             where n.nspname = $1 and p.proname like 'capture\\_%' and not t.tgisinternal group by c.oid order by 1";
        let triggers = tx.query(triggers, &[(&schema, Type::TEXT)]).await?;
        found.triggers = triggers.iter().map(|row| (row.get(0), row.get(1))).collect();
        let functions = "select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
             where n.nspname = $1 and p.proname like 'capture\\_%' and p.prorettype = 'trigger'::regtype order by 1";
        let functions = tx.query(functions, &[(&schema, Type::TEXT)]).await?;
        found.functions =
            functions.iter().map(|row| format!("{own}.{}", quoted(&row.get::<_, String>(0)))).collect();

        let routines = "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
             where n.nspname = $1 and p.proname = any ($2) order by 1";
        let known = migrate::functions();
        let routines = tx.query(routines, &[(&schema, Type::TEXT), (&known, Type::TEXT_ARRAY)]).await?;
        found.routines = routines.iter().map(|row| row.get(0)).collect();
        let relations = "select c.relname::text, c.relkind = 'S' from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relkind in ('r', 'p', 'S') order by 1";
        let known = migrate::relations();
        for row in tx.query(relations, &[(&schema, Type::TEXT)]).await? {
            let (name, is_sequence): (String, bool) = (row.get(0), row.get(1));
            if known.contains(&name) {
                let list = if is_sequence { &mut found.sequences } else { &mut found.tables };
                list.push(format!("{own}.{}", quoted(&name)));
            }
        }
        let has = |name: &str| found.tables.contains(&format!("{own}.{}", quoted(name)));
        if has("made") {
            let made = "select m.table_name, m.column_name, m.bookkeeping, \
                   m.column_name is null or exists (select from pg_attribute a \
                       where a.attrelid = to_regclass(m.table_name) and a.attname = m.column_name and not a.attisdropped) \
                 from {own}.made m where to_regclass(m.table_name) is not null order by m.id";
            for row in tx.query(&made.replace("{own}", &own), &[]).await? {
                match (row.get::<_, bool>(3), row.get::<_, bool>(2), row.get::<_, Option<String>>(1)) {
                    (false, ..) => {}
                    (true, true, Some(column)) => found.bookkeeping.push((row.get(0), column)),
                    (true, _, column) => found.data.push((row.get(0), column)),
                }
            }
        }
        if has("links") {
            let links = tx.query(&format!("select count(*) from {own}.links"), &[]).await?;
            found.links = links.first().map_or(0, |row| row.get(0));
        }
        if has("leases") {
            let leases =
                format!("select holder from {own}.leases where expires_at > clock_timestamp() limit 1");
            found.busy = tx.query(&leases, &[]).await?.first().map(|row| row.get(0));
        }
        tx.commit().await?;
        Ok(found)
    }

    /// Whether nothing is left that could be taken away.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
            && self.bookkeeping.is_empty()
            && self.tables.is_empty()
            && self.sequences.is_empty()
            && self.routines.is_empty()
            && !self.schema
    }

    /// Takes them away, all or nothing. The schema stays where it holds anything of somebody else's; answers whether
    /// it went. Nothing of anybody's that relies on pagerow's tables goes with them: the database then refuses.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove(&self, pool: &Pool, schema: &str) -> Result<bool, StoreError> {
        let own = quoted(schema);
        let mut tx = Tx::begin(pool).await?;
        // The triggers go with their functions, which also a role can ask for that does not own the tables.
        for function in &self.functions {
            tx.batch_execute(&format!("drop function if exists {function}() cascade")).await?;
        }
        for (table, column) in &self.bookkeeping {
            tx.batch_execute(&format!("alter table {table} drop column if exists {}", quoted(column)))
                .await?;
        }
        if !self.tables.is_empty() {
            tx.batch_execute(&format!("drop table if exists {}", self.tables.join(", "))).await?;
        }
        for routine in &self.routines {
            tx.batch_execute(&format!("drop function if exists {routine}")).await?;
        }
        // Those of identity columns went with their tables.
        if !self.sequences.is_empty() {
            tx.batch_execute(&format!("drop sequence if exists {}", self.sequences.join(", "))).await?;
        }
        let rest = "select 1 from pg_depend d join pg_namespace n on n.oid = d.refobjid \
             where d.refclassid = 'pg_namespace'::regclass and n.nspname = $1 and d.deptype = 'n' limit 1";
        let holds_more = !tx.query(rest, &[(&schema, Type::TEXT)]).await?.is_empty();
        let goes = self.schema && !holds_more && schema != "public";
        if goes {
            tx.batch_execute(&format!("drop schema if exists {own}")).await?;
        }
        tx.commit().await?;
        Ok(goes)
    }
}
