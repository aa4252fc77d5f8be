//! Steps on rows: what is written, what is left alone, and what becomes of those that fail.

use std::time::Duration;

use pagerow::postgres::table::Bookkeeping;
use pagerow::postgres::transaction::{Tx, TxError};
use pagerow::replica::{Outcome, Relatives, RowNote, Rows};
use pagerow_core::mapping::ColumnKind;
use pagerow_core::plan::{Action, Expect};
use pagerow_core::record::PageId;
use pagerow_core::value::{Ref, Value};

use super::day;
use crate::support::postgres::{TestDatabase, eventually};
use crate::support::rows::{Shop, Spec, integer, n, row, t, text, told};

#[tokio::test]
async fn a_row_that_moved_is_left_alone() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, aside text); \
               INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (one, two, three) = (shop.sighting("1").await, shop.sighting("2").await, shop.sighting("3").await);
    let moved = "UPDATE item SET name = 'moved' WHERE id = 1; UPDATE item SET aside = 'x' WHERE id = 2; \
                 DELETE FROM item WHERE id = 3";
    database.client().await.batch_execute(moved).await.unwrap();
    let outcomes = shop
        .write(&[
            shop.update("1", one.digest, &[("name", t("n"))]),
            shop.update("2", two.digest, &[("name", t("n"))]),
            shop.update("3", three.digest, &[("name", t("n"))]),
            shop.create(Some("2"), &[("name", t("n"))]),
            shop.step(Action::Delete, Some("1"), &[], Expect::Seen(one.digest)),
        ])
        .await;
    // A step for the same row comes in a later round, and meets the row as the earlier one left it.
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["stale", "done 2", "stale", "stale", "stale"]);
    assert_eq!(shop.value(&shop.sighting("1").await, "name"), t("moved"));
}

#[tokio::test]
async fn a_failing_record_stops_nobody_else() {
    let sql = "CREATE TABLE maker (id int PRIMARY KEY); INSERT INTO maker VALUES (1); \
               CREATE TABLE item (id int PRIMARY KEY, name text UNIQUE, price int CONSTRAINT fair CHECK (price > 0), \
               need text NOT NULL DEFAULT 'x', maker int REFERENCES maker, born date, \
               late int REFERENCES maker DEFERRABLE INITIALLY DEFERRED); \
               INSERT INTO item (id, name) VALUES (1000, 'taken')";
    let database = TestDatabase::with(sql).await;
    let maker = || ColumnKind::Reference { mapping: "maker".into() };
    let fields = vec![
        ("name", text()),
        ("price", integer()),
        ("need", text()),
        ("maker", maker()),
        ("born", ColumnKind::Day),
        ("late", maker()),
    ];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let bad: Vec<(usize, (&str, Value), &str)> = vec![
        (3, ("name", t("taken")), "Record 23505"),
        (17, ("price", n("-1")), "Record 23514"),
        (18, ("need", Value::Null), "Record 23502"),
        (40, ("maker", row("77")), "Missing 23503"),
        (41, ("born", t("yesterday week")), "Record 22007"),
        (42, ("price", n("99999999999")), "Record 22003"),
        (43, ("maker", Value::Ref(Ref::Page(PageId(uuid::Uuid::nil())))), "Missing no_related_row"),
        (59, ("late", row("77")), "Missing 23503"),
    ];
    let steps: Vec<_> = (0..60)
        .map(|i| {
            let mut fields = vec![
                ("name", t(&format!("n{i}"))),
                ("price", n("5")),
                ("need", t("y")),
                ("maker", row("1")),
                ("born", day("2026-02-01")),
                ("late", row("1")),
            ];
            if let Some((_, (name, value), _)) = bad.iter().find(|(at, ..)| *at == i) {
                fields.iter_mut().find(|(column, _)| column == name).unwrap().1 = value.clone();
            }
            shop.create(Some(&i.to_string()), &fields)
        })
        .collect();
    let outcomes = shop.write(&steps).await;
    for (i, outcome) in outcomes.iter().enumerate() {
        let expected =
            bad.iter().find(|(at, ..)| *at == i).map_or(format!("done {i}"), |(.., end)| (*end).into());
        assert_eq!(told(outcome), expected, "step {i}");
        if let Outcome::Failed(failed) = outcome {
            let said = format!("{failed:?}");
            assert!(!said.contains("taken") && !said.contains("yesterday"), "{said}");
        }
    }
    let Outcome::Failed(failed) = &outcomes[17] else { panic!() };
    assert!(failed.reason.text.contains("fair"), "{:?}", failed.reason);
    assert_eq!(shop.all().await.len(), 60 - bad.len() + 1);

    // The same for updates; and what one gives up another may take, in whichever order.
    let (a, b) = (shop.sighting("0").await, shop.sighting("1").await);
    let c = shop.sighting("2").await;
    let outcomes = shop
        .write(&[
            shop.update("0", a.digest, &[("name", t("n1"))]),
            shop.update("1", b.digest, &[("name", t("free"))]),
            shop.update("2", c.digest, &[("price", n("0"))]),
        ])
        .await;
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["done 0", "done 1", "Record 23514"]);
}

