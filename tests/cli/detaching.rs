//! A call that goes on without its command, and what is pending.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    CALL, Gate, Home, LOOK_UP, Post, Reply, Run, Running, Service, Shown, TOKEN, at_once, call,
};

const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000000";

/// A call that is answered when the gate opens, and shows as running until then.
fn held(reply: Reply) -> (Service, Gate) {
    let gate = Gate::default();
    (Service::with([Post::lost(Reply::Held(gate.clone(), Box::new(reply)))]), gate)
}

fn detached(service: &Service, home: &Home, flags: &[&str]) -> Value {
    let run = Run::of(service.at(home, CALL).args(["--detach", "--json"]).args(flags)).exits(0);
    assert_eq!(run.stderr, "");
    run.json()
}

#[test]
fn a_detached_call_returns_soon_and_its_end_is_learnt_from_the_process_that_waits() {
    let home = Home::new();
    let (service, gate) = held(Reply::json(201, &call(ID, "success")));
    let started = Instant::now();
    let told = detached(&service, &home, &[]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let key = service.rings()[0].clone();
    assert_eq!(told["idempotency_key"], key);
    assert_eq!(told["number"], CALL[1]);
    assert_eq!(told["next_command"], format!("kallyai --resume {key} --json"));

    let pending = Run::of(&mut service.at(&home, ["--pending", "--json"])).exits(0).json();
    let entry = &pending["pending"][0];
    assert_eq!((&entry["idempotency_key"], &entry["waited_for"]), (&json!(key), &json!(true)));
    assert_eq!((&entry["state"], &entry["task"]), (&json!("sent"), &json!(CALL[3])));
    let error = Run::of(service.at(&home, CALL).arg("--json")).exits(6).error();
    assert_eq!((&error["code"], &error["idempotency_key"]), (&json!("call_open"), &json!(key)));

    let resuming = Running::start(&mut service.at(&home, ["--resume", "--json"]));
    gate.open();
    assert_eq!(resuming.end().exits(0).json(), call_of(&service));
    assert_eq!(service.server.count("GET", LOOK_UP), 0, "the service is not asked which call it was");
    assert_eq!(service.posts(), 1);
    assert_eq!(home.journal()[0]["shown"], true);
    let pending = Run::of(&mut service.at(&home, ["--pending", "--json"])).exits(0).json();
    assert_eq!(pending, json!({ "pending": [] }));
}

fn call_of(service: &Service) -> Value {
    service.calls()[0].clone()
}

#[test]
fn an_early_end_of_a_detached_call_is_printed_as_without() {
    let home = Home::new();
    let service = Service::with([]);
    let run = Run::of(service.at(&home, CALL).args(["--detach", "--json"])).exits(0);
    assert_eq!((run.json(), run.stderr.as_str()), (call_of(&service), ""));
    assert_eq!(home.journal()[0]["shown"], true);

    let refused = Reply::json(422, &json!({ "error": { "code": "safety_violation" } }));
    let service = Service::with([Post::refused(refused)]);
    let home = Home::new();
    let error = Run::of(service.at(&home, CALL).args(["--detach", "--json"])).exits(1).error();
    assert_eq!(error["code"], "safety_violation");
    assert_eq!(home.journal(), Vec::<Value>::new(), "the number is free again");
}

#[test]
fn a_call_that_only_begins_is_named_at_once_and_seen_to_its_end() {
    let home = Home::new();
    let begun = json!({ "call_id": ID, "status": "queued" });
    let service = Service::with([Post::lost(Reply::json(202, &begun)).running(1)]);
    let told = detached(&service, &home, &[]);
    assert!(told["call_id"] == ID || told["status"] == "success", "{told}");
    let run = Run::of(&mut service.at(&home, ["--resume", "--json"]));
    assert_eq!(run.exits(0).json(), call_of(&service));
}

#[test]
fn a_refusal_that_comes_late_is_kept_and_told() {
    let home = Home::new();
    let refused = Reply::json(402, &json!({ "error": { "code": "quota_exceeded" } }));
    let gate = Gate::default();
    let service = Service::with([Post::refused(Reply::Held(gate.clone(), Box::new(refused)))]);
    detached(&service, &home, &[]);
    let resuming = Running::start(&mut service.at(&home, ["--resume", "--json"]));
    gate.open();
    assert_eq!(resuming.end().exits(5).error()["code"], "quota_exceeded");
    assert_eq!(home.journal(), Vec::<Value>::new(), "told once, the number is free");
}

#[test]
fn a_lost_answer_of_a_detached_call_is_looked_up() {
    let home = Home::new();
    let (service, gate) = held(Reply::CutInBody);
    detached(&service, &home, &[]);
    let resuming = Running::start(&mut service.at(&home, ["--resume", "--json"]));
    gate.open();
    assert_eq!(resuming.end().exits(0).json(), call_of(&service));
    assert_eq!(service.posts(), 1);
}

#[test]
fn a_detached_call_whose_outcome_is_soon_unknown_stays_open() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset).shown(Shown::Never)]);
    let run = Run::of(service.at(&home, CALL).args(["--detach", "--json", "--timeout", "1"])).exits(6);
    let key = service.rings()[0].clone();
    assert_eq!(run.error()["idempotency_key"], key);
    let error = Run::of(service.at(&home, CALL).arg("--json")).exits(6).error();
    assert_eq!((&error["code"], &error["idempotency_key"]), (&json!("call_open"), &json!(key)));
}

