//! What a word means that the command line does not know: the flag that was probably meant.

use super::{declaration, foreign_names};
use crate::error::Error;

/// What is longer is no flag of anybody's, and may be a token.
const LONGEST_SHOWN: usize = 24;

/// A flag that does not exist, or an abbreviation of several: clap does not tell these apart.
pub fn unknown_flag(name: &str, suggested: Option<&str>) -> Error {
    let is_word = |long: &&str| long.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let Some(long) = name.strip_prefix("--").filter(is_word) else {
        let letter = first_letter(name);
        let hint = match (short_in_other_case(name), foreign_names::flag(&letter)) {
            (Some(flag), _) => format!("did you mean {flag}?"),
            (None, Some(ours)) => format!("write {ours}"),
            (None, None) => "kallyai -h shows the flags".into(),
        };
        return Error::usage(format!("there is no flag {letter}"), hint);
    };
    let dashed = long.replace('_', "-");
    if long_flags().contains(&dashed) {
        return Error::usage(format!("there is no flag {name}"), format!("did you mean --{dashed}?"));
    }
    let message = || match long.len() {
        ..=LONGEST_SHOWN => format!("there is no flag {name}"),
        _ => "there is no such flag".into(),
    };
    if let Some(ours) = foreign_names::flag(long) {
        return Error::usage(message(), format!("write {ours}"));
    }
    let candidates: Vec<String> = long_flags()
        .into_iter()
        .filter(|flag| flag.starts_with(long))
        .map(|flag| format!("--{flag}"))
        .collect();
    // clap also suggests what has hardly a letter in common.
    let near = suggested.filter(|near| strsim::jaro_winkler(long, near.trim_start_matches('-')) > 0.8);
    match (candidates.as_slice(), near) {
        ([], Some(near)) => Error::usage(message(), format!("did you mean {near}?")),
        ([], None) => Error::usage(message(), "kallyai --help shows every flag"),
        (several, _) => Error::usage(
            format!("{name} is short for several flags"),
            format!("write one of: {}", several.join(", ")),
        ),
    }
}

fn first_letter(name: &str) -> String {
    name.chars().take(2).collect()
}

/// The flag whose letter is the other case of this one's: people write `-V` for the version.
fn short_in_other_case(name: &str) -> Option<String> {
    let letter = name.chars().nth(1)?;
    let command = declaration();
    let flag = command.get_arguments().find(|arg| {
        arg.get_short().is_some_and(|short| short != letter && short.eq_ignore_ascii_case(&letter))
    })?;
    Some(format!("-{}/--{}", flag.get_short()?, flag.get_long()?))
}

/// A word that belongs to no flag. It is echoed only where it cannot be a token.
pub fn unexpected_argument(word: &str) -> Error {
    let wanted = word.to_ascii_lowercase().replace('_', "-");
    if let Some(ours) = foreign_names::command(&wanted) {
        return Error::usage("commands are flags here", format!("write kallyai {ours}"));
    }
    let known = long_flags().into_iter().find(|flag| *flag == wanted);
    if let Some(typeset) = word.strip_prefix(['\u{2014}', '\u{2013}', '\u{2212}']) {
        let meant = long_flags().into_iter().find(|flag| *flag == typeset.trim_start_matches('-'));
        let hint = meant.map_or("write -- with two plain dashes".into(), |flag| format!("write --{flag}"));
        return Error::usage("a flag begins with plain dashes, and this word with another", hint);
    }
    if word.starts_with('+') && word.bytes().skip(1).all(|b| b.is_ascii_digit()) {
        return Error::usage("a number belongs behind its flag", "write kallyai -p NUMBER -t TEXT");
    }
    match (known, wanted.as_str()) {
        (Some(flag), _) => {
            Error::usage(format!("{flag} is written with two dashes"), format!("did you mean --{flag}?"))
        }
        (None, "call" | "dial" | "phone-call") => {
            Error::usage("a call is placed with flags", "write kallyai -p NUMBER -t TEXT")
        }
        _ => Error::usage(
            match word {
                // No token is as short, and none is without digits.
                _ if word.len() < 16 && word.bytes().all(|b| b.is_ascii_alphabetic()) => {
                    format!("'{word}' belongs to no flag")
                }
                _ => "there is a word that belongs to no flag".into(),
            },
            "put texts that contain spaces in quotes; kallyai --help shows every flag",
        ),
    }
}

fn long_flags() -> Vec<String> {
    let command = declaration();
    let visible = command.get_arguments().flat_map(|arg| {
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        arg.get_long().into_iter().chain(aliases).map(str::to_owned).collect::<Vec<_>>()
    });
    visible.collect()
}
