//! Tests the printed result of a call, its exit status and the dry run.

use serde_json::json;

use crate::support::{CALL, Home, ID, Reply, Run, Server, call};

fn responded(reply: Reply, flags: &[&str]) -> Run {
    let server = Server::always(reply);
    Run::of(Home::new().at(&server, CALL).args(flags))
}

#[test]
fn printed_result_ends_with_the_status_and_call_id() {
    let run = responded(Reply::json(201, &call(ID, "success")), &[]).exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("Called      {}", CALL[1]));
    assert_eq!(lines[1], "Result      A table for four is booked.");
    assert_eq!(lines[2], "Next steps  Arrive on time.");
    assert_eq!(lines[4], "Duration    1 min 15 s");
    assert_eq!(lines[5], format!("success  {ID}"));
    assert_eq!((lines.len(), run.stderr.as_str()), (6, ""));
}

#[test]
fn json_flag_prints_the_unmodified_response() {
    let object = format!(
        r#"{{ "call_id":"{ID}", "status":"success", "n": 1.10, "big":123456789012345678901234567890,"x":{{}} }}"#
    );
    let run = responded(Reply::new(201, object.clone()), &["--json"]).exits(0);
    assert_eq!((run.stdout, run.stderr.as_str()), (object + "\n", ""));
}

#[test]
fn exit_status_flag_reports_whether_the_call_succeeded() {
    let statuses = "no_answer busy failed voicemail cancelled terminated something_new";
    for status in statuses.split(' ') {
        responded(Reply::json(201, &call(ID, status)), &[]).exits(0);
        responded(Reply::json(201, &call(ID, status)), &["--exit-status"]).exits(7);
    }
    responded(Reply::json(201, &call(ID, "success")), &["--exit-status"]).exits(0);
}

#[test]
fn task_is_read_from_stdin_or_a_file() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    let with_task = |task: &str| home.at(&server, ["-p", CALL[1], "--again", "-t", task]);
    let sent = || {
        let requests = server.requests();
        requests.last().expect("a request").json()["submission"]["task_description"].clone()
    };
    Run::with_input(&mut with_task("-"), b"Ask for\nthe hours\n").exits(0);
    assert_eq!(sent(), "Ask for\nthe hours");
    std::fs::write(home.path("task.txt"), "\u{feff}From a file\r\n").expect("a file");
    let file = format!("@{}", home.path("task.txt").display());
    Run::of(&mut with_task(&file)).exits(0);
    assert_eq!(sent(), "From a file");
    for (task, text) in [("- ask", "- ask"), ("@@home", "@home")] {
        Run::of(&mut with_task(task)).exits(0);
        assert_eq!(sent(), text);
    }
    let asked = server.requests().len();
    let long = vec![b'x'; 1024 * 1024 + 1];
    for input in [&b""[..], b" \n ", b"\xff\xfe", &long] {
        Run::with_input(&mut with_task("-"), input).exits(2);
    }
    let folder = format!("@{}", home.path("").display());
    for unreadable in ["@/does/not/exist", &folder, "@"] {
        Run::of(&mut with_task(unreadable)).exits(2);
    }
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn dry_run_shows_the_request_and_writes_nothing() {
    let home = Home::new();
    let run = Run::of(home.kallyai(CALL).args(["--dry-run", "--party-size", "4"])).exits(0);
    assert!(run.stdout.starts_with("POST /v1/calls\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\"party_size\":4"), "{}", run.stdout);
    let run = Run::of(home.kallyai(CALL).args(["--dry-run", "--json"])).exits(0);
    assert_eq!(
        run.json(),
        json!({
            "method": "POST",
            "path": "/v1/calls",
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
    assert!(!home.path(".local").exists());
}
