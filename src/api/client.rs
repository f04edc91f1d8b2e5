//! Asking the API as a signed-in user: the token, one renewal, retries of reads, and answers parsed or refused.

use std::cell::Cell;

use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::error::Error;
use super::http::{BeforeWrite, Http, JsonBody, Request, Response, SendError};
use super::lenient::with_whole_pairs;
use super::refusal::Refusal;
use super::retry::backoff;
use crate::domain::{self, ApiBase, IdempotencyKey, Secret, redact, without_unseen};

/// Where the client's tokens come from. It asks for one; it never learns how it is kept.
pub trait TokenProvider {
    /// Why there is no token, or no result of a request with one.
    type Error: From<Error>;
    /// A token that has not expired.
    async fn token(&self, deadline: Instant) -> Result<Secret, Self::Error>;
    /// Another token, as the service no longer takes `rejected`.
    async fn renew(&self, rejected: &Secret, deadline: Instant) -> Result<Secret, Self::Error>;
}

/// The API, asked with one login until one deadline.
pub struct Client<'a, T> {
    http: &'a Http,
    tokens: &'a T,
    deadline: Cell<Instant>,
    /// A fresh token was not accepted either: another would only spend the login.
    refresh_rejected: Cell<bool>,
}

/// An answer as it came, and what this program understands of it.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    /// The answer's body, to be passed on untouched.
    pub raw: Vec<u8>,
    /// What of it this program understands.
    pub value: T,
}

