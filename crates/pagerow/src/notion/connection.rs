//! The one way to Notion: every call is paced, judged, and repeated only where repeating cannot do harm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use pagerow_core::mutant::{self, Mutant};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::error::{NotionError, RateScope, Refusal};
use super::pacing::{Pacing, Permit, Urgency};
use super::refusal::{self, Asked};
use super::transport::{Http, Lost, Request, Transport};
use super::wire::{Entry, WhereItBroke, WireObject};

/// The API version that every call names.
pub const NOTION_VERSION: &str = "2026-03-11";
/// Notion gives up after 60 s; a client that gives up earlier could not tell a slow write from a lost one.
pub const TIMEOUT: Duration = Duration::from_secs(70);
/// How long what takes the place of something may wait for its turn: whoever sends it has looked at the page before, and
/// the longer ago that is, the surer somebody has edited it.
const LONGEST_TURN: Duration = Duration::from_secs(3);
/// Repetitions of calls that failed for other reasons than the rate limit, as a share of all calls.
const RETRY_SHARE: f64 = 0.1;
/// So many repetitions may be saved up.
const RETRY_SAVINGS: f64 = 20.0;

/// Where and as whom to call.
#[derive(Debug, Clone)]
pub struct Address {
    /// Without a path: `https://api.notion.com`.
    pub base_url: String,
    pub token: SecretString,
}

/// How failures are waited out.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long one answer may take.
    pub timeout: Duration,
    /// Calls per request at most, the first included, when the network or Notion is in trouble.
    pub attempts: u32,
    /// Calls per request at most when Notion says there are too many.
    pub rate_limited_attempts: u32,
    /// The upper end of the first wait; doubled for each further one.
    pub first_wait: Duration,
    pub longest_wait: Duration,
    /// A `Retry-After` beyond this is handed to the caller; the connection pauses all the same.
    pub longest_retry_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            attempts: 6,
            rate_limited_attempts: 10,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            longest_retry_after: Duration::from_secs(300),
        }
    }
}

/// One answer with what came around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    pub body: T,
    /// Notion's name for the call, for its support.
    pub request_id: Option<String>,
    /// When Notion answered, on Notion's clock.
    pub server_time: Option<Timestamp>,
}

impl<T> Answer<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { body: f(self.body), request_id: self.request_id, server_time: self.server_time }
    }
}

impl<T: WireObject> Answer<Entry<T>> {
    /// The object, or why it cannot be used. After a write the error's fate is `Applied`.
    pub fn into_whole(self) -> Result<T, NotionError> {
        match self.body {
            Entry::Whole(object) => Ok(object),
            Entry::Partial { id } => Err(NotionError::OnlyId { id }),
            Entry::Other { object, id } => Err(NotionError::UnreadableAnswer {
                reason: format!("is a {object}, not a {}", T::OBJECT),
                committed: id.into_iter().collect(),
                refusal: Box::new(Refusal { status: 200, request_id: self.request_id, ..Refusal::default() }),
            }),
            Entry::Unreadable { id, reason } => Err(NotionError::UnreadableAnswer {
                reason,
                committed: id.into_iter().collect(),
                refusal: Box::new(Refusal { status: 200, request_id: self.request_id, ..Refusal::default() }),
            }),
        }
    }
}

/// What repeating a call can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it only reads.
    Read,
    /// A second change.
    Write,
    /// The same change again, over whatever somebody has saved meanwhile.
    Overwrite,
}

/// One call, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// From `/v1/` on, segments already encoded.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Bytes>,
    pub(super) effect: Effect,
    pub(super) asked: Asked,
}

impl Call {
    pub(super) fn read(method: Method, path: String, asked: Asked) -> Self {
        Self { method, path, query: Vec::new(), body: None, effect: Effect::Read, asked }
    }

    pub(super) fn write(method: Method, path: String, body: Bytes, asked: Asked) -> Self {
        Self { method, path, query: Vec::new(), body: Some(body), effect: Effect::Write, asked }
    }

    pub(super) fn overwrite(method: Method, path: String, body: Bytes, asked: Asked) -> Self {
        Self { effect: Effect::Overwrite, ..Self::write(method, path, body, asked) }
    }

