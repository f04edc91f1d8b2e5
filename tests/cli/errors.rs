//! Tests error responses, connection failures and malformed responses.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Run, Server, has, says};

/// Runs a command with valid credentials for `server`.
fn at(server: &Server, line: &[&str]) -> Run {
    Run::of(&mut Home::new().at(server, line))
}

fn read(reply: Reply) -> Run {
    at(&Server::always(reply), &["usage", "--json"])
}

/// Asserts that `error` has this code and states that a retry is safe.
#[track_caller]
fn assert_code(error: &Value, code: &str) {
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["retry_safe"], true, "{error}");
}

#[test]
fn every_api_error_has_an_exit_status_and_a_hint() {
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
        let run = read(Reply::json(status, &body)).exits(exit.parse().expect("an exit status"));
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
fn command_retries_a_failing_service_and_exits_with_3() {
    for (status, is_retried) in [(429, true), (502, true), (504, true), (500, false)] {
        let server = Server::always(Reply::new(status, "<html>"));
        let run = at(&server, &["usage", "--json"]).exits(3);
        assert_code(&run.error(), "service_failing");
        assert_eq!(server.requests().len() > 1, is_retried, "{status}");
    }
    let busy = Server::always(Reply::new(429, "").with("Retry-After", "3600"));
    at(&busy, &["usage"]).exits(3);
    assert_eq!(
        busy.requests().len(),
        1,
        "Retry-After is too long for a retry"
    );
}

#[test]
fn command_exits_with_3_if_service_is_unreachable_or_silent() {
    let home = Home::new();
    let absent = Run::of(&mut home.at_url("http://127.0.0.1:9", ["usage", "--json"]));
    let silent = Server::always(Reply::Stall);
    let silent = at(&silent, &["call-info", ID, "--json", "--timeout", "1"]);
    for run in [absent, silent] {
        assert_code(&run.exits(3).error(), "unreachable");
    }
}

#[test]
fn error_quotes_and_truncates_a_malformed_response() {
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
    says(&quoted, "message", "Hotel Wi-Fi");
}

#[test]
fn closed_stdout_is_not_an_error() {
    let turn = |n| json!({ "speaker": "AI", "content": format!("turn {n}") });
    let turns: Vec<Value> = (0..20_000).map(turn).collect();
    let server = Server::always(Reply::json(200, &json!({ "entries": turns })));
    let home = Home::new();
    let mut command = home.at(&server, ["transcript", ID]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("output");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

/// Returns the command that the last line of stderr suggests.
#[track_caller]
fn suggested(run: &Run) -> &str {
    let last = run.stderr.lines().last();
    let command = last.and_then(|line| line.strip_prefix("  "));
    command.unwrap_or_else(|| panic!("no command: {}", run.stderr))
}

#[test]
fn missing_call_error_suggests_history() {
    let server = Server::always(Reply::json(200, &json!({ "calls": [], "total": 0 })));
    for line in [
        ["transcript", "last"],
        ["call-info", "last-3"],
        ["calendar", "3f2a"],
    ] {
        let run = at(&server, &line).exits(1);
        run.notes("error: there are no calls yet [call_not_found]\n");
        assert_eq!(suggested(&run), "kallyai history");
    }
}

#[test]
fn error_for_missing_transcript_or_calendar_suggests_call_info() {
    for name in ["transcript", "calendar"] {
        let code = format!("{name}_not_found");
        let server = Server::always(Reply::json(404, &json!({ "error": { "code": code } })));
        let run = at(&server, &[name, ID]).exits(1);
        assert_eq!(suggested(&run), format!("kallyai call-info {ID}"));
        let error = at(&server, &[name, ID, "--json"]).fails(1, &code);
        let next = format!("kallyai call-info {ID} --json");
        has(&error, json!({ "next_command": next, "call_id": ID }));
    }
}
