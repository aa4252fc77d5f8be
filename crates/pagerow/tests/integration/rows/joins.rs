//! A join table as a set of references.

use pagerow::postgres::table::FieldSource;
use pagerow::replica::{Outcome, Relatives};
use pagerow_core::mapping::ColumnKind;
use pagerow_core::observation::Observation;
use pagerow_core::plan::{Action, Expect};
use pagerow_core::record::{PageId, RowKey};
use pagerow_core::value::{Ref, Value};

use super::deltas::quiet;
use crate::support::postgres::TestDatabase;
use crate::support::rows::{Shop, Spec, row, t, text, told};

pub(super) const LISTS: &str = "CREATE TABLE supplier (id int PRIMARY KEY, name text); \
    CREATE TABLE playlist (id uuid PRIMARY KEY); \
    CREATE TABLE playlist_supplier (supplier int REFERENCES supplier ON DELETE CASCADE, \
      playlist uuid REFERENCES playlist, PRIMARY KEY (supplier, playlist)); \
    INSERT INTO supplier SELECT i, 's' || i FROM generate_series(1, 50) AS i; \
    INSERT INTO playlist SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid FROM generate_series(1, 9) AS i; \
    INSERT INTO playlist_supplier SELECT 1, id FROM playlist LIMIT 2";

pub(super) fn playlist(i: u32) -> Value {
    row(&format!("00000000-0000-4000-8000-{i:012}"))
}

async fn lists_shop(database: &TestDatabase) -> Shop {
    let through = FieldSource::Join {
        schema: "public".into(),
        table: "playlist_supplier".into(),
        own_column: "supplier".into(),
        own_type: "integer".into(),
        other_column: "playlist".into(),
        other_type: "uuid".into(),
    };
    let holds = ColumnKind::References { mapping: "playlist".into() };
    let spec = Spec {
        table: "supplier",
        key: &["id"],
        fields: vec![("name", text())],
        others: vec![("playlists", holds, through)],
        ..Spec::default()
    };
    Shop::open(database, &spec).await
}

#[tokio::test]
async fn join_tables_are_a_set_of_references() {
    let database = TestDatabase::with(LISTS).await;
    let shop = lists_shop(&database).await;
    let all = shop.all().await;
    let seen = shop.sighting("1").await;
    assert_eq!(all["1"], Observation::Present(seen.clone()));
    assert_eq!(shop.value(&seen, "playlists"), Value::set([playlist(1), playlist(2)]));
    let two = shop.sighting("2").await;
    assert_eq!(shop.value(&two, "playlists"), Value::Null);

    let page = PageId(uuid::Uuid::from_u128(7));
    let mut relatives = Relatives::default();
    relatives.add("playlist", "00000000-0000-4000-8000-000000000003".into(), page);
    let wanted = Value::set([playlist(2), Value::Ref(Ref::Page(page))]);
    let three = shop.sighting("3").await;
    let steps = [
        shop.update("1", seen.digest, &[("playlists", wanted)]),
        shop.update("2", two.digest, &[("playlists", Value::set([playlist(4)])), ("name", t("two"))]),
        shop.update(
            "3",
            three.digest,
            &[("playlists", Value::set([row("00000000-0000-4000-8000-000000000099")])), ("name", t("three"))],
        ),
        shop.create(Some("60"), &[("name", t("new")), ("playlists", Value::set([playlist(5), playlist(6)]))]),
    ];
    let outcomes = shop.write_with(&steps, &relatives).await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        ["done 1", "done 2", "Missing 23503", "done 60"]
    );
    let value = |outcome: &Outcome<RowKey>| match outcome {
        Outcome::Done { sighting, .. } => shop.value(sighting, "playlists"),
        other => panic!("{other:?}"),
    };
    assert_eq!(value(&outcomes[0]), Value::set([playlist(2), playlist(3)]));
    assert_eq!(value(&outcomes[3]), Value::set([playlist(5), playlist(6)]));
    assert_eq!(
        shop.value(&shop.sighting("3").await, "name"),
        t("s3"),
        "a record is written whole or not at all"
    );

    let one = shop.sighting("1").await;
    let outcomes = shop.write(&[shop.update("1", one.digest, &[("playlists", Value::Null)])]).await;
    assert_eq!(value(&outcomes[0]), Value::Null);
    let sixty = shop.sighting("60").await;
    let outcomes =
        shop.write(&[shop.step(Action::Delete, Some("60"), &[], Expect::Seen(sixty.digest))]).await;
    assert_eq!(told(&outcomes[0]), "done 60");
}

#[tokio::test]
async fn changes_of_a_join_table_name_their_rows() {
    let database = TestDatabase::with(LISTS).await;
    let shop = lists_shop(&database).await;
    let client = database.client().await;
    let cursor = shop.cursor().await;
    let (keys, looked) = shop.since(&cursor).await;
    assert_eq!((looked.count, looked.vanished), (Some(50), false));
    drop(keys);
    let cursor = quiet(&shop, looked.cursor.unwrap()).await;
    client.execute("INSERT INTO playlist_supplier SELECT 7, id FROM playlist LIMIT 1", &[]).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"7".into()) && keys.len() < 10, "{keys:?}");
    let cursor = looked.cursor.unwrap();
    client.execute("DELETE FROM playlist_supplier WHERE supplier = 1", &[]).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"1".into()) && keys.len() < 10, "{keys:?}");
    quiet(&shop, looked.cursor.unwrap()).await;
}
