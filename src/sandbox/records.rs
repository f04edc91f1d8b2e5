//! The calls the sandbox has placed. A record says when its call ends; whether it still runs is
//! asked of the clock, so a call outlives the process that placed it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::calendar::Appointment;
use super::outcome::Outcome;
use super::script::Script;
use super::store::rfc3339;
use super::submission::Submission;

/// The newest calls that are kept.
const CAPACITY: usize = 1_000;

/// The most bytes that the submissions of the kept calls may take together.
const SUBMISSION_CAPACITY: usize = 16 << 20;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) call_id: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) outcome: Outcome,
    #[serde(with = "rfc3339")]
    pub(super) created_at: Timestamp,
    #[serde(with = "rfc3339")]
    pub(super) ends_at: Timestamp,
    pub(super) timezone: Option<String>,
    /// Byte for byte as it came.
    pub(super) submission: Box<RawValue>,
}

impl Record {
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// What the call is about to bring about, whether or not it has ended.
    pub(super) fn appointment(&self) -> Option<Appointment> {
        let zone = self.timezone.as_deref().map(TimeZone::get);
        let zone = zone.and_then(Result::ok).unwrap_or(TimeZone::UTC);
        let submission = Submission::recall(&self.submission);
        Appointment::of(&submission, &self.created_at.to_zoned_datetime(zone))
    }

    /// What is said and learned, whether or not the call has ended.
    pub(super) fn script(&self) -> Script {
        let submission = Submission::recall(&self.submission);
        Script::write(&submission, self.appointment().as_ref(), self.outcome)
    }
}

/// Oldest first.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Records {
    kept: Vec<Record>,
    /// The idempotency keys that were refused once and will be placed next.
    refused_once: Vec<String>,
}

impl Records {
    pub(super) fn newest_first(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.kept.iter().rev()
    }

    pub(super) fn find(&self, call_id: &str) -> Option<&Record> {
        self.newest_first().find(|record| record.call_id == call_id)
    }

    pub(super) fn with_key(&self, key: &str) -> Option<&Record> {
        self.newest_first().find(|record| record.idempotency_key.as_deref() == Some(key))
    }

    pub(super) fn keep(&mut self, record: Record) {
        self.kept.push(record);
        let mut bytes = 0;
        let fitting = self.newest_first().take(CAPACITY).take_while(|record| {
            bytes += record.submission.get().len();
            bytes <= SUBMISSION_CAPACITY
        });
        let surplus = self.kept.len() - fitting.count();
        self.kept.drain(..surplus);
    }

    /// Whether `key` comes for the first time: every second time is its turn. Requests without
    /// a key share one, and so are refused by turns.
    pub(super) fn refuse_once(&mut self, key: Option<&str>) -> bool {
        let key = key.unwrap_or_default();
        let known = self.refused_once.iter().position(|refused| refused == key);
        match known {
            Some(index) => drop(self.refused_once.remove(index)),
            None => self.refused_once.push(key.to_owned()),
        }
        let surplus = self.refused_once.len().saturating_sub(CAPACITY);
        self.refused_once.drain(..surplus);
        known.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize, submission: &str) -> Record {
        Record {
            call_id: number.to_string(),
            idempotency_key: Some(format!("key {number}")),
            outcome: Outcome::Success,
            created_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::UNIX_EPOCH,
            timezone: None,
            submission: RawValue::from_string(submission.to_owned()).expect("JSON"),
        }
    }

    #[test]
    fn only_the_newest_calls_are_kept() {
        let mut records = Records::default();
        for number in 0..=CAPACITY {
            records.keep(record(number, "{}"));
        }
        assert_eq!(records.newest_first().len(), CAPACITY);
        assert!(records.find("0").is_none());
        assert!(records.with_key("key 1000").is_some());
    }

    #[test]
    fn huge_submissions_push_out_older_calls() {
        let mut records = Records::default();
        let huge = format!("\"{}\"", "x".repeat(SUBMISSION_CAPACITY / 2));
        for number in 0..3 {
            records.keep(record(number, &huge));
        }
        assert_eq!(records.newest_first().len(), 1);
        assert!(records.find("2").is_some());
    }

    #[test]
    fn each_key_is_refused_once() {
        let mut records = Records::default();
        assert!(records.refuse_once(Some("a")));
        assert!(records.refuse_once(Some("b")));
        assert!(!records.refuse_once(Some("a")));
        assert!(!records.refuse_once(Some("b")));
        assert!(records.refuse_once(None));
        assert!(!records.refuse_once(None));
    }
}
