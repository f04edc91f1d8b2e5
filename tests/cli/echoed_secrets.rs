//! A service, or a proxy before it, may repeat the login that it was sent. It is printed nowhere.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{CALL, Gate, Home, ID, REFRESH, Reply, Run, Running, Server, TOKEN, at_once, call};

/// A text as JSON, each letter as an escape.
fn as_escapes(text: &str) -> String {
    text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()
}

/// Ways to spell the two tokens in a JSON string.
fn spellings() -> [String; 4] {
    let plain = format!("you sent {TOKEN}, {REFRESH}");
    let behind_an_escape = format!("\\n{TOKEN} \\\"{REFRESH}\\\"");
    let inside_json = format!("{{\\\"token\\\":\\\"{}\\\"}}", as_escapes(TOKEN).replace('\\', "\\\\"));
    [plain, as_escapes(TOKEN), behind_an_escape, inside_json]
}

#[track_caller]
fn keeps_the_login_to_itself(run: &Run) {
    for stream in [&run.stdout, &run.stderr] {
        for token in [TOKEN, REFRESH] {
            for spelled in [token.to_owned(), as_escapes(token), as_escapes(token).replace('\\', "\\\\")] {
                assert!(!stream.contains(&spelled), "{stream}");
            }
        }
    }
    let is_marked = run.stdout.contains("[redacted]") || run.stderr.contains("[redacted]");
    assert!(is_marked, "{}{}", run.stdout, run.stderr);
}

