//! Signals while a call is placed, answered or looked up.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::resuming::{is_open, under_way};
use crate::support::{
    AT_ONCE, CALL, Gate, Home, LOOK_UP, Post, Proxy, Reply, Run, Running, Server, Service, TOKEN, by_shell,
    now,
};

/// Signals it and says how it ended, at once.
fn ended_by(running: Running, signal: Signal, exit: i32) -> Run {
    let started = Instant::now();
    running.signal(signal);
    let run = running.end().exits(exit);
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    run
}

const SIGNALS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

#[test]
fn a_signal_ends_the_waiting_and_says_that_the_call_goes_on() {
    for (signal, exit) in SIGNALS {
        let home = Home::new();
        let (service, _gate, running) = under_way(&home, &[]);
        let run = ended_by(running, signal, exit);
        let key = service.rings()[0].clone();
        assert!(run.stderr.contains("the call itself goes on"), "{}", run.stderr);
        assert!(run.stderr.ends_with(&format!(" kallyai --resume {key}\n")), "{}", run.stderr);
        is_open(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &key);
        Run::of(&mut service.at(&home, ["--resume"])).exits(0);
        assert_eq!(service.posts(), 1);
    }
}

#[test]
fn a_signal_is_told_in_json_too() {
    for (signal, exit) in SIGNALS {
        let home = Home::new();
        let (service, _gate, running) = under_way(&home, &["--json"]);
        let error = ended_by(running, signal, exit).error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("interrupted"), &json!(false)));
        assert_eq!(error["next_command"], format!("kallyai --resume {} --json", service.rings()[0]));
    }
}

#[test]
fn a_signal_during_the_look_up_leaves_the_call_open() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset)]);
    service.then_look(Reply::Stall);
    let running = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("GET", LOOK_UP, 1);
    assert_eq!(ended_by(running, Signal::INT, 130).error()["retry_safe"], false);
    service.then_look(Reply::Stall);
    let running = Running::start(&mut service.at(&home, ["--resume", "--json"]));
    service.server.wait_for("GET", LOOK_UP, 2);
    let error = ended_by(running, Signal::TERM, 143).error();
    assert_eq!(error["next_command"], format!("kallyai --resume {} --json", service.rings()[0]));
    Run::of(&mut service.at(&home, ["--resume"])).exits(0);
}

#[test]
fn a_signal_before_the_call_is_sent_leaves_nothing_open() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::always(Reply::Stall);
    let mut command = home.at(&server, CALL);
    let running = Running::start(command.arg("--json").env("KALLYAI_STATE_DIR", home.state()));
    server.wait_for("POST", "/v1/auth/refresh", 1);
    let error = ended_by(running, Signal::INT, 130).error();
    assert_eq!((&error["retry_safe"], error.get("next_command")), (&json!(true), None));
    assert_eq!(home.journal(), Vec::<Value>::new());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_signal_before_there_is_a_connection_for_the_call_leaves_nothing_open() {
    let home = Home::new();
    let login = json!({ "access_token": TOKEN, "expires_at": now() + 3600 });
    std::fs::write(home.path(".kallyai_token.json"), login.to_string()).expect("a login");
    let proxy = Proxy::start(|_| Reply::json(200, &json!({ "calls": [], "total": 0 })));
    proxy.trust(&home.path("ca.pem"));
    let gate = Gate::default();
    proxy.hold(&gate);
    let mut command = home.kallyai(CALL);
    command.arg("--json").env("KALLYAI_STATE_DIR", home.state());
    command.env("HTTPS_PROXY", &proxy.url).env("SSL_CERT_FILE", home.path("ca.pem"));
    let running = Running::start(&mut command);
    // The first tunnel was the look's at the history.
    proxy.wait_for_tunnels(2);
    let error = ended_by(running, Signal::INT, 130).error();
    assert_eq!((&error["retry_safe"], error.get("next_command")), (&json!(true), None));
    assert_eq!(home.journal(), Vec::<Value>::new());
    gate.open();
    assert_eq!(proxy.requests().len(), 1);
}

/// A run that waits between two attempts, signalled: its exit status, and what it says after that.
fn between_two_attempts(home: &Home, signals: &[Signal]) -> (Option<i32>, Vec<String>) {
    let later = Reply::new(429, "").with("Retry-After", "60");
    let service = Service::with([Post::refused(later)]);
    let mut command = service.at(home, CALL);
    let mut child = command.arg("--debug").stderr(Stdio::piped()).spawn().expect("a run");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    // From here on it waits.
    assert!(lines.any(|line| line == "< 429"));
    for signal in signals {
        kill_process(Pid::from_child(&child), *signal).expect("a signal");
    }
    let rest = lines.collect();
    (child.wait().expect("an end").code(), rest)
}

#[test]
fn a_signal_between_two_attempts_leaves_nothing_open() {
    let home = Home::new();
    let (exit, rest) = between_two_attempts(&home, &[Signal::INT]);
    assert_eq!(exit, Some(130));
    assert!(rest.iter().any(|line| line.contains("no call was made [interrupted]")), "{rest:?}");
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn two_signals_at_once_between_two_attempts_leave_nothing_open() {
    for _ in 0..8 {
        let home = Home::new();
        let (exit, _) = between_two_attempts(&home, &[Signal::INT, Signal::TERM]);
        assert!(matches!(exit, Some(130 | 143)), "{exit:?}");
        assert_eq!(home.journal(), Vec::<Value>::new());
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let home = Home::new();
    let gate = Gate::default();
    let call = Reply::json(201, &crate::support::call("00000000-1111-4222-8333-444444444444", "success"));
    let service = Service::with([Post::lost(Reply::Held(gate.clone(), Box::new(call)))]);
    let running = Running::start(&mut by_shell(&service.at(&home, CALL), "trap '' HUP"));
    service.server.wait_for("POST", "/v1/calls", 1);
    running.signal(Signal::HUP);
    gate.open();
    running.end().exits(0);
}
