//! Rows by their keys: composite, odd, generated, and none at all.

use pagerow::replica::{Outcome, Scope};
use pagerow_core::observation::{Absence, Observation};
use pagerow_core::record::RowKey;

use crate::support::postgres::TestDatabase;
use crate::support::rows::{Shop, Spec, integer, n, t, text, told};

#[tokio::test]
async fn composite_and_odd_keys_are_found_and_written() {
    let sql = "CREATE TABLE \"Line \"\"x\"\"\" (\"order\" int, at timestamptz, name text, \
               PRIMARY KEY (\"order\", at)); \
               INSERT INTO \"Line \"\"x\"\"\" VALUES (7, '2026-02-01 12:00:00.5+09', 'a'), (8, 'infinity', 'b')";
    let database = TestDatabase::with(sql).await;
    let habits = format!(
        "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {0} SET datestyle = 'SQL, DMY'",
        database.name
    );
    database.client().await.batch_execute(&habits).await.unwrap();
    let spec = Spec {
        table: "Line \"x\"",
        key: &["order", "at"],
        fields: vec![("name", text())],
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let all = shop.all().await;
    let keys: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(keys, [r#"["7","2026-02-01 03:00:00.5+00"]"#, r#"["8","infinity"]"#]);
    let seen = shop.sighting(keys[0]).await;
    let new = r#"["9","2026-03-01 00:00:00+00"]"#;
    let outcomes = shop
        .write(&[
            shop.update(keys[0], seen.digest, &[("name", t("z"))]),
            shop.create(Some(new), &[("name", t("n"))]),
        ])
        .await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        [format!("done {}", keys[0]), format!("done {new}")]
    );
    assert_eq!(shop.value(&shop.sighting(keys[0]).await, "name"), t("z"));
    assert_eq!(shop.value(&shop.sighting(new).await, "name"), t("n"));
}

#[tokio::test]
async fn a_key_that_is_none_disturbs_no_other() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, status text); \
               INSERT INTO item VALUES (1, 'a', 'live'), (2, 'b', 'draft'), (3, 'c', 'live')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "item",
        key: &["id"],
        fields: vec![("name", text())],
        condition: Some("item.status <> 'draft' -- what is public"),
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let keys: Vec<RowKey> = ["1", "x", "2", "99", "99999999999", "a\0", "03"].map(RowKey::from).to_vec();
    let (_, seen) = shop.look(Scope::These(&keys)).await;
    assert!(matches!(seen["1"], Observation::Present(_)));
    assert!(matches!(seen["3"], Observation::Present(_)), "under its own key");
    assert!(matches!(seen["03"], Observation::Unreadable(_)));
    for no_key in ["x", "99999999999", "a\0"] {
        assert!(matches!(seen[no_key], Observation::Unreadable(_)), "{no_key:?} is no proof of a deletion");
    }
    assert_eq!(seen["2"], Observation::Absent(Absence::OutOfScope));
    assert_eq!(seen["99"], Observation::Absent(Absence::Deleted));
    let (looked, all) = shop.look(Scope::Everything).await;
    assert_eq!((all.len(), looked.count, looked.complete), (2, Some(2), true));
}

#[tokio::test]
async fn identity_generated_and_default_columns_are_left_to_postgres() {
    let sql = "CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, \
               shout text GENERATED ALWAYS AS (upper(name)) STORED, state text NOT NULL DEFAULT 'new')";
    let database = TestDatabase::with(sql).await;
    let fields = vec![("id", integer()), ("name", text()), ("shout", text()), ("state", text())];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let outcomes = shop
        .write(&[
            shop.create(None, &[("name", t("a"))]),
            shop.create(None, &[("name", t("b"))]),
            shop.create(None, &[]),
            shop.create(None, &[]),
            shop.create(Some("40"), &[("id", n("40")), ("name", t("back"))]),
            shop.create(None, &[("shout", t("LOUD"))]),
        ])
        .await;
    let ends: Vec<String> = outcomes.iter().map(told).collect();
    assert_eq!(ends, ["done 1", "done 2", "done 3", "done 4", "done 40", "Record read_only"]);
    let Outcome::Done { sighting, .. } = &outcomes[1] else { panic!() };
    assert_eq!(shop.value(sighting, "name"), t("b"));
    assert_eq!(shop.value(sighting, "shout"), t("B"));
    assert_eq!(shop.value(sighting, "state"), t("new"));
    // The key that was given is behind the sequence, for the application's own next row.
    let next: i32 = database
        .client()
        .await
        .query_one("INSERT INTO item DEFAULT VALUES RETURNING id", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(next, 41);
}
