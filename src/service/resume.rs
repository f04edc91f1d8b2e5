//! Lists and resumes calls whose results the user has not seen.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Connection;
use super::place::{Ended, left};
use super::{Follow, Outcome, PendingCall, Service};
use crate::call::{self, Contents, Entry, Journal, Live, Report, State, Step, Stop};
use crate::domain::{CallId, CallRef};
use crate::error::{Error, Kind, Result};

/// How often a call's file is read while its worker runs.
const FILE_POLL: Duration = Duration::from_millis(500);
/// The time limit for asking the service about a call whose result is already recorded.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Extra time for a last lookup that starts at the deadline.
const LAST_LOOKUP: Duration = Duration::from_secs(1);

enum Chosen {
    Entry(Entry),
    /// The ID of a call that is not in the journal.
    Id(CallId),
}

impl Service<'_> {
    /// Waits for a call to end. `which` is a key, a call ID, a unique prefix of either, or `last`.
    /// `None` means the newest pending call. Never makes a call.
    pub async fn resume(&self, which: Option<&str>, follow: Follow<'_>) -> Result<Outcome> {
        let journal = self.journal()?;
        let contents = self.contents(&journal)?;
        let outcome = match choose(contents, which)? {
            Chosen::Entry(entry) => self.resume_entry(entry, &journal, follow).await,
            Chosen::Id(id) => {
                let deadline = follow.until.after_sending();
                let step = Step::Watch(id);
                self.ask(None, step, &journal, deadline, follow).await
            }
        };
        outcome.map_err(|mut error| {
            if error.kind == Kind::OutcomeUnknown {
                error.kind = Kind::StillUnknown;
            }
            error
        })
    }

    /// Returns the calls whose results the user has not seen, newest first. Works offline.
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
                "{} in the local call log cannot be read and was skipped",
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
        let mut deadline = follow.until.after_sending();
        let key = entry.key.clone();
        while awaits_response(&entry) && entry.has_worker() {
            tokio::select! {
                biased;
                signal = follow.signals.next() => {
                    return Err(left(Stop::Signal(signal), "continues", Some(&key), None));
                }
                () = sleep_until(deadline) => return Ok(in_progress(entry)),
                () = sleep(FILE_POLL) => {}
            }
            entry = journal.find(&key)?.ok_or_else(|| {
                nothing("the call was not made, and another command has already reported why")
            })?;
        }
        if let Some(error) = entry.not_made() {
            return Err(error);
        }
        let (recorded, has_worker) = (entry.ended(), entry.has_worker());
        if recorded.is_some() {
            deadline = deadline.min(Instant::now() + LOOKUP_TIMEOUT);
        }
        let step = Step::after_sending(&entry);
        let outcome = self.ask(Some(entry), step, journal, deadline, follow);
        match (outcome.await, recorded) {
            (Err(error), _) if matches!(error.kind, Kind::Interrupted(_)) => Err(error),
            // The service did not return the result, but the worker has recorded it.
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

    /// Asks the service about a call until it has ended or the time is up.
    async fn ask(
        &self,
        entry: Option<Entry>,
        step: Step,
        journal: &Journal,
        deadline: Instant,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        let limit = match &entry {
            // If the result is already recorded, check only once whether it has changed.
            Some(entry) if entry.ended().is_some() => Duration::ZERO,
            _ => deadline.saturating_duration_since(Instant::now()),
        };
        let known_id = match &step {
            Step::Watch(id) => Some(id.clone()),
            _ => None,
        };
        let key = entry.as_ref().map(|entry| entry.key.clone());
        let progress = RefCell::new(follow.progress);
        let on_report = |report: Report| self.relay(report, &mut **progress.borrow_mut());
        let mut live = Live::new(&session, journal, entry, &on_report);
        // The last lookup starts at the deadline, so allow extra time for it.
        live.until = Some(deadline + LAST_LOOKUP);
        let outcome = tokio::select! {
            biased;
            outcome = call::run(&mut live, step, limit) => outcome,
            signal = follow.signals.next() => {
                let (stop, key) = (Stop::Signal(signal), key.as_ref());
                return Err(left(stop, "may continue", key, known_id.as_ref()));
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

/// Returns whether the response to the request may still arrive.
fn awaits_response(entry: &Entry) -> bool {
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
        return chosen.ok_or_else(|| nothing(format!("{which} predates the first recorded call")));
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
            let message = format!("the local call log has no call with the key or ID '{which}'");
            Err(nothing(message))
        }
        (count, _) => {
            let mut error = nothing(format!("{count} calls match '{which}'"));
            let ids = matching.into_iter().filter_map(|call| call.call_id);
            error.facts.candidates = ids.collect();
            Err(error.with_hint("use more characters of the key or ID"))
        }
    }
}
