//! The defaults file, and the bell that may stand in it.

use std::process::Command;

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{CALL, Home, ID, Reply, Run, Server, call};

/// A home whose defaults file holds this, and is named by `KALLYAI_CONFIG`.
fn home_with(text: impl AsRef<[u8]>) -> Home {
    let home = Home::new();
    std::fs::write(home.path("defaults"), text).expect("a file");
    home
}

fn with_file<'a>(home: &Home, command: &'a mut Command) -> &'a mut Command {
    command.env("KALLYAI_CONFIG", home.path("defaults"))
}

/// The body that a call with these flags would send.
fn body(home: &Home, variables: &[(&str, &str)], flags: &[&str]) -> Value {
    let mut command = home.kallyai(CALL);
    command.args(["--dry-run", "--json"]).args(flags).envs(variables.iter().copied());
    Run::of(with_file(home, &mut command)).exits(0).json()["body"].clone()
}

const FILE: &str = "# Who I am\n--name=John Smith\n\n  --user-phone=\"+1 555 765 4321\"  \r\n--language=es\n\
    --call-language=en\n--timezone=Europe/Madrid\n--category=Hotel\n--bell\n--no-browser\n--no-input\n--color=never\n";

#[test]
fn the_file_adds_its_flags_to_a_call() {
    let body = body(&home_with(FILE), &[], &[]);
    let submission = &body["submission"];
    assert_eq!(body["timezone"], "Europe/Madrid");
    for (member, value) in [
        ("user_name", "John Smith"),
        ("user_phone", "+15557654321"),
        ("language", "es"),
        ("call_language", "en"),
        ("task_category", "hotel"),
    ] {
        assert_eq!(submission[member], value, "{member}");
    }
}

#[test]
fn the_command_line_goes_over_the_environment_and_that_over_the_file() {
    let home = home_with(FILE);
    let environment = [("KALLYAI_LANGUAGE", "en"), ("KALLYAI_TIMEZONE", "Asia/Tokyo")];
    let sent = body(&home, &environment, &["--name", "Ana"]);
    assert_eq!((&sent["submission"]["language"], &sent["timezone"]), (&json!("en"), &json!("Asia/Tokyo")));
    assert_eq!(sent["submission"]["user_name"], "Ana");
    let sent = body(&home, &environment, &["-l", "es", "--timezone", "Asia/Dubai"]);
    assert_eq!((&sent["submission"]["language"], &sent["timezone"]), (&json!("es"), &json!("Asia/Dubai")));
    assert_eq!(sent["submission"]["call_language"], "es", "--language is for both");
    // These two speak of the computer, and not of this program.
    let sent = body(&home, &[("LANG", "en_US.UTF-8"), ("TZ", "Asia/Tokyo")], &[]);
    assert_eq!((&sent["submission"]["language"], &sent["timezone"]), (&json!("es"), &json!("Europe/Madrid")));
}

#[test]
fn no_config_leaves_the_file_out() {
    let home = home_with(FILE);
    assert_eq!(body(&home, &[], &["--no-config"])["submission"].get("user_name"), None);
    let broken = home_with("--nonsense");
    assert_eq!(body(&broken, &[], &["--no-config"])["submission"].get("user_name"), None);
}

#[test]
fn a_flag_that_does_not_go_with_the_command_is_skipped() {
    let home = home_with(FILE);
    let server = Server::always(Reply::json(200, &json!({ "calls": [], "total": 0 })));
    for flags in [&["--history"][..], &["--pending"], &["--auth-status"]] {
        Run::of(with_file(&home, &mut home.at(&server, flags))).exits(0);
    }
    let mut command = home.kallyai(["--usage", "--json"]);
    // --no-input of the file is why nobody is asked to sign in.
    let run = Run::of(with_file(&home, &mut command)).exits(4);
    assert_eq!(run.error()["code"], "not_signed_in");
}

