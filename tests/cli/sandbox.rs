//! The whole product in the sandbox, as a newcomer tries it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
#[cfg(unix)]
use std::process::Command;

use serde_json::json;

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{Home, Run, Running, at_once};

#[test]
fn a_table_is_booked_and_every_command_shows_it() {
    let home = Home::new();
    let run = home
        .sandbox(&[
            "-p",
            "+15551234567",
            "-t",
            "Reserve a table for 4 at 8pm",
            "--category",
            "restaurant",
            "--name",
            "John Smith",
            "--party-size",
            "4",
            "--date",
            "2077-01-28",
            "--time",
            "20:00",
        ])
        .exits(0);
    assert!(run.stdout.contains("John Smith"), "{}", run.stdout);
    let last = run.stdout.lines().last().expect("a line");
    let id = last.strip_prefix("success  ").expect("the status");
    assert_eq!(id.len(), 36);
    let history = home.sandbox(&["--history"]).exits(0);
    assert!(history.stdout.contains(&id[..8]) && history.stdout.contains("success"), "{}", history.stdout);
    assert!(home.sandbox(&["--transcript", "last"]).exits(0).stdout.contains("AI     "));
    let calendar = home.sandbox(&["--calendar", &id[..8]]).exits(0).stdout;
    assert!(
        calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.contains("DTSTART:20770129T010000Z"),
        "{calendar}"
    );
    assert!(home.sandbox(&["--usage"]).exits(0).stdout.contains("1 of 50 used"));
    let info = home.sandbox(&["--call-info", "last", "--json"]).exits(0).json();
    assert_eq!((info["call_id"].as_str(), &info["submission"]["party_size"]), (Some(id), &json!(4)));
    home.sandbox(&["--subscription"]).exits(0);
    assert!(home.sandbox(&["--billing"]).exits(0).stdout.starts_with("http://127.0.0.1:"));
    // Off a terminal it is said once a day.
    assert!(!home.sandbox(&["--auth-status"]).exits(0).stderr.contains("no phone rings"));
    home.sandbox(&["--logout"]).exits(0);
    assert_eq!(home.sandbox(&["--history"]).exits(0).stdout, "There are no calls yet.\n");
}

#[test]
fn test_numbers_give_each_outcome() {
    let home = Home::new();
    let started: Vec<_> = [
        ("0101", "no_answer", 7),
        ("0102", "busy", 7),
        ("0103", "failed", 7),
        ("0104", "voicemail", 7),
        ("0105", "cancelled", 7),
        ("0120", "success", 0),
        ("0121", "success", 0),
        ("0122", "success", 0),
        ("0140", "quota_exceeded", 5),
        ("0141", "country_restriction", 1),
        ("0142", "safety_violation", 1),
        ("0143", "blocked_number", 1),
    ]
    .into_iter()
    .map(|(number, outcome, exit)| {
        let number = format!("+1555555{number}");
        let mut command = home.kallyai(["--sandbox", "--json", "--exit-status", "-t", "Ask", "-p", &number]);
        (outcome, exit, Running::start(command.stdin(std::process::Stdio::null())))
    })
    .collect();
    for (outcome, exit, running) in started {
        let run = running.end().exits(exit);
        let seen =
            if run.stdout.is_empty() { run.error()["code"].clone() } else { run.json()["status"].clone() };
        assert_eq!(seen, outcome);
    }
}

#[test]
fn what_was_asked_is_told_in_the_callers_language_and_the_calls() {
    let home = Home::new();
    let flags = [
        "-p",
        "+34912345678",
        "-t",
        "Reserva una mesa",
        "-c",
        "restaurant",
        "--business",
        "Casa Lucio",
        "--name",
        "Ana",
        "--party-size",
        "3",
        "--date",
        "2077-03-14",
        "--time",
        "20:30",
        "--language",
        "en",
        "--call-language",
        "es",
    ];
    let report = home.sandbox(&flags).exits(0).stdout;
    let told = "Table for 3 people booked at Casa Lucio, Sunday, March 14 at 8:30 PM, under the name Ana.";
    assert!(report.contains(told), "{report}");
    let call = home.sandbox(&["--call-info", "last", "--json"]).exits(0).json();
    assert_eq!(call["duration_seconds"], 4.0);
    let talk = home.sandbox(&["--transcript", "last"]).exits(0).stdout;
    for said in ["Casa Lucio, dígame.", "para 3 personas, el domingo 14 de marzo a las 20:30", "Ana"] {
        assert!(talk.contains(said), "{said}: {talk}");
    }
    assert!(!talk.contains("00:00:04"), "{talk}");
}

#[test]
fn a_question_and_a_cancellation_book_nothing() {
    let tasks = [("Ask for opening hours", "Answered"), ("Cancel my table for Friday", "Cancelled")];
    at_once(tasks, |(task, told)| {
        let home = Home::new();
        let run = home.sandbox(&["-p", "+15551234567", "-c", "restaurant", "-t", task]).exits(0);
        assert!(run.stdout.contains(&format!("{told}: {task}.")), "{}", run.stdout);
        home.sandbox(&["--calendar", "last"]).exits(1);
    });
}

#[test]
fn the_sandbox_leaves_the_real_login_and_journal_alone() {
    let home = Home::new();
    let mut command = home.kallyai(["--usage"]);
    command
        .env("KALLYAI_SANDBOX", "1")
        .env("KALLYAI_API_URL", "https://example.org")
        .env("KALLYAI_ACCESS_TOKEN", "a b");
    Run::of(&mut command).exits(0);
    assert!(!home.path(".kallyai_token.json").exists());
    home.sandbox(&["--logout"]).exits(0);
    home.sandbox(&["--auth-status"]).exits(4);
}

