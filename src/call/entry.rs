//! What the journal knows of one call, and how old that is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{CallId, CallRequest, CallStatus, IdempotencyKey, comparable};
use crate::error::Error;

/// A call that was requested.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key under which it was sent.
    pub key: IdempotencyKey,
    /// When it was written down.
    pub written: Moment,
    /// How far the service's clock was ahead of this computer's then, in seconds, where that was known.
    pub clock_difference: Option<i64>,
    /// When the request was last about to be written on a connection, in Unix seconds.
    pub sent_at: Option<i64>,
    /// The number, in E.164 form.
    pub number: String,
    /// What was asked for, white space collapsed.
    pub task: String,
    /// Scheme, host and port of the service; earlier versions did not write it.
    pub origin: Option<String>,
    /// What tells this request from others; earlier versions did not write it.
    pub digest: Option<String>,
    /// How far it has come.
    pub state: EntryState,
    /// Whether its result was shown to the user.
    pub shown: bool,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryState {
    /// It was written down, and nothing was sent yet.
    Prepared,
    /// The request may have arrived.
    Sent,
    /// It is this call, which had not ended when it was last seen.
    Running(CallId),
    /// It has ended.
    Ended {
        /// Which call it was; earlier versions did not always know it.
        call_id: Option<CallId>,
        /// How it ended; earlier versions did not write it.
        status: Option<CallStatus>,
    },
    /// The service refused it.
    Refused(Box<Error>),
}

/// A moment by this computer's clock, and by the one that nobody sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds.
    pub unix: i64,
    /// The time since this computer started, and which start that was, where the system tells.
    pub boot: Option<SinceBoot>,
}

/// The time since a computer started, sleep included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceBoot {
    /// Which start it was.
    pub id: String,
    /// Seconds since then.
    pub seconds: i64,
}

/// A call younger than this keeps others to its number, or for the same, from being placed: six hours, in seconds.
pub const GUARDED_FOR: i64 = 6 * 60 * 60;
/// An entry older than this is forgotten: thirty days, in seconds.
pub const KEPT_FOR: i64 = 30 * 24 * 60 * 60;

impl Moment {
    /// The present.
    pub fn now() -> Self {
        Self { unix: Timestamp::now().as_second(), boot: SinceBoot::now() }
    }

    /// As a timestamp.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_second(self.unix).unwrap_or_default()
    }

    /// How old it is, in seconds. Where this computer has not been restarted since, the clock that nobody sets counts
    /// too, and the lower of both: a time namespace or a restored machine may have set that one. A moment in the future
    /// is not old at all.
    pub fn age(&self, now: &Self) -> i64 {
        let by_wall = now.unix.saturating_sub(self.unix);
        let age = match (&self.boot, &now.boot) {
            (Some(then), Some(now)) if then.id == now.id => {
                let by_boot = now.seconds.saturating_sub(then.seconds);
                if by_wall < 0 { by_boot } else { by_boot.min(by_wall) }
            }
            _ => by_wall,
        };
        age.max(0)
    }

    /// Whether this computer has run without a restart since then, as far as can be told.
    pub fn is_same_boot(&self, now: &Self) -> bool {
        matches!((&self.boot, &now.boot), (Some(then), Some(now)) if then.id == now.id)
    }
}

/// A time that has passed, in seconds, as words.
pub fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => "less than a minute ago".into(),
        60..3600 => format!("{} min ago", seconds / 60),
        _ => format!("{} h {:02} min ago", seconds / 3600, seconds / 60 % 60),
    }
}

impl SinceBoot {
    #[cfg(target_os = "linux")]
    fn now() -> Option<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Some(Self { id: id.trim().to_owned(), seconds: time.tv_sec })
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Option<Self> {
        None
    }
}

impl Entry {
    /// A call that is about to be requested.
    pub fn new(key: IdempotencyKey, request: &CallRequest, origin: String, now: Moment) -> Self {
        Self {
            key,
            written: now,
            clock_difference: None,
            sent_at: None,
            number: request.phone().to_string(),
            task: request.task(),
            origin: Some(origin),
            digest: Some(request.digest()),
            state: EntryState::Prepared,
            shown: false,
        }
    }

    /// Which call it is, as far as that is known.
    pub fn call_id(&self) -> Option<&CallId> {
        match &self.state {
            EntryState::Prepared | EntryState::Sent | EntryState::Refused(_) => None,
            EntryState::Running(id) => Some(id),
            EntryState::Ended { call_id, .. } => call_id.as_ref(),
        }
    }

