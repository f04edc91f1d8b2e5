//! The one place that sends. It says of every failure whether the request may have arrived.

use std::cell::{Cell, OnceCell};
use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, redirect};
use tokio::time::Instant;
use tower::util::AndThenLayer;
use url::Url;

use super::proxy;
use super::resolver::{NameUnknown, SystemResolver};
use super::retry::{http_date, retry_after};
use super::tls;
use super::trace::{PREFACE, body_lines, header_value, lets_in};
use crate::domain::{ApiBase, IdempotencyKey, Invalid, Secret};

/// Names the program to the service.
const USER_AGENT: &str = concat!("kallyai/", env!("CARGO_PKG_VERSION"));

/// A NAT forgets a silent connection after minutes; a call is silent for minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Connections that are kept for the next request; more than one only where requests are made side by side.
const KEPT_CONNECTIONS: usize = 4;

/// The longest any connection may take to be made: name, TCP, proxy and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No answer of the API comes near this; what does is not an answer.
const LARGEST_BODY: usize = 512 * 1024 * 1024;
/// An announced length is believed this far, in bytes, before the body is there.
const LARGEST_CLAIM: u64 = 16 * 1024 * 1024;

/// Receives a line for each thing sent and received, secrets redacted.
pub type Trace = Rc<dyn Fn(&str)>;

/// Runs when a connection stands, before the request is written; an error keeps it from being written.
pub type BeforeWrite = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> + Send + Sync>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// A way to the API.
pub struct Http {
    base: ApiBase,
    trace: Option<Trace>,
    has_traced: Cell<bool>,
    /// Made when first needed: reading certificates is most of what a start costs.
    tls: OnceCell<rustls::ClientConfig>,
    reads: OnceCell<Client>,
}

/// One request. The body is JSON.
pub struct Request<'a> {
    /// GET or POST.
    pub method: Method,
    /// A route of the base.
    pub url: Url,
    /// Sent to the base's origin and nowhere else: redirects are not followed.
    pub bearer: Option<&'a Secret>,
    /// The `Idempotency-Key` header.
    pub key: Option<&'a IdempotencyKey>,
    /// The body, and whether it may be shown.
    pub body: Option<JsonBody>,
}

/// A JSON body to be sent.
pub struct JsonBody {
    /// The document.
    pub json: Vec<u8>,
    /// Whether it holds a token.
    pub secret: bool,
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The server's clock when it answered.
    pub date: Option<Timestamp>,
    /// Where a redirect points: its host only.
    pub redirect: Option<String>,
    /// The body, unpacked.
    pub body: Vec<u8>,
}

/// No answer. `Display` says what happened, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing could be sent: certificates or a proxy's address cannot be used.
    #[error("{0}")]
    Setup(Invalid),
    /// The request was certainly not sent: no connection was made.
    #[error("{why}")]
    NeverSent {
        /// What happened, as a sentence.
        why: String,
        /// Whether another attempt could end differently.
        retryable: bool,
    },
    /// The request may have arrived; its answer did not.
    #[error("{why}")]
    Lost {
        /// What happened, as a sentence.
        why: String,
    },
}

impl Http {
    /// A way to `base`. Nothing is read or opened before the first request.
    pub fn new(base: ApiBase, trace: Option<Trace>) -> Self {
        Self { base, trace, has_traced: Cell::new(false), tls: OnceCell::new(), reads: OnceCell::new() }
    }

    /// The base all routes are under.
    pub fn base(&self) -> &ApiBase {
        &self.base
    }