#[test]
fn the_process_that_waits_renews_the_saved_login_and_no_token_given_for_the_run() {
    let unauthorized = || Post::refused(Reply::json(401, &json!({ "error": { "code": "missing_token" } })));
    let renewals = |service: &Service| service.server.count("POST", "/v1/auth/refresh");
    let service = Service::with([unauthorized()]);
    detached(&service, &Home::new(), &[]);
    assert_eq!((service.posts(), renewals(&service)), (2, 1));
    let service = Service::with([unauthorized()]);
    let home = Home::new();
    let mut given = service.at(&home, CALL);
    let run = Run::of(given.args(["--detach", "--json"]).env("KALLYAI_ACCESS_TOKEN", "given")).exits(4);
    let message = run.error()["message"].to_string();
    assert!(message.contains("KALLYAI_ACCESS_TOKEN"), "{message}");
    assert_eq!((service.posts(), renewals(&service)), (1, 0));
}

#[test]
fn what_the_process_that_waits_would_say_is_said_by_the_one_that_was_asked() {
    let home = Home::new();
    let (service, gate) = held(Reply::json(201, &call(ID, "success")));
    let running = Running::start(service.at(&home, CALL).args(["--detach", "--json"]));
    service.server.wait_for("POST", "/v1/calls", 1);
    // Nothing can be noted any more.
    std::fs::remove_file(home.journal_file()).expect("a journal");
    std::fs::create_dir(home.journal_file()).expect("a folder in its place");
    gate.open();
    let run = running.end().exits(0);
    assert_eq!(run.json()["call_id"], ID);
    assert!(run.stderr.contains("the journal could not be written"), "{}", run.stderr);
}

#[test]
fn without_a_login_nothing_is_detached_and_nobody_is_asked_to_sign_in() {
    let home = Home::new();
    let run = Run::of(home.kallyai(CALL).args(["--detach", "--json"])).exits(4);
    assert_eq!(run.error()["code"], "not_signed_in");
    Run::of(home.kallyai(CALL).args(["--detach", "--dry-run"])).exits(2);
}

#[test]
fn nothing_is_pending_at_first_and_nothing_is_sent_to_say_so() {
    let home = Home::new();
    let service = Service::with([]);
    let run = Run::of(&mut service.at(&home, ["--pending"])).exits(0);
    assert_eq!(run.stdout, "No call is pending.\n");
    assert_eq!(service.server.requests().len(), 0);
}

#[test]
fn a_known_key_of_a_call_that_goes_on_is_detached_at_once() {
    let home = Home::new();
    let (service, gate) = held(Reply::json(201, &call(ID, "success")));
    let with_key = || {
        let run =
            Run::of(service.at(&home, CALL).args(["--detach", "--json", "--idempotency-key", "dinner"]));
        run.exits(0).json()
    };
    let first = with_key();
    assert_eq!(
        (&first["idempotency_key"], &first["next_command"]),
        (&json!("dinner"), &json!("kallyai --resume dinner --json"))
    );
    // Nobody opens the gate: who waited for the end would wait for it in vain.
    assert_eq!(with_key(), first);
    gate.open();
    assert_eq!(Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0).json(), call_of(&service));
    assert_eq!(service.posts(), 1);
}

