//! Refusals, failures and malformed responses.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Run, Server};

/// Runs a command that is signed in at a server.
fn at(server: &Server, line: &[&str]) -> Run {
    Run::of(&mut Home::new().at(server, line))
}

fn read(reply: Reply) -> Run {
    at(&Server::always(reply), &["usage", "--json"])
}

/// Asserts the code of an error that is safe to retry.
#[track_caller]
fn assert_code(error: &Value, code: &str) {
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["retry_safe"], true, "{error}");
}

#[test]
fn every_code_of_the_api_has_an_exit_and_a_hint() {
    for row in "quota_exceeded 402 5|missing_phone_number 422 1|emergency_number 422 2|toll_number 422 1\
        |safety_violation 422 1|scheduling_violation 422 1|consent_denied 422 1|unsupported_language 422 1\
        |blocked_number 403 1|suppression_violation 403 1|country_restriction 403 1|unsupported_country 403 1\
        |forbidden 403 1|call_not_found 404 1|transcript_not_found 404 1|something_new 418 1"
        .split('|')
    {
        let [code, status, exit] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let status: u16 = status.parse().expect("a status");
        let body = json!({ "error": { "code": code, "message": "Not-now.", "correlation_id": "c-77" } });
        let run = read(Reply::json(status, &body)).exits(exit.parse().expect("an exit"));
        let error = run.error();
        assert_code(&error, code);
        assert_eq!(error["http_status"], status);
        assert_eq!(error["correlation_id"], "c-77");
        assert!(error["message"].to_string().to_lowercase().contains("not-now"), "{error}");
        assert!(error["hint"].is_string() || code == "something_new", "{error}");
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
    }
}

#[test]
fn error_has_a_sentence_a_code_and_a_hint() {
    let error = json!({ "error": { "code": "toll_number", "message": "No premium numbers." } });
    let run = at(&Server::always(Reply::json(422, &error)), &["usage"]).exits(1);
    let start = "error: no premium numbers [toll_number]\nhint: ";
    assert!(run.stderr.starts_with(start), "{}", run.stderr);
}

#[test]
fn rejected_access_token_is_not_renewed() {
    let refusal = json!({ "error": { "code": "missing_token" } });
    let (home, server) = (Home::new(), Server::always(Reply::json(401, &refusal)));
    let mut command = home.kallyai(["usage", "--json"]);
    command.env("KALLYAI_API_URL", server.url());
    let run = Run::of(command.env("KALLYAI_ACCESS_TOKEN", "t")).exits(4);
    assert_code(&run.error(), "not_signed_in");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn failing_service_is_retried_and_then_exits_3() {
    for (status, is_retried) in [(429, true), (502, true), (504, true), (500, false)] {
        let server = Server::always(Reply::new(status, "<html>"));
        let run = at(&server, &["usage", "--json"]).exits(3);
        assert_code(&run.error(), "service_failing");
        assert_eq!(server.requests().len() > 1, is_retried, "{status}");
    }
    let busy = Server::always(Reply::new(429, "").with("Retry-After", "3600"));
    at(&busy, &["usage"]).exits(3);
    assert_eq!(busy.requests().len(), 1, "an hour is not waited for");
}

#[test]
fn absent_and_silent_services_exit_3() {
    let home = Home::new();
    let absent = Run::of(&mut home.at_url("http://127.0.0.1:9", ["usage", "--json"]));
    let silent = Server::always(Reply::Stall);
    let silent = at(&silent, &["call-info", ID, "--json", "--timeout", "1"]);
    for run in [absent, silent] {
        assert_code(&run.exits(3).error(), "unreachable");
    }
}

#[test]
fn malformed_response_is_quoted_in_part() {
    let bodies: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"\"x\"",
        b"{",
        b"\xff\xfe",
        b"{} {}",
        b"{\"minutes_used\":\"many\"}",
    ];
    let large = ["[".repeat(5000), "<html>\x1b[2J Hi ".repeat(5000)];
    let large = large.iter().map(|text| text.as_bytes());
    for body in bodies.iter().copied().chain(large) {
        let run = read(Reply::new(200, body)).exits(1);
        assert_code(&run.error(), "unexpected_response");
        assert_eq!(run.error()["http_status"], 200);
        assert!(!run.stderr.contains('\u{1b}') && run.stdout.is_empty());
        assert!(run.stderr.len() < 1000, "{}", run.stderr);
    }
    let quoted = read(Reply::new(200, "<html>Hotel Wi-Fi</html>")).error();
    assert!(
        quoted["message"].to_string().contains("Hotel Wi-Fi"),
        "{quoted}"
    );
}

#[test]
fn redirect_is_not_followed() {
    let other = Server::always(Reply::json(200, &json!({})));
    let place = format!("{}/v1/elsewhere", other.url());
    let run = read(Reply::new(302, "").with("Location", &place)).exits(1);
    assert_code(&run.error(), "unexpected_response");
    assert!(other.requests().is_empty());
}

#[test]
fn reader_that_leaves_early_is_not_an_error() {
    let turn = |n| json!({ "speaker": "AI", "content": format!("turn {n}") });
    let turns: Vec<Value> = (0..20_000).map(turn).collect();
    let server = Server::always(Reply::json(200, &json!({ "entries": turns })));
    let home = Home::new();
    let mut command = home.at(&server, ["transcript", ID]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("an end");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn debug_log_shows_requests_without_secrets() {
    let home = Home::new();
    home.sign_in(-10);
    let renewed = json!({ "access_token": "secret-2", "refresh_token": "secret-3" });
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Reply::json(200, &renewed),
        _ => Reply::json(200, &json!({ "plan_type": "pro" })).with("Set-Cookie", "id=secret-4"),
    });
    let run = Run::of(&mut home.at(&server, ["usage", "--debug"])).exits(0);
    for text in ["POST", "GET", "200", "[redacted]", "\"plan_type\":\"pro\""] {
        assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
    }
    run.never_says("secret");
}
