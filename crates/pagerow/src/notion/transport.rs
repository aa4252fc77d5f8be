//! How one request reaches Notion and its answer comes back, or how they were lost: the seam below which nothing is known
//! of Notion.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

/// One request, whole: the token is among its headers.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// Lost when the connection broke after the head.
    pub body: Result<Bytes, Lost>,
}

/// Why nothing came back.
#[derive(Debug)]
pub enum Lost {
    /// Before anything was sent.
    Unsent(Cause),
    /// At some time after that.
    Broken(Cause),
    /// Nothing came in time.
    Timeout,
}

/// What the layer below says. It must not hold the address's credentials.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Sends requests, each of them once.
pub trait Transport: Debug + Send + Sync {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, Lost>>;
}

/// HTTP.
#[derive(Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    /// One pool of connections to the host of `base`.
    pub(super) fn new(base: &Url, timeout: Duration) -> Result<Self, Cause> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("pagerow/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect would send a write, and the token, to somewhere nobody named.
            .redirect(reqwest::redirect::Policy::none())
            // Which calls are repeated is decided above, not below.
            .retry(reqwest::retry::never())
            .gzip(true);
        if is_this_machine(base) {
            builder = builder.no_proxy();
        }
        Ok(Self(builder.build()?))
    }
}

impl Transport for Http {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, Lost>> {
        let mut builder = self.0.request(request.method, request.url).headers(request.headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        Box::pin(async move {
            let response = match builder.send().await {
                Ok(response) => response,
                Err(error) if error.is_connect() || error.is_builder() => {
                    return Err(Lost::Unsent(error.without_url().into()));
                }
                Err(error) => return Err(lost(error)),
            };
            Ok(Response {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.bytes().await.map_err(lost),
            })
        })
    }
}

fn lost(error: reqwest::Error) -> Lost {
    if error.is_timeout() { Lost::Timeout } else { Lost::Broken(error.without_url().into()) }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
