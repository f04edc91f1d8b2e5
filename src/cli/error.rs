//! Reports errors as text or JSON and suggests the next command.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::{Value, json};

use crate::domain::{CallId, Invalid, Key, nearest, quoted, shell_quoted};
use crate::error::{Error, Kind, Next};
use crate::output::Output;
use crate::service::Options;
use crate::view::without_nulls;

/// The flags of this run, which suggested commands repeat.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub json: bool,
    pub sandbox: bool,
    pub exit_status: bool,
    pub options: Options,
}

impl Kept {
    /// Returns the command `kallyai WORDS` with the flags of this run.
    pub fn command(&self, words: &str) -> String {
        let waits = words.starts_with("resume") || words.starts_with("call-info");
        let timeout = self.options.timeout.map(|it| format!(" --timeout {it}"));
        let flag = |is_kept, flag| if is_kept { flag } else { "" };
        [
            "kallyai ",
            words,
            flag(self.sandbox, " --sandbox"),
            flag(self.json, " --json"),
            timeout.as_deref().unwrap_or_default(),
            flag(self.exit_status && waits, " --exit-status"),
        ]
        .concat()
    }

    /// Returns the `resume` command for a call. `name` is a key or a call ID.
    pub fn resume(&self, name: &str) -> String {
        self.command(&format!("resume {}", shell_quoted(name)))
    }

    pub fn next_command(&self, error: &Error) -> Option<String> {
        let key = error.facts.key.as_ref().map(Key::as_str);
        let call_id = error.facts.call_id.as_ref().map(CallId::as_str);
        let is_one_step = self.options.is_interactive || self.json || self.sandbox;
        Some(match error.next() {
            Next::Nothing => return None,
            Next::SignIn if error.kind == Kind::PortInUse => {
                let free = 8978 + u16::from(self.options.callback_port == 8978);
                self.command(&format!("login --callback-port {free}"))
            }
            Next::SignIn if is_one_step => self.command("login"),
            Next::SignIn => self.command("login --no-wait"),
            Next::FinishSignIn => self.command("login --callback-url -"),
            Next::Resume => self.resume(key.or(call_id)?),
            Next::ShowCall => self.command(&format!("call-info {}", shell_quoted(call_id?))),
            Next::History => self.command("history"),
        })
    }
}

/// Prints an error, its hint and the suggested command to stderr.
pub fn report(out: &Output, error: &Error, kept: &Kept) {
    if error.kind == Kind::ClosedPipe {
        return;
    }
    let next = kept.next_command(error);
    if out.json {
        out.error_json(&json!({ "error": json(error, next) }));
    } else {
        let message = error.to_string();
        out.error(error.code(), &message, error.hint(), next.as_deref());
    }
}

/// Returns the details of an error as JSON. `next` is the suggested command.
pub fn json(error: &Error, next: Option<String>) -> Value {
    let facts = &error.facts;
    without_nulls(json!({
        "code": error.code(),
        "message": error.to_string(),
        "hint": Some(error.hint()).filter(|hint| !hint.is_empty()),
        "http_status": facts.http_status,
        "correlation_id": facts.correlation_id,
        "retry_safe": error.retry_safe(),
        "idempotency_key": facts.key,
        "call_id": facts.call_id,
        "candidates": Some(&facts.candidates).filter(|ids| !ids.is_empty()),
        "next_command": next,
    }))
}

/// Returns whether `--json` is on the command line, even if the command line is invalid.
pub fn wants_json(argv: &[OsString]) -> bool {
    argv.iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json")
}

/// Converts an error from clap. `see_help` is the hint if there is no better one.
pub fn from_clap(error: &clap::Error, root: &clap::Command, see_help: &str) -> Error {
    let source = error.source().and_then(|source| source.downcast_ref());
    if let Some(invalid) = source.cloned() {
        let arg = context(error, ContextKind::InvalidArg).unwrap_or_default();
        let flag = arg.split([' ', '=']).next().unwrap_or_default();
        return match flag.starts_with("--") {
            true => Invalid::in_source(invalid, flag).into(),
            false => Error::from(invalid),
        };
    }
    let is_command_missing = [
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    if is_command_missing.contains(&error.kind()) {
        return Error::usage("no command was given", "see kallyai --help");
    }
    let word = context(error, ContextKind::InvalidSubcommand);
    let word = word.or_else(|| context(error, ContextKind::InvalidArg));
    let word = word.unwrap_or_default().trim_start_matches('-');
    if ["cancel", "hangup", "hang-up", "stop"].contains(&word) {
        let message = "a call in progress cannot be ended";
        return Error::usage(message, "run kallyai pending to check on the call");
    }
    let text = error.render().to_string();
    let hint = typographic_dash(error)
        .or_else(|| nearest_name(error, root))
        .or_else(|| tip(error, &text));
    Error::usage(sentence(error, &text), hint.unwrap_or(see_help.into()))
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        // The last suggestion is the closest match.
        ContextValue::Strings(texts) => texts.last().map(String::as_str),
        _ => None,
    }
}

