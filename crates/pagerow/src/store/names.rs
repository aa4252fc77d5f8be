//! What the configuration's names meant when they were last bound, and what did not flow then.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// One mapping's names, as they are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Ids by name; `Null` when the mapping was never bound.
    pub meaning: Json,
    /// What did not flow, as the setup says it.
    pub paused: Json,
}

/// What new names mean for what is kept by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    /// Columns that have another name now: from, to.
    pub renamed: Vec<(String, String)>,
    /// Columns of which nothing that was settled holds any more.
    pub forgotten: Vec<String>,
    /// Columns whose parked records are to be tried again.
    pub woken: Vec<String>,
}

impl PgStore {
    /// The names of all mappings.
    ///
    /// # Errors
    /// What the database says.
    pub async fn names(&self) -> Result<BTreeMap<String, Names>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select mapping, meaning::text, paused::text from {}.names where connection_id = $1",
                    self.schema
                ),
                &[(&self.connection, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                let json = |at: usize| {
                    serde_json::from_str(row.get(at))
                        .map_err(|source| StoreError::Unreadable { what: "a mapping's names", source })
                };
                Ok((row.get(0), Names { meaning: json(1)?, paused: json(2)? }))
            })
            .collect()
    }

    /// Keeps one mapping's names, and brings what is kept by column in line with them, all at once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep_names(
        &self,
        mapping: &str,
        names: &Names,
        renaming: &Renaming,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (from, to) in &renaming.renamed {
            self.rename_column(&mut tx, mapping, from, Some(to)).await?;
        }
        for column in &renaming.forgotten {
            self.rename_column(&mut tx, mapping, column, None).await?;
        }
        if !renaming.woken.is_empty() {
            self.wake(&mut tx, mapping, &renaming.woken).await?;
        }
        tx.execute(
            &format!(
                "insert into {}.names as kept (connection_id, mapping, meaning, paused) \
                 values ($1, $2, $3::text::jsonb, $4::text::jsonb) \
                 on conflict (connection_id, mapping) do update set \
                 meaning = excluded.meaning, paused = excluded.paused, kept_at = now()",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&names.meaning.to_string(), Type::TEXT),
                (&names.paused.to_string(), Type::TEXT),
            ],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Gives what is kept of a column another name, or forgets its bases. Digests that held it are void, so that both
    /// sides of these records are looked at in full.
    async fn rename_column(
        &self,
        tx: &mut Tx,
        mapping: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<(), StoreError> {
        // `json`, not `jsonb`: a page may hold characters that `jsonb` refuses. A base under the new name is of
        // something else and gives way.
        let base = |base: &str| {
            format!(
                "{base} = (select coalesce(json_object_agg(case when key = $3 then $4::text else key end, value), '{{}}') \
                 from json_each({base}) where key is distinct from $4 and (key <> $3 or $4 is not null))"
            )
        };
        tx.execute(
            &format!(
                "update {}.links set {}, {}, postgres_digest = '00000000-0000-0000-0000-000000000000', \
                 notion_digest = '00000000-0000-0000-0000-000000000000' where connection_id = $1 and mapping = $2 \
                 and ($3 in (select json_object_keys(base_postgres)) or $3 in (select json_object_keys(base_notion)))",
                self.schema,
                base("base_postgres"),
                base("base_notion")
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&from, Type::TEXT),
                (&to, Type::TEXT),
            ],
        )
        .await?;
        tx.execute(
            &format!(
                "update {}.mappings set fingerprint = null where connection_id = $1 and name = $2",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        let Some(to) = to else { return Ok(()) };
        for (table, open) in [("conflicts", " and closed_at is null"), ("parked", "")] {
            tx.execute(
                &format!(
                    "update {0}.{table} as entry set column_name = $4                      where connection_id = $1 and mapping = $2 and column_name = $3{open}                      and not exists (select from {0}.{table} as other where other.connection_id = $1                      and other.mapping = $2 and other.column_name = $4{open}                      and other.row_key is not distinct from entry.row_key                      and other.page_id is not distinct from entry.page_id)",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&from, Type::TEXT),
                    (&to, Type::TEXT),
                ],
            )
            .await?;
        }
        Ok(())
    }

    /// Asks for the records to be looked at again that are parked because of these columns.
    async fn wake(&self, tx: &mut Tx, mapping: &str, columns: &[String]) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "insert into {0}.revisits as entry (connection_id, mapping, row_key, page_id) \
                 select connection_id, mapping, row_key, page_id from {0}.parked \
                 where connection_id = $1 and mapping = $2 and column_name = any($3) \
                 on conflict (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, '')) \
                 do update set due_at = now(), version = entry.version + 1",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&columns, Type::TEXT_ARRAY)],
        )
        .await?;
        Ok(())
    }
}
