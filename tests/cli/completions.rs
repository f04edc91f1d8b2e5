//! Shell completion: the candidates that the program offers, and the script in bash.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Gate, Home, Post, Reply, Run, Server, Service, call};
use crate::wire::words;

/// Makes a command complete the last word of a line. A word `_` is empty.
fn completing<'c>(command: &'c mut Command, line: &str) -> &'c mut Command {
    let words = words(line)
        .into_iter()
        .map(|word| if word == "_" { "" } else { word });
    command
        .args(["--", "kallyai"])
        .args(words)
        .env("KALLYAI_COMPLETE", "fish")
}

/// The candidates without their descriptions.
#[track_caller]
fn candidates(command: &mut Command, line: &str) -> Vec<String> {
    let run = Run::of(completing(command, line)).exits(0);
    assert_eq!(run.stderr, "");
    let value = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    run.stdout.lines().map(value).collect()
}

fn completed(line: &str) -> Vec<String> {
    candidates(&mut Home::new().kallyai([""; 0]), line)
}

#[test]
fn flags_of_the_command_are_offered_in_both_forms() {
    for line in ["history _", "--history _", "--json --history _"] {
        let offered = completed(line);
        assert_eq!(offered[..2], ["--limit", "--offset"], "{line}");
        assert!(!offered.contains(&"--party-size".into()), "{line}");
    }
    let call = completed("-p +1 -t Ask --");
    assert!(call.contains(&"--party-size".into()), "{call:?}");
    assert!(completed("_").contains(&"call".into()));
    assert_eq!(completed("--hist"), ["--history"]);
    assert_eq!(completed("hist"), ["history"]);
}

#[test]
fn known_values_are_offered_and_nothing_for_others() {
    for (line, offered) in [
        ("call -c h", "hotel"),
        ("-p +1 -t x -c r", "restaurant"),
        ("call -l _", "en es"),
        ("history --status v", "voicemail"),
        ("--history --status un", "unsuccessful"),
        ("call --timezone Europe/Madr", "Europe/Madrid"),
        ("completions f", "fish"),
        ("call-info l", "last"),
        ("call --phone _", ""),
        ("call --name C", ""),
        ("history --limit _", ""),
        ("usage history --st", ""),
    ] {
        assert_eq!(completed(line).join(" "), offered, "{line}");
    }
}

/// A server with three calls, one of them with an ID that a shell would run.
fn service() -> Server {
    let mut second = call("22222222-55aa-4bbb-8ccc-0123456789ab", "no_answer");
    second["highlights"] = json!("No one\n\tanswered\u{1b}[2J.");
    let first = call("11111111-55aa-4bbb-8ccc-0123456789ab", "success");
    let hostile = call("$(touch pwned)", "success");
    Server::always(Reply::json(
        200,
        &json!({ "calls": [first, second, hostile] }),
    ))
}

#[test]
fn recent_calls_are_offered_with_their_results() {
    let (home, server) = (Home::new(), service());
    for line in ["transcript _", "--transcript _"] {
        let offered = || {
            Run::of(completing(&mut home.at(&server, [""; 0]), line))
                .exits(0)
                .stdout
        };
        // The service gets 300 ms, which a busy machine may exceed.
        let mut tries = std::iter::repeat_with(offered).take(50);
        let text = tries
            .find(|text| text.contains("11111111"))
            .expect("the calls");
        let result = "success, +15551234567, A table for four is booked.";
        assert!(text.starts_with(&format!("last\t{result}\n")), "{text}");
        assert!(text.contains(&format!("11111111-55aa-4bbb-8ccc-0123456789ab\t{result}\n")));
        assert!(text.contains("\tno_answer, +15551234567, No one"), "{text}");
        assert!(
            !text.contains("pwned") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}

#[test]
fn completion_never_refreshes_credentials_or_waits_long() {
    let (home, server) = (Home::new(), service());
    home.sign_in(-10);
    assert_eq!(
        candidates(&mut home.at(&server, [""; 0]), "call-info l"),
        ["last"]
    );
    assert!(server.requests().is_empty() && !home.state().exists());
    home.sign_in(3600);
    let begun = Instant::now();
    let silent = Server::always(Reply::Stall);
    assert_eq!(
        candidates(&mut home.at(&silent, [""; 0]), "call-info l"),
        ["last"]
    );
    // 300 ms, and what a busy machine needs to start a program.
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn keys_of_pending_calls_are_offered() {
    let (home, gate) = (Home::new(), Gate::default());
    let late = Reply::Held(
        gate.clone(),
        Box::new(Reply::json(201, &call("a", "success"))),
    );
    let service = Service::with([Post::lost(late)]);
    let line = "call +15551234567 Ask --idempotency-key dinner --timeout 2";
    Run::of(&mut service.at(&home, words(line))).exits(6);
    for line in ["resume d", "--resume d"] {
        assert_eq!(
            candidates(&mut service.at(&home, [""; 0]), line),
            ["dinner"]
        );
    }
    gate.open();
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
}

#[test]
fn every_shell_has_a_script() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = Run::of(&mut home.kallyai(["completions", shell])).exits(0);
        assert!(run.stdout.contains("KALLYAI_COMPLETE"), "{shell}");
    }
    Run::of(&mut home.kallyai(["completions", "tcsh"])).exits(2);
}

#[cfg(unix)]
#[test]
fn bash_completes_with_the_script() {
    const SCRIPT: &str = r#"
        source <(kallyai completions bash) && complete -p kallyai >/dev/null || exit 9
        COMP_WORDS=(kallyai $LINE) COMP_TYPE=9
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _clap_complete_kallyai kallyai "${COMP_WORDS[COMP_CWORD]}"
        echo "${COMPREPLY[@]}""#;
    let home = Home::new();
    for (line, expected) in [("--hist", "--history\n"), ("call -c h", "hotel\n")] {
        let mut bash = crate::readme::shell(&home, "exec bash --norc -c \"$SCRIPT\"");
        let run = Run::of(bash.env("SCRIPT", SCRIPT).env("LINE", line)).exits(0);
        assert_eq!(run.stdout, expected, "{}", run.stderr);
    }
}
