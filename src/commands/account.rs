//! `--usage`, `--subscription`, `--billing`.

use super::{Context, DONE, READ_TIMEOUT, signed_in};
use crate::api::{BillingPortal, Document, Subscription, Usage};
use crate::error::Result;
use crate::output::{Line, Tone};

const PRICING: &str = "https://kallyai.com/pricing";

/// Minutes and calls of the current period.
pub async fn usage(context: &Context) -> Result<u8> {
    let usage = signed_in(context, READ_TIMEOUT, async |client| client.usage().await).await?;
    present_usage(context, &usage)
}

pub(super) fn present_usage(context: &Context, usage: &Document<Usage>) -> Result<u8> {
    present(context, usage, show_usage)
}

/// Prints what was answered as it is, or as text.
fn present<T>(
    context: &Context,
    answer: &Document<T>,
    show: impl FnOnce(&Context, &T) -> Result<()>,
) -> Result<u8> {
    if context.out.is_json() {
        context.out.document(&answer.raw)?;
    } else {
        show(context, &answer.value)?;
    }
    Ok(DONE)
}

fn show_usage(context: &Context, usage: &Usage) -> Result<()> {
    let field = |label: &str, text: &str| super::show::field(context, label, text);
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
    let clock = context.clock();
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
pub async fn subscription(context: &Context) -> Result<u8> {
    let subscription = signed_in(context, READ_TIMEOUT, async |client| client.subscription().await).await?;
    present_subscription(context, &subscription)
}

pub(super) fn present_subscription(context: &Context, subscription: &Document<Subscription>) -> Result<u8> {
    present(context, subscription, show_subscription)
}

fn show_subscription(context: &Context, subscription: &Subscription) -> Result<()> {
    let field = |label: &str, text: &str| super::show::field(context, label, text);
    if !subscription.has_active_subscription {
        context.out.line(&Line::new().tone(Tone::Strong, "There is no active subscription."))?;
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
        let day = context.clock().day(expires);
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

/// Opens the billing portal.
pub async fn billing(context: &Context) -> Result<u8> {
    let portal = signed_in(context, READ_TIMEOUT, async |client| client.billing_portal().await).await?;
    present_billing(context, &portal)
}

pub(super) fn present_billing(context: &Context, portal: &Document<BillingPortal>) -> Result<u8> {
    let url = &portal.value.url;
    if context.out.is_json() {
        context.out.document(&portal.raw)?;
    } else {
        context.out.line(&Line::new().text(url))?;
    }
    // The address comes from outside: nothing but a web page is handed to the system, and with its quotes and spaces
    // encoded, which some systems' openers take for a command's. The sandbox's portal is gone with this command.
    let page = url::Url::parse(url).ok().filter(|url| url.scheme() == "https");
    if page.is_some_and(|page| context.opener().open(page.as_str())) && !context.out.is_json() {
        context.tell("A browser is being opened.");
    }
    Ok(DONE)
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
