//! Decides whether earlier calls forbid a new one. A pure function of calls and the time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, State};
use super::journal::Contents;
use crate::api::Call;
use crate::domain::{CallId, CallStatus, Key, comparable, dialed};
use crate::error::{Error, Kind, Result};

/// How long an open call, or a success of the same request, blocks a new call.
const GUARDED: SignedDuration = SignedDuration::from_hours(6);
/// How long a success that the user has not seen, or a call that the service reports as running,
/// blocks a new call.
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

/// What is known about the end of an earlier call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// May be in progress until `until`.
    Open {
        since: Timestamp,
        until: Timestamp,
    },
    Success {
        at: Timestamp,
        shown: bool,
    },
    /// Ended without success, or was not made.
    Over,
}

/// Which checks a new call must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// No call to the number may be in progress.
    pub open: bool,
    /// The same request must not have succeeded already.
    pub done: bool,
}

impl Guards {
    /// Returns all checks, or none for `--again`.
    pub fn unless(again: bool) -> Self {
        Self {
            open: !again,
            done: !again,
        }
    }
}

impl Earlier {
    pub fn of_entry(entry: &Entry) -> Self {
        let standing = match entry.state {
            State::Ended if entry.is_success() => Standing::Success {
                at: entry.ended_at.unwrap_or(entry.sent_at),
                shown: entry.shown,
            },
            _ if entry.is_open() => Standing::Open {
                since: entry.sent_at,
                until: entry.sent_at + GUARDED,
            },
            _ => Standing::Over,
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

    /// Converts a call that only the history has. Returns `None` if it does not give its number.
    pub fn of_listed(call: &Call, now: Timestamp) -> Option<Self> {
        let echo = call.submission.0.clone();
        let created = call.created_at();
        let since = created.unwrap_or(now);
        let standing = match &call.status.0 {
            Some(CallStatus::Running(name)) => {
                let appointment = call.appointment().filter(|_| name == "scheduled");
                let until = appointment.unwrap_or(since) + LONG_GUARDED;
                Standing::Open { since, until }
            }
            _ if call.is_running() => {
                let until = since + GUARDED;
                Standing::Open { since, until }
            }
            _ if call.is_success() => {
                let at = call.ended_at().or(created).unwrap_or(Timestamp::MIN);
                Standing::Success { at, shown: true }
            }
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

    /// Returns the error that this call may still be in progress.
    pub fn open(&self, since: Timestamp, now: Timestamp) -> Error {
        let (number, task, age) = (&self.number, &self.task, age(since, now));
        let message = format!("a call to {number} has been in progress for {age} (\"{task}\")");
        self.error(Kind::CallOpen, message)
    }

    /// Returns the error that `wanted` was already done, if this call did it.
    fn done(&self, wanted: &Self, now: Timestamp) -> Option<Error> {
        let Standing::Success { at, shown } = self.standing else {
            return None;
        };
        let elapsed = now.duration_since(at);
        let is_unseen = !shown && elapsed < LONG_GUARDED;
        let is_repeated = elapsed < GUARDED && is_same_request(self, wanted);
        if !is_unseen && !is_repeated {
            return None;
        }
        let (number, task, age) = (&self.number, &self.task, age(at, now));
        let message = format!("a call to {number} succeeded {age} ago (\"{task}\")");
        Some(self.error(Kind::AlreadyDone, message))
    }

    fn error(&self, kind: Kind, message: String) -> Error {
        Error::new(kind, message).about(self.key.as_ref(), self.call_id.as_ref())
    }
}

/// Whether two calls to the same number make the same request.
fn is_same_request(a: &Earlier, b: &Earlier) -> bool {
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

/// Returns why `new` must not be made, judged by earlier calls with other keys.
pub fn refusal(earlier: &[Earlier], new: &Entry, guards: Guards, now: Timestamp) -> Option<Error> {
    let wanted = Earlier::of_entry(new);
    let number = dialed(&new.number);
    let others = earlier.iter().filter(|call| call.key != wanted.key);
    let others = others.filter(|call| dialed(&call.number) == number);
    let open = |call: &Earlier| match call.standing {
        Standing::Open { since, until } if now < until => Some(call.open(since, now)),
        _ => None,
    };
    let open = others.clone().filter(|_| guards.open).find_map(open);
    let mut done = others.filter(|_| guards.done);
    open.or_else(|| done.find_map(|call| call.done(&wanted, now)))
}

/// Returns a call to this number that succeeded within the last six hours.
pub fn recent_success<'e>(
    earlier: &'e [Earlier],
    number: &str,
    now: Timestamp,
) -> Option<&'e Earlier> {
    earlier.iter().find(|call| match call.standing {
        Standing::Success { at, .. } => {
            now.duration_since(at) < GUARDED && dialed(&call.number) == dialed(number)
        }
        _ => false,
    })
}

impl Contents {
    /// Returns an error if a file is damaged, since it may record a call to the same number.
    pub fn undamaged(self) -> Result<Self> {
        let Some(path) = self.damaged.first().map(|path| path.display()) else {
            return Ok(self);
        };
        let message = format!("{path} in the local call log cannot be read");
        let hint = format!("repair or remove {path}: removing it forgets that call");
        Err(Error::new(Kind::JournalUnavailable, message).with_hint(hint))
    }

    pub fn earlier(&self) -> Vec<Earlier> {
        self.calls.iter().map(Earlier::of_entry).collect()
    }

    pub fn refusal(&self, new: &Entry, guards: Guards, now: Timestamp) -> Option<Error> {
        refusal(&self.earlier(), new, guards, now)
    }

    pub fn of_key(&self, key: &Key) -> Option<&Entry> {
        let mut calls = self.calls.iter().chain(&self.others);
        calls.find(|entry| entry.key == *key)
    }

    /// Returns an error if the key was already used: `InProgress` for this request, so that call can
    /// be followed, or `InvalidInput` for another one.
    pub fn key_in_use(&self, new: &Entry) -> Option<Error> {
        let known = self.of_key(&new.key)?;
        let is_same = known.origin == new.origin
            && dialed(&known.number) == dialed(&new.number)
            && is_same_request(&Earlier::of_entry(known), &Earlier::of_entry(new));
        if is_same {
            let message = format!("key {} was already used for this request", known.key);
            return Some(Error::new(Kind::InProgress, message).of_key(&known.key));
        }
        let message = "that idempotency key belongs to a different call";
        Some(Error::new(Kind::InvalidInput, message).with_hint("give each call a key of its own"))
    }
}

/// Returns the time since then in words, such as "3 minutes".
fn age(since: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(since).as_mins().max(0);
    let (count, unit) = match minutes {
        0 => return "less than a minute".into(),
        1..60 => (minutes, "minute"),
        60..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
