//! A renewal goes on whatever ends the command: its refresh token can be spent once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::login_races::{REFRESH_PATH, names, refreshes, renewing, rotating};
use crate::support::{CALL, Gate, Home, Reply, Run, Running, Server, TOKEN, Terminal};

/// A service that answers a renewal when a test opens the gate.
fn gated() -> (Server, Gate) {
    let gate = Gate::default();
    let renewed = json!({ "access_token": "fresh", "refresh_token": "next", "expires_in": 3600 });
    let renewal = Reply::Held(gate.clone(), Box::new(Reply::json(200, &renewed)));
    let server = Server::start(move |request| match request.header("authorization") {
        None => renewal.clone(),
        Some("Bearer fresh") => Reply::json(200, &json!({})),
        Some(_) => Reply::json(401, &json!({ "error": { "code": "missing_token" } })),
    });
    (server, gate)
}

/// The next run waits for the renewal, and needs none of its own.
#[track_caller]
fn assert_saved(home: &Home, server: &Server, gate: &Gate) {
    gate.open();
    Run::of(&mut home.at(server, ["--usage"])).exits(0);
    assert_eq!(
        (&home.login()["access_token"], &home.login()["refresh_token"]),
        (&json!("fresh"), &json!("next"))
    );
    assert_eq!(refreshes(server), 1);
}

#[test]
fn a_signal_ends_the_command_at_once_and_the_renewed_login_is_saved() {
    for (signals, exits) in [
        (&[Signal::INT][..], &[130][..]),
        (&[Signal::TERM], &[143]),
        (&[Signal::HUP], &[129]),
        (&[Signal::INT, Signal::INT], &[130]),
        (&[Signal::INT, Signal::TERM], &[130, 143]),
    ] {
        let home = Home::new();
        home.sign_in(-10);
        let (server, gate) = gated();
        let running = Running::start(home.at(&server, ["--usage"]).stdin(Stdio::null()));
        server.wait_for("POST", REFRESH_PATH, 1);
        let begun = Instant::now();
        signals.iter().for_each(|signal| running.signal(*signal));
        let run = running.end();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(run.exit.is_some_and(|exit| exits.contains(&exit)), "{signals:?}: {:?}", run.exit);
        assert_saved(&home, &server, &gate);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_signals_every_process_of_a_service_ends_no_renewal() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let home = Home::new();
        home.sign_in(-10);
        let (server, gate) = gated();
        let running = Running::start(home.at(&server, ["--usage"]).stdin(Stdio::null()));
        server.wait_for("POST", REFRESH_PATH, 1);
        let helpers = running.children();
        assert_eq!(helpers.len(), 1);
        rustix::process::kill_process(helpers[0], signal).expect("it is there");
        running.signal(signal);
        running.end();
        assert_saved(&home, &server, &gate);
    }
}

#[test]
fn a_command_out_of_time_or_killed_leaves_its_renewal_to_be_saved() {
    for killed in [false, true] {
        let home = Home::new();
        home.sign_in(-10);
        let (server, gate) = gated();
        let mut command = home.at(&server, ["--usage", "--timeout", "1"]);
        let mut running = Running::start(command.stdin(Stdio::null()));
        server.wait_for("POST", REFRESH_PATH, 1);
        if killed {
            running.kill();
        }
        assert_eq!(running.end().exit, if killed { None } else { Some(3) });
        assert_saved(&home, &server, &gate);
    }
}

#[test]
fn ctrl_c_in_a_terminal_reaches_the_command_alone() {
    let home = Home::new();
    home.sign_in(-10);
    let (server, gate) = gated();
    let mut terminal = Terminal::start(home.at(&server, ["--usage"]));
    server.wait_for("POST", REFRESH_PATH, 1);
    terminal.types(b"\x03\x03");
    assert_eq!(terminal.end(), Some(130));
    // Its window closes with it.
    drop(terminal);
    assert_saved(&home, &server, &gate);
}

#[test]
fn a_signal_in_a_renewal_before_a_call_places_none() {
    // The login has expired, or the service says so when it is asked; none of these takes a call.
    for expires_in in [-10, 3600] {
        let home = Home::new();
        home.sign_in(expires_in);
        let (server, gate) = gated();
        let mut command = home.at(&server, CALL);
        let running = Running::start(command.arg("--json").env("KALLYAI_STATE_DIR", home.state()));
        server.wait_for("POST", REFRESH_PATH, 1);
        running.signal(Signal::INT);
        let error = running.end().exits(130).error();
        assert_eq!((&error["retry_safe"], error.get("next_command")), (&json!(true), None));
        assert_eq!(home.journal(), Vec::<Value>::new());
        assert_eq!(server.count("POST", "/v1/calls"), 0);
        assert_saved(&home, &server, &gate);
    }
}

#[test]
fn a_renewal_under_way_is_not_seen_as_a_reason_to_sign_in_again() {
    let home = Home::new();
    home.sign_in(-10);
    let server = rotating(Duration::from_millis(300));
    let first = Running::start(home.at(&server, ["--auth-status"]).stdin(Stdio::null()));
    server.wait_for("POST", REFRESH_PATH, 1);
    Run::of(&mut home.at(&server, ["--auth-status"])).exits(0);
    first.end().exits(0);
    assert_eq!(refreshes(&server), 1);
}