/// Extracts the message from the rendered error, because clap does not provide the message alone.
fn sentence(error: &clap::Error, text: &str) -> String {
    if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        return format!("missing {}", missing.join(", ").replace(['<', '>'], ""));
    }
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines = paragraph.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('[')).collect();
    let mut sentence = lines.join(" ").trim_start_matches("error: ").to_owned();
    sentence = sentence.replace("unrecognized subcommand", "unknown command");
    sentence = sentence.replace("..=", " to ");
    let given = [
        ContextKind::InvalidArg,
        ContextKind::InvalidValue,
        ContextKind::InvalidSubcommand,
    ];
    for given in given.into_iter().filter_map(|kind| context(error, kind)) {
        // Hide long values, which may be URLs with tokens. Text with `<` is a flag, not a value.
        if !given.contains('<') {
            sentence = sentence.replace(&format!("'{given}'"), &quoted(given));
        }
    }
    sentence
}

fn tip(error: &clap::Error, text: &str) -> Option<String> {
    let word = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
    if word.starts_with(|c: char| c == '+' || c.is_ascii_digit()) {
        return Some("to make a call, run kallyai call NUMBER TASK".into());
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => {
            Some(format!("use {}", values.join(" or ")))
        }
        _ => {
            let mut lines = text.lines().map(str::trim);
            lines.find_map(|line| line.strip_prefix("tip: ").map(str::to_owned))
        }
    }
}

/// Returns a hint if a web page or word processor turned the hyphens of a flag into dashes.
fn typographic_dash(error: &clap::Error) -> Option<String> {
    let given = context(error, ContextKind::InvalidSubcommand)
        .or_else(|| context(error, ContextKind::InvalidArg))?;
    let flag = given.trim_start_matches(['‐', '‑', '–', '—', '−']);
    let name = flag.split('=').next().unwrap_or_default();
    (flag != given).then(|| format!("use --{name}, with two hyphens"))
}

/// Returns a hint with the name closest to a mistyped word or flag. Unlike clap, also considers
/// commands in flag form.
fn nearest_name(error: &clap::Error, root: &clap::Command) -> Option<String> {
    use ContextKind::{InvalidArg, SuggestedArg, SuggestedSubcommand, SuggestedValue};

    let mut suggested = [SuggestedSubcommand, SuggestedArg, SuggestedValue].into_iter();
    if let Some(near) = suggested.find_map(|kind| context(error, kind)) {
        return Some(format!("did you mean {near}?"));
    }
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let given = context(error, InvalidArg)?.strip_prefix("--")?;
    let names = root.get_subcommands().map(clap::Command::get_name);
    let near = nearest(&given.replace('_', "-"), names)?;
    Some(format!("did you mean --{near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Signal;

    #[test]
    fn suggested_command_keeps_the_given_flags() {
        let kept = Kept {
            json: true,
            sandbox: true,
            exit_status: true,
            options: Options {
                timeout: Some(50),
                ..Options::default()
            },
        };
        let key: Key = "booking-42".parse().expect("a key");
        let open = Error::new(Kind::CallOpen, "a call is in progress").about(Some(&key), None);
        let interrupted = Error::new(Kind::Interrupted(Signal::Interrupt), "interrupted");
        let continuing = interrupted.clone().about(Some(&key), None);
        let nothing = Error::new(Kind::NothingToResume, "nothing to resume");
        let resume = "resume booking-42 --sandbox --json --timeout 50 --exit-status";
        for (error, next) in [
            (&open, Some(resume)),
            (&continuing, Some(resume)),
            (&interrupted, None),
            (&nothing, Some("history --sandbox --json --timeout 50")),
        ] {
            let next = next.map(|next| format!("kallyai {next}"));
            assert_eq!(kept.next_command(error), next, "{error}");
        }
        let facts = json(&continuing, None);
        assert_eq!(facts["retry_safe"], false);
        assert_eq!(facts.get("http_status"), None);
    }
}
