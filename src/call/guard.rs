//! The guards: whether earlier calls forbid a new one, as a pure function of calls and a clock.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, State};
use crate::api::Call;
use crate::domain::{CallId, CallStatus, Key, comparable, dialed};
use crate::error::{Error, Kind};

/// An open call stands for this long, and a success of the same request.
const GUARDED: SignedDuration = SignedDuration::from_hours(6);
/// A success whose result was never shown stands for this long, and a call that the service names
/// as running.
const LONG_GUARDED: SignedDuration = SignedDuration::from_hours(24);

/// An earlier call, from the journal or from the history.
#[derive(Debug, Clone)]
pub struct Earlier {
    pub number: String,
    pub task: String,
    name: Option<String>,
    party_size: Option<u32>,
    date: Option<String>,
    time: Option<String>,
    pub standing: Standing,
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
}

/// How an earlier call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be under way until then.
    Open {
        since: Timestamp,
        until: Timestamp,
    },
    Success {
        at: Timestamp,
        shown: bool,
    },
    /// It ended in another way, or was not made.
    Over,
}

/// The rules that a call must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// No call to the number is open.
    pub open: bool,
    /// The same was not done already.
    pub done: bool,
}

impl Guards {
    pub const NONE: Self = Self {
        open: false,
        done: false,
    };
}

/// Why a call is not made.
#[derive(Debug, Clone)]
pub enum Refusal {
    Open(Box<Earlier>),
    Done(Box<Earlier>),
    /// The key belongs to this same request: follow that call.
    SameKey(Key),
    /// The key belongs to another request.
    KeyTaken,
}

impl Earlier {
    pub fn of_entry(entry: &Entry) -> Self {
        let standing = match entry.state {
            State::Ended if entry.is_success() => Standing::Success {
                at: entry.ended_at.unwrap_or(entry.sent_at),
                shown: entry.shown,
            },
            State::Ended | State::Refused | State::NotAccepted => Standing::Over,
            State::Sent | State::Lost | State::Running | State::Unknown(_) => Standing::Open {
                since: entry.sent_at,
                until: entry.sent_at + GUARDED,
            },
        };
        Self {
            number: entry.number.clone(),
            task: entry.task.clone(),
            name: entry.name.clone(),
            party_size: entry.party_size.map(u32::from),
            date: entry.date.clone(),
            time: entry.time.clone(),
            standing,
            key: Some(entry.key.clone()),
            call_id: entry.call_id.clone(),
        }
    }

    /// A call of the history that the journal does not know. `None` if its number is not told.
    pub fn of_listed(call: &Call, now: Timestamp) -> Option<Self> {
        let echo = call.submission.0.clone();
        let created = call.created_at();
        let standing = match &call.status.0 {
            Some(CallStatus::Running(name)) => {
                let appointment = call.appointment().filter(|_| name == "scheduled");
                let since = created.unwrap_or(now);
                let until = appointment.unwrap_or(since) + LONG_GUARDED;
                Standing::Open { since, until }
            }
            _ if call.is_running() => Standing::Open {
                since: created.unwrap_or(now),
                until: created.unwrap_or(now) + GUARDED,
            },
            _ if call.is_success() => Standing::Success {
                at: call.ended_at().or(created).unwrap_or(Timestamp::MIN),
                shown: true,
            },
            _ => Standing::Over,
        };
        Some(Self {
            number: call.number()?.to_owned(),
            task: call.task().unwrap_or_default().to_owned(),
            name: echo.user_name.0,
            party_size: echo.party_size.0,
            date: echo.appointment_date.0,
            time: echo.appointment_time.0,
            standing,
            key: None,
            call_id: call.call_id.parse().ok(),
        })
    }

    fn is_success_within(&self, age: SignedDuration, now: Timestamp) -> bool {
        matches!(self.standing, Standing::Success { at, .. } if now.duration_since(at) < age)
    }
}

