//! Bad input gets a clear error before anything is sent.

use serde_json::json;

use crate::support::{CALL, Home, Reply, Run, Server};

/// Asserts that this command line is refused with this code, and that nothing was sent.
#[track_caller]
fn refused(flags: &[&str], code: &str) -> Run {
    let home = Home::new();
    let server = Server::always(Reply::new(500, ""));
    let run = Run::of(home.at(&server, flags).arg("--json")).exits(2);
    let error = run.error();
    assert_eq!(error["code"], code, "{flags:?}: {error}");
    assert_eq!(error["retry_safe"], json!(true));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{flags:?}: {error}");
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{flags:?}");
    assert!(server.requests().is_empty());
    let text = Run::of(&mut home.at(&server, flags)).exits(2);
    assert!(text.stderr.contains(&format!(" [{code}]\nhint: ")), "{}", text.stderr);
    run
}

#[test]
fn a_number_must_be_one_and_no_emergency() {
    for number in ["", "5551234567", "+44 (0)20 7946 0018", "+123456", "+1234567890123456", "+1555123456x"] {
        refused(&["-p", number, "-t", "x"], "invalid_input");
    }
    for number in ["911", "112", "999", "000", "110", "061", "+34112", "+1 911", "9-1-1"] {
        refused(&["-p", number, "-t", "x"], "emergency_number");
    }
}

#[test]
fn a_mistake_is_shown_with_what_was_meant() {
    for (flags, message, hint) in [
        (
            &["-p", "+44 (0)20 7946 0018", "-t", "x"][..],
            "the (0) in '+44 (0)20 7946 0018' is dialled only inside the country",
            "write +442079460018",
        ),
        (
            &["-p", "+15551234567", "-t", "x", "-c", "restaurante"],
            "--category does not take 'restaurante'",
            "did you mean --category restaurant? It takes one of: restaurant, clinic, hotel, general",
        ),
        (
            &["--usage", "--color", "http://localhost:8976/callback?access_token=x"],
            "--color does not take this value",
            "write one of: auto, always, never",
        ),
        (&["-V"], "there is no flag -V", "did you mean -v/--version?"),
        (
            &["--call-info", "last-200"],
            "'last-200' is not a call that can be counted back to",
            "write last, or last-1 for the one before it, up to last-199",
        ),
    ] {
        let home = Home::new();
        let error = Run::of(home.kallyai(flags).arg("--json")).exits(2).error();
        assert_eq!((&error["message"], &error["hint"]), (&json!(message), &json!(hint)));
    }
}

#[test]
fn a_choice_is_taken_in_any_case() {
    let home = Home::new();
    let flags =
        ["-c", "Restaurant", "-l", "ES", "--call-language", "En", "--color", "NEVER", "--dry-run", "--json"];
    let run = Run::of(home.kallyai(CALL).args(flags)).exits(0);
    let submission = run.json()["body"]["submission"].clone();
    for (member, value) in [("task_category", "restaurant"), ("language", "es"), ("call_language", "en")] {
        assert_eq!(submission[member], value);
    }
    let run =
        Run::of(home.kallyai(CALL).args(["--dry-run", "--json"]).env("KALLYAI_LANGUAGE", "Es")).exits(0);
    assert_eq!(run.json()["body"]["submission"]["language"], "es");
}

#[test]
fn a_call_is_counted_back_to_from_the_newest() {
    let home = Home::new();
    let server = Server::start(|request| match request.target.as_str() {
        target if target.starts_with("/v1/calls?") => {
            let calls: Vec<_> =
                (0..3).map(|n| json!({ "call_id": format!("call-{n}"), "status": "busy" })).collect();
            Reply::json(200, &json!({ "calls": calls, "total": 3 }))
        }
        target => Reply::json(200, &json!({ "call_id": target, "status": "busy" })),
    });
    let run = |call: &str| Run::of(&mut home.at(&server, ["--call-info", call, "--json"]));
    for (call, id) in [("last", "call-0"), ("last-1", "call-1"), ("LAST-2", "call-2")] {
        assert_eq!(run(call).exits(0).json()["call_id"], format!("/v1/calls/{id}"), "{call}");
    }
    let error = run("last-3").exits(1).error();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("call_not_found"), &json!("there are only 3 calls"))
    );
    let asked: Vec<String> = server.requests().iter().map(|request| request.target.clone()).collect();
    assert!(asked.contains(&"/v1/calls?limit=3".into()), "{asked:?}");
}

#[test]
fn a_task_must_say_something() {
    for task in ["", "  ", "\t\n", "--urgent", "-p"] {
        refused(&["-p", "+15551234567", "-t", task], "invalid_input");
    }
}

