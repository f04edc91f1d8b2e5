//! The grammar of the command line.

use clap::{Arg, Command};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn argv(line: &[&str]) -> Vec<OsString> {
    let words = std::iter::once("kallyai").chain(line.iter().copied());
    words.map(OsString::from).collect()
}

/// Splits a line as a shell does, as far as double quotes go.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    let words = parts.map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect::<Vec<_>>().concat()
}

/// The parsed value, as text. Two lines that mean the same have the same.
fn parsed(line: &[&str]) -> String {
    match parse(&argv(line)) {
        Ok(cli) => format!("{cli:?}"),
        Err(stop) => panic!("{line:?}: {stop:?}"),
    }
}

#[test]
fn declaration_is_sound() {
    args::command().debug_assert();
}

#[test]
fn old_and_new_lines_mean_the_same() {
    for case in r#"
        --history --limit 5                     | history --limit 5
        --limit=5 --list                        | history --limit 5
        --json list                             | history --json
        --call-info last                        | call-info last
        --call-info=last                        | call-info last
        --call last                             | call-info last
        --transcript --json last                | transcript last --json
        --trans last-1                          | transcript last-1
        --usage                                 | usage
        --stats                                 | usage
        --us                                    | usage
        --sub                                   | subscription
        --auth-status                           | auth-status
        -p +15551234567 -t Ask                  | call -p +15551234567 -t Ask
        -p+15551234567 -tAsk -len               | call -p +15551234567 -t Ask -l en
        -p=+15551234567 -t=Ask                  | call -p +15551234567 -t Ask
        --phone +15551234567 --task=Ask         | call -p +15551234567 -t Ask
        --ph +15551234567 --ta Ask --cat hotel  | call -p +15551234567 -t Ask -c hotel
        -p "+15551234567" -t "A table" --category restaurant --name "John Smith" --party-size 4 --date "2026-01-28" --time "20:00" | call --date 2026-01-28 --time=20:00 --party-size=4 --name "John Smith" -crestaurant -t"A table" -p+15551234567
        --resume                                | resume
        --resume --json                         | resume --json
        --resume=usage                          | resume usage
        --resume usage                          | resume usage
        --skill=full                            | skill full
        --serve-sandbox --json                  | serve-sandbox --json
        history --de                            | history --debug
        --json --json usage                     | usage --json
    "#
    .trim()
    .lines()
    {
        let (old, new) = case.split_once('|').expect("two lines");
        assert_eq!(parsed(&words(old)), parsed(&words(new)), "{old}");
    }
}

#[test]
fn values_are_never_commands() {
    for line in r#"
        -p +15551234567 -t history
        -t usage -p +15551234567 --name login
        call +15551234567 history
        call --json +15551234567 help
        -p +15551234567 -t=--json
        -p +15551234567 -t "- one table"
        call +15551234567 -- --history
    "#
    .trim()
    .lines()
    {
        assert!(parsed(&words(line)).contains("command: Call("), "{line}");
    }
}

#[test]
fn mistakes_exit_with_2_and_a_hint() {
    for case in r#"
        --histroy | unexpected argument '--histroy' found | did you mean --history?
        --auth_status | unexpected argument '--auth_status' found | did you mean --auth-status?
        histroy | unknown command 'histroy' | did you mean history?
        +15551234567 x | unknown command '+15551234567' | kallyai call NUMBER TASK
        -p +15551234567 -t --json | -t needs a value | if --json is the value, write -t=--json
        usage history | usage and history cannot be combined | run one command at a time
        --usage --usage | usage and usage cannot be combined | run one command at a time
        -p +15551234567 -t x usage | unexpected argument '-p' found | see kallyai usage --help
        -t x history | unexpected argument '-t' found | see kallyai history --help
        history --limt 5 | unexpected argument '--limt' found | did you mean --limit?
        history --limit 5 --limit 6 | cannot be used multiple times | see kallyai history --help
        history --limit -1 | -1 is not in 1 to 200 | see kallyai --help
        history foo | unexpected argument 'foo' found | see kallyai history --help
        history --st busy | --st is ambiguous | write one of --stats, --status
        --sta | --sta is ambiguous | write one of --stats, --status
        --log | --log is ambiguous | write one of --login, --logout
        -p +15551234567 -t x --ti 8pm | --ti is ambiguous | --time, --time-preference
        -p +15551234567 -t x --a | --a is ambiguous | write one of --api, --auth-status
        -p +15551234567 -t x --agai | unexpected argument '--agai' found | did you mean --again?
        call -t x --detach --exit-status | cannot be used with | see kallyai call --help
        call -c dentist | invalid value 'dentist' | write one of restaurant, clinic
        -- history | unexpected argument 'history' found | remove the '--' before it
        --json | no command was given | see kallyai --help
        transcript | missing ID | see kallyai transcript --help
        --call +15551234567 | is a phone number, not a call ID | kallyai call NUMBER TASK
        login http://localhost:1/?access_token=hunter2 | argument this value | see kallyai login
    "#
    .trim()
    .lines()
    {
        let parts: Vec<&str> = case.split('|').map(str::trim).collect();
        let [line, message, hint] = parts[..] else {
            panic!("{case}");
        };
        let Err(Stop::Fail(error)) = parse(&argv(&words(line))) else {
            panic!("{line} is accepted");
        };
        assert_eq!(error.exit(), 2, "{line}");
        assert!(error.to_string().contains(message), "{line}: {error}");
        assert!(error.hint().contains(hint), "{line}: {}", error.hint());
    }
}

