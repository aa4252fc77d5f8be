//! `/_emulator/`: what the real one lacks — people at work, the clock, faults, lag, limits, sharing, snapshots.

mod people;
mod settings;
mod show;
pub(crate) mod simple;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{
    at::{self, BODY},
    dispatch::Incoming,
    error::{ApiError, Result},
    ids,
    reply::Reply,
    server::Shared,
};

const PAGE: &str = include_str!("../page.html");
const SCRIPT: &str = include_str!("../page.js");
const STYLE: &str = include_str!("../page.css");
const POLICY: &str = "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A control's request, taken apart.
pub(crate) struct Order<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Map<String, Json>,
}

impl<'a> Order<'a> {
    fn read(shared: &'a Arc<Shared>, incoming: &'a Incoming) -> Result<Self> {
        let path: Vec<&str> = incoming.path.split('/').filter(|piece| !piece.is_empty()).collect();
        let Some((&"_emulator", path)) = path.split_first() else { return Err(ApiError::invalid_url()) };
        let body = if incoming.body.iter().all(u8::is_ascii_whitespace) {
            Map::new()
        } else {
            serde_json::from_slice(&incoming.body)
                .map_err(|_| ApiError::new(400, "invalid_json", "The body is not a JSON object."))?
        };
        Ok(Self { shared, path: path.to_vec(), query: crate::dispatch::parse_query(&incoming.query), body })
    }
    fn id(&self, index: usize) -> Result<Uuid> {
        let text = self.path.get(index).copied().unwrap_or_default();
        ids::parse_uuid(text).ok_or_else(|| ApiError::validation(format!("`{text}` is not an id.")))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.body.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => at::string(json, usize::MAX, &BODY.key(key)).map(Some),
        }
    }

    fn number(&self, key: &str) -> Result<Option<i64>> {
        match self.body.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => {
                json.as_i64().map(Some).ok_or_else(|| BODY.key(key).should_be("a whole number", Some(json)))
            }
        }
    }
}

pub(crate) async fn handle(shared: Arc<Shared>, incoming: Incoming) -> Response<Body> {
    let file = match incoming.path.as_str() {
        "/" => Some(("text/html; charset=utf-8", PAGE)),
        "/page.js" => Some(("text/javascript; charset=utf-8", SCRIPT)),
        "/page.css" => Some(("text/css; charset=utf-8", STYLE)),
        _ => None,
    };
    if let Some((kind, text)) = file {
        return guarded(Reply::raw(200, kind, text).into_response());
    }
    let request_id = ids::fresh();
    let order = match Order::read(&shared, &incoming) {
        Ok(order) => order,
        Err(error) => return Reply::error(&error, request_id).into_response(),
    };
    if let ("GET", ["files", _]) = (incoming.method.as_str(), order.path.as_slice()) {
        return show::file(&order).unwrap_or_else(|error| Reply::error(&error, request_id).into_response());
    }
    if let ("POST", ["webhooks"]) = (incoming.method.as_str(), order.path.as_slice()) {
        let answer = settings::subscribe(&order).await;
        return finish(answer, request_id).into_response();
    }
    finish(carry_out(&incoming.method, &order), request_id).into_response()
}

/// Carries out a control that neither waits nor answers with a file.
pub(crate) fn answer(shared: &Arc<Shared>, incoming: &Incoming) -> Reply {
    let answer = Order::read(shared, incoming).and_then(|order| carry_out(&incoming.method, &order));
    finish(answer, ids::fresh())
}

fn finish(answer: Result<Json>, request_id: Uuid) -> Reply {
    match answer {
        Ok(body) => Reply::raw(200, "application/json; charset=utf-8", body.to_string()),
        Err(error) => Reply::error(&error, request_id),
    }
}