/// What a run killed between writing a login and putting it in its place leaves.
fn left_over(home: &Home, server: &Server, token: &str) -> std::path::PathBuf {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = home.path("login.json.kallyai-new");
    let login = json!({
        "access_token": token, "refresh_token": "next", "expires_at": 4_000_000_000_i64, "issuer": server.url(),
    });
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&path).expect("a file");
    std::io::Write::write_all(&mut file, format!("{login}      ").as_bytes()).expect("a login");
    path
}

#[test]
fn a_whole_login_that_a_killed_run_left_is_put_in_its_place() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut command = home.at(&server, ["--usage"]);
    home.sign_in(-10);
    let left = left_over(&home, &server, "adopted");
    Run::of(&mut command).exits(0);
    assert_eq!(home.login()["access_token"], "adopted");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer adopted"));
    assert!(!left.exists());
    assert_eq!(refreshes(&server), 0, "the old one is spent");
}

#[test]
fn a_login_that_a_killed_run_left_counts_for_who_asks_and_asking_leaves_nothing_behind() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut status = home.at(&server, ["--auth-status"]);
    Run::of(&mut status).exits(0);
    assert_eq!(names(&home.path("")), ["login.json"]);
    std::fs::remove_file(home.token_file()).expect("the login");
    Run::of(&mut status).exits(4);
    left_over(&home, &server, "adopted");
    Run::of(&mut status).exits(0);
    assert_eq!(home.login()["access_token"], "adopted");
    assert!(server.requests().is_empty());
}

#[test]
fn a_sign_in_that_is_only_begun_keeps_what_a_killed_renewal_left() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut command = home.at(&server, ["--login", "--no-wait"]);
    home.sign_in(-10);
    left_over(&home, &server, "adopted");
    Run::of(&mut command).exits(0);
    assert_eq!(home.login()["access_token"], "adopted");
}

#[test]
fn a_renewed_login_that_the_service_repeats_is_printed_nowhere() {
    let renewed = json!({ "access_token": "renewed-access-1", "refresh_token": "renewed-refresh-1", "expires_in": 3600 });
    let echo = json!({ "plan_type": "renewed-refresh-1 renewed-access-1" });
    let server = Server::start(move |request| match request.line().as_str() {
        "POST /v1/auth/refresh" => Reply::json(200, &renewed).with("X-Echo", "renewed-access-1"),
        _ => Reply::json(200, &echo),
    });
    for more in [&[][..], &["--json"], &["--debug"]] {
        let home = Home::new();
        let mut command = home.at(&server, ["--usage"]);
        home.sign_in(-10);
        let run = Run::of(command.args(more)).exits(0);
        let printed = run.stdout + &run.stderr;
        assert!(printed.contains("[redacted]") && !printed.contains("renewed-"), "{more:?}: {printed}");
    }
}

#[test]
fn a_login_that_is_older_half_or_another_services_is_not_put_in_its_place() {
    for spoil in ["older", "half", "elsewhere", "open to others"] {
        let home = Home::new();
        let server = renewing();
        let mut command = home.at(&server, ["--usage"]);
        home.sign_in(-10);
        let left = left_over(&home, &server, "adopted");
        match spoil {
            "older" => {
                let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
                let file = std::fs::File::options().write(true).open(&left).expect("the file");
                file.set_modified(hour_ago).expect("a time");
            }
            "half" => std::fs::write(&left, r#"{"access_token":"adop"#).expect("half a login"),
            "elsewhere" => {
                let text = std::fs::read_to_string(&left).expect("a login");
                std::fs::write(&left, text.replace(server.url(), "http://127.0.0.1:1")).expect("a login");
            }
            _ => {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(&left, std::fs::Permissions::from_mode(0o644)).expect("permissions");
            }
        }
        Run::of(&mut command).exits(0);
        assert_eq!(home.login()["access_token"], "fresh", "{spoil}");
        assert!(!left.exists(), "{spoil}");
        assert_eq!(refreshes(&server), 1, "{spoil}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_begun_sign_in_that_is_killed_leaves_the_old_login_or_the_new() {
    // Where nothing was, nothing or the new one.
    for has_login in [true, false] {
        let home = Home::new();
        let step = |flags: &[&str]| {
            let mut command = home.kallyai(flags);
            command.env("KALLYAI_STATE_DIR", home.state()).env("KALLYAI_TOKEN_FILE", home.token_file());
            command
        };
        for turn in 0..20 {
            let _ = std::fs::remove_file(home.token_file());
            if has_login {
                home.sign_in(3600);
            }
            let url = Run::of(&mut step(&["--login", "--no-wait"])).exits(0).stdout;
            let (_, state) = url.trim_end().split_once("state=").expect("a state");
            let address = format!("http://localhost:8976/callback?access_token=granted&state={state}");
            let finish = ["--login", "--callback-url", &address];
            let mut running = Running::start(step(&finish).stdin(Stdio::null()));
            // Each at another moment of the few milliseconds that it takes.
            std::thread::sleep(Duration::from_micros(300 * turn));
            running.kill();
            running.end();
            Run::of(&mut step(&["--auth-status"]));
            match std::fs::read_to_string(home.token_file()) {
                Ok(text) => {
                    assert!(text.contains("granted") || (has_login && text.contains(TOKEN)), "{text}")
                }
                Err(_) => assert!(!has_login),
            }
        }
    }
}