/// Whether two calls to one number ask for the same.
pub fn is_same_request(a: &Earlier, b: &Earlier) -> bool {
    let names = a.name.as_deref().zip(b.name.as_deref());
    let sizes = a.party_size.zip(b.party_size);
    if names.is_some_and(|(a, b)| comparable(a) != comparable(b))
        || sizes.is_some_and(|(a, b)| a != b)
    {
        return false;
    }
    let has_no_appointment = |call: &Earlier| call.date.is_none() && call.time.is_none();
    if has_no_appointment(a) && has_no_appointment(b) {
        return comparable(&a.task) == comparable(&b.task);
    }
    a.date == b.date && a.time == b.time
}

/// Why `new` must not be made, if earlier calls speak against it.
pub fn refusal(
    earlier: &[Earlier],
    new: &Entry,
    guards: Guards,
    now: Timestamp,
) -> Option<Refusal> {
    let wanted = Earlier::of_entry(new);
    let number = dialed(&new.number);
    let to_number = || earlier.iter().filter(|call| dialed(&call.number) == number);
    let is_open =
        |call: &&Earlier| matches!(call.standing, Standing::Open { until, .. } if now < until);
    if let Some(open) = to_number().filter(|_| guards.open).find(is_open) {
        return Some(Refusal::Open(Box::new(open.clone())));
    }
    let is_unseen = |call: &Earlier| {
        matches!(call.standing, Standing::Success { shown: false, .. })
            && call.is_success_within(LONG_GUARDED, now)
    };
    let is_repeated =
        |call: &Earlier| call.is_success_within(GUARDED, now) && is_same_request(call, &wanted);
    let done = to_number()
        .filter(|_| guards.done)
        .find(|call| is_unseen(call) || is_repeated(call));
    done.map(|done| Refusal::Done(Box::new(done.clone())))
}

/// Whether an earlier call to this number succeeded within six hours.
pub fn is_recent_success(call: &Earlier, number: &str, now: Timestamp) -> bool {
    dialed(&call.number) == dialed(number) && call.is_success_within(GUARDED, now)
}

impl Refusal {
    /// The meaning of a key that has a file already.
    pub fn of_key(known: &Entry, new: &Entry) -> Self {
        let (known_call, wanted) = (Earlier::of_entry(known), Earlier::of_entry(new));
        let is_same =
            dialed(&known.number) == dialed(&new.number) && is_same_request(&known_call, &wanted);
        if is_same {
            Self::SameKey(known.key.clone())
        } else {
            Self::KeyTaken
        }
    }

    pub fn into_error(self, now: Timestamp) -> Error {
        match self {
            Self::Open(call) => {
                let age = match call.standing {
                    Standing::Open { since, .. } => format!(" for {}", age(since, now)),
                    Standing::Success { .. } | Standing::Over => String::new(),
                };
                let message = format!(
                    "a call to {} has been in progress{age} (\"{}\")",
                    call.number, call.task
                );
                Error::new(Kind::CallOpen, message).about(call.key.as_ref(), call.call_id.as_ref())
            }
            Self::Done(call) => {
                let at = match call.standing {
                    Standing::Success { at, .. } => age(at, now),
                    Standing::Open { .. } | Standing::Over => "earlier".into(),
                };
                let message = format!(
                    "a call to {} succeeded {at} ago (\"{}\")",
                    call.number, call.task
                );
                Error::new(Kind::AlreadyDone, message)
                    .about(call.key.as_ref(), call.call_id.as_ref())
            }
            Self::SameKey(key) => {
                let message = format!("key {key} was already used for this request");
                Error::new(Kind::InProgress, message).about(Some(&key), None)
            }
            Self::KeyTaken => Error::new(
                Kind::InvalidInput,
                "that idempotency key belongs to a different call",
            )
            .with_hint("give each call a key of its own"),
        }
    }
}

/// A time span in words: "3 minutes".
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(since).as_mins().max(0);
    let (count, unit) = match minutes {
        0 => return "less than a minute".into(),
        1..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
