//! The calls the sandbox has placed. A record says when its call ends; whether it still runs is
//! asked of the clock, so a call outlives the process that placed it.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::appointment::Appointment;
use super::clock::rfc3339;
use super::random;
use super::scenario::Outcome;
use super::script::Script;
use super::submission::Submission;

/// The newest calls that are kept.
const CAPACITY: usize = 1_000;

/// The most bytes that the submissions of the kept calls may take together.
const SUBMISSION_CAPACITY: usize = 16 << 20;

#[derive(Debug, Serialize, Deserialize)]
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
    /// Written when it is first asked for.
    #[serde(skip)]
    script: OnceLock<Script>,
}

impl Record {
    /// A call of its own, with an ID of its own.
    pub(super) fn new(
        idempotency_key: Option<String>,
        outcome: Outcome,
        created_at: Timestamp,
        ends_at: Timestamp,
        timezone: Option<String>,
        submission: Box<RawValue>,
    ) -> Self {
        Self {
            call_id: random::uuid(),
            idempotency_key,
            outcome,
            created_at,
            ends_at,
            timezone,
            submission,
            script: OnceLock::new(),
        }
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// From dialling to hanging up, in seconds.
    pub(super) fn duration_seconds(&self) -> f64 {
        self.duration_milliseconds() as f64 / 1_000.0
    }

    pub(super) fn duration_milliseconds(&self) -> i64 {
        (self.ends_at.as_millisecond() - self.created_at.as_millisecond()).max(0)
    }

    /// What the call is about to bring about, whether or not it has ended.
    pub(super) fn appointment(&self) -> Option<Appointment> {
        self.appointment_of(&Submission::recall(&self.submission))
    }

    /// What is said and learned, whether or not the call has ended.
    pub(super) fn script(&self) -> &Script {
        self.script.get_or_init(|| {
            let submission = Submission::recall(&self.submission);
            let appointment = self.appointment_of(&submission);
            Script::write(&submission, appointment.as_ref(), self.outcome, self.duration_seconds())
        })
    }

    fn appointment_of(&self, submission: &Submission) -> Option<Appointment> {
        let zone = self.timezone.as_deref().map(TimeZone::get);
        let zone = zone.and_then(Result::ok).unwrap_or(TimeZone::UTC);
        Appointment::of(submission, &self.created_at.to_zoned_datetime(zone)).ok().flatten()
    }
}

/// Oldest first.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Records {
    #[serde(serialize_with = "as_records", deserialize_with = "shared_records")]
    kept: Vec<Arc<Record>>,
    /// The idempotency keys that were refused once and will be placed next.
    refused_once: Vec<String>,
}

fn as_records<S: Serializer>(records: &[Arc<Record>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(records.iter().map(|record| &**record))
}

fn shared_records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Record>>, D::Error> {
    let records = Vec::<Record>::deserialize(deserializer)?;
    Ok(records.into_iter().map(Arc::new).collect())
}

impl Records {
    pub(super) fn newest_first(&self) -> impl ExactSizeIterator<Item = &Arc<Record>> {
        self.kept.iter().rev()
    }

    pub(super) fn find(&self, call_id: &str) -> Option<&Arc<Record>> {
        self.newest_first().find(|record| record.call_id == call_id)
    }

    pub(super) fn with_key(&self, key: &str) -> Option<&Arc<Record>> {
        self.newest_first().find(|record| record.idempotency_key.as_deref() == Some(key))
    }

    pub(super) fn keep(&mut self, record: Arc<Record>) {
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

    fn record(number: usize, submission: &str) -> Arc<Record> {
        let epoch = Timestamp::UNIX_EPOCH;
        let submission = RawValue::from_string(submission.to_owned()).expect("JSON");
        let key = Some(format!("key {number}"));
        Arc::new(Record::new(key, Outcome::Success, epoch, epoch, None, submission))
    }

    #[test]
    fn only_the_newest_calls_are_kept() {
        let mut records = Records::default();
        for number in 0..=CAPACITY {
            records.keep(record(number, "{}"));
        }
        assert_eq!(records.newest_first().len(), CAPACITY);
        assert!(records.with_key("key 0").is_none());
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
        assert!(records.with_key("key 2").is_some());
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

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let mut records = Records::default();
        records.keep(record(1, "{\"a\": 1.0}"));
        let bytes = serde_json::to_vec(&records).expect("JSON");
        let read: Records = serde_json::from_slice(&bytes).expect("records");
        assert_eq!(read.with_key("key 1").expect("a call").submission.get(), "{\"a\": 1.0}");
    }
}
