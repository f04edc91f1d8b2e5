//! `--help --json`: everything the program takes and ends with, for programs.

use clap::{Arg, ArgAction};
use serde_json::{Value, json};

use super::command;
use super::declaration;
use super::help::{EXIT_CODES, has_optional_value};
use crate::domain::Signal;
use crate::error::{Error, Kind};

/// Every kind of failure, for its code and exit status.
const KINDS: [Kind; 24] = [
    Kind::Usage,
    Kind::InvalidInput,
    Kind::EmergencyNumber,
    Kind::NotSignedIn,
    Kind::AccessToken,
    Kind::SignInFailed,
    Kind::PortInUse(0),
    Kind::TokenFileUnreadable,
    Kind::TokenFile,
    Kind::WrongIssuer,
    Kind::Unreachable,
    Kind::ServiceFailing,
    Kind::Refused,
    Kind::CallNotFound,
    Kind::UnexpectedResponse,
    Kind::OutcomeUnknown,
    Kind::ResultUnwritten,
    Kind::CallOpen,
    Kind::AlreadyDone,
    Kind::NothingToResume,
    Kind::JournalUnavailable,
    Kind::Interrupted(Signal::Interrupt),
    Kind::NoCalls,
    Kind::Io,
];

/// The refusals of the API that are known, and the exit status of each.
const REFUSALS: [(&str, u8); 17] = [
    ("quota_exceeded", 5),
    ("missing_phone_number", 1),
    ("toll_number", 1),
    ("safety_violation", 1),
    ("scheduling_violation", 1),
    ("consent_denied", 1),
    ("unsupported_language", 1),
    ("blocked_number", 1),
    ("suppression_violation", 1),
    ("country_restriction", 1),
    ("unsupported_country", 1),
    ("forbidden", 1),
    ("missing_token", 4),
    ("call_not_found", 1),
    ("transcript_not_found", 1),
    ("calendar_not_found", 1),
    ("refused", 1),
];

/// What the sandbox does with a number; every other succeeds.
const SANDBOX: [(&str, &str); 16] = [
    ("+15555550101", "no_answer"),
    ("+15555550102", "busy"),
    ("+15555550103", "failed"),
    ("+15555550104", "voicemail"),
    ("+15555550105", "cancelled"),
    ("+15555550106", "202 at once, then success"),
    ("+15555550120", "429 once per idempotency key, then the call"),
    ("+15555550121", "the answer is lost (503), the call happens"),
    ("+15555550122", "the answer is lost (504), the call happens"),
    ("+15555550140", "quota_exceeded"),
    ("+15555550141", "country_restriction"),
    ("+15555550142", "safety_violation"),
    ("+15555550143", "blocked_number"),
    ("+15555550190", "success after 90 seconds"),
    ("911", "emergency_number, as everywhere"),
    ("+15551234567", "success, as any other number"),
];

/// The document.
pub fn document() -> String {
    let declared = declaration();
    let flags: Vec<Value> = declared.get_arguments().map(flag).collect();
    let mut errors: Vec<(String, u8)> = KINDS
        .iter()
        .filter(|kind| **kind != Kind::Refused)
        .map(|kind| {
            let error = Error::new(*kind, "");
            (error.code().to_owned(), error.exit())
        })
        .chain(REFUSALS.iter().map(|(code, exit)| ((*code).to_owned(), *exit)))
        .collect();
    errors.sort();
    errors.dedup();
    let errors: Vec<Value> =
        errors.iter().map(|(code, exit)| json!({ "code": code, "exit": exit })).collect();
    let numbers: Vec<Value> =
        SANDBOX.iter().map(|(number, outcome)| json!({ "number": number, "outcome": outcome })).collect();
    let document = json!({
        "name": "kallyai",
        "version": env!("CARGO_PKG_VERSION"),
        "flags": flags,
        "exits": exits(),
        "errors": errors,
        "sandbox_numbers": numbers,
    });
    format!("{document}\n")
}