fn guarded(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn carry_out(method: &str, order: &Order<'_>) -> Result<Json> {
    match (method, order.path.as_slice()) {
        ("GET", []) => Ok(json!({"controls": CONTROLS.as_slice()})),
        ("GET", ["clock"]) => Ok(settings::clock(order)),
        ("POST", ["clock"]) => settings::set_clock(order),
        ("GET", ["faults"]) => Ok(json!({"faults": order.shared.faults().rules()})),
        ("POST", ["faults"]) => settings::add_fault(order),
        ("DELETE", ["faults"]) => Ok(settings::remove_faults(order, None)),
        ("DELETE", ["faults", _]) => Ok(settings::remove_faults(order, Some(order.id(1)?))),
        ("GET", ["counters"]) => Ok(settings::counters(order)),
        ("DELETE", ["counters"]) => Ok(settings::reset_counters(order)),
        ("POST", ["limits"]) => settings::set_limits(order),
        ("POST", ["caps"]) => settings::set_caps(order),
        ("POST", ["lag"]) => settings::set_lag(order),
        ("GET", ["tokens"]) => Ok(settings::tokens(order)),
        ("POST", ["tokens"]) => settings::add_token(order),
        ("PATCH", ["tokens", _]) => settings::change_token(order),
        ("POST", ["share"]) => settings::share(order, true),
        ("POST", ["unshare"]) => settings::share(order, false),
        ("POST", ["snapshot"]) => settings::snapshot(order),
        ("POST", ["restore"]) => settings::restore(order),
        ("POST", ["save"]) => settings::save(order),
        ("GET", ["webhooks"]) => Ok(settings::webhooks(order)),
        ("DELETE", ["webhooks"]) => Ok(settings::unsubscribe(order)),
        ("POST", ["webhooks", "settings"]) => settings::set_webhooks(order),
        ("GET", ["workspace"]) => Ok(show::workspace(order)),
        ("GET", ["data_sources", _, "rows"]) => show::rows(order),
        ("POST", ["data_sources", _, "rows"]) => people::add_rows(order),
        ("PATCH", ["data_sources", _]) => people::change_schema(order),
        ("POST", ["pages"]) => people::add_page(order),
        ("GET", ["pages", _]) => show::page(order),
        ("PATCH", ["pages", _]) => people::change_page(order),
        ("GET", ["pages", _, "history"]) => show::history(order),
        ("POST", ["history"]) => settings::keep_history(order),
        ("POST", ["pages", _, "trash"]) => people::trash(order, true),
        ("POST", ["pages", _, "restore"]) => people::trash(order, false),
        ("POST", ["pages", _, "duplicate"]) => people::duplicate(order),
        ("POST", ["pages", _, "purge"]) => people::purge(order),
        ("PUT", ["pages", _, "markdown"]) => people::set_body(order),
        ("POST", ["users"]) => people::add_user(order),
        ("POST", ["databases", _, "trash"]) => people::trash_database(order, true),
        ("POST", ["databases", _, "restore"]) => people::trash_database(order, false),
        ("POST", ["databases", _, "purge"]) => people::purge_database(order),
        _ => Err(ApiError::invalid_url()),
    }
}

/// What `GET /_emulator` answers, so that the controls can be found without the README.
const CONTROLS: [&str; 39] = [
    "GET|POST clock {now, advance_ms, freeze}",
    "GET|POST|DELETE faults {endpoint, method, path_contains, skip, times, probability, seed, fate, answer, delay_ms, retry_after, retry_date}",
    "DELETE faults/{id}",
    "GET|DELETE counters",
    "POST limits {requests, window_ms}",
    "POST caps {results, inline}",
    "POST lag {min_ms, max_ms, seed}",
    "GET|POST tokens {name, capabilities, shared, is_public}",
    "PATCH tokens/{token} {capabilities, revoked}",
    "POST share {id, token}",
    "POST unshare {id, token}",
    "POST snapshot {name}",
    "POST restore {name}",
    "POST save",
    "GET|POST|DELETE webhooks {url, types, api_version, token}",
    "POST webhooks/settings {window_ms, loss, duplicates, disorder, attempts, retry_ms}",
    "GET workspace",
    "GET data_sources/{id}/rows?offset=&limit=&trash=",
    "POST data_sources/{id}/rows {rows, count, user, created_time, step_ms}",
    "PATCH data_sources/{id} {title, properties, rename_options, user}",
    "POST pages {data_source_id, properties, user}",
    "GET pages/{id}",
    "PATCH pages/{id} {properties, is_archived, expect, user}",
    "POST pages/{id}/trash {expect, user}",
    "POST pages/{id}/restore {user}",
    "GET pages/{id}/history",
    "POST history {keep}",
    "POST pages/{id}/duplicate {user}",
    "POST pages/{id}/purge",
    "PUT pages/{id}/markdown {markdown, expect_markdown, user}",
    "POST users {name, email, kind}",
    "POST databases/{id}/trash",
    "POST databases/{id}/restore",
    "POST databases/{id}/purge",
    "GET files/{id}",
    "fates: not_applied, applied, late",
    "answers: drop, hang, truncated, slow, 400, 401, 403, 403_html, 404, 409, 409_row_limit, 429, 429_blocked, 429_workspace, 500, 502",
    "answers: 503, 503_database, 503_saved, 504, 529",
    "users are given by id, name or e-mail; the first person is meant when none is given",
];
