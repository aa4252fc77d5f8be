//! Headers, tokens, paths, limits, capabilities and sharing.

use notion_emulator::Options;
use serde_json::{Value as Json, json};

use crate::house::{House, OLD, OLDEST, title};

#[tokio::test]
async fn headers_are_checked_before_anything_else() {
    let house = House::new().await;
    let url = format!("{}/v1/users/me", house.emulator.base_url());
    let get = |version: Option<&str>, token: &str| {
        let mut request = house.client.get(&url).bearer_auth(token);
        if let Some(version) = version {
            request = request.header("notion-version", version);
        }
        async move { request.send().await.unwrap().json::<Json>().await.unwrap() }
    };
    assert_eq!(get(None, &house.token).await["code"], "missing_version");
    let unknown = get(Some("2026-02-01"), &house.token).await;
    assert!(unknown["message"].as_str().unwrap().contains("2026-03-11"));
    let wrong = get(Some("2026-03-11"), "ntn_wrong").await;
    assert_eq!(
        (wrong["status"].clone(), wrong["message"].clone()),
        (json!(401), json!("API token is invalid."))
    );
    house.fails(400, "GET", "/v1/nothing", Json::Null).await;
}

#[tokio::test]
async fn each_answer_carries_its_request_id() {
    let house = House::new().await;
    let answer = house.request("GET", "/v1/users/me").send().await.unwrap();
    let header = answer.headers()["x-notion-request-id"].to_str().unwrap().to_owned();
    let body: Json = answer.json().await.unwrap();
    assert_eq!(body["request_id"], header);
    assert_eq!(body["bot"]["workspace_limits"]["max_file_upload_size_in_bytes"], 5_242_880);
}

#[tokio::test]
async fn the_limiter_refuses_with_seconds_to_wait() {
    let house = House::with(Options { requests_per_minute: Some(3), ..Options::default() }).await;
    for _ in 0..3 {
        house.ok("GET", "/v1/users/me", Json::Null).await;
    }
    let answer = house.request("GET", "/v1/users/me").send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let body: Json = answer.json().await.unwrap();
    assert_eq!(body["code"], "rate_limited");
    assert_eq!(body["additional_data"]["rate_limit_reason"], "public_api_request_rate_limit");
    assert_eq!(body["additional_data"]["retry_after"], seconds.to_string());
    let counters = house.control("GET", "counters", Json::Null).await;
    assert_eq!(counters["fullest_window"], 3);
    assert_eq!(counters["endpoints"]["GET /v1/users/me"]["429"], 1);
}

#[tokio::test]
async fn what_is_not_shared_is_not_there() {
    let house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a")})).await;
    house.control("POST", "unshare", json!({"id": table.database})).await;
    for path in [
        format!("/v1/pages/{}", row["id"].as_str().unwrap()),
        format!("/v1/data_sources/{}", table.source),
        format!("/v1/databases/{}", table.database),
    ] {
        let error = house.fails(404, "GET", &path, Json::Null).await;
        assert_eq!(error["code"], "object_not_found");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("Make sure the relevant pages and databases are shared")
        );
    }
    house.control("POST", "share", json!({"id": table.database})).await;
    house.ok("GET", &format!("/v1/data_sources/{}", table.source), Json::Null).await;
}

#[tokio::test]
async fn capabilities_are_kept_apart() {
    let mut house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    let parent = house.emulator.parent_page_id().to_owned();
    let reader = house
        .control(
            "POST",
            "tokens",
            json!({"shared": [parent], "capabilities": {
            "update_content": false, "insert_content": false, "user_information": "none"}}),
        )
        .await;
    house.token = reader["token"].as_str().unwrap().to_owned();
    house.query(&table, json!({})).await;
    let row = crate::house::new_row(&table, json!({"Name": title("a")}));
    assert_eq!(house.fails(403, "POST", "/v1/pages", row.clone()).await["code"], "restricted_resource");
    house.fails(403, "GET", "/v1/users", Json::Null).await;
    let writer = house
        .control("POST", "tokens", json!({"shared": [parent], "capabilities": {"read_content": false}}))
        .await;
    house.token = writer["token"].as_str().unwrap().to_owned();
    let partial = house.ok("POST", "/v1/pages", row).await;
    assert!(partial.get("properties").is_none() && partial["id"].is_string());
    house.control("PATCH", &format!("tokens/{}", house.token), json!({"revoked": true})).await;
    house.fails(401, "GET", "/v1/users/me", Json::Null).await;
}

#[tokio::test]
async fn emails_need_their_capability() {
    let mut house = House::new().await;
    let users = house.ok("GET", "/v1/users", Json::Null).await;
    let people: Vec<&Json> =
        users["results"].as_array().unwrap().iter().filter(|user| user["type"] == "person").collect();
    assert_eq!(people.len(), 3, "guests are not listed");
    assert!(people.iter().all(|user| user["person"]["email"].is_string()));
    let blind =
        house.control("POST", "tokens", json!({"capabilities": {"user_information": "without_email"}})).await;
    house.token = blind["token"].as_str().unwrap().to_owned();
    let users = house.ok("GET", "/v1/users", Json::Null).await;
    assert!(users["results"].as_array().unwrap().iter().all(|user| user["person"].get("email").is_none()));
}

#[tokio::test]
async fn broken_bodies_and_ids_are_named() {
    let house = House::new().await;
    let answer = house.request("POST", "/v1/pages").body("{").send().await.unwrap();
    assert_eq!(answer.json::<Json>().await.unwrap()["code"], "invalid_json");
    let error = house.fails(400, "GET", "/v1/pages/AAA", Json::Null).await;
    assert_eq!(
        error["message"],
        "path failed validation: path.page_id should be a valid uuid, instead was `\"AAA\"`."
    );
}

#[tokio::test]
async fn databases_with_two_sources_break_old_versions() {
    let mut house = House::new().await;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    house.version = OLDEST;
    let old = house.ok("GET", &format!("/v1/databases/{}", table.database), Json::Null).await;
    assert_eq!(old["properties"]["Name"]["type"], "title");
    house.ok("POST", &format!("/v1/databases/{}/query", table.database), json!({})).await;
    house.version = OLD;
    let second = json!({"parent": {"database_id": table.database}, "properties": {"Name": {"title": {}}}});
    house.ok("POST", "/v1/data_sources", second).await;
    house.version = OLDEST;
    let path = format!("/v1/databases/{}/query", table.database);
    let error = house.fails(400, "POST", &path, json!({})).await;
    assert_eq!(
        error["message"],
        "Databases with multiple data sources are not supported in this API version."
    );
    assert_eq!(error["additional_data"]["child_data_source_ids"].as_array().unwrap().len(), 2);
    assert_eq!(error["additional_data"]["minimum_api_version"], "2025-09-03");
}

#[tokio::test]
async fn oauth_pairs_change_with_each_grant() {
    let house = House::new().await;
    let made = house.control("POST", "tokens", json!({"is_public": true})).await;
    let url = format!("{}/v1/oauth/token", house.emulator.base_url());
    let grant = |body: Json| {
        let request = house.client.post(&url).basic_auth("client", Some("secret")).json(&body);
        async move { request.send().await.unwrap().json::<Json>().await.unwrap() }
    };
    let first = grant(json!({"grant_type": "authorization_code", "code": made["code"]})).await;
    assert_eq!(first["token_type"], "bearer");
    let second = grant(json!({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})).await;
    assert_ne!(first["access_token"], second["access_token"]);
    let again = grant(json!({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]})).await;
    assert_eq!(again["code"], "invalid_grant");
}
