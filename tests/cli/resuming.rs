//! Calls that are open: what refuses a second one, and how each comes to its result.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{CALL, Gate, Home, Post, Reply, Run, Running, Service, Shown, now};

/// A call whose answer is lost and which the history does not show.
fn lost() -> (Home, Service, String) {
    let service = Service::with([Post::lost(Reply::CutBeforeStatus).shown(Shown::Never)]);
    let home = Home::new();
    Run::of(service.at(&home, CALL).args(["--timeout", "2"])).exits(6);
    let key = service.rings()[0].clone();
    (home, service, key)
}

/// A call that is answered when the gate opens, under way.
pub fn under_way(home: &Home, flags: &[&str]) -> (Service, Gate, Running) {
    let gate = Gate::default();
    let call = Reply::json(201, &crate::support::call("00000000-1111-4222-8333-444444444444", "success"));
    let service = Service::with([Post::lost(Reply::Held(gate.clone(), Box::new(call)))]);
    let running = Running::start(service.at(home, CALL).args(flags));
    service.server.wait_for("POST", "/v1/calls", 1);
    (service, gate, running)
}

/// The same was done a short time ago.
#[track_caller]
fn is_done(run: &Run, key: &str) {
    let error = run.error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("already_done"), &json!(false)));
    assert_eq!((&error["idempotency_key"], run.stdout.as_str()), (&json!(key), ""));
    let id = error["call_id"].as_str().expect("an ID");
    assert_eq!(error["next_command"], format!("kallyai --call-info {id} --json"));
}

#[track_caller]
pub fn is_open(run: &Run, key: &str) {
    let error = run.error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("call_open"), &json!(false)));
    assert_eq!((&error["idempotency_key"], run.stdout.as_str()), (&json!(key), ""));
    assert_eq!(error["next_command"], format!("kallyai --resume {key} --json"));
}

#[test]
fn a_service_that_goes_away_leaves_a_call_that_is_refused_then_resumed_then_free() {
    let service = Service::with([Post::lost(Reply::Reset)]);
    service.is_gone(true);
    let home = Home::new();
    let started = Instant::now();
    let run = Run::of(service.at(&home, CALL).args(["--json", "--timeout", "3"])).exits(6);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let key = service.rings()[0].clone();
    let error = run.error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("outcome_unknown"), &json!(false)));
    assert_eq!((&error["idempotency_key"], run.stdout.as_str()), (&json!(key), ""));
    assert_eq!(error["next_command"], format!("kallyai --resume {key} --json"));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);

    // The server may still be taking the request that the time ran out in.
    is_open(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &key);
    let asked = service.server.requests().len();
    let again: Vec<_> = (0..10).map(|_| Running::start(service.at(&home, CALL).arg("--json"))).collect();
    again.into_iter().for_each(|running| is_open(&running.end().exits(6), &key));
    assert_eq!(service.server.requests().len(), asked);

    let run = Run::of(&mut service.at(&home, ["--resume", "--json", "--timeout", "1"])).exits(6);
    assert_eq!(run.error()["next_command"], format!("kallyai --resume {key} --json"));
    service.is_gone(false);
    let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
    assert_eq!((run.json(), run.stderr.as_str()), (service.calls()[0].clone(), ""));
    let requests = service.server.requests();
    assert!(requests[asked..].iter().all(|request| request.method == "GET"));

    is_done(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &key);
    Run::of(service.at(&home, CALL).arg("--again")).exits(0);
    assert_eq!(service.rings().len(), 2);
}

#[test]
fn a_resumed_call_prints_what_the_call_would_have() {
    let direct = Run::of(&mut Service::with([]).at(&Home::new(), CALL)).exits(0);
    let (home, service, key) = lost();
    for resume in [vec!["--resume"], vec!["--resume", &key]] {
        service.show_all();
        let run = Run::of(service.at(&home, resume).arg("--exit-status")).exits(0);
        assert_eq!((run.stdout, run.stderr.as_str()), (direct.stdout.clone(), ""));
    }
    // Settled by now, it can be read by its key; there is no newest open one.
    let run = Run::of(service.at(&home, ["--resume"]).arg("--json")).exits(1);
    assert_eq!(run.error()["code"], "nothing_to_resume");
    let run = Run::of(service.at(&home, ["--resume", "unheard-of"]).arg("--json")).exits(1);
    assert_eq!(run.error()["code"], "nothing_to_resume");
    assert_eq!(service.posts(), 1);
}

