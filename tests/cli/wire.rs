//! Tests the requests that the program sends.

use serde_json::{Value, json};

use crate::support::{
    CALL, Home, ID, PRE_CALL_LOOKUP, Reply, Request, Run, Server, call, has, parallel,
};

/// Splits a command line into words like a shell, except that it supports only double quotes.
pub fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    let words = parts.map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect::<Vec<_>>().concat()
}

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";

/// Starts a service with one call and no subscription.
fn service() -> Server {
    Server::start(|request| match request.target.split('?').next() {
        Some("/v1/calls") if request.method == "POST" => Reply::json(201, &call(ID, "success")),
        Some("/v1/calls") if request.target == PRE_CALL_LOOKUP => {
            Reply::new(200, r#"{"calls":[]}"#)
        }
        Some("/v1/calls") => Reply::json(200, &json!({ "calls": [call(ID, "success")] })),
        Some(path) if path.ends_with("/transcript") => Reply::new(200, r#"{"entries":[]}"#),
        Some(path) if path.ends_with("/calendar.ics") => Reply::new(200, CALENDAR),
        Some("/v1/stripe/billing-portal") => Reply::new(200, r#"{"url":"https://x.example"}"#),
        Some("/v1/users/me/subscription") => {
            Reply::new(200, r#"{"has_active_subscription":false}"#)
        }
        Some("/v1/users/me/statistics") => Reply::new(200, "{}"),
        _ => Reply::json(200, &call(ID, "success")),
    })
}

/// Runs a command line and returns its requests, except the lookup before a new call.
#[track_caller]
fn requests(line: &[&str]) -> Vec<Request> {
    let (home, server) = (Home::new(), service());
    Run::of(&mut home.at(&server, line)).exits(0);
    let mut sent = server.requests();
    sent.retain(|request| request.target != PRE_CALL_LOOKUP);
    sent
}

/// Runs a command line and returns the body of its only POST.
#[track_caller]
fn posted(line: &[&str]) -> Value {
    let sent = requests(line);
    assert_eq!(sent.len(), 1, "{line:?}");
    sent[0].json()
}

/// Each row has a command line for the older kallyai-cli, the same command in the new syntax, and
/// the request that both send. For a call, the last column lists only the fields whose values
/// differ from the defaults.
const LINES: &str = r#"
--usage | usage | GET /v1/users/me/statistics
--stats | stats | GET /v1/users/me/statistics
--us | usage | GET /v1/users/me/statistics
--subscription | subscription | GET /v1/users/me/subscription
--sub | sub | GET /v1/users/me/subscription
--billing | billing | GET /v1/stripe/billing-portal
--history | history | GET /v1/calls?limit=10
--list | list | GET /v1/calls?limit=10
--hist --limit 5 | history --limit 5 | GET /v1/calls?limit=5
--limit 5 --history | --limit 5 history | GET /v1/calls?limit=5
--history --limit=3 --offset=20 | history --limit=3 --offset=20 | GET /v1/calls?limit=3&offset=20
--json --history | --json history | GET /v1/calls?limit=10
--call-info ID | call-info ID | GET /v1/calls/ID
--call-info=ID --json | call-info --json ID | GET /v1/calls/ID
--call ID | call-info ID | GET /v1/calls/ID
--transcript ID | transcript ID | GET /v1/calls/ID/transcript
--transcript=ID | transcript ID | GET /v1/calls/ID/transcript
--json --trans ID | transcript ID --json | GET /v1/calls/ID/transcript
--call-info 3F2A | call-info 3F2A | GET /v1/calls?limit=200 GET /v1/calls/ID
--transcript last | transcript last | GET /v1/calls?limit=1 GET /v1/calls/ID/transcript
--calendar ID | calendar ID | GET /v1/calls/ID/calendar.ics
--auth-status | auth-status |
--logout | logout |
-p +15551234567 -t Ask | call +15551234567 Ask | {}
-t Ask -p +15551234567 | call -t Ask +15551234567 | {}
-p+15551234567 -tAsk | call -p+15551234567 -tAsk | {}
-p=+15551234567 -t=Ask | call -p=+15551234567 -t=Ask | {}
--phone +15551234567 --task Ask | call --phone +15551234567 --task Ask | {}
--phone=+15551234567 --task=Ask --json | call +15551234567 Ask --json | {}
--ph +15551234567 --ta Ask --cat hotel | call +15551234567 Ask -c hotel | {"task_category":"hotel"}
-p "+1 (555) 123-4567" -t Ask | call "+1 (555) 123-4567" Ask | {}
-p +15551234567 -t "Ask  about  --usage" | call +15551234567 "Ask  about  --usage" | {"task_description":"Ask  about  --usage"}
-p +15551234567 -t history | call +15551234567 history | {"task_description":"history"}
-p +15551234567 -t Ask -l es | call +15551234567 Ask -l es | {"language":"es","call_language":"es"}
-p +15551234567 -t Ask -les | -les call +15551234567 Ask | {"language":"es","call_language":"es"}
-p +15551234567 -t Ask --call-language es | call +15551234567 Ask --call-language=es | {"call_language":"es"}
-p +15551234567 -t Ask --name "Ana María" | call +15551234567 Ask --name "Ana María" | {"user_name":"Ana María"}
-p +15551234567 -t Ask --business Lucali --party-size 4 | call +15551234567 Ask --party-size=4 --business Lucali | {"business_name":"Lucali","party_size":4}
-p +15551234567 -t Ask --date 2077-01-28 --time 20:00 | call +15551234567 Ask --time 8pm --date 2077-01-28 | {"appointment_date":"2077-01-28","appointment_time":"20:00"}
-p +15551234567 -t Ask --timezone Europe/Madrid | --timezone europe/madrid call +15551234567 Ask | {"timezone":"Europe/Madrid"}
-p +15551234567 -t "Reserve a table for 4 at 8pm" --category restaurant --name "John Smith" --party-size 4 --date "2026-01-28" --time "20:00" | call +15551234567 "Reserve a table for 4 at 8pm" -c restaurant --name "John Smith" --party-size 4 --date 2026-01-28 --time 20:00 | {"task_category":"restaurant","task_description":"Reserve a table for 4 at 8pm","user_name":"John Smith","party_size":4,"appointment_date":"2026-01-28","appointment_time":"20:00"}
-p +14155551234 -t "Schedule dental checkup" -c clinic --name "Jane Doe" --time-pref "morning before 11am" | call +14155551234 "Schedule dental checkup" -c clinic --name "Jane Doe" --time-preference "morning before 11am" | {"respondent_phone":"+14155551234","task_category":"clinic","task_description":"Schedule dental checkup","user_name":"Jane Doe","time_preference_text":"morning before 11am"}
"#;

/// Returns the request body of a call that has these fields in the last column of [`LINES`].
fn expected_body(column: &str) -> Value {
    let mut body = json!({
        "submission": {
            "task_category": "general",
            "task_description": "Ask",
            "respondent_phone": "+15551234567",
            "language": "en",
            "call_language": "en",
        },
        "timezone": "America/New_York",
    });
    let fields: serde_json::Map<String, Value> = serde_json::from_str(column).expect("an object");
    for (name, value) in fields {
        match name.as_str() {
            "timezone" => body[name] = value,
            _ => body["submission"][name] = value,
        }
    }
    body
}

#[test]
fn flag_syntax_and_command_syntax_send_the_same_requests() {
    let lines: Vec<&str> = LINES.trim().lines().collect();
    for some in lines.chunks(8) {
        parallel(some, |line| {
            let columns: Vec<String> = line
                .split('|')
                .map(|text| text.trim().replace("ID", ID))
                .collect();
            let [flags, words_form, expected] = &columns[..] else {
                panic!("{line}");
            };
            for form in [flags, words_form] {
                let sent = requests(&words(form));
                if expected.starts_with('{') {
                    let posts: Vec<Value> = sent.iter().map(Request::json).collect();
                    assert_eq!(posts, [expected_body(expected)], "{form}");
                    assert_eq!(sent[0].line(), "POST /v1/calls");
                } else {
                    let lines: Vec<String> = sent.iter().map(Request::line).collect();
                    assert_eq!(&lines.join(" "), expected, "{form}");
                    let is_read = |request: &Request| {
                        request.header("idempotency-key").is_none() && request.body.is_empty()
                    };
                    assert!(sent.iter().all(is_read));
                }
            }
        });
    }
}

#[test]
fn login_can_be_a_flag_or_a_command() {
    let home = Home::new();
    for form in ["--login", "login"] {
        let run = Run::of(&mut home.kallyai([form, "--json", "--no-input"])).exits(0);
        let url = run.json()["sign_in_url"]
            .as_str()
            .expect("a URL")
            .to_owned();
        let start = "https://api.kallyai.com/v1/auth/cli?redirect_uri=http%3A%2F%2Flocalhost%3A8976%2Fcallback&state=";
        assert!(url.starts_with(start), "{url}");
    }
}

#[test]
fn every_api_field_has_a_flag() {
    let line = r#"-p "+34 912 345 678" -t Reservar -c hotel -l es --call-language en
        --user-phone "+1 (555) 765-4321" --instruction "- no smoking" --instruction "quiet room"
        --urgent --session-id s-1 --timezone europe/madrid"#;
    assert_eq!(
        posted(&words(line)),
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
fn each_call_has_its_own_key_unless_a_key_is_given() {
    let keyed = [&CALL[..], &["--idempotency-key", "Booking-1"]].concat();
    let (one, two, given) = (requests(&CALL), requests(&CALL), requests(&keyed));
    let key = |sent: &[Request]| sent[0].header("idempotency-key").expect("a key").to_owned();
    assert!(key(&one).len() >= 32 && key(&one) != key(&two));
    assert!(key(&given).eq_ignore_ascii_case("booking-1"));
    let agent = concat!("kallyai/", env!("CARGO_PKG_VERSION"));
    assert_eq!(one[0].header("user-agent"), Some(agent));
    assert_eq!(one[0].header("content-type"), Some("application/json"));
}

#[test]
fn language_and_zone_come_from_flag_environment_or_system() {
    for row in "LANG=es_ES.UTF-8 | | es America/New_York
        LANG=es_MX LC_ALL=de_DE TZ=:Europe/Paris | | en Europe/Paris
        LANG=es_MX KALLYAI_LANGUAGE=en KALLYAI_TIMEZONE=Asia/Tokyo | | en Asia/Tokyo
        KALLYAI_LANGUAGE=es KALLYAI_TIMEZONE=Asia/Tokyo | -l en --timezone Europe/Rome | en Europe/Rome
        KALLYAI_LANGUAGE=ES LANG= TZ=UTC | | es UTC
        TZ=UTC | --time 20:00 | en UTC utc_zone
        TZ=UTC | --time 20:00 --timezone UTC | en UTC"
        .lines()
    {
        let [variables, flags, expected] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let run = dry_run(variables, flags);
        let facts = [&run["body"]["submission"]["language"], &run["body"]["timezone"], &run["warnings"][0]["code"]];
        let facts: Vec<&str> = facts.into_iter().filter_map(Value::as_str).collect();
        assert_eq!(facts.join(" "), expected.trim(), "{row}");
    }
}

#[test]
fn user_name_and_phone_come_from_environment_variables() {
    let variables = "KALLYAI_NAME=Ana KALLYAI_USER_PHONE=+1-555-765-4321";
    for (flags, name) in [("", "Ana"), ("--name Eva", "Eva")] {
        let sent = dry_run(variables, flags)["body"]["submission"].clone();
        let expected = json!({ "user_name": name, "user_phone": "+15557654321" });
        has(&sent, expected);
    }
}

/// Returns the JSON output of a dry run with these environment variables and flags.
fn dry_run(variables: &str, flags: &str) -> Value {
    let variables = variables
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    let home = Home::new();
    let mut command = home.kallyai(CALL);
    command
        .args(words(flags))
        .args(["--dry-run", "--json"])
        .envs(variables);
    Run::of(&mut command).exits(0).json()
}
