//! The client against a small server that answers by script.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::notion::error::{Fate, RateScope};
use crate::notion::pacing::Limits;
use crate::notion::wire::RequestStatus;

const TOKEN: &str = "ntn_very_secret";

/// What the server answers next; the last answer repeats.
type Script = VecDeque<Box<dyn FnMut() -> Response + Send>>;

#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    base_url: String,
}

#[derive(Debug, Clone)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: String,
}

impl Server {
    async fn start(script: Vec<Box<dyn FnMut() -> Response + Send>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let server = Self { script, seen: Arc::default(), base_url };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    fn client(&self) -> NotionClient {
        client(&self.base_url)
    }

    fn calls(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    server.seen.lock().unwrap().push(Seen {
        line: format!("{} {}", parts.method, parts.uri),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mut script = server.script.lock().unwrap();
    if script.len() > 1 { script.pop_front().unwrap()() } else { script[0]() }
}

fn client(base_url: &str) -> NotionClient {
    let address = Address { base_url: base_url.to_owned(), token: TOKEN.to_owned().into() };
    let pacing = Pacing::new(Limits { requests_per_minute: None, in_flight: 16 });
    let patience = Patience {
        timeout: Duration::from_secs(10),
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(10),
        ..Patience::default()
    };
    NotionClient::new(&address, pacing, patience).unwrap()
}

fn says(status: u16, body: &str) -> Box<dyn FnMut() -> Response + Send> {
    let body = body.to_owned();
    Box::new(move || {
        let headers = [("content-type", "application/json"), ("x-notion-request-id", "req-7")];
        (StatusCode::from_u16(status).unwrap(), headers, body.clone()).into_response()
    })
}

fn refuses(status: u16, code: &str) -> Box<dyn FnMut() -> Response + Send> {
    let body = format!(r#"{{"object":"error","status":{status},"code":"{code}","message":"m"}}"#);
    Box::new(move || {
        let status = StatusCode::from_u16(status).unwrap();
        (status, [("retry-after", "0")], body.clone()).into_response()
    })
}

/// A success whose body breaks off.
fn breaks_off() -> Box<dyn FnMut() -> Response + Send> {
    Box::new(|| {
        let chunks = [Ok("{\"object\":\"page\","), Err(std::io::Error::other("gone"))];
        Body::from_stream(futures_util::stream::iter(chunks)).into_response()
    })
}

fn page(id: &str) -> String {
    format!(
        r#"{{"object":"page","id":"{id}","created_time":"2026-07-04T09:08:00.000Z","last_edited_time":"2026-07-04T09:08:00.000Z",
        "parent":{{"type":"data_source_id","data_source_id":"ds","database_id":"db"}},"properties":{{}}}}"#
    )
}

#[tokio::test]
async fn a_call_carries_token_version_and_encoded_ids() {
    let server = Server::start(vec![says(200, &page("p1"))]).await;
    let show = [PropertyId::title(), PropertyId::new("%3CnJT")];
    let answer = server.client().page_get("p1", &show).await.unwrap();
    assert!(matches!(answer.body, Entry::Whole(page) if page.id == "p1"));
    assert_eq!(answer.request_id.as_deref(), Some("req-7"));
    assert!(answer.server_time.is_some(), "the server's clock comes with the answer");
    let seen = server.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.line, "GET /v1/pages/p1?filter_properties=title&filter_properties=%3CnJT");
    assert_eq!(seen.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(seen.headers["notion-version"], "2026-03-11");
    assert!(seen.headers["accept-encoding"].to_str().unwrap().contains("gzip"));
}

#[tokio::test]
async fn a_query_names_cursor_and_filter_in_its_body() {
    let list = r#"{"object":"list","results":[],"has_more":false,"next_cursor":null,
        "request_status":{"type":"incomplete","incomplete_reason":"query_result_limit_reached"}}"#;
    let server = Server::start(vec![says(200, list)]).await;
    let query = Query { start_cursor: Some("c1".into()), page_size: Some(100), ..Query::default() };
    let answer = server.client().query("ds", &query).await.unwrap();
    assert!(matches!(answer.body.request_status, RequestStatus::Incomplete { .. }));
    let seen = server.seen.lock().unwrap()[0].clone();
    assert_eq!(
        (seen.line.as_str(), seen.body.as_str()),
        ("POST /v1/data_sources/ds/query", r#"{"start_cursor":"c1","page_size":100}"#)
    );
}

#[tokio::test]
async fn reads_are_repeated_until_they_succeed() {
    let script = vec![
        refuses(500, "internal_server_error"),
        says(502, "<html>bad gateway</html>"),
        breaks_off(),
        refuses(429, "rate_limited"),
        says(200, "{\"object\":\"list\""),
        says(200, &page("p1")),
    ];
    let server = Server::start(script).await;
    let client = server.client();
    assert!(client.page_get("p1", &[]).await.unwrap().body.whole().is_some());
    assert_eq!(server.calls().len(), 6);
    let counters = client.pacing().counters();
    assert_eq!((counters.calls, counters.retries, counters.refused, counters.in_flight), (6, 5, 1, 0));
}

#[tokio::test]
async fn doubtful_writes_are_never_repeated() {
    for (answer, fate) in [
        (refuses(500, "internal_server_error"), Fate::Unknown),
        (refuses(502, "bad_gateway"), Fate::Unknown),
        (refuses(503, "service_unavailable"), Fate::Unknown),
        (refuses(504, "gateway_timeout"), Fate::Unknown),
        (refuses(409, "conflict_error"), Fate::NotApplied),
        (
            says(
                503,
                r#"{"code":"service_unavailable","message":"","additional_data":{"committed_resource_id":"new"}}"#,
            ),
            Fate::Applied { committed: vec!["new".into()] },
        ),
    ] {
        let server = Server::start(vec![answer]).await;
        let error = server.client().page_create(&json!({"properties": {}}), &[]).await.unwrap_err();
        assert_eq!(error.fate(), fate, "{error}");
        assert_eq!(server.calls(), ["POST /v1/pages"], "{error}");
    }
}

#[tokio::test]
async fn writes_are_repeated_after_too_many() {
    let script = vec![refuses(429, "rate_limited"), refuses(529, "service_overload"), says(200, &page("p1"))];
    let server = Server::start(script).await;
    assert!(server.client().page_create(&json!({}), &[]).await.unwrap().body.whole().is_some());
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn what_takes_the_place_of_something_is_never_repeated_unseen() {
    for (status, code) in [(429, "rate_limited"), (529, "service_overload"), (409, "conflict_error")] {
        let server = Server::start(vec![refuses(status, code)]).await;
        let client = server.client();
        let error = client.page_patch("p1", &json!({}), &[]).await.unwrap_err();
        assert!(client.was_not_taken(&error), "{error}");
        let error = client.markdown_replace("p1", "Hello").await.unwrap_err();
        assert!(client.was_not_taken(&error), "{error}");
        assert_eq!(server.calls().len(), 2, "{error}");
    }
}

#[tokio::test]
async fn a_block_is_not_argued_with() {
    let blocked = r#"{"code":"rate_limited","message":"","additional_data":{"rate_limit_reason":"public_api_request_blocked"}}"#;
    let server = Server::start(vec![says(429, blocked)]).await;
    let error = server.client().users_me().await.unwrap_err();
    assert!(matches!(error, NotionError::RateLimited { scope: RateScope::Blocked, .. }));
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_long_pause_is_handed_to_the_caller() {
    let body = r#"{"code":"rate_limited","message":"","additional_data":{"retry_after":"900"}}"#;
    let server = Server::start(vec![says(429, body)]).await;
    let client = server.client();
    let error = client.users_me().await.unwrap_err();
    assert!(error.to_string().contains("after 900 s"), "{error}");
    assert!(
        client.pacing().counters().paused > Duration::from_secs(890),
        "the connection pauses all the same"
    );
}

/// A server that reads a request, says `last_words` and hangs up.
async fn hang_up(last_words: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(last_words.as_bytes()).await;
        }
    });
    (base_url, connections)
}

#[tokio::test]
async fn a_lost_answer_is_unknown_for_writes_and_repeated_for_reads() {
    let (base_url, connections) = hang_up("").await;
    let error = client(&base_url).page_create(&json!({}), &[]).await.unwrap_err();
    assert!(matches!(error, NotionError::ConnectionLost(_)), "{error:?}");
    assert_eq!((error.fate(), connections.load(Ordering::SeqCst)), (Fate::Unknown, 1));
    client(&base_url).page_get("p1", &[]).await.unwrap_err();
    assert_eq!(connections.load(Ordering::SeqCst), 1 + 6);
}

#[tokio::test]
async fn a_success_that_breaks_off_was_a_success() {
    let (base_url, connections) =
        hang_up("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"object\":\"page\",").await;
    let error = client(&base_url).page_create(&json!({}), &[]).await.unwrap_err();
    assert_eq!(error.fate(), Fate::Applied { committed: vec![] }, "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_connection_means_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(&base_url);
    let error = client.page_create(&json!({}), &[]).await.unwrap_err();
    assert!(matches!(error, NotionError::Unconnected(_)), "{error:?}");
    assert_eq!(error.fate(), Fate::NotApplied);
    let counters = client.pacing().counters();
    assert_eq!((counters.calls, counters.retries), (0, 5), "calls that never left use up no limit");
}

#[tokio::test]
async fn a_slow_answer_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address {
        base_url: format!("http://{}", listener.local_addr().unwrap()),
        token: TOKEN.to_owned().into(),
    };
    let patience = Patience { timeout: Duration::from_millis(50), ..Patience::default() };
    let client = NotionClient::new(&address, Pacing::new(Limits::default()), patience).unwrap();
    let error = client.page_create(&json!({}), &[]).await.unwrap_err();
    assert!(matches!(error, NotionError::Timeout), "{error:?}");
    assert_eq!(error.fate(), Fate::Unknown);
}

#[tokio::test]
async fn an_outage_does_not_multiply_calls() {
    let server = Server::start(vec![refuses(500, "internal_server_error")]).await;
    let client = server.client();
    for _ in 0..100 {
        client.page_get("p1", &[]).await.unwrap_err();
    }
    let calls = server.calls().len();
    assert!(calls <= 100 + 20 + 10, "{calls} calls for 100 requests");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![says(200, &page("stolen"))]).await;
    let target = format!("{}/v1/pages/p1", elsewhere.base_url);
    let redirect = move || (StatusCode::TEMPORARY_REDIRECT, [("location", target.clone())]).into_response();
    let server = Server::start(vec![Box::new(redirect)]).await;
    let error = server.client().page_patch("p1", &json!({}), &[]).await.unwrap_err();
    assert!(matches!(error, NotionError::Unexpected(_)), "{error:?}");
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn a_long_property_is_collected() {
    let answer = |ids: &[&str], next: Option<&str>| {
        let results: Vec<_> = ids
            .iter()
            .map(|id| json!({"object": "property_item", "type": "relation", "id": "%3CnJT", "relation": {"id": id}}))
            .collect();
        let body = json!({"object": "list", "results": results, "next_cursor": next, "has_more": next.is_some(),
            "type": "property_item", "property_item": {"id": "%3CnJT", "type": "relation", "relation": {}}});
        says(200, &body.to_string())
    };
    let server = Server::start(vec![
        answer(&["a", "b"], Some("c1")),
        answer(&["c"], Some("c2")),
        answer(&["d"], None),
    ])
    .await;
    let value = server.client().property_value("p1", &PropertyId::new("%3CnJT")).await.unwrap();
    assert_eq!(
        value,
        PropertyValue::Relation { ids: ["a", "b", "c", "d"].map(String::from).to_vec(), has_more: false }
    );
    assert_eq!(
        server.calls(),
        [
            "GET /v1/pages/p1/properties/%3CnJT?page_size=100",
            "GET /v1/pages/p1/properties/%3CnJT?page_size=100&start_cursor=c1",
            "GET /v1/pages/p1/properties/%3CnJT?page_size=100&start_cursor=c2",
        ]
    );
}

#[tokio::test]
async fn bodies_are_replaced_whole_and_without_deleting_child_pages() {
    let body =
        r#"{"object":"page_markdown","id":"p1","markdown":"Hello","truncated":true,"unknown_block_ids":[]}"#;
    let server = Server::start(vec![says(200, body)]).await;
    let answer = server.client().markdown_replace("p1", "Hello").await.unwrap();
    assert!(!answer.body.is_whole());
    let sent: serde_json::Value = serde_json::from_str(&server.seen.lock().unwrap()[0].body).unwrap();
    assert_eq!(sent, json!({"type": "replace_content", "replace_content": {"new_str": "Hello"}}));
}

#[tokio::test]
async fn compressed_answers_are_read() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(page("zipped").as_bytes()).unwrap();
    let body = gzip.finish().unwrap();
    let answer = move || ([("content-encoding", "gzip")], body.clone()).into_response();
    let server = Server::start(vec![Box::new(answer)]).await;
    let answer = server.client().page_get("p1", &[]).await.unwrap();
    assert_eq!(answer.body.into_whole().unwrap().id, "zipped");
}

#[tokio::test]
async fn a_created_page_may_show_only_its_id() {
    let server = Server::start(vec![says(200, r#"{"object":"page","id":"new","request_id":"r"}"#)]).await;
    let answer = server.client().page_create(&json!({}), &[]).await.unwrap();
    assert_eq!(answer.body, Entry::Partial { id: "new".into() });
}

#[tokio::test]
async fn only_ids_stand_in_paths() {
    let client = client("http://127.0.0.1:9");
    for odd in ["", "../users", "a/b", "a?b", "a%2e", "ä"] {
        let error = client.page_get(odd, &[]).await.unwrap_err();
        assert!(matches!(error, NotionError::Unsendable(_)), "{odd}: {error:?}");
    }
}

#[tokio::test]
async fn the_token_is_never_shown() {
    let client = client("http://127.0.0.1:9");
    assert!(!format!("{client:?}").contains(TOKEN));
    let odd = Address { base_url: "http://127.0.0.1:9".to_owned(), token: "line\nbreak".to_owned().into() };
    let error = NotionClient::new(&odd, Pacing::new(Limits::default()), Patience::default()).unwrap_err();
    assert!(!error.to_string().contains("break"), "{error}");
}

#[tokio::test]
async fn a_thousand_calls_share_a_few_connections() {
    let server = Server::start(vec![says(200, &page("p1"))]).await;
    let client = server.client();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        tasks.spawn(async move {
            for _ in 0..60 {
                client.page_get("p1", &[]).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(server.calls().len(), 960);
    assert_eq!(client.pacing().counters().in_flight, 0);
}

#[tokio::test]
async fn a_databases_id_leads_to_its_only_data_source() {
    let id = "cc34d676-8e58-40a0-9244-3b684b6ec105";
    let database = |sources: serde_json::Value| {
        says(200, &json!({"object": "database", "id": id, "title": [], "data_sources": sources}).to_string())
    };
    let source = r#"{"object":"data_source","id":"ds1","title":[],"properties":{"Name":{"id":"title","name":"Name","type":"title","title":{}}}}"#;
    let missing = || refuses(404, "object_not_found");

    let one = json!([{"id": "ds1", "name": "Only"}]);
    let server = Server::start(vec![missing(), database(one), says(200, source)]).await;
    assert_eq!(server.client().find_data_source(id).await.unwrap().id, "ds1");
    assert_eq!(
        server.calls(),
        [
            format!("GET /v1/data_sources/{id}"),
            format!("GET /v1/databases/{id}"),
            "GET /v1/data_sources/ds1".to_owned()
        ]
    );

    let two = json!([{"id": "ds1", "name": "A"}, {"id": "ds2", "name": "B"}]);
    let server = Server::start(vec![missing(), database(two)]).await;
    let error = server.client().find_data_source(id).await.unwrap_err();
    assert_eq!(error.advice(), "Name one of its data sources: ds1, ds2.");

    let server = Server::start(vec![missing()]).await;
    let error = server.client().find_data_source(id).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("the data source {id} does not exist or is not shared")),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_still_names_what_was_made() {
    for body in [r#"{"object":"page","id":"new"}"#, r#"{"object":"page","id":"new","properties":7}"#] {
        let server = Server::start(vec![says(200, body)]).await;
        let error = server.client().page_create(&json!({}), &[]).await.unwrap().into_whole().unwrap_err();
        assert_eq!(error.fate(), Fate::Applied { committed: vec!["new".into()] }, "{body}");
    }
}
