//! Tests that credentials are refreshed only once and saved even if the command exits early.

use std::fs::File;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Gate, Home, PROMPT, REFRESH, Reply, Run, Running, Server, TOKEN, now, parallel,
};

pub const REFRESH_PATH: &str = "/v1/auth/refresh";

fn fresh() -> Reply {
    let fresh = json!({ "access_token": "fresh", "refresh_token": "next", "expires_in": 3600 });
    Reply::json(200, &fresh)
}

/// Starts a service that accepts every token and sends the same new tokens for each refresh.
pub fn renewing() -> Server {
    Server::start(|request| match request.is("POST", REFRESH_PATH) {
        true => fresh(),
        false => Reply::json(200, &json!({})),
    })
}

pub fn refreshes(server: &Server) -> usize {
    server.count("POST", REFRESH_PATH)
}

/// Starts a service that sends `refreshed` for each refresh and accepts only the token `fresh`.
fn strict(refreshed: Reply) -> Server {
    Server::start(
        move |request| match (request.line().as_str(), request.header("authorization")) {
            ("POST /v1/auth/refresh", _) => refreshed.clone(),
            (_, Some("Bearer fresh")) => Reply::json(200, &json!({})),
            _ => refused("missing_token"),
        },
    )
}

fn refused(code: &str) -> Reply {
    Reply::json(401, &json!({ "error": { "code": code } }))
}

/// Starts a service that delays its response to a refresh until the test opens the gate.
fn gated() -> (Server, Gate) {
    let gate = Gate::default();
    (strict(gate.hold(fresh())), gate)
}

/// Starts a command and waits until it has sent its refresh request.
fn refreshing(home: &Home, server: &Server, args: &[&str]) -> Running {
    let mut command = home.at(server, args);
    command.env("KALLYAI_STATE_DIR", home.state());
    let running = Running::start(command.stdin(Stdio::null()));
    server.wait_for("POST", REFRESH_PATH, 1);
    running
}

/// Opens the gate and asserts that the new tokens are saved after a single refresh.
#[track_caller]
fn assert_saved(home: &Home, server: &Server, gate: &Gate) {
    gate.open();
    Run::of(&mut home.at(server, ["usage"])).exits(0);
    assert_eq!(home.tokens(), ["fresh", "next"]);
    assert_eq!(refreshes(server), 1);
}

/// Starts a service that rotates refresh tokens and revokes all tokens if an old one is reused.
fn rotating(delay: Duration) -> Server {
    let granted = Mutex::new((REFRESH.to_owned(), None, 0));
    Server::start(move |request| {
        let (refresh, access, turn) = &mut *granted.lock().unwrap();
        if request.is("POST", REFRESH_PATH) {
            if request.json()["refresh_token"] != refresh.as_str() {
                (*refresh, *access) = ("revoked".into(), None);
                return refused("invalid_refresh_token");
            }
            *turn += 1;
            *refresh = format!("refresh-{turn}");
            *access = Some(format!("Bearer access-{turn}"));
            let tokens = json!({
                "access_token": format!("access-{turn}"), "refresh_token": &*refresh,
                "expires_in": 3600,
            });
            return Reply::Late(delay, Box::new(Reply::json(200, &tokens)));
        }
        match request.header("authorization") {
            bearer if bearer.is_some() && bearer == access.as_deref() => {
                Reply::json(200, &json!({}))
            }
            _ => refused("missing_token"),
        }
    })
}

#[test]
fn concurrent_commands_refresh_once() {
    // Test an expired token, and one that is rejected although it has not expired.
    for expires_in in [-10, 3600] {
        for delay in [0, 1000] {
            let home = Home::new();
            home.sign_in(expires_in);
            let server = rotating(Duration::from_millis(delay));
            let start = |_| Running::start(home.at(&server, ["usage"]).stdin(Stdio::null()));
            // On Windows, start fewer programs: under Wine, many at once would time out.
            let count = if cfg!(windows) { 12 } else { 24 };
            let runs: Vec<Running> = (0..count).map(start).collect();
            for run in runs {
                run.end().exits(0);
            }
            assert_eq!(refreshes(&server), 1, "{delay} {expires_in}");
            assert_eq!(home.login()["access_token"], "access-1");
        }
    }
}

