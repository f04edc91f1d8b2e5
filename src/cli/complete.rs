//! Shell completion. Moves the command to the front of the command line and runs clap's completion
//! engine. If something fails or takes too long, prints no candidates instead of an error.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate};
use jiff::tz::TimeZoneDatabase;

use super::{args, compat};
use crate::api::Call;
use crate::domain::shell_quoted;
use crate::helper::on_this_thread;
use crate::output::clean;
use crate::service::{Notices, Options, PendingCall, Service};
use crate::settings::Settings;

/// The environment variable that the completion script sets when it runs this program.
const VARIABLE: &str = "KALLYAI_COMPLETE";

/// Maximum time to wait for the service after the user presses Tab.
const LIMIT: Duration = Duration::from_millis(300);

/// From a folder in `fpath`, zsh runs the script as a function at the first Tab. It must complete
/// then, and not only define the completion.
const AUTOLOADED: &str = r#"
if [[ "$funcstack[1]" == _kallyai ]]; then
    _clap_dynamic_completer_kallyai "$@"
fi
"#;

/// Returns a shell's completion script. The script runs this program to get candidates.
pub fn registration(shell: clap_complete::Shell) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(completer) = shells.completer(&shell.to_string()) {
        completer.write_registration(VARIABLE, "kallyai", "kallyai", "kallyai", &mut script)?;
    }
    if shell == clap_complete::Shell::Zsh {
        script.extend_from_slice(AUTOLOADED.as_bytes());
    }
    Ok(script)
}

/// If the completion script started this program, prints completion candidates and returns
/// `true`.
pub fn respond(argv: &[OsString]) -> bool {
    let is_asked = std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty());
    let [program, dashes, words @ ..] = argv else {
        return false;
    };
    if !is_asked || dashes != "--" || words.is_empty() {
        return false;
    }
    let cursor = std::env::var("_CLAP_COMPLETE_INDEX").ok();
    let cursor: Option<usize> = cursor.and_then(|index| index.parse().ok());
    // If the shell does not report the cursor position, assume that it is in the last word.
    let cursor = cursor.unwrap_or(words.len() - 1);
    let (before, at_cursor) = words.split_at(cursor.min(words.len()));
    let Some((command, moved)) = reorder(before, at_cursor.first()) else {
        return true;
    };
    let words = moved.into_iter().chain(at_cursor.iter().cloned());
    let argv = [program.clone(), dashes.clone()].into_iter().chain(words);
    let completed = CompleteEnv::with_factory(|| command.clone())
        .var(VARIABLE)
        .try_complete(argv, std::env::current_dir().ok().as_deref());
    completed.unwrap_or(true)
}

/// Returns the definition of the command line, and the words before the cursor with the command
/// moved to the front. The number of words stays the same, because the shell passes the cursor
/// position as a word index.
fn reorder(before: &[OsString], at_cursor: Option<&OsString>) -> Option<(Command, Vec<OsString>)> {
    let root = args::command();
    let mut words = compat::command_first(&root, before).ok()?;
    let command = words.get(1).and_then(|word| root.find_subcommand(word));
    // Without a command, a flag belongs to `call` or is a command in flag form (`--history`).
    let is_flag = at_cursor.is_some_and(|word| word.to_string_lossy().starts_with('-'));
    if is_flag && command.is_none() {
        words.insert(1.min(words.len()), "call".into());
    }
    let is_longer = words.len() > before.len();
    if is_longer {
        words.remove(0);
    }
    let root = root.mut_subcommand("history", |history| {
        history.mut_arg("status", |arg| arg.add(ArgValueCandidates::new(statuses)))
    });
    Some((with_flag_forms(root).no_binary_name(is_longer), words))
}

/// Adds the other commands to `call` as hidden flags, such as `--history`. Clap offers hidden flags
/// only if nothing else matches.
fn with_flag_forms(root: Command) -> Command {
    let form = |command: &Command| {
        let name = command.get_name().to_owned();
        let about = command.get_about().cloned().unwrap_or_default();
        let form = Arg::new(format!("form-{name}")).long(name);
        form.action(ArgAction::SetTrue).help(about).hide(true)
    };
    let others = root.get_subcommands().filter(|it| it.get_name() != "call");
    let forms: Vec<Arg> = others.map(form).collect();
    root.mut_subcommand("call", |call| call.args(forms))
}

struct Silent;

impl Notices for Silent {
    fn warn(&self, _: &'static str, _: &str) {}
    fn tell(&self, _: &str) {}
}

fn service() -> Service<'static> {
    let is_sandbox = std::env::args_os().any(|word| word == "--sandbox");
    let settings = Settings::new(is_sandbox);
    Service::new(settings, Options::default(), &Silent, None)
}

/// Returns `last` and the IDs of the newest calls.
pub fn call_ids() -> Vec<CompletionCandidate> {
    let calls = newest_calls().unwrap_or_default();
    let last = candidate("last", calls.first().map(describe).unwrap_or_default());
    // Shells do not quote candidates, so skip IDs that need quoting.
    let calls = calls
        .iter()
        .filter(|call| shell_quoted(&call.call_id) == call.call_id);
    let calls = calls.map(|call| candidate(&call.call_id, describe(call)));
    std::iter::once(last).chain(calls).collect()
}

fn newest_calls() -> Option<Vec<Call>> {
    let service = service();
    let newest = async { tokio::time::timeout(LIMIT, service.newest_calls()).await };
    on_this_thread(newest).ok()?.ok()?.ok()
}

fn describe(call: &Call) -> String {
    let number = call.business().or(call.number());
    let result = call.summary().or(call.task());
    let status = call.status_name();
    let known = [Some(status.as_str()), number, result];
    known.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub fn pending_keys() -> Vec<CompletionCandidate> {
    let pending = service().pending().unwrap_or_default();
    let about = |call: &PendingCall| {
        [call.request.number(), call.request.task()]
            .map(Option::unwrap_or_default)
            .join(", ")
    };
    let keys = pending
        .iter()
        .map(|call| candidate(call.key.as_str(), about(call)));
    keys.collect()
}

pub fn zones() -> Vec<CompletionCandidate> {
    let zones = TimeZoneDatabase::bundled();
    let names = zones.available().map(|name| name.to_string());
    let names = names.filter(|name| name.contains('/'));
    names.map(CompletionCandidate::new).collect()
}

fn statuses() -> Vec<CompletionCandidate> {
    let names = "success no_answer busy failed voicemail cancelled terminated unsuccessful \
        in_progress scheduled";
    names.split(' ').map(CompletionCandidate::new).collect()
}

fn candidate(value: &str, help: String) -> CompletionCandidate {
    let help: String = clean(&help).chars().take(60).collect();
    let help = Some(help).filter(|help| !help.is_empty());
    CompletionCandidate::new(value).help(help.map(Into::into))
}
