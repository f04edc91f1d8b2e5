//! Learning how a call ended: it only ever reads.

use super::connection::Connection;
use super::place::unless_interrupted;
use super::{CALL_TIMEOUT, Service};
use crate::api::{Call, Client, Parsed};
use crate::auth::Session;
use crate::call::{CallDriver, Change, Entry, EntryState, Journal, Moment, Observer};
use crate::domain::{CallId, CallStatus, IdempotencyKey};
use crate::error::{Error, Kind, Result};
use crate::signals::Signals;

/// A call whose end was not shown on this computer.
#[derive(Debug, Clone)]
pub struct PendingCall {
    /// The key to resume it by.
    pub key: IdempotencyKey,
    /// The number that was called.
    pub number: String,
    /// What was asked for.
    pub task: String,
    /// When it was requested.
    pub requested_at: Moment,
    /// How far it is known to have come: `sent`, `running`, `ended` or `refused`.
    pub state: &'static str,
    /// How it ended, where that is known.
    pub status: Option<CallStatus>,
    /// Which call it is, where that is known.
    pub call_id: Option<CallId>,
    /// Whether a process waits for it.
    pub is_waited_for: bool,
}

impl Service<'_> {
    /// The calls whose end was not shown on this computer, oldest first. Sends nothing.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn pending(&self) -> Result<Vec<PendingCall>> {
        let journal = self.journal(self.settings.issuer()?)?;
        self.know_secrets();
        let contents = journal.read().map_err(unreadable)?;
        self.warn_of_unreadable(contents.unreadable.len());
        Ok(pending_calls(&journal, contents.entries))
    }

    /// Whether the call of this key is the only one whose end was not shown, so that it need not be named.
    pub fn is_only_pending(&self, key: &IdempotencyKey) -> bool {
        let pending = || {
            let journal = self.journal(self.settings.issuer().ok()?).ok()?;
            let contents = journal.read().ok()?;
            Some(pending_calls(&journal, contents.entries))
        };
        pending().is_some_and(|pending| matches!(pending.as_slice(), [only] if only.key == *key))
    }

    /// The number of the call that [`Self::resume`] would wait for, as far as the journal can tell without a warning.
    pub fn number_of(&self, key: Option<&IdempotencyKey>) -> Option<String> {
        let contents = self.journal(self.settings.issuer().ok()?).ok()?.read().ok()?;
        let is_meant = |entry: &Entry| key.map_or(!entry.shown, |key| entry.key == *key);
        contents.entries.into_iter().rev().find(is_meant).map(|entry| entry.number)
    }

    /// Waits for the end of an earlier call, the newest whose end was not shown where no key is given.
    ///
    /// # Errors
    /// When there is no such call, it was refused, or its outcome stays unknown.
    pub async fn resume(
        &self,
        key: Option<&IdempotencyKey>,
        observer: &mut dyn Observer,
        signals: &mut Signals,
    ) -> Result<(Parsed<Call>, IdempotencyKey)> {
        let journal = self.journal(self.settings.issuer()?)?;
        let entry = self.choose(&journal, key)?;
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        let open = entry.clone();
        unless_interrupted(signals, connection.sign_in_if_absent(self, &session, true))
            .await
            .map_err(|error| about_open(error, &open))?;
        let client = Client::new(&connection.http, &session, self.deadline(CALL_TIMEOUT));
        let key = entry.key.clone();
        let call = self.finish_entry(entry, &client, &journal, observer, signals).await?;
        Ok((call, key))
    }

    /// Notes that the user was told how a call ended. What cannot be noted is told again: nothing is lost.
    pub async fn mark_shown(&self, key: &IdempotencyKey) {
        let Some((journal, entry)) = self.entry(key) else { return };
        if matches!(entry.state, EntryState::Ended { .. }) && !entry.shown {
            let _ = journal.record(key, &Change::Shown).await;
        }
    }

    /// Notes that the user was told why a call was not made, if that is so.
    pub async fn mark_failure_shown(&self, key: &IdempotencyKey) {
        let Some((journal, entry)) = self.entry(key) else { return };
        if matches!(entry.state, EntryState::Refused(_)) {
            let _ = journal.record(key, &Change::Discarded).await;
        }
    }

    fn entry(&self, key: &IdempotencyKey) -> Option<(Journal, Entry)> {
        let journal = self.journal(self.settings.issuer().ok()?).ok()?;
        let entry = latest(&journal, key).ok()??;
        Some((journal, entry))
    }

    fn choose(&self, journal: &Journal, key: Option<&IdempotencyKey>) -> Result<Entry> {
        let contents = journal.read().map_err(unreadable)?;
        self.warn_of_unreadable(contents.unreadable.len());
        let now = Moment::now();
        let is_pending = |entry: &Entry| {
            !entry.shown
                && match entry.state {
                    EntryState::Prepared => entry.is_open(&now, journal.is_waited_for(&entry.key)),
                    EntryState::Sent
                    | EntryState::Running(_)
                    | EntryState::Ended { .. }
                    | EntryState::Refused(_) => true,
                }
        };
        let nothing = |message: String| Error::new(Kind::NothingToResume, message);
        if let Some(key) = key {
            return contents
                .into_entry(key)
                .ok_or_else(|| nothing("the journal has no call of that key".into()));
        }
        let is_first = contents.entries.is_empty();
        let mut pending = contents.entries.into_iter().rev().filter(is_pending);
        let newest = pending.next().ok_or_else(|| {
            nothing(if is_first {
                "no call is pending: the journal has none".into()
            } else {
                "no call is pending: how each one ended has been shown".into()
            })
        })?;
        let others = pending.count();
        if others > 0 {
            let text = match others {
                1 => "another call is pending: see --pending".into(),
                _ => format!("{others} other calls are pending: see --pending"),
            };
            self.notices.warn("more_pending", &text);
        }
        Ok(newest)
    }

    /// What came of a call that the journal knows: one under way is waited for, an ended one is read again.
    pub(super) async fn finish_entry(
        &self,
        entry: Entry,
        client: &Client<'_, Session<'_>>,
        journal: &Journal,
        observer: &mut dyn Observer,
        signals: &mut Signals,
    ) -> Result<Parsed<Call>> {
        let nothing = |message: &str| Err(Error::new(Kind::NothingToResume, message));
        let mut entry = self.attach(entry, client, journal, signals).await?;
        if entry.state == EntryState::Prepared {
            let discarding = async { journal.discard_unsent(&entry).await.map_err(unreadable) };
            match unless_interrupted(signals, discarding).await? {
                Some(latest) => entry = latest,
                None => return nothing("that call was never sent: its process ended before"),
            }
        }
        let key = &entry.key;
        match &entry.state {
            EntryState::Prepared | EntryState::Sent | EntryState::Running(_) => {
                CallDriver::new(client, journal, &entry, observer).run(signals).await
            }
            EntryState::Ended { call_id: Some(id), .. } => {
                let call = unless_interrupted(signals, async { Ok(client.this_call(id).await?) }).await?;
                if observer.deliver(&call) && !entry.shown {
                    let _ = journal.record(key, &Change::Shown).await;
                }
                Ok(call)
            }
            EntryState::Ended { call_id: None, .. } => {
                nothing("that call has ended, and which one it was is not known any more")
            }
            EntryState::Refused(error) => {
                if observer.not_made(error) {
                    let _ = journal.record(key, &Change::Discarded).await;
                }
                Err((**error).clone())
            }
        }
    }

    /// Waits while another process waits for the call, which asks the service nothing, and returns what it left.
    async fn attach(
        &self,
        entry: Entry,
        client: &Client<'_, Session<'_>>,
        journal: &Journal,
        signals: &mut Signals,
    ) -> Result<Entry> {
        if journal.is_waited_for(&entry.key) {
            tokio::select! {
                biased;
                () = journal.wait_for_others(&entry.key) => {}
                () = tokio::time::sleep_until(client.deadline()) => {
                    let message = "the call has not ended yet; another process waits for it";
                    let latest = latest(journal, &entry.key).ok().flatten().unwrap_or(entry);
                    return Err(Error::new(Kind::OutcomeUnknown, message)
                        .about(&latest.key, latest.call_id().cloned()));
                }
                signal = signals.next() => return Err(about_open(Error::interrupted(signal), &entry)),
            }
        }
        // Whoever waited may have ended since the journal was read.
        latest(journal, &entry.key).map_err(unreadable)?.ok_or_else(|| {
            Error::new(
                Kind::NothingToResume,
                "that call was not made, or its result was shown; the process that waited for it has said which",
            )
        })
    }
}

