//! A real database, read and written back.

use pagerow::replica::Outcome;
use pagerow_core::mapping::ColumnKind;
use pagerow_core::observation::Observation;
use pagerow_core::value::Value;

use crate::support::postgres::{TestDatabase, northwind};
use crate::support::rows::{Shop, Spec, integer, scalar, text, told};

#[tokio::test]
async fn a_real_database_is_read_and_written_back_unchanged() {
    let Some(sql) = northwind() else { return };
    let database = TestDatabase::with(&sql).await;
    let client = database.client().await;
    let tables: [(&str, &[&str]); 5] = [
        ("order_details", &["order_id", "product_id"]),
        ("orders", &["order_id"]),
        ("products", &["product_id"]),
        ("customers", &["customer_id"]),
        ("employees", &["employee_id"]),
    ];
    for (table, key) in tables {
        let columns = client
            .query(
                "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
                &[&table],
            )
            .await
            .unwrap();
        let names: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
        let fields = columns
            .iter()
            .zip(&names)
            .filter(|(_, name)| !key.contains(&name.as_str()))
            .map(|(row, name)| {
                let holds = match row.get::<_, &str>(1) {
                    "smallint" | "integer" => integer(),
                    "real" => ColumnKind::Real,
                    "date" => ColumnKind::Day,
                    "bytea" => scalar("bytea"),
                    _ => text(),
                };
                (&*name.clone().leak(), holds)
            })
            .collect();
        let spec = Spec { table, key, fields, ..Spec::default() };
        let shop = Shop::open(&database, &spec).await;
        let before = shop.all().await;
        let count: i64 =
            client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
        assert_eq!(before.len() as i64, count, "{table}");
        client.batch_execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
        let steps: Vec<_> = before
            .iter()
            .map(|(key, seen)| {
                let Observation::Present(seen) = seen else { panic!("{table} {key}: {seen:?}") };
                let fields: Vec<(&str, Value)> =
                    spec.fields.iter().map(|(name, _)| (*name, shop.value(seen, name))).collect();
                shop.update(key, seen.digest, &fields)
            })
            .collect();
        for (step, outcome) in steps.iter().zip(shop.write(&steps).await) {
            assert!(matches!(outcome, Outcome::Done { .. }), "{table} {:?}: {}", step.key, told(&outcome));
        }
        let changed = format!(
            "SELECT count(*) FROM (SELECT * FROM {table} EXCEPT SELECT * FROM kept_{table}) AS changed"
        );
        assert_eq!(client.query_one(&changed, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}");
        assert_eq!(shop.all().await, before, "{table}");
    }
}
