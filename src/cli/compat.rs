//! Prepares a command line for clap by moving the command to the front and removing its dashes:
//! `--limit 5 --history` becomes `history --limit 5`, and `-p N -t T` becomes `call -p N -t T`.
//! Also expands abbreviated flags. Clap cannot expand them, because it does not know the commands
//! in flag form, such as `--history`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::Command;

use crate::error::{Error, Result};

#[derive(Clone, Copy, PartialEq)]
enum Flag<'c> {
    Command(&'c str),
    /// A flag that takes a value.
    Value,
    Switch,
}

type Names<'c> = BTreeMap<String, Flag<'c>>;

/// A command-line word other than the command, and whether it is a flag.
type Word = (OsString, bool);

/// Returns `argv` with the command moved to the front, right after the program's name.
pub fn command_first(root: &Command, argv: &[OsString]) -> Result<Vec<OsString>> {
    let all = names(root, None);
    let (mut commands, mut rest): (Vec<&str>, Vec<Word>) = Default::default();
    let mut has_call_flag = false;
    let mut words = argv.iter().skip(1).cloned().peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let (name, value) = split(&text);
        let found = matching(&all, name);
        if text == "--" {
            rest.push((word, false));
            rest.extend(words.by_ref().map(|word| (word, false)));
        } else if text == "-" || !text.starts_with('-') {
            // Only the first command name selects a command. Any later word is an operand.
            match root.find_subcommand(&word) {
                Some(command) if commands.is_empty() => commands.push(command.get_name()),
                None if word == "help" && commands.is_empty() => rest.push(("--help".into(), true)),
                _ => rest.push((word, false)),
            }
        } else if let [(_, Flag::Command(command))] = found[..] {
            commands.push(command);
            let operand = value.strip_prefix('=');
            rest.extend(operand.map(|operand| (operand.into(), false)));
        } else {
            rest.push((word, true));
            has_call_flag |= matches!(found[..], [("-p" | "-t" | "--phone" | "--task", _)]);
            let is_valued = !found.is_empty() && found.iter().all(|(_, flag)| *flag == Flag::Value);
            let value = words.next_if(|_| is_valued && value.is_empty());
            let value = value.map(|value| separate_value(&all, &text, value));
            rest.extend(value.transpose()?);
        }
    }
    if !rest.iter().any(|(word, _)| word == "--") {
        // Move --help to the end, because clap ignores every word after it.
        rest.sort_by_key(|(word, is_flag)| *is_flag && (word == "--help" || word == "-h"));
    }
    if let [first, second, ..] = commands[..] {
        let message = format!("{first} and {second} cannot be combined");
        return Err(Error::usage(message, "run one command at a time"));
    }
    let call = has_call_flag.then_some("call");
    let command = commands.first().copied().or(call);
    let own = names(root, command);
    let start = argv.iter().take(1).cloned().chain(command.map(Into::into));
    let rest = rest.into_iter().map(|word| expanded(&own, word));
    start.map(Ok).chain(rest).collect()
}

/// Returns the word after a flag as the flag's value. Fails if that word is itself a flag.
fn separate_value(all: &Names, flag: &str, value: OsString) -> Result<Word> {
    let text = value.to_string_lossy();
    if text == "--" || all.contains_key(&*text) {
        let hint = format!("to use {text} as the value, type {flag}={text}");
        return Err(Error::usage(format!("{flag} needs a value"), hint));
    }
    Ok((value, false))
}

/// Expands an abbreviated flag. Fails if the abbreviation is ambiguous.
fn expanded(own: &Names, (word, is_flag): Word) -> Result<OsString> {
    let Some(text) = word.to_str().filter(|_| is_flag) else {
        return Ok(word);
    };
    let (name, value) = split(text);
    match matching(own, name)[..] {
        [] => Ok(word),
        [(long, Flag::Value | Flag::Switch)] => Ok(format!("{long}{value}").into()),
        ref found => {
            let names: Vec<&str> = found.iter().map(|(long, _)| *long).collect();
            let hint = format!("use {}", names.join(" or "));
            Err(Error::usage(format!("{name} is ambiguous"), hint))
        }
    }
}

/// Returns the commands in flag form, such as `--usage`, and the flags of all commands, or of only
/// one if `only` is set. `call` has no flag form, because `--call ID` means `call-info`.
fn names<'c>(root: &'c Command, only: Option<&str>) -> Names<'c> {
    let mut names = Names::from(["-h", "--help"].map(|name| (name.into(), Flag::Switch)));
    for command in root.get_subcommands() {
        let name = command.get_name();
        let forms = Some(name).filter(|name| *name != "call").into_iter();
        let forms = forms.chain(command.get_all_aliases());
        let forms = forms.chain(command.get_all_long_flag_aliases());
        names.extend(forms.map(|form| (format!("--{form}"), Flag::Command(name))));
    }
    let is_listed = |command: &&Command| only.is_none_or(|only| only == command.get_name());
    let owners = root.get_subcommands().filter(is_listed).chain([root]);
    for arg in owners.flat_map(Command::get_arguments) {
        let is_valued = arg.get_action().takes_values();
        let flag = if is_valued { Flag::Value } else { Flag::Switch };
        names.extend(arg.get_long().map(|long| (format!("--{long}"), flag)));
        let letters = arg.get_short_and_visible_aliases().unwrap_or_default();
        names.extend(letters.iter().map(|letter| (format!("-{letter}"), flag)));
    }
    names
}

/// Returns the flag with exactly this name. If there is none, returns all flags that start with the
/// name.
fn matching<'n, 'c>(names: &'n Names<'c>, name: &str) -> Vec<(&'n str, Flag<'c>)> {
    let is_exact = names.contains_key(name);
    // --again allows a second call, so it cannot be abbreviated.
    let begins = |long: &str| !is_exact && long.starts_with(name) && long != "--again";
    let all = names.iter().map(|(long, flag)| (long.as_str(), *flag));
    let found = all.filter(|(long, _)| *long == name || begins(long));
    let mut found: Vec<_> = found.collect();
    // Keep one name per command: several names for one command are not ambiguous.
    found.dedup_by(|a, b| matches!(a.1, Flag::Command(_)) && a.1 == b.1);
    found
}

/// Splits `--name=VALUE` into `--name` and `=VALUE`, and `-nVALUE` into `-n` and `VALUE`.
fn split(text: &str) -> (&str, &str) {
    let end = match text.strip_prefix("--") {
        Some(_) => text.find('=').unwrap_or(text.len()),
        None => text.chars().take(2).map(char::len_utf8).sum(),
    };
    text.split_at(end)
}