#[tokio::test]
async fn triggers_are_the_truth() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, seen int DEFAULT 0); \
      CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.name = 'swallow' THEN RETURN NULL; END IF; \
        IF NEW.name = 'raise' THEN RAISE EXCEPTION 'no %', NEW.name; END IF; \
        NEW.name := trim(NEW.name); RETURN NEW; END $$; \
      CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        UPDATE item SET seen = seen + 1 WHERE id = NEW.id; RETURN NULL; END $$; \
      CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION tidy(); \
      CREATE TRIGGER count_it AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION count_it();";
    let database = TestDatabase::with(sql).await;
    let fields = vec![("name", text()), ("seen", integer())];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let outcomes = shop
        .write(&[
            shop.create(Some("1"), &[("name", t(" a "))]),
            shop.create(Some("2"), &[("name", t("swallow"))]),
            shop.create(Some("3"), &[("name", t("raise"))]),
            shop.create(Some("4"), &[("name", t("d"))]),
        ])
        .await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        ["done 1", "Record swallowed", "Record P0001", "done 4"]
    );
    let Outcome::Done { sighting, .. } = &outcomes[0] else { panic!() };
    assert_eq!((shop.value(sighting, "name"), shop.value(sighting, "seen")), (t("a"), n("1")));
    assert!(!format!("{outcomes:?}").contains("no raise"));
}

#[tokio::test]
async fn a_locked_row_waits_alone() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (one, two) = (shop.sighting("1").await, shop.sighting("2").await);
    let holder = database.client().await;
    holder.batch_execute("BEGIN; SELECT * FROM item WHERE id = 1 FOR UPDATE").await.unwrap();
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    tx.batch_execute("SET LOCAL lock_timeout = '100ms'").await.unwrap();
    let steps = [
        shop.update("1", one.digest, &[("name", t("n"))]),
        shop.update("2", two.digest, &[("name", t("n"))]),
    ];
    let steps: Vec<_> = steps.iter().collect();
    let outcomes = shop.rows.write(&mut tx, &steps, &Relatives::default()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["Passing 55P03", "done 2"]);
}

#[tokio::test]
async fn missing_rights_are_no_fault_of_the_record() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let role = format!("reader_{}", database.name);
    let client = database.client().await;
    client
        .batch_execute(&format!(
            "CREATE ROLE {role}; GRANT SELECT ON item TO {role}; GRANT {role} TO postgres"
        ))
        .await
        .unwrap();
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    tx.batch_execute(&format!("SET LOCAL ROLE {role}")).await.unwrap();
    let steps = [shop.create(Some("2"), &[("name", t("n"))]), shop.create(None, &[("name", t("n"))])];
    let outcomes = shop.rows.write(&mut tx, &steps.iter().collect::<Vec<_>>(), &Relatives::default()).await;
    let told: Vec<String> = outcomes.unwrap().iter().map(told).collect();
    tx.rollback().await.unwrap();
    client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
    assert_eq!(told, ["Refused 42501", "Refused 42501"]);
}