#[test]
fn kill_at_any_moment_leaves_old_or_new_credentials() {
    let home = Home::new();
    let server = renewing();
    home.sign_in(-10);
    let begun = Instant::now();
    home.run(&server, &["usage"]).exits(0);
    let whole = begun.elapsed();
    for turn in 0..25 {
        home.sign_in(-10);
        let mut running = Running::start(home.at(&server, ["usage"]).stdin(Stdio::null()));
        // Kill the command a little later in each iteration.
        thread::sleep(whole * turn / 25);
        running.kill();
        running.end();
        let saved = home.tokens();
        assert!(
            saved == [TOKEN, REFRESH] || saved == ["fresh", "next"],
            "{saved:?}"
        );
    }
    // Run one more command. It would time out while waiting for a lock that outlived its process.
    home.sign_in(-10);
    Run::of(home.at(&server, ["usage"]).args(["--timeout", "10"])).exits(0);
}

#[cfg(unix)]
#[test]
fn refresh_finishes_even_if_its_command_exits() {
    use rustix::process::Signal;

    parallel(
        [
            (&[Signal::INT][..], Some(130)),
            (&[Signal::INT, Signal::INT], Some(130)),
            (&[Signal::TERM], Some(143)),
            (&[Signal::HUP], None),
            (&[Signal::KILL], None),
            // Without a signal, the timeout ends the command.
            (&[], Some(3)),
        ],
        |(signals, exit)| {
            let home = Home::new();
            home.sign_in(-10);
            let (server, gate) = gated();
            let running = refreshing(&home, &server, &["usage", "--timeout", "3"]);
            signals.iter().for_each(|signal| running.signal(*signal));
            assert_eq!(running.end().exit, exit, "{signals:?}");
            assert_saved(&home, &server, &gate);
        },
    );
}

/// Returns the helper process after checking that its arguments and environment hold no tokens.
#[cfg(target_os = "linux")]
pub fn helper(running: &Running) -> rustix::process::Pid {
    let helper = *running.children().first().expect("a helper");
    for name in ["cmdline", "environ"] {
        let file = format!("/proc/{}/{name}", helper.as_raw_nonzero());
        let bytes = std::fs::read(file).expect("a process");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(TOKEN) && !text.contains(REFRESH), "{text}");
    }
    helper
}

#[cfg(target_os = "linux")]
#[test]
fn refresh_survives_signals_to_its_process_group() {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Pid, Signal, kill_process, kill_process_group};

    // The kernel sends SIGHUP to the foreground process group when the terminal closes.
    for signal in [Signal::INT, Signal::TERM, Signal::KILL, Signal::HUP] {
        let home = Home::new();
        home.sign_in(-10);
        let (server, gate) = gated();
        let mut command = home.at(&server, ["usage"]);
        let running = Running::start(command.process_group(0).stdin(Stdio::null()));
        server.wait_for("POST", REFRESH_PATH, 1);
        let helper = helper(&running);
        if [Signal::INT, Signal::TERM].contains(&signal) {
            // Signal the helper, too. When systemd stops a service, it signals each process.
            kill_process(helper, signal).expect("a signal");
        }
        let group = Pid::from_raw(running.id() as i32).expect("an ID");
        kill_process_group(group, signal).expect("a signal");
        running.end();
        assert_saved(&home, &server, &gate);
    }
}

