//! HTTP responses, and the errors for unsuccessful ones.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderName, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;

use super::lenient;
use super::refusal::Refusal;
use crate::domain::{collapse_whitespace, redact, without_invisible};
use crate::error::{Error, Kind, Result};

/// A complete response with any status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Delay from `Retry-After`. If its value is a date, the `Date` header's time is subtracted.
    pub retry_after: Option<Duration>,
    /// Time of the response, according to the server's clock.
    pub date: Option<Timestamp>,
    /// The host that a redirect (3xx) points to.
    pub redirect: Option<String>,
    pub body: Vec<u8>,
}

/// A parsed body and its raw bytes.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    pub value: T,
    pub raw: Vec<u8>,
}

impl<T: DeserializeOwned> Parsed<T> {
    /// Parses a JSON object, or returns `None` if `raw` is not one.
    pub fn object(raw: Vec<u8>) -> Option<Self> {
        let value = object(&raw)?;
        Some(Self { value, raw })
    }
}

fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Parses a JSON object leniently. See [`lenient::parse`].
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let text = lenient::text(body)?;
    // Without this check, serde would also parse a list as a struct.
    lenient::parse(text).filter(|_| text.starts_with('{'))
}

impl Response {
    pub(super) async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
        let date = header(DATE).and_then(http_date);
        let now = date.unwrap_or_else(Timestamp::now);
        let target = || response.url().join(header(LOCATION)?).ok();
        let target = target().filter(|_| response.status().is_redirection());
        Ok(Self {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER).and_then(|value| retry_after(value, now)),
            date,
            redirect: target.and_then(|url| url.host_str().map(str::to_owned)),
            body: without_bom(&response.bytes().await?).to_vec(),
        })
    }

    pub fn json<T: DeserializeOwned>(self) -> Result<Parsed<T>> {
        let value = object(&self.body);
        self.parsed(value)
    }

    /// Combines a value parsed from this response with the raw body. If parsing failed (`None`),
    /// returns the error for an unexpected response.
    pub(super) fn parsed<T>(self, value: Option<T>) -> Result<Parsed<T>> {
        let value = value.ok_or_else(|| self.unexpected())?;
        let raw = self.body;
        Ok(Parsed { value, raw })
    }

    pub fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Returns this response if its status is 2xx, or the matching error otherwise.
    pub fn into_success(self) -> Result<Self> {
        match self.is_success() {
            true => Ok(self),
            false => Err(self.into_error()),
        }
    }

    /// Returns the error for a response whose status is not 2xx.
    pub fn into_error(self) -> Error {
        let refusal = Refusal::parse(self.status, &self.body);
        let mut error = match (self.status, refusal) {
            (429, refusal) => self.failing("the service is receiving too many requests", refusal),
            (511, refusal) => {
                let error = self.failing("your network requires you to sign in", refusal);
                error.with_hint("sign in to your network in a browser, then try again")
            }
            (500..=599, refusal) => self.failing("the service reported a server error", refusal),
            (400..=499, Some(refusal)) => refusal.error,
            (401, None) => {
                let message = "the service rejected your credentials (status 401)";
                Error::new(Kind::NotSignedIn, message)
            }
            _ => self.unexpected(),
        };
        error.facts.http_status = Some(self.status);
        error
    }

    /// Adds this response's message to an error about a rejected `KALLYAI_ACCESS_TOKEN`.
    pub fn explain(self, error: Error) -> Error {
        if error.kind != Kind::AccessToken {
            return error;
        }
        let reason = self.into_error();
        let mut error = error.because(&reason);
        error.facts.http_status = reason.facts.http_status;
        error.facts.correlation_id = reason.facts.correlation_id;
        error
    }

    fn failing(&self, problem: &str, refusal: Option<Refusal>) -> Error {
        let said = refusal.as_ref().and_then(|refusal| refusal.message.clone());
        // Don't quote an HTML page: it would be unreadable.
        let is_text = !matches!(self.body.trim_ascii_start().first(), None | Some(b'<'));
        let said = said.or_else(|| is_text.then(|| excerpt(&self.body)));
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        let message = format!("{problem} (status {}{said})", self.status);
        let mut error = Error::new(Kind::ServiceFailing, message);
        error.facts.correlation_id = refusal.and_then(|it| it.error.facts.correlation_id);
        match self.retry_after.map_or(0, |wait| wait.as_secs()) {
            0 => error,
            seconds => error.with_hint(format!("try again in {seconds} seconds")),
        }
    }

    /// Returns the error for a response that is not in the API's documented format.
    pub fn unexpected(&self) -> Error {
        let status = self.status;
        let failed = |message| Error::new(Kind::UnexpectedResponse, message);
        let mut error = match &self.redirect {
            Some(host) => failed(format!(
                "the service redirected the request to {host} (status {status})"
            ))
            .with_hint("check KALLYAI_API_URL, or sign in to your network in a browser"),
            None => {
                let start = excerpt(&self.body);
                failed(format!("unexpected response (status {status}): {start}"))
            }
        };
        error.facts.http_status = Some(status);
        error
    }
}

