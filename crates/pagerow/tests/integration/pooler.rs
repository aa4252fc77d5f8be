//! Does everything that pagerow says to Postgres work through a pooler in transaction mode?

use futures_util::StreamExt;
use futures_util::future::join_all;
use pagerow::postgres::facts::Pooler;
use pagerow::postgres::transaction::Tx;
use pagerow::postgres::{Catalogue, ConnectionString, Database, Listener, PostgresError, ServerFacts};
use tokio_postgres::types::Type;

use crate::support::pooler::TransactionPooler;
use crate::support::postgres::TestDatabase;

const SHOP: &str = "CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN label AS text CHECK (VALUE <> '');
    CREATE TABLE item (id int PRIMARY KEY, mood mood NOT NULL, label label, tags mood[]);";

async fn connect(url: &str) -> Database {
    Database::connect(&ConnectionString::parse(url).unwrap()).await.unwrap()
}

#[tokio::test]
async fn statements_of_many_clients_work_over_two_server_connections() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let database = TestDatabase::with(SHOP).await;
    // Several pools stand for several programs: their connections know nothing of each other.
    let url = format!("{}?connection_limit=4&pgbouncer=true", pooler.url(&database.name));
    let pools = join_all((0..3).map(|_| connect(&url))).await;
    let work = (0..24).zip(pools.iter().cycle()).map(|(client, pool): (i32, &Database)| {
        async move {
            for round in 0..5 {
                let id = client * 100 + round;
                let explain = |error| pool.explain(&error);
                let mut transaction = Tx::begin(pool.pool()).await.map_err(explain)?;
                let insert = "INSERT INTO item SELECT id, mood::mood, label, tags::mood[]
                    FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) AS row (id, mood, label, tags)";
                let (ids, words, tags) = (vec![id, id + 50], vec!["calm", "wild"], vec!["{calm}", "{}"]);
                let count = transaction
                    .execute(
                        insert,
                        &[
                            (&ids, Type::INT4_ARRAY),
                            (&words, Type::TEXT_ARRAY),
                            (&words, Type::TEXT_ARRAY),
                            (&tags, Type::TEXT_ARRAY),
                        ],
                    )
                    .await
                    .map_err(explain)?;
                assert_eq!(count, 2);
                transaction.commit().await.map_err(explain)?;
                let session = pool.session().await?;
                let sql = "SELECT mood::text, label::text, to_jsonb(tags)::text FROM item WHERE id = $1";
                let row = session.query_one(sql, &[(&id, Type::INT4)]).await?;
                let seen: (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
                assert_eq!(seen, ("calm", "calm", "[\"calm\"]"));
                let mut rows = session.stream("SELECT id FROM item", &[]).await?;
                while let Some(row) = rows.next().await {
                    row?;
                }
            }
            Ok::<(), PostgresError>(())
        }
    });
    for outcome in join_all(work).await {
        outcome.unwrap();
    }
    let row = database.client().await.query_one("SELECT count(*) FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 24 * 5 * 2);
}

#[tokio::test]
async fn a_setting_of_a_transaction_does_not_reach_the_next_one() {
    let Some(pooler) = TransactionPooler::start(1).await else { return };
    let database = TestDatabase::empty().await;
    let pool = connect(&pooler.url(&database.name)).await;
    let mut transaction = Tx::begin(pool.pool()).await.unwrap();
    transaction.batch_execute("SET LOCAL lock_timeout = '7s'").await.unwrap();
    transaction.commit().await.unwrap();
    let session = pool.session().await.unwrap();
    let row = session.query_one("SELECT current_setting('lock_timeout')", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "0");
}

#[tokio::test]
async fn the_catalogue_and_the_facts_are_read_through_it_and_it_is_noticed() {
    let Some(pooler) = TransactionPooler::start(1).await else { return };
    let database = TestDatabase::with(SHOP).await;
    let through = connect(&pooler.url(&database.name)).await;
    let direct = connect(&database.url).await;
    let pooled = Catalogue::read_all(&through.session().await.unwrap()).await.unwrap();
    assert_eq!(pooled, Catalogue::read_all(&direct.session().await.unwrap()).await.unwrap());
    assert_eq!(pooled.tables.len(), 1);
    let seen = ServerFacts::read(&through, "pagerow").await.unwrap();
    assert_eq!(seen.pooler, Pooler::Transaction);
    let plain = ServerFacts::read(&direct, "pagerow").await.unwrap();
    assert_eq!(plain.pooler, Pooler::NotSeen);
    assert_eq!(ServerFacts { pooler: Pooler::NotSeen, ..seen }, plain);
}

#[tokio::test]
async fn two_server_connections_are_noticed_too() {
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let database = TestDatabase::empty().await;
    let through = connect(&pooler.url(&database.name)).await;
    let seen = ServerFacts::read(&through, "pagerow").await.unwrap();
    assert_eq!(seen.pooler, Pooler::Transaction);
}

#[tokio::test]
async fn notifications_come_through_directly_and_their_loss_is_noticed() {
    let database = TestDatabase::empty().await;
    let target = ConnectionString::parse(&database.url).unwrap();
    let mut listener = Listener::connect(&target, "Work").await.unwrap();
    let other = database.client().await;
    for _ in 0..3 {
        other.batch_execute("NOTIFY \"Work\"").await.unwrap();
        listener.woken().await.unwrap();
    }
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    other.execute(end, &[]).await.unwrap();
    assert!(matches!(listener.woken().await, Err(PostgresError::ConnectionLost { .. })));

    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let target = ConnectionString::parse(&pooler.url(&database.name)).unwrap();
    let error = Listener::connect(&target, "Work").await.unwrap_err();
    assert!(matches!(error, PostgresError::NotificationsLost { .. }), "{error:?}");
}
