//! What a failed parse means to the person who typed it. A value is echoed only if it cannot be a pasted address with a
//! login in it.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};

use clap::FromArgMatches as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::args::Args;
use super::command::{Invocation, check};
use super::help::Page;
use super::unknown_words::{unexpected_argument, unknown_flag};
use super::{declaration, defaults, help_json};
use crate::domain::{Invalid, Language, quoted};
use crate::error::Error;

/// Why a command line is not a command to run.
#[derive(Debug)]
pub enum ParseOutcome {
    /// It asks for a text of our own: help, or the version.
    Show {
        /// Without escapes.
        plain: String,
        /// With colour.
        colored: String,
    },
    /// It is mistaken.
    Mistake(Error),
}

/// Reads a command line; its first element is the program's name.
///
/// # Errors
/// When it asks for help or the version, or is mistaken.
pub fn parse(argv: Vec<OsString>, page: Page) -> Result<Invocation, ParseOutcome> {
    let full = argv.iter().any(|arg| matches!(arg.to_str(), Some("--help" | "--hel" | "--he")));
    if full && wants_json(&argv) {
        let document = help_json::document();
        return Err(ParseOutcome::Show { colored: document.clone(), plain: document });
    }
    let mut command = declaration();
    if argv.len() <= 1 {
        return Err(show(&page.first_steps(&command)));
    }
    let mut matches = command.try_get_matches_from_mut(&argv).map_err(|error| match error.kind() {
        // Made only where it is asked for: most runs show no help.
        ErrorKind::DisplayHelp if full => show(&page.full(&declaration())),
        ErrorKind::DisplayHelp => show(&page.short(&declaration())),
        ErrorKind::DisplayVersion => show(&error.render()),
        _ => ParseOutcome::Mistake(explain(&error)),
    })?;
    let defaults = check(&matches)
        .and_then(|command| defaults::arguments(&matches, command, explain))
        .map_err(ParseOutcome::Mistake)?;
    if !defaults.is_empty() {
        let argv = argv.iter().take(1).cloned().chain(defaults).chain(argv.iter().skip(1).cloned());
        matches =
            command.try_get_matches_from_mut(argv).map_err(|error| ParseOutcome::Mistake(explain(&error)))?;
    }
    let args = Args::from_arg_matches(&matches).map_err(|error| ParseOutcome::Mistake(explain(&error)))?;
    Ok(args.into())
}

fn show(text: &clap::builder::StyledStr) -> ParseOutcome {
    ParseOutcome::Show { plain: text.to_string(), colored: text.ansi().to_string() }
}

/// Whether a command line asks for JSON, parsed or not.
pub fn wants_json(argv: &[OsString]) -> bool {
    let is_json_flag = |arg: &OsStr| matches!(arg.to_str(), Some("--json" | "--jso" | "--js" | "--j"));
    argv.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| is_json_flag(arg))
}

/// The language that a command line asks for, parsed or not.
pub fn wanted_language(argv: &[OsString]) -> Option<Language> {
    let mut words = argv.iter().skip(1).map_while(|arg| arg.to_str().filter(|arg| *arg != "--"));
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        let is_long = flag.starts_with("--la") && "--language".starts_with(flag);
        match word.strip_prefix("-l") {
            _ if is_long => return value.or_else(|| words.next())?.parse().ok(),
            Some("") => return words.next()?.parse().ok(),
            Some(value) => return value.parse().ok(),
            None => {}
        }
    }
    None
}

