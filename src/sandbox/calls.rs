//! The routes for making, listing and reading calls.

use std::thread;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Service;
use super::http::{self, Refusal, Request, Result};
use super::scenario::{FirstResponse, Scenario};
use super::state::{Call, State};
use super::story::Story;
use super::submission::Submission;

const DEFAULT_LIMIT: usize = 50;

#[derive(Deserialize)]
struct Body {
    submission: Value,
    timezone: String,
}

pub(super) fn create(service: &Service, request: &Request) -> Result {
    let body: Body = request.json()?;
    let submission = Submission::check(&body.submission)?;
    Scenario::check(&submission.respondent_phone)?;
    let scenario = Scenario::of(&submission.respondent_phone);
    if TimeZone::get(&body.timezone).is_err() {
        return Err(Refusal::validation("timezone is not an IANA time zone"));
    }
    let created_at = Timestamp::now();
    let duration = scenario.duration(service.call_duration);
    let call = Call {
        id: Uuid::new_v4().to_string(),
        idempotency_key: request.header("Idempotency-Key").to_owned(),
        created_at,
        ends_at: created_at + duration,
        timezone: body.timezone,
        submission: body.submission,
    };
    let recorded = service
        .store
        .update(|state| record(state, call, scenario.first_response));
    let (call, response) = recorded??;
    match response {
        FirstResponse::Accepted => http::json(202, view(&call)),
        FirstResponse::RateLimited => {
            let refusal = Refusal::new(429, "rate_limited", "too many requests at once");
            Ok(http::with_header(refusal.into_reply(), "Retry-After", "1"))
        }
        FirstResponse::BackendUnavailable => {
            let page = "<html><title>503 Backend fetch failed</title></html>\n";
            Ok(http::with_header(http::html(503, page), "Retry-After", "5"))
        }
        FirstResponse::GatewayTimeout => {
            let page = "<html><title>504 Gateway Time-out</title></html>\n";
            Ok(http::html(504, page))
        }
        FirstResponse::Result => {
            let left = Timestamp::now().duration_until(call.ends_at).try_into();
            thread::sleep(left.unwrap_or_default());
            http::json(201, view(&call))
        }
    }
}

/// Records a call, unless a call with its idempotency key is already recorded. Returns the recorded
/// call and how to respond.
fn record(state: &mut State, call: Call, first: FirstResponse) -> Result<(Call, FirstResponse)> {
    let key = Some(&call.idempotency_key).filter(|key| !key.is_empty());
    let mut calls = state.calls.iter();
    match calls.find(|known| Some(&known.idempotency_key) == key) {
        Some(known) if known.submission == call.submission && known.timezone == call.timezone => {
            Ok((known.clone(), FirstResponse::Result))
        }
        Some(_) => {
            let message = "the idempotency key was already used for a different request";
            Err(Refusal::new(422, "idempotency_key_reused", message))
        }
        None => {
            state.calls.push(call.clone());
            Ok((call, first))
        }
    }
}

fn view(call: &Call) -> Value {
    let to_seconds = |at: Timestamp| at.strftime("%FT%TZ").to_string();
    let mut view = json!({
        "call_id": call.id,
        "status": "in_progress",
        "metadata": {"created_at": to_seconds(call.created_at)},
        "submission": call.submission,
    });
    if call.has_ended() {
        let story = Story::of(call);
        view["status"] = json!(Scenario::of_call(call).status());
        view["highlights"] = json!(story.highlights);
        view["next_steps"] = json!(story.next_steps);
        view["duration_seconds"] = json!(call.seconds());
        view["metadata"]["ended_at"] = json!(to_seconds(call.ends_at));
    }
    view
}

pub(super) fn list(service: &Service, request: &Request) -> Result {
    let limit = count(request, "limit")?.unwrap_or(DEFAULT_LIMIT);
    let offset = count(request, "offset")?.unwrap_or_default();
    if !(1..=200).contains(&limit) {
        return Err(Refusal::validation("limit is not between 1 and 200"));
    }
    let calls = service.store.read()?.calls;
    let page = calls.iter().rev().skip(offset).take(limit);
    let page: Vec<_> = page.map(view).collect();
    http::json(200, json!({"calls": page, "total": calls.len()}))
}

fn count(request: &Request, name: &str) -> Result<Option<usize>> {
    let count = request.parameter(name).map(|text| text.parse()).transpose();
    count.map_err(|_| Refusal::validation(format!("{name} is not a whole number")))
}

pub(super) fn show(service: &Service, request: &Request) -> Result {
    http::json(200, view(&find(service, request)?))
}

pub(super) fn transcript(service: &Service, request: &Request) -> Result {
    let call = find(service, request)?;
    let entries = Story::of(&call).entries;
    if entries.is_empty() || !call.has_ended() {
        let message = "this call has no transcript";
        return Err(Refusal::new(404, "transcript_not_found", message));
    }
    http::json(200, json!({ "entries": entries }))
}

pub(super) fn calendar(service: &Service, request: &Request) -> Result {
    let call = find(service, request)?;
    let is_success = call.has_ended() && Scenario::of_call(&call).outcome == "success";
    let file = super::calendar::file(&call).filter(|_| is_success);
    let message = "no appointment was made on this call";
    let file = file.ok_or_else(|| Refusal::new(404, "calendar_not_found", message))?;
    Ok(http::reply(200, "text/calendar; charset=utf-8", file))
}

fn find(service: &Service, request: &Request) -> Result<Call> {
    let id = request.url.path().split('/').nth(3).unwrap_or_default();
    let mut calls = service.store.read()?.calls.into_iter();
    let call = calls.find(|call| call.id == id);
    call.ok_or_else(|| Refusal::new(404, "call_not_found", "there is no such call"))
}
