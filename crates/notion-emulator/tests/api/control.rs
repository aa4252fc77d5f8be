//! The controls: faults and their fates, people at work, snapshots, the state file, the page.

use std::time::{Duration, Instant};

use notion_emulator::Options;
use serde_json::{Value as Json, json};

use crate::house::{House, new_row, title};

#[tokio::test]
async fn each_answer_can_be_given_whether_carried_out_or_not() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    for (answer, status, code) in [
        ("429", 429, "rate_limited"),
        ("429_blocked", 429, "rate_limited"),
        ("529", 529, "service_overload"),
        ("409", 409, "conflict_error"),
        ("500", 500, "internal_server_error"),
        ("503", 503, "service_unavailable"),
        ("504", 504, "gateway_timeout"),
    ] {
        for (fate, rows) in [("not_applied", 0), ("applied", 1)] {
            let name = format!("{answer} {fate}");
            let fault = json!({"endpoint": "POST /v1/pages", "answer": answer, "fate": fate, "times": 1});
            house.control("POST", "faults", fault).await;
            let row = new_row(&table, json!({"Name": title(&name)}));
            assert_eq!(house.fails(status, "POST", "/v1/pages", row).await["code"], code);
            let found = house
                .titles(&table, json!({"filter": {"property": "Name", "title": {"equals": name}}}))
                .await;
            assert_eq!(found.len(), rows, "{name}");
        }
    }
    house.control("DELETE", "faults", Json::Null).await;
}

#[tokio::test]
async fn a_saved_503_names_the_page() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    house.control("POST", "faults", json!({"method": "POST", "answer": "503_saved", "times": 1})).await;
    let error = house.fails(503, "POST", "/v1/pages", new_row(&table, json!({}))).await;
    let id = error["additional_data"]["committed_resource_id"].as_str().unwrap();
    house.ok("GET", &format!("/v1/pages/{id}"), Json::Null).await;
}

#[tokio::test]
async fn answers_get_lost_cut_slowed_or_come_from_the_edge() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let create =
        |name: &str| house.request("POST", "/v1/pages").json(&new_row(&table, json!({"Name": title(name)})));
    house.control("POST", "faults", json!({"answer": "drop", "fate": "applied", "times": 1})).await;
    assert!(create("lost").send().await.is_err());
    house.control("POST", "faults", json!({"answer": "drop", "times": 1})).await;
    assert!(create("never").send().await.is_err());
    house.control("POST", "faults", json!({"answer": "truncated", "times": 1})).await;
    let answer = create("cut").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    house.control("POST", "faults", json!({"answer": "502", "times": 1})).await;
    let answer = create("edge").send().await.unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.headers().get("x-notion-request-id").is_none());
    assert!(answer.text().await.unwrap().starts_with("<html>"));
    house.control("POST", "faults", json!({"answer": "slow", "delay_ms": 150, "times": 1})).await;
    let began = Instant::now();
    assert_eq!(create("slow").send().await.unwrap().status(), 200);
    assert!(began.elapsed() >= Duration::from_millis(150));
    house.control("POST", "faults", json!({"answer": "hang", "times": 1})).await;
    assert!(create("hung").timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
    assert_eq!(house.titles(&table, json!({})).await, ["lost", "cut", "slow"]);
    let counters = house.control("GET", "counters", Json::Null).await;
    assert_eq!(counters["faults"], 6);
    assert_eq!(counters["endpoints"]["POST /v1/pages"]["dropped"], 4);
}

