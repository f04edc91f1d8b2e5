//! The account as text: usage, subscription, billing.

use super::super::hints::PRICING;
use super::View;
use crate::error::Result;
use crate::output::{Line, Tone};
use crate::service::{BillingPortal, Parsed, Subscription, Usage};

/// Minutes and calls of the current period.
pub fn usage(view: &View<'_>, usage: &Parsed<Usage>) -> Result<()> {
    view.parsed(usage, show_usage)
}

fn show_usage(view: &View<'_>, usage: &Usage) -> Result<()> {
    let field = |label: &str, text: &str| view.field(label, text);
    if let Some(plan) = &usage.plan_type {
        let status =
            usage.subscription_status.as_ref().map(|status| format!(" ({status})")).unwrap_or_default();
        field("Plan", &format!("{plan}{status}"))?;
    }
    for (label, used, allocated, left) in [
        ("Minutes", usage.minutes_used, usage.minutes_allocated, usage.minutes_remaining),
        ("Calls", usage.calls_used, usage.calls_allocated, usage.calls_remaining),
    ] {
        let amounts = [
            used.map(|n| match allocated {
                Some(of) => format!("{} of {} used", amount(n), amount(of)),
                None => format!("{} used", amount(n)),
            }),
            left.map(|n| format!("{} left", amount(n))),
        ];
        let text = amounts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if !text.is_empty() {
            field(label, &text)?;
        }
    }
    if let Some(percent) = percentage(usage) {
        field("Used", &format!("{}  {percent:.1}%", bar(percent)))?;
    }
    let clock = &view.clock;
    match (usage.period_start.as_deref(), usage.period_end.as_deref()) {
        (Some(start), Some(end)) => {
            field("Period", &format!("{} to {}, then renewed", clock.day(start), clock.day(end)))
        }
        (None, Some(end)) => field("Period", &format!("to {}, then renewed", clock.day(end))),
        (Some(start), None) => field("Period", &format!("from {}", clock.day(start))),
        (None, None) => Ok(()),
    }
}

/// As the service says, else as the minutes say.
fn percentage(usage: &Usage) -> Option<f64> {
    let of_minutes = || {
        let allocated = usage.minutes_allocated.filter(|n| *n > 0.0)?;
        Some(usage.minutes_used? / allocated * 100.0)
    };
    usage.usage_percentage.or_else(of_minutes).filter(|percent| percent.is_finite())
}

const BAR: usize = 20;

fn bar(percent: f64) -> String {
    let filled = (percent / 100.0 * BAR as f64).round().clamp(0.0, BAR as f64) as usize;
    // Something used is never shown as nothing.
    let filled = filled.max(usize::from(percent > 0.0));
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

/// A number without a fraction it does not have.
fn amount(n: f64) -> String {
    if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}

/// The plan and its renewal.
pub fn subscription(view: &View<'_>, subscription: &Parsed<Subscription>) -> Result<()> {
    view.parsed(subscription, show_subscription)
}

fn show_subscription(view: &View<'_>, subscription: &Subscription) -> Result<()> {
    let field = |label: &str, text: &str| view.field(label, text);
    if !subscription.has_active_subscription {
        view.out.line(&Line::new().tone(Tone::Strong, "There is no active subscription."))?;
    }
    if let Some(plan) = &subscription.plan {
        let parts = [
            plan.kind.clone(),
            plan.period.clone(),
            plan.minutes_included.map(|minutes| format!("{} minutes included", amount(minutes))),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if !text.is_empty() {
            field("Plan", &text)?;
        }
    }
    if let Some(status) = &subscription.status {
        field("Status", status)?;
    }
    if let Some(expires) = &subscription.expires_at {
        let day = view.clock.day(expires);
        field(if subscription.auto_renew == Some(true) { "Renews" } else { "Ends" }, &day)?;
    }
    if let Some(provider) = &subscription.provider {
        field("Provider", provider)?;
    }
    match &subscription.management_url {
        Some(url) => field("Manage", url),
        None if !subscription.has_active_subscription => field("Subscribe", PRICING),
        None => Ok(()),
    }
}

/// Where billing is managed.
pub fn billing(view: &View<'_>, portal: &Parsed<BillingPortal>) -> Result<()> {
    view.parsed(portal, |view, portal| view.out.prose(&Line::new(), &portal.url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_never_broken() {
        for percent in [0.0, 0.1, 12.5, 99.9, 100.0, 250.0, 1e300] {
            assert_eq!(bar(percent).chars().count(), BAR, "{percent}");
        }
        assert!(bar(0.1).starts_with('█') && bar(0.0).starts_with('░') && !bar(250.0).contains('░'));
    }

    #[test]
    fn a_percentage_needs_an_allocation() {
        let usage =
            |allocated| Usage { minutes_used: Some(5.0), minutes_allocated: allocated, ..Usage::default() };
        assert_eq!(percentage(&usage(Some(40.0))), Some(12.5));
        assert_eq!(percentage(&usage(Some(0.0))), None);
        assert_eq!(percentage(&usage(None)), None);
    }
}
