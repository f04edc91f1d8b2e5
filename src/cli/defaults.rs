//! The defaults file: flags that a person would otherwise write with every call, one a line. The command line goes over
//! the environment, and that over the file.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::command::{flag as flag_of, goes_with};
use super::declaration;
use crate::domain::{Invalid, quoted};
use crate::error::{Error, Result};
use crate::settings::Settings;

/// The flags that the file may hold, by id.
const ALLOWED: &[&str] = &[
    "name",
    "user_phone",
    "language",
    "call_language",
    "timezone",
    "category",
    "bell",
    "no_browser",
    "no_input",
    "color",
];

/// The commands that go without: they must work whatever the file holds.
const WITHOUT: &[&str] = &["logout", "completions", "man", "skill"];

/// No file is longer, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A flag of the file.
struct DefaultFlag {
    id: &'static str,
    /// As it would stand on the command line.
    argument: String,
}

/// The arguments that the file adds to a command line that was read into `matches` and is this command's.
///
/// # Errors
/// When the file cannot be read, or a line of it is no flag for it; the message has the file and the line.
pub fn arguments(
    matches: &ArgMatches,
    command: &str,
    explain: impl Fn(&clap::Error) -> Error,
) -> Result<Vec<OsString>> {
    if WITHOUT.contains(&command) || matches.get_flag("no_config") {
        return Ok(Vec::new());
    }
    let Some((path, is_named)) = Settings::defaults_file() else { return Ok(Vec::new()) };
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let applies = |default: &DefaultFlag| {
        let id = default.id;
        let is_overridden = match id {
            // `--language` says what is spoken as well.
            "call_language" => given("call_language") || given("language"),
            _ => given(id) || Settings::has_variable_for(id),
        };
        goes_with(id, command) && !is_overridden
    };
    let defaults = read(&path, is_named, explain)?;
    Ok(defaults.into_iter().filter(applies).map(|default| default.argument.into()).collect())
}

fn read(path: &Path, is_named: bool, explain: impl Fn(&clap::Error) -> Error) -> Result<Vec<DefaultFlag>> {
    let name = path.display();
    let unreadable = |why: String| {
        Error::from(Invalid::new(
            format!("the defaults file {name} cannot be read: {why}"),
            "repair it, name another with KALLYAI_CONFIG, or leave it out with --no-config",
        ))
    };
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => {
            file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable("it is longer than 64 KiB".into()));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".into()))?;
    // Windows's editors begin a text with a byte order mark.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut declared = declaration();
    lines
        .map(|(n, line)| {
            parse(line, &mut declared, &explain)
                .map_err(|(why, hint)| Invalid::new(format!("{name}, line {}: {why}", n + 1), hint).into())
        })
        .collect()
}

/// One line, checked as the command line would be. A refusal never holds the line's value, unless its parser shows it.
fn parse(
    line: &str,
    declared: &mut clap::Command,
    explain: impl Fn(&clap::Error) -> Error,
) -> Result<DefaultFlag, (String, String)> {
    let allowed = || {
        let names: Vec<String> = ALLOWED.iter().map(|id| flag_of(id)).collect();
        format!("write one a line of {}", names.join(", "))
    };
    let (flag, value) = line.split_once('=').map_or((line, None), |(flag, value)| (flag, Some(value)));
    let (flag, value) = (flag.trim_end(), value.map(|value| unquoted(value.trim_start())));
    let Some(id) = ALLOWED.iter().find(|id| flag_of(id) == flag) else {
        let word = flag.split(char::is_whitespace).next().unwrap_or_default().trim_start_matches('-');
        let without_equals = ALLOWED.iter().find(|id| flag_of(id) == format!("--{word}"));
        return Err(match without_equals {
            Some(_) if flag.starts_with("--") => (
                format!("the value of --{word} stands behind an equals sign"),
                format!("write --{word}=VALUE, or --{word} alone if it has none"),
            ),
            Some(_) => ("a flag begins with two dashes".into(), format!("write --{word}=VALUE")),
            None => (format!("the defaults file takes no {}", quoted(flag)), allowed()),
        });
    };
    let argument = value.map_or_else(|| flag.to_owned(), |value| format!("{flag}={value}"));
    match declared.try_get_matches_from_mut(["kallyai", &argument]) {
        Ok(_) => Ok(DefaultFlag { id, argument }),
        Err(error) => {
            let error = explain(&error);
            Err((error.to_string(), error.facts.hint.unwrap_or_else(allowed)))
        }
    }
}

/// A value without the quotes that a shell would have taken off.
fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::owners;
    use super::*;

    #[test]
    fn every_flag_of_the_file_is_a_flag() {
        let owners = owners();
        assert!(ALLOWED.iter().chain(WITHOUT).all(|id| owners.iter().any(|owner| owner == id)));
    }

    #[test]
    fn the_help_says_what_the_file_may_hold() {
        let help = super::super::help::files();
        for id in ALLOWED {
            assert!(help.contains(&flag_of(id)), "{id}");
        }
    }

    #[test]
    fn a_value_is_taken_without_its_quotes() {
        for (written, value) in [
            ("John Smith", "John Smith"),
            ("\"John\"", "John"),
            ("'O'", "O"),
            ("\"", "\""),
            ("O'Hara'", "O'Hara'"),
        ] {
            assert_eq!(unquoted(written), value);
        }
    }
}
