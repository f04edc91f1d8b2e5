//! The routes of calls.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::calendar::{self, Appointment};
use super::outcome::{Fate, Outcome};
use super::records::Record;
use super::script::Entry;
use super::store::{State, now};
use super::submission::Submission;
use super::wire::{Answer, Refusal, Reply, Request};
use super::{Service, random};

const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 200;

/// A sound request for a call.
struct Order {
    key: Option<String>,
    submission: Box<RawValue>,
    timezone: Option<String>,
    fate: Fate,
}

impl Order {
    fn read(request: &mut Request) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            submission: Option<Box<RawValue>>,
            timezone: Option<String>,
        }
        let key = request.header("Idempotency-Key").map(str::to_owned);
        let Body { submission: raw, timezone } = request.json()?;
        let raw = raw.ok_or_else(|| Refusal::validation("submission is required."))?;
        let submission = Submission::parse(&raw)?;
        let zone = TimeZone::get(timezone.as_deref().unwrap_or("UTC"))
            .map_err(|_| Refusal::validation("timezone is not an IANA time zone."))?;
        if Appointment::of(&submission, &now().to_zoned_datetime(zone)).is_none() {
            let message = "The appointment is beyond the end of the calendar.";
            return Err(Refusal::new(422, "scheduling_violation", message));
        }
        Ok(Self {
            key: key.filter(|key| !key.is_empty()),
            fate: Fate::of(submission.phone()),
            submission: raw,
            timezone,
        })
    }

    /// The call, placed now or under the same key before, and whether its answer gets lost.
    fn carry_out(self, state: &mut State, full: Duration) -> Result<(Record, bool), Refusal> {
        let key = self.key.as_deref();
        if let Some(placed) = key.and_then(|key| state.calls.with_key(key)) {
            return Ok((placed.clone(), false));
        }
        let (outcome, answer_lost) = match self.fate {
            Fate::Refused(refusal) => return Err(refusal),
            Fate::RefusedOnce(refusal) if state.calls.refuse_once(key) => return Err(refusal),
            Fate::RefusedOnce(_) => (Outcome::Success, false),
            Fate::AnswerLost => (Outcome::Success, true),
            Fate::Placed(outcome) => (outcome, false),
        };
        let created_at = now();
        let ends_at = created_at.saturating_add(outcome.share_of(full));
        let record = Record {
            call_id: random::uuid(),
            idempotency_key: self.key,
            outcome,
            created_at,
            ends_at: ends_at.unwrap_or(Timestamp::MAX),
            timezone: self.timezone,
            submission: self.submission,
        };
        state.calls.keep(record.clone());
        Ok((record, answer_lost))
    }
}

#[derive(Serialize)]
struct Page<'a> {
    calls: Vec<Call<'a>>,
    total: usize,
}

#[derive(Serialize)]
struct Call<'a> {
    call_id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlights: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_steps: Option<String>,
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
struct Transcript {
    entries: Vec<Entry>,
}

impl<'a> Call<'a> {
    fn seen(record: &'a Record, now: Timestamp) -> Self {
        let script = record.has_ended(now).then(|| record.script());
        Self {
            call_id: &record.call_id,
            status: match script {
                Some(_) => Status::Ended(record.outcome),
                None => Status::Running("in_progress"),
            },
            duration_seconds: script.as_ref().map(|script| script.duration_seconds),
            metadata: Metadata {
                created_at: record.created_at.to_string(),
                ended_at: script.as_ref().map(|_| record.ends_at.to_string()),
            },
            submission: &record.submission,
            highlights: script.as_ref().map(|script| script.highlights.clone()),
            next_steps: script.map(|script| script.next_steps),
        }
    }
}

/// Answers when the call has ended.
pub(super) fn place(service: &Service, request: &mut Request) -> Answer {
    let order = Order::read(request)?;
    let (record, answer_lost) =
        service.store.update(|state| order.carry_out(state, service.call_duration))??;
    if answer_lost || !service.gate.wait_until(record.ends_at) {
        return Ok(Reply::gateway_timeout());
    }
    Reply::json(201, &Call::seen(&record, now()))
}

pub(super) fn list(service: &Service, request: &mut Request) -> Answer {
    let limit = count(request, "limit")?.unwrap_or(DEFAULT_LIMIT);
    let offset = count(request, "offset")?.unwrap_or_default();
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Refusal::validation("limit is not between 1 and 200."));
    }
    let calls = service.store.read()?.calls;
    let now = now();
    let page: Vec<_> =
        calls.newest_first().skip(offset).take(limit).map(|record| Call::seen(record, now)).collect();
    Reply::json(200, &Page { calls: page, total: calls.newest_first().len() })
}

pub(super) fn show(service: &Service, request: &mut Request) -> Answer {
    let record = find(service, request)?;
    Reply::json(200, &Call::seen(&record, now()))
}

pub(super) fn transcript(service: &Service, request: &mut Request) -> Answer {
    let record = find(service, request)?;
    let entries = record.script().entries;
    if entries.is_empty() || !record.has_ended(now()) {
        let message = "This call has no transcript, or none yet.";
        return Err(Refusal::new(404, "transcript_not_found", message));
    }
    Reply::json(200, &Transcript { entries })
}

pub(super) fn calendar(service: &Service, request: &mut Request) -> Answer {
    let record = find(service, request)?;
    let booked = record.outcome == Outcome::Success && record.has_ended(now());
    let appointment = record.appointment().filter(|_| booked).ok_or_else(|| {
        let message = "This call made no appointment, or none yet.";
        Refusal::new(404, "calendar_not_found", message)
    })?;
    Ok(Reply::calendar(calendar::file(&record, &appointment)))
}

fn find(service: &Service, request: &Request) -> Result<Record, Refusal> {
    let calls = service.store.read()?.calls;
    let found = request.path().get(2).and_then(|id| calls.find(id));
    found.cloned().ok_or_else(|| Refusal::new(404, "call_not_found", "There is no such call."))
}

fn count(request: &Request, name: &str) -> Result<Option<usize>, Refusal> {
    let count = request.parameter(name).map(|text| text.parse());
    count.transpose().map_err(|_| Refusal::validation(format!("{name} is not a whole number.")))
}
