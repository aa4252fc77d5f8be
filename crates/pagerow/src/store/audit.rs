//! The audit: one entry for each step that was done and each decision, in a chain of hashes.

use futures_util::StreamExt as _;
use jiff::Timestamp;
use pagerow_core::audit::{self, Broken, Entry, Hash, Place, Verifier};
use serde::Serialize;
use tokio_postgres::types::Type;

use super::{PgStore, StoreError, Transactions};
use crate::postgres::transaction::Tx;

/// Most entries that one cut takes off.
const CUT: i64 = 5_000;

/// What is written down for good.
pub trait Audit: Transactions {
    /// Adds entries to the chain, in order. Whoever else adds to it waits for this transaction.
    ///
    /// # Errors
    /// What the database says.
    fn audit(
        &self,
        tx: &mut Self::Tx,
        entries: &[Entry],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Cuts off entries from before this time at the beginning of the chain, some thousands at most, and says so in the
    /// chain; answers how many.
    ///
    /// # Errors
    /// What the database says.
    fn cut_audit(
        &self,
        tx: &mut Self::Tx,
        before: Timestamp,
        by: &Entry,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;
}

/// An entry with its place in the chain.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRow {
    pub seq: i64,
    #[serde(flatten)]
    pub entry: Entry,
    pub hash: Hash,
}

/// What a walk along the whole chain found.
#[derive(Clone, Debug, Serialize)]
pub struct AuditVerdict {
    /// Whether every entry is the one that was written.
    pub verified: bool,
    /// How many entries were walked along.
    pub entries: i64,
    /// Where retention has cut off the beginning; number 0 when nothing was.
    pub anchor: Place,
    /// The end of the chain.
    pub head: Place,
    pub broken: Option<Broken>,
}

impl Audit for PgStore {
    async fn audit(&self, tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (head, _) = self.audit_ends(tx, true).await?;
        let mut place = head;
        let (mut seqs, mut times, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut hashes: Vec<Vec<u8>> = Vec::new();
        for entry in entries {
            let text = entry.text();
            place = place.next(&text);
            seqs.push(place.seq);
            times.push(entry.at);
            texts.push(text);
            hashes.push(place.hash.0.to_vec());
        }
        tx.execute(
            &format!(
                "with added as ( \
                     insert into {0}.audit (connection_id, seq, at, entry, hash) \
                     select $1, seq, at, entry, hash \
                     from unnest($2::int8[], $3::timestamptz[], $4::text[], $5::bytea[]) as new (seq, at, entry, hash)) \
                 update {0}.audit_heads set seq = $6, hash = $7 where connection_id = $1",
                self.schema
            ),
            &[
                (&self.connection, Type::INT8),
                (&seqs, Type::INT8_ARRAY),
                (&times, Type::TIMESTAMPTZ_ARRAY),
                (&texts, Type::TEXT_ARRAY),
                (&hashes, Type::BYTEA_ARRAY),
                (&place.seq, Type::INT8),
                (&place.hash.0.as_slice(), Type::BYTEA),
            ],
        )
        .await?;
        Ok(())
    }

    async fn cut_audit(&self, tx: &mut Tx, before: Timestamp, by: &Entry) -> Result<i64, StoreError> {
        let (_, anchor) = self.audit_ends(tx, true).await?;
        // Up to the first entry that is young enough; the last one of all stays in any case.
        let rows = tx
            .query(
                &format!(
                    "select seq, hash from {0}.audit where connection_id = $1 and seq <= $2 and seq < coalesce( \
                         (select min(seq) from {0}.audit where connection_id = $1 and at >= $3), \
                         (select seq from {0}.audit_heads where connection_id = $1)) \
                     order by seq desc limit 1",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&(anchor.seq + CUT), Type::INT8),
                    (&before, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(0) };
        let cut = Place { seq: row.get(0), hash: hash(row.get(1))? };
        tx.execute(
            &format!(
                "update {}.audit_heads set anchor_seq = $2, anchor_hash = $3 where connection_id = $1",
                self.schema
            ),
            &[(&self.connection, Type::INT8), (&cut.seq, Type::INT8), (&cut.hash.0.as_slice(), Type::BYTEA)],
        )
        .await?;
        tx.execute(
            &format!("delete from {}.audit where connection_id = $1 and seq <= $2", self.schema),
            &[(&self.connection, Type::INT8), (&cut.seq, Type::INT8)],
        )
        .await?;
        let told =
            Entry { action: audit::RETENTION.to_owned(), about: Some(audit::cut_text(cut)), ..by.clone() };
        self.audit(tx, &[told]).await?;
        Ok(cut.seq - anchor.seq)
    }
}

impl PgStore {
    /// The newest entries first, at most `limit`, older than `before` and of one mapping when these are given.
    ///
    /// # Errors
    /// What the database says.
    pub async fn audit_rows(
        &self,
        limit: i64,
        before: Option<i64>,
        mapping: Option<&str>,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx
            .query(
                &format!(
                    "select seq, entry, hash from {}.audit where connection_id = $1 \
                     and seq < coalesce($2, 9223372036854775807) \
                     and ($3::text is null or entry::json ->> 'mapping' = $3) order by seq desc limit $4",
                    self.schema
                ),
                &[
                    (&self.connection, Type::INT8),
                    (&before, Type::INT8),
                    (&mapping, Type::TEXT),
                    (&limit, Type::INT8),
                ],
            )
            .await?;
        tx.commit().await?;
        rows.iter()
            .map(|row| {
                let entry = serde_json::from_str(row.get(1))
                    .map_err(|source| StoreError::Unreadable { what: "an entry of the audit", source })?;
                Ok(AuditRow { seq: row.get(0), entry, hash: hash(row.get(2))? })
            })
            .collect()
    }

    /// Walks along the whole chain, in one snapshot.
    ///
    /// # Errors
    /// What the database says.
    pub async fn verify_audit(&self) -> Result<AuditVerdict, StoreError> {
        let mut tx = Tx::begin_snapshot(&self.pool).await?;
        let (head, anchor) = self.audit_ends(&mut tx, false).await?;
        let mut verifier = Verifier::new(anchor);
        let mut broken = None;
        let sql = format!(
            "select seq, entry, hash from {}.audit where connection_id = $1 order by seq",
            self.schema
        );
        let params = [(&self.connection as _, Type::INT8)];
        let mut rows = tx.stream(&sql, &params).await?;
        while let Some(row) = rows.next().await {
            let row = row?;
            let taken = match hash(row.get(2)) {
                Ok(hash) => verifier.take(row.get(0), row.get(1), hash),
                Err(_) => Err(Broken { seq: row.get(0), why: "the entry's hash is no SHA-256" }),
            };
            if let Err(error) = taken {
                broken = Some(error);
                break;
            }
        }
        drop(rows);
        if broken.is_none() {
            tx.commit().await?;
        } else {
            // The rest of the chain is not waited for.
            tx.rollback().await?;
        }
        let entries = verifier.at().seq - anchor.seq;
        let broken = broken.or_else(|| verifier.finish(head).err());
        Ok(AuditVerdict { verified: broken.is_none(), entries, anchor, head, broken })
    }

    /// The chain's end and its anchor; locked for whoever is going to add to it.
    async fn audit_ends(&self, tx: &mut Tx, to_write: bool) -> Result<(Place, Place), StoreError> {
        let sql = format!(
            "select seq, hash, anchor_seq, anchor_hash from {}.audit_heads where connection_id = $1{}",
            self.schema,
            if to_write { " for update" } else { "" }
        );
        let params = [(&self.connection as _, Type::INT8)];
        let mut rows = tx.query(&sql, &params).await?;
        if rows.is_empty() && to_write {
            tx.execute(
                &format!(
                    "insert into {}.audit_heads (connection_id) values ($1) on conflict do nothing",
                    self.schema
                ),
                &params,
            )
            .await?;
            rows = tx.query(&sql, &params).await?;
        }
        let Some(row) = rows.first() else { return Ok((Place::START, Place::START)) };
        let head = Place { seq: row.get(0), hash: hash(row.get(1))? };
        let anchor = Place { seq: row.get(2), hash: hash(row.get(3))? };
        Ok((head, anchor))
    }
}

fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::Lost("a hash of the audit"))
}