#[test]
fn signing_out_of_the_sandbox_leaves_what_is_not_the_sandboxs() {
    let home = Home::new();
    let folder = home.path("work/sandbox");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("notes.txt"), "mine").expect("a file");
    for command in ["--usage", "--logout"] {
        let mut command = home.kallyai(["--sandbox", command]);
        Run::of(command.env("KALLYAI_STATE_DIR", home.path("work"))).exits(0);
    }
    let left: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn another_client_is_served_with_two_exports() {
    use std::io::{BufRead as _, BufReader};
    let home = Home::new();
    let mut command = home.kallyai(["--serve-sandbox", "127.0.0.1:0"]);
    let mut serving = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(serving.stdout.take().expect("a pipe")).lines();
    let mut export = || {
        let line = lines.next().expect("a line").expect("UTF-8");
        let (before, between) = if cfg!(windows) { ("$env:", " = ") } else { ("export ", "=") };
        let (name, value) = line.strip_prefix(before).and_then(|e| e.split_once(between)).expect("an export");
        (name.to_owned(), value.trim_matches('\'').to_owned())
    };
    let exports = [export(), export()];
    let run = Run::of(home.kallyai(["--usage", "--json"]).envs(exports));
    serving.kill().expect("it still serves");
    serving.wait().expect("it ends");
    assert_eq!(run.exits(0).json()["calls_used"], 0);
}

#[test]
fn a_program_is_told_in_json_where_the_sandbox_is() {
    let home = Home::new();
    let serve =
        |address: &str| Run::of(&mut home.kallyai(["--serve-sandbox", address, "--json", "--timeout", "1"]));
    let served = serve("127.0.0.1:0").exits(0).json();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = holder.local_addr().expect("an address").to_string();
    assert!(served["api_url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{served}");
    assert!(std::path::Path::new(served["token_file"].as_str().unwrap()).is_file(), "{served}");
    let error = serve(&held).exits(1).error();
    assert_eq!(error["code"], "io");
    assert!(error["message"].as_str().unwrap().contains(&held), "{error}");
}

#[cfg(unix)]
#[test]
fn a_shell_takes_the_exports_whatever_the_folder_is_called() {
    let home = Home::new();
    let folder = home.path("it's a \"folder\" of $HOME");
    let mut command = home.kallyai(["--serve-sandbox", "127.0.0.1:0", "--timeout", "1"]);
    let exports = Run::of(command.env("KALLYAI_STATE_DIR", &folder)).exits(0).stdout;
    let script = format!("{exports}test -f \"$KALLYAI_TOKEN_FILE\"");
    assert!(Command::new("/bin/sh").args(["-c", &script]).status().expect("a shell").success(), "{exports}");
}

#[test]
fn what_cannot_be_forgotten_of_the_sandbox_is_said() {
    let home = Home::new();
    std::fs::create_dir(home.state()).expect("a folder");
    std::fs::write(home.state().join("sandbox"), "").expect("a file in its place");
    let mut command = home.kallyai(["--sandbox", "--logout", "--json"]);
    let run = Run::of(command.env("KALLYAI_STATE_DIR", home.state())).exits(4);
    assert!(run.error()["message"].as_str().unwrap().contains("cannot be removed"), "{}", run.stderr);
}

#[test]
fn a_sign_in_to_the_sandbox_may_take_two_steps() {
    let home = Home::new();
    let begun = home.sandbox(&["--login", "--no-wait", "--json"]).exits(0).json();
    let url = begun["sign_in_url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("an address");
    let (host, path) = url.split_once('/').expect("a path");
    // Its page is there though the command has ended, and is answered as a browser would.
    let page = ask(host, &format!("GET /{path}"), "");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("approve"), "{page}");
    let approve = path.replacen("v1/auth/cli", "v1/auth/cli/approve", 1);
    let approved = ask(host, &format!("POST /{approve}"), &format!("Origin: http://{host}\r\n"));
    let line = approved
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    let (_, address) = line.expect("where the browser ends");
    home.sandbox(&["--login", "--callback-url", address]).exits(0);
    home.sandbox(&["--auth-status"]).exits(0);
    home.sandbox(&["--usage"]).exits(0);
    // It is good once.
    let again = home.sandbox(&["--login", "--callback-url", address, "--json"]).exits(4);
    assert_eq!(again.error()["code"], "sign_in_failed");
}

/// What a server answers to a request with these further headers.
fn ask(host: &str, request: &str, headers: &str) -> String {
    let mut stream = std::net::TcpStream::connect(host).expect("a server");
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[cfg(unix)]
#[test]
fn the_billing_page_is_there_for_a_person_until_ctrl_c_and_a_program_is_told_that_it_is_gone() {
    let home = Home::new();
    let run = home.sandbox(&["--billing"]).exits(0);
    assert!(run.stdout.starts_with("http://127.0.0.1:") && run.stdout.lines().count() == 1, "{}", run.stdout);
    assert!(run.stderr.contains("sandbox's, and is gone"), "{}", run.stderr);

    let mut command = home.kallyai(["--sandbox", "--billing"]);
    command.env("BROWSER", "none");
    let mut terminal = Terminal::start(command);
    let screen = terminal.shows("until Ctrl-C.");
    let address = screen.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let text = ask(address, "GET /billing", "");
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    terminal.types(b"\x03");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen());
}
