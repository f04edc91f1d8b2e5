//! The request for a call: the flags, what the environment adds to them, and the words of the task.

use std::io::Read;

use jiff::Timestamp;

use super::{CallOptions, TaskSource, text};
use crate::domain::{CallRequest, Category, Date, Day, Invalid, Submission, Zone};
use crate::error::Result;
use crate::service::{Placement, Warning};
use crate::settings::Settings;

/// No task is longer, in bytes.
const LONGEST_TASK: u64 = 1024 * 1024;

/// Completes what the flags say. Reads stdin or a file where the task is there. Returns also what is probably not meant.
///
/// # Errors
/// When the task cannot be read or is empty, the environment names no language or zone, or a day is relative and nobody
/// knows where.
pub fn placement(settings: Settings, call: CallOptions) -> Result<(Placement, Vec<Warning>)> {
    let CallOptions { phone, task, fields } = call;
    let now = Timestamp::now();
    let zone = CallZone::of(settings, fields.timezone)?;
    // Before stdin is read, which may take a person's time.
    let date = fields.date.map(|day| zone.date(day, now)).transpose()?;
    let task = read_task(task)?;
    let language = fields.language.map_or_else(|| settings.language(), Ok)?;
    let submission = Submission {
        task_category: fields.category.unwrap_or(Category::General),
        task_description: task,
        respondent_phone: phone,
        business_name: fields.business,
        user_name: fields.name,
        user_phone: fields.user_phone,
        party_size: fields.party_size,
        appointment_date: date,
        appointment_time: fields.time,
        time_preference_text: fields.time_preference,
        language,
        call_language: fields.call_language.unwrap_or(language),
        is_urgent: fields.urgent,
        additional_instructions: fields.instruction,
    };
    let warnings = warnings(&submission, &zone, now);
    let request = CallRequest { submission, timezone: zone.zone, session_id: fields.session_id };
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

/// The zone in which date and time are meant.
struct CallZone {
    zone: Zone,
    known: ZoneSource,
}

/// How a zone is known.
enum ZoneSource {
    /// The user chose it for this call, or for all calls.
    Chosen,
    /// The computer is there.
    Computer,
    /// Not at all, so it is UTC.
    Nobody,
}

const SAY_ZONE: &str = "say which with --timezone or KALLYAI_TIMEZONE, for example America/New_York";

impl CallZone {
    fn of(settings: Settings, flag: Option<Zone>) -> Result<Self> {
        if let Some(zone) = flag.map_or_else(|| settings.chosen_zone(), |zone| Ok(Some(zone)))? {
            return Ok(Self { zone, known: ZoneSource::Chosen });
        }
        Ok(match settings.zone()? {
            Some(zone) => Self { zone, known: ZoneSource::Computer },
            None => Self { zone: Zone::UTC, known: ZoneSource::Nobody },
        })
    }

    /// The date of a day. What `tomorrow` is, a computer that may be anywhere does not know: the wrong day would be booked.
    fn date(&self, day: Day, now: Timestamp) -> Result<Date, Invalid> {
        let why = match self.known {
            ZoneSource::Nobody => Some("this computer's time zone is not known"),
            ZoneSource::Computer if self.zone.is_utc() => {
                Some("this computer's time zone is UTC, as where none was set")
            }
            ZoneSource::Chosen | ZoneSource::Computer => None,
        };
        if let Some(why) = why.filter(|_| day.is_relative()) {
            return Err(Invalid::new(
                format!("which date --date means depends on where you are, and {why}"),
                format!("{SAY_ZONE}; or write the date as YYYY-MM-DD"),
            ));
        }
        day.on(self.zone.date_at(now))
            .ok_or_else(|| Invalid::new("there is no such day", "write the date as YYYY-MM-DD"))
    }
}

/// What is probably not meant. Containers are in UTC or nowhere, and would book at the wrong hour.
fn warnings(submission: &Submission, zone: &CallZone, now: Timestamp) -> Vec<Warning> {
    let (date, time) = (submission.appointment_date, submission.appointment_time);
    let mut warnings = Vec::new();
    let utc_zone = match (&zone.known, time) {
        (ZoneSource::Nobody, _) => {
            Some(format!("this computer's time zone is not known, so UTC is sent; {SAY_ZONE}"))
        }
        (ZoneSource::Computer, Some(time)) if zone.zone.is_utc() => {
            Some(format!("this computer's time zone is UTC, so {time} means {time} UTC; {SAY_ZONE}"))
        }
        (ZoneSource::Chosen | ZoneSource::Computer, _) => None,
    };
    warnings.extend(utc_zone.map(|text| Warning { code: "utc_zone", text }));
    if let Some(date) = date.filter(|date| zone.zone.is_past(*date, time, now)) {
        let time = time.map(|time| format!(", {time}")).unwrap_or_default();
        warnings.push(Warning {
            code: "past_date",
            text: format!("{}{time} is over in {}", date.in_words(), zone.zone.name()),
        });
    }
    let is_reservation = submission.party_size.is_some() || date.is_some() || time.is_some();
    if is_reservation && submission.task_category.takes_a_name() && submission.user_name.is_none() {
        warnings.push(Warning {
            code: "no_name",
            text: "there is no name to book under: add --name \"…\", or keep it in the defaults file".into(),
        });
    }
    warnings
}
