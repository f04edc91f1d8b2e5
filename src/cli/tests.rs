//! Tests that command lines are parsed correctly and that the help texts are complete.

use clap::{Arg, Command};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn argv(line: &[&str]) -> Vec<OsString> {
    let words = std::iter::once("kallyai").chain(line.iter().copied());
    words.map(OsString::from).collect()
}

/// Splits a command line into words. Supports only double quotes.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    let words = parts.map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect::<Vec<_>>().concat()
}

/// Returns the parsed command as text, so that two command lines can be compared.
fn parsed(line: &[&str]) -> String {
    match parse(&argv(line)) {
        Ok(cli) => format!("{cli:?}"),
        Err(stop) => panic!("{line:?}: {stop:?}"),
    }
}

#[test]
fn flag_syntax_parses_like_command_syntax() {
    for case in r#"
        --history --limit 5                     | history --limit 5
        --json list                             | history --json
        --call last                             | call-info last
        --transcript --json last                | transcript last --json
        --trans last-1                          | transcript last-1
        --stats                                 | usage
        --us                                    | usage
        --sub                                   | subscription
        -p +15551234567 -t Ask                  | call -p +15551234567 -t Ask
        -p+15551234567 -tAsk -len               | call -p +15551234567 -t Ask -l en
        -p=+15551234567 -t=Ask                  | call -p +15551234567 -t Ask
        --ph +15551234567 --ta Ask --cat hotel  | call -p +15551234567 -t Ask -c hotel
        -p "+15551234567" -t "A table" --category restaurant --name "John Smith" --party-size 4 --date "2026-01-28" --time "20:00" | call --date 2026-01-28 --time=20:00 --party-size=4 --name "John Smith" -crestaurant -t"A table" -p+15551234567
        --resume=usage                          | resume usage
        --skill=full                            | skill full
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
fn values_are_never_parsed_as_commands() {
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
fn invalid_command_lines_exit_with_2_and_a_hint() {
    for case in r#"
        --histroy | unexpected argument '--histroy' found | did you mean --history?
        --auth_status | unexpected argument '--auth_status' found | did you mean --auth-status?
        histroy | unknown command 'histroy' | did you mean history?
        +15551234567 x | unknown command '+15551234567' | kallyai call NUMBER TASK
        cancel 3f2a | a call in progress cannot be ended | run kallyai pending to check on the call
        --hangup | a call in progress cannot be ended | run kallyai pending to check on the call
        -p +15551234567 -t --json | -t needs a value | to use --json as the value, type -t=--json
        usage history | unexpected argument 'history' found | see kallyai usage --help
        usage --history | usage and history cannot be combined | run one command at a time
        --usage --usage | usage and usage cannot be combined | run one command at a time
        -p +15551234567 -t x usage | unexpected argument '-p' found | see kallyai usage --help
        -t x history | unexpected argument '-t' found | see kallyai history --help
        history --limt 5 | unexpected argument '--limt' found | did you mean --limit?
        usage --sta | --sta is ambiguous | use --stats
        history --limit 5 --limit 6 | cannot be used multiple times | see kallyai history --help
        history --limit -1 | -1 is not in 1 to 200 | see kallyai history --help
        history foo | unexpected argument 'foo' found | see kallyai history --help
        history --st busy | --st is ambiguous | use --stats or --status
        --sta | --sta is ambiguous | use --stats or --status
        --log | --log is ambiguous | use --login or --logout
        -p +15551234567 -t x --ti 8pm | --ti is ambiguous | --time or --time-preference
        -p +15551234567 -t x --a | --a is ambiguous | use --api or --auth-status
        -p +15551234567 -t x --agai | unexpected argument '--agai' found | did you mean --again?
        call -t x --detach --exit-status | cannot be used with | see kallyai call --help
        call -c dentist | invalid value 'dentist' | use restaurant or clinic
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
fn every_command_has_help_and_a_version() {
    let shown = |line: &str| match parse(&argv(&words(line))) {
        Err(Stop::Show(text)) => text,
        other => panic!("{line:?}: {other:?}"),
    };
    for line in ["", "-h", "--help", "help", "--json help"] {
        assert_eq!(shown(line), texts::HELP, "{line:?}");
    }
    for command in args::command().get_subcommands() {
        let name = command.get_name();
        let page = shown(&format!("{name} --help"));
        assert_eq!(page, shown(&format!("help {name}")));
        assert!(page.contains("\nExample"), "{page}");
        let widest = page.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{page}");
        for flag in ["-v", "-V", "--version"] {
            let version = concat!("kallyai ", env!("CARGO_PKG_VERSION"), "\n");
            assert_eq!(shown(&format!("{name} {flag}")), version);
        }
    }
}

#[test]
fn top_level_help_is_short_and_lists_every_command() {
    assert!(texts::HELP.lines().count() <= 40);
    assert!(texts::HELP.lines().all(|line| line.chars().count() <= 80));
    let parts = texts::HELP.split(|c: char| !c.is_alphanumeric() && c != '-');
    let named: Vec<&str> = parts.collect();
    for command in args::command().get_subcommands() {
        for name in std::iter::once(command.get_name()).chain(command.get_all_aliases()) {
            assert!(named.contains(&name), "{name}");
        }
    }
}

#[test]
fn flags_take_values_consistently_across_commands() {
    let root = args::command();
    let mut flags = std::collections::HashMap::new();
    for arg in root.get_subcommands().flat_map(Command::get_arguments) {
        let Some(long) = arg.get_long() else { continue };
        let takes_value = arg.get_action().takes_values();
        let first = *flags.entry(long).or_insert(takes_value);
        assert_eq!(first, takes_value, "{long}");
        assert!(root.find_subcommand(long).is_none(), "{long} is a command");
    }
}

/// Values that look like commands or flags.
const WORDS: [&str; 8] = [
    "history", "--hist", "call", "help", "- a", "resume", "-", "last",
];

/// Returns a valid value for a flag or operand.
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
        "task" => pick.get(&["history", "--hist", "- a", "@@help", "-"]),
        _ => pick.get(&WORDS),
    };
    value.to_owned()
}

/// Returns random flags in random forms. For `call`, always includes --phone and --task.
fn flags_of(options: &[&Arg], is_call: bool, picks: &[(Index, Index, u8)]) -> Vec<Vec<String>> {
    // IDs of flags to skip: they conflict with other flags or have already been used.
    let mut seen = vec!["exit_status", "callback_url", "version", "phone", "task"];
    let is_needed = |arg: &&&Arg| is_call && ["phone", "task"].contains(&arg.get_id().as_str());
    let (_, first, style) = picks[0];
    let needed = options.iter().filter(is_needed);
    let needed = needed.map(|arg| spelled(arg, &value_of(arg, first), style));
    let mut flags: Vec<Vec<String>> = needed.collect();
    for (which, value, style) in picks {
        let arg = *which.get(options);
        let id = arg.get_id().as_str();
        if !seen.contains(&id) {
            seen.push(id);
            flags.push(spelled(arg, &value_of(arg, *value), *style));
        }
    }
    flags
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
    fn command_may_be_a_word_or_a_flag_at_any_position(
        (which, alias, value, place) in any::<(Index, Index, Index, Index)>(),
        picks in prop::collection::vec(any::<(Index, Index, u8)>(), 1..7),
        (has_operand, with_equals) in any::<(bool, bool)>(),
    ) {
        let root = args::command();
        let commands: Vec<&Command> = root.get_subcommands().collect();
        let command = *which.get(&commands);
        let names = std::iter::once(command.get_name()).chain(command.get_all_aliases());
        let name = (*alias.get(&names.collect::<Vec<_>>())).to_owned();
        let all = command.get_arguments().chain(root.get_arguments());
        let options: Vec<&Arg> = all.filter(|arg| arg.get_long().is_some()).collect();
        let flags = flags_of(&options, name == "call", &picks);
        let operand = command.get_positionals().next().filter(|_| name != "call");
        let operand = operand.filter(|operand| operand.is_required_set() || has_operand);
        let operand = operand.map(|operand| value_of(operand, value).replace('-', "x"));
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

}

#[test]
fn skill_is_short_and_its_commands_are_valid() {
    let skill = texts::skill(false);
    assert!(skill.chars().count() <= 7000);
    let full = texts::skill(true);
    let commands = full
        .lines()
        .filter_map(|line| line.strip_prefix("kallyai ")?.split(" <<").next());
    let commands: Vec<&str> = commands.collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        parsed(&words(command));
    }
}

#[test]
fn man_page_lists_every_flag() {
    let page = String::from_utf8(texts::man().expect("a page")).expect("UTF-8");
    let root = args::command();
    let commands = root.get_subcommands().chain([&root]);
    let all = commands.flat_map(Command::get_arguments);
    for long in all.filter_map(Arg::get_long) {
        let flag = format!("\\-\\-{}", long.replace('-', "\\-"));
        assert!(page.contains(&flag), "{long}");
    }
}
