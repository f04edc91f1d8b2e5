//! Test phone numbers. The number determines the result of a call, in the same way that the number
//! of a test credit card determines the result of a payment.

use std::time::Duration;

use super::http::{Refusal, Result};
use super::state::Call;
use super::submission::Submission;

/// How to respond to the first POST with a given idempotency key. Any later POST with that key gets
/// the result of the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FirstResponse {
    /// A 201 response with the finished call, sent after the call has ended.
    Result,
    /// An immediate 202 with the running call.
    Accepted,
    /// An immediate 504, as from a gateway. The call continues.
    GatewayTimeout,
    /// An immediate 503 with `Retry-After`, as from an HTTP cache. The call continues.
    BackendUnavailable,
    /// An immediate 429. A retry with the same idempotency key returns the result.
    RateLimited,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    /// The final status of the call, or `nothing_free` if the business answers but has no free
    /// slot.
    pub(super) outcome: &'static str,
    pub(super) first_response: FirstResponse,
    /// How long the call takes, as a percentage of a successful call's duration.
    percent: u32,
}

impl Scenario {
    pub(super) fn of(phone: &str) -> Self {
        let success = Self {
            outcome: "success",
            first_response: FirstResponse::Result,
            percent: 100,
        };
        let ends = |outcome, percent| Self {
            outcome,
            percent,
            ..success.clone()
        };
        let responds = |first_response| Self {
            first_response,
            ..success.clone()
        };
        match test_number(phone) {
            "0101" => ends("no_answer", 60),
            "0102" => ends("busy", 20),
            "0103" => ends("failed", 10),
            "0104" => ends("voicemail", 80),
            "0105" => ends("cancelled", 40),
            "0106" => responds(FirstResponse::Accepted),
            "0107" => ends("nothing_free", 100),
            "0120" => responds(FirstResponse::RateLimited),
            "0121" => responds(FirstResponse::BackendUnavailable),
            "0122" => responds(FirstResponse::GatewayTimeout),
            // A long call: 2,250% of the default duration (4 s) is 90 s.
            "0190" => ends("success", 2_250),
            _ => success,
        }
    }

    /// Returns an error if the service refuses to call the number.
    pub(super) fn check(phone: &str) -> Result<()> {
        let (status, code, message) = match test_number(phone) {
            "0140" => (402, "quota_exceeded", "your plan has no minutes left"),
            "0141" => (403, "country_restriction", "this country is not supported"),
            "0142" => (422, "safety_violation", "the task is not allowed"),
            "0143" => (403, "blocked_number", "this number cannot be called"),
            _ => return Ok(()),
        };
        Err(Refusal::new(status, code, message))
    }

    pub(super) fn of_call(call: &Call) -> Self {
        Self::of(&Submission::of(&call.submission).respondent_phone)
    }

    pub(super) fn status(&self) -> &'static str {
        match self.outcome {
            "nothing_free" => "failed",
            status => status,
        }
    }

    /// Returns the call's duration. `full` is the duration of a successful call.
    pub(super) fn duration(&self, full: Duration) -> Duration {
        full * self.percent / 100
    }

    /// Returns whether the call is answered, and therefore uses minutes of the plan.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.outcome, "success" | "nothing_free" | "voicemail")
    }
}

/// Returns the last four digits of a test number, or an empty string for any other number.
fn test_number(phone: &str) -> &str {
    phone.strip_prefix("+1555555").unwrap_or_default()
}
