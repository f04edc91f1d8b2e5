//! The routes of the account, which has one plan and uses it by the calls that are kept.

use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};
use serde_json::json;

use super::clock::now;
use super::service::Service;
use super::wire::{HandlerResult, Refusal, Reply, Request};
use super::{page, plan};

pub(super) fn statistics(service: &Service, _: &Request) -> HandlerResult {
    let now = now();
    let (start, end) = period(&now.to_zoned_datetime(TimeZone::UTC))?;
    let memory = service.store.read()?;
    let placed = memory.calls.newest_first().take_while(|record| record.created_at >= start.timestamp());
    let (mut calls, mut milliseconds) = (0_usize, 0_i64);
    for record in placed {
        calls += 1;
        if record.outcome.is_answered() && record.has_ended(now) {
            milliseconds += record.duration_milliseconds();
        }
    }
    let minutes = milliseconds as f64 / 60_000.0;
    let allocated = f64::from(plan::MINUTES);
    Reply::json(
        200,
        &json!({
            "plan_type": plan::NAME,
            "subscription_status": "active",
            "minutes_allocated": allocated,
            "minutes_used": rounded(minutes, 2),
            "minutes_remaining": rounded((allocated - minutes).max(0.0), 2),
            "calls_allocated": plan::CALLS,
            "calls_used": calls,
            "calls_remaining": (plan::CALLS as usize).saturating_sub(calls),
            "period_start": start.timestamp().to_string(),
            "period_end": end.timestamp().to_string(),
            "usage_percentage": rounded(minutes / allocated * 100.0, 1),
        }),
    )
}

pub(super) fn subscription(service: &Service, _: &Request) -> HandlerResult {
    let (_, end) = period(&now().to_zoned_datetime(TimeZone::UTC))?;
    Reply::json(
        200,
        &json!({
            "has_active_subscription": true,
            "provider": "stripe",
            "plan": {"type": plan::NAME, "period": "monthly", "minutes_included": plan::MINUTES},
            "status": "active",
            "expires_at": end.timestamp().to_string(),
            "auto_renew": true,
            "management_url": service.billing_url(),
        }),
    )
}

pub(super) fn billing_portal(service: &Service, _: &Request) -> HandlerResult {
    Reply::json(200, &json!({ "url": service.billing_url() }))
}

pub(super) fn billing_page(_: &Service, _: &Request) -> HandlerResult {
    Ok(page::billing())
}

/// The month around `now`: its first instant, and that of the next one.
fn period(now: &ZonedDateTime) -> Result<(ZonedDateTime, ZonedDateTime), Refusal> {
    let start = now.first_of_month().and_then(|day| day.start_of_day());
    let end = start.clone().and_then(|day| day.checked_add(1.month()));
    Ok((start.map_err(Refusal::internal)?, end.map_err(Refusal::internal)?))
}

fn rounded(number: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (number * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_calendar_month() {
        let now = "2028-12-31T23:59:59.9[UTC]".parse().expect("an instant");
        let (start, end) = period(&now).expect("a period");
        assert_eq!(start.timestamp().to_string(), "2028-12-01T00:00:00Z");
        assert_eq!(end.timestamp().to_string(), "2029-01-01T00:00:00Z");
    }

    #[test]
    fn numbers_are_rounded_to_plain_ones() {
        for (number, decimals, text) in [(0.0, 2, "0.0"), (4.0 / 60.0, 2, "0.07"), (99.933, 1, "99.9")] {
            assert_eq!(json!(rounded(number, decimals)).to_string(), text);
        }
    }
}
