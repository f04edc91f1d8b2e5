//! What programs read: the help as JSON, short histories, notes that come once.

use serde_json::{Value, json};

use crate::support::{Home, Reply, Run, Server, at_once, call};

fn calls(count: usize) -> Vec<Value> {
    (0..count).map(|n| call(&format!("{n:08x}-55aa-4bbb-8ccc-0123456789ab"), "success")).collect()
}

#[test]
fn the_help_is_also_one_json_document() {
    let home = Home::new();
    let help = Run::of(&mut home.kallyai(["--help", "--json"])).exits(0);
    let document = help.json();
    let flags = document["flags"].as_array().expect("flags");
    let text = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    for flag in flags {
        let name = flag["flag"].as_str().expect("a name");
        assert!(text.contains(name), "{name}");
        assert!(flag["commands"].as_array().is_some_and(|commands| !commands.is_empty()), "{flag}");
        assert!(flag["help"].as_str().is_some_and(|help| !help.is_empty()), "{flag}");
    }
    // The numbers are those that the sandbox knows.
    at_once(document["sandbox_numbers"].as_array().expect("numbers"), |entry| {
        let home = Home::new();
        let (number, outcome) =
            (entry["number"].as_str().expect("one"), entry["outcome"].as_str().expect("one"));
        let statuses = ["no_answer", "busy", "failed", "voicemail", "cancelled"];
        if statuses.contains(&outcome) {
            let run = home.sandbox(&["-p", number, "-t", "Ask for the hours", "--json"]).exits(0);
            assert_eq!(run.json()["status"], outcome, "{number}");
        } else if let Some(known) =
            document["errors"].as_array().expect("errors").iter().find(|error| error["code"] == outcome)
        {
            let run = home.sandbox(&["-p", number, "-t", "Ask for the hours", "--json"]);
            assert_eq!(run.exit.map(i64::from), known["exit"].as_i64(), "{number}");
            assert_eq!(run.error()["code"], outcome, "{number}");
        }
    });
}

#[test]
fn a_brief_history_is_one_document_of_short_lines() {
    let home = Home::new();
    let ten = calls(10);
    let server = Server::always(Reply::json(200, &json!({ "calls": ten, "total": 42 })));
    let run = Run::of(&mut home.at(&server, ["--history", "--brief"])).exits(0);
    let document = run.json();
    assert_eq!(document["total"], 42);
    let first = &document["calls"][0];
    assert_eq!((&first["id"], &first["status"]), (&json!("00000000"), &json!("success")));
    assert_eq!(
        (&first["number"], &first["summary"]),
        (&json!("+15551234567"), &json!("A table for four is booked."))
    );
    assert_eq!(run.stdout.lines().count(), 12, "{}", run.stdout);
    assert!(run.stdout.len() < 1500, "{}", run.stdout.len());
    // Beyond the newest calls a beginning would not be found.
    let all = Run::of(&mut home.at(&server, ["--history", "--brief", "--all", "--json"])).exits(0).json();
    assert_eq!(all["calls"][0]["id"], ten[0]["call_id"]);
    let none = Run::of(&mut home.at(&server, ["--history", "--brief", "--status", "busy"])).exits(0);
    assert_eq!(none.json(), json!({ "calls": [], "total": 0 }));
    assert!(none.stderr.contains("those there are: success"), "{}", none.stderr);
    let found =
        Run::of(&mut home.at(&server, ["--history", "--brief", "--search", "nothing like it"])).exits(0);
    assert_eq!(found.json(), json!({ "calls": [], "total": 0 }));
    Run::of(&mut home.at(&server, ["--usage", "--brief"])).exits(2);
}

#[test]
fn a_status_that_no_call_has_is_answered_with_those_there_are() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "calls": calls(2), "total": 2 })));
    let run = Run::of(&mut home.at(&server, ["--history", "--status", "completed"])).exits(0);
    assert_eq!(run.stdout, "There is no call of status completed; those there are: success.\n");
    let run = Run::of(&mut home.at(&server, ["--history", "--status", "completed", "--json"])).exits(0);
    assert_eq!(run.json(), json!({ "calls": [], "total": 0 }));
    assert!(run.stderr.contains("[no_match]"), "{}", run.stderr);
}

#[test]
fn an_id_that_is_too_short_says_so_before_anything_is_sent() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let run = Run::of(&mut home.at(&server, ["--call-info", "3f2"])).exits(2);
    assert!(
        run.stderr.contains("'3f2' is too short") && run.stderr.contains("4 characters"),
        "{}",
        run.stderr
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn off_a_terminal_the_sandbox_is_named_once_a_day() {
    let home = Home::new();
    assert!(home.sandbox(&["--usage"]).exits(0).stderr.starts_with("sandbox: "));
    assert_eq!(home.sandbox(&["--usage"]).exits(0).stderr, "");
    std::fs::write(home.path(".local/state/kallyai/sandbox/told"), "2020-01-01")
        .expect("a note of another day");
    assert!(home.sandbox(&["--usage"]).exits(0).stderr.starts_with("sandbox: "));
    home.sandbox(&["--logout"]).exits(0);
    assert!(home.sandbox(&["--usage"]).exits(0).stderr.starts_with("sandbox: "));
}

#[test]
fn a_dry_run_says_what_is_probably_not_meant() {
    let home = Home::new();
    let flags = [
        "-p",
        "+15551234567",
        "-t",
        "Reserve",
        "-c",
        "restaurant",
        "--date",
        "2020-01-01",
        "--dry-run",
        "--json",
    ];
    let told = Run::of(&mut home.kallyai(flags)).exits(0).json();
    let codes: Vec<&Value> =
        told["warnings"].as_array().expect("a list").iter().map(|w| &w["code"]).collect();
    assert_eq!(codes, ["past_date", "no_name"]);
    assert_eq!(told["would_place"], true);
    let named = Run::of(home.kallyai(flags).args(["--name", "John", "--date", "2099-01-01"])).exits(0).json();
    assert_eq!(named["warnings"], json!([]));
}