#[test]
fn fields_keep_to_what_the_api_takes() {
    for field in [
        ["--party-size", "0"],
        ["--party-size", "51"],
        ["--party-size", "four"],
        ["--date", "2026-02-30"],
        ["--date", "28.01.2027"],
        ["--time", "24:00"],
        ["--timezone", "Mars/Olympus"],
        ["--category", "spa"],
        ["--language", "fr"],
        ["--call-language", "french"],
        ["--user-phone", "12"],
        ["--idempotency-key", "a b"],
        ["--timeout", "0"],
        ["--timeout", "86401"],
        ["--callback-port", "0"],
        ["--color", "red"],
        ["--name", ""],
        ["--instruction", " "],
    ] {
        let mut flags = CALL.to_vec();
        flags.extend(field);
        refused(&flags, "invalid_input");
    }
    for limit in ["0", "201", "-1", "all"] {
        let limit = format!("--limit={limit}");
        refused(&["--history", &limit], "invalid_input");
    }
    for offset in ["-1", "4294967296", "x"] {
        refused(&["--history", &format!("--offset={offset}")], "invalid_input");
    }
}

#[test]
fn a_command_line_is_one_command() {
    refused(&["--usage", "--history"], "usage");
    refused(&["-p", "+15551234567"], "usage");
    refused(&["-t", "x"], "usage");
    refused(&["history"], "usage");
    refused(&["--usage", "--dry-run"], "usage");
    refused(&["--no-such-flag"], "usage");
    refused(&["--no-input"], "usage");
    refused(&["--login", "--no-wait", "--callback-url", "http://localhost:8976/callback"], "usage");
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_said() {
    use std::os::unix::ffi::OsStringExt as _;
    let home = Home::new();
    let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    let error = Run::of(home.kallyai(CALL).arg("--json").arg("--name").arg(name)).exits(2).error();
    assert_eq!((&error["code"], &error["message"]), (&json!("usage"), &json!("an argument is not UTF-8")));
}

#[test]
fn no_arguments_are_a_question_for_help() {
    let home = Home::new();
    let run = Run::of(&mut home.kallyai::<&str>([])).exits(0);
    assert!(run.stdout.contains("Usage: kallyai") && run.stderr.is_empty(), "{}", run.stdout);
    let mut last = run.stdout.lines().rev();
    let (second, first) = (last.next().expect("a line"), last.next().expect("a line"));
    assert!(
        first.starts_with("  kallyai --sandbox -p ") && second.starts_with("  kallyai -p "),
        "{first}\n{second}"
    );
}

#[test]
fn the_version_has_two_names() {
    let home = Home::new();
    let expected = concat!("kallyai ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["-v", "--version", "--vers"] {
        assert_eq!(Run::of(&mut home.kallyai([flag])).exits(0).stdout, expected);
    }
}

#[test]
fn help_fits_and_tells_the_exit_codes() {
    let home = Home::new();
    let short = Run::of(&mut home.kallyai(["-h"])).exits(0).stdout;
    let long = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    assert!((24..=42).contains(&short.lines().count()), "{}", short.lines().count());
    assert_eq!(short.matches("\nExample:\n  kallyai ").count(), 1, "{short}");
    assert!(long.lines().count() <= 140, "{}", long.lines().count());
    for text in ["Exit codes:", "Environment:", "Files:", "Examples:", "--idempotency-key", "--serve-sandbox"]
    {
        assert!(long.contains(text), "{text}");
    }
    // What a flag does stands in one column, whatever its group.
    for help in [&short, &long] {
        let flags = help.split("Exit codes:").next().expect("the flags");
        let flags = flags.lines().filter(|line| line.starts_with("  -") || line.starts_with("      --"));
        let column = |line: &str| Some(line.len() - line.trim_start().split_once("  ")?.1.trim_start().len());
        let columns: Vec<Option<usize>> = flags.map(column).collect();
        assert!(columns.len() > 20 && columns.windows(2).all(|two| two[0] == two[1]), "{columns:?}\n{help}");
    }
    for help in [short, long] {
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

#[test]
fn a_bad_environment_is_named_before_anything_is_sent() {
    let home = Home::new();
    for (name, value) in [
        ("KALLYAI_API_URL", "http://example.org"),
        ("KALLYAI_API_URL", "https://user:pw@api.kallyai.com"),
        ("KALLYAI_API_URL", "https://example.org"),
        ("KALLYAI_LANGUAGE", "fr"),
        ("KALLYAI_TIMEZONE", "Nowhere/At_All"),
    ] {
        let mut command = home.kallyai(CALL);
        let run = Run::of(command.env(name, value).arg("--json").arg("--no-input")).exits(2);
        let message = run.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(name), "{message}");
        run.never_says("pw@");
    }
}

#[cfg(unix)]
#[test]
fn an_address_that_is_not_unicode_is_refused_and_not_taken_for_none() {
    use std::os::unix::ffi::OsStrExt as _;

    let home = Home::new();
    let url = std::ffi::OsStr::from_bytes(b"https://\xff.example");
    let run = Run::of(home.kallyai(CALL).env("KALLYAI_API_URL", url).args(["--json", "--no-input"])).exits(2);
    assert_eq!(run.error()["code"], "invalid_input");
}
