//! Tests commands that cannot start a helper process.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::support::{CALL, Home, Post, Reply, Running, Service, says};

/// Starts a copy of the program, then makes the copy non-executable, so that no helper can start.
fn start_without_helper(home: &Home, command: &Command) -> Running {
    let program = home.path("kallyai");
    // Copy the program with `cp`. If this process wrote the copy, a child of a concurrent test
    // could inherit the descriptor, and Linux does not execute a file that is open for writing.
    let mut copy = Command::new("cp");
    copy.arg(command.get_program()).arg(&program);
    assert!(copy.status().expect("cp").success());
    let mut copy = Command::new(&program);
    copy.args(command.get_args()).env_clear();
    copy.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    copy.args(["-p", CALL[1], "-t", "-"]).stdin(Stdio::piped());
    let mut running = Running::start(&mut copy);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&program, mode).expect("permissions");
    running.stdin().write_all(CALL[3].as_bytes()).expect("sent");
    running
}

#[test]
fn call_is_made_even_if_no_helper_process_can_start() {
    let (home, service) = (Home::new(), Service::with([Post::lost(Reply::CutInBody)]));
    let command = service.at(&home, ["--json"]);
    let run = start_without_helper(&home, &command).end().exits(0);
    assert_eq!(run.json(), service.calls()[0]);
    assert_eq!(run.stderr, "");
    assert_eq!(service.posts(), 1);
    assert_eq!(home.journal()[0]["shown"], true);
}

#[test]
fn credentials_are_refreshed_even_if_no_helper_can_start() {
    let (home, service) = (Home::new(), Service::with([]));
    home.sign_in(-10);
    let command = service.at(&home, ["--json"]);
    start_without_helper(&home, &command).end().exits(0);
    assert_eq!(home.login()["access_token"], "fresh");
    assert_eq!(service.server.count("POST", "/v1/auth/refresh"), 1);
}

#[test]
fn detach_is_an_error_if_no_helper_process_can_start() {
    let (home, service) = (Home::new(), Service::with([]));
    let command = service.at(&home, ["--json", "--detach"]);
    let error = start_without_helper(&home, &command).end().exits(1).error();
    says(&error, "message", "can't start the background process");
    assert_eq!((service.posts(), home.journal().len()), (0, 0));
}
