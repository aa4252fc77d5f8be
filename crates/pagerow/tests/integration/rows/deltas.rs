//! Which rows changed, whatever the table is: marked as deleted, a view, partitioned, in the midst of a transaction.

use std::time::Duration;

use pagerow::replica::{Cursor, Outcome, Scope};
use pagerow_core::observation::{Absence, Observation};
use pagerow_core::plan::{Action, Expect};
use pagerow_core::value::Value;

use crate::support::postgres::{TestDatabase, eventually};
use crate::support::rows::{Shop, Spec, t, text, told};

#[tokio::test]
async fn a_marked_row_is_in_the_trash() {
    for (kind, marked) in [("timestamptz", "now()"), ("timestamp", "now()"), ("boolean", "true")] {
        let sql = format!(
            "CREATE TABLE item (id int PRIMARY KEY, name text, gone {kind}, updated_at timestamptz DEFAULT '2026-02-01 00:00:01Z'); \
             INSERT INTO item VALUES (1, 'a', NULL), (2, 'b', {marked}), (3, 'c', NULL)"
        );
        let database = TestDatabase::with(&sql).await;
        let spec = Spec {
            table: "item",
            key: &["id"],
            fields: vec![("name", text())],
            soft_delete: Some("gone"),
            updated_at: Some("updated_at"),
            ..Spec::default()
        };
        let shop = Shop::open(&database, &spec).await;
        let (looked, all) = shop.look(Scope::Everything).await;
        assert_eq!(looked.count, Some(2));
        assert_eq!(all["2"], Observation::Absent(Absence::Trashed));
        let one = shop.sighting("1").await;
        assert_eq!(one.edited, Some("2026-02-01T00:00:01Z".parse().unwrap()));
        let trash = Expect::Absent(Absence::Trashed);
        let outcomes = shop
            .write(&[
                shop.step(Action::Trash, Some("1"), &[("name", Value::Null)], Expect::Seen(one.digest)),
                shop.step(Action::Restore, Some("2"), &[("name", t("back"))], trash),
                shop.step(Action::Restore, Some("3"), &[], trash),
                shop.step(Action::Restore, Some("4"), &[], trash),
            ])
            .await;
        assert_eq!(
            outcomes.iter().map(told).collect::<Vec<_>>(),
            ["done 1", "done 2", "stale", "stale"],
            "{kind}"
        );
        let all = shop.all().await;
        assert_eq!(all["1"], Observation::Absent(Absence::Trashed));
        assert_eq!(shop.value(&shop.sighting("2").await, "name"), t("back"));
        let name: String = database
            .client()
            .await
            .query_one("SELECT name FROM item WHERE id = 1", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(name, "a", "what is in the trash keeps its content");
    }
}

#[tokio::test]
async fn views_are_read_in_full_and_never_written() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b'); \
               CREATE VIEW loud AS SELECT id, upper(name) AS name, mood.m::text AS mood FROM item, (SELECT 'x' AS m) AS mood";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "loud",
        key: &["id"],
        fields: vec![("name", text()), ("mood", text())],
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let seen = shop.sighting("2").await;
    assert_eq!((shop.value(&seen, "name"), shop.value(&seen, "mood")), (t("B"), t("x")));
    let (looked, all) = shop.look(Scope::Everything).await;
    assert_eq!(all.len(), 2);
    database.client().await.batch_execute("DELETE FROM item WHERE id = 1").await.unwrap();
    let (keys, looked) = shop.since(&looked.cursor.unwrap()).await;
    assert_eq!((keys, looked.count), (vec!["2".to_owned()], Some(1)));
    let outcomes = shop.write(&[shop.update("2", seen.digest, &[("name", t("x"))])]).await;
    assert_eq!(told(&outcomes[0]), "Record read_only");
}

/// Waits until a delta names nothing more: transactions of other tests, open on the same server, make it name rows again.
pub(super) async fn quiet(shop: &Shop, mut cursor: Cursor) -> Cursor {
    eventually("the delta is empty", Duration::from_secs(20), async || {
        let (keys, looked) = shop.since(&cursor).await;
        cursor = looked.cursor.unwrap();
        keys.is_empty()
    })
    .await;
    cursor
}