#[test]
fn help_and_version_are_shown_for_every_command() {
    let shown = |line: &[&str]| match parse(&argv(line)) {
        Err(Stop::Show(text)) => text,
        other => panic!("{line:?}: {other:?}"),
    };
    for line in [
        &[][..],
        &["-h"],
        &["--help"],
        &["help"],
        &["--json", "help"],
    ] {
        assert_eq!(shown(line), texts::HELP, "{line:?}");
    }
    for command in args::command().get_subcommands() {
        let name = command.get_name();
        let page = shown(&[name, "--help"]);
        assert_eq!(page, shown(&["help", name]), "{name}");
        assert!(page.contains("\nExample"), "{page}");
        assert!(
            page.lines().all(|line| line.chars().count() <= 100),
            "{page}"
        );
        for version in ["-v", "-V", "--version"] {
            assert_eq!(
                shown(&[name, version]),
                concat!("kallyai ", env!("CARGO_PKG_VERSION"), "\n")
            );
        }
    }
}

#[test]
fn top_help_is_short_and_names_every_command() {
    assert!(texts::HELP.lines().count() <= 40);
    assert!(texts::HELP.lines().all(|line| line.chars().count() <= 80));
    for command in args::command().get_subcommands() {
        for name in std::iter::once(command.get_name()).chain(command.get_all_aliases()) {
            let is_named = texts::HELP
                .split(|c: char| !c.is_alphanumeric() && c != '-')
                .any(|word| word == name);
            assert!(is_named, "{name}");
        }
    }
}

#[test]
fn flags_mean_the_same_in_every_command() {
    let root = args::command();
    let mut flags = std::collections::HashMap::new();
    for arg in root.get_subcommands().flat_map(Command::get_arguments) {
        let Some(long) = arg.get_long() else { continue };
        let takes_value = arg.get_action().takes_values();
        assert_eq!(
            *flags.entry(long).or_insert(takes_value),
            takes_value,
            "{long}"
        );
        assert!(root.find_subcommand(long).is_none(), "{long} is a command");
    }
}

/// Values that look like commands and flags.
const WORDS: [&str; 8] = [
    "history",
    "--histories",
    "call",
    "help",
    "- a",
    "resume",
    "-",
    "last",
];

/// A value that the flag or operand takes.
fn value_of(arg: &Arg, pick: Index) -> String {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return pick.get(&possible).get_name().to_owned();
    }
    let value = match arg.get_id().as_str() {
        "phone" | "number" | "user_phone" => "+15551234567",
        "limit" | "offset" | "party_size" | "timeout" | "callback_port" => "7",
        "date" => "2027-01-28",
        "since" | "until" => "2026-01-28",
        "time" => "20:00",
        "timezone" => "Europe/Madrid",
        "id" => "last",
        "address" => "127.0.0.1:80",
        "idempotency_key" => "history",
        "task" => pick.get(&["history", "--histories", "- a", "@@help", "-"]),
        _ => pick.get(&WORDS),
    };
    value.to_owned()
}

/// A command line in its parts.
#[derive(Debug)]
struct Parts {
    name: String,
    operand: Option<String>,
    flags: Vec<Vec<String>>,
}

