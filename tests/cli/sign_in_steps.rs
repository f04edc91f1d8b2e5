//! The ways around the sign-in: its browser, the pasted address, the two steps, the ends that are none.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Home, Run, Running, SignIn, free_port, now};

/// The redirect's address with this query.
fn address(port: u16, query: &str) -> String {
    format!("http://localhost:{port}/callback?{query}")
}

#[test]
fn nobody_signing_in_in_time_ends_it() {
    let home = Home::new();
    let begun = Instant::now();
    let mut command = home.login_command(free_port());
    let run = Run::of(command.args(["--timeout", "1", "--json"])).exits(4);
    assert_eq!(run.error()["code"], "sign_in_failed");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn the_end_of_stdin_ends_nothing_and_a_pasted_address_of_another_sign_in_neither() {
    let home = Home::new();
    let port = free_port();
    let mut sign_in = SignIn::of(home.login_command(port).stdin(Stdio::piped()), port);
    let mut stdin = sign_in.running.stdin();
    let foreign = address(port, &format!("access_token=intruder&state={}", "0".repeat(64)));
    let elsewhere = address(port, &sign_in.grant("intruder")).replace("localhost", "evil.example");
    let bytes =
        [b"\xff\0\x1b[31m\n\n\r\n".as_slice(), foreign.as_bytes(), b"\n", elsewhere.as_bytes()].concat();
    stdin.write_all(&bytes).expect("the lines are taken");
    drop(stdin);
    sign_in.running.says("Still waiting.");
    assert_eq!(sign_in.complete("granted").status, 200);
    let run = sign_in.running.end().exits(0);
    run.never_says("intruder").never_says("\u{1b}");
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn an_address_of_6000_characters_comes_through_a_pipe() {
    let home = Home::new();
    let port = free_port();
    let mut sign_in = SignIn::of(home.login_command(port).stdin(Stdio::piped()), port);
    let token = "t".repeat(5800);
    let line = address(port, &sign_in.grant(&token));
    assert!(line.len() > 6000 - 100);
    // The last line needs no end.
    let mut stdin = sign_in.running.stdin();
    stdin.write_all(line.as_bytes()).expect("the line is taken");
    drop(stdin);
    sign_in.running.end().exits(0).never_says("ttt");
    assert_eq!(home.login()["access_token"], token.as_str());
}

#[test]
fn a_flood_on_stdin_neither_keeps_the_callback_out_nor_floods_stderr() {
    let home = Home::new();
    let port = free_port();
    let mut sign_in = SignIn::of(home.login_command(port).stdin(Stdio::piped()), port);
    let mut stdin = sign_in.running.stdin();
    // Until nobody reads it any more.
    std::thread::spawn(move || stdin.write_all(&b"y\n".repeat(5_000_000)));
    sign_in.running.says("Still waiting.");
    assert_eq!(sign_in.complete("granted").status, 200);
    let run = sign_in.running.end().exits(0);
    assert!(run.stderr.len() < 20_000, "{} bytes", run.stderr.len());
}

#[test]
fn without_a_browser_the_way_from_another_computer_is_shown() {
    let home = Home::new();
    let silenced = |key: &str, value: &str, flag: Option<&str>| {
        let port = free_port();
        let mut command = home.login_command(port);
        command.env("DISPLAY", ":7").env("BROWSER", format!("touch {}", home.path("opened").display()));
        command.env(key, value).args(flag);
        let mut sign_in = SignIn::of(command.stdin(Stdio::null()), port);
        let said = sign_in.running.says("Waiting for the sign-in");
        assert!(said.contains(&format!("ssh -L {port}:localhost:{port}")), "{key}={value}: {said}");
        sign_in.running.kill();
        sign_in.running.end();
        assert!(!home.path("opened").exists());
    };
    silenced("BROWSER", "none", None);
    silenced("X", "", Some("--no-browser"));
    silenced("X", "", Some("--no-input"));
}

/// Starts the first step, and returns the address it prints and that address's state.
fn begun(home: &Home, command: &mut Command) -> (String, String) {
    command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
    let run = Run::of(command).exits(0);
    let url = run.stdout.trim_end().to_owned();
    assert_eq!(run.stdout, format!("{url}\n"));
    assert!(run.stderr.contains("kallyai --login --callback-url -"), "{}", run.stderr);
    let (_, state) = url.split_once("state=").expect("a state");
    (url.clone(), state.to_owned())
}

fn finishing(home: &Home, argument: &str) -> Command {
    let mut command = home.kallyai(["--login", "--json", "--callback-url", argument]);
    command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
    command
}

/// Where a begun sign-in is kept.
fn pending(home: &Home) -> std::path::PathBuf {
    home.path("state/sign-in.json")
}

#[test]
fn two_steps_sign_in_once() {
    let home = Home::new();
    let state_folder = home.path("state");
    let mut first = home.kallyai(["--login", "--no-wait", "--callback-port", "9123"]);
    let (url, state) = begun(&home, first.env("KALLYAI_STATE_DIR", &state_folder));
    assert!(url.starts_with(
        "http://127.0.0.1:9/v1/auth/cli?redirect_uri=http%3A%2F%2Flocalhost%3A9123%2Fcallback&"
    ));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(pending(&home)), mode(state_folder.clone())), (0o600, 0o700));
    }
    let finish = |query: &str| {
        let mut command = finishing(&home, "-");
        Run::with_input(
            command.env("KALLYAI_STATE_DIR", &state_folder),
            format!("  {}\n", address(9123, query)).as_bytes(),
        )
    };
    for wrong in [
        format!("access_token=intruder&state={}", "0".repeat(64)),
        format!("access_token=intruder&state={state}&state={state}"),
        "access_token=intruder".into(),
        format!("state={state}"),
    ] {
        let run = finish(&wrong).exits(4);
        assert_eq!(run.error()["code"], "sign_in_failed");
        run.never_says("intruder").never_says(&state);
    }
    assert!(pending(&home).exists(), "what is wrong consumes nothing");
    let run = finish(&format!("access_token=granted&state={state}")).exits(0);
    assert_eq!((run.json(), run.stderr.as_str()), (json!({ "signed_in": true }), ""));
    assert_eq!(home.login()["access_token"], "granted");
    assert!(!pending(&home).exists());
    finish(&format!("access_token=intruder&state={state}")).exits(4);
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn the_second_step_takes_the_address_as_an_argument_too() {
    let home = Home::new();
    let mut first = home.kallyai(["--login", "--no-wait"]);
    let (_, state) = begun(&home, first.env("KALLYAI_STATE_DIR", home.path("state")));
    let url = address(8976, &format!("access_token=granted&state={state}"));
    let run = Run::of(finishing(&home, &url).env("KALLYAI_STATE_DIR", home.path("state"))).exits(0);
    run.never_says("granted").never_says(&state);
}

