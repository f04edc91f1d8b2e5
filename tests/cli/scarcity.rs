//! Work in this process if no other can be started.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::support::{CALL, Home, Post, Reply, Running, Service};

/// Starts a command, and lets it read this task only once its program can't be started again.
fn alone(home: &Home, command: &Command) -> Running {
    let program = home.path("kallyai");
    // A process of its own copies it: a child of another test would inherit the open file, and no
    // program starts while it is open for writing.
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
    running.stdin().write_all(CALL[3].as_bytes()).expect("read");
    running
}

#[test]
fn call_is_made_in_this_process() {
    let (home, service) = (Home::new(), Service::with([Post::lost(Reply::CutInBody)]));
    let command = service.at(&home, ["--json"]);
    let run = alone(&home, &command).end().exits(0);
    assert_eq!(
        (run.json(), run.stderr.as_str()),
        (service.calls()[0].clone(), "")
    );
    assert_eq!(service.posts(), 1);
    assert_eq!(home.journal()[0]["shown"], true);
}

#[test]
fn expired_credentials_are_refreshed_in_this_process() {
    let (home, service) = (Home::new(), Service::with([]));
    home.sign_in(-10);
    let command = service.at(&home, ["--json"]);
    alone(&home, &command).end().exits(0);
    assert_eq!(home.login()["access_token"], "fresh");
    assert_eq!(service.server.count("POST", "/v1/auth/refresh"), 1);
}

#[test]
fn detaching_is_an_error() {
    let (home, service) = (Home::new(), Service::with([]));
    let command = service.at(&home, ["--json", "--detach"]);
    let error = alone(&home, &command).end().exits(1).error();
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("no background process can be started"),
        "{message}"
    );
    assert_eq!((service.posts(), home.journal().len()), (0, 0));
}
