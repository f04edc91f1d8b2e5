//! Every command's output as a person sees it at 40, 80 and 120 columns, in Spanish, and as a program reads it.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, Reply, Run, Server, seen};

/// What the commands below are answered with.
fn service() -> Server {
    Server::start(|request| {
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/v1/calls" if request.method == "POST" => Reply::json(201, &booked()),
            "/v1/calls" => Reply::json(200, &json!({ "calls": history(), "total": 42 })),
            "/v1/users/me/statistics" => Reply::new(200, include_str!("../fixtures/statistics.json")),
            "/v1/users/me/subscription" => Reply::new(200, include_str!("../fixtures/subscription.json")),
            "/v1/stripe/billing-portal" => Reply::new(200, include_str!("../fixtures/billing_portal.json")),
            _ if path.ends_with("/transcript") => Reply::json(200, &conversation()),
            _ if path.ends_with("/calendar.ics") => {
                Reply::new(200, "BEGIN:VCALENDAR\r\nSUMMARY:Table for 4\r\nEND:VCALENDAR\r\n")
            }
            _ if path.ends_with("/none") => Reply::new(404, include_str!("../fixtures/error.json")),
            _ => Reply::json(200, &booked()),
        }
    })
}

fn booked() -> Value {
    json!({
        "call_id": ID,
        "status": "success",
        "highlights": "They have a table for four at 8 pm, by the window, and will keep it for a quarter of an hour.\nAsk for Lucía.",
        "next_steps": "Arrive on time; call +15551234567 to change or cancel the reservation.",
        "duration_seconds": 74.5,
        "timezone": "Europe/Madrid",
        "metadata": { "created_at": "2026-01-28T20:00:00Z", "ended_at": "2026-01-28T20:01:15Z" },
        "submission": {
            "task_category": "restaurant",
            "user_name": "John Smith",
            "party_size": 4,
            "appointment_date": "2026-01-28",
            "appointment_time": "20:00",
            "time_preference_text": "between half past seven and nine",
            "language": "en",
            "call_language": "es",
            "is_urgent": true,
            "additional_instructions": ["Ask for a quiet corner.", "Two of us eat no meat."],
            "task_description": "Reserve a table for 4 at 8pm, by the window if they have one, under the name of John Smith",
            "respondent_phone": "+15551234567",
            "business_name": "Casa Lucio",
        },
    })
}

fn history() -> Value {
    let call = |n: u32, status: &str, whom: &str, what: &str| {
        json!({
            "call_id": format!("{n:08x}-55aa-4bbb-8ccc-0123456789ab"),
            "status": status,
            "created_at": format!("2026-01-{:02}T20:0{n}:00Z", 28 - n),
            "business_name": whom,
            "result_summary": what,
        })
    };
    json!([
        call(
            0,
            "success",
            "Casa Lucio",
            "Casa Lucio: they have a table for four at 8 pm, by the window, and will keep it for a quarter of an hour."
        ),
        call(1, "no_answer", "寿司次郎 銀座本店", "誰も電話に出ませんでした。"),
        call(2, "failed", "مطعم النخيل", "كان الخط مشغولاً"),
        call(3, "voicemail", "Pizzería 🍕 Bella", "A message was left 👩‍👩‍👧 e\u{301}te\u{301}."),
        call(4, "in_progress", "Clínica Sol", ""),
        call(5, "something_new", "A business with a very long name indeed", "x"),
    ])
}

fn conversation() -> Value {
    let turn = |speaker: &str, content: &str, timestamp: &str| json!({ "speaker": speaker, "content": content, "timestamp": timestamp });
    json!({ "entries": [
        turn("AI", "Hello, this is an AI assistant calling on behalf of John Smith. I would like to reserve a table for four, today at eight, by the window if you have one.", "00:00:04"),
        turn("HUMAN", "Un momento, por favor.\nYes, we have one.", "00:00:17"),
        turn("AI", "もう一度お願いします。日本語の長い文章は単語の間に空白がないので、幅に合わせて折り返されます。確認してください。", "00:00:24"),
    ] })
}

/// An account that has come to its end, and calls that were not answered.
fn poor_service() -> Server {
    Server::start(|request| {
        let path = request.target.split('?').next().unwrap_or_default();
        Reply::json(
            200,
            &match path {
                "/v1/calls" if request.method == "POST" => json!({ "call_id": ID, "status": "no_answer" }),
                "/v1/calls" => json!({ "calls": [], "total": 0 }),
                "/v1/users/me/statistics" => json!({
                    "plan_type": "pro", "subscription_status": "past_due", "minutes_allocated": 100, "minutes_used": 112,
                    "minutes_remaining": -12, "calls_allocated": 20, "calls_used": 23, "calls_remaining": -0.0,
                    "usage_percentage": 112,
                }),
                "/v1/users/me/subscription" => {
                    json!({ "has_active_subscription": false, "status": "past_due" })
                }
                _ => json!({ "entries": [] }),
            },
        )
    })
}

#[track_caller]
fn reads_well(server: &Server, name: &str, flags: &[&str]) {
    for columns in [40, 80, 120] {
        let shown = seen(&Home::new().at(server, flags), columns);
        assert_snapshot!(format!("{name}_{columns}"), shown.replace(server.url(), "URL"));
    }
    let spanish = seen(Home::new().at(server, flags).args(["-l", "es"]), 80);
    assert_snapshot!(format!("{name}_spanish"), spanish.replace(server.url(), "URL"));
    let home = Home::new();
    let run = Run::of(home.at(server, flags).arg("--json"));
    assert_snapshot!(
        format!("{name}_json"),
        format!("{}{}", run.stdout, run.stderr).replace(server.url(), "URL")
    );
}

#[test]
fn every_command_reads_well_at_40_80_and_120_columns_and_as_json() {
    let server = service();
    for (name, flags) in [
        ("call", &CALL[..]),
        ("history", &["--history"]),
        ("call_info", &["--call-info", ID]),
        ("transcript", &["--transcript", ID]),
        ("calendar", &["--calendar", ID]),
        ("usage", &["--usage"]),
        ("subscription", &["--subscription"]),
        ("billing", &["--billing"]),
        ("logout", &["--logout"]),
        ("pending", &["--pending"]),
        ("dry_run", &["-p", "+15551234567", "-t", "Ask", "--dry-run", "--idempotency-key", "k"]),
        ("refused", &["--call-info", "none"]),
        ("mistaken", &["-p", "911", "-t", "Help"]),
    ] {
        reads_well(&server, name, flags);
    }
}

#[test]
fn what_is_empty_over_or_overdue_reads_well() {
    let server = poor_service();
    for (name, flags) in [
        ("no_answer", &CALL[..]),
        ("history_empty", &["--history"]),
        ("transcript_empty", &["--transcript", ID]),
        ("usage_over", &["--usage"]),
        ("subscription_overdue", &["--subscription"]),
    ] {
        reads_well(&server, name, flags);
    }
}
