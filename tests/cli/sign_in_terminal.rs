//! Tests how sign-in opens a browser and reads a URL that is pasted into the terminal.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{
    Home, Reply, Server, SignIn, Terminal, browser, free_port, state_of, written,
};

fn start_login(home: &Home, environment: &[(&str, &str)], flag: Option<&str>) -> SignIn {
    let port = free_port();
    let mut command = home.login_command(port);
    command.env_remove("BROWSER").args(flag);
    SignIn::of(command.envs(environment.iter().copied()), port)
}

#[test]
fn browser_gets_the_url_but_no_token() {
    let home = Home::new();
    // The fake browser would hang if its output went to a pipe that the program never reads.
    let dump = "yes NOISE | head -c 200000; yes NOISE | head -c 200000 >&2; cat\n\
                { printf '%s\\n' \"$@\"; env; echo done; } > \"$HOME/opened\"";
    let script = browser(&home, dump);
    // If the user sets `BROWSER`, that browser opens even in an SSH session.
    let words = format!("{script} before %s after");
    let environment = [("BROWSER", words.as_str()), ("SSH_CONNECTION", "1 2 3 4")];
    let sign_in = start_login(&home, &environment, None);
    let opened = written(&home.path("opened"));
    let words: Vec<&str> = opened.lines().take(3).collect();
    assert!(words[0] == "before" && words[2] == "after", "{opened}");
    assert!(words[1].ends_with(&sign_in.state), "{opened}");
    let printed = sign_in.running.says("Waiting for you to sign in");
    assert!(printed.contains(words[1]), "{printed}");
    sign_in.succeed("granted").never_says("NOISE");

    std::fs::remove_file(home.path("opened")).expect("the file");
    let portal = json!({ "url": "https://billing.example/portal" });
    let server = Server::always(Reply::json(200, &portal));
    let mut command = home.command(server.url(), &["billing"]);
    command
        .env("KALLYAI_ACCESS_TOKEN", "secret-given")
        .env("BROWSER", script);
    assert_eq!(Terminal::start(command).end(), Some(0));
    let opened = written(&home.path("opened"));
    assert!(opened.starts_with("https://billing.example/portal\n"));
    assert!(!opened.contains("secret-given"), "{opened}");
}

#[cfg(target_os = "linux")]
#[test]
fn browser_opens_only_on_a_local_display() {
    let home = Home::new();
    // Let a shell write the script. If this process wrote it, a child of a concurrent test could
    // inherit the descriptor, and Linux does not execute a file that is open for writing.
    let script = "printf '#!/bin/sh\\n{ echo \"$1\"; echo done; } > \"$HOME/opened\"\\n' > \"$0\" \
                  && chmod 755 \"$0\"";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script]).arg(home.path("xdg-open"));
    assert!(shell.status().expect("a shell").success());
    let folder = home.path("").display().to_string();
    let display = ("DISPLAY", ":7");
    for (variables, flag, opens) in [
        (&[display][..], None, true),
        (&[("WAYLAND_DISPLAY", "wayland-0")], None, true),
        (&[], None, false),
        (&[display, ("SSH_CONNECTION", "1 2 3 4")], None, false),
        (&[display, ("BROWSER", "none")], None, false),
        (&[display, ("BROWSER", "/no/browser")], None, false),
        (&[display], Some("--no-browser"), false),
        (&[display], Some("--no-input"), false),
    ] {
        let _ = std::fs::remove_file(home.path("opened"));
        let sign_in = start_login(&home, &[variables, &[("PATH", &folder)]].concat(), flag);
        if opens {
            assert!(written(&home.path("opened")).contains(&sign_in.state));
        } else {
            // If no browser opens, the instructions explain how to forward the port with SSH.
            let forward = format!("ssh -L {0}:localhost:{0}", sign_in.port);
            sign_in.running.says(&forward);
        }
        sign_in.succeed("granted");
        assert_eq!(
            opens,
            home.path("opened").exists(),
            "{variables:?} {flag:?}"
        );
    }
}

/// Starts a sign-in on a terminal. Returns the terminal, the callback port and the OAuth `state`.
fn on_terminal(home: &Home) -> (Terminal, u16, String) {
    let port = free_port();
    let terminal = Terminal::start(home.login_command(port));
    let state = state_of(&terminal.shows("it will not be shown"));
    (terminal, port, state)
}

/// Asserts that the terminal's modes are restored and no typed input is left for the shell.
#[track_caller]
fn assert_restored(terminal: &Terminal) {
    let [modes, new] = [terminal, &Terminal::start(Command::new("true"))]
        .map(|terminal| format!("{:?}", terminal.modes()));
    assert_eq!(modes, new);
    assert_eq!(terminal.unread(), 0);
}

#[test]
fn pasted_url_of_any_length_signs_in_and_is_not_echoed() {
    let home = Home::new();
    let (mut terminal, port, state) = on_terminal(&home);
    let token = "t".repeat(5900);
    terminal.types(b"not a URL\n");
    terminal.shows("That's not the right URL");
    let foreign = "0".repeat(64);
    for (token, state, end) in [("intruder", &foreign, "\n"), (&token, &state, "\r")] {
        let query = format!("access_token={token}&state={state}");
        terminal.types(format!("\"localhost:{port}/callback?{query}\"{end}").as_bytes());
    }
    assert_eq!(terminal.end(), Some(0));
    let screen = terminal.shows("Signed in");
    assert!(!screen.contains("ttt"), "{screen}");
    assert_eq!(home.login()["access_token"], token);
    assert_restored(&terminal);
}

#[test]
fn interrupted_sign_in_restores_the_terminal() {
    for (keys, signal, exit) in [
        (&b"\x03"[..], None, 130),
        (b"http://localhost/?token=half-a-paste\x03", None, 130),
        (b"half-a-paste\nhalf-a-paste", Some(Signal::TERM), 143),
    ] {
        let home = Home::new();
        let (mut terminal, ..) = on_terminal(&home);
        terminal.types(keys);
        if let Some(signal) = signal {
            terminal.shows("That's not the right URL");
            let process = Pid::from_raw(terminal.id() as i32).expect("an ID");
            kill_process(process, signal).expect("a signal");
        }
        assert_eq!(terminal.end(), Some(exit), "{keys:?}");
        let screen = terminal.shows("sign-in was canceled [interrupted]");
        assert!(!screen.contains("half-a-paste"), "{screen}");
        assert_restored(&terminal);
        assert!(!home.token_file().exists());
    }
}

#[test]
fn command_without_credentials_signs_in_first_on_a_terminal() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    let port = free_port();
    let args = ["usage", "--callback-port", &port.to_string()];
    let mut terminal = Terminal::start(home.command(server.url(), &args));
    let state = state_of(&terminal.shows("it will not be shown"));
    assert!(server.requests().is_empty());
    terminal.types(format!("?access_token=granted&state={state}\n").as_bytes());
    assert_eq!(terminal.end(), Some(0));
    terminal.shows("pro");
    let request = server.requests().pop().expect("a request");
    assert_eq!(request.header("authorization"), Some("Bearer granted"));
}
