//! Tests the dates and times of appointments and the warnings about them.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::support::{CALL, Home, ID, Reply, Run, Server, call, says};

/// Returns the JSON output of a dry run with these flags in this time zone.
fn dry_run(zone: &str, flags: &[&str]) -> Value {
    let home = Home::new();
    let mut command = home.kallyai(CALL);
    command.args(["--dry-run", "--json", "--timezone", zone]);
    Run::of(command.args(flags)).exits(0).json()
}

fn today(zone: &str) -> Date {
    Timestamp::now().in_tz(zone).expect("a zone").date()
}

fn codes(run: &Value) -> Vec<&str> {
    let warnings = run["warnings"].as_array().expect("a list").iter();
    warnings
        .filter_map(|warning| warning["code"].as_str())
        .collect()
}

#[test]
fn relative_date_uses_the_time_zone_of_the_call() {
    type Resolve = fn(Date) -> Date;
    let days: [(&str, Resolve); 4] = [
        ("today", |today| today),
        ("Tomorrow", |today| today.saturating_add(1.day())),
        ("fri", |today| {
            today.nth_weekday(1, Weekday::Friday).expect("a date")
        }),
        ("sunday", |today| {
            today.nth_weekday(1, Weekday::Sunday).expect("a date")
        }),
    ];
    // These two zones never have the same date.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        for (typed, date) in days {
            let before = today(zone);
            let run = dry_run(zone, &["--date", typed]);
            let sent = &run["body"]["submission"]["appointment_date"];
            // Accept either date, because midnight may pass while the test runs.
            let expected = [before, today(zone)].map(|today| date(today).to_string());
            assert!(
                expected.iter().any(|date| sent == date),
                "{zone} {typed}: {sent}"
            );
        }
    }
}

#[test]
fn relative_date_needs_a_known_time_zone() {
    let home = Home::new();
    let run = |zone: (&str, &str), flags: &[&str]| {
        let mut command = home.kallyai(CALL);
        command.args(["--dry-run", "--json"]).args(flags);
        Run::of(command.env("TZ", "UTC").env(zone.0, zone.1))
    };
    for zone in ["UTC", "Etc/GMT"] {
        let error = run(("TZ", zone), &["--date", "friday"]).fails(2, "invalid_input");
        says(&error, "hint", "--timezone");
    }
    run(("TZ", "Asia/Tokyo"), &["--date", "friday"]).exits(0);
    run(("KALLYAI_TIMEZONE", "UTC"), &["--date", "today"]).exits(0);
    run(("TZ", "UTC"), &["--date", "today", "--timezone", "UTC"]).exits(0);
    run(("TZ", "UTC"), &["--date", "2077-01-28"]).exits(0);
}

#[test]
fn past_appointment_prints_a_warning_but_is_still_sent() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let mut command = home.at(&server, CALL);
    command.args(["--date", "2020-02-29", "--time", "8pm"]);
    let run = Run::of(&mut command).exits(0);
    let warning = "warning: the appointment is in the past (Sat 2020-02-29 20:00 America/New_York) [past_date]\n";
    run.notes(warning);
    let post = server.requests().pop().expect("a request").json();
    assert_eq!(post["submission"]["appointment_date"], "2020-02-29");
    let tomorrow = dry_run(
        "Pacific/Kiritimati",
        &["--date", "tomorrow", "--time", "00:00"],
    );
    assert_eq!(codes(&tomorrow), [""; 0]);
    let yesterday = today("Pacific/Kiritimati")
        .yesterday()
        .expect("a date")
        .to_string();
    let past = dry_run("Pacific/Kiritimati", &["--date", &yesterday]);
    assert_eq!(codes(&past), ["past_date"]);
}

#[test]
fn booking_without_a_name_prints_a_warning() {
    for (line, is_warned) in [
        ("-c restaurant --party-size 4", true),
        ("-c clinic --time 9am", true),
        ("-c restaurant --party-size 4 --name Ana", false),
        ("-c restaurant", false),
        ("--time 9am", false),
    ] {
        let flags: Vec<&str> = line.split(' ').collect();
        let run = dry_run("Europe/Madrid", &flags);
        assert_eq!(codes(&run).contains(&"no_name"), is_warned, "{line}");
    }
}

#[test]
fn daylight_saving_changes_and_ignored_tz_are_reported() {
    let home = Home::new();
    let skipped = "--json --date 2077-03-28 --time 02:00 --timezone Europe/Madrid";
    let error = Run::of(home.kallyai(CALL).args(skipped.split(' ')))
        .exits(2)
        .error();
    says(&error, "message", "does not exist");
    let twice = ["--date", "2077-10-31", "--time", "02:00"];
    assert_eq!(codes(&dry_run("Europe/Madrid", &twice)), ["ambiguous_time"]);
    for tz in ["CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "Madrid"] {
        let mut command = home.kallyai(CALL);
        let run = Run::of(command.args(["--dry-run", "--json"]).env("TZ", tz)).exits(0);
        assert_eq!(codes(&run.json()), ["ignored_tz"], "{tz}");
        let mut history = home.kallyai(["--sandbox", "history", "--since", "2077-01-01"]);
        Run::of(history.env("TZ", tz)).notes("[ignored_tz]");
    }
}
