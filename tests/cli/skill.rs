//! The page for agents, held against the program.

use std::process::Stdio;

use crate::support::{Home, Run, at_once};
use crate::texts::{flags, printed};
use crate::wire::words;

/// The commands in the page's code blocks.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```bash\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .collect()
}

#[test]
fn page_is_short_and_its_front_matter_has_the_members() {
    let page = printed(&["skill"]);
    assert!(page.chars().count() <= 7000, "{}", page.chars().count());
    let front = page
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"));
    let front = front.expect("front matter").0;
    let names = front.lines().filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = names
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let expected = [
        "name",
        "description",
        "license",
        "compatibility",
        "metadata",
    ];
    assert_eq!(names, expected);
}

#[test]
fn page_names_every_field_of_a_call_and_no_unknown_flag() {
    let (page, full) = (printed(&["skill"]), printed(&["skill", "full"]));
    let help = printed(&["call", "--help"]);
    let (own, _) = help.split_once("Global options").expect("global options");
    for flag in flags(own) {
        let is_optional = ["--idempotency-key", "--exit-status", "--help"].contains(&flag);
        let short = format!("`-{}`", &flag[2..3]);
        let is_named = flags(&page).contains(flag) || page.contains(&short);
        assert!(is_named || is_optional, "{flag}");
    }
    let all = printed(&["man"]).replace("\\-", "-") + "--help";
    let unknown: Vec<&str> = flags(&full).difference(&flags(&all)).copied().collect();
    let commands = crate::texts::commands(&all);
    assert!(
        unknown.iter().all(|flag| commands.contains(&flag[2..])),
        "{unknown:?}"
    );
    assert!(full.starts_with(&page) && full.len() > page.len() + 1000);
}

#[test]
fn every_command_of_the_skill_works() {
    let page = printed(&["skill", "full"]);
    let commands = commands(&page);
    assert!(commands.len() >= 15, "{commands:?}");
    let check = |home: &Home, line: &str| {
        let words = words(line);
        assert_eq!(words[0], "kallyai", "{line}");
        // A new sandbox signs in by itself, and every result may have been shown.
        let (sandbox, exits): (Option<&str>, &[i32]) = match words[1] {
            "login" => (None, &[0]),
            "auth-status" => (None, &[4]),
            "resume" => (Some("--sandbox"), &[0, 1]),
            _ => (Some("--sandbox"), &[0]),
        };
        let mut command = home.kallyai(sandbox);
        let run = Run::of(command.args(&words[1..]).stdin(Stdio::null()));
        let exit = run.exit.expect("an exit status");
        assert!(exits.contains(&exit), "{line}: {exit} {}", run.stderr);
        if exit == 0 && line.contains("--json") {
            run.json();
        }
    };
    let home = Home::new();
    let (calls, reads): (Vec<&str>, Vec<&str>) =
        commands.iter().partition(|line| line.contains(" call "));
    let detached = calls
        .iter()
        .find(|line| line.contains("--detach"))
        .expect("a detached call");
    check(&home, detached);
    at_once(calls, |line| check(&Home::new(), line));
    reads
        .iter()
        .filter(|line| line.contains("resume"))
        .for_each(|line| check(&home, line));
    at_once(reads, |line| check(&home, line));
}
