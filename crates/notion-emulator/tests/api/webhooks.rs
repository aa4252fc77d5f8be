//! Webhooks: signed, merged, lost, doubled, retried.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::house::{House, title};

#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<(Json, String, String)>>>,
    refuse: Arc<Mutex<u32>>,
}

impl Ear {
    async fn listen() -> (Self, String) {
        let ear = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().fallback(hear).with_state(ear.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (ear, url)
    }

    fn events(&self) -> Vec<Json> {
        self.heard
            .lock()
            .unwrap()
            .iter()
            .map(|(body, ..)| body.clone())
            .filter(|body| body["type"].is_string())
            .collect()
    }

    async fn until(&self, what: &str, done: impl Fn(&[Json]) -> bool) -> Vec<Json> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let events = self.events();
            if done(&events) {
                return events;
            }
            assert!(Instant::now() < deadline, "{what}: {events:?}");
            tokio::task::yield_now().await;
        }
    }
}

async fn hear(State(ear): State<Ear>, headers: HeaderMap, body: String) -> StatusCode {
    let signature = headers["x-notion-signature"].to_str().unwrap().to_owned();
    let json: Json = serde_json::from_str(&body).unwrap();
    if json["type"].is_string() {
        let mut refuse = ear.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    ear.heard.lock().unwrap().push((json, signature, body));
    StatusCode::OK
}

#[tokio::test]
async fn events_are_signed_and_name_what_changed() {
    let house = House::new().await;
    let (ear, url) = Ear::listen().await;
    let made = house.control("POST", "webhooks", json!({ "url": url })).await;
    let secret = made["verification_token"].as_str().unwrap().to_owned();
    assert_eq!(ear.heard.lock().unwrap()[0].0["verification_token"], secret);
    let table = house.table("T", json!({"Name": {"title": {}}, "N": {"number": {}}})).await;
    let row = house.row(&table, json!({"Name": title("a")})).await;
    let id = row["id"].as_str().unwrap();
    house.control("PATCH", &format!("pages/{id}"), json!({"properties": {"N": 1}})).await;
    let events = ear
        .until("an edit", |events| events.iter().any(|event| event["type"] == "page.properties_updated"))
        .await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for kind in ["database.created", "data_source.created", "data_source.content_updated", "page.created"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let edit = events.iter().find(|event| event["type"] == "page.properties_updated").unwrap();
    assert_eq!(edit["data"]["updated_properties"], json!([row["properties"]["N"]["id"]]));
    assert_eq!(
        edit["data"]["parent"],
        json!({"id": table.database, "type": "database", "data_source_id": table.source})
    );
    assert_eq!(edit["authors"][0]["type"], "person");
    assert_eq!(edit["attempt_number"], 1);
    for (_, signature, body) in ear.heard.lock().unwrap().iter() {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*signature, format!("sha256={hex}"));
    }
}

#[tokio::test]
async fn a_refused_event_is_tried_again_with_the_same_id() {
    let house = House::new().await;
    let (ear, url) = Ear::listen().await;
    house.control("POST", "webhooks", json!({"url": url, "types": ["page.created"]})).await;
    house.control("POST", "webhooks/settings", json!({"retry_ms": 5})).await;
    *ear.refuse.lock().unwrap() = 2;
    let table = house.table("T", json!({"Name": {"title": {}}})).await;
    house.row(&table, json!({})).await;
    let events = ear.until("a third attempt", |events| !events.is_empty()).await;
    assert_eq!((events.len(), events[0]["attempt_number"].clone()), (1, json!(3)));
}

#[tokio::test]
async fn a_window_merges_edits_and_loss_loses_them() {
    let house = House::new().await;
    let (ear, url) = Ear::listen().await;
    let table =
        house.table("T", json!({"Name": {"title": {}}, "A": {"number": {}}, "B": {"number": {}}})).await;
    let row = house.row(&table, json!({})).await;
    let id = row["id"].as_str().unwrap();
    house.control("POST", "webhooks", json!({ "url": url })).await;
    house.control("POST", "webhooks/settings", json!({"window_ms": 200})).await;
    for name in ["A", "B", "A"] {
        house.control("PATCH", &format!("pages/{id}"), json!({"properties": {name: 1}})).await;
    }
    let events = ear.until("one merged event", |events| !events.is_empty()).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["updated_properties"].as_array().unwrap().len(), 2);
    house.control("POST", "webhooks/settings", json!({"window_ms": 0, "loss": 1.0})).await;
    house.control("PATCH", &format!("pages/{id}"), json!({"properties": {"A": 2}})).await;
    let deadline = Instant::now() + Duration::from_secs(15);
    while house.control("GET", "counters", Json::Null).await["webhooks"]["lost"] != 1 {
        assert!(Instant::now() < deadline, "the event was not lost");
    }
    house.control("POST", "webhooks/settings", json!({"loss": 0.0, "duplicates": 1.0})).await;
    house.control("PATCH", &format!("pages/{id}"), json!({"properties": {"B": 3}})).await;
    let events = ear.until("a doubled event", |events| events.len() == 3).await;
    assert_eq!(events[1]["id"], events[2]["id"]);
}
