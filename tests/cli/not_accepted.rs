//! Tests requests that the service certainly did not accept. Each one is retried with the same
//! idempotency key, or the command fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    CALL, Gate, Home, Post, Reply, Request, Run, Running, Service, TOKEN, call, free_port, listen,
    says,
};

fn refusal(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "Not now." } })
}

fn busy(wait: &str) -> Post {
    Post::refused(Reply::new(429, "").with("Retry-After", wait))
}

/// Returns the idempotency keys of all POSTs, including those that the service rejected.
fn keys(service: &Service) -> Vec<String> {
    let requests = service.server.requests();
    let posts = requests
        .iter()
        .filter(|request| request.is("POST", "/v1/calls"));
    let key = |post: &Request| post.header("idempotency-key").map(str::to_owned);
    posts.map(|post| key(post).expect("a key")).collect()
}

#[test]
fn call_to_a_busy_service_is_retried_with_the_same_key() {
    for reply in [
        Reply::new(429, "").with("Retry-After", "0"),
        Reply::json(429, &refusal("rate_limited")).with("Retry-After", "0"),
        Reply::new(429, "").with("Retry-After", "Thu, 28 Jan 2016 20:00:30 GMT"),
        // The wait is one second: the difference between the two times that the server sends.
        Reply::new(429, "")
            .with("Date", "Thu, 28 Jan 2100 20:00:29 GMT")
            .with("Retry-After", "Thu, 28 Jan 2100 20:00:30 GMT"),
    ] {
        let (home, service) = (Home::new(), Service::with(vec![Post::refused(reply); 3]));
        service.call(&home, &[]).exits(0);
        let keys = keys(&service);
        assert_eq!((keys.len(), service.made()), (4, vec![keys[0].clone()]));
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(service.asked().len(), 4, "a lookup was sent");
    }
}

#[test]
fn call_can_be_repeated_after_its_last_retry_failed() {
    let (home, service) = (Home::new(), Service::with(vec![busy("0"); 4]));
    let error = service.json_call(&home).fails(3, "service_failing");
    assert_eq!(error["retry_safe"], true);
    assert_eq!((error.get("next_command"), service.posts()), (None, 4));
    assert_eq!(home.journal(), Vec::<Value>::new());
    service.call(&home, &[]).exits(0);
    assert_eq!(service.made().len(), 1);
}

#[test]
fn call_fails_immediately_if_retry_after_is_long() {
    let started = Instant::now();
    for wait in ["61", "4294967295", "Fri, 01 Jan 2100 00:00:00 GMT"] {
        let (home, service) = (Home::new(), Service::with([busy(wait)]));
        let error = service.json_call(&home).exits(3).error();
        says(&error, "hint", "no call was made: try again in ");
        assert_eq!((service.posts(), home.journal().len()), (1, 0));
    }
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn retry_is_dropped_if_another_call_was_made_meanwhile() {
    let (home, gate) = (Home::new(), Gate::default());
    let reply = Reply::json(201, &call("00000000-1111-4222-8333-444444444444", "busy"));
    let held = Post::lost(gate.hold(reply));
    let service = Service::with([busy("3"), held]);
    let first = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("POST", "/v1/calls", 1);
    let error = service.json_call(&home).exits(6).error();
    assert_eq!(error["code"], "call_open", "a retry is pending");
    let second = Running::start(service.at(&home, CALL).arg("--again"));
    service.server.wait_for("POST", "/v1/calls", 2);
    let error = first.end().exits(3).error();
    says(&error, "message", "was not sent again");
    assert_eq!(error["retry_safe"], true);
    gate.open();
    second.end().exits(0);
    assert_eq!(service.posts(), 2);
}

#[test]
fn rejected_credentials_are_refreshed_once() {
    let unauthorized = || Post::refused(Reply::json(401, &refusal("missing_token")));
    let (home, service) = (Home::new(), Service::with([unauthorized()]));
    service.call(&home, &[]).exits(0);
    let requests = service.asked();
    let expected = ["POST /v1/calls", "POST /v1/auth/refresh", "POST /v1/calls"];
    assert!(requests.iter().map(Request::line).eq(expected));
    let keys = keys(&service);
    assert_eq!(keys[0], keys[1]);
    let tokens = [&requests[0], &requests[2]].map(|post| post.header("authorization"));
    let first = format!("Bearer {TOKEN}");
    assert_eq!(tokens, [Some(first.as_str()), Some("Bearer fresh")]);

    let (home, service) = (Home::new(), Service::with([unauthorized(), unauthorized()]));
    service.call(&home, &[]).exits(4);
    assert_eq!(service.posts(), 2);
    service.then(unauthorized());
    let mut given = service.at(&home, CALL);
    Run::of(given.env("KALLYAI_ACCESS_TOKEN", "given")).exits(4);
    assert_eq!((service.posts(), home.journal().len()), (3, 0));
    service.call(&home, &[]).exits(0);
}

#[test]
fn call_can_be_repeated_after_a_refused_connection() {
    let (home, service) = (Home::new(), Service::with([]));
    let url = format!("http://127.0.0.1:{}", free_port());
    let started = Instant::now();
    let mut command = service.at(&home, CALL);
    home.issued_by(&url);
    let error = Run::of(command.arg("--json").env("KALLYAI_API_URL", url)).fails(3, "unreachable");
    assert_eq!(error["retry_safe"], true);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(home.journal(), Vec::<Value>::new());
    service.call(&home, &[]).exits(0);
}

/// Makes a call to a server that never completes the TLS handshake: it closes each connection
/// or stays silent. Returns the error and the number of connections.
fn without_handshake(closes: bool, flags: &[&str]) -> (Value, usize) {
    let listener = listen();
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            silent.extend((!closes).then_some(stream));
        }
    });
    let home = Home::new();
    let mut command = home.at_url(&url, CALL);
    command.args(flags).env("KALLYAI_STATE_DIR", home.state());
    let error = Run::of(command.arg("--json")).exits(3).error();
    assert_eq!(home.journal(), Vec::<Value>::new());
    (error, count.load(Ordering::SeqCst))
}

#[test]
fn failed_tls_handshake_is_tried_three_times() {
    let started = Instant::now();
    // There are three attempts at the history lookup and three at the call.
    assert_eq!(without_handshake(true, &["--again"]).1, 3 + 3);
    let (error, _) = without_handshake(false, &["--timeout", "2"]);
    assert_eq!(error["retry_safe"], true);
    assert!(started.elapsed() < Duration::from_secs(30));
}
