//! Tests that `resume` and `pending` find a call's result no matter how its command ended.

use std::fs::File;

use serde_json::{Value, json};

use crate::support::{
    CALL, FIRST, Gate, Home, ID, Post, Reply, Run, Running, Service, Shown, call, has, moment,
};

/// Starts a command and waits until it has sent its call. The gate delays the response.
pub fn start_held_call(home: &Home, flags: &[&str]) -> (Service, Gate, Running) {
    let gate = Gate::default();
    let reply = gate.hold(Reply::json(201, &call(ID, "success")));
    let service = Service::with([Post::lost(reply)]);
    let running = Running::start(service.at(home, CALL).args(flags));
    service.server.wait_for("POST", "/v1/calls", 1);
    (service, gate, running)
}

#[track_caller]
pub fn assert_call_open(run: &Run, key: &str) {
    let error = run.error();
    has(&error, json!({ "code": "call_open", "retry_safe": false }));
    assert_eq!(error["idempotency_key"], key);
    let next = format!("kallyai resume {key} --json");
    assert_eq!(error["next_command"], next);
    assert_eq!(run.stdout, "");
}

/// Adds and returns a log entry for a call whose response was lost and whose worker has exited.
fn lost(home: &Home, service: &Service, key: &str) -> Value {
    let mut entry = service.entry(key, 2);
    entry["lookup"] = json!({ "clock_difference": 0, "listed": [] });
    entry["unknown_field"] = json!([1, 2]);
    home.write_journal([entry.clone()]);
    home.end_workers();
    entry
}

fn resume(service: &Service, home: &Home, flags: &[&str]) -> Run {
    Run::of(service.at(home, ["resume", "--json"]).args(flags))
}

#[test]
fn lost_call_can_be_resumed_after_an_outage() {
    let (home, service) = (Home::new(), Service::with([Post::lost(Reply::Reset)]));
    service.set_down(true);
    let flags = ["--json", "--timeout", "3"];
    let error = service.call(&home, &flags).exits(6).error();
    let key = service.made()[0].clone();
    let expected = json!({ "retry_safe": false, "idempotency_key": key });
    has(&error, expected);
    let next = format!("kallyai resume {key} --json --timeout 3");
    assert_eq!(error["next_command"], next);
    assert_call_open(&service.json_call(&home).exits(6), &key);
    let run = resume(&service, &home, &["--timeout", "1"]).exits(6);
    assert_eq!(run.stdout, "");
    service.set_down(false);
    let run = resume(&service, &home, &[]).exits(0);
    assert_eq!(run.json(), service.calls()[0]);
    let again = service.json_call(&home).exits(6);
    assert_eq!(again.error()["code"], "already_done");
    assert_eq!(service.posts(), 1);
}

#[test]
fn resumed_call_prints_the_same_result() {
    let direct = Run::of(&mut Service::with([]).at(&Home::new(), CALL)).exits(0);
    let (home, service) = (Home::new(), Service::with([]));
    lost(&home, &service, "dinner");
    let ours = call(FIRST, "success");
    service.put(ours.clone(), ours);
    for operand in ["", "dinner", "dinn", FIRST, "3f2a", "last"] {
        let mut command = service.at(&home, ["resume", "--exit-status"]);
        let run = Run::of(command.args(operand.split_whitespace())).exits(0);
        assert_eq!(run.stdout.lines().last(), direct.stdout.lines().last());
        assert_eq!(run.stdout.lines().count(), direct.stdout.lines().count());
        assert_eq!(run.stderr, "");
    }
    let entry = &home.journal()[0];
    assert_eq!(entry["unknown_field"], json!([1, 2]), "{entry}");
    has(entry, json!({ "state": "ended", "shown": true }));
    for (operand, code) in [
        (&[][..], "nothing_to_resume"),
        (&["last-1"], "nothing_to_resume"),
        (&["unheard-of"], "call_not_found"),
    ] {
        let error = resume(&service, &home, operand).fails(1, code);
        assert_eq!(error["next_command"], "kallyai history --json");
    }
    assert_eq!(service.posts(), 0);
}

#[test]
fn newest_pending_call_is_resumed_first() {
    let (home, service) = (Home::new(), Service::with([]));
    for (key, age) in [("first", 300), ("second", 200)] {
        let mut entry = lost(&home, &service, key);
        entry["sent_at"] = json!(moment(-age));
        entry["request"]["submission"]["task_description"] = json!(key);
        home.write_journal([entry]);
        let mut made = call(&format!("{key}-call"), "busy");
        made["submission"]["task_description"] = json!(key);
        made["metadata"]["created_at"] = json!(moment(-age));
        service.put(made.clone(), made);
    }
    home.end_workers();
    let pending = service.run(&home, &["pending", "--json"]).exits(0).json();
    let keys: Vec<&Value> = pending["pending"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|call| &call["idempotency_key"])
        .collect();
    assert_eq!(keys, ["second", "first"]);
    assert_eq!(service.server.requests().len(), 0, "a request was sent");
    for key in ["second", "first"] {
        let run = resume(&service, &home, &[]).exits(0);
        assert_eq!(run.json()["call_id"], format!("{key}-call"));
    }
    let run = service.run(&home, &["pending"]).exits(0);
    assert_eq!(
        run.stdout,
        "No pending calls: every result has been shown. Past calls are in the history.\n"
    );
}

