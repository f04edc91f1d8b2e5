//! HTTP requests and responses, and the checks that prevent web pages from using the sandbox.

use std::io::{self, Cursor, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tiny_http::{Header, Method, Response};
use url::{Host, Url};
use uuid::Uuid;

/// Maximum size of a request body, in bytes.
const BODY_LIMIT: u64 = 64 << 10;

pub(super) type Reply = Response<Cursor<Vec<u8>>>;
pub(super) type Result<T = Reply> = std::result::Result<T, Refusal>;

pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn read(from: &mut tiny_http::Request) -> Result<Self> {
        let headers = from.headers().to_vec();
        let url = format!("http://{}{}", value(&headers, "Host"), from.url());
        let mut request = Self {
            method: from.method().clone(),
            url: Url::parse(&url).map_err(Refusal::invalid)?,
            headers,
            body: Vec::new(),
        };
        request.check_source()?;
        let mut body = from.as_reader().take(BODY_LIMIT + 1);
        if body.read_to_end(&mut request.body)? as u64 > BODY_LIMIT {
            let message = format!("the request body is larger than {BODY_LIMIT} bytes");
            return Err(Refusal::new(413, "request_too_large", message));
        }
        Ok(request)
    }

    /// Rejects requests from web pages. A `Host` that is not loopback indicates DNS rebinding.
    /// Without rebinding, a web page is detected by the `Origin` header that browsers add to a
    /// POST.
    fn check_source(&self) -> Result<()> {
        let is_loopback = match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let own = self.url.origin().ascii_serialization();
        let is_foreign = !["", &own].contains(&self.header("Origin"));
        if !is_loopback || (is_foreign && self.method == Method::Post) {
            let message =
                "the sandbox accepts requests from programs on this computer, not from web pages";
            return Err(Refusal::new(403, "web_page_refused", message));
        }
        Ok(())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// Returns the value of a header, or an empty string if the header is missing.
    pub(super) fn header(&self, name: &'static str) -> &str {
        value(&self.headers, name)
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(Refusal::invalid)
    }
}

fn value<'a>(headers: &'a [Header], name: &'static str) -> &'a str {
    let header = headers.iter().find(|header| header.field.equiv(name));
    header.map_or("", |header| header.value.as_str())
}

pub(super) fn reply(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let reply = Response::from_data(body).with_status_code(status);
    with_header(reply, "Content-Type", content_type)
}

/// Adds a header to the response. Omits the header if `value` is not ASCII.
pub(super) fn with_header(reply: Reply, name: &str, value: &str) -> Reply {
    match Header::from_bytes(name, value) {
        Ok(header) => reply.with_header(header),
        Err(()) => reply,
    }
}

pub(super) fn json(status: u16, body: impl Serialize) -> Result {
    let body = serde_json::to_vec(&body).map_err(io::Error::from)?;
    Ok(reply(status, "application/json", body))
}

pub(super) fn html(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    reply(status, "text/html; charset=utf-8", body)
}

/// An error response, which contains an error object in the service's format.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl ToString) -> Self {
        let message = message.to_string();
        Self {
            status,
            code,
            message,
        }
    }

    pub(super) fn invalid(message: impl ToString) -> Self {
        Self::new(400, "invalid_request", message)
    }

    pub(super) fn validation(message: impl ToString) -> Self {
        Self::new(422, "validation_error", message)
    }

    pub(super) fn into_reply(self) -> Reply {
        let (code, message, id) = (self.code, self.message, Uuid::new_v4());
        let error =
            json!({"error": {"code": code, "message": message, "correlation_id": id.to_string()}});
        reply(self.status, "application/json", error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(500, "internal_error", error)
    }
}