fn flag(arg: &Arg) -> Value {
    let id = arg.get_id().as_str();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (text, told) = match help.split_once(" [default: ") {
        Some((text, rest)) => (text.to_owned(), rest.strip_suffix(']').map(str::to_owned)),
        None => (help, None),
    };
    let mut flag = json!({ "flag": command::flag(id), "help": text, "commands": command::commands_of(id) });
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let declared = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    let optional = has_optional_value(arg);
    let names = arg.get_value_names().and_then(|names| names.first()).filter(|_| takes_value);
    let values: Vec<String> = if takes_value {
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
    } else {
        Vec::new()
    };
    for (name, value) in [
        ("short", arg.get_short().map(|short| json!(format!("-{short}")))),
        (
            "aliases",
            arg.get_visible_aliases()
                .filter(|aliases| !aliases.is_empty())
                .map(|aliases| aliases.iter().map(|alias| json!(format!("--{alias}"))).collect()),
        ),
        ("value", names.map(|name| json!(name.as_str()))),
        ("value_optional", (takes_value && optional).then_some(json!(true))),
        ("values", (!values.is_empty()).then(|| json!(values))),
        ("default", declared.filter(|_| takes_value).or(told).map(|value| json!(value))),
        ("repeatable", matches!(arg.get_action(), ArgAction::Append).then_some(json!(true))),
    ] {
        if let (Some(value), Some(members)) = (value, flag.as_object_mut()) {
            members.insert(name.into(), value);
        }
    }
    flag
}

/// The exit statuses of the help page, one each.
fn exits() -> Vec<Value> {
    let mut exits: Vec<(String, String)> = Vec::new();
    for line in EXIT_CODES.lines() {
        match line.trim_start().split_once("  ") {
            Some((status, meaning)) if line.starts_with("  ") && !line.starts_with("   ") => {
                exits.push((status.to_owned(), meaning.trim().to_owned()));
            }
            _ => {
                if let Some((_, meaning)) = exits.last_mut() {
                    meaning.push(' ');
                    meaning.push_str(line.trim());
                }
            }
        }
    }
    let one = |(statuses, meaning): &(String, String)| {
        let meanings: Vec<&str> = meaning.split(", ").collect();
        let statuses: Vec<&str> = statuses.split(", ").collect();
        let is_list = statuses.len() > 1 && statuses.len() == meanings.len();
        let of = |n: usize| if is_list { meanings.get(n).copied() } else { Some(meaning.as_str()) };
        statuses
            .iter()
            .enumerate()
            .map(|(n, status)| json!({ "exit": status.parse::<u8>().ok(), "meaning": of(n) }))
            .collect::<Vec<_>>()
    };
    exits.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a kind stands; a new one does not compile until it has a place.
    fn place(kind: Kind) -> usize {
        match kind {
            Kind::Usage => 0,
            Kind::InvalidInput => 1,
            Kind::EmergencyNumber => 2,
            Kind::NotSignedIn => 3,
            Kind::AccessToken => 4,
            Kind::SignInFailed => 5,
            Kind::PortInUse(_) => 6,
            Kind::TokenFileUnreadable => 7,
            Kind::TokenFile => 8,
            Kind::WrongIssuer => 9,
            Kind::Unreachable => 10,
            Kind::ServiceFailing => 11,
            Kind::Refused => 12,
            Kind::CallNotFound => 13,
            Kind::UnexpectedResponse => 14,
            Kind::OutcomeUnknown => 15,
            Kind::ResultUnwritten => 16,
            Kind::CallOpen => 17,
            Kind::AlreadyDone => 18,
            Kind::NothingToResume => 19,
            Kind::JournalUnavailable => 20,
            Kind::Interrupted(_) => 21,
            Kind::NoCalls => 22,
            // A closed pipe is no failure.
            Kind::Io | Kind::ClosedPipe => 23,
        }
    }

    #[test]
    fn every_kind_of_failure_is_told() {
        for (n, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(place(kind), n, "{kind:?}");
        }
    }

    #[test]
    fn every_flag_exit_and_number_is_told() {
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let flags = document["flags"].as_array().expect("flags");
        assert_eq!(flags.len(), declaration().get_arguments().count());
        let flag = |name: &str| flags.iter().find(|flag| flag["flag"] == name).expect("a flag").clone();
        assert_eq!(flag("--category")["values"], json!(["restaurant", "clinic", "hotel", "general"]));
        assert_eq!(
            (&flag("--category")["default"], &flag("--category")["commands"]),
            (&json!("general"), &json!(["--phone"]))
        );
        assert_eq!((&flag("--phone")["short"], &flag("--phone")["value"]), (&json!("-p"), &json!("NUMBER")));
        assert_eq!(flag("--resume")["value_optional"], true);
        assert_eq!(flag("--instruction")["repeatable"], true);
        assert_eq!(flag("--json")["commands"], json!(["every command"]));
        assert!(flag("--urgent").get("values").is_none());
        let exits: Vec<i64> = document["exits"]
            .as_array()
            .expect("exits")
            .iter()
            .filter_map(|exit| exit["exit"].as_i64())
            .collect();
        assert_eq!(exits, [0, 1, 2, 3, 4, 5, 6, 7, 129, 130, 143]);
        assert!(
            document["errors"]
                .as_array()
                .expect("errors")
                .contains(&json!({ "code": "call_open", "exit": 6 }))
        );
    }
}
