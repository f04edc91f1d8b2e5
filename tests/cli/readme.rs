//! The README and the reference, held against the program.

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

/// The command lines in a section's first block.
fn lines(heading: &str) -> impl Iterator<Item = &'static str> {
    let block = section(README, heading).split("```sh\n").nth(1);
    let block = block.and_then(|block| block.split("```").next());
    block.expect("a block").lines()
}

/// A shell that finds the program by its name.
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
fn pages_are_short() {
    assert!(README.lines().count() <= 150);
    assert!(REFERENCE.lines().count() <= 150);
}

#[test]
fn everyday_commands_of_the_readme_work() {
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
fn completions_and_man_page_are_installed_as_the_readme_says() {
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
fn reference_has_the_commands_and_flags_of_the_program() {
    let page = printed(&["man"]).replace("\\-", "-");
    let part = section(REFERENCE, "Commands and options");
    let mut own: BTreeSet<&str> = flags(page.split(".SH \"DATES").next().expect("options"));
    own.insert("--help");
    // Flag forms of commands are examples in both.
    let is_command = |flag: &&str| commands(&page).contains(&flag[2..]);
    own.retain(|flag| !is_command(flag));
    let mut listed = flags(part);
    listed.retain(|flag| !is_command(flag));
    assert_eq!(listed, own);
    let words: BTreeSet<&str> = part.split(['`', ' ', '|', ',']).collect();
    let missing: Vec<&str> = commands(&page).difference(&words).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn reference_has_the_exit_codes_of_the_man_page() {
    let page = printed(&["man"]);
    let of_page = page
        .split_once(".SH \"EXIT STATUS\"\n")
        .expect("a section")
        .1;
    let of_page = of_page.split(".SH ").next().unwrap_or_default();
    let of_page = of_page.split(".TP\n").filter_map(|row| row.lines().next());
    let rows = section(REFERENCE, "Exit codes").lines();
    let listed = rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
    let listed: Vec<&str> = listed
        .filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(
        listed,
        of_page.filter(|line| !line.is_empty()).collect::<Vec<_>>()
    );
    assert_eq!(listed, ["0", "1", "2", "3", "4", "5", "6", "7", "130, 143"]);
}

#[test]
fn reference_has_the_variables_of_the_program() {
    let listed: BTreeSet<&str> = section(REFERENCE, "Environment").split('`').collect();
    let missing: Vec<&str> = variables().difference(&listed).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn abbreviations_in_the_reference_are_ambiguous() {
    let text = section(REFERENCE, "Coming from kallyai-cli");
    let (_, listed) = text.split_once("begin alike: ").expect("a list");
    let listed: Vec<&str> = listed
        .split('`')
        .filter(|text| text.starts_with("--"))
        .collect();
    assert_eq!(listed.len(), 12, "{listed:?}");
    for flag in listed {
        let home = Home::new();
        let line = ["-p", "+15551234567", "-t", "Ask", "--dry-run", flag];
        let run = Run::of(&mut home.kallyai(line)).exits(2);
        assert!(
            run.stderr.contains(&format!("{flag} is ambiguous")),
            "{}",
            run.stderr
        );
    }
}
