//! Input that is a little off: invisible characters, other spellings, zones, pasted text.

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{CALL, Gate, Home, ID, Post, Reply, Run, Server, Service, call};
use crate::wire::words;

/// The dry run of a call with these flags, in Madrid.
fn dry_run(flags: &[&str]) -> Run {
    let home = Home::new();
    let mut command = home.kallyai(["call", "--dry-run", "--json"]);
    Run::of(command.args(flags).env("TZ", "Europe/Madrid"))
}

#[test]
fn invisible_characters_are_not_part_of_a_value() {
    for row in "-p \u{202a}+15551234567\u{202c} respondent_phone +15551234567
        -p \u{feff}+1\u{2060}555\u{2011}123\u{2013}4567\u{200e} respondent_phone +15551234567
        -p ＋１５５５１２３４５６７ respondent_phone +15551234567
        --date 2027\u{2011}06\u{2011}10 appointment_date 2027-06-10
        --date \u{200b}2027\u{2212}06\u{2212}10\u{2069} appointment_date 2027-06-10
        --time \u{200e}8pm appointment_time 20:00
        --user-phone +1\u{2060}5557654321\u{200f} user_phone +15557654321
        --timezone Europe/Rome\u{200b} timezone Europe/Rome"
        .lines()
    {
        let [flag, typed, member, value] = row.trim().split(' ').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let number = if flag == "-p" {
            vec!["-t", "Ask"]
        } else {
            CALL.to_vec()
        };
        let run = dry_run(&[&number[..], &[flag, typed]].concat())
            .exits(0)
            .json();
        let sent = &run["body"]["submission"][member];
        assert!(
            sent == value || run["body"][member] == value,
            "{typed:?}: {run}"
        );
    }
    let home = Home::new();
    let server = Server::always(Reply::json(200, &call(ID, "success")));
    let pasted = format!("\u{feff}{ID}\u{200e}");
    Run::of(&mut home.at(&server, ["call-info", &pasted])).exits(0);
    assert_eq!(server.requests()[0].line(), format!("GET /v1/calls/{ID}"));
}

#[test]
fn typographic_dash_of_a_flag_is_pointed_out() {
    let home = Home::new();
    for (line, flag) in [
        ("—history", "history"),
        ("call +15551234567 Ask –dry-run", "dry-run"),
        ("history −−json", "json"),
    ] {
        let run = Run::of(&mut home.kallyai(words(line))).exits(2);
        let hint = format!("hint: write --{flag}, with two hyphens\n");
        assert!(run.stderr.ends_with(&hint), "{}", run.stderr);
    }
}

#[test]
fn other_spelling_of_a_number_gets_its_correction() {
    for row in "+44 020 7946 0958|write +442079460958
        +44 (0)20 7946 0958|write +442079460958
        0049 123 42 42 42|write +49123424242
        +1 555 123 4567 x123|put it into --instruction, and write +15551234567 here
        +15551234567;ext=12|put it into --instruction, and write +15551234567 here
        tel:+1-555-123-4567,12|put it into --instruction, and write +15551234567 here"
        .lines()
    {
        let (typed, hint) = row.trim().split_once('|').expect("two columns");
        let error = dry_run(&["-p", typed, "-t", "Ask"]).exits(2).error();
        assert_eq!(error["hint"], hint, "{typed}");
    }
}

#[test]
fn spellings_of_one_number_are_one_call() {
    for (one, other) in [
        ("+49 123 / 42 42 42", "+49123424242"),
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+54 9 11 1234-5678", "+541112345678"),
        ("tel:+1-555-123-4567", "+1 (555) 123.4567"),
    ] {
        let gate = Gate::default();
        let late = Reply::Held(
            gate.clone(),
            Box::new(Reply::json(201, &call(ID, "success"))),
        );
        let (home, service) = (Home::new(), Service::with([Post::lost(late)]));
        Run::of(&mut service.at(&home, ["call", one, "Ask", "--timeout", "2"])).exits(6);
        let second = ["call", other, "Ask about something else", "--json"];
        let error = Run::of(&mut service.at(&home, second)).exits(6).error();
        assert_eq!(
            (&error["code"], service.posts()),
            (&json!("call_open"), 1),
            "{other}"
        );
        gate.open();
        Run::of(&mut service.at(&home, ["resume"])).exits(0);
    }
}

