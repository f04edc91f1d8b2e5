//! The HTTP client that sends all of the program's requests. Every error says whether the request
//! may have reached the service.

use std::cell::OnceCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, redirect};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use tower::BoxError;
use tower::timeout::TimeoutLayer;
use tower::util::AndThenLayer;
use url::Url;

use super::calls::Fields;
use super::failure::{classify, never_sent, no_response};
use super::proxy::Proxy;
use super::response::Response;
use super::tls;
use super::trace::Tracer;
use crate::domain::{ApiBase, Key, Secret};
use crate::error::{Error, Kind, Result};

const USER_AGENT: &str = concat!("kallyai/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/json";
/// TCP keep-alive interval. A connection is idle for the whole duration of a call, and NAT routers
/// drop connections that have been idle for a few minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Timeout for DNS, TCP, proxy and TLS together. For new calls, [`CallPost::connect_by`] applies.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt. The pause before the third is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Callback that receives each line of the `--debug` trace, with credentials redacted.
pub type Trace = Rc<dyn Fn(&str)>;

/// A response with any status, or the reason why there is no complete response.
type Sent = Result<Response, SendError>;

/// Proof that a call is recorded in the local call log. Only the `call` module implements this
/// trait, so an unrecorded call cannot be sent.
pub trait Reserved: Send + 'static {}

pub struct Http {
    base: ApiBase,
    tracer: Tracer,
    /// Created on the first request, because reading certificates takes most of the start-up time.
    transport: OnceCell<Transport>,
}

/// TLS and proxy settings, and a client that reuses connections.
struct Transport {
    tls: ClientConfig,
    proxy: Option<Proxy>,
    /// Client with a connection pool, for all requests except those that start calls.
    pooled: Client,
}

pub struct CallPost<'a> {
    pub body: &'a Fields,
    pub key: &'a Key,
    pub token: &'a Secret,
    /// Deadline for connecting, including TLS. Recording the call may take longer.
    pub connect_by: Instant,
    /// Deadline for the complete response.
    pub deadline: Instant,
}

/// Why no complete response was received.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The request was definitely not sent.
    #[error("request not sent: {error}")]
    NeverSent {
        error: Error,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
    /// The request may have reached the service.
    #[error("no complete response: {0}")]
    Lost(Error),
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NeverSent { error, .. } | SendError::Lost(error) => error,
        }
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        never_sent(error, false)
    }
}

impl Http {
    /// Creates a client without any I/O. The first request reads the certificates and connects.
    pub fn new(base: ApiBase, trace: Option<Trace>) -> Self {
        let tracer = Tracer::new(trace);
        let transport = OnceCell::new();
        Self {
            base,
            tracer,
            transport,
        }
    }

    pub fn base(&self) -> &ApiBase {
        &self.base
    }

    pub fn trace(&self) -> Option<&Trace> {
        self.tracer.trace.as_ref()
    }

    /// Sends a GET request and returns the response, whatever its status. Until the deadline,
    /// retries after connection errors, lost responses and the statuses 429 and 502 to 504.
    pub async fn get(&self, url: &Url, token: &Secret, deadline: Instant) -> Result<Response> {
        let client = &self.transport()?.pooled;
        let request = || client.get(url.clone()).bearer_auth(token.expose());
        let may_retry = |sent: &Sent| match sent {
            Ok(response) => matches!(response.status, 429 | 502..=504),
            Err(SendError::Lost(_)) => true,
            Err(SendError::NeverSent { retryable, .. }) => *retryable,
        };
        Ok(self.send_with_retry(request, may_retry, deadline).await?)
    }

    /// Exchanges a refresh token for new tokens. Retries only if the request was not sent, because
    /// using a refresh token twice may end the session.
    pub async fn post_refresh(&self, token: &Secret, deadline: Instant) -> Sent {
        let client = &self.transport()?.pooled;
        let url = self.base.route(&["v1", "auth", "refresh"]);
        let json = serde_json::json!({ "refresh_token": token.expose() }).to_string();
        let request = || {
            let request = client.post(url.clone()).header(CONTENT_TYPE, JSON);
            request.body(json.clone())
        };
        let may_retry = |sent: &Sent| match sent {
            Err(SendError::NeverSent { retryable, .. }) => *retryable,
            _ => false,
        };
        self.send_with_retry(request, may_retry, deadline).await
    }

    /// Sends the POST request that starts a call, at most once and on its own connection. After the
    /// TLS handshake and before the first byte of the request, `reserve` records the call in the
    /// local call log. If that fails, nothing is sent. If it succeeds, every later failure is
    /// reported as a lost response, never as an unsent request.
    pub async fn post_call<R: Reserved>(
        &self,
        post: &CallPost<'_>,
        reserve: impl Future<Output = Result<R>> + Send + 'static,
    ) -> Sent {
        let may_be_sent = Arc::<AtomicBool>::default();
        let left = post.connect_by.saturating_duration_since(Instant::now());
        let reserve = before_first_byte(reserve, Arc::clone(&may_be_sent));
        let transport = self.transport()?;
        let builder = builder(&transport.tls, transport.proxy.as_ref())?
            // Without a pool, hyper connects inside the request's future, so dropping that future
            // also stops connecting.
            .pool_max_idle_per_host(0)
            // The first layer is the innermost: the timeout limits the handshake but not `reserve`.
            .connector_layer(TimeoutLayer::new(left))
            .connector_layer(AndThenLayer::new(reserve));
        let client = builder.build().map_err(not_set_up)?;
        let request = client
            .post(self.base.route(&["v1", "calls"]))
            .bearer_auth(post.token.expose())
            .header("Idempotency-Key", post.key.as_str())
            .header(CONTENT_TYPE, JSON)
            .body(post.body.to_json());
        let sent = self.send(request, post.deadline).await;
        match (sent, may_be_sent.load(Ordering::SeqCst)) {
            (Err(SendError::NeverSent { error, .. }), true) => Err(SendError::Lost(error)),
            (Err(SendError::Lost(error)), false) => Err(never_sent(error, true)),
            (sent, _) => sent,
        }
    }

