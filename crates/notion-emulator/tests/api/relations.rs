//! Relations, their mirrors, rollups over them, and the inline cut.

use serde_json::{Value as Json, json};

use crate::house::{House, Table, title};

async fn two_tables(house: &House) -> (Table, Table) {
    let owners = house
        .table("Owners", json!({"Name": {"title": {}}, "Worth": {"number": {}}, "Ok": {"checkbox": {}}}))
        .await;
    let link = json!({"data_source_id": owners.source, "dual_property": {"synced_property_name": "Orders"}});
    let rollup = |name: &str, function: &str| json!({"rollup": {"relation_property_name": "Owner", "rollup_property_name": name, "function": function}});
    let orders = house
        .table("Orders", json!({
            "Name": {"title": {}}, "Owner": {"relation": link}, "Sum": rollup("Worth", "sum"),
            "Max": rollup("Worth", "max"), "Count": rollup("Name", "count"), "Ok": rollup("Ok", "percent_checked"),
            "All": rollup("Name", "show_original"), "Odd": rollup("Name", "count_per_group"),
        }))
        .await;
    (owners, orders)
}

fn ids(list: &Json) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn both_sides_stay_in_step() {
    let house = House::new().await;
    let (owners, orders) = two_tables(&house).await;
    let one = house.row(&owners, json!({"Name": title("one"), "Worth": {"number": 2}})).await;
    let two = house
        .row(&owners, json!({"Name": title("two"), "Worth": {"number": 5}, "Ok": {"checkbox": true}}))
        .await;
    let owner = |rows: &[&Json]| {
        let targets: Vec<Json> = rows.iter().map(|row| json!({"id": row["id"]})).collect();
        json!({"Owner": {"relation": targets}})
    };
    let order = house.row(&orders, owner(&[&one, &two])).await;
    let values = &order["properties"];
    assert_eq!(values["Sum"]["rollup"], json!({"type": "number", "number": 7, "function": "sum"}));
    assert_eq!(values["Max"]["rollup"]["number"], 5);
    assert_eq!(values["Count"]["rollup"]["number"], 2);
    assert_eq!(values["Ok"]["rollup"]["number"], 0.5);
    assert_eq!(values["All"]["rollup"]["array"][1]["title"][0]["plain_text"], "two");
    assert_eq!(values["Odd"]["rollup"]["type"], "unsupported");
    let path = |row: &Json| format!("/v1/pages/{}", row["id"].as_str().unwrap());
    let back = house.ok("GET", &path(&one), Json::Null).await;
    assert_eq!(ids(&back["properties"]["Orders"]["relation"]), [order["id"].as_str().unwrap()]);
    house.ok("PATCH", &path(&order), json!({"properties": owner(&[&two])})).await;
    let back = house.ok("GET", &path(&one), Json::Null).await;
    assert!(ids(&back["properties"]["Orders"]["relation"]).is_empty());
    house.ok("PATCH", &path(&two), json!({"properties": {"Orders": {"relation": []}}})).await;
    let order = house.ok("GET", &path(&order), Json::Null).await;
    assert!(ids(&order["properties"]["Owner"]["relation"]).is_empty());
}

#[tokio::test]
async fn targets_must_be_there_and_of_the_right_data_source() {
    let house = House::new().await;
    let (_, orders) = two_tables(&house).await;
    let order = house.row(&orders, json!({})).await;
    let relate = |id: &str| crate::house::new_row(&orders, json!({"Owner": {"relation": [{"id": id}]}}));
    house.fails(400, "POST", "/v1/pages", relate(order["id"].as_str().unwrap())).await;
    house.fails(404, "POST", "/v1/pages", relate("00000000-0000-4000-8000-000000000000")).await;
    house.fails(400, "POST", "/v1/pages", relate("x")).await;
}

