//! Tests the output of the `billing` and `calendar` commands.

use serde_json::json;

use crate::support::{Home, ID, Reply, Run, Server};

fn shown(reply: Reply, line: &[&str]) -> Run {
    let home = Home::new();
    Run::of(&mut home.at(&Server::always(reply), line))
}

#[test]
fn billing_prints_only_the_url() {
    let portal = json!({ "url": "https://billing.example/session/1" });
    let run = shown(Reply::json(200, &portal), &["billing"]).exits(0);
    assert_eq!(run.stdout, "https://billing.example/session/1\n");
    assert_eq!(run.stderr, "");
}

#[test]
fn calendar_file_is_printed_and_saved_unchanged() {
    let ics = "BEGIN:VCALENDAR\r\nSUMMARY:caf\u{e9} \u{1b}\r\nEND:VCALENDAR\r\n";
    let (home, server) = (Home::new(), Server::always(Reply::new(200, ics)));
    let file = home.path("dinner.ics").display().to_string();
    let run = |flags: &[&str]| Run::of(home.at(&server, ["calendar", ID]).args(flags));
    assert_eq!(run(&[]).exits(0).stdout, ics);
    assert_eq!(run(&["--json"]).exits(0).json(), json!({ "calendar": ics }));
    let saved = run(&["-o", &file]).exits(0);
    assert_eq!(saved.stdout, "");
    assert_eq!(saved.stderr, format!("Saved to {file}\n"));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), ics);
    let saved = run(&["-o", &file, "--json"]).exits(0);
    assert_eq!(saved.json(), json!({ "output": file }));
    let nowhere = home.path("no/such/x.ics").display().to_string();
    run(&["-o", &nowhere, "--json"]).fails(1, "io");
}
