//! The account as text: usage, subscription, billing.

use super::super::hints::PRICING;
use super::View;
use crate::domain::redact;
use crate::error::Result;
use crate::output::{Line, Messages, Tone};
use crate::service::{BillingPortal, Parsed, Subscription, Usage};

/// Minutes and calls of the current period.
pub fn usage(view: &View<'_>, usage: &Parsed<Usage>) -> Result<()> {
    view.parsed(usage, show_usage)
}

/// What a plan has so much of.
struct Quota {
    label: &'static str,
    unit: &'static str,
    used: Option<f64>,
    allocated: Option<f64>,
    left: Option<f64>,
}

impl Quota {
    fn of(usage: &Usage) -> [Self; 2] {
        [
            Self {
                label: "Minutes",
                unit: "minute",
                used: usage.minutes_used,
                allocated: usage.minutes_allocated,
                left: usage.minutes_remaining,
            },
            Self {
                label: "Calls",
                unit: "call",
                used: usage.calls_used,
                allocated: usage.calls_allocated,
                left: usage.calls_remaining,
            },
        ]
    }

    /// How much more was used than there is.
    fn over(&self) -> Option<f64> {
        let over = match (self.used, self.allocated, self.left) {
            (Some(used), Some(allocated), _) => used - allocated,
            (_, _, left) => -left?,
        };
        (rounded(over) > 0.0).then_some(over)
    }

    /// How much is left, so that it and what was used add up as they are shown.
    fn left(&self) -> Option<f64> {
        let left = self.left?;
        Some(match (self.used, self.allocated) {
            (Some(used), Some(of)) if (of - used - left).abs() < 0.05 => rounded(of) - rounded(used),
            _ => left,
        })
    }

    /// How much of it is used, 100 for all.
    fn percent(&self) -> Option<f64> {
        let allocated = self.allocated.filter(|n| *n > 0.0)?;
        Some(self.used? / allocated * 100.0).filter(|percent| percent.is_finite())
    }

    fn text(&self, messages: Messages) -> String {
        let used = self.used.map(|n| match self.allocated {
            Some(of) => messages.fill("{} of {} used", &[&amount(messages, n), &amount(messages, of)]),
            None => messages.fill("{} used", &[&amount(messages, n)]),
        });
        let rest = match self.over() {
            Some(over) => Some(messages.fill("{} over", &[&counted(messages, over, self.unit)])),
            None => self.left().map(|n| messages.fill("{} left", &[&amount(messages, n.max(0.0))])),
        };
        used.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
    }
}

fn show_usage(view: &View<'_>, usage: &Usage) -> Result<()> {
    let messages = view.out.messages();
    if let Some(plan) = &usage.plan_type {
        let status =
            usage.subscription_status.as_deref().map(|status| format!(" ({})", words(messages, status)));
        let tone = if is_overdue(usage.subscription_status.as_deref()) { Tone::Bad } else { Tone::Plain };
        view.toned_field("Plan", tone, &format!("{plan}{}", status.unwrap_or_default()))?;
    }
    let quotas = Quota::of(usage);
    for quota in &quotas {
        let text = quota.text(messages);
        if !text.is_empty() {
            let tone = if quota.over().is_some() { Tone::Bad } else { Tone::Plain };
            view.toned_field(quota.label, tone, &text)?;
        }
    }
    if let Some((percent, of)) = nearest_to_its_end(usage, &quotas) {
        let tone = match percent {
            100.0.. => Tone::Bad,
            NEAR_ITS_END.. => Tone::Strong,
            _ => Tone::Plain,
        };
        view.toned_field(
            "Used",
            tone,
            &format!(
                "{}  {}{}",
                bar(percent),
                messages.fill("{}%", &[&messages.decimal(percent)]),
                messages.translate(of)
            ),
        )?;
    }
    let clock = &view.clock;
    match (usage.period_start.as_deref(), usage.period_end.as_deref()) {
        (Some(start), Some(end)) => view
            .field("Period", &messages.fill("{} to {}, then renewed", &[&clock.day(start), &clock.day(end)])),
        (None, Some(end)) => view.field("Period", &messages.fill("to {}, then renewed", &[&clock.day(end)])),
        (Some(start), None) => view.field("Period", &messages.fill("from {}", &[&clock.day(start)])),
        (None, None) => Ok(()),
    }
}

/// How much is used, as the service says or else as the minutes say; and of what, where the calls come to their end
/// before that.
fn nearest_to_its_end(usage: &Usage, [minutes, calls]: &[Quota; 2]) -> Option<(f64, &'static str)> {
    let said = usage.usage_percentage.filter(|percent| percent.is_finite()).or_else(|| minutes.percent());
    let of_calls = calls.percent().map(|percent| (percent, " of the calls"));
    match (said, of_calls) {
        (Some(said), Some((percent, of))) if percent > said => Some((percent, of)),
        (Some(said), _) => Some((said.max(0.0), "")),
        (None, of_calls) => of_calls,
    }
}

/// From here on what is used stands out: percent.
const NEAR_ITS_END: f64 = 80.0;

const BAR: usize = 20;