#[test]
fn a_bad_line_is_named_and_nothing_is_sent() {
    let server = Server::always(Reply::new(500, ""));
    for (text, line, says) in [
        ("--name=A\n--verbose\n", 2, "the defaults file takes no"),
        ("--phone=+15551234567", 1, "the defaults file takes no"),
        ("\u{feff}# x\r\n\r\n--name John", 3, "equals sign"),
        ("name=John", 1, "two dashes"),
        ("-c=hotel", 1, "the defaults file takes no"),
        ("--nam=John", 1, "the defaults file takes no"),
        ("--name=", 1, "empty"),
        ("--bell=yes", 1, "--bell"),
        ("--timezone=Mars/Olympus", 1, "Mars/Olympus"),
        ("--user-phone=911", 1, "emergency"),
        ("--category=spa", 1, "--category"),
        ("--language=", 1, "--language"),
    ] {
        let home = home_with(text);
        for flags in [&CALL[..], &["--usage"]] {
            let run = Run::of(with_file(&home, home.at(&server, flags).arg("--json"))).exits(2);
            let error = run.error();
            let message = error["message"].as_str().expect("a message");
            let place = format!("{}, line {line}: ", home.path("defaults").display());
            assert!(message.starts_with(&place) && message.contains(says), "{text:?}: {message}");
            assert!(error["hint"].as_str().is_some_and(|hint| hint.len() > 10), "{error}");
        }
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = home_with("--name=\u{1b}[2J\n");
    std::fs::create_dir(home.path("folder")).expect("a folder");
    std::fs::write(home.path("latin"), b"--name=Jos\xe9").expect("a file");
    std::fs::write(home.path("long"), "#".repeat(70_000)).expect("a file");
    for name in ["missing", "folder", "latin", "long"] {
        let run = Run::of(home.kallyai(CALL).arg("--json").env("KALLYAI_CONFIG", home.path(name))).exits(2);
        let error = run.error();
        assert!(error["message"].as_str().expect("a message").contains(name), "{error}");
        assert!(error["hint"].as_str().expect("a hint").contains("--no-config"), "{error}");
    }
}

#[test]
fn the_file_of_the_configuration_folder_is_read_if_there_is_one() {
    let home = Home::new();
    let folder = match () {
        () if cfg!(target_os = "macos") => home.path("Library/Application Support/kallyai"),
        () if cfg!(windows) => home.path("kallyai"),
        () => home.path(".config/kallyai"),
    };
    let name = || {
        let mut command = home.kallyai(CALL);
        command.args(["--dry-run", "--json"]).env("APPDATA", home.path(""));
        Run::of(&mut command).exits(0).json()["body"]["submission"]["user_name"].clone()
    };
    assert_eq!(name(), Value::Null);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config"), "--name=Ana\n").expect("a file");
    assert_eq!(name(), "Ana");
}

#[test]
fn what_must_always_work_does_not_read_the_file() {
    let home = home_with("nonsense");
    for flags in [
        &["-h"][..],
        &["--help"],
        &["-v"],
        &["--man"],
        &["--skill"],
        &["--completions", "bash"],
        &["--logout"],
        &[],
    ] {
        Run::of(with_file(&home, &mut home.kallyai(flags))).exits(0);
    }
    let run = Run::of(with_file(&home, home.kallyai(["--histroy"]).arg("--json"))).exits(2);
    assert!(run.error()["message"].as_str().expect("a message").contains("--histroy"));
}

/// What a terminal shows of a call that ended at once.
#[cfg(unix)]
fn on_a_terminal(reply: Reply, flags: &[&str]) -> String {
    let home = Home::new();
    let server = Server::always(reply);
    let ours = home.at(&server, CALL);
    // The shell says when everything has been printed.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "\"$@\"; echo :over:", "sh"]).arg(ours.get_program()).args(ours.get_args()).args(flags);
    shell.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Terminal::start(shell).shows(":over:\r\n")
}

#[cfg(unix)]
#[test]
fn the_bell_rings_a_terminal_once_when_the_call_is_over() {
    let ended = || Reply::json(201, &call(ID, "success"));
    let refused = || Reply::json(422, &json!({ "error": { "code": "safety_violation" } }));
    for reply in [ended(), refused()] {
        let screen = on_a_terminal(reply, &["--bell"]);
        assert_eq!(screen.matches('\u{7}').count(), 1, "{screen:?}");
    }
    assert!(!on_a_terminal(ended(), &[]).contains('\u{7}'));
    let home = Home::new();
    let server = Server::always(ended());
    let run = Run::of(home.at(&server, CALL).arg("--bell")).exits(0);
    run.never_says("\u{7}");
    Run::of(&mut home.at(&server, ["--history", "--bell"])).exits(2);
    Run::of(&mut home.at(&server, ["--resume", "--bell"])).exits(1);
}
