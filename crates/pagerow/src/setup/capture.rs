//! Which triggers the mappings need, which are there, and what it takes to get from the one to the other.

use std::collections::BTreeMap;

use tokio_postgres::{Row, types::Type};

use super::{draft::Draft, schema::Missing, schema::SchemaChange};
use crate::{
    config::{self, Config},
    postgres::{
        PostgresError, Session,
        capture::{Source, install::EVENTS},
        catalogue::quoted,
        table::FieldSource,
    },
};

/// What the catalogue says of tables that may be captured, and of the triggers that call pagerow's functions.
#[derive(Clone, Debug, Default)]
pub struct CaptureFound {
    pub relations: BTreeMap<u32, Relation>,
    pub triggers: Vec<TriggerFound>,
    /// Transactions may be prepared for a second phase, and such a one must not have notified anybody.
    pub prepares: bool,
    /// The role that asks.
    pub role: String,
}

/// A table, or a part of one.
#[derive(Clone, Debug)]
pub struct Relation {
    pub schema: String,
    pub name: String,
    /// `pg_class.relkind`
    pub kind: String,
    /// What this role may do.
    pub may_trigger: bool,
    pub owner: bool,
    /// The tables that it is a partition or an heir of.
    pub parents: Vec<u32>,
}

/// A trigger that calls one of pagerow's functions.
#[derive(Clone, Debug)]
pub struct TriggerFound {
    pub relation: u32,
    pub name: String,
    /// `pg_trigger.tgtype`
    pub event: i16,
    /// `pg_trigger.tgenabled`
    pub enabled: String,
    pub function: String,
    pub body: String,
}

const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, has_table_privilege(c.oid, 'TRIGGER'),
       pg_has_role(c.relowner, 'USAGE'), ARRAY(SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1)
  AND n.nspname !~ '^pg_(toast|temp)'";

const TRIGGERS: &str = "
SELECT t.tgrelid, t.tgname::text, t.tgtype, t.tgenabled::text, p.proname::text, p.prosrc
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND NOT t.tgisinternal AND p.proname LIKE 'capture\\_%'
ORDER BY t.tgrelid, t.tgname";

/// Asks the catalogue.
///
/// # Errors
/// Whatever the server refuses.
pub(super) async fn look(session: &Session, own_schema: &str) -> Result<CaptureFound, PostgresError> {
    let relations = session.query(RELATIONS, &[(&own_schema, Type::TEXT)]).await?;
    let triggers = session.query(TRIGGERS, &[(&own_schema, Type::TEXT)]).await?;
    let facts = "SELECT current_setting('max_prepared_transactions')::int4 > 0, current_user::text";
    let facts = session.query_one(facts, &[]).await?;
    let relation = |row: &Row| {
        let relation = Relation {
            schema: row.get(1),
            name: row.get(2),
            kind: row.get(3),
            may_trigger: row.get(4),
            owner: row.get(5),
            parents: row.get(6),
        };
        (row.get::<_, u32>(0), relation)
    };
    let trigger = |row: &Row| TriggerFound {
        relation: row.get(0),
        name: row.get(1),
        event: row.get(2),
        enabled: row.get(3),
        function: row.get(4),
        body: row.get(5),
    };
    Ok(CaptureFound {
        relations: relations.iter().map(relation).collect(),
        triggers: triggers.iter().map(trigger).collect(),
        prepares: facts.get(0),
        role: facts.get(1),
    })
}

