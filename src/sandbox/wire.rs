//! The HTTP side of every route: a request as the routes read it, and what they answer.

use std::io::{self, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tiny_http::{Header, Method, Response, StatusCode};
use url::Url;

use super::random;

/// The largest request body that is taken, in bytes.
const BODY_LIMIT: usize = 1 << 20;

pub(super) type Answer = Result<Reply, Refusal>;

pub(super) struct Request<'a> {
    raw: &'a mut tiny_http::Request,
    url: Url,
    path: Vec<String>,
}

impl<'a> Request<'a> {
    pub(super) fn new(raw: &'a mut tiny_http::Request) -> Result<Self, Refusal> {
        let url = Url::parse("http://sandbox")
            .and_then(|base| base.join(raw.url()))
            .map_err(|_| Refusal::invalid_request("The request target is not a URL."))?;
        let path = url.path_segments().into_iter().flatten();
        let path = path.map(percent_decoded).collect();
        Ok(Self { raw, url, path })
    }

    /// HEAD counts as GET: tiny_http leaves out the body by itself.
    pub(super) fn method(&self) -> &Method {
        match self.raw.method() {
            Method::Head => &Method::Get,
            other => other,
        }
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

    pub(super) fn header(&self, name: &'static str) -> Option<&str> {
        let mut headers = self.raw.headers().iter();
        let header = headers.find(|header| header.field.equiv(name))?;
        Some(header.value.as_str().trim())
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("Authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// The body, which must be a JSON object.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let body = self.body()?;
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Refusal::invalid_request("The body is not a JSON object."));
        }
        serde_json::from_slice(&body).map_err(Refusal::invalid_request)
    }

    fn body(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut body = Vec::new();
        if self.raw.body_length() <= Some(BODY_LIMIT) {
            let mut bounded = self.raw.as_reader().take(BODY_LIMIT as u64 + 1);
            bounded.read_to_end(&mut body).map_err(Refusal::invalid_request)?;
            if body.len() <= BODY_LIMIT {
                return Ok(body);
            }
        }
        let message = format!("The body is larger than {BODY_LIMIT} bytes.");
        Err(Refusal::new(413, "request_too_large", message))
    }
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

    pub(super) fn json(status: u16, body: &impl Serialize) -> Answer {
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

    /// `value` must be printable ASCII: tiny_http writes it as it is.
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[cfg(test)]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(key, value)| (*key == name).then_some(value.as_str()))
    }

    pub(super) fn send(self, request: tiny_http::Request) -> io::Result<()> {
        let headers = self.headers.iter();
        let headers =
            headers.filter_map(|(name, value)| Header::from_bytes(*name, value.as_bytes()).ok()).collect();
        let length = self.body.len();
        let body = io::Cursor::new(self.body);
        let status = StatusCode(self.status);
        request.respond(Response::new(status, headers, body, Some(length), None))
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
    use super::percent_decoded;

    #[test]
    fn an_escape_is_decoded_and_a_broken_one_kept() {
        assert_eq!(percent_decoded("a%2Db+%c3%b1"), "a-b+ñ");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%2"), "%2");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
    }
}
