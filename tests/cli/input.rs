//! Tests that invalid input is rejected before anything is sent.

use serde_json::json;

use crate::support::{CALL, Home, Reply, Run, Server, has, says};
use crate::wire::words;

/// Asserts that a command line is rejected with this error code, with and without `--json`.
#[track_caller]
fn assert_rejected(line: &[&str], code: &str) {
    let home = Home::new();
    let server = Server::always(Reply::new(500, ""));
    let run = Run::of(home.at(&server, line).arg("--json")).exits(2);
    let error = run.error();
    has(&error, json!({ "code": code, "retry_safe": true }));
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
    text.notes(&format!("[{code}]\nhint: "));
    assert!(server.requests().is_empty());
}

#[test]
fn values_outside_the_api_limits_are_rejected() {
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
        says(&error, "message", flag);
    }
    assert_rejected(
        &["call", "+15551234567", "Ask", "--date", "2026-02-30"],
        "invalid_input",
    );
    assert_rejected(&["history", "--limit", "201"], "usage");
    assert_rejected(&["history", "--since", "tomorrow"], "invalid_input");
    assert_rejected(&["history", "--search", " "], "invalid_input");
}

#[test]
fn hint_for_a_national_number_depends_on_the_time_zone() {
    for (line, hint) in [
        ("-p 2125550001 --timezone=US/Central", "+12125550001"),
        ("-p 2125550001 --timezone Asia/Kolkata", "the country code"),
        ("-p +15551234567 --user-phone 2125550001", "+12125550001"),
    ] {
        let mut command = Home::new().kallyai(words(line));
        let error = Run::of(command.args(["-t", "Ask", "--json"])).fails(2, "invalid_input");
        says(&error, "hint", hint);
    }
}

#[test]
fn emergency_number_is_never_called() {
    for number in ["911", "112", "+34112", "+1 911", "9-1-1"] {
        assert_rejected(&["call", number, "Ask"], "emergency_number");
    }
}

#[test]
fn invalid_command_lines_are_rejected() {
    for line in [
        "usage history",
        "--usage --history",
        "-p +15551234567 -t Ask --usage",
        "-p +15551234567",
        "-t Ask",
        "-p +15551234567 -p +15557654321 -t Ask",
        "usage --dry-run",
        "help nope",
        "--no-such-flag",
        "--no-input",
        "call-info",
        "login --no-wait --callback-url http://localhost:8976/callback",
        "call +15551234567 Ask --detach --exit-status",
    ] {
        assert_rejected(&words(line), "usage");
    }
}

#[test]
fn invalid_environment_variable_is_reported_only_if_used() {
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
        says(&error, "message", name);
        run.never_says("pw@");
    }
    Run::of(home.kallyai(["skill"]).env("KALLYAI_LANGUAGE", "fr")).exits(0);
    let mut usage = home.kallyai(["usage", "--sandbox"]);
    Run::of(usage.env("KALLYAI_TIMEZONE", "Nowhere")).exits(0);
}

#[cfg(unix)]
#[test]
fn invalid_utf8_in_flags_and_variables_is_rejected() {
    use std::os::unix::ffi::OsStrExt as _;

    let invalid = std::ffi::OsStr::from_bytes(b"https://\xff.example");
    let mut command = Home::new().kallyai(CALL);
    command.arg("--json").env("KALLYAI_API_URL", invalid);
    Run::of(&mut command).fails(2, "invalid_input");
    Run::of(command.arg("--name").arg(invalid)).fails(2, "usage");
}

#[test]
fn invisible_characters_are_removed_from_flag_values() {
    for row in "-p \u{202a}+15551234567\u{202c} respondent_phone +15551234567
        -p \u{feff}+1\u{2060}555\u{2011}123\u{2013}4567\u{200e} respondent_phone +15551234567
        -p ＋１５５５１２３４５６７ respondent_phone +15551234567
        --date \u{200b}2027\u{2212}06\u{2011}10\u{2069} appointment_date 2027-06-10
        --time \u{200e}8pm appointment_time 20:00
        --user-phone +1\u{2060}5557654321\u{200f} user_phone +15557654321"
        .lines()
    {
        let [flag, typed, field, value] = row.trim().split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let home = Home::new();
        let mut command = home.kallyai(&CALL[if flag == "-p" { 2 } else { 0 }..]);
        command.args(["--dry-run", "--json", flag, typed]);
        let run = Run::of(&mut command).exits(0).json();
        assert_eq!(run["body"]["submission"][field], value, "{typed:?}");
    }
}

#[test]
fn flag_with_a_typographic_dash_gets_a_hint_with_hyphens() {
    let home = Home::new();
    for (line, flag) in [
        ("—history", "history"),
        ("call +15551234567 Ask –dry-run", "dry-run"),
        ("history −−json", "json"),
    ] {
        let run = Run::of(&mut home.kallyai(words(line))).exits(2);
        let hint = format!("hint: use --{flag}, with two hyphens\n");
        assert!(run.stderr.ends_with(&hint), "{}", run.stderr);
    }
}