fn pending_calls(journal: &Journal, entries: Vec<Entry>) -> Vec<PendingCall> {
    let now = Moment::now();
    let pending = entries.into_iter().filter(|entry| !entry.shown).filter_map(|entry| {
        let is_waited_for = journal.is_waited_for(&entry.key);
        let state = match &entry.state {
            EntryState::Prepared | EntryState::Sent if entry.is_open(&now, is_waited_for) => "sent",
            EntryState::Prepared | EntryState::Sent => return None,
            EntryState::Running(_) => "running",
            EntryState::Ended { .. } => "ended",
            EntryState::Refused(_) => "refused",
        };
        let status = match &entry.state {
            EntryState::Ended { status, .. } => status.clone(),
            EntryState::Prepared | EntryState::Sent | EntryState::Running(_) | EntryState::Refused(_) => None,
        };
        Some(PendingCall {
            call_id: entry.call_id().cloned(),
            key: entry.key,
            number: entry.number,
            task: entry.task,
            requested_at: entry.written,
            state,
            status,
            is_waited_for,
        })
    });
    pending.collect()
}

fn latest(journal: &Journal, key: &IdempotencyKey) -> std::io::Result<Option<Entry>> {
    Ok(journal.read()?.into_entry(key))
}

/// An interruption of the wait for a call that goes on.
fn about_open(error: Error, entry: &Entry) -> Error {
    match error.kind {
        Kind::Interrupted(signal) if !matches!(entry.state, EntryState::Ended { .. }) => {
            Error::stopped_waiting(signal, &entry.key, entry.call_id().cloned())
        }
        _ => error,
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(Kind::JournalUnavailable, format!("the journal could not be read: {error}"))
}
