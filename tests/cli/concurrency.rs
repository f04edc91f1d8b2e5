//! Tests that fifty concurrent commands make only one call.

use serde_json::Value;

use crate::support::{CALL, Gate, Home, Post, Reply, Run, Running, Service, Shown, call};

const COMMANDS: usize = 50;

fn start(mut command: impl FnMut(usize) -> std::process::Command) -> Vec<Running> {
    let start = |index| Running::start(&mut command(index));
    (0..COMMANDS).map(start).collect()
}

fn exits(runs: &[Run], exit: i32) -> usize {
    runs.iter().filter(|run| run.exit == Some(exit)).count()
}

#[test]
fn concurrent_identical_calls_are_sent_once() {
    let (home, gate) = (Home::new(), Gate::default());
    let reply = Reply::json(
        201,
        &call("00000000-1111-4222-8333-444444444444", "success"),
    );
    // Hide the call from the history, or slow commands would get `already_done`, not `call_open`.
    let held = Post::lost(gate.hold(reply)).shown(Shown::Never);
    let service = Service::with([held]);
    let crowd = start(|_| {
        let mut command = service.at(&home, CALL);
        command.arg("--json");
        command
    });
    let (sender, ended) = std::sync::mpsc::channel();
    for running in crowd {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(running.end()));
    }
    // One command waits for the response to its call. Collect the results of all others.
    let refused: Vec<Run> = ended.iter().take(COMMANDS - 1).collect();
    gate.open();
    assert_eq!(exits(&refused, 6), COMMANDS - 1);
    let key = service.made()[0].clone();
    for run in refused {
        let error = run.error();
        assert_eq!(error["code"], "call_open");
        assert_eq!(error["idempotency_key"], key);
        let next = format!("kallyai resume {key} --json");
        assert_eq!(error["next_command"], next);
    }
    let last = ended.iter().next().expect("the last run");
    assert_eq!(last.exits(0).json()["status"], "success");
    assert_eq!(service.posts(), 1);
}

#[test]
fn concurrent_calls_with_the_same_key_share_one_result() {
    let (home, service) = (Home::new(), Service::with([]));
    let crowd = start(|_| {
        let mut command = service.at(&home, CALL);
        command.args(["--json", "--idempotency-key", "dinner"]);
        command
    });
    let runs: Vec<Run> = crowd.into_iter().map(Running::end).collect();
    let failed: Vec<&str> = runs
        .iter()
        .map(|run| run.stderr.as_str())
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(exits(&runs, 0), COMMANDS, "{failed:?}");
    let call: &Value = &service.calls()[0];
    assert!(runs.iter().all(|run| run.json() == *call));
    assert_eq!(service.posts(), 1);
}
