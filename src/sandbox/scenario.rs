//! Test numbers. The number called determines the result, like the test cards of a payment service.

use std::time::Duration;

use super::http::{Refusal, Result};
use super::state::Call;
use super::submission::Submission;

/// The response to the first POST. A repeated POST with the same key always returns the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FirstResponse {
    /// The finished call, as soon as it has ended (201).
    Result,
    /// The running call, immediately (202).
    Accepted,
    /// A gateway's 504, immediately. The call continues.
    GatewayTimeout,
    /// A cache's 503 with `Retry-After`, immediately. The call continues.
    BackendUnavailable,
    /// A 429, immediately. A repeated POST returns the result.
    RateLimited,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    /// The final status, or `nothing_free` if the business answers but has no free slot.
    pub(super) outcome: &'static str,
    pub(super) first_response: FirstResponse,
    /// Duration, as a percentage of a successful call's duration.
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
            // 2,250 % of the default duration of 4 s: 90 s.
            "0190" => ends("success", 2_250),
            _ => success,
        }
    }

    /// Returns an error if the service refuses to call the number.
    pub(super) fn check(phone: &str) -> Result<()> {
        let (status, code, message) = match test_number(phone) {
            "0140" => (402, "quota_exceeded", "no minutes are left in the plan"),
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

    /// Returns whether the call is answered, and therefore uses minutes.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.outcome, "success" | "nothing_free" | "voicemail")
    }
}

/// Returns the last four digits of a test number, or an empty string for any other number.
fn test_number(phone: &str) -> &str {
    phone.strip_prefix("+1555555").unwrap_or_default()
}