    pub(super) fn with_query(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query = query;
        self
    }

    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

/// A token's connection: transport, pace and retry budget.
#[derive(Debug)]
pub(super) struct Connection {
    transport: Arc<dyn Transport>,
    base_url: String,
    /// What every call carries, the token included.
    headers: HeaderMap,
    pacing: Arc<Pacing>,
    patience: Patience,
    retry_savings: Mutex<f64>,
}

/// What one attempt brought.
enum Attempt<T> {
    Done(Answer<T>),
    Failed(NotionError),
}

impl Connection {
    pub(super) fn new(
        address: &Address,
        pacing: Arc<Pacing>,
        patience: Patience,
    ) -> Result<Self, NotionError> {
        let base = Url::parse(address.base_url.trim_end_matches('/'))
            .map_err(|error| NotionError::Unsendable(format!("base_url: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(NotionError::Unsendable("base_url must begin with https:// or http://".to_owned()));
        }
        let http = Http::new(&base, patience.timeout)
            .map_err(|error| NotionError::Unsendable(format!("no HTTP client: {error}")))?;
        Self::over(Arc::new(http), address, pacing, patience)
    }

    pub(super) fn over(
        transport: Arc<dyn Transport>,
        address: &Address,
        pacing: Arc<Pacing>,
        patience: Patience,
    ) -> Result<Self, NotionError> {
        let mut token = HeaderValue::try_from(format!("Bearer {}", address.token.expose_secret().trim()))
            .map_err(|_| {
                NotionError::Unsendable("the token holds characters that no token has".to_owned())
            })?;
        token.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, token),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("notion-version"), HeaderValue::from_static(NOTION_VERSION)),
        ]);
        let base_url = address.base_url.trim_end_matches('/').to_owned();
        Ok(Self { transport, base_url, headers, pacing, patience, retry_savings: Mutex::new(RETRY_SAVINGS) })
    }

    pub(super) fn pacing(&self) -> &Arc<Pacing> {
        &self.pacing
    }

    /// Sends a call until it succeeds, fails for good, or repeating it would be unsafe or pointless.
    ///
    /// Reads are repeated on any passing failure. Writes are repeated only after failures that certainly changed
    /// nothing: no connection, 429, 529. Everything else of a write is for the caller to look into, and so is all of a
    /// write that takes the place of something: after a wait that may be something else.
    pub(super) async fn request<T>(
        &self,
        call: &Call,
        urgency: Urgency,
        sent: &AtomicU64,
        decode: impl Fn(&[u8]) -> Result<T, WhereItBroke>,
    ) -> Result<Answer<T>, NotionError> {
        let url = self.url(call)?;
        self.save_up();
        let mut troubles = 0;
        let mut refusals = 0;
        loop {
            let asked = Instant::now();
            let permit = self.pacing.admit(urgency).await;
            if call.effect == Effect::Overwrite && asked.elapsed() > LONGEST_TURN {
                permit.unsent();
                return Err(NotionError::Overdue);
            }
            sent.fetch_add(1, Ordering::Relaxed);
            let error = match self.attempt(call, url.clone(), permit, &decode).await {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Failed(error) => error,
            };
            let wait = match &error {
                NotionError::RateLimited { .. } | NotionError::Overloaded { .. } => {
                    refusals += 1;
                    let may_repeat = call.effect != Effect::Overwrite && self.was_not_taken(&error);
                    // The pause of the whole connection is the wait.
                    (may_repeat && refusals < self.patience.rate_limited_attempts).then_some(Duration::ZERO)
                }
                _ if repeatable(&error, call.effect) => {
                    troubles += 1;
                    (troubles < self.patience.attempts && self.spend()).then(|| self.back_off(troubles))
                }
                _ => None,
            };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(attempt = troubles + refusals, %error, "a call to Notion is repeated");
            self.pacing.note_retry();
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether Notion has not taken a call, and will if it is sent again before long.
    pub(super) fn was_not_taken(&self, error: &NotionError) -> bool {
        match error {
            NotionError::RateLimited { scope: RateScope::Blocked, .. } => false,
            NotionError::RateLimited { retry_after, .. } | NotionError::Overloaded { retry_after, .. } => {
                retry_after.is_none_or(|wait| wait <= self.patience.longest_retry_after)
            }
            error => matches!(
                error,
                NotionError::Conflict { .. } | NotionError::Unconnected(_) | NotionError::Overdue
            ),
        }
    }

    async fn attempt<T>(
        &self,
        call: &Call,
        url: Url,
        permit: Permit,
        decode: impl Fn(&[u8]) -> Result<T, WhereItBroke>,
    ) -> Attempt<T> {
        let mut headers = self.headers.clone();
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = Request { method: call.method.clone(), url, headers, body: call.body.clone() };
        let response = match self.transport.send(request).await {
            Ok(response) => response,
            Err(how) => {
                if let Lost::Unsent(_) = how {
                    permit.unsent();
                }
                return Attempt::Failed(how.into());
            }
        };
        let (status, headers, body) = (response.status, response.headers, response.body);
        if !StatusCode::from_u16(status).is_ok_and(|status| status.is_success()) {
            // The status alone is telling when its body was lost.
            let body = body.unwrap_or_default();
            let error = refusal::error(status, &headers, &body, &call.asked);
            match &error {
                NotionError::RateLimited { scope, retry_after, .. } if *scope != RateScope::Blocked => {
                    permit.refused(*retry_after);
                }
                NotionError::Overloaded { retry_after, .. } => permit.refused(*retry_after),
                _ => permit.answered(),
            }
            return Attempt::Failed(error);
        }
        permit.answered();
        let unreadable = |reason: String| {
            let refusal = Refusal { status, request_id: refusal::request_id(&headers), ..Refusal::default() };
            NotionError::UnreadableAnswer { reason, committed: Vec::new(), refusal: Box::new(refusal) }
        };
        let body = match body {
            Ok(body) => body,
            Err(how) if call.effect == Effect::Read => return Attempt::Failed(how.into()),
            Err(_) => return Attempt::Failed(unreadable("was cut off".to_owned())),
        };
        match decode(&body) {
            Ok(decoded) => Attempt::Done(Answer {
                body: decoded,
                request_id: refusal::request_id(&headers),
                server_time: refusal::server_time(&headers),
            }),
            Err(broke) => Attempt::Failed(unreadable(broke.to_string())),
        }
    }

    fn url(&self, call: &Call) -> Result<Url, NotionError> {
        let mut url = Url::parse(&format!("{}{}", self.base_url, call.path))
            .map_err(|error| NotionError::Unsendable(format!("the address: {error}")))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    /// Full jitter: anything between nothing and the doubled wait, so that callers do not return in step.
    fn back_off(&self, troubles: u32) -> Duration {
        let doubled = self.patience.first_wait.saturating_mul(1 << (troubles - 1).min(16));
        doubled.min(self.patience.longest_wait).mul_f64(self.pacing.chance())
    }

    fn save_up(&self) {
        let mut savings = self.retry_savings.lock().unwrap_or_else(PoisonError::into_inner);
        *savings = (*savings + RETRY_SHARE).min(RETRY_SAVINGS);
    }

    /// Whether a repetition can be afforded: a Notion that fails everything is not sent everything six times.
    fn spend(&self) -> bool {
        let mut savings = self.retry_savings.lock().unwrap_or_else(PoisonError::into_inner);
        if *savings < 1.0 {
            return false;
        }
        *savings -= 1.0;
        true
    }
}

/// Whether the call may be sent again after this failure without looking first.
fn repeatable(error: &NotionError, effect: Effect) -> bool {
    match error {
        NotionError::Unconnected(_) => effect != Effect::Overwrite,
        NotionError::Server(_)
        | NotionError::ConnectionLost(_)
        | NotionError::Timeout
        | NotionError::UnreadableAnswer { .. } => {
            effect == Effect::Read || mutant::is(Mutant::WritesAreRepeated)
        }
        _ => false,
    }
}

impl From<Lost> for NotionError {
    fn from(how: Lost) -> Self {
        match how {
            Lost::Unsent(cause) => Self::Unconnected(cause),
            Lost::Broken(cause) => Self::ConnectionLost(cause),
            Lost::Timeout => Self::Timeout,
        }
    }
}
