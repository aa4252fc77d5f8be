//! Which database and which tables the memory belongs to, and whether it may be from the past.
//!
//! A restored backup brings back the rows and what was remembered of them, but not the pages: they have moved on. Three
//! things give it away: the database's own numbers, where it was moved or began a new timeline; the memory's own count,
//! where the engine that saw it go backwards still runs; and pages that we edited later than we remember.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pagerow_core::{
    digest::Digest,
    mapping::Mapping,
    observation::TableFacts,
    side::{Side, Sides},
};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// By what a database would be known again. What the role may not ask is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The cluster's own number, the same in all its copies.
    pub system: Option<String>,
    /// The database's number in the cluster.
    pub database: Option<u32>,
    /// Which history of the cluster this is: a promoted replica or a recovery to some point begins another.
    pub timeline: Option<String>,
    /// The number of the last run. It never goes backwards by itself.
    #[serde(skip)]
    pub last_run: i64,
}

/// What was kept about where the memory belongs.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    pub database: Option<Whereabouts>,
    pub table: Option<TableFacts>,
    /// Why the mapping's bases are not relied on, if so.
    pub lost: Option<String>,
}

/// An edit of a page that was ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnWrite {
    /// By Notion's clock, which cuts to the minute.
    pub at: Timestamp,
    /// Notion's id of us.
    pub by: String,
}

/// Where the memory belongs, and what gives it away as being from the past.
pub trait Identities: Transactions {
    /// Where the database is now.
    ///
    /// # Errors
    /// What the database says.
    fn whereabouts(&self) -> impl Future<Output = Result<Whereabouts, StoreError>> + Send;

    /// What was kept of the database, and of one mapping's table.
    ///
    /// # Errors
    /// What the database says.
    fn remembered(&self, mapping: &str) -> impl Future<Output = Result<Remembered, StoreError>> + Send;

