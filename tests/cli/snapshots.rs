//! Compares the output of commands with snapshots, at each width where the layout changes.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Server, cells, seen};
use crate::wire::words;

/// Starts a service whose responses include long text, non-Latin scripts and emoji.
fn service() -> Server {
    Server::start(|request| {
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/v1/calls" if request.method == "POST" => Reply::json(201, &booked()),
            "/v1/calls" => Reply::json(200, &json!({ "calls": history(), "total": 42 })),
            "/v1/users/me/statistics" => fixture(include_str!("../fixtures/statistics.json")),
            "/v1/users/me/subscription" => fixture(include_str!("../fixtures/subscription.json")),
            _ if path.ends_with("/transcript") => Reply::json(200, &conversation()),
            _ => Reply::json(200, &booked()),
        }
    })
}

fn fixture(body: &str) -> Reply {
    Reply::new(200, body)
}

fn booked() -> Value {
    json!({
        "call_id": ID,
        "status": "success",
        "highlights": "They have a table for four at 8 pm, by the window, and will hold it for fifteen minutes.\nAsk for Lucía.",
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
            "additional_instructions": ["Ask for a quiet corner.", "Two of us are vegetarian."],
            "task_description": "Reserve a table for 4 at 8pm, by the window if they have one, under the name John Smith",
            "respondent_phone": "+15551234567",
            "business_name": "Casa Lucio",
        },
    })
}

fn history() -> Value {
    let calls = [
        "success | Casa Lucio | A table for four at 8 pm, by the window, held for fifteen minutes.",
        "no_answer | 寿司次郎 銀座本店 | 誰も電話に出ませんでした。",
        "failed | مطعم النخيل | كان الخط مشغولاً",
        "voicemail | Pizzería 🍕 Bella | A message was left 👩‍👩‍👧 e\u{301}te\u{301}.",
        "in_progress | Clínica Sol | ",
        "something_new | A business with a very long name indeed | first line\nsecond line",
    ];
    let listed = (0..).zip(calls).map(|(n, row)| {
        let [status, business, result] = cells(row);
        json!({
            "call_id": format!("{n:08x}-55aa-4bbb-8ccc-0123456789ab"),
            "status": status,
            "created_at": format!("2026-01-{:02}T20:0{n}:00Z", 28 - n),
            "business_name": business,
            "result_summary": result,
        })
    });
    listed.collect()
}

fn conversation() -> Value {
    let turns = [
        "AI | Hello, this is an AI assistant calling on behalf of John Smith. I would like to reserve a table for four, today at eight, by the window if you have one.",
        "HUMAN | Un momento, por favor.\nerror: no call was made [usage]",
        "AI | もう一度お願いします。日本語の長い文章は単語の間に空白がないので、幅に合わせて折り返されます。",
    ];
    let turns = (4..).zip(turns).map(|(at, row)| {
        let [speaker, content] = cells(row);
        json!({ "speaker": speaker, "content": content, "timestamp": format!("00:00:0{at}") })
    });
    json!({ "entries": turns.collect::<Vec<_>>() })
}

#[track_caller]
fn assert_screens(server: &Server, line: &str, widths: &[u16]) {
    let name = line.split(' ').next().expect("a command").replace('-', "_");
    for columns in widths {
        let line = line.replace("ID", ID);
        let shown = seen(&Home::new().at(server, words(&line)), *columns);
        assert_snapshot!(
            format!("{name}_{columns}"),
            shown.replace(server.url(), "URL")
        );
    }
}

#[test]
fn output_fits_narrow_and_wide_terminals() {
    let server = service();
    for (line, widths) in [
        ("history", &[40, 80, 120][..]),
        ("call +15551234567 Ask -l es", &[80]),
        ("call-info ID", &[40, 120]),
        ("transcript ID", &[40, 120]),
        ("usage", &[80]),
        ("subscription", &[80]),
        ("help history", &[40, 80]),
    ] {
        assert_screens(&server, line, widths);
    }
}

#[test]
fn refusals_and_empty_lists_match_snapshots() {
    let server = Server::always(Reply::json(200, &json!({ "calls": [], "total": 0 })));
    for (line, widths) in [
        ("pending", &[80][..]),
        ("list", &[40]),
        ("logout", &[80]),
        ("resume", &[40]),
        ("calendar last", &[80]),
    ] {
        assert_screens(&server, line, widths);
    }
}