    /// Who is shown what is sent and received, if anybody is.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Sends on a kept connection where there is one, and waits for the whole answer until `deadline`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Request<'_>, deadline: Instant) -> Result<Response, SendError> {
        let reads = match self.reads.get() {
            Some(reads) => reads,
            None => {
                let reads = self.builder(CONNECT_TIMEOUT, true)?.build().map_err(cannot_build)?;
                self.reads.get_or_init(|| reads)
            }
        };
        self.execute(reads, request, deadline).await
    }

    /// Sends on a connection made for this request alone, at most once: what happened to a kept connection can never
    /// make it doubtful whether the request was sent. Connecting may take until `connect_by`; once it is done
    /// `before_write` runs, and only then the request's first byte is written.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_fresh(
        &self,
        request: Request<'_>,
        connect_by: Instant,
        deadline: Instant,
        before_write: BeforeWrite,
    ) -> Result<Response, SendError> {
        let never_sent = |why, retryable| SendError::NeverSent { why, retryable };
        let time = connect_by.min(deadline).saturating_duration_since(Instant::now());
        if time.is_zero() {
            return Err(never_sent(format!("no time was left to ask {}", self.base.host()), false));
        }
        let connected = Arc::new(AtomicBool::new(false));
        let layer = AndThenLayer::new(hook(before_write, Arc::clone(&connected)));
        let client = self.builder(time, false)?.connector_layer(layer).build().map_err(cannot_build)?;
        let sent = self.execute(&client, request, deadline).await;
        match sent {
            Err(SendError::Lost { why }) if !connected.load(Ordering::SeqCst) => Err(never_sent(why, true)),
            sent => sent,
        }
    }

    /// The settings of an HTTP client; certificates are read only for an HTTPS base.
    fn builder(&self, connect: Duration, keep: bool) -> Result<reqwest::ClientBuilder, SendError> {
        let tls = match self.tls.get() {
            Some(tls) => tls,
            None => {
                if self.base.is_tls() && !self.base.is_loopback() {
                    proxy::check(self.base.host_name()).map_err(SendError::Setup)?;
                }
                let tls = if self.base.is_tls() { tls::client_config() } else { tls::unused() };
                let tls = tls.map_err(SendError::Setup)?;
                self.tls.get_or_init(|| tls)
            }
        };
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(SystemResolver)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(connect)
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_keepalive_interval(KEEP_ALIVE)
            .pool_max_idle_per_host(if keep { KEPT_CONNECTIONS } else { 0 });
        Ok(if self.base.is_loopback() { builder.no_proxy() } else { builder })
    }

    async fn execute(
        &self,
        client: &Client,
        request: Request<'_>,
        deadline: Instant,
    ) -> Result<Response, SendError> {
        self.trace_request(&request);
        let hide_response = request.body.as_ref().is_some_and(|body| body.secret) || lets_in(&request.url);
        let mut builder =
            client.request(request.method, request.url).header(ACCEPT, "application/json, text/calendar");
        if let Some(token) = request.bearer {
            builder = builder.bearer_auth(token.expose());
        }
        if let Some(key) = request.key {
            builder = builder.header("Idempotency-Key", key.as_str());
        }
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.json);
        }
        let answered = tokio::time::timeout_at(deadline, async {
            let response = builder.send().await.map_err(|e| self.classify(&e))?;
            read(response).await.map_err(|e| self.classify(&e))
        })
        .await
        .unwrap_or_else(|_| {
            Err(SendError::Lost { why: format!("{} did not answer in time", self.base.host()) })
        });
        self.trace_response(&answered, hide_response);
        answered.map(|(_, answer)| answer)
    }

    /// Reads off the chain of causes how far the request came.
    fn classify(&self, error: &reqwest::Error) -> SendError {
        let host = self.base.host();
        let causes = || causes(error);
        let io_cause = causes().find_map(|e| e.downcast_ref::<io::Error>());
        let tls_cause = causes().find_map(|e| e.downcast_ref::<rustls::Error>());
        let root = causes().last().map(ToString::to_string).unwrap_or_default();
        if error.is_builder() {
            return SendError::NeverSent {
                why: format!("the request could not be built: {root}"),
                retryable: false,
            };
        }
        if !error.is_connect() {
            return SendError::Lost {
                why: format!("the connection to {host} broke before the whole answer came: {root}"),
            };
        }
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls_cause {
            let why = format!("the certificate of {host} is not trusted ({reason})");
            return SendError::NeverSent { why, retryable: false };
        }
        if let Some(unknown) = causes().find_map(|e| e.downcast_ref::<NameUnknown>()) {
            return SendError::NeverSent { why: unknown.to_string(), retryable: false };
        }
        // What refuses without an error of the system's is a proxy, and it will refuse again.
        let retryable = io_cause.is_some() || error.is_timeout();
        SendError::NeverSent { why: format!("no connection to {host} could be made: {root}"), retryable }
    }

    fn trace_request(&self, request: &Request<'_>) {
        let Some(trace) = &self.trace else { return };
        if !self.has_traced.replace(true) {
            trace(PREFACE);
        }
        trace(&format!("> {} {}", request.method, request.url));
        if request.bearer.is_some() {
            trace("> Authorization: Bearer [redacted]");
        }
        if let Some(key) = request.key {
            trace(&format!("> Idempotency-Key: {key}"));
        }
        match &request.body {
            Some(body) if body.secret => trace("> [redacted]"),
            Some(body) => trace(&format!("> {}", String::from_utf8_lossy(&body.json))),
            None => {}
        }
    }

    fn trace_response(&self, answered: &Result<(HeaderMap, Response), SendError>, hide: bool) {
        let Some(trace) = &self.trace else { return };
        let (headers, answer) = match answered {
            Ok(answered) => answered,
            Err(failure) => return trace(&format!("< {failure}")),
        };
        trace(&format!("< {}", answer.status));
        for (name, value) in headers {
            let shown = header_value(name.as_str(), value.as_bytes(), hide);
            trace(&format!("< {name}: {shown}"));
        }
        if hide {
            return trace("< [redacted]");
        }
        body_lines(&answer.body).iter().for_each(|line| trace(&format!("< {line}")));
    }
}

/// An error and everything that caused it, the root last.
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'e (dyn StdError + 'static) = *e;
        // The `source` of an I/O error is what caused the error in it, not that error.
        match e.downcast_ref().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => e.source(),
        }
    })
}

fn cannot_build(error: reqwest::Error) -> SendError {
    SendError::Setup(Invalid::new(
        format!("the connection cannot be set up: {error}"),
        "report this as a bug",
    ))
}

/// What a connection passes through before anything is written on it.
fn hook<C: Send + 'static>(
    before_write: BeforeWrite,
    connected: Arc<AtomicBool>,
) -> impl Fn(C) -> Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>> + Clone {
    move |connection| {
        let ready = before_write();
        let connected = Arc::clone(&connected);
        Box::pin(async move {
            ready.await?;
            connected.store(true, Ordering::SeqCst);
            Ok(connection)
        })
    }
}

/// Gathers the body in one buffer: a large answer is held once.
async fn read(mut response: reqwest::Response) -> reqwest::Result<(HeaderMap, Response)> {
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut answer = Response {
        status: response.status().as_u16(),
        retry_after: header(RETRY_AFTER).and_then(|value| retry_after(value, Timestamp::now())),
        date: header(DATE).and_then(http_date),
        redirect: response.status().is_redirection().then(|| {
            let target = header(LOCATION).and_then(|target| response.url().join(target).ok());
            target.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "nowhere".into())
        }),
        body: Vec::with_capacity(response.content_length().map_or(0, |n| n.min(LARGEST_CLAIM) as usize)),
    };
    while let Some(chunk) = response.chunk().await? {
        // What is cut here is refused as no JSON.
        let room = LARGEST_BODY - answer.body.len();
        answer.body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if answer.body.len() == LARGEST_BODY {
            break;
        }
    }
    Ok((std::mem::take(response.headers_mut()), answer))
}
