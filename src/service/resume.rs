//! Calls whose result has not been shown.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::connection::Connection;
use super::place::Ended;
use super::{Follow, Outcome, Service};
use crate::call::{
    self, Contents, Entry, Journal, Limits, Live, Report, Shared, Start, State, Until,
};
use crate::domain::{CallId, CallRef, Key};
use crate::error::{Error, Kind, Result};

/// How often the file of a call is read while its worker lives.
const FILE_POLL: Duration = Duration::from_millis(500);
/// How long the service is asked about a call whose result is recorded.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Without `--timeout`, longer than any call.
const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, Clone)]
pub struct PendingCall {
    pub key: Key,
    pub call_id: Option<CallId>,
    pub number: String,
    pub task: String,
    pub sent_at: Timestamp,
    /// `sent`, `lost`, `running`, `ended`, `refused`, `not_accepted` or `unknown`.
    pub state: &'static str,
    /// The status of a call that has ended.
    pub status: Option<String>,
}

enum Chosen {
    Entry(Entry),
    /// A call that only the service knows.
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
            Chosen::Id(id) => match self.call(&CallRef::Id(id.clone())).await {
                // Its end would be waited for in vain.
                Err(error) if error.code() == "call_not_found" => Err(error),
                _ => self.ask(None, Start::Watch(id), &journal, follow).await,
            },
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
        let contents = self.contents(&self.journal()?)?;
        let pending = contents.calls.iter().filter(|entry| !entry.shown);
        Ok(pending.map(pending_call).collect())
    }

    /// The journal's contents for reading: damaged files are skipped with a warning.
    fn contents(&self, journal: &Journal) -> Result<Contents> {
        let contents = journal.read().map_err(|e| journal.unavailable(&e))?;
        for path in &contents.damaged {
            let text = format!(
                "{} in the local call log cannot be read and is skipped",
                path.display()
            );
            self.notices.warn("journal_damaged", &text);
        }
        Ok(contents)
    }

    /// Follows a call of the journal to its end.
    pub(super) async fn resume_entry(
        &self,
        mut entry: Entry,
        journal: &Journal,
        mut follow: Follow<'_>,
    ) -> Result<Outcome> {
        let deadline = follow.until.deadline();
        follow.until = deadline.map_or(Until::End, Until::At);
        while is_sent(&entry) && entry.has_worker() {
            match self.wait_for_file(&entry, journal, &mut follow).await? {
                Some(changed) => entry = changed,
                None => return Ok(in_progress(entry)),
            }
        }
        let has_worker = entry.has_worker();
        if let Some(error) = entry.not_made() {
            return Err(error);
        }
        let (key, recorded) = (entry.key.clone(), entry.ended());
        if recorded.is_some() {
            let soon = Instant::now() + LOOK_TIMEOUT;
            follow.until = Until::At(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let start = entry.call_id.clone().map_or(Start::Find, Start::Watch);
        let outcome = self.ask(Some(entry), start, journal, follow).await;
        match (outcome, recorded) {
            (Err(error), _) if matches!(error.kind, Kind::Interrupted(_)) => Err(error),
            // The service cannot be asked, and the worker has recorded the result.
            (Err(_) | Ok(Outcome::InProgress { .. }), Some(call)) => Ok(Outcome::Ended(Ended {
                call,
                key: Some(key),
            })),
            (Err(error), None) if error.kind == Kind::OutcomeUnknown && has_worker => {
                let filed = journal.find(&key).ok().flatten();
                let alive = filed.filter(Entry::has_worker);
                alive.map_or(Err(error), |entry| Ok(in_progress(entry)))
            }
            (outcome, _) => outcome,
        }
    }

    /// Reads the file again after a poll. `None` if the time is up.
    async fn wait_for_file(
        &self,
        entry: &Entry,
        journal: &Journal,
        follow: &mut Follow<'_>,
    ) -> Result<Option<Entry>> {
        let time_is_up = async {
            match follow.until {
                Until::At(at) => tokio::time::sleep_until(at).await,
                Until::Sent(_) | Until::End => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            signal = follow.signals.next() => return Err(stopped(signal, Some(entry), None)),
            () = time_is_up => return Ok(None),
            () = tokio::time::sleep(FILE_POLL) => {}
        }
        let found = journal
            .find(&entry.key)
            .map_err(|e| journal.unavailable(&e))?;
        found.map(Some).ok_or_else(|| {
            let message = "that call was not made: another command has reported why";
            Error::new(Kind::NothingToResume, message)
        })
    }

    /// Asks the service until the call has ended, or until the time is up.
    async fn ask(
        &self,
        entry: Option<Entry>,
        start: Start,
        journal: &Journal,
        follow: Follow<'_>,
    ) -> Result<Outcome> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        let deadline = follow.until.deadline();
        let left = deadline.map_or(NO_LIMIT, |at| at.saturating_duration_since(Instant::now()));
        // The service may know more than was recorded, but is not waited for.
        let has_ended = entry.as_ref().and_then(Entry::ended).is_some();
        let left = if has_ended { Duration::ZERO } else { left };
        let limits = Limits {
            search: left.min(Limits::default().search),
            watch: left,
        };
        let known_id = match &start {
            Start::Watch(id) => Some(id.clone()),
            Start::Find | Start::Send(_) => None,
        };
        let progress = std::cell::RefCell::new(follow.progress);
        let on_report = |report: Report| self.relay(report, &mut **progress.borrow_mut());
        let shared = entry.clone().map(Shared::new);
        let mut live = Live::new(&session, journal, shared, None, &on_report);
        live.until = deadline;
        let outcome = tokio::select! {
            biased;
            outcome = call::run(&mut live, start, limits) => outcome,
            signal = follow.signals.next() => return Err(stopped(signal, entry.as_ref(), known_id.as_ref())),
        };
        let key = entry.as_ref().map(|entry| entry.key.clone());
        match outcome {
            Ok(call) => Ok(Outcome::Ended(Ended { call, key })),
            Err(error) if error.kind == Kind::InProgress => Ok(Outcome::InProgress {
                key,
                call_id: error.facts.call_id,
            }),
            Err(error) => Err(match key {
                Some(key) => error.of_key(&key),
                None => error,
            }),
        }
    }
}

/// Whether the response is awaited.
fn is_sent(entry: &Entry) -> bool {
    entry.call_id.is_none() && entry.is_open() && entry.state != State::Lost
}

fn in_progress(entry: Entry) -> Outcome {
    Outcome::InProgress {
        key: Some(entry.key),
        call_id: entry.call_id,
    }
}

fn stopped(signal: crate::signals::Signal, entry: Option<&Entry>, id: Option<&CallId>) -> Error {
    let id = id.or_else(|| entry.and_then(|entry| entry.call_id.as_ref()));
    let message = "stopped waiting, and the call continues";
    Error::new(Kind::Interrupted(signal), message)
        .with_hint("get the result with the command below")
        .about(entry.map(|entry| &entry.key), id)
}

fn choose(contents: Contents, which: Option<&str>) -> Result<Chosen> {
    let nothing = |message: String| Error::new(Kind::NothingToResume, message);
    let mut calls = contents.calls.into_iter();
    let Some(which) = which else {
        let is_empty = calls.len() == 0;
        let newest = calls.find(|call| !call.shown);
        let why = if is_empty {
            "nothing to resume"
        } else {
            "nothing to resume: every result has been shown"
        };
        return newest.map(Chosen::Entry).ok_or_else(|| nothing(why.into()));
    };
    match which.parse::<CallRef>() {
        Ok(CallRef::Last(back)) => {
            let chosen = calls.nth(usize::from(back)).map(Chosen::Entry);
            return chosen.ok_or_else(|| nothing(format!("{which} is too far back")));
        }
        Ok(CallRef::Id(_) | CallRef::Prefix(_)) | Err(_) => {}
    }
    let folded = which.to_ascii_lowercase();
    let names = |call: &Entry| {
        let id = call
            .call_id
            .as_ref()
            .map(|id| id.as_str().to_ascii_lowercase());
        [Some(call.key.folded()), id]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let calls: Vec<Entry> = calls.collect();
    if let Some(exact) = calls.iter().position(|call| names(call).contains(&folded)) {
        return Ok(Chosen::Entry(
            calls
                .into_iter()
                .nth(exact)
                .ok_or_else(|| nothing(String::new()))?,
        ));
    }
    let begins = |call: &&Entry| names(call).iter().any(|name| name.starts_with(&folded));
    let mut matching: Vec<Entry> = calls
        .iter()
        .filter(begins)
        .filter(|_| folded.len() >= 4)
        .cloned()
        .collect();
    match (matching.len(), which.parse()) {
        (1, _) => Ok(Chosen::Entry(matching.remove(0))),
        (0, Ok(CallRef::Id(id))) => Ok(Chosen::Id(id)),
        (0, Err(invalid)) => Err(Error::from(invalid)),
        (0, _) => Err(nothing(format!(
            "no call with the key or ID '{which}' in the local call log"
        ))),
        (count, _) => {
            let mut error = Error::new(
                Kind::NothingToResume,
                format!("{count} calls begin with '{which}'"),
            );
            error.facts.candidates = matching
                .iter()
                .filter_map(|call| call.call_id.clone())
                .collect();
            Err(error.with_hint("write more of the key or ID"))
        }
    }
}

fn pending_call(entry: &Entry) -> PendingCall {
    PendingCall {
        key: entry.key.clone(),
        call_id: entry.call_id.clone(),
        number: entry.number.clone(),
        task: entry.task.clone(),
        sent_at: entry.sent_at,
        state: match entry.state {
            State::Sent => "sent",
            State::Lost => "lost",
            State::Running => "running",
            State::Ended => "ended",
            State::Refused => "refused",
            State::NotAccepted => "not_accepted",
            State::Unknown(_) => "unknown",
        },
        status: entry
            .ended()
            .map(|call| call.value.status_name().to_owned()),
    }
}
