//! Making a call and following it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use super::prepare::NextStep;
use super::{Plan, Service, helpers};
use crate::api::{Call, Parsed};
use crate::auth::Session;
use crate::call::{
    self, Contents, Earlier, Entry, Followed, InPlace, Journal, Limits, Live, Progress, Refusal,
    Report, Shared, Start, State, Stop, Until, Worker,
};
use crate::domain::{CallId, Key, dialed};
use crate::error::{Error, Kind, Result};
use crate::signals::Signals;

/// How long after a worker's end the signal may come that ended it.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);

/// How a call is followed. Only the following ends with it: the call continues.
pub struct Follow<'f> {
    pub until: Until,
    pub signals: &'f mut Signals,
    pub progress: &'f mut dyn FnMut(Progress),
}

/// A call that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub call: Parsed<Call>,
    /// `None` for a call that the local call log does not know.
    pub key: Option<Key>,
}

#[derive(Debug)]
pub enum Outcome {
    Ended(Ended),
    /// Following has ended before the call.
    InProgress {
        key: Option<Key>,
        call_id: Option<CallId>,
    },
}

impl Service<'_> {
    pub async fn place(&self, plan: Plan, follow: Follow<'_>) -> Result<Outcome> {
        let job = match plan.next {
            NextStep::Call(job) => *job,
            NextStep::Replay(key) => return self.replay(&key, follow).await,
        };
        let key = job.entry.key.clone();
        let in_place: InPlace = |job, viewer| Box::pin(helpers::make_call(job, viewer));
        let in_place = (!matches!(follow.until, Until::Sent(_))).then_some(in_place);
        let worker = Worker::start(job, in_place)?;
        let mut lost = None;
        let mut on_report = |report| {
            match &report {
                Report::Progress(Progress::Lost(why)) => lost = Some(why.clone()),
                Report::Progress(Progress::Running(_)) => lost = None,
                _ => {}
            }
            self.relay(report, follow.progress);
        };
        match worker
            .follow(follow.until, follow.signals, &mut on_report)
            .await
        {
            Followed::Ended(call) => {
                let key = Some(key);
                Ok(Outcome::Ended(Ended { call, key }))
            }
            // Another process has reserved the same key in the meantime.
            Followed::Failed(error, _) if error.is_in_progress_under(&key) => {
                self.replay(&key, follow).await
            }
            Followed::Failed(error, Some(stop)) if error.kind == Kind::Cancelled => {
                Err(not_made(stop))
            }
            Followed::Failed(error, _) => Err(error),
            // The cause is all that is known.
            Followed::Stopped(Stop::Time, true, None)
                if lost.is_some() && matches!(follow.until, Until::At(_)) =>
            {
                let why = lost.unwrap_or_default();
                let message =
                    format!("the response was lost, and the call may have been made: {why}");
                Err(Error::new(Kind::OutcomeUnknown, message).of_key(&key))
            }
            Followed::Stopped(Stop::Time, true, call_id) => {
                let key = Some(key);
                Ok(Outcome::InProgress { key, call_id })
            }
            Followed::Stopped(stop, _, call_id) => Err(continues(stop, &key, call_id.as_ref())),
            Followed::Vanished(stop) => self.after_vanished(stop, &key, follow).await,
        }
    }

    /// The worker ended without a result. Without a file no call was made.
    async fn after_vanished(
        &self,
        stop: Option<Stop>,
        key: &Key,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let journal = self.journal()?;
        let found = journal.find(key).map_err(|e| journal.unavailable(&e))?;
        match (found, stop) {
            (None, Some(stop)) => Err(not_made(stop)),
            // A signal to the process group may have ended the worker before it had a session.
            (None, None) => match timeout(SIGNAL_GRACE, follow.signals.next()).await {
                Ok(signal) => Err(not_made(Stop::Signal(signal))),
                Err(_) => {
                    let message = "no call was made: the background process ended unexpectedly";
                    Err(Error::new(Kind::Io, message).with_hint("try again"))
                }
            },
            (Some(entry), Some(stop)) => Err(continues(stop, key, entry.call_id.as_ref())),
            (Some(mut entry), None) => {
                entry.touched = None;
                self.resume_entry(entry, &journal, follow).await
            }
        }
    }

    async fn replay(&self, key: &Key, follow: Follow<'_>) -> Result<Outcome> {
        let journal = self.journal()?;
        let found = journal.find(key).map_err(|e| journal.unavailable(&e))?;
        let entry = found.ok_or_else(|| {
            let message = format!("the call of key {key} was removed from the local call log");
            Error::new(Kind::NothingToResume, message)
        })?;
        (follow.progress)(Progress::Replayed);
        self.resume_entry(entry, &journal, follow).await
    }

    pub(super) fn relay(&self, report: Report, progress: &mut dyn FnMut(Progress)) {
        match report {
            Report::Progress(news) => progress(news),
            Report::Warning(text) => self.notices.warn("background", &text),
            Report::Trace(line) => self.trace.iter().for_each(|trace| trace(&line)),
            Report::Ended(_) | Report::Failed(_) => {}
        }
    }

    /// Notes that the user has seen the result of a call, which leaves `pending`. A running call has
    /// none.
    pub async fn mark_shown(&self, key: Option<&Key>, call: &Parsed<Call>) {
        let (Ok(journal), false) = (self.journal(), call.value.is_running()) else {
            return;
        };
        let id = call.value.call_id.parse::<CallId>().ok();
        let entry = match key {
            Some(key) => journal.find(key).ok().flatten(),
            None => journal.read().ok().and_then(|contents| {
                let of_id = |entry: &Entry| entry.call_id == id && id.is_some();
                contents.calls.into_iter().find(of_id)
            }),
        };
        let Some(entry) = entry.filter(|entry| !(entry.shown && entry.state == State::Ended))
        else {
            return;
        };
        let change = |entry: &mut Entry| {
            // The response to the request has named another call in the meantime.
            if entry.call_id.is_some() && entry.call_id != id {
                return;
            }
            if entry.is_open() {
                entry.set_ended(call, Timestamp::now());
            }
            entry.shown = true;
        };
        // If it cannot be noted, the result is shown again: nothing is lost.
        let _ = journal.change(&entry, change).await;
    }

    /// Forgets a call that was never made, once the user has seen why.
    pub async fn mark_error_shown(&self, error: &Error) {
        let (Some(key), Ok(journal)) = (&error.facts.key, self.journal()) else {
            return;
        };
        if let Some(entry) = journal.find(key).ok().flatten()
            && let Some(why) = entry.not_made()
            && why.to_string() == error.to_string()
        {
            let _ = journal.remove(&entry).await;
        }
    }
}

