//! Tests calls that continue after their command has returned.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    CALL, FIRST as ID, Gate, Home, LOOKUP, Post, Reply, Run, Running, Service, call, has, says,
};

/// Starts a service that delays `reply` to its first POST until the test opens the gate.
fn held(reply: Reply) -> (Service, Gate) {
    let gate = Gate::default();
    let held = gate.hold(reply);
    (Service::with([Post::lost(held)]), gate)
}

fn success() -> Reply {
    Reply::json(201, &call(ID, "success"))
}

fn detach(service: &Service, home: &Home, flags: &[&str]) -> Value {
    let mut command = service.at(home, CALL);
    let run = Run::of(command.args(["--detach", "--json"]).args(flags)).exits(0);
    assert_eq!(run.stderr, "");
    run.json()
}

fn resume(service: &Service, home: &Home) -> std::process::Command {
    service.at(home, ["resume", "--json"])
}

#[test]
fn detach_returns_before_the_call_ends_and_resume_waits() {
    let home = Home::new();
    let (service, gate) = held(success());
    let started = Instant::now();
    let shown = detach(&service, &home, &[]);
    let elapsed = started.elapsed();
    assert!((3..30).contains(&elapsed.as_secs()), "{elapsed:?}");
    let key = service.made()[0].clone();
    let next = format!("kallyai resume {key} --json");
    let expected = json!({ "status": "in_progress", "idempotency_key": key, "next_command": next });
    assert_eq!(shown, expected);

    let pending = || service.run(&home, &["pending", "--json"]).exits(0).json();
    let entry = &pending()["pending"][0];
    has(entry, json!({ "idempotency_key": key, "task": CALL[3] }));
    has(entry, json!({ "number": CALL[1], "next_command": next }));
    let error = service.json_call(&home).fails(6, "call_open");
    assert_eq!(error["idempotency_key"], key);

    let resuming = Running::start(&mut resume(&service, &home));
    gate.open();
    assert_eq!(resuming.end().exits(0).json(), service.calls()[0]);
    assert_eq!(service.server.count("GET", LOOKUP), 0);
    assert_eq!(service.posts(), 1);
    assert_eq!(pending(), json!({ "pending": [] }));
}

