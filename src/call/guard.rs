//! Pure functions that decide whether earlier calls forbid a new one.

use jiff::{SignedDuration, Timestamp};

use super::entry::{Entry, State};
use super::journal::Contents;
use crate::api::{Call, Fields};
use crate::domain::{CallId, CallStatus, Key, comparable};
use crate::error::{Error, Kind, Result};
use crate::settings::SANDBOX;

/// How long a new call to a number is blocked by a call that may be in progress or by a successful
/// call with the same request.
const BLOCK: SignedDuration = SignedDuration::from_hours(6);
/// How long a new call to a number is blocked by a call that the service reports as running or by a
/// successful call whose result the user has not seen.
const LONG_BLOCK: SignedDuration = SignedDuration::from_hours(24);

/// An earlier call, from the local call log or from the service's history.
#[derive(Debug, Clone)]
pub struct Earlier {
    pub fields: Fields,
    pub standing: Standing,
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
}

/// The status of an earlier call: possibly in progress, successful, or ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The call may be in progress. It blocks new calls to its number until the time in `until`.
    Open {
        since: Timestamp,
        until: Timestamp,
    },
    Success {
        at: Timestamp,
        shown: bool,
    },
    /// The call ended without success or was not made.
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
                until: entry.sent_at + BLOCK,
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

    /// Converts a call that only the history lists. Returns `None` if it has no phone number.
    pub fn of_listed(call: &Call, now: Timestamp) -> Option<Self> {
        let created = call.created_at();
        let since = created.unwrap_or(now);
        let standing = if call.is_running() {
            let status = call.status();
            let status = status.filter(|status| status.is_running() == Some(true));
            let is_scheduled = |status: &CallStatus| status.as_str() == "scheduled";
            let appointment = call.appointment();
            let appointment = appointment.filter(|_| status.as_ref().is_some_and(is_scheduled));
            let block = if status.is_some() { LONG_BLOCK } else { BLOCK };
            let until = appointment.unwrap_or(since) + block;
            Standing::Open { since, until }
        } else if call.is_success() {
            let at = call.ended_at().or(created).unwrap_or(Timestamp::MIN);
            Standing::Success { at, shown: true }
        } else {
            Standing::Over
        };
        call.number()?;
        Some(Self {
            fields: call.fields.clone(),
            standing,
            key: None,
            call_id: call.call_id.parse().ok(),
        })
    }

    pub fn open_error(&self, since: Timestamp, now: Timestamp) -> Error {
        let age = age(since, now);
        self.error(Kind::CallOpen, &format!("has been in progress for {age}"))
    }

    /// Returns an error if this call recently succeeded and either its request was the same as
    /// `wanted` or the user has not seen its result.
    fn done_error(&self, wanted: &Fields, now: Timestamp) -> Option<Error> {
        let Standing::Success { at, shown } = self.standing else {
            return None;
        };
        let elapsed = now.duration_since(at);
        let is_unseen = !shown && elapsed < LONG_BLOCK;
        let is_repeated = elapsed < BLOCK && is_same_request(&self.fields, wanted);
        if !is_unseen && !is_repeated {
            return None;
        }
        let age = age(at, now);
        Some(self.error(Kind::AlreadyDone, &format!("succeeded {age} ago")))
    }

    fn error(&self, kind: Kind, state: &str) -> Error {
        Error::new(kind, self.sentence(state)).about(self.key.as_ref(), self.call_id.as_ref())
    }

    /// Returns, for example, `a call to +15551234567 succeeded 2 hours ago ("Book a table")`.
    pub fn sentence(&self, state: &str) -> String {
        let [number, task] =
            [self.fields.number(), self.fields.task()].map(Option::unwrap_or_default);
        format!("a call to {number} {state} (\"{task}\")")
    }
}

/// Returns whether two requests ask for the same appointment or, without one, for the same task.
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

/// Returns an error if an earlier call to the number of `new` may be in progress, or has succeeded
/// so that `new` may not be needed. With `again`, neither is an error. If there is no error,
/// returns the code and text of a warning, if any. Ignores calls with the same key.
pub fn check(
    earlier: &[Earlier],
    new: &Entry,
    again: bool,
    now: Timestamp,
) -> Result<Option<(&'static str, String)>> {
    let number = new.request.dialed();
    let others = earlier
        .iter()
        .filter(|call| call.fields.dialed() == number && call.key.as_ref() != Some(&new.key));
    let open = |call: &Earlier| match call.standing {
        Standing::Open { since, until } if now < until => Some(call.open_error(since, now)),
        _ => None,
    };
    let refusal = others.clone().find_map(open);
    let refusal = refusal.or_else(|| {
        others
            .clone()
            .find_map(|call| call.done_error(&new.request, now))
    });
    match refusal.filter(|_| !again) {
        // The sandbox only warns about repeating a successful call, so that demos can be rerun.
        Some(error) if error.kind == Kind::AlreadyDone && new.origin == SANDBOX => {
            let text = format!("{error}, so this call would be refused outside the sandbox");
            Ok(Some(("already_done", text)))
        }
        Some(error) => Err(error),
        None => {
            let is_recent = |call: &&Earlier| matches!(call.standing, Standing::Success { at, .. } if now.duration_since(at) < BLOCK);
            let recent = others.into_iter().find(is_recent);
            let text = recent.map(|call| call.sentence("succeeded less than 6 hours ago"));
            Ok(text.map(|text| ("recent_success", text)))
        }
    }
}

impl Contents {
    /// Returns an error if a file is damaged, because that file may record a call to the number to
    /// be called.
    pub fn undamaged(self) -> Result<Self> {
        let Some(path) = self.damaged.first().map(|path| path.display()) else {
            return Ok(self);
        };
        let message = format!("{path} in the local call log cannot be read");
        let hint = format!("repair {path}, or remove it to forget the call that it records");
        Err(Error::new(Kind::JournalUnavailable, message).with_hint(hint))
    }

    pub fn earlier(&self) -> Vec<Earlier> {
        self.calls.iter().map(Earlier::of_entry).collect()
    }

    pub fn of_key(&self, key: &Key) -> Option<&Entry> {
        let mut calls = self.calls.iter().chain(&self.others);
        calls.find(|entry| entry.key == *key)
    }

    /// Returns the call IDs that are recorded under keys other than `key`.
    pub fn ids_of_others(&self, key: &Key) -> impl Iterator<Item = &CallId> {
        let others = self.calls.iter().filter(move |entry| entry.key != *key);
        others.filter_map(|entry| entry.call_id.as_ref())
    }

    /// Returns an error if the key of `new` was already used, for the same or a different request.
    pub fn key_in_use(&self, new: &Entry) -> Option<Error> {
        let known = self.of_key(&new.key)?;
        let is_same = known.origin == new.origin
            && known.request.dialed() == new.request.dialed()
            && is_same_request(&known.request, &new.request);
        if is_same {
            let is_open = known.is_open();
            let message = format!("key {} was already used for this request", known.key);
            let error = Error::new(Kind::KeyUsed { is_open }, message);
            return Some(error.about(Some(&known.key), known.call_id.as_ref()));
        }
        let message = format!("key {} was already used for a different call", known.key);
        Some(Error::new(Kind::InvalidInput, message).with_hint("use a different key for each call"))
    }
}

/// Returns the time from `since` to `now` in words, for example "3 minutes".
fn age(since: Timestamp, now: Timestamp) -> String {
    let (count, unit) = match now.duration_since(since).as_mins() {
        ..1 => return "less than a minute".into(),
        minutes @ 1..60 => (minutes, "minute"),
        minutes @ 60..2880 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
