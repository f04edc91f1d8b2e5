//! Tests that the README and the reference match the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{Home, Run};
use crate::texts::{commands, flags, printed, variables};
use crate::wire::words;

const README: &str = include_str!("../../README.md");
const REFERENCE: &str = include_str!("../../docs/reference.md");

fn section(document: &'static str, heading: &str) -> &'static str {
    let rest = document.split_once(&format!("\n## {heading}\n"));
    let rest = rest.expect("a section").1;
    rest.split("\n## ").next().unwrap_or(rest)
}

/// Returns the command lines in the first code block of a README section.
fn lines(heading: &str) -> impl Iterator<Item = &'static str> {
    let block = section(README, heading).split("```sh\n").nth(1);
    let block = block.and_then(|block| block.split("```").next());
    block.expect("a block").lines()
}

/// Returns a shell that runs `command` with the program in its `PATH`.
pub fn shell(home: &Home, command: &str) -> Command {
    let direct = home.kallyai([""; 0]);
    let folder = Path::new(direct.get_program()).parent().expect("a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display());
    let variables = direct
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .env_clear()
        .envs(variables)
        .env("PATH", path);
    shell
}

#[test]
fn readme_commands_work() {
    let home = Home::new();
    for line in lines("Everyday commands") {
        let file = home.path("dinner.ics").display().to_string();
        let line = line.replace("dinner.ics", &file);
        let line = line.strip_prefix("kallyai").expect("a command");
        home.sandbox(&words(line)).exits(0);
    }
    assert!(home.path("dinner.ics").exists());
}

#[test]
fn readme_steps_install_completions_and_man_page() {
    let home = Home::new();
    let lines: Vec<&str> = README
        .lines()
        .filter(|line| line.contains(" > ~/"))
        .collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        let line = line.split("  #").next().unwrap_or(line).trim();
        let file = line.split("> ").nth(1).expect("a file");
        Run::of(&mut shell(
            &home,
            &format!("mkdir -p $(dirname {file}); {line}"),
        ))
        .exits(0);
        let written = std::fs::metadata(home.path(file.trim_start_matches("~/")));
        assert!(written.expect("a file").len() > 100, "{line}");
    }
}

#[test]
fn reference_lists_every_flag() {
    let page = printed(&["man"]).replace("\\-", "-");
    let part = section(REFERENCE, "Commands and options");
    let mut own: BTreeSet<&str> = flags(page.split(".SH \"DATES").next().expect("options"));
    own.insert("--help");
    // Ignore commands in flag syntax, such as `--history`: the pages mention only a few of them.
    let is_command = |flag: &&str| commands(&page).contains(&flag[2..]);
    own.retain(|flag| !is_command(flag));
    let mut listed = flags(part);
    listed.retain(|flag| !is_command(flag));
    assert_eq!(listed, own);
}

#[test]
fn reference_lists_every_environment_variable() {
    let listed: BTreeSet<&str> = section(REFERENCE, "Environment").split('`').collect();
    let missing: Vec<&str> = variables().difference(&listed).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}