#[test]
fn detach_prints_a_result_that_arrives_early() {
    let (home, service) = (Home::new(), Service::with([]));
    assert_eq!(detach(&service, &home, &[]), service.calls()[0]);
    assert_eq!(home.journal()[0]["shown"], true);

    let refused = Reply::json(422, &json!({ "error": { "code": "safety_violation" } }));
    let (home, service) = (Home::new(), Service::with([Post::refused(refused)]));
    let mut command = service.at(&home, CALL);
    Run::of(command.args(["--detach", "--json"])).fails(1, "safety_violation");
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn detaching_prints_the_id_of_a_running_call() {
    let begun = Reply::json(202, &json!({ "call_id": ID, "status": "queued" }));
    let (home, service) = (Home::new(), Service::with([Post::lost(begun).running(2)]));
    let shown = detach(&service, &home, &[]);
    has(&shown, json!({ "call_id": ID, "status": "in_progress" }));
    let run = Run::of(&mut resume(&service, &home));
    assert_eq!(run.exits(0).json(), service.calls()[0]);
}

#[test]
fn refusal_of_a_detached_call_is_reported_by_resume() {
    let home = Home::new();
    let gate = Gate::default();
    let refused = Reply::json(402, &json!({ "error": { "code": "quota_exceeded" } }));
    let service = Service::with([Post::refused(gate.hold(refused))]);
    detach(&service, &home, &["--idempotency-key", "dinner"]);
    let resuming = Running::start(&mut resume(&service, &home));
    gate.open();
    let error = resuming.end().fails(5, "quota_exceeded");
    assert_eq!(error["idempotency_key"], "dinner");
    assert_eq!(home.journal(), Vec::<Value>::new());
    // The idempotency key of a refused call can be reused.
    let call = detach(&service, &home, &["--idempotency-key", "dinner"]);
    assert_eq!(call, service.calls()[0]);
}

#[test]
fn detaching_with_a_used_key_makes_no_second_call() {
    let home = Home::new();
    let (service, gate) = held(success());
    let with_key = || detach(&service, &home, &["--idempotency-key", "dinner"]);
    let first = with_key();
    assert_eq!(first["next_command"], "kallyai resume dinner --json");
    let mut command = service.at(&home, CALL);
    command.args(["--detach", "--json", "--idempotency-key", "dinner"]);
    assert_eq!(Run::of(&mut command).exits(0).json(), first);
    gate.open();
    Run::of(&mut resume(&service, &home)).exits(0);
    assert_eq!(service.posts(), 1);
}

#[test]
fn worker_never_refreshes_a_token_from_the_environment() {
    let unauthorized = || Reply::json(401, &json!({ "error": { "code": "missing_token" } }));
    let renewals = |service: &Service| service.server.count("POST", "/v1/auth/refresh");
    let service = Service::with([Post::refused(unauthorized())]);
    detach(&service, &Home::new(), &[]);
    assert_eq!((service.posts(), renewals(&service)), (2, 1));

    let (home, service) = (Home::new(), Service::with([Post::refused(unauthorized())]));
    let mut given = service.at(&home, CALL);
    given.env("KALLYAI_ACCESS_TOKEN", "given");
    let error = Run::of(given.args(["--detach", "--json"])).exits(4).error();
    says(&error, "message", "KALLYAI_ACCESS_TOKEN");
    assert_eq!((service.posts(), renewals(&service)), (1, 0));
}

#[test]
fn command_prints_warnings_from_its_worker() {
    let home = Home::new();
    let (service, gate) = held(success());
    let mut command = service.at(&home, CALL);
    let running = Running::start(command.args(["--detach", "--json"]));
    service.server.wait_for("POST", "/v1/calls", 1);
    // Corrupt the call's log file so that the worker cannot record the result.
    for file in home.journal_files() {
        std::fs::write(file, "damaged").expect("a file");
    }
    gate.open();
    let run = running.end().exits(0);
    assert_eq!(run.json()["call_id"], ID);
    run.notes("the local call log");
}

#[test]
fn detach_needs_credentials_and_conflicts_with_exit_status() {
    let home = Home::new();
    let run = Run::of(home.kallyai(CALL).args(["--detach", "--json"])).exits(4);
    assert_eq!(run.error()["code"], "not_signed_in");
    Run::of(home.kallyai(CALL).args(["--detach", "--exit-status"])).exits(2);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Read as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::*;
    use crate::support::{TOKEN, parallel};

    #[test]
    fn worker_survives_process_group_kill_and_closes_pipes() {
        let home = Home::new();
        let (service, gate) = held(success());
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = service.at(&home, CALL);
        command.args(["--detach", "--json"]).stdin(Stdio::null());
        command.stderr(writer.try_clone().expect("a pipe"));
        command.stdout(writer).process_group(0);
        let mut child = command.spawn().expect("a run");
        drop(command);
        let mut printed = String::new();
        reader.read_to_string(&mut printed).expect("UTF-8");
        assert!(child.wait().expect("a status").success(), "{printed}");
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        gate.open();
        let run = Run::of(&mut resume(&service, &home)).exits(0);
        assert_eq!(run.json(), service.calls()[0]);
    }

    /// Waits up to 20 s for the command to start its worker process.
    fn wait_for_worker(running: &Running) {
        let until = Instant::now() + Duration::from_secs(20);
        while running.children().is_empty() {
            assert!(Instant::now() < until, "no worker started");
            std::thread::yield_now();
        }
    }

    #[test]
    fn command_exits_with_130_if_its_process_group_gets_sigint() {
        // Run this 24 times, because in some runs the worker leaves the group before the signal
        // arrives.
        parallel(0..24, |_| {
            let home = Home::new();
            let (service, gate) = held(success());
            let mut command = service.at(&home, CALL);
            command.args(["--detach", "--json"]).process_group(0);
            let running = Running::start(&mut command);
            wait_for_worker(&running);
            let group = Pid::from_raw(i32::try_from(running.id()).expect("a number"));
            let _ = kill_process_group(group.expect("a group"), Signal::INT);
            let run = running.end();
            gate.open();
            assert_eq!(run.exit, Some(130), "{}", run.stderr);
        });
    }

    #[test]
    fn process_list_shows_worker_name_but_no_secrets() {
        let home = Home::new();
        let (service, gate) = held(success());
        let mut command = service.at(&home, CALL);
        command.env("KALLYAI_ACCESS_TOKEN", TOKEN);
        let running = Running::start(command.args(["--detach", "--json"]));
        service.server.wait_for("POST", "/v1/calls", 1);
        let worker = running.children()[0].as_raw_nonzero();
        let read = |name: &str| {
            let content = std::fs::read(format!("/proc/{worker}/{name}")).expect("a process");
            String::from_utf8_lossy(&content).replace('\0', " ")
        };
        assert_eq!(
            (read("comm").as_str(), read("cmdline").as_str()),
            ("kallyai\n", "kallyai kallyai-helper call ")
        );
        let environment = read("environ");
        assert!(!environment.contains(TOKEN), "{environment}");
        let folder = std::fs::read_link(format!("/proc/{worker}/cwd")).expect("a folder");
        assert_eq!(folder, std::path::Path::new("/"));
        assert!(!home.journal()[0].to_string().contains(TOKEN));
        gate.open();
        running.end().exits(0);
    }
}
