//! Tests every kind of response to the POST that requests a call. None may cause a second POST.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    FIRST as ID, Home, Post, Reply, Run, Service, Shown, call, has, parallel, says,
};

const MAX_CONCURRENT_RUNS: usize = 12;

fn refusal(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "The reason is a secret." } })
}

/// Makes a call and asserts that only one POST is sent. Returns the run and its home folder.
fn run(name: &str, post: Post) -> (Run, Home) {
    let (home, service) = (Home::new(), Service::with([post]));
    let run = service.json_call(&home);
    assert_eq!(service.posts(), 1, "{name}");
    (run, home)
}

/// Returns responses that do not contain the call, each with a name for error messages.
fn lost() -> Vec<(String, Reply)> {
    let full = call(ID, "success").to_string();
    let utf16: Vec<u8> = full.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let nan = full.replace("74.5", "NaN");
    let chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"call_id\"";
    let new = |status, body: &str| Reply::new(status, body);
    let named = [
        ("HTML", new(200, "<html><h1>Hello</h1></html>")),
        ("array", new(201, &format!("[{full}]"))),
        ("UTF-16", Reply::new(201, utf16)),
        ("NaN", new(201, &nan)),
        ("half a body", new(201, &full[..full.len() / 2])),
        ("no ID", new(201, r#"{"status":"success"}"#)),
        ("unusable ID", new(201, r#"{"call_id":".."}"#)),
        ("reset", Reply::Reset),
        ("end before the head", Reply::CutBeforeStatus),
        ("end in the head", Reply::CutInHead),
        ("end in the body", Reply::CutInBody),
        ("cut chunk", Reply::Raw(chunked.into())),
        (
            "503 with Retry-After",
            new(503, "").with("Retry-After", "0"),
        ),
    ];
    let statuses = [
        200, 201, 202, 204, 302, 307, 408, 409, 460, 499, 500, 502, 503, 504, 511, 520, 599,
    ];
    let empty = statuses.map(|status| {
        let reply = new(status, "").with("Location", "/v1/calls");
        (status.to_string(), reply)
    });
    let errors = statuses[6..].iter().map(|status| {
        let reply = Reply::json(*status, &refusal("internal"));
        (format!("{status} with an error"), reply)
    });
    let named = named.map(|(name, reply)| (name.to_owned(), reply));
    named.into_iter().chain(empty).chain(errors).collect()
}

#[test]
fn response_without_a_call_triggers_a_history_lookup() {
    for cases in lost().chunks(MAX_CONCURRENT_RUNS) {
        parallel(cases, |(name, reply)| {
            let (run, home) = run(name, Post::lost(reply.clone()));
            assert_eq!(run.exit, Some(0), "{name}: {}", run.stderr);
            assert_eq!(
                (&run.json()["call_id"], run.stderr.as_str()),
                (&json!(ID), ""),
                "{name}"
            );
            let entry = &home.journal()[0];
            has(entry, json!({ "state": "ended", "shown": true }));
        });
    }
}

#[test]
fn response_with_a_call_is_printed_as_the_result() {
    let full = call(ID, "success").to_string();
    let doubled = full.replacen("\"status\"", "\"status\":\"busy\",\"status\"", 1);
    let after = |head: &str| {
        let length = full.len();
        let last = format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{full}");
        Reply::Raw(format!("{head}{last}").into())
    };
    let cases = [
        ("200", Reply::new(200, full.clone())),
        ("201", Reply::new(201, full.clone())),
        ("409", Reply::new(409, full.clone())),
        ("422", Reply::new(422, full.clone())),
        ("429", Reply::new(429, full.clone())),
        ("502", Reply::new(502, full.clone())),
        ("BOM", Reply::new(201, format!("\u{feff}{full}"))),
        ("doubled key", Reply::new(201, doubled)),
        ("100 first", after("HTTP/1.1 100 Continue\r\n\r\n")),
        ("102 first", after("HTTP/1.1 102 Processing\r\n\r\n")),
        (
            "103 first",
            after("HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n"),
        ),
    ];
    parallel(cases, |(name, reply)| {
        // The history does not show the call, so its result can only come from the response.
        let (run, _) = run(name, Post::lost(reply).shown(Shown::Never));
        assert_eq!(run.exit, Some(0), "{name}: {}", run.stderr);
        assert_eq!(run.stderr, "", "{name}");
        assert!(run.stdout.contains(ID), "{name}");
    });
}

#[test]
fn refusal_prints_the_server_message_and_is_not_logged() {
    let registered = [
        400, 403, 404, 405, 406, 407, 410, 413, 415, 417, 421, 422, 424, 425, 426, 428, 431, 451,
    ];
    let codes = registered.map(|status| (status, 1, "some_reason"));
    let cases: Vec<_> = codes
        .into_iter()
        .chain([(402, 5, "quota_exceeded")])
        .collect();
    for cases in cases.chunks(MAX_CONCURRENT_RUNS) {
        parallel(cases, |&(status, exit, code)| {
            let reply = Reply::json(status, &refusal("some_reason"));
            let (run, home) = run(code, Post::refused(reply));
            assert_eq!(run.exit, Some(exit), "{status}: {}", run.stderr);
            let error = run.error();
            has(&error, json!({ "code": code, "retry_safe": true }));
            says(&error, "message", "reason is a secret");
            assert_eq!(home.journal(), Vec::<Value>::new());
        });
    }
    let (run, home) = run("HTML", Post::refused(Reply::new(403, "<html>No</html>")));
    assert_eq!(run.exits(1).error()["http_status"], 403);
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn call_without_a_response_is_reported_as_in_progress() {
    let (home, service) = (Home::new(), Service::with([Post::lost(Reply::Stall)]));
    let flags = ["--json", "--timeout", "2"];
    let run = service.call(&home, &flags).exits(6);
    let error = run.error();
    let expected = json!({ "code": "in_progress", "retry_safe": false });
    has(&error, expected);
    let key = service.made()[0].clone();
    let next = format!("kallyai resume {key} --json --timeout 2");
    assert_eq!(error["next_command"], next);
    assert_eq!(service.posts(), 1);
    // A response that takes half a second is accepted as the result.
    let late = Reply::Late(
        Duration::from_millis(500),
        Box::new(Reply::json(201, &call(ID, "success"))),
    );
    let (run, _) = self::run("late", Post::lost(late).shown(Shown::Never));
    assert_eq!(run.exits(0).json()["call_id"], ID);
}