fn explain(error: &clap::Error) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    // clap names an argument as in `--limit <N>`.
    let name = argument.split([' ', '=']).next().unwrap_or_default();
    if let Some(invalid) = error.source().and_then(|source| source.downcast_ref::<Invalid>()) {
        return invalid.clone().of_flag(name).into();
    }
    match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with('-') => {
            unknown_flag(name, context(ContextKind::SuggestedArg))
        }
        ErrorKind::UnknownArgument => unexpected_argument(argument),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            let hint = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) if !values.is_empty() => {
                    format!("write one of: {}", values.join(", "))
                }
                _ => format!("write it after the flag: {argument}"),
            };
            Error::usage(format!("{name} needs a value"), hint)
        }
        ErrorKind::InvalidValue => {
            let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) else {
                return Error::usage(
                    format!("{name} does not take this value"),
                    "kallyai --help says what it takes",
                );
            };
            let given = context(ContextKind::InvalidValue).unwrap_or_default();
            let all = values.join(", ");
            // clap also suggests what is hardly like it.
            let is_near = |near: &&str| strsim::jaro_winkler(&given.to_lowercase(), near) > 0.8;
            let hint = match context(ContextKind::SuggestedValue).filter(is_near) {
                Some(near) => {
                    // A value by itself may be a word that Spanish has another for.
                    let meant = [name, near].join(" ");
                    format!("did you mean {meant}? It takes one of: {all}")
                }
                None => format!("write one of: {all}"),
            };
            Invalid::new(format!("{name} does not take {}", quoted(given)), hint).into()
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            Error::usage(format!("{name} takes no value"), format!("write {name} alone"))
        }
        ErrorKind::InvalidUtf8 => Error::usage("an argument is not UTF-8", "write it in UTF-8"),
        _ => Error::usage("the command line cannot be read", "kallyai --help shows every flag"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TaskSource;
    use super::super::command::Command;
    use super::*;
    use crate::output::Messages;

    fn parsed(line: &[&str]) -> Result<Invocation, ParseOutcome> {
        parse(
            std::iter::once("kallyai").chain(line.iter().copied()).map(OsString::from).collect(),
            Page::new(Messages::of(Language::En), None),
        )
    }

    fn mistake(line: &[&str]) -> (String, String) {
        match parsed(line) {
            Err(ParseOutcome::Mistake(error)) => {
                assert_eq!(error.exit(), 2, "{line:?}");
                (error.to_string(), error.facts.hint.unwrap_or_default())
            }
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn the_declaration_is_sound() {
        declaration().debug_assert();
    }

    #[test]
    fn flags_may_be_abbreviated_where_unambiguous() {
        assert!(matches!(parsed(&["--trans", "last"]).expect("a command").command, Command::Transcript(_)));
        assert!(matches!(parsed(&["--us"]).expect("a command").command, Command::Usage));
        assert!(matches!(parsed(&["--call", "last"]).expect("a command").command, Command::CallInfo(_)));
        assert!(matches!(
            parsed(&["--hist", "--lim=3"]).expect("a command").command,
            Command::History { .. }
        ));
        for line in
            [["-p=+15551234567", "-t=x"], ["-p+15551234567", "-tx"], ["--phone=+15551234567", "--task=- x"]]
        {
            assert!(matches!(parsed(&line).expect("a command").command, Command::Call(_)), "{line:?}");
        }
    }

    #[test]
    fn an_ambiguous_abbreviation_names_its_candidates() {
        let (_, hint) = mistake(&["--ti", "20:00", "-p", "+15551234567", "-t", "x"]);
        assert_eq!(hint, "write one of: --time, --time-preference, --timezone, --timeout");
        assert!(mistake(&["--log"]).1.contains("--login, --logout"));
    }

    #[test]
    fn two_commands_in_one_run_are_named() {
        assert!(mistake(&["--usage", "--history"]).0.contains("--history, --usage"));
        assert!(mistake(&["-p", "+15551234567", "-t", "x", "--usage"]).0.contains("--phone, --usage"));
        assert!(mistake(&["-t", "x", "--usage"]).0.contains("--usage, --task"));
        assert!(mistake(&["-p", "+15551234567"]).1.contains("--task"));
        assert!(mistake(&["-t", "x"]).1.contains("--phone"));
        assert!(mistake(&["--json"]).0.contains("nothing to do"));
    }

    #[test]
    fn a_modifier_goes_only_where_it_means_something() {
        for line in [
            &["--usage", "--limit", "3"][..],
            &["--history", "--dry-run"],
            &["--logout", "--no-wait"],
            &["--usage", "--exit-status"],
            &["--transcript", "last", "-o", "x"],
            &["--history", "--timezone", "UTC"],
        ] {
            assert!(mistake(line).0.contains("does not go with"), "{line:?}");
        }
        assert!(
            parsed(&["--usage", "--json", "--no-input", "--timeout", "5", "--callback-port", "9000"]).is_ok()
        );
    }

    #[test]
    fn a_bare_word_is_told_its_flag() {
        assert_eq!(mistake(&["history"]).1, "did you mean --history?");
        assert_eq!(mistake(&["auth_status"]).1, "did you mean --auth-status?");
        assert_eq!(mistake(&["help"]).1, "did you mean --help?");
        assert_eq!(mistake(&["call", "+15551234567"]).1, "write kallyai -p NUMBER -t TEXT");
        assert!(mistake(&["--histroy"]).1.contains("--history"));
    }

    #[test]
    fn a_choice_is_taken_in_any_case_and_a_mistaken_one_gets_the_nearest() {
        assert!(parsed(&["-c", "RESTAURANT", "-l", "Es", "-p", "+15551234567", "-t", "x"]).is_ok());
        let (message, hint) = mistake(&["-c", "restaurante", "-p", "+15551234567", "-t", "x"]);
        assert_eq!(message, "--category does not take 'restaurante'");
        assert_eq!(
            hint,
            "did you mean --category restaurant? It takes one of: restaurant, clinic, hotel, general"
        );
        let (_, hint) = mistake(&["-c", "spa", "-p", "+15551234567", "-t", "x"]);
        assert_eq!(hint, "write one of: restaurant, clinic, hotel, general");
    }

    #[test]
    fn a_letter_in_the_other_case_is_told_its_flag() {
        assert_eq!(mistake(&["-V"]).1, "did you mean -v/--version?");
        assert_eq!(mistake(&["-P", "+15551234567"]).1, "did you mean -p/--phone?");
        assert_eq!(mistake(&["-x"]).1, "kallyai -h shows the flags");
    }

    #[test]
    fn what_other_tools_call_it_is_told_by_our_name() {
        for (line, ours) in [
            (&["--number", "+15551234567", "-t", "x"][..], "--phone"),
            (&["--to=+15551234567", "-t", "x"], "--phone"),
            (&["-p", "+15551234567", "--message", "x"], "--task"),
            (&["-p", "+15551234567", "-t", "x", "--people", "4"], "--party-size"),
            (&["-p", "+15551234567", "-t", "x", "--guests", "4"], "--party-size"),
            (&["-p", "+15551234567", "-t", "x", "--notes", "y"], "--instruction"),
            (&["-p", "+15551234567", "-t", "x", "--hotel"], "--category hotel"),
            (&["--history", "--format", "json"], "--json"),
            (&["--history", "--output", "json"], "--json"),
            (&["status"], "--auth-status"),
            (&["mcp"], "--mcp"),
            (&["whoami"], "--auth-status"),
            (&["-p", "+15551234567", "-t", "x", "--party_size", "4"], "--party-size"),
            (&["-p", "+15551234567", "-t", "x", "--fecha", "hoy"], "--date"),
            (&["--history", "-n", "5"], "--limit"),
            (&["--cancel", "last"], "cannot be called off"),
            (&["+15551234567", "Reserve"], "-p NUMBER -t TEXT"),
            (&["\u{2014}task", "x"], "--task"),
            (&["-p", "+15551234567", "-t", "x", "--party-size", "-1"], "--party-size 4"),
            (&["-c"], "restaurant, clinic"),
            (&["-l", "french", "--usage"], "write one of: en, es"),
        ] {
            let (message, hint) = mistake(line);
            assert!(hint.contains(ours), "{line:?}: {message} / {hint}");
        }
    }

    #[test]
    fn no_value_is_echoed_that_may_hold_a_token() {
        let url = "http://localhost:8976/callback?access_token=hunter2&state=s3cret";
        let eq = format!("--callbackurl={url}");
        for line in [
            &["--login", url][..],
            &["--login", &eq],
            &["--usage", "hunter2"],
            &["--limit", url, "--history"],
            &["-c", url, "-p", "+15551234567", "-t", "x"],
            &["--time", url],
            &["-p", url, "-t", "x"],
            &["--login", "--callback-url", "a hunter2"],
            &["-xhunter2"],
            &["-c", "hunter2_token", "-p", "+15551234567", "-t", "x"],
            &["--date", "hunter2&access_token=s3cret"],
            &["--color", "hunter2.s3cret.0123456789012345678901234567890", "--usage"],
        ] {
            let (message, hint) = mistake(line);
            for word in ["hunter2", "s3cret"] {
                assert!(!message.contains(word) && !hint.contains(word), "{line:?}: {message} / {hint}");
            }
        }
    }

    #[test]
    fn the_last_of_repeated_flags_wins() {
        let Command::Call(call) = parsed(&[
            "-p",
            "+15551234567",
            "-p",
            "+15557654321",
            "-t",
            "a",
            "-t",
            "- b",
            "--instruction",
            "x",
            "--instruction",
            "- y",
        ])
        .expect("a command")
        .command
        else {
            panic!("not a call")
        };
        assert_eq!(
            (call.phone.to_string().as_str(), &call.task),
            ("+15557654321", &TaskSource::Text("- b".into()))
        );
        assert_eq!(call.fields.instruction, ["x", "- y"]);
    }

    #[test]
    fn a_missing_value_is_said() {
        assert!(mistake(&["-p"]).0.contains("--phone needs a value"));
        assert!(mistake(&["--usage=yes"]).0.contains("--usage takes no value"));
        assert!(mistake(&["-t", "--json", "-p", "+15551234567"]).0.contains("another flag"));
    }

    #[test]
    fn json_is_found_after_a_failed_parse() {
        let argv = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&argv(&["kallyai", "--nope", "--json"])));
        assert!(!wants_json(&argv(&["kallyai", "--nope"])));
    }
}
