//! What has to be known about a server before trusting it with a synchronisation? For `doctor` and the first connect.

use tokio_postgres::types::Type;

use super::connect::Database;
use super::error::PostgresError;
use super::session::Session;
use super::transaction::{Param, Tx};

/// The oldest server whose transaction ids pagerow can follow in SQL.
pub const OLDEST_VERSION: i32 = 130_000;

/// The server, the role and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// As a person writes it: `15.18`.
    pub version: String,
    /// As a number: `150018`. See [`OLDEST_VERSION`].
    pub version_number: i32,
    /// A replica: takes no writes.
    pub in_recovery: bool,
    /// Transactions begin read only, for whatever reason.
    pub read_only: bool,
    pub database: String,
    /// The database's encoding; anything but `UTF8` cannot hold all that Notion can.
    pub encoding: String,
    pub role: String,
    pub superuser: bool,
    /// Row level security does not bind this role.
    pub bypasses_row_security: bool,
    /// May create a schema in this database.
    pub may_create_schema: bool,
    /// Rights on pagerow's own schema; `None` when it does not exist.
    pub own_schema: Option<SchemaRights>,
    pub max_connections: i32,
    /// Connections are shared among clients: nothing lasts longer than a transaction.
    pub pooler: Pooler,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaRights {
    pub usage: bool,
    pub create: bool,
}

/// Whether there is a pooler in transaction mode between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Seen: two of our connections were served by one server process, or one by two.
    Transaction,
    /// Not seen. A pooler that keeps a server connection for each of ours looks like none.
    NotSeen,
}

const FACTS: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::int4, pg_is_in_recovery(),
       current_setting('transaction_read_only')::bool, current_database()::text,
       pg_encoding_to_char(d.encoding)::text, current_user::text, r.rolsuper, r.rolbypassrls OR r.rolsuper,
       has_database_privilege(d.oid, 'CREATE'), n.oid IS NOT NULL,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false), coalesce(has_schema_privilege(n.oid, 'CREATE'), false),
       current_setting('max_connections')::int4
FROM pg_roles r JOIN pg_database d ON d.datname = current_database() LEFT JOIN pg_namespace n ON n.nspname = $1
WHERE r.rolname = current_user";

const PROCESS: &str = "SELECT pg_backend_pid()";

impl ServerFacts {
    /// Asks the server. `schema` is where pagerow keeps its own tables.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn read(database: &Database, schema: &str) -> Result<Self, PostgresError> {
        let session = database.session().await?;
        let parameters: [Param<'_>; 1] = [(&schema, Type::TEXT)];
        let row = session.query_one(FACTS, &parameters).await?;
        drop(session);
        let schema_exists: bool = row.get(10);
        Ok(Self {
            version: row.get::<_, String>(0).split_whitespace().next().unwrap_or_default().to_owned(),
            version_number: row.get(1),
            in_recovery: row.get(2),
            read_only: row.get(3),
            database: row.get(4),
            encoding: row.get(5),
            role: row.get(6),
            superuser: row.get(7),
            bypasses_row_security: row.get(8),
            may_create_schema: row.get(9),
            own_schema: schema_exists.then(|| SchemaRights { usage: row.get(11), create: row.get(12) }),
            max_connections: row.get(13),
            pooler: pooler(database).await?,
        })
    }
}

/// Two connections at once have two server processes, and each keeps its own; unless a pooler deals them out anew
/// for each transaction.
async fn pooler(database: &Database) -> Result<Pooler, PostgresError> {
    if database.max_connections() < 2 {
        return Ok(Pooler::NotSeen);
    }
    let explain = |error| database.explain(&error);
    let one = database.session().await?;
    let before = process(&one).await?;
    let mut other = Tx::begin_snapshot(database.pool()).await.map_err(explain)?;
    let rows = other.query(PROCESS, &[]).await.map_err(explain)?;
    let shared = rows.first().is_some_and(|row| row.get::<_, i32>(0) == before);
    // While the other one holds its server process, the first gets another if it is dealt one anew.
    let moved = !shared && process(&one).await? != before;
    other.rollback().await.map_err(explain)?;
    Ok(if shared || moved { Pooler::Transaction } else { Pooler::NotSeen })
}

async fn process(session: &Session) -> Result<i32, PostgresError> {
    Ok(session.query_one(PROCESS, &[]).await?.get(0))
}
