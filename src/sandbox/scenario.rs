//! Test numbers. The number called determines the result, like the test cards of a payment service.

use std::time::Duration;

use super::state::Call;
use super::submission::Submission;

/// The response to the first POST. A repeated POST with the same key always returns the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FirstResponse {
    /// The call, after it has ended.
    Result,
    /// The running call, immediately (202).
    Accepted,
    /// A gateway's 504, immediately. The call continues.
    GatewayTimeout,
    /// A cache's 503 with `Retry-After`, immediately. The call continues.
    BackendUnavailable,
    /// A 429, immediately. A repeated POST returns the result.
    RateLimited,
    /// An error with this HTTP status, code and message. No call is made.
    Refused(u16, &'static str, &'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scenario {
    /// The final status, or `nothing_free` if the business answers but has no free slot.
    pub(super) outcome: &'static str,
    pub(super) first_response: FirstResponse,
    /// Duration as a percentage of a successful call's.
    percent: u32,
}

impl Scenario {
    #[rustfmt::skip]
    pub(super) fn of(phone: &str) -> Self {
        use FirstResponse::{Accepted, BackendUnavailable, GatewayTimeout, RateLimited, Refused};
        let success = Self {
            outcome: "success",
            first_response: FirstResponse::Result,
            percent: 100,
        };
        let ends = |outcome, percent| Self { outcome, percent, ..success.clone() };
        let responds = |first_response| Self { first_response, ..success.clone() };
        match phone.strip_prefix("+1555555").unwrap_or_default() {
            "0101" => ends("no_answer", 60),
            "0102" => ends("busy", 20),
            "0103" => ends("failed", 10),
            "0104" => ends("voicemail", 80),
            "0105" => ends("cancelled", 40),
            "0106" => responds(Accepted),
            "0107" => ends("nothing_free", 100),
            "0120" => responds(RateLimited),
            "0121" => responds(BackendUnavailable),
            "0122" => responds(GatewayTimeout),
            "0140" => responds(Refused(402, "quota_exceeded", "no minutes are left in the plan")),
            "0141" => responds(Refused(403, "country_restriction", "this country is not served")),
            "0142" => responds(Refused(422, "safety_violation", "the task is not allowed")),
            "0143" => responds(Refused(403, "blocked_number", "this number cannot be called")),
            // 90 seconds with the default duration.
            "0190" => ends("success", 2_250),
            _ => success,
        }
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

    /// Returns the duration of the call if a successful one takes `full`.
    pub(super) fn duration(&self, full: Duration) -> Duration {
        full * self.percent / 100
    }

    /// Returns whether the call is answered, and therefore uses minutes.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.outcome, "success" | "nothing_free" | "voicemail")
    }
}
