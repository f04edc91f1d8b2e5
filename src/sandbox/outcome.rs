//! How a call ends, which the number that is called decides, as in a payment sandbox.

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

/// What becomes of a request for a call.
#[derive(Debug)]
pub(super) enum Fate {
    /// The call is placed and its end answered.
    Placed(Outcome),
    /// The call is placed and succeeds, but a gateway answers in its stead.
    AnswerLost,
    /// Refused the first time, placed the second.
    RefusedOnce(Refusal),
    Refused(Refusal),
}

impl Fate {
    pub(super) fn of(phone: &str) -> Self {
        let test_number = phone.strip_prefix("+1555555").unwrap_or_default();
        match test_number {
            "0101" => Self::Placed(Outcome::NoAnswer),
            "0102" => Self::Placed(Outcome::Busy),
            "0103" => Self::Placed(Outcome::Failed),
            "0104" => Self::Placed(Outcome::Voicemail),
            "0105" => Self::Placed(Outcome::Cancelled),
            "0120" => Self::RefusedOnce(
                Refusal::new(429, "rate_limited", "Too many requests at once.")
                    .with_header("Retry-After", "1"),
            ),
            "0121" => Self::RefusedOnce(
                Refusal::new(503, "service_unavailable", "The service is starting.")
                    .with_header("Retry-After", "1"),
            ),
            "0122" => Self::AnswerLost,
            "0140" => Self::refused(402, "quota_exceeded", "The plan's minutes are used up."),
            "0141" => Self::refused(403, "country_restriction", "This country is not served."),
            "0142" => Self::refused(422, "safety_violation", "The task is not allowed."),
            "0143" => Self::refused(403, "blocked_number", "This number cannot be called."),
            _ => Self::Placed(Outcome::Success),
        }
    }

    fn refused(status: u16, code: &'static str, message: &str) -> Self {
        Self::Refused(Refusal::new(status, code, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_test_numbers_do_not_succeed() {
        let succeeds = |phone| matches!(Fate::of(phone), Fate::Placed(Outcome::Success));
        assert!(succeeds("+15551234567"));
        assert!(succeeds("+15555550100"));
        assert!(succeeds("+34915550101"));
        assert!(!succeeds("+15555550101"));
    }

    #[test]
    fn a_refused_number_names_its_code() {
        let Fate::Refused(refusal) = Fate::of("+15555550143") else {
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
