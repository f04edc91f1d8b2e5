//! Tests that the client parses the response bodies in the API's documentation, and that the
//! sandbox sends the same fields.

use std::net::Ipv4Addr;
use std::time::Duration;

use kallyai::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Run, Server, exchange};
use crate::wire::words;

/// Returns a response body from the API's documentation, as text and as parsed JSON.
fn fixture(name: &str) -> (String, Value) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).expect("a fixture");
    let value = serde_json::from_str(&text).expect("JSON");
    (text, value)
}

#[test]
fn documented_responses_are_parsed() {
    for row in "
        call | call-info ID | table for four | +15551234567 | 1 min 15 s | success
        call_older | call-info ID | table for four | Italian Bistro | terminated
        calls | history | 2026-01-28 | success | +15551234567 | 3f2a0c1e
        calls_older | history | 2026-01-28 | no_answer | Italian Bistro | A machine answered.
        transcript | transcript ID | 00:00:05  AI | 00:00:09  Human  For how many?
        transcript_older | transcript ID | AI     Hello | Human  For how many?
        transcript_list | transcript ID | AI     Hello | Human  For how many?
        transcript_strings | transcript ID | Hello, I would | For how many?
        statistics | usage | pro (active) | 12.5 of 100 | 47 left
        subscription | sub | pro, monthly, 100 minutes | Renews | https://kallyai.com/account
        subscription_none | sub | No active subscription | https://kallyai.com/pricing
        billing_portal | billing | https://billing.stripe.com/session/1"
        .trim()
        .lines()
    {
        let mut cells = row.split('|').map(str::trim);
        let (body, value) = fixture(cells.next().expect("a name"));
        let line = cells.next().expect("a line").replace("ID", ID);
        let (home, server) = (Home::new(), Server::always(Reply::new(200, body)));
        let text = home.run(&server, &words(&line)).exits(0).stdout;
        assert!(
            cells.all(|part| text.contains(part)) && !text.contains("null"),
            "{text}"
        );
        let json = Run::of(home.at(&server, words(&line)).arg("--json"))
            .exits(0)
            .json();
        assert_eq!(json, value);
    }
}

#[test]
fn documented_error_and_refresh_responses_are_parsed() {
    let home = Home::new();
    for (name, status, exit, code) in [
        ("error", 404, 1, "call_not_found"),
        ("quota", 402, 5, "quota_exceeded"),
    ] {
        let server = Server::always(Reply::new(status, fixture(name).0));
        let run = home.run(&server, &["call-info", ID, "--json"]).exits(exit);
        assert_eq!(run.error()["code"], code);
    }
    home.sign_in(-1);
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::new(200, fixture("refresh").0),
        _ => Reply::new(200, fixture("statistics").0),
    });
    home.run(&server, &["usage"]).exits(0);
    assert_eq!(home.login()["refresh_token"], "fresh-refresh-token");
}

/// Sends one request to the sandbox and returns the parsed response.
fn request(sandbox: &Sandbox, line: &str, token: &str, body: &str) -> Value {
    let url = sandbox.url();
    let address = url.trim_start_matches("http://");
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}");
    let request = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let response = exchange(address.parse().expect("an address"), request.as_bytes());
    serde_json::from_str(response.body()).expect("JSON")
}

/// Asserts that every field of `value` also occurs in `documented`, with the same type.
fn assert_documented(value: &Value, documented: &Value, path: &str) {
    match (value, documented) {
        (Value::Object(fields), Value::Object(known)) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                let known = known
                    .get(name)
                    .unwrap_or_else(|| panic!("{path} is not documented"));
                assert_documented(value, known, &path);
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            items
                .iter()
                .for_each(|item| assert_documented(item, &known[0], path));
        }
        (Value::Null, _) => {}
        (value, known) => {
            let is_same = std::mem::discriminant(value) == std::mem::discriminant(known);
            assert!(
                is_same || value.is_boolean() && known.is_boolean(),
                "{path} is {value}, documented as {known}"
            );
        }
    }
}

#[test]
fn sandbox_responses_match_the_api_documentation() {
    let home = Home::new();
    let sandbox = Sandbox::start(Options {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        folder: home.path("sandbox"),
        call_duration: Duration::from_millis(1),
    })
    .expect("the sandbox starts");
    let login = sandbox.new_login().expect("credentials");
    let refresh = json!({ "refresh_token": login.refresh_token }).to_string();
    let renewed = request(&sandbox, "POST /v1/auth/refresh", "", &refresh);
    assert_documented(&renewed, &fixture("refresh").1, "refresh");
    let token = renewed["access_token"].as_str().expect("a token");
    let submission = &fixture("call").1["submission"];
    let new_call = json!({ "submission": submission, "timezone": "UTC" }).to_string();
    let call = request(&sandbox, "POST /v1/calls", token, &new_call);
    let id = call["call_id"].as_str().expect("an ID");
    assert_documented(&call, &fixture("call").1, "call");
    for (path, fixture_name) in [
        (format!("calls/{id}"), "call"),
        (format!("calls/{id}/transcript"), "transcript"),
        ("users/me/statistics".into(), "statistics"),
        ("users/me/subscription".into(), "subscription"),
        ("stripe/billing-portal".into(), "billing_portal"),
        ("calls/none".into(), "error"),
    ] {
        let response = request(&sandbox, &format!("GET /v1/{path}"), token, "");
        assert_documented(&response, &fixture(fixture_name).1, &path);
        assert_ne!(response, json!({}), "{path}");
    }
    let list = request(&sandbox, "GET /v1/calls?limit=1", token, "");
    assert_eq!(list["calls"][0]["call_id"], id);
    let quota = new_call.replace("+15551234567", "+15555550140");
    let refused = request(&sandbox, "POST /v1/calls", token, &quota);
    assert_documented(&refused, &fixture("error").1, "quota");
}
