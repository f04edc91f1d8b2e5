//! `api`: any path under /v1/.

use serde_json::json;

use crate::support::{Home, Reply, Run, Server, TOKEN};

#[test]
fn path_is_read_and_its_body_is_printed_as_it_came() {
    let home = Home::new();
    let body = "{\"a\": 1.10,\n \"new\":null, \"s\":\"\u{1b}[2J\"}";
    let server = Server::always(Reply::new(200, body));
    for form in ["api", "--api"] {
        let run = Run::of(&mut home.at(&server, [form, "/v1/users/me/x?a=1&b=%20"])).exits(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (body, ""));
        let request = server.requests().pop().expect("a request");
        assert_eq!(request.line(), "GET /v1/users/me/x?a=1&b=%20");
        let token = format!("Bearer {TOKEN}");
        assert_eq!(request.header("authorization"), Some(token.as_str()));
    }
}

#[test]
fn refusals_exit_as_those_of_any_command() {
    let home = Home::new();
    for (status, code, exit) in [
        (422, "safety_violation", 1),
        (402, "quota_exceeded", 5),
        (429, "rate_limited", 3),
        (404, "call_not_found", 1),
    ] {
        let server = Server::always(Reply::json(status, &json!({ "error": { "code": code } })));
        let run = Run::of(&mut home.at(&server, ["api", "/v1/x", "--timeout", "2"])).exits(exit);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn paths_outside_v1_and_writes_are_refused() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    for line in [
        &["api", "/v1/../x"][..],
        &["api", "/v1/%2e%2e/x"],
        &["api", "https://example.org/v1/x"],
        &["api", "//example.org/v1/x"],
        &["api", "/v2/x"],
        &["api", "/v1/calls", "--method", "POST"],
        &["api", "/v1/x", "--data", "{}"],
        &["api"],
    ] {
        let run = Run::of(&mut home.at(&server, line)).exits(2);
        assert!(run.stderr.contains("hint: "), "{line:?} {}", run.stderr);
    }
    assert!(server.requests().is_empty());
}
