//! A command line that is still being written: which flags are there, and what is to follow.

use clap::{Arg, Command};

use super::super::command::is_command;
use super::super::help::has_optional_value;

/// A command line up to the cursor.
pub struct CommandLine {
    /// The flags before the cursor, by id.
    pub given: Vec<String>,
    /// The command among them.
    pub command: Option<&'static str>,
    /// Whether it is for the sandbox.
    pub sandbox: bool,
    /// What is to be completed.
    pub wanted: Wanted,
}

/// What is to be completed, and how much of it is typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A word that no candidate fits.
    Nothing,
    /// A flag.
    Flag(String),
    /// A value of this flag.
    Value {
        /// The flag.
        id: String,
        /// What is typed of the value.
        typed: String,
        /// What stands before the value in the same word, such as `--category=`.
        joined: Option<String>,
    },
}

impl CommandLine {
    /// Reads the words behind the program's name; the last is the one at the cursor and may be empty.
    pub fn read(command: &Command, words: &[String]) -> Self {
        let words = rejoined(words);
        let (current, before) =
            words.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
        let mut given = Vec::new();
        let mut open: Option<(String, bool)> = None;
        for word in before {
            // A value that may be left out is not the next flag.
            let is_value =
                open.take().is_some_and(|(_, is_optional)| !(is_optional && word.starts_with('-')));
            if is_value {
                continue;
            }
            if let Some((arg, value)) = flag_of(command, word) {
                let id = arg.get_id().to_string();
                given.push(id.clone());
                if value.is_none() && arg.get_action().takes_values() {
                    open = Some((id, has_optional_value(arg)));
                }
            }
        }
        let value = |id: String, typed: &str, joined| Wanted::Value { id, typed: typed.to_owned(), joined };
        let wanted = match open {
            Some((id, is_optional)) if !(is_optional && current.starts_with('-')) => value(id, current, None),
            _ => match flag_of(command, current) {
                Some((arg, Some(typed))) if arg.get_action().takes_values() => {
                    let joined = current[..current.len() - typed.len()].to_owned();
                    value(arg.get_id().to_string(), typed, Some(joined))
                }
                _ if current.is_empty() || current.starts_with('-') => Wanted::Flag(current.to_owned()),
                _ => Wanted::Nothing,
            },
        };
        let chosen = given.iter().find_map(|id| is_command(id));
        Self {
            // A call is what either of its two flags begins.
            command: chosen.map(|id| if id == "task" { "phone" } else { id }),
            sandbox: given.iter().any(|id| id == "sandbox"),
            given,
            wanted,
        }
    }
}

/// bash takes an equals sign for a word of its own.
fn rejoined(words: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    let mut is_open = false;
    for word in words {
        match joined.last_mut() {
            Some(last) if (word == "=" && last.starts_with("--") && !last.contains('=')) || is_open => {
                *last += word;
                is_open = !is_open;
            }
            _ => joined.push(word.clone()),
        }
    }
    joined
}

/// The flag that a word is, with its value if that is in the same word.
fn flag_of<'a, 'w>(command: &'a Command, word: &'w str) -> Option<(&'a Arg, Option<&'w str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let arg = command.get_arguments().find(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(name) || aliases.contains(&name)
        })?;
        return Some((arg, value));
    }
    let letters = word.strip_prefix('-')?;
    let letter = letters.chars().next()?;
    let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
    let value = &letters[letter.len_utf8()..];
    Some((arg, Some(value).filter(|value| !value.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::super::super::declaration;
    use super::*;

    fn read(words: &[&str]) -> CommandLine {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        CommandLine::read(&declaration(), &words)
    }

    fn value(id: &str, typed: &str, joined: Option<&str>) -> Wanted {
        Wanted::Value { id: id.into(), typed: typed.into(), joined: joined.map(str::to_owned) }
    }

    #[test]
    fn what_is_wanted_depends_on_what_stands_before() {
        for (words, wanted) in [
            (&[][..], Wanted::Flag(String::new())),
            (&[""], Wanted::Flag(String::new())),
            (&["--tr"], Wanted::Flag("--tr".into())),
            (&["histo"], Wanted::Nothing),
            (&["--transcript", ""], value("transcript", "", None)),
            (&["--transcript", "last", ""], Wanted::Flag(String::new())),
            (&["--call", "3f"], value("call_info", "3f", None)),
            (&["-c", "re"], value("category", "re", None)),
            (&["-cre"], value("category", "re", Some("-c"))),
            (&["--category=re"], value("category", "re", Some("--category="))),
            (&["--category", "=", "re"], value("category", "re", Some("--category="))),
            (&["--category", "="], value("category", "", Some("--category="))),
            (&["--resume", ""], value("resume", "", None)),
            (&["--resume", "--j"], Wanted::Flag("--j".into())),
            (&["--resume", "--json", ""], Wanted::Flag(String::new())),
            (&["-t", "--phone", ""], Wanted::Flag(String::new())),
            (&["-t", "a=b", "--json", "-"], Wanted::Flag("-".into())),
        ] {
            assert_eq!(read(words).wanted, wanted, "{words:?}");
        }
    }

    #[test]
    fn the_command_is_known_by_any_of_its_names() {
        assert_eq!(read(&["--sandbox", "--list", ""]).command, Some("history"));
        assert_eq!(read(&["-t", "x", ""]).command, Some("phone"));
        assert_eq!(read(&["-c", "--history", ""]).command, None, "a value");
        assert!(read(&["--sandbox", ""]).sandbox);
    }
}