    fn transport(&self) -> Result<&Transport> {
        if let Some(transport) = self.transport.get() {
            return Ok(transport);
        }
        let proxy = Proxy::from_env(&self.base)?;
        let tls = match self.base.is_tls() {
            true => tls::client_config()?,
            false => tls::trust(RootCertStore::empty())?,
        };
        let transport = Transport::new(tls, proxy)?;
        Ok(self.transport.get_or_init(|| transport))
    }

    async fn send_with_retry(
        &self,
        request: impl Fn() -> RequestBuilder,
        may_retry: impl Fn(&Sent) -> bool,
        deadline: Instant,
    ) -> Sent {
        let mut attempt = 0;
        loop {
            let sent = self.send(request(), deadline).await;
            let asked = sent.as_ref().ok().and_then(|sent| sent.retry_after);
            let wait = asked.unwrap_or(FIRST_PAUSE * (1 << attempt));
            attempt += 1;
            let is_last = attempt == ATTEMPTS || Instant::now() + wait >= deadline;
            if is_last || !may_retry(&sent) {
                return sent;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends one request and reads the whole response.
    async fn send(&self, request: RequestBuilder, deadline: Instant) -> Sent {
        let host = self.base.host();
        let proxy = self.transport()?.proxy.as_ref();
        let failed = |error: reqwest::Error| classify(&error, host, proxy);
        let request = request.header(ACCEPT, "application/json, text/calendar");
        let (client, request) = request.build_split();
        let request = request.map_err(failed)?;
        self.tracer.request(&request);
        let exchange = async {
            let response = client.execute(request).await.map_err(failed)?;
            let headers = response.headers().clone();
            let response = Response::read(response).await.map_err(failed)?;
            self.tracer.response(&headers, &response);
            Ok(response)
        };
        let sent = tokio::time::timeout_at(deadline, exchange).await;
        let mut sent = sent.unwrap_or_else(|_| Err(no_response(host)));
        if let Err(SendError::NeverSent { error, .. }) = &mut sent
            && error.kind == Kind::Proxy
            && proxy.is_some_and(Proxy::is_http)
            && let Some(status) = self.proxy_status(deadline).await?
        {
            *error = error.clone().because(format_args!("status {status}"));
            error.facts.http_status = Some(status);
            if matches!(status, 502..=504) {
                error.kind = Kind::Unreachable;
            }
        }
        sent.inspect_err(|failure| self.tracer.failure(failure))
    }

    /// Repeats a CONNECT request that the proxy rejected and returns the response's status, because
    /// hyper-util hides it.
    async fn proxy_status(&self, deadline: Instant) -> Result<Option<u16>> {
        let mut url = self.base.route(&[]);
        let port = url.port_or_known_default();
        // With `http`, reqwest sends the request to the proxy itself instead of opening a tunnel.
        let _ = (url.set_scheme("http"), url.set_port(port));
        let connect = self.transport()?.pooled.request(Method::CONNECT, url);
        let response = tokio::time::timeout_at(deadline, connect.send()).await;
        let status = response.ok().and_then(Result::ok).map(|it| it.status());
        Ok(status.filter(|it| !it.is_success()).map(|it| it.as_u16()))
    }
}

impl Transport {
    fn new(tls: ClientConfig, proxy: Option<Proxy>) -> Result<Self> {
        let pooled = builder(&tls, proxy.as_ref())?.connect_timeout(CONNECT_TIMEOUT);
        let pooled = pooled.build().map_err(not_set_up)?;
        Ok(Self { tls, proxy, pooled })
    }
}

fn builder(tls: &ClientConfig, proxy: Option<&Proxy>) -> Result<ClientBuilder> {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls.clone())
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .no_proxy();
    Ok(match proxy {
        Some(proxy) => builder.proxy(proxy.to_reqwest().map_err(not_set_up)?),
        None => builder,
    })
}

fn not_set_up(error: reqwest::Error) -> Error {
    let message = format!("couldn't create the HTTP client: {error}");
    Error::new(Kind::Io, message).with_hint("report this as a bug")
}

/// Returns a connector step that runs `reserve` after the TLS handshake and before the request is
/// written. Since every call is recorded before it is sent, no call is sent twice.
fn before_first_byte<C: Send + 'static, R: Reserved>(
    reserve: impl Future<Output = Result<R>> + Send + 'static,
    may_be_sent: Arc<AtomicBool>,
) -> impl FnOnce(C) -> Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>> + Clone {
    // All clones of the closure share `reserve`, which runs only once, so a second connection
    // fails.
    let reserve = Arc::new(Mutex::new(Some(reserve)));
    move |connection| {
        let reserve = reserve
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            let reserve = reserve.ok_or("a request for a call must not use a second connection")?;
            may_be_sent.store(true, Ordering::SeqCst);
            let reserved = reserve.await;
            may_be_sent.store(reserved.is_ok(), Ordering::SeqCst);
            reserved.map(|_| connection).map_err(BoxError::from)
        })
    }
}

#[cfg(test)]
mod tests;
