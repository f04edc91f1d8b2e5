//! What goes over the wire, to the letter.

use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, REFRESH, Reply, Request, Run, Server, TOKEN, call};

/// Places a call with these flags and returns the POST.
fn posted(flags: &[&str]) -> Request {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    Run::of(&mut home.at(&server, flags)).exits(0);
    let mut posts = server.requests().into_iter().filter(|request| request.method == "POST");
    let post = posts.next().expect("a POST");
    assert_eq!(posts.count(), 0);
    post
}

fn body(flags: &[&str]) -> Value {
    posted(flags).json()
}

#[test]
fn a_restaurant_is_asked_in_the_apis_own_words() {
    let sent = body(&[
        "-p",
        "+14155551234",
        "-t",
        "Reserve table for 4 at 8pm",
        "--category",
        "restaurant",
        "--business",
        "Italian Bistro",
        "--name",
        "John Smith",
        "--party-size",
        "4",
        "--date",
        "2026-01-28",
        "--time",
        "20:00",
        "--timezone",
        "America/New_York",
    ]);
    assert_eq!(
        sent,
        json!({
            "submission": {
                "task_category": "restaurant",
                "task_description": "Reserve table for 4 at 8pm",
                "respondent_phone": "+14155551234",
                "business_name": "Italian Bistro",
                "user_name": "John Smith",
                "party_size": 4,
                "appointment_date": "2026-01-28",
                "appointment_time": "20:00",
                "language": "en",
                "call_language": "en",
            },
            "timezone": "America/New_York",
        })
    );
}

#[test]
fn a_clinic_is_asked_in_the_apis_own_words() {
    let sent = body(&[
        "-p",
        "+14155551234",
        "-t",
        "Schedule dental checkup",
        "-c",
        "clinic",
        "--name",
        "Jane Doe",
        "--time-preference",
        "morning before 11am",
    ]);
    assert_eq!(
        sent,
        json!({
            "submission": {
                "task_category": "clinic",
                "task_description": "Schedule dental checkup",
                "respondent_phone": "+14155551234",
                "user_name": "Jane Doe",
                "time_preference_text": "morning before 11am",
                "language": "en",
                "call_language": "en",
            },
            "timezone": "America/New_York",
        })
    );
}

#[test]
fn a_general_task_needs_no_more_than_number_and_words() {
    let sent = body(&["-p", "+15551234567", "-t", "Ask about store hours and availability"]);
    assert_eq!(
        sent,
        json!({
            "submission": {
                "task_category": "general",
                "task_description": "Ask about store hours and availability",
                "respondent_phone": "+15551234567",
                "language": "en",
                "call_language": "en",
            },
            "timezone": "America/New_York",
        })
    );
}

#[test]
fn every_field_of_the_api_has_a_flag() {
    let sent = body(&[
        "-p",
        "+34 912 345 678",
        "-t",
        "Reservar",
        "-c",
        "hotel",
        "-l",
        "es",
        "--call-language",
        "en",
        "--user-phone",
        "+1 (555) 765-4321",
        "--instruction",
        "- no smoking",
        "--instruction",
        "quiet room",
        "--urgent",
        "--session-id",
        "s-1",
        "--timezone",
        "europe/madrid",
    ]);
    assert_eq!(
        sent,
        json!({
            "submission": {
                "task_category": "hotel",
                "task_description": "Reservar",
                "respondent_phone": "+34912345678",
                "user_phone": "+15557654321",
                "language": "es",
                "call_language": "en",
                "is_urgent": true,
                "additional_instructions": ["- no smoking", "quiet room"],
            },
            "timezone": "Europe/Madrid",
            "session_id": "s-1",
        })
    );
}

