//! Where the system gives little: one process, few descriptors, certificates that never come.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::login_races::{names, refreshes, renewing};
use crate::support::{Home, REFRESH, Run, SignIn, TOKEN, at_once, by_shell, connect, free_port, now};

/// A user who may have one process, and has no other.
fn alone(command: &Command, user: u32) -> Command {
    let mut limited = Command::new("bash");
    limited
        .args(["-c", r#"ulimit -u 1 && exec "$0" "$@""#])
        .arg(command.get_program())
        .args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.uid(user).gid(user);
    limited
}

fn hand_over(home: &Home, user: u32) {
    let folder = home.path("");
    for path in names(&folder).iter().map(|name| folder.join(name)).chain([folder.clone()]) {
        std::os::unix::fs::chown(path, Some(user), Some(user)).expect("a new owner");
    }
}

#[test]
fn a_login_is_renewed_where_no_process_and_no_thread_can_be_started() {
    // The limit counts for nobody else's tests.
    const USER: u32 = 54_401;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    let server = renewing();
    let command = home.at(&server, ["--usage", "--json"]);
    home.sign_in(-10);
    hand_over(&home, USER);
    let run = Run::of(&mut alone(&command, USER)).exits(0);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert_eq!(home.login()["access_token"], "fresh");
    assert_eq!(refreshes(&server), 1);
}

#[test]
fn a_sign_in_works_where_no_thread_can_be_started() {
    const USER: u32 = 54_402;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    hand_over(&home, USER);
    let port = free_port();
    let sign_in = SignIn::of(alone(&home.login_command(port), USER).stdin(Stdio::null()), port);
    let socket = std::net::TcpStream::connect(sign_in.four()).expect("it listens");
    drop(socket);
    // Root's programs are let in, too.
    sign_in.complete("granted");
    let run = sign_in.running.end().exits(0);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn an_unknown_name_is_said_where_no_thread_can_be_started() {
    const USER: u32 = 54_403;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    let command = home.at_url("https://no-such-host.invalid", ["--usage", "--json", "--timeout", "3"]);
    hand_over(&home, USER);
    let run = Run::of(&mut alone(&command, USER)).exits(3);
    assert!(run.error()["message"].as_str().expect("a message").contains("resolved"), "{}", run.stderr);
}

#[test]
fn a_crowd_that_takes_every_descriptor_does_not_lose_the_login() {
    at_once([24, 32, 48], |limit| {
        let home = Home::new();
        let port = free_port();
        let command = by_shell(&home.login_command(port), &format!("ulimit -n {limit}"));
        let sign_in = SignIn::of({ command }.stdin(Stdio::null()), port);
        let _crowd: Vec<_> = (0..100).map(|_| connect(sign_in.four())).collect();
        let begun = Instant::now();
        let redirect = sign_in.get(&format!("/callback?{}", sign_in.grant("granted")));
        assert_eq!((redirect.status, redirect.header("location")), (303, Some("/signed-in")), "{limit}");
        assert!(begun.elapsed() < Duration::from_secs(12), "{limit}: {:?}", begun.elapsed());
        sign_in.running.end().exits(0);
        assert_eq!(home.login()["access_token"], "granted");
    });
}

/// A command that speaks to the service itself, signed in.
fn production(home: &Home, expires_in: i64) -> Command {
    let login = json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": now() + expires_in });
    std::fs::write(home.path(".kallyai_token.json"), login.to_string()).expect("a login");
    home.kallyai(["--usage", "--json"])
}

#[test]
fn certificates_that_would_never_come_are_refused_at_once() {
    let home = Home::new();
    let fifo = home.path("certificates");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    for expires_in in [3600, -10] {
        let begun = Instant::now();
        let mut command = production(&home, expires_in);
        let error = Run::of(command.env("SSL_CERT_FILE", &fifo)).exits(2).error();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(error["message"].as_str().expect("a message").contains("not a regular file"), "{error}");
    }
}

#[test]
fn a_proxy_that_is_no_address_is_named_and_never_shown() {
    let home = Home::new();
    for (name, value) in [
        ("HTTPS_PROXY", "http://user:hunter2@"),
        ("https_proxy", "user:hunter2@proxy:port"),
        ("ALL_PROXY", "hunter2 hunter2"),
        ("HTTP_PROXY", "//hunter2"),
        ("ALL_PROXY", "socks5://user:hunter2@127.0.0.1:1"),
        ("HTTPS_PROXY", "ftp://hunter2"),
    ] {
        for expires_in in [3600, -10] {
            let mut command = production(&home, expires_in);
            let run = Run::of(command.env(name, value)).exits(2);
            let error = run.never_says("hunter2").error();
            assert_eq!(error["code"], "invalid_input");
            assert!(error["message"].as_str().expect("a message").starts_with(name), "{error}");
        }
    }
    // On this computer no proxy is used.
    let server = renewing();
    let mut command = home.at(&server, ["--usage"]);
    Run::of(command.env("HTTPS_PROXY", "http://").env("HTTP_PROXY", "http://")).exits(0);
}

#[test]
fn no_core_file_holds_the_login_and_the_browser_may_write_its_own() {
    let home = Home::new();
    let browser = home.path("browser.sh");
    std::fs::write(&browser, "{ ulimit -c; echo done; } > \"$HOME/opened\"").expect("a script");
    let port = free_port();
    let mut command = by_shell(&home.login_command(port), "ulimit -S -c unlimited");
    command.env("BROWSER", format!("sh {}", browser.display()));
    let hard = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let is_unlimited = hard
        .lines()
        .any(|line| line.starts_with("Max core file size") && line.matches("unlimited").count() >= 1);
    if !is_unlimited {
        return;
    }
    let sign_in = SignIn::of(command.stdin(Stdio::null()), port);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sign_in.running.id())).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
    assert_eq!(crate::sign_in_terminal::written(&home.path("opened")), "unlimited\ndone\n");
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
}