#[tokio::test]
async fn a_delta_names_what_was_written_since() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, status text NOT NULL DEFAULT 'live'); \
               INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 100) AS i";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "item",
        key: &["id"],
        fields: vec![("name", text())],
        condition: Some("status <> 'draft'"),
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let client = database.client().await;
    let cursor = quiet(&shop, shop.cursor().await).await;
    let change = "UPDATE item SET name = 'x' WHERE id = 3; INSERT INTO item VALUES (101, 'new'); \
                  UPDATE item SET status = 'draft' WHERE id = 4; DELETE FROM item WHERE id = 5";
    client.batch_execute(change).await.unwrap();
    // Savepoints give rows numbers of their own.
    client
        .batch_execute("BEGIN; SAVEPOINT a; UPDATE item SET name = 'y' WHERE id = 6; RELEASE a; COMMIT")
        .await
        .unwrap();
    let (looked, seen) = shop.look(Scope::Since(&cursor)).await;
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["101", "3", "4", "6"]);
    assert_eq!(seen["4"], Observation::Absent(Absence::OutOfScope));
    assert_eq!((looked.count, looked.vanished, looked.complete), (Some(99), false, true));
    let cursor = looked.cursor.unwrap();
    let cursor = quiet(&shop, cursor).await;
    // Old rows keep the numbers they were written with when they are frozen.
    client.batch_execute("VACUUM FREEZE item").await.unwrap();
    assert!(shop.since(&cursor).await.0.is_empty());
    client.batch_execute("TRUNCATE item").await.unwrap();
    let (_, looked) = shop.since(&cursor).await;
    assert!(looked.vanished && looked.cursor.is_none());
    // A cursor of another server or of a later version is no cursor.
    let (_, looked) = shop.since(&serde_json::json!({ "odd": 1 })).await;
    assert!(looked.vanished);
}

#[tokio::test]
async fn a_slow_transaction_is_not_missed() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); \
               INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 10) AS i";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (slow, fast) = (database.client().await, database.client().await);
    let mut cursor = quiet(&shop, shop.cursor().await).await;
    // The slow one gets the lower number, and a savepoint's number before others come.
    slow.batch_execute("BEGIN; UPDATE item SET name = 'slow' WHERE id = 1; SAVEPOINT a; UPDATE item SET name = 'slow' WHERE id = 2; RELEASE a").await.unwrap();
    let mut named = Vec::new();
    for i in 3..6 {
        fast.execute("UPDATE item SET name = 'fast' WHERE id = $1", &[&i]).await.unwrap();
        let (keys, looked) = shop.since(&cursor).await;
        assert!(keys.contains(&i.to_string()));
        named.extend(keys);
        cursor = looked.cursor.unwrap();
    }
    assert!(!named.contains(&"1".into()));
    slow.batch_execute("COMMIT").await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"1".into()) && keys.contains(&"2".into()), "{keys:?}");
    quiet(&shop, looked.cursor.unwrap()).await;
}

#[tokio::test]
async fn many_changes_are_streamed() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (0, 'old')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let cursor = quiet(&shop, shop.cursor().await).await;
    let insert = "INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 25000) AS i";
    database.client().await.batch_execute(insert).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert_eq!((keys.len(), looked.count), (25_000, Some(25_001)));
}

#[tokio::test]
async fn partitions_are_one_table() {
    let sql = "CREATE TABLE item (id int, at date, name text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
      CREATE TABLE item_25 PARTITION OF item FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); \
      CREATE TABLE item_26 PARTITION OF item FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); \
      INSERT INTO item VALUES (1, '2025-05-05', 'a'), (2, '2026-05-05', 'b')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id", "at"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let cursor = shop.cursor().await;
    let seen = shop.sighting(r#"["1","2025-05-05"]"#).await;
    let outcomes = shop
        .write(&[
            shop.update(r#"["1","2025-05-05"]"#, seen.digest, &[("name", t("z"))]),
            shop.create(Some(r#"["3","2026-06-06"]"#), &[("name", t("c"))]),
        ])
        .await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })), "{outcomes:?}");
    let (keys, looked) = shop.since(&cursor).await;
    assert!(
        keys.contains(&r#"["1","2025-05-05"]"#.to_owned())
            && keys.contains(&r#"["3","2026-06-06"]"#.to_owned())
    );
    assert_eq!(looked.count, Some(3));
    database.client().await.batch_execute("TRUNCATE item_25").await.unwrap();
    assert!(shop.since(&looked.cursor.unwrap()).await.1.vanished);
}
