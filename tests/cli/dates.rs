//! Days and times as people say them, and what is said of them before a call.

use jiff::civil::Weekday;
use jiff::{Span, Timestamp, civil};
use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{CALL, Home, ID, Reply, Run, Server, call};

/// The dry run of a call with these flags, as JSON.
fn rehearsed(zone: &str, flags: &[&str]) -> Value {
    let home = Home::new();
    let mut command = home.kallyai(CALL);
    command.args(["--dry-run", "--json"]).args(flags).env("KALLYAI_TIMEZONE", zone);
    Run::of(&mut command).exits(0).json()
}

/// The date in a zone when `work` began and when it was over: a test may run at midnight.
fn around<R>(zone: &str, work: impl FnOnce() -> R) -> (civil::Date, R, civil::Date) {
    let today = || Timestamp::now().in_tz(zone).expect("a zone").date();
    let before = today();
    let done = work();
    (before, done, today())
}

/// Asserts that a day is sent as this date, counted from today there.
#[track_caller]
fn means(zone: &str, said: &str, date: impl Fn(civil::Date) -> civil::Date) {
    let (before, run, after) = around(zone, || rehearsed(zone, &["--date", said]));
    let sent = run["body"]["submission"]["appointment_date"].clone();
    assert_eq!(run["body"]["timezone"], zone);
    assert!([before, after].iter().any(|today| sent == date(*today).to_string()), "{zone} {said}: {sent}");
}

#[test]
fn a_relative_day_is_counted_in_the_calls_zone_and_sent_as_a_date() {
    let plus =
        |days: i64| move |today: civil::Date| today.checked_add(Span::new().days(days)).expect("a date");
    // It is never the same day in these two.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        means(zone, "today", plus(0));
        means(zone, "tomorrow", plus(1));
        means(zone, "Mañana", plus(1));
        means(zone, "fri", |today| today.nth_weekday(1, Weekday::Friday).expect("a date"));
        means(zone, "sábado", |today| today.nth_weekday(1, Weekday::Saturday).expect("a date"));
    }
}

#[test]
fn the_day_of_the_week_that_is_today_is_the_one_in_a_week() {
    let zone = "Europe/Madrid";
    let (before, run, after) = around(zone, || {
        let today = Timestamp::now().in_tz(zone).expect("a zone").strftime("%A").to_string();
        rehearsed(zone, &["--date", &today])
    });
    let sent = run["body"]["submission"]["appointment_date"].as_str().expect("a date");
    let sent: civil::Date = sent.parse().expect("a date");
    assert!([before, after].iter().any(|today| sent - *today == Span::new().days(7).fieldwise()), "{sent}");
}

#[test]
fn a_time_is_sent_on_the_24_hour_clock() {
    for (said, sent) in [
        ("8pm", "20:00"),
        ("8:30 pm", "20:30"),
        ("12pm", "12:00"),
        ("12am", "00:00"),
        ("20h", "20:00"),
        ("20h30", "20:30"),
        ("noon", "12:00"),
        ("8:30", "08:30"),
    ] {
        let run = rehearsed("Europe/Madrid", &["--time", said]);
        assert_eq!(run["body"]["submission"]["appointment_time"], sent, "{said}");
    }
}

#[test]
fn what_may_be_two_days_or_times_is_refused_with_what_to_write() {
    let home = Home::new();
    for (flags, hint) in [
        (["--date", "28/01/2027"], "write YYYY-MM-DD: 2027-01-28"),
        (["--date", "03/04/2027"], "write YYYY-MM-DD: 2027-04-03 or 2027-03-04"),
        (["--date", "next friday"], "write friday for the nearer one"),
        (["--time", "8"], "write 08:00 for the morning, or 20:00 for 8 pm"),
        (["--time", "midnight"], "write 00:00"),
    ] {
        let run = Run::of(home.kallyai(CALL).args(flags).args(["--dry-run", "--json"])).exits(2);
        let error = run.error();
        assert_eq!(error["code"], "invalid_input");
        assert!(error["hint"].as_str().expect("a hint").starts_with(hint), "{flags:?}: {error}");
    }
}