impl Relation {
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn sql_name(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

impl CaptureFound {
    /// A table and everything that is a part or an heir of it.
    fn tree(&self, root: u32) -> Vec<u32> {
        let mut tree = vec![root];
        let mut at = 0;
        while let Some(&parent) = tree.get(at) {
            let children = self.relations.iter().filter(|(_, child)| child.parents.contains(&parent));
            let new: Vec<u32> = children.map(|(oid, _)| *oid).filter(|oid| !tree.contains(oid)).collect();
            tree.extend(new);
            at += 1;
        }
        tree
    }

    fn oid(&self, schema: &str, name: &str) -> Option<u32> {
        let is_it = |(_, one): &(&u32, &Relation)| one.schema == schema && one.name == name;
        self.relations.iter().find(is_it).map(|(oid, _)| *oid)
    }
}

/// What a mapping's rows are captured from.
fn sources(draft: &Draft<'_>, own_schema: &str) -> Vec<Source> {
    let key = draft.key.iter().map(|key| (key.name.clone(), key.type_name.clone())).collect();
    let mut sources = vec![Source::new(&draft.table.schema, &draft.table.name, key, own_schema)];
    for field in &draft.fields {
        if let FieldSource::Join { schema, table, own_column, own_type, .. } = &field.source {
            let source = Source::new(schema, table, vec![(own_column.clone(), own_type.clone())], own_schema);
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    sources
}

/// The statements that put the triggers of these mappings in force, those that take away what they need no longer, and
/// what this role may not do.
pub(super) fn changes(
    config: &Config,
    found: &CaptureFound,
    drafts: &[Draft<'_>],
    missing: &mut Vec<Missing>,
) -> Vec<SchemaChange> {
    let own = &config.postgres.schema;
    let notifies = config.postgres.listen_url.is_some() && !found.prepares;
    let mut changes: Vec<SchemaChange> = Vec::new();
    let mut needed: Vec<Source> = Vec::new();
    let mut watched: Vec<(u32, &str)> = Vec::new();
    for draft in drafts.iter().filter(|draft| draft.table.is_writable()) {
        let mapping = draft.config.name.as_str();
        let wanted = draft.config.rules.capture.value == config::Capture::Triggers;
        for source in sources(draft, own) {
            let Some(root) = found.oid(&source.schema, &source.table) else { continue };
            let tree = found.tree(root);
            watched.extend(tree.iter().map(|oid| (*oid, mapping)));
            if !wanted || needed.contains(&source) {
                continue;
            }
            let relations: Vec<&Relation> = tree.iter().filter_map(|oid| found.relations.get(oid)).collect();
            if !in_force(found, &source, &tree, notifies) {
                match refused(&relations, &found.role) {
                    Some(Refused { what, advice }) => {
                        missing.push(Missing { mapping: mapping.to_owned(), what, advice });
                    }
                    None => changes.push(install(mapping, &source, &relations, notifies)),
                }
            }
            needed.push(source);
        }
    }
    changes.extend(obsolete(own, found, &needed, &watched));
    changes
}

fn in_force(found: &CaptureFound, source: &Source, tree: &[u32], notifies: bool) -> bool {
    let body = source.body(notifies);
    tree.iter().all(|oid| {
        let always = found.relations.get(oid).is_some_and(|relation| relation.owner);
        EVENTS.iter().all(|(event, number, _)| {
            found.triggers.iter().any(|trigger| {
                trigger.relation == *oid
                    && trigger.name == source.trigger(event)
                    && trigger.event == *number
                    && trigger.function == source.function()
                    && trigger.body == body
                    && (trigger.enabled == "A" || (!always && trigger.enabled == "O"))
            })
        })
    })
}

struct Refused {
    what: String,
    advice: String,
}

/// Why triggers cannot be put on a table.
fn refused(relations: &[&Relation], role: &str) -> Option<Refused> {
    let otherwise = "capture = \"off\" in the mapping does without";
    if let Some(foreign) = relations.iter().find(|relation| relation.kind == "f") {
        return Some(Refused {
            what: format!(
                "{} is a foreign table, of which no trigger can name the changed rows",
                foreign.full_name()
            ),
            advice: format!("{otherwise}: each look then goes through the table"),
        });
    }
    let refused: Vec<String> = relations
        .iter()
        .filter(|relation| !relation.may_trigger)
        .map(|relation| relation.sql_name())
        .collect();
    if refused.is_empty() {
        return None;
    }
    let names = refused.join(", ");
    Some(Refused {
        what: format!("the role {role} may not put triggers on {names}"),
        advice: format!("GRANT TRIGGER ON {names} TO {}, and apply again; or {otherwise}", quoted(role)),
    })
}

fn install(mapping: &str, source: &Source, relations: &[&Relation], notifies: bool) -> SchemaChange {
    let tables: Vec<(String, bool)> =
        relations.iter().map(|relation| (relation.sql_name(), relation.owner)).collect();
    let parts = match relations.len() {
        0 | 1 => String::new(),
        n => format!(" and the {} tables that are part of it", n - 1),
    };
    SchemaChange::Capture {
        mapping: mapping.to_owned(),
        does: format!(
            "put triggers on {}{parts} that write down the keys of changed rows",
            source.full_name()
        ),
        sql: source.install(&tables, notifies),
    }
}

/// Triggers on these mappings' tables that no mapping needs any longer.
fn obsolete(
    own: &str,
    found: &CaptureFound,
    needed: &[Source],
    watched: &[(u32, &str)],
) -> Vec<SchemaChange> {
    let functions: Vec<String> = needed.iter().map(Source::function).collect();
    let mut by_function: BTreeMap<&str, Vec<&TriggerFound>> = BTreeMap::new();
    for trigger in found.triggers.iter().filter(|trigger| !functions.contains(&trigger.function)) {
        by_function.entry(&trigger.function).or_default().push(trigger);
    }
    let mut changes = Vec::new();
    for (function, triggers) in by_function {
        // Of tables that this configuration does not name, another one may know.
        let Some((_, mapping)) = watched.iter().find(|(oid, _)| *oid == triggers[0].relation) else {
            continue;
        };
        let mut tables: Vec<String> = Vec::new();
        let mut sql = String::from("BEGIN;\nSET LOCAL lock_timeout = '5s';\n");
        for trigger in triggers {
            let Some(relation) = found.relations.get(&trigger.relation) else { continue };
            if !tables.contains(&relation.full_name()) {
                tables.push(relation.full_name());
            }
        }
        sql.push_str(&format!(
            "DROP FUNCTION IF EXISTS {}.{}() CASCADE;\nCOMMIT;",
            quoted(own),
            quoted(function)
        ));
        changes.push(SchemaChange::Capture {
            mapping: (*mapping).to_owned(),
            does: format!("take away the triggers on {} that are not needed any longer", tables.join(", ")),
            sql,
        });
    }
    changes
}
