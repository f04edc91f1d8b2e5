//! Connects a worker to the journal: reserves its call and records each change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::entry::{Entry, State};
use super::guard::Guards;
use super::journal::{Journal, Reservation};
use super::run::Change;
use crate::error::Result;

/// A call's entry, shared by the worker and the hook that reserves it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Entry>>);

impl Shared {
    pub fn new(entry: Entry) -> Self {
        Self(Arc::new(Mutex::new(entry)))
    }

    pub fn get(&self) -> Entry {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserves a call each time it is sent.
#[derive(Clone)]
pub struct Reserver {
    pub journal: Journal,
    pub entry: Shared,
    pub guards: Guards,
    /// Whether the user is still waiting.
    pub is_watched: watch::Receiver<bool>,
    pub is_reserved: watch::Sender<bool>,
}

impl Reserver {
    pub async fn reserve(&self, now: Timestamp) -> Result<Reservation> {
        let entry = {
            let mut entry = self.entry.lock();
            entry.sent_at = now;
            if !*self.is_reserved.borrow() {
                entry.reserved_at = now;
            }
            entry.clone()
        };
        let is_watched = || *self.is_watched.borrow();
        let reserve = self.journal.reserve(&entry, self.guards, is_watched, now);
        let reservation = reserve.await?;
        self.is_reserved.send_replace(true);
        Ok(reservation)
    }
}

/// Records the changes to one call.
pub struct Recorder<'a> {
    pub journal: &'a Journal,
    /// `None` for a call that is not in the journal.
    pub entry: Option<Shared>,
    /// Whether this process sends the request.
    is_sender: bool,
    unrecorded: Option<Change>,
}

impl<'a> Recorder<'a> {
    pub fn new(journal: &'a Journal, entry: Option<Shared>, is_sender: bool) -> Self {
        Self {
            journal,
            entry,
            is_sender,
            unrecorded: None,
        }
    }

    /// Records a change. Returns whether a found ID is ours. If recording fails, the change is
    /// recorded again with the next one.
    pub async fn record(&mut self, change: &Change, now: Timestamp) -> Result<bool> {
        self.record_again(now).await;
        let recorded = self.try_record(change, now).await;
        if recorded.is_err() {
            self.unrecorded = Some(change.clone());
        }
        recorded
    }

    pub async fn record_again(&mut self, now: Timestamp) {
        if let Some(change) = self.unrecorded.take()
            && self.try_record(&change, now).await.is_err()
        {
            self.unrecorded = Some(change);
        }
    }

    async fn try_record(&self, change: &Change, now: Timestamp) -> Result<bool> {
        let Some(shared) = &self.entry else {
            return Ok(true);
        };
        let entry = shared.get();
        match change {
            Change::Unreachable(_) => {}
            Change::Running(id) if entry.state == State::Running && entry.has_id(id.as_str()) => {}
            Change::Found(id) => {
                if !self.journal.claim(&entry, id).await? {
                    return Ok(false);
                }
            }
            _ => {
                let apply = |entry: &mut Entry| self.apply(entry, change, now);
                self.journal.change(&entry, apply).await?;
            }
        }
        self.apply(&mut shared.lock(), change, now);
        Ok(true)
    }

    fn apply(&self, entry: &mut Entry, change: &Change, now: Timestamp) {
        match change {
            Change::Lost(_) => entry.state = State::Lost,
            Change::NotMade(state, error) => {
                entry.state = state.clone();
                entry.error = Some(error.clone());
            }
            Change::Running(id) | Change::Found(id) if self.may_name(entry, id.as_str()) => {
                entry.set_running(id);
            }
            Change::Ended(call) if self.may_name(entry, &call.value.call_id) => {
                entry.set_ended(call, now);
            }
            Change::Running(_) | Change::Found(_) | Change::Ended(_) | Change::Unreachable(_) => {}
        }
    }

    /// Only the process that sends the request may replace an ID, because it has the response.
    fn may_name(&self, entry: &Entry, id: &str) -> bool {
        self.is_sender || entry.call_id.is_none() || entry.has_id(id)
    }
}
