//! Signals to the command, before and after its call is sent.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::resuming::{is_open, under_way};
use crate::support::{AT_ONCE, CALL, Home, LOOK_UP, Post, Reply, Run, Running, Server, Service};

pub const SIGNALS: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// Signals it and asserts that it ends soon, with this status.
#[track_caller]
fn ended_by(running: Running, signal: Signal, exit: i32) -> Run {
    let started = Instant::now();
    running.signal(signal);
    let run = running.end().exits(exit);
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    run
}

#[track_caller]
pub fn made_no_call(run: &Run, home: &Home) {
    let error = run.error();
    assert_eq!(error["code"], "interrupted");
    assert_eq!(error["retry_safe"], true);
    assert_eq!(error.get("next_command"), None);
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("no call was made"), "{message}");
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[track_caller]
fn continues(run: &Run, key: &str) {
    let error = run.error();
    assert_eq!(error["code"], "interrupted");
    assert_eq!(error["retry_safe"], false);
    assert_eq!(
        error["next_command"],
        format!("kallyai resume {key} --json")
    );
}

#[test]
fn signal_after_sending_ends_only_the_waiting() {
    for (signal, exit) in SIGNALS {
        let home = Home::new();
        let (service, gate, running) = under_way(&home, &["--json"]);
        let key = service.rings()[0].clone();
        continues(&ended_by(running, signal, exit), &key);
        is_open(
            &Run::of(service.at(&home, CALL).arg("--json")).exits(6),
            &key,
        );
        gate.open();
        Run::of(&mut service.at(&home, ["resume"])).exits(0);
        assert_eq!(service.posts(), 1);
    }
    let home = Home::new();
    let (service, _gate, running) = under_way(&home, &[]);
    let run = ended_by(running, Signal::INT, 130);
    assert!(run.stderr.contains("the call continues"), "{}", run.stderr);
    let command = format!("  kallyai resume {}\n", service.rings()[0]);
    assert!(run.stderr.ends_with(&command), "{}", run.stderr);
}

#[test]
fn hang_up_ends_only_the_command() {
    let home = Home::new();
    let (service, gate, running) = under_way(&home, &[]);
    running.signal(Signal::HUP);
    assert_eq!(running.end().exit, None, "it has no handler");
    gate.open();
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
    assert_eq!(service.posts(), 1);
}

#[test]
fn signal_during_the_search_leaves_the_call_open() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset)]);
    service.then_look(Reply::Stall);
    let running = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("GET", LOOK_UP, 1);
    let key = service.rings()[0].clone();
    continues(&ended_by(running, Signal::INT, 130), &key);
    service.then_look(Reply::Stall);
    let running = Running::start(&mut service.at(&home, ["resume", "--json"]));
    service.server.wait_for("GET", LOOK_UP, 2);
    continues(&ended_by(running, Signal::TERM, 143), &key);
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
}

#[test]
fn signal_between_two_attempts_leaves_the_call_open() {
    let home = Home::new();
    let busy = Reply::new(429, "").with("Retry-After", "2");
    let service = Service::with([Post::refused(busy)]);
    let running = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("POST", "/v1/calls", 1);
    let run = ended_by(running, Signal::INT, 130);
    let key = home.journal()[0]["key"].as_str().expect("a key").to_owned();
    continues(&run, &key);
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
    assert_eq!((service.posts(), service.rings().len()), (2, 1));
}

#[test]
fn signal_before_the_worker_makes_no_call() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::always(Reply::Stall);
    let mut command = home.at(&server, CALL);
    command.arg("--json").env("KALLYAI_STATE_DIR", home.state());
    let running = Running::start(&mut command);
    server.wait_for("POST", "/v1/auth/refresh", 1);
    made_no_call(&ended_by(running, Signal::INT, 130), &home);
    assert_eq!(server.requests().len(), 1);
}
