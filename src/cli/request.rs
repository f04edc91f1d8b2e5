//! The request for a call: the flags, what the environment adds to them, and the words of the task.

use std::io::Read;

use super::{CallOptions, TaskSource, text};
use crate::domain::{CallRequest, Category, Invalid, Submission, Time, Zone};
use crate::error::Result;
use crate::service::{Placement, Warning};
use crate::settings::Settings;

/// No task is longer, in bytes.
const LONGEST_TASK: u64 = 1024 * 1024;

/// Completes what the flags say. Reads stdin or a file where the task is there. Returns also what is probably not meant.
///
/// # Errors
/// When the task cannot be read or is empty, or the environment names no language or zone.
pub fn placement(settings: Settings, call: CallOptions) -> Result<(Placement, Vec<Warning>)> {
    let CallOptions { phone, task, fields } = call;
    let task = read_task(task)?;
    let language = fields.language.map_or_else(|| settings.language(), Ok)?;
    let (zone, warnings) = zone(settings, fields.timezone, fields.time)?;
    let submission = Submission {
        task_category: fields.category.unwrap_or(Category::General),
        task_description: task,
        respondent_phone: phone,
        business_name: fields.business,
        user_name: fields.name,
        user_phone: fields.user_phone,
        party_size: fields.party_size,
        appointment_date: fields.date,
        appointment_time: fields.time,
        time_preference_text: fields.time_preference,
        language,
        call_language: fields.call_language.unwrap_or(language),
        is_urgent: fields.urgent,
        additional_instructions: fields.instruction,
    };
    let request = CallRequest { submission, timezone: zone, session_id: fields.session_id };
    Ok((Placement { request, key: fields.idempotency_key, again: fields.again }, warnings))
}

fn read_task(source: TaskSource) -> Result<String> {
    let text = match source {
        TaskSource::Text(text) => return Ok(text),
        TaskSource::Stdin => read_to_end(std::io::stdin().lock(), "standard input")?,
        TaskSource::File(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(&path).map_err(|e| {
                Invalid::new(
                    format!("the task cannot be read from {name}: {e}"),
                    "write --task @FILE with a file that can be read",
                )
            })?;
            read_to_end(file, &name)?
        }
    };
    // Windows's editors and PowerShell begin a text with a byte order mark.
    Ok(self::text(text.trim_start_matches('\u{feff}').trim())?)
}

fn read_to_end(source: impl Read, name: &str) -> Result<String, Invalid> {
    let mut bytes = Vec::new();
    let refused = |why: String| {
        Invalid::new(format!("the task cannot be read from {name}: {why}"), "give it as text: --task \"…\"")
    };
    source.take(LONGEST_TASK + 1).read_to_end(&mut bytes).map_err(|e| refused(e.to_string()))?;
    if bytes.len() as u64 > LONGEST_TASK {
        return Err(refused("it is longer than a mebibyte".into()));
    }
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".into()))
}

/// The zone in which date and time are meant. Containers are in UTC or nowhere, and would book at the wrong hour.
fn zone(settings: Settings, chosen: Option<Zone>, time: Option<Time>) -> Result<(Zone, Vec<Warning>)> {
    if let Some(zone) = chosen {
        return Ok((zone, Vec::new()));
    }
    let how = "say which with --timezone or KALLYAI_TIMEZONE, for example America/New_York";
    let warning = |text: String| vec![Warning { code: "utc_zone", text }];
    Ok(match (settings.zone()?, time) {
        (None, _) => {
            (Zone::UTC, warning(format!("this computer's time zone is not known, so UTC is sent; {how}")))
        }
        (Some(zone), Some(time)) if zone.is_utc() => {
            (zone, warning(format!("this computer's time zone is UTC, so {time} means {time} UTC; {how}")))
        }
        (Some(zone), _) => (zone, Vec::new()),
    })
}