#[test]
fn the_request_carries_who_we_are_and_a_fresh_key() {
    let (one, two) = (posted(&CALL), posted(&CALL));
    assert_eq!(one.line(), "POST /v1/calls");
    assert_eq!(one.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(one.header("content-type"), Some("application/json"));
    assert_eq!(one.header("user-agent"), Some(concat!("kallyai/", env!("CARGO_PKG_VERSION"))));
    let key = one.header("idempotency-key").expect("a key");
    assert!(key.len() >= 32 && Some(key) != two.header("idempotency-key"), "{key}");
}

#[test]
fn a_chosen_key_is_the_one_that_is_sent() {
    let mut flags = CALL.to_vec();
    flags.extend(["--idempotency-key", "booking-1"]);
    assert_eq!(posted(&flags).header("idempotency-key"), Some("booking-1"));
}

#[test]
fn reads_ask_for_no_more_than_they_were_told() {
    let home = Home::new();
    let server = Server::start(|request| match request.target.split('?').next() {
        Some("/v1/calls") => Reply::json(200, &json!({ "calls": [call(ID, "success")], "total": 1 })),
        Some(path) if path.ends_with("/transcript") => Reply::json(200, &json!({ "entries": [] })),
        Some(path) if path.ends_with("/calendar.ics") => {
            Reply::new(200, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
        }
        Some("/v1/users/me/statistics") => Reply::json(200, &json!({})),
        Some("/v1/users/me/subscription") => Reply::json(200, &json!({ "has_active_subscription": false })),
        Some("/v1/stripe/billing-portal") => Reply::json(200, &json!({ "url": "https://billing.example/x" })),
        _ => Reply::json(200, &call(ID, "success")),
    });
    for (flags, lines) in [
        (&["--history"][..], vec!["GET /v1/calls?limit=10".to_owned()]),
        (&["--history", "--limit", "3", "--offset", "0"], vec!["GET /v1/calls?limit=3&offset=0".into()]),
        (&["--list", "--offset", "7"], vec!["GET /v1/calls?limit=10&offset=7".into()]),
        (&["--call-info", ID], vec![format!("GET /v1/calls/{ID}")]),
        (&["--transcript", ID], vec![format!("GET /v1/calls/{ID}/transcript")]),
        (&["--calendar", ID], vec![format!("GET /v1/calls/{ID}/calendar.ics")]),
        (&["--usage"], vec!["GET /v1/users/me/statistics".into()]),
        (&["--stats"], vec!["GET /v1/users/me/statistics".into()]),
        (&["--sub"], vec!["GET /v1/users/me/subscription".into()]),
        (&["--billing"], vec!["GET /v1/stripe/billing-portal".into()]),
        (
            &["--trans", "last"],
            vec!["GET /v1/calls?limit=1".into(), format!("GET /v1/calls/{ID}/transcript")],
        ),
        (&["--call-info", "3F2A"], vec!["GET /v1/calls?limit=200".into(), format!("GET /v1/calls/{ID}")]),
    ] {
        let before = server.requests().len();
        Run::of(&mut home.at(&server, flags)).exits(0);
        let asked: Vec<String> = server.requests().iter().skip(before).map(Request::line).collect();
        assert_eq!(asked, lines, "{flags:?}");
    }
    for request in server.requests() {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert_eq!(request.header("idempotency-key"), None);
        assert_eq!(request.body, "");
    }
}

#[test]
fn an_id_cannot_reach_another_route() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &call(ID, "success")));
    Run::of(&mut home.at(&server, ["--call-info", "../users/me?x#y"])).exits(0);
    assert_eq!(server.requests()[0].line(), "GET /v1/calls/..%2Fusers%2Fme%3Fx%23y");
    for id in ["", ".", "..", "a\nb"] {
        Run::of(&mut home.at(&server, ["--call-info", id])).exits(2);
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_id_from_the_server_is_not_trusted_either() {
    let home = Home::new();
    for id in ["..", "", "a\u{1b}b"] {
        let list = json!({ "calls": [call(id, "success")] });
        let server = Server::always(Reply::json(200, &list));
        Run::of(&mut home.at(&server, ["--call-info", "last"])).exits(2);
        assert_eq!(server.requests().len(), 1, "{id:?}");
    }
}

#[test]
fn a_login_is_renewed_with_its_refresh_token_alone() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::start(|request| match request.line().as_str() {
        "POST /v1/auth/refresh" => Reply::json(200, &json!({ "access_token": "new", "expires_in": 3600 })),
        _ => Reply::json(200, &json!({ "plan_type": "pro" })),
    });
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    let requests = server.requests();
    assert_eq!(requests[0].json(), json!({ "refresh_token": REFRESH }));
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[1].header("authorization"), Some("Bearer new"));
}

#[test]
fn the_language_follows_the_locale_and_the_flags_win() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let language = |env: &[(&str, &str)], flags: &[&str]| {
        let mut command = home.at(&server, CALL);
        Run::of(command.arg("--again").args(flags).envs(env.iter().copied())).exits(0);
        let sent = server.requests().last().expect("a request").json();
        (sent["submission"]["language"].clone(), sent["submission"]["call_language"].clone())
    };
    let both = |language: &str| (json!(language), json!(language));
    assert_eq!(language(&[], &[]), both("en"));
    assert_eq!(language(&[("LANG", "es_ES.UTF-8")], &[]), both("es"));
    assert_eq!(language(&[("LANG", "es_MX"), ("LC_ALL", "de_DE")], &[]), both("en"));
    assert_eq!(language(&[("LANG", "es_MX"), ("KALLYAI_LANGUAGE", "en")], &[]), both("en"));
    assert_eq!(language(&[("KALLYAI_LANGUAGE", "es")], &[]), both("es"));
    assert_eq!(language(&[("KALLYAI_LANGUAGE", "es")], &["-l", "en"]), both("en"));
    assert_eq!(language(&[], &["--call-language", "es"]), (json!("en"), json!("es")));
}

#[test]
fn the_zone_is_the_flags_the_environments_or_the_systems() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let zone = |env: &[(&str, &str)], flags: &[&str]| {
        let mut command = home.at(&server, CALL);
        let run = Run::of(command.arg("--again").args(flags).envs(env.iter().copied())).exits(0);
        (
            server.requests().last().expect("a request").json()["timezone"].clone(),
            run.stderr.contains("warning"),
        )
    };
    assert_eq!(zone(&[], &["--time", "20:00"]), (json!("America/New_York"), false));
    assert_eq!(zone(&[("TZ", ":Europe/Paris")], &[]), (json!("Europe/Paris"), false));
    assert_eq!(zone(&[("KALLYAI_TIMEZONE", "Asia/Tokyo")], &[]), (json!("Asia/Tokyo"), false));
    assert_eq!(
        zone(&[("KALLYAI_TIMEZONE", "Asia/Tokyo")], &["--timezone", "Europe/Rome"]),
        (json!("Europe/Rome"), false)
    );
    assert_eq!(zone(&[("TZ", "UTC")], &[]), (json!("UTC"), false));
    assert_eq!(zone(&[("TZ", "UTC")], &["--time", "20:00"]), (json!("UTC"), true));
    assert_eq!(zone(&[("TZ", "UTC")], &["--time", "20:00", "--timezone", "UTC"]), (json!("UTC"), false));
}
