//! Tests signing in with two commands, for computers without a browser.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

#[cfg(unix)]
use crate::support::mode;
use crate::support::{Home, Run, Running, has, state_of};

const FINISH: &str = "kallyai login --callback-url - --json";

fn step(home: &Home, args: &[&str]) -> Command {
    home.command("http://127.0.0.1:9", &[&["login", "--json"], args].concat())
}

/// Runs the first step and returns the `state` parameter of the printed URL.
fn begin(home: &Home) -> String {
    state_of(&Run::of(&mut step(home, &["--no-wait"])).exits(0).stdout)
}

fn url(query: &str) -> String {
    format!("http://localhost:8976/callback?{query}")
}

fn granted(state: &str) -> String {
    url(&format!("access_token=granted&state={state}"))
}

fn finish(home: &Home, url: &str) -> Run {
    let mut command = step(home, &["--callback-url", "-"]);
    Run::with_input(&mut command, format!("{url}\n").as_bytes())
}

fn pending(home: &Home) -> PathBuf {
    home.state().join("sign-in.json")
}

#[test]
fn login_json_without_a_terminal_starts_two_step_sign_in() {
    let home = Home::new();
    for args in [&[][..], &["--no-wait"]] {
        let run = Run::of(step(&home, args).args(["--callback-port", "9123"])).exits(0);
        let begun = run.json();
        let url = begun["sign_in_url"].as_str().expect("a URL");
        let redirect = "redirect_uri=http%3A%2F%2Flocalhost%3A9123%2Fcallback";
        let start = format!("http://127.0.0.1:9/v1/auth/cli?{redirect}&state=");
        assert!(url.starts_with(&start), "{url}");
        assert_eq!(begun["expires_in"], 600);
        assert_eq!(begun["next_command"], FINISH);
        assert_eq!(run.stderr, "");
    }
    #[cfg(unix)]
    {
        assert_eq!(mode(&pending(&home)), 0o600);
        assert_eq!(mode(&home.state()), 0o700);
    }
    let mut text = home.kallyai(["login", "--no-wait"]);
    let run = Run::of(text.env("KALLYAI_STATE_DIR", home.state())).exits(0);
    let (url, steps) = run.stdout.split_once('\n').expect("two lines");
    assert!(url.starts_with("https://api.kallyai.com/v1/auth/cli?"));
    assert!(steps.contains("  kallyai login --callback-url -\n"));
}

#[test]
fn invalid_callback_url_keeps_the_sign_in_pending() {
    let home = Home::new();
    let state = begin(&home);
    for bad in [
        "  ".to_owned(),
        "nonsense".into(),
        url(&format!("access_token=intruder&state={}", "0".repeat(64))),
        granted(&format!("{state}&state={state}")),
        url("access_token=intruder"),
        url(&format!("state={state}")),
    ] {
        let run = finish(&home, &bad).exits(4);
        let error = run.never_says("intruder").never_says(&state).error();
        assert_eq!(error["code"], "sign_in_failed", "{error}");
        assert_eq!(error["next_command"], FINISH);
    }
    let run = finish(&home, &granted(&state)).exits(0);
    assert_eq!(run.json()["signed_in"], true);
    assert_eq!(run.never_says("granted").stderr, "");
    assert!(!pending(&home).exists());
    // Each `state` can be used only once.
    let again = granted(&state).replace("granted", "intruder");
    let error = finish(&home, &again).exits(4).error();
    has(&error, json!({ "next_command": "kallyai login --json" }));
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn callback_url_is_read_from_argument_or_prompt() {
    let home = Home::new();
    let whole = granted(&begin(&home));
    let run = Run::of(&mut step(&home, &["--callback-url", &whole])).exits(0);
    run.never_says("granted");
    #[cfg(unix)]
    {
        let whole = granted(&begin(&home)).replace("granted", "from-prompt");
        let mut terminal = crate::support::Terminal::start(step(&home, &["--callback-url", "-"]));
        terminal.shows("Paste the URL");
        terminal.types(format!("{whole}\n").as_bytes());
        assert_eq!(terminal.end(), Some(0));
        assert!(!terminal.screen().contains("from-prompt"));
        assert_eq!(home.login()["access_token"], "from-prompt");
    }
}

#[test]
fn only_one_of_ten_concurrent_commands_finishes_the_sign_in() {
    let home = Home::new();
    for _ in 0..3 {
        let whole = granted(&begin(&home));
        let start = |_| {
            let mut command = step(&home, &["--callback-url", &whole]);
            Running::start(command.stdin(Stdio::null()))
        };
        let runs: Vec<Running> = (0..10).map(start).collect();
        let exits = runs.into_iter().map(|run| run.end().exit);
        assert_eq!(exits.filter(|exit| *exit == Some(0)).count(), 1);
    }
}