#[tokio::test]
async fn bookkeeping_columns_are_kept() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, notion_page_id uuid, notion_synced_at timestamptz, \
               notion_sync_status varchar(20), notion_sync_error text, ok boolean, sum text); \
               INSERT INTO item SELECT i, 'n' FROM generate_series(1, 5) AS i";
    let database = TestDatabase::with(sql).await;
    let bookkeeping = Bookkeeping {
        page_id: Some("notion_page_id".into()),
        synced_at: Some("notion_synced_at".into()),
        status: Some("notion_sync_status".into()),
        error: Some("notion_sync_error".into()),
        synced: Some("ok".into()),
        checksum: Some("sum".into()),
    };
    let spec =
        Spec { table: "item", key: &["id"], fields: vec![("name", text())], bookkeeping, ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let page = PageId(uuid::Uuid::from_u128(9));
    let note = |key: &str, status| RowNote {
        key: key.into(),
        page: Some(page),
        synced_at: "2026-02-01T00:00:00.25Z".parse().unwrap(),
        status,
        error: (status == "parked").then(|| "too long".into()),
        checksum: "c".into(),
    };
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    let notes = [note("1", "synced"), note("no key", "synced"), note("2", "parked"), note("77", "synced")];
    shop.rows.note(&mut tx, &notes).await.unwrap();
    tx.commit().await.unwrap();
    let seen = shop.sighting("1").await;
    assert_eq!(
        (seen.marker.as_deref(), seen.checksum.as_deref()),
        (Some(page.to_string().as_str()), Some("c"))
    );
    let rows = database
        .client()
        .await
        .query(
            "SELECT notion_sync_status || coalesce(notion_sync_error, '-') || ok || \
                (notion_synced_at = '2026-02-01 00:00:00.25Z') FROM item WHERE id < 4 ORDER BY id",
            &[],
        )
        .await
        .unwrap();
    let told: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, [Some("synced-truetrue".into()), Some("parkedtoo longfalsetrue".into()), None]);
}

#[tokio::test]
async fn a_transaction_never_ends_in_doubt_unnoticed() {
    let database = TestDatabase::with("CREATE TABLE item (id int PRIMARY KEY)").await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("id", integer())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let pool = shop.database.pool();
    // COMMIT after a failed statement would be a silent ROLLBACK.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap();
    let refused = tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap_err();
    assert_eq!(refused.refused().unwrap().code, "23505");
    assert!(matches!(tx.commit().await, Err(TxError::Spoilt)));
    // A savepoint makes it good again.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap();
    tx.savepoint("part").await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap_err();
    tx.rollback_to("part").await.unwrap();
    tx.commit().await.unwrap();
    // Dropped while open, it leaves nothing behind and blocks nobody.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("DELETE FROM item").await.unwrap();
    drop(tx);
    assert_eq!(shop.all().await.len(), 1);
    let client = database.client().await;
    eventually("the dropped transaction is gone", Duration::from_secs(10), async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    // The connection dies before COMMIT: nobody can say what became of it.
    let mut tx = Tx::begin(pool).await.unwrap();
    let pid: i32 = tx.query("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get(0);
    tx.batch_execute("INSERT INTO item VALUES (2)").await.unwrap();
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let end = tx.commit().await.unwrap_err();
    assert!(matches!(end, TxError::CommitUnknown(_)), "{end:?}");
}

#[tokio::test]
async fn a_snapshot_writes_nothing_and_sees_one_state() {
    let database =
        TestDatabase::with("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1)").await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("id", integer())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let mut tx = Tx::begin_snapshot(shop.database.pool()).await.unwrap();
    let count = "SELECT count(*) FROM item";
    assert_eq!(tx.query(count, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
    database.client().await.batch_execute("INSERT INTO item VALUES (2)").await.unwrap();
    assert_eq!(tx.query(count, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
    let refused = tx.batch_execute("DELETE FROM item").await.unwrap_err();
    assert_eq!(refused.refused().unwrap().code, "25006");
}
