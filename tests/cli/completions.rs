//! Tests shell completion: the offered candidates and the generated bash script.

use std::process::Command;
use std::time::Instant;

use serde_json::json;

use crate::support::{Home, PROMPT, Reply, Run, Server, call};
use crate::wire::words;

/// Makes `command` complete the last word of `line`, in which `_` stands for an empty word.
fn completing<'c>(command: &'c mut Command, line: &str) -> &'c mut Command {
    let words = words(line)
        .into_iter()
        .map(|word| if word == "_" { "" } else { word });
    command
        .args(["--", "kallyai"])
        .args(words)
        .env("KALLYAI_COMPLETE", "fish")
}

/// Returns the completion candidates without their descriptions.
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
fn completion_offers_only_flags_of_the_given_command() {
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
fn known_option_values_are_completed_but_free_text_is_not() {
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

/// Starts a server that lists three calls. One call ID contains a shell command.
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
fn completion_offers_recent_calls_with_their_results() {
    let (home, server) = (Home::new(), service());
    for line in ["transcript _", "--transcript _"] {
        let offered = || {
            Run::of(completing(&mut home.at(&server, [""; 0]), line))
                .exits(0)
                .stdout
        };
        // Retry: completion gives up after 300 ms, and a busy machine may take longer to respond.
        let mut tries = std::iter::repeat_with(offered).take(50);
        let text = tries
            .find(|text| text.contains("11111111"))
            .expect("the calls");
        let result = "success, +15551234567, A table for four is booked.";
        assert!(text.starts_with(&format!("last\t{result}\n")), "{text}");
        assert!(text.contains(&format!("11111111-55aa-4bbb-8ccc-0123456789ab\t{result}\n")));
        assert!(text.contains("\tno_answer, +15551234567, No one"), "{text}");
        assert!(!text.contains("pwned") && !text.contains('\u{1b}'));
    }
}

#[test]
fn completion_never_refreshes_credentials_or_waits_long() {
    let (home, server) = (Home::new(), service());
    home.sign_in(-10);
    let offered = |server: &Server| candidates(&mut home.at(server, [""; 0]), "call-info l");
    assert_eq!(offered(&server), ["last"]);
    assert!(server.requests().is_empty() && !home.state().exists());
    home.sign_in(3600);
    let begun = Instant::now();
    let silent = Server::always(Reply::Stall);
    assert_eq!(offered(&silent), ["last"]);
    // The limit is far above completion's own 300 ms limit, to allow for a busy machine.
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
}

#[cfg(unix)]
#[test]
fn bash_completion_script_completes_flags_and_values() {
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
