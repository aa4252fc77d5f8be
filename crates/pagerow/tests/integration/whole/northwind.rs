//! Northwind fills a workspace and stays equal: composite keys, a self reference, join tables, `real`, `bytea`.

use serde_json::{Value as Json, json};

use crate::support::{
    postgres::northwind,
    world::{World, written},
};

/// Every row of every table, as text that no digit escapes.
const EVERYTHING: &str = "
SELECT jsonb_object_agg(name, rows) AS everything FROM (
    SELECT c.relname AS name,
        (xpath('/table', query_to_xml(format('SELECT t::text AS row FROM %I t ORDER BY 1', c.relname), true, false, '')))[1]::text AS rows
    FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace) tables";

#[tokio::test(flavor = "multi_thread")]
async fn northwind_fills_a_workspace_and_stays_equal() {
    let Some(sql) = northwind() else { return };
    let world = World::with(&sql).await;
    world.propose().await;
    let text = std::fs::read_to_string(world.file()).unwrap();
    assert!(text.contains("bytea: bytes have no form in Notion"), "{text}");
    world.make().await;
    let before = world.row(EVERYTHING).await;

    let first = world.sync().await;
    let rows: i64 = {
        let mut sum = 0;
        for mapping in &first.mappings {
            sum += world.count(&mapping.mapping).await;
        }
        sum
    };
    assert!(rows > 3_000, "{rows}");
    let rows = u64::try_from(rows).unwrap();
    assert_eq!(written(&first), [rows, 0, 0, 0, 0, 0], "{first:#?}");
    assert!(!first.needs_decision(), "{:#?}", world.parked().await);
    // One call a row; a few for looking before, and a hundred rows a call for looking after.
    assert!(first.calls <= rows + rows / 100 + 60, "{} calls for {rows} rows", first.calls);
    assert_eq!(world.equal().await, rows);
    assert_eq!(world.row(EVERYTHING).await, before, "no row was touched");

    // Once the minutes of those writes are over, a look at nothing new is one call.
    world.minutes_pass(11).await;
    world.sync().await;
    let second = world.sync().await;
    assert_eq!((second.run, written(&second)), (None, [0; 6]), "{second:#?}");
    assert_eq!(second.calls, second.mappings.len() as u64);

    edits_of_both_sides_meet(&world, before).await;
    world.equal().await;
    world.nothing_left().await;
}

async fn edits_of_both_sides_meet(world: &World, mut before: Json) {
    let products = world.source("Products").await;
    let employees = world.source("Employees").await;
    let details = world.source("Order Details").await;
    let orders = world.source("Orders").await;

    // Different fields of one record.
    let chai = world.page(&products, "Product Name", "Chai").await;
    world.edit(&chai, json!({"Product Name": "Chai Latte"})).await;
    world.sql("UPDATE products SET units_in_stock = 7 WHERE product_id = 1").await;
    // A self reference and a join table, one from each side.
    let davolio = world.page(&employees, "Last Name", "Davolio").await;
    world.edit(&davolio, json!({"Reports To": ["Buchanan"], "Territories": ["Wilton"]})).await;
    world.sql("DELETE FROM employee_territories WHERE employee_id = 2").await;
    // Records of composite keys with `real` columns: an edit beside a number leaves its digits alone.
    let detail = world.pages(&details).await.into_iter().next().unwrap();
    let key: Vec<String> = serde_json::from_str(detail["values"]["Supabase ID"].as_str().unwrap()).unwrap();
    let detail = world.page(&details, "Supabase ID", detail["values"]["Supabase ID"].clone()).await;
    world.edit(&detail, json!({"Quantity": 4321})).await;
    let order = world.page(&orders, "Supabase ID", "10250").await;
    world.edit(&order, json!({"Ship City": "São Paulo"})).await;

    let report = world.sync().await;
    assert!(!report.needs_decision(), "{:#?}", world.parked().await);
    assert_eq!(written(&report), [0, 2, 0, 0, 4, 0], "{report:#?}");

    // Exactly this is different, and nothing else.
    world
        .sql("UPDATE products SET product_name = 'Chai' WHERE product_id = 1 AND product_name = 'Chai Latte';
             UPDATE orders SET ship_city = 'Rio de Janeiro' WHERE order_id = 10250 AND ship_city = 'São Paulo';
             UPDATE employees SET reports_to = 2 WHERE employee_id = 1 AND reports_to = 5")
        .await;
    let detail = format!("order_id = {} AND product_id = {}", key[0], key[1]);
    assert_eq!(
        world.row(&format!("SELECT quantity FROM order_details WHERE {detail}")).await["quantity"],
        4321
    );
    assert_eq!(world.count("employee_territories WHERE employee_id = 1").await, 1);
    assert_eq!(world.count("employee_territories WHERE employee_id = 2").await, 0);
    let mut after = world.row(EVERYTHING).await;
    for changed in ["order_details", "employee_territories", "products"] {
        before["everything"][changed] = Json::Null;
        after["everything"][changed] = Json::Null;
    }
    assert_eq!(after, before);
    world.sync().await;
}
