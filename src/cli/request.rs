//! The request for a call: the flags, and the words of the task.

use std::io::Read;
use std::path::Path;

use super::command::RawCommand;
use super::{CallOptions, TaskSource, text};
use crate::domain::{Invalid, RawRequest, may_hold_token};
use crate::error::Result;
use crate::service::{Placement, Warning, complete};
use crate::settings::Settings;

/// No task is longer, in bytes.
const LONGEST_TASK: u64 = 1024 * 1024;

/// Completes what the flags say. Reads stdin or a file where the task is there. Returns also what is probably not meant.
///
/// # Errors
/// When the task cannot be read or is empty, the environment names no language or zone, or a day is relative and nobody
/// knows where.
pub fn placement(settings: Settings, call: CallOptions) -> Result<(Placement, Vec<Warning>)> {
    let CallOptions { phone, task, language, fields } = call;
    let (key, again) = (fields.idempotency_key.clone(), fields.again);
    let draft = fields.draft(phone, read_task(task)?, language);
    let how = "say which with --timezone or KALLYAI_TIMEZONE, for example America/New_York";
    let (request, warnings) = complete(draft, settings, how)?;
    Ok((Placement { request, key, again }, warnings))
}

fn read_task(source: TaskSource) -> Result<String> {
    match source {
        TaskSource::Text(text) => Ok(text),
        TaskSource::Stdin => Ok(given(&read(TaskSource::Stdin, "task")?, "standard input")?),
        TaskSource::File(path) => {
            let name = named(&path);
            Ok(given(&read(TaskSource::File(path), "task")?, &name)?)
        }
    }
}

/// A file as messages name it, unless it is a token in the wrong place, or an address with one in it.
fn named(path: &Path) -> String {
    let is_token = path.iter().any(|part| may_hold_token(&part.to_string_lossy()));
    if is_token { "that file".into() } else { path.display().to_string() }
}

/// The task that a place outside the command line holds.
fn given(task: &str, name: &str) -> Result<String, Invalid> {
    let task = task.trim();
    if task.is_empty() {
        return Err(Invalid::new(
            format!("{name} holds no task"),
            "write it there, or as text: --task \"…\"",
        ));
    }
    text(task)
}

/// A text wherever it is; `what` names it and its flag.
fn read(source: TaskSource, what: &str) -> Result<String> {
    let text = match source {
        TaskSource::Text(text) => return Ok(text),
        TaskSource::Stdin => read_to_end(std::io::stdin().lock(), "standard input", what)?,
        TaskSource::File(path) => {
            let name = named(&path);
            let file = std::fs::File::open(&path).map_err(|e| {
                Invalid::new(
                    format!("the {what} cannot be read from {name}: {e}"),
                    format!("write {} @FILE with a file that can be read", format_args!("--{what}")),
                )
            })?;
            read_to_end(file, &name, what)?
        }
    };
    // Windows's editors and PowerShell begin a text with a byte order mark.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The request of `--api`. Reads stdin or a file where its data is there.
///
/// # Errors
/// When the data cannot be read or is no JSON, or another command is meant.
pub fn raw(command: RawCommand) -> Result<RawRequest> {
    let json = command.data.map(|source| read(source, "data")).transpose()?.map(String::into_bytes);
    Ok(RawRequest::new(command.method, command.path, json)?)
}

fn read_to_end(source: impl Read, name: &str, what: &str) -> Result<String, Invalid> {
    let mut bytes = Vec::new();
    let refused = |why: String| {
        Invalid::new(
            format!("the {what} cannot be read from {name}: {why}"),
            format!("give it as text: {} \"…\"", format_args!("--{what}")),
        )
    };
    source.take(LONGEST_TASK + 1).read_to_end(&mut bytes).map_err(|e| refused(e.to_string()))?;
    if bytes.len() as u64 > LONGEST_TASK {
        return Err(refused("it is longer than a mebibyte".into()));
    }
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".into()))
}
