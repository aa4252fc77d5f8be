//! One mapping's table as the engine sees it: looked at in one snapshot, written inside the store's transaction.

use std::sync::{Arc, Mutex, PoisonError};

use deadpool_postgres::Pool;
use jiff::tz::TimeZone;
use pagerow_core::{
    digest::Digest,
    mapping::Mapping,
    plan::Step,
    record::{Record, RowKey},
};
use tokio::sync::OnceCell;

use tokio_postgres::types::Type;

use super::{
    capture::{Source, state::InForce},
    catalogue::literal,
    delta, edit, note, read,
    statement::{Statements, quoted},
    table::{Capture, Table},
    transaction::{Tx, TxError},
    whole, write,
};
use crate::replica::{Looked, Outcome, Relatives, RowNote, Rows, Scope, Sink};

/// One mapping's table. Cheap to clone.
#[derive(Clone)]
pub struct PgRows {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pool: Pool,
    pub(super) mapping: Arc<Mapping>,
    pub(super) table: Table,
    pub(super) sql: Statements,
    /// What triggers have to watch, where they are to.
    pub(super) sources: Vec<Source>,
    pub(super) zone: TimeZone,
    /// The types of the bookkeeping columns, looked up once.
    pub(super) note_types: OnceCell<Vec<(String, String)>>,
    /// What new rows get in columns that they are not given, both as SQL.
    pub(super) fills: Mutex<Vec<(String, String)>>,
}

/// Why a table could not be looked at, or a transaction was lost. Holds no cell's content.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error("the time zone {0} is not known")]
    Zone(String),
    #[error("the table {0} has no key")]
    NoKey(String),
    #[error("the mapping has {fields} fields and its table describes {sources}")]
    Fields { fields: usize, sources: usize },
    #[error("a row's key could not be read: {0}")]
    Key(String),
}

impl PgRows {
    /// Prepares the statements of a mapping's table. Asks nothing of the server.
    ///
    /// # Errors
    /// When the description does not fit the mapping.
    pub fn new(pool: Pool, mapping: Arc<Mapping>, table: Table) -> Result<Self, RowsError> {
        if table.key.is_empty() {
            return Err(RowsError::NoKey(format!("{}.{}", table.schema, table.name)));
        }
        if table.fields.len() != mapping.fields.len() {
            return Err(RowsError::Fields { fields: mapping.fields.len(), sources: table.fields.len() });
        }
        let zone = TimeZone::get(&table.zone).map_err(|_| RowsError::Zone(table.zone.clone()))?;
        let sql = Statements::new(&table, &mapping);
        let note_types = OnceCell::new();
        let sources = match &table.capture {
            Capture::Triggers { schema } => Source::of(&table, schema),
            Capture::Poll | Capture::Off => Vec::new(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                pool,
                mapping,
                table,
                sql,
                sources,
                zone,
                note_types,
                fills: Mutex::default(),
            }),
        })
    }

    /// Whether triggers capture the table and its join tables; nothing where they are not asked for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn captured(&self) -> Result<Vec<(String, InForce)>, RowsError> {
        let in_force = delta::standing(&self.inner).await?;
        Ok(self.inner.sources.iter().map(Source::full_name).zip(in_force).collect())
    }
}

impl Rows for PgRows {
    type Tx = Tx;
    type Error = RowsError;

    fn are_writable(&self) -> bool {
        self.inner.table.writable
    }

    async fn look(&self, scope: Scope<'_, RowKey>, sink: Sink<'_, RowKey>) -> Result<Looked, RowsError> {
        match scope {
            Scope::Everything => read::everything(&self.inner, sink).await,
            Scope::Since(cursor) => read::since(&self.inner, cursor, sink).await,
            Scope::These(keys) => read::these(&self.inner, keys, sink).await,
        }
    }

    async fn write(
        &self,
        tx: &mut Tx,
        steps: &[&Step],
        relatives: &Relatives,
    ) -> Result<Vec<Outcome<RowKey>>, RowsError> {
        write::write(&self.inner, tx, steps, relatives).await
    }

    async fn fill(&self, column: &str, value: &str) -> Result<bool, RowsError> {
        let mut tx = Tx::begin_snapshot(&self.inner.pool).await?;
        let types = tx
            .query(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::text::regclass \
                 AND attname = $2 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                &[(&self.inner.sql.table, Type::TEXT), (&column, Type::TEXT)],
            )
            .await?;
        tx.commit().await?;
        let Some(row) = types.first() else { return Ok(false) };
        let sql = format!("{}::{}", literal(value), row.get::<_, String>(0));
        let mut fills = self.inner.fills.lock().unwrap_or_else(PoisonError::into_inner);
        fills.push((quoted(column), sql));
        Ok(true)
    }

    async fn reserve(&self, tx: &mut Tx, keys: &[RowKey]) -> Result<(), RowsError> {
        edit::pass_sequence(&self.inner, tx, keys).await
    }

    async fn whole(&self, tx: &mut Tx, keys: &[RowKey]) -> Result<Vec<(RowKey, Option<String>)>, RowsError> {
        whole::read(&self.inner, tx, keys).await
    }

    async fn for_backup(&self, keys: &[RowKey]) -> Result<Vec<(RowKey, String)>, RowsError> {
        whole::for_backup(&self.inner, keys).await
    }

    async fn for_backup_in_short(&self, keys: &[RowKey]) -> Result<Vec<(RowKey, Digest)>, RowsError> {
        whole::for_backup_in_short(&self.inner, keys).await
    }

    async fn shown_by(&self, whole: &[&str]) -> Result<Vec<Option<Record>>, RowsError> {
        read::of_whole(&self.inner, whole).await
    }

    async fn note(&self, tx: &mut Tx, notes: &[RowNote]) -> Result<(), RowsError> {
        note::note(&self.inner, tx, notes).await
    }
}
