//! The backend of `run` for the real service and the real journal.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::entry::{Entry, Lookup, State};
use super::find::{Finding, find};
use super::journal::Journal;
use super::reserve::Reserver;
use super::run::{Backend, Change};
use super::worker::{Progress, Report};
use crate::api::{Call, CallPost, Parsed, Response, SendError, call_url, history_url};
use crate::auth::Session;
use crate::domain::{CallId, Secret};
use crate::error::Result;

/// Long, because the API responds only when the phone call has ended.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The time limit of one lookup.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const RENEW_TIMEOUT: Duration = Duration::from_secs(30);
/// How many calls a lookup reads. A lost call is among the newest.
const SEARCHED: u16 = 200;

/// The backend for one call through the real service.
pub struct Live<'a> {
    session: &'a Session<'a>,
    pub recorder: Recorder<'a>,
    /// The deadline for all lookups, if there is one.
    pub until: Option<Instant>,
    report: &'a dyn Fn(Report),
}

impl<'a> Live<'a> {
    /// Creates a backend. `entry` is `None` for a call that is not in the journal.
    pub fn new(
        session: &'a Session<'a>,
        journal: &'a Journal,
        entry: Option<Entry>,
        report: &'a dyn Fn(Report),
    ) -> Self {
        Self {
            session,
            recorder: Recorder::new(journal, entry),
            until: None,
            report,
        }
    }

    async fn get(&self, url: &Url) -> Result<Response> {
        let deadline = Instant::now() + READ_TIMEOUT;
        let deadline = self.until.map_or(deadline, |until| until.min(deadline));
        self.session.get(url, deadline).await
    }
}

impl Backend for Live<'_> {
    async fn post(
        &mut self,
        reserver: &Reserver,
        token: &Secret,
        connect_by: Instant,
    ) -> Result<Response, SendError> {
        let post = CallPost {
            body: &reserver.entry.request,
            key: &reserver.entry.key,
            token,
            connect_by,
            deadline: Instant::now() + RESPONSE_TIMEOUT,
        };
        let hook = reserver.clone();
        let reserve = async move { hook.reserve(Timestamp::now()).await };
        let sent = self.session.http.post_call(&post, reserve).await;
        self.recorder.set_sent_at(reserver);
        sent
    }

    async fn renew(&mut self, rejected: &Secret) -> Result<Secret> {
        let by = Instant::now() + RENEW_TIMEOUT;
        self.session.renew(rejected, by).await
    }

    async fn find(&mut self) -> Result<Finding> {
        let Some(entry) = &self.recorder.entry else {
            return Ok(Finding::NotListed);
        };
        let url = history_url(self.session.http.base(), SEARCHED, 0);
        let page = self.get(&url).await?.page()?.value;
        let clock_difference = Lookup::of_page(&page).clock_difference;
        // If the journal cannot be read now, `claim` checks later that no other key has the ID.
        let taken = self.recorder.journal.ids_of_others(&entry.key);
        let taken = taken.unwrap_or_default();
        let listed = page.calls.iter().map(|(_, call)| call);
        Ok(find(entry, listed, &taken, clock_difference))
    }

    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>> {
        let url = call_url(self.session.http.base(), id, None);
        self.get(&url).await?.this_call(id)
    }

    async fn record(&mut self, change: Change) -> bool {
        let recorded = self.recorder.record(&change, Timestamp::now()).await;
        let is_ours = *recorded.as_ref().unwrap_or(&true);
        let progress = match change {
            Change::Accepted(call) if call.value.is_running() => {
                call.value.call_id.parse().ok().map(Progress::Running)
            }
            Change::Lost(why) => Some(Progress::Lost(why.to_string())),
            Change::Running(id) | Change::Found(id) => is_ours.then_some(Progress::Running(id)),
            Change::Unreachable(why) => Some(Progress::Retrying(why.to_string())),
            Change::Accepted(_) | Change::Ended(_) | Change::NotMade(_) => None,
        };
        progress
            .map(Report::Progress)
            .into_iter()
            .for_each(self.report);
        if let Err(error) = recorded {
            (self.report)(Report::Warning(error.to_string()));
        }
        is_ours
    }
}

/// Records the changes to one call.
pub struct Recorder<'a> {
    pub journal: &'a Journal,
    /// `None` for a call that is not in the journal.
    pub entry: Option<Entry>,
    unrecorded: Option<Change>,
}

impl<'a> Recorder<'a> {
    pub fn new(journal: &'a Journal, entry: Option<Entry>) -> Self {
        Self {
            journal,
            entry,
            unrecorded: None,
        }
    }

    /// Copies the time when the request was last sent, if it was sent.
    pub fn set_sent_at(&mut self, reserver: &Reserver) {
        if let (Some(entry), Some(at)) = (&mut self.entry, *reserver.sent_at.borrow()) {
            entry.sent_at = at;
        }
    }

    /// Records a change. Returns `false` if the change is a found ID that belongs to another call.
    /// If recording fails, tries again just before the next change.
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
        let Some(entry) = &self.entry else {
            return Ok(true);
        };
        if let Change::Found(id) = change {
            return self.journal.claim(entry, id).await;
        }
        let apply = |entry: &mut Entry| apply(entry, change, now);
        self.journal.change(entry, apply).await?;
        Ok(true)
    }
}

/// Applies a change to `entry`. Only the response to the request replaces an ID from a lookup.
fn apply(entry: &mut Entry, change: &Change, now: Timestamp) {
    let is_other = |entry: &Entry, id| entry.call_id.is_some() && !entry.has_id(id);
    match change {
        Change::Lost(_) => entry.state = State::Lost,
        Change::NotMade(error) => {
            entry.state = State::NotMade;
            entry.error = Some(error.clone());
        }
        Change::Accepted(call) => entry.set_call(call, now),
        Change::Ended(call) if !is_other(entry, &call.value.call_id) => entry.set_call(call, now),
        Change::Running(id) if !is_other(entry, id.as_str()) => entry.set_running(id),
        Change::Running(_) | Change::Found(_) | Change::Ended(_) | Change::Unreachable(_) => {}
    }
}
