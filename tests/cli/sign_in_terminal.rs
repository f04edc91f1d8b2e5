//! The sign-in in a terminal, the signals that end it, and the browsers it starts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::SpecialCodeIndex;
use serde_json::json;

use crate::support::{AT_ONCE, Home, Reply, Run, Server, SignIn, Terminal, by_shell, exchange, free_port};

/// A sign-in that waits in a terminal, and the state of the address it shows.
fn waiting(home: &Home) -> (Terminal, u16, String) {
    let port = free_port();
    let terminal = Terminal::start(home.login_command(port));
    let state = shown_state(&terminal);
    (terminal, port, state)
}

/// The state of the address that a sign-in shows once it waits.
fn shown_state(terminal: &Terminal) -> String {
    let screen = terminal.shows("Waiting for the sign-in");
    let (_, rest) = screen.split_once("state=").expect("the printed address");
    let state: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(state.len(), 64, "{screen}");
    state
}

fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(process as i32).expect("a process");
    kill_process(process, signal).expect("the signal is sent");
}

#[test]
fn an_address_of_6000_characters_is_pasted_unseen() {
    let home = Home::new();
    let probe = Terminal::start(Command::new("true"));
    let before = probe.modes();
    let (mut terminal, port, state) = waiting(&home);
    let token = "t".repeat(5900);
    let url = format!("http://localhost:{port}/callback?access_token={token}&state={state}");
    terminal.types(b"not an address\n");
    terminal.shows("Still waiting.");
    terminal.types(url.as_bytes());
    terminal.types(b"\r");
    assert_eq!(terminal.end(), Some(0));
    let screen = terminal.shows("Signed in.");
    assert!(!screen.contains("ttt") && !screen.contains("not an address"), "{screen}");
    assert_eq!(home.login()["access_token"], token.as_str());
    assert_same(&terminal, &before);
}

/// The terminal is as a new one is, and nothing typed is left for the shell.
#[track_caller]
fn assert_same(terminal: &Terminal, before: &rustix::termios::Termios) {
    assert_eq!(format!("{:?}", terminal.modes()), format!("{before:?}"));
    assert_eq!(terminal.unread(), 0);
}

#[test]
fn whatever_ends_the_wait_leaves_the_terminal_as_it_was() {
    let before = Terminal::start(Command::new("true")).modes();
    for (keys, signal, exit) in [
        (&b"\x03"[..], None, 130),
        (b"http://localhost/callback?access_token=half-a-paste\x03", None, 130),
        (b"", Some(Signal::INT), 130),
        (b"half-a-paste\nhalf-a-paste", Some(Signal::TERM), 143),
        (b"", Some(Signal::HUP), 129),
    ] {
        let home = Home::new();
        let (mut terminal, ..) = waiting(&home);
        terminal.types(keys);
        if let Some(signal) = signal {
            if !keys.is_empty() {
                // What is still on its way when the program ends is not the program's.
                terminal.shows("Still waiting.");
            }
            send(terminal.id(), signal);
        }
        assert_eq!(terminal.end(), Some(exit), "{keys:?} {signal:?}");
        let screen = terminal.shows("interrupted");
        assert!(!screen.contains("half-a-paste"), "{screen}");
        assert_same(&terminal, &before);
    }
}

#[test]
fn the_keys_that_would_end_or_stop_it_without_a_farewell_do_nothing() {
    let before = Terminal::start(Command::new("true")).modes();
    let home = Home::new();
    let (mut terminal, port, state) = waiting(&home);
    // Ctrl-\ kills and Ctrl-Z stops, and nobody would turn the echo on again. Without a shell above it nothing stops, so
    // it is the keys that are looked at.
    terminal.types(b"\x1c\x1anot an address\n");
    terminal.shows("Still waiting.");
    let keys = terminal.modes().special_codes;
    assert_ne!(keys[SpecialCodeIndex::VQUIT], before.special_codes[SpecialCodeIndex::VQUIT]);
    assert_ne!(keys[SpecialCodeIndex::VSUSP], before.special_codes[SpecialCodeIndex::VSUSP]);
    terminal
        .types(format!("http://localhost:{port}/callback?access_token=granted&state={state}\n").as_bytes());
    assert_eq!(terminal.end(), Some(0));
    assert_same(&terminal, &before);
}

#[test]
fn whoever_is_not_signed_in_is_asked_to_and_then_gets_what_was_asked_for() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    let port = free_port();
    let mut command = home.kallyai(["--usage", "--no-browser", "--callback-port", &port.to_string()]);
    command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_TOKEN_FILE", home.token_file());
    let mut terminal = Terminal::start(command);
    let state = shown_state(&terminal);
    assert!(server.requests().is_empty());
    terminal
        .types(format!("http://localhost:{port}/callback?access_token=granted&state={state}\n").as_bytes());
    assert_eq!(terminal.end(), Some(0));
    terminal.shows("Plan        pro");
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer granted"));
}