fn bar(percent: f64) -> String {
    let filled = (percent / 100.0 * BAR as f64).round().clamp(0.0, BAR as f64) as usize;
    // Something used is never shown as nothing.
    let filled = filled.max(usize::from(percent > 0.0));
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

/// To one decimal, and no negative nothing.
fn rounded(n: f64) -> f64 {
    let rounded = (n * 10.0).round() / 10.0;
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// A number without a fraction it does not have.
fn amount(messages: Messages, n: f64) -> String {
    let n = rounded(n);
    if n.fract() == 0.0 { format!("{n:.0}") } else { messages.decimal(n) }
}

fn counted(messages: Messages, n: f64, unit: &str) -> String {
    let amount = amount(messages, n);
    let plural = if amount == "1" { "" } else { "s" };
    format!("{amount} {}{plural}", messages.translate(unit))
}

fn is_overdue(status: Option<&str>) -> bool {
    matches!(status, Some("past_due" | "unpaid"))
}

/// A status of a subscription, as Stripe names them, in words.
fn words(messages: Messages, status: &str) -> String {
    let words = match status {
        "past_due" => "payment overdue",
        "trialing" => "on trial",
        "canceled" => "cancelled",
        "incomplete" => "first payment not made yet",
        "incomplete_expired" => "first payment never made",
        // First what must not be printed: with a space in it, nobody would know it.
        other => &redact(other).replace('_', " "),
    };
    messages.translate(words).into_owned()
}

/// The plan and its renewal.
pub fn subscription(view: &View<'_>, subscription: &Parsed<Subscription>) -> Result<()> {
    view.parsed(subscription, show_subscription)
}

fn show_subscription(view: &View<'_>, subscription: &Subscription) -> Result<()> {
    let messages = view.out.messages();
    let field = |label: &str, text: &str| view.field(label, text);
    if !subscription.has_active_subscription {
        let none = messages.translate("There is no active subscription.");
        view.out.line(&Line::new().tone(Tone::Strong, &none))?;
    }
    if let Some(plan) = &subscription.plan {
        let parts = [
            plan.kind.clone(),
            plan.period.as_deref().map(|period| messages.translate(period).into_owned()),
            plan.minutes_included
                .map(|minutes| messages.fill("{} included", &[&counted(messages, minutes, "minute")])),
        ];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        if !text.is_empty() {
            field("Plan", &text)?;
        }
    }
    if let Some(status) = &subscription.status {
        let tone = if is_overdue(Some(status)) { Tone::Bad } else { Tone::Plain };
        view.toned_field("Status", tone, &words(messages, status))?;
    }
    if let Some(expires) = &subscription.expires_at {
        let day = view.clock.day(expires);
        let label = match subscription.auto_renew {
            Some(true) => "Renews",
            _ if view.clock.is_over(expires) => "Ended",
            _ => "Ends",
        };
        field(label, &day)?;
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

    fn of_minutes(used: f64, allocated: Option<f64>) -> Usage {
        Usage { minutes_used: Some(used), minutes_allocated: allocated, ..Usage::default() }
    }

    fn shown(usage: &Usage) -> Option<(f64, &'static str)> {
        nearest_to_its_end(usage, &Quota::of(usage))
    }

    #[test]
    fn the_bar_is_never_broken() {
        for percent in [0.0, 0.1, 12.5, 99.9, 100.0, 250.0, 1e300] {
            assert_eq!(bar(percent).chars().count(), BAR, "{percent}");
        }
        assert!(bar(0.1).starts_with('█') && bar(0.0).starts_with('░') && !bar(250.0).contains('░'));
    }

    #[test]
    fn a_percentage_needs_an_allocation() {
        assert_eq!(shown(&of_minutes(5.0, Some(40.0))), Some((12.5, "")));
        assert_eq!(shown(&of_minutes(5.0, Some(0.0))), None);
        assert_eq!(shown(&of_minutes(5.0, None)), None);
    }

    #[test]
    fn the_bar_follows_what_is_nearer_its_end() {
        let mut usage = of_minutes(5.0, Some(40.0));
        (usage.calls_used, usage.calls_allocated) = (Some(9.0), Some(10.0));
        assert_eq!(shown(&usage), Some((90.0, " of the calls")));
        usage.usage_percentage = Some(95.0);
        assert_eq!(shown(&usage), Some((95.0, "")));
    }

    #[test]
    fn amounts_are_as_people_say_them() {
        for (n, text) in
            [(-0.0, "0"), (-0.04, "0"), (12.5, "12.5"), (11.96, "12"), (-3.0, "-3"), (0.05, "0.1")]
        {
            assert_eq!(amount(Messages::of(crate::domain::Language::En), n), text);
        }
        let texts = [(112.0, 100.0), (101.0, 100.0), (100.0, 100.0), (100.04, 100.0), (2.35, 100.0)].map(
            |(used, of)| {
                let usage = Usage { minutes_remaining: Some(of - used), ..of_minutes(used, Some(of)) };
                Quota::of(&usage)[0].text(Messages::of(crate::domain::Language::En))
            },
        );
        assert_eq!(
            texts,
            [
                "112 of 100 used, 12 minutes over",
                "101 of 100 used, 1 minute over",
                "100 of 100 used, 0 left",
                "100 of 100 used, 0 left",
                "2.4 of 100 used, 97.6 left"
            ]
        );
    }
}
