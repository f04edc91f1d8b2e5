//! The emulator as a client meets it: over a socket.

mod calls;
mod sign_in;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

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

    fn open(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).expect("a listener");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let (host, token, length) = (&self.host, &self.token, body.len());
        let head = head.replacen('\n', " HTTP/1.1\r\n", 1).replace('\n', "\r\n");
        write!(
            stream,
            "{head}Host: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}",
        )
        .expect("a request");
        stream
    }

    /// `head` is the method, the target and a line for each further header.
    fn send(&self, head: &str, body: &str) -> Answer {
        Answer::read(&self.open(&format!("{head}\n"), body))
    }

    fn get(&self, target: &str) -> Answer {
        self.send(&format!("GET {target}"), "")
    }

    fn call(&self, phone: &str) -> Answer {
        self.send("POST /v1/calls", &order(phone).to_string())
    }
}

#[test]
fn closing_ends_every_waiting_request_but_not_its_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), HOUR);
    let client = Client::of(&sandbox);
    let waiting = client.open("POST /v1/calls\n", &order("+15551234567").to_string());
    while client.get("/v1/calls").json()["total"] == 0 {
        thread::yield_now();
    }
    drop(sandbox);
    assert_eq!(Answer::read(&waiting).status, 504);
}

#[test]
fn many_clients_are_served_at_once_though_none_hangs_up() {
    const CLIENTS: usize = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let start = Barrier::new(CLIENTS);
    let place = || {
        start.wait();
        let connection = client.open("POST /v1/calls\n", &order("+15551234567").to_string());
        (Answer::read(&connection).status, connection)
    };
    let answers = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(place)).collect();
        let answers = clients.into_iter().map(|it| it.join().expect("an answer"));
        answers.collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|(status, _)| *status == 201));
    assert_eq!(client.get("/v1/calls").json()["total"], CLIENTS);
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
        ("GET //[", "", 400, "invalid_request"),
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
fn a_head_is_answered_as_its_get_without_the_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let mut stream = Client::of(&sandbox).open("HEAD /v1/calls\nConnection: close\n", "");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer with an end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
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
fn a_length_that_no_memory_holds_does_not_end_the_sandbox() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let mut hostile = TcpStream::connect(&client.host).expect("a listener");
    write!(hostile, "POST /v1/auth/refresh HTTP/1.1\r\nContent-Length: {}\r\n\r\n", usize::MAX)
        .expect("a request");
    drop(hostile);
    assert_eq!(client.get("/v1/calls").status, 200);
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
