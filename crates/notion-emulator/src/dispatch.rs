//! The way of a request: path, version, token, limit, fault, JSON, handler; then the answer, or what a fault left of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, header},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock, control,
    error::{ApiError, Result},
    faults::{Answer, Fate, Rule},
    ids,
    reply::Reply,
    routes::{self, Handler},
    server::{Shared, Switch},
    token::Token,
    version::Version,
};

/// File parts may be 20 MB; JSON bodies are held to less.
const MAX_BODY: usize = 25 * 1024 * 1024;
const MAX_JSON: usize = 500_000;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) version: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

pub(crate) async fn handle(shared: Arc<Shared>, switch: Switch, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let is_control = !path.starts_with("/v1/");
    let max = if is_control { usize::MAX } else { MAX_BODY };
    let Ok(body) = axum::body::to_bytes(body, max).await else {
        let error = ApiError::validation("The request body is too large.");
        return Reply::error(&error, ids::fresh()).into_response();
    };
    let incoming = Incoming {
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        version: text(&parts.headers, "notion-version"),
        authorization: text(&parts.headers, header::AUTHORIZATION.as_str()),
        content_type: text(&parts.headers, header::CONTENT_TYPE.as_str()),
        body,
    };
    if is_control {
        return control::handle(shared, incoming).await;
    }
    let mut response = api(shared.clone(), switch, incoming).await;
    // By the same clock as every other time: clients tell by it how long ago an edit was.
    if let Ok(now) = HeaderValue::from_str(&clock::http_text(shared.read().now())) {
        response.headers_mut().insert(header::DATE, now);
    }
    response
}

fn text(headers: &HeaderMap<HeaderValue>, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn api(shared: Arc<Shared>, switch: Switch, incoming: Incoming) -> Response<Body> {
    let request_id = ids::fresh();
    let Some((endpoint, handler)) = find(&incoming) else {
        shared.counters().count("unknown", Some(400));
        return Reply::error(&ApiError::invalid_url(), request_id).into_response();
    };
    let admitted = admit(&shared, &incoming, Instant::now());
    if let Err(error) = admitted {
        shared.counters().count(endpoint, Some(error.status));
        return Reply::error(&error, request_id).into_response();
    }
    let rule = if shared.faults().is_empty() {
        None
    } else {
        shared.faults_mut().take(&incoming.method, endpoint, &incoming.path)
    };
    match rule {
        None => {
            let reply = carry_out(&shared, &incoming, handler, request_id);
            shared.counters().count(endpoint, Some(reply.status));
            reply.into_response()
        }
        Some(rule) => with_fault(shared, switch, incoming, (endpoint, handler), rule, request_id).await,
    }
}

/// Carries out a request without looking at faults.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming, now: Instant) -> Reply {
    let request_id = ids::fresh();
    let (endpoint, reply) = match find(incoming) {
        None => ("unknown", Err(ApiError::invalid_url())),
        Some((endpoint, handler)) => {
            let admitted = admit(shared, incoming, now);
            (endpoint, admitted.map(|()| carry_out(shared, incoming, handler, request_id)))
        }
    };
    let reply = reply.unwrap_or_else(|error| Reply::error(&error, request_id));
    shared.counters().count(endpoint, Some(reply.status));
    reply
}

fn find(incoming: &Incoming) -> Option<(&'static str, Handler)> {
    routes::find(&incoming.method, &pieces(incoming))
}

/// The path's pieces after `/v1`.
fn pieces(incoming: &Incoming) -> Vec<&str> {
    incoming.path["/v1/".len()..].split('/').filter(|piece| !piece.is_empty()).collect()
}

/// Version, token and limit.
fn admit(shared: &Shared, incoming: &Incoming, now: Instant) -> Result<()> {
    if incoming.path.starts_with("/v1/oauth/") {
        return Ok(());
    }
    Version::from_header(incoming.version.as_deref())?;
    let token = find_token(shared, incoming)?;
    shared.limiter().take(&token.token, now).map_err(ApiError::rate_limited)
}

fn find_token(shared: &Shared, incoming: &Incoming) -> Result<Arc<Token>> {
    let header = incoming.authorization.as_deref().unwrap_or_default();
    let text = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer ")).unwrap_or_default();
    let world = shared.read();
    match world.tokens.get(text) {
        Some(token) if !token.revoked => Ok(token.clone()),
        _ => Err(ApiError::unauthorized()),
    }
}

