//! The emulator without a socket: a request and the time go in, the answer comes out, and everything else follows from
//! one seed.
//!
//! ```
//! use notion_emulator::{InProcess, Request};
//!
//! let notion = InProcess::new(7, 1_783_156_133_017);
//! let answer = notion.call(&Request::control("GET", "clock"), 1_783_156_133_017);
//! assert_eq!((answer.status, answer.json()["now"].as_str()), (200, Some("2026-07-04T09:08:53.017Z")));
//! ```

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value as Json;

pub use crate::faults::Answer as Fault;
use crate::{
    chance::{self, Chance},
    clock::{self, Clock, Millis},
    control,
    dispatch::{self, Incoming},
    faults::Rule,
    ids,
    limiter::Limiter,
    reply::Reply,
    seed,
    server::Shared,
};

/// A workspace of its own.
#[derive(Debug)]
pub struct InProcess {
    shared: Arc<Shared>,
    chance: Mutex<Chance>,
    /// The instant that stands for the time of the start, for the limiter.
    origin: Instant,
    started: Millis,
}

/// A request, to `/v1/…` or to `/_emulator/…`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Still encoded.
    pub query: String,
    /// `Notion-Version`.
    pub version: Option<String>,
    pub authorization: Option<String>,
    pub body: Bytes,
}

/// What it was answered.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Request {
    /// A request to `/_emulator/{path}`.
    #[must_use]
    pub fn control(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: format!("/_emulator/{path}"), ..Self::default() }
    }

    /// The same with a body.
    #[must_use]
    pub fn with(self, body: &Json) -> Self {
        Self { body: Bytes::from(body.to_string()), ..self }
    }
}

impl Response {
    /// The body; null when it is no JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn of(reply: Reply, now: Millis) -> Self {
        let mut headers = vec![
            ("content-type", reply.content_type.to_owned()),
            // By the same clock as every other time.
            ("date", clock::http_text(now)),
        ];
        if !reply.request_id.is_nil() {
            headers.push(("x-notion-request-id", reply.request_id.to_string()));
        }
        headers.extend(reply.retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        Self { status: reply.status, headers, body: Bytes::from(reply.body) }
    }
}

impl InProcess {
    /// A fresh workspace, in which it is `now` (milliseconds since 1970). Ids and tokens follow from the seed, and there
    /// is no rate limit until `POST /_emulator/limits` sets one.
    #[must_use]
    pub fn new(seed: u64, now: i64) -> Self {
        let mut chance = Chance::seeded(seed);
        let world = chance::under(&mut chance, || seed::workspace(None, Clock::at(now)));
        let limiter = Limiter::new(None, Duration::from_secs(60));
        let shared = Arc::new(Shared::new(world, limiter, "http://notion.invalid".to_owned(), None));
        Self { shared, chance: Mutex::new(chance), origin: Instant::now(), started: now }
    }

    /// The first connection's token.
    #[must_use]
    pub fn token(&self) -> String {
        self.shared.read().first_token.clone()
    }

    /// The page that is shared with the first connection.
    #[must_use]
    pub fn parent_page_id(&self) -> String {
        self.shared.read().parent_page_id.to_string()
    }

    /// Carries a request out at a time, whole and at once. Rules set by `POST /_emulator/faults` are not looked at: what
    /// becomes of a request on its way is the caller's to decide.
    pub fn call(&self, request: &Request, now: i64) -> Response {
        self.shared.write().clock.set(now);
        let incoming = Incoming {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            version: request.version.clone(),
            authorization: request.authorization.clone(),
            content_type: Some("application/json".to_owned()),
            body: request.body.clone(),
        };
        let since = Duration::from_millis(u64::try_from(now - self.started).unwrap_or(0));
        let reply = self.drawing(|| {
            if incoming.path.starts_with("/v1/") {
                dispatch::answer(&self.shared, &incoming, self.origin + since)
            } else {
                control::answer(&self.shared, &incoming)
            }
        });
        Response::of(reply, now)
    }

    /// What a fault answers in place of `real`, the answer of a request that was carried out, or of one that was not.
    /// 429 and 529 ask for `retry_after` seconds.
    pub fn fault(&self, fault: Fault, real: Option<&Response>, retry_after: u64, now: i64) -> Response {
        let real =
            real.map(|real| Reply::raw(real.status, "", String::from_utf8_lossy(&real.body).into_owned()));
        let rule = Rule::answering(fault, retry_after);
        Response::of(self.drawing(|| rule.reply(ids::fresh(), real.as_ref())), now)
    }

    fn drawing<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance::under(&mut chance, work)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const START: i64 = 1_783_156_133_017;

    fn make_database(notion: &InProcess) -> Response {
        let body = json!({
            "parent": {"type": "page_id", "page_id": notion.parent_page_id()},
            "title": [{"text": {"content": "T"}}],
            "initial_data_source": {"properties": {"Name": {"title": {}}}},
        });
        let request = Request {
            method: "POST".into(),
            path: "/v1/databases".into(),
            version: Some("2026-03-11".into()),
            authorization: Some(format!("Bearer {}", notion.token())),
            ..Request::default()
        };
        notion.call(&request.with(&body), START + 1000)
    }

    #[test]
    fn one_seed_is_one_workspace() {
        let made = |seed| make_database(&InProcess::new(seed, START));
        assert_eq!(made(1).status, 200);
        assert_eq!(made(1).body, made(1).body);
        assert_ne!(made(1).body, made(2).body);
    }

    #[test]
    fn a_fault_answers_in_place_of_the_truth() {
        let notion = InProcess::new(1, START);
        let real = make_database(&notion);
        let saved = notion.fault(Fault::Saved, Some(&real), 0, START);
        assert_eq!(saved.json()["additional_data"]["committed_resource_id"], real.json()["id"]);
        let limited = notion.fault(Fault::RateLimited, None, 9, START);
        assert!(limited.status == 429 && limited.headers.contains(&("retry-after", "9".to_owned())));
    }

    #[test]
    fn the_limit_follows_the_time_that_is_given() {
        let notion = InProcess::new(1, START);
        notion.call(&Request::control("POST", "limits").with(&json!({"requests": 1})), START);
        assert_eq!([make_database(&notion).status, make_database(&notion).status], [200, 429]);
    }
}