/// Members of a query string.
pub type Query<'a> = &'a [(&'a str, String)];

/// How often a read is asked in all.
const ATTEMPTS: u32 = 4;
/// How often a connection for it is tried.
const CONNECTS: u32 = 3;

impl<'a, T: TokenProvider> Client<'a, T> {
    /// A client that gives up at `deadline`.
    pub fn new(http: &'a Http, tokens: &'a T, deadline: Instant) -> Self {
        Self { http, tokens, deadline: Cell::new(deadline), refresh_rejected: Cell::new(false) }
    }

    /// When this client gives up.
    pub fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Gives up at this moment instead, from now on.
    pub fn set_deadline(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    /// Reads a route whose answer is a JSON object.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or an answer of another shape.
    pub async fn read<V: DeserializeOwned>(
        &self,
        route: &[&str],
        query: Query<'_>,
    ) -> Result<Parsed<V>, T::Error> {
        Ok(self.get(route, query).await?.parse()?)
    }

    /// Reads a route; the answer is a 2xx.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn get(&self, route: &[&str], query: Query<'_>) -> Result<Response, T::Error> {
        let mut url = self.http.base().route(route);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.get_url(&url).await
    }

    /// Reads a URL below the base; the answer is a 2xx.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_url(&self, url: &Url) -> Result<Response, T::Error> {
        let token = self.tokens.token(self.deadline()).await?;
        let response = self.get_with_retry(url, &token).await?;
        if response.status != 401 {
            self.refresh_rejected.set(false);
        }
        if response.status != 401 || self.refresh_rejected.get() {
            return Ok(response.into_success()?);
        }
        let renewed = self.tokens.renew(&token, self.deadline()).await?;
        let response = self.get_with_retry(url, &renewed).await?;
        self.refresh_rejected.set(response.status == 401);
        Ok(response.into_success()?)
    }

    /// Asks until there is an answer that asking again would not change.
    async fn get_with_retry(&self, url: &Url, token: &Secret) -> Result<Response, Error> {
        let mut attempt = 0;
        loop {
            let request =
                Request { method: Method::GET, url: url.clone(), bearer: Some(token), key: None, body: None };
            let outcome = self.http.send(request, self.deadline()).await;
            let wait = match &outcome {
                Ok(response) if matches!(response.status, 429 | 502 | 503 | 504) => {
                    response.retry_after.unwrap_or_else(|| backoff(attempt))
                }
                Err(SendError::NeverSent { retryable: true, .. } | SendError::Lost { .. }) => {
                    backoff(attempt)
                }
                Ok(_) | Err(SendError::Setup(_) | SendError::NeverSent { retryable: false, .. }) => {
                    return outcome.map_err(Error::from);
                }
            };
            attempt += 1;
            let attempts =
                if matches!(outcome, Err(SendError::NeverSent { .. })) { CONNECTS } else { ATTEMPTS };
            if attempt >= attempts || Instant::now() + wait >= self.deadline() {
                return outcome.map_err(Error::from);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Requests a call, once, on a fresh connection, and waits for the answer until `deadline`.
    ///
    /// # Errors
    /// When there is no answer; whether the request may have arrived is what the error says.
    pub async fn request_call(
        &self,
        json: &[u8],
        key: &IdempotencyKey,
        token: &Secret,
        connect_by: Instant,
        deadline: Instant,
        before_write: BeforeWrite,
    ) -> Result<Response, SendError> {
        let request = Request {
            method: Method::POST,
            url: self.http.base().route(&["v1", "calls"]),
            bearer: Some(token),
            key: Some(key),
            body: Some(JsonBody { json: json.to_vec(), secret: false }),
        };
        self.http.send_fresh(request, connect_by, deadline, before_write).await
    }

    /// The base of every route.
    pub fn base(&self) -> &ApiBase {
        self.http.base()
    }

    /// Sends a request of any method once, on a fresh connection.
    ///
    /// # Errors
    /// When there is no answer; whether the request may have arrived is what the error says.
    pub async fn send_once(
        &self,
        method: domain::Method,
        url: Url,
        token: &Secret,
        json: Option<Vec<u8>>,
    ) -> Result<Response, SendError> {
        let method = match method {
            domain::Method::Get => Method::GET,
            domain::Method::Post => Method::POST,
            domain::Method::Put => Method::PUT,
            domain::Method::Patch => Method::PATCH,
            domain::Method::Delete => Method::DELETE,
        };
        let body = json.map(|json| JsonBody { json, secret: false });
        let request = Request { method, url, bearer: Some(token), key: None, body };
        let nothing: BeforeWrite = std::sync::Arc::new(|| Box::pin(async { Ok(()) }));
        self.http.send_fresh(request, self.deadline(), self.deadline(), nothing).await
    }

    /// Where this client's tokens come from.
    pub fn tokens(&self) -> &T {
        self.tokens
    }
}

/// Reads a JSON object; serde alone would take a list for a struct.
pub fn object<V: DeserializeOwned>(body: &[u8]) -> Option<V> {
    // Members that are not read are passed on, so all of it must be UTF-8.
    let text = std::str::from_utf8(body).ok()?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    // Half of a surrogate pair in a name or an ID costs only itself.
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&with_whole_pairs(text)?).ok())
}

impl Response {
    /// The JSON object that this response is.
    ///
    /// # Errors
    /// When it is none, or of another shape.
    pub fn parse<V: DeserializeOwned>(self) -> Result<Parsed<V>, Error> {
        match object(&self.body) {
            Some(value) => Ok(Parsed { raw: self.body, value }),
            None => Err(self.unexpected()),
        }
    }

    /// This response if it is a 2xx, else what it means.
    ///
    /// # Errors
    /// When it is a refusal, a failure or a redirect.
    pub fn into_success(self) -> Result<Self, Error> {
        if matches!(self.status, 200..=299) { Ok(self) } else { Err(self.into_error()) }
    }

    /// What a response that is no success means.
    pub fn into_error(self) -> Error {
        let refusal = Refusal::parse(self.status, &self.body);
        match (self.status, refusal) {
            (429 | 500..=599, refusal) => Error::Failing {
                status: self.status,
                correlation_id: refusal.as_ref().and_then(|refusal| refusal.correlation_id.clone()),
                message: refusal.map(|refusal| refusal.to_string()),
                retry_after: self.retry_after,
            },
            (400..=499, Some(refusal)) => Error::Refused(Box::new(refusal)),
            (401, None) => Error::Unauthorized,
            _ => self.unexpected(),
        }
    }

    /// This response as one of a shape that is not documented.
    pub fn unexpected(&self) -> Error {
        let excerpt = match &self.redirect {
            Some(host) => format!("a redirect to {host}, which is not followed"),
            None => excerpt(&self.body),
        };
        Error::UnexpectedResponse { status: self.status, excerpt }
    }
}

/// The first 200 printable characters of a body, on one line.
fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    let start = body.get(..SHOWN * 8 + Secret::LONGEST).unwrap_or(body);
    let text = without_unseen(&String::from_utf8_lossy(start));
    // Before anything is cut: half a secret would not be found.
    let text = redact(&text);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let shown: String = words.collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    if shown.is_empty() { "an empty body".into() } else { shown }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Setup(invalid) => invalid.into(),
            SendError::NeverSent { why, .. } => Self::NotSent(why),
            SendError::Lost { why } => Self::Unreachable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_everything_else_stays() {
        for (json, whole) in [
            (r#"{"a\ud83d":1}"#, "{\"a\u{fffd}\":1}"),
            (
                r#"["\ud83d\ude00","\ude00\ud83d","é\\ud83d\uD83D"]"#,
                "[\"\\ud83d\\ude00\",\"\u{fffd}\u{fffd}\",\"é\\\\ud83d\u{fffd}\"]",
            ),
            (r#"["\ud83d\u0041"]"#, "[\"\u{fffd}\\u0041\"]"),
        ] {
            assert_eq!(with_whole_pairs(json).as_deref(), Some(whole), "{json}");
        }
        for json in ["", "{}", r#"["\ud83d\ude00 \u00e9 \\\" \\ud83d"]"#, "\\", "\\u", "\\ud83", "\\é"] {
            assert_eq!(with_whole_pairs(json), None, "{json}");
        }
    }

    #[test]
    fn an_excerpt_is_printable_and_short() {
        assert_eq!(excerpt(b""), "an empty body");
        assert_eq!(excerpt(b"\x1b[31m<h1>Bad\r\n  gateway</h1>\0"), "[31m<h1>Bad gateway</h1>");
        assert_eq!(excerpt(&[b'x'; 5000]).len(), 200);
        let secret = "client_rs_secret".repeat(20);
        Secret::parse(&secret).expect("a secret");
        for secret in [secret.replacen("rs", "r\u{200b}s", 1), secret] {
            assert_eq!(excerpt(format!("token {secret}").as_bytes()), "token [redacted]");
        }
    }

    #[test]
    fn a_list_is_not_an_object() {
        assert_eq!(object::<serde_json::Value>(b"[1]"), None);
        assert!(object::<serde_json::Value>(b" \n{}").is_some());
    }
}