fn parts(command: &Command, globals: &[Arg], picks: &[(Index, Index, u8)]) -> Parts {
    let (name, value, style) = picks[0];
    let names = std::iter::once(command.get_name()).chain(command.get_all_aliases());
    let name = (*name.get(&names.collect::<Vec<_>>())).to_owned();
    let is_call = name == "call";
    let operand = command.get_positionals().next().filter(|_| !is_call);
    let operand = operand
        .filter(|operand| operand.is_required_set() || style.is_multiple_of(2))
        .map(|operand| value_of(operand, value).replace('-', "x"));
    let all = command.get_arguments().chain(globals);
    let options: Vec<&Arg> = all.filter(|arg| arg.get_long().is_some()).collect();
    let required = options
        .iter()
        .filter(|arg| is_call && ["phone", "task"].contains(&arg.get_id().as_str()));
    let mut flags: Vec<Vec<String>> = required
        .map(|arg| spelled(arg, &value_of(arg, value), style))
        .collect();
    // Flags that conflict with others, and those that are given already.
    let mut seen = vec!["exit_status", "callback_url", "version", "phone", "task"];
    for (which, value, style) in &picks[1..] {
        let arg = *which.get(&options);
        let id = arg.get_id().as_str();
        if !seen.contains(&id) {
            seen.push(id);
            flags.push(spelled(arg, &value_of(arg, *value), *style));
        }
    }
    Parts {
        name,
        operand,
        flags,
    }
}

fn spelled(arg: &Arg, value: &str, style: u8) -> Vec<String> {
    let long = arg.get_long().expect("a long name");
    if !arg.get_action().takes_values() {
        return vec![format!("--{long}")];
    }
    match (arg.get_short(), style % 5) {
        (Some(short), 0) => vec![format!("-{short}"), value.into()],
        (Some(short), 1) => vec![format!("-{short}={value}")],
        (Some(short), 2) => vec![format!("-{short}{value}")],
        (_, 3) => vec![format!("--{long}={value}")],
        _ => vec![format!("--{long}"), value.into()],
    }
}

proptest! {
    #[test]
    fn flag_form_anywhere_is_the_word_form(
        which in any::<Index>(),
        picks in prop::collection::vec(any::<(Index, Index, u8)>(), 1..7),
        (place, with_equals) in any::<(Index, bool)>(),
    ) {
        let root = args::command();
        let commands: Vec<&Command> = root.get_subcommands().collect();
        let command = *which.get(&commands);
        let globals: Vec<Arg> = root.get_arguments().cloned().collect();
        let Parts { name, operand, flags } = parts(command, &globals, &picks);
        let line = |before: &[Vec<String>], token: Vec<String>, after: &[Vec<String>]| {
            let all = [before, &[token], after].concat().concat();
            parsed(&all.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (before, after) = flags.split_at(place.index(flags.len() + 1));
        let form = |name: String| match &operand {
            Some(operand) if with_equals && name.starts_with('-') => vec![format!("{name}={operand}")],
            Some(operand) => vec![name, operand.clone()],
            None => vec![name],
        };
        let expected = line(&[], form(name.clone()), &flags);
        prop_assert_eq!(&line(before, form(name.clone()), after), &expected);
        let flag_form = if name == "call" { vec![] } else { form(format!("--{name}")) };
        prop_assert_eq!(&line(before, flag_form, after), &expected);
    }

    #[test]
    fn values_of_a_call_stay_values(value in select(&WORDS[..]), name in select(&WORDS[..])) {
        let of = |line: &[&str]| match parse(&argv(line)) {
            Ok(Cli { command: args::Command::Call(call), .. }) => (call.task, call.fields.name),
            other => panic!("{line:?}: {other:?}"),
        };
        let joined = format!("--name={name}");
        let expected = (value.parse().ok(), Some(name.to_owned()));
        prop_assert_eq!(&of(&["-t", value, "--name", name, "-p", "+15551234567"]), &expected);
        prop_assert_eq!(&of(&["--task", value, &joined, "call"]), &expected);
        prop_assert_eq!(&of(&[&joined, &format!("-t={value}")]), &expected);
    }
}

#[test]
fn skill_commands_parse_and_the_skill_is_short() {
    let skill = texts::skill(None);
    assert!(skill.chars().count() <= 7000);
    let full = texts::skill(Some(args::SkillPart::Full));
    let lines = full
        .lines()
        .filter_map(|line| line.strip_prefix("kallyai "));
    let commands: Vec<&str> = lines.collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        parsed(&words(command));
    }
}

#[test]
fn man_page_has_its_sections_and_every_flag() {
    let page = String::from_utf8(texts::man().expect("a page")).expect("UTF-8");
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".SH "))
        .map(|heading| heading.trim_matches('"'))
        .collect();
    assert_eq!(
        headings,
        [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "COMMANDS",
            "CALL OPTIONS",
            "GLOBAL OPTIONS",
            "DATES AND TIMES",
            "SANDBOX",
            "FILES",
            "ENVIRONMENT",
            "EXIT STATUS",
            "EXAMPLES",
            "SEE ALSO",
        ]
    );
    let root = args::command();
    let all = root
        .get_subcommands()
        .chain([&root])
        .flat_map(Command::get_arguments);
    for long in all.filter_map(Arg::get_long) {
        assert!(
            page.contains(&format!("\\-\\-{}", long.replace('-', "\\-"))),
            "{long}"
        );
    }
}
