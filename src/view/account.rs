//! Views of the account: usage, subscription, billing and sign-in.

use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::time::{day, moment};
use super::{Block, View, fields, line};
use crate::api::{BillingPortal, Parsed, Plan, Subscription, Usage};
use crate::domain::{Zone, shell_quoted};
use crate::service::{PENDING_LIFETIME, ServedSandbox};

const PRICING: &str = "https://kallyai.com/pricing";

pub fn usage(usage: &Parsed<Usage>, zone: &Zone) -> View {
    let Parsed { value, raw } = usage;
    let status = value.subscription_status.as_deref().map(words);
    let plan = match (value.plan_type.clone(), status) {
        (Some(plan), Some(status)) => Some(format!("{plan} ({status})")),
        (plan, status) => plan.or(status),
    };
    let minutes = quota(
        value.minutes_used,
        value.minutes_allocated,
        value.minutes_remaining,
    );
    let calls = quota(
        value.calls_used,
        value.calls_allocated,
        value.calls_remaining,
    );
    let end = value.period_end.as_deref();
    let all = fields([
        ("Plan", plan),
        ("Minutes", minutes),
        ("Calls", calls),
        ("Renews", end.map(|end| day(end, zone))),
    ]);
    View::server(raw, vec![all])
}

/// Formats a quota as `22 of 50 (44%), 28 left`.
fn quota(used: Option<f64>, allocated: Option<f64>, left: Option<f64>) -> Option<String> {
    match (used.map(rounded), allocated.map(rounded), left.map(rounded)) {
        (Some(used), Some(of), left) => {
            let percent = match of > 0.0 {
                true => format!(" ({:.0}%)", used / of * 100.0),
                false => String::new(),
            };
            let left = left.unwrap_or(of - used);
            Some(match used > of {
                true => format!("{used} of {of}{percent}, {} over", rounded(used - of)),
                false => format!("{used} of {of}{percent}, {} left", rounded(left)),
            })
        }
        (Some(used), None, _) => Some(format!("{used} used")),
        (None, _, left) => left.map(|left| format!("{left} left")),
    }
}

/// Rounds to one decimal and turns -0 into 0.
fn rounded(n: f64) -> f64 {
    (n * 10.0).round() / 10.0 + 0.0
}

/// Replaces the underscores in a status such as `past_due` with spaces.
fn words(status: &str) -> String {
    status.replace('_', " ")
}

pub fn subscription(subscription: &Parsed<Subscription>, zone: &Zone) -> View {
    let Parsed { value, raw } = subscription;
    let expires = value.expires_at.as_deref();
    let label = match value.auto_renew {
        Some(true) => "Renews",
        _ => "Valid until",
    };
    let subscribe = !value.has_active_subscription && value.management_url.is_none();
    let all = fields([
        ("Plan", value.plan.as_ref().and_then(plan)),
        ("Status", value.status.as_deref().map(words)),
        (label, expires.map(|expires| day(expires, zone))),
        ("Provider", value.provider.clone()),
        ("Manage", value.management_url.clone()),
        ("Subscribe", subscribe.then(|| PRICING.to_owned())),
    ]);
    let mut blocks = vec![all];
    if !value.has_active_subscription {
        blocks.insert(0, line("No active subscription."));
    }
    View::server(raw, blocks)
}

fn plan(plan: &Plan) -> Option<String> {
    let minutes = plan.minutes_included.map(rounded);
    let minutes = minutes.map(|n| format!("{n} minutes included"));
    let parts = [plan.kind.clone(), plan.period.clone(), minutes];
    let given: Vec<String> = parts.into_iter().flatten().collect();
    (!given.is_empty()).then(|| given.join(", "))
}

pub fn billing(portal: &Parsed<BillingPortal>) -> View {
    View::server(&portal.raw, vec![Block::Copy(portal.value.url.clone())])
}

/// Returns a view saying that the user is signed in. `until` is the time when the access token
/// expires, or `None` if the user is signed in with `KALLYAI_ACCESS_TOKEN`.
pub fn auth_status(until: Option<Timestamp>, zone: &Zone) -> View {
    let Some(until) = until else {
        let json = json!({ "signed_in": true, "source": "KALLYAI_ACCESS_TOKEN" });
        let text = "Signed in with KALLYAI_ACCESS_TOKEN. The token was not checked.";
        return View::own(json, vec![line(text)]);
    };
    let json = json!({ "signed_in": true, "source": "file", "expires_at": until.to_string() });
    let at = moment(until, zone);
    let text = format!("Signed in until {at}, or longer if the sign-in can be renewed.");
    View::own(json, vec![line(text)])
}

/// Returns a view of the sign-in URL and the next steps. `finish` is the command that finishes the
/// sign-in.
pub fn pending_sign_in(url: &Url, finish: &str) -> View {
    let json = json!({
        "sign_in_url": url.as_str(),
        "expires_in": PENDING_LIFETIME,
        "next_command": finish,
    });
    let minutes = PENDING_LIFETIME / 60;
    let steps = format!(
        "Open this URL in any browser and sign in. You'll end up on a URL starting with \
         http://localhost (it's fine if the page doesn't load). Copy that URL and, within {minutes} \
         minutes, run:"
    );
    let blocks = vec![
        Block::Copy(url.to_string()),
        line(steps),
        Block::Copy(format!("  {finish}")),
    ];
    View::own(json, blocks)
}

pub fn sign_out(was_signed_in: bool) -> View {
    let text = match was_signed_in {
        true => "Signed out.",
        false => "You were not signed in.",
    };
    let json = json!({ "signed_in": false, "was_signed_in": was_signed_in });
    View::own(json, vec![line(text)])
}

/// Returns a view of the shell commands that make other clients use the sandbox.
pub fn served_sandbox(served: &ServedSandbox) -> View {
    let file = served.token_file.display().to_string();
    let blocks = vec![
        Block::Copy(export("KALLYAI_API_URL", &served.url)),
        Block::Copy(export("KALLYAI_TOKEN_FILE", &file)),
    ];
    View::own(json!({ "api_url": served.url, "token_file": file }), blocks)
}

/// Returns a shell command that sets an environment variable. On Windows, the shell is PowerShell.
fn export(name: &str, value: &str) -> String {
    if cfg!(windows) {
        format!("$env:{name} = '{}'", value.replace('\'', "''"))
    } else {
        format!("export {name}={}", shell_quoted(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_shows_used_allocated_and_remaining() {
        for (used, allocated, left, text) in [
            (
                Some(22.0),
                Some(50.0),
                Some(28.0),
                "22 of 50 (44%), 28 left",
            ),
            (
                Some(12.5),
                Some(100.0),
                None,
                "12.5 of 100 (12%), 87.5 left",
            ),
            (
                Some(112.0),
                Some(100.0),
                Some(-0.0),
                "112 of 100 (112%), 12 over",
            ),
            (Some(0.0), Some(0.0), Some(-0.0), "0 of 0, 0 left"),
            (Some(3.0), None, None, "3 used"),
            (None, None, Some(7.0), "7 left"),
            (None, None, None, ""),
        ] {
            assert_eq!(quota(used, allocated, left).unwrap_or_default(), text);
        }
    }
}
