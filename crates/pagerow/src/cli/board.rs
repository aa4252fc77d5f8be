//! The board: a mapping in whose table open conflicts are put, so that people answer them where they work.
//!
//! pagerow writes the questions into the table and takes the answers from it; what brings both to Notion and back is
//! an ordinary mapping. Nothing that goes wrong here fails a sync: it is told, and the next sync tries again.

use pagerow_core::{plan::ConflictKind, side::Side, value::Value};
use tokio_postgres::types::Type;

use super::{console::Console, resolve};
use crate::{
    engine::Depth,
    postgres::{PostgresError, catalogue::quoted, transaction::Param},
    store::{Attention as _, OpenConflict},
    wiring::{Keeper, Wiring},
};

/// The mapping that `conflicts_mapping` names, where it flows.
pub(super) struct Board<'a> {
    wiring: &'a Wiring,
    mapping: String,
    /// Quoted, with its schema where the configuration names one.
    table: String,
}

/// An answer as it stands in the table.
struct Said {
    conflict: i64,
    version: i64,
    decision: String,
}

impl<'a> Board<'a> {
    pub(super) fn of(wiring: &'a Wiring, engine: &Keeper) -> Option<Self> {
        let name = wiring.config.conflicts_mapping.as_ref()?.value.clone();
        let flows = engine.mappings().any(|mapping| mapping.name == name);
        let table = &wiring.config.mapping(&name).filter(|_| flows)?.table.value;
        let table = match table.split_once('.') {
            Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
            None => quoted(table),
        };
        Some(Self { wiring, mapping: name, table })
    }

    /// Fetches the answers that people gave since, and carries out those to conflicts that are still what was asked.
    pub(super) async fn answers(&self, engine: &mut Keeper, console: &Console) {
        self.flow(engine, console).await;
        let said = match self.said().await {
            Ok(said) => said,
            Err(error) => return self.tell(console, &error),
        };
        if said.is_empty() {
            return;
        }
        let open = match engine.store().open_conflicts(None).await {
            Ok(open) => open,
            Err(error) => return self.tell(console, &error),
        };
        for said in said {
            let is_asked = |one: &&OpenConflict| one.id == said.conflict && one.version == said.version;
            let Some(conflict) = open.iter().find(is_asked) else { continue };
            let keep = match said.decision.as_str() {
                "postgres" => Some(Side::Postgres),
                "notion" => Some(Side::Notion),
                "skip" => None,
                _ => {
                    let text =
                        format!("the answer to conflict {} is none of postgres, notion, skip", said.conflict);
                    self.tell(console, &text);
                    continue;
                }
            };
            // One by one: an answer that comes too late is no reason to leave the others.
            let resolution = resolve::whole(conflict, keep, &self.wiring.config);
            match engine.resolve(&[resolution], None, None).await {
                Ok(_) => {
                    console.note(&format!("conflict {} was answered in {}", said.conflict, self.mapping));
                }
                Err(error) => self.tell(console, &error),
            }
        }
    }

    /// Puts what is open into the table, marks what is not any more, and lets both go to Notion.
    pub(super) async fn questions(&self, engine: &mut Keeper, console: &Console) {
        let open = match engine.store().open_conflicts(None).await {
            Ok(open) => open,
            Err(error) => return self.tell(console, &error),
        };
        let open: Vec<&OpenConflict> = open.iter().filter(|one| one.mapping != self.mapping).collect();
        match self.ask(&open).await {
            Ok(0) => {}
            Ok(_) => self.flow(engine, console).await,
            Err(error) => self.tell(console, &error),
        }
    }

    /// Makes the board's own two sides equal.
    async fn flow(&self, engine: &mut Keeper, console: &Console) {
        let which = std::slice::from_ref(&self.mapping);
        if let Err(error) = engine.sync(which, Depth::Changes, None, "board").await {
            self.tell(console, &error);
        }
    }

