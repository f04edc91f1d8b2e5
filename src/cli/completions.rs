//! Shell completions: scripts that ask this program what fits where the cursor is, and its answers. What goes wrong here
//! is nobody's business: then there are no candidates.

mod line;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap_complete::Shell;
use jiff::tz::TimeZoneDatabase;

use super::command::{goes_with, is_command};
use super::declaration;
use crate::domain::{STATUSES, shell_quoted};
use crate::error::Result;
use crate::output::{Output, brief};
use crate::service::{Call, Notices, Options, Service};
use crate::settings::Settings;
use line::{CommandLine, Wanted};

/// The first argument by which the scripts ask. It is no flag, as no person needs it.
pub const ASK: &str = "--complete";

/// A person who pressed Tab waits no longer for the service.
const PATIENCE: Duration = Duration::from_millis(300);

/// The columns of what is said beside a candidate.
const DESCRIBED: usize = 60;

const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What the shell is to complete itself.
const FILES: &str = ":files";

/// Prints a shell's completions.
///
/// # Errors
/// When they cannot be printed.
pub fn script(out: &Output, shell: Shell) -> Result<()> {
    match shell {
        Shell::Bash => out.raw_text(include_str!("completions/kallyai.bash")),
        Shell::Zsh => out.raw_text(include_str!("completions/_kallyai.zsh")),
        Shell::Fish => out.raw_text(include_str!("completions/kallyai.fish")),
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut declaration(), "kallyai", &mut script);
            out.raw_text(&String::from_utf8_lossy(&script))
        }
    }
}

/// Something that may stand where the cursor is.
struct Candidate {
    text: String,
    description: String,
}

impl Candidate {
    fn new(text: impl Into<String>, description: impl Into<String>) -> Self {
        Self { text: text.into(), description: description.into() }
    }

    fn bare(text: impl Into<String>) -> Self {
        Self::new(text, "")
    }
}

/// Answers a script: the shell, `--`, and the words behind the program's name up to the cursor.
///
/// # Errors
/// When the answer cannot be printed.
pub fn answer(out: &Output, asked: &[OsString]) -> Result<()> {
    let mut words = asked.iter().map(|word| word.to_string_lossy().into_owned());
    let shell = words.next().unwrap_or_default();
    let words: Vec<String> = words.skip(1).collect();
    let command = declaration();
    let line = CommandLine::read(&command, &words);
    let (candidates, typed, before) = match &line.wanted {
        Wanted::Nothing => return Ok(()),
        Wanted::Flag(typed) => (flags(&command, &line, shell == "bash"), typed, String::new()),
        Wanted::Value { id, typed, joined } => {
            let Some(values) = values(&command, id, typed, &line) else {
                return out.raw_text(&format!("{FILES}\n"));
            };
            // bash takes what stands behind the equals sign for a word of its own.
            let before = joined.clone().filter(|_| shell != "bash").unwrap_or_default();
            (values, typed, before)
        }
    };
    let begins = |text: &str| text.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed));
    let mut answer = String::new();
    for Candidate { text, description } in candidates.into_iter().filter(|candidate| begins(&candidate.text))
    {
        answer += &before;
        answer += &text;
        if !description.is_empty() {
            answer.push('\t');
            answer += &brief(&description, DESCRIBED);
        }
        answer.push('\n');
    }
    out.raw_text(&answer)
}

/// The flags that may follow: where the command is known its own first, else the commands first.
fn flags(command: &clap::Command, line: &CommandLine, without_descriptions: bool) -> Vec<Candidate> {
    let rank = |id: &str| match line.command {
        Some(chosen) => match () {
            () if chosen == "phone" && matches!(id, "phone" | "task") => Some(0),
            () if is_command(id).is_some() || !goes_with(id, chosen) => None,
            () if goes_with(id, "") => Some(2),
            () => Some(1),
        },
        None if is_command(id).is_some() => Some(0),
        None if goes_with(id, "") => Some(1),
        None => Some(2),
    };
    let mut ranked: Vec<(u8, Candidate)> = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let id = arg.get_id().as_str();
        let is_repeatable = matches!(arg.get_action(), clap::ArgAction::Append);
        let (Some(rank), Some(long)) = (rank(id), arg.get_long()) else { continue };
        if line.given.iter().any(|given| given == id) && !is_repeatable {
            continue;
        }
        let help = arg.get_help().filter(|_| !without_descriptions).map(ToString::to_string);
        let help = help.unwrap_or_default();
        for name in std::iter::once(long).chain(arg.get_visible_aliases().unwrap_or_default()) {
            ranked.push((rank, Candidate::new(format!("--{name}"), help.clone())));
        }
    }
    // Stable: within a rank they stand as on the help page.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The values that a flag may have; `None` where they are files.