#[test]
fn of_many_second_steps_at_once_one_succeeds() {
    let home = Home::new();
    for _ in 0..5 {
        let mut first = home.kallyai(["--login", "--no-wait"]);
        let (_, state) = begun(&home, first.env("KALLYAI_STATE_DIR", home.path("state")));
        let url = address(8976, &format!("access_token=granted&state={state}"));
        let runs: Vec<Running> = (0..12)
            .map(|_| {
                let mut command = finishing(&home, &url);
                Running::start(command.env("KALLYAI_STATE_DIR", home.path("state")).stdin(Stdio::null()))
            })
            .collect();
        let exits: Vec<_> = runs.into_iter().map(|run| run.end().exit).collect();
        let good = exits.iter().filter(|exit| **exit == Some(0)).count();
        assert_eq!(good, 1, "{exits:?}");
    }
}

#[test]
fn a_begun_sign_in_lasts_ten_minutes() {
    let home = Home::new();
    for (age, exit) in [(590, 0), (601, 4), (-60, 4)] {
        let mut first = home.kallyai(["--login", "--no-wait"]);
        let (_, state) = begun(&home, first.env("KALLYAI_STATE_DIR", home.path("state")));
        let text = std::fs::read(pending(&home)).expect("the pending sign-in");
        let mut kept: Value = serde_json::from_slice(&text).expect("JSON");
        kept["at"] = json!(now() - age);
        std::fs::write(pending(&home), kept.to_string()).expect("written");
        let url = address(8976, &format!("access_token=granted&state={state}"));
        Run::of(finishing(&home, &url).env("KALLYAI_STATE_DIR", home.path("state"))).exits(exit);
    }
    for text in ["", "{}", "[]", "{\"state\":\"\",\"at\":0}", "{\"state\":7}"] {
        std::fs::write(pending(&home), text).expect("written");
        let url = address(8976, "access_token=intruder&state=");
        Run::of(finishing(&home, &url).env("KALLYAI_STATE_DIR", home.path("state"))).exits(4);
    }
}

#[test]
fn programs_get_objects() {
    let home = Home::new();
    let mut command = home.kallyai(["--login", "--no-wait", "--json"]);
    command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
    let run = Run::of(&mut command).exits(0);
    let object = run.json();
    assert!(object["sign_in_url"].as_str().unwrap().contains("&state="), "{object}");
    assert_eq!(
        (&object["expires_in"], &object["next_command"]),
        (&json!(600), &json!("kallyai --login --callback-url - --json"))
    );
    assert_eq!(run.stderr, "");
    let port = free_port();
    let sign_in = SignIn::of(home.login_command(port).arg("--json").stdin(Stdio::null()), port);
    sign_in.complete("granted");
    assert_eq!(sign_in.running.end().exits(0).json(), json!({ "signed_in": true }));
}

#[test]
fn a_sign_in_that_cannot_be_begun_saved_or_finished_is_said() {
    let home = Home::new();
    std::fs::write(home.path("file"), "").expect("a file");
    let mut command = home.kallyai(["--login", "--no-wait", "--json"]);
    let run = Run::of(command.env("KALLYAI_STATE_DIR", home.path("file/below"))).exits(4);
    assert!(run.error()["message"].as_str().unwrap().contains("cannot be kept in"), "{}", run.stderr);
    run.never_says("state=");
    let mut first = home.kallyai(["--login", "--no-wait"]);
    let (_, state) = begun(&home, first.env("KALLYAI_STATE_DIR", home.path("state")));
    let url = address(8976, &format!("access_token=granted&state={state}"));
    let mut command = finishing(&home, &url);
    command.env("KALLYAI_STATE_DIR", home.path("state")).env("KALLYAI_TOKEN_FILE", home.path("file/below"));
    assert_eq!(Run::of(&mut command).exits(4).error()["code"], "token_file");
    let run = Run::with_input(&mut finishing(&home, "-"), b" \n").exits(4);
    assert_eq!(run.error()["message"], "no address came on stdin");
}

#[test]
fn a_given_token_would_hide_the_new_login() {
    let home = Home::new();
    for flags in
        [&["--login"][..], &["--login", "--no-wait"], &["--login", "--callback-url", "http://localhost/"]]
    {
        let mut command = home.kallyai(flags);
        let run = Run::of(command.arg("--json").env("KALLYAI_ACCESS_TOKEN", "secret-given")).exits(4);
        assert!(run.error()["message"].as_str().unwrap().contains("KALLYAI_ACCESS_TOKEN"));
        run.never_says("secret-given").never_says("state=");
    }
}
