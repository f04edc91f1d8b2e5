//! Decides whether earlier calls forbid a new one, with pure functions of the calls and the time.

use jiff::{SignedDuration, Timestamp};

use super::entry::{Entry, State};
use super::journal::Contents;
use crate::api::{Call, Fields};
use crate::domain::{CallId, Key, comparable};
use crate::error::{Error, Kind, Result};

/// How long an open call, or a success of the same request, blocks a new call to its number.
const GUARDED: SignedDuration = SignedDuration::from_hours(6);
/// How long a success that the user has not seen, or a call that the service reports as running,
/// blocks a new call.
const LONG_GUARDED: SignedDuration = SignedDuration::from_hours(24);

/// An earlier call, from the journal or from the history.
#[derive(Debug, Clone)]
pub struct Earlier {
    pub fields: Fields,
    pub standing: Standing,
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
}

/// Whether an earlier call may be in progress, has succeeded, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// May be in progress, and blocks a new call until `until`.
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
            fields: entry.request.clone(),
            standing,
            key: Some(entry.key.clone()),
            call_id: entry.call_id.clone(),
        }
    }

    /// Converts a call that is only in the history. Returns `None` if it has no phone number.
    pub fn of_listed(call: &Call, now: Timestamp) -> Option<Self> {
        let created = call.created_at();
        let since = created.unwrap_or(now);
        let standing = match call.status() {
            Some(status) if status.is_running() == Some(true) => {
                let is_scheduled = status.as_str() == "scheduled";
                let appointment = call.appointment().filter(|_| is_scheduled);
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
        call.number()?;
        Some(Self {
            fields: call.fields.clone(),
            standing,
            key: None,
            call_id: call.call_id.parse().ok(),
        })
    }

    /// Returns an error that says that this call may still be in progress.
    pub fn open(&self, since: Timestamp, now: Timestamp) -> Error {
        let age = age(since, now);
        self.error(Kind::CallOpen, &format!("has been in progress for {age}"))
    }

    /// Returns an error if this call's success makes `wanted` unnecessary.
    fn done(&self, wanted: &Self, now: Timestamp) -> Option<Error> {
        let Standing::Success { at, shown } = self.standing else {
            return None;
        };
        let elapsed = now.duration_since(at);
        let is_unseen = !shown && elapsed < LONG_GUARDED;
        let is_repeated = elapsed < GUARDED && is_same_request(&self.fields, &wanted.fields);
        if !is_unseen && !is_repeated {
            return None;
        }
        let age = age(at, now);
        Some(self.error(Kind::AlreadyDone, &format!("succeeded {age} ago")))
    }

    fn error(&self, kind: Kind, state: &str) -> Error {
        Error::new(kind, self.sentence(state)).about(self.key.as_ref(), self.call_id.as_ref())
    }

    /// Returns a sentence with the call's number, the given state and the call's task.
    pub fn sentence(&self, state: &str) -> String {
        let [number, task] =
            [self.fields.number(), self.fields.task()].map(Option::unwrap_or_default);
        format!("a call to {number} {state} (\"{task}\")")
    }
}

/// Returns whether two calls to the same number make the same request.
fn is_same_request(a: &Fields, b: &Fields) -> bool {
    const NAME: &str = "/submission/user_name";
    const DATE: &str = "/submission/appointment_date";
    const TIME: &str = "/submission/appointment_time";
    let names = a.text(NAME).zip(b.text(NAME));
    let sizes = a.party_size().zip(b.party_size());
    if names.is_some_and(|(a, b)| comparable(a) != comparable(b))
        || sizes.is_some_and(|(a, b)| a != b)
    {
        return false;
    }
    if [DATE, TIME].map(|it| a.text(it).or(b.text(it))) == [None, None] {
        return a.task().map(comparable) == b.task().map(comparable);
    }
    a.text(DATE) == b.text(DATE) && a.text(TIME) == b.text(TIME)
}

/// Returns an error if `new` must not be made because an earlier call to its number may be in
/// progress, or has succeeded and makes `new` unnecessary. Ignores calls with the same key.
pub fn refusal(earlier: &[Earlier], new: &Entry, now: Timestamp) -> Option<Error> {
    let wanted = Earlier::of_entry(new);
    let number = new.request.dialed();
    let others = earlier.iter().filter(|call| call.key != wanted.key);
    let mut others = others.filter(|call| call.fields.dialed() == number);
    let open = |call: &Earlier| match call.standing {
        Standing::Open { since, until } if now < until => Some(call.open(since, now)),
        _ => None,
    };
    let open = others.clone().find_map(open);
    open.or_else(|| others.find_map(|call| call.done(&wanted, now)))
}

/// Returns a call to the same number that succeeded within the last six hours.
pub fn recent_success<'e>(
    earlier: &'e [Earlier],
    new: &Entry,
    now: Timestamp,
) -> Option<&'e Earlier> {
    let number = new.request.dialed();
    earlier.iter().find(|call| match call.standing {
        Standing::Success { at, .. } => {
            now.duration_since(at) < GUARDED && call.fields.dialed() == number
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
        let hint = format!("repair or remove {path} (if you remove it, that call is forgotten)");
        Err(Error::new(Kind::JournalUnavailable, message).with_hint(hint))
    }

    pub fn earlier(&self) -> Vec<Earlier> {
        self.calls.iter().map(Earlier::of_entry).collect()
    }

    pub fn of_key(&self, key: &Key) -> Option<&Entry> {
        let mut calls = self.calls.iter().chain(&self.others);
        calls.find(|entry| entry.key == *key)
    }

    /// Returns an error if the key was already used, for this request or for a different one.
    pub fn key_in_use(&self, new: &Entry) -> Option<Error> {
        let known = self.of_key(&new.key)?;
        let is_same = known.origin == new.origin
            && known.request.dialed() == new.request.dialed()
            && is_same_request(&known.request, &new.request);
        if is_same {
            let message = format!("key {} was already used for this request", known.key);
            return Some(Error::new(Kind::KeyInUse, message).of_key(&known.key));
        }
        let message = "that key was already used for a different call";
        Some(Error::new(Kind::InvalidInput, message).with_hint("use a different key for each call"))
    }
}

/// Returns the time from `since` to `now` in words, such as "3 minutes".
fn age(since: Timestamp, now: Timestamp) -> String {
    let (count, unit) = match now.duration_since(since).as_mins() {
        ..1 => return "less than a minute".into(),
        minutes @ 1..60 => (minutes, "minute"),
        minutes @ 60..2880 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