#[test]
fn unknown_outcome_error_suggests_history() {
    let (home, service) = (Home::new(), Service::with([]));
    lost(&home, &service, "dinner");
    let error = resume(&service, &home, &["--timeout", "1"]).fails(6, "outcome_unknown");
    let expected = json!({ "retry_safe": false, "next_command": "kallyai history --json --timeout 1", "idempotency_key": "dinner" });
    has(&error, expected);
}

#[test]
fn timed_out_resume_reports_a_running_call() {
    let (home, service) = (Home::new(), Service::with([]));
    service.put_before(call(ID, "in_progress"));
    let mut entry = lost(&home, &service, "dinner");
    (entry["state"], entry["call_id"]) = ("running".into(), ID.into());
    home.write_journal([entry]);
    home.end_workers();
    let error = resume(&service, &home, &["--timeout", "1"]).fails(6, "in_progress");
    let next = "kallyai resume dinner --json --timeout 1";
    has(&error, json!({ "call_id": ID, "next_command": next }));
    let shown = service.run(&home, &["call-info", ID, "--exit-status", "--json"]);
    let next = format!("kallyai resume {ID} --json --exit-status");
    assert_eq!(shown.fails(6, "in_progress")["next_command"], next);
}

#[test]
fn call_from_another_client_is_resumed_by_id() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut running = call(ID, "in_progress");
    running["metadata"]["ended_at"] = Value::Null;
    service.then_read(Reply::json(200, &running));
    service.put_before(call(ID, "busy"));
    let run = resume(&service, &home, &[ID, "--exit-status"]).exits(7);
    assert_eq!(run.json()["status"], "busy");
    resume(&service, &home, &[FIRST]).fails(1, "call_not_found");
    assert_eq!((service.posts(), home.journal().len()), (0, 0));
}

#[test]
fn recorded_result_is_printed_while_service_is_down() {
    let (home, service) = (Home::new(), Service::with([]));
    service.call(&home, &[]).exits(0);
    service.set_down(true);
    let run = resume(&service, &home, &["last", "--timeout", "2"]).exits(0);
    assert_eq!(run.json(), service.calls()[0]);
}

#[cfg(target_os = "linux")]
#[test]
fn killed_worker_triggers_an_immediate_lookup() {
    let home = Home::new();
    let (service, _gate, running) = start_held_call(&home, &["--json", "--timeout", "30"]);
    for worker in running.children() {
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("a signal");
    }
    assert_eq!(running.end().exits(0).json(), service.calls()[0]);
    assert_eq!(service.posts(), 1);
}

#[test]
fn result_stays_pending_if_stdout_is_closed() {
    for flags in [&[][..], &["--json"]] {
        let home = Home::new();
        let service = Service::with([Post::accepted().shown(Shown::Never)]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = service.at(&home, CALL);
        let mut child = command.args(flags).stdout(writer).spawn().expect("a run");
        assert!(child.wait().expect("a status").success());
        let again = service.json_call(&home).exits(6);
        assert_eq!(again.error()["code"], "already_done");
        assert_eq!(home.journal()[0]["shown"], false);
        let run = resume(&service, &home, &[]).exits(0);
        assert_eq!(run.json()["call_id"], FIRST);
        assert_eq!(service.posts(), 1);
        assert_eq!(home.journal()[0]["shown"], true);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn result_stays_pending_if_it_cannot_be_written() {
    for flag in ["--json", "--detach"] {
        let (home, service) = (Home::new(), Service::with([]));
        let full = File::options().write(true).open("/dev/full");
        let mut command = service.at(&home, CALL);
        command.args([flag]).stdout(full.expect("/dev/full"));
        let child = command.stderr(std::process::Stdio::piped()).spawn();
        let output = child.expect("a run").wait_with_output().expect("output");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("the output could not be written"),
            "{stderr}"
        );
        let key = &service.made()[0];
        assert!(
            stderr.contains(&format!("kallyai resume {key}")),
            "{stderr}"
        );
        assert_eq!(home.journal()[0]["shown"], false);
        let run = resume(&service, &home, &[]).exits(0);
        assert_eq!(run.json(), service.calls()[0]);
    }
}
