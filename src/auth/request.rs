//! What of a request to the sign-in's receiver counts: its path and query, once all else about it is as it must be.

use super::page::Page;

/// The path of the redirect URL.
pub const CALLBACK: &str = "/callback";
/// The largest head taken, in bytes: other programs' cookies for localhost come along.
pub const LARGEST_HEAD: usize = 128 * 1024;
/// The most header fields taken.
const MOST_FIELDS: usize = 256;

/// The path and query of a request to this receiver, or the status that refuses it. Only `/callback` and the pages
/// behind it are here.
pub fn read_request(head: &[u8], port: u16) -> Result<(&str, &str), u16> {
    if head.len() > LARGEST_HEAD {
        return Err(431);
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        _ => return Err(400),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Err(400) };
    if !target.starts_with('/') {
        return Err(400);
    }
    let mut hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_our_host(host.value, port) => {}
        (Some(_), None) => return Err(403),
        _ => return Err(400),
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != CALLBACK && !Page::PATHS.contains(&path) {
        return Err(404);
    }
    if method != "GET" {
        return Err(405);
    }
    if !request.headers.iter().all(is_navigation) {
        return Err(403);
    }
    Ok((path, query))
}

/// Whether a field lets a person's browser go to a page of its own: no page may fetch the callback, embed it or open a
/// WebSocket to it, and no browser may fetch it beforehand. Browsers say so themselves, and no page can make them say
/// otherwise; Chromium says nothing of a WebSocket but that it is one.
fn is_navigation(field: &httparse::Header<'_>) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    let value = field.value.trim_ascii();
    if is("sec-fetch-mode") {
        value == b"navigate"
    } else if is("sec-fetch-dest") {
        value == b"document"
    } else if is("upgrade") || is("sec-websocket-key") {
        false
    } else if is("sec-purpose") || is("purpose") {
        !value.to_ascii_lowercase().starts_with(b"prefetch")
    } else {
        true
    }
}

fn is_our_host(host: &[u8], port: u16) -> bool {
    let ours = |name: &str| host.eq_ignore_ascii_case(format!("{name}:{port}").as_bytes());
    // A browser leaves out the port that HTTP has anyway.
    let bare = |name: &str| port == 80 && host.eq_ignore_ascii_case(name.as_bytes());
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|name| ours(name) || bare(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str, host: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    #[test]
    fn only_a_get_of_the_callback_at_our_host_is_read() {
        for host in ["localhost:8976", "127.0.0.1:8976", "[::1]:8976", "LOCALHOST:8976"] {
            let head = request("GET /callback?a=b", host);
            assert_eq!(read_request(head.as_bytes(), 8976), Ok(("/callback", "a=b")), "{host}");
        }
        for (line, host, status) in [
            ("GET /", "localhost:8976", 404),
            ("GET /favicon.ico", "localhost:8976", 404),
            ("GET /Callback", "localhost:8976", 404),
            ("GET /callback/x", "localhost:8976", 404),
            ("GET //callback", "localhost:8976", 404),
            ("HEAD /callback", "localhost:8976", 405),
            ("POST /callback", "localhost:8976", 405),
            ("OPTIONS /callback", "localhost:8976", 405),
            ("OPTIONS *", "localhost:8976", 400),
            ("GET http://localhost:8976/callback", "localhost:8976", 400),
            ("GET /callback", "evil.example:8976", 403),
            ("GET /callback", "localhost", 403),
            ("GET /callback", "localhost:8977", 403),
            ("GET /callback", "localhost:8976.evil.example", 403),
            ("GET /callback", "", 403),
        ] {
            assert_eq!(read_request(request(line, host).as_bytes(), 8976), Err(status), "{line} {host}");
        }
        for head in [
            "GET /callback HTTP/1.1\r\n\r\n",
            "GET /callback HTTP/1.0\r\n\r\n",
            "\x16\x03\x01\x02\r\n\r\n",
            "GET /callback HTTP/1.1\r\nHost: localhost:8976\r\nHost: localhost:8976\r\n\r\n",
            "GET\r\n\r\n",
        ] {
            assert_eq!(read_request(head.as_bytes(), 8976), Err(400), "{head:?}");
        }
    }

    #[test]
    fn a_head_of_64_kib_passes_and_one_beyond_the_cap_does_not() {
        let with = |cookies: usize| {
            format!("GET /callback HTTP/1.1\r\nHost: localhost:1\r\nCookie: {}\r\n\r\n", "c".repeat(cookies))
        };
        assert!(read_request(with(64 * 1024).as_bytes(), 1).is_ok());
        assert_eq!(read_request(with(LARGEST_HEAD).as_bytes(), 1), Err(431));
        let largest = with(LARGEST_HEAD - with(0).len());
        assert_eq!(largest.len(), 128 * 1024);
        assert!(read_request(largest.as_bytes(), 1).is_ok());
        let many = "X: y\r\n".repeat(MOST_FIELDS);
        assert_eq!(
            read_request(format!("GET /callback HTTP/1.1\r\n{many}Host: localhost:1\r\n\r\n").as_bytes(), 1),
            Err(431)
        );
    }

    #[test]
    fn only_a_person_going_to_the_page_may_bring_the_callback() {
        let with = |fields: &str| {
            let head = format!("GET /callback HTTP/1.1\r\nHost: localhost:1\r\n{fields}\r\n");
            read_request(head.as_bytes(), 1).map(|_| ())
        };
        for passes in [
            "",
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\n",
            "sec-fetch-mode:  navigate \r\n",
        ] {
            assert_eq!(with(passes), Ok(()), "{passes}");
        }
        for refused in [
            "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
            "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Mode: cors\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Purpose: prefetch\r\n",
            "Sec-Purpose: prefetch;prerender\r\n",
            "Purpose: Prefetch\r\n",
        ] {
            assert_eq!(with(refused), Err(403), "{refused}");
        }
    }

    #[test]
    fn a_host_has_its_port_unless_http_has_it_anyway() {
        assert!(
            is_our_host(b"LocalHost", 80) && is_our_host(b"[::1]", 80) && is_our_host(b"localhost:80", 80)
        );
        assert!(!is_our_host(b"localhost", 8976) && !is_our_host(b"example.org", 80));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_bytes_make_the_head_parser_panic_or_forget_the_host(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                "GET /callback HTTP/1[.]1\r\n(Host: (localhost|evil[.]example):1\r\n|X: y\r\n){0,3}\r\n".prop_map(String::into_bytes),
                "(GET|POST|/callback|/| |HTTP/1.1|\r\n|Host: |localhost:1|:|\\?state=|\u{0}){0,30}".prop_map(String::into_bytes),
            ]
        ) {
            if let Ok((path, _)) = read_request(&bytes, 1) {
                prop_assert_eq!(path, CALLBACK);
                let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                prop_assert!(head.contains("localhost:1") && head.contains("get"));
            }
        }
    }
}
