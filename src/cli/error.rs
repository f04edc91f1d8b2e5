//! Errors as a person or a program reads them, and the command that comes next.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::{Value, json};

use crate::domain::{Invalid, nearest, quoted, shell_quoted};
use crate::error::{Error, Kind, Next};
use crate::output::Output;

/// The flags that the next command keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    pub json: bool,
    pub sandbox: bool,
    pub timeout: Option<u64>,
    pub exit_status: bool,
    /// Whether someone can sign in at once, so that the sign-in need not be in two steps.
    pub is_interactive: bool,
    /// The local port of the sign-in redirect.
    pub port: u16,
}

impl Kept {
    /// A command with these flags.
    pub fn command(&self, words: &str) -> String {
        let waits = words.starts_with("resume") || words.starts_with("call-info");
        let timeout = self.timeout.map(|seconds| format!("--timeout {seconds}"));
        let flags = [
            self.sandbox.then_some("--sandbox"),
            self.json.then_some("--json"),
            timeout.as_deref(),
            (self.exit_status && waits).then_some("--exit-status"),
        ];
        let words = ["kallyai", words].into_iter();
        words
            .chain(flags.into_iter().flatten())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The command that gets the result of a call.
    pub fn resume(&self, name: &str) -> String {
        self.command(&format!("resume {}", shell_quoted(name)))
    }

    pub fn next_command(&self, error: &Error) -> Option<String> {
        let facts = &error.facts;
        let call_id = facts.call_id.as_ref().map(|id| id.as_str());
        Some(match error.next() {
            Next::Nothing => return None,
            Next::SignIn if error.kind == Kind::PortInUse => {
                let free = if self.port == 8978 { 8979 } else { 8978 };
                self.command(&format!("login --callback-port {free}"))
            }
            Next::SignIn if self.is_interactive || self.json || self.sandbox => {
                self.command("login")
            }
            Next::SignIn => self.command("login --no-wait"),
            Next::FinishSignIn => self.command("login --callback-url -"),
            Next::Resume => self.resume(facts.key.as_ref().map(|key| key.as_str()).or(call_id)?),
            Next::ShowCall => self.command(&format!("call-info {}", shell_quoted(call_id?))),
            Next::History => self.command("history"),
        })
    }
}

/// Prints an error to stderr.
pub fn report(out: &Output, error: &Error, kept: &Kept) {
    if error.kind == Kind::ClosedPipe {
        return;
    }
    let next = kept.next_command(error);
    if out.is_json() {
        out.error_json(&document(error, next));
    } else {
        out.error(
            error.code(),
            &error.to_string(),
            error.hint(),
            next.as_deref(),
        );
    }
}

fn document(error: &Error, next: Option<String>) -> Value {
    let facts = &error.facts;
    let mut document = json!({
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
    });
    if let Some(members) = document.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    json!({ "error": document })
}

/// Whether a command line that may not parse asks for JSON.
pub fn wants_json(argv: &[OsString]) -> bool {
    argv.iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json")
}

/// An error of ours for one of clap's.
pub fn from_clap(error: &clap::Error, command: &clap::Command) -> Error {
    let source = error.source().and_then(|source| source.downcast_ref());
    if let Some(invalid) = source.cloned() {
        let arg = context(error, ContextKind::InvalidArg).unwrap_or_default();
        let flag = arg.split([' ', '=']).next().unwrap_or_default();
        if flag.starts_with("--") {
            return Invalid::in_source(invalid, flag).into();
        }
        return Error::from(invalid);
    }
    if error.kind() == ErrorKind::MissingSubcommand {
        return Error::usage("no command was given", "see kallyai --help");
    }
    let text = error.render().to_string();
    let hint = typographic_dash(error)
        .or_else(|| unknown_word(error, command))
        .or_else(|| tip(&text));
    Error::usage(
        sentence(error, &text),
        hint.unwrap_or_else(|| help_hint(&text)),
    )
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The sentence of an error: clap has no API for it alone.
fn sentence(error: &clap::Error, text: &str) -> String {
    if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        return format!("missing {}", missing.join(", ").replace(['<', '>'], ""));
    }
    let paragraph = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let lines: Vec<&str> = paragraph.filter(|line| !line.starts_with('[')).collect();
    let mut sentence = lines.join(" ").trim_start_matches("error: ").to_owned();
    sentence = sentence.replace("unrecognized subcommand", "unknown command");
    sentence = sentence.replace("..=", " to ");
    let given = [
        ContextKind::InvalidArg,
        ContextKind::InvalidValue,
        ContextKind::InvalidSubcommand,
    ];
    for given in given.into_iter().filter_map(|kind| context(error, kind)) {
        // A pasted redirect URL holds tokens. `<` is in the names of flags.
        if !given.contains('<') {
            sentence = sentence.replace(&format!("'{given}'"), &quoted(given));
        }
    }
    sentence
}

fn tip(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    let tip = lines
        .clone()
        .find_map(|line| line.strip_prefix("tip: ").map(str::to_owned));
    let similar = |tip: &str| {
        let name = tip.strip_prefix("a similar ")?.split('\'').nth(1)?;
        Some(format!("did you mean {name}?"))
    };
    let tip = tip.map(|tip| similar(&tip).unwrap_or(tip));
    tip.or_else(|| {
        let values = lines.find_map(|line| line.strip_prefix("[possible values: "))?;
        let values = values.trim_end_matches(']');
        let one_of = if values.contains(',') { "one of " } else { "" };
        Some(format!("write {one_of}{values}"))
    })
}

/// The hint for a flag whose hyphens a web page or word processor has replaced.
fn typographic_dash(error: &clap::Error) -> Option<String> {
    let given = context(error, ContextKind::InvalidSubcommand)
        .or_else(|| context(error, ContextKind::InvalidArg))?;
    let flag = given.trim_start_matches(['‐', '‑', '–', '—', '−']);
    let name = flag.split('=').next().unwrap_or_default();
    (flag != given).then(|| format!("write --{name}, with two hyphens"))
}

/// The hint for a word or flag that is nearest to a command.
fn unknown_word(error: &clap::Error, command: &clap::Command) -> Option<String> {
    let is_near_flag = context(error, ContextKind::SuggestedArg).is_some();
    let argument = || context(error, ContextKind::InvalidArg)?.strip_prefix("--");
    let (given, dashes) = match error.kind() {
        ErrorKind::InvalidSubcommand => (context(error, ContextKind::InvalidSubcommand)?, ""),
        ErrorKind::UnknownArgument if !is_near_flag => (argument()?, "--"),
        _ => return None,
    };
    if given.starts_with(|c: char| c == '+' || c.is_ascii_digit()) {
        return Some("to make a call, write kallyai call NUMBER TASK".into());
    }
    let names = command.get_subcommands().map(clap::Command::get_name);
    let near = nearest(&given.replace('_', "-"), names)?;
    Some(format!("did you mean {dashes}{near}?"))
}

/// Points to the help of the command, which clap's usage line names.
fn help_hint(text: &str) -> String {
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("Usage: kallyai "));
    let command = usage.and_then(|usage| usage.split(' ').next());
    match command.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
        Some(command) => format!("see kallyai {command} --help"),
        None => "see kallyai --help".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Key;
    use crate::signals::Signal;

    #[test]
    fn next_command_keeps_the_flags_it_has() {
        let kept = Kept {
            json: true,
            sandbox: true,
            timeout: Some(50),
            exit_status: true,
            ..Kept::default()
        };
        let key: Key = "booking-42".parse().expect("a key");
        let open = Error::new(Kind::CallOpen, "a call is in progress").about(Some(&key), None);
        let interrupted = Error::new(Kind::Interrupted(Signal::Interrupt), "interrupted");
        let continuing = interrupted.clone().about(Some(&key), None);
        let resume =
            "kallyai resume booking-42 --sandbox --json --timeout 50 --exit-status".to_owned();
        let history = "kallyai history --sandbox --json --timeout 50".to_owned();
        let nothing = Error::new(Kind::NothingToResume, "nothing to resume");
        for (error, next) in [
            (&open, Some(&resume)),
            (&continuing, Some(&resume)),
            (&interrupted, None),
            (&nothing, Some(&history)),
        ] {
            assert_eq!(kept.next_command(error).as_ref(), next, "{error}");
        }
        let document = document(&continuing, Some(resume));
        assert_eq!(document["error"]["retry_safe"], false);
        assert_eq!(document["error"].get("http_status"), None);
    }
}
