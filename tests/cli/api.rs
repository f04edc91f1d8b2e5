//! Requests of the user's own making.

use serde_json::json;

use crate::support::{Home, Reply, Run, Server, TOKEN};

#[test]
fn a_route_is_read_with_the_login_and_its_body_is_printed_as_it_came() {
    let home = Home::new();
    let body = "{\"a\": 1.10,\n \"new\":null, \"s\":\"\u{1b}[2J\"}";
    let server = Server::always(Reply::new(200, body));
    let run = Run::of(&mut home.at(&server, ["--api", "/v1/users/me/statistics?x=1&y=%20"])).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (body, ""));
    let request = &server.requests()[0];
    assert_eq!(request.line(), "GET /v1/users/me/statistics?x=1&y=%20");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert!(request.body.is_empty() && request.header("idempotency-key").is_none());
}

#[test]
fn what_is_written_is_sent_once_by_a_method_that_was_said() {
    let home = Home::new();
    std::fs::write(home.path("data.json"), "{\"from\":\"a file\"}").expect("a file");
    let file = format!("@{}", home.path("data.json").display());
    for (flags, line, sent) in [
        (&["--method", "post", "--data", "{\"x\":1}"][..], "POST /v1/calls/1/cancel", "{\"x\":1}"),
        (&["--method", "PUT", "--data", &file], "PUT /v1/calls/1/cancel", "{\"from\":\"a file\"}"),
        (&["--method", "DELETE"], "DELETE /v1/calls/1/cancel", ""),
    ] {
        let server = Server::always(Reply::json(200, &json!({ "done": true })));
        let run = Run::of(home.at(&server, ["--api", "/v1/calls/1/cancel"]).args(flags)).exits(0);
        assert_eq!(run.json(), json!({ "done": true }));
        let requests = server.requests();
        assert_eq!((requests.len(), requests[0].line().as_str(), requests[0].body.as_str()), (1, line, sent));
    }
    let server = Server::always(Reply::new(204, ""));
    let mut command = home.at(&server, ["--api", "/v1/calls/1/cancel", "--method", "PATCH", "--data", "-"]);
    let run = Run::with_input(&mut command, b"[1]").exits(0);
    assert_eq!((run.stdout.as_str(), server.requests()[0].body.as_str()), ("", "[1]"));
}

#[test]
fn a_write_whose_answer_is_lost_is_not_sent_again() {
    for reply in [
        Reply::CutBeforeStatus,
        Reply::Reset,
        Reply::CutInBody,
        Reply::new(503, "").with("Retry-After", "0"),
        Reply::new(307, "").with("Location", "/v1/elsewhere"),
    ] {
        let home = Home::new();
        let server = Server::always(reply.clone());
        let flags = ["--api", "/v1/calls/1/cancel", "--method", "POST", "--json"];
        let error = Run::of(&mut home.at(&server, flags)).exits(6).error();
        assert_eq!(
            (&error["code"], &error["retry_safe"]),
            (&json!("outcome_unknown"), &json!(false)),
            "{reply:?}"
        );
        assert!(error.get("idempotency_key").is_none() && error.get("next_command").is_none(), "{error}");
        assert_eq!(server.requests().len(), 1, "{reply:?}");
    }
}

#[test]
fn refusals_exit_as_tabled() {
    let home = Home::new();
    let refusal =
        |status, code: &str| Reply::json(status, &json!({ "error": { "code": code, "message": "No." } }));
    for (reply, exit) in [
        (refusal(422, "safety_violation"), 1),
        (refusal(402, "quota_exceeded"), 5),
        (refusal(429, "rate_limited"), 3),
        (refusal(401, "missing_token"), 4),
    ] {
        let server = Server::always(reply);
        let run = Run::of(&mut home.at(&server, ["--api", "/v1/x/y", "--method", "POST", "--timeout", "5"]))
            .exits(exit);
        assert_eq!(run.stdout, "");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn what_has_rules_of_its_own_or_leaves_the_api_is_refused_before_anything_is_sent() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    for flags in [
        &["--api", "/v1/../x"][..],
        &["--api", "/v1/%2e%2e/x"],
        &["--api", "/v1//x"],
        &["--api", "https://example.org/v1/x"],
        &["--api", "//example.org/v1/x"],
        &["--api", "/v1\\x"],
        &["--api", "/v2/x"],
        &["--api", "/v1/auth/refresh"],
        &["--api", "/v1/auth/refresh", "--method", "POST", "--data", "{}"],
        &["--api", "/v1/calls", "--method", "POST", "--data", "{}"],
        &["--api", "/v1/x", "--data", "{}"],
        &["--api", "/v1/x", "--method", "POST", "--data", "{"],
        &["--api", "/v1/x", "--method", "BREW"],
        &["--usage", "--method", "POST"],
    ] {
        let run = Run::of(&mut home.at(&server, flags)).exits(2);
        assert!(run.stderr.contains("hint: "), "{flags:?} {}", run.stderr);
    }
    let run = Run::of(&mut home.at(&server, ["--api", "/v1/calls", "--method", "POST"])).exits(2);
    assert!(run.stderr.contains("-p NUMBER -t TEXT"), "{}", run.stderr);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn the_sandbox_answers_it_too() {
    let home = Home::new();
    let run = home.sandbox(&["--api", "/v1/users/me/subscription"]).exits(0);
    assert_eq!(run.json()["has_active_subscription"], true);
}
