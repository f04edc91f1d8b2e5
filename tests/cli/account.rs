//! Billing, calendars, transcripts and calls, as people and programs read them.

use serde_json::{Value, json};

use crate::support::{Home, ID, Reply, Run, Server};

fn shown(reply: Reply, line: &[&str]) -> Run {
    let home = Home::new();
    Run::of(&mut home.at(&Server::always(reply), line))
}

#[test]
fn billing_url_is_always_printed() {
    let portal = json!({ "url": "https://billing.example/session/1" });
    let run = shown(Reply::json(200, &portal), &["billing"]).exits(0);
    assert_eq!(run.stdout, "https://billing.example/session/1\n");
    assert_eq!(run.stderr, "");
}

#[test]
fn calendar_is_passed_on_byte_for_byte() {
    let ics = "BEGIN:VCALENDAR\r\nSUMMARY:caf\u{e9} \u{1b}\r\nEND:VCALENDAR\r\n";
    let (home, server) = (Home::new(), Server::always(Reply::new(200, ics)));
    let file = home.path("dinner.ics").display().to_string();
    let run = |flags: &[&str]| Run::of(home.at(&server, ["calendar", ID]).args(flags));
    assert_eq!(run(&[]).exits(0).stdout, ics);
    assert_eq!(run(&["--json"]).exits(0).json(), json!({ "calendar": ics }));
    let saved = run(&["-o", &file]).exits(0);
    assert_eq!(
        (saved.stdout.as_str(), saved.stderr),
        ("", format!("Saved to {file}\n"))
    );
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), ics);
    assert_eq!(
        run(&["-o", &file, "--json"]).exits(0).json(),
        json!({ "output": file })
    );
    let nowhere = home.path("no/such/x.ics").display().to_string();
    assert_eq!(
        run(&["-o", &nowhere, "--json"]).exits(1).error()["code"],
        "io"
    );
}

#[test]
fn calendar_must_be_one_and_gets_its_line_ends() {
    let bare = Reply::new(200, "BEGIN:VCALENDAR\nEND:VCALENDAR\n");
    let run = shown(bare, &["calendar", ID]).exits(0);
    assert_eq!(run.stdout, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    for text in [
        "<html>Sign in</html>",
        "BEGIN:VCALENDAR\r\nSUMMARY:x\r\n",
        "",
    ] {
        let run = shown(Reply::new(200, text), &["calendar", ID, "--json"]).exits(1);
        assert_eq!(run.error()["code"], "unexpected_response");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn speakers_need_no_known_name() {
    for (body, expected) in [
        (
            json!([{ "role": "Operator", "text": "Hold on." }]),
            "Operator  Hold on.\n",
        ),
        (
            json!([{ "role": "error: x [io]", "text": "No." }]),
            "?  No.\n",
        ),
        (json!({ "entries": [] }), "Nothing was said.\n"),
    ] {
        let run = shown(Reply::json(200, &body), &["transcript", ID]).exits(0);
        assert_eq!(run.stdout, expected);
    }
}

#[test]
fn call_shows_its_result_before_its_details() {
    let older = json!({
        "call_id": ID, "status": "success", "created_at": "2026-01-28T20:00:00Z", "ended_at": "2026-01-28T20:02:00Z",
        "to": "+15551234567", "business_name": "Bistro", "result_summary": "Booked.\nSee you.",
    });
    let run = shown(Reply::json(200, &older), &["call-info", ID]).exits(0);
    let expected = "Number    +15551234567\nBusiness  Bistro\nResult    Booked.\n          See you.\n\
         Created   Wed 2026-01-28 15:00\nEnded     Wed 2026-01-28 15:02\nsuccess  ";
    assert_eq!(run.stdout, format!("{expected}{ID}\n"));
}

#[test]
fn exit_status_is_7_unless_the_call_succeeded() {
    for (status, exit) in [
        ("busy", 7),
        ("cancelled", 7),
        ("success", 0),
        ("in_progress", 0),
    ] {
        let call: Value = json!({ "call_id": ID, "status": status });
        shown(Reply::json(200, &call), &["call-info", ID, "--exit-status"]).exits(exit);
        shown(Reply::json(200, &call), &["call-info", ID]).exits(0);
    }
}
