//! What becomes of a call, which the number that is called decides, as in a payment sandbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Success,
    NoAnswer,
    Busy,
    Failed,
    Voicemail,
    Cancelled,
}

impl Outcome {
    /// Whether a person or a machine at the other end answered, so that minutes of talk are used.
    pub(super) fn is_answered(self) -> bool {
        matches!(self, Self::Success | Self::Voicemail)
    }

    /// How long the call takes when one that succeeds takes `full`.
    pub(super) fn share_of(self, full: Duration) -> Duration {
        let percent = match self {
            Self::Success => 100,
            Self::Voicemail => 80,
            Self::NoAnswer => 60,
            Self::Cancelled => 40,
            Self::Busy => 20,
            Self::Failed => 10,
        };
        full * percent / 100
    }
}

/// What the request that places a call is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FirstAnswer {
    /// The call, when it has ended.
    Result,
    /// The running call, at once (202).
    Accepted,
    /// A gateway's 504, at once.
    GatewayTimeout,
    /// A cache's 503 with `Retry-After`, at once: it says nothing of the call, which goes on.
    BackendUnavailable,
}

/// What becomes of a request for a call.
#[derive(Debug)]
pub(super) enum Scenario {
    Placed {
        outcome: Outcome,
        /// How long the call takes, where that is not the sandbox's own measure.
        duration: Option<Duration>,
        first_answer: FirstAnswer,
    },
    /// Refused the first time, placed the second.
    RefusedOnce(Refusal),
    Refused(Refusal),
}

impl Scenario {
    pub(super) fn of(phone: &str) -> Self {
        let test_number = phone.strip_prefix("+1555555").unwrap_or_default();
        match test_number {
            "0101" => Self::ends_in(Outcome::NoAnswer),
            "0102" => Self::ends_in(Outcome::Busy),
            "0103" => Self::ends_in(Outcome::Failed),
            "0104" => Self::ends_in(Outcome::Voicemail),
            "0105" => Self::ends_in(Outcome::Cancelled),
            "0106" => Self::succeeds_behind(FirstAnswer::Accepted),
            "0120" => Self::RefusedOnce(
                Refusal::new(429, "rate_limited", "Too many requests at once.")
                    .with_header("Retry-After", "1"),
            ),
            "0121" => Self::succeeds_behind(FirstAnswer::BackendUnavailable),
            "0122" => Self::succeeds_behind(FirstAnswer::GatewayTimeout),
            "0140" => Self::refused(402, "quota_exceeded", "The plan's minutes are used up."),
            "0141" => Self::refused(403, "country_restriction", "This country is not served."),
            "0142" => Self::refused(422, "safety_violation", "The task is not allowed."),
            "0143" => Self::refused(403, "blocked_number", "This number cannot be called."),
            "0190" => Self::Placed {
                outcome: Outcome::Success,
                duration: Some(Duration::from_secs(90)),
                first_answer: FirstAnswer::Result,
            },
            _ => Self::ends_in(Outcome::Success),
        }
    }

    fn ends_in(outcome: Outcome) -> Self {
        Self::Placed { outcome, duration: None, first_answer: FirstAnswer::Result }
    }

    fn succeeds_behind(first_answer: FirstAnswer) -> Self {
        Self::Placed { outcome: Outcome::Success, duration: None, first_answer }
    }

    fn refused(status: u16, code: &'static str, message: &str) -> Self {
        Self::Refused(Refusal::new(status, code, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_test_numbers_do_not_simply_succeed() {
        let succeeds = |phone: &str| {
            matches!(
                Scenario::of(phone),
                Scenario::Placed {
                    outcome: Outcome::Success,
                    duration: None,
                    first_answer: FirstAnswer::Result
                }
            )
        };
        assert!(succeeds("+15551234567"));
        assert!(succeeds("+15555550100"));
        assert!(succeeds("+34915550101"));
        for number in ["0101", "0106", "0120", "0121", "0122", "0140", "0190"] {
            assert!(!succeeds(&format!("+1555555{number}")), "{number}");
        }
    }

    #[test]
    fn a_refused_number_names_its_code() {
        let Scenario::Refused(refusal) = Scenario::of("+15555550143") else {
            panic!("the number is refused");
        };
        assert_eq!(refusal.code(), "blocked_number");
    }

    #[test]
    fn a_busy_line_ends_sooner_than_a_talk() {
        let full = Duration::from_secs(10);
        assert_eq!(Outcome::Success.share_of(full), full);
        assert!(Outcome::Busy.share_of(full) < full / 2);
    }
}
