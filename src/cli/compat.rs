//! Moves the command to the front of a command line, without its dashes, and leaves the rest to
//! clap: `--limit 5 --history` becomes `history --limit 5`, `-p N -t T` becomes
//! `call -p N -t T`. It also completes abbreviated flags: clap would compare them with one
//! command's flags alone.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::Command;

use crate::error::{Error, Result};

/// The flag that lifts the protection against a second call is written in full.
const NEVER_ABBREVIATED: &str = "--again";

#[derive(Clone, Copy, PartialEq)]
enum Flag<'c> {
    Command(&'c str),
    /// Takes a value.
    Value,
    Switch,
}

type Names<'c> = BTreeMap<String, Flag<'c>>;

struct Line<'c> {
    root: &'c Command,
    names: Names<'c>,
    command: Option<&'c Command>,
    /// How many of the next words are operands of the command.
    operands: usize,
    has_call_flag: bool,
    /// Everything but the command, and whether it is a flag.
    rest: Vec<(OsString, bool)>,
}

/// `argv` begins with the program's name.
pub fn command_first(root: &Command, argv: &[OsString]) -> Result<Vec<OsString>> {
    let mut line = Line {
        root,
        names: names(root, None),
        command: None,
        operands: 0,
        has_call_flag: false,
        rest: Vec::new(),
    };
    let mut words = argv.iter().skip(1).cloned();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            let rest = std::iter::once(word).chain(words.by_ref());
            line.rest.extend(rest.map(|word| (word, false)));
        } else if text == "-" || !text.starts_with('-') {
            line.take_word(word)?;
        } else if line.take_flag(word, &text)?
            && let Some(value) = words.next()
        {
            line.take_value(value, &text)?;
        }
    }
    if line.has_call_flag && line.command.is_none() {
        line.command = root.find_subcommand("call");
    }
    let command = line.command.map(|command| command.get_name().into());
    let rest = line.in_full()?;
    let program = argv.iter().take(1).cloned();
    Ok(program.chain(command).chain(rest).collect())
}

/// All commands, and the flags of one command (`only`) or of all. `call` is a command as a word
/// alone: `--call ID` has always been `call-info`.
fn names<'c>(root: &'c Command, only: Option<&Command>) -> Names<'c> {
    let mut names = Names::from(["-h", "--help"].map(|name| (name.into(), Flag::Switch)));
    for command in root.get_subcommands().chain([root]) {
        let name = command.get_name();
        let is_word_only = name == "call" || name == root.get_name();
        let forms = Some(name).filter(|_| !is_word_only).into_iter();
        let forms = forms.chain(command.get_all_aliases());
        let forms = forms.chain(command.get_all_long_flag_aliases());
        names.extend(forms.map(|form| (format!("--{form}"), Flag::Command(name))));
        let is_listed = only.is_none_or(|only| name == only.get_name()) || name == root.get_name();
        for arg in command.get_arguments().filter(|_| is_listed) {
            let is_valued = arg.get_action().takes_values();
            let flag = if is_valued { Flag::Value } else { Flag::Switch };
            names.extend(arg.get_long().map(|long| (format!("--{long}"), flag)));
            let letters = arg.get_short_and_visible_aliases().unwrap_or_default();
            names.extend(letters.iter().map(|letter| (format!("-{letter}"), flag)));
        }
    }
    names
}

/// The flags that a name may mean: itself, or those that it begins.
fn matching<'n, 'c>(names: &'n Names<'c>, name: &str) -> Vec<(&'n str, Flag<'c>)> {
    if let Some((name, flag)) = names.get_key_value(name) {
        return vec![(name, *flag)];
    }
    let longer = names
        .range(name.to_owned()..)
        .take_while(|(long, _)| long.starts_with(name));
    let longer = longer.filter(|(long, _)| *long != NEVER_ABBREVIATED);
    let mut found: Vec<_> = longer.map(|(long, flag)| (long.as_str(), *flag)).collect();
    // Two names of one command are not ambiguous.
    found.dedup_by(|a, b| matches!(a.1, Flag::Command(_)) && a.1 == b.1);
    found
}

/// `--name=VALUE` or `-nVALUE` as its name and the rest.
fn split(text: &str) -> (&str, &str) {
    let end = if text.starts_with("--") {
        text.find('=')
    } else {
        text.char_indices().nth(2).map(|(end, _)| end)
    };
    text.split_at(end.unwrap_or(text.len()))
}

impl<'c> Line<'c> {
    /// Takes a word that begins with a dash. Returns whether the next word is its value.
    fn take_flag(&mut self, word: OsString, text: &str) -> Result<bool> {
        let (name, value) = split(text);
        let found = matching(&self.names, name);
        if let [(_, Flag::Command(command))] = found[..] {
            self.set_command(command)?;
            if let Some(operand) = value.strip_prefix('=') {
                self.take_word(operand.into())?;
            }
            return Ok(false);
        }
        let is_valued = !found.is_empty() && found.iter().all(|(_, flag)| *flag == Flag::Value);
        self.has_call_flag |= matches!(found[..], [("-p" | "-t" | "--phone" | "--task", _)]);
        self.rest.push((word, true));
        Ok(is_valued && value.is_empty())
    }

    /// Takes the value of a flag. A value that is a flag means that the value was forgotten.
    fn take_value(&mut self, value: OsString, flag: &str) -> Result<()> {
        let text = value.to_string_lossy();
        if text == "--" || self.names.contains_key(&*text) {
            let hint = format!("if {text} is the value, write {flag}={text}");
            return Err(Error::usage(format!("{flag} needs a value"), hint));
        }
        self.rest.push((value, false));
        Ok(())
    }

    fn take_word(&mut self, word: OsString) -> Result<()> {
        if self.operands > 0 {
            self.operands -= 1;
        } else if let Some(command) = self.root.find_subcommand(&word) {
            return self.set_command(command.get_name());
        } else if word == "help" && self.command.is_none() {
            self.rest.push(("--help".into(), true));
            return Ok(());
        }
        self.rest.push((word, false));
        Ok(())
    }

    fn set_command(&mut self, name: &str) -> Result<()> {
        if let Some(first) = self.command {
            let message = format!("{} and {name} cannot be combined", first.get_name());
            return Err(Error::usage(message, "run one command at a time"));
        }
        self.command = self.root.find_subcommand(name);
        self.operands = self
            .command
            .map_or(0, |command| command.get_positionals().count());
        Ok(())
    }

    /// The rest, with abbreviations completed among the command's own flags and all commands.
    fn in_full(self) -> Result<Vec<OsString>> {
        let own = names(self.root, self.command.or(Some(self.root)));
        let in_full = |(word, is_flag): (OsString, bool)| {
            let Some(text) = word.to_str().filter(|_| is_flag) else {
                return Ok(word);
            };
            let (name, value) = split(text);
            match matching(&own, name)[..] {
                [] => Ok(word),
                [(long, Flag::Value | Flag::Switch)] => Ok(format!("{long}{value}").into()),
                ref found => {
                    // A command alone: another command's flag begins alike.
                    let others = matching(&self.names, name);
                    let found = if found.len() > 1 { found } else { &others };
                    let names: Vec<&str> = found.iter().map(|(long, _)| *long).collect();
                    let hint = format!("write one of {}", names.join(", "));
                    Err(Error::usage(format!("{name} is ambiguous"), hint))
                }
            }
        };
        self.rest.into_iter().map(in_full).collect()
    }
}