/// The call continues, or may be made.
fn continues(stop: Stop, key: &Key, call_id: Option<&CallId>) -> Error {
    let error = match stop {
        Stop::Signal(signal) => {
            let message = "stopped waiting, and the call continues or may be made";
            Error::new(Kind::Interrupted(signal), message)
                .with_hint("get the result with the command below")
        }
        Stop::Time => Error::new(
            Kind::InProgress,
            "the time is up, and the call continues or may be made",
        ),
    };
    error.about(Some(key), call_id)
}

fn not_made(stop: Stop) -> Error {
    match stop {
        Stop::Signal(signal) => {
            Error::new(Kind::Interrupted(signal), "interrupted: no call was made")
        }
        Stop::Time => Error::new(Kind::Unreachable, "the time is up: no call was made")
            .with_hint("try again with a longer --timeout"),
    }
}

/// Asks the service about open calls of the journal to the number of `new`: one whose end the history
/// shows, and one between 6 and 24 hours old. Records the ends. Returns one that is running.
pub(super) async fn look_up(
    journal: &Journal,
    session: &Session<'_>,
    contents: &Contents,
    new: &Entry,
    listed: &[Call],
    deadline: Instant,
) -> Result<Option<Refusal>> {
    let number = dialed(&new.number);
    let now = Timestamp::now();
    let open = contents
        .calls
        .iter()
        .filter(|entry| entry.is_open() && dialed(&entry.number) == number);
    for entry in open {
        let age = now.duration_since(entry.sent_at);
        let listed = listed.iter().find(|call| {
            entry
                .call_id
                .as_ref()
                .is_some_and(|id| id.as_str() == call.call_id)
        });
        let is_old = age >= SignedDuration::from_hours(6) && age < SignedDuration::from_hours(24);
        let has_ended = listed.is_some_and(|call| !call.is_running());
        if !has_ended && !is_old {
            continue;
        }
        let is_running = look_up_one(journal, session, entry, deadline).await;
        if is_running && is_old {
            return Ok(Some(Refusal::Open(Box::new(Earlier::of_entry(entry)))));
        }
    }
    Ok(None)
}

/// One look at a call of the journal, as `resume` takes it. Returns whether it is running.
async fn look_up_one(
    journal: &Journal,
    session: &Session<'_>,
    entry: &Entry,
    deadline: Instant,
) -> bool {
    let shared = Shared::new(entry.clone());
    let ignore = |_| {};
    let mut live = Live::new(session, journal, Some(shared), None, &ignore);
    let start = entry.call_id.clone().map_or(Start::Find, Start::Watch);
    let limits = Limits {
        search: Duration::ZERO,
        watch: Duration::ZERO,
    };
    let looked = tokio::time::timeout_at(deadline, call::run(&mut live, start, limits)).await;
    matches!(looked, Ok(Err(error)) if error.kind == Kind::InProgress)
}
