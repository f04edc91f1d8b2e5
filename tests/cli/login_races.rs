//! The login shared by many processes at once, some of which are killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Home, REFRESH, Reply, Run, Running, Server, SignIn, TOKEN, connect, free_port};

/// Where logins are renewed.
pub const REFRESH_PATH: &str = "/v1/auth/refresh";

/// A service that rotates refresh tokens, and ends the login when one is used twice.
pub fn rotating(delay: Duration) -> Server {
    struct Grants {
        refresh: String,
        access: Option<String>,
        turn: u32,
    }
    let grants = Mutex::new(Grants { refresh: REFRESH.into(), access: None, turn: 0 });
    let refused = || Reply::json(401, &json!({ "error": { "code": "missing_token" } }));
    Server::start(move |request| {
        let mut grants = grants.lock().unwrap();
        if request.is("POST", REFRESH_PATH) {
            if request.json()["refresh_token"] != grants.refresh.as_str() {
                *grants = Grants { refresh: "none is good any more".into(), access: None, turn: 0 };
                return refused();
            }
            grants.turn += 1;
            grants.refresh = format!("refresh-{}", grants.turn);
            grants.access = Some(format!("access-{}", grants.turn));
            let renewed =
                json!({ "access_token": grants.access, "refresh_token": grants.refresh, "expires_in": 3600 });
            return Reply::Late(delay, Box::new(Reply::json(200, &renewed)));
        }
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some() && bearer == grants.access.as_deref() {
            Reply::json(200, &json!({}))
        } else {
            refused()
        }
    })
}

/// A service that renews whatever comes, always to the same.
pub fn renewing() -> Server {
    let renewed = json!({ "access_token": "fresh", "refresh_token": "next", "expires_in": 3600 });
    Server::start(move |request| match request.is("POST", REFRESH_PATH) {
        true => Reply::json(200, &renewed),
        false => Reply::json(200, &json!({})),
    })
}

pub fn lock_file(home: &Home) -> PathBuf {
    home.path("login.json.lock")
}

/// The names of what lies in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|e| e.expect("an entry").file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn refreshes(server: &Server) -> usize {
    server.count("POST", REFRESH_PATH)
}

#[test]
fn many_commands_at_once_renew_a_login_once() {
    for (delay, kind) in [(0, -10), (2000, -10), (0, 3600), (2000, 3600)] {
        let home = Home::new();
        // Expired, or rejected though it has not.
        home.sign_in(kind);
        let server = rotating(Duration::from_millis(delay));
        let runs: Vec<Running> =
            (0..64).map(|_| Running::start(home.at(&server, ["--usage"]).stdin(Stdio::null()))).collect();
        for run in runs {
            run.end().exits(0);
        }
        assert_eq!(refreshes(&server), 1, "delay {delay}, expires in {kind}");
        assert_eq!(home.login()["access_token"], "access-1");
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_login_or_the_new_and_no_lock() {
    let home = Home::new();
    let server = renewing();
    home.sign_in(-10);
    let begun = Instant::now();
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    let whole = begun.elapsed();
    for turn in 0..60 {
        home.sign_in(-10);
        let mut running = Running::start(home.at(&server, ["--usage"]).stdin(Stdio::null()));
        // Each at another moment of what such a run takes.
        thread::sleep(whole * turn / 60);
        running.kill();
        running.end();
        let login = home.login();
        let pair = (login["access_token"].as_str().unwrap(), login["refresh_token"].as_str().unwrap());
        assert!(pair == (TOKEN, REFRESH) || pair == ("fresh", "next"), "{login}");
    }
    home.sign_in(-10);
    let begun = Instant::now();
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "the lock was stuck for {:?}", begun.elapsed());
    assert_eq!(home.login()["access_token"], "fresh");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_run_had_half_written_is_gone_after_the_next() {
    // Or after the sign-out, with a token that was in it.
    for (next, left) in [("--usage", &["login.json", "login.json.lock"][..]), ("--logout", &[])] {
        let home = Home::new();
        home.sign_in(-10);
        let server = Server::always(Reply::Stall);
        let mut running = Running::start(home.at(&server, ["--usage"]).stdin(Stdio::null()));
        server.wait_for("POST", REFRESH_PATH, 1);
        running.kill_with_helper();
        running.end();
        Run::of(&mut home.at(&renewing(), [next])).exits(0);
        assert_eq!(names(&home.path("")), left);
    }
}

#[test]
fn a_lock_that_a_living_process_holds_is_waited_for_but_not_for_ever() {
    let home = Home::new();
    home.sign_in(-10);
    let server = renewing();
    let lock = File::create(lock_file(&home)).expect("a lock");
    lock.lock().expect("the lock");
    let begun = Instant::now();
    let run = Run::of(&mut home.at(&server, ["--usage", "--timeout", "1", "--json"])).exits(3);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(run.error()["code"], "unreachable");
    assert!(server.requests().is_empty(), "no renewal without the lock");
    let waiting = Running::start(home.at(&server, ["--usage", "--debug"]).stdin(Stdio::null()));
    // What another process renewed in the meantime is used.
    home.write_login(
        &json!({ "access_token": "theirs", "refresh_token": "x", "expires_at": 4_000_000_000_i64 }),
    );
    drop(lock);
    waiting.end().exits(0);
    assert_eq!(refreshes(&server), 0);
}

#[test]
fn no_secret_is_in_what_debug_shows() {
    let home = Home::new();
    home.sign_in(-10);
    let server = rotating(Duration::ZERO);
    let run = Run::of(&mut home.at(&server, ["--usage", "--debug"])).exits(0);
    assert!(run.stderr.contains("/v1/auth/refresh"), "{}", run.stderr);
    run.never_says(TOKEN).never_says(REFRESH).never_says("access-1").never_says("refresh-1");
    let port = free_port();
    let sign_in = SignIn::of(home.login_command(port).arg("--debug").stdin(Stdio::null()), port);
    let silent = connect(sign_in.four());
    sign_in.complete("granted");
    drop(silent);
    let run = sign_in.running.end().exits(0);
    run.never_says("granted").never_says("callback?");
    assert_eq!(run.stderr.matches("state=").count(), 1, "{}", run.stderr);
}

#[test]
fn a_renewal_that_nobody_answers_or_that_is_cut_in_its_head_leaves_the_file_as_it_is() {
    for reply in [Reply::Stall, Reply::CutInHead] {
        let home = Home::new();
        home.sign_in(-10);
        let server = Server::always(reply);
        let mut command = home.at(&server, ["--usage", "--timeout", "1"]);
        let before = std::fs::read(home.token_file()).expect("the file");
        Run::of(&mut command).exits(3);
        assert_eq!(std::fs::read(home.token_file()).expect("the file"), before);
        assert_eq!(refreshes(&server), 1);
    }
}

#[test]
fn a_sign_out_does_not_pretend_while_a_renewal_would_bring_the_login_back() {
    let home = Home::new();
    home.sign_in(3600);
    let lock = File::create(lock_file(&home)).expect("a lock");
    lock.lock().expect("the lock");
    let logout = || {
        let mut command = home.kallyai(["--logout", "--timeout", "1"]);
        Run::of(command.env("KALLYAI_TOKEN_FILE", home.token_file()))
    };
    logout().exits(3);
    assert_eq!(home.login()["access_token"], TOKEN);
    drop(lock);
    logout().exits(0);
    assert_eq!(names(&home.path("")), [""; 0]);
}
