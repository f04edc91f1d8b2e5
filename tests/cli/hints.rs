//! Every hint leads somewhere: to a command that can be copied, about the very call.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, Reply, Run, Server, call};
#[cfg(unix)]
use crate::support::{Terminal, free_port};

/// The last line of what a run says: the command of its hint, alone.
#[track_caller]
fn command(run: &Run) -> &str {
    let last = run.stderr.lines().last().expect("a line");
    last.strip_prefix("  ").unwrap_or_else(|| panic!("no command: {}", run.stderr))
}

fn refused(code: &str, status: u16, flags: &[&str]) -> (Run, Value) {
    let home = Home::new();
    let server = Server::always(Reply::json(status, &json!({ "error": { "code": code, "message": "No." } })));
    let text = Run::of(&mut home.at(&server, flags));
    let error = Run::of(home.at(&server, flags).arg("--json")).error();
    (text, error)
}

#[test]
fn without_calls_there_is_a_way_to_the_first() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "calls": [], "total": 0 })));
    for flags in [["--transcript", "last"], ["--call-info", "last-3"], ["--calendar", "3f2a"]] {
        let run = Run::of(&mut home.at(&server, flags)).exits(1);
        assert!(run.stderr.starts_with("error: there are no calls yet [call_not_found]\n"), "{}", run.stderr);
        assert_eq!(command(&run), "kallyai --sandbox -p +15555550100 -t \"Reserve a table for 4 at 8pm\"");
    }
}

#[test]
fn a_transcript_or_appointment_that_is_missing_leads_to_its_call() {
    for (code, flag) in [("transcript_not_found", "--transcript"), ("calendar_not_found", "--calendar")] {
        let (run, error) = refused(code, 404, &[flag, ID]);
        assert_eq!(command(&run), format!("kallyai --call-info {ID}"), "{code}");
        assert_eq!(error["next_command"], format!("kallyai --call-info {ID} --json"));
        assert_eq!(error["call_id"], ID);
    }
}

#[test]
fn a_number_that_is_not_called_is_told_what_else_to_try() {
    for (code, word) in [("country_restriction", "country code"), ("blocked_number", "another number")] {
        let (_, error) = refused(code, 403, &CALL);
        assert!(error["hint"].as_str().expect("a hint").contains(word), "{error}");
    }
}

#[test]
fn calls_that_it_may_be_are_each_named_with_their_command() {
    let home = Home::new();
    let requested = AtomicBool::new(false);
    let ids = ["11111111-55aa-4bbb-8ccc-0123456789ab", "22222222-55aa-4bbb-8ccc-0123456789ab"];
    let server = Server::start(move |request| {
        if request.method == "POST" {
            requested.store(true, Ordering::SeqCst);
            return Reply::CutBeforeStatus;
        }
        let calls: Vec<Value> = ids.iter().map(|id| call(id, "success")).collect();
        let calls = if requested.load(Ordering::SeqCst) { calls } else { Vec::new() };
        Reply::json(200, &json!({ "total": calls.len(), "calls": calls }))
    });
    let run = Run::of(home.at(&server, CALL).args(["--timeout", "3"])).exits(6);
    assert!(run.stderr.contains(&format!("\n  kallyai --call-info {}\n", ids[0])), "{}", run.stderr);
    assert_eq!(command(&run), format!("kallyai --call-info {}", ids[1]));
    let run = Run::of(&mut home.at(&server, ["--resume", "--json", "--timeout", "3"])).exits(6);
    let error = run.error();
    assert!(ids.iter().all(|id| error["hint"].as_str().expect("a hint").contains(id)), "{error}");
    assert!(error["next_command"].as_str().expect("a command").contains("--resume"), "{error}");
}

/// What a terminal shows of a call whose answer is lost, and that nobody finds.
#[cfg(unix)]
fn lost_on_a_terminal(home: &Home, server: &Server, number: &str) -> String {
    let command = home.at(server, ["-p", number, "-t", "Ask", "--timeout", "2"]);
    let mut terminal = Terminal::start(command);
    let screen = terminal.shows("--resume");
    assert_eq!(terminal.end(), Some(6), "{screen}");
    terminal.shows("--resume")
}

#[cfg(unix)]
#[test]
fn a_person_with_one_pending_call_need_not_write_its_key() {
    let home = Home::new();
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::CutBeforeStatus,
        _ => Reply::json(200, &json!({ "calls": [], "total": 0 })),
    });
    let screen = lost_on_a_terminal(&home, &server, "+15551234567");
    assert!(screen.contains("\r\n  kallyai --resume\r\n"), "{screen}");
    let mut terminal = Terminal::start(home.at(&server, ["--pending"]));
    terminal.shows("  kallyai --resume\r\n");
    assert_eq!(terminal.end(), Some(0));
    // A program is told the key, whichever is the only one.
    let run = Run::of(&mut home.at(&server, ["--pending", "--json"])).exits(0);
    let key = run.json()["pending"][0]["idempotency_key"].as_str().expect("a key").to_owned();
    assert_eq!(run.json()["pending"][0]["next_command"], format!("kallyai --resume {key} --json"));
    let screen = lost_on_a_terminal(&home, &server, "+15557654321");
    assert!(screen.contains("\r\n  kallyai --resume kallyai-"), "{screen}");
}

#[cfg(unix)]
#[test]
fn a_sign_in_that_is_interrupted_says_how_to_begin_again() {
    let home = Home::new();
    let port = free_port().to_string();
    for flags in [&["--login"][..], &["--usage"], &CALL] {
        let mut command = home.kallyai(flags);
        command.args(["--callback-port", &port]);
        command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
        let mut terminal = Terminal::start(command);
        terminal.shows("Waiting for the sign-in");
        terminal.types(b"\x03");
        assert_eq!(terminal.end(), Some(130));
        terminal.shows("hint: you are not signed in yet; sign in when you like:\r\n  kallyai --login\r\n");
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_that_was_resized_during_a_call_is_written_to_as_wide_as_it_is_by_then() {
    let home = Home::new();
    let none = json!({ "calls": [], "total": 0 });
    let server =
        Server::start(
            move |request| {
                if request.is("POST", "/v1/calls") { Reply::Stall } else { Reply::json(200, &none) }
            },
        );
    let mut terminal = Terminal::start(home.at(&server, CALL));
    server.wait_for("POST", "/v1/calls", 1);
    terminal.resize(40);
    terminal.types(b"\x03");
    terminal.shows("Stopped waiting; the call itself goes\r\n");
    assert_eq!(terminal.end(), Some(130));
}