#[tokio::test]
async fn a_late_write_lands_after_its_answer() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let fault = json!({"method": "POST", "endpoint": "/v1/pages", "fate": "late", "answer": "504", "delay_ms": 100, "times": 1});
    house.control("POST", "faults", fault).await;
    house.fails(504, "POST", "/v1/pages", new_row(&table, json!({"Name": title("late")}))).await;
    assert!(house.titles(&table, json!({})).await.is_empty());
    let deadline = Instant::now() + Duration::from_secs(10);
    while house.titles(&table, json!({})).await.is_empty() {
        assert!(Instant::now() < deadline, "the late write never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn people_write_in_plain_words_and_sign_for_it() {
    let house = House::new().await;
    let table = house
        .table("T", json!({
            "Name": {"title": {}}, "N": {"number": {}}, "Tier": {"select": {}}, "Tags": {"multi_select": {}},
            "Due": {"date": {}}, "Who": {"people": {}}, "Done": {"checkbox": {}}, "By": {"last_edited_by": {}},
        }))
        .await;
    let row = house
        .control(
            "POST",
            "pages",
            json!({"data_source_id": table.source, "user": "ada@example.com", "properties": {
            "Name": "plain", "N": "1.5", "Tier": "Gold", "Tags": "a, b", "Due": "2026-01-01 → 2026-01-03",
            "Who": "Grace Hopper", "Done": true}}),
        )
        .await;
    let id = row["id"].as_str().unwrap();
    assert_eq!(row["values"]["Due"], "2026-01-01 → 2026-01-03");
    let page = house.ok("GET", &format!("/v1/pages/{id}"), Json::Null).await;
    assert_eq!(page["properties"]["Tags"]["multi_select"][1]["name"], "b");
    assert_eq!(page["properties"]["Who"]["people"][0]["name"], "Grace Hopper");
    assert_eq!(page["properties"]["By"]["last_edited_by"]["name"], "Ada Lovelace");
    assert_eq!(page["properties"]["By"]["last_edited_by"]["type"], "person");
    house.control("PATCH", &format!("pages/{id}"), json!({"properties": {"N": null, "Tier": ""}})).await;
    let copy = house.control("POST", &format!("pages/{id}/duplicate"), json!({})).await;
    assert_eq!((copy["values"]["N"].clone(), copy["values"]["Name"].clone()), (Json::Null, json!("plain")));
    house.control("POST", &format!("pages/{id}/trash"), json!({})).await;
    assert_eq!(house.titles(&table, json!({})).await.len(), 1);
    house.control("POST", &format!("pages/{id}/restore"), json!({})).await;
    assert_eq!(house.titles(&table, json!({})).await.len(), 2);
    let rows = house.control("GET", &format!("data_sources/{}/rows?limit=1", table.source), Json::Null).await;
    assert_eq!((rows["total"].clone(), rows["rows"].as_array().unwrap().len()), (json!(2), 1));
}

#[tokio::test]
async fn snapshots_bring_everything_back() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    house.row(&table, json!({"Name": title("before")})).await;
    house.control("POST", "snapshot", json!({"name": "s"})).await;
    house.row(&table, json!({"Name": title("after")})).await;
    house.control("POST", "restore", json!({"name": "s"})).await;
    assert_eq!(house.titles(&table, json!({})).await, ["before"]);
}

#[tokio::test]
async fn the_state_survives_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        state: Some(folder.path().join("state.json")),
        requests_per_minute: None,
        ..Options::default()
    };
    let house = House::with(options.clone()).await;
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let row = house.row(&table, json!({"Name": title("kept"), "N": {"number": 3}})).await;
    let token = house.token.clone();
    house.emulator.stop().await.unwrap();
    let house = House::with(options).await;
    assert_eq!(house.token, token);
    assert_eq!(
        house.titles(&table, json!({"filter": {"property": "N", "number": {"equals": 3}}})).await,
        ["kept"]
    );
    let mut again = house.ok("GET", &format!("/v1/pages/{}", row["id"].as_str().unwrap()), Json::Null).await;
    again["request_id"] = row["request_id"].clone();
    assert_eq!(again, row);
}

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let house = House::new().await;
    let base = house.emulator.base_url();
    for (path, kind) in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let answer = house.client.get(format!("{base}{path}")).send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind));
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        let text = answer.text().await.unwrap();
        assert!(!text.contains("innerHTML") && !text.contains("<style") && !text.contains("onclick=\""));
    }
    let workspace = house.control("GET", "workspace", Json::Null).await;
    assert_eq!(workspace["users"].as_array().unwrap().len(), 5);
}
