//! Wrong input is refused before anything is sent.

use serde_json::json;

use crate::support::{CALL, Home, Reply, Run, Server};
use crate::wire::words;

/// Asserts that a line is refused with this code in both forms of output.
#[track_caller]
fn refused(line: &[&str], code: &str) {
    let home = Home::new();
    let server = Server::always(Reply::new(500, ""));
    let run = Run::of(home.at(&server, line).arg("--json")).exits(2);
    let error = run.error();
    assert_eq!(
        (&error["code"], &error["retry_safe"]),
        (&json!(code), &json!(true)),
        "{line:?}"
    );
    assert!(
        error["hint"].as_str().is_some_and(|hint| hint.len() > 8),
        "{line:?}: {error}"
    );
    assert_eq!(
        (run.stdout.as_str(), run.stderr.lines().count()),
        ("", 1),
        "{line:?}"
    );
    let text = Run::of(&mut home.at(&server, line)).exits(2);
    assert!(
        text.stderr.contains(&format!("[{code}]\nhint: ")),
        "{}",
        text.stderr
    );
    assert!(server.requests().is_empty());
}

#[test]
fn values_outside_the_apis_limits_are_refused() {
    for field in r#"
        --party-size 0|--party-size 51|--party-size four|--date 2026-02-30|--date 28.01.2027
        |--date "next friday"|--time 24:00|--time 8|--timezone Mars/Olympus|--user-phone 12
        |--idempotency-key "a b"|--idempotency-key last-1|--instruction " "|--name ""
    "#
    .split('|')
    {
        let line = [&CALL[..], &words(field)].concat();
        let home = Home::new();
        let error = Run::of(home.kallyai(&line).arg("--json")).exits(2).error();
        let flag = words(field)[0];
        assert!(
            error["message"].to_string().contains(flag),
            "{field}: {error}"
        );
    }
    refused(
        &["call", "+15551234567", "Ask", "--date", "2026-02-30"],
        "invalid_input",
    );
    refused(&["history", "--limit", "201"], "usage");
    refused(&["history", "--since", "tomorrow"], "invalid_input");
}

#[test]
fn emergency_number_is_never_called() {
    for number in ["911", "112", "+34112", "+1 911", "9-1-1"] {
        refused(&["call", number, "Ask"], "emergency_number");
    }
}

#[test]
fn command_line_is_one_command() {
    for line in [
        "usage history",
        "--usage --history",
        "-p +15551234567 -t Ask --usage",
        "-p +15551234567",
        "-t Ask",
        "-p +15551234567 -p +15557654321 -t Ask",
        "usage --dry-run",
        "--no-such-flag",
        "--no-input",
        "call-info",
        "login --no-wait --callback-url http://localhost:8976/callback",
        "call +15551234567 Ask --detach --exit-status",
    ] {
        refused(&words(line), "usage");
    }
}

#[test]
fn bad_environment_is_named_if_the_command_uses_it() {
    let home = Home::new();
    for (name, value) in [
        ("KALLYAI_API_URL", "http://example.org"),
        ("KALLYAI_API_URL", "https://user:pw@api.kallyai.com"),
        ("KALLYAI_API_URL", "https://example.org"),
        ("KALLYAI_LANGUAGE", "fr"),
        ("KALLYAI_TIMEZONE", "Nowhere/At_All"),
        ("KALLYAI_USER_PHONE", "911"),
        ("KALLYAI_STATE_DIR", "here"),
    ] {
        let mut command = home.kallyai(CALL);
        let run = Run::of(command.env(name, value).args(["--json", "--no-input"])).exits(2);
        let error = run.error();
        assert!(error["message"].to_string().contains(name), "{error}");
        run.never_says("pw@");
    }
    Run::of(home.kallyai(["skill"]).env("KALLYAI_LANGUAGE", "fr")).exits(0);
}

#[cfg(unix)]
#[test]
fn text_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;

    let home = Home::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let run = Run::of(
        home.kallyai(CALL)
            .args(["--json", "--dry-run", "--name"])
            .arg(name),
    )
    .exits(2);
    assert_eq!(run.error()["code"], "usage");
    let url = std::ffi::OsStr::from_bytes(b"https://\xff.example");
    let mut command = home.kallyai(CALL);
    let run = Run::of(
        command
            .env("KALLYAI_API_URL", url)
            .args(["--json", "--no-input"]),
    )
    .exits(2);
    assert_eq!(run.error()["code"], "invalid_input");
}