fn values(command: &clap::Command, id: &str, typed: &str, line: &CommandLine) -> Option<Vec<Candidate>> {
    let bare = |values: &[&str]| values.iter().copied().map(Candidate::bare).collect::<Vec<_>>();
    Some(match id {
        "output" => return None,
        "call_info" | "transcript" | "calendar" => calls(line.sandbox),
        "resume" => pending(line.sandbox),
        "status" => bare(&STATUSES),
        "timezone" => TimeZoneDatabase::bundled()
            .available()
            .map(|name| name.to_string())
            .filter(|name| name.contains('/'))
            .map(Candidate::bare)
            .collect(),
        "date" => bare(&["today", "tomorrow"]).into_iter().chain(bare(WEEKDAYS)).collect(),
        "since" => bare(&["today", "yesterday"]).into_iter().chain(bare(WEEKDAYS)).collect(),
        "time" => bare(&["noon"]),
        "serve_sandbox" => bare(&["127.0.0.1:8977"]),
        "method" => bare(&["GET", "POST", "PUT", "PATCH", "DELETE"]),
        "task" | "data" => typed.strip_prefix('@').map(task_files).unwrap_or_default(),
        _ => {
            let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
            let possible = arg.get_possible_values();
            possible.iter().map(|value| Candidate::bare(value.get_name())).collect()
        }
    })
}

/// The files that may hold a task, with the `@` before them.
fn task_files(typed: &str) -> Vec<Candidate> {
    const MOST: usize = 200;
    let folder = typed.rfind(['/', std::path::MAIN_SEPARATOR]).map_or("", |end| &typed[..=end]);
    let entries = std::fs::read_dir(if folder.is_empty() { Path::new(".") } else { Path::new(folder) });
    let names = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let end = if entry.path().is_dir() { "/" } else { "" };
        let path = format!("@{folder}{name}{end}");
        (!name.starts_with('.') && is_plain(&path)).then(|| Candidate::bare(path))
    });
    names.take(MOST).collect()
}

/// Whether a text from outside can stand on a command line as it is: shells do not quote what they complete.
fn is_plain(text: &str) -> bool {
    text.strip_prefix('@').is_some_and(|rest| shell_quoted(rest) == rest) || shell_quoted(text) == text
}

/// Says nothing of what happens.
struct Silent;

impl Notices for Silent {
    fn warn(&self, _: &'static str, _: &str) {}

    fn tell(&self, _: &str) {}
}

fn service(sandbox: bool) -> Service<'static> {
    let options = Options { timeout: Some(1), ..Options::default() };
    Service::new(Settings::new(sandbox), options, &Silent, None)
}

/// `last`, and the newest calls if the service tells them at once.
fn calls(sandbox: bool) -> Vec<Candidate> {
    let service = service(sandbox);
    let recent =
        tokio::runtime::Builder::new_current_thread().enable_all().build().ok().and_then(|runtime| {
            let recent =
                runtime.block_on(async { tokio::time::timeout(PATIENCE, service.newest_calls()).await });
            // A look-up of a name may take longer.
            runtime.shutdown_background();
            recent.ok()?.ok()
        });
    let recent = recent.unwrap_or_default();
    let about_last = recent.first().map(|call| format!("the newest: {}", describe(call)));
    let mut candidates = vec![Candidate::new("last", about_last.unwrap_or_default())];
    candidates.extend(
        recent
            .iter()
            .filter(|call| is_plain(&call.call_id))
            .map(|call| Candidate::new(call.call_id.clone(), describe(call))),
    );
    candidates
}

fn describe(call: &Call) -> String {
    let status = call.status.as_ref().map(|status| status.as_str());
    let what = call.summary().or(call.task());
    let parts = [status, call.business().or(call.number()), what];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The keys of the calls that are pending on this computer.
fn pending(sandbox: bool) -> Vec<Candidate> {
    let pending = service(sandbox).pending().unwrap_or_default();
    let plain = pending.into_iter().filter(|call| is_plain(call.key.as_str()));
    plain.map(|call| Candidate::new(call.key.as_str(), format!("{}, {}", call.number, call.task))).collect()
}
