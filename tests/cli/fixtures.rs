//! Every documented body of the API, held against both sides: the client reads it, and the sandbox answers in its form.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use kallyai::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Run, Server};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}

#[test]
fn the_client_reads_every_documented_body() {
    for (body, flags, words) in [
        (
            fixture!("call"),
            &["--call-info", ID][..],
            &["table for four", "+15551234567", "1 min 15 s", "success"][..],
        ),
        (fixture!("call_older"), &["--call-info", ID], &["table for four", "Italian Bistro", "terminated"]),
        (fixture!("calls"), &["--history"], &["2026-01-28", "success", "+15551234567", "3f2a0c1e"]),
        (
            fixture!("calls_older"),
            &["--history"],
            &["2026-01-28", "no_answer", "Italian Bistro", "Nobody answered."],
        ),
        (fixture!("transcript"), &["--transcript", ID], &["00:00:05  AI", "00:00:09  Human  For how many?"]),
        (fixture!("transcript_older"), &["--transcript", ID], &["AI     Hello", "Human  For how many?"]),
        (fixture!("transcript_list"), &["--transcript", ID], &["AI     Hello", "Human  For how many?"]),
        (fixture!("transcript_strings"), &["--transcript", ID], &["Hello, I would", "For how many?"]),
        (fixture!("statistics"), &["--usage"], &["pro (active)", "12.5 of 100", "12.5%", "47 left"]),
        (
            fixture!("subscription"),
            &["--subscription"],
            &["pro, monthly, 100 minutes", "Renews", "https://kallyai.com/account"],
        ),
        (
            fixture!("subscription_none"),
            &["--subscription"],
            &["no active subscription", "https://kallyai.com/pricing"],
        ),
        (fixture!("billing_portal"), &["--billing"], &["https://billing.stripe.com/session/1"]),
    ] {
        let home = Home::new();
        let server = Server::always(Reply::new(200, body));
        let run = Run::of(&mut home.at(&server, flags)).exits(0);
        for word in words {
            assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
        }
        assert!(!run.stdout.contains("null"), "{}", run.stdout);
        let json = Run::of(home.at(&server, flags).arg("--json")).exits(0);
        assert_eq!(json.json(), serde_json::from_str::<Value>(body).expect("JSON"));
    }
}

#[test]
fn the_client_reads_every_documented_refusal() {
    let home = Home::new();
    for (body, status, exit, code) in
        [(fixture!("error"), 404, 1, "call_not_found"), (fixture!("quota"), 402, 5, "quota_exceeded")]
    {
        let server = Server::always(Reply::new(status, body));
        let run = Run::of(&mut home.at(&server, ["--call-info", ID, "--json"])).exits(exit);
        assert_eq!(run.error()["code"], code);
    }
    home.sign_in(-1);
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::new(200, fixture!("refresh")),
        _ => Reply::new(200, fixture!("statistics")),
    });
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert_eq!(home.login()["refresh_token"], "fresh-refresh-token");
}

/// One request to the emulator, as any client makes it.
fn ask(sandbox: &Sandbox, line: &str, token: &str, body: &str) -> Value {
    let address = sandbox.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("the emulator listens");
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .expect("the emulator reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

/// Asserts that an answer has no member that is not documented, and each of the documented type where it is not null.
fn assert_form(answer: &Value, fixture: &Value, path: &str) {
    match (answer, fixture) {
        (Value::Object(answer), Value::Object(fixture)) => {
            for (name, value) in answer {
                let documented =
                    fixture.get(name).unwrap_or_else(|| panic!("{path}.{name} is not documented"));
                assert_form(value, documented, &format!("{path}.{name}"));
            }
        }
        (Value::Array(answer), Value::Array(fixture)) => {
            for value in answer {
                assert_form(value, fixture.first().expect("an element"), &format!("{path}[]"));
            }
        }
        (Value::Null, _) | (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Number(_), Value::Number(_)) => {}
        (answer, fixture) => panic!("{path} is {answer}, documented as {fixture}"),
    }
}

#[test]
fn the_sandbox_answers_in_the_documented_forms() {
    let home = Home::new();
    let sandbox = Sandbox::start(Options {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        folder: home.path("sandbox"),
        call_duration: Duration::from_millis(1),
        access_token_lifetime: Duration::from_secs(3600),
    })
    .expect("the emulator starts");
    let login = sandbox.new_login().expect("a login");
    let refresh = json!({ "refresh_token": login.refresh_token }).to_string();
    let renewed = ask(&sandbox, "POST /v1/auth/refresh", "", &refresh);
    let documented = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_form(&renewed, &documented(fixture!("refresh")), "refresh");
    let token = renewed["access_token"].as_str().expect("a token").to_owned();
    let submission = documented(fixture!("call"))["submission"].clone();
    let new_call = json!({ "submission": submission, "timezone": "UTC" }).to_string();
    let call = ask(&sandbox, "POST /v1/calls", &token, &new_call);
    let id = call["call_id"].as_str().expect("an ID").to_owned();
    for (answer, fixture) in [
        (call, fixture!("call")),
        (ask(&sandbox, &format!("GET /v1/calls/{id}"), &token, ""), fixture!("call")),
        (ask(&sandbox, &format!("GET /v1/calls/{id}/transcript"), &token, ""), fixture!("transcript")),
        (ask(&sandbox, "GET /v1/users/me/statistics", &token, ""), fixture!("statistics")),
        (ask(&sandbox, "GET /v1/users/me/subscription", &token, ""), fixture!("subscription")),
        (ask(&sandbox, "GET /v1/stripe/billing-portal", &token, ""), fixture!("billing_portal")),
        (ask(&sandbox, "GET /v1/calls/none", &token, ""), fixture!("error")),
    ] {
        let fixture = documented(fixture);
        assert_form(&answer, &fixture, "");
        let members =
            |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
        assert!(answer.get("error").is_some() || members(&answer) == members(&fixture), "{answer}");
    }
    let list = ask(&sandbox, "GET /v1/calls?limit=1", &token, "");
    assert_eq!((list["calls"][0]["call_id"].as_str(), &list["total"]), (Some(id.as_str()), &json!(1)));
    let quota = new_call.replace("+15551234567", "+15555550140");
    let refused = ask(&sandbox, "POST /v1/calls", &token, &quota);
    let form = if refused.get("error").is_some() { fixture!("error") } else { fixture!("quota") };
    assert_form(&refused, &documented(form), "quota");
}
