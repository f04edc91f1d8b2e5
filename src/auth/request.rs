//! Reads and parses the request line and the headers of a request to the sign-in callback port.

use std::str;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Maximum size of a request's headers, in bytes. It leaves room for cookies, because a browser
/// sends the cookies of every server on localhost.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 256;

/// Reads a request up to the empty line after its headers. Returns `None` if the connection closes
/// first. If the headers exceed [`MAX_HEAD`], returns only the part read so far.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(4096);
    loop {
        let seen = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
        let new = head.get(seen..).unwrap_or_default();
        if let Some(end) = new.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(seen + end + 4);
            return Some(head);
        }
        if head.len() > MAX_HEAD {
            return Some(head);
        }
    }
}

/// Returns the path and the query of a GET request to `port` on a loopback address. Rejects any
/// other request with an HTTP status.
pub fn parse_head(head: &[u8], port: u16) -> Result<(&str, &str), u16> {
    if head.len() > MAX_HEAD {
        return Err(431);
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        _ => return Err(400),
    }
    let target = request.path.filter(|target| target.starts_with('/'));
    let (Some(method), Some(target)) = (request.method, target) else {
        return Err(400);
    };
    let is_host = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("host");
    let mut hosts = request.headers.iter().filter(is_host);
    match (hosts.next(), hosts.next()) {
        // Prevent DNS rebinding, where a website makes its own host name resolve to this computer.
        (Some(host), None) if !is_loopback(host.value, port) => return Err(403),
        (Some(_), None) => {}
        _ => return Err(400),
    }
    if method != "GET" {
        return Err(405);
    }
    Ok(target.split_once('?').unwrap_or((target, "")))
}

fn is_loopback(host: &[u8], port: u16) -> bool {
    let host = str::from_utf8(host).unwrap_or_default();
    let (name, given) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        // Browsers omit port 80, the default.
        _ => (host, "80"),
    };
    let names = ["localhost", "127.0.0.1", "[::1]"];
    given == port.to_string() && names.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, host: &str) -> Result<(String, String), u16> {
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let parsed = parse_head(head.as_bytes(), 8976);
        parsed.map(|(path, query)| (path.to_owned(), query.to_owned()))
    }

    #[test]
    fn get_request_to_a_loopback_host_is_accepted() {
        for host in [
            "localhost:8976",
            "127.0.0.1:8976",
            "[::1]:8976",
            "LOCALHOST:8976",
        ] {
            let expected = Ok(("/callback".into(), "a=b?c".into()));
            assert_eq!(parsed("GET /callback?a=b?c", host), expected, "{host}");
        }
        assert!(is_loopback(b"LocalHost", 80) && is_loopback(b"[::1]", 80));
        assert!(!is_loopback(b"localhost", 8976) && !is_loopback(b"[::1]", 8976));
    }

    #[test]
    fn invalid_sign_in_callback_requests_are_rejected() {
        for (line, host, status) in [
            ("HEAD /callback", "localhost:8976", 405),
            ("POST /callback", "localhost:8976", 405),
            ("OPTIONS *", "localhost:8976", 400),
            ("GET http://localhost:8976/callback", "localhost:8976", 400),
            ("GET /callback", "evil.example:8976", 403),
            ("GET /callback", "localhost", 403),
            ("GET /callback", "localhost:8977", 403),
            ("GET /callback", "localhost:8976.evil.example", 403),
            ("GET /callback", "", 403),
        ] {
            assert_eq!(parsed(line, host), Err(status), "{line} {host}");
        }
        for head in [
            "GET /callback HTTP/1.1\r\n\r\n",
            "GET /callback HTTP/1.1\r\nHost: localhost:8976\r\nHost: localhost:8976\r\n\r\n",
            "\x16\x03\x01\x02\r\n\r\n",
            "GET\r\n\r\n",
        ] {
            assert_eq!(parse_head(head.as_bytes(), 8976), Err(400), "{head:?}");
        }
    }

    #[tokio::test]
    async fn request_headers_over_the_size_limit_are_rejected() {
        let with_cookie = |length: usize| {
            let cookie = "c".repeat(length);
            format!("GET / HTTP/1.1\r\nHost: localhost:1\r\nCookie: {cookie}\r\n\r\nbody")
        };
        let room = MAX_HEAD - (with_cookie(0).len() - "body".len());
        for (length, expected) in [(room, Ok(("/", ""))), (2 * MAX_HEAD, Err(431))] {
            let request = with_cookie(length);
            let head = read_head(&mut request.as_bytes()).await.expect("a head");
            assert_eq!(parse_head(&head, 1), expected);
        }
        assert_eq!(read_head(&mut &b"GET / HTTP/1.1\r\n"[..]).await, None);
    }
}
