//! Tests that send requests to the sandbox over a socket, as a client would.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);

struct Client {
    sandbox: Sandbox,
    token: String,
    folder: Arc<TempDir>,
}

impl Client {
    fn new() -> Self {
        Self::in_folder(&Arc::new(tempfile::tempdir().unwrap()), MOMENT)
    }

    fn in_folder(folder: &Arc<TempDir>, call_duration: Duration) -> Self {
        let options = Options {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            folder: folder.path().to_owned(),
            call_duration,
        };
        let sandbox = Sandbox::start(options).unwrap();
        let token = sandbox.new_login().unwrap().access_token;
        Self {
            sandbox,
            token,
            folder: Arc::clone(folder),
        }
    }

    /// Sends a request and returns the connection without waiting for the response.
    fn open(&self, line: &str, key: &str, body: &str) -> TcpStream {
        let host = self.sandbox.url().replace("http://", "");
        let mut stream = TcpStream::connect(&host).unwrap();
        let (token, length) = (&self.token, body.len());
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Idempotency-Key: {key}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        stream
    }

    fn send(&self, line: &str, key: &str, body: &str) -> Response {
        let mut text = String::new();
        let mut stream = self.open(line, key, body);
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Response {
            status: head[9..12].parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path}"), "", "")
    }

    fn call(&self, key: &str, call: &Value) -> Response {
        self.send("POST /v1/calls", key, &call.to_string())
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn code(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].clone();
        (self.status, code.as_str().unwrap_or_default().to_owned())
    }
}

fn path(call: &Value) -> String {
    format!("/v1/calls/{}", call["call_id"].as_str().unwrap())
}

fn table(phone: &str) -> Value {
    let submission = json!({
        "task_category": "restaurant",
        "task_description": "Reserve a table for 4 at 8pm",
        "respondent_phone": phone,
        "party_size": 4,
        "appointment_date": "2077-01-28",
        "appointment_time": "20:00",
    });
    json!({"submission": submission, "timezone": "America/New_York"})
}

