//! Makes a call and follows its progress.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::prepare::NextStep;
use super::{Plan, Service, helpers};
use crate::api::{Call, Parsed};
use crate::call::{self, Contents, Entry, Followed, Progress, Report, State, Stop, Until};
use crate::domain::{CallId, Key};
use crate::error::{Error, Kind, Result};
use crate::helper::InPlace;
use crate::signals::Signals;

/// After the worker ends, how long to wait for a signal that may have ended it.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);

/// How to follow a call. If the command stops following it, the call continues.
pub struct Follow<'f> {
    pub until: Until,
    pub signals: &'f mut Signals,
    pub progress: &'f mut dyn FnMut(Progress),
}

#[derive(Debug, Clone)]
pub struct Ended {
    pub call: Parsed<Call>,
    /// The call's key, or `None` if the call is not in the local call log.
    pub key: Option<Key>,
}

#[derive(Debug)]
pub enum Outcome {
    Ended(Ended),
    /// We stopped following the call before it ended.
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
        let here = job.clone();
        let run_here = |parent| drop(spawn_local(helpers::make_call(here, parent)));
        let in_place = (!follow.until.is_detached).then(|| Box::new(run_here) as InPlace);
        let worker = call::start(&job, in_place)?;
        let mut on_report = |report| self.relay(report, follow.progress);
        let following = call::follow(worker, follow.until, follow.signals, &mut on_report);
        match following.await {
            Followed::Ended(call) => {
                let key = Some(key);
                Ok(Outcome::Ended(Ended { call, key }))
            }
            // Another process has just recorded a call with the same key.
            Followed::Failed(error, _) if matches!(error.kind, Kind::KeyUsed { .. }) => {
                self.replay(&key, follow).await
            }
            Followed::Failed(error, stop) => Err(match stop {
                Some(stop) if error.kind == Kind::Cancelled => not_made(stop),
                _ => error,
            }),
            Followed::Left { stop, is_sent } => {
                self.after_leaving(stop, is_sent, key, follow.until.is_detached)
            }
            Followed::Vanished(stop) => self.after_vanished(stop, &key, follow).await,
        }
    }

    /// Returns the outcome for a command that stopped following its call, which may continue.
    fn after_leaving(
        &self,
        stop: Stop,
        is_sent: bool,
        key: Key,
        is_detached: bool,
    ) -> Result<Outcome> {
        let entry = self.journal()?.find(&key).ok().flatten();
        let call_id = entry.as_ref().and_then(|entry| entry.call_id.clone());
        let lost = entry.filter(|entry| entry.state == State::Lost && !is_detached);
        match (stop, lost.and_then(|entry| entry.error)) {
            _ if !is_sent => Err(left(stop, "may still be made", Some(&key), None)),
            (Stop::Signal(_), _) => Err(left(stop, "continues", Some(&key), call_id.as_ref())),
            (Stop::Time, Some(why)) => {
                let message =
                    format!("the response was lost ({why}), and the call may have been made");
                let mut error = Error::new(Kind::OutcomeUnknown, message).about(Some(&key), None);
                error.facts.http_status = why.facts.http_status;
                Err(error)
            }
            (Stop::Time, None) => {
                let key = Some(key);
                Ok(Outcome::InProgress { key, call_id })
            }
        }
    }

    /// Handles a worker that exited without a result. If it recorded no call, it made no call.
    async fn after_vanished(
        &self,
        stop: Option<Stop>,
        key: &Key,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let journal = self.journal()?;
        match (journal.find(key)?, stop) {
            (None, Some(stop)) => Err(not_made(stop)),
            // Wait briefly in case a signal to the whole process group has ended the worker.
            (None, None) => match timeout(SIGNAL_GRACE, follow.signals.next()).await {
                Ok(signal) => Err(not_made(Stop::Signal(signal))),
                Err(_) => {
                    let message = "no call was made: the background process ended unexpectedly";
                    Err(Error::new(Kind::Io, message).with_hint("try again"))
                }
            },
            (Some(entry), Some(stop)) => {
                Err(left(stop, "continues", Some(key), entry.call_id.as_ref()))
            }
            (Some(mut entry), None) => {
                entry.touched = None;
                self.resume_entry(entry, &journal, follow).await
            }
        }
    }

    async fn replay(&self, key: &Key, follow: Follow<'_>) -> Result<Outcome> {
        let journal = self.journal()?;
        let entry = journal.find(key)?.ok_or_else(|| {
            let message = format!("the call with key {key} was removed from the local call log");
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
            Report::Done(_) | Report::Failed(_) => {}
        }
    }

    /// Records that the user has seen the result, so `kallyai pending` no longer lists the call.
    /// Does nothing for a call in progress.
    pub async fn mark_shown(&self, key: Option<&Key>, call: &Parsed<Call>) {
        let (Ok(journal), false) = (self.journal(), call.value.is_running()) else {
            return;
        };
        let id = &call.value.call_id;
        let of_id = |contents: Contents| contents.calls.into_iter().find(|entry| entry.has_id(id));
        let entry = match key {
            Some(key) => journal.find(key).ok().flatten(),
            None => journal.read().ok().and_then(of_id),
        };
        let is_news = |entry: &Entry| !entry.shown || entry.state != State::Ended;
        let Some(entry) = entry.filter(is_news) else {
            return;
        };
        let change = |entry: &mut Entry| {
            // Skip the entry if its call ID has been replaced in the meantime.
            if entry.call_id.is_none() || entry.has_id(id) {
                if entry.is_open() {
                    entry.set_call(call, Timestamp::now());
                }
                entry.shown = true;
            }
        };
        // Ignore errors: at worst, the result is shown again.
        let _ = journal.change(&entry, change).await;
    }

    /// To be called after showing `error`. Removes its call from the local call log if the call was
    /// never made.
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

/// Returns an error for a command that stopped waiting. `state` completes "but the call …".
pub(super) fn left(stop: Stop, state: &str, key: Option<&Key>, call_id: Option<&CallId>) -> Error {
    let (kind, why) = match stop {
        Stop::Signal(signal) => (Kind::Interrupted(signal), "stopped waiting"),
        Stop::Time => (Kind::InProgress, "timed out"),
    };
    let message = format!("{why}, but the call {state}");
    Error::new(kind, message)
        .with_hint("get the result with the command below")
        .about(key, call_id)
}

fn not_made(stop: Stop) -> Error {
    match stop {
        Stop::Signal(signal) => {
            Error::new(Kind::Interrupted(signal), "interrupted: no call was made")
        }
        Stop::Time => Error::new(Kind::Unreachable, "timed out: no call was made")
            .with_hint("try again with a longer --timeout"),
    }
}
