//! The account routes: tokens, usage and billing.

use std::io;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::json;

use super::http::{self, Refusal, Request, Result};
use super::scenario::Scenario;
use super::state::{Call, State};
use super::{Login, Service};

/// Lifetime of an access token, in seconds.
const LIFETIME: u64 = 3_600;
const PLAN: &str = "starter";
const MINUTES: f64 = 100.0;
const CALLS: usize = 50;

pub(super) fn new_login(service: &Service) -> io::Result<Login> {
    service.store.update(issue)
}

fn issue(state: &mut State) -> Login {
    let token = |kind| format!("sandbox-{kind}-{:032x}", rand::random::<u128>());
    let login = Login {
        access_token: token("access"),
        refresh_token: token("refresh"),
        expires_in: LIFETIME,
    };
    let expires_at = Timestamp::now() + Duration::from_secs(LIFETIME);
    state.logins.push((login.clone(), expires_at));
    login
}

pub(super) fn authorize(service: &Service, request: &Request) -> Result<()> {
    let token = request.header("Authorization").strip_prefix("Bearer ");
    let missing = || Refusal::new(401, "missing_token", "a bearer token is required");
    let token = token.ok_or_else(missing)?;
    let logins = service.store.read()?.logins;
    let mut valid = logins
        .iter()
        .filter(|(_, expires_at)| Timestamp::now() < *expires_at);
    if valid.any(|(login, _)| login.access_token == token) {
        return Ok(());
    }
    let message = "the access token is unknown or has expired";
    Err(Refusal::new(401, "invalid_token", message))
}

/// Exchanges a refresh token for new tokens. Removes the old token, so that it can't be used again.
pub(super) fn refresh(service: &Service, request: &Request) -> Result {
    #[derive(Deserialize)]
    struct Body {
        refresh_token: String,
    }
    let Body { refresh_token } = request.json()?;
    let login = service.store.update(|state| {
        let mut logins = state.logins.iter();
        let index = logins.position(|(login, _)| login.refresh_token == refresh_token)?;
        state.logins.remove(index);
        Some(issue(state))
    })?;
    let message = "the refresh token is unknown or has already been used";
    let login = login.ok_or_else(|| Refusal::new(401, "invalid_refresh_token", message))?;
    http::json(200, login)
}

pub(super) fn statistics(service: &Service, _: &Request) -> Result {
    let (start, end) = period();
    let state = service.store.read()?;
    let is_recent = |call: &&Call| day(call.created_at) >= start;
    let calls: Vec<_> = state.calls.iter().filter(is_recent).collect();
    let is_charged = |call: &Call| call.has_ended() && Scenario::of_call(call).is_answered();
    let charged = calls.iter().filter(|call| is_charged(call));
    // Use `fold`, because `sum` returns -0.0 if there are no charged calls.
    let minutes = charged.fold(0.0, |sum, call| sum + call.seconds() / 60.0);
    let statistics = json!({
        "plan_type": PLAN,
        "subscription_status": "active",
        "minutes_allocated": MINUTES,
        "minutes_used": minutes,
        "minutes_remaining": (MINUTES - minutes).max(0.0),
        "calls_allocated": CALLS,
        "calls_used": calls.len(),
        "calls_remaining": CALLS.saturating_sub(calls.len()),
        "period_start": midnight(start),
        "period_end": midnight(end),
        "usage_percentage": minutes / MINUTES * 100.0,
    });
    http::json(200, statistics)
}

pub(super) fn subscription(service: &Service, _: &Request) -> Result {
    let subscription = json!({
        "has_active_subscription": true,
        "provider": "stripe",
        "plan": {"type": PLAN, "period": "monthly", "minutes_included": MINUTES},
        "status": "active",
        "expires_at": midnight(period().1),
        "auto_renew": true,
        "management_url": format!("{}/billing", service.url),
    });
    http::json(200, subscription)
}

pub(super) fn billing_portal(service: &Service, _: &Request) -> Result {
    http::json(200, json!({ "url": format!("{}/billing", service.url) }))
}

pub(super) fn billing_page(_: &Service, _: &Request) -> Result {
    Ok(http::html(200, include_str!("pages/billing.html")))
}

/// Returns the first day of the current month and of the next month, in UTC.
fn period() -> (Date, Date) {
    let start = day(Timestamp::now()).first_of_month();
    (start, start.saturating_add(1.month()))
}

fn day(instant: Timestamp) -> Date {
    instant.to_zoned_datetime(TimeZone::UTC).date()
}

fn midnight(date: Date) -> String {
    format!("{date}T00:00:00Z")
}
