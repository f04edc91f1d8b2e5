//! Requests as bytes, in one piece and byte by byte.

use std::collections::VecDeque;
use std::io;

use super::*;

/// A client that has sent all it will.
struct Wire {
    pieces: VecDeque<Vec<u8>>,
    answered: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.pop_front() else {
            return Ok(0);
        };
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn receiver(bytes: &[u8], piece: usize) -> Receiver<Wire> {
    let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
    Receiver::new(Wire { pieces, answered: Vec::new() }, 8977)
}

fn outcome(bytes: &[u8]) -> String {
    let mut outcomes = [1, 7, 8 << 10].map(|piece| match receiver(bytes, piece).next() {
        Ok(received) => format!("{:?} {}", received.request.json::<serde_json::Value>(), received.keep_alive),
        Err(ReceiveError::Gone) => "gone".to_owned(),
        Err(ReceiveError::Refused(refusal)) => refusal.code().to_owned(),
    });
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{outcomes:?}");
    std::mem::take(&mut outcomes[0])
}

fn post(headers: &str, body: &str) -> String {
    outcome(format!("POST / HTTP/1.1\r\nHost: localhost:8977\r\n{headers}\r\n{body}").as_bytes())
}

#[test]
fn a_body_comes_by_length_or_in_chunks() {
    let taken = r#"Ok(Object {"a": Number(1)}) true"#;
    assert_eq!(post("Content-Length: 7\r\n", r#"{"a":1}"#), taken);
    assert_eq!(
        post("Transfer-Encoding: chunked\r\n", "3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\nT: x\r\n\r\n"),
        taken
    );
}

#[test]
fn what_is_no_request_is_refused() {
    for (headers, body, code) in [
        ("Content-Length: 1048577\r\n", "", "request_too_large"),
        ("Content-Length: 99999999999999999999999999\r\n", "", "request_too_large"),
        ("Content-Length: -1\r\n", "", "invalid_request"),
        ("Content-Length: +1\r\n", "", "invalid_request"),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", "", "invalid_request"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "", "invalid_request"),
        ("Transfer-Encoding: gzip, chunked\r\n", "", "invalid_request"),
        ("Transfer-Encoding: chunked\r\n", "x\r\n", "invalid_request"),
        ("Transfer-Encoding: chunked\r\n", "+1\r\n", "invalid_request"),
        ("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n", "invalid_request"),
        ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n", "request_too_large"),
        ("Transfer-Encoding: chunked\r\n", "100001\r\n", "request_too_large"),
        ("Expect: the impossible\r\n", "", "invalid_request"),
        ("no colon\r\n", "", "invalid_request"),
        ("Content-Length: 2\r\n", "1", "gone"),
    ] {
        assert_eq!(post(headers, body), code, "{headers}{body}");
    }
    assert_eq!(outcome(b"\r\n\r\n"), "invalid_request");
    assert_eq!(outcome(b"GET / HTTP/2.0\r\n\r\n"), "invalid_request");
    assert_eq!(outcome(b"GET / HTTP/1.1"), "gone");
    assert_eq!(post(&format!("Cookie: {}\r\n", "x".repeat(HEAD_LIMIT + 1)), ""), "request_too_large");
    assert_eq!(post(&"A: b\r\n".repeat(MAX_HEADERS + 1), ""), "request_too_large");
}

#[test]
fn a_connection_is_kept_unless_either_side_says_otherwise() {
    let keeps = |version: &str, headers: &str| {
        let request = format!("GET / HTTP/{version}\r\nHost: localhost:8977\r\n{headers}\r\n");
        receiver(request.as_bytes(), 100).next().ok().expect("a request").keep_alive
    };
    assert!(keeps("1.1", "") && keeps("1.1", "Connection: keep-alive\r\n"));
    assert!(!keeps("1.1", "Connection: TE, Close\r\n") && !keeps("1.0", ""));
}

#[test]
fn who_waits_for_leave_to_send_a_body_is_given_it_unless_it_is_too_long() {
    for (length, answered) in [(2, "HTTP/1.1 100 Continue\r\n\r\n"), (BODY_LIMIT + 1, "")] {
        let head = format!("Host: localhost:8977\r\nContent-Length: {length}\r\nExpect: 100-Continue");
        let mut receiver = receiver(format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{{}}").as_bytes(), 4096);
        let received = receiver.next();
        assert_eq!(received.is_ok(), !answered.is_empty());
        assert_eq!(receiver.stream.answered, answered.as_bytes());
    }
}
