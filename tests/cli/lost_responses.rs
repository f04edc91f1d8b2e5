//! Tests that a call whose response is lost is found in the history and never requested again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    CALL, FIRST, Gate, Home, LOOKUP, Post, Reply, Run, Running, Service, Shown, call, has, moment,
    parallel, says,
};

/// The ID of a call that another client made.
const OTHER: &str = "00000000-1111-4222-8333-444444444444";

/// Starts a service that makes one call but drops the response. `shown` is how the history lists
/// the call.
fn lossy(shown: Shown) -> Service {
    Service::with([Post::lost(Reply::CutBeforeStatus).shown(shown)])
}

fn run(service: &Service, flags: &[&str]) -> Run {
    let run = Run::of(service.at(&Home::new(), CALL).args(flags));
    assert_eq!(service.posts(), 1, "{}", run.stderr);
    run
}

#[test]
fn call_that_appears_late_in_the_history_is_found() {
    let service = lossy(Shown::After(2));
    run(&service, &["--timeout", "30"]).exits(0);
    assert_eq!(service.server.count("GET", LOOKUP), 3);
}

#[test]
fn command_exits_with_6_if_the_lookup_finds_no_match_in_time() {
    let started = Instant::now();
    let error = run(&lossy(Shown::Never), &["--timeout", "3", "--json"]);
    let error = error.exits(6).error();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(error["retry_safe"], false);
    says(&error, "message", "connection closed");
    assert_eq!(error["code"], "outcome_unknown");
    assert!(error["idempotency_key"].is_string());
}

#[test]
fn failed_lookup_is_retried_but_stalled_lookup_times_out() {
    let missing = Reply::json(401, &json!({ "error": { "code": "missing_token" } }));
    let unreadable = json!({ "calls": [{ "call_id": 7 }], "total": 1 });
    let failed = [
        Reply::new(200, "<html>"),
        Reply::new(404, ""),
        Reply::new(500, ""),
        Reply::json(200, &unreadable),
        Reply::json(200, &json!({ "calls": [{ "call_id": ".." }] })),
        missing,
    ];
    parallel(failed, |reply| {
        let service = lossy(Shown::AtOnce);
        service.then_lookup(reply);
        run(&service, &[]).exits(0);
    });
    let service = lossy(Shown::AtOnce);
    service.then_lookup(Reply::Stall);
    let started = Instant::now();
    run(&service, &["--timeout", "2"]).exits(6);
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn several_matching_calls_are_reported_as_candidates() {
    let service = lossy(Shown::Twice);
    let flags = ["--timeout", "20", "--json"];
    let error = run(&service, &flags).fails(6, "outcome_unknown");
    assert_eq!(error["candidates"].as_array().map(Vec::len), Some(2));
    says(&error, "next_command", "kallyai resume ");
}

#[test]
fn lost_call_does_not_match_an_older_or_different_call() {
    let other = |edit: &dyn Fn(&mut Value)| {
        let mut other = call(OTHER, "success");
        edit(&mut other);
        other
    };
    let not_ours = [
        other(&|call| call["metadata"]["created_at"] = json!(moment(-150))),
        other(&|call| call["metadata"]["created_at"] = Value::Null),
        other(&|call| call["submission"]["respondent_phone"] = json!("+15551234568")),
        other(&|call| call["submission"]["respondent_phone"] = Value::Null),
        other(&|call| call["submission"]["task_description"] = json!("Reserve a table for 2")),
        other(&|call| call["call_id"] = json!("../users/me")),
    ];
    parallel(not_ours, |call| {
        let service = lossy(Shown::Never);
        service.put(call.clone(), call);
        run(&service, &["--timeout", "2"]).exits(6);
    });
    for ours in [
        other(&|call| call["metadata"]["created_at"] = json!(moment(-100))),
        other(&|call| call["submission"]["task_description"] = Value::Null),
        other(&|call| call["status"] = json!("busy")),
    ] {
        let service = lossy(Shown::Never);
        service.put(ours.clone(), ours);
        let found = run(&service, &["--timeout", "20"]).exits(0).stdout;
        assert!(found.ends_with(&format!("  {OTHER}\n")), "{found}");
    }
}

#[test]
fn lost_call_does_not_match_a_call_listed_before_the_request() {
    let service = lossy(Shown::Never);
    service.put_before(call(OTHER, "busy"));
    run(&service, &["--timeout", "2"]).exits(6);
}

#[test]
fn failed_pre_call_lookup_never_makes_an_older_call_match() {
    let service = lossy(Shown::AtOnce);
    service.pre_call_lookup(Reply::new(500, ""));
    let mut earlier = call(OTHER, "success");
    earlier["metadata"]["created_at"] = json!(moment(-60));
    service.put(earlier.clone(), earlier);
    let found = run(&service, &["--json"]).exits(0).json();
    assert_ne!(found["call_id"], OTHER);
}

#[test]
fn two_lost_calls_never_match_the_same_history_entry() {
    let (home, gate) = (Home::new(), Gate::default());
    let service = Service::with(vec![Post::lost(Reply::CutBeforeStatus); 2]);
    for _ in 0..2 {
        let page = Reply::json(200, &json!({ "calls": [call(FIRST, "success")] }));
        service.then_lookup(gate.hold(page));
    }
    let start = |lookups| {
        let running = Running::start(service.at(&home, CALL).args(["--again", "--json"]));
        service.server.wait_for("GET", LOOKUP, lookups);
        running
    };
    let both = [start(1), start(2)];
    gate.open();
    let found = both.map(|running| running.end().exits(0).json()["call_id"].to_string());
    assert_ne!(found[0], found[1]);
    assert_eq!(service.posts(), 2);
}

#[test]
fn call_with_a_known_id_never_matches_another_request() {
    let home = Home::new();
    let begun = json!({ "call_id": FIRST, "status": "queued" });
    let service = Service::with([
        Post::lost(Reply::json(202, &begun)).running(99),
        Post::lost(Reply::Reset),
    ]);
    service.call(&home, &["--timeout", "1"]).exits(6);
    let again = ["--again", "--json", "--timeout", "20"];
    let second = service.call(&home, &again).exits(0);
    assert_ne!(second.json()["call_id"], FIRST);
}

#[test]
fn command_waits_for_a_running_call_to_end() {
    let begun = |status| json!({ "call_id": FIRST, "status": status });
    let posts = [
        Post::lost(Reply::CutInHead).running(1),
        Post::lost(Reply::json(202, &begun(json!("queued")))).running(1),
        Post::lost(Reply::json(200, &begun(json!("odd")))).running(1),
        Post::lost(Reply::json(201, &begun(Value::Null))).running(1),
    ];
    parallel(posts, |post| {
        let (home, service) = (Home::new(), Service::with([post]));
        let run = service.json_call(&home).exits(0);
        assert_eq!(run.json(), service.calls()[0]);
        let read = format!("/v1/calls/{FIRST}");
        assert_eq!(service.server.count("GET", &read), 2);
        assert_eq!(home.journal()[0]["state"], "ended");
    });
}

#[test]
fn timeout_prints_the_id_of_a_running_call() {
    let begun = json!({ "call_id": FIRST, "status": "queued" });
    let service = Service::with([Post::lost(Reply::json(202, &begun)).running(99)]);
    let home = Home::new();
    let flags = ["--json", "--timeout", "1"];
    let error = service.call(&home, &flags).fails(6, "in_progress");
    assert_eq!(error["call_id"], FIRST);
    let entry = &home.journal()[0];
    has(entry, json!({ "state": "running", "call_id": FIRST }));
}
