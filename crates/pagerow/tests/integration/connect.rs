//! Do connections come about as they should, and does each failure say what it is?

use std::time::Duration;

use futures_util::StreamExt;
use pagerow::devpg::{DevOptions, DevPostgres, DevTls};
use pagerow::postgres::error::ConstraintKind;
use pagerow::postgres::transaction::Tx;
use pagerow::postgres::{ConnectionString, Database, Outcome, PostgresError};
use tokio_postgres::types::Type;

use crate::support::postgres::{TestDatabase, server};

async fn connect(url: &str) -> Result<Database, PostgresError> {
    Database::connect(&ConnectionString::parse(url).unwrap()).await
}

async fn failure(url: &str) -> PostgresError {
    connect(url).await.err().unwrap()
}

#[tokio::test]
async fn statements_and_streams_work() {
    let sql = "CREATE TYPE mood AS ENUM ('calm', 'wild'); CREATE TABLE item (id int PRIMARY KEY, mood mood)";
    let database = TestDatabase::with(sql).await;
    let pool = connect(&database.url).await.unwrap();
    let session = pool.session().await.unwrap();
    let insert = "INSERT INTO item SELECT id, $2::text::mood FROM generate_series(1, $1) AS id";
    assert_eq!(session.execute(insert, &[(&1000, Type::INT4), (&"wild", Type::TEXT)]).await.unwrap(), 1000);

    let select = "SELECT id, mood::text FROM item WHERE id > $1";
    let mut rows = session.stream(select, &[(&10, Type::INT4)]).await.unwrap();
    let mut seen = 0;
    while let Some(row) = rows.next().await {
        assert_eq!(row.unwrap().get::<_, String>(1), "wild");
        seen += 1;
    }
    assert_eq!(seen, 990);
    assert!(session.query_opt(select, &[(&1000, Type::INT4)]).await.unwrap().is_none());

    // Several statements at once happen together or not at all.
    session.batch("DELETE FROM item; SELECT 1 / 0").await.unwrap_err();
    let row = session.query_one("SELECT count(*) FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1000);

    let mut snapshot = Tx::begin_snapshot(pool.pool()).await.unwrap();
    let error = pool.explain(&snapshot.batch_execute("DELETE FROM item").await.unwrap_err());
    assert!(matches!(error, PostgresError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn a_session_may_cross_threads() {
    let database = TestDatabase::empty().await;
    let pool = connect(&database.url).await.unwrap();
    let answer = tokio::spawn(async move {
        let session = pool.session().await?;
        session.query_one("SELECT 1", &[]).await.map(|row| row.get::<_, i32>(0))
    });
    assert_eq!(answer.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_string_is_told() {
    let database = TestDatabase::empty().await;
    let wrong = server().url_for("postgres", "guess", &database.name);
    assert!(matches!(failure(&wrong).await, PostgresError::WrongPassword { .. }));
    let stranger = server().url_for("stranger", "guess", &database.name);
    assert!(matches!(failure(&stranger).await, PostgresError::WrongPassword { .. }));
    let nowhere = server().url("nowhere");
    assert!(matches!(failure(&nowhere).await, PostgresError::DatabaseMissing { .. }));
    let encrypted = format!("{}?sslmode=require", database.url);
    assert!(matches!(failure(&encrypted).await, PostgresError::NoTls { .. }));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = failure(&format!("postgres://me:secret@{closed}/db")).await;
    assert!(refused.retryable() && refused.to_string().contains(&closed.to_string()), "{refused}");
    assert!(matches!(refused, PostgresError::NoServer { .. }));
    let unknown = failure("postgres://me:secret@no-such-host.invalid/db?connect_timeout=5").await;
    assert!(matches!(unknown, PostgresError::NoServer { .. }), "{unknown}");
    for error in [refused, unknown] {
        assert!(error.advice().is_some() && !format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_told_and_nothing_was_done() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://me:secret@{}/db?sslmode=disable", listener.local_addr().unwrap());
    let (error, accepted) = tokio::join!(failure(&url), async { drop(listener.accept().await.unwrap()) });
    let () = accepted;
    assert!(matches!(error, PostgresError::ConnectionLost { outcome: Outcome::NotApplied, .. }), "{error}");
}

#[tokio::test]
async fn certificates_are_checked_as_asked() {
    let authority = Authority::new();
    let tls = Some(authority.issue("localhost"));
    let server = DevPostgres::start(DevOptions { tls, ..DevOptions::default() }).await.unwrap();
    let named = server.url("postgres").replace("127.0.0.1", "localhost");
    let numbered = server.url("postgres");
    let given = escaped(&authority.certificate);

    let encrypted = async |url: String| {
        let pool = connect(&url).await?;
        let question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        pool.session().await?.query_one(question, &[]).await.map(|row| row.get::<_, bool>(0))
    };
    assert!(encrypted(format!("{named}?sslmode=verify-full&sslrootcert={given}")).await.unwrap());
    assert!(encrypted(format!("{numbered}?sslmode=verify-ca&sslrootcert={given}")).await.unwrap());
    assert!(encrypted(format!("{numbered}?sslmode=require&sslrootcert={given}")).await.unwrap());
    assert!(encrypted(format!("{numbered}?sslmode=require")).await.unwrap());
    assert!(encrypted(format!("{numbered}?sslmode=prefer")).await.unwrap());
    assert!(!encrypted(format!("{numbered}?sslmode=disable")).await.unwrap());
    // A server on this machine is not asked who it is, unless a certificate is given.
    assert!(encrypted(numbered.clone()).await.unwrap());
    assert!(encrypted(format!("{named}?sslrootcert={given}")).await.unwrap());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.certificate).unwrap();
    assert!(
        encrypted(format!("{named}?sslmode=verify-full&sslrootcert={}", file.path().display()))
            .await
            .unwrap()
    );

    let other = escaped(&Authority::new().certificate);
    for (url, reason) in [
        (format!("{numbered}?sslmode=verify-full&sslrootcert={given}"), "not valid for"),
        (format!("{named}?sslmode=verify-full&sslrootcert={other}"), "not issued by"),
        (format!("{named}?sslmode=verify-ca&sslrootcert={other}"), "not issued by"),
        (format!("{named}?sslmode=require&sslrootcert={other}"), "not issued by"),
    ] {
        let error = failure(&url).await;
        assert!(matches!(error, PostgresError::Certificate { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.advice().unwrap().contains("sslrootcert"));
    }
}

#[tokio::test]
async fn without_an_authority_of_this_machine_a_private_certificate_is_refused() {
    let authority = Authority::new();
    let tls = Some(authority.issue("localhost"));
    let server = DevPostgres::start(DevOptions { tls, ..DevOptions::default() }).await.unwrap();
    let named = server.url("postgres").replace("127.0.0.1", "localhost");
    let error = failure(&format!("{named}?sslmode=verify-full")).await;
    assert!(matches!(error, PostgresError::Certificate { .. }), "{error:?}");
}

#[tokio::test]
async fn a_self_signed_server_is_trusted_when_its_certificate_is_given() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = DevTls { certificate: own.cert.pem(), key: own.signing_key.serialize_pem() };
    let server = DevPostgres::start(DevOptions { tls: Some(tls), ..DevOptions::default() }).await.unwrap();
    let given = escaped(&own.cert.pem());
    let named = server.url("postgres").replace("127.0.0.1", "localhost");
    connect(&format!("{named}?sslmode=verify-full&sslrootcert={given}")).await.unwrap();
    let numbered = server.url("postgres");
    let error = failure(&format!("{numbered}?sslmode=verify-full&sslrootcert={given}")).await;
    assert!(matches!(error, PostgresError::Certificate { .. }), "{error:?}");
}

#[tokio::test]
async fn a_broken_constraint_is_named_and_its_values_are_not() {
    let sql = "CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE item (id int PRIMARY KEY, name text UNIQUE NOT NULL CHECK (name <> 'secret-c'),
            parent int REFERENCES parent, code varchar(3));
        INSERT INTO item VALUES (1, 'secret-u');
        CREATE FUNCTION grumble() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN IF new.name = 'secret-t' THEN RAISE EXCEPTION 'no %', new.name; END IF; RETURN new; END$$;
        CREATE TRIGGER grumble BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION grumble()";
    let database = TestDatabase::with(sql).await;
    let pool = connect(&database.url).await.unwrap();
    let session = pool.session().await.unwrap();
    for (values, kind, constraint) in [
        ("(2, 'secret-u', NULL, NULL)", ConstraintKind::Unique, Some("item_name_key")),
        ("(2, 'secret-c', NULL, NULL)", ConstraintKind::Check, Some("item_name_check")),
        ("(2, 'secret-f', 7, NULL)", ConstraintKind::ForeignKey, Some("item_parent_fkey")),
        ("(2, NULL, NULL, NULL)", ConstraintKind::NotNull, None),
    ] {
        let error = session.batch(&format!("INSERT INTO item VALUES {values}")).await.unwrap_err();
        let PostgresError::Constraint(broken) = &error else { panic!("{error:?}") };
        assert_eq!((broken.kind, broken.constraint.as_deref()), (kind, constraint));
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }
    for (statement, sqlstate) in [
        ("INSERT INTO item VALUES (2, 'secret-t', NULL, NULL)", "P0001"),
        ("INSERT INTO item VALUES (2, 'x', NULL, 'secret-long')", "22001"),
        ("SELECT 'secret-number'::int", "22P02"),
        ("SELECT 'secret-date'::date", "22007"),
    ] {
        let error = session.batch(statement).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some(sqlstate), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn missing_things_and_rights_are_told_apart() {
    let sql = "CREATE TABLE item (id int); CREATE SCHEMA private; CREATE TABLE private.item (id int)";
    let database = TestDatabase::with(sql).await;
    let role = format!("reader_{}", database.name);
    let admin = database.client().await;
    admin.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'")).await.unwrap();
    let pool = connect(&server().url_for(&role, "pw", &database.name)).await.unwrap();
    let session = pool.session().await.unwrap();
    let said = async |sql: &str| session.batch(sql).await.unwrap_err();
    let error = said("SELECT * FROM item").await;
    assert!(
        matches!(&error, PostgresError::MissingRights { message } if message.contains("table item")),
        "{error:?}"
    );
    let error = said("SELECT * FROM private.item").await;
    assert!(matches!(&error, PostgresError::MissingRights { message } if message.contains("schema private")));
    assert!(matches!(said("SELECT * FROM items").await, PostgresError::Missing { .. }));
    let error = said("SELECT nam FROM pg_class").await;
    assert!(matches!(&error, PostgresError::Missing { message, .. } if message.contains("nam")));
    drop(session);
    drop(pool);
    admin.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn timeouts_and_collisions_are_told_apart_and_may_be_tried_again() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item VALUES (1, 0)";
    let database = TestDatabase::with(sql).await;
    let pool = connect(&database.url).await.unwrap();
    let session = pool.session().await.unwrap();

    let slow = session.batch("SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(30)").await.unwrap_err();
    assert!(matches!(slow, PostgresError::StatementTimeout) && slow.retryable(), "{slow:?}");

    let mut holder = Tx::begin(pool.pool()).await.unwrap();
    holder.batch_execute("UPDATE item SET n = 1").await.unwrap();
    let locked = session.batch("SET LOCAL lock_timeout = '10ms'; UPDATE item SET n = 2").await.unwrap_err();
    assert!(matches!(locked, PostgresError::LockTimeout) && locked.retryable(), "{locked:?}");
    holder.rollback().await.unwrap();

    let mut older = Tx::begin(pool.pool()).await.unwrap();
    let level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM item";
    older.batch_execute(level).await.unwrap();
    session.batch("UPDATE item SET n = 3").await.unwrap();
    let error = pool.explain(&older.batch_execute("UPDATE item SET n = 4").await.unwrap_err());
    assert!(matches!(error, PostgresError::Collision { .. }) && error.retryable(), "{error:?}");
    let spoilt = pool.explain(&older.commit().await.unwrap_err());
    assert_eq!((spoilt.outcome(), spoilt.retryable()), (Outcome::NotApplied, false), "{spoilt:?}");
}

#[tokio::test]
async fn a_lost_connection_leaves_doubt_only_where_there_is_some_and_is_replaced() {
    let database = TestDatabase::with("CREATE TABLE item (id int)").await;
    let pool = connect(&format!("{}?connection_limit=1", database.url)).await.unwrap();
    let admin = database.client().await;
    let end = async || {
        let others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'";
        assert!(admin.query_one(others, &[]).await.unwrap().get::<_, bool>(0));
    };

    let mut transaction = Tx::begin(pool.pool()).await.unwrap();
    end().await;
    let lost = transaction.batch_execute("INSERT INTO item VALUES (1)").await.unwrap_err();
    let error = pool.explain(&lost);
    assert_eq!((error.outcome(), error.retryable()), (Outcome::NotApplied, true), "{error:?}");
    drop(transaction);

    let mut transaction = Tx::begin(pool.pool()).await.unwrap();
    transaction.batch_execute("INSERT INTO item VALUES (2)").await.unwrap();
    end().await;
    let error = pool.explain(&transaction.commit().await.unwrap_err());
    assert_eq!((error.outcome(), error.retryable()), (Outcome::Unknown, true), "{error:?}");

    let session = pool.session().await.unwrap();
    end().await;
    let error = session.batch("INSERT INTO item VALUES (3)").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
    drop(session);

    let row = pool.session().await.unwrap().query_one("SELECT count(*) FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_transaction_s_errors_are_explained_as_a_session_s_are() {
    let sql = "CREATE TABLE item (name text CONSTRAINT short CHECK (length(name) < 9));
        CREATE FUNCTION grumble(text) RETURNS void LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'no %', $1 USING ERRCODE = 'MY001'; END$$";
    let database = TestDatabase::with(sql).await;
    let pool = connect(&format!("{}?connection_limit=1&pool_timeout=1", database.url)).await.unwrap();
    let failed = async |sql: &str| {
        let mut transaction = Tx::begin(pool.pool()).await.unwrap();
        let error = pool.explain(&transaction.batch_execute(sql).await.unwrap_err());
        transaction.rollback().await.unwrap();
        error
    };
    let error = failed("INSERT INTO item VALUES ('secret-value')").await;
    assert!(
        matches!(&error, PostgresError::Constraint(broken) if broken.constraint.as_deref() == Some("short"))
    );
    let error = failed("SELECT grumble('secret-value')").await;
    assert_eq!(error.sqlstate(), Some("MY001"));
    assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    assert!(matches!(failed("SELECT * FROM items").await, PostgresError::Missing { .. }));

    let held = pool.session().await.unwrap();
    let exhausted = Tx::begin(pool.pool()).await.err().unwrap();
    assert!(matches!(pool.explain(&exhausted), PostgresError::PoolExhausted { .. }));
    drop(held);
}

#[tokio::test]
async fn a_pool_without_a_free_connection_says_so() {
    let database = TestDatabase::empty().await;
    let pool = connect(&format!("{}?connection_limit=1&pool_timeout=1", database.url)).await.unwrap();
    assert_eq!(pool.max_connections(), 1);
    let held = pool.session().await.unwrap();
    let error = pool.session().await.unwrap_err();
    assert!(matches!(error, PostgresError::PoolExhausted { waited } if waited == Duration::from_secs(1)));
    drop(held);
    pool.session().await.unwrap();
}

#[tokio::test]
async fn a_read_only_database_is_recognised() {
    let database = TestDatabase::with("CREATE TABLE item (id int)").await;
    let admin = database.client().await;
    let alter = format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name);
    admin.batch_execute(&alter).await.unwrap();
    let pool = connect(&database.url).await.unwrap();
    let error = pool.session().await.unwrap().batch("INSERT INTO item VALUES (1)").await.unwrap_err();
    assert!(matches!(error, PostgresError::ReadOnly { .. }));
    let error = failure(&format!("{}?target_session_attrs=read-write", database.url)).await;
    assert!(matches!(error, PostgresError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn a_unix_socket_and_keywords_work() {
    let database = TestDatabase::empty().await;
    let folder = server().socket_folder().unwrap().display();
    let (port, password, name) = (server().port(), server().password(), &database.name);
    let keywords = format!("host='{folder}' port={port} user=postgres password='{password}' dbname={name}");
    connect(&keywords).await.unwrap().session().await.unwrap().batch("SELECT 1").await.unwrap();
}

/// A certificate authority of one test.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new([]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(parameters, key), certificate }
    }

    fn issue(&self, host: &str) -> DevTls {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        DevTls { certificate, key: key.serialize_pem() }
    }
}

/// A PEM as it stands in a URL.
fn escaped(pem: &str) -> String {
    url::form_urlencoded::byte_serialize(pem.as_bytes()).collect::<String>().replace('+', "%20")
}