#[test]
fn the_others_that_are_pending_are_mentioned() {
    let home = Home::new();
    let service = Service::with(vec![Post::lost(Reply::Reset).shown(Shown::Never); 2]);
    for number in ["+15551234567", "+15551234568"] {
        Run::of(&mut service.at(&home, ["-p", number, "-t", "Ask", "--timeout", "1"])).exits(6);
    }
    service.show_all();
    let run = Run::of(&mut service.at(&home, ["--resume"])).exits(0);
    assert!(run.stderr.contains("another call is pending"), "{}", run.stderr);
    assert!(!Run::of(&mut service.at(&home, ["--resume"])).exits(0).stderr.contains("pending"));
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Read as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process, kill_process_group};

    use super::*;

    /// The processes whose command line holds this text.
    fn processes(text: &str) -> Vec<(u32, String)> {
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let line = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let lines = numbers.map(|pid| (pid, String::from_utf8_lossy(&line(pid)).replace('\0', " ")));
        lines.filter(|(_, line)| line.contains(text)).collect()
    }

    #[test]
    fn it_survives_its_parents_group_and_lets_go_of_its_parents_pipes() {
        let home = Home::new();
        let (service, gate) = held(Reply::json(201, &call(ID, "success")));
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = service.at(&home, CALL);
        command.args(["--detach", "--json"]).stdin(Stdio::null()).stderr(writer.try_clone().expect("a pipe"));
        // Another descriptor of the same pipe, as shells hand them on.
        command.stdout(writer).process_group(0);
        let mut child = command.spawn().expect("a run");
        drop(command);
        service.server.wait_for("POST", "/v1/calls", 1);
        let mut printed = String::new();
        reader.read_to_string(&mut printed).expect("the end of the pipe");
        assert!(child.wait().expect("an end").success(), "{printed}");
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        gate.open();
        let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
        assert_eq!(run.json(), call_of(&service));
    }

    #[test]
    fn a_signal_to_the_whole_group_is_what_ended_it_though_it_ended_the_helper_too() {
        // Some of them hit the helper before it has a session of its own.
        at_once(0..24, |_| {
            let home = Home::new();
            let (service, gate) = held(Reply::json(201, &call(ID, "success")));
            let mut command = service.at(&home, CALL);
            command.args(["--detach", "--json"]).process_group(0);
            let running = Running::start(&mut command);
            let group = Pid::from_raw(i32::try_from(running.id()).expect("a number"));
            let until = Instant::now() + Duration::from_secs(20);
            while running.children().is_empty() && Instant::now() < until {
                std::thread::yield_now();
            }
            let _ = kill_process_group(group.expect("a group"), Signal::INT);
            let run = running.end();
            gate.open();
            assert_eq!(run.exit, Some(130), "{}", run.stderr);
        });
    }

    #[test]
    fn a_helper_that_dies_before_it_sends_leaves_no_call_that_is_said_to_go_on() {
        at_once(0..24, |_| {
            let home = Home::new();
            let service = Service::with([]);
            let running = Running::start(service.at(&home, CALL).args(["--detach", "--json"]));
            let until = Instant::now() + Duration::from_secs(20);
            while running.children().is_empty() && Instant::now() < until {
                std::thread::yield_now();
            }
            for helper in running.children() {
                let _ = kill_process(helper, Signal::KILL);
            }
            let run = running.end();
            let pending = Run::of(&mut service.at(&home, ["--pending", "--json"])).exits(0).json();
            let is_open = pending["pending"].as_array().is_some_and(|open| !open.is_empty());
            match run.exit {
                Some(1) => assert!(!is_open && run.error()["retry_safe"] == true, "{}", run.stderr),
                exit => assert!(exit == Some(0) && (is_open || service.posts() > 0), "{}", run.stdout),
            }
        });
    }

    #[test]
    fn a_parent_that_is_killed_while_it_waits_takes_nothing_along() {
        let home = Home::new();
        let (service, gate) = held(Reply::json(201, &call(ID, "success")));
        let mut running = Running::start(service.at(&home, CALL).args(["--detach", "--json"]));
        service.server.wait_for("POST", "/v1/calls", 1);
        running.kill();
        running.end();
        gate.open();
        let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
        assert_eq!(run.json(), call_of(&service));
        assert_eq!(service.posts(), 1);
    }

    #[test]
    fn no_token_and_no_task_is_in_its_arguments_environment_or_files() {
        let home = Home::new();
        let (service, gate) = held(Reply::json(201, &call(ID, "success")));
        let mut command = service.at(&home, CALL);
        command
            .args(["--detach", "--json"])
            .env("KALLYAI_ACCESS_TOKEN", TOKEN)
            .env("MARK", home.path("mark"));
        Run::of(&mut command).exits(0);
        let mark = home.path("mark").display().to_string();
        let helpers = processes("kallyai-helper").into_iter().filter(|(pid, _)| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        });
        let helpers: Vec<_> = helpers.collect();
        assert_eq!(helpers.len(), 1, "{helpers:?}");
        let (pid, line) = &helpers[0];
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
        let seen = format!("{line} {}", String::from_utf8_lossy(&environment));
        assert!(!seen.contains(TOKEN) && !seen.contains(CALL[3]), "{seen}");
        assert_eq!(
            std::fs::read_link(format!("/proc/{pid}/cwd")).expect("a folder"),
            std::path::Path::new("/")
        );
        let journal = std::fs::read_to_string(home.journal_file()).expect("a journal");
        assert!(!journal.contains(TOKEN), "{journal}");
        gate.open();
        let mut resume = service.at(&home, ["--resume", "--json"]);
        Run::of(resume.env("KALLYAI_ACCESS_TOKEN", TOKEN)).exits(0);
    }
}
