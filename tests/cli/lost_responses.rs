//! Calls whose response is lost: found in the history, and never requested again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{
    CALL, Gate, Home, LOOK_UP, Post, Reply, Run, Running, Server, Service, Shown, at_once, call,
    moment,
};

/// The first ID of the model service.
const FIRST: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000000";
/// Another client's call.
const OTHER: &str = "00000000-1111-4222-8333-444444444444";

/// A service that loses the response and keeps the call as `shown` says.
fn lossy(shown: Shown) -> Service {
    Service::with([Post::lost(Reply::CutBeforeStatus).shown(shown)])
}

fn run(service: &Service, flags: &[&str]) -> Run {
    let run = Run::of(service.at(&Home::new(), CALL).args(flags));
    assert_eq!(service.posts(), 1, "{}", run.stderr);
    run
}

#[test]
fn call_that_is_listed_late_is_waited_for() {
    let service = lossy(Shown::After(2));
    run(&service, &["--timeout", "30"]).exits(0);
    assert_eq!(service.server.count("GET", LOOK_UP), 3);
}

#[test]
fn call_that_is_never_listed_ends_with_6_in_time() {
    let started = Instant::now();
    let error = run(&lossy(Shown::Never), &["--timeout", "3", "--json"]);
    let error = error.exits(6).error();
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(error["retry_safe"], false);
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("connection closed"),
        "the cause: {message}"
    );
    assert_eq!(error["code"], "outcome_unknown");
    assert!(error["idempotency_key"].is_string());
}

#[test]
fn failed_look_is_repeated_and_a_stalled_one_ends_in_time() {
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
    at_once(failed, |look| {
        let service = lossy(Shown::AtOnce);
        service.then_look(look);
        run(&service, &[]).exits(0);
    });
    let service = lossy(Shown::AtOnce);
    service.then_look(Reply::Stall);
    let started = Instant::now();
    run(&service, &["--timeout", "2"]).exits(6);
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn call_that_is_listed_twice_is_one() {
    let service = lossy(Shown::AtOnce);
    let listed = call(FIRST, "success");
    let page = json!({ "calls": [listed, null, { "call_id": null }, listed] });
    service.then_look(Reply::json(200, &page));
    run(&service, &[]).exits(0);
}

#[test]
fn older_or_other_call_is_not_taken() {
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
    at_once(not_ours, |call| {
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
fn call_that_was_listed_before_is_not_taken() {
    let service = lossy(Shown::Never);
    service.put_before(call(OTHER, "busy"));
    run(&service, &["--timeout", "2"]).exits(6);
}

#[test]
fn only_later_calls_count_without_a_look_before() {
    let service = lossy(Shown::AtOnce);
    service.look_before(Reply::new(500, ""));
    let mut earlier = call(OTHER, "success");
    earlier["metadata"]["created_at"] = json!(moment(-60));
    service.put(earlier.clone(), earlier);
    let found = run(&service, &["--json"]).exits(0).json();
    assert_ne!(found["call_id"], OTHER);
}

#[test]
fn two_commands_do_not_take_the_same_call() {
    let (home, gate) = (Home::new(), Gate::default());
    let service = Service::with(vec![Post::lost(Reply::CutBeforeStatus); 2]);
    for _ in 0..2 {
        let page = Reply::json(200, &json!({ "calls": [call(FIRST, "success")] }));
        service.then_look(Reply::Held(gate.clone(), Box::new(page)));
    }
    let start = |looks| {
        let running = Running::start(service.at(&home, CALL).args(["--again", "--json"]));
        service.server.wait_for("GET", LOOK_UP, looks);
        running
    };
    let both = [start(1), start(2)];
    gate.open();
    let found = both.map(|running| running.end().exits(0).json()["call_id"].to_string());
    assert_ne!(found[0], found[1]);
    assert_eq!(service.posts(), 2);
}

#[test]
fn call_with_a_known_id_does_not_match_another() {
    let home = Home::new();
    let begun = json!({ "call_id": FIRST, "status": "queued" });
    let service = Service::with([
        Post::lost(Reply::json(202, &begun)).running(99),
        Post::lost(Reply::Reset),
    ]);
    Run::of(service.at(&home, CALL).args(["--timeout", "1"])).exits(6);
    let again = ["--again", "--json", "--timeout", "20"];
    let second = Run::of(service.at(&home, CALL).args(again)).exits(0);
    assert_ne!(second.json()["call_id"], FIRST);
}

#[test]
fn running_call_is_waited_for() {
    let begun = |status| json!({ "call_id": FIRST, "status": status });
    let posts = [
        Post::lost(Reply::CutInHead).running(1),
        Post::lost(Reply::json(202, &begun(json!("queued")))).running(1),
        Post::lost(Reply::json(200, &begun(json!("odd")))).running(1),
        Post::lost(Reply::json(201, &begun(Value::Null))).running(1),
    ];
    at_once(posts, |post| {
        let (home, service) = (Home::new(), Service::with([post]));
        let run = Run::of(service.at(&home, CALL).arg("--json")).exits(0);
        assert_eq!(run.json(), service.calls()[0]);
        assert_eq!(
            service.server.count("GET", &format!("/v1/calls/{FIRST}")),
            2
        );
        assert_eq!(home.journal()[0]["state"], "ended");
    });
}

#[test]
fn running_call_that_outlasts_the_time_is_named() {
    let begun = json!({ "call_id": FIRST, "status": "queued" });
    let service = Service::with([Post::lost(Reply::json(202, &begun)).running(99)]);
    let home = Home::new();
    let flags = ["--json", "--timeout", "1"];
    let error = Run::of(service.at(&home, CALL).args(flags))
        .exits(6)
        .error();
    assert_eq!(error["code"], "in_progress");
    assert_eq!(error["call_id"], FIRST);
    let entry = &home.journal()[0];
    assert_eq!(
        (&entry["state"], &entry["call_id"]),
        (&json!("running"), &json!(FIRST))
    );
}

#[test]
fn response_about_another_call_is_not_the_result() {
    let begun = json!({ "call_id": FIRST, "status": "queued" });
    let server = Server::start(move |request| match request.line().as_str() {
        "POST /v1/calls" => Reply::json(202, &begun),
        line if line.starts_with("GET /v1/calls?") => Reply::json(200, &json!({ "calls": [] })),
        _ => Reply::json(200, &call(OTHER, "success")),
    });
    let home = Home::new();
    let error = Run::of(home.at(&server, CALL).args(["--json", "--timeout", "2"]));
    assert_eq!(error.exits(6).error()["call_id"], FIRST);
    let pending = Run::of(&mut home.at(&server, ["pending"])).exits(0);
    assert!(pending.stdout.contains(FIRST), "{}", pending.stdout);
}

#[cfg(unix)]
#[test]
fn terminal_shows_the_lost_response_and_the_result() {
    let (home, service) = (Home::new(), lossy(Shown::AtOnce));
    let mut terminal = Terminal::sized(service.at(&home, CALL), 80);
    terminal.shows("Checking on the call");
    assert_eq!(terminal.end(), Some(0));
    terminal.shows("Result");
}