async fn with_fault(
    shared: Arc<Shared>,
    switch: Switch,
    incoming: Incoming,
    (endpoint, handler): (&'static str, Handler),
    rule: Rule,
    request_id: Uuid,
) -> Response<Body> {
    shared.counters().faults += 1;
    let real = match rule.fate {
        Fate::NotApplied => None,
        Fate::Applied => Some(carry_out(&shared, &incoming, handler, request_id)),
        Fate::Late => {
            let shared = shared.clone();
            let wait = Duration::from_millis(rule.delay_ms);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                carry_out(&shared, &incoming, handler, request_id)
            });
            None
        }
    };
    let count = |status: Option<u16>| shared.counters().count(endpoint, status);
    match rule.answer {
        Answer::Drop => {
            count(None);
            switch.cut();
            Response::new(Body::empty())
        }
        Answer::Hang => {
            count(None);
            let mut stop = shared.stopping();
            // An error means that the sender is gone, which is a stop too.
            let _stopped = stop.wait_for(|stop| *stop).await;
            switch.cut();
            Response::new(Body::empty())
        }
        Answer::Slow => {
            let mut stop = shared.stopping();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(rule.delay_ms)) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            let reply = real.unwrap_or_else(|| rule.reply(request_id, None));
            count(Some(reply.status));
            reply.into_response()
        }
        Answer::Truncated => {
            let reply = real.unwrap_or_else(|| rule.reply(request_id, None));
            count(None);
            truncated(reply)
        }
        _ => {
            let reply = rule.reply(request_id, real.as_ref());
            count(Some(reply.status));
            let wait = reply.retry_after.filter(|_| rule.retry_date);
            let mut response = reply.into_response();
            if let Some(seconds) = wait {
                let until = shared.read().now() + i64::try_from(seconds).unwrap_or(0) * 1000;
                if let Ok(until) = HeaderValue::from_str(&clock::http_text(until)) {
                    response.headers_mut().insert(header::RETRY_AFTER, until);
                }
            }
            response
        }
    }
}

/// The whole length is promised, half of it is sent, then the connection breaks.
fn truncated(reply: Reply) -> Response<Body> {
    let whole = Bytes::from(reply.body.clone());
    let half = whole.slice(..whole.len() / 2);
    let mut response = reply.into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let first = stream::once(async { Ok(half) });
    let second = stream::once(async {
        // The first half has to leave before the connection breaks.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
    });
    *response.body_mut() = Body::from_stream(first.chain(second));
    response
}

/// Runs the handler; every mistake becomes its answer.
fn carry_out(shared: &Shared, incoming: &Incoming, handler: Handler, request_id: Uuid) -> Reply {
    run(shared, incoming, handler, request_id).unwrap_or_else(|error| Reply::error(&error, request_id))
}

fn run(shared: &Shared, incoming: &Incoming, handler: Handler, request_id: Uuid) -> Result<Reply> {
    let path = pieces(incoming);
    let (version, token) = if path.first() == Some(&"oauth") {
        // These know the client by HTTP Basic instead.
        (Version::V2025, Arc::new(Token::nobody()))
    } else {
        (Version::from_header(incoming.version.as_deref())?, find_token(shared, incoming)?)
    };
    let is_multipart =
        incoming.content_type.as_deref().is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let body = if is_multipart { Json::Object(Map::new()) } else { parse_body(&incoming.body)? };
    let call = Call {
        shared,
        version,
        token,
        path,
        query: parse_query(&incoming.query),
        body,
        raw: if is_multipart { incoming.body.clone() } else { Bytes::new() },
        content_type: incoming.content_type.as_deref(),
        authorization: incoming.authorization.as_deref(),
        request_id,
    };
    handler(&call)
}

/// The JSON of a body; an empty one is `{}`.
pub(crate) fn parse_body(body: &Bytes) -> Result<Json> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Json::Object(Map::new()));
    }
    if body.len() > MAX_JSON {
        return Err(ApiError::validation(format!(
            "body failed validation: body.length should be ≤ `{MAX_JSON}`, instead was `{}`.",
            body.len()
        )));
    }
    serde_json::from_slice(body).map_err(|_| ApiError::new(400, "invalid_json", "Error parsing JSON body."))
}

/// The pairs of a query string, decoded.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let plain = |text: &str| ids::decode(&text.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plain(key), plain(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_are_decoded() {
        let pairs = parse_query("filter_properties%5B%5D=%253CnJT&page_size=5&x");
        assert_eq!(pairs[0], ("filter_properties[]".into(), "%3CnJT".into()));
        assert_eq!(pairs[1], ("page_size".into(), "5".into()));
        assert_eq!(pairs[2], ("x".into(), String::new()));
    }

    #[test]
    fn bodies_are_json_or_nothing() {
        assert_eq!(parse_body(&Bytes::new()).unwrap(), Json::Object(Map::new()));
        assert_eq!(parse_body(&Bytes::from_static(b"{")).unwrap_err().code, "invalid_json");
        let huge = Bytes::from(format!("\"{}\"", "x".repeat(MAX_JSON)));
        assert_eq!(parse_body(&huge).unwrap_err().code, "validation_error");
    }
}