#[test]
fn a_sign_in_in_the_background_leaves_the_terminal_to_the_foreground() {
    let before = Terminal::start(Command::new("true")).modes();
    let home = Home::new();
    let port = free_port();
    // A shell that controls jobs gives each a process group of its own, and this one not the terminal.
    let mut terminal =
        Terminal::start(by_shell(&home.login_command(port), "set -m; \"$0\" \"$@\" & wait $!; exit"));
    let state = shown_state(&terminal);
    assert_same(&terminal, &before);
    let request = format!(
        "GET /callback?access_token=granted&state={state} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    );
    assert_eq!(exchange(([127, 0, 0, 1], port).into(), request.as_bytes()).status, 303);
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_signal_ends_the_wait_off_a_terminal_too() {
    for (signal, exit) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let home = Home::new();
        let sign_in = SignIn::start(&home);
        sign_in.running.signal(signal);
        let begun = Instant::now();
        let run = sign_in.running.end().exits(exit);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert!(run.stderr.contains("[interrupted]"), "{}", run.stderr);
        assert!(!home.token_file().exists());
    }
}

/// A browser that does this.
pub fn browser(home: &Home, script: &str) -> String {
    let path = home.path("browser.sh");
    std::fs::write(&path, script).expect("a script");
    format!("sh {}", path.display())
}

/// Waits until a browser has written a file to its end.
pub fn written(path: &Path) -> String {
    let late = Instant::now() + Duration::from_secs(20);
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with("done\n") => return text,
            _ => assert!(Instant::now() < late, "{} was never written", path.display()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A sign-in with this environment.
fn with(home: &Home, environment: &[(&str, &str)]) -> SignIn {
    let port = free_port();
    let mut command = home.login_command(port);
    command.env_remove("BROWSER").envs(environment.iter().copied());
    SignIn::of(command.stdin(Stdio::null()), port)
}

#[test]
fn a_named_browser_is_started_under_ssh_and_without_a_display() {
    let home = Home::new();
    let file = home.path("opened");
    let script = browser(&home, "{ printf '%s\\n' \"$@\"; env; echo done; } > \"$HOME/opened\"");
    let sign_in =
        with(&home, &[("BROWSER", &format!("{script} before %s after")), ("SSH_CONNECTION", "1 2 3 4")]);
    let opened = written(&file);
    let words: Vec<&str> = opened.lines().take(3).collect();
    assert!(words[0] == "before" && words[2] == "after" && words[1].ends_with(&sign_in.state), "{opened}");
    let said = sign_in.running.says("Waiting for the sign-in");
    assert!(said.contains(words[1]) && !said.contains("ssh -L"), "{said}");
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
}

#[test]
fn a_browser_that_hangs_and_makes_noise_is_neither_waited_for_nor_heard() {
    let home = Home::new();
    let script = browser(
        &home,
        "yes NOISE | head -c 200000; yes NOISE | head -c 200000 >&2; cat\n\
         { echo $$; echo done; } > \"$HOME/opened\"; exec sleep 60",
    );
    let sign_in = with(&home, &[("BROWSER", &script)]);
    let opened = written(&home.path("opened"));
    sign_in.complete("granted");
    let run = sign_in.running.end().exits(0);
    run.never_says("NOISE");
    send(opened.lines().next().unwrap().parse().expect("its number"), Signal::KILL);
}

#[test]
fn where_the_browser_is_absent_the_way_without_one_is_shown() {
    let home = Home::new();
    let missing = home.path("no-such-browser").display().to_string();
    for environment in [&[("BROWSER", missing.as_str())][..], &[("DISPLAY", ":7"), ("PATH", "/nowhere")]] {
        let sign_in = with(&home, environment);
        let said = sign_in.running.says("Waiting for the sign-in");
        assert!(said.contains("ssh -L"), "{said}");
        sign_in.complete("granted");
        sign_in.running.end().exits(0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_systems_browser_needs_a_display_and_nobody_far_away() {
    let home = Home::new();
    let opener = home.path("xdg-open");
    // Written by another process: one that is being written by this one may not be run yet.
    let script =
        "printf '#!/bin/sh\\n{ echo \"$1\"; echo done; } > \"$HOME/opened\"\\n' > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", script]).arg(&opener).status().expect("a shell").success());
    let path = opener.parent().expect("a folder").display().to_string();
    for (environment, opens) in [
        (&[("DISPLAY", ":7")][..], true),
        (&[("WAYLAND_DISPLAY", "wayland-0")], true),
        (&[("WSL_DISTRO_NAME", "Debian")], true),
        (&[], false),
        (&[("DISPLAY", ":7"), ("SSH_CONNECTION", "1 2 3 4")], false),
        (&[("DISPLAY", ":7"), ("SSH_TTY", "/dev/pts/1")], false),
        (&[("DISPLAY", ":7"), ("BROWSER", "none")], false),
    ] {
        let _ = std::fs::remove_file(home.path("opened"));
        let environment = [environment, &[("PATH", path.as_str())]].concat();
        let sign_in = with(&home, &environment);
        let said = sign_in.running.says("Waiting for the sign-in");
        assert_eq!(!opens, said.contains("ssh -L"), "{environment:?} {said}");
        if opens {
            assert!(written(&home.path("opened")).contains(&sign_in.state));
        }
        sign_in.complete("granted");
        sign_in.running.end().exits(0);
        assert_eq!(opens, home.path("opened").exists(), "{environment:?}");
    }
}

#[test]
fn a_browser_does_not_inherit_the_given_token() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "url": "https://billing.example/portal" })));
    let script = browser(&home, "{ echo \"$1\"; env; echo done; } > \"$HOME/opened\"");
    let mut command = home.kallyai(["--billing"]);
    command
        .env("KALLYAI_API_URL", server.url())
        .env("KALLYAI_ACCESS_TOKEN", "secret-given")
        .env("BROWSER", script);
    Run::of(&mut command).exits(0).never_says("secret-given");
    let opened = written(&home.path("opened"));
    assert!(opened.starts_with("https://billing.example/portal\n") && opened.contains("HOME="), "{opened}");
    assert!(!opened.contains("secret-given"), "{opened}");
}
