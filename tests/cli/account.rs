//! Tests the output of billing, calendars, transcripts and calls as text and as JSON.

use serde_json::json;

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
fn calendar_is_printed_byte_for_byte() {
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
fn calendar_is_validated_and_gets_crlf_line_endings() {
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