    /// Whether its call may be under way. One that was only prepared, by a process that has ended since, never was.
    pub fn is_open(&self, now: &Moment, is_waited_for: bool) -> bool {
        match self.state {
            EntryState::Prepared => is_waited_for || !self.written.is_same_boot(now),
            EntryState::Sent | EntryState::Running(_) => true,
            EntryState::Ended { .. } | EntryState::Refused(_) => false,
        }
    }

    /// Whether it belongs to this service. An entry of an earlier version may belong to any.
    pub fn is_at(&self, origin: &str) -> bool {
        self.origin.as_deref().is_none_or(|own| own == origin)
    }

    /// Whether it asked for the same as another.
    pub fn is_same_request(&self, other: &Self) -> bool {
        match (&self.digest, &other.digest) {
            (Some(own), Some(others)) => own == others,
            _ => self.number == other.number && comparable(&self.task) == comparable(&other.task),
        }
    }

    /// Whether it ended in success.
    pub fn is_success(&self) -> bool {
        matches!(&self.state, EntryState::Ended { status: Some(CallStatus::Success), .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::example_request;

    fn moment(unix: i64, boot: Option<(&str, i64)>) -> Moment {
        Moment { unix, boot: boot.map(|(id, seconds)| SinceBoot { id: id.into(), seconds }) }
    }

    #[test]
    fn ages_count_by_the_clock_that_nobody_sets_until_a_restart() {
        let written = moment(1_000_000, Some(("a", 100)));
        assert_eq!(written.age(&moment(999_000, Some(("a", 160)))), 60, "the wall clock was set back");
        assert_eq!(written.age(&moment(9_000_000, Some(("a", 160)))), 60, "and forward");
        assert_eq!(
            written.age(&moment(1_000_060, Some(("a", 25_300)))),
            60,
            "a namespace with a clock of its own"
        );
        assert_eq!(written.age(&moment(1_000_500, Some(("b", 5)))), 500, "another start");
        assert_eq!(written.age(&moment(1_000_500, None)), 500, "no such clock");
        assert_eq!(written.age(&moment(5, Some(("b", 5)))), 0, "the future is not old");
    }

    #[test]
    fn a_moment_is_shown_by_this_computers_clock() {
        assert_eq!(moment(1_800_000_000, Some(("a", 1))).timestamp().to_string(), "2027-01-15T08:00:00Z");
    }

    #[test]
    fn what_was_only_prepared_is_open_while_its_process_lives_or_a_restart_hides_what_followed() {
        let key = IdempotencyKey::generate();
        let written = moment(100, Some(("a", 1)));
        let entry = Entry::new(key, &example_request("x"), "https://example.org".into(), written);
        let (same, other) = (moment(101, Some(("a", 2))), moment(101, Some(("b", 2))));
        assert_eq!([entry.is_open(&same, true), entry.is_open(&same, false)], [true, false]);
        assert!(entry.is_open(&other, false) && entry.is_open(&moment(101, None), false));
    }

    #[test]
    fn entries_of_earlier_versions_are_compared_by_what_they_say() {
        let entry = |task: &str| {
            let written = moment(100, None);
            let key = IdempotencyKey::generate();
            Entry::new(key, &example_request(task), "https://example.org".into(), written)
        };
        let earlier = |entry: Entry| Entry { origin: None, digest: None, ..entry };
        let (ours, other) = (entry("Ask"), entry("Cancel"));
        assert!(ours.is_same_request(&entry(" ASK ")) && !ours.is_same_request(&other));
        let elsewhere = Entry { number: "+15551234568".into(), ..earlier(entry("Ask")) };
        assert!(earlier(entry(" ASK ")).is_same_request(&ours));
        assert!(!earlier(other).is_same_request(&ours) && !elsewhere.is_same_request(&ours));
        assert!(ours.is_at("https://example.org") && !ours.is_at("https://other.example"));
        assert!(earlier(ours).is_at("https://other.example"));
    }

    #[test]
    fn a_time_that_has_passed_is_said_in_words() {
        for (seconds, words) in [
            (0, "less than a minute ago"),
            (59, "less than a minute ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3900, "1 h 05 min ago"),
        ] {
            assert_eq!(ago(seconds), words);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_computer_tells_when_it_started() {
        let (first, second) = (Moment::now(), Moment::now());
        assert!(first.is_same_boot(&second) && (0..60).contains(&first.age(&second)));
    }
}