    /// Keeps where the database is.
    ///
    /// # Errors
    /// What the database says.
    fn keep_whereabouts(
        &self,
        tx: &mut Self::Tx,
        whereabouts: &Whereabouts,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps which table a mapping's is.
    ///
    /// # Errors
    /// What the database says.
    fn keep_table(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        table: &TableFacts,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets a mapping's bases, because they may be from the past: both sides of every record are compared from
    /// scratch. Which row is which page stays known.
    ///
    /// # Errors
    /// What the database says.
    fn lose_bases(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        why: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends the care for a mapping's lost bases if no record is left that waits for one.
    ///
    /// # Errors
    /// What the database says.
    fn end_loss(
        &self,
        tx: &mut Self::Tx,
        mapping: &Mapping,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps which edits of pages were ours, by link.
    ///
    /// # Errors
    /// What the database says.
    fn keep_own_writes(
        &self,
        tx: &mut Self::Tx,
        writes: &[(i64, OwnWrite)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets when the pages of these links were last written: it is not known any more.
    ///
    /// # Errors
    /// What the database says.
    fn forget_own_writes(
        &self,
        tx: &mut Self::Tx,
        links: &[i64],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps that an edit of a page was ours if its author is who we are known to be.
    ///
    /// # Errors
    /// What the database says.
    fn renew_own_write(
        &self,
        tx: &mut Self::Tx,
        link: i64,
        edit: &OwnWrite,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The last edits that were ours of the pages of these links, but for pages of which the journal does not know for
    /// certain what became of our last step.
    ///
    /// # Errors
    /// What the database says.
    fn own_writes(
        &self,
        links: &[i64],
    ) -> impl Future<Output = Result<BTreeMap<i64, OwnWrite>, StoreError>> + Send;
}

/// What the guard asks of the journal and of the links.
pub trait Tallies: Transactions {
    /// How many records were deleted on each side within the last hour, since a person last let such a plan pass.
    ///
    /// # Errors
    /// What the database says.
    fn removed_lately(&self, mapping: &str) -> impl Future<Output = Result<Sides<u64>, StoreError>> + Send;

    /// Lets the count of deletions begin anew.
    ///
    /// # Errors
    /// What the database says.
    fn forgive_removals(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many of these rows, by content, are equal to a linked one.
    ///
    /// # Errors
    /// What the database says.
    fn alike(&self, mapping: &str, rows: &[Digest]) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

impl Whereabouts {
    /// How this is another place, or another time, than `before`, in words; `None` when nothing says so.
    #[must_use]
    pub fn differs(&self, before: &Self) -> Option<String> {
        fn other<T: PartialEq>(now: &Option<T>, before: &Option<T>) -> bool {
            matches!((now, before), (Some(now), Some(before)) if now != before)
        }
        let what = if other(&self.system, &before.system) {
            "the database is in another cluster than before"
        } else if other(&self.timeline, &before.timeline) {
            "the database's cluster has gone back to an earlier point, or another server has taken over"
        } else if other(&self.database, &before.database) {
            "the database is a copy of the one that was synced, or was put back from a backup"
        } else {
            return None;
        };
        Some(what.to_owned())
    }
}

impl Identities for PgStore {
    async fn whereabouts(&self) -> Result<Whereabouts, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select (select oid from pg_database where datname = current_database()), \
                     has_function_privilege('pg_control_system()', 'execute'), \
                     has_function_privilege('pg_current_wal_insert_lsn()', 'execute') \
                         and has_function_privilege('pg_walfile_name(pg_lsn)', 'execute') \
                         and not pg_is_in_recovery(), \
                     coalesce((select max(id) from {}.runs where connection_id = $1), 0)",
                    self.schema
                ),
                &[(&self.connection, Type::INT8)],
            )
            .await?;
        tx.commit().await?;
        let row = rows.first().ok_or(StoreError::Lost("the database's own row"))?;
        let (may_ask_system, may_ask_timeline): (bool, bool) = (row.get(1), row.get(2));
        Ok(Whereabouts {
            system: match may_ask_system {
                true => self.ask("select system_identifier::text from pg_control_system()").await?,
                false => None,
            },
            database: row.get(0),
            // The first eight digits of the name of a segment.
            timeline: match may_ask_timeline {
                true => self.ask("select left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)").await?,
                false => None,
            },
            last_run: row.get(3),
        })
    }

    async fn remembered(&self, mapping: &str) -> Result<Remembered, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select mapping, facts::text, case when lost_since is not null then coalesce(lost_why, '') end \
                     from {}.identity where connection_id = $1 and mapping in ('', $2)",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let mut remembered = Remembered::default();
        for row in rows {
            let (of, facts): (&str, &str) = (row.get(0), row.get(1));
            let unreadable = |source| StoreError::Unreadable { what: "where the memory belongs", source };
            if of.is_empty() {
                remembered.database = Some(serde_json::from_str(facts).map_err(unreadable)?);
                continue;
            }
            remembered.lost = row.get(2);
            if facts != "{}" {
                remembered.table = Some(serde_json::from_str(facts).map_err(unreadable)?);
            }
        }
        Ok(remembered)
    }

    async fn keep_whereabouts(&self, tx: &mut Tx, whereabouts: &Whereabouts) -> Result<(), StoreError> {
        self.keep_facts(tx, "", serde_json::to_string(whereabouts)).await
    }

    async fn keep_table(&self, tx: &mut Tx, mapping: &str, table: &TableFacts) -> Result<(), StoreError> {
        self.keep_facts(tx, mapping, serde_json::to_string(table)).await
    }

    async fn lose_bases(&self, tx: &mut Tx, mapping: &str, why: &str) -> Result<(), StoreError> {
        // Unsettled, so that equal digests are no excuse for not looking.
        tx.execute(
            &format!(
                "update {}.links set base_postgres = '{{}}', base_notion = '{{}}', unsettled = true \
                 where connection_id = $1 and mapping = $2",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        // Without cursors everything is looked at.
        tx.execute(
            &format!("delete from {}.cursors where connection_id = $1 and mapping = $2", self.schema),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        tx.execute(
            &format!(
                "insert into {}.identity (connection_id, mapping, lost_since, lost_why) values ($1, $2, now(), $3) \
                 on conflict (connection_id, mapping) do update \
                 set lost_since = now(), lost_why = excluded.lost_why, facts = '{{}}'",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&why, Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn end_loss(&self, tx: &mut Tx, mapping: &Mapping) -> Result<(), StoreError> {
        let columns: Vec<&str> = mapping.fields.iter().map(|field| field.column.as_str()).collect();
        tx.execute(
            &format!(
                "update {0}.identity set lost_since = null, lost_why = null \
                 where connection_id = $1 and mapping = $2 and not exists ( \
                     select from {0}.links where connection_id = $1 and mapping = $2 and unsettled and exists ( \
                         select from unnest($3::text[]) as c (name) \
                         where base_postgres -> c.name is null or base_notion -> c.name is null))",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping.name, Type::TEXT),
                (&columns, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }

    async fn keep_own_writes(&self, tx: &mut Tx, writes: &[(i64, OwnWrite)]) -> Result<(), StoreError> {
        // One of each: two steps may have written to one page.
        let latest: BTreeMap<i64, &OwnWrite> = writes.iter().map(|(link, write)| (*link, write)).collect();
        if latest.is_empty() {
            return Ok(());
        }
        let links: Vec<i64> = latest.keys().copied().collect();
        let times: Vec<Timestamp> = latest.values().map(|write| write.at).collect();
        let authors: Vec<&str> = latest.values().map(|write| write.by.as_str()).collect();
        tx.execute(
            &format!(
                "insert into {}.own_writes (link_id, edited_at, edited_by) \
                 select * from unnest($1::int8[], $2::timestamptz[], $3::text[]) \
                 on conflict (link_id) do update set edited_at = excluded.edited_at, edited_by = excluded.edited_by",
                self.schema
            ),
            &[(&links, Type::INT8_ARRAY), (&times, Type::TIMESTAMPTZ_ARRAY), (&authors, Type::TEXT_ARRAY)],
        )
        .await?;
        Ok(())
    }

    async fn forget_own_writes(&self, tx: &mut Tx, links: &[i64]) -> Result<(), StoreError> {
        if !links.is_empty() {
            let statement = format!("delete from {}.own_writes where link_id = any($1)", self.schema);
            tx.execute(&statement, &[(&links, Type::INT8_ARRAY)]).await?;
        }
        Ok(())
    }

    async fn renew_own_write(&self, tx: &mut Tx, link: i64, edit: &OwnWrite) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "update {}.own_writes set edited_at = greatest(edited_at, $2) where link_id = $1 and edited_by = $3",
                self.schema
            ),
            &[(&link, Type::INT8), (&edit.at, Type::TIMESTAMPTZ), (&edit.by, Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn own_writes(&self, links: &[i64]) -> Result<BTreeMap<i64, OwnWrite>, StoreError> {
        if links.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select link_id, own.edited_at, own.edited_by from {0}.own_writes own \
                     join {0}.links link on link.id = own.link_id and link.connection_id = $1 \
                     where link_id = any($2) and coalesce( \
                         (select status in ('done', 'stale') from {0}.steps \
                          where connection_id = $1 and page_id = link.page_id and side = 'notion' \
                          order by run_id desc, seq desc limit 1), true)",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&links, Type::INT8_ARRAY)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(|row| (row.get(0), OwnWrite { at: row.get(1), by: row.get(2) })).collect())
    }
}

impl Tallies for PgStore {
    async fn removed_lately(&self, mapping: &str) -> Result<Sides<u64>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select side, count(*) from {0}.steps where connection_id = $1 and mapping = $2 \
                     and action in ('trash', 'delete') and status = 'done' \
                     and finished_at > clock_timestamp() - interval '1 hour' \
                     and finished_at > coalesce((select removals_since from {0}.identity \
                                                 where connection_id = $1 and mapping = $2), '-infinity') \
                     group by side",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let mut removed = Sides::default();
        for row in rows {
            let (name, count): (&str, i64) = (row.get(0), row.get(1));
            for side in [Side::Postgres, Side::Notion] {
                if side.name() == name {
                    *removed.of_mut(side) = count.unsigned_abs();
                }
            }
        }
        Ok(removed)
    }

    async fn forgive_removals(&self, tx: &mut Tx, mapping: &str) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "insert into {}.identity (connection_id, mapping, removals_since) \
                 values ($1, $2, clock_timestamp()) on conflict (connection_id, mapping) \
                 do update set removals_since = excluded.removals_since",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn alike(&self, mapping: &str, rows: &[Digest]) -> Result<u64, StoreError> {
        let digests: Vec<Uuid> = rows.iter().map(|digest| Uuid::from_bytes(digest.0)).collect();
        let mut tx = self.begin().await?;
        let found = tx
            .query(
                &format!(
                    "select count(*) from unnest($3::uuid[]) as new (digest) \
                     where digest in (select postgres_digest from {}.links where connection_id = $1 and mapping = $2)",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&digests, Type::UUID_ARRAY),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(found.first().map_or(0, |row| row.get::<_, i64>(0)).unsigned_abs())
    }
}

impl PgStore {
    /// Asks something that a server of a peculiar kind may refuse: then nobody knows.
    async fn ask(&self, sql: &str) -> Result<Option<String>, StoreError> {
        let mut tx = self.begin().await?;
        match tx.query(sql, &[]).await {
            Ok(rows) => {
                tx.commit().await?;
                Ok(rows.first().and_then(|row| row.get(0)))
            }
            Err(crate::postgres::transaction::TxError::Statement(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn keep_facts(
        &self,
        tx: &mut Tx,
        of: &str,
        facts: serde_json::Result<String>,
    ) -> Result<(), StoreError> {
        let facts =
            facts.map_err(|source| StoreError::Unreadable { what: "where the memory belongs", source })?;
        tx.execute(
            &format!(
                "insert into {}.identity (connection_id, mapping, facts) values ($1, $2, $3::text::jsonb) \
                 on conflict (connection_id, mapping) do update set facts = excluded.facts",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&of, Type::TEXT), (&facts, Type::TEXT)],
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(system: Option<&str>, database: Option<u32>, timeline: Option<&str>) -> Whereabouts {
        Whereabouts {
            system: system.map(Into::into),
            database,
            timeline: timeline.map(Into::into),
            last_run: 0,
        }
    }

    #[test]
    fn only_what_is_known_of_both_tells_them_apart() {
        let here = place(Some("7"), Some(5), Some("00000001"));
        assert_eq!(here.differs(&here), None);
        assert_eq!(here.differs(&place(None, None, None)), None, "nothing was known before");
        assert_eq!(place(None, None, None).differs(&here), None, "nothing may be asked any more");
        for (other, word) in [
            (place(Some("8"), Some(5), Some("00000001")), "cluster"),
            (place(Some("7"), Some(5), Some("00000002")), "earlier point"),
            (place(Some("7"), Some(6), Some("00000001")), "copy"),
        ] {
            let told = other.differs(&here).unwrap();
            assert!(told.contains(word), "{told}");
        }
    }
}
