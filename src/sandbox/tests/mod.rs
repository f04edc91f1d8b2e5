//! The emulator as a client meets it: over a socket.

mod calls;
mod server;
mod sign_in;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const MOMENT: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);

fn sandbox(folder: &Path, call_duration: Duration) -> Sandbox {
    Sandbox::start(Options {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        folder: folder.to_owned(),
        call_duration,
        access_token_lifetime: HOUR,
    })
    .expect("a free port and a folder")
}

fn order(phone: &str) -> Value {
    json!({
        "submission": {
            "task_category": "restaurant",
            "task_description": "Book a table",
            "respondent_phone": phone,
            "party_size": 4,
        },
        "timezone": "Europe/Madrid",
    })
}

/// Waits until something is so, which must not take long.
fn wait_until(condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "in vain");
        thread::yield_now();
    }
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Answer {
    fn read(stream: &TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).expect("a status line");
        let status = line[9..12].parse().expect("a status");
        let mut headers = HashMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).expect("a header");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().expect("a length")];
        stream.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("UTF-8");
        Self { status, headers, body }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn error(&self) -> (u16, String) {
        let json = self.json();
        assert!(json["error"]["correlation_id"].is_string(), "{json}");
        let code = json["error"]["code"].as_str().expect("a code");
        (self.status, code.to_owned())
    }
}

/// A client that is signed in.
struct Client {
    host: String,
    token: String,
}

impl Client {
    fn of(sandbox: &Sandbox) -> Self {
        Self {
            host: sandbox.url().replace("http://", ""),
            token: sandbox.new_login().expect("a login").access_token,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).expect("a listener");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    fn open(&self, head: &str, body: &str) -> TcpStream {
        let stream = self.connect();
        self.ask(&stream, head, body);
        stream
    }

    /// Sends a request on a connection.
    fn ask(&self, mut stream: &TcpStream, head: &str, body: &str) {
        let (host, token, length) = (&self.host, &self.token, body.len());
        let head = head.trim_end().replace('\n', "\r\n");
        let (line, headers) = head.split_once("\r\n").unwrap_or((&head, "X: y"));
        let headers = format!("{headers}\r\nHost: {host}\r\nAuthorization: Bearer {token}");
        let request = format!("{line} HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("a request");
    }

    /// `head` is the method, the target and a line for each further header.
    fn send(&self, head: &str, body: &str) -> Answer {
        Answer::read(&self.open(head, body))
    }

    fn get(&self, target: &str) -> Answer {
        self.send(&format!("GET {target}"), "")
    }

    fn call(&self, phone: &str) -> Answer {
        self.send("POST /v1/calls", &order(phone).to_string())
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_an_error_object() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let large = format!("{{\"submission\": \"{}\"}}", "x".repeat(2 << 20));
    let unsound = order("+15551234567").to_string().replace("Madrid", "Atlantis");
    let mut late = order("+15551234567");
    late["submission"]["appointment_date"] = json!("9999-12-31");
    late["submission"]["appointment_time"] = json!("23:59");
    let late = late.to_string();
    for (head, body, status, code) in [
        ("GET /v1/nothing", "", 404, "not_found"),
        ("GET //[", "", 404, "not_found"),
        ("GET http://a.test/v1/calls", "", 400, "invalid_request"),
        ("GET *", "", 400, "invalid_request"),
        ("GET /v1/calls/x", "", 404, "call_not_found"),
        ("GET /v1/calls/x/transcript", "", 404, "call_not_found"),
        ("DELETE /v1/calls", "", 405, "method_not_allowed"),
        ("POST /v1/calls", "", 400, "invalid_request"),
        ("POST /v1/calls", "{\"submission\"", 400, "invalid_request"),
        ("POST /v1/calls", "[{}]", 400, "invalid_request"),
        ("POST /v1/calls", "{}", 422, "validation_error"),
        ("POST /v1/calls", "{\"submission\": [1]}", 422, "validation_error"),
        ("POST /v1/calls", &unsound, 422, "validation_error"),
        ("POST /v1/calls", &late, 422, "scheduling_violation"),
        ("POST /v1/calls", &large, 413, "request_too_large"),
        ("POST /v1/auth/refresh", "{\"refresh_token\": 1}", 400, "invalid_request"),
        ("GET /v1/auth/cli?redirect_uri=http://a.test:1/", "", 400, "invalid_redirect_uri"),
    ] {
        let answer = client.send(head, body);
        assert_eq!(answer.error(), (status, code.to_owned()), "{head}");
    }
    for (head, allowed) in [
        ("PUT /v1/calls", "GET, HEAD, POST"),
        ("POST /v1/calls/x", "GET, HEAD"),
        ("GET /v1/auth/refresh", "POST"),
    ] {
        assert_eq!(client.send(head, "").headers["allow"], allowed, "{head}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_any_more_is_a_failure_of_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let sandbox = sandbox(&kept, MOMENT);
    let client = Client::of(&sandbox);
    std::fs::remove_dir_all(&kept).expect("its folder");
    std::fs::write(&kept, "").expect("a file in its place");
    assert_eq!(client.get("/v1/calls").error(), (500, "internal_error".to_owned()));
}

#[test]
fn the_billing_portal_leads_to_a_page_of_the_sandbox() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let portal = client.get("/v1/stripe/billing-portal").json();
    assert_eq!(portal["url"], sandbox.url() + "/billing");
    assert!(client.get("/billing").body.contains("100 minutes"));
}
