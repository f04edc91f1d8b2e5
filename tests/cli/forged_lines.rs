//! No text of others begins a line of its own on a terminal, however long it is and wherever it breaks: it could pass for
//! a line of the program's.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::support::{CALL, Home, ID, Reply, Server, at_once, seen};

/// How long a hostile text is, in characters.
const LONG: usize = 78_000;

/// Texts that break at each of their words, at no word, in lines of their own, or in letters of two columns.
fn hostile(longest: usize) -> [String; 5] {
    let lines = format!("XQJXQJ\nXQJXQJ\r\nXQJXQJ\u{2028}XQJXQJ\u{85}{}", "XQJXQJ ".repeat(5));
    ["XQJXQJ ", "XQJXQJ_", &lines, "XQJXQJ寿司", "XQJXQJ\u{2764}\u{fe0f}"].map(|part| {
        let whole = part.repeat(longest / part.chars().count() + 1);
        whole.chars().take(longest).collect()
    })
}

/// Asserts that the terminal wraps nothing by itself, and that no line but ours begins at its edge.
#[track_caller]
fn holds_no_forged_line(screen: &str, columns: u16) {
    assert!(screen.contains("XQ"), "{screen}");
    for line in screen.lines() {
        assert!(line.width() <= usize::from(columns), "{} columns: {line}", line.width());
        let is_forged = line.starts_with(['X', 'Q', 'J', '寿', '司', '\u{2764}']);
        assert!(!is_forged, "{line}");
    }
}

fn call(text: &str, id: &str) -> Value {
    json!({
        "call_id": id, "status": text, "highlights": text, "next_steps": text, "duration_seconds": 3, "timezone": text,
        "submission": {
            "task_category": text, "task_description": text, "respondent_phone": text, "business_name": text,
            "user_name": text, "user_phone": text, "party_size": 4, "appointment_date": text, "appointment_time": text,
            "time_preference_text": text, "language": text, "call_language": text, "additional_instructions": [text],
        },
    })
}

#[test]
fn no_answer_forges_a_line() {
    at_once(hostile(LONG), |text| {
        let turns = json!([
            { "speaker": format!("error: {text}"), "content": text, "timestamp": text },
            { "speaker": "AI", "content": text },
            { "role": "", "content": text },
            text,
        ]);
        let usage = json!({ "plan_type": text, "subscription_status": text, "period_start": text, "period_end": text });
        let subscription = json!({
            "has_active_subscription": true, "plan": { "type": text, "period": text }, "status": text,
            "provider": text, "expires_at": text, "management_url": text,
        });
        let portal = json!({ "url": format!("https://x.example/{}", text.replace(' ', "+")) });
        for (flags, answer) in [
            (&["--transcript", ID][..], turns),
            (&["--call-info", ID], call(&text, &text)),
            (&["--history"], json!({ "calls": [call(&text, &text)], "total": 1 })),
            (&["--usage"], usage),
            (&["--subscription"], subscription),
            (&["--billing"], portal),
        ] {
            let server = Server::always(Reply::json(200, &answer));
            for columns in [40, 80] {
                holds_no_forged_line(&seen(&Home::new().at(&server, flags), columns), columns);
            }
        }
    });
}

#[test]
fn no_result_of_a_placed_call_forges_a_line() {
    // No longer one can be asked for.
    for (text, id) in hostile(LONG).into_iter().zip(hostile(60)) {
        let id = id.replace(char::is_control, " ");
        let server = Server::start(move |request| {
            let listed = request.is("GET", "/v1/calls");
            let ended = || {
                let mut call = call(&text, &id);
                call["status"] = json!("no_answer");
                call
            };
            Reply::json(200, &if listed { json!({ "calls": [], "total": 0 }) } else { ended() })
        });
        for columns in [40, 80] {
            holds_no_forged_line(&seen(&Home::new().at(&server, CALL), columns), columns);
        }
    }
}

#[test]
fn no_failure_forges_a_line() {
    for text in hostile(LONG) {
        let refusal = json!({ "error": { "code": "x", "message": text, "correlation_id": text } });
        for reply in [Reply::json(422, &refusal), Reply::new(200, text.as_str())] {
            let server = Server::always(reply);
            for (flags, columns) in [(&["--usage"][..], 40), (&["--usage", "--debug"], 80)] {
                holds_no_forged_line(&seen(&Home::new().at(&server, flags), columns), columns);
            }
        }
    }
}