#[test]
fn a_relative_day_needs_a_zone_that_somebody_chose_or_the_computer_has() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let run = |zone: (&str, &str), flags: &[&str]| {
        Run::of(home.at(&server, CALL).args(["--json"]).args(flags).env("TZ", "UTC").env(zone.0, zone.1))
    };
    for day in ["today", "tomorrow", "friday", "hoy"] {
        let error = run(("TZ", "UTC"), &["--date", day]).exits(2).error();
        assert_eq!(error["code"], "invalid_input", "{error}");
        assert!(error["hint"].as_str().expect("a hint").contains("--timezone"), "{error}");
    }
    assert!(server.requests().is_empty());
    run(("TZ", "Etc/GMT"), &["--date", "today"]).exits(2);
    for (zone, flags) in [
        (("TZ", "Asia/Tokyo"), &["--date", "friday", "--dry-run"][..]),
        (("KALLYAI_TIMEZONE", "UTC"), &["--date", "friday", "--dry-run"]),
        (("TZ", "UTC"), &["--date", "friday", "--timezone", "UTC", "--dry-run"]),
        (("TZ", "UTC"), &["--date", "2077-01-28", "--dry-run"]),
    ] {
        run(zone, flags).exits(0);
    }
}

#[test]
fn a_date_that_is_over_is_warned_of_and_sent_all_the_same() {
    let codes = |flags: &[&str]| {
        let run = rehearsed("Pacific/Kiritimati", flags);
        let warnings = run["warnings"].as_array().expect("a list").clone();
        warnings.iter().map(|warning| warning["code"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&["--date", "2020-02-29"]), [json!("past_date")]);
    assert_eq!(codes(&["--date", "tomorrow", "--time", "00:00"]), Vec::<Value>::new());
    let (_, yesterday, _) = around("Pacific/Kiritimati", || {
        let today = Timestamp::now().in_tz("Pacific/Kiritimati").expect("a zone").date();
        codes(&["--date", &today.yesterday().expect("a date").to_string()])
    });
    assert_eq!(yesterday, [json!("past_date")]);
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let run = Run::of(home.at(&server, CALL).args(["--date", "2020-02-29", "--time", "8pm"])).exits(0);
    assert!(
        run.stderr.contains("warning: Saturday 29 February 2020, 20:00 is over in America/New_York"),
        "{}",
        run.stderr
    );
    let sent = server.requests().into_iter().find(|request| request.method == "POST").expect("a call").json();
    assert_eq!(sent["submission"]["appointment_date"], "2020-02-29");
}

#[test]
fn a_reservation_without_a_name_is_warned_of() {
    let named = |flags: &[&str]| {
        let run = rehearsed("Europe/Madrid", flags);
        run["warnings"].as_array().expect("a list").iter().all(|warning| warning["code"] != "no_name")
    };
    assert!(!named(&["-c", "restaurant", "--party-size", "4"]));
    assert!(!named(&["-c", "clinic", "--time", "9am"]));
    assert!(named(&["-c", "restaurant", "--party-size", "4", "--name", "Ana"]));
    assert!(named(&["-c", "restaurant"]), "a question about the hours");
    assert!(named(&["--time", "9am"]), "no reservation");
}

#[test]
fn what_was_understood_is_shown_in_the_dry_run() {
    let home = Home::new();
    let flags = ["--dry-run", "--date", "2077-01-28", "--time", "8pm", "--timezone", "Europe/Madrid"];
    let run = Run::of(home.kallyai(CALL).args(flags)).exits(0);
    assert!(run.stderr.starts_with("for Thursday 28 January 2077, 20:00 Europe/Madrid\n"), "{}", run.stderr);
    let run = Run::of(home.kallyai(CALL).args(["--dry-run"])).exits(0);
    assert_eq!(run.stderr, "Nothing was sent.\n");
}

#[cfg(unix)]
#[test]
fn what_was_understood_is_shown_on_a_terminal_before_the_phone_rings() {
    let home = Home::new();
    let flags = ["--date", "2077-01-28", "--time", "20h", "--timezone", "Europe/Madrid"];
    let silent = Server::always(Reply::Stall);
    let mut command = home.at(&silent, CALL);
    command.args(flags);
    Terminal::start(command).shows("for Thursday 28 January 2077, 20:00 Europe/Madrid\r\n");
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let run = Run::of(home.at(&server, CALL).args(flags).arg("--again")).exits(0);
    assert_eq!(run.stderr, "", "nobody watches");
}
