//! Shell completion: clap's engine on a command line whose command was moved to the front. It is
//! quick and silent. If something fails, there are no candidates.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, CompletionCandidate};
use jiff::tz::TimeZoneDatabase;

use super::{args, compat};
use crate::api::Call;
use crate::domain::shell_quoted;
use crate::error::{Error, Result};
use crate::service::{Notices, Options, Service};
use crate::settings::Settings;

/// Set by the completion script.
const VARIABLE: &str = "KALLYAI_COMPLETE";

/// How long a press of Tab may wait for the service.
const LIMIT: Duration = Duration::from_millis(300);

/// A shell's script, which runs this program for candidates.
pub fn registration(shell: clap_complete::Shell) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(completer) = shells.completer(&shell.to_string()) {
        completer
            .write_registration(VARIABLE, "kallyai", "kallyai", "kallyai", &mut script)
            .map_err(|e| Error::io("can't make the completion script", &e))?;
    }
    Ok(script)
}

/// Prints candidates if the completion script runs this program. Returns whether it does.
pub fn respond(argv: &[OsString]) -> bool {
    let is_asked = std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty());
    let [program, dashes, words @ ..] = argv else {
        return false;
    };
    if !is_asked || dashes != "--" || words.is_empty() {
        return false;
    }
    // The cursor is at the last word if the shell does not say.
    let cursor = std::env::var("_CLAP_COMPLETE_INDEX")
        .ok()
        .and_then(|index| index.parse().ok());
    let cursor: usize = cursor.unwrap_or(words.len() - 1);
    let (before, at_cursor) = words.split_at(cursor.min(words.len()));
    let Some((command, moved)) = moved(before, at_cursor.first()) else {
        return true;
    };
    let words = moved.into_iter().chain(at_cursor.iter().cloned());
    let argv = [program.clone(), dashes.clone()].into_iter().chain(words);
    let completed = CompleteEnv::with_factory(|| command.clone())
        .var(VARIABLE)
        .try_complete(argv, std::env::current_dir().ok().as_deref());
    completed.unwrap_or(true)
}

/// The declaration and the words before the cursor, in as many words as the shell counts.
fn moved(before: &[OsString], at_cursor: Option<&OsString>) -> Option<(Command, Vec<OsString>)> {
    let root = with_flag_forms(args::command());
    let mut words = compat::command_first(&args::command(), before).ok()?;
    let has_command = |words: &[OsString]| {
        words
            .get(1)
            .is_some_and(|word| root.find_subcommand(word).is_some())
    };
    // Without a command, a flag is one of a call or the flag form of a command.
    let is_flag = at_cursor.is_some_and(|word| word.to_string_lossy().starts_with('-'));
    if is_flag && !has_command(&words) {
        words.insert(1.min(words.len()), "call".into());
    }
    let is_longer = words.len() > before.len();
    if is_longer {
        words.remove(0);
    }
    Some((root.no_binary_name(is_longer), words))
}

/// Adds `--history` and the like to the flags of `call`, hidden unless nothing else matches.
fn with_flag_forms(root: Command) -> Command {
    let forms: Vec<Arg> = root
        .get_subcommands()
        .filter(|command| command.get_name() != "call")
        .map(|command| {
            let name = command.get_name().to_owned();
            let operand = command.get_positionals().next();
            let form = operand.map_or_else(
                || Arg::new("").action(ArgAction::SetTrue),
                |operand| operand.clone().required(false),
            );
            let about = command.get_about().cloned().unwrap_or_default();
            form.id(format!("form-{name}"))
                .long(name)
                .help(about)
                .hide(true)
        })
        .collect();
    root.mut_subcommand("call", |call| call.args(forms))
}

struct Silent;

impl Notices for Silent {
    fn warn(&self, _: &'static str, _: &str) {}
    fn tell(&self, _: &str) {}
}

fn service() -> Service<'static> {
    let is_sandbox = std::env::args_os().any(|word| word == "--sandbox");
    let options = Options {
        timeout: Some(1),
        ..Options::default()
    };
    Service::new(Settings::new(is_sandbox), options, &Silent, None)
}

/// `last`, and the newest calls.
pub fn call_ids() -> Vec<CompletionCandidate> {
    let calls = newest_calls().unwrap_or_default();
    let last = candidate("last", calls.first().map(describe).unwrap_or_default());
    let calls = calls.iter().filter(|call| is_plain(&call.call_id));
    let calls = calls.map(|call| candidate(&call.call_id, describe(call)));
    std::iter::once(last).chain(calls).collect()
}

fn newest_calls() -> Option<Vec<Call>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let service = service();
    let newest = async { tokio::time::timeout(LIMIT, service.newest_calls()).await };
    let newest = tokio::task::LocalSet::new().block_on(&runtime, newest);
    // A name lookup may take longer.
    runtime.shutdown_background();
    newest.ok()?.ok()
}

fn describe(call: &Call) -> String {
    let status = Some(call.status_name());
    let about = [
        status,
        call.business().or(call.number()),
        call.summary().or(call.task()),
    ];
    about.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The keys of pending calls.
pub fn keys() -> Vec<CompletionCandidate> {
    let pending = service().pending().unwrap_or_default();
    let keys = pending
        .iter()
        .map(|call| candidate(call.key.as_str(), format!("{}, {}", call.number, call.task)));
    keys.collect()
}

pub fn zones() -> Vec<CompletionCandidate> {
    let names = TimeZoneDatabase::bundled();
    let names = names.available().map(|name| name.to_string());
    names
        .filter(|name| name.contains('/'))
        .map(CompletionCandidate::new)
        .collect()
}

pub fn statuses() -> Vec<CompletionCandidate> {
    let ends = "success no_answer busy failed voicemail cancelled terminated";
    let groups = "unsuccessful in_progress scheduled";
    let names = ends.split(' ').chain(groups.split(' '));
    names.map(CompletionCandidate::new).collect()
}

fn candidate(value: &str, help: String) -> CompletionCandidate {
    const LONGEST: usize = 60;
    let help: String = crate::output::clean(&help).chars().take(LONGEST).collect();
    let help = Some(help).filter(|help| !help.is_empty());
    CompletionCandidate::new(value).help(help.map(Into::into))
}

/// Whether a shell takes the text as one word. Shells do not quote candidates.
fn is_plain(text: &str) -> bool {
    shell_quoted(text) == text
}
