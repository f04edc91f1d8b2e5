//! Asking the API as a signed-in user: the token, one renewal, retries of reads, and answers parsed or refused.

use std::cell::Cell;

use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::error::ApiError;
use super::http::{Answer, Body, Failure, Http, Request};
use super::retry::backoff;
use crate::error::{Error, Result};
use crate::types::{IdempotencyKey, Secret};

/// Where the client's tokens come from. It asks for one; it never learns how it is kept.
pub trait Tokens {
    /// A token that has not expired.
    async fn token(&self, deadline: Instant) -> Result<Secret>;
    /// Another token, as the service no longer takes `rejected`.
    async fn renew(&self, rejected: &Secret, deadline: Instant) -> Result<Secret>;
}

/// The API, asked with one login until one deadline.
pub struct Client<'a, T> {
    http: &'a Http,
    tokens: &'a T,
    deadline: Cell<Instant>,
    /// A fresh token was not accepted either: another would only spend the login.
    renewed_in_vain: Cell<bool>,
}

/// An answer as it came, and what it says.
#[derive(Debug)]
pub struct Document<T> {
    /// The answer's body, to be passed on untouched.
    pub raw: Vec<u8>,
    /// What of it this program understands.
    pub value: T,
}

/// Members of a query string.
pub type Query<'a> = &'a [(&'a str, String)];

/// How often a read is asked in all.
const ATTEMPTS: u32 = 4;

impl<'a, T: Tokens> Client<'a, T> {
    /// A client that gives up at `deadline`.
    pub fn new(http: &'a Http, tokens: &'a T, deadline: Instant) -> Self {
        Self { http, tokens, deadline: Cell::new(deadline), renewed_in_vain: Cell::new(false) }
    }

    /// When this client gives up.
    pub fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Starts the clock anew, as `--all` does for each page.
    pub fn extend(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    /// Reads a route whose answer is a JSON object.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or an answer of another shape.
    pub async fn read<V: DeserializeOwned>(&self, route: &[&str], query: Query<'_>) -> Result<Document<V>> {
        self.get(route, query).await?.document()
    }

    /// Reads a route; the answer is a 2xx.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn get(&self, route: &[&str], query: Query<'_>) -> Result<Answer> {
        let mut url = self.http.base().route(route);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let token = self.tokens.token(self.deadline()).await?;
        let answer = self.persist(&url, &token).await?;
        if answer.status != 401 {
            self.renewed_in_vain.set(false);
        }
        if answer.status != 401 || self.renewed_in_vain.get() {
            return answer.into_success();
        }
        let renewed = self.tokens.renew(&token, self.deadline()).await?;
        let answer = self.persist(&url, &renewed).await?;
        self.renewed_in_vain.set(answer.status == 401);
        answer.into_success()
    }

    /// Asks until there is an answer that asking again would not change.
    async fn persist(&self, url: &Url, token: &Secret) -> Result<Answer> {
        let mut attempt = 0;
        loop {
            let request =
                Request { method: Method::GET, url: url.clone(), bearer: Some(token), key: None, body: None };
            let outcome = self.http.send(request, self.deadline()).await;
            let wait = match &outcome {
                Ok(answer) if matches!(answer.status, 429 | 502 | 503 | 504) => {
                    answer.retry_after.unwrap_or_else(|| backoff(attempt))
                }
                Err(Failure::NeverSent { again: true, .. } | Failure::Lost { .. }) => backoff(attempt),
                Ok(_) | Err(Failure::Unprepared(_) | Failure::NeverSent { again: false, .. }) => {
                    return outcome.map_err(Error::from);
                }
            };
            attempt += 1;
            if attempt == ATTEMPTS || Instant::now() + wait >= self.deadline() {
                return outcome.map_err(Error::from);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Requests a call, once, on a fresh connection, and waits for its end until `deadline`.
    ///
    /// # Errors
    /// When there is no answer; whether the request may have arrived is what the failure says.
    pub async fn request_call(
        &self,
        json: &[u8],
        key: &IdempotencyKey,
        token: &Secret,
        connect_by: Instant,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let request = Request {
            method: Method::POST,
            url: self.http.base().route(&["v1", "calls"]),
            bearer: Some(token),
            key: Some(key),
            body: Some(Body { json: json.to_vec(), secret: false }),
        };
        self.http.send_fresh(request, connect_by, deadline).await
    }

    /// Whose tokens these are.
    pub fn tokens(&self) -> &T {
        self.tokens
    }
}

/// Reads a JSON object; serde alone would take a list for a struct.
pub fn object<V: DeserializeOwned>(body: &[u8]) -> Option<V> {
    // Members nobody reads are passed on, so all of it must be UTF-8.
    let text = std::str::from_utf8(body).ok()?;
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

impl Answer {
    /// The JSON object that this answer is.
    ///
    /// # Errors
    /// When it is none, or of another shape.
    pub fn document<V: DeserializeOwned>(self) -> Result<Document<V>> {
        match object(&self.body) {
            Some(value) => Ok(Document { raw: self.body, value }),
            None => Err(self.unexpected()),
        }
    }

    /// This answer if it is a 2xx, else what it means.
    ///
    /// # Errors
    /// When it is a refusal, a failure or a redirect.
    pub fn into_success(self) -> Result<Self> {
        if matches!(self.status, 200..=299) { Ok(self) } else { Err(self.into_error()) }
    }

    /// What an answer that is no success means.
    pub fn into_error(self) -> Error {
        let refusal = ApiError::parse(self.status, &self.body);
        match (self.status, refusal) {
            (429 | 500..=599, refusal) => Error::ServiceFailing {
                status: self.status,
                correlation_id: refusal.as_ref().and_then(|error| error.correlation_id.clone()),
                message: refusal.map(|error| error.to_string()),
                retry_after: self.retry_after,
            },
            (400..=499, Some(error)) => error.into(),
            (401, None) => Error::NotSignedIn("the service does not accept the login".into()),
            _ => self.unexpected(),
        }
    }

    /// This answer as one of a shape that nobody documented.
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
    let start = body.get(..SHOWN * 8).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let shown: String = words.collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    if shown.is_empty() { "an empty body".into() } else { shown }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unprepared(invalid) => invalid.into(),
            Failure::NeverSent { why, .. } | Failure::Lost { why } => Self::Unreachable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_printable_and_short() {
        assert_eq!(excerpt(b""), "an empty body");
        assert_eq!(excerpt(b"\x1b[31m<h1>Bad\r\n  gateway</h1>\0"), "[31m<h1>Bad gateway</h1>");
        assert_eq!(excerpt(&[b'x'; 5000]).len(), 200);
    }

    #[test]
    fn a_list_is_not_an_object() {
        assert_eq!(object::<serde_json::Value>(b"[1]"), None);
        assert!(object::<serde_json::Value>(b" \n{}").is_some());
    }
}
