//! Lists and resumes calls whose result was not shown.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Connection;
use super::place::{Ended, continues};
use super::{Follow, Outcome, PendingCall, Service};
use crate::call::{
    self, Contents, Entry, Journal, Limits, Live, Report, Shared, Start, State, Stop,
};
use crate::domain::{CallId, CallRef};
use crate::error::{Error, Kind, Result};

/// How often a call's file is read while its worker runs.
const FILE_POLL: Duration = Duration::from_millis(500);
/// The time limit for asking the service about a call whose result is already recorded.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
enum Chosen {
    Entry(Entry),
    /// A call that is not in the journal.
    Id(CallId),
}

impl Service<'_> {
    /// Waits for a call: a key, a call ID, a unique prefix of either, or `last`; without one, the
    /// newest pending call. Never sends a request for a call.
    pub async fn resume(&self, which: Option<&str>, follow: Follow<'_>) -> Result<Outcome> {
        let journal = self.journal()?;
        let contents = self.contents(&journal)?;
        let outcome = match choose(contents, which)? {
            Chosen::Entry(entry) => self.resume_entry(entry, &journal, follow).await,
            Chosen::Id(id) => {
                let deadline = follow.until.deadline();
                let start = Start::Watch(id);
                self.ask(None, start, &journal, deadline, follow).await
            }
        };
        outcome.map_err(|mut error| {
            if error.kind == Kind::OutcomeUnknown {
                error.kind = Kind::StillUnknown;
            }
            error
        })
    }

    /// Newest first. Sends nothing.
    pub fn pending(&self) -> Result<Vec<PendingCall>> {
        let mut calls = self.contents(&self.journal()?)?.calls;
        calls.retain(|call| !call.shown);
        Ok(calls)
    }

    /// Reads the journal. Damaged files are skipped with a warning.
    fn contents(&self, journal: &Journal) -> Result<Contents> {
        let contents = journal.read()?;
        for path in &contents.damaged {
            let text = format!(
                "{} in the local call log cannot be read and is skipped",
                path.display()
            );
            self.notices.warn("journal_damaged", &text);
        }
        Ok(contents)
    }

    /// Follows a call in the journal until it ends.
    pub(super) async fn resume_entry(
        &self,
        mut entry: Entry,
        journal: &Journal,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let mut deadline = follow.until.deadline();
        let key = entry.key.clone();
        while is_sent(&entry) && entry.has_worker() {
            tokio::select! {
                biased;
                signal = follow.signals.next() => {
                    return Err(continues(Stop::Signal(signal), Some(&key), None));
                }
                () = sleep_until(deadline) => return Ok(in_progress(entry)),
                () = sleep(FILE_POLL) => {}
            }
            entry = journal.find(&key)?.ok_or_else(|| {
                nothing("that call was not made; another command already reported why")
            })?;
        }
        if let Some(error) = entry.not_made() {
            return Err(error);
        }
        let (recorded, has_worker) = (entry.ended(), entry.has_worker());
        if recorded.is_some() {
            deadline = deadline.min(Instant::now() + LOOK_TIMEOUT);
        }
        let start = Start::again(&entry);
        let outcome = self.ask(Some(entry), start, journal, deadline, follow);
        match (outcome.await, recorded) {
            (Err(error), _) if matches!(error.kind, Kind::Interrupted(_)) => Err(error),
            // The service is unreachable, but the worker has recorded the result.
            (Err(_) | Ok(Outcome::InProgress { .. }), Some(call)) => {
                let key = Some(key);
                Ok(Outcome::Ended(Ended { call, key }))
            }
            (Err(error), None) if error.kind == Kind::OutcomeUnknown && has_worker => {
                match journal.find(&key) {
                    Ok(Some(entry)) if entry.has_worker() => Ok(in_progress(entry)),
                    _ => Err(error),
                }
            }
            (outcome, _) => outcome,
        }
    }

    /// Asks the service until the call has ended or the time is up.
    async fn ask(
        &self,
        entry: Option<Entry>,
        start: Start,
        journal: &Journal,
        deadline: Instant,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let limits = match &entry {
            // The service may know more than was recorded, but do not wait for it.
            Some(entry) if entry.ended().is_some() => Limits::ONE_LOOKUP,
            _ => Limits {
                search: left.min(Limits::default().search),
                watch: left,
            },
        };
        let known_id = match &start {
            Start::Watch(id) => Some(id.clone()),
            Start::Find | Start::Send => None,
        };
        let key = entry.as_ref().map(|entry| entry.key.clone());
        let progress = RefCell::new(follow.progress);
        let on_report = |report: Report| self.relay(report, &mut **progress.borrow_mut());
        let mut live = Live::new(&session, journal, entry.map(Shared::new), None, &on_report);
        live.until = Some(deadline);
        let outcome = tokio::select! {
            biased;
            outcome = call::run(&mut live, start, limits) => outcome,
            signal = follow.signals.next() => {
                return Err(continues(Stop::Signal(signal), key.as_ref(), known_id.as_ref()));
            }
        };
        match outcome {
            Ok(call) => Ok(Outcome::Ended(Ended { call, key })),
            Err(mut error) if error.kind == Kind::InProgress => {
                let call_id = error.facts.call_id.take();
                Ok(Outcome::InProgress { key, call_id })
            }
            Err(mut error) => {
                error.facts.key = key;
                Err(error)
            }
        }
    }
}

