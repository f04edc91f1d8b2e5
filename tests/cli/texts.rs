//! Texts made from the flags themselves, and the page for agents held against what it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Home, Reply, Run, Running, Server};

/// The long flags that a text names.
pub fn flags(text: &str) -> BTreeSet<&str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(ends).filter(|word| word.starts_with("--") && !word.ends_with('-')).collect()
}

#[test]
fn the_man_page_has_every_flag_with_its_help() {
    let home = Home::new();
    let page = Run::of(&mut home.kallyai(["--man"])).exits(0).stdout.replace("\\-", "-");
    for text in [".TH KALLYAI 1", ".SH \"EXIT STATUS\"", ".SH \"EXAMPLES\"", "Say that it is urgent"] {
        assert!(page.contains(text), "{text}");
    }
    let help = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    assert!(flags(&page).is_superset(&flags(&help)), "{page}");
    assert!(!page.contains("\n\n.TP"), "a flag without its help");
}

#[test]
fn help_and_man_page_tell_every_variable_and_where_the_files_are() {
    let home = Home::new();
    let settings = include_str!("../../src/settings.rs");
    let words = settings.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let variables: BTreeSet<&str> = words.filter(|word| word.starts_with("KALLYAI_")).collect();
    assert!(variables.len() >= 8, "{variables:?}");
    for flag in ["--help", "--man"] {
        let text = Run::of(&mut home.kallyai([flag])).exits(0).stdout.replace("\\-", "-");
        let files = ["config", ".kallyai_token.json", "--name=John Smith", "SSL_CERT_FILE", "HTTPS_PROXY"];
        for word in variables.iter().copied().chain(files) {
            assert!(text.contains(word), "{flag} {word}");
        }
    }
    let page = Run::of(&mut home.kallyai(["--man"])).exits(0).stdout;
    assert!(page.contains(".SH \"ENVIRONMENT\"\n") && page.contains(".SH \"FILES\"\n"));
}

#[test]
fn every_shell_has_completions_for_every_flag() {
    let home = Home::new();
    let help = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    let help = help.split("Exit codes:").next().expect("the flags");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Run::of(&mut home.kallyai(["--completions", shell])).exits(0).stdout;
        // The first three ask the program.
        let asks = script.contains("--complete ");
        assert_eq!(asks, ["bash", "zsh", "fish"].contains(&shell));
        for flag in flags(help) {
            let offered = || Run::of(&mut home.kallyai(["--complete", shell, "--", flag])).exits(0).stdout;
            let known = if asks { offered() } else { script.clone() };
            assert!(known.contains(flag.trim_start_matches('-')), "{shell} {flag}");
        }
    }
    Run::of(&mut home.kallyai(["--completions", "tcsh"])).exits(2);
}

/// The front matter's metadata, and the commands in the page's code blocks.
fn skill() -> (Value, Vec<String>) {
    let page = Run::of(&mut Home::new().kallyai(["--skill"])).exits(0).stdout;
    let (front, text) =
        page.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("front matter");
    for member in ["name: kallyai", "description: "] {
        assert!(front.lines().any(|line| line.starts_with(member)), "{member}");
    }
    let metadata = front.lines().find_map(|line| line.strip_prefix("metadata: ")).expect("metadata");
    let mut commands = Vec::new();
    for block in text.split("```bash\n").skip(1) {
        let (block, _) = block.split_once("```").expect("the end of a block");
        commands.extend(block.lines().map(str::to_owned));
    }
    (serde_json::from_str(metadata).expect("JSON"), commands)
}

/// Splits a command as a shell does, as far as quotes go.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    parts
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn the_skill_says_what_it_needs_in_both_names_of_its_reader() {
    let (metadata, _) = skill();
    assert_eq!(metadata["openclaw"], metadata["clawdbot"]);
    assert_eq!(metadata["openclaw"]["requires"]["bins"][0], "kallyai");
    let installs = metadata["openclaw"]["install"].as_array().expect("install entries");
    let known = ["brew", "node", "go", "uv", "download"];
    assert!(
        !installs.is_empty()
            && installs.iter().all(|i| known.contains(&i["kind"].as_str().unwrap_or_default()))
    );
}

#[test]
fn every_command_of_the_skill_works() {
    let (_, commands) = skill();
    assert!(commands.len() >= 9, "{commands:?}");
    let home = Home::new();
    let run = |command: &str, sandbox: bool| {
        let words = words(command);
        let (program, flags) = words.split_first().expect("a command");
        assert_eq!(program, "kallyai");
        let mut command = home.kallyai(if sandbox { vec!["--sandbox"] } else { vec![] });
        Running::start(command.args(flags).stdin(std::process::Stdio::null())).end()
    };
    // The calls first, the one that succeeds last, so that there is something to read.
    let (placing, reading): (Vec<&String>, Vec<&String>) = commands.iter().partition(|c| c.contains(" -p "));
    for command in placing.into_iter().rev().chain(reading) {
        // These two answer for a login and a journal that a newcomer's sandbox does not have.
        let (sandbox, exit) = match () {
            () if command.contains("--no-wait") => (false, 0),
            () if command.contains("--resume") => (true, 1),
            () => (true, 0),
        };
        let ended = run(command, sandbox).exits(exit);
        if exit == 0 && command.contains("--json") {
            ended.json();
        }
        if command.contains("--transcript") || command.contains("--calendar") {
            assert!(!ended.stdout.is_empty(), "{command}");
        }
    }
}

#[test]
fn colour_is_where_it_is_wanted() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    let colored = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = home.at(&server, flags);
        Run::of(command.envs(variables.iter().copied())).exits(0).stdout.contains('\u{1b}')
    };
    let (forced, not_forced, none) = (("CLICOLOR_FORCE", "1"), ("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1"));
    for (variables, wanted) in
        [(&[][..], false), (&[forced], true), (&[not_forced], false), (&[forced, none], false)]
    {
        assert_eq!(colored(variables, &["--usage"]), wanted, "{variables:?}");
        assert_eq!(colored(variables, &["--help"]), wanted, "{variables:?}");
        assert!(colored(variables, &["--usage", "--color", "always"]), "{variables:?}");
        assert!(!colored(variables, &["--usage", "--color", "never"]), "{variables:?}");
    }
}