#[test]
fn the_newest_open_call_is_resumed_and_a_key_names_another() {
    let home = Home::new();
    let service = Service::with(vec![Post::lost(Reply::Reset).shown(Shown::Never); 2]);
    for (number, task) in [("+15551234567", "First"), ("+15551234568", "Second")] {
        Run::of(&mut service.at(&home, ["-p", number, "-t", task, "--timeout", "2"])).exits(6);
    }
    service.show_all();
    let key = service.rings()[0].clone();
    let task = |run: Run| run.json()["submission"]["task_description"].clone();
    assert_eq!(task(Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0)), "Second");
    assert_eq!(task(Run::of(&mut service.at(&home, ["--resume", &key, "--json"])).exits(0)), "First");
    Run::of(&mut service.at(&home, ["--resume"])).exits(1);
}

#[test]
fn six_identical_commands_ring_once() {
    let home = Home::new();
    home.sign_in(3600);
    let gate = Gate::default();
    let call = Reply::json(201, &crate::support::call("00000000-1111-4222-8333-444444444444", "success"));
    // A history that showed it as ended already would make some of them `already_done`.
    let held = Post::lost(Reply::Held(gate.clone(), Box::new(call))).shown(Shown::Never);
    let service = Service::with([held]);
    let six: Vec<_> = (0..6).map(|_| Running::start(service.at(&home, CALL).arg("--json"))).collect();
    // Five end while the sixth is on the phone.
    let (sender, ended) = std::sync::mpsc::channel();
    for running in six {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(running.end()));
    }
    let next = || ended.recv_timeout(Duration::from_secs(30)).expect("a run ends");
    let refused: Vec<_> = (0..5).map(|_| next().exits(6)).collect();
    gate.open();
    assert_eq!(next().exits(0).json()["status"], "success");
    refused.iter().for_each(|run| is_open(run, &service.rings()[0]));
    assert_eq!(service.posts(), 1);
}

#[test]
fn other_words_do_not_make_another_number() {
    let (home, service, key) = lost();
    for same in [
        ["-p", "+1 (555) 123-4567", "-t", " Reserve\n  a\ttable "],
        ["-p", CALL[1], "-t", "RESERVE A TABLE"],
        ["-p", CALL[1], "-t", "Please book us a table"],
        CALL,
    ] {
        is_open(&Run::of(service.at(&home, same).arg("--json")).exits(6), &key);
    }
    assert_eq!(service.posts(), 1);
    Run::of(&mut service.at(&home, ["-p", "+15551234568", "-t", CALL[3]])).exits(0);
    assert_eq!(service.posts(), 2);
}

#[test]
fn a_second_call_on_purpose_is_placed_and_both_come_to_their_results() {
    let (home, service, key) = lost();
    let run = Run::of(service.at(&home, CALL).args(["--again", "--json"])).exits(0);
    assert_eq!(run.json(), service.calls()[1]);
    service.show_all();
    let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
    assert_eq!(run.json(), service.calls()[0]);
    assert!(service.rings().len() == 2 && service.rings()[0] == key && service.rings()[1] != key);
}

