//! The README, held against the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{Home, Run, Terminal};
use crate::texts::flags;

const README: &str = include_str!("../../README.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The blocks of this language, in order.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let fenced = README.split("```").skip(1).step_by(2);
    fenced.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

fn section(heading: &str) -> &'static str {
    let rest = README.split_once(&format!("\n## {heading}\n")).expect("a section").1;
    rest.split("\n## ").next().unwrap_or(rest)
}

/// A shell that finds the program by its name.
fn shell(home: &Home, command: &str) -> Command {
    let direct = home.kallyai(Vec::<&str>::new());
    let folder = Path::new(direct.get_program()).parent().expect("a folder");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear();
    shell.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("NO_COLOR", "1").env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()));
    shell
}

/// What differs from run to run, made the same.
fn masked(text: &str) -> String {
    let is =
        |word: &str, length: usize, kind: fn(char) -> bool| word.len() == length && word.chars().all(kind);
    let mask = |word: &str| match () {
        () if is(word, 36, |c| c.is_ascii_hexdigit() || c == '-') => "-".repeat(36),
        () if is(word, 8, |c| c.is_ascii_hexdigit()) => "-".repeat(8),
        () if is(word, 5, |c| c.is_ascii_digit() || c == ':') => "--:--".into(),
        () => word.to_owned(),
    };
    let lines = text.lines().map(|line| line.split(' ').map(mask).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_session_at_the_top_is_what_a_newcomer_sees() {
    let home = Home::new();
    let session = blocks("console").next().expect("a session");
    let mut commands = 0;
    for part in session.split("$ ").filter(|part| !part.is_empty()) {
        let shown_from = part
            .match_indices('\n')
            .find(|(at, _)| !part[..*at].ends_with('\\'))
            .map_or(part.len(), |(at, _)| at);
        let (command, shown) = part.split_at(shown_from);
        let said = "sandbox: no phone rings, nothing leaves this computer\n";
        let shown = shown.trim_start().strip_prefix(said).expect("what stderr says first").trim_end();
        let mut terminal = Terminal::sized(shell(&home, &format!("{command} 2>/dev/null; echo :$?:")), 80);
        let seen = terminal.shows(":\r\n").replace("\r\n", "\n");
        terminal.end();
        let seen = seen.trim_end().strip_suffix(":0:").expect("success").trim_end();
        let (seen, shown) = (masked(seen), masked(shown));
        match shown.strip_suffix("\n…") {
            Some(beginning) => assert!(seen.starts_with(beginning), "{command}\n{seen}\n{shown}"),
            None => assert_eq!(seen, shown, "{command}"),
        }
        commands += 1;
    }
    assert_eq!(commands, 3);
}

#[test]
fn completions_and_man_page_are_installed_where_it_says() {
    let home = Home::new();
    let block = blocks("sh").find(|block| block.contains("--completions")).expect("the lines");
    for line in block.lines() {
        let run = Run::of(&mut shell(&home, &format!("set -e; {line}\nwc -c < \"$f\""))).exits(0);
        assert!(run.stdout.trim().parse::<u64>().expect("a size") > 1000, "{line}");
    }
}

#[test]
fn its_flags_are_those_of_the_program() {
    let help = Run::of(&mut Home::new().kallyai(["--help"])).exits(0).stdout;
    assert_eq!(flags(section("Flags")), flags(help.split("Exit codes:").next().expect("the flags")));
}

/// The exit statuses that the lines of a text begin with.
fn statuses(text: &str) -> BTreeSet<u8> {
    let firsts = text.lines().map(|line| line.trim_start_matches(['|', ' ']));
    let heads = firsts.map(|line| line.split(['|', ';']).next().unwrap_or(line));
    let status = |part: &str| part.split_whitespace().next()?.parse().ok();
    heads.flat_map(|head| head.split(',').map_while(status).collect::<Vec<u8>>()).collect()
}

#[test]
fn its_exit_codes_are_those_of_the_help() {
    let help = Run::of(&mut Home::new().kallyai(["--help"])).exits(0).stdout;
    let codes = help.split_once("Exit codes:\n").expect("exit codes").1;
    let told = statuses(section("Exit codes"));
    assert_eq!(told, [0, 1, 2, 3, 4, 5, 6, 7, 129, 130, 143].into());
    assert_eq!(told, statuses(codes.split("\n\n").next().expect("a list")));
}

#[test]
fn every_dependency_is_accounted_for() {
    let tables = MANIFEST
        .split("\n[")
        .filter(|table| table.split(']').next().unwrap_or_default().ends_with("dependencies"));
    let crates = tables
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name);
    let told: BTreeSet<&str> =
        section("Dependencies").split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).collect();
    let missing: Vec<&str> = crates.filter(|name| !told.contains(name)).collect();
    assert!(told.contains("tokio") && missing.is_empty(), "{missing:?}");
}
