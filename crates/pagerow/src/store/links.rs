//! Which row is which page, and the base of each side.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::StreamExt as _;
use pagerow_core::{
    digest::Digest,
    mapping::Mapping,
    observation::Link,
    record::{PageId, Record, RowKey},
    side::{Side, Sides},
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// How long a forgotten link is remembered: Notion keeps its trash for thirty days, some workspaces for longer.
const BURIED_DAYS: u32 = 180;

/// A link without its bases: what a look is compared with.
#[derive(Clone, Debug)]
pub struct CompactLink {
    pub id: i64,
    pub key: RowKey,
    pub page: PageId,
    /// Of the bases.
    pub digest: Sides<Digest>,
    /// Something of this record waits; both sides have to be looked at.
    pub unsettled: bool,
}

/// A link as it is to be kept.
#[derive(Clone, Debug)]
pub struct LinkWrite {
    /// `None` for a new link.
    pub id: Option<i64>,
    pub key: RowKey,
    pub page: PageId,
    pub base: Sides<Record>,
    pub unsettled: bool,
    /// The side whose half is away on purpose.
    pub apart: Option<Side>,
}

/// The links of one connection.
pub trait Links: Transactions {
    /// All links of a mapping, one after another.
    ///
    /// # Errors
    /// What the database says.
    fn each_link(
        &self,
        mapping: &str,
        found: &mut (dyn FnMut(CompactLink) + Send),
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many links a mapping has.
    ///
    /// # Errors
    /// What the database says.
    fn count_links(&self, mapping: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The links of these rows and of these pages.
    ///
    /// # Errors
    /// What the database says.
    fn links_of(
        &self,
        mapping: &str,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> impl Future<Output = Result<Vec<CompactLink>, StoreError>> + Send;

    /// Those of these links that were settled less than so long ago.
    ///
    /// # Errors
    /// What the database says.
    fn settled_lately(
        &self,
        mapping: &str,
        ids: &[i64],
        within: Duration,
    ) -> impl Future<Output = Result<BTreeSet<i64>, StoreError>> + Send;

    /// Links with their bases, by number. Those that are gone are left out.
    ///
    /// # Errors
    /// What the database says.
    fn links(
        &self,
        mapping: &Mapping,
        ids: &[i64],
    ) -> impl Future<Output = Result<Vec<Link>, StoreError>> + Send;

    /// As [`Links::links`], inside a transaction.
    ///
    /// # Errors
    /// What the database says.
    fn links_in(
        &self,
        tx: &mut Self::Tx,
        mapping: &Mapping,
        ids: &[i64],
    ) -> impl Future<Output = Result<Vec<Link>, StoreError>> + Send;

    /// Which whole rows the pages of these links keep, in short; those without one are left out.
    ///
    /// # Errors
    /// What the database says.
    fn backups(
        &self,
        _mapping: &str,
        _ids: &[i64],
    ) -> impl Future<Output = Result<BTreeMap<i64, Digest>, StoreError>> + Send {
        async { Ok(BTreeMap::new()) }
    }

    /// Some settled links whose page keeps no whole row yet; at most so many.
    ///
    /// # Errors
    /// What the database says.
    fn without_backup(
        &self,
        _mapping: &str,
        _most: i64,
    ) -> impl Future<Output = Result<Vec<CompactLink>, StoreError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Says of the links of these pages which whole row each keeps from now on.
    ///
    /// # Errors
    /// What the database says.
    fn keep_backups(
        &self,
        _tx: &mut Self::Tx,
        _mapping: &str,
        _kept: &[(PageId, Digest)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Keeps links with new bases; answers their numbers in order.
    ///
    /// # Errors
    /// What the database says; a row or page that is linked already is refused by the table itself.
    fn keep_links(
        &self,
        tx: &mut Self::Tx,
        mapping: &Mapping,
        links: &[LinkWrite],
    ) -> impl Future<Output = Result<Vec<i64>, StoreError>> + Send;

    /// Says of links whether something of them waits.
    ///
    /// # Errors
    /// What the database says.
    fn mark_unsettled(
        &self,
        tx: &mut Self::Tx,
        ids: &[i64],
        unsettled: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Says of links that the half on this side is away on purpose, where nothing is said yet; with no side, that none
    /// is.
    ///
    /// # Errors
    /// What the database says.
    fn set_apart(
        &self,
        tx: &mut Self::Tx,
        ids: &[i64],
        side: Option<Side>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets links of which both halves are gone; they stay within reach of [`Links::buried_of`].
    ///
    /// # Errors
    /// What the database says.
    fn forget_links(
        &self,
        tx: &mut Self::Tx,
        ids: &[i64],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgotten links of these rows and of these pages, with the bases they had.
    ///
    /// # Errors
    /// What the database says.
    fn buried_of(
        &self,
        mapping: &Mapping,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> impl Future<Output = Result<Vec<Link>, StoreError>> + Send;

    /// Lets forgotten links count again, unsettled; numbers that are not buried change nothing.
    ///
    /// # Errors
    /// What the database says; a row or page that is linked otherwise meanwhile is refused by the table itself.
    fn raise_links(
        &self,
        tx: &mut Self::Tx,
        ids: &[i64],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Of which linked records one half is gone, by the link's number: for how many seconds that has been known.
    ///
    /// # Errors
    /// What the database says.
    fn absences(&self, mapping: &str) -> impl Future<Output = Result<BTreeMap<i64, f64>, StoreError>> + Send;

    /// Remembers since when halves of these linked records are gone, and forgets it of those whose halves are back.
    ///
    /// # Errors
    /// What the database says.
    fn keep_absences(
        &self,
        tx: &mut Self::Tx,
        mapping: &str,
        gone: &[i64],
        back: &[i64],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Links for PgStore {
    async fn each_link(
        &self,
        mapping: &str,
        found: &mut (dyn FnMut(CompactLink) + Send),
    ) -> Result<(), StoreError> {
        let mut tx = Tx::begin_snapshot(&self.pool).await?;
        let sql = format!("{} where connection_id = $1 and mapping = $2", self.compact());
        let params = [(&self.connection as _, Type::INT8), (&mapping as _, Type::TEXT)];
        let mut rows = tx.stream(&sql, &params).await?;
        while let Some(row) = rows.next().await {
            found(compact_link(&row?));
        }
        drop(rows);
        Ok(tx.commit().await?)
    }

    async fn count_links(&self, mapping: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select count(*) from {}.links where connection_id = $1 and mapping = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0)).unsigned_abs())
    }

    async fn links_of(
        &self,
        mapping: &str,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> Result<Vec<CompactLink>, StoreError> {
        let keys: Vec<&str> = keys.iter().map(RowKey::as_str).collect();
        let pages: Vec<Uuid> = pages.iter().map(|page| page.0).collect();
        let mut tx = self.begin().await?;
        // A union, because an index serves each half and none serves both.
        let sql = format!(
            "{0} where connection_id = $1 and mapping = $2 and row_key = any($3) \
             union {0} where connection_id = $1 and mapping = $2 and page_id = any($4)",
            self.compact()
        );
        let rows = tx
            .query(
                &sql,
                &[
                    (&self.connection, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&keys, Type::TEXT_ARRAY),
                    (&pages, Type::UUID_ARRAY),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(compact_link).collect())
    }

    async fn settled_lately(
        &self,
        mapping: &str,
        ids: &[i64],
        within: Duration,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id from {}.links where connection_id = $1 and mapping = $2 and id = any($3) \
                     and settled_at > clock_timestamp() - $4 * interval '1 second'",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&ids, Type::INT8_ARRAY),
                    (&within.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn links(&self, mapping: &Mapping, ids: &[i64]) -> Result<Vec<Link>, StoreError> {
        let mut tx = self.begin().await?;
        let links = self.links_in(&mut tx, mapping, ids).await?;
        tx.commit().await?;
        Ok(links)
    }

    async fn links_in(&self, tx: &mut Tx, mapping: &Mapping, ids: &[i64]) -> Result<Vec<Link>, StoreError> {
        let rows = tx
            .query(
                &format!(
                    "select id, row_key, page_id, base_postgres::text, base_notion::text, apart from {}.links \
                     where connection_id = $1 and mapping = $2 and id = any($3) order by id",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping.name, Type::TEXT), (&ids, Type::INT8_ARRAY)],
            )
            .await?;
        rows.iter().map(|row| link(row, mapping)).collect()
    }

    async fn backups(&self, mapping: &str, ids: &[i64]) -> Result<BTreeMap<i64, Digest>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, backup from {}.links where connection_id = $1 and mapping = $2 and id = any($3) \
                     and backup is not null",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&ids, Type::INT8_ARRAY)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(|row| (row.get(0), Digest(row.get::<_, Uuid>(1).into_bytes()))).collect())
    }

    async fn without_backup(&self, mapping: &str, most: i64) -> Result<Vec<CompactLink>, StoreError> {
        let mut tx = self.begin().await?;
        let sql = format!(
            "{} where connection_id = $1 and mapping = $2 and backup is null and not unsettled and apart is null \
             order by id limit $3",
            self.compact()
        );
        let params =
            [(&self.connection as _, Type::INT8), (&mapping as _, Type::TEXT), (&most as _, Type::INT8)];
        let rows = tx.query(&sql, &params).await?;
        tx.commit().await?;
        Ok(rows.iter().map(compact_link).collect())
    }

    async fn keep_backups(
        &self,
        tx: &mut Tx,
        mapping: &str,
        kept: &[(PageId, Digest)],
    ) -> Result<(), StoreError> {
        if kept.is_empty() {
            return Ok(());
        }
        let pages: Vec<Uuid> = kept.iter().map(|(page, _)| page.0).collect();
        let digests: Vec<Uuid> = kept.iter().map(|(_, digest)| Uuid::from_bytes(digest.0)).collect();
        tx.execute(
            &format!(
                "update {}.links set backup = kept.digest \
                 from unnest($3::uuid[], $4::uuid[]) as kept(page, digest) \
                 where connection_id = $1 and mapping = $2 and page_id = kept.page",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&mapping, Type::TEXT),
                (&pages, Type::UUID_ARRAY),
                (&digests, Type::UUID_ARRAY),
            ],
        )
        .await?;
        Ok(())
    }

    async fn keep_links(
        &self,
        tx: &mut Tx,
        mapping: &Mapping,
        links: &[LinkWrite],
    ) -> Result<Vec<i64>, StoreError> {
        let mut ids = vec![0; links.len()];
        let (known, new): (Vec<usize>, Vec<usize>) = (0..links.len()).partition(|&at| links[at].id.is_some());
        if !new.is_empty() {
            let columns = Columns::of(mapping, new.iter().map(|&at| &links[at]));
            // Whoever has a new half needs the old one no longer.
            tx.execute(
                &format!(
                    "delete from {}.buried_links where connection_id = $1 and mapping = $2 \
                     and (row_key = any($3) or page_id = any($4))",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping.name, Type::TEXT),
                    (&columns.keys, Type::TEXT_ARRAY),
                    (&columns.pages, Type::UUID_ARRAY),
                ],
            )
            .await?;
            let rows = tx
                .query(
                    &format!(
                        "insert into {}.links (connection_id, mapping, row_key, page_id, base_postgres, base_notion, \
                         postgres_digest, notion_digest, unsettled, apart) \
                         select $1, $2, row_key, page_id, base_postgres::json, base_notion::json, \
                         postgres_digest, notion_digest, unsettled, apart \
                         from unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::uuid[], $9::bool[], \
                         $10::text[]) as new (row_key, page_id, base_postgres, base_notion, postgres_digest, \
                         notion_digest, unsettled, apart) \
                         returning id, page_id",
                        self.schema
                    ),
                    &[
                        (&self.connection, Type::INT8),
                        (&mapping.name, Type::TEXT),
                        (&columns.keys, Type::TEXT_ARRAY),
                        (&columns.pages, Type::UUID_ARRAY),
                        (&columns.base_postgres, Type::TEXT_ARRAY),
                        (&columns.base_notion, Type::TEXT_ARRAY),
                        (&columns.postgres_digests, Type::UUID_ARRAY),
                        (&columns.notion_digests, Type::UUID_ARRAY),
                        (&columns.unsettled, Type::BOOL_ARRAY),
                        (&columns.apart, Type::TEXT_ARRAY),
                    ],
                )
                .await?;
            let made: std::collections::BTreeMap<Uuid, i64> =
                rows.iter().map(|row| (row.get(1), row.get(0))).collect();
            for at in new {
                ids[at] = made.get(&links[at].page.0).copied().ok_or(StoreError::Lost("a new link"))?;
            }
        }
        if !known.is_empty() {
            let columns = Columns::of(mapping, known.iter().map(|&at| &links[at]));
            let numbers: Vec<i64> = known.iter().filter_map(|&at| links[at].id).collect();
            tx.execute(
                &format!(
                    "update {}.links as link set base_postgres = new.base_postgres::json, \
                     base_notion = new.base_notion::json, postgres_digest = new.postgres_digest, \
                     notion_digest = new.notion_digest, unsettled = new.unsettled, row_key = new.row_key, \
                     page_id = new.page_id, apart = new.apart, settled_at = now() \
                     from unnest($2::int8[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::bool[], $8::text[], \
                     $9::text[], $10::uuid[]) as new (id, base_postgres, base_notion, postgres_digest, notion_digest, \
                     unsettled, row_key, apart, page_id) \
                     where link.connection_id = $1 and link.id = new.id",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&numbers, Type::INT8_ARRAY),
                    (&columns.base_postgres, Type::TEXT_ARRAY),
                    (&columns.base_notion, Type::TEXT_ARRAY),
                    (&columns.postgres_digests, Type::UUID_ARRAY),
                    (&columns.notion_digests, Type::UUID_ARRAY),
                    (&columns.unsettled, Type::BOOL_ARRAY),
                    (&columns.keys, Type::TEXT_ARRAY),
                    (&columns.apart, Type::TEXT_ARRAY),
                    (&columns.pages, Type::UUID_ARRAY),
                ],
            )
            .await?;
            for at in known {
                ids[at] = links[at].id.unwrap_or_default();
            }
        }
        Ok(ids)
    }

    async fn mark_unsettled(&self, tx: &mut Tx, ids: &[i64], unsettled: bool) -> Result<(), StoreError> {
        tx.execute(
            &format!(
                "update {}.links set unsettled = $3 where connection_id = $1 and id = any($2) and unsettled <> $3",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&ids, Type::INT8_ARRAY), (&unsettled, Type::BOOL)],
        )
        .await?;
        Ok(())
    }

    async fn set_apart(&self, tx: &mut Tx, ids: &[i64], side: Option<Side>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        tx.execute(
            &format!(
                "update {}.links set apart = $3 where connection_id = $1 and id = any($2) \
                 and (apart is null or $3 is null)",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&ids, Type::INT8_ARRAY), (&side.map(Side::name), Type::TEXT)],
        )
        .await?;
        Ok(())
    }

    async fn forget_links(&self, tx: &mut Tx, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        tx.execute(
            &format!(
                "with gone as (delete from {0}.links where connection_id = $1 and id = any($2) returning *) \
                 insert into {0}.buried_links (id, connection_id, mapping, row_key, page_id, base_postgres, base_notion, \
                 postgres_digest, notion_digest, created_at) \
                 select id, connection_id, mapping, row_key, page_id, base_postgres, base_notion, \
                 postgres_digest, notion_digest, created_at from gone",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&ids, Type::INT8_ARRAY)],
        )
        .await?;
        // Nobody brings back what Notion has long purged from its trash.
        tx.execute(
            &format!(
                "delete from {}.buried_links where connection_id = $1 and buried_at < now() - interval '{BURIED_DAYS} days'",
                self.schema
            ),
            &[(&self.connection, Type::INT8)],
        )
        .await?;
        Ok(())
    }

    async fn buried_of(
        &self,
        mapping: &Mapping,
        keys: &[RowKey],
        pages: &[PageId],
    ) -> Result<Vec<Link>, StoreError> {
        if keys.is_empty() && pages.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<&str> = keys.iter().map(RowKey::as_str).collect();
        let pages: Vec<Uuid> = pages.iter().map(|page| page.0).collect();
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select id, row_key, page_id, base_postgres::text, base_notion::text, null::text from {}.buried_links \
                     where connection_id = $1 and mapping = $2 and (row_key = any($3) or page_id = any($4)) order by id",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&mapping.name, Type::TEXT),
                    (&keys, Type::TEXT_ARRAY),
                    (&pages, Type::UUID_ARRAY),
                ],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| link(row, mapping)).collect()
    }

    async fn raise_links(&self, tx: &mut Tx, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        tx.execute(
            &format!(
                "with back as (delete from {0}.buried_links where connection_id = $1 and id = any($2) returning *) \
                 insert into {0}.links (id, connection_id, mapping, row_key, page_id, base_postgres, base_notion, \
                 postgres_digest, notion_digest, created_at, unsettled) overriding system value \
                 select id, connection_id, mapping, row_key, page_id, base_postgres, base_notion, \
                 postgres_digest, notion_digest, created_at, true from back",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&ids, Type::INT8_ARRAY)],
        )
        .await?;
        Ok(())
    }

    async fn absences(&self, mapping: &str) -> Result<BTreeMap<i64, f64>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select link_id, extract(epoch from clock_timestamp() - since)::float8 from {}.absences \
                     where connection_id = $1 and mapping = $2",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn keep_absences(
        &self,
        tx: &mut Tx,
        mapping: &str,
        gone: &[i64],
        back: &[i64],
    ) -> Result<(), StoreError> {
        if !gone.is_empty() {
            // A link may have been forgotten by what was done since the look.
            tx.execute(
                &format!(
                    "insert into {0}.absences (link_id, connection_id, mapping) \
                     select id, connection_id, mapping from {0}.links where connection_id = $1 and mapping = $2 and id = any($3) \
                     on conflict (link_id) do nothing",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&mapping, Type::TEXT), (&gone, Type::INT8_ARRAY)],
            )
            .await?;
        }
        if !back.is_empty() {
            tx.execute(
                &format!(
                    "delete from {}.absences where connection_id = $1 and link_id = any($2)",
                    self.schema
                ),
                &[(&self.connection, Type::INT8), (&back, Type::INT8_ARRAY)],
            )
            .await?;
        }
        Ok(())
    }
}

impl PgStore {
    fn compact(&self) -> String {
        format!(
            "select id, row_key, page_id, postgres_digest, notion_digest, unsettled from {}.links",
            self.schema
        )
    }
}

fn link(row: &Row, mapping: &Mapping) -> Result<Link, StoreError> {
    let base = |at: usize| {
        let text: &str = row.get(at);
        serde_json::from_str(text)
            .map(|json| Record::from_json(&json, mapping))
            .map_err(|source| StoreError::Unreadable { what: "a base", source })
    };
    Ok(Link {
        id: row.get(0),
        key: row.get::<_, String>(1).into(),
        page: PageId(row.get(2)),
        base: Sides { postgres: base(3)?, notion: base(4)? },
        apart: row.get::<_, Option<&str>>(5).and_then(side_of),
    })
}

fn compact_link(row: &Row) -> CompactLink {
    CompactLink {
        id: row.get(0),
        key: row.get::<_, &str>(1).into(),
        page: PageId(row.get(2)),
        digest: Sides { postgres: from_uuid(row.get(3)), notion: from_uuid(row.get(4)) },
        unsettled: row.get(5),
    }
}

/// Links column by column, as `unnest` takes them.
#[derive(Default)]
struct Columns<'a> {
    keys: Vec<&'a str>,
    pages: Vec<Uuid>,
    base_postgres: Vec<String>,
    base_notion: Vec<String>,
    postgres_digests: Vec<Uuid>,
    notion_digests: Vec<Uuid>,
    unsettled: Vec<bool>,
    apart: Vec<Option<&'static str>>,
}

impl<'a> Columns<'a> {
    fn of(mapping: &Mapping, links: impl Iterator<Item = &'a LinkWrite>) -> Self {
        let mut columns = Self::default();
        let mut scratch = Vec::new();
        for link in links {
            let marker = mapping.key_property.then(|| link.key.as_str());
            let of_row = Digest::of_record(mapping, &link.base.postgres, None, &mut scratch);
            let of_page = Digest::of_record(mapping, &link.base.notion, marker, &mut scratch);
            columns.keys.push(link.key.as_str());
            columns.pages.push(link.page.0);
            columns.base_postgres.push(link.base.postgres.to_json(mapping).to_string());
            columns.base_notion.push(link.base.notion.to_json(mapping).to_string());
            columns.postgres_digests.push(Uuid::from_bytes(of_row.0));
            columns.notion_digests.push(Uuid::from_bytes(of_page.0));
            columns.unsettled.push(link.unsettled);
            columns.apart.push(link.apart.map(Side::name));
        }
        columns
    }
}

fn side_of(name: &str) -> Option<Side> {
    [Side::Postgres, Side::Notion].into_iter().find(|side| side.name() == name)
}

fn from_uuid(uuid: Uuid) -> Digest {
    Digest(uuid.into_bytes())
}