#[tokio::test]
async fn a_hidden_target_takes_the_column_with_it() {
    let house = House::new().await;
    let (owners, orders) = two_tables(&house).await;
    let order = house.row(&orders, json!({})).await;
    assert!(order["properties"].get("Owner").is_some());
    house.control("POST", "unshare", json!({"id": owners.database})).await;
    let schema = house.ok("GET", &format!("/v1/data_sources/{}", orders.source), Json::Null).await;
    assert!(schema["properties"].get("Owner").is_none());
    let order = house.ok("GET", &format!("/v1/pages/{}", order["id"].as_str().unwrap()), Json::Null).await;
    assert!(order["properties"].get("Owner").is_none());
    let write = crate::house::new_row(&orders, json!({"Owner": {"relation": []}}));
    house.fails(400, "POST", "/v1/pages", write).await;
}

#[tokio::test]
async fn twenty_five_are_shown_and_the_rest_is_paged() {
    let house = House::new().await;
    let (owners, orders) = two_tables(&house).await;
    let made =
        house.control("POST", &format!("data_sources/{}/rows", owners.source), json!({"count": 60})).await;
    let targets: Vec<Json> = made["ids"].as_array().unwrap().iter().map(|id| json!({ "id": id })).collect();
    let order = house.row(&orders, json!({"Owner": {"relation": targets}})).await;
    let owner = &order["properties"]["Owner"];
    assert_eq!((owner["relation"].as_array().unwrap().len(), owner["has_more"].clone()), (25, json!(true)));
    let path =
        format!("/v1/pages/{}/properties/{}", order["id"].as_str().unwrap(), owner["id"].as_str().unwrap());
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = house.ok("GET", &format!("{path}?page_size=25{cursor}"), Json::Null).await;
        assert_eq!(answer["type"], "property_item");
        seen.extend(
            answer["results"].as_array().unwrap().iter().map(|item| json!({"id": item["relation"]["id"]})),
        );
        let Some(next) = answer["next_cursor"].as_str() else {
            assert_eq!(answer["property_item"]["next_url"], Json::Null);
            break;
        };
        assert!(answer["property_item"]["next_url"].as_str().unwrap().contains(next));
        cursor = format!("&start_cursor={next}");
    }
    assert_eq!(seen, targets);
}

#[tokio::test]
async fn removing_one_side_removes_the_other() {
    let house = House::new().await;
    let (owners, orders) = two_tables(&house).await;
    let path = format!("/v1/data_sources/{}", orders.source);
    house.ok("PATCH", &path, json!({"properties": {"Owner": null}})).await;
    let schema = house.ok("GET", &format!("/v1/data_sources/{}", owners.source), Json::Null).await;
    assert!(schema["properties"].get("Orders").is_none());
}

#[tokio::test]
async fn a_relation_may_point_at_its_own_table() {
    let house = House::new().await;
    let table = house.table("Tree", json!({"Name": {"title": {}}})).await;
    let relation =
        json!({"data_source_id": table.source, "dual_property": {"synced_property_name": "Children"}});
    let path = format!("/v1/data_sources/{}", table.source);
    house.ok("PATCH", &path, json!({"properties": {"Parent": {"relation": relation}}})).await;
    let root = house.row(&table, json!({"Name": title("root")})).await;
    let leaf =
        house.row(&table, json!({"Name": title("leaf"), "Parent": {"relation": [{"id": root["id"]}]}})).await;
    let root = house.ok("GET", &format!("/v1/pages/{}", root["id"].as_str().unwrap()), Json::Null).await;
    assert_eq!(ids(&root["properties"]["Children"]["relation"]), [leaf["id"].as_str().unwrap()]);
    let filter = json!({"filter": {"property": "Parent", "relation": {"contains": root["id"]}}});
    assert_eq!(house.titles(&table, filter).await, ["leaf"]);
    assert_eq!(
        house
            .titles(&table, json!({"filter": {"property": "Children", "relation": {"is_empty": true}}}))
            .await,
        ["leaf"]
    );
}