/// The zone and the warnings of a dry run.
fn zoned(tz: &str, flags: &str) -> String {
    let home = Home::new();
    let mut command = home.kallyai(CALL);
    command.args(["--dry-run", "--json"]).args(words(flags));
    let run = Run::of(command.env("TZ", tz)).exits(0).json();
    let warnings = run["warnings"].as_array().expect("a list").iter();
    let facts = warnings
        .map(|warning| &warning["code"])
        .chain([&run["body"]["timezone"]]);
    facts
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn tz_gives_its_zone_or_a_warning() {
    for tz in ["/usr/share/zoneinfo/", "", "/var/db/timezone/zoneinfo/"] {
        assert_eq!(zoned(&format!(":{tz}Europe/Madrid"), ""), "Europe/Madrid");
    }
    for tz in ["CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "Madrid"] {
        assert!(zoned(tz, "").starts_with("ignored_tz "), "{tz}");
    }
}

#[test]
fn names_that_are_no_zone_are_refused() {
    let home = Home::new();
    for name in [
        "localtime",
        "posixrules",
        "Factory",
        "/usr/share/zoneinfo/Europe/Madrid",
    ] {
        for (flag, variable, start) in [
            (Some(name), "", "--timezone"),
            (None, name, "KALLYAI_TIMEZONE"),
        ] {
            let mut command = home.kallyai(CALL);
            command
                .arg("--dry-run")
                .args(flag.map(|name| format!("--timezone={name}")));
            let run = Run::of(command.env("KALLYAI_TIMEZONE", variable)).exits(2);
            let start = format!("error: {start}: ");
            assert!(run.stderr.starts_with(&start), "{}", run.stderr);
        }
    }
}

#[test]
fn clock_changes_are_pointed_out() {
    for (zone, skipped, doubled) in [
        ("America/New_York", "2077-03-14 02:30", "2077-11-07 01:30"),
        ("Europe/Madrid", "2077-03-28 02:00", "2077-10-31 02:00"),
        ("Australia/Sydney", "2076-10-04 2:59am", "2077-04-04 2:59am"),
    ] {
        let flags = |at: &str| format!("--date {} --timezone {zone}", at.replace(' ', " --time "));
        let skipped = flags(skipped);
        let line = [&CALL[..], &words(&skipped)].concat();
        let error = dry_run(&line).exits(2).error();
        assert!(
            error["message"].to_string().contains("does not exist"),
            "{error}"
        );
        assert_eq!(
            zoned("UTC", &flags(doubled)),
            format!("ambiguous_time {zone}")
        );
    }
}

#[test]
fn access_token_is_used_without_white_space_around_it() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    for token in ["AAA\n", " AAA", "AAA\r\n", "\tAAA "] {
        let mut command = home.kallyai(["usage"]);
        command
            .env("KALLYAI_API_URL", server.url())
            .env("KALLYAI_ACCESS_TOKEN", token);
        Run::of(&mut command).exits(0);
        let sent = server.requests().pop().expect("a request");
        assert_eq!(
            sent.header("authorization"),
            Some("Bearer AAA"),
            "{token:?}"
        );
    }
}

#[test]
fn byte_order_mark_of_a_file_is_ignored() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut usage = home.at(&server, ["usage"]);
    let login = std::fs::read_to_string(home.token_file()).expect("credentials");
    std::fs::write(home.token_file(), format!("\u{feff}{login}")).expect("credentials");
    Run::of(&mut usage).exits(0);
    let task = home.path("task.txt");
    std::fs::write(&task, "\u{feff}Ask\r\n").expect("a task");
    let task = format!("@{}", task.display());
    let run = dry_run(&["-p", CALL[1], "-t", &task]).exits(0).json();
    assert_eq!(run["body"]["submission"]["task_description"], "Ask");
}

#[test]
fn redirect_url_is_accepted_as_it_is_pasted() {
    for paste in [
        "'URL'",
        "\"URL\"",
        "<URL>",
        "  URL\r\n",
        "https://localhost:8976/callback?QUERY",
        "localhost:8976/callback?QUERY",
        "http://devbox.example:8976/callback?QUERY",
        "?QUERY",
    ] {
        let home = Home::new();
        let server = Server::always(Reply::json(200, &json!({})));
        let at = |flags: &[&str]| {
            let mut command = home.kallyai(["login"]);
            command.args(flags).env("KALLYAI_API_URL", server.url());
            command.env("KALLYAI_TOKEN_FILE", home.token_file());
            command
        };
        let begun = Run::of(&mut at(&["--no-wait", "--json"])).exits(0).json();
        let url = begun["sign_in_url"].as_str().expect("a URL");
        let (_, state) = url.split_once("state=").expect("a state");
        let query = format!("access_token=AAA&refresh_token=BBB&expires_in=3600&state={state}");
        let url = format!("http://localhost:8976/callback?{query}");
        let paste = paste.replace("URL", &url).replace("QUERY", &query);
        Run::with_input(&mut at(&["--callback-url", "-"]), paste.as_bytes()).exits(0);
        assert_eq!(home.login()["access_token"], "AAA", "{paste}");
    }
}

#[test]
fn task_must_have_a_visible_character() {
    for task in [
        "",
        " \n",
        "\u{200b}",
        "\u{feff}\u{2060}",
        "\u{202a}\u{202c}",
    ] {
        let error = dry_run(&["-p", CALL[1], "-t", task]).exits(2).error();
        assert_eq!(error["message"], "the task is empty", "{task:?}");
    }
}

#[test]
fn task_may_begin_with_an_at_sign() {
    for (typed, task) in [
        ("@@lucali has a table?", "@lucali has a table?"),
        ("@@", "@"),
        ("- one table", "- one table"),
    ] {
        let run = dry_run(&["-p", CALL[1], "-t", typed]).exits(0).json();
        assert_eq!(run["body"]["submission"]["task_description"], task);
    }
    let error = dry_run(&["-p", CALL[1], "-t", "@lucali has a table?"])
        .exits(2)
        .error();
    assert!(error["hint"].to_string().contains("@@"), "{error}");
}

#[cfg(unix)]
#[test]
fn terminal_of_unknown_kind_gets_no_escape_sequences() {
    for term in [None, Some(""), Some("dumb")] {
        let home = Home::new();
        let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
        let mut command = home.at(&server, ["usage"]);
        term.map(|term| command.env("TERM", term));
        let mut terminal = Terminal::sized(command, 80);
        let screen = terminal.shows("pro\r\n");
        assert_eq!(terminal.end(), Some(0));
        assert!(!screen.contains('\u{1b}'), "{screen}");
    }
}