/// Parses a `Retry-After` header (seconds or an HTTP date). Returns zero for a date in the past.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(
            value.parse::<u32>().unwrap_or(u32::MAX).into(),
        ));
    }
    let wait = http_date(value)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

fn http_date(value: &str) -> Option<Timestamp> {
    Some(rfc2822::parse(value.trim()).ok()?.timestamp())
}

/// Returns the first 200 printable characters of a body on one line, with tokens redacted.
fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = redact(&without_invisible(&String::from_utf8_lossy(body)));
    let text = collapse_whitespace(&text.replace(char::is_control, " "));
    match text.is_empty() {
        true => "an empty body".into(),
        false => text.chars().take(SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Response {
        pub fn of(status: u16, body: &str) -> Self {
            Self {
                status,
                retry_after: None,
                date: None,
                redirect: None,
                body: body.into(),
            }
        }
    }

    #[test]
    fn retry_after_header_may_be_seconds_or_a_date() {
        let now: Timestamp = "2027-01-28T20:00:00Z".parse().expect("a time");
        for (value, seconds) in [
            (" 7 ", Some(7)),
            ("Thu, 28 Jan 2027 20:00:30 GMT", Some(30)),
            ("Thu, 28 Jan 2027 19:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("99999999999999999999", Some(u32::MAX.into())),
        ] {
            let wait = retry_after(value, now).map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{value}");
        }
    }

    #[test]
    fn excerpt_of_a_body_is_printable_short_and_redacted() {
        assert_eq!(excerpt(b""), "an empty body");
        let page = excerpt(b"\x1b[31m<h1>Bad\r\n  gateway</h1>\0");
        assert_eq!(page, "[31m<h1>Bad gateway</h1>");
        assert_eq!(excerpt(&[b'x'; 5000]).len(), 200);
        let token = "response_rs_token".repeat(20);
        crate::domain::Secret::parse(&token).expect("a token");
        for quoted in [token.replacen("rs", "r\u{200b}s", 1), token] {
            assert_eq!(excerpt(quoted.as_bytes()), "[redacted]");
        }
    }

    #[test]
    fn body_may_start_with_a_byte_order_mark_but_not_be_a_list() {
        use serde_json::Value;
        assert_eq!(object::<Value>(b"[1]"), None);
        assert_eq!(object::<Value>(b"{\"a\":\"\xff\"}"), None);
        assert!(object::<Value>(b"\xef\xbb\xbf \n{}").is_some());
    }

    #[test]
    fn errors_include_the_message_from_the_service() {
        let said = r#"{"error":{"message":"Try later.","correlation_id":"c-1"}}"#;
        #[rustfmt::skip]
        let rows = [
            (503, "<h1>", "service_failing", "the service reported a server error (status 503)"),
            (500, said, "service_failing", "the service reported a server error (status 500: Try later)"),
            (401, "nginx", "not_signed_in", "the service rejected your credentials (status 401)"),
            (404, "<h1>No", "unexpected_response", "unexpected response (status 404): <h1>No"),
            (422, said, "refused", "Try later"),
        ];
        for (status, body, code, message) in rows {
            let error = Response::of(status, body).into_error();
            assert_eq!((error.code(), error.to_string()), (code, message.into()));
            assert_eq!(error.facts.http_status, Some(status));
            assert_eq!(error.facts.correlation_id.is_some(), body == said);
        }
        let mut redirect = Response::of(302, "");
        redirect.redirect = Some("portal.example".into());
        let message = "the service redirected the request to portal.example (status 302)";
        assert_eq!(redirect.into_error().to_string(), message);
        let mut busy = Response::of(429, "");
        busy.retry_after = Some(Duration::from_secs(90));
        assert_eq!(busy.into_error().hint(), "try again in 90 seconds");
    }
}