#[test]
fn rejected_access_token_is_refreshed_once() {
    let usage = "GET /v1/users/me/statistics";
    for (token, exit) in [("fresh", 0), ("stale", 4)] {
        let home = Home::new();
        home.sign_in(3600);
        let server = strict(Reply::json(200, &json!({ "access_token": token })));
        let run = home.run(&server, &["usage", "--json"]).exits(exit);
        let sent: Vec<String> = server.requests().iter().map(|r| r.line()).collect();
        assert_eq!(sent, [usage, "POST /v1/auth/refresh", usage]);
        if exit == 4 {
            run.notes(r#""code":"missing_token""#);
            assert_eq!(run.error()["next_command"], "kallyai login --json");
        }
    }
}

#[test]
fn rejected_refresh_token_signs_the_user_out() {
    parallel([400, 401, 403], |status| {
        let home = Home::new();
        home.sign_in(-10);
        let refusal = json!({ "error": { "code": "invalid_refresh_token" } });
        let server = Server::always(Reply::json(status, &refusal));
        let mut command = home.at(&server, ["usage"]);
        let begun = Instant::now();
        for _ in 0..2 {
            Run::of(&mut command).exits(4).notes("[not_signed_in]");
            assert!(!home.token_file().exists());
        }
        // After the rejection, the command waits 1 s, because another client may save new tokens.
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn newer_saved_credentials_replace_a_rejected_token() {
    // The newer credentials are valid in one case. In the other, they have expired and are
    // refreshed too.
    parallel([(999, "newer"), (-10, "fresh")], |(expires_in, token)| {
        let home = Home::new();
        home.sign_in(-10);
        let file = home.token_file();
        let server = Server::start(move |request| {
            if !request.is("POST", REFRESH_PATH) {
                return Reply::json(200, &json!({}));
            }
            if request.json()["refresh_token"] == "newer-refresh" {
                return fresh();
            }
            let host = request.header("host").expect("a host");
            let newer = json!({
                "access_token": "newer", "refresh_token": "newer-refresh",
                "expires_at": now() + expires_in, "issuer": format!("http://{host}"),
            });
            std::fs::write(&file, newer.to_string()).expect("the file");
            refused("invalid_refresh_token")
        });
        home.run(&server, &["usage"]).exits(0);
        assert_eq!(home.tokens()[0], token);
        let last = server.requests().pop().expect("a request");
        let bearer = format!("Bearer {token}");
        assert_eq!(last.header("authorization"), Some(bearer.as_str()));
    });
}

#[test]
fn unexpected_refresh_response_keeps_the_credentials() {
    let failing = [429, 500, 503].map(|status| (Reply::new(status, "<html>"), "service_failing"));
    let other = [
        Reply::new(200, "<html>"),
        Reply::new(200, r#"{"access_token":"a b"}"#),
        Reply::new(401, "<html>"),
        Reply::new(403, r#"{"error":"Forbidden"}"#),
        Reply::new(403, r#"{"error":{"code":403}}"#),
        Reply::new(403, r#"{"error":{"message":"blocked"}}"#),
        Reply::new(404, r#"{"error":{"code":"x"}}"#),
        Reply::CutBeforeStatus,
        Reply::CutInHead,
        Reply::CutInBody,
        Reply::Reset,
        Reply::Stall,
    ];
    let other = other.map(|reply| (reply, "unreachable"));
    parallel(failing.into_iter().chain(other), |(reply, code)| {
        let home = Home::new();
        home.write_login(&json!({ "access_token": TOKEN, "refresh_token": REFRESH, "x": null }));
        let server = Server::always(reply.clone());
        let mut command = home.at(&server, ["usage", "--json"]);
        if matches!(reply, Reply::Stall) {
            command.args(["--timeout", "1"]);
        }
        let before = std::fs::read(home.token_file()).expect("the file");
        let error = Run::of(&mut command).fails(3, code);
        let has_status = matches!(reply, Reply::Whole(..));
        assert_eq!(error["http_status"].is_u64(), has_status, "{error}");
        let after = std::fs::read(home.token_file()).expect("the file");
        assert!(before == after, "{reply:?}");
        assert_eq!(refreshes(&server), 1, "{reply:?}");
    });
}

#[test]
fn command_waits_for_the_credentials_lock_until_its_timeout() {
    let home = Home::new();
    home.sign_in(-10);
    let server = renewing();
    let lock = File::create(home.path("login.json.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    // Signing out waits for the lock, too. Otherwise a running refresh could undo the sign-out.
    for name in ["usage", "logout"] {
        let begun = Instant::now();
        home.run(&server, &[name, "--timeout", "1"]).exits(3);
        assert!(begun.elapsed() < PROMPT);
        assert_eq!(home.tokens(), [TOKEN, REFRESH]);
    }
    let waiting = Running::start(home.at(&server, ["usage"]).stdin(Stdio::null()));
    home.write_login(&json!({ "access_token": "theirs", "expires_at": now() + 999 }));
    drop(lock);
    waiting.end().exits(0);
    assert_eq!(refreshes(&server), 0, "refreshed needlessly");
}