#[test]
fn request_to_make_a_call_returns_the_finished_call() {
    let client = Client::new();
    let response = client.call("", &table("+15551234567"));
    let call = response.json();
    assert_eq!((response.status, &call["status"]), (201, &json!("success")));
    assert_eq!(client.get(&path(&call)).json(), call);
    let calendar = client.get(&(path(&call) + "/calendar.ics")).body;
    assert!(calendar.contains("\r\nDTSTART:20770129T010000Z\r\n"));
    let list = client.get("/v1/calls?limit=1&offset=0").json();
    assert_eq!(list, json!({"calls": [call], "total": 1}));
    let usage = Client::new().get("/v1/users/me/statistics");
    assert!(usage.body.contains(r#""minutes_used":0.0"#));
}

#[test]
fn business_offers_another_day_if_nothing_is_free() {
    let client = Client::new();
    let call = client.call("", &table("+15555550107")).json();
    assert_eq!(call["status"], "failed");
    let next_steps = call["next_steps"].to_string();
    assert!(next_steps.contains("Friday, January 29 at 8:00 PM"));
    let transcript = client.get(&(path(&call) + "/transcript")).body;
    assert!(transcript.contains("nothing free"), "{transcript}");
    assert_eq!(client.get(&(path(&call) + "/calendar.ics")).status, 404);
}

#[test]
fn reused_idempotency_key_is_rejected_for_another_request() {
    let client = Client::new();
    assert_eq!(client.call("k", &table("+15555550122")).status, 504);
    let replayed = client.call("k", &table("+15555550122"));
    assert_eq!(replayed.status, 201);
    let other = client.call("k", &table("+15551234567"));
    assert_eq!(other.code(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(client.get("/v1/calls").json()["total"], 1);
}

#[test]
fn simulated_call_continues_after_its_sandbox_stops() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let first = Client::in_folder(&folder, HOUR);
    let second = Client::in_folder(&first.folder, HOUR);
    let accepted = first.call("", &table("+15555550106"));
    assert_eq!(accepted.status, 202);
    drop(first.sandbox);
    let call = second.get(&path(&accepted.json())).json();
    assert_eq!(call["status"], "in_progress");
}

#[test]
fn concurrent_sandboxes_in_one_folder_keep_all_calls() {
    let first = Client::new();
    let second = Client::in_folder(&first.folder, MOMENT);
    thread::scope(|scope| {
        for client in [&first, &second] {
            scope.spawn(|| (0..10).for_each(|_| drop(client.call("", &table("+15551234567")))));
        }
    });
    assert_eq!(first.get("/v1/calls").json()["total"], 20);
}

#[test]
fn refresh_token_is_accepted_only_once() {
    let client = Client::new();
    let login = client.sandbox.new_login().unwrap();
    let body = json!({"refresh_token": login.refresh_token}).to_string();
    let renewed = client.send("POST /v1/auth/refresh", "", &body);
    assert_eq!(renewed.status, 200);
    assert_ne!(renewed.json()["access_token"], login.access_token);
    let reused = client.send("POST /v1/auth/refresh", "", &body);
    assert_eq!(reused.code(), (401, "invalid_refresh_token".to_owned()));
}

#[test]
fn sign_in_page_redirects_with_tokens_or_an_error() {
    let client = Client::new();
    let query = "redirect_uri=http://localhost:8976/callback&state=a%26b";
    let page = client.get(&format!("/v1/auth/cli?{query}")).body;
    let action = format!("approve?{}", query.replace('&', "&amp;"));
    assert!(page.contains(&action), "{page}");
    let approved = client.send(&format!("POST /v1/auth/cli/approve?{query}"), "", "");
    let location = "Location: http://localhost:8976/callback?access_token=sandbox-access-";
    assert!(approved.head.contains(location), "{}", approved.head);
    let denied = client.send(&format!("POST /v1/auth/cli/deny?{query}"), "", "");
    let location = "/callback?error=access_denied&state=a%26b\r\n";
    assert!(denied.head.contains(location), "{}", denied.head);
}

#[test]
fn requests_from_web_pages_are_rejected() {
    let client = Client::new();
    let approve = "POST /v1/auth/cli/approve?redirect_uri=http://localhost:1/";
    for header in ["Origin: https://example.com", "Origin: null"] {
        let response = client.send(approve, &format!("key\r\n{header}"), "");
        assert_eq!(response.status, 403, "{header}");
    }
    let mut stream = TcpStream::connect(client.sandbox.url().replace("http://", "")).unwrap();
    stream
        .write_all(b"GET /billing HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[test]
fn invalid_requests_return_an_error_object() {
    let mut client = Client::new();
    for (line, body, status, code) in [
        ("GET /v2", "", 404, "not_found"),
        ("GET /v1/calls/none", "", 404, "call_not_found"),
        ("GET /v1/calls?limit=0", "", 422, "validation_error"),
        ("POST /v1/calls", "[]", 400, "invalid_request"),
    ] {
        let response = client.send(line, "", body);
        assert_eq!(response.code(), (status, code.to_owned()), "{line}");
    }
    for (field, value, code) in [
        ("respondent_phone", "911", "emergency_number"),
        ("respondent_phone", "+0123456789", "invalid_phone_number"),
        ("respondent_phone", "+19005550100", "toll_number"),
        ("task_category", "opera", "validation_error"),
        ("appointment_date", "2026-02-30", "scheduling_violation"),
        ("appointment_time", "9:30", "scheduling_violation"),
        ("call_language", "EN", "unsupported_language"),
    ] {
        let mut call = table("+15551234567");
        call["submission"][field] = json!(value);
        let refused = client.call("", &call).code();
        assert_eq!(refused, (422, code.to_owned()), "{value}");
    }
    client.token.clear();
    assert_eq!(client.get("/v1/calls").status, 401);
}

#[test]
fn simulated_business_answers_questions_and_confirms_requests() {
    let client = Client::new();
    #[rustfmt::skip]
    let rows = [
        ("Ask whether they sell bagels.", "en", r#"They said: "Yes, no problem.""#),
        ("¿Cuánto cuesta?", "es", "Dijeron: «Son 25 euros.»"),
        ("Cancel my table", "en", r#"Confirmed: "Cancel my table", Thursday"#),
        ("Book it, and ask what it costs", "en", r#"They also said: "That's 25 dollars.""#),
    ];
    for (task, language, expected) in rows {
        let mut call = table("+15551234567");
        call["submission"]["task_description"] = json!(task);
        call["submission"]["language"] = json!(language);
        let call = client.call("", &call).json();
        let highlights = call["highlights"].as_str().unwrap();
        assert!(highlights.contains(expected), "{highlights}");
    }
}
