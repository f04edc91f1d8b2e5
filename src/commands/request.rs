//! The request for a call: the flags, what the environment adds to them, and the words of the task.

use std::io::Read;

use super::{Context, DONE};
use crate::api::{ApiBase, NewCall, Submission};
use crate::cli::{CallOptions, TaskSource};
use crate::error::{Error, Result};
use crate::output::{Line, Tone};
use crate::types::{Category, IdempotencyKey, Invalid, Phone, Time, Zone};

/// A request, ready to be sent.
pub struct Request {
    /// Whom it calls.
    pub phone: Phone,
    /// What for.
    pub task: String,
    /// The body of the POST.
    pub json: Vec<u8>,
    /// The key the person chose.
    pub key: Option<IdempotencyKey>,
    /// Whether an open call for the same does not matter.
    pub again: bool,
}

/// No task is longer, in bytes.
const LONGEST_TASK: u64 = 1024 * 1024;

impl Request {
    /// Completes what the flags say. Reads stdin or a file where the task is there.
    ///
    /// # Errors
    /// When the task cannot be read or is empty, or the environment names no language or zone.
    pub fn new(context: &Context, CallOptions { phone, task, fields }: CallOptions) -> Result<Self> {
        let task = read_task(task)?;
        let app = fields.language.map_or_else(|| context.settings.language(), Ok)?;
        let zone = zone(context, fields.timezone, fields.time)?;
        let submission = Submission {
            task_category: fields.category.unwrap_or(Category::General),
            task_description: task.clone(),
            respondent_phone: phone.to_string(),
            business_name: fields.business,
            user_name: fields.name,
            user_phone: fields.user_phone.map(|phone| phone.to_string()),
            party_size: fields.party_size,
            appointment_date: fields.date.map(|date| date.to_string()),
            appointment_time: fields.time.map(|time| time.to_string()),
            time_preference_text: fields.time_preference,
            language: app,
            call_language: fields.call_language.unwrap_or(app),
            is_urgent: fields.urgent,
            additional_instructions: fields.instruction,
        };
        let call = NewCall { submission, timezone: zone.name().to_owned(), session_id: fields.session_id };
        let json =
            serde_json::to_vec(&call).map_err(|e| Error::io("the request could not be written", e.into()))?;
        Ok(Self { phone, task, json, key: fields.idempotency_key, again: fields.again })
    }
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
    Ok(crate::cli::text(text.trim_start_matches('\u{feff}').trim())?)
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
fn zone(context: &Context, chosen: Option<Zone>, time: Option<Time>) -> Result<Zone> {
    if let Some(zone) = chosen {
        return Ok(zone);
    }
    let how = "say which with --timezone or KALLYAI_TIMEZONE, for example America/New_York";
    match context.settings.zone()? {
        None => {
            context.out.warn(&format!("this computer's time zone is not known, so UTC is sent; {how}"));
            Ok(Zone::UTC)
        }
        Some(zone) => {
            if let Some(time) = time.filter(|_| zone.is_utc()) {
                context
                    .out
                    .warn(&format!("this computer's time zone is UTC, so {time} means {time} UTC; {how}"));
            }
            Ok(zone)
        }
    }
}

/// Prints the request that would be sent.
pub fn dry_run(context: &Context, call: CallOptions) -> Result<u8> {
    let request = Request::new(context, call)?;
    let base = if context.settings.sandbox { "http://127.0.0.1".parse()? } else { context.settings.api()? };
    let url = ApiBase::route(&base, &["v1", "calls"]);
    if context.out.is_json() {
        let body =
            serde_json::value::RawValue::from_string(String::from_utf8_lossy(&request.json).into_owned())
                .map_err(|e| Error::io("the request could not be written", e.into()))?;
        let mut headers = serde_json::Map::new();
        headers.insert("Content-Type".into(), "application/json".into());
        if let Some(key) = &request.key {
            headers.insert("Idempotency-Key".into(), key.as_str().into());
        }
        #[derive(serde::Serialize)]
        struct DryRun<'a> {
            method: &'a str,
            url: &'a str,
            headers: serde_json::Map<String, serde_json::Value>,
            body: Box<serde_json::value::RawValue>,
        }
        context.out.object(&DryRun { method: "POST", url: url.as_str(), headers, body })?;
        return Ok(DONE);
    }
    context.out.line(&Line::new().tone(Tone::Strong, "POST").text(" ").text(url.as_str()))?;
    context.out.line(&Line::new().text("Content-Type: application/json"))?;
    let key = request.key.as_ref().map_or("(a fresh one for each call)", |key| key.as_str());
    context.out.line(&Line::new().text("Idempotency-Key: ").text(key))?;
    context.out.blank()?;
    context.out.indented(&request.json)?;
    context.tell("Nothing was sent.");
    Ok(DONE)
}
