//! Tests the `api` command, which sends a GET request to any path under /v1/.

use serde_json::json;

use crate::support::{Home, Reply, Run, Server, TOKEN};

#[test]
fn api_prints_the_response_body_unchanged() {
    let home = Home::new();
    let body = "{\"a\": 1.10,\n \"new\":null, \"s\":\"\u{1b}[2J\"}";
    let server = Server::always(Reply::new(200, body));
    for form in ["api", "--api"] {
        let run = home
            .run(&server, &[form, "/v1/users/me/x?a=1&b=%20"])
            .exits(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (body, ""));
        let request = server.requests().pop().expect("a request");
        assert_eq!(request.line(), "GET /v1/users/me/x?a=1&b=%20");
        let token = format!("Bearer {TOKEN}");
        assert_eq!(request.header("authorization"), Some(token.as_str()));
    }
}

#[test]
fn api_rejects_write_requests_and_paths_outside_v1() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let lines = "api /v1/../x|api /v1/%2e%2e/x|api https://example.org/v1/x|api //example.org/v1/x\
        |api /v2/x|api /v1/calls --method POST|api /v1/x --data {}|api";
    for line in lines.split('|') {
        let run = Run::of(&mut home.at(&server, line.split(' '))).exits(2);
        assert!(run.stderr.contains("hint: "), "{line:?} {}", run.stderr);
    }
    assert!(server.requests().is_empty());
}
