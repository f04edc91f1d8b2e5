//! The page for agents, held against what it says.

use crate::support::{Home, Run, Running, at_once};
use crate::texts::flags;

fn page(flags: &[&str]) -> String {
    Run::of(Home::new().kallyai(["--skill"]).args(flags)).exits(0).stdout
}

/// The commands in the page's code blocks.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```bash\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines().map(str::to_owned))
        .collect()
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
fn it_is_short_and_says_in_its_front_matter_what_it_needs() {
    let page = page(&[]);
    assert!(page.chars().count() <= 6000, "{}", page.chars().count());
    let (front, _) =
        page.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("front matter");
    let members: Vec<&str> = front
        .lines()
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    assert_eq!(members, ["name", "description", "license", "compatibility", "metadata"]);
    for line in
        ["name: kallyai", "license: MIT", "    primaryEnv: KALLYAI_ACCESS_TOKEN", "        package: kallyai"]
    {
        assert!(front.lines().any(|own| own == line), "{line}");
    }
    assert_eq!(front.matches("kind: ").count(), 1, "one way to install it");
}

#[test]
fn every_field_of_a_call_has_its_flag_on_it() {
    let page = page(&[]);
    let named = flags(&page);
    let help = Run::of(&mut Home::new().kallyai(["--help", "--json"])).exits(0).json();
    let flags = help["flags"].as_array().expect("flags");
    for flag in flags.iter().filter(|flag| flag["commands"] == serde_json::json!(["--phone"])) {
        let (long, short) = (flag["flag"].as_str().expect("a flag"), flag["short"].as_str());
        // A key of one's own is on the second page.
        let is_named =
            named.contains(long) || short.is_some_and(|short| page.contains(&format!("`{short}`")));
        assert!(is_named || long == "--idempotency-key", "{long}");
    }
    let ours: std::collections::BTreeSet<&str> =
        flags.iter().filter_map(|flag| flag["flag"].as_str()).collect();
    let unknown: Vec<&&str> = named.iter().filter(|flag| !ours.contains(*flag)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_second_page_follows_the_first() {
    let (first, both) = (page(&[]), page(&["full"]));
    assert!(both.starts_with(&first) && both.len() > first.len() + 1000);
    Run::of(&mut Home::new().kallyai(["--skill", "empty"])).exits(2);
}

#[test]
fn every_command_of_the_skill_works() {
    let commands = commands(&page(&["full"]));
    assert!(commands.len() >= 15, "{commands:?}");
    let run = |home: &Home, command: &str, sandbox: bool| {
        let words = words(command);
        let (program, flags) = words.split_first().expect("a command");
        assert_eq!(program, "kallyai");
        let mut command = home.kallyai(if sandbox { vec!["--sandbox"] } else { vec![] });
        Running::start(command.args(flags).stdin(std::process::Stdio::null())).end()
    };
    let check = |home: &Home, command: &String| {
        // A newcomer's sandbox signs in by itself, and has told the end of every call.
        let (sandbox, exits): (bool, &[i32]) = match () {
            () if command.contains("--no-wait") => (false, &[0]),
            () if command.contains("--auth-status") => (false, &[4]),
            () if command.contains("--resume") => (true, &[0, 1]),
            () => (true, &[0]),
        };
        let ended = run(home, command, sandbox);
        let exit = ended.exit.expect("an exit status");
        assert!(exits.contains(&exit), "{command}: {exit} {}", ended.stderr);
        if exit == 0 && command.contains("--json") {
            ended.json();
        }
        if command.contains("--transcript") || command.contains("--calendar") {
            assert!(!ended.stdout.is_empty(), "{command}");
        }
    };
    let (placing, reading): (Vec<&String>, Vec<&String>) = commands.iter().partition(|c| c.contains(" -p "));
    let home = Home::new();
    let is_detached = |command: &&&String| command.contains("--detach");
    let detached = *placing.iter().find(is_detached).expect("a detached call");
    let (resuming, reading): (Vec<&String>, Vec<&String>) =
        reading.into_iter().partition(|command| command.contains("--resume"));
    std::thread::scope(|scope| {
        let others = placing.iter().filter(|command| **command != detached);
        scope.spawn(|| at_once(others, |command| check(&Home::new(), command)));
        // So that there is something to read.
        [&[detached], &resuming[..]].concat().into_iter().for_each(|command| check(&home, command));
        at_once(reading, |command| check(&home, command));
    });
}
