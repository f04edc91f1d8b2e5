//! Tests the output of `--help` and `--version`, and the rules for colored output.

use std::collections::BTreeSet;

use serde_json::json;

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{Home, Reply, Run, Server};

/// Returns the long flags in `text`, such as `--json`.
pub fn flags(text: &str) -> BTreeSet<&str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(ends)
        .filter(|word| word.starts_with("--") && word.len() > 2 && !word.ends_with('-'))
        .collect()
}

/// Runs a command that needs no service and returns its output.
pub fn printed(line: &[&str]) -> String {
    Run::of(&mut Home::new().kallyai(line)).exits(0).stdout
}

/// Returns the commands that the man page `page` lists.
pub fn commands(page: &str) -> BTreeSet<&str> {
    let names = page.lines().filter_map(|line| line.strip_prefix(".SS \""));
    names
        .filter_map(|names| names.split(['"', ',']).next())
        .collect()
}

#[test]
fn help_and_version_ignore_the_environment() {
    for flag in ["--help", "--version"] {
        let mut command = Home::new().kallyai([flag]);
        command.env_clear().env("KALLYAI_API_URL", "nonsense");
        assert_eq!(Run::of(&mut command).exits(0).stdout, printed(&[flag]));
    }
}

/// Returns the environment variables that the program reads.
pub fn variables() -> BTreeSet<&'static str> {
    let settings = include_str!("../../src/settings.rs");
    let words = settings.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let found: BTreeSet<&str> = words.filter(|word| word.starts_with("KALLYAI_")).collect();
    assert_eq!(found.len(), 9, "{found:?}");
    found
}

#[test]
fn colors_follow_the_flag_and_environment_variables() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    for (variables, when, is_colored) in [
        ("", "auto", false),
        ("CLICOLOR_FORCE=1", "auto", true),
        ("CLICOLOR_FORCE=0", "auto", false),
        ("CLICOLOR_FORCE=1 NO_COLOR=1", "auto", false),
        ("NO_COLOR=1", "always", true),
        ("CLICOLOR_FORCE=1", "never", false),
    ] {
        let mut command = home.at(&server, ["usage", "--color", when]);
        command.envs(variables.split(' ').filter_map(|pair| pair.split_once('=')));
        let run = Run::of(&mut command).exits(0);
        assert_eq!(
            run.stdout.contains('\u{1b}'),
            is_colored,
            "{variables} {when}"
        );
    }
}

#[cfg(unix)]
#[test]
fn dumb_or_unknown_terminal_gets_no_escape_sequences() {
    for term in [None, Some(""), Some("dumb")] {
        let home = Home::new();
        let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
        let mut command = home.at(&server, ["usage"]);
        term.map(|term| command.env("TERM", term));
        let mut terminal = Terminal::sized(command, 80);
        let screen = terminal.shows("pro\r\n");
        assert_eq!(terminal.end(), Some(0));
        assert!(!screen.contains('\u{1b}'), "{screen}");
    }
}