    async fn said(&self) -> Result<Vec<Said>, PostgresError> {
        let sql = format!(
            "SELECT conflict_id::bigint, version::bigint, decision::text FROM {} \
             WHERE status = 'open' AND decision IS NOT NULL ORDER BY 1",
            self.table
        );
        let rows = self.wiring.database.session().await?.query(&sql, &[]).await?;
        let said = |row: &tokio_postgres::Row| Said {
            conflict: row.get(0),
            version: row.get(1),
            decision: row.get(2),
        };
        Ok(rows.iter().map(said).collect())
    }

    /// How many questions are new, became others, or are closed. One that became another forgets its answer.
    async fn ask(&self, open: &[&OpenConflict]) -> Result<i64, PostgresError> {
        let table = &self.table;
        let sql = format!(
            "WITH asked AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], \
               $6::text[], $7::text[], $8::text[], $9::text[]) AS asked(id, version, mapping, record, page, field, \
               in_postgres, in_notion, opened)), \
             fresh AS (SELECT asked.id FROM asked LEFT JOIN {table} AS board ON board.conflict_id = asked.id \
               WHERE (board.in_postgres, board.in_notion, board.status) \
               IS DISTINCT FROM (asked.in_postgres, asked.in_notion, 'open')), \
             closed AS (UPDATE {table} SET status = 'closed' \
               WHERE status <> 'closed' AND conflict_id NOT IN (SELECT id FROM asked) RETURNING 1), \
             written AS (INSERT INTO {table} AS board (conflict_id, version, table_name, record_id, page_id, field, \
               in_postgres, in_notion, opened_at, status) \
               SELECT id, version, mapping, record, page, field, in_postgres, in_notion, opened::timestamptz, 'open' \
               FROM asked ON CONFLICT (conflict_id) DO UPDATE SET version = excluded.version, \
               in_postgres = excluded.in_postgres, in_notion = excluded.in_notion, status = 'open', \
               decision = CASE WHEN board.conflict_id IN (SELECT id FROM fresh) THEN NULL ELSE board.decision END \
               WHERE board.version <> excluded.version OR board.status <> 'open') \
             SELECT (SELECT count(*) FROM closed) + (SELECT count(*) FROM fresh)"
        );
        let ids: Vec<i64> = open.iter().map(|one| one.id).collect();
        let versions: Vec<i64> = open.iter().map(|one| one.version).collect();
        let texts = |of: fn(&OpenConflict) -> Option<String>| -> Vec<Option<String>> {
            open.iter().map(|one| of(one)).collect()
        };
        let columns = [
            texts(|one| Some(one.mapping.clone())),
            texts(|one| one.conflict.key.as_ref().map(|key| key.as_str().to_owned())),
            texts(|one| one.conflict.page.map(|page| page.to_string())),
            texts(|one| {
                one.property.clone().or_else(|| (!one.column.is_empty()).then(|| one.column.clone()))
            }),
            texts(|one| held(one, Side::Postgres)),
            texts(|one| held(one, Side::Notion)),
            texts(|one| Some(one.opened_at.to_string())),
        ];
        let mut params: Vec<Param<'_>> = vec![(&ids, Type::INT8_ARRAY), (&versions, Type::INT8_ARRAY)];
        params.extend(columns.iter().map(|column| (column as _, Type::TEXT_ARRAY)));
        let row = self.wiring.database.session().await?.query_one(&sql, &params).await?;
        Ok(row.get(0))
    }

    fn tell(&self, console: &Console, what: &dyn std::fmt::Display) {
        console.note(&format!("note: the conflicts in {}: {what}", self.mapping));
    }
}

/// What a side holds, as people read it; of a record that one side lost, whether it is there.
fn held(one: &OpenConflict, side: Side) -> Option<String> {
    match &one.conflict.kind {
        ConflictKind::Field { values, .. } => match values.of(side) {
            Value::Null => None,
            Value::Text(text) | Value::Markdown(text) => Some(text.clone()),
            other => match other.plain() {
                serde_json::Value::String(text) => Some(text),
                plain => Some(plain.to_string()),
            },
        },
        ConflictKind::Deleted { on, .. } => Some(if *on == side { "deleted" } else { "edited" }.to_owned()),
    }
}
