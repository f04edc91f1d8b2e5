//! Requests as they come out of a socket (RFC 9112). Whatever a stranger may send is bounded here,
//! and refused before it is read: nothing is allocated because a request announces it.

use std::io::{self, Read, Write};
use std::str::FromStr as _;

use tiny_http::Method;

use super::wire::{Refusal, Request, only_header};

/// The most bytes of a request line and headers together.
const HEAD_LIMIT: usize = 64 << 10;

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// The most bytes of a request body.
const BODY_LIMIT: usize = 1 << 20;

/// The longest line between two chunks of a body, in bytes.
const CHUNK_LINE_LIMIT: usize = 1 << 10;

/// A request that came whole, and whether another may follow on its connection.
pub(super) struct Received {
    pub(super) request: Request,
    pub(super) keep_alive: bool,
}

/// Why there is no request. The connection cannot be used further, as where the next request
/// would begin is unknown.
pub(super) enum ReceiveError {
    /// The client left, or was silent for too long.
    Gone,
    /// To be answered, whether or not all of the request has come.
    Refused(Refusal),
}

impl From<io::Error> for ReceiveError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Refusal> for ReceiveError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

type Result<T> = std::result::Result<T, ReceiveError>;

/// The reading side of a connection.
pub(super) struct Receiver<S> {
    stream: S,
    /// The port that requests must be addressed to.
    port: u16,
    /// Bytes that were read and belong to what follows.
    buffer: Vec<u8>,
}

impl<S: Read + Write> Receiver<S> {
    pub(super) fn new(stream: S, port: u16) -> Self {
        Self { stream, port, buffer: Vec::new() }
    }

    /// Waits for the next request.
    pub(super) fn next(&mut self) -> Result<Received> {
        let head = self.head()?;
        check_host(&head.headers, self.port)?;
        let body = match head.body {
            BodyLength::Empty => Vec::new(),
            body => {
                if head.expects_continue {
                    self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                match body {
                    BodyLength::Sized(length) => self.take(length)?,
                    _ => self.chunks()?,
                }
            }
        };
        let request = Request::new(head.method, &head.target, head.headers, body)?;
        Ok(Received { request, keep_alive: head.keep_alive })
    }

    fn head(&mut self) -> Result<Head> {
        let mut searched = 0;
        loop {
            let end = find(&self.buffer[searched..], b"\r\n\r\n").map(|at| searched + at + 4);
            if end.unwrap_or(self.buffer.len()) > HEAD_LIMIT {
                let message = format!("The request's head is larger than {HEAD_LIMIT} bytes.");
                return Err(Refusal::new(431, "request_too_large", message).into());
            }
            if let Some(end) = end {
                let head = Head::parse(&self.buffer[..end])?;
                self.buffer.drain(..end);
                return Ok(head);
            }
            searched = self.buffer.len().saturating_sub(3);
            self.fill()?;
        }
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// A body in the chunked coding (RFC 9112 section 7.1); extensions and trailers are ignored.
    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let digits = std::str::from_utf8(size).ok().filter(|text| text.bytes().all(is_hex));
            let size = digits.filter(|digits| (1..=16).contains(&digits.len()));
            let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok());
            let size = size.ok_or_else(|| Refusal::invalid_request("A chunk has no size."))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            if size > BODY_LIMIT - body.len() {
                return Err(too_large().into());
            }
            body.extend(self.take(size)?);
            if !self.line()?.is_empty() {
                return Err(Refusal::invalid_request("A chunk is longer than its size.").into());
            }
        }
    }

    /// The next line without its end.
    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let mut line = self.take(at + 2)?;
                line.truncate(at);
                return Ok(line);
            }
            if self.buffer.len() > CHUNK_LINE_LIMIT {
                return Err(Refusal::invalid_request("A line of the body is too long.").into());
            }
            self.fill()?;
        }
    }

    /// Reads what has come, and waits for something if nothing has.
    fn fill(&mut self) -> Result<()> {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes)? {
            0 => Err(ReceiveError::Gone),
            count => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }
}

enum BodyLength {
    Empty,
    Sized(usize),
    Chunked,
}

struct Head {
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: BodyLength,
    keep_alive: bool,
    expects_continue: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut parsed);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(Refusal::invalid_request("The request has no request line.").into());
            }
            Err(httparse::Error::TooManyHeaders) => {
                let message = format!("The request has more than {MAX_HEADERS} headers.");
                return Err(Refusal::new(431, "request_too_large", message).into());
            }
            Err(error) => return Err(Refusal::invalid_request(error).into()),
        }
        let headers = request.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value);
            (header.name.to_owned(), value.trim().to_owned())
        });
        let headers: Vec<_> = headers.collect();
        let method = Method::from_str(request.method.unwrap_or_default())
            .map_err(|()| Refusal::invalid_request("The method is not one."))?;
        let body = BodyLength::announced(&headers)?;
        let is_last = values(&headers, "Connection")
            .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("close")));
        let expects_continue = match only_header(&headers, "Expect") {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("100-continue") => true,
            Some(_) => {
                let message = "Only 100-continue can be expected.";
                return Err(Refusal::new(417, "invalid_request", message).into());
            }
        };
        Ok(Self {
            method,
            target: request.path.unwrap_or_default().to_owned(),
            keep_alive: request.version == Some(1) && !is_last,
            headers,
            body,
            expects_continue,
        })
    }
}

impl BodyLength {
    fn announced(headers: &[(String, String)]) -> std::result::Result<Self, Refusal> {
        let lengths: Vec<_> = values(headers, "Content-Length").collect();
        let codings: Vec<_> = values(headers, "Transfer-Encoding").collect();
        match (&lengths[..], &codings[..]) {
            ([], []) => Ok(Self::Empty),
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Self::Chunked),
            ([], _) => {
                let message = "The only transfer coding is chunked.";
                Err(Refusal::new(501, "invalid_request", message))
            }
            ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
                match length.parse() {
                    Ok(0) => Ok(Self::Empty),
                    Ok(length) if length <= BODY_LIMIT => Ok(Self::Sized(length)),
                    _ => Err(too_large()),
                }
            }
            // Two readers of the same bytes might understand different requests.
            _ => Err(Refusal::invalid_request("The length of the body is ambiguous.")),
        }
    }
}

/// A page of a stranger's whose name leads to this machine sends its own name here (DNS rebinding).
fn check_host(headers: &[(String, String)], port: u16) -> std::result::Result<(), Refusal> {
    let host = only_header(headers, "Host").unwrap_or_default();
    let is_ours = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        let rest = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
        match rest.map(|_| &host[name.len()..]) {
            Some("") => port == 80,
            Some(rest) => rest.strip_prefix(':') == Some(port.to_string().as_str()),
            None => false,
        }
    });
    if is_ours {
        return Ok(());
    }
    let message = format!("The sandbox is served on localhost:{port} alone, under no other name.");
    Err(Refusal::new(403, "wrong_host", message))
}

fn too_large() -> Refusal {
    Refusal::new(413, "request_too_large", format!("The body is larger than {BODY_LIMIT} bytes."))
}

fn values<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

#[cfg(test)]
#[path = "tests/receive.rs"]
mod tests;
