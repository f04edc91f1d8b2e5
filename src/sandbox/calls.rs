//! The routes of calls.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::appointment::Appointment;
use super::calendar;
use super::clock::now;
use super::records::Record;
use super::scenario::{FirstAnswer, Outcome, Scenario};
use super::script::TranscriptEntry;
use super::service::Service;
use super::store::Memory;
use super::submission::Submission;
use super::wire::{HandlerResult, Refusal, Reply, Request};

const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 200;

/// A sound request for a call.
struct CreateCall {
    key: Option<String>,
    submission: Box<RawValue>,
    timezone: Option<String>,
    scenario: Scenario,
}

impl CreateCall {
    fn read(request: &Request) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct CreateCallBody {
            submission: Option<Box<RawValue>>,
            timezone: Option<String>,
        }
        let key = request.header("Idempotency-Key").map(str::to_owned);
        let CreateCallBody { submission: raw, timezone } = request.json()?;
        let raw = raw.ok_or_else(|| Refusal::validation("submission is required."))?;
        let submission = Submission::parse(&raw)?;
        let zone = TimeZone::get(timezone.as_deref().unwrap_or("UTC"))
            .map_err(|_| Refusal::validation("timezone is not an IANA time zone."))?;
        if Appointment::of(&submission, &now().to_zoned_datetime(zone)).is_err() {
            let message = "The appointment is beyond the end of the calendar.";
            return Err(Refusal::new(422, "scheduling_violation", message));
        }
        Ok(Self {
            key: key.filter(|key| !key.is_empty()),
            scenario: Scenario::of(submission.phone()),
            submission: raw,
            timezone,
        })
    }

    /// The call, placed now or under the same key before, and what this request is answered.
    fn execute(
        self,
        memory: &mut Memory,
        call_duration: Duration,
    ) -> Result<(Arc<Record>, FirstAnswer), Refusal> {
        let key = self.key.as_deref();
        if let Some(placed) = key.and_then(|key| memory.calls.with_key(key)) {
            return Ok((Arc::clone(placed), FirstAnswer::Result));
        }
        let (outcome, duration, first_answer) = match self.scenario {
            Scenario::Refused(refusal) => return Err(refusal),
            Scenario::RefusedOnce(refusal) if memory.calls.refuse_once(key) => return Err(refusal),
            Scenario::RefusedOnce(_) => (Outcome::Success, None, FirstAnswer::Result),
            Scenario::Placed { outcome, duration, first_answer } => (outcome, duration, first_answer),
        };
        let created_at = now();
        let duration = duration.unwrap_or_else(|| outcome.share_of(call_duration));
        let ends_at = created_at.saturating_add(duration).unwrap_or(Timestamp::MAX);
        let record = Record::new(self.key, outcome, created_at, ends_at, self.timezone, self.submission);
        let record = Arc::new(record);
        memory.calls.keep(Arc::clone(&record));
        Ok((record, first_answer))
    }
}

#[derive(Serialize)]
struct CallList<'a> {
    calls: Vec<Call<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct Call<'a> {
    call_id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlights: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_steps: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    metadata: Metadata,
    submission: &'a RawValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Status {
    Ended(Outcome),
    Running(&'static str),
}

#[derive(Serialize)]
struct Metadata {
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

#[derive(Serialize)]
struct Transcript<'a> {
    entries: &'a [TranscriptEntry],
}

impl<'a> Call<'a> {
    fn seen(record: &'a Record, now: Timestamp) -> Self {
        let ended = record.has_ended(now).then_some(record);
        let report = ended.map(|record| &record.script().report);
        Self {
            call_id: &record.call_id,
            status: match ended {
                Some(record) => Status::Ended(record.outcome),
                None => Status::Running("in_progress"),
            },
            highlights: report.map(|report| &*report.highlights),
            next_steps: report.map(|report| &*report.next_steps),
            duration_seconds: ended.map(Record::duration_seconds),
            metadata: Metadata {
                created_at: record.created_at.to_string(),
                ended_at: ended.map(|record| record.ends_at.to_string()),
            },
            submission: &record.submission,
        }
    }
}

/// Answers when the call has ended, unless the number called asks for something else.
pub(super) fn place(service: &Service, request: &Request) -> HandlerResult {
    let create = CreateCall::read(request)?;
    let (record, first_answer) =
        service.store.update(|memory| create.execute(memory, service.call_duration))??;
    match first_answer {
        FirstAnswer::Accepted => Reply::json(202, &Call::seen(&record, record.created_at)),
        FirstAnswer::GatewayTimeout => Ok(Reply::gateway_timeout()),
        FirstAnswer::BackendUnavailable => Ok(Reply::backend_unavailable()),
        FirstAnswer::Result if service.shutdown.wait_until(record.ends_at) => {
            Reply::json(201, &Call::seen(&record, now()))
        }
        // The call goes on, in the memory that the next sandbox reads.
        FirstAnswer::Result => Ok(Reply::gateway_timeout()),
    }
}

pub(super) fn list(service: &Service, request: &Request) -> HandlerResult {
    let limit = count(request, "limit")?.unwrap_or(DEFAULT_LIMIT);
    let offset = count(request, "offset")?.unwrap_or_default();
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Refusal::validation("limit is not between 1 and 200."));
    }
    let memory = service.store.read()?;
    let calls = &memory.calls;
    let now = now();
    let listed: Vec<_> =
        calls.newest_first().skip(offset).take(limit).map(|record| Call::seen(record, now)).collect();
    Reply::json(200, &CallList { calls: listed, total: calls.newest_first().len() })
}

pub(super) fn show(service: &Service, request: &Request) -> HandlerResult {
    let record = find(service, request)?;
    Reply::json(200, &Call::seen(&record, now()))
}

pub(super) fn transcript(service: &Service, request: &Request) -> HandlerResult {
    let record = find(service, request)?;
    let entries = &record.script().entries;
    if entries.is_empty() || !record.has_ended(now()) {
        let message = "This call has no transcript, or none yet.";
        return Err(Refusal::new(404, "transcript_not_found", message));
    }
    Reply::json(200, &Transcript { entries })
}

pub(super) fn calendar(service: &Service, request: &Request) -> HandlerResult {
    let record = find(service, request)?;
    let booked = record.outcome == Outcome::Success && record.has_ended(now());
    let appointment = record.appointment().filter(|_| booked).ok_or_else(|| {
        let message = "This call made no appointment, or none yet.";
        Refusal::new(404, "calendar_not_found", message)
    })?;
    Ok(Reply::calendar(calendar::file(&record, &appointment)))
}

fn find(service: &Service, request: &Request) -> Result<Arc<Record>, Refusal> {
    let memory = service.store.read()?;
    let found = request.path().get(2).and_then(|id| memory.calls.find(id));
    found.cloned().ok_or_else(|| Refusal::new(404, "call_not_found", "There is no such call."))
}

fn count(request: &Request, name: &str) -> Result<Option<usize>, Refusal> {
    let count = request.parameter(name).map(|text| text.parse());
    count.transpose().map_err(|_| Refusal::validation(format!("{name} is not a whole number.")))
}
