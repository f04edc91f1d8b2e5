//! The README and the reference, held against the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{Home, Run};
use crate::texts::flags;

const README: &str = include_str!("../../README.md");
const REFERENCE: &str = include_str!("../../docs/reference.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The blocks of this language, in order.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let fenced = README.split("```").skip(1).step_by(2);
    fenced.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

fn section(document: &'static str, heading: &str) -> &'static str {
    let rest = document.split_once(&format!("\n## {heading}\n")).expect("a section").1;
    rest.split("\n## ").next().unwrap_or(rest)
}

/// A shell that finds the program by its name.
pub fn shell(home: &Home, command: &str) -> Command {
    let direct = home.kallyai(Vec::<&str>::new());
    let folder = Path::new(direct.get_program()).parent().expect("a folder");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).env_clear();
    shell.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()));
    shell
}

#[test]
fn it_is_short_enough_to_be_read() {
    assert!(README.lines().count() <= 150);
}

#[test]
fn completions_and_man_page_are_installed_where_it_says() {
    let home = Home::new();
    let block = blocks("sh").find(|block| block.contains("--completions")).expect("the lines");
    for line in block.lines() {
        let run = Run::of(&mut shell(&home, &format!("set -e; {line}\nwc -c < \"$f\""))).exits(0);
        assert!(run.stdout.trim().parse::<u64>().expect("a size") > 500, "{line}");
    }
}

#[test]
fn its_flags_are_those_of_the_program() {
    let help = Run::of(&mut Home::new().kallyai(["--help"])).exits(0).stdout;
    assert_eq!(
        flags(section(REFERENCE, "Flags")),
        flags(help.split("Exit codes:").next().expect("the flags"))
    );
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
    let told = statuses(section(REFERENCE, "Exit codes"));
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
        section(README, "Dependencies").split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).collect();
    let missing: Vec<&str> = crates.filter(|name| !told.contains(name)).collect();
    assert!(told.contains("tokio") && missing.is_empty(), "{missing:?}");
}
