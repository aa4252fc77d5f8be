//! Several programs at once through a pooler that shares two server connections.

use pagerow::postgres::table::FieldSource;
use pagerow_core::mapping::ColumnKind;
use pagerow_core::value::Value;

use super::{
    joins::{LISTS, playlist},
    types::TYPES,
};
use crate::support::pooler::TransactionPooler;
use crate::support::postgres::TestDatabase;
use crate::support::rows::{Shop, Spec, list, t, text, told};

#[tokio::test]
async fn everything_works_through_a_pooler() {
    let sql = format!("{TYPES} {LISTS}; ALTER TABLE supplier ADD mood mood, ADD mail mail, ADD moods mood[]");
    let database = TestDatabase::with(&sql).await;
    let Some(pooler) = TransactionPooler::start(2).await else { return };
    let url = pooler.url(&database.name);
    let through = FieldSource::Join {
        schema: "public".into(),
        table: "playlist_supplier".into(),
        own_column: "supplier".into(),
        own_type: "integer".into(),
        other_column: "playlist".into(),
        other_type: "uuid".into(),
    };
    let choice = || ColumnKind::Choice { labels: Vec::new() };
    let spec = Spec {
        table: "supplier",
        key: &["id"],
        fields: vec![("name", text()), ("mood", choice()), ("mail", text()), ("moods", list(choice()))],
        others: vec![("playlists", ColumnKind::References { mapping: "playlist".into() }, through)],
        ..Spec::default()
    };
    // Two programs share the pooler's two server connections, four mappings at once.
    let work = (0..4usize).map(|worker| {
        let (database, spec, url) = (&database, &spec, &url);
        async move {
            let shop = Shop::open_at(url, database, spec).await;
            let cursor = shop.cursor().await;
            let keys: Vec<String> =
                (1..=50).filter(|i| i % 4 == worker).map(|i: usize| i.to_string()).collect();
            for turn in 0..5 {
                let mut steps = Vec::new();
                for key in &keys {
                    let seen = shop.sighting(key).await;
                    let fields = [
                        ("name", t(&format!("turn {turn}"))),
                        ("mood", t("so, so")),
                        ("mail", t("a@b.c")),
                        ("moods", Value::List(vec![t("good")])),
                        ("playlists", Value::set([playlist(1 + turn)])),
                    ];
                    steps.push(shop.update(key, seen.digest, &fields));
                }
                steps.push(shop.create(Some("1"), &[("name", t("taken"))]));
                let outcomes = shop.write(&steps).await;
                for (key, outcome) in keys.iter().zip(&outcomes) {
                    assert_eq!(told(outcome), format!("done {key}"));
                }
                assert_eq!(told(outcomes.last().unwrap()), "stale");
            }
            let (named, _) = shop.since(&cursor).await;
            assert!(keys.iter().all(|key| named.contains(key)));
            assert_eq!(shop.all().await.len(), 50);
        }
    });
    futures_util::future::join_all(work).await;
}
