//! Placing a call: what is printed, and what the exit status says.

use serde_json::json;

use crate::support::{CALL, Home, ID, Reply, Run, Server, call};
#[cfg(unix)]
use crate::support::{Service, by_shell};

fn answered(reply: Reply, flags: &[&str]) -> Run {
    let home = Home::new();
    let server = Server::always(reply);
    Run::of(home.at(&server, CALL).args(flags))
}

#[test]
fn the_result_ends_with_the_status_and_the_whole_id() {
    let run = answered(Reply::json(201, &call(ID, "success")), &[]).exits(0);
    assert_eq!(
        run.stdout,
        format!(
            "Called      {}\nResult      A table for four is booked.\nNext steps  Arrive on time.\nDuration    1 min 15 s\nsuccess  {ID}\n",
            CALL[1]
        )
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn what_the_server_left_out_or_null_is_left_out() {
    let bare = json!({ "call_id": ID, "status": "no_answer", "highlights": null, "duration_seconds": null, "submission": null });
    let run = answered(Reply::json(200, &bare), &[]).exits(0);
    assert_eq!(run.stdout, format!("no_answer  {ID}\n"));
}

#[test]
fn json_passes_the_servers_object_through() {
    let object = format!(
        r#"{{ "call_id":"{ID}", "status":"success", "n": 1.10, "big":123456789012345678901234567890,"x":{{}} }}"#
    );
    let run = answered(Reply::new(201, object.clone()), &["--json"]).exits(0);
    assert_eq!(
        run.stdout,
        format!(
            r#"{{"call_id":"{ID}","status":"success","n":1.10,"big":123456789012345678901234567890,"x":{{}}}}"#
        ) + "\n"
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn a_call_that_ended_is_done_however_it_ended() {
    for status in ["no_answer", "busy", "failed", "voicemail", "cancelled", "terminated", "something_new"] {
        answered(Reply::json(201, &call(ID, status)), &[]).exits(0);
        answered(Reply::json(201, &call(ID, status)), &["--exit-status"]).exits(7);
    }
    answered(Reply::json(201, &call(ID, "success")), &["--exit-status"]).exits(0);
}

#[test]
fn the_task_may_come_from_stdin_or_a_file() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let sent =
        || server.requests().last().expect("a request").json()["submission"]["task_description"].clone();
    Run::with_input(&mut home.at(&server, ["-p", "+15551234567", "-t", "-"]), b"Ask for\nthe hours\n")
        .exits(0);
    assert_eq!(sent(), "Ask for\nthe hours");
    std::fs::write(home.path("task.txt"), "\u{feff}From a file\r\n").expect("a file");
    let file = format!("@{}", home.path("task.txt").display());
    Run::of(&mut home.at(&server, ["-p", "+15551234567", "-t", &file])).exits(0);
    assert_eq!(sent(), "From a file");
    Run::of(&mut home.at(&server, ["-p", "+15551234567", "-t", "- ask"])).exits(0);
    assert_eq!(sent(), "- ask");
    let asked = server.requests().len();
    let long = vec![b'x'; 1024 * 1024 + 1];
    for input in [&b""[..], b" \n ", b"\xff\xfe", b"a\0b", &long] {
        Run::with_input(&mut home.at(&server, ["-p", "+15551234567", "-t", "-"]), input).exits(2);
    }
    for unreadable in ["@/does/not/exist", &format!("@{}", home.path("").display()), "@"] {
        Run::of(&mut home.at(&server, ["-p", "+15551234567", "-t", unreadable])).exits(2);
    }
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_dry_run_shows_the_request_and_needs_no_login() {
    let home = Home::new();
    let run = Run::of(home.kallyai(CALL).args(["--dry-run", "--party-size", "4"])).exits(0);
    assert!(run.stdout.starts_with("POST https://api.kallyai.com/v1/calls\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\"party_size\": 4"), "{}", run.stdout);
    let run = Run::of(home.kallyai(CALL).args(["--dry-run", "--json", "--idempotency-key", "k"])).exits(0);
    assert_eq!(
        run.json(),
        json!({
            "method": "POST",
            "url": "https://api.kallyai.com/v1/calls",
            "headers": { "Content-Type": "application/json", "Idempotency-Key": "k" },
            "body": {
                "submission": {
                    "task_category": "general",
                    "task_description": "Reserve a table",
                    "respondent_phone": "+15551234567",
                    "language": "en",
                    "call_language": "en",
                },
                "timezone": "America/New_York",
            },
            "would_place": true,
            "warnings": [],
        })
    );
    assert!(!home.path(".local").exists(), "a dry run leaves nothing behind");
}

#[test]
fn a_strangers_words_cannot_act_on_a_terminal_or_forge_a_line() {
    let hostile = "ok\u{1b}[2J\u{1b}]0;x\u{7}\nsuccess  fake-id\r\n\u{202e}evil\u{2028}more\u{9b}31m";
    let mut object = call(ID, "success");
    object["highlights"] = json!(hostile);
    object["status"] = json!("odd\u{1b}[1m\nstatus");
    let run = answered(Reply::json(201, &object), &[]).exits(0);
    assert!(!run.stdout.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}' || c == '\u{2028}'));
    let last = run.stdout.lines().last().expect("a line");
    assert_eq!(last, format!("odd status  {ID}"));
    assert!(run.stdout.contains("\n            success  fake-id\n"), "{}", run.stdout);
    let run = answered(Reply::json(201, &object), &["--json"]).exits(0);
    assert!(run.stdout.contains(r"\u202eevil\u2028more\u009b31m"), "{}", run.stdout);
    assert_eq!(run.json(), object);
}

#[cfg(unix)]
#[test]
fn where_stdout_is_closed_nothing_is_sent_and_dev_null_takes_a_result() {
    let home = Home::new();
    let service = Service::with([]);
    for flags in [&["--json"][..], &["--json", "--detach"]] {
        let mut command = service.at(&home, CALL);
        let error = Run::of(&mut by_shell(command.args(flags), "exec >&-")).exits(2).error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("usage"), &json!(true)));
    }
    let mut command = service.at(&home, ["--history"]);
    for unwritable in ["exec >&-", "exec 1</dev/null", "exec 1</"] {
        Run::of(&mut by_shell(&command, unwritable)).exits(2);
    }
    assert_eq!(service.server.requests().len(), 0);
    // As a shell gives it, and as Python does.
    for (calls, null) in [(1, "exec >/dev/null"), (2, "exec 1<>/dev/null")] {
        command = service.at(&home, CALL);
        Run::of(&mut by_shell(command.arg("--again"), null)).exits(0);
        assert_eq!(service.posts(), calls);
    }
}
