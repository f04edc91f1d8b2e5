//! The routes of the account, which has one plan and uses it by the calls that are kept.

use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};
use serde_json::json;

use super::store::now;
use super::wire::{Answer, Refusal, Reply, Request};
use super::{Service, page};

pub(super) const PLAN: &str = "starter";
/// Minutes of talk in a period.
pub(super) const MINUTES: u32 = 100;
/// Calls in a period.
pub(super) const CALLS: u32 = 50;

pub(super) fn statistics(service: &Service, _: &mut Request) -> Answer {
    let now = now();
    let (start, end) = period(&now.to_zoned_datetime(TimeZone::UTC))?;
    let calls = service.store.read()?.calls;
    let placed: Vec<_> =
        calls.newest_first().take_while(|record| record.created_at >= start.timestamp()).collect();
    let ended = placed.iter().filter(|record| record.has_ended(now));
    let seconds: f64 = ended.map(|record| record.script().duration_seconds).sum();
    let minutes = tenths(seconds / 60.0);
    let allocated = f64::from(MINUTES);
    Reply::json(
        200,
        &json!({
            "plan_type": PLAN,
            "subscription_status": "active",
            "minutes_allocated": allocated,
            "minutes_used": minutes,
            "minutes_remaining": tenths((allocated - minutes).max(0.0)),
            "calls_allocated": CALLS,
            "calls_used": placed.len(),
            "calls_remaining": (CALLS as usize).saturating_sub(placed.len()),
            "period_start": start.timestamp().to_string(),
            "period_end": end.timestamp().to_string(),
            "usage_percentage": tenths(minutes / allocated * 100.0),
        }),
    )
}

pub(super) fn subscription(service: &Service, _: &mut Request) -> Answer {
    let (_, end) = period(&now().to_zoned_datetime(TimeZone::UTC))?;
    Reply::json(
        200,
        &json!({
            "has_active_subscription": true,
            "provider": "stripe",
            "plan": {"type": PLAN, "period": "monthly", "minutes_included": MINUTES},
            "status": "active",
            "expires_at": end.timestamp().to_string(),
            "auto_renew": true,
            "management_url": service.billing_url(),
        }),
    )
}

pub(super) fn billing_portal(service: &Service, _: &mut Request) -> Answer {
    Reply::json(200, &json!({ "url": service.billing_url() }))
}

pub(super) fn billing_page(_: &Service, _: &mut Request) -> Answer {
    Ok(page::billing())
}

/// The month around `now`: its first instant, and that of the next one.
fn period(now: &ZonedDateTime) -> Result<(ZonedDateTime, ZonedDateTime), Refusal> {
    let start = now.first_of_month().and_then(|day| day.start_of_day());
    let end = start.clone().and_then(|day| day.checked_add(1.month()));
    Ok((start.map_err(Refusal::internal)?, end.map_err(Refusal::internal)?))
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
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
}
