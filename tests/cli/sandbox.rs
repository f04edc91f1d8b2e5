//! Tests `--sandbox` with the commands that a new user would try.

use serde_json::json;

use crate::support::{Home, Run, has, parallel, says};

/// Books a table by calling `number` with the extra flags in `more`.
fn book<'a>(home: &Home, number: &'a str, more: &[&'a str]) -> Run {
    let mut args = vec!["call", number, "Reserve a table", "-c", "restaurant"];
    args.extend(["--name", "Ana", "--date", "2077-01-28", "--time", "20:00"]);
    args.extend(more);
    home.sandbox(&args).exits(0)
}

#[test]
fn every_sandbox_command_works_after_a_booking() {
    let home = Home::new();
    let run = book(&home, "+15551234567", &["--party-size", "4"]);
    assert_eq!(run.stderr, "Sandbox: all calls are simulated\n");
    let booked = "Thursday, January 28 at 8:00 PM, party of 4, under the name Ana.";
    assert!(run.stdout.contains(booked), "{}", run.stdout);
    let last = run.stdout.lines().last().expect("a line");
    let id = last.strip_prefix("success  ").expect("the status");
    for (args, part) in [
        (&["history"][..], id),
        (&["transcript", "last"], "  AI     "),
        (&["calendar", &id[..8]], "DTSTART:20770129T010000Z\r\n"),
        (&["usage"], "1 of 50"),
        (&["subscription"], "starter"),
        (&["billing"], "http://127.0.0.1:"),
        (&["call-info", "last", "--json"], r#""party_size":4"#),
        (&["auth-status"], "Signed in"),
        (&["pending"], "No pending calls"),
    ] {
        let stdout = home.sandbox(args).exits(0).stdout;
        assert!(stdout.contains(part), "{args:?}: {stdout}");
    }
    // The sandbox lets users repeat a call that already succeeded, so that they can rerun a demo.
    let again = book(&home, "+15551234567", &["--party-size", "4"]);
    again.notes("[already_done]");
}

#[test]
fn sandbox_phone_numbers_simulate_each_outcome() {
    const OUTCOMES: &str = "5555550101 no_answer 7|5555550102 busy 7|5555550103 failed 7\
        |5555550104 voicemail 7|5555550105 cancelled 7|5555550106 success 0|5555550107 failed 7\
        |5555550120 success 0|5555550121 success 0|5555550122 success 0\
        |5555550140 quota_exceeded 5|5555550141 country_restriction 1\
        |5555550142 safety_violation 1|5555550143 blocked_number 1|9005551234 toll_number 1";
    let home = Home::new();
    parallel(OUTCOMES.split('|'), |row| {
        let [number, outcome, exit] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let number = format!("+1{number}");
        let args = ["call", &number, "Ask", "--exit-status", "--json"];
        let run = home.sandbox(&args).exits(exit.parse().expect("a number"));
        let seen = match run.stdout.is_empty() {
            true => run.error()["code"].clone(),
            false => run.json()["status"].clone(),
        };
        assert_eq!(seen, outcome, "{number}");
    });
}

#[test]
fn report_and_transcript_can_use_different_languages() {
    let home = Home::new();
    let more = ["--business", "Casa Lucio", "--party-size", "3"];
    let languages = ["--language", "en", "--call-language", "es"];
    let report = book(&home, "+34912345678", &[more, languages].concat()).stdout;
    let booked = "\"Reserve a table\" at Casa Lucio, Thursday, January 28 at 8:00 PM";
    assert!(report.contains(booked), "{report}");
    let talk = home.sandbox(&["transcript", "last"]).exits(0).stdout;
    for part in ["Buenos días, le atiende Casa Lucio.", "28/1/2077", "Ana"] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
}

#[test]
fn sandbox_call_that_asks_or_cancels_books_nothing() {
    let tasks = [
        ("Ask for opening hours", "en", "open every day"),
        ("Cancel my table for Friday", "en", "Confirmed"),
        ("¿A qué hora abren?", "es", "Abrimos todos los días"),
    ];
    parallel(tasks, |(task, language, result)| {
        let home = Home::new();
        let number_and_day = ["call", "+15551234567", "--date", "2077-01-28"];
        let run = home.sandbox(&[&number_and_day[..], &[task, "-l", language]].concat());
        assert!(run.exits(0).stdout.contains(result), "{task}");
        home.sandbox(&["calendar", "last"]).exits(1);
    });
}

#[test]
fn sandbox_has_its_own_credentials_and_calls() {
    let home = Home::new();
    let mut command = home.kallyai(["usage"]);
    command
        .env("KALLYAI_SANDBOX", "1")
        .env("KALLYAI_API_URL", "https://example.org")
        .env("KALLYAI_ACCESS_TOKEN", "a b");
    Run::of(&mut command).exits(0);
    assert!(!home.path(".kallyai_token.json").exists());
    Run::of(&mut home.kallyai(["auth-status"])).exits(4);
    Run::of(home.kallyai(["auth-status"]).env("KALLYAI_SANDBOX", "0")).exits(4);
}

#[test]
fn sandbox_sign_out_deletes_only_sandbox_files() {
    let home = Home::new();
    let sandbox = |args: &[&str]| {
        let mut command = home.kallyai(args);
        Run::of(
            command
                .arg("--sandbox")
                .env("KALLYAI_STATE_DIR", home.state()),
        )
    };
    sandbox(&["call", "+15555550102", "Ask"]).exits(0);
    let folder = home.state().join("sandbox");
    std::fs::write(folder.join("notes.txt"), "mine").expect("a file");
    sandbox(&["logout"]).exits(0);
    let left = std::fs::read_dir(&folder).expect("a folder");
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    assert_eq!(sandbox(&["history"]).exits(0).stdout.lines().count(), 1);
    let run = sandbox(&["auth-status", "--json"]).exits(0);
    assert_eq!(run.json()["signed_in"], true);
    sandbox(&["logout"]).exits(0);
    let error = sandbox(&["auth-status", "--json"]).exits(4).error();
    let expected = json!({ "next_command": "kallyai login --sandbox --json" });
    has(&error, expected);
    sandbox(&["login"]).exits(0);
    let error = sandbox(&["login", "--no-wait", "--json"]).exits(2).error();
    says(&error, "hint", "serve-sandbox");
}