#[test]
fn no_answer_prints_the_login_as_text_or_as_json() {
    for echoed in spellings() {
        let call = format!(
            r#"{{"call_id":"{echoed}","status":"{echoed}","highlights":"{echoed}","next_steps":["{echoed}"],"{TOKEN}":1,
                "submission":{{"respondent_phone":"{echoed}","business_name":"{echoed}","task_description":"{echoed}"}}}}"#
        );
        let turns =
            format!(r#"[{{"speaker":"{echoed}","content":"{echoed}","timestamp":"{echoed}"}},"{echoed}"]"#);
        let account = format!(
            r#"{{"plan_type":"{echoed}","has_active_subscription":true,"management_url":"{echoed}"}}"#
        );
        for (flags, body) in [
            (&["--call-info", ID][..], &call),
            (&["--transcript", ID], &turns),
            (&["--history"], &format!(r#"{{"calls":[{call}],"total":1}}"#)),
            (&["--usage"], &account),
            (&["--subscription"], &account),
            (&["--billing"], &format!(r#"{{"url":"https://x.example/?t={echoed}"}}"#)),
        ] {
            for more in [&[][..], &["--json"], &["--debug"]] {
                let home = Home::new();
                let server = Server::always(Reply::new(200, body.as_str()));
                keeps_the_login_to_itself(&Run::of(home.at(&server, flags).args(more)).exits(0));
            }
        }
    }
}

#[test]
fn no_failure_prints_the_login() {
    at_once(spellings(), |echoed| {
        let refusal =
            format!(r#"{{"error":{{"code":"x","message":"{echoed}","correlation_id":"{echoed}"}}}}"#);
        let long = format!("{}{TOKEN}", "x".repeat(190));
        for (status, body) in
            [(422, &refusal), (503, &refusal), (200, &format!("<html>{TOKEN}")), (200, &long)]
        {
            for more in [&[][..], &["--json"], &["--debug"]] {
                let home = Home::new();
                let server = Server::always(Reply::new(status, body.as_str()).with("X-Echo", TOKEN));
                let run = Run::of(home.at(&server, ["--usage"]).args(more));
                assert!(run.exit != Some(0));
                keeps_the_login_to_itself(&run);
            }
        }
    });
}

#[test]
fn a_calendar_is_passed_on_without_the_login_also_where_its_lines_are_folded() {
    let (start, end) = TOKEN.split_at(9);
    for echoed in [TOKEN.to_owned(), format!("{start}\r\n {end}"), format!("{start}\n\t{end}")] {
        let ics = format!("BEGIN:VCALENDAR\r\nSUMMARY:caf\u{e9} {echoed}\r\nEND:VCALENDAR\r\n");
        let home = Home::new();
        let server = Server::always(Reply::new(200, ics));
        let file = home.path("dinner.ics");
        let written = || std::fs::read_to_string(&file).expect("a calendar");
        let expected = "BEGIN:VCALENDAR\r\nSUMMARY:caf\u{e9} [redacted]\r\nEND:VCALENDAR\r\n";
        let run = Run::of(&mut home.at(&server, ["--calendar", ID])).exits(0);
        assert_eq!(run.stdout, expected);
        Run::of(home.at(&server, ["--calendar", ID, "-o"]).arg(&file)).exits(0);
        assert_eq!(written(), expected);
        let run = Run::of(&mut home.at(&server, ["--calendar", ID, "--json"])).exits(0);
        assert_eq!(run.json(), json!({ "calendar": expected }));
    }
}

#[test]
fn a_placed_call_and_a_given_or_renewed_token_are_no_exception() {
    let mut echo = call(ID, "success");
    echo["highlights"] = json!(format!("{TOKEN} given-access-token-1 renewed-access-token"));
    let answers = echo.clone();
    let server = Server::start(move |request| match request.line().as_str() {
        "POST /v1/auth/refresh" => Reply::json(200, &json!({ "access_token": "renewed-access-token" })),
        "GET /v1/calls" => Reply::json(200, &json!({ "calls": [], "total": 0 })),
        _ => Reply::json(200, &answers),
    });
    for json in [false, true] {
        let flags: Vec<&str> = CALL.iter().copied().chain(json.then_some("--json")).collect();
        let home = Home::new();
        home.sign_in(-10);
        let run = Run::of(&mut home.at(&server, &flags)).exits(0);
        assert!(run.stdout.contains("[redacted] given-access-token-1 [redacted]"), "{}", run.stdout);
        let home = Home::new();
        let mut command = home.kallyai(&flags);
        command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_ACCESS_TOKEN", "given-access-token-1");
        let run = Run::of(&mut command).exits(0);
        assert!(run.stdout.contains(&format!("{TOKEN} [redacted] renewed")), "{}", run.stdout);
    }
}

#[test]
fn what_the_process_of_a_detached_call_has_renewed_is_printed_as_little() {
    let mut echo = call(ID, "success");
    echo["highlights"] = json!("renewed-access-token renewed-refresh-token");
    let refused =
        json!({ "error": { "code": "x", "message": "renewed-access-token renewed-refresh-token" } });
    let renewed = json!({ "access_token": "renewed-access-token", "refresh_token": "renewed-refresh-token" });
    for (status, answer, exit) in [(200, echo, 0), (422, refused, 1)] {
        for json in [&[][..], &["--json"]] {
            let (renewed, answer) = (renewed.clone(), answer.clone());
            let server = Server::start(move |request| match request.line().as_str() {
                "POST /v1/auth/refresh" => Reply::json(200, &renewed),
                "POST /v1/calls"
                    if request.header("authorization") == Some("Bearer renewed-access-token") =>
                {
                    Reply::json(status, &answer)
                }
                "POST /v1/calls" => Reply::json(401, &json!({ "error": { "code": "missing_token" } })),
                _ => Reply::json(200, &json!({ "calls": [], "total": 0 })),
            });
            let run = Run::of(Home::new().at(&server, CALL).arg("--detach").args(json)).exits(exit);
            let printed = run.stdout + &run.stderr;
            assert!(printed.contains("[redacted] [redacted]") && !printed.contains("renewed-"), "{printed}");
        }
    }
}

#[test]
fn a_token_shows_neither_cut_up_nor_in_the_wrong_place() {
    const WITH_WORDS: &str = "a_token_with_words_in_it";
    let login = |home: &Home, server: &Server| {
        let login = json!({ "access_token": WITH_WORDS, "refresh_token": REFRESH, "expires_at": 4_000_000_000_u32,
                            "issuer": server.url() });
        std::fs::write(home.token_file(), login.to_string()).expect("a login");
    };
    let hides = |run: &Run| {
        let printed = format!("{}{}", run.stdout, run.stderr);
        for part in [WITH_WORDS, "token with", TOKEN] {
            assert!(!printed.contains(part), "{printed}");
        }
    };
    let account =
        json!({ "has_active_subscription": true, "subscription_status": WITH_WORDS, "status": WITH_WORDS });
    let (home, server) = (Home::new(), Server::always(Reply::json(200, &account)));
    for flag in ["--usage", "--subscription"] {
        let mut command = home.at(&server, [flag]);
        login(&home, &server);
        hides(&Run::of(&mut command).exits(0));
    }
    let cut = format!("{}\u{ad}{}", &WITH_WORDS[..9], &WITH_WORDS[9..]);
    let gate = Gate::default();
    let ended = Reply::Held(gate.clone(), Box::new(Reply::json(200, &call(ID, &cut))));
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => ended.clone(),
        _ => Reply::json(200, &json!({ "calls": [] })),
    });
    let home = Home::new();
    let with_login = |args: &[&str]| {
        let command = home.at(&server, args);
        login(&home, &server);
        command
    };
    // Nobody is told of the end but the journal.
    let mut detaching = Running::start(&mut with_login(&[&CALL[..], &["--detach"]].concat()));
    server.wait_for("POST", "/v1/calls", 1);
    detaching.kill();
    detaching.end();
    gate.open();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let run = Run::of(&mut with_login(&["--pending"])).exits(0);
        hides(&run);
        if run.stdout.contains("ended") {
            break;
        }
        assert!(Instant::now() < until, "{}", run.stdout);
    }
    hides(&Run::of(&mut with_login(&["--resume", WITH_WORDS])).exits(1));
    hides(&Run::of(&mut with_login(&["--usage", &format!("--{}", WITH_WORDS.replace('_', "-"))])).exits(2));
}

#[test]
fn the_address_a_sign_in_ends_at_is_not_repeated_where_it_is_pasted_in_the_wrong_place() {
    let home = Home::new();
    let url = "http://localhost:8976/callback?access_token=hunter2-hunter2-hunter2&state=0123456789";
    let server = Server::always(Reply::new(404, ""));
    for flags in [
        &["--resume", url][..],
        &["--call-info", url],
        &["--transcript", url],
        &["--calendar", url],
        &["-p", "+15551234567", "-t", "x", "--idempotency-key", url],
        &["-p", url, "-t", "x"],
        &["-p", "+15551234567", "-t", "x", "--timezone", url],
    ] {
        for json in [&[][..], &["--json"]] {
            let run = Run::of(home.at(&server, flags).args(json)).exits(2);
            run.never_says("hunter2").never_says("localhost:8976").never_says("0123456789");
        }
    }
    assert!(server.requests().is_empty());
}

#[test]
fn debug_begins_by_saying_what_it_holds_and_keeps_the_billing_address_back() {
    let portal = json!({ "url": "https://billing.example/session/let-me-in" });
    let server =
        Server::always(Reply::json(200, &portal).with("Link", "<https://billing.example/let-me-in>"));
    let home = Home::new();
    let run = Run::of(&mut home.at(&server, ["--billing", "--debug"])).exits(0);
    assert!(run.stderr.starts_with("This trace holds telephone numbers, names and tasks"), "{}", run.stderr);
    assert!(run.stdout.contains("let-me-in") && !run.stderr.contains("let-me-in"), "{}", run.stderr);
    let subscription: Value =
        json!({ "has_active_subscription": true, "management_url": "https://x.example/let-me-in" });
    let server = Server::always(Reply::json(200, &subscription));
    let run = Run::of(&mut home.at(&server, ["--subscription", "--debug"])).exits(0);
    assert!(!run.stderr.contains("let-me-in") && run.stderr.contains("has_active"), "{}", run.stderr);
}

#[test]
fn the_journal_of_a_detached_call_holds_no_login_though_the_service_repeats_it() {
    let home = Home::new();
    home.sign_in(3600);
    let refused = format!(r#"{{"error":{{"code":"x","message":"{TOKEN} {REFRESH}"}}}}"#);
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Reply::new(422, refused.as_str()),
        _ => Reply::json(200, &json!({ "calls": [] })),
    });
    let mut command = home.at(&server, CALL);
    command.env("KALLYAI_STATE_DIR", home.state()).args(["--detach", "--json"]);
    Run::of(&mut command).exits(1);
    let journal = std::fs::read_to_string(home.journal_file()).expect("a journal");
    assert!(journal.contains("[redacted] [redacted]"), "{journal}");
    assert!(!journal.contains(TOKEN) && !journal.contains(REFRESH), "{journal}");
}