#[test]
fn a_key_that_is_known_is_never_sent_again() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::CutInBody).shown(Shown::Never)]);
    let command = |flags: &[&str]| {
        let mut command = service.at(&home, CALL);
        command.args(["--idempotency-key", "it's-mine", "--json"]).args(flags);
        command
    };
    let error = Run::of(&mut command(&["--timeout", "2"])).exits(6).error();
    // As the shell of the system takes it.
    let quoted = if cfg!(windows) { "'it''s-mine'" } else { r"'it'\''s-mine'" };
    assert_eq!(error["next_command"], format!("kallyai --resume {quoted} --json"));
    assert_eq!(service.rings(), ["it's-mine"]);
    // Open, it is resumed, even where a second call is wanted;
    Run::of(&mut command(&["--again", "--timeout", "1"])).exits(6);
    service.show_all();
    assert_eq!(Run::of(&mut command(&[])).exits(0).json(), service.calls()[0]);
    // settled, it is read.
    assert_eq!(Run::of(&mut command(&["--again"])).exits(0).json(), service.calls()[0]);
    assert_eq!(service.posts(), 1);
    Run::of(service.at(&home, CALL).arg("--again")).exits(0);
    assert_eq!(service.posts(), 2);
}

/// Makes every entry of the journal this old, as if the computer had been restarted since.
fn age(home: &Home, seconds: i64) {
    home.write_journal(home.journal_lines().into_iter().map(|mut line| {
        line["at"] = json!(now() - seconds);
        for member in ["boot", "crc32"] {
            line.as_object_mut().expect("an object").remove(member);
        }
        let text = line.to_string();
        let before = text.trim_end_matches('}');
        format!(r#"{before},"crc32":"{:08x}"}}"#, crc32fast::hash(before.as_bytes()))
    }));
}

#[test]
fn a_call_that_was_open_for_six_hours_does_not_refuse_another() {
    let (home, service, key) = lost();
    age(&home, 6 * 3600 - 60);
    is_open(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &key);
    age(&home, 6 * 3600 + 60);
    service.age(6 * 3600 + 59);
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!(service.posts(), 2);
    // It is resumable all the same.
    service.show_all();
    Run::of(&mut service.at(&home, ["--resume", &key])).exits(0);
}

#[test]
fn a_call_that_another_process_waits_for_refuses_however_old() {
    let home = Home::new();
    let (service, gate, running) = under_way(&home, &[]);
    age(&home, 7 * 3600);
    is_open(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &service.rings()[0]);
    gate.open();
    running.end().exits(0);
    assert_eq!(service.posts(), 1);
}

#[test]
fn a_reader_that_has_gone_leaves_the_call_resumable() {
    for flags in [vec![], vec!["--json"]] {
        let home = Home::new();
        // Its answer told which call it is; the history need not.
        let service = Service::with([Post::answered().shown(Shown::Never)]);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = service.at(&home, CALL).args(&flags).stdout(writer).spawn().expect("a run");
        assert!(child.wait().expect("an end").success());
        is_done(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &service.rings()[0]);
        let run = Run::of(service.at(&home, ["--resume"]).args(&flags)).exits(0);
        assert!(run.stdout.contains("3f2a0c1e-55aa-4bbb-8ccc-000000000000"), "{}", run.stdout);
        assert_eq!(service.posts(), 1);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_stays_resumable() {
    for flags in [vec![], vec!["--json"], vec!["--detach"]] {
        let home = Home::new();
        let service = Service::with([]);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let child =
            service.at(&home, CALL).args(&flags).stdout(full).stderr(std::process::Stdio::piped()).spawn();
        let output = child.expect("a run").wait_with_output().expect("an end");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("could not be written"), "{stderr}");
        let key = &service.rings()[0];
        if flags == ["--json"] {
            let error: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
            let error = &error["error"];
            assert_eq!((&error["code"], &error["retry_safe"]), (&json!("io"), &json!(false)));
            assert_eq!(error["next_command"], format!("kallyai --resume {key} --json"));
        }
        is_done(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &service.rings()[0]);
        let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
        assert_eq!(run.json(), service.calls()[0]);
    }
}

#[test]
fn a_killed_run_leaves_a_call_that_is_refused_and_resumed() {
    let home = Home::new();
    let (service, _gate, mut running) = under_way(&home, &[]);
    running.kill();
    running.end();
    is_open(&Run::of(service.at(&home, CALL).arg("--json")).exits(6), &service.rings()[0]);
    let run = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(0);
    assert_eq!(run.json(), service.calls()[0]);
    Run::of(service.at(&home, CALL).arg("--again")).exits(0);
    assert_eq!(service.posts(), 2);
}
