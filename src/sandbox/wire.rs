//! The HTTP side of every route: a request as the routes read it, and what they answer.

use std::io::{self, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tiny_http::{HTTPVersion, Header, Method, Response, StatusCode};
use url::Url;

use super::random;

pub(super) type HandlerResult = Result<Reply, Refusal>;

/// A request that came whole.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    url: Url,
    path: Vec<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// `target` is what stands in the request line: a path and perhaps a query.
    pub(super) fn new(
        method: Method,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Self, Refusal> {
        let url = target.starts_with('/').then(|| Url::parse(&format!("http://sandbox{target}")));
        let url = url
            .and_then(Result::ok)
            .ok_or_else(|| Refusal::invalid_request("The request target is not a path."))?;
        let path = url.path_segments().into_iter().flatten().map(percent_decoded).collect();
        Ok(Self { method, url, path, headers, body })
    }

    /// HEAD counts as GET; the body is left out when the reply is sent.
    pub(super) fn method(&self) -> &Method {
        match self.method {
            Method::Head => &Method::Get,
            ref other => other,
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    pub(super) fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The query as it came, free of control characters, spaces and quotes.
    pub(super) fn query(&self) -> &str {
        self.url.query().unwrap_or_default()
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// The header of this name; `None` also when there are several.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        only_header(&self.headers, name)
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("Authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// The body, which must be a JSON object.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(Refusal::invalid_request("The body is not a JSON object."));
        }
        serde_json::from_slice(&self.body).map_err(Refusal::invalid_request)
    }
}

/// The value of the one header of this name, `None` when there is none or several.
pub(super) fn only_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value.as_str())
}

fn percent_decoded(segment: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        decoded.push(escape.map_or(*first, |(high, low)| high << 4 | low));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn new(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![
                ("Content-Type", content_type.to_owned()),
                ("Cache-Control", "no-store".to_owned()),
            ],
            body,
        }
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> HandlerResult {
        let body = serde_json::to_string(body).map_err(io::Error::from)?;
        Ok(Self::new(status, "application/json", body))
    }

    pub(super) fn html(status: u16, body: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", body)
    }

    pub(super) fn calendar(body: String) -> Self {
        Self::new(200, "text/calendar; charset=utf-8", body)
    }

    pub(super) fn see_other(location: String) -> Self {
        let empty = Self::new(303, "text/plain; charset=utf-8", String::new());
        empty.with_header("Location", location)
    }

    /// What a gateway in front of the API says when it gave up waiting: no error object, no JSON.
    pub(super) fn gateway_timeout() -> Self {
        const PAGE: &str = "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n\
            <center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>\r\n";
        Self::html(504, PAGE.to_owned())
    }

    /// What a cache (a stock Varnish) says when the API behind it did not answer in time.
    pub(super) fn backend_unavailable() -> Self {
        const PAGE: &str = "<!DOCTYPE html>\n<html>\n<head><title>503 Backend fetch failed</title></head>\n\
            <body>\n<h1>Error 503 Backend fetch failed</h1>\n<p>Backend fetch failed</p>\n</body>\n</html>\n";
        Self::html(503, PAGE.to_owned()).with_header("Retry-After", "5")
    }

    /// `value` must be printable ASCII: another is left out.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[cfg(test)]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(key, value)| (*key == name).then_some(value.as_str()))
    }

    /// Head and body as they are sent, in one piece: a head that is written apart makes the body
    /// wait for the client's delayed acknowledgement.
    pub(super) fn to_bytes(&self, with_body: bool, keep_alive: bool) -> io::Result<Vec<u8>> {
        let headers = self.headers.iter();
        let headers = headers.filter(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(*name, value.as_bytes()).ok());
        let headers = headers.collect();
        let length = Some(self.body.len());
        let response = Response::new(StatusCode(self.status), headers, io::empty(), length, None)
            .with_chunked_threshold(usize::MAX);
        let mut bytes = Vec::with_capacity(self.body.len() + 512);
        response.raw_print(&mut bytes, HTTPVersion(1, 1), &[], true, None)?;
        if !keep_alive {
            // tiny_http decides this header by itself, for its own connections alone.
            bytes.truncate(bytes.len() - 2);
            bytes.write_all(b"Connection: close\r\n\r\n")?;
        }
        if with_body {
            bytes.write_all(self.body.as_bytes())?;
        }
        Ok(bytes)
    }
}

/// An answer of 4xx or 5xx with the API's error object.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string(), headers: Vec::new() }
    }

    pub(super) fn invalid_request(message: impl ToString) -> Self {
        Self::new(400, "invalid_request", message)
    }

    pub(super) fn validation(message: impl ToString) -> Self {
        Self::new(422, "validation_error", message)
    }

    pub(super) fn internal(message: impl ToString) -> Self {
        Self::new(500, "internal_error", message)
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::internal(error)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let error = json!({"error": {
            "code": refusal.code,
            "message": refusal.message,
            "correlation_id": random::uuid(),
        }});
        let mut reply = Reply::new(refusal.status, "application/json", error.to_string());
        reply.headers.extend(refusal.headers);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_decoded_and_a_broken_one_kept() {
        assert_eq!(percent_decoded("a%2Db+%c3%b1"), "a-b+ñ");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%2"), "%2");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
    }

    #[test]
    fn a_reply_is_one_message_with_a_date_and_its_length() {
        let reply = Reply::html(200, "é".to_owned()).with_header("X", "line\r\nbreak");
        let text = String::from_utf8(reply.to_bytes(true, true).expect("bytes")).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nContent-Length: 2"), "{head}");
        assert!(head.contains("\r\nDate: ") && !head.contains("Connection"), "{head}");
        assert!(!head.contains("break"), "{head}");
        assert_eq!(body, "é");
        let last = String::from_utf8(reply.to_bytes(false, false).expect("bytes")).expect("UTF-8");
        assert!(last.contains("\r\nContent-Length: 2\r\n"), "{last}");
        assert!(last.ends_with("\r\nConnection: close\r\n\r\n"), "{last}");
    }

    #[test]
    fn a_header_that_comes_twice_counts_for_nothing() {
        let twice = [("Host", "a"), ("host", "b"), ("Accept", "c")];
        let headers: Vec<_> = twice.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(only_header(&headers, "HOST"), None);
        assert_eq!(only_header(&headers, "accept"), Some("c"));
    }
}