/// Whether the request was sent and a worker is still waiting for the response.
fn is_sent(entry: &Entry) -> bool {
    entry.call_id.is_none() && entry.is_open() && entry.state != State::Lost
}

fn in_progress(entry: Entry) -> Outcome {
    Outcome::InProgress {
        key: Some(entry.key),
        call_id: entry.call_id,
    }
}

fn nothing(message: impl Into<String>) -> Error {
    Error::new(Kind::NothingToResume, message)
}

fn choose(contents: Contents, which: Option<&str>) -> Result<Chosen> {
    let mut calls = contents.calls.into_iter();
    let Some(which) = which else {
        let why = match calls.len() {
            0 => "nothing to resume",
            _ => "nothing to resume: every result has been shown",
        };
        let newest = calls.find(|call| !call.shown).map(Chosen::Entry);
        return newest.ok_or_else(|| nothing(why));
    };
    let reference = which.parse();
    if let Ok(CallRef::Last(back)) = reference {
        let chosen = calls.nth(back.into()).map(Chosen::Entry);
        return chosen.ok_or_else(|| nothing(format!("{which} is too far back")));
    }
    let folded = which.to_ascii_lowercase();
    let is_named = |call: &Entry| call.key.folded() == folded || call.has_id(which);
    let begins = |call: &Entry| {
        let id = call
            .call_id
            .as_ref()
            .map(|id| id.as_str().to_ascii_lowercase());
        call.key.folded().starts_with(&folded) || id.is_some_and(|id| id.starts_with(&folded))
    };
    let mut matching: Vec<Entry> = calls.filter(begins).collect();
    if let Some(exact) = matching.iter().position(is_named) {
        return Ok(Chosen::Entry(matching.swap_remove(exact)));
    }
    matching.retain(|_| folded.len() >= 4);
    match (matching.len(), reference) {
        (1, _) => Ok(Chosen::Entry(matching.remove(0))),
        (0, Ok(CallRef::Id(id))) => Ok(Chosen::Id(id)),
        (0, Err(invalid)) => Err(invalid.into()),
        (0, Ok(_)) => {
            let message = format!("no call with the key or ID '{which}' in the local call log");
            Err(nothing(message))
        }
        (count, _) => {
            let mut error = nothing(format!("{count} calls begin with '{which}'"));
            let ids = matching.into_iter().filter_map(|call| call.call_id);
            error.facts.candidates = ids.collect();
            Err(error.with_hint("use more of the key or ID"))
        }
    }
}
