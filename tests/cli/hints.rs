//! Every hint leads somewhere: to a command that can be copied.

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::{CALL, Terminal, free_port};
use crate::support::{Gate, Home, ID, Post, Reply, Run, Server, Service, Shown, call};

/// The command on the last line of stderr.
#[track_caller]
fn command(run: &Run) -> &str {
    let last = run
        .stderr
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("  "));
    last.unwrap_or_else(|| panic!("no command: {}", run.stderr))
}

#[test]
fn missing_call_leads_to_the_history() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "calls": [], "total": 0 })));
    for line in [
        ["transcript", "last"],
        ["call-info", "last-3"],
        ["calendar", "3f2a"],
    ] {
        let run = Run::of(&mut home.at(&server, line)).exits(1);
        assert!(
            run.stderr
                .starts_with("error: no calls yet [call_not_found]\n"),
            "{}",
            run.stderr
        );
        assert_eq!(command(&run), "kallyai history");
    }
}

#[test]
fn missing_transcript_or_appointment_leads_to_its_call() {
    for (code, name) in [
        ("transcript_not_found", "transcript"),
        ("calendar_not_found", "calendar"),
    ] {
        let home = Home::new();
        let server = Server::always(Reply::json(404, &json!({ "error": { "code": code } })));
        let run = Run::of(&mut home.at(&server, [name, ID])).exits(1);
        assert_eq!(command(&run), format!("kallyai call-info {ID}"), "{code}");
        let error = Run::of(&mut home.at(&server, [name, ID, "--json"])).error();
        assert_eq!(
            error["next_command"],
            format!("kallyai call-info {ID} --json")
        );
        assert_eq!(error["call_id"], ID);
    }
}

#[test]
fn calls_that_match_a_lost_one_are_listed() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::CutBeforeStatus).shown(Shown::Twice)]);
    let line = ["call", "+15551234567", "Ask", "--json", "--timeout", "20"];
    let error = Run::of(&mut service.at(&home, line)).exits(6).error();
    let ids: Vec<Value> = service
        .calls()
        .iter()
        .map(|call| call["call_id"].clone())
        .collect();
    let mut candidates = error["candidates"].as_array().expect("a list").clone();
    candidates.sort_by_key(Value::to_string);
    assert_eq!(candidates, ids);
    let next = error["next_command"].as_str().expect("a command");
    assert!(
        next.starts_with("kallyai resume ") && next.ends_with(" --json --timeout 20"),
        "{next}"
    );
}

#[test]
fn pending_call_leads_to_its_result() {
    let (home, gate) = (Home::new(), Gate::default());
    let late = Reply::Held(
        gate.clone(),
        Box::new(Reply::json(201, &call(ID, "success"))),
    );
    let service = Service::with([Post::lost(late)]);
    let line = ["call", "+15551234567", "Ask", "--timeout", "2"];
    let run = Run::of(&mut service.at(&home, line)).exits(6);
    let resume = command(&run).trim_end_matches(" --timeout 2").to_owned();
    let pending = Run::of(&mut service.at(&home, ["pending", "--json"]))
        .exits(0)
        .json();
    assert_eq!(
        pending["pending"][0]["next_command"],
        format!("{resume} --json")
    );
    gate.open();
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
}

#[cfg(unix)]
#[test]
fn interrupted_sign_in_leads_to_another() {
    let home = Home::new();
    let port = free_port().to_string();
    for line in [&["login"][..], &["usage"], &CALL] {
        let mut command = home.kallyai(line);
        command.args(["--callback-port", &port]);
        command.env("KALLYAI_API_URL", "http://127.0.0.1:9");
        command.env("KALLYAI_TOKEN_FILE", home.token_file());
        let mut terminal = Terminal::start(command);
        terminal.shows("Waiting for you to sign in");
        terminal.types(b"\x03");
        assert_eq!(terminal.end(), Some(130));
        assert!(!terminal.screen().contains("panicked"));
    }
}

#[cfg(unix)]
#[test]
fn text_fits_a_terminal_that_was_resized() {
    let (home, gate) = (Home::new(), Gate::default());
    let late = Reply::Held(
        gate.clone(),
        Box::new(Reply::json(201, &call(ID, "success"))),
    );
    let service = Service::with([Post::lost(late)]);
    let mut terminal = Terminal::start(service.at(&home, CALL));
    service.server.wait_for("POST", "/v1/calls", 1);
    terminal.resize(40);
    terminal.types(b"\x03");
    assert_eq!(terminal.end(), Some(130));
    let screen = terminal.shows("kallyai resume ");
    let error = screen.split("error: ").nth(1).expect("an error");
    let first = error.lines().next().expect("a line");
    assert!(first.chars().count() <= 33, "{first}");
    gate.open();
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
}
