//! Tests signals that arrive before and after the command has sent its call.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::resuming::{assert_call_open, start_held_call};
use crate::support::{
    CALL, Home, LOOKUP, PROMPT, Post, Reply, Run, Running, Server, Service, says,
};

pub const SIGNALS: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// Sends a signal and asserts that the command promptly exits with status `exit`.
#[track_caller]
fn assert_ended_by(running: Running, signal: Signal, exit: i32) -> Run {
    let started = Instant::now();
    running.signal(signal);
    let run = running.end().exits(exit);
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    run
}

#[track_caller]
pub fn assert_no_call(run: &Run, home: &Home) {
    let error = run.error();
    assert_eq!(error["code"], "interrupted");
    assert_eq!(error["retry_safe"], true);
    assert_eq!(error.get("next_command"), None);
    says(&error, "message", "no call was made");
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[track_caller]
fn assert_continues(run: &Run, key: &str) {
    let error = run.error();
    assert_eq!(error["code"], "interrupted");
    assert_eq!(error["retry_safe"], false);
    let next = format!("kallyai resume {key} --json");
    assert_eq!(error["next_command"], next);
}

#[test]
fn signal_after_sending_ends_the_command_but_not_the_call() {
    for (signal, exit) in SIGNALS {
        let home = Home::new();
        let (service, gate, running) = start_held_call(&home, &["--json"]);
        let key = service.made()[0].clone();
        assert_continues(&assert_ended_by(running, signal, exit), &key);
        assert_call_open(&service.json_call(&home).exits(6), &key);
        gate.open();
        service.run(&home, &["resume"]).exits(0);
        assert_eq!(service.posts(), 1);
    }
    let home = Home::new();
    let (service, _gate, running) = start_held_call(&home, &[]);
    let run = assert_ended_by(running, Signal::INT, 130);
    run.notes("the call continues");
    let command = format!("  kallyai resume {}\n", service.made()[0]);
    assert!(run.stderr.ends_with(&command), "{}", run.stderr);
}

#[test]
fn sighup_ends_the_command_but_not_the_call() {
    let home = Home::new();
    let (service, gate, running) = start_held_call(&home, &[]);
    running.signal(Signal::HUP);
    assert_eq!(running.end().exit, None, "the command caught SIGHUP");
    gate.open();
    service.run(&home, &["resume"]).exits(0);
    assert_eq!(service.posts(), 1);
}

#[test]
fn call_can_be_resumed_after_a_signal_during_the_lookup() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset)]);
    service.then_lookup(Reply::Stall);
    let running = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("GET", LOOKUP, 1);
    let key = service.made()[0].clone();
    assert_continues(&assert_ended_by(running, Signal::INT, 130), &key);
    service.then_lookup(Reply::Stall);
    let running = Running::start(&mut service.at(&home, ["resume", "--json"]));
    service.server.wait_for("GET", LOOKUP, 2);
    assert_continues(&assert_ended_by(running, Signal::TERM, 143), &key);
    service.run(&home, &["resume"]).exits(0);
}

#[test]
fn call_can_be_resumed_after_a_signal_between_retries() {
    let home = Home::new();
    let busy = Reply::new(429, "").with("Retry-After", "2");
    let service = Service::with([Post::refused(busy)]);
    let running = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("POST", "/v1/calls", 1);
    let run = assert_ended_by(running, Signal::INT, 130);
    let key = home.journal()[0]["key"].as_str().expect("a key").to_owned();
    assert_continues(&run, &key);
    service.run(&home, &["resume"]).exits(0);
    assert_eq!((service.posts(), service.made().len()), (2, 1));
}

#[test]
fn command_stopped_before_its_worker_starts_makes_no_call() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::always(Reply::Stall);
    let mut command = home.at(&server, CALL);
    command.arg("--json").env("KALLYAI_STATE_DIR", home.state());
    let running = Running::start(&mut command);
    server.wait_for("POST", "/v1/auth/refresh", 1);
    assert_no_call(&assert_ended_by(running, Signal::INT, 130), &home);
    assert_eq!(server.requests().len(), 1);
}
