//! The way between an engine and Notion: how long it takes, and what gets lost on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use notion_emulator::{Fault, InProcess};
use pagerow::notion::{
    connection::TIMEOUT,
    transport::{Lost, Request, Response, Transport},
};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value as Json;
use tokio::sync::oneshot;

use crate::{
    model::Server,
    people::Ledger,
    script::{Call, NetworkFault, NetworkKind, Says},
    stage::Stage,
};

/// The network with Notion at its end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Network {
    /// As the engine at this end sees it.
    pub(crate) server: Server,
    pub(crate) stage: Arc<Stage>,
    pub(crate) notion: Arc<InProcess>,
    pub(crate) ledger: Arc<Ledger>,
    /// Until when Notion has asked this engine to wait, in milliseconds since the beginning.
    pub(crate) waits_until: Arc<AtomicU64>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Transport for Network {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, Lost>> {
        Box::pin(async move {
            let now = self.stage.elapsed();
            if now < self.waits_until.load(Ordering::Relaxed) {
                self.stage.blame(format!("a call to {} while Notion asked to wait", request.url.path()));
            }
            let call = kind_of(&request);
            let answer = self.carry(request).await;
            if let Some(slow) = self.stage.answered(call) {
                self.stage.pass(slow, slow).await;
            }
            if let Ok(Response { status: 429 | 529, headers, .. }) = &answer {
                let wait = headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                let until = self.stage.elapsed() + wait.unwrap_or(0) * 1000;
                self.waits_until.fetch_max(until, Ordering::Relaxed);
            }
            answer
        })
    }
}

impl Network {
    async fn carry(&self, request: Request) -> Result<Response, Lost> {
        let is_write = changes_something(&request);
        if is_write && self.server.is_ousted() {
            self.stage.blame(format!("a call to {} by an engine whose lease is gone", request.url.path()));
        }
        let sent = self.stage.elapsed();
        self.stage.pass(0, 20).await;
        let broken = || Lost::Broken("the connection was reset".into());
        let fault = self.stage.network_fault(is_write, kind_of(&request) == Call::Question);
        if let Some(NetworkFault { kind, .. }) = &fault {
            self.stage.count(kind.name());
            self.stage.tell(|| format!("{} {} {}", kind.name(), request.method, request.url.path()));
        }
        if self.stage.is_out() {
            self.stage.count("call: Notion cannot be reached");
            return Err(Lost::Unsent("no route to host".into()));
        }
        let delay = self.stage.between(5, 150);
        match fault.map(|fault| fault.kind) {
            None => self.arrive(request, sent, delay).await.map_err(|_| broken()),
            Some(NetworkKind::Unsent) => Err(Lost::Unsent("connection refused".into())),
            Some(NetworkKind::Broken { applied }) => {
                let _on_its_way = applied.then(|| self.arrive(request, sent, delay));
                self.stage.pass(0, 300).await;
                Err(broken())
            }
            Some(NetworkKind::Late { after }) => {
                let _on_its_way = self.arrive(request, sent, after);
                self.stage.pass(0, 300).await;
                Err(broken())
            }
            Some(NetworkKind::Hang { applied }) => {
                let _on_its_way = applied.then(|| self.arrive(request, sent, delay));
                tokio::time::sleep(TIMEOUT).await;
                Err(Lost::Timeout)
            }
            Some(NetworkKind::Slow { by }) => {
                let answer = self.arrive(request, sent, delay).await;
                tokio::time::sleep(Duration::from_millis(by)).await;
                answer.map_err(|_| broken())
            }
            Some(NetworkKind::Truncated) => {
                let answer = self.arrive(request, sent, delay).await.map_err(|_| broken())?;
                Ok(Response { body: Err(broken()), ..answer })
            }
            Some(NetworkKind::Says { status, applied }) => {
                let real = if applied {
                    Some(self.arrive(request, sent, delay).await.map_err(|_| broken())?)
                } else {
                    self.stage.pass(5, 150).await;
                    None
                };
                Ok(self.instead(status, real))
            }
        }
    }

    /// What a fault says in place of the truth.
    fn instead(&self, status: Says, real: Option<Response>) -> Response {
        let (fault, wait) = match status {
            Says::Limited(seconds) => (Fault::RateLimited, seconds),
            Says::WorkspaceLimited(seconds) => (Fault::WorkspaceLimited, seconds),
            Says::Overloaded(seconds) => (Fault::Overloaded, seconds),
            Says::Collision => (Fault::Conflict, 0),
            Says::Error => (Fault::InternalError, 0),
            Says::BadGateway => (Fault::BadGateway, 0),
            Says::Unavailable => (Fault::Unavailable, 0),
            Says::Saved => (Fault::Saved, 0),
            Says::Timeout => (Fault::GatewayTimeout, 0),
        };
        let real = real.map(|real| notion_emulator::Response {
            status: real.status,
            headers: Vec::new(),
            body: real.body.unwrap_or_default(),
        });
        if let Some(real) = real.as_ref().filter(|real| real.status != 200) {
            // It was refused for a reason of its own, and says so.
            return response(real);
        }
        response(&self.notion.fault(fault, real.as_ref(), wait, self.stage.notion_now()))
    }

    /// From here on the request is on its way, whatever becomes of the one who sent it.
    fn arrive(&self, request: Request, sent: u64, delay: u64) -> oneshot::Receiver<Response> {
        let (back, answer) = oneshot::channel();
        let network = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            let response = network.answer(&request, sent);
            network.stage.pass(1, 50).await;
            // Nobody may be waiting any more.
            let _gone = back.send(response);
        });
        answer
    }

    fn answer(&self, request: &Request, sent: u64) -> Response {
        let header = |name: HeaderName| {
            request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let asked = notion_emulator::Request {
            method: request.method.as_str().to_owned(),
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            version: header(HeaderName::from_static("notion-version")),
            authorization: header(AUTHORIZATION),
            body: request.body.clone().unwrap_or_default(),
        };
        let answer = self.notion.call(&asked, self.stage.notion_now());
        if changes_something(request) {
            self.stage.tell(|| {
                let body = String::from_utf8_lossy(&asked.body);
                format!("{} {} {body} → {}", asked.method, asked.path, answer.status)
            });
            if answer.status == 200 {
                self.ledger.pagerow_wrote(&asked, &answer.json(), sent, self.stage.elapsed());
            }
        } else {
            self.stage.tell(|| format!("{} {} → {}", asked.method, asked.path, answer.status));
        }
        response(&answer)
    }
}

fn response(answer: &notion_emulator::Response) -> Response {
    let headers = answer.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    });
    Response {
        status: answer.status,
        headers: HeaderMap::from_iter(headers),
        body: Ok(Bytes::clone(&answer.body)),
    }
}

/// Whether repeating the request could do harm.
fn changes_something(request: &Request) -> bool {
    let path = request.url.path();
    request.method != Method::GET && !path.ends_with("/query") && !path.ends_with("/search")
}

fn kind_of(request: &Request) -> Call {
    let is_of_page = request.url.path().starts_with("/v1/pages/");
    match request.method {
        _ if changes_something(request) => Call::Write,
        Method::GET if is_of_page => Call::Question,
        _ => Call::List,
    }
}

/// The properties that a request's body names.
pub(crate) fn properties(body: &Bytes) -> Vec<String> {
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    json["properties"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
}
