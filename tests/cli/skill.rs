//! Tests that the skill (the instructions for AI agents) matches the program.

use std::process::Stdio;

use crate::support::{Home, Run, parallel};
use crate::texts::{flags, printed};
use crate::wire::words;

/// Returns the commands in the code blocks of the skill.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```bash\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .collect()
}

#[test]
fn skill_mentions_every_call_flag_and_no_unknown_flag() {
    let (page, full) = (printed(&["skill"]), printed(&["skill", "full"]));
    let help = printed(&["call", "--help"]);
    let (own, _) = help.split_once("Global options").expect("global options");
    for flag in flags(own) {
        let is_optional = ["--idempotency-key", "--exit-status", "--help"].contains(&flag);
        let is_short = ["--phone", "--task", "--category"].contains(&flag);
        let short = format!("`-{}`", &flag[2..3]);
        let is_named = flags(&page).contains(flag) || is_short && page.contains(&short);
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
fn every_skill_command_works() {
    let page = printed(&["skill", "full"]);
    let commands = commands(&page);
    assert!(commands.len() >= 15, "{commands:?}");
    let check = |home: &Home, line: &str| {
        let words = words(line);
        assert_eq!(words[0], "kallyai", "{line}");
        // The sandbox needs no sign-in, so test `login` and `auth-status` outside the sandbox.
        // `resume` exits with 1 if no call is pending.
        let (sandbox, exits): (Option<&str>, &[i32]) = match words[1] {
            "login" => (None, &[0]),
            "auth-status" => (None, &[4]),
            "resume" => (Some("--sandbox"), &[0, 1]),
            _ => (Some("--sandbox"), &[0]),
        };
        let mut command = home.kallyai(sandbox);
        let words = words[1..].iter().map(|&word| match word {
            "ID" | "KEY" => "last",
            word => word,
        });
        command.args(words).current_dir(home.path(""));
        let run = Run::of(command.stdin(Stdio::null()));
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
    parallel(calls, |line| check(&Home::new(), line));
    reads
        .iter()
        .filter(|line| line.contains("resume"))
        .for_each(|line| check(&home, line));
    parallel(reads, |line| check(&home, line));
}
